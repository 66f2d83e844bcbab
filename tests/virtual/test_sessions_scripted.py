# SPDX-License-Identifier: BSD-3-Clause
"""Words that no virtual phone says, spoken by a script: odd ones, endless ones, wrong ones."""

from __future__ import annotations

import struct

import pytest

from edl.device import dialogue, sahara
from edl.device.firehose import Programmer
from edl.device.ladder import find_out
from edl.device.sahara import BootRom
from edl.errors import (
    AuthorizationError,
    CrashDumpError,
    DeviceGoneError,
    DeviceRefusedError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area
from edl.sahara import host
from edl.sahara.packets import Mode
from tests.phones import Script

AREA = Area(0, 0, 1, 512)
HELLO = struct.pack("<6I", 1, 0x30, 2, 1, 1024, 0) + bytes(24)
CMD_READY = struct.pack("<2I", 11, 8)
DONE_RESP = struct.pack("<3I", 6, 12, 1)
DONE_RESP_MORE = struct.pack("<3I", 6, 12, 0)
RESET_RESP = struct.pack("<2I", 8, 8)
DATA = b"programmer" * 100


def end_of_image(status: int = 0, image: int = 13) -> bytes:
    return struct.pack("<4I", 4, 16, image, status)


def read_data(offset: int, length: int, image: int = 13) -> bytes:
    return struct.pack("<5I", 3, 20, image, offset, length)


def execute_resp(command: int, size: int) -> bytes:
    return struct.pack("<4I", 14, 16, command, size)


def xml(*elements: str) -> bytes:
    """Return a document in the frame of generation 3, which trails nothing."""
    prolog = '<?xml version="1.0" encoding="UTF-8" ?>'
    return f"{prolog}\n<data>\n{''.join(elements)}</data>".encode()


ACK, NAK = '<response value="ACK" />', '<response value="NAK" />'


def configured(size: int, value: str = "ACK") -> bytes:
    return xml(
        f'<response value="{value}" MemoryName="eMMC" MaxPayloadSizeToTargetInBytes="{size}" />'
    )


def greeted(*lines: bytes) -> tuple[BootRom, host.HelloSeen, Script]:
    script = Script(HELLO, *lines)
    rom = BootRom(script)
    hello = rom.next_event(1)
    assert isinstance(hello, host.HelloSeen)
    return rom, hello, script


# -- Sahara ---------------------------------------------------------------------------------------


def test_an_answer_of_no_bytes_is_an_answer() -> None:
    rom, hello, script = greeted(
        CMD_READY, execute_resp(1, 0), execute_resp(2, 0), execute_resp(3, 0), HELLO
    )
    identity = rom.identify(hello)
    assert (identity.serial, identity.hwid, identity.pk_hash) == (None, None, None)
    assert [struct.unpack_from("<I", data)[0] for data in script.written] == [2, 13, 13, 13, 12]


def test_questions_end_where_the_boot_rom_loses_interest() -> None:
    """It greets, or asks for the image, where an answer is due: the upload goes on from there."""
    rom, hello, _ = greeted(CMD_READY, HELLO, read_data(0, 64), read_data(0, 64))
    assert rom.identify(hello).serial is None
    assert rom._pushed[0] == hello


def test_stale_packets_before_the_greeting_are_passed_over() -> None:
    rom, hello, _ = greeted(CMD_READY, end_of_image(0x1F), CMD_READY, end_of_image(0x1F), HELLO)
    rom.identify(hello)
    assert rom._pushed == [hello]


@pytest.mark.parametrize("stale", [CMD_READY, end_of_image(0x1F)])
def test_packets_without_end_are_passed_over_only_so_long(
    stale: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sahara, "_MAX_STALE", 5)
    rom, hello, script = greeted(CMD_READY, end_of_image(0x1F), *[stale] * 40)
    rom.identify(hello)
    assert script.read(1)  # not all were taken


def test_a_boot_rom_that_talks_nonsense_in_command_mode_is_greeted_anew() -> None:
    rom, hello, script = greeted(b"\x99" * 24, b"\x98" * 24, end_of_image(1), HELLO)
    rom.identify(hello)
    assert rom._pushed == [hello]
    assert len(script.written) == 1  # listening was enough


def test_a_boot_rom_that_passes_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sahara, "_MAX_STALE", 3)
    rom, hello, script = greeted(end_of_image(0x18), *[end_of_image(1)] * 9)
    rom.identify(hello)
    kinds = [struct.unpack_from("<I", data)[0] for data in script.written]
    assert kinds == [2, 12, 19, 2]  # command mode, switch mode, start over, knock


