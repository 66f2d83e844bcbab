# SPDX-License-Identifier: BSD-3-Clause
"""The XML document of OnePlus' and Oppo's containers: settings.xml, ProFile.xml.

Facts: oppo_decrypt (B. Kerler, MIT), and a plain document of an Oppo R9s. Sections Program0, Data2
and so on have the rows of one physical partition each, with the place of the file in the container;
Patch0 patches. OnePlus puts the file into an <Image> inside the row. Several rows may stand for one
place: each for another project (model), and only one of them is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import quoteattr

from edl.errors import DocumentError
from edl.formats.rawprogram import Rows, read_rawprogram
from edl.formats.xml import Element, read_document
from edl.units import parse_number

_ROWS = re.compile(r"(?:Program|Data)_?([0-9]{0,2})", re.IGNORECASE | re.ASCII)
_PATCHES = re.compile(r"Patch_?([0-9]{0,2})", re.IGNORECASE | re.ASCII)
# sections whose files lie in the container as they are
_PLAIN = {"digeststosign", "chainedtableofdigests", "firmware", "ufs_provision"}
_LOADERS = "sahara"
_PROVISION = {"ufs_provision", "provision"}
_KNOWN = {
    "program": (
        "SECTOR_SIZE_IN_BYTES", "file_sector_offset", "filename", "label", "num_partition_sectors",
        "physical_partition_number", "sparse", "start_sector",
    ),
    "patch": (
        "SECTOR_SIZE_IN_BYTES", "byte_offset", "filename", "physical_partition_number",
        "size_in_bytes", "start_sector", "value", "what",
    ),
}  # fmt: skip
_MAX_NUMBER = 1 << 48


@dataclass(frozen=True)
class Source:
    """A file in the container.

    Attributes:
        page: where it begins, in pages of the container; None if the document does not say.
        sha256, md5: in digits; empty: not told.
    """

    name: str
    section: str
    page: int | None
    size_bytes: int
    sha256: str
    md5: str
    sparse: bool

    @property
    def is_loader(self) -> bool:
        """Whether it is the programmer, which is encrypted as a whole."""
        return self.section.lower() == _LOADERS

    @property
    def is_plain(self) -> bool:
        """Whether no kind of container encrypts it."""
        return self.section.lower() in _PLAIN

    @property
    def is_provision(self) -> bool:
        """Whether it sets up the storage anew."""
        return self.section.lower() in _PROVISION


@dataclass(frozen=True)
class SettingsRow:
    """A row, not yet read. attributes: as rawprogram files have them. project: 0 or empty: any."""

    tag: str
    line: int
    attributes: Mapping[str, str]
    source: Source | None = None
    project: str = ""
    skipped: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """What two rows for the same place have in common."""
        words = (self.attributes.get(key, "") for key in ("SECTOR_SIZE_IN_BYTES", "start_sector"))
        return self.attributes["physical_partition_number"], *words


@dataclass(frozen=True)
class Settings:
    """The document. projects: names of files by project. is_ops: its kind of container."""

    name: str
    project: str
    version: str
    is_ops: bool
    sources: tuple[Source, ...]
    rows: tuple[SettingsRow, ...]
    projects: Mapping[str, str] = field(default_factory=dict)


def is_settings(head: bytes) -> bool:
    """Return whether a file that begins with head can be such a document."""
    return b"<" in head and any(
        mark in head for mark in (b"<ProFile", b"<Setting", b"<BasicInfo", b"<SAHARA", b"<Sahara")
    )


def read_settings(data: bytes, name: str) -> Settings:
    """Return the document in data, the content of the file name.

    Raises:
        DocumentError: it is none, or has places and sizes that cannot be.
    """
    root = read_document(data, name).root
    basic: Mapping[str, str] = {}
    sources: list[Source] = []
    rows: list[SettingsRow] = []
    projects: dict[str, str] = {}
    for section in root.children:
        if section.tag == "BasicInfo":
            basic = section.attributes
        elif match := _ROWS.fullmatch(section.tag):
            rows += _rows(section, match[1] or "0", name)
        elif match := _PATCHES.fullmatch(section.tag):
            rows += _patches(section, match[1] or "0")
        elif section.tag == "ProjectConfig":
            projects |= {
                each.attributes.get("project", ""): each.attributes.get("filename", "")
                for each in section.children
            }
        else:
            sources += [_source(each, section.tag, name) for each in section.children]
    sources += [row.source for row in rows if row.source is not None]
    if not rows:
        raise DocumentError(f"{name} has no rows: it is no document of such a container.")
    return Settings(
        name,
        basic.get("Project", ""),
        basic.get("Version", ""),
        any(section.tag == "SAHARA" for section in root.children),
        tuple(each for each in sources if each.name),
        tuple(_with_sector_sizes(rows)),
        projects,
    )


def plain_rows(name: str, rows: Iterable[SettingsRow]) -> Rows:
    """Return rows as those of a rawprogram file, each on its own line of the document name.

    Raises:
        DocumentError: some are not understood.
    """
    text = ["<data>"]
    line = 1
    for row in sorted(rows, key=lambda each: each.line):
        text.append("\n" * max(0, row.line - line))
        line = max(line, row.line)
        words = [
            f"{key}={quoteattr(row.attributes[key], {chr(10): '&#10;'})}"
            for key in _KNOWN[row.tag]
            if key in row.attributes
        ]
        text.append(f"<{row.tag} {' '.join(words)}/>")
    return read_rawprogram("".join([*text, "</data>"]).encode(), name)


def _rows(section: Element, lun: str, name: str) -> Iterator[SettingsRow]:
    for element in section.children:
        own = {
            key: value for key, value in element.attributes.items() if value or key != "filename"
        }
        for image in element.children or (element,):
            attributes = {"physical_partition_number": lun, "label": "", **own, **image.attributes}
            attributes.setdefault("filename", "")
            attributes["start_sector"] = attributes.get("start_sector", "").strip()
            source = _source(replace(image, attributes=attributes), section.tag, name)
            skipped = [
                key for key in ("skip_download", "not_overwrite") if attributes.get(key, "0") == "1"
            ]
            yield SettingsRow(
                "program",
                image.line,
                attributes,
                source if source.name else None,
                attributes.get("ID", attributes.get("Id", "")),
                skipped[0] if skipped else "",
            )


def _patches(section: Element, lun: str) -> Iterator[SettingsRow]:
    for element in section.children:
        attributes = {"physical_partition_number": lun, **element.attributes}
        yield SettingsRow("patch", element.line, attributes)


def _source(element: Element, section: str, name: str) -> Source:
    attributes = {key.lower(): value.strip() for key, value in element.attributes.items()}
    size = _number(attributes, "sizeinbyteinsrc", element, name)
    page = _number(attributes, "fileoffsetinsrc", element, name)
    if page is None:  # rows of <Config> have their place under this name
        page = _number(attributes, "sizeinsectorinsrc", element, name)
    return Source(
        attributes.get("path") or attributes.get("filename", ""),
        section,
        page,
        size or 0,
        _digits(attributes.get("sha256", ""), 64),
        _digits(attributes.get("md5", ""), 32),
        attributes.get("sparse", "").lower() in {"1", "true"},
    )


def _number(attributes: Mapping[str, str], key: str, element: Element, name: str) -> int | None:
    text = attributes.get(key)
    if not text:
        return None
    try:
        value = parse_number(text)
    except ValueError:
        value = -1
    if not 0 <= value < _MAX_NUMBER:
        raise DocumentError(f"{name}:{element.line}: {key}='{text[:40]!a}' is no size or place.")
    return value


def _digits(text: str, length: int) -> str:
    """Return the digits of a checksum; the documents have `0` or nothing where there is none."""
    return text.lower() if re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", text, re.ASCII) else ""


def _with_sector_sizes(rows: list[SettingsRow]) -> Iterator[SettingsRow]:
    """Yield rows with the sector size that the others of their physical partition have."""
    key, lun = "SECTOR_SIZE_IN_BYTES", "physical_partition_number"
    sizes: dict[str, set[str]] = {}
    for row in rows:
        if key in row.attributes:
            sizes.setdefault(row.attributes[lun], set()).add(row.attributes[key])
    for row in rows:
        known = sizes.get(row.attributes[lun], set())
        if key in row.attributes or len(known) != 1:
            yield row
        else:
            yield replace(row, attributes={**row.attributes, key: next(iter(known))})
