# SPDX-License-Identifier: BSD-3-Clause
"""A server that tells the page whatever a test wants, and notes what the page asks for."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from edl.web.guard import CSP

Data = dict[str, Any]

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def phone(number: int = 1, **more: Any) -> Data:  # noqa: ANN401
    """Return a phone, as the server tells of it."""
    told: Data = {
        "id": f"usb 1-{number}", "place": f"1-{number}", "serial": f"1a2b3c0{number}",
        "mode": "edl", "chip": "QCM2290", "problem": "", "virtual": False, "job": None,
        "identity": None,
    }  # fmt: skip
    return told | more


def job(number: int, kind: str, **more: Any) -> Data:  # noqa: ANN401
    """Return a job that has ended well, as the server tells of it."""
    told: Data = {
        "id": str(number), "kind": kind, "phone": "usb 1-1", "serial": "1a2b3c01",
        "command": f"edl --usb-path=1-1 {kind}", "begun": "2026-11-22T10:00:00.000+00:00",
        "ended": "2026-11-22T10:01:00.000+00:00", "status": 0, "state": "done", "stop": None,
        "question": None, "progress": None, "title": "", "result": None, "error": None,
        "report": False, "options": {}, "lines": 0,
    }  # fmt: skip
    return told | more


def running(number: int, kind: str, **more: Any) -> Data:  # noqa: ANN401
    """Return a job that is at work."""
    return job(number, kind, **({"ended": None, "status": None, "state": "running"} | more))


@dataclass
class Fake:
    """What is told. lines: of each job, by its id. asked: bodies of POST requests, with the path.

    status: that every request under /api is answered with, if it is not 200.
    """

    phones: list[Data] = field(default_factory=lambda: [phone()])
    jobs: list[Data] = field(default_factory=list)
    lines: dict[str, list[Data]] = field(default_factory=dict)
    listings: dict[str, Data] = field(default_factory=dict)
    asked: list[tuple[str, Data]] = field(default_factory=list)
    status: int = 200
    port: int = 0
    _streams: list[queue.Queue[bytes | None]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"

    def reset(self) -> None:
        """Be as new."""
        new = Fake()
        self.phones, self.jobs, self.lines, self.asked = new.phones, new.jobs, new.lines, new.asked
        self.listings, self.status = new.listings, 200
        self.hang_up()

    def tell(self, event: str, data: Data) -> None:
        """Send an event to all pages."""
        for stream in self._streams:
            stream.put(_event(event, data))

    def tell_job(self, data: Data) -> None:
        """Tell of a job that is new, or has changed."""
        self.jobs = [each for each in self.jobs if each["id"] != data["id"]] + [data]
        self.tell("job", data)

    def tell_phones(self, *phones: Data) -> None:
        """Tell which phones are there now."""
        self.phones = list(phones)
        self.tell("phones", {"phones": self.phones, "problem": ""})

    def hang_up(self) -> None:
        """End all streams of events."""
        for stream in self._streams:
            stream.put(None)
        self._streams.clear()

    def state(self) -> Data:
        """Return what a page asks for first."""
        return {
            "version": "9.9", "phones": self.phones, "problem": "", "jobs": self.jobs, "kinds": {},
            "home": "/home/somebody", "separator": "/",
        }  # fmt: skip

    def stream(self) -> Iterator[bytes]:
        """Yield events until they are ended."""
        mine: queue.Queue[bytes | None] = queue.Queue()
        self._streams.append(mine)
        yield _event("phones", {"phones": self.phones, "problem": ""})
        for each in self.jobs:
            yield _event("job", each)
        while (text := mine.get()) is not None:
            yield text

    def begin(self, body: Data) -> Data:
        """Take an order; small kinds have ended at once."""
        results: dict[str, Data] = {"backups": {"backups": []}, "jobs": {"jobs": []}}
        made = job if body["kind"] in results else running
        options = {key: body[key] for key in body if key not in {"kind", "phone"}}
        known = [int(each["id"]) for each in self.jobs]
        told = made(
            max(known, default=0) + 1, body["kind"], phone=body["phone"], options=options,
            result=results.get(body["kind"]),
        )  # fmt: skip
        old = [each for each in self.jobs if each["kind"] == body["kind"] and each["result"]]
        if body["kind"] in results and old:  # a test has told what there is
            told["result"] = old[-1]["result"]
        self.tell_job(told)
        return told


def _event(name: str, data: Data) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    fake: Fake

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        name = path.path.removeprefix("/static/") if path.path != "/" else "index.html"
        if not path.path.startswith("/api/"):
            found = resources.files("edl.web").joinpath("page", name)
            known = found.is_file()
            kind = _TYPES[name.rpartition(".")[2]] if known else "text/plain"
            self._answer(200 if known else 404, found.read_bytes() if known else b"", kind)
        elif self.fake.status != 200:
            self._json(self.fake.status, {"error": {"message": "No."}})
        elif path.path == "/api/events":
            self._begin(200, "text/event-stream")
            with contextlib.suppress(OSError):
                for text in self.fake.stream():
                    self.wfile.write(text)
        elif path.path == "/api/files":
            self._json(200, self.fake.listings["/home/somebody"])
        elif path.path == "/api/state":
            self._json(200, self.fake.state())
        else:
            number = path.path.rpartition("/")[2]
            told = next((each for each in self.fake.jobs if each["id"] == number), None)
            lines = enumerate(self.fake.lines.get(number, []))
            rows = [{"n": n, "line": {"v": 1, **line}} for n, line in lines]
            self._json(200 if told else 404, {**(told or {}), "lines": rows})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.fake.asked.append((self.path, body))
        if self.path == "/api/jobs":
            self._json(201, self.fake.begin(body))
        else:
            self._answer(204, b"", "text/plain")

    def _json(self, status: int, data: Data) -> None:
        self._answer(status, json.dumps(data).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self._begin(status, kind)
        self.wfile.write(body)

    def _begin(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-security-policy", CSP)
        self.end_headers()


@contextlib.contextmanager
def serving() -> Iterator[Fake]:
    """Serve the page on the loopback while this lasts."""
    fake = Fake()
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        fake.hang_up()
        server.shutdown()
        thread.join()
        server.server_close()
