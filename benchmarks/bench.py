# SPDX-License-Identifier: BSD-3-Clause
"""What all benchmarks share: phones with flash that costs nothing, data, medians, results."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edl.device import connect
from edl.device.phone import Phone, Wishes
from edl.identity import PhoneIdentity
from edl.transport import discovery
from edl.transport.usb import UsbTransport
from edl.units import MIB
from edl.virtual.lun import Lun
from edl.virtual.phone import Phone as VirtualPhone

LOADERS = {
    "msm8916": "prog_emmc_firehose_8916_test.mbn",
    "msm8953": "prog_emmc_firehose_8953_test.mbn",
    "sdm660": "prog_emmc_ufs_firehose_sdm660_test.elf",
    "qcm2290": "prog_firehose_ddr_qcm2290_test.elf",
}
ROUNDS = 5
_FOLDER = Path(__file__).parent.parent / "loaders"
PATTERN = bytes((index * 7 + index // 251) & 0xFF for index in range(MIB))
_TWICE = PATTERN * 2


@dataclass(frozen=True)
class Result:
    """One line of the table. limit: what must be reached, in words; good: it is."""

    name: str
    value: str
    limit: str
    good: bool

    def __str__(self) -> str:
        mark = "ok" if self.good else "MISSED"
        return f"{self.name:<58} {self.value:>34}   {self.limit:<16} {mark}"


class PatternLun(Lun):
    """A LUN that holds PATTERN over and over, and takes nothing else.

    Attributes:
        taken_bytes: how much has been written; each byte was compared.
    """

    taken_bytes = 0

    def read(self, start: int, count: int) -> bytes:
        """Return that part of the pattern."""
        begin, size = start * self.sector_bytes % MIB, count * self.sector_bytes
        if size <= MIB:
            return _TWICE[begin : begin + size]
        return (PATTERN * (size // MIB + 2))[begin : begin + size]

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Compare data with the pattern."""
        begin = start * self.sector_bytes % MIB
        if not _TWICE.startswith(data, begin):  # type: ignore[arg-type]  # takes any buffer
            raise RuntimeError(f"other bytes than were sent, at sector {start}")
        self.taken_bytes += len(data)


@dataclass
class Rig:
    """A virtual phone, and our end of its cable."""

    virtual: VirtualPhone
    phone: Phone
    transport: UsbTransport

    @property
    def taken_bytes(self) -> int:
        """How much the pattern LUN has been given."""
        lun = self.virtual.storage.luns[0]
        return lun.taken_bytes if isinstance(lun, PatternLun) else 0

    @property
    def now_s(self) -> float:
        """The modelled time."""
        return self.virtual.clock.now_us / 1e6


@contextmanager
def rig(
    spec: str, *, pattern: bool = True, host: bool = False, real: bool = False
) -> Iterator[Rig]:
    """Connect to a virtual phone up to a configured programmer.

    pattern: its flash is a PatternLun. host: the host's processor time passes on the phone's clock.
    real: waiting takes time, and so does everything that the host does.
    """
    with VirtualPhone.create(spec, real_time=real) as virtual:
        if pattern:
            old = virtual.storage.luns[0]
            virtual.storage.luns[0] = PatternLun(old.sectors, old.sector_bytes)
        opened: list[UsbTransport] = []

        def reach() -> UsbTransport:
            found = discovery.choose(discovery.find(virtual.backend), None)
            transport = found.open()
            assert isinstance(transport, UsbTransport)
            opened.append(transport)
            return transport

        def loader(_: PhoneIdentity) -> dict[int, bytes]:
            return {13: (_FOLDER / LOADERS[virtual.profile.programmer]).read_bytes()}

        phone = connect.connect(reach(), loader, Wishes(), lambda _: None, None, reopen=reach)
        if host:
            virtual.clock.host = time.thread_time_ns
        if real:
            virtual.clock.host = time.perf_counter_ns
        yield Rig(virtual, phone, opened[-1])
        for transport in opened:
            transport.close()


def median(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    """Return the median of several measurements."""
    return statistics.median(measure() for _ in range(rounds))


def side_by_side(
    first: Callable[[], float], second: Callable[[], float], rounds: int = ROUNDS
) -> tuple[float, float, float]:
    """Measure both in turn; return the medians of each and of the ratios first / second."""
    pairs = [(first(), second()) for _ in range(rounds)]
    firsts, seconds = zip(*pairs, strict=True)
    ratios = [one / other for one, other in pairs]
    return statistics.median(firsts), statistics.median(seconds), statistics.median(ratios)
