# SPDX-License-Identifier: BSD-3-Clause
"""Phones as users describe them: HWID and PK hash in hex, as tools and forums show them."""

from __future__ import annotations

import re

from edl.errors import UsageError
from edl.identity import PhoneIdentity

_HEX = re.compile(r"(?:0x)?([0-9a-f]+)", re.IGNORECASE)
_HWID_DIGITS = 16
_CHIP_DIGITS = 8
_KEY_SIZES = (64, 96)  # digits of a whole PK hash


def is_hex(text: str) -> bool:
    """Tell whether text is hexadecimal digits."""
    return _HEX.fullmatch(text) is not None


def described(hwid: str | None, pk_hash: str | None) -> PhoneIdentity:
    """Return the phone that --hwid and --pkhash describe.

    Raises:
        UsageError: they are not whole.
    """
    number = None
    if hwid is not None:
        number, whole = hwid_of(hwid)
        if not whole:
            raise UsageError("--hwid must have 16 hex digits here: MSM id, OEM id and model id.")
    if pk_hash is None:
        return PhoneIdentity(hwid=number)
    wanted = digits(pk_hash, "--pkhash")
    if len(wanted) not in _KEY_SIZES:
        raise UsageError("--pkhash must have 64 or 96 hex digits here: a whole PK hash.")
    return PhoneIdentity(hwid=number, pk_hash=bytes.fromhex(wanted))


def hwid_of(text: str) -> tuple[int, bool]:
    """Return a HWID, and whether it is a whole one and not only that of a chip.

    Raises:
        UsageError: text is neither.
    """
    found = digits(text, "--hwid")
    if len(found) == _HWID_DIGITS:
        return int(found, 16), True
    if len(found) == _CHIP_DIGITS:
        return int(found, 16) << 32, False
    raise UsageError(
        f"--hwid takes 16 hex digits (or 8 for a chip), not '{text}'.",
        remedies=("'edl info' and other tools show it as HWID 0x...",),
    )


def digits(text: str, option: str) -> str:
    """Return the hex digits in text, in lower case.

    Raises:
        UsageError: there is something else in it; option is what it was given for.
    """
    found = _HEX.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} takes hexadecimal digits, not '{text}'.")
    return found[1].lower()
