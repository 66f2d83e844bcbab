# SPDX-License-Identifier: BSD-3-Clause
"""Give the storage device new firmware of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import click

from edl.cli import severe
from edl.cli.app import App
from edl.cli.commands.provision import firehose
from edl.cli.options import Settings, phone_options
from edl.device.firehose import Programmer
from edl.device.phone import Phone
from edl.errors import DeviceRefusedError, EdlError, ImageError
from edl.events import BytesMoved, Notice, StepStarted
from edl.firehose.commands import Area
from edl.units import MIB, format_size

_MOST_BYTES = 64 * MIB  # those of UFS and eMMC devices have less than 2
_WORD = "FIRMWARE"
_TAKEN = "FW Update Successful"  # logged by 563 of 719 programmers that were looked through


@click.command("firmwarewrite")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be sent and touch nothing.")
@severe.allow_option
@phone_options
@click.pass_obj
def command(settings: Settings, file: Path, dry_run: bool, allow: str | None) -> None:
    """Give the storage device (UFS, eMMC) the firmware in FILE, as its maker made it.

    This is the program inside the storage chip, not of the phone. The wrong one makes the chip
    useless for ever, with all data on it. No rescue needs it unless the chip's maker says so.

    \b
    Example:
      edl firmwarewrite ffu.bin --dry-run
    """
    data = _content(file)
    app = App(settings)
    with app.phone() as phone:
        programmer = _able(firehose(phone))
        info = phone.lun(0)
        now = f"{info.product or 'storage'}, firmware {info.firmware or 'not told'}"
        code = severe.code("firmwarewrite", hashlib.sha256(data).hexdigest(), phone.serial, now)
        what = f"{file.name}: {format_size(len(data))} for {now}"
        logs: tuple[str, ...] = ()
        if dry_run:
            lines = [what, f"Nothing was sent. In a script: --allow {code}"]
        else:
            question = (
                f"This replaces the firmware inside the storage chip of phone {phone.serial}"
                f" ({now}). The wrong file makes the chip useless for ever, with all data on it."
            )
            severe.require(app, question, word=_WORD, wanted=code, given=allow)
            logs = _send(app, phone, programmer, data)
            lines = [
                "The storage took it. Whether it runs it shows after a start only:",
                "  switch the phone off and on (edl reset --mode edl), then compare: edl info",
            ]
            if not any(_TAKEN in line for line in logs):
                app.emit(Notice(f"the programmer did not log '{_TAKEN}'"))
    app.result(
        {
            "file": str(file),
            "bytes": len(data),
            "product": info.product,
            "firmware": info.firmware,
            "code": code,
            "taken": not dry_run,
            "logs": list(logs),
        },
        lines,
    )


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror}.") from error
    if not 0 < len(data) <= _MOST_BYTES:
        raise ImageError(f"{file} is no firmware of a storage chip: it is empty, or too large.")
    return data


def _able(programmer: Programmer) -> Programmer:
    if programmer.supports("firmwarewrite") is False:
        raise DeviceRefusedError(
            "This programmer has no <firmwarewrite>.",
            remedies=("Nothing was sent. No rescue needs it.",),
        )
    return programmer


def _send(app: App, phone: Phone, programmer: Programmer, data: bytes) -> tuple[str, ...]:
    unit = phone.sector_bytes
    padded = data + bytes(-len(data) % unit)
    area = Area(0, 0, len(padded) // unit, unit)
    app.emit(StepStarted(1, 1, "firmware of the storage", len(padded)))

    def moved(done: int) -> None:
        app.settings.changing = True
        app.emit(BytesMoved(done))

    try:
        with app.gentle():
            return programmer.firmware(area, _chunks(padded), moved)
    except EdlError as error:
        if app.settings.changing:
            error.state = "nobody knows which firmware the storage has; do not switch it off"
        raise
    finally:
        app.settings.changing = False


def _chunks(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + MIB] for at in range(0, len(data), MIB))
