# SPDX-License-Identifier: BSD-3-Clause
"""Each thing that keeps a phone from starting, one by one, on virtual phones.

What the virtual phone itself says about its start comes from a reader of its own
(edl.virtual.bootcheck): where it says no, ours must have said so before.
"""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from edl.boot import check
from edl.boot.model import Earlier, Job, Readiness, State, Verdict, as_data
from edl.boot.reader import BoundedStorage
from edl.errors import ReadFailedError, TransportError
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.plan.model import Severity, overlaps
from edl.virtual.bootcheck import boot_check
from edl.virtual.storage import Extent
from edl.virtual.storage import Storage as Flash
from loaders.images import Binding, Recipe, elf_image, multi_elf, plain_elf, sbl80
from loaders.make_dummies import MSM8916, QCM2290
from loaders.signing import CHIPMAKER, OTHER, VENDOR_PSS
from tests import phones
from tests.boot import chains
from tests.phones import Bench
from tests.virtual.disks import BOOT_LOADER, Part, write_gpt

EMMC = "qcm2290"
UFS = "qcm2290-ufs"
_UFS_SECTORS = {0: 4096, 1: 2048, 2: 2048, 3: 2048, 4: 4096, 5: 2048}


@pytest.fixture
def emmc() -> Iterator[Bench]:
    with phones.plug(phones.spec(EMMC), record=False) as bench:
        chains.emmc(bench.flash)
        yield bench


@pytest.fixture
def ufs() -> Iterator[Bench]:
    with phones.plug(phones.spec(UFS, sectors=_UFS_SECTORS), record=False) as bench:
        chains.ufs(bench.flash)
        yield bench


def looked(bench: Bench, job: Job | None = None, before: Earlier | None = None) -> Readiness:
    """Look at the phone, and hold what is said against what the phone itself says."""
    if bench.transports:
        bench.enter_edl()
    found = check.check(bench.connect(), job, before)
    if not boot_check(bench.flash).boots:
        assert found.verdict in {Verdict.NOT_READY, Verdict.DOUBTFUL}
        assert any(f.severity is not Severity.INFO for f in found.findings)
    return found


def codes(found: Readiness, severity: Severity) -> set[str]:
    return {each.code for each in found.findings if each.severity is severity}


def expected(found: Readiness) -> list[str]:
    return [each.code for each in found.expect]


# -- good phones -----------------------------------------------------------------------------------


def test_a_good_phone_is_ready(emmc: Bench) -> None:
    found = looked(emmc)
    assert found.verdict is Verdict.READY
    assert codes(found, Severity.INFO) == {"test-keys"}
    assert {seen.state for seen in found.images if seen.link.role != "kernel"} == {State.SIGNED}
    assert [seen.link.name for seen in found.images] == [
        "xbl", "abl", "tz", "rpm", "hyp", "devcfg", "boot"
    ]  # fmt: skip
    assert expected(found) == ["first-start"]
    assert found.read_bytes < 1 << 20
    assert (found.slot, found.boot_lun) == (None, None)


@pytest.mark.parametrize(("slot", "lun"), [("a", 1), ("b", 2)])
def test_a_good_ufs_phone_is_ready(ufs: Bench, slot: str, lun: int) -> None:
    chains.activate(ufs.flash, "b" if slot == "b" else "a")
    ufs.flash.bootable = lun
    found = looked(ufs, Job(bootable=lun))
    assert found.verdict is Verdict.READY
    assert (found.slot, found.boot_lun) == (slot, lun)
    assert {seen.link.name[-2:] for seen in found.images} == {f"_{slot}"}
    assert expected(found) == ["slot", "first-start"]


def test_an_old_phone_with_headers_of_its_own_is_ready() -> None:
    with phones.plug("msm8916", record=False) as bench:
        held = {name: chains.old_image(name) for name in chains.OLD}
        chains.put(bench.flash, 0, {**held, "boot": chains.BOOT_IMAGE, **chains.KEPT})
        found = looked(bench)
    assert found.verdict is Verdict.READY
    assert {seen.state for seen in found.images if seen.link.role != "kernel"} == {State.SIGNED}


def test_it_is_told_as_data(emmc: Bench) -> None:
    data = as_data(looked(emmc))
    assert data["verdict"] == "ready"
    assert data["images"][0] == {  # type: ignore[index]
        "name": "xbl", "lun": 0, "role": "first-stage", "state": "signed", "reason": "",
        "root": emmc.virtual.profile.rom.fuses.pk_hash.hex(), "rollback": 1, "test_key": True,
    }  # fmt: skip


