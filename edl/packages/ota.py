# SPDX-License-Identifier: BSD-3-Clause
"""Updates over the air: `payload.bin` by itself or in a zip file, and updates by blocks.

Only whole ones can be written to a phone that starts nothing any more: a delta makes its images
out of those that the phone had. Scripts in them never run. Signatures cannot be checked, as only
the phone has the maker's key; checksums are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from edl.chunks import Content, read_all
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import blockimage, payload
from edl.formats.blockimage import BlockImage, TransferList
from edl.formats.brotli import Unbrotlied
from edl.formats.payload import Images, PartitionUpdate, Payload
from edl.package import NamedImage, Package
from edl.packages import fastboot, pieces
from edl.packages.flat import Members, find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.partitions import classify
from edl.spool import at_hand
from edl.streamed import StreamContent
from edl.units import MIB, format_size

_METADATA = "META-INF/com/android/metadata"
_PROPERTIES = "payload_properties.txt"
_LOGICAL = "dynamic_partitions_op_list"
_LIST_ENDING = ".transfer.list"
_PATCH = "patch"
_MAX_TEXT_BYTES = 32 * MIB
_USER = {"userdata", "cache"}
_DOWNLOAD = "Download it again: what is there is not whole."
_FULL = (
    "Get the full update or the factory image of that version: it does not need the old one.",
    "The maker's page often has both; full ones have more than 1 GB.",
)
_LIST_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,35}", re.ASCII)


class PayloadBin:
    """An update for phones with slots: payload.bin, by itself or in a zip file."""

    name = "payload"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if _payloads(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        found = _payloads(tree)
        if len(found) > 1:
            raise PackageError(
                f"{tree.title} holds several payloads: {', '.join(found)}.",
                remedies=("Unpack it, and name the one that is for this phone.",),
            )
        path = found[0]
        file = _anywhere(tree.files[path], choices)
        try:
            read = payload.read(file.content)
        except DocumentError as error:
            raise _damaged(file.name, error) from error
        _require_whole(file, read, tree, path)
        told = _metadata(tree)
        members, named, left_out = _images(file, read, choices)
        package = Package(
            title=tree.title,
            roots=(),
            documents=(),
            home={},
            loaders=find_loaders(tree),
            left_out=left_out,
            warnings=_partial(file, read),
            members=members,
            named=named,
            logical=tuple(name for group in read.groups for name in group.partitions),
        )
        return package, _description("update with a payload", told, _facts(read))


def _payloads(tree: Tree) -> list[str]:
    names = list(tree.files) if tree.kind == "file" else tree.names("*payload*.bin")
    return [path for path in names if payload.is_payload(tree.files[path].head(4))]


def _anywhere(file: File, choices: Choices) -> File:
    """Return file so that it can be read anywhere at once."""
    content = file.content
    in_order = isinstance(content, StreamContent) and content.direct is None
    return at_hand(file, choices.emit) if in_order else file


def _require_whole(file: File, read: Payload, tree: Tree, path: str) -> None:
    """Refuse a delta, and a manifest that is not the one that lies beside it in words.

    Raises:
        PackageError: it is one of these.
    """
    if read.delta:
        raise PackageError(
            f"{file.name} only changes the version that it was made for: {read.delta}.",
            remedies=_FULL,
        )
    beside = tree.beside(path, _PROPERTIES)
    told = _pairs(beside) if beside is not None else {}
    try:
        digest = base64.b64decode(told.get("METADATA_HASH", ""), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    same_size = told.get("METADATA_SIZE") == str(read.metadata_bytes)
    if digest and same_size and digest != read.metadata_sha256:
        raise _damaged(file.name, DocumentError("its manifest is not the one it was made with."))


def _images(
    file: File, read: Payload, choices: Choices
) -> tuple[dict[str, File], tuple[NamedImage, ...], tuple[tuple[str, str], ...]]:
    """Return the images of a payload: members, what they are for, and what is left out."""
    members, named, left_out = {}, [], []
    images = Images(file.content, read)
    for partition in read.partitions:
        reason = _no_use(partition.name, partition.size_bytes, choices)
        if reason:
            left_out.append((partition.name, reason))
            continue
        filename = f"{partition.name}.img"
        members[filename] = _image_file(file, images, partition)
        named.append(NamedImage(partition.name, filename, PurePosixPath(file.name).name))
    if not named:
        raise PackageError(f"{file.name} has no image to write.", remedies=_FULL)
    return members, tuple(named), tuple(left_out)


def _no_use(name: str, size_bytes: int, choices: Choices) -> str:
    if size_bytes == 0:
        return "the update has no data for it"
    if name.lower() in _USER and not choices.wipe:
        return "it replaces your data; --wipe takes it as well"
    return ""


def _image_file(file: File, images: Images, partition: PartitionUpdate) -> File:
    image = images.of(partition)
    name = f"{file.name}/{partition.name}"
    content = StreamContent(name, image.size_bytes, image.start, lambda: image)
    return File(name, content, None, file.stamp)


def _partial(file: File, read: Payload) -> tuple[str, ...]:
    if not read.partial:
        return ()
    name = PurePosixPath(file.name).name
    return (f"{name}: The update is a partial one: other partitions keep what they hold.",)


def _facts(read: Payload) -> tuple[tuple[str, str], ...]:
    size = sum(each.size_bytes for each in read.partitions)
    facts = [("images", f"{len(read.partitions)}, {format_size(size)} unpacked")]
    if read.patch_level:
        facts.append((_PATCH, _printable(read.patch_level)))
    for group in read.groups:
        room = format_size(group.maximum_bytes) if group.maximum_bytes else "any size"
        facts.append(("logical", f"{group.name} ({room}): {_names(group.partitions)}"))
    return tuple(facts)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(_printable, names)) or "none"


# -- by blocks -----------------------------------------------------------------------------------


class BlockUpdate:
    """An update by blocks: `system.new.dat.br` and `system.transfer.list`, with images beside."""

    name = "blocks"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if _lists(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        lists = _lists(tree)
        homes = {str(PurePosixPath(path).parent) for path in tree.names(f"*{_LIST_ENDING}")}
        if len(homes) > 1:
            raise PackageError(f"{tree.title} holds several updates: {', '.join(sorted(homes))}.")
        (home,) = homes
        members: dict[str, File] = {}
        named: list[NamedImage] = []
        left_out: list[tuple[str, str]] = []
        for partition, (path, data) in lists.items():
            if reason := _no_use(partition, 1, choices):
                left_out.append((partition, reason))
                continue
            members[f"{partition}.img"] = _block_file(tree, path, data, choices)
            named.append(NamedImage(partition, f"{partition}.img", PurePosixPath(path).name))
        known = Members(tree, home)
        for partition, filename in _beside(tree, home):
            file = known.get(filename)
            if partition in lists or file is None:
                continue
            if reason := _no_use(partition, 1, choices):
                left_out.append((partition, reason))
                continue
            members[filename] = file
            named.append(NamedImage(partition, filename, "update"))
        left_out += _firmware(tree, home)
        logical = tree.get(str(PurePosixPath(home) / _LOGICAL))
        package = Package(
            title=tree.title,
            roots=(),
            documents=(),
            home={},
            loaders=find_loaders(tree),
            left_out=tuple(left_out),
            members=members,
            named=tuple(named),
            logical=tuple(blockimage.read_logical(_raw(logical))) if logical else (),
        )
        return package, _description("update by blocks", _metadata(tree), ())


def _lists(tree: Tree) -> dict[str, tuple[str, File]]:
    """Return the transfer lists that have data beside them, by partition, with these."""
    found: dict[str, tuple[str, File]] = {}
    for path in tree.names(f"*{_LIST_ENDING}"):
        partition = PurePosixPath(path).name[: -len(_LIST_ENDING)].lower()
        data = _data(tree, path)
        if _LIST_NAME.fullmatch(partition) and data is not None:
            found[partition] = (path, data)
    return found


def _data(tree: Tree, path: str) -> File | None:
    base = PurePosixPath(path).name[: -len(_LIST_ENDING)]
    found = (tree.beside(path, base + ending) for ending in (".new.dat", ".new.dat.br"))
    return next((file for file in found if file is not None), None)


def _block_file(tree: Tree, path: str, data: File, choices: Choices) -> File:
    """Return the image that the transfer list at path makes of data."""
    partition = PurePosixPath(path).name[: -len(_LIST_ENDING)]
    try:
        transfers = blockimage.read(_raw(tree.files[path]))
    except DocumentError as error:
        raise _damaged(tree.files[path].name, error) from error
    if transfers.needs:
        raise PackageError(
            f"{tree.title} only changes the version that it was made for: '{partition}' has the"
            f" commands {', '.join(map(_printable, transfers.needs[:4]))}.",
            remedies=_FULL,
        )
    source = _new_data(data, transfers, choices)
    image = BlockImage(transfers, source.content)
    name = f"{tree.title}/{partition}"
    if isinstance(source.content, StreamContent) and source.content.direct is None:
        # what comes in order is checked to its end when it is read to its end
        content: Content = StreamContent(name, image.size_bytes, lambda: _Reading(image))
    else:
        content = image
    return File(name, content, None, data.stamp)


def _new_data(data: File, transfers: TransferList, choices: Choices) -> File:
    """Return the data of a transfer list, unpacked; on the disk if not read in their order."""
    file = data
    if data.name.lower().endswith(".br"):
        content = StreamContent(
            data.name, transfers.data_bytes, lambda: Unbrotlied(_Reading(data.content))
        )
        file = File(data.name[: -len(".br")], content, None, data.stamp)
    if file.size_bytes < transfers.data_bytes:
        raise _damaged(data.name, DocumentError("it is shorter than its transfer list says."))
    return file if transfers.in_order else _anywhere(file, choices)


class _Reading:
    """The bytes of a content, in order."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at = 0

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        length = min(size_bytes, self._content.size_bytes - self._at)
        data = read_all(self._content, self._at, length) if length else b""
        self._at += length
        return data

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        self._at = min(self._at + size_bytes, self._content.size_bytes)


