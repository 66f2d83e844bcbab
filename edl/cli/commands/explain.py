# SPDX-License-Identifier: BSD-3-Clause
"""Explain an error code."""

from __future__ import annotations

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
        text = "\n".join(
            f"{row['code']:<24} exit {row['status']:>3}  {row['title']}" for row in rows
        )
        app.result({"codes": rows}, text)
        return
    kind = kinds.get(code)
    if kind is None:
        raise UsageError(f"There is no error code '{code}'.", remedies=("See 'edl explain'.",))
    data = _data(kind)
    lines = [f"{code} (exit status {kind.status})", "", str(data["text"])]
    lines += ["", *(f"try: {remedy}" for remedy in kind.remedies)] if kind.remedies else []
    app.result(data, "\n".join(lines))


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
