# SPDX-License-Identifier: BSD-3-Clause
"""A programmer that speaks Streaming Download, as software of the virtual phone.

No real one was executed; it does what openpst's definitions and forth32/qtools say of them. What
they leave open, or tell in different ways, is a field of `Manners`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, fields
from typing import Any

from edl.errors import ProtocolError
from edl.streaming import packets
from edl.streaming.packets import Command, ErrorCode, Feature, Opened, OpenStatus, TableStatus
from edl.virtual.frames import Receiver, wrap
from edl.virtual.link import Exit, Firmware, Receive, Request, Send
from edl.virtual.programmer.board import Board
from edl.virtual.storage import StorageError

_ERASE_FLASH = 0x1D  # all of it, whatever is open
_ALWAYS = {Command.HELLO, Command.NOP, Command.RESET, Command.POWER_OFF}
_OPENS = {Opened.EMMC_USER: 0, Opened.EMMC_BOOT0: 1, Opened.EMMC_BOOT1: 2}
# NAND: the partitions of its table, 512 KiB each, one behind the other
PARTITIONS = ("0:MIBIB", "0:QCSBL", "0:AMSS", "0:EFS2")
PARTITION_SECTORS = 1024
TABLE = bytes.fromhex("9a1b7daabc487d1f") + "".join(PARTITIONS).encode()  # of modems: qtools
_CACHED = 64  # blocks that are not on the flash before CLOSE
_BUSY_HELLOS = 2


@dataclass(frozen=True)
class Manners:
    """How such a programmer behaves.

    Attributes:
        no_reading: READ is refused.
        memory: READ gives memory, not flash, as stock programmers do.
        old: it knows no addresses in sectors (version 2).
        twisted: it agrees on addresses in sectors, and reads as if they were in bytes.
        no_crc: its frames have no CRC.
        chatty: it logs before every answer.
        glued: what follows one another arrives in one transfer. split: in pieces.
        sluggish: it takes no notice of the first greetings.
        foreign: it does not know the flash.
        trusted: it wants the trusted security mode.
        small: it prefers blocks of 512 bytes.
        nand: its flash is NAND, with the partitions of `PARTITIONS`.
    """

    no_reading: bool = False
    memory: bool = False
    old: bool = False
    twisted: bool = False
    no_crc: bool = False
    chatty: bool = False
    glued: bool = False
    split: bool = False
    sluggish: bool = False
    foreign: bool = False
    trusted: bool = False
    small: bool = False
    nand: bool = False


NAMES = tuple(field.name.replace("_", "-") for field in fields(Manners))


def streaming_programmer(board: Board, manners: Manners) -> Firmware:
    """Return a programmer that starts to run. It ends with Exit("reset") or Exit("off")."""
    return _Streaming(board, manners).run()


class _NoError(Exception):
    """It says no."""

    def __init__(self, code: ErrorCode, text: str = "") -> None:
        super().__init__(text)
        self.code = code


class _Streaming:
    """One run of a programmer."""

    def __init__(self, board: Board, manners: Manners) -> None:
        self._board = board
        self._manners = manners
        self._hellos = 0
        self._greeted = False
        self._secure = False
        self._open: int | None = None
        self._counts_sectors = False
        self._cache: list[tuple[int, int, bytes]] = []
        self._partition: int | None = None  # sector of the one that is open
        self._next = 0  # byte of it that must come next
        self._handlers: dict[int, Callable[[bytes], bytes]] = {
            Command.HELLO: self._hello,
            Command.NOP: self._done,
            Command.RESET: self._done,
            Command.POWER_OFF: self._done,
            Command.SECURITY_MODE: self._security,
            Command.OPEN_MULTI: self._opened,
            Command.CLOSE: self._close,
            Command.PARTITION_TABLE: self._table,
            Command.READ: self._read,
            Command.STREAM_WRITE: self._write,
            _ERASE_FLASH: self._erase_all,
        }

    def run(self) -> Firmware:
        frames = Receiver()
        count = 0
        while True:
            data = yield Receive(4096)
            for payload in frames.take(bytes(data)):
                count += 1
                quirks = self._board.quirks
                if quirks.mute_after is not None and count > quirks.mute_after:
                    continue
                if quirks.garbage_after is not None and count > quirks.garbage_after:
                    yield Send(quirks.garbage)
                    continue
                if quirks.chatter_after is not None and count > quirks.chatter_after:
                    yield from self._chatter()
                yield from self._said(list(self._answers(payload)))
                if payload in {bytes((Command.RESET,)), bytes((Command.POWER_OFF,))}:
                    yield Exit("reset" if payload[0] == Command.RESET else "off")

    def _chatter(self) -> Generator[Request, Any, None]:
        number = 0
        while True:
            yield Send(self._log(f"still busy {number}"))
            number += 1

    def _said(self, answers: list[bytes]) -> Iterator[Send]:
        if self._manners.glued and answers:
            answers = [b"".join(answers)]
        for answer in answers:
            if self._manners.split and len(answer) > 3:
                yield Send(answer[:3])
                yield Send(answer[3:])
            else:
                yield Send(answer)

    def _framed(self, payload: bytes) -> bytes:
        return wrap(payload, crc=not self._manners.no_crc)

    def _log(self, text: str) -> bytes:
        return self._framed(bytes((Command.LOG,)) + text.encode() + b"\0")

    def _answers(self, payload: bytes | None) -> Iterator[bytes]:
        """Yield the frames that answer payload; None is a damaged one."""
        if self._manners.chatty:
            yield self._log("packet received")
        if payload is None:
            yield self._no(ErrorCode.BAD_CRC, "CRC mismatch")
        elif self._manners.foreign:
            yield self._log("Unrecognized flash device")
        else:
            try:
                answer = self._obey(payload)
            except _NoError as no:
                yield self._no(no.code, str(no))
            except ProtocolError:
                yield self._no(ErrorCode.BAD_LENGTH, "Invalid packet length")
            except StorageError:
                yield self._no(ErrorCode.OPERATION_FAILED, "flash operation failed")
            else:
                if answer:
                    yield self._framed(answer)

    def _no(self, code: ErrorCode, text: str) -> bytes:
        return self._framed(struct.pack("<BI", Command.ERROR, code) + text.encode() + b"\0")

    def _obey(self, payload: bytes) -> bytes:
        """Carry a request out, and return its answer, empty for none."""
        obey = self._handlers.get(payload[0])
        if obey is None or not (self._greeted or payload[0] in _ALWAYS):
            raise _NoError(ErrorCode.BAD_COMMAND, "Invalid command")
        return obey(payload)

    def _done(self, payload: bytes) -> bytes:
        """Repeat what came, as the answer to it: of NOP, RESET and POWER_OFF."""
        return bytes((payload[0] + 1,)) + payload[1:]

    def _security(self, payload: bytes) -> bytes:
        if self._manners.trusted and payload[1:] != b"\x01":
            raise _NoError(ErrorCode.BAD_SECURITY_MODE, "trusted mode needed")
        self._secure = True
        return bytes((Command.SECURITY_MODE_RESP,))

    def _erase_all(self, payload: bytes) -> bytes:
        for number, lun in self._board.storage.luns.items():
            self._board.storage.erase(number, 0, lun.sectors)
        return self._done(payload)

    def _hello(self, payload: bytes) -> bytes:
        request = packets.HelloRequest.unpack(payload)
        self._hellos += 1
        if self._manners.sluggish and self._hellos <= _BUSY_HELLOS:
            return b""
        wants = bool(request.features & Feature.SECTOR_ADDRESSES)
        if wants and self._manners.old:
            raise _NoError(ErrorCode.BAD_FEATURE_BITS, "feature bits not supported")
        self._greeted, self._counts_sectors = True, wants
        flash_id = b"VIRTUAL NAND" if self._manners.nand else b"VIRTUAL eMMC"
        return (
            struct.pack("<B32sBB", Command.HELLO_RESP, packets.TARGET_MAGIC, request.version, 2)
            + struct.pack("<II", 512 if self._manners.small else 1024, 0)
            + bytes((len(flash_id),))
            + flash_id
            + struct.pack("<HHIB", 8, 1, 512, request.features)
        )

    def _opened(self, payload: bytes) -> bytes:
        body = payload[1:]
        if not self._secure:
            raise _NoError(ErrorCode.BAD_SECURITY_MODE, "security mode not set")
        if self._open is not None:
            raise _NoError(ErrorCode.OUT_OF_SEQUENCE, "already open")
        if self._manners.nand:
            return bytes((Command.OPEN_MULTI_RESP, self._opened_by_name(body)))
        lun = _OPENS.get(Opened(body[0])) if body else None
        if lun is None or lun not in self._board.storage.opening:
            raise _NoError(ErrorCode.OPERATION_FAILED, "Open multi failed, unknown type")
        if len(body) > 1:
            return bytes((Command.OPEN_MULTI_RESP, OpenStatus.NO_NAME_EXPECTED))
        self._open = lun
        return bytes((Command.OPEN_MULTI_RESP, OpenStatus.OPENED))

    def _opened_by_name(self, body: bytes) -> int:
        if body[:1] != bytes((Opened.PARTITION,)):
            raise _NoError(ErrorCode.OPERATION_FAILED, "Open multi failed, unknown type")
        name = body[1:].rstrip(b"\0").decode("latin-1")
        if not name:
            return OpenStatus.NAME_MISSING
        if name not in PARTITIONS:
            raise _NoError(ErrorCode.OPERATION_FAILED, f"Open multi failed, no partition {name}")
        self._open, self._next = 0, 0
        self._partition = PARTITIONS.index(name) * PARTITION_SECTORS
        return OpenStatus.OPENED

    def _table(self, payload: bytes) -> bytes:
        """Take a partition table: never another one than there is already."""
        if not self._manners.nand:
            raise _NoError(ErrorCode.BAD_COMMAND, "Invalid command")
        table = payload[2:]
        known = table[:8] == TABLE[:8]
        status = TableStatus.DIFFERS if known else TableStatus.UNKNOWN_FORMAT
        status = TableStatus.ACCEPTED if table == TABLE else status
        return bytes((Command.PARTITION_TABLE_RESP, status))

    def _write_in_order(self, address: int, data: bytes) -> None:
        """Write to the partition that is open, page by page as NAND wants it."""
        if address != self._next:
            raise _NoError(ErrorCode.OUT_OF_SEQUENCE, "address not in order")
        if address + len(data) > PARTITION_SECTORS * 512:
            raise _NoError(ErrorCode.OUT_OF_SPACE, "partition is full")
        self._next += len(data)
        padded = data.ljust(-(-len(data) // 512) * 512, b"\xff")
        self._cache.append((0, (self._partition or 0) + address // 512, padded))

    def _close(self, payload: bytes) -> bytes:
        if self._open is None:
            raise _NoError(ErrorCode.OUT_OF_SEQUENCE, "nothing is open")
        self._open = self._partition = None
        try:
            self._flush()
        except StorageError as error:
            raise _NoError(ErrorCode.CLOSE_FAILED, "flush failed") from error
        return self._done(payload)

    def _flush(self) -> None:
        cache, self._cache = self._cache, []
        for lun, sector, data in cache:
            self._board.storage.write(lun, sector, data)

    def _sector(self, address: int, *, sectors: bool) -> int:
        if not sectors and address % 512:
            raise _NoError(ErrorCode.BAD_ADDRESS, "address not aligned")
        return address if sectors else address // 512

    def _read(self, payload: bytes) -> bytes:
        request = packets.ReadRequest.unpack(payload)
        if self._manners.no_reading:
            raise _NoError(ErrorCode.COMMAND_NOT_SUPPORTED, "read not supported")
        if request.length > packets.MAX_DATA_BYTES:
            raise _NoError(ErrorCode.BAD_LENGTH, "read too long")
        head = struct.pack("<BI", Command.READ_RESP, request.address)
        if self._manners.memory:
            place = range(request.address, request.address + request.length)
            return head + bytes((at * 7 + 1) & 0xFF for at in place)
        if self._open is None or request.length % 512:
            raise _NoError(ErrorCode.BAD_STATE, "not open, or no whole sectors")
        sectors = self._counts_sectors and not self._manners.twisted
        self._flush()
        start = self._sector(request.address, sectors=sectors)
        return head + self._board.storage.read(self._open, start, request.length // 512)

    def _write(self, payload: bytes) -> bytes:
        address, data = packets.Addressed.unpack(payload[:5]).address, payload[5:]
        if self._open is None:
            raise _NoError(ErrorCode.OUT_OF_SEQUENCE, "write before open")
        if self._partition is not None:
            self._write_in_order(address, data)
            return struct.pack("<BI", Command.STREAM_WRITE_RESP, address)
        if len(data) % 512 or len(data) > packets.MAX_DATA_BYTES:
            raise _NoError(ErrorCode.BAD_LENGTH, "no whole sectors")
        start = self._sector(address, sectors=self._counts_sectors)
        if not self._board.storage.luns[self._open].covers(start, len(data) // 512):
            raise _NoError(ErrorCode.BAD_ADDRESS, "address out of range")
        self._cache.append((self._open, start, data))
        if len(self._cache) >= _CACHED:
            self._flush()
        return struct.pack("<BI", Command.STREAM_WRITE_RESP, address)
