# SPDX-License-Identifier: BSD-3-Clause
"""The codes of JESD84-B51 (EXT_CSD bytes 267 to 269), as words and verdicts."""

from __future__ import annotations

import pytest

from edl.device import health
from edl.device.health import Health, Life, PreEol
from edl.firehose.answers import StorageInfo, parse_storage_info
from tests.unit.test_extcsd import REAL, registers


def emmc(pre_eol: int, life_a: int, life_b: int) -> StorageInfo:
    data = registers({192: b"\x08", 267: bytes((pre_eol, life_a, life_b))})
    return StorageInfo(ext_csd=data)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, None),
        (1, "0 to 10 %"),
        (2, "10 to 20 %"),
        (10, "90 to 100 %"),
        (11, "more than 100 %"),
        (12, None),
        (None, None),
    ],
)
def test_life_time_codes(code: int | None, words: str | None) -> None:
    life = Life.of(code)
    assert (None if life is None else str(life)) == words


def test_pre_eol_codes() -> None:
    assert [code.words.split(" % ")[0] for code in PreEol] == ["less than 80", "80", "90"]


@pytest.mark.parametrize(
    ("codes", "worn"),
    [
        ((1, 1, 1), False),
        ((1, 9, 9), False),
        ((1, 10, 1), True),
        ((1, 1, 11), True),
        ((2, 1, 1), True),
        ((3, 0, 0), True),
        ((1, 0, 0), False),
        ((0, 3, 0), False),
    ],
)
def test_verdicts(codes: tuple[int, int, int], worn: bool) -> None:
    told = health.of(emmc(*codes))
    assert told is not None
    assert told.worn is worn
    assert told.verdict == ("worn: back up now" if worn else "sound")


def test_a_real_device() -> None:
    told = health.of(StorageInfo(ext_csd=registers(REAL)))
    assert told == Health(Life(0, 10), None, PreEol.NORMAL)


@pytest.mark.parametrize(
    "info", [StorageInfo(), emmc(0, 0, 0), emmc(4, 12, 99), StorageInfo(life_a=0, life_b=100)]
)
def test_what_is_not_told(info: StorageInfo) -> None:
    assert health.of(info) is None


def test_life_time_of_a_ufs_device() -> None:
    """The newest programmers have these members, and a hexadecimal number that breaks the JSON."""
    info = parse_storage_info(
        [
            'INFO: {"storage_info": {"total_blocks":8192, "block_size":4096, "mem_type":"UFS",'
            '"wspec_version":0x310, "lifeA":2, "lifeB":0xb}}'
        ]
    )
    assert (info.memory, info.sectors) == ("ufs", 8192)
    assert health.of(info) == Health(Life(10, 20), Life(100, None))
