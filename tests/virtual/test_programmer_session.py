# SPDX-License-Identifier: BSD-3-Clause
"""Sessions: start, configure, information, power. Quotes are from real-programmer.md."""

from __future__ import annotations

import re

import pytest

from edl.virtual.programmer import Board
from edl.virtual.storage import UfsProduct, emmc, ufs
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
    events,
    operations,
    short,
    talk_to,
)

BANNER = {1: 0, 2: 3, 3: 20}


def configure(talk: Talk, **attributes: str | None) -> list[str]:
    """Send configure with some attributes changed, or left out if None."""
    body = CONFIGURE
    for name, value in attributes.items():
        body = re.sub(f'{name}="[^"]*" ', "", body)
        if value is not None:
            body = body.replace(" />", f' {name}="{value}" />')
    return talk.texts(body)


def sizes(answers: list[str]) -> tuple[str, int, int]:
    """Return value and both payload sizes of the response to configure."""
    response = next(text for text in answers if text.startswith("R["))
    value = re.search(r'value="(\w+)"', response)
    payload = re.search(r'MaxPayloadSizeToTargetInBytes="(\d+)"', response)
    supported = re.search(r'InBytesSupported="(\d+)"', response)
    assert value
    assert payload
    assert supported
    return value[1], int(payload[1]), int(supported[1])


# 2.2 Start


