# SPDX-License-Identifier: BSD-3-Clause
"""Give a device without flash the images that it starts from."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

import click

from edl.cli import kickstarting
from edl.cli.app import App
from edl.cli.finding import Finder, describe
from edl.cli.options import Settings, free, once, phone_options
from edl.device.kickstart import Kickstart, Served
from edl.errors import CrashDumpError, UsageError
from edl.events import Stage
from edl.outfile import new_file
from edl.transport import Transport, node
from edl.transport.discovery import Found
from edl.transport.patient import PatientTransport
from edl.units import format_size

_COME_BACK_S = 10.0


def _options(function: click.decorators.FC) -> click.decorators.FC:
    """Add the options; -s means here what it means in qdl's ks."""
    listed = click.option(
        "-s", "--sahara", "listed", multiple=True, metavar="ID:FILE,...",
        help="Images by Sahara id; instead of what a SOURCE has.",
    )  # fmt: skip
    return listed(free(phone_options(function), "-s"))


@click.command("ks")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@once("-p", "place", metavar="PORT", hidden=True)
@once("--training", metavar="FILE", help="Keep the device's memory training data (image 34).")
@_options
@click.pass_obj
def command(
    settings: Settings,
    sources: tuple[str, ...],
    place: str | None,
    training: str | None,
    listed: tuple[str, ...],
) -> None:
    """Start a device without flash (modem, accelerator): give it the images that it asks for.

    SOURCE: a folder (files named ID_NAME, or a sahara_config XML), such an XML, or a CPIO archive.
    The device chooses the order, and ends the session. If it has crashed and offers its memory,
    that is told and left alone.

    \b
    Examples:
      edl ks FOLDER
      edl ks -s 21:sbl1.mbn -s 6:appsboot.mbn
      edl ks --port /dev/mhi0_QAIC_SAHARA -s 1:fw1.bin,2:fw2.bin
      edl ks FOLDER --training mdmddr.mbn
    """
    if place is not None:
        if settings.port not in {None, place}:
            raise UsageError("-p and --port name two ports.")
        settings.port = place
    app = App(settings)
    images = kickstarting.collect(sources, listed)
    keep = Path(training) if training is not None else None
    with app.running(), app.plugged(), contextlib.ExitStack() as held:
        served = _serve(app, images.data, keep, held)
    rows = [
        {"id": number, "file": images.names[number], "sent_bytes": size}
        for number, size in served.images.items()
    ]
    lines = [
        f"image {row['id']:<3}  {format_size(served.images[number]):>9}  {row['file']}"
        for number, row in zip(served.images, rows, strict=True)
    ]
    app.result(
        {
            "images": rows,
            "end": served.end.name.lower(),
            "training_bytes": served.training_bytes,
        },
        [*lines, f"The device has ended the session: {served.end.value}."],
    )


def _serve(
    app: App, images: dict[int, bytes], keep: Path | None, held: contextlib.ExitStack
) -> Served:
    """Find the device and serve it until it ends the session."""
    save = functools.partial(_save, keep) if keep is not None else None
    port = app.settings.port
    if port is not None and app.virtual is None and node.is_node(port):
        app.emit(Stage("found", f"a device at {port}"))
        transport: Transport = PatientTransport(node.NodeTransport(port), app.emit)
        held.callback(transport.close)
        return Kickstart(transport, images, app.emit, keep=save).run()
    finder = Finder(app)
    found = finder.wait()
    if isinstance(found, Found) and found.mode == "crash dump":
        raise CrashDumpError(
            f"The device at USB {found.location} has crashed ({found.product_id:04X}).",
            remedies=("Save its memory: edl ramdump -o DIR", "Restart it: edl reset"),
        )
    app.emit(Stage("found", describe(found)))
    transport = finder.open(found)
    held.callback(transport.close)

    def reopen() -> Transport:
        transport = finder.open(finder.again(found, _COME_BACK_S, left=True))
        held.callback(transport.close)
        return transport

    return Kickstart(transport, images, app.emit, keep=save, reopen=reopen).run()


def _save(path: Path, data: bytes) -> None:
    with new_file(path, size_bytes=len(data)) as file:
        file.write(data)
