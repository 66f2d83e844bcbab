# SPDX-License-Identifier: BSD-3-Clause
"""Files of compressed tar archives, read in any order, and what that costs."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from edl import spool
from edl.chunks import read_all
from edl.errors import DiskError, ImageError
from edl.events import Event, Stage
from edl.files import File, on_disk
from edl.formats import restarts, streams
from edl.home import home
from edl.packages import digests, tarindex, tarreader, tars, whole
from edl.packages.digests import Expected
from edl.packages.tree import Tree
from edl.streamed import Pieces, StreamContent
from edl.units import KIB
from tests.packages.making import noise

SIZE = 200 * KIB
NAMES = ("a", "b", "c", "d")
GZIP, ZSTD = ("gzip", "-c"), ("zstd", "-q", "-c")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything a thousand times smaller than it is with real packages."""
    monkeypatch.setattr(tarindex, "_SMALL_BYTES", 4 * KIB)
    monkeypatch.setattr(tarindex, "_HEAD_BYTES", KIB)
    monkeypatch.setattr(tarindex, "_TAIL_BYTES", 512)
    monkeypatch.setattr(tarreader, "_FAR_BYTES", 256 * KIB)
    monkeypatch.setattr(tarreader, "_NEAR_BYTES", 16 * KIB)
    monkeypatch.setattr(restarts.Points.__init__, "__defaults__", (512, 64 * KIB))


