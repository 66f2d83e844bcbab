# SPDX-License-Identifier: BSD-3-Clause
"""Documents of programmers: frames, junk, and what logs may hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from edl.errors import ProtocolError
from edl.firehose import host
from edl.firehose.host import Event, FirehoseHost, Junk, Log, Response, clean

# Frames as four real programmers sent them (executed; real-programmer notes §2.1)
PROLOG = '<?xml version="1.0" encoding="UTF-8" ?>'
FRAMES = {
    1: (PROLOG + "<data><{}/></data>", " "),
    2: (PROLOG + "\n<data>\n<{}/>\n</data>", ""),
    3: (PROLOG + "\n<data>\n<{}/></data>", " "),
}


def log(text: str, generation: int = 3) -> bytes:
    frame, blank = FRAMES[generation]
    return frame.format(f'log value="{text}"{blank}').encode("utf-8", "surrogateescape")


def response(attributes: str, generation: int = 3) -> bytes:
    return FRAMES[generation][0].format(f"response {attributes} ").encode()


ACK = response('value="ACK" rawmode="false"')
YES = Response(ack=True, rawmode=False, attributes={"value": "ACK", "rawmode": "false"})


def drain(core: FirehoseHost) -> Iterator[Event]:
    while (event := core.next_event()) is not None:
        yield event


def heard(pieces: Iterable[bytes], *, whole_transfers: bool = False) -> list[Event]:
    """Return the events of a conversation that only the device leads."""
    core = FirehoseHost()
    events: list[Event] = []
    for piece in pieces:
        core.receive(piece, whole_transfer=whole_transfers)
        events += drain(core)
    return events


def silent(events: Iterable[Event]) -> list[Event]:
    """Return events without junk, which may come in any number of pieces."""
    return [event for event in events if not isinstance(event, Junk)]


def every_way(data: bytes) -> list[Event]:
    """Return the events of data, which must be the same wherever it is cut."""
    events = heard([data])
    ways = [[data[:at], data[at:]] for at in range(1, len(data))]
    ways.append([bytes([byte]) for byte in data])
    for way in ways:
        assert silent(heard(way)) == silent(events)
    assert heard([data], whole_transfers=True) == events
    return events


@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize(
    "inside",
    [
        'log value="Calling handler for program"', 'log value="  it\'s \t odd &lt; \xe4 "',
        'log value="quoted "word" /> here"', 'log value=""', "log VALUE='x'", 'log value="a" b="c"',
        'response value="ACK"', 'response value="NAK" rawmode="false"', 'response value="ack"',
        'response value="ACK" rawmode="TRUE"', 'response rawmode="true" value="ACK"',
        'response value="ACK" rawmode="true" more="1"', 'nop value="1"',
    ],
)  # fmt: skip
def test_what_nearly_every_transfer_is_means_the_same_in_pieces(
    inside: str, generation: int
) -> None:
    """Whole transfers that are plain take a shorter way through; pieces of them never do."""
    frame, blank = FRAMES[generation]
    data = frame.format(inside + blank).encode()
    whole = heard([ACK, data, ACK], whole_transfers=True)
    assert silent(whole) == silent(heard([ACK, data[:30], data[30:], ACK]))
    assert silent(whole)[0] == silent(whole)[-1] == YES


# --- frames


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_documents_of_three_generations(generation: int) -> None:
    data = (
        log("logbuf@0x0801CDF0 fh@0x08019C58", generation)
        + response('value="ACK"', generation)
        + response('value="NAK" rawmode="false" AttemptRetry="1"', generation)
    )
    assert every_way(data) == [
        Log("logbuf@0x0801CDF0 fh@0x08019C58"),
        Response(ack=True, rawmode=None, attributes={"value": "ACK"}),
        Response(
            ack=False,
            rawmode=False,
            attributes={"value": "NAK", "rawmode": "false", "AttemptRetry": "1"},
        ),
    ]
    core = FirehoseHost()
    assert core.generation_hint is None
    core.receive(data, whole_transfer=False)
    core.next_event()
    assert core.generation_hint == generation


@pytest.mark.parametrize(
    "data",
    [
        # written like this by a tool in bkerler/edl#108; the programmer was one of generation 1
        b'<?xml version="1.0" encoding="UTF-8" ?>\n<data><log value="a" /></data>',
        b'<?xml version="1.0" encoding="UTF-8" ?><data>\n<log value="a" /></data>',
        b'<?xml version="1.0" encoding="UTF-8" ?>\r\n<data>\r\n<log value="a" /></data>',
    ],
)
def test_an_unknown_frame_is_treated_with_the_care_that_generation_1_needs(data: bytes) -> None:
    core = FirehoseHost()
    core.receive(data, whole_transfer=True)
    assert list(drain(core)) == [Log("a")]
    assert core.generation_hint == 1


def test_the_first_whole_document_tells_the_generation() -> None:
    core = FirehoseHost()
    core.receive(ACK[30:] + ACK + log("x", 1), whole_transfer=False)
    list(drain(core))
    assert core.generation_hint == 3


def test_a_document_without_its_prolog_is_understood() -> None:
    """The beginning may be lost (an overflow), and linux-msm/qdl 62464e4 shows such logs."""
    data = b"""ng="UTF-8" ?>\n<data>
