# SPDX-License-Identifier: BSD-3-Clause
"""Options stand on either side of the command, contradict nobody, and have variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import LOADER, Edl

EMMC = "qcm2290"


def code(text: str) -> str:
    """Return the code of the error in text, or nothing."""
    return text.partition("error[")[2].partition("]")[0]


@pytest.mark.parametrize(
    "line",
    [
        ["--virtual", EMMC, "--json", "list"],
        ["list", "--virtual", EMMC, "--json"],
        ["--json", "list", "--virtual", EMMC],
        ["--virtual", EMMC, "list", "--json"],
        ["--virtual", EMMC, "--json", "list", "--virtual", EMMC, "--json"],
        ["list", f"--virtual={EMMC}", f"--virtual={EMMC}", "--json"],
    ],
)
def test_shared_options_stand_on_either_side(line: list[str], edl: Edl) -> None:
    assert edl(*line).last["phones"][0]["serial"] == "1a2b3c4d"


@pytest.mark.parametrize(
    "line",
    [
        ["--virtual", EMMC, "list", "--virtual", "sdm660"],
        ["list", "--virtual", EMMC, "--virtual", "sdm660"],
        ["--virtual", EMMC, "--virtual", "sdm660", "list"],
        ["--memory", "ufs", "--virtual", EMMC, "info", "--memory", "emmc"],
        ["--virtual", EMMC, "read", "0/0+1", "x", "--lun", "1", "--lun", "2"],
        ["--virtual", EMMC, "reset", "--mode", "off", "--mode", "edl"],
        ["--virtual", EMMC, "write", "0", "x", "--verify", "none", "--verify", "sha256"],
    ],
)
def test_twice_with_two_values_is_an_error(line: list[str], edl: Edl) -> None:
    result = edl(*line)
    assert result.status == 2
    assert "is given twice, with two values" in result.err


def test_verbosity_adds_up(edl: Edl) -> None:
    once = edl("--virtual", EMMC, "-v", "nop").err
    twice = edl("--virtual", EMMC, "-v", "nop", "-v").err
    assert "DEBUG" not in once
    assert "INFO" in once
    assert "DEBUG" in twice
    assert edl("--virtual", EMMC, "nop", "--debugmode").err.count("DEBUG") > 5
    assert edl("--virtual", EMMC, "nop", "--loglevel", "Trace").err.count("DEBUG") > 5


@pytest.mark.parametrize(
    ("variable", "value", "line", "status"),
    [
        ("EDL_VIRTUAL", EMMC, ["list"], 0),
        ("EDL_VIRTUAL", "nobody", ["list"], 2),
        ("EDL_SERIAL", "1A2B3C4D", ["--virtual", EMMC, "list"], 0),
        ("EDL_SERIAL", "00000001", ["--virtual", EMMC, "nop"], 3),
        ("EDL_SERIAL", "0x1a2b3c4d", ["--virtual", EMMC, "nop"], 0),
        ("EDL_MEMORY", "UFS", ["--virtual", EMMC, "nop"], 6),
        ("EDL_MEMORY", "UFC", ["--virtual", EMMC, "nop"], 2),
        ("EDL_LOADER", "/no/such loader", ["--virtual", EMMC, "nop"], 7),
        ("EDL_WAIT", "soon", ["--virtual", EMMC, "nop"], 2),
        ("EDL_WAIT", "0", ["--virtual", EMMC, "nop"], 0),
        ("EDL_PID", "9", ["--virtual", EMMC, "nop"], 3),
        ("EDL_JSON", "maybe", ["--virtual", EMMC, "nop"], 2),
        ("EDL_SERIAL", " ", ["--virtual", EMMC, "nop"], 0),
    ],
)
def test_variables(
    variable: str,
    value: str,
    line: list[str],
    status: int,
    edl: Edl,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    assert edl(*line).status == status


def test_the_command_line_wins_over_variables(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDL_VIRTUAL", "nobody")
    monkeypatch.setenv("EDL_JSON", "1")
    assert edl("--virtual", EMMC, "list").last["phones"]
    monkeypatch.setenv("EDL_JSON", "no")
    assert edl("--virtual", EMMC, "list").out.startswith("1-1 ")


def test_a_wrong_variable_is_named(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDL_MEMORY", "UFC")
    assert "The environment variable EDL_MEMORY: 'UFC' is not one of" in edl("list").err


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        ["printgpt", "--serial"],
        ["--serial", "printgpt"],
        ["printgpt", "--serial", "--memory=ufs"],
        ["--serial", "--memory=ufs", "printgpt"],
    ],
)
def test_bkerlers_bare_serial_is_explained(line: list[str], edl: Edl) -> None:
    result = edl("--virtual", EMMC, *line)
    assert result.status == 2
    assert "--serial takes the phone's serial number, which 'edl list' shows." in result.err
    assert "In bkerler/edl it means 'use a serial port'" in result.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--serial", ""], "Option '--serial' requires an argument."),
        (["--loader", ""], "Option '--loader' requires an argument."),
        (["--loader", "--quiet"], "Option '--loader' requires an argument."),
        (["--virtual", " "], "Option '--virtual' requires an argument."),
        (["--serial", "12 34"], "'12 34' is no serial number."),
        (["--serial", "1" * 17], "is no serial number."),
        (["--wait", "nan"], "is not between 0 and 604800"),
        (["--wait", "inf"], "is not between 0 and 604800"),
        (["--wait", "-1"], "is not between 0 and 604800"),
        (["--wait", "soon"], "'soon' is no number of seconds"),
        (["--vid", "05c6x"], "--vid takes a hexadecimal number up to ffff, not '05c6x'."),
        (["--vid", "-1"], "--vid takes a hexadecimal number up to ffff, not '-1'."),
        (["--pid", "10000"], "--pid takes a hexadecimal number up to ffff, not '10000'."),
        (["--max-payload", "lots"], "--max-payload: 'lots' is not a size"),
        (["--max-payload", "0"], "--max-payload is from 512 bytes to 64MiB."),
        (["--max-payload", "1g"], "--max-payload is from 512 bytes to 64MiB."),
        (["--memory", "UFC"], "Invalid value for '-m' / '--memory' / '--storage': 'UFC'"),
        (["--color", "red"], "Invalid value for '--color': 'red'"),
        (["--bogus"], "No such option '--bogus'."),
        (["--log-file", "/no/such/folder/log"], "The log file /no/such/folder/log cannot be"),
        (["--log-file", "a\0b"], "cannot be written: embedded null byte"),
        (["-s", "ufs"], "'-s' is not an option of this edl."),
        (["--portname", "COM4"], "--port and --virtual (EDL_PORT, EDL_VIRTUAL) exclude"),
        (["--slot", "0"], "'--slot' is not an option of this edl."),
        (["--genxml"], "'--genxml' is not an option of this edl."),
        (["--finalize-provisioning"], "'--finalize-provisioning' is not an option of this edl."),
        (["--vip-table-path=x"], "'--vip-table-path' is not an option of this edl."),
        (["--create-digests=x"], "'--create-digests' is not an option of this edl."),
    ],
)  # fmt: skip
def test_wrong_values(options: list[str], told: str, edl: Edl) -> None:
    result = edl("--virtual", EMMC, "nop", *options)
    assert result.status == 2
    assert code(result.err) == "usage"
    assert told in " ".join(result.err.split())
    assert result.out == ""


def test_sizes_of_transfers(edl: Edl) -> None:
    result = edl("--virtual", EMMC, "info", "--max-payload", "0x2001", "--json")
    assert result.last["programmer"]["payload_bytes"] == 8192


def test_what_others_need_is_accepted(edl: Edl) -> None:
    line = (
        "--skipresponse --skipstorageinit --devicemodel=x --sectorsize=512 --backend=libusb"
        " --gpt-num-part-entries=0 --gpt-part-entry-size=0 --gpt-part-entry-start-lba=0"
    )
    assert edl("--virtual", EMMC, "nop", *line.split()).status == 0


def test_an_option_of_a_command_stands_behind_it(edl: Edl) -> None:
    result = edl("--yes", "erase", "misc")
    assert result.status == 2
    assert "try: '--yes' belongs behind the command that it is for." in result.err


def test_usage_errors_are_json_where_json_is_asked_for(edl: Edl) -> None:
    for line in (["--json", "nonsense"], ["nop", "--bogus", "--json"], ["--json", "read"]):
        result = edl(*line)
        assert result.status == 2
        assert result.err == ""
        assert (result.last["type"], result.last["status"]) == ("error", 2)


def test_a_group_alone_shows_its_help(edl: Edl) -> None:
    result = edl("virtual")
    assert result.status == 2
    assert result.out == edl("virtual", "--help").out
    assert result.out.startswith("Usage: edl virtual ")


def test_help_and_version_everywhere(edl: Edl) -> None:
    short = edl("-h")
    assert (short.status, short.err) == (0, "")
    assert short.out == edl("--help").out
    assert edl("read", "-h").status == 0
    assert edl("--version").out.startswith("edl 0.")


# -- loaders --------------------------------------------------------------------------------------


def test_a_loader_by_file_folder_or_id(edl: Edl, tmp_path: Path) -> None:
    folder = tmp_path / "with, comma"
    folder.mkdir()
    own = folder / "a:b.elf"
    own.write_bytes(LOADER.read_bytes())
    for loader in (own, folder, f"13:{LOADER}"):
        result = edl("--virtual", EMMC, "nop", "--loader", loader)
        assert (result.status, result.out) == (0, "The programmer answers.\n")


def test_a_tilde_in_a_loader(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "prog.elf").write_bytes(LOADER.read_bytes())
    assert edl("--virtual", EMMC, "nop", "--loader=~/prog.elf").status == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", " is empty."),
        (b"\xff\xd8\xff\xe0 a picture" * 400, " is no programmer (loader)."),
        (None, " cannot be read: No such file or directory."),
    ],
)
def test_a_wrong_file_as_loader(content: bytes | None, told: str, edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "prog.elf"
    if content is not None:
        file.write_bytes(content)
    result = edl("--virtual", EMMC, "nop", "--loader", file)
    assert (result.status, code(result.err)) == (7, "image")
    assert f"{file}{told}" in result.err


def test_a_file_too_large_for_a_loader(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "system.img"
    with file.open("wb") as stream:
        stream.truncate(65 << 20)
    result = edl("--virtual", EMMC, "nop", "--loader", file)
    assert f"{file} is no programmer: it is larger than 67108864 bytes." in result.err
    assert f"edl loaders add {file}\n" in result.err


def test_a_folder_without_loader(edl: Edl, tmp_path: Path) -> None:
    result = edl("--virtual", EMMC, "nop", "--loader", tmp_path)
    assert result.status == 7
    assert f"No programmer (loader) was found in {tmp_path}." in result.err


def test_an_unfit_loader_is_sent_only_when_it_is_named(edl: Edl) -> None:
    other = LOADER.with_name("prog_emmc_firehose_8916_test.mbn")
    result = edl("--virtual", EMMC, "nop", "--loader", other)
    assert (result.status, code(result.err)) == (6, "programmer-refused")
    assert "It is sent all the same, as you named it." in result.err
    key = "pkhash=" + "ab" * 48
    chosen = edl("--virtual", f"{EMMC},{key}", "nop")
    assert (chosen.status, code(chosen.err)) == (7, "image")
    assert "No loader fits the phone." in chosen.err


def test_no_loader_at_all(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.cli.loading.search_folders", lambda: [tmp_path])
    result = edl("--virtual", EMMC, "nop")
    assert (result.status, code(result.err)) == (2, "usage")
    assert "Name it with --loader FILE: a programmer signed for HWID 0x001860e1" in result.err


@pytest.mark.parametrize("part", ["x:y", "13"])
def test_a_map_of_loaders_must_be_one(part: str, edl: Edl) -> None:
    result = edl("--virtual", EMMC, "nop", "--loader", f"13:{LOADER},{part}")
    assert f"'{part}' is not ID:FILE." in result.err


def test_a_boot_rom_that_cannot_be_asked_again_gets_the_right_loader(
    edl: Edl, phone: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.elf"
    broken.write_bytes(LOADER.read_bytes()[:20000])
    assert edl("--virtual", phone, "nop", "--loader", broken).status == 6
    assert edl("virtual", "edl", phone).status == 0
    assert edl("--virtual", phone, "list").status == 0
    result = edl("--virtual", phone, "nop", "--no-identify")
    assert result.status == 0
    assert "prog_firehose_ddr_qcm2290_test.elf" in result.err


def test_folders_with_loaders(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.elf").write_bytes(LOADER.read_bytes())
    monkeypatch.setenv("EDL_LOADERS", f":{tmp_path}")
    assert "loader   mine.elf, 44 KiB" in edl("--virtual", EMMC, "nop").err
