# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DeviceGoneError, TransportTimeoutError, UsageError
from edl.transport.serial import SerialTransport
from edl.virtual import serve
from edl.virtual.controller import Controller
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.link import Exit, Firmware, Receive, Send
from edl.virtual.phone import Phone
from edl.virtual.saved import State
from edl.virtual.serve import Cutter, Pty, serve_pty
from tests import phones
from tests.virtual.serving import LIMIT_S, on_pty
from tests.virtual.test_usb_transfers import echo, listener, speaker

_HELLO_RESP = struct.pack("<6I", 2, 48, 2, 1, 0, 0).ljust(48, b"\0")
_DOCUMENT = b'<?xml version="1.0" ?><data><nop /></data>'


# -- where transfers end --------------------------------------------------------------------------


def _all(cutter: Cutter, wanted: int, *, silent: bool = False) -> list[bytes]:
    pieces = []
    while (piece := cutter.cut(wanted, silent=silent)) is not None:
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize(
    "message",
    [
        _HELLO_RESP,
        _DOCUMENT,
        _DOCUMENT + b"\n\0",
        b"\n<data></data>",
        _DOCUMENT[:-7] + b" " * 600 + b"</data>",
    ],
)
@pytest.mark.parametrize("zlp", [True, False])
def test_a_whole_message_is_a_transfer(message: bytes, zlp: bool) -> None:
    cutter = Cutter(512, zlp=zlp)
    cutter.receive(message)
    assert _all(cutter, 16384) == [message]


@pytest.mark.parametrize(
    "message", [_DOCUMENT[:-1], _HELLO_RESP[:-1], _HELLO_RESP + b"\0", b"AT\r"]
)
def test_anything_else_shorter_than_a_packet_waits_for_silence(message: bytes) -> None:
    cutter = Cutter(512, zlp=True)
    cutter.receive(message)
    assert _all(cutter, 16384) == []
    assert cutter.backlog == len(message)
    assert _all(cutter, 16384, silent=True) == [message]
    assert _all(cutter, 16384, silent=True) == []


def test_a_full_request_is_a_transfer() -> None:
    cutter = Cutter(512, zlp=True)
    cutter.receive(b"a" * 100 + b"b" * 1024 + b"c" * 7)
    assert cutter.cut(100, silent=False) == b"a" * 100
    assert cutter.cut(1024, silent=False) == b"b" * 1024
    assert cutter.cut(512, silent=False) == b""
    assert cutter.cut(512, silent=False) is None
    assert cutter.cut(0, silent=True) is None
    assert cutter.cut(512, silent=True) == b"c" * 7


def test_whole_packets_of_a_long_transfer_go_on_at_once() -> None:
    cutter = Cutter(512, zlp=True)
    cutter.receive(b"a" * 1300)
    assert _all(cutter, 4096) == [b"a" * 1024]
    cutter.receive(b"b" * (4096 - 1300))
    assert _all(cutter, 3072) == [b"a" * 276 + b"b" * 2796, b""]


@pytest.mark.parametrize(("zlp", "end"), [(True, [b""]), (False, [])])
def test_what_fills_its_packets_ends_as_the_driver_does_it(zlp: bool, end: list[bytes]) -> None:
    document = b"<data>".ljust(1017) + b"</data>"
    assert len(document) == 1024
    cutter = Cutter(512, zlp=zlp)
    cutter.receive(document)
    assert _all(cutter, 4096) == [document, *end]
    cutter.receive(bytes(512))
    assert _all(cutter, 4096) == [bytes(512)]
    assert _all(cutter, 4096, silent=True) == end


def test_a_document_that_comes_in_pieces_is_one_transfer() -> None:
    document = b"<data>" + b" " * 1019 + b"</data>"  # its end is cut by the packets
    cutter = Cutter(512, zlp=True)
    cutter.receive(document[:1027])
    assert _all(cutter, 4096) == [document[:1024]]
    cutter.receive(document[1027:])
    assert _all(cutter, 4096) == [document[1024:]]


def test_what_the_phone_does_not_take_is_put_back() -> None:
    cutter = Cutter(512, zlp=True)
    cutter.receive(bytes(512))
    assert cutter.cut(512, silent=False) == bytes(512)
    cutter.put_back(bytes(512))
    assert _all(cutter, 512) == [bytes(512), b""]
    cutter.put_back(b"")
    assert _all(cutter, 512) == [b""]


@given(
    st.lists(st.binary(max_size=1500), max_size=6),
    st.lists(st.integers(0, 2000), min_size=1, max_size=8),
    st.booleans(),
)
def test_nothing_is_lost_or_added(writes: list[bytes], wanted: list[int], zlp: bool) -> None:
    cutter = Cutter(512, zlp=zlp)
    got = bytearray()
    for write in writes:
        cutter.receive(write)
        for size in wanted:
            piece = cutter.cut(size, silent=False)
            assert piece is None or len(piece) <= size or not piece
            got += piece or b""
    while (piece := cutter.cut(4096, silent=True)) is not None:
        got += piece
    assert bytes(got) == b"".join(writes)
    assert cutter.backlog == 0


# -- the port -------------------------------------------------------------------------------------


def _controller(software: Firmware, *faults: str) -> Controller:
    injector = Injector([parse_fault(fault) for fault in faults])
    return Controller(software, lambda _: None, injector=injector)


def _step_until(port: Pty, done: Callable[[], object]) -> None:
    for _ in range(1000):
        if done():
            return
        port.step(0.01)
    pytest.fail("it does not happen")


