# SPDX-License-Identifier: BSD-3-Clause
"""What to do when a boot ROM refuses a programmer: remedies for each Sahara status."""

from __future__ import annotations

from edl.errors import ProgrammerRefusedError
from edl.imageset import PROGRAMMER_ID, usual_name
from edl.sahara.status import Status, words

_AGAIN = "Hold the power button for 15 seconds, enter EDL mode again and repeat the command."
_STOCK = "Use the programmer from the stock package of exactly this model."
_OTHER_KEY = (
    "Use the programmer from the stock package of exactly this model (newest version).",
    "Run 'edl info' for the phone's key and chip, and compare with the file's.",
)
_OTHER_CHIP = ("Use a programmer that was made for this chip.", _STOCK)
_DAMAGED = ("Get the programmer again: this file is damaged.", _STOCK)
_CABLE = (
    _AGAIN,
    "Plug the phone directly into the computer, with another cable if you have one.",
)
_REMEDIES = {
    Status.HASH_TABLE_AUTH_FAILURE: _OTHER_KEY,
    Status.IMAGE_AUTH_FAILURE: _OTHER_KEY,
    Status.HASH_TABLE_NOT_FOUND: (
        "Use the programmer that the phone's maker signed, from its stock package.",
    ),
    **dict.fromkeys(
        (
            Status.INVALID_DEST_ADDR,
            Status.INVALID_ELF_HDR,
            Status.INVALID_IMAGE_TYPE,
            Status.UNSUPPORTED_NUM_PHDRS,
            Status.UNINIT_PHDR_LOC,
            Status.INVALID_IMG_HASH_TABLE_SIZE,
        ),
        _OTHER_CHIP,
    ),
    **dict.fromkeys(
        (
            Status.HASH_VERIFICATION_FAILURE,
            Status.INVALID_HEADER_SIZE,
            Status.INVALID_PHDR_SIZE,
            Status.MULTIPLE_SHARED_SEG,
            Status.INVALID_IMG_HDR_DATA_SIZE,
        ),
        _DAMAGED,
    ),
    **dict.fromkeys(
        (
            Status.INVALID_PACKET_SIZE,
            Status.INVALID_DATA_SIZE,
            Status.INVALID_TX_LENGTH,
            Status.INVALID_RX_LENGTH,
            Status.GENERAL_TX_RX_ERROR,
            Status.READ_DATA_ERROR,
            Status.TIMEOUT_RX,
            Status.TIMEOUT_TX,
            Status.ENUMERATION_FAILURE,
            Status.HW_BULK_TRANSFER_ERROR,
        ),
        _CABLE,
    ),
}
_DEFAULT_REMEDIES = (_STOCK, _AGAIN)


def refused(image_id: int, status: Status) -> ProgrammerRefusedError:
    """Return the error for an image that was refused with status: what that means, what to do."""
    what = "the programmer" if image_id == PROGRAMMER_ID else f"image {image_id}"
    return ProgrammerRefusedError(
        f"The phone refused {what}: {words(status)}.",
        remedies=_REMEDIES.get(status, _DEFAULT_REMEDIES),
    )


def missing_image_remedy(image_id: int) -> str:
    """Return what to do about an image that the phone asks for and was not given."""
    if image_id == 7:
        return "This is a NAND modem: it needs its NPRG programmer, which is not a Firehose file."
    name = usual_name(image_id)
    which = f" (image {image_id} is mostly called {name})" if name else ""
    return (
        f"This phone starts from several images{which}: take all of them from its stock package,"
        " with --loader ID:FILE,ID:FILE or its sahara_config XML."
    )
