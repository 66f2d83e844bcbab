# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones as a pyusb backend, so that the very code that drives a real phone drives them.

    usb.core.find(idVendor=0x05C6, idProduct=0x9008, backend=backend)

Errors are those of libusb on Linux as pyusb reports them (libusb 1.0.30 os/linux_usbfs.c and
sync.c; pyusb 1.3.1 backend/libusb1.py).
"""

from __future__ import annotations

import array
import errno
import threading
from collections import deque
from collections.abc import Iterable
from types import SimpleNamespace
from typing import NoReturn, Protocol

import usb.backend
import usb.core
import usb.util

from edl.virtual.controller import IN, OUT, Status
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Kind

_FROM_DEVICE, _GET_DESCRIPTOR = 0x80, 0x06
_FOR_EVER_US = 3600 * 1_000_000  # time-out 0 waits for ever; nobody wants that of a test
_LENT_BYTES = 16 * 1024 * 1024  # Linux' usbfs_memory_mb: for all transfers of all programs

IO, ACCESS, NO_DEVICE, NOT_FOUND, BUSY = -1, -3, -4, -5, -6
TIMEOUT, OVERFLOW, PIPE, NO_MEMORY, NOT_SUPPORTED, OTHER = -7, -8, -9, -11, -12, -99
_ERRORS: dict[int, tuple[int | None, str]] = {
    IO: (errno.EIO, "Input/Output Error"),
    ACCESS: (errno.EACCES, "Access denied (insufficient permissions)"),
    NO_DEVICE: (errno.ENODEV, "No such device (it may have been disconnected)"),
    NOT_FOUND: (errno.ENOENT, "Entity not found"),
    BUSY: (errno.EBUSY, "Resource busy"),
    OVERFLOW: (errno.EOVERFLOW, "Overflow"),
    PIPE: (errno.EPIPE, "Pipe error"),
    NO_MEMORY: (errno.ENOMEM, "Insufficient memory"),
    OTHER: (None, "Other error"),
}
_STATUS = {Status.OVERFLOW: OVERFLOW, Status.STALLED: PIPE, Status.GONE: NO_DEVICE}


class EndlessWaitError(RuntimeError):
    """The host waits without a time limit for a phone that will never do anything."""


class Handle:
    """What opening a device gives.

    Attributes:
        claimed: claim_interface has been called; a transfer claims without it.
    """

    def __init__(self, device: UsbDevice) -> None:
        self.device = device
        self.claimed = False


class VirtualBackend(usb.backend.IBackend):  # type: ignore[misc]
    """A bus with virtual phones on it.

    kernel_drivers: False for the behaviour of Windows and macOS, where libusb cannot take a device
        from its driver.
    """

    def __init__(self, *, kernel_drivers: bool = True) -> None:
        super().__init__()
        self._kernel_drivers = kernel_drivers
        self._devices: list[UsbDevice] = []
        self._next_address = 2  # 1 is the root hub
        self._next_port = 1
        self._memory = Memory()

    def new_port(self) -> int:
        """Return the number of a free socket."""
        self._next_port += 1
        return self._next_port - 1

    def attach(self, device: UsbDevice) -> None:
        """Plug device in and give it an address."""
        device.address = self._next_address
        self._next_address = self._next_address % 127 + 1
        self._devices.append(device)

    # Everything below is pyusb's interface for backends.

    def enumerate_devices(self) -> list[UsbDevice]:
        """Return the phones on the bus, after all that happens by itself has happened."""
        for device in list(self._devices):
            device.controller.settle()
        self._devices = [device for device in self._devices if not device.controller.gone]
        return list(self._devices)

    def get_parent(self, dev: UsbDevice) -> None:
        """Return no hub: phones are plugged straight into the computer."""

    def get_device_descriptor(self, dev: UsbDevice) -> SimpleNamespace:
        """Return the descriptor and where the device is."""
        return SimpleNamespace(
            **vars(dev.descriptor),
            bus=1,
            address=dev.address,
            port_number=dev.port,
            port_numbers=(dev.port,),
            speed=usb.util.SPEED_SUPER if dev.super_speed else usb.util.SPEED_HIGH,
        )

    def get_configuration_descriptor(self, dev: UsbDevice, config: int) -> SimpleNamespace:
        """Return the only configuration."""
        if config:
            _fail(NOT_FOUND)
        return SimpleNamespace(**vars(dev.configuration_descriptor), extra_descriptors=[])

    def get_interface_descriptor(
        self, dev: UsbDevice, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        """Return the only interface."""
        if intf or alt or config:
            raise IndexError("Invalid interface index")
        return SimpleNamespace(**vars(dev.interface_descriptor), extra_descriptors=[])

    def get_endpoint_descriptor(
        self, dev: UsbDevice, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        """Return the IN or the OUT endpoint."""
        if ep > 1 or intf or alt or config:
            raise IndexError("Invalid endpoint index")
        endpoint = dev.endpoint_descriptors[ep]
        return SimpleNamespace(**vars(endpoint), bRefresh=0, bSynchAddress=0, extra_descriptors=[])

    def open_device(self, dev: UsbDevice) -> Handle:
        """Open dev, unless it is gone, forbidden or bound to another driver."""
        if dev.controller.gone:
            _fail(NO_DEVICE)
        if dev.injector.prevents(Kind.DENIED):
            _fail(ACCESS)
        if dev.kernel_driver is not None and not self._kernel_drivers:
            _fail(NOT_SUPPORTED)
        return Handle(dev)

    def close_device(self, dev_handle: Handle) -> None:
        """Close the handle and give up what it claims."""
        if dev_handle.device.holder is dev_handle:
            dev_handle.device.holder = None

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        """Configure the device anew: what it has ready to send is lost (sahara.md 13.6)."""
        device = _present(dev_handle)
        if device.configuration and (device.holder is not None or device.kernel_driver is not None):
            _fail(BUSY)
        if config_value not in {0, 1}:
            _fail(NOT_FOUND)
        device.configuration = config_value
        device.controller.flush()

    def get_configuration(self, dev_handle: Handle) -> int:
        """Return 1, or 0 while the device is not configured."""
        return _present(dev_handle).configuration

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        """Choose the only setting; that, too, loses what is ready to be sent."""
        device = _present(dev_handle)
        if not dev_handle.claimed or intf or altsetting:
            _fail(NOT_FOUND)
        device.controller.flush()

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        """Take the interface, unless a driver or another program has it."""
        device = _present(dev_handle)
        if intf or not device.configuration:
            _fail(NOT_FOUND)
        if not _take(device, dev_handle):
            _fail(BUSY)
        dev_handle.claimed = True

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        """Give the interface back."""
        device = _present(dev_handle)
        if intf or not dev_handle.claimed:
            _fail(NOT_FOUND)
        dev_handle.claimed = False
        device.holder = None

    def bulk_write(
        self, dev_handle: Handle, ep: int, intf: int, data: array.array[int], timeout: int
    ) -> int:
        """Send data as one transfer; return how much was taken in timeout milliseconds."""
        return _transfer(dev_handle, ep, _view(data), timeout)

    def bulk_read(
        self, dev_handle: Handle, ep: int, intf: int, buff: array.array[int], timeout: int
    ) -> int:
        """Read one transfer into buff; return how much came in timeout milliseconds."""
        return _transfer(dev_handle, ep, _view(buff), timeout)

    def open_queue(self, dev_handle: Handle) -> Queued:
        """Return what queues transfers of an open device (edl.transport.queue.Queue)."""
        return Queued(dev_handle, self._memory)

    def ctrl_transfer(
        self,
        dev_handle: Handle,
        bmRequestType: int,  # noqa: N803
        bRequest: int,  # noqa: N803
        wValue: int,  # noqa: N803
        wIndex: int,  # noqa: N803
        data: array.array[int],
        timeout: int,
    ) -> int:
        """Answer a request for a descriptor; stall on everything else."""
        device = _present(dev_handle)
        answer = None
        if (bmRequestType, bRequest) == (_FROM_DEVICE, _GET_DESCRIPTOR):
            answer = device.raw_descriptor(*divmod(wValue, 256), language=wIndex)
        if answer is None:
            _fail(PIPE)
        answer = answer[: len(data)]
        _view(data)[: len(answer)] = answer
        return len(answer)

    def clear_halt(self, dev_handle: Handle, ep: int) -> None:
        """End a stall; like a transfer, that claims the interface for who has not."""
        device = _present(dev_handle)
        if not device.configuration:
            _fail(OTHER)
        if ep not in {IN, OUT}:
            _fail(NOT_FOUND)
        if not _take(device, dev_handle):
            _fail(OTHER)
        device.controller.clear_halt(ep)

    def reset_device(self, dev_handle: Handle) -> None:
        """Reset the port: ends stalls, and revives no phone that hangs (sahara.md 11.3)."""
        controller = _present(dev_handle).controller
        controller.clear_halt(IN)
        controller.clear_halt(OUT)

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        """Return whether a driver of the system holds the interface."""
        return self._driven(dev_handle).kernel_driver is not None

    def detach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """Take the interface from its driver."""
        device = self._driven(dev_handle)
        if device.kernel_driver is None:
            _fail(NOT_FOUND)
        device.kernel_driver = None

    def attach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """Give the interface to the driver that fits: qcserial."""
        device = self._driven(dev_handle)
        if device.holder is not None:
            _fail(BUSY)
        device.kernel_driver = "qcserial"

    def _driven(self, dev_handle: Handle) -> UsbDevice:
        if not self._kernel_drivers:
            _fail(NOT_SUPPORTED)
        return _present(dev_handle)


def _present(handle: Handle) -> UsbDevice:
    if handle.device.controller.gone:
        _fail(NO_DEVICE)
    return handle.device


def _view(data: object) -> memoryview:
    """Return a view of data, which pyusb hands over as array('B') and as nothing else.

    pyusb turns a memoryview into an array byte by byte, at 16 MiB/s; nobody shall rely on that.
    """
    if not isinstance(data, array.array) or data.typecode != "B":
        raise TypeError(f"a transfer takes array('B'), not {type(data).__name__}")
    return memoryview(data)


def _take(device: UsbDevice, handle: Handle) -> bool:
    """Let handle have the interface; return False where a driver or another program has it."""
    if device.holder is handle:
        return True
    if device.holder is not None or device.kernel_driver is not None:
        return False
    if device.injector.prevents(Kind.BUSY):
        return False
    device.holder = handle
    return True


class Submitted(Protocol):
    """A transfer in a queue; see edl.transport.queue.Transfer."""

    endpoint: int
    buffer: array.array[int]
    size: int
    done: bool
    count: int
    failure: tuple[str, int | None, int | None] | None


class Memory:
    """What the system lends for transfers that are under way, to all programs together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lent_bytes = 0

    def lend(self, size_bytes: int) -> None:
        """Lend so much, or take back what is negative.

        Raises:
            USBError: there is not so much left.
        """
        with self._lock:
            if size_bytes > 0 and self._lent_bytes + size_bytes > _LENT_BYTES:
                _fail(NO_MEMORY)
            self._lent_bytes += size_bytes


