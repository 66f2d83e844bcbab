# SPDX-License-Identifier: BSD-3-Clause
"""What the words of a programmer tell; the words are those of real ones (loader-strings.md)."""

from __future__ import annotations

import pytest

from edl.formats.programmer import COMMANDS, Generation, Protocol, read_programmer
from loaders.contents import STREAMING, filled, programmer

COMMON = "configure program patch read power emmc ufs nop benchmark firmwarewrite erase"


@pytest.mark.parametrize(
    ("name", "generation", "storage", "more"),
    [
        ("A", Generation.A, {"emmc"}, {"getcrc16digest", "peek", "poke"}),
        ("B", Generation.B, {"emmc", "ufs", "spinor"}, {"peek", "poke"}),
        ("C", Generation.C, {"emmc", "ufs", "nand", "spinor"}, {"fixgpt"}),
    ],
)
def test_generations(name: str, generation: Generation, storage: set[str], more: set[str]) -> None:
    found = read_programmer(programmer(name, "BOOT.BF.3.3-00214"))
    assert found.protocol is Protocol.FIREHOSE
    assert found.generation is generation
    assert found.storage == storage
    assert found.version == "BOOT.BF.3.3-00214"
    assert found.commands == {
        *COMMON.split(),
        *more,
        *("setbootablestoragedrive", "getstorageinfo", "getsha256digest"),
    }
    assert found.commands <= COMMANDS
    assert found.locks == ()
    assert not found.needs_authorization


def test_second_fingerprints() -> None:
    for words, generation in (
        ("parseSectorValue could not handle start_sector value", Generation.B),
        ("logbuf@0x%08X fh@0x%08X", Generation.A),
    ):
        text = f"\0MaxPayloadSizeToTargetInBytes\0SECTOR_SIZE_IN_BYTES\0{words}\0".encode()
        assert read_programmer(text).generation is generation


@pytest.mark.parametrize(
    ("words", "generation", "maker", "authorization"),
    [
        ("Only nop and sig tag can be recevied before authentication", "C", "Xiaomi", True),
        ("Only nop and sig tag can be recevied before authentication", "A", "Xiaomi", True),
        ("The operation is not allowed for write", "C", "vivo", True),
        ("Version:%s; Platform1:%s", "A", "OPPO/OnePlus", True),
        ("Failed to get token", "C", "OnePlus", True),
        ("Project Verify failed", "C", "Nothing", True),
        ("Authenticate failed!", "B", "Meizu", True),
        ("range restricted: ", "B", "Motorola", False),
        ("Start sector %d not allowed", "C", "Samsung", False),
        ("Read operation not allowed", "A", "HMD", False),
        ("Secure boot detected. VIP not enabled:fail ", "A", "Qualcomm", True),
    ],
)
def test_locks(words: str, generation: str, maker: str, authorization: bool) -> None:
    found = read_programmer(programmer(generation, "BOOT.X", extra=(words,)))
    (lock,) = found.locks
    assert (lock.maker, lock.authorization) == (maker, authorization)
    assert found.needs_authorization == authorization


def test_two_words_of_one_lock_are_one_lock() -> None:
    words = (
        "Start sector %d not allowed",
        "Not allowed to write into Protected area sectors for EDL Flash from Start Sector",
    )
    assert len(read_programmer(programmer("C", "BOOT.X", extra=words)).locks) == 1


def test_lock_that_only_its_commands_show() -> None:
    found = read_programmer(programmer("A", "BOOT.X", commands=("query_auth_id_info",)))
    assert [lock.maker for lock in found.locks] == ["vivo"]


def test_vendor_commands_are_found_in_the_table() -> None:
    found = read_programmer(programmer("A", "BOOT.X", commands=("simlock", "writeIMEI", "bogus")))
    assert {"simlock", "writeIMEI"} <= found.commands
    assert "bogus" not in found.commands


def test_words_outside_the_table_are_no_commands() -> None:
    text = b"\0configure\0program\0" + b"." * 1600 + b"\0simlock\0"
    assert read_programmer(text).commands == {"configure", "program"}


def test_table_is_looked_up_by_another_name_where_the_first_does_not_lead_to_it() -> None:
    elsewhere = b"\0setbootablestoragedrive\0" + b"." * 1600
    found = read_programmer(elsewhere + b"\0configure\0program\0erase\0")
    assert found.commands == {"setbootablestoragedrive", "configure", "program", "erase"}


def test_rewritten_programmer_is_recognised_by_its_commands() -> None:
    """Two real ones lack the literals that all others have."""
    found = read_programmer(b"\0xyz\0configure\0program\0xyz\0")
    assert (found.protocol, found.generation) == (Protocol.FIREHOSE, None)
    assert (found.version, found.variant, found.build_date) == (None, None, None)


def test_streaming_download_and_others() -> None:
    assert read_programmer(filled(STREAMING, 0x1000)).protocol is Protocol.STREAMING
    assert read_programmer(b"anything").protocol is None
    assert read_programmer(b"\0configure\0anything\0").protocol is None


def test_version_of_an_embedded_image_is_not_the_programmers() -> None:
    lines = (
        "QC_IMAGE_VERSION_STRING=TZ.XF.5.1-00123",
        "QC_IMAGE_VERSION_STRING=BOOT.XF.3.2-00222",
        "IMAGE_VARIANT_STRING=SDM845LA",
    )
    found = read_programmer(programmer("C", "TZ.XF.5.0-1", extra=lines))
    assert (found.version, found.variant) == ("BOOT.XF.3.2-00222", "SDM845LA")
    other = read_programmer(programmer("C", "TZ.XF.5.0\x1b[31m"))
    assert (other.version, other.variant) == ("TZ.XF.5.0[31m", None)


def test_build_date() -> None:
    with_date = programmer("C", "BOOT.X", extra=("Mar  9 2021", "20:18:11"))
    assert read_programmer(with_date).build_date == (2021, 3, 9)
    assert read_programmer(programmer("C", "BOOT.X")).build_date is None
    assert read_programmer(programmer("A", "BOOT.X", extra=("Mar  9 2021",))).build_date is None


def test_many_hits_are_bounded() -> None:
    noise = b"getstorageinfo " * 5000
    found = read_programmer(noise + programmer("A", "BOOT.X"))
    assert "setbootablestoragedrive" in found.commands
    assert read_programmer(b"configure " * 5000).commands == frozenset()
