# SPDX-License-Identifier: BSD-3-Clause
"""Phones whose programmer speaks Streaming Download, and boot ROMs that speak DMSS Download."""

from __future__ import annotations

import contextlib
import struct

import pytest

from edl.chunks import BytesContent
from edl.device import framed, ladder, streaming, streaming_talk
from edl.device.dmss import DmssRom
from edl.device.phone import Phone, Wishes
from edl.device.storage import Storage, parse_targets
from edl.errors import (
    BlindWriteError,
    DeviceRefusedError,
    DocumentError,
    EdlError,
    MuteError,
    NoReadingError,
    ProgrammerFailedError,
    ProgrammerRefusedError,
    ProtocolError,
    ReadFailedError,
    TransportError,
    UsageError,
    WriteFailedError,
    WrongStorageError,
)
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area, Power
from edl.formats.intelhex import Program
from edl.identity import PhoneIdentity
from edl.plan import job
from edl.plan.job import Rules
from edl.plan.model import Finding, Patch, Plan, Severity, Write
from edl.streaming.hdlc import encode
from edl.streaming.host import Hello, StreamingHost
from edl.virtual.frames import wrap
from edl.virtual.storage import Extent, Faults
from edl.virtual.streaming import PARTITION_SECTORS, PARTITIONS, TABLE
from tests import phones
from tests.conftest import REPO
from tests.phones import Bench, Script, plug, spec
from tests.virtual.disks import Part, write_gpt

DATA = bytes(range(256)) * 14  # 7 sectors
WHERE = Area(0, 100, 7, 512)
LOADER = (REPO / "loaders" / "prog_emmc_streaming_8974_test.mbn").read_bytes()


def with_table(bench: Bench) -> Bench:
    """Give the phone partition tables, so that reading can be proved."""
    write_gpt(bench.flash.luns[0], [Part("boot", 100, 140), Part("modemst1", 200, 231)])
    bench.flash.luns[0].write(200, b"calibration".ljust(512, b"\0"))
    return bench


def put(phone: Phone, data: bytes = DATA, area: Area = WHERE) -> None:
    phone.programmer.program(area, [memoryview(data[:700]), memoryview(data[700:])])


def got(phone: Phone, area: Area = WHERE) -> bytes:
    found = bytearray()
    phone.programmer.read(area, found.extend)
    return bytes(found)


@pytest.mark.parametrize(
    "manners",
    [
        "",
        "old",
        "no-crc",
        "chatty",
        "glued",
        "split",
        "chatty+glued",
        "sluggish",
        "trusted",
        "small",
    ],
)
def test_what_is_written_can_be_read(manners: str) -> None:
    options = f",streaming={manners}" if manners else ""
    with plug(f"msm8974{options}") as bench:
        phone = with_table(bench).connect()
        assert (phone.serial, phone.programmer.memory) == ("1a2b3c4d", "emmc")
        assert phone.programmer.supports("read")
        moved: list[int] = []
        phone.programmer.program(WHERE, [memoryview(DATA)], moved=moved.append)
        assert sum(moved) == len(DATA)
        assert moved[0] == 0
        assert bench.flash.luns[0].read(100, 7) == DATA
        assert got(phone) == DATA
        assert phone.lun(0).sectors == bench.flash.luns[0].sectors
        assert ("packet received" in bench.logs) is ("chatty" in manners)
        put(phone, DATA[:512], Area(1, 5, 1, 512))
        assert bench.flash.luns[1].read(5, 1) == DATA[:512]
        assert got(phone) == DATA


@pytest.mark.parametrize("manners", ["no-reading", "memory"])
def test_what_is_not_proved_to_be_flash_is_not_read(manners: str) -> None:
    with plug(f"msm8974,streaming={manners}") as bench:
        phone = with_table(bench).connect()
        assert "does not let the flash be read" in bench.stages["programmer"]
        assert phone.programmer.supports("read") is False
        with pytest.raises(NoReadingError):
            got(phone)
        put(phone)
        assert bench.flash.luns[0].read(100, 7) == DATA
        assert phone.lun(0).sectors is None


def test_a_master_boot_record_proves_reading_too() -> None:
    with plug("msm8974") as bench:
        mbr = bytes(446) + b"\0\0\0\0\x4d" + bytes(59) + b"\x55\xaa"
        bench.flash.luns[0].write(0, mbr)
        phone = bench.connect()
        assert phone.programmer.supports("read")
        assert phone.lun(0).sectors is None
        put(phone)
        assert got(phone) == DATA


