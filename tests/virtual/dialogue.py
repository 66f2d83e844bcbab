# SPDX-License-Identifier: BSD-3-Clause
"""A host of a few lines that talks to a programmer packet by packet, and reads dialogues."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from edl.virtual.link import Exit, Firmware, Receive, Request, Send, Sleep
from edl.virtual.programmer import Board, programmer
from edl.virtual.storage import Operation, emmc

PROLOG = '<?xml version="1.0" encoding="UTF-8" ?>'
CONFIGURE = (
    '<configure MemoryName="emmc" Verbose="0" AlwaysValidate="0" '
    'MaxDigestTableSizeInBytes="8192" MaxPayloadSizeToTargetInBytes="16384" ZlpAwareHost="1" '
    'SkipStorageInit="0" TargetName="8960" />'
)

KINDS = ("msm8916", "msm8953", "sdm660", "qcm2290")
GENERATION = {"msm8916": 1, "msm8953": 1, "sdm660": 2, "qcm2290": 3}

# Responses in the form of `short`; those of generation 3 say rawmode.
ACK, NAK = 'R[value="ACK"]', 'R[value="NAK"]'
ACK3, NAK3 = 'R[value="ACK" rawmode="false"]', 'R[value="NAK" rawmode="false"]'
ACK_RAW = 'R[value="ACK" rawmode="true"]'


@dataclass(frozen=True)
class Transfer:
    """One transfer from the device: its data, and whether a zero-length packet ends it."""

    data: bytes
    zlp: bool = False


@dataclass
class Talk:
    """A programmer and what it has said.

    Attributes:
        transfers: all transfers from the device since the last request.
        left: reason of its Exit, None while it runs.
        waits_for: bytes of the open OUT request.
        slept_s: how long it has slept.
    """

    board: Board
    software: Firmware
    transfers: list[Transfer] = field(default_factory=list)
    left: str | None = None
    waits_for: int = 0
    slept_s: float = 0
    _packets: deque[bytes] = field(default_factory=deque)
    _got: bytearray = field(default_factory=bytearray)
    _request: Request | None = None

    @classmethod
    def start(cls, kind: str, board: Board, *, greet: bool = True) -> Talk:
        """Start a programmer of a kind; what it says unasked is in `transfers`."""
        talk = cls(board, programmer(kind, board, greet=greet))
        talk._resume(None)
        talk._pump()
        return talk

    def send(self, data: bytes, *, zlp: bool = False, limit: int = 100_000) -> list[Transfer]:
        """Send one transfer, and return what came back until the device waits again.

        limit: end after that many transfers, for devices that never stop.
        """
        size = self.board.packet_bytes
        self._packets.extend(data[at : at + size] for at in range(0, len(data), size))
        if zlp:
            self._packets.append(b"")
        self.transfers = []
        self._pump(limit)
        return self.transfers

    def xml(self, body: str, **options: bool) -> list[Transfer]:
        """Send a command or what else stands in <data>, in the safe form."""
        return self.send(f"{PROLOG}<data>{body}</data>".encode("latin-1"), **options)

    def raw(self, data: bytes, payload_bytes: int = 16384) -> list[Transfer]:
        """Send raw data, each payload ended by a zero-length packet; return all answers."""
        answers = []
        for at in range(0, len(data), payload_bytes):
            answers += self.send(data[at : at + payload_bytes], zlp=True)
        return answers

    def texts(self, body: str) -> list[str]:
        """Send a command and return the answers in short."""
        return short(self.xml(body))

    def _pump(self, limit: int = 100_000) -> None:
        while self.left is None and len(self.transfers) < limit:
            match self._request:
                case Receive(max_bytes=size):
                    if not self._take(size):
                        return
                case _:
                    self._resume(None)
        self.waits_for = 0

    def _take(self, size: int) -> bool:
        """Give the open request what has arrived; return whether that completes it."""
        self.waits_for = size
        while self._packets:
            packet = self._packets.popleft()
            self._got += packet
            if len(self._got) >= size or len(packet) < self.board.packet_bytes:
                data, self._got = bytes(self._got[:size]), bytearray()
                self._resume(data)
                return True
        return False

    def _resume(self, answer: bytes | None) -> None:
        """Let the software run up to its next Receive or transfer."""
        try:
            self._request = self.software.send(answer)
        except StopIteration:
            self.left = self.left or "ended"
            return
        match self._request:
            case Send(data=data, zlp=zlp):
                fills = len(data) % self.board.packet_bytes == 0
                self.transfers.append(Transfer(bytes(data), zlp and fills))
            case Sleep(seconds=seconds):
                self.slept_s += seconds
            case Exit(reason=reason):
                self.left = reason


_DOCUMENT = re.compile(rb'<(log|response) value="(.*)" ?/>\s*</data>\s*\Z', re.DOTALL)
_CALLING = "INFO: Calling handler for "


def short(transfers: list[Transfer]) -> list[str]:
    """Return transfers as the files of cases write them: L[text], R[attributes], rawN.

    The files leave out the log with which generation 3 begins every command.
    """
    return [text for text in map(_short, transfers) if not text.startswith(f"L[{_CALLING}")]


def _short(transfer: Transfer) -> str:
    match = _DOCUMENT.search(transfer.data)
    if match is None or not transfer.data.startswith(b"<?xml"):
        # Like the recorder, take up to 512 stale bytes that begin with a response for one.
        inner = re.search(rb"<response (.*?) />", transfer.data)
        if transfer.data.startswith(b"<?xml") and len(transfer.data) <= 512 and inner:
            return f"R[{inner[1].decode('latin-1')}]"
        return f"raw{len(transfer.data)}"
    text = match[2].decode("latin-1")
    return f"L[{text}]" if match[1] == b"log" else f'R[value="{text}"]'


def operations(board: Board) -> list[Operation]:
    """Return and forget what the storage was asked for."""
    done = [*board.storage.operations]
    board.storage.operations.clear()
    return done


def events(board: Board) -> list[tuple[str | int, ...]]:
    """Return and forget what else happened to the storage."""
    done = [*board.storage.events]
    board.storage.events.clear()
    return done


def doc(body: str) -> str:
    """Return a packet in the safe form."""
    return f"{PROLOG}<data>{body}</data>"


def talk_to(kind: str, board: Board | None = None, *, configured: bool = True) -> Talk:
    """Start a programmer, by default on an eMMC of 65536 sectors, and configure it."""
    talk = Talk.start(kind, board or Board(emmc(record=True)))
    if configured:
        memory = "emmc" if talk.board.storage.kind == "emmc" else "ufs"
        talk.xml(CONFIGURE.replace("emmc", memory))
    return talk
