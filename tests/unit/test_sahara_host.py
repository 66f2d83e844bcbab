# SPDX-License-Identifier: BSD-3-Clause
"""The host's side of Sahara, driven through dialogues of real boot ROMs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from edl.errors import ProtocolError
from edl.sahara import host
from edl.sahara.host import (
    AnswerAnnounced,
    Answered,
    CommandReady,
    DoneAnswered,
    HelloSeen,
    ImageEnded,
    ImageRequested,
    MemoryOffered,
    Phase,
    ProgrammerSpeaks,
    ResetAnswered,
    SaharaHost,
)
from edl.sahara.packets import Mode
from edl.sahara.status import Status

ZEROS = " 00" * 24
IMAGE, LAST_IMAGE, DUMP, COMMAND = (
    Mode.IMAGE_PENDING,
    Mode.IMAGE_COMPLETE,
    Mode.MEMORY_DEBUG,
    Mode.COMMAND,
)
HELLO = "01000000 30000000 02000000 01000000 00040000 00000000" + ZEROS
HELLO_3 = "01000000 30000000 03000000 01000000 00040000 00000000" + ZEROS
EOI = "04000000 10000000 0d000000 00000000"
DONE = "05000000 08000000"
SWITCH = "0c000000 0c000000 00000000"


@dataclass(frozen=True)
class Got:
    """The device sends bytes; the host sees these events, and no other."""

    text: str
    events: tuple[host.Event, ...]


@dataclass(frozen=True)
class Sent:
    """The host acts, and these bytes go out."""

    act: Callable[[SaharaHost], bytes]
    text: str


Dialogue = tuple[Got | Sent, ...]


def got(text: str, *events: host.Event) -> Got:
    return Got(text, events)


def hello(mode: Mode, text: str = "") -> Sent:
    answer = f"02000000 30000000 02000000 01000000 00000000 {mode:02x}000000" + ZEROS
    return Sent(lambda core: core.hello(mode), text or answer)


def execute(number: int) -> Sent:
    return Sent(lambda core: core.execute(number), f"0d000000 0c000000 {number:02x}000000")


def fetch(number: int, size_bytes: int) -> Sent:
    announced = AnswerAnnounced(number, size_bytes)
    return Sent(lambda core: core.fetch(announced), f"0f000000 0c000000 {number:02x}000000")


done = Sent(SaharaHost.done, DONE)
switch = Sent(lambda core: core.switch_mode(IMAGE), SWITCH)
reset = Sent(SaharaHost.reset, "07000000 08000000")
restart = Sent(SaharaHost.restart, "13000000 08000000")
SEEN, SEEN_3 = HelloSeen(2, 1, IMAGE), HelloSeen(3, 1, IMAGE)
HASH = (
    "d40eee56f3194665574109a39267724ae7944134cd53cb767e293d3c40497955"
    "bc8a4519ff992b031fadc6355015ac87"
)

UPLOAD_64: Dialogue = (  # bkerler/edl#97, #635, linux-msm/qdl PR#36
    got(HELLO, SEEN),
    hello(IMAGE),
    got(
        "12000000 20000000 0d00000000000000 0000000000000000 4000000000000000",
        ImageRequested(13, 0, 0x40),
    ),
    got(
        "12000000 20000000 0d00000000000000 4000000000000000 8003000000000000",
        ImageRequested(13, 0x40, 0x380),
    ),
    got(
        "12000000 20000000 0d00000000000000 0010000000000000 0010000000000000",
        ImageRequested(13, 0x1000, 0x1000),
    ),
    got(EOI, ImageEnded(13, Status.SUCCESS)),
    done,
    got("06000000 0c000000 01000000", DoneAnswered(complete=True)),
    got("3c3f786d6c2076657273", ProgrammerSpeaks()),
)
UPLOAD_32: Dialogue = (  # openpst/sahara#10; says "pending" and starts the programmer all the same
    got(HELLO, SEEN),
    hello(IMAGE),
    got("03000000 14000000 0d000000 00000000 34000000", ImageRequested(13, 0, 52)),
    got("03000000 14000000 0d000000 34000000 60000000", ImageRequested(13, 0x34, 0x60)),
    got("03000000 14000000 0d000000 00200100 00100000", ImageRequested(13, 0x12000, 0x1000)),
    got(EOI, ImageEnded(13, Status.SUCCESS)),
    done,
    got("06000000 0c000000 00000000", DoneAnswered(complete=False)),
)
IDENTITY: Dialogue = (  # bkerler/edl#585, #635, #229, #342
    got(HELLO, SEEN),
    hello(COMMAND),
    got("0b000000 08000000", CommandReady()),
    execute(1),
    got("0e000000 10000000 01000000 04000000", AnswerAnnounced(1, 4)),
    fetch(1, 4),
    got("3a09761e", Answered(1, bytes.fromhex("3a09761e"))),
    execute(2),
    got("0e000000 10000000 02000000 18000000", AnswerAnnounced(2, 24)),
    fetch(2, 24),
    got("01bf1700e1508000" * 3, Answered(2, bytes.fromhex("01bf1700e1508000" * 3))),
    execute(3),
    got("0e000000 10000000 03000000 90000000", AnswerAnnounced(3, 144)),
    fetch(3, 144),
    got(HASH * 3, Answered(3, bytes.fromhex(HASH * 3))),
    switch,
    got(HELLO, SEEN),
    hello(IMAGE),
)
IDENTITY_3: Dialogue = (  # bkerler/edl#813, #663; the refusal's number is assumed
    got(HELLO_3, SEEN_3),
    hello(COMMAND, "02000000 30000000 03000000 01000000 00000000 03000000" + ZEROS),
    got("0b000000 08000000", CommandReady()),
    execute(1),
    got("0e000000 10000000 01000000 08000000", AnswerAnnounced(1, 8)),
    fetch(1, 8),
    got("587a6b6a 43040000", Answered(1, bytes.fromhex("587a6b6a43040000"))),
    execute(2),
    got("04000000 10000000 0d000000 1f000000", ImageEnded(13, Status.EXEC_CMD_UNSUPPORTED)),
    switch,
    got(HELLO_3, SEEN_3),
)
REFUSED: Dialogue = (  # openpst/sahara#6, an MSM8909 that refuses every command alike
    got(HELLO, SEEN),
    hello(COMMAND),
    got("0b000000 08000000", CommandReady()),
    execute(2),
    got("04000000 10000000 0d000000 01000000", ImageEnded(13, Status.INVALID_CMD)),
    execute(1),
    got("04000000 10000000 0d000000 01000000", ImageEnded(13, Status.INVALID_CMD)),
    reset,
    got("08000000 08000000", ResetAnswered()),
)
CRASH_DUMP: Dialogue = (  # layouts of qcom-memory-dump-collector
    got(
        "01000000 30000000 02000000 01000000 00040000 02000000" + ZEROS,
        HelloSeen(2, 1, DUMP),
    ),
    hello(DUMP),
    got(
        "10000000 18000000 0000681400000000 8000000000000000",
        MemoryOffered(0x14680000, 0x80, wide=True),
    ),
    Sent(
        lambda core: core.read_memory(0x14680000, 0x80, wide=True),
        "11000000 18000000 0000681400000000 8000000000000000",
    ),
    got("04000000 10000000 0d000000 19000000", ImageEnded(13, Status.INVALID_MEMORY_READ)),
    got("09000000 10000000 00006008 68000000", MemoryOffered(0x08600000, 0x68, wide=False)),
    Sent(
        lambda core: core.read_memory(0x08600000, 0x68, wide=False),
        "0a000000 10000000 00006008 68000000",
    ),
    reset,
    got("08000000 08000000", ResetAnswered()),
)
CHAIN: Dialogue = (  # image ids of SM8850: strongtz/edl-ng#29, bkerler/edl#776
    got(HELLO_3, SEEN_3),
    hello(IMAGE, "02000000 30000000 03000000 01000000 00000000 00000000" + ZEROS),
    got(
        "12000000 20000000 3b00000000000000 0000000000000000 4000000000000000",
        ImageRequested(59, 0, 0x40),
    ),
    got("04000000 10000000 3b000000 00000000", ImageEnded(59, Status.SUCCESS)),
    done,
    got("06000000 0c000000 00000000", DoneAnswered(complete=False)),
    got(
        "01000000 30000000 03000000 01000000 00040000 01000000" + ZEROS,
        HelloSeen(3, 1, LAST_IMAGE),
    ),
    hello(LAST_IMAGE, "02000000 30000000 03000000 01000000 00000000 01000000" + ZEROS),
    got(
        "12000000 20000000 0d00000000000000 0000000000000000 4000000000000000",
        ImageRequested(13, 0, 0x40),
    ),
)
EATEN_HELLO: Dialogue = (  # another program read the greeting: an unasked answer goes on
    hello(IMAGE),
    got(
        "12000000 20000000 0d00000000000000 0000000000000000 4000000000000000",
        ImageRequested(13, 0, 0x40),
    ),
)
EATEN_BY_PROGRAMMER: Dialogue = (hello(IMAGE), got("3c3f786d6c2076657273", ProgrammerSpeaks()))
STUCK_UPLOAD: Dialogue = (  # openpst/sahara#7: an LG V490 that had been waiting for image bytes
    reset,
    got("04000000 10000000 0d000000 08000000", ImageEnded(13, Status.INVALID_DATA_SIZE)),
    restart,
    got(HELLO, SEEN),
)
REFUSED_AT_START: Dialogue = (  # the only "no" that Sahara has may answer DONE too
    got(HELLO, SEEN),
    hello(IMAGE),
    got(EOI, ImageEnded(13, Status.SUCCESS)),
    done,
    got("04000000 10000000 0d000000 25000000", ImageEnded(13, Status.IMAGE_AUTH_FAILURE)),
)
STRAIGHT_TO_IMAGE: Dialogue = (  # the wish for commands is ignored
    got(HELLO, SEEN),
    hello(COMMAND),
    got("03000000 14000000 0d000000 00000000 34000000", ImageRequested(13, 0, 52)),
)
SHORT_HELLO: Dialogue = (  # version 1: no mode, and an answer of the same length
    got("01000000 14000000 01000000 01000000 00040000", HelloSeen(1, 1, IMAGE)),
    hello(IMAGE, "02000000 14000000 01000000 01000000 00000000"),
    got("03000000 14000000 0d000000 00000000 50000000", ImageRequested(13, 0, 80)),
)
EMPTY_ANSWER: Dialogue = (
    got(HELLO, SEEN),
    hello(COMMAND),
    got("0b000000 08000000", CommandReady()),
    execute(6),
    got("0e000000 10000000 06000000 00000000", AnswerAnnounced(6, 0)),
    fetch(6, 0),
    got("", Answered(6, b"")),
)
DIALOGUES = {
    name: value
    for name, value in globals().items()
    if name.isupper() and isinstance(value, tuple) and isinstance(value[0], Got | Sent)
}


def drain(core: SaharaHost) -> Iterator[host.Event]:
    while (event := core.next_event()) is not None:
        yield event


def play(dialogue: Dialogue, cut: Callable[[bytes], list[bytes]]) -> SaharaHost:
    core = SaharaHost()
    for row in dialogue:
        if isinstance(row, Sent):
            assert row.act(core) == bytes.fromhex(row.text)
            continue
        seen: list[host.Event] = []
        for piece in cut(bytes.fromhex(row.text)):
            core.receive(piece)
            seen += drain(core)
        assert tuple(seen) == row.events
    return core


def glued(dialogue: Dialogue) -> Dialogue:
    """Return dialogue with everything in one piece that the device sends in a row."""
    rows: list[Got | Sent] = []
    for row in dialogue:
        if rows and isinstance(row, Got) and isinstance(last := rows[-1], Got):
            rows[-1] = Got(last.text + row.text, last.events + row.events)
        else:
            rows.append(row)
    return tuple(rows)


def whole(data: bytes) -> list[bytes]:
    return [data]


def each_byte(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data] or [b""]


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogues(name: str) -> None:
    dialogue = DIALOGUES[name]
    for rows in (dialogue, glued(dialogue)):
        play(rows, whole)
        play(rows, each_byte)


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogues_cut_at_every_place(name: str) -> None:
    longest = max(len(bytes.fromhex(row.text)) for row in DIALOGUES[name])
    for at in range(1, longest):
        play(DIALOGUES[name], lambda data, at=at: [data[:at], data[at:]])  # type: ignore[misc]


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) == 14


# --- what stands behind a packet


def test_the_programmers_first_words_may_be_glued_to_the_last_answer() -> None:
    core = play((got(HELLO, SEEN), hello(IMAGE), got(EOI, ImageEnded(13, Status(0))), done), whole)
    greeting = b'<?xml version="1.0" encoding="UTF-8" ?>'
    core.receive(bytes.fromhex("06000000 0c000000 01000000") + greeting)
    assert list(drain(core)) == [DoneAnswered(complete=True), ProgrammerSpeaks()]
    assert core.has_bytes()
    core.receive(b"<data>")
    assert core.next_event() is None  # once is enough, until somebody takes the words
    assert core.leftover() == greeting + b"<data>"
    assert not core.has_bytes()
    core.receive(bytes.fromhex(HELLO))
    assert core.next_event() == SEEN


def test_only_the_last_of_several_greetings_counts() -> None:
    core = SaharaHost()
    core.receive(bytes.fromhex(HELLO * 3 + HELLO_3)[:-1])
    assert core.next_event() is None
    core.receive(bytes(1))
    assert list(drain(core)) == [SEEN_3]


def test_ten_thousand_greetings_are_one() -> None:
    core = SaharaHost()
    core.receive(bytes.fromhex(HELLO) * 10_000)
    assert list(drain(core)) == [SEEN]


@pytest.mark.parametrize(
    "leave",
    [
        lambda core: core.switch_mode(IMAGE),
        SaharaHost.restart,
        SaharaHost.reset,
        lambda core: core.hello(IMAGE),
    ],
)
def test_an_answer_that_never_came_whole_is_not_waited_for(
    leave: Callable[[SaharaHost], bytes],
) -> None:
    core = play(IDENTITY[:14], whole)  # 144 bytes are due
    core.receive(bytes(100))
    assert core.next_event() is None
    leave(core)
    core.receive(bytes.fromhex(HELLO))
    assert list(drain(core)) == [SEEN]


# --- what the device may not send


def rejected(core: SaharaHost, text: str) -> str:
    core.receive(bytes.fromhex(text))
    with pytest.raises(ProtocolError) as caught:
        list(drain(core))
    # the error is still alive, and the core goes on with what comes next
    assert not core.has_bytes()
    assert core.next_event() is None
    core.restart()
    core.receive(bytes.fromhex(HELLO))
    assert list(drain(core)) == [SEEN]
    return caught.value.message


@pytest.mark.parametrize(
    ("before", "text", "due"),
    [
        ((), "0e000000 10000000 01000000 04000000", "the greeting"),
        ((hello(IMAGE),), "06000000 0c000000 01000000", "image requests"),
        ((hello(IMAGE),), "08000000 08000000", "image requests"),
        ((hello(COMMAND),), "06000000 0c000000 01000000", "command mode"),
        ((execute(1),), "03000000 14000000 0d000000 00000000 34000000", "an answer to a command"),
        ((done,), "0b000000 08000000", "the end of the upload"),
        ((reset,), "0b000000 08000000", "a reset"),
    ],
)
def test_a_packet_that_the_phase_does_not_allow(before: Dialogue, text: str, due: str) -> None:
    name = {
        "03": "READ_DATA", "06": "DONE_RESP", "08": "RESET_RESP", "0b": "CMD_READY",
        "0e": "EXECUTE_RESP",
    }[text[:2]]  # fmt: skip
    message = rejected(play(before, whole), text)
    assert message == f"Sahara {name} came where {due} was due."


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("02000000 30000000 02000000 01000000 00000000 00000000" + ZEROS, "HELLO_RESP"),
        ("05000000 08000000", "DONE"),
        ("07000000 08000000", "RESET"),
        ("0a000000 10000000 00000000 10000000", "MEM_READ"),
        ("0c000000 0c000000 00000000", "SWITCH_MODE"),
        ("0d000000 0c000000 01000000", "EXECUTE"),
        ("0f000000 0c000000 01000000", "EXECUTE_DATA"),
        ("11000000 18000000 0000000000000000 1000000000000000", "MEM_READ64"),
        ("13000000 08000000", "RESET_STATE_MACHINE"),
    ],
)
def test_packets_of_the_host_never_come_from_the_device(text: str, name: str) -> None:
    assert rejected(SaharaHost(), text) == f"Sahara {name} came where the greeting was due."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "01000000 00000000",
            "Sahara packet 0x1 says that it is 0 bytes long; the greeting was due.",
        ),
        (
            "01000000 07000000",
            "Sahara packet 0x1 says that it is 7 bytes long; the greeting was due.",
        ),
        (
            "01000000 01040000",
            "Sahara packet 0x1 says that it is 1025 bytes long; the greeting was due.",
        ),
        (
            "4d5a9000 ffffffff",
            "Sahara packet 0x905a4d says that it is 4294967295 bytes long; the greeting was due.",
        ),
        ("14000000 08000000", "Sahara command 0x14 is not known."),
        ("04000000 0c000000 0d000000", "EndOfImage takes 8 bytes, 4 arrived."),
        ("01000000 31000000" + " 00" * 41, "Hello takes 40 bytes, 41 arrived."),
    ],
)
def test_impossible_packets(text: str, message: str) -> None:
    assert rejected(SaharaHost(), text) == message


def test_an_absurd_announcement_is_refused_before_anything_is_fetched() -> None:
    core = play(IDENTITY[:4], whole)
    message = rejected(core, "0e000000 10000000 01000000 01001000")
    assert message == "Sahara command 0x1 announces 1048577 bytes."


def test_endless_xml_is_an_error() -> None:
    core = SaharaHost()
    core.receive(b"<?xml" + bytes(host.MAX_GREETING_BYTES - 5))
    assert core.next_event() == ProgrammerSpeaks()
    core.receive(b"x")
    with pytest.raises(ProtocolError, match="1048577 bytes of XML came; the greeting was due"):
        core.next_event()
    assert not core.has_bytes()


def test_phases_follow_the_conversation() -> None:
    core = SaharaHost()
    phases = [core.phase]
    for row in IDENTITY[:8]:
        if isinstance(row, Sent):
            row.act(core)
        else:
            core.receive(bytes.fromhex(row.text))
            list(drain(core))
        phases.append(core.phase)
    assert phases == [
        Phase.START, Phase.START, Phase.COMMAND_WANTED, Phase.COMMAND, Phase.COMMAND,
        Phase.COMMAND, Phase.ANSWER, Phase.COMMAND, Phase.COMMAND,
    ]  # fmt: skip
