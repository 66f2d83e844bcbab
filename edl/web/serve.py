# SPDX-License-Identifier: BSD-3-Clause
"""The server itself: a port of this computer's loopback, and the threads behind it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from edl.errors import DiskError, EdlError, UsageError
from edl.web import virtual
from edl.web.app import Site, application
from edl.web.events import Events
from edl.web.guard import Guard, new_token
from edl.web.jobs import AT_ONCE, GENTLY
from edl.web.keeper import Keeper
from edl.web.phones import Phones

_START_S = 20.0
_POLL_S = 0.01
_LAST_S = 10.0  # how long jobs that stop at once are waited for
_GOODBYE_S = 3
_MOST_REQUESTS = 256
_NO_IPV4 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


class _Server(uvicorn.Server):
    """A server that also ends where somebody reads nothing of what is sent."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which leaves such connections open."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # they end in the next turn of the loop


@dataclass
class Server:
    """A server that runs. url: with the token, for a browser; address: without."""

    url: str
    address: str
    port: int
    site: Site

    def ask_to_stop(self, *, at_once: bool = False) -> int:
        """Ask all jobs to stop, and start no more; return how many are at work."""
        return self.site.keeper.stop_all(AT_ONCE if at_once else GENTLY)

    def wait_for_jobs(self, timeout_s: float | None = None) -> bool:
        """Wait until no job is at work; tell whether that came true. Ctrl-C interrupts it."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.site.keeper.running():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True


@contextlib.contextmanager
def running(
    port: int = 0, *, phones: str | None = None, faults: Sequence[str] = ()
) -> Iterator[Server]:
    """Serve pages on the loopback while this lasts. At the end, jobs at work are asked to stop.

    Those that do not end in time go on without the server: it ends none by force.

    port: 0 for any that is free. phones: virtual ones, instead of those that are plugged in (see
    `edl.virtual.bench`). faults: what goes wrong with those.

    Raises:
        UsageError: another program has the port; or see `edl.web.virtual.folders`.
        DiskError: there is no folder for temporary files.
        EdlError: nothing can be served.
    """
    with contextlib.ExitStack() as opened:
        try:
            own = Path(tempfile.mkdtemp(prefix="edl-web-"))
            (own / "reports").mkdir()
        except OSError as error:
            raise DiskError(f"There is no place for pages: {error.strerror}.") from error
        abandoned = opened.enter_context(_removed(own))
        folders = None if phones is None else virtual.folders(phones, faults, own / "phones")
        site = _site(Phones(folders), own / "reports")
        listener = opened.enter_context(contextlib.closing(_listener(port)))
        opened.enter_context(_watching(site))
        server = _started(site, listener, opened)
        try:
            yield server
        finally:
            if server.ask_to_stop(at_once=True) and not server.wait_for_jobs(_LAST_S):
                abandoned.set()


@contextlib.contextmanager
def _removed(folder: Path) -> Iterator[threading.Event]:
    """Remove folder at the end, unless the event says that somebody still works in it."""
    abandoned = threading.Event()
    try:
        yield abandoned
    finally:
        if not abandoned.is_set():
            shutil.rmtree(folder, ignore_errors=True)


def _site(phones: Phones, reports: Path) -> Site:
    events = Events()
    keeper = Keeper(events, phones, reports)
    site = Site(events, phones, keeper, str(Path.cwd()))

    def busy(phone: str) -> str | None:
        job = keeper.at(phone)
        return None if job is None else job.id

    phones.connect(lambda: events.tell("phones", site.phones_data), busy)
    return site


@contextlib.contextmanager
def _watching(site: Site) -> Iterator[None]:
    site.phones.look()
    watcher = threading.Thread(target=site.phones.watch, name="phones", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        site.phones.close()
        watcher.join(_GOODBYE_S)


def _started(site: Site, listener: socket.socket, opened: contextlib.ExitStack) -> Server:
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    token = new_token()
    config = uvicorn.Config(
        Guard(application(site), token, port),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # what stumbles is told by the guard
        access_log=False,  # an address may hold the token
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_GOODBYE_S,
    )
    server = _Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
    )
    thread.start()

    def end() -> None:
        site.events.close()
        server.should_exit = True
        thread.join(_START_S)

    opened.callback(end)
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise EdlError(f"The server at {address} does not start.")
        time.sleep(_POLL_S)
    return Server(f"{address}?token={token}", address, port, site)


def _listener(port: int) -> socket.socket:
    """Take a port of the loopback; of IPv6 where there is no other.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        try:
            return _bound(socket.AF_INET, "127.0.0.1", port)
        except OSError as error:
            if error.errno not in _NO_IPV4:
                raise
            return _bound(socket.AF_INET6, "::1", port)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be listened to: {error.strerror}.",
            remedies=("Leave --listen out: a port that is free is taken.",),
        ) from error


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # with its protocol, as asyncio lets only such sockets send at once (TCP_NODELAY)
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":  # there, SO_REUSEADDR would let others take the port as well
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
