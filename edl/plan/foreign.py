# SPDX-License-Identifier: BSD-3-Clause
"""Whose a dump is, and what of another phone's dump may be written.

Only three things prove that a dump is of the connected phone: the serial number of its chip, the
serial number of its eMMC (what UFS programmers call one is the same on all phones of a maker), and
contents that no two phones share. GUIDs of disks and partitions prove nothing: makers write the
same ones to all phones of a model, and packages change them. What is not proved is not so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from edl.chunks import Content
from edl.contents import data_runs
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import (
    DeviceRefusedError,
    SafetyError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.firehose.commands import Area
from edl.formats.gpt import safe_name
from edl.formats.manifest import Kind
from edl.identity import Hwid, chip_names
from edl.partitions import Severity, classify
from edl.plan.dump import Dump, Part, content_digest, sized
from edl.plan.home import phone_folder
from edl.plan.model import Severity as Grade
from edl.plan.placing import Placing
from edl.units import MIB

# The chip encrypts the first two for itself; Android changes the third at every start.
_TELLING = frozenset({"modemst1", "modemst2", "persist"})
_MAX_TELLING_BYTES = 128 * MIB
_LEAST_TELLING_BYTES = 4096  # with less than that in it, a partition is as good as empty
_MAX_MANIFEST_BYTES = 1024 * 1024
_NO_SERIALS = frozenset({0, 0xFFFFFFFF})
_USER_DATA = (
    "User data is encrypted with keys inside the chip of the phone that wrote it: this phone could"
    " never read it"
)

_OTHER_MODEL = (
    "Look whose dump it is: edl image info DUMP.",
    "If it is this phone's: hold the power button for 15 seconds, enter EDL mode, and repeat it.",
)


class Whose(StrEnum):
    """Whose a dump is."""

    THIS = "this phone"
    OTHER = "another phone"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """Whose a dump is, and why that is believed, in a sentence."""

    whose: Whose
    reason: str


@dataclass(frozen=True)
class Ruling:
    """What becomes of a partition of another phone's dump. reason: why it is not written."""

    write: bool
    code: str = ""
    reason: str = ""


def require_same_model(dump: Dump, phone: Phone) -> None:
    """Make sure that dump can be of phone or of one like it, as far as both tell.

    Raises:
        WrongSectorSizeError: its storage counts other sectors.
        WrongStorageError: its storage is of another kind.
        SafetyError: its chip is another one, or trusts another maker.
    """
    unit, memory = dump.storage.sector_bytes, phone.programmer.memory
    if unit != phone.sector_bytes:
        raise WrongSectorSizeError(
            f"{dump.title} has sectors of {unit} bytes, the phone's storage has sectors of"
            f" {phone.sector_bytes}: they are of different models. Nothing was written.",
            remedies=_OTHER_MODEL,
        )
    if dump.storage.type not in {"", memory}:
        raise WrongStorageError(
            f"{dump.title} is of a phone with {dump.storage.type}, this one has {memory}:"
            " they are of different models. Nothing was written.",
            remedies=_OTHER_MODEL,
        )
    theirs, ours = dump.owner.hwid, phone.identity.hwid
    if theirs and ours and Hwid(theirs).part != Hwid(ours).part:
        raise SafetyError(
            f"{dump.title} is of a phone with another chip ({_chip(theirs)}), this one has"
            f" {_chip(ours)}: its software cannot run here. Nothing was written.",
            remedies=("Use a dump or a package of exactly this model.",),
        )
    their_key, our_key = dump.owner.pk_hash, phone.identity.pk_hash
    if _comparable(their_key, our_key) and their_key != our_key:
        raise SafetyError(
            f"{dump.title} is of a phone that trusts another maker's key: this one would refuse its"
            " boot loader. Nothing was written.",
            remedies=("Use a dump or a package of exactly this model.",),
        )


def _chip(hwid: int) -> str:
    names = chip_names(Hwid(hwid).msm_id)
    return f"{names[0] if names else 'unknown'}, MSM_ID {Hwid(hwid).msm_id:#010x}"


def _comparable(first: bytes | None, second: bytes | None) -> bool:
    """Tell whether two hashes of keys can be compared: both told, fused, of the same kind."""
    return bool(first and second and any(first) and any(second) and len(first) == len(second))


def judge(dump: Dump, storage: Storage) -> Verdict:
    """Tell whose dump is. Reads from the phone where serial numbers do not tell."""
    theirs, ours = dump_serial(dump), phone_serial(storage.phone)
    if theirs is not None and ours is not None:
        if theirs == ours:
            return Verdict(Whose.THIS, f"both have the serial number {ours:08x}")
        return Verdict(Whose.OTHER, f"it is of the phone {theirs:08x}, this one is {ours:08x}")
    verdict = _by_emmc(dump, storage.phone)
    if verdict is not None:
        return verdict
    evidence = _evidence(dump, storage)
    if evidence:
        return Verdict(Whose.THIS, evidence)
    silent = "this phone does not tell its serial number" if theirs is not None else ""
    return Verdict(Whose.UNKNOWN, silent or "it does not tell whose it is")


def dump_serial(dump: Dump) -> int | None:
    """Return the serial number of the chip that dump tells, if it means anything."""
    text = dump.owner.serial
    return _meaningful(int(text, 16)) if text else None


def phone_serial(phone: Phone) -> int | None:
    """Return the serial number of the phone's chip, if it tells one that means anything."""
    return None if phone.serial == "unknown" else _meaningful(int(phone.serial, 16))


