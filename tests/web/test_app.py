# SPDX-License-Identifier: BSD-3-Clause
"""What is answered to which request."""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from typing import Any

import pytest
from prometheus_client.openmetrics import parser

import edl
from edl.web.orders import KINDS
from tests.web.conftest import HOST, PORT, TOKEN, Browser, Make
from tests.web.test_jobs import ended, wait


@pytest.fixture
def browser(make: Make) -> Browser:
    return make().browser


def test_the_page_and_its_files(browser: Browser) -> None:
    page = browser.ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for file in resources.files("edl.web").joinpath("page").iterdir():
        answer = browser.ask("GET", f"/static/{file.name}")
        assert answer.status == 200
        assert answer.body == file.read_bytes()
        if file.name.endswith(".js"):
            assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    ["", "x.html", "../app.py", "..%2fapp.py", "app.py", "index.html/", "page", "/etc/passwd",
     "index.html\0", "%00.html", ".html", "__pycache__"],
)  # fmt: skip
def test_files_that_are_not_the_page(browser: Browser, name: str) -> None:
    assert browser.ask("GET", f"/static/{name}").status in {307, 404}


def test_the_state(browser: Browser) -> None:
    state = browser.ask("GET", "/api/state").json
    assert state["version"] == edl.__version__
    assert [row["id"] for row in state["phones"]] == ["usb 1-4", "usb 1-5.2"]
    assert (state["jobs"], state["problem"]) == ([], "")
    assert set(state["kinds"]) == set(KINDS)
    assert state["kinds"]["reset"] == {
        "command": "edl reset", "phone": "one", "changes": False,
        "options": {
            "to": {"type": "choice", "choices": ["system", "off", "edl"], "required": False},
            "loader": {"type": "path", "choices": [], "required": False},
        },
    }  # fmt: skip


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 60_000, b"nul", b"'x'"])
def test_bodies_that_are_no_json(browser: Browser, raw: bytes) -> None:
    answer = browser.ask("POST", "/api/jobs", raw=[raw])
    assert answer.status == 400
    assert set(answer.json) == {"error"}


@pytest.mark.parametrize("path", ["/api/jobs/1", "/api/jobs/x", "/reports/1", "/reports/1/x.html"])
def test_jobs_that_there_are_not(browser: Browser, path: str) -> None:
    assert browser.ask("GET", path).status == 404


@pytest.mark.parametrize("number", ["-1", "x", "", "1" * 20, "٣"])
def test_lines_from_nowhere(make: Make, number: str) -> None:
    world = make()
    ended(world.start())
    answer = world.browser.ask("GET", f"/api/jobs/1?from={number}")
    assert answer.status == 400


def test_lines_from_somewhere(make: Make) -> None:
    world = make("moves")
    job = world.start()
    job.stop("gently")
    ended(job)
    rows = world.browser.ask("GET", "/api/jobs/1?from=1").json["lines"]
    assert [(row["n"], row["line"]["type"]) for row in rows] == [(1, "event"), (2, "result")]
    assert len(world.browser.ask("GET", "/api/jobs/1").json["lines"]) == 3


def test_the_pages_of_a_station(make: Make) -> None:
    world = make()
    job = world.start("station", None, package="/rom")
    ended(job)
    assert job.report is not None
    job.report.mkdir()
    (job.report / "1-4.html").write_text("<!DOCTYPE html>")
    (job.report.parent / "other.html").write_text("<!DOCTYPE html>")
    ask = world.browser.ask
    assert ask("GET", "/reports/1/1-4.html").status == 200
    assert ask("GET", "/reports/1").status == 404  # there are several
    for name in ("other.html", "../other.html", "..%2fother.html", "x.html", "1-4.html/x"):
        assert ask("GET", f"/reports/1/{name}").status == 404


def test_a_report_that_is_too_long(make: Make) -> None:
    world = make()
    job = world.start("check", None, package="/rom")
    ended(job)
    assert job.report is not None
    with job.report.open("wb") as file:
        file.truncate(65 << 20)
    assert world.browser.ask("GET", "/reports/1").status == 413


def parsed(text: str) -> list[Any]:
    """Return the families of figures, as the reference's own parser reads them."""
    return list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def test_written_bytes_are_summed_up(make: Make) -> None:
    world = make("writes")
    for _ in range(2):
        ended(world.start("rawprogram", package="/rom"))
    wait(lambda: world.site.keeper.tally.ended == 2)
    text = world.browser.ask("GET", "/metrics").body.decode()
    [family] = [each for each in parsed(text) if each.name == "edl_web_written_bytes"]
    assert (family.type, family.unit) == ("counter", "bytes")
    assert [(row.name, row.labels, row.value) for row in family.samples] == [
        ("edl_web_written_bytes_total", {"kind": "rawprogram"}, 8192.0)
    ]


def test_figures(make: Make) -> None:
    world = make("dies")
    ended(world.start())
    wait(lambda: world.site.keeper.tally.ended == 1)
    answer = world.browser.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {each.name: each for each in parsed(answer.body.decode())}
    samples = {
        (row.name, *sorted(row.labels.items())): row.value
        for family in families.values()
        for row in family.samples
    }
    assert samples["edl_web_phones", ("mode", "edl")] == 2
    assert samples["edl_web_failures_total", ("code", "error"), ("kind", "info")] == 1
    assert samples["edl_web_job_seconds_count", ("kind", "info")] == 1
    health = world.browser.ask("GET", "/health")
    assert health.body == b"ok: phones 2, jobs at work 0, ended 1, failed 1\n"
    assert health.headers["content-type"].startswith("text/plain")


def test_events_over_http(make: Make) -> None:
    """The stream itself: it has no end, so that it is asked by hand."""
    world = make()
    sent: list[dict[str, Any]] = []

    async def work() -> None:
        begun = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(20)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)
            begun.set()

        scope = {
            "type": "http", "method": "GET", "path": "/api/events", "query_string": b"from=x-1",
            "headers": [(b"host", HOST.encode()), (b"cookie", f"edl-{PORT}={TOKEN}".encode())],
            "http_version": "1.1", "scheme": "http", "root_path": "",
        }  # fmt: skip
        asking = asyncio.ensure_future(world.browser.app(scope, receive, send))
        await begun.wait()
        while len(sent) < 2:
            await asyncio.sleep(0)
        world.site.events.publish("job", {"id": "8"})
        while len(sent) < 3:
            await asyncio.sleep(0)
        world.site.events.close()
        await asking

    asyncio.run(asyncio.wait_for(work(), 20))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    first = sent[1]["body"].decode()
    data = json.loads(first.split("event: phones\ndata: ")[1].split("\n")[0])
    assert [row["id"] for row in data["phones"]] == ["usb 1-4", "usb 1-5.2"]
    assert b'{"id": "8"}' in sent[2]["body"]
