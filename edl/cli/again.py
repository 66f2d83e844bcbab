# SPDX-License-Identifier: BSD-3-Clause
"""Interrupted jobs: how to repeat their commands, and what other commands say about them.

How to repeat a command is noted in the journal of its job, and carried out by `edl resume`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edl.cli.options import Settings
from edl.errors import UnfinishedJobError, UsageError
from edl.events import Notice
from edl.files import File
from edl.plan import blind, history
from edl.plan.history import Record
from edl.plan.job import Job, Rules
from edl.plan.journal import fingerprint
from edl.plan.model import Covered, Plan, ReadOut

if TYPE_CHECKING:
    from edl.cli.app import App

_FIRST_YEAR, _LAST_YEAR = 2000, 9000
_OF_THE_PHONE = ("loader", "memory", "vid", "pid", "max_payload", "no_identify")


@dataclass(frozen=True)
class Again:
    """An interrupted job, with the command that began it.

    words: of the command, such as `gpt repair`. parameters: of it. settings: of the phone. folder:
    the current one then.
    """

    record: Record
    words: tuple[str, ...]
    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    folder: Path
    begun: datetime

    @classmethod
    def of(cls, record: Record) -> Again | None:
        """Return what a journal tells about how to repeat its job; None if it does not."""
        try:
            how = record.kept.about["how"]
            parameters = {str(name): _tupled(value) for name, value in how["parameters"].items()}
            again = cls(
                record, tuple(map(str, how["words"])), parameters, dict(how["settings"]),
                Path(how["folder"]), datetime.fromisoformat(how["begun"]),
            )  # fmt: skip
            _require_sense(again)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return again

    @property
    def job(self) -> Job:
        """What must be the same for it to go on."""
        files = list(self.record.kept.about.get("files", ()))
        return Job(self.record.serial, files, self.record.name)

    @property
    def text(self) -> str:
        """What it is, in a line."""
        begun = self.begun.astimezone().strftime("%Y-%m-%d %H:%M")
        what = f"edl {' '.join(self.words)} {self.record.title}"
        return f"{what}, begun {begun}, phone {self.record.serial}"

    def run(self, context: click.Context) -> None:
        """Carry the command out again, in the folder that it was in.

        Raises:
            UsageError: that folder is gone, or there is no such command.
            click.BadParameter: what it was given then is nothing that it takes.
        """
        settings = context.ensure_object(Settings)
        command = self._command(context)
        options = {str(param.name): param for param in command.params}
        for name in _OF_THE_PHONE:
            value = self.settings.get(name)
            if value is not None and name in options and name not in settings.given:
                setattr(settings, name, options[name].type(value, options[name], context))
        _absolute(settings)
        settings.resuming = self
        given = {
            name: _taken(options.get(name), name, value, context)
            for name, value in self.parameters.items()
        }
        with contextlib.ExitStack() as moved:
            try:
                moved.enter_context(contextlib.chdir(self.folder))
            except OSError as error:
                raise UsageError(
                    f"The folder of the interrupted job cannot be entered: {self.folder}"
                    f" ({error.strerror})."
                ) from error
            # whatever is asked before the first write was answered before, of this phone
            known = self.record.serial != "unknown" and "yes" in given
            agreed = {"yes": True} if known else {}
            context.invoke(command, **{**given, **agreed})

    def _command(self, context: click.Context) -> click.Command:
        """Return the command that began it.

        Raises:
            UsageError: there is none that could have.
        """
        command: click.Command = context.find_root().command
        for word in self.words:
            found = command.get_command(context, word) if isinstance(command, click.Group) else None
            if found is None:
                raise UsageError(f"There is no command 'edl {' '.join(self.words)}'.")
            command = found
        if isinstance(command, click.Group) or command is context.command:
            raise UsageError(f"'edl {' '.join(self.words)}' is no command that writes.")
        return command


def told(record: Record) -> str:
    """Return which job was interrupted, and how far it got, in words."""
    again = Again.of(record)
    what = again.text if again is not None else record.title or f"of the journal {record.path}"
    return f"{record.name} ({what}; {record.progress})"


def heed(
    app: App,
    plan: Plan,
    serial: str,
    rules: Rules,
    *,
    sources: Iterable[File] = (),
    yes: bool,
) -> None:
    """Say which jobs on the phone were interrupted, and ask where plan makes not up for them.

    Raises:
        UnfinishedJobError: there is nobody to ask, and the phone would stay incomplete.
        click.Abort: the answer was no.
    """
    if any(finding.code == blind.CODE for finding in plan.findings):
        agree_to_blindness(app, yes=yes)
    if not (rules.journal and plan.changes_phone):
        return
    mine = rules.only.name if rules.only is not None else ""
    mark, areas = fingerprint(plan, sources), Covered()
    for step in plan.steps:
        if not isinstance(step, ReadOut):
            areas.add(step.area)
    left = []
    for record in history.interrupted(serial):
        spare = record.kept.about.get("job") == "doctor"  # which writes outside all partitions
        if spare or record.name == mine or (record.kept.job == mark and rules.resume):
            continue
        if record.kept.job == mark:
            app.emit(Notice(f"an interrupted run of this job is begun anew: {told(record)}"))
        elif record.areas and not any(areas.rest(area) for area in record.areas):
            app.emit(Notice(f"this makes up for an interrupted job: {told(record)}"))
        else:
            left.append(told(record))
    if left:
        _agree(
            app, f"The phone is incomplete, interrupted was: {'; '.join(left)}.", serial, yes=yes
        )


def agree_to_blindness(app: App, *, yes: bool) -> None:
    """Have somebody type that nothing can be saved first, and nothing be verified.

    Raises:
        UsageError: there is nobody to ask.
        click.Abort: it was not typed.
    """
    if yes:
        return
    if not app.at_terminal:
        raise UsageError(
            "Nothing of this job can be saved or verified, and there is no terminal to ask on.",
            remedies=("Add --yes to go on.",),
        )
    app.say("Nothing of this can be saved first, or verified afterwards.")
    if not app.types("Type 'write blindly' to go on", "write blindly"):
        raise click.Abort


def tell_interrupted(app: App, serial: str, rules: Rules) -> None:
    """Say which jobs on the phone were interrupted, before one that touches none of its data."""
    mine = rules.only.name if rules.only is not None else ""
    for record in history.interrupted(serial) if rules.journal else ():
        if record.name != mine:
            app.emit(Notice(f"interrupted, and left as it is: {told(record)}"))


def _agree(app: App, text: str, serial: str, *, yes: bool) -> None:
    if serial == "unknown":
        app.emit(Notice(f"{text} (If it is this phone, which does not tell its serial number.)"))
    elif yes:
        app.emit(Notice(f"{text} It stays so; 'edl resume' can finish it."))
    elif not app.at_terminal:
        raise UnfinishedJobError(text)
    else:
        app.confirm(f"{text} This job leaves it so; 'edl resume' finishes it.", yes=False)


def traced(rules: Rules, **changes: Any) -> Rules:  # noqa: ANN401
    """Return rules with how to repeat the command that runs, and with what it goes on with.

    changes: parameters of the command that were not given with it, but told when it asked.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return rules
    settings = context.find_object(Settings)
    if settings is None:
        return rules
    rules = replace(rules, journal=lasting(settings.virtual))
    if isinstance(again := settings.resuming, Again):
        about = {"how": again.record.kept.about["how"]}
        return replace(rules, resume=True, only=again.job, about=about)
    how = {
        "words": context.command_path.split()[1:],
        "parameters": context.params | changes,
        "settings": {name: getattr(settings, name) for name in _OF_THE_PHONE},
        "folder": str(Path.cwd()),
        "begun": datetime.now(UTC).isoformat(timespec="minutes"),
    }
    try:
        how = json.loads(json.dumps(how))
    except TypeError:  # a parameter that no line can hold: then the same line must be typed again
        return rules
    return replace(rules, about={"how": how})


