# SPDX-License-Identifier: BSD-3-Clause
"""Images in numbered parts, in folders without XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.packages import pieces
from edl.packages.tree import of_folder
from edl.plan import byname
from edl.plan.build import build
from edl.plan.model import Geometry
from tests.packages.installing import opened
from tests.packages.making import BLOCK, noise, sparse
from tests.packages.test_byname import DISK, table
from tests.packs import put

COUNT = 12
PARTS = [
    sparse((index, b""), (1, noise(BLOCK, index)), (COUNT - index - 1, b""))
    if index
    else sparse((1, noise(BLOCK, 0)), (COUNT - 1, b""))
    for index in range(COUNT)
]
WHOLE = b"".join(noise(BLOCK, index) for index in range(COUNT))


def folder_with(path: Path, names: Sequence[str]) -> Path:
    files: dict[str, bytes | str] = dict(zip(names, PARTS, strict=False))
    return put(path, {"boot.img": b"ANDROID!", "vbmeta.img": b"AVB0", **files})


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("super.img_sparsechunk.{}", 0),
        ("Super.img_sparsechunk{}", 0),
        ("super.img.{}", 0),
        ("super.{}.img", 0),
        ("super_{}.img", 1),
        ("super_sparse.{}", 1),
        ("super.img_sparse.{}", 0),
    ],
)
def test_parts_by_number(tmp_path: Path, pattern: str, first: int) -> None:
    names = [pattern.format(index + first) for index in range(COUNT)]
    folder = folder_with(tmp_path, names)
    assert pieces.sets(of_folder(folder), ".") == {"super": tuple(names)}
    package, _ = opened(folder)
    assert [each.filename for each in package.named if each.partition == "super"] == names
    phone = {0: table(boot=8, vbmeta=8, super=COUNT * BLOCK // 512)}
    plan = build(byname.placed(package, phone, 512), Geometry("emmc", 512, {0: DISK}))
    assert plan.errors == ()
    place = phone[0].find("super")
    assert place is not None
    held = bytearray(COUNT * BLOCK)
    for step in plan.writes:
        if step.label == "super":
            at = (step.area.start_sector - place.first_sector) * 512
            held[at : at + step.area.size_bytes] = read_all(step.content, 0, step.area.size_bytes)
    assert held == WHOLE


@pytest.mark.parametrize(
    "names",
    [
        ["super.img.0"],  # one is no set
        ["super.img.2", "super.img.3"],  # the first ones are missing
        ["super.img.0", "super.img.2"],
        ["super.img", "super_1.img", "super_2.img"],  # there is a whole one
    ],
)
def test_what_is_no_set(tmp_path: Path, names: list[str]) -> None:
    assert pieces.sets(of_folder(folder_with(tmp_path, names)), ".") == {}


def test_numbered_images_that_are_not_sparse(tmp_path: Path) -> None:
    put(tmp_path, {"cust_1.img": b"1", "cust_2.img": b"2", "boot.img": b"b"})
    assert pieces.sets(of_folder(tmp_path), ".") == {}
    assert {each.partition for each in opened(tmp_path)[0].named} == {"boot", "cust_1", "cust_2"}
