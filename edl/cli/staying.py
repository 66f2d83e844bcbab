# SPDX-License-Identifier: BSD-3-Clause
"""A phone that may leave in the middle of a command and be waited for: it crashed, or the cable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edl.cli.app import App
from edl.cli.reaching import Reach
from edl.device.phone import Phone
from edl.errors import EdlError, SafetyError

_UNKNOWN = "unknown"


class Staying:
    """The phone of one run.

    Attributes:
        phone: the session with it that is valid now.
    """

    def __init__(self, app: App, reach: Reach) -> None:
        self._app = app
        self._reach = reach
        self.phone = reach.phone()

    def again(self, error: EdlError) -> Phone:
        """Return the phone when it is back, after error has ended the session.

        Raises:
            SafetyError: it is another phone.
            EdlError: it does not come back, or cannot be used any more.
        """
        before = self.phone
        self.phone = self._reach.again(error)
        serials = {before.serial, self.phone.serial} - {_UNKNOWN}
        if len(serials) > 1 or before.sector_bytes != self.phone.sector_bytes:
            raise SafetyError(
                f"This is another phone: {self.phone.serial}, and it was {before.serial} before.",
                remedies=("Connect the phone that it was, and give the same command again.",),
            ) from error
        return self.phone


@contextlib.contextmanager
def staying(app: App) -> Iterator[Staying]:
    """Bring the phone to a configured programmer, as `App.phone`, for a command that may wait."""
    with app.running(), app.plugged(), contextlib.ExitStack() as opened:
        held = Staying(app, Reach(app, None, opened))
        if app.recorder is not None:
            app.recorder.phone(held.phone)
        yield held
