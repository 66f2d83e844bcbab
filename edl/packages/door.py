# SPDX-License-Identifier: BSD-3-Clause
"""The one door: whatever a user hands over is recognised by its content, and opened.

A format is a module of this room with a class like `model.Format`; its place in FORMATS is all that
it takes to be known. Others register under the entry point group `edl.packages`.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edl import loaders
from edl.errors import EdlError, PackageError
from edl.package import Package, open_package
from edl.packages.fastboot import Fastboot
from edl.packages.flat import Flat
from edl.packages.model import Choices, Confidence, Description, Format
from edl.packages.tree import Tree, of_file, of_folder
from edl.packages.zips import is_zip, of_zip

_log = logging.getLogger(__name__)

# In this order where several are equally sure.
FORMATS: tuple[Format, ...] = (Flat(), Fastboot())
GROUP = "edl.packages"
_HEAD_BYTES = 512


def open_any(
    arguments: Sequence[str], include: Iterable[str] = (), choices: Choices | None = None
) -> tuple[Package, Description]:
    """Return the package that arguments name, whatever kind it is, and what it says about itself.

    XML files, patterns and folders with rawprogram files are read by `edl.package`. One other
    folder or file is a package by itself, beside which loaders may be named.

    Raises:
        UsageError: an argument names nothing, or what does not go together.
        PackageError, DocumentError, ImageError: nothing opens it, or it is damaged.
    """
    sources, others = _sorted(arguments)
    if len(sources) != 1 or others:
        return open_package(arguments, include), Description("flat build (rawprogram)")
    source = sources[0]
    if source.is_dir():
        try:
            return open_package(arguments, include), Description("flat build (rawprogram)")
        except PackageError as error:
            tree = of_folder(source)
            chosen = _choose(tree)
            if chosen is None:
                raise error from None
    else:
        tree = open_tree(source)
        chosen = _choose(tree)
        if chosen is None:
            raise _unknown(tree)
    package, description = chosen.open(tree, choices or Choices())
    named = tuple(Path(text) for text in arguments if Path(text) != source)
    if named:
        package = _with_loaders(package, named)
    return package, description


def open_tree(path: Path) -> Tree:
    """Return the files in path: those of an archive, or the one that it is.

    Raises:
        PackageError: it is a damaged archive.
        ImageError: it cannot be read.
    """
    head = of_file(path).files[path.name].head(_HEAD_BYTES)
    return of_zip(path) if is_zip(head) else of_file(path)


def _sorted(arguments: Sequence[str]) -> tuple[list[Path], bool]:
    """Return what may be a package by itself, and whether there are XML files or patterns."""
    sources: list[Path] = []
    others = False
    for text in arguments:
        path = Path(text)
        try:
            if path.is_dir():
                sources.append(path)
                continue
            if not path.is_file():
                others = True
                continue
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except (OSError, ValueError):
            others = True
            continue
        if _is_xml(head):
            others = True
        elif not loaders.looks_like_programmer(head):
            sources.append(path)
    return sources, others


def _is_xml(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") or head.startswith((b"\xff\xfe<", b"\xfe\xff\0<"))


def _formats() -> Iterator[Format]:
    yield from FORMATS
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            made = entry.load()()
        except Exception as error:  # noqa: BLE001  # other people's code must not stop a rescue
            _log.warning("the format %s cannot be used: %s", entry.name, error)
        else:
            yield made


def _choose(tree: Tree) -> Format | None:
    """Return the format that is surest that tree is one of its packages."""
    best, sure = None, Confidence.NO
    for candidate in _formats():
        try:
            found = candidate.detect(tree)
        except EdlError as error:
            _log.info("%s: %s", candidate.name, error)
            continue
        if found > sure:
            best, sure = candidate, found
    return best


def _unknown(tree: Tree) -> PackageError:
    names = ", ".join(sorted(tree.files)[:8])
    inside = f" It holds: {names}." if tree.kind != "file" else ""
    return PackageError(
        f"{tree.title} is no package of a known kind.{inside}",
        remedies=(
            "Name the folder that holds rawprogram0.xml, or an archive of the package.",
            "A single image goes to its partition with: edl write NAME FILE.",
        ),
    )


def _with_loaders(package: Package, named: tuple[Path, ...]) -> Package:
    return replace(package, loaders=named, loader_named=True)
