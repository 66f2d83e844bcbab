# SPDX-License-Identifier: BSD-3-Clause
"""What holds for everything that a device may send, and for everything that we send."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edl.errors import ProtocolError
from edl.firehose import commands, host, loglines
from edl.firehose.answers import (
    parse_configuration,
    parse_digest,
    parse_greeting,
    parse_storage_info,
)
from edl.firehose.commands import Area, Power
from edl.firehose.host import FirehoseHost, Junk, Log, RawData, Response
from edl.formats.xml import read_document
from edl.sahara import packets
from edl.sahara.host import (
    MAX_ANSWER_BYTES,
    MAX_GREETING_BYTES,
    AnswerAnnounced,
    HelloSeen,
    SaharaHost,
)
from edl.sahara.host import Event as SaharaEvent
from edl.sahara.identity import chip_id, hwid, pk_hash, serial_number
from edl.sahara.packets import Command, Mode, SaharaPacket
from edl.sahara.status import Status, words

# No clock decides: a busy machine makes no test fail.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Return data in pieces, cut at places."""
    borders = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(borders)]


PLACES = st.lists(st.integers(0, 1 << 20), max_size=40)


# --- Sahara


@st.composite
def sahara_packets(draw: st.DrawFn) -> SaharaPacket:
    kind = draw(st.sampled_from(sorted(packets._BY_COMMAND.values(), key=lambda k: k.COMMAND)))
    values: list[Any] = []
    for code in re.findall(r"\d*[A-Za-z]", kind._struct.format):
        if code.endswith("s"):
            values.append(draw(st.binary(min_size=int(code[:-1]), max_size=int(code[:-1]))))
        else:
            values.append(draw(st.integers(0, 8) | (U32 if code == "I" else U64)))
    enums = zip(kind._enums, values, strict=True)
    return kind(*(known(value) if known else value for known, value in enums))


@untimed
@given(sahara_packets())
def test_packets_are_read_as_they_were_written(packet: SaharaPacket) -> None:
    data = packet.to_bytes()
    again = packets.parse(data)
    assert again == packet
    assert again.to_bytes() == data


@untimed
@given(U32)
def test_every_status_has_words(number: int) -> None:
    text = words(Status(number))
    assert f"{number:#04x}" in text
    assert text.isprintable()


@untimed
@given(st.binary(max_size=200))
def test_answers_of_a_boot_rom_may_be_anything(answer: bytes) -> None:
    assert (serial_number(answer) is None) == (len(answer) < 4)
    assert (hwid(answer) is None) == (len(answer) < 8)
    chip = chip_id(answer)
    assert chip is None or chip.hwid < 2**64
    key = pk_hash(answer)
    assert (key is None) == (not any(answer))
    assert key is None or answer.startswith(key)


def received(core: SaharaHost) -> Iterator[SaharaEvent]:
    while (event := core.next_event()) is not None:
        yield event


def conversation(pieces: Iterable[bytes]) -> tuple[list[SaharaEvent], str]:
    """Return the events until the first error, and the error's message."""
    core = SaharaHost()
    core.hello(Mode.IMAGE_PENDING)
    events: list[SaharaEvent] = []
    try:
        for piece in pieces:
            core.receive(piece)
            events.extend(received(core))  # what came before an error is kept
    except ProtocolError as error:
        return events, error.message
    return events, ""


def latest_greetings(events: list[SaharaEvent]) -> list[SaharaEvent]:
    """Return events with one greeting where several come in a row: the last."""
    runs = (list(run) for _, run in groupby(events, lambda event: isinstance(event, HelloSeen)))
    return [event for run in runs for event in (run[-1:] if isinstance(run[0], HelloSeen) else run)]


@untimed
@given(st.lists(sahara_packets(), max_size=8), PLACES)
def test_sahara_does_not_depend_on_where_the_bytes_are_cut(
    sent: list[SaharaPacket], places: list[int]
) -> None:
    data = b"".join(packet.to_bytes() for packet in sent)
    whole, error = conversation([data])
    events, other_error = conversation(cut(data, places))
    assert (latest_greetings(events), other_error) == (latest_greetings(whole), error)


def act(core: SaharaHost, number: int, value: int) -> bytes:
    """Do what a host may do at any time."""
    match number:
        case 0:
            return core.hello(Mode(value % 6))
        case 1:
            return core.execute(value)
        case 2:
            return core.fetch(AnswerAnnounced(value, value % (MAX_ANSWER_BYTES + 1)))
        case 3:
            return core.switch_mode(Mode(value % 6))
        case 4:
            return core.leftover()
        case _:
            return (core.done, core.reset, core.restart)[number % 3]()


