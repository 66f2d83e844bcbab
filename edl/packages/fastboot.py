# SPDX-License-Identifier: BSD-3-Clause
"""Images for fastboot without any XML: `boot.img`, `system.img`, ...

Google, Nothing, OnePlus and many others give them so. Each goes to the partition that its name
says, or that a script beside them (flash-all.sh) says; scripts are read as data, and never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats.bootldr import HEAD_BYTES, is_bootldr, read_bootldr
from edl.formats.flashscript import Command, read_script
from edl.package import NamedImage, Package
from edl.packages import pieces
from edl.packages.flat import Members, find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.partitions import classify

_SUFFIXES = {".img", ".bin", ".mbn", ".elf", ".raw", ".fv"}
_SCRIPTS = ("flash*all*.sh", "flash*all*.bat", "flash*all*.cmd", "install*.sh", "flash*.sh")
_MAX_SCRIPT_BYTES = 1 << 20
_USER = ("userdata", "metadata", "cache")
# a folder with one of these is for a phone, and not some other images
_TELLING = {"boot", "abl", "aboot", "xbl", "sbl1", "vbmeta", "system", "super", "recovery", "modem"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,35}", re.ASCII)
_REQUIRE = re.compile(r"(?:require\s+)?([\w-]+)\s*=\s*(.+)", re.ASCII)
_MAX_INFO_BYTES = 64 * 1024
_FEWEST = 2


class Fastboot:
    """A folder or an archive of images with the names of partitions."""

    name = "fastboot"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        home = _home(tree)
        found = images(tree, home)
        bases = {name.removesuffix("_a").removesuffix("_b") for name in found}
        if not _TELLING & bases:
            return Confidence.NO
        if _script(tree) is not None:
            return Confidence.LIKELY
        return Confidence.NO if len(found) < _FEWEST else Confidence.MAYBE

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        home = _home(tree)
        plan = _Collected(_WithParts(Members(tree, home)), wipe=choices.wipe)
        script = _script(tree)
        if script is not None:
            plan.take_script(tree, *script)
        for partition, filename in images(tree, home).items():
            plan.take(NamedImage(partition, filename, home))
        more = [
            NamedImage(partition, filename, home)
            for partition, filenames in pieces.sets(tree, home).items()
            if partition in plan.named
            for filename in filenames
            if filename != plan.named[partition].filename
        ]
        package = Package(
            title=tree.title,
            roots=(),
            documents=(),
            home={},
            loaders=find_loaders(tree),
            left_out=tuple(plan.left_out),
            members=plan.members,
            named=(*plan.named.values(), *more),
        )
        return package, _description(tree, PurePosixPath(script[0]).name if script else "")


class _WithParts(Mapping[str, File]):
    """Files of a package, and the images inside its containers."""

    def __init__(self, files: Members) -> None:
        self._files = files
        self.parts: dict[str, File] = {}

    def __getitem__(self, name: str) -> File:
        return self.parts[name] if name in self.parts else self._files[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._files
        yield from self.parts

    def __len__(self) -> int:
        return len(self._files) + len(self.parts)


@dataclass
class _Collected:
    """What goes where, by partition: what came first counts."""

    members: _WithParts
    wipe: bool
    named: dict[str, NamedImage] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def take_script(self, tree: Tree, path: str, commands: list[Command]) -> None:
        """Take what the script at path flashes, as far as it is there."""
        name = PurePosixPath(path).name
        for command in commands:
            partition, filename = command.words[1], command.words[-1]
            file = tree.beside(path, filename) or tree.get(filename)
            if file is None:
                continue
            image = NamedImage(partition.lower(), filename, name, command.line)
            if is_bootldr(file.head(8)):
                self._take_parts(image, file)
            else:
                self.take(image)

    def take(self, image: NamedImage) -> None:
        """Take image, unless it replaces the user's data."""
        if image.partition in self.named:
            return
        if image.partition in _USER and not self.wipe:
            reason = "it replaces your data; --wipe takes it as well"
            if (image.filename, reason) not in self.left_out:
                self.left_out.append((image.filename, reason))
            return
        self.named[image.partition] = image

    def _take_parts(self, image: NamedImage, file: File) -> None:
        """Take the images in a container such as `bootloader-marlin-8996.img`."""
        try:
            parts = read_bootldr(file.head(HEAD_BYTES), file.size_bytes, image.filename)
        except DocumentError as error:
            raise PackageError(error.message, remedies=("Download the package again.",)) from error
        for part in parts:
            name = f"{image.filename}/{part.name}"
            content = Slice(file.content, part.offset, part.size_bytes)
            self.members.parts[name] = File(f"{file.name}/{part.name}", content, None, file.stamp)
            self.take(NamedImage(part.name.lower(), name, image.document, image.line))


def _script(tree: Tree) -> tuple[str, list[Command]] | None:
    """Return the script in tree that flashes the most, and what it flashes."""
    best: tuple[str, list[Command]] | None = None
    paths = [path for pattern in _SCRIPTS for path in tree.names(pattern)]
    for path in dict.fromkeys(paths):
        file = tree.files[path]
        if file.size_bytes > _MAX_SCRIPT_BYTES:
            continue
        try:
            script = read_script(file.head(file.size_bytes), path)
        except DocumentError:
            continue
        commands = [c for c in script.of("flash") if not _unopened(tree, path, c)]
        if commands and (best is None or len(commands) > len(best[1])):
            best = (path, commands)
    return best


def _unopened(tree: Tree, path: str, command: Command) -> bool:
    """Tell whether the file of command is not there."""
    return not (tree.beside(path, command.words[-1]) or tree.get(command.words[-1]))


def _description(tree: Tree, script: str) -> Description:
    """Return what android-info.txt says: which phones, and which versions of their boot loader."""
    told: dict[str, str] = {}
    for path in tree.names("android-info.txt"):
        text = tree.files[path].head(_MAX_INFO_BYTES).decode("utf-8", "replace")
        told |= {match[1]: match[2].strip() for match in map(_REQUIRE.fullmatch, text.split("\n"))
                 if match}  # fmt: skip
    devices = told.get("board") or told.get("product") or ""
    facts = [(name.removeprefix("version-"), told[name]) for name in sorted(told)
             if name.startswith("version-")]  # fmt: skip
    if script:
        facts.append(("script", f"{script}, read and not run"))
    return Description(
        "images for fastboot, by the names of partitions",
        tuple(filter(None, map(_plain, devices.split("|")))),
        facts=tuple((_plain(name), _plain(value)) for name, value in facts),
    )


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip())[:80]


def _home(tree: Tree) -> str:
    """Return the folder of tree with the most images."""
    homes = dict.fromkeys(str(PurePosixPath(path).parent) for path in tree.files)
    return max(homes, key=lambda folder: len(images(tree, folder)), default=".")


def images(tree: Tree, home: str) -> dict[str, str]:
    """Return the files in the folder home by the partition that their names say.

    Of an image in several parts it is the first one; see pieces.sets.
    """
    parts = pieces.sets(tree, home)
    found = {partition: filenames[0] for partition, filenames in parts.items()}
    others = {filename for filenames in parts.values() for filename in filenames}
    for filename in tree.below(home):
        if filename in others:
            continue
        path = PurePosixPath(filename)
        if path.suffix.lower() in _SUFFIXES and _NAME.fullmatch(path.stem):
            known = classify(path.stem).category != "unknown"
            if known or path.suffix.lower() == ".img":
                found.setdefault(path.stem.lower(), filename)
    return found
