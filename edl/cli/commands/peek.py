# SPDX-License-Identifier: BSD-3-Clause
"""Show the memory of the phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from edl.cli.app import App
from edl.cli.commands.provision import firehose
from edl.cli.options import Settings, phone_options
from edl.device import extras
from edl.device.firehose import Programmer
from edl.errors import DeviceRefusedError, UsageError
from edl.events import BytesMoved, StepStarted
from edl.outfile import new_file
from edl.units import MIB, parse_number, parse_size

_MOST_BYTES = 64 * MIB
_ADDRESSES = 1 << 64
_ROW = 16


@click.command("peek")
@click.argument("address")
@click.argument("length")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_obj
def command(settings: Settings, address: str, length: str, file: Path | None, yes: bool) -> None:
    """Show LENGTH bytes of the phone's memory from ADDRESS on, or save them to FILE.

    For diagnosis: it reads, and changes nothing. Few programmers can: those of the first two
    generations mostly, and none where secure boot forbids it. Which addresses make sense is in the
    chip's documents; at others some phones hang until their power button is held.

    \b
    Examples:
      edl peek 0x14015000 256
      edl peek 0x08600000 4KiB memory.bin
    """
    start, size = _range(address, length)
    app = App(settings)
    with app.phone() as phone:
        programmer = _able(firehose(phone))
        app.confirm(f"Reading memory at {start:#x} can make the phone hang.", yes=yes)
        app.emit(StepStarted(1, 1, "memory", size))
        data = b"".join(_told(app, extras.peek(programmer, start, size)))
    if file is not None:
        with new_file(file, size_bytes=size) as opened:
            opened.write(data)
    result = {
        "address": f"{start:#x}",
        "bytes": size,
        "file": None if file is None else str(file),
        "hex": data.hex() if file is None else None,
    }
    app.result(result, [f"{size} bytes saved to {file}."] if file else _dump(start, data))


def _range(address: str, length: str) -> tuple[int, int]:
    try:
        start, size = parse_number(address), parse_size(length)
    except ValueError as error:
        raise UsageError(
            f"Name an address and a length, such as 0x14015000 256: {error}."
        ) from error
    if not 0 < size <= _MOST_BYTES or start + size > _ADDRESSES:
        raise UsageError("The length is from 1 byte to 64MiB, within 64-bit addresses.")
    return start, size


def _able(programmer: Programmer) -> Programmer:
    """Return programmer, which may be asked for memory.

    Raises:
        DeviceRefusedError: it lacks the command.
    """
    if programmer.supports("peek") is False:
        raise DeviceRefusedError(
            "This programmer has no <peek>: it shows no memory.",
            remedies=("Nothing needs it for a rescue: see 'edl info' for what it can do.",),
        )
    return programmer


def _told(app: App, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        app.emit(BytesMoved(len(piece)))
        yield piece


def _dump(start: int, data: bytes) -> Iterator[str]:
    for at in range(0, len(data), _ROW):
        row = data[at : at + _ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start + at:08x}  {row.hex(' '):<{3 * _ROW}} {text}"
