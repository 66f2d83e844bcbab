# SPDX-License-Identifier: BSD-3-Clause
"""The protocols before Firehose: hosts, sessions, and the virtual phones that play them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from edl.device.dmss import DmssRom
from edl.device.streaming import Programmer
from edl.errors import (
    DeviceRefusedError,
    DocumentError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.firehose.commands import Area
from edl.formats.intelhex import Program
from edl.formats.ramprogram import read_ram_program
from edl.streaming.dmss import DmssHost
from edl.streaming.hdlc import MAX_FRAME_BYTES, encode
from edl.streaming.host import StreamingHost
from edl.streaming.packets import Security
from edl.virtual.dmss import dmss_rom
from edl.virtual.link import Exit, Firmware, Receive, Send
from edl.virtual.programmer.board import Board
from edl.virtual.storage import emmc
from edl.virtual.streaming import Manners, streaming_programmer
from loaders.make_dummies import good_ones
from tests.fuzz.target import Target, look_at, require, require_printable
from tests.phones import Script

_MAGIC = b"QCOM fast download protocol "
_HELLO = struct.pack("<B32sBBIIBHHIB", 2, _MAGIC + b"targ", 3, 2, 1024, 0, 0, 8, 1, 512, 0x19)
_ANSWERS = (
    _HELLO,
    b"\x18",
    b"\x16",
    b"\x1c\0",
    b"\x04\1\0\0\0" + b"EFI PART".ljust(512, b"\0"),
    b"\x08\0\0\0\0",
    b"\x0aping",
    b"\x0ea log\0",
    b"\x0d\7\0\0\0failed\0",
    b"\x0c",
)
_SESSION = (
    *_ANSWERS[:4],
    _ANSWERS[4],
    b"\x04" + bytes(4 + 1024),
    b"\x08\1\0\0\0",
    *_ANSWERS[2:5],
)
_REQUESTS = (
    b"\x01" + _MAGIC + b"host\3\2\x19",
    b"\x17\0",
    b"\x1b\x21",
    b"\x03\0\0\0\0\0\2",
    b"\x07\1\0\0\0" + bytes(512),
    b"\x15",
    b"\x09x",
    b"\x11",
)


def _sealed(data: bytes) -> bytes:
    """Return data with right checksums: each frame between two flags gets one."""
    payloads = [part for part in data.split(b"\x7e") if part]
    return b"".join(encode(payload[:-2] or payload) for payload in payloads)


def _in_pieces(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    random = Random(len(data))
    places = sorted(random.randrange(len(data) + 1) for _ in range(7))
    yield [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]


def _events(host: Any, pieces: list[bytes], go_on: Callable[[], object]) -> list[Any]:  # noqa: ANN401
    found = []
    go_on()
    for piece in pieces:
        host.receive(piece)
        while (event := host.next_event()) is not None:
            found.append(event)
            go_on()
    require(len(host._frames._bytes) <= MAX_FRAME_BYTES, "a buffer without end")
    return found


def _asking(host: StreamingHost) -> Callable[[], object]:
    """Return what makes host ask, something else each time."""
    requests: list[Callable[[], bytes]] = [
        host.hello,
        host.close,
        lambda: host.read(1, 512),
        host.nop,
        lambda: host.security_mode(Security.TRUSTED),
    ]
    turns = itertools.cycle(requests)

    def ask() -> bytes:
        return next(turns)()

    return ask


def _streaming_host(data: bytes) -> None:
    results = []
    for pieces in _in_pieces(data):
        host = StreamingHost()
        results.append(_events(host, pieces, _asking(host)))
    require(
        all(each == results[0] for each in results), "events that depend on where bytes are cut"
    )
    for event in results[0]:
        require_printable(str(getattr(event, "text", "")))
    look_at(results[0])


def _dmss_host(data: bytes) -> None:
    results = []
    for pieces in _in_pieces(data):
        host = DmssHost()
        results.append(_events(host, pieces, host.nop))
    require(
        all(each == results[0] for each in results), "events that depend on where bytes are cut"
    )


class _Endless(Script):
    """Says its lines, one a write; a session must end whatever they are."""

    def __init__(self, *lines: bytes) -> None:
        super().__init__()
        self._later = list(lines)

    def write(self, data: Any, timeout_s: float, *, zlp: bool = False) -> None:  # noqa: ANN401
        super().write(data, timeout_s, zlp=zlp)
        require(self.taken < 2000, "frames without end")
        if self._later:
            self.say(self._later.pop(0))


def _session(data: bytes) -> None:
    lines = [part + b"\x7e" for part in data.split(b"\x7e") if part]
    logs: list[str] = []
    programmer = Programmer(_Endless(*lines), lambda event: logs.append(getattr(event, "text", "")))
    programmer.start()
    for text in logs:
        require_printable(text)
    look_at(programmer.storage_info(0))
    area, found = Area(0, 1, 1, 512), bytearray()
    programmer.program(area, [memoryview(bytes(512))])
    programmer.read(area, found.extend)
    require(len(found) == 512, "other bytes than were asked for")


def _dmss_session(data: bytes) -> None:
    lines = [part + b"\x7e" for part in data.split(b"\x7e") if part]
    DmssRom(_Endless(*lines)).upload(Program(((0, bytes(600)),), 0))


def _plays(software: Firmware, data: bytes) -> None:
    """Send data to software, in packets, and take what it says."""
    packets = iter([data[at : at + 512] for at in range(0, len(data), 512)])
    request = next(software)
    for _ in range(20_000 + 4 * len(data)):  # each byte can be a packet, and each has its answers
        match request:
            case Receive():
                packet = next(packets, None)
                if packet is None:
                    return
                request = software.send(packet)
            case Send(said):
                look_at(bytes(said))
                request = software.send(None)
            case Exit():
                return
    require(False, "it talks without end")


def _virtual(data: bytes) -> None:
    _plays(streaming_programmer(Board(emmc(4096)), Manners(chatty=True, split=True)), data)
    _plays(dmss_rom(), data)


def _frames(*payloads: bytes) -> bytes:
    return b"".join(map(encode, payloads))


_HEX = b":020000042A00D0\n:03000000010203F7\n:040000052A000000CD\n:00000001FF\n"

TARGETS = (
    Target(
        "streaming",
        ("edl.streaming.hdlc", "edl.streaming.packets", "edl.streaming.host"),
        _streaming_host,
        lambda: [_frames(*_ANSWERS), _frames(*_ANSWERS[::-1])],
        (),
        words=tuple(map(encode, _ANSWERS)),
        sealed=_sealed,
    ),
    Target(
        "dmss",
        ("edl.streaming.hdlc", "edl.streaming.dmss"),
        _dmss_host,
        lambda: [_frames(b"\x02", b"\x03\0\1", struct.pack(">BBBHBBB", 8, 6, 1, 1017, 0, 0, 0))],
        (),
        sealed=_sealed,
    ),
    Target(
        "streaming-session",
        ("edl.device.streaming", "edl.device.streaming_talk", "edl.device.framed"),
        _session,
        lambda: [_frames(*_SESSION)],
        (ProtocolError, TransportTimeoutError, DeviceRefusedError),
        words=tuple(map(encode, _ANSWERS)),
        sealed=_sealed,
    ),
    Target(
        "dmss-session",
        ("edl.device.dmss",),
        _dmss_session,
        lambda: [_frames(*[b"\x02"] * 6), _frames(b"\x03\0\6", *[b"\x02"] * 6)],
        (ProtocolError, TransportTimeoutError, DeviceRefusedError),
        sealed=_sealed,
    ),
    Target(
        "virtual-streaming",
        ("edl.virtual.streaming", "edl.virtual.dmss", "edl.virtual.frames"),
        _virtual,
        lambda: [
            _frames(*_REQUESTS),
            _frames(b"\x06", b"\x07", b"\x0f\x2a\0\0\0\0\1x", b"\5\x2a\0\0\0"),
        ],
        (),
        words=tuple(map(encode, _REQUESTS)),
        sealed=_sealed,
    ),
    Target(
        "ram-program",
        ("edl.formats.intelhex", "edl.formats.ramprogram"),
        lambda data: look_at(read_ram_program(data)),
        lambda: [
            _HEX,
            good_ones()["sbl80_unsigned.mbn"],
            struct.pack("<10I", 0x0D, 3, 0, 0x2A000000, 4, 4, 0, 0, 0, 0) + b"code",
        ],
        (DocumentError,),
        words=(b":", b"\n", b"0000", b"FF"),
    ),
)
