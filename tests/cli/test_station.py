# SPDX-License-Identifier: BSD-3-Clause
"""`edl station`, `rawprogram --all` and `--serial A,B`: many phones, and no shared fate."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from edl.cli import logs
from edl.cli.commands import rawprogram
from edl.cli.options import Settings
from edl.cli.station import health, metrics
from edl.cli.station.crew import Crew, Wanted
from edl.cli.station.rows import Row, State, as_csv
from edl.cli.station.table import JsonBoard
from edl.cli.station.worker import Order
from edl.plan import history
from edl.virtual.bench import Bench
from edl.virtual.phone import Phone
from tests.cli.conftest import LOADER, Edl, write_rows
from tests.conftest import REPO

IMAGES = {"a.img": (2048, b"a" * 100_000), "b.img": (4096, bytes(range(256)) * 8000)}
YES = "--yes", "--no-boot-check"  # nothing of this starts a phone
UNIQUE = (40, b"calibration" * 40)


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    """Return a package of two images."""
    folder = tmp_path / "rom"
    folder.mkdir()
    for name, (_, data) in IMAGES.items():
        (folder / name).write_bytes(data)
    (folder / "prog.elf").write_bytes(LOADER.read_bytes())
    write_rows(folder, ("a.img", 2048, 400, "first"), ("b.img", 4096, 8000, "system"))
    return folder


@pytest.fixture
def bench(edl: Edl, tmp_path: Path) -> Path:
    """Return a folder with three phones; the second one's cable comes out once."""
    folder = tmp_path / "bench"
    folder.mkdir()
    for index, more in enumerate(("", ",fault=unplug@out:1000000", ""), 1):
        spec = f"qcm2290,size=8MiB,serial={index:#x}{more}"
        assert edl("virtual", "new", folder / f"phone{index}", spec).status == 0
    return folder


def holds(bench: Path, index: int) -> bool:
    """Tell whether a phone holds all images of the package."""
    with Phone.open(bench / f"phone{index}") as phone:
        return all(
            phone.storage.read(0, sector, -(-len(data) // 512))[: len(data)] == data
            for sector, data in IMAGES.values()
        )


def test_one_phone_that_fails_changes_nothing_for_the_others(
    edl: Edl, bench: Path, rom: Path, tmp_path: Path
) -> None:
    table, pages = tmp_path / "today.csv", tmp_path / "pages"
    result = edl(
        *("--virtual", bench, "station", rom, "--count", "3", *YES),
        *("--summary", table, "--reports", pages),
    )
    assert result.status == 4
    assert "error[phones-failed]: 1 of 3 phones were not written: 1-2 (device-gone)." in result.err
    assert "2 of 3 phones done." in result.out
    # what is on that phone, and what to do, stands with its line
    [line] = [index for index, text in enumerate(result.out.splitlines()) if "00000002" in text]
    told = result.out.splitlines()[line + 1 : line + 4]
    assert told[0].startswith("  on the phone: ")
    assert "'system' is incomplete" in told[0]
    assert [text[:7] for text in told[1:]] == ["  try: "] * 2
    assert [holds(bench, index) for index in (1, 2, 3)] == [True, False, True]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["serial"], row["state"], row["status"]) for row in rows] == [
        ("00000001", "done", "0"), ("00000002", "failed", "4"), ("00000003", "done", "0"),
    ]  # fmt: skip
    assert [Path(row["report"]).parent for row in rows] == [pages] * 3
    assert all("<!DOCTYPE html>" in Path(row["report"]).read_text() for row in rows)
    # its journal is its own, and it goes on where it was
    assert [len(history.interrupted(f"{index:08x}")) for index in (1, 2, 3)] == [0, 1, 0]
    assert edl("virtual", "edl", bench / "phone2").status == 0
    again = edl("--virtual", bench / "phone2", "resume")
    assert again.status == 0, again.err
    assert holds(bench, 2)


