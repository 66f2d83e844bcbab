# SPDX-License-Identifier: BSD-3-Clause
"""The boot ROM (PBL) of the virtual phone: the device side of Sahara, as software of its own.

It shares nothing with the host but the table of packets. What it does where implementations and
logs of real phones disagree, or nobody knows, is a field of `RomConfig`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NoReturn

from edl.errors import ProtocolError
from edl.sahara import packets
from edl.sahara.packets import Command, Exec, Mode
from edl.virtual.crashdump import CrashDump, CrashedLoader
from edl.virtual.imageload import ImageKind, LoadedImage, Loader
from edl.virtual.link import Exit, Firmware, Receive, Request, Send
from edl.virtual.verifier import PROGRAMMER, Fuses, RefusedError, Status

PROGRAMMER_ID = 13

_SHORT_BYTES = 0x14  # of HELLO and its answer in version 1
_PIECE_BYTES = 0x1000
_PADDED_PK_HASH_BYTES = 144
_USB_PACKET_BYTES = 512
_CHIP_ID_BYTES = 0x54
_TRAINING_COMMANDS = struct.pack("<2I", Exec.COMMAND_IDS, Exec.TRAINING_DATA)
_SWITCHABLE = (Mode.IMAGE_PENDING, Mode.IMAGE_COMPLETE, Mode.COMMAND)


class SaharaStatus(enum.IntEnum):
    """What the ROM says in END_OF_IMAGE about the conversation itself."""

    SUCCESS = 0x00
    INVALID_CMD = 0x01
    INVALID_HOST_PROTOCOL = 0x04
    INVALID_PACKET_SIZE = 0x05
    INVALID_DATA_SIZE = 0x08
    INVALID_HOST_MODE = 0x18
    MEMORY_DEBUG_NOT_SUPPORTED = 0x1B
    INVALID_MODE_SWITCH = 0x1C
    EXEC_CMD_UNSUPPORTED = 0x1F
    EXEC_DATA_INVALID_CLIENT_CMD = 0x20


class CommandMode(enum.Enum):
    """What happens when the host asks for command mode."""

    OFFERED = "CMD_READY"
    REFUSED = "END_OF_IMAGE"
    IGNORED = "the image transfer begins all the same"
    SILENT = "no answer ever (seen on version 3)"


class PkHashForm(enum.Enum):
    """How the PK hash is reported."""

    PLAIN = "once"
    TRIPLED = "three equal copies"
    PADDED = "once, and zeros up to 144 bytes"


@dataclass(frozen=True)
class RomConfig:
    """How a boot ROM is and behaves.

    fuses: identity, and what the programmer is checked against.
    version, version_min: protocol versions in HELLO. short_hello: HELLO of version 1, 0x14 bytes.
    image_kind: what it loads, and whether it asks with 32- or 64-bit READ_DATA.
    image_ids: images it asks for, one after the other; the last one is started.
    elf_parts: ELF images in a row that make up the programmer (5 on chips since SM8450).
    load_range: first and last address + 1 where segments may go.
    done_status: what DONE_RESP says at the end; MSM8916 says 0 ("more images"), and starts.
    announces_last: HELLO offers mode 1 for the last of several images.
    command_mode, pk_hash_form, chip_id, serial_extra, refused: what command mode does. chip_id:
    answer to command 0x0A, empty if unknown; serial_extra: what follows the serial number;
    refused: client commands that it does not know; refusal: the status it refuses them with.
    knows_restart: whether RESET_STATE_MACHINE is known (protocol 2.9).
    mute_after_reset: after RESET_RESP it stays on the bus and says nothing more.
    hello_eaten: some other program has read the first HELLO.
    awaits_bytes: a run that died left it waiting for that many bytes of an image.
    awaits_reset: it has refused something of an earlier run. in_command_mode: where that has left
        it. greets_once: every HELLO after the first one is left out.
    refuses: status with which it refuses every image, whatever that is like.
    hello_mode: mode that HELLO offers, where it is not the one that follows from the rest.
    crash_dump: it is no boot ROM but a crashed boot loader (900e) that offers this memory; nothing
        else is heeded then.
    sw_ids: kinds of image that it starts.
    flashless: of a modem or an accelerator without flash: its images are the system, and it starts
        after the last one. training: data that it wants its host to fetch after the first image.
    leaves_between: it leaves the bus after each image, to come back for the next one.
    """

    fuses: Fuses
    version: int = 2
    version_min: int = 1
    short_hello: bool = False
    image_kind: ImageKind = ImageKind.ELF64
    image_ids: tuple[int, ...] = (PROGRAMMER_ID,)
    elf_parts: int = 1
    load_range: tuple[int, int] = (0, 1 << 64)
    done_status: int = 1
    announces_last: bool = False
    command_mode: CommandMode = CommandMode.OFFERED
    pk_hash_form: PkHashForm = PkHashForm.PLAIN
    chip_id: bytes = b""
    serial_extra: bytes = b""
    refused: frozenset[Exec] = frozenset()
    refusal: SaharaStatus = SaharaStatus.EXEC_CMD_UNSUPPORTED
    knows_restart: bool = True
    mute_after_reset: bool = False
    hello_eaten: bool = False
    awaits_bytes: int = 0
    awaits_reset: bool = False
    in_command_mode: bool = False
    greets_once: bool = False
    refuses: int | None = None
    hello_mode: Mode | None = None
    crash_dump: CrashDump | None = None
    sw_ids: frozenset[int] = PROGRAMMER
    flashless: bool = False
    training: bytes = b""
    leaves_between: bool = False


def boot_rom(config: RomConfig, on_loaded: Callable[[LoadedImage], None]) -> Firmware:
    """Return the software of a boot ROM. It ends with Exit("start") or Exit("reset").

    on_loaded: called with every image that was loaded and accepted.
    """
    if config.crash_dump is not None:
        return CrashedLoader(config.crash_dump).run()
    return _Rom(config, on_loaded).run()


def chip_id_answer(chip_id: int, soc_version: int, hwid: int) -> bytes:
    """Return the answer to command 0x0A of version 3, with the fields that are known.

    Offsets as in qdl (sahara.c) and qcom-image-loader (ImageTransfer.cpp). soc_version: 16 bits.
    """
    answer = bytearray(_CHIP_ID_BYTES)
    struct.pack_into("<I", answer, 0, chip_id)
    struct.pack_into("<I", answer, 0x20, soc_version << 16)
    msm, oem, model = hwid >> 32, hwid >> 16 & 0xFFFF, hwid & 0xFFFF
    struct.pack_into("<I2H", answer, 0x24, msm, oem, model)
    return bytes(answer)


class _SaharaError(Exception):
    """The host broke the protocol."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:#04x}")
        self.status = status