def test_what_comes_late_is_taken_before_the_next_word() -> None:
    class Late(Script):
        """Takes nothing until what it says has been read."""

        def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
            if self._lines:
                raise TransportTimeoutError("it wants to be heard first")
            self.written.append(b"taken")

    script = Late(HELLO)
    rom = BootRom(script)
    rom.send(b"12345678")
    assert script.written == [b"taken"]
    assert isinstance(rom.next_event(1), host.HelloSeen)


def test_a_packet_that_is_never_taken() -> None:
    rom = BootRom(Script(blocks_after=0))
    with pytest.raises(TransportTimeoutError):
        rom.send(b"12345678")


def test_a_packet_that_is_taken_in_part() -> None:
    class Half(Script):
        def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
            self.written.append(b"half")
            raise TransportTimeoutError("half", done_bytes=4)

    script = Half()
    with pytest.raises(TransportTimeoutError):
        BootRom(script).send(b"12345678")
    assert script.written == [b"half"]


def test_an_upload_from_hello_to_the_first_words_of_the_programmer() -> None:
    rom, hello, script = greeted(
        read_data(0, 100), read_data(100, 900), end_of_image(), DONE_RESP_MORE + xml(ACK)
    )
    rom.push_back(hello)
    rom.upload({13: DATA})
    assert script.written[1:3] == [DATA[:100], DATA[100:]]
    assert rom.leftover() == xml(ACK)


@pytest.mark.parametrize("last", [[DONE_RESP], [xml(ACK)], []], ids=["done", "xml", "silence"])
def test_ways_in_which_an_upload_ends(last: list[bytes]) -> None:
    rom, hello, _ = greeted(read_data(0, 100), end_of_image(), *last)
    rom.push_back(hello)
    rom.upload({13: DATA})


def test_an_upload_that_falls_silent_before_its_end() -> None:
    rom, hello, _ = greeted(read_data(0, 100))
    rom.push_back(hello)
    with pytest.raises(TransportTimeoutError):
        rom.upload({13: DATA})


def test_several_images_end_only_with_the_last() -> None:
    rom, hello, _ = greeted(
        read_data(0, 8, 33), end_of_image(0, 33), DONE_RESP_MORE,
        HELLO, read_data(0, 8), end_of_image(), DONE_RESP,
    )  # fmt: skip
    rom.push_back(hello)
    rom.upload({33: DATA, 13: DATA})


def test_command_mode_in_the_middle_of_an_upload_is_left() -> None:
    rom, hello, script = greeted(CMD_READY, HELLO, read_data(0, 8), end_of_image(), DONE_RESP)
    rom.push_back(hello)
    rom.upload({13: DATA})
    assert struct.unpack_from("<I", script.written[1])[0] == 12


def test_a_crash_dump_in_the_middle_of_an_upload() -> None:
    rom, hello, _ = greeted(struct.pack("<4I", 9, 16, 0x1000, 64))
    rom.push_back(hello)
    with pytest.raises(CrashDumpError, match="crash-dump mode"):
        rom.upload({13: DATA})


def test_a_packet_that_has_no_place_in_an_upload() -> None:
    rom, hello, _ = greeted()
    rom.push_back(hello)
    rom.push_back(host.ResetAnswered())
    with pytest.raises(ProtocolError, match="in the middle of the upload"):
        rom.upload({13: DATA})


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1001), (999, 2), (5000, 1), (0, 0x0FFFFFFF)], ids=str
)
def test_pieces_that_the_file_does_not_have(offset: int, length: int) -> None:
    rom, hello, script = greeted(read_data(offset, length), end_of_image(8), RESET_RESP)
    rom.push_back(hello)
    with pytest.raises(ProgrammerRefusedError, match="which has 1000") as caught:
        rom.upload({13: DATA})
    assert "cut short" in caught.value.remedies[0]
    resets = [data for data in script.written if data[0] == 7]
    assert len(resets) == 2  # the first one was taken for data


def test_a_phone_that_asks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sahara, "_MAX_EVENTS", 10)
    rom, hello, _ = greeted(*[read_data(0, 100)] * 20)
    rom.push_back(hello)
    with pytest.raises(ProtocolError, match="without end"):
        rom.upload({13: DATA})


