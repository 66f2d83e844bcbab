# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's packages: flashfile.xml and servicefile.xml with their images, and blankflashes.

Their own tools send the steps to the boot loader, which knows where partitions lie, opens the
containers, and makes the table fit the disk. All of that is done here; commands for the boot loader
itself are told as not done. Nothing is ever locked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from edl import spool
from edl.chunks import FillContent
from edl.errors import PackageError, UsageError
from edl.files import File
from edl.formats import gpt, lonely
from edl.formats.flashfile import Flashfile, FlashStep, is_flashfile, read_flashfile
from edl.formats.xml import MAX_BYTES
from edl.package import NamedImage, Package, again
from edl.packages import lonelies
from edl.packages.brought import Brought, brought
from edl.packages.digests import Expected, Overlay, guarded
from edl.packages.flat import Members, find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.partitions import Severity, classify
from edl.plan import byname
from edl.streamed import StreamContent
from edl.units import MIB

_FULL, _SERVICE, _SINGLE = "flashfile.xml", "servicefile.xml", "singleimage.bin"
_HEAD_BYTES = 4096
_USER = ("userdata", "metadata", "cache")
_TABLE = re.compile(r"partition|gpt", re.IGNORECASE)
_BOOT_LOADERS = ("bootloader", "motoboot")
_NEEDED = {*_BOOT_LOADERS, "partition", "gpt", "radio"}  # no partitions: only containers say more
# a blank beginning is what Android formats; a whole userdata of zeros would take an hour
_BLANK, _BLANK_BYTES = "(nothing: Android formats it)", 16 * MIB
_KEEP = 0x20  # of a table's attributes: stays when the boot loader lays the storage out anew
_MEDIATEK = re.compile(r"preloader|md1img|lk|spmfw|scp|tee", re.IGNORECASE)
_UNISOC = re.compile(r"splloader|l_modem|uboot", re.IGNORECASE)
_FOR_BOOT_LOADER = "they are for the boot loader, which does not run in this mode"
_OLD = "a container of a kind that edl does not open: the boot loader on the phone stays"
# of recipes: how to talk, what to say, and what the plan does by itself
_QUIET = {"print", "configure", "storage", "setbootablestoragedrive"}


