# SPDX-License-Identifier: BSD-3-Clause
"""Every command, on every generation, when all goes well and when it does not."""

from __future__ import annotations

import hashlib
import random

import pytest

from edl.device import dialogue
from edl.device.phone import Phone
from edl.errors import (
    AuthorizationError,
    DeviceGoneError,
    DeviceRefusedError,
    EdlError,
    ProtocolError,
    ReadFailedError,
    TransportTimeoutError,
    WriteFailedError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.firehose.commands import Area, Power
from edl.virtual.faults import Place, parse_fault
from edl.virtual.programmer.board import VIP_LOCK, XIAOMI_LOCK, Lock, Quirks
from edl.virtual.saved import State
from edl.virtual.storage import Extent, Faults
from tests import phones
from tests.phones import Script, plug, spec
from tests.virtual.disks import make_bootable

ALL = pytest.mark.parametrize("profile", phones.ALL)
DIGESTS = pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])


def area(phone: Phone, start: int, sectors: int, lun: int = 0) -> Area:
    return Area(lun, start, sectors, phone.sector_bytes)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def read(phone: Phone, where: Area) -> bytes:
    data = bytearray()
    phone.programmer.read(where, data.extend)
    return bytes(data)


def program(phone: Phone, where: Area, data: bytes) -> None:
    chunks = (memoryview(data)[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20))
    phone.programmer.program(where, chunks)


def still_works(phone: Phone) -> bool:
    """Tell whether the session goes on as if nothing had been: answers belong to questions."""
    where, data = area(phone, 300, 5), noise(5 * phone.sector_bytes, seed=9)
    program(phone, where, data)
    told = phone.programmer.sha256(where)
    return read(phone, where) == data and told in {None, hashlib.sha256(data).digest()}


def put(script: Script, phone: Phone) -> None:
    """Put script in the place of the transport that phone uses."""
    phone.programmer._talk._transport = script  # type: ignore[attr-defined]


# -- read -----------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("sectors", [0, 1, 31, 32, 33, 600])
def test_sectors_arrive_as_they_are(profile: str, sectors: int) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        data = noise(sectors * phone.sector_bytes)
        if data:
            bench.flash.luns[0].write(17, data)
        assert read(phone, area(phone, 17, sectors)) == data
        assert still_works(phone)


@ALL
def test_sectors_that_look_like_the_programmers_own_words(profile: str) -> None:
    words = b'<?xml version="1.0" ?><data><response value="NAK" rawmode="false" /></data>'
    with plug(profile) as bench:
        phone = bench.connect()
        data = words.ljust(phone.sector_bytes, b"\n") * 50
        bench.flash.luns[0].write(0, data)
        assert read(phone, area(phone, 0, 50)) == data


@ALL
@pytest.mark.parametrize("bad", [17, 40, 56])
def test_a_sector_that_cannot_be_read_ends_in_a_no(profile: str, bad: int) -> None:
    """All bytes come all the same, most of them stale: only the last word tells."""
    with plug(spec(profile, broken=Faults(unreadable=(Extent(0, bad, 1),)))) as bench:
        phone = bench.connect()
        got: list[int] = []
        with pytest.raises(ReadFailedError, match="LUN 0, sectors 17 to 56"):
            phone.programmer.read(area(phone, 17, 40), lambda data: got.append(len(data)))
        assert sum(got) == 40 * phone.sector_bytes
        assert still_works(phone)


