# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent


def shared(name: str) -> Path:
    """Return a path in the shared research data, or skip the test where that is absent."""
    root = Path(os.environ.get("EDL_SHARED", REPO.parent / "shared"))
    path = root / name
    if not path.exists():
        pytest.skip(f"the research data '{name}' is not beside this checkout")
    return path


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fix what the environment would change: colours, width, and the user's data folder."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "edl-home"))