# -- the boot chain --------------------------------------------------------------------------------

_GOOD = chains.image("good")
IMAGES: dict[str, tuple[bytes, State]] = {
    "blank": (b"", State.BLANK),
    "wrong key": (chains.image("x", vendor=OTHER, version=5), State.WRONG_KEY),
    "unsigned": (chains.image("x", vendor=None), State.UNSIGNED),
    "no hashes": (plain_elf(b"x" * 5000), State.UNSIGNED),
    "damaged": (_GOOD.replace(b"good", b"evil"), State.DAMAGED),
    "cut off": (_GOOD[:4096], State.DAMAGED),
    "other chip": (chains.image("x", hwid=0x000A50E1_0000_0000), State.OTHER_PHONE),
    "other model": (chains.image("x", hwid=0x001860E1_0015_0001), State.OTHER_PHONE),
}


@pytest.mark.parametrize("what", IMAGES)
@pytest.mark.parametrize(("name", "expects"), [("xbl", "edl"), ("abl", "black")])
def test_a_bad_image_that_is_needed_is_severe(
    emmc: Bench, what: str, name: str, expects: str
) -> None:
    data, state = IMAGES[what]
    chains.fill(emmc.flash, name, data)
    found = looked(emmc)
    assert [seen.state for seen in found.images if seen.link.name == name] == [state]
    assert found.verdict is Verdict.NOT_READY
    assert codes(found, Severity.ERROR) == {f"image-{state}"}
    assert expected(found) == [expects]
    assert name in found.severe[0].message
    assert found.severe[0].remedy


def test_what_most_phones_need_is_a_warning(emmc: Bench) -> None:
    chains.fill(emmc.flash, "devcfg", b"")
    found = looked(emmc)
    assert found.verdict is Verdict.DOUBTFUL
    assert codes(found, Severity.WARNING) == {"image-blank"}


def test_what_is_no_known_image_is_told_and_not_judged(emmc: Bench) -> None:
    for name in ("xbl", "tz"):
        chains.fill(emmc.flash, name, b"made up" * 1000)
    found = looked(emmc)
    (told,) = [each for each in found.findings if each.code == "image-unknown"]
    assert "xbl, tz" in told.message
    assert found.verdict is Verdict.DOUBTFUL


def test_without_a_kernel_it_stops_in_fastboot(emmc: Bench) -> None:
    chains.fill(emmc.flash, "boot", b"")
    found = looked(emmc)
    assert expected(found) == ["fastboot"]
    assert found.verdict is Verdict.DOUBTFUL


def test_a_phone_without_fuses_is_told_as_such() -> None:
    unfused = f"{EMMC},pkhash={'00' * 48}"
    with phones.plug(phones.spec(unfused), record=False) as bench:
        chains.emmc(bench.flash)
        chains.fill(bench.flash, "xbl", chains.image("x", vendor=OTHER, version=5))
        chains.fill(bench.flash, "tz", chains.image("x", vendor=None))
        found = looked(bench, before=Earlier({"xbl": 9}))
    assert found.verdict is Verdict.READY
    assert codes(found, Severity.INFO) == {"unfused", "test-keys"}


def test_a_phone_that_does_not_tell_its_key() -> None:
    with phones.plug(phones.spec(f"{EMMC},questions=refused"), record=False) as bench:
        chains.emmc(bench.flash)
        assert codes(looked(bench), Severity.INFO) == {"key-untold", "test-keys"}
        chains.fill(bench.flash, "tz", chains.image("x", vendor=OTHER, version=5))
        found = looked(bench)
    assert codes(found, Severity.WARNING) == {"several-keys"}


@pytest.mark.parametrize(
    ("name", "severity", "verdict"),
    [("tz", Severity.ERROR, Verdict.NOT_READY), ("devcfg", Severity.WARNING, Verdict.DOUBTFUL)],
)
def test_a_lower_version_against_rollback(
    emmc: Bench, name: str, severity: Severity, verdict: Verdict
) -> None:
    chains.fill(emmc.flash, name, chains.image(name, rollback=5))
    before = check.earlier(emmc.connect())
    assert before.rollback[name] == 5
    assert looked(emmc, before=before).verdict is Verdict.READY
    chains.fill(emmc.flash, name, chains.image(name, rollback=4))
    found = looked(emmc, before=before)
    assert found.verdict is verdict
    (told,) = [each for each in found.findings if each.code == "rollback-lower"]
    assert told.severity is severity
    assert "version 4" in told.message
    assert "version 5" in told.message


