# SPDX-License-Identifier: BSD-3-Clause
"""Numbers as people write and read them: sizes, sectors, hex."""

from __future__ import annotations

import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_SUFFIX = {"": 1, "b": 1, "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB}
_SIZE = re.compile(r"(0x[0-9a-f]+|[0-9]+)\s*(b|k|kib|m|mib|g|gib)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Return the number of bytes that text names: `4096`, `0x1000`, `64KiB`, `1MiB`.

    Raises:
        ValueError: text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 4096, 0x1000 or 64KiB")
    return parse_number(match[1]) * _SUFFIX[(match[2] or "").lower()]


def parse_number(text: str) -> int:
    """Return the decimal or 0x number in text; leading zeros are decimal.

    Raises:
        ValueError: text is no such number.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    raise ValueError(f"{text!r} is not a decimal or 0x number")


def format_size(size_bytes: int) -> str:
    """Return size_bytes for people: `512 bytes`, `33 KiB`, `7.4 GiB`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            value = size_bytes / unit
            digits = 0 if value >= 99.95 or size_bytes % unit == 0 else 1
            return f"{value:.{digits}f} {name}"
    return f"{size_bytes} byte{'' if size_bytes == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """Return seconds for people: `0.4 s`, `12 s`, `3 min 20 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def format_wait(seconds: float) -> str:
    """Return seconds for waiting people: `4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
