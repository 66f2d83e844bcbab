# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.errors import DocumentError
from edl.formats.expressions import Crc32, parse
from edl.formats.rawprogram import (
    EraseRow,
    PatchRow,
    PowerRow,
    ProgramRow,
    ReadRow,
    Rows,
    read_rawprogram,
)

PLACE = 'start_sector="6" num_partition_sectors="2"'


def read(rows: str, root: str = "data") -> Rows:
    return read_rawprogram(f"<?xml version='1.0'?>\n<{root}>\n{rows}\n</{root}>".encode(), "r.xml")


def message(rows: str, root: str = "data") -> str:
    with pytest.raises(DocumentError) as caught:
        read(rows, root)
    return caught.value.message


def test_a_program_row_of_ptool() -> None:
    rows = read(
        '<program SECTOR_SIZE_IN_BYTES="4096" file_sector_offset="1" filename="xbl.elf"'
        ' label="xbl_a" num_partition_sectors="896" partofsingleimage="false"'
        ' physical_partition_number="1" readbackverify="true" size_in_KB="3584.0" sparse="false"'
        ' start_byte_hex="0x6000" start_sector="6"/>'
    )
    assert rows.rows == (
        ProgramRow(
            "r.xml",
            3,
            lun=1,
            sector_bytes=4096,
            start=parse("6"),
            sectors=896,
            filename="xbl.elf",
            label="xbl_a",
            sparse=False,
            file_sector_offset=1,
            read_back_verify=True,
            pages_per_block=None,
            last_sector=None,
            leftover={
                "partofsingleimage": "false",
                "size_in_kb": "3584.0",
                "start_byte_hex": "0x6000",
            },
        ),
    )
    assert rows.warnings == ()


def test_an_old_row_says_less_and_has_other_names() -> None:
    (row,) = read('<program filename="a" start_sector="-33" num_sectors="33" offset="2"/>').of(
        ProgramRow
    )
    assert (row.lun, row.sector_bytes, row.label, row.sparse) == (0, None, "", False)
    assert (row.sectors, row.file_sector_offset) == (33, 2)
    assert row.start == parse("-33")


def test_rows_of_nand_oneplus_and_oppo() -> None:
    rows = read(
        f'<program {PLACE} filename="a" PAGES_PER_BLOCK="64" last_sector="0x7"/>\n'
        f'<program {PLACE} filename="b" sparse="1" FileOffsetInSrc="768" SizeInSectorInSrc="2"'
        ' SizeInByteInSrc="8192" Sha256="ab" md5="" skip_download="0" not_overwrite="0"'
        ' filepath="" slot="0" read_back_verify="0"/>'
    )
    nand, oppo = rows.of(ProgramRow)
    assert (nand.pages_per_block, nand.last_sector) == (64, 7)
    assert oppo.sparse
    assert not oppo.read_back_verify
    assert oppo.leftover["sha256"] == "ab"


def test_all_kinds_of_rows_keep_the_order_of_the_file() -> None:
    rows = read(
        f'<erase {PLACE} label="x" filename="y" PAGES_PER_BLOCK="64" last_sector="7"/>\n'
        f'<program {PLACE} filename=""/>\n'
        "<!-- between -->\n"
        f'<read {PLACE} filename="gpt.bin" sparse="false" file_sector_offset="0" label="P"/>\n'
        '<patch start_sector="NUM_DISK_SECTORS-1." byte_offset="16" size_in_bytes="4"'
        ' value="CRC32(NUM_DISK_SECTORS-1.,92)" filename="DISK" SECTOR_SIZE_IN_BYTES="512"/>\n'
        '<power reset="0"/>\n'
        '<power value="reset" DelayInSeconds="2"/>'
    )
    kinds = [(type(row), row.line) for row in rows.rows]
    assert kinds == [
        (EraseRow, 3),
        (ProgramRow, 4),
        (ReadRow, 6),
        (PatchRow, 7),
        (PowerRow, 8),
        (PowerRow, 9),
    ]
    (erase,) = rows.of(EraseRow)
    assert (erase.start, erase.sectors, erase.label) == (parse("6"), 2, "x")
    assert (erase.pages_per_block, erase.last_sector) == (64, 7)
    (to_file,) = rows.of(ReadRow)
    assert (to_file.filename, to_file.label, to_file.sectors) == ("gpt.bin", "P", 2)
    assert [row.value for row in rows.of(PowerRow)] == ["", "reset"]


