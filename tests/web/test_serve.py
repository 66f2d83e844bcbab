# SPDX-License-Identifier: BSD-3-Clause
"""The server as users start it: a process of its own, a port of the loopback, and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edl.cli import terminal
from edl.cli.app import App
from edl.errors import DiskError, EdlError, UsageError
from edl.virtual.lock import Lock
from edl.virtual.phone import Phone
from edl.web import orders, serve
from tests.cli.conftest import Edl, edl, write_rows
from tests.conftest import REPO
from tests.web.test_jobs import wait

__all__ = ["edl"]  # a fixture

posix = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
SMALL = "qcm2290,size=4MiB"
START = 16384  # sector from which slow flash is slow, on 16 MiB


@dataclass
class Running:
    """A server in a process of its own. home: where it keeps what is temporary."""

    process: subprocess.Popen[str]
    url: str
    port: int
    home: Path

    @property
    def token(self) -> str:
        return self.url.rpartition("token=")[2]

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401
        """Return the answer: its status, and what it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            given = {"Authorization": f"Bearer {self.token}", **headers}
            if body is not None:
                given["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            return answer, answer.read()

    def job(self, number: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.ask("GET", f"/api/jobs/{number}")[1])
        return data

    def start(self, kind: str, **options: object) -> str:
        answer, body = self.ask("POST", "/api/jobs", {"kind": kind, **options})
        assert answer.status == 201, body
        return str(json.loads(body)["id"])

    def stop(self) -> str:
        """Send Ctrl-C; return what it says until its end, which has to be a good one."""
        self.process.send_signal(signal.SIGINT)
        _, told = self.process.communicate(timeout=40)
        assert self.process.returncode == 0, told
        return told


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a server with such virtual phones."""
    begun: list[subprocess.Popen[str]] = []

    def start(phones: str = SMALL, *options: str) -> Running:
        home = tmp_path / "temporary"
        home.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "edl", "web", "--no-open", "--listen", "0",
             "--virtual", phones, *options],
            cwd=REPO, env={**os.environ, "TMPDIR": str(home)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr
        return Running(process, url, int(url.split(":")[2].split("/")[0]), home)

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


@posix
def test_from_the_first_request_to_the_end(server: Callable[..., Running]) -> None:
    running = server(f"{SMALL}*2")
    answer, _ = running.ask("GET", running.url[running.url.index("/?") :], Authorization="")
    assert (answer.status, answer.getheader("location")) == (303, "/")
    cookie = str(answer.getheader("set-cookie")).partition(";")[0]
    answer, body = running.ask("GET", "/api/state", Authorization="", Cookie=cookie)
    assert [row["serial"] for row in json.loads(body)["phones"]] == ["0be7c001", "0be7c002"]
    for headers in (
        {"Host": f"evil.example:{running.port}"}, {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"}, {"Authorization": "Bearer x"},
    ):  # fmt: skip
        assert running.ask("GET", "/api/state", **headers)[0].status == 403
    assert running.ask("GET", "/api/state", Authorization="")[0].status == 401
    number = running.start("identify", phone="virtual 1")
    wait(lambda: running.job(number)["ended"] is not None)
    assert running.job(number)["result"]["chip"] == "QCM2290"
    told = running.stop()
    assert running.token not in told
    assert "Ctrl-C ends it." in told
    assert list(running.home.iterdir()) == []  # its phones are gone with it


@posix
def test_ctrl_c_asks_jobs_to_stop(server: Callable[..., Running], tmp_path: Path) -> None:
    running = server(SMALL)
    package = made(tmp_path, 1 << 20, 2048)
    number = running.start("station", package=str(package))  # it waits for more phones
    wait(lambda: running.job(number)["lines"] != [])
    assert "1 job at work" in running.stop()
    assert list(running.home.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_another_ctrl_c_stops_them_at_once(server: Callable[..., Running], tmp_path: Path) -> None:
    running = server(SMALL)
    number = running.start("station", package=str(made(tmp_path, 1 << 20, 2048)))
    wait(lambda: running.job(number)["lines"] != [])
    (child,) = children(running.process.pid)
    os.kill(child, signal.SIGSTOP)  # it heeds nothing for now
    running.process.send_signal(signal.SIGINT)
    wait(lambda: running.job(number)["stop"] == "gently")
    running.process.send_signal(signal.SIGINT)
    wait(lambda: running.job(number)["stop"] == "at once")
    os.kill(child, signal.SIGCONT)
    _, told = running.process.communicate(timeout=40)
    assert running.process.returncode == 130
    assert "have been stopped where they were" in told
    assert list(running.home.iterdir()) == []


def made(folder: Path, size: int, start: int) -> Path:
    """Return a package with one random image."""
    package = folder / "package"
    package.mkdir()
    (package / "boot.img").write_bytes(os.urandom(size))
    write_rows(package, ("boot.img", start, size // 512, "boot"))
    return package


def children(parent: int) -> list[int]:
    """Return the processes that parent has started, by their numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_job_outlives_its_server(server: Callable[..., Running], tmp_path: Path) -> None:
    """What changes a phone goes on when the server is killed in the middle of it."""
    phone = tmp_path / "phone"
    Phone.create("qcm2290,size=16MiB,flash=slow", phone).close()
    package = made(tmp_path, 3 << 20, START)
    running = server(str(phone))
    number = running.start("rawprogram", phone="virtual 1", package=str(package))
    wait(lambda: "step" in {row["line"].get("event") for row in running.job(number)["lines"]})
    (child,) = children(running.process.pid)
    os.kill(child, signal.SIGSTOP)  # its flash takes seconds for what it is at
    assert running.job(number)["state"] == "running"
    running.process.kill()
    running.process.wait(20)
    os.kill(child, signal.SIGCONT)

    def free() -> bool:
        try:
            Lock(phone).release()
        except EdlError:
            return False
        return True

    wait(free)
    with Phone.open(phone) as opened:
        assert opened.storage.luns[0].read(START, 6144) == (package / "boot.img").read_bytes()
    assert [*(Path(os.environ["EDL_HOME"]) / "phones").rglob("jobs/*.jsonl")] == []


# -- in this process ------------------------------------------------------------------------------


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} cannot"), serve.running(port):
            pass


