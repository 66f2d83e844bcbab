# SPDX-License-Identifier: BSD-3-Clause
"""Crash dumps: tables that phones send, refusals in the data, minidumps, journals of dumps."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

from edl.cli import crashing
from edl.device.crashdump import Dump
from edl.errors import DocumentError, ImageError, ProtocolError, UsageError
from edl.formats import minidump
from edl.ramdump import names, record
from edl.sahara import memory
from edl.sahara.host import MemoryOffered
from edl.sahara.memory import MemoryAnswer
from edl.virtual.crashes import DUMPS, dump_of
from tests.fuzz.target import Target, at_home, folder_of, look_at, require, require_printable

_REFUSAL = struct.pack("<4I", 4, 16, 13, 0x19)
_OWN = {names.MANIFEST, names.UNFINISHED, names.MINIDUMP}


def _table(data: bytes) -> None:
    """The first bit says how wide it is; names of files stay in their folder, and differ."""
    wide = bool(data[:1] and data[0] & 1)
    table = data[1:]
    table = table[: len(table) // (64 if wide else 52) * (64 if wide else 52)]
    regions = memory.parse_table(table, wide=wide)
    doubts = memory.doubts(regions, wide=wide)
    files = names.file_names(regions)
    require(len(doubts) == len(files) == len(regions), "a region that is lost")
    require(len({name.lower() for name in files}) == len(files), "two files of one name")
    for region, doubt, name in zip(regions, doubts, files, strict=True):
        require_printable(region.description, region.file_name, doubt)
        require(Path(name).name == name and not name.startswith((".", "-")), "a name that leaves")
        require(name.lower() not in _OWN, "a name of our own")
        require(memory.is_possible(region, wide=wide) or doubt != "", "a lie that is not told")
        names.matches(region, name, ("*", region.file_name))


def _answer(data: bytes) -> None:
    """A stream means the same wherever it is cut; what is refused is no memory."""
    length = 1 + int.from_bytes(data[:2], "little") % 300
    body = data[2:]
    body = body[: max(length, 16) if body.startswith(_REFUSAL[:8]) else length]
    random = Random(len(data))
    places = sorted(random.randrange(len(body) + 1) for _ in range(3))
    cuts = (
        [body],
        [body[at : at + 1] for at in range(len(body))],
        [body[a:b] for a, b in itertools.pairwise([0, *places, len(body)])],
    )
    results = {_heard(length, pieces) for pieces in cuts}
    require(len(results) == 1, "memory that depends on where bytes are cut")
    _heard(length, [body], whole=True)


def _heard(length: int, pieces: list[bytes], *, whole: bool = False) -> tuple[bytes, str]:
    answer, found = MemoryAnswer(length), b""
    try:
        for piece in filter(None, pieces):
            found += bytes(answer.receive(piece, whole_transfer=whole))
            if answer.complete:
                break
        if not answer.complete:
            found += bytes(answer.silence())
    except ProtocolError as error:
        return b"", error.message
    require(len(found) <= length, "more memory than was asked for")
    require(answer.complete or len(found) < length, "a whole answer that is not complete")
    return found, "" if answer.refused is None else answer.refused.name


def _minidump(data: bytes) -> None:
    head = minidump.Part(0, "md_KELF", 0x1000, len(data))
    parts = [minidump.Part(n, f"md_Kpart{n}", 0x8000_0000 + 0x1000 * n, 500) for n in range(1, 5)]
    made = minidump.arrange(head, data, [head, *parts])
    require(made.placed[0] == minidump.Placed(0, 0, len(data)), "a head that is not first")
    for placed in made.placed:
        require(placed.offset + placed.size_bytes <= made.size_bytes, "a part behind the end")
    look_at(made)


def _journal(data: bytes) -> None:
    """A journal from wherever: read, or refused in words."""
    dump = Dump(MemoryOffered(0x1000, 64, wide=True), bytes(64), ())
    first = record.header(record.Owner("1a2b3c4d"), dump)
    folder = folder_of("ramdump")
    (folder / names.UNFINISHED).write_bytes(data)
    try:
        journal = record.open_journal(folder, first, resume=True)
    except (ImageError, UsageError) as error:
        require_printable(error.message)
        return
    journal.close()
    look_at(journal.blocks)


def _offers(data: bytes) -> None:
    """What crashed phones offered, in the user's folder."""
    with at_home() as home:
        (home / "crash-dumps.json").write_bytes(data)
        offer = crashing._recall("usb 1-1 1 1 1a2b3c4d")
        require(offer is None or offer.table_address >= 0, "an address that cannot be")
        look_at(offer)


def _tables() -> Iterator[bytes]:
    for name in sorted(DUMPS):
        dump = dump_of(name, 1)
        yield bytes([dump.bits == 64]) + dump.table[:2048]


def _answers() -> Iterator[bytes]:
    for length, body in (
        (40, bytes(40)),
        (40, _REFUSAL),
        (8, _REFUSAL),
        (99, bytes(50) + _REFUSAL),
    ):
        yield struct.pack("<H", length - 1) + body


def _journals() -> Iterator[bytes]:
    dump = Dump(MemoryOffered(0x1000, 64, wide=True), bytes(64), ())
    first = json.dumps(record.header(record.Owner("1a2b3c4d"), dump)).encode()
    yield first + b'\n[0, 0, 4096, "00"]\n[0, 4096, 77, "ff"]\n'
    yield first + b"\n\n[1"


_OFFER = b'{"usb 1-1 1 1 1a2b3c4d": [4096, 128, true]}'

TARGETS = (
    Target("crash-table", ("edl.sahara.memory", "edl.ramdump.names"), _table, _tables, (),
           (bytes(8), b"\xff" * 8, b"../", b"CON", b"manifest.json"), most_bytes=1 << 13),
    Target("crash-answer", ("edl.sahara.memory",), _answer, _answers, (), (_REFUSAL, _REFUSAL[:8]),
           most_bytes=400),
    Target("minidump", ("edl.formats.minidump",), _minidump,
           lambda: [dump_of("minidump", 1).regions[0].data], (DocumentError,),
           (b"\x7fELF\x02\x01", struct.pack("<I", 1), struct.pack("<Q", 0x8000_1000)),
           most_bytes=4096),
    Target("ramdump-journal", ("edl.ramdump.record",), _journal, _journals, (),
           (b"[0, 0, 1, ", b'"phone"', b"\n"), most_bytes=4096),
    Target("crash-offers", ("edl.cli.crashing",), _offers, lambda: [_OFFER], (),
           (b"[-1, 1, 1]", b"1e999", b'"usb 1-1 1 1 1a2b3c4d"'), most_bytes=1000),
)  # fmt: skip
