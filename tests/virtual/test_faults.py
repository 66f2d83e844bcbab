# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import contextlib
import errno
import re
from pathlib import Path
from typing import Any

import pytest
import usb.core
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import ImageError, UsageError
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faultkinds import TABLE, WIRE, every
from edl.virtual.faults import Fault, Injector, Kind, Place, parse_fault
from edl.virtual.link import Firmware, Receive, Send
from edl.virtual.pace import Clock
from edl.virtual.profiles import parse_spec
from edl.virtual.saved import FILE_NAME, Saved
from edl.virtual.storage import Extent
from edl.virtual.usb import VirtualBackend

IN, OUT = 0x81, 0x01
GONE, STALLED = (errno.ENODEV, -4), (errno.EPIPE, -9)


class Board:
    """A phone that answers every transfer with the same bytes, and suffers faults."""

    def __init__(self, *faults: str) -> None:
        self.heard = b""
        self.exits: list[str] = []
        self.clock = Clock()
        self.injector = Injector(map(parse_fault, faults))
        controller = Controller(
            self._software(), self.exits.append, injector=self.injector, clock=self.clock
        )
        backend = VirtualBackend()
        backend.attach(UsbDevice(controller, 1, product="x", injector=self.injector))
        self.dev: Any = usb.core.find(backend=backend)

    def _software(self) -> Firmware:
        yield Send(b"hello")
        while True:
            data = yield Receive(4096)
            self.heard += data
            yield Send(data)

    def read(self) -> bytes:
        return bytes(self.dev.read(IN, 16384))

    def write(self, data: bytes) -> int:
        count: int = self.dev.write(OUT, data)
        return count

    def error(self, data: bytes | None = None) -> tuple[int | None, int | None]:
        """Write data, or read where there is none, and return what goes wrong."""
        with pytest.raises(usb.core.USBError) as caught:
            self.read() if data is None else self.write(data)
        return caught.value.errno, caught.value.backend_error_code


def test_unplugged_while_the_host_sends() -> None:
    board = Board("unplug@out:2000")
    board.read()
    assert board.error(bytes(4096)) == GONE
    assert board.exits == ["unplug"]
    assert board.heard == b""
    assert board.error() == GONE


def test_what_came_before_the_unplugging_counts() -> None:
    board = Board("unplug@out:512")
    board.read()
    board.write(b"a" * 511)
    assert board.read() == b"a" * 511
    assert board.error(b"bb") == GONE
    assert board.heard == b"a" * 511


def test_unplugged_while_the_phone_sends() -> None:
    board = Board("unplug@in:600")
    assert board.read() == b"hello"
    board.write(b"x" * 1000)
    assert board.error() == GONE


def test_unplugged_before_a_transfer() -> None:
    board = Board("unplug@out-transfer:1")
    board.read()
    board.write(b"a")
    board.read()
    assert board.error(b"b") == GONE
    board = Board("unplug@in-transfer:1")
    board.read()
    assert board.write(b"a") == 1
    assert board.error() == GONE
    assert Board("unplug@in-transfer:0").dev is None


def test_an_endpoint_stalls_until_the_halt_is_cleared() -> None:
    board = Board("stall@out:1024")
    board.read()
    assert board.error(b"a" * 1500) == STALLED
    assert board.error(b"a") == STALLED
    board.dev.clear_halt(OUT)
    assert board.write(b"b" * 100) == 100
    assert board.read() == b"a" * 1024 + b"b" * 100


def test_the_other_endpoint_can_stall_too() -> None:
    board = Board("stall@in-transfer:0")
    assert board.error() == STALLED
    board.dev.clear_halt(IN)
    assert board.read() == b"hello"


def test_a_phone_freezes_for_ever() -> None:
    board = Board("freeze@out:1024")
    board.read()
    assert board.write(b"a" * 1500) == 1024
    assert board.error(b"a") == (errno.ETIMEDOUT, -7)


