# SPDX-License-Identifier: BSD-3-Clause
"""Phones that mean harm: each ends in an error, in bounded memory, after a bounded number of words.

They are scripts below the sessions, because no virtual phone, and no real one, behaves like this.
"""

from __future__ import annotations

import itertools
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from edl.device.firehose import Programmer
from edl.device.sahara import BootRom
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ProgrammerRefusedError,
    ProtocolError,
)
from edl.firehose.commands import Area
from edl.firehose.host import MAX_JUNK_BYTES
from edl.sahara.packets import Mode
from edl.units import MIB
from tests.phones import Script
from tests.virtual.test_sessions_scripted import (
    ACK,
    CMD_READY,
    DATA,
    HELLO,
    end_of_image,
    execute_resp,
    greeted,
    read_data,
    xml,
)

AREA = Area(0, 0, 8, 512)
RAW = xml('<response value="ACK" rawmode="true" />')
_MOST_READS = 300_000  # a session that asks for more never ends


class Endless(Script):
    """Says what it was told to say, and then the same transfers again and again.

    Attributes:
        reads: how many transfers it was asked for.
    """

    def __init__(self, *lines: bytes, first: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self._transfers: Iterator[bytes] = itertools.chain(first, itertools.cycle(lines))
        self.reads = 0

    def read(self, timeout_s: float) -> memoryview:
        self.reads += 1
        assert self.reads < _MOST_READS, "it is listened to for ever"
        return memoryview(next(self._transfers))


def peak_bytes(work: Callable[[], object], *errors: type[EdlError]) -> int:
    """Return how much memory work takes at most; it must end with one of errors."""
    tracemalloc.start()
    try:
        with pytest.raises(errors) as caught:
            work()
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 500
        assert all(line.isprintable() for line in caught.value.device_log)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def log(text: str) -> bytes:
    return xml(f'<log value="{text}" />')


# -- Sahara ---------------------------------------------------------------------------------------


def read_data64(offset: int, length: int, image: int = 13) -> bytes:
    return struct.pack("<2I3Q", 0x12, 32, image, offset, length)


@pytest.mark.parametrize(
    "request_",
    [
        read_data(0, 0xFFFFFFFF),
        read_data(0xFFFFFFFF, 1),
        read_data(0xFFFFFFF0, 0xFFFFFFFF),
        read_data(len(DATA), 1),
        read_data(len(DATA) - 1, 2),
        read_data64(0, 1 << 40),
        read_data64((1 << 64) - 1, 1),
        read_data64((1 << 64) - 1, (1 << 64) - 1),
        read_data64(1 << 63, len(DATA)),
    ],
)
def test_nothing_behind_the_file_is_sent(request_: bytes) -> None:
    rom, _, script = greeted(request_)
    rom.send(rom._host.hello(Mode.IMAGE_PENDING))
    assert peak_bytes(lambda: rom.upload({13: DATA}), ProgrammerRefusedError) < MIB
    assert not any(DATA[:16] in sent or DATA[-16:] in sent for sent in script.written)


@pytest.mark.parametrize(
    "request_",
    [read_data(0, 1), read_data(0, 0), read_data(0, 64), read_data64(63, 1), HELLO],
    ids=["a byte", "nothing", "all of it", "a byte of 64 bits", "greetings"],
)
def test_an_upload_does_not_go_on_for_ever(request_: bytes) -> None:
    script = Endless(request_)
    rom = BootRom(script)
    rom.send(rom._host.hello(Mode.IMAGE_PENDING))
    assert peak_bytes(lambda: rom.upload({13: DATA[:64]}), ProtocolError) < 8 * MIB
    assert script.reads < 20 * 64


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1 << 30, 0xFFFFFFFF])
def test_an_identity_of_gigabytes_is_not_fetched(size: int) -> None:
    script = Endless(b"A" * 512, first=(HELLO, CMD_READY, execute_resp(1, size)))
    rom = BootRom(script)
    hello = rom.next_event(1)
    identity = rom.identify(hello)  # type: ignore[arg-type]
    assert identity.serial is None
    assert len(rom.leftover()) < MIB


def test_an_identity_is_numbers_only() -> None:
    """Whatever a boot ROM answers, nothing of it is text that could name a file."""
    evil = b"\x1b[2J../../x\0\n\r" * 8
    answers = [part for command in (1, 2, 3)
               for part in (execute_resp(command, len(evil)), evil)]  # fmt: skip
    rom, hello, _ = greeted(CMD_READY, *answers, HELLO)
    identity = rom.identify(hello)
    assert isinstance(identity.serial, int | None)
    assert isinstance(identity.hwid, int | None)
    assert isinstance(identity.pk_hash, bytes | None)


@pytest.mark.parametrize(
    "junk",
    [
        struct.pack("<2I", 3, 0xFFFFFFFF),
        struct.pack("<2I", 0xFFFFFFFF, 8),
        b"<?xml " + b"x" * 500,
        b"\xff" * 512,
        end_of_image(0xFFFFFFFF),
    ],
    ids=["4 GiB packet", "unknown packet", "xml", "ones", "odd status"],
)
def test_junk_ends_an_upload(junk: bytes) -> None:
    rom = BootRom(Endless(junk))
    rom.send(rom._host.hello(Mode.IMAGE_PENDING))
    if junk.startswith(b"<?xml"):
        rom.upload({13: DATA})  # a programmer speaks already: whether it is one, it has to prove
    else:
        errors = (ProtocolError, ProgrammerRefusedError)
        assert peak_bytes(lambda: rom.upload({13: DATA}), *errors) < 4 * MIB


