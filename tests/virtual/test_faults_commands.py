# SPDX-License-Identifier: BSD-3-Clause
"""Faults that strike a Firehose command, as they look on the wire."""

from __future__ import annotations

import pytest

from edl.virtual.faults import Injector, Place, parse_fault
from edl.virtual.link import Strike
from edl.virtual.programmer import Board
from edl.virtual.programmer.mishaps import FLOOD_LOGS
from edl.virtual.storage import emmc, ufs
from tests.virtual.dialogue import (
    ACK,
    ACK3,
    ACK_RAW,
    CONFIGURE,
    KINDS,
    NAK,
    NAK3,
    Talk,
    Transfer,
    doc,
    short,
    talk_to,
)

ALL = pytest.mark.parametrize("kind", KINDS)
AREA = (
    'SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" start_sector="{}" '
    'num_partition_sectors="{}"'
)
NOP, INFO = '<nop value="ping" />', '<getstorageinfo physical_partition_number="0" />'
READ, PROGRAM = f"<read {AREA.format(8, 4)} />", f"<program {AREA.format(8, 4)} />"
ERASE, HASH = (
    f'<erase {AREA.format(8, 4)} storagedrive="0" />',
    f"<getsha256digest {AREA.format(8, 4)} />",
)
PATCH = f'<patch {AREA.format(8, 1)} filename="DISK" byte_offset="0" size_in_bytes="4" value="7" />'
OLD, NEW = b"old!" * 512, b"new!" * 512
YES, NO = {ACK, ACK3}, {NAK, NAK3}


def struck(kind: str, *faults: str) -> Talk:
    """Return a configured programmer with these faults ahead, and OLD in its sectors 8 to 11."""
    board = Board(emmc(record=True), injector=Injector(map(parse_fault, faults)))
    board.storage.luns[0].write(8, OLD)
    return talk_to(kind, board)


def answers(talk: Talk, command: str) -> list[Transfer]:
    """Return the answers to a command, without the log of those that announce it."""
    return [each for each in talk.xml(command) if b"Calling handler" not in each.data]


def kept(talk: Talk) -> bytes:
    return talk.board.storage.luns[0].read(8, 4)


def test_commands_are_counted_by_name_and_together() -> None:
    talk = struck("sdm660")  # configured
    for command in (NOP, READ, NOP):
        talk.xml(command)
    counts = talk.board.injector.counts
    assert counts[Place.COMMAND] == 4
    assert (counts[Place.CONFIGURE], counts[Place.NOP], counts[Place.READ]) == (1, 2, 1)
    assert counts[Place.PROGRAM] == 0


@ALL
@pytest.mark.parametrize("command", [NOP, INFO, READ, PROGRAM, ERASE, HASH, PATCH])
def test_a_command_is_refused(kind: str, command: str) -> None:
    talk = struck(kind, "nak@command:1")
    assert talk.texts(command)[-1].partition(" sha256")[0].rstrip("]") + "]" in NO
    assert kept(talk) == OLD
    assert talk.texts(command)[-1] not in NO  # only once


@ALL
def test_the_storage_cannot_be_configured(kind: str) -> None:
    talk = talk_to(kind, struck(kind, "nak@configure:1").board, configured=False)
    assert NO & {*talk.texts(CONFIGURE)}
    assert not NO & {*talk.texts(CONFIGURE)}


@ALL
def test_data_are_taken_and_refused_in_the_end(kind: str) -> None:
    talk = struck(kind, "late-nak@program:0")
    assert talk.texts(PROGRAM)[-1] == ACK_RAW
    assert short(talk.raw(NEW))[-1].partition(" raw")[0].rstrip("]") + "]" == NAK
    assert kept(talk) == NEW


@ALL
def test_a_command_is_carried_out_in_silence(kind: str) -> None:
    talk = struck(kind, "mute@program:0", "mute@nop:0")
    assert talk.texts(PROGRAM) == []
    assert talk.raw(NEW) == []
    assert kept(talk) == NEW
    assert talk.texts(NOP) == []
    assert talk.texts(NOP)[-1] in YES


