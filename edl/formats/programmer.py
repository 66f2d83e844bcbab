# SPDX-License-Identifier: BSD-3-Clause
"""What a programmer is, read from its words: protocol, generation, commands, storage, locks.

Nothing here depends on signatures. The words are literals that programmers of a generation have in
common; they were counted in 719 of them. A word proves that the code is there, not that it is used.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

_FIREHOSE = (b"MaxPayloadSizeToTargetInBytes", b"SECTOR_SIZE_IN_BYTES")
_STREAMING = b"QCOM fast download protocol"
_MAX_HITS = 256  # of a word that is looked up more than once

# A handler's name lies among the names of others, between NULs.
_ANCHORS = (b"setbootablestoragedrive", b"getstorageinfo", b"configure")  # rarest first
_TABLE_REACH_BYTES = 1600
_ALWAYS = {b"configure", b"program"}  # every programmer has both

COMMANDS = frozenset(
    {
        *("configure", "program", "read", "erase", "patch", "nop", "power", "benchmark"),
        *("setbootablestoragedrive", "firmwarewrite", "getstorageinfo", "getsha256digest"),
        *("getcrc16digest", "peek", "poke", "emmc", "ufs", "fixgpt", "getvar", "dump", "sig"),
        *("getnumdisksectors", "readGPT", "eMMCinfo", "writeIMEI", "readIMEI", "simlock"),
        *("bootprotect", "getSecureBootStatus", "getboot1status", "getversion"),
        *("securityprogram", "endsecurityprogram", "programsecure", "readSerialNum"),
        *("readSwVersion", "checkVersions", "readcuinfo", "BOARDID", "programcust", "erasecust"),
        *("erasesystem", "eraseuserdata", "erasebackupgpt", "move", "sha256init", "sha256final"),
        *("verify", "writever", "getsigndata", "getbasicdata", "demacia", "setprojmodel"),
        *("setswprojmodel", "setprocstart", "getprjversion", "gethwversion", "getrfversion"),
        *("getddrtype", "writecdtdata", "writelockdata", "getccdata", "writeccdata"),
        *("resetdigest", "transfercfg", "query_auth_id_info", "parse_sig", "parse_sig_ex"),
        *("xblgpt", "quick_reset", "createstoragedrives", "init_emmc_device", "getserialnum"),
        *("dumpram", "peek4", "test"),
    }
)

_COMMAND_WORDS = frozenset(name.encode() for name in COMMANDS)

_STORAGE = {b"eMMC": "emmc", b"UFS": "ufs", b"nand": "nand", b"spinor": "spinor"}
_STORAGE_REACH_BYTES = 0x8000  # around the name that nearly all have: eMMC

_VERSION = b"QC_IMAGE_VERSION_STRING="
_VARIANT = b"IMAGE_VARIANT_STRING="
_BUILD_DATE = b"Binary build date"
_DATE_REACH_BYTES = 4096
_DATE = re.compile(
    rb"\0((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3][0-9] 20[0-9]{2})\0"
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_VARIANT_REACH_BYTES = 0x400  # behind the version
_MAX_WORD_BYTES = 200


class Generation(enum.Enum):
    """The three code generations of Firehose programmers, which log and answer differently."""

    A = "A: MSM8x26 to SDM4xx"
    B = "B: MSM8084, MSM899x, SDM630 to 660"
    C = "C: SDM845 and later"


_FINGERPRINTS = (  # the second words of A and B are for builds that lack the first ones
    (b"XML file cannot fit in buffer", Generation.A),
    (b"NO free handles for xml write", Generation.C),
    (b"fh.attrs.", Generation.B),
    (b"parseSectorValue could not handle", Generation.B),
    (b"logbuf@0x", Generation.A),
)


@dataclass(frozen=True)
class Lock:
    """What its maker has built into a programmer to restrict it.

    authorization: nothing much works before the maker has signed a challenge.
    """

    maker: str
    text: str
    authorization: bool


_ANY = frozenset(Generation) | {None}
_OLD = frozenset({Generation.A, Generation.B, None})
_NEW = frozenset({Generation.C, None})
_VIVO = Lock("vivo", "works only after vivo has authorised it", True)
_LOCKS = (
    (
        b"nop and sig tag",
        _ANY,
        Lock("Xiaomi", "works only after Xiaomi has authorised it", True),
    ),
    (b"The operation is not allowed for write", _NEW, _VIVO),
    (
        b"Version:%s; Platform1:%s",
        _ANY,
        Lock("OPPO/OnePlus", "works only after OPPO has authorised it", True),
    ),
    (
        b"Failed to get token",
        _NEW,
        Lock("OnePlus", "runs some commands only with OnePlus' token", True),
    ),
    (
        b"Project Verify failed",
        _NEW,
        Lock("Nothing", "works only after Nothing has authorised it", True),
    ),
    (
        b"Authenticate failed!",
        _ANY,
        Lock("Meizu", "works only after Meizu has authorised it", True),
    ),
    (
        b"range restricted: ",
        _ANY,
        Lock("Motorola", "writes only where Motorola allows it", False),
    ),
    (
        b"Not allowed to write into Protected area",
        _NEW,
        Lock("Samsung", "writes only where Samsung allows it", False),
    ),
    (
        b"Start sector %d not allowed",
        _NEW,
        Lock("Samsung", "writes only where Samsung allows it", False),
    ),
    (b"Read operation not allowed", _OLD, Lock("HMD", "does not read", False)),
    (
        b"Secure boot detected. VIP not enabled",
        _OLD,
        Lock("Qualcomm", "takes only signed packages (VIP) where secure boot is on", True),
    ),
)


class Protocol(enum.Enum):
    """What a programmer speaks once it runs."""

    FIREHOSE = "Firehose"
    STREAMING = "Streaming Download"


@dataclass(frozen=True)
class Programmer:
    """What the words of an image say.

    protocol: None if it is no programmer. commands: that it registers, as far as they are known.
    storage: kinds that it can be told to use. version: its build, such as BOOT.BF.3.3-00214.
    build_date: as year, month, day.
    """

    protocol: Protocol | None = None
    generation: Generation | None = None
    commands: frozenset[str] = frozenset()
    storage: frozenset[str] = frozenset()
    locks: tuple[Lock, ...] = ()
    version: str | None = None
    variant: str | None = None
    build_date: tuple[int, int, int] | None = None

    @property
    def needs_authorization(self) -> bool:
        """Whether its maker must authorise it before it works."""
        return any(lock.authorization for lock in self.locks)


def read_programmer(data: bytes) -> Programmer:
    """Return what the words in data, a whole image, say about it."""
    commands = _commands(data)
    if not all(word in data for word in _FIREHOSE) and len(commands & {"configure", "program"}) < 2:
        return Programmer(protocol=Protocol.STREAMING if _STREAMING in data else None)
    generation = _generation(data)
    version, variant = _version(data)
    return Programmer(
        protocol=Protocol.FIREHOSE,
        generation=generation,
        commands=commands,
        storage=_storage(data),
        locks=_locks(data, generation, commands),
        version=version,
        variant=variant,
        build_date=_build_date(data),
    )


def _hits(data: bytes, word: bytes, *, whole: bool = False) -> list[int]:
    """Return the places of word among the first _MAX_HITS. whole: only between NULs."""
    places: list[int] = []
    place = data.find(word)
    for _ in range(_MAX_HITS):
        if place < 0:
            break
        end = place + len(word)
        if not whole or data[place - 1 : place] == data[end : end + 1] == b"\0":
            places.append(place)
        place = data.find(word, end)
    return places


def _commands(data: bytes) -> frozenset[str]:
    """Return the commands whose names lie near one that nearly every programmer knows."""
    found: set[bytes] = set()
    for anchor in _ANCHORS:
        if found >= _ALWAYS:
            break
        for place in _hits(data, anchor, whole=True):
            start = max(0, place - _TABLE_REACH_BYTES)
            # the first and the last word may be cut off, or have no NUL before them
            found.update(data[start : place + _TABLE_REACH_BYTES].split(b"\0")[1:-1])
    return frozenset(word.decode() for word in found & _COMMAND_WORDS)


def _storage(data: bytes) -> frozenset[str]:
    """Return the storage types whose names lie near that of the most frequent one."""
    found: set[str] = set()
    for place in _hits(data, b"eMMC", whole=True):
        near = data[max(0, place - _STORAGE_REACH_BYTES) : place + _STORAGE_REACH_BYTES]
        found.update(name for word, name in _STORAGE.items() if b"\0" + word + b"\0" in near)
    return frozenset(found)


def _locks(
    data: bytes, generation: Generation | None, commands: frozenset[str]
) -> tuple[Lock, ...]:
    found = [lock for word, where, lock in _LOCKS if generation in where and word in data]
    if "query_auth_id_info" in commands:
        found.append(_VIVO)
    return tuple(dict.fromkeys(found))


def _generation(data: bytes) -> Generation | None:
    return next((generation for word, generation in _FINGERPRINTS if word in data), None)


def _version(data: bytes) -> tuple[str | None, str | None]:
    """Return version and variant of the build.

    An embedded image has a version of its own; that of the programmer begins with BOOT.
    """
    places = _hits(data, _VERSION)
    if not places:
        return None, None
    words = [_word(data, place + len(_VERSION)) for place in places]
    best = next((index for index, word in enumerate(words) if word.startswith("BOOT.")), 0)
    variant = data.find(_VARIANT, places[best], places[best] + _VARIANT_REACH_BYTES)
    return words[best], _word(data, variant + len(_VARIANT)) if variant >= 0 else None


def _word(data: bytes, place: int) -> str:
    """Return the printable string at place."""
    word = data[place : place + _MAX_WORD_BYTES].partition(b"\0")[0].decode("latin-1")
    return "".join(letter for letter in word if letter.isprintable())


def _build_date(data: bytes) -> tuple[int, int, int] | None:
    """Return the date that the compiler has left near the words that announce it."""
    place = data.find(_BUILD_DATE)
    if place < 0:
        return None
    match = _DATE.search(data, max(0, place - _DATE_REACH_BYTES), place + _DATE_REACH_BYTES)
    if match is None:
        return None
    month, day, year = match[1].decode().split()
    return int(year), _MONTHS.index(month) // 3 + 1, int(day)
