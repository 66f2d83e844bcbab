# SPDX-License-Identifier: BSD-3-Clause
"""What a programmer runs on, and what may be wrong with the programmer itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from edl.virtual.faults import Injector
from edl.virtual.storage import Extent, Storage
from edl.virtual.verifier import Fuses


@dataclass(frozen=True)
class Lock:
    """A maker's lock: which commands are refused, and in which words.

    Attributes:
        texts: logged for every refused command, without the generation's prefix.
        allowed: commands that work nevertheless, in lower case.
    """

    texts: tuple[str, ...]
    allowed: frozenset[str] = frozenset()


_BLANK_FUSES = Fuses(hwid=0, pk_hash=b"", secure_boot=False)

# Xiaomi and its contract makers, with their spelling: firehose.md 13 and 15.9.
XIAOMI_LOCK = Lock(
    ("Only nop and sig tag can be recevied before authentication.",), frozenset({"nop", "sig"})
)
# A programmer that takes what signed digest tables hold, and else nothing: firehose.md 12 and 14.
VIP_LOCK = Lock(("Verifying signature failed with 3", "Authentication of signed hash failed 0"))


# Programmers that let themselves be configured and refuse later: firehose.md 12, 13 and 15.10.
_OPENING = frozenset({"nop", "configure", "power"})
OPLUS_LOCK = Lock(
    ("read on PrimaryGPT:6:2 not allowed on external network",), _OPENING | {"getstorageinfo"}
)
VIVO_LOCK = Lock(("The operation is not allowed for read",), _OPENING | {"getstorageinfo"})
MOTOROLA_LIMIT = Lock(("handler getstorageinfo is restricted!",), _OPENING | {"read"})


@dataclass(frozen=True)
class Quirks:
    """Ways in which a programmer may differ from the real ones, or fail.

    Attributes:
        lock: a maker's lock.
        restricted: extents that a maker's policy refuses, as Motorola's does: firehose.md 15.10.
        missing: commands that this build lacks, in lower case, such as getsha256digest.
        silent_start: no banner.
        glued: documents that follow one another arrive in one transfer.
        late_logs: logs come after the response that they should precede.
        mute_after: after that many packets, take everything and answer nothing.
        garbage_after: after that many packets, every answer is `garbage`.
        garbage: what comes then.
        chatter_after: after that many packets, log for ever and answer nothing.
    """

    lock: Lock | None = None
    restricted: tuple[Extent, ...] = ()
    missing: frozenset[str] = frozenset()
    silent_start: bool = False
    glued: bool = False
    late_logs: bool = False
    mute_after: int | None = None
    garbage_after: int | None = None
    garbage: bytes = b"\xf0\xe9\x88\x14" * 16
    chatter_after: int | None = None


@dataclass
class Board:
    """What a programmer runs on.

    Attributes:
        storage: the phone's flash.
        chip_serial: serial number of the chip, 32 bits. The default is that of the dialogues.
        packet_bytes: largest USB packet, 512 at high speed and 1024 at SuperSpeed.
        payload_bytes: largest payload that the programmer supports, a multiple of 512; None: that
            of the real one.
        quirks: how this programmer differs from the real one.
        owed: sectors whose data the programmer waits for now, whatever else is sent to it.
        injector: the faults that strike its commands.
        memory: bytes that peek reads and poke writes, by address; others are zero.
        fuses: against which signatures of digest tables (VIP) are checked.
    """

    storage: Storage
    chip_serial: int = 0x1A2B3C4D
    packet_bytes: int = 512
    payload_bytes: int | None = None
    quirks: Quirks = Quirks()
    owed: Extent | None = None
    injector: Injector = field(default_factory=Injector)
    memory: dict[int, int] = field(default_factory=dict)
    fuses: Fuses = _BLANK_FUSES
