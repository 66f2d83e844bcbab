# SPDX-License-Identifier: BSD-3-Clause
"""What programmers log when they refuse: the meaning, the error, and what to do.

The texts are literals of 719 real programmers and of public logs; a row is found by a part of the
text. The first row that matches any line wins, so locks stand before the general failures that they
bring along, and reasons before the trailers that follow all of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
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

    error: type[DeviceRefusedError | AuthorizationError]
    text: str
    remedies: tuple[str, ...] | None = None


_RIGHT_PACKAGE = "Use the package that was made for exactly this phone and storage type."
_NAME_MEMORY = "If the package is right, name the storage type with --memory emmc or --memory ufs."
_DEAD = "Have the flash checked: if it does not answer to any programmer, it is dead or unsoldered."
_OTHER = "Look for a programmer that was released without the lock for exactly this model."


def _locked_by(maker: str) -> Meaning:
    """Return the meaning of a lock that only maker can lift."""
    return Meaning(
        AuthorizationError,
        f"{maker} locked this programmer: it wants an authorisation that nobody else can give.",
        (f"Ask the service of {maker}, or somebody whom it has authorised.", _OTHER),
    )


def _limited_by(maker: str) -> Meaning:
    """Return the meaning of a limit on single commands and ranges."""
    return Meaning(
        DeviceRefusedError,
        f"{maker} allows this programmer neither every command nor every range of the storage.",
        (f"Ask the service of {maker}: nobody else can lift the limit.", _OTHER),
    )


# what a maker has forbidden; whoever reads these has no need to try anything else
_LOCK_ROWS: tuple[tuple[str, Meaning], ...] = (
    (
        r"only nop and sig tag|\bsignature verification failed"
        r"|not authenticated, unknown targetname|sig tag random number generation failed",
        _locked_by("Xiaomi"),
    ),
    (
        # states of VIP that refuse, and no more: "VIP data verified" is progress
        r"\bvip is enabled, receiving|validated image programming is enabled"
        r"|\bvip img authentication failed|\bvip not enabled:fail|\bvalidation is enabled\."
        r"|\bverifying signature failed|authentication of signed hash failed"
        r"|failed to authenticate digital signature|expecting digital signature"
        r"|hash value mismatch|rejecting this packet|hash of (?:data|new table) doesn't match"
        r"|no more hashes to validate|has more than 54 hashes|with --createdigests"
        r"|packet_hash_mismatch|digital_signature_did_not_pass|authenticate_image_failure",
        Meaning(
            AuthorizationError,
            "This programmer takes only data that the maker signed beforehand (VIP).",
            (
                "Ask the maker's service: only the maker can sign what this programmer takes.",
                "With tables that the maker signed, edl rawprogram PACKAGE --vip DIR sends it.",
                _OTHER,
            ),
        ),
    ),
    (r"not allowed on external network", _locked_by("Oplus (OPPO, realme, OnePlus)")),
    (r"the operation is not allowed for (?:read|write)", _locked_by("vivo")),
    (
        r"token verify failed|failed to get token|device id verify failed",
        _locked_by("OnePlus"),
    ),
    (r"project verify failed", _locked_by("Nothing")),
    (r"authenticate failed!", _locked_by("Meizu")),
    (
        r"range restricted:|command restricted!|handler \S+ is restricted!"
        r"|^(?:\w+: )?permission denied|failed to read data token",
        _limited_by("Motorola (Lenovo)"),
    ),
    (
        r"start sector \d+ not allowed|not allowed to (?:write|erase)|erase command not allowed",
        _limited_by("Samsung"),
    ),
    (r"read operation not allowed", _limited_by("HMD (Nokia)")),
)
_ROWS: tuple[tuple[str, Meaning], ...] = (
    *_LOCK_ROWS,
    (
        r"version of programmer has been revoked",
        Meaning(
            DeviceRefusedError,
            "The maker has revoked this programmer.",
            ("Use the programmer from the newest package for this phone.",),
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
        r"sector size in xml|must be equal to disk sector size|different from device sector size"
        r"|disk sector size :\d+ xml gave",
        Meaning(
            WrongSectorSizeError,
            "The request counts sectors of a size that the storage does not have.",
            (_RIGHT_PACKAGE, _NAME_MEMORY),
        ),
    ),
    (
        r"out of good blocks",
        Meaning(
            WriteFailedError,
            "The place on the NAND chip has too few good erase blocks for the data.",
            (
                "Use the package for exactly this modem: another layout may be too tight.",
                "If it is the right one, the chip is worn out: its modem needs another one.",
            ),
        ),
    ),
    (
        r"must be equal to disk pages per block|start_sector unaligned",
        Meaning(
            WrongStorageError,
            "The package does not fit the geometry of this NAND.",
            (_RIGHT_PACKAGE,),
        ),
    ),
    (
        r"failed to open the (?:sdcc|ufs) device slot \d+ partition [1-9]"
        r"|invalid physical partition",
        Meaning(WrongStorageError, "The storage has no such LUN.", (_RIGHT_PACKAGE,)),
    ),
    (
        r"ran out of physical partitions",
        Meaning(
            DeviceRefusedError,
            "The programmer opens at most ten LUNs, and has done so.",
            ("Reset the phone to EDL mode and go on with the other LUNs.",),
        ),
    ),
    (
        r"invalid storage type|not support configure memoryname|but memoryname is (?:ufs|emmc)",
        Meaning(
            WrongStorageError,
            "The programmer has no such kind of storage.",
            (_RIGHT_PACKAGE, _NAME_MEMORY),
        ),
    ),
    (
        r"failed to open the (?:sdcc|ufs|spi nor|nvme) device|failed to initialize \(open whole lun"
        r"|failed to open (?:the )?device|open failed for slot|failed to set the io options"
        r"|open handle null|storage_device_open\(\) returned false|init storage:fail"
        r"|getstorageinfo failed|handle_storage_info_failure",
        Meaning(
            WrongStorageError,
            "The programmer could not open the storage.",
            (_NAME_MEMORY, _DEAD),
        ),
    ),
    (
        r"exceeds (?:total )?size of partition|outside the total sectors"
        r"|failed to parse (?:start sector|num_partition_sectors)"
        r"|could not handle (?:start_sector|num_partition_sectors) value"
        r"|invalid (?:start_sector|num_partition_sectors) result|invalid value following num_disk",
        Meaning(
            WrongStorageError,
            "The range does not lie on this storage: the package is for a larger one.",
            (_RIGHT_PACKAGE,),
        ),
    ),
    (
        r"set bootable failed|failed to set bootable drive|set_bootable_partition_failure",
        Meaning(
            DeviceRefusedError,
            "The storage cannot start from that place.",
            ("On UFS name the LUN that holds xbl: 1, or 2 for slot b.",),
        ),
    ),
    (
        r"wlun_dev\) failed for configure",  # linux-msm/qdl#297
        Meaning(
            DeviceRefusedError,
            "The programmer cannot reach the storage as a whole any more: a LUN that is not there"
            " was asked for before. Only a restart mends that.",
            ("Start over with edl reset --mode edl, and let provisioning be the first command.",),
        ),
    ),
    (
        r"configure failed slot|failed to configure (?:the )?device|failed to set storage extra"
        r"|no configuration/provisioning allowed|exceeds device size|_commit_extras_failure",
        Meaning(DeviceRefusedError, "The storage did not take this layout.", (_RIGHT_PACKAGE,)),
    ),
    (
        r"usb read has failed|usb rx (?:failed|bulk received failed)|raw data transport error"
        r"|failed to receive data packet|read error\.bytes expected|read non multiple sector size"
        r"|usb_read_failure|usb_write_failure",
        Meaning(
            DeviceRefusedError,
            "The data did not arrive at the programmer as it was sent.",
            ("Plug the phone directly into the computer, with another cable if you have one.",),
        ),
    ),
    (
        r"erase failed|failed to erase|storage_device_erase(?:\(\))? returned false|erase_failure",
        Meaning(
            WriteFailedError,
            "The storage did not erase: it is write-protected, worn out or defective.",
        ),
    ),
    (
        r"write failed (?:\d+ )?(?:at )?sector|read back verify failed|storage_write_failure",
        Meaning(
            WriteFailedError,
            "The storage did not take the data: it is write-protected, worn out or defective.",
        ),
    ),
    (
        r"read failed (?:\d+ )?(?:at )?sector|emmc read failed|read failed to read"
        r"|storage_read_failure|failed to read data for hashing|failed to compute crc"
        r"|failed to finalize the sh256",
        Meaning(
            ReadFailedError,
            "The storage could not read these sectors.",
            ("Read around the defect: name the sectors before and behind it as LUN/START+COUNT.",),
        ),
    ),
    (
        r"hw init failed",
        Meaning(
            DeviceRefusedError,
            "The programmer could not start the phone's hardware.",
            ("Use the other variant of the programmer (ddr, lite) for this very phone.",),
        ),
    ),
    (
        r"xml not formed|failed to parse xml|not validated|ignoring unrecognized tag"
        r"|failed to run the last command -1|xml tag is too long|closing tag is bigger"
        r"|too big for buffer|cannot fit in buffer|xml_packet_too_large|assignattribute failed"
        r"|can't convert attribute|stringtonumber failed|not provided \(or -1\)"
        r"|^attribute '\w+'(?:=\d+ cannot exceed| is not a multiple of)|is too long \(\d+ chars\)"
        r"|integer value for \S+ is too high|invalid size of int|patch size too large"
        r"|invalid sector_size_in_bytes result|crc function|invalid crc patch"
        r"|failed to get crc_over_num_bytes"
        r"|no storage drive number|no physical_partition_number|failed to get physical partition"
        r"|failed to get bootable drive|could not find bootable drive|power_action was not under",
        Meaning(DeviceRefusedError, "The programmer did not understand the command."),
    ),
    (
        r"handle_program_failure",  # of generation 2, behind whatever was the reason
        Meaning(WriteFailedError, "The programmer gave up writing."),
    ),
)
_TABLE = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in _ROWS)

_SECTOR_SIZE = (
    re.compile(r"does not match disk sector size (\d+)", re.IGNORECASE),
    re.compile(r"must be equal to disk sector size (\d+)", re.IGNORECASE),
    re.compile(r"different from device sector size \((\d+)\)", re.IGNORECASE),
    re.compile(r"disk sector size :(\d+) xml gave", re.IGNORECASE),
)
_IGNORED = re.compile(r"ignoring unrecognized tag", re.IGNORECASE)
_ENDS_WITHOUT_ANSWER = re.compile(r"failed to run the last command -1", re.IGNORECASE)
_LOCKS = re.compile("|".join(pattern for pattern, _ in _LOCK_ROWS), re.IGNORECASE)
_LIMITS = tuple(meaning for _, meaning in _LOCK_ROWS if meaning.error is DeviceRefusedError)
# news of VIP that refuse nothing by themselves: on some phones all goes on well behind them
_NOTICE = re.compile(
    r"\bvip is enabled, receiving|validated image programming is enabled"
    r"|\bvalidation is enabled\.",
    re.IGNORECASE,
)
_SECURE_BOOT_OFF = re.compile(
    r"authentication is not enabled|secure boot \*not\* enabled"
    r"|secure boot is not enabled on the hw",
    re.IGNORECASE,
)
_SECURE_BOOT_ON = re.compile(
    r"secure boot detected|disabled on secure boot devices|when secure boot is enabled",
    re.IGNORECASE,
)
# commands that makers add to lift their locks; a programmer that has one may refuse the rest
_LOCK_COMMANDS = {
    "sig": "Xiaomi",
    "demacia": "OnePlus",
    "setprojmodel": "OnePlus",
    "getsigndata": "Oplus",
    "query_auth_id_info": "vivo",
    "parse_sig": "vivo",
    "checkntfeature": "Nothing",
    "ntprojectverify": "Nothing",
}


def explain(logs: Sequence[str]) -> Meaning | None:
    """Return what the programmer's own words mean, or None if they are not known."""
    for pattern, meaning in _TABLE:
        if any(pattern.search(line) for line in logs):
            return meaning
    return None


