# SPDX-License-Identifier: BSD-3-Clause
"""Whole processes: how soon they start, and how much memory they need."""

from __future__ import annotations

import compileall
import math
import os
import shutil
import statistics
import struct
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import LOADERS, ROUNDS, Result
from edl.units import GIB, KIB, MIB

_ROW = (
    '<program SECTOR_SIZE_IN_BYTES="512" file_sector_offset="0" filename="image.img"'
    ' label="system" num_partition_sectors="{sectors}" physical_partition_number="0"'
    ' sparse="{sparse}" start_sector="4096"/>'
)
_LOADERS = Path(__file__).parent.parent / "loaders"
_SCRIPT = """#!{python}
import sys
from edl.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


def process(*command: str, home: str, statuses: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Run command; return its processor time in seconds, and its peak of memory in MiB."""
    environment = {**os.environ, "EDL_HOME": home, "NO_COLOR": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as child:
        assert child.stderr is not None
        text = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in statuses:
        raise RuntimeError(f"{command} ended with {child.returncode}: {text.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextmanager
def installed() -> Iterator[tuple[str, str]]:
    """Install edl as users have it: compiled, and started by a script as pip writes it.

    The editable install of a checkout starts all of Python more slowly. Gives the names of Python
    and of that script.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, symlinks=True)
        place = Path(sysconfig.get_path("purelib", "venv", {"base": name, "platbase": name}))
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_LOADERS.parent / "edl", place / "edl", ignore=ignore)
        if not compileall.compile_dir(place / "edl", quiet=2):
            raise RuntimeError("edl cannot be compiled")
        place.joinpath("others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        python, script = folder / "bin" / "python", folder / "bin" / "edl"
        script.write_text(_SCRIPT.format(python=python), encoding="utf-8")
        script.chmod(0o755)
        yield str(python), str(script)


def start_up() -> Iterator[Result]:
    """Yield the processor time of short commands beside that of others, in turn."""
    with tempfile.TemporaryDirectory() as home, installed() as (python, edl):

        def seconds(*commands: tuple[str, ...]) -> float:
            return sum(process(*each, home=home, statuses=(0, 1, 3))[0] for each in commands)

        click, bare = (python, "-c", "import click"), (python, "-c", "pass")
        cases: list[tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...], float]] = [
            ("edl --help beside importing click", (edl, "--help"), (click,), 1.5),
            ("edl list beside importing click", (edl, "list"), (click,), 1.5),
            ("the same, the ordinary way", (edl, "list", "--no-progress"), (click,), math.inf),
        ]
        if qdl := shutil.which("qdl"):
            name = "edl list beside qdl list and interpreter start"
            cases.append((name, (edl, "list"), ((qdl, "list"), bare), 1))
        for name, mine, others, most in cases:
            seconds(mine)  # makes the log, which a new user has not
            pairs = [(seconds(mine), seconds(*others)) for _ in range(8 * ROUNDS)]
            ratio = statistics.median(one / other for one, other in pairs)
            first, second = (1e3 * statistics.median(row) for row in zip(*pairs, strict=True))
            text = f"{first:.0f} / {second:.0f} ms = {ratio:.2f}"
            yield Result(name, text, f"<= {most}", ratio <= most)


def package(folder: Path, size_bytes: int, *, sparse: bool) -> None:
    """Make a package in folder: image.img, of size_bytes, at sector 4096."""
    row = _ROW.format(sectors=size_bytes // 512, sparse=str(sparse).lower())
    folder.joinpath("rawprogram0.xml").write_text(f"<?xml version='1.0'?><data>{row}</data>")
    name = LOADERS["sdm660"]
    folder.joinpath(name).write_bytes((_LOADERS / name).read_bytes())


def sparse_image(path: Path, chunks: int) -> int:
    """Write a sparse image of so many chunks: data, holes and fills in turn; return its size."""
    block = 4 * KIB
    with path.open("wb") as file:
        blocks = 0
        file.write(bytes(28))
        for number in range(chunks):
            kind, data = (
                (0xCAC1, bytes([number % 251]) * block),
                (0xCAC3, b""),
                (0xCAC2, b"\xaa\xbb\xcc\xdd"),
            )[number % 3]
            count = 1 if number % 3 == 0 else 8
            file.write(struct.pack("<2H2I", kind, 0, count, 12 + len(data)) + data)
            blocks += count
        file.seek(0)
        file.write(struct.pack("<I4H4I", 0xED26FF3A, 1, 0, 28, 12, block, blocks, chunks, 0))
    return blocks * block


def memory() -> Iterator[Result]:
    """Yield the peak of memory with images of any size."""
    edl = (sys.executable, "-m", "edl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = str(folder / "home")
        huge, many = folder / "huge", folder / "many"
        huge.mkdir()
        many.mkdir()
        with huge.joinpath("image.img").open("wb") as file:
            file.truncate(256 * GIB)
        package(huge, 256 * GIB, sparse=False)
        package(many, sparse_image(many / "image.img", 100_000), sparse=True)
        cases = (
            ("check a raw image of 256 GiB", ("check", str(huge))),
            ("plan a raw image of 256 GiB", _write(huge, "--dry-run")),
            ("check a sparse image of 100,000 chunks", ("check", str(many))),
            ("plan a sparse image of 100,000 chunks", _write(many, "--dry-run")),
        )
        for title, command in cases:
            seconds, peak = process(*edl, *command, home=home)
            text = f"{peak:.0f} MiB; {seconds:.1f} s of processor"
            yield Result(title, text, "<= 120 MiB", peak <= 120)
        image = folder / "large.bin"
        with image.open("wb") as file:
            for number in range(64):
                file.write(bytes([number]) * 16 * MIB)
        virtual = str(folder / "phone")
        process(*edl, "virtual", "new", virtual, "msm8953,size=4GiB", home=home)
        loader = str(_LOADERS / LOADERS["msm8953"])
        command = ("write", "0/4096", str(image), "--yes", "--loader", loader)
        seconds, peak = process(*edl, "--virtual", virtual, *command, home=home)
        text = f"{peak:.0f} MiB; {seconds:.1f} s of processor"
        yield Result("write and verify 1 GiB, phone included", text, "<= 120 MiB", peak <= 120)
        with (Path(virtual) / "user.img").open("rb") as held, image.open("rb") as meant:
            held.seek(4096 * 512)
            while piece := meant.read(MIB):
                if held.read(MIB) != piece:
                    raise RuntimeError("the phone holds other bytes")


def _write(package: Path, *options: str) -> tuple[str, ...]:
    spec = "sdm660,size=512GiB"
    return ("--virtual", spec, "rawprogram", str(package), "--yes", *options)
