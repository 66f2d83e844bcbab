# SPDX-License-Identifier: BSD-3-Clause
"""A dialog with a program (--dialog): questions go out on stdout, answers and orders come in.

What comes on stdin is one JSON object a line, and hostile until it is understood: lines have a
bound, and whatever is no answer to the open question and no order is left out, with a notice.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Any, Self

import click

from edl.cli import terminal

LONGEST_LINE_BYTES = 8 * 1024
# Ctrl-C itself may be ignored (nohup, a script's background job): orders have a signal of their own
# where there is one, that is, not on Windows
ORDER = getattr(signal, "SIGUSR1", signal.SIGINT)
_OWN: bool = ORDER != signal.SIGINT
_PIECE_BYTES = 64 * 1024
_LOOK_S = 0.5  # Windows tells a waiting thread nothing of Ctrl-C
_TWICE_S = 1.0
_MOST_NOTICES = 20
_MOST_TOLD_CHARS = 64 * 1024


class Stop(StrEnum):
    """How to stop: as the first Ctrl-C does it, or as the second."""

    GENTLY = "gently"
    AT_ONCE = "at once"


@dataclass(frozen=True)
class Answer:
    """What somebody says to question number `number`: yes or no, or a word."""

    number: int
    answer: bool | str


def parse(line: bytes) -> Answer | Stop:
    """Return what a line of stdin says.

    Raises:
        ValueError: it is neither an answer nor an order; the text says why.
    """
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError(f"it has more than {LONGEST_LINE_BYTES} bytes")
    try:
        said = json.loads(line.decode(), object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON object, or an ambiguous one") from error
    match said:
        case {"stop": "gently" | "at once" as how, **rest} if not rest:
            return Stop(how)
        case {"id": int() as number, "answer": bool() | str() as answer, **rest} if (
            not rest and not isinstance(number, bool)
        ):
            return Answer(number, answer)
    raise ValueError('it is no {"id": N, "answer": ...} and no {"stop": "gently" or "at once"}')


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


class Lines:
    """Cuts what comes in into lines. Of one that is too long only the beginning is kept."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that data completes; one longer than LONGEST_LINE_BYTES is cut."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._begun + lines[0]
            self._begun = b""
        self._begun = (self._begun + rest)[: LONGEST_LINE_BYTES + 1]
        return [line[: LONGEST_LINE_BYTES + 1] for line in lines]


