# SPDX-License-Identifier: BSD-3-Clause
"""What edl needs has lower bounds, is locked by hashes for its tests, and is never compiled."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPO

LOCK = REPO / "requirements" / "ci.txt"
LAB = REPO / "requirements" / "labgrid.txt"


def _declared(section: str, key: str) -> list[Requirement]:
    parser = configparser.ConfigParser()
    parser.read(REPO / "setup.cfg")
    return [Requirement(line) for line in parser[section][key].splitlines() if line]


NEEDED = _declared("options", "install_requires")
FOR_DEVELOPERS = _declared("options.extras_require", "dev")


def locked(lock: Path = LOCK) -> list[tuple[Requirement, int]]:
    """Return what a lock file names, each with the number of its hashes."""
    text = lock.read_text(encoding="ascii").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(line.partition("--hash")[0]), line.count("--hash=sha256:"))
            for line in lines]  # fmt: skip


def test_every_dependency_has_a_lower_bound() -> None:
    bounds = {need.name: str(need.specifier) for need in NEEDED + FOR_DEVELOPERS}
    assert {name: bound for name, bound in bounds.items() if not bound.startswith(">=")} == {}


def test_the_lock_names_one_version_of_all_and_its_hashes() -> None:
    versions: dict[str, list[str]] = {}
    for requirement, hashes in locked():
        (only,) = requirement.specifier
        assert only.operator == "=="
        assert hashes
        versions.setdefault(canonicalize_name(requirement.name), []).append(only.version)
    for need in NEEDED + FOR_DEVELOPERS:
        found = versions[canonicalize_name(need.name)]
        assert all(need.specifier.contains(version) for version in found), need
    assert "setuptools" in versions  # builds edl, without an environment of its own


def test_continuous_integration_takes_nothing_but_the_lock() -> None:
    make = (REPO / "Makefile").read_text().partition("\nlocked:")[2].partition("\n\n")[0]
    installs = [line for line in make.splitlines() if "pip install" in line]
    everything, itself = installs
    assert "--require-hashes --only-binary :all: --requirement $(LOCK)" in everything
    assert "--no-deps --no-build-isolation --editable ." in itself
    assert "\nmake locked\nmake test\n" in (REPO / ".ci" / "run").read_text()


def test_the_engines_of_labs_are_locked_in_an_environment_of_their_own() -> None:
    make = (REPO / "Makefile").read_text().partition("\nlabgrid:")[2].partition("\n\n")[0]
    assert make.count("pip install") == 1
    assert "--require-hashes --only-binary :all: --requirement $(LABGRID_LOCK)" in make
    wanted = [Requirement(line) for line in LAB.with_suffix(".in").read_text().splitlines()[1:]]
    assert {need.name: str(need.specifier) for need in wanted} == {
        need.name: str(need.specifier)
        for extra in ("jumpstarter", "labgrid")
        for need in _declared("options.extras_require", extra)
    }
    versions = {need.name: need.specifier for need, hashes in locked(LAB) if hashes}
    for need in wanted:
        (only,) = versions[need.name]
        assert only.operator == "=="
        assert need.specifier.contains(only.version)
    assert "pyserial" not in versions, "labgrid has a fork of it"


# -- no compiler ----------------------------------------------------------------------------------


def _with_their_own(needs: list[Requirement]) -> set[str]:
    """Return the names of needs here, and of all that they need."""
    found: set[str] = set()
    left = list(needs)
    while left:
        need = left.pop()
        name = canonicalize_name(need.name)
        if name in found or (need.marker and not need.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        left += map(Requirement, metadata.requires(name) or ())
    return found


def test_what_is_installed_was_built_elsewhere() -> None:
    """A compiler on Linux leaves the tag `linux_...`, which no file of the index may have."""
    tags = {
        name: re.findall(r"^Tag: .*-(\S+)$", metadata.distribution(name).read_text("WHEEL") or "",
                         re.MULTILINE)
        for name in _with_their_own(NEEDED)
    }  # fmt: skip
    assert len(tags) > 10
    assert {name: own for name, own in tags.items() if not own} == {}
    built = {name for name, own in tags.items() if any(tag.startswith("linux_") for tag in own)}
    assert built == set()


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pip", *arguments, "--quiet", "--retries", "0", "--timeout", "20"]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("python", "platforms"),
    [
        ("3.11", ("manylinux2014_x86_64", "manylinux_2_28_x86_64")),
        ("3.12", ("win_amd64",)),
        ("3.13", ("macosx_11_0_arm64", "macosx_10_9_universal2")),
        ("3.14", ("manylinux2014_aarch64", "manylinux_2_28_aarch64")),
    ],
)
def test_every_python_finds_it_built(
    python: str, platforms: tuple[str, ...], tmp_path: Path
) -> None:
    """The index has a built file of everything, on each system and in each Python that we name."""
    for_it = {"python_version": python, "extra": ""}
    needs = [str(Requirement(f"{need.name}{need.specifier}")) for need in NEEDED
             if not need.marker or need.marker.evaluate(for_it)]  # fmt: skip
    report = tmp_path / "report.json"
    places = [word for name in platforms for word in ("--platform", name)]
    done = _pip(
        "install", "--dry-run", "--ignore-installed", "--only-binary", ":all:",
        "--python-version", python, "--implementation", "cp", *places,
        "--target", str(tmp_path / "none"), "--report", str(report), *needs,
    )  # fmt: skip
    if done.returncode and not _reachable(tmp_path):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    files = [each["download_info"]["url"] for each in json.loads(report.read_text())["install"]]
    assert len(files) >= len(needs)
    assert all(file.endswith(".whl") for file in files)


def _reachable(folder: Path) -> bool:
    return _pip("download", "--no-deps", "--dest", str(folder), "click").returncode == 0
