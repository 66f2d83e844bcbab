# SPDX-License-Identifier: BSD-3-Clause
"""How an error looks: what happened, the phone's own words, what is on the phone, what to do."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from pathlib import Path

import click

from edl.cli.options import Settings
from edl.errors import EdlError, UsageError


def show(error: BaseException, settings: Settings) -> int:
    """Show error and return the exit status."""
    match error:
        case EdlError():
            _show_edl(error, settings)
            return error.status
        case click.UsageError():
            return show(_usage(error), settings)
        case click.ClickException():
            return show(UsageError(error.format_message()), settings)
        case _:  # Ctrl-C where no job was running, or a question that was answered with no
            return _interrupted(settings)


def _usage(error: click.UsageError) -> UsageError:
    remedies = []
    message = error.format_message()
    if "--serial" in message and "requires an argument" in message:
        remedies.append("--serial takes the phone's serial number; 'edl list' shows it.")
    if error.ctx is not None:
        remedies.append(f"See '{error.ctx.command_path} --help'.")
    return UsageError(message, remedies=remedies)


def _interrupted(settings: Settings) -> int:
    if settings.json:
        _line({"type": "error", "code": "interrupted", "status": 130, "message": "Interrupted."})
    else:
        click.echo("Interrupted; nothing was written.", err=True)
    return 130


def _show_edl(error: EdlError, settings: Settings) -> None:
    if settings.json:
        _line(
            {
                "type": "error",
                "code": error.code,
                "status": error.status,
                "message": error.message,
                "state": error.state,
                "remedies": list(error.remedies),
                "device_log": list(error.device_log),
            }
        )
        return
    head = click.style(f"error[{error.code}]:", fg="red", bold=True)
    _echo(f"{head} {error.message}", settings)
    for text in error.device_log:
        _echo(f"  device: {text}", settings)
    if error.state:
        _echo(f"  on the phone: {error.state}", settings)
    for remedy in error.remedies:
        _echo(f"  try: {remedy}", settings)
    if error.code not in {"usage", "error", "cancelled"}:
        _echo(f"  more: edl explain {error.code}", settings)


def _echo(text: str, settings: Settings) -> None:
    click.echo(text, err=True, color=colours(settings, sys.stderr.isatty()))


def colours(settings: Settings, terminal: bool) -> bool:
    """Tell whether to colour a stream. The option wins, then NO_COLOR, then FORCE_COLOR."""
    import os  # noqa: PLC0415

    if settings.color != "auto":
        return settings.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return terminal


def _line(data: dict[str, object]) -> None:
    click.echo(json.dumps({"v": 1, **data}))


def show_bug(error: Exception, settings: Settings) -> int:
    """Write a report about a bug of ours to a file and say where it is."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="edl-bug-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
            path = str(Path(file.name))
    except OSError:
        path = "nowhere: the disk is full"
    failure = EdlError(
        f"This is a bug in edl ({type(error).__name__}: {error}).",
        remedies=(f"Please report it with this file: {path}",),
    )
    return show(failure, settings)