class Queued:
    """Transfers that follow one another without the host. They move when the host waits."""

    def __init__(self, handle: Handle, memory: Memory) -> None:
        self._handle = handle
        self._memory = memory
        self._waiting: dict[int, deque[tuple[Submitted, float]]] = {IN: deque(), OUT: deque()}
        handle.device.controller.take_in = self._take_in

    def submit(self, transfer: Submitted) -> None:
        """Take transfer, in its turn."""
        clock = _present(self._handle).controller.clock
        self._memory.lend(transfer.size)
        clock.enter()
        self._waiting[transfer.endpoint].append((transfer, clock.now_us))
        clock.leave()

    def wait(self, transfer: Submitted, timeout_s: float) -> bool:
        """Move what comes before transfer, and it; False if that takes longer than timeout_s."""
        clock = self._handle.device.controller.clock
        clock.enter()
        try:
            deadline_us = clock.now_us + timeout_s * 1e6
            waiting = self._waiting[transfer.endpoint]
            while not transfer.done:
                if not self._move(*waiting[0], max(0, round(deadline_us - clock.now_us))):
                    return False
                waiting.popleft()
        finally:
            clock.leave()
        return True

    def _take_in(self) -> bool:
        """Let the phone speak where a read waits for it."""
        waiting = self._waiting[IN]
        taken = bool(waiting) and self._move(*waiting[0], 0)
        if taken:
            waiting.popleft()
        return taken

    def _move(self, transfer: Submitted, submitted_us: float, timeout_us: int) -> bool:
        """Move transfer, or go on with it; tell whether it has ended."""
        view = memoryview(transfer.buffer)[transfer.count : transfer.size]
        try:
            moved, status = _move(self._handle, transfer.endpoint, view, timeout_us, submitted_us)
            transfer.count += moved
            if status is Status.TIMEOUT:
                return False
            if status in _STATUS:
                _fail(_STATUS[status])
        except usb.core.USBError as error:
            transfer.failure = error.strerror, error.backend_error_code, error.errno
        self._end(transfer)
        return True

    def _end(self, transfer: Submitted) -> None:
        if not transfer.done:
            transfer.done = True
            self._memory.lend(-transfer.size)

    def cancel(self, transfers: Iterable[Submitted]) -> None:
        """Forget transfers."""
        for transfer in transfers:
            self._end(transfer)
        for endpoint, waiting in self._waiting.items():
            self._waiting[endpoint] = deque(pair for pair in waiting if not pair[0].done)


