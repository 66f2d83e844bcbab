# SPDX-License-Identifier: BSD-3-Clause
"""--usb-path: the phone at one USB port, whatever else is plugged in."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl import sysfs
from edl.cli import completing
from edl.cli.app import App
from edl.cli.finding import Finder
from edl.cli.options import Settings
from edl.errors import NoDeviceError, UsageError
from edl.transport import discovery, serial
from edl.transport.serial import FoundPort
from edl.virtual.bench import Bench
from tests.cli.conftest import Edl
from tests.unit.test_transport_discovery import bus

PHONE = "qcm2290,size=8MiB"


def test_a_place_on_the_bus(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    there = edl("--virtual", PHONE, "list", "--json").last["phones"][0]["location"]
    assert edl("--virtual", PHONE, "list", "--usb-path", there).out.startswith(f"{there} ")
    assert edl("--virtual", PHONE, "--usb-path", there, "--serial", "1a2b3c4d", "nop").status == 0
    for options, told in (
        (("--usb-path", "1-9"), "No phone in EDL mode is at USB 1-9."),
        (("--usb-path", "1-9", "--serial", "1a2b3c4d"), "No phone in EDL mode is at USB 1-9."),
        (("--usb-path", there, "--serial", "7"), "number 7 is in EDL mode at USB 1-1."),
    ):
        for command in ("nop", "reset", "info"):
            refused = edl("--virtual", PHONE, command, *options, "--json")
            assert refused.status == 3
            assert told in refused.last["message"]
    monkeypatch.setenv("EDL_USB_PATH", "1-9")
    assert "at USB 1-9." in edl("--virtual", PHONE, "list").err
    assert edl("--virtual", PHONE, "--json").last["phones"] == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("nop", "--usb-path", "usb1"), "'usb1' is no place on USB."),
        (("nop", "--usb-path", "1-4.2/../x"), "is no place on USB."),
        (("nop", "--usb-path", "1-1", "--usb-path", "1-2"), "given twice"),
        (("nop", "--usb-path", "1-1", "--port", "COM5"), "exclude each other"),
        (("station", "ROM", "--usb-path", "1-1"), "--usb-path is for one phone."),
        (("rawprogram", "ROM", "--all", "--usb-path", "1-1"), "--usb-path is for one phone."),
    ],
)
def test_what_does_not_fit_together(edl: Edl, options: tuple[str, ...], told: str) -> None:
    refused = edl(*options, "--json")
    assert (refused.status, refused.last["code"]) == (2, "usage")
    assert told in refused.last["message"]


def test_of_two_phones_the_one_at_the_port_is_meant() -> None:
    with Bench(f"{PHONE}*2") as bench:
        app = App(Settings(usb_path="1-2"))
        app.virtual = bench.phones["1-1"]  # both are on its bus
        finder = Finder(app)
        found = finder.wait()
        assert found.location == "1-2"
        bench.phones["1-1"].enter_edl()
        with pytest.raises(NoDeviceError, match="did not come back"):
            finder.again(found, 0)
        bench.phones["1-2"].enter_edl()
        again = finder.again(found, 0)
        assert (again.location, again.serial) == ("1-2", found.serial)
        app.settings.usb_path = None
        with pytest.raises(UsageError, match="2 phones are connected") as error:
            finder.wait()
        assert "--usb-path" in str(error.value.remedies)


def test_ports_that_tell_where_they_are(monkeypatch: pytest.MonkeyPatch, edl: Edl) -> None:
    """A COM port is taken for the phone only if its driver tells that it is there."""
    here, there = (FoundPort(f"COM{n}", 0x05C6, 0x9008, "", f"1-{n}") for n in (1, 2))
    nowhere = FoundPort("COM3", 0x05C6, 0x9008)
    monkeypatch.setattr(discovery, "libusb", bus)
    monkeypatch.setattr(serial, "find_ports", lambda: [here, there, nowhere])
    assert Finder(App(Settings(usb_path="1-2"))).wait() == there
    with pytest.raises(NoDeviceError, match=r"at USB 1-3\."):
        Finder(App(Settings(usb_path="1-3", wait=0))).wait()
    [row] = edl("list", "--usb-path", "1-1", "--json").last["phones"]
    assert row["port"] == "COM1"


def test_the_tab_key_knows_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sys/bus/usb/devices"
    for name, vendor in (("1-4.2", "05c6"), ("usb1", "05c6"), ("1-4", "1d6b"), ("1-4.2:1.0", "")):
        (folder / name).mkdir(parents=True)
        (folder / name / "idVendor").write_text(f"{vendor}\n")
    assert sysfs.phones(str(tmp_path)) == ["1-4.2"]
    assert sysfs.phones(str(tmp_path / "sys")) == []
    monkeypatch.setattr(sysfs, "phones", lambda: ["1-4.2"])
    told = completing.suggestions(completing.make(), ["info", "--usb-path"], "1-")
    assert [each.value for each in told] == ["1-4.2"]


def test_what_is_elsewhere_is_not_told(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = bus({"ids": (0x05C6, 0x900E)})
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    monkeypatch.setattr(serial, "find_ports", list)
    assert len(edl("--json").last["others"]) == 1
    assert edl("--json", "--usb-path", "1-9").last["others"] == []
    assert len(edl("--json", "--usb-path", "1-1").last["others"]) == 1
