# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3: the commands that read and write sectors."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator
from typing import Any

from edl.virtual.link import Request, Send
from edl.virtual.programmer.base import Attributes, RefusedError, Steps, pieces
from edl.virtual.programmer.board import Board
from edl.virtual.programmer.generation3.fixgpt import fix_gpt
from edl.virtual.programmer.generation3.session import PIECE_BYTES, Build, Disk, Session
from edl.virtual.programmer.generation3.text import (
    NumberError,
    crc32_arguments,
    number,
    number_or,
    sector,
)
from edl.virtual.storage import StorageError

_MAX_PATCH_BYTES = 8
_MASK = (1 << 64) - 1


class Generation3(Session):
    """A programmer of generation 3."""

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board, build, running=running)
        self.handlers |= {
            "program": self._program,
            "firmwarewrite": self._firmwarewrite,
            "patch": self._patch,
            "read": self._read,
            "getsha256digest": self._getsha256digest,
            "erase": self._erase,
            "fixgpt": self._fixgpt,
        }

    def refusal(self, name: str) -> Send:
        """Return a NAK; that of getsha256digest has an empty digest."""
        if name == "getsha256digest":
            return self.response("NAK", rawmode="false", sha256="")
        return super().refusal(name)

    # What commands read from their attributes

    def _extent(self, command: str, attributes: Attributes) -> tuple[Disk, int, int, int]:
        """Return LUN, size of a sector, start and number of sectors."""
        sector_bytes = _number(attributes, "SECTOR_SIZE_IN_BYTES")
        count = _number(attributes, "num_partition_sectors")
        disk = self._disk(command, attributes, sector_bytes)
        start = _start(attributes, disk)
        self.check_policy(disk.number, start, count)
        return disk, sector_bytes, start, count

    def _disk(self, command: str, attributes: Attributes, sector_bytes: int) -> Disk:
        """Open the LUN, and compare the size of its sectors."""
        if attributes.get("start_sector") is None:
            raise RefusedError(_invalid("start_sector"))
        disk = self.open(command, attributes)
        if disk.lun is not None and sector_bytes != disk.lun.sector_bytes:
            raise RefusedError(
                f"ERROR: sector size defined in XML ({sector_bytes}) different from device "
                f"sector size ({disk.lun.sector_bytes})"
            )
        if not 0 < sector_bytes <= PIECE_BYTES:
            raise RefusedError(_invalid("SECTOR_SIZE_IN_BYTES"))
        return disk

    def _fetch(self, disk: Disk, start: int, count: int) -> Steps:
        """Read sectors to the buffer. Without a storage nothing happens, and that is success."""
        if disk.lun is not None:
            yield from self.load(disk.number, start, count)

    def _fetch_or_refuse(self, disk: Disk, start: int, count: int, *logs: str) -> Steps:
        try:
            yield from self._fetch(disk, start, count)
        except StorageError as error:
            raise RefusedError(
                f"INFO: Read Failed sector {start}, size {count} result {error.result}", *logs
            ) from None

    def _keep(self, disk: Disk, start: int, count: int) -> Generator[Request, Any, list[str]]:
        """Write sectors from the buffer, and return what to log if that fails."""
        if disk.lun is not None:
            try:
                yield from self.store(disk.number, start, count)
            except StorageError as error:
                return [
                    self.driver_failure(error),
                    f"ERROR: Write Failed sector {start}, size {count} result {error.result}",
                ]
        return []

    # Commands

    def _read(self, attributes: Attributes) -> Steps:
        """Send all sectors, whether they could be read or not, and say so only at the end: 6."""
        disk, sector_bytes, start, count = self._extent("read", attributes)
        yield self.response("ACK", rawmode="true")
        ok = True
        for first, sectors in pieces(start, count, PIECE_BYTES // sector_bytes):
            if ok:
                try:
                    yield from self._fetch(disk, first, sectors)
                except StorageError:
                    ok = False
            yield self.raw(sectors * sector_bytes)
        yield self.response("ACK" if ok else "NAK")

    def _program(self, attributes: Attributes) -> Steps:
        disk, sector_bytes, start, count = self._extent("program", attributes)
        yield from self._take(disk, sector_bytes, start, count)

    def _firmwarewrite(self, attributes: Attributes) -> Steps:
        """Take the data of a firmware update as program does, and drop it."""
        disk, sector_bytes, start, count = self._extent("firmwarewrite", attributes)
        yield from self._take(Disk(disk.number, None), sector_bytes, start, count)

    def _take(self, disk: Disk, sector_bytes: int, start: int, count: int) -> Steps:
        """Take all announced data, even after a write has failed: UFS fact 9."""
        yield self.response("ACK", rawmode="true")
        at, stop, ok = start, start + count, True
        while at < stop:
            data = yield from self.receive(min((stop - at) * sector_bytes, PIECE_BYTES))
            self.buffer[: len(data)] = data
            sectors, rest = divmod(len(data), sector_bytes)
            if rest:
                yield self.log(
                    f"ERROR: Read non multiple sector size value from USB {len(data)} "
                    f"sectsize{sector_bytes}"
                )
            if ok:
                failure = yield from self._keep(disk, at, sectors)
                yield from map(self.log, failure)
                ok = not failure
            at += sectors
        yield self.response("ACK" if ok else "NAK")

    def _patch(self, attributes: Attributes) -> Steps:
        if attributes.get("filename", "").upper() != "DISK":
            yield self.response("ACK")
            return
        sector_bytes = _number(attributes, "SECTOR_SIZE_IN_BYTES")
        disk = self._disk("patch", attributes, sector_bytes)
        start = _start(attributes, disk)
        size_bytes = _number(attributes, "size_in_bytes")
        byte_offset = _number(attributes, "byte_offset")
        if size_bytes > _MAX_PATCH_BYTES:
            raise RefusedError(f"ERROR: patch size too large {size_bytes}")
        self.check_policy(disk.number, start, 1)
        value = yield from self._patch_value(attributes.get("value"), disk, sector_bytes)
        yield from self._fetch_or_refuse(disk, start, 1)
        room = max(sector_bytes - byte_offset, 0)
        copied = (value & _MASK).to_bytes(8, "little")[: min(size_bytes, room)]
        self.buffer[byte_offset : byte_offset + len(copied)] = copied
        if failure := (yield from self._keep(disk, start, 1)):
            raise RefusedError(*failure)
        yield self.response("ACK")

    def _patch_value(
        self, text: str | None, disk: Disk, sector_bytes: int
    ) -> Generator[Request, Any, int]:
        try:
            if text is None or not text.startswith("CRC32"):
                return sector(text, disk.sectors, lenient=True)
            start, size_bytes = crc32_arguments(text, disk.sectors)
        except NumberError as error:
            raise RefusedError(*filter(None, [error.log])) from None
        crc, left_bytes = 0, size_bytes
        sectors = -(-size_bytes // sector_bytes)
        failed = f"ERROR: Failed to compute CRC on given sectors {start} {sectors}"
        for first, count in pieces(start, sectors, PIECE_BYTES // sector_bytes):
            yield from self._fetch_or_refuse(disk, first, count, failed)
            length = min(left_bytes, count * sector_bytes)
            crc = zlib.crc32(memoryview(self.buffer)[:length], crc)
            left_bytes -= length
        return crc

    def _getsha256digest(self, attributes: Attributes) -> Steps:
        disk, sector_bytes, start, count = self._extent("getsha256digest", attributes)
        sha256 = hashlib.sha256()
        for first, sectors in pieces(start, count, PIECE_BYTES // sector_bytes):
            failed = (
                f"ERROR: Failed to read data for hashing, sector {first} count{sectors}, error 3"
            )
            yield from self._fetch_or_refuse(disk, first, sectors, failed)
            sha256.update(memoryview(self.buffer)[: sectors * sector_bytes])
        yield from self.hashed(count * sector_bytes)
        digest = sha256.hexdigest().upper()
        yield self.log(f"INFO: Digest {digest}")
        yield self.response("ACK", rawmode="false", sha256=digest)

    def _erase(self, attributes: Attributes) -> Steps:
        """Erase the range; without its three attributes the whole LUN: 9 and UFS facts 7 and 8."""
        disk = self.open("erase", attributes)
        try:
            _number(attributes, "SECTOR_SIZE_IN_BYTES")
            count = _number(attributes, "num_partition_sectors")
            start = _start(attributes, disk)
            yield self.log(f"INFO: Erasing start sector {start}, num sectors {count}")
        except RefusedError as refused:
            yield from map(self.log, refused.logs)
            start, count = 0, disk.sectors
            yield self.log(f"INFO: Erasing the whole disk/LUN {disk.number}")
            if self.storage.kind == "ufs" and disk.lun is not None:
                self.storage.note("ufs-format", disk.number)
        self.check_policy(disk.number, start, count)
        if disk.lun is not None:
            yield from self._erase_extent(disk.number, start, count)
        yield self.response("ACK")

    def _erase_extent(self, number: int, start: int, count: int) -> Steps:
        try:
            yield from self.clear(number, start, count)
        except StorageError as error:
            raise RefusedError(
                self.driver_failure(error),
                f"ERROR: Erase Failed sector {start}, size {count}",
                f"ERROR: Failed to erase the disk/lun {number}",
            ) from None

    def _fixgpt(self, attributes: Attributes) -> Steps:
        """Rewrite the backup GPT, and grow the last partition if asked to."""
        grow = number_or(attributes.get("grow_last_partition"), 0) != 0
        wanted = attributes.get("lun", "0")
        numbers = [*self.storage.luns] if wanted == "all" else [number_or(wanted, 0)]
        for each in numbers:
            disk = self.open("fixgpt", attributes, number=each)
            if disk.lun is not None:
                failures = fix_gpt(self.storage, each, grow=grow)
                if failures:
                    raise RefusedError(
                        *failures, f"ERROR: G Failed to fix the GPT for LUN/PhyPart {each}"
                    )
        yield self.response("ACK")


def _invalid(name: str) -> str:
    return f"INFO: invalid {name} result -1"


def _number(attributes: Attributes, name: str) -> int:
    """Return a number that must be there."""
    try:
        return number(attributes.get(name.lower()))
    except NumberError:
        raise RefusedError(_invalid(name)) from None


def _start(attributes: Attributes, disk: Disk) -> int:
    try:
        return sector(attributes.get("start_sector"), disk.sectors)
    except NumberError as error:
        raise RefusedError(*filter(None, [error.log]), _invalid("start_sector")) from None
