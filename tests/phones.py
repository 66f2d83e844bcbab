# SPDX-License-Identifier: BSD-3-Clause
"""A virtual phone in this process, and sessions with it, as the command line has them.

    with phones.plug("sdm660") as bench:
        phone = bench.connect()

The path is the whole one: pyusb, discovery, transport, boot ROM, programmer, storage.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edl.device import connect
from edl.device.connect import ChooseLoader
from edl.device.phone import Phone, Wishes
from edl.device.storage import Storage
from edl.errors import TransportTimeoutError
from edl.events import DeviceLog, Event, Notice, Stage
from edl.files import File, on_disk
from edl.firehose.commands import Area
from edl.formats.gpt import parse
from edl.identity import PhoneIdentity
from edl.package import open_package
from edl.plan import job
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.job import Outcome, Rules
from edl.plan.model import Plan, Step
from edl.transport import Buffer, discovery
from edl.transport.usb import UsbTransport
from edl.units import MIB
from edl.virtual import storage as flash
from edl.virtual.faults import Fault, parse_fault
from edl.virtual.phone import Phone as VirtualPhone
from edl.virtual.profiles import PROFILES, PhoneSpec, parse_spec
from edl.virtual.programmer.board import Quirks
from edl.virtual.saved import Saved, State
from tests.conftest import REPO
from tests.virtual.handmade import LOADERS

ALL = tuple(
    name
    for name, each in PROFILES.items()
    if each.storage in {"emmc", "ufs"} and each.programmer != "streaming"
)
_COMMAND = re.compile(rb"<\?xml [^>]*><data><(\w+) ")
EMMC_SECTORS = {0: 16 * MIB // 512}
UFS_SECTORS = {0: 4096, 1: 2048, 2: 2048, 3: 2048, 4: 2048, 5: 2048}


def spec(
    profile: str,
    *,
    rom: Mapping[str, Any] | None = None,
    quirks: Quirks | None = None,
    faults: tuple[str | Fault, ...] = (),
    sectors: Mapping[int, int] | None = None,
    storage: str | None = None,
    broken: flash.Faults | None = None,
) -> PhoneSpec:
    """Return a phone: profile as the command line names it, smaller than real ones.

    rom: changes to RomConfig. quirks: of the programmer. sectors: size of the LUNs. storage: "emmc"
    or "ufs", where it is not the profile's own. broken: what is wrong with the flash.
    """
    made = parse_spec(profile)
    changed = made.profile
    if storage is not None:
        changed = replace(changed, storage=storage)  # type: ignore[arg-type]
    if sectors is None and "size=" not in profile:
        sectors = EMMC_SECTORS if changed.storage == "emmc" else UFS_SECTORS
    changed = replace(
        changed,
        rom=replace(changed.rom, **(rom or {})),
        quirks=quirks or changed.quirks,
        lun_sectors=sectors or changed.lun_sectors,
        flash=broken or changed.flash,
    )
    parsed = tuple(parse_fault(fault) if isinstance(fault, str) else fault for fault in faults)
    return PhoneSpec(changed, made.faults + parsed)


class Watched:
    """A transport, and what went over it. Everything is passed on unchanged.

    Attributes:
        waits: reads that got nothing, with the seconds that they had waited.
        written: size of each write, and whether it ends with a zero-length packet if it has to.
        commands: names of the Firehose commands that were sent.
        before_read, before_write: called first; may raise.
    """

    def __init__(self, inner: UsbTransport) -> None:
        self.inner = inner
        self.keeps_transfers = inner.keeps_transfers
        self.packet_bytes = inner.packet_bytes
        self.sends_zlp = inner.sends_zlp
        self.description = inner.description
        self.waits: list[float] = []
        self.reads = 0
        self.written: list[tuple[int, bool]] = []
        self.commands: list[str] = []
        self.before_read: Callable[[], None] = lambda: None
        self.before_write: Callable[[], None] = lambda: None

    def read(self, timeout_s: float) -> memoryview:
        self.before_read()
        self.reads += 1
        try:
            return self.inner.read(timeout_s)
        except Exception:
            self.waits.append(timeout_s)
            raise

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        self.before_write()
        self.written.append((len(data), zlp))
        if command := _COMMAND.match(data):
            self.commands.append(command[1].decode())
        self.inner.write(data, timeout_s, zlp=zlp)

    def close(self) -> None:
        self.inner.close()


class Script:
    """A transport to nowhere: says what it was told to say, one transfer a read.

    blocks_after: number of writes after which it takes no more.

    Attributes:
        written: what was written.
    """

    keeps_transfers = True
    packet_bytes = 512
    sends_zlp = True
    description = "The script"

    def __init__(self, *lines: bytes, blocks_after: int | None = None) -> None:
        self._lines = list(lines)
        self._blocks_after = blocks_after
        self.written: list[bytes] = []

    @property
    def taken(self) -> int:
        """How many writes it has taken."""
        return len(self.written)

    def say(self, *lines: bytes) -> None:
        self._lines += lines

    def read(self, timeout_s: float) -> memoryview:
        if not self._lines:
            raise TransportTimeoutError("silence")
        return memoryview(self._lines.pop(0))

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        if self._blocks_after is not None and self.taken >= self._blocks_after:
            raise TransportTimeoutError("it takes nothing")
        self.written.append(bytes(data))

    def close(self) -> None:
        self._lines.clear()


@dataclass
class Bench:
    """One virtual phone, and the host's end of its cable."""

    virtual: VirtualPhone
    events: list[Event] = field(default_factory=list)
    transports: list[Watched] = field(default_factory=list)
    loaders_asked: list[PhoneIdentity] = field(default_factory=list)

    @property
    def flash(self) -> flash.Storage:
        """What the phone holds."""
        return self.virtual.storage

    @property
    def stages(self) -> dict[str, str]:
        """What the stages said, by name."""
        return {event.name: event.text for event in self.events if isinstance(event, Stage)}

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]

    @property
    def logs(self) -> list[str]:
        """What the programmer logged."""
        return [event.text for event in self.events if isinstance(event, DeviceLog)]

    @property
    def changes(self) -> list[Area]:
        """What was written or erased, operation by operation."""
        unit = self.flash.sector_bytes
        operations = self.flash.operations
        return [
            Area(lun, start, count, unit)
            for what, lun, start, count in operations
            if what != "read"
        ]

    @property
    def virtual_seconds(self) -> float:
        """How long the phone has lived."""
        return self.virtual.clock.now_us / 1e6

    def open(self) -> Watched:
        """Find the phone on the bus and claim it."""
        found = discovery.choose(discovery.find(self.virtual.backend), None)
        transport = Watched(found.open())
        self.transports.append(transport)
        return transport

    def loader(self, identity: PhoneIdentity) -> Mapping[int, bytes]:
        """Return the programmer that the phone trusts."""
        self.loaders_asked.append(identity)
        name = LOADERS[self.virtual.profile.programmer]
        return {13: (REPO / "loaders" / name).read_bytes()}

    def connect(
        self,
        wishes: Wishes | None = None,
        *,
        loader: ChooseLoader | None = None,
        known: PhoneIdentity | None = None,
        transport: Watched | None = None,
    ) -> Phone:
        """Bring the phone to a configured programmer."""
        return connect.connect(
            transport or self.open(),
            loader or self.loader,
            wishes or Wishes(),
            self.events.append,
            known,
            reopen=self.open,
        )

    def storage(self, wishes: Wishes | None = None) -> Storage:
        """Return the storage of the connected phone."""
        return Storage(self.connect(wishes))

    def hang_up(self) -> None:
        """End all sessions, as the end of the program does."""
        while self.transports:
            self.transports.pop().close()

    def enter_edl(self) -> None:
        """Do what a user does when asked to: hold the power button, plug in, enter EDL mode."""
        self.hang_up()
        self.virtual.enter_edl()


