# SPDX-License-Identifier: BSD-3-Clause
"""Headers of signed images: the start of a hash segment, and the old headers of whole files.

Layouts: coreboot util/qualcomm/mbn_tools.py, OP-TEE's pas_mbn_parser.c, openpst mbn.h; which sizes
count was settled with real images.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from edl.errors import DocumentError

SBL80_MAGIC = struct.pack("<2I", 0x844BDCD1, 0x73D71034)
SBL80_HEADER_BYTES = 80
MBN40_HEADER_BYTES = 40
MBN80_HEADER_BYTES = 80
MAX_HASH_SEGMENT_BYTES = 1 << 20  # real ones stay below 50 KiB
_ENCRYPTION_MARK = struct.pack("<I", 0x514D5349)
_HIGHEST_CLASSIC_ID = 0x40
_CERTIFICATE = b"\x30"  # with which every certificate begins


@dataclass(frozen=True)
class Signer:
    """What one signer has put into a hash segment; every part may be empty."""

    metadata: bytes
    signature: bytes
    certificates: bytes

    @property
    def present(self) -> bool:
        """Whether it has signed: a field of equal bytes is a placeholder that tools leave."""
        return bool(self.certificates) and len(set(self.signature)) > 1


NOBODY = Signer(b"", b"", b"")


@dataclass(frozen=True)
class HashSegment:
    """A hash segment taken apart.

    image_id: of the MBN header, information only; None in version 7. common: metadata that the
    signers share (version 7). encrypted: an encryption block follows.
    """

    version: int
    image_id: int | None
    header: bytes
    common: bytes
    chip_maker: Signer
    vendor: Signer
    table: bytes
    encrypted: bool

    def message(self, signer: Signer, *, alone: bool) -> bytes:
        """Return what signer has signed.

        alone: as if there were no other signer; images with two of them are signed in this way, the
        sizes and the metadata of the other one being zero.
        """
        header = bytearray(self.header)
        second, vendor = self.chip_maker.metadata, self.vendor.metadata
        if alone and signer is self.vendor:
            start = 0x18 if self.version == 7 else 0x08
            header[start : start + 8] = bytes(8)
            second = bytes(len(second))
        elif alone:
            places = (0x20, 0x24) if self.version == 7 else (0x1C, 0x24)
            for place in places:
                header[place : place + 4] = bytes(4)
            vendor = bytes(len(vendor))
        return bytes(header) + self.common + second + vendor + self.table


@dataclass(frozen=True)
class SignedFile:
    """A file with one of the old headers: everything before the signature is signed.

    end: where it should end; cut_off: the file ends before.
    """

    image_id: int
    message: bytes
    vendor: Signer
    end: int
    cut_off: bool


class _Cursor:
    """Cuts a buffer into parts one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        """Return the next size bytes.

        Raises:
            DocumentError: there are fewer.
        """
        if self._place + size > len(self._data):
            raise DocumentError("The sizes in the hash segment's header reach beyond its end.")
        self._place += size
        return self._data[self._place - size : self._place]

    def rest(self, size: int) -> bytes:
        """Return up to size of the bytes that nobody has taken."""
        return self._data[self._place : self._place + size]


def read_hash_segment(data: bytes) -> HashSegment:
    """Return the hash segment in data taken apart.

    Raises:
        DocumentError: its header is of an unknown version, or its sizes do not fit.
    """
    if len(data) < 40:
        raise DocumentError("The hash segment is too short for its header.")
    words = struct.unpack_from("<10I", data)
    cursor = _Cursor(data[:MAX_HASH_SEGMENT_BYTES])
    common = metadata = second_metadata = b""
    second_sizes = (0, 0)
    match words[1]:
        case 3:
            header = cursor.take(40)
        case 5:
            header = cursor.take(40)
            second_sizes = words[2:4]
        case 6:
            header = cursor.take(48)
            second_sizes = words[2:4]
            sizes = struct.unpack_from("<2I", header, 40)
            second_metadata, metadata = (cursor.take(size) for size in sizes)
        case 7:
            header = cursor.take(40)
            second_sizes = words[6:8]
            common, second_metadata, metadata = (cursor.take(size) for size in words[2:5])
        case version:
            raise DocumentError(f"A hash segment of version {version} is not supported.")
    sizes = (words[8], words[9]) if words[1] == 7 else (words[7], words[9])
    table = cursor.take(words[5])
    chip_maker = Signer(second_metadata, *(cursor.take(size) for size in second_sizes))
    vendor = Signer(metadata, *(cursor.take(size) for size in sizes))
    return HashSegment(
        version=words[1],
        image_id=None if words[1] == 7 else words[0],
        header=header,
        common=common,
        chip_maker=chip_maker,
        vendor=vendor,
        table=table,
        encrypted=cursor.rest(4) == _ENCRYPTION_MARK,
    )


def read_sbl80(data: bytes) -> SignedFile:
    """Return the image with the 80-byte header in data.

    Raises:
        DocumentError: the header is cut off, or its area for certificates is too large.
    """
    if len(data) < SBL80_HEADER_BYTES:
        raise DocumentError("The 80-byte header is cut off.")
    words = struct.unpack_from("<20I", data)
    return _signed_file(data, words[2], SBL80_HEADER_BYTES + words[8], words[10], words[12])


def read_mbn40(data: bytes) -> SignedFile | None:
    """Return the image with the 40-byte header in data, or None if that is none.

    This header has no magic number, so its sizes must fit together. Its long form has 40 bytes more
    (coreboot's Boot_Hdr): they are there if certificates lie behind them, and not before.
    """
    if len(data) < MBN40_HEADER_BYTES:
        return None
    image_id, version, _, _, size, code, _, signature, _, certificates = struct.unpack_from(
        "<10I", data
    )
    fits = version == 3 and image_id < _HIGHEST_CLASSIC_ID and code
    if not fits or size != code + signature + certificates or size > len(data):
        return None
    end = MBN40_HEADER_BYTES + code
    if certificates and data[end + signature : end + signature + 1] != _CERTIFICATE:
        more = MBN80_HEADER_BYTES - MBN40_HEADER_BYTES
        longer = data[end + more + signature : end + more + signature + 1] == _CERTIFICATE
        end += more if longer else 0
    return _signed_file(data, image_id, end, signature, certificates)


def _signed_file(data: bytes, image_id: int, end: int, signature: int, area: int) -> SignedFile:
    if area > MAX_HASH_SEGMENT_BYTES:
        raise DocumentError(f"An area of {area} bytes for certificates is not supported.")
    return SignedFile(
        image_id=image_id,
        message=data[:end],
        vendor=replace(
            NOBODY,
            signature=data[end : end + signature],
            certificates=data[end + signature : end + signature + area],
        ),
        end=end + signature + area,
        cut_off=end + signature + area > len(data),
    )
