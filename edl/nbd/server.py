# SPDX-License-Identifier: BSD-3-Clause
"""nbdkit, started for one disk and ended with it.

It speaks NBD: handshakes, structured replies, several connections, all of which it has in common
with the clients that there are. Its Python plugin only relays (`edl.nbd.relay`), so it does not
matter whose Python that is.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.errors import EdlError, MissingProgramError, UsageError
from edl.nbd.disk import Disk
from edl.nbd.relay import Relay

_log = logging.getLogger(__name__)

_START_S = 20.0
_POLL_S = 0.02
_TURN_S = 0.2  # how often it is looked whether to stop
_LAST_S = 0.5  # how long clients are told EIO when the phone is lost
_MOST_LAST = 10_000
_INSTALL = (
    "Install it: sudo apt install nbdkit nbdkit-plugin-python (Fedora: dnf install nbdkit"
    " nbdkit-python-plugin)."
)


@dataclass(frozen=True)
class Where:
    """Where clients connect to.

    socket: path of a unix socket, None for one of our own; or port: of 127.0.0.1.
    """

    socket: Path | None = None
    port: int | None = None


@dataclass
class Server:
    """nbdkit while it runs. uri: what clients are given."""

    uri: str
    relay: Relay
    process: subprocess.Popen[bytes]

    def serve(self, disk: Disk, cancel: threading.Event) -> None:
        """Serve disk until cancel is set, or nbdkit ends.

        Raises:
            EdlError: the phone is lost; clients were told.
        """
        try:
            while not cancel.is_set():
                request = self.relay.next(_TURN_S)
                if request is None:
                    if self.process.poll() is not None:
                        return
                    continue
                try:
                    error, data = disk.carry_out(request)
                except EdlError:
                    self.relay.answer(_EIO)
                    self._refuse()
                    raise
                self.relay.answer(error, data)
        except EOFError:
            return

    def _refuse(self) -> None:
        """Tell clients that ask for more that there is nothing."""
        for _ in range(_MOST_LAST):
            if self.relay.next(_LAST_S) is None:
                return
            self.relay.answer(_EIO)


_EIO = 5  # as every system has it, and NBD


@contextlib.contextmanager
def running(disk: Disk, where: Where, *, writable: bool, once: bool) -> Iterator[Server]:
    """Start nbdkit for disk, and end it when this ends. once: it ends with its last client.

    Raises:
        MissingProgramError: there is no nbdkit, or it lacks its Python plugin.
        UsageError: the socket exists already, or the port is taken.
    """
    program = _program()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edl-nbd-")))
        listening, uri = _listen(where, folder, stack)
        ours, low = socket.socketpair()
        stack.callback(ours.close)
        theirs = _high(low)
        ready, log = folder / "ready", stack.enter_context((folder / "log").open("w+b"))
        with listening, theirs, _plugin() as plugin:
            line = [
                *_ACTIVATED, program, "--foreground",
                "--exit-with-parent", "--pidfile", str(ready),
                *([] if writable else ["--readonly"]),
                *(["--filter=exitlast"] if once else []),
                "python", str(plugin), f"fd={theirs.fileno()}", f"size={disk.area.size_bytes}",
                f"unit={disk.area.sector_bytes}", f"writable={int(writable)}",
            ]  # fmt: skip
            # of its own group: Ctrl-C is for edl, which ends it when all is on the phone
            process = subprocess.Popen(
                line, stdin=listening.fileno(), stdout=log, stderr=log, process_group=0,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "LISTEN_FDS": "1"},
            )  # fmt: skip
            stack.callback(_end, process)
            _await(process, ready, folder / "log")
        yield Server(uri, Relay(ours), process)


# Starts a program that takes over its standard input as systemd hands over sockets: as number 3,
# and with its own number in LISTEN_PID. So we make the socket, and nobody else may use it even for
# a moment: nbdkit sets its own umask.
_ACTIVATED = ("sh", "-c", 'export LISTEN_PID=$$; exec "$@" 3<&0 0</dev/null', "sh")
_LOWEST_FD = 10


def _program() -> str:
    """Return where nbdkit is.

    Raises:
        MissingProgramError: there is none, or it has no Python plugin.
    """
    program = shutil.which("nbdkit")
    if program is None:
        raise MissingProgramError(
            "'edl nbd' needs nbdkit, which is not installed.", remedies=(_INSTALL,)
        )
    done = subprocess.run(
        [program, "python", "--dump-plugin"], capture_output=True, check=False, timeout=60
    )
    if done.returncode:
        raise MissingProgramError(
            "nbdkit is installed without its Python plugin.", remedies=(_INSTALL,)
        )
    return program


def _listen(where: Where, folder: Path, stack: contextlib.ExitStack) -> tuple[socket.socket, str]:
    """Return a socket that clients can connect to, and what they are given.

    A unix socket is this user's alone; stack removes it.

    Raises:
        UsageError: its name is too long or exists, or the port is taken.
    """
    if where.port is not None:
        made = socket.socket(socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address: tuple[str, int] | str = ("127.0.0.1", where.port)
        uri = f"nbd://127.0.0.1:{where.port}"
    else:
        at = (where.socket or folder / "socket").absolute()
        if at.exists() or at.is_symlink():
            raise UsageError(
                f"{at} exists already.", remedies=("Choose another name, or remove it.",)
            )
        made, address = socket.socket(socket.AF_UNIX), str(at)
        uri = f"nbd+unix:///?socket={at}"
    with made:
        mask = os.umask(0o177)
        try:
            made.bind(address)
        except OSError as error:
            raise UsageError(f"Nothing can listen at {uri}: {error}.") from error
        finally:
            os.umask(mask)
        if where.port is None:
            stack.callback(Path(str(address)).unlink, missing_ok=True)
        made.listen()
        return _high(made), uri


def _high(low: socket.socket) -> socket.socket:
    """Return low under another number, and close it: number 3 must be free."""
    import fcntl  # noqa: PLC0415  # which Windows lacks, as it lacks nbdkit

    with low:
        return socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD))


@contextlib.contextmanager
def _plugin() -> Iterator[Path]:
    with importlib.resources.as_file(
        importlib.resources.files("edl.data") / "nbdkit_plugin.py"
    ) as path:
        yield path


def _await(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    """Wait until clients can connect.

    Raises:
        UsageError: nbdkit says why they cannot.
    """
    deadline = time.monotonic() + _START_S
    while not (ready.is_file() and ready.read_bytes().endswith(b"\n")):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise UsageError(f"nbdkit does not start: {said[-1] if said else 'it says nothing'}")
        time.sleep(_POLL_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End nbdkit, whatever its clients do."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _log.debug("nbdkit has ended with %s", process.returncode)
