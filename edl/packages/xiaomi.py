# SPDX-License-Identifier: BSD-3-Clause
"""Xiaomi's fastboot packages: flash_all scripts beside a folder of images.

In older ones that folder is a flat build as well, with rawprogram files: they say where all goes,
and the scripts which of it replaces the user's data. Newer ones have the scripts alone, which name
partitions. Scripts are read as data and never run; the one that locks the phone is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from edl.errors import PackageError
from edl.files import File
from edl.formats import crclist
from edl.formats.flashscript import MAX_BYTES, FlashScript, read_anti_version, read_script
from edl.formats.rawprogram import EraseRow, ProgramRow, Row
from edl.formats.sparse import is_sparse
from edl.package import NamedImage, Package
from edl.packages import flat
from edl.packages.digests import Expected, Overlay, guarded
from edl.packages.flat import Members, find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.partitions import Severity, classify

_SCRIPT = re.compile(r"flash_all(_\w+)?\.(?:sh|bat)", re.IGNORECASE)
_TELLING = re.compile(rb"getvar\s+(?:product|anti|crc)\b")
_LISTS = {"crclist", "sparsecrclist"}  # for the boot loader, which compares what it is sent
_USER = ("userdata", "metadata", "cache")
_DATA = "it replaces your data; --wipe takes it as well"
_CRCS, _ANTI = "crclist.txt", "anti_version.txt"
_SLOT = re.compile(r"_(?:ab|a|b)$")


class Xiaomi:
    """A fastboot package of Xiaomi, Redmi or POCO."""

    name = "xiaomi"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        told = any(
            _TELLING.search(tree.files[path].head(MAX_BYTES))
            for path in (*tree.names("flash_all*.sh"), *tree.names("flash_all*.bat"))
        )
        return Confidence.SURE if told else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format.

        Options: those of flat builds; `digests`, `ignore` for packages with images that were
        changed on purpose.
        """
        scripts = _Scripts.of(tree)
        _require_qualcomm(tree, scripts)
        package = flat.read(tree, choices) if flat.homes(tree) else _by_names(tree, scripts)
        package = _spared(package, scripts, wipe=choices.wipe)
        if choices.options.get("digests") != "ignore":
            package = _guarded(package, tree, scripts)
        anti = scripts.anti(tree)
        left_out = (*package.left_out, *scripts.not_done())
        warnings = (*package.warnings, *_warnings(scripts, anti, wipe=choices.wipe))
        package = replace(package, left_out=left_out, warnings=warnings, asks=_asks(scripts, anti))
        return package, _description(tree, scripts, anti, wipe=choices.wipe)


