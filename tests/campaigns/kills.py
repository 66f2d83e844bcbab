# SPDX-License-Identifier: BSD-3-Clause
"""Hosts that are killed while they write a package, and `edl resume`: see docs/reliability.md.

    python -m tests.campaigns.kills --kills 200 --seed 1

The phone is in a process of its own, behind a pty, and stays as it is when the host dies: also in
the middle of a <program>, where it takes everything for data. Each case follows from the seed and
its number alone, but for how much of the last transfer the phone has got; `--only NUMBER` repeats
one.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edl.virtual.phone import Phone
from edl.virtual.serve import serve_pty
from tests.campaigns.bench import PROFILES, Device, Disks, Model, noise, places
from tests.campaigns.running import Ended, Moment, Signals, Spot, edl, load_all
from tests.conftest import REPO
from tests.virtual.handmade import LOADERS

MIB = 8  # of the phones
_SERIAL = 0x1A2B3C4D
_MOMENTS = [Moment.BYTES] * 6 + [Moment.NOTES] * 3 + [Moment.FILES]
_IMAGES = ("modem", "sbl1", "sbl1bak", "aboot", "boot", "system", "boot_a", "tz_a", "xbl_a")
_NO_JOB = "No interrupted job of"
_WAIT_S = 20.0


@dataclass
class Tally:
    """What was tried. kinds: of moments that a kill struck at. keys: only those helped then."""

    cases: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    late: int = 0
    entered: int = 0
    owed: int = 0
    keys: int = 0
    runs: int = 0
    slowest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How often a host was killed."""
        return sum(self.kinds.values())

    def report(self, seconds: float) -> str:
        """Return the result in words."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items()))
        commands = ", ".join(f"{name} {count}" for name, count in sorted(self.commands.items()))
        return "\n".join(
            [
                f"{self.kills} kills in {self.cases} cases, {self.runs} runs of edl,"
                f" {seconds:.0f} s; the longest took {self.slowest_s:.1f} s",
                f"moments: {kinds}; came too late: {self.late}",
                f"killed were: {commands}",
                f"EDL mode entered again between: {self.entered}; owed bytes delivered:"
                f" {self.owed}; only the keys helped: {self.keys}",
                f"failures: {len(self.failures)}",
            ]
        )


@dataclass(frozen=True)
class Setup:
    """A kind of phone with a package for it. wanted: what it holds when that is written."""

    device: Device
    package: Path
    wanted: Disks
    areas: list[tuple[int, int, int]]  # LUN, first byte, end of what is written


def make_setup(folder: Path, profile: str) -> Setup:
    """Make a phone with a life behind it, and a package."""
    model = Model(profile, MIB)
    device = Device.make(folder / profile, model, _SERIAL, "a", "v1")
    package = folder / f"{profile}-package"
    package.mkdir()
    rng, unit, wanted, areas, rows = random.Random(profile), model.sector_bytes, {}, [], []
    for lun, disk in device.disks().items():
        new = bytearray(disk)
        there = places(disk, unit) if lun in model.layouts else {}
        for name in [name for name in _IMAGES if name in there]:
            start, end = there[name]
            data = noise(rng, end - start - 3 * unit)
            (package / f"{name}.img").write_bytes(data)
            new[start : start + len(data)] = data
            areas.append((lun, start, start + len(data)))
            rows.append(
                f'<program SECTOR_SIZE_IN_BYTES="{unit}" filename="{name}.img" label="{name}"'
                f' num_partition_sectors="{(end - start) // unit}" start_sector="{start // unit}"'
                f' physical_partition_number="{lun}" file_sector_offset="0" sparse="false"/>'
            )
        wanted[lun] = bytes(new)
    (package / "rawprogram0.xml").write_text(f"<?xml version='1.0'?><data>{''.join(rows)}</data>")
    shutil.copy(REPO / "loaders" / LOADERS[profile.removesuffix("-ufs")], package)
    return Setup(device, package, wanted, areas)


class Served:
    """A phone in a process of its own, at a serial port."""

    def __init__(self, device: Device, port: Path) -> None:
        self.device = device
        self.port = port
        self._pid = 0

    def start(self) -> None:
        """Plug it in."""
        self._pid = os.fork()
        if not self._pid:
            status = 1
            try:
                stop = threading.Event()
                signal.signal(signal.SIGTERM, lambda *_: stop.set())
                with Phone.open(self.device.folder) as phone:
                    serve_pty(phone, lambda _: None, stop, link=self.port)
                status = 0
            except BaseException:  # noqa: BLE001  # a bug of the phone, to be shown
                traceback.print_exc()
            finally:
                os._exit(status)
        deadline = time.monotonic() + _WAIT_S
        while not self.port.exists() and time.monotonic() < deadline:
            time.sleep(0.005)

    def stop(self) -> None:
        """Unplug it, and keep what it holds."""
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            _, status = os.waitpid(self._pid, 0)
            self._pid = 0
            if status:
                raise RuntimeError(f"the phone's process ended with {status}")

    def enter_edl(self) -> None:
        """Hold its keys."""
        self.stop()
        self.device.enter_edl()
        self.start()


class Case:
    """A package that is written by hosts that are killed, until one lives."""

    def __init__(self, campaign: Campaign, number: int, profile: str = "") -> None:
        self.campaign = campaign
        self.rng = random.Random(f"{campaign.seed}/{number}")
        self.folder = campaign.folder / f"case-{number}"
        self.folder.mkdir()
        self.where = Spot(self.folder, self.folder / "home")
        self.setup = campaign.setup(profile or self.rng.choice(PROFILES))
        device = self.setup.device.copy(self.folder / "device")
        self.phone = Served(device, self.folder / "port")
        self.before = device.disks()
        self.problems: list[str] = []
        self.log: list[str] = []

    def run(self) -> None:
        """Kill one to three hosts, then let one live."""
        self.phone.start()
        try:
            self._run()
        finally:
            self.phone.stop()

    def _run(self) -> None:
        line = self._first()
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            if self._killed(line):
                self._judge("said to be done, but ", self._wrong())
                return
            if self.rng.random() < 0.35:
                self.campaign.tally.entered += 1
                self.phone.stop()
                self._judge("after a kill: ", self._outside())
                self.phone.enter_edl()
            line = self._next()
        self._to_the_end(line)

    def attempt(self) -> Ended:
        """Write the package undisturbed."""
        self.phone.start()
        ended = self._edl(*self._first())
        self.phone.stop()
        if ended.status or list(self._wrong()):
            raise RuntimeError(f"undisturbed: {ended.out} {ended.err} {list(self._wrong())}")
        return ended

    def _first(self, *options: str) -> list[str]:
        return ["rawprogram", str(self.setup.package), "--no-reset", "--max-payload", "64KiB",
                *self.campaign.options, *options]  # fmt: skip

    def _next(self) -> list[str]:
        return ["resume"] if self.rng.random() < 0.7 else self._first("--resume")

    def _edl(self, *arguments: str, signals: Signals | None = None) -> Ended:
        ended = edl(self.where, "--port", self.phone.port, "--json", *arguments, signals=signals)
        tally = self.campaign.tally
        tally.runs += 1
        tally.slowest_s = max(tally.slowest_s, ended.seconds)
        tally.owed += '"name": "owed"' in ended.out
        self.log += [
            f"$ edl {' '.join(arguments)}",
            ended.out,
            ended.err,
            f"[{ended.status}] {signals}",
        ]
        if ended.hung:
            self.problems.append("it hangs")
        if "Traceback" in ended.out + ended.err or ended.status in {1, 99}:
            self.problems.append("a bug was reported")
        return ended

    def _killed(self, line: list[str]) -> bool:
        """Run a command and kill it; return whether it was done before that."""
        tally, total = self.campaign.tally, self.campaign.total(self.setup)
        moment = self.rng.choice(_MOMENTS)
        reach = {
            Moment.BYTES: total.moved_bytes, Moment.NOTES: total.notes,
            Moment.FILES: total.file_events,
        }[moment]  # fmt: skip
        at = 1 + self.rng.random() * (reach - 1)
        at = at if moment is Moment.NOTES and self.rng.random() < 0.5 else int(at)
        ended = self._edl(*line, signals=Signals((signal.SIGKILL,), moment, (at,)))
        if ended.status is None:
            tally.kinds[moment] += 1
            tally.commands["resume" if line[0] == "resume" else "--resume" if "--resume" in line
                           else "rawprogram"] += 1  # fmt: skip
            return False
        tally.late += 1
        told = ended.status == 2 and _NO_JOB in ended.out
        if ended.status and not (told or self._needs_keys(ended)):
            self.problems.append(f"status {ended.status} of {line[0]}: {ended.out[-300:]}")
        return ended.status == 0

    def _to_the_end(self, line: list[str]) -> None:
        ended = self._edl(*line)
        if self._needs_keys(ended):
            self.campaign.tally.keys += 1
            self.phone.enter_edl()
            ended = self._edl(*line)
        if ended.status == 2 and line == ["resume"] and _NO_JOB in ended.out:
            if self._journals():
                self.problems.append("a job is not known, but its journal is there")
            ended = self._edl(*self._first())  # it was killed before its journal was begun
        if ended.status != 0:
            self.problems.append(f"the end has status {ended.status}: {ended.out[-300:]}")
            return
        self._judge("at the end: ", self._told(ended))
        self._judge("at the end: ", self._wrong())

    @staticmethod
    def _needs_keys(ended: Ended) -> bool:
        """Tell whether the phone must enter EDL mode again, and the run said so."""
        return ended.status in {4, 9} and "nter EDL mode again" in ended.out.splitlines()[-1]

    def _told(self, ended: Ended) -> Iterator[str]:
        """Yield what is wrong with what the last run said."""
        last = ended.last
        states = {part["state"] for part in last["parts"]}
        if not states <= {"written", "resumed", "unchanged"}:
            yield f"parts are {states}"
        size = sum(end - start for _, start, end in self.setup.areas)
        if last["verified_bytes"] != size:
            yield f"{last['verified_bytes']} of {size} bytes are verified"

    def _wrong(self) -> Iterator[str]:
        """Yield what is wrong once a run said that it is done."""
        self.phone.stop()
        now, unit = self.phone.device.disks(), self.setup.device.model.sector_bytes
        for lun, wanted in self.setup.wanted.items():
            if now[lun] != wanted:
                bad = [at for at in range(0, len(wanted), unit)
                       if now[lun][at : at + unit] != wanted[at : at + unit]]  # fmt: skip
                yield f"LUN {lun}: {len(bad)} wrong sectors, from {bad[0] // unit} on"
        if self._journals():
            yield f"journals are left: {self._journals()}"

    def _outside(self) -> Iterator[str]:
        """Yield what has changed although the package does not name it."""
        now = self.phone.device.disks()
        for lun, disk in self.before.items():
            masked, was = bytearray(now[lun]), bytearray(disk)
            for where, start, end in self.setup.areas:
                if where == lun:
                    masked[start:end] = was[start:end]
            if masked != was:
                yield f"LUN {lun} has changed outside the package"

    def _journals(self) -> list[str]:
        """Return the journals of jobs that have not ended, and have begun."""
        paths = self.where.home.glob("phones/*/jobs/*.jsonl")
        return [str(path) for path in paths if b"\n" in path.read_bytes()]

    def _judge(self, when: str, found: Iterator[str]) -> None:
        self.problems += [when + text for text in found]


class Campaign:
    """Cases of a seed. options: more of them for each rawprogram."""

    def __init__(self, folder: Path, seed: int, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.seed = seed
        self.options = options
        self.tally = Tally()
        self._setups: dict[str, Setup] = {}
        self._totals: dict[str, Ended] = {}

    def setup(self, profile: str) -> Setup:
        """Return a kind of phone, made once."""
        if profile not in self._setups:
            self._setups[profile] = make_setup(self.folder, profile)
        return self._setups[profile]

    def total(self, setup: Setup) -> Ended:
        """Return how an undisturbed run ends; the first time that is tried."""
        profile = setup.device.model.profile
        if profile not in self._totals:
            twins = Campaign(self.folder / "twins", self.seed, self.options)
            twins.folder.mkdir(exist_ok=True)
            twins._setups[profile] = setup
            twin = Case(twins, len(self._totals), profile)
            self._totals[profile] = twin.attempt()
            shutil.rmtree(twin.folder)
        return self._totals[profile]

    def run(self, numbers: Iterator[int], kills: int) -> None:
        """Run cases until so many hosts were killed."""
        for number in numbers:
            case = Case(self, number)
            case.run()
            self.tally.cases += 1
            if case.problems:
                self.tally.failures.append(f"case {number}: {'; '.join(case.problems)}")
                (case.folder / "log.txt").write_text("\n".join(case.log))
                _say(f"case {number} ({case.setup.device.model}): {'; '.join(case.problems)}")
            else:
                shutil.rmtree(case.folder)
            if self.tally.kills >= kills:
                return


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="repeat this case")
    options = parser.parse_args()
    shared = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a folder of its own there
    start = time.monotonic()
    load_all()
    folder = Path(tempfile.mkdtemp(prefix="edl-kills-", dir=shared if shared.is_dir() else None))
    campaign = Campaign(folder, options.seed)
    numbers = iter(range(10**6)) if options.only is None else iter([options.only])
    campaign.run(numbers, options.kills)
    _say(campaign.tally.report(time.monotonic() - start))
    if campaign.tally.failures:
        _say(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if campaign.tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
