# SPDX-License-Identifier: BSD-3-Clause
"""One job on one model of phone, ready to be repeated with something going wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

from edl.virtual.faults import Fault, Kind
from tests.campaigns import claims, faultlist
from tests.campaigns.bench import Device
from tests.campaigns.inside import Ran, edl_here, edl_that_dies
from tests.campaigns.jobs import Job
from tests.campaigns.tiny import Package, Tiny, WholeBackup, WriteBack, WritePackage, make_phone

JOBS = ("rawprogram", "backup", "restore")


class Scene:
    """One job on one model of phone, ready to be repeated."""

    def __init__(self, folder: Path, job: str, profile: str) -> None:
        self.name = f"{job} {profile}"
        self._job = job
        self._folder = folder / self.name.replace(" ", "-")
        self._folder.mkdir(parents=True)
        self.model = Tiny(profile)
        self._phone = make_phone(self._folder / "phone", self.model, "v1")
        self.before = self._phone.disks()
        self.wanted = self.before
        match job:
            case "rawprogram":
                self._package = Package(self._folder / "package", self.model)
                self.wanted = self._package.applied(self.before)
            case "restore":
                self._damage()

    def _damage(self) -> None:
        """Save the phone, then let it have another firmware and a broken table."""
        saving = WholeBackup(self._phone, self._folder)
        self._dump = saving.target
        ran = self.run(saving, self._folder / "home", again=False)
        if ran.status:
            raise RuntimeError(ran.out)
        old = self._phone
        self._phone = make_phone(self._folder / "other", self.model, "v2")
        unit = self.model.sector_bytes
        self._phone.put(0, unit, bytes(unit))
        for lun, disk in old.disks().items():
            if lun not in self.model.layouts:
                self._phone.put(lun, 0, disk)
        self.before = self._phone.disks()

    def make(self, folder: Path) -> Job:
        """Return the job with a phone of its own. No fault changes a file that lies on the disk."""
        device = self._phone.copy(folder / "phone")
        match self._job:
            case "rawprogram":
                job: Job = WritePackage(device, folder, self._package, self.wanted)
            case "backup":
                job = WholeBackup(device, folder)
            case _:
                job = WriteBack(device, folder, self._dump, self.wanted)
        job.before = self.before
        return job

    def share(self, seen: dict[bytes, bytes]) -> None:
        """Keep disks that are equal in memory only once."""
        for disks in (self.before, self.wanted):
            disks.update({lun: seen.setdefault(data, data) for lun, data in disks.items()})

    def run(self, job: Job, home: Path, *, again: bool, fault: Fault | None = None) -> Ran:
        """Carry the job out."""
        line = job.arguments(again=again)
        if fault is None:
            return self.edl(job.device, home, *line)
        run = edl_that_dies if fault.kind is Kind.KILL else edl_here
        return run(home, *line, *self._options(job.device), "--fault", fault)

    def edl(self, device: Device, home: Path, *line: str) -> Ran:
        """Run a command line on device."""
        return edl_here(home, *line, *self._options(device))

    def _options(self, device: Device) -> tuple[object, ...]:
        return "--json", "--virtual", device.folder, "--loader", self.model.loader

    def traffic(self) -> faultlist.Traffic:
        """Carry the job out undisturbed; return what passes over the cable.

        Raises:
            RuntimeError: it does not end right.
        """
        folder = self._folder / "undisturbed"
        folder.mkdir()
        job = self.make(folder)
        with faultlist.Watching() as traffic:
            ran = self.run(job, folder / "home", again=False, fault=faultlist.NEVER)
        if found := [*claims.odd(ran), *job.wrong()] or ran.status:
            raise RuntimeError(f"{self.name}: {found}\n{ran.out}")
        shutil.rmtree(folder)
        return traffic
