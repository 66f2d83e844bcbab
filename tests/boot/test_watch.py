# SPDX-License-Identifier: BSD-3-Clause
"""What a phone comes back as: on virtual phones, and with a clock that a test winds."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from edl.boot import watch
from edl.boot.watch import Came, Return, Sight
from edl.errors import TransportError
from edl.firehose.commands import Power
from tests import phones
from tests.boot import chains

BEFORE = Sight("edl", "Qualcomm 9008", "1-4", "1 7")
CABLE = "usb 1-4 1 7"


class Bus:
    """A bus on which something happens each half second."""

    def __init__(self, *seen: Collection[Sight]) -> None:
        self._seen = list(seen)
        self.now = 0.0

    def look(self) -> Collection[Sight]:
        return self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def watch(self, before: Collection[Sight] = (BEFORE,), place: str = "1-4") -> Return:
        return watch.watch(self.look, before, place, seconds=10, clock=self.clock, sleep=self.sleep)


@pytest.mark.parametrize(
    ("kind", "came", "todo"),
    [
        ("adb", Came.SYSTEM, ""),
        ("android", Came.SYSTEM, ""),
        ("diag", Came.SYSTEM, ""),
        ("fastboot", Came.FASTBOOT, "do"),
        ("crash", Came.CRASH, "do"),
        ("edl", Came.EDL, "See why: edl boot-check"),
    ],
)
def test_it_leaves_and_comes_back(kind: str, came: Came, todo: str) -> None:
    bus = Bus([BEFORE], [], [], [Sight(kind, "a phone", "1-4", "1 8", "do")])
    back = bus.watch()
    assert (back.came, back.seconds, back.todo) == (came, 1.5, todo)
    assert back.as_data()["as"] == came


def test_other_sockets_do_not_matter() -> None:
    back = Bus([BEFORE], [Sight("adb", "another", "1-5")]).watch()
    assert (back.came, back.seconds) == (Came.GONE, 10)


def test_where_the_socket_is_not_known_the_new_one_is_it() -> None:
    old, new = Sight("adb", "another", "1-5"), Sight("fastboot", "it", "1-4")
    assert Bus([old], [old, new]).watch([old], "").came is Came.FASTBOOT


def test_it_stays() -> None:
    back = Bus([BEFORE]).watch()
    assert back.came is Came.STAYED
    assert "power button" in back.todo


def test_what_is_in_no_known_mode_may_still_change() -> None:
    odd = Sight("other-mode", "Qualcomm device", "1-4")
    assert Bus([odd], [odd], [Sight("adb", "Android", "1-4")]).watch().came is Came.SYSTEM
    assert Bus([odd]).watch().came is Came.OTHER


def test_a_bus_that_cannot_be_looked_at() -> None:
    def look() -> Collection[Sight]:
        raise TransportError("no libusb")

    assert watch.watch(look, [], "1-4", seconds=5).came is Came.UNSEEN


def test_the_socket_of_a_phone() -> None:
    assert watch.place_of(CABLE) == "1-4"
    assert watch.place_of("port COM5 0 0 0") == watch.place_of("") == ""


@pytest.mark.parametrize(
    ("option", "came"),
    [
        (",starts=adb", Came.SYSTEM),
        (",starts=android", Came.SYSTEM),
        (",starts=fastboot", Came.FASTBOOT),
        (",starts=crash", Came.CRASH),
        ("", Came.GONE),
        (" blank", Came.EDL),
    ],
)
def test_virtual_phones_come_back(option: str, came: Came) -> None:
    blank = option == " blank"
    with phones.plug(phones.spec("qcm2290" if blank else f"qcm2290{option}")) as bench:
        if not blank:
            chains.emmc(bench.flash)
        phone = bench.connect()
        backend = bench.virtual.backend
        before = watch.sights(backend)
        (place,) = [sight.place for sight in before]
        phone.programmer.power(Power.RESET)
        bench.hang_up()
        back = watch.watch(lambda: watch.sights(backend), before, place, seconds=0)
    assert back.came is came
