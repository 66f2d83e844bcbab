# SPDX-License-Identifier: BSD-3-Clause
"""Frames, Streaming Download and DMSS Download without I/O.

Golden bytes: forth32/qtools and bkerler/edl (the first two), the rest computed for the handbook
with another CRC (sahara.md 12.1 and T10).
"""

from __future__ import annotations

import struct

import pytest

from edl.streaming import dmss, hdlc, packets
from edl.streaming.dmss import DmssHost, Parameters, Reason, Rejected
from edl.streaming.hdlc import MAX_FRAME_BYTES, Frame, Unframer, crc16, encode
from edl.streaming.host import (
    Damaged,
    Data,
    Done,
    Event,
    Hello,
    LogLine,
    Refused,
    StreamingHost,
    status_text,
)
from edl.streaming.packets import Command, ErrorCode, Opened, Security
from edl.virtual.frames import Receiver, checksum, wrap

VECTORS = (
    ("1100 1200a0e3 0000c1e5 0140a0e3 1eff2fe1", "4bd97e"),
    ("4b650100", "540f7e"),
    ("0b", "ab4e7e"),
    ("15", "54b77e"),
    ("1701", "57c67e"),
    ("06", "4e957e"),
    ("07", "c7847e"),
    ("0a", "225f7e"),
    ("3a", "a16e7e"),
    ("02", "6ad37e"),
    ("03 00000000 0002", "0c077e"),
    ("1b0e 303a4d4942494200", "1dc27e"),
    ("0541700000", "f7637e"),
)


@pytest.mark.parametrize(("payload", "end"), VECTORS)
def test_frames_are_those_of_other_tools(payload: str, end: str) -> None:
    data = bytes.fromhex(payload)
    frame = data + bytes.fromhex(end)
    assert encode(data) == b"\x7e" + frame
    assert wrap(data) == frame
    assert opened(frame) == [Frame(data, True, frame[:-1])]


def test_the_checksum_has_its_check_value() -> None:
    assert crc16(b"123456789") == checksum(b"123456789") == 0x906E


def test_flags_and_escapes_are_escaped_behind_the_checksum() -> None:
    payload = bytes.fromhex("0f41700000 0004 0102037e")
    frame = bytes.fromhex("7e 0f41700000 0004 010203 7d5e 88b4 7e")
    assert encode(payload) == frame
    assert opened(frame)[0].payload == payload
    assert encode(b"\x7d") == b"\x7e\x7d\x5d" + crc16(b"\x7d").to_bytes(2, "little") + b"\x7e"
    assert list(Receiver().take(frame)) == [payload]


def opened(data: bytes) -> list[Frame]:
    frames = Unframer()
    frames.receive(data)
    found = []
    while (frame := frames.next_frame()) is not None:
        found.append(frame)
    return found


def test_frames_come_in_any_pieces() -> None:
    data = encode(b"one") + b"\x7e\x7e" + encode(b"t\x7dw\x7eo") + b"half"
    frames = Unframer()
    found = []
    for byte in data:
        frames.receive(bytes((byte,)))
        while (frame := frames.next_frame()) is not None:
            found.append(frame.payload)
    assert found == [b"one", b"t\x7dw\x7eo"]
    assert frames.leftover() == b"half"
    assert frames.next_frame() is None


@pytest.mark.parametrize(
    "damaged",
    [b"\x06\x4e\x96\x7e", b"\x7d\x7e", b"\x06\x7d\x7d\x4e\x95\x7e", b"\x01\x7e", b"\x4e\x95\x7e"],
    ids=["crc", "an escape alone", "two escapes", "too short", "no payload"],
)
def test_damaged_frames_are_no_payload(damaged: bytes) -> None:
    (frame,) = opened(damaged)
    assert not frame.intact


def test_a_stream_without_flags_is_forgotten() -> None:
    frames = Unframer()
    for _ in range(5):
        frames.receive(bytes(MAX_FRAME_BYTES))
        assert frames.next_frame() is None
        assert len(frames._bytes) <= MAX_FRAME_BYTES
    frames.receive(b"\x7e" + encode(b"good"))
    assert [frame.intact for frame in iter(frames.next_frame, None)] == [False, True]
    long = encode(bytes(MAX_FRAME_BYTES))
    assert [frame.intact for frame in opened(long)] == [False]


# -- Streaming Download ---------------------------------------------------------------------------

MAGIC = b"QCOM fast download protocol targ"


