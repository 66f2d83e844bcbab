# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import array
import errno
import hashlib
import random
from collections.abc import Generator
from typing import Any

import pytest
import usb.core
from hypothesis import given
from hypothesis import strategies as st

from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES, Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.link import Exit, Firmware, Receive, Send, Sleep
from edl.virtual.pace import Clock
from edl.virtual.usb import EndlessWaitError, VirtualBackend

IN, OUT = 0x81, 0x01


class Board:
    """A phone that runs the software of a test."""

    def __init__(self, software: Firmware, packet_bytes: int = 512) -> None:
        self.clock = Clock()
        self.exits: list[str] = []
        self.controller = Controller(
            software, self.exits.append, packet_bytes=packet_bytes, clock=self.clock
        )
        self.backend = VirtualBackend()
        self.backend.attach(UsbDevice(self.controller, self.backend.new_port()))
        self.dev: Any = usb.core.find(backend=self.backend)

    def read(self, size: int = 16384, timeout_ms: int = 1000) -> bytes:
        return bytes(self.dev.read(IN, size, timeout_ms))


def listener(heard: list[bytes | None], max_bytes: int, timeout_s: float | None = None) -> Firmware:
    while True:
        heard.append((yield Receive(max_bytes, timeout_s)))


def speaker(*sendings: Send) -> Firmware:
    yield from sendings
    yield Receive(1)


def echo() -> Firmware:
    while True:
        data = yield Receive(1 << 20)
        yield Send(data)


# --- Host to phone


def test_a_short_packet_completes_the_request() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096))
    assert board.dev.write(OUT, b"hello") == 5
    assert heard == [b"hello"]


def test_a_multiple_of_the_packet_size_stays_open_until_a_zero_length_packet() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096))
    assert board.dev.write(OUT, bytes(1024)) == 1024
    assert heard == []
    assert board.dev.write(OUT, b"") == 0
    assert heard == [bytes(1024)]


def test_a_multiple_of_the_packet_size_is_joined_with_the_next_transfer() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096))
    board.dev.write(OUT, b"a" * 512)
    board.dev.write(OUT, b"b" * 52)
    assert heard == [b"a" * 512 + b"b" * 52]


def test_a_full_request_is_complete_and_a_zero_length_packet_then_counts_as_empty() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096))
    board.dev.write(OUT, bytes(4096))
    board.dev.write(OUT, b"")
    assert heard == [bytes(4096), b""]


def test_a_larger_transfer_goes_on_into_the_next_request() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096))
    board.dev.write(OUT, b"a" * 4096 + b"b" * 904)
    assert heard == [b"a" * 4096, b"b" * 904]


def test_superspeed_packets_have_1024_bytes() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096), SUPER_SPEED_PACKET_BYTES)
    board.dev.write(OUT, bytes(512))
    assert heard == [bytes(512)]
    board.dev.write(OUT, bytes(1024))
    assert heard == [bytes(512)]
    board.dev.write(OUT, b"")
    assert heard == [bytes(512), bytes(1024)]


def test_a_packet_larger_than_the_request_is_kept_for_the_next_one() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 300))
    assert board.dev.write(OUT, b"a" * 300 + b"b" * 212 + b"c" * 10) == 522
    assert heard == [b"a" * 300, b"b" * 212 + b"c" * 10]
    board.dev.write(OUT, b"d" * 300 + b"e" * 7)
    assert heard[2:] == [b"d" * 300, b"e" * 7]


def test_data_is_not_taken_while_the_phone_does_not_listen() -> None:
    board = Board(speaker(Send(b"first")))
    with pytest.raises(usb.core.USBTimeoutError):
        board.dev.write(OUT, b"x")
    assert board.read() == b"first"
    assert board.dev.write(OUT, b"x") == 1


def test_a_zero_length_packet_is_taken_while_the_phone_waits_to_be_read() -> None:
    heard: list[bytes | None] = []

    def boot_rom() -> Firmware:
        for _ in range(2):
            yield Send(b"next block")
            heard.append((yield Receive(1024)))

    board = Board(boot_rom())
    assert board.dev.write(OUT, b"") == 0
    with pytest.raises(usb.core.USBTimeoutError):
        board.dev.write(OUT, b"")
    assert board.read() == b"next block"
    assert heard == [b""]
    with pytest.raises(usb.core.USBTimeoutError):
        board.dev.write(OUT, bytes(1024))
    assert board.read() == b"next block"
    assert board.dev.write(OUT, bytes(1024)) == 1024
    assert heard == [b"", bytes(1024)]


