# SPDX-License-Identifier: BSD-3-Clause
"""Plans of random packages: what is carried out is what a plain reading of the rows would do."""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from edl.firehose.commands import Area
from edl.formats.rawprogram import read_rawprogram
from edl.package import Package
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Geometry, Plan, ReadOut, Write
from edl.plan.patching import folded
from tests import packs
from tests.packs import document

SLOT_BYTES = 32 * 1024  # a program row gets one of these places for itself
RAW = {"a": 1, "b": 512, "c": 4097, "d": 24_000, "e": SLOT_BYTES}  # files and their sizes
SPARSE = ("s", "t", "u")

pytestmark = pytest.mark.usefixtures("pool")


# -- what rows mean, in plain words ---------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    file: str
    lun: int
    start: int
    sectors: int
    offset: int
    from_end: bool


@dataclass(frozen=True)
class Erased:
    lun: int
    start: int
    sectors: int


@dataclass(frozen=True)
class Patched:
    file: str  # or DISK
    lun: int
    sector: int
    offset: int
    size: int
    value: int | tuple[int, int] | None  # a number, a checksum of (sector, length), the last sector


Spec = Program | Erased | Patched


@dataclass
class Naive:
    """A storage on which rows are done one by one, and patches after them."""

    unit: int
    disks: dict[int, bytearray]
    files: dict[str, bytes]

    def run(self, rows: list[Spec]) -> None:
        for row in rows:
            if isinstance(row, Program):
                for at, data in self.pieces(row, rows):
                    self.put(row.lun, at, data)
            elif isinstance(row, Erased):
                self.put(row.lun, row.start * self.unit, bytes(row.sectors * self.unit))
        for row in rows:
            if isinstance(row, Patched) and row.file == "DISK":
                self.patch(self.disks[row.lun], row, len(self.disks[row.lun]) // self.unit)

    def put(self, lun: int, at: int, data: bytes) -> None:
        assert at + len(data) <= len(self.disks[lun])
        self.disks[lun][at : at + len(data)] = data

    def patch(self, data: bytearray, row: Patched, disk_sectors: int) -> None:
        if isinstance(row.value, tuple):
            start, length = row.value
            value = zlib.crc32(data[start * self.unit :][:length])
        else:
            value = disk_sectors - 1 if row.value is None else row.value
        at = row.sector * self.unit + row.offset
        data[at : at + row.size] = value.to_bytes(row.size, "little")

    def pieces(self, row: Program, rows: list[Spec]) -> Iterator[tuple[int, bytes]]:
        """Yield the place in bytes, and the bytes, of what a program row writes."""
        at = row.start * self.unit
        content = self.files[row.file]
        if content.startswith(b"\x3a\xff\x26\xed"):
            for skipped, data in expanded(content):
                yield at + skipped, data
            return
        disk_sectors = len(self.disks[row.lun]) // self.unit
        patched = bytearray(content.ljust(-(-len(content) // self.unit) * self.unit, b"\0"))
        for patch in rows:
            if isinstance(patch, Patched) and patch.file == row.file:
                self.patch(patched, patch, disk_sectors)
        yield at, bytes(patched[row.offset * self.unit :])


def expanded(image: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what a sparse image writes, by its place (AOSP sparse_format.h)."""
    block, _, count = struct.unpack_from("<III", image, 12)
    place, at = 28, 0
    for _ in range(count):
        kind, _, blocks, total = struct.unpack_from("<HHII", image, place)
        body = image[place + 12 : place + total]
        if kind == 0xCAC1:
            yield at, body
        elif kind == 0xCAC2:
            yield at, body * (blocks * block // 4)
        place, at = place + total, at + blocks * block


# -- the same as XML ------------------------------------------------------------------------------


def xml(row: Spec, unit: int, disks: dict[int, int]) -> str:
    match row:
        case Program():
            start: object = row.start
            if row.from_end:
                start = f"NUM_DISK_SECTORS-{disks[row.lun] - row.start}."
            more = {"file_sector_offset": row.offset} if row.offset else {}
            text = packs.program(row.file, start, row.sectors, f"{row.lun}-{row.start}", **more)
        case Erased():
            text = packs.erase(row.start, row.sectors)
        case Patched():
            value: object = "NUM_DISK_SECTORS-1." if row.value is None else row.value
            if isinstance(row.value, tuple):
                value = f"CRC32({row.value[0]},{row.value[1]})"
            text = packs.patch(row.sector, row.offset, row.size, value, row.file)
    text = text.replace('partition_number="0"', f'partition_number="{row.lun}"')
    return text.replace('"512"', f'"{unit}"', 1)


FOLDER: list[Path] = []


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the images that rows can name, once."""
    source = random.Random(7)
    images: dict[str, bytes] = {name: source.randbytes(size) for name, size in RAW.items()}
    images["s"] = packs.sparse(
        4096, source.randbytes(8192), 2, (1, b"fill"), source.randbytes(4096)
    )
    images["t"] = packs.sparse(4096, 3)
    images["u"] = packs.sparse(8192, (1, b"\0\0\0\0"), 1, (1, b"1234"))
    FOLDER.append(packs.put(tmp_path_factory.mktemp("pool"), images))
    yield
    FOLDER.clear()


def planned(rows: list[Spec], geometry: Geometry) -> Plan:
    """Return the checked plan for rows."""
    text = document(*(xml(row, geometry.sector_bytes, geometry.luns) for row in rows))
    (folder,) = FOLDER
    read = read_rawprogram(text.encode(), "r.xml")
    package = Package("random", (folder,), (read,), {"r.xml": folder})
    return checked(build(package, geometry))


# -- random packages ------------------------------------------------------------------------------


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    unit = draw(st.sampled_from([512, 4096]))
    slot = SLOT_BYTES // unit
    luns = {lun: slot * draw(st.integers(1, 4)) + draw(st.integers(0, 3)) for lun in range(2)}
    return Geometry("x", unit, luns)


def areas(geometry: Geometry) -> st.SearchStrategy[Erased]:
    """Return places that lie on a disk."""

    @st.composite
    def make(draw: st.DrawFn) -> Erased:
        lun = draw(st.sampled_from(sorted(geometry.luns)))
        start = draw(st.integers(0, geometry.luns[lun] - 1))
        return Erased(lun, start, draw(st.integers(1, geometry.luns[lun] - start)))

    return make()


@st.composite
def patches(draw: st.DrawFn, geometry: Geometry, file: str) -> Patched:
    """Return a patch of the disk or of file that can be done."""
    unit = geometry.sector_bytes
    lun = draw(st.sampled_from(sorted(geometry.luns)))
    total = geometry.luns[lun] if file == "DISK" else -(-RAW[file] // unit)
    # a few places are patched again and again, most of them in what program rows write
    hot = [at for at in (0, 1, 64, 65, 8, total - 1) if at < total]
    sectors = st.sampled_from(hot) | st.integers(0, total - 1)
    size = draw(st.sampled_from([1, 2, 4, 8]))
    value: int | tuple[int, int] | None = draw(st.integers(0, (1 << 8 * size) - 1))
    kind = draw(st.sampled_from(["number", "last", "checksum"]))
    if kind == "last" and size > 1:
        value = None
    elif kind == "checksum" and size >= 4:
        start = draw(sectors)
        value = start, draw(st.integers(1, min(3 * unit, (total - start) * unit)))
    offset = draw(st.integers(0, unit - size))
    return Patched(file, lun, draw(sectors), offset, size, value)


@st.composite
def packages(draw: st.DrawFn) -> tuple[Geometry, list[Spec]]:
    """Return a storage, and rows of which no two write to one place."""
    geometry = draw(geometries())
    unit, slot = geometry.sector_bytes, SLOT_BYTES // geometry.sector_bytes
    slots = [
        (lun, at) for lun, total in geometry.luns.items() for at in range(0, total - slot + 1, slot)
    ]
    rows: list[Spec] = []
    for lun, at in draw(st.lists(st.sampled_from(slots), unique=True)):
        file = draw(st.sampled_from([*RAW, *SPARSE]))
        offset = 0
        if file in RAW:
            offset = draw(st.integers(0, (RAW[file] - 1) // unit))
        sectors = draw(st.sampled_from([0, slot]))
        rows.append(Program(file, lun, at, sectors, offset, draw(st.booleans())))
    rows += draw(st.lists(areas(geometry), max_size=4))
    for file in draw(st.lists(st.sampled_from(["DISK"] * 5 + [*RAW]), max_size=16)):
        rows.append(draw(patches(geometry, file)))
    return geometry, draw(st.permutations(rows))


def destroyed(rows: list[Spec], naive: Naive) -> bool:
    """Tell whether a row erases what a row before it has written."""
    written: list[tuple[int, int, int]] = []
    for row in rows:
        if isinstance(row, Program):
            written += [(row.lun, at, at + len(data)) for at, data in naive.pieces(row, rows)]
        elif isinstance(row, Erased):
            first, end = (row.start + n for n in (0, row.sectors))
            for lun, at, behind in written:
                if lun == row.lun and at < end * naive.unit and first * naive.unit < behind:
                    return True
    return False


def sound(plan: Plan) -> None:
    """Make sure that a plan without errors can be carried out, in whatever order."""
    changes = [step for step in plan.steps if not isinstance(step, ReadOut)]
    for step in changes:
        assert step.area.start_sector >= 0
        assert step.area.sectors > 0
        assert step.area.start_sector + step.area.sectors <= plan.geometry.luns[step.area.lun]
        assert step.area.sector_bytes == plan.geometry.sector_bytes
        if isinstance(step, Write):
            assert step.content.size_bytes == step.area.size_bytes
            assert len(packs.data(step)) == step.area.size_bytes
    for one, two in itertools.combinations((step.area for step in changes), 2):
        assert one.lun != two.lun or (
            one.start_sector + one.sectors <= two.start_sector
            or two.start_sector + two.sectors <= one.start_sector
        )
    assert plan.write_bytes == sum(len(packs.data(write)) for write in plan.writes)


def junk(geometry: Geometry) -> dict[int, bytearray]:
    source = random.Random(1)
    unit = geometry.sector_bytes
    return {lun: bytearray(source.randbytes(n * unit)) for lun, n in geometry.luns.items()}


def carried_out(plan: Plan, disks: dict[int, bytearray]) -> dict[int, bytearray]:
    """Return what the disks hold after the plan's steps, patches worked in."""

    def read(area: Area) -> bytes:
        at = area.start_sector * area.sector_bytes
        assert at + area.size_bytes <= len(disks[area.lun])
        return bytes(disks[area.lun][at : at + area.size_bytes])

    final = {lun: bytearray(disk) for lun, disk in disks.items()}
    plan = folded(plan, read)
    assert plan.patches == ()
    sound(plan)
    for step in plan.steps:
        assert not isinstance(step, ReadOut)
        data = packs.data(step) if isinstance(step, Write) else bytes(step.area.size_bytes)
        at = step.area.start_sector * step.area.sector_bytes
        final[step.area.lun][at : at + len(data)] = data
    return final


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(packages())
def test_what_is_carried_out_is_what_the_rows_say(made: tuple[Geometry, list[Spec]]) -> None:
    geometry, rows = made
    disks = junk(geometry)
    files = {path.name: path.read_bytes() for path in FOLDER[0].iterdir()}
    naive = Naive(geometry.sector_bytes, {lun: bytearray(d) for lun, d in disks.items()}, files)
    plan = planned(rows, geometry)
    codes = {finding.code for finding in plan.errors}
    event(f"{codes}, {len(plan.steps) > 2}, {len(plan.patches) > 2}")
    if destroyed(rows, naive):
        assert codes == {"overlap"}
        return
    assert codes <= {"nothing-to-do"}
    naive.run(rows)
    assert carried_out(plan, disks) == naive.disks


@st.composite
def wild(draw: st.DrawFn) -> tuple[Geometry, list[Spec]]:
    """Return a storage and rows, some of which need not fit it nor the others."""
    geometry, rows = draw(packages())
    numbers = st.integers(0, 300) | st.sampled_from([2**32, 2**64 - 1])
    luns = st.integers(0, 2)
    names = st.sampled_from([*RAW, *SPARSE, "gone", "../a"])
    program = st.builds(
        Program, names, st.integers(0, 1), st.integers(0, 80), st.integers(0, 80),
        st.integers(0, 3), st.booleans(),
    )  # fmt: skip
    erased = st.builds(Erased, luns, numbers, numbers.filter(bool))
    value = st.integers(0, 2**64 - 1) | st.none() | st.tuples(numbers, st.integers(1, 10_000))
    patched = st.builds(
        Patched, st.just("DISK") | names, luns, numbers,
        st.integers(0, 63).map(lambda n: n * 8), st.sampled_from([1, 2, 4, 8]), value,
    )  # fmt: skip
    more = draw(st.lists(program | erased | patched, max_size=3))
    return geometry, draw(st.permutations([*rows, *more]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(wild())
def test_a_plan_without_errors_is_sound_and_others_say_where(
    made: tuple[Geometry, list[Spec]],
) -> None:
    geometry, rows = made
    rows = [
        replace(row, start=min(row.start, geometry.luns[row.lun]))
        if isinstance(row, Program)
        else row
        for row in rows
    ]
    plan = planned(rows, geometry)
    event("wrong" if plan.errors else "sound")
    for finding in plan.findings:
        assert finding.message
        if finding.code != "nothing-to-do":
            line = int(finding.where.removeprefix("r.xml:"))
            assert packs.FIRST_LINE <= line < packs.FIRST_LINE + len(rows)
    if not plan.errors:
        sound(plan)
        carried_out(plan, junk(geometry))