def test_a_phone_freezes_for_a_while() -> None:
    board = Board("freeze@in:0:1.7")
    assert board.error() == (errno.ETIMEDOUT, -7)
    assert board.clock.now_us == 1_000_000
    assert board.read() == b"hello"
    assert board.clock.now_us == 1_700_000


def test_a_transfer_to_the_phone_gets_lost() -> None:
    board = Board("swallow@out-transfer:0")
    board.read()
    assert board.write(b"lost") == 4
    board.write(b"kept")
    assert board.read() == b"kept"


def test_a_transfer_from_the_phone_gets_lost() -> None:
    board = Board("hello-eaten")
    board.write(b"x")
    assert board.read() == b"x"


def test_a_byte_from_the_phone_is_wrong() -> None:
    board = Board("corrupt@in:1", "corrupt@in:6:20")
    assert board.read() == b"h\x9allo"
    board.write(b"AB")
    assert board.read() == b"Ab"


def test_garbage_comes_before_an_answer() -> None:
    board = Board("garbage@in-transfer:1", "garbage@in-transfer:2:00ff")
    assert board.read() == b"hello"
    board.write(b"a")
    assert [board.read(), board.read()] == [bytes.fromhex("f0e98814"), b"a"]
    board.write(b"b")
    assert [board.read(), board.read()] == [b"\x00\xff", b"b"]


def test_garbage_of_whole_packets_is_a_transfer_of_its_own() -> None:
    board = Board("garbage@in-transfer:0:" + "00" * 512)
    assert [board.read(), board.read()] == [bytes(512), b"hello"]


def test_a_byte_to_the_phone_is_wrong() -> None:
    board = Board("corrupt@out:513:01")
    board.read()
    board.write(b"A" * 600)
    assert board.read() == b"A" * 513 + b"@" + b"A" * 86
    assert board.heard == b"A" * 513 + b"@" + b"A" * 86


def test_a_transfer_times_out_in_the_middle() -> None:
    board = Board("timeout@in:505", "timeout@out:1024")  # after hello and one packet more
    board.read()
    assert board.write(b"b" * 1100) == 1024  # time-out of pyusb, with what went
    assert board.write(b"b" * 76) == 76
    assert board.error() == (errno.ETIMEDOUT, -7)  # not even one packet came until then
    assert board.read() == b"b" * 1100


def test_a_part_of_a_transfer_comes_before_the_time_out() -> None:
    board = Board("timeout@in:1200")
    board.read()
    board.write(b"c" * 1500)
    assert board.read() == b"c" * 1024
    assert board.read() == b"c" * 476


def test_a_transfer_times_out_without_data() -> None:
    board = Board("timeout@in-transfer:0", "timeout@out-transfer:0")
    assert board.error() == (errno.ETIMEDOUT, -7)
    assert board.read() == b"hello"
    assert board.error(b"x") == (errno.ETIMEDOUT, -7)
    assert board.clock.now_us == 2_000_000
    assert board.write(b"x") == 1


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ("short@out-transfer:0", 1024),
        ("short@out-transfer:0:700", 512),
        ("short@out-transfer:0:5000", 2100),
        ("short@out:600", 512),
        ("short@out:600:512", 1024),
    ],
)
def test_the_phone_takes_fewer_bytes(fault: str, taken: int) -> None:
    board = Board(fault)
    board.read()
    data = bytes(range(250)) * 8 + b"x" * 100
    assert board.write(data) == taken
    if taken < len(data):
        assert board.write(data[taken:]) == len(data) - taken
    assert board.read() == data


def test_a_packet_of_the_phone_finds_no_room() -> None:
    board = Board("overflow@in:600", "overflow@in-transfer:2")
    board.read()
    board.write(b"d" * 1000)
    assert board.error() == (errno.EOVERFLOW, -8)  # what came before it is lost as well
    board.write(b"e" * 100)
    assert board.error() == (errno.EOVERFLOW, -8)
    board.write(b"f")
    assert board.read() == b"f"


