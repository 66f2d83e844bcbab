# SPDX-License-Identifier: BSD-3-Clause
"""Before a restart: would the phone start? After it: what did it come back as?"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edl.boot import chain, check, model, remembered, watch
from edl.boot.model import Earlier, Job, Readiness, State, Verdict
from edl.boot.watch import Came, Return, Sight
from edl.cli import terminal
from edl.cli.again import lasting
from edl.cli.options import Seconds, once
from edl.device.phone import Phone
from edl.errors import EdlError, NotReadyError
from edl.events import Notice, Stage
from edl.firehose.commands import Power
from edl.plan.model import Plan, ReadOut, Severity

if TYPE_CHECKING:
    from edl.cli.app import App

_NAME = re.compile(r"\w+")  # of a partition
_WATCH_S = 30.0
_VERDICTS = {
    Verdict.READY: "ready to start",
    Verdict.DOUBTFUL: "may start; see the warnings",
    Verdict.NOT_READY: "would not start",
    Verdict.UNKNOWN: "could not be looked at",
}
_STATES = {
    State.SIGNED: "signed with this phone's key",
    State.UNFUSED: "the phone checks no signatures",
    State.NOT_COMPARED: "there; its signature is not compared",
    State.UNKNOWN: "unknown: no boot image that is known",
    State.UNREAD: "cannot be read",
    State.BLANK: "EMPTY",
    State.DAMAGED: "DAMAGED",
    State.UNSIGNED: "NOT SIGNED",
    State.WRONG_KEY: "WRONG KEY",
    State.OTHER_PHONE: "FOR ANOTHER PHONE",
}
_RESTART = "To restart it all the same: edl reset"


def boot_options(function: Any) -> Any:  # noqa: ANN401
    """Add --no-boot-check and --watch to a command that may restart the phone."""
    options = (
        click.option(
            "--no-boot-check", is_flag=True,
            help="Restart without looking whether the phone would start.",
        ),
        once(
            "--watch", type=Seconds(), metavar="SECONDS",
            help="How long to watch what it comes back as [default: 30 on a terminal, else 0].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


look_option = click.option(
    "--no-boot-check", is_flag=True, help="Do not look whether the phone would start."
)


class Ready:
    """The looks at one phone around one job."""

    def __init__(self, app: App, phone: Phone, plan: Plan, options: Mapping[str, Any]) -> None:
        """Remember what the phone holds before plan changes it. options: those of boot_options."""
        self._app = app
        self._phone = phone
        self._plan = plan
        self._yes = bool(options.get("yes"))
        self._checks = plan.changes_phone and not options.get("no_boot_check")
        self._watch_s = _patience(app, options.get("watch"))
        self._before: list[Sight] | None = None
        self._withheld = False
        self._readiness: Readiness | None = None
        self._return: Return | None = None
        self._earlier = Earlier()
        if self._checks and not plan.errors:
            self._earlier = self._before_it(phone)

    def _before_it(self, phone: Phone) -> Earlier:
        """Return what is there, and what was there before earlier jobs."""
        if not lasting(self._app.settings.virtual):
            return check.earlier(phone, self._app.cancel)
        return remembered.before(phone, self._app.cancel)

    @classmethod
    def if_concerned(
        cls, app: App, phone: Phone, plan: Plan, options: Mapping[str, Any]
    ) -> Ready | None:
        """Return the looks around a job without a restart, if it changes how the phone starts."""
        names = [step.label for step in plan.steps if not isinstance(step, ReadOut)]
        parts = any(chain.is_link(name) or not _NAME.fullmatch(name) for name in names)
        if not parts and plan.bootable is None:
            return None
        return cls(app, phone, plan, options)

    def glance(self) -> None:
        """Look at the phone after such a job, and tell what is wrong with what it has changed."""
        if self._checks:
            self._app.emit(Stage("boot", "looking whether the phone would start"))
            found = check.check(self._phone, self._job, self._earlier, self._app.cancel)
            self._readiness = found
            replaced = self._job.replaced
            names = {f"'{seen.link.name}'" for seen in found.images if seen.link.base in replaced}
            names |= {f"'{name}'" for name in replaced}
            mine = (
                each
                for each in found.findings
                if any(name in each.message for name in names)
                or (self._tables and each.severity is Severity.ERROR)
            )
            self._tell(replace(found, findings=tuple(mine), unread=()))

    def allows(self) -> bool:
        """Look at the phone, and tell whether to restart it as planned.

        A phone that would not start stays in EDL mode, where it can be mended, unless somebody at a
        terminal says otherwise.
        """
        if self._checks:
            self._app.emit(Stage("boot", "looking whether the phone would start"))
            self._readiness = check.check(self._phone, self._job, self._earlier, self._app.cancel)
            self._tell(self._readiness)
        severe = self._readiness is not None and self._readiness.severe
        if severe and self._plan.reset in {Power.RESET, Power.OFF}:
            self._withheld = not self._insists()
        if not self._withheld and self._watches:
            self._before = self._sights()
        return not self._withheld

    @property
    def _job(self) -> Job:
        plan = self._plan
        changed = (step for step in plan.steps if not isinstance(step, ReadOut))
        return Job(plan.bootable, frozenset(model.base(step.label) for step in changed))

    @property
    def _tables(self) -> bool:
        """Whether the job changes more than partitions: tables, the slot, the LUN to boot from."""
        names = (step.label for step in self._plan.steps if not isinstance(step, ReadOut))
        return self._plan.bootable is not None or any(not _NAME.fullmatch(name) for name in names)

    @property
    def _watches(self) -> bool:
        return self._plan.reset is Power.RESET and self._watch_s is not None

    def _tell(self, readiness: Readiness) -> None:
        for finding in readiness.findings:
            if finding.severity is not Severity.INFO:
                self._app.show_finding(finding)
        for what in readiness.unread:
            self._app.emit(Notice(f"not looked at: {what}"))

    def _insists(self) -> bool:
        """Ask whether to restart a phone that would not start; nobody there means no."""
        if self._yes or not self._app.at_terminal:
            return False
        self._app.say("Everything was written, but the phone would not start. It is in EDL mode.")
        try:
            return self._app.asks("Restart it all the same?")
        except click.Abort:  # nobody agrees to it; all has been written, and that is told
            return False

    def _sights(self) -> list[Sight] | None:
        backend = self._app.virtual.backend if self._app.virtual is not None else None
        try:
            return watch.sights(backend, self._app.ids)
        except EdlError as error:
            self._app.emit(Notice(f"What it comes back as cannot be watched: {error}"))
            return None

    def watch(self) -> None:
        """Watch what the phone comes back as, if it was restarted and that is wanted."""
        if self._before is None or self._watch_s is None:
            return
        self._phone.transport.close()
        backend = self._app.virtual.backend if self._app.virtual is not None else None
        if self._watch_s:
            text = f"what the phone comes back as (up to {self._watch_s:.0f} s; Ctrl-C: no more)"
            self._app.emit(Stage("watch", text))
        try:
            self._return = watch.watch(
                lambda: watch.sights(backend, self._app.ids),
                self._before,
                watch.place_of(self._phone.place),
                seconds=self._watch_s,
            )
            if self._return.came is Came.SYSTEM:
                remembered.forget(self._phone.serial)
        except KeyboardInterrupt:
            self._app.emit(Notice("No longer watched, as you asked; the phone was restarted."))

    # -- what is told ---------------------------------------------------------------------------

    @property
    def data(self) -> dict[str, Any]:
        """What the result has of it, JSON-able."""
        boot, came = self._readiness, self._return
        return {
            "boot": model.as_data(boot) if boot is not None else None,
            "came_back": came.as_data() if came is not None else None,
        }

    @property
    def lines(self) -> list[str]:
        """What people are told of it."""
        lines = []
        if self._readiness is not None:
            lines += short(self._readiness)
            if self._plan.reset is None and self._readiness.severe:
                lines.append(f"  {'why':<10} edl boot-check")
        if self._return is not None:
            lines.append(f"  {'came back':<10} {self._return.text} {self._return.todo}".rstrip())
        return lines

    def conclude(self) -> None:
        """End the command truly.

        Raises:
            NotReadyError: the phone was not restarted, because it would not start; or it was, and
                did not start.
        """
        if self._withheld and self._readiness is not None:
            raise not_ready(
                self._readiness,
                "Everything was written, but the phone would not start, and was not restarted",
            )
        if self._return is not None and self._return.came in watch.FAILED:
            raise NotReadyError(self._return.text, remedies=(self._return.todo,))


def _patience(app: App, seconds: float | None) -> float | None:
    """Return how long to watch; None: not at all.

    Of a virtual phone one look tells all: nothing happens to it while nobody asks.
    """
    if seconds is None:
        waits = app.dialog is not None or terminal.is_terminal(sys.stderr)
        seconds = _WATCH_S if waits else 0.0
    if not seconds:
        return None
    return 0.0 if app.virtual is not None else seconds


def not_ready(readiness: Readiness, what: str) -> NotReadyError:
    """Return the error for a phone that would not start. what: happened, without its dot."""
    first, *others = readiness.severe
    more = f" (and {len(others)} more)" if others else ""
    return NotReadyError(
        f"{what}: {first.message}{more}",
        remedies=(first.remedy or "See all: edl boot-check", _RESTART),
    )


def short(readiness: Readiness) -> list[str]:
    """Return verdict and expectations for people."""
    good = sum(seen.state is State.SIGNED for seen in readiness.images)
    signed = f"; {good} boot images are signed with its key" if good else ""
    lines = [f"  {'start':<10} {_VERDICTS[readiness.verdict]}{signed}"]
    return lines + [f"  {'expect':<10} {each.text}" for each in readiness.expect]


def full(readiness: Readiness) -> list[str]:
    """Return all that was found for people, without the findings."""
    rows: Iterable[tuple[str, str]] = (
        (seen.link.name, _STATES[seen.state] + _version(seen)) for seen in readiness.images
    )
    where = f"slot {readiness.slot}" if readiness.slot else "no slots"
    if readiness.boot_lun is not None:
        where += f", LUN {readiness.boot_lun}"
    lines = [f"Boot chain ({where}):"] if readiness.images else []
    lines += [f"  {name:<16} {text}" for name, text in rows]
    return [*lines, *short(readiness)]


def _version(seen: model.Seen) -> str:
    test = ", a test key" if seen.test_key else ""
    return f"{test}; rollback version {seen.rollback}" if seen.rollback else test
