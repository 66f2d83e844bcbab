# SPDX-License-Identifier: BSD-3-Clause
"""Bytes of every packet, from the layouts and transcripts of public tools and bug reports."""

from __future__ import annotations

import pytest

from edl.errors import ProtocolError
from edl.sahara import packets
from edl.sahara.packets import Command, Mode, SaharaPacket
from edl.sahara.status import Status, words

ZEROS = " 00" * 24
COUNTED = bytes.fromhex("010000000200000003000000040000000500000006000000")

GOLDEN: tuple[tuple[str, SaharaPacket], ...] = (
    # HELLO and READ_DATA64: bkerler/edl#635, linux-msm/qdl PR#36
    (
        "01000000 30000000 02000000 01000000 00040000 00000000" + ZEROS,
        packets.Hello(2, 1, 0x400, Mode.IMAGE_PENDING),
    ),
    # a version 3 HELLO: bkerler/edl#813
    (
        "01000000 30000000 03000000 01000000 00040000 00000000" + ZEROS,
        packets.Hello(3, 1, 0x400, Mode.IMAGE_PENDING),
    ),
    # Qualcomm's tools number the reserved words: bkerler/edl#585
    (
        "02000000 30000000 02000000 01000000 00000000 03000000"
        " 01000000 02000000 03000000 04000000 05000000 06000000",
        packets.HelloResp(2, 1, 0, Mode.COMMAND, COUNTED),
    ),
    # bkerler/edl#67
    ("03000000140000000d0000000010000000100000", packets.ReadData(13, 0x1000, 0x1000)),
    # openpst/sahara#6: EXECUTE refused by an MSM8909
    ("04000000 10000000 0d000000 01000000", packets.EndOfImage(13, 1)),
    ("05000000 08000000", packets.Done()),
    ("06000000 0c000000 01000000", packets.DoneResp(1)),
    # openpst/sahara#7
    ("07000000 08000000", packets.Reset()),
    ("08000000 08000000", packets.ResetResp()),
    # qcom-memory-dump-collector, Sahara.h
    ("09000000 10000000 00006008 68000000", packets.MemDebug(0x08600000, 0x68)),
    ("0a000000 10000000 00006008 68000000", packets.MemRead(0x08600000, 0x68)),
    # bkerler/edl#585
    ("0b00000008000000", packets.CmdReady()),
    ("0c000000 0c000000 00000000", packets.SwitchMode(Mode.IMAGE_PENDING)),
    ("0d000000 0c000000 02000000", packets.Execute(2)),
    # bkerler/edl#732
    ("0e000000100000000200000018000000", packets.ExecuteResp(2, 0x18)),
    ("0f0000000c00000002000000", packets.ExecuteData(2)),
    (
        "10000000 18000000 0000681400000000 8000000000000000",
        packets.MemDebug64(0x14680000, 0x80),
    ),
    (
        "11000000 18000000 0000681400000000 0000040000000000",
        packets.MemRead64(0x14680000, 0x40000),
    ),
    (
        "12000000 20000000 0d00000000000000 4000000000000000 8003000000000000",
        packets.ReadData64(13, 0x40, 0x380),
    ),
    ("13000000 08000000", packets.ResetStateMachine()),
)


@pytest.mark.parametrize(("text", "packet"), GOLDEN)
def test_packets_have_the_bytes_of_the_captures(text: str, packet: SaharaPacket) -> None:
    data = bytes.fromhex(text)
    assert packet.to_bytes() == data
    assert packets.parse(data) == packet
    assert packets.parse(memoryview(data)) == packet


def test_every_command_has_a_packet() -> None:
    assert {packet.COMMAND for _, packet in GOLDEN} == set(Command)


@pytest.mark.parametrize("body_bytes", [12, 16, 39])
def test_a_short_hello_of_version_1_lacks_its_mode(body_bytes: int) -> None:
    body = bytes.fromhex("01000000 01000000 00040000") + bytes(body_bytes - 12)
    data = bytes.fromhex("01000000") + (8 + body_bytes).to_bytes(4, "little") + body
    assert packets.parse(data) == packets.Hello(1, 1, 0x400, Mode.IMAGE_PENDING)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "A Sahara packet has at least 8 bytes, 0 arrived."),
        ("01000000 300000", "A Sahara packet has at least 8 bytes, 7 arrived."),
        ("05000000 09000000", "Sahara packet 0x5 says 9 bytes, 8 arrived."),
        ("14000000 08000000", "Sahara command 0x14 is not known."),  # named in qdl, layout unknown
        ("3c3f786d 08000000", "Sahara command 0x6d783f3c is not known."),
        ("04000000 0c000000 0d000000", "EndOfImage takes 8 bytes, 4 arrived."),
        ("05000000 0c000000 00000000", "Done takes 0 bytes, 4 arrived."),
        # one word less than the shortest HELLO
        ("01000000 10000000 01000000 01000000", "Hello takes 40 bytes, 8 arrived."),
        ("01000000 34000000" + " 00" * 44, "Hello takes 40 bytes, 44 arrived."),
    ],
)
def test_what_is_no_packet_is_a_protocol_error(text: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        packets.parse(bytes.fromhex(text))
    assert caught.value.message == message


def test_unknown_modes_are_kept() -> None:
    data = bytes.fromhex("01000000 30000000 02000000 01000000 00040000 10000000" + ZEROS)
    hello = packets.parse(data)
    assert isinstance(hello, packets.Hello)
    assert (hello.mode, hello.mode.known) == (0x10, False)  # Quectel's "multi image update"
    assert hello.to_bytes() == data


# --- status codes: emmcdl inc/sahara.h and libopenpst sahara.h


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x00, "SUCCESS"),
        (0x01, "INVALID_CMD"),
        (0x08, "INVALID_DATA_SIZE"),
        (0x0D, "READ_DATA_ERROR"),
        (0x12, "INVALID_DEST_ADDR"),
        (0x1B, "MEMORY_DEBUG_NOT_SUPPORTED"),
        (0x1F, "EXEC_CMD_UNSUPPORTED"),
        (0x21, "HASH_TABLE_AUTH_FAILURE"),
        (0x26, "INVALID_IMG_HASH_TABLE_SIZE"),
        (0x28, "HW_BULK_TRANSFER_ERROR"),
    ],
)
def test_status_codes_have_the_numbers_of_public_headers(number: int, name: str) -> None:
    assert Status(number).name == name


def test_status_codes_have_no_gap() -> None:
    assert [int(status) for status in Status] == list(range(0x29))


def test_every_status_is_explained_with_its_number_and_name() -> None:
    texts = [words(status) for status in Status]
    assert len(set(texts)) == len(texts)
    assert not any("not documented" in text for text in texts)
    assert words(Status.HASH_VERIFICATION_FAILURE).endswith(
        "(status 0x22 HASH_VERIFICATION_FAILURE)"
    )


def test_an_undocumented_status_is_shown_all_the_same() -> None:
    assert words(Status(0x99)) == "a status that is not documented (status 0x99 UNKNOWN_0x99)"
