# SPDX-License-Identifier: BSD-3-Clause
"""What pages send to `edl web`, and what its child processes print."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from edl.errors import UsageError
from edl.web import orders
from edl.web.lines import Lines, Reader, of_stream
from edl.web.orders import KINDS, Order, Type
from tests.fuzz.target import Target, require

_LONGEST = 4096


def hold(order: Order) -> None:
    """Make sure that no value in order has become an option, or another value."""
    kind = KINDS[order.name]
    words = list(order.words)
    fixed = [*kind.words, *kind.fixed]
    require(words[: len(fixed)] == fixed, "another command")
    left = []
    for word in words[len(fixed) :]:
        flag, equals, value = word.partition("=")
        option = next((each for each in kind.options.values() if each.flag == flag), None)
        require(option is not None, f"an option that there is not: {word!r}")
        takes_value = option is not None and option.type is not Type.FLAG
        require(takes_value == bool(equals), f"an option with a value too few or many: {word!r}")
        left.append(value)
    for text in (*left, *order.behind):
        require("\0" not in text and text.encode() is not None, "no command line can hold that")
        require(not text.startswith("-"), "it looks like an option")
    line = order.line(["--virtual=/x"], ["--report=/y"])
    require(line[0] == "--virtual=/x", "the phone is not chosen first")
    if order.behind:
        require(line.index("--") == len(line) - len(order.behind) - 1, "something slips in front")
    else:
        require("--" not in line, "an end of options, and nothing behind it")


def _order(data: bytes) -> None:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    hold(orders.read(body))


def _orders() -> Iterator[bytes]:
    rows: list[dict[str, object]] = [
        {"kind": "rawprogram", "phone": "usb 1-4", "package": ["/a.xml", "/-y"], "wipe": True,
         "only": ["boot*"], "choose": {"region": "EU"}, "slot": "both", "loader": "/l"},
        {"kind": "restore", "phone": "virtual 1", "folder": "/b", "partitions": ["boot_a"]},
        {"kind": "station", "package": "/rom", "count": 3, "again": False},
        {"kind": "explain", "phone": None, "code": "usage"},
    ]  # fmt: skip
    yield from (json.dumps(row).encode() for row in rows)


def _printed(data: bytes) -> None:
    reader, lines = Reader(), Lines(most=20, most_log=5, most_bytes=2000)
    whole = 0
    for raw in of_stream(io.BytesIO(data), _LONGEST):
        whole += raw if isinstance(raw, int) else len(raw)
        if (found := reader.line(raw)) is not None:
            line, size = found
            require(isinstance(line["type"], str), "a line of no type")
            json.dumps(line, allow_nan=False).encode()
            lines.add(line, size)
    require(whole + data.count(b"\n") == len(data), "bytes are lost, or there twice")
    kept = [number for number, _ in lines.since(0)]
    require(kept == sorted(set(kept)), "lines out of order")
    require(len(kept) <= 25 and lines.size <= 2000, "more is kept than may be")


def _prints() -> Iterator[bytes]:
    log = b'{"v":1,"type":"event","event":"device_log","text":"INFO: x"}\n'
    yield log * 8 + b'{"v":1,"type":"result"}\n'
    yield b'{"type":"question","id":1,"kind":"confirm","text":"?"}\nnonsense\n[1]\n{"type":"x"'
    yield b"x" * 9000 + b"\n" + log


TARGETS = (
    Target(
        "web-orders", ("edl.web.orders",), _order, _orders, (UsageError,),
        words=(b"--", b"-y", b'"phone"', b'"kind"', b'"package"', b"null", b"\\u0000", b"\\ud800"),
    ),
    Target(
        "web-lines", ("edl.web.lines",), _printed, _prints, (),
        words=(b"\n", b'"type"', b"NaN", b"device_log", b"[[[["),
    ),
)  # fmt: skip
