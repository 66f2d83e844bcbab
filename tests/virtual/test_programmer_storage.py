# SPDX-License-Identifier: BSD-3-Clause
"""Commands that read and write sectors. Quotes are from real-programmer.md, unless said."""

from __future__ import annotations

import binascii
import hashlib
import struct
import zlib

import pytest

from edl.virtual.programmer import Board
from edl.virtual.storage import Extent, Faults, Storage, emmc, ufs
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
    operations,
    short,
    talk_to,
)

NO_FAULTS = Faults()
FINAL_ACK, FINAL_NAK = ACK3, NAK3  # rawmode="false", in all generations


def on(command: str, start: object = 0, count: object = 1, more: str = "", lun: object = 0) -> str:
    """Return a command for sectors of 512 bytes."""
    return (
        f'<{command} SECTOR_SIZE_IN_BYTES="512" physical_partition_number="{lun}" '
        f'start_sector="{start}" num_partition_sectors="{count}" {more} />'
    )


def patch(value: str, *, offset: int = 0, size: int = 4, start: object = 5) -> str:
    return on(
        "patch",
        start,
        more=f'filename="DISK" byte_offset="{offset}" size_in_bytes="{size}" value="{value}"',
    )


def talk_with(kind: str, faults: Faults = NO_FAULTS, **configure: str) -> Talk:
    """Start a programmer on a faulty eMMC; configure it with other values."""
    talk = talk_to(kind, Board(emmc(record=True, faults=faults)), configured=False)
    body = CONFIGURE
    for name, value in configure.items():
        body = body.replace(" />", f' {name}="{value}" />')
    talk.xml(body)
    operations(talk.board)
    return talk


def user(talk: Talk, start: int, count: int) -> bytes:
    return talk.board.storage.luns[0].read(start, count)


# 5 Numbers


# start_sector: the sector that generations 1, 2 and 3 read, None where they read nothing
START_SECTORS: list[tuple[str, int | None, int | None, int | None]] = [
    # gen 1: "`0x10` → 10 … 10-3-2 = 9. > 15 digits fail. `-1` → NAK."
    ("0x10", 10, 10, 16),
    ("10-3-2", 9, 5, None),
    ("-1", None, None, None),
    ("0000000000000001", None, 1, 1),
    ("(2+3)*4-6/2", 17, 5, None),
    ("2+3*4", 14, 9, None),
    ("2*3", 6, 5, None),  # gen 2: "`2*3` → 5"
    ("5.7", 57, 57, None),  # gen 2: "`5.7` → 57"
    ("abc", None, 0, None),  # gen 2: "`abc`/empty → 0"
    ("", None, 0, None),
    ("+", None, 0, None),
    ("(", None, 0, None),
    ("7)", 7, 7, None),
    ("34.", 34, 34, None),
    ("NUM_DISK_SECTORS-33.", 65503, 65503, 65503),
    ("NUM_DISK_SECTORS-33", 65503, 65503, 65503),
    ("NUM_DISK_SECTORS", 65536, 65536, 65536),
    ("NUM_DISK_SECTORS*2", None, None, None),  # gen 2: "→ N+2"
    ("NUM_DISK_SECTORS-65537.", None, None, None),
    ("NUM_DISK_SECTORS+1", None, None, None),
    ("3-5", None, None, None),
]


@pytest.mark.parametrize("kind", KINDS)
def test_start_sector(kind: str) -> None:
    talk, came = talk_with(kind), {}
    for text, *_ in START_SECTORS:
        talk.xml(on("read", text))
        came[text] = operations(talk.board)
    wanted = {row[0]: row[GENERATION[kind]] for row in START_SECTORS}
    assert came == {
        text: [] if sector is None else [("read", 0, sector, 1)] for text, sector in wanted.items()
    }


def test_logs_about_start_sectors() -> None:
    talk = talk_with("qcm2290")
    invalid = "L[INFO: invalid start_sector result -1]"
    assert talk.texts(on("read", "x")) == [invalid, NAK3]
    assert talk.texts(on("read", "NUM_DISK_SECTORS-65537."))[:2] == [
        "L[ERROR: Asked NUM_DISK_SECTOR-65537 that is outside the total sectors 65536]",
        invalid,
    ]
    assert talk.texts(on("read", "NUM_DISK_SECTORS+1"))[0] == (
        "L[ERROR: Invalid value following NUM_DISK_SECTORS +1]"
    )


def test_division_by_zero() -> None:
    # It says "`7/0` → 0 on 8916, no answer on 8953"
    talk = talk_with("msm8916")
    talk.xml(on("read", "7/0"))
    assert operations(talk.board) == [("read", 0, 0, 1)]
    assert talk_with("msm8953").xml(on("read", "7/0")) == []