class Motorola:
    """A package for Motorola's boot loader, or a blankflash."""

    name = "motorola"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if _documents(tree) or _containers(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format.

        Options: `steps`, `flashfile` or `servicefile`; `table`, `package` (the package's partition
        tables) or `phone` (the phone's own, which stay); `slot`, with the package's tables: `a`,
        `b`, `both`; `erase`, names of unique partitions that the package erases; `digests`,
        `ignore` for packages with files that were changed on purpose.
        """
        documents = _documents(tree)
        if documents:
            return _flashed(tree, documents, choices)
        return _blankflashed(tree, choices)


def _documents(tree: Tree) -> dict[str, str]:
    """Return the paths of flashfile.xml and servicefile.xml by these names, least deep ones."""
    found: dict[str, str] = {}
    for name in (_SERVICE, _FULL):
        paths = [
            path for path in tree.names(name) if is_flashfile(tree.files[path].head(_HEAD_BYTES))
        ]
        if paths:
            found[name] = min(paths, key=lambda path: (path.count("/"), path))
    return found


def _containers(tree: Tree) -> list[str]:
    """Return the containers that tree is about: singleimage.bin, or the one file that it is."""
    paths = list(tree.files) if len(tree.files) == 1 else tree.names(_SINGLE)
    return [path for path in paths if lonelies.is_container(tree.files[path])]


# -- packages for fastboot ------------------------------------------------------------------------


def _flashed(
    tree: Tree, documents: Mapping[str, str], choices: Choices
) -> tuple[Package, Description]:
    name = _chosen(documents, choices)
    path = documents[name]
    file = tree.files[path]
    flashfile = read_flashfile(file.head(MAX_BYTES + 1), name)
    _require_qualcomm(tree, flashfile)
    work = _Work(tree, str(PurePosixPath(path).parent), choices)
    for step in flashfile.steps:
        work.step(step, name)
    keeps = name == _SERVICE or not choices.wipe
    facts = (
        ("steps", f"{name} ({'keeps' if keeps else 'replaces'} your data)"),
        *(("chip", chip) for chip in work.chips),
        *flashfile.facts,
    )
    devices = (flashfile.model,) if flashfile.model else ()
    told = Description("Motorola fastboot package", devices, flashfile.version, facts)
    return replace(work.package(), chips=work.chips), told


def _chosen(documents: Mapping[str, str], choices: Choices) -> str:
    """Return which of the documents is followed: the one that keeps data, if that is meant."""
    wanted = choices.options.get("steps", "")
    if wanted:
        name = f"{wanted.lower().removesuffix('.xml')}.xml"
        if name not in documents:
            raise PackageError(
                f"The package has no '{wanted}'.",
                remedies=(f"It has: {', '.join(documents)}.",),
            )
        return name
    order = (_FULL, _SERVICE) if choices.wipe else (_SERVICE, _FULL)
    return next(name for name in order if name in documents)


def _require_qualcomm(tree: Tree, flashfile: Flashfile) -> None:
    names = {step.partition.removesuffix("_a").removesuffix("_b") for step in flashfile.steps}
    for pattern, chip in ((_MEDIATEK, "MediaTek"), (_UNISOC, "Unisoc (Spreadtrum)")):
        telling = sorted(name for name in names if pattern.fullmatch(name))
        if telling:
            raise PackageError(
                f"{tree.title} is a package for a phone with a {chip} chip: it has images for"
                f" {', '.join(telling[:4])}.",
                remedies=(
                    "Motorola sells models of one name with different chips: get the package for"
                    " the phone that you have. edl speaks to Qualcomm's chips only.",
                ),
            )


# -- blankflashes, and containers alone -----------------------------------------------------------


def _blankflashed(tree: Tree, choices: Choices) -> tuple[Package, Description]:
    paths = _containers(tree)
    if len(paths) > 1:
        raise PackageError(
            f"{tree.title} holds several blankflashes: {', '.join(paths)}.",
            remedies=("Name the folder of the one that is meant.",),
        )
    path = paths[0]
    work = _Work(tree, str(PurePosixPath(path).parent), choices)
    work.container(tree.files[path], PurePosixPath(path).name)
    kind = "Motorola blankflash" if work.is_blankflash else "Motorola container"
    facts = tuple(("chip", chip) for chip in work.chips)
    return replace(work.package(), chips=work.chips), Description(kind, facts=facts)


# -- both -----------------------------------------------------------------------------------------


@dataclass
class _Work:
    """A package in the making."""

    tree: Tree
    home: str
    choices: Choices
    named: list[NamedImage] = field(default_factory=list)
    tables: dict[int, File] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    chips: tuple[str, ...] = ()
    is_blankflash: bool = False
    loaders: dict[str, File] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.members = Members(self.tree, self.home)

    def step(self, step: FlashStep, document: str) -> None:
        """Take a step of a flashfile in."""
        if step.operation == "flash":
            self._flash(step, document)
        elif step.operation == "erase":
            self.named.append(NamedImage(step.partition, "", document, step.line))
        else:
            self.commands.append(f"{step.operation} {step.var}".strip())

    def _flash(self, step: FlashStep, document: str) -> None:
        image = NamedImage(step.partition, step.filename, document, step.line)
        file = self.members.get(step.filename)
        if file is None and step.partition.lower() not in _NEEDED:
            self.named.append(image)  # the plan says that it is missing
            return
        if file is None:
            raise PackageError(
                f"'{step.filename}' is missing, which {document} needs for '{step.partition}'.",
                remedies=(again(packed=self.tree.kind != "folder"),),
            )
        if step.digest is not None and self.choices.options.get("digests") != "ignore":
            told = f"{document}:{step.line}"
            file = guarded(file, Expected(step.digest.kind, step.digest.value, told))
            self.files[step.filename] = file
        if file.size_bytes and lonelies.is_container(file):
            self.container(file, step.filename)
        elif _TABLE.fullmatch(step.partition):
            self._table(0, file)
        elif step.partition.lower() in _BOOT_LOADERS:
            self.left_out.append((step.filename, _OLD))
        else:
            self._take(image)

    def _table(self, lun: int, file: File) -> None:
        if gpt.find_sector_bytes(file.head(2 * max(gpt.SECTOR_SIZES))) is None:
            self.left_out.append((file.name, "no partition table of a kind that edl knows"))
        else:
            self.tables[lun] = file

    def _take(self, image: NamedImage) -> None:
        if image.partition.lower() in _USER and not self.choices.wipe:
            self.left_out.append((image.filename, "it replaces your data; --wipe takes it as well"))
        else:
            self.named.append(image)

    def container(self, file: File, name: str, depth: int = 0) -> None:
        """Take in what the recipes of the container file do."""
        content = file.content
        if isinstance(content, StreamContent):
            content.verify()  # its parts are written later, and never all of it
            if content.direct is None:
                file = spool.at_hand(file, self.choices.emit)
        opened = lonelies.opened(file)
        self.chips = self.chips or opened.chips
        self.is_blankflash |= any(offer.protocol == "qboot" for offer in opened.offers)
        self.loaders |= {f"{name}/{inner}": each for inner, each in opened.files.items()}
        for recipe, steps in opened.recipes():
            for step in steps:
                self._recipe_step(step, opened, name, f"{name}/{recipe}", depth)

    def _recipe_step(
        self, step: lonely.Step, container: lonelies.Container, name: str, where: str, depth: int
    ) -> None:
        if step.operation == "erase":
            self.named.append(NamedImage(step.partition, "", where, step.line))
        elif step.operation != "flash":
            self._other(step)
        else:
            file = container.files.get(step.filename)
            if file is None:
                raise lonelies.damaged(name, f"'{step.filename}' is missing in it")
            inner = f"{name}/{step.filename}"
            if not depth and lonelies.is_container(file):
                self.container(file, inner, depth + 1)
            elif step.lun is not None:
                self._table(step.lun, file)
            else:
                self.files[inner] = file
                self._take(NamedImage(step.partition, inner, where, step.line))

    def _other(self, step: lonely.Step) -> None:
        told = (f"<{step.operation}>", "a step of a recipe that edl does not know")
        if step.operation == "ufs":
            told = ("<ufs> (provisioning)", "it would divide the whole storage anew")
        if step.operation not in _QUIET and told not in self.left_out:
            self.left_out.append(told)

    # -- at last --------------------------------------------------------------------------------

    def package(self) -> Package:
        """Return the package.

        Raises:
            PackageError: its tables are damaged, or it has nothing to write.
            UsageError: it is asked for a slot that there is not.
        """
        own = self._brought()
        images = tuple(self._wanted(image, own) for image in self.named)
        if self.commands:
            self.left_out.append((", ".join(dict.fromkeys(self.commands)), _FOR_BOOT_LOADER))
        package = Package(
            title=self.tree.title,
            roots=(),
            documents=() if own is None else own.documents,
            home={},
            loaders=self._found_loaders(),
            left_out=tuple(self.left_out),
            members=Overlay(self.files, self.members),
            named=tuple(image for image in images if image is not None),
        )
        if own is None or not package.named:
            return package
        slot = self.choices.options.get("slot", "active").lower()
        if slot not in byname.SLOTS:
            raise UsageError(
                f"--choose slot={slot}: there is no such slot.",
                remedies=(f"Choose one of {', '.join(byname.SLOTS)}.",),
            )
        return own.rows(package, slot)

    def _brought(self) -> Brought | None:
        """Return the package's tables, unless the phone's are to stay."""
        if not self.tables:
            return None
        if self.choices.options.get("table") == "phone":
            self.left_out.append(("partition tables", "--choose table=phone: the phone's stay"))
            return None
        own = brought(self.tables, "gpt.bin")
        self.files |= own.files
        return own

    def _wanted(self, image: NamedImage, own: Brought | None) -> NamedImage | None:
        """Return image, as it is done: erases of what exists only once are not."""
        name = image.partition
        if image.filename:
            return image
        if name.lower() in _USER and not self.choices.wipe:
            self.left_out.append((f"erase {name}", "it deletes your data; --wipe does it"))
            return None
        kind = classify(name)
        keeps = own is not None and bool(own.attributes(name) & _KEEP)
        asked = self.choices.options.get("erase", "").lower().split(",")
        if (kind.severity is Severity.MUST_NEVER_CLONE or keeps) and name.lower() not in asked:
            unique = kind.severity is Severity.MUST_NEVER_CLONE
            why = kind.reason if unique else "The partition table marks it as to be kept."
            self.left_out.append((f"erase {name}", f"it stays: {why}"))
            return None
        if name.lower() == "userdata":
            self.files[_BLANK] = File(_BLANK, FillContent(_BLANK_BYTES))
            return replace(image, filename=_BLANK)
        return image

    def _found_loaders(self) -> tuple[Path, ...]:
        inside = Tree(self.tree.title, self.tree.kind, self.loaders)
        return (*find_loaders(self.tree), *find_loaders(inside))
