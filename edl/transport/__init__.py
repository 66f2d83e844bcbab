# SPDX-License-Identifier: BSD-3-Clause
"""Moves bytes to and from a phone, and knows no protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview

QUEUED_BYTES = 256 * 1024  # how much may be posted at once; two transfers, if they are larger


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


@runtime_checkable
class Queueing(Transport, Protocol):
    """A transport that can have several transfers under way, so that the link is never idle."""

    @property
    def underway_bytes(self) -> int:
        """How much of what was posted may not be out yet."""
        ...

    def post(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """Send data as `write` does, but return as soon as it is queued.

        Raises:
            TransportTimeoutError: there is no room in the queue; `done_bytes` says how much of data
                is in it, or gone.
            DeviceGoneError, TransportError: as `write`, also about what was posted before.
        """
        ...

    def finish(self, timeout_s: float) -> None:
        """Wait until all that was posted is out.

        Raises:
            TransportTimeoutError: it is not; it stays posted.
            DeviceGoneError, TransportError: as `write`.
        """
        ...

    def abandon(self) -> None:
        """Take back what was posted and is not out."""
        ...

    def listen(self, transfer_bytes: int) -> None:
        """From now on, always be ready for several transfers of transfer_bytes each.

        A larger one, or one where the system lends too little memory, comes in several reads, of
        whole packets all but the last. 0: for answers, which are short.
        """
        ...