def _beside(tree: Tree, home: str) -> Iterator[tuple[str, str]]:
    """Yield partition and name of the images in the folder home."""
    parts = pieces.sets(tree, home)
    for partition, filename in fastboot.images(tree, home).items():
        for each in parts.get(partition, (filename,)):
            yield partition, each


def _firmware(tree: Tree, home: str) -> list[tuple[str, str]]:
    """Return what updates copy by their script, which is not followed."""
    folders = ("firmware-update", "firmware", "RADIO")
    found = [
        name
        for folder in folders
        for name in tree.below(str(PurePosixPath(home) / folder))
        if classify(PurePosixPath(name).stem).category == "unknown"
    ]
    reason = "only the update's script says where it goes, and scripts never run"
    return [(", ".join(found[:8]), reason)] if found else []


# -- what both have ------------------------------------------------------------------------------


def _raw(file: File) -> bytes:
    if file.size_bytes > _MAX_TEXT_BYTES:
        raise PackageError(f"{file.name} is larger than any honest one.")
    return file.head(file.size_bytes)


def _pairs(file: File) -> dict[str, str]:
    """Return the lines `name=value` of file."""
    text = file.head(MIB).decode("utf-8", "replace")
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): _printable(value.strip()) for name, _, value in pairs}


def _metadata(tree: Tree) -> dict[str, str]:
    """Return what the update says about itself."""
    file = next((tree.files[path] for path in tree.files if path.endswith(_METADATA)), None)
    return _pairs(file) if file is not None else {}


def _description(
    kind: str, told: dict[str, str], facts: tuple[tuple[str, str], ...]
) -> Description:
    devices = tuple(name for name in re.split(r"[,|]", told.get("pre-device", "")) if name)
    level = told.get("post-security-patch-level", "")
    if level and not any(name == _PATCH for name, _ in facts):
        facts = ((_PATCH, level), *facts)
    return Description(kind, devices, told.get("post-build", ""), facts)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _damaged(name: str, error: DocumentError) -> PackageError:
    return PackageError(f"{name} is damaged: {error.message}", remedies=(_DOWNLOAD,))
