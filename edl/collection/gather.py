# SPDX-License-Identifier: BSD-3-Clause
"""Finds programmers wherever they are: in files, folders, archives, stock packages.

Names decide nothing, but that somebody is told why a file is none if it is called like one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edl import loaders
from edl.collection.entry import Entry
from edl.collection.store import Collection
from edl.errors import ImageError
from edl.formats import archive, cpio
from edl.formats.mbn import MAX_IMAGE_BYTES, Image, read_image

_MAX_FILES = 100_000  # of one folder and those below
_MAX_DEPTH = 8
_NAMED_LIKE_ONE = re.compile(r"prog_|firehose|devprg|programmer|fhprg|[emn]prg", re.IGNORECASE)


class Fate(enum.Enum):
    """What became of a file."""

    TAKEN = "taken"
    KNOWN = "known already"
    REFUSED = "not taken"
    PASSED_OVER = "passed over"


@dataclass(frozen=True)
class Outcome:
    """What became of a file. where: its path, with that inside archives. reason: for people.

    entry: what the collection knows of it, where it was taken or known.
    """

    where: str
    fate: Fate
    reason: str = ""
    entry: Entry | None = None


@dataclass(frozen=True)
class _Found:
    """A file that was found. image, data: None and empty if it is no programmer."""

    where: str
    image: Image | None = None
    data: bytes = b""
    reason: str = ""
    named: bool = False


def gather(collection: Collection, paths: Iterable[Path]) -> Iterator[Outcome]:
    """Take the programmers in paths into collection, and yield what became of each file.

    paths: files, folders, archives. Files that are of another kind, and do not claim to be
    programmers, are yielded as PASSED_OVER. `collection.save` must follow.

    Raises:
        EdlError: the collection cannot be written.
    """
    for path in paths:
        for found in _look(path, collection.folder):
            yield _take(collection, found)


def _take(collection: Collection, found: _Found) -> Outcome:
    if found.image is None:
        told = found.named or _NAMED_LIKE_ONE.search(Path(found.where).name)
        return Outcome(found.where, Fate.REFUSED if told else Fate.PASSED_OVER, found.reason)
    name = Path(found.where).name
    entry, new = collection.add(found.image, found.data, name, found.where)
    if new:
        return Outcome(found.where, Fate.TAKEN, " ".join(entry.problems), entry)
    return Outcome(found.where, Fate.KNOWN, f"It is there as {entry.name}.", entry)


def _look(path: Path, own: Path) -> Iterator[_Found]:
    """Yield what is at path. own: the collection's folder, which is not looked into."""
    if not path.is_dir():
        yield from _file(path, named=True)
        return
    empty = True
    for inner in loaders.files(path, _MAX_FILES, _MAX_DEPTH):
        if own not in inner.parents:
            empty = False
            yield from _file(inner, named=False)
    if empty:
        yield _Found(str(path), reason="The folder holds no files.", named=True)


def _file(path: Path, *, named: bool) -> Iterator[_Found]:
    try:
        with path.open("rb") as file:
            head = file.read(archive.HEAD_BYTES)
            if archive.is_archive(head):
                yield from _archive(path, named=named)
                return
            if loaders.looks_like_programmer(head) or named:
                file.seek(0)
                head = file.read(MAX_IMAGE_BYTES + 1)
            yield _judged(str(path), head, named=named)
    except OSError as error:
        reason = f"It cannot be read: {error.strerror or error}."
        yield _Found(str(path), reason=reason, named=named)


def _archive(path: Path, *, named: bool) -> Iterator[_Found]:
    """Yield the boot images inside an archive, and what is wrong with it, once each."""
    told: set[str] = set()
    some = False
    try:
        with path.open("rb") as file:
            for member in archive.members(file, str(path)):
                found = _member(member)
                some = some or found.image is not None
                if member.problem and member.problem in told:
                    found = _Found(found.where, reason=found.reason)
                elif member.problem:
                    told.add(member.problem)
                yield found
    except ImageError as error:
        yield _Found(str(path), reason=error.message, named=True)
        return
    if named and not some:
        yield _Found(str(path), reason="It holds no programmer.", named=True)


def _member(member: archive.Member) -> _Found:
    if member.problem:
        return _Found(member.name, reason=member.problem, named=True)
    if (member.size_bytes or 0) > MAX_IMAGE_BYTES:
        return _Found(member.name, reason=f"{member.size_bytes} bytes are too many for a loader.")
    if not loaders.looks_like_programmer(member.head):
        return _judged(member.name, member.head, named=False)
    try:
        return _judged(member.name, member.content(), named=False)
    except ImageError as error:
        return _Found(member.name, reason=error.message, named=True)


def _judged(where: str, data: bytes, *, named: bool) -> _Found:
    """Return the file with that content, or its beginning, as a programmer or as none."""
    if kind := archive.foreign_kind(data):
        reason = f"It is an archive of the kind {kind}: unpack it first."
        return _Found(where, reason=reason, named=named)
    if data.startswith(cpio.MAGIC):
        reason = "It is a set of several images, not one loader: name it with --loader."
        return _Found(where, reason=reason, named=named)
    try:
        image = read_image(data)
    except ImageError as error:
        return _Found(where, reason=error.message, named=named)
    if verdict := loaders.unsuitable(image):
        return _Found(where, reason=verdict.reason, named=named)
    if image.main.cut_off:
        return _Found(where, reason=f"It is damaged: {image.problems[0]}", named=True)
    return _Found(where, image, data, named=named)
