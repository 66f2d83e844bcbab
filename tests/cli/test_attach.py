# SPDX-License-Identifier: BSD-3-Clause
"""Phones in whatever state, as a user meets them: what is said, what is waited for."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from edl.cli import loading, terminal
from edl.cli.finding import Finder
from edl.errors import AccessError, NoDeviceError, TransportError
from edl.transport import discovery, serial
from edl.transport.serial import FoundPort
from edl.virtual.phone import Phone
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image
from loaders.make_dummies import QCM2290
from loaders.signing import VENDOR_PSS
from tests.cli.conftest import LOADER, Edl
from tests.cli.test_json import held
from tests.cli.test_loaders import for_qcm2290
from tests.unit.test_transport_discovery import bus

PHONE = "qcm2290,size=64M"
MANY_POLLS = 20


class Desk:
    """The user's desk: who waits at the computer is seen, and may hold the keys of the phone."""

    def __init__(self) -> None:
        self.phones: list[Phone] = []
        self.pauses = 0
        self.keys_after: int | None = None

    def sleep(self, _: float) -> None:
        self.pauses += 1
        if self.pauses == self.keys_after:
            self.phones[-1].enter_edl()
        assert self.pauses < MANY_POLLS


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    make = Phone.named

    def named(text: str) -> Phone:
        desk.phones.append(make(text))
        return desk.phones[-1]

    monkeypatch.setattr(Phone, "named", named)
    monkeypatch.setattr("time.sleep", desk.sleep)
    return desk


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "code", "status"),
    [("stuck-write", "mute", 4), ("mute", "mute", 4), ("crash-dump", "crash-dump", 3)],
)
def test_a_stuck_phone_ends_a_script_at_once(
    edl: Edl, desk: Desk, state: str, code: str, status: int
) -> None:
    result = edl("--virtual", f"{PHONE},state={state}", "nop")
    assert result.status == status
    assert f"error[{code}]: " in result.err
    assert "  try: Hold the power button" in result.err
    assert desk.pauses == 0


@pytest.mark.parametrize("state", ["stuck-write", "mute", "crash-dump"])
def test_a_job_goes_on_when_the_keys_were_held(edl: Edl, desk: Desk, state: str) -> None:
    desk.keys_after = 3
    result = edl("--virtual", f"{PHONE},state={state}", "--wait", "30", "nop")
    assert result.status == 0, result.err
    lines = [line.split()[0] for line in result.err.splitlines()]
    at = lines.index("stuck")
    assert lines[at : at + 4] == ["stuck", "hint", "wait", "found"]
    assert "  wait     for the phone to come back in EDL mode (30 s)\n" in result.err
    assert desk.pauses == 3


@pytest.mark.parametrize("fault", ["unplug@out:20000", "freeze@out:20000"])
def test_an_upload_begins_again_when_the_phone_is_back(edl: Edl, desk: Desk, fault: str) -> None:
    desk.keys_after = 2
    result = edl("--virtual", f"{PHONE},fault={fault}", "--wait", "30", "nop")
    assert result.status == 0, result.err
    assert "  stuck    The phone " in result.err
    assert result.err.count("  found    phone 1a2b3c4d") == 2


