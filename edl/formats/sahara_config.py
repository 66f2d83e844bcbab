# SPDX-License-Identifier: BSD-3-Clause
"""The XML file that says which image goes to the boot ROM under which Sahara id.

    <sahara_config>
      <images>
        <image image_id="13" image_path="prog_firehose_ddr.elf"/>
      </images>
    </sahara_config>

It comes with the firmware of chips that start from several images (SM8845, SM8850), mostly as
`qsahara_device_programmer.xml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from edl.errors import DocumentError
from edl.formats.xml import Element, Problem, problems_error, read_document
from edl.units import parse_number

MAX_IMAGES = 128  # qdl takes the ids 1 to 127
ROOT = b"<sahara_config"
_PEEK_BYTES = 4096


@dataclass(frozen=True)
class SaharaConfig:
    """images: path of each image by its id, as written. chipset: empty if it is not named."""

    chipset: str
    images: dict[int, str]


def is_sahara_config(data: bytes) -> bool:
    """Return whether data, or the beginning of it, is such a file."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and ROOT in data[:_PEEK_BYTES]


def read_sahara_config(data: bytes, name: str) -> SaharaConfig:
    """Return what the file in data says; name is for messages.

    Raises:
        DocumentError: it is no such file; all that is wrong is listed with its lines.
    """
    root = read_document(data, name).root
    if root.tag != "sahara_config":
        raise DocumentError(f"{name}:{root.line}: this is no sahara_config, but <{root.tag}>.")
    images: dict[int, str] = {}
    problems: list[Problem] = []
    for element in root.walk():
        if element.tag != "image":
            continue
        number, path = _number(element), element.attributes.get("image_path", "").strip()
        if number is None:
            problems.append(Problem(element.line, "image_id is no number from 1 to 127."))
        elif not path:
            problems.append(Problem(element.line, f"Image {number} has no image_path."))
        elif number in images:
            problems.append(Problem(element.line, f"Image {number} is there twice."))
        else:
            images[number] = path
    if not images and not problems:
        problems.append(Problem(root.line, "It names no images."))
    if problems:
        raise problems_error(name, problems)
    chipset = next((child.text for child in root.children if child.tag == "chipset"), "")
    return SaharaConfig(chipset, images)


def write_sahara_config(images: Mapping[int, str]) -> bytes:
    """Return the document that names images, paths by id."""
    rows = "".join(
        f"    <image image_id={quoteattr(str(number))} image_path={quoteattr(path)}/>\n"
        for number, path in sorted(images.items())
    )
    return (
        f'<?xml version="1.0"?>\n<sahara_config>\n  <images>\n{rows}  </images>\n</sahara_config>\n'
    ).encode()


def _number(element: Element) -> int | None:
    try:
        number = parse_number(element.attributes.get("image_id", ""))
    except ValueError:
        return None
    return number if 0 < number < MAX_IMAGES else None
