# SPDX-License-Identifier: BSD-3-Clause
"""The two streams: results on stdout, everything else on stderr, and nothing that harms a terminal.

Names in packages and partition tables are hostile input: they may hold escape sequences that would
rewrite what a user sees. So every line is cleaned on its way out.
"""

from __future__ import annotations

import os
import sys

from edl.errors import DiskError

TYPE_CHECKING = False  # typing itself takes 13 ms, which `edl list` need not wait for
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

_UNSURE = {"", "dumb", "unknown"}
_NARROW = 20  # columns; no terminal has fewer


def prepare() -> None:
    """Make both streams take any text: what an encoding lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def clean(text: str) -> str:
    """Return text as one line that is safe to show."""
    if text.isprintable():
        return text
    from edl.formats.texts import escaped  # noqa: PLC0415  # `edl --help` does without

    return escaped(text)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether stream is a terminal. A stream that was closed at the start is None."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed since
        return False


def is_lively(stream: TextIO | None) -> bool:
    """Tell whether stream is a terminal that can move its cursor."""
    return is_terminal(stream) and os.environ.get("TERM", "vt100") not in _UNSURE


def colours(choice: str, stream: TextIO | None) -> bool:
    """Tell whether to colour stream. The option wins, then NO_COLOR, then FORCE_COLOR."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    if sys.platform == "win32":
        from edl.cli.winconsole import takes_sequences  # noqa: PLC0415

        return is_lively(stream) and takes_sequences(stream)
    return is_lively(stream)


def out(lines: Iterable[str]) -> None:
    """Write lines of a result to stdout.

    Raises:
        BrokenPipeError: whoever read them is gone.
        DiskError: they cannot be written, for example because the disk is full.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write("".join(f"{fitted(clean(line), sys.stdout)}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        raise
    except (OSError, ValueError) as error:
        drop(sys.stdout)
        raise DiskError(
            f"The output cannot be written: {getattr(error, 'strerror', None) or error}.",
            remedies=("Send it somewhere else; the phone is as the messages above say.",),
        ) from error


def err(line: str, style: str = "") -> None:
    """Write one line to stderr; a terminal that is gone must never stop a job.

    style: an SGR sequence for the line's head, up to the first colon.
    """
    text = fitted(clean(line), sys.stderr)
    if style:
        head, colon, rest = text.partition(":")
        text = f"{style}{head}{colon}\x1b[0m{rest}"
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
    # a RuntimeError comes where a signal interrupts the writing of another line
    except (OSError, ValueError, RuntimeError):  # contextlib takes 6 ms
        pass


def width(stream: TextIO | None) -> int | None:
    """Return how many columns a line on stream may have; None if it is no terminal.

    The last column stays empty: some terminals begin a new line behind it.
    """
    if stream is None or not is_terminal(stream):
        return None
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None
    return columns - 1 if columns else None


def fitted(line: str, stream: TextIO | None) -> str:
    """Return line, folded between words if stream is a terminal that is too narrow for it."""
    if len(line) < _NARROW or not (columns := width(stream)):
        return line
    from edl.cli.folding import folded  # noqa: PLC0415  # no short line waits for it

    return folded(line, columns)


def drop(stream: TextIO | None) -> None:
    """Let what stream still holds go nowhere, so that the interpreter does not stumble over it."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        if stream is not None:
            os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass
