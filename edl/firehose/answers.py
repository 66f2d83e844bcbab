# SPDX-License-Identifier: BSD-3-Clause
"""What programmers say, as data: generation, configuration, storage, digests.

Sizes and digests come in log lines of several dialects (five of getstorageinfo in public logs), so
everything here accepts any subset and ignores what it does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from edl.firehose.host import Response, clean
from edl.formats.extcsd import EXT_CSD_BYTES


@dataclass(frozen=True)
class Greeting:
    """What the logs after the start (or after <nop>) tell.

    functions: names in lower case, or None if the programmer did not list them. complete: they are
    as many as it said; a line that got lost on the way is no function that is missing.
    """

    functions: frozenset[str] | None = None
    build_date: str | None = None
    chip_serial: int | None = None
    generation: int | None = None
    complete: bool = True


_BUILD_DATE = re.compile(r"Binary build date:\s*(.+)", re.IGNORECASE)
_CHIP_SERIAL = re.compile(r"Chip serial num:\s*\d+\s*\(0x([0-9a-f]{1,16})\)", re.IGNORECASE)
_ONE_LINE = re.compile(r"Supported Functions:\s*(.+)", re.IGNORECASE)
_LIST_BEGIN = re.compile(r"Supported Functions \((\d{1,3})\)", re.IGNORECASE)
_LIST_END = re.compile(r"End of supported functions", re.IGNORECASE)
_FUNCTION = re.compile(r"[A-Za-z]\w{0,40}")


def parse_greeting(logs: Iterable[str], generation_hint: int | None) -> Greeting:
    """Return what logs tell about the programmer.

    generation_hint: what the form of its documents says; its words count for more.
    """
    functions: set[str] | None = None
    build_date = chip_serial = None
    unlisted = lost = 0
    generation = generation_hint
    for line in logs:
        text = line.removeprefix("INFO: ").strip()
        if match := _LIST_BEGIN.match(text):
            functions, unlisted, lost, generation = set(), int(match[1]), 0, 3
        elif _LIST_END.match(text):
            unlisted, lost = 0, unlisted
        elif functions is not None and unlisted and _FUNCTION.fullmatch(text):
            functions.add(text.lower())
            unlisted -= 1
        elif match := _BUILD_DATE.match(text):
            build_date = match[1].strip()
        elif match := _CHIP_SERIAL.match(text):
            chip_serial = int(match[1], 16)
        elif match := _ONE_LINE.match(text):
            functions, generation = {name.lower() for name in match[1].split()}, 2
        elif text.startswith("logbuf@"):
            generation = 1
    return Greeting(
        None if functions is None else frozenset(functions),
        build_date,
        chip_serial,
        generation,
        complete=not (lost or unlisted),
    )


@dataclass(frozen=True)
class Configuration:
    """The response to <configure>. Sizes in bytes, 0 where the programmer named none."""

    memory: str
    payload_bytes: int
    payload_supported_bytes: int
    target: str
    build: str


def parse_configuration(response: Response) -> Configuration:
    """Return what the response to <configure> says, whether it is an ACK or a NAK."""
    values = {name.lower(): value for name, value in response.attributes.items()}

    def size(name: str) -> int:
        text = values.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0

    return Configuration(
        memory=values.get("memoryname", ""),
        payload_bytes=size("maxpayloadsizetotargetinbytes"),
        payload_supported_bytes=size("maxpayloadsizetotargetinbytessupported"),
        target=values.get("targetname", ""),
        build=values.get("datetime", ""),
    )


@dataclass(frozen=True)
class StorageInfo:
    """What getstorageinfo tells about one LUN; None where it did not say.

    sectors counts sectors of sector_bytes; 0 where the LUN could not be opened. life_a, life_b:
    wear in the codes of the UFS standard. pages_per_block: of NAND, where a sector is a page: how
    many are erased together. ext_csd: the 512 bytes in which an eMMC describes itself.
    extra: further lines, named as the programmer names them.
    """

    sectors: int | None = None
    sector_bytes: int | None = None
    luns: int | None = None
    memory: str | None = None
    product: str | None = None
    manufacturer_id: int | None = None
    serial: int | None = None
    firmware: str | None = None
    life_a: int | None = None
    life_b: int | None = None
    ext_csd: bytes | None = None
    extra: dict[str, str] = field(default_factory=dict)
    pages_per_block: int | None = None

    @property
    def inquiry(self) -> Inquiry | None:
        """What a UFS device answers to INQUIRY, where the programmer tells it."""
        text = self.extra.get("UFS Inquiry Command Output", "")
        maker, product, revision = (text[at:end].strip() for at, end in _INQUIRY_COLUMNS)
        return Inquiry(maker, product, revision) if product else None

    @property
    def serial_number(self) -> int | None:
        """The serial number, where what the programmer calls so can be one.

        Of a UFS device it gives four letters of the INQUIRY text (executed: "HIBA" of TOSHIBA).
        """
        number = self.serial or 0
        letters = number.to_bytes((number.bit_length() + 7) // 8, "big").decode("latin-1")
        if not letters or letters in self.extra.get("UFS Inquiry Command Output", ""):
            return None
        return self.serial


@dataclass(frozen=True)
class Inquiry:
    """The names in an answer to the SCSI command INQUIRY; maker and revision may be empty."""

    maker: str
    product: str
    revision: str


_INQUIRY_COLUMNS = ((0, 8), (8, 24), (24, 28))
_PAIR = re.compile(r"([A-Za-z][\w .-]{0,80}?)\s{0,8}(?::\s*+=|=|:)\s*+(.*)")
_JSON_KEY = re.compile(r'"(\w+)"\s*:\s*(0x[0-9a-fA-F]+|-?\d+|"[^"]*")')
_RAW = re.compile(r"eMMC_RAW_DATA\s?\[(\d{1,4}):\d{1,4}\]\s?((?:[0-9a-fA-F]{2})+)")
_TEXT_KEYS = {
    "num_partition_sectors": "sectors",
    "sector_size_in_bytes": "sector_bytes",
    "num_physical_partitions": "luns",
    "mfr_id": "manufacturer_id",
    "product name": "product",
    "device total logical blocks": "sectors",
    "device block size in bytes": "sector_bytes",
    "device total physical partitions": "luns",
    "device total physical paritions": "luns",
    "device manufacturer id": "manufacturer_id",
    "device serial number": "serial",
}
_JSON_KEYS = {
    "total_blocks": "sectors",
    "block_size": "sector_bytes",
    "num_physical": "luns",
    "mfr_id": "manufacturer_id",
    "manufacturer_id": "manufacturer_id",
    "serial_num": "serial",
    "fw_version": "firmware",
    "lifeA": "life_a",
    "lifeB": "life_b",
    "mem_type": "memory",
    "prod_name": "product",
}
_NUMBERS = {"sectors", "sector_bytes", "luns", "manufacturer_id", "serial", "life_a", "life_b"}
_NUMBERS |= {"pages_per_block"}
_SECTOR_SIZES = (512, 1024, 2048, 4096, 8192)
_MEMORIES = ("emmc", "ufs", "nand", "nvme", "spinor")
_MAX_SECTORS = 1 << 44
_MAX_LUNS = 32
_MAX_PAGES_PER_BLOCK = 1024  # 64 of all chips seen
_MAX_WORD_CHARS = 80


def parse_storage_info(logs: Iterable[str]) -> StorageInfo:
    """Return what the logs of getstorageinfo tell, in whatever dialect they are."""
    found: dict[str, str] = {}
    extra: dict[str, str] = {}
    raw = bytearray()
    for line in logs:
        text = line.removeprefix("INFO: ").strip()
        if '"storage_info"' in text:
            found |= _from_json(text)
            continue
        if piece := _RAW.fullmatch(text):
            _join(raw, int(piece[1]), bytes.fromhex(piece[2]))
            continue
        match = _PAIR.fullmatch(text)
        if match is None:
            continue
        name = match[1].strip()
        if key := _TEXT_KEYS.get(name.lower()):
            found.setdefault(key, match[2].strip())
        elif name.lower().startswith(("ufs ", "emmc", "oem_id")):
            extra[name] = match[2].strip()
    numbers = {key: _number(text) for key, text in found.items() if key in _NUMBERS}
    if numbers.get("sector_bytes", 512) not in _SECTOR_SIZES:
        # executed: generation 3 without <configure> tells whatever lay in its memory, with an ACK
        return StorageInfo(memory=_memory_of(extra), extra=extra)
    memory = found.get("memory", "").lower()
    return StorageInfo(
        **_plausible(numbers),
        memory=memory if memory in _MEMORIES else _memory_of(extra),
        product=found.get("product") or None,
        firmware=found.get("firmware") or None,
        ext_csd=bytes(raw[:EXT_CSD_BYTES]) if len(raw) >= EXT_CSD_BYTES else None,
        extra=extra,
    )


def _join(raw: bytearray, first: int, piece: bytes) -> None:
    """Put a piece of the dump, which begins at byte first, behind those that came before it.

    The number of its last byte is not believed: generation 3 prints one too many.
    """
    if first == len(raw) < EXT_CSD_BYTES:
        raw += piece


def _plausible(numbers: dict[str, int | None]) -> dict[str, int | None]:
    """Return numbers without those that cannot be: generation 2 prints 0x0 LUNs, for example."""
    if not 1 <= (numbers.get("luns") or 0) <= _MAX_LUNS:
        numbers["luns"] = None
    if not 1 < (numbers.get("pages_per_block") or 0) <= _MAX_PAGES_PER_BLOCK:
        numbers["pages_per_block"] = None
    if (numbers.get("sectors") or 0) > _MAX_SECTORS:
        numbers["sectors"] = None
    return numbers


def _memory_of(extra: dict[str, str]) -> str | None:
    names = [name.lower() for name in extra]
    kinds = [kind for kind in ("ufs", "emmc") if any(name.startswith(kind) for name in names)]
    return kinds[0] if kinds else None


def _from_json(text: str) -> dict[str, str]:
    """Return our keys of a storage_info object; what it quotes unescaped may make it invalid."""
    body = text[max(text.find("{"), 0) :]
    try:
        pairs = list(json.loads(body)["storage_info"].items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pairs = [(key, value.strip('"')) for key, value in _JSON_KEY.findall(body)]
    known = {
        _JSON_KEYS[key]: clean(str(value))[:_MAX_WORD_CHARS]
        for key, value in pairs
        if key in _JSON_KEYS and isinstance(value, str | int)
    }
    page_bytes = _number(next((str(value) for key, value in pairs if key == "page_size"), "")) or 0
    if known.get("memory", "").lower() == "nand" and page_bytes:
        # NAND counts erase blocks here; its sector is the page
        block_bytes, blocks = (
            _number(known.get(key, "")) or 0 for key in ("sector_bytes", "sectors")
        )
        known["sectors"] = str(blocks * (block_bytes // page_bytes))
        known["sector_bytes"] = str(page_bytes)
        known["pages_per_block"] = str(block_bytes // page_bytes)
    return known


def _number(text: str) -> int | None:
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]{1,16})|(\d{1,20})", text.strip())
    return int(match[0], 16 if match[1] else 10) if match else None


_DIGEST = re.compile(r"\b(?:Digest\s+)?([0-9a-fA-F]{64})\b")


def parse_digest(logs: Iterable[str], response: Response) -> bytes | None:
    """Return the SHA-256 that getsha256digest gave in a log or an attribute, or None.

    An ACK without a digest is a failure: generations 1 and 2 send that when a sector cannot be
    read, and generation 1 when it does not know the command.
    """
    for name, value in response.attributes.items():
        if name.lower() in {"sha256", "digest"} and (match := _DIGEST.fullmatch(value)):
            return bytes.fromhex(match[1])
    for line in logs:
        if "igest" in line and (match := _DIGEST.search(line)):
            return bytes.fromhex(match[1])
    return None


_BYTES = re.compile(r"(?:0x[0-9a-fA-F]{2}\s*){1,512}")


def parse_peek(logs: Iterable[str]) -> bytes:
    """Return the bytes that <peek> logged, as in `0x7F 0x45 0x4C `; nothing, if there are none.

    The line before them repeats the address (`Using address 14015000`).
    """
    lines = (line.removeprefix("INFO: ").strip() for line in logs)
    found = (line for line in lines if _BYTES.fullmatch(line))
    return b"".join(bytes(int(word, 16) for word in line.split()) for line in found)
