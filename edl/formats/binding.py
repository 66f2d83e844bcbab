# SPDX-License-Identifier: BSD-3-Clause
"""What the signature of a boot image binds it to: chip, maker, model, serial numbers, version.

Up to header version 5 the OU fields of the leaf certificate say it, from version 6 on a block of
metadata. Layouts: OP-TEE's PAS application (pas_meta.c); what real images hold was counted.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from edl.errors import DocumentError

METADATA_V6_BYTES = 120
METADATA_V7_BYTES = 224

_BOUND, _NOT_BOUND = 2, 1  # pairs of flag bits in version 7
_V7_PAIRS = ("SoC", "segment", "MSM id", "serial", "OEM id", "model id")
_V7_DEBUG_SHIFT = 18

_KINDS = {
    0x00: "first boot loader (SBL1)",
    0x01: "modem boot authenticator (MBA)",
    0x02: "modem",
    0x03: "programmer",
    0x04: "ADSP firmware",
    0x05: "devcfg",
    0x07: "TrustZone",
    0x09: "boot loader (aboot, UEFI)",
    0x0A: "RPM firmware",
    0x0B: "XBL_SEC",
    0x0C: "TrustZone application",
    0x0D: "Wi-Fi firmware",
    0x0E: "video firmware",
    0x14: "GPU firmware",
    0x15: "hypervisor",
    0x17: "CDSP firmware",
    0x18: "sensor firmware",
    0x1C: "Android boot loader (ABL)",
    0x25: "XBL configuration",
    0x35: "security processor firmware",
    0x36: "first boot loader (XBL)",
}


@dataclass(frozen=True)
class Binding:
    """What an image is bound to.

    sw_id: kind of image, 3 for programmers. rollback: its version for rollback protection.
    msm_id: JTAG id of the chip, 0 if none is named. soc_versions: SoC numbers of 16 bits.
    by_soc: whether the SoC numbers count, and not msm_id. msm_bound: whether msm_id counts where
    they do not. oem_bound, model_bound: whether maker and model (32 bits each) count; where they
    do, zeros must match too. serial_bound: only certain phones may start it; serials: which ones,
    as far as it says. debug: the DEBUG field or flags as written, None if absent. debug_on: whether
    it switches debugging on, None if it leaves that as it is.
    """

    sw_id: int
    rollback: int
    msm_id: int
    oem_id: int
    model_id: int
    soc_versions: tuple[int, ...] = ()
    by_soc: bool = False
    msm_bound: bool = True
    oem_bound: bool = True
    model_bound: bool = True
    serial_bound: bool = False
    serials: tuple[int, ...] = ()
    debug: str | None = None
    debug_on: bool | None = None

    @property
    def kind(self) -> str:
        """What kind of image it is, in words."""
        return _KINDS.get(self.sw_id, f"image of kind {self.sw_id:#x}")

    @property
    def hwid(self) -> int:
        """MSM id, OEM id and model id as phones report them: one number of 64 bits."""
        return self.msm_id << 32 | (self.oem_id & 0xFFFF) << 16 | self.model_id & 0xFFFF

    @property
    def names_chip(self) -> bool:
        """Whether it says for which chip the image is made."""
        return bool(self.soc_versions) if self.by_soc else self.msm_bound and self.msm_id != 0


def from_fields(fields: Mapping[int, tuple[str, str]]) -> Binding:
    """Return what the OU fields of a leaf certificate say: value and name by number.

    Raises:
        DocumentError: SW_ID or HW_ID is missing or no number.
    """
    software, hardware = _field(fields, 1), _field(fields, 2)
    by_soc = _flag(fields, 13)
    upper = hardware >> 32
    listed = [upper >> 16] if by_soc else []
    if 11 in fields:
        listed += [int(word, 16) for word in fields[11][0].split() if _is_hex(word)]
    oem_bound = not _flag(fields, 15)
    serials = _serials(fields)
    return Binding(
        sw_id=software & 0xFFFFFFFF,
        rollback=software >> 32,
        msm_id=0 if by_soc else upper,
        oem_id=hardware >> 16 & 0xFFFF,
        model_id=hardware & 0xFFFF,
        soc_versions=tuple(dict.fromkeys(number for number in listed if number)),
        by_soc=by_soc,
        oem_bound=oem_bound,
        model_bound=oem_bound,
        serial_bound=bool(serials) or _flag(fields, 14),
        serials=serials,
        debug=fields[3][0] if 3 in fields else None,
        debug_on=_debug_on(fields),
    )


def _serials(fields: Mapping[int, tuple[str, str]]) -> tuple[int, ...]:
    listed = (value for value, name in fields.values() if name == "MULTI_SERIAL_NUMBERS")
    words = (word for value in listed for word in value.split() if _is_hex(word))
    return tuple(number for number in (int(word, 16) for word in words) if number)


def _debug_on(fields: Mapping[int, tuple[str, str]]) -> bool | None:
    """Return what the DEBUG field does: 2 is no, 0 nothing; a few makers spell it out."""
    value, _ = fields.get(3, ("0", ""))
    if not _is_hex(value):
        return False if value.lower() == "disable" else None
    number = int(value, 16) & 0xFFFFFFFF
    return {0: None, 2: False}.get(number, True)


def raw_ids(fields: Mapping[int, tuple[str, str]]) -> tuple[int, int] | None:
    """Return HW_ID and SW_ID, which enter the digest of old images; None if they are not there."""
    try:
        return _field(fields, 2), _field(fields, 1)
    except DocumentError:
        return None


def _is_hex(text: str) -> bool:
    return 0 < len(text) <= 16 and all(digit in "0123456789abcdefABCDEF" for digit in text)


def _field(fields: Mapping[int, tuple[str, str]], number: int) -> int:
    value, _ = fields.get(number, ("", ""))
    if not _is_hex(value):
        raise DocumentError(f"The leaf certificate has no usable field {number:02}.")
    return int(value, 16)


def _flag(fields: Mapping[int, tuple[str, str]], number: int) -> bool:
    value, _ = fields.get(number, ("0", ""))
    return _is_hex(value) and int(value, 16) == 1


def from_metadata_v6(block: bytes) -> Binding:
    """Return what a metadata block of header version 6 says.

    Raises:
        DocumentError: it is too short.
    """
    if len(block) < METADATA_V6_BYTES:
        raise DocumentError(f"Metadata of {len(block)} bytes are not supported.")
    words = struct.unpack_from("<30I", block)
    major, flags = words[0], words[7]
    independent = bool(flags & 0x8)
    # bits 10 and 11 count from metadata 1.0 on; before, the model goes with the maker
    model_independent = independent or (major >= 1 and bool(flags & 0x800))
    by_serial = bool(flags & 0x4)
    debug = flags >> 8 & 3
    return Binding(
        sw_id=words[2],
        rollback=words[29],
        msm_id=words[3],
        oem_id=words[4],
        model_id=words[5],
        soc_versions=tuple(word for word in words[8:20] if word),
        by_soc=bool(flags & 0x2),
        msm_bound=major < 1 or bool(flags & 0x400),
        oem_bound=not independent,
        model_bound=not model_independent,
        serial_bound=by_serial,
        serials=tuple(word for word in words[20:28] if word) if by_serial else (),
        debug=f"{debug}",
        debug_on={1: False, 2: True}.get(debug),
    )


def from_metadata_v7(common: bytes, block: bytes) -> Binding:
    """Return what the common and a signer's metadata of header version 7 say.

    Raises:
        DocumentError: one of them is too short.
    """
    if len(common) < 24 or len(block) < METADATA_V7_BYTES:
        raise DocumentError(f"Metadata of {len(common)} and {len(block)} bytes are not supported.")
    words = struct.unpack_from("<56I", block)
    serials = struct.unpack_from("<8Q", block, 0x48)
    pairs = {name: words[55] >> 2 * index & 3 for index, name in enumerate(_V7_PAIRS)}
    by_serial = pairs["serial"] == _BOUND
    debug = words[55] >> _V7_DEBUG_SHIFT & 3
    return Binding(
        sw_id=struct.unpack_from("<I", common, 8)[0],
        rollback=words[2],
        msm_id=words[17],
        oem_id=words[34],
        model_id=words[35],
        soc_versions=tuple(word for word in words[4:16] if word),
        by_soc=pairs["SoC"] == _BOUND,
        msm_bound=pairs["MSM id"] != _NOT_BOUND,
        oem_bound=pairs["OEM id"] != _NOT_BOUND,
        model_bound=pairs["model id"] != _NOT_BOUND,
        serial_bound=by_serial,
        serials=tuple(number for number in serials if number) if by_serial else (),
        debug=f"{debug}",
        debug_on={_BOUND: True, _NOT_BOUND: False}.get(debug),
    )