def test_a_write_that_times_out_in_the_middle_returns_what_was_taken() -> None:
    def one_request() -> Firmware:
        yield Receive(1024)
        yield Exit("hang")

    board = Board(one_request())
    assert board.dev.write(OUT, bytes(5000), 100) == 1024
    assert board.exits == ["hang"]
    with pytest.raises(usb.core.USBTimeoutError):
        board.dev.write(OUT, bytes(100), 100)


@given(
    packet_bytes=st.sampled_from([512, 1024]),
    request=st.integers(1, 5000),
    transfers=st.lists(st.integers(0, 6000), max_size=8),
)
def test_no_byte_gets_lost_or_out_of_order(
    packet_bytes: int, request: int, transfers: list[int]
) -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, request), packet_bytes)
    source = random.Random(1)
    sent = [source.randbytes(size) for size in transfers]
    for data in sent:
        assert board.dev.write(OUT, data) == len(data)
    board.dev.write(OUT, b"")
    pieces = [piece or b"" for piece in heard]
    assert b"".join(pieces) == b"".join(sent)
    assert all(len(piece) <= request for piece in pieces)


# --- Phone to host


def test_a_read_returns_one_transfer() -> None:
    board = Board(speaker(Send(b"one"), Send(b"two")))
    assert board.read() == b"one"
    assert board.read() == b"two"


def test_a_zero_length_packet_ends_a_transfer_that_fills_its_packets() -> None:
    board = Board(speaker(Send(bytes(1024)), Send(b"next")))
    assert board.read() == bytes(1024)
    assert board.read() == b"next"


def test_without_a_zero_length_packet_the_next_transfer_comes_in_the_same_read() -> None:
    board = Board(speaker(Send(b"a" * 1024, zlp=False), Send(b"bc")))
    assert board.read() == b"a" * 1024 + b"bc"


def test_a_read_of_exactly_the_data_leaves_the_zero_length_packet_for_the_next_read() -> None:
    board = Board(speaker(Send(bytes(1024)), Send(b"next")))
    assert board.read(1024) == bytes(1024)
    assert board.read() == b""
    assert board.read() == b"next"


def test_an_empty_transfer_is_a_zero_length_packet_or_nothing() -> None:
    board = Board(speaker(Send(b""), Send(b"", zlp=False), Send(b"end")))
    assert board.read() == b""
    assert board.read() == b"end"


def test_a_long_transfer_is_read_in_pieces() -> None:
    data = random.Random(2).randbytes(3000)
    board = Board(speaker(Send(data)))
    assert board.read(1024) + board.read(1024) + board.read(1024) == data


def test_a_buffer_smaller_than_the_packet_overflows_and_the_packet_is_lost() -> None:
    board = Board(speaker(Send(b"a" * 100), Send(b"next")))
    with pytest.raises(usb.core.USBError) as caught:
        board.read(48)
    assert (caught.value.errno, caught.value.backend_error_code) == (errno.EOVERFLOW, -8)
    assert board.read() == b"next"


def test_a_buffer_that_is_no_multiple_of_the_packet_size_overflows_in_its_last_packet() -> None:
    board = Board(speaker(Send(b"a" * 512 + b"b" * 512 + b"c" * 10)))
    with pytest.raises(usb.core.USBError, match="Overflow"):
        board.read(800)
    assert board.read() == b"c" * 10


def test_reading_nothing_takes_a_zero_length_packet_only() -> None:
    board = Board(speaker(Send(b""), Send(b"x")))
    assert board.read(0) == b""
    with pytest.raises(usb.core.USBError, match="Overflow"):
        board.read(0)


def test_a_read_into_a_buffer_of_the_host_returns_the_count() -> None:
    board = Board(speaker(Send(b"hello")))
    buffer = array.array("B", bytes(1024))
    assert board.dev.read(IN, buffer) == 5
    assert bytes(buffer[:5]) == b"hello"


def test_a_timeout_with_data_returns_the_data() -> None:
    board = Board(speaker(Send(bytes(1024), zlp=False)))
    assert board.read(4096) == bytes(1024)


def test_a_timeout_without_data_is_an_error() -> None:
    board = Board(listener([], 1))
    with pytest.raises(usb.core.USBTimeoutError) as caught:
        board.read()
    assert (caught.value.errno, caught.value.backend_error_code) == (errno.ETIMEDOUT, -7)


@given(
    sizes=st.lists(st.integers(0, 3000), max_size=6),
    buffer_packets=st.integers(1, 8),
)
def test_whatever_the_phone_sends_arrives(sizes: list[int], buffer_packets: int) -> None:
    source = random.Random(3)
    sent = [source.randbytes(size) for size in sizes]
    board = Board(speaker(*map(Send, sent)))
    got = b""
    while True:
        try:
            got += board.read(buffer_packets * 512)
        except usb.core.USBTimeoutError:
            break
    assert got == b"".join(sent)


