# SPDX-License-Identifier: BSD-3-Clause
"""Backup, restore, gpt repair and slot, interrupted everywhere: see docs/reliability.md.

    python -m tests.campaigns.dumps --cases 400 --seed 1

Each case follows from the seed and its number alone; `--only NUMBER` repeats one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns import jobs
from tests.campaigns.bench import Device, Disks, Model, places
from tests.campaigns.choosing import MINE, OTHERS, Maker
from tests.campaigns.jobs import Backup
from tests.campaigns.result import Tally, report
from tests.campaigns.running import Ended, Moment, Signals, Spot, edl, load_all

_KNOWN_STATUSES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130}
_TROUBLES = (
    ["kill bytes"] * 6 + ["kill files"] * 4 + ["kill process"] * 2 + ["unplug"] * 10
    + ["ctrl-c"] * 2 + ["ctrl-c twice"] * 2 + ["disk full", "flash", "flash"]
)  # fmt: skip


class Case:
    """One case in a folder of its own."""

    def __init__(self, campaign: Campaign, number: int) -> None:
        self.campaign = campaign
        self.number = number
        self.rng = random.Random(f"{campaign.seed}/{number}")
        self.folder = campaign.folder / f"case-{number}"
        self.folder.mkdir()
        self.where = Spot(self.folder, self.folder / "home")
        self.problems: list[str] = []
        self.log: list[str] = []
        self.job = Maker(campaign, self.rng, self.folder).job()
        self.job.before = self.job.device.disks()

    def run(self) -> None:
        """Carry the job out, with what goes wrong, to its end."""
        tally = self.campaign.tally
        total = self.campaign.total(self)
        tally.cases[
            f"{self.job.name} {self.job.variant if 'backup' not in self.job.name else ''}".strip()
        ] += 1
        again = False
        if self.rng.random() < 0.12:
            tally.undisturbed += 1
        else:
            for _ in range(self.rng.choice([1, 1, 2, 3])):
                if self._disturbed(total, again=again):
                    return
                again = True
        self._to_the_end(again=again)

    def attempt(self) -> Ended:
        """Carry the job out once, undisturbed."""
        return self._edl(*self._line(again=False))

    def _edl(self, *arguments: object, **options: object) -> Ended:
        ended = edl(self.where, *arguments, **options)  # type: ignore[arg-type]
        tally = self.campaign.tally
        tally.runs += 1
        tally.slowest_s = max(tally.slowest_s, ended.seconds)
        words = " ".join(ended.arguments)
        self.log += [f"$ edl {words}", ended.out, ended.err, f"[{ended.status}] {options}"]
        if ended.hung:
            self._wrong("it hangs")
        if "Traceback" in ended.out + ended.err or ended.status in {1, 99}:
            self._wrong("a bug was reported")
        elif ended.status is not None and ended.status not in _KNOWN_STATUSES:
            self._wrong(f"exit status {ended.status}")
        return ended

    def _line(self, *, again: bool) -> list[str]:
        return ["--virtual", str(self.job.device.folder), *self.job.arguments(again=again)]

    def _disturbed(self, total: Ended, *, again: bool) -> bool:
        """Run the job with one trouble; return whether it was done in spite of it."""
        kind = self.rng.choice(_TROUBLES)
        if kind == "flash" and not self.job.changes:
            kind = "unplug"
        if kind == "disk full" and self.job.changes:
            kind = "kill bytes"
        self.log.append(f"--- {kind}")
        options = self._trouble(kind, total)
        ended = self._edl(*self._line(again=again), **options)
        struck = ended.status not in {0, self.job.finished}
        if struck:
            self.campaign.tally.struck[kind] += 1
        else:
            self.campaign.tally.missed += 1
        if kind == "flash":
            self.job.device.change(phone=self.job.device.model.spec(MINE))
        if not struck:
            self._judge("said to be done, but ", self.job.wrong())
            return True
        self._judge(f"after {kind}: ", self.job.wrong_between())
        if isinstance(self.job, Backup) and not self.job.done and self.rng.random() < 0.25:
            self._try_partial(self.job)
        if kind.startswith(("unplug", "flash", "ctrl-c")) or self.rng.random() < 0.7:
            self.job.device.enter_edl()
        return False

    def _trouble(self, kind: str, total: Ended) -> dict[str, object]:
        """Prepare a trouble; return what the run is told of it."""
        rng, device = self.rng, self.job.device
        at = rng.random() ** rng.choice([0.5, 1, 2])
        count = Moment.FILES if kind == "kill files" else Moment.BYTES
        reach = max(2, total.file_events if count is Moment.FILES else total.moved_bytes)
        moment = 1 + int(at * (reach - 1))
        match kind:
            case "kill bytes" | "kill files":
                return {"signals": Signals((signal.SIGKILL,), count, (moment,))}
            case "kill process":
                seconds = 0.2 + at * (0.5 + total.seconds)
                return {
                    "signals": Signals((signal.SIGKILL,), Moment.SECONDS, (seconds,)),
                    "real": True,
                }
            case "ctrl-c":
                return {"signals": Signals((signal.SIGINT,), count, (moment,))}
            case "ctrl-c twice":
                second = moment + rng.choice([1, 100, 5000, 100000])
                signals = (signal.SIGINT, signal.SIGINT)
                return {"signals": Signals(signals, count, (moment, second))}
            case "disk full":
                return {"file_bytes": rng.choice([4096, 65536, 1 << 20, 3 << 20, 20 << 20])}
            case "flash":
                device.change(phone=device.model.spec(MINE, self._bad_range()))
            case _:
                self._unplug(at)
        return {}

    def _unplug(self, at: float) -> None:
        device = self.job.device
        place = self.rng.choice(["in", "out", "in-transfer", "out-transfer"])
        reach = self.campaign.passed[self.job.key].get(place, 1000)
        number = device.counts()[place] + int(at * reach)
        device.change(faults=[f"unplug@{place}:{number}"])

    def _bad_range(self) -> str:
        kind = self.rng.choice(["unwritable", "forgotten"])
        lun = self.rng.choice(list(self.job.device.model.layouts))
        unit = self.job.device.model.sector_bytes
        first = self.rng.randrange(0, (3 if lun == 0 else 1) * 1024 * 1024 // unit)
        return f"{kind}={lun}/{first}+{self.rng.choice([1, 8, 256])}"

    def _try_partial(self, job: Backup) -> None:
        """Make sure that nobody takes an unfinished backup for a good one."""
        before = job.device.disks()
        for line in (
            ("image", "info", job.target),
            ("image", "verify", job.target),
            ("--virtual", job.device.folder, "restore", job.target, "--yes"),
        ):
            if self._edl(*line).status == 0:
                self._wrong(f"an unfinished backup is good for {line[-2:]}")
        listed = self._edl("backups", "--json")
        if listed.status == 0 and '"state":"complete"' in listed.out.replace(" ", ""):
            self._wrong("an unfinished backup is listed as complete")
        if job.device.disks() != before:
            self._wrong("an unfinished backup was written to the phone")

    def _to_the_end(self, *, again: bool) -> None:
        ended = self._edl(*self._line(again=again))
        if ended.status == 4 and again:  # only the keys could mend it
            self.job.device.enter_edl()
            ended = self._edl(*self._line(again=again))
        if isinstance(self.job, Backup) and self.job.done and ended.status == 2:
            pass  # it was finished before the interruption
        elif ended.status != self.job.finished and self.job.finished >= 0:
            self._wrong(f"the end has status {ended.status}, not {self.job.finished}")
            return
        self._judge("at the end: ", self.job.wrong())
        self._judge("at the end: ", self.job.left_over())
        self._judge("at the end: ", self._lost())

    def _lost(self) -> list[str]:
        """Return the unique partitions that the phone had and that are nowhere any more."""
        job = self.job
        if not job.changes:
            return []
        now, unit = job.device.disks(), job.device.model.sector_bytes
        saved = [path.read_bytes() for path in self.where.home.rglob("saved-*/*") if path.is_file()]
        lost = []
        for lun in job.device.model.layouts:
            table = self.campaign.device(job.device.model, MINE, "a", "v1").disks()[lun]
            for name, (start, end) in places(table, unit).items():
                old = job.before[lun][start:end]
                changed = name in jobs.UNIQUE and old != now[lun][start:end] and any(old)
                if changed and not any(old in each for each in saved):
                    lost.append(f"'{name}' is lost")
        return lost

    # -- judging ----------------------------------------------------------------------------------

    def _judge(self, when: str, found: object) -> None:
        for text in found:  # type: ignore[attr-defined]
            self._wrong(when + text)

    def _wrong(self, text: str) -> None:
        self.problems.append(text)


class Campaign:
    """All cases of a seed."""

    def __init__(self, folder: Path, seed: int, *, mib: int = 32, made: Path | None = None) -> None:
        self.folder = folder
        self.made = made or folder / "made"
        for each in (self.folder, self.made):
            each.mkdir(exist_ok=True)
        self.seed = seed
        self.mib = mib
        self.tally = Tally()
        self.passed: dict[object, dict[str, int]] = {}
        self._totals: dict[object, Ended] = {}

    def device(self, model: Model, serial: int, owner: str, firmware: str) -> Device:
        """Return a phone, which nobody may change."""
        mark = f"{model.profile}-{model.mib}{'ab' if model.slots else ''}-{owner}-{firmware}"
        folder = self.made / mark
        if folder.exists():
            return Device(folder, model)
        return Device.make(folder, model, serial, owner, firmware)

    def dump(self, model: Model, owner: str, firmware: str, form: str) -> tuple[Path, Disks]:
        """Return a backup of such a phone, made once, and what the phone holds."""
        serial = MINE if owner == "a" else OTHERS
        made = self.device(model, serial, owner, firmware)
        folder = self.made / f"{form}-{made.folder.name}"
        if not folder.exists():
            copy = made.copy(self.made / "device")
            options = ["--compress"] if form == "packed" else ["--form", form]
            where = Spot(self.made, self.made / "home")
            line = ("--virtual", copy.folder, "backup", folder, *options)
            ended = edl(where, *line)
            shutil.rmtree(copy.folder)
            if ended.status:
                raise RuntimeError(f"{line}: {ended.err}")
        return folder, made.disks()

    def total(self, case: Case) -> Ended:
        """Return how such a job ends undisturbed; the first time that is tried."""
        key = case.job.key
        if key not in self._totals:
            twin = Case(
                Campaign(self.folder / "twins", self.seed, mib=self.mib, made=self.made),
                case.number,
            )
            before = twin.job.device.counts()
            self._totals[key] = twin.attempt()
            after = twin.job.device.counts()
            self.passed[key] = {place: after[place] - before[place] for place in after}
            shutil.rmtree(twin.folder)
        return self._totals[key]

    def run(self, numbers: range | list[int], *, keep: bool = False) -> None:
        """Run these cases and say what goes wrong."""
        for number in numbers:
            case = Case(self, number)
            case.run()
            if case.problems:
                self.tally.failures.append(f"case {number}: {'; '.join(case.problems)}")
                (case.folder / "log.txt").write_text("\n".join(case.log))
                _say(
                    f"case {number} ({case.job.name} {case.job.variant},"
                    f" {case.job.device.model}): {'; '.join(case.problems)}"
                )
            elif not keep:
                shutil.rmtree(case.folder)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mib", type=int, default=32, help="size of the smallest phones")
    parser.add_argument("--only", type=int, help="repeat this case and keep its folder")
    options = parser.parse_args()
    shared = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a folder of its own there
    place = shared if shared.is_dir() else None
    start = time.monotonic()
    load_all()
    folder = Path(tempfile.mkdtemp(prefix="edl-campaign-", dir=place))
    campaign = Campaign(folder, options.seed, mib=options.mib)
    alone = options.only is not None
    campaign.run([options.only] if alone else range(options.cases), keep=alone)
    _say(report(campaign.tally, time.monotonic() - start))
    if campaign.tally.failures or alone:
        _say(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if campaign.tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
