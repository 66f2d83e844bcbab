# SPDX-License-Identifier: BSD-3-Clause
"""Transfers give the same counts, bytes and errors on the virtual phones' backend and on libusb."""

from __future__ import annotations

import errno
import random
from typing import Any

import pytest

from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES
from edl.virtual.link import Exit, Firmware, Receive, Send, Sleep
from tests.umockdev.host import Host, not_on
from tests.umockdev.session import Failure, Session

IN, OUT = 0x81, 0x01
TIMEOUT = Failure("USBTimeoutError", errno.ETIMEDOUT, -7)
OVERFLOW = Failure("USBError", errno.EOVERFLOW, -8)
STALL = Failure("USBError", errno.EPIPE, -9)
GONE = Failure("USBError", errno.ENODEV, -4)

SOON_MS = 25  # what will not happen is awaited that long
LATE_MS = 10_000  # what will happen has happened by then
LARGE = random.Random(1).randbytes(3_000_000)


def read(session: Session, size: int = 16384, timeout_ms: int = LATE_MS) -> Any:  # noqa: ANN401
    return session.call("read", IN, size, timeout_ms)


def write(session: Session, data: bytes, timeout_ms: int = LATE_MS) -> Any:  # noqa: ANN401
    return session.call("write", OUT, data, timeout_ms)


def listener(heard: list[bytes | None], max_bytes: int = 4096) -> Firmware:
    while True:
        heard.append((yield Receive(max_bytes)))


def speaker(*sendings: Send) -> Firmware:
    yield from sendings
    yield Receive(1)


def echo(max_bytes: int = 4 << 20) -> Firmware:
    while True:
        data = yield Receive(max_bytes)
        yield Send(data)


# --- Host to phone


def test_a_short_packet_completes_the_request(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard))
    assert write(session, b"hello") == 5
    assert heard == [b"hello"]


def test_full_packets_stay_open_until_a_zero_length_packet(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard))
    assert write(session, bytes(1024)) == 1024
    assert heard == []
    assert write(session, b"") == 0
    assert heard == [bytes(1024)]


def test_full_packets_are_joined_with_the_next_transfer(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard))
    assert write(session, b"a" * 512) == 512
    assert write(session, b"b" * 52) == 52
    assert heard == [b"a" * 512 + b"b" * 52]


def test_a_zero_length_packet_behind_a_full_request_counts_as_empty(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard))
    write(session, bytes(4096))
    write(session, b"")
    assert heard == [bytes(4096), b""]


def test_a_larger_transfer_goes_on_into_the_next_request(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard))
    assert write(session, b"a" * 4096 + b"b" * 904) == 5000
    assert heard == [b"a" * 4096, b"b" * 904]


def test_superspeed_packets_have_1024_bytes(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard), packet_bytes=SUPER_SPEED_PACKET_BYTES)
    write(session, bytes(512))
    assert heard == [bytes(512)]
    write(session, bytes(1024))
    assert heard == [bytes(512)]
    write(session, b"")
    assert heard == [bytes(512), bytes(1024)]


def test_data_is_not_taken_while_the_phone_does_not_listen(host: Host) -> None:
    session = host.phone(speaker(Send(b"first")))
    assert write(session, b"x", SOON_MS) == TIMEOUT
    assert read(session) == b"first"
    assert write(session, b"x") == 1


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_write_that_times_out_in_the_middle_returns_what_was_taken(host: Host, size: int) -> None:
    def one_request() -> Firmware:
        yield Receive(1024)
        yield Exit("hang")

    session = host.phone(one_request())
    assert write(session, bytes(size), SOON_MS) == 1024
    assert write(session, bytes(100), SOON_MS) == TIMEOUT


def test_a_write_goes_on_when_the_phone_wakes(host: Host) -> None:
    heard = []

    def sleeper() -> Firmware:
        heard.append((yield Receive(1024)))
        yield Sleep(0.2)
        heard.append((yield Receive(1024)))

    session = host.phone(sleeper())
    assert write(session, b"a" * 1024 + b"b" * 10) == 1034
    assert heard == [b"a" * 1024, b"b" * 10]