NOISE = st.one_of(
    st.binary(max_size=100),
    sahara_packets().map(lambda packet: packet.to_bytes()),
    st.builds(
        lambda command, length, body: (
            int(command).to_bytes(4, "little") + length.to_bytes(4, "little") + body
        ),
        st.sampled_from(Command),
        st.integers(0, 0x401),
        st.binary(max_size=0x40),
    ),
    st.sampled_from([b"<?xml", b'<?xml version="1.0" ?><data>', bytes(70_000), b"\x7e"]),
)


@untimed
@given(st.lists(NOISE | st.tuples(st.integers(0, 7), U32), max_size=30))
def test_sahara_survives_anything(steps: list[bytes | tuple[int, int]]) -> None:
    core = SaharaHost()
    for step in steps:
        if isinstance(step, tuple):
            assert isinstance(act(core, *step), bytes)
            continue
        core.receive(step)
        with contextlib.suppress(ProtocolError):
            assert None not in list(received(core))
        assert len(core._buffer) <= MAX_GREETING_BYTES


@untimed
@given(st.lists(NOISE, min_size=1, max_size=6), st.integers(2, 5))
def test_sahara_never_collects_without_end(pieces: list[bytes], times: int) -> None:
    """However long a device goes on, what is kept has a limit, and an error ends it."""
    core = SaharaHost()
    for piece in pieces * times * 20:
        core.receive(piece)
        try:
            assert sum(1 for _ in received(core)) <= len(piece) // 8 + 100
        except ProtocolError:
            return
        assert len(core._buffer) <= max(MAX_GREETING_BYTES, packets.MAX_PACKET_BYTES + 8)


# --- Firehose: what comes

PROLOGS = st.sampled_from(
    [
        '<?xml version="1.0" encoding="UTF-8" ?><data>',
        '<?xml version="1.0" encoding="UTF-8" ?>\n<data>\n',
        "<data>",
    ]
)
# log texts with everything that could be taken for the end of one, or for an answer
NASTY = st.lists(
    st.sampled_from(
        [
            '"', " ", "/>", "</data>", "<data>", "<log ", 'value="', "<response ", "ACK", "<?xml",
            " ?>", "&quot;", "&", "\n", "\0", "\x1b[2J", "x", "\u00e4", ">", "</log>",
            'rawmode="true"', "<nop", '<?xml version="1.0" ?>',
        ]
    ),
    max_size=8,
).map("".join)  # fmt: skip
LOGS = st.builds('{}<log value="{}" /></data>'.format, PROLOGS, st.text(max_size=20) | NASTY)
ANSWERS = st.builds(
    '{}<response value="{}" rawmode="false" />{}</data>'.format,
    PROLOGS,
    st.sampled_from(["ACK", "NAK"]),
    st.sampled_from(["", "\n", "\0", "\r\n \t"]),
)
STRAY = st.sampled_from(
    [b"</xml>", b"\xf0\xe9\x88\x14", b"\0\0", b"\n", b"<?x", b"<dat", b'" /></data>', b"<", b'"']
)
TRAFFIC = st.lists(
    st.one_of(
        LOGS.map(lambda text: text.encode("utf-8", "replace")),
        ANSWERS.map(str.encode),
        STRAY,
        st.binary(max_size=30),
    ),
    max_size=8,
)


def heard(core: FirehoseHost, pieces: Iterable[bytes], *, whole: bool = False) -> list[host.Event]:
    """Return what core hears, without junk, which may come in any number of pieces."""
    events: list[host.Event] = []
    for piece in pieces:
        core.receive(piece, whole_transfer=whole)
        while (event := core.next_event()) is not None:
            if not isinstance(event, Junk):
                events.append(event)
    return events


@untimed
@given(TRAFFIC, PLACES)
def test_firehose_does_not_depend_on_where_the_bytes_are_cut(
    traffic: list[bytes], places: list[int]
) -> None:
    data = b"".join(traffic)
    events = heard(FirehoseHost(), [data])
    assert heard(FirehoseHost(), cut(data, places)) == events
    assert heard(FirehoseHost(), [data], whole=True) == events
    assert heard(FirehoseHost(), [data[at : at + 1] for at in range(len(data))]) == events