def test_an_empty_packet_to_the_phone_gets_lost() -> None:
    board = Board("zlp-lost@out-transfer:0")
    board.read()
    assert board.write(b"g" * 512) == 512
    assert board.write(b"") == 0
    assert board.heard == b""
    assert board.write(b"") == 0
    assert board.heard == b"g" * 512


def test_an_empty_packet_to_the_phone_comes_twice() -> None:
    board = Board("zlp-extra@out-transfer:0")
    board.read()
    board.write(b"h" * 512)
    board.write(b"")
    assert board.read() == b"h" * 512
    assert board.read() == b""  # its answer to the second one
    board.write(b"i")
    assert board.read() == b"i"
    board = Board("zlp-extra@out-transfer:0")
    board.write(b"")  # while it waits to be read
    assert [board.read(), board.read()] == [b"hello", b""]
    board.write(b"j")
    assert board.read() == b"j"


def test_an_empty_packet_of_the_phone_gets_lost() -> None:
    board = Board("zlp-lost@in-transfer:0")
    board.read()
    board.write(b"k" * 512)
    board.write(b"")
    assert board.read() == b"k" * 512  # only after the time-out
    assert board.clock.now_us == 1_000_000


def test_an_empty_packet_of_the_phone_too_many() -> None:
    board = Board("zlp-extra@in-transfer:0")
    assert [board.read(), board.read()] == [b"hello", b""]
    board.write(b"l")
    assert board.read() == b"l"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("reset@out:3", "reset_to_edl"),
        ("reset@out-transfer:1:system", "reset"),
        ("reset@in-transfer:1:crash", "crash"),
        ("reset@in:5:off", "off"),
    ],
)
def test_the_phone_resets_itself(fault: str, reason: str) -> None:
    board = Board(fault)
    board.read()
    with contextlib.suppress(usb.core.USBError):
        board.write(b"abcd")
        board.read()
        board.write(b"a")
    assert board.exits == [reason]
    assert board.error() == GONE


def test_the_host_is_killed() -> None:
    board = Board("kill@in:2")
    assert board.read() == b"hello"  # who is to be killed is not in this test
    assert board.exits == ["kill"]


def test_faults_of_one_run_count_from_where_they_are_added() -> None:
    injector = Injector([parse_fault("stall@in:9")], {Place.OUT: 500})
    injector.add(map(parse_fault, ("unplug@out:100", "busy:2")))
    assert injector.room(Place.OUT) == 100
    assert injector.prevents(Kind.BUSY)
    assert [str(fault) for fault in injector.pending] == ["stall@in:9", "unplug@out:600", "busy:1"]
    assert [str(fault) for fault in injector.lasting] == ["stall@in:9"]


def test_the_phone_may_not_be_opened() -> None:
    assert Board("denied").error() == (errno.EACCES, -3)


def test_the_phone_is_busy_for_some_attempts() -> None:
    board = Board("busy:2")
    assert board.error() == (errno.EBUSY, -6)
    assert [str(fault) for fault in board.injector.pending] == ["busy:1"]
    assert board.error() == (errno.EBUSY, -6)
    assert board.read() == b"hello"
    board = Board("busy")
    assert [board.error() for _ in range(3)] == [(errno.EBUSY, -6)] * 3


def test_faults_add_up_and_strike_once() -> None:
    board = Board("stall@out:0", "freeze@out:0:0.5", "corrupt@in:5", "unplug@out:4")
    board.read()
    assert board.error(b"abcd") == STALLED
    board.dev.clear_halt(OUT)
    assert board.write(b"abcd") == 4
    assert board.clock.now_us == 500_000
    assert board.read() == b"\x9ebcd"
    assert board.error(b"e") == GONE
    assert board.injector.pending == []


def test_counts_go_on_where_they_were() -> None:
    injector = Injector([parse_fault("unplug@out:100")], {Place.OUT: 99})
    assert injector.room(Place.OUT) == 1
    injector.passed(Place.OUT)
    assert injector.due(Place.OUT) == Fault(Kind.UNPLUG, Place.OUT, 100)


