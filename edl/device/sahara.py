# SPDX-License-Identifier: BSD-3-Clause
"""A boot ROM over a transport: who are you, and take this programmer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping

from edl.device import image_refusal
from edl.errors import (
    CrashDumpError,
    DeviceGoneError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    UsageError,
)
from edl.events import Emit, Stage, ignore
from edl.identity import PhoneIdentity
from edl.imageset import PROGRAMMER_ID
from edl.sahara import host, identity
from edl.sahara.host import SaharaHost
from edl.sahara.packets import Exec, Mode
from edl.sahara.status import Status, words
from edl.transport import Transport

_log = logging.getLogger(__name__)

PACKET_TIMEOUT_S = 10.0
SLOW_IMAGES = {34: 30.0, 38: 30.0}  # DDR training and XBL configuration: up to 30 s afterwards
DATA_TIMEOUT_S = 10.0
_COMMAND_TIMEOUT_S = 2.0
_NUDGE_S = 2.0
_SHORT_S = 1.0
_PEEP_S = 0.02
_SEND_ATTEMPTS = 5
_MAX_ANSWER_BYTES = 64 * 1024  # longest known answer that tells who a phone is: under 2 KiB
_MAX_REQUEST_BYTES = 64 * 1024 * 1024
_MAX_EVENTS = 100_000  # of one upload: the largest programmer in pieces of 1 KiB
_MAX_ROUNDS = 16  # how often all images may be asked for: some parts are, twice (qdl)
_MAX_EMPTY = 16  # requests for no bytes
_MAX_GREETINGS = 64  # one for each image of a chain, and some for lost ones
_MAX_STALE = 100  # packets that are passed over while another one is due


class Budget:
    """What a phone may ask for in one upload, so that none goes on for ever."""

    def __init__(self, images: Mapping[int, bytes]) -> None:
        self._bytes = _MAX_ROUNDS * sum(map(len, images.values()))
        self._empty = _MAX_EMPTY
        self._greetings = _MAX_GREETINGS

    def greeting(self) -> None:
        """Count a greeting.

        Raises:
            ProtocolError: it is one too many.
        """
        self._greetings -= 1
        self._check(self._greetings)

    def piece(self, length: int) -> None:
        """Count a piece of that length.

        Raises:
            ProtocolError: it is one too many.
        """
        self._bytes -= length
        self._empty -= not length
        self._check(min(self._bytes, self._empty))

    @staticmethod
    def _check(left: int) -> None:
        if left < 0:
            raise ProtocolError("The phone asks for pieces of the programmer without end.")


class BootRom:
    """A device that speaks Sahara."""

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._emit = emit
        self._host = SaharaHost()
        self._pushed: list[host.Event] = []

    def receive(self, data: bytes | memoryview) -> None:
        """Take bytes that arrived before this object existed."""
        self._host.receive(data)

    def push_back(self, event: host.Event) -> None:
        """Put an event back, for `upload` to take first."""
        self._pushed.append(event)

    def leftover(self) -> bytes:
        """Return the bytes that came behind the last packet: the programmer's first words."""
        return self._host.leftover()

    def upcoming(self, timeout_s: float) -> host.Event:
        """Return what was put back, else what the device says next; raises as `next_event`."""
        return self._pushed.pop(0) if self._pushed else self.next_event(timeout_s)

    def next_event(self, timeout_s: float) -> host.Event:
        """Return what the device says next.

        Raises:
            TransportTimeoutError: nothing in time.
            ProtocolError: what came is no Sahara.
        """
        while (event := self._host.next_event()) is None:
            self._host.receive(self._transport.read(timeout_s))
        _log.debug("< %s", event)
        return event

    def send(self, packet: bytes) -> None:
        """Send one packet that the core made. What the phone says late blocks it: take that."""
        _log.debug("> %s", packet.hex())
        left = _SEND_ATTEMPTS
        while True:
            left -= 1
            try:
                self._transport.write(packet, _SHORT_S)
            except TransportTimeoutError as error:
                if error.done_bytes or not left:
                    raise
                with contextlib.suppress(TransportTimeoutError):
                    self._host.receive(self._transport.read(_PEEP_S))
            else:
                return

    def wake(self, mode: Mode = Mode.IMAGE_PENDING) -> bool:
        """Send an answer to a HELLO that nobody saw: another program may have eaten it.

        Returns False for a phone that does not take it: it has something to say, or is mute.
        """
        try:
            self._transport.write(self._host.hello(mode), _SHORT_S)
        except TransportTimeoutError:
            return False
        return True

    def ask_for(self, mode: Mode) -> None:
        """Answer its HELLO with a wish for mode."""
        self.send(self._host.hello(mode))

    def ask_for_memory(self, address: int, length: int, *, wide: bool) -> None:
        """Ask a crashed phone for memory, which comes raw."""
        self.send(self._host.read_memory(address, length, wide=wide))

    def start_over(self) -> None:
        """Ask for a fresh HELLO without a reset of the chip; old boot ROMs do not know this."""
        self.send(self._host.restart())

    # -- identity -------------------------------------------------------------------------------

    def identify(self, hello: host.HelloSeen | None) -> PhoneIdentity:
        """Ask who the phone is, and leave it ready for an image.

        hello: its greeting; None if it is in command mode already.

        Everything may be refused (version 3 refuses the HWID, some modems refuse all), so each
        question is optional, and after the first refusal no more are asked. `upload` goes on from
        wherever this ends.
        """
        answers: dict[Exec, bytes] = {}
        try:
            if hello is None or self._enter_command_mode():
                for question in _questions(hello):
                    answer = self.ask(question)
                    if answer is None:
                        break
                    answers[question] = answer
                self.leave_commands()
        except (TransportTimeoutError, ProtocolError) as error:
            _log.info("command mode fails: %s", error)
            self._emit(Stage("identity", "the boot ROM does not tell more: asking for a new start"))
            self._recover()
        fresh = (event for event in self._pushed if isinstance(event, host.HelloSeen))
        hello = hello or next(fresh, None)
        return _identity(hello.version if hello else None, answers)

    def _enter_command_mode(self) -> bool:
        self.send(self._host.hello(Mode.COMMAND))
        event = self.next_event(_COMMAND_TIMEOUT_S)
        if isinstance(event, host.CommandReady):
            return True
        if isinstance(event, host.ImageEnded):
            self._recover()
        else:  # it went on to ask for the image, or greets again: not interested in commands
            self._pushed.append(event)
        return False

    def ask(self, question: Exec, most_bytes: int = _MAX_ANSWER_BYTES) -> bytes | None:
        """Return the answer to a client command; None if it was refused. Only in command mode.

        Raises:
            TransportTimeoutError: there is none.
            ProtocolError: it is no answer, or longer than most_bytes.
        """
        self.send(self._host.execute(question))
        match self.next_event(_COMMAND_TIMEOUT_S):
            case host.AnswerAnnounced(size_bytes=0):
                return b""
            case host.AnswerAnnounced(size_bytes=size) if size > most_bytes:
                raise ProtocolError(f"The answer to {question.name} has {size} bytes.")
            case host.AnswerAnnounced() as announced:
                self.send(self._host.fetch(announced))
                answer = self.next_event(_COMMAND_TIMEOUT_S)
                return answer.data if isinstance(answer, host.Answered) else None
            case host.ImageEnded(_, status):
                _log.info("%s: %s", question.name, words(status))
                return None
            case other:
                self._pushed.append(other)
                return None

    def leave_commands(self) -> None:
        """Leave command mode; the fresh greeting is put back.

        Raises:
            TransportTimeoutError: there is none.
        """
        self.send(self._host.switch_mode(Mode.IMAGE_PENDING))
        for _ in range(_MAX_STALE):
            try:
                event = self.next_event(_COMMAND_TIMEOUT_S)
            except TransportTimeoutError:
                with contextlib.suppress(TransportTimeoutError):
                    if self._greets_again():
                        return
                self._emit(Stage("identity", "the boot ROM does not greet again: knocking"))
                self.wake()
                event = self.next_event(_SHORT_S)
            if not isinstance(event, host.ImageEnded | host.CommandReady):
                self._pushed.append(event)
                return

    def _recover(self) -> None:
        """Get a fresh HELLO from a boot ROM that refused or fell silent: gently, then firmly."""
        self._host.leftover()
        for packet in (b"", self._host.switch_mode(Mode.IMAGE_PENDING), self._host.restart()):
            try:
                if packet:
                    self.send(packet)
                if self._greets_again():
                    return
            except TransportTimeoutError:
                continue
        self.wake()

    def _greets_again(self) -> bool:
        """Tell whether the boot ROM greets, passing over what it says late."""
        for _ in range(_MAX_STALE):
            try:
                event = self.next_event(_SHORT_S)
            except ProtocolError as error:
                _log.debug("passing over: %s", error)
                continue
            if isinstance(event, host.HelloSeen):
                self._pushed.append(event)
                return True
            _log.debug("passing over %s", event)
        return False

    # -- upload ---------------------------------------------------------------------------------

    def upload(self, images: Mapping[int, bytes]) -> frozenset[int]:
        """Give the phone what it asks for until it starts the programmer.

        images: bytes by image id. The phone chooses the order and the pieces.

        Returns:
            The ids of images that it did not ask for.

        Raises:
            ProgrammerRefusedError: the phone does not accept an image, or wants one that is not
                there.
            ProtocolError: it asks for impossible pieces.
        """
        last_id = PROGRAMMER_ID
        budget = Budget(images)
        timeout_s = PACKET_TIMEOUT_S
        sent_bytes = 0
        unasked = set(images)
        for _ in range(_MAX_EVENTS):
            match self._next_or_started(timeout_s):
                case host.HelloSeen(mode=mode):
                    budget.greeting()
                    wanted = Mode.IMAGE_COMPLETE if mode == 1 else Mode.IMAGE_PENDING
                    self.send(self._host.hello(wanted))
                case host.ImageRequested(image_id, offset, length):
                    last_id = image_id
                    unasked.discard(image_id)
                    sent_bytes += self.serve(images, image_id, offset, length)
                    budget.piece(length)
                case host.ImageEnded(image_id, status):
                    self.finish(image_id, status)
                    self._emit(Stage("upload", f"image {image_id} sent, {sent_bytes} bytes"))
                    timeout_s = SLOW_IMAGES.get(image_id, PACKET_TIMEOUT_S)
                case host.DoneAnswered(complete):
                    if complete or (len(images) == 1 and last_id in {PROGRAMMER_ID, 7}):
                        # MSM8916 and its family say "more" and start it all the same
                        return frozenset(unasked)
                case host.ProgrammerSpeaks() | None:
                    return frozenset(unasked)
                case host.MemoryOffered():
                    raise crash_dump()
                case host.CommandReady():
                    self.send(self._host.switch_mode(Mode.IMAGE_PENDING))
                case other:
                    raise ProtocolError(f"{other} came in the middle of the upload.")
        raise ProtocolError("The phone asks for pieces of the programmer without end.")

    def finish(self, image_id: int, status: Status) -> None:
        """Start the image that is complete; raise an error for one that was refused."""
        if status is not Status.SUCCESS:
            self.reset()
            raise image_refusal.refused(image_id, status)
        self.send(self._host.done())

    def _next_or_started(self, timeout_s: float) -> host.Event | None:
        """Return what comes next; None if the last word got lost in the hurry of the start."""
        try:
            return self.upcoming(timeout_s)
        except (TransportTimeoutError, DeviceGoneError):
            if self._host.phase is not host.Phase.DONE:
                raise
            return None

    def serve(self, images: Mapping[int, bytes], image_id: int, offset: int, length: int) -> int:
        """Send the piece of an image that the phone asks for, and return its length.

        Raises:
            ProgrammerRefusedError: there is no such image, or no such piece of it.
            TransportError: the connection fails.
        """
        try:
            image = images.get(image_id)
        except UsageError:  # which one is meant, nobody knows
            self.reset()
            raise
        if image is None:
            self.reset()
            raise ProgrammerRefusedError(
                f"The phone asks for image {image_id}, which was not given"
                f" (given: {', '.join(map(str, sorted(images)))}).",
                remedies=(image_refusal.missing_image_remedy(image_id),),
            )
        if length > _MAX_REQUEST_BYTES or offset + length > len(image):
            self.reset()
            raise ProgrammerRefusedError(
                f"The phone asks for bytes {offset} to {offset + length} of image {image_id},"
                f" which has {len(image)}.",
                remedies=("The file is cut short: get the programmer again.",),
            )
        self._transport.write(memoryview(image)[offset : offset + length], DATA_TIMEOUT_S)
        self._nudge(length)
        return length

    def _nudge(self, length: int) -> None:
        """Send a zero-length packet if the phone waits for one.

        Boot ROMs count bytes, and some (QCS8550) break on a packet too many; newer ones are said
        to stall without it. So it is sent only to a phone that has stopped.
        """
        packet_bytes = self._transport.packet_bytes
        if not packet_bytes or length % packet_bytes or self._host.has_bytes():
            return
        try:
            self._host.receive(self._transport.read(_NUDGE_S))
        except TransportTimeoutError:
            _log.info("no answer to %d bytes: trying a zero-length packet", length)
            with contextlib.suppress(TransportTimeoutError):  # then it did not wait for one
                self._transport.write(b"", _SHORT_S, zlp=True)

    def reset(self) -> bool:
        """Ask for a reset, so that the phone can be tried again without unplugging it.

        A phone that waits for data takes the first one for that, complains, and takes the second.
        Returns whether it obeys.
        """
        try:
            for _ in range(2):
                self.send(self._host.reset())
                if isinstance(self._reset_answer(), host.ResetAnswered):
                    return True
        except DeviceGoneError:
            return True
        except (TransportError, ProtocolError) as error:
            _log.debug("no answer to the reset: %s", error)
        return False

    def _reset_answer(self) -> host.Event | None:
        for _ in range(_MAX_STALE):
            event = self.next_event(_SHORT_S)
            if isinstance(event, host.ResetAnswered | host.ImageEnded):
                return event
        return None


def _questions(hello: host.HelloSeen | None) -> tuple[Exec, ...]:
    """Return what to ask, in the order of what is answered most often."""
    if hello is None:
        return Exec.SERIAL, Exec.PK_HASH, Exec.HWID
    return Exec.SERIAL, Exec.HWID if hello.version < 3 else Exec.CHIP_ID_V3, Exec.PK_HASH


def _identity(version: int | None, answers: Mapping[Exec, bytes]) -> PhoneIdentity:
    chip = identity.chip_id(answers.get(Exec.CHIP_ID_V3, b""))
    return PhoneIdentity(
        serial=identity.serial_number(answers.get(Exec.SERIAL, b"")),
        hwid=chip.hwid if chip else identity.hwid(answers.get(Exec.HWID, b"")),
        pk_hash=identity.pk_hash(answers.get(Exec.PK_HASH, b"")),
        sahara_version=version,
        soc_version=chip.soc_version if chip else None,
    )


def crash_dump() -> CrashDumpError:
    """Return the error for a phone that offers its memory instead of taking an image."""
    return CrashDumpError("The phone is in crash-dump mode, not in EDL mode: it takes no image.")
