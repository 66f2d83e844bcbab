# SPDX-License-Identifier: BSD-3-Clause
"""With --json there is nothing on stdout but the lines that docs/json.md describes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edl.cli.main import COMMANDS
from tests.cli import schema
from tests.cli.conftest import Edl, Result, write_rows

UFS = "qcm2290-ufs"


def held(result: Result, command: str) -> Result:
    """Make sure that every line is as the page says."""
    lines = [json.loads(line) for line in result.out.splitlines()]
    told = [text for line in lines for text in schema.problems(line, command)]
    assert told == []
    assert lines[-1]["type"] in {"result", "error"}
    assert [line["type"] for line in lines].count("error") <= 1
    assert result.err == ""
    return result


def test_the_page_describes_every_command() -> None:
    words = {name.split()[0] for name in schema.results()}
    assert set(COMMANDS) - words == {"rescue"}


def test_what_asks_is_not_for_programs(edl: Edl) -> None:
    result = held(edl("--virtual", "qcm2290", "rescue", "--json"), "rescue")
    assert (result.status, result.last["code"]) == (2, "usage")


def test_the_page_refers_only_to_what_it_has() -> None:
    for fields in schema.objects().values():
        for kind in fields.values():
            inner = kind.partition("`")[2].rpartition("`")[0]
            assert not inner or inner in schema.objects()


def test_a_wrong_line_is_noticed() -> None:
    right = {"v": 1, "type": "result", "alive": True}
    assert schema.problems(right, "nop") == []
    for wrong in (
        {**right, "v": 2},
        {**right, "alive": 1},
        {**right, "more": 1},
        {"v": 1, "type": "result"},
        {"v": 1, "type": "plan", "plan": []},
        {"v": 1, "type": "event", "event": "step", "index": "1"},
        {"v": 1, "type": "error", "remedies": [1]},
        {"v": 1, "type": "result", "digests": None},
    ):
        assert schema.problems(wrong, "nop" if "alive" in wrong else None)


@pytest.mark.parametrize("profile", ["qcm2290", UFS, "sdm660", "msm8953", "msm8916"])
def test_looking(profile: str, edl: Edl) -> None:
    for command in ("list", "info", "nop"):
        result = held(edl("--virtual", profile, command, "--json"), command)
        assert result.status == 0


def test_a_package(edl: Edl, phone: Path, sample: Path) -> None:
    held(edl("check", sample, "--json"), "check")
    base = ("--virtual", phone, "--json")
    dry = held(edl(*base, "rawprogram", sample, "--dry-run"), "a dry run of rawprogram")
    assert [line["type"] for line in dry.lines if line["type"] != "event"] == ["plan", "result"]
    done = held(edl(*base, "rawprogram", sample), "rawprogram")
    assert [line["type"] for line in done.lines if line["type"] != "event"] == ["plan", "result"]
    assert done.last["virtual_boot"] == {"boots": True, "findings": []}
    steps = [line for line in done.lines if line.get("event") == "step"]
    assert [line["index"] for line in steps] == list(range(1, steps[0]["count"] + 1))
    held(edl("virtual", "edl", phone, "--json"), "virtual edl")
    assert held(edl(*base, "verify", sample), "verify").last["equal"] is True
    held(edl(*base, "printgpt"), "printgpt")
    assert held(edl("rehearse", sample, "--json"), "rehearse").status == 0


def test_partitions(edl: Edl, whole: Path, tmp_path: Path) -> None:
    base = ("--virtual", whole, "--json")
    image = tmp_path / "x.img"
    assert held(edl(*base, "read", "aboot,0/0+34", "-d", tmp_path), "read").status == 0
    assert held(edl(*base, "read", "aboot", image), "read").last["files"][0]["bytes"] == 1 << 20
    for name, line in (
        ("write", ("write", "aboot", image)),
        ("a dry run of write", ("write", "aboot", image, "-n")),
        ("erase", ("erase", "aboot", "-y")),
        ("a dry run of erase", ("erase", "aboot", "-n")),
        ("sha256", ("sha256", "aboot", "hyp")),
        ("set-bootable", ("set-bootable", "0")),
        ("reset", ("reset", "--mode", "edl")),
    ):
        assert held(edl(*base, *line), name).status == 0


def test_without_a_phone(edl: Edl, tmp_path: Path) -> None:
    held(edl("explain", "--json"), "explain")
    held(edl("explain", "usage", "--json"), "explain CODE")
    held(edl("explain", "flash write failure", "--json"), "explain LINE")
    held(edl("virtual", "profiles", "--json"), "virtual profiles")
    held(edl("virtual", "new", tmp_path / "p", "sdm660", "--json"), "virtual new")
    held(edl("virtual", "sample", tmp_path / "s", "--json"), "virtual sample")


def test_findings_come_before_the_end(edl: Edl, phone: Path, mini: Path) -> None:
    write_rows(mini, ("boot.img", 2048, 1, "boot"), ("gone.img", 4096, 64, "misc"))
    for line in (("check", mini), ("--virtual", phone, "rawprogram", mini)):
        result = held(edl(*line, "--json"), "check")
        kinds = [row["type"] for row in result.lines if row["type"] != "event"]
        assert kinds == ["plan", "finding", "finding", "error"]
        assert {row["severity"] for row in result.lines if row["type"] == "finding"} == {"error"}
        assert (result.status, result.last["status"], result.last["code"]) == (7, 7, "package")


def test_a_result_may_go_before_an_error(edl: Edl, phone: Path, mini: Path) -> None:
    verify = held(edl("--virtual", phone, "verify", mini, "--json"), "verify")
    assert [line["type"] for line in verify.lines[-2:]] == ["result", "error"]
    assert verify.status == verify.last["status"] == 8
    table = held(edl("--virtual", phone, "printgpt", "--format", "json"), "printgpt")
    assert [line["type"] for line in table.lines[-2:]] == ["result", "error"]
    assert table.status == 8


def test_an_unplug_tells_what_is_on_the_phone(edl: Edl, mini: Path) -> None:
    (mini / "boot.img").write_bytes(bytes(range(256)) * 2000)
    write_rows(mini, ("misc.img", 4096, 64, "misc"), ("boot.img", 8192, 1000, "boot"))
    result = edl("--virtual", "qcm2290,fault=unplug@out:300000", "rawprogram", mini, "--json")
    error = held(result, "rawprogram").last
    assert (result.status, error["code"]) == (4, "device-gone")
    assert (
        error["state"]
        == "1 of 2 steps are done; 'boot' is incomplete: the phone may not start as it is."
    )
    assert error["remedies"][-1].endswith("or the same command with --resume.")
    # nothing is called written that has not been compared
    fates = {row["part"]: row["state"] for row in error["parts"]}
    assert fates == {"misc": "sent", "boot": "incomplete"}
    line = ("--virtual", "qcm2290", "rawprogram", mini, "--no-boot-check", "--json")
    kept = edl(*line).last["parts"]
    assert {row["state"] for row in kept} == {"written"}
    trusted = edl(*line, "--verify", "none").last
    assert {row["state"] for row in trusted["parts"]} == {"sent"}
