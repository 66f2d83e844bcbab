# SPDX-License-Identifier: BSD-3-Clause
"""The examples of docs/library.md run as they stand, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edl.virtual.sample import make_sample
from tests.conftest import REPO

LOADER = REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf"
PAGE = REPO / "docs" / "library.md"


def test_the_examples_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_sample(tmp_path / "package", LOADER)
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    shown = []
    for example in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102  # our own page
        shown.append(capsys.readouterr().out)
    found, connected, written, stopped, read, failed = shown
    assert "edl 1a2b3c4d" in found
    assert "('QCM2290', " in found
    assert connected.startswith("1a2b3c4d emmc 512 {0: 33554432, ")
    assert "2/2 " in written
    assert written.splitlines()[-1] == "1871872 SHA-256 computed by the phone"
    code, resumed = stopped.splitlines()[0], stopped.splitlines()[-1]
    assert code.startswith("stopped-midway 1 of 4 steps are done; ")
    assert int(resumed) > 0
    assert read.splitlines()[-1] == "512"
    assert failed.startswith("usage ")
