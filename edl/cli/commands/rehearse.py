# SPDX-License-Identifier: BSD-3-Clause
"""Carry a package out on a virtual phone, then look whether that phone would start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edl.cli.again import traced
from edl.cli.app import App
from edl.cli.commands.rawprogram import (
    Request,
    carry_out,
    offline_plan,
    opened,
    package_arguments,
)
from edl.cli.options import Settings, once, output_options
from edl.errors import PackageError
from edl.plan import byname
from edl.plan.assumed import assumed_geometry
from edl.units import GIB, MIB

if TYPE_CHECKING:
    from edl.virtual.phone import Phone as Virtual

_CLOSING = "This was a rehearsal: only a virtual phone was touched."
_PROFILES = {512: "qcm2290", 4096: "qcm2290-ufs"}


@click.command("rehearse")
@package_arguments
@once("--profile", metavar="PROFILE", help="The virtual phone [default: one that fits].")
@output_options
@click.pass_obj
def command(settings: Settings, /, profile: str | None, **arguments: Any) -> None:  # noqa: ANN401
    """Carry a package out on a virtual phone. No real phone is touched.

    The same code that drives a real phone runs; the phone in software answers as real programmers
    do. It starts only its own test loader: 'edl check' looks at the one in the package.

    \b
    Examples:
      edl rehearse ROM_FOLDER
      edl rehearse ROM_FOLDER --profile msm8916
    """
    request = opened(App(settings), arguments | {"reset": "system"})
    settings.virtual = profile or settings.virtual or _fitting(request)
    settings.loader = None  # the virtual phone trusts only its own test key
    # no job of another phone with its serial number goes on here, or is made up for
    request = replace(request, rules=traced(request.rules))
    app = App(settings)
    with app.phone() as phone:
        if request.package.named and app.virtual is not None:
            _write_tables(app.virtual, request)
        carry_out(app, request, phone, closing=_CLOSING)


def _write_tables(phone: Virtual, request: Request) -> None:
    """Give a virtual phone the partitions that the package has images for."""
    geometry = assumed_geometry(request.package)
    _, tables = byname.made_up(request.package, geometry)
    for lun, table in tables.items():
        flash = phone.storage.luns[lun]
        images = table.fit(flash.sectors, grow=False).images()
        flash.write(0, images.primary)
        flash.write(images.backup_sector, images.backup)


def _fitting(request: Request) -> str:
    """Return a profile on which the package fits.

    Raises:
        PackageError: no virtual phone counts sectors as it does.
    """
    geometry = offline_plan(request).geometry
    if geometry.pages_per_block is not None:
        size = max(geometry.luns.get(0, 0) * geometry.sector_bytes // MIB, _SMALLEST_CHIP_MIB)
        return f"nand-modem,page={geometry.sector_bytes},size={size}MiB"
    profile = _PROFILES.get(geometry.sector_bytes)
    if profile is None:
        raise PackageError(f"No virtual phone has sectors of {geometry.sector_bytes} bytes.")
    sizes = {lun: sectors * geometry.sector_bytes for lun, sectors in geometry.luns.items()}
    if geometry.memory == "emmc":
        return f"{profile},size={max(sizes.get(0, 0) // MIB, _SMALLEST_MIB)}MiB"
    luns = range(max(_LUNS, *(lun + 1 for lun in sizes)))
    return f"{profile},luns={'+'.join(f'{sizes.get(lun, GIB) // MIB}MiB' for lun in luns)}"


_SMALLEST_CHIP_MIB = 256
_SMALLEST_MIB = 16 * 1024  # as the profiles have it, or more
_LUNS = 6  # likewise
