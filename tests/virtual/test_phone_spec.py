# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import UsageError
from edl.virtual.faults import Fault, Kind, Place
from edl.virtual.phone import Phone
from edl.virtual.profiles import PROFILES, TEST_ROOT_SHA256, TEST_ROOT_SHA384, Profile, parse_spec
from edl.virtual.storage import EmmcProduct, Extent, UfsProduct
from loaders.signing import VENDOR
from tests import phones


def executed() -> dict[str, Profile]:
    """Return the profiles whose programmers were executed."""
    return {name: PROFILES[name] for name in phones.ALL}


def test_the_profiles_are_the_phones_that_the_programmers_were_taken_from() -> None:
    assert {
        (name, profile.programmer, profile.storage, profile.sector_bytes, len(profile.lun_sectors))
        for name, profile in executed().items()
    } == {
        ("msm8916", "msm8916", "emmc", 512, 1),
        ("msm8953", "msm8953", "emmc", 512, 1),
        ("sdm660", "sdm660", "emmc", 512, 1),
        ("qcm2290", "qcm2290", "emmc", 512, 1),
        ("qcm2290-ufs", "qcm2290", "ufs", 4096, 6),
    }
    assert PROFILES["sdm660"].lun_sectors == {0: 33554432}
    assert PROFILES["qcm2290-ufs"].lun_sectors == {
        0: 2097152,
        1: 16384,
        2: 16384,
        3: 131072,
        4: 1048576,
        5: 262144,
    }


def test_old_chips_ask_with_32_bits_and_claim_that_more_images_are_pending() -> None:
    assert {
        name: (profile.rom.version, profile.rom.image_kind.name, profile.rom.done_status)
        for name, profile in executed().items()
    } == {
        "msm8916": (2, "ELF32", 0),
        "msm8953": (2, "ELF32", 0),
        "sdm660": (2, "ELF64", 1),
        "qcm2290": (2, "ELF64", 1),
        "qcm2290-ufs": (2, "ELF64", 1),
    }


def test_the_trusted_key_is_the_public_test_key() -> None:
    assert hashlib.sha256(VENDOR.root_bytes).digest() == TEST_ROOT_SHA256
    assert hashlib.sha384(VENDOR.root_bytes).digest() == TEST_ROOT_SHA384


def test_a_name_alone_is_the_profile() -> None:
    spec = parse_spec("sdm660")
    assert spec.profile == PROFILES["sdm660"]
    assert spec.faults == ()
    assert spec.profile.usb_product == "QUSB_BULK_CID:0412_SN:1A2B3C4D"
    assert spec.profile.rom.fuses.serial == 0x1A2B3C4D


def test_changes_and_faults() -> None:
    text = "qcm2290,size=64GiB,serial=0x0badcafe,fault=unplug@out:100000,fault=busy,usb3=yes"
    spec = parse_spec(text)
    assert spec.text == text
    assert spec.profile.lun_sectors == {0: 134217728}
    assert spec.profile.usb_product == "QUSB_BULK_CID:0412_SN:0BADCAFE"
    assert spec.profile.usb3
    assert spec.faults == (Fault(Kind.UNPLUG, Place.OUT, 100000), Fault(Kind.BUSY))


def test_the_size_of_ufs_is_that_of_its_first_lun() -> None:
    sectors = parse_spec("qcm2290-ufs,size=128GiB").profile.lun_sectors
    assert (sectors[0], sectors[1], len(sectors)) == (33554432, 16384, 6)


def test_identity() -> None:
    spec = parse_spec(f"sdm660,hwid=0x0008c0e100170002,pkhash={'ab' * 32}")
    assert spec.profile.rom.fuses.hwid == 0x0008C0E100170002
    assert spec.profile.rom.fuses.pk_hash == b"\xab" * 32
    assert spec.profile.rom.fuses.secure_boot


# Qualcomm's old test root, its PSS root of 48 bytes (mbn.md 7), and nothing at all
@pytest.mark.parametrize(
    "key",
    [
        "cc3153a80293939b90d02d3bf8b23e0292e452fef662c74998421adad42a380f",
        "d40eee56f3194665574109a39267724ae7944134cd53cb767e293d3c40497955"
        "bc8a4519ff992b031fadc6355015ac87",
        "00" * 32,
    ],
)
def test_a_phone_without_a_key_of_its_own_checks_none(key: str) -> None:
    assert not parse_spec(f"msm8953,pkhash={key}").profile.rom.fuses.secure_boot


