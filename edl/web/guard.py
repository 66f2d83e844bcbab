# SPDX-License-Identifier: BSD-3-Clause
"""Who may ask: only pages of this server itself, in a browser that was given the token.

Every page that somebody has open can send requests to 127.0.0.1, and a name of its own can be made
to lead there (DNS rebinding). So the names of host and origin are compared, what other sites begin
is refused, and nothing is answered without the token.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

MOST_BODY_BYTES = 64 * 1024
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 128
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'none'; frame-ancestors 'none'; base-uri 'none';"
    " require-trusted-types-for 'script'"
)
REPORT_CSP = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), usb=(), serial=()",
    "cache-control": "no-store",
}
_FROM_HERE = {"same-origin", "none"}  # of Sec-Fetch-Site; none: typed, or from outside a browser


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class RefusedError(Exception):
    """A request is refused. status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """Stands before an application, and lets only such requests through."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
        if port == 80:  # browsers leave it out
            names += [name.rpartition(":")[0] for name in names]
        self._hosts = frozenset(names)
        # browsers send cookies to all ports of a host
        self.cookie = f"edl-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        try:
            headers = _headers(scope)
            self._from_here(headers)
            if self._logs_in(scope):
                await answer.login(self.cookie, self._token)
                return
            self._has_token(headers)
            _is_sound(scope, headers)
        except RefusedError as refusal:
            await answer.refuse(refusal, plain=not str(scope["path"]).startswith("/api/"))
            return
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # noqa: BLE001  # it has been told as well as may be
            _log.exception("%s %s", scope["method"], scope["path"])

    def _from_here(self, headers: Mapping[str, list[str]]) -> None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise RefusedError(403, "This server answers only to 127.0.0.1 and its own port.")
        origins = headers.get("origin", [])
        if origins and origins != [f"http://{hosts[0].lower()}"]:
            raise RefusedError(403, "Pages from elsewhere get no answer.")
        if not _FROM_HERE.issuperset(headers.get("sec-fetch-site", [])):
            raise RefusedError(403, "What other sites begin gets no answer.")

    def _logs_in(self, scope: Scope) -> bool:
        """Tell whether this request brings the token in its address, as only the first one does."""
        if scope["method"] != "GET" or scope["path"] != "/" or not scope["query_string"]:
            return False
        query = scope["query_string"].decode("latin-1")
        try:
            given = [value for name, value in parse_qsl(query, max_num_fields=8) if name == "token"]
        except ValueError:
            given = []
        if not given:
            return False
        if not self._right(given[0]):
            raise RefusedError(403, _STALE)
        return True

    def _has_token(self, headers: Mapping[str, list[str]]) -> None:
        given = [
            value.strip().strip('"')
            for line in headers.get("cookie", [])
            for name, _, value in (part.partition("=") for part in line.split(";"))
            if name.strip() == self.cookie
        ]
        for line in headers.get("authorization", []):
            scheme, _, value = line.partition(" ")
            given += [value.strip()] if scheme.lower() == "bearer" else []
        if not given:
            raise RefusedError(401, _NO_TOKEN)
        if not any([self._right(value) for value in given]):  # noqa: C419  # takes as long for each
            raise RefusedError(403, _STALE)

    def _right(self, given: str) -> bool:
        text = given[:_LONGEST_TOKEN].encode("utf-8", "replace")
        return hmac.compare_digest(text, self._token.encode())


_NO_TOKEN = "Open the address that 'edl web' has printed: it holds the key to this page."  # noqa: S105
_STALE = "That key is not this server's. Open the address that 'edl web' has printed last."


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    return found


def _is_sound(scope: Scope, headers: Mapping[str, list[str]]) -> None:
    """Refuse what no page of ours sends."""
    if scope["method"] not in {"GET", "HEAD", "POST"}:
        raise RefusedError(405, f"{scope['method']} is not answered.")
    if scope["method"] != "POST":
        return
    kinds = [value.partition(";")[0].strip().lower() for value in headers.get("content-type", [])]
    if kinds != ["application/json"]:
        raise RefusedError(415, "What is sent has to be application/json.")
    for text in headers.get("content-length", []):
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise RefusedError(413, "That is too long.")
        if int(text) > MOST_BODY_BYTES:
            raise RefusedError(413, f"That is longer than {MOST_BODY_BYTES} bytes.")


class _Answer:
    """Sends an answer with all headers that protect a page."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, message: Message) -> None:
        """Send message; an answer that has such a header already keeps its own."""
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            given = {name.lower() for name, _ in headers}
            headers += [
                (name.encode(), value.encode())
                for name, value in _HEADERS.items()
                if name.encode() not in given
            ]
            message = {**message, "headers": headers}
        await self._send(message)

    async def login(self, cookie: str, token: str) -> None:
        """Give the token as a cookie, and let the browser forget the address that held it."""
        kept = f"{cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        await self._whole(303, b"", [("location", "/"), ("set-cookie", kept)])

    async def refuse(self, refusal: RefusedError, *, plain: bool) -> None:
        """Say why there is no answer."""
        if plain:
            body, kind = refusal.message + "\n", "text/plain; charset=utf-8"
        else:
            body, kind = json.dumps({"error": {"message": refusal.message}}), "application/json"
        # what was sent with the request is not read
        more = [("content-type", kind), ("connection", "close")]
        await self._whole(refusal.status, body.encode(), more)

    async def _whole(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        headers = [*headers, ("content-length", str(len(body)))]
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})
