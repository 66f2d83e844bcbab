# SPDX-License-Identifier: BSD-3-Clause
"""A package, brought onto a virtual phone as `edl rawprogram` does it."""

from __future__ import annotations

from pathlib import Path

from edl.device.phone import Wishes
from edl.package import Package
from edl.packages import door, whole
from edl.packages.model import Choices, Description
from edl.plan import byname, job
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.job import Outcome, Rules
from edl.plan.model import Geometry, Plan
from tests import phones


def opened(source: Path, **options: str) -> tuple[Package, Description]:
    """Return the package at source. options: as with --choose, or wipe="yes"."""
    wipe = options.pop("wipe", "") == "yes"
    return door.open_any([str(source)], choices=Choices(wipe, options))


def plan(package: Package, geometry: Geometry) -> Plan:
    """Return the checked plan of package."""
    return checked(build(package, geometry))


def install(bench: phones.Bench, package: Package, rules: Rules | None = None) -> Outcome:
    """Write package to the phone."""
    storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
    package = byname.on_phone(package, storage)
    made = plan(package, job.geometry_for(package, storage))
    assert made.errors == (), made.errors
    whole.verify(package.files)
    return phones.carry_out(bench, made, storage, rules)


def held(bench: phones.Bench, sector: int, sectors: int, lun: int = 0) -> bytes:
    """Return what the phone holds."""
    return bench.flash.luns[lun].read(sector, sectors)
