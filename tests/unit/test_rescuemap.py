# SPDX-License-Identifier: BSD-3-Clause
"""Map files, against two that GNU ddrescue 1.27 itself has written (`-n -N` and `-n`)."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats.rescuemap import MAX_MAP_BYTES, Block, Phase, RescueMap, Run, parse

HEAD = b"""\
# Mapfile. Created by GNU ddrescue version 1.27
# Command line: ddrescue -n -N -H sim -b 512 in out m.map
# Start time:   2026-11-22 13:03:24
# Current time: 2026-11-22 13:03:24
# Finished
# current_pos  current_status  current_pass
"""
COPIED = (
    HEAD
    + b"""\
0x00190000     +               2
#      pos        size  status
0x00000000  0x00170000  +
0x00170000  0x00010000  *
0x00180000  0x002F0000  +
0x00470000  0x00020000  *
0x00490000  0x00370000  +
"""
)
TRIMMED = (
    HEAD
    + b"""\
0x00487E00     +               1
#      pos        size  status
0x00000000  0x00177000  +
0x00177000  0x00000200  -
0x00177200  0x00000600  /
0x00177800  0x00000200  -
0x00177A00  0x00300000  +
0x00477A00  0x00000200  -
0x00477C00  0x00010000  /
0x00487C00  0x00000200  -
0x00487E00  0x00378200  +
"""
)


def test_a_map_of_ddrescue() -> None:
    found = parse(TRIMMED)
    assert (found.phase, found.position, found.pass_number) == (Phase.FINISHED, 0x487E00, 1)
    assert found.size_bytes == 8 << 20
    assert found.runs(Block.TRIMMED) == [
        Run(0x177200, 0x600, Block.TRIMMED),
        Run(0x477C00, 0x10000, Block.TRIMMED),
    ]
    assert found.total(Block.BAD) == 4 * 512
    assert parse(COPIED).total(Block.FAILED) == 0x30000
    assert parse(COPIED).pass_number == 2


@pytest.mark.parametrize("data", [COPIED, TRIMMED])
def test_it_is_written_line_by_line_as_ddrescue_does(data: bytes) -> None:
    text = parse(data).text()
    assert text.splitlines()[1:] == data.decode().splitlines()[5:]


def test_older_and_handmade_maps() -> None:
    found = parse(b"0 ?\n0x10 010 + # octal\n24 8 -\n")
    assert list(found) == [
        Run(0, 16, Block.UNTRIED),
        Run(16, 8, Block.SAVED),
        Run(24, 8, Block.BAD),
    ]
    assert found.pass_number == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"0x0 + 1\n", "no blocks"),
        (b"0x0 + 1\n0 512 +\n600 8 -\n", "map:3"),  # a hole
        (b"0x0 + 1\n0 512 +\n500 8 -\n", "map:3"),  # an overlap
        (b"0x0 + 1\n0 0 +\n", "map:2"),
        (b"0x0 + 1\n0 512 x\n", "map:2"),
        (b"0x0 + 1\n0 512\n", "map:2"),
        (b"0x0 + 1\n0 -5 +\n", "map:2"),
        (b"0x0 + 1\n09 5 +\n", "map:2"),
        (b"0x0 + 1\n0 0xFFFFFFFFFFFFFFFF +\n", "map:2"),
        (b"0x0 + 1\n1 0x7FFFFFFFFFFFFFFF +\n", "map:2"),
        (b"0x0 X 1\n0 512 +\n", "map:1"),
        (b"0x0\n0 512 +\n", "map:1"),
        (b"zero + 1\n0 512 +\n", "map:1"),
        (b"#" * (MAX_MAP_BYTES + 1), "too long"),
    ],
)
def test_what_is_no_map(text: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse(text, "map")


def test_whole_sectors() -> None:
    """Of a sector counts what is known least; a shorter map leaves the rest untried."""
    found = parse(b"0x600 * 1\n0 700 +\n700 100 -\n800 1248 *\n2048 200 +\n2248 312 /\n")
    fitted = found.fitted(4096, 512)
    assert [(run.start // 512, run.size // 512, run.state) for run in fitted] == [
        (0, 1, Block.SAVED),
        (1, 3, Block.FAILED),
        (4, 1, Block.TRIMMED),
        (5, 3, Block.UNTRIED),
    ]
    assert (fitted.position, fitted.phase) == (0x600, Phase.TRIMMING)
    assert [run.size for run in found.fitted(1024, 512)] == [512, 512]


_MARKS = st.tuples(st.integers(0, 39), st.integers(0, 40), st.sampled_from(Block))


@given(st.lists(_MARKS, max_size=20))
def test_marks_are_those_of_an_array(marks: list[tuple[int, int, Block]]) -> None:
    made, plain = RescueMap(40), [Block.UNTRIED] * 40
    for start, size, state in marks:
        size = min(size, 40 - start)  # noqa: PLW2901
        made.mark(start, size, state)
        plain[start : start + size] = [state] * size
    assert [run.state for run in made for _ in range(run.size)] == plain
    runs = list(made)
    assert all(one.state != two.state for one, two in pairwise(runs))
    again = parse(made.text(["a comment"]).encode())
    assert list(again) == runs


def test_ddrescuelog_reads_it(tmp_path: Path) -> None:
    tool = shutil.which("ddrescuelog")
    if tool is None:
        pytest.skip("ddrescuelog (gddrescue) is not installed")
    made = RescueMap(1 << 20)
    made.mark(0, 1000 << 10, Block.SAVED)
    made.mark(4096, 512, Block.BAD)
    path = tmp_path / "map"
    path.write_text(made.text(["phone 1a2b3c4d"]))
    bad = subprocess.run([tool, "-l-", "-b512", path], check=True, capture_output=True, text=True)
    assert bad.stdout.split() == ["8"]
    told = subprocess.run([tool, "-t", path], check=True, capture_output=True, text=True).stdout
    assert "non-tried:    24576 B" in told