def lasting(virtual: str | None) -> bool:
    """Tell whether the phone outlives this process: a virtual one does in a folder only.

    virtual: may name several (see `edl.virtual.bench`), of which none is made for this process.
    """
    if virtual is None or Path(virtual).is_dir():
        return True
    return all(Path(part).is_dir() for part in virtual.split(";") if part)


def _require_sense(again: Again) -> None:
    """Make sure that again is something that a job can have noted.

    Raises:
        ValueError, TypeError, AttributeError: it is not; somebody has edited the journal.
    """
    if again.begun.tzinfo is None or not _FIRST_YEAR <= again.begun.year < _LAST_YEAR:
        raise ValueError("no job began then")
    if "\0" in str(again.folder):
        raise ValueError("no folder has such a name")
    for name, path, size_bytes, mtime_ns in again.record.kept.about.get("files", ()):
        if not (isinstance(name, str) and isinstance(path, str)):
            raise TypeError("files have names")
        int(size_bytes), int(mtime_ns)


def _taken(
    param: click.Parameter | None, name: str, value: object, context: click.Context
) -> object:
    """Return value as the command gets it from its line, where it was given for param.

    Raises:
        click.BadParameter: it is nothing that param takes.
        UsageError: there is no param of that name.
    """
    if param is None:
        raise UsageError(f"The interrupted command has no parameter '{name}'.")
    many = param.multiple or param.nargs != 1
    one = value is not None and many and not isinstance(value, tuple)  # one of them was picked
    return param.process_value(context, (value,) if one else value)


def _absolute(settings: Settings) -> None:
    """Let what the command line of now names be found from another folder too."""
    for name in ("virtual", "port", "loader", "log_file"):
        value = getattr(settings, name)
        if value and name in settings.given and Path(value).exists():
            setattr(settings, name, str(Path(value).absolute()))


def _tupled(value: Any) -> Any:  # noqa: ANN401
    """Return value with tuples for lists, as options have them."""
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
