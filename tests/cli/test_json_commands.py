# SPDX-License-Identifier: BSD-3-Clause
"""Each result of docs/json.md is given by its command, held to the page and to the JSON Schema."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl.virtual.phone import Phone
from tests import builds
from tests.cli import schema
from tests.cli.conftest import LOADER, Edl, write_rows
from tests.docs import make_schema
from tests.phones import lay_out
from tests.unit.test_provision import whole as whole_layout

# Given by processes that go on (held in virtual/test_serve_cli.py and web/test_serve.py), by signed
# jobs (tests/vip), and by devices without flash (cli/test_ks.py).
ELSEWHERE = {"ks", "nbd", "rawprogram --vip", "virtual serve", "web"}

# What each result is of, and a line that gives it. {phone}: with a whole package on it.
LINES = (
    ("virtual new", "virtual new {tmp}/blank qcm2290"),
    ("edl alone", "--virtual {phone}"),
    ("list", "--virtual {phone} list"),
    ("info", "--virtual {phone} info"),
    ("printgpt", "--virtual {phone} printgpt"),
    ("nop", "--virtual {phone} nop"),
    ("boot-check", "--virtual {phone} boot-check"),
    ("check", "check {sample}"),
    ("rehearse", "rehearse {sample}"),
    ("digests", "digests {sample} -o {tmp}/tables"),
    ("a dry run of rawprogram", "--virtual {phone} rawprogram {board} -n"),
    ("verify", "--virtual {phone} verify {board}"),
    ("sha256", "--virtual {phone} sha256 aboot,hyp"),
    ("read", "--virtual {phone} read aboot {tmp}/aboot.img"),
    ("read --rescue", "--virtual {phone} read aboot {tmp}/rescued.img --rescue"),
    ("a dry run of write", "--virtual {phone} write aboot {tmp}/aboot.img -n"),
    ("write", "--virtual {phone} write aboot {tmp}/aboot.img"),
    ("a dry run of erase", "--virtual {phone} erase aboot -n"),
    ("erase", "--virtual {phone} erase hyp -y"),
    ("gpt repair", "--virtual {phone} gpt repair --lun 0"),
    ("gpt diff", "--virtual {phone} gpt diff {board}"),
    ("a dry run of gpt repair", "--virtual {tmp}/blank gpt repair --from {sample} -n"),
    ("backup", "--virtual {phone} backup {tmp}/saved --only aboot,rpm"),
    ("backups", "backups"),
    ("a dry run of restore", "--virtual {phone} restore {tmp}/saved -n"),
    ("restore", "--virtual {phone} restore {tmp}/saved -y"),
    ("set-bootable", "--virtual {phone} set-bootable 0 -y"),
    ("slot", "--virtual {tmp}/slots slot"),
    ("a dry run of slot", "--virtual {tmp}/slots slot b --empty -n"),
    ("slot SLOT", "--virtual {tmp}/slots slot b --empty -y"),
    ("resume --list", "resume --list"),
    ("resume", "--virtual {torn} resume"),
    ("resume --forget", "resume --forget rawprogram-1 --serial 00c0ffee"),
    ("provision", "--virtual {tmp}/slots provision {tmp}/p.xml -n"),
    ("rawxml", "--virtual {phone} rawxml <nop/>"),
    ("xml", "--virtual {phone} xml {tmp}/nop.xml"),
    ("peek", "--virtual msm8916,size=4MiB peek 0x1000 16 -y --loader {loader8916}"),
    ("fixgpt", "--virtual {phone} fixgpt -n"),
    ("firmwarewrite", "--virtual {phone} firmwarewrite {tmp}/nop.xml -n"),
    ("benchmark", "--virtual {phone} benchmark --size 1MiB"),
    ("station", "--virtual msm8916,size=4MiB*2 station {mini} --count 2 -y --no-boot-check"),
    ("a dry run of station", "station {mini} -n"),
    ("ramdump --list", "--virtual msm8953,crash=plain ramdump --list"),
    ("ramdump", "--virtual msm8953,crash=plain ramdump OCIMEM.BIN -o {tmp}/dump"),
    ("reset", "--virtual {phone} reset"),
    ("virtual edl", "virtual edl {phone}"),
    ("rawprogram", "--virtual {phone} rawprogram {mini} --elsewhere boot --no-reset"),
    ("doctor", "--virtual {phone} doctor"),
    ("doctor --storage", "--virtual {torn} doctor --storage"),
    ("setup-udev", "setup-udev"),
    ("explain", "explain"),
    ("explain CODE", "explain verify"),
    ("explain LINE", "explain {tmp}/log"),
    ("config", "config"),
    ("completion", "completion fish"),
    ("report", "report"),
    ("loaders add", "loaders add {loader}"),
    ("loaders list", "loaders list"),
    ("loaders show", "loaders show {loader}"),
    ("loaders match", "loaders match {loader} --hwid 0x001860e100000000"),
    ("loaders remove", "loaders remove {digest}"),
    ("virtual profiles", "virtual profiles"),
    ("virtual faults", "virtual faults"),
    ("virtual sample", "virtual sample {tmp}/sample"),
    ("unpack", "unpack {sample} {tmp}/unpacked"),
    ("convert", "convert {tmp}/aboot.img {tmp}/aboot.simg"),
    ("diff", "diff {sample} {sample}"),
    ("image info", "image info {tmp}/saved"),
    ("image ls", "image ls {tmp}/saved"),
    ("image extract", "image extract {tmp}/saved rpm -d {tmp}"),
    ("image diff", "image diff {tmp}/saved {tmp}/saved"),
    ("image verify", "image verify {tmp}/saved"),
)
"""Each in its turn: some need what others have made."""


@functools.cache
def validator(command: str | None) -> Any:  # noqa: ANN401
    """Return a validator of lines whose result is that of command."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    document = make_schema.document(strict=True)
    if command is not None:
        document["allOf"][1]["then"] = {"$ref": make_schema.result_of(command)}
    return jsonschema.Draft202012Validator(document)


