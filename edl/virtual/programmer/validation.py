# SPDX-License-Identifier: BSD-3-Clause
"""Validated image programming (VIP), as programmers do it: each transfer is hashed and compared.

It decides without any help from the host's tables: what a table is, is told by its place alone. The
first is a signed one (the hash segment of an image, which the boot ROM's verifier checks against
the fuses); one that is full ends with the digest of the next. Words and limits: strings of 719
programmers, and a public log (linux-msm/qdl 62464e4) for the order in which generation 3 logs. That
generation 1 tells at its start that it validates is inferred.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edl.virtual import verifier
from edl.virtual.verifier import Fuses

MAX_TABLE_BYTES = 8192
_DIGEST_BYTES = 32
_MOST_SIGNED = 54  # digests in the signed table, the link to the next one among them
_MOST_CHAINED = 256
_SW_ID = 3  # of a table, as of a programmer: loader-strings.md 8


class InvalidError(Exception):
    """The programmer takes neither this nor anything else. logs: without the level in front."""

    def __init__(self, *logs: str) -> None:
        super().__init__(*logs)
        self.logs = logs


@dataclass(frozen=True)
class Words:
    """What a generation logs; {} stands for a number.

    announced: at the start. taken: of a table, with the number of its digests.
    """

    announced: str
    unsigned: tuple[str, ...]
    too_many: str
    taken: str
    bad_data: str
    bad_table: str
    used_up: str
    hexadecimal: bool = False


GENERATION1 = Words(
    announced="Validation is enabled.",
    unsigned=(
        "ERROR: Failed to authenticate Digital Signature",
        "Reset validation state. Expecting Digital signature",
    ),
    too_many="ERROR: Failed to authenticate Digital Signature",
    taken="",
    bad_data="ERROR: Hash value mismatch. Rejecting this packet.",
    bad_table="ERROR: Hash value mismatch. Rejecting this packet.",
    used_up="No more hashes to validate against",
)
GENERATION2 = Words(
    announced="VIP - Validated Image Programming is enabled - Validation is enabled.",
    unsigned=("Failed to authenticate Digital Signature, resetting validation state",),
    too_many="table has more than 54 hashes",
    taken="",
    bad_data="Rejecting this packet. See log",
    bad_table="Rejecting this packet. See log",
    used_up="No more hashes to validate against",
)
GENERATION3 = Words(
    announced="INFO: VIP is enabled, receiving the signed table of size 8192",
    unsigned=(
        "ERROR: Verifying signature failed with 3",
        "ERROR: Authentication of signed hash failed 0",
    ),
    too_many="ERROR: Authentication of signed hash failed 0",
    taken="INFO: Number of VIP hashes {} on initial table",
    bad_data="ERROR: Hash of data doesn't match the expected hash {}",
    bad_table="ERROR: Hash of new table doesn't match the expected hash {}",
    used_up="ERROR: Hash of data doesn't match the expected hash {}",
    hexadecimal=True,
)


class Validation:
    """What a programmer knows of the tables. It begins anew after everything that it refuses."""

    def __init__(self, fuses: Fuses, words: Words) -> None:
        self._fuses = fuses
        self._words = words
        self._begin()

    def _begin(self) -> None:
        self._expected: list[bytes] = []
        self._next_table: bytes | None = None
        self._signed = False
        self._number = 0

    @property
    def announced(self) -> str:
        """What is logged at the start."""
        return self._words.announced

    @property
    def wants_table(self) -> bool:
        """Whether the next transfer is taken for a table."""
        return not self._signed or (not self._expected and self._next_table is not None)

    def take_table(self, data: bytes) -> tuple[str, ...]:
        """Take a table; return what is logged.

        Raises:
            InvalidError: it is not the one that is due.
        """
        try:
            return self._take_chained(data) if self._signed else self._take_signed(data)
        except InvalidError:
            self._begin()
            raise

    def _take_signed(self, data: bytes) -> tuple[str, ...]:
        try:
            sw_id, table = verifier.signed_table(self._fuses, data)
        except verifier.RefusedError:
            raise InvalidError(*self._words.unsigned) from None
        if sw_id != _SW_ID or not table or len(table) % _DIGEST_BYTES:
            raise InvalidError(*self._words.unsigned)
        if len(table) > _MOST_SIGNED * _DIGEST_BYTES:
            raise InvalidError(self._words.too_many)
        self._fill(table, _MOST_SIGNED)
        self._signed = True
        taken = self._words.taken
        return (taken.format(len(self._expected)),) if taken else ()

    def _take_chained(self, data: bytes) -> tuple[str, ...]:
        self._require(data, self._next_table, self._words.bad_table)
        self._fill(data, _MOST_CHAINED)
        return ()

    def _fill(self, table: bytes, most: int) -> None:
        count = len(table) // _DIGEST_BYTES
        rows = [table[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES] for at in range(count)]
        self._next_table = rows.pop() if len(rows) == most else None
        self._expected = rows

    def check(self, data: bytes) -> None:
        """Compare a transfer with the next digest.

        Raises:
            InvalidError: it is another, or none is left.
        """
        self._number += 1
        expected = self._expected.pop(0) if self._expected else None
        text = self._words.used_up if expected is None else self._words.bad_data
        try:
            self._require(data, expected, text)
        except InvalidError:
            self._begin()
            raise

    def _require(self, data: bytes, expected: bytes | None, text: str) -> None:
        found = hashlib.sha256(data).digest()
        if found == expected:
            return
        logs = [text.format(self._number)]
        if self._words.hexadecimal and expected is not None:
            logs += ["INFO: Expected hash (32)", f"INFO: {_spaced(expected)}"]
            logs += ["INFO: Calculated hash (32)", f"INFO: {_spaced(found)}"]
        raise InvalidError(*logs)


def _spaced(digest: bytes) -> str:
    return digest.hex(" ").upper()
