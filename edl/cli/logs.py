# SPDX-License-Identifier: BSD-3-Clause
"""The log: to stderr with -v, to a file with --log-file, and always to the user's data folder.

A record is a line; in a file NAME.jsonl it is a JSON object, for programs. With it stands which
phone it is about: a station works on many at a time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from io import TextIOWrapper
from pathlib import Path

import click

import edl
from edl.cli import terminal
from edl.cli.options import Settings
from edl.cli.quick import LOG_BYTES
from edl.errors import EdlError, UsageError
from edl.home import private
from edl.plan import home

_log = logging.getLogger(__name__)

_FORM = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_whose: ContextVar[tuple[str, str]] = ContextVar("whose", default=("", ""))


@contextlib.contextmanager
def about(place: str, serial: str) -> Iterator[None]:
    """Let all that this thread logs be about a phone. Both may be empty: not known."""
    token = _whose.set((place, serial))
    try:
        yield
    finally:
        _whose.reset(token)


class _OneLine(logging.Formatter):
    """A record is one line: what a phone or a file says begins none, and drives no terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See logging."""
        place, _ = _whose.get()
        text = super().formatMessage(record)
        return terminal.clean(f"{text} [{place}]" if place else text)


class _Object(logging.Formatter):
    """A record is a JSON object in a line of ASCII."""

    def __init__(self) -> None:
        super().__init__()
        context = click.get_current_context(silent=True)
        self._command = context.command_path.partition(" ")[2] if context is not None else ""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        import json  # noqa: PLC0415  # nobody else needs it to log

        place, serial = _whose.get()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told = {
            "v": 1,
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": terminal.clean(record.getMessage()),
            "command": self._command,
            "process": record.process,
            "place": place,
            "serial": serial,
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


class OnStderr(logging.Handler):
    """Writes to stderr as everything else that is no result."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        for line in self.format(record).splitlines():
            terminal.err(line)


@contextlib.contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Keep the log for as long as this lasts.

    Raises:
        UsageError: the file that was asked for cannot be written.
    """
    root = logging.getLogger("edl")
    root.setLevel(logging.DEBUG)
    root.propagate = False
    handlers = list(_handlers(settings))
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(_OneLine(_FORM))
        root.addHandler(handler)
    _log.info("edl %s: %s", edl.__version__, " ".join(sys.argv[1:]))
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()


def _handlers(settings: Settings) -> Iterator[logging.Handler]:
    if settings.verbose:
        stream = OnStderr()
        stream.setLevel(logging.DEBUG if settings.verbose > 1 else logging.INFO)
        yield stream
    if settings.log_file:
        try:
            file = _Quiet(settings.log_file, encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"The log file {settings.log_file} cannot be written: {reason}.",
                remedies=("Choose another file: the log is kept in your data folder anyway.",),
            ) from error
        if Path(settings.log_file).suffix.lower() == ".jsonl":
            file.setFormatter(_Object())
        yield file
    with contextlib.suppress(OSError, EdlError):  # a full disk must not stop a rescue
        folder = home.make_folder(home.home() / "log")
        yield _Rotating(folder / "edl.log", encoding="utf-8", errors="backslashreplace")


class _Quiet(logging.FileHandler):
    """A log that cannot be written any more is no news for the one who looks at a phone."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """See logging."""


class _Rotating(_Quiet):
    """A log of bounded size: what is older is in NAME.1 and NAME.2.

    The one of logging.handlers would do it too, and import sockets and pickle for it. Nobody else
    may read it: it names serial numbers and keys.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        super().emit(record)
        with contextlib.suppress(OSError, ValueError):  # of a full disk
            if self.stream and os.fstat(self.stream.fileno()).st_size >= LOG_BYTES:
                self.stream.close()
                self._roll()

    def _roll(self) -> None:
        names = [f"{self.baseFilename}{end}" for end in ("", ".1", ".2")]
        try:
            for newer, older in ((names[1], names[2]), (names[0], names[1])):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(newer, older)  # noqa: PTH105  # what logging keeps is text
        finally:  # another process may have it open, on Windows
            self.stream = self._open()

    def _open(self) -> TextIOWrapper:
        """See logging."""
        return open(
            self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=private
        )
