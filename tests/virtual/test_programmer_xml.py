# SPDX-License-Identifier: BSD-3-Clause
"""What the programmers take for XML: real-programmer.md 2.3 and 3, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edl.virtual.programmer import Board
from edl.virtual.storage import emmc
from tests.virtual.dialogue import (
    ACK,
    ACK3,
    CONFIGURE,
    GENERATION,
    KINDS,
    NAK,
    NAK3,
    PROLOG,
    Talk,
    doc,
    short,
    talk_to,
)

COMMAND = '<setbootablestoragedrive value="0" />'
OK = {
    1: ["L[Set bootable drive to 0.]", ACK],
    2: [ACK],
    3: ["L[INFO: Using scheme of value= 0]", ACK3],
}
INVALID1 = ["L[XML (0 bytes) not validated]", NAK]
UNKNOWN3 = ["L[ERROR: Failed to run the last command -1]"]
PARSE3 = ["L[ERROR: Failed to parse xml, error at offset N]", *UNKNOWN3]
NO_EQUALS2 = ["L[XML not formed correctly. Could not find '=' character]", NAK]


def answers(talk: Talk, document: str) -> list[str]:
    """Return the answers, without the offset of a parse error: the document does not tell it."""
    texts = short(talk.send(document.encode("latin-1")))
    start = "L[ERROR: Failed to parse xml, error at offset "
    return [f"{start}N]" if text.startswith(start) else text for text in texts]


LOG2 = "L[**WARNING Ignoring Unrecognized tag '{}']"
QUOTE2 = "L[XML not formed correctly. Expected one &quot; character at loc {}]"

# what is sent: the answers of generations 1, 2 and 3
TABLE = {
    "safe form": (doc(COMMAND), OK[1], OK[2], OK[3]),
    # It says "NAK `XML (%d bytes) not validated`" | "Unrecognized tag 'data'` NAK" | "ok"
    "no prolog": (
        f"<data>{COMMAND}</data>",
        INVALID1,
        [LOG2.format("data"), NAK],
        OK[3],
    ),
    # It says "ok" | "error logs `ERROR: Either closing tag is bigger than 4096 bytes, …`" | "no
    # response"
    "no data": (
        PROLOG + COMMAND,
        OK[1],
        ["L[ERROR: Either closing tag is bigger than 4096 bytes, or it is missing]", NAK],
        PARSE3,
    ),
    "patches": (f"{PROLOG}<patches>{COMMAND}</patches>", OK[1], OK[2], PARSE3),
    "newline before the prolog": ("\n" + doc(COMMAND), OK[1], OK[2], OK[3]),
    "indentation": (
        f"{PROLOG}\n<data>\n  {COMMAND}\n</data>\n",
        OK[1],
        OK[2],
        OK[3],
    ),
    "newlines between attributes": (
        doc('<setbootablestoragedrive a="1"\n\tvalue="0"\n/>'),
        OK[1],
        OK[2],
        OK[3],
    ),
    # It says "ok" | "`ERROR: The XML TAG is too long (44 chars) only 30 chars allowed` NAK" |
    # "no response"
    "newline after the tag": (
        doc('<getstorageinfo\nphysical_partition_number="9" />'),
        ["L[Invalid physical partition 9]", NAK],
        ["L[ERROR: The XML TAG is too long (44 chars) only 30 chars allowed]", NAK],
        UNKNOWN3,
    ),
    # It says "all executed, one response each" | "first only" | "first only"
    "several commands": (doc(COMMAND + COMMAND), OK[1] * 2, OK[2], OK[3]),
    # It says "ok" | "`**WARNING Ignoring Unrecognized tag 'nop/'` NAK" | "errors, no response"
    "no space and no attribute": (
        doc("<nop/>"),
        [ACK],
        [LOG2.format("nop/"), NAK],
        PARSE3,
    ),
    "no space before the end": (doc(COMMAND.replace(" />", "/>")), OK[1], OK[2], OK[3]),
    # It says "NAK not validated" | "depends on the stale tail" | "parse error, no response"
    "end tag": (
        doc('<setbootablestoragedrive value="0"></setbootablestoragedrive>'),
        INVALID1,
        OK[2],
        PARSE3,
    ),
    # It says "NAK not validated" | "Expected one &quot; character at loc 87` NAK" | "no response"
    "single quotes": (
        doc("<getstorageinfo physical_partition_number='0' />"),
        INVALID1,
        [QUOTE2.format(87), NAK],
        PARSE3,
    ),
    "no quotes": (
        doc("<getstorageinfo physical_partition_number=0 />"),
        INVALID1,
        [QUOTE2.format(87), NAK],
        PARSE3,
    ),
    # It says "attribute not found → command's own NAK" | "`Expected one &quot; character` NAK" |
    # ...
    "spaces around =": (
        doc('<setbootablestoragedrive value = "0" />'),
        ["L[Could not find bootable drive value.]", NAK],
        [QUOTE2.format(77), NAK],
        PARSE3,
    ),
    # It says "NAK" | "`… Expected a &lt; character at loc 45` NAK" | "ok"
    "text before the command": (
        doc("text" + COMMAND),
        INVALID1,
        ["L[ERROR: XML not formed correctly. Expected a &lt; character at loc 45]", NAK],
        OK[3],
    ),
    "text after the command": (doc(COMMAND + "text"), INVALID1, OK[2], OK[3]),
    "comment": (doc("<!-- a - b -->" + COMMAND), OK[1], OK[2], PARSE3),
    "comment not closed": (
        doc("<!-- " + COMMAND),
        INVALID1,
        ["L[ERROR: XML not formed correctly. Expected a &lt; character at loc 4096]", NAK],
        PARSE3,
    ),
    "/ and > in a value": (
        doc('<setbootablestoragedrive a="/>" value="0" />'),
        OK[1],
        OK[2],
        OK[3],
    ),
    # It says "not decoded" | "not decoded" | "not decoded (value fails → default, ACK)"
    "entity": (
        doc('<setbootablestoragedrive value="&#49;" />'),
        ["L[Failed to get bootable drive]", NAK],
        OK[2],
        [NAK3],
    ),
    # It says "last wins" | "last wins" | "first wins"
    "duplicate attribute": (
        doc('<setbootablestoragedrive value="1" value="0" />'),
        OK[1],
        OK[2],
        ["L[INFO: Using scheme of value= 1]", ACK3],
    ),
    "letter case": (doc('<SetBootableStorageDrive VALUE="0" />'), OK[1], OK[2], OK[3]),
    "unknown attribute": (
        doc('<setbootablestoragedrive foo="bar" value="0" />'),
        OK[1],
        OK[2],
        OK[3],
    ),
    # It says "+ ACK" | "+ NAK" | "only `ERROR: Failed to run the last command -1`, NO response"
    "unknown tag": (
        doc('<foo bar="1" />'),
        ["L[WARNING: Ignoring unrecognized tag 'foo'. Continuing.]", ACK],
        [LOG2.format("foo"), NAK],
        UNKNOWN3,
    ),
    "not terminated": (
        f'{PROLOG}<data><setbootablestoragedrive value="0',
        INVALID1,
        ["L[ERROR: Either closing tag is bigger than 4096 bytes, or it is missing]", NAK],
        PARSE3,
    ),
    # It says "no answer at all" | "NAK" | "errors, no response"
    "empty": (doc(""), [], [LOG2.format("/data"), NAK], PARSE3),
    # It says "NAK" | "ok" | "ok"
    "byte order mark": ("\xef\xbb\xbf" + doc(COMMAND), INVALID1, OK[2], OK[3]),
    "no XML": (
        "\x02\0\0\0\x30\0\0\0",
        INVALID1,
        ["L[ERROR: XML not formed correctly. Expected a &lt; character at loc 0]", NAK],
        PARSE3,
    ),
    "end of prolog missing": (
        '<?xml version="1.0"',
        INVALID1,
        None,  # runs into the stale prolog: not in the document
        PARSE3,
    ),
    "quote not closed": (
        doc('<setbootablestoragedrive value="0 />'),
        INVALID1,
        None,  # depends on the stale tail
        PARSE3,
    ),
    "wrapper in a wrapper": (
        f"{PROLOG}<a><data>{COMMAND}</data></a>",
        OK[1],
        [LOG2.format("data"), NAK],
        PARSE3,
    ),
    "tag not ended": (doc(f"<nop>{COMMAND}"), INVALID1, None, PARSE3),
    "nameless attribute": (doc('<nop ="1" />'), None, None, PARSE3),
    "text in place of a command": (doc("text"), INVALID1, None, PARSE3),
    "wrapper not closed": (f"{PROLOG}<data>{COMMAND}", INVALID1, None, OK[3]),
    "trailing NUL": (doc(COMMAND) + "\0", OK[1], OK[2], OK[3]),  # firehose.md 1.2
}


@pytest.mark.parametrize("kind", KINDS)
def test_acceptance(kind: str) -> None:
    rows = {name: (row[0], row[GENERATION[kind]]) for name, row in TABLE.items()}
    expected = {name: wanted for name, (_, wanted) in rows.items() if wanted is not None}
    came = {name: answers(talk_to(kind), str(rows[name][0])) for name in expected}
    assert came == expected


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_malformed_stops_the_programmer(kind: str) -> None:
    talk = talk_to(kind)
    for document, *_ in TABLE.values():
        answers(talk, document)
    assert answers(talk, doc(COMMAND)) == OK[GENERATION[kind]]


@pytest.mark.parametrize("kind", ["msm8916", "qcm2290"])
def test_values_may_be_long_but_not_in_generation_2(kind: str) -> None:
    # It says "recognised ones cut at 511; unknown ones any length" | ... | "520 ok"
    document = doc(f'<setbootablestoragedrive a="{"x" * 520}" value="0" />')
    assert answers(talk_to(kind), document) == OK[GENERATION[kind]]


def test_generation_1_cuts_long_values() -> None:
    value = " " * 510 + "12"
    document = doc(f'<setbootablestoragedrive value="{value}" />')
    assert answers(talk_to("msm8916"), document)[0] == "L[Set bootable drive to 1.]"


@pytest.mark.parametrize("name", ["label", "value"])
def test_generation_2_takes_80_characters(name: str) -> None:
    # It says "> 80: `The value for XML attribute 'label' is too long (81 chars) only 80 chars
    # allowed` NAK"
    talk = talk_to("sdm660")
    body = '<nop {}="{}" value="ping" />'
    assert answers(talk, doc(body.format(name, "0" * 80)))[-1] == ACK
    assert answers(talk, doc(body.format(name, "0" * 81))) == [
        f"L[The value for XML attribute '{name}' is too long (81 chars) only 80 chars allowed]",
        NAK,
    ]


@pytest.mark.parametrize("name", ["filename", "TargetName"])
@pytest.mark.parametrize(("length", "passes"), [(65, True), (66, False), (79, False), (80, True)])
def test_generation_2_copies_names_strangely(name: str, length: int, passes: bool) -> None:
    # It says "filename, MemoryName, TargetName of 66-79: `1 Failed to copy string '…`,
    # `AssignAttribute
    # failed` NAK (≤ 65, and oddly 80, pass)"
    text = "n" * length
    came = answers(talk_to("sdm660"), doc(f'<nop {name}="{text}" />'))
    if passes:
        assert came[-1] == ACK
    else:
        assert came == [f"L[1 Failed to copy string '{text}']", "L[AssignAttribute failed]", NAK]


def test_generation_2_takes_longer_names_of_attributes() -> None:
    # It says "letter case of tags / attributes: ignored (prefix match)"; of tags this cannot be
    # said, since
    # `nop/` is not taken for `nop`.
    document = doc('<setbootablestoragedrive valued="0" />')
    assert answers(talk_to("sdm660"), document) == OK[2]


def test_generation_2_logs_unknown_attributes_when_verbose() -> None:
    # It says "ignored (`Verbose` logs it)"; the text: loader-strings.md
    document = doc('<setbootablestoragedrive Verbose="1" foo="bar" value="0" />')
    assert answers(talk_to("sdm660"), document) == [
        "L[IGNORING UNRECOGNIZED Attribute 'foo' with value 'bar']",
        ACK,
    ]


def test_generation_2_runs_into_older_packets() -> None:
    # It says "fresh: NAK `XML not formed correctly. Could not find '=' character`; after longer
    # packets
    # ACK: the 4 KiB buffer is never cleared, the scan runs into the old packet's tail"
    talk = talk_to("sdm660", configured=False)
    assert answers(talk, doc("<nop />")) == NO_EQUALS2
    assert answers(talk, doc('<x a="b"></x>'))[-1] == NAK
    assert answers(talk, doc('<nop a="b"></nop>')) == NO_EQUALS2
    assert answers(talk, doc(CONFIGURE))[-1].startswith(ACK[:-1])
    assert answers(talk, doc("<nop />"))[-1] == ACK


def test_generation_2_repeats_stale_attributes() -> None:
    # 4.3, size 1000: "an attribute-less `<nop />` next re-reads the stale bytes and NAKs too;
    # `<nop value="ping" />` or a good configure is fine"
    bad = [
        "L[Attribute 'MaxPayloadSizeToTargetInBytes' is not a multiple of 512]",
        "L[AssignAttribute failed]",
        NAK,
    ]
    talk = talk_to("sdm660", configured=False)
    assert answers(talk, doc(CONFIGURE.replace("16384", "1000"))) == bad
    assert answers(talk, doc("<nop />")) == bad
    assert answers(talk, doc('<nop value="ping" />'))[-1] == ACK
    assert answers(talk, doc(CONFIGURE))[-1].startswith(ACK[:-1])


def test_generation_2_repeats_stale_attributes_from_raw_data() -> None:
    # The buffer of raw data is the one of packets: dialogue, the read past the end.
    talk = talk_to("sdm660")
    sectors = 'start_sector="0" num_partition_sectors="8"'
    answers(talk, doc(f'<program SECTOR_SIZE_IN_BYTES="512" {sectors} />'))
    talk.raw(b"B" * 4096)
    assert answers(talk, doc("<nop />")) == NO_EQUALS2


def test_generation_2_reads_to_the_end_of_its_buffer() -> None:
    talk = talk_to("sdm660", configured=False)
    packet = doc('<nop value="x').rjust(4090)
    assert answers(talk, packet) == NO_EQUALS2


# Sizes of packets: 2.3


def padded(size: int, *, inside: bool = False) -> str:
    spare = " " * (size - len(doc(COMMAND)))
    return doc(COMMAND.replace(" />", spare + " />") if inside else COMMAND + spare)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mode", "zlp", "size"),
    [("0", True, 512), ("0", False, 3584), ("1", True, 1024), ("1", False, 512)],
)
def test_a_multiple_of_512_is_not_seen(kind: str, mode: str, zlp: bool, size: int) -> None:
    # It says "An XML packet whose length is a multiple of 512 is never seen, with or without a
    # trailing
    # ZLP, in any ZlpAwareHost mode, on all four … the next packet is appended, and only the first
    # command is answered"
    talk = talk_to(kind)
    talk.xml(CONFIGURE.replace('Host="1"', f'Host="{mode}"'))
    assert talk.send(padded(size).encode(), zlp=zlp) == []
    assert answers(talk, doc('<setbootablestoragedrive value="1" />')) == OK[GENERATION[kind]]
    assert answers(talk, doc(COMMAND)) == OK[GENERATION[kind]]


@pytest.mark.parametrize("kind", KINDS)
def test_at_superspeed_the_packet_has_1024_bytes(kind: str) -> None:
    talk = Talk.start(kind, Board(emmc(), packet_bytes=1024))
    talk.xml(CONFIGURE)
    assert short(talk.send(padded(512).encode())) == OK[GENERATION[kind]]
    assert talk.send(padded(1024).encode()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_4096_is_complete(kind: str) -> None:
    # It says "Exactly 4096 is complete: gen 1 and 3 run it, gen 2 NAKs without a log."
    talk = talk_to(kind)
    came = short(talk.send(padded(4096).encode(), zlp=True))
    assert came == ([NAK] if kind == "sdm660" else OK[GENERATION[kind]])
    assert answers(talk, doc(COMMAND)) == OK[GENERATION[kind]]


@pytest.mark.parametrize("kind", KINDS)
def test_5000_bytes_are_two_packets(kind: str) -> None:
    # It says "5000 bytes = two packets: gen 1 twice `XML (0 bytes) not validated` + NAK; gen 2
    # two NAKs;
    # gen 3 runs the first part, then a parse error for the rest."
    talk = talk_to(kind)
    talk.xml(CONFIGURE.replace('Host="1"', 'Host="0"'))
    came = answers(talk, padded(5000))
    match GENERATION[kind]:
        case 1:
            assert came == INVALID1 * 2
        case 2:
            assert [text for text in came if text.startswith("R")] == [NAK, NAK]
        case _:
            assert came == [*OK[3], *PARSE3]


@pytest.mark.parametrize("kind", KINDS)
def test_two_commands_sent_back_to_back(kind: str) -> None:
    # It says "Two commands sent back to back without waiting are both executed in order (all)."
    talk = talk_to(kind)
    packets = [doc(COMMAND).encode(), doc(COMMAND.replace("0", "1")).encode()]
    talk._packets.append(packets[0])
    came = short(talk.send(packets[1]))
    first = OK[GENERATION[kind]]
    assert came == first + [text.replace("0.", "1.").replace("= 0", "= 1") for text in first]


# Anything at all

_NAMES = ["value", "start_sector", "num_partition_sectors", "byte_offset", "size_in_bytes"]
_NAMES += ["physical_partition_number", "filename", "MaxPayloadSizeToTargetInBytes", "LUNum"]
_COMMANDS = ["configure", "program", "read", "patch", "erase", "getsha256digest", "peek", "ufs"]
_VALUES = ["0", "-1", "DISK", "", "9" * 70, "CRC32(1,9999999)", "NUM_DISK_SECTORS-1.", "((", "\xb2"]

commands = st.builds(
    lambda name, attributes: doc(
        f"<{name} " + " ".join(f'{key}="{value}"' for key, value in attributes.items()) + " />"
    ).encode("latin-1"),
    st.sampled_from(_COMMANDS),
    st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_VALUES)),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(packets=st.lists(commands | st.binary(max_size=600), max_size=5))
def test_no_packet_breaks_a_programmer(kind: str, packets: list[bytes]) -> None:
    talk = talk_to(kind)
    for packet in packets:
        talk.send(packet, limit=500)
        assert talk.left in {None, "hang"}