def is_lock(logs: Sequence[str]) -> bool:
    """Tell whether logs refuse for want of an authorisation that only the maker can give.

    That VIP is enabled is no refusal: it may be said before a yes.
    """
    meaning = explain([line for line in logs if not _NOTICE.search(line)])
    return meaning is not None and meaning.error is AuthorizationError


def is_limit(logs: Sequence[str]) -> bool:
    """Tell whether logs refuse a single command or range, while others work."""
    return explain(logs) in _LIMITS


@functools.lru_cache(maxsize=256)  # each command brings much the same lines
def is_sign(line: str) -> bool:
    """Tell whether line speaks of a maker's lock or limit, or of secure boot."""
    return _LOCKS.search(line) is not None or secure_boot([line]) is not None


def secure_boot(logs: Sequence[str]) -> bool | None:
    """Return whether the programmer said that secure boot is on, or None if it did not say."""
    if any(_SECURE_BOOT_OFF.search(line) for line in logs):
        return False
    return True if any(_SECURE_BOOT_ON.search(line) for line in logs) else None


def lock_commands(functions: Iterable[str]) -> dict[str, str]:
    """Return those of functions with which makers lift their locks, with the maker."""
    return {name: _LOCK_COMMANDS[name] for name in sorted(functions) if name in _LOCK_COMMANDS}


def right_sector_bytes(logs: Sequence[str]) -> int | None:
    """Return the sector size that a refusal names."""
    for line in logs:
        for pattern in _SECTOR_SIZE:
            if match := pattern.search(line):
                return int(match[1])
    return None


def is_unknown_command(logs: Sequence[str], *, answered: bool) -> bool:
    """Tell whether the programmer said that it does not know the command.

    Generation 1 says ACK all the same. answered: a response came. Generation 3 sends none then, so
    beside one its words are about an earlier command.
    """
    if any(_IGNORED.search(line) for line in logs):
        return True
    return not answered and any(_ENDS_WITHOUT_ANSWER.search(line) for line in logs)


def ends_without_answer(line: str) -> bool:
    """Tell whether line stands for the response that generation 3 then does not send."""
    return _ENDS_WITHOUT_ANSWER.search(line) is not None