def test_a_block_that_fills_its_packets_is_nudged_only_where_nothing_comes() -> None:
    class Slow(Script):
        """Says nothing more until a zero-length packet comes."""

        def read(self, timeout_s: float) -> memoryview:
            if len(self.written) == 2 and timeout_s < 5:
                raise TransportTimeoutError("it waits")
            return super().read(timeout_s)

    big = DATA * 2
    slow = Slow(HELLO, read_data(0, 512), end_of_image(), DONE_RESP)
    rom = BootRom(slow)
    rom.push_back(rom.next_event(1))
    rom.upload({13: big})
    assert slow.written[1:3] == [big[:512], b""]
    script = Script(HELLO, read_data(0, 512) + read_data(512, 512), end_of_image(), DONE_RESP)
    rom = BootRom(script)
    rom.push_back(rom.next_event(1))
    rom.upload({13: big})
    assert b"" not in script.written


def test_a_nudge_that_is_not_taken_is_no_failure() -> None:
    class Deaf(Script):
        def read(self, timeout_s: float) -> memoryview:
            if len(self.written) == 2 and timeout_s < 5:
                raise TransportTimeoutError("it thinks")
            return super().read(timeout_s)

        def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
            if zlp:
                raise TransportTimeoutError("it did not wait for this")
            super().write(data, timeout_s)  # type: ignore[arg-type]

    script = Deaf(HELLO, read_data(0, 512), end_of_image(), DONE_RESP)
    rom = BootRom(script)
    rom.push_back(rom.next_event(1))
    rom.upload({13: DATA})


def test_a_reset_that_nobody_answers() -> None:
    script = Script()
    BootRom(script).reset()
    assert len(script.written) == 1


def test_a_reset_that_is_answered_with_other_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sahara, "_MAX_STALE", 3)
    script = Script(*[HELLO] * 20)
    BootRom(script).reset()
    assert len(script.written) == 2


# -- what answers ---------------------------------------------------------------------------------


def test_a_memory_offer_out_of_the_blue() -> None:
    with pytest.raises(CrashDumpError, match="crash-dump mode"):
        find_out(Script(struct.pack("<4I", 9, 16, 0x1000, 64)))


def test_a_programmer_whose_words_begin_late_in_a_transfer() -> None:
    answering = find_out(Script(b"\0\0\r\n" + xml(ACK)))
    assert answering.programmer_first is not None
    assert answering.programmer_first.endswith(xml(ACK))


def test_a_programmer_behind_a_packet() -> None:
    answering = find_out(Script(CMD_READY[:4], CMD_READY[4:] + xml(ACK)))
    assert answering.boot_rom is not None


def test_words_of_a_programmer_in_pieces() -> None:
    answering = find_out(Script(b"<?x", b"ml version='1.0' ?><data>"))
    assert answering.boot_rom is None


def test_a_greeting_that_says_crash_and_asks_for_no_image() -> None:
    crashed = HELLO[:20] + struct.pack("<I", Mode.MEMORY_DEBUG) + HELLO[24:]
    with pytest.raises(CrashDumpError, match="crash-dump mode"):
        find_out(Script(crashed, end_of_image(0x18)))


# -- Firehose -------------------------------------------------------------------------------------


def test_offers_that_never_meet() -> None:
    lines = [configured(size, "NAK") for size in (524288, 262144, 131072, 65536)]
    with pytest.raises(DeviceRefusedError):
        Programmer(Script(*lines)).configure("emmc")


@pytest.mark.parametrize("size", [0, 100, 511])
def test_an_offer_that_is_none(size: int) -> None:
    with pytest.raises(DeviceRefusedError):
        Programmer(Script(configured(size, "NAK"))).configure("emmc")


@pytest.mark.parametrize("size", [0, 1 << 20, 1 << 21, 1 << 40])
def test_a_yes_that_grants_all_and_more(size: int) -> None:
    programmer = Programmer(Script(configured(size)))
    programmer.configure("emmc")
    assert programmer.payload_bytes == 1 << 20


def test_a_yes_that_grants_less_is_asked_again() -> None:
    script = Script(configured(20000), configured(16384))
    programmer = Programmer(script)
    programmer.configure("emmc")
    assert programmer.payload_bytes == 16384
    assert b'MaxPayloadSizeToTargetInBytes="16384"' in script.written[1]


def test_stale_answers_before_the_one_to_configure() -> None:
    programmer = Programmer(Script(xml(NAK), xml(NAK), xml(ACK), configured(1 << 20)))
    programmer.configure("emmc")
    assert programmer.memory == "emmc"


