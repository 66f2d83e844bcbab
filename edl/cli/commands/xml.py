# SPDX-License-Identifier: BSD-3-Clause
"""Send the programmer commands of one's own, from a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from edl.cli import severe
from edl.cli.app import App
from edl.cli.commands.provision import firehose
from edl.cli.options import Settings, phone_options
from edl.device import extras
from edl.device.phone import Phone
from edl.errors import ImageError
from edl.events import Notice
from edl.formats.xml import MAX_BYTES

_log = logging.getLogger(__name__)

_WORD = "SEND"
Commands = list[tuple[str, bytes]]


def raw_options(function: Any) -> Any:  # noqa: ANN401
    """Add the safety options of commands that somebody has written by hand."""
    dry_run = click.option("-n", "--dry-run", is_flag=True, help="Show them and send nothing.")
    return dry_run(severe.allow_option(function))


@click.command("xml")
@click.argument("file", type=click.Path(path_type=Path))
@raw_options
@phone_options
@click.pass_obj
def command(settings: Settings, file: Path, dry_run: bool, allow: str | None) -> None:
    """Send the programmer the commands in FILE, as they are. For experts.

    One element, or several in <data>. They are shown first, and asked about unless they are known
    to change nothing (nop, getstorageinfo, digests); what is sent and answered is in the log. For
    what data belongs to there are commands of edl: read, write, firmwarewrite, rawprogram.

    \b
    Example:
      edl xml commands.xml --dry-run
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror}.") from error
    send(App(settings), extras.raw_commands(text, file.name), dry_run=dry_run, allow=allow)


def send(app: App, commands: Commands, *, dry_run: bool, allow: str | None) -> None:
    """Show commands, ask, send them one by one, and give their answers.

    Raises:
        SafetyError: there is nobody to ask, and no code.
        DeviceRefusedError: the programmer said no; what came before it has been done.
    """
    with app.phone() as phone:
        texts = [xml.decode() for _, xml in commands]
        app.show(f"  > {text}" for text in texts)
        for tag in sorted({tag for tag, _ in commands} & extras.TRAPS.keys()):
            app.emit(Notice(f"<{tag}>: {extras.TRAPS[tag]}"))
        code = severe.code("xml", texts, phone.serial)
        if dry_run:
            done: list[dict[str, Any]] = []
            lines = [f"Nothing was sent. In a script: --allow {code}"]
        else:
            _ask(app, commands, phone, code, allow)
            done = [_sent(app, phone, *each) for each in commands]
            lines = [line for each in done for line in each["logs"]]
            lines.append(f"{len(done)} sent; the programmer said yes to all.")
    app.result({"commands": texts, "answers": done, "sent": not dry_run, "code": code}, lines)


def _ask(app: App, commands: Commands, phone: Phone, code: str, allow: str | None) -> None:
    if all(tag in extras.HARMLESS for tag, _ in commands):
        return
    question = (
        f"This sends phone {phone.serial} what nobody has checked. It can destroy what is on it,"
        " and nothing is saved first."
    )
    severe.require(app, question, word=_WORD, wanted=code, given=allow)


def _sent(app: App, phone: Phone, tag: str, xml: bytes) -> dict[str, Any]:
    _log.warning("a command of the user's own: %s", xml.decode())
    app.settings.changing = tag not in extras.HARMLESS
    exchange = firehose(phone).command(tag, xml)
    app.settings.changing = False
    _log.warning("its answer: %s %s", exchange.response.attributes, exchange.logs)
    return {"attributes": exchange.response.attributes, "logs": list(exchange.logs)}
