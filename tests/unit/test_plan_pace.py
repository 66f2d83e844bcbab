# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest
from usb import util

from edl.plan.pace import slow_link, told
from edl.units import MIB


@pytest.mark.parametrize(
    ("rate", "speed", "payload", "words"),
    [
        (33 * MIB, util.SPEED_HIGH, MIB, "33 MiB/s, about what this USB connection gives"),
        (9 * MIB, util.SPEED_HIGH, MIB, "the phone's flash takes no more (USB would give about"),
        (9 * MIB, util.SPEED_HIGH, 16384, "takes no more in blocks of 16 KiB (USB would"),
        (90 * MIB, util.SPEED_SUPER, MIB, "the phone's flash takes no more"),
        (MIB, util.SPEED_FULL, MIB, "1 MiB/s: USB ran at full speed (12 Mbit/s) only"),
        (5 * MIB, None, MIB, "5 MiB/s"),
        (40 * MIB, 77, MIB, "about what this USB connection gives"),
    ],
)
def test_what_took_the_time(rate: int, speed: int | None, payload: int, words: str) -> None:
    assert words in told(20 * rate, 20.0, speed, payload)


def test_a_little_tells_nothing() -> None:
    assert told(15 * MIB, 1.0, util.SPEED_HIGH, MIB) == ""
    assert told(16 * MIB, 0.0, util.SPEED_HIGH, MIB) == ""


def test_a_slow_port_is_named_before_the_job() -> None:
    assert "full speed (12 Mbit/s) only, at most" in slow_link(util.SPEED_FULL)
    assert slow_link(util.SPEED_HIGH) == slow_link(None) == ""
