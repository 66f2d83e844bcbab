# SPDX-License-Identifier: BSD-3-Clause
"""Sony's packages: ftf (a zip file), or a folder of sin files.

They are made for flash mode, whose loaders Sony signs and gives; a loader for EDL mode that would
write them is for Sony's service only. Their images are read all the same: to unpack them, to
compare, and for whoever has a loader. What is of one phone only is never written: TA, persist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import lz4.block

from edl.chunks import Content, FillContent, read_all
from edl.errors import DocumentError, ImageError, PackageError
from edl.events import Emit
from edl.files import File
from edl.formats import sin
from edl.formats.sin import Piece, Sin
from edl.formats.sparse import is_sparse
from edl.package import NamedImage, Package
from edl.packages import tars
from edl.packages.flat import find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree

_GZIP = b"\x1f\x8b\x08"
_USER = {"userdata", "cache", "metadata"}
_VARIANT = re.compile(r"[_-]X-FLASH.*|[_-][A-F0-9]{4}$", re.IGNORECASE | re.ASCII)
_BLANK = b"\xff"  # what public tools put where an image says nothing
# by how names begin: why they are not written
_NEVER = (
    ("loader", "it is a loader for flash mode"),
    ("persist", "it exists once on each phone: phones lost their keys for good by writing it"),
    ("partition", "which table is right depends on the phone; see: edl gpt"),
    ("ta", "the units of TA are of one phone only"),
)
_BOOT = (
    "there is one set for each configuration of the phone (boot_delivery.xml); with the wrong one"
    " it does not start, and only flash mode can tell which is right"
)
_WAY = (
    "Sony's phones take this in flash mode (newflasher; volume down held while plugging in). In EDL"
    " mode their loaders write only for who Sony has authorised"
)


class Sony:
    """An ftf, a folder of sin files, or one sin file."""

    name = "sony"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        for path in tree.names("*.sin"):
            head = tree.files[path].head(sin.HEAD_BYTES)
            if sin.version_of(head) or head.startswith(_GZIP):
                return Confidence.SURE
        return Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        made = _Maker(tree, choices.wipe, choices.emit)
        for path in tree.files:
            made.take(path)
        if not made.named:
            raise PackageError(
                f"{tree.title} holds nothing that could be written: {_WAY}.",
                remedies=tuple(f"{name}: {why}." for name, why in made.left_out[:3]),
            )
        package = Package(
            title=tree.title,
            roots=(),
            documents=(),
            home={},
            loaders=find_loaders(tree),
            left_out=tuple(made.left_out),
            warnings=(f"{PurePosixPath(tree.title).name}: {_WAY}.",),
            members=made.members,
            named=tuple(made.named),
        )
        versions = ", ".join(map(str, sorted(made.versions)))
        return package, Description("Sony package (sin)", facts=(("sin", f"version {versions}"),))


@dataclass
class _Maker:
    """Makes images of a tree. members: what they are, by the names of their files."""

    tree: Tree
    wipe: bool
    emit: Emit
    members: dict[str, File] = field(default_factory=dict)
    named: list[NamedImage] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)

    def take(self, path: str) -> None:
        """Take the file at path, or note why it is left out.

        Raises:
            PackageError: it is damaged.
        """
        place = PurePosixPath(path)
        if place.suffix.lower() == ".ta":
            self.left_out.append((path, "the units of TA are of one phone only"))
        if place.suffix.lower() != ".sin":
            return
        partition = _VARIANT.sub("", place.stem)
        if why := self._reason(partition.lower(), place):
            self.left_out.append((path, why))
            return
        file = self.tree.files[path]
        try:
            images = list(self._images(file, path))
        except DocumentError as error:
            raise PackageError(
                f"{file.name}: {error.message}",
                remedies=("Download it again: what is there is not whole.",),
            ) from error
        for name, image in images:
            self.members[name] = image
            self.named.append(NamedImage(partition, name, path))

    def _reason(self, partition: str, place: PurePosixPath) -> str:
        if place.parent.name.lower() == "boot":
            return _BOOT
        if partition in _USER and not self.wipe:
            return "it replaces your data; --wipe takes it as well"
        return next((why for start, why in _NEVER if partition.startswith(start)), "")

    def _images(self, file: File, path: str) -> Iterator[tuple[str, File]]:
        head = file.head(sin.HEAD_BYTES)
        if head.startswith(_GZIP):
            yield from self._packed(file, path)
            return
        found = sin.read_sin(file.content)
        self.versions.add(found.version)
        name = f"{path}.raw"
        yield name, File(f"{file.name}.raw", SinContent(file.content, found), None, file.stamp)

    def _packed(self, file: File, path: str) -> Iterator[tuple[str, File]]:
        """Yield the images in a file of version 4 or 5, without the signature beside them."""
        self.versions.add(4)
        inside = tars.read(file, file.name, self.emit)
        found = {name: each for name, each in inside.files.items() if not name.endswith(".cms")}
        if not found:
            raise DocumentError("It holds no image.")
        # of several, each is a sparse image of the whole partition
        if len(found) > 1 and not all(is_sparse(each.head(4)) for each in found.values()):
            raise DocumentError("It holds several images, and nobody has described that kind.")
        for name, each in found.items():
            yield f"{path}/{name}", each


@dataclass(frozen=True)
class SinContent:
    """What a sin file of version 1 to 3 holds of a partition."""

    file: Content
    image: Sin
    _last: dict[Piece, bytes] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.image.size_bytes

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content.

        Raises:
            ImageError: a piece of it is damaged.
        """
        at, end = offset, offset + length
        for piece in self.image.pieces:
            stop = min(piece.target + piece.size_bytes, end)
            if stop <= at:
                continue
            gap = min(piece.target, end) - at
            if gap > 0:
                yield from FillContent(gap, _BLANK).chunks(0, gap)
                at += gap
            if at < stop:
                yield from self._piece(piece, at - piece.target, stop - at)
                at = stop

    def _piece(self, piece: Piece, offset: int, length: int) -> Iterator[memoryview]:
        if piece.packed:
            yield memoryview(self._unpacked(piece))[offset : offset + length]
        else:
            yield from self.file.chunks(piece.offset + offset, length)

    def _unpacked(self, piece: Piece) -> bytes:
        """Return what piece unpacks to; the last one is kept for whoever reads on."""
        if piece not in self._last:
            data = _decompressed(read_all(self.file, piece.offset, piece.packed_bytes), piece)
            self._last.clear()
            self._last[piece] = data
            return data
        return self._last[piece]


def _decompressed(packed: bytes, piece: Piece) -> bytes:
    try:
        data: bytes = lz4.block.decompress(packed, uncompressed_size=piece.size_bytes)
    except lz4.block.LZ4BlockError:
        data = b""
    if len(data) != piece.size_bytes:
        raise ImageError(
            f"The piece for byte {piece.target} of the partition is damaged.",
            remedies=("Download the package again: what is there is not whole.",),
        )
    return data
