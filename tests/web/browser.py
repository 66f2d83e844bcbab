# SPDX-License-Identifier: BSD-3-Clause
"""A browser that uses a page as people do: it waits, clicks, types, presses keys, and listens."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.report.browser import PROGRAM, Browser, started

__all__ = ["PROGRAM", "Window", "window"]

_PATIENCE_S = 30.0
_POLL_S = 0.05
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38}


@dataclass
class Window:
    """One page. browser: its DevTools. address: of the server, with a slash at its end."""

    browser: Browser
    address: str = ""

    def open(self, url: str) -> None:
        """Go to url, and wait until that is loaded."""
        self.browser.told.clear()
        self.browser.ask("Page.navigate", url=url)
        self.browser.wait_for("Page.loadEventFired")

    def reload(self) -> None:
        """Load the page anew."""
        self.browser.told.clear()
        self.browser.ask("Page.reload")
        self.browser.wait_for("Page.loadEventFired")

    def front(self) -> None:
        """Look at this tab: one that is hidden draws nothing, and may have stopped listening."""
        self.browser.ask("Page.bringToFront")

    def look(self, width: int = 1280, *, dark: bool = False, height: int = 900) -> None:
        """Make the window so wide, in CSS pixels, light or dark."""
        self.browser.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.ask("Emulation.setEmulatedMedia", media="screen", features=[scheme])

    def value(self, expression: str) -> Any:  # noqa: ANN401
        """Return what a line of JavaScript gives; a promise is waited for."""
        answer = self.browser.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = _PATIENCE_S) -> Any:  # noqa: ANN401
        """Wait until a line of JavaScript gives something true, and return that."""
        deadline = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"never: {expression}\n{self.text()}"
            time.sleep(_POLL_S)
        return found

    def there(self, selector: str, seconds: float = _PATIENCE_S) -> None:
        """Wait until an element is there and is seen."""
        name = json.dumps(selector)
        self.until(f"document.querySelector({name})?.checkVisibility() ?? false", seconds)

    def text(self, selector: str = "body") -> str:
        """Return the text of an element as it is seen; nothing if it is not there."""
        name = json.dumps(selector)
        return str(self.value(f"document.querySelector({name})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse, as soon as it is there and enabled."""
        self.front()
        # what lies at that point must be the element twice in a row: pages move while they are made
        x, y = self.until(f"""(async () => {{
            const each = document.querySelector({json.dumps(selector)});
            if (!each?.checkVisibility() || each.disabled) return false;
            each.scrollIntoView({{block: 'center', behavior: 'instant'}});
            const at = () => {{
                const box = each.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }};
            const before = at();
            await new Promise(requestAnimationFrame);
            const hit = document.elementFromPoint(...at());
            return `${{before}}` === `${{at()}}` && each.contains(hit) && at();
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.ask(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def type(self, selector: str, text: str) -> None:
        """Put the focus on a field, and type text in place of what it holds."""
        self.there(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        self.browser.ask("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key."""
        shared = {
            "key": key, "code": "Space" if key == " " else key, "modifiers": 8 if shift else 0,
            "windowsVirtualKeyCode": _KEYS[key],
        }  # fmt: skip
        letter = {"Enter": "\r", " ": " "}.get(key, "")
        self.browser.ask("Input.dispatchKeyEvent", type="keyDown", text=letter, **shared)
        self.browser.ask("Input.dispatchKeyEvent", type="keyUp", **shared)

    @property
    def focus(self) -> str:
        """The id of the element that has the focus; its tag if it has none."""
        return str(
            self.value("document.activeElement?.id || document.activeElement?.tagName || ''")
        )

    def heard(self) -> list[tuple[str, str]]:
        """Return what a screen reader finds: role and name of each element, in order."""
        nodes = self.browser.ask("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and "role" in node
        ]

    def picture(self, path: Path) -> None:
        """Save a picture of the whole page as PNG."""
        self.browser.picture(path)

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings in the console, exceptions, and what the CSP has refused."""
        quiet = {"Network.requestWillBeSent", "Page.loadEventFired"}
        return [json.dumps(told) for method, told in self.browser.told if method not in quiet]

    @property
    def foreign(self) -> list[str]:
        """The addresses that were asked for, and are not the server's."""
        return [url for url in self.browser.requests if not url.startswith(self.address)]

    @contextlib.contextmanager
    def tab(self) -> Iterator[Window]:
        """Open another tab of the same browser, with the same cookies."""
        with self.browser.another() as other:
            yield Window(other, self.address)


@contextlib.contextmanager
def window(folder: Path) -> Iterator[Window]:
    """Start a browser with one empty page, whose profile lies in folder."""
    with started(folder) as browser:
        yield Window(browser)
