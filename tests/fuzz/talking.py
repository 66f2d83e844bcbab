# SPDX-License-Identifier: BSD-3-Clause
"""What a program says on stdin in a dialog (--dialog)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edl.cli.dialog import LONGEST_LINE_BYTES, Answer, Dialog, Lines, Stop, parse
from tests.fuzz.target import Target, require

_WORDS = (
    b'{"id":', b'"answer":', b'{"stop":', b"true", b"false", b"null", b'"gently"', b'"at once"',
    b"\n", b"\r\n", b"\\u0000", b"\\ud800", b"[", b"{", b"}", b"NaN", b"1e999", b"\xef\xbb\xbf",
    b"\0",
)  # fmt: skip


def _talk(data: bytes) -> None:
    whole, pieces = Lines().feed(data + b"\n"), []
    cut = Lines()
    for at in range(0, len(data) + 1, 7):
        pieces += cut.feed((data + b"\n")[at : at + 7])
    require(whole == pieces, "the lines depend on how they come")
    require(all(len(line) <= LONGEST_LINE_BYTES + 1 for line in whole), "a line without a bound")
    said: list[Answer | Stop] = []
    for line in whole:
        with contextlib.suppress(ValueError):
            said.append(parse(line.strip()))
    for kind in ("confirm", "word"):
        got = _asked(data, kind)
        right = got is None or (got is not True if kind == "word" else isinstance(got, bool))
        require(right, "an answer of another kind")
        require(got is None or Answer(1, got) in said, "an answer that nobody has given")
    require(_asked(data, "") is None, "an answer to no question")


def _asked(data: bytes, kind: str) -> bool | str | None:
    """Return what a question of that kind gets for an answer."""
    pieces = iter([data, b"\n"])
    dialog = Dialog(lambda: next(pieces, b""))
    dialog._number, dialog._open = 1, kind
    dialog.close()  # an order would interrupt this process
    dialog._listen()
    return dialog._answer


def _talks() -> Iterator[bytes]:
    yield b'{"id":1,"answer":true}\n'
    yield b'{"id": 1, "answer": "PROVISION"}\r\n{"id":1,"answer":false}'
    yield b'{"stop":"gently"}\n{"stop":"at once"}\n\n{"id":2,"answer":true}'
    yield b'{"id":1,"answer":true,"id":2}\n[1]\n"x"\n{"id":true,"answer":1}'
    yield b"[" * 5000 + b"\n" + b"x" * (LONGEST_LINE_BYTES + 9) + b'\n{"id":1,"answer":"y"}'


TARGETS = (Target("dialog", ("edl.cli.dialog",), _talk, _talks, (), _WORDS),)
