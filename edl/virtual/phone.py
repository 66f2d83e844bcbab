# SPDX-License-Identifier: BSD-3-Clause
"""A whole virtual phone: what runs on it, what a reset does, and how it is kept.

    with Phone.create("sdm660") as phone:
        device = usb.core.find(backend=phone.backend)

A phone in a folder lives on between processes: sparse files hold its disks, phone.json the rest.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from edl.errors import DiskError, UsageError
from edl.sahara.packets import Command
from edl.virtual import hostfaults, wear
from edl.virtual.bootcheck import BootReport, boot_check
from edl.virtual.bootrom import RomConfig, boot_rom
from edl.virtual.controller import (
    HIGH_SPEED_PACKET_BYTES,
    SUPER_SPEED_PACKET_BYTES,
    Controller,
)
from edl.virtual.crashdump import CrashedLoader
from edl.virtual.crashdump import Stage as Dumping
from edl.virtual.crashes import dump_of
from edl.virtual.descriptors import FIREHOSE_PROTOCOL, UsbDevice
from edl.virtual.dmss import dmss_rom
from edl.virtual.faults import Fault, Injector, Place
from edl.virtual.imageload import LoadedImage
from edl.virtual.link import Firmware
from edl.virtual.lock import Lock
from edl.virtual.nand import NandLun
from edl.virtual.nand import product as nand_product
from edl.virtual.pace import Clock, Link
from edl.virtual.profiles import PhoneSpec, Profile, parse_spec
from edl.virtual.programmer import programmer
from edl.virtual.programmer.board import Board
from edl.virtual.saved import FILE_NAME, Saved, State
from edl.virtual.states import (
    CONDITIONS,
    CRASH_IDS,
    CRASHED,
    SYSTEMS,
    hung,
    owing,
    programmer_in,
)
from edl.virtual.storage import (
    EmmcProduct,
    Extent,
    FlashProduct,
    Lun,
    Storage,
    UfsProduct,
    emmc,
    ext_csd,
    plain,
    ufs,
)
from edl.virtual.streaming import streaming_programmer
from edl.virtual.usb import VirtualBackend

_HELLO = Command.HELLO.to_bytes(4, "little")


class Phone:
    """One phone, plugged into a bus of its own or into one with others.

    Attributes:
        profile: what phone it is.
        storage: its flash; may be looked at and changed at any time.
        backend: the pyusb backend of its bus.
        clock: its time. wire: the modelled link, if it has one.
        exits: why software has left so far, in order: start, reset, reset_to_edl, off, hang or
            unplug; crash and kill come of faults.
    """

    def __init__(
        self,
        saved: Saved,
        folder: Path | None = None,
        *,
        backend: VirtualBackend | None = None,
        real_time: bool = False,
    ) -> None:
        """Plug in a phone as it was saved. Use `create`, `open` or `named`."""
        real_time = real_time or saved.spec.profile.wear == wear.SLOW
        self.profile = saved.spec.profile
        self.storage = _storage(self.profile, folder)
        self.storage.pace = self.profile.pace
        self.storage.bootable = saved.bootable
        self.backend = backend or VirtualBackend()
        self._state = saved.state
        self._report: BootReport | None = None
        self.exits: list[str] = []
        self._spec = saved.spec
        self._folder = folder
        self._injector = Injector(saved.faults, saved.counts)
        self.clock = Clock(real=real_time)
        rate = self.profile.pace.link
        self.wire = None if rate is None else Link(rate)
        self._port = self.backend.new_port()
        self._controller: Controller | None = None
        self._held = ExitStack()
        self._closed = False
        self._starts = 0  # of the boot ROM
        self._images_taken = 0  # of a chain, before it has left the bus for the next one
        self._board: Board | None = None  # of the last programmer
        self._owed, self._heard = saved.owed, self._injector.counts[Place.OUT]
        self._condition = self.profile.state if saved.condition is None else saved.condition
        self._crashed: CrashedLoader | None = None
        if self._condition and saved.state is not State.UNPLUGGED:
            self._begin(self._condition, saved.dump)
            return
        match saved.state:
            case State.BOOT_ROM:
                self._start_boot_rom(hello_eaten=saved.hello_taken)
            case State.PROGRAMMER:
                software = self._programmer(greet=False)
                if saved.owed is not None:
                    software = owing(software, saved.owed, self.profile.sector_bytes)
                self._appear(software, super_speed=self.profile.usb3)
            case State.HUNG:
                self._appear(hung())

    @classmethod
    def create(
        cls,
        spec: str | PhoneSpec,
        folder: Path | None = None,
        *,
        backend: VirtualBackend | None = None,
        real_time: bool = False,
    ) -> Self:
        """Return a new phone in EDL mode whose flash is blank.

        spec: see edl.virtual.profiles; a folder needs its text form.
        folder: new or empty; keeps the phone. Without it all is lost at the end.
        backend: the bus to plug it into. real_time: it takes as long as it says.

        Raises:
            UsageError: spec names no phone, or folder cannot hold one.
            AccessError: another program makes one in folder.
            ValueError: there is a folder, and spec has no text that could be kept there.
        """
        if isinstance(spec, str):
            spec = parse_spec(spec)
        elif folder is not None and not spec.text:
            raise ValueError("a phone in a folder needs the text form of its specification")
        saved = Saved(spec, faults=spec.faults)
        try:
            with ExitStack() as held:
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    if any(folder.iterdir()):
                        raise UsageError(f"{folder} is not empty.")
                    held.callback(Lock(folder).release)
                phone = cls(saved, folder, backend=backend, real_time=real_time)
                phone.save()
                phone._held = held.pop_all()
        except OSError as error:
            raise UsageError(f"No phone can be made in {folder}: {error.strerror}.") from error
        return phone

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        backend: VirtualBackend | None = None,
        real_time: bool = False,
    ) -> Self:
        """Return the phone in folder, as the last process left it.

        A programmer that was running goes on running, idle and without another greeting; a boot ROM
        whose HELLO was read awaits the answer. What was unread or half done is lost.

        Raises:
            ImageError: there is none in folder, or its file is damaged.
            AccessError: another program uses it.
            DiskError: a file in folder cannot be opened and written to.
        """
        Saved.read(folder)  # a folder without a phone shall not get a lock
        try:
            with ExitStack() as held:
                held.callback(Lock(folder).release)
                phone = cls(Saved.read(folder), folder, backend=backend, real_time=real_time)
                phone._held = held.pop_all()
        except OSError as error:
            text = f"The virtual phone in {folder} cannot be used: {error.strerror}."
            raise DiskError(text) from error
        return phone

    @classmethod
    def named(
        cls, text: str, *, backend: VirtualBackend | None = None, real_time: bool = False
    ) -> Self:
        """Return the phone that a command line names: a folder with one, or a profile.

        Raises:
            UsageError: text is neither.
            ImageError: the phone's file in the folder is damaged.
            AccessError, DiskError: see `open`.
        """
        if os.path.exists(os.path.join(text, FILE_NAME)):  # noqa: PTH110, PTH118  # takes any text
            return cls.open(Path(text), backend=backend, real_time=real_time)
        return cls.create(text, backend=backend, real_time=real_time)

    @property
    def state(self) -> State:
        """What the phone is doing, once all that happens by itself has happened."""
        self._settle()
        return self._state

    @property
    def report(self) -> BootReport | None:
        """What the last attempt to start found; None where there was none."""
        self._settle()
        return self._report

    @property
    def injector(self) -> Injector:
        """Its faults, and what has passed so far."""
        return self._injector

    @contextmanager
    def suffering(self, faults: Iterable[Fault] = ()) -> Iterator[None]:
        """Let faults strike that count from now on, and end with this process.

        In here those of the computer strike too, also those that the phone was made with.
        """
        self._injector.add(faults)
        with hostfaults.striking(self._injector, self._kill_host, self._folder):
            yield

    def enter_edl(self) -> None:
        """Do what a user does: hold the power button, plug the phone in, enter EDL mode."""
        self._leave()
        self._start_boot_rom()
        self.save()

    def unplug(self) -> None:
        """Pull the cable."""
        self._leave()
        self._state = State.UNPLUGGED
        self.save()

    def save(self, owed: Extent | None = None) -> None:
        """Keep the phone as it is now, if it has a folder.

        owed: sectors whose data its programmer waits for. Nobody else keeps it waiting, unless
        it was found so and has not been talked to.
        """
        if self._folder is None:
            return
        self.storage.flush()
        if self._injector.counts[Place.OUT] == self._heard:
            owed = self._owed
        Saved(
            self._spec,
            self._state,
            self._state is State.BOOT_ROM and self._hello_taken,
            self._injector.lasting,
            self._injector.counts,
            self.storage.bootable,
            self._lasting_condition,
            owed,
            Dumping.GREETING if self._crashed is None else self._crashed.stage,
        ).write(self._folder)

    def close(self) -> None:
        """Save the phone and take it off the bus. May be called twice."""
        if not self._closed:
            self._closed = True
            self._settle()
            self.save()
            self._leave()
            self.storage.close()
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self) -> None:
        if self._controller is not None:
            self._controller.settle()

    @property
    def _hello_taken(self) -> bool:
        """Whether the boot ROM has gone beyond its HELLO, which it does not repeat."""
        controller = self._controller
        if controller is None or not (controller.listens or controller.unread):
            return False  # it has not even started
        return not controller.unread.startswith(_HELLO)

    @property
    def _lasting_condition(self) -> str:
        """The state that the next process finds; what a host has read is gone."""
        touched = any(self._injector.counts[place] for place in (Place.IN, Place.OUT))
        passing = touched and self._condition and CONDITIONS[self._condition].passing
        return "" if passing else self._condition

    def _exit(self, reason: str) -> None:
        """Act on the reason for which the running software has left."""
        self.exits.append(reason)
        match reason:
            case "kill":
                self._kill_host()
            case "start":
                self._start_programmer()
            case "reset":
                self._restart()
            case "next" | "reset_to_edl":
                self._leave()
                taken = self._images_taken + 1 if reason == "next" else 0
                self._start_boot_rom(images_taken=taken)
            case "boot" | "off":
                self._leave()
                self._state = State.BOOTED if reason == "boot" else State.OFF
            case "crash":
                self._leave()
                self._condition = CRASHED
                self._begin(CRASHED)
            case "unplug":
                self._state = State.UNPLUGGED
            case "hang":
                self._state = State.HUNG
            case _:
                raise ValueError(f"software cannot leave for the reason '{reason}'")
        self.save()

    def _kill_host(self) -> None:
        """End this process as kill -9 does; the phone, which notices nothing, is kept."""
        self.save(self._board.owed if self._board is not None else None)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    def _restart(self) -> None:
        """Start from the flash; without a sound boot chain the boot ROM enters EDL mode."""
        self._leave()
        self._condition = ""
        self._report = boot_check(self.storage)
        if self._report.boots:
            self._state = State.BOOTED
            if self.profile.starts:
                self._appear(hung(), ids=SYSTEMS[self.profile.starts], product=None)
        else:
            self._start_boot_rom()

    def _begin(self, name: str, dump: Dumping = Dumping.GREETING) -> None:
        """Come up on the bus as other programs have left it. dump: how far they are with its."""
        condition, profile = CONDITIONS[name], self.profile
        if name == CRASHED:
            self._state = State.BOOT_ROM
            memory = dump_of(profile.crash, profile.rom.fuses.serial)
            self._crashed = CrashedLoader(memory, dump)
            self._appear(self._crashed.run(), ids=CRASH_IDS)
        elif condition.rom is not None:
            self._state = State.BOOT_ROM
            self._appear(boot_rom(condition.rom(self._rom()), _accept))
        elif condition.said is not None:
            self._state = State.PROGRAMMER
            idle = self._programmer(greet=False)
            software = programmer_in(condition, idle, profile.sector_bytes)
            self._appear(software, super_speed=profile.usb3)
        else:
            self._state = State.HUNG
            self._appear(hung())

    def _rom(self) -> RomConfig:
        """Return how the boot ROM is at this start."""
        status, times = self.profile.refuses or (None, None)
        self._starts += 1
        if times is not None and self._starts > times:
            status = None
        ids = self.profile.rom.image_ids[self._images_taken :]
        return replace(self.profile.rom, refuses=status, image_ids=ids)

    def _start_boot_rom(self, *, hello_eaten: bool = False, images_taken: int = 0) -> None:
        self._images_taken = images_taken
        rom = self._rom()
        self._condition = ""
        self._state = State.BOOT_ROM
        if self.profile.dmss:
            self._appear(dmss_rom())
            return
        self._appear(boot_rom(replace(rom, hello_eaten=hello_eaten or rom.hello_eaten), _accept))

    def _start_programmer(self) -> None:
        self._condition = ""
        self._state = State.PROGRAMMER
        software = self._programmer(greet=True)
        if self.profile.usb3:
            self._leave()
            self._appear(software, super_speed=True)
        elif self._controller is not None:
            self._controller.load(software)

    def _programmer(self, *, greet: bool) -> Firmware:
        self._board = board = Board(
            self.storage,
            chip_serial=self.profile.rom.fuses.serial,
            fuses=self.profile.rom.fuses,
            packet_bytes=_packet_bytes(super_speed=self.profile.usb3),
            payload_bytes=self.profile.payload_bytes,
            quirks=self.profile.quirks,
            injector=self._injector,
        )
        if self.profile.programmer == "streaming":
            return streaming_programmer(board, self.profile.manners)
        return programmer(self.profile.programmer, board, greet=greet)

    def _appear(
        self,
        software: Firmware,
        *,
        super_speed: bool = False,
        ids: tuple[int, int] | None = None,
        product: str | None = "",
    ) -> None:
        """Come up on the bus with new software.

        ids, product: USB ids and string, if they are not the usual ones.
        """
        profile = self.profile
        self._controller = Controller(
            software,
            self._exit,
            packet_bytes=_packet_bytes(super_speed=super_speed),
            injector=self._injector,
            clock=self.clock,
            wire=self.wire,
        )
        self.backend.attach(
            UsbDevice(
                self._controller,
                self._port,
                ids=ids or profile.usb_ids,
                protocol=FIREHOSE_PROTOCOL if super_speed else profile.usb_protocol,
                product=profile.usb_product if product == "" else product,
                strings_readable=profile.strings_readable,
                kernel_driver=profile.kernel_driver,
                injector=self._injector,
            )
        )

    def _leave(self) -> None:
        self._owed = None
        if self._controller is not None:
            self._controller.unplug()
            self._controller = None


_PLAIN = {
    "spinor": FlashProduct("SPINOR", 0xEF, "VIRTUALNOR"),
    "nvme": FlashProduct("NVMe", 0x1CC, "VIRTUAL NVME"),
}


def _storage(profile: Profile, folder: Path | None) -> Storage:
    sectors = [profile.lun_sectors[number] for number in sorted(profile.lun_sectors)]
    life, pre_eol = profile.life, profile.pre_eol
    faults = profile.flash
    if profile.wear:
        _, make = wear.CONDITIONS[profile.wear]
        faults = make(faults, profile.lun_sectors, profile.sector_bytes)
    if profile.storage == "emmc":
        registers = ext_csd(sectors[0], life or (1, 1), 1 if pre_eol is None else pre_eol)
        product = EmmcProduct(ext_csd=registers)
        return emmc(sectors[0], product=product, faults=faults, folder=folder)
    if profile.storage == "nand":
        chip = NandLun(profile.nand, sectors[0], folder)
        return plain(nand_product(profile.nand), chip, faults=faults)
    if profile.storage != "ufs":
        flash = Lun(sectors[0], profile.sector_bytes, folder and folder / "flash.img")
        return plain(_PLAIN[profile.storage], flash, faults=faults)
    about = UfsProduct(life=life, descriptor_locked=int(profile.locked))
    return ufs(sectors, product=about, faults=faults, folder=folder)


def _packet_bytes(*, super_speed: bool) -> int:
    return SUPER_SPEED_PACKET_BYTES if super_speed else HIGH_SPEED_PACKET_BYTES


def _accept(image: LoadedImage) -> None:
    """Let the image start; what it holds does not matter to a phone in software."""