def hello_payload(
    features: int = 0x19, sizes: tuple[int, ...] = (512,), name: bytes = b"X"
) -> bytes:
    return (
        struct.pack("<B32sBBIIB", 2, MAGIC, 3, 2, 1024, 0, len(name))
        + name
        + struct.pack(f"<HH{len(sizes)}IB", 8, len(sizes), *sizes, features)
    )


def events(host: StreamingHost, *payloads: bytes) -> list[Event]:
    for payload in payloads:
        host.receive(wrap(payload))
    return list(iter(host.next_event, None))


def test_hello_is_what_other_tools_send() -> None:
    text = b"\x01QCOM fast download protocol host"
    assert StreamingHost().hello(2) == encode(text + b"\x02\x02\x09")
    assert StreamingHost().hello() == encode(text + b"\x03\x02\x19")


def test_hello_tells_the_flash() -> None:
    host = StreamingHost()
    host.hello()
    (hello,) = events(host, hello_payload(sizes=(1, 2), name=b"a\x1bb\0"))
    assert hello == Hello(3, 2, 1024, 0, "a?b", 8, (1, 2), 0x19)
    assert isinstance(hello, Hello)
    assert hello.counts_sectors


@pytest.mark.parametrize(
    "payload",
    [
        hello_payload()[:20],
        hello_payload()[:-1],
        hello_payload() + b"\0",
        hello_payload().replace(b"QCOM", b"qcom"),
        hello_payload()[:45],
    ],
)
def test_a_hello_that_is_none_is_damaged(payload: bytes) -> None:
    host = StreamingHost()
    host.hello()
    (event,) = events(host, payload)
    assert isinstance(event, Damaged)


def test_a_loader_without_checksums_is_understood_from_its_greeting_on() -> None:
    host = StreamingHost()
    host.hello()
    host.receive(wrap(hello_payload(), crc=False))
    hello = host.next_event()
    assert isinstance(hello, Hello)
    assert not hello.checks
    host.close()
    host.receive(wrap(b"\x16", crc=False))
    assert host.next_event() == Done(Command.CLOSE_RESP)
    host.receive(b"\x7d\x7e")  # an escape and nothing
    assert host.next_event() == Damaged("it is empty")


def test_damaged_greetings_and_answers() -> None:
    host = StreamingHost()
    host.hello()
    host.receive(wrap(b"\x02nonsense", crc=False))
    assert host.next_event() == Damaged("its checksum is wrong")
    host.close()
    host.receive(b"\x16\0\0\x7e")
    assert host.next_event() == Damaged("its checksum is wrong")


@pytest.mark.parametrize(
    ("request_", "frame", "answer", "event"),
    [
        (lambda h: h.nop(b"id"), b"\x09id", b"\x0aid", Done(Command.NOP_RESP)),
        (lambda h: h.security_mode(Security.UNTRUSTED), b"\x17\0", b"\x18", Done(Command(0x18))),
        (lambda h: h.open(Opened.EMMC_USER), b"\x1b\x21", b"\x1c\0", Done(Command(0x1C))),
        (
            lambda h: h.open(Opened.PARTITION, "0:A"),
            b"\x1b\x0e0:A\0",
            b"\x1c\3",
            Done(Command(28), 3),
        ),
        (lambda h: h.close(), b"\x15", b"\x16", Done(Command.CLOSE_RESP)),
        (
            lambda h: h.partition_table(b"table", override=True),
            b"\x19\x01table",
            b"\x1a\1",
            Done(Command(26), 1),
        ),
        (
            lambda h: h.read(0x1234, 2),
            b"\x03\x34\x12\0\0\2\0",
            b"\4\x34\x12\0\0ab",
            Data(0x1234, b"ab"),
        ),
        (lambda h: h.write(7, b"xy"), b"\7\7\0\0\0xy", b"\x08\7\0\0\0", Done(Command(8))),
        (lambda h: h.reset(), b"\x0b", b"\x0c", Done(Command.RESET_RESP)),
        (lambda h: h.power_off(), b"\x11", b"\x12", Done(Command.POWER_OFF_RESP)),
    ],
)
def test_each_request_and_its_answer(
    request_: object, frame: bytes, answer: bytes, event: Event
) -> None:
    host = StreamingHost()
    assert request_(host) == encode(frame)  # type: ignore[operator]
    assert events(host, answer) == [event]
    assert events(host, answer) == []  # once more: of an earlier request


