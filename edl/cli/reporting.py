# SPDX-License-Identifier: BSD-3-Clause
"""`--report FILE.html`: one page about a plan, a job, a backup or a comparison, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edl.cli import terminal
from edl.cli.options import Settings, one_of
from edl.errors import EdlError, UsageError

Function = TypeVar("Function", bound=Callable[..., Any])

_SUFFIXES = {".html", ".htm"}
_HEAD = b"<!DOCTYPE html>"  # of a page, which may be replaced


def report_option(function: Function) -> Function:
    """Add --report to a command."""
    function = click.option(
        "--redact", is_flag=True, expose_value=False, callback=_redact,
        help="With --report: names in place of serial numbers, users and their folders.",
    )(function)  # fmt: skip
    return click.option(
        "--report", metavar="FILE.html", multiple=True, expose_value=False, callback=_asked,
        help="Write a page about it, with a map of the storage; it holds serial numbers.",
    )(function)  # fmt: skip


def _redact(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    settings = ctx.find_object(Settings)
    if settings is not None and value:
        settings.redact = True


def _asked(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
    settings = ctx.find_object(Settings)
    value = one_of(param, values)
    if settings is not None and value is not None:
        from edl.report.collect import Recorder  # noqa: PLC0415  # only when asked for

        settings.report = str(_checked(value))
        settings.recorder = Recorder(ctx.command_path.partition(" ")[2])


def _checked(text: str) -> Path:
    """Return the file for a page, wherever the command goes.

    Raises:
        UsageError: no page can be there, or another file is.
    """
    path = Path(text).absolute()
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"--report takes the name of a page, not '{text}'.",
            remedies=("Let it end in .html, for example: --report report.html",),
        )
    try:
        if "\0" in text or not path.parent.is_dir():
            raise UsageError(f"There is no folder '{path.parent}' for the report.")
        if path.exists() and not _is_page(path):
            raise UsageError(
                f"'{text}' is there already, and is no page: it is not overwritten.",
                remedies=("Give the report another name.",),
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"'{text}' cannot be written: {reason}.") from error
    return path


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
    return not head or head.upper() == _HEAD.upper()


def failed(settings: Settings, data: Mapping[str, Any]) -> None:
    """Keep the error that ended the run, as its JSON line has it."""
    if settings.recorder is not None:
        settings.recorder.line("error", data)


def write(settings: Settings, words: Sequence[str], status: int) -> None:
    """Write the page of this run, if one was asked for.

    words: of the command line. status: with which it will exit.

    Raises:
        DiskError: it cannot be written.
    """
    if settings.recorder is None or settings.report is None:
        return
    try:
        _write(settings, settings.recorder.data(words, status, virtual=settings.virtual))
    except KeyboardInterrupt:  # the job itself has ended as it has
        terminal.err("  note     the report was not written, as you asked")


def _write(settings: Settings, record: dict[str, Any]) -> None:
    from edl.outfile import new_file  # noqa: PLC0415  # only when asked for
    from edl.report.page import page  # noqa: PLC0415  # jinja2 likewise

    path = Path(str(settings.report))
    data = page(_redacted(record) if settings.redact else record).encode()
    try:
        with new_file(path, size_bytes=len(data), private=True) as file:
            file.write(data)
    except EdlError as error:
        error.state = "whatever is said above; only the report is missing."
        raise
    if not (settings.json or settings.quiet):
        terminal.err(f"  report   {path}")


def _redacted(record: dict[str, Any]) -> dict[str, Any]:
    """Return record without private words, as `edl report` leaves them out."""
    from edl.cli.evidence import Item, redacted  # noqa: PLC0415  # only when asked for

    serial = (record["phone"] or {}).get("serial", "")
    learnt = [Item("", "", f"serial {serial}")]
    clean, _ = redacted(learnt + [Item("", "", text) for text in _texts(record)])
    texts = iter(item.text for item in clean[len(learnt) :])
    changed: dict[str, Any] = _with(record, texts)
    return changed


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in JSON-able data, in order."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)


def _with(value: Any, texts: Iterator[str]) -> Any:  # noqa: ANN401
    """Return value with these texts in place of its own."""
    match value:
        case str():
            return next(texts)
        case dict():
            return {key: _with(each, texts) for key, each in value.items()}
        case list():
            return [_with(each, texts) for each in value]
        case _:
            return value
