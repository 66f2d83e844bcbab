# SPDX-License-Identifier: BSD-3-Clause
"""Who a phone is: what its boot ROM tells about itself, and the names that go with the numbers.

The tables collect what public tools and signed programmers say. They name things for people and
never decide: a chip that is not listed is an unknown chip, not a wrong one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from edl import data

_REVISION_SHIFT = 28
_CUT_DIGITS = 64  # of a digest of 48 bytes that was cut at 32
_PART_MASK = 0x0FFFFFFF  # an MSM id without the revision of the die


@dataclass(frozen=True)
class Hwid:
    """A HWID taken apart. value: 64 bits, as Sahara command 2 gives it (little-endian)."""

    value: int

    @property
    def msm_id(self) -> int:
        """The chip: its JTAG id of 32 bits, with the revision of the die in the highest four."""
        return self.value >> 32

    @property
    def part(self) -> int:
        """The chip without its revision; compare this one."""
        return self.msm_id & _PART_MASK

    @property
    def revision(self) -> int:
        """The revision of the die, 0 to 15."""
        return self.msm_id >> _REVISION_SHIFT

    @property
    def oem_id(self) -> int:
        """The maker, 16 bits."""
        return self.value >> 16 & 0xFFFF

    @property
    def model_id(self) -> int:
        """The maker's number of the model, 16 bits."""
        return self.value & 0xFFFF

    def __str__(self) -> str:
        """Return the form that users paste in forums."""
        return (
            f"{self.value:#018x} (MSM_ID:{self.msm_id:#010x}, OEM_ID:{self.oem_id:#06x}, "
            f"MODEL_ID:{self.model_id:#06x})"
        )


@dataclass(frozen=True)
class PhoneIdentity:
    """What is known of a phone; None where its boot ROM did not tell.

    serial: 32 bits. hwid: 64 bits, MSM_ID, OEM_ID and MODEL_ID from high to low. pk_hash: digest of
    the root key, 32 or 48 bytes; a boot ROM without a fused one reports a default of its own, or
    zeros.
    soc_version: SOC_HW_VERSION of 32 bits, told by Sahara version 3.
    """

    serial: int | None = None
    hwid: int | None = None
    pk_hash: bytes | None = None
    sahara_version: int | None = None
    soc_version: int | None = None

    @property
    def soc_number(self) -> int | None:
        """The SoC number of 16 bits, or None if the phone did not tell one."""
        return self.soc_version >> 16 if self.soc_version else None

    @property
    def chips(self) -> tuple[str, ...]:
        """All names of the chip, part numbers first; empty if it is not known."""
        names: tuple[str, ...] = ()
        if self.hwid is not None:
            names = chip_names(Hwid(self.hwid).msm_id)
        if not names and self.soc_number is not None:
            names = soc_names(self.soc_number)
        return names

    @property
    def chip(self) -> str | None:
        """The name of the chip, or None if it is not known."""
        return next(iter(self.chips), None)

    @property
    def makers(self) -> tuple[str, ...]:
        """Who may have made the phone: see `maker_names`."""
        return maker_names(Hwid(self.hwid).oem_id) if self.hwid is not None else ()

    @property
    def fused(self) -> bool | None:
        """Whether a key of the maker is fused, so that it starts only what the maker signed.

        None where the phone did not tell its key. A default key, or zeros, mean "almost certainly
        not": a phone could check signatures against it, or keep its key to itself.
        """
        if self.pk_hash is None:
            return None
        if not any(self.pk_hash):
            return False
        key = known_key(self.pk_hash)
        return key is None or key.fused

    def describe(self) -> str:
        """Return one line for people."""
        parts = []
        if self.hwid is not None:
            parts.append(f"HWID {self.hwid:#018x}")
        if self.serial is not None:
            parts.append(f"serial {self.serial:08x}")
        if self.pk_hash is not None:
            told = any(self.pk_hash)
            parts.append(f"key {self.pk_hash.hex()[:16]}" if told else "no key fused")
        return ", ".join(parts) or "a phone that does not tell who it is"


def chip_names(msm_id: int) -> tuple[str, ...]:
    """Return the names of a chip, part numbers first; empty if it is not known."""
    return _names("msm_ids.tsv").get(msm_id & _PART_MASK, ())


def maker_names(oem_id: int) -> tuple[str, ...]:
    """Return the makers that use an OEM id, most frequent first. A hint only: makers share ids."""
    return _names("oem_ids.tsv").get(oem_id, ())


def flash_maker(memory: str, manufacturer_id: int) -> str | None:
    """Return who made a flash. memory: "emmc" or "ufs"; other kinds have no such table."""
    names = _names(f"{memory}_ids.tsv") if memory in {"emmc", "ufs"} else {}
    return next(iter(names.get(manufacturer_id, ())), None)


@dataclass(frozen=True)
class Key:
    """A root key that is known. fused: phones report it only where it is fused."""

    name: str
    fused: bool


def known_key(pk_hash: bytes) -> Key | None:
    """Return whose key has that digest, or None. Digests that a tool has cut are found, too."""
    digits = pk_hash.hex()
    for known, name, kind in _rows("key_ids.tsv"):
        if digits.startswith(known) or (len(digits) >= _CUT_DIGITS and known.startswith(digits)):
            return Key(name, fused=kind != "default")
    return None


def soc_names(soc_number: int) -> tuple[str, ...]:
    """Return the names that go with a SoC number (16 bits); empty if it is not known."""
    return _names("soc_ids.tsv").get(soc_number, ())


def parts_of_soc(soc_number: int) -> frozenset[int]:
    """Return the MSM ids known to go with a SoC number. There may be more."""
    listed = (cells[2] for cells in _rows("soc_ids.tsv") if int(cells[0], 16) == soc_number)
    return frozenset(int(word, 16) for cell in listed for word in cell.split())


def socs_of_part(msm_id: int) -> frozenset[int]:
    """Return the SoC numbers known to go with an MSM id. There may be others."""
    part = f"{msm_id & _PART_MASK:08x}"
    return frozenset(int(cells[0], 16) for cells in _rows("soc_ids.tsv") if part in cells[2])


@functools.cache
def _rows(name: str) -> tuple[tuple[str, str, str], ...]:
    """Return the rows of a table: number in hex, name, and a third cell."""
    text = data.text(name)
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple((number, label, rest) for number, label, rest in rows)


@functools.cache
def _names(name: str) -> dict[int, tuple[str, ...]]:
    names: dict[int, tuple[str, ...]] = {}
    for number, label, _ in _rows(name):
        key = int(number, 16)
        names[key] = (*names.get(key, ()), label)
    return names
