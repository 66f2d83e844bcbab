# SPDX-License-Identifier: BSD-3-Clause
"""Our own USB transport does the same on the virtual phones' backend and on libusb."""

from __future__ import annotations

import random
from typing import Any

from edl.errors import AccessError, DeviceGoneError, TransportError, TransportTimeoutError
from edl.virtual.link import Exit, Firmware, Receive, Send
from tests.umockdev.host import Host
from tests.umockdev.session import Failure, Session

SOON_S, LATE_S = 0.03, 10.0
LARGE = random.Random(2).randbytes(3 << 20)


def connected(host: Host, software: Firmware, *faults: str, **options: Any) -> Session:  # noqa: ANN401
    host.plug(software, *faults, **options)
    session = host.session()
    assert session.connect() is None
    return session


def listener(heard: list[bytes | None], max_bytes: int = 4096) -> Firmware:
    while True:
        heard.append((yield Receive(max_bytes)))


def speaker(*sendings: Send) -> Firmware:
    yield from sendings
    yield Receive(1)


def echo() -> Firmware:
    while True:
        data = yield Receive(8 << 20)
        yield Send(data)


def failure(kind: type[TransportError], detail: int | None = None) -> Failure:
    return Failure(kind.__name__, kind.code, detail)


def test_what_is_sent_comes_back(host: Host) -> None:
    session = connected(host, echo())
    assert session.send(b"hello", LATE_S) is None
    assert session.receive(LATE_S) == b"hello"


def test_a_megabyte_is_one_transfer(host: Host) -> None:
    session = connected(host, speaker(Send(LARGE[: 1 << 20]), Send(b"next")))
    assert session.receive(LATE_S) == LARGE[: 1 << 20]
    assert session.receive(LATE_S) == b"next"


def test_more_than_a_megabyte_is_written_on(host: Host) -> None:
    heard: list[bytes | None] = []
    session = connected(host, listener(heard, len(LARGE)))
    assert session.send(LARGE, LATE_S) is None
    assert heard == [LARGE]


def test_a_zero_length_packet_ends_what_fills_its_last_packet(host: Host) -> None:
    heard: list[bytes | None] = []
    session = connected(host, listener(heard))
    assert session.send(bytes(1024), LATE_S, zlp=True) is None
    assert heard == [bytes(1024)]
    assert session.send(bytes(1000), LATE_S, zlp=True) is None
    assert heard == [bytes(1024), bytes(1000)]
    assert session.send(bytes(512), LATE_S) is None
    assert heard == [bytes(1024), bytes(1000)]


def test_zero_length_packets_of_the_phone_are_passed_over(host: Host) -> None:
    session = connected(host, speaker(Send(b""), Send(b""), Send(b"data")))
    assert session.receive(LATE_S) == b"data"


def test_silence(host: Host) -> None:
    session = connected(host, listener([]))
    assert session.receive(SOON_S) == failure(TransportTimeoutError, 0)


def test_a_phone_that_stops_taking_data(host: Host) -> None:
    def one_request() -> Firmware:
        yield Receive(2048)
        yield Exit("hang")

    session = connected(host, one_request())
    assert session.send(bytes(5000), SOON_S) == failure(TransportTimeoutError, 2048)
    assert session.send(b"x", SOON_S) == failure(TransportTimeoutError, 0)


def test_a_zero_length_packet_that_is_not_taken(host: Host) -> None:
    def one_request() -> Firmware:
        yield Receive(1024)
        yield Exit("hang")

    session = connected(host, one_request())
    assert session.send(bytes(1024), SOON_S, zlp=True) == failure(TransportTimeoutError, 1024)


def test_a_write_that_the_phone_takes_in_two_goes(host: Host) -> None:
    heard: list[bytes | None] = []
    session = connected(host, listener(heard, 1024), "freeze@out:1024:0.2")
    assert session.send(LARGE[:2048], LATE_S) is None
    assert heard == [LARGE[:1024], LARGE[1024:2048]]


