# SPDX-License-Identifier: BSD-3-Clause
"""Commands of programmers that no rescue needs: raw ones, memory, tables, measuring."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from edl.device.firehose import Programmer
from edl.errors import DeviceRefusedError, ProtocolError, UsageError
from edl.firehose import commands
from edl.firehose.answers import parse_peek
from edl.firehose.commands import Area
from edl.formats.xml import Element, read_document
from edl.units import MIB

PEEK_BYTES = 512  # with one command; generation 1 logs 50 bytes a line
FIX_TIMEOUT_S = 120.0
_PINGS = 20
_NAME = re.compile(r"[A-Za-z]\w{0,40}", re.ASCII)

# Changes nothing, and nothing can go wrong by it.
HARMLESS = frozenset({"nop", "getstorageinfo", "getsha256digest", "getcrc16digest"})
# What must not be sent like this, and what is there instead.
REFUSED = {
    "program": "data belongs to it: edl write, or edl rawprogram FILE.xml",
    "read": "data belongs to it: edl read, or edl rawprogram FILE.xml",
    "firmwarewrite": "data belongs to it: edl firmwarewrite FILE",
    "sig": "data belongs to it, which only the maker's service can give",
    "configure": "edl has agreed on it already: --memory and --max-payload say what differs",
    "ufs": "edl provision FILE.xml checks it, saves what is there, and verifies it",
    "emmc": "it can be set once in the life of an eMMC, and no phone in need needs it",
    "createstoragedrives": "it can be set once in the life of an eMMC",
    "poke": "it changes the memory of the running programmer",
}
# What is known to do more than it says (executed).
TRAPS = {
    "erase": "generations 1 and 2 erase the whole LUN, whatever range is named, and generation 3"
    " does if an attribute is missing",
    "patch": "generation 2 writes 8 bytes whatever the size is",
    "power": "generation 3 restarts the phone on any word that it does not know",
}


def raw_commands(text: bytes, name: str) -> list[tuple[str, bytes]]:
    """Return tag and document of each command in text: one element, or several in <data>.

    Each goes in a document of its own, in the form that every programmer understands.

    Raises:
        DocumentError: text is no XML.
        UsageError: a command must not, or cannot, be sent like this.
    """
    root = read_document(text, name).root
    elements = root.children if root.tag in {"data", "patches"} else (root,)
    if not elements:
        raise UsageError(f"{name} holds no command.")
    return [(element.tag.lower(), _document(element)) for element in elements]


def _document(element: Element) -> bytes:
    names = (element.tag, *element.attributes)
    if not all(_NAME.fullmatch(name) for name in names):
        raise UsageError(f"<{element.tag[:40]}> has names that no programmer takes.")
    reason = REFUSED.get(element.tag.lower())
    if reason is not None:
        raise UsageError(f"<{element.tag}> is not sent like this: {reason}.")
    if element.children or element.text:
        raise UsageError(f"<{element.tag}> holds something: programmers take attributes only.")
    if element.tag == "nop" and not element.attributes:
        return commands.nop()
    try:
        return commands.document(element.tag, element.attributes)
    except ValueError as error:
        raise UsageError(f"<{element.tag}> cannot be sent: {error}.") from error


def peek(programmer: Programmer, address: int, size_bytes: int) -> Iterator[bytes]:
    """Yield the phone's memory from address on, piece by piece. Nothing is changed.

    Raises:
        DeviceRefusedError: the programmer has no such command, or does not give this memory.
    """
    for at in range(0, size_bytes, PEEK_BYTES):
        wanted = min(PEEK_BYTES, size_bytes - at)
        xml = commands.peek(address + at, wanted, programmer.generation)
        data = parse_peek(programmer.command("peek", xml).logs)
        if not data:  # generation 1 says yes to what it does not know
            raise DeviceRefusedError(
                f"The programmer says yes, and shows nothing of the memory at {address + at:#x}.",
                remedies=("This programmer cannot show memory; nothing was changed.",),
            )
        if len(data) != wanted:
            raise ProtocolError(f"{len(data)} bytes of memory came where {wanted} were asked for.")
        yield data


def fix_gpt(programmer: Programmer, lun: int, *, grow: bool) -> None:
    """Let the programmer make both partition tables of lun from its primary one.

    Raises:
        DeviceRefusedError: the primary table is damaged, or there is no such command.
    """
    programmer.command("fixgpt", commands.fix_gpt(lun, grow=grow), FIX_TIMEOUT_S)


@dataclass(frozen=True)
class Speed:
    """What was measured. Times in seconds; None where the programmer computes no digests.

    trip_s: one command and its answer. read_s: reading read_bytes over the cable. digest_s: reading
    and hashing the same bytes inside the phone.
    """

    trip_s: float
    read_bytes: int
    read_s: float
    digest_s: float | None

    @property
    def read_rate(self) -> float:
        """Bytes a second over the cable."""
        return self.read_bytes / self.read_s if self.read_s else 0.0

    @property
    def digest_rate(self) -> float | None:
        """Bytes a second inside the phone."""
        return self.read_bytes / self.digest_s if self.digest_s else None


def measure(programmer: Programmer, area: Area) -> Speed:
    """Measure commands, reading and digests; only reads, and sends no <benchmark>.

    That command's test of writes destroys what is on the storage, and no answer tells whether a
    programmer does it unasked.

    Raises:
        DeviceRefusedError: area cannot be read.
    """
    begun = time.perf_counter()
    for _ in range(_PINGS):
        programmer.ping()
    trip_s = (time.perf_counter() - begun) / _PINGS
    begun = time.perf_counter()
    for part in _parts(area):
        programmer.read(part, lambda _: None)
    read_s = time.perf_counter() - begun
    begun = time.perf_counter()
    digest = programmer.sha256(area)
    digest_s = time.perf_counter() - begun if digest is not None else None
    return Speed(trip_s, area.size_bytes, read_s, digest_s)


def _parts(area: Area) -> Iterator[Area]:
    step = 16 * MIB
    for at in range(0, area.size_bytes, step):
        yield area.part(at, min(step, area.size_bytes - at))
