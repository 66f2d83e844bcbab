# SPDX-License-Identifier: BSD-3-Clause
"""strategy.py ENVIRONMENT STATUS...: go through these; say what was switched, how it ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import attr
from labgrid import Environment
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol
from labgrid.strategy import StrategyError

from edl.lab.virtual import VirtualEDLPowerDriver

switched: list[str] = []


@target_factory.reg_driver
@attr.s(eq=False)
class BalkyPowerDriver(VirtualEDLPowerDriver):
    """Tells what it does, and what the button says then; its first times it does nothing."""

    button_file: str = attr.ib()
    balks: int = attr.ib(default=0)

    def on(self) -> None:
        """See labgrid."""
        pressed = Path(self.button_file).read_text().strip()
        switched.append(f"on, button {pressed}")
        edl.phone.timeout = 0.2 if self.balks else 20.0  # nobody need wait for what will not come
        if self.balks:
            self.balks -= 1
            return
        super().on()

    def off(self) -> None:
        """See labgrid."""
        switched.append("off")
        super().off()


@target_factory.reg_driver
@attr.s(eq=False)
class LastWordsDriver(Driver, CommandProtocol):
    """A shell of a running system that goes away in the middle of `reboot edl`."""

    bindings: ClassVar = {"power": "BalkyPowerDriver"}

    def run(self, command: str, *, timeout: float = 30.0) -> None:
        """See labgrid."""
        switched.append(f"{command} within {timeout} s")
        VirtualEDLPowerDriver.on(self.power)
        raise ConnectionResetError("gone")

    run_check = get_status = wait_for = poll_until_success = run


target = Environment(sys.argv[1]).get_target()
edl = target.get_driver("EDLDriver", activate=False)
strategy = target.get_strategy()
told: dict[str, Any] = {"switched": switched}
try:
    for status in sys.argv[2:]:
        if status == "balk":
            strategy.power.balks = 9
            strategy.force("off")
            continue
        strategy.transition(status)
        told[status] = edl.phone.avail
except StrategyError as error:
    cause = error.__cause__
    told["error"] = [str(error), getattr(cause, "code", None), str(cause)]
told["status"] = strategy.status.name
told["button"] = Path(strategy.power.button_file).read_text().strip()
sys.stdout.write(json.dumps(told) + "\n")