def test_patch_rows_go_to_the_disk_or_to_a_file() -> None:
    place = 'start_sector="1" byte_offset="504" size_in_bytes="8"'
    rows = read(
        f'<patch {place} value="NUM_DISK_SECTORS-34." filename="DISK" what="Update."/>\n'
        f'<patch {place} value="CRC32(2,4096)" filename="gpt_main0.bin"/>',
        "patches",
    )
    disk, file = rows.of(PatchRow)
    assert (disk.on_disk, file.on_disk) == (True, False)
    assert (disk.byte_offset, disk.size_in_bytes, disk.what) == (504, 8, "Update.")
    assert disk.value == parse("NUM_DISK_SECTORS-34.")
    assert file.value == Crc32("CRC32(2,4096)", parse("2"), 4096)


def test_a_file_without_rows_is_one() -> None:
    assert read("", "patches").rows == ()


def test_an_erase_row_without_a_range_erases_the_lun() -> None:
    by_drive, by_lun = read('<erase storagedrive="0"/><erase physical_partition_number="3"/>').of(
        EraseRow
    )
    assert (by_drive.lun, by_drive.start, by_drive.sectors) == (0, None, 0)
    assert (by_lun.lun, by_lun.start) == (3, None)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('<xblgpt value="1"/>', "<xblgpt> is an unknown kind of row."),
        ('<Program start_sector="1"/>', "<Program> is an unknown kind of row."),
        ('<program num_partition_sectors="1" filename=""/>', "has no attribute 'start_sector'."),
        ('<read num_partition_sectors="1" filename=""/>', "has no attribute 'start_sector'."),
        ('<program start_sector="1" filename=""/>', "has no attribute 'num_partition_sectors'."),
        (f"<program {PLACE}/>", "<program> has no attribute 'filename'."),
        (f'<program {PLACE} filename="" slot="1"/>', "slot='1' is an instruction for another"),
        (f'<program {PLACE} filename="" skip_download="1"/>', "skip_download='1' is an"),
        (f'<program {PLACE} filename="" filepath="x"/>', "filepath='x' is an instruction"),
        (f'<program {PLACE} filename="" sparse="maybe"/>', "sparse='maybe' is neither true nor"),
        (f'<program {PLACE} filename="" Filename="x"/>', "the attribute 'Filename' occurs twice."),
        (f'<program {PLACE} num_sectors="2" filename=""/>', "num_sectors mean the same."),
        (f'<program {PLACE} filename="">text</program>', "<program> has something inside it."),
        (f'<program {PLACE} filename=""><a/></program>', "<program> has something inside it."),
        (
            '<program start_sector="eval(1)" num_partition_sectors="1" filename=""/>',
            "start_sector: 'eval(1)' is no number or sector expression.",
        ),
        (
            '<program start_sector="1" num_partition_sectors="-1" filename=""/>',
            "num_partition_sectors='-1' is no number from 0 to",
        ),
        (
            '<program start_sector="1" num_partition_sectors="18446744073709551616" filename=""/>',
            "num_partition_sectors='18446744073709551616' is no number from 0 to",
        ),
        (
            '<program start_sector="1" num_partition_sectors="" filename=""/>',
            "num_partition_sectors='' is no number from 0 to",
        ),
        (
            f'<program {PLACE} filename="" physical_partition_number="256"/>',
            "physical_partition_number='256' is no number from 0 to 255.",
        ),
        (
            f'<program {PLACE} filename="" SECTOR_SIZE_IN_BYTES="513"/>',
            "SECTOR_SIZE_IN_BYTES='513' is no size that sectors have.",
        ),
        ('<erase start_sector="1"/>', "<erase> has no attribute 'num_partition_sectors'."),
        ('<erase num_partition_sectors="1"/>', "<erase> has no attribute 'start_sector'."),
        (
            '<erase start_sector="1" num_partition_sectors="0"/>',
            "<erase> of 0 sectors erases everything on some phones.",
        ),
        (
            '<patch start_sector="1" byte_offset="0" size_in_bytes="3" value="0" filename="DISK"/>',
            "size_in_bytes='3' is not 1, 2, 4 or 8.",
        ),
        (
            '<patch start_sector="1" byte_offset="509" size_in_bytes="4" value="0" filename="DISK"'
            ' SECTOR_SIZE_IN_BYTES="512"/>',
            "byte_offset='509' leaves the sector.",
        ),
        (
            '<patch start_sector="1" byte_offset="0" size_in_bytes="4" value="CRC32(x,1)"'
            ' filename="DISK"/>',
            "value: 'x' is no number or sector expression.",
        ),
    ],
)
def test_a_row_that_is_not_understood_stops_everything(row: str, problem: str) -> None:
    text = message(f'<program {PLACE} filename=""/>\n{row}')
    assert text.startswith("r.xml:4: ")
    assert problem in text


