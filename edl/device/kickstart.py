# SPDX-License-Identifier: BSD-3-Clause
"""A device without flash (modem, accelerator) that takes its system over Sahara: image after image.

Its boot ROM asks for images by id, in an order and in pieces of its own; each ends with DONE, and
another greeting follows, until the last one starts. In between some want their host to fetch data
of memory training, to be given back as image 34 at the next start (sahara.md 6.4).
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edl.device.sahara import PACKET_TIMEOUT_S, SLOW_IMAGES, BootRom, Budget, crash_dump
from edl.errors import (
    DeviceGoneError,
    MuteError,
    NoDeviceError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.events import BytesMoved, Emit, Stage, StepStarted, ignore
from edl.imageset import usual_name
from edl.sahara import host
from edl.sahara.packets import Exec, Mode
from edl.transport import Transport

_log = logging.getLogger(__name__)

GREETING_S = 3.0
_MAX_EVENTS = 10_000_000  # a system of 10 GiB in pieces of 1 KiB
_TRAINING_ID = 34

Reopen = Callable[[], Transport]
Keep = Callable[[bytes], object]


class End(enum.Enum):
    """How the device has ended the session."""

    COMPLETE = "it has said that this was the last image"
    LEFT = "it has left after an image, as a device does that starts"
    SPEAKS = "a programmer has started on it"
    SILENT = "it has asked for nothing more after the only image"


@dataclass
class Served:
    """What was sent. images: bytes by id, in the order in which the device asked first."""

    end: End = End.COMPLETE
    images: dict[int, int] = field(default_factory=dict)
    training_bytes: int = 0


class Kickstart:
    """One start of a device without flash."""

    def __init__(
        self,
        transport: Transport,
        images: Mapping[int, bytes],
        emit: Emit = ignore,
        *,
        keep: Keep | None = None,
        reopen: Reopen | None = None,
    ) -> None:
        """images: by id. keep: takes training data, if the device offers some.

        reopen: finds the device again where it leaves the bus between two images.
        """
        self._rom = BootRom(transport, emit)
        self._images = images
        self._emit = emit
        self._keep = keep
        self._reopen = reopen
        self._budget = Budget(images)
        self._timeout_s = GREETING_S
        self._served = Served()
        self._last_id: int | None = None
        self._between = False  # an image is done, and the next one has not been asked for

    def run(self) -> Served:
        """Obey the device until it ends the session.

        Raises:
            MuteError: it does not answer at all, or stops in the middle of an image.
            ProgrammerRefusedError: it does not accept an image, or wants one that is not there.
            CrashDumpError: it has crashed, and offers its memory.
            ProtocolError: it asks for impossible pieces.
        """
        self._greet()
        for _ in range(_MAX_EVENTS):
            try:
                event = self._rom.upcoming(self._timeout_s)
            except TransportTimeoutError as error:
                if not self._between:
                    raise _mute(self._last_id) from error
                if len(self._images) > 1:
                    raise _stopped(self._last_id) from error
                return self._ended(End.SILENT)
            except DeviceGoneError:
                if not self._between:
                    raise
                if not self._back():
                    return self._ended(End.LEFT)
                continue
            if (end := self._obey(event)) is not None:
                return self._ended(end)
        raise ProtocolError("The device asks for pieces of its images without end.")

    def _greet(self) -> None:
        """Wake a device whose greeting another program has eaten."""
        try:
            self._rom.push_back(self._rom.next_event(GREETING_S))
        except TransportTimeoutError:
            self._emit(Stage("connect", "the device does not greet: knocking"))
            self._rom.wake()
        self._timeout_s = PACKET_TIMEOUT_S

    def _ended(self, end: End) -> Served:
        self._served.end = end
        return self._served

    def _back(self) -> bool:
        """Tell whether the device has come back on the bus, and take it then."""
        if self._reopen is None:
            return False
        try:
            self._rom = BootRom(self._reopen(), self._emit)
        except (DeviceGoneError, NoDeviceError):
            return False
        self._emit(Stage("connect", "the device comes back on the bus for the next image"))
        self._between = False
        return True

    def _obey(self, event: host.Event) -> End | None:
        """Do what the device wants; return how it has ended the session, if it has."""
        match event:
            case host.HelloSeen(mode=Mode.MEMORY_DEBUG) | host.MemoryOffered():
                raise crash_dump()
            case host.HelloSeen(mode=mode):
                self._budget.greeting()
                self._rom.ask_for(_answer(mode, keep=self._keep is not None))
            case host.ImageRequested(image_id, offset, length):
                self._piece(image_id, offset, length)
            case host.ImageEnded(image_id, status):
                self._rom.finish(image_id, status)
                self._between = True
                self._timeout_s = SLOW_IMAGES.get(image_id, PACKET_TIMEOUT_S)
            case host.DoneAnswered(complete):
                return End.COMPLETE if complete else None
            case host.ProgrammerSpeaks():
                return End.SPEAKS
            case host.CommandReady():
                self._training()
            case other:
                _log.info("passing over %s", other)
        return None

    def _piece(self, image_id: int, offset: int, length: int) -> None:
        self._between = False
        if image_id not in self._images:
            self._rom.reset()
            raise _missing(image_id, self._images)
        if image_id != self._last_id:
            size = len(self._images[image_id])
            index = len(self._served.images) + (image_id not in self._served.images)
            count = max(index, len(self._images))
            self._emit(StepStarted(index, count, f"image {image_id}", size))
            self._last_id = image_id
        self._budget.piece(length)
        sent = self._rom.serve(self._images, image_id, offset, length)
        self._served.images[image_id] = self._served.images.get(image_id, 0) + sent
        self._emit(BytesMoved(sent))

    def _training(self) -> None:
        """Fetch what the device has learnt about its memory, if it is to be kept."""
        if self._keep is not None:
            known = self._rom.ask(Exec.COMMAND_IDS) or b""
            if Exec.TRAINING_DATA.to_bytes(4, "little") in _words(known):
                data = self._rom.ask(Exec.TRAINING_DATA, host.MAX_ANSWER_BYTES) or b""
                self._keep(data)
                self._served.training_bytes = len(data)
                self._emit(Stage("training", f"{len(data)} bytes of training data kept"))
        self._rom.leave_commands()


def _answer(mode: Mode, *, keep: bool) -> Mode:
    """Return the mode to ask for: what the device offers; command mode only to keep something."""
    if mode is Mode.COMMAND:
        return Mode.COMMAND if keep else Mode.IMAGE_PENDING
    return Mode.IMAGE_COMPLETE if mode is Mode.IMAGE_COMPLETE else Mode.IMAGE_PENDING


def _words(data: bytes) -> list[bytes]:
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def _mute(image_id: int | None) -> MuteError:
    if image_id is None:
        return MuteError("The device is connected but mute: it asks for nothing.", remedies=_AGAIN)
    return MuteError(f"The device stopped in the middle of image {image_id}.", remedies=_AGAIN)


def _missing(image_id: int, images: Mapping[int, bytes]) -> ProgrammerRefusedError:
    name = usual_name(image_id)
    called = f"; it is mostly called {name}" if name else ""
    if image_id == _TRAINING_ID:
        called = ": memory training data, which --training FILE keeps at an earlier start"
    return ProgrammerRefusedError(
        f"The device asks for image {image_id}, which was not given"
        f" (given: {', '.join(map(str, sorted(images)))}).",
        remedies=(f"Give it with -s {image_id}:FILE{called}.",),
    )


def _stopped(image_id: int | None) -> MuteError:
    return MuteError(
        f"The device has taken image {image_id}, says that more follow, and asks for none.",
        remedies=_AGAIN,
    )


_AGAIN = ("Reset the device, or take its power away for a moment, and repeat the command.",)