@untimed
@given(TRAFFIC)
def test_the_answer_is_found_behind_anything(traffic: list[bytes]) -> None:
    """A beginning that never ends may hide one document, not two."""
    answer = b'<?xml version="1.0" encoding="UTF-8" ?>\n<data>\n<response value="ACK" /></data>'
    events = heard(FirehoseHost(), [*traffic, answer, answer])
    assert events[-1:] == [Response(ack=True, rawmode=None, attributes={"value": "ACK"})]


@untimed
@given(TRAFFIC)
def test_what_is_logged_may_be_shown_on_a_terminal(traffic: list[bytes]) -> None:
    for event in heard(FirehoseHost(), traffic, whole=True):
        if isinstance(event, Log):
            assert event.text.isprintable()
        elif isinstance(event, Response):
            assert all(text.isprintable() for text in event.attributes.values())


@untimed
@given(NASTY)
def test_a_log_is_no_answer(text: str) -> None:
    """Unless it holds the end of its own element, and the beginning of an answer behind it."""
    document = f'<?xml version="1.0" ?><data><log value="{text}" /></data>'
    events = heard(FirehoseHost(), [document.encode()])
    if not re.search(r"(/>|></log>).*<response", text, re.DOTALL) and "?>" not in text:
        assert {type(event) for event in events} == {Log}


