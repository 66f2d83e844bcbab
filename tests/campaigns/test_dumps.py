# SPDX-License-Identifier: BSD-3-Clause
"""A small fixed sample of the campaigns, in a process of its own: it forks for each run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.campaigns import bench
from tests.conftest import REPO


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases are forks of one process")
@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is needed to judge backups")
def test_interrupted_jobs_end_well() -> None:
    line = [sys.executable, "-m", "tests.campaigns.dumps", "--cases", "3", "--seed", "7"]
    line += ["--mib", "8"]
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("3 cases, ")
    assert re.search(r"^interruptions: [1-9]\d* kill -9", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("failures: 0\n")


def test_the_judge_sees_wrong_bytes() -> None:
    old, new = bytes(4096), b"n" * 4096
    assert list(bench.neither(old[:512] + new[512:], old, new, 512)) == []
    torn = old[:700] + new[700:]
    assert list(bench.neither(torn, old, new, 512)) == [1]
