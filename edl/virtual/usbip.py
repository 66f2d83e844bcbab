# SPDX-License-Identifier: BSD-3-Clause
"""A virtual phone over USB/IP: with Linux' vhci_hcd it is a real USB device to every program.

Layouts: Linux' Documentation/usb/usbip_protocol.rst; requests on endpoint 0: USB 2.0, 9.4. All
numbers are big-endian but those in setup packets and descriptors.

One thread serves all connections. A phone takes packets one at a time and only when it asks for
them; the libraries on PyPI have queues in place of endpoints, so they cannot hold a host back.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import struct
import threading
from collections.abc import Callable

from edl.errors import TransportError
from edl.virtual.descriptors import UsbDevice
from edl.virtual.phone import Phone
from edl.virtual.serve import TICK_S, on_bus
from edl.virtual.urbs import DIR_IN, DIR_OUT, Imported, Urb

_log = logging.getLogger(__name__)

VERSION = 0x0111
REQ_DEVLIST, REP_DEVLIST = 0x8005, 0x0005
REQ_IMPORT, REP_IMPORT = 0x8003, 0x0003
CMD_SUBMIT, CMD_UNLINK = 1, 2
SPEED_HIGH, SPEED_SUPER = 3, 5  # enum usb_device_speed

_OP = struct.Struct(">HHI")  # version, code, status
_COUNT = struct.Struct(">I")
_DEVICE = struct.Struct(">256s32s3I3H6B")
_BUS_ID_BYTES = 32
_HEADER_BYTES = 48
_SUBMIT = struct.Struct(">5I2I2I I8s")

_MAX_QUEUED_BYTES = 64 * 1024 * 1024  # four times what Linux lends to all users of usbfs
_RECEIVE_BYTES = 256 * 1024
_BUS = 1
_LAST_PORT = 0xFFFF


class _BadClientError(Exception):
    """A client broke the protocol; its connection is closed."""


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket, server: UsbIpServer) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.imported: Imported | None = None
        self.ends = False  # once everything is sent
        self._server = server
        self._inbox = bytearray()
        self._outbox = bytearray()

    @property
    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)

    @property
    def drained(self) -> bool:
        """Whether all answers are out."""
        return not self._outbox

    def receive(self) -> None:
        """Take what has arrived, and act on every packet that is complete.

        Raises:
            _BadClientError, OSError: the connection is of no more use.
        """
        data = self.connection.recv(_RECEIVE_BYTES)
        if not data:
            raise _BadClientError("it has closed the connection")
        self._inbox += data
        while not self.ends and (self._urb() if self.imported else self._operation()):
            pass

    def send(self) -> None:
        """Send what can be sent."""
        with contextlib.suppress(BlockingIOError):
            while self._outbox:
                del self._outbox[: self.connection.send(self._outbox)]

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._inbox)[:size])
        del self._inbox[:size]
        return taken

    def _operation(self) -> bool:
        """Act on a request before a phone is imported; return whether there was a whole one."""
        if len(self._inbox) < _OP.size:
            return False
        _, code, _ = _OP.unpack_from(self._inbox)
        if code == REQ_DEVLIST:
            self._outbox += self._server.device_list()
            self.ends = True
        elif code == REQ_IMPORT:
            if len(self._inbox) < _OP.size + _BUS_ID_BYTES:
                return False
            bus_id = self._take(_OP.size + _BUS_ID_BYTES)[_OP.size :].partition(b"\0")[0]
            self._import(bus_id)
        else:
            raise _BadClientError(f"it sent the operation {code:#06x}")
        return True

    def _import(self, bus_id: bytes) -> None:
        device = self._server.free_device(bus_id)
        self._outbox += _OP.pack(VERSION, REP_IMPORT, 0 if device is not None else 1)
        if device is None:
            self.ends = True
            return
        self._outbox += _describe(device)
        self.imported = Imported(device, self._outbox.extend)

    def _urb(self) -> bool:
        """Act on a request about a transfer; return whether there was a whole one."""
        assert self.imported is not None  # noqa: S101  checked by the caller
        if len(self._inbox) < _HEADER_BYTES:
            return False
        header = _SUBMIT.unpack_from(self._inbox)
        command, seqnum, _, direction, endpoint, flags, length, _, _, _, setup = header
        if command == CMD_UNLINK:
            self._take(_HEADER_BYTES)
            self.imported.unlink(seqnum, victim=flags)  # the same place in the header
            return True
        if command != CMD_SUBMIT or direction not in {DIR_OUT, DIR_IN}:
            raise _BadClientError(f"it sent the command {command:#x}, direction {direction}")
        if self.imported.queued_bytes + length > _MAX_QUEUED_BYTES:
            raise _BadClientError(f"a transfer of {length} bytes is too much")
        data_bytes = length if direction == DIR_OUT else 0
        if len(self._inbox) < _HEADER_BYTES + data_bytes:
            return False
        self._take(_HEADER_BYTES)
        urb = Urb(seqnum, flags, length, bytearray(self._take(data_bytes)))
        self.imported.submit(endpoint, direction, urb, setup)
        return True


class UsbIpServer:
    """Offers one phone to clients, on a TCP port.

    Attributes:
        address: host and port that it listens at.
    """

    def __init__(self, phone: Phone, host: str, port: int) -> None:
        """Listen. Port 0 is any free one.

        Raises:
            TransportError: that is not possible.
        """
        self._listener = _listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._listener.setblocking(False)
        self._phone = phone
        self._device = on_bus(phone)
        self._clients: list[_Client] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def run(self, stop: threading.Event) -> None:
        """Serve until the phone leaves the bus for good, or stop is set."""
        while not stop.is_set() and self._device is not None:
            self.step(TICK_S)

    def close(self) -> None:
        """Close all connections and stop listening."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        self._listener.close()

    def device_list(self) -> bytes:
        """Return the answer to REQ_DEVLIST."""
        device = self._device
        if device is None:
            return _OP.pack(VERSION, REP_DEVLIST, 0) + _COUNT.pack(0)
        interface = device.interface_descriptor
        kinds = (interface.bInterfaceClass, interface.bInterfaceSubClass)
        return b"".join(
            (
                _OP.pack(VERSION, REP_DEVLIST, 0) + _COUNT.pack(1),
                _describe(device),
                bytes([*kinds, interface.bInterfaceProtocol, 0]),
            )
        )

    def free_device(self, bus_id: bytes) -> UsbDevice | None:
        """Return the phone if that is its bus id and nobody has it."""
        device = self._device
        if device is None or bus_id != _bus_id(device).encode():
            return None
        taken = any(client.imported for client in self._clients)
        return None if taken else device

    def step(self, wait_s: float) -> None:
        """Wait for clients for at most wait_s, and let everybody do what they can."""
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._attend(key.data, _Client.receive)
        for client in list(self._clients):
            if client.imported is not None:
                client.imported.move()
            self._attend(client, _Client.send)
        if self._device is not None and self._device.controller.gone:
            for client in [one for one in self._clients if one.imported]:
                self._drop(client)
            self._device = on_bus(self._phone)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the client has changed its mind
            connection, _ = self._listener.accept()
            client = _Client(connection, self)
            self._clients.append(client)
            self._selector.register(connection, client.events, client)

    def _attend(self, client: _Client, do: Callable[[_Client], None]) -> None:
        """Do something with a client, and see what it then needs."""
        if client not in self._clients:
            return
        try:
            do(client)
        except (_BadClientError, OSError) as error:
            _log.info("a USB/IP client is let go: %s", error)
            self._drop(client)
            return
        if client.ends and client.drained:
            self._drop(client)
        else:
            self._selector.modify(client.connection, client.events, client)

    def _drop(self, client: _Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.connection)
        client.connection.close()


