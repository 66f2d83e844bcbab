# SPDX-License-Identifier: BSD-3-Clause
"""Packages, dumps and backups compared."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from edl.chunks import BytesContent
from edl.formats.expressions import Expression
from edl.images.parts import Missing
from edl.packages import comparing
from edl.packages.comparing import Pair, State, compare, pairs
from edl.packages.holdings import Holding
from edl.units import MIB
from tests import packs
from tests.cli.conftest import Edl, Result
from tests.cli.test_builds import NEW, OLD, image, vbmeta
from tests.cli.test_image import write_backup, write_disk
from tests.packages.making import noise


def holding(
    name: str, data: bytes = b"x", lun: int | None = None, start: int | None = None
) -> Holding:
    place = None if start is None else Expression(str(start), start)
    return Holding(name, BytesContent(data), ((0, len(data)),), lun, place)


def named(one: list[Holding], other: list[Holding]) -> list[tuple[str | None, str | None]]:
    return [
        (pair.one.name if pair.one else None, pair.other.name if pair.other else None)
        for pair in pairs(one, other)
    ]


def test_partitions_find_their_like() -> None:
    assert named(
        [holding("boot_a"), holding("boot_b"), holding("Misc"), holding("gone")],
        [holding("misc"), holding("boot"), holding("new")],
    ) == [("boot_a", "boot"), ("boot_b", "boot"), ("Misc", "misc"), ("gone", None), (None, "new")]
    assert named([holding("boot")], [holding("boot_a"), holding("boot_b")]) == [
        ("boot", "boot_a"), ("boot", "boot_b"),
    ]  # fmt: skip
    assert named([holding("boot_a")], [holding("boot_b")]) == [("boot_a", None), (None, "boot_b")]
    assert named([holding("boot_ab")], [holding("boot_a")]) == [("boot_ab", "boot_a")]
    assert named([holding("super/system_a")], [holding("system")]) == [("super/system_a", "system")]
    assert named([holding("x", lun=0), holding("x", lun=1)], [holding("x", lun=1)]) == [
        ("x", None), ("x", "x"),
    ]  # fmt: skip
    assert named([holding("x", lun=0)], [holding("x")]) == [("x", "x")]
    assert named([holding("boot"), holding("boot_a")], [holding("boot_a")]) == [
        ("boot", None), ("boot_a", "boot_a"),
    ]  # fmt: skip


def test_how_two_differ() -> None:
    data = noise(3 * MIB)
    changed = data[: MIB + 5] + b"!!" + data[MIB + 7 :]
    row = compare(Pair(holding("a", data), holding("a", changed)))
    assert (row.state, row.blocks, row.different, row.first_byte) == (
        State.CHANGED, 3, 1, MIB + 5,
    )  # fmt: skip
    assert comparing.most_changed_bytes(row) == MIB
    assert compare(Pair(holding("a", data), holding("a", data))).state is State.SAME
    row = compare(Pair(holding("a", data), holding("a", data[:-1])))
    assert (row.state, row.problem) == (
        State.CHANGED, "the sizes differ: 3145728 and 3145727 bytes",
    )  # fmt: skip
    row = compare(Pair(holding("a", data), holding("a", data[:MIB])))
    assert row.problem == "the sizes differ: 3 MiB and 1 MiB"
    row = compare(Pair(holding("a", data, 0, 10), holding("a", data, 0, 20)))
    assert (row.state, row.moved, row.different) == (State.CHANGED, True, 0)
    missing = Holding("a", Missing(10, "It is not there."), ((0, 10),))
    row = compare(Pair(missing, holding("a", bytes(10))))
    assert (row.state, row.problem) == (State.UNKNOWN, "It is not there.")
    assert compare(Pair(missing, None)).state is State.ONLY_FIRST
    assert compare(Pair(None, missing)).state is State.ONLY_SECOND


def test_over_a_storage_only_what_is_said_counts() -> None:
    data = noise(40_000)
    sparse = Holding("a", BytesContent(data[:8192] + bytes(8192)), ((0, 8192),))
    assert compare(Pair(holding("a", data), sparse), over=True).state is State.SAME
    assert compare(Pair(holding("a", data), sparse)).state is State.CHANGED
    other = Holding("a", BytesContent(bytes(16_384)), ((4096, 100), (8192, 100)))
    row = compare(Pair(holding("a", data), other), over=True)
    assert (row.state, row.different, row.first_byte) == (State.CHANGED, 2, 4096)
    larger = Holding("a", BytesContent(data + b"more"), ((0, 100), (40_002, 2)))
    row = compare(Pair(holding("a", data), larger), over=True)
    assert row.problem == "the sizes differ: 40000 and 40004 bytes"


def states(result: Result) -> dict[str, str]:
    row: dict[str, Any] = result.lines[-1]
    row = row if row["type"] == "result" else result.lines[-2]
    return {part["label"]: part["state"] for part in row["parts"]}


def test_two_packages(mini: Path, tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "mini.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in mini.iterdir():
            archive.write(file, file.name)
    same = edl("diff", path, mini)
    assert same.status == 0
    assert "The same: 2 partitions" in same.out
    other = tmp_path / "other"
    shutil.copytree(mini, other)
    data = bytearray((other / "boot.img").read_bytes())
    data[100] ^= 1
    (other / "boot.img").write_bytes(data)
    told = edl("diff", path, other)
    assert told.status == 8
    assert "1 of 1 block (1 MiB) differ; the first at byte 100" in told.out
    assert "1 of 2 partitions differ, or only one has them: boot." in told.err
    assert states(edl("diff", path, other, "--json")) == {"boot": "changed", "misc": "same"}


def test_builds_of_both_are_told(tmp_path: Path, edl: Edl) -> None:
    def rom(name: str, *images: bytes) -> Path:
        rows = [packs.program(f"{n}.img", 1000 * n, 256, f"part{n}") for n in range(len(images))]
        files = {f"{n}.img": data for n, data in enumerate(images)}
        return packs.put(tmp_path / name, files | {"rawprogram0.xml": packs.document(*rows)})

    one = rom("one", vbmeta(("boot", OLD)))
    two = rom("two", vbmeta(("boot", NEW)), image(vbmeta(("boot", OLD))))
    told = edl("diff", one, two)
    assert told.status == 8
    assert f"flat build (rawprogram), for phone, {OLD}" in told.out
    assert f"warning: {two}: 'boot' is of several builds" in told.out
    data = edl("diff", one, two, "--json").lines[-2]
    assert (data["first"]["fingerprint"], data["first"]["device"]) == (OLD, "phone")
    assert {row["code"] for row in data["findings"]} == {"mixed-builds"}


def test_a_package_over_a_dump(tmp_path: Path, edl: Edl) -> None:
    disk = write_disk(tmp_path / "disk.img")
    boot = b"ANDROID!" + bytes(100)
    rows = packs.document(
        packs.program("boot.img", 2048, 2048, "boot_a"),
        packs.program("nv.img", 4096, 2048, "modemst1"),
        packs.program("new.img", 1000, 8, "new"),
    )
    files = {"boot.img": boot, "nv.img": bytes(5000), "new.img": b"n"}
    folder = packs.put(tmp_path / "rom", files | {"rawprogram0.xml": rows})
    told = edl("diff", disk, folder)
    assert told.status == 8
    assert "it belongs to one phone alone" in told.out
    assert "Writing B over A changes at most 4.9 KiB of A." in told.out
    assert "2 of 3 partitions would change: modemst1, new." in told.err
    assert states(edl("diff", disk, folder, "--json")) == {
        "boot_a": "same", "modemst1": "changed", "new": "only second",
    }  # fmt: skip


def test_images_by_name_over_a_dump(tmp_path: Path, edl: Edl) -> None:
    disk = write_disk(tmp_path / "disk.img")
    files = {"boot.img": b"ANDROID!" + bytes(100), "vbmeta.img": b"AVB0" + bytes(100)}
    folder = packs.put(tmp_path / "rom", files)
    found = states(edl("diff", disk, folder, "--json"))
    assert found == {"boot_a": "same", "vbmeta": "only second"}
    other = packs.put(tmp_path / "other", {"abl.img": b"a", "vbmeta.img": b"b"})
    assert "has none of the partitions" in edl("diff", disk, other).err


def test_two_dumps(tmp_path: Path, edl: Edl) -> None:
    one, two = write_disk(tmp_path / "1.img"), write_disk(tmp_path / "2.img")
    assert edl("diff", one, two).status == 0
    with two.open("r+b") as file:
        file.seek(MIB + 9)
        file.write(b"!")
        file.seek(8 * MIB + 1000)
        file.write(b"!")
    found = states(edl("diff", one, two, "--json"))
    assert {name for name, state in found.items() if state != "same"} == {
        "boot_a", "outside partitions",
    }  # fmt: skip


def test_two_single_images_and_nonsense(tmp_path: Path, edl: Edl) -> None:
    (tmp_path / "a.img").write_bytes(b"ANDROID!" + noise(5000))
    (tmp_path / "b.simg").write_bytes(packs.sparse(4096, noise(4096), 2))
    (tmp_path / "c.img").write_bytes(noise(4096) + bytes(8192))
    assert edl("diff", tmp_path / "a.img", tmp_path / "a.img").status == 0
    assert edl("diff", tmp_path / "b.simg", tmp_path / "a.img").status == 8
    assert edl("diff", tmp_path / "c.img", tmp_path / "a.img").status == 7
    assert edl("diff", tmp_path / "absent", tmp_path / "a.img").status == 2


def test_a_package_over_a_backup(tmp_path: Path, edl: Edl) -> None:
    folder = write_backup(tmp_path / "backup", write_disk(tmp_path / "disk.img"))
    rows = packs.document(packs.program("boot.img", 2048, 2048, "boot_a"))
    rom = packs.put(
        tmp_path / "rom", {"boot.img": b"ANDROID!" + bytes(100), "rawprogram0.xml": rows}
    )
    told = edl("diff", folder, rom)
    assert told.status == 0
    assert "backup of a phone" in told.out
