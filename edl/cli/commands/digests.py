# SPDX-License-Identifier: BSD-3-Clause
"""Make digest tables for programmers that take only what was signed beforehand (VIP)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edl.cli import vip
from edl.cli.app import App
from edl.cli.commands.rawprogram import names, opened, package_arguments, reset_options
from edl.cli.options import Settings, output_options, transfer_options
from edl.formats.digesttable import SIGNED_NAME, TO_SIGN_NAME, make_tables
from edl.plan.model import left_out_data, plural
from edl.units import format_size
from edl.vip import folder


@click.command("digests")
@package_arguments
@click.option(
    "-o", "--output", "--create-digests", "output", required=True, metavar="DIR",
    help="Folder for the tables.",
)  # fmt: skip
@reset_options
@click.option("--no-set-bootable", is_flag=True, help="Leave the boot LUN as it is.")
@click.option(
    "--overwrite", multiple=True, metavar="NAMES",
    help="Overwrite these partitions although they exist only once.",
)  # fmt: skip
@click.option(
    "--verify", is_flag=True,
    help="Ask the phone for the digest of each part behind its data (programmers may lack that).",
)  # fmt: skip
@click.option("-n", "--dry-run", "dry_run", is_flag=True, hidden=True)  # qdl's, always so here
@click.option(
    "--save", is_flag=True,
    help="Read first what exists only once, where the package says that it lies.",
)  # fmt: skip
@transfer_options
@output_options
@click.pass_obj
def command(
    settings: Settings,
    /,
    output: str,
    verify: bool,
    save: bool,
    dry_run: bool,
    **arguments: Any,  # noqa: ANN401
) -> None:
    """Make digest tables for a package: what a programmer in VIP mode shall take, hashed.

    The job of PACKAGE is carried out without a phone, and every transfer is hashed. DIR gets
    DigestsToSign.bin, which whoever holds the phone's keys signs (docs/vip.md), and the tables
    that are bound to it. The same package gives the same tables as qdl's --create-digests.

    \b
    Examples:
      edl digests ROM_FOLDER -o TABLES
      edl digests ROM_FOLDER -o TABLES --memory ufs --max-payload 1MiB
    """
    del dry_run
    app = App(settings)
    request = opened(app, arguments)
    overwrite = names(arguments["overwrite"])
    with app.running():
        job = vip.prepared(app, request, overwrite, digests=verify, save=save)
        tables = make_tables(job.recording.digests)
        manifest = vip.manifest_of(job, arguments, overwrite)
        files = folder.write_tables(Path(output), tables, manifest)
    script = job.script
    size = format_size(script.write_bytes)
    lines = [
        f"{plural(len(job.recording.digests), 'transfer')} hashed ({size} of data, for"
        f" {script.settings.memory}, {script.settings.payload_bytes} bytes each):"
        f" {plural(1 + len(tables.chained), 'table')} in {output}.",
    ]
    lines += [f"  kept     {', '.join(job.kept)}: they exist only once"] if job.kept else []
    lines += [f"  left out {what} ({why})" for what, why in job.plan.left_out]
    lines.append(
        f"Next: have {TO_SIGN_NAME} signed, put the result there as {SIGNED_NAME}, and run"
    )
    lines.append(f"  edl rawprogram PACKAGE --vip {output}")
    data = {
        "folder": output,
        "files": files,
        "transfers": len(job.recording.digests),
        "write_bytes": script.write_bytes,
        "memory": script.settings.memory,
        "payload_bytes": script.settings.payload_bytes,
        "kept": list(job.kept),
        "left_out": left_out_data(job.plan),
    }
    app.result(data, lines)
