# SPDX-License-Identifier: BSD-3-Clause
"""A real browser that looks at pages: Chromium without a window, over its DevTools pipe.

Nothing but the standard library is needed: messages are JSON, each ended by a zero byte.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
_NOISE = {"Network.requestWillBeSent", "Runtime.consoleAPICalled", "Log.entryAdded",
          "Runtime.exceptionThrown", "Network.webSocketCreated", "Page.loadEventFired"}  # fmt: skip


@dataclass
class _Pipe:
    """What all pages of a browser talk through. pages: by their session."""

    to: int
    source: int
    pages: dict[str, Browser] = field(default_factory=dict)
    count: int = 0
    rest: bytes = b""

    def next(self) -> dict[str, Any]:
        """Return what the browser says next; what it reports of a page is noted there."""
        while b"\0" not in self.rest:
            data = os.read(self.source, 1 << 20)
            assert data, "the browser is gone"
            self.rest += data
        head, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(head)
        page = self.pages.get(message.get("sessionId", ""))
        if page is not None and message.get("method") in _NOISE:
            page.told.append((message["method"], message["params"]))
        return message


@dataclass
class Browser:
    """One page in a browser. told: what it has reported, as (method, parameters)."""

    pipe: _Pipe
    session: str = ""
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return what the browser answers."""
        self.pipe.count += 1
        number = self.pipe.count
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.pipe.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.pipe.next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def wait_for(self, method: str) -> None:
        """Wait until it has reported that."""
        while method not in {told for told, _ in self.told}:
            self.pipe.next()

    @contextlib.contextmanager
    def another(self) -> Iterator[Browser]:
        """Open one more empty page, with the same cookies."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        page = Browser(self.pipe, attached["sessionId"])
        self.pipe.pages[page.session] = page
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        yield page
        del self.pipe.pages[page.session]
        self.ask("Target.closeTarget", targetId=target)

    def open(self, path: Path, *, width: int, dark: bool = False, media: str = "screen") -> None:
        """Show the file in a window of that width, in CSS pixels, until it is loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.told.clear()
        self.ask("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:  # noqa: ANN401
        """Return what a line of JavaScript gives."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Save a picture of the whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def requests(self) -> list[str]:
        """The addresses that the page has asked for."""
        return [told["request"]["url"] for method, told in self.told
                if method == "Network.requestWillBeSent"]  # fmt: skip

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What was written to the console, and what went wrong."""
        quiet = {"Network.requestWillBeSent", "Page.loadEventFired"}
        return [told for method, told in self.told if method not in quiet]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile lies in folder, with one empty page."""
    assert PROGRAM is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # the browser talks on its descriptors 3 and 4
    line = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    words = ["bash", "-c", line, PROGRAM, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(
            words, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with Browser(_Pipe(ours_out, ours_in)).another() as page:
            yield page
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        process.wait()
