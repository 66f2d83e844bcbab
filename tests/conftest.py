# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests import builds

# a busy machine is no reason to fail: tests measure results, not time
# nor do examples of an older version of a test say anything about this one
settings.register_profile("edl", deadline=None, database=None)
settings.load_profile("edl")

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


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], builds.Build]:
    """Return a function that gives a golden build by name, made once a worker."""
    made: dict[str, builds.Build] = {}

    def get(name: str) -> builds.Build:
        if name not in made:
            made[name] = builds.make(name, tmp_path_factory.mktemp("builds") / name)
        return made[name]

    return get
