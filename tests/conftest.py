# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import builds

# a busy machine is no reason to fail: tests measure results, not time
# nor do examples of an older version of a test say anything about this one
settings.register_profile("edl", deadline=None, database=None)
settings.load_profile("edl")

_HOMES = itertools.count()
REPO = Path(__file__).resolve().parent.parent

# Tests that go the whole way many times, at random, or with data that may not be there. A line that
# only they happen to reach counts as untested; and to measure them takes longer than to run them.
UNCOUNTED = (
    "tests/backup/test_save.py",
    "tests/backup/test_trouble.py",
    "tests/campaigns/",
    "tests/cli/test_resume.py::test_a_killed_host_owes_bytes",
    "tests/faults/test_interrupts.py",
    "tests/faults/test_main_job.py",
    "tests/fuzz/",
    "tests/lab/test_labgrid.py",
    "tests/peers/",
    "tests/property/",
    "tests/cli/test_breaking.py",
    "tests/cli/test_doctor_storage.py",
    "tests/cli/test_hostile_names.py",
    "tests/cli/test_json_commands.py::test_every_command_holds_to_the_page",
    "tests/cli/test_lying_phones.py",
    "tests/cli/test_process.py",
    "tests/cli/test_screen.py",
    "tests/cli/test_rescue.py::test_a_dead_phone_comes_back",
    "tests/cli/test_rescue.py::test_the_cable_comes_out_and_it_is_another_day",
    "tests/docs/test_command_lines.py",
    "tests/docs/test_dependencies.py",
    "tests/docs/test_sphinx.py",
    "tests/docs/test_docs.py::test_the_demo_ends_well",
    "tests/umockdev/",
    "tests/unit/test_package_corpus.py",
    "tests/virtual/test_dialogues.py",
    "tests/virtual/test_golden_builds.py",
    "tests/virtual/test_ladder.py",
    "tests/virtual/test_serve.py",
    "tests/virtual/test_serve_cli.py",
    "tests/virtual/test_sessions_commands.py",
    "tests/virtual/test_sessions_connect.py",
    "tests/virtual/test_verifier.py::test_no_damage_raises_anything",
    "tests/web/test_stories.py",
)


def shared(name: str) -> Path:
    """Return a path in the shared research data, or skip the test where that is absent."""
    root = Path(os.environ.get("EDL_SHARED", REPO.parent / "shared"))
    path = root / name
    if not path.exists():
        pytest.skip(f"the research data '{name}' is not beside this checkout")
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Do not measure the coverage of what is in UNCOUNTED, nor of the processes it starts."""
    if not item.nodeid.startswith(UNCOUNTED):
        return (yield)
    here, elsewhere = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
            return (yield)
    finally:
        threading.settrace(elsewhere)
        sys.settrace(here)


@pytest.fixture(autouse=True)
def _plain_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Fix what the environment would change: colours, width, and the user's data folder.

    The folder has a name of its own for each test, and is made only by those that need it.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    home = tmp_path_factory.getbasetemp() / f"edl-home-{next(_HOMES)}"
    monkeypatch.setenv("EDL_HOME", str(home))


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], builds.Build]:
    """Return a function that gives a golden build by name, made once a worker."""
    made: dict[str, builds.Build] = {}

    def get(name: str) -> builds.Build:
        if name not in made:
            made[name] = builds.make(name, tmp_path_factory.mktemp("builds") / name)
        return made[name]

    return get