@contextlib.contextmanager
def plug(phone: str | PhoneSpec, *, running: bool = False, record: bool = True) -> Iterator[Bench]:
    """Plug a phone in.

    running: its programmer runs already, has been configured, and has nothing to say. record: keep
    what is asked of its flash in `flash.operations`.
    """
    made = spec(phone) if isinstance(phone, str) else phone
    saved = Saved(made, state=State.PROGRAMMER if running else State.BOOT_ROM, faults=made.faults)
    with VirtualPhone(saved) as virtual:
        virtual.storage.record = record
        bench = Bench(virtual)
        try:
            yield bench
        finally:
            bench.hang_up()


def package_plan(folder: Path, storage: Storage, options: Options | None = None) -> Plan:
    """Return the plan for the package in folder on that phone, checked."""
    package = open_package([str(folder)])
    return checked(build(package, job.geometry_for(package, storage), options))


def write_package(
    bench: Bench,
    folder: Path,
    rules: Rules | None = None,
    *,
    options: Options | None = None,
    cancel: threading.Event | None = None,
) -> Outcome:
    """Do what `edl rawprogram FOLDER` does."""
    storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
    plan = package_plan(folder, storage, options)
    return carry_out(bench, plan, storage, rules, cancel=cancel, sources=files_in(folder))


def carry_out(
    bench: Bench,
    plan: Plan,
    storage: Storage,
    rules: Rules | None = None,
    *,
    cancel: threading.Event | None = None,
    sources: tuple[File, ...] = (),
) -> Outcome:
    """Prepare a plan and carry it out."""
    rules = rules or Rules()
    plan, found = job.prepare(plan, storage, rules)
    return job.carry_out(
        plan,
        storage.phone,
        found,
        rules,
        emit=bench.events.append,
        cancel=cancel,
        sources=sources,
    )


def files_in(folder: Path) -> tuple[File, ...]:
    return tuple(map(on_disk, sorted(folder.iterdir())))


def plan_of(storage: Storage, *steps: Step) -> Plan:
    """Return a plan of these steps on that phone."""
    geometry = job.geometry(storage, {step.area.lun for step in steps})
    return Plan("rawprogram", "test", geometry, steps)


def lay_out(phone: VirtualPhone, folder: Path) -> None:
    """Write the partition tables of the package in folder to the LUNs of a phone with UFS."""
    for lun in range(6):
        whole = phone.storage.luns[lun]
        table = parse((folder / f"gpt_main{lun}.bin").read_bytes(), 4096)
        images = table.fit(whole.sectors, grow=True).images()
        whole.write(0, images.primary)
        whole.write(images.backup_sector, images.backup)
