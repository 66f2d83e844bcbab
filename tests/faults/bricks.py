# SPDX-License-Identifier: BSD-3-Clause
"""The main job on a small phone, and what must be true of it whatever goes wrong."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import replace

from edl.chunks import BytesContent
from edl.device.phone import Wishes
from edl.errors import EdlError
from edl.firehose.commands import Area
from edl.plan import home
from edl.plan.job import Rules
from edl.plan.model import Erase, Patch, Plan, Write
from edl.virtual.profiles import PhoneSpec
from tests import phones
from tests.phones import Bench, carry_out, plan_of
from tests.virtual.disks import Part, write_gpt

PIECE_BYTES = 16 * 1024
SECTORS = {0: 384, 1: 64, 2: 64}
LONGEST_S = 1200  # of the phone's time, for a job whose phone stops in the middle
_PARTS = (
    Part("modemst1", 40, 47),
    Part("boot", 48, 99),
    Part("system", 100, 199),
    Part("misc", 200, 239),
    Part("userdata", 240, 300),
)
_KEPT = "modemst1"


@functools.cache
def noise(size: int, seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def small(profile: str, *faults: str) -> PhoneSpec:
    return phones.spec(profile, sectors=SECTORS, faults=faults)


class Brick:
    """A phone with a life of its own, and a package for it.

    before: what LUN 0 holds at first. after: what it must hold when the job is done.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.unit = bench.flash.sector_bytes
        self.lun = bench.flash.luns[0]
        self.lun.write(0, noise(self.lun.sectors * self.unit, 0))
        write_gpt(self.lun, _PARTS)
        self.before = self.lun.read(0, self.lun.sectors)
        self.steps = (
            self._write("modemst1", 8),
            self._write("boot", 52),
            Erase(self._area("misc", 40), "misc", "rawprogram0.xml:3"),
            self._write("system", 5),
            self._write("system", 60, skip=10),
        )
        self.patches = (Patch(0, 101, self.unit, 16, 4, 0x12345678, "", "patch0.xml:1"),)
        self.after = self._expected()

    def _area(self, name: str, sectors: int, skip: int = 0) -> Area:
        part = next(part for part in _PARTS if part.name == name)
        return Area(0, part.first + skip, sectors, self.unit)

    def _write(self, name: str, sectors: int, skip: int = 0) -> Write:
        area = self._area(name, sectors, skip)
        content = BytesContent(noise(area.size_bytes, (name, skip)))
        return Write(area, content, name, f"{name}.img", "rawprogram0.xml:1")

    def _expected(self) -> bytes:
        disk = bytearray(self.before)
        for step in self.steps:
            if step.label != _KEPT:
                first = step.area.start_sector * self.unit
                data = bytes(step.area.size_bytes)
                if isinstance(step, Write):
                    data = next(iter(step.content.chunks(0, step.area.size_bytes))).tobytes()
                disk[first : first + len(data)] = data
        for patch in self.patches:
            at = patch.sector * self.unit + patch.byte_offset
            assert isinstance(patch.value, int)
            disk[at : at + patch.size_bytes] = patch.value.to_bytes(patch.size_bytes, "little")
        return bytes(disk)

    def job(self, rules: Rules | None = None) -> None:
        """Connect, plan and write, as the command line does."""
        storage = self.bench.storage(Wishes(hints=(self.bench.flash.kind,)))
        plan: Plan = replace(plan_of(storage, *self.steps), patches=self.patches, bootable=0)
        carry_out(self.bench, plan, storage, rules)

    def outside(self) -> list[str]:
        """Return what was changed although no step names it."""
        there = self.lun.read(0, self.lun.sectors)
        areas = [step.area for step in self.steps if step.label != _KEPT]
        named = {
            sector
            for area in areas
            for sector in range(area.start_sector, area.start_sector + area.sectors)
        }
        wrong = [
            f"LUN 0 sector {sector}"
            for sector in range(self.lun.sectors)
            if sector not in named
            and there[sector * self.unit : (sector + 1) * self.unit]
            != self.before[sector * self.unit : (sector + 1) * self.unit]
        ]
        wrong += [f"LUN {change.lun}" for change in self.bench.changes if change.lun]
        return wrong

    def is_right(self) -> bool:
        """Tell whether the job is done."""
        return self.lun.read(0, self.lun.sectors) == self.after

    def saved(self) -> bool:
        """Tell whether what exists only once was saved as it was."""
        area = self._area(_KEPT, 8)
        first = area.start_sector * self.unit
        wanted = self.before[first : first + area.size_bytes]
        folder = home.phone_folder(home_name(self.bench))
        files = folder.glob(f"saved-*/lun0-{_KEPT}.bin")
        return any(path.read_bytes() == wanted for path in files)


def home_name(bench: Bench) -> str:
    return f"{bench.virtual.profile.rom.fuses.serial:08x}"


def survive(brick: Brick, job: Callable[[], None] | None = None) -> EdlError | None:
    """Run the job on a phone with faults; bring it to its end; return how it failed at first.

    Whatever happens, it ends with one of our errors or with what it should; nothing else on the
    phone is changed; and the user's way out, to enter EDL mode again and to resume, leads out.
    """
    bench, failure = brick.bench, None
    try:
        (job or brick.job)()
    except EdlError as error:
        failure = error
    assert bench.virtual_seconds < LONGEST_S
    assert brick.outside() == []
    if failure is None:
        assert brick.is_right()
        return None
    assert failure.message
    assert failure.remedies
    bench.virtual._injector.pending.clear()
    bench.enter_edl()
    brick.job(Rules(resume=True))
    assert brick.is_right()
    assert brick.saved()
    return failure