def test_locks_and_worn_flash() -> None:
    lock = parse_spec("sdm660,lock=vip").profile.quirks.lock
    assert lock is not None
    assert lock.texts[0].startswith("Verifying signature failed")
    assert parse_spec("sdm660,flash=read-only").profile.wear == "read-only"


def test_wear() -> None:
    """The codes are in the bytes that JESD84-B51 gives them."""
    with Phone.create("sdm660,life=0x0A/0x0B,pre-eol=3,size=64MiB") as phone:
        product = phone.storage.product
        assert isinstance(product, EmmcProduct)
        assert product.ext_csd[267:270] == b"\x03\x0a\x0b"
        assert product.ext_csd[212:216] == b"\x00\x00\x02\x00"  # 131072 sectors
    with Phone.create("qcm2290,pre-eol=0") as phone:
        assert isinstance(phone.storage.product, EmmcProduct)
        assert phone.storage.product.ext_csd[267:270] == b"\x00\x01\x01"
    with Phone.create("qcm2290-ufs,life=1/11") as phone:
        assert isinstance(phone.storage.product, UfsProduct)
        assert phone.storage.product.life == (1, 11)


def test_usb_strings_and_driver() -> None:
    assert parse_spec("sdm660,product=none").profile.usb_product is None
    assert parse_spec("sdm660,product=QHSUSB__BULK").profile.usb_product == "QHSUSB__BULK"
    assert not parse_spec("sdm660,product=unreadable").profile.strings_readable
    assert parse_spec("sdm660,ids=0fce:9dde").profile.usb_ids == (0x0FCE, 0x9DDE)
    assert parse_spec("sdm660,driver=qcserial").profile.kernel_driver == "qcserial"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nokia",
        "sdm660,",
        "sdm660,colour=red",
        "sdm660,size=big",
        "sdm660,size=100",
        "sdm660,size=3TiB",
        "sdm660,size=4096GiB",
        "qcm2290-ufs,size=1049088",
        "sdm660,serial=0x100000000",
        "sdm660,serial=x",
        "sdm660,hwid=12",
        "sdm660,pkhash=zz",
        "sdm660,product=",
        "sdm660,product=\x1b[31m",
        "sdm660,driver=",
        "sdm660,ids=900e",
        "sdm660,usb3=maybe",
        "sdm660,lock=nokia",
        "sdm660,life=1",
        "sdm660,life=1/12",
        "sdm660,life=a/b",
        "sdm660,pre-eol=4",
        "qcm2290-ufs,pre-eol=1",
        "sdm660,flash=wet",
        "sdm660,fault=fire",
    ],
)
def test_what_is_no_phone(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text)


@given(st.text(max_size=60) | st.text(max_size=60).map("sdm660,".__add__))
def test_nonsense_is_a_usage_error(text: str) -> None:
    try:
        parse_spec(text)
    except UsageError:
        pass
    else:
        assert text.partition(",")[0] in PROFILES


def test_sizes_of_luns() -> None:
    profile = parse_spec("qcm2290-ufs,luns=1MiB+2MiB").profile
    assert profile.lun_sectors == {0: 256, 1: 512}
    with pytest.raises(UsageError, match="only UFS"):
        parse_spec("qcm2290,luns=1MiB")
    with pytest.raises(UsageError, match="one to 8 LUNs"):
        parse_spec("qcm2290-ufs,luns=" + "+".join(["1MiB"] * 9))
    with pytest.raises(UsageError, match="1 MiB to 2 TiB"):
        parse_spec("qcm2290-ufs,luns=4096")


@pytest.mark.parametrize("kind", ["unreadable", "unwritable", "forgotten", "zeros"])
def test_bad_ranges(kind: str) -> None:
    profile = parse_spec(f"qcm2290,{kind}=0/8+1,{kind}=1/9+2").profile
    assert getattr(profile.flash, kind) == (Extent(0, 8, 1), Extent(1, 9, 2))


def test_only_ufs_is_unprovisioned() -> None:
    with pytest.raises(UsageError, match="only UFS has a layout"):
        parse_spec("qcm2290,flash=unprovisioned")
