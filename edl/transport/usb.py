# SPDX-License-Identifier: BSD-3-Clause
"""USB, through pyusb and any of its backends.

Facts behind this file (libusb 1.0.30, pyusb 1.3.1, executed): a read buffer that is no multiple
of the packet size overflows and loses data; a timeout may carry data; a zero-length packet may be
left over and reads as 0 bytes; a memoryview costs 60 ms a MiB on its way through pyusb, an array
nothing.
"""

from __future__ import annotations

import array
import errno
import logging
import time
import weakref
from collections import deque
from typing import Any

import usb.core
import usb.util

from edl.errors import AccessError, DeviceGoneError, TransportError, TransportTimeoutError
from edl.transport import QUEUED_BYTES, Buffer
from edl.transport.queue import Queue, Transfer, queue_of

_log = logging.getLogger(__name__)

READ_BYTES = 1024 * 1024 + 16 * 1024  # the largest payload, and more: one read is one transfer
WRITE_BYTES = 1024 * 1024
_BLOCK_BYTES = 16 * 1024
_LENT_BYTES = 13 * 1024 * 1024  # for all our phones; Linux lends 16 MiB to all programs together
_AGAIN_S = 0.005
_PATIENCE_S = 5.0
_READS = 4  # an answer has as many transfers: log, answer, and what trails them
_GONE = {errno.ENODEV, errno.ESHUTDOWN, errno.ENOENT, errno.EPROTO}
_ZLP_TIMEOUT_S = (
    10.0  # a zero-length packet is taken when the last data is in the flash: 1.7 s seen
)


_listening: weakref.WeakSet[UsbTransport] = weakref.WeakSet()  # they share _LENT_BYTES


