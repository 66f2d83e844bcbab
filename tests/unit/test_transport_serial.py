# SPDX-License-Identifier: BSD-3-Clause
"""Serial ports: ptys made here, and pyserial's own loop:// where a port is no file (Windows)."""

from __future__ import annotations

import errno
import os
import pty
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from edl.errors import (
    AccessError,
    DeviceGoneError,
    NoDeviceError,
    TransportError,
    TransportTimeoutError,
)
from edl.transport import serial as transport_serial
from edl.transport.serial import SerialTransport, find_ports, phone_ports

LIMIT_S = 20.0


@dataclass
class Line:
    """A pty: the phone's end, and the name of ours."""

    phone: int
    name: str

    def hang_up(self) -> None:
        os.close(self.phone)
        self.phone = -1


@pytest.fixture
def line() -> Iterator[Line]:
    phone, own = pty.openpty()
    made = Line(phone, os.ttyname(own))
    attributes = termios.tcgetattr(own)
    attributes[3] &= ~termios.ECHO  # as the driver of a port, which echoes nothing
    termios.tcsetattr(own, termios.TCSANOW, attributes)
    os.close(own)
    yield made
    if made.phone >= 0:
        made.hang_up()


@pytest.fixture
def host(line: Line) -> Iterator[SerialTransport]:
    transport = SerialTransport(line.name)
    yield transport
    transport.close()


def test_every_byte_passes_both_ways(line: Line, host: SerialTransport) -> None:
    every = bytes(range(256))
    os.write(line.phone, every)
    got = b""
    while len(got) < len(every):
        got += host.read(LIMIT_S)
    assert got == every
    host.write(every, LIMIT_S)
    assert os.read(line.phone, 4096) == every
    assert not host.keeps_transfers


def test_a_read_gives_all_that_has_arrived(line: Line, host: SerialTransport) -> None:
    os.write(line.phone, b"one")
    os.write(line.phone, b"two")
    got = b""
    while len(got) < 6:
        got += host.read(LIMIT_S)
    assert got == b"onetwo"
    with pytest.raises(TransportTimeoutError):
        host.read(0)


def test_a_read_ends_in_time(host: SerialTransport) -> None:
    with pytest.raises(TransportTimeoutError, match="did not answer"):
        host.read(0.01)


def test_what_came_before_the_port_was_opened_is_kept(line: Line) -> None:
    raw = SerialTransport(line.name)  # makes the port raw, which it then stays
    os.write(line.phone, b"\1\0\0\0HELLO")
    again = os.open(line.name, os.O_RDWR | os.O_NOCTTY)  # or the system may forget it
    raw.close()
    host = SerialTransport(line.name)
    os.close(again)
    assert bytes(host.read(LIMIT_S)) == b"\1\0\0\0HELLO"
    host.close()


def test_a_write_that_is_not_taken_tells_how_far_it_came(line: Line, host: SerialTransport) -> None:
    data = os.urandom(1 << 20)
    with pytest.raises(TransportTimeoutError) as caught:
        host.write(data, 0.01)
    done = caught.value.done_bytes
    assert 0 < done < len(data)
    os.set_blocking(line.phone, False)
    got = bytearray()
    while len(got) < done:
        got += os.read(line.phone, 65536)
    assert bytes(got) == data[:done]


def test_a_stuck_port_is_closed_without_waiting(line: Line) -> None:
    host = SerialTransport(line.name)
    with pytest.raises(TransportTimeoutError):
        host.write(bytes(1 << 20), 0)
    host.close()
    host.close()
    with pytest.raises(TransportError):
        host.read(0)


def test_a_port_that_vanishes(line: Line, host: SerialTransport) -> None:
    line.hang_up()
    with pytest.raises(DeviceGoneError):
        host.read(LIMIT_S)
    with pytest.raises(DeviceGoneError):
        host.write(b"x", LIMIT_S)


def test_a_stuck_port_that_vanishes_is_closed_all_the_same(line: Line) -> None:
    host = SerialTransport(line.name)
    with pytest.raises(TransportTimeoutError):
        host.write(bytes(1 << 20), 0)
    line.hang_up()
    host.close()
    with pytest.raises(TransportError):
        host.write(b"x", 0)