# -- scripts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scripts:
    """The scripts of a package. clean: which one replaces all; keep: which one keeps data.

    One of them may be missing. path: of the one that is followed by default. locking: names of
    those that lock the phone.
    """

    path: str
    clean: FlashScript | None
    keep: FlashScript | None
    locking: tuple[str, ...]

    @classmethod
    def of(cls, tree: Tree) -> _Scripts:
        """Return the scripts of tree: the least deep ones, for sh rather than for Windows.

        Raises:
            PackageError: there are none but such as lock the phone.
            DocumentError: one of them is damaged.
        """
        found: dict[str, str] = {}
        locking: list[str] = []
        paths = [path for path in tree.files if _SCRIPT.fullmatch(PurePosixPath(path).name)]
        for path in sorted(paths, key=lambda path: (path.count("/"), path.endswith(".bat"), path)):
            name = PurePosixPath(path).stem.lower()
            kind = "lock" if "lock" in name else "keep" if "except" in name else "clean"
            if kind == "lock":
                locking.append(PurePosixPath(path).name)
            elif kind == "keep" or name == "flash_all":
                found.setdefault(kind, path)
        if not found:
            raise PackageError(
                f"{tree.title} has only scripts that lock the phone: {', '.join(locking)}.",
                remedies=("Get the whole package: it has flash_all.sh too.",),
            )
        path = found.get("keep", found.get("clean", ""))
        clean, keep = (
            _read(tree.files[found[kind]], found[kind]) if kind in found else None
            for kind in ("clean", "keep")
        )
        return cls(path, clean, keep, tuple(locking))

    @property
    def home(self) -> str:
        """The folder of the scripts."""
        return str(PurePosixPath(self.path).parent)

    @property
    def name(self) -> str:
        """The script that is followed by default."""
        return PurePosixPath(self.path).name

    def all(self) -> Iterator[FlashScript]:
        """Yield what there is, the complete one first."""
        return (script for script in (self.clean, self.keep) if script is not None)

    @property
    def fullest(self) -> FlashScript:
        """The complete script, or the other one if it is missing."""
        return next(self.all())

    def spared(self) -> set[str]:
        """Return the partitions that only the complete script writes, without their slots."""
        if self.clean is None or self.keep is None:
            return set()
        return _written(self.clean) - _written(self.keep)

    def devices(self) -> tuple[str, ...]:
        """Return the names of the models that the scripts let pass."""
        return tuple(dict.fromkeys(name for script in self.all() for name in script.devices))

    def anti(self, tree: Tree) -> int | None:
        """Return the package's anti-rollback number, or None if it has none."""
        file = tree.beside(self.path, f"images/{_ANTI}")
        told = [script.anti for script in self.all()]
        told.append(None if file is None else read_anti_version(file.head(64)))
        return max((number for number in told if number is not None), default=None)

    def not_done(self) -> Iterator[tuple[str, str]]:
        """Yield what the scripts do that is not done here, and why."""
        for name in self.locking:
            yield name, "locking is not offered: a locked phone that does not start stays so"
        slots = {word for command in self.fullest.of("set_active") for word in command.words[1:2]}
        for slot in sorted(slots & {"a", "b"}):
            yield f"set_active {slot}", f"'edl slot {slot}' does that, when all is written"


def _read(file: File, path: str) -> FlashScript:
    return read_script(file.head(MAX_BYTES + 1), PurePosixPath(path).name)


def _base(partition: str) -> str:
    return _SLOT.sub("", partition.lower())


def _written(script: FlashScript) -> set[str]:
    return {_base(command.words[1]) for verb in ("flash", "erase") for command in script.of(verb)}


def _require_qualcomm(tree: Tree, scripts: _Scripts) -> None:
    if "preloader" in _written(scripts.fullest):
        raise PackageError(
            f"{tree.title} is a package for a phone with a MediaTek chip: it has a preloader.",
            remedies=("edl speaks to Qualcomm's chips only.",),
        )


# -- what is written ------------------------------------------------------------------------------


def _by_names(tree: Tree, scripts: _Scripts) -> Package:
    """Return the package of what the complete script does, by the names of partitions.

    Raises:
        PackageError: it does nothing that is understood.
    """
    script, name = scripts.fullest, scripts.name
    images = [
        NamedImage(command.words[1], command.words[2], name, command.line)
        for command in script.of("flash")
        if command.words[1].lower() not in _LISTS
    ]
    if not images:
        raise PackageError(
            f"{tree.title} has no rawprogram files, and {name} flashes nothing.",
            remedies=("Download the package again: this one is not as Xiaomi made it.",),
        )
    flashed = {_base(image.partition) for image in images}
    left_out: list[tuple[str, str]] = []
    for command in script.of("erase"):
        partition = command.words[1]
        kind = classify(partition)
        if _base(partition) in flashed:  # a safeguard: what is written last is gone until then
            continue
        if kind.severity is Severity.MUST_NEVER_CLONE:
            left_out.append((f"erase {partition}", f"it stays: {kind.reason}"))
        else:
            images.append(NamedImage(partition, "", name, command.line))
    return Package(
        title=tree.title,
        roots=(),
        documents=(),
        home={},
        loaders=find_loaders(tree),
        left_out=tuple(left_out),
        members=Members(tree, scripts.home),
        named=tuple(images),
    )


def _spared(package: Package, scripts: _Scripts, *, wipe: bool) -> Package:
    """Return package without what replaces the user's data, unless that is meant."""
    if wipe:
        return package
    spared = {*_USER, *scripts.spared()}
    told: dict[str, str] = {}

    def stays(name: str) -> bool:
        if _base(name) not in spared:
            return True
        keeper = f"{scripts.name} leaves it alone; --wipe takes it as well"
        told[name] = _DATA if _base(name) in _USER else keeper
        return False

    documents = tuple(
        replace(document, rows=tuple(row for row in document.rows if stays(_label(row))))
        for document in package.documents
    )
    named = tuple(image for image in package.named if stays(image.partition))
    variants = {
        size: _spared(variant, scripts, wipe=wipe) for size, variant in package.variants.items()
    }
    left_out = (*package.left_out, *told.items())
    return replace(package, documents=documents, named=named, variants=variants, left_out=left_out)