# --- Phone to host


def test_a_read_returns_one_transfer(host: Host) -> None:
    session = host.phone(speaker(Send(b"one"), Send(b"two")))
    assert read(session) == b"one"
    assert read(session) == b"two"


@pytest.mark.parametrize("size", [1024, 16384, 32768])
def test_a_zero_length_packet_ends_a_transfer_of_full_packets(host: Host, size: int) -> None:
    session = host.phone(speaker(Send(bytes(size)), Send(b"next")))
    assert read(session, 65536) == bytes(size)
    assert read(session, 65536) == b"next"


def test_without_a_zero_length_packet_the_next_transfer_comes_too(host: Host) -> None:
    session = host.phone(speaker(Send(b"a" * 1024, zlp=False), Send(b"bc")))
    assert read(session) == b"a" * 1024 + b"bc"


def test_a_read_of_exactly_the_data_leaves_the_zero_length_packet(host: Host) -> None:
    session = host.phone(speaker(Send(bytes(1024)), Send(b"next")))
    assert read(session, 1024) == bytes(1024)
    assert read(session) == b""
    assert read(session) == b"next"


def test_an_empty_transfer_is_a_zero_length_packet_or_nothing(host: Host) -> None:
    session = host.phone(speaker(Send(b""), Send(b"", zlp=False), Send(b"end")))
    assert read(session) == b""
    assert read(session) == b"end"


def test_a_long_transfer_is_read_in_pieces(host: Host) -> None:
    session = host.phone(speaker(Send(LARGE[:3000])))
    assert read(session, 1024) + read(session, 1024) + read(session, 1024) == LARGE[:3000]


def test_a_buffer_smaller_than_the_packet_overflows_and_the_packet_is_lost(host: Host) -> None:
    session = host.phone(speaker(Send(b"a" * 100), Send(b"next")))
    assert read(session, 48) == OVERFLOW
    assert read(session) == b"next"


@pytest.mark.parametrize("room", [800, 33000])
def test_a_buffer_of_no_whole_packets_overflows_in_its_last_one(host: Host, room: int) -> None:
    lost = -(-room // 512) * 512
    session = host.phone(speaker(Send(bytes(lost) + b"c" * 10)))
    assert read(session, room) == OVERFLOW
    assert read(session) == b"c" * 10


def test_reading_nothing_takes_a_zero_length_packet_only(host: Host) -> None:
    session = host.phone(speaker(Send(b""), Send(b"x")))
    assert read(session, 0) == b""
    assert read(session, 0) == OVERFLOW


def test_a_read_into_a_buffer_of_the_host_returns_the_count(host: Host) -> None:
    session = host.phone(speaker(Send(b"hello")))
    assert session.read_into(1024, LATE_MS) == (5, b"hello")


@pytest.mark.parametrize("size", [1024, 33 * 1024])
def test_a_timeout_with_data_returns_the_data(host: Host, size: int) -> None:
    session = host.phone(speaker(Send(LARGE[:size], zlp=False)))
    assert read(session, 65536, SOON_MS) == LARGE[:size]
    assert read(session, 65536, SOON_MS) == TIMEOUT


def test_a_timeout_without_data_is_an_error(host: Host) -> None:
    session = host.phone(listener([]))
    assert read(session, timeout_ms=SOON_MS) == TIMEOUT


def test_a_sleeping_phone_wakes_while_the_host_waits(host: Host) -> None:
    def sleeper() -> Firmware:
        yield Send(b"soon")
        yield Sleep(0.2)
        yield Send(b"awake")

    session = host.phone(sleeper())
    assert read(session) == b"soon"
    assert read(session, timeout_ms=SOON_MS) == TIMEOUT
    assert read(session) == b"awake"


def test_waiting_without_a_limit_for_something(host: Host) -> None:
    def sleeper() -> Firmware:
        yield Send(b"soon")
        yield Sleep(0.1)
        yield Send(b"awake")

    session = host.phone(sleeper())
    assert read(session) == b"soon"
    assert read(session, timeout_ms=0) == b"awake"


# --- Both


@pytest.mark.parametrize("size", [1, 511, 513, 16385, len(LARGE) - 1])
def test_the_phone_answers_what_it_hears(host: Host, size: int) -> None:
    session = host.phone(echo())
    assert write(session, LARGE[:size]) == size
    assert read(session, size // 512 * 512 + 512) == LARGE[:size]


@not_on("libusb-split")
def test_a_transfer_that_the_kernel_has_no_memory_for(host: Host) -> None:
    session = host.phone(listener([]))
    no_memory = Failure("USBError", errno.ENOMEM, -11)
    assert write(session, bytes((16 << 20) + 1)) == no_memory
    assert read(session, (16 << 20) + 1) == no_memory


# --- Faults


def test_a_stalled_endpoint_fails_until_it_is_cleared(host: Host) -> None:
    session = host.phone(echo(), "stall@out:0", "stall@in:0")
    assert write(session, b"hello") == STALL
    assert write(session, b"hello") == STALL
    assert session.call("clear_halt", OUT) is None
    assert write(session, b"hello") == 5
    assert read(session) == STALL
    assert session.call("clear_halt", IN) is None
    assert read(session) == b"hello"


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_stall_in_the_middle_is_an_error(host: Host, size: int) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard, 1024), "stall@out:2048")
    assert write(session, bytes(size)) == STALL
    assert heard == [bytes(1024)] * 2


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_stall_after_some_data_loses_what_the_host_has_read(host: Host, size: int) -> None:
    session = host.phone(speaker(Send(LARGE[:size])), "stall@in:2048")
    assert read(session, 1 << 20) == STALL
    session.call("clear_halt", IN)
    assert read(session, 1 << 20) == LARGE[2048:size]


