# SPDX-License-Identifier: BSD-3-Clause
"""What a brotli stream unpacks to, in order and in constant memory (RFC 7932)."""

from __future__ import annotations

import brotli

from edl.errors import DocumentError
from edl.formats.streams import CHUNK_BYTES, Stream


class Unbrotlied:
    """The bytes that the brotli stream in packed unpacks to. Whoever reads says how much it is."""

    def __init__(self, packed: Stream) -> None:
        self._packed = packed
        self._decoder = brotli.Decompressor()
        self._pending = b""

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        while not self._pending:
            if self._decoder.is_finished():
                return b""
            self._step(size_bytes)
        piece, self._pending = self._pending[:size_bytes], self._pending[size_bytes:]
        return piece

    def _step(self, size_bytes: int) -> None:
        accepts = self._decoder.can_accept_more_data()
        fed = self._packed.read(CHUNK_BYTES) if accepts else b""
        try:
            self._pending = self._decoder.process(fed, output_buffer_limit=size_bytes)
        except brotli.error as error:
            raise DocumentError("The compressed data are damaged.") from error
        if accepts and not fed and not self._pending and not self._decoder.is_finished():
            raise DocumentError("The compressed data are cut off: get the file again.")

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (piece := self.read(min(size_bytes, CHUNK_BYTES))):
            size_bytes -= len(piece)
