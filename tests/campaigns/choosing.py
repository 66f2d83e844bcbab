# SPDX-License-Identifier: BSD-3-Clause
"""Which job a case is: chosen by its random numbers, with phones and dumps for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.campaigns import jobs
from tests.campaigns.bench import PROFILES, Device, Disks, Model, places
from tests.campaigns.jobs import Backup, Job, OtherSize, Repair, Restore, Slot

if TYPE_CHECKING:
    from tests.campaigns.dumps import Campaign

MINE, OTHERS = 0x1A2B3C4D, 0x0BADCAFE  # serial numbers


class Maker:
    """Makes the job of one case. folder: the case's own."""

    def __init__(self, campaign: Campaign, rng: random.Random, folder: Path) -> None:
        self.campaign = campaign
        self.rng = rng
        self.folder = folder

    def _device(self, model: Model, owner: str = "a", firmware: str = "v1") -> Device:
        serial = MINE if owner == "a" else OTHERS
        return self.campaign.device(model, serial, owner, firmware).copy(self.folder / "device")

    def job(self) -> Job:
        """Return the job of this case, with its phone."""
        rng = self.rng
        profile = rng.choice(PROFILES)
        model = Model(profile, rng.choice([self.campaign.mib] * 2 + [self.campaign.mib * 3 // 2]))
        choices: list[Callable[[Model], Job]] = [
            self._backup, self._backup, self._bad_backup, self._own, self._own, self._own_size,
            self._foreign, self._foreign, self._unknown, self._own_image, self._single,
            self._repair, self._slot,
        ]  # fmt: skip
        return rng.choice(choices)(model)

    def _backup(self, model: Model) -> Job:
        return Backup(self.rng, self._device(model), self.folder)

    def _bad_backup(self, model: Model) -> Job:
        device = self._device(model)
        job = Backup(self.rng, device, self.folder)
        unit = model.sector_bytes
        if self.rng.random() < 0.6:
            where = places(device.disks()[0], unit)
            start, end = where[self.rng.choice(["system", "persist", "userdata"])]
            count = self.rng.randrange(1, 5)
            first = self.rng.randrange(start // unit, min(end // unit, start // unit + 16) - count)
            job.bad = (0, first, count)
            device.change(phone=model.spec(MINE, f"unreadable=0/{first}+{count}"))
            if "--only" not in job.options and "--skip" not in job.options:
                job.finished = 6
            else:
                job.finished = -1  # 6 if it is among what is asked for
        else:
            # A boot loader that reads as zeros in all its copies: the programmer hides it.
            lun, names = (4, ("abl_a", "abl_b")) if model.ufs else (0, ("aboot", "aboot"))
            where = places(device.disks()[lun], unit)
            start, end = where[names[0]][0] // unit, where[names[1]][1] // unit
            device.change(phone=model.spec(MINE, f"zeros={lun}/{start}+{end - start}"))
        job.name = "backup of bad flash"
        return job

    def _dump(self, model: Model, owner: str, firmware: str) -> tuple[Path, Disks]:
        """Return a backup that edl made of a phone, and what that phone holds."""
        form = self.rng.choice(["images", "partitions", "packed"])
        return self.campaign.dump(model, owner, firmware, form)

    def _own(self, model: Model) -> Job:
        dump, wanted = self._dump(model, "a", "v1")
        device = self._device(model, firmware="v2")
        jobs.spoil(self.rng, device, unique=self.rng.random() < 0.5, tables=True)
        return Restore(self.rng, device, self.folder, dump, wanted, variant="own")

    def _own_size(self, model: Model) -> Job:
        mib = self.campaign.mib
        other = Model(model.profile, 2 * mib if model.mib == mib else mib)
        dump, wanted = self._dump(model, "a", "v1")
        device = self._device(other, firmware="v2")
        return OtherSize(self.rng, device, self.folder, dump, wanted, variant="other size")

    def _foreign(self, model: Model) -> Job:
        dump, theirs = self._dump(model, "b", "v2")
        mine = self.rng.choice([model, Model(model.profile, 2 * self.campaign.mib)])
        device = self._device(mine)
        wanted = jobs.common_of(device, theirs)
        return Restore(
            self.rng, device, self.folder, dump, wanted, "--from-other-device", variant="foreign"
        )

    def _unknown(self, model: Model) -> Job:
        theirs = self.campaign.device(model, OTHERS, "b", "v2").disks()
        device = self._device(self.rng.choice([model, Model(model.profile, 2 * self.campaign.mib)]))
        dump = jobs.image_of(self.rng, theirs[0], self.folder)
        wanted = device.disks() | {0: jobs.common_of(device, theirs)[0]}
        return Restore(
            self.rng, device, self.folder, dump, wanted, "--from-other-device", variant="unknown"
        )

    def _own_image(self, model: Model) -> Job:
        """Return the job for a bare image whose contents prove that it is the phone's."""
        device = self._device(model)
        wanted = device.disks()
        dump = jobs.image_of(self.rng, wanted[0], self.folder)
        jobs.spoil(self.rng, device, unique=False, tables=False)
        wanted = device.disks() | {0: wanted[0]}
        return Restore(self.rng, device, self.folder, dump, wanted, variant="image")

    def _single(self, model: Model) -> Job:
        dump, theirs = self._dump(model, "a", "v2")
        device = self._device(model)
        name, lun = ("boot_a", 4) if model.ufs else ("boot", 0)
        start, end = places(theirs[lun], model.sector_bytes)[name]
        wanted = device.disks()
        disk = bytearray(wanted[lun])
        disk[start:end] = theirs[lun][start:end]
        wanted[lun] = bytes(disk)
        return Restore(self.rng, device, self.folder, dump, wanted, name, variant="single")

    def _repair(self, model: Model) -> Job:
        return Repair(self.rng, self._device(model), self.folder)

    def _slot(self, model: Model) -> Job:
        return Slot(
            self.rng,
            self._device(Model(model.profile, self.campaign.mib, slots=not model.ufs)),
            self.folder,
        )
