# SPDX-License-Identifier: BSD-3-Clause
"""The crash dumps that virtual phones can have: `crash=NAME` or `crash=NAME:NUMBER`.

Names and sizes of regions are those of public dumps, but small. What lies in them follows from the
phone's serial number and NUMBER, which stands for one crash of many.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random

from edl.units import KIB, MIB
from edl.virtual.crashdump import CrashDump, Region

_DDR = 0x8000_0000
_OCIMEM = 0x1468_8000
_PAGE = 4 * KIB
_SPEC = re.compile(r"([a-z-]+)(?::(\d{1,4}))?")

# ELF: System V ABI; what the header of a minidump describes: drivers/soc/qcom of Linux, qdl
_ELF_IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
_ET_CORE, _EM_AARCH64 = 4, 183
_PT_LOAD, _PT_NOTE = 1, 4
_HEADER_BYTES, _ROW_BYTES = 64, 56


def _plain(random: Random) -> CrashDump:
    """Two MiB of memory with blank pages in it, small regions of all sorts of sizes."""
    ddr = bytearray(random.randbytes(2 * MIB + 3 * _PAGE))
    ddr[MIB // 2 : MIB] = bytes(MIB // 2)
    return CrashDump((
        Region(_OCIMEM, random.randbytes(16 * KIB), "OCIMEM", "OCIMEM.BIN"),
        Region(0x0B00_0000, random.randbytes(10001), "RPM code", "CODERAM.BIN"),
        Region(0x0B01_0000, random.randbytes(16), "Reset status", "RST_STAT.BIN"),
        Region(0x0B01_1000, random.randbytes(8), "PMIC power on", "PMIC_PON.BIN"),
        Region(_DDR, bytes(ddr), "DDR CS0 Memory", "DDRCS0_0.BIN"),
        Region(0x0C00_0000, b"; loads the dump\n" * 9, "CMM script", "load.cmm"),
        Region(0x0B02_0000, random.randbytes(2 * _PAGE), "IPA", "IPA_IRAM.BIN", saved=False),
    ))  # fmt: skip


def _narrow(random: Random) -> CrashDump:
    return replace(_plain(random), bits=32, table_address=0x0860_0000)


def _lying(random: Random) -> CrashDump:
    """A table with regions that cannot be, that overlap, and one that is sound."""
    sound = Region(_DDR, random.randbytes(3 * _PAGE), "DDR CS0 Memory", "DDRCS0_0.BIN")
    return CrashDump((
        Region(0xFFFF_FFFF_FFFF_F000, b"", "Behind the end", "WRAPS.BIN", listed_bytes=2 * _PAGE),
        Region(_OCIMEM, b"", "Everything", "HUGE.BIN", listed_bytes=1 << 62),
        Region(_OCIMEM, b"", "Nothing", "EMPTY.BIN"),
        sound,
        Region(_DDR + _PAGE, sound.data[_PAGE:], "DDR again", "DDR_OVER.BIN"),
    ))  # fmt: skip


def _hostile(random: Random) -> CrashDump:
    """Names of files that no program should take as they are."""
    names = (
        "../../up.bin", "/etc/passwd", "..", "", "a\nb.bin", "C:\\x.bin", "CON", "same.bin",
        "SAME.BIN", "manifest.json", "\xff\xfe\x80.bin", "-rf.bin", "twenty-characters.bi",
    )  # fmt: skip
    return CrashDump(tuple(
        Region(_DDR + index * _PAGE, random.randbytes(100 + index), f"Region {index}", name)
        for index, name in enumerate(names)
    ))  # fmt: skip


def _refuses(random: Random) -> CrashDump:
    """The second region is shorter than the table says: its end is refused, and a reset awaited."""
    return CrashDump((
        Region(_OCIMEM, random.randbytes(5000), "OCIMEM", "OCIMEM.BIN"),
        Region(_DDR, random.randbytes(MIB), "DDR", "DDRCS0_0.BIN", listed_bytes=2 * MIB),
        Region(0x0B01_0000, random.randbytes(600), "Reset status", "RST_STAT.BIN"),
    ), knows_restart=False)  # fmt: skip


def _goes_on(random: Random) -> CrashDump:
    return replace(_refuses(random), lenient=True)


def _starts_over(random: Random) -> CrashDump:
    return replace(_refuses(random), knows_restart=True)


def _many(random: Random) -> CrashDump:
    """Thousands of entries."""
    return CrashDump(tuple(
        Region(_DDR + _PAGE * index, random.randbytes(4), f"Part {index}", f"P{index}.BIN")
        for index in range(5000)
    ))  # fmt: skip


def _minidump(random: Random) -> CrashDump:
    """A minidump of a Linux kernel: the head of an ELF core, and the parts that it describes."""
    parts = [(f"md_Kpart{number}", random.randbytes(200 * number + 7)) for number in range(1, 4)]
    notes = random.randbytes(300)
    head_bytes = _HEADER_BYTES + _ROW_BYTES * (1 + len(parts)) + 40
    rows = [_row(_PT_NOTE, head_bytes - 40, 0, 40 + len(notes))]
    at, address = head_bytes + len(notes), _DDR
    regions = []
    for index, (name, data) in enumerate(parts):
        rows.append(_row(_PT_LOAD, at, address, len(data)))
        file_name = f"{name[:13]}{index + 3}.BIN"
        regions.append(Region(address, data, name, file_name))
        at += len(data)
        address += _PAGE
    head = _header(len(rows)) + b"".join(rows)
    head = head.ljust(head_bytes, b"\x11")
    return CrashDump((
        Region(0x9000_0000, head, "md_KELF", "md_KELF1.BIN"),
        Region(0x9001_0000, notes, "md_Kvmcorein", "md_Kvmcorein2.BIN"),
        *regions,
        Region(_OCIMEM, random.randbytes(500), "OCIMEM", "OCIMEM.BIN"),
    ))  # fmt: skip


def _header(rows: int) -> bytes:
    return _ELF_IDENT + struct.pack(
        "<HHIQQQI6H", _ET_CORE, _EM_AARCH64, 1, 0, _HEADER_BYTES, 0, 0, _HEADER_BYTES, _ROW_BYTES,
        rows, 0, 0, 0,
    )  # fmt: skip


def _row(kind: int, offset: int, address: int, size: int) -> bytes:
    virtual = 0xFFFF_0000_0000_0000 | address
    return struct.pack("<IIQQQQQQ", kind, 6, offset, virtual, address, size, size, 0)


DUMPS: dict[str, Callable[[Random], CrashDump]] = {
    "plain": _plain,
    "narrow": _narrow,
    "minidump": _minidump,
    "lying": _lying,
    "hostile": _hostile,
    "refuses": _refuses,
    "goes-on": _goes_on,
    "starts-over": _starts_over,
    "many": _many,
}


def require_name(text: str) -> str:
    """Return text, which names a crash dump.

    Raises:
        ValueError: it names none.
    """
    match = _SPEC.fullmatch(text)
    if match is None or match[1] not in DUMPS:
        raise ValueError(f"it is {', '.join(DUMPS)}, perhaps with :NUMBER of the crash")
    return text


def dump_of(text: str, serial: int) -> CrashDump:
    """Return the dump that text names, of the phone with that serial number."""
    name, _, number = text.partition(":")
    return DUMPS[name](Random(f"{serial} {number or 0}"))  # noqa: S311  # no secret
