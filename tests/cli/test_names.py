# SPDX-License-Identifier: BSD-3-Clause
"""Lines of bkerler/edl, qdl, edl-ng and fastboot mean here what they mean there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edl.cli.main import _KNOWN, COMMANDS, HIDDEN
from edl.cli.names import ALIASES, LATER, LEFT_OUT, translate
from tests.cli.conftest import LOADER, Edl

# Commands that the usage texts of other tools name.
NEIGHBOURS = {
    "bkerler/edl 3.62": (
        "server memorydump printgpt gpt r rl rf rs w wl wf ws e es ep footer peek peekhex peekdword"
        " peekqword memtbl poke pokehex pokedword pokeqword memcpy secureboot pbl qfp"
        " getstorageinfo setbootablestoragedrive getactiveslot setactiveslot send xml rawxml reset"
        " nop modules provision qfil"
    ),
    "edl-ng": (
        "upload-loader reset printgpt read-part read-sector read-lun write-part write-sector"
        " erase-part erase-sector erase-all provision rawprogram dump-rawprogram ramdump"
    ),
    "qdl 2.7": "list ramdump chipinfo flash read write erase sha256 reset create-digests",
    "fastboot": "devices flash reboot erase getvar oem flashing set_active boot",
}


@pytest.mark.parametrize("name", sorted(set(" ".join(NEIGHBOURS.values()).split())))
def test_every_command_of_the_neighbours_is_known(name: str, edl: Edl) -> None:
    result = edl(name, "--help")
    if name in LATER or name in LEFT_OUT:
        assert result.status == 2
        assert f"error[usage]: '{name}' is " in result.err
        assert name in LEFT_OUT or "  try: Until then: " in result.err
    else:
        assert result.status == 0
        assert "Usage: edl " in result.out


def test_names_are_told_apart() -> None:
    ours = [*COMMANDS, *HIDDEN]
    assert not set(ours) & {*ALIASES, *LATER, *LEFT_OUT}
    assert not set(ALIASES) & {*LATER, *LEFT_OUT}
    assert not set(LATER) & set(LEFT_OUT)
    assert set(ALIASES.values()) <= set(ours)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with the files that lines name."""
    monkeypatch.chdir(tmp_path)
    for name in ("prog.elf", "rawprogram0.xml", "patch0.xml", "boot.img", "boot_b"):
        (tmp_path / name).touch()
    (tmp_path / "ROM").mkdir()
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("prog.elf rawprogram0.xml patch0.xml", "rawprogram prog.elf rawprogram0.xml patch0.xml"),
        ("prog.elf rawprogram*.xml", "rawprogram prog.elf rawprogram*.xml"),
        ("prog*.elf rawprogram*.xml", "rawprogram prog*.elf rawprogram*.xml"),
        ("--storage emmc prog.elf a.xml", "rawprogram --storage emmc prog.elf a.xml"),
        ("-n -S 1a2b prog.elf a.xml", "rawprogram -n -S 1a2b prog.elf a.xml"),
        ("--dry-run prog.elf a.xml -R", "rawprogram --dry-run prog.elf a.xml -R"),
        ("-i images -f prog.elf a.xml", "rawprogram -i images -f prog.elf a.xml"),
        ("13:prog.elf,42:x a.xml", "rawprogram --loader 13:prog.elf,42:x a.xml"),
        ("prog.elf read 0/0+34 gpt.bin", "read --loader prog.elf 0/0+34 gpt.bin"),
        ("-S 1a2b prog.elf reset", "reset -S 1a2b --loader prog.elf"),
        ("13:prog.elf printgpt", "printgpt --loader 13:prog.elf"),
        ("missing.mbn rawprogram0.xml", "rawprogram missing.mbn rawprogram0.xml"),
        ("flash boot_a boot.img", "write boot_a boot.img"),
        ("flash boot_b boot.img", "write boot_b boot.img"),
        ("flash --memory ufs boot_a boot.img", "write --memory ufs boot_a boot.img"),
        ("flash boot_a", "write boot_a"),
        ("flash ROM", "rawprogram ROM"),
        ("flash prog.elf rawprogram0.xml", "rawprogram prog.elf rawprogram0.xml"),
        ("flash a.xml b.xml c.xml", "rawprogram a.xml b.xml c.xml"),
        ("flash", "rawprogram"),
        ("help", "--help"),
        ("help read", "read --help"),
        ("-v help read", "-v read --help"),
        ("help aliases", "aliases"),
        ("read boot_a prog.elf", "read boot_a prog.elf"),
        ("ROM", "ROM"),
        ("--version", "--version"),
        ("--loader prog.elf", "--loader prog.elf"),
        ("--", "--"),
        ("-- prog.elf a.xml", "rawprogram -- prog.elf a.xml"),
        ("", ""),
    ],
)  # fmt: skip
def test_lines_of_other_tools(line: str, ours: str) -> None:
    assert translate(line.split(), _KNOWN) == ours.split()


def test_a_word_that_can_be_no_file_is_left_alone() -> None:
    assert translate(["a\0b", "c"], _KNOWN) == ["a\0b", "c"]
    assert translate(["x" * 5000], _KNOWN) == ["x" * 5000]


# -- whole lines, on a phone ----------------------------------------------------------------------


