# SPDX-License-Identifier: BSD-3-Clause
"""LG's kdz and dz, written by the layout that kdztools and I. Garzon's extractor document."""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from dataclasses import dataclass

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZLIB, ZSTD = b"\x01", b"\x04"


@dataclass(frozen=True)
class Piece:
    """A chunk. trim: sectors that are trimmed before it is written; by default its own."""

    slice_name: str
    sector: int
    data: bytes
    trim: int = 0
    lun: int = 0
    crc: int | None = None
    ubi: int = 0
    name: str = ""


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def chunk(piece: Piece, compression: bytes = ZLIB, unit: int = 512) -> tuple[bytes, bytes]:
    """Return header and data of a chunk."""
    packed = zlib.compress(piece.data) if compression == ZLIB else zstd.compress(piece.data)
    crc = zlib.crc32(piece.data) if piece.crc is None else piece.crc
    name = piece.name or f"{piece.slice_name}_{piece.sector}.bin"
    header = struct.pack(
        "<4s32s64sII16sIIIIIIII356x",
        bytes.fromhex("30129578"), piece.slice_name.encode(), name.encode(), len(piece.data),
        len(packed), md5(piece.data), piece.sector,
        piece.trim or -(-len(piece.data) // unit), piece.lun, crc, 0, 0, piece.ubi, 0,
    )  # fmt: skip
    return header, packed


def dz(
    *pieces: Piece,
    compression: bytes = ZLIB,
    ufs: bool = False,
    sealed: bool = True,
    version: tuple[int, int] = (2, 1),
    count: int | None = None,
) -> bytes:
    """Return a dz. sealed: its header has a CRC-32."""
    chunks = [chunk(piece, compression, 4096 if ufs else 512) for piece in pieces]
    headers = md5(b"".join(header for header, _ in chunks))

    def header(crc: int, data_md5: bytes) -> bytes:
        return struct.pack(
            "<4sIII32s128s8HI16sB9s16s50s16sII10s11s4sII167x",
            bytes.fromhex("32961874"), *version, 0, b"LG-H901", b"H90120e_00_0316",
            2016, 3, 2, 16, 12, 0, 0, 0, len(pieces) if count is None else count, headers, 0,
            compression, data_md5, b"A20e", b"user", 0, crc, b"6.0", b"4GB", b"Y", int(ufs), 3,
        )  # fmt: skip

    crc = zlib.crc32(header(0, bytes(16))) if sealed else 0
    return header(crc, b"\xff" * 16) + b"".join(head + data for head, data in chunks)


def kdz(content: bytes, version: int = 3, name: bytes = b"H90120e_00.dz") -> bytes:
    """Return a kdz with a DLL in front of the dz, as version 1 to 3 has them."""
    magic = {
        1: bytes.fromhex("1805000032794450"),
        2: bytes.fromhex("2805000034312580"),
        3: bytes.fromhex("2805000024382225"),
    }[version]
    start = 1304 if version == 1 else 1320
    dll = b"MZ" + bytes(98)
    record = "<256sII" if version == 1 else "<256sQQ"
    records = struct.pack(record, b"LGUP_c.dll", len(dll), start)
    records += struct.pack(record, name, len(content), start + len(dll))
    if version > 1:
        records += b"\x03" + struct.pack(record, b"LGUP_c.dylib", 0, 0)
    return (magic + records).ljust(start, b"\0") + dll + content


OLD_NAMES, NEW_NAMES = 0x4220, 0x6230


def tot(*pieces: tuple[str, int, bytes], names_at: int = OLD_NAMES, chained: bool = False) -> bytes:
    """Return a tot of (name, first sector, data), by what LGBinExtractor reads.

    chained: only the first piece says where it lies in the file.
    """
    head = bytearray(b"\xff" * 0x100000)
    head[0:4], head[8:12] = bytes.fromhex("44dd55aa"), bytes.fromhex("2bf67889")
    head[0x2000:0x2004] = bytes.fromhex("33ec55aa")
    body = b""
    for index, (name, sector, data) in enumerate(pieces):
        padded = data.ljust(-(-len(data) // 512) * 512, b"\0")
        at = 0xFFFFFFFF if chained and index else len(body) // 512
        row = struct.pack("<IIII", sector, at, len(padded) // 512, 0)
        head[0x2010 + 16 * index : 0x2020 + 16 * index] = row
        at = names_at + 32 * index
        head[at : at + 32] = name.encode().ljust(32, b"\0")
        body += padded
    return bytes(head) + body