def test_nobody_is_waited_for_without_end(
    edl: Edl, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    result = edl("--virtual", f"{PHONE},state=mute", "--wait", "8", "nop")
    assert result.status == 4
    assert "error[mute]: " in result.err
    assert 5 < desk.pauses < 9


def test_who_a_phone_is_can_be_asked_when_the_keys_were_held(edl: Edl, desk: Desk) -> None:
    desk.keys_after = 1
    phone = ("--virtual", f"{PHONE},state=mute", "--wait", "9")
    result = edl(*phone, "loaders", "match", LOADER)
    assert "  stuck    The phone is connected but mute" in result.err
    assert result.status == 0, result.err


def test_who_a_phone_is_can_be_asked_in_the_middle_of_an_upload(edl: Edl) -> None:
    result = edl("--virtual", f"{PHONE},state=mid-image", "loaders", "match", LOADER)
    assert result.status == 0, result.err


@pytest.mark.parametrize(
    "state", ["hello-eaten", "mid-image", "refused", "command-mode", "stale-read", "stuck-write"]
)
def test_a_second_command_finds_the_state_of_a_kept_phone(
    edl: Edl, tmp_path: Path, state: str
) -> None:
    folder = tmp_path / "phone"
    edl("virtual", "new", folder, f"{PHONE},state={state}")
    first = edl("--virtual", folder, "nop")
    second = edl("--virtual", folder, "nop")
    if state == "stuck-write":
        assert (first.status, second.status) == (4, 4)
        assert "in the middle of an interrupted write" in second.err
        edl("virtual", "edl", folder)
        second = edl("--virtual", folder, "nop")
    else:
        assert first.status == 0, first.err
        assert "a programmer is running already" in second.err
    assert second.status == 0, second.err


# -- the next loader ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two loaders: one that looks right and is not, and the right one."""
    monkeypatch.setattr(loading, "test_folders", lambda: (tmp_path / "nothing",))
    recipe = Recipe(
        version=5,
        bits=64,
        binding=Binding(QCM2290, soc_versions=(0x9003,), rollback=1),
        vendor=VENDOR_PSS,
    )
    folder = tmp_path / "loaders"
    folder.mkdir()
    wrong = elf_image(recipe, programmer("C", "BOOT.XF.4.1-00330"))
    (folder / "first.elf").write_bytes(wrong)
    (folder / "second.elf").write_bytes(LOADER.read_bytes())
    return folder


def test_yes_goes_on_with_the_next_loader(edl: Edl, folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    result = edl("--virtual", PHONE, "--loader", folder, "write", "0/2048", image, "--yes")
    assert result.status == 0, result.err
    for line in (
        "  refused  The phone refused the programmer: ",
        "  loader   the next one is second.elf; the phone starts over\n",
        "  loader   second.elf, ",
    ):
        assert line in result.err


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 6)])
def test_a_user_is_asked_about_the_next_loader(
    edl: Edl, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stdin)
    result = edl("--virtual", PHONE, "--loader", folder, "nop")
    assert result.status == status
    assert "Try second.elf next? [y/N]: " in result.err


def test_json_asks_nobody(edl: Edl, folder: Path) -> None:
    result = edl("--virtual", PHONE, "--loader", folder, "--json", "nop")
    assert result.status == 6
    assert f"--loader {folder}/second.elf" in result.last["remedies"][-1]


