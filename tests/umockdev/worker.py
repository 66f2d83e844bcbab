# SPDX-License-Identifier: BSD-3-Clause
"""A process that sees the testbed: it uses libusb for a test.

Pickled messages come on the standard input, answers go to the standard output.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import traceback
from typing import Any, BinaryIO, NamedTuple

import usb.backend.libusb1

from tests.umockdev.session import Session

FORGET = "forget"


class Message(NamedTuple):
    """A call of the session; the first one makes it, FORGET ends it."""

    method: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] | None = None


class Answer(NamedTuple):
    """What the call returned, or the traceback of an exception that is no Failure."""

    result: Any
    traceback: str | None = None


class Worker:
    """Has a session when it is asked for one."""

    def __init__(self, library: str) -> None:
        self._library = library
        self._session: Session | None = None

    def serve(self, calls: BinaryIO, answers: BinaryIO) -> None:
        """Serve messages until there are no more."""
        with contextlib.suppress(EOFError):
            while True:
                message: Message = pickle.load(calls)  # noqa: S301  from the test that started us
                try:
                    answer = Answer(self._call(message))
                except Exception:  # noqa: BLE001  the test shows it
                    answer = Answer(None, traceback.format_exc())
                pickle.dump(answer, answers)
                answers.flush()

    def _call(self, message: Message) -> Any:  # noqa: ANN401
        if message.method == FORGET:
            if self._session is not None:
                self._session.close()
            self._session = None
            return None
        if self._session is None:
            usb.backend.libusb1._lib_object = None  # a new context; pyusb keeps one for ever
            self._session = Session(
                usb.backend.libusb1.get_backend(find_library=lambda _: self._library)
            )
        return getattr(self._session, message.method)(*message.args, **message.options or {})


def main() -> None:
    """Serve the process that started us; what anybody prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Worker(sys.argv[1]).serve(sys.stdin.buffer, answers)
