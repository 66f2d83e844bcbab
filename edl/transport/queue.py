# SPDX-License-Identifier: BSD-3-Clause
"""Several USB transfers under way at once, which plain pyusb calls cannot have.

Between the end of one transfer and the submission of the next the link is idle, for a microframe
of USB 2 at least. Programmers that take 16 KiB at a time get less than two thirds of the link in
that way; with the next transfers queued they get all of it, and see the same packets as before.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import usb.backend.libusb1

from edl.transport.libusb import LibusbQueue


@dataclass(eq=False)
class Transfer:
    """A transfer that was submitted.

    Attributes:
        endpoint: its address.
        buffer: holds what goes out, or has room for what comes in; stays as it is until `done`.
        size: how much of it.
        done: it has ended; then count says how much has moved.
        failure: why not all of it has: text, libusb's number, errno. No exception, which would
            keep the device alive with its traceback.
    """

    endpoint: int
    buffer: array.array[int]
    size: int
    done: bool = False
    count: int = 0
    failure: tuple[str, int | None, int | None] | None = None


class Queue(Protocol):
    """The bulk endpoints of an open device. Transfers of an endpoint end in their order."""

    def submit(self, transfer: Transfer) -> None:
        """Hand transfer over.

        Raises:
            USBError: the system does not take it.
        """
        ...

    def wait(self, transfer: Transfer, timeout_s: float) -> bool:
        """Let time pass until transfer is done; False if it is not in that time."""
        ...

    def cancel(self, transfers: Sequence[Transfer]) -> None:
        """Take back what has not moved yet, and end transfers."""
        ...


def queue_of(device: Any) -> Queue | None:  # noqa: ANN401
    """Return the queue of a device of pyusb that is open; None if its backend has none."""
    backend, handle = device.backend, device._ctx.handle  # pyusb hides its handle
    if isinstance(backend, usb.backend.libusb1._LibUSB):
        return LibusbQueue(backend, handle)
    opened = getattr(backend, "open_queue", None)
    return opened(handle) if opened is not None else None