def test_a_port_reset_ends_stalls(host: Host) -> None:
    session = host.phone(speaker(Send(b"hello")), "stall@in:0")
    assert read(session) == STALL
    assert session.call("reset") is None
    assert read(session) == b"hello"


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_phone_that_leaves_during_a_write(host: Host, size: int) -> None:
    session = host.phone(listener([]), "unplug@out:2048")
    assert write(session, bytes(size)) == GONE
    assert read(session) == GONE


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_phone_that_leaves_during_a_read(host: Host, size: int) -> None:
    session = host.phone(speaker(Send(bytes(size))), "unplug@in:2048")
    assert read(session, 1 << 20) == GONE
    assert write(session, b"x") == GONE


def test_a_phone_that_freezes_takes_no_data_for_a_while(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard, 512), "freeze@out:1024:0.2")
    assert write(session, bytes(2048), SOON_MS) == 1024
    assert write(session, bytes(1024)) == 1024
    assert heard == [bytes(512)] * 4


def test_a_write_that_gets_lost_counts_as_done(host: Host) -> None:
    heard: list[bytes | None] = []
    session = host.phone(listener(heard), "swallow@out-transfer:1")
    assert [write(session, text) for text in (b"one", b"two", b"three")] == [3, 3, 5]
    assert heard == [b"one", b"three"]


def test_a_transfer_that_waits_is_counted_once(host: Host) -> None:
    heard = []

    def sleeper() -> Firmware:
        yield Receive(512)
        yield Sleep(0.1)
        while True:
            heard.append((yield Receive(512)))

    session = host.phone(sleeper(), "swallow@out-transfer:2")
    assert [write(session, text) for text in (b"one", b"two", b"three", b"four")] == [3, 3, 5, 4]
    assert heard == [b"two", b"four"]


def test_stray_bytes_come_before_what_the_phone_sends(host: Host) -> None:
    session = host.phone(speaker(Send(b"one"), Send(b"two")), "garbage@in-transfer:1:c0ffee")
    assert [read(session), read(session), read(session)] == [b"one", b"\xc0\xff\xee", b"two"]
