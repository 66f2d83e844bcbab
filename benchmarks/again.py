# SPDX-License-Identifier: BSD-3-Clause
"""What need not move: flashing again what is there, and backups of what has not changed."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from benchmarks.bench import PATTERN, PatternLun, Result, Rig, rig
from benchmarks.jobs import write_of
from edl.backup.earlier import Earlier
from edl.backup.folder import open_backup
from edl.backup.save import Report, Request, prepare, save
from edl.device.storage import Storage
from edl.plan.execute import Executor
from edl.plan.model import Geometry, Plan
from edl.plan.unchanged import Finder, Unchanged
from edl.units import GIB, KIB, MIB

_UNIT = 512
_OTHER = bytes(value ^ 0xFF for value in PATTERN[:_UNIT])
RATES = "link=40MB/s,flash-write=60MB/s,flash-read=200MB/s,flash-hash=400MB/s"
_USB3 = "usb3=yes,link=400MB/s,flash-write=150MB/s,flash-read=600MB/s,flash-hash=400MB/s"


class OldLun(PatternLun):
    """Holds PATTERN but for `other` units of 512 bytes, and takes nothing but PATTERN."""

    other: set[int]
    _known: dict[tuple[int, int], bytes]

    def read(self, start: int, count: int) -> bytes:
        """Return what is there."""
        data = super().read(start, count)
        there = self._others(start, count)
        if not there:
            return data
        made, first = bytearray(data), start * self.sector_bytes
        for unit in there:
            made[unit * _UNIT - first : (unit + 1) * _UNIT - first] = _OTHER
        return bytes(made)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Compare data with the pattern; it is there from now on."""
        super().write(start, data)
        self.other.difference_update(self._others(start, len(data) // self.sector_bytes))

    def digest(self, start: int, count: int) -> bytes:
        """Return the digest; of the pattern alone it is made once."""
        if self._others(start, count):
            return hashlib.sha256(self.read(start, count)).digest()
        key = start * self.sector_bytes % MIB, count
        if key not in self._known:
            self._known[key] = super().digest(start, count)
        return self._known[key]

    def _others(self, start: int, count: int) -> list[int]:
        begin, end = start * self.sector_bytes, (start + count) * self.sector_bytes
        units = range(-(-begin // _UNIT), end // _UNIT)
        if len(units) > len(self.other):
            return [unit for unit in self.other if unit in units]
        return [unit for unit in units if unit in self.other]


@dataclass(frozen=True)
class PatternContent:
    """size_bytes of PATTERN, over and over."""

    size_bytes: int

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        while length:
            at = offset % MIB
            count = min(MIB - at, length)
            yield memoryview(PATTERN)[at : at + count]
            offset, length = offset + count, length - count


@contextmanager
def modelled(phone: Rig) -> Iterator[None]:
    """Let the job measure its rates by the phone's clock."""
    clock = SimpleNamespace(monotonic=lambda: phone.now_s)
    defaults = {**(Finder.__init__.__kwdefaults__ or {}), "clock": clock.monotonic}
    with (
        mock.patch("edl.plan.execute.time", clock),
        mock.patch("edl.backup.reader.time", clock),
        mock.patch.object(Finder.__init__, "__kwdefaults__", defaults),
    ):
        yield


def _old(phone: Rig, other: set[int]) -> OldLun:
    before = phone.virtual.storage.luns[0]
    lun = OldLun(before.sectors, before.sector_bytes)
    lun.other, lun._known = set(other), {}
    phone.virtual.storage.luns[0] = lun
    return lun


def _flash(spec: str, size: int, other: set[int], how: Unchanged) -> tuple[float, float]:
    """Write size bytes where other units differ; return the share that was sent, and the time."""
    with rig(spec) as phone, modelled(phone):
        lun = _old(phone, other)
        geometry = Geometry(phone.phone.programmer.memory, lun.sector_bytes, {0: lun.sectors})
        steps = (write_of(phone, 0, PatternContent(size), "system"),)
        begin = phone.now_s
        plan = Plan("rawprogram", "benchmark", geometry, steps)
        report = Executor(phone.phone.programmer, plan, unchanged=how).run()
        if lun.other or report.verified_bytes != size or report.written_bytes != lun.taken_bytes:
            raise RuntimeError("the phone does not hold what it should")
        return lun.taken_bytes / size, phone.now_s - begin


def _stretches(size: int, share: float, stretch: int) -> set[int]:
    """Return that share of the units of size bytes, in stretches anywhere."""
    places = random.Random(3).sample(range(size // stretch), round(size * share / stretch))
    width = stretch // _UNIT
    return {place * width + unit for place in places for unit in range(width)}


def again(size: int = 8 * GIB) -> Iterator[Result]:
    """Yield what flashing again sends, and how long it takes beside a plain write."""
    for how in (Unchanged.SKIP, Unchanged.AUTO):
        share, _ = _flash(f"sdm660,{RATES}", size, set(), how)
        name = f"flashing again what is there, {size // GIB} GiB, --unchanged {how}"
        yield Result(name, f"{share:.2%} sent", "<= 1 %", share <= 0.01)
    small = min(size, 256 * MIB)
    for how in (Unchanged.SKIP, Unchanged.AUTO):
        for stretch in (64 * KIB, 512 * KIB, 4 * MIB):
            share, _ = _flash(f"sdm660,{RATES}", small, _stretches(small, 0.02, stretch), how)
            name = f"2 % changed in stretches of {stretch // KIB} KiB, --unchanged {how}"
            yield Result(name, f"{share:.2%} sent", "<= 4 %", share <= 0.04)
    for title, rates in (("40 MB/s", RATES), ("400 MB/s", _USB3)):
        spec = f"sdm660,{rates}"
        _, plain = _flash(spec, small, set(), Unchanged.WRITE)
        cases: tuple[tuple[str, float, int, float], ...] = (
            ("everything different", 1, MIB, 1.05),
            ("every second 64 KiB equal", 0.5, 64 * KIB, 1.05),
            ("half equal, in 32 MiB", 0.5, 32 * MIB, 1.05),
        )
        for what, part, stretch, most in cases:
            other = _stretches(small, part, stretch)
            share, seconds = _flash(spec, small, other, Unchanged.AUTO)
            text = f"{seconds / plain:.3f} of a plain write, {share:.0%} sent"
            yield Result(f"{what}, {title}", text, f"<= {most}", seconds / plain <= most)


def _backup(phone: Rig, folder: Path, earlier: Earlier | None = None) -> Report:
    storage = Storage(phone.phone)
    request = Request(folder, earlier=earlier)
    return save(storage, request, prepare(storage, request))


def _fill(phone: Rig, size: int, used: float) -> Callable[[float], None]:
    """Put noise on that part of the flash; return what changes a part of that."""
    lun, noise = phone.virtual.storage.luns[0], random.Random(5)
    unit = lun.sector_bytes
    places = sorted(noise.sample(range(size // (16 * MIB)), round(size * used / (16 * MIB))))
    for place in places:
        for at in range(16):
            lun.write((place * 16 + at) * MIB // unit, noise.randbytes(MIB))

    def change(share: float) -> None:
        count = round(len(places) * 16 * MIB * share / (512 * KIB))
        for number in noise.sample(range(len(places) * 32), count):
            at = places[number // 32] * 16 * MIB + number % 32 * 512 * KIB
            lun.write(at // unit, noise.randbytes(512 * KIB))

    return change


def backups(size: int = 2 * GIB) -> Iterator[Result]:
    """Yield what backups move: of a phone that is 30 % used, and again when 2 % have changed."""
    with (
        tempfile.TemporaryDirectory() as place,
        rig(f"sdm660,size={size // GIB}GiB,{RATES}", pattern=False) as phone,
        modelled(phone),
    ):
        folder, wire = Path(place), phone.virtual.wire
        assert wire is not None
        change = _fill(phone, size, 0.3)
        before = wire.data_bytes
        _backup(phone, folder / "one")
        used = round(size * 0.3 / (16 * MIB)) * 16 * MIB
        ratio = (wire.data_bytes - before) / used
        text = f"{ratio:.4f} of the used bytes on the link"
        yield Result(f"backup of {size // GIB} GiB, 30 % used", text, "<= 1.05", ratio <= 1.05)
        change(0.02)
        before = wire.data_bytes
        _backup(phone, folder / "two", earlier=Earlier(open_backup(folder / "one")))
        share = (wire.data_bytes - before) / used
        _backup(phone, folder / "full")
        for path in (folder / "full").glob("*.img"):
            with path.open("rb") as full, (folder / "two" / path.name).open("rb") as two:
                while data := full.read(MIB):
                    if two.read(MIB) != data:
                        raise RuntimeError("it is not the same as a full backup")
        yield Result(
            "incremental backup, 2 % changed", f"{share:.2%} read", "<= 4 %", share <= 0.04
        )
