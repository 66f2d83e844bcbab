# SPDX-License-Identifier: BSD-3-Clause
"""Pack what a bug report needs, without private words."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click

from edl.cli import doctoring, evidence
from edl.cli.app import App
from edl.cli.evidence import Item
from edl.cli.options import Settings, phone_options
from edl.errors import UsageError
from edl.outfile import new_file
from edl.transport import discovery
from edl.units import format_size

_HEAD = """\
Made by 'edl report'. Look through it before you give it away.

Replaced, each by one name wherever it stands: serial numbers, IMEI, ICCID, MAC, IP and mail
addresses, GUIDs, home folders, names of users and of the computer. Not replaced: chips, HWID,
hashes of makers' keys, digests, names of partitions and of other files and folders.
"""


@click.command("report")
@click.argument("file", required=False, metavar="[FILE.zip]")
@click.option("--show", is_flag=True, help="Show all that would be in it.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_obj
def command(settings: Settings, file: str | None, show: bool, force: bool, yes: bool) -> None:
    """Pack versions, checks, logs and journals into FILE.zip for a bug report; send nothing.

    Serial numbers, IMEIs, names and home folders are replaced, the same by the same everywhere.
    Without FILE.zip it only tells what would be in it. A phone gets no command, and nothing that it
    holds is in the report.

    \b
    Examples:
      edl report                 what would be in it
      edl report --show | less   all of it
      edl report trouble.zip
    """
    app = App(settings)
    target = Path(file) if file else None
    if target is not None and target.exists() and not force:
        raise UsageError(f"{target} exists already.", remedies=("Add --force to replace it.",))
    with app.running(), app.plugged():
        found = evidence.collect(lambda: _usb(app), lambda: doctoring.lines(app))
    items, replaced = evidence.redacted(found)
    items.insert(0, Item("README.txt", "what this is", _HEAD))
    if show:
        app.show(_contents(items))
    if target is not None:
        _announce(app, items, replaced)
        if app.at_terminal:
            app.confirm(f"This goes into {target}; nothing is sent.", yes=yes)
        _write(target, items)
    rows = [{"name": i.name, "bytes": len(i.text.encode()), "text": i.about} for i in items]
    data = {
        "file": str(target) if target else None,
        "bytes": sum(len(item.text.encode()) for item in items),
        "files": rows,
        "replaced": replaced,
    }
    last = f"{target} is written. Look through it, then add it to your report."
    if target is None:
        last = "Nothing was written. To write it: edl report FILE.zip"
    app.result(data, [*([] if show or target else _listed(items, replaced)), last])


def _usb(app: App) -> list[str]:
    """Return a line for each USB device, by its descriptors; none is opened."""
    backend = app.virtual.backend if app.virtual is not None else None
    phones = {(found.bus, found.address): found for found in discovery.find(backend)}
    lines = []
    for device in discovery.devices(backend):
        line = f"{device.bus}-{device.address} {device.idVendor:04x}:{device.idProduct:04x}"
        found = phones.get((device.bus, device.address))
        if found is not None:
            line += f" {found.mode}, at {found.location}: {found.product or ''}"
            line += f" ({found.problem})" if found.problem else ""
        lines.append(line.rstrip())
    return lines or ["no devices"]


def _listed(items: list[Item], replaced: int) -> list[str]:
    rows = [
        f"  {item.name:<44} {format_size(len(item.text.encode())):>9}  {item.about}"
        for item in items
    ]
    return [*rows, f"  {replaced} private word{'s' * (replaced != 1)} replaced"]


def _announce(app: App, items: list[Item], replaced: int) -> None:
    for line in _listed(items, replaced):
        app.say(line)


def _contents(items: list[Item]) -> list[str]:
    lines = []
    for item in items:
        lines += [f"==== {item.name}: {item.about}", *item.text.splitlines(), ""]
    return lines


def _write(target: Path, items: list[Item]) -> None:
    """Write the zip; it is the user's alone until they give it away."""
    with (
        new_file(target, private=True) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for item in items:
            packed.writestr(f"edl-report/{item.name}", item.text)