@ALL
def test_an_answer_comes_late(kind: str) -> None:
    talk = struck(kind, "late@nop:0", "late@nop:1:3.5")
    before = talk.slept_s
    assert talk.texts(NOP)[-1] in YES
    assert talk.slept_s == before + 20
    talk.xml(NOP)
    assert talk.slept_s == before + 23.5


@ALL
def test_a_response_comes_before_its_logs(kind: str) -> None:
    plain = struck(kind).texts(INFO)
    early = struck(kind, "early@getstorageinfo:0").texts(INFO)
    assert early == [plain[-1], *plain[:-1]]
    assert len(early) > 3


@ALL
def test_documents_come_together(kind: str) -> None:
    plain = answers(struck(kind), READ)
    glued = answers(struck(kind, "glued@read:0"), READ)
    assert b"".join(each.data for each in glued) == b"".join(each.data for each in plain)
    raw = [len(each.data) for each in glued].index(len(OLD))
    assert (raw, len(glued)) == (1, 3)
    assert b"".join(each.data for each in plain[-2:]).endswith(glued[-1].data[-100:])


@ALL
@pytest.mark.parametrize(("value", "size"), [("", None), (":17", 17), (":999999", 0)])
def test_a_document_comes_in_two_transfers(kind: str, value: str, size: int | None) -> None:
    (plain,) = struck(kind).xml(ERASE)[-1:]
    split = struck(kind, f"split@erase:0{value}").xml(ERASE)
    parts = [plain.data] if size == 0 else [each.data for each in split[-2:]]
    assert b"".join(parts) == plain.data
    if size != 0:
        assert len(parts[0]) == (len(plain.data) // 2 if size is None else size)


@ALL
def test_a_response_is_malformed(kind: str) -> None:
    talk = struck(kind, "malformed@program:0")
    assert b'value="ACK rawmode' in talk.xml(PROGRAM)[-1].data
    assert b'value="ACK"' in talk.raw(NEW)[-1].data  # only the first one


@ALL
def test_logs_flood_the_host(kind: str) -> None:
    plain = struck(kind).texts(ERASE)
    texts = struck(kind, "flood@erase:0:7").texts(ERASE)
    assert texts[: len(plain) - 1] == plain[:-1]
    assert texts[-8:] == [*(f"L[still busy {number}]" for number in range(7)), plain[-1]]
    many = answers(struck(kind, "flood@erase:0"), ERASE)
    assert len(many) == FLOOD_LOGS + len(plain)
    talk = struck(kind, "flood@erase:0:0")
    assert len(talk.send(doc(ERASE).encode(), limit=9000)) == 9000


@ALL
def test_a_digest_is_wrong(kind: str) -> None:
    plain = struck(kind).texts(HASH)
    texts = struck(kind, "digest@getsha256digest:0").texts(HASH)
    assert len(texts) == len(plain)
    places = [
        (one, two)
        for before, after in zip(plain, texts, strict=True)
        for one, two in zip(before, after, strict=True)
        if one != two
    ]
    assert len(places) == (2 if kind == "qcm2290" else 1)
    assert len(set(places)) == 1


@ALL
def test_more_comes_than_was_asked_for(kind: str) -> None:
    sizes = [512 * 4, 512]
    plain = struck(kind).xml(READ)
    talk = struck(kind, "overflow@read:0", "overflow@read:1:700")
    more = talk.xml(READ)
    assert [len(each.data) for each in more if not each.data.startswith(b"<?xml")] == sizes
    assert len(more) == len(plain) + 1
    more = talk.xml(READ)
    assert [len(each.data) for each in more if not each.data.startswith(b"<?xml")] == [2048, 700]


@ALL
@pytest.mark.parametrize("value", ["", ":3", ":0"])
def test_a_part_of_an_extent_cannot_be_read(kind: str, value: str) -> None:
    talk = struck(kind, f"unreadable@read:0{value}")
    assert talk.texts(READ)[-1].partition(" raw")[0].rstrip("]") + "]" == NAK
    assert talk.texts(READ)[-1].partition(" raw")[0].rstrip("]") + "]" == ACK


@ALL
def test_a_digest_of_what_cannot_be_read(kind: str) -> None:
    texts = struck(kind, "unreadable@getsha256digest:0").texts(HASH)
    assert not any("Digest " in text for text in texts)


@ALL
def test_writes_are_acknowledged_and_not_kept(kind: str) -> None:
    talk = struck(kind, "forget@program:0", "forget@erase:0", "forget@patch:0")
    talk.xml(PROGRAM)
    final = short(talk.raw(NEW))[-1].partition(" raw")[0].rstrip("]") + "]"
    # the two oldest read the first payload back and notice
    assert final == (NAK if kind in {"msm8916", "msm8953"} else ACK)
    assert talk.texts(ERASE)[-1] in YES
    assert talk.texts(PATCH)[-1] in YES
    assert kept(talk) == OLD


@ALL
def test_the_storage_takes_long(kind: str) -> None:
    talk = struck(kind, "slow@read:0", "slow@program:0:600", "slow@getsha256digest:0:60")
    before = talk.slept_s
    talk.xml(READ)
    assert talk.slept_s == before + 180
    talk.xml(PROGRAM)
    talk.raw(NEW)
    talk.xml(HASH)
    assert talk.slept_s == before + 840


@ALL
def test_the_storage_lies_about_itself(kind: str) -> None:
    talk = struck(
        kind,
        "sectors@getstorageinfo:1",
        "sectors@getstorageinfo:3:4711",
        "sector-size@getstorageinfo:2",
        "sector-size@getstorageinfo:3:777",
    )
    texts = [" ".join(talk.texts(INFO)) for _ in range(5)]
    if kind.startswith("msm"):
        sectors, size = "num_partition_sectors={}]", "SECTOR_SIZE_IN_BYTES={}]"
    else:
        sectors, size = "Total Logical Blocks: 0x{:x}]", "Block Size in Bytes: 0x{:x}]"
    told = [(65536, 512), (131072, 512), (131072, 4096), (4711, 777), (4711, 777)]
    assert [
        (sectors.format(count) in text, size.format(unit) in text)
        for text, (count, unit) in zip(texts, told, strict=True)
    ] == [(True, True)] * 5
    assert talk.texts(READ)[-1] in {ACK, ACK3, 'R[value="ACK" rawmode="false"]'}


def test_ufs_lies_about_its_sectors() -> None:
    board = Board(ufs(), injector=Injector([parse_fault("sector-size@getstorageinfo:0")]))
    talk = talk_to("qcm2290", board)
    assert "Block Size in Bytes: 0x200]" in " ".join(talk.texts(INFO))


@ALL
@pytest.mark.parametrize("fault", ["unplug@nop:0", "reset@nop:0:crash", "kill@nop:0"])
def test_a_command_is_the_moment_of_something_else(kind: str, fault: str) -> None:
    board = Board(emmc(), injector=Injector([parse_fault(fault)]))
    talk = talk_to(kind, board)
    seen = []
    resume = talk._resume

    def note(answer: bytes | None) -> None:
        seen.append(talk._request)
        resume(answer)

    talk._resume = note  # type: ignore[method-assign]
    talk.xml(NOP)
    assert [request for request in seen if isinstance(request, Strike)] == [
        Strike(parse_fault(fault))
    ]


@ALL
def test_a_fault_strikes_the_last_command(kind: str) -> None:
    talk = struck(kind, "early@power:0", "glued@power:0")
    transfer = answers(talk, '<power value="reset" />')[0]
    assert b"<response " in transfer.data
    assert talk.left == "reset"