def test_bkerlers_reads(edl: Edl, whole: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.img", tmp_path / "b.img"
    options = ("--memory=eMMC", "--lun=0", f"--loader={LOADER}", "--skipresponse", "--debugmode")
    result = edl("--virtual", whole, "r", "aboot,hyp", f"{first},{second}", *options)
    assert result.status == 0
    assert (first.stat().st_size, second.stat().st_size) == (1 << 20, 1 << 19)
    assert hashlib.sha256(first.read_bytes()).hexdigest() in result.out
    sectors = tmp_path / "gpt.bin"
    assert edl("--virtual", whole, "rs", "0", "34", sectors, "--lun=0").status == 0
    assert sectors.read_bytes()[512:520] == b"EFI PART"


def test_bkerlers_writes(edl: Edl, whole: Path, tmp_path: Path) -> None:
    image, back = tmp_path / "new.img", tmp_path / "back.img"
    image.write_bytes(b"new" * 512)
    assert edl("--virtual", whole, "w", "aboot", image, "--memory=emmc").status == 0
    assert edl("--virtual", whole, "ws", "135176", image).status == 0
    assert edl("--virtual", whole, "rs", "135176", "3", back).status == 0
    assert back.read_bytes() == image.read_bytes()
    assert edl("--virtual", whole, "w", "aboot", image, "--skipwrite", "--json").last["dry_run"]
    assert edl("--virtual", whole, "e", "aboot", "--yes").status == 0
    assert edl("--virtual", whole, "es", "135176", "3", "-y").status == 0
    assert edl("--virtual", whole, "rs", "135176", "3", back, "--force").status == 0
    assert back.read_bytes() == bytes(1536)


def test_bkerlers_whole_luns(edl: Edl, phone: Path, tmp_path: Path) -> None:
    image, back = tmp_path / "boot0.bin", tmp_path / "back.bin"
    image.write_bytes(b"\x5a" * (4 << 20))
    asked = edl("--virtual", phone, "wf", image, "--lun", "1")
    assert asked.status == 2
    assert "This overwrites LUN 1 from the first sector on (4 MiB). There is no " in asked.err
    assert "try: Add --yes to go on." in asked.err
    assert edl("--virtual", phone, "wf", image, "--lun", "1", "-y").status == 0
    assert edl("--virtual", phone, "rf", back, "--lun=1").status == 0
    assert back.read_bytes() == image.read_bytes()


def test_bkerlers_qfil(edl: Edl, phone: Path, mini: Path, tmp_path: Path) -> None:
    for name in ("rawprogram0.xml",):
        (mini / name).rename(tmp_path / name)
    (tmp_path / "patch0.xml").write_text("<patches></patches>")
    line = ("qfil", tmp_path / "rawprogram0.xml", tmp_path / "patch0.xml", mini)
    result = edl("--virtual", phone, *line, "--no-reset", "--json", "--loader", LOADER)
    assert result.last["written_bytes"] == 16 * 512 + 3 * 512


def test_bkerlers_resets(edl: Edl, whole: Path) -> None:
    for word, mode in (("edl", "edl"), ("poweroff", "off")):
        result = edl("--virtual", whole, "reset", f"--resetmode={word}", "--json")
        assert result.last["mode"] == mode
    assert edl("virtual", "edl", whole).status == 0
    assert edl("--virtual", whole, "reset", "--resetmode=reset", "--json").last["mode"] == "system"


def test_bkerlers_gpt_folder_is_explained(edl: Edl) -> None:
    result = edl("gpt", "folder", "--memory=ufs")
    assert result.status == 2
    assert "Saving the partition tables as files is not built in yet." in result.err
    assert "try: Read them as sectors: edl read 0/0+34 gpt_main0.bin" in result.err


def test_qdls_line(edl: Edl, phone: Path, mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mini / "prog.elf").write_bytes(LOADER.read_bytes())
    (mini / "rawprogram0_WIPE_PARTITIONS.xml").write_text("<data/>")
    monkeypatch.chdir(mini)
    line = ("prog.elf", "rawprogram*.xml", "--skip-reset", "--skipblock=sha256")
    dry = edl("--virtual", phone, "--storage", "emmc", "--dry-run", *line, "--json")
    plan = next(line["plan"] for line in dry.lines if line["type"] == "plan")
    assert [step["label"] for step in plan["steps"]] == ["boot", "misc"]
    assert plan["reset"] is None
    assert plan["left_out"][0]["what"] == "rawprogram0_WIPE_PARTITIONS.xml"
    assert edl("--virtual", phone, *line, "--json").last["written_bytes"] == 19 * 512
    again = edl("--virtual", phone, *line, "--json")
    assert (again.last["written_bytes"], again.last["unchanged_bytes"]) == (0, 19 * 512)
    monkeypatch.setenv("EDL_VIRTUAL", str(phone))
    assert edl("prog.elf", "read", "0/2048+16", "b.img").status == 0
    assert (mini / "b.img").read_bytes().startswith(b"bootboot")


def test_fastboots_lines(edl: Edl, whole: Path, tmp_path: Path) -> None:
    image = tmp_path / "boot.img"
    image.write_bytes(b"image" * 100)
    assert "1a2b3c4d" in edl("--virtual", whole, "devices").out
    assert edl("--virtual", whole, "flash", "hyp", image).status == 0
    assert edl("--virtual", whole, "reboot").out == "The phone restarts.\n"


def test_an_unknown_command_is_guessed(edl: Edl) -> None:
    result = edl("rawprogam", "x")
    assert result.status == 2
    assert "error[usage]: There is no command 'rawprogam'." in result.err
    assert "try: Did you mean edl rawprogram" in result.err


def test_a_folder_alone_is_no_order(edl: Edl, mini: Path) -> None:
    result = edl(mini)
    assert result.status == 2
    assert f"try: To write the package in that folder: edl rawprogram {mini}" in result.err


def test_aliases_are_listed(edl: Edl) -> None:
    shown = edl("help", "aliases").out
    assert all(alias in shown for alias in ALIASES)


def test_help_for_a_command(edl: Edl) -> None:
    assert edl("help", "read").out == edl("read", "--help").out
