# SPDX-License-Identifier: BSD-3-Clause
"""The manifest of a backup: whose it is, what is where in its files, and what it must hash to.

A JSON document, described in docs/backup.md. Unknown fields are ignored, so that newer versions of
the tool may add some; a change of meaning changes `version`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from edl.errors import DocumentError
from edl.units import GIB, KIB, MIB

FORMAT = "edl-backup"
VERSION = 1
BLOCK_BYTES = 16 * MIB
MAX_BYTES = 64 * MIB  # 1 TiB of storage has 4.4 MiB of digests
MAX_LUNS = 256
MAX_EXTENTS = 20_000  # 4096 partitions, as many gaps, on a LUN
MAX_BAD = 200_000
MAX_SECTORS = 1 << 44
_MAX_WORD = 200
_NAME_CHARS = 72
_SECTOR_SIZES = (512, 1024, 2048, 4096, 8192)
_FILE_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,126}[A-Za-z0-9_+-]|[A-Za-z0-9_+-]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_PAIR = [int, int]
_SERIAL = re.compile(r"[0-9a-f]{1,16}", re.ASCII)

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=StrEnum)


class Form(StrEnum):
    """How a backup lies in its folder: one file a LUN, or one file a partition."""

    IMAGES = "images"
    PARTITIONS = "partitions"


class Compression(StrEnum):
    """How its files are packed; zstd: the seekable format, see `formats.seekable`."""

    NONE = "none"
    ZSTD = "zstd"


class Verified(StrEnum):
    """How it was made sure that the files hold what the phone holds."""

    DIGEST = "digest"
    READ_TWICE = "read twice"
    NOT = "not"


class Kind(StrEnum):
    """What an extent is."""

    GPT_PRIMARY = "gpt-primary"
    GPT_BACKUP = "gpt-backup"
    PARTITION = "partition"
    GAP = "gap"


class State(StrEnum):
    """What became of an extent. Only saved and partly have a file.

    skipped: nobody asked for it. forbidden: the programmer does not give it. partly: saved, but for
    the sectors in `bad`, which are zeros in the file and nobody knows on the phone.
    """

    SAVED = "saved"
    SKIPPED = "skipped"
    FORBIDDEN = "forbidden"
    PARTLY = "partly"


@dataclass(frozen=True)
class Owner:
    """The phone that a backup is of; None where it did not tell.

    serial: of the chip, in hex (8 digits as a rule). hwid: MSM id, OEM id and model id as 64 bits.
    pk_hash: of the key that signs its loaders. chip: name for people.
    """

    serial: str | None = None
    hwid: int | None = None
    pk_hash: bytes | None = None
    chip: str | None = None


@dataclass(frozen=True)
class StorageRecord:
    """What the phone's storage said about itself. type: emmc, ufs, ...; block_bytes: one digest."""

    type: str
    sector_bytes: int
    manufacturer_id: int | None = None
    product: str | None = None
    serial: int | None = None
    firmware: str | None = None
    block_bytes: int = BLOCK_BYTES


@dataclass(frozen=True)
class Extent:
    """A run of sectors of one LUN, and where its bytes are.

    Attributes:
        name: of the partition as its table has it; of the others a name for people.
        severity: value of `edl.partitions.Severity`; JSON calls it `class`.
        file: plain name of a file beside the manifest, None if there is no data.
        file_offset_bytes: where in that file (unpacked) the extent begins.
        sha256: a digest a block of `block_bytes`, counted from the extent's start; bad sectors
            count as zeros.
        bad: (first sector, sectors) that could not be read, counted on the LUN, in order.
    """

    kind: Kind
    name: str
    start_sector: int
    sectors: int
    state: State
    category: str = ""
    severity: str = ""
    type_guid: UUID | None = None
    guid: UUID | None = None
    attributes: int = 0
    file: str | None = None
    file_offset_bytes: int = 0
    sha256: tuple[bytes, ...] = ()
    bad: tuple[tuple[int, int], ...] = ()

    @property
    def end_sector(self) -> int:
        """The first sector behind it."""
        return self.start_sector + self.sectors


