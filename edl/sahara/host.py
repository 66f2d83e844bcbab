# SPDX-License-Identifier: BSD-3-Clause
"""The host's side of Sahara, without I/O: bytes in, events out, and packets to send.

    host.receive(data)                    # whatever arrived, in any pieces
    while (event := host.next_event()):   # what it means
        ...
    transport.write(host.hello(Mode.IMAGE_PENDING))

The host obeys what arrives and never scripts the replies it hopes for: boot ROMs differ in what
they refuse. What the protocol cannot mean in the present phase is a ProtocolError.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from edl.errors import ProtocolError
from edl.sahara import packets
from edl.sahara.packets import Command, Mode
from edl.sahara.status import Status

MAX_ANSWER_BYTES = 1024 * 1024  # most answers have up to 2 KiB; training data of memory has more
MAX_GREETING_BYTES = 1024 * 1024  # XML that may wait for `leftover()`; a greeting has some 2 KiB


@dataclass(frozen=True)
class HelloSeen:
    """The device greets; it awaits `SaharaHost.hello()`."""

    version: int
    version_min: int
    mode: Mode


@dataclass(frozen=True)
class ImageRequested:
    """The device wants exactly length bytes of image image_id, from offset on, raw."""

    image_id: int
    offset: int
    length: int


@dataclass(frozen=True)
class ImageEnded:
    """The image is complete (status SUCCESS; answer with `done()`), or something was refused."""

    image_id: int
    status: Status


@dataclass(frozen=True)
class DoneAnswered:
    """complete: the device says that this was the last image. Some say 0 and start it anyway."""

    complete: bool


@dataclass(frozen=True)
class CommandReady:
    """Command mode is on: `execute()` or `switch_mode()`."""


@dataclass(frozen=True)
class AnswerAnnounced:
    """The client command has size_bytes of answer: fetch them with `fetch()`."""

    client_command: int
    size_bytes: int


@dataclass(frozen=True)
class Answered:
    """The answer of a client command."""

    client_command: int
    data: bytes


@dataclass(frozen=True)
class MemoryOffered:
    """The device offers a crash dump."""

    table_address: int
    table_bytes: int
    wide: bool


@dataclass(frozen=True)
class ResetAnswered:
    """The device resets now."""


@dataclass(frozen=True)
class ProgrammerSpeaks:
    """XML came: a programmer runs. No event follows until `SaharaHost.leftover()` has taken it."""


Event = (
    HelloSeen
    | ImageRequested
    | ImageEnded
    | DoneAnswered
    | CommandReady
    | AnswerAnnounced
    | Answered
    | MemoryOffered
    | ResetAnswered
    | ProgrammerSpeaks
)


class Phase(enum.Enum):
    """What the host did last, and so what may come."""

    START = "the greeting"
    TRANSFER = "image requests"
    COMMAND_WANTED = "command mode"
    COMMAND = "an answer to a command"
    ANSWER = "the data of an answer"
    DONE = "the end of the upload"
    MEMORY = "memory"
    RESET = "a reset"


_IMAGES = {Command.READ_DATA, Command.READ_DATA64, Command.END_OF_IMAGE}
_DUMP = {Command.MEM_DEBUG, Command.MEM_DEBUG64}

# What a device may send in each phase. A HELLO may come at any time: a mode was switched, the next
# image of a chain begins, or the device gave up on the image (sahara.c of qdl, ImageTransfer.cpp of
# qcom-image-loader). END_OF_IMAGE is the only "no" that Sahara has, so it may answer anything. In
# START the pipe may still hold whatever an earlier client left there.
_ALLOWED: dict[Phase, set[Command]] = {
    Phase.START: {Command.HELLO, Command.CMD_READY, Command.RESET_RESP, Command.DONE_RESP}
    | _IMAGES
    | _DUMP,
    Phase.TRANSFER: {Command.HELLO, Command.CMD_READY} | _IMAGES | _DUMP,
    Phase.COMMAND_WANTED: {Command.HELLO, Command.CMD_READY} | _IMAGES,
    Phase.COMMAND: {Command.HELLO, Command.EXECUTE_RESP, Command.END_OF_IMAGE, Command.CMD_READY},
    Phase.ANSWER: set(),
    Phase.DONE: {Command.HELLO, Command.DONE_RESP, Command.END_OF_IMAGE},
    Phase.MEMORY: {Command.HELLO, Command.END_OF_IMAGE} | _DUMP,
    Phase.RESET: {Command.HELLO, Command.RESET_RESP, Command.END_OF_IMAGE},
}

_HELLO_RESP_BYTES = packets.HEADER_BYTES + packets.HelloResp.size()
_XML = b"<?xml"


class SaharaHost:
    """One conversation with a boot ROM (or another loader that speaks Sahara)."""

    def __init__(self) -> None:
        self.phase = Phase.START
        self._buffer = bytearray()
        self._answer: tuple[int, int] | None = None  # client command and bytes due
        self._xml = False  # a programmer speaks, and its words have not been taken
        self._version = 2  # for a blind answer, when no HELLO was seen: what qdl sends to all
        self._version_min = 1
        self._hello_bytes = _HELLO_RESP_BYTES

    # -- what arrives ---------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the device, in any pieces."""
        self._buffer += data

    def leftover(self) -> bytes:
        """Return and forget the bytes that no event has used yet."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._xml = False
        return rest

    def has_bytes(self) -> bool:
        """Tell whether bytes are there that no event has used yet."""
        return bool(self._buffer)

    def next_event(self) -> Event | None:
        """Return what arrived next, or None if it takes more bytes.

        Raises:
            ProtocolError: the device sent what Sahara does not allow now. All that has arrived is
                dropped.
        """
        if self._answer is not None:
            return self._take_answer(*self._answer)
        try:
            return self._programmer_speaks() if self._starts_xml() else self._take_packet()
        except ProtocolError:
            self._buffer.clear()
            raise

    def _starts_xml(self) -> bool:
        return self._xml or self._buffer.startswith(_XML)

    def _programmer_speaks(self) -> ProgrammerSpeaks | None:
        if len(self._buffer) > MAX_GREETING_BYTES:
            raise ProtocolError(f"{len(self._buffer)} bytes of XML came; {self._due} was due.")
        told, self._xml = self._xml, True
        return None if told else ProgrammerSpeaks()

    def _take_packet(self) -> Event | None:
        if len(self._buffer) < packets.HEADER_BYTES:
            return None
        command, length = struct.unpack_from("<II", self._buffer)
        if not packets.HEADER_BYTES <= length <= packets.MAX_PACKET_BYTES:
            raise ProtocolError(
                f"Sahara packet {command:#x} says that it is {length} bytes long;"
                f" {self._due} was due."
            )
        if command == Command.HELLO:
            self._drop_stale_hellos(length)
        if len(self._buffer) < length:
            return None
        packet = packets.parse(bytes(self._buffer[:length]))
        del self._buffer[:length]
        if packet.COMMAND not in _ALLOWED[self.phase]:
            raise ProtocolError(f"Sahara {packet.COMMAND.name} came where {self._due} was due.")
        return self._event(packet, length)

    def _drop_stale_hellos(self, length: int) -> None:
        """Keep the last of several greetings: the device awaits one answer, not one for each."""
        header = bytes(self._buffer[: packets.HEADER_BYTES])
        while self._buffer.startswith(header, length):
            del self._buffer[:length]

    @property
    def _due(self) -> str:
        return self.phase.value

    def _take_answer(self, client_command: int, due: int) -> Answered | None:
        if len(self._buffer) < due:
            return None
        data = bytes(self._buffer[:due])
        del self._buffer[:due]
        self._answer = None
        self.phase = Phase.COMMAND
        return Answered(client_command, data)

    def _event(self, packet: packets.SaharaPacket, length: int) -> Event:
        match packet:
            case packets.Hello():
                self.phase = Phase.START
                self._version, self._version_min = packet.version, packet.version_min
                self._hello_bytes = length  # an old device gets an answer as short as its question
                return HelloSeen(packet.version, packet.version_min, packet.mode)
            case packets.ReadData() | packets.ReadData64():
                self.phase = Phase.TRANSFER
                return ImageRequested(packet.image_id, packet.offset, packet.length)
            case packets.EndOfImage():
                return ImageEnded(packet.image_id, Status(packet.status))
            case packets.DoneResp():
                return DoneAnswered(packet.image_status == 1)
            case packets.CmdReady():
                self.phase = Phase.COMMAND
                return CommandReady()
            case packets.ExecuteResp():
                return self._announced(packet)
            case packets.MemDebug() | packets.MemDebug64():
                wide = isinstance(packet, packets.MemDebug64)
                return MemoryOffered(packet.table_address, packet.table_bytes, wide)
            case _:  # RESET_RESP: no other packet is allowed in any phase
                return ResetAnswered()

    @staticmethod
    def _announced(packet: packets.ExecuteResp) -> AnswerAnnounced:
        if packet.data_bytes > MAX_ANSWER_BYTES:
            raise ProtocolError(
                f"Sahara command {packet.client_command:#x} announces {packet.data_bytes} bytes."
            )
        return AnswerAnnounced(packet.client_command, packet.data_bytes)

    # -- what to send ---------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        """Go on with phase; what has come of an answer that is not whole by now is no packet."""
        if self._answer is not None:
            self._answer = None
            self._buffer.clear()
        self.phase = phase

    def hello(self, mode: Mode) -> bytes:
        """Return the answer to HELLO that asks for mode.

        Echoes the device's versions (as Qualcomm's own loader does). Before any HELLO it is the
        blind answer that wakes a boot ROM whose HELLO another program has eaten.
        """
        self._enter(Phase.COMMAND_WANTED if mode is Mode.COMMAND else Phase.TRANSFER)
        packet = packets.HelloResp(self._version, self._version_min, 0, mode)
        body = packet.pack()[: self._hello_bytes - packets.HEADER_BYTES]
        return struct.pack("<II", Command.HELLO_RESP, self._hello_bytes) + body

    def execute(self, client_command: int) -> bytes:
        """Return EXECUTE for a client command; only in command mode."""
        self._enter(Phase.COMMAND)
        return packets.Execute(client_command).to_bytes()

    def fetch(self, announced: AnswerAnnounced) -> bytes:
        """Return EXECUTE_DATA for an announced answer; its bytes come raw."""
        self._answer = (announced.client_command, announced.size_bytes)
        self.phase = Phase.ANSWER
        return packets.ExecuteData(announced.client_command).to_bytes()

    def switch_mode(self, mode: Mode) -> bytes:
        """Return SWITCH_MODE; a fresh HELLO follows."""
        self._enter(Phase.START)
        return packets.SwitchMode(mode).to_bytes()

    def done(self) -> bytes:
        """Return DONE: start the image that is complete."""
        self._enter(Phase.DONE)
        return packets.Done().to_bytes()

    def read_memory(self, address: int, length: int, *, wide: bool) -> bytes:
        """Return MEM_READ, or (wide) MEM_READ64; the memory comes raw: see `memory.MemoryAnswer`.

        length: not the 16 bytes that a refusal has.
        """
        self._enter(Phase.MEMORY)
        packet = packets.MemRead64 if wide else packets.MemRead
        return packet(address, length).to_bytes()

    def reset(self) -> bytes:
        """Return RESET: the chip resets."""
        self._enter(Phase.RESET)
        return packets.Reset().to_bytes()

    def restart(self) -> bytes:
        """Return RESET_STATE_MACHINE: only the protocol starts over (newer devices)."""
        self._enter(Phase.START)
        return packets.ResetStateMachine().to_bytes()
