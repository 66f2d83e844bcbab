# SPDX-License-Identifier: BSD-3-Clause
"""How the virtual boot ROM fetches an image: which bytes it asks for, and what it checks when.

The order is that of real phones (qdl PR#36, openpst/sahara#10): ELF header, program headers, hash
segment, which is authenticated at once, then the segments in the order of their headers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from edl.errors import DocumentError
from edl.formats import elf
from edl.units import MIB
from edl.virtual.link import Request
from edl.virtual.verifier import (
    SBL80_HEADER_BYTES,
    Fuses,
    Hashes,
    RefusedError,
    Sbl80Header,
    Status,
    authenticate,
    check_sbl80,
)

_MAX_HASH_SEGMENT_BYTES = 0x10000
_MAX_SEGMENT_BYTES = 64 * MIB

Reading = Generator[Request, Any, bytes]
Read = Callable[[int, int], Reading]


class ImageKind(enum.Enum):
    """What kind of image a boot ROM loads; the old ones ask with 32-bit numbers.

    An image of several ELF files mixes both widths: its ROM is an ELF64 one.
    """

    SBL80 = "80-byte header"
    ELF32 = "ELF of 32 bits"
    ELF64 = "ELF of 64 bits"


@dataclass(frozen=True)
class LoadedImage:
    """An image that was accepted. segments: what lies where in memory now."""

    image_id: int
    entry: int
    segments: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class Loader:
    """Fetches one image.

    parts: ELF images in a row that it is made of. sw_ids: kinds that may start here, None for any.
    read(offset, length): gives its bytes.
    """

    fuses: Fuses
    kind: ImageKind
    parts: int
    load_range: tuple[int, int]
    sw_ids: frozenset[int] | None
    read: Read

    def load(self, image_id: int) -> Generator[Request, Any, LoadedImage]:
        """Fetch and check the image.

        Raises:
            RefusedError: it may not run.
        """
        if self.kind is ImageKind.SBL80:
            return (yield from self._load_sbl80(image_id))
        segments: list[tuple[int, bytes]] = []
        kinds: set[int] = set()
        entry = offset = 0
        for _ in range(self.parts):
            part, hashes = yield from self._load_headers(offset)
            if hashes:
                kinds.add(hashes.sw_id)
            for index, segment in enumerate(part.segments):
                if segment.type != elf.PT_LOAD or index == part.hash_index:
                    continue
                size = max(segment.memory_bytes, segment.file_bytes)
                self._check_destination(segment.physical_address, size)
                data = yield from self.read(offset + segment.offset, segment.file_bytes)
                if hashes and data:
                    hashes.check(index, data)
                segments.append((segment.physical_address, data))
            entry = part.header.entry
            offset += part.end
        if self.fuses.secure_boot and self.sw_ids is not None and not kinds & self.sw_ids:
            raise RefusedError(Status.HASH_TABLE_AUTH_FAILURE, "it is of another kind")
        return LoadedImage(image_id, entry, tuple(segments))

    def _load_headers(self, offset: int) -> Generator[Request, Any, tuple[elf.Elf, Hashes | None]]:
        """Fetch the headers of one ELF image and its hash segment.

        Returns:
            The image, and its hashes; None where the ROM needs none.
        """
        bits = 32 if self.kind is ImageKind.ELF32 else 64
        head = yield from self.read(offset, elf.HEADER_BYTES[bits])
        try:
            header = elf.read_header(head)
        except DocumentError as error:
            raise RefusedError(Status.INVALID_ELF_HDR, str(error)) from error
        if header.bits != bits and self.parts == 1:
            raise RefusedError(Status.INVALID_ELF_HDR, f"it is an ELF of {header.bits} bits")
        if not 1 <= header.rows <= elf.MAX_SEGMENTS:
            raise RefusedError(Status.UNSUPPORTED_NUM_PHDRS, f"{header.rows} program headers")
        table = yield from self.read(offset + header.table_offset, header.table_bytes)
        try:
            part = elf.Elf.of(header, elf.read_segments(header, table))
        except DocumentError as error:
            raise RefusedError(Status.INVALID_PHDR_SIZE, str(error)) from error
        if not self.fuses.secure_boot:
            return part, None
        if part.hash_index is None:
            if offset == 0 and self.parts > 1:
                return part, None  # the plain first part of a loader of several
            raise RefusedError(Status.HASH_TABLE_NOT_FOUND, "there is no hash segment")
        place = part.segments[part.hash_index]
        if place.file_bytes > _MAX_HASH_SEGMENT_BYTES:
            raise RefusedError(Status.INVALID_IMG_HASH_TABLE_SIZE, "the hash segment is too large")
        hash_segment = yield from self.read(offset + place.offset, place.file_bytes)
        headers = head[: header.header_bytes] + table
        return part, authenticate(self.fuses, headers, header.rows, hash_segment)

    def _check_destination(self, address: int, size: int) -> None:
        first, end = self.load_range
        if not first <= address <= address + size <= end or size > _MAX_SEGMENT_BYTES:
            raise RefusedError(Status.INVALID_DEST_ADDR, f"{size} bytes at {address:#x}")

    def _load_sbl80(self, image_id: int) -> Generator[Request, Any, LoadedImage]:
        head = yield from self.read(0, SBL80_HEADER_BYTES)
        header = Sbl80Header.read(head)
        self._check_destination(header.address, header.size_bytes)
        body = yield from self.read(SBL80_HEADER_BYTES, header.size_bytes)
        check_sbl80(self.fuses, head + body, self.sw_ids)
        code = body[: header.code_bytes]
        return LoadedImage(image_id, header.address, ((header.address, code),))
