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
from pathlib import Path, PurePosixPath

from edl import loaders, spool
from edl.errors import EdlError, PackageError, UsageError
from edl.files import File, on_disk
from edl.formats import magic
from edl.formats.streams import compression
from edl.package import Package, included, open_package
from edl.packages import flat, tars, zips
from edl.packages.asus import Asus
from edl.packages.fastboot import Fastboot
from edl.packages.flat import Flat
from edl.packages.installer import Installer
from edl.packages.lenovo import Lenovo
from edl.packages.lg import Lg
from edl.packages.lgtot import LgTot
from edl.packages.metabuilds import MetaBuilds
from edl.packages.model import Choices, Confidence, Description, Format
from edl.packages.motorola import Motorola
from edl.packages.nokia import Nokia
from edl.packages.oplus import Oplus
from edl.packages.ota import BlockUpdate, PayloadBin
from edl.packages.refusals import by_name, documents, refusal
from edl.packages.sony import Sony
from edl.packages.tree import Tree, of_folder
from edl.packages.xiaomi import Xiaomi
from edl.streamed import StreamContent

_log = logging.getLogger(__name__)

# In this order where several are equally sure.
FORMATS: tuple[Format, ...] = (
    *(Xiaomi(), Motorola()),
    *(Installer(), MetaBuilds(), Asus(), Flat(), Lenovo(), Lg(), LgTot(), Nokia(), Oplus(), Sony()),
    *(PayloadBin(), BlockUpdate(), Fastboot()),
)
GROUP = "edl.packages"
_HEAD_BYTES = 512
_MAX_INSIDE = 8  # archives and containers that are looked into
_MAX_DEPTH = 2  # a zip file in a zip file, and a container in that


def open_any(
    arguments: Sequence[str], include: Iterable[str] = (), choices: Choices | None = None
) -> tuple[Package, Description]:
    """Return the package that arguments name, whatever kind it is, and what it says about itself.

    XML files, patterns and folders with rawprogram files are read by `edl.package`. One other
    folder or file is a package by itself, beside which loaders may be named.

    Raises:
        UsageError: an argument names nothing, or what does not go together.
        PackageError, DocumentError, ImageError: nothing opens it, or it is damaged.
        DiskError: there is no room for what must be unpacked.
    """
    choices = choices or Choices()
    spool.clean()
    sources, others = _sorted(arguments)
    if len(sources) != 1 or others:
        _require_no_archives(sources)
        package = open_package(arguments, include)
        return package, flat.description(package)
    source = sources[0]
    include = list(include)
    named = tuple(Path(text) for text in arguments if Path(text) != source)
    if source.is_dir():
        return _open_folder(source, arguments, include, named, choices)
    tree, best = _recognised(open_tree(source, choices), choices)
    if best is None:
        raise refusal(tree) or _unknown(tree)
    return _opened(tree, best, named, include, choices)


def _open_folder(
    source: Path,
    arguments: Sequence[str],
    include: Iterable[str],
    named: tuple[Path, ...],
    choices: Choices,
) -> tuple[Package, Description]:
    """Open a folder; plain flat builds are read by `edl.package`, which follows links."""
    tree, best = None, None
    try:
        tree = of_folder(source)
        best = _choose(tree)[0]
    except PackageError as error:  # too large to be a package, but there may be XML files in it
        _log.info("%s", error)
    if tree is not None and best is not None and not isinstance(best, Flat):
        return _opened(tree, best, named, include, choices)
    try:
        package = open_package(arguments, include)
    except PackageError as error:
        if tree is not None:
            tree, best = _recognised(tree, choices)
        if tree is None:
            raise
        if best is None:
            raise _explained(error.message, error.remedies, tree) from error
        return _opened(tree, best, named, include, choices)
    if tree is not None:  # as in an archive, where a file is found wherever it lies
        package = replace(package, below=flat.Members(tree, "."))
    return package, flat.description(package)


def _recognised(tree: Tree, choices: Choices) -> tuple[Tree, Format | None]:
    """Return the format that is surest of tree, looking into archives inside if need be.

    Raises:
        PackageError: it is something else that is known.
    """
    best, sure = _choose(tree)
    for _ in range(_MAX_DEPTH):
        if sure >= Confidence.LIKELY:
            break
        if error := refusal(tree):
            raise error
        inner = _inside(tree, choices)
        if inner is None:
            break
        candidate, surer = _choose(inner)
        if surer >= sure:
            tree, best, sure = inner, candidate, surer
    return tree, best


def _opened(
    tree: Tree,
    best: Format,
    named: tuple[Path, ...],
    include: Iterable[str],
    choices: Choices,
) -> tuple[Package, Description]:
    package, description = best.open(tree, choices)
    roots = tuple(included(folder) for folder in include)

    def finished(each: Package) -> Package:
        each = replace(
            each,
            roots=(*each.roots, *roots),
            emit=choices.emit,
            packed=tree.kind != "folder",
            warnings=(*each.warnings, *tree.notes),
        )
        return replace(each, loaders=named, loader_named=True) if named else each

    variants = {size: finished(each) for size, each in package.variants.items()}
    return replace(finished(package), variants=variants), description


def may_open(path: Path, choices: Choices) -> bool:
    """Tell whether the one file at path is a package: an archive, or a kind that some format opens.

    Raises:
        PackageError: it is something else that is known, or a damaged archive.
        ImageError, DiskError: see open_tree.
    """
    tree = open_tree(path, choices)
    return tree.kind != "file" or _recognised(tree, choices)[1] is not None


