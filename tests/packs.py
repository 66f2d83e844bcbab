# SPDX-License-Identifier: BSD-3-Clause
"""Small packages for tests: rows, XML files, sparse images, and their plans."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from edl.package import open_package
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.model import Finding, Geometry, Plan, Write

EMMC = Geometry("emmc", 512, {0: 100_000})
FIRST_LINE = 3  # where the first row stands in what document() makes

LOADER = b"\x7fELF" + bytes(60)


def row(tag: str, **attributes: object) -> str:
    """Return one row."""
    words = [f" {name}={quoteattr(str(value))}" for name, value in attributes.items()]
    return f"<{tag}{''.join(words)}/>"


def program(
    filename: str,
    start: object = 100,
    sectors: object = 8,
    label: str | None = None,
    **more: object,
) -> str:
    """Return a <program> row; the label is the file's name up to its first dot by default."""
    label = filename.partition(".")[0] if label is None else label
    return row("program", **_place(start, sectors), filename=filename, label=label, **more)


def erase(start: object, sectors: object, label: str = "erased", **more: object) -> str:
    """Return an <erase> row."""
    return row("erase", **_place(start, sectors), label=label, **more)


def read(filename: str, start: object = 0, sectors: object = 8, **more: object) -> str:
    """Return a <read> row."""
    return row("read", **_place(start, sectors), filename=filename, label="read", **more)


def patch(
    start: object, offset: int, size: int, value: object, filename: str = "DISK", **more: object
) -> str:
    """Return a <patch> row."""
    place = {
        "SECTOR_SIZE_IN_BYTES": more.pop("unit", 512),
        "physical_partition_number": more.pop("lun", 0),
        "start_sector": start,
    }
    return row(
        "patch", **place, byte_offset=offset, size_in_bytes=size, value=value, filename=filename,
        **more,
    )  # fmt: skip


def _place(start: object, sectors: object) -> dict[str, Any]:
    return {
        "SECTOR_SIZE_IN_BYTES": 512,
        "physical_partition_number": 0,
        "start_sector": start,
        "num_partition_sectors": sectors,
    }


def document(*rows: str) -> str:
    """Return a rawprogram file with each row on a line of its own, from FIRST_LINE on."""
    return "\n".join(["<?xml version='1.0'?>", "<data>", *rows, "</data>", ""])


def put(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files, by their names, into folder, and return it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def plan(folder: Path, geometry: Geometry = EMMC, **options: Any) -> Plan:  # noqa: ANN401
    """Return the checked plan for the package in folder."""
    return checked(build(open_package([str(folder)]), geometry, Options(**options)))


def found(plan: Plan) -> list[tuple[str, str]]:
    """Return code and place of what was found."""
    return [(finding.code, finding.where) for finding in plan.findings]


def only(plan: Plan) -> Finding:
    """Return the one thing that was found."""
    (finding,) = plan.findings
    return finding


def data(write: Write) -> bytes:
    """Return what write puts on the storage."""
    return b"".join(map(bytes, write.content.chunks(0, write.content.size_bytes)))


def sparse(block: int, *chunks: bytes | tuple[int, bytes] | int) -> bytes:
    """Return a sparse image with blocks of block bytes.

    Chunks: bytes are raw, (blocks, pattern) is a fill, a number of blocks is left alone.
    """
    body = b""
    blocks = 0
    for chunk in chunks:
        if isinstance(chunk, bytes):
            kind, count, content = 0xCAC1, len(chunk) // block, chunk
        elif isinstance(chunk, tuple):
            kind, (count, content) = 0xCAC2, chunk
        else:
            kind, count, content = 0xCAC3, chunk, b""
        body += struct.pack("<HHII", kind, 0, count, 12 + len(content)) + content
        blocks += count
    header = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, block, blocks, len(chunks), 0)
    return header + body
