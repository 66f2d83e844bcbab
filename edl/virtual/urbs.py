# SPDX-License-Identifier: BSD-3-Clause
"""What a client of USB/IP does with a phone that it has imported: transfers, and their ends.

Layouts of the answers: Linux' Documentation/usb/usbip_protocol.rst; requests on endpoint 0:
USB 2.0, 9.4. Error numbers are Linux' (a client's system may be another one).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from edl.virtual.controller import Controller, Status
from edl.virtual.descriptors import UsbDevice
from edl.virtual.serve import PhoneTime

RET_SUBMIT, RET_UNLINK = 3, 4
DIR_OUT, DIR_IN = 0, 1
SHORT_NOT_OK, ZERO_PACKET = 0x0001, 0x0040  # include/uapi/linux/usbip.h
NOT_ISOCHRONOUS = 0xFFFFFFFF
_RET_SUBMIT = struct.Struct(">5I i4I 8x")
_RET_UNLINK = struct.Struct(">5I i 24x")
_SETUP = struct.Struct("<BBHHH")
_ENOENT, _EPIPE, _EOVERFLOW, _ECONNRESET, _ESHUTDOWN, _EREMOTEIO = 2, 32, 75, 104, 108, 121

_GET_DESCRIPTOR, _SET_CONFIGURATION, _SET_INTERFACE = (0x80, 6), (0x00, 9), (0x01, 11)
_CLEAR_ENDPOINT_FEATURE, _ENDPOINT_HALT = (0x02, 1), 0
_GET_STATUS = {(0x80, 0), (0x81, 0), (0x82, 0)}
_GET_CONFIGURATION, _GET_INTERFACE = (0x80, 8), (0x81, 10)
_ERRORS = {
    Status.DONE: 0,
    Status.STALLED: -_EPIPE,
    Status.OVERFLOW: -_EOVERFLOW,
    Status.GONE: -_ESHUTDOWN,
}


@dataclass
class Urb:
    """A transfer that a client has submitted. data: what goes out, or room for what comes in."""

    seqnum: int
    flags: int
    length: int
    data: bytearray = field(default_factory=bytearray)
    done: int = 0
    zlp_sent: bool = False


class Imported:
    """A phone in the hands of one client."""

    def __init__(self, device: UsbDevice, reply: Callable[[bytes], None]) -> None:
        self.device = device
        self._reply = reply
        self._queues: dict[int, list[Urb]] = {DIR_OUT: [], DIR_IN: []}
        self._fresh = True  # the client's system has not configured it yet
        self._time = PhoneTime()

    @property
    def _controller(self) -> Controller:
        return self.device.controller

    @property
    def queued_bytes(self) -> int:
        """How much memory the waiting transfers may take."""
        return sum(urb.length for queue in self._queues.values() for urb in queue)

    def submit(self, endpoint: int, direction: int, urb: Urb, setup: bytes) -> None:
        """Take a transfer; one on endpoint 0 is answered at once."""
        if endpoint == 0:
            answer = self._control(*_SETUP.unpack(setup))
            self._complete(urb, -_EPIPE if answer is None else 0, answer or b"")
        elif endpoint == 1:
            self._queues[direction].append(urb)
        else:
            self._complete(urb, -_ENOENT)

    def unlink(self, seqnum: int, victim: int) -> None:
        """Take a transfer back, unless it is done already."""
        status = 0
        for queue in self._queues.values():
            for urb in queue:
                if urb.seqnum == victim:
                    queue.remove(urb)
                    status = -_ECONNRESET
                    break
        self._reply(_RET_UNLINK.pack(RET_UNLINK, seqnum, 0, 0, 0, status))

    def move(self) -> None:
        """Carry out what can be carried out of the waiting transfers."""
        passed_us = self._time.passed_us()
        if not self._queues[DIR_IN]:
            self._controller.settle()
        while self._send() or self._fetch(passed_us):
            passed_us = 0

    def _send(self) -> bool:
        """Give the phone packets of the first OUT transfer; return whether that is done."""
        queue = self._queues[DIR_OUT]
        if not queue:
            return False
        urb, controller = queue[0], self._controller
        rest = memoryview(urb.data)[urb.done :]
        if not controller.gone and not (
            controller.wanted_bytes or (not rest and controller.unread)
        ):
            return False  # it would refuse; asking would count as a transfer
        taken, status = controller.write(rest, 0)
        urb.done += taken
        if status is Status.TIMEOUT:
            return False
        full = urb.length and urb.length % controller.packet_bytes == 0
        if status is Status.DONE and full and urb.flags & ZERO_PACKET and not urb.zlp_sent:
            urb.zlp_sent = True
            return True  # once more, for the empty rest
        queue.pop(0)
        self._complete(urb, _ERRORS[status])
        return True

    def _fetch(self, passed_us: int) -> bool:
        """Fill the first IN transfer; return whether that is done."""
        queue = self._queues[DIR_IN]
        if not queue:
            return False
        urb = queue[0]
        if not urb.data:
            urb.data = bytearray(urb.length)
        got, status = self._controller.read(memoryview(urb.data)[urb.done :], passed_us)
        urb.done += got
        if status is Status.TIMEOUT:
            return False
        queue.pop(0)
        short = urb.flags & SHORT_NOT_OK and urb.done < urb.length
        error = -_EREMOTEIO if status is Status.DONE and short else _ERRORS[status]
        self._complete(urb, error, memoryview(urb.data)[: urb.done])
        return True

    def _complete(self, urb: Urb, status: int, answer: bytes | memoryview | None = None) -> None:
        """Tell how a transfer ended. answer: what came in; None where data went out."""
        length = urb.done if answer is None else len(answer)
        fields = (RET_SUBMIT, urb.seqnum, 0, 0, 0, status, length, 0, NOT_ISOCHRONOUS, 0)
        self._reply(_RET_SUBMIT.pack(*fields) + (answer or b""))

    def _control(
        self, kind: int, request: int, value: int, index: int, length: int
    ) -> bytes | None:
        """Return the answer on endpoint 0; None for a stall."""
        answer: bytes | None = b""
        match kind, request:
            case pair if pair == _GET_DESCRIPTOR:
                answer = self.device.raw_descriptor(*divmod(value, 256), language=index)
            case pair if pair in _GET_STATUS:
                answer = bytes(2)
            case pair if pair == _GET_CONFIGURATION:
                answer = bytes([self.device.configuration])
            case pair if pair == _GET_INTERFACE:
                answer = bytes(1)
            case pair if pair == _SET_CONFIGURATION and value in {0, 1}:
                self._configure(value)
            case pair if pair == _SET_INTERFACE and not value and not index:
                self._controller.flush()
            case pair if pair == _CLEAR_ENDPOINT_FEATURE and value == _ENDPOINT_HALT:
                self._controller.clear_halt(index)
            case _:
                return None
        return None if answer is None else answer[:length]

    def _configure(self, value: int) -> None:
        """Set the configuration; only a second time what waits for the host is lost.

        The first time belongs to plugging in, before which a phone has said nothing.
        """
        self.device.configuration = value
        if not self._fresh:
            self._controller.flush()
        self._fresh = False
