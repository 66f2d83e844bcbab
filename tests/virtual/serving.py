# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones served to other programs, and a minimal client of USB/IP.

The client is made from Linux' Documentation/usb/usbip_protocol.rst and shares nothing with the
server.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, cast

from edl.errors import DeviceGoneError, NoDeviceError, TransportTimeoutError
from edl.transport import Buffer
from edl.transport.usb import UsbTransport
from edl.virtual.phone import Phone
from edl.virtual.serve import serve_pty
from edl.virtual.usbip import UsbIpServer
from tests.phones import Bench, Watched

LIMIT_S = 20.0


class Served(Bench):
    """A phone that is reached through something else than the backend of its bus."""

    opener: Callable[[], object]
    join: Callable[[], None]

    def open(self) -> Watched:
        transport = Watched(cast("UsbTransport", self.opener()))
        self.transports.append(transport)
        return transport

    def end(self) -> None:
        """Wait for the server to end, as it does when the phone leaves."""
        self.join()


@contextlib.contextmanager
def running(serve: Callable[[threading.Event], None]) -> Iterator[Callable[[], None]]:
    """Run serve in a thread; give what waits for its end. An error of it is raised here."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def body() -> None:
        try:
            serve(stop)
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    def join() -> None:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        if errors:
            raise errors.pop()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        yield join
    finally:
        stop.set()
        join()


@contextlib.contextmanager
def on_pty(
    phone: Phone, *, zlp: bool = True, link: Path | None = None
) -> Iterator[tuple[Callable[[], str], Callable[[], None]]]:
    """Serve phone on ptys; give what waits for the name of the next one, and for the end."""
    names: queue.Queue[str] = queue.Queue()
    with running(lambda stop: serve_pty(phone, names.put, stop, zlp=zlp, link=link)) as join:
        yield lambda: names.get(timeout=LIMIT_S), join


@contextlib.contextmanager
def over_usbip(phone: Phone) -> Iterator[tuple[tuple[str, int], Callable[[], None]]]:
    """Serve phone over USB/IP; give the address, and what waits for the end."""
    server = UsbIpServer(phone, "127.0.0.1", 0)
    try:
        with running(server.run) as join:
            yield server.address, join
    finally:
        server.close()


class Client:
    """A connection to a server of USB/IP."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=LIMIT_S)
        self.seqnum = 0
        self.devid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        return b"".join(iter(lambda: self.socket.recv(65536), b""))

    def bring(self, bus_id: bytes = b"1-1") -> int:
        """Import the device; return the status."""
        self.socket.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0, bus_id))
        version, code, status = struct.unpack(">HHI", self.receive(8))
        assert (version, code) == (0x0111, 0x0003)
        if not status:
            device = self.receive(0x140 - 8)
            bus, number = struct.unpack_from(">II", device, 0x128 - 8)
            self.devid = bus << 16 | number
        return int(status)

    def submit(
        self,
        endpoint: int,
        what: bytes | int,
        *,
        flags: int = 0,
        setup: bytes = bytes(8),
        command: int = 1,
    ) -> int:
        """Submit a transfer: bytes that go out, or how many to read; return its number."""
        self.seqnum += 1
        inwards = isinstance(what, int)
        size, data = (what, b"") if isinstance(what, int) else (len(what), what)
        header = (command, self.seqnum, self.devid, int(inwards), endpoint)
        fields = struct.pack(">5IIIIIi8s", *header, flags, size, 0, 0xFFFFFFFF, 0, setup)
        self.socket.sendall(fields + data)
        return self.seqnum

    def unlink(self, victim: int) -> int:
        self.seqnum += 1
        header = struct.pack(">5II24x", 2, self.seqnum, self.devid, 0, 0, victim)
        self.socket.sendall(header)
        return self.seqnum

    def answer(self, *, inwards: bool = False) -> tuple[int, int, int, int, bytes]:
        """Return command, number, status, length and data of the next answer.

        inwards: it belongs to a transfer that reads.
        """
        packet = self.receive(48)
        command, seqnum, devid, direction, endpoint, status, length = struct.unpack_from(
            ">5Iii", packet
        )
        assert (devid, direction, endpoint) == (0, 0, 0)
        if command == 4:
            assert packet[24:] == bytes(24)
        else:
            assert packet[28:] == struct.pack(">IIIQ", 0, 0xFFFFFFFF, 0, 0)
        data = self.receive(length) if command == 3 and inwards else b""
        return command, seqnum, status, length, data

    def transfer(self, endpoint: int, what: bytes | int, *, flags: int = 0) -> tuple[int, bytes]:
        """Submit a transfer and wait for its end; return status and data."""
        number = self.submit(endpoint, what, flags=flags)
        command, seqnum, status, _, data = self.answer(inwards=isinstance(what, int))
        assert (command, seqnum) == (3, number)
        return status, data

    def control(self, kind: int, request: int, value: int, index: int, size: int) -> int | bytes:
        """Make a request on endpoint 0 that sends nothing; return its answer, or the error."""
        setup = struct.pack("<BBHHH", kind, request, value, index, size)
        inwards = bool(kind & 0x80)
        self.submit(0, size if inwards else b"", setup=setup)
        _, _, status, length, data = self.answer(inwards=inwards)
        assert length == len(data)
        return status or data


class UsbIpTransport:
    """What a session needs, over a client of USB/IP. A write that times out has taken nothing."""

    keeps_transfers = True
    sends_zlp = True
    description = "The phone over USB/IP"

    def __init__(self, address: tuple[str, int], *, packet_bytes: int = 512) -> None:
        self.packet_bytes = packet_bytes
        self._client = Client(address)
        if self._client.bring():
            raise NoDeviceError("There is no phone at the other end.")
        assert self._client.control(0x00, 9, 1, 0, 0) == b""

    def read(self, timeout_s: float) -> memoryview:
        while True:
            data = self._transfer((1 << 20) + 16384, timeout_s, 0)
            if data:
                return memoryview(data)

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        self._transfer(bytes(data), timeout_s, 0x40 if zlp else 0)

    def close(self) -> None:
        self._client.socket.close()

    def _transfer(self, what: bytes | int, timeout_s: float, flags: int) -> bytes:
        client = self._client
        inwards = isinstance(what, int)
        try:
            number = client.submit(1, what, flags=flags)
            client.socket.settimeout(timeout_s)
            try:
                head = client.socket.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                head = b""
                client.unlink(number)
            client.socket.settimeout(LIMIT_S)
            command, seqnum, status, _, data = client.answer(inwards=inwards)
            if command == 4:
                assert (head, status) == (b"", -104)
                raise TransportTimeoutError("nothing came in time")
            assert seqnum == number
            if status == -108:  # the last answer before the connection ends
                raise DeviceGoneError("the phone has left")
            assert status == 0
            if not head:
                assert client.answer()[2] == 0  # the unlink was too late
        except (EOFError, ConnectionError) as error:
            raise DeviceGoneError("the phone has left") from error
        return data
