# SPDX-License-Identifier: BSD-3-Clause
"""What ends a run: Ctrl-C and its kin, and the stop orders of a dialog."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from edl.cli.dialog import ORDER, Dialog, Stop, is_spent

# a closed terminal window and a stopped service are no reason to leave a phone in the middle
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextlib.contextmanager
def heeded(stop: Callable[[Stop | None], None], dialog: Dialog | None) -> Iterator[None]:
    """Call stop for each of them, as long as this lasts: with the order, or None for a signal."""

    def handle(number: int, _frame: FrameType | None) -> None:
        order = dialog.order() if dialog is not None else None
        if not is_spent(number, order):
            stop(order)

    before: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not in the main thread: somebody else's
            for number in (getattr(signal, name, None) for name in _SIGNALS):
                # a signal that is ignored (nohup) stays so
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, handle)
            if dialog is not None and ORDER not in before:
                before[ORDER] = signal.signal(ORDER, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
