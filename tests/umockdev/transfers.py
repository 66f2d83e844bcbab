# SPDX-License-Identifier: BSD-3-Clause
"""The transfers that programs have submitted to a virtual phone.

A transfer waits until the phone has moved all of it, until the program discards it, or until the
phone is gone; how long libusb waits before it discards is libusb's affair.

Facts: Linux, drivers/usb/core/devio.c and include/uapi/linux/usbdevice_fs.h. Layouts are those of
64-bit machines.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from edl.virtual.controller import IN, OUT, Status
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Place
from tests.umockdev.client import Client, RefusedError

ALWAYS_CAPS = 0x01 | 0x04 | 0x10  # ZERO_PACKET, NO_PACKET_SIZE_LIM, REAP_AFTER_DISCONNECT
BULK_CONTINUATION_CAP, SCATTER_GATHER_CAP = 0x02, 0x08
PART_BYTES = 16384  # into such parts libusb splits transfers without SCATTER_GATHER_CAP

_URB = struct.Struct("=BB2xiI4xQi")  # type, endpoint, status, flags, buffer, buffer_length
_STATUS_OFFSET, _ACTUAL_LENGTH_OFFSET = 4, 28
_CONTROL_URB, _BULK_URB = 2, 3
_SHORT_NOT_OK, _BULK_CONTINUATION = 0x01, 0x04
_SETUP = struct.Struct("<BBHHH")
_FROM_DEVICE, _GET_DESCRIPTOR = 0x80, 0x06
_MEMORY_BYTES = 16 * 1024 * 1024  # usbfs_memory_mb

_CANCELLED = {-errno.ENOENT, -errno.ECONNRESET}
_STATUS = {
    Status.DONE: 0,
    Status.OVERFLOW: -errno.EOVERFLOW,
    Status.STALLED: -errno.EPIPE,
    Status.GONE: -errno.ESHUTDOWN,
}


class File(Client):
    """The device node, opened once by a program.

    Attributes:
        completed: what can be reaped, in order.
        disabled: endpoints that take no further part of a failed transfer.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.completed: deque[Urb] = deque()
        self.disabled: set[int] = set()


@dataclass(eq=False)
class Urb:
    """A transfer, or a part of one.

    address, buffer_address: in the program's memory. done: how many bytes have moved. counted: the
    phone has counted the transfer that it belongs to.
    """

    file: File
    address: int
    kind: int
    endpoint: int
    flags: int
    buffer_address: int
    buffer: bytearray
    done: int = 0
    status: int = 0
    counted: bool = False


