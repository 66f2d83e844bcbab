# SPDX-License-Identifier: BSD-3-Clause
"""Asynchronous bulk transfers of libusb 1.0, through the library that pyusb has loaded.

libusb writes a transfer's status just before it calls the transfer's callback. So the status is
watched, and the callback is a function of libusb's own that changes nothing: no Python code runs
inside of libusb, where a Ctrl-C would be lost (libusb 1.0.30 io.c,
usbi_handle_transfer_completion).
"""

from __future__ import annotations

import ctypes
import errno
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import usb.core
from usb.backend import libusb1

if TYPE_CHECKING:
    from edl.transport.queue import Transfer

_log = logging.getLogger(__name__)

_PENDING = -1  # no status of libusb
_COMPLETED, _CANCELLED = 0, 3
_FAILURES = {  # enum libusb_transfer_status
    1: (errno.EIO, "Input/Output Error"),
    2: (errno.ETIMEDOUT, "Operation timed out"),
    4: (errno.EPIPE, "Pipe error"),
    5: (errno.ENODEV, "No such device (it may have been disconnected)"),
    6: (errno.EOVERFLOW, "Overflow"),
}
_BULK = 2
_CANCEL_S = 5.0
_under_way: dict[Transfer, Any] = {}  # their memory must stay, whatever becomes of the queue


class _TimeValue(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("microseconds", ctypes.c_long))


class LibusbQueue:
    """See edl.transport.queue.Queue."""

    def __init__(self, backend: Any, handle: Any) -> None:  # noqa: ANN401
        """Serve the device that pyusb's backend has opened as handle."""
        library = backend.lib
        self._context = backend.ctx
        self._handle = handle.handle
        self._submit = library.libusb_submit_transfer
        self._free = library.libusb_free_transfer
        self._allocate = library.libusb_alloc_transfer
        # by index: functions of our own, so that pyusb's prototypes stay as they are
        self._cancel = library["libusb_cancel_transfer"]
        self._cancel.argtypes = [libusb1._libusb_transfer_p]
        self._handle_events = library["libusb_handle_events_timeout_completed"]
        self._handle_events.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(_TimeValue),
            ctypes.POINTER(ctypes.c_int),
        ]
        self._callback = ctypes.cast(
            library["libusb_transfer_get_stream_id"], libusb1._libusb_transfer_cb_fn_p
        )

    def submit(self, transfer: Transfer) -> None:
        """See Queue."""
        pointer = self._allocate(0)
        if not pointer:
            raise usb.core.USBError(
                "Insufficient memory", libusb1.LIBUSB_ERROR_NO_MEM, errno.ENOMEM
            )
        its = pointer.contents
        its.dev_handle = self._handle
        its.endpoint = transfer.endpoint
        its.type = _BULK
        its.timeout = 0
        its.status = _PENDING
        its.buffer = transfer.buffer.buffer_info()[0]
        its.length = transfer.size
        its.callback = self._callback
        try:
            libusb1._check(self._submit(pointer))
        except BaseException:
            self._free(pointer)
            raise
        _under_way[transfer] = pointer

    def wait(self, transfer: Transfer, timeout_s: float) -> bool:
        """See Queue."""
        deadline = time.monotonic() + timeout_s
        while not self._ended(transfer):
            left_s = max(0.0, deadline - time.monotonic())
            whole = int(left_s)
            limit = _TimeValue(whole, int((left_s - whole) * 1e6))
            self._handle_events(self._context, ctypes.byref(limit), None)
            if not left_s:
                return self._ended(transfer)
        return True

    def cancel(self, transfers: Sequence[Transfer]) -> None:
        """See Queue. The last ones first, so that none begins when the one before has ended."""
        for transfer in reversed(transfers):
            if not self._ended(transfer):
                self._cancel(_under_way[transfer])
        for transfer in transfers:
            if not self.wait(transfer, _CANCEL_S):
                _log.warning("a USB transfer does not end")

    def _ended(self, transfer: Transfer) -> bool:
        """Look whether transfer has ended, and take its result."""
        if transfer.done:
            return True
        pointer = _under_way[transfer]
        status = pointer.contents.status
        if status == _PENDING:
            return False
        del _under_way[transfer]
        transfer.done, transfer.count = True, pointer.contents.actual_length
        self._free(pointer)
        if status not in {_COMPLETED, _CANCELLED}:
            number, text = _FAILURES.get(status, (errno.EIO, "Input/Output Error"))
            transfer.failure = text, status, number
        return True
