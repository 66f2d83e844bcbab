# SPDX-License-Identifier: BSD-3-Clause
"""The memory of crashed phones, saved, gone on with, refused, lied about."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from edl.cli import app as cli_app
from edl.cli.main import COMMANDS
from edl.ramdump import save
from edl.virtual.crashdump import CrashDump
from edl.virtual.crashes import DUMPS, dump_of
from edl.virtual.profiles import SERIAL
from tests.cli.conftest import Edl, Result
from tests.cli.test_json import held

PHONE = "qcm2290,size=16MiB,crash="


def memory(name: str) -> CrashDump:
    return dump_of(name, SERIAL)


def saved(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


@pytest.fixture
def crashed(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone that has crashed, and waits in a folder."""
    folder = tmp_path / "phone"
    assert edl("virtual", "new", folder, f"{PHONE}plain").status == 0
    return folder


# -- whole dumps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "narrow"])
def test_what_the_table_wants_is_saved(edl: Edl, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    result = held(edl("--json", "--virtual", PHONE + name, "ramdump", "-o", out), "ramdump")
    assert result.status == 0
    files = saved(out)
    dump = memory(name)
    wanted = {region.file_name: region.data for region in dump.regions if region.saved}
    assert set(files) == {*wanted, "manifest.json"}
    for file_name, data in wanted.items():
        assert files[file_name] == data
    kept = manifest(out)
    assert kept["phone"] == {"serial": "1a2b3c4d", "hwid": None, "chip": None}
    assert kept["offer"]["bits"] == dump.bits
    assert kept["table_sha256"] == hashlib.sha256(dump.table).hexdigest()
    assert kept["regions"] == result.last["regions"]
    for row, region in zip(kept["regions"], dump.regions, strict=True):
        assert row["state"] == ("saved" if region.saved else "skipped")
        assert int(row["address"], 16) == region.address
        if region.saved:
            assert row["sha256"] == hashlib.sha256(region.data).hexdigest()
    assert not result.last["restarted"]
    assert out.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())