@pytest.mark.parametrize(("text", "sectors"), [("0x10", 16), ("010", 8), ("1,0", 1), ("x", 0)])
def test_plain_numbers_of_generation_1(text: str, sectors: int) -> None:
    # It says "strtoull base 0 (hex, octal!)"
    talk = talk_with("msm8953", MaxPayloadSizeToTargetInBytes="1048576")
    talk.xml(on("read", 0, text))
    assert operations(talk.board) == ([("read", 0, 0, sectors)] if sectors else [])


@pytest.mark.parametrize(("text", "offset"), [("0x10", 16), ("10.9", 10), ("1,0", 10), ("010", 10)])
def test_plain_numbers_of_generation_2(text: str, offset: int) -> None:
    # It says "decimal or 0x, `.` terminates, `,` ignored"
    talk = talk_with("sdm660")
    talk.xml(patch("1").replace('byte_offset="0"', f'byte_offset="{text}"'))
    assert user(talk, 5, 1)[offset] == 1


def test_generation_2_cannot_convert_nothing() -> None:
    came = talk_with("sdm660").texts('<read byte_offset="" />')
    assert came == [
        "L[Can't convert attribute 'byte_offset'='' to number]",
        "L[AssignAttribute failed]",
        NAK,
    ]
    came = talk_with("sdm660").texts('<ufs LUNum="8" />')
    assert came[0] == "L[Attribute 'LUNum'=8 cannot exceed 7]"


def test_generation_2_remembers_the_start_and_the_sector_size() -> None:
    # the table of missing attributes: "last/512", "last value", "0 sectors, ACK"
    talk = talk_with("sdm660")
    talk.xml(on("read", 7, 2))
    operations(talk.board)
    assert talk.texts('<read num_partition_sectors="1" />')[-1] == FINAL_ACK
    assert operations(talk.board) == [("read", 0, 7, 1)]
    assert talk.texts('<read start_sector="9" />')[-1] == FINAL_ACK
    assert operations(talk.board) == []
    assert talk.texts('<read SECTOR_SIZE_IN_BYTES="4096" num_partition_sectors="1" />')[-1] == NAK
    assert talk.texts('<read num_partition_sectors="1" />')[-1] == NAK