<log value="ERROR: Hash of data doesn't match the expected hash 179" />
</data>
<data>
<log value="INFO: Expected hash (32)" /></data>"""
    assert silent(every_way(data)) == [
        Log("ERROR: Hash of data doesn't match the expected hash 179"),
        Log("INFO: Expected hash (32)"),
    ]


def test_several_elements_in_one_document() -> None:
    data = (
        PROLOG + '<data>\n<log value="one" />\n<log value="two"/><response value="ACK" />'
        '<log value="three"></log>\n<response value="NAK"></response>\n</data>'
    ).encode()
    assert every_way(data) == [
        Log("one"),
        Log("two"),
        Response(ack=True, rawmode=None, attributes={"value": "ACK"}),
        Log("three"),
        Response(ack=False, rawmode=None, attributes={"value": "NAK"}),
    ]


def test_documents_without_log_and_response_are_passed_over() -> None:
    data = (PROLOG + '<data><foo bar="1" /></data>').encode()
    assert every_way(data + PROLOG.encode() + b"<data></data>" + ACK) == [YES]


@pytest.mark.parametrize(
    ("text", "ack", "rawmode", "attributes"),
    [
        ('value="ACK" rawmode="true"', True, True, {"value": "ACK", "rawmode": "true"}),
        ('RawMode="TRUE" Value="ack"', True, True, {"RawMode": "TRUE", "Value": "ack"}),
        ('rawmode="false" value=" NAK "', False, False, {"rawmode": "false", "value": "NAK"}),
        ('\nvalue = "ACK"\nrawmode\t=\t"true"\n', True, True, {"value": "ACK", "rawmode": "true"}),
        ('rawmode="true"', False, True, {"rawmode": "true"}),
        ('value="ACKNOWLEDGED"', False, None, {"value": "ACKNOWLEDGED"}),
        ('value=""', False, None, {"value": ""}),
        # the last of two counts; an attribute may hold quotes and signs
        ('value="NAK" VALUE="ACK"', True, None, {"VALUE": "ACK"}),
        (
            'value="ACK" DateTime="Jun  9 2018 - 18:19" Name="12" disk" A-b.c:d="&lt;&amp;quot;"',
            True,
            None,
            {
                "value": "ACK",
                "DateTime": "Jun  9 2018 - 18:19",
                "Name": '12" disk',
                "A-b.c:d": "<&quot;",
            },
        ),
        ('value="ACK" P="\x1b[31mred\x07"', True, None, {"value": "ACK", "P": "[31mred"}),
        ('value="ACK" stray words', True, None, {}),
    ],
)  # fmt: skip
def test_responses(
    text: str, rawmode: bool | None, attributes: dict[str, str], *, ack: bool
) -> None:
    data = response(text)
    if not attributes:  # what is behind the last quote belongs to nothing
        assert silent(heard([data, ACK])) == [YES]
    else:
        assert every_way(data) == [Response(ack, rawmode, attributes)]


# --- logs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("INFO: Binary build date: Mar 16 2022 @ 11:57:42\n", None),
        ("two\nlines\r\n", "two lines"),
        ("Host's payload & <size> = 'large'", None),
        ("Expected a &lt; character at loc 0", "Expected a < character at loc 0"),
        ("{&quot;a&quot;: &quot;b&quot;}", '{"a": "b"}'),
        ("&amp;lt; once only &#48; &nbsp;", "&lt; once only &#48; &nbsp;"),
        ("cut in an entity &quo", None),
        ('{"storage_info": {"total_blocks":1}}', None),
        ('she said "no"', None),
        ('"', None),
        ("closing </data> inside", None),
        ("an end /> inside, and </log> too", None),
        ("<nop /></data>", None),
        ("tag 'data\n<nop' is unknown", "tag 'data <nop' is unknown"),
        ("value=5 a=b", None),
        ("\x1b[2J\x1b]0;title\x07\x9b31m", "[2J ]0;title  31m"),
        ("left\u202eright\u2066 \u200fmark \u2028line\u00a0\ufeff", "left right   mark  line"),
        ("Z\u00e4hler \u5c0f\u5929\u624d", None),
        ("bytes \udcff\udcfe", "bytes \ufffd\ufffd"),
        ("strewn\udcf0\udce9\udc88\x14in", "strewn in"),
        ("a\x00b", "a b"),
    ],
)
def test_log_texts(text: str, shown: str | None) -> None:
    data = log(text) + ACK
    assert every_way(data) == [Log(text.strip() if shown is None else shown), YES]


def test_a_log_without_a_value_is_shown_as_it_is() -> None:
    assert every_way(b'<?xml ?><data><log text="a"/></data>') == [Log('text="a"')]


@pytest.mark.parametrize(
    "echo",
    [
        PROLOG + '<data><nop value="ping" /></data>',
        PROLOG + '\n<data>\n<configure MemoryName="ufs" />\n</data>\n',
        '<data><response value="ACK" rawmode="true" /></data>',
        '<response value="ACK" rawmode="true" />',
        '<log value="ACK" /></data>',
    ],
)
def test_an_echo_in_a_log_is_no_answer(echo: str) -> None:
    """What follows the quoted end is lost; nothing is made of it, and the answer is found."""
    events = silent(every_way(log(f"ERROR: bad XML: {echo} at 7") + ACK))
    assert len(events) == 2
    assert isinstance(events[0], Log)
    assert events[0].text.startswith("ERROR: bad XML: <")
    assert events[1] == YES


@pytest.mark.parametrize(
    ("cut", "shown"),
    [
        (log("ERROR: cut off")[:-14], [Log("ERROR: cut")]),
        (log("ERROR: cut off")[:-7], [Log("ERROR: cut off")]),
        (log("ERROR: cut off")[:-2], [Log('ERROR: cut off" /></dat')]),
        (log("x")[:60], [Log("x")]),
        (log("x")[:30], []),
        (ACK[:-20], []),
        (ACK[:-4], []),
        (ACK[:-7], [YES]),
        (log("one") + log("two")[:-10], [Log("one"), Log("two")]),
    ],
)
def test_a_document_that_was_cut_short_does_not_swallow_the_next(
    cut: bytes, shown: list[Event]
) -> None:
    assert every_way(cut + log("next") + ACK) == [*shown, Log("next"), YES]


def test_cleaning_keeps_what_can_be_read() -> None:
    assert clean("\t a  b\x7f\x85c\u200b ") == "a  b  c"


# --- junk


@pytest.mark.parametrize(
    "junk",
    [
        b"</xml>",  # Oplus: bkerler/edl#439
        b"\xf0\xe9\x88\x14",  # bkerler/edl xmlparser.py
        b"READ_DATA <? <?x data> <dat.",
        b"\0\0garbage\0",
    ],
)
def test_junk_between_documents_is_reported_and_passed_over(junk: bytes) -> None:
    data = junk + log("a") + junk + ACK + junk
    events = every_way(data)
    assert silent(events) == [Log("a"), YES]
    found = b"".join(event.data for event in events if isinstance(event, Junk))
    assert found.replace(b"\0", b"") == junk.replace(b"\0", b"") * 3


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\0" * 40, b" \t"])
def test_blanks_between_documents_are_nothing(blank: bytes) -> None:
    assert every_way(blank + log("a") + blank + ACK + blank) == [Log("a"), YES]


@pytest.mark.parametrize("noise", [b"\xf0\xe9\x88\x14", b"\0", b"\r\n"])
def test_noise_between_the_tags_of_a_document(noise: bytes) -> None:
    data = ACK.replace(b">", b">" + noise).replace(b" />", noise + b"/>")
    assert silent(every_way(data)) == [YES]


# --- bounds


def test_a_document_has_a_limit() -> None:
    limit = host.MAX_DOCUMENT_BYTES
    fits = log("x" * (limit - len(log(""))))
    assert len(fits) == limit
    assert [type(event) for event in heard([fits + ACK])] == [Log, Response]
    begun = f'{PROLOG}<data>\n<log value="'.encode()
    assert silent(heard([begun + b"x" * (limit + 8192) + b'" /></data>' + ACK])) == [YES]


def test_old_sectors_that_hold_xml_are_junk() -> None:
    """A client that was killed in the middle of a read leaves them in the pipe."""
    sectors = (PROLOG + "<resources><string>a</string></resources>").encode().ljust(512, b"\0")
    for data in (sectors * 1000, sectors.ljust(1 << 17, b"x")):
        for way in ([data, ACK], [data + ACK], [data[:70_000], data[70_000:] + ACK[:30], ACK[30:]]):
            events = heard(way)
            assert silent(events) == [YES]
            dropped = sum(len(event.data) for event in events if isinstance(event, Junk))
            assert dropped > len(data) - host.MAX_DOCUMENT_BYTES - 8192


def test_beginnings_without_an_end_are_junk() -> None:
    pieces = [PROLOG.encode() * 100] * 40
    assert silent(heard(pieces, whole_transfers=True)) == []
    assert silent(heard([*pieces, ACK], whole_transfers=True)) == [YES]
    with pytest.raises(ProtocolError, match="bytes that are no answer"):
        heard(pieces * 200)


@pytest.mark.parametrize("byte", [b"\0", b"j"])
def test_endless_junk_is_an_error(byte: bytes) -> None:
    core = FirehoseHost()
    piece = byte * (1 << 20)
    for _ in range(host.MAX_JUNK_BYTES >> 20):
        core.receive(piece, whole_transfer=True)
        list(drain(core))
    core.receive(ACK, whole_transfer=True)  # counts anew behind a document
    assert list(drain(core)) == [YES]
    for _ in range(host.MAX_JUNK_BYTES >> 20):
        core.receive(piece, whole_transfer=True)
        list(drain(core))
    core.receive(byte, whole_transfer=True)
    with pytest.raises(ProtocolError, match="The phone sent 16777217 bytes that are no answer"):
        core.next_event()
    core.receive(ACK, whole_transfer=True)
    assert list(drain(core)) == [YES]


def test_many_documents_in_one_piece() -> None:
    events = heard([log("x") * 10_000 + ACK])
    assert events == [Log("x")] * 10_000 + [YES]


def test_hostile_documents_take_no_time_to_speak_of() -> None:
    """Each of these took minutes with patterns that go back."""
    size = host.MAX_DOCUMENT_BYTES - 200
    for inside in (
        "<log " * (size // 5) + 'value="x"',
        "<response " + "a" * size + '="x"',
        "<response " + 'a="x' * (size // 4) + '"',
        '<log value="' + " " * size + '"',
        '<log value="' + '" ' * (size // 2) + '"',
        "<log value" + " " * size + '="x"',
        "<response value" + " " * size + '="x"',
        "<response " + "a " * (size // 2) + 'b="x"',
    ):
        assert 0 < len(heard([f"{PROLOG}<data>{inside} /></data>".encode()])) < 10


# --- use


def test_everything_must_be_taken_before_more_arrives() -> None:
    core = FirehoseHost()
    core.receive(ACK + ACK, whole_transfer=False)
    assert core.next_event() == YES
    with pytest.raises(RuntimeError, match="drained"):
        core.receive(ACK, whole_transfer=False)
    assert core.next_event() == YES
    core.receive(ACK, whole_transfer=False)


def test_what_is_forgotten_is_gone() -> None:
    core = FirehoseHost()
    core.receive(ACK[:50], whole_transfer=False)
    assert core.next_event() is None
    core.forget()
    core.receive(ACK + log("a"), whole_transfer=False)
    assert core.next_event() == YES
    core.forget()
    assert core.next_event() is None