def test_after_a_stall_the_transport_can_be_used(host: Host) -> None:
    session = connected(host, echo(), "stall@out:0", "stall@in:0")
    assert session.send(b"hello", LATE_S) == failure(TransportError)
    assert session.send(b"hello", LATE_S) is None
    assert session.receive(LATE_S) == failure(TransportError)
    assert session.receive(LATE_S) == b"hello"


def test_a_phone_that_leaves(host: Host) -> None:
    session = connected(host, echo(), "unplug@out:10000")
    assert session.send(bytes(5000), LATE_S) is None
    assert session.receive(LATE_S) == bytes(5000)
    assert session.send(bytes(50_000), LATE_S) == failure(DeviceGoneError)
    assert session.receive(LATE_S) == failure(DeviceGoneError)
    session.disconnect()
    assert host.session().found() == []


def test_a_driver_of_the_system_is_detached(host: Host) -> None:
    session = connected(host, echo(), kernel_driver="qcserial")
    assert session.send(b"hello", LATE_S) is None
    assert session.receive(LATE_S) == b"hello"


def test_a_phone_that_another_program_has(host: Host) -> None:
    first = connected(host, echo())
    second = host.session()
    assert second.connect() == failure(AccessError)
    first.disconnect()
    assert second.connect() is None
    assert second.send(b"hello", LATE_S) is None
    assert second.receive(LATE_S) == b"hello"


def test_a_phone_that_may_not_be_opened(host: Host) -> None:
    host.plug(echo(), "denied")
    assert host.session().connect() == failure(AccessError)


# --- Queued transfers


def test_queued_transfers_arrive_whole_and_in_order(host: Host) -> None:
    heard: list[bytes | None] = []
    session = connected(host, listener(heard, 16384))
    assert session.pour(LARGE[: 40 * 16384], 16384, LATE_S) == 0
    assert b"".join(data or b"" for data in heard) == LARGE[: 40 * 16384]
    assert heard[1::2] == [b""] * 40


def test_what_a_phone_does_not_take_is_taken_back(host: Host) -> None:
    heard: list[bytes | None] = []

    def two_payloads() -> Firmware:
        yield Receive(16384)
        yield Receive(16384)
        yield Receive(16384)
        yield Send(b"enough")
        yield from listener(heard)

    session = connected(host, two_payloads())
    assert session.pour(LARGE[: 4 * 16384], 16384, SOON_S) in {2 * 16384, 3 * 16384}
    assert session.receive(LATE_S) == b"enough"
    assert session.send(b"command", LATE_S) is None
    assert heard[-1] == b"command"


def test_posted_reads_get_what_comes_in_order(host: Host) -> None:
    sendings = [Send(bytes([number]) * 16384) for number in range(12)]
    session = connected(host, speaker(*sendings, Send(b"answer")))
    assert session.listen(16384) is None
    assert [session.receive(LATE_S) for _ in range(13)] == [
        *(bytes([number]) * 16384 for number in range(12)),
        b"answer",
    ]
    assert session.receive(SOON_S) == failure(TransportTimeoutError, 0)


def test_posted_transfers_end_with_the_phone(host: Host) -> None:
    session = connected(host, listener([], 16384), "unplug@out:16384")
    assert session.listen(16384) is None
    assert session.pour(LARGE[: 8 * 16384], 16384, LATE_S) == failure(DeviceGoneError)
    assert session.receive(LATE_S) == failure(DeviceGoneError)


def test_a_stall_ends_what_was_posted(host: Host) -> None:
    heard: list[bytes | None] = []
    session = connected(host, listener(heard, 16384), "stall@out:16384")
    assert session.listen(16384) is None
    stalled = session.pour(LARGE[: 8 * 16384], 16384, LATE_S)
    assert stalled.kind == "TransportError"
    assert session.send(b"again", LATE_S) is None
    assert heard[-1] == b"again"
