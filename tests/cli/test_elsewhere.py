# SPDX-License-Identifier: BSD-3-Clause
"""Rows that miss the phone's partitions, and users who insist on them."""

from __future__ import annotations

from pathlib import Path

from edl.virtual.phone import Phone
from tests import dumps
from tests.cli.conftest import Edl
from tests.cli.test_safety import bench

__all__ = ["bench"]


def test_rows_for_another_layout_are_insisted_on_by_name(
    tmp_path: Path, edl: Edl, bench: Phone
) -> None:
    boot = dumps.live(bench.storage, "owner").find("boot")
    assert boot is not None
    (tmp_path / "boot.img").write_bytes(b"ANDROID!" + bytes(504))
    (tmp_path / "rawprogram0.xml").write_text(
        '<data><program SECTOR_SIZE_IN_BYTES="512" filename="boot.img" label="boot"'
        f' num_partition_sectors="1" physical_partition_number="0" sparse="false"'
        f' start_sector="{boot.last_sector + 1}" file_sector_offset="0"/></data>'
    )
    command = ("--virtual", "any", "rawprogram", tmp_path, "--no-reset")
    refused = edl(*command)
    assert refused.status == 9
    assert "insists with --elsewhere boot" in refused.err
    assert edl(*command, "--elsewhere", "misc").status == 9
    done = edl(*command, "--elsewhere", "boot")
    assert done.status == 0, done.err
    assert "'boot' goes to sector" in done.err
    assert bench.storage.luns[0].read(boot.last_sector + 1, 1).startswith(b"ANDROID!")