@pytest.mark.parametrize(
    "missing", ["SECTOR_SIZE_IN_BYTES", "start_sector", "num_partition_sectors"]
)
@pytest.mark.parametrize("command", ["read", "program", "getsha256digest"])
def test_generation_3_wants_all_attributes(command: str, missing: str) -> None:
    body = on(command).replace(missing, "x")
    log, response = talk_with("qcm2290").texts(body)
    assert log == f"L[INFO: invalid {missing} result -1]"
    assert response.startswith(NAK3[:-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["read", "program", "patch", "getsha256digest"])
def test_sector_size_must_fit(kind: str, command: str) -> None:
    body = on(command, more='filename="DISK" byte_offset="0" size_in_bytes="4" value="1"')
    came = talk_with(kind).texts(body.replace("512", "4096"))
    assert (
        came[0]
        == {
            1: "L[Sector size in XML 4096 does not match disk sector size 512]",
            2: "L[Attribute 'SECTOR_SIZE_IN_BYTES'=4096 must be equal to disk sector size 512]",
            3: "L[ERROR: sector size defined in XML (4096) different from device sector size "
            "(512)]",
        }[GENERATION[kind]]
    )
    assert came[-1].startswith('R[value="NAK"')


@pytest.mark.parametrize("command", ["read", "program", "getsha256digest", "erase"])
def test_generation_2_logs_a_missing_partition(command: str) -> None:
    came = talk_with("sdm660").texts(on(command, lun=3))
    assert came[0] == "L[ERROR: Failed to open the SDCC Device slot 0 partition 3]"
    assert came[-1] == NAK


# 6 read


@pytest.mark.parametrize("kind", KINDS)
def test_read_in_pieces_of_the_payload(kind: str) -> None:
    # It says "chunks of the configured payload size (gen 3: always 16384), one transfer each
    # (+ZLP)"
    storage = emmc()
    data = bytes(range(251)) * 200
    storage.write(0, 10, data[:40960])
    talk = talk_to(kind, Board(storage))
    talk.xml(CONFIGURE.replace("16384", "8192"))
    came = talk.xml(on("read", 10, 80))
    raw = [transfer for transfer in came if not transfer.data.startswith(b"<?xml")]
    size = 16384 if kind == "qcm2290" else 8192
    assert [len(each.data) for each in raw] == [size] * (40960 // size) + (
        [8192] if size == 16384 else []
    )
    assert all(each.zlp for each in raw)
    assert b"".join(each.data for each in raw) == data[:40960]


@pytest.mark.parametrize("kind", KINDS)
def test_the_device_sends_all_after_an_error(kind: str) -> None:
    # It says "On a storage error the device still sends the full byte count (stale buffer …),
    # then NAK";
    # no further driver call: "read num>N … disk=2049"
    talk = talk_with(kind, Faults(unreadable=(Extent(0, 40),)))
    talk.board.storage.luns[0].write(0, b"\x11" * 512 * 32)
    came = talk.xml(on("read", 0, 128))
    raw = [each.data for each in came if len(each.data) == 16384]
    assert len(raw) == 4
    assert raw == [b"\x11" * 16384] * 4
    assert operations(talk.board) == [("read", 0, 0, 32), ("read", 0, 32, 32)]
    texts = [text for text in short(came) if not text.startswith("raw")]
    error = "L[ERROR: Read Failed to read 1 slot 0, partition 32, start_sector 32 num_sectors 0, "
    assert (
        texts
        == {
            1: [ACK_RAW, "L[Read failed at sector 32]", "L[Finished sector address 0]", FINAL_NAK],
            2: [
                ACK_RAW,
                f"{error}error 3]",
                "L[Read failed at sector 32]",
                "L[ERROR 4: Line 2422: STORAGE_READ_FAILURE]",
                "L[Finished reading from sector address 0 to 128]",
                FINAL_NAK,
            ],
            3: [ACK_RAW, FINAL_NAK],
        }[GENERATION[kind]]
    )


def test_generation_2_logs_into_the_raw_data() -> None:
    # It says "gen 2 puts an XML log transfer INTO the raw stream before the bad chunk"
    talk = talk_with("sdm660", Faults(unreadable=(Extent(0, 40),)))
    kinds = [text[0] for text in short(talk.xml(on("read", 0, 96)))]
    assert "".join(kinds) == "RrLrrLLLR"


@pytest.mark.parametrize("kind", KINDS)
def test_slow_sectors_take_time(kind: str) -> None:
    talk = talk_with(kind, Faults(slow=((Extent(0, 3), 12.5),)))
    talk.xml(on("read", 0, 8))
    assert talk.slept_s == 12.5


# 7 program


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [512, 1536, 4096, 12288, 16384])
def test_transfers_of_any_multiple_of_512(kind: str, size: int) -> None:
    # It says "Host transfers of any multiple of 512 are collected up to the payload size"
    talk = talk_with(kind)
    data = bytes(range(250)) * 99
    talk.xml(on("program", 64, 48))
    came = talk.raw(data[:24576], size)
    assert short(came)[-1] == FINAL_ACK
    assert user(talk, 64, 48) == data[:24576]
    writes = [each for each in operations(talk.board) if each[0] == "write"]
    assert writes == [("write", 0, 64, 32), ("write", 0, 96, 16)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unaligned_transfer_loses_its_tail(kind: str) -> None:
    # It says "gen 1/2 drop the tail silently and wait on; gen 3 logs `Read non multiple sector
    # size value
    # from USB 1000 sectsize512` and writes the whole sectors only."
    talk = talk_with(kind)
    talk.xml(on("program", 0, 3))
    came = short(talk.send(b"a" * 1000))
    assert came == (
        ["L[ERROR: Read non multiple sector size value from USB 1000 sectsize512]"]
        if kind == "qcm2290"
        else []
    )
    assert talk.waits_for == 1024
    assert short(talk.raw(b"b" * 1024))[-1] == FINAL_ACK
    assert user(talk, 0, 3) == b"a" * 512 + b"b" * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_bytes_wait_for_ever(kind: str) -> None:
    # It says "Too few bytes: waits for ever (the next XML is eaten as data)."
    talk = talk_with(kind)
    talk.xml(on("program", 0, 8))
    talk.raw(b"a" * 1024)
    came = short(talk.xml(CONFIGURE) + talk.xml('<nop value="ping" />'))
    assert all("Read non multiple" in text for text in came)
    assert talk.left is None
    assert talk.waits_for > 0


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_bytes_are_taken_for_xml(kind: str) -> None:
    talk = talk_with(kind)
    talk.xml(on("program", 0, 1))
    assert short(talk.raw(b"a" * 512))[-1] == FINAL_ACK
    came = short(talk.send(b"a" * 100))
    assert (
        came[0]
        == {
            1: "L[XML (0 bytes) not validated]",
            2: "L[ERROR: XML not formed correctly. Expected a &lt; character at loc 0]",
            3: "L[ERROR: Failed to parse xml, error at offset 100]",
        }[GENERATION[kind]]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_error_is_told_after_all_data(kind: str) -> None:
    # It says "crossing the end is accepted, then all data is consumed and NAK rawmode="false"";
    # UFS fact 9 says "pieces 4-6 are swallowed without a driver call"
    talk = talk_with(kind)
    talk.xml(on("program", 65500, 132))
    operations(talk.board)
    came = talk.raw(b"w" * 132 * 512)
    attempts = [each for each in operations(talk.board) if each[0] == "write"]
    assert attempts == [("write", 0, 65500, 32), ("write", 0, 65532, 32)]
    assert (
        short(came)
        == {
            1: [
                "L[Write failed Sector 65532, Errno 15]",
                "L[Finished sector address 65632]",
                FINAL_NAK,
            ],
            2: [
                "L[ERROR: SDCC Error 15 (3)]",
                "L[ERROR 21: Line 2576: HANDLE_PROGRAM_FAILURE]",
                "L[Finished programming start_sector 65632 and TotalSectorsToProgram 132]",
                FINAL_NAK,
            ],
            3: [
                "L[ERROR: SDCC Error 15 (3)]",
                "L[ERROR: Write Failed sector 65532, size 32 result 3]",
                FINAL_NAK,
            ],
        }[GENERATION[kind]]
    )


def test_ufs_swallows_the_rest_after_an_error() -> None:
    # UFS fact 9: "24 sectors = 6 pieces, error at piece 3: … NAK after piece 6, next command
    # answered normally"; rxq.py
    talk = talk_to("qcm2290", Board(ufs(record=True)))
    talk.xml(on("program", 8184, 24, lun=1).replace("512", "4096"))
    piece = b"p" * 16384
    came = [short(talk.send(piece, zlp=True)) for _ in range(6)]
    assert came == [
        [],
        [],
        ["L[ERROR: UFS Error -5 (3)]", "L[ERROR: Write Failed sector 8192, size 4 result 3]"],
        [],
        [],
        [FINAL_NAK],
    ]
    assert talk.texts('<nop value="ping" />')[-1] == ACK3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "faults", [Faults(read_only=True), Faults(unwritable=(Extent(0, 3),))], ids=["all", "one"]
)
def test_refused_writes_change_nothing(kind: str, faults: Faults) -> None:
    talk = talk_with(kind, faults)
    talk.xml(on("program", 0, 8))
    assert short(talk.raw(b"w" * 4096))[-1] == FINAL_NAK
    assert user(talk, 0, 8) == bytes(4096)


@pytest.mark.parametrize("kind", ["msm8916", "msm8953"])
@pytest.mark.parametrize(
    ("more", "lost", "log"),
    [
        ("", 0, "L[Read back verify failed at sector 0,num sectors 32]"),
        ("", 40, None),
        ('read_back_verify="1"', 40, "L[Read back verify failed at sector 32,num sectors 32]"),
    ],
)
def test_generation_1_reads_back(kind: str, more: str, lost: int, log: str | None) -> None:
    # It says "gen 1 reads back and compares the first chunk, all chunks with
    # `read_back_verify="1"`"
    talk = talk_with(kind, Faults(forgotten=(Extent(0, lost),)))
    talk.xml(on("program", 0, 64, more))
    came = short(talk.raw(b"w" * 32768))
    assert (came[0] == log) == (log is not None)
    assert came[-1] == (FINAL_ACK if log is None else FINAL_NAK)


@pytest.mark.parametrize("kind", KINDS)
def test_forgotten_writes_are_acknowledged_behind_the_first_piece(kind: str) -> None:
    talk = talk_with(kind, Faults(forgotten=(Extent(0, 40, 8),)))
    talk.xml(on("program", 0, 64))
    assert short(talk.raw(b"w" * 32768))[-1] == FINAL_ACK
    assert user(talk, 40, 8) == bytes(4096)


@pytest.mark.parametrize("kind", ["msm8916", "msm8953", "sdm660"])
def test_skip_write(kind: str) -> None:
    # It says "SkipWrite="1": consumed and ACKed, nothing written."
    talk = talk_with(kind, SkipWrite="1")
    talk.xml(on("program", 0, 2))
    assert short(talk.raw(b"s" * 1024))[-1] == FINAL_ACK
    assert user(talk, 0, 2) == bytes(1024)


@pytest.mark.parametrize("kind", KINDS)
def test_firmwarewrite_takes_its_data_and_drops_it(kind: str) -> None:
    talk = talk_with(kind)
    assert talk.texts(on("firmwarewrite", 0, 2))[-1] == ACK_RAW
    assert short(talk.raw(b"s" * 1024))[-1] == FINAL_ACK
    assert operations(talk.board) == []
    talk.xml(on("program", 0, 2))
    talk.raw(b"p" * 1024)
    assert user(talk, 0, 2) == b"p" * 1024


@pytest.mark.parametrize(
    ("kind", "setting", "between"),
    [
        ("msm8916", {"AckRawDataEveryNumPackets": "2"}, [[], [ACK], []]),
        ("msm8916", {"AckRawData": "1"}, [[ACK], [ACK], [ACK]]),
        (
            "sdm660",
            {"AckRawDataEveryNumPackets": "2"},
            [[], ["L[32 sectors to go]", ACK], []],
        ),
        ("qcm2290", {"AckRawDataEveryNumPackets": "1"}, [[], [], []]),
    ],
)
def test_acknowledged_packets(kind: str, setting: dict[str, str], between: list[list[str]]) -> None:
    # It says "gen 1 a bare `<response value="ACK" />` per N packets (AckRawData="1" ≡ 1); gen 2 log
    # `%lld sectors to go` + ACK; gen 3 ignores"
    talk = talk_with(kind, NO_FAULTS, **setting)
    talk.xml(on("program", 0, 96))
    came = [short(talk.send(b"k" * 16384, zlp=True)) for _ in range(3)]
    came[-1] = [text for text in came[-1] if text == ACK]
    assert came == between


# 7 ZLP matrix


def program(kind: str, mode: str | None, *, zlp: bool) -> tuple[Talk, list[str]]:
    """Program 40 sectors as in the dialogues, and return all answers behind the first one."""
    talk = talk_to(kind, configured=False)
    body = CONFIGURE if mode is None else CONFIGURE.replace('Host="1"', f'Host="{mode}"')
    talk.xml(body if mode is not None else body.replace(' ZlpAwareHost="1"', ""))
    talk.xml(on("program", 64, 40))
    operations(talk.board)
    return talk, short(talk.send(b"A" * 16384, zlp=zlp) + talk.send(b"B" * 4096, zlp=zlp))


DATA = b"A" * 16384 + b"B" * 4096


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("mode", "zlp"), [("1", True), (None, True), ("0", False)])
def test_zlps_as_agreed(kind: str, mode: str | None, zlp: bool) -> None:
    talk, came = program(kind, mode, zlp=zlp)
    assert came[-1] == FINAL_ACK
    assert user(talk, 64, 40) == DATA
    assert talk.texts('<nop value="ping" />')[-1] in {ACK, ACK3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["1", None])
