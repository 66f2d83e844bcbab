# SPDX-License-Identifier: BSD-3-Clause
"""Whether an image is whole: everything in it that can be checked without knowing what it was.

Tables have checksums, boot images have hashes of their segments, vbmeta has digests of partitions,
and the frames of compressed files are checked as they are read.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from edl.chunks import Content, read_all
from edl.contents import SparseContent
from edl.errors import CancelledError, DocumentError, ImageError
from edl.events import BytesMoved, Emit, ignore
from edl.formats import avb, mbn
from edl.formats import super as lp
from edl.formats.gpt import Gpt
from edl.formats.gptcheck import problems
from edl.formats.seekable import SeekableContent
from edl.formats.sparse import SparseKind
from edl.images.disk import DiskImage, LunImage
from edl.images.parts import Logical, Part
from edl.units import MIB, format_size

Verdict = Literal["ok", "bad", "unknown"]

_MAX_BOOT_IMAGE_BYTES = 64 * MIB
_BOOT_IMAGES = {"elf", "mbn"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. what: `LUN 0`, a partition, ...; fact: a sentence."""

    what: str
    verdict: Verdict
    fact: str


def checks(
    image: DiskImage,
    parts: Iterable[Part],
    logical: Logical | None,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> Iterator[Check]:
    """Yield what was found, the container first.

    Raises:
        ImageError: the image cannot be read.
        CancelledError: stopped by cancel.
    """
    known = tuple(parts)
    yield from _container(image, emit, cancel)
    for number, lun in image.luns.items():
        if lun.table is not None:
            yield from _tables(f"LUN {number}", lun)
    if logical is not None:
        yield from _super(logical)
    for part in known:
        _stop(cancel)
        if part.kind.code == "missing" and not part.missing_bytes:
            yield Check(part.label, "unknown", f"It is {part.kind.text}")
        yield from _boot_image(part)
    yield from _digests(known)


def _stop(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("Stopped as you asked; the image is as it was.")


# -- containers ------------------------------------------------------------------------------------


def _container(image: DiskImage, emit: Emit, cancel: threading.Event | None) -> Iterator[Check]:
    opened = image.source
    if opened is None:
        return
    if opened.forms and isinstance(opened.content, SeekableContent):
        yield _read_through(opened.content, emit, cancel)
    elif opened.forms and opened.forms[0] != "sparse":
        yield Check(opened.path.name, "ok", f"The {opened.forms[0]} data could be unpacked.")
    if opened.sparse is not None:
        yield from _sparse(opened.sparse, emit, cancel)


def _read_through(content: Content, emit: Emit, cancel: threading.Event | None) -> Check:
    try:
        for chunk in content.chunks(0, content.size_bytes):
            _stop(cancel)
            emit(BytesMoved(len(chunk)))
    except ImageError as error:
        return Check("zstd", "bad", error.message)
    return Check("zstd", "ok", "All frames could be unpacked.")


def _sparse(content: SparseContent, emit: Emit, cancel: threading.Event | None) -> Iterator[Check]:
    checksums = content.image.checksums
    yield Check(
        "sparse",
        "ok",
        f"The sparse image is complete: {len(content.image.chunks)} chunks,"
        f" {format_size(content.size_bytes)}.",
    )
    if not checksums:
        return
    found = _sparse_crcs(content, emit, cancel)
    right = all(crc in found.get(end, ()) for end, crc in checksums)
    if right:
        yield Check("sparse", "ok", "The checksum of the sparse image is right.")
    else:
        # AOSP's own writer has got them wrong, so this alone proves nothing
        yield Check("sparse", "unknown", "The checksum of the sparse image does not fit its data.")


def _sparse_crcs(
    content: SparseContent, emit: Emit, cancel: threading.Event | None
) -> dict[int, tuple[int, int]]:
    """Return the CRC-32 at the end of each chunk, as two programs count it.

    sparse_format.h counts all bytes, what is left alone as zeros. libsparse leaves that out, and
    counts one block of a run of a repeated word.
    """
    image = content.image
    all_bytes = written = 0
    found = {0: (0, 0)}
    for chunk in image.chunks:
        left = image.block_bytes if chunk.kind is SparseKind.FILL else chunk.length_bytes
        for piece in content.chunks(chunk.offset_bytes, chunk.length_bytes):
            _stop(cancel)
            all_bytes = zlib.crc32(piece, all_bytes)
            if chunk.kind is not SparseKind.DONT_CARE and left:
                written = zlib.crc32(piece[:left], written)
                left -= min(left, len(piece))
            emit(BytesMoved(len(piece)))
        found[chunk.offset_bytes + chunk.length_bytes] = (all_bytes, written)
    return found


# -- tables ----------------------------------------------------------------------------------------


def _tables(what: str, lun: LunImage) -> Iterator[Check]:
    total = lun.said_sectors
    if total is not None and total > lun.sectors:
        lost = (total - lun.sectors) * lun.sector_bytes
        yield Check(what, "bad", f"The image was cut off: {format_size(lost)} are missing.")
    elif total is not None and total < lun.sectors:
        yield Check(
            what,
            "unknown",
            f"The image goes on for {format_size((lun.sectors - total) * lun.sector_bytes)} behind"
            " the disk that its partition table is for.",
        )
    elif total is not None:
        yield Check(what, "ok", f"The image is as long as its disk: {total} sectors.")
    for name, table in (("primary", lun.primary), ("backup", lun.backup)):
        yield from _table(what, name, table, lun)
    if (
        lun.primary is not None
        and lun.backup is not None
        and (lun.primary.entries != lun.backup.entries)
    ):
        yield Check(what, "bad", "The two partition tables differ.")


def _table(what: str, name: str, table: Gpt | None, lun: LunImage) -> Iterator[Check]:
    if table is None:
        yield Check(what, "bad", f"The {name} partition table is missing.")
        return
    told = problems(table, lun.said_sectors)
    for problem in told:
        yield Check(what, "bad", f"The {name} partition table: {problem}")
    if not told:
        yield Check(what, "ok", f"The {name} partition table is sound.")


def _super(logical: Logical) -> Iterator[Check]:
    found = logical.metadata
    for problem in found.problems:
        yield Check("super", "bad", problem)
    used = [slot for slot in found.slots if slot.best is not None]
    for slot in found.slots:
        told = list(slot.problems)
        told += lp.extent_problems(slot.best) if slot.best is not None else ()
        # a slot that no update has used yet may be blank
        blank = slot.best is None and bool(used)
        for problem in told:
            yield Check("super", "unknown" if blank else "bad", problem)
        if not told:
            yield Check("super", "ok", f"The metadata of slot {slot.number} is sound.")


# -- contents --------------------------------------------------------------------------------------


def _boot_image(part: Part) -> Iterator[Check]:
    """Check the hashes in a Qualcomm boot image, if part holds one."""
    size = part.size_bytes
    if part.missing_bytes or size > _MAX_BOOT_IMAGE_BYTES or part.kind.code not in _BOOT_IMAGES:
        return
    try:
        main = mbn.read_image(read_all(part.content, 0, size)).main
    except DocumentError:
        return
    if main.digest is None and main.version is None:
        return  # nothing in it can be checked
    if main.bad_segments or main.cut_off:
        which = ", ".join(str(number) for number in main.bad_segments)
        told = f"segments {which} differ from their hashes" if which else "it is cut off"
        yield Check(part.label, "bad", f"The boot image is damaged: {told}.")
    elif main.encrypted:
        yield Check(part.label, "unknown", "The boot image is encrypted: it cannot be checked.")
    else:
        yield Check(part.label, "ok", "The boot image is as its hashes say.")


def vbmeta_of(part: Part) -> avb.Vbmeta | None:
    """Return the verified boot metadata in part, by itself or at its end; None if there is none.

    Raises:
        DocumentError: it is damaged.
        ImageError: part cannot be read.
    """
    size = part.size_bytes
    if part.missing_bytes or size < avb.FOOTER_BYTES:
        return None
    if part.kind.code == "vbmeta":
        return avb.read(read_all(part.content, 0, min(size, 3 * avb.MAX_BYTES)))
    tail = read_all(part.content, size - avb.FOOTER_BYTES, avb.FOOTER_BYTES)
    footer = avb.read_footer(tail, size)
    if footer is None:
        return None
    return avb.read(read_all(part.content, footer.offset, footer.size_bytes))


def _digests(parts: tuple[Part, ...]) -> Iterator[Check]:
    """Check the partitions whose digests a vbmeta of the same slot has."""
    by_name = {part.name: part for part in parts}
    for part in parts:
        try:
            found = vbmeta_of(part)
        except DocumentError as error:
            yield Check(part.label, "bad", error.message)
            continue
        except ImageError:
            continue
        suffix = part.name[-2:] if part.name[-2:] in {"_a", "_b"} else ""
        for descriptor in found.hashes if found is not None else ():
            target = by_name.get(descriptor.partition + suffix) or by_name.get(descriptor.partition)
            if target is not None:
                yield _digest(target, descriptor, part)


def _digest(target: Part, descriptor: avb.HashDescriptor, said_by: Part) -> Check:
    if descriptor.image_bytes > target.size_bytes - target.missing_bytes:
        return Check(target.label, "bad", f"It is shorter than {said_by.label} says.")
    found = hashlib.new(descriptor.algorithm, descriptor.salt)
    for chunk in target.content.chunks(0, descriptor.image_bytes):
        found.update(chunk)
    if found.digest() == descriptor.digest:
        return Check(target.label, "ok", f"It is as {said_by.label} says.")
    return Check(target.label, "bad", f"It is not what {said_by.label} says.")


def fingerprint(parts: Iterable[Part]) -> str | None:
    """Return the build that the verified boot metadata of parts names, if any does."""
    for part in sorted(parts, key=lambda each: not each.name.startswith("vbmeta")):
        try:
            found = vbmeta_of(part)
        except ImageError:
            continue
        if found is not None and found.fingerprint:
            return found.fingerprint
    return None