def test_nothing_but_stale_answers() -> None:
    programmer = Programmer(Script(*[xml(NAK)] * 10))
    with pytest.raises(DeviceRefusedError):
        programmer.configure("emmc")


def test_a_digest_of_a_size_that_no_phone_has_is_not_awaited_for_ever() -> None:
    patience: list[float] = []

    class Mute(Script):
        def read(self, timeout_s: float) -> memoryview:
            patience.append(timeout_s)
            return super().read(timeout_s)

    programmer = Programmer(Mute())
    with pytest.raises(TransportTimeoutError):
        programmer.sha256(Area(0, 0, 2**60, 512))
    assert 512 * 2**30 / 2**25 <= max(patience) < 86400


def test_a_port_without_zero_length_packets_says_so() -> None:
    script = Script(configured(1 << 20))
    script.sends_zlp = False
    Programmer(script).configure("emmc")
    assert b'ZlpAwareHost="0"' in script.written[0]


def test_a_command_that_is_never_taken() -> None:
    with pytest.raises(TransportTimeoutError, match="did not answer <nop>"):
        Programmer(Script(blocks_after=0)).ping()


def test_a_command_that_is_taken_in_part() -> None:
    class Half(Script):
        def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
            raise TransportTimeoutError("half", done_bytes=4)

    with pytest.raises(ProtocolError, match="took only a part of <nop>"):
        Programmer(Half()).ping()


def test_an_answer_that_follows_the_word_that_there_is_none() -> None:
    lost = '<log value="ERROR: Failed to run the last command -1" />'
    assert not Programmer(Script(xml(lost), xml(NAK))).ping()
    assert not Programmer(Script(xml(lost))).ping()
    assert Programmer(Script(xml(lost), xml(ACK))).ping()


LOST = xml('<log value="ERROR: Failed to run the last command -1" />')  # Boox Poke 6, qdl#295


def calls(name: str) -> bytes:
    return xml(f'<log value="INFO: Calling handler for {name}" />')


class Slow(Script):
    """Answers the next command only after seconds, whatever it has logged before."""

    def __init__(self, *lines: bytes, answer: bytes) -> None:
        super().__init__(*lines)
        self._answer = [answer]

    def read(self, timeout_s: float) -> memoryview:
        if not self._lines and timeout_s > 1 and self._answer:
            return memoryview(self._answer.pop())
        return super().read(timeout_s)


def test_words_about_an_earlier_command_refuse_nothing() -> None:
    """Generation 3 complains of our knocking while the next command is on its way."""
    Programmer(Script(LOST, calls("setbootablestoragedrive"), xml(ACK))).set_bootable(0)
    Programmer(Script(LOST, xml(ACK))).set_bootable(0)
    raw = xml('<response value="ACK" rawmode="true" />')
    writing = Programmer(Script(configured(1 << 20), LOST, raw, xml(ACK)))
    writing.configure("emmc")
    writing.program(AREA, [memoryview(bytes(512))])
    size = xml('<log value="INFO: Device Total Logical Blocks: 0x10000" />')
    assert Programmer(Script(LOST, size, xml(ACK))).storage_info(0).sectors == 0x10000


def test_a_slow_answer_behind_words_about_an_earlier_command() -> None:
    slow = Slow(LOST, calls("setbootablestoragedrive"), answer=xml(ACK))
    Programmer(slow).set_bootable(0)


def test_a_command_that_is_never_answered_though_it_was_taken_up() -> None:
    with pytest.raises(TransportTimeoutError, match="did not answer"):
        Programmer(Script(LOST, calls("setbootablestoragedrive"))).set_bootable(0)


def test_a_command_that_is_not_understood() -> None:
    errors = xml('<log value="ERROR: Failed to parse xml, error at offset 53" />')
    for script in (Script(errors, LOST), Script(LOST, errors)):
        with pytest.raises(DeviceRefusedError, match="did not understand"):
            Programmer(script).set_bootable(0)


def test_configure_is_sent_again_where_no_answer_came() -> None:
    """The complaint may have been about our knocking; then that was no answer to <configure>."""

    class Second(Script):
        answers = 0

        def write(self, data: object, timeout_s: float, *, zlp: bool = False) -> None:
            super().write(data, timeout_s, zlp=zlp)  # type: ignore[arg-type]
            answer = (calls("configure"), configured(1 << 20))
            self.say(*answer if self.taken == self.answers else (LOST,))

    script = Second()
    script.answers = 2
    Programmer(script).configure("emmc")
    assert script.taken == 2
    deaf = Second()
    with pytest.raises(DeviceRefusedError, match="did not understand"):
        Programmer(deaf).configure("emmc")
    assert deaf.taken == 3