def test_named_phones_only(edl: Edl, bench: Path, rom: Path) -> None:
    result = edl("--virtual", bench, "rawprogram", rom, "--serial", "3,0x1", *YES, "--json")
    assert result.status == 0
    assert {row["serial"]: row["state"] for row in result.lines[-1]["phones"]} == {
        "00000001": "done", "00000003": "done",
    }  # fmt: skip
    assert {line["serial"] for line in result.lines if line["type"] == "phone"} <= {
        "", "00000001", "00000003",
    }  # fmt: skip
    third = [line for line in result.lines if line.get("serial") == "00000003"]
    assert third[-1]["state"] == "done"
    assert [line["done_bytes"] for line in third] == sorted(line["done_bytes"] for line in third)
    assert [holds(bench, index) for index in (1, 2, 3)] == [True, False, True]


def test_a_phone_that_does_not_come_is_told(edl: Edl, bench: Path, rom: Path) -> None:
    result = edl("--virtual", bench, "rawprogram", rom, "--serial", "3,99", *YES, "--wait", "0")
    assert result.status == 3
    assert "failed: error[no-device]: No phone with serial number 00000099" in result.out
    assert holds(bench, 3)


def test_a_line_of_a_phone_says_what_is_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "device-gone", "message": "It left.", "state": "half", "remedies": ["Again."]}
    row = Row("1-2", serial="00000002")
    row.end(State.FAILED, error, 4)
    JsonBoard()(row)
    told = json.loads(capsys.readouterr().out)
    assert (told["on_phone"], told["remedies"]) == ("half", ["Again."])
    assert (told["state"], told["message"]) == ("failed", "It left.")


def test_what_exists_only_once_is_kept_on_each_phone(edl: Edl, bench: Path, rom: Path) -> None:
    """The package brings a persist; each phone keeps its own."""
    (rom / "persist.img").write_bytes(b"another phone's" * 30)
    write_rows(
        rom, ("a.img", 2048, 400, "first"), ("b.img", 4096, 8000, "system"),
        ("persist.img", UNIQUE[0], 8, "persist"),
    )  # fmt: skip
    for index in (1, 3):
        with Phone.open(bench / f"phone{index}") as phone:
            phone.storage.write(0, UNIQUE[0], (UNIQUE[1] + bytes([index])).ljust(4096, b"\1"))
    result = edl("--virtual", bench, "station", rom, "--serial", "1,3", *YES)
    assert result.status == 0, result.err
    for index in (1, 3):
        with Phone.open(bench / f"phone{index}") as phone:
            now = phone.storage.read(0, UNIQUE[0], 8)
        assert now == (UNIQUE[1] + bytes([index])).ljust(4096, b"\1")


def test_an_archive_is_unpacked_once(edl: Edl, rom: Path, tmp_path: Path) -> None:
    packed = tmp_path / "rom.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(rom.iterdir()):
            archive.write(path, path.name)
    result = edl("--virtual", "qcm2290,size=8MiB*4", "station", packed, "--count", "4", *YES)
    assert result.status == 0, result.err
    assert result.err.count("  unpacked 2.0 MiB once for all phones\n") == 1
    assert "4 of 4 phones done." in result.out