def _label(row: Row) -> str:
    """Return the partition that row writes, or nothing if it only describes one."""
    if isinstance(row, EraseRow) or (isinstance(row, ProgramRow) and row.filename):
        return row.label
    return ""


# -- checksums ------------------------------------------------------------------------------------


def _guarded(package: Package, tree: Tree, scripts: _Scripts) -> Package:
    """Return package with files that are compared with crclist.txt before the first write.

    Raises:
        DocumentError: the list is damaged.
    """
    file = tree.beside(scripts.path, f"images/{_CRCS}")
    if file is None:
        return package
    known = crclist.read_crclist(file.head(crclist.MAX_BYTES + 1), _CRCS)
    files: dict[str, File] = {}
    for name, partition in _sources(package, scripts):
        crc = next((known[key] for key in _keys(partition) if key in known), None)
        image = package.members.get(name) if crc is not None and name not in files else None
        if image is not None and image.size_bytes and not is_sparse(image.head(4)):
            files[name] = guarded(image, Expected("crc32", f"{crc:08x}", _CRCS))
    variants = {size: _guarded(each, tree, scripts) for size, each in package.variants.items()}
    return replace(package, members=Overlay(files, package.members), variants=variants)


def _sources(package: Package, scripts: _Scripts) -> Iterator[tuple[str, str]]:
    """Yield files and the partitions that the scripts flash them to, as the list names them."""
    wanted = {image.filename for image in package.named}
    rows = [row.filename for row in package.rows if isinstance(row, ProgramRow)]
    for command in scripts.fullest.of("flash"):
        _, partition, path = command.words[:3]
        name = PurePosixPath(path).name
        for filename in (path, name):
            if filename and (filename in wanted or filename in rows):
                yield filename, partition


def _keys(partition: str) -> Iterable[str]:
    """Return the names under which a list may have the file of partition."""
    base = _base(partition)
    return (partition.lower(), base, f"{base}_ab", f"{base}_a")


# -- what is told ---------------------------------------------------------------------------------


def _warnings(scripts: _Scripts, anti: int | None, *, wipe: bool) -> Iterator[str]:
    if wipe and scripts.clean is None:
        yield (
            f"{scripts.name}: --wipe was asked for, but flash_all, the script that replaces the"
            " user's data, is missing."
        )
    if anti is not None:
        yield (
            f"{scripts.name}: The package's anti-rollback number is {anti}, and this mode does not"
            " tell the phone's. A phone that has run a package with a higher number does not start"
            " an older boot chain any more: never write a package that is older than the last one"
            " that the phone ran."
        )


def _asks(scripts: _Scripts, anti: int | None) -> tuple[str, ...]:
    """Return what only the user knows: the scripts would compare it in fastboot, EDL cannot."""
    parts = []
    if devices := scripts.devices():
        parts.append(f"for the model {' or '.join(devices)}")
    if anti is not None:
        parts.append(f"not older than what the phone ran last (anti-rollback number {anti})")
    if not parts:
        return ()
    return (f"The package must be {' and '.join(parts)}: another one may leave the phone dead.",)


def _description(tree: Tree, scripts: _Scripts, anti: int | None, *, wipe: bool) -> Description:
    facts: Mapping[str, str] = {
        "user's data": "replaced (clean)" if wipe else "kept",
        "anti-rollback": "" if anti is None else str(anti),
    }
    told = tuple((name, value) for name, value in facts.items() if value)
    return Description("Xiaomi fastboot package", scripts.devices(), _version(tree, scripts), told)


def _version(tree: Tree, scripts: _Scripts) -> str:
    """Return the version that the package or its folder has in its name, if that is as usual."""
    match = re.search(r"_images_([\w.-]+?)_[0-9]{8}", f"{tree.title}/{scripts.home}")
    return match[1] if match else ""