def _listen(host: str, port: int) -> socket.socket:
    remedies = ("Name another port: --usbip HOST:PORT.",)
    if not 0 <= port <= _LAST_PORT:  # the socket module would leave a socket open
        message = f"Cannot listen at {host}:{port}: there is no such port."
        raise TransportError(message, remedies=remedies)
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        message = f"Cannot listen at {host}:{port}: {reason}."
        raise TransportError(message, remedies=remedies) from error


def _bus_id(device: UsbDevice) -> str:
    return f"{_BUS}-{device.port}"


def _describe(device: UsbDevice) -> bytes:
    """Return a device as both replies have it."""
    descriptor, bus_id = device.descriptor, _bus_id(device)
    return _DEVICE.pack(
        f"/sys/devices/virtual/edl/usb{_BUS}/{bus_id}".encode(),
        bus_id.encode(),
        *(_BUS, device.address, SPEED_SUPER if device.super_speed else SPEED_HIGH),
        *(descriptor.idVendor, descriptor.idProduct, descriptor.bcdDevice),
        *(descriptor.bDeviceClass, descriptor.bDeviceSubClass, descriptor.bDeviceProtocol),
        *(device.configuration, descriptor.bNumConfigurations),
        device.configuration_descriptor.bNumInterfaces,
    )
