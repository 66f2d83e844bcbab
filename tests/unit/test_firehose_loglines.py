# SPDX-License-Identifier: BSD-3-Clause
"""Literal texts of real programmers: what they mean, and which ones mean nothing.

The texts come from 719 programmers, four executed ones, and public logs; places for numbers and
names are filled in.
"""

from __future__ import annotations

import re

import pytest

from edl.errors import (
    AuthorizationError,
    DeviceRefusedError,
    EdlError,
    ReadFailedError,
    WriteFailedError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.firehose import loglines
from edl.firehose.loglines import explain
from tests.conftest import shared

LOCKED = (AuthorizationError, "Xiaomi locked this programmer")
OPLUS = (AuthorizationError, "realme, OnePlus) locked this programmer")
VIVO = (AuthorizationError, "vivo locked this programmer")
ONEPLUS = (AuthorizationError, "OnePlus locked this programmer")
NOTHING = (AuthorizationError, "Nothing locked this programmer")
MEIZU = (AuthorizationError, "Meizu locked this programmer")
VIP = (AuthorizationError, "signed beforehand (VIP)")
RESTRICTED = (DeviceRefusedError, "Motorola (Lenovo) allows this programmer neither")
SAMSUNG = (DeviceRefusedError, "Samsung allows this programmer neither")
NOKIA = (DeviceRefusedError, "HMD (Nokia) allows this programmer neither")
REVOKED = (DeviceRefusedError, "has revoked this programmer")
ROLLBACK = (DeviceRefusedError, "rollback protection")
SECTOR_SIZE = (WrongSectorSizeError, "sectors of a size that the storage does not have")
GEOMETRY = (WrongStorageError, "geometry of this NAND")
NO_LUN = (WrongStorageError, "no such LUN")
TOO_MANY = (DeviceRefusedError, "at most ten LUNs")
OTHER_KIND = (WrongStorageError, "no such kind of storage")
CLOSED = (WrongStorageError, "could not open the storage")
BEYOND = (WrongStorageError, "does not lie on this storage")
NOT_BOOTABLE = (DeviceRefusedError, "cannot start from that place")
LAYOUT = (DeviceRefusedError, "did not take this layout")
SPOILT = (DeviceRefusedError, "cannot reach the storage as a whole any more")
USB = (DeviceRefusedError, "did not arrive at the programmer")
NOT_ERASED = (WriteFailedError, "did not erase")
NOT_WRITTEN = (WriteFailedError, "did not take the data")
UNREADABLE = (ReadFailedError, "could not read these sectors")
HARDWARE = (DeviceRefusedError, "could not start the phone's hardware")
NOT_UNDERSTOOD = (DeviceRefusedError, "did not understand the command")
GAVE_UP = (WriteFailedError, "gave up writing")

MEANINGS: tuple[tuple[str, tuple[type[EdlError], str]], ...] = (
    # Xiaomi and those who build for it; the spelling varies
    ("ERROR: Only nop and sig tag can be recevied before authentication.", LOCKED),
    ("ERROR: Only nop and sig tag can be received before authentication.", LOCKED),
    ("ERROR: Signature Verification Failed.", LOCKED),
    ("Not Authenticated, Unknown TargetName", LOCKED),
    ("Sig tag random number generation failed", LOCKED),
    # Oplus, vivo, OnePlus, Nothing, Meizu
    ("ERROR: read on PrimaryGPT:6:2 not allowed on external network", OPLUS),
    ("ERROR: write on super:196608:8 not allowed on external network", OPLUS),
    ("The operation is not allowed for read", VIVO),
    ("The operation is not allowed for write", VIVO),
    ("Token verify failed(3).", ONEPLUS),
    ("Device ID verify failed", ONEPLUS),
    ("ERROR: Failed to get token", ONEPLUS),
    ("Project Verify failed", NOTHING),
    ("Authenticate failed!", MEIZU),
    # validated image programming
    ("INFO: VIP is enabled, receiving the signed table of size 8192", VIP),
    ("VIP - Validated Image Programming is enabled - Validation is enabled.", VIP),
    ("Validation is enabled.", VIP),
    ("Secure boot detected. VIP not enabled:fail ", VIP),
    ("ERROR: VIP img authentication failed with smc_status 7", VIP),
    ("ERROR: Verifying signature failed with 3", VIP),
    ("ERROR: Authentication of signed hash failed 0", VIP),
    ("ERROR: Failed to authenticate Digital Signature", VIP),
    ("Failed to authenticate Digital Signature, resetting validation state", VIP),
    ("Reset validation state. Expecting Digital signature", VIP),
    ("ERROR: Hash value mismatch. Rejecting this packet.", VIP),
    ("Rejecting this packet. See log", VIP),
    ("ERROR: Hash of data doesn't match the expected hash 179", VIP),
    ("ERROR: Hash of new table doesn't match the expected hash 32", VIP),
    ("No more hashes to validate against", VIP),
    ("table has more than 54 hashes", VIP),
    (
        "Make sure that you are sending the same command used when generating the hash with"
        " --createdigests",
        VIP,
    ),
    ("ERROR 28: Line 900: PACKET_HASH_MISMATCH", VIP),
    ("ERROR 30: Line 950: DIGITAL_SIGNATURE_DID_NOT_PASS", VIP),
    ("ERROR 6: Line 950: AUTHENTICATE_IMAGE_FAILURE", VIP),
    # Motorola, Samsung, Nokia
    ("ERROR: range restricted: lun=0, start_sector=1618240, num_sectors=196608", RESTRICTED),
    ("range restricted: physical_partition_number=0, start_sector=0, num_sectors=1", RESTRICTED),
    ("command restricted!", RESTRICTED),
    ("ERROR: handler read is restricted!", RESTRICTED),
    ("Permission denied ", RESTRICTED),
    ("ERROR: Permission Denied", RESTRICTED),
    ("ERROR: Failed to read DATA token", RESTRICTED),
    ("ERROR: Start sector 6 not allowed for LUN 4 through EDL Flash", SAMSUNG),
    (
        "Not allowed to write into Protected area sectors for EDL Flash from Start Sector 8",
        SAMSUNG,
    ),
    ("Not allowed to erase command", SAMSUNG),
    ("Erase Command Not Allowed", SAMSUNG),
    ("Read operation not allowed", NOKIA),
    ("This version of programmer has been revoked!", REVOKED),
    ("rollback version is lower", ROLLBACK),
    ("abl_anti_rollback_ver 3", ROLLBACK),
    # geometry
    ("Sector size in XML 4096 does not match disk sector size 512", SECTOR_SIZE),
    ("Attribute 'SECTOR_SIZE_IN_BYTES'=4096 must be equal to disk sector size 512", SECTOR_SIZE),
    (
        "ERROR: sector size defined in XML (512) different from device sector size (4096)",
        SECTOR_SIZE,
    ),
    ("Disk sector size :512 XML gave:4096", SECTOR_SIZE),
    ("Attribute 'PAGES_PER_BLOCK'=2048 must be equal to disk pages per block 64", GEOMETRY),
    ("ERROR: start_sector unaligned", GEOMETRY),
    ("ERROR: out of good blocks", (WriteFailedError, "too few good erase blocks")),
    ("Parsed value exceeds size of partition in sectors", BEYOND),
    (
        "XML attribute 'start_sector'=65537 exceeds total size of partition 0 in sectors: 65536",
        BEYOND,
    ),
    ("parseSectorValue could not handle start_sector value", BEYOND),
    ("parseSectorValue could not handle num_partition_sectors value", BEYOND),
    ("ERROR: Asked NUM_DISK_SECTOR-70000 that is outside the total sectors 65536", BEYOND),
    ("ERROR: Invalid value following NUM_DISK_SECTORS x", BEYOND),
    ("Failed to parse start sector", BEYOND),
    ("Failed to parse num_partition_sectors", BEYOND),
    ("INFO: invalid start_sector result -1", BEYOND),
    ("INFO: invalid num_partition_sectors result -1", BEYOND),
    # opening
    ("Invalid physical partition 3", NO_LUN),
    ("ERROR: Failed to open the SDCC Device slot 0 partition 3", NO_LUN),
    ("ERROR: Failed to open the UFS Device slot 0 partition 6", NO_LUN),
    ("ERROR: Ran out of physical partitions to allocate 10", TOO_MANY),
    ("Invalid storage type: nand", OTHER_KIND),
    ("Not support configure MemoryName eMMC", OTHER_KIND),
    ("ERROR: Tried to configure emmc but memoryname is ufs", OTHER_KIND),
    ("ERROR: Failed to open the SDCC Device slot 0 partition 0", CLOSED),
    ("ERROR: Failed to open the UFS Device slot 0 partition 0", CLOSED),
    ("ERROR: Failed to initialize (open whole lun) UFS Device slot 0 partition 0", CLOSED),
    ("ERROR: Failed to open the SPI NOR Device slot 0 partition 0", CLOSED),
    ("ERROR: Failed to open the NVME Device", CLOSED),
    ("ERROR: Failed to open the device:3 slot:0 partition:0 error:0", CLOSED),
    ("ERROR: Failed to open device, type:UFS, slot:0, lun:0 error:3", CLOSED),
    ("ERROR: OPEN handle NULL and no error, weird 537853652", CLOSED),
    ("ERROR: Failed to set the IO options", CLOSED),
    ("Open Failed for slot 0", CLOSED),
    ("storage_device_open() returned FALSE", CLOSED),
    ("init storage:fail ", CLOSED),
    ("GetStorageInfo Failed", CLOSED),
    ("ERROR 23: Line 1800: HANDLE_STORAGE_INFO_FAILURE", CLOSED),
    # boot LUN and layout
    ("ERROR: Set Bootable Failed 1", NOT_BOOTABLE),
    ("Failed to set bootable drive to 2.", NOT_BOOTABLE),
    ("ERROR 22: Line 1900: SET_BOOTABLE_PARTITION_FAILURE", NOT_BOOTABLE),
    ("ERROR: ufs_open(0, WLUN_DEV) failed for configure", SPOILT),
    ("ERROR: Configure Failed slot 0", LAYOUT),
    ("ERROR: Failed to configure device, type:UFS, slot:0", LAYOUT),
    ("Failed to set storage extra parameters", LAYOUT),
    ("ERROR: No configuration/provisioning allowed for this device type 4", LAYOUT),
    ("ERROR: Specified size 9 exceeds device size 8", LAYOUT),
    ("ERROR 25: Line 1900: UFS_COMMIT_EXTRAS_FAILURE", LAYOUT),
    # reading, writing, erasing
    ("USB read has failed. Returned 0 bytes.", USB),
    ("ERROR: USB RX failed on callback 4", USB),
    ("ERROR: USB RX bulk received failed 3", USB),
    ("Encountered RAW data transport error in validation mode.", USB),
    ("ERROR: Failed to receive data packet 3", USB),
    ("Read Error.Bytes expected:16384,read:512", USB),
    ("ERROR: Read non multiple sector size value from USB 227 sectsize4096", USB),
    ("ERROR 3: Line 700: USB_READ_FAILURE", USB),
    ("ERROR: Erase Failed sector 8190, size 4", NOT_ERASED),
    ("ERROR: Failed to erase the disk/lun 1", NOT_ERASED),
    ("storage_device_erase returned FALSE", NOT_ERASED),
    ("ERROR 17: Line 1733: HANDLE_ERASE_FAILURE", NOT_ERASED),
    ("Write failed Sector 65535, Errno 15", NOT_WRITTEN),
    ("Storage write failed at sector 65535 length 32 errno=15", NOT_WRITTEN),
    ("ERROR: Storage Write failed 3 at sector 8190 size in sectors 4", NOT_WRITTEN),
    ("ERROR: Write Failed sector 8190, size 4 result 3", NOT_WRITTEN),
    ("Read back verify failed at sector 64,num sectors 8", NOT_WRITTEN),
    ("Read failed at sector 65530", UNREADABLE),
    (
        "ERROR: Read Failed to read 1 slot 0, partition 65530, start_sector 8 num_sectors 0,"
        " error 3",
        UNREADABLE,
    ),
    ("INFO: Read Failed sector 65535, size 2 result 3", UNREADABLE),
    ("ERROR: Storage read failed 3 at sector 8190 size in sectors 4", UNREADABLE),
    ("emmc read failed", UNREADABLE),
    ("ERROR: Failed to read data for hashing, sector 65535 count2, error 3", UNREADABLE),
    ("ERROR: Failed to compute CRC on given sectors 1 92", UNREADABLE),
    ("ERROR: Failed to finalize the SH256 3", UNREADABLE),
    ("[ERROR 4: Line 2193: STORAGE_READ_FAILURE]", UNREADABLE),
    ("ERROR: DEVPRG hw init failed 3", HARDWARE),
    # the command itself
    ("XML (0 bytes) not validated", NOT_UNDERSTOOD),
    ("XML file cannot fit in buffer", NOT_UNDERSTOOD),
    ("XML (5000 bytes) is too big for buffer (max 4096 bytes)", NOT_UNDERSTOOD),
    ("ERROR 1: Line 500: XML_PACKET_TOO_LARGE", NOT_UNDERSTOOD),
    ("WARNING: Ignoring unrecognized tag 'foo'. Continuing.", NOT_UNDERSTOOD),
    ("WARNING: Ignoring unrecognized tag too long to display. Continuing.", NOT_UNDERSTOOD),
    ("**WARNING Ignoring Unrecognized tag 'data'", NOT_UNDERSTOOD),
    ('XML not formed correctly. Expected one " character at loc 87', NOT_UNDERSTOOD),
    ("ERROR: Either closing tag is bigger than 4096 bytes, or", NOT_UNDERSTOOD),
    ("ERROR: The XML TAG is too long (44 chars) only 30 chars allowed", NOT_UNDERSTOOD),
    (
        "The value for XML attribute 'label' is too long (81 chars) only 80 chars allowed",
        NOT_UNDERSTOOD,
    ),
    ("ERROR: Failed to parse xml, error at offset 53", NOT_UNDERSTOOD),
    ("Failed to parse xml at offset 4090, 4096", NOT_UNDERSTOOD),
    ("ERROR: Failed to run the last command -1", NOT_UNDERSTOOD),
    ("Can't convert attribute 'value'='' to number", NOT_UNDERSTOOD),
    ("Call to stringToNumber failed on attribute 'value' with value 'x'", NOT_UNDERSTOOD),
    ("Attribute 'start_sector' not provided (or -1)", NOT_UNDERSTOOD),
    ("Attribute 'MaxDigestTableSizeInBytes'=16384 cannot exceed 8192", NOT_UNDERSTOOD),
    ("Attribute 'MaxPayloadSizeToTargetInBytes' is not a multiple of 512", NOT_UNDERSTOOD),
    ("AssignAttribute failed", NOT_UNDERSTOOD),
    ("ERROR: Integer value for value is too high 5 4", NOT_UNDERSTOOD),
    ("ERROR: Invalid size of int, too large 30 > 20", NOT_UNDERSTOOD),
    ("INFO: invalid SECTOR_SIZE_IN_BYTES result -1", NOT_UNDERSTOOD),
    ("ERROR: patch size too large 9", NOT_UNDERSTOOD),
    ("Invalid CRC patch value", NOT_UNDERSTOOD),
    ("ERROR: Not a proper CRC function format.", NOT_UNDERSTOOD),
    ("ERROR: Invalid CRC function function format CRC32(1, 92)", NOT_UNDERSTOOD),
    ("Failed to get crc_over_num_bytes", NOT_UNDERSTOOD),
    ("No storage drive number", NOT_UNDERSTOOD),
    ("No physical_partition_number", NOT_UNDERSTOOD),
    ("Failed to get physical partition number", NOT_UNDERSTOOD),
    ("Could not find bootable drive value.", NOT_UNDERSTOOD),
    ("Failed to get bootable drive", NOT_UNDERSTOOD),
    (
        "To be here means power_action was not understood with power tag. Target is *not* being"
        " reset or powered off",
        NOT_UNDERSTOOD,
    ),
    ("ERROR 21: Line 2549: HANDLE_PROGRAM_FAILURE", GAVE_UP),
)

LOCKS_AND_LIMITS = tuple(
    row
    for row in MEANINGS
    if row[1][0] is AuthorizationError or row[1] in {RESTRICTED, SAMSUNG, NOKIA}
)

HARMLESS = (
    # greetings and functions, some named after locks
    "INFO: Binary build date: Mar 16 2022 @ 11:57:42",
    "INFO: Chip serial num: 439041101 (0x1a2b3c4d)",
    "Chip serial num: Not shown (0xNot Shown)",
    "INFO: Supported Functions (24):",
    "INFO: End of supported functions 24",
    "Supported Functions: program configure sig verify demacia setprojmodel simlock erase",
    "INFO: demacia",
    "INFO: setprojmodel",
    "INFO: verify",
    "INFO: sig",
    "INFO: getsigndata",
    "INFO: query_auth_id_info",
    "INFO: parse_sig",
    "INFO: securityprogram",
    "INFO: getSecureBootStatus",
    "INFO: checkntfeature",
    "INFO: vip",
    "INFO: ufs: SAMSUNG",
    "ufs 198,3b9e000",
    "logbuf@0x0801CDF0 fh@0x08019C58",
    "fh.attrs.Verbose is set to 0",
    "Vendor:XTC",
    "Found XTC!!",
    # the course of things
    "INFO: Calling handler for verify",
    "INFO: handler read allowed",
    "INFO: Storage type set to value UFS",
    "memory_name set to 'UFS' and fh.disk_sector_size is 4096",
    "storage_device_open slot 0. If this hangs use SkipStorageInit='1' in your configure tag",
    "skipping storage init requested by user",
    "Calling usb_al_bulk_set_zlp_mode(TRUE) since ZlpAwareHost='1'",
    "DEBUG: Calling usb_al_bulk_set_zlp_mode(TRUE), zlp is not set to 0",
    "DEBUG: Can't decode attribute slot with value",
    "IGNORING UNRECOGNIZED Attribute 'label' with value 'boot'",
    "Recognized Attribute Number 12",
    "start 64, num 40",
    "Finished sector address 104",
    "Finished reading from sector address 64 to 104",
    "Finished programming start_sector 104 and TotalSectorsToProgram 40",
    "16384 bytes received, 8 sectors more to go",
    "Patched sector 64 with 66121FF4",
    "crc start sector 65, over bytes 512",
    "DEBUG: patch command is deprecated",
    "Hash start sector 64 num sectors 40",
    "5 sectors more to hash",
    "Digest 71B590D93DCE7A66F749B3D94445741A00D24C8FCB1B34B313BFEAB42B5C888A",
    "In handleErase Calling storage_device_erase()",
    "storage_device_erase() reported SUCCESS",
    "DEBUG: sdcc Erasing whole disk of 65536 blocks",
    "INFO: Erasing start sector 61504, num sectors 0",
    "INFO: Using scheme of value= 1",
    "Set bootable drive to 0.",
    "INFO: NAND was previously open, returning existing handle 0.",
    "INFO: SkipWrites is set, Setting the device as NULL device",
    "INFO: Will issue reset/power off 100 useconds, if this hangs check if watchdog is enabled",
    "ERROR: power/reset option not specified, default is do reset 0",
    "INFO: bsp_target_reset() 0",
    # an offer, not an error
    "Host's payload to target size is too large",
    "WARN: NAK: MaxPayloadSizeToTargetInBytes sent by host 1048576 larger than supported 16384",
    "fh.attrs.MaxPayloadSizeToTargetInBytes of 1048576 > fh.channel_buffer_capacity of 32768",
    "Host's payload to target size not provided or 0; using 32768",
    # means no failure: bkerler/edl#423
    "ERROR: [ffu]FWversion",
    "Peek is disabled on secure boot devices",
    "Peek not allowed when secure boot is enabled.",
    "Poke is disabled on secure boot devices",
    # progress and good news of VIP, and names that look like it
    "VIP data verified table 1 packet 20",
    "Number of VIP hashes 54 on initial table",
    "(P0001) (H0002) ",
    "AuthenticateImage() Authentication is NOT enabled, returning TRUE",
    "Secure Boot *not* enabled BUT VIP *is* enabled",
    "Secure Boot is not enabled on the HW, so no need to check the sign data",
    "EDL Authenticated",
    "INFO: program vip_image.bin VIP.mbn",
    # alone they do not tell what went wrong: it is in the line that follows
    "ERROR: UFS Error -5 (3)",
    "ERROR: SDCC Error 15 (3)",
    "ERROR: Failed to run the last command 3",
    # other people's tools
    "qdl: failed to initialize libusb: Permission denied",
    "qdl: bulk write failed: Input/Output error",
    "ERROR: usb_read failed with status e0004051",
    "INFO: Response was success in running to unrecognized TAG (response)",
    "",
)


@pytest.mark.parametrize(("line", "meaning"), MEANINGS)
def test_texts_of_real_programmers(line: str, meaning: tuple[type[EdlError], str]) -> None:
    error, words = meaning
    # in whatever company of harmless lines, and whatever the case
    for logs in ([line], [*HARMLESS, line, *HARMLESS], [line.upper()]):
        found = explain(logs)
        assert found is not None
        assert (found.error, words in found.text) == (error, True)


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_texts(line: str) -> None:
    assert explain([line]) is None


def test_all_meanings_are_found() -> None:
    """Each row of the table has a text here, and says something of its own."""
    tested = {words for _, (_, words) in MEANINGS}
    texts = {meaning.text for _, meaning in loglines._ROWS}
    assert len(texts) == len(tested)
    assert all(any(words in text for words in tested) for text in texts)


def test_remedies_are_few_and_whole_sentences() -> None:
    for _, meaning in loglines._ROWS:
        remedies = meaning.error.remedies if meaning.remedies is None else meaning.remedies
        assert len(remedies) <= 3
        assert all(remedy[0].isupper() and remedy.endswith(".") for remedy in remedies)


@pytest.mark.parametrize(
    ("logs", "meaning"),
    [
        # the first line is what happened, the last what always follows
        (
            [
                "Attribute 'SECTOR_SIZE_IN_BYTES'=4096 must be equal to disk sector size 512",
                "ERROR 4: Line 2355: STORAGE_READ_FAILURE",
            ],
            SECTOR_SIZE,
        ),
        (
            [
                "Attribute 'PAGES_PER_BLOCK'=2048 must be equal to disk pages per block 64",
                "ERROR 21: Line 2459: HANDLE_PROGRAM_FAILURE",
            ],
            GEOMETRY,
        ),
        (
            [
                "ERROR: Failed to open the UFS Device slot 0 partition 6",
                "ERROR: Failed to open the device:3 slot:0 partition:6 error:0",
                "ERROR: OPEN handle NULL and no error, weird 537853652",
                "ERROR: Failed to open device, type:UFS, slot:0, lun:6 error:3",
            ],
            NO_LUN,
        ),
        (
            [
                "ERROR: Failed to open the SDCC Device slot 0 partition 3",
                "storage_device_get_num_partition_sectors FAILED!",
                "parseSectorValue could not handle start_sector value",
            ],
            NO_LUN,
        ),
        (
            ["ERROR: UFS Error -5 (3)", "ERROR: Write Failed sector 8190, size 4 result 3"],
            NOT_WRITTEN,
        ),
        (
            [
                "ERROR: UFS Error -5 (3)",
                "ERROR: Erase Failed sector 8190, size 4",
                "ERROR: Failed to erase the disk/lun 1",
            ],
            NOT_ERASED,
        ),
        (["ERROR: UFS Error -22 (3)", "ERROR: Set Bootable Failed 1"], NOT_BOOTABLE),
        (
            ["ERROR: UFS Error -22 (3)", "ERROR: Configure Failed slot 0"],
            LAYOUT,
        ),
        (
            [
                "USB read has failed. Returned 0 bytes.",
                "ERROR 21: Line 2549: HANDLE_PROGRAM_FAILURE",
            ],
            USB,
        ),
        (
            ["range restricted: physical_partition_number=0, start_sector=0", "Permission denied "],
            RESTRICTED,
        ),
        (
            [
                "ERROR: sector size defined in XML (512) different from device sector size (4096)",
                "ERROR: Failed to run the last command -1",
            ],
            SECTOR_SIZE,
        ),
        (
            [
                "ERROR: Verifying signature failed with 3",
                "ERROR: Authentication of signed hash failed 0",
                "ERROR: Failed to run the last command -1",
            ],
            VIP,
        ),
    ],
)
def test_several_lines_have_one_meaning(
    logs: list[str], meaning: tuple[type[EdlError], str]
) -> None:
    found = explain(logs)
    assert found is not None
    assert (found.error, meaning[1] in found.text) == (meaning[0], True)


def test_no_lines_have_no_meaning() -> None:
    assert explain([]) is None


def test_locks() -> None:
    assert loglines.is_lock(["ERROR: Only nop and sig tag can be recevied before authentication."])
    assert loglines.is_lock(["ERROR: Verifying signature failed with 3"])
    assert not loglines.is_lock(["command restricted!"])
    assert not loglines.is_lock(HARMLESS)
    assert not loglines.is_lock([])


@pytest.mark.parametrize(
    ("line", "sector_bytes"),
    [
        ("Sector size in XML 4096 does not match disk sector size 512", 512),
        ("Attribute 'SECTOR_SIZE_IN_BYTES'=512 must be equal to disk sector size 2048", 2048),
        ("ERROR: sector size defined in XML (512) different from device sector size (4096)", 4096),
        ("Disk sector size :512 XML gave:4096", 512),
        ("INFO: Calling handler for read", None),
    ],
)
def test_the_right_sector_size_is_in_the_refusal(line: str, sector_bytes: int | None) -> None:
    assert loglines.right_sector_bytes(["INFO: Calling handler for read", line]) == sector_bytes


def test_unknown_commands() -> None:
    for line in (
        "WARNING: Ignoring unrecognized tag 'foo'. Continuing.",
        "**WARNING Ignoring Unrecognized tag 'foo'",
    ):
        assert loglines.is_unknown_command([line], answered=True)
        assert loglines.is_unknown_command([line], answered=False)
    lost = ["a", "ERROR: Failed to run the last command -1"]
    assert loglines.is_unknown_command(lost, answered=False)
    assert not loglines.is_unknown_command(lost, answered=True)  # it is about another command
    for answered in (True, False):
        other = ["ERROR: Failed to run the last command 3"]
        assert not loglines.is_unknown_command(other, answered=answered)
        assert not loglines.is_unknown_command(HARMLESS, answered=answered)


NOTICES = (
    "INFO: VIP is enabled, receiving the signed table of size 8192",
    "VIP - Validated Image Programming is enabled - Validation is enabled.",
    "Validation is enabled.",
)


@pytest.mark.parametrize("line", NOTICES)
def test_a_notice_is_a_sign_but_no_refusal(line: str) -> None:
    assert loglines.is_sign(line)
    assert not loglines.is_lock([line])
    assert loglines.is_lock([line, "ERROR: Verifying signature failed with 3"])


def test_limits() -> None:
    for line, meaning in MEANINGS:
        assert loglines.is_limit([line]) == (meaning in {RESTRICTED, SAMSUNG, NOKIA})
    assert not loglines.is_limit([])


def test_signs() -> None:
    locks = {words for _, (_, words) in LOCKS_AND_LIMITS}
    for line, (_, words) in MEANINGS:
        assert loglines.is_sign(line) == (words in locks or "Secure boot" in line)
    assert [line for line in HARMLESS if loglines.is_sign(line)] == [
        line for line in HARMLESS if loglines.secure_boot([line]) is not None
    ]


@pytest.mark.parametrize(
    ("line", "on"),
    [
        ("AuthenticateImage() Authentication is NOT enabled, returning TRUE", False),
        ("Secure Boot *not* enabled BUT VIP *is* enabled", False),
        ("Secure Boot is not enabled on the HW, so no need to check the sign data", False),
        ("Secure boot detected. VIP not enabled:fail ", True),
        ("ERROR: Peek is disabled on secure boot devices", True),
        ("Poke not allowed when secure boot is enabled.", True),
        ("INFO: getSecureBootStatus", None),
    ],
)
def test_what_is_said_about_secure_boot(line: str, on: bool | None) -> None:
    assert loglines.secure_boot(["INFO: Calling handler for nop", line]) is on


def test_commands_that_lift_locks() -> None:
    functions = ["program", "demacia", "setprojmodel", "getsha256digest"]  # bkerler/edl#669
    assert loglines.lock_commands(functions) == {"demacia": "OnePlus", "setprojmodel": "OnePlus"}
    assert loglines.lock_commands([]) == {}


def test_a_log_that_stands_for_an_answer() -> None:
    assert loglines.ends_without_answer("ERROR: Failed to run the last command -1")
    assert not loglines.ends_without_answer("ERROR: Failed to run the last command 3")
    assert not loglines.ends_without_answer("ERROR: Failed to parse xml, error at offset 53")


# --- public logs and recorded dialogues

REFUSALS = {
    "USB-Dongle-OpenStick-flash_20260414_124921.log.txt": {SECTOR_SIZE},
    "bkerler-edl-48.txt": {UNREADABLE},
    "bkerler-edl-124.txt": {USB},
    "bkerler-edl-183.txt": {VIP},
    "bkerler-edl-267.txt": {RESTRICTED},
    "bkerler-edl-355.txt": {RESTRICTED},
    "bkerler-edl-429.txt": {LOCKED},
    "bkerler-edl-464.txt": {LOCKED},
    "bkerler-edl-489.txt": {CLOSED},
    "bkerler-edl-522.txt": {GEOMETRY, GAVE_UP},
    "bkerler-edl-532.txt": {VIP},
    "bkerler-edl-648.txt": {NOT_UNDERSTOOD},
    "bkerler-edl-714.txt": {SECTOR_SIZE, UNREADABLE},
    "forum-redmi-note7-auth.txt": {LOCKED},
    "linux-msm-qdl-13.txt": {VIP},
    "linux-msm-qdl-commit-2576983.txt": {VIP, NOT_UNDERSTOOD},
    "linux-msm-qdl-commit-62464e4.txt": {VIP},
    "public-doc-meta-stanley.txt": {VIP},
    "public-doc-oplus-external-network.txt": {OPLUS},
    "public-doc-temblast-edl-poke6.txt": {NOT_UNDERSTOOD},
    "public-doc-ufs-provision-errors.txt": {LAYOUT},
    "qualcomm-linux-meta-qcom-1073.txt": {SECTOR_SIZE},
    "xda-4357885.txt": {VIP},
}


def test_every_line_of_the_public_logs() -> None:
    """Those that refuse are found, and among thousands of others there is no false alarm."""
    found: dict[str, set[tuple[type[EdlError], str]]] = {}
    known = {words: (error, words) for _, (error, words) in MEANINGS}
    for path in sorted(shared("logs").iterdir()):
        text = path.read_text("utf-8", "replace")
        # what the collector quotes from titles is in lines that begin with a hash
        lines = [line for line in text.splitlines() if not re.match(r"#|.*\" - S[DM]", line)]
        for line in lines:
            meaning = explain([line])
            if meaning is not None:
                words = next(words for words in known if words in meaning.text)
                found.setdefault(path.name, set()).add(known[words])
    assert found == REFUSALS


@pytest.mark.parametrize(
    "name", ["msm8916-plain", "msm8953-plain", "sdm660-plain", "qcm2290-plain"]
)
def test_a_recorded_session_is_refused_only_where_it_reads_beyond_the_end(name: str) -> None:
    text = shared(f"dialogues/{name}.txt").read_bytes().decode("latin-1")
    refused = {
        exchange.split(" ")[0]
        for exchange in re.split(r"^>> <", text, flags=re.MULTILINE)
        if explain(re.findall(r'<log value="(.*?)" ?/>', exchange))
    }
    assert refused == (set() if name == "qcm2290-plain" else {"read"})