@st.composite
def reads(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Return the transfers of some reads with all data, and the data."""
    stream, expected = b"", []
    for _ in range(draw(st.integers(1, 4))):
        sectors = draw(st.integers(0, 3))
        piece = draw(
            st.binary(max_size=64) | LOGS.map(lambda text: text.encode("utf-8", "replace"))
        )
        data = (piece * (sectors * 512 // max(len(piece), 1) + 1)).ljust(sectors * 512, b"\0")
        # the one thing that is taken for the tail of the answer before it
        expected.append(data[: sectors * 512].replace(b"</xml>", b"<xml/>"))
        stream += b'<?xml ?><data><log value="x" /></data>'
        stream += b'<?xml ?><data><response value="ACK" rawmode="true" /></data>'
        stream += expected[-1] + b'<?xml ?><data><response value="ACK" rawmode="false" /></data>'
    return stream, expected


@untimed
@given(reads(), PLACES)
def test_raw_data_comes_out_as_it_went_in(
    case: tuple[bytes, list[bytes]], places: list[int]
) -> None:
    stream, expected = case
    core = FirehoseHost()
    found: list[bytes] = []
    for piece in cut(stream, places):
        core.receive(piece, whole_transfer=False)
        while (event := core.next_event()) is not None:
            assert not isinstance(event, Junk)
            if isinstance(event, RawData):
                found[-1] += bytes(event.data)
            elif isinstance(event, Response) and event.rawmode:
                found.append(b"")
                core.expect_raw(len(expected[len(found) - 1]), 512)
    assert found == expected
    assert core.raw_left == 0


@untimed
@given(
    steps=st.lists(
        TRAFFIC.map(b"".join)
        | st.sampled_from([bytes(512), bytes(4096), b"x" * 70_000, b"<?xml" * 4000])
        | st.tuples(st.integers(0, 3), st.integers(0, 5000)),
        max_size=20,
    ),
    whole=st.booleans(),
)
def test_firehose_survives_anything(steps: list[bytes | tuple[int, int]], *, whole: bool) -> None:
    core = FirehoseHost()
    for step in steps:
        if isinstance(step, bytes):
            with contextlib.suppress(ProtocolError):
                while core.next_event():  # of what the host put back when it expected raw data
                    pass
                heard(core, [step], whole=whole)
        elif step[0] == 0:
            core.expect_raw(step[1] * 512, 4096)
        elif step[0] == 1:
            core.expect_answer_or_raw(step[1] * 512, 512)
        elif step[0] == 2:
            core.end_raw()
        else:
            core.expect_raw(step[1], 512)
        assert core.raw_left >= 0
        assert len(core._text) <= host.MAX_DOCUMENT_BYTES


# --- Firehose: what it means

LINES = st.lists(
    st.text(max_size=60)
    | st.sampled_from(
        [
            "INFO: Supported Functions (3):", "INFO: read", "End of supported functions",
            "Supported Functions: a b", "Chip serial num: 5 (0x5)", "Binary build date: now",
            "num_partition_sectors=5", "Device Total Physical Partitions: 0x6", "MFR_ID=",
            '{"storage_info": {}}', '"storage_info"', "Digest " + "ab" * 32, "logbuf@0x0",
        ]
    )
    | st.builds(
        lambda fields: json.dumps({"storage_info": fields}),
        st.dictionaries(
            st.sampled_from(["total_blocks", "block_size", "page_size", "mem_type", "prod_name"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
            | st.sampled_from(["NAND", "ufs", "4096", 512, 131072]) | st.lists(st.integers()),
        ),
    ),
    max_size=8,
)  # fmt: skip


@untimed
@given(LINES, st.dictionaries(st.text(max_size=20), st.text(max_size=80), max_size=4))
def test_whatever_a_programmer_says_has_a_meaning_or_none(
    lines: list[str], attributes: dict[str, str]
) -> None:
    response = Response(ack=True, rawmode=None, attributes=attributes)
    greeting = parse_greeting(lines, None)
    assert greeting.generation in {None, 1, 2, 3}
    info = parse_storage_info(lines)
    assert info.sector_bytes in {None, 512, 1024, 2048, 4096, 8192}
    assert info.luns is None or 1 <= info.luns <= 32
    assert info.sectors is None or 0 <= info.sectors <= 2**44
    assert info.memory in {None, "emmc", "ufs", "nand", "nvme", "spinor"}
    for said in (info.product, info.firmware):
        assert said is None or len(said) <= 80
    digest = parse_digest(lines, response)
    assert digest is None or len(digest) == 32
    configuration = parse_configuration(response)
    assert 0 <= configuration.payload_bytes < 10**11
    meaning = loglines.explain(lines)
    assert meaning is None or meaning.text
    assert loglines.right_sector_bytes(lines) is None


# --- Firehose: what we send

AREAS = st.builds(
    Area,
    lun=st.integers(0, 255),
    start_sector=U64,
    sectors=U64,
    sector_bytes=st.sampled_from([512, 2048, 4096]),
)
VALUES = st.text(st.sampled_from("abcNUM_DISK-+*/.,() 0123456789"), max_size=80)
COMMANDS = st.one_of(
    st.builds(
        commands.configure,
        st.sampled_from(["emmc", "ufs", "nand", "spinor", "nvme"]),
        st.integers(512, 1 << 28),
        zlp=st.booleans(),
        skip_storage=st.booleans(),
    ),
    st.just(commands.nop()),
    st.builds(commands.get_storage_info, st.integers(0, 255)),
    st.builds(commands.program, AREAS, st.text(max_size=70)),
    st.builds(commands.read, AREAS),
    st.builds(commands.erase, AREAS),
    st.builds(commands.sha256, AREAS),
    st.builds(
        commands.patch, st.integers(0, 255), U64, st.sampled_from([512, 4096]),
        st.integers(0, 4095), st.integers(1, 8), VALUES,
    ),
    st.builds(commands.set_bootable, st.integers(0, 255)),
    st.builds(commands.power, st.sampled_from(Power), st.integers(0, 3600)),
)  # fmt: skip
SAFE_FORM = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8" \?><data><[a-z0-9]{1,30}'
    rb"(?: [A-Za-z_]\w*=\"[ !#-%(-;=?-~]{0,80}\")+ /></data>\n?"
)


@untimed
@given(COMMANDS)
def test_every_command_has_the_form_that_all_programmers_take(data: bytes) -> None:
    """One command, one space before each attribute and before the end, plain characters; shorter
    than the programmer's buffer, and never so long that it fills its last USB packet."""
    assert SAFE_FORM.fullmatch(data)
    assert len(data) < 4096
    assert len(data) % 512 != 0
    assert data.endswith(b"\n") == ((len(data) - 1) % 512 == 0)


@untimed
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_]{1,12}", fullmatch=True), VALUES | U64, min_size=1,
                    max_size=70),
)  # fmt: skip
def test_documents_say_what_was_meant(attributes: dict[str, str | int]) -> None:
    try:
        data = commands.document("nop", attributes)
    except ValueError:
        assert sum(len(f' {name}="{value}"') for name, value in attributes.items()) > 3900
        return
    assert SAFE_FORM.fullmatch(data)
    assert len(data) % 512
    (element,) = read_document(data, "nop").root.children
    assert element.tag == "nop"
    assert element.attributes == {name: str(value) for name, value in attributes.items()}


@untimed
@given(st.text(min_size=1, max_size=100))
def test_a_value_is_sent_as_it_is_or_not_at_all(value: str) -> None:
    plain = len(value) <= 80 and re.fullmatch(r"[ -~]*", value) and not set(value) & set("\"<>&'")
    if not plain:
        with pytest.raises(ValueError, match="cannot be sent"):
            commands.document("patch", {"value": value})
        return
    data = commands.document("patch", {"value": value})
    assert f'value="{value}"'.encode() in data
    assert SAFE_FORM.fullmatch(data)
