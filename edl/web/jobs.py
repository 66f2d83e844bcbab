# SPDX-License-Identifier: BSD-3-Clause
"""One job: a child process, the lines that it prints, and what is made of them.

The child has a session of its own: what ends the server, also a closed terminal, does not reach it,
and edl goes on with what changes a phone when nobody reads its lines any more.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edl
from edl.errors import UsageError
from edl.web.lines import Line, Lines, Reader, of_stream, tail
from edl.web.orders import Order

_TAIL_BYTES = 4096
_PATIENCE_S = 5.0
_LAST_WORDS_S = 1.0
_MOST_ANSWER = 200
_MOST_RESULT_BYTES = 256 << 10  # longer ones are among the lines only
# which phone, and how it is told of, is the server's to say
_NOT_INHERITED = (
    "EDL_SERIAL", "EDL_PORT", "EDL_VIRTUAL", "EDL_VID", "EDL_PID", "EDL_JSON", "EDL_QUIET",
    "EDL_VERBOSE", "EDL_NO_PROGRESS", "EDL_COLOR",
)  # fmt: skip
_INSTALLED = {"site-packages", "dist-packages"}
GENTLY = "gently"
AT_ONCE = "at once"

Tell = Callable[["Job", int | None, Line | None], None]


class NotNowError(Exception):
    """That cannot be done with the job as it is; says why."""


@dataclass(frozen=True)
class Start:
    """How a job is started.

    command: the child's whole command line. shown: as one would type it. report: where its page
    will be, or the folder of its pages; None where it makes none.
    """

    command: Sequence[str]
    shown: str
    report: Path | None = None


class Job:
    """A job, from its start until it is forgotten. Any thread may use it.

    tell: is called, without the job's lock, when something has changed, with the number of a new
    line and that line, if that is what is new. It is called once more when the job has ended.
    """

    def __init__(self, number: str, order: Order, start: Start, serial: str, tell: Tell) -> None:
        """Start it.

        Raises:
            OSError: the system starts no process.
        """
        self.id = number
        self.order = order
        self.phone = order.phone
        self.report = start.report
        self.result: dict[str, Any] | None = None
        self.status: int | None = None
        self.lines = Lines()
        self.ended = threading.Event()
        self._start = start
        self._serial = serial
        self._tell = tell
        self._lock = threading.RLock()
        self._begun, self._over = _now(), ""
        self._began_s, self._took_s = time.monotonic(), 0.0
        self._question: Line | None = None
        self._progress: dict[str, int] | None = None
        self._title = ""
        self._error: dict[str, Any] | None = None
        self._concluded = False  # it has given its result
        self._stop = ""
        self._stopped_s = 0.0
        self._stderr = b""
        self._process = _started(start.command)
        self._listener = threading.Thread(target=self._read_stderr, name=number, daemon=True)
        self._listener.start()
        threading.Thread(target=self._read, name=number, daemon=True).start()

    @property
    def runs(self) -> bool:
        """Whether the child is still there."""
        return self.status is None

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return time.monotonic() - self._began_s if self.runs else self._took_s

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that ended it."""
        return self._error

    @property
    def done_bytes(self) -> int:
        """How far it is, in bytes; 0 where it does not tell."""
        return self._progress["done_bytes"] if self._progress is not None else 0

    def data(self) -> dict[str, Any]:
        """Return what pages know of it: docs/web.md."""
        with self._lock:
            return {
                "id": self.id,
                "kind": self.order.name,
                "phone": self.phone,
                "serial": self._serial,
                "command": self._start.shown,
                "begun": self._begun,
                "ended": self._over or None,
                "status": self.status,
                "state": self._state(),
                "stop": self._stop or None,
                "question": self._question,
                "progress": self._progress,
                "title": self._title,
                "result": self.result,
                "error": self._error,
                "report": not self.runs and self.report is not None and self.report.exists(),
                "options": dict(self.order.options),
                "lines": self.lines.count,
            }

    def _state(self) -> str:
        if self.status is not None:
            return "done" if self.status == 0 else "failed"
        if self._stop:
            return "stopping"
        return "asking" if self._question is not None else "running"

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the lines from number on that are kept, each with its number."""
        with self._lock:
            return [{"n": at, "line": line} for at, line in self.lines.since(number)]

    # -- what people say ------------------------------------------------------------------------

    def answer(self, number: object, answer: object) -> None:
        """Give the answer to the open question.

        Raises:
            UsageError: it is no answer to such a question.
            NotNowError: that question is not open.
        """
        with self._lock:
            question = self._question
            if question is None or type(number) is not int or question["id"] != number:
                raise NotNowError("That question is not open: it was answered, or the job ended.")
            if question["kind"] == "confirm":
                right = isinstance(answer, bool)
            else:
                right = isinstance(answer, str) and len(answer) <= _MOST_ANSWER
            if not right:
                raise UsageError("That is no answer to this question.")
            self._question = None
        self._say({"id": number, "answer": answer})
        self._tell(self, None, None)

    def stop(self, how: object) -> None:
        """Ask it to stop: gently, after the piece that it is at, or at once.

        One that was asked to stop at once, and has not in five seconds, is ended when it is asked
        again: whatever it is at.

        Raises:
            UsageError: how is no way to stop.
        """
        if how not in (GENTLY, AT_ONCE):
            raise UsageError("'how' is 'gently' or 'at once'.")
        with self._lock:
            if not self.runs:
                return
            if self._stop == AT_ONCE:
                if how == AT_ONCE and time.monotonic() - self._stopped_s >= _PATIENCE_S:
                    self._process.kill()
                return
            if self._stop == how:
                return
            self._stop, self._stopped_s = str(how), time.monotonic()
        self._say({"stop": how})
        self._tell(self, None, None)

    def _say(self, data: Mapping[str, object]) -> None:
        stdin = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # it has just ended
            if stdin is not None:
                stdin.write(json.dumps(data).encode() + b"\n")
                stdin.flush()

    # -- what the child says --------------------------------------------------------------------

    def _read(self) -> None:
        reader = Reader()
        stream = self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            for raw in of_stream(stream) if stream is not None else ():
                if (found := reader.line(raw)) is not None:
                    self._take(*found)
        status = self._process.wait()
        self._listener.join(_LAST_WORDS_S)
        self._end(status)

    def _read_stderr(self) -> None:
        def keep(last: bytes) -> None:
            self._stderr = last

        stream = self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                with stream:
                    tail(stream, _TAIL_BYTES, keep)

    def _take(self, line: Line, size: int) -> None:
        with self._lock:
            if line.get("event") == "progress":
                if not self._progresses(line):
                    return
                number, news = None, True
            else:
                news = self._learns(line, size)
                number = self.lines.add(line, size)
        if number is not None:
            self._tell(self, number, line)
        if news:
            self._tell(self, None, None)

    def _progresses(self, line: Line) -> bool:
        done, total = line.get("done_bytes"), line.get("total_bytes")
        if type(done) is not int or type(total) is not int or done < 0 or total < 0:
            return False
        self._progress = {"done_bytes": done, "total_bytes": total}
        return True

    def _learns(self, line: Line, size: int) -> bool:
        """Take from line what it tells of the job as a whole; tell whether that is anything."""
        match line:
            case {"type": "event", "event": "stage", "text": str(text)}:
                self._title = text
            case {"type": "event", "event": "step", "title": str(text)}:
                self._title = text
            case {"type": "question", "id": int(), "kind": "confirm" | "word", "text": str()}:
                self._question = line
            case _:  # what it ends with is told when it has ended
                self._concluded |= line["type"] == "result"
                if line["type"] == "result" and size <= _MOST_RESULT_BYTES:
                    self.result = {key: line[key] for key in line if key not in {"v", "type"}}
                if line["type"] == "error" and isinstance(line.get("message"), str):
                    self._error = {key: line[key] for key in line if key not in {"v", "type"}}
                return False
        return True

    def _end(self, status: int) -> None:
        with self._lock:
            self.status = 128 - status if status < 0 else status
            self._over = _now()
            self._took_s = time.monotonic() - self._began_s
            self._question = None
            if self._error is None and (self.status or not self._concluded):
                self._error = _silent(self.status, self._stderr)
                self.status = self.status or 1
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.ended.set()
        self._tell(self, None, None)


def _silent(status: int, stderr: bytes) -> dict[str, Any]:
    """Return the error of a child that has not said why it ended."""
    text = stderr.decode("utf-8", "replace").strip()
    words = f" Its last words: {text[-500:]}" if text else ""
    return {
        "code": "error",
        "status": status or 1,
        "message": f"edl ended without a word, with exit status {status}.{words}",
        "state": "",
        "remedies": [],
        "device_log": [],
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        **apart,
    )


def _environment() -> dict[str, str]:
    """Return the child's environment: in it, the same edl is found, wherever it runs."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    root = Path(edl.__file__).resolve().parent.parent
    if root.name not in _INSTALLED:  # a copy of the source; else modules there would go first
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), kept.get("PYTHONPATH"))))
    return kept
