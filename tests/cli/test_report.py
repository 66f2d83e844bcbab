# SPDX-License-Identifier: BSD-3-Clause
"""`edl report`: what is in it, what is not, and that nothing is written before it was shown."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from edl.cli import asking, bugs, evidence, terminal
from edl.errors import TransportError
from edl.home import home
from tests.cli.conftest import Edl, write_rows


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name).decode() for name in packed.namelist()}


@pytest.fixture
def troubled(edl: Edl, mini: Path, tmp_path: Path) -> None:
    """Leave a log, an interrupted job, one that ended, a bug, and a config file."""
    (mini / "boot.img").write_bytes(bytes(range(256)) * 2000)
    write_rows(mini, ("boot.img", 8192, 1000, "boot"))
    phones = tmp_path / "first", tmp_path / "second"
    spec = "qcm2290,size=16MiB"
    assert edl("virtual", "new", phones[0], f"{spec},fault=unplug@out:300000").status == 0
    assert edl("virtual", "new", phones[1], f"{spec},serial=0x0badcafe").status == 0
    assert edl("--virtual", phones[0], "rawprogram", mini).status == 4
    assert edl("--virtual", phones[1], "rawprogram", mini, "--no-reset").status == 0
    bugs.keep(ZeroDivisionError("of jane in /home/jane/rom"))
    (home() / "config.toml").write_text('log-file = "/home/jane/edl.log"\n')
    os.truncate(home() / "config.toml", 0)


@pytest.mark.usefixtures("troubled")
def test_all_that_helps_and_no_names(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "deskpod.lan")
    monkeypatch.setattr("getpass.getuser", lambda: "jane")
    monkeypatch.setattr(evidence, "_MOST_BYTES", 20000)
    target = tmp_path / "trouble.zip"
    result = edl("--virtual", "qcm2290", "report", target, "--json")
    assert result.status == 0
    packed = contents(target)
    assert set(packed) == {f"edl-report/{row['name']}" for row in result.last["files"]}
    assert result.last["bytes"] == sum(len(text.encode()) for text in packed.values())
    names = " ".join(packed)
    for part in ("versions.txt", "usb.txt", "doctor.txt", "config.txt", "log/edl.log", "bugs/edl-",
                 "phones/SERIAL-", "/jobs/rawprogram-1.jsonl", "/jobs/ended/",
                 "/identity.json"):  # fmt: skip
        assert part in names
    everything = names + "".join(packed.values())
    for secret in ("1a2b3c4d", "1A2B3C4D", "4d3c2b1a", r"M<+\x1a", "439041101", "badcafe",
                   "BADCAFE", "fecaad0b", "jane", "deskpod", str(home())):  # fmt: skip
        assert secret not in everything
    assert "_SN:SERIAL-" in packed["edl-report/usb.txt"]
    assert f'"hwid": {0x001860E100000000}' in everything  # which chip it is, is no secret
    assert packed["edl-report/log/edl.log"].startswith("[the last 20000 of ")
    assert target.stat().st_mode & 0o077 == 0 or os.name != "posix"


def test_it_is_shown_before_it_is_written(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = edl("--virtual", "qcm2290", "report")
    assert "versions.txt" in shown.out
    assert shown.out.endswith("Nothing was written. To write it: edl report FILE.zip\n")
    assert "==== usb.txt" in edl("--virtual", "qcm2290", "report", "--show").out
    target = tmp_path / "trouble.zip"
    asked: list[str] = []

    def refuse(text: str, **_: object) -> bool:
        asked.append(text)
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    monkeypatch.setattr(asking, "confirmed", refuse)
    stopped = edl("--virtual", "qcm2290", "report", target)
    assert (stopped.status, target.exists()) == (130, False)
    assert "versions.txt" in stopped.err
    assert asked == [f"This goes into {target}; nothing is sent. Continue?"]
    assert edl("--virtual", "qcm2290", "report", target, "-y").status == 0
    again = edl("--virtual", "qcm2290", "report", target, "-y")
    assert (again.status, "Add --force to replace it." in again.err) == (2, True)
    assert edl("--virtual", "qcm2290", "report", target, "-y", "--force").status == 0


def test_what_cannot_be_found_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[str]:
        raise TransportError("no libusb")

    (home() / "bugs").mkdir(parents=True)
    (home() / "bugs" / "edl-bug-1.txt").mkdir()
    items = {item.name: item.text for item in evidence.collect(fail, fail)}
    assert items["usb.txt"] == items["doctor.txt"] == "not known: no libusb\n"
    assert items["bugs/edl-bug-1.txt"] == "cannot be read: Is a directory\n"
    monkeypatch.setattr(evidence, "_LIBRARIES", ("no-such-library",))
    assert "no-such-library: not there" in "\n".join(evidence._versions())


def test_no_devices(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.transport.discovery.devices", lambda *_: [])
    assert "==== usb.txt: USB devices: ids, places, names\nno devices\n" in edl(
        "report", "--show"
    ).out  # fmt: skip
