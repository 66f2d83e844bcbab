# SPDX-License-Identifier: BSD-3-Clause
"""What `edl info` tells of phones whose words are known: recordings, public logs, standards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl.cli.commands import info
from edl.device.firehose import Programmer
from edl.device.phone import Phone
from edl.firehose.answers import StorageInfo, parse_greeting, parse_storage_info
from edl.identity import PhoneIdentity
from tests.cli.conftest import LOADER, Edl
from tests.conftest import REPO
from tests.phones import Script
from tests.unit.test_extcsd import REAL, registers
from tests.unit.test_firehose_answers import lines, raw_stream

LOADERS = {
    "msm8916": "prog_emmc_firehose_8916_test.mbn",
    "msm8953": "prog_emmc_firehose_8953_test.mbn",
    "sdm660": "prog_emmc_ufs_firehose_sdm660_test.elf",
    "qcm2290": LOADER.name,
    "qcm2290-ufs": LOADER.name,
}
XML = '<?xml version="1.0" encoding="UTF-8" ?>\n<data>\n{}</data>'


def loader(profile: str) -> object:
    return REPO / "loaders" / LOADERS[profile.split(",", maxsplit=1)[0]]


@pytest.fixture
def told(edl: Edl) -> Callable[[str], dict[str, Any]]:
    """Return a function that gives the result of `info --json` for a virtual phone."""

    def call(profile: str) -> dict[str, Any]:
        result = edl("--virtual", profile, "info", "--json", "--loader", loader(profile))
        assert result.status == 0
        return result.last

    return call


@pytest.fixture
def text(edl: Edl) -> Callable[[str], str]:
    """Return a function that gives what people read of a virtual phone."""

    def call(profile: str) -> str:
        result = edl("--virtual", profile, "info", "--loader", loader(profile))
        assert result.status == 0
        return result.out

    return call


def about(
    identity: PhoneIdentity | None = None,
    storage: StorageInfo | None = None,
    *words: bytes,
    memory: str = "ufs",
    functions: tuple[str, ...] = (),
) -> tuple[dict[str, Any], str]:
    """Return data and text for a phone that has told this, and goes on saying words."""
    script = Script(*words)
    programmer = Programmer(script)
    if words:
        programmer.hear_greeting()
    programmer.memory = memory
    if functions:
        logs = [f"INFO: Supported Functions ({len(functions)}):", *functions]
        programmer.greeting = parse_greeting(logs, 3)
    phone = Phone(script, programmer, identity or PhoneIdentity())
    phone.luns = dict.fromkeys(range(8), storage or StorageInfo())
    data = info._data(phone)
    return data, "\n".join(info._text(data))


# -- the phone ------------------------------------------------------------------------------------


def test_a_hwid_taken_apart() -> None:
    """Bytes and meaning: bkerler/edl issue 635 (a Lenovo with MSM8926)."""
    data, shown = about(PhoneIdentity(0x1E76093A, 0x008050E1_0017_BF01, sahara_version=2))
    assert data["hwid_parts"] == {
        "msm_id": "0x008050e1", "revision": 0, "oem_id": "0x0017", "model_id": "0xbf01",
    }  # fmt: skip
    assert (data["chip"], data["makers"]) == ("MSM8926", ["Lenovo"])
    assert "chip        MSM8926" in shown
    assert "maker       Lenovo" in shown
    assert "serial      1e76093a" in shown
    assert "maker (OEM id) 0x0017, model id 0xbf01" in shown
    assert "Sahara      version 2" in shown


@pytest.mark.parametrize(
    ("pk_hash", "fused", "key"),
    [
        # Open-Q 820, a board without fused keys: its public log
        (
            "7be49b72f9e4337223ccb84d6eccca4e61ce16e3602ac2008cb18b75babe6d09",
            False,
            "Qualcomm's test root (QMC Attestation Root CA)",
        ),
        # Mi 9T: bkerler/edl#429
        (
            "1bebe3863a6781db4b01086063007334de9e5ca14971c7c4f4358ec9d79cda46"
            "92ce5e948c6fd409408f4c919fcadfe3",
            True,
            None,
        ),
        ("00" * 32, False, None),
        (None, None, None),
    ],
)
def test_secure_boot(pk_hash: str | None, fused: bool | None, key: str | None) -> None:
    identity = PhoneIdentity(pk_hash=None if pk_hash is None else bytes.fromhex(pk_hash))
    data, shown = about(identity)
    assert (data["secure_boot"]["fused"], data["key"]) == (fused, key)
    words = {True: "fused: it starts only", False: "almost certainly not fused", None: "not told"}
    assert f"secure boot {words[fused]}" in shown
    assert (key is None) == ("\n  key  " not in shown)


def test_secure_boot_in_the_words_of_the_programmer() -> None:
    """They count for more than the key: of OPPO's programmers, loader-strings.md section 9."""
    said = "Secure Boot is not enabled on the HW, so no need to check the sign data"
    log = XML.format(f'<log value="{said}" />').encode()
    data, shown = about(PhoneIdentity(pk_hash=b"\xab" * 32), None, log)
    assert data["secure_boot"] == {"fused": False, "how": "its programmer says so"}
    assert f"said        {said}" in shown


