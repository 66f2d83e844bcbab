# SPDX-License-Identifier: BSD-3-Clause
"""Explain an error code."""

from __future__ import annotations

import difflib
import inspect

import click

from edl.cli.app import App
from edl.cli.options import Settings, output_options
from edl.errors import EdlError, UsageError, all_errors


@click.command("explain")
@click.argument("code", required=False)
@output_options
@click.pass_obj
def command(settings: Settings, code: str | None) -> None:
    """Explain an error CODE; without one, list them all.

    \b
    Example:
      edl explain wrong-sector-size
    """
    app = App(settings)
    kinds = {kind.code: kind for kind in all_errors()}
    if code is None:
        rows = [_data(kind) for kind in kinds.values()]
        app.result({"codes": rows}, map(_line, rows))
        return
    kind = kinds.get(code)
    if kind is None:
        raise _unknown(code, list(kinds))
    data = _data(kind)
    lines = [f"{code} (exit status {kind.status})", "", *str(data["text"]).splitlines()]
    lines += ["", *(f"try: {remedy}" for remedy in kind.remedies)] if kind.remedies else []
    app.result(data, lines)


def _line(row: dict[str, object]) -> str:
    return f"{row['code']:<24} exit {row['status']:>3}  {row['title']}"


def _unknown(code: str, codes: list[str]) -> UsageError:
    close = difflib.get_close_matches(code, codes, n=3, cutoff=0.5)
    remedies = [f"Did you mean {' or '.join(close)}?"] if close else []
    return UsageError(
        f"There is no error code '{code}'.", remedies=(*remedies, "See them all: edl explain")
    )


def _data(kind: type[EdlError]) -> dict[str, object]:
    text = inspect.getdoc(kind) or ""
    told = text.split("\n\nAttributes:")[0]
    return {
        "code": kind.code,
        "status": kind.status,
        "title": told.splitlines()[0],
        "text": told,
        "remedies": list(kind.remedies),
    }
