# SPDX-License-Identifier: BSD-3-Clause
"""Show what is known of the phone: chip, serial number, keys, programmer, storage."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.device.connect import Phone
from edl.device.storage import Storage
from edl.units import format_size


@click.command("info")
@phone_options
@click.pass_obj
def command(settings: Settings) -> None:
    """Show chip, serial number, keys, programmer and storage.

    \b
    Example:
      edl info --loader prog_firehose.elf
    """
    app = App(settings)
    with app.phone() as phone:
        data = _data(phone)
    app.result(data, _text(data))


def _data(phone: Phone) -> dict[str, Any]:
    identity, programmer = phone.identity, phone.programmer
    greeting = programmer.greeting
    luns = []
    for lun in Storage(phone).luns():
        info = phone.lun(lun)
        luns.append({"lun": lun, "sectors": info.sectors, "bytes": _bytes(phone, lun)})
    first = phone.luns.get(0)
    configuration = programmer.configuration
    return {
        "serial": phone.serial,
        "chip": identity.chip,
        "identity": identity.describe(),
        "hwid": None if identity.hwid is None else f"{identity.hwid:#018x}",
        "pk_hash": None if identity.pk_hash is None else identity.pk_hash.hex(),
        "sahara_version": identity.sahara_version,
        "programmer": {
            "generation": programmer.generation,
            "build_date": greeting.build_date,
            "target": configuration.target if configuration else None,
            "functions": None if greeting.functions is None else sorted(greeting.functions),
            "payload_bytes": programmer.payload_bytes,
        },
        "storage": {
            "type": programmer.memory,
            "product": first.product if first else None,
            "manufacturer_id": first.manufacturer_id if first else None,
            "serial": first.serial if first else None,
            "firmware": first.firmware if first else None,
            "sector_bytes": phone.sector_bytes,
            "luns": luns,
        },
    }


def _bytes(phone: Phone, lun: int) -> int | None:
    sectors = phone.lun(lun).sectors
    return None if sectors is None else sectors * phone.sector_bytes


def _text(data: dict[str, Any]) -> list[str]:
    programmer, storage = data["programmer"], data["storage"]
    functions = programmer["functions"]
    lines = [
        f"serial      {data['serial']}",
        f"chip        {data['chip'] or 'not known'}",
        f"hwid        {data['hwid'] or 'not told'}",
        f"pk hash     {data['pk_hash'] or 'not told'}",
        f"programmer  generation {programmer['generation']}"
        + (f", built {programmer['build_date']}" if programmer["build_date"] else "")
        + (f", for {programmer['target']}" if programmer["target"] else "")
        + f", transfers of {format_size(programmer['payload_bytes'])}",
        f"commands    {' '.join(functions) if functions is not None else 'not listed'}",
        f"storage     {storage['type']}, {storage['product'] or 'product not told'},"
        f" {storage['sector_bytes']}-byte sectors",
    ]
    for row in storage["luns"]:
        size = format_size(row["bytes"]) if row["bytes"] else "size not told"
        lines.append(f"  LUN {row['lun']}     {size}")
    return lines
