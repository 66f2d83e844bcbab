# SPDX-License-Identifier: BSD-3-Clause
"""A small fixed sample of the campaign of killed hosts, in a process of its own: it forks."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPO


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases are forks of one process")
def test_killed_hosts_go_on() -> None:
    line = [sys.executable, "-m", "tests.campaigns.kills", "--kills", "2", "--seed", "3"]
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"[2-4] kills in [1-4] cases, ", done.stdout)
    assert done.stdout.endswith("failures: 0\n")
