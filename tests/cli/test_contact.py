# SPDX-License-Identifier: BSD-3-Clause
"""`edl` alone: what is there, and what to do next, in ten lines at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edl.errors import TransportError
from edl.transport import discovery, serial, usbids
from edl.transport.serial import FoundPort
from edl.transport.usbids import Other, what_is
from edl.virtual.phone import Phone
from tests.cli.conftest import Edl
from tests.cli.schema import problems


def other(vendor: int, product: int, place: str, *interfaces: tuple[int, int, int]) -> Other:
    advice = what_is(vendor, product, None, interfaces)
    assert advice is not None
    return Other(vendor, product, place, advice)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Return what is on the bus and at the ports, which a test fills."""
    there: dict[str, list[Any]] = {"phones": [], "others": [], "ports": []}
    monkeypatch.setattr(discovery, "find", lambda *_, **__: there["phones"])
    monkeypatch.setattr(discovery, "libusb", lambda: None)
    monkeypatch.setattr(usbids, "others", lambda *_, **__: there["others"])
    monkeypatch.setattr(serial, "find_ports", lambda: there["ports"])
    return there


def commands(text: str) -> list[str]:
    """Return the commands that are proposed."""
    rest = text.split("next", 1)[1]
    return [line.strip().split("  ")[0] for line in rest.splitlines()]


@pytest.mark.usefixtures("bus")
def test_nothing_is_plugged_in(edl: Edl) -> None:
    result = edl()
    assert result.status == 0
    assert "plugged in  no phone: none in EDL mode (9008)" in result.out
    assert commands(result.out) == ["edl rescue", "edl doctor", "edl --help"]
    assert result.err == ""


def test_a_phone_in_edl_mode(edl: Edl, phone: Path) -> None:
    result = edl("--virtual", phone)
    assert result.status == 0
    assert "plugged in  phone 1a2b3c4d in EDL mode at USB 1-1" in result.out
    assert commands(result.out) == ["edl rescue", "edl info", "edl --help"]
    [line] = edl("--virtual", phone, "--json").lines
    assert problems(line, "edl alone") == []
    assert line["phones"][0]["serial"] == "1a2b3c4d"
    assert line["next"] == ["edl rescue", "edl info", "edl --help"]


def test_an_unfinished_job_and_a_backup(edl: Edl, phone: Path, mini: Path, tmp_path: Path) -> None:
    assert edl("--virtual", phone, "backup", tmp_path / "saved", "--lun", "1").status == 0
    broken = edl("--virtual", phone, "--fault", "unplug@out:4000", "rawprogram", mini)
    assert broken.status == 4
    result = edl("--virtual", phone)
    assert "plugged in  no phone" in result.out
    assert "unfinished  rawprogram-1 of the phone 1a2b3c4d, " in result.out
    assert f": {tmp_path / 'saved'} (all: 'edl backups')" in result.out
    assert commands(result.out)[0] == "edl resume"
    assert len(result.out.splitlines()) <= 10
    with Phone.open(phone) as plugged:
        plugged.enter_edl()
    here = edl("--virtual", phone, "--json").last
    assert [job["name"] for job in here["jobs"]] == ["rawprogram-1"]
    assert (
        problems(
            {"v": 1, "type": "result", **{k: v for k, v in here.items() if k not in "vtype"}},
            "edl alone",
        )
        == []
    )
    stranger = edl("--virtual", "qcm2290,serial=0x77", "--json").last
    assert (stranger["jobs"], stranger["backups"]) == ([], [])


def test_phones_in_other_modes(edl: Edl, bus: dict[str, list[Any]]) -> None:
    bus["others"] = [
        other(0x05C6, 0x900E, "1-2"), other(0x18D1, 0xD00D, "1-3"),
        other(0x2717, 0xFF48, "1-4", (0xFF, 0x42, 1)), other(0x18D1, 0xD001, "1-5"),
    ]  # fmt: skip
    result = edl()
    assert "USB 1-2 (05c6:900e) is Qualcomm 900E: its software crashed" in result.out
    assert "Hold the power button for 15 seconds" in result.out
    assert "USB 1-3 (18d1:d00d) is Android bootloader: a phone in fastboot" in result.out
    assert "and 2 more: see 'edl list'" in result.out
    assert len(result.out.splitlines()) <= 10
    modes = [row["mode"] for row in edl("--json").last["others"]]
    assert modes == ["crash", "fastboot", "adb", "recovery"]


def test_a_serial_port_and_a_bus_that_cannot_be_seen(
    edl: Edl, bus: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(*_: object, **__: object) -> None:
        raise TransportError("libusb was not found.")

    monkeypatch.setattr(discovery, "find", blind)
    assert "plugged in  libusb was not found." in edl().out
    bus["ports"] = [FoundPort("COM5", 0x05C6, 0x9008, "QUSB_BULK_SN:77AA")]
    result = edl()
    assert result.status == 0
    assert "plugged in  phone 000077aa in EDL mode at COM5" in result.out
    assert "libusb was not found." in result.out


@pytest.mark.usefixtures("bus")
def test_help_stays_where_it_was(edl: Edl) -> None:
    result = edl("--help")
    assert result.status == 0
    assert "Rescue:" in result.out
