# SPDX-License-Identifier: BSD-3-Clause
"""EXT_CSD: the 512 bytes in which an eMMC describes itself, its wear included.

Offsets and values as in JESD84-B51 and linux/mmc/mmc.h.
"""

from __future__ import annotations

from dataclasses import dataclass

from edl.errors import DocumentError

EXT_CSD_BYTES = 512

_REVISION = 192
_SECTORS = 212
_UPKEEP = 246
_FIRMWARE = 254
_PRE_EOL, _LIFE_A, _LIFE_B = 267, 268, 269
_HEALTH_SINCE = 7  # eMMC 5.0; the bytes are reserved before
_STANDARDS = ("4.0", "4.1", "4.2", "4.3", "4.4", "4.41", "4.5", "5.0", "5.1")


@dataclass(frozen=True)
class ExtCsd:
    """What of EXT_CSD is of use here.

    revision: EXT_CSD_REV. sectors: SEC_COUNT, size of the user area in sectors of 512 bytes.
    firmware: empty before eMMC 5.0. pre_eol: PRE_EOL_INFO, 1 to 3. life_a, life_b:
    DEVICE_LIFE_TIME_EST_TYP_A and _B, 1 to 11. upkeep: BKOPS_STATUS, 0 to 3. What is not defined
    is 0.
    """

    revision: int
    sectors: int
    firmware: bytes
    pre_eol: int
    life_a: int
    life_b: int
    upkeep: int

    @property
    def standard(self) -> str | None:
        """The version of the eMMC standard, such as "5.1"; None if it is not known."""
        return _STANDARDS[self.revision] if self.revision < len(_STANDARDS) else None

    @property
    def firmware_text(self) -> str | None:
        """The firmware's version for people: text where it is text, else the bytes in hex."""
        used = self.firmware.rstrip(b"\0")
        if not used:
            return None
        text = used.decode("latin-1")
        return text.strip() if text.isascii() and text.isprintable() else f"0x{used.hex()}"


def parse(data: bytes) -> ExtCsd:
    """Return what EXT_CSD says.

    Raises:
        DocumentError: data has not 512 bytes.
    """
    if len(data) != EXT_CSD_BYTES:
        raise DocumentError(f"EXT_CSD has 512 bytes, not {len(data)}.")
    revision = data[_REVISION]
    tells = revision >= _HEALTH_SINCE
    return ExtCsd(
        revision=revision,
        sectors=int.from_bytes(data[_SECTORS : _SECTORS + 4], "little"),
        firmware=data[_FIRMWARE : _FIRMWARE + 8] if tells else b"",
        pre_eol=_defined(data[_PRE_EOL], 3) if tells else 0,
        life_a=_defined(data[_LIFE_A], 11) if tells else 0,
        life_b=_defined(data[_LIFE_B], 11) if tells else 0,
        upkeep=_defined(data[_UPKEEP], 3),
    )


def _defined(value: int, limit: int) -> int:
    """Return value, or 0 where the standard gives it no meaning."""
    return value if value <= limit else 0
