# SPDX-License-Identifier: BSD-3-Clause
"""What happens at power-on with what is on the storage: would this phone start?

It looks at what a boot ROM and the first boot loader need: sound partition tables and an intact
first boot loader. GPT: UEFI specification 2.10, chapter 5. Which partition the boot ROM starts:
the first of the boot loader's type, corpus-analysis.md 11; on UFS in the LUN chosen by
bBootLunEn.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from edl.errors import DocumentError
from edl.formats import elf
from edl.virtual.nand import NandLun
from edl.virtual.storage import USER, Storage, StorageError
from edl.wire import Packet, Wire, u32, u64

_SIGNATURE = b"EFI PART"
_MAX_ENTRIES = 1024  # real tables have 128 or fewer
_MAX_ENTRY_BYTES = 4096
_UNUSED = bytes(16)
_BOOT_LOADER_TYPE = uuid.UUID("dea0ba2c-cbdd-4805-b4f9-f428251c3e98").bytes_le
_BOOT_LOADER_NAMES = ("xbl", "xbl_a", "sbl1", "sbl1_a", "xbl_b", "sbl1_b", "aboot", "aboot_a")
_FIRST_BOOT_LUN = 1  # of UFS, where nothing else was chosen
_BLANK_BYTES = 4096  # a partition whose beginning is blank holds no program
_MAX_HASH_SEGMENT_BYTES = 1 << 20
_MAX_IMAGE_BYTES = 64 << 20
_MAX_TABLE_BYTES = 1 << 16


_MIBIB = struct.pack("<II", 0xFE569FAC, 0xCD7F127A)
_FLASH_TABLE = struct.pack("<II", 0x55EE73AA, 0xE35EBDDB)
_MIBIB_BLOCKS = 64


@dataclass(frozen=True)
class BootReport:
    """Whether the phone starts, and everything that stands in its way, in plain sentences."""

    boots: bool
    findings: tuple[str, ...]


class _Header(Packet):
    signature: Annotated[bytes, Wire("8s")]
    revision: u32
    header_bytes: u32
    header_crc: u32
    reserved: u32
    own_sector: u64
    other_sector: u64
    first_usable: u64
    last_usable: u64
    disk_guid: Annotated[bytes, Wire("16s")]
    entries_sector: u64
    entries: u32
    entry_bytes: u32
    entries_crc: u32


class _Entry(Packet):
    type_guid: Annotated[bytes, Wire("16s")]
    guid: Annotated[bytes, Wire("16s")]
    first: u64
    last: u64
    attributes: u64
    raw_name: Annotated[bytes, Wire("72s")]

    @property
    def name(self) -> str:
        """The name, fit for printing."""
        text = self.raw_name.decode("utf-16-le", "replace").split("\0")[0]
        return "".join(letter if letter.isprintable() else "?" for letter in text)


@dataclass(frozen=True)
class _Table:
    header: _Header
    raw_entries: bytes

    @property
    def partitions(self) -> list[_Entry]:
        """The entries in use. An unused one may have a name all the same, such as last_parti."""
        size = self.header.entry_bytes
        entries = (
            _Entry.unpack(self.raw_entries[start : start + _Entry.size()])
            for start in range(0, len(self.raw_entries), size)
        )
        return [entry for entry in entries if entry.type_guid != _UNUSED]


class _FoundError(Exception):
    """Something stands in the way of starting; the message is the finding."""


class _Disk:
    """One LUN as the boot ROM sees it. name: how to call it in findings."""

    def __init__(self, storage: Storage, number: int) -> None:
        self.name = f"LUN {number}"
        self.sector_bytes = storage.sector_bytes
        self.sectors = storage.luns[number].sectors
        self._storage = storage
        self._number = number

    def read(self, start: int, count: int) -> bytes:
        """Return count sectors from start on.

        Raises:
            _FoundError: the flash cannot deliver them.
        """
        try:
            return self._storage.read(self._number, start, count)
        except StorageError:
            raise _FoundError(
                f"{self.name} has a defect: sectors {start} to {start + count - 1} cannot be read."
            ) from None


def boot_check(storage: Storage) -> BootReport:
    """Return whether a phone with this storage would start, and what stands in its way."""
    if isinstance(nand := storage.luns[USER], NandLun):
        return _check_nand(nand)
    is_ufs = storage.kind == "ufs"
    boot_lun = (storage.bootable or _FIRST_BOOT_LUN) if is_ufs else USER
    numbers = [number for number in storage.luns if is_ufs or number == USER]
    recorded, storage.record = storage.record, False
    findings = [
        finding
        for number in numbers
        for finding in _check_lun(
            _Disk(storage, number), boots=number == boot_lun and storage.kind != "nvme"
        )
    ]
    storage.record = recorded
    return BootReport(not findings, tuple(findings))


def _check_nand(nand: NandLun) -> BootReport:
    """Return whether a modem starts: it needs a first boot loader and a table of its flash."""
    pages = nand.chip.pages_per_block
    findings = []
    if nand.is_bad(0) or set(nand.read(0, 1)) == {0xFF}:
        findings.append("There is no first boot loader in the first erase block.")
    if not any(
        not nand.is_bad(page)
        and nand.read(page, 1).startswith(_MIBIB)
        and nand.read(page + 1, 1).startswith(_FLASH_TABLE)
        for page in range(0, min(_MIBIB_BLOCKS * pages, nand.sectors), pages)
    ):
        findings.append("No erase block holds a MIBIB with a partition table.")
    return BootReport(not findings, tuple(findings))


def _check_lun(disk: _Disk, *, boots: bool) -> Iterator[str]:
    copies = []
    last = disk.sectors - 1
    for own, other, place in ((1, last, "beginning"), (last, 1, "end")):
        what = f"The partition table at the {place} of {disk.name}"
        try:
            copy = _read_table(disk, own, what)
        except _FoundError as found:
            yield str(found)
        else:
            copies.append(copy)
            yield from _check_header(copy.header, disk, own, other, what)
    if len(copies) == 2:
        yield from _compare(copies[0], copies[1], disk.name)
    if copies:
        yield from _check_partitions(copies[0], disk.name)
        if boots:
            yield from _check_boot_loader(disk, copies[0])


def _read_table(disk: _Disk, sector: int, what: str) -> _Table:
    """Return the table whose header is in sector.

    Raises:
        _FoundError: there is none, or it is damaged.
    """
    data = disk.read(sector, 1)
    header = _Header.unpack(data[: _Header.size()])
    if header.signature != _SIGNATURE:
        raise _FoundError(f"{what} is missing.")
    if not _Header.size() <= header.header_bytes <= len(data):
        raise _FoundError(f"{what} is damaged: its header has an impossible length.")
    crc_at = 16
    checked = data[:crc_at] + bytes(4) + data[crc_at + 4 : header.header_bytes]
    if zlib.crc32(checked) != header.header_crc:
        raise _FoundError(f"{what} is damaged: the checksum of its header is wrong.")
    return _Table(header, _read_entries(disk, header, what))


def _read_entries(disk: _Disk, header: _Header, what: str) -> bytes:
    possible = (
        1 <= header.entries <= _MAX_ENTRIES
        and _Entry.size() <= header.entry_bytes <= _MAX_ENTRY_BYTES
        and header.entry_bytes % _Entry.size() == 0
    )
    size = header.entries * header.entry_bytes
    sectors = -(-size // disk.sector_bytes)
    if not possible or header.entries_sector + sectors > disk.sectors:
        raise _FoundError(f"{what} is damaged: its list of partitions is impossible.")
    entries = disk.read(header.entries_sector, sectors)[:size]
    if zlib.crc32(entries) != header.entries_crc:
        raise _FoundError(f"{what} is damaged: the checksum of its list of partitions is wrong.")
    return entries


def _check_header(header: _Header, disk: _Disk, own: int, other: int, what: str) -> Iterator[str]:
    """Find contradictions between an intact header and the LUN that it is on."""
    wrong = f"{what} does not fit this storage of {disk.sectors} sectors"
    if header.own_sector != own:
        yield f"{wrong}: it claims to be in sector {header.own_sector}, but is in {own}."
    if header.other_sector != other:
        yield f"{wrong}: it has its copy in sector {header.other_sector} instead of {other}."
    sectors = -(-header.entries * header.entry_bytes // disk.sector_bytes)
    latest = disk.sectors - 2 - sectors
    if not header.first_usable <= header.last_usable <= latest:
        yield (
            f"{wrong}: partitions may lie in sectors {header.first_usable} to "
            f"{header.last_usable}, but the last possible one is {latest}."
        )


def _compare(primary: _Table, backup: _Table, where: str) -> Iterator[str]:
    if primary.raw_entries != backup.raw_entries:
        yield f"The two copies of the partition table of {where} list different partitions."
    if _outline(primary.header) != _outline(backup.header):
        yield f"The two copies of the partition table of {where} describe different disks."


def _outline(header: _Header) -> tuple[bytes, int, int]:
    return header.disk_guid, header.first_usable, header.last_usable


def _check_partitions(table: _Table, where: str) -> Iterator[str]:
    end, previous = 0, ""
    for entry in sorted(table.partitions, key=lambda entry: entry.first):
        name = f"Partition '{entry.name}' of {where}"
        if entry.last < entry.first:
            yield f"{name} has no size: it ends in sector {entry.last}, before it begins."
            continue
        if entry.first < table.header.first_usable or entry.last > table.header.last_usable:
            yield (
                f"{name} lies in sectors {entry.first} to {entry.last}, partly outside of what "
                f"partitions may use."
            )
        if previous and entry.first <= end:
            yield f"{name} overlaps partition '{previous}'."
        if entry.last >= end:
            end, previous = entry.last, entry.name


def _check_boot_loader(disk: _Disk, table: _Table) -> Iterator[str]:
    entry = _boot_loader(table.partitions)
    if entry is None:
        yield f"{disk.name} has no partition for the first boot loader (xbl or sbl1)."
    elif entry.last < entry.first or entry.last >= disk.sectors:
        yield f"The first boot loader cannot be read: its partition '{entry.name}' is impossible."
    else:
        try:
            _check_image(_Bytes(disk, entry.first, entry.last))
        except (_FoundError, DocumentError) as found:
            yield f"The first boot loader in partition '{entry.name}' cannot start: {found}"


def _boot_loader(partitions: list[_Entry]) -> _Entry | None:
    for entry in partitions:
        if entry.type_guid == _BOOT_LOADER_TYPE:
            return entry
    by_name = {entry.name: entry for entry in partitions}
    return next((by_name[name] for name in _BOOT_LOADER_NAMES if name in by_name), None)


class _Bytes:
    """The bytes of a partition."""

    def __init__(self, disk: _Disk, first: int, last: int) -> None:
        self._disk = disk
        self._first = first
        self.size = (last - first + 1) * disk.sector_bytes

    def read(self, offset: int, size: int) -> bytes:
        """Return size bytes from offset on, or fewer where the partition ends."""
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        sector_bytes = self._disk.sector_bytes
        first = offset // sector_bytes
        data = self._disk.read(self._first + first, -(-end // sector_bytes) - first)
        start = first * sector_bytes
        return data[offset - start : end - start]


def _check_image(data: _Bytes) -> None:
    """Check that there is an image, and where it is a signed ELF image, every hash in it.

    Raises:
        _FoundError: there is none, or a segment differs from its hash or is cut off.
        DocumentError: the ELF header cannot be read.
    """
    head = data.read(0, _BLANK_BYTES)
    if not head.strip(b"\0") or not head.strip(b"\xff"):
        raise _FoundError("The partition is blank.")
    if not head.startswith(elf.MAGIC):
        return
    header = elf.read_header(head)
    table_bytes = min(header.table_bytes, _MAX_TABLE_BYTES)
    segments = elf.read_segments(header, data.read(header.table_offset, table_bytes))
    hash_index = next((i for i, s in enumerate(segments) if s.kind is elf.SegmentKind.HASH), None)
    if hash_index is None:
        return
    place = segments[hash_index]
    digests = _hash_table(
        data.read(place.offset, min(place.file_bytes, _MAX_HASH_SEGMENT_BYTES)), len(segments)
    )
    for index, (segment, digest) in enumerate(zip(segments, digests, strict=True)):
        if index == hash_index or not segment.file_bytes:
            continue
        if segment.end > min(data.size, _MAX_IMAGE_BYTES):
            raise _FoundError("It is larger than its partition.")
        content = data.read(segment.offset, segment.file_bytes)
        if hashlib.new({32: "sha256", 48: "sha384"}[len(digest)], content).digest() != digest:
            raise _FoundError(f"Segment {index} differs from its hash.")


def _hash_table(segment: bytes, count: int) -> list[bytes]:
    """Return the count digests in a hash segment: mbn.md 3.2."""
    words = [int.from_bytes(segment[at : at + 4], "little") for at in range(0, 48, 4)]
    start = 40
    match words[1]:
        case 6:
            start = 48 + words[10] + words[11]
        case 7:
            start = 40 + words[2] + words[3] + words[4]
    table = segment[start : start + words[5]]
    size, rest = divmod(len(table), count)
    if size not in {32, 48} or rest or len(table) != words[5]:
        raise _FoundError("Its table of hashes is impossible.")
    return [table[at : at + size] for at in range(0, len(table), size)]