def open_tree(path: Path, choices: Choices | None = None) -> Tree:
    """Return the files in path: those of an archive, or the one that it is.

    Raises:
        PackageError: it is a damaged archive.
        ImageError: it cannot be read.
        DiskError: there is no room for what must be unpacked.
    """
    return tree_of(on_disk(path), str(path), choices or Choices())


def tree_of(file: File, title: str, choices: Choices) -> Tree:
    """Return the files in file. title: what people call it. Raises: see open_tree."""
    head = file.head(_HEAD_BYTES)
    if zips.is_zip(head):
        return zips.read(_at_hand(file, choices), title)
    if tars.is_tar(head):
        return tars.read(_at_hand(file, choices), title, choices.emit)
    magic = compression(head)
    if magic is not None:
        if tars.holds_tar(file):
            return tars.read(file, title, choices.emit)
        file = spool.unpacked(file, magic, choices.emit)
    return Tree(title, "file", {PurePosixPath(file.name).name: file})


def _at_hand(file: File, choices: Choices) -> File:
    """Return file so that it can be read anywhere: on the disk, if it only comes in order."""
    in_order = isinstance(file.content, StreamContent) and file.content.direct is None
    return spool.at_hand(file, choices.emit) if in_order else file


def _inside(tree: Tree, choices: Choices) -> Tree | None:
    """Return the tree of the one container in tree, or tree with the archives in it opened.

    Raises:
        PackageError: there are several containers, or an archive is damaged.
    """
    largest = sorted(tree.files.items(), key=lambda each: -each[1].size_bytes)[:_MAX_INSIDE]
    alone = {}
    archives = {}
    for path, file in largest if len(tree.files) > 1 or tree.kind != "file" else []:
        found = Tree(f"{tree.title}/{path}", "file", {PurePosixPath(path).name: file})
        if _choose(found)[1] >= Confidence.LIKELY:
            alone[path] = file
        elif _is_archive(file):
            archives[path] = file
    if len(alone) > 1:
        raise PackageError(
            f"{tree.title} holds several packages: {', '.join(alone)}.",
            remedies=("Unpack it, and name the one that is for this phone.",),
        )
    for path, file in alone.items():
        name = PurePosixPath(path).name
        return Tree(f"{tree.title}/{path}", "file", {name: _at_hand(file, choices)})
    if not archives:
        return None
    files = dict(tree.files)
    notes = list(tree.notes)
    for path, file in archives.items():
        inner = tree_of(file, f"{tree.title}/{path}", choices)
        if inner.kind == "file":
            continue
        del files[path]
        files |= {f"{path}/{name}": each for name, each in inner.files.items()}
        notes += inner.notes
    if files.keys() == tree.files.keys():
        return None
    return replace(tree, files=files, notes=tuple(notes))


def _is_archive(file: File) -> bool:
    if not file.size_bytes:
        return False
    head = file.head(_HEAD_BYTES)
    return zips.is_zip(head) or tars.is_tar(head) or compression(head) is not None


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


def _require_no_archives(sources: list[Path]) -> None:
    for path in sources:
        if path.is_file() and _is_archive(on_disk(path)):
            raise UsageError(
                f"{path} is a package by itself: nothing but a loader may be named beside it.",
                remedies=("Name one package.",),
            )


def _is_xml(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith((b"<!doctype html", b"<html")):
        return False
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


def _choose(tree: Tree) -> tuple[Format | None, Confidence]:
    """Return the format that is surest that tree is one of its packages, and how sure it is."""
    best, sure = None, Confidence.NO
    for candidate in _formats():
        try:
            found = candidate.detect(tree)
        except EdlError as error:
            _log.info("%s: %s", candidate.name, error)
            continue
        if found > sure:
            best, sure = candidate, found
    return best, sure


def _unknown(tree: Tree) -> PackageError:
    names = ", ".join(sorted(tree.files)[:8])
    inside = f" It holds: {names}." if tree.kind != "file" and names else ""
    if tree.kind == "file" and (image := _single_image(tree)) is not None:
        return image
    if tree.kind == "file" and (guess := by_name(tree)) is not None:
        return PackageError(
            f"{tree.title} is no package of a known kind. {guess[0]}", remedies=guess[1:]
        )
    remedies = (
        "Name the folder that holds rawprogram0.xml, or an archive of the package.",
        "A single image goes to its partition with: edl write NAME FILE.",
    )
    return _explained(f"{tree.title} is no package of a known kind.{inside}", remedies, tree)


def _single_image(tree: Tree) -> PackageError | None:
    """Return what to do with a file that is one image by itself, or None if it is none."""
    [file] = tree.files.values()
    kind = magic.recognise(file.head(magic.HEAD_BYTES))
    if kind.code in {"unknown", "blank"}:
        return None
    remedies: tuple[str, ...] = (f"Write it to its partition: edl write NAME {tree.title}",)
    if kind.code == "disk":
        remedies = (
            f"See what is in it: edl image ls {tree.title}",
            f"Bring it back as far as it belongs on the phone: edl restore {tree.title}",
        )
    return PackageError(f"{tree.title} is one image ({kind.text}), no package.", remedies=remedies)


def _explained(message: str, remedies: tuple[str, ...], tree: Tree) -> PackageError:
    """Return the error for a tree without a package, with what its XML files are."""
    others, rows = documents(tree)
    rows = [path for path in rows if not any(PurePosixPath(path).name in it for it in remedies)]
    if rows:
        others = [*others, f"Not named like a complete set: {', '.join(rows)}."]
        how = "name" if tree.kind == "folder" else "unpack and name"
        remedies = (*remedies[:2], f"If some of these XML files are meant, {how} them.")
    return PackageError(" ".join([message, *others]), remedies=remedies)
