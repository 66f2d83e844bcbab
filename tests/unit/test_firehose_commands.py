# SPDX-License-Identifier: BSD-3-Clause
"""Commands, byte for byte: the form that four real programmers were seen to accept."""

from __future__ import annotations

import pytest

from edl.firehose import commands
from edl.firehose.commands import Area, Power
from tests.conftest import shared

AREA = Area(lun=1, start_sector=8, sectors=6, sector_bytes=4096)
PLACE = (
    'SECTOR_SIZE_IN_BYTES="4096" num_partition_sectors="6" physical_partition_number="1"'
    ' start_sector="8"'
)

GOLDEN = (
    # these forms were executed (real-programmer notes §4, §13); configure as fh_loader sends it
    (
        commands.configure("emmc", 16384, zlp=True),
        'configure MemoryName="emmc" Verbose="0" AlwaysValidate="0"'
        ' MaxDigestTableSizeInBytes="8192" MaxPayloadSizeToTargetInBytes="16384"'
        ' ZlpAwareHost="1" SkipStorageInit="0" TargetName="8960"',
    ),
    (
        commands.configure("ufs", 1048576, zlp=False, skip_storage=True),
        'configure MemoryName="ufs" Verbose="0" AlwaysValidate="0"'
        ' MaxDigestTableSizeInBytes="8192" MaxPayloadSizeToTargetInBytes="1048576"'
        ' ZlpAwareHost="0" SkipStorageInit="1" TargetName="8960"',
    ),
    (commands.nop(), 'nop value="ping"'),
    (commands.get_storage_info(0), 'getstorageinfo physical_partition_number="0"'),
    (commands.read(AREA), "read " + PLACE),
    (commands.program(AREA), "program " + PLACE),
    (commands.program(AREA, "recovery"), f'program {PLACE} label="recovery"'),
    (commands.erase(AREA), "erase " + PLACE),
    (commands.firmware_write(AREA), "firmwarewrite " + PLACE),
    (commands.fix_gpt(0, grow=False), 'fixgpt lun="0" grow_last_partition="0"'),
    (commands.peek(0x14015000, 16, 1), 'peek address64="335630336" SizeInBytes="16"'),
    (commands.peek(0x14015000, 16, 2), 'peek address64="335630336" size_in_bytes="16"'),
    (
        commands.ufs({"LUNtoGrow": "0", "commit": 1}),
        'ufs LUNtoGrow="0" commit="1"',
    ),
    (commands.sha256(AREA), "getsha256digest " + PLACE),
    (
        commands.patch(0, 1, 512, 16, 4, "CRC32(1,92)"),
        'patch SECTOR_SIZE_IN_BYTES="512" byte_offset="16" filename="DISK"'
        ' physical_partition_number="0" size_in_bytes="4" start_sector="1" value="CRC32(1,92)"',
    ),
    (commands.set_bootable(1), 'setbootablestoragedrive value="1"'),
    (commands.power(Power.RESET), 'power value="reset" DelayInSeconds="1"'),
    (commands.power(Power.EDL, 2), 'power value="reset_to_edl" DelayInSeconds="2"'),
    (commands.power(Power.OFF), 'power value="off" DelayInSeconds="1"'),
)


@pytest.mark.parametrize(("data", "command"), GOLDEN)
def test_commands(data: bytes, command: str) -> None:
    expected = f'<?xml version="1.0" encoding="UTF-8" ?><data><{command} /></data>'
    assert data == expected.encode()


@pytest.mark.parametrize("name", ["msm8916-plain", "sdm660-plain", "qcm2290-plain"])
def test_configure_is_what_real_programmers_accepted(name: str) -> None:
    recorded = shared(f"dialogues/{name}.txt").read_bytes()
    command = commands.configure("emmc", 16384, zlp=True)
    inside = command.partition(b"<data>")[2].removesuffix(b"</data>")
    assert b">> " + inside + b"\n" in recorded


def test_size_of_an_area() -> None:
    assert AREA.size_bytes == 24576


def as_long_as(length: int) -> bytes:
    """Return a document that would be length bytes long, if it may."""
    missing = length - len(commands.document("nop", {"value": ""}))
    count, rest = divmod(missing, len('x00="" ') + 53)
    fillers: dict[str, str | int] = {f"x{number:02}": "y" * 53 for number in range(count)}
    return commands.document("nop", fillers | {"value": "z" * rest})


@pytest.mark.parametrize("length", [511, 513, 1023, 2500, 4094, 4095])
def test_documents_may_have_any_other_length(length: int) -> None:
    assert len(as_long_as(length)) == length


@pytest.mark.parametrize("length", [512, 1024, 1536, 2048, 3584])
def test_a_document_never_fills_its_last_packet(length: int) -> None:
    """Executed on all four: such a document is taken for the beginning of a longer one."""
    document = as_long_as(length)
    assert len(document) == length + 1
    assert document.endswith(b"</data>\n")


@pytest.mark.parametrize("length", [4096, 4097, 6000])
def test_a_document_fits_in_the_programmers_buffer(length: int) -> None:
    with pytest.raises(ValueError, match="bytes long; programmers take less than 4096"):
        as_long_as(length)


@pytest.mark.parametrize(
    "value",
    ['"', "<", ">", "&", "'", "\n", "\t", "\0", "\x7f", "\u00e4", "\u2028", "\uffff", "\U0001f600"],
)
def test_a_value_that_some_programmer_does_not_take_is_not_sent(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent to a programmer"):
        commands.document("nop", {"value": f"a{value}"})


def test_a_value_has_a_limit() -> None:
    assert b'"' + b"x" * 80 + b'"' in commands.document("nop", {"value": "x" * 80})
    with pytest.raises(ValueError, match="cannot be sent to a programmer"):
        commands.document("nop", {"value": "x" * 81})


def test_a_command_has_an_attribute() -> None:
    """A fresh generation 2 programmer refuses <nop />: it looks for a '=' and finds none."""
    with pytest.raises(ValueError, match="<nop> has no attribute"):
        commands.document("nop", {})


@pytest.mark.parametrize(
    "label", ["", "x" * 65, 'a"b', "a&b", "\u00fcser", "\U0001f600", "new\nline"]
)
def test_a_label_that_cannot_be_sent_is_left_out(label: str) -> None:
    """Only NAND programmers look at it, and partition tables may hold anything."""
    assert commands.program(AREA, label) == commands.program(AREA)


def test_a_label_may_be_as_long_as_a_file_name() -> None:
    assert f'label="{"x" * 64}"'.encode() in commands.program(AREA, "x" * 64)
