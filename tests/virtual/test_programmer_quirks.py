# SPDX-License-Identifier: BSD-3-Clause
"""Programmers that differ from the real ones, or fail."""

from __future__ import annotations

import pytest

from edl.virtual.programmer import VIP_LOCK, XIAOMI_LOCK, Board, Quirks, programmer
from edl.virtual.storage import Extent, emmc
from tests.virtual.dialogue import (
    ACK,
    ACK3,
    ACK_RAW,
    CONFIGURE,
    GENERATION,
    KINDS,
    NAK,
    NAK3,
    Talk,
    doc,
    operations,
    short,
    talk_to,
)

NOP = '<nop value="ping" />'
READ = (
    '<read SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" start_sector="{}" '
    'num_partition_sectors="4" />'
)
REFUSED = {1: NAK, 2: NAK, 3: NAK3}


def quirky(kind: str, quirks: Quirks) -> Talk:
    return talk_to(kind, Board(emmc(record=True), quirks=quirks))


def test_kinds_are_named() -> None:
    with pytest.raises(KeyError):
        programmer("msm0000", Board(emmc()))


@pytest.mark.parametrize("kind", KINDS)
def test_xiaomi_lock(kind: str) -> None:
    # firehose.md 15.9; 2.6: nop is answered before authentication
    talk = quirky(kind, Quirks(lock=XIAOMI_LOCK))
    log, response = talk.texts(CONFIGURE)
    assert log.endswith("Only nop and sig tag can be recevied before authentication.]")
    assert log.startswith("L[ERROR: ") == (kind == "qcm2290")
    assert response == REFUSED[GENERATION[kind]]
    assert talk.texts(NOP)[-1] in {ACK, ACK3}
    assert talk.texts(READ.format(0))[-1] == REFUSED[GENERATION[kind]]
    assert operations(talk.board) == []


def test_vip_lock() -> None:
    # firehose.md 12
    talk = quirky("qcm2290", Quirks(lock=VIP_LOCK))
    assert talk.texts(NOP) == [
        "L[ERROR: Verifying signature failed with 3]",
        "L[ERROR: Authentication of signed hash failed 0]",
        NAK3,
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_restricted_extents(kind: str) -> None:
    # firehose.md 15.10
    talk = quirky(kind, Quirks(restricted=(Extent(0, 100, 10),)))
    assert talk.texts(READ.format(96))[0] == ACK_RAW
    log, response = talk.texts(READ.format(97))
    assert log.endswith("range restricted: lun=0, start_sector=97, num_sectors=4]")
    assert response == REFUSED[GENERATION[kind]]
    assert operations(talk.board) == [("read", 0, 96, 4)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_is_missing(kind: str) -> None:
    talk = quirky(kind, Quirks(missing=frozenset({"getsha256digest"})))
    came = talk.texts(READ.format(0).replace("read", "getsha256digest"))
    assert (
        came
        == {
            1: ["L[WARNING: Ignoring unrecognized tag 'getsha256digest'. Continuing.]", ACK],
            2: ["L[**WARNING Ignoring Unrecognized tag 'getsha256digest']", NAK],
            3: ["L[ERROR: Failed to run the last command -1]"],
        }[GENERATION[kind]]
    )


@pytest.mark.parametrize(("kind", "last"), [("sdm660", None), ("qcm2290", "functions 14]")])
def test_the_banner_lists_what_is_there(kind: str, last: str | None) -> None:
    quirks = Quirks(missing=frozenset({"getsha256digest"}))
    texts = short(Talk.start(kind, Board(emmc(), quirks=quirks)).transfers)
    assert "getsha256digest" not in "".join(texts)
    assert last is None or texts[-1].endswith(last)


@pytest.mark.parametrize("kind", KINDS)
def test_silent_start(kind: str) -> None:
    board = Board(emmc(), quirks=Quirks(silent_start=True))
    assert Talk.start(kind, board).transfers == []


@pytest.mark.parametrize("kind", KINDS)
def test_glued_documents(kind: str) -> None:
    plain = talk_to(kind)
    glued = quirky(kind, Quirks(glued=True))
    for body in (NOP, CONFIGURE):
        documents = [each.data for each in plain.xml(body)]
        assert [each.data for each in glued.xml(body)] == [b"".join(documents)]
    came = [each.data[:5] for each in glued.xml(READ.format(0))]
    assert came == [b"<?xml", bytes(5), b"<?xml"]


@pytest.mark.parametrize("kind", KINDS)
def test_late_logs(kind: str) -> None:
    on_time = talk_to(kind).texts(CONFIGURE)
    late = quirky(kind, Quirks(late_logs=True)).texts(CONFIGURE)
    assert sorted(late) == sorted(on_time)
    assert late[0].startswith('R[value="ACK"')


def test_late_logs_come_even_without_a_response() -> None:
    talk = quirky("qcm2290", Quirks(late_logs=True, glued=True))
    came = talk.xml("<foo />")
    assert came[0].data.endswith(b'<log value="ERROR: Failed to run the last command -1" /></data>')


@pytest.mark.parametrize("kind", KINDS)
def test_mute(kind: str) -> None:
    talk = quirky(kind, Quirks(mute_after=2))
    assert talk.texts(NOP)
    assert talk.xml(NOP) == []
    assert talk.send(doc('<power value="reset" />').encode()) == []
    assert talk.left == "reset"


@pytest.mark.parametrize("kind", KINDS)
def test_garbage(kind: str) -> None:
    talk = quirky(kind, Quirks(garbage_after=1, garbage=b"\0\xff\x80"))
    assert {each.data for each in talk.xml(NOP)} == {b"\0\xff\x80"}


@pytest.mark.parametrize("kind", KINDS)
def test_endless_chatter(kind: str) -> None:
    talk = quirky(kind, Quirks(chatter_after=1))
    came = short(talk.send(doc(NOP).encode(), limit=300))
    assert len(came) == 300
    assert came[-1] == "L[still busy 299]"


def test_the_end_of_the_software() -> None:
    talk = quirky("qcm2290", Quirks(glued=True))
    came = talk.xml('<power value="reset" />')
    assert [each.data.count(b"<?xml") for each in came] == [4]
    assert talk.left == "reset"
    with pytest.raises(StopIteration):
        talk.software.send(None)