def test_a_phone_that_tells_nothing() -> None:
    data, shown = about()
    assert (data["chip"], data["hwid"], data["hwid_parts"], data["makers"]) == (None,) * 3 + ([],)
    for label in ("chip", "maker", "HWID", "PK hash", "secure boot", "built", "product"):
        assert f"{label:<12}not told" in shown
    assert "serial      unknown" in shown
    assert "Sahara      not asked" in shown
    assert "size        size not told, 8 LUNs" in shown


def test_a_chip_that_is_in_no_table_and_a_soc_version() -> None:
    _, shown = about(PhoneIdentity(hwid=0x0FFFF0E1_0001_0000, soc_version=0x1111_0200))
    assert "chip        not known" in shown
    assert "SoC version 0x11110200" in shown
    assert "maker       not known: OEM id 0x0001 names nobody" in shown


def test_the_boot_rom_alone(edl: Edl, tmp_path: Path) -> None:
    """It takes the loader afterwards as if nobody had asked before."""
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "sdm660").status == 0
    result = edl("--virtual", phone, "info", "--no-loader")
    assert result.status == 0
    assert "chip        SDM660" in result.out
    assert "secure boot fused" in result.out
    assert "Programmer" not in result.out
    asked = edl("--virtual", phone, "info", "--no-loader", "--json").last
    assert (asked["programmer"], asked["storage"], asked["health"]) == (None, None, None)
    whole = edl("--virtual", phone, "info", "--json", "--loader", loader("sdm660")).last
    assert whole["pk_hash"] == asked["pk_hash"]
    assert whole["programmer"]["generation"] == 2


# -- the programmer -------------------------------------------------------------------------------


def test_what_a_programmer_lacks_and_whose_lock_it_has() -> None:
    """OnePlus 8T: bkerler/edl#669; a programmer without digests: bkerler/edl#714."""
    logs = [line.removeprefix("firehose - ") for line in lines("bkerler-edl-669.txt")]
    functions = parse_greeting(logs, 3).functions
    assert functions is not None
    data, shown = about(functions=tuple(sorted(functions)))
    assert data["programmer"]["missing"] == []
    assert data["programmer"]["locks"] == [
        {"function": "demacia", "maker": "OnePlus"},
        {"function": "setprojmodel", "maker": "OnePlus"},
    ]
    assert "lock        demacia, setprojmodel: OnePlus may refuse" in shown
    few = ("program", "configure", "power", "benchmark", "read", "getstorageinfo", "erase", "nop")
    data, shown = about(functions=few)
    assert "commands    benchmark configure erase" in shown
    assert data["programmer"]["missing"] == ["getsha256digest", "setbootablestoragedrive"]
    assert "lacks       getsha256digest: what was written is read back" in shown
    assert data["programmer"]["erases_ranges"]


@pytest.mark.parametrize(
    ("profile", "generation", "built", "target", "payload"),
    [
        # from the recorded dialogues
        ("msm8916", 1, None, "8916", 16384),
        ("msm8953", 1, None, "8953", 1048576),
        ("sdm660", 2, "Jun  9 2018 @ 18:19:02", "MSM8996", 32768),
        ("qcm2290", 3, "Mar 16 2022 @ 11:57:42", None, 16384),
    ],
)
def test_programmers(
    told: Callable[[str], dict[str, Any]],
    profile: str,
    generation: int,
    built: str | None,
    target: str | None,
    payload: int,
) -> None:
    data = told(profile)["programmer"]
    assert (data["generation"], data["build_date"], data["target"]) == (generation, built, target)
    assert data["payload_bytes"] == payload
    assert (data["functions"] is None) == (generation == 1)
    assert data["erases_ranges"] == (generation == 3)


# -- the storage ----------------------------------------------------------------------------------


