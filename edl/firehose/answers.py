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

from edl.firehose.host import Response


@dataclass(frozen=True)
class Greeting:
    """What the logs after the start (or after <nop>) tell.

    functions: names in lower case, or None if the programmer did not list them.
    """

    functions: frozenset[str] | None = None
    build_date: str | None = None
    chip_serial: int | None = None
    generation: int | None = None


_BUILD_DATE = re.compile(r"Binary build date:\s*(.+)", re.IGNORECASE)
_CHIP_SERIAL = re.compile(r"Chip serial num:\s*\d+\s*\(0x([0-9a-f]{1,16})\)", re.IGNORECASE)
_ONE_LINE = re.compile(r"Supported Functions:\s*(.+)", re.IGNORECASE)
_LIST_BEGIN = re.compile(r"(?:INFO: )?Supported Functions \((\d+)\)", re.IGNORECASE)
_LIST_END = re.compile(r"End of supported functions", re.IGNORECASE)


def parse_greeting(logs: Iterable[str], generation_hint: int | None) -> Greeting:
    """Return what logs tell about the programmer."""
    functions: set[str] | None = None
    build_date = chip_serial = None
    listing = False
    generation = generation_hint
    for line in logs:
        text = line.removeprefix("INFO: ").strip()
        if listing and not _LIST_END.match(text):
            functions = (functions or set()) | {text.lower()}
            continue
        listing = False
        if match := _BUILD_DATE.match(text):
            build_date = match[1].strip()
        elif match := _CHIP_SERIAL.match(text):
            chip_serial = int(match[1], 16)
        elif match := _ONE_LINE.match(text):
            functions = {name.lower() for name in match[1].split()}
            generation = generation or 2
        elif _LIST_BEGIN.match(text):
            functions, listing, generation = set(), True, 3
    return Greeting(
        None if functions is None else frozenset(functions), build_date, chip_serial, generation
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

    sectors counts sectors of sector_bytes. raw_health: bytes of EXT_CSD, as far as they were given.
    """

    sectors: int | None = None
    sector_bytes: int | None = None
    luns: int | None = None
    memory: str | None = None
    product: str | None = None
    manufacturer_id: int | None = None
    serial: int | None = None
    firmware: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


_PAIR = re.compile(r"([A-Za-z][\w .\[\]:-]*?)\s*(?::\s*=|=|:)\s*(.*)")
_JSON_KEY = re.compile(r'"(\w+)"\s*:\s*(-?\d+|"[^"]*")')
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
    "mem_type": "memory",
    "prod_name": "product",
}
_NUMBERS = {"sectors", "sector_bytes", "luns", "manufacturer_id", "serial"}
_SECTOR_SIZES = (512, 1024, 2048, 4096, 8192)
_MAX_SECTORS = 1 << 44
_MAX_LUNS = 32


def parse_storage_info(logs: Iterable[str]) -> StorageInfo:
    """Return what the logs of getstorageinfo tell, in whatever dialect they are."""
    found: dict[str, str] = {}
    extra: dict[str, str] = {}
    for line in logs:
        text = line.removeprefix("INFO: ").strip()
        if '"storage_info"' in text:
            found |= _from_json(text)
            continue
        match = _PAIR.fullmatch(text)
        if match is None:
            continue
        name = match[1].strip()
        if key := _TEXT_KEYS.get(name.lower()):
            found.setdefault(key, match[2].strip())
        elif name.lower().startswith(("ufs ", "emmc", "oem_id")):
            extra[name] = match[2].strip()
    words = {key: text for key, text in found.items() if key not in _NUMBERS}
    return StorageInfo(
        **_plausible({key: _number(text) for key, text in found.items() if key in _NUMBERS}),
        memory=words.get("memory", "").lower() or _memory_of(extra),
        product=words.get("product"),
        firmware=words.get("firmware"),
        extra=extra,
    )


def _plausible(numbers: dict[str, int | None]) -> dict[str, int | None]:
    """Return numbers without those that cannot be: generation 2 prints 0x0 LUNs, for example."""
    if not 1 <= (numbers.get("luns") or 0) <= _MAX_LUNS:
        numbers["luns"] = None
    if numbers.get("sector_bytes") not in _SECTOR_SIZES:
        numbers["sector_bytes"] = None
    if (numbers.get("sectors") or 0) > _MAX_SECTORS:
        numbers["sectors"] = None
    return numbers


def _memory_of(extra: dict[str, str]) -> str | None:
    names = [name.lower() for name in extra]
    kinds = [kind for kind in ("ufs", "emmc") if any(name.startswith(kind) for name in names)]
    return kinds[0] if kinds else None


def _from_json(text: str) -> dict[str, str]:
    """Return our keys of a storage_info object; control bytes may make it invalid JSON."""
    body = text[text.index("{") :]
    try:
        pairs = json.loads(body)["storage_info"].items()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pairs = [(key, value.strip('"')) for key, value in _JSON_KEY.findall(body)]
    known = {_JSON_KEYS[key]: str(value) for key, value in pairs if key in _JSON_KEYS}
    page = next((str(value) for key, value in pairs if key == "page_size"), "")
    if known.get("memory", "").lower() == "nand" and page.isdigit() and int(page):
        # NAND counts erase blocks here; its sector is the page
        per_block = (_number(known.get("sector_bytes", "")) or 0) // int(page)
        known["sectors"] = str((_number(known.get("sectors", "")) or 0) * per_block)
        known["sector_bytes"] = page
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
        if name.lower() in {"sha256", "digest"} and _DIGEST.fullmatch(value):
            return bytes.fromhex(value)
    for line in logs:
        if "igest" in line and (match := _DIGEST.search(line)):
            return bytes.fromhex(match[1])
    return None
