# SPDX-License-Identifier: BSD-3-Clause
"""Sessions with crashed phones: greetings, streams, refusals; and the virtual ones themselves."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edl.device import crashdump
from edl.device.crashdump import CrashedPhone, Dump
from edl.errors import MemoryRefusedError, NoDeviceError, ProtocolError, TransportTimeoutError
from edl.events import Notice
from edl.ramdump import names
from edl.ramdump.assemble import assemble
from edl.ramdump.record import Result
from edl.sahara.host import MemoryOffered
from edl.sahara.memory import Region
from edl.virtual.crashdump import CrashDump, CrashedLoader, Stage
from edl.virtual.link import Exit, Receive, Send
from tests.phones import Script

HELLO = struct.pack("<6I", 1, 48, 2, 1, 1024, 2) + bytes(24)
OFFER = struct.pack("<4I", 9, 16, 0x1000, 52)
ROW = struct.pack("<3I20s20s", 1, 0x8000_0000, 100, b"DDR", b"DDR.BIN")
REFUSAL = struct.pack("<4I", 4, 16, 13, 0x19)
KNOWN = MemoryOffered(0x1000, 52, wide=False)
MEM_READ, RESET, RESTART = 0x0A, 7, 0x13


class Stream(Script):
    """A script over a medium that does not keep transfers."""

    keeps_transfers = False
    packet_bytes = 0


class Awaits(Script):
    """A script that says nothing before it was told something."""

    def read(self, timeout_s: float) -> memoryview:
        if not self.written:
            raise TransportTimeoutError("silence")
        return super().read(timeout_s)


def read(phone: CrashedPhone, length: int) -> bytes:
    found = bytearray()
    phone.read(0x8000_0000, length, found.extend)
    return bytes(found)


# -- opening --------------------------------------------------------------------------------------


def test_a_greeting_an_offer_and_a_table() -> None:
    script = Script(HELLO, OFFER, ROW)
    dump = CrashedPhone(script).open()
    assert dump.regions == (Region(0x8000_0000, 100, True, "DDR", "DDR.BIN"),)
    assert [packet[:4] for packet in script.written] == [b"\x02\0\0\0", b"\x0a\0\0\0"]
    assert script.written[0][20] == 2  # it asks for memory debug, and for nothing else
    assert CrashedPhone(Script(OFFER, ROW)).open() == dump


def test_an_earlier_run_is_gone_on_with_without_a_word() -> None:
    script = Awaits(ROW)
    assert CrashedPhone(script).open(KNOWN).table == ROW
    assert [packet[0] for packet in script.written] == [MEM_READ]


def test_what_an_earlier_run_did_not_take_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    junk = Script(b"\xff" * 512, b"\xee" * 512)
    with pytest.raises(TransportTimeoutError):  # of the table: all is read by then
        CrashedPhone(junk).open(KNOWN)
    assert [packet[0] for packet in junk.written] == [MEM_READ]
    greets = Script(b"\xff" * 512, b"\xee" * 512, HELLO, OFFER, ROW)
    assert CrashedPhone(greets).open(KNOWN).table == ROW
    monkeypatch.setattr(crashdump, "_MAX_LEFTOVERS", 3)
    with pytest.raises(ProtocolError, match="without end"):
        CrashedPhone(Script(*[b"\xff" * 512] * 9)).open(KNOWN)


def test_greetings_without_end() -> None:
    refusing = Script(*[HELLO] * 40)
    refusing.say(OFFER)
    with pytest.raises(ProtocolError, match="greets without end"):
        CrashedPhone(refusing).open()


@pytest.mark.parametrize(("said", "words"), [(0x1B, "no crash dump: "), (1, "amid giving its")])
def test_a_phone_that_offers_nothing(said: int, words: str) -> None:
    with pytest.raises(NoDeviceError, match=words):
        CrashedPhone(Script(HELLO, REFUSAL[:12] + struct.pack("<I", said))).open()
    with pytest.raises(NoDeviceError, match="in EDL mode"):
        CrashedPhone(Script(HELLO[:20] + bytes(28))).open()


# -- reading --------------------------------------------------------------------------------------


def test_sixteen_bytes_are_never_asked_for() -> None:
    script = Script(b"12345678", b"abcdefgh")
    assert read(CrashedPhone(script), 16) == b"12345678abcdefgh"
    assert [struct.unpack("<2I2Q", packet)[3] for packet in script.written] == [8, 8]


@pytest.mark.parametrize("before", [b"", b"m" * 500])
def test_a_refusal_on_a_stream_shows_by_silence(before: bytes) -> None:
    found = bytearray()
    with pytest.raises(MemoryRefusedError, match="INVALID_MEMORY_READ"):
        CrashedPhone(Stream(before + REFUSAL)).read(0x8000_0000, 4096, found.extend)
    assert found == before


def test_memory_on_a_stream_that_begins_like_a_refusal() -> None:
    assert read(CrashedPhone(Stream(REFUSAL[:8])), 8) == REFUSAL[:8]
    assert read(CrashedPhone(Stream(REFUSAL, b"m" * 84)), 100) == REFUSAL + b"m" * 84
    with pytest.raises(TransportTimeoutError):
        read(CrashedPhone(Stream(b"m" * 20)), 100)


def test_a_phone_that_is_another_after_a_refusal() -> None:
    dump = Dump(MemoryOffered(0x1000, 52, wide=False), ROW, ())
    same, other = Script(HELLO, OFFER), Script(HELLO, OFFER[:8] + struct.pack("<2I", 0x2000, 52))
    assert CrashedPhone(same).recover(dump)
    assert same.written[0][0] == RESTART
    assert not CrashedPhone(other).recover(dump)
    assert CrashedPhone(Script()).recover(dump)  # silence proves nothing: the next read will


# -- files ----------------------------------------------------------------------------------------


def test_names_of_ours_are_not_the_phones() -> None:
    regions = [
        Region(0, 1, True, "", name)
        for name in ("manifest.json", "MINIDUMP.ELF", "a.partial", "a.incomplete", "a", "A", "")
    ]
    assert names.file_names(regions) == (
        "0_manifest.json", "1_MINIDUMP.ELF", "a.partial_", "a.incomplete_", "a", "5_A", "region6",
    )  # fmt: skip


def test_a_head_that_is_none_makes_no_minidump(tmp_path: Path) -> None:
    (tmp_path / "md_KELF.BIN").write_bytes(b"no ELF")
    events: list[object] = []
    regions = [Region(0x1000, 6, True, "md_KELF", "md_KELF.BIN")]
    results = {0: Result("saved", "md_KELF.BIN", 6)}
    assert assemble(tmp_path, regions, results, events.append) is None
    assert events == [
        Notice("no minidump.elf was made: The head of the minidump is no ELF file of 64 bits.")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["md_KELF.BIN"]


# -- the virtual phone ----------------------------------------------------------------------------


def told(packet: bytes, stage: Stage, *, restarts: bool = True) -> tuple[list[object], Stage]:
    """Return what a crashed loader does when it is sent a packet in that stage."""
    loader = CrashedLoader(CrashDump((), knows_restart=restarts), stage)
    software = loader.run()
    request = next(software)
    done: list[object] = []
    while isinstance(request, Receive):
        request = software.send(packet if not done else None)
        done.append(request)
    while not isinstance(request, Receive | Exit):
        request = software.send(None)
        done.append(request)
    return done, loader.stage


@pytest.mark.parametrize("stage", [Stage.GREETED, Stage.SERVING, Stage.REFUSED])
def test_a_crashed_phone_takes_a_reset_in_every_stage(stage: Stage) -> None:
    done, _ = told(struct.pack("<2I", RESET, 8), stage)
    assert done == [Send(struct.pack("<2I", 8, 8)), Exit("reset")]


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (struct.pack("<2I", 0x55, 8), 0x01),
        (struct.pack("<3I", MEM_READ, 12, 0), 0x05),
        (b"\x01", 0x01),
        (struct.pack("<4I", MEM_READ, 16, 0, 64), 0x01),
        (struct.pack("<2I2Q", 0x11, 24, 1, 64), 0x19),
    ],
)
def test_a_crashed_phone_refuses(packet: bytes, status: int) -> None:
    done, stage = told(packet, Stage.SERVING)
    assert done[0] == Send(struct.pack("<4I", 4, 16, 13, status))
    assert stage is Stage.REFUSED


def test_only_newer_ones_start_the_protocol_over() -> None:
    restart = struct.pack("<2I", RESTART, 8)
    done, stage = told(restart, Stage.SERVING)
    assert (done[0], stage) == (Send(HELLO), Stage.GREETED)
    done, stage = told(restart, Stage.SERVING, restarts=False)
    assert done[0] == Send(struct.pack("<4I", 4, 16, 13, 0x01))
    assert stage is Stage.REFUSED