def test_promised_zlps_that_do_not_come(kind: str, mode: str | None) -> None:
    # It says "program hangs silently"
    talk, came = program(kind, mode, zlp=False)
    assert came == []
    assert talk.left is None
    assert talk.waits_for > 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_zlp_behind_the_last_payload(kind: str) -> None:
    # firehose.md 1.3: "qdlrs and edl-ng send one only after the last chunk"; they work
    talk = talk_with(kind)
    talk.xml(on("program", 64, 40))
    assert talk.send(DATA[:16384]) == []
    assert short(talk.send(DATA[16384:], zlp=True))[-1] == FINAL_ACK
    assert user(talk, 64, 40) == DATA


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_comes_in_place_of_a_zlp(kind: str) -> None:
    talk, came = program(kind, "1", zlp=False)
    assert came == []
    assert talk.texts('<nop value="ping" />').count(FINAL_ACK) == 1 + (kind == "qcm2290")
    assert user(talk, 64, 40) == DATA


@pytest.mark.parametrize("kind", ["msm8916", "msm8953", "qcm2290"])
def test_unexpected_zlps_of_generations_1_and_3(kind: str) -> None:
    # It says "gen 1, 3: works with extra zero-sector writes (gen 3 then logs `Failed to read XML
    # command
    # 0`)"
    talk, came = program(kind, "0", zlp=True)
    assert FINAL_ACK in came
    assert came[-1] == ("L[ERROR: Failed to read XML command 0]" if kind == "qcm2290" else ACK3)
    assert user(talk, 64, 40) == DATA
    writes = [each for each in operations(talk.board) if each[0] == "write"]
    assert writes == [("write", 0, 64, 32), ("write", 0, 96, 0), ("write", 0, 96, 8)]


