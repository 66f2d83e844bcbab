# SPDX-License-Identifier: BSD-3-Clause
"""contents.xml of Qualcomm's meta builds: which files of a build tree belong to which storage.

Facts: qdl contents.c; the file of a phone's maker; handbook 3.2.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from edl.errors import DocumentError
from edl.formats.xml import Element, read_document

_KINDS = {
    "device_programmer": "programmer",
    "partition_file": "rawprogram",
    "partition_patch_file": "patch",
    "download_file": "image",
    "file_ref": "image",
}
_VARIABLE = re.compile(r"\$\{[^{}:]*(?::([^{}]*))?\}")
_MAX_ENTRIES = 10_000  # the largest builds seen have some hundreds
_MAX_PATH = 4096


@dataclass(frozen=True)
class Entry:
    """Files of a build. kind: `programmer`, `rawprogram`, `patch`, `image`.

    path: relative to contents.xml, with `/`; its last part may be a pattern. storage, flavor: empty
    for all of them.
    """

    kind: str
    path: str
    storage: str
    flavor: str
    line: int


@dataclass(frozen=True)
class MetaBuild:
    """What the document says. flavors: names to choose from."""

    product: str
    flavors: tuple[str, ...]
    entries: tuple[Entry, ...]

    def of(self, kind: str, storage: str, flavor: str) -> tuple[Entry, ...]:
        """Return the entries of a kind, for a storage and a flavor."""
        return tuple(
            entry
            for entry in self.entries
            if entry.kind == kind
            and entry.storage in {"", storage}
            and entry.flavor in {"", flavor}
        )

    @property
    def storages(self) -> tuple[str, ...]:
        """The storages that have rawprogram files."""
        found = (entry.storage for entry in self.entries if entry.kind == "rawprogram")
        return tuple(dict.fromkeys(found))


def read_metabuild(data: bytes, name: str) -> MetaBuild:
    """Return what data, the content of the file name, says.

    Raises:
        DocumentError: it is no such document.
    """
    root = read_document(data, name).root
    if root.tag != "contents":
        raise DocumentError(f"{name}: it is no contents.xml: it begins with <{root.tag}>.")
    flavors: list[str] = []
    entries: list[Entry] = []
    product = ""
    for element in root.walk():
        if element.tag == "pf":
            flavors += [child.text for child in element.children if child.tag == "name"]
        elif element.tag == "product_name":
            product = _plain(element.text)
        elif element.tag == "build":
            entries += itertools.islice(_build(element, name), _MAX_ENTRIES - len(entries) + 1)
            if len(entries) > _MAX_ENTRIES:
                raise DocumentError(f"{name} names more files than any build has.")
    return MetaBuild(product, tuple(map(_plain, flavors)), tuple(entries))


def _build(build: Element, name: str) -> Iterator[Entry]:
    roots = [child.text for child in build.children if child.tag == "linux_root_path"]
    root = roots[0] if roots else ""
    for element in build.walk():
        kind = _KINDS.get(element.tag)
        if kind is None or element.attributes.get("ignore", "").lower() == "true":
            continue
        if kind == "programmer" and element.attributes.get("firehose_type", "ddr") == "lite":
            continue
        yield from _entries(kind, element, root, name)


def _entries(kind: str, element: Element, root: str, document: str) -> Iterator[Entry]:
    names = [child.text for child in element.children if child.tag == "file_name"]
    folders = [child for child in element.children if child.tag == "file_path"]
    for name in names:
        for folder in folders:
            if len(root) + len(folder.text) + len(name) > _MAX_PATH:
                raise DocumentError(f"{document}:{element.line}: the path is too long for any.")
            yield Entry(
                kind,
                _joined(root, folder.text, name),
                element.attributes.get("storage_type", "").lower(),
                folder.attributes.get("flavor", ""),
                element.line,
            )


def _joined(*parts: str) -> str:
    """Return the path that parts make; variables have what stands behind their colon."""
    path = "/".join(_VARIABLE.sub(lambda match: match[1] or "", part) for part in parts)
    found: list[str] = []
    for part in PurePosixPath(_plain(path).replace("\\", "/").lstrip("/")).parts:
        if part == ".." and found and found[-1] != "..":
            found.pop()
        else:
            found.append(part)
    return "/".join(found)


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
