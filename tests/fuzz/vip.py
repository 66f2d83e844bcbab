# SPDX-License-Identifier: BSD-3-Clause
"""Tables of digests for programmers that take what is signed: the host's reader, and the phone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from edl.errors import DocumentError
from edl.formats.digesttable import MAX_TRANSFERS, SIGNED_NAME, make_tables, read_tables
from edl.vip.folder import MANIFEST_NAME, read_folder
from edl.virtual.programmer.validation import GENERATION3, InvalidError, Validation
from edl.virtual.verifier import Fuses
from loaders.images import Binding, Recipe, signed_table
from tests.fuzz.target import Target, path_of, require

_CUT = b"\xffCUT\xff"  # between two tables


def _packet(number: int) -> bytes:
    return bytes([number & 0xFF, number >> 8])


def _digests(count: int) -> list[bytes]:
    return [hashlib.sha256(_packet(number)).digest() for number in range(count)]


def _seeds() -> Iterator[bytes]:
    for count in (3, 54, 320):
        made = make_tables(_digests(count))
        recipe = Recipe(binding=Binding(0x007050E1_0000_0000))
        yield _CUT.join([signed_table(recipe, made.to_sign), *made.chained])


def _tables(data: bytes) -> None:
    signed, *chained = data.split(_CUT)
    tables = read_tables(signed, chained)
    require(bool(tables.tables), "no table")
    for table in tables.tables:
        require(all(len(digest) == 32 for digest in table.digests), "a digest of another size")
    if not tables.problems:
        require(len(tables.digests) <= 53 + 255 * len(chained), "more digests than fit")
        require(len(signed) <= 8192, "a table too large")


def _phone(data: bytes) -> None:
    """Give a phone each table when it is due, and as many packets as it then takes."""
    known = Validation(Fuses(hwid=0, pk_hash=b"", secure_boot=False), GENERATION3)
    number = 0
    for part in data.split(_CUT):
        while not known.wants_table and number < MAX_TRANSFERS:
            known.check(_packet(number))
            number += 1
        known.take_table(part)


def _folder(data: bytes) -> None:
    """A folder of somebody's, with that for a manifest."""
    folder = path_of(data, MANIFEST_NAME).parent
    signed, *chained = next(iter(_seeds())).split(_CUT)
    (folder / SIGNED_NAME).write_bytes(signed)
    require(not chained, "more tables than were written")
    tables, manifest = read_folder(folder)
    require(len(tables.digests) == 3, "other digests")
    require(not data or manifest["v"] == 1, "another version")


TARGETS = (
    Target(
        "digest-folder",
        ("edl.vip.folder",),
        _folder,
        lambda: [b'{"v": 1, "made_by": "edl", "memory": "ufs", "payload_bytes": 1048576}'],
        errors=(DocumentError,),
        words=(b'"v": 1', b"null", b"[", b"{"),
    ),
    Target(
        "digest-tables",
        ("edl.formats.digesttable",),
        _tables,
        _seeds,
        errors=(DocumentError,),
        words=(_CUT,),
    ),
    Target(
        "digest-tables-on-a-phone",
        ("edl.virtual.programmer.validation",),
        _phone,
        _seeds,
        errors=(InvalidError,),
        words=(_CUT,),
    ),
)
