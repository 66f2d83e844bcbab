# SPDX-License-Identifier: BSD-3-Clause
"""From every state that a phone can be found in to a configured programmer, or to a true word.

The states are those of the attach ladder (research: sahara.md 11) and of public reports.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from edl.device import connect, dialogue, ladder
from edl.device.phone import Wishes
from edl.errors import (
    AccessError,
    AuthorizationError,
    CrashDumpError,
    DeviceGoneError,
    EdlError,
    InterruptedUploadError,
    MuteError,
    NoDeviceError,
    ProgrammerFailedError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.firehose.commands import Area
from edl.identity import PhoneIdentity
from edl.sahara.packets import Mode
from edl.virtual.bootrom import CommandMode, PkHashForm, chip_id_answer
from edl.virtual.crashdump import CrashDump, Region
from edl.virtual.faults import Place
from edl.virtual.imageload import ImageKind
from edl.virtual.profiles import PROFILES, SERIAL, TEST_ROOT_SHA256
from edl.virtual.programmer.board import Quirks
from edl.virtual.saved import State
from tests import phones
from tests.phones import Bench, plug, spec

ALL = pytest.mark.parametrize("profile", phones.ALL)
_HWIDS = {
    "msm8916": 0x007050E1 << 32,
    "msm8953": 0x000460E1 << 32,
    "sdm660": 0x0008C0E1 << 32,
    "qcm2290": 0x001860E1 << 32,
    "qcm2290-ufs": 0x001860E1 << 32,
}
_GENERATIONS = {"msm8916": 1, "msm8953": 1, "sdm660": 2, "qcm2290": 3, "qcm2290-ufs": 3}


def works(bench: Bench) -> bool:
    """Tell whether a sector of the connected phone can be written and read back."""
    phone = bench.connect()
    area = Area(0, 100, 1, phone.sector_bytes)
    data = bytes(range(256)) * (phone.sector_bytes // 256)
    phone.programmer.program(area, [memoryview(data)])
    got = bytearray()
    phone.programmer.read(area, got.extend)
    return got == data


# -- the boot ROM ---------------------------------------------------------------------------------


@ALL
def test_a_fresh_boot_rom(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        assert phone.identity.hwid == _HWIDS[profile]
        assert phone.identity.serial == SERIAL
        assert phone.serial == "1a2b3c4d"
        assert phone.identity.pk_hash == bench.virtual.profile.rom.fuses.pk_hash
        assert phone.identity.sahara_version == 2
        assert bench.loaders_asked == [phone.identity]
        assert phone.programmer.generation == _GENERATIONS[profile]
        assert not phone.attached
        assert bench.virtual.exits == ["start"]
        # no zero-length packet, neither behind blocks of the image nor behind commands
        assert not any(zlp for _, zlp in bench.transports[0].written)


@pytest.mark.parametrize("kind", [ImageKind.ELF32, ImageKind.ELF64])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_and_width_of_sahara(version: int, kind: ImageKind) -> None:
    profile = "msm8916" if kind is ImageKind.ELF32 else "sdm660"
    rom = {"version": version, "short_hello": version == 1, "image_kind": kind}
    with plug(spec(profile, rom=rom)) as bench:
        assert works(bench)
        assert (
            f"image 13 sent, {39516 if kind is ImageKind.ELF32 else 52017} bytes"
            in (bench.stages["upload"])
        )


def test_version_3_tells_the_chip_in_its_own_way() -> None:
    hwid = 0x001860E1_0051_1234
    rom = {"version": 3, "chip_id": chip_id_answer(7, 0x9003, hwid), "serial_extra": b"\1\0\0\0"}
    with plug(spec("qcm2290", rom=rom)) as bench:
        identity = bench.connect().identity
        assert identity.hwid == hwid
        assert identity.serial == SERIAL
        assert identity.soc_version == 0x9003 << 16
        assert identity.pk_hash == bench.virtual.profile.rom.fuses.pk_hash


@pytest.mark.parametrize("form", list(PkHashForm))
def test_every_form_of_the_key_hash(form: PkHashForm) -> None:
    with plug(spec("sdm660", rom={"pk_hash_form": form})) as bench:
        assert bench.connect().identity.pk_hash == TEST_ROOT_SHA256


@pytest.mark.parametrize("mode", [CommandMode.REFUSED, CommandMode.IGNORED, CommandMode.SILENT])
def test_a_boot_rom_that_does_not_tell_who_it_is(mode: CommandMode) -> None:
    with plug(spec("sdm660", rom={"command_mode": mode})) as bench:
        assert works(bench)
        assert bench.loaders_asked == [PhoneIdentity(sahara_version=2)]


@pytest.mark.parametrize("mode", [CommandMode.REFUSED, CommandMode.SILENT])
def test_a_boot_rom_that_cannot_start_over_is_knocked_at(mode: CommandMode) -> None:
    with plug(spec("sdm660", rom={"command_mode": mode, "knows_restart": False})) as bench:
        with pytest.raises(EdlError):
            bench.connect()
        bench.enter_edl()
        assert bench.connect(Wishes(identify=False)).identity == PhoneIdentity()


def test_nobody_is_asked_who_they_are_against_the_users_wish() -> None:
    with plug("sdm660") as bench:
        phone = bench.connect(Wishes(identify=False))
        assert phone.identity == PhoneIdentity()
        assert phone.serial == "1a2b3c4d"  # as the programmer says


@pytest.mark.parametrize("refused", [0x01, 0x02, 0x03])
def test_a_question_that_is_refused_ends_the_questions(refused: int) -> None:
    with plug(spec("sdm660", rom={"refused": frozenset({refused})})) as bench:
        identity = bench.connect().identity
        told = [identity.serial is not None, identity.hwid is not None, bool(identity.pk_hash)]
        assert told == [number < refused for number in (1, 2, 3)]


def test_a_hello_that_another_program_has_eaten() -> None:
    known = PhoneIdentity(serial=SERIAL, hwid=_HWIDS["sdm660"])
    with plug(spec("sdm660", faults=("hello-eaten",))) as bench:
        phone = bench.connect(known=known)
        assert bench.loaders_asked == [known]
        assert phone.identity == known
        assert (
            bench.stages["connect"]
            == "the phone does not greet: asking what runs on it (step 2 of 4)"
        )


def test_bytes_of_somebody_else_before_the_hello() -> None:
    with plug(spec("sdm660", faults=("garbage@in-transfer:0",))) as bench:
        assert works(bench)


def test_nonsense_in_command_mode_costs_only_the_identity() -> None:
    with plug(spec("sdm660", faults=("corrupt@in:52",))) as bench:
        assert works(bench)
        assert bench.loaders_asked[0].serial is None


@pytest.mark.parametrize("awaited", [40, 4096])
def test_an_upload_that_an_earlier_run_left_halfway(awaited: int) -> None:
    with plug(spec("sdm660", rom={"awaits_bytes": awaited})) as bench:
        bench.virtual.profile = PROFILES["sdm660"]  # after its reset it awaits nothing
        assert bench.connect().identity.serial == SERIAL
        assert bench.virtual.exits == ["reset", "start"]


def test_an_upload_left_halfway_again_and_again_is_told() -> None:
    with plug(spec("sdm660", rom={"awaits_bytes": 40})) as bench:
        with pytest.raises(
            InterruptedUploadError, match="stuck in an interrupted upload"
        ) as caught:
            bench.connect()
        assert "power button" in caught.value.remedies[0]


def test_an_upload_left_halfway_on_a_phone_that_does_not_reset() -> None:
    rom = {"awaits_bytes": 40, "mute_after_reset": True}
    with (
        plug(spec("sdm660", rom=rom)) as bench,
        pytest.raises(InterruptedUploadError, match="stuck"),
    ):
        bench.connect()


def test_a_boot_rom_that_has_been_asked_for_an_image_already() -> None:
    with plug("sdm660") as bench:
        transport = bench.open()
        transport.read(1)
        transport.write(bytes.fromhex("0200000030000000 02000000 01000000") + bytes(32), 1)
        phone = bench.connect(transport=transport)
        assert phone.identity == PhoneIdentity()
        assert bench.virtual.exits == ["start"]


def test_a_boot_rom_in_command_mode_already() -> None:
    with plug("sdm660") as bench:
        transport = bench.open()
        transport.read(1)
        hello = struct.pack("<6I", 2, 0x30, 2, 1, 0, 3)
        transport.write(hello + bytes(24), 1)
        assert bench.connect(transport=transport).programmer.generation == 2


def test_a_phone_that_offers_a_crash_dump() -> None:
    dump = CrashDump((Region(0x1000, b"memory", "OCIMEM", "OCIMEM.BIN"),))
    with plug(spec("sdm660", rom={"crash_dump": dump})) as bench:
        with pytest.raises(CrashDumpError, match="crash-dump mode"):
            bench.connect()
        assert bench.loaders_asked == []


def test_a_phone_that_only_says_that_it_crashed() -> None:
    with plug(spec("sdm660", rom={"hello_mode": Mode.MEMORY_DEBUG})) as bench:
        assert works(bench)


def test_a_phone_that_says_that_it_crashed_and_nothing_more() -> None:
    rom = {"hello_mode": Mode.MEMORY_DEBUG}
    phone = spec("sdm660", rom=rom, faults=("freeze@in-transfer:1",))
    with plug(phone) as bench, pytest.raises(CrashDumpError, match="crash-dump mode"):
        bench.connect()


# -- loaders --------------------------------------------------------------------------------------


def test_the_wrong_loader_is_refused_and_another_one_can_follow() -> None:
    with plug("sdm660") as bench:
        with pytest.raises(ProgrammerRefusedError, match="The phone refused"):
            bench.connect(loader=lambda _: {13: _loader("qcm2290")})
        bench.hang_up()
        assert bench.virtual.state is State.BOOT_ROM  # it has been reset
        assert works(bench)


@pytest.mark.parametrize("images", [{}, {13: b""}, {13: b"\x7fELF"}, {7: b"NPRG"}])
def test_a_loader_that_is_missing_or_cut_short(images: dict[int, bytes]) -> None:
    with plug("sdm660") as bench:
        with pytest.raises(ProgrammerRefusedError):
            bench.connect(loader=lambda _: images)
        bench.hang_up()
        assert works(bench)


def test_the_remedy_for_a_modem_is_its_own() -> None:
    with plug(spec("sdm660", rom={"image_ids": (7, 13)})) as bench:
        with pytest.raises(ProgrammerRefusedError) as caught:
            bench.connect()
        assert "NPRG" in caught.value.remedies[0]


@pytest.mark.parametrize("announced", [False, True])
def test_a_phone_that_starts_from_several_images(announced: bool) -> None:
    data = _loader("sdm660")
    rom = {"image_ids": (33, 34, 13), "announces_last": announced}
    with plug(spec("sdm660", rom=rom)) as bench:
        bench.connect(loader=lambda _: {33: data, 34: data, 13: data})
        assert bench.virtual.exits == ["start"]


def test_a_chain_may_leave_the_bus_between_two_images() -> None:
    data = _loader("sdm660")
    rom = {"image_ids": (33, 34, 36, 13), "leaves_between": True}
    with plug(spec("sdm660", rom=rom)) as bench:
        bench.connect(loader=lambda _: dict.fromkeys((13, 33, 34, 36), data))
        assert bench.virtual.exits == ["next", "next", "next", "start"]
        assert bench.stages["connect"] == "the phone comes back on the bus for the next image"


@pytest.mark.parametrize("spare", [(), (38,)])
def test_a_chain_that_begins_again_has_crashed(spare: tuple[int, ...]) -> None:
    """All images were taken, or the same ones are asked for again: it makes no progress."""
    images = dict.fromkeys((13, 33, *spare), _loader("sdm660"))
    with plug(spec("sdm660,usb3=yes", rom={"image_ids": (33, 13)})) as bench:

        def reopen() -> phones.Watched:
            bench.virtual.enter_edl()
            return bench.open()

        with pytest.raises(ProgrammerFailedError, match="came back in EDL mode without it"):
            connect.connect(bench.open(), lambda _: images, Wishes(), reopen=reopen)
        assert bench.virtual.exits == ["start"] * (1 + len(spare))


def test_a_boot_rom_that_awaits_a_zero_length_packet() -> None:
    """It stalls until one comes; qdl sends one always, and that breaks others (qdl#320)."""
    with plug("sdm660") as bench:
        transport = bench.open()
        blocked = iter([True, False])

        def swallow() -> None:
            if transport.written and transport.written[-1][0] == 4096 and next(blocked, False):
                raise TransportTimeoutError("nothing")

        transport.before_read = swallow
        bench.connect(transport=transport)
        assert (0, True) in transport.written


def _loader(profile: str) -> bytes:
    with plug(profile) as other:
        return dict(other.loader(PhoneIdentity()))[13]


# -- the start of the programmer ------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])
def test_a_programmer_that_comes_back_on_the_bus(profile: str) -> None:
    with plug(f"{profile},usb3=yes") as bench:
        assert works(bench)
        assert bench.stages["connect"] == "the programmer comes back on the bus"
        assert bench.transports[-1].inner.packet_bytes == 1024
        assert len(bench.transports) == 2


def test_a_phone_that_the_system_lists_for_a_while_after_it_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with plug("qcm2290,usb3=yes") as bench:
        first = bench.open()

        def reopen() -> phones.Watched:
            return bench.open() if len(waits) > 2 else first

        phone = connect.connect(first, bench.loader, Wishes(), reopen=reopen)
        assert phone.identity.serial == SERIAL
        assert len(waits) == 3


def test_a_phone_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with plug("qcm2290,usb3=yes") as bench:
        first = bench.open()
        with pytest.raises(DeviceGoneError):
            connect.connect(first, bench.loader, Wishes(), reopen=lambda: first)
        assert 1 < sum(waits) < 10


def test_a_programmer_that_left_for_good() -> None:
    with plug("qcm2290,usb3=yes") as bench:
        transport = bench.open()
        with pytest.raises(DeviceGoneError):
            connect.connect(transport, bench.loader, Wishes())


def _first_command(profile: str) -> int:
    """Return how many transfers go to the phone before its programmer gets a command."""
    with plug(profile) as bench:
        transport = bench.open()
        answering = ladder.find_out(transport)
        rom = answering.boot_rom
        assert rom is not None
        assert answering.hello is not None
        rom.push_back(answering.hello)
        rom.upload(bench.loader(PhoneIdentity()))
        return bench.virtual._injector.counts[Place.OUT_TRANSFER]


@ALL
@pytest.mark.parametrize("seconds", [2, 4, 8])
def test_a_programmer_that_takes_its_time_to_start(profile: str, seconds: int) -> None:
    fault = f"freeze@out-transfer:{_first_command(profile)}:{seconds}"
    with plug(spec(profile, faults=(fault,))) as bench:
        bench.connect(Wishes(identify=False))
        assert seconds <= bench.virtual_seconds < seconds + 3


@ALL
@pytest.mark.parametrize("late", range(40))
def test_answers_that_come_late_are_not_taken_for_others(profile: str, late: int) -> None:
    """Something that the phone says arrives when it has been given up and asked for again."""
    with plug(spec(profile, faults=(f"freeze@in-transfer:{late}:2.5",))) as bench:
        assert works(bench)


@ALL
@pytest.mark.parametrize(
    "quirks",
    [Quirks(silent_start=True), Quirks(glued=True), Quirks(late_logs=True)],
    ids=["silent", "glued", "late"],
)
def test_programmers_with_manners_of_their_own(profile: str, quirks: Quirks) -> None:
    with plug(spec(profile, quirks=quirks)) as bench:
        phone = bench.connect()
        sectors = bench.flash.luns[0].sectors
        assert phone.luns[0].sectors == sectors
        assert phone.programmer.memory == bench.flash.kind
        bench.hang_up()
        assert works(bench)


@ALL
def test_a_programmer_that_never_answers(profile: str) -> None:
    with plug(spec(profile, quirks=Quirks(mute_after=0))) as bench:
        with pytest.raises(ProgrammerFailedError, match="did not answer <configure>") as caught:
            bench.connect()
        assert "variant of the programmer" in caught.value.remedies[1]
        assert 10 < bench.virtual_seconds < 60


@ALL
def test_a_programmer_that_answers_nonsense(profile: str) -> None:
    with plug(spec(profile, quirks=Quirks(garbage_after=0))) as bench:
        with pytest.raises(ProgrammerFailedError, match="did not answer <configure>"):
            bench.connect()
        assert 10 < bench.virtual_seconds < 60


@ALL
def test_a_programmer_that_logs_without_end(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_LOGS", 500)
    phone = spec(profile, quirks=Quirks(chatter_after=0))
    with plug(phone) as bench, pytest.raises(ProtocolError, match="'still busy 500'"):
        bench.connect()


# -- a programmer that runs already ---------------------------------------------------------------


@ALL
def test_a_programmer_that_runs_already(profile: str) -> None:
    known = PhoneIdentity(serial=1, hwid=2)
    with plug(profile, running=True) as bench:
        phone = bench.connect(known=known)
        assert phone.attached
        assert phone.identity == known
        assert bench.loaders_asked == []
        assert phone.programmer.generation == _GENERATIONS[profile]
        assert bench.stages["found"] == "a programmer is running already; going on with it"


@ALL
def test_a_banner_that_nobody_has_read(profile: str) -> None:
    with plug(profile) as bench:
        bench.connect()
        bench.hang_up()
    with plug(profile) as bench:
        transport = bench.open()
        ladder.find_out(transport)
        bench.hang_up()
        bench.virtual._start_programmer()
        phone = bench.connect()
        assert phone.attached
        assert phone.programmer.generation == _GENERATIONS[profile]
        functions = phone.programmer.greeting.functions
        assert (functions is None) == (phone.programmer.generation == 1)


@ALL
@pytest.mark.parametrize("sectors", [1, 3, 700])
def test_a_read_that_an_earlier_run_left_halfway(profile: str, sectors: int) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        bench.flash.luns[0].write(0, _noise(1 << 20))
        area = Area(0, 0, sectors, phone.sector_bytes)
        with pytest.raises(KeyboardInterrupt):
            phone.programmer.read(area, _interrupt)
        bench.hang_up()
        assert works(bench)


@ALL
def test_an_answer_that_an_earlier_run_did_not_read(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        transport = bench.transports[0]

        def stop() -> None:
            raise KeyboardInterrupt

        transport.before_read = stop
        with pytest.raises(KeyboardInterrupt):
            phone.programmer.sha256(Area(0, 0, 8, phone.sector_bytes))
        bench.hang_up()
        assert works(bench)


@ALL
def test_a_write_that_an_earlier_run_left_halfway(profile: str) -> None:
    """The programmer takes all for data: nothing helps but the power button."""
    with plug(profile) as bench:
        phone = bench.connect()
        unit = phone.sector_bytes
        with pytest.raises(KeyboardInterrupt):
            phone.programmer.program(Area(0, 0, (2 << 20) // unit, unit), _chunks_then_interrupt())
        bench.hang_up()
        before = [change for change in bench.changes if change.sectors]
        with pytest.raises(MuteError, match="an interrupted write") as caught:
            bench.connect()
        assert "power button" in caught.value.remedies[0]
        after = [change for change in bench.changes if change.sectors]
        assert after == before  # what we said to find out was not taken for data
        bench.enter_edl()
        assert works(bench)


def _interrupt(_: memoryview) -> None:
    raise KeyboardInterrupt


def _chunks_then_interrupt() -> Iterator[memoryview]:
    yield memoryview(bytes(1 << 20))
    raise KeyboardInterrupt


def _noise(size: int) -> bytes:
    return (b"\x9b\x17noise that is no packet" * (size // 16))[:size]


def test_a_phone_that_is_in_the_middle_of_something_endless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ladder, "_MAX_LEFTOVER_BYTES", 1 << 20)
    with plug("sdm660") as bench:
        phone = bench.connect()
        bench.flash.luns[0].write(0, _noise(4 << 20))
        with pytest.raises(KeyboardInterrupt):
            phone.programmer.read(Area(0, 0, 8192, 512), _interrupt)
        bench.hang_up()
        with pytest.raises(ProtocolError, match="sends without end"):
            bench.connect()


# -- the cable, the system, other programs --------------------------------------------------------


def test_a_mute_phone() -> None:
    with plug(spec("sdm660", faults=("freeze@in:0",))) as bench:
        with pytest.raises(MuteError, match="connected but mute") as caught:
            bench.connect()
        assert "power button" in caught.value.remedies[0]
        assert bench.virtual_seconds < 30


def test_a_phone_that_takes_nothing() -> None:
    phone = spec("sdm660", faults=("freeze@out:0",))
    with plug(phone) as bench, pytest.raises(TransportTimeoutError, match="in time"):
        bench.connect()


def test_a_phone_that_takes_nothing_and_says_nothing() -> None:
    phone = spec("sdm660", faults=("freeze@out:0", "freeze@in:0"))
    with plug(phone) as bench, pytest.raises(MuteError, match="but mute"):
        bench.connect()


def test_a_driver_that_holds_the_phone_is_sent_away() -> None:
    with plug("sdm660,driver=qcserial") as bench:
        assert works(bench)


@pytest.mark.parametrize(
    ("fault", "words"), [("busy", "another program or driver"), ("denied", "permission denied")]
)
def test_a_phone_that_may_not_be_opened(fault: str, words: str) -> None:
    with plug(spec("sdm660", faults=(fault,))) as bench, pytest.raises(AccessError, match=words):
        bench.connect()


def test_a_phone_that_is_busy_for_a_moment() -> None:
    with plug(spec("sdm660", faults=("busy:1",))) as bench:
        with pytest.raises(AccessError):
            bench.open()
        assert works(bench)


def test_no_phone() -> None:
    with plug("sdm660") as bench:
        bench.virtual.unplug()
        with pytest.raises(NoDeviceError):
            bench.open()


# -- locks ----------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(("lock", "word"), [("xiaomi", "authorisation"), ("vip", "VIP")])
@pytest.mark.parametrize("running", [False, True], ids=["fresh", "running"])
def test_a_makers_lock_stops_everything_at_once(
    profile: str, lock: str, word: str, running: bool
) -> None:
    with plug(f"{profile},lock={lock}", running=running) as bench:
        with pytest.raises(AuthorizationError, match=word) as caught:
            bench.connect()
        assert caught.value.device_log
        assert caught.value.remedies
        commands = bench.transports[0].commands
        assert commands in (["nop"], ["nop", "configure"], ["configure"])
        assert running or commands == ["configure"]
        assert bench.changes == []