def test_bytes_pass_as_they_are() -> None:
    every = bytes(range(256)) * 4
    heard: list[bytes | None] = []

    def software() -> Firmware:
        yield Send(every)
        yield from listener(heard, len(every))

    with Pty(_controller(software()), zlp=False) as port:
        host = SerialTransport(port.name)
        port.step(0)
        got = b""
        while len(got) < len(every):
            got += host.read(LIMIT_S)
        assert got == every
        host.write(every, LIMIT_S)
        _step_until(port, lambda: heard)
        host.close()
    assert heard == [every]


def test_documents_follow_one_another() -> None:
    with Pty(_controller(speaker(Send(b"one"), Send(bytes(512)), Send(b"two"))), zlp=True) as port:
        host = SerialTransport(port.name)
        port.step(0)
        expected = b"one" + bytes(512) + b"two"
        got = b""
        while len(got) < len(expected):
            got += host.read(LIMIT_S)
        assert got == expected
        with pytest.raises(TransportTimeoutError):
            host.read(0)
        host.close()


def test_more_than_the_port_holds_waits_in_the_phone() -> None:
    data = os.urandom(1 << 20)
    with Pty(_controller(speaker(Send(data))), zlp=True) as port:
        host = SerialTransport(port.name)
        got = bytearray()
        for _ in range(5000):
            port.step(0)
            if len(got) == len(data):
                break
            got += host.read(LIMIT_S)
        host.close()
    assert bytes(got) == data


def test_what_nobody_read_waits_for_the_next_program() -> None:
    with Pty(_controller(speaker(Send(b"hello"))), zlp=True) as port:
        SerialTransport(port.name).close()
        port.step(0)
        host = SerialTransport(port.name)
        assert bytes(host.read(LIMIT_S)) == b"hello"
        host.close()


def test_stalls_are_cleared_as_drivers_do_it() -> None:
    faults = ("stall@out-transfer:0", "stall@in-transfer:0")
    with Pty(_controller(echo(), *faults), zlp=True) as port:
        host = SerialTransport(port.name)
        host.write(_DOCUMENT, LIMIT_S)
        got = bytearray()

        def answered() -> bool:
            try:
                got.extend(host.read(0))
            except TransportTimeoutError:
                return False
            return True

        _step_until(port, answered)
        host.close()
    assert bytes(got) == _DOCUMENT


def test_only_silence_ends_what_explains_nothing() -> None:
    heard: list[bytes | None] = []
    with Pty(_controller(listener(heard, 4096)), zlp=True) as port:
        host = SerialTransport(port.name)
        host.write(b"AT\r", LIMIT_S)
        port.step(1)
        assert heard == []
        _step_until(port, lambda: heard)
        host.close()
    assert heard == [b"AT\r"]


def test_a_phone_that_takes_nothing_holds_the_host_back() -> None:
    with Pty(_controller(speaker(Send(bytes(1 << 20)))), zlp=True) as port:
        host = SerialTransport(port.name)
        taken = refusals = 0
        while refusals < 20:  # in a row, although the port goes on
            port.step(0.01)
            refusals += 1
            try:
                host.write(bytes(65536), 0)
            except TransportTimeoutError as error:
                if error.done_bytes:
                    refusals = 0
                taken += error.done_bytes
            else:
                refusals = 0
                taken += 65536
        assert 1 << 20 <= taken < 2 << 20
        host.close()


def _read_for_ever(host: SerialTransport) -> None:
    while True:
        host.read(LIMIT_S)


# -- serving --------------------------------------------------------------------------------------


def test_a_phone_that_comes_back_has_another_port(tmp_path: Path) -> None:
    link = tmp_path / "phone"
    link.symlink_to("left/by/another")
    with phones.plug("sdm660", running=True) as bench:
        with on_pty(bench.virtual, link=link) as (next_name, _):
            assert next_name() == str(link)
            first = link.readlink()
            host = SerialTransport(str(link))
            host.write(
                b'<?xml version="1.0" ?><data><power value="reset_to_edl" /></data>', LIMIT_S
            )
            with pytest.raises(DeviceGoneError):
                _read_for_ever(host)
            host.close()
            assert next_name() == str(link)
            again = SerialTransport(str(link))
            assert bytes(again.read(LIMIT_S))[:4] == b"\1\0\0\0"
            again.close()
            assert first.name.isdigit()
        assert not link.is_symlink()
        assert bench.virtual.exits == ["reset_to_edl"]
        assert bench.virtual.state is State.BOOT_ROM


def test_a_link_that_cannot_be_made(tmp_path: Path) -> None:
    with (
        Phone.create("sdm660") as phone,
        pytest.raises(UsageError, match="link"),
    ):
        serve_pty(phone, lambda _: None, threading.Event(), link=tmp_path / "no" / "folder")


def test_windows_has_no_ptys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with Phone.create("sdm660") as phone, pytest.raises(UsageError, match="Windows"):
        serve_pty(phone, lambda _: None, threading.Event())


def test_a_phone_that_is_off_is_not_served() -> None:
    names: list[str] = []
    with Phone.create("sdm660") as phone:
        phone.unplug()
        serve_pty(phone, names.append, threading.Event())
        assert serve.on_bus(phone) is None
    assert names == []


def test_software_that_leaves_closes_the_port() -> None:
    def software() -> Firmware:
        yield Receive(4096)
        yield Exit("off")

    controller = Controller(software(), lambda _: controller.unplug())
    with Pty(controller, zlp=True) as port:
        host = SerialTransport(port.name)
        host.write(_DOCUMENT, LIMIT_S)
        _step_until(port, lambda: controller.gone)
    with pytest.raises(DeviceGoneError):
        host.read(LIMIT_S)
    with pytest.raises(DeviceGoneError):
        host.write(b"x", LIMIT_S)
    host.close()
