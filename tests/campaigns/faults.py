# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of fault at every transfer of a job: see docs/reliability.md.

python -m tests.campaigns.faults                          # all of it
python -m tests.campaigns.faults --sample 500             # so many cases, spread evenly
python -m tests.campaigns.faults --only 1234              # one again; its folder is kept
python -m tests.campaigns.faults --only "restore sdm660 unplug@in-transfer:12"
"""

from __future__ import annotations

import argparse
import itertools
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from edl.virtual.faults import Fault, Kind
from tests.campaigns import claims, faultlist
from tests.campaigns.bench import PROFILES
from tests.campaigns.inside import Ran, no_waiting
from tests.campaigns.jobs import Backup
from tests.campaigns.scene import JOBS, Scene
from tests.campaigns.tiny import WriteBack, WritePackage

_REFUSED = 6  # exit status
# of these faults other data than meant gets to the phone; the job has to notice that
_SOURCES = {Kind.SOURCE_CHANGED, Kind.SOURCE_CUT}
_OTHER_DATA = {*_SOURCES, Kind.CORRUPT, Kind.SWALLOW}
_BATCH, _TOLD = 24, 20  # cases; batches
_LOGGED = 8  # each so many cases is run with its log in full, which takes a fifth of the time


@dataclass
class Case:
    """A fault in a job, and what came of it.

    ended: code of the error that the fault led to, empty if the job ended right in spite of it.
    """

    number: int
    scene: Scene
    fault: Fault
    problems: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    ended: str = ""
    struck: bool = False
    step_s: float = 0.0
    runs: int = 0

    def __str__(self) -> str:
        return f"{self.scene.name} {self.fault}"

    def run(self, folder: Path) -> None:
        """Let the fault strike, and bring the job to its end."""
        self._folder = folder
        self._home = folder / "home"
        self._job = self.scene.make(folder)
        device = self._job.device
        ran = self.scene.run(self._job, self._home, again=False, fault=self.fault)
        self._ran(ran)
        self.struck = ran.struck
        if self.problems:
            return
        if self._job.changes and not ran.killed:
            now = device.disks()
            self._note("called done: ", claims.false(ran, now, self._job.after(), self._unit))
        if ran.status == 0:
            astray = self._is_astray(ran)
            self._note("said to be done, but ", self._beside() if astray else self._job.wrong())
            return
        self.ended = "killed" if ran.killed else ran.lines[-1]["code"]
        if self._is_partial(ran):
            shutil.rmtree(folder / "saved")
        self._note(f"after {self.ended}: ", self._between())
        if not ran.killed or self.number % 3:
            device.enter_edl()
        self._to_the_end()

    def _between(self) -> Iterator[str]:
        """Yield what is wrong after the error."""
        job = self._job
        if self.fault.kind not in _OTHER_DATA or isinstance(job, Backup):
            yield from job.wrong_between()
            return
        assert isinstance(job, WritePackage | WriteBack)
        now, was = job.device.disks(), {lun: bytearray(d) for lun, d in job.before.items()}
        for lun, start, end in self._reached(job):
            was[lun][start:end] = now[lun][start:end]
        yield from (f"LUN {lun} changed beside the plan" for lun in now if now[lun] != was[lun])

    def _reached(self, job: WritePackage | WriteBack) -> list[tuple[int, int, int]]:
        """Return where other data than meant may have come to lie: LUN, first byte and end.

        A backup that changes while it is written back may change what exists only once as well.
        That was saved first, and the end of the job puts it right.
        """
        if isinstance(job, WriteBack) and self.fault.kind in _SOURCES:
            return [(lun, 0, len(disk)) for lun, disk in job.before.items()]
        return job.extents

    def _is_astray(self, ran: Ran) -> bool:
        """Tell whether a bit in a command's address sent data to another place, and edl saw it.

        No answer of a programmer names the place, so only what is missing where it belongs tells:
        the job says that it wrote this again. What lies where it went to, nobody can know. (USB
        protects each packet by a checksum; this fault is one that got through.)
        """
        if self.fault.kind is not Kind.CORRUPT or not self._job.changes:
            return False
        result = next((line for line in ran.lines if line["type"] == "result"), None)
        return bool(result and result["rewritten"]) and any(self._job.wrong())

    def _beside(self) -> Iterator[str]:
        """Yield what is wrong within the plan's areas."""
        job = self._job
        assert isinstance(job, WritePackage | WriteBack)
        now, wanted = job.device.disks(), job.after()
        for lun, start, end in job.extents:
            if now[lun][start:end] != wanted[lun][start:end]:
                yield f"LUN {lun} is wrong from byte {start} on"

    def _is_partial(self, ran: Ran) -> bool:
        """Tell whether this is a backup that is complete but for what the phone did not give.

        It says so itself, with an error; there is nothing to resume, and only a new one is better.
        """
        job = self._job
        if not (isinstance(job, Backup) and job.done and ran.status == _REFUSED):
            return False
        result = next((line for line in ran.lines if line["type"] == "result"), None)
        if result is None or not result["lost"]:
            self.problems.append("a backup is called partial, and nothing is lost")
        return True

    @property
    def _unit(self) -> int:
        return self.scene.model.sector_bytes

    def _to_the_end(self) -> None:
        """Do what the user is told: resume, or the same command; that has to do."""
        ran = self._go_on()
        if ran.status == 4:  # after it was killed: now the keys are held
            self._job.device.enter_edl()
            ran = self._go_on()
        if isinstance(self._job, Backup) and self._job.done and ran.status == 2:
            pass  # it was whole already
        elif ran.status != 0:
            self.problems.append(f"goes on with status {ran.status}: {ran.out.splitlines()[-1:]}")
            return
        self._note("at the end: ", self._job.wrong())
        self._note("at the end: ", self._job.left_over())

    def _go_on(self) -> Ran:
        ran = None
        if self._job.changes and self.number % 2:
            ran = self._ran(self.scene.edl(self._job.device, self._home, "resume"), resume=True)
        if ran is None or ran.status == 2:  # no job had begun
            ran = self._ran(self.scene.run(self._job, self._home, again=True))
        return ran

    def _ran(self, ran: Ran, *, resume: bool = False) -> Ran:
        self.runs += 1
        self.step_s = max(self.step_s, ran.step_s)
        self.log += [f"$ edl {' '.join(ran.arguments)}", ran.out, ran.err, f"[{ran.status}]"]
        self._note("resume: " if resume else "", claims.odd(ran))
        return ran

    def _note(self, when: str, found: Iterator[str]) -> None:
        self.problems += [when + text for text in found]


