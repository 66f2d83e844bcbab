# SPDX-License-Identifier: BSD-3-Clause
"""Phones older than Firehose: their loaders, and how their programmers come to run."""

from __future__ import annotations

from collections.abc import Mapping

from edl.device.dmss import DmssRom
from edl.device.streaming import Programmer
from edl.errors import UsageError
from edl.events import Emit, Stage
from edl.formats.programmer import Protocol, read_programmer
from edl.formats.ramprogram import read_ram_program
from edl.imageset import PROGRAMMER_ID
from edl.transport import Transport

_IDS = (PROGRAMMER_ID, 7)  # 7: of NAND modems


def _image(images: Mapping[int, bytes]) -> bytes:
    return next((images[number] for number in _IDS if number in images), b"")


def speaks_streaming(images: Mapping[int, bytes]) -> bool:
    """Tell whether images hold a programmer that speaks Streaming Download."""
    return read_programmer(_image(images)).protocol is Protocol.STREAMING


def upload(transport: Transport, images: Mapping[int, bytes], emit: Emit) -> bytes:
    """Give a boot ROM that speaks DMSS Download its programmer; return what that says first.

    Raises:
        DocumentError: the file does not tell where in memory it goes.
        ProgrammerRefusedError: the boot ROM does not take it.
    """
    rom = DmssRom(transport, emit)
    rom.upload(read_ram_program(_image(images)))
    return rom.leftover()


def started(transport: Transport, first: bytes, memory: str, emit: Emit) -> Programmer:
    """Return the programmer that runs, greeted. memory: what the user says it has, or empty.

    Raises:
        UsageError: it has another storage.
        EdlError: see `Programmer.start`.
    """
    programmer = Programmer(transport, emit)
    programmer.start(first)
    if memory and memory.lower() != programmer.memory:
        raise UsageError(
            f"You asked for {memory}, but the phone has {programmer.memory}.",
            remedies=(f"Leave --memory out, or use --memory {programmer.memory}.",),
        )
    reading = "lets the flash be read" if programmer.reads else "does not let the flash be read"
    emit(Stage("programmer", f"it speaks Streaming Download and {reading}"))
    return programmer
