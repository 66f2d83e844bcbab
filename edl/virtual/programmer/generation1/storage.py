# SPDX-License-Identifier: BSD-3-Clause
"""Generation 1: the commands that read and write sectors."""

from __future__ import annotations

import binascii
import hashlib
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
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
from edl.virtual.programmer.generation1.session import Build, Session, number_or
from edl.virtual.programmer.generation1.text import NumberError, plain
from edl.virtual.storage import Lun, StorageError


class Generation1(Session):
    """A programmer of generation 1."""

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board, build, running=running)
        self.handlers |= {
            "program": self._program,
            "firmwarewrite": self._firmwarewrite,
            "patch": self._patch,
            "read": self._read,
            "getcrc16digest": self._getcrc16digest,
            "getsha256digest": self._getsha256digest,
            "erase": self._erase,
        }

    def _read(self, attributes: Attributes) -> Steps:
        number, lun = self.storage_lun(attributes)
        start = self.start(attributes, lun)
        count = number_or(attributes.get("num_partition_sectors"), 0)
        self.check_policy(number, start, count)
        step = self._sectors_per_payload(lun)
        yield self.response("ACK", rawmode="true")
        failed_at = None
        for first, sectors in pieces(start, count, step):
            if failed_at is None:
                try:
                    yield from self.load(number, first, sectors)
                except StorageError:
                    failed_at = first
            yield self.raw(sectors * lun.sector_bytes)
        if failed_at is not None:
            yield self.log(f"Read failed at sector {failed_at}")
        yield self.log("Finished sector address 0")
        yield self.response("ACK" if failed_at is None else "NAK", rawmode="false")

    def _sectors_per_payload(self, lun: Lun) -> int:
        step = self.payload_bytes // lun.sector_bytes
        if not step:  # it would send pieces of no sectors for ever
            raise Leave("hang")
        return step

    def _program(self, attributes: Attributes) -> Steps:
        number, lun = self.storage_lun(attributes)
        start = self.start(attributes, lun)
        name = "num_partition_sectors"
        count = self.sectors(attributes, name, lun, f"Failed to parse {name}")
        self.check_policy(number, start, count)
        verify = attributes.get("read_back_verify", "").startswith("1")
        yield self.log(f"start {start}, num {count}")
        yield self.response("ACK", rawmode="true")
        at, stop, packets, ok = start, start + count, 0, True
        while at < stop:
            data = yield from self.receive(min((stop - at) * lun.sector_bytes, self.payload_bytes))
            self.buffer[: len(data)] = data
            sectors = len(data) // lun.sector_bytes  # the tail of a short transfer is lost
            if ok and not self.skip_write:
                failure = yield from self._write(number, at, sectors, verify=verify or not packets)
                yield from map(self.log, failure)
                ok = not failure
            at += sectors
            packets += 1
            if self.ack_every and packets % self.ack_every == 0:
                yield self.response("ACK")
        yield self.log(f"Finished sector address {stop}")
        yield self.response("ACK" if ok else "NAK", rawmode="false")

    def _write(
        self, number: int, start: int, sectors: int, *, verify: bool
    ) -> Generator[Request, Any, list[str]]:
        """Write the buffer to the storage, and return what to log if that fails."""
        try:
            yield from self.store(number, start, sectors)
            size_bytes = sectors * self.storage.sector_bytes
            if verify and self.storage.read(number, start, sectors) != self.buffer[:size_bytes]:
                return [f"Read back verify failed at sector {start},num sectors {sectors}"]
        except StorageError as error:
            return [f"Write failed Sector {start}, Errno {error.errno}"]
        return []

    def _firmwarewrite(self, attributes: Attributes) -> Steps:
        """Take the data of a firmware update as program does, and drop it."""
        skip_write, self.skip_write = self.skip_write, True
        try:
            yield from self._program(attributes)
        finally:
            self.skip_write = skip_write

    def _patch(self, attributes: Attributes) -> Steps:
        if attributes.get("filename", "").upper() != "DISK":
            raise UnansweredError
        number, lun = self.storage_lun(attributes)
        start = self.expression(attributes.get("start_sector"), lun, "Failed to parse start sector")
        try:
            byte_offset = plain(attributes.get("byte_offset"))
            size_bytes = plain(attributes.get("size_in_bytes"))
        except NumberError:
            raise UnansweredError from None
        self.check_policy(number, start, 1)
        text = attributes.get("value", "0")
        if text.startswith("CRC32"):
            value = yield from self._crc32(text, number, lun)
        else:
            value = self.expression(text, lun)
        # That a read or write fails changes nothing about the answer: 8.
        with suppress(StorageError):
            yield from self.load(number, start, 1)
        room = max(lun.sector_bytes - byte_offset, 0)
        copied = value.to_bytes(8, "little") + bytes([self.build.after_value]) + bytes(room)
        copied = copied[: min(size_bytes, room)]
        self.buffer[byte_offset : byte_offset + len(copied)] = copied
        with suppress(StorageError):
            yield from self.store(number, start, 1)
        yield self.log(f"Patched sector {start} with {value & 0xFFFFFFFF:08X}")
        yield self.response("ACK")

    def _crc32(self, text: str, number: int, lun: Lun) -> Generator[Request, Any, int]:
        """Return the value of CRC32(start,bytes). A malformed one gets no response: 8."""
        begin, end = text.find("("), text.rfind(")")
        start_text, comma, size_text = text[begin + 1 : end].rpartition(",")
        malformed = UnansweredError("Invalid CRC patch value")
        if begin < 0 or end < 0 or not comma:
            raise malformed
        try:
            size_bytes = plain(size_text)
        except NumberError:
            raise malformed from None
        start = self.expression(start_text, lun)
        yield self.log(f"crc start sector {start}, over bytes {size_bytes}")
        if size_bytes > len(self.buffer):  # it overruns its memory
            raise Leave("hang")
        with suppress(StorageError):
            yield from self.load(number, start, -(-size_bytes // lun.sector_bytes))
        return zlib.crc32(self.buffer[:size_bytes])

    def _getsha256digest(self, attributes: Attributes) -> Steps:
        sha256 = hashlib.sha256()
        yield from self._digest(attributes, sha256.update, lambda: sha256.hexdigest().upper())

    def _getcrc16digest(self, attributes: Attributes) -> Steps:
        crc = 0xFFFF

        def update(data: memoryview) -> None:
            nonlocal crc
            crc = binascii.crc_hqx(data, crc)

        yield from self._digest(attributes, update, lambda: f"{crc ^ 0xFFFF:04X}")

    def _digest(
        self,
        attributes: Attributes,
        update: Callable[[memoryview], None],
        result: Callable[[], str],
    ) -> Steps:
        """Log the digest. A read error is acknowledged without one: 10."""
        number, lun = self.storage_lun(attributes)
        start = self.start(attributes, lun)
        count = number_or(attributes.get("num_partition_sectors"), 0)
        self.check_policy(number, start, count)
        try:
            for first, sectors in pieces(start, count, self._sectors_per_payload(lun)):
                yield from self.load(number, first, sectors)
                update(memoryview(self.buffer)[: sectors * lun.sector_bytes])
                yield from self.hashed(sectors * lun.sector_bytes)
        except StorageError:
            yield self.log("emmc read failed")
        else:
            if count:
                yield self.log(f"Hash start sector {start} num sectors {count}")
                yield self.log(f"Digest {result()}")
        yield self.response("ACK")

    def _erase(self, attributes: Attributes) -> Steps:
        """Erase the whole LUN but its last sector: the range is not read at all (9)."""
        try:
            number = plain(attributes.get(self.build.erase_attribute)) & 0xFF
        except NumberError:
            raise RefusedError(self.build.erase_missing) from None
        sectors = self.existing_lun(number).sectors - 1
        self.check_policy(number, 0, sectors)
        try:
            yield from self.clear(number, 0, sectors)
        except StorageError:
            raise RefusedError from None
        yield self.response("ACK")
