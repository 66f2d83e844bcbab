# SPDX-License-Identifier: BSD-3-Clause
"""Updates over the air, from the file to what is on a virtual phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import brotli
import pytest

from edl.chunks import BytesContent, read_all
from edl.cli.main import run
from edl.errors import ImageError, PackageError
from edl.formats import payload as payloads_read
from edl.formats import super as lp
from edl.package import Package
from edl.packages import whole
from edl.streamed import StreamContent
from tests import dumps, payloads, phones, supers
from tests.packages.installing import install, opened
from tests.packages.making import noise
from tests.payloads import BLOCK, SOURCE_COPY, Manifest, Operation, Partition

LAYOUT = {"boot_a": 64, "boot_b": 64, "vbmeta_a": 16, "vbmeta_b": 16, "misc": 64, "super": 8192,
          "userdata": 0}  # fmt: skip
BOOT = noise(9 * BLOCK) + bytes(4 * BLOCK) + noise(3 * BLOCK, 2)
VBMETA = noise(BLOCK, 3)
SYSTEM = noise(250 * BLOCK, 4)  # a little less than the two pieces of 512 KiB that it has
VENDOR = noise(30 * BLOCK, 5)
IMAGES = {"boot": BOOT, "vbmeta": VBMETA, "system": SYSTEM, "vendor": VENDOR}
FLAT = {name: IMAGES[name] for name in ("boot", "vbmeta")}


def payload(images: Mapping[str, bytes] = IMAGES, groups: Sequence[str] = ()) -> bytes:
    partitions = [payloads.partition(name, image) for name, image in images.items()]
    return payloads.payload(
        Manifest(partitions, groups={"main": (1 << 22, groups)} if groups else {})
    )


def update(folder: Path, images: Mapping[str, bytes] = IMAGES, **more: bytes | str) -> Path:
    return payloads.ota(folder / "ota.zip", {"payload.bin": payload(images), **more})


def blocks(*new: tuple[int, int], zero: str = "", version: int = 4) -> str:
    lines = [str(version), "9", "0", "0", "erase 2,0,2"]
    lines += [f"new 2,{first},{first + count}" for first, count in new]
    return "\n".join([*lines, zero, ""])


def read(package: Package, name: str) -> bytes:
    image = next(each for each in package.named if each.partition == name)
    file = package.find(image.filename, image.document)
    return b"".join(map(bytes, file.content.chunks(0, file.size_bytes)))


# -- payload.bin ---------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_an_update_in_a_zip_file(tmp_path: Path, packed: bool) -> None:
    raw = payload(groups=["system", "vendor"])
    path = payloads.ota(tmp_path / "ota.zip", {"payload.bin": raw}, packed=packed)
    package, told = opened(path)
    assert told.kind == "update with a payload"
    assert told.devices == ("model", "model_global")
    assert told.version == "maker/model/model:14/UP1A.1/42:user/release-keys"
    assert told.facts == (
        ("patch", "2024-05-01"),
        ("images", "4, 1.2 MiB unpacked"),
        ("logical", "main (4 MiB): system, vendor"),
    )
    assert package.logical == ("system", "vendor")
    assert {name: read(package, name) for name in IMAGES} == IMAGES
    assert whole.verify(package.files) == len(IMAGES)


def test_a_payload_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "payload.bin"
    path.write_bytes(payload(FLAT | {"empty": b""}))
    package, told = opened(path)
    assert (told.devices, told.version) == ((), "")
    assert [image.partition for image in package.named] == ["boot", "vbmeta"]
    assert package.left_out == (("empty", "the update has no data for it"),)
    assert read(package, "boot") == BOOT


def test_what_belongs_to_the_user_is_left_out(tmp_path: Path) -> None:
    path = update(tmp_path, FLAT | {"userdata": VENDOR})
    assert opened(path)[0].left_out == (
        ("userdata", "it replaces your data; --wipe takes it as well"),
    )
    assert read(opened(path, wipe="yes")[0], "userdata") == VENDOR


def test_deltas_are_refused_with_the_reason(tmp_path: Path) -> None:
    copy = Partition("boot", [Operation(SOURCE_COPY, [(0, 1)])], BLOCK)
    path = tmp_path / "payload.bin"
    path.write_bytes(payloads.payload(Manifest([copy], minor=7)))
    with pytest.raises(PackageError, match=r"only changes the version .* SOURCE_COPY") as caught:
        opened(path)
    assert "full update" in caught.value.remedies[0]
    path.write_bytes(payloads.payload(Manifest([])))
    with pytest.raises(PackageError, match="no image to write"):
        opened(path)


def test_partial_updates_say_so(tmp_path: Path) -> None:
    path = tmp_path / "payload.bin"
    partition = payloads.partition("boot", BOOT)
    path.write_bytes(
        payloads.payload(Manifest([partition], partial=True, patch_level="2024-05\x1b"))
    )
    package, told = opened(path)
    assert package.warnings == (
        "payload.bin: The update is a partial one: other partitions keep what they hold.",
    )
    assert ("patch", "2024-05?") in told.facts


@pytest.mark.parametrize("cut", [30, 200, 5000])
def test_a_payload_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "payload.bin"
    path.write_bytes(payload(FLAT)[:cut])
    with pytest.raises(PackageError, match="cut off"):
        opened(path)


def test_damage_is_found_before_anything_is_written(tmp_path: Path) -> None:
    raw = bytearray(payload(FLAT))
    raw[-100] ^= 1
    path = tmp_path / "payload.bin"
    path.write_bytes(raw)
    package, _ = opened(path)
    with pytest.raises(ImageError, match="vbmeta is damaged: the SHA-256 of the data at byte"):
        whole.verify(package.files)


def test_a_manifest_that_is_not_the_one_told(tmp_path: Path) -> None:
    raw = payload(FLAT)
    size = payloads_read.read(BytesContent(raw)).metadata_bytes
    for digest, size_told, right in [
        (hashlib.sha256(raw[:size]).digest(), size, True),
        (bytes(32), size, False),
        (bytes(32), size + 1, True),  # it says nothing about this one
    ]:
        text = base64.b64encode(digest).decode()
        told = f"METADATA_HASH={text}\nMETADATA_SIZE={size_told}\n"
        path = payloads.ota(
            tmp_path / "ota.zip", {"payload.bin": raw, "payload_properties.txt": told}
        )
        if right:
            assert len(opened(path)[0].named) == 2
        else:
            with pytest.raises(PackageError, match="its manifest is not the one"):
                opened(path)
    path = payloads.ota(
        tmp_path / "ota.zip", {"payload.bin": raw, "payload_properties.txt": "METADATA_HASH=?"}
    )
    assert len(opened(path)[0].named) == 2


def test_several_payloads(tmp_path: Path) -> None:
    files = {"a/payload.bin": payload(FLAT), "b/payload.bin": payload(FLAT)}
    with pytest.raises(PackageError, match=r"several payloads: a/payload.bin, b/payload.bin"):
        opened(payloads.ota(tmp_path / "ota.zip", files))


# -- onto a phone --------------------------------------------------------------------------------


def lived(bench: phones.Bench, active: str, content: bytes | None = None) -> bytes:
    """Give the phone tables and a `super`, and return what is in that."""
    table = dumps.live(bench.flash, "owner", layout=LAYOUT, active=active)
    place = table.find("super")
    assert place is not None
    if content is None:
        layout = supers.two_slots()
        other = supers.two_slots()
        other.partitions = [
            ("system_a", 1, 1, []),
            ("system_b", 1, 2, [(1024, 0, 8192, 0), (1024, 0, 10240, 0)]),
            ("vendor_b", 1, 2, [(512, 0, 12288, 0)]),
        ]
        layout.partitions[1] = ("vendor_a", 1, 1, [(512, 0, 3072, 0)])
        content = bytes(supers.super_image(layout, other))
    bench.flash.luns[0].write(place.first_sector, content)
    return content


def expected(before: bytes, pieces: Mapping[int, bytes]) -> bytes:
    after = bytearray(before)
    for sector, data in pieces.items():
        after[sector * 512 : sector * 512 + len(data)] = data
    return bytes(after)


HALF = 1024 * 512


@pytest.mark.parametrize(
    ("active", "places"), [("a", (2048, 6144, 3072)), ("b", (8192, 10240, 12288))]
)
def test_an_update_goes_to_the_active_slot_and_into_super(
    tmp_path: Path, active: str, places: tuple[int, int, int]
) -> None:
    idle = "ab".replace(active, "")
    with phones.plug("qcm2290") as bench:
        before = lived(bench, active)
        other = dumps.held(bench.flash, f"boot_{idle}")
        outcome = install(bench, opened(update(tmp_path))[0])
        assert dumps.held(bench.flash, f"boot_{active}") == BOOT
        assert dumps.held(bench.flash, f"boot_{idle}") == other
        assert dumps.held(bench.flash, f"vbmeta_{active}").startswith(VBMETA)
        pieces = {places[0]: SYSTEM[:HALF], places[1]: SYSTEM[HALF:], places[2]: VENDOR}
        assert dumps.held(bench.flash, "super") == expected(before, pieces)
    labels = [step.label for step in outcome.plan.writes]
    names = [f"system_{active}", f"system_{active}", f"vendor_{active}"]
    assert sorted(labels) == sorted([f"boot_{active}", f"vbmeta_{active}", *names])


def test_an_update_that_has_grown_lays_super_out_anew(tmp_path: Path) -> None:
    system, product = noise(2 * 1024 * 1024, 8), noise(700 * BLOCK, 9)
    images = IMAGES | {"system": system, "product": product}
    raw = payload(images, ["system", "vendor", "product"])
    path = payloads.ota(tmp_path / "ota.zip", {"payload.bin": raw})
    with phones.plug("qcm2290-ufs") as bench:
        before = lived(bench, "a")
        with pytest.raises(PackageError, match="group 'main_a' of this phone may have"):
            install(bench, opened(path)[0])
        bench.hang_up()
        bench.enter_edl()
        assert dumps.held(bench.flash, "super") == before
        raw = payload(IMAGES | {"system": system}, ["system", "vendor"])
        install(bench, opened(payloads.ota(path, {"payload.bin": raw}))[0])
        content = BytesContent(dumps.held(bench.flash, "super"))
    found = lp.read(content)
    for slot in found.slots:
        assert slot.problems == ()
        assert slot.best is not None
        held = {
            each.name: b"".join(
                read_all(content, extent.start_sector * 512, extent.sectors * 512)
                for extent in each.extents
            )
            for each in slot.best.partitions
        }
        assert held == {"system_a": system, "vendor_a": VENDOR, "system_b": b""}


def test_check_and_rehearse_an_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = update(tmp_path)
    assert run(["check", str(path)]) == 0
    assert "write system " in " ".join(capsys.readouterr().out.split())
    assert run(["rehearse", str(path)]) == 0
    assert "written 4 parts" in " ".join(capsys.readouterr().out.split())


# -- by blocks -----------------------------------------------------------------------------------

NEW = noise(6 * BLOCK, 7)


def by_blocks(folder: Path, files: Mapping[str, bytes | str], *, packed: bool = False) -> Package:
    package, told = opened(payloads.ota(folder / "ota.zip", files, packed=packed))
    assert told.kind == "update by blocks"
    return package


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("ending", "pack"), [(".new.dat", bytes), (".new.dat.br", brotli.compress)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_an_update_by_blocks(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes], packed: bool, turned: bool
) -> None:
    runs = [(5, 2), (1, 4)] if turned else [(1, 4), (5, 2)]
    files: dict[str, bytes | str] = {
        "system.transfer.list": blocks(*runs, zero="zero 2,7,9"),
        f"system{ending}": pack(NEW),
        "system.patch.dat": b"",
        "boot.img": BOOT,
        "userdata.img": VENDOR,
        "cache.transfer.list": blocks((0, 1)),
        "cache.new.dat": NEW,
        "dynamic_partitions_op_list": "add system main\nresize system 36864\n",
        "firmware-update/odd.mbn": b"odd",
        "META-INF/com/google/android/updater-script": "format()",
    }
    package = by_blocks(tmp_path, files, packed=packed)
    image = NEW[2 * BLOCK :] + NEW[: 2 * BLOCK] if turned else NEW
    assert read(package, "system") == bytes(BLOCK) + image + bytes(2 * BLOCK)
    assert read(package, "boot") == BOOT
    assert package.logical == ("system",)
    data = "it replaces your data; --wipe takes it as well"
    assert package.left_out == (
        ("cache", data),
        ("userdata", data),
        ("odd.mbn", "only the update's script says where it goes, and scripts never run"),
    )
    whole.verify(package.files)
    streams = [each.content for each in package.files if isinstance(each.content, StreamContent)]
    assert all(stream.is_whole for stream in streams)


def test_updates_by_blocks_that_need_the_old_image(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "system.transfer.list": blocks((0, 1)) + "move a\n",
        "system.new.dat": NEW,
    }
    with pytest.raises(PackageError, match=r"only changes the version .* commands move"):
        by_blocks(tmp_path, files)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"system.transfer.list": "x", "system.new.dat": NEW}, "transfer.list is damaged"),
        ({"system.transfer.list": blocks((0, 9)), "system.new.dat": NEW}, "shorter than"),
        (
            {f"{folder}/system.{kind}": blocks((0, 6)) for folder in "ab" for kind in
             ("transfer.list", "new.dat")},
            "several updates: a, b",
        ),
    ],
)  # fmt: skip
def test_what_is_no_honest_update(
    tmp_path: Path, files: Mapping[str, bytes | str], told: str
) -> None:
    with pytest.raises(PackageError, match=told):
        by_blocks(tmp_path, files)


@pytest.mark.parametrize(
    "data", [brotli.compress(NEW)[:-9], brotli.compress(NEW + NEW), b"\xff" * 99]
)
def test_brotli_that_is_not_as_long_as_the_list_says(tmp_path: Path, data: bytes) -> None:
    package = by_blocks(
        tmp_path, {"system.transfer.list": blocks((0, 6)), "system.new.dat.br": data}
    )
    with pytest.raises(ImageError, match="is damaged"):
        whole.verify(package.files)


def test_lists_without_data_are_no_update(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no package of a known kind"):
        opened(payloads.ota(tmp_path / "ota.zip", {"system.transfer.list": blocks((0, 1))}))
