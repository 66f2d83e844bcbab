# SPDX-License-Identifier: BSD-3-Clause
"""Every exit status is what README.md says, and every error says what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edl.cli import bugs
from edl.cli.commands import explain
from edl.errors import all_errors
from edl.home import home
from edl.transport import discovery
from tests.cli.conftest import LOADER, Edl, write_rows
from tests.cli.test_options import code

PHONE = ("--virtual", "qcm2290")


def virtual(*changes: str) -> tuple[str, str]:
    return ("--virtual", ",".join(("qcm2290", *changes)))


@pytest.mark.parametrize(
    ("line", "status", "kind"),
    [
        ((*PHONE, "nop"), 0, ""),
        ((*PHONE, "read", "a/b/c", "x"), 2, "usage"),
        ((*PHONE, "-S", "00000002", "nop"), 3, "no-device"),
        ((*virtual("fault=unplug@in:100"), "nop"), 4, "device-gone"),
        ((*virtual("fault=busy"), "nop"), 4, "access"),
        ((*virtual("fault=denied"), "nop"), 4, "access"),
        ((*virtual("fault=freeze@out:30000"), "nop"), 4, "mute"),
        ((*virtual("fault=corrupt@in:228"), "nop"), 5, "protocol"),
        ((*virtual("lock=xiaomi"), "nop"), 6, "authorization-required"),
        ((*PHONE, "nop", "-m", "ufs"), 6, "wrong-storage"),
        ((*PHONE, "nop", "-l", LOADER.parent / "README.md"), 7, "image"),
        ((*PHONE, "nop", "-l", LOADER.with_name("prog_emmc_firehose_8953_test.mbn")), 6,
         "programmer-refused"),
        ((*PHONE, "printgpt"), 8, "verify"),
    ],
)  # fmt: skip
def test_statuses(line: tuple[object, ...], status: int, kind: str, edl: Edl) -> None:
    result = edl(*line)
    assert (result.status, code(result.err)) == (status, kind)
    assert status in {0, 2} or f"  more: edl explain {kind}\n" in result.err
    assert status in {0, 7} or "  try: " in result.err


def test_a_bug_is_reported(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError("division\x1b[2J by zero")

    monkeypatch.setattr(explain, "_data", stumble)
    result = edl("explain")
    assert result.status == 1
    told = r"error[error]: This is a bug in edl (ZeroDivisionError: division\x1b[2J by zero)."
    assert told in result.err
    (report,) = (home() / "bugs").glob("edl-bug-*.txt")
    assert f"  try: Please report it with this file: {report}" in result.err
    assert r"ZeroDivisionError: division\x1b[2J by zero" in report.read_text()
    assert "test_statuses.py" in report.read_text()


def test_a_bug_is_told_where_its_report_cannot_be_kept(
    edl: Edl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(explain, "_data", lambda *_: 1 // 0)
    assert "file: none, because of this: File exists" in edl("explain").err


def test_reports_of_bugs_do_not_pile_up(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "_data", lambda *_: 1 // 0)
    monkeypatch.setattr(bugs, "_MOST_KEPT", 3)
    told = [edl("explain").err.rpartition("with this file: ")[2].splitlines()[0] for _ in range(5)]
    kept = sorted((home() / "bugs").iterdir())
    assert [str(path) for path in kept] == told[2:]


def test_a_bug_in_the_middle_says_so(edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("edl.plan.execute.Executor._verify_all", stumble)
    result = edl(*PHONE, "rawprogram", mini)
    assert result.status == 1
    assert "on the phone: A job was under way: the phone may be incomplete" in result.err
    assert "try: Finish the job: edl resume, or the same command with --resume." in result.err


def test_a_full_disk_is_no_bug(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(explain, "_data", full)
    result = edl("explain")
    assert (result.status, code(result.err)) == (7, "disk")
    assert "A file or the output cannot be written: No space left on device." in result.err


def test_a_wrong_package_for_the_phone(edl: Edl, mini: Path) -> None:
    result = edl("--virtual", "qcm2290-ufs", "rawprogram", mini)
    assert (result.status, code(result.err)) == (6, "wrong-sector-size")
    write_rows(mini, ("boot.img", 1 << 40, 64, "boot"))
    result = edl(*PHONE, "rawprogram", mini)
    assert (result.status, code(result.err)) == (7, "package")
    text = write_rows(mini, ("boot.img", 8, 64, "boot")).read_text()
    (mini / "rawprogram0.xml").write_text(
        text.replace('physical_partition_number="0"', 'physical_partition_number="5"')
    )
    result = edl(*PHONE, "rawprogram", mini)
    assert (result.status, code(result.err)) == (6, "wrong-storage")
    assert result.err.count("LUN 5") == 1


def test_flash_that_is_worn_out(edl: Edl, mini: Path) -> None:
    result = edl(*virtual("flash=read-only"), "rawprogram", mini)
    assert (result.status, code(result.err)) == (6, "write-failed")
    assert "  device: ERROR: " in result.err
    assert "on the phone: 0 of 2 steps are done; 'boot' is incomplete" in result.err


def test_a_phone_that_differs(edl: Edl, whole: Path, board: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x")
    assert edl("--virtual", whole, "write", "aboot", image).status == 0
    result = edl("--virtual", whole, "verify", board, "--only", "aboot,hyp")
    assert (result.status, code(result.err)) == (8, "verify")
    assert result.out == "  equal      hyp\n  DIFFERENT  aboot\n"
    assert "1 of 2 parts differ: aboot." in result.err
    good = edl("--virtual", whole, "verify", board, "--only", "hyp", "--method", "readback")
    assert good.out.endswith("are equal to the package (reading back).\n")


def test_safety(edl: Edl, phone: Path, mini: Path) -> None:
    rows = '<erase SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0"/>'
    (mini / "rawprogram0.xml").write_text(f"<data>{rows}</data>")
    result = edl("--virtual", phone, "rawprogram", mini / "rawprogram0.xml")
    assert (result.status, code(result.err)) == (9, "safety")


@pytest.mark.parametrize("product", ["900E", "9091"])
def test_crash_dumps_are_no_edl_mode(product: str, edl: Edl, mini: Path) -> None:
    phone = ("--virtual", f"qcm2290,ids=05c6:{product}")
    for line in (("nop",), ("rawprogram", mini), ("rawprogram", mini, "--dry-run")):
        result = edl(*phone, *line)
        assert (result.status, code(result.err)) == (3, "crash-dump")
        assert f"is in crash-dump mode ({product}), not in EDL." in result.err
    assert "crash dump" in edl(*phone, "list").out


def test_an_empty_bus(edl: Edl, monkeypatch: pytest.MonkeyPatch, mini: Path) -> None:
    monkeypatch.setattr(discovery, "find", lambda *_, **__: [])
    result = edl("list")
    assert (result.status, code(result.err)) == (3, "no-device")
    assert "hold both volume keys" in result.err
    waited = edl("nop", "--wait", "0.4")
    assert waited.status == 3
    assert "  hint     often: hold both volume keys while plugging it in\n" in waited.err
    assert "  wait     for a phone in EDL mode (0 s)\n" in waited.err
    dry = edl("rawprogram", mini, "--dry-run")
    assert dry.status == 0
    assert "note     no phone is connected: the plan is for a storage that would fit" in dry.err
    assert "(assumed: no phone was asked)" in dry.out
    assert edl("rawprogram", mini, "--dry-run", "--serial", "12").status == 3


@pytest.mark.parametrize("kind", [kind.code for kind in all_errors()])
def test_every_code_is_explained(kind: str, edl: Edl) -> None:
    result = edl("explain", kind)
    assert result.status == 0
    assert result.out.startswith(f"{kind} (exit status ")


def test_a_wrong_code_is_guessed(edl: Edl) -> None:
    result = edl("explain", "wrong-sektor-size")
    assert result.status == 2
    assert "try: Did you mean wrong-sector-size" in result.err
    assert "try: See all codes: edl explain" in edl("explain", "zzz").err


def test_interruptions_where_nothing_runs(
    edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edl.plan.job.prepare", stop)
    result = edl(*PHONE, "rawprogram", mini)
    assert (result.status, code(result.err)) == (130, "cancelled")
    assert "Stopped, as you asked; nothing was written." in result.err
    json = edl(*PHONE, "rawprogram", mini, "--json")
    assert (json.status, json.last["code"], json.last["status"]) == (130, "cancelled", 130)


def test_an_interruption_behind_the_last_byte(
    edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edl.plan.job.Outcome", stop)
    result = edl(*PHONE, "rawprogram", mini)
    assert (result.status, code(result.err)) == (10, "stopped-midway")
    assert "on the phone: A job was under way" in result.err