@dataclass
class Tally:
    """What a campaign has come to. cases, struck: by job and kind. ends: by code."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: int = 0
    right: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    step_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Take a case in."""
        self.cases[case.scene.name.split()[0], case.fault.kind] += 1
        self.struck += case.struck
        self.runs += case.runs
        self.step_s = max(self.step_s, case.step_s)
        if case.ended:
            self.ends[case.ended] += 1
        else:
            self.right += 1
        if case.problems:
            self.failures.append(f"{case.number} ({case}): {'; '.join(case.problems)}")

    def merge(self, other: Tally) -> None:
        """Take in what another process has come to."""
        self.cases += other.cases
        self.struck += other.struck
        self.right += other.right
        self.ends += other.ends
        self.runs += other.runs
        self.step_s = max(self.step_s, other.step_s)
        self.failures += other.failures

    def report(self, seconds: float) -> str:
        """Return it in words."""
        total = sum(self.cases.values())
        rows = [
            f"{total} cases, {self.runs} runs of edl, {seconds:.0f} s;"
            f" longest silence {self.step_s:.0f} s of the phone's time",
            f"struck: {self.struck}; right at once: {self.right}; failures: {len(self.failures)}",
            "ends: " + ", ".join(f"{code} {count}" for code, count in self.ends.most_common()),
            "| kind | " + " | ".join(JOBS) + " |",
            "|---" * (len(JOBS) + 1) + "|",
        ]
        table: dict[str, dict[str, int]] = defaultdict(dict)
        for (job, kind), count in self.cases.items():
            table[kind][job] = count
        for kind, counts in table.items():
            cells = " | ".join(str(counts.get(job, 0)) for job in JOBS)
            rows.append(f"| `{kind}` | {cells} |")
        return "\n".join(rows)


