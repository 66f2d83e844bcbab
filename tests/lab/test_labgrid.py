# SPDX-License-Identifier: BSD-3-Clause
"""labgrid's coordinator, exporters and clients, with virtual phones at the exporters."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from edl.virtual.phone import Phone
from tests.lab.conftest import IMAGES, on_the_disk
from tests.lab.rack import Rack


def new_phone(folder: Path, serial: str, *changes: str) -> Path:
    """Make a virtual phone of 4 MiB in folder."""
    spec = ",".join(["qcm2290", "size=4MiB", f"serial={serial}", *changes])
    with Phone.create(spec, folder) as phone:
        phone.save()
    return folder


def environment(place: str, rom: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an environment as docs/lab.md has it. more: drivers."""
    drivers = {
        "EDLDriver": {"package": "rom", "assume_yes": True, "options": ["--no-boot-check"]},
        "VirtualEDLPowerDriver": {},
    }
    return {
        "imports": ["edl.lab.labgrid"],
        "targets": {
            "main": {
                "resources": {"RemotePlace": {"name": place}},
                "drivers": {
                    name: each for name, each in (drivers | more).items() if each is not None
                },
            }
        },
        "images": {"rom": str(rom)},
    }


def test_two_hosts_flash_at_once(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Two places on two exporters, each flashed by a client of its own, at the same time."""
    rom = Path(shutil.make_archive(str(tmp_path / "rom"), "zip", package))
    phones = {n: new_phone(tmp_path / f"phone-{n}", f"0x1111111{n}") for n in (1, 2)}
    clients = {}
    for n, phone in phones.items():
        rack.exporter(f"exporter-{n}", {"slot": phone})
        for words in (["create"], ["add-match", f"exporter-{n}/slot/*"], ["acquire"]):
            rack.client("-p", f"phone-{n}", *words)
        path = rack.environment_file(f"phone-{n}", environment(f"phone-{n}", rom))
        clients[n] = rack.begin("flash", path, *(["thoroughly"] if n == 1 else []))
    told = {n: rack.told(client) for n, client in clients.items()}
    for n, phone in phones.items():
        assert told[n]["written"]["verified_bytes"] > sum(map(len, IMAGES.values())), "and tables"
        assert on_the_disk(phone) == IMAGES
    assert told[1]["serial"] == "11111111"
    assert Path(told[1]["read"]).read_bytes() == IMAGES["one.img"]


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync: not installed")
def test_unplugged_in_the_middle_and_resumed(rack: Rack, package: Path, tmp_path: Path) -> None:
    """A folder is sent to the exporter's host, and is still there for the resumed job."""
    phone = new_phone(tmp_path / "phone", "0x33333333", "fault=unplug@out:1200000")
    rack.exporter("exporter-3", {"slot": phone})
    rack.place("phone-3", "exporter-3/slot/*")
    path = rack.environment_file("phone-3", environment("phone-3", package))
    told = rack.told(rack.begin("interrupted", path))
    assert (told["code"], told["status"]) == ("device-gone", 4)
    assert "is incomplete" in told["state"]
    assert any("edl resume" in remedy for remedy in told["remedies"])
    assert told["active"] == "bound", "the driver was deactivated as the phone left"
    assert told["resumed"] == len(IMAGES["one.img"])
    assert on_the_disk(phone) == IMAGES


def test_the_strategy_goes_the_whole_way(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Into EDL mode by the button (at the second attempt), unplugged while it is written, and out.

    A phone that does not enter EDL mode at all ends it, and says so.
    """
    rom = Path(shutil.make_archive(str(tmp_path / "rom"), "zip", package))
    button = tmp_path / "button"
    phone = new_phone(tmp_path / "phone", "0x55555555", "fault=unplug@out:1200000")
    rack.exporter("exporter-5", {"slot": phone})
    rack.place("phone-5", "exporter-5/slot/*")
    path = rack.environment_file("phone-5", environment("phone-5", rom, **switches(button)))
    told = rack.told(rack.begin("strategy", path, "flashed", "booted"))
    assert told["status"] == "booted", told
    press = ["off", "on, button 1"]
    assert told["switched"] == press * 3, "a balk, into EDL mode, and again after the fault"
    assert (told["flashed"], told["booted"], told["button"]) == (True, False, "0")
    assert on_the_disk(phone) == IMAGES
    path = rack.environment_file("phone-5", environment("phone-5", rom, **switches(button, 9)))
    told = rack.told(rack.begin("strategy", path, "edl"))
    assert (told["status"], told["button"]) == ("unknown", "0")
    assert "did not enter EDL mode in 2 attempts" in told["error"][2]
    assert told["switched"] == press * 2


def switches(button: Path, balks: int = 1) -> dict[str, Any]:
    """Return drivers: the strategy, a button, and power that does nothing a few times."""
    button.write_text("0\n")
    return {
        "VirtualEDLPowerDriver": None,
        "FileDigitalOutputDriver": {"filepath": str(button)},
        "BalkyPowerDriver": {"button_file": str(button), "balks": balks},
        "EDLStrategy": {"tries": 2, "watch": 0.1, "boot_check": False},
    }


@pytest.mark.skipif(shutil.which("umockdev-run") is None, reason="umockdev: not installed")
def test_phones_are_matched_by_port_path_or_serial(rack: Rack, tmp_path: Path) -> None:
    """On a bus with two phones in EDL mode and one whose system runs."""
    tool = tmp_path / "edl"  # tells what it was called with
    tool.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "print(json.dumps({'type': 'result', 'told': sys.argv[1:]}))\n"
    )
    tool.chmod(0o755)
    bus = Path(__file__).parent / "usb.umockdev"
    told = rack.told(rack.begin("plugged", tool, under=("umockdev-run", "--device", bus, "--")))
    here = [0x05C6, 0x9008, "--json", "--usb-path", "1-4.2"]
    assert told == {
        "port": [*here, "info", "--no-loader"],
        "path": [*here[:-1], "1-4.1", "info", "--no-loader"],
        "serial": [*here, "--serial", "1a2b3c4d", "info", "--no-loader"],
        "own ids": [0x18D1, 0x4EE7, *here[2:-1], "1-4.3", "info", "--no-loader"],
        "no phone there": None,
        "its system runs": None,
        "another serial": None,
        "not agreed": ["rawprogram", str(tool)],
        "agreed": ["rawprogram", str(tool), "--yes"],
    }


def test_jumpstarter(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Its exporter and client, in one process; the phone is unplugged in the middle."""
    phone = new_phone(tmp_path / "phone", "0x66666666", "fault=unplug@out:1200000")
    tool = Path(sys.executable).with_name("edl")
    told = rack.told(rack.begin("jump", tool, phone, package, tmp_path / "cache"))
    assert told["serial"] == "66666666"
    assert told["gone"][:2] == ["device-gone", 4]
    assert "is incomplete" in told["gone"][2]
    assert told["resumed"] == len(IMAGES["one.img"])
    assert len(told["kept"]) == 1, "sent once"
    assert on_the_disk(phone) == IMAGES
    assert Path(f"{phone}.read").read_bytes() == IMAGES["one.img"]