def footed(metadata: bytes) -> bytes:
    """Return an image for boot with metadata behind it: avb_footer.h of libavb."""
    offset = chains.SIZE - 8192
    body = chains.BOOT_IMAGE.ljust(offset, b"\0") + metadata
    footer = struct.pack(">4sIIQQQ28x", b"AVBf", 1, 0, 1000, offset, len(metadata))
    return body.ljust(chains.SIZE - len(footer), b"\0") + footer


def test_a_lower_rollback_index(emmc: Bench) -> None:
    chains.fill(emmc.flash, "vbmeta", chains.vbmeta({}, 1700000000))
    chains.fill(emmc.flash, "boot", footed(chains.vbmeta({}, 8)))
    before = check.earlier(emmc.connect())
    assert before.verified == {"vbmeta": 1700000000, "boot": 8}
    assert looked(emmc, before=before).verdict is Verdict.READY
    chains.fill(emmc.flash, "vbmeta", chains.vbmeta({}, 1699999999))
    chains.fill(emmc.flash, "boot", footed(chains.vbmeta({}, 7)))
    found = looked(emmc, before=before)
    assert found.verdict is Verdict.DOUBTFUL
    told = [each.message for each in found.findings if each.code == "rollback-index-lower"]
    assert [message.split(";")[0] for message in told] == [
        "The verified boot metadata in 'vbmeta' has rollback index 1699999999",
        "The verified boot metadata in 'boot' has rollback index 7",
    ]


def test_metadata_that_cannot_be_read_has_no_index(emmc: Bench) -> None:
    chains.fill(emmc.flash, "boot", footed(chains.vbmeta({}, 8)))
    lun, start = chains.place(emmc.flash, "boot")
    last = start + chains.SIZE // 512 - 1
    emmc.flash.faults = replace(emmc.flash.faults, unreadable=(Extent(lun, last),))
    assert check.earlier(emmc.connect()).verified == {"vbmeta": 0}


def test_what_was_bad_before_sets_no_version(emmc: Bench) -> None:
    chains.fill(emmc.flash, "tz", chains.image("x", vendor=OTHER, version=5, rollback=9))
    assert "tz" not in check.earlier(emmc.connect()).rollback


def test_large_images_are_judged_by_their_signature(emmc: Bench) -> None:
    """Of a large image only headers and hashes are read."""
    large = chains.image("large", size=1_100_000, rollback=3)
    chains.put(emmc.flash, 0, {"xbl": _GOOD, "abl": _GOOD, "tz": large}, room=2 << 20)
    found = looked(emmc)
    seen = {each.link.name: each for each in found.images}
    assert (seen["tz"].state, seen["tz"].rollback, seen["tz"].content) == (State.SIGNED, 3, b"")
    assert found.read_bytes < 1 << 20


def test_a_kernel_that_is_none(emmc: Bench) -> None:
    chains.fill(emmc.flash, "boot", b"junk")
    assert codes(looked(emmc), Severity.WARNING) == {"image-unknown"}


def test_an_image_that_is_larger_than_its_partition(emmc: Bench) -> None:
    chains.fill(emmc.flash, "abl", chains.image("x", size=400_000)[: chains.SIZE])
    assert "larger than its partition" in looked(emmc).severe[0].message


def test_a_first_boot_loader_of_several_images(emmc: Bench) -> None:
    binding = Binding(QCM2290, soc_versions=(0x9003,), rollback=4)
    recipe = Recipe(version=7, digest="sha384", binding=binding, vendor=VENDOR_PSS)
    chains.fill(emmc.flash, "xbl", multi_elf(recipe, b"loader" * 500, CHIPMAKER))
    found = looked(emmc)
    assert found.images[0].state is State.SIGNED


def test_what_the_chip_maker_alone_signed_is_not_compared(emmc: Bench) -> None:
    binding = Binding(QCM2290, soc_versions=(0x9003,))
    recipe = Recipe(version=5, binding=binding, vendor=None, chipmaker=CHIPMAKER)
    chains.fill(emmc.flash, "tz", elf_image(recipe, b"firmware"))
    found = looked(emmc)
    assert found.verdict is Verdict.READY
    assert next(s for s in found.images if s.link.name == "tz").state is State.NOT_COMPARED