@dataclass(frozen=True)
class LunRecord:
    """One LUN. extents: in order and without gaps, from its first sector to its last."""

    lun: int
    sectors: int
    disk_guid: UUID | None
    active_slot: str | None
    extents: tuple[Extent, ...]

    def find(self, name: str) -> Extent | None:
        """Return the first partition of that name, or None."""
        matches = (each for each in self.extents if each.kind is Kind.PARTITION)
        return next((each for each in matches if each.name == name), None)


@dataclass(frozen=True)
class LeftOut:
    """Something that is not in the backup, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A backup. complete: the job came to its end; its extents say what it could not read."""

    made: str
    tool: str
    complete: bool
    phone: Owner
    storage: StorageRecord
    form: Form
    compression: Compression
    verified: Verified
    luns: tuple[LunRecord, ...]
    left_out: tuple[LeftOut, ...] = ()

    def text(self) -> str:
        """Return the document."""
        return json.dumps(self._data(), indent=1) + "\n"

    def _data(self) -> dict[str, Any]:
        phone, storage = self.phone, self.storage
        return {
            "format": FORMAT,
            "version": VERSION,
            "tool": self.tool,
            "made": self.made,
            "complete": self.complete,
            "phone": {
                "serial": phone.serial,
                "hwid": None if phone.hwid is None else f"{phone.hwid:#018x}",
                "pk_hash": None if phone.pk_hash is None else phone.pk_hash.hex(),
                "chip": phone.chip,
            },
            "storage": {
                "type": storage.type,
                "manufacturer_id": storage.manufacturer_id,
                "product": storage.product,
                "serial": storage.serial,
                "firmware": storage.firmware,
                "sector_bytes": storage.sector_bytes,
                "block_bytes": storage.block_bytes,
            },
            "form": self.form,
            "compression": self.compression,
            "verified": self.verified,
            "luns": [_lun_data(lun) for lun in self.luns],
            "left_out": [{"what": each.what, "reason": each.reason} for each in self.left_out],
        }


def _lun_data(lun: LunRecord) -> dict[str, Any]:
    return {
        "lun": lun.lun,
        "sectors": lun.sectors,
        "disk_guid": None if lun.disk_guid is None else str(lun.disk_guid),
        "active_slot": lun.active_slot,
        "extents": [_extent_data(extent) for extent in lun.extents],
    }


def _extent_data(extent: Extent) -> dict[str, Any]:
    return {
        "kind": extent.kind,
        "name": extent.name,
        "start_sector": extent.start_sector,
        "sectors": extent.sectors,
        "type_guid": None if extent.type_guid is None else str(extent.type_guid),
        "guid": None if extent.guid is None else str(extent.guid),
        "attributes": extent.attributes,
        "class": extent.severity,
        "category": extent.category,
        "state": extent.state,
        "file": extent.file,
        "file_offset_bytes": extent.file_offset_bytes,
        "sha256": [digest.hex() for digest in extent.sha256],
        "bad": [list(run) for run in extent.bad],
    }


# -- reading ------------------------------------------------------------------------------------


def parse(text: bytes, name: str = "manifest.json") -> Manifest:
    """Return the manifest in text; name is for messages.

    Raises:
        DocumentError: it is none, contradicts itself, or is of a newer version.
    """
    if len(text) > MAX_BYTES:
        raise DocumentError(f"{name} has {len(text)} bytes; a manifest has at most {MAX_BYTES}.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{name} is no JSON document.") from error
    root = _Node(data, name, "")
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DocumentError(f"{name} is not the manifest of a backup.")
    if root.number("version", 1, 1 << 31) != VERSION:
        raise DocumentError(
            f"{name} is of version {data['version']}; this edl reads version {VERSION}.",
            remedies=("Use the edl that made it, or a newer one.",),
        )
    return _manifest(root)


