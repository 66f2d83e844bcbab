# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import subprocess
import sys

import pytest

from edl.errors import DocumentError
from edl.formats import xml
from edl.formats.xml import Problem, problems_error, read_document


def message(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(data, "a.xml")
    return caught.value.message


def test_elements_have_tag_attributes_text_and_line() -> None:
    root = read_document(b'<data>\n <a x="1"/>\n words\n <b>in<c/>side</b>\n</data>', "a.xml").root
    assert [(e.tag, e.line) for e in root.walk()] == [("data", 1), ("a", 2), ("b", 4), ("c", 4)]
    assert root.children[0].attributes == {"x": "1"}
    assert root.text == "words"
    assert root.children[1].text == "in side"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"<data><p/></data>", 1),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<data><p/></data>", 2),
        (b"\n\n<?xml version='1.0' ?>\n<data><p/></data>", 4),
        (
            b"<!-- WARNING -->\r\n<!-- < two\r\n -->\r\n<?xml version='1.0'?>\r\n<data><p/></data>",
            5,
        ),
        (b"Made by a tool\n<?xml version='1.0'?><data><p/></data>", 2),
        (b"<?xml version='1.0' encoding='UTF-8'?>\n<!-- c -->\n<data>\n\n<p/></data>", 5),
        ("\ufeff<?xml version='1.0'?>\n<data><p/></data>".encode("utf-16-le"), 2),
        (b"<?xml version='1.0' encoding='utf-16'?><data><p/></data>", 1),
        (b"<!-- no declaration --><data><p/></data>", 1),
    ],
)
def test_what_vendor_tools_accept_is_accepted(data: bytes, line: int) -> None:
    (row,) = read_document(data, "a.xml").root.children
    assert (row.tag, row.line) == ("p", line)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8", "GB2312", "big5", "utf-16"])
def test_the_declared_encoding_is_used(encoding: str) -> None:
    data = f"<?xml version='1.0' encoding='{encoding}'?><d n='中文'/>".encode(encoding)
    assert read_document(data, "a.xml").root.attributes == {"n": "中文"}


def test_predefined_entities_are_replaced() -> None:
    root = read_document(b"<d w='last &apos;x&apos; &#65; &lt;'/>", "a.xml").root
    assert root.attributes == {"w": "last 'x' A <"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "a.xml: the file is empty."),
        (b" \r\n", "a.xml: the file is empty."),
        (b"a = 1\n", "a.xml: the file is not XML text (it begins with 61 20 3d 20 31 0a)"),
        (
            bytes.fromhex("fbe83e9ec509030d") + b"<?xml ?>",  # of an encrypted XTC package
            "a.xml: the file is not XML text (it begins with fb e8 3e 9e c5 09 03 0d)",
        ),
        (b"<data>\n<p></data>", "a.xml:2: the XML is malformed: Opening and ending tag mismatch"),
        (b"\n<?xml version='1.0'?>\n<d>\n<p></d>", "a.xml:4: the XML is malformed"),
        (
            b"<data>\n<p a='1' a='2'/></data>",
            "a.xml:2: the XML is malformed: Attribute a redefined",
        ),
        (b"<d/><e/>", "a.xml:1: the XML is malformed"),
        (b"<!--<!--<d/>", "a.xml:1: the XML is malformed: Double hyphen within comment: <!--<!."),
        (b"words <d/>", "a.xml:1: the XML is malformed"),
        (b"<!-- never closed <?xml version='1.0'?><d/>", "a.xml:1: the XML is malformed"),
        (b"<d>&unknown;</d>", "a.xml:1: the XML is malformed"),
        (b"<d>\n\xb5</d>", "a.xml:2: byte 0xb5 is not utf-8, the file's encoding."),
        (b"<?xml version='1.0' encoding='rot13'?><d/>", "unknown encoding 'rot13'"),
        (b"<?xml version='1.0' encoding='x-none'?><d/>", "unknown encoding 'x-none'"),
        (b"\xff\xfe<\x00d\x00", "a.xml:1: the XML is malformed"),
        (b"\xff\xfed\x00", "a.xml:1: the XML is malformed"),
        (b"\xff\xfe<", "a.xml:1: byte 0x3c is not utf-16"),
    ],
)
def test_what_is_no_xml_is_named(data: bytes, expected: str) -> None:
    assert expected in message(data)


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<d x="&b;">&b;</d>"""


@pytest.mark.parametrize(
    "data",
    [
        LAUGHS,
        LAUGHS.decode().encode("utf-16"),
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>',
        b'<!-- c --><!DOCTYPE d [<!ENTITY x SYSTEM "http://127.0.0.1/">]><d>&x;</d>',
        b"<d><!ENTITY></d>",
    ],
)
def test_document_types_and_entities_are_refused(data: bytes) -> None:
    assert "defines a document type or entities" in message(data)


def test_the_line_of_a_document_type_is_named() -> None:
    assert message(LAUGHS).startswith("a.xml:2: ")


def test_size_number_and_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = xml.MAX_DEPTH
    read_document(b"<a>" * deep + b"</a>" * deep, "a.xml")
    assert "nested deeper than 32" in message(b"<a>" * (deep + 1) + b"</a>" * (deep + 1))
    assert "malformed" in message(b"<a>" * 5000 + b"</a>" * 5000)
    assert "more tags or attributes than packages need" in message(
        b"<d>" + b"<a/>" * xml.MAX_TAGS + b"</d>"
    )
    monkeypatch.setattr(xml, "MAX_BYTES", 100)
    assert message(b"<d>" + b" " * 98) == "a.xml: the file has 101 bytes, 100 are the limit."


def test_many_attributes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "MAX_ATTRIBUTES", 3)
    assert "more tags or attributes" in message(b"<d a='' b='' c='' d=''/>")


def test_problems_are_listed_with_their_lines_up_to_a_limit() -> None:
    problems = [Problem(n, "bad.") for n in range(1, 61)]
    lines = problems_error("p.xml", problems).message.splitlines()
    assert lines[:2] == ["p.xml:1: bad.", "p.xml:2: bad."]
    assert len(lines) == xml.MAX_PROBLEMS + 1
    assert lines[-1] == "p.xml: 10 more problems are not listed."
    quoting = Problem(1, "'\x9b31m\n'.")
    assert problems_error("p.xml", [quoting]).message == "p.xml:1: '?31m?'."
    assert problems_error("p.xml", problems[:2]).message == "p.xml:1: bad.\np.xml:2: bad."


def test_importing_the_module_does_not_import_lxml() -> None:
    code = "import sys, edl.formats.rawprogram; sys.exit('lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