def test_headers_of_old_boot_loaders() -> None:
    recipe = Recipe(binding=Binding(MSM8916))
    code = b"code" * 300
    words = (0x15, 3, 0, 0x8000, len(code), len(code), 0, 0, 0, 0)  # nobody has signed it
    with phones.plug("msm8916", record=False) as bench:
        held = {"sbl1": sbl80(recipe, b"loader" * 500), "tz": struct.pack("<10I", *words) + code}
        chains.put(bench.flash, 0, {**held, "aboot": chains.old_image("aboot"), **chains.KEPT})
        found = looked(bench)
    states = {seen.link.name: seen.state for seen in found.images}
    assert states == {"sbl1": State.SIGNED, "tz": State.UNSIGNED, "aboot": State.SIGNED}


def test_a_first_boot_loader_that_only_its_name_tells(emmc: Bench) -> None:
    unit = chains.SIZE // 512
    lun = emmc.flash.luns[0]
    for name in ("xbl", "sbl1"):
        write_gpt(lun, [Part(name, 64, 63 + unit), Part("abl", 64 + unit, 63 + 2 * unit)])
        assert [seen.link.name for seen in looked(emmc).images] == [name, "abl"]
    write_gpt(lun, [Part("odd", 64, 63 + unit, BOOT_LOADER)])
    assert [seen.link.name for seen in looked(emmc).images] == ["odd"]


# -- tables, slots, LUNs ---------------------------------------------------------------------------


def _break(flash: Flash, lun: int, sector: int) -> None:
    data = bytearray(flash.luns[lun].read(sector, 1))
    data[60] ^= 0xFF  # of the disk's identity, which the checksum covers
    flash.luns[lun].write(sector, data)


@pytest.mark.parametrize(
    ("sector", "severity"), [(1, Severity.ERROR), (-1, Severity.WARNING)], ids=["first", "second"]
)
def test_a_broken_table(emmc: Bench, sector: int, severity: Severity) -> None:
    _break(emmc.flash, 0, sector % emmc.flash.luns[0].sectors)
    found = looked(emmc)
    assert codes(found, severity) >= {"table-broken"}


def test_a_missing_copy(emmc: Bench) -> None:
    emmc.flash.luns[0].write(emmc.flash.luns[0].sectors - 1, bytes(512))
    assert codes(looked(emmc), Severity.WARNING) == {"table-broken"}


def test_copies_that_contradict_each_other(emmc: Bench) -> None:
    flash = emmc.flash
    held = flash.luns[0].read(0, 34)
    chains.put(flash, 0, {"xbl": _GOOD, "abl": _GOOD})
    flash.luns[0].write(0, held)
    assert "tables-differ" in codes(looked(emmc), Severity.WARNING)


def test_no_table_at_all() -> None:
    with phones.plug(phones.spec(EMMC), record=False) as bench:
        found = looked(bench)
    assert codes(found, Severity.ERROR) == {"no-table", "no-first-stage"}
    assert expected(found) == ["edl"]


def test_a_table_without_boot_loaders(emmc: Bench) -> None:
    chains.put(emmc.flash, 0, {"tz": _GOOD, "userdata": b"x"})
    found = looked(emmc)
    assert codes(found, Severity.ERROR) == {"no-first-stage"}
    assert expected(found) == ["edl"]
    chains.put(emmc.flash, 0, {"sbl1": _GOOD, "userdata": b"x"})
    assert codes(looked(emmc), Severity.WARNING) == {"no-boot-loader"}


def test_the_slot_and_the_boot_lun_must_agree(ufs: Bench) -> None:
    ufs.flash.bootable = 2
    found = looked(ufs, Job(bootable=2))
    assert codes(found, Severity.ERROR) == {"slot-lun-mismatch"}
    assert found.severe[0].remedy == "Set the LUN of the slot: edl set-bootable 1"
    assert expected(found) == ["black"]


def test_a_boot_lun_that_nobody_tells(ufs: Bench) -> None:
    assert codes(looked(ufs), Severity.INFO) >= {"boot-lun-untold"}
    chains.fill(ufs.flash, "xbl_b", b"")
    ufs.flash.bootable = 2
    assert codes(looked(ufs), Severity.WARNING) == {"other-lun"}