class Campaign:
    """All cases, in a folder of their own."""

    def __init__(self, folder: Path, jobs: Sequence[str], profiles: Sequence[str]) -> None:
        self.folder = folder
        self.cases: list[tuple[Scene, Fault]] = []
        seen: dict[bytes, bytes] = {}
        logging.disable(logging.DEBUG)
        with no_waiting():
            for job in jobs:
                for profile in profiles:
                    scene = Scene(folder, job, profile)
                    scene.share(seen)
                    found = faultlist.faults(scene.traffic())
                    self.cases += [(scene, fault) for fault in found]

    def numbers(self, sample: int | None = None, kinds: Sequence[str] = ()) -> list[int]:
        """Return the numbers of all cases of these kinds, or of a sample, spread evenly."""
        found = [
            number
            for number, (_, fault) in enumerate(self.cases)
            if not kinds or fault.kind in kinds
        ]
        if sample is None or sample >= len(found):
            return found
        return [found[index * len(found) // sample] for index in range(sample)]

    def number(self, text: str) -> int:
        """Return the number of the case that text names.

        Raises:
            ValueError: there is none.
        """
        if text.isdigit() and int(text) < len(self.cases):
            return int(text)
        return [f"{scene.name} {fault}" for scene, fault in self.cases].index(text)

    def run(self, numbers: Sequence[int], *, keep: bool = False) -> Tally:
        """Run these cases and say what goes wrong."""
        tally = Tally()
        with no_waiting():
            for number in numbers:
                tally.add(self._case(number, keep=keep))
        return tally

    def _case(self, number: int, *, keep: bool) -> Case:
        case = Case(number, *self.cases[number])
        logging.disable(logging.DEBUG if number % _LOGGED else logging.NOTSET)
        folder = self.folder / f"case-{number}"
        folder.mkdir()
        case.run(folder)
        if case.problems or keep:
            (folder / "log.txt").write_text("\n".join(case.log))
            _say(f"{number} ({case}): {'; '.join(case.problems) or case.ended or 'right'}")
        else:
            shutil.rmtree(folder)
        return case

    def run_all(self, numbers: Sequence[int], workers: int, minutes: float | None = None) -> Tally:
        """Run these cases in several processes. minutes: after so many, no more are begun.

        Each batch is spread over all of them, so that a run that ends early has seen some of all.
        """
        tally, count = Tally(), -(-len(numbers) // _BATCH)
        batches = [numbers[first::count] for first in range(count)]
        end = time.monotonic() + 60 * minutes if minutes else float("inf")
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for done, part in enumerate(pool.map(self._batch, batches, itertools.repeat(end)), 1):
                tally.merge(part)
                if not done % _TOLD:
                    _say(f"... {done} of {count} batches, failures: {len(tally.failures)}")
        return tally

    def _batch(self, numbers: Sequence[int], end: float) -> Tally:
        return self.run(numbers) if time.monotonic() < end else Tally()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, metavar="CASES")
    parser.add_argument("--only", metavar="NUMBER|DESCRIPTION", help="repeat this case")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=PROFILES)
    parser.add_argument("--kinds", nargs="+", metavar="KIND", default=())
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin no more cases after so many")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    shared = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a folder of its own there
    place = shared if shared.is_dir() else None
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="edl-faults-", dir=place))
    campaign = Campaign(folder, options.jobs, options.profiles)
    alone = options.only is not None
    if alone:
        tally = campaign.run([campaign.number(options.only)], keep=True)
    else:
        numbers = campaign.numbers(options.sample, options.kinds)
        tally = campaign.run_all(numbers, options.workers, options.minutes)
    used = sum(os.times()[:4])
    _say(tally.report(time.monotonic() - start))
    _say(f"processor time: {used:.0f} s")
    if tally.failures or alone:
        _say(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
