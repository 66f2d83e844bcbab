# SPDX-License-Identifier: BSD-3-Clause
"""XML documents of packages, read without trust.

Packages come from forums: a document may be malformed, huge, encrypted, or built to exhaust the
reader. This is the one place where the XML of a package is parsed; everything else works on the
plain `Element` tree that it returns.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edl.errors import DocumentError
from edl.units import MIB

if TYPE_CHECKING:
    from lxml import etree

MAX_BYTES = 16 * MIB  # the largest rawprogram seen has 68 KiB
MAX_TAGS = 50_000  # opening and closing tags and comments together
MAX_ATTRIBUTES = 500_000
MAX_DEPTH = 32
MAX_PROBLEMS = 50  # how many an error message lists

_DECLARED = re.compile(rb"<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
_PEEK_BYTES = 4096
# Python knows codecs that are no text encodings of documents; only these may be declared.
_ENCODINGS = frozenset({
    "ascii", "big5", "cp1250", "cp1251", "cp1252", "cp936", "cp949", "cp950", "euc_jp", "euc_kr",
    "gb18030", "gb2312", "gbk", "iso8859-1", "iso8859-15", "koi8-r", "shift_jis", "utf-8",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a document.

    Attributes:
        line: where it begins in the file; the first line is 1.
        text: all text directly inside it, without blanks at both ends.
    """

    tag: str
    line: int
    attributes: Mapping[str, str]
    text: str
    children: tuple[Element, ...]

    def walk(self) -> Iterator[Element]:
        """Yield this element and all below it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Document:
    """A document that could be read: the name of its file and its outermost element."""

    name: str
    root: Element


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a document, and the line where; the first line is 1."""

    line: int
    text: str


def problems_error(name: str, problems: Sequence[Problem]) -> DocumentError:
    """Return the error that lists all problems of the file name, one on a line."""
    lines = [
        f"{name}:{problem.line}: {_printable(problem.text)}" for problem in problems[:MAX_PROBLEMS]
    ]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"{name}: {len(problems) - MAX_PROBLEMS} more problems are not listed.")
    return DocumentError("\n".join(lines))


def read_document(data: bytes, name: str) -> Document:
    """Return the document in data, the content of the file name.

    Entities, document types and network access are refused; a byte order mark, any text before the
    XML declaration, CRLF and the usual declared encodings are accepted. All else that XML forbids
    is an error.

    Raises:
        DocumentError: data is no well-formed XML, or more than any package needs; the message
            names the file and, where it has one, the line.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{name}: the file has {len(data)} bytes, {MAX_BYTES} are the limit.")
    text = _decode(data, name)
    _check_size(text, name)
    start = _declaration(text)
    skipped_lines = text.count("\n", 0, start)
    text = text[start:]
    return Document(name, _element(_parse(text, name, skipped_lines), name, skipped_lines, 1))


def _printable(text: str) -> str:
    """Return text without what could drive a terminal: it may quote the document."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _decode(data: bytes, name: str) -> str:
    """Return data as text, by its byte order mark, its declaration, or as UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif not data.strip():
        raise DocumentError(f"{name}: the file is empty.")
    elif _BINARY.search(data, 0, _PEEK_BYTES) or b"<" not in data:
        raise DocumentError(
            f"{name}: the file is not XML text (it begins with {data[:8].hex(' ')}): it is"
            " encrypted, damaged, or of another kind than its name says."
        )
    else:
        declared = _DECLARED.search(data, 0, _PEEK_BYTES)
        encoding = _known_encoding(declared[1].decode("ascii"), name) if declared else "utf-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            f"{name}:{line}: byte {data[error.start]:#04x} is not {encoding}, the file's encoding."
        ) from error


def _known_encoding(declared: str, name: str) -> str:
    try:
        encoding = codecs.lookup(declared).name
    except LookupError:
        encoding = ""
    # Without a byte order mark the declaration itself was readable as ASCII: it is not UTF-16.
    if encoding.startswith("utf-16"):
        return "utf-8"
    if encoding not in _ENCODINGS:
        raise DocumentError(f"{name}: the file declares the unknown encoding '{declared}'.")
    return encoding


def _declaration(text: str) -> int:
    """Return where the XML declaration is if only words and comments precede it, else 0.

    XML forbids this, but vendor tools search for tags and never parse, so such files pass there:
    seven of Oppo and ASUS begin with a comment, one of OnePlus with a blank line.
    """
    position = 0
    while (position := text.find("<", position)) >= 0:
        if not text.startswith("<!--", position):
            return position if text.startswith("<?xml", position) else 0
        position = text.find("-->", position)
        if position < 0:
            break
    return 0


def _check_size(text: str, name: str) -> None:
    """Refuse what would make the parser's tree large, before there is one."""
    for forbidden in ("<!DOCTYPE", "<!ENTITY"):
        if forbidden in text:
            line = text.count("\n", 0, text.index(forbidden)) + 1
            raise DocumentError(
                f"{name}:{line}: the file defines a document type or entities, which no package"
                " needs and which can be used for attacks."
            )
    if text.count("<") > MAX_TAGS or text.count("=") > MAX_ATTRIBUTES:
        raise DocumentError(f"{name}: the file has more tags or attributes than packages need.")


def _parse(text: str, name: str, skipped_lines: int) -> etree._Element:
    # lxml takes a tenth of a second to import, which only commands that read packages shall pay.
    from lxml import etree  # noqa: PLC0415

    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        line = (error.lineno or 1) + skipped_lines
        reason = _printable(str(error).partition(", line ")[0])
        raise DocumentError(f"{name}:{line}: the XML is malformed: {reason}.") from error


def _element(node: etree._Element, name: str, skipped_lines: int, depth: int) -> Element:
    line = (node.sourceline or 0) + skipped_lines
    if depth > MAX_DEPTH:
        raise DocumentError(f"{name}:{line}: elements are nested deeper than {MAX_DEPTH}.")
    children = [_element(child, name, skipped_lines, depth + 1) for child in node]
    texts = [node.text, *(child.tail for child in node)]
    return Element(
        tag=str(node.tag),
        line=line,
        attributes={str(key): str(value) for key, value in node.attrib.items()},
        text=" ".join(stripped for text in texts if text and (stripped := text.strip())),
        children=tuple(children),
    )