def test_a_ufs_device_of_a_public_log() -> None:
    """Surface Duo: names from INQUIRY, no serial number, six LUNs of which it told one."""
    data, shown = about(storage=parse_storage_info(raw_stream("EDLTests-readme-raw.txt")))
    storage = data["storage"]
    assert (storage["maker"], storage["product"]) == ("Toshiba (Kioxia)", "THGAF8T0T43BAIRB")
    assert (storage["firmware"], storage["serial"]) == ("0300", None)
    assert len(storage["luns"]) == 6
    assert storage["luns"][0] == {"lun": 0, "sectors": 30119936, "bytes": 123371257856}
    assert "maker       Toshiba (Kioxia) (id 0x198)" in shown
    assert "LUN 0       114.9 GiB" not in shown  # three digits are enough
    assert "LUN 0       115 GiB" in shown
    assert "verdict     not told by this programmer" in shown


def test_an_emmc_that_speaks_for_itself() -> None:
    """Real registers of an eMMC of 64 GB, and a maker's id that is in no table."""
    storage = StorageInfo(
        sectors=122142720, sector_bytes=512, luns=1, manufacturer_id=0xEE, ext_csd=registers(REAL)
    )
    data, shown = about(storage=storage, memory="emmc")
    assert (data["storage"]["standard"], data["storage"]["firmware"]) == ("5.1", "0x01")
    assert "type        eMMC 5.1" in shown
    assert "maker       id 0xee" in shown
    assert "size        58.2 GiB, 1 LUN\n" in shown
    assert "LUN 0       58.2 GiB, user area" in shown
    assert "verdict     sound" in shown
    assert "life used   type A 0 to 10 %\n" in shown
    assert "spares      less than 80 % of the spare blocks are used" in shown


def test_a_ufs_maker_that_only_inquiry_names() -> None:
    inquiry = {"UFS Inquiry Command Output": "EMUCORP VIRTUAL-UFS-00010100"}
    _, shown = about(storage=StorageInfo(extra=inquiry))
    assert "maker       EMUCORP\n" in shown


def test_a_kind_of_storage_that_is_not_told() -> None:
    _, shown = about(memory="")
    assert "type        type not told" in shown


# -- health ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["sdm660", "qcm2290"])
def test_a_worn_emmc(told: Callable[[str], dict[str, Any]], profile: str) -> None:
    assert told(f"{profile},life=0x0A/0x0B,pre-eol=3")["health"] == {
        "verdict": "worn: back up now",
        "worn": True,
        "life_a": "90 to 100 %",
        "life_b": "more than 100 %",
        "spare_blocks": "90 % of the spare blocks are used",
    }
    assert told(profile)["health"]["verdict"] == "sound"


def test_a_worn_ufs(text: Callable[[str], str]) -> None:
    shown = text("qcm2290-ufs,life=3/11")
    assert "verdict     worn: back up now" in shown
    assert "life used   type A 20 to 30 %, type B more than 100 %" in shown
    assert "spares      not told" in shown


@pytest.mark.parametrize("profile", ["msm8916", "msm8953,life=11/11", "qcm2290-ufs"])
def test_health_that_is_not_told(text: Callable[[str], str], profile: str) -> None:
    assert "verdict     not told by this programmer" in text(profile)


# -- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", sorted(LOADERS))
@pytest.mark.parametrize(
    ("lock", "who"), [("xiaomi", "service of Xiaomi"), ("vip", "only the maker can sign")]
)
def test_a_lock_ends_it_and_says_who_can_lift_it(
    edl: Edl, profile: str, lock: str, who: str
) -> None:
    words = ("--virtual", f"{profile},lock={lock}", "info", "--loader", loader(profile))
    result = edl(*words)
    assert (result.status, result.out) == (6, "")
    assert result.err.count("error[authorization-required]") == 1
    assert who in result.err


@pytest.mark.parametrize(("lock", "maker"), [("oplus", "Oplus"), ("vivo", "vivo")])
def test_a_lock_that_shows_only_when_the_storage_is_touched(
    edl: Edl, lock: str, maker: str
) -> None:
    phone = ("--virtual", f"qcm2290-ufs,lock={lock}")
    assert edl(*phone, "info", "--loader", LOADER).status == 0
    result = edl(*phone, "sha256", "0/0+1", "--loader", LOADER)
    assert result.status == 6
    assert result.err.count("error[authorization-required]") == 1
    assert f"service of {maker}" in result.err


def test_what_a_maker_forbids_is_told_and_no_end(text: Callable[[str], str]) -> None:
    shown = text("qcm2290,lock=motorola")
    assert "said        ERROR: handler getstorageinfo is restricted!" in shown
    assert "size        size not told, 1 LUN" in shown
