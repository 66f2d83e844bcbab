# SPDX-License-Identifier: BSD-3-Clause
"""Generation 2: the commands that read and write sectors."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Generator
from typing import Any

from edl.virtual.link import Request
from edl.virtual.programmer.base import (
    Attributes,
    Leave,
    RefusedError,
    Steps,
    UnansweredError,
    pieces,
)
from edl.virtual.programmer.board import Board
from edl.virtual.programmer.generation2.session import Build, Session
from edl.virtual.programmer.generation2.text import evaluate
from edl.virtual.storage import Lun, StorageError

_PATCH_BYTES = 8  # always, whatever size_in_bytes says: 8
_MASK = (1 << 64) - 1

_READ_WRONG_SECTORS = "ERROR 4: Line 2355: STORAGE_READ_FAILURE"
_READ_FAILED = "ERROR 4: Line 2422: STORAGE_READ_FAILURE"
_PATCH_NO_COMMA = "ERROR 19: Line 2110: HANDLE_PATCH_FAILURE"
_PATCH_NO_LENGTH = "ERROR 19: Line 2126: HANDLE_PATCH_FAILURE"
_ERASE_FAILED = "ERROR 17: Line 1733: HANDLE_ERASE_FAILURE"
_PROGRAM_NO_DATA = "ERROR 21: Line 2549: HANDLE_PROGRAM_FAILURE"
# The lines of these two are not known; 2459 is that of a sibling (bkerler/edl#522).
_PROGRAM_WRONG_SECTORS = "ERROR 21: Line 2459: HANDLE_PROGRAM_FAILURE"
_PROGRAM_FAILED = "ERROR 21: Line 2576: HANDLE_PROGRAM_FAILURE"


class Generation2(Session):
    """A programmer of generation 2."""

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board, build, running=running)
        self.handlers |= {
            "program": self._program,
            "firmwarewrite": self._firmwarewrite,
            "patch": self._patch,
            "read": self._read,
            "getsha256digest": self._getsha256digest,
            "erase": self._erase,
        }

    def _extent(self, *trailer: str) -> tuple[int, Lun, int, int]:
        """Return physical partition, start and number of sectors."""
        start = self.sectors("start_sector")
        count = self.sectors("num_partition_sectors")
        number, lun = self.disk()
        self.check_sector_bytes(lun, *trailer)
        self.check_policy(number, start, count)
        return number, lun, start, count

    def _failure(self, what: str, start: int, count: int, result: int) -> str:
        """Return what the storage layer logs, with its arguments one place too far left: 6."""
        return (
            f"ERROR: {what} {self.device_type()} slot 0, partition {start}, "
            f"start_sector {count} num_sectors 0, error {result}"
        )

    def _driver_failure(self, error: StorageError) -> str:
        driver = "SDCC" if self.storage.kind == "emmc" else "UFS"
        return f"ERROR: {driver} Error {error.errno} ({error.result})"

    def _sectors_per_payload(self, lun: Lun) -> int:
        step = self.payload_bytes // lun.sector_bytes
        if not step:  # it would send pieces of no sectors for ever
            raise Leave("hang")
        return step

    def _read(self, _: Attributes) -> Steps:
        number, lun, start, count = self._extent(_READ_WRONG_SECTORS)
        yield self.response("ACK", rawmode="true")
        failed_at = None
        for first, sectors in pieces(start, count, self._sectors_per_payload(lun)):
            if failed_at is None:
                ok = yield from self._load_or_log(number, first, sectors)
                failed_at = None if ok else first
            yield self.raw(sectors * lun.sector_bytes)
        if failed_at is not None:
            yield self.log(f"Read failed at sector {failed_at}")
            yield self.log(_READ_FAILED)
        yield self.log(f"Finished reading from sector address {start} to {start + count}")
        yield self.response("ACK" if failed_at is None else "NAK", rawmode="false")

    def _program(self, _: Attributes) -> Steps:
        number, lun, start, count = self._extent(_PROGRAM_WRONG_SECTORS)
        yield from self._take(number, lun, start, count, keep=not self._skip_write())

    def _skip_write(self) -> bool:
        return self.attributes.number("SkipWrite") != 0

    def _firmwarewrite(self, _: Attributes) -> Steps:
        """Take the data of a firmware update as program does, and drop it."""
        number, lun, start, count = self._extent(_PROGRAM_WRONG_SECTORS)
        yield from self._take(number, lun, start, count, keep=False)

    def _take(self, number: int, lun: Lun, start: int, count: int, *, keep: bool) -> Steps:
        yield self.log(f"start {start}, num {count}")
        yield self.response("ACK", rawmode="true")
        at, stop, packets, ok = start, start + count, 0, True
        ack_every = self.attributes.number("AckRawDataEveryNumPackets")
        while at < stop:
            data = yield from self.receive(min((stop - at) * lun.sector_bytes, self.payload_bytes))
            if not data:
                yield self.log("USB read has failed. Returned 0 bytes.")
                yield self.log(_PROGRAM_NO_DATA)
                yield self.response("NAK", rawmode="false")
                return
            self.buffer[: len(data)] = data
            sectors = len(data) // lun.sector_bytes  # the tail of a short transfer is lost
            if ok and keep:
                try:
                    yield from self.store(number, at, sectors)
                except StorageError as error:
                    ok = False
                    yield self.log(self._driver_failure(error))
            at += sectors
            packets += 1
            if ack_every and packets % ack_every == 0:
                yield self.log(f"{stop - at} sectors to go")
                yield self.response("ACK")
        if not ok:
            yield self.log(_PROGRAM_FAILED)
        yield self.log(
            f"Finished programming start_sector {stop} and TotalSectorsToProgram {count}"
        )
        yield self.response("ACK" if ok else "NAK", rawmode="false")

    def _patch(self, _: Attributes) -> Steps:
        if self.attributes.text("filename").upper() != "DISK":
            raise UnansweredError
        start = self.sectors("start_sector")
        number, lun = self.disk()
        self.check_sector_bytes(lun)
        self.check_policy(number, start, 1)
        text = self.attributes.text("value")
        if text.startswith("CRC32"):
            value = yield from self._crc32(text, number, lun)
        else:
            value = evaluate(text, lun.sectors) & _MASK
        # That a read or write fails changes nothing about the answer: 8.
        yield from self._load_or_log(number, start, 1)
        byte_offset = self.attributes.number("byte_offset")
        room = max(lun.sector_bytes - byte_offset, 0)
        copied = value.to_bytes(_PATCH_BYTES, "little")[:room]
        self.buffer[byte_offset : byte_offset + len(copied)] = copied
        try:
            yield from self.store(number, start, 1)
        except StorageError as error:
            yield self.log(self._driver_failure(error))
        yield self.log(f"Patched sector {start} with {value & 0xFFFFFFFF:08X}")
        yield self.response("ACK")

    def _load_or_log(self, number: int, start: int, count: int) -> Generator[Request, Any, bool]:
        """Read sectors to the buffer, and return whether that succeeded."""
        try:
            yield from self.load(number, start, count)
        except StorageError as error:
            yield self.log(self._failure("Read Failed to read", start, count, error.result))
            return False
        return True

    def _crc32(self, text: str, number: int, lun: Lun) -> Generator[Request, Any, int]:
        """Return the value of CRC32(start,bytes). A space after the comma is too much: 8."""
        begin, end = text.find("("), text.rfind(")")
        start_text, comma, size_text = text[begin + 1 : end].rpartition(",")
        if begin < 0 or end < 0 or not comma:
            raise UnansweredError("Invalid CRC patch value", _PATCH_NO_COMMA)
        if not re.fullmatch("[0-9]+", size_text):
            raise RefusedError("Failed to get crc_over_num_bytes", _PATCH_NO_LENGTH)
        start, size_bytes, crc = evaluate(start_text, lun.sectors), int(size_text), 0
        yield self.log(f"crc start sector {start}, over bytes {size_bytes}")
        for first, sectors in pieces(
            start, -(-size_bytes // lun.sector_bytes), len(self.buffer) // lun.sector_bytes
        ):
            ok = yield from self._load_or_log(number, first, sectors)
            done_bytes = (first - start) * lun.sector_bytes
            length = min(sectors * lun.sector_bytes, size_bytes - done_bytes)
            crc = zlib.crc32(memoryview(self.buffer)[:length], crc)
            if not ok:
                break
        return crc

    def _getsha256digest(self, _: Attributes) -> Steps:
        """Log the digest. A read error is acknowledged without one: 10."""
        number, lun, start, count = self._extent()
        yield self.log("Beginning HASHING disk data. This can take a while!!")
        sha256, ok = hashlib.sha256(), True
        for first, sectors in pieces(start, count, self._sectors_per_payload(lun)):
            ok = yield from self._load_or_log(number, first, sectors)
            if not ok:
                break
            sha256.update(memoryview(self.buffer)[: sectors * lun.sector_bytes])
        yield from self.hashed(count * lun.sector_bytes)
        if ok and count:
            yield self.log(f"Hash start sector {start} num sectors {count}")
            yield self.log(f"Digest {sha256.hexdigest().upper()}")
        yield self.response("ACK")

    def _erase(self, _: Attributes) -> Steps:
        """Erase the range if both ends are given and it is not empty, else the whole LUN: 9."""
        start, count = 0, 0
        if {"start_sector", "num_partition_sectors"} <= self.attributes.given:
            start = self.sectors("start_sector")
            count = self.sectors("num_partition_sectors")
        yield self.log("In handleErase Calling storage_device_erase()")
        trailer = ("storage_device_erase returned FALSE", _ERASE_FAILED)
        try:
            number, lun = self.disk()
        except RefusedError as refused:
            raise RefusedError(*refused.logs[:2], *trailer) from None
        if not count:
            start, count = 0, lun.sectors
            if self.storage.kind == "emmc":
                yield self.log(f"DEBUG: sdcc Erasing whole disk of {count} blocks")
            else:
                self.storage.note("ufs-format", number)
        self.check_policy(number, start, count)
        try:
            yield from self.clear(number, start, count)
        except StorageError as error:
            raise RefusedError(
                self._driver_failure(error),
                f"ERROR: Erase Failed sector {start}, size {count}",
                self._failure("Failed to erase", start, count, error.result),
                *trailer,
            ) from None
        yield self.log("storage_device_erase() reported SUCCESS")
        yield self.response("ACK")
