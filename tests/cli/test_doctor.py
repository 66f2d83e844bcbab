# SPDX-License-Identifier: BSD-3-Clause
"""`edl doctor`, `edl setup-udev`, and what `edl list` says where there is no phone in EDL mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.cli.commands import setup_udev
from edl.doctor import system, udev
from edl.errors import UsageError
from edl.transport import discovery
from tests.cli.conftest import Edl
from tests.unit.test_transport_discovery import bus


def test_a_virtual_phone_is_well(edl: Edl) -> None:
    result = edl("--virtual", "qcm2290", "doctor")
    assert (result.status, result.err) == (0, "")
    assert "phone 1a2b3c4d is in EDL mode at USB 1-1: ok" in result.out.splitlines()
    lines = edl("--virtual", "qcm2290", "doctor", "--json").last
    assert lines["healthy"] is True
    assert {row["verdict"] for row in lines["checks"]} <= {"ok", "warn"}


def test_what_is_bad_ends_with_1_and_the_command_that_mends_it(edl: Edl) -> None:
    result = edl("--virtual", "qcm2290,fault=denied", "doctor")
    assert result.status == 1
    [line] = [line for line in result.out.splitlines() if ": bad" in line]
    fact, _, command = line.partition(": bad; ")
    assert fact == "the phone at USB 1-1 may not be opened: permission is missing"
    assert command
    again = edl("--virtual", "qcm2290,fault=denied", "doctor", "--json")
    assert (again.status, again.last["healthy"]) == (1, False)


def test_the_rule_goes_to_stdout_and_nothing_else(edl: Edl) -> None:
    result = edl("setup-udev")
    assert (result.status, result.out) == (0, udev.rules_text())
    assert "/etc/udev/rules.d/51-edl.rules" in result.err
    lines = edl("setup-udev", "--json").last
    assert (lines["rules"], lines["installed"]) == (udev.rules_text(), False)


@pytest.mark.parametrize(
    ("reloaded", "said"), [(True, "Plug the phone in again."), (False, "restart the computer")]
)
def test_the_rule_is_installed(
    reloaded: bool, said: str, edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udev, "install", lambda *_: reloaded)
    monkeypatch.setattr(system, "in_container", lambda _: False)
    assert said in edl("setup-udev", "--install").out
    lines = edl("setup-udev", "--install", "--json").last
    assert (lines["installed"], lines["reloaded"]) == (True, reloaded)


def test_in_a_container_a_rule_is_of_no_use(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev, "install", lambda *_: False)
    monkeypatch.setattr(system, "in_container", lambda _: True)
    assert "only on the computer itself" in edl("setup-udev", "--install").out


def test_only_root_may_install_it(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UsageError("Only root may write it.", remedies=(udev.INSTALL,))

    monkeypatch.setattr(udev, "install", refuse)
    result = edl("setup-udev", "--install")
    assert result.status == 2
    assert "sudo tee" in result.err


def test_udevadm_is_run_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not setup_udev.run(["udevadm", "control"])
    for status in (0, 3):
        program = tmp_path / "udevadm"
        program.write_text(f"#!/bin/sh\nexit {status}\n")
        program.chmod(0o755)
        assert setup_udev.run(["udevadm", "control"]) is (status == 0)


def test_list_says_what_is_there_instead(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = bus({"ids": (0x18D1, 0xD00D)})
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    result = edl("list")
    assert result.status == 3
    assert "USB 1-1 (18d1:d00d) is Android bootloader: a phone in fastboot" in result.err
    assert "fastboot oem edl" in result.err


def test_list_says_what_helps_where_nothing_is(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "libusb", bus)
    result = edl("list")
    assert result.status == 3
    assert "No phone in EDL mode is connected.\n" in result.err
    assert "hold both volume keys" in result.err


def test_list_says_what_to_do_about_a_crash(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = bus({"ids": (0x05C6, 0x900E)})
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    result = edl("list")
    assert result.status == 0
    assert "crash dump" in result.out
    assert "Hold the power button" in result.err
