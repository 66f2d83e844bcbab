# SPDX-License-Identifier: BSD-3-Clause
"""Show the phones in EDL mode."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.cli.quick import no_phone
from edl.errors import NoDeviceError, TransportError
from edl.transport import usbids
from edl.transport.discovery import Found
from edl.transport.serial import FoundPort

Row = dict[str, str | None]


@click.command("list")
@phone_options
@click.pass_obj
def command(settings: Settings) -> None:
    """Show the phones in EDL or crash-dump mode, also those that cannot be opened.

    A phone that a driver shows as a serial port is listed with it, also where USB does not work.

    \b
    Examples:
      edl list
      edl list --json
    """
    app = App(settings)
    with app.running(), app.plugged():
        ports = app.ports()
        phones, others = _look(app, ports)
    rows = rows_of(phones, ports)
    if not rows and settings.usb_path is not None:
        raise NoDeviceError(f"No phone in EDL mode is at USB {settings.usb_path}.")
    if not rows:
        raise _none(others)
    app.result({"phones": rows}, map(_line, rows))
    for other in others:
        app.say(f"{other}. {other.advice.todo[0]}")


def _look(app: App, ports: list[FoundPort]) -> tuple[list[Found], list[usbids.Other]]:
    """Return what is on the bus: phones, and what tells something where none is in EDL mode.

    Raises:
        TransportError: USB does not work, and there are no ports either.
    """
    backend = app.virtual.backend if app.virtual is not None else None
    try:
        phones = app.find()
        others = []
        if not ports and all(found.mode != "edl" for found in phones):
            others = usbids.others(backend)
    except TransportError as error:
        if not ports:
            raise
        app.say(f"  note     {error}")
        return [], []
    return phones, others


def rows_of(phones: list[Found], ports: list[FoundPort]) -> list[Row]:
    """Return a row for each phone; a port and a USB device may be the same one."""
    rows = []
    left = list(ports)
    for found in phones:
        port = next((port for port in left if _is_port_of(port, found)), None)
        if port is not None:
            left.remove(port)
        rows.append(_row(found, port))
    return rows + [_port_row(port) for port in left]


def _is_port_of(port: FoundPort, found: Found) -> bool:
    if port.location:
        return port.location == found.location
    return (port.vendor_id, port.product_id) == (found.vendor_id, found.product_id)


def _none(others: list[usbids.Other]) -> NoDeviceError:
    """Return the error that says that there is no phone, and what is there instead."""
    return no_phone(tuple(map(str, others)), others[0].advice.todo if others else ())


def _line(row: Row) -> str:
    mode = "EDL (9008)" if row["mode"] == "edl" else row["mode"]
    problem = f"  ({row['problem']})" if row["problem"] else ""
    port = f"  {row['port']}" if row["port"] and row["port"] != row["location"] else ""
    serial_number = row["serial"] or "?"
    return (
        f"{row['location']:<8} {row['id']}  {mode:<10}  serial {serial_number:<8}"
        f"  {row['product'] or ''}"
    ).rstrip() + f"{port}{problem}"


def _row(found: Found, port: FoundPort | None) -> Row:
    return {
        "location": found.location,
        "id": f"{found.vendor_id:04x}:{found.product_id:04x}",
        "mode": found.mode,
        "serial": found.serial,
        "chip": found.chip,
        "product": found.product,
        "port": port.name if port is not None else None,
        "problem": found.problem,
    }


def _port_row(port: FoundPort) -> Row:
    return {
        "location": port.name,
        "id": f"{port.vendor_id:04x}:{port.product_id:04x}",
        "mode": "edl",
        "serial": port.serial,
        "chip": None,
        "product": port.product or None,
        "port": port.name,
        "problem": None,
    }