def test_a_boot_lun_without_a_boot_loader(ufs: Bench) -> None:
    ufs.flash.bootable = 4
    found = looked(ufs, Job(bootable=4))
    assert codes(found, Severity.ERROR) == {"no-first-stage", "slot-lun-mismatch"}


def test_an_empty_slot_is_severe_if_it_is_the_active_one(ufs: Bench) -> None:
    chains.fill(ufs.flash, "abl_b", b"")
    assert looked(ufs, Job(bootable=1)).verdict is Verdict.READY
    chains.activate(ufs.flash, "b")
    found = looked(ufs, Job(bootable=2))
    assert [each.code for each in found.severe] == ["image-blank"]


def _state(flash: Flash, bits: int) -> None:
    """Give both boot partitions these bits of a slot."""
    lun = flash.luns[4]
    table = gpt.parse(lun.read(0, 6), 4096)
    for partition in table.partitions:
        if partition.name.startswith("boot_"):
            mark = bits if partition.name == "boot_a" else 0
            table = table.replace(replace(partition, attributes=mark << 48))
    images = table.images()
    lun.write(0, images.primary)
    lun.write(images.backup_sector, images.backup)


def test_a_slot_without_tries(ufs: Bench) -> None:
    _state(ufs.flash, 0b0000_0111)  # priority 3, active, no try, not successful
    found = looked(ufs, Job(bootable=1))
    assert codes(found, Severity.WARNING) == {"slot-used-up"}
    _state(ufs.flash, 0b0000_0011)  # priority 3, but not active
    assert codes(looked(ufs), Severity.WARNING) == {"no-slot-active"}


# -- what else ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["persist", "fsg"])
def test_blank_partitions_that_exist_only_once(emmc: Bench, name: str) -> None:
    chains.fill(emmc.flash, name, b"")
    found = looked(emmc)
    (told,) = [each for each in found.findings if each.severity is Severity.WARNING]
    assert told.code == "unique-blank"
    assert name in told.message


def test_what_the_modem_fills_again_may_be_blank(emmc: Bench) -> None:
    chains.fill(emmc.flash, "modemst1", b"")
    assert looked(emmc).verdict is Verdict.READY


@pytest.mark.parametrize("data", [b"", b"no magic"])
def test_verified_boot_metadata(emmc: Bench, data: bytes) -> None:
    chains.fill(emmc.flash, "vbmeta", data)
    assert codes(looked(emmc), Severity.WARNING) == {"vbmeta"}


def test_mixed_builds(emmc: Bench) -> None:
    said = "com.android.build.{}.fingerprint"
    chains.fill(
        emmc.flash,
        "vbmeta",
        chains.vbmeta(
            {
                said.format("boot"): "maker/model/model:12/ID/1:user/release-keys",
                said.format("vendor"): "maker/model/model:12/ID/2:user/release-keys",
            }
        ),
    )
    found = looked(emmc)
    assert codes(found, Severity.WARNING) == {"mixed-builds"}


@pytest.mark.parametrize(
    ("name", "data", "codes_"),
    [
        ("devinfo", b"ANDROID-BOOT!\x01", ["unlocked", "first-start"]),
        ("devinfo", b"ANDROID-BOOT!".ljust(16, b"\0") + b"\x01", ["unlocked", "first-start"]),
        ("devinfo", b"something else", ["first-start"]),
        ("misc", b"boot-recovery", ["recovery", "first-start"]),
        ("misc", b"bootonce-bootloader", ["fastboot", "first-start"]),
        ("userdata", b"", ["fresh", "first-start"]),
        ("metadata", b"", ["fresh", "first-start"]),
    ],
)
def test_what_to_expect(emmc: Bench, name: str, data: bytes, codes_: list[str]) -> None:
    chains.fill(emmc.flash, name, data)
    assert expected(looked(emmc)) == codes_


def test_data_that_was_replaced_or_will_be_wiped(emmc: Bench) -> None:
    found = looked(emmc, Job(replaced=frozenset({"userdata"})))
    assert found.expect[0].text == "It starts as new: its user data was replaced."
    order = b"boot-recovery".ljust(64, b"\0") + b"recovery\n--wipe_data\n"
    chains.fill(emmc.flash, "misc", order)
    assert "wipes" in looked(emmc).expect[0].text


# -- what cannot be read ---------------------------------------------------------------------------


