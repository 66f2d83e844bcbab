# SPDX-License-Identifier: BSD-3-Clause
"""labgrid's coordinator, exporters and clients, with virtual phones at the exporters."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edl.virtual.phone import Phone
from tests.lab.conftest import IMAGES, on_the_disk
from tests.lab.rack import Rack


def new_phone(folder: Path, serial: str, *changes: str) -> Path:
    """Make a virtual phone of 4 MiB in folder."""
    spec = ",".join(["qcm2290", "size=4MiB", f"serial={serial}", *changes])
    with Phone.create(spec, folder) as phone:
        phone.save()
    return folder


def environment(place: str, rom: Path, **driver: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an environment as docs/lab.md has it."""
    return {
        "imports": ["edl.lab.labgrid"],
        "targets": {
            "main": {
                "resources": {"RemotePlace": {"name": place}},
                "drivers": {"EDLDriver": {"package": "rom", "assume_yes": True, **driver}},
            }
        },
        "images": {"rom": str(rom)},
    }


def test_two_hosts_flash_at_once(rack: Rack, package: Path, tmp_path: Path) -> None:
    """Two places on two exporters, each flashed by a client of its own, at the same time."""
    rom = Path(shutil.make_archive(str(tmp_path / "rom"), "zip", package))
    phones = {n: new_phone(tmp_path / f"phone-{n}", f"0x1111111{n}") for n in (1, 2)}
    clients = {}
    for n, phone in phones.items():
        rack.exporter(f"exporter-{n}", {"slot": phone})
        rack.place(f"phone-{n}", f"exporter-{n}/slot/*")
        options = {"options": ["--no-reset"]}
        path = rack.environment_file(f"phone-{n}", environment(f"phone-{n}", rom, **options))
        clients[n] = rack.begin("flash", path)
    for n, client in clients.items():
        told = rack.told(client)
        assert told["serial"] == f"1111111{n}"
        assert told["verified"] == sum(map(len, IMAGES.values()))
        assert Path(told["read"]).read_bytes() == IMAGES["one.img"]
        assert on_the_disk(phones[n]) == IMAGES
