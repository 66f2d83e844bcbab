# SPDX-License-Identifier: BSD-3-Clause
"""The parts of a backup: what a LUN is cut into, where backups are found, what the commands say."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edl.backup.extents import Choice, cut, survey, with_files
from edl.backup.find import find, note
from edl.cli.commands import backup as command
from edl.cli.main import run
from edl.device.firehose import Programmer
from edl.device.storage import Tables
from edl.errors import ReadFailedError
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition
from edl.formats.manifest import Compression, Extent, Form, Kind, LunRecord, State
from edl.formats.rawprogram import ProgramRow, read_rawprogram
from edl.plan.home import phone_folder
from edl.virtual.phone import Phone as VirtualPhone
from edl.virtual.programmer.board import Quirks
from tests.backup.bench import fill, small, take
from tests.cli import schema
from tests.phones import Bench, plug

GUID = UUID(int=9)


def table(*parts: tuple[str, int, int], sectors: int = 4096) -> Gpt:
    """Return a table with parts (name, first, last), whether they fit or not."""
    entries = [
        Partition(number, name, first, last, GUID, GUID)
        for number, (name, first, last) in enumerate(parts, 1)
    ]
    made = gpt.create(512, sectors, GUID, [])
    for entry in entries:
        made = made.replace(entry)
    return made


def layout(tables: Tables, sectors: int = 4096, unit: int = 512) -> list[tuple[str, int, int]]:
    extents, _ = cut(0, sectors, unit, tables)
    assert extents[0].start_sector == 0
    for one, two in itertools.pairwise(extents):
        assert one.end_sector == two.start_sector
    assert extents[-1].end_sector == sectors
    return [(each.name, each.start_sector, each.end_sector) for each in extents]


def test_tables_partitions_and_gaps() -> None:
    made = table(("b", 200, 299), ("a", 34, 99))
    assert layout(Tables(0, made, None)) == [
        ("gpt-primary", 0, 34), ("a", 34, 100), ("gap", 100, 200), ("b", 200, 300),
        ("gap", 300, 4063), ("gpt-backup", 4063, 4096),
    ]  # fmt: skip
    assert layout(Tables(0, None, None)) == [("gap", 0, 4096)]


def test_tables_of_unusual_places() -> None:
    late = table(("last", 100, 4080))  # over the place of the backup's entries
    assert layout(Tables(0, late, None))[-2:] == [("last", 100, 4081), ("gpt-backup", 4081, 4096)]
    early = table(("first", 10, 99))
    assert layout(Tables(0, early, None))[:2] == [("gpt-primary", 0, 34), ("first", 34, 100)]
    images = table(("a", 34, 99)).images()
    backup = gpt.parse(images.backup, 512, backup=True)
    assert layout(Tables(0, None, backup))[-1] == ("gpt-backup", 4063, 4096)


def test_what_overlaps_or_sticks_out_is_told() -> None:
    made = table(("a", 100, 299), ("inside", 150, 160), ("b", 250, 399), ("out", 4000, 9999))
    extents, odd = cut(3, 4096, 512, Tables(3, made, None))
    assert [(e.name, e.start_sector, e.end_sector) for e in extents if e.guid] == [
        ("a", 100, 300), ("b", 300, 400), ("out", 4000, 4096),
    ]  # fmt: skip
    assert [each.what for each in odd] == [
        "LUN 3, part of 'inside'", "LUN 3, part of 'b'", "LUN 3, part of 'out'",
    ]  # fmt: skip


def test_partitions_without_a_size_are_none() -> None:
    assert layout(Tables(0, table(("last", 100, 99)), None))[1][0] == "gap"


def test_names_of_files_are_plain_and_different() -> None:
    names = ["a", "A", "a", "../x", "..", "con", "lun0-a-300", "é" * 36]
    extents = tuple(
        Extent(Kind.PARTITION, name, at * 100, 100, State.SAVED) for at, name in enumerate(names)
    )
    record = LunRecord(0, 100 * len(names), None, None, extents)
    (made,) = with_files([record], Form.PARTITIONS, Compression.NONE, 512)
    files = [str(each.file) for each in made.extents]
    assert files[:6] == [
        "a.img", "lun0-A-100.img", "lun0-a-200.img", "_x.img", "unnamed.img", "_con.img",
    ]  # fmt: skip
    assert len({name.lower() for name in files}) == len(files)
    hostile = LunRecord(0, 300, None, None, (
        Extent(Kind.PARTITION, "a", 0, 100, State.SAVED),
        Extent(Kind.PARTITION, "lun0-a-200", 100, 100, State.SAVED),
        Extent(Kind.PARTITION, "a", 200, 100, State.SAVED),
    ))  # fmt: skip
    (made,) = with_files([hostile], Form.PARTITIONS, Compression.NONE, 512)
    assert [e.file for e in made.extents] == ["a.img", "lun0-a-200.img", "_lun0-a-200.img"]


def test_a_programmer_that_tells_no_sizes(tmp_path: Path) -> None:
    quirks = Quirks(missing=frozenset({"getstorageinfo"}))
    with plug(small("msm8953", quirks=quirks)) as bench:
        fill(bench)
        luns, left_out = survey(bench.storage(), Choice())
        assert [(lun.lun, lun.sectors) for lun in luns] == [(0, 8192), (2, 8192)]
        assert "How large it is" in left_out[0].reason
        bench.hang_up()
        take(bench.storage(), tmp_path / "b")


def test_xml_of_any_name(tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        made = table(('<&">\x01\n', 34, 99), sectors=8192)
        bench.flash.luns[0].write(0, made.fit(8192, grow=False).images().primary)
        bench.flash.luns[0].write(40, b"x" * 512)
        take(bench.storage(), tmp_path / "b", form=Form.PARTITIONS)
    rows = read_rawprogram((tmp_path / "b" / "rawprogram0.xml").read_bytes(), "x").of(ProgramRow)
    assert [(row.label, row.filename) for row in rows] == [
        ("PrimaryGPT", "gpt_main0.bin"), ('<&">__', "______.img"), ("BackupGPT", "gpt_backup0.bin"),
    ]  # fmt: skip


# -- finding --------------------------------------------------------------------------------------


def test_finding_what_was_saved(tmp_path: Path) -> None:
    assert find() == ()
    with plug(small("sdm660")) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "b")
        take(storage, tmp_path / "gone")
        take(storage, tmp_path / "broken")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "broken" / "manifest.json").write_text("{")
    (tmp_path / "half").mkdir()
    manifest = tmp_path / "b" / "manifest.json"
    shutil.copy(manifest, tmp_path / "half" / "manifest.json.partial")
    note("1a2b3c4d", tmp_path / "half")
    (tmp_path / "empty").mkdir()
    note("1a2b3c4d", tmp_path / "empty")
    note(None, tmp_path / "other")
    with (phone_folder("1a2b3c4d") / "backups.jsonl").open("a") as file:
        file.write("torn\n[]\n{}\n")
        for path in ("\0", "\ud800"):  # nothing can be called so
            file.write(json.dumps({"path": path, "made": "2026-01-01T00:00:00Z"}) + "\n")
    saved = phone_folder("1a2b3c4d") / "saved-20260101T000000.000000Z"
    saved.mkdir()
    (saved / "manifest.json").write_text(
        json.dumps({"made": "2026-01-01T00:00:00Z", "files": {"x": {}}})
    )
    (phone_folder("1a2b3c4d") / "saved-2").mkdir()
    found = {known.path.name: (known.form, known.state, known.chip) for known in find("1a2b3c4d")}
    assert found == {
        "b": ("images", "complete", "SDM660"),
        "gone": ("", "gone", None),
        "broken": ("", "damaged", None),
        "half": ("images", "unfinished", "SDM660"),
        "empty": ("", "damaged", None),
        saved.name: ("unique parts", "damaged", None),
        "saved-2": ("unique parts", "damaged", None),
    }
    assert {known.serial for known in find()} == {"1a2b3c4d", "unknown"}
    assert next(known for known in find() if known.path.name == "b").size_bytes < 8_000_000


# -- commands -------------------------------------------------------------------------------------


@pytest.fixture
def bricked(tmp_path: Path) -> str:
    """Return a saved phone with something on it."""
    path = str(tmp_path / "phone")
    assert run(["virtual", "new", path, "sdm660,size=4M", "-q"]) == 0
    with VirtualPhone.named(path) as phone:
        fill(Bench(phone))
    return path


@pytest.fixture
def edl(capsys: pytest.CaptureFixture[str], bricked: str) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        run(["virtual", "edl", bricked])
        capsys.readouterr()
        status = run(["--virtual", bricked, *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


Edl = Callable[..., tuple[int, str, str]]


def lines(out: str) -> list[dict[str, Any]]:
    made = [json.loads(line) for line in out.splitlines()]
    assert [text for line in made for text in schema.problems(line)] == []
    return made


def test_the_command(edl: Edl, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    status, out, err = edl("backup", folder, "--form", "images")
    assert status == 0
    assert "Saved in" in out
    assert "needed no transfer" in out
    assert "compared with SHA-256 computed by the phone" in out
    assert f"edl restore {folder}" in out
    assert "rawprogram0.xml" in out
    assert "less what is blank" in err
    status, out, err = edl("backup", folder)
    assert (status, out) == (2, "")
    assert "never overwritten" in err
    status, out, _ = edl("backups")
    assert status == 0
    assert f"complete   {folder}" in out


def test_what_an_earlier_one_has_is_not_read_again(edl: Edl, tmp_path: Path) -> None:
    assert edl("backup", tmp_path / "one")[0] == 0
    _, out, err = edl("backup", tmp_path / "two")
    assert f"  since    {tmp_path / 'one'}: what is still the same is not read\n" in err
    assert "came from the earlier backup" in out
    _, out, _ = edl("backup", tmp_path / "three", "--since", tmp_path / "one", "--json")
    assert lines(out)[-1]["moved_bytes"] == 0
    assert lines(out)[-1]["reused_bytes"] > 0
    _, out, err = edl("backup", tmp_path / "four", "--since", "none")
    assert "since" not in err
    assert "came from" not in out
    status, _, err = edl("backup", tmp_path / "five", "--since", tmp_path)
    assert (status, (tmp_path / "five").exists()) == (7, False)
    assert "holds no backup" in err


def test_the_command_as_json(edl: Edl, tmp_path: Path) -> None:
    status, out, _ = edl(
        "backup", tmp_path / "b", "--compress", "--json", "--skip", "userdata,ONES"
    )
    assert status == 0
    data = lines(out)[-1]
    assert data["type"] == "result"
    assert data["compression"] == "zstd"
    assert data["luns"] == [0, 1, 2]
    assert data["documents"] == []
    assert data["lost"] == []
    assert data["saved_bytes"] == 12 * 1024 * 1024 - 2 * 50 * 65536
    _, out, _ = edl("backups", "--json", "--serial", "0x1A2B3C4D")
    (known,) = lines(out)[-1]["backups"]
    assert known["state"] == "complete"
    _, out, _ = edl("backups", "--json", "--serial", "7")
    assert lines(out)[-1]["backups"] == []


def test_nothing_saved_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backups"]) == 0
    assert "Nothing has been saved yet" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["rl", "read-all", "dump-rawprogram"])
def test_names_of_other_tools(name: str, edl: Edl, tmp_path: Path) -> None:
    arguments = ("--genxml", "--skip=userdata", "--lun=0") if name == "rl" else ("--lun=0",)
    status, out, _ = edl(name, tmp_path / "dumps", *arguments)
    assert status == 0
    assert (tmp_path / "dumps" / "modemst1.img").is_file()
    assert (tmp_path / "dumps" / "rawprogram0.xml").is_file()
    assert "LUN 0\n" in out


def test_what_is_lost_ends_with_an_error(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_read = Programmer.read

    def read(self: Programmer, area: Area, sink: Callable[[memoryview], None]) -> None:
        if area.lun == 0 and area.start_sector <= 300 < area.start_sector + area.sectors:
            raise ReadFailedError("It cannot be read.")
        true_read(self, area, sink)

    monkeypatch.setattr(Programmer, "read", read)
    status, out, err = edl("backup", tmp_path / "b")
    assert status == 6
    assert "without    LUN 0, 'xbl_a': 1 sector from 300 on could not be read." in out
    assert "Not all could be read: xbl_a. Everything else is saved." in err


def test_what_is_said_before_it_begins(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "GIB", 1 << 20)
    monkeypatch.setattr(command, "free_bytes", lambda _: 1000)
    _, _, err = edl("backup", tmp_path / "b", "--compress")
    assert "the disk has 1000 bytes free; that is enough only if 12.0 MiB" in err
    assert "userdata is 1.9 MiB of it; --skip userdata leaves it out" in err
    assert "or pack well; if it becomes full" in err


def test_parts_of_two_backups_are_compared(edl: Edl, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert edl("backup", tmp_path / name, "--only", "modemst1", "--since", "none")[0] == 0
    status, out, err = edl("diff", tmp_path / "one", tmp_path / "two")
    assert status == 8  # nobody knows about the rest
    assert "  unknown    outside partitions The backup does not hold" in out
    assert "The same: 2 partitions, 256 KiB." in out
    assert "error[verify]: 2 of 4 partitions differ, or only one has them" in err
