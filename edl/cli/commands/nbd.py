# SPDX-License-Identifier: BSD-3-Clause
"""Serve a part of the phone's storage as a block device."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import click

from edl.chunks import FillContent
from edl.cli.again import heed, traced
from edl.cli.app import App
from edl.cli.commands.write import plan_for
from edl.cli.options import Settings, lun_option, once, phone_options
from edl.cli.staying import staying
from edl.cli.targets import with_lun
from edl.device.storage import Place, Storage, parse_targets
from edl.errors import EdlError, UsageError
from edl.events import Stage
from edl.nbd import server
from edl.nbd.disk import Disk
from edl.nbd.server import Where
from edl.plan.job import Rules
from edl.plan.model import Write
from edl.units import format_size


@click.command("nbd")
@click.argument("target", default="0")
@lun_option()
@once("--socket", "path", metavar="PATH", help="Unix socket to make [default: one of its own].")
@once("--tcp", type=click.IntRange(1, 65535), metavar="PORT", help="Port of 127.0.0.1 instead.")
@click.option("--once", "until_last", is_flag=True, help="End when the last client has left.")
@click.option("--writable", is_flag=True, help="Let clients write, too.")
@click.option(
    "--overwrite",
    multiple=True,
    metavar="NAMES",
    help="With --writable: overwrite these partitions although they exist only once.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_obj
def command(
    settings: Settings,
    target: str,
    lun: int | None,
    path: str | None,
    tcp: int | None,
    until_last: bool,
    writable: bool,
    overwrite: tuple[str, ...],
    yes: bool,
) -> None:
    """Serve TARGET (LUN 0) as a block device over NBD, read-only, until Ctrl-C.

    nbdfuse, nbdcopy, qemu-img, nbd-client and guestfish take the address that is shown. What
    clients write (--writable) goes to the phone and is verified when they flush.
    TARGET: NAME, LUN/NAME, LUN, LUN/START or LUN/START+SECTORS.

    \b
    Examples:
      edl nbd userdata
      edl nbd 0 --socket /tmp/phone.sock
      edl nbd cache --writable --once
    """  # fmt: skip
    if path is not None and tcp is not None:
        raise UsageError("Choose either --socket or --tcp.")
    if overwrite and not writable:
        raise UsageError("--overwrite belongs to --writable.")
    (text,) = with_lun(target, lun) if "," not in target else [target]
    names = tuple(name.strip() for part in overwrite for name in part.split(","))
    rules = traced(Rules(overwrite=tuple(filter(None, names)))) if writable else None
    where = Where(Path(path) if path else None, tcp)
    _serve(App(settings), text, where, rules, until_last=until_last, yes=yes)


def _serve(
    app: App, text: str, where: Where, rules: Rules | None, *, until_last: bool, yes: bool
) -> None:
    targets = parse_targets([text])
    if len(targets) != 1:
        raise UsageError("'edl nbd' serves one TARGET.")
    with staying(app) as held:
        storage = Storage(held.phone)
        place = storage.place(targets[0])
        disk = Disk(held.phone, place, rules=rules, again=held.again, emit=app.emit)
        if rules is not None:
            first = place.area.part(0, place.area.sector_bytes)
            plan = plan_for("write", place.label, [
                Write(first, FillContent(first.size_bytes), place.label, "", "")
            ], storage)  # fmt: skip
            heed(app, plan, held.phone.serial, rules, yes=yes)
        writable = rules is not None
        with server.running(disk, where, writable=writable, once=until_last) as running:
            what = f"{place.label}, {format_size(place.area.size_bytes)}"
            how = "writable" if writable else "read-only"
            app.emit(Stage("serve", f"{what}, {how}, at {running.uri}"))
            with app.gentle() as cancel:
                _until_the_end(running, disk, cancel)
    data, lines = _told(place, running.uri, disk)
    app.result(data, lines)


def _until_the_end(running: server.Server, disk: Disk, cancel: threading.Event) -> None:
    """Serve, and bring what still waits to the phone.

    Raises:
        EdlError: the phone is lost; `state` says how much is not on it.
    """
    try:
        running.serve(disk, cancel)
        disk.flush()
        if disk.lost is not None:
            raise disk.lost
    except EdlError as error:
        if disk.waiting_bytes:
            error.state = (
                f"{format_size(disk.waiting_bytes)} that clients wrote are not on the phone."
            )
        raise


def _told(place: Place, uri: str, disk: Disk) -> tuple[dict[str, Any], list[str]]:
    data = {
        "label": place.label,
        "lun": place.area.lun,
        "start_sector": place.area.start_sector,
        "sectors": place.area.sectors,
        "bytes": place.area.size_bytes,
        "uri": uri,
        "read_bytes": disk.read_bytes,
        "fetched_bytes": disk.fetched_bytes,
        "written_bytes": disk.written_bytes,
    }
    line = f"served {place.label}: {format_size(disk.read_bytes)} were read"
    if disk.written_bytes:
        line += f", {format_size(disk.written_bytes)} written and verified"
    return data, [line]