class _Node:
    """An object of the document; its fields are taken with checks, or raise DocumentError."""

    def __init__(self, data: object, file: str, path: str) -> None:
        self._file = file
        self._path = path
        if not isinstance(data, dict):
            raise self.wrong("an object")
        self._data = data

    def wrong(self, wanted: str, key: str = "") -> DocumentError:
        """Return the error that key, or this object, is not what is wanted."""
        where = ".".join(filter(None, (self._path, key))) or "the document"
        return DocumentError(f"{self._file}: {where} is not {wanted}.")

    def number(self, key: str, low: int, high: int) -> int:
        value = self._data.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(f"a number from {low} to {high}", key)
        return value

    def flag(self, key: str) -> bool:
        value = self._data.get(key)
        if not isinstance(value, bool):
            raise self.wrong("true or false", key)
        return value

    def word(self, key: str, longest: int = _MAX_WORD) -> str:
        value = self._data.get(key)
        if not isinstance(value, str) or len(value) > longest:
            raise self.wrong(f"a text of at most {longest} characters", key)
        return value

    def like(self, key: str, pattern: re.Pattern[str], wanted: str) -> str:
        value = self.word(key)
        if not pattern.fullmatch(value):
            raise self.wrong(wanted, key)
        return value

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        try:
            return kind(self.word(key))
        except ValueError as error:
            raise self.wrong(f"one of {', '.join(kind)}", key) from error

    def guid(self, key: str) -> UUID:
        try:
            return UUID(self.word(key))
        except ValueError as error:
            raise self.wrong("a GUID", key) from error

    def maybe(self, key: str, take: Callable[[str], Value]) -> Value | None:
        """Return what take makes of key, or None if it is null or missing."""
        return None if self._data.get(key) is None else take(key)

    def node(self, key: str) -> _Node:
        return _Node(self._data.get(key), self._file, self._inside(key))

    def items(self, key: str, most: int) -> list[Any]:
        value = self._data.get(key)
        if not isinstance(value, list) or len(value) > most:
            raise self.wrong(f"a list of at most {most}", key)
        return value

    def nodes(self, key: str, most: int) -> list[_Node]:
        return [
            _Node(item, self._file, f"{self._inside(key)}[{index}]")
            for index, item in enumerate(self.items(key, most))
        ]

    def _inside(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def _manifest(root: _Node) -> Manifest:
    complete = root.flag("complete")
    storage = _storage(root.node("storage"))
    luns = tuple(_lun(node, storage, complete=complete) for node in root.nodes("luns", MAX_LUNS))
    if len({lun.lun for lun in luns}) != len(luns):
        raise root.wrong("a list with each LUN once", "luns")
    return Manifest(
        made=root.like("made", _TIME, "a time such as 2026-01-31T12:00:00Z"),
        tool=root.word("tool"),
        complete=complete,
        phone=_owner(root.node("phone")),
        storage=storage,
        form=root.choice("form", Form),
        compression=root.choice("compression", Compression),
        verified=root.choice("verified", Verified),
        luns=luns,
        left_out=tuple(
            LeftOut(node.word("what"), node.word("reason", 1000))
            for node in root.nodes("left_out", MAX_EXTENTS)
        ),
    )


def _owner(node: _Node) -> Owner:
    def bits(key: str) -> int:
        text = node.like(key, re.compile(r"0x[0-9a-f]{1,16}"), "a hexadecimal number of 64 bits")
        return int(text, 16)

    def digest(key: str) -> bytes:
        # phones tell it in several shapes, and not all of these are known: up to 192 bytes
        pattern = re.compile(r"(?:[0-9a-f]{2}){1,192}")
        return bytes.fromhex(node.like(key, pattern, "a digest in lower-case hexadecimal digits"))

    return Owner(
        node.maybe("serial", lambda key: node.like(key, _SERIAL, "a serial number in hex")),
        node.maybe("hwid", bits),
        node.maybe("pk_hash", digest),
        node.maybe("chip", node.word),
    )


def _storage(node: _Node) -> StorageRecord:
    sector_bytes = node.number("sector_bytes", 512, 8192)
    block_bytes = node.number("block_bytes", 64 * KIB, GIB)
    if sector_bytes not in _SECTOR_SIZES:
        raise node.wrong(f"one of {', '.join(map(str, _SECTOR_SIZES))}", "sector_bytes")
    if block_bytes & (block_bytes - 1):
        raise node.wrong("a power of two", "block_bytes")

    def number(key: str) -> int:
        return node.number(key, 0, (1 << 64) - 1)

    return StorageRecord(
        type=node.word("type"),
        sector_bytes=sector_bytes,
        manufacturer_id=node.maybe("manufacturer_id", number),
        product=node.maybe("product", node.word),
        serial=node.maybe("serial", number),
        firmware=node.maybe("firmware", node.word),
        block_bytes=block_bytes,
    )


def _lun(node: _Node, storage: StorageRecord, *, complete: bool) -> LunRecord:
    lun = LunRecord(
        node.number("lun", 0, MAX_LUNS - 1),
        node.number("sectors", 1, MAX_SECTORS),
        node.maybe("disk_guid", node.guid),
        node.maybe("active_slot", lambda key: node.like(key, re.compile("[ab]"), "a or b")),
        tuple(_extent(each, storage, complete) for each in node.nodes("extents", MAX_EXTENTS)),
    )
    end = 0
    for extent in lun.extents:
        if extent.start_sector != end:
            raise node.wrong(f"a list that goes on at sector {end}", "extents")
        end = extent.end_sector
    if end != lun.sectors:
        raise node.wrong(f"a list of {lun.sectors} sectors, but of {end}", "extents")
    return lun


def _extent(node: _Node, storage: StorageRecord, complete: bool) -> Extent:
    extent = Extent(
        kind=node.choice("kind", Kind),
        name=node.word("name", _NAME_CHARS),
        start_sector=node.number("start_sector", 0, MAX_SECTORS),
        sectors=node.number("sectors", 1, MAX_SECTORS),
        state=node.choice("state", State),
        category=node.word("category"),
        severity=node.word("class"),
        type_guid=node.maybe("type_guid", node.guid),
        guid=node.maybe("guid", node.guid),
        attributes=node.number("attributes", 0, (1 << 64) - 1),
        file=node.maybe("file", lambda key: node.like(key, _FILE_NAME, "a plain file name")),
        file_offset_bytes=node.number("file_offset_bytes", 0, 1 << 60),
        sha256=tuple(_digest(node, item) for item in node.items("sha256", MAX_SECTORS)),
        bad=_bad(node),
    )
    _check(node, extent, storage, complete)
    return extent


def _digest(node: _Node, item: object) -> bytes:
    if not isinstance(item, str) or not re.fullmatch("[0-9a-f]{64}", item):
        raise node.wrong("a list of SHA-256 digests in lower-case hex", "sha256")
    return bytes.fromhex(item)


def _bad(node: _Node) -> tuple[tuple[int, int], ...]:
    runs = []
    for item in node.items("bad", MAX_BAD):
        pair = item if isinstance(item, list) and [type(each) for each in item] == _PAIR else None
        if pair is None or not 0 <= pair[0] <= MAX_SECTORS >= pair[1] > 0:
            raise node.wrong("a list of [first sector, sectors]", "bad")
        runs.append((pair[0], pair[1]))
    return tuple(runs)


def _check(node: _Node, extent: Extent, storage: StorageRecord, complete: bool) -> None:
    """Make sure that the fields of extent go together."""
    has_data = extent.state in {State.SAVED, State.PARTLY}
    if has_data != (extent.file is not None):
        raise node.wrong("what its state says", "file")
    blocks = -(-extent.sectors * storage.sector_bytes // storage.block_bytes) if has_data else 0
    if len(extent.sha256) != blocks and (complete or extent.sha256):
        raise node.wrong(f"a list of {blocks} digests", "sha256")
    if bool(extent.bad) != (extent.state is State.PARTLY):
        raise node.wrong("what its state says", "bad")
    if not _in_order(extent.bad, extent.start_sector, extent.end_sector):
        raise node.wrong("in order, or does not lie in its extent", "bad")


def _in_order(runs: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    for first, sectors in runs:
        if first < start:
            return False
        start = first + sectors
    return start <= end
