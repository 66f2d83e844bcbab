# SPDX-License-Identifier: BSD-3-Clause
"""Faults as a user meets them: what is said, and with which exit status."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edl.virtual.faultkinds import TABLE, Kind
from tests.cli.conftest import Edl
from tests.cli.test_json import held
from tests.conftest import REPO

PROFILE = "qcm2290,size=64MiB"


def test_the_faults_are_listed(edl: Edl) -> None:
    listed = edl("virtual", "faults")
    assert all(row.example in listed.out for row in TABLE.values())
    rows = held(edl("virtual", "faults", "--json"), "virtual faults").last["faults"]
    assert [row["kind"] for row in rows] == [*Kind]


def test_the_documentation_has_each_kind_and_example() -> None:
    text = (REPO / "docs" / "virtual-phones.md").read_text(encoding="utf-8")
    for kind, row in TABLE.items():
        assert f"| `{kind}` | {row.title} |" in text
        assert f"| `{row.example}` |" in text


def test_faults_are_for_virtual_phones(edl: Edl) -> None:
    refused = edl("--fault", "unplug@in:0", "info")
    assert refused.status == 2
    assert "--fault is for virtual phones." in refused.err
    refused = edl("--virtual", PROFILE, "--fault", "explode", "info")
    assert refused.status == 2
    assert "edl virtual faults" in refused.err