@pytest.mark.parametrize("kind", KINDS)
def test_start(kind: str) -> None:
    # 2.2: gen 1 nothing unsolicited, gen 2 three logs, gen 3 about 20
    assert len(Talk.start(kind, Board(emmc())).transfers) == BANNER[GENERATION[kind]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_running_programmer_is_silent_and_configured(kind: str) -> None:
    talk = Talk.start(kind, Board(emmc()), greet=False)
    assert talk.transfers == []
    sector = 'SECTOR_SIZE_IN_BYTES="512" start_sector="0" num_partition_sectors="1"'
    came = talk.texts(f'<read {sector} physical_partition_number="0" />')
    assert came[:2] == [ACK_RAW, "raw512"]
    assert came[-1] == ACK3


@pytest.mark.parametrize("kind", ["msm8916", "msm8953"])
@pytest.mark.parametrize("first", ['<nop value="ping" />', '<power value="x" />', "</data><", ""])
def test_generation_1_logs_after_the_very_first_packet(kind: str, first: str) -> None:
    # 2.1: gen 1 sends the log "AFTER the response to the very first packet, whatever it was"
    talk = talk_to(kind, configured=False)
    assert talk.texts(first)[-1].startswith("L[logbuf@0x080")
    assert talk.texts('<nop value="ping" />') == [ACK]


def test_generation_1_logs_inside_every_configure() -> None:
    talk = talk_to("msm8916")
    first, second = configure(talk)
    assert first == "L[logbuf@0x0801CDF0 fh@0x08019C58]"
    assert second.startswith('R[value="ACK"')


@pytest.mark.parametrize(("kind", "logs"), [("sdm660", 4), ("qcm2290", 19)])
def test_nop_repeats_the_banner(kind: str, logs: int) -> None:
    # 2.2: gen 2 the 3 banner logs + Verbose, gen 3 the whole banner: the way to get the functions
    # late; the handler's own log is not counted here
    came = talk_to(kind).texts('<nop value="ping" />')
    assert len(came) == logs + 1
    assert came[-1] == (ACK if kind == "sdm660" else ACK3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chip_has_its_own_serial(kind: str) -> None:
    talk = Talk.start(kind, Board(emmc(), chip_serial=0xABC))
    texts = short(talk.transfers)
    assert ("Chip serial num: 2748 (0xabc)" in "".join(texts)) == (GENERATION[kind] > 1)


# 4.3 Payload size

TOO_LARGE = {
    1: "L[Host's payload to target size is too large]",
    2: "L[fh.attrs.MaxPayloadSizeToTargetInBytes of 4194304 > fh.channel_buffer_capacity of 32768]",
    3: "L[WARN: NAK: MaxPayloadSizeToTargetInBytes sent by host 4194304 larger than supported "
    "16384]",
}
SUPPORTED = {"msm8916": 16384, "msm8953": 1048576, "sdm660": 32768, "qcm2290": 16384}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (None, {1: ("ACK", -1, -1), 2: ("NAK", -1, -1), 3: ("ACK", 0, 0)}),
        ("4194304", {1: ("NAK", -1, -1), 2: ("NAK", -1, -1), 3: ("NAK", -1, -1)}),
        ("0", {1: ("NAK", -1, -1), 2: ("ACK", -1, -1), 3: ("ACK", 0, -1)}),
        ("abc", {1: ("NAK", -1, -1), 3: ("ACK", 0, 0)}),
        ("1000", {1: ("ACK", 1000, -1), 3: ("ACK", 1000, -1)}),
        ("0x2000", {1: ("ACK", 8192, -1), 2: ("ACK", 8192, 8192), 3: ("ACK", 8192, -1)}),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_payload_size(
    kind: str, sent: str | None, expected: dict[int, tuple[str, int, int]]
) -> None:
    # -1 stands for the supported size
    came = configure(talk_to(kind, configured=False), MaxPayloadSizeToTargetInBytes=sent)
    wanted = expected.get(GENERATION[kind])
    if wanted is None:  # gen 2, abc and 1000: "bare NAK"
        assert came[0] == ("L[Attribute 'MaxPayloadSizeToTargetInBytes' is not a multiple of 512]")
        assert came[1:] == ["L[AssignAttribute failed]", NAK]
        return
    supported = SUPPORTED[kind]
    assert sizes(came) == tuple(supported if number == -1 else number for number in wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_negotiation(kind: str) -> None:
    # 4.3: "NAK, then configure again with the reported size: works on all four."
    talk = talk_to(kind, configured=False)
    came = configure(talk, MaxPayloadSizeToTargetInBytes="4194304")
    assert TOO_LARGE[GENERATION[kind]] in came
    value, size, _ = sizes(came)
    assert value == "NAK"
    assert sizes(configure(talk, MaxPayloadSizeToTargetInBytes=str(size))) == ("ACK", size, size)


@pytest.mark.parametrize(
    ("kind", "sent", "log"),
    [
        ("msm8916", "0", "L[Host's payload to target size is zero]"),
        ("msm8916", "abc", "L[Failed to get max payload size]"),
        ("sdm660", "0", "L[Host's payload to target size not provided or 0; using 32768]"),
    ],
)
def test_logs_about_payload_sizes(kind: str, sent: str, log: str) -> None:
    assert log in configure(talk_to(kind, configured=False), MaxPayloadSizeToTargetInBytes=sent)


def test_generation_2_never_grows_again() -> None:
    # 4.3: "an accepted size shrinks the capacity for good - a later larger configure is NAKed and
    # "Supported" prints the shrunken number"
    talk = talk_to("sdm660", configured=False)
    assert sizes(configure(talk, MaxPayloadSizeToTargetInBytes="8192")) == ("ACK", 8192, 8192)
    assert sizes(configure(talk)) == ("NAK", 8192, 8192)


def test_generation_1_reads_xml_in_slices_of_a_small_payload() -> None:
    # 4.3: "A payload below 512 makes gen 1 read XML in slices (unusable)."
    talk = talk_to("msm8916")
    configure(talk, MaxPayloadSizeToTargetInBytes="100", ZlpAwareHost="0")
    assert talk.waits_for == 100
    read = '<read physical_partition_number="0" start_sector="0" num_partition_sectors="1" />'
    assert set(talk.texts(read)) == {"L[XML (0 bytes) not validated]", NAK}


@pytest.mark.parametrize("kind", ["msm8916", "sdm660"])
@pytest.mark.parametrize("command", ["read", "getsha256digest"])
def test_a_payload_below_one_sector_hangs(kind: str, command: str) -> None:
    storage = ufs((100,))
    talk = talk_to(kind, Board(storage), configured=False)
    talk.xml('<configure MemoryName="ufs" MaxPayloadSizeToTargetInBytes="1024" a="b" />')
    extent = 'start_sector="0" num_partition_sectors="1" SECTOR_SIZE_IN_BYTES="4096"'
    talk.xml(f'<{command} physical_partition_number="0" {extent} />')
    assert talk.left == "hang"


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_table_has_at_most_8192_bytes(kind: str) -> None:
    came = configure(talk_to(kind), MaxDigestTableSizeInBytes="16384")
    logs = {
        1: ["L[Host's hash buffer size is too large]"],
        2: [
            "L[Attribute 'MaxDigestTableSizeInBytes'=16384 cannot exceed 8192]",
            "L[ERROR 13: Line 1195: HANDLE_CONFIGURE_FAILURE]",
        ],
        3: [
            "L[ERROR: NAK: Host wants to send a Hash table 16384 larger than supported 8192]",
        ],
    }[GENERATION[kind]]
    assert [text for text in came if text in logs] == logs
    assert came[-1].startswith('R[value="NAK"')


def test_memory_names() -> None:
    # 4.3 MemoryName, UFS fact 1
    assert configure(talk_to("sdm660"), MemoryName="nand") == [
        "L[Invalid storage type: nand]",
        NAK,
    ]
    for sent, name in [
        ("UFS2", "UFS"),
        ("ufs ", "UFS"),
        ("EMMC", "eMMC"),
        ("nand", "nand"),
        ("spinor", "spinor"),
        ("u", "none"),
        ("foo", "none"),
    ]:
        log, response = configure(talk_to("qcm2290"), MemoryName=sent)
        assert log == f"L[INFO: Storage type set to value {name}]"
        assert response.startswith(f'R[value="ACK" MemoryName="{name}"')
    assert 'MemoryName="eMMC"' in configure(talk_to("msm8916"), MemoryName="ufs")[-1]


def test_generation_3_keeps_the_memory_name_that_it_has() -> None:
    assert 'MemoryName="eMMC"' in configure(talk_to("qcm2290"), MemoryName=None)[-1]
    assert (
        'MemoryName="none"' in configure(talk_to("qcm2290", configured=False), MemoryName=None)[-1]
    )


def test_a_wrong_memory_name_is_an_ack_that_means_nothing() -> None:
    # 11: "an ACK means nothing: … MemoryName mismatch (gen 1, 3)"; UFS fact 1: "A later configure
    # with "ufs" repairs it."
    board = Board(ufs(record=True))
    talk = talk_to("qcm2290", board, configured=False)
    configure(talk, MemoryName="emmc")
    info = '<getstorageinfo physical_partition_number="0" />'
    assert talk.texts(info)[-1] == NAK3
    configure(talk, MemoryName="ufs")
    assert talk.texts(info)[-1] == ACK3
    came = configure(talk_to("sdm660"), MemoryName="ufs")
    assert came[1:] == [
        "L[ERROR: Failed to open the UFS Device slot 0 partition 0]",
        "L[ERROR: Failed to open the device 3 slot 0 partition 0]",
        "L[storage_device_open() returned FALSE]",
        NAK,
    ]


def test_generation_2_may_skip_the_opening() -> None:
    talk = talk_to("sdm660", configured=False)
    came = configure(talk, MemoryName="ufs", SkipStorageInit="1")
    assert "L[skipping storage init requested by user]" in came
    assert 'MemoryName="UFS"' in came[-1]
    assert talk.texts('<getstorageinfo a="b" />') == [
        "L[ERROR: Failed to open the UFS Device slot 0 partition 0]",
        "L[ERROR: Failed to open the device 3 slot 0 partition 0]",
        "L[INFO: Device type 3, slot 0, partition 0, error 0]",
        "L[WARN: Get Info failed to open 3 slot 0, partition 0, error 0]",
        "L[GetStorageInfo Failed]",
        NAK,
    ]


def test_generation_2_always_logs_the_zlp_mode() -> None:
    came = configure(talk_to("sdm660"), ZlpAwareHost="0")
    assert came[0] == "L[Calling usb_al_bulk_set_zlp_mode(FALSE) since ZlpAwareHost='0']"


def test_generation_3_logs_the_zlp_mode_when_verbose() -> None:
    # logs/EDLTests-readme-2.txt: after the WARN, before the response
    came = configure(talk_to("qcm2290"), Verbose="1", MaxPayloadSizeToTargetInBytes="1048576")
    assert came[1].startswith("L[WARN: NAK: MaxPayload")
    assert came[2] == "L[DEBUG: Calling usb_al_bulk_set_zlp_mode(TRUE), zlp is not set to 0]"
    came = configure(talk_to("qcm2290"), Verbose="1", ZlpAwareHost="0")
    assert "usb_al_bulk_set_zlp_mode(FALSE)" in came[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_board_may_support_another_payload(kind: str) -> None:
    talk = Talk.start(kind, Board(emmc(), payload_bytes=65536))
    assert sizes(configure(talk, MaxPayloadSizeToTargetInBytes="65536")) == (
        "ACK",
        65536,
        65536,
    )


# 4.3 Before configure

INFO = '<getstorageinfo physical_partition_number="0" />'
EXTENT = 'SECTOR_SIZE_IN_BYTES="512" start_sector="0" num_partition_sectors="1"'
WHERE = 'physical_partition_number="0"'


def test_before_configure_generation_1_works() -> None:
    talk = talk_to("msm8916", configured=False)
    assert ACK in talk.texts(INFO)
    assert talk.texts(f"<program {WHERE} {EXTENT} />")[-1] == ACK_RAW
    talk.raw(b"x" * 512)
    assert talk.board.storage.read(0, 0, 1) == b"x" * 512


def test_before_configure_generation_2_refuses() -> None:
    talk = talk_to("sdm660", configured=False)
    assert talk.texts(INFO)[-1] == NAK
    assert talk.texts(f"<program {WHERE} {EXTENT} />")[-1] == NAK
    assert talk.texts(f"<erase {WHERE} />")[-1] == NAK
    assert operations(talk.board) == []


def test_before_configure_generation_3_acknowledges_and_does_nothing() -> None:
    # 4.3: "getstorageinfo garbage + ACK; read → ACK + stale buffer bytes; program → ACK and
    # nothing is written"
    talk = talk_to("qcm2290", configured=False)
    assert talk.texts(INFO)[-1] == ACK3
    read = talk.xml(f"<read {WHERE} {EXTENT} />")
    assert read[2].data.startswith(b'<?xml version="1.0" encoding="UTF-8" ?>\n<data>\n<response')
    assert talk.texts(f"<program {WHERE} {EXTENT} />") == [ACK_RAW]
    assert short(talk.raw(b"x" * 512)) == [ACK3]
    patch = f'<patch {WHERE} {EXTENT} filename="DISK" byte_offset="0" size_in_bytes="4" value="1"/>'
    assert talk.texts(patch) == [ACK3]
    assert talk.texts(f"<erase {WHERE} {EXTENT} />")[-1] == ACK3
    assert talk.texts("<erase />")[-1] == ACK3
    assert talk.texts('<setbootablestoragedrive value="7" />')[-1] == ACK3
    assert talk.texts('<fixgpt lun="0" />') == [ACK3]
    assert operations(talk.board) == []


@pytest.mark.parametrize("size", ["0", "65536"])
def test_without_a_storage_generation_3_still_needs_a_sector_size(size: str) -> None:
    talk = talk_to("qcm2290", configured=False)
    came = talk.texts(f"<read {WHERE} {EXTENT} />".replace("512", size))
    assert came == ["L[INFO: invalid SECTOR_SIZE_IN_BYTES result -1]", NAK3]


def test_generation_3_skips_writes_by_having_no_device() -> None:
    # 4.1: "SkipWrite (+ `SkipWrites is set, Setting the device as NULL device`)"
    talk = talk_to("qcm2290")
    came = configure(talk, SkipWrite="1")
    assert came[1] == "L[INFO: SkipWrites is set, Setting the device as NULL device]"
    talk.texts(f"<program {WHERE} {EXTENT} />")
    talk.raw(b"x" * 512)
    assert operations(talk.board) == []


# 10 getstorageinfo


def test_json_of_generation_1_and_of_the_others() -> None:
    # 10: "gen 2 key names differ from gen 1: manufacturer_id vs mfr_id"
    for kind, key, gap in [
        ("msm8953", "mfr_id", " "),
        ("sdm660", "manufacturer_id", ""),
        ("qcm2290", "manufacturer_id", ""),
    ]:
        json = next(text for text in talk_to(kind).texts(INFO) if "storage_info" in text)
        assert json.removeprefix("L[").removeprefix("INFO: ") == (
            '{"storage_info": {"total_blocks":65536, "block_size":512, "page_size":512, '
            f'"num_physical":3, "{key}":21, "serial_num":3735928559, "fw_version":"287454020",'
            f'"mem_type":"eMMC",{gap}"prod_name":"EMUMMC"}}}}]'
        ).replace('"', "&quot;")


def test_ufs_serial_is_part_of_the_makers_name() -> None:
    # UFS fact 13: index 3 → "HIBA" of TOSHIBA, 0x48494241; fw_version "0300" → "300"
    product = UfsProduct(manufacturer_id=0x198, inquiry="TOSHIBA THGAF8T0T43BAIRB0300")
    talk = talk_to("qcm2290", Board(ufs((30119936,), product=product)))
    texts = talk.texts(INFO)
    assert "L[INFO: Device Serial Number: 0x48494241]" in texts
    assert "&quot;fw_version&quot;:&quot;300&quot;" in texts[5]
    assert "&quot;prod_name&quot;:&quot;THGAF8T0T43BAIRB0300&quot;" in texts[5]
    assert texts[-2] == "L[INFO: UFS Inquiry Command Output: TOSHIBA THGAF8T0T43BAIRB0300]"


def test_ufs_info_of_generation_2_has_no_prefix() -> None:
    texts = talk_to("sdm660", Board(ufs())).texts(INFO)
    assert "L[UFS LUN Enable Bitmask: 0x3f]" in texts
    assert texts[-1] == ACK


def test_generation_1_on_ufs() -> None:
    board = Board(ufs())
    talk = talk_to("msm8953", board)
    assert 'MemoryName="UFS"' in configure(talk)[-1]
    assert talk.texts(INFO) == [
        "L[num_partition_sectors=65536]",
        "L[SECTOR_SIZE_IN_BYTES=4096]",
        "L[num_physical_partitions=6]",
        ACK,
    ]
    assert talk.texts('<setbootablestoragedrive value="9" />') == [
        "L[Failed to set bootable drive to 9.]",
        NAK,
    ]


def test_generation_2_cannot_boot_ufs_from_lun_3() -> None:
    talk = talk_to("sdm660", Board(ufs()))
    assert talk.texts('<setbootablestoragedrive value="3" />') == [
        "L[ERROR: UFS Error -22 (3)]",
        "L[ERROR: Set Bootable Failed 1]",
        NAK,
    ]


# 5 Physical partitions


@pytest.mark.parametrize(
    ("number", "expected"),
    [("256", ACK), ("-1", None), ("x", None), ("3", NAK), ("0x1", ACK), ("01", ACK)],
)
def test_generation_1_cuts_the_partition_to_8_bits(number: str, expected: str | None) -> None:
    # 5: "number cut to 8 bits: 256 → 0; -1 → no response"
    talk = talk_to("msm8916")
    came = talk.texts(f'<getsha256digest physical_partition_number="{number}" start_sector="0" />')
    assert came[-1:] == ([expected] if expected else [])


@pytest.mark.parametrize("command", ["read", "program", "getsha256digest", "patch"])
def test_generation_1_is_silent_without_a_partition(command: str) -> None:
    body = f'<{command} {EXTENT} filename="DISK" byte_offset="0" size_in_bytes="4" />'
    assert talk_to("msm8916").xml(body) == []


def test_generation_2_remembers_the_partition() -> None:
    # 5: "last value used before (sticky)"
    talk = talk_to("sdm660")
    talk.texts('<getstorageinfo physical_partition_number="1" />')
    operations(talk.board)
    assert talk.texts(f"<read {EXTENT} />")[-1] == ACK3
    assert operations(talk.board) == [("read", 1, 0, 1)]
    assert talk.texts('<erase storagedrive="2" />')[-1] == ACK
    assert operations(talk.board) == [("erase", 2, 0, 8192)]


@pytest.mark.parametrize("number", ['physical_partition_number="-1"', 'a="b"', 'slot="x"'])
def test_generation_3_takes_lun_0_silently(number: str) -> None:
    # UFS fact 6: "absent or not a number → LUN 0, silently"
    talk = talk_to("qcm2290", Board(ufs(record=True)))
    talk.texts(f"<read {number} {EXTENT.replace('512', '4096')} />")
    assert operations(talk.board) == [("read", 0, 0, 1)]


@pytest.mark.parametrize("number", ["0x1", "01"])
def test_generation_3_reads_numbers_in_two_ways(number: str) -> None:
    talk = talk_to("qcm2290", Board(ufs(record=True)))
    talk.texts(f'<read physical_partition_number="{number}" {EXTENT.replace("512", "4096")} />')
    assert operations(talk.board) == [("read", 1, 0, 1)]


@pytest.mark.parametrize("number", [208, 65210])
def test_generation_3_opens_the_device_itself(number: int) -> None:
    # UFS fact 6: "208 (0xD0) and 65210 (0xFEBA) open the W-LUN"
    talk = talk_to("qcm2290", Board(ufs(record=True)))
    came = talk.texts(f'<getstorageinfo physical_partition_number="{number}" />')
    assert came[0] == "L[INFO: Device Total Logical Blocks: 0x0]"
    assert came[-1] == ACK3
    assert events(talk.board) == [("ufs-open", 0, 208), ("ufs-open", 0, number)]


def test_generation_3_opens_ten_luns() -> None:
    # UFS fact 4: "at most 10 LUNs per session, the 11th → `Ran out of physical partitions to
    # allocate 10` NAK (10 older ones go on working). Failed opens use no slot."
    talk = talk_to("qcm2290", Board(ufs((8,) * 12)))
    info = '<getstorageinfo physical_partition_number="{}" />'
    assert talk.texts(info.format(99))[-1] == NAK3
    assert {talk.texts(info.format(number))[-1] for number in range(10)} == {ACK3}
    assert talk.texts(info.format(10)) == [
        "L[ERROR: Ran out of physical partitions to allocate 10]",
        NAK3,
    ]
    assert talk.texts(info.format(9))[-1] == ACK3


def test_generation_3_has_one_slot() -> None:
    talk = talk_to("qcm2290")
    came = talk.texts(f'<getstorageinfo {WHERE} slot="1" />')
    assert came[0] == "L[ERROR: Failed to open the SDCC Device slot 1 partition 0]"


def test_storage_type_overrides_the_memory_name() -> None:
    # 10: gen 3 also reads "`storage_type` (overrides MemoryName)"
    talk = talk_to("qcm2290", Board(emmc()), configured=False)
    assert talk.texts(f'<getstorageinfo {WHERE} storage_type="emmc" />')[0] == (
        "L[INFO: Device Total Logical Blocks: 0x10000]"
    )


# 10 setbootablestoragedrive


@pytest.mark.parametrize("body", ['a="b"', 'value="x"'])
def test_generation_3_sets_0_and_then_refuses(body: str) -> None:
    # 10: "missing/bad value sets 0, then NAK"
    talk = talk_to("qcm2290")
    talk.texts('<setbootablestoragedrive value="1" />')
    assert talk.board.storage.bootable == 1
    assert talk.texts(f"<setbootablestoragedrive {body} />") == [NAK3]
    assert talk.board.storage.bootable == 0


def test_generation_2_sets_0_for_nonsense() -> None:
    talk = talk_to("sdm660")
    assert talk.texts('<setbootablestoragedrive value="x" />') == [ACK]
    assert talk.board.storage.bootable == 0


# 10 power


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("msm8916", "reset", "reset"),
        ("msm8916", "reset_to_edl", "reset"),
        ("msm8953", "off", "off"),
        ("msm8953", "edl", None),
        ("sdm660", "reset_to_edl", "reset_to_edl"),
        ("sdm660", "off", "off"),
        ("sdm660", "resets", None),
        ("qcm2290", "edl", "reset"),
        ("qcm2290", "reset_to_edl", "reset_to_edl"),
    ],
)
def test_power(kind: str, value: str, left: str | None) -> None:
    talk = talk_to(kind)
    talk.xml(f'<power value="{value}" DelayInSeconds="3" />')
    assert talk.left == left
    assert talk.slept_s == (0 if left is None else 3)


@pytest.mark.parametrize(("kind", "seconds"), [("msm8916", 0), ("sdm660", 1), ("qcm2290", 0.0001)])
def test_default_delay(kind: str, seconds: float) -> None:
    talk = talk_to(kind)
    talk.xml('<power value="reset" />')
    assert talk.slept_s == seconds


def test_order_of_answers_to_power() -> None:
    # 10: gen 2 logs, then ACK; gen 3 "ACK first"
    assert talk_to("sdm660").texts('<power value="off" />')[-1] == ACK
    assert talk_to("qcm2290").texts('<power value="off" />')[0] == ACK3


# 10 peek and poke


@pytest.mark.parametrize(
    ("kind", "size", "value", "in_one_log"),
    [
        ("msm8916", "SizeInBytes", "value", 50),
        ("msm8953", "SizeInBytes", "value", 107),
        ("sdm660", "size_in_bytes", "value64", 107),
    ],
)
def test_peek_and_poke(kind: str, size: str, value: str, in_one_log: int) -> None:
    talk = talk_to(kind)
    poke = f'<poke address64="0x1000" {size}="4" {value}="0x11223344" />'
    assert talk.texts(poke)[-1] == ACK
    came = talk.texts(f'<peek address64="0x1000" {size}="{in_one_log + 2}" />')
    assert came[1] == "L[0x44 0x33 0x22 0x11 " + "0x00 " * (in_one_log - 4) + "]"
    assert came[2:] == ["L[0x00 0x00 ]", ACK]
    # "poke size > 8 NAK, address 0 NAK `Invalid parameters…`"
    assert talk.texts(poke.replace('"4"', '"9"'))[-1] == NAK
    assert talk.texts(poke.replace("0x1000", "0"))[0].startswith("L[Invalid parameters")


def test_generation_1_wants_an_address() -> None:
    assert talk_to("msm8916").texts('<peek a="b" />') == ["L[Failed to get address]", NAK]


def test_generation_3_has_neither() -> None:
    came = talk_to("qcm2290").texts('<peek address64="0x1000" size_in_bytes="4" />')
    assert came == ["L[ERROR: Failed to run the last command -1]"]


# 10 The rest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["benchmark", "emmc"])
def test_commands_that_do_nothing_here(kind: str, command: str) -> None:
    talk = talk_to(kind)
    assert talk.texts(f'<{command} a="b" />')[-1] == (ACK3 if kind == "qcm2290" else ACK)
    assert operations(talk.board) == events(talk.board) == []


@pytest.mark.parametrize("kind", KINDS)
def test_commit_of_an_emmc_layout(kind: str) -> None:
    # 10: 'gen 1 commit only logs "would have committed here"; gen 2/3 really call the routine'
    talk = talk_to(kind)
    came = talk.texts('<emmc DRIVE4_SIZE_IN_KB="0" commit="1" />')
    assert ("L[would have committed here]" in came) == (GENERATION[kind] == 1)
    assert bool(events(talk.board)) == (GENERATION[kind] > 1)


def test_ufs_on_emmc_is_refused_by_generation_3() -> None:
    assert talk_to("qcm2290").texts('<ufs commit="1" />') == [
        "L[ERROR: Tried to configure ufs but memoryname is emmc]",
        NAK3,
    ]


def test_nothing_comes_after_the_end() -> None:
    talk = talk_to("qcm2290")
    talk.xml('<power value="reset" />')
    assert talk.send(doc("<nop />").encode()) == []
