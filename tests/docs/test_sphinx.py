# SPDX-License-Identifier: BSD-3-Clause
"""The documentation is built without a warning: every link leads somewhere, every name exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

pytest.importorskip("sphinx")


@pytest.mark.timeout(300)
def test_the_documentation_is_built_without_warnings(tmp_path: Path) -> None:
    strict = ["--fail-on-warning", "--keep-going", "--quiet", "--builder", "dummy"]
    folders = ["--doctree-dir", str(tmp_path / "trees"), str(REPO / "docs"), str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, *folders],
        check=False, capture_output=True, text=True, cwd=REPO,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
