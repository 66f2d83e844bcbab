# SPDX-License-Identifier: BSD-3-Clause
"""`edl` in a process of its own, to which something happens at a chosen moment.

Most runs are forks of this process, which spares the start of Python and lets the moment be counted
exactly; `process` starts the real program.
"""

from __future__ import annotations

import enum
import importlib
import io
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import edl as package
from edl.cli.main import run as run_edl
from edl.plan import journal
from edl.transport import Buffer
from edl.transport.serial import SerialTransport
from edl.virtual.faults import Injector, Place

LIMIT_S = 120.0  # of the computer's time: whatever takes longer hangs
_POLL_S = 0.002
_CRASHED = 99
_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.truncate", "os.link", "os.rmdir"}


def load_all() -> None:
    """Import all of edl, so that forks do not do it each time; what other engines run is not."""
    for module in pkgutil.walk_packages(package.__path__, "edl."):
        if not module.name.endswith("__main__") and not module.name.startswith("edl.lab."):
            importlib.import_module(module.name)


class Moment(enum.StrEnum):
    """What is counted until something happens."""

    BYTES = "bytes"  # over the cable, both ways
    FILES = "files"  # changes to the computer's files; it happens just before one
    NOTES = "notes"  # lines of journals; it happens before, within or after one
    SECONDS = "seconds"


