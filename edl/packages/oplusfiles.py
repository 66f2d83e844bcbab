# SPDX-License-Identifier: BSD-3-Clause
"""The files of OnePlus' and Oppo's containers: where they lie, deciphered, held to their sums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from edl.chunks import BytesContent, Content, read_all
from edl.contents import Joined, Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import ofp, ops
from edl.formats.checked import Checked, Pieces, Sum
from edl.formats.ofp import OfpKey
from edl.formats.oplussettings import Settings, Source
from edl.formats.ops import Container, OpsKey
from edl.formats.streams import Stream
from edl.streamed import StreamContent
from edl.units import MIB

_OPS_PADDING = 0x1000  # sums of ops files count zeros in, up to a multiple of that
_MAX_LOADER_BYTES = 16 * MIB


@dataclass(frozen=True)
class Box:
    """A container. key: that opens it, if there is one. plain: nothing in it is encrypted."""

    file: File
    container: Container
    key: OpsKey | OfpKey | None
    plain: bool

    def readable(self, source: Source) -> bool:
        """Tell whether source can be read: loaders only with the key."""
        return self.plain or self.key is not None or not source.is_loader


def member_name(sources: Mapping[str, Source], source: Source) -> str:
    """Return the name by which rows find source: files of two projects may have the same."""
    first = sources.get(source.name)
    same = first is None or (first.page, first.size_bytes) == (source.page, source.size_bytes)
    return source.name if same else f"{source.name}@{source.page}"


def by_name(settings: Settings) -> dict[str, Source]:
    """Return the files of settings by the names that rows use."""
    found: dict[str, Source] = {}
    for source in settings.sources:
        found.setdefault(member_name(found, source), source)
    return found


def contained(box: Box, settings: Settings) -> dict[str, File]:
    """Return the files of box by the names that rows use.

    Raises:
        PackageError: they do not lie within it.
    """
    return {
        name: _file(box, name, source, settings.is_ops)
        for name, source in by_name(settings).items()
        if source.page is not None and source.size_bytes and box.readable(source)
    }


def unpacked(settings: Settings, files: Mapping[str, File]) -> dict[str, File]:
    """Return files, which another tool has unpacked, held to the sums that settings has."""
    found: dict[str, File] = {}
    for name, source in by_name(settings).items():
        try:
            file = files[name]
        except KeyError:
            continue  # told when a row wants it
        direct = partial(_same, file.content)
        content = _checked(file.name, file.size_bytes, direct, source, is_ops=settings.is_ops)
        found[name] = File(file.name, content, None, file.stamp)
    return found


def _same(content: Content) -> Content:
    return content


def _file(box: Box, name: str, source: Source, is_ops: bool) -> File:
    offset = (source.page or 0) * box.container.page_bytes
    if offset + source.size_bytes > box.file.size_bytes:
        raise PackageError(
            f"{box.file.name} is cut off or damaged: {source.name} should lie at byte {offset}"
            f" and have {source.size_bytes} bytes.",
            remedies=("Download it again: what is there is not whole.",),
        )
    title = f"{box.file.name}/{name}"
    direct: Callable[[], Content] = partial(_deciphered, box, source, offset)
    if source.is_loader:  # small, slow to decipher, and wanted several times
        direct = cache(direct)
    content = _checked(title, source.size_bytes, direct, source, is_ops=is_ops)
    return File(title, content, None, box.file.stamp)


def _deciphered(box: Box, source: Source, offset: int) -> Content:
    """Return source in plain.

    Raises:
        DocumentError: it is a loader larger than any.
    """
    whole = Slice(box.file.content, offset, source.size_bytes)
    if box.plain or box.key is None or source.is_plain:
        return whole
    if isinstance(box.key, OpsKey):
        if not source.is_loader:
            return whole
        _require_small(source)
        return BytesContent(ops.decipher(read_all(whole, 0, whole.size_bytes), box.key))
    if source.is_loader:
        _require_small(source)
    limit = source.size_bytes if source.is_loader else ofp.ENCRYPTED_BYTES
    first = min(limit, source.size_bytes)
    head = BytesContent(ofp.decipher(read_all(whole, 0, first), box.key))
    return Joined((head, Slice(whole, first, source.size_bytes - first)))


def _require_small(source: Source) -> None:
    if source.size_bytes > _MAX_LOADER_BYTES:
        raise DocumentError(f"a loader has no {source.size_bytes} bytes")


def _checked(
    name: str, size_bytes: int, direct: Callable[[], Content], source: Source, *, is_ops: bool
) -> StreamContent:
    sums = _sums(source, is_ops=is_ops)

    def start() -> Stream:
        return Checked(Pieces(direct()), size_bytes, sums)

    return StreamContent(name, size_bytes, start, direct)


def _sums(source: Source, *, is_ops: bool) -> list[Sum]:
    """Return what source is held to; the sums of sparse files in ops are of something else."""
    if is_ops:
        wanted = bytes.fromhex(source.sha256) if not source.sparse else b""
        return [Sum("SHA-256", hashlib.sha256, wanted, 0, _OPS_PADDING)] if wanted else []
    # Oppo's sums are either of the part that is encrypted, or of all.
    kinds = (("SHA-256", hashlib.sha256, source.sha256), ("MD5", _md5, source.md5))
    for name, make, digits in kinds:
        if digits:
            wanted = bytes.fromhex(digits)
            return [Sum(name, make, wanted, first) for first in (0, ofp.ENCRYPTED_BYTES)]
    return []


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
