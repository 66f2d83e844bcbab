# SPDX-License-Identifier: BSD-3-Clause
"""Serial ports, through pyserial: the QDLoader driver's COM port, /dev/ttyUSB*, a pty.

Nothing on a port tells where a transfer ends. A read gives what has arrived, and whether a write
ends with a zero-length packet is up to the driver (sahara.md 13.4, 13.5): QDLoader sends them by
itself, Linux' usb-serial layer (qcserial) cannot. Both drivers read ahead, so a phone is never
stuck on something that we have not read yet.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import select
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from edl.errors import (
    AccessError,
    DeviceGoneError,
    NoDeviceError,
    TransportError,
    TransportTimeoutError,
)
from edl.transport import Buffer, holders
from edl.transport.computer import Computer
from edl.transport.discovery import EDL_IDS

_FAILURES: tuple[type[Exception], ...] = (OSError, ValueError)
with contextlib.suppress(ImportError):  # Windows has none
    import termios

    _FAILURES += (termios.error,)

_log = logging.getLogger(__name__)

READ_BYTES = 256 * 1024
_BAUD = 115_200  # no driver of such phones takes notice of it
_NEVER_ZLP = re.compile(r"ttyUSB\d+")  # ports of Linux' usb-serial layer
_SERIAL = re.compile(r"_SN:([0-9A-Fa-f]{1,16})")
_BLIND_WRITE_S = 60.0  # where the driver cannot tell how much of a write was taken
_NO_TERMINAL = re.compile(rf"\({errno.ENOTTY},|Inappropriate ioctl")  # pyserial has no number then
_HELD = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}
_ABSENT = {errno.ENOENT, errno.ENODEV, errno.ENXIO}


class _Port(serial.Serial):  # type: ignore[misc]
    """A port that keeps what has arrived before it was opened: a boot ROM says HELLO only once."""

    def _reset_input_buffer(self) -> None:
        """Called by pyserial in the middle of opening (on Windows it purges by another way)."""


@dataclass(frozen=True)
class FoundPort:
    """A serial port with a phone in EDL mode behind it, as far as one can tell.

    name: what the system calls it, such as COM5 or /dev/ttyUSB0. vendor_id, product_id: 0 where
    the port was named and is no USB device that we know. product: what the phone or its driver
    calls itself. location: where it is plugged in, as `Found.location` has it; empty if unknown.
    """

    name: str
    vendor_id: int = 0
    product_id: int = 0
    product: str = ""
    location: str = ""

    @property
    def serial(self) -> str | None:
        """Serial number in the product string, 8 hex digits in lower case, if there is one."""
        match = _SERIAL.search(self.product)
        return match[1].lower().zfill(8) if match else None

    def open(self) -> SerialTransport:
        """Take the port for us."""
        return SerialTransport(self.name)


def find_ports() -> list[FoundPort]:
    """Return the serial ports with a phone in EDL mode behind them, by name."""
    return phone_ports(list_ports.comports())


def named(name: str) -> FoundPort:
    """Return the port with that name.

    Raises:
        NoDeviceError: there is none.
    """
    ports = list_ports.comports()
    for port in phone_ports(ports):
        if port.name == name:
            return port
    if name not in {port.device for port in ports} and not Path(name).exists():
        raise NoDeviceError(f"There is no serial port {name}.")
    return FoundPort(name)


def only_port(serial_number: str | None, place: str | None = None) -> FoundPort | None:
    """Return the one port of a phone in EDL mode, or None where there is none, or a choice.

    serial_number: of the phone that is meant. A port that does not tell its phone's, as on Windows,
    is taken if it is the only one. place: where it must be plugged in; one that does not tell it is
    not taken then.
    """
    ports = [port for port in find_ports() if place in {None, port.location}]
    if serial_number is not None:
        wanted = serial_number.lower().removeprefix("0x").zfill(8)
        ports = [port for port in ports if port.serial in {wanted, None}]
    return ports[0] if len(ports) == 1 else None


def phone_ports(ports: list[Any]) -> list[FoundPort]:
    """Return those of pyserial's ports that belong to phones in EDL mode, by name."""
    found = [
        FoundPort(
            port.device,
            port.vid,
            port.pid,
            port.product or port.description or "",
            (getattr(port, "location", None) or "").partition(":")[0],
        )
        for port in ports
        if (port.vid, port.pid) in EDL_IDS
    ]
    return sorted(found, key=lambda port: port.name)


