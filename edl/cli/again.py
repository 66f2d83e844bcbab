# SPDX-License-Identifier: BSD-3-Clause
"""How to repeat a command later: noted in the journal of its job, carried out by `edl resume`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from edl.cli.options import Settings
from edl.errors import UsageError
from edl.plan.job import Job, Rules
from edl.plan.journal import Kept

_OF_THE_PHONE = ("loader", "memory", "vid", "pid", "max_payload", "no_identify")


@dataclass(frozen=True)
class Again:
    """An interrupted job, with the command that began it.

    words: of the command, such as `gpt repair`. parameters: of it. settings: of the phone. folder:
    the current one then.
    """

    serial: str
    kept: Kept
    words: tuple[str, ...]
    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    folder: Path
    begun: datetime

    @classmethod
    def of(cls, serial: str, kept: Kept) -> Again | None:
        """Return what a journal tells about how to repeat its job; None if it does not."""
        try:
            how = kept.about["how"]
            parameters = {str(name): _tupled(value) for name, value in how["parameters"].items()}
            return cls(
                serial, kept, tuple(map(str, how["words"])), parameters, dict(how["settings"]),
                Path(how["folder"]), datetime.fromisoformat(how["begun"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def job(self) -> Job:
        """What must be the same for it to go on."""
        return Job(self.serial, list(self.kept.about.get("files", ())))

    @property
    def text(self) -> str:
        """What it is, in a line."""
        begun = self.begun.astimezone().strftime("%Y-%m-%d %H:%M")
        title = str(self.kept.about.get("title", ""))
        return f"edl {' '.join(self.words)} {title}, begun {begun}, phone {self.serial}"

    def run(self, context: click.Context) -> None:
        """Carry the command out again, in the folder that it was in.

        Raises:
            UsageError: that folder is gone, or there is no such command.
        """
        settings = context.ensure_object(Settings)
        for name in _OF_THE_PHONE:
            if name in self.settings and name not in settings.given:
                setattr(settings, name, self.settings[name])
        _absolute(settings)
        settings.resuming = self
        command: click.Command = context.find_root().command
        for word in self.words:
            found = command.get_command(context, word) if isinstance(command, click.Group) else None
            if found is None:
                raise UsageError(f"There is no command 'edl {' '.join(self.words)}'.")
            command = found
        with contextlib.ExitStack() as moved:
            try:
                moved.enter_context(contextlib.chdir(self.folder))
            except OSError as error:
                raise UsageError(
                    f"The folder of the interrupted job cannot be entered: {self.folder}"
                    f" ({error.strerror})."
                ) from error
            context.invoke(command, **self.parameters)


def traced(rules: Rules) -> Rules:
    """Return rules with how to repeat the command that runs, and with what it goes on with."""
    context = click.get_current_context(silent=True)
    if context is None:
        return rules
    settings = context.find_object(Settings)
    if settings is None:
        return rules
    if isinstance(again := settings.resuming, Again):
        about = {"how": again.kept.about["how"]}
        return replace(rules, resume=True, only=again.job, about=about)
    how = {
        "words": context.command_path.split()[1:],
        "parameters": context.params,
        "settings": {name: getattr(settings, name) for name in _OF_THE_PHONE},
        "folder": str(Path.cwd()),
        "begun": datetime.now(UTC).isoformat(timespec="minutes"),
    }
    try:
        how = json.loads(json.dumps(how))
    except TypeError:  # a parameter that no line can hold: then the same line must be typed again
        return rules
    return replace(rules, about={"how": how})


def _absolute(settings: Settings) -> None:
    """Let what the command line of now names be found from another folder too."""
    for name in ("virtual", "port", "loader", "log_file"):
        value = getattr(settings, name)
        if value and name in settings.given and Path(value).exists():
            setattr(settings, name, str(Path(value).absolute()))


def _tupled(value: Any) -> Any:  # noqa: ANN401
    """Return value with tuples for lists, as options have them."""
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
