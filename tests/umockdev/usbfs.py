# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's part: what usbfs does with the ioctls of libusb, for one virtual phone.

Facts: Linux, drivers/usb/core/devio.c and include/uapi/linux/usbdevice_fs.h.
"""

from __future__ import annotations

import enum
import errno
import os
import pty
import struct
import termios

from edl.virtual.controller import IN, OUT
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Kind
from tests.umockdev.client import RefusedError
from tests.umockdev.testbed import Testbed
from tests.umockdev.transfers import File, Transfers


class Ioctl(enum.IntEnum):
    """The ioctls by the low byte of the request."""

    SETINTERFACE = 4
    SETCONFIGURATION = 5
    GETDRIVER = 8
    SUBMITURB = 10
    DISCARDURB = 11
    REAPURBNDELAY = 13
    CLAIMINTERFACE = 15
    RELEASEINTERFACE = 16
    IOCTL = 18
    RESET = 20
    CLEAR_HALT = 21
    DISCONNECT = 22
    CONNECT = 23
    GET_CAPABILITIES = 26
    DISCONNECT_CLAIM = 27


class Node:
    """A phone's device node.

    Programs poll it for being writable, which means here: there is something to reap. So they get
    a pseudo-terminal that is stopped while there is nothing, and hung up when the phone is gone.

    Attributes:
        listener: where programs knock that have opened the node.
        gone: the phone has left the bus. hung_up: that has ended all transfers.
    """

    def __init__(self, device: UsbDevice, testbed: Testbed, caps: int) -> None:
        self.device = device
        self.files: list[File] = []
        self.transfers = Transfers(device, caps, self._show)
        self.gone = False
        self.hung_up = False
        self._testbed = testbed
        self._caps = caps
        self._master, self._slave = pty.openpty()
        self._show()
        self.listener = testbed.add(device, os.ttyname(self._slave))

    def leave(self) -> None:
        """Take the phone from the bus; its transfers end when hang_up is called.

        The socket stays, for programs that have just opened the node.
        """
        self.gone = True
        self._testbed.remove(self.device)

    def hang_up(self) -> None:
        """End the transfers of a phone that has left, and tell who polls."""
        self.transfers.end(-errno.ESHUTDOWN)
        self.hung_up = True
        os.close(self._slave)
        os.close(self._master)

    def close_file(self, file: File) -> None:
        """Let go of what a program has held."""
        self.files.remove(file)
        file.connection.close()
        self.transfers.forget(file)
        if self.device.holder is file:
            self.device.holder = None
        self._show()

    def ioctl(self, file: File, number: int, argument: int) -> int:
        """Return what the ioctl returns.

        Raises:
            RefusedError: it fails.
        """
        if number == Ioctl.REAPURBNDELAY:
            if not self.transfers.reap(file, argument):
                raise RefusedError(errno.ENODEV if self.gone else errno.EAGAIN)
            return 0
        if self.gone:
            raise RefusedError(errno.ENODEV)
        if number == Ioctl.IOCTL:
            return self._driver_ioctl(*struct.unpack("=II", file.peek(argument, 8)))
        self._ioctl(file, number, argument)
        return 0

    def _ioctl(self, file: File, number: int, argument: int) -> None:
        match number:
            case Ioctl.GET_CAPABILITIES:
                file.poke(argument, struct.pack("=I", self._caps))
            case Ioctl.CLAIMINTERFACE:
                self._claim(file, file.number(argument))
            case Ioctl.RELEASEINTERFACE:
                self._release(file, file.number(argument))
            case Ioctl.DISCONNECT_CLAIM:
                self._disconnect_claim(file, file.number(argument))
            case Ioctl.GETDRIVER:
                self._get_driver(file, argument)
            case Ioctl.SETCONFIGURATION:
                self._set_configuration(file.number(argument))
            case Ioctl.SETINTERFACE:
                self._set_interface(file, *struct.unpack("=II", file.peek(argument, 8)))
            case Ioctl.CLEAR_HALT:
                self._clear_halt(file, file.number(argument))
            case Ioctl.RESET:
                self._reset()
            case Ioctl.SUBMITURB:
                self.transfers.submit(
                    file, argument, lambda endpoint: self._check_endpoint(file, endpoint)
                )
            case Ioctl.DISCARDURB:
                self.transfers.discard(file, argument)
            case _:
                raise RefusedError(errno.ENOTTY)

    @property
    def _driver(self) -> str | None:
        """Name of the driver that has the interface."""
        return self.device.kernel_driver or ("usbfs" if self.device.holder else None)

    def _claim(self, file: File, interface: int) -> None:
        device = self.device
        if interface or not device.configuration:
            raise RefusedError(errno.ENOENT)
        if device.holder is file:
            return
        if self._driver or device.injector.prevents(Kind.BUSY):
            raise RefusedError(errno.EBUSY)
        device.holder = file

    def _check(self, file: File, interface: int) -> None:
        """Claim the interface for a program that has not."""
        if not self.device.configuration:
            raise RefusedError(errno.EHOSTUNREACH)
        self._claim(file, interface)

    def _check_endpoint(self, file: File, endpoint: int) -> None:
        if not self.device.configuration:
            raise RefusedError(errno.ESRCH)
        if endpoint not in {IN, OUT}:
            raise RefusedError(errno.ENOENT)
        self._check(file, 0)

    def _release(self, file: File, interface: int) -> None:
        if interface or not self.device.configuration:
            raise RefusedError(errno.ENOENT)
        if self.device.holder is not file:
            raise RefusedError(errno.EINVAL)
        self.device.holder = None
        self.transfers.end(-errno.ENOENT, file)

    def _disconnect_claim(self, file: File, interface: int) -> None:
        """Libusb claims again after a reset, whoever has come between."""
        self.device.kernel_driver = None
        self._claim(file, interface)

    def _get_driver(self, file: File, argument: int) -> None:
        if file.number(argument) or not self._driver:
            raise RefusedError(errno.ENODATA)
        file.poke(argument + 4, self._driver.encode() + b"\0")

    def _driver_ioctl(self, interface: int, request: int) -> int:
        """Detach the driver, or let one attach that fits."""
        device = self.device
        if not device.configuration:
            raise RefusedError(errno.EHOSTUNREACH)
        if interface:
            raise RefusedError(errno.EINVAL)
        if request & 0xFF == Ioctl.DISCONNECT:
            if not self._driver:
                raise RefusedError(errno.ENODATA)
            device.kernel_driver = device.holder = None
            return 0
        if request & 0xFF == Ioctl.CONNECT:
            if self._driver:
                raise RefusedError(errno.EBUSY)
            device.kernel_driver = "qcserial"
            return 1
        raise RefusedError(errno.ENOTTY)

    def _set_configuration(self, value: int) -> None:
        if self.device.configuration and self._driver:
            raise RefusedError(errno.EBUSY)
        if value not in {0, 1}:
            raise RefusedError(errno.EINVAL)
        self.device.configuration = value
        self.device.controller.flush()
        self._testbed.show_configuration(self.device)

    def _set_interface(self, file: File, interface: int, setting: int) -> None:
        self._check(file, interface)
        if setting:
            raise RefusedError(errno.EINVAL)
        self.device.controller.flush()

    def _clear_halt(self, file: File, endpoint: int) -> None:
        self._check_endpoint(file, endpoint)
        self.device.controller.clear_halt(endpoint)

    def _reset(self) -> None:
        for endpoint in (IN, OUT):
            self.device.controller.clear_halt(endpoint)

    def _show(self) -> None:
        """Let polling programs know whether there is something to reap."""
        if not self.hung_up:
            ready = any(file.completed for file in self.files)
            termios.tcflow(self._slave, termios.TCOON if ready else termios.TCOOFF)
