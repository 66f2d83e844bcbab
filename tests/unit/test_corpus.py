# SPDX-License-Identifier: BSD-3-Clause
"""Every file of the corpus, against the figures of corpus-analysis.md.

Those were counted by an independent program; the numbers of its sections stand beside ours.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TypeVar

import pytest

from edl.errors import DocumentError
from edl.formats.expressions import Crc32
from edl.formats.gpt import SIGNATURE, Gpt, find_sector_bytes, parse
from edl.formats.gptcheck import problems
from edl.formats.rawprogram import (
    EraseRow,
    PatchRow,
    PowerRow,
    ProgramRow,
    ReadRow,
    Row,
    Rows,
    read_rawprogram,
)
from edl.formats.selection import select
from edl.formats.xml import Element, read_document
from tests.conftest import shared

_AnyRow = TypeVar("_AnyRow", bound=Row)


@cache
def results() -> dict[str, Rows | DocumentError]:
    """Return what each XML file gives, by folder and name."""
    found: dict[str, Rows | DocumentError] = {}
    for path in sorted(shared("corpus").glob("*/*")):
        if ".xml" in path.name:
            name = f"{path.parent.name}/{path.name}"
            try:
                found[name] = read_rawprogram(path.read_bytes(), name)
            except DocumentError as error:
                found[name] = error
    return found


def rows(kind: type[_AnyRow]) -> list[_AnyRow]:
    read = [found for found in results().values() if isinstance(found, Rows)]
    return [row for found in read for row in found.of(kind)]


def oppo_rows(tag: str) -> list[Element]:
    """Return the rows of the three Oppo files, which are refused as a whole."""
    names = [
        "msm8953-oppo-r9s/PROFILE.xml",
        "msm8953-oppo-r9s/Projectconfig.xml",
        "sm4250-oppo-a53/Projectconfig.xml",
    ]
    elements = [
        element
        for name in names
        for element in read_document(shared(f"corpus/{name}").read_bytes(), name).root.walk()
    ]
    return [element for element in elements if element.tag == tag]


def test_each_file_gives_rows_or_an_error_that_names_it() -> None:
    kinds: Counter[str] = Counter()
    for name, found in results().items():
        if isinstance(found, Rows):
            assert found.name == name
            assert all(row.file == name and row.line > 0 for row in found.rows)
            kinds["rows"] += 1
        else:
            assert found.message.startswith(f"{name}: ")
            assert "\n" not in found.message
            kinds[found.message.removeprefix(f"{name}: ").split(" (")[0].split(",")[0]] += 1
    assert kinds == {
        "rows": 74 + 43,  # §1: 77 rawprogram files, three of them Oppo's below, and 43 patch files
        "this is an Oppo profile": 1,
        "this is an Oppo project configuration": 2,
        "this is a partition layout for ptool": 12,  # §1: 17 with the next line
        "this is a partition layout for ptool in its oldest form": 5,
        "this is a Motorola fastboot script": 13,
        "this is a UFS provisioning file": 8,
        "this is a description of a whole build": 5,
        "this is a NAND partition layout": 2,
        "the file is not XML text": 2,
    }


def test_the_rows_are_those_of_the_analysis() -> None:
    found = rows(ProgramRow)
    oppo = oppo_rows("program")
    assert len(found) + len(oppo) == 1431
    named = [row for row in oppo if row.attributes.get("filename")]
    assert sum(bool(row.filename) for row in found) + len(named) == 947
    empty = [row for row in oppo if row.attributes.get("filename") == ""]
    assert sum(not row.filename for row in found) + len(empty) == 481
    assert sum(row.sparse for row in found) == 52
    assert sum(row.sparse and not row.filename for row in found) == 13
    growing = [row for row in oppo if row.attributes.get("num_partition_sectors") == "0"]
    assert sum(row.sectors == 0 for row in found) + len(growing) == 38
    assert sum(row.sectors == 0 and bool(row.filename) for row in found) + 1 == 14
    assert all(row.file_sector_offset == 0 for row in found)
    assert sum(row.sector_bytes is not None for row in found) == 1363
    assert Counter(row.lun == 0 for row in found) == {True: 996, False: 367}
    assert sum(row.pages_per_block == 64 for row in found) == 11
    assert [len(rows(kind)) for kind in (EraseRow, ReadRow, PowerRow)] == [11, 7, 1]
    read = [read for read in results().values() if isinstance(read, Rows)]
    assert [warning for one in read for warning in one.warnings] == []


def test_the_places_are_those_of_the_analysis() -> None:
    found = rows(ProgramRow)
    assert sum(row.start.needs_disk for row in found) == 51  # §3: of 53, two are Oppo's -33
    assert {row.start.per_sector for row in found} == {0, 1}
    patched = rows(PatchRow)
    assert len(patched) == 2983
    assert sum(row.start.needs_disk for row in patched) == 214 + 36
    values = [row.value for row in patched]
    assert sum(isinstance(value, Crc32) for value in values) == 218 + 72
    assert sum(isinstance(value, Crc32) and value.start.needs_disk for value in values) == 72
    plain = [value for value in values if not isinstance(value, Crc32)]
    assert Counter((value.per_sector, value.per_block) for value in plain) == {
        (0, 0): 2196,
        (1, 0): 496,
        (0, 1): 1,
    }


def test_the_patches_are_those_of_the_analysis() -> None:
    found = rows(PatchRow)
    disk = [row for row in found if row.on_disk]
    assert len(disk) == 2515
    assert Counter(row.size_in_bytes for row in found) == {8: 2547, 4: 436}
    lengths = Counter(row.value.length_bytes for row in disk if isinstance(row.value, Crc32))
    assert lengths == {
        92: 72, 4096: 48, 8192: 10, 7168: 4, 512: 2, 9728: 2, 4608: 2, 6144: 2, 16384: 2,
    }  # fmt: skip


def test_one_set_of_files_is_chosen_in_each_folder() -> None:
    chosen = {
        folder.name: select(path.name for path in folder.iterdir())
        for folder in shared("corpus").iterdir()
    }
    assert chosen["gen-ptool-apq8096-db820c-ufs"].rawprograms == tuple(
        f"rawprogram{lun}.xml" for lun in range(6)
    )
    assert len(chosen["gen-ptool-apq8096-db820c-ufs"].left_out) == 13
    assert chosen["qcs6490-rubikpi3"].patches == tuple(f"patch{lun}.xml" for lun in range(1, 7))
    assert chosen["sdm660-smartisan-oscar"].rawprograms == ("rawprogram_unsparse.xml",)
    assert chosen["qcom-xtc-z8"].rawprograms == ("rawprogram0.xml",)
    assert chosen["unknown-ceka22-ef1"].rawprograms == ()
    assert chosen["mdm9607-quectel-eg25"].rawprograms == ()
    blanking = [
        name
        for selection in chosen.values()
        for name in selection.rawprograms
        if "BLANK" in name or "WIPE" in name
    ]
    assert blanking == []


@cache
def tables() -> list[tuple[str, Gpt]]:
    """Return all tables of the binary files, the tables within Motorola's containers too."""
    found = []
    for path in sorted(shared("corpus").glob("*/*.bin")):
        name, data = f"{path.parent.name}/{path.name}", path.read_bytes()
        if data.startswith(b"SINGLE_N_LONELY"):
            data = data[data.index(SIGNATURE) - 512 :][:17408]
        found += [(name, table) for table in tables_of(data)]
    return found


