# SPDX-License-Identifier: BSD-3-Clause
"""What a failure is called, as an error with a code, and how it is told: to people, to programs."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import click

from edl.cli import bugs, reporting, shown, terminal
from edl.cli.options import SERIAL_REMEDY, Settings
from edl.errors import (
    BlindWriteError,
    CancelledError,
    DiskError,
    EdlError,
    PackageError,
    SafetyError,
    StoppedMidwayError,
    UsageError,
    WrongSectorSizeError,
    WrongStorageError,
)

if TYPE_CHECKING:
    from edl.plan.model import Finding

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
_HALF_DONE = "A job was under way: the phone may be incomplete and not start as it is."
_RESUME = "Finish the job: edl resume, or the same command with --resume."

_KINDS: dict[str, type[EdlError]] = {
    "unique-covered": SafetyError,
    "unique-moved": SafetyError,
    "slot-empty": SafetyError,
    "whole-lun-erase": SafetyError,
    "foreign-user-data": SafetyError,
    "blind-write": BlindWriteError,
    "moves-unique": SafetyError,
    "other-layout": SafetyError,
    "nand-filler": SafetyError,
    "nand-unaligned": UsageError,
    "nand": WrongStorageError,
    "wrong-sector-size": WrongSectorSizeError,
    "no-such-lun": WrongStorageError,
}


def show(error: BaseException, settings: Settings) -> int:
    """Show error and return the exit status."""
    failure = as_edl_error(error, settings)
    data = as_data(failure)
    reporting.failed(settings, data)
    if settings.talk is not None:
        settings.talk.flush()
    if settings.json:
        terminal.out([json.dumps({"v": 1, "type": "error", **data})])
    else:
        shown.show(failure, settings.color)
    return failure.status


def as_edl_error(error: BaseException, settings: Settings) -> EdlError:
    """Return error as one with a code; of a bug of ours a report is kept."""
    match error:
        case EdlError():
            return error
        case click.ClickException():
            return _usage(error)
        case OSError() if error.errno in _FULL:
            what = f"{error.filename}" if error.filename else "A file or the output"
            return DiskError(
                f"{what} cannot be written: {error.strerror}.",
                remedies=("Make room on this computer's disk, or choose another one.",),
            )
        case click.Abort() | KeyboardInterrupt() | EOFError():
            return _interrupted(error, settings)
        case _:
            return _bug(error, settings)


def of_findings(errors: tuple[Finding, ...]) -> EdlError:
    """Return the error that ends a job because of errors among the findings."""
    first, *others = errors
    where = f"{first.where}: " if first.where else ""
    more = f" ({len(others)} more error{'s' * (len(others) > 1)} above.)" if others else ""
    return _KINDS.get(first.code, PackageError)(
        f"{where}{first.message}{more} Nothing was written.",
        remedies=(first.remedy,) if first.remedy else (),
    )


def _usage(error: click.ClickException) -> UsageError:
    message = error.format_message().replace("\n", " ")
    remedies = []
    if isinstance(error, click.exceptions.NoSuchOption) and error.option_name in _OF_COMMANDS:
        remedies.append(f"'{error.option_name}' belongs behind the command that it is for.")
    if isinstance(error, click.exceptions.BadOptionUsage) and error.option_name == "--serial":
        remedies.append(SERIAL_REMEDY)
    context = getattr(error, "ctx", None)
    if context is not None:
        remedies.append(f"See '{context.command_path} --help'.")
    return UsageError(message, remedies=remedies)


_OF_COMMANDS = {
    "-n", "--dry-run", "-y", "--yes", "--verify", "--overwrite", "--no-backup", "--resume",
    "--lun", "-u", "-i", "--include", "-f", "--allow-missing", "-R", "--skip-reset", "--no-reset",
    "--only", "--skip", "--force", "-d", "--dir", "-p", "--patch", "--report",
}  # fmt: skip


def _interrupted(error: BaseException, settings: Settings) -> EdlError:
    """Return the error for Ctrl-C where no step was running, or for a no to a question."""
    if not settings.changing:
        return CancelledError("Stopped, as you asked; nothing was written.")
    if isinstance(error.__context__, EdlError):  # it came while the job was ending already
        return error.__context__
    failure = StoppedMidwayError("Stopped, as you asked.", remedies=(_RESUME,))
    failure.state = _HALF_DONE
    return failure


def _bug(error: BaseException, settings: Settings) -> EdlError:
    """Return the error for a bug of ours, with its report in a file."""
    try:
        path = str(bugs.keep(error))
    except OSError as problem:
        path = f"none, because of this: {problem.strerror}"
    failure = EdlError(
        f"This is a bug in edl ({type(error).__name__}: {error}).",
        remedies=(f"Please report it with this file: {path}",),
    )
    if settings.changing:
        failure.state = _HALF_DONE
        failure.remedies = (*failure.remedies, _RESUME)
    return failure


def as_data(error: EdlError) -> dict[str, object]:
    """Return what its JSON line has."""
    return {
        "code": error.code,
        "status": error.status,
        "message": error.message,
        "state": error.state,
        "remedies": list(error.remedies),
        "device_log": list(error.device_log),
        **({"parts": list(error.parts)} if error.parts else {}),
    }
