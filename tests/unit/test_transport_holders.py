# SPDX-License-Identifier: BSD-3-Clause
"""Who is in the way of a phone: named where Linux shows it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from usb.backend import libusb1

from edl.errors import AccessError
from edl.transport import holders
from edl.transport.computer import Computer
from edl.transport.discovery import find
from edl.transport.serial import SerialTransport
from tests.unit.test_doctor import NODE, Tree
from tests.unit.test_transport_discovery import bus

HELD = AccessError("The phone at USB 1-1 is held by another program or driver.")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "root").file(NODE)


def explained(tree: Tree, error: AccessError = HELD, **fields: object) -> AccessError:
    computer = tree.computer(**fields)
    files = holders.places("1-1", 1, 2, computer)
    return holders.explained(error, files, holders.drivers("1-1", computer), computer)


def test_the_program_with_the_usb_device_is_named(tree: Tree) -> None:
    error = explained(tree.process(812, "QFIL", "/dev/null", f"/{NODE}").process(7, "bash"))
    assert error.message == f"{HELD.message[:-1]}: QFIL (process 812)."
    assert list(error.remedies) == ["End it: kill 812", HELD.remedies[0]]


def test_the_program_with_its_serial_port_is_named(tree: Tree) -> None:
    tree.file("sys/bus/usb/devices/1-1:1.0/ttyUSB0/dev").process(9, "ModemManager", "/dev/ttyUSB0")
    error = explained(tree)
    assert "ModemManager (process 9)" in error.message
    assert error.remedies[0] == "End it: sudo systemctl stop ModemManager"


def test_the_driver_is_named(tree: Tree) -> None:
    error = explained(tree.link("sys/bus/usb/devices/1-1:1.0/driver", "/x/cdc_wdm"))
    assert error.message.endswith("program or driver: the driver cdc_wdm.")
    assert "tee /sys/bus/usb/drivers/cdc_wdm/unbind" in error.remedies[0]


def test_a_program_of_somebody_else_cannot_be_seen(tree: Tree) -> None:
    tree.link("sys/bus/usb/devices/1-1:1.0/driver", "/x/usbfs").file("proc/3/comm", "secret\n")
    error = explained(tree)
    assert error.message.endswith("; which one, only root can see.")
    assert error.remedies[0] == f"Look who it is: sudo fuser -v /{NODE}"


def test_nobody_is_named_where_nobody_is_seen(tree: Tree) -> None:
    assert explained(tree).message == HELD.message


def test_missing_permission_names_the_file(tree: Tree) -> None:
    denied = AccessError("The phone at USB 1-1 may not be opened: permission denied.")
    error = explained(tree, denied, may_open=lambda _: False)
    assert error.message == f"{denied.message[:-1]} (/{NODE})."
    assert error.remedies == AccessError.remedies


def test_a_virtual_phone_is_not_looked_for_among_the_real_ones() -> None:
    [found] = find(bus({"kernel_driver": None}))
    assert found._explained(HELD, Computer()) is HELD


def test_a_real_bus_is_looked_at_on_linux_alone(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    [found] = find(bus({}))
    monkeypatch.setattr(libusb1, "__name__", type(found.device.backend).__module__)
    tree.process(5, "QFIL", f"/{NODE}")
    assert "QFIL" in found._explained(HELD, tree.computer()).message
    assert found._explained(HELD, tree.computer(system="win32")) is HELD


@contextlib.contextmanager
def locked_port() -> Iterator[tuple[str, int]]:
    """Give a serial port that another process holds, and the number of that process."""
    ours, theirs = os.openpty()
    program = (
        "import fcntl, sys; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX); print(flush=True);"
        " sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(theirs)],
        pass_fds=[theirs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield os.ttyname(theirs), process.pid
        process.terminate()
    os.close(ours)
    os.close(theirs)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows who has a file open")
def test_the_program_that_has_a_serial_port_is_named() -> None:
    with locked_port() as (name, number), pytest.raises(AccessError) as caught:
        SerialTransport(name)
    assert re.search(rf"held by another program: python\S* \(process {number}\)", str(caught.value))
