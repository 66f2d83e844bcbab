# SPDX-License-Identifier: BSD-3-Clause
"""A conversation in Streaming Download: the greeting, questions, and what a no means."""

from __future__ import annotations

from collections.abc import Callable

from edl.device import framed
from edl.errors import (
    DeviceRefusedError,
    ProgrammerFailedError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.events import DeviceLog, Emit, ignore
from edl.streaming.host import (
    COMPATIBLE_VERSION,
    VERSIONS,
    Damaged,
    Data,
    Done,
    Event,
    Hello,
    LogLine,
    Refused,
    StreamingHost,
    status_text,
)
from edl.streaming.packets import ErrorCode
from edl.transport import Transport

HELLO_S = 0.5
HELLO_ATTEMPTS = 10  # the programmer needs time to start
_QUIET_S = 0.1
_MAX_LOGS = 20_000
_KEPT_LOGS = 200
_SHOWN_LINES = 8
_UNKNOWN_FLASH = "unrecognized flash"


class Talk:
    """One conversation.

    Attributes:
        core: the protocol core; it makes the requests.
    """

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._emit = emit
        self.core = StreamingHost()
        self._logs: list[str] = []
        self._logged = 0

    def greet(self) -> Hello:
        """Greet, and agree on what addresses count.

        An answer to something else, or to an earlier greeting, must not be taken for the answer:
        then writes would go to other places. So nothing is left to be said before it, it must fit
        what was asked for, and where several greetings were sent, the last one is repeated.
        """
        core: framed.Core[Event] = self.core
        said: Event | None = None
        version, *others = VERSIONS
        for attempt in range(HELLO_ATTEMPTS):
            framed.drain(self._transport, core, _QUIET_S)
            try:
                said = self._hello(version)
            except TransportTimeoutError:
                continue
            if isinstance(said, Hello) and said.counts_sectors == (version > COMPATIBLE_VERSION):
                return self._sure(said, version) if attempt else said
            if others:
                version, *others = others
        what = "silence" if said is None else _words(said)
        raise ProgrammerFailedError(
            f"The programmer does not answer the greeting of Streaming Download ({what}).",
            device_log=self._last_logs,
            remedies=(
                "Try another variant of the programmer, after entering EDL mode again.",
                "Use the programmer from the stock package of exactly this model.",
            ),
        )

    def _hello(self, version: int) -> Event:
        return self.ask(lambda: self.core.hello(version), HELLO_S)

    def _sure(self, hello: Hello, version: int) -> Hello:
        """Return hello once more, asked for when there was nothing else left to be said.

        Raises:
            ProtocolError: this time it is another.
        """
        core: framed.Core[Event] = self.core
        framed.drain(self._transport, core, _QUIET_S)
        if (again := self._hello(version)) != hello:
            raise ProtocolError(f"The programmer greets in two ways: {hello}, then {again}.")
        return hello

    def ask(self, make: Callable[[], bytes], timeout_s: float, *, once: bool = False) -> Event:
        """Return what answers a request; damaged frames were repeated.

        once: not if it may have been carried out already, which only a refused checksum rules out.
        """
        self._logs.clear()
        self._logged = 0
        core: framed.Core[Event] = self.core
        again = _was_refused if once else _was_damaged
        return framed.ask(self._transport, core, make, timeout_s, passes=self._note, again=again)

    def _note(self, event: Event) -> bool:
        """Keep and report a log line; tell whether event was one.

        Raises:
            ProgrammerFailedError: it does not know the flash of this phone.
            ProtocolError: it logs without end.
        """
        if not isinstance(event, LogLine):
            return False
        self._logged += 1
        if self._logged > _MAX_LOGS:
            raise ProtocolError(f"The phone logs without end: {event.text[:80]!r}")
        self._logs = [*self._logs[-_KEPT_LOGS:], event.text]
        self._emit(DeviceLog(event.text))
        if _UNKNOWN_FLASH in event.text.lower():
            raise ProgrammerFailedError(
                "The programmer does not know the flash of this phone.",
                device_log=self._last_logs,
                remedies=("Use the programmer from the stock package of exactly this model.",),
            )
        return True

    @property
    def _last_logs(self) -> tuple[str, ...]:
        return tuple(self._logs[-_SHOWN_LINES:])

    def refused(
        self, what: str, event: Event | None, kind: type[DeviceRefusedError] = DeviceRefusedError
    ) -> DeviceRefusedError | ProtocolError:
        """Return the error for an event that is not the answer that was due."""
        log = self._last_logs
        match event:
            case Refused(_, text) if text:
                log = (*log, text)
            case Damaged() | Hello() | Data():
                return ProtocolError(
                    f"The programmer was to {what}: {_words(event)}", device_log=log
                )
        message = f"The programmer refused to {what}: {_words(event)}."
        return kind(message, device_log=log, remedies=kind.remedies or _REMEDIES)


_REMEDIES = (
    "Run the command once more: a frame may have come damaged.",
    "If it says no again: hold the power button for 15 seconds and enter EDL mode again.",
)


def _was_refused(event: Event) -> bool:
    """Tell whether the device says that a request came damaged."""
    return isinstance(event, Refused) and event.code is ErrorCode.BAD_CRC


def _was_damaged(event: Event) -> bool:
    return _was_refused(event) or isinstance(event, Damaged)


def _words(event: Event | None) -> str:
    match event:
        case Refused(code, text):
            name = code.name.lower().replace("_", " ")
            return f"{name} (error {int(code):#04x}{', ' + text if text else ''})"
        case Done(command, status):
            return status_text(command, status)
        case Damaged(why):
            return f"a damaged frame came ({why})"
        case _:
            return f"{type(event).__name__} came"
