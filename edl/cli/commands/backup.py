# SPDX-License-Identifier: BSD-3-Clause
"""Save everything that can be read from a phone."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edl.backup.earlier import Earlier, earlier
from edl.backup.extents import Choice
from edl.backup.find import room_of
from edl.backup.folder import open_backup
from edl.backup.save import Report, Request, check_folder, owner, prepare, save, saved_bytes
from edl.cli import defaults
from edl.cli.app import App
from edl.cli.commands.rawprogram import names
from edl.cli.options import Settings, config_file, lun_option, once, phone_options
from edl.cli.reporting import report_option
from edl.device.storage import Storage
from edl.errors import ReadFailedError, UsageError
from edl.events import Notice, Stage
from edl.formats.manifest import Compression, Form, Manifest, Verified
from edl.plan.model import plural
from edl.units import GIB, MIB, format_duration, format_size

USUAL_BYTES_PER_S = 30 * MIB  # USB 2; what most phones in EDL mode have
_HOW = {
    Verified.DIGEST: "all compared with SHA-256 computed by the phone",
    Verified.READ_TWICE: "all read until it was the same twice",
    Verified.NOT: "NOT VERIFIED, as you asked: every block was read once",
}


@click.command("backup")
@click.argument("folder", metavar="DIR", required=False)
@once(
    "--form", type=click.Choice([form.value for form in Form]), default=Form.IMAGES.value,
    help="One file a LUN, or one a partition [default: images].",
)  # fmt: skip
@click.option("--compress", is_flag=True, help="Zstandard, still readable anywhere.")
@click.option("--only", multiple=True, metavar="NAMES", help="Only these partitions: 'boot*'.")
@click.option("--skip", multiple=True, metavar="NAMES", help="Not these: userdata, '4/*'.")
@lun_option(several=True)
@once(
    "--verify", type=click.Choice(["auto", "sha256", "readback", "none"]), default="auto",
    help="How to make sure of what was read [default: auto].",
)  # fmt: skip
@once(
    "--since", metavar="DIR|none",
    help="An earlier backup: what is still the same is taken from it [default: the newest one].",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with an interrupted backup.")
@report_option
@phone_options
@click.pass_obj
def command(
    settings: Settings,
    folder: str | None,
    form: str,
    compress: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    lun: tuple[int, ...],
    verify: str,
    since: str | None,
    resume: bool,
) -> None:
    """Save everything that can be read from the phone to DIR.

    All LUNs, partition tables, partitions, and what lies between them; with a manifest that says
    whose it is and proves every block, and XML files with which any tool can write it back.

    \b
    Examples:
      edl backup my-phone
      edl backup my-phone --skip userdata
      edl backup my-phone --resume
      edl backup my-phone --form partitions --compress
      edl backup my-phone-in-may --since my-phone

    Without DIR it goes to a new folder in backup.folder of the config file (docs/scripting.md).
    """
    choice = Choice(tuple(sorted(names(only))), tuple(sorted(names(skip))), lun)
    packed = Compression.ZSTD if compress else Compression.NONE
    target = Path(folder) if folder else _usual(settings, resume=resume)
    request = Request(target, choice, Form(form), packed, verify, resume)
    backup(App(settings), request, since)


def _usual(settings: Settings, *, resume: bool) -> Path:
    """Return a new folder in the one that the user keeps backups in.

    Raises:
        UsageError: none is set, or an interrupted backup is to go on.
    """
    found = defaults.lookup("backup.folder", config_file(settings))
    if found is None or resume:
        raise UsageError("Missing argument 'DIR': where to save, or what to go on with.")
    return Path(found.value) / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"


def backup(app: App, request: Request, since: str | None = "none") -> None:
    """Save what request asks for, and tell what came of it.

    since: the folder of an earlier backup, "none", or None for this phone's newest one.
    """
    named = None if since is None or since == "none" else Earlier(open_backup(Path(since)))
    check_folder(request.folder, resume=request.resume)
    with app.phone() as phone:
        storage = Storage(phone)
        if since is None:
            named = earlier(owner(phone).serial, request.folder)
        request = replace(request, earlier=named)
        app.emit(Stage("survey", "reading the partition tables"))
        planned = prepare(storage, request)
        app.saving(planned)
        _announce(app, request, planned)
        app.total(saved_bytes(planned))
        with app.gentle() as cancel:
            report = save(storage, request, planned, emit=app.emit, cancel=cancel)
        app.saving(report.manifest)
    app.result(_data(report), _text(report))
    if report.lost:
        raise ReadFailedError(
            f"Not all could be read: {', '.join(report.lost[:8])}"
            f"{', ...' if len(report.lost) > 8 else ''}. Everything else is saved.",
            remedies=(
                "The manifest lists the sectors; a second backup, with the phone cooled down,"
                " may get more of them.",
            ),
        )


def _announce(app: App, request: Request, planned: Manifest) -> None:
    """Say before it begins how much it is, how long that takes, and whether it fits."""
    if request.earlier is not None:
        app.emit(Stage("since", f"{request.earlier.folder}: what is still the same is not read"))
    size = saved_bytes(planned)
    count = sum(1 for lun in planned.luns for extent in lun.extents if extent.file)
    time = format_duration(size / USUAL_BYTES_PER_S)
    app.emit(
        Stage(
            "plan",
            f"{plural(len(planned.luns), 'LUN')}, {plural(count, 'part')}, {format_size(size)};"
            f" at {format_size(USUAL_BYTES_PER_S)}/s {time}, less what is blank",
        )
    )
    for lun in planned.luns:
        data = lun.find("userdata")
        if data is not None and data.file is not None:
            bytes_ = data.sectors * planned.storage.sector_bytes
            if bytes_ >= GIB:
                text = f"userdata is {format_size(bytes_)} of it; --skip userdata leaves it out"
                app.emit(Stage("hint", text))
    free = free_bytes(request.folder)
    if free is not None and free < size:
        app.emit(
            Notice(
                f"the disk has {format_size(free)} free; that is enough only if"
                f" {format_size(size - free)} of the phone are blank"
                + (" or pack well" if request.compression is Compression.ZSTD else "")
                + "; if it becomes full, make room and add --resume"
            )
        )


def free_bytes(folder: Path) -> int | None:
    """Return how much room the disk has that folder is on, or will be."""
    for path in (folder.absolute(), *folder.absolute().parents):
        if path.exists():
            try:
                return shutil.disk_usage(path).free
            except OSError:
                return None
    return None


def _data(report: Report) -> dict[str, Any]:
    manifest = report.manifest
    return {
        "folder": str(report.folder),
        "serial": manifest.phone.serial,
        "chip": manifest.phone.chip,
        "form": manifest.form.value,
        "compression": manifest.compression.value,
        "verified": manifest.verified.value,
        "luns": [lun.lun for lun in manifest.luns],
        "parts": sum(1 for lun in manifest.luns for extent in lun.extents if extent.file),
        "saved_bytes": report.size_bytes,
        "moved_bytes": report.moved_bytes,
        "blank_bytes": report.blank_bytes,
        "resumed_bytes": report.resumed_bytes,
        "reused_bytes": report.reused_bytes,
        "disk_bytes": room_of(report.folder),
        "lost": list(report.lost),
        "left_out": [{"what": each.what, "reason": each.reason} for each in manifest.left_out],
        "documents": list(report.documents),
        "seconds": round(report.seconds, 3),
    }


def _text(report: Report) -> list[str]:
    manifest = report.manifest
    luns = ", ".join(str(lun.lun) for lun in manifest.luns)
    parts = sum(1 for lun in manifest.luns for extent in lun.extents if extent.file)
    owner = ", ".join(
        filter(None, (manifest.phone.serial or "serial not told", manifest.phone.chip))
    )
    packed = manifest.compression is Compression.ZSTD
    rows = [
        ("phone", owner),
        ("saved", f"{format_size(report.size_bytes)}: {plural(parts, 'part')} of LUN {luns}"),
        (
            "blank",
            f"{format_size(report.blank_bytes)} needed no transfer" if report.blank_bytes else "",
        ),
        (
            "unchanged",
            f"{format_size(report.reused_bytes)} came from the earlier backup"
            if report.reused_bytes
            else "",
        ),
        (
            "resumed",
            f"{format_size(report.resumed_bytes)} were there from the interrupted run"
            if report.resumed_bytes
            else "",
        ),
        ("verified", _HOW[manifest.verified]),
        ("folder", f"{report.folder} ({format_size(room_of(report.folder))} on the disk)"),
    ]
    lines = [f"Saved in {format_duration(report.seconds)}."]
    lines += [f"  {name:<10} {text}" for name, text in rows if text]
    lines += [f"  without    {each.what}: {each.reason}" for each in manifest.left_out]
    lines.append(f"  write back edl restore {report.folder}")
    if packed:
        lines.append(
            "  note       other tools: zstd -d unpacks the files; there is no XML for them"
        )
    elif report.documents:
        lines.append(
            f"             or, with any other tool: {', '.join(report.documents[:2])}, ..."
        )
    return lines
