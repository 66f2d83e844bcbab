# SPDX-License-Identifier: BSD-3-Clause
"""The attribute table of generation 2: what was assigned once stays assigned.

real-programmer.md 4.1 (names) and 5 (what sticks).
"""

from __future__ import annotations

from dataclasses import dataclass

from edl.virtual.programmer.base import RefusedError
from edl.virtual.programmer.generation2.text import number

_MULTIPLE = 512


@dataclass(frozen=True)
class _Kind:
    """How a value is taken.

    Attributes:
        text: as it is; else as a number.
        multiple: what the number must be a multiple of.
        limit: largest number.
        short: a text of 66 to 79 characters does not fit (3).
    """

    text: bool = False
    multiple: int = 1
    limit: int | None = None
    short: bool = False


_NUMBER, _SECTORS, _TEXT = _Kind(), _Kind(multiple=_MULTIPLE), _Kind(text=True)
_NAME = _Kind(text=True, short=True)

# In the order of the real table. An attribute of the host is the first one that it begins with.
_TABLE = {
    "Verbose": _NUMBER,
    "MaxPayloadSizeToTargetInBytes": _SECTORS,
    "MaxDigestTableSizeInBytes": _SECTORS,
    "AckRawDataEveryNumPackets": _NUMBER,
    "delayinseconds": _NUMBER,
    "address64": _NUMBER,
    "value64": _NUMBER,
    "storagedrive": _NUMBER,
    "SECTOR_SIZE_IN_BYTES": _SECTORS,
    "byte_offset": _NUMBER,
    "physical_partition_number": _NUMBER,
    "size_in_bytes": _NUMBER,
    "trials": _NUMBER,
    "file_sector_offset": _NUMBER,
    "ZlpAwareHost": _NUMBER,
    "SkipWrite": _NUMBER,
    "BufferWrites": _NUMBER,
    "AlwaysValidate": _NUMBER,
    "commit": _NUMBER,
    "TestWritePerformance": _NUMBER,
    "TestReadPerformance": _NUMBER,
    "TestDigestPerformance": _NUMBER,
    "TestDDRValidity": _NUMBER,
    "SkipStorageInit": _NUMBER,
    "SkipSettingMinClocks": _NUMBER,
    "SkipSettingMaxClocks": _NUMBER,
    "actual_size_in_bytes": _NUMBER,
    "DRIVE4_SIZE_IN_KB": _NUMBER,
    "DRIVE5_SIZE_IN_KB": _NUMBER,
    "DRIVE6_SIZE_IN_KB": _NUMBER,
    "DRIVE7_SIZE_IN_KB": _NUMBER,
    "ENH_SIZE": _NUMBER,
    "ENH_START_ADDR": _NUMBER,
    "GPP_ENH_FLAG": _NUMBER,
    "bNumberLU": _NUMBER,
    "bBootEnable": _NUMBER,
    "bDescrAccessEn": _NUMBER,
    "bInitPowerMode": _NUMBER,
    "bHighPriorityLUN": _NUMBER,
    "bSecureRemovalType": _NUMBER,
    "bInitActiveICCLevel": _NUMBER,
    "wPeriodicRTCUpdate": _NUMBER,
    "bConfigDescrLock": _NUMBER,
    "qVendorConfigCode": _NUMBER,
    "LUNtoGrow": _NUMBER,
    "LUNum": _Kind(limit=7),
    "bLUEnable": _NUMBER,
    "bBootLunID": _NUMBER,
    "bLUWriteProtect": _NUMBER,
    "bMemoryType": _NUMBER,
    "size_in_KB": _NUMBER,
    "bDataReliability": _NUMBER,
    "bLogicalBlockSize": _NUMBER,
    "bProvisioningType": _NUMBER,
    "wContextCapabilities": _NUMBER,
    "MemoryName": _NAME,
    "TargetName": _NAME,
    "filename": _NAME,
    "value": _TEXT,
    "start_sector": _TEXT,
    "num_partition_sectors": _TEXT,
}
_ALIASES = {"storagedrive": "physical_partition_number"}
_FORGOTTEN = {"value": "", "num_partition_sectors": ""}  # at the beginning of every command


class Attributes:
    """All attributes, as they stand.

    Attributes:
        given: those that the current command names.
    """

    def __init__(self, payload_bytes: int) -> None:
        self._numbers = {
            "Verbose": 0,
            "MaxPayloadSizeToTargetInBytes": payload_bytes,
            "SECTOR_SIZE_IN_BYTES": 512,
            "ZlpAwareHost": 1,
            "delayinseconds": 1,
        }
        self._texts: dict[str, str] = {}
        self.given: set[str] = set()

    def begin(self) -> None:
        """Begin a command: forget the little that does not stick."""
        self._texts |= _FORGOTTEN
        self.given = set()

    def number(self, name: str) -> int:
        """Return a number; 0 if it was never assigned."""
        return self._numbers.get(name, 0)

    def text(self, name: str) -> str:
        """Return a text; empty if it was never assigned."""
        return self._texts.get(name, "")

    def set_number(self, name: str, value: int) -> None:
        """Assign a number, as the programmer itself does."""
        self._numbers[name] = value

    def assign(self, wanted: str, value: str) -> bool:
        """Assign what the host sends, and return whether the attribute is known.

        Raises:
            RefusedError: the value does not fit.
        """
        lower = wanted.lower()
        found = next((name for name in _TABLE if lower.startswith(name.lower())), None)
        if found is None:
            return False
        kind, name = _TABLE[found], _ALIASES.get(found, found)
        self.given.add(name)
        if kind.text:
            if kind.short and 65 < len(value) < 80:
                raise RefusedError(f"1 Failed to copy string '{value}'", "AssignAttribute failed")
            self._texts[name] = value
        else:
            self._numbers[name] = _checked(found, kind, value)
        return True


def _checked(name: str, kind: _Kind, text: str) -> int:
    value = number(text)
    if value is None:
        log = f"Can't convert attribute '{name}'='{text}' to number"
    elif value % kind.multiple:
        log = f"Attribute '{name}' is not a multiple of {kind.multiple}"
    elif kind.limit is not None and value > kind.limit:
        log = f"Attribute '{name}'={value} cannot exceed {kind.limit}"
    else:
        return value
    raise RefusedError(log, "AssignAttribute failed")
