# SPDX-License-Identifier: BSD-3-Clause
"""The boot ROM driven directly, against the transcripts of real phones in sahara.md, section 15."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from edl.sahara.packets import Exec, Mode
from edl.virtual.bootrom import (
    CommandMode,
    PkHashForm,
    RomConfig,
    SaharaStatus,
    boot_rom,
    chip_id_answer,
)
from edl.virtual.crashdump import CrashDump, Region
from edl.virtual.imageload import ImageKind, LoadedImage
from edl.virtual.link import Exit, Firmware, Receive, Send
from edl.virtual.verifier import Fuses
from loaders import make_dummies
from loaders.images import Binding, Recipe, elf_image
from loaders.signing import VENDOR, VENDOR_EC
from tests.virtual.roms import MSM8916, QCM2290, SM8450, fuses_of

HELLO_V2 = "01000000 30000000 02000000 01000000 00040000 00000000" + "00" * 24
HELLO_RESP_V2 = "02000000 30000000 02000000 01000000 00000000 00000000" + "00" * 24
DONE = "05000000 08000000"
RESET, RESET_RESP = "07000000 08000000", "08000000 08000000"


def with_mode(packet: str, mode: int) -> str:
    """Return HELLO or HELLO_RESP with another mode, which lies at 0x14 in both."""
    raw = bytes.fromhex(packet)
    return (raw[:0x14] + struct.pack("<I", mode) + raw[0x18:]).hex()


class Talk:
    """A dialogue with a boot ROM, one transfer at a time."""

    def __init__(self, config: RomConfig) -> None:
        self.loaded: list[LoadedImage] = []
        self._rom: Firmware = boot_rom(config, self.loaded.append)
        self.request = next(self._rom)

    def device(self, expected: str) -> None:
        """The phone sends exactly this."""
        assert self.take().hex() == bytes.fromhex(expected).hex()

    def take(self) -> bytes:
        """Return what the phone sends."""
        assert isinstance(self.request, Send)
        data = bytes(self.request.data)
        self.request = self._rom.send(None)
        return data

    def host(self, data: str | bytes) -> None:
        """The host sends this; it fits into what the phone waits for."""
        data = bytes.fromhex(data) if isinstance(data, str) else data
        assert isinstance(self.request, Receive)
        assert len(data) <= self.request.max_bytes
        self.request = self._rom.send(data)

    def silent(self) -> None:
        assert isinstance(self.request, Receive)

    def left(self, reason: str) -> None:
        assert self.request == Exit(reason)
        with pytest.raises(StopIteration):
            self._rom.send(None)

    def serve(self, image: bytes) -> list[tuple[int, int, int]]:
        """Send the pieces that the phone asks for; return (image id, offset, length) of each."""
        asked = []
        while isinstance(self.request, Send):
            packet = bytes(self.request.data)
            form = {0x03: "<5I", 0x12: "<2I3Q"}.get(packet[0])
            if form is None:
                break
            _, _, number, offset, length = struct.unpack(form, self.take())
            asked.append((number, offset, length))
            self.host(image[offset : offset + length])
        return asked


def begin(config: RomConfig) -> Talk:
    """Return a dialogue in which the image transfer is about to begin."""
    talk = Talk(config)
    talk.take()
    talk.host(HELLO_RESP_V2)
    return talk


def test_upload_with_64_bit_requests_as_in_t1() -> None:
    image = make_dummies.qcm2290()
    talk = Talk(QCM2290)
    talk.device(HELLO_V2)
    talk.host(HELLO_RESP_V2)
    talk.device("12000000 20000000 0d00000000000000 0000000000000000 4000000000000000")
    talk.host(image[:0x40])
    talk.device("12000000 20000000 0d00000000000000 4000000000000000 e000000000000000")
    talk.host(image[0x40:0x120])
    talk.device("12000000 20000000 0d00000000000000 0010000000000000 0010000000000000")
    talk.host(image[0x1000:0x2000])
    asked = talk.serve(image)
    assert {number for number, _, _ in asked} == {13}
    assert [offset for _, offset, _ in asked[1:]] == list(range(0x3000, 0xB000, 0x1000))
    talk.device("04000000 10000000 0d000000 00000000")
    talk.host(DONE)
    talk.device("06000000 0c000000 01000000")
    talk.left("start")
    assert [segment[0] for segment in talk.loaded[0].segments] == [0x0C100000, 0x0C108000]
    assert b"".join(data for _, data in talk.loaded[0].segments) == image[0x3000:]


def test_upload_with_32_bit_requests_and_the_pending_quirk_as_in_t2() -> None:
    image = make_dummies.msm8916()
    talk = Talk(replace(MSM8916, done_status=0))
    talk.device(HELLO_V2)
    talk.host(HELLO_RESP_V2)
    talk.device("03000000 14000000 0d000000 00000000 34000000")
    talk.host(image[:0x34])
    talk.device("03000000 14000000 0d000000 34000000 80000000")
    talk.host(image[0x34:0xB4])
    talk.device("03000000 14000000 0d000000 00100000 00100000")
    talk.host(image[0x1000:0x2000])
    talk.serve(image)
    talk.device("04000000 10000000 0d000000 00000000")
    talk.host(DONE)
    talk.device("06000000 0c000000 00000000")
    talk.left("start")


def test_identity_as_in_t3() -> None:
    fuses = Fuses(hwid=0x008050E1_0017_BF01, serial=0x1E76093A, pk_hash=bytes(range(48)))
    talk = Talk(RomConfig(fuses, pk_hash_form=PkHashForm.TRIPLED))
    talk.device(HELLO_V2)
    talk.host(
        "02000000 30000000 02000000 01000000 00000000 03000000 01000000 02000000"
        "03000000 04000000 05000000 06000000"
    )
    talk.device("0b000000 08000000")
    talk.host("0d000000 0c000000 01000000")
    talk.device("0e000000 10000000 01000000 04000000")
    talk.host("0f000000 0c000000 01000000")
    talk.device("3a09761e")
    talk.host("0d000000 0c000000 02000000")
    talk.device("0e000000 10000000 02000000 18000000")
    talk.host("0f000000 0c000000 02000000")
    talk.device("01bf1700e1508000" * 3)
    talk.host("0d000000 0c000000 03000000")
    talk.device("0e000000 10000000 03000000 90000000")
    talk.host("0f000000 0c000000 03000000")
    talk.device(bytes(range(48)).hex() * 3)
    talk.host("0c000000 0c000000 00000000")
    talk.device(HELLO_V2)


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (PkHashForm.PLAIN, "5a" * 48),
        (PkHashForm.TRIPLED, "5a" * 144),
        (PkHashForm.PADDED, "5a" * 48 + "00" * 96),
    ],
)
def test_pk_hash_in_the_forms_that_phones_give(form: PkHashForm, answer: str) -> None:
    talk = Talk(RomConfig(Fuses(hwid=1, pk_hash=b"\x5a" * 48), pk_hash_form=form))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.take()
    talk.host("0d000000 0c000000 03000000")
    assert talk.take()[12:] == struct.pack("<I", len(answer) // 2)
    talk.host("0f000000 0c000000 03000000")
    talk.device(answer)


def test_identity_of_version_3_as_in_t4() -> None:
    fuses = Fuses(hwid=0x0028D0E1_0051_0000, serial=0x6A6B7A58, pk_hash=bytes(48))
    talk = Talk(
        RomConfig(
            fuses,
            version=3,
            serial_extra=bytes.fromhex("43040000"),
            chip_id=chip_id_answer(0x60210200, 0xA012, fuses.hwid),
            refused=frozenset({Exec.HWID}),
        )
    )
    talk.device("01000000 30000000 03000000 01000000 00040000 00000000" + "00" * 24)
    talk.host("02000000 30000000 03000000 01000000 00000000 03000000" + "00" * 24)
    talk.device("0b000000 08000000")
    talk.host("0d000000 0c000000 01000000")
    talk.device("0e000000 10000000 01000000 08000000")
    talk.host("0f000000 0c000000 01000000")
    talk.device("587a6b6a 43040000")
    talk.host("0d000000 0c000000 0a000000")
    talk.device("0e000000 10000000 0a000000 54000000")
    talk.host("0f000000 0c000000 0a000000")
    answer = talk.take()
    assert answer[:4].hex() == "00022160"
    assert answer[0x20:0x2C].hex() == "000012a0" + "e1d02800" + "51000000"
    talk.host("0d000000 0c000000 02000000")
    talk.device("04000000 10000000 0d000000 1f000000")
    talk.host("0c000000 0c000000 00000000")
    assert talk.take()[:12].hex() == "010000003000000003000000"


def test_every_command_is_refused_as_in_t5() -> None:
    talk = Talk(
        replace(
            MSM8916,
            refused=frozenset({Exec.SERIAL, Exec.HWID, Exec.PK_HASH}),
            refusal=SaharaStatus.INVALID_CMD,
        )
    )
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.take()
    for _ in range(2):
        talk.host("0d000000 0c000000 02000000")
        talk.device("04000000 10000000 0d000000 01000000")


DUMP = CrashDump(
    (
        Region(0x80000000, bytes(16), "DDR CS0 Memory", "DDRCS0_0.BIN", listed_bytes=0x40000000),
        Region(0x14680000, b"\x0c" * 0x40000, "OCIMEM", "OCIMEM.BIN"),
    ),
    table_address=0x08600000,
)


def test_crash_dump_of_64_bits_as_in_t6() -> None:
    talk = Talk(RomConfig(MSM8916.fuses, crash_dump=DUMP))
    talk.device(with_mode(HELLO_V2, 2))
    talk.host(with_mode(HELLO_RESP_V2, 2))
    talk.device("10000000 18000000 0000600800000000 8000000000000000")
    talk.host("11000000 18000000 0000600800000000 8000000000000000")
    table = talk.take()
    assert table[:24].hex() == "010000000000000000000080000000000000004000000000"
    assert table[24:44] == b"DDR CS0 Memory".ljust(20, b"\0")
    assert table[44:64] == b"DDRCS0_0.BIN".ljust(20, b"\0")
    assert table[64:88].hex() == "010000000000000000006814000000000000040000000000"
    talk.host("11000000 18000000 0000681400000000 0000040000000000")
    talk.device("0c" * 0x40000)
    talk.host(RESET)
    talk.device(RESET_RESP)
    talk.left("reset")


def test_crash_dump_of_32_bits_and_memory_that_cannot_be_read() -> None:
    dump = replace(DUMP, bits=32)
    talk = Talk(RomConfig(MSM8916.fuses, crash_dump=dump))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 2))
    talk.device("09000000 10000000 00006008 68000000")
    talk.host("0a000000 10000000 00006008 34000000")
    assert talk.take()[:12].hex() == "010000000000008000000040"
    talk.host("0a000000 10000000 08000080 20000000")
    talk.device("04000000 10000000 0d000000 19000000")
    talk.host("0a000000 10000000 00006008 34000000")
    talk.silent()


@pytest.mark.parametrize("mode", [0, 3])
def test_crash_dump_takes_no_image(mode: int) -> None:
    config = RomConfig(MSM8916.fuses, crash_dump=DUMP, command_mode=CommandMode.REFUSED)
    talk = Talk(config)
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, mode))
    talk.device("04000000 10000000 0d000000 18000000")


def test_reading_memory_with_the_wrong_packet_is_refused() -> None:
    talk = Talk(RomConfig(MSM8916.fuses, crash_dump=DUMP))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 2))
    talk.take()
    talk.host("0a000000 10000000 00006008 34000000")
    talk.device("04000000 10000000 0d000000 01000000")


def test_boot_rom_offers_no_crash_dump() -> None:
    talk = Talk(replace(MSM8916, hello_mode=Mode.MEMORY_DEBUG))
    talk.device(with_mode(HELLO_V2, 2))
    talk.host(with_mode(HELLO_RESP_V2, 2))
    talk.device("04000000 10000000 0d000000 1b000000")


def companion(sw_id: int) -> bytes:
    recipe = Recipe(
        version=7,
        bits=64,
        digest="sha384",
        binding=Binding(SM8450.fuses.hwid, sw_id=sw_id, soc_versions=(0xA001,)),
        vendor=VENDOR_EC,
    )
    return elf_image(recipe, b"companion %d" % sw_id)


def test_chain_of_images_as_in_t7() -> None:
    multi = make_dummies.good_ones()["v7_multi.elf"]
    talk = Talk(replace(SM8450, version=3, image_ids=(59, 36, 13), announces_last=True))
    talk.device("01000000 30000000 03000000 01000000 00040000 00000000" + "00" * 24)
    talk.host(HELLO_RESP_V2)
    talk.device("12000000 20000000 3b00000000000000 0000000000000000 4000000000000000")
    talk.host(companion(0x3B)[:0x40])
    talk.serve(companion(0x3B))
    talk.device("04000000 10000000 3b000000 00000000")
    talk.host(DONE)
    talk.device("06000000 0c000000 00000000")
    assert talk.take()[0x14:0x18].hex() == "00000000"
    talk.host(HELLO_RESP_V2)
    talk.serve(companion(0x24))
    talk.device("04000000 10000000 24000000 00000000")
    talk.host(DONE)
    talk.device("06000000 0c000000 00000000")
    assert talk.take()[0x14:0x18].hex() == "01000000"
    talk.host(with_mode(HELLO_RESP_V2, 1))
    assert len(talk.serve(multi)) > 20
    talk.device("04000000 10000000 0d000000 00000000")
    talk.host(DONE)
    talk.device("06000000 0c000000 01000000")
    talk.left("start")
    assert [image.image_id for image in talk.loaded] == [59, 36, 13]


def test_host_that_lacks_an_image_sends_reset_into_the_block() -> None:
    talk = Talk(replace(SM8450, image_ids=(38, 13)))
    talk.take()
    talk.host(HELLO_RESP_V2)
    talk.take()
    talk.host(RESET)
    talk.device("04000000 10000000 26000000 08000000")
    talk.host(RESET)
    talk.device(RESET_RESP)
    talk.left("reset")


def test_blind_answer_to_a_lost_hello_as_in_t8() -> None:
    talk = Talk(replace(QCM2290, hello_eaten=True))
    talk.silent()
    talk.host(HELLO_RESP_V2)
    talk.device("12000000 20000000 0d00000000000000 0000000000000000 4000000000000000")


def test_phone_left_in_the_middle_of_a_block_as_in_t8_and_t9() -> None:
    talk = Talk(replace(QCM2290, awaits_bytes=0x800))
    talk.host(HELLO_RESP_V2)
    talk.device("04000000 10000000 0d000000 08000000")
    talk.host(HELLO_RESP_V2)
    talk.silent()
    talk.host(RESET)
    talk.device(RESET_RESP)
    talk.left("reset")


def test_rest_of_a_block_makes_no_image() -> None:
    talk = Talk(replace(QCM2290, awaits_bytes=0x800))
    talk.host(bytes(0x800))
    talk.device("04000000 10000000 0d000000 22000000")


def test_mute_after_reset_as_in_t9() -> None:
    talk = Talk(replace(MSM8916, mute_after_reset=True))
    talk.take()
    talk.host(RESET)
    talk.device(RESET_RESP)
    talk.host(RESET)
    talk.silent()
    talk.host(HELLO_RESP_V2)
    talk.silent()


def test_zero_length_packets_end_blocks_and_mean_nothing_elsewhere() -> None:
    image = make_dummies.msm8916()
    talk = begin(MSM8916)
    talk.take()
    talk.host(image[:0x34])
    talk.take()
    talk.host(image[0x34:0xB4])
    talk.take()
    talk.host(image[0x1000:0x2000])
    talk.take()
    talk.host(b"")
    talk.silent()
    talk.host(image[0x2000:0x29A8])
    talk.take()
    talk.host(b"")  # the block before was no multiple of the packet size
    talk.device("04000000 10000000 0d000000 08000000")
    talk.host(b"")
    talk.silent()


def test_short_hello_of_version_1_takes_short_and_long_answers() -> None:
    config = replace(MSM8916, version=1, short_hello=True)
    for answer in ("02000000 14000000 01000000 01000000 00000000", HELLO_RESP_V2):
        talk = Talk(config)
        talk.device("01000000 14000000 01000000 01000000 00040000")
        talk.host(answer)
        talk.device("03000000 14000000 0d000000 00000000 34000000")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"<?xml version='1.0'?>", 1),
        (b"\x3a", 1),
        (bytes.fromhex(DONE), 1),
        (bytes.fromhex("0d000000 0c000000 01000000"), 1),
        (bytes.fromhex("7f000000 08000000"), 1),
        (bytes.fromhex(HELLO_V2), 1),
        (bytes.fromhex("02000000 14000000 02000000 01000000 00000000"), 5),
        (bytes.fromhex("07000000 0c000000 00000000"), 5),
        (bytes.fromhex("02000000 30000000 00000000 00000000 00000000 00000000" + "00" * 24), 4),
        (bytes.fromhex(with_mode(HELLO_RESP_V2, 0x10)), 0x18),
    ],
)
def test_wrong_packets_in_place_of_the_answer_to_hello(sent: bytes, status: int) -> None:
    talk = Talk(MSM8916)
    talk.take()
    talk.host(sent)
    talk.device(f"04000000 10000000 0d000000 {status:02x}000000")
    talk.host(b"<?xml")
    talk.silent()
    talk.host("13000000 08000000")
    talk.device(HELLO_V2)


def test_restart_is_unknown_to_old_roms() -> None:
    talk = Talk(replace(MSM8916, knows_restart=False))
    talk.take()
    talk.host("13000000 08000000")
    talk.device("04000000 10000000 0d000000 01000000")
    talk.host("13000000 08000000")
    talk.silent()


def test_done_is_due_after_the_image() -> None:
    talk = begin(MSM8916)
    talk.serve(make_dummies.msm8916())
    talk.take()
    talk.host(HELLO_RESP_V2)
    talk.device("04000000 10000000 0d000000 01000000")


def test_command_mode_refused() -> None:
    talk = Talk(replace(MSM8916, command_mode=CommandMode.REFUSED))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.device("04000000 10000000 0d000000 18000000")


def test_command_mode_ignored() -> None:
    talk = Talk(replace(MSM8916, command_mode=CommandMode.IGNORED))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.device("03000000 14000000 0d000000 00000000 34000000")


def test_command_mode_silent() -> None:
    talk = Talk(replace(MSM8916, command_mode=CommandMode.SILENT))
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.silent()
    talk.host("0d000000 0c000000 01000000")
    talk.silent()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("0f000000 0c000000 01000000", 0x20),
        ("0d000000 0c000000 0a000000", 0x1F),
        ("0c000000 0c000000 02000000", 0x1C),
        ("05000000 08000000", 0x01),
    ],
)
def test_wrong_packets_in_command_mode(sent: str, status: int) -> None:
    talk = Talk(MSM8916)
    talk.take()
    talk.host(with_mode(HELLO_RESP_V2, 3))
    talk.take()
    talk.host(sent)
    talk.device(f"04000000 10000000 0d000000 {status:02x}000000")


def test_refused_image_leaves_a_phone_that_only_resets() -> None:
    image = make_dummies.good_ones()["v3_other_vendor.mbn"]
    talk = begin(MSM8916)
    asked = talk.serve(image)
    assert asked[-1] == (13, 0x2000, 0x9A8), "the hash segment is judged as soon as it is in"
    talk.device("04000000 10000000 0d000000 21000000")
    talk.host(HELLO_RESP_V2)
    talk.silent()
    talk.host(RESET)
    talk.device(RESET_RESP)
    talk.left("reset")
    assert not talk.loaded


def status_of(config: RomConfig, image: bytes) -> int:
    """Return the status in END_OF_IMAGE."""
    talk = begin(config)
    talk.serve(image)
    packet = talk.take()
    assert packet[:8].hex() == "0400000010000000"
    return int.from_bytes(packet[12:], "little")


def patched(image: bytes, offset: int, value: int, form: str = "<I") -> bytes:
    changed = bytearray(image)
    struct.pack_into(form, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((0, 0), 0x14),
        ((4, 2, "B"), 0x14),
        ((42, 31, "<H"), 0x0F),
        ((44, 0, "<H"), 0x0E),
        ((44, 0xFFFF, "<H"), 0x0E),
        ((52 + 32 + 16, 0x20000), 0x26),
        ((52 + 64 + 4, 0x3001), 0x22),
        ((0xA000, 0x55), 0x22),
    ],
)
def test_damaged_image_of_32_bits(
    change: tuple[int, int] | tuple[int, int, str], status: int
) -> None:
    assert status_of(MSM8916, patched(make_dummies.msm8916(), *change)) == status


def test_elf_of_the_other_width_is_refused() -> None:
    assert status_of(MSM8916, make_dummies.qcm2290()) == 0x14
    assert status_of(QCM2290, make_dummies.msm8916()) == 0x14


def test_image_that_wants_to_go_elsewhere_is_refused() -> None:
    config = replace(MSM8916, load_range=(0x0860_0000, 0x0870_0000))
    assert status_of(config, make_dummies.msm8916()) == 0x12


def test_offsets_beyond_the_wire_are_refused() -> None:
    image = patched(make_dummies.msm8916(), 28, 0xFFFFFFFF)  # e_phoff
    assert status_of(MSM8916, image) == 0x13


def test_unsigned_image_starts_where_secure_boot_is_off() -> None:
    image = make_dummies.good_ones()["v3_unsigned.mbn"]
    plain = make_dummies.bad_ones()["bad_no_hashes.elf"]
    assert status_of(MSM8916, image) == 0x23
    open_8916 = replace(MSM8916, fuses=replace(MSM8916.fuses, secure_boot=False))
    assert status_of(open_8916, image) == 0
    open_2290 = replace(QCM2290, fuses=replace(QCM2290.fuses, secure_boot=False))
    assert status_of(open_2290, plain) == 0
    assert status_of(QCM2290, plain) == 0x23


def test_image_of_another_kind_is_refused() -> None:
    image = make_dummies.good_ones()["v3_aboot.mbn"]
    assert status_of(MSM8916, image) == 0x21
    assert status_of(replace(MSM8916, sw_ids=frozenset({0x1C})), image) == 0


def test_image_with_the_80_byte_header() -> None:
    fuses = fuses_of(VENDOR, make_dummies.MSM8974)
    config = RomConfig(fuses, image_kind=ImageKind.SBL80)
    image = make_dummies.good_ones()["sbl80.mbn"]
    talk = begin(config)
    talk.device("03000000 14000000 0d000000 00000000 50000000")
    talk.host(image[:0x50])
    talk.serve(image)
    talk.device("04000000 10000000 0d000000 00000000")
    assert talk.loaded[0].segments == ((0x2A000000, image[0x50:0x2050]),)
    assert status_of(config, make_dummies.msm8916()) == 0x14
    assert status_of(config, patched(image, 0x60, 1)) == 0x21
    assert status_of(replace(config, sw_ids=frozenset({9})), image) == 0x21
