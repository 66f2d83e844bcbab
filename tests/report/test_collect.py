# SPDX-License-Identifier: BSD-3-Clause
"""What is kept for a page, of a real job on a virtual phone; and the option itself."""

from __future__ import annotations

import os
import re
import stat
from html import unescape
from pathlib import Path

import pytest

from edl.events import BytesMoved, DeviceLog, Notice, Stage, StepStarted
from edl.report.collect import FIRST_LOG_LINES, LAST_LOG_LINES, Recorder
from tests.cli.conftest import Edl, board, edl, mini, phone, whole, write_rows

__all__ = ["board", "edl", "mini", "phone", "whole"]  # fixtures


def shown(path: Path) -> str:
    """Return the words of a page."""
    body = path.read_text(encoding="utf-8").partition("</style>")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_the_log_is_bounded() -> None:
    recorder = Recorder()
    for number in range(FIRST_LOG_LINES + LAST_LOG_LINES + 50):
        recorder.event(DeviceLog(f"line {number}"))
    log = recorder.data([], 0, virtual=None)["device_log"]
    assert log["left_out"] == 50
    assert len(log["lines"]) == FIRST_LOG_LINES + LAST_LOG_LINES
    assert log["lines"][log["left_out_at"]] == f"line {FIRST_LOG_LINES + 50}"


def test_steps_have_their_bytes_and_times() -> None:
    recorder = Recorder()
    recorder.event(BytesMoved(1))  # of nothing
    recorder.event(StepStarted(1, 2, "boot", 10))
    recorder.event(BytesMoved(4))
    recorder.event(BytesMoved(6))
    recorder.event(StepStarted(2, 2, "misc", 10))
    recorder.event(Stage("verify", "comparing"))
    recorder.event(Notice("odd"))
    lines = recorder.data([], 0, virtual=None)["lines"]
    assert [line["event"] for line in lines] == ["step", "step", "stage", "notice"]
    assert [line["moved_bytes"] for line in lines[:2]] == [10, 0]
    assert all(line["at_s"] <= line["ended_s"] for line in lines[:2])


def test_a_job_from_plan_to_verification(
    edl: Edl, phone: Path, board: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    base = ("--virtual", phone)
    assert edl("check", board, "--report", page).status == 0
    assert "A plan: 12 steps" in shown(page)
    assert "sizes assumed: no phone was asked" in shown(page)
    done = edl(*base, "rawprogram", board, "--report", page)
    assert done.status == 0
    assert f"report   {page}" in done.err
    if os.name == "posix":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
    text = shown(page)
    for told in (
        "Done, and verified.", "serial 1a2b3c4d", "VIRTUAL", "edl --virtual", "rawprogram0.xml:",
        "boot.img", "The virtual phone starts", "Device log INFO:",
    ):  # fmt: skip
        assert told in text
    # all that the table says, whether the package has data for it or not
    for name in ("sbl1", "aboot", "rootfs", "modemst1", "devinfo", "PrimaryGPT", "BackupGPT"):
        assert f" {name} " in text
    assert edl("virtual", "edl", phone).status == 0
    assert edl(*base, "verify", board, "--report", page, "--json").status == 0
    assert "All that was compared is the same." in shown(page)


def test_a_backup_and_a_comparison(edl: Edl, whole: Path, board: Path, tmp_path: Path) -> None:
    page, saved = tmp_path / "report.htm", tmp_path / "saved"
    few = ("--only", "aboot,rpm,devinfo")
    assert edl("--virtual", whole, "backup", saved, *few, "--report", page).status == 0
    text = shown(page)
    assert "Done: backup on a virtual phone" in text
    assert "Saved: 2.5 MiB." in text
    assert "left out" in text
    assert edl("diff", board, board, "--report", page).status == 0
    assert "All that was compared is the same." in shown(page)
    assert edl("diff", saved, board, "--report", page).status == 8
    assert "10 of 12 parts differ." in shown(page)


def test_a_job_that_fails(edl: Edl, mini: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    virtual = "qcm2290,size=8MiB,fault=unplug@out:5000"
    failed = edl("--virtual", virtual, "rawprogram", mini, "--report", page)
    assert failed.status == 4
    text = shown(page)
    assert "device-gone" in text
    assert " 4 " in text
    # an error of the plan, and a mistake in the line
    write_rows(mini, ("boot.img", 2048, 1, "boot"))
    assert edl("check", mini, "--report", page).status == 7
    assert "It failed. Nothing was written." in shown(page)
    assert edl("check", tmp_path / "nowhere", "--report", page).status == 2
    assert "no file, folder or pattern" in shown(page)


def test_who_it_was_can_be_left_out(edl: Edl, mini: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    line = ("--virtual", "qcm2290,size=8MiB", "rawprogram", mini, "--no-boot-check", "--report",
            page)  # fmt: skip
    assert edl(*line, "--redact").status == 0
    text = page.read_text(encoding="utf-8").lower()
    assert "serial-1" in text
    for private in ("1a2b3c4d", str(0x1A2B3C4D)):
        assert private not in text


def test_where_a_page_can_be(edl: Edl, mini: Path, tmp_path: Path) -> None:
    """Wrong names are found before anything begins, and nothing else is overwritten."""
    rom = tmp_path / "precious.html"
    rom.write_bytes(b"PK\x03\x04")
    for name in (tmp_path / "ROM", mini, rom, tmp_path / "none" / "x.html", "\0.html",
                 tmp_path / ("x" * 300 + ".html")):  # fmt: skip
        refused = edl("check", mini, "--report", name)
        assert refused.status == 2, name
        assert "report" in refused.err or "written" in refused.err
    assert rom.read_bytes() == b"PK\x03\x04"
    folder = tmp_path / "folder.html"
    folder.mkdir()
    assert edl("check", mini, "--report", folder).status == 2
    assert edl("check", mini, "--report", tmp_path / "a.html", "--report", rom).status == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_file(edl: Edl, mini: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert edl("check", mini, "--report", folder / "x.html").status == 7


def test_a_page_that_cannot_be_written(
    edl: Edl, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is as it is; only its report is missing. It fails where nothing else has."""
    page = tmp_path / "x.html"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    stopped = edl("check", mini, "--report", page)
    assert (stopped.status, page.exists()) == (0, False)
    assert "the report was not written, as you asked" in stopped.err
    monkeypatch.setattr(os, "fsync", full)
    failed = edl("check", mini, "--report", page)
    assert failed.status == 7
    assert "x.html cannot be written: No space left" in failed.err
    assert "only the report is missing" in failed.err
    assert not page.exists()
    assert edl("check", tmp_path / "nowhere", "--report", page).status == 2
    assert list(tmp_path.glob("x.html*")) == []
