# SPDX-License-Identifier: BSD-3-Clause
"""A transport that hashes what a phone would get, and says yes to everything.

Each write is one transfer, as on USB: what a programmer in VIP mode hashes.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque

from edl.errors import TransportTimeoutError
from edl.transport import Buffer
from edl.units import MIB

_TAG = re.compile(rb"<data><(\w+) ")
_COUNT = re.compile(rb' num_partition_sectors="(\d+)"')
_UNIT = re.compile(rb' SECTOR_SIZE_IN_BYTES="(\d+)"')
_ANSWER = b'<?xml version="1.0" encoding="UTF-8" ?>\n<data>\n<response value="ACK" %s/></data>'
_PLAIN = _ANSWER % b'rawmode="false" '
_RAW = _ANSWER % b'rawmode="true" '


class Recorder:
    """See edl.transport.Transport. digests: SHA-256 of each transfer so far."""

    keeps_transfers = True
    packet_bytes = 512
    sends_zlp = True
    description = "no phone"

    def __init__(self) -> None:
        self.digests: list[bytes] = []
        self._answers: deque[bytes] = deque()
        self._awaited_bytes = 0

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """Take one transfer: data where some is awaited, else a command."""
        del timeout_s, zlp
        self.digests.append(hashlib.sha256(data).digest())
        if self._awaited_bytes:
            self._awaited_bytes -= len(data)
            if not self._awaited_bytes:
                self._answers.append(_PLAIN)
        else:
            self._obey(bytes(data))

    def _obey(self, xml: bytes) -> None:
        tag = _TAG.search(xml)
        name = tag[1] if tag else b""
        if name not in {b"program", b"read"}:
            self._answers.append(_PLAIN)
            return
        count, unit = _COUNT.search(xml), _UNIT.search(xml)
        size = int(count[1]) * int(unit[1]) if count and unit else 0
        self._answers.append(_RAW)
        if name == b"program":
            self._awaited_bytes = size
            return
        while size:
            self._answers.append(bytes(min(size, MIB)))
            size -= min(size, MIB)
        self._answers.append(_PLAIN)

    def read(self, timeout_s: float) -> memoryview:
        """Return the next answer.

        Raises:
            TransportTimeoutError: nothing more is to come.
        """
        if not self._answers:
            raise TransportTimeoutError(f"Nothing came within {timeout_s} s.")
        return memoryview(self._answers.popleft())

    def close(self) -> None:
        """See Transport."""
