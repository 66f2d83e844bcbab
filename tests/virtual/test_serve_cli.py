# SPDX-License-Identifier: BSD-3-Clause
"""`edl virtual serve`, and `edl --port` at the other end of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edl.cli.main import run
from edl.errors import AccessError, TransportError
from edl.transport import discovery, serial
from edl.transport.serial import FoundPort
from tests import phones
from tests.conftest import REPO
from tests.virtual.serving import LIMIT_S, Client, on_pty

_LOADERS = str(REPO / "loaders")


@contextlib.contextmanager
def _serving(*arguments: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Run `edl virtual serve`; give its first line and the process."""
    command = [sys.executable, "-m", "edl", "virtual", "serve", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPO) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(LIMIT_S)
            finally:
                process.kill()
        assert process.returncode == 0


def test_a_served_phone_is_at_its_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "port"
    phone = tmp_path / "phone"
    assert run(["virtual", "new", str(phone), "sdm660"]) == 0
    with _serving(str(phone), "--pty", "--link", str(link)) as (line, process):
        assert line == {
            "v": 1,
            "type": "result",
            "port": str(link),
            "host": None,
            "tcp_port": None,
        }
        capsys.readouterr()
        assert run(["--port", str(link), "--loader", _LOADERS, "info", "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told["serial"] == "1a2b3c4d"
        assert run(["--port", str(link), "reset"]) == 0
        assert json.loads(process.stdout.readline())["port"] == str(link)  # it is back in EDL mode
    assert not link.is_symlink()


def test_a_phone_is_served_over_usbip() -> None:
    with _serving("sdm660", "--usbip", "127.0.0.1:0") as (line, _):
        assert (line["type"], line["host"]) == ("result", "127.0.0.1")
        with Client((line["host"], line["tcp_port"])) as client:
            assert client.bring() == 0
            assert client.transfer(1, 512)[1][:4] == b"\1\0\0\0"


class _Deaf:
    """A server that only says where it would listen."""

    def __init__(self, _phone: object, host: str, port: int) -> None:
        self.address = (host, port)

    def run(self, _stop: object) -> None:
        """Nobody comes."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("where", "told", "warned"),
    [
        ((), "127.0.0.1:3240", False),
        (("127.0.0.1:7",), "127.0.0.1:7", False),
        (("192.0.2.1:7",), "192.0.2.1:7", True),
        (("0.0.0.0:7",), "0.0.0.0:7", True),
    ],
)
def test_other_computers_reach_it_only_where_an_address_is_named(
    where: tuple[str, ...],
    told: str,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("edl.virtual.usbip.UsbIpServer", _Deaf)
    assert run(["virtual", "serve", "sdm660", "--usbip", *where]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{told}\n"
    assert ("note     whoever reaches" in shown.err) == warned


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "Say how to serve the phone"),
        (("--pty", "--usbip"), "Say how to serve the phone"),
        (("--usbip", "--no-zlp"), "--no-zlp and --link belong to --pty"),
        (("--usbip", "--link", "x"), "--no-zlp and --link belong to --pty"),
        (("--usbip", "3240"), "--usbip takes HOST:PORT, not '3240'."),
        (("--usbip", "localhost:http"), "--usbip takes HOST:PORT, not 'localhost:http'."),
    ],
)
def test_what_cannot_be_served(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["virtual", "serve", "sdm660", *options]) == 2
    assert told in capsys.readouterr().err


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--port", "/dev/no-such-port", "info"]) == 3
    assert "There is no serial port /dev/no-such-port." in capsys.readouterr().err


def test_a_serial_port_is_taken_where_usb_does_not_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locked(_: discovery.Found) -> None:
        raise AccessError("The phone is bound to a driver that libusb cannot use.")

    def broken(*_: object, **__: object) -> None:
        raise TransportError("libusb was not found.")

    with phones.plug("sdm660", running=True) as bench, on_pty(bench.virtual) as (next_name, _):
        port = FoundPort(next_name(), 0x05C6, 0x9008, "Qualcomm HS-USB QDLoader 9008 (COM5)")
        monkeypatch.setattr(serial, "find_ports", lambda: [port])

        monkeypatch.setattr(discovery, "find", lambda *_, **__: [])
        assert run(["nop"]) == 0
        assert "QDLoader 9008" in capsys.readouterr().err

        monkeypatch.setattr(discovery, "find", broken)
        assert run(["nop", "--serial", "1a2b3c4d"]) == 0
        assert run(["nop", "--vid", "05c6"]) == 4  # a phone that only USB can find

        found = discovery.Found(0x05C6, 0x9008, 1, 2, (1,), None, "edl", None, None, None)
        monkeypatch.setattr(discovery, "find", lambda *_, **__: [found])
        monkeypatch.setattr(discovery.Found, "open", locked)
        capsys.readouterr()
        assert run(["nop"]) == 0
        assert f"not usable over USB, but as {port.name}" in capsys.readouterr().err

        gone = FoundPort("/dev/no-such-port", 0x05C6, 0x9008)
        monkeypatch.setattr(serial, "find_ports", lambda: [gone])
        assert run(["nop"]) == 4
        assert "bound to a driver" in capsys.readouterr().err
        monkeypatch.setattr(serial, "find_ports", lambda: [port, gone])  # which one is meant?
        assert run(["nop"]) == 4


def test_a_port_is_chosen_by_the_serial_number_of_its_phone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = FoundPort("/dev/ttyUSB0", 0x05C6, 0x9008, "QUSB_BULK_CID:0412_SN:1C8A01AF")
    second = FoundPort("/dev/ttyUSB1", 0x05C6, 0x9008, "QUSB_BULK_CID:0412_SN:0BADCAFE")
    monkeypatch.setattr(serial, "find_ports", lambda: [first, second])
    assert serial.only_port("0x1c8a01af") == first
    assert serial.only_port("badcafe") == second
    assert serial.only_port("1") is None
    assert serial.only_port(None) is None


def test_a_port_that_is_named_keeps_what_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = FoundPort("COM5", 0x05C6, 0x9008, "QDLoader")
    monkeypatch.setattr(serial, "phone_ports", lambda _: [known])
    assert serial.named("COM5") == known
    (tmp_path / "port").touch()
    assert serial.named(str(tmp_path / "port")) == FoundPort(str(tmp_path / "port"))
