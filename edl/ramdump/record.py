# SPDX-License-Identifier: BSD-3-Clause
"""What a folder with a crash dump says about it: a journal while it is saved, then a manifest.

The journal is JSON lines. The first says whose memory it is and what the phone offers; each other
one says that a block of a region is in its file: number of the region, offset and size of the
block, and SHA-256 of the file up to the end of it, so that all is hashed only once. What is found
in it later counts only as far as the files hold just that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edl.device.crashdump import Dump
from edl.errors import DiskError, ImageError, UsageError
from edl.formats.texts import escaped
from edl.home import open_private
from edl.outfile import new_file
from edl.ramdump.names import MANIFEST, UNFINISHED

FORMAT = "edl-ramdump"
VERSION = 1
_MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Owner:
    """Whose memory it is. serial: of the chip, 8 hex digits; None where the phone tells none."""

    serial: str | None = None
    hwid: int | None = None
    chip: str | None = None

    def data(self) -> dict[str, Any]:
        """Return it for JSON."""
        hwid = None if self.hwid is None else f"{self.hwid:#018x}"
        return {"serial": self.serial, "hwid": hwid, "chip": self.chip}


@dataclass(frozen=True)
class Block:
    """A block of a region that is in its file. sha256: of that file up to its end, in hex."""

    region: int
    offset: int
    size_bytes: int
    sha256: str


@dataclass
class Result:
    """What became of a region. state: saved, skipped, impossible, refused, or missing."""

    state: str
    file: str | None = None
    saved_bytes: int = 0
    sha256: str | None = None
    why: str = ""


def header(owner: Owner, dump: Dump) -> dict[str, Any]:
    """Return the first line of the journal of dump."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "phone": owner.data(),
        "offer": offer_data(dump),
        "table": dump.table.hex(),
    }


def offer_data(dump: Dump) -> dict[str, Any]:
    """Return for JSON what the phone offered."""
    offer = dump.offer
    return {
        "table_address": f"{offer.table_address:#x}",
        "table_bytes": offer.table_bytes,
        "bits": 64 if offer.wide else 32,
    }


@dataclass
class Journal:
    """The open journal in folder. blocks: what earlier runs noted, by region, in their order."""

    folder: Path
    file: BinaryIO
    blocks: dict[int, list[Block]]

    def add(self, block: Block) -> None:
        """Note a block.

        Raises:
            DiskError: it cannot be noted.
        """
        row = [block.region, block.offset, block.size_bytes, block.sha256]
        try:
            _write(self.file, row)
        except OSError as error:
            raise _unwritable(self.folder / UNFINISHED, error) from error

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Put the manifest in the place of the journal.

        Raises:
            DiskError: it cannot be written.
        """
        self.close()
        new = self.folder / f"{MANIFEST}.new"
        with new_file(self.folder / MANIFEST, new, private=True) as file:
            file.write(json.dumps(manifest, indent=2).encode() + b"\n")
        (self.folder / UNFINISHED).unlink()

    def close(self) -> None:
        """Close it; it stays, to go on with."""
        self.file.close()


def open_journal(folder: Path, first: Mapping[str, Any], *, resume: bool) -> Journal:
    """Return the journal of folder. first: its header. resume: go on with what is there.

    Raises:
        UsageError: the folder holds something else than what is asked for.
        ImageError: the journal that is there cannot be understood.
        DiskError: it cannot be read or written.
    """
    path = folder / UNFINISHED
    if (folder / MANIFEST).exists():
        raise UsageError(
            f"{folder} holds a finished dump or backup.", remedies=("Choose another folder.",)
        )
    if path.exists() and not resume:
        raise UsageError(
            f"{folder} holds an unfinished dump or backup.",
            remedies=("Go on with it: add --resume. Or choose another folder.",),
        )
    try:
        if path.exists():
            return _taken_over(path, first)
        file = open_private(path, "wb")
        _write(file, first)
    except OSError as error:
        raise _unwritable(path, error) from error
    return Journal(folder, file, {})


def _taken_over(path: Path, first: Mapping[str, Any]) -> Journal:
    with path.open("rb") as found:
        _require_same(_document(found.readline(_MAX_LINE_BYTES), path), first, path.parent)
        blocks = _blocks(found)
    file = open_private(path, "ab")
    file.write(b"\n")  # ends a line that an earlier run could not end
    return Journal(path.parent, file, blocks)


def _write(file: BinaryIO, value: object) -> None:
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


def _document(line: bytes, path: Path) -> dict[str, Any]:
    try:
        first = json.loads(line)
        if first["format"] == FORMAT and first["version"] == VERSION:
            return dict(first)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise ImageError(
        f"{path} is no journal of a crash dump that this version understands.",
        remedies=("Choose another folder.",),
    )


def _require_same(found: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Make sure that the dump in folder is of this phone, and of a crash with the same table."""
    other = ("Save this one into another folder.",)
    phone = found.get("phone")
    serial = phone.get("serial") if isinstance(phone, dict) else None
    mine = now["phone"]["serial"]
    if serial != mine:
        told = escaped(str(serial))
        raise UsageError(
            f"The unfinished dump in {folder} is of the phone {told}, not of {mine}.",
            remedies=other,
        )
    if (found.get("offer"), found.get("table")) != (now["offer"], now["table"]):
        raise UsageError(
            f"The unfinished dump in {folder} is of another crash: the phone has another table of"
            " regions now.",
            remedies=other,
        )


def _blocks(file: BinaryIO) -> dict[int, list[Block]]:
    """Return the blocks that lines of a journal note; a torn line is passed over."""
    blocks: dict[int, list[Block]] = {}
    while line := file.readline(_MAX_LINE_BYTES):
        try:
            region, offset, size, digest = json.loads(line)
            block = Block(int(region), int(offset), int(size), str(digest))
        except (ValueError, TypeError, RecursionError):
            continue
        blocks.setdefault(block.region, []).append(block)
    return blocks


def _unwritable(path: Path, error: OSError) -> DiskError:
    return DiskError(
        f"{path} cannot be written: {error.strerror}.",
        remedies=("Make room, or choose another folder.",),
    )


def manifest(owner: Owner, dump: Dump, results: Mapping[int, Result], made: str) -> dict[str, Any]:
    """Return the manifest of a dump. made: when, in UTC."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "made": made,
        "phone": owner.data(),
        "offer": offer_data(dump),
        "table_sha256": hashlib.sha256(dump.table).hexdigest(),
        "regions": rows(dump, results),
    }


def rows(dump: Dump, results: Mapping[int, Result]) -> list[dict[str, Any]]:
    """Return for JSON each region of the table, and what became of it."""
    return [
        {
            "name": region.file_name,
            "description": region.description,
            "address": f"{region.address:#x}",
            "bytes": region.size_bytes,
            "wanted": region.saved,
            "state": results[number].state,
            "file": results[number].file,
            "saved_bytes": results[number].saved_bytes,
            "sha256": results[number].sha256,
            "why": results[number].why,
        }
        for number, region in enumerate(dump.regions)
    ]
