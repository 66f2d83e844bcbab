# SPDX-License-Identifier: BSD-3-Clause
"""Phones before Firehose, at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edl.cli.app import App
from edl.virtual.phone import Phone
from edl.virtual.streaming import PARTITION_SECTORS, PARTITIONS
from tests.cli.conftest import Edl
from tests.virtual.disks import Part, write_gpt

INSIST = ("--no-backup", "--verify", "none")
DATA = bytes(range(256)) * 16


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a phone with partition tables, whose programmer lets flash be read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.bin").write_bytes(DATA)
    return made("msm8974,size=4MiB")


def made(profile: str) -> str:
    with Phone.create(profile, Path("phone")) as virtual:
        write_gpt(virtual.storage.luns[0], [Part("boot", 100, 140), Part("modemst1", 200, 231)])
        virtual.storage.luns[0].write(200, b"calibration".ljust(512, b"\0"))
    return "phone"


def flash(start: int, count: int) -> bytes:
    with Phone.open(Path("phone")) as virtual:
        return virtual.storage.luns[0].read(start, count)


def test_the_whole_way_where_flash_can_be_read(edl: Edl, phone: str) -> None:
    told = edl("--virtual", phone, "info", "--json")
    data = json.loads(told.out.splitlines()[-1])
    assert data["programmer"]["protocol"] == "Streaming Download"
    assert data["programmer"]["generation"] is None
    assert data["storage"]["bytes"] == 4 << 20
    done = edl("--virtual", phone, "write", "boot", "image.bin")
    assert done.status == 0, done.err
    assert "all equal to what was sent (reading back)" in done.out
    assert flash(100, 8) == DATA
    assert edl("--virtual", phone, "read", "boot", "out.bin").status == 0
    assert Path("out.bin").read_bytes()[: len(DATA)] == DATA
    kept = edl("--virtual", phone, "write", "modemst1", "image.bin")
    assert kept.status == 9
    assert flash(200, 1).startswith(b"calibration")
    assert edl("--virtual", phone, "reset").status == 0


def test_a_blind_write_must_be_insisted_on(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("image.bin").write_bytes(DATA)
    made("msm8974,size=4MiB,streaming=memory")
    line = ("--virtual", "phone", "write", "0/300+8", "image.bin")
    refused = edl(*line)
    assert (refused.status, "error[blind-write]" in refused.err) == (9, True)
    assert flash(300, 8) == bytes(8 * 512)
    nobody = edl(*line, *INSIST)
    assert nobody.status == 2
    assert "no terminal to ask on" in nobody.err
    assert flash(300, 8) == bytes(8 * 512)
    done = edl(*line, *INSIST, "--yes")
    assert done.status == 0, done.err
    assert "NOT VERIFIED" in done.out
    assert flash(300, 8) == DATA
    assert edl("--virtual", "phone", "read", "0/300+8", "out.bin").status == 6
    assert not Path("out.bin").exists()
    by_name = edl("--virtual", "phone", "write", "boot", "image.bin", *INSIST, "--yes")
    assert by_name.status == 2


def test_nand_by_name(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("image.bin").write_bytes(DATA)
    with Phone.create("msm8974,size=4MiB,streaming=nand", Path("phone")):
        pass
    line = ("--virtual", "phone", "write", "0:AMSS", "image.bin")
    assert "error[blind-write]" in edl(*line).err
    assert edl(*line, *INSIST).status == 2
    tried = edl(*line, *INSIST, "--dry-run")
    assert (tried.status, "0:AMSS: 4 KiB" in tried.out) == (0, True)
    done = edl(*line, *INSIST, "--yes", "--json")
    assert done.status == 0, done.err
    data = json.loads(done.out.splitlines()[-1])
    assert data["parts"] == [{"part": "0:AMSS", "state": "sent", "bytes": 4096}]
    assert (data["written_bytes"], data["verified_bytes"]) == (4096, 0)
    start = PARTITIONS.index("0:AMSS") * PARTITION_SECTORS
    assert flash(start, 8) == DATA


@pytest.mark.parametrize(
    ("target", "more", "status", "words"),
    [
        ("0:EFS2", (), 9, "exists only once"),
        ("0:EFS2", ("--overwrite", "0:efs2"), 0, ""),
        ("0/1+2", (), 2, "means nothing"),
        ("0:NOPE", (), 6, "0:NOPE"),
        ("0:AMSS", ("--partition-table", "absent"), 7, "cannot be read"),
        ("0:AMSS", ("--partition-table", "image.bin"), 7, "no partition table"),
        ("0:AMSS", ("--partition-table", "other.bin"), 6, "unknown format"),
    ],
)
def test_what_nand_is_not_written_with(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    target: str, more: tuple[str, ...], status: int, words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("image.bin").write_bytes(DATA)
    Path("other.bin").write_bytes(b"another table")
    phone = "msm8974,size=4MiB,streaming=nand"
    done = edl("--virtual", phone, "write", target, "image.bin", *INSIST, "--yes", *more)
    assert done.status == status, done.err
    assert words in done.err


def test_a_loader_in_intel_hex_is_sent_to_who_takes_it(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("MPRG.HEX").write_bytes(b":020000042A00D0\n:03000000010203F7\n:00000001FF\n")
    done = edl("--virtual", "msm7x30,size=4MiB", "info", "--loader", "MPRG.HEX")
    assert done.status == 6  # it was started, and is no programmer
    assert "does not answer the greeting" in done.err


@pytest.mark.parametrize("typed", [True, False])
def test_at_a_terminal_the_word_is_typed(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, typed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(App, "at_terminal", True)
    monkeypatch.setattr("edl.cli.asking.typed", lambda _question, word: typed and bool(word))
    Path("image.bin").write_bytes(DATA)
    made("msm8974,size=4MiB,streaming=memory")
    done = edl("--virtual", "phone", "write", "0/300+8", "image.bin", *INSIST)
    assert done.status == (0 if typed else 130)
    assert flash(300, 8) == (DATA if typed else bytes(8 * 512))
