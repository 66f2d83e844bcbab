# SPDX-License-Identifier: BSD-3-Clause
"""The server's application in this process, asked as uvicorn would ask it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edl.web.app import Site, application
from edl.web.events import Events
from edl.web.guard import Guard
from edl.web.jobs import Job
from edl.web.keeper import Keeper
from edl.web.phones import Phones, Place

PORT = 4711
TOKEN = "a-key-that-only-these-tests-have"  # noqa: S105
HOST = f"127.0.0.1:{PORT}"
CHILD = Path(__file__).with_name("child.py")
ONE = Place("usb 1-4", "1-4", serial="1a2b3c4d")
TWO = Place("usb 1-5.2", "1-5.2")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)


@dataclass
class Browser:
    """Asks an application. headers: what each request has; None takes one away."""

    app: Any
    headers: dict[str, str | None] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: Sequence[bytes] | None = None,
        more: Sequence[tuple[str, str]] = (),
        **headers: str | None,
    ) -> Answer:
        """Send a request. raw: chunks of a body that is no JSON. more: headers given twice."""
        given: dict[str, str | None] = {"host": HOST, "cookie": f"edl-{PORT}={TOKEN}"}
        if body is not None or raw is not None:
            given["content-type"] = "application/json"
        chunks = [json.dumps(body).encode()] if raw is None else list(raw)
        given |= self.headers | {name.replace("_", "-"): text for name, text in headers.items()}
        rows = [(name, text) for name, text in given.items() if text is not None] + list(more)
        where, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": where, "query_string": query.encode(),
            "headers": [(name.encode(), text.encode("latin-1")) for name, text in rows],
            "http_version": "1.1", "scheme": "http", "root_path": "",
        }  # fmt: skip
        return asyncio.run(self._asked(scope, chunks))

    async def _asked(self, scope: dict[str, Any], chunks: list[bytes]) -> Answer:
        sent: list[dict[str, Any]] = []
        left = list(chunks)

        async def receive() -> dict[str, Any]:
            if not left:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)

        await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], headers, body)


@dataclass
class World:
    """A site whose children behave as they are told, and a browser on it."""

    site: Site
    browser: Browser

    def start(self, kind: str = "info", phone: str | None = ONE.id, **options: object) -> Job:
        """Start a job through the browser."""
        answer = self.browser.ask("POST", "/api/jobs", {"kind": kind, "phone": phone, **options})
        assert answer.status == 201, answer.body
        return self.site.keeper.job(answer.json["id"])


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes a site, whose children behave in that manner."""
    made: list[World] = []

    def new(
        manner: str = "says nothing",
        places: Sequence[Place] = (ONE, TWO),
        folders: Sequence[Path] | None = None,
        program: Sequence[str] | None = None,
    ) -> World:
        events = Events()
        phones = Phones(folders, look=lambda: list(places))
        child = [sys.executable, "-I", "-S", str(CHILD), manner]
        reports = tmp_path / "reports"
        reports.mkdir(exist_ok=True)
        keeper = Keeper(events, phones, reports, child if program is None else program)
        site = Site(events, phones, keeper, str(tmp_path))
        phones.connect(
            lambda: events.tell("phones", site.phones_data),
            lambda phone: job.id if (job := keeper.at(phone)) is not None else None,
        )
        phones.look()
        made.append(World(site, Browser(Guard(application(site), TOKEN, PORT))))
        return made[-1]

    yield new
    for world in made:
        for job in world.site.keeper.running():
            job._process.kill()
            assert job.ended.wait(20)
