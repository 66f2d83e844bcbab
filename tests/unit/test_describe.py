# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from edl.describe import as_data, chip_name, describe, summary
from edl.formats.binding import Binding as Bound
from edl.formats.mbn import read_image
from edl.identity import maker_names
from loaders import make_dummies
from loaders.contents import filled, programmer
from loaders.images import Binding, Recipe, elf_image
from loaders.make_dummies import MSM8916
from loaders.signing import VENDOR, VENDOR_EC, Vendor

GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()
KEY = hashlib.sha256(VENDOR.root_bytes).hexdigest()[:16]
EC_KEY = hashlib.sha384(VENDOR_EC.root_bytes).hexdigest()[:16]

MAKER = Vendor("Example Phones", ("other-root",))  # its root is called like it, with no word "Test"


def told(name: str) -> str:
    return " ".join(summary(read_image({**GOOD, **BAD}[name])))


def made(vendor: Vendor | None = MAKER, extra: tuple[str, ...] = (), hwid: int = MSM8916) -> bytes:
    recipe = Recipe(binding=Binding(hwid), vendor=vendor)
    return elf_image(recipe, programmer("A", "BOOT.TEST", extra=extra, size=0x2000))


# In a few sentences


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("v3.mbn", "A Firehose programmer for MSM8916 (Snapdragon 400/410), signed with test keys"),
        ("v3.mbn", "It can be told to use eMMC."),
        ("v3.mbn", f"begins with {KEY}, OEM id 0x0000 and model id 0x0000."),
        ("v6_ecdsa.elf", "SM8150 (Snapdragon 855)"),
        ("v6_ecdsa.elf", f"begins with {EC_KEY}, OEM id 0x0017 and model id 0x0002."),
        ("v6_oem_independent.elf", f"begins with {EC_KEY}."),
        ("v6_serials.elf", "It fits one phone only, by its serial number, "),
        ("v7_multi.elf", f"begins with {EC_KEY}, OEM id 0x0051."),
        ("v3_unsigned.mbn", "signed by nobody"),
        ("v3_unsigned.mbn", "It fits only phones that check no signature."),
        ("streaming.mbn", "A programmer of the old Streaming Download for MSM8916"),
        ("streaming.mbn", "most of its kind do not let the flash be read."),
        ("v3_aboot.mbn", "Not usable as a loader: it is signed as Android boot loader"),
        ("bad_segment.mbn", "It is DAMAGED or was changed"),
    ],
)
def test_summary(name: str, words: str) -> None:
    assert words in told(name)


def test_summary_names_the_maker_and_its_locks() -> None:
    words = " ".join(summary(read_image(made())))
    # without an OEM id, the organization of the root certificate says who it is
    assert "signed by edl test vendor (root certificate 'Example Phones Root CA')" in words
    oppo = made(hwid=MSM8916 | 0x0051_0000, extra=("nop and sig tag",))
    makers = " or ".join(maker_names(0x0051))
    words = " ".join(summary(read_image(oppo)))
    assert f"signed by {makers} (root certificate 'Example Phones Root CA')" in words
    assert words.endswith(
        "Xiaomi, has restricted it: it works only after Xiaomi has authorised it."
    )


def test_summary_of_keys_that_phones_without_a_key_report(monkeypatch: pytest.MonkeyPatch) -> None:
    root = hashlib.sha256(VENDOR.root_bytes).digest()
    monkeypatch.setattr("edl.describe.DEFAULT_PK_HASHES", {root})
    assert "fits only phones without a key of their own" in told("v3.mbn")


def test_summary_of_several_serial_numbers() -> None:
    binding = replace(make_dummies._V6.binding, serials=(1, 2))
    data = make_dummies._of(make_dummies._V6, "C", binding=binding)
    assert "It fits 2 phones only, by their serial numbers" in " ".join(summary(read_image(data)))


def test_summary_of_certificates_that_cannot_be_read() -> None:
    data = bytearray(GOOD["v3.mbn"])
    data[0x1000 + 40 + 4 * 32 + 256 + 1] = 0x80
    image = read_image(bytes(data))
    assert "with certificates that cannot be read" in " ".join(summary(image))
    assert dict(describe(image))["signed by"] == "unknown: the certificates cannot be read"
    signature = as_data(image)["main"]["signature"]
    assert (signature["certificates"], signature["scheme"]) == ([], None)


def test_summary_of_an_image_that_names_no_chip_or_storage() -> None:
    words = "MaxPayloadSizeToTargetInBytes SECTOR_SIZE_IN_BYTES"
    image = read_image(elf_image(Recipe(binding=Binding(0)), filled(words.encode(), 0x1000)))
    first, second = summary(image)
    assert first.startswith("A Firehose programmer, signed with test keys")
    assert second.startswith("It fits phones whose key")