def test_a_missing_length_is_reported_once() -> None:
    assert message('<erase start_sector="1"/>') == (
        "r.xml:3: <erase> has no attribute 'num_partition_sectors'."
    )


def test_all_problems_are_reported_together_with_their_lines() -> None:
    text = message(
        '<program filename="" num_partition_sectors="x" start_sector="y"/>\n'
        f'<program {PLACE} filename=""/>\n'
        "<reboot/>"
    )
    assert text.splitlines() == [
        "r.xml:3: start_sector: 'y' is no number or sector expression.",
        "r.xml:3: num_partition_sectors='x' is no number from 0 to 18446744073709551615.",
        "r.xml:5: <reboot> is an unknown kind of row.",
    ]


def test_a_row_that_lost_its_bracket_is_noticed() -> None:
    text = message(f'<program {PLACE} filename=""/>\nprogram {PLACE} filename="boot.img"/>')
    assert text.startswith("r.xml:2: stray text between the rows: 'program start_sector=")


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("<configuration><parser_instructions/></configuration>", "a partition layout for ptool"),
        ("<image/>", "a partition layout for ptool in its oldest form"),
        ("<nandboot/>", "a NAND partition layout"),
        ("<contents/>", "a description of a whole build (contents.xml)"),
        ("<flashing><steps/></flashing>", "a Motorola fastboot script"),
        ("<ProFile/>", "an Oppo profile"),
        ("<Setting/>", "a OnePlus container's settings.xml"),
        ('<data><program project="1" customize=""/></data>', "an Oppo project configuration"),
        ('<data><ufs bNumberLU="6"/></data>', "a UFS provisioning file"),
        ('<data><emmc commit="1"/></data>', "an eMMC provisioning file"),
    ],
)
def test_files_given_by_mistake_are_named(document: str, what: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_rawprogram(document.encode(), "r.xml")
    assert caught.value.message.startswith(f"r.xml: this is {what}")


def test_other_xml_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"r\.xml:2: <html> does not begin a rawprogram"):
        read_rawprogram(b"\n<html/>", "r.xml")


@pytest.mark.parametrize(
    ("attributes", "warning"),
    [
        ('size_in_KB="4.0"', "size_in_KB='4.0' does not fit 2 sectors."),
        ('size_in_KB="8"', None),
        ('size_in_KB="?"', None),
        ('start_byte_hex="0x6000L"', None),
        ('start_byte_hex="0x7000"', "start_byte_hex='0x7000' does not fit start_sector='6'."),
        ('start_byte_hex="(4096*NUM_DISK_SECTORS)-4096."', None),
    ],
)
def test_figures_that_contradict_the_sectors_are_pointed_out(
    attributes: str, warning: str | None
) -> None:
    rows = read(f'<program {PLACE} filename="" SECTOR_SIZE_IN_BYTES="4096" {attributes}/>')
    assert rows.warnings == (() if warning is None else (f"r.xml:3: {warning}",))
    unsized = read(f'<program {PLACE} filename="" {attributes}/>')
    assert unsized.warnings == ()


def test_figures_of_a_growing_partition_contradict_nothing() -> None:
    rows = read(
        '<program start_sector="NUM_DISK_SECTORS-5." num_partition_sectors="0" filename=""'
        ' SECTOR_SIZE_IN_BYTES="4096" size_in_KB="20.0" start_byte_hex="0x1"/>'
    )
    assert rows.warnings == ()


def test_an_unknown_attribute_is_told_but_stops_nothing() -> None:
    rows = read_rawprogram(
        b'<data><program SECTOR_SIZE_IN_BYTES="512" start_sector="1" num_partition_sectors="1"'
        b' filename="" vip="1"/></data>',
        "r.xml",
    )
    assert rows.warnings == ("r.xml:1: <program> has the unknown attribute 'vip'.",)
    assert len(rows.rows) == 1
