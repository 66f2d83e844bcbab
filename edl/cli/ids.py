# SPDX-License-Identifier: BSD-3-Clause
"""Phones as users describe them: HWID and PK hash in hex, as tools and forums show them."""

from __future__ import annotations

import re

from edl.errors import UsageError
from edl.identity import PhoneIdentity
from edl.sahara import identity

_HEX = re.compile(r"(?:0x)?([0-9a-f]+)", re.IGNORECASE)
_HWID_DIGITS = 16
_CHIP_DIGITS = 8
_KEY_BYTES = 48  # of the longest PK hash
_MIN_KEY_BYTES = 16  # some tools show the beginning only


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
    return PhoneIdentity(hwid=number, pk_hash=_key(digits(pk_hash, "--pkhash")))


def _key(wanted: str) -> bytes:
    """Return a PK hash, or its beginning; tools show it as the phone sends it, repeated or filled.

    Raises:
        UsageError: that is too little to go by.
    """
    if len(wanted) < 2 * _MIN_KEY_BYTES or len(wanted) % 2:
        raise UsageError(
            f"--pkhash must have at least {2 * _MIN_KEY_BYTES} hex digits here, and an even number."
        )
    answer = bytes.fromhex(wanted)
    if len(answer) <= _KEY_BYTES:
        return answer
    return identity.pk_hash(answer) or answer


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