# greetings of programmers of generations 2 and 3: linux-msm/qdl#13, qdl commit 2576983
NOTICES = (
    "VIP - Validated Image Programming is enabled - Validation is enabled.",
    "INFO: VIP is enabled, receiving the signed table of size 8192",
)


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_of_vip_does_not_refuse_what_the_programmer_accepts(notice: str) -> None:
    log = xml(f'<log value="{notice}" />')
    said = "WARN: NAK: MaxPayloadSizeToTargetInBytes sent by host 1048576 larger than supported"
    wants = xml(f'<log value="{said} 16384" />')
    script = Script(log, wants, configured(16384, "NAK"), log, configured(16384))
    programmer = Programmer(script)
    programmer.configure("emmc")
    assert programmer.payload_bytes == 16384
    assert programmer.signs == (notice,)
    bare_first = Programmer(Script(log, xml(ACK), configured(1 << 20)))
    bare_first.configure("emmc")
    assert bare_first.memory == "emmc"


@pytest.mark.parametrize("notice", NOTICES)
def test_a_flat_no_behind_a_notice_of_vip_is_a_lock(notice: str) -> None:
    log = xml(f'<log value="{notice}" />')
    script = Script(log)
    programmer = Programmer(script)
    programmer.hear_greeting()
    script.say(xml(NAK))
    with pytest.raises(AuthorizationError, match="VIP") as caught:
        programmer.configure("emmc")
    assert script.taken == 1
    assert caught.value.device_log == (notice,)


@pytest.mark.parametrize("notice", NOTICES)
def test_silence_behind_a_notice_of_vip_is_a_lock(notice: str) -> None:
    script = Script(xml(f'<log value="{notice}" />'))
    programmer = Programmer(script)
    programmer.hear_greeting()
    with pytest.raises(AuthorizationError, match="VIP"):
        programmer.configure("emmc")
    assert script.taken == 1


# what real programmers said to <configure>, and nothing else
LOCKED = {
    "VIP": (  # Realme 8 Pro: XDA 4357885
        "INFO: Binary build date: Dec 19 2019 @ 20:53:50",
        "INFO: Chip serial num: Not shown (0xNot Shown)",
        "ERROR: Verifying signature failed with 3",
        "ERROR: Authentication of signed hash failed 0",
    ),
    "Xiaomi": (  # Redmi 9T: bkerler/edl#464
        "INFO: Calling handler for configure",
        "ERROR: Only nop and sig tag can be recevied before authentication.",
    ),
}


@pytest.mark.parametrize("lock", LOCKED)
@pytest.mark.parametrize(
    "answer", [xml(NAK), configured(16384, "NAK"), xml(ACK)], ids=["no", "offer", "bare yes"]
)
def test_a_lock_in_configure_is_asked_no_second_time(lock: str, answer: bytes) -> None:
    script = Script(*(xml(f'<log value="{line}" />') for line in LOCKED[lock]), answer)
    with pytest.raises(AuthorizationError, match=lock):
        Programmer(script).configure("ufs")
    assert script.taken == 1


def test_a_yes_with_sizes_counts_whatever_was_said_before() -> None:
    late = xml('<log value="ERROR: Signature Verification Failed." />')
    programmer = Programmer(Script(late, configured(1 << 20)))
    programmer.configure("emmc")
    assert programmer.payload_bytes == 1 << 20


def test_a_lock_that_refuses_even_to_be_pinged() -> None:
    script = Script(xml('<log value="ERROR: Verifying signature failed with 3" />'), xml(NAK))
    with pytest.raises(AuthorizationError, match="VIP"):
        Programmer(script).ping()
    assert script.taken == 1


def test_a_forbidden_question_is_one_without_an_answer() -> None:
    """Motorola's texts: what its programmer forbids is not the end of everything."""
    forbidden = xml('<log value="ERROR: handler getstorageinfo is restricted!" />')
    programmer = Programmer(Script(forbidden, xml(NAK)))
    assert programmer.storage_info(0) == StorageInfo()
    assert programmer.signs == ("ERROR: handler getstorageinfo is restricted!",)


