# SPDX-License-Identifier: BSD-3-Clause
"""Commands in exactly the words of qdl 2.8, so that tables signed for one serve the other.

What differs from `edl.firehose.commands`: the frame, which attributes there are, and expressions,
which the programmer works out itself: a table is signed for a model, not for one size of storage.
All programmers that were executed take this form (peers on real programmers: qdl).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edl.errors import PackageError
from edl.firehose.commands import MAX_XML_BYTES, Power
from edl.formats.rawprogram import EraseRow, PatchRow

MEMORY_NAMES = ("ufs", "emmc", "nand", "nvme", "spinor")
_MAX_VALUE_CHARS = 127  # qdl cuts what is longer
_SAFE = re.compile(r"[ !#-%(-;=?-~]*")  # what needs no entity: programmers know none
_RESET_DELAY_S = 10


def document(tag: str, attributes: Mapping[str, str | int]) -> bytes:
    """Return one command.

    Raises:
        PackageError: a value has characters that programmers do not understand, or is too long.
    """
    words = "".join(f' {name}="{_text(name, str(value))}"' for name, value in attributes.items())
    data = f'<?xml version="1.0"?>\n<data><{tag}{words}/></data>\n'.encode("ascii")
    if len(data) >= MAX_XML_BYTES:
        raise PackageError(f"<{tag}> is {len(data)} bytes long; programmers take less than 4096.")
    return data


def _text(name: str, value: str) -> str:
    if not _SAFE.fullmatch(value):
        raise PackageError(
            f"{name}='{value}' has characters that programmers do not understand.",
            remedies=("Rename the file, in the XML too: plain letters, digits, '-' and '_'.",),
        )
    return value[:_MAX_VALUE_CHARS]


def configure(memory: str, payload_bytes: int) -> bytes:
    """Return <configure>. payload_bytes: size of data transfers, which the phone must accept."""
    return document(
        "configure",
        {
            "MemoryName": memory,
            "MaxPayloadSizeToTargetInBytes": payload_bytes,
            "Verbose": 0,
            "ZlpAwareHost": 1,
            "SkipStorageInit": 0,
        },
    )


def program(lun: int, start: str, sectors: int, sector_bytes: int, filename: str) -> bytes:
    """Return <program>. start: a number or an expression."""
    return document("program", _place(lun, start, sectors, sector_bytes) | {"filename": filename})


def read(lun: int, start: str, sectors: int, sector_bytes: int, filename: str) -> bytes:
    """Return <read>. filename: means nothing to the phone."""
    return document("read", _place(lun, start, sectors, sector_bytes) | {"filename": filename})


def digest(lun: int, start: str, sectors: int, sector_bytes: int) -> bytes:
    """Return <getsha256digest>."""
    return document("getsha256digest", _place(lun, start, sectors, sector_bytes))


def _place(lun: int, start: str, sectors: int, sector_bytes: int) -> dict[str, str | int]:
    return {
        "SECTOR_SIZE_IN_BYTES": sector_bytes,
        "num_partition_sectors": sectors,
        "physical_partition_number": lun,
        "start_sector": start,
    }


def erase(row: EraseRow, sector_bytes: int) -> bytes:
    """Return <erase>; of a whole LUN where the row has no range."""
    attributes: dict[str, str | int] = {
        "SECTOR_SIZE_IN_BYTES": sector_bytes,
        "physical_partition_number": row.lun,
    }
    if row.start is not None:
        attributes |= {"num_partition_sectors": row.sectors, "start_sector": row.start.text}
    return document("erase", attributes)


def patch(row: PatchRow, sector_bytes: int) -> bytes:
    """Return <patch>, for the programmer to compute."""
    return document(
        "patch",
        {
            "SECTOR_SIZE_IN_BYTES": sector_bytes,
            "byte_offset": row.byte_offset,
            "filename": row.filename,
            "physical_partition_number": row.lun,
            "size_in_bytes": row.size_in_bytes,
            "start_sector": row.start.text,
            "value": row.value.text,
        },
    )


def set_bootable(lun: int) -> bytes:
    """Return <setbootablestoragedrive>."""
    return document("setbootablestoragedrive", {"value": lun})


def power(action: Power) -> bytes:
    """Return <power>."""
    return document("power", {"value": action, "DelayInSeconds": _RESET_DELAY_S})