class _RestartError(Exception):
    """The protocol starts over with a new HELLO."""


class _LeaveError(Exception):
    """The boot ROM is done."""


class _Rom:
    """One power-on of a boot ROM."""

    def __init__(self, config: RomConfig, on_loaded: Callable[[LoadedImage], None]) -> None:
        self._config = config
        self._on_loaded = on_loaded
        self._image_index = 0
        self._greeted = False
        self._block_filled = False  # the last block was a multiple of the packet size
        self._trained = not config.training
        self._answers = self._client_commands()

    @property
    def _image_id(self) -> int:
        return self._config.image_ids[self._image_index]

    def run(self) -> Firmware:
        """Be the boot ROM until it leaves."""
        begin = self._beginning()
        try:
            while True:
                try:
                    yield from begin()
                except _RestartError:
                    begin = self._converse
                except (_SaharaError, RefusedError) as refusal:
                    yield from self._send(packets.EndOfImage(self._image_id, refusal.status))
                    begin = self._await_reset
        except _LeaveError as leave:
            yield Exit(str(leave))

    def _beginning(self) -> Callable[[], Firmware]:
        """Return what it is busy with, as an earlier run has left it."""
        config = self._config
        if config.hello_eaten:
            return self._answer_hello
        if config.awaits_bytes:
            return self._finish_block
        if config.awaits_reset:
            return self._await_reset
        return self._obey_commands if config.in_command_mode else self._converse

    def _send(self, packet: packets.SaharaPacket) -> Firmware:
        yield Send(packet.to_bytes())

    def _packet(self) -> Generator[Request, Any, packets.SaharaPacket]:
        """Return the next packet of the host; RESET and its like never get further than here."""
        self._block_filled = False
        data = b""
        while not data:  # a zero-length packet ends what came before and means nothing itself
            data = yield Receive(packets.MAX_PACKET_BYTES)
        packet = self._parsed(bytes(data))
        if isinstance(packet, packets.Reset):
            yield from self._reset()
        if isinstance(packet, packets.ResetStateMachine) and self._config.knows_restart:
            raise _RestartError
        return packet

    def _parsed(self, data: bytes) -> packets.SaharaPacket:
        words = struct.unpack_from("<2I", data) if len(data) >= packets.HEADER_BYTES else (0, 0)
        if words == (Command.HELLO_RESP, _SHORT_BYTES) and self._config.short_hello:
            data = struct.pack("<2I", Command.HELLO_RESP, 0x30) + data[8:].ljust(0x28, b"\0")
        try:
            return packets.parse(data)
        except ProtocolError as error:
            known = Command(words[0]).known
            status = SaharaStatus.INVALID_PACKET_SIZE if known else SaharaStatus.INVALID_CMD
            raise _SaharaError(status) from error

    def _reset(self) -> Firmware:
        yield from self._send(packets.ResetResp())
        while self._config.mute_after_reset:
            yield Receive(packets.MAX_PACKET_BYTES)
        raise _LeaveError("reset")

    def _await_reset(self) -> Generator[Request, Any, NoReturn]:
        """Take no notice of anything but RESET and RESET_STATE_MACHINE."""
        while True:
            try:
                yield from self._packet()
            except _SaharaError:
                continue

    def _finish_block(self) -> Firmware:
        """Await the rest of a block that an earlier run of the host has begun to send."""
        yield from self._block(self._config.awaits_bytes)
        raise RefusedError(Status.HASH_VERIFICATION_FAILURE, "pieces of two runs make no image")

    def _converse(self) -> Firmware:
        config = self._config
        last = self._image_index > 0 and self._image_index == len(config.image_ids) - 1
        mode = Mode.IMAGE_COMPLETE if config.announces_last and last else Mode.IMAGE_PENDING
        if self._image_index and not self._trained:  # sahara.md 6.4
            self._trained, mode = True, Mode.COMMAND
        hello = packets.Hello(
            config.version, config.version_min, packets.MAX_PACKET_BYTES, config.hello_mode or mode
        ).to_bytes()
        if config.short_hello:
            hello = hello[:4] + struct.pack("<I", _SHORT_BYTES) + hello[8:_SHORT_BYTES]
        if not (config.greets_once and self._greeted):
            yield Send(hello)
        self._greeted = True
        yield from self._answer_hello()

    def _answer_hello(self) -> Firmware:
        """Await HELLO_RESP, and do what it asks for."""
        answer = yield from self._packet()
        if not isinstance(answer, packets.HelloResp):
            raise _SaharaError(SaharaStatus.INVALID_CMD)
        if answer.version < self._config.version_min:
            raise _SaharaError(SaharaStatus.INVALID_HOST_PROTOCOL)
        match answer.mode, self._config.command_mode:
            case Mode.MEMORY_DEBUG, _:
                raise _SaharaError(SaharaStatus.MEMORY_DEBUG_NOT_SUPPORTED)
            case Mode.COMMAND, CommandMode.OFFERED:
                yield from self._command_mode()
            case Mode.COMMAND, CommandMode.SILENT:
                yield from self._await_reset()
            case Mode.COMMAND, CommandMode.IGNORED:
                yield from self._transfer()
            case ((Mode.IMAGE_PENDING | Mode.IMAGE_COMPLETE), _):
                yield from self._transfer()
        raise _SaharaError(SaharaStatus.INVALID_HOST_MODE)

    def _transfer(self) -> Generator[Request, Any, NoReturn]:
        """Load the next image; after the last one the boot ROM is done."""
        config = self._config
        several = len(config.image_ids) > 1 and self._image_id != PROGRAMMER_ID
        companion = several or config.flashless
        loader = Loader(
            fuses=config.fuses,
            kind=config.image_kind,
            parts=1 if companion else config.elf_parts,
            load_range=config.load_range,
            sw_ids=None if companion else config.sw_ids,
            read=self._read,
        )
        if config.refuses is not None:
            yield from self._read(0, _SHORT_BYTES)
            raise _SaharaError(config.refuses)
        image = yield from loader.load(self._image_id)
        self._on_loaded(image)
        yield from self._send(packets.EndOfImage(self._image_id, SaharaStatus.SUCCESS))
        if not isinstance((yield from self._packet()), packets.Done):
            raise _SaharaError(SaharaStatus.INVALID_CMD)
        if self._image_index == len(config.image_ids) - 1:
            yield from self._send(packets.DoneResp(config.done_status))
            raise _LeaveError("boot" if config.flashless else "start")
        yield from self._send(packets.DoneResp(0))
        self._image_index += 1
        if config.leaves_between:
            raise _LeaveError("next")
        raise _RestartError

    def _read(self, offset: int, length: int) -> Generator[Request, Any, bytes]:
        """Return length bytes of the image, fetched in pieces of 4 KiB."""
        data = bytearray()
        narrow = self._config.image_kind is not ImageKind.ELF64
        kind = packets.ReadData if narrow else packets.ReadData64
        if offset + length > 1 << (32 if narrow else 64):
            raise RefusedError(Status.INVALID_IMG_HDR_DATA_SIZE, "no number on the wire is so high")
        while len(data) < length:
            size = min(length - len(data), _PIECE_BYTES)
            yield from self._send(kind(self._image_id, offset + len(data), size))
            data += yield from self._block(size)
        return bytes(data)

    def _block(self, size: int) -> Generator[Request, Any, bytes]:
        """Return size raw bytes. Whatever comes now is data, even a RESET."""
        data = yield Receive(size)
        if not data and self._block_filled:  # the zero-length packet that ended the block before
            data = yield Receive(size)
        self._block_filled = size % _USB_PACKET_BYTES == 0
        if len(data) != size:
            raise _SaharaError(SaharaStatus.INVALID_DATA_SIZE)
        return bytes(data)

    def _client_commands(self) -> dict[int, bytes]:
        """Return the answers of command mode."""
        config, fuses = self._config, self._config.fuses
        hashes = {
            PkHashForm.PLAIN: fuses.pk_hash,
            PkHashForm.TRIPLED: fuses.pk_hash * 3,
            PkHashForm.PADDED: fuses.pk_hash.ljust(_PADDED_PK_HASH_BYTES, b"\0"),
        }
        answers = {
            Exec.SERIAL: struct.pack("<I", fuses.serial) + config.serial_extra,
            Exec.HWID: struct.pack("<Q", fuses.hwid) * 3,
            Exec.PK_HASH: hashes[config.pk_hash_form],
            Exec.CHIP_ID_V3: config.chip_id,
            Exec.COMMAND_IDS: config.training and _TRAINING_COMMANDS,
            Exec.TRAINING_DATA: config.training,
        }
        return {
            command: answer
            for command, answer in answers.items()
            if answer and command not in config.refused
        }

    def _command_mode(self) -> Firmware:
        """Answer client commands until the host switches the mode."""
        yield from self._send(packets.CmdReady())
        yield from self._obey_commands()

    def _obey_commands(self) -> Generator[Request, Any, NoReturn]:
        announced = None
        while True:
            refusal = None
            match (yield from self._packet()):
                case packets.Execute(command) if command in self._answers:
                    announced = command
                    size = len(self._answers[command])
                    yield from self._send(packets.ExecuteResp(command, size))
                case packets.Execute():
                    refusal = self._config.refusal
                case packets.ExecuteData(command) if command == announced:
                    announced = None
                    yield Send(self._answers[command])
                case packets.ExecuteData():
                    refusal = SaharaStatus.EXEC_DATA_INVALID_CLIENT_CMD
                case packets.SwitchMode(mode) if mode in _SWITCHABLE:
                    raise _RestartError
                case packets.SwitchMode():
                    raise _SaharaError(SaharaStatus.INVALID_MODE_SWITCH)
                case _:
                    raise _SaharaError(SaharaStatus.INVALID_CMD)
            if refusal:  # a refused command does not end command mode: openpst/sahara#6
                yield from self._send(packets.EndOfImage(self._image_id, refusal))