def test_a_port_has_one_holder(line: Line, host: SerialTransport) -> None:
    with pytest.raises(AccessError, match="held by another program"):
        SerialTransport(line.name)
    host.close()
    SerialTransport(line.name).close()


def test_there_is_no_such_port(tmp_path: Path) -> None:
    with pytest.raises(NoDeviceError, match="no serial port"):
        SerialTransport(str(tmp_path / "ttyUSB9"))


def test_a_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(TransportError, match="cannot be used: it is no serial port") as caught:
        SerialTransport(str(path))
    assert "edl list" in caught.value.remedies[0]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (serial.SerialException(errno.EACCES, "could not open port"), AccessError),
        (serial.SerialException(errno.EPERM, "could not open port"), AccessError),
        (serial.SerialException(errno.EBUSY, "could not open port"), AccessError),
        (serial.SerialException(errno.ENXIO, "could not open port"), NoDeviceError),
        # pyserial on Windows has no numbers
        (
            serial.SerialException("could not open port 'COM5': PermissionError(13, 'x', None, 5)"),
            AccessError,
        ),
        (
            serial.SerialException("could not open port 'COM5': FileNotFoundError(2, 'x', None)"),
            NoDeviceError,
        ),
        (ValueError("no handler for protocol 'x' known"), TransportError),
    ],
)
def test_why_a_port_cannot_be_opened(error: Exception, kind: type[Exception]) -> None:
    assert type(transport_serial._open_error(error, "COM5")) is kind


@pytest.mark.parametrize(
    ("target", "zlp"), [("ttyUSB0", False), ("ttyUSB12", False), ("ttyACM0", True), ("7", True)]
)
def test_qcserial_cannot_end_transfers(
    target: str, zlp: bool, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "realpath", lambda _: str(tmp_path / target))
    host = SerialTransport(line.name)
    assert host.sends_zlp is zlp
    host.close()


def test_the_caller_may_know_what_the_driver_does(line: Line) -> None:
    host = SerialTransport(line.name, sends_zlp=False)
    assert not host.sends_zlp
    host.close()


# -- where a port is no file ----------------------------------------------------------------------


def test_bytes_pass_a_port_that_is_no_file() -> None:
    host = SerialTransport("loop://")
    host.write(memoryview(b"hello"), LIMIT_S)
    assert bytes(host.read(LIMIT_S)) == b"hello"
    with pytest.raises(TransportTimeoutError):
        host.read(0)
    host.close()


def test_a_write_of_unknown_extent_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_serial, "_BLIND_WRITE_S", 0.01)
    host = SerialTransport("loop://")
    host._port.baudrate = 300
    with pytest.raises(TransportError) as caught:
        host.write(bytes(300), 0)  # ten seconds
    assert not isinstance(caught.value, TransportTimeoutError)
    host.close()


# -- discovery ------------------------------------------------------------------------------------


def _port(name: str, vendor_id: int | None, product_id: int | None, product: str) -> ListPortInfo:
    port = ListPortInfo(name, skip_link_detection=True)
    port.vid, port.pid, port.product = vendor_id, product_id, product
    return port


def test_ports_of_phones_in_edl_mode_are_found() -> None:
    windows = _port("COM5", 0x05C6, 0x9008, "")
    windows.product, windows.description = None, "Qualcomm HS-USB QDLoader 9008 (COM5)"
    found = phone_ports(
        [
            _port("/dev/ttyUSB1", 0x0FCE, 0x9DDE, "QUSB_BULK_CID:0412_SN:1C8A01AF"),
            _port("/dev/ttyS0", None, None, ""),
            _port("/dev/ttyUSB0", 0x0403, 0x6001, "FT232R"),
            windows,
        ]
    )
    assert [port.name for port in found] == ["/dev/ttyUSB1", "COM5"]
    assert [port.serial for port in found] == ["1c8a01af", None]
    assert found[1].product == "Qualcomm HS-USB QDLoader 9008 (COM5)"


def test_a_found_port_is_opened(line: Line) -> None:
    (found,) = phone_ports([_port(line.name, 0x05C6, 0x9008, "QUSB__BULK")])
    host = found.open()
    host.write(b"x", LIMIT_S)
    assert os.read(line.phone, 10) == b"x"
    host.close()


def test_the_ports_of_this_computer_can_be_listed() -> None:
    assert all(port.name for port in find_ports())
