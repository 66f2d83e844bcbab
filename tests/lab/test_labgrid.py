# SPDX-License-Identifier: BSD-3-Clause
"""labgrid's coordinator, exporters and clients, with virtual phones at the exporters."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from edl.virtual.phone import Phone
from tests.lab.conftest import IMAGES, documented, on_the_disk
from tests.lab.rack import Rack

pytestmark = pytest.mark.timeout(240)  # many processes, on a machine that may be busy


def new_phone(folder: Path, serial: str, *changes: str) -> Path:
    """Make a virtual phone of 4 MiB in folder."""
    spec = ",".join(["qcm2290", "size=4MiB", f"serial={serial}", *changes])
    with Phone.create(spec, folder) as phone:
        phone.save()
    return folder


def slots(**phones: Path) -> str:
    """Return an exporter's configuration as docs/lab.md has it, with a slot for each phone."""
    slot = documented("yaml", "VirtualEDLPower:")
    return "".join(
        slot.replace("slot-1", name).replace("/srv/phones/1", str(folder))
        for name, folder in phones.items()
    )


def environment(place: str, rom: Path, **replaced: str) -> str:
    """Return an environment as docs/lab.md has it. replaced: drivers, by lines of YAML."""
    text = documented("yaml", "imports:").replace("name: phone-1", f"name: {place}")
    text = text.replace("ROM.zip", str(rom))
    text = text.replace("assume_yes: true", "assume_yes: true\n        options: [--no-boot-check]")
    quick = {"EDLStrategy": "EDLStrategy: {watch: 0.1, boot_check: false}"}
    for name, lines in (quick | replaced).items():
        assert f"{name}: {{}}" in text
        text = text.replace(f"{name}: {{}}", lines.replace("\n", "\n      "))
    return text


