# SPDX-License-Identifier: BSD-3-Clause
"""Files whose digest the package tells: checked before the first write, with what an archive has.

The check is that of `StreamContent.verify`: whoever makes sure of archives makes sure of these.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from edl.chunks import Content, FileContent
from edl.errors import DocumentError
from edl.files import File
from edl.formats.streams import Stream
from edl.streamed import StreamContent


@dataclass(frozen=True)
class Expected:
    """What a digest must be. kind: `crc32`, `md5`, `sha1`, `sha256`. value: lower case hex.

    told: which file says so.
    """

    kind: str
    value: str
    told: str


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Crc32:
    def __init__(self) -> None:
        self._crc = 0

    def update(self, data: bytes, /) -> None:
        self._crc = zlib.crc32(data, self._crc)

    def hexdigest(self) -> str:
        return f"{self._crc:08x}"


class _Hashed:
    """The bytes of a content in order; the last of them only if the digest is right."""

    def __init__(self, content: Content, expected: Expected) -> None:
        self._pieces: Iterator[memoryview] = content.chunks(0, content.size_bytes)
        self._left = content.size_bytes
        self._rest = b""
        self._expected = expected
        kind = expected.kind
        self._hash: _Hash = (
            _Crc32() if kind == "crc32" else hashlib.new(kind, usedforsecurity=False)
        )

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        if not self._rest:
            self._rest = bytes(next(self._pieces, b""))
        data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        self._hash.update(data)
        self._left -= len(data)
        if data and not self._left and self._hash.hexdigest() != self._expected.value:
            kind = {"crc32": "CRC-32"}.get(self._expected.kind, self._expected.kind.upper())
            raise DocumentError(f"its {kind} is not the one that {self._expected.told} has")
        return data

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (data := self.read(size_bytes)):
            size_bytes -= len(data)


def guarded(file: File, expected: Expected) -> File:
    """Return file with a content that can be verified against what is expected.

    It is file itself where its CRC-32 is known already, and is the expected one.
    """
    content = file.content
    known = content.crc if isinstance(content, StreamContent) else None
    if expected.kind == "crc32" and known is not None and f"{known:08x}" == expected.value:
        return file

    def start() -> Stream:
        return _Hashed(content, expected)

    in_order = isinstance(content, StreamContent) and content.direct is None
    direct = None if in_order else lambda: content
    layout = content.layout if isinstance(content, StreamContent) else None
    alone = (
        content.apart if isinstance(content, StreamContent) else isinstance(content, FileContent)
    )
    found = StreamContent(file.name, content.size_bytes, start, direct, layout, apart=alone)
    return replace(file, content=found)


class Overlay(Mapping[str, File]):
    """Files by name: those of above, else those of below."""

    def __init__(self, above: Mapping[str, File], below: Mapping[str, File]) -> None:
        self._above = above
        self._below = below

    def __getitem__(self, name: str) -> File:
        return self._above[name] if name in self._above else self._below[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._above, *self._below]))

    def __len__(self) -> int:
        return len(set(self._above) | set(self._below))