@pytest.mark.parametrize(
    ("line", "maker"),
    [
        ("ERROR: read on PrimaryGPT:6:2 not allowed on external network", "Oplus"),
        ("ERROR: The operation is not allowed for read", "vivo"),  # bkerler/edl#288
    ],
)
def test_a_lock_that_lets_itself_be_configured(line: str, maker: str) -> None:
    no = xml('<response value="NAK" rawmode="false" />')
    script = Script(configured(1 << 20), xml(f'<log value="{line}" />'), no)
    programmer = Programmer(script)
    programmer.configure("ufs")
    with pytest.raises(AuthorizationError, match=maker) as caught:
        programmer.read(AREA, lambda _: None)
    assert maker in caught.value.remedies[0]
    assert script.taken == 2


def test_signs_are_kept_once_and_not_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_SIGNS", 2)
    ranges = [
        f'<log value="ERROR: range restricted: lun=0, start_sector={n}, num_sectors=8" />'
        for n in (0, 0, 8, 16)
    ]
    programmer = Programmer(Script(*map(xml, ranges), xml(ACK)))
    programmer.ping()
    assert [line[-22:-15] for line in programmer.signs] == ["ector=0", "ector=8"]


def test_junk_before_and_behind() -> None:
    assert Programmer(Script(b"junk" * 20, xml(ACK))).ping()
    sink = bytearray()
    raw = '<response value="ACK" rawmode="true" />'
    end = '<response value="ACK" rawmode="false" />'
    script = Script(xml(raw), bytes(512), b"junk" * 20, xml(end))
    Programmer(script).read(AREA, sink.extend)
    assert sink == bytes(512)


def test_words_of_the_phone_in_the_middle_of_a_read() -> None:
    raw = '<response value="ACK" rawmode="true" />'
    script = Script(xml(raw), xml('<log value="reading" />'), bytes(512), xml(ACK))
    sink = bytearray()
    Programmer(script).read(AREA, sink.extend)
    assert sink == bytes(512)


def test_data_that_nobody_asked_for() -> None:
    """Sectors where a command awaits its answer: their programmer is out of step with us."""
    raw = '<response value="ACK" rawmode="true" />'
    programmer = Programmer(Script(xml(raw) + bytes(100)))
    programmer._talk.host.expect_raw(512, 512)
    programmer._talk.host.receive(bytes(512), whole_transfer=True)
    with pytest.raises(ProtocolError, match="Raw data came"):
        programmer._talk.answer("nop", 1)


@pytest.mark.parametrize("line", [b"junk" * 20, xml("<nothing />")], ids=["junk", "nothing"])
def test_words_without_end_are_no_answer(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_STALE", 50)
    with pytest.raises((ProtocolError, TransportTimeoutError)):
        Programmer(Script(*[line] * 60)).ping()


def test_a_greeting_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_STALE", 50)
    with pytest.raises(ProtocolError, match="sends without end"):
        Programmer(Script(*[xml(ACK)] * 60)).hear_greeting()


def test_documents_without_end_that_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_MAX_STALE", 50)
    empty = xml('<other value="" />')
    with pytest.raises(ProtocolError, match="sends without end"):
        Programmer(Script(*[empty] * 60)).ping()


def test_last_words_of_a_phone_that_leaves() -> None:
    """What trails a refusal is read as far as it goes; the refusal is what counts."""

    class Leaving(Script):
        def read(self, timeout_s: float) -> memoryview:
            if not self._lines:
                raise DeviceGoneError("it left")
            return super().read(timeout_s)

    with pytest.raises(DeviceRefusedError, match="refused <setbootablestoragedrive>"):
        Programmer(Leaving(xml(NAK))).set_bootable(0)


def test_a_refusal_without_a_reason_says_so() -> None:
    with pytest.raises(DeviceRefusedError, match="It gave no reason"):
        Programmer(Script(xml(NAK))).set_bootable(0)


def test_a_storage_that_trails_its_answer() -> None:
    info = Programmer(
        Script(xml(ACK), xml('<log value="num_partition_sectors=4096" />'))
    ).storage_info(0)
    assert info.sectors == 4096


def test_a_refusal_that_nothing_explains_says_what_to_do() -> None:
    with pytest.raises(DeviceRefusedError) as caught:
        Programmer(Script(xml('<log value="ERROR: no" />', NAK))).storage_info(0)
    assert type(caught.value) is DeviceRefusedError
    assert "once more" in caught.value.remedies[0]