class Transfers:
    """Those of one phone.

    show: called when it changes whether there is something to reap.

    Attributes:
        held: nothing moves, because a program is still submitting the parts of a transfer.
    """

    def __init__(self, device: UsbDevice, caps: int, show: Callable[[], None]) -> None:
        self.held = False
        self._device = device
        self._splits = not caps & SCATTER_GATHER_CAP
        self._show = show
        self._pending: list[Urb] = []

    def submit(self, file: File, address: int, check: Callable[[int], None]) -> None:
        """Begin the transfer that is described at address.

        check: raises RefusedError if file may not use that endpoint.

        Raises:
            RefusedError: it cannot be done.
        """
        kind, endpoint, _, flags, buffer, size = _URB.unpack(file.peek(address, _URB.size))
        if size + sum(len(other.buffer) for other in self._pending) > _MEMORY_BYTES:
            raise RefusedError(errno.ENOMEM)
        urb = Urb(file, address, kind, endpoint, flags, buffer, bytearray(size))
        if kind == _CONTROL_URB:
            urb.buffer[:] = file.peek(buffer, size)
            self._complete(urb, self._control(urb))
            return
        check(endpoint)
        if kind != _BULK_URB:
            raise RefusedError(errno.EINVAL)
        self._continue(urb)
        if endpoint == OUT:
            urb.buffer[:] = file.peek(buffer, size)
        self._pending.append(urb)
        self.held = bool(flags & _SHORT_NOT_OK) or (
            self._splits and endpoint == OUT and size == PART_BYTES
        )
        self.advance(0)

    def advance(self, elapsed_us: int) -> None:
        """Move what the host and the phone have for each other, in that time of the phone."""
        endpoints = [] if self.held else [IN, OUT]
        while endpoints:
            endpoint = endpoints.pop(0)
            urb = next((urb for urb in self._pending if urb.endpoint == endpoint), None)
            if urb is None:
                continue
            status = self._move(urb, elapsed_us)
            elapsed_us = 0
            if status is not Status.TIMEOUT:
                self._complete(urb, _urb_status(urb, status))
                endpoints = [IN, OUT]

    def discard(self, file: File, address: int) -> None:
        """End the transfer with what has moved so far.

        Raises:
            RefusedError: there is no such transfer any more.
        """
        for urb in self._pending:
            if (urb.file, urb.address) == (file, address):
                self._complete(urb, -errno.ENOENT)
                return
        raise RefusedError(errno.EINVAL)

    def end(self, status: int, file: File | None = None) -> None:
        """End all transfers, or all of file."""
        for urb in list(self._pending):
            if file in {None, urb.file}:
                self._complete(urb, status)

    def forget(self, file: File) -> None:
        """Drop all transfers of file."""
        self._pending = [urb for urb in self._pending if urb.file is not file]

    def reap(self, file: File, argument: int) -> bool:
        """Give the program a transfer that has ended; return False if there is none."""
        if not file.completed:
            return False
        urb = file.completed.popleft()
        self._show()
        if urb.endpoint & 0x80:
            file.poke(urb.buffer_address, memoryview(urb.buffer)[: urb.done])
        file.poke(urb.address + _STATUS_OFFSET, struct.pack("=i", urb.status))
        file.poke(urb.address + _ACTUAL_LENGTH_OFFSET, struct.pack("=i", urb.done))
        file.poke(argument, struct.pack("=Q", urb.address))
        return True

    def _control(self, urb: Urb) -> int:
        """Answer a control request; return its status."""
        kind, request, value, index, size = _SETUP.unpack_from(urb.buffer)
        answer = None
        if (kind, request) == (_FROM_DEVICE, _GET_DESCRIPTOR):
            answer = self._device.raw_descriptor(*divmod(value, 256), language=index)
        if answer is None:
            return -errno.EPIPE
        urb.buffer = bytearray(answer[:size])
        urb.buffer_address += _SETUP.size
        urb.endpoint |= 0x80
        urb.done = len(urb.buffer)
        return 0

    def _continue(self, urb: Urb) -> None:
        """Begin a transfer, or go on with the one before, unless that has failed already."""
        if not urb.flags & _BULK_CONTINUATION:
            urb.file.disabled.discard(urb.endpoint)
        elif urb.endpoint in urb.file.disabled:
            raise RefusedError(errno.EREMOTEIO)
        else:
            urb.counted = True

    def _move(self, urb: Urb, elapsed_us: int) -> Status:
        controller = self._device.controller
        view = memoryview(urb.buffer)[urb.done :]
        if urb.endpoint == IN:
            count, status = controller.read(view, elapsed_us)
        else:
            if urb.counted:  # the controller takes each call for a transfer
                self._device.injector.counts[Place.OUT_TRANSFER] -= 1
            urb.counted = True
            count, status = controller.write(view, elapsed_us)
        urb.done += count
        return status

    def _complete(self, urb: Urb, status: int) -> None:
        urb.status = status
        if urb in self._pending:
            self._pending.remove(urb)
        urb.file.completed.append(urb)
        if urb.kind == _BULK_URB and status < 0 and status not in _CANCELLED:
            self._cancel_rest(urb)
        self._show()

    def _cancel_rest(self, failed: Urb) -> None:
        """End the parts behind a failed part of a transfer."""
        behind = [
            urb
            for urb in self._pending
            if (urb.file, urb.endpoint) == (failed.file, failed.endpoint)
        ]
        rest = list(takewhile(lambda urb: urb.flags & _BULK_CONTINUATION, behind))
        for urb in rest:
            self._complete(urb, -errno.ECONNRESET)
        if rest == behind:
            failed.file.disabled.add(failed.endpoint)


def _urb_status(urb: Urb, status: Status) -> int:
    short = status is Status.DONE and urb.done < len(urb.buffer)
    return -errno.EREMOTEIO if short and urb.flags & _SHORT_NOT_OK else _STATUS[status]