def test_regions_are_chosen_by_name(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    one, more = tmp_path / "one", tmp_path / "more"
    command = ("--virtual", crashed, "ramdump", "-q")
    assert edl(*command, "-o", one, "ocimem,RPM code", "ipa_*").status == 0
    assert set(saved(one)) == {"OCIMEM.BIN", "CODERAM.BIN", "IPA_IRAM.BIN", "manifest.json"}
    assert edl(*command, "-o", more, "--all").status == 0
    assert len(saved(more)) == len(memory("plain").regions) + 1
    wrong = edl(*command, "-o", tmp_path / "none", "OCI[A-Z]*")
    assert wrong.status == 2
    assert "no region 'OCI[A-Z]*'" in wrong.err
    assert not (tmp_path / "none").exists()


def test_a_list_saves_nothing_and_the_phone_goes_on_serving(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = edl("--virtual", crashed, "ramdump", "--list")
    assert shown.status == 0
    assert "DDRCS0_0.BIN          0x0000000080000000     2.0 MiB  DDR CS0 Memory\n" in shown.out
    assert "IPA  (only if asked for)\n" in shown.out
    rows = held(edl("--json", "--virtual", crashed, "ramdump", "--list"), "ramdump --list")
    assert {row["state"] for row in rows.last["regions"]} == {"listed"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phone"]
    result = edl("--virtual", crashed, "memorydump", "OCIMEM")
    assert result.status == 0, result.err
    assert "it has greeted an earlier run" in result.err
    assert (tmp_path / "ramdump-1a2b3c4d" / "OCIMEM.BIN").stat().st_size == 16384


def test_a_minidump_becomes_an_elf_core(edl: Edl, tmp_path: Path) -> None:
    result = edl("--virtual", f"{PHONE}minidump", "ramdump", "-o", tmp_path / "out")
    assert result.status == 0
    core = (tmp_path / "out" / "minidump.elf").read_bytes()
    regions = {region.description: region.data for region in memory("minidump").regions}
    head = regions.pop("md_KELF")
    del regions["OCIMEM"]
    assert core == head + b"".join(regions.values())
    rows = [struct.unpack_from("<IIQQQQQQ", head, 64 + 56 * index) for index in range(4)]
    for row, name in zip(rows[1:], ("md_Kpart1", "md_Kpart2", "md_Kpart3"), strict=True):
        assert core[row[2] : row[2] + row[5]] == regions[name]
    assert "minidump.elf  for crash or gdb\n" in result.out


def test_a_minidump_lacks_what_was_not_saved(edl: Edl, tmp_path: Path) -> None:
    out = tmp_path / "out"
    some = ("md_KELF*,md_Kv*,md_Kpart1*",)
    result = edl("--virtual", f"{PHONE}minidump", "ramdump", "-o", out, *some)
    assert result.err.count("minidump.elf has zeros for the memory at 0x8000") == 2
    whole = sum(len(region.data) for region in memory("minidump").regions) - 500
    assert (out / "minidump.elf").stat().st_size == whole
    none = edl("--virtual", f"{PHONE}minidump", "ramdump", "-o", tmp_path / "two", "OCIMEM")
    assert none.status == 0
    assert not (tmp_path / "two" / "minidump.elf").exists()


# -- tables that lie ------------------------------------------------------------------------------


def test_impossible_regions_are_left_out_and_told(edl: Edl, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = edl("--virtual", f"{PHONE}lying", "ramdump", "-o", out)
    assert result.status == 0
    assert set(saved(out)) == {"DDRCS0_0.BIN", "DDR_OVER.BIN", "manifest.json"}
    for words in (
        "WRAPS.BIN: it ends behind the last address (left out)",
        "HUGE.BIN: it is larger than any memory (left out)",
        "EMPTY.BIN: it is empty (left out)",
        "DDR_OVER.BIN: it overlaps DDRCS0_0.BIN\n",
    ):
        assert words in result.err
    asked = edl("--virtual", f"{PHONE}lying", "ramdump", "-o", tmp_path / "two", "HUGE.BIN")
    assert asked.status == 2
    assert "nothing that can be saved" in asked.err
    shown = edl("--virtual", f"{PHONE}lying", "ramdump", "--list")
    assert "HUGE.BIN              0x0000000014688000" in shown.out


def test_names_of_files_are_the_phones_and_hostile(edl: Edl, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = edl("--virtual", f"{PHONE}hostile", "ramdump", "-o", out)
    assert result.status == 0, result.err
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    kept = manifest(out)["regions"]
    regions = memory("hostile").regions
    assert len({row["file"].lower() for row in kept}) == len(regions)
    for row, region in zip(kept, regions, strict=True):
        assert (out / row["file"]).read_bytes() == region.data
        assert row["name"].isprintable()


def test_a_table_of_thousands_is_not_read(edl: Edl, tmp_path: Path) -> None:
    result = edl("--virtual", f"{PHONE}many", "ramdump", "-o", tmp_path / "out")
    assert result.status == 5
    assert "has 320000 bytes; it can have up to 65536" in result.err


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "last"), [("refuses", "missing"), ("goes-on", "saved"), ("starts-over", "saved")]
)
def test_a_refusal_is_no_memory(edl: Edl, tmp_path: Path, name: str, last: str) -> None:
    out = tmp_path / "out"
    result = edl("--json", "--virtual", PHONE + name, "ramdump", "-o", out)
    assert result.status == 6
    assert result.last["code"] == "memory-refused"
    assert "0x19 INVALID_MEMORY_READ" in result.last["message"]
    first, second, third = memory(name).regions
    files = saved(out)
    assert files["OCIMEM.BIN"] == first.data
    assert files["DDRCS0_0.BIN.incomplete"] == second.data
    assert files.get("RST_STAT.BIN") == (third.data if last == "saved" else None)
    assert [row["state"] for row in manifest(out)["regions"]] == ["saved", "refused", last]


def test_a_refusal_at_once_leaves_no_file(edl: Edl, tmp_path: Path) -> None:
    """The whole region is asked for in one read, of which the phone gives nothing."""
    out = tmp_path / "out"
    fault = "garbage@in-transfer:3:04000000100000000d0000001b000000"
    result = edl("--virtual", f"{PHONE}plain,fault={fault}", "ramdump", "-o", out, "OCIMEM")
    assert result.status == 6
    assert "MEMORY_DEBUG_NOT_SUPPORTED" in result.err
    assert set(saved(out)) == {"manifest.json"}


# -- interruptions --------------------------------------------------------------------------------


def interrupted(edl: Edl, phone: Path, out: Path, fault: str) -> Result:
    result = edl("--virtual", phone, "--fault", fault, "ramdump", "-o", out)
    assert result.status == 4, result.err
    assert f"edl ramdump -o {out} --resume" in result.err
    assert (out / "manifest.json.partial").exists()
    return result


@pytest.mark.parametrize("fault", ["unplug@in:1500000", "freeze@in:1500000", "stall@in-transfer:9"])
def test_a_dump_goes_on_after(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(save, "BLOCK_BYTES", 1 << 18)
    out = tmp_path / "out"
    interrupted(edl, crashed, out, fault)
    if "unplug" in fault:
        assert edl("--virtual", crashed, "ramdump", "-o", out, "--resume").status == 3
        plug_in(crashed)
    result = edl("--json", "--virtual", crashed, "ramdump", "-o", out, "--resume")
    assert result.status == 0, result.last
    assert result.last["resumed_bytes"] > 26_000
    files = saved(out)
    for region in memory("plain").regions:
        assert not region.saved or files[region.file_name] == region.data
    assert "manifest.json.partial" not in files


def test_stray_bytes_are_no_memory(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fault = "garbage@in-transfer:8:deadbeef"
    result = edl("--virtual", crashed, "--fault", fault, "ramdump", "-o", out)
    assert result.status == 5
    assert "bytes of memory where" in result.err
    assert edl("--virtual", crashed, "ramdump", "-o", out, "--resume").status == 0
    for region in memory("plain").regions:
        assert not region.saved or (out / region.file_name).read_bytes() == region.data


def plug_in(phone: Path, crash: str | None = None) -> None:
    """Plug a crashed phone in again: it greets anew. crash: it has crashed like that since."""
    path = phone / "phone.json"
    content = json.loads(path.read_bytes())
    content |= {"state": "boot ROM", "hello_taken": False, "dump": "GREETING"}
    content["condition"] = "crash-dump"
    if crash is not None:
        content["phone"] = PHONE + crash
    path.write_text(json.dumps(content))


def test_a_dump_does_not_go_on_with_another_crash_or_phone(
    edl: Edl, crashed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    interrupted(edl, crashed, out, "unplug@in:1500000")
    before = saved(out)
    command = ("--virtual", crashed, "ramdump", "-o", out)
    plug_in(crashed, "plain:2")
    other = edl(*command, "--resume")
    assert other.status == 2
    assert "has crashed again since" in other.err
    plug_in(crashed, "narrow")
    assert "another table of regions now" in edl(*command, "--resume").err
    plug_in(crashed, "plain,serial=0x00000007")
    assert "of the phone 1a2b3c4d, not of 00000007" in edl(*command, "--resume").err
    plug_in(crashed, "plain")
    assert "holds an unfinished dump or backup" in edl(*command).err
    after = saved(out)
    assert {name: len(data) for name, data in after.items() if name[0] != "m"} == {
        name: len(data) for name, data in before.items() if name[0] != "m"
    }
    assert edl(*command, "--resume").status == 0
    assert "holds a finished dump or backup" in edl(*command, "--resume").err


def test_what_is_not_as_it_was_saved_is_read_again(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(edl, crashed, out, "unplug@in:1500000")
    ocimem = out / "OCIMEM.BIN"
    ocimem.write_bytes(bytes(16384))
    journal = out / "manifest.json.partial"
    text = journal.read_bytes()
    journal.write_bytes(text + b'[4, "x"]\n[1, 99, -5, "00"]\n[0,')
    plug_in(crashed)
    result = edl("--virtual", crashed, "ramdump", "-o", out, "--resume")
    assert result.status == 0, result.err
    assert ocimem.read_bytes() == memory("plain").regions[0].data


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"format": "x", "version": 1}\n'])
def test_a_journal_that_is_none(edl: Edl, crashed: Path, tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json.partial").write_bytes(content)
    result = edl("--virtual", crashed, "ramdump", "-o", out, "--resume")
    assert result.status == 7
    assert "no journal of a crash dump" in result.err


def test_ctrl_c_stops_between_two_pieces(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    show = cli_app.App.emit

    def emit(self: cli_app.App, event: object) -> None:
        show(self, event)
        if getattr(event, "title", "") == "DDRCS0_0.BIN":
            self.cancel.set()

    with monkeypatch.context() as patched:
        patched.setattr(cli_app.App, "emit", emit)
        result = edl("--virtual", crashed, "ramdump", "-o", out)
    assert result.status == 130
    assert "the phone was only read" in result.err
    assert edl("--virtual", crashed, "ramdump", "-o", out, "--resume").status == 0


def test_files_of_others_are_left_alone(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    (tmp_path / "load.cmm").write_bytes(b"mine")
    result = edl("--virtual", crashed, "ramdump", "-o", tmp_path)
    assert result.status == 2
    assert "load.cmm exists already" in result.err
    assert (tmp_path / "load.cmm").read_bytes() == b"mine"


def test_files_that_cannot_be_read_or_written(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(edl, crashed, out, "unplug@in:1500000")
    plug_in(crashed)
    partial = out / "DDRCS0_0.BIN.partial"
    data = partial.read_bytes()
    partial.unlink()
    (tmp_path / "elsewhere").write_bytes(data)
    partial.symlink_to(tmp_path / "elsewhere")
    assert edl("--virtual", crashed, "ramdump", "-o", out, "--resume").status == 0
    assert (tmp_path / "elsewhere").read_bytes() == data  # nothing was written through the link
    assert not (out / "DDRCS0_0.BIN").is_symlink()
    two = tmp_path / "two"
    interrupted(edl, crashed, two, "unplug@in:1500000")
    plug_in(crashed)
    (two / "OCIMEM.BIN").unlink()
    (two / "OCIMEM.BIN").mkdir()
    result = edl("--virtual", crashed, "ramdump", "-o", two, "--resume")
    assert result.status == 7
    assert "OCIMEM.BIN.partial cannot be written" in result.err
    (two / "manifest.json.partial").unlink()
    (two / "manifest.json.partial").mkdir()
    assert edl("--virtual", crashed, "ramdump", "-o", two, "--resume").status == 7


def test_room_is_looked_for_first(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    full = edl("--virtual", crashed, "--fault", "disk-full@disk:100000", "ramdump", "-o", out)
    assert full.status == 7, full.err
    monkeypatch.setattr("edl.outfile.shutil.disk_usage", lambda _: type("D", (), {"free": 999}))
    none = edl("--virtual", crashed, "ramdump", "-o", tmp_path / "two")
    assert none.status == 7
    assert "999 bytes free" in none.err
    (tmp_path / "file").write_bytes(b"")
    assert edl("--virtual", crashed, "ramdump", "-o", tmp_path / "file").status == 7


# -- phones ---------------------------------------------------------------------------------------


def test_a_phone_in_edl_mode_offers_nothing_and_is_not_asked(edl: Edl, phone: Path) -> None:
    result = edl("--virtual", phone, "ramdump", "--list")
    assert result.status == 3
    assert "has not crashed" in result.err
    assert edl("--virtual", phone, "nop").status == 0
    by_id = edl("--virtual", "qcm2290,size=16MiB", "--pid", "9008", "ramdump", "--list")
    assert by_id.status == 3
    assert "is in EDL mode" in by_id.err


def test_a_phone_that_says_crash_and_has_none(edl: Edl) -> None:
    phone = "qcm2290,size=16MiB,state=says-crash"
    result = edl("--virtual", phone, "--pid", "9008", "ramdump", "--list")
    assert result.status == 3
    assert "MEMORY_DEBUG_NOT_SUPPORTED" in result.err


def test_a_conversation_that_nobody_knows_any_more(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edl("--virtual", crashed, "ramdump", "--list").status == 0
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "other-home"))
    result = edl("--virtual", crashed, "ramdump", "--list")
    assert result.status == 3
    assert "amid giving its memory to another program" in result.err


@pytest.mark.parametrize("text", ["", "[]", '{"usb 1-1 1 1 1a2b3c4d": ["x", 1, 1]}', "{" * 9999])
def test_damaged_notes_of_offers_are_passed_over(
    edl: Edl, crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("EDL_HOME", str(tmp_path))
    (tmp_path / "crash-dumps.json").write_text(text)
    assert edl("--virtual", crashed, "ramdump", "--list").status == 0


def test_a_greeting_that_was_eaten(edl: Edl) -> None:
    phone = f"{PHONE}plain,fault=hello-eaten"
    result = edl("--virtual", phone, "ramdump", "--list")
    assert result.status == 0, result.err
    assert "knocking" in result.err


def test_a_mute_phone(edl: Edl) -> None:
    result = edl("--virtual", f"{PHONE}plain,fault=freeze@in:60", "ramdump", "--list")
    assert result.status == 4
    assert "error[mute]" in result.err


def test_a_crashed_phone_is_restarted(edl: Edl, crashed: Path, tmp_path: Path) -> None:
    off = edl("--virtual", crashed, "reset", "--mode", "off")
    assert off.status == 3
    reset = edl("--virtual", crashed, "reset")
    assert (reset.status, reset.out) == (0, "The phone restarts.\n")
    assert edl("--virtual", crashed, "nop").status == 0
    again = held(
        edl("--json", "--virtual", f"{PHONE}plain", "ramdump", "--reset", "-o", tmp_path / "out"),
        "ramdump",
    )
    assert again.last["restarted"] is True


def test_a_restart_needs_the_phone_that_is_meant(edl: Edl, crashed: Path) -> None:
    """At a port nothing tells that a phone has crashed: the ladder is climbed, and says so."""
    other = edl("--virtual", crashed, "--serial", "7", "reset")
    assert other.status == 3
    assert "No phone with serial number 7" in other.err
    assert edl("--virtual", crashed, "--serial", "1a2b3c4d", "reset").status == 0
    says = edl("--virtual", "qcm2290,size=16MiB,crash=plain,ids=05c6:9008", "reset")
    assert says.status == 0


def test_a_phone_that_does_not_restart_is_told(edl: Edl) -> None:
    result = edl("--virtual", f"{PHONE}plain,fault=freeze@in:0", "reset")
    assert result.status == 4
    assert "does not answer to the reset" in result.err


def test_no_other_command_takes_memory(edl: Edl, crashed: Path) -> None:
    """The phone still greets afterwards: nobody has even answered it."""
    for command in sorted(set(COMMANDS) & {"info", "nop", "printgpt", "list", "boot-check"}):
        edl("--virtual", crashed, command)
    assert json.loads((crashed / "phone.json").read_bytes())["dump"] == "GREETING"


def test_every_dump_has_a_name_on_the_command_line(edl: Edl, tmp_path: Path) -> None:
    for name in DUMPS:
        assert edl("virtual", "new", tmp_path / name, PHONE + name).status == 0
    assert edl("virtual", "new", tmp_path / "x", f"{PHONE}nonsense").status == 2