def test_sectors_that_cannot_be_read_are_told(emmc: Bench) -> None:
    lun, start = chains.place(emmc.flash, "tz")
    phone = emmc.connect()
    for name in ("tz", "misc"):
        lun, start = chains.place(emmc.flash, name)
        phone.programmer = _Failing(phone.programmer, Area(lun, start, 1, 512))  # type: ignore[assignment]
    found = check.check(phone)
    assert found.verdict is Verdict.DOUBTFUL
    assert ["tz" in found.unread[1], "misc" in found.unread[0]] == [True, True]
    assert not found.severe


def test_tables_that_cannot_be_read_make_no_verdict(emmc: Bench) -> None:
    phone = emmc.connect()
    phone.programmer = _Failing(phone.programmer, Area(0, 0, 1 << 40, 512))  # type: ignore[assignment]
    found = check.check(phone)
    assert found.verdict is Verdict.UNKNOWN
    assert found.unread
    assert check.earlier(phone) == Earlier()


def test_a_phone_that_is_gone_makes_no_verdict(emmc: Bench) -> None:
    phone = emmc.connect()
    emmc.virtual.unplug()
    found = check.check(phone)
    assert found.verdict is Verdict.UNKNOWN
    assert expected(found) == ["unknown"]
    assert check.earlier(phone) == Earlier()


class _Failing:
    """A programmer that cannot read a few sectors."""

    def __init__(self, inner: object, bad: Area) -> None:
        self._inner = inner
        self._bad = bad

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def read(self, area: Area, take: Callable[[memoryview], object]) -> None:
        if overlaps(area, self._bad):
            raise ReadFailedError("these sectors are defective.")
        self._inner.read(area, take)  # type: ignore[attr-defined]


@pytest.mark.parametrize("bound", ["bytes", "time", "stopped"])
def test_the_look_is_bounded(emmc: Bench, bound: str) -> None:
    stop = threading.Event()
    ticks = iter((0.0, 0.0, 30.0))
    storage = BoundedStorage(
        emmc.connect(),
        most_bytes=1000 if bound == "bytes" else 1 << 20,
        seconds=20.0,
        cancel=stop,
        clock=(lambda: next(ticks)) if bound == "time" else lambda: 0.0,
    )
    assert len(storage.read(Area(0, 0, 1, 512))) == 512
    if bound == "stopped":
        stop.set()
    with pytest.raises(ReadFailedError, match=r"look at the phone|too much"):
        storage.read(Area(0, 0, 1, 512))
    assert storage.read_bytes == 512
    assert storage.span(Area(0, 0, 1, 512), 512, 10) == b""


def test_only_the_phones_own_errors_are_taken(emmc: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = emmc.connect()

    def gone(*_: object) -> None:
        raise TransportError("the cable is gone")

    monkeypatch.setattr(phone.programmer, "read", gone)
    assert check.check(phone).unread == ("the storage (the cable is gone)",)


# -- agreement with the phone itself ---------------------------------------------------------------


@pytest.mark.parametrize("profile", [EMMC, UFS])
def test_what_the_phone_itself_refuses_was_told_before(profile: str) -> None:
    """Bytes are changed at random in tables and in the first boot loader, one after the other."""
    sectors = _UFS_SECTORS if profile == UFS else None
    chosen = random.Random(20)
    with phones.plug(phones.spec(profile, sectors=sectors), record=False) as bench:
        make = chains.ufs if profile == UFS else chains.emmc
        make(bench.flash)
        phone = bench.connect()
        job = Job(bootable=1) if profile == UFS else Job()
        refused = 0
        for _ in range(20):
            number = chosen.choice([1, 4]) if profile == UFS else 0
            lun = bench.flash.luns[number]
            places = [1, 2, 64, 65, 66, 67, lun.sectors - 1, lun.sectors - 2, lun.sectors - 33]
            sector = chosen.choice(places)
            before = lun.read(sector, 1)
            changed = bytearray(before)
            if chosen.random() < 0.2:
                changed[:] = bytes(len(changed))
            else:
                at = chosen.randrange(0, 96 if sector in {1, lun.sectors - 1} else len(changed))
                changed[at] ^= 1 << chosen.randrange(8)
            lun.write(sector, bytes(changed))
            found = check.check(phone, job)
            if not boot_check(bench.flash).boots:
                refused += 1
                told = codes(found, Severity.ERROR) | codes(found, Severity.WARNING)
                assert told, (number, sector)
            lun.write(sector, before)
        assert refused >= 6
        assert check.check(phone, job).verdict is Verdict.READY
