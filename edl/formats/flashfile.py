# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's flashfile.xml and servicefile.xml: what its own tools send to the boot loader.

`<flashing>` holds a `<header>` that says for which phone, and `<steps>`: getvar, oem, flash, erase.
flashfile.xml deletes the user's data, servicefile.xml keeps them; all else is usually the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from edl.errors import DocumentError
from edl.formats.xml import Element, Problem, problems_error, read_document

_DIGESTS = {"md5": 32, "sha1": 40, "sha256": 64}  # length in hexadecimal digits
_PIECE = re.compile(r"(.+sparsechunk)[._]?([0-9]{1,5})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Digest:
    """What a file's digest must be. kind: `md5`, `sha1`, `sha256`. value: lower case hex."""

    kind: str
    value: str


@dataclass(frozen=True)
class FlashStep:
    """A step. operation: `flash`, `erase`, or a command for the boot loader with its var."""

    operation: str
    partition: str
    filename: str
    var: str
    digest: Digest | None
    line: int


@dataclass(frozen=True)
class Flashfile:
    """What such a file says. facts: of its header, as (name, value) for people."""

    model: str
    version: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[FlashStep, ...]


def is_flashfile(head: bytes) -> bool:
    """Tell whether a document that begins with head is such a file."""
    return re.search(rb"<flashing[\s>]", head) is not None


def read_flashfile(data: bytes, name: str) -> Flashfile:
    """Return what data, the content of the file name, says; pieces of one image in their order.

    Raises:
        DocumentError: data is no such file, or a step lacks what it needs; the message lists all of
            them with their lines.
    """
    root = read_document(data, name).root
    if root.tag != "flashing":
        raise DocumentError(f"{name}:{root.line}: it is no <flashing>, but a <{root.tag}>.")
    problems: list[Problem] = []
    steps = [
        _step(element, problems)
        for part in root.children
        if part.tag == "steps"
        for element in part.children
        if element.tag == "step"
    ]
    if problems:
        raise problems_error(name, problems)
    header = {
        element.tag: element.attributes
        for part in root.children
        if part.tag == "header"
        for element in part.children
    }
    return Flashfile(
        header.get("phone_model", {}).get("model", ""),
        header.get("software_version", {}).get("version", ""),
        tuple(_facts(header)),
        tuple(_in_order(steps)),
    )


def _facts(header: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    told = (
        ("subsidy_lock_config", "name", "subsidy lock"),
        ("regulatory_config", "name", "regulatory"),
        ("cid_value", "value", "cid"),
        ("sparsing", "max-sparse-size", "max-sparse-size"),
    )
    for tag, attribute, name in told:
        if value := header.get(tag, {}).get(attribute):
            yield name, value


def _step(element: Element, problems: list[Problem]) -> FlashStep:
    attributes = {name.lower(): value for name, value in element.attributes.items()}
    operation = attributes.get("operation", "").lower()
    step = FlashStep(
        operation,
        attributes.get("partition", ""),
        attributes.get("filename", ""),
        attributes.get("var", ""),
        _digest(attributes, element.line, problems),
        element.line,
    )
    if not operation:
        problems.append(Problem(element.line, "a step without operation"))
    if operation in {"flash", "erase"} and not step.partition:
        problems.append(Problem(element.line, f"{operation} without partition"))
    if operation == "flash" and not step.filename:
        problems.append(Problem(element.line, "flash without filename"))
    return step


def _digest(attributes: dict[str, str], line: int, problems: list[Problem]) -> Digest | None:
    for kind in reversed(_DIGESTS):
        value = attributes.get(kind, "").strip().lower()
        if not value:
            continue
        if len(value) != _DIGESTS[kind] or not re.fullmatch("[0-9a-f]+", value):
            problems.append(Problem(line, f"'{value[:70]}' is no {kind.upper()}"))
            return None
        return Digest(kind, value)
    return None


def _in_order(steps: list[FlashStep]) -> Iterable[FlashStep]:
    """Yield steps with the pieces of each image by their number: `.10` stands behind `.9`."""
    for piece, group in groupby(steps, key=_image):
        run = list(group)
        yield from run if piece is None else sorted(run, key=_number)


def _image(step: FlashStep) -> tuple[str, str] | None:
    """Return the image that the file of step is a piece of, or None."""
    match = _PIECE.fullmatch(step.filename) if step.operation == "flash" else None
    return (step.partition, match[1]) if match else None


def _number(step: FlashStep) -> int:
    match = _PIECE.fullmatch(step.filename)
    return int(match[2]) if match else 0
