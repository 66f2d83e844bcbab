# SPDX-License-Identifier: BSD-3-Clause
"""NAND in plans: what is refused before, and the turns that whole jobs seldom take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from edl.chunks import BytesContent
from edl.device.flashtable import read_table
from edl.device.programmer import Programmer
from edl.device.streaming import Programmer as Streaming
from edl.errors import (
    AuthorizationError,
    DeviceRefusedError,
    ReadFailedError,
    SafetyError,
    UsageError,
    VerifyError,
)
from edl.firehose.commands import Area
from edl.formats.gpt import Partition
from edl.formats.manifest import Kind, Owner, StorageRecord
from edl.formats.mibib import parse_table
from edl.package import open_package
from edl.plan import nand, nandrestore, onnand
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.dump import Dump, Part
from edl.plan.model import Erase, Geometry, Patch, Plan, ReadOut, Write, touched
from tests import nands
from tests.packages.making import sparse

UNIT, PAGES = 2048, 4
CHIP = Geometry("nand", UNIT, {0: 400}, pages_per_block=PAGES)
BLOCK = UNIT * PAGES


def area(start: int, sectors: int) -> Area:
    return Area(0, start, sectors, UNIT)


def write(start: int, data: bytes, room: Area | None = None) -> Write:
    return Write(area(start, len(data) // UNIT), BytesContent(data), "x", "x.img", "f.xml:1", room)


def plan(*steps: Write | Erase, patches: tuple[Patch, ...] = (), geometry: Geometry = CHIP) -> Plan:
    return Plan("write", "t", geometry, steps, patches)


def codes(made: Plan) -> list[str]:
    return [finding.code for finding in nand.doubts(made)]


def test_rows_and_storage_must_be_of_one_kind() -> None:
    emmc = Geometry("emmc", 512, {0: 100})
    assert nand.mismatch(None, emmc) == nand.mismatch(PAGES, CHIP) == ""
    assert "not for NAND" in nand.mismatch(None, CHIP)
    assert "is for NAND" in nand.mismatch(64, emmc)
    assert "64 pages" in nand.mismatch(64, CHIP)
    assert [nand.whole_blocks(count, CHIP) for count in (0, 1, 4, 5)] == [0, 4, 4, 8]


def test_doubts_are_about_nand_only() -> None:
    filled = write(0, b"\xee" * BLOCK, area(0, 4))
    assert codes(plan(filled, geometry=Geometry("emmc", UNIT, {0: 400}))) == []
    assert codes(plan(write(0, b"\x00" * BLOCK, area(0, 8)), Erase(area(8, 4), "x", ""))) == []


def test_filler_parts_of_blocks_and_patches_are_doubted() -> None:
    almost = b"\xee" * (BLOCK - 1) + b"\xef"
    assert codes(plan(write(0, almost, area(0, 4)))) == []
    assert codes(plan(write(0, almost + b"\xee" * BLOCK, area(0, 8)))) == ["nand-filler"]
    assert codes(plan(write(2, b"\0" * BLOCK))) == ["nand-unaligned"]
    assert codes(plan(Erase(area(0, 6), "x", ""))) == ["nand-unaligned"]
    patch = Patch(0, 1, UNIT, 0, 4, 7, "what", "p.xml:1")
    assert codes(plan(patches=(patch,))) == ["nand"]


def test_writes_have_the_place_that_begins_with_them() -> None:
    made = nand.placed(plan(write(8, b"\0" * UNIT), write(40, b"\0" * UNIT)), [area(8, 16)])
    assert [touched(step) for step in made.steps] == [area(8, 16), area(40, 4)]
    assert nand.placed(made, [area(8, 99)]) == made  # they have one already
    emmc = plan(write(8, b"\0" * UNIT), geometry=Geometry("emmc", UNIT, {0: 400}))
    assert nand.placed(emmc, []) == emmc


def test_reading_needs_no_whole_blocks() -> None:
    made = replace(plan(), steps=(ReadOut(area(1, 1), Path("x"), "x", ""),))
    assert codes(made) == []


def test_an_image_without_filler_is_not_told_of(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(ONE + b"\xee" * BLOCK)
    assert nand.told_of_filler(tmp_path / "x", area(0, 4), PAGES) == ""
    assert "1 erase block of" in nand.told_of_filler(tmp_path / "x", area(0, 8), PAGES)


def rows_plan(folder: Path, row: str, chip: int = 64) -> list[tuple[str, str]]:
    """Return what is found about a package of one row, on a chip of so many erase blocks."""
    folder.mkdir()
    (folder / "raw.img").write_bytes(b"\1" * 4096)
    (folder / "sparse.img").write_bytes(sparse((1, b"\1" * 4096), (1, b""), (1, b"\2" * 4096)))
    place = 'PAGES_PER_BLOCK="64" SECTOR_SIZE_IN_BYTES="2048" physical_partition_number="0"'
    text = f"<data><program {place} {row}/></data>"
    (folder / "rawprogram_nand_p2K_b128K.xml").write_text(text)
    package = open_package([str(folder)])
    made = checked(build(package, Geometry("nand", 2048, {0: chip * 64}, pages_per_block=64)))
    if not made.errors:
        assert [touched(step).sectors for step in made.steps] == [64]
    return [(finding.code, finding.message.split(":")[0]) for finding in made.errors]


def test_rows_that_nand_cannot_take(tmp_path: Path) -> None:
    row = 'num_partition_sectors="64" start_sector="128" filename="raw.img"'
    assert rows_plan(tmp_path / "1", row) == []
    assert rows_plan(tmp_path / "2", row.replace("64", "2", 1)) == []  # rounded up to a block
    told = rows_plan(tmp_path / "3", row.replace("raw", "sparse"))
    assert [code for code, _ in told] == ["nand", "nand"]
    assert [code for code, _ in rows_plan(tmp_path / "4", row, 2)] == ["past-the-end"]
    beyond = row + ' last_sector="9999"'
    assert [code for code, _ in rows_plan(tmp_path / "5", beyond)] == ["past-the-end"]
    twice = rows_plan(tmp_path / "6", row.replace("128", "100"))
    assert [code for code, _ in twice] == ["nand-unaligned"]


# -- a programmer whose answers are made up ---------------------------------------------------


class Fake:
    """Reads pages from a list of blocks: bytes, or an error."""

    def __init__(self, *blocks: bytes | Exception, whole: bytes | Exception | None = None) -> None:
        self.blocks = blocks
        self.whole = whole
        self.calls: list[object] = []

    def read(self, wanted: Area, sink: Callable[[memoryview], None]) -> None:
        found = self.blocks[wanted.start_sector // PAGES]
        if wanted.sectors != PAGES and self.whole is not None:
            found = self.whole
        if isinstance(found, Exception):
            raise found
        sink(memoryview(found)[: wanted.size_bytes])

    def erase(self, wanted: Area) -> None:
        self.calls.append(("erase", wanted))

    def program(self, wanted: Area, chunks: Iterator[memoryview], **more: Any) -> None:  # noqa: ANN401
        self.calls.append(("program", wanted, b"".join(chunks), more["last_sector"]))

    def sha256(self, wanted: Area) -> bytes:
        return b"the phone's"


def on_nand(fake: Fake, room: Area) -> onnand.OnNand:
    return onnand.OnNand(cast(Any, fake), {area(0, 6): room}, PAGES)


BAD = ReadFailedError("bad")
ONE, TWO = b"\1" * BLOCK, b"\2" * BLOCK


def written(fake: Fake) -> onnand.OnNand:
    """Return a programmer that has programmed 6 pages."""
    made = on_nand(fake, area(0, 12))
    made.program(area(0, 6), iter([memoryview(ONE + TWO[: 2 * UNIT])]))
    assert fake.calls == [
        ("erase", area(0, 12)),
        ("program", area(0, 6), ONE + TWO[: 2 * UNIT], 11),
    ]
    return made


@pytest.mark.parametrize("whole", [BAD, ONE + b"\xee" * BLOCK])
@pytest.mark.parametrize("second", [BAD, b"\xee" * BLOCK])
def test_what_was_programmed_is_read_around_bad_blocks(whole: Any, second: Any) -> None:  # noqa: ANN401
    made = written(Fake(ONE, second, TWO, whole=whole))
    found = bytearray()
    made.read(area(0, 6), found.extend)
    assert found == ONE + TWO[: 2 * UNIT]
    assert made.sha256(area(0, 6)) is None  # it is about something else
    assert made.sha256(area(100, 4)) == b"the phone's"
    made.read(area(8, 4), found.extend)
    assert found.endswith(TWO)


def test_what_is_read_as_it_was_programmed_is_read_once() -> None:
    made = written(Fake(BAD, BAD, BAD, whole=ONE + TWO))
    found = bytearray()
    made.read(area(0, 6), found.extend)
    assert found == ONE + TWO[: 2 * UNIT]


def test_a_lock_is_no_bad_block() -> None:
    locked = AuthorizationError("locked")
    made = written(Fake(ONE, locked, TWO, whole=BAD))
    with pytest.raises(AuthorizationError):
        made.read(area(0, 6), lambda _: None)
    made = written(Fake(ONE, TWO, whole=locked))
    with pytest.raises(AuthorizationError):
        made.read(area(0, 6), lambda _: None)


def test_an_erase_is_made_sure_of() -> None:
    blank = b"\xff" * BLOCK
    on_nand(Fake(blank, BAD, b"\xee" * BLOCK), area(0, 12)).erase(area(0, 12))
    with pytest.raises(VerifyError, match="Pages 4 to 7 are not blank"):
        on_nand(Fake(blank, TWO), area(0, 8)).erase(area(0, 8))


def test_only_firehose_knows_erase_blocks() -> None:
    other = cast(Programmer, Streaming.__new__(Streaming))
    assert onnand.for_plan(other, plan(geometry=Geometry("emmc", 512, {0: 9}))) is other
    with pytest.raises(UsageError, match="whole partitions only"):
        onnand.for_plan(other, plan())


# -- restoring --------------------------------------------------------------------------------


def part(data: bytes | None, bad: tuple[tuple[int, int], ...] = (), start: int = 8) -> Part:
    content = None if data is None else BytesContent(data)
    sectors = len(data or b"") // UNIT
    return Part(0, Kind.PARTITION, "EFS2", start, sectors, content, "skipped", bad=bad)


def test_each_block_goes_back_as_it_was() -> None:
    blank = b"\xff" * BLOCK
    half = ONE[: 2 * UNIT] + b"\xff" * (2 * UNIT)
    zeros = bytes(BLOCK)
    data = ONE + TWO + half + half + blank + blank + zeros + b"\xee" * BLOCK + ONE
    steps = list(nandrestore.steps(part(data, bad=((32, 4),)), UNIT, PAGES, "dump"))
    done = [(type(step).__name__, step.area, touched(step)) for step in steps]
    assert done == [
        ("Write", area(8, 8), area(8, 8)),
        ("Write", area(16, 2), area(16, 4)),
        ("Write", area(20, 2), area(20, 4)),
        ("Erase", area(24, 8), area(24, 8)),
        ("Write", area(40, 4), area(40, 4)),
    ]
    assert list(nandrestore.steps(part(None), UNIT, PAGES, "dump")) == []


def test_partitions_go_back_to_their_own_place() -> None:
    there = parse_table(nands.table((("0:EFS2", 2, 1),))).partitions(PAGES, 400)
    assert nandrestore.misplaced(part(ONE), there) == ""
    assert "lies elsewhere" in nandrestore.misplaced(part(ONE, start=12), there)
    assert nandrestore.misplaced(part(ONE), cast(tuple[Partition, ...], ())) == ""


@pytest.mark.parametrize(("own", "kind"), [(False, "nand"), (True, "")])
def test_only_own_backups_go_back(own: bool, kind: str) -> None:
    dump = Dump("it", Owner(), StorageRecord(kind, UNIT), (), ())
    with pytest.raises(SafetyError, match="this very modem"):
        nandrestore.require_own(dump, own=own)
    nandrestore.require_own(Dump("it", Owner(), StorageRecord("nand", UNIT), (), ()), own=True)


# -- looking for the table --------------------------------------------------------------------


def table_of(blocks: dict[int, bytes | Exception]) -> tuple[int | None, int]:
    """Return the age of the table on a chip of 80 blocks, and how many reads it took."""
    reads = 0

    def read(wanted: Area) -> bytes:
        nonlocal reads
        reads += 1
        found = blocks.get(wanted.start_sector // PAGES, b"\xff" * BLOCK)
        if isinstance(found, Exception):
            raise found
        return found[: wanted.size_bytes]

    table = read_table(read, 0, 80 * PAGES, UNIT, PAGES)
    return (table.age if table else None), reads


def test_the_table_is_looked_for_in_the_first_blocks() -> None:
    copy = nands.mibib(UNIT, age=3)
    assert table_of({5: copy, 6: nands.mibib(UNIT, age=4)}) == (4, 5 + 2 + 2)
    assert table_of({5: copy})[0] == 3
    assert table_of({5: copy})[1] < 20  # the second one would not be far
    assert table_of({5: BAD, 6: copy, 9: copy[:UNIT] + bytes(3 * UNIT)})[0] == 3
    assert table_of({70: copy}) == (None, 64)


def test_a_chip_that_gives_nothing() -> None:
    with pytest.raises(DeviceRefusedError):
        table_of(dict.fromkeys(range(80), BAD))
    with pytest.raises(AuthorizationError):
        table_of({3: AuthorizationError("locked")})
