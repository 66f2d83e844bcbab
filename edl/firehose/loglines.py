# SPDX-License-Identifier: BSD-3-Clause
"""What programmers log when they refuse: the meaning, the error, and what to do.

The texts are literals of 719 real programmers and of public logs; a row is found by a part of the
text. First match wins, so locks stand before the general failures that they bring along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edl.errors import (
    AuthorizationError,
    DeviceRefusedError,
    ReadFailedError,
    WriteFailedError,
    WrongSectorSizeError,
    WrongStorageError,
)


@dataclass(frozen=True)
class Meaning:
    """Why a programmer refused. remedies: None keeps those of the error class."""

    error: type[DeviceRefusedError]
    text: str
    remedies: tuple[str, ...] | None = None


_RIGHT_PACKAGE = "Use the package that was made for exactly this phone and storage type."
_NAME_MEMORY = "If the package is right, name the storage type with --memory emmc or --memory ufs."
_SERVICE = "Ask the maker's service, or use a programmer that the maker released without the limit."
_DEAD = "Have the flash checked: if it does not answer to any programmer, it is dead or unsoldered."

_ROWS: tuple[tuple[str, Meaning], ...] = (
    (
        r"only nop and sig tag|signature verification failed|failed to authenticate digital",
        Meaning(AuthorizationError, "The maker locked this programmer: it wants an authorisation."),
    ),
    (
        r"\bVIP\b|verifying signature failed|validated image programming|packet_hash_mismatch"
        r"|hash value mismatch|hash of data doesn't match|authentication of signed hash failed",
        Meaning(
            AuthorizationError,
            "This programmer takes only data that the maker signed beforehand (VIP).",
            ("Use the maker's complete package with its signed digest tables.", _SERVICE),
        ),
    ),
    (
        r"not allowed on external network|demacia|setprojmodel|permission denied"
        r"|operation is not allowed|operation not allowed",
        Meaning(AuthorizationError, "The maker locked this programmer: it wants an authorisation."),
    ),
    (
        r"range restricted|command restricted|is restricted!|through edl flash",
        Meaning(
            DeviceRefusedError,
            "The maker's programmer does not allow this command or this range of the storage.",
            (_SERVICE,),
        ),
    ),
    (
        r"rollback version is lower|anti_rollback",
        Meaning(
            DeviceRefusedError,
            "The image is older than what this phone has already run (rollback protection).",
            ("Use a package that is as new as the one that was last on the phone, or newer.",),
        ),
    ),
    (
        r"sector size in xml|must be equal to disk sector size|different from device sector size",
        Meaning(
            WrongSectorSizeError,
            "The request counts sectors of a size that the storage does not have.",
            (_RIGHT_PACKAGE, _NAME_MEMORY),
        ),
    ),
    (
        r"failed to open the sdcc device slot \d+ partition [1-9]"
        r"|failed to open the ufs device slot \d+ partition [1-9]|invalid physical partition",
        Meaning(WrongStorageError, "The storage has no such LUN.", (_RIGHT_PACKAGE,)),
    ),
    (
        r"failed to open the (?:sdcc|ufs|spi nor|nvme) device|failed to initialize \(open whole lun"
        r"|failed to open (?:the )?device|failed to set the io options|invalid storage type"
        r"|not support configure memoryname|open handle null",
        Meaning(
            WrongStorageError,
            "The programmer could not open the storage.",
            (_NAME_MEMORY, _DEAD),
        ),
    ),
    (
        r"exceeds (?:total )?size of partition|outside the total sectors|failed to parse start"
        r"|invalid start_sector|exceeds total size",
        Meaning(
            WrongStorageError,
            "The range does not lie on this storage: the package is for a larger one.",
            (_RIGHT_PACKAGE,),
        ),
    ),
    (
        r"write failed|storage write failed|read back verify failed|handle_program_failure"
        r"|sdcc error|ufs error",
        Meaning(
            WriteFailedError,
            "The storage did not take the data: it is write-protected, worn out or defective.",
            (
                "Run the command again; if it fails at the same place, the flash is worn out.",
                "Save the data first: reading often still works on flash that refuses writes.",
            ),
        ),
    ),
    (
        r"read failed|storage_read_failure",
        Meaning(
            ReadFailedError,
            "The storage could not read these sectors.",
            ("Read around the defect: name the sectors before and behind it as LUN/START+COUNT.",),
        ),
    ),
    (
        r"xml not formed|failed to parse xml|not validated|failed to run the last command -1"
        r"|unrecognized tag",
        Meaning(DeviceRefusedError, "The programmer did not understand the command."),
    ),
)
_TABLE = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in _ROWS)

_SECTOR_SIZE = (
    re.compile(r"does not match disk sector size (\d+)", re.IGNORECASE),
    re.compile(r"must be equal to disk sector size (\d+)", re.IGNORECASE),
    re.compile(r"different from device sector size \((\d+)\)", re.IGNORECASE),
)
_UNKNOWN_COMMAND = re.compile(
    r"ignoring unrecognized tag|failed to run the last command -1", re.IGNORECASE
)
_ENDS_WITHOUT_ANSWER = re.compile(r"failed to run the last command -1", re.IGNORECASE)


def explain(logs: Sequence[str]) -> Meaning | None:
    """Return what the programmer's own words mean, or None if they are not known."""
    for pattern, meaning in _TABLE:
        if any(pattern.search(line) for line in logs):
            return meaning
    return None


def is_lock(logs: Sequence[str]) -> bool:
    """Tell whether logs speak of an authorisation that only the maker can give."""
    meaning = explain(logs)
    return meaning is not None and meaning.error is AuthorizationError


def right_sector_bytes(logs: Sequence[str]) -> int | None:
    """Return the sector size that a refusal names."""
    for line in logs:
        for pattern in _SECTOR_SIZE:
            if match := pattern.search(line):
                return int(match[1])
    return None


def is_unknown_command(logs: Sequence[str]) -> bool:
    """Tell whether the programmer said that it does not know the command.

    Generation 1 says ACK all the same.
    """
    return any(_UNKNOWN_COMMAND.search(line) for line in logs)


def ends_without_answer(line: str) -> bool:
    """Tell whether line stands for the response that generation 3 then does not send."""
    return _ENDS_WITHOUT_ANSWER.search(line) is not None
