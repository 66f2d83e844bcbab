# SPDX-License-Identifier: BSD-3-Clause
"""NAND flash of a virtual modem: pages, erase blocks, bad blocks, and no overwriting.

What the chip itself does, as data sheets of SLC NAND say: an erase sets all bits of a block; a
program can only clear bits, so that a page which is programmed twice holds the bits that both had
set, and its error correction no longer fits: it cannot be read until its block is erased. Factory
bad blocks take neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edl.virtual.lun import Lun
from edl.virtual.storage import FlashProduct, StorageError

FILLER = 0xEE  # what programmers give for a block that they do not read: firehose.md 10
_DEVICE_FAIL = 2  # as in `Write Failed sector 0, size 0 result 2`
_ERASED, _PROGRAMMED, _SPOILT = 0, 1, 2  # of a page; new memory is zeros

BadReads = Literal["filler", "skip", "fail"]


@dataclass(frozen=True)
class NandChip:
    """A chip.

    Attributes:
        page_bytes: 2048 or 4096; the sector of its programmer.
        pages_per_block: pages that are erased together.
        bad: numbers of the erase blocks that were bad when it left the factory, or became so.
        bad_reads: what its programmer makes of reads that meet a bad block: bytes 0xEE in its
            place; the next good block in its place; or a failure.
    """

    page_bytes: int = 4096
    pages_per_block: int = 64
    bad: frozenset[int] = frozenset()
    bad_reads: BadReads = "filler"


class BadBlockError(StorageError):
    """The chip does not program or erase this block, or a page of it cannot be corrected.

    Attributes:
        where: which block or page.
    """

    def __init__(self, where: str) -> None:
        super().__init__(_DEVICE_FAIL, _DEVICE_FAIL)
        self.where = where


def product(chip: NandChip) -> FlashProduct:
    """Return what the chip's programmer tells of it."""
    return FlashProduct("NAND", 0x2C, "VIRTUALNAND", pages_per_block=chip.pages_per_block)


class NandLun(Lun):
    """All pages of a chip. Sectors are pages."""

    def __init__(self, chip: NandChip, pages: int, folder: Path | None = None) -> None:
        super().__init__(pages, chip.page_bytes, None if folder is None else folder / "nand.img")
        self.chip = chip
        # what the spare areas tell: one byte a page
        self._pages = Lun(pages, 1, None if folder is None else folder / "nand-pages.img")

    @property
    def blocks(self) -> int:
        """Number of erase blocks."""
        return self.sectors // self.chip.pages_per_block

    def block_of(self, page: int) -> int:
        """Return the number of the erase block that page lies in."""
        return page // self.chip.pages_per_block

    def is_bad(self, page: int) -> bool:
        """Tell whether page lies in a bad block."""
        return self.block_of(page) in self.chip.bad

    def read(self, start: int, count: int) -> bytes:
        """Return count pages from page start on; erased ones are 0xFF.

        Raises:
            BadBlockError: a page was programmed twice, or lies in a bad block: its errors cannot be
                corrected.
        """
        if bad := next((page for page in range(start, start + count) if self.is_bad(page)), None):
            raise BadBlockError(f"page {bad}")
        states = self._pages.read(start, count)
        if _SPOILT in states:
            raise BadBlockError(f"page {start + states.index(_SPOILT)}")
        data = bytearray(super().read(start, count))
        size = self.sector_bytes
        for index, state in enumerate(states):
            if state == _ERASED:
                data[index * size : (index + 1) * size] = b"\xff" * size
        return bytes(data)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Program data, whole pages, from page start on.

        Raises:
            BadBlockError: a block is bad.
        """
        size, view = self.sector_bytes, memoryview(data)
        for index in range(len(view) // size):
            page = start + index
            if self.is_bad(page):
                raise BadBlockError(f"block {self.block_of(page)}")
            self._program(page, bytes(view[index * size : (index + 1) * size]))

    def _program(self, page: int, data: bytes) -> None:
        state = _PROGRAMMED
        if self._pages.read(page, 1) != bytes((_ERASED,)):
            there = int.from_bytes(super().read(page, 1))
            data, wanted = (int.from_bytes(data) & there).to_bytes(len(data)), data
            state = _PROGRAMMED if data == wanted else _SPOILT
        super().write(page, data)
        self._pages.write(page, bytes((state,)))

    def erase(self, start: int, count: int) -> None:
        """Erase whole blocks.

        Raises:
            ValueError: the range is no whole blocks.
            BadBlockError: a block is bad.
        """
        pages = self.chip.pages_per_block
        if start % pages or count % pages:
            raise ValueError(f"{count} pages from {start} on are no whole blocks")
        for page in range(start, start + count, pages):
            if self.is_bad(page):
                raise BadBlockError(f"block {self.block_of(page)}")
            super().erase(page, pages)
            self._pages.erase(page, pages)

    def flush(self) -> None:
        """Bring the files to the computer's own storage."""
        super().flush()
        self._pages.flush()

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._pages.close()