def test_what_answers_something_else_is_passed_over() -> None:
    host = StreamingHost()
    host.read(8, 2)
    assert events(host, b"\4\7\0\0\0ab", b"\x0a", b"\x16", b"\4\x08\0\0\0ok") == [Data(8, b"ok")]
    host.nop(b"new")
    assert events(host, b"\x0aold", b"\x0anew") == [Done(Command.NOP_RESP)]


@pytest.mark.parametrize("payload", [b"\4\x08\0\0\0abc", b"\4\x08", b"\x0d\1"])
def test_answers_of_a_wrong_length_are_damaged(payload: bytes) -> None:
    host = StreamingHost()
    host.read(8, 2)
    (event,) = events(host, payload)
    assert isinstance(event, Damaged)


def test_errors_and_logs_come_at_any_time() -> None:
    host = StreamingHost()
    host.close()
    error = struct.pack("<BI", 0x0D, 0x0A) + b"verify\x1b failed\0"
    assert events(host, b"\x0ehello\0", error) == [
        LogLine("hello"),
        Refused(ErrorCode.WRITE_VERIFY_FAILED, "verify? failed"),
    ]
    (refused,) = events(host, struct.pack("<BI", 0x0D, 0x99))
    assert isinstance(refused, Refused)
    assert refused.code.name == "UNKNOWN_0x99"


def test_what_cannot_be_sent() -> None:
    host = StreamingHost()
    for name in ("", "a\0b", "x" * 512):
        with pytest.raises(ValueError, match="no name of a partition"):
            host.open(Opened.PARTITION, name)
    with pytest.raises(ValueError, match="513 bytes"):
        host.partition_table(bytes(513), override=False)
    with pytest.raises(UnicodeEncodeError):
        host.open(Opened.PARTITION, "ä")


def test_statuses_have_words() -> None:
    assert status_text(Command.OPEN_MULTI_RESP, 4) == "block 0 protected"
    assert status_text(Command.PARTITION_TABLE_RESP, 2) == "unknown format"
    assert status_text(Command.OPEN_MULTI_RESP, 0) == ""


def test_no_packet_of_ours_erases_all_or_burns_fuses() -> None:
    assert not {0x1D, 0x32, 0x33, 0x34, 0x35} & {int(command) for command in Command}
    assert not {0x04, 0x09, 0x0B} & {int(command) for command in dmss.Command}


# -- DMSS Download --------------------------------------------------------------------------------


def test_dmss_requests_are_big_endian() -> None:
    host = DmssHost()
    assert host.nop() == bytes.fromhex("7e 06 4e95 7e")
    assert host.parameters() == bytes.fromhex("7e 07 c784 7e")
    assert host.reset() == bytes.fromhex("7e 0a 225f 7e")
    assert host.go(0x41700000) == bytes.fromhex("7e 0541700000 f763 7e")
    wanted = "7e 0f 41700000 0004 010203 7d5e 88b4 7e"
    assert host.write(0x41700000, b"\1\2\3\x7e") == bytes.fromhex(wanted)


def test_dmss_answers() -> None:
    host = DmssHost()
    told = struct.pack(">BBBHBBB", 8, 6, 1, 1017, 0x90, 0, 0)
    for payload in (b"\x02", b"\x03\0\x0b", told, b"\x02more", b"\x0d", b"\x03\0", b"\x08\1"):
        host.receive(wrap(payload))
    host.receive(b"\x02\x6a\xd4\x7erest")
    found = list(iter(host.next_event, None))
    assert found[:3] == [
        dmss.Answered(),
        Rejected(Reason.UNLOCK_REQUIRED),
        Parameters(6, 1, 1017, 0x90),
    ]
    assert all(isinstance(event, dmss.Damaged) for event in found[3:])
    assert found[-1] == dmss.Damaged("its checksum is wrong")
    assert len(found) == 8
    assert host.leftover() == b"rest"


@pytest.mark.parametrize(
    ("payload", "answers"),
    [(b"\x02", True), (b"\x03\0\6", True), (b"\x0d\6\0\0\0", False), (b"\x02" * 40, False)],
)
def test_who_answers_a_nop(payload: bytes, answers: bool) -> None:
    assert dmss.is_answer(payload) is answers


def test_layouts_are_as_long_as_elsewhere() -> None:
    assert packets.HelloRequest.size() == 36
    assert packets.HelloHead.size() == 44
    assert packets.ReadRequest.size() == 7
    assert hdlc.FLAG == 0x7E
