# SPDX-License-Identifier: BSD-3-Clause
"""What is answered to which request: docs/web.md."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import edl
from edl.errors import EdlError, UsageError
from edl.web import figures, files, orders
from edl.web.events import Events
from edl.web.guard import MOST_BODY_BYTES, REPORT_CSP, RefusedError
from edl.web.jobs import NotNowError
from edl.web.keeper import Keeper, NoSuchJobError
from edl.web.phones import Phones

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript",
          ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json"}  # fmt: skip
_STUMBLED = "edl has stumbled over this request. Its log (edl.log) says more."
_MOST_REPORT_BYTES = 64 << 20


@dataclass(frozen=True)
class Site:
    """What the pages look at. home: where choosing a file begins."""

    events: Events
    phones: Phones
    keeper: Keeper
    home: str

    def phones_data(self) -> dict[str, Any]:
        """Return the data of an event `phones`."""
        return {"phones": self.phones.data(), "problem": self.phones.problem}

    def now(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give events that tell how all stands."""
        yield "phones", self.phones_data()
        for job in self.keeper.all():
            yield "job", job.data()


def application(site: Site) -> Starlette:
    """Return the application, which has to stand behind a guard."""
    answers = _Answers(site)
    routes = [
        Route("/", answers.page),
        Route("/static/{name}", answers.static),
        Route("/api/state", answers.state),
        Route("/api/events", answers.events),
        Route("/api/files", answers.files),
        Route("/api/jobs", answers.start, methods=["POST"]),
        Route("/api/jobs/{id}", answers.job),
        Route("/api/jobs/{id}/answer", answers.answer, methods=["POST"]),
        Route("/api/jobs/{id}/stop", answers.stop, methods=["POST"]),
        Route("/api/jobs/{id}/forget", answers.forget, methods=["POST"]),
        Route("/reports/{id}", answers.report),
        Route("/reports/{id}/{name}", answers.report),
        Route("/metrics", answers.metrics),
        Route("/health", answers.health),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            RefusedError: lambda _, error: _error(error.status, error.message),
            EdlError: lambda _, error: _error(400, str(error)),
            NotNowError: lambda _, error: _error(409, str(error)),
            NoSuchJobError: lambda *_: _error(404, "There is no such job, or not any more."),
            Exception: lambda *_: _error(500, _STUMBLED),
            HTTPException: lambda _, error: _error(error.status_code, error.detail),
        },
    )


class _Json(JSONResponse):
    """JSON in ASCII: what a child prints, or a file is called, may hold halves of letters."""

    def render(self, content: object) -> bytes:
        """See starlette."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class _Answers:
    """One method a route. What takes time or waits for locks runs in a thread."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def page(self, _request: Request) -> Response:
        return _file("index.html")

    def static(self, request: Request) -> Response:
        return _file(request.path_params["name"])

    def state(self, _request: Request) -> Response:
        site = self._site
        return _Json(
            {
                "version": edl.__version__,
                **site.phones_data(),
                "jobs": [job.data() for job in site.keeper.all()],
                "kinds": {name: kind.data() for name, kind in orders.KINDS.items()},
                "home": site.home,
                "separator": os.sep,
            }
        )

    async def events(self, request: Request) -> Response:
        since = request.headers.get("last-event-id") or request.query_params.get("from")
        stream = self._site.events.stream(lambda: list(self._site.now()), since)
        return StreamingResponse(stream, media_type="text/event-stream")

    def files(self, request: Request) -> Response:
        return _Json(files.listing(request.query_params.get("path") or self._site.home))

    async def start(self, request: Request) -> Response:
        order = orders.read(await _body(request))
        job = await asyncio.to_thread(self._site.keeper.start, order)
        return _Json(job.data(), 201)

    def job(self, request: Request) -> Response:
        text = request.query_params.get("from", "0")
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise UsageError("'from' is the number of a line.")
        job = self._site.keeper.job(request.path_params["id"])
        return _Json({**job.data(), "lines": job.since(int(text))})

    async def answer(self, request: Request) -> Response:
        job = self._site.keeper.job(request.path_params["id"])
        body = _object(await _body(request), {"id", "answer"})
        await asyncio.to_thread(job.answer, body.get("id"), body.get("answer"))
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        job = self._site.keeper.job(request.path_params["id"])
        body = _object(await _body(request), {"how"})
        await asyncio.to_thread(job.stop, body.get("how"))
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        _object(await _body(request), set())
        self._site.keeper.forget(request.path_params["id"])
        self._site.events.publish("forgotten", {"id": request.path_params["id"]})
        return Response(status_code=204)

    def report(self, request: Request) -> Response:
        job = self._site.keeper.job(request.path_params["id"])
        path, name = job.report, request.path_params.get("name")
        if path is not None and name is not None:
            path = next((each for each in _pages(path) if each.name == name), None)
        if path is None or job.runs or not path.is_file():
            raise HTTPException(404, "There is no such report.")
        if path.stat().st_size > _MOST_REPORT_BYTES:
            raise HTTPException(413, "The report is too long to be shown.")
        return Response(
            path.read_bytes(),
            media_type="text/html",
            headers={"content-security-policy": REPORT_CSP},
        )

    def metrics(self, _request: Request) -> Response:
        text = figures.text(self._site.phones.data(), self._site.keeper)
        return Response(text, headers={"content-type": figures.CONTENT_TYPE})

    def health(self, _request: Request) -> Response:
        text = figures.line(self._site.phones.data(), self._site.keeper)
        return Response(text + "\n", media_type="text/plain")


def _file(name: str) -> Response:
    """Return a file of the page."""
    kind = _KINDS.get(os.path.splitext(name)[1])  # noqa: PTH122  # takes any text
    folder = resources.files("edl.web").joinpath("page")
    if kind is None or name not in {each.name for each in folder.iterdir()}:
        raise HTTPException(404, "There is no such file.")
    return Response(folder.joinpath(name).read_bytes(), media_type=kind)


def _pages(folder: Path) -> list[Path]:
    return [*folder.glob("*.html")] if folder.is_dir() else []


async def _body(request: Request) -> object:
    """Return what was sent as JSON.

    Raises:
        RefusedError: it is too long. UsageError: it is no JSON.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BODY_BYTES:
            raise RefusedError(413, f"That is longer than {MOST_BODY_BYTES} bytes.")
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise UsageError("What was sent is no JSON.") from None
    return body


def _object(body: object, keys: set[str]) -> dict[str, Any]:
    if not isinstance(body, dict) or not keys.issuperset(body):
        raise UsageError("What was sent has other fields than it should have.")
    return body


def _error(status: int, message: str) -> Response:
    return _Json({"error": {"message": message}}, status)
