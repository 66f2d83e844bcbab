# SPDX-License-Identifier: BSD-3-Clause
"""What holds for every file: round trips, and junk that raises ImageError and nothing else."""

from __future__ import annotations

import contextlib
import io
import struct
from uuid import UUID
from xml.sax.saxutils import quoteattr

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edl.errors import DocumentError, ImageError, PackageError
from edl.formats.expressions import parse as parse_expression
from edl.formats.expressions import parse_value, resolve
from edl.formats.gpt import Partition, create, find_sector_bytes, parse, primary_sectors, safe_name
from edl.formats.gptcheck import problems
from edl.formats.rawprogram import PatchRow, ProgramRow, read_rawprogram
from edl.formats.selection import Kind, classify_name, select
from edl.formats.slots import activate, active_slot
from edl.formats.sparse import SparseImage, SparseKind
from edl.formats.xml import read_document
from edl.partitions import classify

# No clock decides: a busy machine makes no test fail.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def changed(draw: st.DrawFn, original: bytes) -> bytes:
    """Return original with some bytes changed, cut out or put in."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 600]))
        data[at : at + cut] = draw(st.binary(max_size=8))
    return bytes(data)


# --- XML and rows

# What XML can carry in an attribute and gives back unchanged.
TEXT = st.text(
    st.characters(
        exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
    ),
    max_size=20,
)
NUMBER = st.integers(0, 2**64 - 1)
FLAG = st.booleans()
GOOD_XML = b"""<?xml version="1.0" encoding="utf-8"?>
<data><program SECTOR_SIZE_IN_BYTES="512" filename="a" label="b" num_partition_sectors="3"
 physical_partition_number="0" sparse="false" start_sector="NUM_DISK_SECTORS-5." />
