# SPDX-License-Identifier: BSD-3-Clause
"""Packages made for the moment, and a data folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for the user's data."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDL_HOME", str(folder))
    return folder
