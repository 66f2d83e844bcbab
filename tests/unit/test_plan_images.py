# SPDX-License-Identifier: BSD-3-Clause
"""What a file puts on the storage: sizes, pieces of one file, sparse images."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, Any

import pytest

from edl.chunks import FillContent
from edl.files import on_disk
from edl.firehose.commands import Area
from edl.formats import sparse
from edl.plan import images
from edl.plan.model import Erase, Geometry, Plan, Severity
from tests import packs
from tests.packs import EMMC, document, found, only, patch, plan, program, put

RAW = "rawprogram0.xml"


def one(folder: Path, content: bytes, row: str | None = None, geometry: Geometry = EMMC) -> Plan:
    """Return the plan for one row that writes a.img."""
    put(folder, {RAW: document(row or program("a.img", 100, 8)), "a.img": content})
    return plan(folder, geometry)


def written(plan: Plan) -> list[tuple[int, bytes]]:
    return [(write.area.start_sector, packs.data(write)) for write in plan.writes]


# -- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 511, 512, 513, 4095, 4096])
def test_a_file_is_padded_to_sectors_and_no_further(size: int, tmp_path: Path) -> None:
    made = one(tmp_path, b"a" * size)
    sectors = -(-size // 512)
    assert written(made) == [(100, (b"a" * size).ljust(sectors * 512, b"\0"))]
    assert made.writes[0].area.sectors == sectors
    assert made.findings == ()


def test_a_file_larger_than_its_partition_is_an_error(tmp_path: Path) -> None:
    made = one(tmp_path, b"a" * 4097)
    finding = only(made)
    assert (finding.code, finding.where) == ("image-too-large", f"{RAW}:3")
    assert finding.message == "'a.img' has 4097 bytes, partition a only 4096."
    assert finding.remedy.startswith("Use the package for this phone and storage size")
    assert made.steps == ()


def test_a_partition_without_a_name_is_told_as_such(tmp_path: Path) -> None:
    assert (
        "partition ? only" in only(one(tmp_path, b"a" * 4097, program("a.img", 1, 8, ""))).message
    )


def test_zeros_behind_the_partition_are_cut_off(tmp_path: Path) -> None:
    made = one(tmp_path, b"a" * 4096 + bytes(3_000_000))
    assert written(made) == [(100, b"a" * 4096)]
    assert made.findings == ()


def test_a_last_byte_behind_zeros_is_not_cut_off(tmp_path: Path) -> None:
    assert found(one(tmp_path, b"a" * 4096 + bytes(3_000_000) + b"\1")) == [
        ("image-too-large", f"{RAW}:3")
    ]


def test_a_long_tail_of_zeros_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_MAX_TRIMMED_BYTES", 1000)
    assert one(tmp_path, b"a" * 4096 + bytes(1000)).findings == ()
    assert found(one(tmp_path, b"a" * 4096 + bytes(1001))) == [("image-too-large", f"{RAW}:3")]


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    made = one(tmp_path, b"")
    assert found(made) == [("image", f"{RAW}:3")]
    assert only(made).message == "'a.img' is empty."
    assert only(made).remedy.startswith("Unpack the whole package again")


def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def closed(self: Path, mode: str, buffering: int = -1) -> IO[Any]:
        if (self.name, mode) == ("a.img", "rb"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self, mode, buffering)

    monkeypatch.setattr(Path, "open", closed)
    made = one(tmp_path, b"a")
    assert found(made) == [("image", f"{RAW}:3")]
    assert only(made).message == f"{tmp_path / 'a.img'} cannot be read: Permission denied."


def test_the_last_partition_is_as_long_as_its_file(tmp_path: Path) -> None:
    made = one(tmp_path, b"a" * 5000, program("a.img", 99_990, 0, "userdata"))
    assert written(made) == [(99_990, (b"a" * 5000).ljust(5120, b"\0"))]
    made = one(tmp_path, b"a" * 5121, program("a.img", 99_990, 0, "userdata"))
    assert found(made) == [("past-the-end", f"{RAW}:3")]


# -- pieces of one file -------------------------------------------------------------------------


def test_rows_may_share_out_one_file(tmp_path: Path) -> None:
    content = bytes(range(10)) * 512  # 10 sectors
    rows = [
        program("a.img", 100, 4, "one", file_sector_offset=0),
        program("A.IMG", 200, 4, "two", file_sector_offset=4),
        program("a.img", 300, 4, "three", file_sector_offset=8),
    ]
    put(tmp_path, {RAW: document(*rows), "a.img": content})
    made = plan(tmp_path)
    assert made.findings == ()
    assert written(made) == [
        (100, content[:2048]),
        (200, content[2048:4096]),
        (300, content[4096:]),
    ]


def test_the_rest_behind_the_last_piece_is_not_lost(tmp_path: Path) -> None:
    rows = [
        program("a.img", 100, 4, "one"),
        program("a.img", 200, 4, "two", file_sector_offset=4),
    ]
    put(tmp_path, {RAW: document(*rows), "a.img": b"a" * 512 * 9})
    made = plan(tmp_path)
    assert found(made) == [("image-too-large", f"{RAW}:4")]
    assert only(made).message == "'a.img' has 2560 bytes, partition two only 2048."


@pytest.mark.parametrize("offset", [2, 3, 2**64 - 1])
def test_a_piece_behind_the_file_is_an_error(offset: int, tmp_path: Path) -> None:
    made = one(tmp_path, b"a" * 1024, program("a.img", 100, 8, file_sector_offset=offset))
    assert found(made) == [("image", f"{RAW}:3")]
    assert only(made).message == f"'a.img' ends before its sector {offset}."


def test_a_last_piece_without_a_length_takes_the_rest(tmp_path: Path) -> None:
    row = program("a.img", 100, 0, file_sector_offset=1)
    assert written(one(tmp_path, b"a" * 512 + b"b" * 700, row)) == [
        (100, (b"b" * 700).ljust(1024, b"\0"))
    ]


# -- sparse images ------------------------------------------------------------------------------


def sparse_row(sectors: int = 64, **more: Any) -> str:  # noqa: ANN401
    return program("a.img", 100, sectors, sparse="true", **more)


def test_a_sparse_image_is_unpacked(tmp_path: Path) -> None:
    image = packs.sparse(1024, b"r" * 2048, 3, (2, b"fill"), (1, b"\0\0\0\0"), b"s" * 1024)
    made = one(tmp_path, image, sparse_row())
    assert made.findings == ()
    assert written(made) == [
        (100, b"r" * 2048),
        (110, b"fill" * 512 + bytes(1024) + b"s" * 1024),
    ]
    assert {write.where for write in made.writes} == {f"{RAW}:3"}


def test_a_fill_between_holes_takes_no_memory(tmp_path: Path) -> None:
    made = one(tmp_path, packs.sparse(1024, 1, (2, b"fill"), 1), sparse_row())
    [write] = made.writes
    assert (write.area.start_sector, write.content) == (102, FillContent(2048, b"fill"))


def test_pieces_of_one_image_are_known_apart(tmp_path: Path) -> None:
    """Jobs go on only with what they were: contents are hashed and compared."""
    image = packs.sparse(512, b"a" * 512, (1, b"fill"), 1, b"a" * 512, (1, b"fill"))
    first, second = (write.content for write in one(tmp_path, image, sparse_row()).writes)
    assert first != second
    assert len({first, second}) == 2


def test_a_sparse_image_may_lie_at_the_end_of_the_disk(tmp_path: Path) -> None:
    row = program("a.img", "NUM_DISK_SECTORS-8.", 8, sparse="true")
    assert written(one(tmp_path, packs.sparse(1024, 2, b"r" * 1024), row)) == [
        (99_996, b"r" * 1024)
    ]


def test_the_magic_decides_and_not_the_flag(tmp_path: Path) -> None:
    made = one(tmp_path, packs.sparse(512, b"r" * 512))
    assert found(made) == [("is-sparse", f"{RAW}:3")]
    assert only(made).severity is Severity.WARNING
    assert written(made) == [(100, b"r" * 512)]
    made = one(tmp_path, b"a" * 1000, sparse_row())
    assert found(made) == [("not-sparse", f"{RAW}:3")]
    assert only(made).severity is Severity.WARNING
    assert written(made) == [(100, (b"a" * 1000).ljust(1024, b"\0"))]


@pytest.mark.parametrize("sectors", [2, 0])
def test_a_raw_image_of_the_right_size_may_be_called_sparse(sectors: int, tmp_path: Path) -> None:
    assert one(tmp_path, b"a" * 1024, sparse_row(sectors)).findings == ()


def test_a_sparse_image_that_unpacks_too_large_is_an_error(tmp_path: Path) -> None:
    image = packs.sparse(4096, b"r" * 4096, 8)
    made = one(tmp_path, image, sparse_row(64))
    assert found(made) == [("image-too-large", f"{RAW}:3")]
    assert only(made).message == "'a.img' unpacks to 36864 bytes, partition a has only 32768."
    assert only(made).remedy == "Use the package for this phone and storage size."
    assert one(tmp_path, image, sparse_row(72)).findings == ()
    assert one(tmp_path, image, sparse_row(0)).findings == ()


def test_a_sparse_image_without_data_writes_nothing_and_says_so(tmp_path: Path) -> None:
    made = one(tmp_path, packs.sparse(4096, 8), sparse_row())
    assert found(made) == [("empty-sparse", f"{RAW}:3"), ("nothing-to-do", "")]
    assert made.findings[0].severity is Severity.INFO


HOLES = "holes of sparse images, which stay as they are; --holes zero blanks them"


def erased(plan: Plan) -> list[tuple[int, int]]:
    return [
        (step.area.start_sector, step.area.sectors)
        for step in plan.steps
        if isinstance(step, Erase)
    ]


def test_holes_stay_as_they_are_and_that_is_told(tmp_path: Path) -> None:
    image = packs.sparse(1024, b"r" * 2048, 3, (2, b"fill"), 10)
    made = one(tmp_path, image, sparse_row())
    assert erased(made) == []
    assert made.left_out == (("13 KiB of a", HOLES),)


def test_holes_are_zeroed_by_wish(tmp_path: Path) -> None:
    put(tmp_path, {RAW: document(sparse_row()), "a.img": packs.sparse(1024, 1, b"r" * 2048, 3)})
    made = plan(tmp_path, zero_holes=True)
    assert erased(made) == [(100, 2), (106, 6)]
    assert written(made) == [(102, b"r" * 2048)]
    assert (made.findings, made.left_out) == ((), ())


def test_a_hole_behind_the_end_of_the_disk_is_nothing(tmp_path: Path) -> None:
    row = program("a.img", "NUM_DISK_SECTORS-2.", 8, sparse="true")
    put(tmp_path, {RAW: document(row), "a.img": packs.sparse(512, b"r" * 1024, 3)})
    made = plan(tmp_path, zero_holes=True)
    assert erased(made) == []
    assert written(made) == [(99_998, b"r" * 1024)]


def test_images_that_share_a_partition_fill_each_others_holes(tmp_path: Path) -> None:
    rows = [program(name, 100, 64, "super", sparse="true") for name in ("a.img", "b.img")]
    images = {
        "a.img": packs.sparse(512, b"a" * 512, 2, b"a" * 512, 4),
        "b.img": packs.sparse(512, 1, b"b" * 512, 5, b"b" * 512),
    }
    put(tmp_path, {RAW: document(*rows), **images})
    made = plan(tmp_path, zero_holes=True)
    assert made.findings == ()
    assert erased(made) == [(102, 1), (104, 3)]
    assert [start for start, _ in written(made)] == [100, 103, 101, 107]
    assert plan(tmp_path).left_out == (("2 KiB of super", HOLES),)


def test_what_is_read_out_is_a_hole_still(tmp_path: Path) -> None:
    read = packs.row("read", filename="out.bin", start_sector=100, num_partition_sectors=8)
    put(tmp_path, {RAW: document(read, sparse_row()), "a.img": packs.sparse(512, 1, b"r" * 512)})
    assert erased(plan(tmp_path, zero_holes=True, read_folder=tmp_path / "out")) == [(100, 1)]


@pytest.mark.parametrize(
    ("start", "geometry", "codes", "blank"),
    [
        (EMMC.luns[0] - 1, EMMC, [], [(EMMC.luns[0] - 1, 1)]),
        ("NUM_DISK_SECTORS-2.", Geometry("emmc", 512, {}), ["no-such-lun"], []),
        (1, Geometry("ufs", 4096, {0: 1000}), ["wrong-sector-size"], []),
    ],
)
def test_a_hole_that_does_not_lie_on_the_storage(
    start: object, geometry: Geometry, codes: list[str], blank: object, tmp_path: Path
) -> None:
    image = packs.sparse(4096, 1, (1, b"fill"), 1) if codes else packs.sparse(512, 2, 1)
    row = program("a.img", start, 0, sparse="true")
    put(tmp_path, {RAW: document(row), "a.img": image})
    made = plan(tmp_path, geometry, zero_holes=True)
    assert [code for code, _ in found(made) if code != "empty-sparse"] == codes
    assert erased(made) == blank


@pytest.mark.parametrize("cut", [10, 30, 2000])
def test_a_damaged_sparse_image_is_an_error(cut: int, tmp_path: Path) -> None:
    made = one(tmp_path, packs.sparse(4096, b"r" * 4096)[:cut], sparse_row())
    assert found(made) == [("image", f"{RAW}:3")]
    assert only(made).message.startswith("a.img")
    assert only(made).remedy.startswith("Unpack the whole package again")


def test_blocks_must_be_made_of_sectors(tmp_path: Path) -> None:
    row = program("a.img", 10, 8, sparse="true").replace('"512"', '"4096"')
    made = one(tmp_path, packs.sparse(1024, b"r" * 1024), row, Geometry("ufs", 4096, {0: 1000}))
    assert found(made) == [("image", f"{RAW}:3")]
    assert only(made).message == "'a.img' has blocks of 1024 bytes, no multiple of a sector."


def test_a_sparse_image_cannot_be_used_from_its_middle(tmp_path: Path) -> None:
    made = one(tmp_path, packs.sparse(512, b"r" * 2048), sparse_row(file_sector_offset=1))
    assert found(made) == [("image", f"{RAW}:3")]
    assert "cannot be used from its middle on" in only(made).message


def test_a_sparse_image_counts_as_what_it_unpacks_to(tmp_path: Path) -> None:
    put(tmp_path, {"s": packs.sparse(4096, b"r" * 4096, 10), "r": b"a" * 7, "x": sparse.MAGIC})
    gone = on_disk(tmp_path / "r")
    sizes = [images.size_bytes(on_disk(tmp_path / name)) for name in ("s", "r", "x")]
    assert sizes == [11 * 4096, 7, 0]
    (tmp_path / "r").unlink()
    assert images.size_bytes(gone) == 0


# -- patches of files ---------------------------------------------------------------------------


def test_rows_patch_files_before_they_are_written(tmp_path: Path) -> None:
    rows = [
        patch(1, 2, 4, 0xAABBCCDD, "A.img"),  # before its file is programmed, and by another case
        program("a.img", 100, 8),
        program("a.img", "NUM_DISK_SECTORS-8.", 8, "twin"),
        program("b.img", 200, 8),
        patch(2, 0, 8, "NUM_DISK_SECTORS-1.", "a.img"),
        patch(2, 8, 4, "CRC32(1,512)", "a.img"),
    ]
    put(tmp_path, {RAW: document(*rows), "a.img": b"a" * 1200, "b.img": b"b"})
    made = plan(tmp_path)
    assert made.findings == ()
    assert made.patches == ()
    wanted = bytearray((b"a" * 1200).ljust(1536, b"\0"))
    wanted[514:518] = b"\xdd\xcc\xbb\xaa"
    wanted[1024:1032] = (99_999).to_bytes(8, "little")
    # the CRC-32 in the trailer that gzip writes for the sector "aa DD CC BB AA aa..."
    wanted[1032:1036] = (0xB5EED981).to_bytes(4, "little")
    assert written(made) == [(100, wanted), (99_992, wanted), (200, b"b".ljust(512, b"\0"))]


def test_patches_count_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    rows = [
        program("a.img", 100, 2),
        program("a.img", 200, 2, "rest", file_sector_offset=2),
        patch(0, 0, 1, 0x41, "a.img"),
        patch(2, 1, 1, 0x42, "a.img"),
    ]
    put(tmp_path, {RAW: document(*rows), "a.img": b"." * 2048})
    assert written(plan(tmp_path)) == [
        (100, b"A" + b"." * 1023),
        (200, b".B" + b"." * 1022),
    ]


def test_a_piece_without_patches_is_as_its_file(tmp_path: Path) -> None:
    rows = [program("a.img", 100, 2, file_sector_offset=2), patch(0, 0, 1, 0x41, "a.img")]
    put(tmp_path, {RAW: document(*rows), "a.img": b"." * 2048})
    assert written(plan(tmp_path)) == [(100, b"." * 1024)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (patch(3, 0, 4, 0, "a.img"), "The patch leaves 'a.img', which has 1536 bytes."),
        (patch(0, 0, 4, "CRC32(2,513)", "a.img"), "'CRC32(2,513)' leaves 'a.img'."),
        (patch(0, 0, 1, 256, "a.img"), "256 does not fit into 1 bytes."),
        (patch(0, 0, 1, "CRC32(0,1)", "a.img"), "A CRC-32 does not fit into 1 bytes."),
        (patch("NUM_DISK_BLOCKS", 0, 4, 0, "a.img"), "counts erase blocks"),
    ],
)
def test_patches_that_files_cannot_take(row: str, message: str, tmp_path: Path) -> None:
    put(tmp_path, {RAW: document(program("a.img"), row), "a.img": b"a" * 1200})
    made = plan(tmp_path)
    assert found(made) == [("bad-patch", f"{RAW}:4")]
    assert message in only(made).message


def test_patches_of_files_that_nobody_writes_are_left_out(tmp_path: Path) -> None:
    rows = [
        program("a.img"),
        patch(0, 0, 1, 1, "b.img"),
        patch(0, 0, 1, 1, "b.img"),
        patch(0, 0, 1, 1, "c.img"),
    ]
    put(tmp_path, {RAW: document(*rows), "a.img": b"a", "b.img": b"b"})
    made = plan(tmp_path)
    assert made.findings == ()
    assert [what for what, _ in made.left_out] == ["b.img", "c.img"]


def test_patches_of_files_outside_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {RAW: document(program("a.img"), patch(0, 0, 1, 1, "../../x")), "a.img": b"a"})
    assert found(plan(tmp_path)) == [("package", f"{RAW}:4")]


@pytest.mark.parametrize("content", [packs.sparse(512, b"r" * 512), b"a" * (16 << 20) + b"a"])
def test_only_small_plain_files_can_be_patched(content: bytes, tmp_path: Path) -> None:
    rows = [program("a.img", 0, 0, sparse="true"), patch(0, 0, 1, 1, "a.img")]
    put(tmp_path, {RAW: document(*rows), "a.img": content})
    made = plan(tmp_path)
    assert found(made) == [("patched-image", f"{RAW}:4")]
    assert only(made).remedy == "Use an unchanged package."


def test_a_fill_of_a_patched_file_counts_as_such(tmp_path: Path) -> None:
    rows = [program("a.img", 0, 0, sparse="true"), patch(0, 0, 1, 1, "a.img")]
    put(tmp_path, {RAW: document(*rows), "a.img": packs.sparse(512, (1, b"fill"))})
    assert found(plan(tmp_path)) == [("patched-image", f"{RAW}:4")]


def test_a_file_that_goes_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {RAW: document(program("a.img"), patch(0, 0, 1, 1, "a.img")), "a.img": b"a"})
    real = images.Run.content

    def content(self: images.Run, size_bytes: int) -> object:
        assert self.file.path is not None
        self.file.path.unlink()
        return real(self, size_bytes)

    monkeypatch.setattr(images.Run, "content", content)
    made = plan(tmp_path)
    assert found(made) == [("image", f"{RAW}:3")]
    assert "No such file" in only(made).message


def test_areas_are_those_of_the_storage(tmp_path: Path) -> None:
    row = program("a.img", 10, 8).replace('"512"', '"4096"')
    made = one(tmp_path, b"a" * 4097, row, Geometry("ufs", 4096, {0: 1000}))
    assert made.writes[0].area == Area(0, 10, 2, 4096)