def test_names_of_chips() -> None:
    def bound(msm_id: int = 0, *numbers: int) -> Bound:
        return Bound(3, 0, msm_id, 0, 0, soc_versions=numbers, by_soc=bool(numbers))

    assert chip_name(bound(0x0008C0E1)) == "SDM660 (Snapdragon 660)"
    assert chip_name(bound(0, 0x3006)) == "SDM660 (Snapdragon 660)"
    assert chip_name(bound(0x0001F0E1)) == "MSM id 0x0001f0e1"
    assert chip_name(bound(0, 0x1234)) == "SoC 0x1234"
    assert chip_name(bound(0x000160E1)) == "QCA4020"


# In full


def test_rows() -> None:
    said = dict(describe(read_image(GOOD["v7_multi.elf"])))
    assert said["signed as"] == "programmer (SW_ID 0x3)"
    assert said["model id"] == "0x0000 (not bound to it)"
    assert said["certificate 3"] == (
        "EDL Public Test EC Root CA (P-384, root), 2020-01-01 to 2040-01-01"
    )
    assert said["parts"].startswith("not signed, 4.0 KiB; security processor firmware, ")
    assert said["parts"].count(";") == 4
    assert said["checked"] == (
        "in order: the sha384 of every segment, the certificates and the signature fit"
    )
    assert "HWID" not in said  # this one is bound by its SoC number
    assert dict(describe(read_image(GOOD["v3.mbn"])))["HWID"] == "0x007050e100000000"
    assert dict(describe(read_image(GOOD["v5_nested.elf"])))["inside"].startswith("XBL_SEC, ")
    assert dict(describe(read_image(GOOD["sbl80.mbn"])))["checked"] == (
        "in order: the whole file, the certificates and the signature fit"
    )
    unsigned = dict(describe(read_image(GOOD["v3_unsigned.mbn"])))
    assert unsigned["checked"] == "nothing can be checked: it is not signed"
    assert dict(describe(read_image(BAD["bad_segment.mbn"])))["checked"].startswith("NOT in order")


def test_rows_of_an_encrypted_image() -> None:
    image = read_image(GOOD["v3.mbn"])
    encrypted = replace(image, main=replace(image.main, encrypted=True))
    assert "its signature (the content is encrypted)" in dict(describe(encrypted))["checked"]


def test_rows_of_what_is_seldom_there() -> None:
    behind = dict(describe(read_image(GOOD["v3.mbn"] + bytes(64))))
    assert behind["size"] == "20.1 KiB, 64 bytes of which lie behind the image and do not count"
    assert dict(describe(read_image(GOOD["v3.mbn"])))["debugging"] == (
        "kept off (field 0000000000000002)"
    )
    bound = Bound(3, 0, 0, 0, 0, msm_bound=False)
    assert chip_name(bound) == "no certain chip"
    image = read_image(GOOD["v3.mbn"])
    main = replace(image.main, binding=bound)
    said = describe(replace(image, main=main))
    assert "debugging" not in dict(said)


def test_dates() -> None:
    words = ("Binary build date: %s", "Mar  9 2021")
    image = read_image(made(extra=words))
    assert dict(describe(image))["build"] == "BOOT.TEST (2021-03-09)"
    assert as_data(image)["build_date"] == "2021-03-09"
    signer = image.main.vendor
    assert signer is not None
    assert signer.chain is not None
    leaf = replace(
        signer.chain.leaf, valid_from="99123123595Z", valid_until="20500203000000Z", common_name=""
    )
    chain = replace(signer.chain, certificates=(leaf, *signer.chain.certificates[1:]))
    main = replace(image.main, vendor=replace(signer, chain=chain))
    said = dict(describe(replace(image, main=main)))["certificate 1"]
    assert said.endswith("? to 2050-02-03")
    old = replace(leaf, valid_from="991231235959Z")
    chain = replace(chain, certificates=(old, *chain.certificates[1:]))
    main = replace(image.main, vendor=replace(signer, chain=chain))
    assert "1999-12-31 to" in dict(describe(replace(image, main=main)))["certificate 1"]


@pytest.mark.parametrize("name", [*GOOD])
def test_data(name: str) -> None:
    data = as_data(read_image(GOOD[name]))
    assert json.loads(json.dumps(data)) == data
    assert data["intact"]
    assert data["is_programmer"] == (name != "v3_aboot.mbn")


def test_data_of_a_signature() -> None:
    data = as_data(read_image(GOOD["v6_serials.elf"]))
    assert data["main"]["binding"]["serials"] == ["1e76093a"]
    assert data["main"]["binding"]["chips"][0] == "SM8150"
    assert data["main"]["signature"]["scheme"] == "ECDSA P-384, SHA-384"
    names = [row["common_name"] for row in data["main"]["signature"]["certificates"]]
    assert names[-1] == "EDL Public Test EC Root CA"
    assert data["main"]["chip_maker_signature"] is None
    damaged = as_data(read_image(BAD["bad_segment.mbn"]))
    assert (damaged["intact"], damaged["main"]["bad_segments"]) == (False, [2])
