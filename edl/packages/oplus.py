# SPDX-License-Identifier: BSD-3-Clause
"""Containers of OnePlus (ops), Oppo and Realme (ofp), whole or unpacked by another tool.

What is encrypted is opened with keys that the user has; what lies beside it in plain needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edl.chunks import read_all
from edl.errors import DocumentError, PackageError
from edl.files import File, on_disk
from edl.formats import ofp, ops
from edl.formats.ofp import OfpKey
from edl.formats.oplussettings import Settings, is_settings, read_settings
from edl.formats.ops import Container, OpsKey
from edl.package import Package
from edl.packages import flat, spool
from edl.packages.flat import Members, find_loaders
from edl.packages.keys import Keys, none_fits, read_keys
from edl.packages.model import Choices, Confidence, Description
from edl.packages.oplusfiles import Box, contained, unpacked
from edl.packages.oplusrows import Chooser, sets
from edl.packages.tree import Tree
from edl.streamed import StreamContent

_SUFFIXES = {".ops", ".ofp"}
_NAMES = ("settings.xml", "profile.xml")
_HEAD_BYTES = 4096
_BOM = b"\xef\xbb\xbf"
_OTHER_TOOL = (
    "If another tool has decrypted it, name the folder with its settings.xml (ProFile.xml) and the"
    " images; of an ops file, settings.xml beside it is enough."
)
_FLASH_TOOL = "The maker's own tool takes it as it is."


class Oplus:
    """An ops or ofp file, or the folder that a tool made of one."""

    name = "oplus"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        try:
            file = _container(tree)
            if file is not None:
                # its end can be far away, inside an archive
                far = _in_order(file) or not _footer(file)
                return Confidence.LIKELY if far else Confidence.SURE
        except PackageError:  # told when it is opened
            return Confidence.SURE
        return Confidence.LIKELY if _settings_in(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format.

        Options: `keys`, a file with keys; `settings`, the document of the container in plain;
        `project`, the phone's project (model) where files differ by it; `nv`, the carrier's id
        where the super partition does; `storage`, `emmc` or `ufs`.
        """
        file = _container(tree)
        if file is None:
            home, document = _settings_in(tree)[0]
            settings = read_settings(document.head(ops.MAX_XML_BYTES + 1), document.name)
            files = unpacked(settings, Members(tree, home))
            return self._package(tree, settings, files, choices, None)
        if _in_order(file):
            file = spool.at_hand(file, choices.emit)
        container = _footer(file)
        if container is None:
            raise _unknown(file)
        box, settings = _opened(file, container, tree, choices)
        return self._package(tree, settings, contained(box, settings), choices, box)

    def _package(
        self,
        tree: Tree,
        settings: Settings,
        files: dict[str, File],
        choices: Choices,
        box: Box | None,
    ) -> tuple[Package, Description]:
        chooser = Chooser(settings, files, choices)
        found = sets(settings.name, chooser.rows())
        loaders = find_loaders(Tree(tree.title, "file", chooser.loaders(box)))
        packages = {
            name: flat.assembled(tree.title, [rows], files, loaders, tuple(chooser.left_out))
            for name, rows in found.items()
        }
        package = flat.one_of(tree.title, packages, choices.options.get("storage", ""))
        return package, _description(settings, box)


def _description(settings: Settings, box: Box | None) -> Description:
    kind = "OnePlus package (ops)" if settings.is_ops else "Oppo or Realme package (ofp)"
    project = settings.project or (box.container.project if box else "")
    version = settings.version or (box.container.firmware if box else "")
    told = "writes only after the maker's tool has authorised itself, on most models since 2019"
    facts = [("loader", told)]
    if settings.projects:
        facts.append(("projects", ", ".join(settings.projects)))
    return Description(kind, (f"project {project}",) if project else (), version, tuple(facts))


def _container(tree: Tree) -> File | None:
    """Return the one file of tree that is such a container, or by its name should be."""
    named = [
        file for path, file in tree.files.items() if PurePosixPath(path).suffix.lower() in _SUFFIXES
    ]
    if len(named) > 1:
        return None
    if named:
        return named[0]
    alone = next(iter(tree.files.values())) if len(tree.files) == 1 else None
    return alone if alone is not None and not _in_order(alone) and _footer(alone) else None