# -- Firehose: words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transfer",
    [
        b'<?xml version="1.0" ?><data><log value="' + b"A" * MIB,
        b"A" * MIB,
        b"<data>" * (MIB // 6),
        b'<?xml version="1.0" ?><data>' + b"<log " * 200_000,
        b"\0" * MIB,
        b"&lt;" * (MIB // 4),
    ],
    ids=["one log", "noise", "openings", "attributes", "zeros", "entities"],
)
def test_an_answer_of_100_megabytes_is_given_up(transfer: bytes) -> None:
    script = Endless(transfer)
    used = peak_bytes(lambda: Programmer(script).ping(), ProtocolError)
    assert used < 12 * MIB
    assert script.reads * len(transfer) < MAX_JUNK_BYTES + 2 * MIB


def test_an_answer_that_never_ends_byte_by_byte_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edl.device.dialogue._MAX_STALE", 3000)
    script = Endless(b" ", first=(b'<?xml version="1.0" ?><data><log value="',))
    assert peak_bytes(lambda: Programmer(script).ping(), ProtocolError) < MIB
    assert script.reads <= 3001


def test_endless_logs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.device.dialogue._MAX_LOGS", 500)
    script = Endless(log("x" * 100))
    assert peak_bytes(lambda: Programmer(script).ping(), ProtocolError) < MIB
    assert script.reads <= 501


def test_endless_long_logs_end_sooner() -> None:
    script = Endless(log("x" * 60_000))
    assert peak_bytes(lambda: Programmer(script).ping(), ProtocolError) < 12 * MIB
    assert script.reads <= 71


def test_long_lines_are_cut() -> None:
    events: list[object] = []
    programmer = Programmer(Script(log("x" * 60_000), xml(ACK)), events.append)
    assert programmer.ping()
    assert max(len(line) for line in programmer._talk.logs) == 4096


def test_ten_thousand_answers_at_once_are_one() -> None:
    """What comes behind an answer belongs to nothing, and is dropped with the next command."""
    script = Script(xml(ACK) * 10_000, xml(ACK))
    programmer = Programmer(script)
    assert programmer.ping()
    assert programmer.ping()
    assert programmer._talk.host.next_event() is None


def test_logs_lose_what_drives_a_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\r\n\u202etxt.exe\x00\x7f"
    programmer = Programmer(Script(log(evil), xml('<response value="NAK" />')))
    assert peak_bytes(lambda: programmer.set_bootable(1), DeviceRefusedError) < MIB
    assert programmer._talk.logs
    assert all(line.isprintable() for line in programmer._talk.logs)


# -- Firehose: data -------------------------------------------------------------------------------


def test_more_data_than_was_asked_for_is_not_taken() -> None:
    taken: list[int] = []
    script = Script(RAW, b"\x55" * 4096, b"\x55" * 4096, xml(ACK))
    Programmer(script).read(AREA, lambda data: taken.append(len(data)))
    assert sum(taken) == AREA.size_bytes


def test_data_without_end_is_given_up() -> None:
    taken: list[int] = []
    script = Endless(b"\x55" * MIB, first=(RAW,))
    read = lambda: Programmer(script).read(AREA, lambda data: taken.append(len(data)))  # noqa: E731
    assert peak_bytes(read, ProtocolError) < 12 * MIB
    assert sum(taken) == AREA.size_bytes
    assert script.reads < 20


def test_answers_within_the_data_do_not_make_it_whole() -> None:
    taken: list[int] = []
    script = Script(RAW, b"\x55" * 2048, xml(ACK))
    with pytest.raises(ProtocolError, match="2048 bytes missing"):
        Programmer(script).read(AREA, lambda data: taken.append(len(data)))
    assert sum(taken) == 2048


# -- Firehose: numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [str(1 << 64), "9" * 20, "9" * 5000, "-1", "0x" + "f" * 40])
@pytest.mark.parametrize(
    "form",
    [
        "num_partition_sectors={0}",
        "Device Total Logical Blocks: {0}",
        "{{&quot;storage_info&quot;: {{&quot;total_blocks&quot;:{0}, &quot;num_physical&quot;:{0},"
        " &quot;block_size&quot;:512}}}}",
        "SECTOR_SIZE_IN_BYTES={0}",
        "num_physical_partitions={0}",
    ],
)
def test_sizes_that_no_storage_has_are_not_believed(form: str, number: str) -> None:
    info = Programmer(Script(log(form.format(number)), xml(ACK))).storage_info(0)
    assert info.sectors is None
    assert info.luns is None
    assert info.sector_bytes is None or info.sector_bytes == 512


@pytest.mark.parametrize("size", ["0", "1", "511", "-512", "9" * 30, str(1 << 62), "0x100000"])
def test_payloads_that_nobody_can_send_are_not_agreed_on(size: str) -> None:
    answer = xml(f'<response value="ACK" MaxPayloadSizeToTargetInBytes="{size}" />')
    programmer = Programmer(Script(*[answer] * 9))
    try:
        programmer.configure("ufs")
    except EdlError as error:
        assert error.message.isprintable()  # noqa: PT017  # either end is right
    assert 0 <= programmer.payload_bytes <= MIB


@pytest.mark.parametrize(
    "digest",
    ["00" * 31, "zz" * 32, "ab" * 33, "ab" * 4000, "", "\x1b[2J", "ab" * 32 + "\n" + "cd" * 32],
)
def test_what_is_no_digest_is_none(digest: str) -> None:
    programmer = Programmer(Script(log(f"Digest {digest}"), xml(ACK)))
    programmer.digest_works = True
    try:
        found = programmer.sha256(AREA)
    except EdlError as error:
        assert error.message.isprintable()  # noqa: PT017
    else:
        assert found is None or found == bytes.fromhex("ab" * 32)
