# SPDX-License-Identifier: BSD-3-Clause
"""Which faults there are, where each can strike, and what its value means: one table.

`edl.virtual.faults` reads the language, docs/virtual-phones.md shows the same table to people.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


class Place(enum.StrEnum):
    """What is counted until the fault.

    Bytes and transfers are those over USB, seen from the host; transfers of no bytes count. Then
    the Firehose commands that the programmer knows, all of them (`command`) or those of one name;
    bytes that edl writes to the disk; bytes that it reads of the files which go to the phone.
    """

    OUT = "out"
    IN = "in"
    OUT_TRANSFER = "out-transfer"
    IN_TRANSFER = "in-transfer"
    COMMAND = "command"
    CONFIGURE = "configure"
    NOP = "nop"
    GETSTORAGEINFO = "getstorageinfo"
    READ = "read"
    PROGRAM = "program"
    ERASE = "erase"
    PATCH = "patch"
    GETSHA256DIGEST = "getsha256digest"
    SETBOOTABLE = "setbootablestoragedrive"
    POWER = "power"
    DISK = "disk"
    SOURCE = "source"


WIRE = (Place.OUT, Place.IN, Place.OUT_TRANSFER, Place.IN_TRANSFER)
TRANSFERS = (Place.OUT_TRANSFER, Place.IN_TRANSFER)
COMMANDS = (
    Place.COMMAND,
    Place.CONFIGURE,
    Place.NOP,
    Place.GETSTORAGEINFO,
    Place.READ,
    Place.PROGRAM,
    Place.ERASE,
    Place.PATCH,
    Place.GETSHA256DIGEST,
    Place.SETBOOTABLE,
    Place.POWER,
)
_STORED = (Place.READ, Place.PROGRAM, Place.ERASE, Place.PATCH, Place.GETSHA256DIGEST)
_KEPT = (Place.PROGRAM, Place.ERASE, Place.PATCH)


class Kind(enum.StrEnum):
    """What goes wrong."""

    UNPLUG = "unplug"
    RESET = "reset"
    STALL = "stall"
    FREEZE = "freeze"
    TIMEOUT = "timeout"
    SHORT = "short"
    OVERFLOW = "overflow"
    SWALLOW = "swallow"
    ZLP_LOST = "zlp-lost"
    ZLP_EXTRA = "zlp-extra"
    CORRUPT = "corrupt"
    GARBAGE = "garbage"
    BUSY = "busy"
    DENIED = "denied"
    NAK = "nak"
    LATE_NAK = "late-nak"
    MUTE = "mute"
    LATE = "late"
    EARLY = "early"
    GLUED = "glued"
    SPLIT = "split"
    MALFORMED = "malformed"
    FLOOD = "flood"
    DIGEST = "digest"
    SECTOR_SIZE = "sector-size"
    SECTORS = "sectors"
    FORGET = "forget"
    UNREADABLE = "unreadable"
    SLOW = "slow"
    KILL = "kill"
    DISK_FULL = "disk-full"
    SOURCE_CHANGED = "source-changed"
    SOURCE_CUT = "source-cut"


class Value(enum.Enum):
    """What stands behind the number."""

    NONE = "no value"
    SECONDS = "seconds, 0.001 to 3600"
    MASK = "the bits to flip, two hex digits"
    DATA = "1 to 4096 bytes in hex digits"
    COUNT = "a number, 0 to 1000000000000"
    STATE = "edl, system, crash or off"


@dataclass(frozen=True)
class Row:
    """One kind of fault.

    title: what it does. example: as `parse_fault` reads it. default: of its value, in words.
    """

    title: str
    places: tuple[Place | None, ...]
    example: str
    value: Value = Value.NONE
    default: str = ""


TABLE: Mapping[Kind, Row] = {
    Kind.UNPLUG: Row("the cable comes out", WIRE + COMMANDS, "unplug@out:100000"),
    Kind.RESET: Row(
        "the phone resets itself and comes back in another state",
        WIRE + COMMANDS,
        "reset@program:2:crash",
        Value.STATE,
        "edl",
    ),
    Kind.STALL: Row("the phone halts that endpoint", WIRE, "stall@in-transfer:3"),
    Kind.FREEZE: Row(
        "the phone moves no more data there", WIRE, "freeze@out:4096:1.7", Value.SECONDS, "for ever"
    ),
    Kind.TIMEOUT: Row(
        "nothing moves until the computer gives up waiting, once; in the middle of a transfer it"
        " has a part of the data then",
        WIRE,
        "timeout@in:5000",
    ),
    Kind.SHORT: Row(
        "the phone takes fewer bytes than it was sent, and the computer is told so",
        (Place.OUT, Place.OUT_TRANSFER),
        "short@out-transfer:7:512",
        Value.COUNT,
        "half",
    ),
    Kind.OVERFLOW: Row(
        "more comes than was asked for: at bytes and transfers a packet that finds no room and is"
        " lost, at reads more raw data",
        (Place.IN, Place.IN_TRANSFER, Place.READ),
        "overflow@read:0:512",
        Value.COUNT,
        "a sector",
    ),
    Kind.SWALLOW: Row("a transfer gets lost", TRANSFERS, "swallow@out-transfer:2"),
    Kind.ZLP_LOST: Row(
        "the next zero-length packet gets lost", TRANSFERS, "zlp-lost@out-transfer:9"
    ),
    Kind.ZLP_EXTRA: Row(
        "a zero-length packet too many comes: of the phone after that transfer, of the computer"
        " after its next one",
        TRANSFERS,
        "zlp-extra@in-transfer:9",
    ),
    Kind.CORRUPT: Row(
        "bits of that byte are flipped",
        (Place.OUT, Place.IN),
        "corrupt@out:70000:01",
        Value.MASK,
        "ff",
    ),
    Kind.GARBAGE: Row(
        "stray bytes come before that transfer",
        (Place.IN_TRANSFER,),
        "garbage@in-transfer:5:deadbeef",
        Value.DATA,
        "f0e98814",
    ),
    Kind.BUSY: Row(
        "another program has the phone; NUMBER: for so many attempts", (None,), "busy:2"
    ),
    Kind.DENIED: Row("the user may not open the phone; NUMBER: so often", (None,), "denied"),
    Kind.NAK: Row("the programmer refuses the command", COMMANDS, "nak@program:2"),
    Kind.LATE_NAK: Row(
        "the programmer carries the command out, takes its data, and says NAK in the end",
        COMMANDS,
        "late-nak@program:2",
    ),
    Kind.MUTE: Row(
        "the programmer carries the command out and says nothing", COMMANDS, "mute@erase:0"
    ),
    Kind.LATE: Row("the answer comes late", COMMANDS, "late@program:1:30", Value.SECONDS, "20"),
    Kind.EARLY: Row("the response comes before its logs", COMMANDS, "early@read:0"),
    Kind.GLUED: Row("documents come together in one transfer", COMMANDS, "glued@program:0"),
    Kind.SPLIT: Row(
        "each document comes in two transfers, the first of so many bytes",
        COMMANDS,
        "split@command:3:17",
        Value.COUNT,
        "half",
    ),
    Kind.MALFORMED: Row("the first response is no well-formed XML", COMMANDS, "malformed@patch:0"),
    Kind.FLOOD: Row(
        "so many logs come before the first response, 0 for ever",
        COMMANDS,
        "flood@program:0:0",
        Value.COUNT,
        "5000",
    ),
    Kind.DIGEST: Row("the digest is wrong", (Place.GETSHA256DIGEST,), "digest@getsha256digest:0"),
    Kind.SECTOR_SIZE: Row(
        "from then on the storage is said to have sectors of so many bytes",
        (Place.GETSTORAGEINFO,),
        "sector-size@getstorageinfo:0:4096",
        Value.COUNT,
        "4096 for 512, and the reverse",
    ),
    Kind.SECTORS: Row(
        "from then on the storage is said to have so many sectors",
        (Place.GETSTORAGEINFO,),
        "sectors@getstorageinfo:0:1000",
        Value.COUNT,
        "twice as many as it has",
    ),
    Kind.FORGET: Row("the storage keeps nothing of it, and all say ACK", _KEPT, "forget@program:4"),
    Kind.UNREADABLE: Row(
        "the storage cannot read on after so many sectors of the extent",
        (Place.READ, Place.GETSHA256DIGEST),
        "unreadable@read:3:8",
        Value.COUNT,
        "half",
    ),
    Kind.SLOW: Row("the storage takes long", _STORED, "slow@erase:0:600", Value.SECONDS, "180"),
    Kind.KILL: Row(
        "edl is killed, as by kill -9",
        (*WIRE, *COMMANDS, Place.DISK, Place.SOURCE),
        "kill@out:3000000",
    ),
    Kind.DISK_FULL: Row(
        "the computer's disk takes no more bytes of edl", (Place.DISK,), "disk-full@disk:100000"
    ),
    Kind.SOURCE_CHANGED: Row(
        "the file that is being read is another one from then on (the one on the disk stays as it"
        " is)",
        (Place.SOURCE,),
        "source-changed@source:50000",
    ),
    Kind.SOURCE_CUT: Row(
        "the file that is being read ends there (the one on the disk stays as it is)",
        (Place.SOURCE,),
        "source-cut@source:50000",
    ),
}


def every() -> Iterator[tuple[Kind, Place | None]]:
    """Yield each kind with each place where it can strike."""
    for kind, row in TABLE.items():
        for place in row.places:
            yield kind, place
