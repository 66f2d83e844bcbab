# SPDX-License-Identifier: BSD-3-Clause
"""A finished backup on this computer: what is in it, and whether it is still whole."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edl.chunks import Content, FileContent, read_all
from edl.errors import CancelledError, DocumentError, ImageError
from edl.events import BytesMoved, Emit, ignore
from edl.formats import gpt, manifest
from edl.formats.gpt import Gpt
from edl.formats.manifest import Compression, Extent, Kind, LunRecord, Manifest, State
from edl.formats.seekable import SeekableContent

MANIFEST = "manifest.json"
UNFINISHED = "manifest.json.partial"


@dataclass(frozen=True)
class Damage:
    """A block of a backup that is not what its manifest says. problem: why it cannot be read."""

    lun: int
    extent: Extent
    start_sector: int
    sectors: int
    problem: str = ""


@dataclass(frozen=True)
class Backup:
    """A backup in folder."""

    folder: Path
    manifest: Manifest

    @cached_property
    def size_bytes(self) -> int:
        """How much data of the phone it holds."""
        unit = self.manifest.storage.sector_bytes
        return sum(extent.sectors for _, extent in self.extents()) * unit

    def extents(self) -> Iterator[tuple[LunRecord, Extent]]:
        """Yield every extent that has data, with its LUN, in order."""
        for lun in self.manifest.luns:
            for extent in lun.extents:
                if extent.file is not None:
                    yield lun, extent

    def content(self, extent: Extent) -> Content:
        """Return the bytes of extent; sectors that could not be read are zeros.

        Raises:
            ImageError: the backup does not hold it.
        """
        if extent.file is None:
            raise ImageError(absent(extent))
        size = extent.sectors * self.manifest.storage.sector_bytes
        path, offset = self.folder / extent.file, extent.file_offset_bytes
        if self.manifest.compression is Compression.ZSTD:
            return SeekableContent(path, size, offset)
        return FileContent(path, offset, size, size)

    def table(self, lun: LunRecord) -> Gpt | None:
        """Return the partition table of lun as it was: a whole copy before a damaged one."""
        found = []
        for kind, backup in ((Kind.GPT_PRIMARY, False), (Kind.GPT_BACKUP, True)):
            for extent in lun.extents:
                if extent.kind is kind and extent.file is not None:
                    found += self._table(extent, backup=backup)
        whole = [table for table in found if table.header_crc_ok and table.entries_crc_ok]
        return next(iter(whole or found), None)

    def _table(self, extent: Extent, *, backup: bool) -> list[Gpt]:
        content, unit = self.content(extent), self.manifest.storage.sector_bytes
        size = min(content.size_bytes, gpt.MAX_ENTRIES * unit)
        try:
            data = read_all(content, content.size_bytes - size if backup else 0, size)
            return [gpt.parse(data, unit, backup=backup)]
        except DocumentError:
            return []

    def blocks(self, extent: Extent) -> Iterator[tuple[int, int, bytes]]:
        """Yield offset in the extent, size (both in bytes) and SHA-256 of each block."""
        size = extent.sectors * self.manifest.storage.sector_bytes
        step = self.manifest.storage.block_bytes
        for offset, digest in zip(range(0, size, step), extent.sha256, strict=True):
            yield offset, min(step, size - offset), digest

    def verify(
        self,
        extents: Iterable[tuple[LunRecord, Extent]] | None = None,
        *,
        emit: Emit = ignore,
        cancel: threading.Event | None = None,
    ) -> tuple[Damage, ...]:
        """Read extents (all that have data) and compare them with the manifest.

        Raises:
            CancelledError: stopped by cancel.
        """
        unit = self.manifest.storage.sector_bytes
        found = []
        for lun, extent in self.extents() if extents is None else extents:
            content = self.content(extent)
            for offset, size, digest in self.blocks(extent):
                if cancel is not None and cancel.is_set():
                    raise CancelledError("Stopped as you asked; nothing was changed.")
                problem = _problem(content, offset, size, digest)
                emit(BytesMoved(size))
                if problem is not None:
                    start = extent.start_sector + offset // unit
                    found.append(Damage(lun.lun, extent, start, size // unit, problem))
        return tuple(found)


def absent(extent: Extent) -> str:
    """Return why the backup has no data of extent."""
    why = "nobody asked for it" if extent.state is State.SKIPPED else "the programmer hid it"
    return f"The backup does not hold '{extent.name}': {why} when it was made."


def is_backup(path: Path) -> bool:
    """Tell whether path looks like a backup: a folder with a manifest, or a manifest.

    An unfinished one looks like it too; `open_backup` says what it lacks.
    """
    return path.name == MANIFEST or any((path / name).is_file() for name in (MANIFEST, UNFINISHED))


def open_backup(path: Path) -> Backup:
    """Return the backup in the folder at path (or with the manifest at path).

    Its files are there and as long as they must be; `verify` tells whether they are whole.

    Raises:
        DocumentError: there is no manifest that can be understood.
        ImageError: it is no finished backup, or a file of it is missing or too short.
    """
    folder = path.parent if path.name == MANIFEST else path
    backup = Backup(folder, read_manifest(folder / MANIFEST))
    unit = backup.manifest.storage.sector_bytes
    needed: dict[str, int] = {}
    for _, extent in backup.extents():
        name = str(extent.file)
        end = extent.file_offset_bytes + extent.sectors * unit
        needed[name] = max(needed.get(name, 0), end)
    for name, size in needed.items():
        if _held(folder / name, backup.manifest.compression) < size:
            raise ImageError(f"{folder / name} is too short: the backup is damaged.")
    return backup


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in the file at path.

    Raises:
        DocumentError: it cannot be understood.
        ImageError: it is not there, because this is no backup or an unfinished one.
    """
    try:
        with path.open("rb") as file:
            text = file.read(manifest.MAX_BYTES + 1)
    except OSError as error:
        folder = path.parent
        if path.name == MANIFEST and (folder / UNFINISHED).is_file():
            raise ImageError(
                f"The backup in {folder} is not finished.",
                remedies=(f"Go on with it: edl backup {folder} --resume",),
            ) from error
        raise ImageError(
            f"{folder} holds no backup: {path.name} cannot be read: {error.strerror}."
        ) from error
    return manifest.parse(text, str(path))


def _held(path: Path, compression: Compression) -> int:
    """Return how many bytes the file at path holds, unpacked."""
    if not path.is_file():
        raise ImageError(f"{path} is missing: the backup is damaged.")
    if compression is Compression.ZSTD:
        return SeekableContent.whole(path).size_bytes
    return path.stat().st_size


def _problem(content: Content, offset: int, size: int, digest: bytes) -> str | None:
    found = hashlib.sha256()
    try:
        for chunk in content.chunks(offset, size):
            found.update(chunk)
    except ImageError as error:
        return error.message
    return None if found.digest() == digest else "The data is not what was saved."