@given(
    sizes=st.lists(st.integers(0, 3000), max_size=5),
    faults=st.lists(
        st.builds(
            Fault,
            st.sampled_from([Kind.UNPLUG, Kind.STALL, Kind.FREEZE]),
            st.sampled_from(WIRE),
            st.integers(0, 5000),
        ),
        max_size=4,
    ),
)
def test_faults_never_change_what_the_phone_hears(sizes: list[int], faults: list[Fault]) -> None:
    board = Board(*map(str, faults))
    for number, size in enumerate(sizes):
        with contextlib.suppress(usb.core.USBError):
            board.read()
        with contextlib.suppress(usb.core.USBError):
            board.write(bytes([number]) * size)
    assert list(board.heard) == sorted(board.heard)
    assert all(board.heard.count(number) <= size for number, size in enumerate(sizes))


@pytest.mark.parametrize(
    "text",
    [
        "unplug@out:100000",
        "stall@in-transfer:3",
        "freeze@out:4096",
        "freeze@out:4096:1.7",
        "swallow@out-transfer:2",
        "corrupt@in:64:01",
        "garbage@in-transfer:5:deadbeef",
        "busy",
        "busy:2",
        "denied",
        *(row.example for row in TABLE.values()),
    ],
)
def test_the_text_of_a_fault_stays_the_same(text: str) -> None:
    assert str(parse_fault(text)) == text


def test_every_kind_has_an_example_and_can_be_made() -> None:
    assert [parse_fault(row.example).kind for row in TABLE.values()] == [*Kind]
    assert {Fault(kind, place).kind for kind, place in every()} == {*Kind}


def test_the_text_of_a_fault_means_what_it_says() -> None:
    assert parse_fault("hello-eaten") == Fault(Kind.SWALLOW, Place.IN_TRANSFER, 0)
    assert parse_fault("freeze@out:1:2") == Fault(Kind.FREEZE, Place.OUT, 1, seconds=2.0)
    assert parse_fault("corrupt@in:7") == Fault(Kind.CORRUPT, Place.IN, 7, mask=0xFF)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "explode",
        "unplug",
        "unplug@out",
        "unplug@side:3",
        "unplug@out:x",
        "unplug@out:1:5",
        "swallow@out:5",
        "corrupt@out-transfer:5",
        "nak@out:5",
        "nak@side:5",
        "reset@out:5:moon",
        "flood@read:5:x",
        "corrupt@in:5:00",
        "corrupt@in:5:100",
        "garbage@in:5",
        "garbage@in-transfer:5:abc",
        "freeze@out:1:0",
        "freeze@out:1:9e9",
        "freeze@out:1:1.2.3",
        "busy@in:1",
        "unplug@out:1 ",
    ],
)
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(UsageError):
        parse_fault(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": Kind.UNPLUG, "place": Place.OUT, "at": -1},
        {"kind": Kind.GARBAGE, "place": Place.IN_TRANSFER, "data": b""},
        {"kind": Kind.GARBAGE, "place": Place.IN_TRANSFER, "data": bytes(4097)},
        {"kind": Kind.FLOOD, "place": Place.READ, "count": 10**12 + 1},
    ],
)
def test_a_fault_is_within_bounds(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is no number|has 1 to|is not between"):
        Fault(**fields)


def test_what_a_phone_is_owed_is_kept(tmp_path: Path) -> None:
    saved = Saved(parse_spec("qcm2290"), owed=Extent(0, 8, 4))
    saved.write(tmp_path)
    assert Saved.read(tmp_path).owed == Extent(0, 8, 4)
    file = tmp_path / FILE_NAME
    for wrong in ("[0, 8, -4]", "[0, 8]", '"x"', "7"):
        saved.write(tmp_path)
        file.write_text(re.sub(r'"owed": \[[^]]*\]', f'"owed": {wrong}', file.read_text()))
        with pytest.raises(ImageError):
            Saved.read(tmp_path)