def test_no_place_for_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(DiskError, match="no place for pages"), serve.running():
        pass


def test_only_this_computer_is_listened_to() -> None:
    with serve.running(phones=SMALL) as server:
        assert server.address == f"http://127.0.0.1:{server.port}/"
        with socket.create_connection(("127.0.0.1", server.port), 20):
            pass
        for host in others():
            with socket.socket() as client:
                client.settimeout(1)
                assert client.connect_ex((host, server.port)) != 0
        with serve.running(phones=SMALL) as second:
            assert second.port != server.port
            assert second.url.rpartition("=")[2] != server.url.rpartition("=")[2]


def test_readers_that_never_read(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "_GOODBYE_S", 0)
    with contextlib.ExitStack() as opened, serve.running(phones=SMALL) as server:
        for _ in range(3):
            stuck = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            stuck.sendall(
                f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Authorization: Bearer {server.url.rpartition('=')[2]}\r\n\r\n".encode()
            )
            assert stuck.recv(12) == b"HTTP/1.1 200"
        ring = server.site.events
        for _ in range(400):
            ring.publish("line", {"text": "x" * 100_000})
        assert ring._bytes <= 16 << 20
    assert "".join(capfd.readouterr()) == ""


def others() -> list[str]:
    """Return addresses of this computer that are not the one that is listened to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return [probe.getsockname()[0], "127.0.0.2"]
    return ["127.0.0.2"]


def test_ipv6_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = serve._bound

    def only_v6(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family is socket.AF_INET:
            raise OSError(next(iter(serve._NO_IPV4)), "no such address")
        return bound(family, host, port)

    monkeypatch.setattr(serve, "_bound", only_v6)
    try:
        listener = serve._listener(0)
    except UsageError:
        pytest.skip("this computer has no IPv6")
    with listener:
        assert listener.getsockname()[0] == "::1"


def test_a_job_that_does_not_stop_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(serve, "_LAST_S", 0.0)
    with serve.running(phones=SMALL) as server:
        keeper = server.site.keeper
        keeper._program = [sys.executable, str(REPO / "tests/web/child.py"), "ignores"]
        job = keeper.start(orders.read({"kind": "backups"}))
        wait(lambda: bool(job.since(0)))
    assert job.runs
    assert len([*tmp_path.glob("edl-web-*/phones/1")]) == 1  # it may work there
    job._process.kill()
    assert job.ended.wait(20)


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a browser was opened with, where nothing is served and Ctrl-C comes at once."""
    pages: list[str] = []

    class Server:
        url, port = "http://127.0.0.1:1/?token=x", 1

        def ask_to_stop(self) -> int:
            return 0

    @contextlib.contextmanager
    def running(*_: object, **__: object) -> Iterator[Server]:
        yield Server()

    @contextlib.contextmanager
    def gentle(_app: App) -> Iterator[threading.Event]:
        over = threading.Event()
        over.set()
        yield over

    monkeypatch.setattr(serve, "running", running)
    monkeypatch.setattr(App, "gentle", gentle)
    monkeypatch.setattr(webbrowser, "open", pages.append)
    return pages


def test_a_browser_is_opened_for_people(
    edl: Edl, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edl("web").status == 0
    assert opened == []  # nobody sits there
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    assert edl("web").out == "http://127.0.0.1:1/?token=x\n"
    assert opened == ["http://127.0.0.1:1/?token=x"]
    edl("web", "--no-open")
    assert edl("web", "--json").last["port"] == 1
    assert len(opened) == 1


def test_without_the_extra(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edl.web.serve")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = edl("web")
    assert result.status == 2
    assert 'pip install "edl-recovery[web]"' in result.err
    assert "uvicorn" in result.err


@pytest.mark.parametrize(
    "options", [["--fault", "unplug@out:1"], ["--listen", "70000"], ["--listen", "0.0.0.0:80"],
                ["--virtual", "nonsense"], ["--host", "0.0.0.0"]]  # noqa: S104
)  # fmt: skip
def test_mistakes(edl: Edl, options: list[str]) -> None:
    assert edl("web", "--no-open", *options).status == 2