def test_unexpected_zlps_of_generation_2() -> None:
    # It says "`USB read has failed. Returned 0 bytes.`, `ERROR 21: Line 2549:
    # HANDLE_PROGRAM_FAILURE`, NAK,
    # remaining data parsed as XML"
    talk, came = program("sdm660", "0", zlp=True)
    assert came == [
        "L[USB read has failed. Returned 0 bytes.]",
        "L[ERROR 21: Line 2549: HANDLE_PROGRAM_FAILURE]",
        FINAL_NAK,
        NAK,  # 4096 bytes of data: "exactly 4096: gen 2 NAKs without a log"
    ]
    assert talk.texts('<nop value="ping" />')[-1] == ACK


# 8 patch


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("msm8916", "01000000ffff"), ("sdm660", "010000000000"), ("qcm2290", "01000000ffff")],
)
def test_generation_2_always_patches_8_bytes(kind: str, expected: str) -> None:
    talk = talk_with(kind)
    talk.board.storage.luns[0].write(5, b"\xff" * 512)
    talk.xml(patch("1"))
    assert user(talk, 5, 1)[:6].hex() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_is_cut_at_the_end_of_its_sector(kind: str) -> None:
    talk = talk_with(kind)
    came = talk.texts(patch("0x1122334455667788" if kind == "qcm2290" else "1", offset=510, size=8))
    assert came[-1] in {ACK, ACK3}
    assert user(talk, 5, 2)[510:516].hex()[4:] == "00000000"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [512, 600, 70000])
