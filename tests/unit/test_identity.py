# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.identity import (
    Hwid,
    PhoneIdentity,
    chip_names,
    flash_maker,
    known_key,
    maker_names,
    parts_of_soc,
    soc_names,
    socs_of_part,
)
from edl.loaders import DEFAULT_PK_HASHES
from edl.virtual.profiles import TEST_ROOT_SHA256, TEST_ROOT_SHA384


def test_hwid_of_a_real_phone() -> None:
    """Bytes and meaning: bkerler/edl issue 635 (a Lenovo with MSM8926)."""
    hwid = Hwid(int.from_bytes(bytes.fromhex("01bf1700e1508000"), "little"))
    assert str(hwid) == ("0x008050e10017bf01 (MSM_ID:0x008050e1, OEM_ID:0x0017, MODEL_ID:0xbf01)")
    assert chip_names(hwid.msm_id)[0] == "MSM8926"
    assert maker_names(hwid.oem_id) == ("Lenovo",)


def test_revision_of_the_die_is_not_part_of_the_chip() -> None:
    hwid = Hwid(0xF00460E1_0000_0000)
    assert (hwid.part, hwid.revision) == (0x000460E1, 15)
    assert chip_names(hwid.msm_id) == chip_names(hwid.part)


@pytest.mark.parametrize(
    ("msm_id", "name"),
    [
        (0x007050E1, "MSM8916"),
        (0x000460E1, "MSM8953"),
        (0x0008C0E1, "SDM660"),
        (0x001860E1, "QCM2290"),
        (0x000A50E1, "SM8150"),
        (0x001610E1, "SDX65"),
        (0x0028D0E1, "SM8750"),
        (0x009900E1, "MSM8976"),
    ],
)
def test_chips_have_the_names_that_their_sources_agree_on(msm_id: int, name: str) -> None:
    assert name in chip_names(msm_id)


def test_unknown_numbers_have_no_names() -> None:
    assert chip_names(0x0FFFF0E1) == ()
    assert maker_names(0) == ()
    assert soc_names(0x1111) == ()
    assert parts_of_soc(0x1111) == frozenset()
    assert socs_of_part(0x0FFFF0E1) == frozenset()


def test_soc_numbers_and_msm_ids() -> None:
    assert soc_names(0x6003) == ("SM8150",)
    assert parts_of_soc(0x6003) == {0x000A50E1}
    assert 0x3006 in socs_of_part(0x2008C0E1)
    assert parts_of_soc(0xA012) == frozenset()


def test_phone_is_named_by_its_hwid_or_its_soc_number() -> None:
    assert PhoneIdentity(hwid=0x000460E1_0000_0000).chip == "MSM8953"
    assert PhoneIdentity(soc_version=0x600F_0200).soc_number == 0x600F
    assert PhoneIdentity(soc_version=0x600F_0200).chip == "SM8350"
    assert PhoneIdentity(hwid=0x0FFFF0E1_0000_0000, soc_version=0x600F_0200).chip == "SM8350"
    assert PhoneIdentity(hwid=0x0FFFF0E1_0000_0000).chip is None
    assert PhoneIdentity().chip is None
    assert PhoneIdentity(soc_version=0).soc_number is None


def test_description_for_people() -> None:
    phone = PhoneIdentity(0x1E76093A, 0x008050E1_0017_BF01, bytes.fromhex("cc3153a80293939b" * 4))
    assert phone.describe() == "HWID 0x008050e10017bf01, serial 1e76093a, key cc3153a80293939b"
    assert PhoneIdentity(1, None, bytes(48)).describe() == "serial 00000001, no key fused"
    assert PhoneIdentity().describe() == "a phone that does not tell who it is"


def test_names_of_chip_and_maker() -> None:
    phone = PhoneIdentity(hwid=0x000460E1_0017_0000)
    assert phone.chips[0] == "MSM8953"
    assert len(phone.chips) > 1
    assert phone.makers == ("Lenovo",)
    assert PhoneIdentity().makers == PhoneIdentity().chips == ()


def test_makers_of_flash() -> None:
    """Of public logs whose product names tell the maker, too (RC14MB is Samsung's)."""
    assert flash_maker("emmc", 21) == "Samsung"
    assert flash_maker("ufs", 408) == "Toshiba (Kioxia)"  # TOSHIBA THGAF8T0T43BAIRB
    assert flash_maker("ufs", 429) == "SK hynix"  # SKhynix H28S7Q302BMR
    assert flash_maker("ufs", 21) is None
    assert flash_maker("emmc", 408) is None
    assert flash_maker("nand", 21) is None


@pytest.mark.parametrize("pk_hash", sorted(DEFAULT_PK_HASHES))
def test_default_keys(pk_hash: bytes) -> None:
    key = known_key(pk_hash)
    assert key is not None
    assert not key.fused
    assert known_key(pk_hash[:32]) == key  # as some tools print it
    assert PhoneIdentity(pk_hash=pk_hash).fused is False


def test_other_keys() -> None:
    test_key = known_key(TEST_ROOT_SHA384)
    assert test_key is not None
    assert test_key == known_key(TEST_ROOT_SHA256)
    assert test_key.fused
    assert known_key(b"\xab" * 32) is None
    assert known_key(bytes.fromhex("cc3153a80293939b")) is None  # too little to go by
    assert PhoneIdentity(pk_hash=TEST_ROOT_SHA256).fused is True
    assert PhoneIdentity(pk_hash=b"\xab" * 32).fused is True
    assert PhoneIdentity(pk_hash=bytes(32)).fused is False
    assert PhoneIdentity().fused is None