def test_a_damaged_package_stops_the_station_before_the_first_phone(
    edl: Edl, rom: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "a.img.gz"
    (rom / "a.img").unlink()
    data = bytearray(gzip.compress(os.urandom(100_000)))
    data[5000] ^= 1
    (rom / "a.img.gz").write_bytes(data)
    result = edl("--virtual", "qcm2290,size=8MiB*2", "station", rom, "--count", "2", *YES)
    assert result.status == 7
    assert "checking" not in result.err
    assert not packed.exists()


def test_a_dry_run_touches_no_phone(edl: Edl, bench: Path, rom: Path) -> None:
    result = edl("--virtual", bench, "station", rom, "--dry-run")
    assert result.status == 0
    assert "Dry run:" in result.out
    assert not any(holds(bench, index) for index in (1, 2, 3))


def test_two_runs_of_edl_have_not_the_same_phone(edl: Edl, rom: Path) -> None:
    spec = "qcm2290,size=8MiB,serial=7;qcm2290,size=8MiB,serial=7"  # as if it were at two places
    result = edl("--virtual", spec, "rawprogram", rom, "--all", *YES)
    lines = [line for line in result.out.splitlines() if line.startswith("1-")]
    states = [line.split()[2].rstrip(":") for line in lines]
    assert sorted(states) in (["done", "failed"], ["done", "done"])  # one may have ended already
    if result.status:
        assert "Another run of edl works on a phone 00000007 already" in result.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("station", "ROM", "--summary", "s.txt"), "--summary takes FILE.csv or FILE.json"),
        (("station", "ROM", "--summary", "no/s.csv"), "There is no folder"),
        (("station", "ROM", "--reports", "ROM/a.img"), "can be no folder"),
        (("station", "ROM", "--report", "x.html"), "--report is for one phone."),
        (("station", "ROM", "--port", "/dev/null"), "--port is for one phone"),
        (("station", "ROM", "--fault", "stall@in:1"), "--fault is for virtual phones."),
        (("rawprogram", "ROM", "--all", "--virtual", "empty"), "There is no virtual phone in"),
        (("rawprogram", "ROM", "--all", "--virtual", ";"), "names no virtual phone"),
        (("rawprogram", "ROM", "--all", "--virtual", "qcm2290*65"), "more than 64 phones"),
        (("info", "--virtual", "qcm2290", "--serial", "1,2"), "This command is for one phone"),
    ],
)
def test_what_makes_no_sense_for_many_phones(
    edl: Edl, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = edl(*(text.replace("ROM", str(rom)) for text in arguments))
    assert result.status == 2
    assert told in result.err


def test_without_a_phone_nothing_is_said_to_be_done(
    edl: Edl, rom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edl.transport.discovery.find", lambda *_, **__: [])
    result = edl("rawprogram", rom, "--all", *YES)
    assert result.status == 3
    assert "error[no-device]" in result.err


def test_ctrl_c_ends_the_pieces_and_then_the_station(bench: Path, rom: Path) -> None:
    """The station waits for more phones when it is stopped; what it has done it tells."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edl", "--virtual", bench, "station", rom, *YES],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    done: list[str] = []
    for line in process.stderr:
        done += [line] if (": 2." in line and "done" in line) or "failed:" in line else []
        if len(done) == 3:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert "2 of 3 phones done." in out
    assert process.returncode == 4


def test_at_once_a_phone_in_the_middle_is_stopped_and_can_go_on(rom: Path, tmp_path: Path) -> None:
    arguments = dict.fromkeys(("patch", "include", "lun", "only", "skip"), ())
    request = rawprogram.read_request(
        Settings(), {**arguments, "package": (str(rom),), "allow_missing": False}
    )
    reached = threading.Event()
    with Bench("qcm2290,size=8MiB*2") as bench:
        crew: Crew | None = None

        def tell(row: Row) -> None:
            if row.done_bytes and crew is not None:
                crew.stop(at_once=True)
                reached.set()

        order = Order(request, Settings(virtual=str(tmp_path)), True, {"no_boot_check": True})
        crew = Crew(order, Wanted(count=2), tell, backend=bench.backend, phones=bench.phones)
        crew.run()
        crew.close()
        assert reached.is_set()
        states = {row.state for row in crew.rows}
        assert states <= {State.STOPPED, State.LEFT_ALONE}
        assert State.STOPPED in states


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    row = Row("1-1", "=cmd|' /C calc'!A0")
    row.end(State.FAILED, {"code": "usage", "message": "+1\n2"}, 2)
    cells = next(csv.reader(as_csv([row]).splitlines()[1:]))
    assert cells[1].startswith("'=")
    assert "'+1 2" in cells


def test_the_summary_as_one_document(edl: Edl, rom: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    spec = "qcm2290,size=8MiB*2"
    assert edl("--virtual", spec, "rawprogram", rom, "--all", *YES, "-q").status == 0
    assert edl(
        *("--virtual", spec, "station", rom, "--count", "2", *YES, "--summary", path)
    ).status == 0  # fmt: skip
    data = json.loads(path.read_text())
    assert data["done"] == 2
    assert {row["verified_bytes"] for row in data["phones"]} == {data["written_bytes"] // 2}


def families_of(text: str) -> dict[str, Metric]:
    """Return the figures as the parser of prometheus_client reads them."""
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {each.name: each for each in families}


def test_figures_for_monitoring(edl: Edl, bench: Path, rom: Path, tmp_path: Path) -> None:
    path = tmp_path / "edl.prom"
    result = edl("--virtual", bench, "station", rom, "--count", "3", *YES, "--metrics", path)
    assert result.status == 4
    families = families_of(path.read_text())
    phones = {each.labels["state"]: each.value for each in families["edl_phones"].samples}
    assert (phones["done"], phones["failed"], phones["writing"]) == (2, 1, 0)
    assert sum(phones.values()) == 3
    [failures] = families["edl_failures"].samples
    assert (failures.labels, failures.value) == ({"code": "device-gone"}, 1)
    [written] = families["edl_written_bytes"].samples
    assert written.value == 2 * sum(-(-len(data) // 512) * 512 for _, data in IMAGES.values())
    seconds = {each.name: each.value for each in families["edl_job_seconds"].samples}
    assert seconds["edl_job_seconds_count"] == 2
    assert families["edl_phone_moved_bytes"].samples == []


def test_figures_of_phones_at_work_and_odd_names() -> None:
    row = Row("1-1", 'a"\\\n')
    row.state, row.done_bytes = State.WRITING, 5
    families = families_of(metrics.text([row]))
    [moved] = families["edl_phone_moved_bytes"].samples
    assert (moved.labels["serial"], moved.value) == ('a"\\\n', 5)


def test_the_log_for_programs_tells_whose_phone(
    edl: Edl, bench: Path, rom: Path, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    edl("--virtual", bench, "station", rom, "--count", "3", *YES, "--log-file", path)
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    page = (REPO / "docs" / "scripting.md").read_text(encoding="utf-8")
    table = page.partition("## Logs for programs")[2].partition("\n## ")[0]
    fields = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) - {"traceback"}
    assert {frozenset(line) for line in lines} == {frozenset(fields)}
    assert {line["command"] for line in lines} == {"station"}
    whose = {(line["place"], line["serial"]) for line in lines if "<program " in line["message"]}
    assert whose == {("1-1", "00000001"), ("1-2", "00000002"), ("1-3", "00000003")}
    assert ("", "") in {(line["place"], line["serial"]) for line in lines}
    assert all(
        re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{3}Z", each["time"]) for each in lines
    )


def test_a_log_for_programs_is_safe_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("edl"), "propagate", False)
    path = tmp_path / "log.JSONL"
    with logs.kept(Settings(log_file=str(path))):
        log = logging.getLogger("edl.somewhere")
        log.info("a\x1b[31m\n\udcff %s", "\u202e")
        try:
            int("odd")
        except ValueError:
            log.exception("a bug")
    odd, bug = [json.loads(line) for line in path.read_text("ascii").splitlines()][-2:]
    assert odd["message"].isprintable()
    assert (odd["place"], odd["serial"], odd["command"]) == ("", "", "")
    assert (bug["level"], bug["logger"]) == ("error", "edl.somewhere")
    assert "invalid literal for int() with base 10: 'odd'" in bug["traceback"]


@pytest.mark.parametrize("option", ["--metrics", "--health"])
def test_files_that_cannot_be_kept(edl: Edl, rom: Path, tmp_path: Path, option: str) -> None:
    path = tmp_path / "no" / "such.file"
    result = edl("--virtual", "qcm2290", "station", rom, "--count", "1", *YES, option, path)
    assert result.status == 7
    assert "error[disk]" in result.err


def test_health_in_one_line(edl: Edl, bench: Path, rom: Path, tmp_path: Path) -> None:
    path = tmp_path / "health"
    edl("--virtual", bench, "station", rom, "--count", "3", *YES, "--health", path)
    assert path.read_text() == "failing 3 phones: 2 done, 1 failed; ended\n"


def test_health_of_phones_at_work() -> None:
    rows = [Row("1-1"), Row("1-2"), Row("1-3"), Row("1-4")]
    rows[1].state = rows[2].state = State.WRITING
    rows[1].done_bytes, rows[1].writing_since = 40 << 20, time.monotonic() - 60
    assert re.fullmatch(
        r"ok 4 phones: 2 connecting, 2 writing, 0 done, 0 failed; (39|40)(\.\d+)? MiB/min\n",
        health.line(rows, ended=False),
    )
    rows[3].end(State.STOPPED, {})
    rows[0].end(State.LEFT_ALONE, {})
    assert health.line(rows[:1] + rows[3:], ended=True) == (
        "failing 2 phones: 0 done, 1 failed, 1 stopped; ended\n"
    )