def test_loaders_come_to_an_end(edl: Edl, folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    phone = f"{PHONE},refuse=0x22"
    result = edl("--virtual", phone, "--loader", folder, "write", "0/2048", image, "--yes")
    assert result.status == 6
    assert result.err.count("  refused  ") == 1
    assert "HASH_VERIFICATION_FAILURE" in result.err


def test_a_programmer_that_is_mute_is_followed_by_another_after_the_keys(
    edl: Edl, folder: Path, tmp_path: Path, desk: Desk
) -> None:
    (folder / "first.elf").write_bytes(for_qcm2290(rollback=1))
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    desk.keys_after = 2
    result = edl(
        "--virtual", f"{PHONE},programmer=mute", "--loader", folder, "--wait", "9",
        "write", "0/2048", image, "--yes",
    )  # fmt: skip
    assert result.status == 6
    assert "error[programmer-failed]: " in result.err
    assert "  hint     Hold the power button" in result.err
    assert result.err.count("  loader   ") == 3  # two that were sent, and what comes next


# -- list -----------------------------------------------------------------------------------------

USB_PORT = FoundPort("/dev/ttyUSB0", 0x05C6, 0x9008, "QUSB_BULK_CID:0412_SN:1C8A01AF", "1-1")
COM_PORT = FoundPort("COM5", 0x05C6, 0x9008, "Qualcomm HS-USB QDLoader 9008 (COM5)")


def test_a_phone_with_a_serial_port_is_one_phone(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = bus({"ids": (0x05C6, 0x9008)})
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    for port in (USB_PORT, COM_PORT):
        monkeypatch.setattr(serial, "find_ports", lambda port=port: [port])
        [phone] = held(edl("list", "--json"), "list").last["phones"]
        assert (phone["location"], phone["port"]) == ("1-1", port.name)
        assert edl("list").out.count("\n") == 1
        assert f"  {port.name}" in edl("list").out


def test_ports_are_listed_where_usb_shows_nothing(
    edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TransportError("libusb was not found.")

    monkeypatch.setattr(discovery, "libusb", bus)
    monkeypatch.setattr(serial, "find_ports", lambda: [COM_PORT])
    assert edl("list").out.startswith("COM5     05c6:9008  EDL (9008)  serial ?")
    monkeypatch.setattr(discovery, "find", broken)
    result = edl("list")
    assert (result.status, result.out[:4]) == (0, "COM5")
    assert "libusb was not found" in result.err
    monkeypatch.setattr(serial, "find_ports", list)
    assert edl("list").status == 4


# -- finding again --------------------------------------------------------------------------------


class OneRun:
    """What a Finder needs to know of a run."""

    virtual = None
    dialog = None

    def __init__(self, *, wait: float | None = None) -> None:
        from edl.cli.options import Settings  # noqa: PLC0415

        self.settings = Settings(wait=wait)
        self.said: list[object] = []
        self.emit = self.said.append

    def find(self) -> list[discovery.Found]:
        raise NoDeviceError("No phone in EDL mode is connected.")


def test_a_port_that_was_left_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder(OneRun())  # type: ignore[arg-type]
    monkeypatch.setattr(serial, "find_ports", lambda: [COM_PORT])
    assert finder.again(COM_PORT, 0, left=True) == COM_PORT
    with pytest.raises(NoDeviceError, match="did not come back"):
        finder.again(COM_PORT, 0)


def test_a_port_that_was_away_for_a_moment_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([[COM_PORT], [], [COM_PORT]])
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(serial, "find_ports", lambda: next(seen))
    assert Finder(OneRun()).again(COM_PORT, 60) == COM_PORT  # type: ignore[arg-type]


def test_patience_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Finder(OneRun(wait=7)).patience_s == 7  # type: ignore[arg-type]
    assert Finder(OneRun()).patience_s == 0  # type: ignore[arg-type]
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    assert Finder(OneRun()).patience_s == 60  # type: ignore[arg-type]


def test_identity_falls_back_to_the_serial_port(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: discovery.Found) -> None:
        raise AccessError("The phone is bound to a driver that libusb cannot use.")

    found = discovery.Found(0x05C6, 0x9008, 1, 2, (1,), None, "edl", None, None, None)
    monkeypatch.setattr(discovery, "find", lambda *_, **__: [found])
    monkeypatch.setattr(discovery.Found, "open", locked)
    opened: list[str] = []

    def fail(port: FoundPort) -> None:
        opened.append(port.name)
        raise TransportError("That was enough.")

    monkeypatch.setattr(FoundPort, "open", fail)
    monkeypatch.setattr(serial, "find_ports", lambda: [COM_PORT])
    assert edl("loaders", "match", LOADER).status == 4
    assert opened == ["COM5"]


def test_virtual_phones_are_not_taken_for_each_other(edl: Edl) -> None:
    """They share a serial number; a phone that has lost its HELLO goes by what it told before."""
    assert edl("--virtual", "msm8953,size=16M", "nop").status == 0
    other = edl("--virtual", "sdm660,size=16M,state=programmer", "--json", "info")
    assert other.last["chip"] is None
    assert edl("--virtual", "sdm660,size=16M,state=hello-eaten", "nop").status == 0
    again = edl("--virtual", "sdm660,size=16M,state=programmer", "--json", "info")
    assert again.last["chip"] == "SDM660"
