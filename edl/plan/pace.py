# SPDX-License-Identifier: BSD-3-Clause
"""How fast a job was, and what kept it from being faster."""

from __future__ import annotations

from edl.units import MIB, format_size

# what bulk transfers bring in practice, in bytes/s, by libusb's number of the speed (1: low)
_USUAL = {1: 100_000, 2: 1_000_000, 3: 38_000_000, 4: 350_000_000, 5: 700_000_000}
_SLOW_PORTS = {1: "low speed (1.5 Mbit/s)", 2: "full speed (12 Mbit/s)"}
_SHARE = 0.6  # of the usual; below that it is not the link that takes the time
_LEAST_BYTES = 16 * MIB  # less tells nothing


def slow_link(speed: int | None) -> str:
    """Return a warning if USB runs far below what every phone can do; speed: as libusb counts."""
    if speed not in _SLOW_PORTS:
        return ""
    return (
        f"USB runs at {_SLOW_PORTS[speed]} only, at most {format_size(_USUAL[speed])}/s:"
        " another cable or port makes it dozens of times as fast"
    )


def told(size: int, seconds: float, speed: int | None, payload_bytes: int) -> str:
    """Return how fast size bytes were written in seconds, and why not faster; "" for too few."""
    if size < _LEAST_BYTES or seconds <= 0:
        return ""
    rate = size / seconds
    text = f"{format_size(round(rate))}/s"
    if speed is None:  # a serial port
        return text
    if speed in _SLOW_PORTS:
        return f"{text}: USB ran at {_SLOW_PORTS[speed]} only"
    usual = _USUAL.get(speed, _USUAL[3])
    if rate >= _SHARE * usual:
        return f"{text}, about what this USB connection gives"
    small = "" if payload_bytes >= 64 * 1024 else f" in blocks of {format_size(payload_bytes)}"
    return (
        f"{text}: the phone's flash takes no more{small}"
        f" (USB would give about {format_size(usual)}/s)"
    )
