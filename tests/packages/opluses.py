# SPDX-License-Identifier: BSD-3-Clause
"""Containers of OnePlus and Oppo with made-up keys, by the layout that oppo_decrypt documents."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from Crypto.Cipher import AES

from edl.formats.ops import encipher_block

OPS_IV = bytes(range(100, 116))
MBOX = bytes(range(1, 17))
OFP_KEY = b"0123456789abcdef"
OFP_IV = b"fedcba9876543210"
KEYS = f"""
[[ops]]
name = "made up"
iv = "{OPS_IV.hex()}"
mbox = "{MBOX.hex()}"

[[ofp]]
name = "made up"
key = "{OFP_KEY.hex()}"
iv = "{OFP_IV.hex()}"
"""

Cipher = Callable[[bytes], bytes]


def plain(data: bytes) -> bytes:
    return data


def _ops_cipher(data: bytes) -> bytes:
    """Encrypt as the maker does: CFB over whole blocks. What the rounds give is tested apart."""
    words = [*MBOX, *bytes(28)]
    out, register = b"", OPS_IV
    for at in range(0, len(data), 16):
        stream = encipher_block(register, words)
        register = bytes(a ^ b for a, b in zip(data[at : at + 16], stream, strict=False))
        out += register
    return out


ops_cipher: Cipher = functools.cache(_ops_cipher)


def ofp_cipher(data: bytes) -> bytes:
    return AES.new(OFP_KEY, AES.MODE_CFB, iv=OFP_IV, segment_size=128).encrypt(data)


def ofp_head(data: bytes) -> bytes:
    return ofp_cipher(data[:0x40000]) + data[0x40000:]


def save_keys(folder: Path, text: str = KEYS) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "keys.toml"
    path.write_text(text)
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def padded_sha256(data: bytes) -> str:
    return sha256(data + bytes(-len(data) % 0x1000))


def container(
    files: Mapping[str, tuple[bytes, Cipher]],
    xml: str,
    cipher: Cipher,
    *,
    page: int = 0x200,
    xml_page: int | None = None,
    xml_bytes: int | None = None,
) -> bytes:
    """Return files, each on pages of its own, the document, and the last page.

    xml: `{NAME}` stands for the place and size of a file, by the names of attributes.
    """
    body = b""
    places = {}
    for name, (data, encrypt) in files.items():
        places[name] = (
            f'FileOffsetInSrc="{len(body) // page}" SizeInByteInSrc="{len(data)}"'
            f' SizeInSectorInSrc="{-(-len(data) // page)}"'
        )
        body += encrypt(data)
        body += bytes(-len(body) % page)
    for name, place in places.items():
        xml = xml.replace("{" + name + "}", place)
    text = xml.encode()
    document = cipher(text + bytes(16 - len(text) % 16))
    start = len(body) // page
    body += document + bytes(-len(document) % page)
    footer = struct.pack(
        "<II8xIII16s", 2, 1, 0x7CEF, start if xml_page is None else xml_page,
        len(text) if xml_bytes is None else xml_bytes, b"18801",
    )  # fmt: skip
    return body + (footer + b"fajita_41_J.42_191214").ljust(page, b"\0")
