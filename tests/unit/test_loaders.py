# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edl import loaders
from edl.chips import chip_fits
from edl.collection.entry import from_data, of_image
from edl.describe import describe
from edl.errors import ImageError
from edl.formats.binding import Binding as Bound
from edl.formats.mbn import read_image
from edl.identity import PhoneIdentity
from edl.loaders import Fit, looks_like_programmer, match
from edl.virtual.verifier import Fuses, Status, check_image
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image
from loaders.make_dummies import COMMITTED, MSM8916, MSM8953, MSM8974, QCM2290, SDM660
from loaders.signing import OTHER, VENDOR, VENDOR_EC, VENDOR_PSS, Vendor
from tests.conftest import REPO

GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()
SHA256 = hashlib.sha256(VENDOR.root_bytes).digest()
PHONE = PhoneIdentity(serial=0x1E76093A, hwid=MSM8916, pk_hash=SHA256, sahara_version=2)
QUALCOMM_TEST = "cc3153a80293939b90d02d3bf8b23e0292e452fef662c74998421adad42a380f"


def fit(image: bytes, phone: PhoneIdentity = PHONE) -> Fit:
    return match(read_image(image), phone).fit


def made(hwid: int = MSM8916, *, vendor: Vendor = VENDOR, version: int = 3, soc: int = 0) -> bytes:
    binding = Binding(hwid, soc_versions=(soc,) if soc else ())
    digest = "sha384" if version >= 6 else "sha256"
    bits = 32 if version == 3 else 64
    recipe = Recipe(version=version, bits=bits, digest=digest, binding=binding, vendor=vendor)
    return elf_image(recipe, programmer("A", "BOOT.TEST", size=0x2000))


# What is committed


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_loaders_are_made_again_to_the_bit(name: str) -> None:
    assert (REPO / "loaders" / name).read_bytes() == COMMITTED[name]()


