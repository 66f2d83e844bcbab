# SPDX-License-Identifier: BSD-3-Clause
"""How a phone in a lab gets into EDL mode, is written, and starts: labgrid's strategy."""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import attr
from labgrid.exceptions import NoResourceFoundError
from labgrid.factory import target_factory
from labgrid.step import step
from labgrid.strategy.common import Strategy, StrategyError, never_retry

from edl.lab.driver import EDLError

_ANOTHER_START_HELPS = {3, 4, 5}  # exit statuses: no phone, the connection, the protocol


class Status(enum.Enum):
    """What is known of the phone. flashed: written and verified, still in EDL mode."""

    unknown = 0
    off = 1
    edl = 2
    flashed = 3
    booted = 4


@target_factory.reg_driver
@attr.s(eq=False)
class EDLStrategy(Strategy):
    """Brings a phone into EDL mode by its power, writes the driver's package, and starts it.

    power switches what keeps the phone alive. button is what makes it enter EDL mode when power
    comes: test points or an EDL cable at a relay; without one, it must do so by itself. From a
    running system, fastboot or a shell are asked first, where they are bound.

    Args:
        tries (int): how often power is cycled before it is given up.
        watch (float): seconds for which a phone that was started must stay out of EDL mode.
        boot_check (bool): look whether the phone would start before it is started.
    """

    bindings: ClassVar = {
        "power": "PowerProtocol",
        "edl": "EDLDriver",
        "button": {"DigitalOutputProtocol", None},
        "fastboot": {"AndroidFastbootDriver", None},
        "shell": {"CommandProtocol", None},
    }

    tries: int = attr.ib(default=3, validator=attr.validators.instance_of(int))
    watch: float = attr.ib(default=10.0, converter=float)
    boot_check: bool = attr.ib(default=True, validator=attr.validators.instance_of(bool))
    status: Status = attr.ib(default=Status.unknown)

    @never_retry
    @step(args=["status"])
    def transition(self, status: Status | str) -> None:
        """Bring the phone into status: off, edl, flashed or booted.

        Raises:
            StrategyError: it cannot be done; from then on each call says so.
        """
        self._bring(_status(status))

    @never_retry
    @step(args=["status"])
    def force(self, status: Status | str) -> None:
        """Take the phone to be in status."""
        self.status = _status(status)

    def _bring(self, status: Status) -> None:
        if status is self.status:
            return
        match status:
            case Status.off:
                if not self._switch_off():
                    raise StrategyError("its power is off, and the phone is still in EDL mode")
            case Status.edl:
                self._enter_edl()
            case Status.flashed:
                self._bring(Status.edl)
                self._flash()
            case Status.booted:
                self._bring(Status.flashed)
                self._start()
            case _:
                raise StrategyError(f"no phone can be brought to '{status.name}'")
        self.status = status

    def _switch_off(self) -> bool:
        """Switch the phone off; return whether it has left the bus."""
        self.target.deactivate(self.edl)
        self.target.activate(self.power)
        self.power.off()
        return self._seen(there=False)

    def _enter_edl(self) -> None:
        """Bring the phone into EDL mode, whatever it is doing.

        Raises:
            StrategyError: it does not come.
        """
        if self.status is Status.booted and self._asked():
            return
        for attempt in range(1, self.tries + 1):
            if self._switch_off() and self._switch_on():
                self.target.activate(self.edl)
                return
            self.logger.warning("attempt %d of %d has failed", attempt, self.tries)
        raise StrategyError(
            f"the phone did not enter EDL mode in {self.tries} attempts: look whether its power is"
            " switched, and the test points are connected while it comes"
        )

    def _switch_on(self) -> bool:
        """Switch the phone on with the button held; return whether it has entered EDL mode."""
        if self.button is None:
            self.power.on()
            return self._seen(there=True)
        self.target.activate(self.button)
        self.button.set(True)
        try:
            self.power.on()
            return self._seen(there=True)
        finally:
            self.button.set(False)

    def _asked(self) -> bool:
        """Ask the running system for EDL mode; return whether that helped."""
        for driver, ask in ((self.shell, _by_shell), (self.fastboot, _by_fastboot)):
            if driver is None:
                continue
            try:
                self.target.activate(driver)
                ask(driver)
            except Exception as error:  # noqa: BLE001  # what leaves may not answer any more
                self.logger.info("%s: %s", driver.display_name, error)
            if self._seen(there=True):
                self.target.activate(self.edl)
                return True
        return False

    def _flash(self) -> None:
        written = False
        for attempt in range(1, self.tries + 1):
            try:
                if written:
                    self.edl.resume()
                else:
                    self.edl.rawprogram(None, "--no-reset")
            except EDLError as error:
                if error.status not in _ANOTHER_START_HELPS or attempt == self.tries:
                    raise
                self.logger.warning("attempt %d of %d: %s", attempt, self.tries, error)
                written = written or bool(error.state)
                self._enter_edl()
            else:
                return

    def _start(self) -> None:
        if self.boot_check:
            self.edl.boot_check()
        self.edl.reset()
        if not self._seen(there=False) or self._seen(there=True, timeout=self.watch):
            raise StrategyError(
                "the phone was started, and is in EDL mode again: it does not start"
            )

    def _seen(self, *, there: bool, timeout: float | None = None) -> bool:
        """Wait until the phone is in EDL mode, or is not; return whether that came to be."""
        try:
            self.target.await_resources([self.edl.phone], avail=there, timeout=timeout)
        except NoResourceFoundError:
            return False
        return True


def _status(status: Status | str) -> Status:
    return status if isinstance(status, Status) else Status[status]


def _by_shell(driver: Any) -> None:  # noqa: ANN401
    driver.run("reboot edl", timeout=5)


def _by_fastboot(driver: Any) -> None:  # noqa: ANN401
    driver("oem", "edl")
