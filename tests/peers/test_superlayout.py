# SPDX-License-Identifier: BSD-3-Clause
"""New layouts of `super` against AOSP's fastboot and PyPI's liblp."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from edl.chunks import BytesContent, read_all
from edl.formats import super as lp
from edl.formats import superlayout
from edl.formats.superlayout import Wanted
from edl.images.file import open_content
from edl.units import MIB
from tests import supers
from tests.peers.test_lp import answer_fastboot, tool


@pytest.mark.parametrize("slots", [2, 3])
def test_a_super_empty_becomes_what_fastboot_makes_of_it(tmp_path: Path, slots: int) -> None:
    fastboot = tool("fastboot", "fastboot")
    layout = supers.two_slots()
    layout.partitions = [("system_a", 1, 1, []), ("vendor_a", 1, 1, []), ("system_b", 1, 2, [])]
    empty = tmp_path / "super_empty.img"
    empty.write_bytes(supers.empty_image(layout, slots=slots))
    flashed: dict[str, bytes] = {}
    with socket.create_server(("127.0.0.1", 0)) as server:
        phone = threading.Thread(target=answer_fastboot, args=(server, flashed), daemon=True)
        phone.start()
        address = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        subprocess.run(
            [fastboot, "-s", address, "wipe-super", empty],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        phone.join(10)
    written = tmp_path / "super.simg"
    written.write_bytes(flashed["super"])
    with open_content(empty) as source:
        ours = superlayout.expanded(source.content)
    with open_content(written) as opened:
        assert read_all(opened.content, 0, len(ours)) == ours
        rest = read_all(opened.content, len(ours), opened.content.size_bytes - len(ours))
        assert not any(rest)


@pytest.mark.parametrize("minor", [0, 2])
def test_lpunpack_reads_a_super_that_is_laid_out_anew(tmp_path: Path, minor: int) -> None:
    lpunpack = tool("lpunpack", "PyPI: liblp")
    layout = supers.two_slots(minor)
    before = BytesContent(bytes(supers.super_image(layout, layout)))
    found = lp.read(before)
    metadata = found.slots[0].best
    assert metadata is not None
    raw = superlayout.read_raw(before, found, found.slots[0])
    source = random.Random(minor)
    images = {name: source.randbytes(size) for name, size in
              [("system_a", 2 * MIB + 4096), ("vendor_a", 8192), ("product_a", MIB)]}  # fmt: skip
    wanted = [Wanted(name, "main_a", len(data)) for name, data in images.items()]
    taken = [(3 * 2048, 3 * 2048 + 8)]  # so that one of them lies in two pieces
    placed = superlayout.lay_out(metadata, wanted, 4096, taken)
    assert [len(each.runs) for each in placed] == [2, 1, 1]
    made = superlayout.relaid(raw, metadata, placed)
    whole = bytearray(8 * MIB)
    head = superlayout.head(superlayout.geometry_of(before), found, 2, made)
    whole[: len(head)] = head
    for each in placed:
        at = 0
        for first, sectors in each.runs:
            piece = images[each.wanted.name][at : at + sectors * 512]
            whole[first * 512 : first * 512 + len(piece)] = piece
            at += sectors * 512
    path = tmp_path / "super.img"
    path.write_bytes(whole)
    for slot in (0, 1):
        out = tmp_path / f"out{slot}"
        out.mkdir()
        subprocess.run([lpunpack, path, "-o", out, "-S", str(slot)], check=True, timeout=30)
        unpacked = {each.name: each.read_bytes() for each in out.iterdir()}
        assert unpacked == {f"{name}.img": data for name, data in images.items()}