class SerialTransport:
    """One serial port, held by nobody else.

    Attributes:
        sends_zlp: a write that fills its last packet is ended with a zero-length packet, by the
            driver and without our help. <configure> has to say so (ZlpAwareHost).
    """

    keeps_transfers = False
    packet_bytes = 0

    def __init__(self, name: str, *, sends_zlp: bool | None = None) -> None:
        """Open the port.

        sends_zlp: what its driver does, where the name of the port does not tell.

        Raises:
            NoDeviceError: there is no such port.
            AccessError: it is forbidden, or another program holds it.
            TransportError: it cannot be used as a serial port.
        """
        self.description = f"The phone at {name}"
        if sends_zlp is None:
            sends_zlp = _NEVER_ZLP.fullmatch(Path(os.path.realpath(name)).name) is None
        self.sends_zlp = sends_zlp
        self._buffer = bytearray(READ_BYTES)
        self._stuck = False
        self._port: Any = None
        try:
            self._port = _open(name)
        except _FAILURES as error:
            raise _explained(_open_error(error, name), name, Computer()) from error

    def read(self, timeout_s: float) -> memoryview:
        """See Transport: what has arrived, as much as there is."""
        try:
            count = self._read(timeout_s)
        except OSError as error:  # pyserial's own are such
            raise self._failed(error, "read from") from error
        if count is None:
            raise TransportTimeoutError(f"{self.description} did not answer in time.")
        if not count:
            raise DeviceGoneError(f"{self.description} left: its port has closed.")
        return memoryview(self._buffer)[:count]

    def _read(self, timeout_s: float) -> int | None:
        """Return how many bytes came into the buffer: None in time, 0 from a port that is gone."""
        if _has_descriptor(self._port):
            descriptor = self._port.fileno()
            if not select.select([descriptor], [], [], timeout_s)[0]:
                return None
            return os.readv(descriptor, [self._buffer])
        self._port.timeout = timeout_s
        first = self._port.read(1)
        rest = self._port.read(min(self._port.in_waiting, READ_BYTES - 1)) if first else b""
        self._buffer[: len(first) + len(rest)] = first + rest
        return len(first) + len(rest) or None

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Transport. zlp is up to the driver: see sends_zlp.

        Where the system does not tell how much of a write was taken (Windows), a minute is waited
        for it, and its failure is no timeout: nobody could go on from there.
        """
        view = memoryview(data).cast("B")
        try:
            if _has_descriptor(self._port):
                self._write(view, timeout_s)
            else:
                self._port.write_timeout = max(timeout_s, _BLIND_WRITE_S)
                self._port.write(view)
        except OSError as error:  # pyserial's own are such
            raise self._failed(error, "write to") from error

    def _write(self, view: memoryview, timeout_s: float) -> None:
        descriptor = self._port.fileno()
        deadline = time.monotonic() + timeout_s
        done = 0
        while done < len(view):
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([], [descriptor], [], left_s)[1]:
                self._stuck = True
                message = f"{self.description} takes no data (after {done} bytes)."
                raise TransportTimeoutError(message, done_bytes=done)
            try:
                done += os.write(descriptor, view[done:])
            except BlockingIOError:
                time.sleep(0.001)  # ready for less than the driver's unit: rare, and soon over
        self._stuck = False

    def close(self) -> None:
        """See Transport. What a stuck phone has not taken is thrown away, not waited for."""
        try:
            if self._stuck and self._port.is_open:
                self._port.reset_output_buffer()
        except _FAILURES as error:
            _log.debug("closing %s: %s", self.description, error)
        finally:
            self._port.close()

    def _failed(self, error: Exception, doing: str) -> TransportError:
        if getattr(error, "errno", None) in {errno.EIO, *_ABSENT, errno.EBADF}:
            return DeviceGoneError(f"{self.description} left: its port has closed.")
        return TransportError(f"Could not {doing} {self.description}: {error}")


def _open(name: str) -> Any:  # noqa: ANN401
    """Return the open port: raw, no flow control, ours alone."""
    if "://" in name:
        return serial.serial_for_url(name)
    return _Port(name, _BAUD, exclusive=True, xonxoff=False, rtscts=False, dsrdtr=False)


def _has_descriptor(port: Any) -> bool:  # noqa: ANN401
    """Tell whether port is a file to its system, as on everything but Windows."""
    return getattr(port, "fd", None) is not None


def _explained(
    error: TransportError | NoDeviceError, name: str, computer: Computer
) -> TransportError | NoDeviceError:
    """Return error with the program that has the port, where Linux shows it."""
    if not isinstance(error, AccessError) or not computer.is_linux:
        return error
    return holders.explained(error, [os.path.realpath(name)], {}, computer)


def _open_error(error: Exception, name: str) -> TransportError | NoDeviceError:
    number, text = getattr(error, "errno", None), str(error)
    if number in _ABSENT or "FileNotFoundError" in text:  # Windows: no number, but the name
        return NoDeviceError(f"There is no serial port {name}.")
    if number in {errno.EACCES, errno.EPERM}:
        return AccessError(f"The serial port {name} may not be opened: permission denied.")
    if number in _HELD or "PermissionError" in text:
        return AccessError(f"The serial port {name} is held by another program.")
    if _NO_TERMINAL.search(text):
        return TransportError(
            f"The serial port {name} cannot be used: it is no serial port.",
            remedies=("'edl list' shows the phones, and at which ports they are.",),
        )
    return TransportError(f"The serial port {name} cannot be used: {error}")