def test_two_hosts_flash_at_once(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Two places on two exporters, each with a client of its own, at the same time.

    One is a program that uses the driver, the other the test of docs/lab.md with its strategy.
    """
    rom = Path(shutil.make_archive(str(tmp_path / "rom"), "zip", package))
    phones = {n: new_phone(tmp_path / f"phone-{n}", f"0x1111111{n}") for n in (1, 2)}
    lab = {}
    for n, phone in phones.items():
        rack.exporter(f"host-{n}", slots(slot=phone))
        for words in (["create"], ["add-match", f"host-{n}/slot/*"], ["acquire"]):
            rack.client("-p", f"phone-{n}", *words)
        lab[n] = rack.file(f"phone-{n}.yaml", environment(f"phone-{n}", rom))
    flash = rack.begin("flash", lab[1])
    test = rack.file("test_phone.py", documented("python", "def test"))
    tested = rack.spawn(rack.program("pytest"), "--lg-env", lab[2], test)
    told = rack.told(flash)
    assert told["serial"] == "11111111"
    assert told["verified"] > sum(map(len, IMAGES.values())), "and the partition tables"
    assert Path(told["read"]).read_bytes() == IMAGES["one.img"]
    assert "1 passed" in rack.done(tested)
    for phone in phones.values():
        assert on_the_disk(phone) == IMAGES


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync: not installed")
def test_unplugged_in_the_middle_and_resumed(rack: Rack, package: Path, tmp_path: Path) -> None:
    """A folder is sent to the exporter's host, and is still there for the resumed job."""
    phone = new_phone(tmp_path / "phone", "0x33333333", "fault=unplug@out:1200000")
    rack.exporter("host-3", slots(slot=phone))
    rack.place("phone-3", "host-3/slot/*")
    told = rack.told(
        rack.begin("interrupted", rack.file("3.yaml", environment("phone-3", package)))
    )
    assert (told["code"], told["status"]) == ("device-gone", 4)
    assert "is incomplete" in told["state"]
    assert any("edl resume" in remedy for remedy in told["remedies"])
    assert told["active"] == "bound", "the driver was deactivated as the phone left"
    assert told["resumed"] == len(IMAGES["one.img"])
    assert on_the_disk(phone) == IMAGES


def test_the_strategy_goes_the_whole_way(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Into EDL mode by the button (at the second attempt), unplugged while written, and out and in.

    A phone that does not enter EDL mode at all ends it, and says so.
    """
    rom = Path(shutil.make_archive(str(tmp_path / "rom"), "zip", package))
    phone = new_phone(tmp_path / "phone", "0x55555555", "fault=unplug@out:1200000")
    rack.exporter("host-5", slots(slot=phone))
    rack.place("phone-5", "host-5/slot/*")
    button = rack.file("button", "0\n")
    text = environment(
        "phone-5",
        rom,
        VirtualEDLPowerDriver=f"BalkyPowerDriver: {{button_file: {button}, balks: 1}}\n"
        f"FileDigitalOutputDriver: {{filepath: {button}}}\nLastWordsDriver: {{}}",
        EDLStrategy="EDLStrategy: {tries: 2, watch: 0.1, boot_check: false}",
    )
    states = ("flashed", "booted", "edl", "balk", "edl")
    told = rack.told(rack.begin("strategy", rack.file("5.yaml", text), *states))
    press = ["off", "on, button 1"]
    assert told["switched"][:6] == press * 3, "a balk, into EDL mode, and again after the fault"
    assert told["switched"][6] == "reboot edl within 5 s", "the system was asked"
    assert told["switched"][7:] == press * 2
    assert (told["flashed"], told["booted"], told["edl"]) == (True, False, True)
    assert on_the_disk(phone) == IMAGES
    assert (told["status"], told["button"]) == ("off", "0")
    assert "did not enter EDL mode in 2 attempts" in told["error"][2]


@pytest.fixture
def bus() -> tuple[object, ...]:
    """Return what lets a program see a bus: two phones in EDL mode, and one whose system runs."""
    if shutil.which("umockdev-run") is None:
        pytest.skip("umockdev: not installed")
    return ("umockdev-run", "--device", Path(__file__).parent / "usb.umockdev", "--")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """Return a program in place of edl, which tells what it was called with."""
    path = tmp_path / "edl"
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "print(json.dumps({'type': 'result', 'told': sys.argv[1:]}))\n"
    )
    path.chmod(0o755)
    return path


def test_phones_are_matched_by_port_path_or_serial(
    rack: Rack, bus: tuple[object, ...], tool: Path
) -> None:
    told = rack.told(rack.begin("plugged", tool, under=bus))
    here = [0x05C6, 0x9008, "--json", "--usb-path", "1-4.2"]
    assert told == {
        "port": [*here, "info", "--no-loader"],
        "path": [*here[:-1], "1-4.1", "info", "--no-loader"],
        "serial": [*here, "--serial", "1a2b3c4d", "info", "--no-loader"],
        "own ids": [
            *(0x18D1, 0x4EE7, *here[2:-1], "1-4.3", "--vid", "18d1", "--pid", "4ee7"),
            *("info", "--no-loader"),
        ],
        "no phone there": None,
        "its system runs": None,
        "another serial": None,
        "not agreed": ["rawprogram", str(tool)],
        "agreed": ["rawprogram", str(tool), "--yes"],
    }


def test_a_phone_on_the_bus_of_another_host(
    rack: Rack, bus: tuple[object, ...], tool: Path
) -> None:
    """What the exporter finds by its configuration is what edl is told there, through ssh."""
    rack.exporter("host-6", documented("yaml", "QualcommEDLDevice"), under=bus)
    rack.place("phone-6", "host-6/slot-1/*")
    text = documented("yaml", "imports:").replace("phone-1", "phone-6")
    for name in ("VirtualEDLPowerDriver", "EDLStrategy"):
        text = text.replace(f"      {name}: {{}}\n", "")
    text += f"tools:\n  edl: {tool}\n"
    told = rack.told(rack.begin("remote", rack.file("6.yaml", text), "with spaces; and more"))
    assert told["ids"] == [0x05C6, 0x9008, 1, 4]
    assert told["told"] == ["--json", "--usb-path", "1-4.1", "info", "with spaces; and more"]


def test_jumpstarter(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Its exporter and client, in one process; the phone is unplugged in the middle."""
    phone = new_phone(tmp_path / "phone", "0x66666666", "fault=unplug@out:1200000")
    tool = Path(sys.executable).with_name("edl")
    text = documented("yaml", "edl.lab.jumpstarter.EDL").replace("/srv/phones/1", str(phone))
    more = f"      tool: {tool}\n      cache: {tmp_path / 'cache'}\n"
    config = rack.file("jumpstarter.yaml", text + more)
    told = rack.told(rack.begin("jump", tool, package, config))
    assert told["serial"] == "66666666"
    assert told["gone"][:2] == ["device-gone", 4]
    assert "is incomplete" in told["gone"][2]
    assert told["resumed"] == len(IMAGES["one.img"])
    assert len(told["kept"]) == 1, "sent once"
    assert on_the_disk(phone) == IMAGES
    assert Path(tmp_path / "cache.read").read_bytes() == IMAGES["one.img"]