@dataclass(frozen=True)
class Signals:
    """Signals for the process. at: how much of moment passes before each of them."""

    signals: tuple[signal.Signals, ...]
    moment: Moment
    at: tuple[float, ...]


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    status: exit status, None if it was killed. hung: it was killed because it took too long.
    moved_bytes, file_events, notes: what passed in all; 0 if it was killed. seconds: of the
    computer.
    """

    arguments: tuple[str, ...]
    status: int | None
    out: str
    err: str
    hung: bool = False
    moved_bytes: int = 0
    file_events: int = 0
    seconds: float = 0.0
    notes: int = 0

    @property
    def last(self) -> dict[str, Any]:
        """The last JSON line."""
        line: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return line


@dataclass(frozen=True)
class Spot:
    """Where a run works. folder: for its output. home: EDL_HOME."""

    folder: Path
    home: Path


def edl(
    where: Spot,
    *arguments: object,
    signals: Signals | None = None,
    file_bytes: int | None = None,
    real: bool = False,
) -> Ended:
    """Run a command line.

    signals: what happens to it. file_bytes: no file may become larger. real: the installed program.
    """
    line = tuple(map(str, arguments))
    out, err, told = (where.folder / name for name in ("out.txt", "err.txt", "told.json"))
    told.unlink(missing_ok=True)
    start = time.monotonic()
    if real:
        pid = _start(line, where.home, out, err)
    else:
        pid = _fork(line, where.home, (out, err, told), signals, file_bytes)
    due = None
    if signals is not None and (real or signals.moment is Moment.SECONDS):
        due = start + signals.at[0]
    status, hung = _wait(pid, start, due)
    nothing = {"bytes": 0, "files": 0, "notes": 0}
    counted = json.loads(told.read_text()) if told.exists() else nothing
    return Ended(
        line,
        status,
        out.read_text(errors="replace"),
        err.read_text(errors="replace"),
        hung,
        counted["bytes"],
        counted["files"],
        time.monotonic() - start,
        counted["notes"],
    )


def _wait(pid: int, start: float, due: float | None) -> tuple[int | None, bool]:
    """Wait for a process and kill it when due; return its exit status, and whether it hung."""
    hung = False
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else None), hung
        now = time.monotonic()
        if now - start > LIMIT_S:
            hung = True
        if hung or (due is not None and now >= due):
            os.kill(pid, signal.SIGKILL)
            due = None
        time.sleep(_POLL_S)


def _start(line: tuple[str, ...], home: Path, out: Path, err: Path) -> int:
    program = Path(sys.executable).parent / "edl"
    environment = {**os.environ, "EDL_HOME": str(home)}
    with out.open("wb") as out_file, err.open("wb") as err_file:
        return subprocess.Popen(
            [str(program), *line],
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            env=environment,
        ).pid


def _fork(
    line: tuple[str, ...],
    home: Path,
    files: tuple[Path, Path, Path],
    signals: Signals | None,
    file_bytes: int | None,
) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = _CRASHED
    try:
        status = _child(line, home, files, signals, file_bytes)
    except BaseException:  # noqa: BLE001  # whatever comes out of it is a bug to be shown
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _child(
    line: tuple[str, ...],
    home: Path,
    files: tuple[Path, Path, Path],
    signals: Signals | None,
    file_bytes: int | None,
) -> int:
    out, err, told = files
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags), number)
    os.environ["EDL_HOME"] = str(home)
    counter = _Counter(signals)
    counter.install(home.parent)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    status = run_edl(list(line))
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    counter.stop()
    counted = {"bytes": counter.bytes, "files": counter.files, "notes": counter.notes}
    told.write_text(json.dumps(counted))
    return status


class _Counter:
    """Counts what this process does, and sends it its signals."""

    def __init__(self, signals: Signals | None) -> None:
        self.bytes = self.files = self.notes = 0
        self._due: list[tuple[float, signal.Signals]] = []
        self._moment = signals.moment if signals else Moment.SECONDS
        if signals is not None and signals.moment is not Moment.SECONDS:
            self._due = list(zip(signals.at, signals.signals, strict=True))
        self._on = True

    def install(self, folder: Path) -> None:
        """Watch the cable, and the files in folder but for those of virtual phones."""
        passed: Callable[..., None] = Injector.passed

        def count(injector: Injector, place: Place, number: int = 1) -> None:
            passed(injector, place, number)
            if place in {Place.IN, Place.OUT}:
                self.bytes += number
                self._strike(Moment.BYTES, self.bytes)

        Injector.passed = count  # type: ignore[assignment,method-assign]
        self._watch_port()
        self._watch_journals()
        sys.addaudithook(lambda event, arguments: self._audit(str(folder), event, arguments))

    def _watch_port(self) -> None:
        """Count at a serial port too, where the phone is in another process."""
        write, read = SerialTransport.write, SerialTransport.read

        def counted_write(
            port: SerialTransport, data: Buffer, timeout_s: float, *, zlp: bool = False
        ) -> None:
            view = memoryview(data).cast("B")
            part = self._due_within(len(view))
            if part is not None:
                write(port, view[:part], timeout_s)
            else:
                write(port, view, timeout_s, zlp=zlp)
            self.bytes += len(view) if part is None else part
            self._strike(Moment.BYTES, self.bytes)

        def counted_read(port: SerialTransport, timeout_s: float) -> memoryview:
            data = read(port, timeout_s)
            self.bytes += len(data)
            self._strike(Moment.BYTES, self.bytes)
            return data

        SerialTransport.write = counted_write  # type: ignore[assignment,method-assign]
        SerialTransport.read = counted_read  # type: ignore[assignment,method-assign]

    def _due_within(self, count: int) -> int | None:
        """Return how many of count bytes pass until the next signal; None if all of them do."""
        if not (self._on and self._moment is Moment.BYTES and self._due):
            return None
        left = int(self._due[0][0]) - self.bytes
        return max(0, left) if left < count else None

    def _watch_journals(self) -> None:
        """Count lines of journals. A moment with a fraction comes within a line, as far as that."""
        append = journal._append

        def counted(
            file: BinaryIO, crc: int, data: Mapping[str, object], *, sync: bool = True
        ) -> int:
            self.notes += 1
            due = self._due[0][0] if self._moment is Moment.NOTES and self._due else 0.0
            if self._on and due and self.notes - 1 < due < self.notes:
                whole = io.BytesIO()
                append(whole, crc, data, sync=False)
                file.write(whole.getvalue()[: int(due % 1 * len(whole.getvalue()))])
                file.flush()
                self._strike(Moment.NOTES, self.notes)
            result = append(file, crc, data, sync=sync)
            self._strike(Moment.NOTES, self.notes)
            return result

        journal._append = counted

    def stop(self) -> None:
        """Count no more."""
        self._on = False

    def _audit(self, folder: str, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or not (event == "open" or event in _FILE_EVENTS):
            return
        path = arguments[0]
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & 3):
            return  # only to read
        if isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            if name.startswith(folder) and "/device" not in name[len(folder) :]:
                self.files += 1
                self._strike(Moment.FILES, self.files)

    def _strike(self, moment: Moment, count: int) -> None:
        while self._on and moment is self._moment and self._due and count >= self._due[0][0]:
            _, sent = self._due.pop(0)
            os.kill(os.getpid(), sent)