def tables_of(data: bytes) -> list[Gpt]:
    """Return the primary and the backup table of a file that holds either, or both."""
    sector_bytes = find_sector_bytes(data)
    found = [] if sector_bytes is None else [parse(data, sector_bytes)]
    return found + [
        parse(data, size, backup=True)
        for size in (512, 4096)
        if data.startswith(SIGNATURE, len(data) - size)
    ]


def test_all_tables_have_right_checksums_before_any_patch() -> None:
    found = tables()
    assert len(found) == 82
    assert all(table.header_crc_ok and table.entries_crc_ok for _, table in found)
    assert Counter(table.sector_bytes for _, table in found) == {4096: 46, 512: 36}
    assert Counter(table.header.entry_count for _, table in found) == {
        32: 38, 64: 15, 4: 11, 76: 4, 72: 4, 68: 3, 16: 2, 54: 2, 56: 2, 53: 1,
    }  # fmt: skip


def test_the_tables_are_unfinished_as_the_analysis_says() -> None:
    found = [table for _, table in tables()]
    entries = [entry for table in found for entry in table.entries]
    assert sum(entry.last_sector < entry.first_sector for entry in entries) == 58
    assert sum(not any(e.type_guid) and any(e.unique_guid) for e in entries) == 23
    headers = [table.header for table in found]
    assert sum(h.alternate_sector == 0 or h.last_usable_sector == 0 for h in headers) == 25
    names = {entry.name.decode("utf-16-le").rstrip("\0") for entry in entries}
    assert len(names - {""}) == 305
    # The only overlaps are with comma's dummies of type zero, which are no partitions.
    overlaps = [text for table in found for text in problems(table) if "overlaps" in text]
    assert overlaps == []


@pytest.mark.parametrize(
    "name",
    ["ks51s-sapphire/gpt_main0.bin", "qcom-xtc-z8/gpt_main0.bin", "qcom-xtc-z8/gpt_backup0.bin"],
)
def test_files_that_only_have_the_name_of_a_table_are_refused(name: str) -> None:
    data = shared(f"corpus/{name}").read_bytes()
    assert find_sector_bytes(data) is None
    for sector_bytes in (512, 4096):
        for backup in (False, True):
            with pytest.raises(DocumentError, match="There is no partition table"):
                parse(data, sector_bytes, backup=backup)