def test_reading_is_proved_as_soon_as_there_is_a_table() -> None:
    with plug("msm8974") as bench:
        phone = bench.connect()
        assert not phone.programmer.supports("read")
        with_table(bench)
        assert got(phone, Area(0, 200, 1, 512)).startswith(b"calibration")


def test_a_table_that_does_not_tell_the_end_tells_no_size() -> None:
    with plug("msm8974") as bench:
        write_gpt(bench.flash.luns[0], [Part("boot", 100, 140)], disk_sectors=1 << 30)
        assert bench.connect().lun(0).sectors is None


def test_a_programmer_that_contradicts_itself_writes_nothing() -> None:
    with plug("msm8974,streaming=twisted") as bench:
        phone = with_table(bench).connect()
        with pytest.raises(ProtocolError, match="says one thing and does another"):
            put(phone)
        assert bench.changes == []
        assert got(phone, Area(0, 200, 1, 512)).startswith(b"calibration")


def test_bytes_reach_only_so_far() -> None:
    with plug("msm8974,streaming=old") as bench:
        phone = with_table(bench).connect()
        beyond = Area(0, (1 << 32) // 512, 1, 512)
        for act in (lambda: put(phone, DATA[:512], beyond), lambda: got(phone, beyond)):
            with pytest.raises(DeviceRefusedError, match="up to 4 GiB"):
                act()


def test_wrong_amounts_are_our_own_mistake() -> None:
    with plug("msm8974") as bench:
        phone = bench.connect()
        with pytest.raises(RuntimeError, match="512 bytes were given"):
            put(phone, DATA[:512])


def test_flash_that_fails() -> None:
    broken = Faults(unreadable=(Extent(0, 300, 1),), unwritable=(Extent(0, 400, 1),))
    with plug(spec("msm8974", broken=broken)) as bench:
        phone = with_table(bench).connect()
        with pytest.raises(ReadFailedError, match="operation failed"):
            got(phone, Area(0, 299, 3, 512))
        with pytest.raises(WriteFailedError, match="finish what was written"):
            put(phone, DATA, Area(0, 396, 7, 512))
        with pytest.raises(WriteFailedError, match="bad address"):
            put(phone, DATA, Area(0, 1 << 20, 7, 512))
        put(phone)
        assert got(phone) == DATA


def test_there_are_only_three_areas() -> None:
    with plug("msm8974") as bench:
        phone = bench.connect()
        with pytest.raises(WrongStorageError, match="no LUN 3"):
            put(phone, DATA, Area(3, 0, 7, 512))


def test_what_the_protocol_lacks() -> None:
    with plug("msm8974") as bench:
        programmer = bench.connect().programmer
        assert programmer.sha256(WHERE) is None
        assert (programmer.generation, programmer.signs) == (0, ())
        assert programmer.ping()
        with pytest.raises(RuntimeError):
            programmer.erase(WHERE)
        with pytest.raises(DeviceRefusedError, match="cannot choose"):
            programmer.set_bootable(0)
        with pytest.raises(DeviceRefusedError, match="EDL mode"):
            programmer.power(Power.EDL)


@pytest.mark.parametrize(("action", "ends"), [(Power.RESET, "reset"), (Power.OFF, "off")])
def test_power(action: Power, ends: str) -> None:
    with plug("msm8974") as bench:
        bench.connect().programmer.power(action)
        assert bench.virtual.state is not None
        assert bench.virtual.exits == ["start", ends]


def test_a_programmer_that_runs_is_gone_on_with() -> None:
    with plug("msm8974,streaming=chatty") as bench:
        put(with_table(bench).connect())
        for _ in range(2):
            bench.hang_up()
            phone = bench.connect(known=PhoneIdentity(serial=7))
            assert phone.attached
            assert phone.serial == "00000007"
            assert got(phone) == DATA
        assert len(bench.loaders_asked) == 1


def test_the_storage_that_the_user_names() -> None:
    with plug("msm8974") as bench:
        assert bench.connect(Wishes(memory="emmc")).programmer.memory == "emmc"
        bench.enter_edl()
        with pytest.raises(UsageError, match="asked for ufs, but the phone has emmc"):
            bench.connect(Wishes(memory="ufs"))


# -- damage on the way ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", [30000, 30030, 30100, 30500])
@pytest.mark.parametrize("way", ["out", "in"])
def test_bits_that_flip_are_sent_again(way: str, place: int) -> None:
    """Every frame counts: after a flipped bit all is as it should be, or an error says so."""
    with plug(
        f"msm8974,fault=corrupt@{way}:{place if way == 'out' else place - 29400}:01"
    ) as bench:
        phone = with_table(bench).connect()
        for number in range(20):
            area = Area(0, 1000 + 7 * number, 7, 512)
            put(phone, DATA, area)
            assert bench.flash.luns[0].read(area.start_sector, 7) == DATA
            assert got(phone, area) == DATA
        assert not bench.virtual.injector.lasting


@pytest.mark.parametrize(
    "kind",
    [
        "garbage@in-transfer:12",
        "unplug@out:30000",
        "unplug@in:900",
        "freeze@in:900:9",
        "swallow@in-transfer:20",
    ],
)
def test_trouble_on_the_cable(kind: str) -> None:
    """It ends in an error that says so, or in the right bytes."""
    allowed = TransportError, ProtocolError, DeviceRefusedError
    with plug(f"msm8974,fault={kind}") as bench, contextlib.suppress(*allowed):
        phone = with_table(bench).connect()
        put(phone)
        assert got(phone) == DATA


@pytest.mark.parametrize("kind", ["mute", "chatter", "garbage"])
def test_programmers_that_do_not_work(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming_talk, "_MAX_LOGS", 300)
    with plug(f"msm8974,programmer={kind}") as bench, pytest.raises(EdlError) as raised:
        bench.connect()
    assert isinstance(raised.value, ProgrammerFailedError | ProtocolError)


def test_a_programmer_that_does_not_know_the_flash() -> None:
    with plug("msm8974,streaming=foreign") as bench:
        with pytest.raises(ProgrammerFailedError, match="does not know the flash") as raised:
            bench.connect()
        assert raised.value.device_log == ("Unrecognized flash device",)


# -- hostile devices ------------------------------------------------------------------------------


def hello(features: int = 0x19, block: int = 1024) -> bytes:
    magic = b"QCOM fast download protocol targ"
    return wrap(struct.pack("<B32sBBIIBHHB", 2, magic, 3, 2, block, 0, 0, 8, 0, features))


def started(*lines: bytes) -> streaming.Programmer:
    programmer = streaming.Programmer(Script(*lines))
    programmer.start()
    return programmer


class Replies(Script):
    """Answers the requests in turn; nothing comes before they were sent."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self._replies = list(replies)

    def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
        super().write(data, timeout_s, zlp=zlp)  # type: ignore[arg-type]
        if self._replies:
            self.say(self._replies.pop(0))


def talk(*replies: bytes) -> streaming.Programmer:
    return streaming.Programmer(Replies(*replies))


OPENED = (hello(), wrap(b"\x18"), wrap(b"\x16"), wrap(b"\x1c\0"))


def test_a_dialogue_as_it_should_be() -> None:
    programmer = talk(*OPENED, wrap(b"\x0aping"))
    programmer.start()
    assert programmer.memory == "emmc"
    assert programmer.ping()


@pytest.mark.parametrize(
    ("replies", "kind", "words"),
    [
        ((hello(block=100),), ProtocolError, "in blocks of 100 bytes"),
        ((hello(9), *[hello(0x19)] * 9), ProgrammerFailedError, "Hello came"),
        (
            (wrap(b"\x0d\5\0\0\0no"), hello(9), hello(0x09, 512)),
            ProtocolError,
            "greets in two ways",
        ),
        ((hello(), *[wrap(b"\x0d\x13\0\0\0")] * 2), DeviceRefusedError, "bad security mode"),
        ((hello(), *[wrap(b"\x18")[:2] + b"\x7e"] * 8), ProtocolError, "damaged frame"),
        ((b"junk\x7e",) * 60, ProgrammerFailedError, "damaged frame"),
    ],
)
def test_greetings_that_are_no_good(
    replies: tuple[bytes, ...], kind: type[EdlError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        talk(*replies).start()


def test_storage_that_does_not_open_is_nand() -> None:
    programmer = talk(*OPENED[:3], wrap(b"\x0d\7\0\0\0Open multi failed"))
    programmer.start()
    assert programmer.memory == "nand"
    assert not programmer.reads
    assert programmer.storage_info(0).memory == "nand"


def test_a_status_of_opening_is_a_no() -> None:
    programmer = talk(*OPENED[:3], *[wrap(b"\x1c\x04")] * 2)
    programmer.start()
    with pytest.raises(WrongStorageError, match="block 0 protected"):
        programmer._enter(0)


def test_an_area_left_open_is_closed_first() -> None:
    left = wrap(b"\x0d\x0f\0\0\0already open")
    programmer = talk(*OPENED[:3], left, wrap(b"\x16"), wrap(b"\x1c\0"))
    programmer.start()
    assert programmer.memory == "emmc"


def test_an_answer_that_is_none() -> None:
    programmer = talk(*OPENED, *[b"\x08\0\7e"] * 4)
    programmer.start()
    with pytest.raises(EdlError):
        programmer._write_once(0, bytes(512))
    with pytest.raises(ProtocolError, match="Hello came"):
        raise programmer._talk.refused("do something", Hello(3, 2, 1, 0, "", 1, (), 0))


def test_a_phone_that_talks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framed, "_MAX_STALE", 50)
    with pytest.raises(ProtocolError, match="without end"):
        started(*[b"\x0ehm" * 10] * 100)
    programmer = talk(*OPENED)
    programmer.start()
    programmer._talk._transport.say(*[wrap(b"\x0e.")] * 200)  # type: ignore[attr-defined]
    monkeypatch.setattr(framed, "_MAX_STALE", 10_000)
    monkeypatch.setattr(streaming_talk, "_MAX_LOGS", 50)
    with pytest.raises(ProtocolError, match="logs without end"):
        programmer.ping()


def test_a_phone_that_takes_nothing() -> None:
    programmer = streaming.Programmer(Script(blocks_after=0))
    with pytest.raises(ProgrammerFailedError, match="silence"):
        programmer.start()


def test_a_frame_never_fills_its_last_packet() -> None:
    script = Script()
    frame = encode(bytes(508))
    assert len(frame) == 512
    framed.send(script, StreamingHost(), frame)
    assert script.written == [b"\x7e" + frame]


# a record at the last address of all, with two bytes
BEYOND = b":02000004FFFFFC\n:02FFFF000102FD\n:00000001FF\n"


# -- DMSS Download --------------------------------------------------------------------------------


def hexed(address: int, code: bytes) -> bytes:
    """Return code as an Intel HEX file that starts at its beginning."""
    lines = []

    def line(kind: int, at: int, body: bytes) -> None:
        raw = struct.pack(">BHB", len(body), at & 0xFFFF, kind) + body
        lines.append(":" + (raw + bytes((-sum(raw) & 0xFF,))).hex().upper())

    for at in range(0, len(code), 16):
        if (address + at) & 0xFFFF == 0 or not at:
            line(4, 0, struct.pack(">H", (address + at) >> 16))
        line(0, address + at, code[at : at + 16])
    line(5, 0, struct.pack(">I", address))
    line(1, 0, b"")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("form", ["mbn", "hex"])
def test_a_boot_rom_of_dmss_takes_a_program(form: str) -> None:
    image = LOADER if form == "mbn" else hexed(0x2A00_0000, LOADER[80:0x4050])
    with plug("msm7x30") as bench:
        phone = with_table(bench).connect(loader=lambda _: {13: image})
        assert bench.virtual.exits == ["start"]
        assert phone.serial == "unknown"
        assert "16384 bytes sent, starting at 0x2a000000" in bench.stages["upload"]
        put(phone)
        assert got(phone) == DATA


@pytest.mark.parametrize(
    ("image", "kind", "words"),
    [
        (hexed(0x1000_0000, b"QCOM fast download protocol"), ProgrammerRefusedError, "bad address"),
        (hexed(0x2A00_0000, b"something else"), ProgrammerFailedError, "does not answer"),
        (b"\x7fELF" + bytes(5000), DocumentError, "where in memory"),
        (BEYOND, ProgrammerRefusedError, "No memory is at"),
    ],
)
def test_programs_that_a_boot_rom_of_dmss_does_not_start(
    image: bytes, kind: type[EdlError], words: str
) -> None:
    with plug("msm7x30") as bench, pytest.raises(kind, match=words):
        bench.connect(loader=lambda _: {13: image})


def test_bits_that_flip_on_the_way_to_memory() -> None:
    with plug("msm7x30,fault=corrupt@out:5000:01,fault=corrupt@in:60:01") as bench:
        bench.connect(loader=lambda _: {13: LOADER})
        assert not bench.virtual.injector.lasting


def test_a_boot_rom_of_dmss_that_is_vague() -> None:
    ack = wrap(b"\x02")
    program = Program(((0, bytes(300)), (0x1000, b"x")), None)
    script = Replies(wrap(b"\x03\0\6"), ack, ack, ack)
    DmssRom(script).upload(program)  # nothing answers GO
    assert [len(data) for data in script.written][:3] == [5, 256 + 11, 44 + 11]
    assert script.written[-1] == encode(b"\5\0\0\0\0")
    with pytest.raises(ProgrammerRefusedError, match="to start at 0x0"):
        DmssRom(Replies(b"", ack, ack, ack, wrap(b"\3\0\x0e"))).upload(program)
    with pytest.raises(ProtocolError, match="256 bytes"):
        DmssRom(Replies(wrap(b"\x03\0\6"), *[b"\x02\x7e"] * 9)).upload(program)


# -- the attach ladder ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ((wrap(b"\x0eI am here"),), "streaming"),
        ((wrap(b"\x0d\5\0\0\0no"),), "streaming"),
        ((b"\x7e\x7e" + wrap(b"\x02"),), "dmss"),
        ((wrap(b"\x03\0\6"),), "dmss"),
        ((wrap(b"\x02")[:2], wrap(b"\x02")[2:]), "dmss"),
        ((b"damaged\x7e" + wrap(b"\x0ehm"),), "streaming"),
    ],
)
def test_frames_are_recognised(lines: tuple[bytes, ...], what: str) -> None:
    answering = ladder.listen(Script(*lines))
    assert answering is not None
    assert (answering.streaming, answering.dmss) == (what == "streaming", what == "dmss")


@pytest.mark.parametrize("data", [b"\x7ehalf a frame", b"no frame\x7e", bytes(20000)])
def test_what_is_no_frame_is_nobody(data: bytes) -> None:
    assert ladder.listen(Script(data)) is None


def test_a_phone_that_answers_nothing_in_frames_either() -> None:
    with plug("sdm660,state=mute") as bench, pytest.raises(MuteError):
        bench.connect()


# -- jobs -----------------------------------------------------------------------------------------


def plan_on(storage: Storage, *areas: Area, label: str = "boot") -> Plan:
    steps = [Write(area, BytesContent(bytes(area.size_bytes)), label, "f", "") for area in areas]
    return phones.plan_of(storage, *steps)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, Severity]]:
    return [(finding.code, finding.severity) for finding in findings]


def test_a_job_on_a_phone_that_cannot_be_read_must_be_insisted_on() -> None:
    with plug("msm8974,streaming=memory") as bench:
        storage = with_table(bench).storage()
        plan = plan_on(storage, WHERE)
        for rules in (Rules(), Rules(backup=False), Rules(verify="none")):
            prepared, _ = job.prepare(plan, storage, rules)
            assert codes(prepared.errors) == [("blind-write", Severity.ERROR)]
        rules = Rules(backup=False, verify="none", journal=False)
        prepared, _ = job.prepare(plan, storage, rules)
        assert codes(prepared.findings) == [("blind-write", Severity.WARNING)]
        outcome = phones.carry_out(bench, plan, storage, rules)
        assert [part.state for part in outcome.report.parts] == ["sent"]
        assert outcome.report.verified_bytes == 0
        assert bench.flash.luns[0].read(100, 7) == bytes(7 * 512)
        assert issubclass(BlindWriteError, EdlError)


def test_what_is_unique_is_kept_blindly_by_its_label() -> None:
    with plug("msm8974,streaming=memory") as bench:
        storage = with_table(bench).storage()
        plan = plan_on(storage, Area(0, 200, 2, 512), label="modemst1")
        prepared, _ = job.prepare(plan, storage, Rules(backup=False, verify="none"))
        assert prepared.kept == ("modemst1",)
        assert prepared.steps == ()


def test_what_counts_from_an_end_that_nobody_knows_is_refused() -> None:
    rules = Rules(backup=False, verify="none")
    with plug("msm8974,streaming=memory") as bench:
        storage = bench.storage()
        reach = storage.phone.programmer.reach_sectors
        assert reach == 1 << 32
        plan = plan_on(storage, Area(0, reach - 33, 33, 512), WHERE)
        prepared, _ = job.prepare(plan, storage, rules)
        assert "size-not-told" in [finding.code for finding in prepared.errors]
        for value, sector in ((reach - 1, 1), (7, reach - 1)):
            patch = Patch(0, sector, 512, 32, 8, value, "the other table", "patch0.xml:1")
            plan = Plan("rawprogram", "t", plan.geometry, (), (patch,))
            prepared, _ = job.prepare(plan, storage, rules)
            assert codes(prepared.errors)[:1] == [("size-not-told", Severity.ERROR)]


def test_a_job_on_a_phone_that_can_be_read_saves_and_verifies() -> None:
    with plug("msm8974") as bench:
        storage = with_table(bench).storage()
        place = storage.place(*parse_targets(["boot"]))
        assert place.area == Area(0, 100, 41, 512)
        outcome = phones.carry_out(bench, plan_on(storage, WHERE), storage)
        assert outcome.saved is not None
        assert "lun0-modemst1.bin" in outcome.saved.names
        assert outcome.report.verified_bytes == WHERE.size_bytes
        assert outcome.report.how == "reading back"


def test_a_boot_area_of_unknown_size_is_written_all_the_same() -> None:
    with plug("msm8974") as bench:
        storage = with_table(bench).storage()
        outcome = phones.carry_out(bench, plan_on(storage, Area(1, 0, 2, 512)), storage)
        assert outcome.report.verified_bytes == 1024


def test_firehose_phones_are_not_concerned() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        assert storage.phone.programmer.reach_sectors is None
        storage.phone.luns[0] = StorageInfo(memory="emmc")
        with pytest.raises(DeviceRefusedError, match="How large"):
            job.geometry(storage, {0})
    broken = Faults(unreadable=(Extent(0, 0, 34),))
    with plug(spec("sdm660", broken=broken)) as bench:
        storage = bench.storage()
        storage.phone.luns[0] = StorageInfo(memory="emmc")
        with pytest.raises(ReadFailedError):
            job.geometry(storage, {0})


# -- NAND -----------------------------------------------------------------------------------------

NAND = "msm8974,streaming=nand"


def named(bench: Bench) -> streaming.Programmer:
    programmer = bench.connect().programmer
    assert isinstance(programmer, streaming.Programmer)
    assert (programmer.memory, programmer.reach_sectors) == ("nand", None)
    return programmer


def test_nand_is_written_by_the_names_of_partitions() -> None:
    with plug(NAND) as bench:
        programmer, image, moved = named(bench), bytes(range(256)) * 800 + b"odd", list[int]()
        sent = programmer.write_partition(
            "0:AMSS", [memoryview(image)], table=TABLE, moved=moved.append
        )
        assert (sent, sum(moved)) == (len(image), len(image))
        start = PARTITIONS.index("0:AMSS") * PARTITION_SECTORS
        written = bench.flash.luns[0].read(start, 401)
        assert written == image + b"\xff" * (401 * 512 - len(image))
        with pytest.raises(NoReadingError, match="only writes partitions by their names"):
            programmer.read(WHERE, lambda _: None)
        with pytest.raises(WrongStorageError):
            programmer.program(WHERE, [memoryview(DATA)])


@pytest.mark.parametrize(
    ("name", "size", "table", "kind", "words"),
    [
        ("0:NOPE", 512, b"", WrongStorageError, "no partition 0:NOPE"),
        ("0:AMSS", 512, TABLE + b"more", WrongStorageError, "differs"),
        ("0:AMSS", 512, b"something else", WrongStorageError, "unknown format"),
        ("0:AMSS", PARTITION_SECTORS * 512 + 1, b"", WriteFailedError, "partition is full"),
    ],
)
def test_what_nand_does_not_take(
    name: str, size: int, table: bytes, kind: type[EdlError], words: str
) -> None:
    with plug(NAND) as bench:
        programmer = named(bench)
        with pytest.raises(kind, match=words):
            programmer.write_partition(name, [memoryview(bytes(size))], table=table)


def test_on_nand_nothing_is_sent_twice_that_may_have_been_taken() -> None:
    damaged = wrap(b"\x08\0\0\0\0")[:-2] + b"\x7e"
    ready = (*OPENED[:3], wrap(b"\x0d\7\0\0\0no eMMC"), wrap(b"\x1c\0"))
    programmer = talk(*ready, damaged, wrap(b"\x08\0\0\0\0"))
    programmer.start()
    with pytest.raises(ProtocolError, match="damaged frame"):
        programmer.write_partition("0:AMSS", [memoryview(bytes(512))])
    refused = wrap(b"\x0d\x17\0\0\0crc")
    programmer = talk(*ready, refused, wrap(b"\x08\0\0\0\0"), wrap(b"\x16"))
    programmer.start()
    assert programmer.write_partition("0:AMSS", [memoryview(bytes(512))]) == 512
