# SPDX-License-Identifier: BSD-3-Clause
"""Plans of the golden builds: what they would put where, against digests made elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from edl.firehose.commands import Area
from edl.package import open_package
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Geometry, Plan
from edl.plan.patching import folded
from tests import builds


def plan_of(made: builds.Build) -> Plan:
    package = open_package([str(made.folder)])
    memory = "emmc" if made.sector_bytes == 512 else "ufs"
    geometry = Geometry(memory, made.sector_bytes, made.disk_sectors)
    return checked(build(package, geometry))


@pytest.mark.parametrize("name", builds.NAMES)
def test_every_extent_gets_what_the_reference_program_wrote(
    name: str, golden: Callable[[str], builds.Build]
) -> None:
    made = golden(name)
    plan = plan_of(made)
    assert plan.errors == ()
    plan = folded(plan, lambda area: bytes(area.size_bytes))
    got = {}
    for write in plan.writes:
        digest = hashlib.sha256()
        for chunk in write.content.chunks(0, write.area.size_bytes):
            digest.update(chunk)
        got[write.area] = digest.hexdigest()
    wanted = {
        Area(row["lun"], row["start_sector"], row["sectors"], made.sector_bytes): row["sha256"]
        for row in made.expected["extents"]
    }
    assert got == wanted


@pytest.mark.parametrize("name", builds.NAMES)
def test_blank_and_wipe_files_are_left_out_and_named(
    name: str, golden: Callable[[str], builds.Build]
) -> None:
    left_out = {what for what, _ in plan_of(golden(name)).left_out}
    assert "rawprogram0_BLANK_GPT.xml" in left_out
    assert "rawprogram0_WIPE_PARTITIONS.xml" in left_out
