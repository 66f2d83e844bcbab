# SPDX-License-Identifier: BSD-3-Clause
"""The command line in this process, with virtual phones of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edl.cli.main import run
from edl.virtual.sample import make_sample
from tests import builds
from tests.cli import schema
from tests.conftest import REPO

LOADER = REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf"


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout, each as docs/json.md has it; there is nothing else."""
        lines = [json.loads(line) for line in self.out.splitlines()]
        assert [text for line in lines for text in schema.problems(line)] == []
        assert lines[-1]["type"] in {"result", "error"}
        return lines

    @property
    def last(self) -> dict[str, Any]:
        """The last JSON line."""
        return self.lines[-1]


Edl = Callable[..., Result]


@pytest.fixture
def edl(capsys: pytest.CaptureFixture[str]) -> Edl:
    """Return a function that runs a command line."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sample package, which tests leave as it is."""
    folder = tmp_path_factory.mktemp("sample") / "package"
    make_sample(folder, LOADER)
    return folder


@pytest.fixture
def phone(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone with a blank flash, in EDL mode."""
    folder = tmp_path / "phone"
    assert edl("virtual", "new", folder, "qcm2290").status == 0
    return folder


@pytest.fixture
def board(golden: Callable[[str], builds.Build]) -> Path:
    """Return the package of a board with 17 partitions, which tests leave as it is."""
    return golden("apq8016-sbc-emmc").folder


@pytest.fixture
def whole(edl: Edl, phone: Path, board: Path) -> Path:
    """Return a phone with that board's package on it, in EDL mode again."""
    assert edl("--virtual", phone, "rawprogram", board, "-q").status == 0
    assert edl("virtual", "edl", phone).status == 0
    return phone


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """Return a package of two small images, without a partition table."""
    folder = tmp_path / "mini"
    folder.mkdir()
    (folder / "boot.img").write_bytes(b"boot" * 2000)
    (folder / "misc.img").write_bytes(b"misc" * 300)
    write_rows(folder, ("boot.img", 2048, 64, "boot"), ("misc.img", 4096, 64, "misc"))
    return folder


def write_rows(folder: Path, *rows: tuple[str, int, int, str], name: str = "rawprogram0") -> Path:
    """Write an XML file with rows of file name, first sector, sectors and label."""
    text = "".join(
        f'<program SECTOR_SIZE_IN_BYTES="512" filename="{file}" label="{label}"'
        f' num_partition_sectors="{sectors}" physical_partition_number="0"'
        f' start_sector="{start}" sparse="false" file_sector_offset="0"/>\n'
        for file, start, sectors, label in rows
    )
    path = folder / f"{name}.xml"
    path.write_text(f'<?xml version="1.0"?>\n<data>\n{text}</data>\n')
    return path
