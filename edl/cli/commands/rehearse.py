# SPDX-License-Identifier: BSD-3-Clause
"""Carry a package out on a virtual phone, then look whether that phone would start."""

from __future__ import annotations

from typing import Any

import click

from edl.cli import show
from edl.cli.app import App
from edl.cli.commands.rawprogram import package_arguments, read_request
from edl.cli.options import Settings, output_options
from edl.device.storage import Storage
from edl.errors import PackageError
from edl.plan import job
from edl.plan.build import build
from edl.plan.check import checked

_PROFILES = {512: "qcm2290", 4096: "qcm2290-ufs"}


@click.command("rehearse")
@package_arguments
@click.option("--profile", metavar="PROFILE", help="The virtual phone [default: one that fits].")
@output_options
@click.pass_obj
def command(settings: Settings, /, profile: str | None, **arguments: Any) -> None:  # noqa: ANN401
    """Carry a package out on a virtual phone. No real phone is touched.

    The same code that drives a real phone runs; the phone in software answers as real programmers
    do.

    \b
    Examples:
      edl rehearse ROM_FOLDER
      edl rehearse ROM_FOLDER --profile msm8916
    """
    request = read_request(arguments | {"reset": "system"})
    unit = request.package.sector_bytes or 512
    if profile is None and unit not in _PROFILES:
        raise PackageError(f"No virtual phone has sectors of {unit} bytes.")
    settings.virtual = profile or settings.virtual or _PROFILES[unit]
    settings.loader = None  # the virtual phone trusts only its own test key
    app = App(settings)
    with app.phone() as phone:
        storage = Storage(phone)
        plan = checked(
            build(request.package, job.geometry_for(request.package, storage), request.options)
        )
        plan, found = job.prepare(plan, storage, request.rules)
        app.findings(plan)
        app.emit(show.checked(plan))
        with app.gentle() as cancel:
            outcome = job.carry_out(plan, phone, found, request.rules, emit=app.emit, cancel=cancel)
        boot = app.virtual.report if app.virtual is not None else None
    app.result(show.outcome_data(outcome, boot), show.outcome_text(outcome, boot))
