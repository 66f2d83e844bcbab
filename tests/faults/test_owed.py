# SPDX-License-Identifier: BSD-3-Clause
"""Hosts that die inside <program>: the job goes on without the power button, at every transfer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edl.chunks import BytesContent
from edl.device import connect
from edl.device.phone import Phone, Wishes
from edl.device.storage import Storage
from edl.firehose.commands import Area
from edl.plan import job, journal, owed, readout
from edl.plan.job import Rules
from edl.plan.model import Plan, Write
from edl.transport import Buffer
from edl.transport.usb import UsbTransport
from tests import phones
from tests.phones import Bench, Watched, plan_of, plug

ALL = pytest.mark.parametrize("profile", phones.ALL)
PIECE = 64 * 1024
NOTE = 32 * 1024
PAYLOAD = 16384
PLACE = "usb 1-1 1 1"


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", PIECE)
    for module in (journal, owed):
        monkeypatch.setattr(module, "NOTE_BYTES", NOTE)
    monkeypatch.setattr("edl.plan.execute.NOTE_BYTES", NOTE)


class Dying(Watched):
    """A transport whose host dies in one of its writes, of which only a part gets out."""

    def __init__(self, inner: UsbTransport) -> None:
        super().__init__(inner)
        self.left = -1
        self.share = 0.0
        self.dead = False

    def read(self, timeout_s: float) -> memoryview:
        if self.dead:
            raise Killed
        return super().read(timeout_s)

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        if self.dead:
            raise Killed
        self.left -= 1
        if self.left == -1:
            self.dead = True
            part = int(len(data) * self.share) // self.packet_bytes * self.packet_bytes
            if part:
                self.inner.write(memoryview(data)[:part], timeout_s)
            raise Killed
        super().write(data, timeout_s, zlp=zlp)


@dataclass
class Case:
    """A phone, what it holds, and what it shall hold."""

    bench: Bench
    before: bytes
    data: bytes
    start: int = 32

    def connected(self, *, resume: bool) -> Phone:
        transport = Dying(self.bench.open().inner)
        self.bench.transports.append(transport)

        def settle(stuck: object) -> bool:
            claim = owed.claim(PLACE, None)
            assert claim is not None
            claim.settle(stuck, self.bench.events.append)  # type: ignore[arg-type]
            return True

        phone = connect.connect(
            transport, self.bench.loader, Wishes(payload_bytes=PAYLOAD), self.bench.events.append,
            settle=settle if resume else None,
        )  # fmt: skip
        phone.place = PLACE
        return phone

    def plan(self, phone: Phone) -> Plan:
        unit = phone.sector_bytes
        area = Area(0, self.start, len(self.data) // unit, unit)
        write = Write(area, BytesContent(self.data), "system", "system.img", "x.xml:1")
        return plan_of(Storage(phone), write)

    def run(self, *, resume: bool = False, left: int = -1, share: float = 0.0) -> int:
        """Run the job; return how many writes it took."""
        phone = self.connected(resume=resume)
        transport = self.bench.transports[-1]
        assert isinstance(transport, Dying)
        plan, found = job.prepare(self.plan(phone), Storage(phone), Rules(backup=False))
        begin = len(transport.written)
        transport.left, transport.share = left, share
        rules = Rules(backup=False, resume=resume)
        job.carry_out(plan, phone, found, rules, emit=self.bench.events.append)
        return len(transport.written) - begin

    def die(self, left: int, share: float) -> None:
        with pytest.raises(Killed):
            self.run(left=left, share=share)
        self.bench.hang_up()

    def check(self) -> None:
        lun = self.bench.flash.luns[0]
        unit = self.bench.flash.sector_bytes
        there = lun.read(0, lun.sectors)
        first = self.start * unit
        assert there[first : first + len(self.data)] == self.data
        assert there[:first] == self.before[:first]
        assert there[first + len(self.data) :] == self.before[first + len(self.data) :]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    sectors = {0: 4096} if request.param in {"msm8916", "msm8953", "sdm660", "qcm2290"} else None
    with plug(phones.spec(request.param, sectors=sectors), running=True) as bench:
        lun = bench.flash.luns[0]
        noise = random.Random(1).randbytes(lun.sectors * bench.flash.sector_bytes)
        lun.write(0, noise)
        yield Case(bench, noise, random.Random(2).randbytes(PIECE + PAYLOAD + 4096))


@pytest.mark.parametrize("case", phones.ALL, indirect=True)
def test_at_every_transfer(case: Case) -> None:
    count = case.run()
    case.bench.hang_up()
    stuck = 0
    for left in range(count):
        case.bench.flash.luns[0].write(0, case.before)
        case.bench.events.clear()
        case.die(left, (left % 4) / 4)
        case.run(resume=True)
        case.bench.hang_up()
        case.check()
        stuck += "owed" in case.bench.stages
    assert stuck >= len(case.data) // PAYLOAD
