# SPDX-License-Identifier: BSD-3-Clause
"""A bench of phones on one computer: how much of all links is used, and of its memory."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from benchmarks.bench import LOADERS, PATTERN, PatternLun, Result
from edl.cli.commands import rawprogram
from edl.cli.options import Settings
from edl.cli.station.crew import Crew, Wanted
from edl.cli.station.rows import Row, State
from edl.cli.station.worker import Order
from edl.plan.readout import PIECE_BYTES
from edl.plan.together import Readings
from edl.units import GIB, MIB
from edl.virtual.bench import Bench

_PROFILE = "msm8953"
_PHONES = 8
_LINK = 40e6  # bytes in a second
_LOADERS = Path(__file__).parent.parent / "loaders"
_START = 2048


class _Fresh(PatternLun):
    """A LUN that is blank behind what has been written, from _START on and in order."""

    def read(self, start: int, count: int) -> bytes:
        """Return what is there."""
        if (start - _START) * self.sector_bytes < self.taken_bytes:
            return super().read(start, count)
        return bytes(count * self.sector_bytes)


class _Engine:
    """SHA-256 as a phone's own engine computes it: for nothing. It knows only what is PATTERN."""

    def __init__(self) -> None:
        self._size_bytes = 0

    def update(self, data: memoryview) -> None:
        """Take data, which begins at a border of PATTERN, and is compared with it."""
        if not PATTERN.startswith(data):  # type: ignore[arg-type]  # takes any buffer
            raise RuntimeError("a phone holds other bytes than were sent")
        self._size_bytes += len(data)

    def hexdigest(self) -> str:
        """Return the digest of so much of PATTERN over and over."""
        return _known(self._size_bytes)


@cache
def _known(size_bytes: int) -> str:
    found = hashlib.sha256()
    for _ in range(size_bytes // MIB):
        found.update(PATTERN)
    return found.hexdigest()


_OWN_ENGINES = mock.patch(
    "edl.virtual.programmer.generation1.storage.hashlib", SimpleNamespace(sha256=_Engine)
)


def package(folder: Path, size_bytes: int, profile: str = _PROFILE) -> Path:
    """Make a package of one image, for phones of a profile."""
    with (folder / "system.img").open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(PATTERN)
    (folder / "prog.elf").write_bytes((_LOADERS / LOADERS[profile]).read_bytes())
    (folder / "rawprogram0.xml").write_text(
        '<?xml version="1.0"?><data><program SECTOR_SIZE_IN_BYTES="512" filename="system.img"'
        f' label="system" num_partition_sectors="{size_bytes // 512}"'
        f' physical_partition_number="0" start_sector="{_START}" sparse="false"'
        ' file_sector_offset="0"/></data>'
    )
    return folder


def run(
    package: Path,
    phones: int,
    verify: str,
    profile: str = _PROFILE,
    rate: float = _LINK,
    unchanged: str = "write",
) -> tuple[float, int]:
    """Write package to so many phones; return the seconds, and the bytes that got there.

    rate: of each phone's link, in bytes a second.
    """
    arguments = {"package": (str(package),), "patch": (), "include": (), "lun": (), "only": (),
                 "skip": (), "allow_missing": False, "no_reset": True, "no_set_bootable": True,
                 "verify": verify, "unchanged": unchanged}  # fmt: skip
    usb3 = ",usb3=yes" if rate > 60e6 else ""
    spec = f"{profile},size=1GiB,link={rate / 1e6:.0f}MB/s{usb3}*{phones}"
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, {"EDL_HOME": home}),
        Bench(spec, real_time=True) as bench,
    ):
        for phone in bench.phones.values():
            old = phone.storage.luns[0]
            phone.storage.luns[0] = _Fresh(old.sectors, old.sector_bytes)
        request = rawprogram.read_request(Settings(), arguments)
        request = replace(request, readings=Readings())
        order = Order(request, Settings(virtual="*"), True, {"no_boot_check": True})

        def tell(_: Row) -> None:
            pass

        crew = Crew(order, Wanted(count=phones), tell, backend=bench.backend, phones=bench.phones)
        begin = time.monotonic()
        crew.run()
        crew.close()
        seconds = time.monotonic() - begin
        wrong = [row.data for row in crew.rows if row.state is not State.DONE]
        if wrong:
            raise RuntimeError(f"phones were not written: {wrong}")
        taken = 0
        for phone in bench.phones.values():
            lun = phone.storage.luns[0]
            assert isinstance(lun, PatternLun)
            taken += lun.taken_bytes
        return seconds, taken


def station(size_bytes: int = GIB // 2, phones: int = _PHONES) -> Iterator[Result]:
    """Yield which part of all links is busy, in real time, from the first phone's first word on."""
    with tempfile.TemporaryDirectory() as made:
        folder = package(Path(made), size_bytes)
        _known(PIECE_BYTES)
        for verify, engines in (
            ("none", nullcontext()),
            ("sha256, by these cores", nullcontext()),
            ("sha256, by their own engines", _OWN_ENGINES),
        ):
            with engines:
                seconds, taken = run(folder, phones, verify.partition(",")[0])
            if taken != phones * size_bytes:
                raise RuntimeError("the phones did not get all bytes")
            share = taken / seconds / (phones * _LINK)
            name = f"{phones} phones, 40 MB/s, verify {verify}"
            yield Result(name, f"{share:.1%} of {phones} links", ">= 90%", share >= 0.9)
        folder = package(Path(made), size_bytes // 4)
        run(folder, phones, "auto", unchanged="auto")  # as users have it, if they say nothing
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield Result(f"{phones} phones, peak memory with the virtual phones",
                 f"{peak / MIB:.0f} MiB", "<= 250 MiB", peak <= 250 * MIB)  # fmt: skip
