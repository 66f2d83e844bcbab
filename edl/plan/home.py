# SPDX-License-Identifier: BSD-3-Clause
"""Where this user's data lies: what was saved from phones, journals, identities.

EDL_HOME overrides the place that the system suggests.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from edl.errors import DiskError, EdlError
from edl.home import home, private, private_folder
from edl.identity import PhoneIdentity

__all__ = ["home", "make_folder", "phone_folder", "recall", "remember"]

_SAFE = re.compile(r"[^0-9A-Za-z_.-]+")
_MAX_BYTES = 64 * 1024


def phone_folder(serial: str) -> Path:
    """Return the folder of the phone with that serial number (8 hex digits, or "unknown")."""
    return home() / "phones" / (_SAFE.sub("_", serial).strip(".") or "unknown")


def make_folder(path: Path) -> Path:
    """Return path, made for this user alone if need be.

    Raises:
        DiskError: it cannot be made.
    """
    try:
        return private_folder(path)
    except OSError as error:
        raise DiskError(
            f"The folder {path} cannot be made: {error.strerror}.",
            remedies=("Set EDL_HOME to a folder that you may write to.",),
        ) from error


def remember(serial: str, identity: PhoneIdentity) -> None:
    """Keep identity for later runs: a running programmer cannot tell it again."""
    data = {
        "hwid": identity.hwid,
        "pk_hash": identity.pk_hash.hex() if identity.pk_hash else None,
        "sahara_version": identity.sahara_version,
        "soc_version": identity.soc_version,
    }
    with contextlib.suppress(OSError, EdlError):  # nice to have, never a reason to fail
        path = make_folder(phone_folder(serial)) / "identity.json"
        with open(path, "w", encoding="utf-8", opener=private) as file:
            file.write(json.dumps(data) + "\n")


def recall(serial: str) -> PhoneIdentity | None:
    """Return what an earlier run kept, or None."""
    try:
        with (phone_folder(serial) / "identity.json").open("rb") as file:
            data = json.loads(file.read(_MAX_BYTES))
        pk_hash = data["pk_hash"]
        numbers = [data["hwid"], data["sahara_version"], data["soc_version"]]
        if not all(number is None or isinstance(number, int) for number in numbers):
            return None
        return PhoneIdentity(
            int(serial, 16),
            numbers[0],
            bytes.fromhex(pk_hash) if pk_hash else None,
            numbers[1],
            numbers[2],
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
