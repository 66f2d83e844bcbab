# SPDX-License-Identifier: BSD-3-Clause
"""Moves bytes to and from a phone, and knows no protocol."""

from __future__ import annotations

from typing import Protocol

Buffer = bytes | bytearray | memoryview


class Transport(Protocol):
    """A connection to one phone.

    One read returns one transfer on media that have transfers (USB); on byte streams (serial
    ports) it returns what has arrived. `keeps_transfers` says which it is. `packet_bytes` is the
    size of the packets that transfers are made of, 0 where there are none. `sends_zlp`: a write
    with zlp that fills its last packet does end with a zero-length packet.
    """

    keeps_transfers: bool
    packet_bytes: int
    sends_zlp: bool
    description: str

    def read(self, timeout_s: float) -> memoryview:
        """Return what arrives within timeout_s, at least one byte.

        The view is valid until the next read.

        Raises:
            TransportTimeoutError: nothing arrived.
            DeviceGoneError: the phone left.
            TransportError: the medium failed.
        """
        ...

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """Send all of data as one transfer.

        zlp: end a transfer that fills its last packet with a zero-length packet, where the medium
        knows such a thing.

        Raises:
            TransportTimeoutError: not all was taken in time; `done_bytes` says how much was.
            DeviceGoneError: the phone left.
            TransportError: the medium failed.
        """
        ...

    def close(self) -> None:
        """Release the phone. May be called twice."""
        ...
