# SPDX-License-Identifier: BSD-3-Clause
"""One guided rescue: what is known so far, and how plain commands are shown and carried out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edl.cli import asking, failures, terminal
from edl.cli.app import App
from edl.cli.folding import folded
from edl.cli.main import cli
from edl.cli.options import Settings
from edl.doctor.verdict import Verdict
from edl.errors import CancelledError, EdlError, StoppedMidwayError, VerifyError
from edl.identity import PhoneIdentity

_COLUMNS = 88
_SHOWN = ("loader", "memory", "serial", "port", "vid", "pid", "max_payload", "virtual")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        title: what is done. why: what that is good for, in a sentence or two.
        command: the plain command, with ROM and DIR for what is asked.
        run: does it.
        back: name of the step to go back to for another ROM, where that may help.
    """

    name: str
    title: str
    why: str
    command: str
    run: Callable[[Story], None]
    back: str = ""


class Story:
    """What a rescue knows, and what it can do.

    Attributes:
        identity: of the phone, once it was asked; serial: its number, or None.
        package: what is to be written, as words of a command line; dump: it is one of a phone.
        wipe: the user's data is replaced too.
        verdict: on the storage. saved: folder of the backup that was made.
        finished: a package was written, whole: only the end is left. over: nothing more helps.
    """

    def __init__(self, settings: Settings, package: Sequence[str]) -> None:
        self.settings = settings
        self.identity = PhoneIdentity()
        self.serial: str | None = None
        self.package = list(package)
        self.dump = False
        self.wipe = False
        self.verdict: Verdict | None = None
        self.saved = ""
        self.finished = False
        self.over = False

    def app(self) -> App:
        """Return a new run of a command, as each command has one."""
        return App(self.settings)

    # -- words ----------------------------------------------------------------------------------

    def say(self, text: str, indent: str = "") -> None:
        """Tell text, in lines that are easy to read."""
        columns = min(_COLUMNS, terminal.width(sys.stderr) or _COLUMNS)
        for line in folded(f"{indent}{text}", columns).split("\n"):
            self.app().say(line)

    def show(self, error: EdlError) -> None:
        """Show an error as it would end a command."""
        failures.show(error, self.settings)

    # -- commands -------------------------------------------------------------------------------

    def plain(self, *words: str) -> str:
        """Return the command that does the same without this guide."""
        given = self.settings.given
        options = [
            part
            for name in _SHOWN
            if name in given
            for part in (f"--{name.replace('_', '-')}", str(given[name]))
        ]
        return shlex.join(["edl", *options, *words])

    def tell(self, *words: str) -> None:
        """Show the command that is carried out now."""
        self.app().say(f"  $ {self.plain(*words)}")

    def command(self, *words: str) -> None:
        """Show a plain command, and carry it out as if it had been typed.

        Raises:
            EdlError, click.Abort, click.exceptions.Exit: as the command does.
        """
        self.tell(*words)
        kept = {each: getattr(self.settings, each) for each in ("wait", "loader", "resuming")}
        try:
            with cli.make_context("edl", list(words), obj=self.settings) as context:
                cli.invoke(context)
        finally:
            for each, value in kept.items():
                setattr(self.settings, each, value)

    def write(self, *words: str) -> None:
        """Carry out a command that writes; when the cable comes out or the like, go on with it.

        Raises:
            EdlError: it failed before anything was written.
            asking.Quit, click.Abort: the user wants to stop.
        """
        while self._is_cut(*words):
            self.say(
                "The phone is half written. That is no harm as long as it is finished: what was"
                " written is noted. Unplug the phone, hold its power button for 15 seconds, bring"
                " it into EDL mode again as before, and answer yes."
            )
            if not asking.agreed("Go on where it stopped?", default=True):
                raise asking.Quit
            words = ("resume",)

    def _is_cut(self, *words: str) -> bool:
        """Carry out a command; tell whether it was cut off in the middle of its writing."""
        try:
            self.command(*words)
        except (CancelledError, StoppedMidwayError, VerifyError):
            raise
        except EdlError as error:
            if not self.settings.changing:
                raise
            self.show(error)
            return True
        return False
