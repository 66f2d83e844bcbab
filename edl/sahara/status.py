# SPDX-License-Identifier: BSD-3-Clause
"""Sahara status codes, in words.

Numbers and names agree between emmcdl (inc/sahara.h), libopenpst (sahara.h) and edl-ng. Published
texts of bkerler/edl before 2026-03-10 are shifted by one, or looked up with the image id: public
logs that quote them are no evidence.
"""

from __future__ import annotations

from edl.wire import OpenEnum


class Status(OpenEnum):
    """Status of END_OF_IMAGE."""

    SUCCESS = 0x00
    INVALID_CMD = 0x01
    PROTOCOL_MISMATCH = 0x02
    INVALID_TARGET_PROTOCOL = 0x03
    INVALID_HOST_PROTOCOL = 0x04
    INVALID_PACKET_SIZE = 0x05
    UNEXPECTED_IMAGE_ID = 0x06
    INVALID_HEADER_SIZE = 0x07
    INVALID_DATA_SIZE = 0x08
    INVALID_IMAGE_TYPE = 0x09
    INVALID_TX_LENGTH = 0x0A
    INVALID_RX_LENGTH = 0x0B
    GENERAL_TX_RX_ERROR = 0x0C
    READ_DATA_ERROR = 0x0D
    UNSUPPORTED_NUM_PHDRS = 0x0E
    INVALID_PHDR_SIZE = 0x0F
    MULTIPLE_SHARED_SEG = 0x10
    UNINIT_PHDR_LOC = 0x11
    INVALID_DEST_ADDR = 0x12
    INVALID_IMG_HDR_DATA_SIZE = 0x13
    INVALID_ELF_HDR = 0x14
    UNKNOWN_HOST_ERROR = 0x15
    TIMEOUT_RX = 0x16
    TIMEOUT_TX = 0x17
    INVALID_HOST_MODE = 0x18
    INVALID_MEMORY_READ = 0x19
    INVALID_DATA_SIZE_REQUEST = 0x1A
    MEMORY_DEBUG_NOT_SUPPORTED = 0x1B
    INVALID_MODE_SWITCH = 0x1C
    CMD_EXEC_FAILURE = 0x1D
    EXEC_CMD_INVALID_PARAM = 0x1E
    EXEC_CMD_UNSUPPORTED = 0x1F
    EXEC_DATA_INVALID_CLIENT_CMD = 0x20
    HASH_TABLE_AUTH_FAILURE = 0x21
    HASH_VERIFICATION_FAILURE = 0x22
    HASH_TABLE_NOT_FOUND = 0x23
    TARGET_INIT_FAILURE = 0x24
    IMAGE_AUTH_FAILURE = 0x25
    INVALID_IMG_HASH_TABLE_SIZE = 0x26
    ENUMERATION_FAILURE = 0x27
    HW_BULK_TRANSFER_ERROR = 0x28


_WORDS = {
    Status.SUCCESS: "all is well",
    Status.INVALID_CMD: "this packet is not acceptable now",
    Status.PROTOCOL_MISMATCH: "the protocol versions do not match",
    Status.INVALID_TARGET_PROTOCOL: "the phone's protocol version is not valid",
    Status.INVALID_HOST_PROTOCOL: "the host's protocol version is too old for this phone",
    Status.INVALID_PACKET_SIZE: "a packet had the wrong length",
    Status.UNEXPECTED_IMAGE_ID: "the image id was not expected",
    Status.INVALID_HEADER_SIZE: "the image's header has the wrong size",
    Status.INVALID_DATA_SIZE: "more or fewer bytes came than the phone had asked for",
    Status.INVALID_IMAGE_TYPE: "the image is of the wrong type",
    Status.INVALID_TX_LENGTH: "a length to send is not valid",
    Status.INVALID_RX_LENGTH: "a length to receive is not valid",
    Status.GENERAL_TX_RX_ERROR: "the transfer failed",
    Status.READ_DATA_ERROR: "the phone could not ask for data",
    Status.UNSUPPORTED_NUM_PHDRS: "the image has too many program headers, or none",
    Status.INVALID_PHDR_SIZE: "a program header has the wrong size",
    Status.MULTIPLE_SHARED_SEG: "the image has several shared segments",
    Status.UNINIT_PHDR_LOC: "the place of the program headers is not known",
    Status.INVALID_DEST_ADDR: "the image wants to go where this chip does not allow it: "
    "it was made for another chip",
    Status.INVALID_IMG_HDR_DATA_SIZE: "the sizes in the image's header contradict each other",
    Status.INVALID_ELF_HDR: "the image is no ELF file that this chip can start",
    Status.UNKNOWN_HOST_ERROR: "the host failed in an unknown way",
    Status.TIMEOUT_RX: "the phone waited too long for data",
    Status.TIMEOUT_TX: "the phone could not send in time",
    Status.INVALID_HOST_MODE: "the phone does not allow the mode that was asked for",
    Status.INVALID_MEMORY_READ: "the address is outside the crash dump",
    Status.INVALID_DATA_SIZE_REQUEST: "the amount of data asked for is not valid",
    Status.MEMORY_DEBUG_NOT_SUPPORTED: "the phone offers no crash dump",
    Status.INVALID_MODE_SWITCH: "the phone cannot switch to that mode now",
    Status.CMD_EXEC_FAILURE: "the command failed",
    Status.EXEC_CMD_INVALID_PARAM: "the command's parameter is not valid",
    Status.EXEC_CMD_UNSUPPORTED: "the phone does not know this command",
    Status.EXEC_DATA_INVALID_CLIENT_CMD: "data was asked for another command",
    Status.HASH_TABLE_AUTH_FAILURE: "the signature of the programmer is not accepted: it is signed "
    "by another maker, for another chip or model, or it is too old (rollback protection)",
    Status.HASH_VERIFICATION_FAILURE: "a part of the programmer has the wrong hash: "
    "the file is damaged or was modified",
    Status.HASH_TABLE_NOT_FOUND: "the programmer is not signed, and this phone starts only "
    "signed ones",
    Status.TARGET_INIT_FAILURE: "the phone could not initialise itself",
    Status.IMAGE_AUTH_FAILURE: "the programmer's authentication failed",
    Status.INVALID_IMG_HASH_TABLE_SIZE: "the programmer's hash table has a size that this chip "
    "does not accept",
    Status.ENUMERATION_FAILURE: "the phone could not enumerate on USB",
    Status.HW_BULK_TRANSFER_ERROR: "the phone's USB hardware reported an error",
}


def words(status: Status) -> str:
    """Return what status means, with its number: `signature not accepted (status 0x21, ...)`."""
    meaning = _WORDS.get(status, "a status that is not documented")
    return f"{meaning} (status {int(status):#04x} {status.name})"
