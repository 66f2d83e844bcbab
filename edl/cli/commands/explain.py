# SPDX-License-Identifier: BSD-3-Clause
"""Explain an error code, a line of a log, or a whole log."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from edl.cli.app import App
from edl.cli.explaining import Meaning, kinds, meaning, meanings, pages
from edl.cli.options import Settings, output_options
from edl.errors import EdlError, ImageError, UsageError
from edl.units import MIB

_MOST_BYTES = 16 * MIB  # of a log


@click.command("explain")
@click.argument("what", metavar="[CODE|LINE|FILE]", nargs=-1)
@output_options
@click.pass_obj
def command(settings: Settings, what: tuple[str, ...]) -> None:
    """Explain an error CODE, a LINE of a log, or all that a log FILE says.

    Lines may come from a phone's programmer or from other tools. Without an argument all codes are
    listed.

    \b
    Examples:
      edl explain wrong-sector-size
      edl explain 'ERROR: range restricted: lun=0, start_sector=0'
      edl explain port_trace.txt
    """
    app = App(settings)
    text = " ".join(what).strip()
    if not what:
        rows = [_data(kind) for kind in kinds().values()]
        app.result({"codes": rows}, map(_line, rows))
    elif text in kinds():
        data = _data(kinds()[text])
        app.result(data, _page(data))
    elif (path := Path(text)).is_file():
        _log(app, path)
    elif (told := meaning(text)) is not None:
        app.result({"meanings": [_told(text, told, 1)]}, _shown(text, told, 1))
    else:
        raise _unknown(text)


def _line(row: dict[str, object]) -> str:
    return f"{row['code']:<24} exit {row['status']:>3}  {row['title']}"


def _page(data: dict[str, object]) -> list[str]:
    lines = [f"{data['code']} (exit status {data['status']})", "", *str(data["text"]).splitlines()]
    remedies, seen = _texts(data["remedies"]), _texts(data["seen"])
    lines += ["", *(f"try: {remedy}" for remedy in remedies)] if remedies else []
    return lines + (["", "Seen as:", *(f"  {line}" for line in seen)] if seen else [])


def _texts(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _log(app: App, path: Path) -> None:
    try:
        with path.open("rb") as file:
            lines = file.read(_MOST_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    found = meanings(lines)
    data = {"meanings": [_told(*each) for each in found]}
    if not found:
        app.result(data, [f"Nothing in {path} is known as an error."])
        return
    shown = [_shown(*each) for each in found]
    app.result(data, [line for block in shown for line in (*block, "")][:-1])


def _told(line: str, told: Meaning, count: int) -> dict[str, object]:
    return {
        "line": line,
        "count": count,
        "code": told.kind.code,
        "text": told.text,
        "remedies": list(told.remedies),
    }


def _shown(line: str, told: Meaning, count: int) -> Sequence[str]:
    times = f" ({count} times)" if count > 1 else ""
    return (
        f"{line[:300]}{times}",
        *(f"  {row}" for row in textwrap.wrap(told.text, 96)),
        *(f"  try: {remedy}" for remedy in told.remedies),
        f"  more: edl explain {told.kind.code}",
    )


def _unknown(text: str) -> UsageError:
    close = difflib.get_close_matches(text, kinds(), n=3, cutoff=0.5)
    remedies = [f"Did you mean {' or '.join(close)}?"] if close else []
    return UsageError(
        f"'{text[:200]}' is no error code, no file, and no line that is known.",
        remedies=(*remedies, "See all codes: edl explain"),
    )


def _data(kind: type[EdlError]) -> dict[str, object]:
    page = pages()[kind.code]
    return {
        "code": kind.code,
        "status": kind.status,
        "title": (kind.__doc__ or "").splitlines()[0],
        "text": page.text,
        "remedies": list(kind.remedies),
        "seen": list(page.seen),
    }