def test_a_patch_behind_its_sector_is_lost(kind: str, offset: int) -> None:
    # It says "byte_offset beyond the sector: lost silently with ACK"
    talk = talk_with(kind)
    assert talk.texts(patch("1", offset=offset))[-1] in {ACK, ACK3}
    assert user(talk, 0, 200) == bytes(102400)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("faults", [Faults(unreadable=(Extent(0, 5),)), Faults(read_only=True)])
def test_a_patch_that_fails(kind: str, faults: Faults) -> None:
    # It says "gen 1/2 ACK even if the sector read or write failed …; gen 3 NAKs"
    came = talk_with(kind, faults).texts(patch("1"))
    assert came[-1] == (NAK3 if kind == "qcm2290" else ACK)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 92, 512, 513, 7680])
def test_crc32_is_that_of_zlib(kind: str, size: int) -> None:
    # It says "`CRC32(start,bytes)` = standard CRC-32 (zlib), checked"
    talk = talk_with(kind)
    data = bytes(range(256)) * 40
    talk.board.storage.luns[0].write(100, data)
    talk.xml(patch(f"CRC32(100,{size})"))
    assert user(talk, 5, 1)[:4] == struct.pack("<I", zlib.crc32(data[:size]))


@pytest.mark.parametrize("kind", ["msm8953", "sdm660", "qcm2290"])
def test_crc32_of_more_than_a_payload(kind: str) -> None:
    # UFS fact 10: "CRC32 over 92 … 92160 bytes"
    talk = talk_with(kind)
    data = bytes(range(256)) * 360
    talk.board.storage.luns[0].write(100, data)
    talk.xml(patch("CRC32(100,92160)"))
    assert user(talk, 5, 1)[:4] == struct.pack("<I", zlib.crc32(data))


def test_generation_1_overruns_its_memory() -> None:
    # It says "CRC length above the payload buffer overruns memory on gen 1."
    talk = talk_with("msm8916")
    talk.xml(patch("CRC32(1,16385)"))
    assert talk.left == "hang"


@pytest.mark.parametrize("kind", ["msm8916", "sdm660"])
def test_the_start_of_a_crc32_may_be_an_expression(kind: str) -> None:
    came = talk_with(kind).texts(patch("CRC32(NUM_DISK_SECTORS-(30+3),92)"))
    assert came[0].startswith("L[crc start sector")
    assert came[-1] == ACK


def test_malformed_crc32_of_generation_1_is_silent() -> None:
    talk = talk_with("msm8916")
    for value in ("CRC32", "CRC32(2)", "CRC32(2,x)"):
        assert talk.texts(patch(value)) == ["L[Invalid CRC patch value]"]


def test_malformed_crc32_of_generation_2() -> None:
    talk = talk_with("sdm660")
    assert talk.texts(patch("CRC32 1,92")) == [
        "L[Invalid CRC patch value]",
        "L[ERROR 19: Line 2110: HANDLE_PATCH_FAILURE]",
    ]


def test_a_crc32_that_cannot_be_read() -> None:
    unreadable = Faults(unreadable=(Extent(0, 200),))
    assert talk_with("msm8916", unreadable).texts(patch("CRC32(200,92)"))[-1] == ACK
    came = talk_with("sdm660", unreadable).texts(patch("CRC32(200,40960)"))
    assert came[1].startswith("L[ERROR: Read Failed to read 1 slot 0, partition 200,")
    assert came[-1] == ACK
    assert talk_with("qcm2290", unreadable).texts(patch("CRC32(200,92)")) == [
        "L[INFO: Read Failed sector 200, size 1 result 3]",
        "L[ERROR: Failed to compute CRC on given sectors 200 1]",
        NAK3,
    ]


