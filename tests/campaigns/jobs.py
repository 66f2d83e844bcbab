# SPDX-License-Identifier: BSD-3-Clause
"""The jobs of the campaign: what is asked for, and how its result is judged without edl."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import dumps
from tests.campaigns.bench import Device, Disks, entries, neither, noise, places

_KEPT = set(dumps.KEPT)
UNIQUE = set(dumps.UNIQUE)


class Job(ABC):
    """One thing to do with a phone.

    device: the phone. before: what it holds at first. folder: for whatever is made.
    """

    name = ""
    variant = ""
    finished = 0  # exit status when all is done
    changes = True  # whether it changes the phone

    def __init__(self, rng: random.Random, device: Device, folder: Path) -> None:
        self.rng = rng
        self.device = device
        self.folder = folder
        self.before: Disks = {}

    @property
    def key(self) -> tuple[object, ...]:
        """What its length depends on."""
        return (self.name, self.variant, self.device.model)

    @abstractmethod
    def arguments(self, *, again: bool) -> list[str]:
        """Return the command line. again: it was interrupted."""

    @abstractmethod
    def after(self) -> Disks:
        """Return what the phone has to hold at the end."""

    def wrong(self) -> Iterator[str]:
        """Yield what is wrong once the job said that it is done."""
        now, wanted = self.device.disks(), self.after()
        for lun in now:
            if now[lun] != wanted[lun]:
                unit = self.device.model.sector_bytes
                sectors = list(neither(now[lun], wanted[lun], wanted[lun], unit))
                yield f"LUN {lun}: {len(sectors)} wrong sectors, from {sectors[0]} on"

    def wrong_between(self) -> Iterator[str]:
        """Yield what is wrong after an interruption."""
        now, wanted = self.device.disks(), self.after()
        for lun in now:
            found = list(neither(now[lun], self.before[lun], wanted[lun], self._grain))
            if found:
                yield f"LUN {lun}: {len(found)} sectors neither old nor new, from {found[0]} on"

    def left_over(self) -> Iterator[str]:
        """Yield what nobody needs any more at the end."""
        yield from ()

    @property
    def _grain(self) -> int:
        return self.device.model.sector_bytes


class Backup(Job):
    """Save the phone, or parts of it."""

    name = "backup"
    changes = False

    def __init__(self, rng: random.Random, device: Device, folder: Path) -> None:
        super().__init__(rng, device, folder)
        self.target = folder / "saved"
        self.form = rng.choice(["images", "partitions"])
        self.packed = rng.random() < 0.4
        self.options = ["--form", self.form, *(["--compress"] if self.packed else [])]
        choice = rng.random()
        if choice < 0.15:
            self.options += ["--skip", "userdata,system*"]
        elif choice < 0.25:
            self.options += ["--only", "modem*,persist"]
        if rng.random() < 0.2:
            self.options += ["--verify", "readback"]
        self.variant = " ".join(self.options)
        self.bad: tuple[int, int, int] | None = None  # ...: that cannot be read

    def arguments(self, *, again: bool) -> list[str]:
        resume = ["--resume"] if again and (self.begun or self.done) else []
        return ["backup", str(self.target), *self.options, *resume]

    @property
    def begun(self) -> bool:
        return (self.target / "manifest.json.partial").exists()

    @property
    def done(self) -> bool:
        return (self.target / "manifest.json").exists()

    def after(self) -> Disks:
        return self.before

    def wrong_between(self) -> Iterator[str]:
        yield from super().wrong_between()
        if self.done:
            yield from self.wrong()

    def wrong(self) -> Iterator[str]:
        yield from super().wrong()
        if not self.done:
            yield "there is no manifest"
            return
        manifest = json.loads((self.target / "manifest.json").read_text())
        unpacked: dict[str, bytes] = {}
        for lun in manifest["luns"]:
            yield from self._lun(lun, unpacked)

    def left_over(self) -> Iterator[str]:
        if left := [path.name for path in self.target.iterdir() if "partial" in path.name]:
            yield f"left over: {left}"

    def _lun(self, lun: dict[str, Any], unpacked: dict[str, bytes]) -> Iterator[str]:
        unit, number = self.device.model.sector_bytes, lun["lun"]
        disk, at = self.before[number], 0
        if lun["sectors"] * unit != len(disk):
            yield f"LUN {number} has another size in the manifest"
        for extent in lun["extents"]:
            start, end = extent["start_sector"], extent["start_sector"] + extent["sectors"]
            if start != at:
                yield f"LUN {number}: a hole before sector {start}"
            at = end
            if extent["state"] not in {"saved", "partly"}:
                continue
            name = extent["file"]
            if name not in unpacked:
                unpacked[name] = self._content(self.target / name)
            wanted = bytearray(disk[start * unit : end * unit])
            if self.bad and self.bad[0] == number:
                first, last = max(start, self.bad[1]), min(end, self.bad[1] + self.bad[2])
                if first < last:
                    wanted[(first - start) * unit : (last - start) * unit] = bytes(
                        (last - first) * unit
                    )
                    if extent["bad"] != [[first, last - first]]:
                        yield f"'{extent['name']}': bad is {extent['bad']}"
            offset = extent["file_offset_bytes"]
            if unpacked[name][offset : offset + len(wanted)] != wanted:
                yield f"LUN {number} '{extent['name']}' is not what the phone holds"
        if at * unit != len(disk):
            yield f"LUN {number}: the end is missing"

    def _content(self, path: Path) -> bytes:
        if not self.packed:
            return path.read_bytes()
        made = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=False)
        return made.stdout


class Restore(Job):
    """Write a dump back to where it came from, or to another phone."""

    name = "restore"

    def __init__(
        self,
        rng: random.Random,
        device: Device,
        folder: Path,
        dump: Path,
        wanted: Disks,
        *options: str,
        variant: str,
    ) -> None:
        super().__init__(rng, device, folder)
        self.dump = dump
        self.options = options
        self.wanted = wanted
        self.variant = variant
        self.resumes = rng.random() < 0.7
        self.fitted = False

    def arguments(self, *, again: bool) -> list[str]:
        resume = ["--resume"] if again and self.resumes else []
        return ["restore", str(self.dump), *self.options, "--yes", *resume]

    def after(self) -> Disks:
        return self.wanted

    def wrong(self) -> Iterator[str]:
        yield from super().wrong()
        if self.device.model.ufs and self.variant.startswith("own") and self.device.bootable != 1:
            yield f"the phone boots from LUN {self.device.bootable}, not 1"


class OtherSize(Restore):
    """Write a phone's own dump to a storage of another size. wanted: the dump's disks."""

    def after(self) -> Disks:
        raise NotImplementedError

    def wrong(self) -> Iterator[str]:
        unit = self.device.model.sector_bytes
        now = self.device.disks()
        for lun, old in self.wanted.items():
            if len(now[lun]) == len(old):
                if now[lun] != old:
                    yield f"LUN {lun} differs"
                continue
            was, first, last = (
                entries(old, unit),
                entries(now[lun], unit),
                entries(now[lun], unit, backup=True),
            )
            if first is None or first != last or was is None:
                yield f"LUN {lun}: the tables are not sound, or differ"
                continue
            yield from self._partitions(lun, now[lun], old)

    def _partitions(self, lun: int, now: bytes, old: bytes) -> Iterator[str]:
        unit = self.device.model.sector_bytes
        there, was = places(now, unit), places(old, unit)
        if list(there) != list(was):
            yield f"LUN {lun}: other partitions"
            return
        biggest = max(end for _, end in was.values())
        for name, (start, end) in was.items():
            size = min(end, there[name][1]) - start
            if there[name][0] != start or (end != biggest and there[name][1] != end):
                yield f"LUN {lun}: '{name}' lies elsewhere"
            elif now[start : start + size] != old[start : start + size]:
                yield f"LUN {lun}: '{name}' differs"
        table = 34 * 512 if unit == 512 else 6 * unit
        grown = max(end for _, end in there.values())
        if grown > len(now) - table + unit or grown < len(now) - table - 1024 * 1024:
            yield f"LUN {lun}: the last partition ends at {grown}"

    def wrong_between(self) -> Iterator[str]:
        yield from ()


class Repair(Job):
    """Mend a partition table."""

    name = "gpt repair"

    def __init__(self, rng: random.Random, device: Device, folder: Path) -> None:
        super().__init__(rng, device, folder)
        self.wanted = device.disks()
        unit = device.model.sector_bytes
        for lun in device.model.layouts:
            size = len(self.wanted[lun])
            spot = rng.choice([unit, 2 * unit + 60, size - unit, size - 20 * unit // 10])
            device.put(lun, spot + rng.randrange(8, 80), noise(rng, 4))

    def arguments(self, *, again: bool) -> list[str]:
        return ["gpt", "repair", "--yes"]

    def after(self) -> Disks:
        return self.wanted


class Slot(Job):
    """Start the other slot."""

    name = "slot"

    def arguments(self, *, again: bool) -> list[str]:
        return ["slot", "b", "--yes"]

    def after(self) -> Disks:
        return self.before

    def wrong(self) -> Iterator[str]:
        yield from self._outside()
        unit = self.device.model.sector_bytes
        for lun in self.device.model.layouts:
            now, was = self.device.disks()[lun], self.before[lun]
            first, last = entries(now, unit), entries(now, unit, backup=True)
            if first is None or first != last:
                yield f"LUN {lun}: the tables are not sound, or differ"
                continue
            for old, new in zip(entries(was, unit) or [], first, strict=True):
                same = (old.name, old.first, old.last, old.guid)
                if same != (new.name, new.first, new.last, new.guid):
                    yield f"LUN {lun}: '{old.name}' is another partition"
                if new.name.startswith("boot_"):
                    active = bool(new.attributes >> 50 & 1)
                    if active != new.name.endswith("_b"):
                        yield f"'{new.name}' is {'' if active else 'not '}active"
        if self.device.model.ufs and self.device.bootable != 2:
            yield f"the phone boots from LUN {self.device.bootable}, not 2"

    def wrong_between(self) -> Iterator[str]:
        yield from self._outside()

    def _outside(self) -> Iterator[str]:
        """Yield what changed that is no table."""
        unit = self.device.model.sector_bytes
        for lun, now in self.device.disks().items():
            was = self.before[lun]
            low, high = 2 * unit + 16384, len(now) - 16384 - unit
            if lun not in self.device.model.layouts:
                low, high = 0, len(now)
            if now[low:high] != was[low:high]:
                yield f"LUN {lun} changed outside its tables"


def common_of(device: Device, other: Disks) -> Disks:
    """Return what device holds when the common partitions of other have been written to it."""
    unit, result = device.model.sector_bytes, device.disks()
    for lun in device.model.layouts:
        disk, theirs = bytearray(result[lun]), places(other[lun], unit)
        for name, (start, end) in places(bytes(disk), unit).items():
            if name not in _KEPT and name in theirs:
                source = other[lun][slice(*theirs[name])]
                size = min(end - start, len(source))
                disk[start : start + size] = source[:size]
        result[lun] = bytes(disk)
    return result


def spoil(rng: random.Random, device: Device, *, unique: bool, tables: bool) -> None:
    """Do damage to a phone: partitions are blanked or overwritten, tables broken."""
    unit = device.model.sector_bytes
    disks = device.disks()
    for lun in device.model.layouts:
        for name, (start, end) in places(disks[lun], unit).items():
            if (name in _KEPT and not unique) or rng.random() < 0.5:
                continue
            size = min(end - start, 65536)
            device.put(lun, start, bytes(size) if rng.random() < 0.3 else noise(rng, size))
        if tables and rng.random() < 0.5:
            device.put(lun, unit, bytes(unit))
        if tables and rng.random() < 0.4:
            device.put(lun, len(disks[lun]) - unit, noise(rng, unit))


def image_of(rng: random.Random, disk: bytes, folder: Path) -> Path:
    """Write the dump of a LUN as people have them: raw or compressed."""
    path = folder / "dump.img"
    match rng.choice(["raw", "gz", "zst"]):
        case "gz":
            path = path.with_suffix(".img.gz")
            path.write_bytes(gzip.compress(disk, 1))
        case "zst":
            path.write_bytes(disk)
            subprocess.run(["zstd", "-q", "-1", "--rm", str(path)], check=True)
            path = path.with_suffix(".img.zst")
        case _:
            path.write_bytes(disk)
    return path