def test_all_results_are_given_here() -> None:
    assert {name for name, _ in LINES} | ELSEWHERE == set(schema.results())


@pytest.mark.timeout(180)
def test_every_command_holds_to_the_page(
    edl: Edl, whole: Path, board: Path, sample: Path, mini: Path, tmp_path: Path,
    golden: Callable[[str], builds.Build],
) -> None:  # fmt: skip
    places = {
        "phone": whole, "board": board, "sample": sample, "mini": mini, "tmp": tmp_path,
        "loader8916": LOADER.parent / "prog_emmc_firehose_8916_test.mbn",
        "loader": LOADER, "torn": tmp_path / "torn",
        "digest": hashlib.sha256(LOADER.read_bytes()).hexdigest(),
    }  # fmt: skip
    (tmp_path / "p.xml").write_bytes(whole_layout())
    (tmp_path / "nop.xml").write_text("<nop/>")
    (mini / "boot.img").write_bytes(bytes(range(256)) * 2000)
    write_rows(mini, ("boot.img", 8192, 1000, "boot"))
    interrupt(edl, mini, tmp_path / "torn", "0badcafe")
    interrupt(edl, mini, tmp_path / "forgotten", "00c0ffee")
    assert edl("virtual", "new", tmp_path / "slots", "qcm2290-ufs").status == 0
    with Phone.named(str(tmp_path / "slots")) as phone:
        lay_out(phone, golden("sdm845-db845c-ufs").folder)
    (tmp_path / "log").write_text("ERROR: range restricted: lun=0, start_sector=0\n")
    told = []
    for name, line in LINES:
        result = edl(*(word.format(**places) for word in line.split()), "--json")
        rows = [json.loads(row) for row in result.out.splitlines()]
        told += [f"{name}: {text}" for row in rows for text in schema.problems(row, name)]
        if "result" not in [row["type"] for row in rows]:
            told.append(f"{name}: no result: {result.out[-300:]}")
        told += [f"{name}: {error.message[:200]}" for row in rows
                 for error in validator(name).iter_errors(row)]  # fmt: skip
    assert not told, "\n".join(told)


def interrupt(edl: Edl, mini: Path, phone: Path, serial: str) -> None:
    """Leave a phone with a job that was interrupted."""
    spec = f"qcm2290,size=16MiB,serial=0x{serial},fault=unplug@out:300000"
    assert edl("virtual", "new", phone, spec).status == 0
    assert edl("--virtual", phone, "rawprogram", mini, "--no-reset").status == 4
    assert edl("virtual", "edl", phone).status == 0


def test_the_schema_is_kept_as_the_page_says() -> None:
    assert make_schema.PATH.read_text(encoding="utf-8") == make_schema.text(), "run 'make man'"


def test_the_schema_notices_what_is_wrong() -> None:
    right = {"v": 1, "type": "result", "alive": True}
    assert validator("nop").is_valid(right)
    for wrong in (
        {**right, "v": 2},
        {**right, "alive": 1},
        {**right, "more": 1},
        {"v": 1, "type": "result"},
        {"v": 1, "type": "other"},
        {"v": 1, "type": "plan", "plan": []},
        {"v": 1, "type": "event", "event": "step", "index": "1"},
        {"v": 1, "type": "error", "remedies": [1]},
    ):
        assert not validator("nop").is_valid(wrong)
    assert not validator("sha256").is_valid(right)
    assert validator(None).is_valid(right)


def test_programs_may_get_more_fields_than_they_know() -> None:
    """The kept schema allows what a later version adds."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    kept = json.loads(make_schema.PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(kept)
    later = {"v": 1, "type": "result", "alive": True, "more": 1}
    assert jsonschema.Draft202012Validator(kept).is_valid(later)