def test_values_of_generation_3() -> None:
    # 5: "In patch values `NUM_DISK_SECTORS-6.-1` → N-6 (rest ignored)."
    talk = talk_with("qcm2290")
    assert talk.texts(patch("NUM_DISK_SECTORS-6.-1", size=8)) == [ACK3]
    assert user(talk, 5, 1)[:8] == struct.pack("<Q", 65530)
    assert talk.texts(patch("5.7")) == [NAK3]
    assert talk.texts(patch("NUM_DISK_SECTORS-99999"))[-1] == NAK3


def test_values_of_generations_1_and_2() -> None:
    for kind in ("msm8916", "sdm660"):
        talk = talk_with(kind)
        assert talk.texts(patch("NUM_DISK_SECTORS-6.", size=8))[-1] == ACK
        assert user(talk, 5, 1)[:8] == struct.pack("<Q", 65530)
    assert talk_with("msm8916").texts(patch("abc")) == [NAK]
    assert talk_with("msm8953").xml(patch("7/0")) == []


@pytest.mark.parametrize("missing", ["byte_offset", "size_in_bytes", "filename"])
def test_generation_1_is_silent_if_a_patch_lacks_something(missing: str) -> None:
    # firehose.md 2.5
    assert talk_with("msm8916").xml(patch("1").replace(missing, "x")) == []


# 9 erase


@pytest.mark.parametrize("kind", KINDS)
def test_erase_of_a_range(kind: str) -> None:
    talk = talk_with(kind)
    assert talk.texts(on("erase", 64, 8, 'storagedrive="0"'))[-1] in {ACK, ACK3}
    whole = [("erase", 0, 0, 65535)]
    assert operations(talk.board) == (whole if GENERATION[kind] == 1 else [("erase", 0, 64, 8)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "missing", ["SECTOR_SIZE_IN_BYTES", "start_sector", "num_partition_sectors"]
)
def test_erase_without_one_attribute_takes_the_whole_lun(kind: str, missing: str) -> None:
    talk = talk_with(kind)
    talk.xml(on("erase", 64, 8, 'storagedrive="0"').replace(missing, "x"))
    (erased,) = operations(talk.board)
    if (kind, missing) == ("sdm660", "SECTOR_SIZE_IN_BYTES"):  # "SECTOR_SIZE not needed"
        assert erased == ("erase", 0, 64, 8)
    else:
        assert erased == ("erase", 0, 0, 65535 if GENERATION[kind] == 1 else 65536)


def test_erase_of_generation_3_does_not_compare_the_sector_size() -> None:
    # UFS fact 7: "(same on eMMC with 4096)"
    talk = talk_with("qcm2290")
    talk.xml(on("erase", 8, 8).replace("512", "4096"))
    assert operations(talk.board) == [("erase", 0, 8, 8)]


@pytest.mark.parametrize("kind", KINDS)
def test_erase_that_fails(kind: str) -> None:
    came = talk_with(kind, Faults(read_only=True)).texts(on("erase", 0, 8, 'storagedrive="0"'))
    assert came[-1] == (NAK3 if kind == "qcm2290" else NAK)


def test_generation_1_wants_a_partition_that_exists() -> None:
    came = talk_with("msm8953").texts('<erase physical_partition_number="7" />')
    assert came == ["L[Invalid physical partition 7]", NAK]


def test_generation_2_refuses_to_erase_beyond_the_end() -> None:
    came = talk_with("sdm660").texts(on("erase", 65537, 8))
    assert came[0].startswith("L[XML attribute 'start_sector'=65537 exceeds")


def test_generation_2_formats_ufs() -> None:
    talk = talk_to("sdm660", Board(ufs(record=True)))
    came = talk.texts('<erase physical_partition_number="2" />')
    assert came[1:] == ["L[storage_device_erase() reported SUCCESS]", ACK]
    assert talk.board.storage.events == [("ufs-format", 2)]


# 10 digests


@pytest.mark.parametrize("kind", KINDS)
def test_sha256(kind: str) -> None:
    talk = talk_with(kind)
    data = bytes(range(255)) * 300
    talk.board.storage.luns[0].write(64, data[:65536])
    came = talk.texts(on("getsha256digest", 64, 128))
    digest = hashlib.sha256(data[:65536]).hexdigest().upper()
    assert any(text.endswith(f"Digest {digest}]") for text in came)
    assert (f'sha256="{digest}"' in came[-1]) == (kind == "qcm2290")


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_that_cannot_be_read(kind: str) -> None:
    # It says "Read error: gen 1 `emmc read failed` and gen 2: ACK without a Digest log; gen 3 NAK
    # sha256="". An ACK with no digest is a failure."
    talk = talk_with(kind, Faults(unreadable=(Extent(0, 90),)))
    came = talk.texts(on("getsha256digest", 0, 128))
    assert not any("Digest" in text for text in came)
    assert came[-1] == ('R[value="NAK" rawmode="false" sha256=""]' if kind == "qcm2290" else ACK)


def test_crc16_of_generation_1() -> None:
    # the case of the dialogues is 512 zeros: E9CB; more than that is CRC-16/GENIBUS (inferred)
    talk = talk_with("msm8916")
    talk.board.storage.luns[0].write(7, b"123456789".ljust(512, b"\0"))
    came = talk.texts(on("getcrc16digest", 7, 1))
    crc = binascii.crc_hqx(b"123456789".ljust(512, b"\0"), 0xFFFF) ^ 0xFFFF
    assert came == ["L[Hash start sector 7 num sectors 1]", f"L[Digest {crc:04X}]", ACK]


# 10 fixgpt


def gpt(storage: Storage, *, table_lba: int = 2, entries: int = 128) -> bytes:
    """Write a GPT for a smaller disk to LUN 0, and return its table."""
    table = bytearray(16384)
    for index, (first, last) in enumerate([(34, 99), (100, 199)]):
        struct.pack_into("<16s16sQQ", table, index * 128, b"k" * 16, b"u" * 16, first, last)
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        *(b"EFI PART", 0x10000, 92, 0, 0, 1, 999, 34, 966, b"g" * 16),
        *(table_lba, entries, 128, zlib.crc32(table)),
    )
    storage.luns[0].write(1, header.ljust(512, b"\0"))
    storage.luns[0].write(2, table.ljust(32 * 512, b"\0"))
    return bytes(table)


