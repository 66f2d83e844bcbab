# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3 on NAND: sectors are pages, and what is bad is stepped over.

From public logs of modems (firehose.md 10 and 15.8): `PAGES_PER_BLOCK` is compared; ranges of
erases are whole blocks; programs skip bad blocks up to `last_sector`, and fail with "out of good
blocks" behind it. Nobody has executed such a programmer: what it makes of reads is told differently
of several, and can be chosen (NandChip.bad_reads).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from typing import Any

from edl.virtual.link import Request
from edl.virtual.nand import FILLER, NandLun
from edl.virtual.programmer.base import Attributes, RefusedError, Steps
from edl.virtual.programmer.generation3.session import PIECE_BYTES, Disk
from edl.virtual.programmer.generation3.storage import Generation3
from edl.virtual.programmer.generation3.text import number_or
from edl.virtual.storage import StorageError


class Generation3Nand(Generation3):
    """A programmer of generation 3 for a NAND chip."""

    def _chip(self, disk: Disk) -> NandLun:
        lun = disk.lun
        if not isinstance(lun, NandLun):
            raise RefusedError("ERROR: Failed to set the IO options")
        return lun

    def _nand_extent(
        self, command: str, attributes: Attributes
    ) -> tuple[Disk, NandLun, int, int, int]:
        """Return LUN, chip, first page, number of pages, and the last page that may be used."""
        disk, _, start, count = self._extent(command, attributes)
        nand = self._chip(disk)
        pages = number_or(attributes.get("pages_per_block"), nand.chip.pages_per_block)
        if pages != nand.chip.pages_per_block:
            raise RefusedError(
                f"ERROR: Attribute 'PAGES_PER_BLOCK'={pages} must be equal to disk pages per block"
                f" {nand.chip.pages_per_block}"
            )
        last = number_or(attributes.get("last_sector"), start + count - 1)
        if not nand.covers(start, count):
            raise RefusedError(f"ERROR: Invalid range, sector {start}, size {count}")
        return disk, nand, start, count, min(last, nand.sectors - 1)

    def _erase(self, attributes: Attributes) -> Steps:
        disk = self.open("erase", attributes)
        if not {"sector_size_in_bytes", "start_sector", "num_partition_sectors"} <= set(attributes):
            nand = self._chip(disk)
            start, count = 0, nand.sectors
            yield self.log(f"INFO: Erasing the whole disk/LUN {disk.number}")
        else:
            disk, nand, start, count, _ = self._nand_extent("erase", attributes)
            yield self.log(f"INFO: [296] bbt_size:{len(nand.chip.bad)} blocks:{nand.blocks}.")
            yield self.log(f"INFO: Erasing start sector {start}, num sectors 0")  # as the real one
            if start % nand.chip.pages_per_block or count % nand.chip.pages_per_block:
                raise RefusedError("ERROR: start_sector unaligned")
        for page in range(start, start + count, nand.chip.pages_per_block):
            if not nand.is_bad(page):
                yield from self._erase_extent(disk.number, page, nand.chip.pages_per_block)
        yield self.response("ACK")

    def _program(self, attributes: Attributes) -> Steps:
        """Take all data, and put it into good blocks only."""
        disk, nand, start, count, last = self._nand_extent("program", attributes)
        places = _good_pages(nand, start, last)
        yield self.log("INFO: NAND was previously open, returning existing handle 0.")
        yield self.response("ACK", rawmode="true")
        left, failure = count * nand.sector_bytes, ""
        while left:
            data = yield from self.receive(min(left, PIECE_BYTES))
            self.buffer[: len(data)] = data
            left -= len(data)
            for at in range(0, len(data), nand.sector_bytes):
                if not failure:
                    page = data[at : at + nand.sector_bytes]
                    failure = yield from self._program_page(disk, places, page)
        if failure:
            raise RefusedError(failure, "ERROR: Write Failed sector 0, size 0 result 2")
        yield self.response("ACK")

    def _program_page(
        self, disk: Disk, places: Iterator[int], data: bytes
    ) -> Generator[Request, Any, str]:
        page = next(places, None)
        if page is None:
            return "ERROR: out of good blocks"
        self.buffer[: len(data)] = data
        try:
            yield from self.store(disk.number, page, 1)
        except StorageError:
            return f"ERROR: Failed to write page {page}"
        return ""

    def _pages(self, nand: NandLun, start: int, count: int) -> Iterator[int | None]:
        """Yield the pages that a read gives; None for the filler."""
        if nand.chip.bad_reads == "skip":
            good = _good_pages(nand, start, nand.sectors - 1)
            for _ in range(count):
                yield next(good, None)
            return
        for page in range(start, start + count):
            filler = nand.is_bad(page) and nand.chip.bad_reads == "filler"
            yield None if filler else page

    def _fetch_page(self, disk: Disk, nand: NandLun, page: int | None) -> Steps:
        if page is None:
            self.buffer[: nand.sector_bytes] = bytes((FILLER,)) * nand.sector_bytes
        else:
            yield from self.load(disk.number, page, 1)

    def _read(self, attributes: Attributes) -> Steps:
        disk, nand, start, count, _ = self._nand_extent("read", attributes)
        yield self.response("ACK", rawmode="true")
        ok = True
        for page in self._pages(nand, start, count):
            if ok:
                try:
                    yield from self._fetch_page(disk, nand, page)
                except StorageError:
                    ok = False
            yield self.raw(nand.sector_bytes)
        yield self.response("ACK" if ok else "NAK")

    def _getsha256digest(self, attributes: Attributes) -> Steps:
        disk, nand, start, count, _ = self._nand_extent("getsha256digest", attributes)
        sha256 = hashlib.sha256()
        for page in self._pages(nand, start, count):
            try:
                yield from self._fetch_page(disk, nand, page)
            except StorageError:
                raise RefusedError(
                    f"ERROR: Failed to read data for hashing, sector {page} count1, error 3"
                ) from None
            sha256.update(memoryview(self.buffer)[: nand.sector_bytes])
        digest = sha256.hexdigest().upper()
        yield self.log(f"INFO: Digest {digest}")
        yield self.response("ACK", rawmode="false", sha256=digest)

    def _patch(self, attributes: Attributes) -> Steps:
        """Refuse: a page cannot be changed in place."""
        if attributes.get("filename", "").upper() == "DISK":
            raise RefusedError("ERROR: patch is not supported on NAND")
        yield self.response("ACK")

    def _fixgpt(self, _: Attributes) -> Steps:
        """Refuse: NAND has no GPT."""
        yield from ()
        raise RefusedError("ERROR: G Failed to fix the GPT for LUN/PhyPart 0")


def _good_pages(nand: NandLun, start: int, last: int) -> Iterator[int]:
    """Yield the pages of good blocks from start to last."""
    return (page for page in range(start, last + 1) if not nand.is_bad(page))
