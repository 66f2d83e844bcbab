# SPDX-License-Identifier: BSD-3-Clause
"""Firehose commands, and the one form in which every programmer understands them.

Executed against four real programmers: prolog, one self-closing command in <data>, one space
before each attribute and before `/>`, double quotes, no entities, no comments, plain decimal
numbers, every value at most 80 characters (file names 64), every attribute given every time
(generation 2 would use the last value that it saw), shorter than 4096 bytes and never a multiple
of 512 bytes long.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_XML_BYTES = 4096  # MaxXMLSizeInBytes of every programmer seen
MAX_VALUE_CHARS = 80  # generation 2 refuses longer values, even of attributes that it ignores
_PACKET_BYTES = 512  # a document of such a multiple is taken for the beginning of a longer one
_NOTHING: Mapping[str, int | str] = {}
_SAFE_VALUE = re.compile(r"[ !#-%(-;=?-~]*")  # printable ASCII without " & ' < >


def document(tag: str, attributes: Mapping[str, str | int]) -> bytes:
    """Return the XML document that holds one command.

    Raises:
        ValueError: a value has a character or a length that some programmer does not take, or there
            is no attribute: generation 2 then looks for one in what an older command left behind.
    """
    if not attributes:
        raise ValueError(f"<{tag}> has no attribute")
    words = []
    for name, value in attributes.items():
        text = str(value)
        if len(text) > MAX_VALUE_CHARS or _SAFE_VALUE.fullmatch(text) is None:
            raise ValueError(f"{name}={text!r} cannot be sent to a programmer")
        words.append(f'{name}="{text}" ')
    body = f'<?xml version="1.0" encoding="UTF-8" ?><data><{tag} {"".join(words)}/></data>'
    data = body.encode("ascii")
    if len(data) % _PACKET_BYTES == 0:
        data += b"\n"
    if len(data) >= MAX_XML_BYTES:
        raise ValueError(f"<{tag}> is {len(data)} bytes long; programmers take less than 4096")
    return data


class Power(enum.StrEnum):
    """What <power> can ask for; any other word resets a generation 3 phone, or gets no answer."""

    RESET = "reset"
    OFF = "off"
    EDL = "reset_to_edl"


@dataclass(frozen=True, slots=True)
class Area:
    """What a command acts on: sectors of sector_bytes each on one LUN."""

    lun: int
    start_sector: int
    sectors: int
    sector_bytes: int

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return self.sectors * self.sector_bytes

    def part(self, offset: int, size_bytes: int) -> Area:
        """Return size_bytes of it from offset on, both whole sectors."""
        unit = self.sector_bytes
        return Area(self.lun, self.start_sector + offset // unit, size_bytes // unit, unit)

    def attributes(self) -> dict[str, int | str]:
        """Return the four attributes that every storage command needs."""
        return {
            "SECTOR_SIZE_IN_BYTES": self.sector_bytes,
            "num_partition_sectors": self.sectors,
            "physical_partition_number": self.lun,
            "start_sector": self.start_sector,
        }


def configure(memory: str, payload_bytes: int, *, zlp: bool, skip_storage: bool = False) -> bytes:
    """Return <configure>. payload_bytes: size of our data transfers, a multiple of 512.

    zlp: we end transfers that fill their last packet with a zero-length packet. With zlp and no
    such packets every programmer hangs; without zlp and with them generation 2 fails.
    """
    return document(
        "configure",
        {
            "MemoryName": memory,
            "Verbose": 0,
            "AlwaysValidate": 0,
            "MaxDigestTableSizeInBytes": 8192,
            "MaxPayloadSizeToTargetInBytes": payload_bytes,
            "ZlpAwareHost": int(zlp),
            "SkipStorageInit": int(skip_storage),
            "TargetName": "8960",
        },
    )


def nop() -> bytes:
    """Return <nop>; generations 2 and 3 answer it with their list of commands."""
    return document("nop", {"value": "ping"})


def get_storage_info(lun: int) -> bytes:
    """Return <getstorageinfo>; the answer is in the logs before the response."""
    return document("getstorageinfo", {"physical_partition_number": lun})


def on_nand(pages_per_block: int, last_sector: int) -> dict[str, int | str]:
    """Return what commands say besides on NAND, as the packages of modems do.

    pages_per_block: of the chip; older programmers compare it. last_sector: of the place, up to
    where a programmer may go on behind bad blocks.
    """
    return {"PAGES_PER_BLOCK": pages_per_block, "last_sector": last_sector}


def program(area: Area, label: str = "", more: Mapping[str, int | str] = _NOTHING) -> bytes:
    """Return <program>. label: NAND programmers place data by it; others ignore it.

    more: further attributes, as of `on_nand`; likewise below.
    """
    return document("program", {**area.attributes(), **_optional("label", label), **more})


def read(area: Area, more: Mapping[str, int | str] = _NOTHING) -> bytes:
    """Return <read>."""
    return document("read", {**area.attributes(), **more})


def erase(area: Area, more: Mapping[str, int | str] = _NOTHING) -> bytes:
    """Return <erase> with all that makes it partial on programmers that know partial erase.

    Generation 1 erases the whole LUN whatever it is given; never send it there.
    """
    return document("erase", {**area.attributes(), **more})


def sha256(area: Area, more: Mapping[str, int | str] = _NOTHING) -> bytes:
    """Return <getsha256digest>."""
    return document("getsha256digest", {**area.attributes(), **more})


def patch(
    lun: int, sector: int, sector_bytes: int, byte_offset: int, size_bytes: int, value: str
) -> bytes:
    """Return <patch> of size_bytes (at most 8) at byte_offset of one sector of the disk."""
    return document(
        "patch",
        {
            "SECTOR_SIZE_IN_BYTES": sector_bytes,
            "byte_offset": byte_offset,
            "filename": "DISK",
            "physical_partition_number": lun,
            "size_in_bytes": size_bytes,
            "start_sector": sector,
            "value": value,
        },
    )


def set_bootable(value: int) -> bytes:
    """Return <setbootablestoragedrive>. value: on UFS the LUN to boot from, on eMMC 0."""
    return document("setbootablestoragedrive", {"value": value})


def firmware_write(area: Area) -> bytes:
    """Return <firmwarewrite>: the data goes to the storage device as its own new firmware."""
    return document("firmwarewrite", area.attributes())


def fix_gpt(lun: int, *, grow: bool) -> bytes:
    """Return <fixgpt>: the programmer makes both tables of lun fit its size (generation 3)."""
    return document("fixgpt", {"lun": lun, "grow_last_partition": int(grow)})


def peek(address: int, size_bytes: int, generation: int) -> bytes:
    """Return <peek>: the answer is in the logs. Generation 1 has another name for the size."""
    size = "SizeInBytes" if generation == 1 else "size_in_bytes"
    return document("peek", {"address64": address, size: size_bytes})


def ufs(values: Mapping[str, str | int]) -> bytes:
    """Return <ufs>, a row of a provisioning file; `commit` with 1 divides the storage anew."""
    return document("ufs", values)


def power(action: Power, delay_s: int = 1) -> bytes:
    """Return <power>. The answer comes before the delay; with none it may be lost."""
    return document("power", {"value": action, "DelayInSeconds": delay_s})


def _optional(name: str, value: str) -> dict[str, int | str]:
    fits = value and len(value) <= 64 and _SAFE_VALUE.fullmatch(value)
    return {name: value} if fits else {}