@pytest.mark.parametrize(("grow", "last"), [("0", 199), ("1", 65502)])
@pytest.mark.parametrize("lun", ["0", "all"])
def test_fixgpt(grow: str, last: int, lun: str) -> None:
    # UFS fact 14: "5-6 driver calls, no logs, ACK"
    talk = talk_with("qcm2290")
    for number in (1, 2):
        talk.board.storage.luns.pop(number)
    gpt(talk.board.storage)
    assert talk.texts(f'<fixgpt lun="{lun}" grow_last_partition="{grow}" />') == [ACK3]
    assert len(operations(talk.board)) == (6 if grow == "1" else 5)
    for at, other, entries in ((1, 65535, 2), (65535, 1, 65503)):
        header = user(talk, at, 1)
        fields = struct.unpack_from("<8sIIIIQQQQ16sQIII", header)
        table = user(talk, entries, 32)
        assert fields[5:9] == (at, other, 34, 65502)
        assert fields[10] == entries
        assert fields[13] == zlib.crc32(table)
        assert fields[3] == zlib.crc32(header[:16] + bytes(4) + header[20:92])
        assert struct.unpack_from("<QQ", table, 128 + 32) == (100, last)


@pytest.mark.parametrize(
    ("change", "log"),
    [
        ({"table_lba": 3}, "L[ERROR: GPT primary table not at LBA 2, in 3]"),
        ({"entries": 0}, "L[ERROR: Not a valid GPT signature at sector 1]"),
    ],
)
def test_fixgpt_refuses(change: dict[str, int], log: str) -> None:
    talk = talk_with("qcm2290")
    gpt(talk.board.storage, **change)
    assert talk.texts('<fixgpt lun="0" />') == [
        log,
        "L[ERROR: Failed to fix GPT 2]",
        "L[ERROR: G Failed to fix the GPT for LUN/PhyPart 0]",
        NAK3,
    ]


def test_fixgpt_fails_with_the_storage() -> None:
    talk = talk_with("qcm2290", Faults(read_only=True))
    gpt(talk.board.storage)
    assert talk.texts('<fixgpt lun="0" grow_last_partition="1" />')[0] == (
        "L[ERROR: Failed to fix GPT 3]"
    )


def test_fixgpt_grows_nothing_if_there_is_nothing() -> None:
    talk = talk_with("qcm2290")
    gpt(talk.board.storage)
    talk.board.storage.luns[0].write(2, bytes(32 * 512))
    assert talk.texts('<fixgpt lun="0" grow_last_partition="1" />') == [ACK3]