# --- Both, and time


def test_the_phone_answers_what_it_hears() -> None:
    board = Board(echo())
    for size in (1, 511, 513, 100_000):
        data = bytes([size % 251]) * size
        board.dev.write(OUT, data)
        assert board.read(128 * 1024) == data


def test_a_hundred_megabytes_pass_as_they_are() -> None:
    digest = hashlib.blake2b()

    def programmer() -> Firmware:
        for _ in range(6400):
            digest.update((yield Receive(16384)))
        yield Send(digest.digest())

    board = Board(programmer())
    piece = array.array("B", random.Random(4).randbytes(1 << 20))
    for _ in range(100):
        assert board.dev.write(OUT, piece, 60_000) == len(piece)
    expected = hashlib.blake2b()
    for _ in range(100):
        expected.update(piece)
    assert board.read() == expected.digest()


def test_waiting_costs_virtual_time_only() -> None:
    board = Board(listener([], 1))
    with pytest.raises(usb.core.USBTimeoutError):
        board.read(timeout_ms=120_000)
    assert board.clock.now_us == 120_000_000


def test_a_sleeping_phone_wakes_when_the_host_has_waited_long_enough() -> None:
    board = Board(speaker_after(2.5))
    assert board.read() == b"soon"
    for _ in range(2):
        with pytest.raises(usb.core.USBTimeoutError):
            board.read(timeout_ms=1000)
    assert board.read(timeout_ms=1000) == b"awake"
    assert board.clock.now_us == 2_500_000


def speaker_after(seconds: float) -> Firmware:
    yield Send(b"soon")
    yield Sleep(seconds)
    yield Send(b"awake")


def test_a_sleep_as_long_as_the_time_limit_is_over_in_time() -> None:
    board = Board(speaker_after(1))
    board.read()
    assert board.read(timeout_ms=1000) == b"awake"


def test_looking_at_the_bus_lets_a_sleeping_phone_wake() -> None:
    board = Board(speaker_after(10))
    board.read()
    assert usb.core.find(backend=board.backend) is not None
    assert board.clock.now_us == 10_000_000


def test_looking_at_the_bus_does_not_wait_for_ever() -> None:
    board = Board(speaker_after(3600))
    board.read()
    assert usb.core.find(backend=board.backend) is not None
    assert board.clock.now_us == 0


def test_a_request_with_a_time_limit_ends_empty_handed() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096, 0.5))
    with pytest.raises(usb.core.USBTimeoutError):
        board.read(timeout_ms=1100)
    assert heard == [None, None]


def test_a_request_that_has_got_something_waits_on() -> None:
    heard: list[bytes | None] = []
    board = Board(listener(heard, 4096, 0.5))
    board.dev.write(OUT, bytes(512))
    with pytest.raises(usb.core.USBTimeoutError):
        board.read(timeout_ms=5000)
    board.dev.write(OUT, b"x")
    assert heard == [bytes(512) + b"x"]


def test_waiting_without_a_limit_for_nothing_is_our_mistake() -> None:
    board = Board(listener([], 1))
    with pytest.raises(EndlessWaitError):
        board.read(timeout_ms=0)


def test_waiting_without_a_limit_for_something_is_not() -> None:
    board = Board(speaker_after(100))
    board.read()
    assert board.read(timeout_ms=0) == b"awake"


def test_a_real_clock_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("edl.virtual.pace.time.sleep", slept.append)
    clock = Clock(real=True)
    clock.advance_to(1_500_000)
    assert slept == [1.5]
    assert clock.now_us == 1_500_000


def test_only_arrays_of_bytes_are_taken() -> None:
    board = Board(echo())
    handle = board.backend.open_device(board.backend.enumerate_devices()[0])
    board.backend.claim_interface(handle, 0)
    for data in (memoryview(b"x"), b"x", bytearray(1), array.array("H", [1])):
        with pytest.raises(TypeError):
            board.backend.bulk_write(handle, OUT, 0, data, 100)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            board.backend.bulk_read(handle, IN, 0, data, 100)  # type: ignore[arg-type]


def test_other_software_can_take_over() -> None:
    def first() -> Generator[Any, Any, None]:
        yield Receive(512)
        yield Exit("start")

    board = Board(first())

    def take_over(reason: str) -> None:
        assert reason == "start"
        board.controller.load(speaker(Send(b"second")))

    board.controller._on_exit = take_over
    board.dev.write(OUT, b"go")
    assert board.read() == b"second"
