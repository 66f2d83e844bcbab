# SPDX-License-Identifier: BSD-3-Clause
"""Serve a page in the browser."""

from __future__ import annotations

import contextlib
import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from edl.cli import terminal
from edl.cli.app import App
from edl.cli.options import Settings, output_options, virtual_options
from edl.errors import UsageError
from edl.plan.model import plural

if TYPE_CHECKING:
    from edl.web import serve

_LAST_S = 10.0
_INTERRUPTED = 130  # exit status, as shells have it
_TURN_S = 0.2  # Windows tells a waiting thread nothing of Ctrl-C


@click.command("web")
@click.option(
    "--listen", "port", type=click.IntRange(0, 65535), default=0, metavar="PORT",
    help="Port of 127.0.0.1 [default: one that is free].",
)  # fmt: skip
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@virtual_options
@output_options
@click.pass_obj
def command(settings: Settings, port: int, *, no_open: bool) -> None:
    """Show phones, packages and jobs on a page in the browser, until Ctrl-C.

    The page is for this computer alone: its address holds a key, which nobody else has. From
    elsewhere: ssh -L (docs/web.md).

    \b
    Examples:
      edl web
      edl web --virtual msm8953*3
      edl web --listen 9008 --no-open
    """
    try:
        from edl.web.serve import running  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The page needs more than edl itself ({error.name} is missing).",
            remedies=('Install it: pip install "edl-recovery[web]"',),
        ) from error
    if settings.faults and settings.virtual is None:
        raise UsageError(
            "--fault is for virtual phones.", remedies=("Add --virtual NAME, or NAME*3.",)
        )
    app = App(settings)
    with (
        app.running(),
        running(port, phones=settings.virtual, faults=settings.faults) as server,
        app.gentle() as cancel,
    ):
        app.result({"url": server.url, "port": server.port}, [server.url])
        app.say("Ctrl-C ends it.")
        if not no_open and terminal.is_terminal(sys.stdout) and not settings.json:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(server.url)
        while not cancel.wait(_TURN_S):
            pass
        _end(app, server)


def _end(app: App, server: serve.Server) -> None:
    """Ask the jobs to stop, and wait for them; another Ctrl-C lets that happen at once."""
    count = server.ask_to_stop()
    if not count:
        return
    app.say(f"{plural(count, 'job')} at work: each stops when its piece is done.")
    try:
        server.wait_for_jobs()
    except KeyboardInterrupt:
        server.ask_to_stop(at_once=True)
        server.wait_for_jobs(_LAST_S)
        app.say("Jobs that were at work have been stopped where they were: edl resume --list")
        raise click.exceptions.Exit(_INTERRUPTED) from None
