# SPDX-License-Identifier: BSD-3-Clause
"""The golden builds, written to every virtual phone that they fit, by the whole of the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edl.device.phone import Wishes
from edl.firehose.commands import Area
from edl.plan.build import Options
from edl.plan.model import overlaps
from edl.virtual.saved import State
from tests import builds, phones

_EMMC = [profile for profile in phones.ALL if not profile.endswith("ufs")]
_CASES = [
    *((name, profile) for name in builds.NAMES if name.endswith("emmc") for profile in _EMMC),
    *((name, "qcm2290-ufs") for name in builds.NAMES if name.endswith("ufs")),
]
_HASHED_BYTES = 64 << 20  # LUNs up to this size are hashed whole


def _holds(outer: Area, inner: Area) -> bool:
    return (
        overlaps(outer, inner)
        and outer.start_sector <= inner.start_sector
        and inner.start_sector + inner.sectors <= outer.start_sector + outer.sectors
    )


@pytest.mark.parametrize(("name", "profile"), _CASES)
def test_a_build_arrives_as_the_reference_program_wrote_it(
    name: str, profile: str, golden: Callable[[str], builds.Build]
) -> None:
    made = golden(name)
    with phones.plug(phones.spec(profile, sectors=made.disk_sectors)) as bench:
        outcome = phones.write_package(bench, made.folder)
        assert not outcome.plan.findings
        report = outcome.report
        assert report.verified_bytes == report.written_bytes + report.unchanged_bytes
        assert outcome.report.rewritten == []

        # Disks begin as zeros: they are equal to the reference if every extent is, and if nothing
        # else was touched.
        extents = {
            Area(row["lun"], row["start_sector"], row["sectors"], made.sector_bytes): row["sha256"]
            for row in made.expected["extents"]
        }
        luns = bench.flash.luns
        for area, digest in extents.items():
            there = luns[area.lun].digest(area.start_sector, area.sectors)
            assert there.hex() == digest, area
        for change in bench.changes:
            assert any(_holds(area, change) for area in extents), change
        for lun, sectors in made.disk_sectors.items():
            if sectors * made.sector_bytes <= _HASHED_BYTES:
                assert luns[lun].digest(0, sectors).hex() == made.expected["luns"][str(lun)]

        assert bench.virtual.state is State.BOOTED
        assert bench.virtual.exits == ["start", "reset"]


@pytest.mark.parametrize("profile", phones.ALL)
def test_a_job_waits_for_nothing(profile: str, golden: Callable[[str], builds.Build]) -> None:
    made = golden("sdm845-db845c-ufs" if profile.endswith("ufs") else "qrb2210-rb1-emmc")
    with phones.plug(phones.spec(profile, sectors=made.disk_sectors)) as bench:
        storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
        transport = bench.transports[0]
        # a programmer of generation 1 greets with silence, and trails its first answers with a log
        silent = profile in {"msm8916", "msm8953"}
        assert set(transport.waits) <= ({0.25, 0.02} if silent else set())
        transport.waits.clear()
        plan = phones.package_plan(made.folder, storage, Options(reset=None))
        phones.carry_out(bench, plan, storage)
        assert transport.reads > 100
        assert transport.waits == []