class UsbTransport:
    """One bulk interface of a USB device, claimed for us.

    What has been posted stays posted when a wait ends, so a time-out loses and repeats nothing.
    After `listen`, reads are always posted: what the phone says is taken at once, whatever the host
    is doing, and no log of its own keeps the phone from taking the next command.

    What is posted lies in memory that the system lends to all USB programs together (on Linux
    usbfs_memory_mb, 16 MiB): the more phones, the less is posted at once for each.
    """

    keeps_transfers = True
    sends_zlp = True

    def __init__(self, device: Any, interface: Any, description: str) -> None:  # noqa: ANN401
        self.description = description
        self.link_speed: int | None = getattr(device, "speed", None)  # usb.util.SPEED_...
        self._device = device
        self._interface = interface
        self._in, self._out = endpoints(interface)
        self.packet_bytes: int = self._out.wMaxPacketSize
        self._buffer = _blank(READ_BYTES)  # of reads that are not posted
        self._going_out: deque[Transfer] = deque()
        self._underway_bytes = 0  # of _going_out
        self._coming_in: deque[Transfer] = deque()
        self._spare: list[array.array[int]] = []  # buffers for both
        self._shown: array.array[int] | None = None  # what the last read has returned
        self._incoming_bytes = 0  # size of posted reads; 0: none are posted
        self._claim()
        self._queue: Queue | None = queue_of(device)

    def _claim(self) -> None:
        number = self._interface.bInterfaceNumber
        try:
            self._detach_driver(number)
            usb.util.claim_interface(self._device, number)
        except (usb.core.USBError, NotImplementedError) as error:
            self.close()
            raise _translate(error, self.description, "open") from error

    def _detach_driver(self, number: int) -> None:
        """Take the interface from a kernel driver (qcserial), where the system knows such things.

        What fails here shows again, with its reason, when the interface is claimed.
        """
        try:
            if self._device.is_kernel_driver_active(number):
                _log.info("detaching the kernel driver from %s", self.description)
                self._device.detach_kernel_driver(number)
        except (usb.core.USBError, NotImplementedError) as error:
            _log.info("no kernel driver detached from %s: %s", self.description, error)

    def read(self, timeout_s: float) -> memoryview:
        """See Transport. Zero-length packets are passed over."""
        deadline = time.monotonic() + timeout_s
        empty = 0
        while True:
            data = self._read_once(max(0.001, deadline - time.monotonic()))
            if data:
                return data
            empty += 1
            if empty > 64 or time.monotonic() >= deadline:
                raise TransportTimeoutError(f"{self.description} sends nothing but empty packets.")

    def _read_once(self, timeout_s: float) -> memoryview:
        """Return one transfer, which may be empty."""
        try:
            if self._incoming_bytes and self._queue is not None:
                return self._read_posted(self._queue, timeout_s)
            timeout_ms = round(timeout_s * 1000)
            count = self._device.read(self._in.bEndpointAddress, self._buffer, timeout_ms)
        except (usb.core.USBError, NotImplementedError) as error:
            raise self._failed(error, "read from") from error
        return memoryview(self._buffer)[:count]

    def _post_reads(self, queue: Queue, timeout_s: float) -> None:
        """Post as many as there shall be, or at least one.

        Where a part of a transfer fills one, the rest of it comes with the next ones.
        """
        fair = _fair_bytes() // 3 // _READS // _BLOCK_BYTES * _BLOCK_BYTES
        size = min(self._incoming_bytes, max(_BLOCK_BYTES, fair))
        deadline = time.monotonic() + timeout_s
        answers = self._incoming_bytes == _BLOCK_BYTES
        count = _READS if answers else max(_READS, QUEUED_BYTES // self._incoming_bytes)
        while len(self._coming_in) < count:
            transfer = Transfer(self._in.bEndpointAddress, self._room(size), size)
            if not self._coming_in:
                _submit(queue, transfer, deadline)
            elif not _fits(queue, transfer):
                return
            self._coming_in.append(transfer)

    def _read_posted(self, queue: Queue, timeout_s: float) -> memoryview:
        if self._shown is not None:
            self._spare.append(self._shown)
            self._shown = None
        self._post_reads(queue, timeout_s)
        transfer = self._coming_in[0]
        if not queue.wait(transfer, timeout_s):
            raise usb.core.USBTimeoutError("Operation timed out", None, errno.ETIMEDOUT)
        self._coming_in.popleft()
        self._shown = transfer.buffer
        if transfer.failure is not None:
            raise usb.core.USBError(*transfer.failure)
        return memoryview(transfer.buffer)[: transfer.count]

    def listen(self, transfer_bytes: int) -> None:
        """See Queueing. A buffer has room for more than that, in whole packets."""
        rounded = -(-transfer_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
        self._incoming_bytes = min(rounded + _BLOCK_BYTES, READ_BYTES)
        if self._queue is not None:
            _listening.add(self)
            self._buffer = _blank(0)  # from now on all reads are posted
            try:
                self._post_reads(self._queue, _PATIENCE_S)
            except (usb.core.USBError, NotImplementedError) as error:
                raise self._failed(error, "read from") from error

    def _room(self, size: int) -> array.array[int]:
        """Return a buffer for at least size bytes, the smallest that is there."""
        best = -1
        for index, buffer in enumerate(self._spare):
            if len(buffer) >= size and (best < 0 or len(buffer) < len(self._spare[best])):
                best = index
        if best >= 0:
            return self._spare.pop(best)
        self._spare.clear()
        return _blank(size)

    @property
    def underway_bytes(self) -> int:
        """See Queueing."""
        return self._underway_bytes

    def post(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Queueing."""
        view = memoryview(data).cast("B")
        if self._queue is None or len(view) > WRITE_BYTES:
            self.write(view, timeout_s, zlp=zlp)
            return
        deadline = time.monotonic() + timeout_s
        fair = max(2 * _BLOCK_BYTES, _fair_bytes() - _READS * _BLOCK_BYTES)
        most = min(max(QUEUED_BYTES, 2 * len(view)), fair)
        step = max(_BLOCK_BYTES, most // 2 // _BLOCK_BYTES * _BLOCK_BYTES)
        done = 0
        try:
            while done < len(view):  # in parts of whole packets: on the link it is one transfer
                part = view[done : done + step]
                self._post_part(self._queue, part, most, deadline)
                done += len(part)
            if not done or (zlp and done % self.packet_bytes == 0):
                self._post_part(self._queue, view[:0], most, deadline)
        except TransportTimeoutError as error:
            error.done_bytes = done
            raise
        except (usb.core.USBError, NotImplementedError) as error:
            raise self._failed(error, "write to") from error

    def _post_part(self, queue: Queue, view: memoryview, most_bytes: int, deadline: float) -> None:
        self._await_out(queue, deadline - time.monotonic(), most_bytes - len(view))
        buffer = self._room(len(view))
        memoryview(buffer)[: len(view)] = view
        transfer = Transfer(self._out.bEndpointAddress, buffer, len(view))
        while self._going_out and not _fits(queue, transfer):
            self._await_out(queue, deadline - time.monotonic(), self._underway_bytes - 1)
        if not self._going_out:
            _submit(queue, transfer, deadline)
        self._going_out.append(transfer)
        self._underway_bytes += transfer.size

    def finish(self, timeout_s: float) -> None:
        """See Queueing."""
        if self._going_out and self._queue is not None:
            self._await_out(self._queue, timeout_s, -1)

    def _await_out(self, queue: Queue, timeout_s: float, most_bytes: int) -> None:
        """Wait until at most most_bytes are under way; -1: nothing, not even an empty packet."""
        deadline = time.monotonic() + timeout_s
        while self._going_out and self._underway_bytes > most_bytes:
            transfer = self._going_out[0]
            if not queue.wait(transfer, max(0.001, deadline - time.monotonic())):
                raise TransportTimeoutError(f"{self.description} takes no data.")
            self._going_out.popleft()
            self._spare.append(transfer.buffer)
            self._underway_bytes -= transfer.size
            if transfer.failure is not None:
                raise self._failed(usb.core.USBError(*transfer.failure), "write to")
            if transfer.count < transfer.size:  # what was queued behind it would lie shifted
                self.abandon()
                raise TransportError(
                    f"{self.description} took {transfer.count} of {transfer.size} bytes."
                )

    def abandon(self) -> None:
        """See Queueing."""
        if self._going_out and self._queue is not None:
            self._queue.cancel(self._going_out)
        self._going_out.clear()
        self._underway_bytes = 0

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Transport. What the device takes only partly is continued, never sent again.

        A zero-length packet that was not taken in time counts as a timeout with all bytes done.
        """
        view = memoryview(data).cast("B")
        deadline = time.monotonic() + timeout_s
        done = 0
        while done < len(view):
            done += self._write_once(view[done : done + WRITE_BYTES], deadline, done)
        if zlp and len(view) % self.packet_bytes == 0:
            self._write_once(view[done:], deadline, done)

    def _write_once(self, view: memoryview, deadline: float, done: int) -> int:
        left_ms = max(1, round((deadline - time.monotonic()) * 1000))
        piece = array.array("B")
        piece.frombytes(view)
        try:
            count: int = self._device.write(self._out.bEndpointAddress, piece, left_ms)
        except usb.core.USBTimeoutError as error:
            message = f"{self.description} takes no data (after {done} bytes)."
            raise TransportTimeoutError(message, done_bytes=done) from error
        except (usb.core.USBError, NotImplementedError) as error:
            raise self._failed(error, "write to") from error
        if count < len(piece) and time.monotonic() >= deadline:
            message = f"{self.description} stopped taking data after {done + count} bytes."
            raise TransportTimeoutError(message, done_bytes=done + count)
        return count

    def _failed(self, error: Exception, doing: str) -> TransportError:
        if getattr(error, "errno", None) == errno.EPIPE:
            self._cancel_all()  # a stall ends only on an endpoint without transfers
            for endpoint in (self._in, self._out):
                try:  # only after a stall: boot ROMs mishandle it otherwise
                    self._device.clear_halt(endpoint.bEndpointAddress)
                except (usb.core.USBError, NotImplementedError):
                    break
        return _translate(error, self.description, doing)

    def _cancel_all(self) -> None:
        self.abandon()
        if self._coming_in and self._queue is not None:
            self._queue.cancel(self._coming_in)
        self._coming_in.clear()

    def close(self) -> None:
        """See Transport."""
        _listening.discard(self)
        self._cancel_all()
        try:
            usb.util.dispose_resources(self._device)
        except (usb.core.USBError, NotImplementedError) as error:
            _log.debug("closing %s: %s", self.description, error)


def _blank(size: int) -> array.array[int]:
    return array.array("B", b"\0") * size


def _fair_bytes() -> int:
    """Return how much of what the system lends one of the open phones may use."""
    return _LENT_BYTES // max(1, len(_listening))


def _submit(queue: Queue, transfer: Transfer, deadline: float) -> None:
    """Submit transfer, once the system has memory for it: others give theirs back soon.

    Raises:
        USBError: it cannot be submitted, or there is none until deadline.
    """
    while True:
        try:
            queue.submit(transfer)
        except usb.core.USBError as error:
            if error.errno != errno.ENOMEM or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(_AGAIN_S)


def _fits(queue: Queue, transfer: Transfer) -> bool:
    """Submit transfer; False if the system has no memory for it."""
    try:
        queue.submit(transfer)
    except usb.core.USBError as error:
        if error.errno != errno.ENOMEM:
            raise
        return False
    return True


def endpoints(interface: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Return the bulk IN and the bulk OUT endpoint of interface.

    Raises:
        TransportError: it lacks one.
    """
    found: dict[int, Any] = {}
    for endpoint in interface:
        if usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK:
            found.setdefault(usb.util.endpoint_direction(endpoint.bEndpointAddress), endpoint)
    try:
        return found[usb.util.ENDPOINT_IN], found[usb.util.ENDPOINT_OUT]
    except KeyError:
        raise TransportError("The USB interface lacks a bulk endpoint.") from None


def _translate(error: Exception, description: str, doing: str) -> TransportError:
    number = getattr(error, "errno", None)
    if isinstance(error, usb.core.USBTimeoutError):
        return TransportTimeoutError(f"{description} did not answer in time.")
    if number in _GONE:
        return DeviceGoneError(f"{description} left the USB bus.")
    if number in {errno.EACCES, errno.EPERM}:
        return AccessError(f"{description} may not be opened: permission denied.")
    if number == errno.EBUSY:
        return AccessError(f"{description} is held by another program or driver.")
    if isinstance(error, NotImplementedError):
        return AccessError(f"{description} is bound to a driver that libusb cannot use.")
    if number == errno.EOVERFLOW:
        return TransportError(f"{description} sent more than a packet: data was lost.")
    if number == errno.ENOMEM:
        return TransportError(
            "The system has no memory left for USB transfers.",
            remedies=(
                "Connect fewer phones at once, or end other programs that use USB.",
                "On Linux, let USB have more: echo 128 | sudo tee"
                " /sys/module/usbcore/parameters/usbfs_memory_mb",
            ),
        )
    return TransportError(f"Could not {doing} {description}: {error}")