class Dialog:
    """The dialog of one run. read: returns the next bytes, none at the end."""

    def __init__(self, read: Callable[[], bytes] | None = None) -> None:
        self._read = read or _stdin()
        self._changed = threading.Condition()
        self._number = 0  # of the last question
        self._open = ""  # kind of the question that waits for its answer
        self._answer: bool | str | None = None
        self._order: Stop | None = None
        self._heeded: tuple[Stop | None, float] = None, 0.0  # the last order, and when
        self._ended = self._closed = False
        self._left_out = 0
        self._notices: list[str] = []
        self._told: list[str] = []
        self._room = _MOST_TOLD_CHARS
        self._before: Any = None

    # -- what comes in, on a thread of its own -----------------------------------------------------

    def start(self) -> Self:
        """Begin to listen; orders interrupt the main thread from now on."""
        with contextlib.suppress(ValueError):  # not in the main thread: nobody to interrupt
            self._before = signal.signal(ORDER, self._interrupted)
        threading.Thread(target=self._listen, name="dialog", daemon=True).start()
        return self

    def close(self) -> None:
        """Heed nothing more. It may be called again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            before, self._before = self._before, None
        if before is not None:
            signal.signal(ORDER, signal.SIG_IGN)  # one that is under way would end the process
            signal.signal(ORDER, before)

    def _listen(self) -> None:
        lines = Lines()
        while data := self._next():
            for line in lines.feed(data):
                self._take(line.strip())
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _next(self) -> bytes:
        try:
            return self._read()
        except (OSError, ValueError):  # as if it had ended
            return b""

    def _take(self, line: bytes) -> None:
        if not line:
            return
        with self._changed:
            try:
                said = parse(line)
                if isinstance(said, Answer):
                    self._answered(said)
                elif not self._closed:
                    self._ordered(said)
            except ValueError as error:
                self._leave_out(str(error))
            self._changed.notify_all()

    def _answered(self, said: Answer) -> None:
        """Take an answer to the open question; no is one to every question.

        Raises:
            ValueError: it is not to that question, or of another kind.
        """
        if not self._open or said.number != self._number or self._answer is not None:
            raise ValueError(f"question {said.number} is not open")
        if self._open == "confirm" and not isinstance(said.answer, bool):
            raise ValueError(f"question {said.number} takes true or false")
        if self._open == "word" and said.answer is True:
            raise ValueError(f"question {said.number} takes the word itself")
        self._answer = said.answer

    def _ordered(self, order: Stop) -> None:
        """Interrupt what the main thread does: its question, or its work as Ctrl-C would.

        A signal that comes just before the thread begins to wait does not end that wait: so it is
        sent until it has been heeded. (On Windows no signal ends most waits, nor does Ctrl-C.)
        Whoever clicks twice does not interrupt how the first order is carried out.
        """
        last, since = self._heeded
        if time.monotonic() - since < _TWICE_S and (last is Stop.AT_ONCE or order is last):
            return
        self._order = order
        while not (self._open or self._closed):
            _interrupt()
            if _OWN:
                self._changed.wait(_LOOK_S)
            if not _OWN or self._order is None:
                break
        self._heeded = order, time.monotonic()

    def _leave_out(self, why: str) -> None:
        self._left_out += 1
        if self._left_out <= _MOST_NOTICES:
            more = "; no more is told of such lines" if self._left_out == _MOST_NOTICES else ""
            self._notices.append(f"a line on stdin was left out: {why}{more}")

    # -- orders, on the main thread ----------------------------------------------------------------

    def _interrupted(self, number: int, _frame: FrameType | None) -> None:
        """Do what Ctrl-C does where nobody is prepared for it."""
        if not is_spent(number, self.order()):
            raise KeyboardInterrupt

    def order(self) -> Stop | None:
        """Return the order that has come and was not taken yet."""
        with self._changed:
            order, self._order = self._order, None
            self._changed.notify_all()
        return order

    # -- questions ---------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Keep a notice until flush tells it. A signal handler may call it."""
        with self._changed:
            self._notices.append(text)

    def flush(self) -> None:
        """Tell the notices that came up meanwhile, from the thread that tells everything else."""
        with self._changed:
            notices, self._notices = self._notices, []
        for text in notices:
            row = {"v": 1, "type": "event", "event": "notice", "text": text}
            terminal.out([json.dumps(row)])

    def tell(self, text: str) -> None:
        """Keep a line that a terminal shows: it belongs to the next question, if one comes."""
        text = terminal.clean(text)
        self._room -= len(text)
        if self._room >= 0:
            self._told.append(text)

    def confirmed(self, question: str) -> bool:
        """Return whether the answer is yes.

        Raises:
            click.Abort: Ctrl-C, an order to stop, or nobody answers any more.
        """
        return self._ask("confirm", question) is True

    def typed(self, question: str, word: str) -> bool:
        """Return whether word came, letter by letter. Raises as confirmed does."""
        answer = self._ask("word", question, word)
        return isinstance(answer, str) and answer.strip() == word

    def _ask(self, kind: str, question: str, word: str | None = None) -> bool | str:
        more = ["(There is more of it, which is left out here.)"] if self._room < 0 else []
        text = "\n".join([*self._told, *more, terminal.clean(question)])
        self._told, self._room = [], _MOST_TOLD_CHARS
        with self._changed:
            self._number += 1
            self._open, self._answer = kind, None
            data = {"id": self._number, "kind": kind, "text": text, "word": word}
        try:
            terminal.out([json.dumps({"v": 1, "type": "question", **data})])
            answer = self._wait()
        except KeyboardInterrupt as error:
            raise click.Abort from error
        finally:
            with self._changed:
                self._open = ""
                stopped = self.order() is not None
        if stopped:  # just behind the answer
            raise click.Abort
        return answer

    def _wait(self) -> bool | str:
        while True:
            self.flush()
            with self._changed:
                if self._answer is not None:
                    return self._answer
                if self._ended or self._order is not None:
                    raise click.Abort
                if not self._notices:
                    self._changed.wait(_LOOK_S)


def is_spent(number: int, order: Stop | None) -> bool:
    """Tell whether a signal was sent for an order that an earlier one has brought already."""
    return _OWN and number == ORDER and order is None


def _interrupt() -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, ORDER)  # which ends its waits; raised here it would not
    else:
        signal.raise_signal(ORDER)


def _stdin() -> Callable[[], bytes]:
    """Return what reads stdin past Python's buffer, whose lock a waiting thread would keep."""
    try:
        number = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # there is none
        return bytes
    return lambda: os.read(number, _PIECE_BYTES)
