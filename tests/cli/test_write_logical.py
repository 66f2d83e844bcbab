# SPDX-License-Identifier: BSD-3-Clause
"""Images for the logical partitions inside `super`, by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edl.virtual.phone import Phone
from tests import dumps, supers
from tests.cli.conftest import Edl
from tests.cli.test_safety import bench
from tests.packages.making import noise
from tests.packages.test_ota import expected, lived

__all__ = ["bench"]

WRITE = ("--virtual", "any", "write")
HALF = 1024 * 512


@pytest.fixture
def before(bench: Phone) -> bytes:
    """Give the phone a `super` in which system_a has two pieces, and return its content."""
    there: Any = SimpleNamespace(flash=bench.storage)
    return lived(there, "a")


def test_an_image_goes_into_the_pieces_of_its_partition(
    edl: Edl, bench: Phone, before: bytes, tmp_path: Path
) -> None:
    image = tmp_path / "system.img"
    image.write_bytes(noise(2 * HALF - 4096, 8))
    result = edl(*WRITE, "system_a", image)
    assert result.status == 0
    data = image.read_bytes()
    pieces = {2048: data[:HALF], 6144: data[HALF:]}
    assert dumps.held(bench.storage, "super") == expected(before, pieces)


@pytest.mark.usefixtures("before")
def test_what_is_not_meant_exactly_is_not_written(edl: Edl, bench: Phone, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(noise(8192, 9))
    there = dumps.held(bench.storage, "super")
    told = edl(*WRITE, "system", image)
    assert (told.status, "Name the one you mean, for example system_a." in told.err) == (2, True)
    assert edl(*WRITE, "boot", image).status == 2
    assert edl(*WRITE, "nothing", image).status == 2
    image.write_bytes(noise(3 * HALF, 9))
    too_large = edl(*WRITE, "system_a", image)
    assert too_large.status != 0
    assert dumps.held(bench.storage, "super") == there


def test_a_super_empty_is_expanded(edl: Edl, bench: Phone, before: bytes, tmp_path: Path) -> None:
    layout = supers.Layout([("system_a", 1, 0, [])], devices=[(2048, len(before), "super", 0)])
    image = tmp_path / "super_empty.img"
    image.write_bytes(supers.empty_image(layout))
    assert edl(*WRITE, "super", image).status == 0
    head = bytes(supers.super_image(layout, layout)[: 12288 + 4 * 65536])
    assert dumps.held(bench.storage, "super") == head + before[len(head) :]
    assert edl(*WRITE, "super", image, "--unsparse", "no").status == 0  # byte for byte
    assert dumps.held(bench.storage, "super")[:52] == image.read_bytes()[:52]
    other = supers.Layout([("system_a", 1, 0, [])], devices=[(2048, 4 << 20, "super", 0)])
    image.write_bytes(supers.empty_image(other))
    told = edl(*WRITE, "super", image)
    assert told.status != 0
    assert "is for a 'super' of 4194304 bytes" in told.err