@pytest.mark.parametrize(
    ("name", "hwid", "algorithm", "chip"),
    [
        ("prog_emmc_firehose_8916_test.mbn", MSM8916, "sha256", "MSM8916"),
        ("prog_emmc_firehose_8953_test.mbn", MSM8953, "sha256", "MSM8953"),
        ("prog_emmc_streaming_8974_test.mbn", MSM8974, "sha256", "MSM8974"),
        ("prog_emmc_ufs_firehose_sdm660_test.elf", SDM660, "sha256", "SDM660"),
        ("prog_firehose_ddr_qcm2290_test.elf", QCM2290, "sha384", "QCM2290"),
    ],
)
def test_index_says_what_the_committed_loaders_hold(
    name: str, hwid: int, algorithm: str, chip: str
) -> None:
    index = json.loads((REPO / "loaders" / "index.json").read_text("utf-8"))
    assert [row["file"] for row in index["loaders"]] == list(COMMITTED)
    (row,) = (row for row in index["loaders"] if row["file"] == name)
    data = (REPO / "loaders" / name).read_bytes()
    assert (row["sha256"], row["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
    pk_hash = hashlib.new(algorithm, VENDOR.root_bytes).digest()
    assert row["root_hashes"][0] == pk_hash.hex()
    phone = PhoneIdentity(hwid=hwid, pk_hash=pk_hash)
    assert from_data(row).may_fit(phone)
    entry = of_image(
        read_image(data), row["sha256"], file=name, name=name, origin="loaders/make_dummies.py"
    )
    assert entry.as_data() == row
    assert match(read_image(data), phone).fit is Fit.EXACT
    assert phone.chip == chip


def test_generator_writes_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_dummies.main([str(tmp_path / "all")])
    written = {path.name: path.read_bytes() for path in (tmp_path / "all").iterdir()}
    assert {name: written[name] for name in GOOD} == GOOD
    assert {name: written[name] for name in BAD} == BAD
    assert set(COMMITTED) <= set(written)
    assert "v7_multi.elf" in capsys.readouterr().out


# Verdicts


def test_everything_fits() -> None:
    verdict = match(read_image(GOOD["v3_rollback_5.mbn"]), PHONE)
    assert verdict.fit is Fit.EXACT
    assert verdict.reason == "Key, chip and model fit; its rollback version is 5."
    assert (verdict.details, verdict.status) == ((), None)
    assert verdict.fit.may_start


@pytest.mark.parametrize(
    ("image", "expected", "words", "status"),
    [
        (GOOD["v3_aboot.mbn"], Fit.NO_PROGRAMMER, "signed as Android boot loader", None),
        (elf_image(Recipe(), b"x"), Fit.NO_PROGRAMMER, "holds no programmer", None),
        (BAD["bad_truncated_hashes.mbn"], Fit.DAMAGED, "cut off", 0x08),
        (GOOD["v3_unsigned.mbn"], Fit.WRONG_KEY, "no signature", 0x23),
        (GOOD["v3_other_vendor.mbn"], Fit.WRONG_KEY, "signed with test keys: the root is", 0x21),
        (made(vendor=Vendor("Maker", ("other-root",))), Fit.WRONG_KEY, "signed with another", 0x21),
        (made(MSM8953), Fit.OTHER_CHIP, "MSM8953 (MSM id 0x000460e1); the phone has MSM8916", 0x21),
        (made(0xABC0E1 << 32), Fit.OTHER_CHIP, "made for MSM id 0x00abc0e1", 0x21),
        (made(0), Fit.OTHER_CHIP, "MSM id 0x00000000", 0x21),
        (made(MSM8916 | 0x42_0000), Fit.OTHER_MODEL, "OEM id 0x0042; the phone has 0x0000", 0x21),
        (made(MSM8916 | 7), Fit.OTHER_MODEL, "model 0x0007; the phone is 0x0000", 0x21),
        (BAD["bad_signature.mbn"], Fit.DAMAGED, "signature does not fit", 0x21),
        (BAD["bad_segment.mbn"], Fit.DAMAGED, "differ from their hash: 2", 0x22),
        (BAD["bad_truncated.mbn"], Fit.DAMAGED, "cut off", 0x22),
        (BAD["bad_sizes.mbn"], Fit.DAMAGED, "sizes in the hash segment", 0x26),
    ],
)
def test_first_failure_is_the_reason(
    image: bytes, expected: Fit, words: str, status: int | None
) -> None:
    verdict = match(read_image(image), PHONE)
    assert (verdict.fit, verdict.status) == (expected, status)
    assert words in verdict.reason
    assert not verdict.fit.may_start


def test_both_keys_are_shown_where_they_differ() -> None:
    reason = match(read_image(GOOD["v3_other_vendor.mbn"]), PHONE).reason
    assert "'EDL Other Test Root CA'" in reason
    assert hashlib.sha256(OTHER.root_bytes).hexdigest()[:16] in reason
    assert SHA256.hex()[:16] in reason


def test_phone_that_tells_nothing() -> None:
    assert fit(GOOD["v3.mbn"], PhoneIdentity()) is Fit.UNKNOWN
    assert fit(GOOD["v3.mbn"], PhoneIdentity(pk_hash=SHA256)) is Fit.LIKELY
    assert Fit.UNKNOWN.may_start


@pytest.mark.parametrize("pk_hash", [bytes(32), bytes(48), bytes.fromhex(QUALCOMM_TEST)])
def test_unfused_phone_takes_anything_for_its_chip(pk_hash: bytes) -> None:
    phone = replace(PHONE, pk_hash=pk_hash)
    for name in ("v3.mbn", "v3_unsigned.mbn", "v3_other_vendor.mbn"):
        assert fit(GOOD[name], phone) is Fit.UNFUSED
    assert fit(made(0), phone) is Fit.UNFUSED
    assert fit(BAD["bad_segment.mbn"], phone) is Fit.UNFUSED
    assert match(read_image(BAD["bad_segment.mbn"]), phone).details
    assert fit(made(MSM8953), phone) is Fit.OTHER_CHIP
    assert fit(BAD["bad_truncated.mbn"], phone) is Fit.DAMAGED


@pytest.mark.parametrize(
    "pk_hash",
    [
        SHA256,
        SHA256[:16],
        hashlib.sha384(VENDOR.root_bytes).digest(),
        hashlib.sha384(VENDOR.root_bytes).digest()[:32],
    ],
)
def test_pk_hash_may_be_cut_or_of_the_other_algorithm(pk_hash: bytes) -> None:
    assert fit(GOOD["v3.mbn"], replace(PHONE, pk_hash=pk_hash)) is Fit.EXACT


@pytest.mark.parametrize("digits", [32, 64, 96])
def test_beginning_of_a_default_pk_hash(digits: int) -> None:
    whole = (
        "d40eee56f3194665574109a39267724ae7944134cd53cb76"
        "7e293d3c40497955bc8a4519ff992b031fadc6355015ac87"
    )
    phone = replace(PHONE, pk_hash=bytes.fromhex(whole[:digits]))
    assert fit(GOOD["v3_other_vendor.mbn"], phone) is Fit.UNFUSED


def test_beginning_of_a_pk_hash_must_not_be_too_short() -> None:
    assert fit(GOOD["v3.mbn"], replace(PHONE, pk_hash=SHA256[:15])) is Fit.WRONG_KEY


def test_any_root_of_several_may_be_the_phones() -> None:
    for root in make_dummies.FOUR_ROOTS.root_certificates:
        phone = replace(PHONE, pk_hash=hashlib.sha256(root).digest())
        assert fit(GOOD["v3_four_roots.mbn"], phone) is Fit.EXACT


def test_image_for_certain_phones_only() -> None:
    phone = PhoneIdentity(
        serial=0x1E76093A,
        hwid=make_dummies.SM8150 | 0x17_0002,
        pk_hash=hashlib.sha384(VENDOR_EC.root_bytes).digest(),
    )
    image = GOOD["v6_serials.elf"]
    assert fit(image, phone) is Fit.EXACT
    assert fit(image, replace(phone, serial=None)) is Fit.EXACT
    assert fit(image, replace(phone, serial=1)) is Fit.OTHER_MODEL


def test_image_for_certain_phones_that_are_not_named() -> None:
    image = read_image(GOOD["v3.mbn"])
    assert image.main.binding is not None
    bound = replace(image.main.binding, serial_bound=True)
    image = replace(image, main=replace(image.main, binding=bound))
    verdict = match(image, PHONE)
    assert verdict.fit is Fit.EXACT
    assert verdict.details == ("It is signed for certain phones only, and does not say for which.",)


def test_leaf_that_does_not_say_for_which_chip() -> None:
    recipe = Recipe(binding=Binding(MSM8916), fields=False)
    image = elf_image(recipe, programmer("A", "BOOT.TEST", size=0x2000))
    verdict = match(read_image(image), PHONE)
    assert verdict.fit is Fit.DAMAGED
    assert "does not say for which chip" in verdict.reason


def test_certificates_that_cannot_be_read() -> None:
    image = bytearray(GOOD["v3.mbn"])
    image[0x1000 + 40 + 4 * 32 + 256 + 1] = 0x80
    verdict = match(read_image(bytes(image)), PHONE)
    assert (verdict.fit, verdict.reason) == (
        Fit.WRONG_KEY,
        "Its certificates cannot be read.",
    )


def test_locked_programmer_and_odd_container_are_told() -> None:
    locked = elf_image(
        Recipe(binding=Binding(MSM8916)),
        programmer("A", "BOOT.TEST", extra=("nop and sig tag",), size=0x2000),
    )
    assert match(read_image(locked), PHONE).details == (
        "Xiaomi has restricted it: it works only after Xiaomi has authorised it.",
    )
    assert "prefix of 12 bytes" in match(read_image(GOOD["v3_prefixed.mbn"]), PHONE).details[0]


def test_phone_that_tells_its_chip_only() -> None:
    image = read_image(GOOD["v3.mbn"])
    assert match(image, PhoneIdentity(hwid=MSM8916)).fit is Fit.UNKNOWN
    other = match(image, PhoneIdentity(hwid=MSM8953))
    assert (other.fit, other.status) == (Fit.OTHER_CHIP, None)
    unbound = read_image(GOOD["v3_unsigned.mbn"])
    assert match(unbound, PhoneIdentity(hwid=MSM8953)).fit is Fit.UNKNOWN


# Which chip


def by_soc(*numbers: int) -> Bound:
    return Bound(3, 0, 0, 0, 0, soc_versions=numbers, by_soc=True)


@pytest.mark.parametrize(
    ("bound", "phone", "fits"),
    [
        (by_soc(0x6003), PhoneIdentity(soc_version=0x6003_0200), True),
        (by_soc(0x6003), PhoneIdentity(soc_version=0x6008_0200), False),
        (by_soc(0x6003), PhoneIdentity(hwid=0x000A50E1 << 32), True),
        (by_soc(0x6003), PhoneIdentity(hwid=0x000C30E1 << 32), False),
        # a derivative of SM8250 that starts its images, and is in no table of SoC numbers
        (by_soc(0x6008), PhoneIdentity(hwid=0x000E70E1 << 32), None),
        (by_soc(0x6003), PhoneIdentity(), None),
        (replace(by_soc(0x1111), msm_id=0x000E70E1), PhoneIdentity(hwid=0x000E70E1 << 32), True),
        (Bound(3, 0, 0x007050E1, 0, 0), PhoneIdentity(hwid=0x2070_50E1 << 32), True),
        (Bound(3, 0, 0x3070_50E1, 0, 0), PhoneIdentity(hwid=MSM8916), True),
        (Bound(3, 0, 0x007050E1, 0, 0), PhoneIdentity(hwid=MSM8953), False),
        (Bound(3, 0, 0x007050E1, 0, 0), PhoneIdentity(soc_version=0x6003_0000), None),
        (Bound(3, 0, 0x000A50E1, 0, 0), PhoneIdentity(soc_version=0x6003_0000), True),
        (Bound(3, 0, 0x000A50E1, 0, 0), PhoneIdentity(soc_version=0x6008_0000), False),
        (Bound(3, 0, 0x007050E1, 0, 0), PhoneIdentity(), None),
        # a SoC number whose MSM ids are not known may be that of the phone
        (by_soc(0x6003, 0x7777), PhoneIdentity(hwid=0x000C30E1 << 32), None),
        (by_soc(0x7777), PhoneIdentity(hwid=0x000C30E1 << 32), None),
        (Bound(3, 0, 0x000A50E1, 0, 0, msm_bound=False), PhoneIdentity(hwid=MSM8916), True),
    ],
)
def test_chips(bound: Bound, phone: PhoneIdentity, *, fits: bool | None) -> None:
    assert chip_fits(bound, phone) is fits


def test_reason_names_chips_as_far_as_they_are_known() -> None:
    phone = PhoneIdentity(hwid=MSM8916, soc_version=0x1234_0000, pk_hash=SHA256)
    several = Recipe(
        version=5,
        bits=64,
        binding=Binding(SDM660, soc_versions=(0x3006, 0x1111)),
        vendor=VENDOR_PSS,
    )
    image = elf_image(several, programmer("B", "BOOT.TEST", size=0x2000))
    assert match(read_image(image), phone).reason == (
        "It is made for SDM660 (SoC 0x3006) or SoC 0x1111; the phone has MSM8916."
    )
    unknown = PhoneIdentity(hwid=0xABC0E1 << 32, pk_hash=SHA256)
    assert "the phone has another chip" in match(read_image(GOOD["v3.mbn"]), unknown).reason


# The verdict and the phone agree


# a phone starts a streaming programmer too; a prefixed image is for phones that know the prefix
AGREED = sorted({*GOOD, *BAD} - {"streaming.mbn", "v3_prefixed.mbn"})


@pytest.mark.parametrize("name", AGREED)
@pytest.mark.parametrize("hwid", [MSM8916, MSM8916 | 1, MSM8953])
def test_verdict_is_what_the_virtual_phone_does(name: str, hwid: int) -> None:
    data = {**GOOD, **BAD}[name]
    fuses = Fuses(hwid=hwid, pk_hash=SHA256, soc_version=0x1234, header_versions=frozenset({3}))
    phone = PhoneIdentity(hwid=hwid, pk_hash=SHA256, soc_version=0x1234_0000)
    starts = check_image(fuses, data) is Status.SUCCESS
    try:
        image = read_image(data)
    except ImageError:
        assert not starts
    else:
        assert match(image, phone).fit.may_start == starts


# Choosing


def test_best_first(tmp_path: Path) -> None:
    files = {
        "a_wrong_key.mbn": GOOD["v3_other_vendor.mbn"],
        "b_fits.mbn": GOOD["v3.mbn"],
        "c_fits_lite.mbn": GOOD["v3.mbn"],
        "d_rollback.mbn": GOOD["v3_rollback_5.mbn"],
        "e_damaged.mbn": BAD["bad_segment.mbn"],
        "f_no_image.mbn": b"x" * 5000,
        "g_locked.mbn": elf_image(
            Recipe(binding=Binding(MSM8916)),
            programmer("A", "BOOT.TEST", extra=("nop and sig tag",), size=0x2000),
        ),
        "h_newer.mbn": elf_image(
            Recipe(binding=Binding(MSM8916)),
            programmer("C", "BOOT.TEST", extra=("Mar  9 2021",), size=0x2000),
        ),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ranked = loaders.rank(sorted(tmp_path.iterdir()), PHONE)
    assert [entry.path.name[0] for entry in ranked] == ["d", "h", "b", "c", "g", "a", "e"]
    assert [entry.note for entry in ranked[:4]] == ["", "", "", ""]
    assert ranked[4].note.startswith("g_locked.mbn: Xiaomi has restricted it")
    assert ranked[5].note.startswith("a_wrong_key.mbn: It is signed with test keys")
    assert loaders.choose(sorted(tmp_path.iterdir()), PHONE).path.name == "d_rollback.mbn"


def test_best_first_where_no_key_decides(tmp_path: Path) -> None:
    """A phone without fuses takes anything: what is made for it comes first."""
    files = {
        "a_no_chip.mbn": made(0),
        "b_unsigned.mbn": GOOD["v3_unsigned.mbn"],
        "c_other_model.mbn": made(MSM8916 | 7),
        "d_damaged.mbn": BAD["bad_segment.mbn"],
        "e_own.mbn": GOOD["v3.mbn"],
        "f_other_chip.mbn": made(MSM8953),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for phone in (PhoneIdentity(hwid=MSM8916, pk_hash=bytes(32)), PhoneIdentity(hwid=MSM8916)):
        ranked = loaders.rank(sorted(tmp_path.iterdir()), phone)
        assert [entry.path.name[0] for entry in ranked] == ["e", "d", "c", "a", "b", "f"]


def test_unsigned_loaders_can_be_ranked(tmp_path: Path) -> None:
    path = tmp_path / "a.mbn"
    path.write_bytes(GOOD["v3_unsigned.mbn"])
    assert loaders.rank([path], PhoneIdentity())[0].verdict.fit is Fit.UNKNOWN


def test_no_loader_fits(tmp_path: Path) -> None:
    path = tmp_path / "wrong.mbn"
    path.write_bytes(GOOD["v3_other_vendor.mbn"])
    with pytest.raises(ImageError, match=r"No loader fits the phone\. wrong\.mbn: It is signed"):
        loaders.choose([path], PHONE)
    files = {"b.mbn": "v3_other_vendor.mbn", "c.mbn": "v3_aboot.mbn", "d.mbn": "v3_unsigned.mbn"}
    for name, kind in files.items():
        (tmp_path / name).write_bytes(GOOD[kind])
    with pytest.raises(ImageError) as told:
        loaders.choose(sorted(tmp_path.iterdir()), PHONE)
    words = str(told.value)
    assert "d.mbn: It has no signature; this phone starts only what its maker signed." in words
    assert "b.mbn and 1 more: It is signed with test keys" in words
    assert words.endswith("c.mbn: It is signed as Android boot loader (ABL), not as a programmer.")
    with pytest.raises(ImageError, match="None of the files"):
        loaders.choose([tmp_path / "absent.mbn"], PHONE)


def test_programmers_are_found_by_content(tmp_path: Path) -> None:
    deep = tmp_path / "images" / "emmc"
    deep.mkdir(parents=True)
    (deep / "anything.bin").write_bytes(GOOD["v3.mbn"])
    (tmp_path / "b.elf").write_bytes(GOOD["v7_multi.elf"])
    (tmp_path / "sbl80.mbn").write_bytes(GOOD["sbl80.mbn"])
    (tmp_path / "prog_firehose.mbn").write_bytes(b"not a loader" * 1000)
    (tmp_path / "streaming.mbn").write_bytes(GOOD["streaming.mbn"])
    (tmp_path / "aboot.mbn").write_bytes(GOOD["v3_aboot.mbn"])
    (tmp_path / "small.elf").write_bytes(b"\x7fELF")
    (tmp_path / "cut.mbn").write_bytes(b"\x7fELF" + bytes(8000))
    (tmp_path / "link.mbn").symlink_to(deep / "anything.bin")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = loaders.find_programmers(tmp_path)
    assert [path.name for path in found] == [
        "b.elf", "anything.bin", "sbl80.mbn", "streaming.mbn",
    ]  # fmt: skip
    assert loaders.find_programmers(tmp_path / "absent") == []


def test_of_both_protocols_firehose_is_preferred(tmp_path: Path) -> None:
    for name in ("streaming.mbn", "v3.mbn"):
        (tmp_path / name).write_bytes(GOOD[name])
    ranked = loaders.rank(loaders.find_programmers(tmp_path), PHONE)
    assert [(each.name, each.verdict.fit) for each in ranked] == [
        ("v3.mbn", Fit.EXACT), ("streaming.mbn", Fit.EXACT),
    ]  # fmt: skip
    assert "Streaming Download" in ranked[1].note


def test_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path
    for _ in range(6):
        place = place / "d"
        place.mkdir()
    (place / "too_deep.mbn").write_bytes(GOOD["v3.mbn"])
    assert loaders.find_programmers(tmp_path) == []
    (tmp_path / "a.mbn").write_bytes(GOOD["v3.mbn"])
    (tmp_path / "b.mbn").write_bytes(GOOD["v3.mbn"])
    monkeypatch.setattr(loaders, "_MAX_FILES", 1)
    assert [path.name for path in loaders.find_programmers(tmp_path)] == ["a.mbn"]


@pytest.mark.parametrize("name", [*GOOD])
def test_all_loaders_have_the_form_of_one(name: str) -> None:
    assert looks_like_programmer(GOOD[name][:16])


@pytest.mark.parametrize("head", [b"", b"<?xml version=", b"PK\x03\x04" + bytes(12), bytes(16)])
def test_other_files_have_not(head: bytes) -> None:
    assert not looks_like_programmer(head)


def test_old_header_without_a_magic_number_has_the_form() -> None:
    assert looks_like_programmer(bytes.fromhex("0d000000 03000000 00000000 00000000"))


# Describing


def test_description_of_a_loader() -> None:
    rows = describe(read_image(GOOD["v6_serials.elf"]))
    said = dict(rows)
    assert rows[0] == ("content", "Firehose programmer, generation C")
    assert said["chip"] == "SM8150 (SoC 0x6003)"
    assert said["OEM id"] == "0x0017 (Lenovo)"
    assert said["model id"] == "0x0002"
    assert said["serial numbers"] == "1e76093a"
    assert said["signed by"] == "EDL Public Test EC Attestation / EDL Public Test EC Root CA"
    assert said["signature"] == "ECDSA P-384, SHA-384"
    assert said["form"] == "ELF, header version 6"
    assert said["storage"] == "emmc, nand, spinor, ufs"
    root = hashlib.sha384(VENDOR_EC.root_bytes).hexdigest()
    assert said["PK hash sha384"] == f"{root} (of the root certificate, reported by its phones)"
    assert said["PK hash sha256"].endswith(" (of the root certificate)")
    several = [value for _, value in describe(read_image(GOOD["v3_four_roots.mbn"]))]
    assert not any("reported by its phones" in value for value in several)


def test_description_of_what_is_broken_or_not_signed() -> None:
    unsigned = dict(describe(read_image(BAD["bad_no_hashes.elf"])))
    assert (unsigned["signed by"], unsigned["form"]) == ("nobody", "ELF")
    broken = dict(describe(read_image(BAD["bad_signature.mbn"])))
    assert broken["signature"] == "does not verify"
    assert broken["note"] == "The signature does not fit the image."
    other = dict(describe(read_image(elf_image(Recipe(), b"x"))))
    assert other["content"] == "no programmer"