def _move(
    handle: Handle,
    endpoint: int,
    view: memoryview,
    timeout_us: int,
    submitted_us: float | None = None,
) -> tuple[int, Status]:
    """Move view; return how many bytes went, and how that ended.

    Linux claims the interface for a program that has not, and then it is the endpoint that gives
    the direction.
    """
    device = _present(handle)
    if not device.configuration or endpoint not in {IN, OUT} or not _take(device, handle):
        _fail(IO)
    if len(view) > _LENT_BYTES:
        _fail(NO_MEMORY)
    move = device.controller.read if endpoint == IN else device.controller.write
    return move(view, timeout_us, submitted_us)


def _transfer(handle: Handle, endpoint: int, view: memoryview, timeout_ms: int) -> int:
    """Move view and return how many bytes went; a time-out with some data is no error."""
    clock = handle.device.controller.clock
    clock.enter()
    try:
        count, status = _move(handle, endpoint, view, timeout_ms * 1000 or _FOR_EVER_US)
    finally:
        clock.leave()
    if status is Status.TIMEOUT and not timeout_ms:
        raise EndlessWaitError("The host waits without a time limit, and nothing will happen.")
    if status is Status.TIMEOUT and not count:
        raise usb.core.USBTimeoutError("Operation timed out", TIMEOUT, errno.ETIMEDOUT)
    if status in _STATUS:
        _fail(_STATUS[status])
    return count


def _fail(code: int) -> NoReturn:
    """Raise what pyusb raises for libusb's error code."""
    if code == NOT_SUPPORTED:
        raise NotImplementedError("Operation not supported or unimplemented on this platform")
    number, text = _ERRORS[code]
    raise usb.core.USBError(text, code, number)
