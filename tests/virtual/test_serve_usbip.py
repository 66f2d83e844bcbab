# SPDX-License-Identifier: BSD-3-Clause
"""USB/IP, byte by byte against Linux' Documentation/usb/usbip_protocol.rst."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edl.errors import TransportError
from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES, Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.link import Exit, Firmware, Receive, Send, Sleep
from edl.virtual.phone import Phone
from edl.virtual.saved import State
from edl.virtual.usb import VirtualBackend
from edl.virtual.usbip import UsbIpServer
from tests import phones
from tests.virtual.serving import LIMIT_S, Client, over_usbip
from tests.virtual.test_usb_transfers import echo, listener, speaker

SHORT_NOT_OK, ZERO_PACKET = 0x0001, 0x0040
_LIST = struct.pack(">HHI", 0x0111, 0x8005, 0)
_DEVICE_DESCRIPTOR = bytes.fromhex("12010002000000 40c605089000000102 0001")


class Board:
    """A bus with one device that runs the software of a test, and a server of it."""

    def __init__(self, software: Firmware, *faults: str, packet_bytes: int = 512) -> None:
        self.exits: list[str] = []
        injector = Injector([parse_fault(fault) for fault in faults])
        self.controller = Controller(
            software, self._exit, packet_bytes=packet_bytes, injector=injector
        )
        self.backend = VirtualBackend()
        product = "QUSB_BULK_CID:0412_SN:1C8A01AF"
        self.device = UsbDevice(self.controller, self.backend.new_port(), product=product)
        self.backend.attach(self.device)

    def _exit(self, reason: str) -> None:
        self.exits.append(reason)
        self.controller.unplug()


@contextlib.contextmanager
def served(board: Board) -> Iterator[Client]:
    """Serve board, and give a client that has imported it."""
    phone = cast("Phone", SimpleNamespace(backend=board.backend))
    with over_usbip(phone) as (address, _), Client(address) as client:
        assert client.bring() == 0
        yield client


@contextlib.contextmanager
def _stranger() -> Iterator[Client]:
    """Serve a phone, and give a client that has not imported it."""
    with (
        Phone.create("sdm660") as phone,
        over_usbip(phone) as (address, _),
        Client(address) as client,
    ):
        yield client


# -- before a device is imported ------------------------------------------------------------------


def test_the_list_of_devices() -> None:
    with _stranger() as client:
        client.socket.sendall(_LIST)
        reply = client.rest()
    assert reply[:12] == bytes.fromhex("01110005 00000000 00000001")
    path, bus_id = reply[0x0C:0x10C], reply[0x10C:0x12C]
    assert path.rstrip(b"\0").startswith(b"/sys/devices/")
    assert bus_id == b"1-1".ljust(32, b"\0")
    assert reply[0x12C:0x138] == bytes.fromhex("00000001 00000002 00000003")  # bus, number, speed
    assert reply[0x138:0x13E] == bytes.fromhex("05c6 9008 0000")
    assert reply[0x13E:0x144] == bytes.fromhex("000000 01 01 01")
    assert reply[0x144:] == bytes.fromhex("ffffff 00")


def test_an_import() -> None:
    with _stranger() as client:
        client.socket.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1"))
        reply = client.receive(0x140)
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    assert reply[:8] == bytes.fromhex("01110003 00000000")
    assert reply[0x108:0x128] == b"1-1".ljust(32, b"\0")
    assert reply[0x128:0x134] == bytes.fromhex("00000001 00000002 00000003")
    assert reply[0x134:] == bytes.fromhex("05c6 9008 0000 000000 01 01 01")


def test_a_device_has_one_importer() -> None:
    with Phone.create("sdm660") as phone, over_usbip(phone) as (address, _):
        with Client(address) as first:
            assert first.bring() == 0
            with Client(address) as second:
                second.socket.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1"))
                assert second.rest() == bytes.fromhex("01110003 00000001")
        for _ in range(200):  # until the server has noticed that the first one is gone
            with Client(address) as third:
                if third.bring() == 0:
                    return
        pytest.fail("the device is never free again")


def test_a_device_that_is_not_there() -> None:
    with _stranger() as client:
        assert client.bring(b"1-2") == 1
        assert client.rest() == b""


def test_requests_may_come_in_pieces() -> None:
    with _stranger() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1"):
            client.socket.sendall(bytes([byte]))
        assert client.receive(8) == bytes.fromhex("01110003 00000000")


def test_an_address_that_is_taken() -> None:
    with Phone.create("sdm660") as phone, over_usbip(phone) as (address, _):
        with pytest.raises(TransportError, match="Cannot listen"):
            UsbIpServer(phone, *address)
        with pytest.raises(TransportError, match="Cannot listen"):
            UsbIpServer(phone, "127.0.0.1", 70000)


# -- endpoint 0 -----------------------------------------------------------------------------------


def test_requests_on_endpoint_0() -> None:
    board = Board(echo())
    with served(board) as client:
        assert client.control(0x80, 6, 0x0100, 0, 18) == _DEVICE_DESCRIPTOR
        assert client.control(0x80, 6, 0x0100, 0, 8) == _DEVICE_DESCRIPTOR[:8]
        configuration = client.control(0x80, 6, 0x0200, 0, 255)
        assert configuration == bytes.fromhex(
            "0902200001010080 01 090400 00 02ffffff 00 0705810200 0200 0705010200 0200"
        )
        text = client.control(0x80, 6, 0x0302, 0x0409, 255)
        assert isinstance(text, bytes)
        assert text[2:].decode("utf-16-le") == "QUSB_BULK_CID:0412_SN:1C8A01AF"
        assert client.control(0x80, 0, 0, 0, 2) == b"\0\0"
        assert client.control(0x80, 8, 0, 0, 1) == b"\1"
        assert client.control(0x81, 10, 0, 0, 1) == b"\0"
        assert client.control(0x00, 9, 0, 0, 0) == b""
        assert client.control(0x80, 8, 0, 0, 1) == b"\0"
        assert client.control(0x00, 9, 1, 0, 0) == b""
        for request in [(0x80, 6, 0x0F00, 0, 5), (0x00, 9, 2, 0, 0), (0x40, 1, 0, 0, 0)]:
            assert client.control(*request) == -32


def test_only_configuring_anew_loses_what_is_ready() -> None:
    for request in [(0x00, 9, 1, 0, 0), (0x01, 11, 0, 0, 0)]:
        with served(Board(speaker(Send(b"one"), Send(b"two")))) as client:
            assert client.control(0x00, 9, 1, 0, 0) == b""
            assert client.transfer(1, 512) == (0, b"one")
            assert client.control(*request) == b""
            waiting = client.submit(1, 512)
            client.unlink(waiting)
            assert client.answer()[2] == -104


# -- transfers ------------------------------------------------------------------------------------


def test_answers_look_as_documented() -> None:
    # CmdIntrOUT and CmdIntrIN of the documentation, for endpoint 1 of this device
    out = (
        "00000001 00000d06 00010002 00000000 00000001 00000000 00000040 ffffffff 00000000 00000004"
    )
    into = "00000001 00000d05 00010002 00000001 00000001 00000200 00000040 ffffffff 00000000"
    data = bytes(range(64))
    with served(Board(echo())) as client:
        client.socket.sendall(bytes.fromhex(out) + bytes(8) + data)
        assert client.receive(48) == bytes.fromhex(
            "00000003 00000d06 00000000 00000000 00000000 00000000 00000040 00000000 ffffffff"
            "00000000 00000000 00000000"
        )
        client.socket.sendall(bytes.fromhex(into) + struct.pack(">I8x", 4))
        assert client.receive(48 + 64) == (
            bytes.fromhex(
                "00000003 00000d05 00000000 00000000 00000000 00000000 00000040 00000000 ffffffff"
                "00000000 00000000 00000000"
            )
            + data
        )


def test_a_short_packet_ends_a_transfer() -> None:
    with served(Board(speaker(Send(b"x" * 700), Send(b"y")))) as client:
        assert client.transfer(1, 16384) == (0, b"x" * 700)
        assert client.transfer(1, 16384) == (0, b"y")


def test_a_zero_length_packet_ends_a_transfer() -> None:
    with served(
        Board(speaker(Send(b"x" * 1024), Send(b"y" * 1024, zlp=False), Send(b"z")))
    ) as client:
        assert client.transfer(1, 1024) == (0, b"x" * 1024)
        assert client.transfer(1, 1024) == (0, b"")
        assert client.transfer(1, 4096) == (0, b"y" * 1024 + b"z")


def test_a_transfer_that_came_short_may_be_an_error() -> None:
    with served(Board(speaker(Send(b"x"), Send(b"y")))) as client:
        assert client.transfer(1, 512, flags=SHORT_NOT_OK) == (-121, b"x")
        assert client.transfer(1, 1, flags=SHORT_NOT_OK) == (0, b"y")


def test_a_packet_that_does_not_fit_is_an_overflow() -> None:
    with served(Board(speaker(Send(b"x" * 100), Send(b"y")))) as client:
        assert client.transfer(1, 64) == (-75, b"")
        assert client.transfer(1, 64) == (0, b"y")


@pytest.mark.parametrize(("flags", "expected"), [(0, b"a" * 512 + b"b"), (ZERO_PACKET, b"a" * 512)])
def test_whether_a_zero_length_packet_follows(flags: int, expected: bytes) -> None:
    heard: list[bytes | None] = []
    with served(Board(listener(heard, 4096))) as client:
        assert client.transfer(1, b"a" * 512, flags=flags) == (0, b"")
        assert client.transfer(1, b"b", flags=ZERO_PACKET) == (0, b"")
    assert heard[0] == expected


def test_an_empty_transfer_is_a_zero_length_packet() -> None:
    heard: list[bytes | None] = []
    with served(Board(listener(heard, 4096))) as client:
        assert client.transfer(1, b"a" * 512) == (0, b"")
        assert client.transfer(1, b"") == (0, b"")
    assert heard == [b"a" * 512]


def test_a_zero_length_packet_is_taken_while_the_phone_speaks() -> None:
    def software() -> Firmware:
        data = yield Receive(512)
        yield Send(data[:3])
        yield Receive(512)

    with served(Board(software())) as client:
        assert client.transfer(1, b"abc".ljust(512), flags=ZERO_PACKET) == (0, b"")
        assert client.transfer(1, 512) == (0, b"abc")


def test_the_length_of_what_was_sent_is_told() -> None:
    with served(Board(echo())) as client:
        client.submit(1, b"hello")
        assert client.answer()[2:4] == (0, 5)


def test_transfers_wait_until_the_phone_is_ready() -> None:
    heard: list[bytes | None] = []

    def software() -> Firmware:
        yield Send(b"first")
        yield from listener(heard, 4096)

    with served(Board(software())) as client:
        out = client.submit(1, b"data")
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(LIMIT_S)
        into = client.submit(1, 512)
        ends = {}
        for _ in range(2):
            command, seqnum, status, length, _ = client.answer()
            assert (command, status) == (3, 0)
            ends[seqnum] = client.receive(length) if seqnum == into else b""
        assert ends == {out: b"", into: b"first"}
    assert heard == [b"data"]


def test_several_reads_wait_in_line() -> None:
    with served(Board(echo())) as client:
        reads = [client.submit(1, 512) for _ in range(3)]
        for number, text in zip(reads, (b"a", b"b", b"c"), strict=True):
            out = client.submit(1, text)
            got = {}
            for _ in range(2):
                _, seqnum, status, length, _ = client.answer()
                assert status == 0
                got[seqnum] = client.receive(length) if seqnum == number else b""
            assert got == {out: b"", number: text}


def test_time_passes_for_a_phone_that_sleeps() -> None:
    def software() -> Firmware:
        yield Sleep(0.1)
        yield Send(b"awake")
        yield Sleep(0.1)
        yield Exit("off")

    board = Board(software())
    with served(board) as client:
        assert client.transfer(1, 512) == (0, b"awake")
        assert _ends(client)
    assert board.exits == ["off"]


def test_superspeed() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096), packet_bytes=SUPER_SPEED_PACKET_BYTES)
    phone = cast("Phone", SimpleNamespace(backend=board.backend))
    with over_usbip(phone) as (address, _):
        with Client(address) as client:
            client.socket.sendall(_LIST)
            assert client.rest()[0x134:0x138] == bytes.fromhex("00000005")
        with Client(address) as client:
            assert client.bring() == 0
            assert client.transfer(1, bytes(512), flags=ZERO_PACKET) == (0, b"")
    assert heard == [bytes(512)]


# -- trouble --------------------------------------------------------------------------------------


def test_a_transfer_is_taken_back() -> None:
    with served(Board(echo())) as client:
        first, second = client.submit(1, 512), client.submit(1, 512)
        number = client.unlink(first)
        assert client.answer()[:3] == (4, number, -104)
        number = client.unlink(first)
        assert client.answer()[:3] == (4, number, 0)
        client.submit(1, b"data")
        assert client.answer()[:3] == (3, number + 1, 0)
        assert client.answer(inwards=True) == (3, second, 0, 4, b"data")


@pytest.mark.parametrize(("place", "what"), [("out", b"x"), ("in", 512)])
def test_a_stall_lasts_until_it_is_cleared(place: str, what: bytes | int) -> None:
    software = echo() if place == "out" else speaker(Send(b"x"))
    with served(Board(software, f"stall@{place}-transfer:0")) as client:
        assert client.transfer(1, what) == (-32, b"")
        assert client.transfer(1, what) == (-32, b"")
        endpoint = 0x01 if place == "out" else 0x81
        assert client.control(0x02, 1, 0, endpoint, 0) == b""
        assert client.transfer(1, what)[0] == 0


def test_an_endpoint_that_is_not_there() -> None:
    with served(Board(echo())) as client:
        assert client.transfer(2, b"x") == (-2, b"")


def test_a_phone_that_leaves_ends_the_connection_but_not_the_service() -> None:
    with phones.plug("sdm660", running=True) as bench:
        with over_usbip(bench.virtual) as (address, _):
            with Client(address) as client:
                assert client.bring() == 0
                document = b'<?xml version="1.0" ?><data><power value="reset_to_edl" /></data>'
                assert client.transfer(1, document) == (0, b"")
                with contextlib.suppress(EOFError, ConnectionError):
                    while True:
                        client.submit(1, 16384)
                        client.answer(inwards=True)
            with Client(address) as client:
                client.socket.sendall(_LIST)
                assert client.rest()[0x12C:0x134] == bytes.fromhex("00000001 00000003")
            with Client(address) as client:
                assert client.bring() == 0
                assert client.transfer(1, 512)[1][:4] == b"\1\0\0\0"
        assert bench.virtual.state is State.BOOT_ROM


def test_the_service_ends_with_the_phone() -> None:
    with phones.plug("sdm660", running=True) as bench:
        with over_usbip(bench.virtual) as (address, join):
            with Client(address) as client:
                assert client.bring() == 0
                client.transfer(1, b'<?xml version="1.0" ?><data><power value="off" /></data>')
                with contextlib.suppress(EOFError, ConnectionError):
                    while True:
                        client.submit(1, 16384)
                        client.answer(inwards=True)
            join()
        assert bench.virtual.state is State.OFF


def test_a_phone_that_is_off_is_not_listed() -> None:
    with Phone.create("sdm660") as phone:
        phone.unplug()
        server = UsbIpServer(phone, "127.0.0.1", 0)
        assert server.device_list() == bytes.fromhex("01110005 00000000 00000000")
        assert server.free_device(b"1-1") is None
        server.close()


@pytest.mark.parametrize(
    "request_",
    [
        bytes.fromhex("0111 8004 00000000"),
        bytes(8),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_strangers_are_let_go(request_: bytes) -> None:
    with Phone.create("sdm660") as phone, over_usbip(phone) as (address, _):
        with Client(address) as client:
            client.socket.sendall(request_)
            assert _ends(client)
        with Client(address) as client:
            assert client.bring() == 0


@pytest.mark.parametrize(
    "fields",
    [
        (3, 1, 0, 0, 1, 0, 0),
        (1, 1, 0, 2, 1, 0, 0),
        (1, 1, 0, 0, 1, 0, 0xFFFFFFFF),
        (1, 1, 0, 1, 1, 0, 0x7FFFFFFF),
    ],
)
def test_impossible_transfers_end_the_connection(fields: tuple[int, ...]) -> None:
    with served(Board(echo())) as client:
        client.socket.sendall(struct.pack(">7I", *fields).ljust(48, b"\0"))
        assert _ends(client)


def test_junk_ends_nothing_but_its_own_connection() -> None:
    source = random.Random(1)
    with Phone.create("sdm660") as phone, over_usbip(phone) as (address, _):
        for _ in range(20):
            with Client(address) as client:
                if source.random() < 0.7 and client.bring():
                    continue
                with contextlib.suppress(ConnectionError):
                    client.socket.sendall(source.randbytes(500))
        for _ in range(200):
            with Client(address) as client:
                if client.bring() == 0:
                    return
        pytest.fail("the device is never free again")


def _ends(client: Client) -> bool:
    """Wait for the end of the connection."""
    try:
        return client.rest() == b""
    except ConnectionError:
        return True


# -- another program ------------------------------------------------------------------------------


def _usbip() -> str:
    found = shutil.which("usbip", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip("usbip is not installed (Debian: apt install usbip)")
    return found


def test_debian_s_usbip_lists_the_phone() -> None:
    program = _usbip()
    with Phone.create("sdm660") as phone, over_usbip(phone) as ((host, port), _):
        done: Any = subprocess.run(
            [program, "--tcp-port", str(port), "list", "-r", host],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
    assert "1-1: " in done.stdout
    assert "(05c6:9008)" in done.stdout
    assert "(ff/ff/ff)" in done.stdout
