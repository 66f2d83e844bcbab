# SPDX-License-Identifier: BSD-3-Clause
"""Digest tables of validated image programming (VIP): what a programmer shall accept, in order.

A programmer in that mode hashes every transfer that it gets and compares it with the next digest of
a table that was signed beforehand. Layout, executed with qdl 2.8 (`--create-digests`):

    DIGEST_TABLE.bin            all digests in a row; for people and tools, never sent
    DigestsToSign.bin           the first 53, then the digest of the first chained table, if any
    ChainedTableOfDigestsN.bin  255 more each, then the digest of the next table; the last one ends
                                with a zero byte instead: a table of n * 512 bytes looks unfinished

All digests are SHA-256. The first table is sent as its maker signed it, an MBN file (header, list,
signature, certificates); the others are bound to it by their digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats.hashsegment import HashSegment, read_hash_segment

DIGEST_BYTES = 32
SIGNED_DIGESTS = 53  # and the link to the next table
CHAINED_DIGESTS = 255  # likewise
MAX_CHAINED_TABLES = 32
MAX_TABLE_BYTES = 8192  # of programmers of all generations, header and signature included
MAX_TRANSFERS = SIGNED_DIGESTS + MAX_CHAINED_TABLES * CHAINED_DIGESTS
PACKET_BYTES = 512

FULL_NAME = "DIGEST_TABLE.bin"
TO_SIGN_NAME = "DigestsToSign.bin"
SIGNED_NAME = f"{TO_SIGN_NAME}.mbn"


def chained_name(number: int) -> str:
    """Return the name of chained table number, from 0 on."""
    return f"ChainedTableOfDigests{number}.bin"


@dataclass(frozen=True)
class Unsigned:
    """Tables as they are made: full is all digests, to_sign goes to whoever holds the keys."""

    full: bytes
    to_sign: bytes
    chained: tuple[bytes, ...]


def make_tables(digests: Sequence[bytes]) -> Unsigned:
    """Return the tables for transfers with these digests, in the order in which they are sent.

    Raises:
        DocumentError: there is none, or more than tables can hold.
    """
    if not digests:
        raise DocumentError("Nothing is sent, so there is nothing to sign.")
    if len(digests) > MAX_TRANSFERS:
        raise DocumentError(
            f"The job takes {len(digests)} transfers, digest tables hold {MAX_TRANSFERS}."
        )
    rest = digests[SIGNED_DIGESTS:]
    groups = [rest[at : at + CHAINED_DIGESTS] for at in range(0, len(rest), CHAINED_DIGESTS)]
    chained: list[bytes] = []
    link = b"\0"  # so that the last one is no multiple of a packet
    for group in reversed(groups):
        chained.insert(0, b"".join(group) + link)
        link = hashlib.sha256(chained[0]).digest()
    to_sign = b"".join(digests[:SIGNED_DIGESTS]) + (link if chained else b"")
    return Unsigned(b"".join(digests), to_sign, tuple(chained))


@dataclass(frozen=True)
class Table:
    """One table as it is sent. digests: those of transfers, without the link to the next table."""

    name: str
    data: bytes
    digests: tuple[bytes, ...]


@dataclass(frozen=True)
class Tables:
    """All tables of a job, the signed one first. problems: why no programmer would take them."""

    tables: tuple[Table, ...]
    problems: tuple[str, ...]

    @property
    def digests(self) -> tuple[bytes, ...]:
        """What is expected of each transfer, in order."""
        return tuple(digest for table in self.tables for digest in table.digests)


def read_tables(signed: bytes, chained: Sequence[bytes]) -> Tables:
    """Return the tables in signed, the content of DigestsToSign.bin.mbn, and in chained, in order.

    Raises:
        DocumentError: signed is no signed table.
    """
    rows = _rows(_signed_list(signed))
    problems: list[str] = []
    if len(signed) > MAX_TABLE_BYTES:
        problems.append(_too_large(SIGNED_NAME, signed))
    linked = len(rows) > SIGNED_DIGESTS
    tables = [_table(SIGNED_NAME, signed, rows, linked=linked)]
    link = rows[-1] if linked else b""
    for number, data in enumerate(chained):
        name, last = chained_name(number), number == len(chained) - 1
        if link != hashlib.sha256(data).digest():
            problems.append(
                f"{name} is not the table whose digest ends {tables[-1].name}."
                if link
                else f"{name} is one too many: {tables[-1].name} ends the chain."
            )
        problems += _misshapen(name, data, last=last)
        rows = _rows(data)
        tables.append(_table(name, data, rows, linked=not last))
        link = b"" if last or not rows else rows[-1]
    if linked and not chained:
        problems.append(f"{chained_name(0)} is missing: {SIGNED_NAME} ends with its digest.")
    if chained and len(_rows(chained[-1])) > CHAINED_DIGESTS:
        problems.append(f"{chained_name(len(chained))} is missing, or the last table too long.")
    return Tables(tuple(tables), tuple(problems))


def _table(name: str, data: bytes, rows: list[bytes], *, linked: bool) -> Table:
    return Table(name, data, tuple(rows[:-1] if linked else rows))


def _rows(data: bytes) -> list[bytes]:
    """Return the whole digests in data."""
    end = len(data) - len(data) % DIGEST_BYTES
    return [data[at : at + DIGEST_BYTES] for at in range(0, end, DIGEST_BYTES)]


def _misshapen(name: str, data: bytes, *, last: bool) -> list[str]:
    """Return what is wrong with the length of a chained table."""
    if len(data) > MAX_TABLE_BYTES:
        return [_too_large(name, data)]
    if last and len(data) % PACKET_BYTES == 0:
        return [f"{name} has {len(data)} bytes: programmers wait for more behind {PACKET_BYTES}s."]
    if not last and len(data) % DIGEST_BYTES:
        return [f"{name} has {len(data)} bytes, no whole number of digests."]
    return []


def _too_large(name: str, data: bytes) -> str:
    return f"{name} has {len(data)} bytes, programmers take {MAX_TABLE_BYTES}."


def _signed_list(data: bytes) -> bytes:
    """Return the list of digests in a signed table.

    Raises:
        DocumentError: there is none.
    """
    try:
        table = read_hash_segment(data)
    except DocumentError as error:
        raise DocumentError(
            f"{SIGNED_NAME} is no signed table (an MBN file): {error.message}"
        ) from error
    return _listed(table)


def _listed(segment: HashSegment) -> bytes:
    if not segment.vendor.present and not segment.chip_maker.present:
        raise DocumentError(f"{SIGNED_NAME} is not signed: it has no signature or certificates.")
    count, rest = divmod(len(segment.table), DIGEST_BYTES)
    if rest or not 0 < count <= SIGNED_DIGESTS + 1:
        raise DocumentError(
            f"{SIGNED_NAME} holds a list of {len(segment.table)} bytes, not of 1 to"
            f" {SIGNED_DIGESTS + 1} digests."
        )
    return segment.table
