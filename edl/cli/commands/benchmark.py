# SPDX-License-Identifier: BSD-3-Clause
"""Measure cable and storage, without writing anything."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.commands.provision import firehose
from edl.cli.options import Settings, once, phone_options
from edl.device import extras
from edl.device.extras import Speed
from edl.device.storage import Storage
from edl.errors import UsageError
from edl.events import Stage
from edl.firehose.commands import Area
from edl.units import GIB, MIB, format_size, parse_size

_SPEEDS = {1: "1.5 Mbit/s", 2: "12 Mbit/s", 3: "480 Mbit/s", 4: "5 Gbit/s", 5: "10 Gbit/s"}
_USUAL_BYTES = 32 * MIB
_CABLE_BOUND = 0.8  # a cable that moves this part of what the storage gives is not what bounds it


@click.command("benchmark")
@once("--size", metavar="SIZE", help="How much to read of LUN 0 [default: 32MiB].")
@phone_options
@click.pass_obj
def command(settings: Settings, size: str | None) -> None:
    """Measure how fast commands, reading and digests are. Nothing is written.

    The programmer's own <benchmark> is not used: it can destroy what is on the storage.

    \b
    Example:
      edl benchmark --size 256MiB
    """
    wanted = _wanted(size)
    app = App(settings)
    with app.phone() as phone:
        programmer = firehose(phone)
        total = Storage(phone).sectors(0)
        sectors = max(wanted // phone.sector_bytes, 1)
        area = Area(0, 0, sectors if total is None else min(sectors, total), phone.sector_bytes)
        app.emit(Stage("measure", f"reading {format_size(area.size_bytes)} of LUN 0"))
        speed = extras.measure(programmer, area)
        link = programmer.link_speed
    data = {
        "bytes": speed.read_bytes,
        "trip_s": round(speed.trip_s, 6),
        "read_bytes_per_s": round(speed.read_rate),
        "digest_bytes_per_s": None if speed.digest_rate is None else round(speed.digest_rate),
        "usb_speed": _SPEEDS.get(link or 0),
        "payload_bytes": programmer.payload_bytes,
    }
    app.result(data, _text(speed, _SPEEDS.get(link or 0), programmer.payload_bytes))


def _wanted(size: str | None) -> int:
    try:
        wanted = _USUAL_BYTES if size is None else parse_size(size)
    except ValueError as error:
        raise UsageError(f"--size: {error}.") from error
    if not 0 < wanted <= 64 * GIB:
        raise UsageError("--size is up to 64GiB.")
    return wanted


def _text(speed: Speed, link: str | None, payload_bytes: int) -> list[str]:
    lines = [
        f"  command  {speed.trip_s * 1000:.2f} ms there and back",
        f"  read     {format_size(round(speed.read_rate))}/s over the cable"
        f" (USB {link or 'speed not told'}, transfers of {format_size(payload_bytes)})",
    ]
    if speed.digest_rate is None:
        return [*lines, "  digest   not offered by this programmer"]
    lines.append(f"  digest   {format_size(round(speed.digest_rate))}/s inside the phone")
    bound = "the storage or the programmer"
    if speed.read_rate < _CABLE_BOUND * speed.digest_rate:
        bound = "the cable and the size of transfers"
    return [*lines, f"What bounds reading: {bound}."]
