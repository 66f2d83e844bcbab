# SPDX-License-Identifier: BSD-3-Clause
"""Which bytes of a programmer go where in memory, for boot ROMs that are told it byte by byte."""

from __future__ import annotations

import struct

from edl.errors import DocumentError
from edl.formats import hashsegment
from edl.formats.intelhex import Program, looks_like_hex, read_hex

_HEAD_BYTES = 32
_SBL80_HEADER_BYTES = 80
_MBN40_HEADER_BYTES = 40


def read_ram_program(data: bytes) -> Program:
    """Return the program in data: an Intel HEX file, or an image whose header tells its address.

    The code of the latter begins behind its header, and starts at its first byte (research: all 88
    images of that form do).

    Raises:
        DocumentError: data does not tell where it goes, or is damaged.
    """
    if looks_like_hex(data[:_HEAD_BYTES]):
        return read_hex(data)
    if data[:8] == hashsegment.SBL80_MAGIC and len(data) >= _SBL80_HEADER_BYTES:
        address, code_bytes = (struct.unpack_from("<I", data, at)[0] for at in (0x18, 0x20))
        return _behind(data, _SBL80_HEADER_BYTES, address, code_bytes)
    if hashsegment.read_mbn40(data) is not None:
        address, code_bytes = (struct.unpack_from("<I", data, at)[0] for at in (0x0C, 0x14))
        return _behind(data, _MBN40_HEADER_BYTES, address, code_bytes)
    raise DocumentError(
        "This file does not tell where in memory its program goes.",
        remedies=("Use the programmer as Intel HEX (MPRG*.HEX), or with its MBN header.",),
    )


def _behind(data: bytes, header_bytes: int, address: int, code_bytes: int) -> Program:
    code = data[header_bytes : header_bytes + code_bytes]
    if not code or len(code) < code_bytes:
        raise DocumentError("The program is cut off.")
    return Program(((address, code),), address)
