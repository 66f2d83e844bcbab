# SPDX-License-Identifier: BSD-3-Clause
"""`payload.bin` of updates over the air: images of partitions as operations on blocks.

Facts: AOSP update_engine, update_metadata.proto and payload_metadata.cc. Numbers in front of the
manifest are big-endian. A full payload makes each image out of its own bytes alone; a delta needs
the very images that it was made for, and is recognised, not read.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from edl.chunks import CHUNK_BYTES, Content, FillContent, read_all
from edl.errors import DocumentError
from edl.formats.protobuf import Message
from edl.formats.streams import Budget, FileStream, Unpacked, take
from edl.units import MIB
from edl.wire import OpenEnum

MAGIC = b"CrAU"
_HEADER = struct.Struct(">4sQQI")
_VERSION = 2
_MAX_MANIFEST_BYTES = 16 * MIB  # full ones have less than 1 MiB
_MAX_SIGNATURE_BYTES = MIB
_MAX_PARTITIONS = 512
_MAX_OPERATIONS = 100_000  # of 2 MiB each as a rule
_MAX_EXTENTS = 200_000
_MAX_OPERATION_BYTES = 64 * MIB  # what is unpacked at once
_MAX_PARTITION_BYTES = 1 << 41
_BLOCKS = {512 << shift for shift in range(8)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,71}", re.ASCII)
_DIGEST_BYTES = 32


class OperationKind(OpenEnum):
    """How an operation makes its blocks; only those of WHOLE need nothing but the payload."""

    REPLACE = 0
    REPLACE_BZ = 1
    MOVE = 2
    BSDIFF = 3
    SOURCE_COPY = 4
    SOURCE_BSDIFF = 5
    ZERO = 6
    DISCARD = 7
    REPLACE_XZ = 8
    PUFFDIFF = 9
    BROTLI_BSDIFF = 10
    ZUCCHINI = 11
    LZ4DIFF_BSDIFF = 12
    LZ4DIFF_PUFFDIFF = 13
    REPLACE_ZSTD = 14


_MAGICS = {
    OperationKind.REPLACE_BZ: b"BZh",
    OperationKind.REPLACE_XZ: b"\xfd7zXZ\0",
    OperationKind.REPLACE_ZSTD: b"\x28\xb5\x2f\xfd",
}
_BLANK = {OperationKind.ZERO, OperationKind.DISCARD}
WHOLE = {OperationKind.REPLACE, *_MAGICS, *_BLANK}


@dataclass(frozen=True)
class Operation:
    """What makes some blocks of an image.

    offset, length: its data in the file. extents: where what comes out of them goes, in order, as
    (first block, blocks). sha256: of the data, or empty.
    """

    kind: OperationKind
    offset: int
    length: int
    extents: tuple[tuple[int, int], ...]
    sha256: bytes

    @property
    def blocks(self) -> int:
        """How many blocks it makes."""
        return sum(blocks for _, blocks in self.extents)


@dataclass(frozen=True)
class PartitionUpdate:
    """One partition of a payload. sha256: of its whole image, or empty."""

    name: str
    size_bytes: int
    sha256: bytes
    operations: tuple[Operation, ...]

    @property
    def foreign_kinds(self) -> tuple[str, ...]:
        """Kinds of operations that need what only the phone has, or that nobody knows."""
        kinds = {operation.kind for operation in self.operations} - WHOLE
        return tuple(
            kind.name if kind.known else f"unknown operation {kind.value}" for kind in sorted(kinds)
        )


@dataclass(frozen=True)
class PayloadGroup:
    """Logical partitions that share an amount of room; names have no slot."""

    name: str
    maximum_bytes: int
    partitions: tuple[str, ...]


@dataclass(frozen=True)
class Payload:
    """What the manifest says.

    minor_version: 0 for a full payload. partial: other partitions keep their contents.
    metadata_bytes, metadata_sha256: of header and manifest, as payload_properties.txt tells them.
    """

    block_bytes: int
    minor_version: int
    partial: bool
    partitions: tuple[PartitionUpdate, ...]
    groups: tuple[PayloadGroup, ...]
    patch_level: str
    metadata_bytes: int
    metadata_sha256: bytes

    @property
    def delta(self) -> str:
        """Why it cannot be written without what is on the phone; empty for a full payload."""
        kinds = sorted({kind for each in self.partitions for kind in each.foreign_kinds})
        if kinds:
            return f"it has operations of the kind {', '.join(kinds[:4])}"
        return f"its minor version is {self.minor_version}" if self.minor_version else ""


def is_payload(head: bytes) -> bool:
    """Return whether a file that begins with head is a payload."""
    return head.startswith(MAGIC)


def read(content: Content) -> Payload:
    """Return what the manifest of the payload in content says.

    Raises:
        DocumentError: it is damaged, cut off, or of another version.
        ImageError: it cannot be read.
    """
    head = read_all(content, 0, min(_HEADER.size, content.size_bytes))
    if len(head) < _HEADER.size or not is_payload(head):
        raise DocumentError("It is no payload of an update.")
    _, version, manifest_bytes, signature_bytes = _HEADER.unpack(head)
    if version != _VERSION:
        raise DocumentError(f"It is a payload of the unknown version {version}.")
    if manifest_bytes > _MAX_MANIFEST_BYTES or signature_bytes > _MAX_SIGNATURE_BYTES:
        raise DocumentError("Its manifest is larger than any honest one.")
    metadata_bytes = _HEADER.size + manifest_bytes
    base = metadata_bytes + signature_bytes
    if base > content.size_bytes:
        raise DocumentError("It is cut off: its manifest is not whole.")
    raw = read_all(content, 0, metadata_bytes)
    manifest = Message(memoryview(raw)[_HEADER.size :])
    groups = manifest.message(15)
    return Payload(
        block_bytes=_block_bytes(manifest),
        minor_version=manifest.number(12),
        partial=bool(manifest.number(16)),
        partitions=_Reader(base, content.size_bytes, _block_bytes(manifest)).partitions(manifest),
        groups=tuple(
            PayloadGroup(_name(group), group.number(2), tuple(group.texts(3)))
            for group in groups.messages(1)
        ),
        patch_level=manifest.text(18),
        metadata_bytes=metadata_bytes,
        metadata_sha256=hashlib.sha256(raw).digest(),
    )


def _block_bytes(manifest: Message) -> int:
    size = manifest.number(3, 4096)
    if size not in _BLOCKS:
        raise DocumentError(f"It has blocks of {size} bytes.")
    return size


def _name(message: Message) -> str:
    name = message.text(1)
    if not _NAME.fullmatch(name):
        raise DocumentError("It has a partition or a group with a name that none can have.")
    return name


def _digest(message: Message, field_number: int) -> bytes:
    digest = message.raw(field_number)
    if len(digest) not in {0, _DIGEST_BYTES}:
        raise DocumentError(f"It has a SHA-256 of {len(digest)} bytes.")
    return digest


class _Reader:
    """Takes partitions out of a manifest; counts what there is of everything."""

    def __init__(self, base: int, size_bytes: int, block_bytes: int) -> None:
        self._base = base
        self._size_bytes = size_bytes
        self._block_bytes = block_bytes
        self._operations = 0
        self._extents = 0

    def partitions(self, manifest: Message) -> tuple[PartitionUpdate, ...]:
        found: dict[str, PartitionUpdate] = {}
        for message in manifest.messages(13):
            partition = self._partition(message)
            if partition.name in found or len(found) == _MAX_PARTITIONS:
                raise DocumentError(f"It has '{partition.name}' twice, or too many partitions.")
            found[partition.name] = partition
        return tuple(found.values())

    def _partition(self, message: Message) -> PartitionUpdate:
        name, told = _name(message), message.message(7)
        size = told.number(1)
        if size > _MAX_PARTITION_BYTES:
            raise DocumentError(f"'{name}' is said to have {size} bytes.")
        operations = tuple(self._operation(each, name, size) for each in message.messages(8))
        partition = PartitionUpdate(name, size, _digest(told, 2), operations)
        if not partition.foreign_kinds:  # a delta may read and write as it likes
            _require_apart(partition)
        return partition

    def _operation(self, message: Message, name: str, size_bytes: int) -> Operation:
        self._operations += 1
        extents = []
        blocks = -(-size_bytes // self._block_bytes)
        for extent in message.messages(6):
            first, count = extent.number(1), extent.number(2)
            if count > blocks or first > blocks - count:
                raise DocumentError(f"'{name}' has blocks beyond its {size_bytes} bytes.")
            self._extents += 1
            self._require_few()
            if count:
                extents.append((first, count))
        self._require_few()
        kind = OperationKind(message.number(1))
        offset, length = self._base + message.number(2), message.number(3)
        if kind in _BLANK:
            offset = length = 0
        if offset + length > self._size_bytes:
            raise DocumentError(f"It is cut off: data of '{name}' lie behind its end.")
        found = Operation(kind, offset, length, tuple(extents), _digest(message, 8))
        made = 0 if kind in _BLANK else found.blocks * self._block_bytes
        if kind in WHOLE and max(made, length) > _MAX_OPERATION_BYTES:
            raise DocumentError(f"'{name}' has an operation of {max(made, length)} bytes.")
        return found

    def _require_few(self) -> None:
        if self._operations > _MAX_OPERATIONS or self._extents > _MAX_EXTENTS:
            raise DocumentError("It has more operations than any honest one.")


def _require_apart(partition: PartitionUpdate) -> None:
    """Refuse operations that make the same block: what is there then depends on their order."""
    extents = sorted(extent for each in partition.operations for extent in each.extents)
    for (first, count), (following, _) in itertools.pairwise(extents):
        if following < first + count:
            raise DocumentError(f"'{partition.name}' has blocks that are made twice.")


@dataclass
class _Source:
    """Data of operations, checked and unpacked; the last one is kept for who goes on in it."""

    content: Content
    block_bytes: int
    _last: tuple[Operation, bytes] | None = None

    def data(self, operation: Operation) -> bytes:
        """Return what operation makes.

        Raises:
            DocumentError: its data are damaged.
        """
        last = self._last
        if last is None or last[0] is not operation:
            last = self._last = (operation, self._made(operation))
        return last[1]

    def _made(self, operation: Operation) -> bytes:
        data = read_all(self.content, operation.offset, operation.length)
        if operation.sha256 and hashlib.sha256(data).digest() != operation.sha256:
            raise DocumentError(f"the SHA-256 of the data at byte {operation.offset} is wrong")
        size = operation.blocks * self.block_bytes
        if magic := _MAGICS.get(operation.kind):
            packed = FileStream(io.BytesIO(data))
            data = take(Unpacked(packed, magic, Budget(len(data))), size + 1)
        if not size - self.block_bytes < len(data) <= size:
            raise DocumentError(f"the data at byte {operation.offset} make no {size} bytes")
        return data.ljust(size, b"\0")  # the last block of a partition may be cut short


class Images:
    """The images of a full payload, which lies in content."""

    def __init__(self, content: Content, payload: Payload) -> None:
        self._source = _Source(content, payload.block_bytes)

    def of(self, partition: PartitionUpdate) -> PartitionImage:
        """Return the image of partition, whose operations are all of WHOLE."""
        return PartitionImage(partition, self._source)


@dataclass(eq=False)
class PartitionImage:
    """The image of a partition as a Content: read anywhere, an operation at a time.

    Blocks that no operation makes are zeros.
    """

    partition: PartitionUpdate
    source: _Source
    # first byte, byte behind the last, operation, and where in what it makes that begins
    _pieces: list[tuple[int, int, Operation, int]] = field(init=False)
    _ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        unit = self.source.block_bytes
        pieces = []
        for operation in self.partition.operations:
            at = 0
            for first, count in operation.extents:
                pieces.append((first * unit, (first + count) * unit, operation, at))
                at += count * unit
        self._pieces = sorted(pieces, key=lambda piece: piece[0])
        self._ends = [piece[1] for piece in self._pieces]

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.partition.size_bytes

    def _within(self, offset: int, length: int) -> Iterator[tuple[int, int, Operation | None, int]]:
        """Yield what a range is made of: begin, end, operation if any, and where in its data."""
        end = offset + length
        index = bisect.bisect_right(self._ends, offset)
        while offset < end:
            piece = self._pieces[index] if index < len(self._pieces) else None
            if piece is None or piece[0] > offset:
                stop = end if piece is None else min(piece[0], end)
                yield offset, stop, None, 0
            else:
                stop = min(piece[1], end)
                blank = piece[2].kind in _BLANK
                yield offset, stop, None if blank else piece[2], piece[3] + offset - piece[0]
                index += 1
            offset = stop

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content.

        Raises:
            DocumentError: data of the payload are damaged.
            ImageError: it cannot be read.
        """
        for start, stop, operation, at in self._within(offset, length):
            if operation is None:
                yield from FillContent(stop - start).chunks(0, stop - start)
                continue
            data = memoryview(self.source.data(operation))[at : at + stop - start]
            for begin in range(0, len(data), CHUNK_BYTES):
                yield data[begin : begin + CHUNK_BYTES]

    def start(self) -> CheckedImage:
        """Return the image from its beginning, as a Stream that checks it at its end."""
        return CheckedImage(self)


class CheckedImage:
    """The bytes of an image in order; the last of them only if the SHA-256 of all is right."""

    def __init__(self, image: PartitionImage) -> None:
        self._image = image
        self._at = 0
        self._hash = hashlib.sha256()

    def read(self, size_bytes: int) -> bytes:
        """See edl.formats.streams.Stream."""
        length = min(size_bytes, self._image.size_bytes - self._at)
        data = b"".join(map(bytes, self._image.chunks(self._at, length)))
        self._hash.update(data)
        self._at += length
        wanted = self._image.partition.sha256
        if self._at == self._image.size_bytes and wanted and self._hash.digest() != wanted:
            raise DocumentError("its SHA-256 is wrong")
        return data

    def skip(self, size_bytes: int) -> None:
        """See edl.formats.streams.Stream."""
        while size_bytes and (data := self.read(min(size_bytes, CHUNK_BYTES))):
            size_bytes -= len(data)