def _in_order(file: File) -> bool:
    """Tell whether file can only be read from its beginning on."""
    return isinstance(file.content, StreamContent) and file.content.direct is None


def _footer(file: File) -> Container | None:
    try:
        return ops.find(file.content)
    except DocumentError as error:
        raise PackageError(f"{file.name}: {error.message}", remedies=(_again(),)) from error


def _again() -> str:
    return "Download it again: what is there is not whole."


def _unknown(file: File) -> PackageError:
    return PackageError(
        f"{file.name} does not end as containers for phones with Qualcomm's chip do: it is cut off,"
        " or for a phone with a MediaTek chip.",
        remedies=(_again(), _FLASH_TOOL),
    )


def _settings_in(tree: Tree) -> list[tuple[str, File]]:
    """Return the documents in tree, with their folders."""
    return [
        (str(PurePosixPath(path).parent), file)
        for path, file in tree.files.items()
        if PurePosixPath(path).name.lower() in _NAMES and is_settings(file.head(_HEAD_BYTES))
    ]


@dataclass(frozen=True)
class _Plain:
    """The document, and the key that opened it; no key if it was plain. inside: the container."""

    text: bytes
    name: str
    key: OpsKey | OfpKey | None
    inside: bool


def _opened(file: File, container: Container, tree: Tree, choices: Choices) -> tuple[Box, Settings]:
    keys = read_keys(choices)
    plain = next(_plain_ones(file, container, keys), None) or _beside(file, tree, choices)
    if plain is None:
        raise PackageError(
            f"{file.name} is a container for project {container.project or 'unknown'}, firmware"
            f" {container.firmware or 'unknown'}. What it holds is listed in encrypted form, and"
            f" {none_fits(keys.ops or keys.ofp)}.",
            remedies=(keys.remedy, _OTHER_TOOL, _FLASH_TOOL),
        )
    settings = read_settings(plain.text, plain.name)
    key = plain.key
    if not plain.inside:
        key = _first_fitting(keys, settings)
        if key is None and not settings.is_ops:
            raise PackageError(
                f"{plain.name} is readable, but the files in {file.name} are encrypted as well.",
                remedies=(keys.remedy, _OTHER_TOOL),
            )
    return Box(file, container, key, plain=plain.inside and key is None), settings


def _first_fitting(keys: Keys, settings: Settings) -> OpsKey | OfpKey | None:
    fitting: tuple[OpsKey | OfpKey, ...] = keys.ops if settings.is_ops else keys.ofp
    return fitting[0] if len(fitting) == 1 else None


def _plain_ones(file: File, container: Container, keys: Keys) -> Iterator[_Plain]:
    """Yield the document inside file, as it lies there and with each key, where that is XML."""
    for at, size in container.places:
        data = read_all(file.content, at, size)
        name = PurePosixPath(file.name).name
        if _is_xml(data):
            yield _Plain(_trimmed(data), name, None, inside=True)
        head = data[: 4 * ops.BLOCK_BYTES]
        for key in keys.ops:
            if _is_xml(ops.decipher(head, key)):
                yield _Plain(_trimmed(ops.decipher(data, key)), name, key, inside=True)
        for other in keys.ofp:
            if _is_xml(ofp.decipher(head, other)):
                yield _Plain(_trimmed(ofp.decipher(data, other)), name, other, inside=True)


def _trimmed(data: bytes) -> bytes:
    """Return data without what stands behind the document: its length is not always told."""
    return data[: data.rfind(b">") + 1]


def _is_xml(data: bytes) -> bool:
    return data.removeprefix(_BOM).lstrip().startswith(b"<?xml ")


def _beside(file: File, tree: Tree, choices: Choices) -> _Plain | None:
    """Return the document in plain that the user named, or that lies beside file."""
    found: list[File] = []
    if named := choices.options.get("settings"):
        found = [on_disk(Path(named))]
    elif len(tree.files) > 1:
        found = [document for _, document in _settings_in(tree)]
    elif file.path is not None:
        found = [
            on_disk(path)
            for path in sorted(file.path.parent.iterdir())
            if path.name.lower() in _NAMES and path.is_file()
        ]
    for document in found:
        data = document.head(ops.MAX_XML_BYTES + 1)
        if named or is_settings(data[:_HEAD_BYTES]):
            return _Plain(data, document.name, None, inside=False)
    return None
