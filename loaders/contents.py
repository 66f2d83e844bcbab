# SPDX-License-Identifier: BSD-3-Clause
"""What lies in the data segment of a dummy: the words by which a programmer is recognised.

There is no code in it. The words are what 719 real programmers have in common, a generation each.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_ATTRIBUTES = (
    "MemoryName Verbose AlwaysValidate MaxDigestTableSizeInBytes MaxPayloadSizeToTargetInBytes "
    "ZlpAwareHost SkipWrite SECTOR_SIZE_IN_BYTES num_partition_sectors physical_partition_number "
    "start_sector filename byte_offset size_in_bytes value NUM_DISK_SECTORS"
)

_COMMANDS = {
    "A": (
        "configure program firmwarewrite patch setbootablestoragedrive ufs emmc power benchmark "
        "read getstorageinfo getcrc16digest getsha256digest erase peek poke nop"
    ),
    "B": (
        "configure program read nop patch setbootablestoragedrive erase power firmwarewrite "
        "getstorageinfo benchmark emmc ufs getsha256digest peek poke"
    ),
    "C": (
        "program read nop patch configure setbootablestoragedrive erase power firmwarewrite "
        "getstorageinfo benchmark emmc ufs fixgpt getsha256digest"
    ),
}

_LINES = {
    "A": (
        "XML file cannot fit in buffer",
        "logbuf@0x%08X fh@0x%08X",
        "WARNING: Ignoring unrecognized tag '%s'. Continuing.",
        "AckRawDataEveryNumPackets",
        "MaxPayloadSizeFromTargetInBytes",
        "TargetName",
        "eMMC",
    ),
    "B": (
        "parseSectorValue could not handle start_sector value",
        "fh.attrs.MaxPayloadSizeToTargetInBytes",
        "Supported Functions: ",
        "SkipStorageInit",
        "Binary build date: %s @ %s",
        "eMMC",
        "UFS",
        "spinor",
    ),
    "C": (
        "NO free handles for xml write, missing a close?",
        "Supported Functions (%d):",
        "End of supported functions %d",
        "Binary build date: %s @ %s",
        "print_json",
        "eMMC",
        "UFS",
        "nand",
        "spinor",
    ),
}

STREAMING = b"\0QCOM fast download protocol targ\0Unrecognized flash device\0"


def programmer(
    generation: str,
    version: str,
    *,
    extra: Sequence[str] = (),
    commands: Sequence[str] = (),
    size: int = 0x8000,
) -> bytes:
    """Return the data segment of a Firehose programmer, exactly size bytes.

    generation: A, B or C. version: its QC_IMAGE_VERSION_STRING. extra: more strings; commands: more
    commands, such as a maker's own. The rest is filled with counted words, so that pages differ.
    """
    table = [*_COMMANDS[generation].split(), *commands]
    words = [f"QC_IMAGE_VERSION_STRING={version}", *_LINES[generation], *extra]
    words += _ATTRIBUTES.split()
    text = b"\0" + b"\0".join(word.encode() for word in (*words, *table)) + b"\0"
    return filled(text, size)


def filled(text: bytes, size: int) -> bytes:
    """Return text in the middle of size bytes of counted words.

    Raises:
        ValueError: text is longer than size.
    """
    if len(text) > size:
        raise ValueError(f"{len(text)} bytes of text do not fit into {size}")
    start = (size - len(text)) // 8 * 4
    words = struct.pack(f"<{size // 4 + 1}I", *range(size // 4 + 1))
    return (words[:start] + text + words[start + len(text) :])[:size]
