# SPDX-License-Identifier: BSD-3-Clause
"""Make and show virtual phones."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from edl.cli.app import App
from edl.cli.loading import search_folders
from edl.cli.options import Settings, output_options
from edl.units import format_size


@click.group("virtual")
def command() -> None:
    """Make and show virtual phones: phones in software, to try everything without risk.

    \b
    Examples:
      edl virtual profiles
      edl virtual new my-phone qcm2290
      edl --virtual my-phone rawprogram ROM_FOLDER
    """


@command.command("profiles")
@output_options
@click.pass_obj
def profiles(settings: Settings) -> None:
    """Show which virtual phones there are."""
    from edl.virtual.profiles import PROFILES  # noqa: PLC0415

    rows = [
        {
            "name": profile.name,
            "title": profile.title,
            "storage": profile.storage,
            "sector_bytes": profile.sector_bytes,
            "bytes": sum(profile.lun_sectors.values()) * profile.sector_bytes,
        }
        for profile in PROFILES.values()
    ]
    lines = [
        f"{row['name']:<14} {format_size(int(str(row['bytes']))):>8}  {row['title']}"
        for row in rows
    ]
    App(settings).result({"profiles": rows}, lines)


@command.command("new")
@click.argument("folder")
@click.argument("profile")
@output_options
@click.pass_obj
def new(settings: Settings, folder: str, profile: str) -> None:
    """Make a virtual phone that lasts: a hard-bricked one in EDL mode, kept in FOLDER.

    PROFILE may carry changes: qcm2290,size=64GiB,serial=0x0badcafe (edl virtual profiles).
    """
    from edl.virtual.phone import Phone  # noqa: PLC0415

    with Phone.create(profile, Path(folder)):
        pass
    App(settings).result(
        {"folder": folder, "profile": profile},
        [
            f"A virtual phone, hard-bricked and in EDL mode, is in {folder}.",
            f"Next: edl --virtual {shlex.quote(folder)} info",
        ],
    )


@command.command("edl")
@click.argument("folder")
@output_options
@click.pass_obj
def enter_edl(settings: Settings, folder: str) -> None:
    """Hold the power button of the phone in FOLDER and enter EDL mode again."""
    from edl.virtual.phone import Phone  # noqa: PLC0415

    with Phone.open(Path(folder)) as phone:
        phone.enter_edl()
    App(settings).result({"folder": folder}, ["The virtual phone is in EDL mode."])


@command.command("sample")
@click.argument("folder")
@output_options
@click.pass_obj
def sample(settings: Settings, folder: str) -> None:
    """Make a sample package in FOLDER, to try edl with.

    It has the layout of a real board (eMMC, 59 partitions) and small images that are made up.
    """
    from edl.virtual.sample import make_sample  # noqa: PLC0415

    loader = next((path for path in map(_test_loader, search_folders()) if path.exists()), None)
    count = make_sample(Path(folder), loader)
    App(settings).result(
        {"folder": folder, "files": count},
        [
            f"A sample package of {count} files is in {folder}.",
            f"Next: edl check {shlex.quote(folder)}, or edl rehearse {shlex.quote(folder)}",
        ],
    )


def _test_loader(folder: Path) -> Path:
    return folder / "prog_firehose_ddr_qcm2290_test.elf"