@pytest.fixture
def unpacked_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that takes how much comes out of decompressors, read by read."""
    counted: list[int] = []
    plain = streams.Unpacked.read

    def read(self: streams.Unpacked, size_bytes: int) -> bytes:
        data = plain(self, size_bytes)
        counted.append(len(data))
        return data

    monkeypatch.setattr(streams.Unpacked, "read", read)
    return counted


def data_of(name: str) -> bytes:
    return noise(SIZE, ord(name))


def made(folder: Path, compress: Sequence[str], names: Sequence[str] = NAMES) -> Path:
    for name in names:
        (folder / name).write_bytes(data_of(name))
    subprocess.run(["tar", "-C", folder, "-cf", folder / "rom.tar", *names], check=True)
    path = folder / "rom.packed"
    with (folder / "rom.tar").open("rb") as tar, path.open("wb") as out:
        subprocess.run(compress, stdin=tar, stdout=out, check=True)
    return path


def opened(path: Path, events: list[Event] | None = None) -> Tree:
    return tars.read(
        on_disk(path), "rom", list[Event]().append if events is None else events.append
    )


def whole_of(file: File) -> bytes:
    return read_all(file.content, 0, file.size_bytes)


def spooled() -> list[str]:
    return sorted(path.name for path in home().glob("unpacked/*/*-files/*/*"))


def test_gzip_is_read_anywhere_without_the_disk(tmp_path: Path, unpacked_bytes: list[int]) -> None:
    tree = opened(made(tmp_path, GZIP))
    total = sum(unpacked_bytes)
    assert total >= len(NAMES) * SIZE
    unpacked_bytes.clear()
    draw = random.Random(3)
    for _ in range(20):
        name = draw.choice(NAMES)
        at = draw.randrange(SIZE - 100)
        assert read_all(tree.files[name].content, at, 100) == data_of(name)[at : at + 100]
    # each costs the way from the last point only: 64 KiB, and up to 64 KiB of input behind that
    assert sum(unpacked_bytes) < 20 * 160 * KIB
    assert spooled() == []


def test_the_next_run_unpacks_no_more_than_once(tmp_path: Path, unpacked_bytes: list[int]) -> None:
    path = made(tmp_path, GZIP)
    opened(path)
    unpacked_bytes.clear()
    tree = opened(path)
    assert unpacked_bytes == []
    whole.verify(tree.files.values())
    assert unpacked_bytes == []  # tested when the index was made
    for name in ("d", "a", "c", "b"):
        assert whole_of(tree.files[name]) == data_of(name)
    # to d, and again from points near to each of the others
    assert sum(unpacked_bytes) < 2 * len(NAMES) * SIZE


@pytest.mark.parametrize("compress", [GZIP, ZSTD, ("bzip2", "-c"), ("xz", "-0c")])
def test_in_its_order_an_archive_is_unpacked_once(
    compress: Sequence[str], tmp_path: Path, unpacked_bytes: list[int]
) -> None:
    path = made(tmp_path, compress)
    opened(path)
    unpacked_bytes.clear()
    tree = opened(path)
    whole.verify(tree.files.values())
    for name in NAMES:
        content, part = tree.files[name].content, SIZE // 4
        pieces = [read_all(content, at, part) for at in range(0, SIZE, part)]
        assert b"".join(pieces) == data_of(name)
    assert sum(unpacked_bytes) <= len(NAMES) * (SIZE + 512)
    assert spooled() == []


@pytest.mark.parametrize(
    "compress",
    [("xz", "-0c", "--block-size=32KiB"), ("sh", "-c", "cat > x; for n in 0 1 2 3 4 5 6 7; do"
     " dd if=x bs=102400 skip=$n count=1 2>/dev/null | zstd -qc; done")],
    ids=["xz blocks", "frames"],
)  # fmt: skip
def test_what_is_compressed_in_parts_is_read_anywhere(
    compress: Sequence[str],
    tmp_path: Path,
    unpacked_bytes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = made(tmp_path, compress, ("a", "b", "c"))
    opened(path)
    events: list[Event] = []
    tree = opened(path, events)
    unpacked_bytes.clear()
    for name in ("c", "a", "b", "a"):
        assert whole_of(tree.files[name]) == data_of(name)
    assert sum(unpacked_bytes) < 4 * (SIZE + 128 * KIB)
    assert (spooled(), events) == ([], [])


def test_what_is_passed_over_and_needed_goes_to_the_disk(
    tmp_path: Path, unpacked_bytes: list[int]
) -> None:
    path = made(tmp_path, ZSTD)
    opened(path)
    unpacked_bytes.clear()
    events: list[Event] = []
    tree = opened(path, events)
    whole.verify(tree.files[name] for name in ("a", "c", "d"))
    for name in ("a", "d", "c"):
        assert whole_of(tree.files[name]) == data_of(name)
    assert spooled() == ["c"]
    [told] = [event.text for event in events if isinstance(event, Stage)]
    assert "c (200 KiB), not read in its turn" in told
    assert sum(unpacked_bytes) <= len(NAMES) * (SIZE + 512)


def test_going_back_costs_one_more_way_at_most(tmp_path: Path, unpacked_bytes: list[int]) -> None:
    path = made(tmp_path, ZSTD)
    opened(path)
    tree = opened(path)
    whole.verify(tree.files.values())
    unpacked_bytes.clear()
    order = [*NAMES, *NAMES, *reversed(NAMES)]  # the other slot's copies, and a second look
    for name in order:
        assert whole_of(tree.files[name]) == data_of(name)
    assert sum(unpacked_bytes) <= 2 * len(NAMES) * (SIZE + 512)
    assert spooled() == list(NAMES)
    again = opened(path)
    unpacked_bytes.clear()
    assert [whole_of(again.files[name]) for name in NAMES] == [data_of(name) for name in NAMES]
    assert unpacked_bytes == []  # what is on the disk is found there


def test_only_what_somebody_goes_back_to_if_nobody_said_more(tmp_path: Path) -> None:
    tree = opened(made(tmp_path, ZSTD))
    for name in ("d", "b", "d", "b"):
        assert whole_of(tree.files[name]) == data_of(name)
    assert spooled() == ["b", "d"]


def test_who_has_begun_a_file_does_not_come_back_for_all_of_it(tmp_path: Path) -> None:
    tree = opened(made(tmp_path, ZSTD))
    whole.verify(tree.files.values())
    assert read_all(tree.files["b"].content, 2000, 2000) == data_of("b")[2000:4000]
    assert whole_of(tree.files["c"]) == data_of("c")
    assert spooled() == ["a"]
    assert whole_of(tree.files["b"]) == data_of("b")
    assert spooled() == ["a", "b"]


def test_people_are_told_what_may_have_to_go_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tars, "TOLD_BYTES", 1000)
    events: list[Event] = []
    opened(made(tmp_path, ZSTD), events)
    told = [event.text for event in events if isinstance(event, Stage)][1]
    assert "in one piece" in told
    assert "at most 800 KiB" in told


def test_no_room_for_what_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = opened(made(tmp_path, ZSTD))
    whole.verify(tree.files.values())
    monkeypatch.setattr(spool, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(DiskError, match=r"a must be unpacked to .* are free"):
        whole_of(tree.files["b"])


@pytest.mark.parametrize("compress", [GZIP, ZSTD])
def test_an_archive_that_changes_while_it_is_read(compress: Sequence[str], tmp_path: Path) -> None:
    """Other bytes of the same length, in an archive that is sound by itself."""
    path = made(tmp_path, compress)
    tree = opened(path)
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", compress)
    for name in NAMES:
        (tmp_path / "other" / name).write_bytes(noise(SIZE, 99))
    subprocess.run(["tar", "-C", other.parent, "-cf", other.parent / "rom.tar", *NAMES], check=True)
    with (other.parent / "rom.tar").open("rb") as tar, path.open("wb") as out:
        subprocess.run(compress, stdin=tar, stdout=out, check=True)
    # what was read ahead of the change cannot tell, and the length may differ by some bytes
    with pytest.raises(ImageError, match=r"a is damaged: its checksum|has become shorter"):
        whole_of(tree.files["a"])


def test_an_archive_that_is_cut_off_or_gone_while_it_is_read(tmp_path: Path) -> None:
    path = made(tmp_path, ZSTD)
    tree = opened(path)
    path.write_bytes(path.read_bytes()[:SIZE])
    with pytest.raises(ImageError, match="has become shorter"):
        whole_of(tree.files["d"])
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        whole_of(tree.files["d"])


def test_what_was_kept_is_gone(tmp_path: Path) -> None:
    tree = opened(made(tmp_path, GZIP))
    for path in home().rglob("index.bin"):
        path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        tree.files["a"].head(10)


def test_many_files_are_kept_less_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarindex, "_MOST_KEPT_BYTES", 1000)
    monkeypatch.setattr(tarindex, "_LEAST_BYTES", 10)
    tree = opened(made(tmp_path, GZIP))
    [kept] = home().rglob("index.bin")
    assert kept.stat().st_size == 1536 + 3 * 10
    for name in reversed(NAMES):
        assert whole_of(tree.files[name]) == data_of(name)


def test_two_readers_at_once(tmp_path: Path) -> None:
    tree = opened(made(tmp_path, GZIP))
    found: dict[str, bytes] = {}

    def read(name: str) -> None:
        found[name] = b"".join(
            read_all(tree.files[name].content, at, 10 * KIB) for at in range(0, SIZE, 10 * KIB)
        )

    threads = [threading.Thread(target=read, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: data_of(name) for name in NAMES}


def test_a_crc_that_is_known_needs_no_second_reading(tmp_path: Path) -> None:
    file = opened(made(tmp_path, GZIP)).files["a"]
    content = file.content
    assert isinstance(content, StreamContent)
    assert content.crc is not None
    right = Expected("crc32", f"{content.crc:08x}", "crclist.txt")
    assert digests.guarded(file, right) is file
    wrong = digests.guarded(file, Expected("crc32", "00000000", "crclist.txt"))
    with pytest.raises(ImageError, match=r"its CRC-32 is not the one that crclist\.txt has"):
        whole.verify([wrong])


def test_an_archive_in_an_archive(tmp_path: Path) -> None:
    """Inside a deflated member nobody can go back: it is put on the disk as it is."""
    path = made(tmp_path, GZIP)
    plain = on_disk(path).content
    inner = StreamContent("inner", plain.size_bytes, lambda: Pieces(plain))
    tree = tars.read(File("zip/inner.tgz", inner), "inner.tgz")
    assert whole_of(tree.files["c"]) == data_of("c")