@ALL
def test_reading_past_the_end_is_refused(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        total = bench.flash.luns[0].sectors
        with pytest.raises(DeviceRefusedError):
            read(phone, area(phone, total - 8, 16))
        with pytest.raises(DeviceRefusedError):
            read(phone, area(phone, total + 1, 16))
        assert still_works(phone)


@ALL
def test_the_wrong_sector_size_is_named(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        wrong = 4608 - phone.sector_bytes
        with pytest.raises(WrongSectorSizeError):
            read(phone, Area(0, 0, 4, wrong))
        with pytest.raises(WrongSectorSizeError):
            program(phone, Area(0, 0, 4, wrong), bytes(4 * wrong))
        assert bench.changes == []
        assert still_works(phone)


@ALL
def test_a_lun_that_does_not_exist(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        for command in (
            lambda: read(phone, area(phone, 0, 4, lun=7)),
            lambda: program(phone, area(phone, 0, 4, lun=7), bytes(4 * phone.sector_bytes)),
        ):
            with pytest.raises(WrongStorageError):
                command()
        assert bench.changes == []
        assert still_works(phone)


def test_a_programmer_that_ends_a_read_early() -> None:
    """A yes with bytes missing is no yes."""
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script()
        script.say(b'<?xml version="1.0" ?><data><response value="ACK" rawmode="true" /></data>')
        script.say(bytes(512))
        script.say(b'<?xml version="1.0" ?><data><response value="ACK" rawmode="false" /></data>')
        put(script, phone)
        with pytest.raises(ProtocolError, match="512 bytes missing"):
            read(phone, area(phone, 0, 2))


def test_a_programmer_that_sends_sectors_without_an_answer() -> None:
    """Those of TCL do: bkerler/edl#232, #740."""
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script()
        script.say(b"\x5a" * 1024)
        script.say(b'<?xml version="1.0" ?><data><response value="ACK" rawmode="false" /></data>')
        put(script, phone)
        assert read(phone, area(phone, 0, 2)) == b"\x5a" * 1024


def test_a_programmer_that_gives_up_within_the_data() -> None:
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script()
        script.say(b'<?xml version="1.0" ?><data><response value="ACK" rawmode="true" /></data>')
        script.say(b'<?xml version="1.0" ?><data><log value="Read failed at sector 0" /></data>')
        script.say(b'<?xml version="1.0" ?><data><response value="NAK" rawmode="false" /></data>')
        put(script, phone)
        with pytest.raises(ReadFailedError):
            read(phone, area(phone, 0, 2))


# -- program --------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("sectors", [0, 1, 31, 32, 33, 2049])
def test_sectors_are_written_and_nothing_beside_them(profile: str, sectors: int) -> None:
    with plug(spec(profile, sectors={0: 2200, 1: 64})) as bench:
        phone = bench.connect()
        bench.flash.luns[0].write(0, b"\xee" * (2200 * phone.sector_bytes))
        data = noise(sectors * phone.sector_bytes)
        program(phone, area(phone, 17, sectors), data)
        whole = bench.flash.luns[0].read(0, 2200)
        unit = phone.sector_bytes
        assert whole[17 * unit : (17 + sectors) * unit] == data
        assert whole.count(b"\xee" * unit) >= 2200 - sectors
        assert set(whole[: 17 * unit]) == {0xEE} == set(whole[(17 + sectors) * unit :])
        assert still_works(phone)


@ALL
def test_every_transfer_that_fills_its_packets_is_closed(profile: str) -> None:
    """And no command is: real-programmer.md 7, the ZLP matrix."""
    with plug(profile) as bench:
        phone = bench.connect()
        transport = bench.transports[0]
        transport.written.clear()
        size = 3 * phone.programmer.payload_bytes + phone.sector_bytes
        program(phone, area(phone, 0, size // phone.sector_bytes), noise(size))
        data = [(size, zlp) for size, zlp in transport.written if size % 512 == 0]
        assert data == [(phone.programmer.payload_bytes, True)] * 3 + [(phone.sector_bytes, True)]
        assert all(not zlp for size, zlp in transport.written if size % 512)


@ALL
@pytest.mark.parametrize("bad", [17, 40, 56])
def test_a_sector_that_cannot_be_written_ends_in_a_no(profile: str, bad: int) -> None:
    """All data is taken; the no comes behind it."""
    with plug(spec(profile, broken=Faults(unwritable=(Extent(0, bad, 1),)))) as bench:
        phone = bench.connect()
        with pytest.raises(WriteFailedError, match="LUN 0, sectors 17 to 56") as caught:
            program(phone, area(phone, 17, 40), noise(40 * phone.sector_bytes))
        assert caught.value.device_log
        assert still_works(phone)


@ALL
def test_flash_that_takes_no_more_writes(profile: str) -> None:
    with plug(f"{profile},flash=read-only") as bench:
        phone = bench.connect()
        with pytest.raises(WriteFailedError):
            program(phone, area(phone, 0, 3000), noise(3000 * phone.sector_bytes))
        assert bench.flash.luns[0].read(0, 16) == bytes(16 * phone.sector_bytes)
        assert len(read(phone, area(phone, 0, 5))) == 5 * phone.sector_bytes


@ALL
def test_a_range_that_the_maker_forbids_is_refused_before_any_data(profile: str) -> None:
    quirks = Quirks(restricted=(Extent(0, 64, 64),))
    with plug(spec(profile, quirks=quirks)) as bench:
        phone = bench.connect()
        where = area(phone, 60, 8)
        with pytest.raises(DeviceRefusedError, match="neither every command"):
            program(phone, where, bytes(where.size_bytes))
        with pytest.raises(DeviceRefusedError, match="neither every command"):
            read(phone, where)
        with pytest.raises(DeviceRefusedError, match="neither every command"):
            phone.programmer.sha256(where)
        assert bench.changes == []
        assert still_works(phone)


@ALL
def test_too_little_data_is_our_own_mistake(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        with pytest.raises(RuntimeError, match="were given for"):
            program(phone, area(phone, 0, 4), bytes(phone.sector_bytes))


@ALL
@pytest.mark.parametrize("seconds", [1.7, 15])
def test_slow_flash_is_waited_for(profile: str, seconds: float) -> None:
    with plug(spec(profile, broken=Faults(slow=((Extent(0, 20, 1), seconds),)))) as bench:
        phone = bench.connect()
        data = noise(200 * phone.sector_bytes)
        program(phone, area(phone, 10, 200), data)
        assert read(phone, area(phone, 10, 200)) == data
        assert bench.virtual_seconds >= 2 * seconds


def test_flash_that_never_gets_on_is_given_up() -> None:
    with plug(spec("sdm660", broken=Faults(slow=((Extent(0, 20, 1), 3600),)))) as bench:
        phone = bench.connect()
        with pytest.raises(TransportTimeoutError):
            program(phone, area(phone, 10, 200), noise(200 * 512))
        assert bench.virtual_seconds < 180


@pytest.mark.parametrize(
    "answer",
    [
        b'<response value="ACK" />',
        b'<response value="ACK" rawmode="false" />',
    ],
)
def test_a_yes_without_raw_mode_is_no_yes(answer: bytes) -> None:
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script()
        script.say(b'<?xml version="1.0" ?><data>' + answer + b"</data>")
        put(script, phone)
        with pytest.raises(ProtocolError, match="does not wait for data"):
            program(phone, area(phone, 0, 1), bytes(512))


def test_a_no_in_the_middle_of_the_data_ends_it() -> None:
    """A USB error on the phone's side: real-programmer.md 7, AttemptRetry."""
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script(blocks_after=3)
        prolog = b'<?xml version="1.0" ?><data>'
        script.say(prolog + b'<response value="ACK" rawmode="true" /></data>')
        script.say(prolog + b'<log value="USB read has failed. Returned 0 bytes." /></data>')
        script.say(prolog + b'<response value="ACK" /></data>')
        script.say(prolog + b'<response value="NAK" rawmode="false" AttemptRetry="1" /></data>')
        put(script, phone)
        with pytest.raises(WriteFailedError) as caught:
            program(phone, area(phone, 0, 640), bytes(640 * 512))
        assert caught.value.device_log == ("USB read has failed. Returned 0 bytes.",)
        assert script.taken == 3


def test_words_without_end_in_the_middle_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_STALE", 50)
    with plug("sdm660") as bench:
        phone = bench.connect()
        script = Script(blocks_after=1)
        prolog = b'<?xml version="1.0" ?><data>'
        script.say(prolog + b'<response value="ACK" rawmode="true" /></data>')
        for _ in range(100):
            script.say(prolog + b'<response value="ACK" /></data>')
        put(script, phone)
        with pytest.raises(ProtocolError, match="sends without end"):
            program(phone, area(phone, 0, 640), bytes(640 * 512))


@ALL
def test_logs_that_block_the_phone_are_read(profile: str) -> None:
    """Write errors are logged while data still comes: nothing moves until they are read."""
    broken = Faults(unwritable=(Extent(0, 20, 1),))
    with plug(spec(profile, broken=broken)) as bench:
        phone = bench.connect()
        size = 6 * phone.programmer.payload_bytes
        with pytest.raises(WriteFailedError):
            program(phone, area(phone, 10, size // phone.sector_bytes), noise(size))
        assert bench.logs
        assert still_works(phone)


# -- digests --------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("sectors", [1, 33, 700])
def test_the_phone_computes_digests(profile: str, sectors: int) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        data = noise(sectors * phone.sector_bytes)
        bench.flash.luns[0].write(3, data)
        digest = phone.programmer.sha256(area(phone, 3, sectors))
        assert digest == hashlib.sha256(data).digest()
        assert phone.programmer.digest_works


@ALL
def test_digests_that_trail_their_answer_are_heard(profile: str) -> None:
    with plug(spec(profile, quirks=Quirks(late_logs=True))) as bench:
        phone = bench.connect()
        data = noise(40 * phone.sector_bytes)
        bench.flash.luns[0].write(3, data)
        for _ in range(3):
            digest = phone.programmer.sha256(area(phone, 3, 40))
            assert digest == hashlib.sha256(data).digest()


@ALL
def test_a_yes_without_a_digest_is_a_no(profile: str) -> None:
    """Generations 1 and 2 say yes, and no digest, when a sector cannot be read."""
    with plug(spec(profile, broken=Faults(unreadable=(Extent(0, 20, 1),)))) as bench:
        phone = bench.connect()
        with pytest.raises(ReadFailedError):
            phone.programmer.sha256(area(phone, 3, 40))
        assert still_works(phone)


@ALL
def test_a_programmer_without_digests_is_asked_once(profile: str) -> None:
    quirks = Quirks(missing=frozenset({"getsha256digest"}))
    with plug(spec(profile, quirks=quirks)) as bench:
        phone = bench.connect()
        for _ in range(2):
            assert phone.programmer.sha256(area(phone, 0, 1)) is None
        listed = phone.programmer.greeting.functions is not None
        assert bench.transports[0].commands.count("getsha256digest") == (0 if listed else 1)
        assert phone.programmer.digest_works is False


def test_a_flat_yes_is_no_digest() -> None:
    with plug("msm8916") as bench:
        phone = bench.connect()
        script = Script()
        script.say(b'<?xml version="1.0" ?><data><response value="ACK" /></data>')
        put(script, phone)
        assert phone.programmer.sha256(area(phone, 0, 1)) is None
        assert phone.programmer.digest_works is False


# -- erase ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["msm8916", "msm8953", "sdm660"])
def test_erase_is_never_sent_to_generations_that_wipe_the_lun(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        with pytest.raises(RuntimeError, match="whole LUN"):
            phone.programmer.erase(area(phone, 8, 4))
        assert "erase" not in bench.transports[0].commands
        assert bench.changes == []


@pytest.mark.parametrize("profile", ["qcm2290", "qcm2290-ufs"])
def test_erase_takes_just_what_it_is_told(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        where = area(phone, 8, 4)
        phone.programmer.erase(where)
        assert bench.changes == [where]
        assert "INFO: Erasing start sector 8, num sectors 4" in bench.logs


# -- the last words -------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(("action", "state"), [(Power.RESET, State.BOOTED), (Power.OFF, State.OFF)])
def test_the_phone_restarts_or_goes_off(profile: str, action: Power, state: State) -> None:
    with plug(profile) as bench:
        make_bootable(bench.flash)
        phone = bench.connect()
        phone.programmer.power(action)
        assert bench.virtual.state is state


@ALL
def test_the_phone_comes_back_in_edl_mode(profile: str) -> None:
    with plug(profile) as bench:
        make_bootable(bench.flash)
        phone = bench.connect()
        phone.programmer.power(Power.EDL)
        generation_1 = phone.programmer.generation == 1  # where it means a plain reset
        assert bench.virtual.state is (State.BOOTED if generation_1 else State.BOOT_ROM)


@ALL
def test_a_phone_that_leaves_before_it_answers_has_obeyed(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        injector = bench.virtual._injector
        injector.pending.append(parse_fault(f"unplug@in:{injector.counts[Place.IN] + 1}"))
        phone.programmer.power(Power.RESET)
        assert bench.virtual.state is State.UNPLUGGED


def test_a_phone_that_stays_and_says_nothing_has_not_obeyed() -> None:
    with plug("sdm660") as bench:
        phone = bench.connect()
        put(Script(), phone)
        with pytest.raises(TransportTimeoutError):
            phone.programmer.power(Power.RESET)


@ALL
def test_which_lun_to_boot_from(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        value = 1 if bench.flash.kind == "ufs" else 0
        phone.programmer.set_bootable(value)
        assert bench.flash.bootable == value


def test_a_boot_lun_that_does_not_exist() -> None:
    with plug("qcm2290-ufs") as bench:
        phone = bench.connect()
        with pytest.raises(DeviceRefusedError):
            phone.programmer.set_bootable(5)


# -- a programmer that fails in the middle --------------------------------------------------------


@ALL
@pytest.mark.parametrize("command", ["read", "program", "sha256", "ping"])
@pytest.mark.parametrize("how", ["mute", "garbage", "chatter"])
def test_a_programmer_that_goes_wrong(
    profile: str, command: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "_MAX_LOGS", 300)
    with plug(spec(profile)) as bench:
        bench.connect()
        packets = len(bench.transports[0].commands)
    quirks = {
        "mute": Quirks(mute_after=packets),
        "garbage": Quirks(garbage_after=packets),
        "chatter": Quirks(chatter_after=packets),
    }[how]
    with plug(spec(profile, quirks=quirks)) as bench:
        phone = bench.connect()
        where = area(phone, 0, 40)
        run = {
            "read": lambda: read(phone, where),
            "program": lambda: program(phone, where, bytes(where.size_bytes)),
            "sha256": lambda: phone.programmer.sha256(where),
            "ping": phone.programmer.ping,
        }[command]
        with pytest.raises((TransportTimeoutError, ProtocolError)) as caught:
            run()
        assert caught.value.remedies
        assert bench.changes == []


@ALL
@pytest.mark.parametrize(
    "quirks", [Quirks(glued=True), Quirks(late_logs=True)], ids=["glued", "late"]
)
def test_all_commands_with_manners_of_their_own(profile: str, quirks: Quirks) -> None:
    broken = Faults(unreadable=(Extent(0, 600, 1),), unwritable=(Extent(0, 700, 1),))
    with plug(spec(profile, quirks=quirks, broken=broken)) as bench:
        phone = bench.connect()
        assert still_works(phone)
        with pytest.raises(WriteFailedError):
            program(phone, area(phone, 690, 20), noise(20 * phone.sector_bytes))
        assert still_works(phone)
        with pytest.raises((ReadFailedError, DeviceRefusedError)):
            phone.programmer.sha256(area(phone, 590, 20))
        assert still_works(phone)
        phone.programmer.power(Power.OFF)
        assert bench.virtual.state is State.OFF


@ALL
@pytest.mark.parametrize("lock", [XIAOMI_LOCK, VIP_LOCK], ids=["xiaomi", "vip"])
def test_a_lock_that_shows_late_stops_at_once(profile: str, lock: Lock) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        script = Script()
        for text in lock.texts:
            script.say(b'<?xml version="1.0" ?><data><log value="%s" /></data>' % text.encode())
        script.say(b'<?xml version="1.0" ?><data><response value="NAK" /></data>')
        put(script, phone)
        with pytest.raises(AuthorizationError):
            program(phone, area(phone, 0, 1), bytes(phone.sector_bytes))
        assert script.taken == 1


@ALL
def test_the_cable_comes_out(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        bench.virtual.unplug()
        with pytest.raises(DeviceGoneError):
            phone.programmer.ping()
        with pytest.raises(EdlError):
            read(phone, area(phone, 0, 1))


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])
def test_a_command_that_is_not_known_is_a_no(profile: str) -> None:
    """Generation 1 says yes to what it ignores, generation 3 does not answer at all."""
    quirks = Quirks(missing=frozenset({"setbootablestoragedrive", "read", "program"}))
    with plug(spec(profile, quirks=quirks)) as bench:
        phone = bench.connect()
        with pytest.raises(DeviceRefusedError):
            phone.programmer.set_bootable(0)
        with pytest.raises(DeviceRefusedError):
            read(phone, area(phone, 0, 1))
        with pytest.raises(DeviceRefusedError):
            program(phone, area(phone, 0, 1), bytes(512))
        assert bench.changes == []