def _meaningful(serial: int | None) -> int | None:
    return None if serial in _NO_SERIALS else serial


def _by_emmc(dump: Dump, phone: Phone) -> Verdict | None:
    """Compare the serial numbers of the storages, where they are ones: on eMMC."""
    there, here = dump.storage, phone.luns.get(0)
    if "emmc" not in {there.type} & {phone.programmer.memory} or here is None:
        return None
    theirs, ours = _meaningful(there.serial), _meaningful(here.serial)
    if theirs is None or ours is None:
        return None
    same = (theirs, there.manufacturer_id) == (ours, here.manufacturer_id)
    if same:
        return Verdict(Whose.THIS, f"both have the eMMC with the serial number {ours:08x}")
    return Verdict(Whose.OTHER, f"it is of the eMMC {theirs:08x}, this phone has {ours:08x}")


# -- evidence -----------------------------------------------------------------------------------


def _evidence(dump: Dump, storage: Storage) -> str:
    """Return what of dump no other phone can have, in words; empty if there is nothing.

    It is compared with what is on the phone now, and with what was saved of it earlier. Somebody
    may have written another phone's dump to this one before; so nothing is proved while the phone
    holds anything unique that the dump has otherwise.
    """
    found = next(_equal(dump, storage), "")
    return "" if found and _contradicted(dump, storage) else found


def _equal(dump: Dump, storage: Storage) -> Iterator[str]:
    saved = dict(_saved(storage.phone))
    for part in _telling(dump):
        digest = content_digest(part.content) if part.content else b""
        if digest == on_phone(part, storage):
            yield f"'{part.name}' in it equals the phone's, and no two phones have the same"
        elif digest.hex() in saved:
            yield f"'{part.name}' in it equals what was saved from this phone before"


def _contradicted(dump: Dump, storage: Storage) -> bool:
    """Tell whether the phone holds something unique that is otherwise in dump."""
    for part in dump.parts():
        unique = classify(part.name).severity is Severity.MUST_NEVER_CLONE
        if unique and part.kind is Kind.PARTITION and part.content is not None:
            there = _read(part, storage) or b""
            digest = hashlib.sha256(there).digest()
            if there.strip(b"\0\xff") and digest != content_digest(part.content):
                return True
    return False


def _telling(dump: Dump) -> Iterator[Part]:
    """Yield the parts of dump that are like no other phone's, if they are not as good as empty."""
    for part in dump.parts():
        content = part.content
        if content is None or part.bad or part.name.lower() not in _TELLING:
            continue
        if content.size_bytes <= _MAX_TELLING_BYTES and _filled(content):
            yield part


def _filled(content: Content) -> bool:
    """Tell whether content has enough bytes that are neither 0 nor ff."""
    count = 0
    for start, size in data_runs(content, 0, content.size_bytes):
        for chunk in content.chunks(start, size):
            count += len(bytes(chunk).translate(None, b"\0\xff"))
            if count >= _LEAST_TELLING_BYTES:
                return True
    return False


def on_phone(part: Part, storage: Storage) -> bytes | None:
    """Return the digest of the phone's partition of that name, if it has one."""
    data = _read(part, storage)
    return None if data is None else hashlib.sha256(data).digest()


def _read(part: Part, storage: Storage) -> bytes | None:
    """Return what the phone's partition of the same name holds; None if there is none to read."""
    try:
        for partition in sized(storage.table(part.lun).best):
            unit = storage.phone.sector_bytes
            area = Area(part.lun, partition.first_sector, partition.sectors, unit)
            if partition.name == part.name and area.size_bytes <= _MAX_TELLING_BYTES:
                return storage.read(area)
    except DeviceRefusedError:
        return None
    return None


def _saved(phone: Phone) -> Iterator[tuple[str, str]]:
    """Yield digest and name of every telling file that jobs saved from this phone earlier."""
    if phone_serial(phone) is None:
        return
    for path in phone_folder(phone.serial).glob("saved-*/manifest.json"):
        try:
            with path.open("rb") as file:
                files = json.loads(file.read(_MAX_MANIFEST_BYTES))["files"]
            for name, entry in files.items():
                if any(name.endswith(f"-{safe_name(each)}.bin") for each in _TELLING):
                    yield str(entry["sha256"]), name
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


# -- rulings ------------------------------------------------------------------------------------


def ruling(name: str) -> Ruling:
    """Tell what becomes of partition name of another phone's dump, if nobody asks for it by name.

    Only what is the same on all phones of a model is written: firmware and systems.
    """
    kind = classify(name)
    if kind.category == "user-data":
        return Ruling(False, "foreign-user-data", f"{_USER_DATA}.")
    if kind.severity is Severity.MUST_NEVER_CLONE:
        return Ruling(False, "foreign-unique", kind.reason)
    if kind.category == "unknown":
        return Ruling(False, "foreign-unknown", "Nobody knows what it holds; it may be unique.")
    if kind.severity is Severity.SHOULD_BE_BACKED_UP:
        return Ruling(False, "foreign-kept", kind.reason)
    if kind.category == "log":
        return Ruling(False, "foreign-log", "It holds the other phone's logs, which nobody needs.")
    return Ruling(True)


def may_write(name: str, placing: Placing) -> bool:
    """Tell whether partition name of another phone's dump is written; else note that it is kept."""
    ruled = ruling(name)
    if not ruled.write:
        placing.kept.append(name)
        told = f"'{name}' is left as it is on this phone: {ruled.reason}"
        placing.note(ruled.code, Grade.INFO, told)
    return ruled.write