<patch byte_offset="16" filename="DISK" size_in_bytes="4" start_sector="1" value="CRC32(1,92)"/>
</data>"""


@untimed
@given(st.binary(max_size=300) | changed(GOOD_XML))
def test_junk_is_never_a_surprise_for_the_xml_reader(data: bytes) -> None:
    for read in (read_document, read_rawprogram):
        try:
            name = read(data, "a.xml").name
        except DocumentError as error:
            name = error.message
        assert name.startswith("a.xml")


@untimed
@given(
    lun=st.integers(0, 255), start=NUMBER, sectors=NUMBER, filename=TEXT, label=TEXT, sparse=FLAG,
    offset=NUMBER, verify=FLAG,
)  # fmt: skip
def test_program_rows_are_read_as_they_were_written(
    lun: int, start: int, sectors: int, filename: str, label: str, offset: int, *, sparse: bool,
    verify: bool,
) -> None:  # fmt: skip
    values = {
        "physical_partition_number": lun,
        "start_sector": start,
        "num_partition_sectors": sectors,
        "filename": filename,
        "label": label,
        "sparse": str(sparse).lower(),
        "file_sector_offset": offset,
        "readbackverify": str(verify).lower(),
    }
    attributes = " ".join(f"{key}={quoteattr(str(value))}" for key, value in values.items())
    (row,) = read_rawprogram(f"<data><program {attributes}/></data>".encode(), "a").of(ProgramRow)
    assert (row.lun, resolve(row.start, None), row.sectors) == (lun, start, sectors)
    assert (row.filename, row.label) == (filename, label)
    assert (row.sparse, row.file_sector_offset, row.read_back_verify) == (sparse, offset, verify)


@untimed
@given(st.dictionaries(st.sampled_from(
    ["start_sector", "byte_offset", "size_in_bytes", "value", "filename", "what", "vip"]
), TEXT | NUMBER.map(str)))  # fmt: skip
def test_a_patch_row_is_whole_or_an_error(values: dict[str, str]) -> None:
    attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in values.items())
    document = f"<patches><patch {attributes}/></patches>".encode()
    try:
        (row,) = read_rawprogram(document, "a.xml").of(PatchRow)
    except DocumentError as error:
        message = error.message
    else:
        message = "a.xml:1: "
        assert row.size_in_bytes in {1, 2, 4, 8}
        assert row.filename == values["filename"]
    assert message.startswith("a.xml:1: ")


# --- expressions

_LEAF = st.integers(0, 2**32).map(lambda n: (str(n), n, 0)) | st.sampled_from(
    [("NUM_DISK_SECTORS", 0, 1), ("0x10", 16, 0), ("33.", 33, 0), ("NUM_DISK_SECTORS.", 0, 1)]
)
_Sum = tuple[str, int, int]


def _added(pair: tuple[_Sum, _Sum, bool]) -> _Sum:
    (left, n, per), (right, m, also), plus = pair
    sign = 1 if plus else -1
    return f"{left} {'+' if plus else '-'} ({right})", n + sign * m, per + sign * also


def _multiplied(pair: tuple[_Sum, int]) -> _Sum:
    (text, n, per), times = pair
    return f"{times}*({text})", times * n, times * per


@untimed
@given(
    st.recursive(
        _LEAF,
        lambda inner: (
            st.tuples(inner, inner, st.booleans()).map(_added)
            | st.tuples(inner, st.integers(0, 4096)).map(_multiplied)
        ),
        max_leaves=5,
    ),
    st.integers(0, 2**40),
)
def test_expressions_are_what_arithmetic_says(expression: _Sum, disk_sectors: int) -> None:
    text, number, per_sector = expression
    value = number + per_sector * disk_sectors
    try:
        found = resolve(parse_expression(text), disk_sectors)
    except DocumentError:
        assert not 0 <= value < 2**64 or (not per_sector and number < 0) or len(text) > 200
    else:
        assert found == value


@untimed
@given(st.text("0123456789xX.+-*()NUMDISK_ECTORBLS, \t", max_size=40) | st.text(max_size=250))
def test_junk_is_no_expression(text: str) -> None:
    for read, quoted in ((parse_expression, text[:40]), (parse_value, "")):
        try:
            told = read(text).text
        except DocumentError as error:
            told = error.message
        assert told
        assert quoted in told


# --- names

NAMES = st.lists(
    st.builds(
        "{}{}{}{}.xml".format,
        st.sampled_from(["rawprogram", "patch", "wipe_rawprogram_PHY", "erase", "x"]),
        st.sampled_from(["", "0", "1", "5"]),
        st.sampled_from(["", "_unsparse", "_BLANK_GPT", "_WIPE_PARTITIONS", "_upgrade", "_half"]),
        st.sampled_from(["", "0", "1"]),
    ),
    unique=True,
)


@untimed
@given(names=NAMES, upgrade=FLAG)
def test_nothing_dangerous_is_chosen_and_nothing_is_forgotten(
    names: list[str], *, upgrade: bool
) -> None:
    try:
        found = select(names, upgrade=upgrade)
    except PackageError:
        return
    wanted = {Kind.NORMAL, Kind.UNSPARSE, *([Kind.UPGRADE] if upgrade else [])}
    assert {classify_name(name).kind for name in found.rawprograms} <= wanted
    assert {classify_name(name).kind for name in found.patches} <= {Kind.PATCH}
    luns = [classify_name(name).lun or 0 for name in found.rawprograms]
    assert luns == sorted(set(luns))
    told = [*found.rawprograms, *found.patches, *(left.name for left in found.left_out)]
    assert len(told) == len(set(told))
    assert set(told) >= {name for name in names if classify_name(name).kind is not Kind.OTHER}


@untimed
@given(st.text(max_size=100))
def test_every_name_has_a_class_and_a_safe_form(name: str) -> None:
    assert classify(name).reason
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set('/\\:*?"<>|\0')
    assert safe not in {".", ".."}


# --- partition tables

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@st.composite
def layouts(draw: st.DrawFn) -> list[Partition]:
    """Return partitions that follow one another from sector 34 on."""
    found, at = [], 34
    for number in draw(st.lists(st.integers(1, 128), unique=True, max_size=12)):
        first = at + draw(st.integers(0, 100))
        at = first + draw(st.integers(1, 1000))
        name = draw(st.text(CHARACTERS, max_size=18))
        kind, unique = draw(st.uuids()), draw(st.uuids())
        bits = draw(st.integers(0, 2**64 - 1))
        found.append(Partition(number, name, first, at - 1, kind, unique, bits))
    return found


@untimed
@given(layouts(), st.sampled_from([512, 4096]), st.integers(14000, 2**40))
def test_tables_are_read_as_they_were_written(
    layout: list[Partition], sector_bytes: int, disk_sectors: int
) -> None:
    images = create(sector_bytes, disk_sectors, UUID(int=5), layout).images()
    in_order = tuple(sorted(layout, key=lambda partition: partition.number))
    for data, backup in ((images.primary, False), (images.backup, True)):
        table = parse(data, sector_bytes, backup=backup)
        assert table.partitions == in_order
        assert problems(table, disk_sectors) == ()
        again = table.fit(disk_sectors, grow=False).images()
        assert (again.primary[512:], again.backup) == (images.primary[512:], images.backup)


GOOD_TABLE = create(
    512,
    20000,
    UUID(int=1),
    [
        Partition(n, name, n * 100, n * 100 + 9, UUID(int=7), UUID(int=n))
        for n, name in enumerate(["boot_a", "boot_b", "misc"], 1)
    ],
    entry_count=8,
).images()


@untimed
@given(
    data=st.binary(max_size=2000) | changed(GOOD_TABLE.primary[:2048]) | changed(GOOD_TABLE.backup),
    sector_bytes=st.sampled_from([512, 4096, 0]),
    disk_sectors=st.integers(0, 2**64),
    backup=FLAG,
)
def test_junk_is_never_a_surprise_for_the_table_reader(
    data: bytes, sector_bytes: int, disk_sectors: int, *, backup: bool
) -> None:
    find_sector_bytes(data)
    with contextlib.suppress(ImageError):
        assert primary_sectors(data, sector_bytes) <= 4096
    try:
        table = parse(data, sector_bytes, backup=backup)
    except ImageError:
        return
    problems(table, disk_sectors)
    active_slot(table)
    for changed_table in (table, activate({0: table}, "b", ufs=True)[0]):
        for grow in (False, True):
            with contextlib.suppress(ImageError):
                fitted = changed_table.fit(disk_sectors, grow=grow)
                assert parse(fitted.images().primary, sector_bytes).header_crc_ok


# --- sparse images

CHUNKS = st.lists(
    st.tuples(
        st.sampled_from([0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4]),
        st.integers(0, 3),
        st.binary(min_size=4, max_size=4),
    ),
    max_size=8,
)


def packed(chunks: list[tuple[int, int, bytes]], block_bytes: int) -> bytes:
    body, total = b"", 0
    for kind, blocks, word in chunks:
        data = {0xCAC1: word * (blocks * block_bytes // 4), 0xCAC3: b""}.get(kind, word)
        body += struct.pack("<HHII", kind, 0, blocks, 12 + len(data)) + data
        total += 0 if kind == 0xCAC4 else blocks
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, block_bytes, total, len(chunks), 0)
    return head + body


@untimed
@given(CHUNKS, st.sampled_from([4, 64, 4096]))
def test_sparse_images_are_read_as_they_were_written(
    chunks: list[tuple[int, int, bytes]], block_bytes: int
) -> None:
    data = packed(chunks, block_bytes)
    image = SparseImage.read(io.BytesIO(data), len(data))
    expected, at = [], 0
    for code, blocks, word in chunks:
        if code != 0xCAC4 and blocks:
            expected.append((SparseKind(code), at, blocks * block_bytes, word))
            at += blocks * block_bytes
    assert image.size_bytes == at
    found = [(c.kind, c.offset_bytes, c.length_bytes) for c in image.chunks]
    assert found == [row[:3] for row in expected]
    for chunk, (kind, _, length, word) in zip(image.chunks, expected, strict=True):
        if kind is SparseKind.RAW:
            assert data[chunk.file_offset :][:length] == word * (length // 4)
        assert chunk.fill == (word if kind is SparseKind.FILL else b"")


@untimed
@given(
    CHUNKS.map(lambda chunks: packed(chunks, 64)).flatmap(changed) | st.binary(max_size=200),
    st.integers(0, 20),
)
def test_junk_is_never_a_surprise_for_the_sparse_reader(data: bytes, missing: int) -> None:
    try:
        image = SparseImage.read(io.BytesIO(data), len(data) + missing)
    except DocumentError:
        return
    assert sum(chunk.length_bytes for chunk in image.chunks) == image.size_bytes
