# SPDX-License-Identifier: BSD-3-Clause
"""What only the user knows about a package is asked, or told where nobody can be asked."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Edl, edl
from tests.packages import motos, test_xiaomi

__all__ = ["edl"]


def test_a_package_for_another_chip_is_not_written_unasked(tmp_path: Path, edl: Edl) -> None:
    package = motos.package(tmp_path / "rom")
    told = edl("--virtual", "sdm660", "rawprogram", package)
    assert told.status == 2
    assert "The package is for MSM8953, but the phone has a SDM660" in told.err
    assert "--yes" in told.err
    assert edl("--virtual", "sdm660", "rawprogram", package, "--dry-run").status == 0
    assert edl("--virtual", "msm8953", "rawprogram", package).status == 0


def test_the_model_and_the_rollback_number_are_told(tmp_path: Path, edl: Edl) -> None:
    package = test_xiaomi.made(tmp_path / "rom")
    told = edl("--virtual", "sdm660", "rawprogram", package, "--yes")
    assert "The package must be for the model" in told.err
