# SPDX-License-Identifier: BSD-3-Clause
"""Who gets an answer: this server's own pages, with its key, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from edl.web.guard import CSP, MOST_BODY_BYTES, REPORT_CSP, Guard, new_token
from tests.web.conftest import HOST, PORT, TOKEN, Browser, Make

COOKIE = f"edl-{PORT}"
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def browser(make: Make) -> Browser:
    return make().browser


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.2:{PORT}",
     f"localhost.evil.example:{PORT}", f"127.0.0.1:{PORT}.evil.example", f"0.0.0.0:{PORT}", "",
     None],
)  # fmt: skip
def test_a_name_that_leads_here_is_not_ours(browser: Browser, host: str | None) -> None:
    """DNS rebinding: the browser believes that the page is of the same origin."""
    assert browser.ask("GET", "/api/state", host=host).status == 403


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_our_names(browser: Browser, host: str) -> None:
    assert browser.ask("GET", "/api/state", host=host).status == 200


def test_two_hosts_are_none(browser: Browser) -> None:
    assert browser.ask("GET", "/api/state", more=[("host", HOST)]).status == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", f"https://{HOST}", f"http://localhost:{PORT}",
     "http://127.0.0.1:4712", f"http://{HOST}.evil.example", f"http://{HOST}/"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_origins(browser: Browser, origin: str, method: str) -> None:
    body = {"kind": "backups"} if method == "POST" else None
    path = "/api/jobs" if method == "POST" else "/api/state"
    answer = browser.ask(method, path, body, origin=origin)
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "x"])
def test_what_other_sites_begin(browser: Browser, site: str) -> None:
    """Another port of this computer is the same site, and still somebody else."""
    assert browser.ask("GET", "/", sec_fetch_site=site).status == 403
    assert browser.ask("GET", f"/?token={TOKEN}", sec_fetch_site=site).status == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_begins_here(browser: Browser, site: str) -> None:
    answer = browser.ask("GET", "/api/state", sec_fetch_site=site, origin=f"http://{HOST}")
    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/static/index.html", "/api/state", "/api/events", "/api/files", "/reports/1",
     "/metrics", "/health", "/nowhere"],
)  # fmt: skip
def test_nothing_without_the_key(browser: Browser, path: str) -> None:
    answer = browser.ask("GET", path, cookie=None)
    assert answer.status == 401
    assert TOKEN.encode() not in answer.body
    assert browser.ask("GET", path, cookie=f"{COOKIE}={TOKEN[:-1]}").status == 403
    assert browser.ask("GET", path, cookie=f"edl-4712={TOKEN}").status == 401
    assert browser.ask("GET", path, cookie=None, authorization=f"Basic {TOKEN}").status == 401
    assert browser.ask("GET", path, cookie=None, authorization="Bearer ").status == 403


def test_tools_bring_the_key_themselves(browser: Browser) -> None:
    answer = browser.ask("GET", "/health", cookie=None, authorization=f"Bearer {TOKEN}")
    assert answer.status == 200


def test_a_cookie_among_others(browser: Browser) -> None:
    text = f'x=1; {COOKIE}=old; ; {COOKIE}="{TOKEN}"; {COOKIE}2=y'
    assert browser.ask("GET", "/health", cookie=text).status == 200


def test_the_address_is_exchanged_for_a_cookie(browser: Browser) -> None:
    answer = browser.ask("GET", f"/?a=b&token={TOKEN}", cookie=None)
    assert answer.status == 303
    assert answer.headers["location"] == "/"
    cookie, *rules = answer.headers["set-cookie"].split("; ")
    assert cookie == f"{COOKIE}={TOKEN}"
    assert set(rules) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "query",
    ["token=", "token=wrong", "token=%ff%00", f"token=x&token={TOKEN}",
     f"token={TOKEN}x" + "y" * 9000],
)  # fmt: skip
def test_wrong_keys_in_the_address(browser: Browser, query: str) -> None:
    assert browser.ask("GET", f"/?{query}", cookie=None).status in {401, 403}


def test_the_key_opens_only_the_first_page(browser: Browser) -> None:
    assert browser.ask("GET", f"/api/state?token={TOKEN}", cookie=None).status == 401
    assert browser.ask("HEAD", f"/?token={TOKEN}", cookie=None).status == 401
    assert browser.ask("GET", "/?" + "a=1&" * 50 + f"token={TOKEN}", cookie=None).status == 401


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded",
                                  "multipart/form-data; boundary=x", "", None])  # fmt: skip
def test_forms_are_refused(browser: Browser, kind: str | None) -> None:
    """What a page elsewhere may send without asking first."""
    assert browser.ask("POST", "/api/jobs", {"kind": "backups"}, content_type=kind).status == 415


def test_json_with_a_charset(browser: Browser) -> None:
    kind = "application/json; charset=utf-8"
    assert browser.ask("POST", "/api/jobs", {"kind": "backups"}, content_type=kind).status == 201


@pytest.mark.parametrize("length", [str(MOST_BODY_BYTES + 1), "-1", "x", "1" * 30])
def test_long_bodies_by_their_word(browser: Browser, length: str) -> None:
    assert browser.ask("POST", "/api/jobs", {}, content_length=length).status == 413


def test_long_bodies_that_say_nothing(browser: Browser) -> None:
    assert browser.ask("POST", "/api/jobs", raw=[b" " * 40_000] * 2).status == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
def test_other_methods(browser: Browser, method: str) -> None:
    assert browser.ask(method, "/api/jobs").status == 405


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/1/stop", "/api/jobs/1/answer"])
def test_a_link_changes_nothing(browser: Browser, path: str) -> None:
    assert browser.ask("GET", path).status == 405


@pytest.mark.parametrize(
    "path", ["/api/state", "/nowhere", "/api/jobs/99", "/api/files?path=/nowhere", "/health"]
)
def test_every_answer_protects_its_page(browser: Browser, path: str) -> None:
    headers = browser.ask("GET", path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert browser.ask("GET", path, host="evil.example").headers["x-frame-options"] == "DENY"


def test_reports_run_nothing(make: Make) -> None:
    world = make()
    job = world.start("check", None, package="/rom")
    assert job.ended.wait(20)
    assert job.report is not None
    assert world.browser.ask("GET", f"/reports/{job.id}").status == 404
    job.report.write_text("<!DOCTYPE html><script>alert(1)</script>")
    answer = world.browser.ask("GET", f"/reports/{job.id}")
    assert answer.status == 200
    assert answer.headers["content-security-policy"] == REPORT_CSP
    assert "script-src" not in REPORT_CSP
    assert REPORT_CSP.startswith("sandbox;")
    assert answer.headers["x-frame-options"] == "DENY"


def test_keys_differ() -> None:
    assert len({new_token() for _ in range(50)}) == 50
    assert len(new_token()) >= 43  # 256 bits


def test_other_kinds_of_connections() -> None:
    sent = []

    async def app(*_: object) -> None:
        raise AssertionError("it was let through")

    async def receive() -> dict[str, object]:
        return {}

    async def send(message: object) -> None:
        sent.append(message)

    guard = Guard(app, TOKEN, PORT)
    asyncio.run(guard({"type": "websocket", "headers": []}, receive, send))
    asyncio.run(guard({"type": "lifespan"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_mistake_of_ours_is_told_and_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = make()

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.site.phones, "data", broken)
    answer = world.browser.ask("GET", f"/api/state?token={TOKEN}")
    assert answer.status == 500
    assert "stumbled" in answer.json["error"]["message"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert "ZeroDivisionError" in caplog.text
    assert TOKEN not in caplog.text


def test_port_80_is_left_out_by_browsers() -> None:
    async def app(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    browser = Browser(Guard(app, TOKEN, 80), {"cookie": f"edl-80={TOKEN}"})
    assert browser.ask("GET", "/", host="localhost").status == 200
    assert browser.ask("GET", "/", host="localhost:80").status == 200
    assert browser.ask("GET", "/", host="evil.example").status == 403
