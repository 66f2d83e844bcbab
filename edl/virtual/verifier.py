# SPDX-License-Identifier: BSD-3-Clause
"""The virtual phone's own check of a signed image, as boot ROMs make it.

It decides without any help from the host's reader of images: both share only the structure of DER
and ELF. Order of the checks: Qualcomm's open verifier in OP-TEE (pas_sig.c, pas_meta.c); which
status a failure gives: public logs, and [I] where there is none.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Collection
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats import elf
from edl.virtual.chain import Certificate, read_chain
from edl.wire import OpenEnum

PROGRAMMER = frozenset({0, 3})  # old ROMs take the programmer in place of SBL1, which is 0
_MSM_MASK = 0x0FFFFFFF  # the highest four bits are the revision of the die
_SBL80_MAGIC = (0x844BDCD1, 0x73D71034)
SBL80_HEADER_BYTES = 80


class Status(OpenEnum):
    """What a boot ROM says about an image in END_OF_IMAGE."""

    SUCCESS = 0x00
    UNSUPPORTED_NUM_PHDRS = 0x0E
    INVALID_PHDR_SIZE = 0x0F
    INVALID_DEST_ADDR = 0x12
    INVALID_IMG_HDR_DATA_SIZE = 0x13
    INVALID_ELF_HDR = 0x14
    HASH_TABLE_AUTH_FAILURE = 0x21
    HASH_VERIFICATION_FAILURE = 0x22
    HASH_TABLE_NOT_FOUND = 0x23
    INVALID_IMG_HASH_TABLE_SIZE = 0x26


class RefusedError(Exception):
    """The image may not run. reason: for people who debug a test; a phone keeps it to itself."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status


@dataclass(frozen=True)
class Fuses:
    """What is burnt into a chip.

    secure_boot: whether images must be signed at all. pk_hash: SHA-256 (chips of header versions 3
    and 5) or SHA-384 of the maker's root certificates. hwid: MSM id, OEM id, model id. soc_version:
    16-bit SoC number that newer images name instead of the MSM id. rollback: lowest version that
    still runs. header_versions: of hash segments that this ROM knows.
    """

    hwid: int
    pk_hash: bytes
    secure_boot: bool = True
    soc_version: int = 0
    serial: int = 0
    rollback: int = 0
    header_versions: frozenset[int] = frozenset({3})


@dataclass(frozen=True)
class _Areas:
    """A hash segment taken apart. signed: what the vendor's signature covers."""

    version: int
    metadata: bytes
    sw_id: int
    table: bytes
    signed: bytes
    signature: bytes
    certificates: bytes


def check_image(fuses: Fuses, image: bytes, sw_ids: Collection[int] = PROGRAMMER) -> Status:
    """Return what the phone says about a whole image: SUCCESS, or why it does not start.

    sw_ids: kinds of image that may start here; 3 is a programmer.
    """
    try:
        if image[:8] == struct.pack("<2I", *_SBL80_MAGIC):
            check_sbl80(fuses, image, sw_ids)
        else:
            _check_parts(fuses, image, sw_ids)
    except RefusedError as refusal:
        return refusal.status
    return Status.SUCCESS


def _check_parts(fuses: Fuses, image: bytes, sw_ids: Collection[int]) -> None:
    """Check every ELF image of those in a row.

    Raises:
        RefusedError: one of them may not run, or none is of the kind that should start.
    """
    kinds: set[int | None] = set()
    while not kinds or image[:4] == elf.MAGIC:
        try:
            part = elf.read_elf(image)
        except DocumentError as error:
            raise RefusedError(Status.INVALID_ELF_HDR, str(error)) from error
        kinds.add(_check_part(fuses, part, image))
        image = image[part.end :]
    if fuses.secure_boot and not kinds & set(sw_ids):
        raise RefusedError(Status.HASH_TABLE_AUTH_FAILURE, "no part is of the kind that runs here")


def _check_part(fuses: Fuses, part: elf.Elf, image: bytes) -> int | None:
    if not fuses.secure_boot:
        return None
    if part.hash_index is None:
        if image[part.end : part.end + 4] == elf.MAGIC:
            return None  # the plain first part of a version 7 loader
        raise RefusedError(Status.HASH_TABLE_NOT_FOUND, "there is no hash segment")
    place = part.segments[part.hash_index]
    hashes = authenticate(
        fuses,
        image[: part.signed_header_bytes],
        len(part.segments),
        image[place.offset : place.end],
    )
    for index, segment in enumerate(part.segments):
        if segment.type == elf.PT_LOAD and segment.file_bytes and index != part.hash_index:
            hashes.check(index, image[segment.offset : segment.end])
    return hashes.sw_id


@dataclass(frozen=True)
class Hashes:
    """The hash table of an image whose signature is good."""

    sw_id: int
    digest: str
    entries: tuple[bytes, ...]

    def check(self, index: int, data: bytes) -> None:
        """Check data against entry index.

        Raises:
            RefusedError: it has another digest.
        """
        if hashlib.new(self.digest, data).digest() != self.entries[index]:
            raise RefusedError(
                Status.HASH_VERIFICATION_FAILURE, f"segment {index} differs from its hash"
            )


def authenticate(fuses: Fuses, headers: bytes, rows: int, segment: bytes) -> Hashes:
    """Return the hash table in segment, the bytes of a hash segment, if all of it is good.

    headers: ELF header and program headers as loaded; rows: number of program headers.

    Raises:
        RefusedError: it is not.
    """
    areas = _areas(fuses, segment)
    size, rest = divmod(len(areas.table), rows)
    digest = {32: "sha256", 48: "sha384"}.get(size)
    if rest or digest is None:
        raise RefusedError(Status.INVALID_IMG_HASH_TABLE_SIZE, "no digest has this length")
    sw_id = _check_areas(fuses, areas, digest)
    entries = [areas.table[start : start + size] for start in range(0, len(areas.table), size)]
    hashes = Hashes(sw_id, digest, tuple(entries))
    hashes.check(0, headers)
    return hashes


def signed_table(fuses: Fuses, data: bytes) -> tuple[int, bytes]:
    """Return kind and content of a table of digests that was signed by itself (VIP).

    The programmer asks the ROM for this check; a chip without secure boot takes any table.

    Raises:
        RefusedError: it is none, or not signed for this chip.
    """
    areas = _areas(fuses, data)
    if not fuses.secure_boot:
        return 3, areas.table
    digest = "sha384" if areas.version >= 6 else "sha256"
    return _check_areas(fuses, areas, digest), areas.table


def _check_areas(fuses: Fuses, areas: _Areas, digest: str) -> int:
    """Return the kind of what areas sign for, if all about it is good. digest: what is signed."""
    chain = _chain(areas.certificates)
    _check_root(fuses, chain, "sha384" if areas.version >= 6 else "sha256")
    sw_id, rollback = _check_binding(fuses, areas, chain[0])
    _check_signature(areas.version, chain[0], areas.signed, areas.signature, digest)
    if rollback < fuses.rollback:
        raise _unsigned("its rollback version is lower than the fused one")
    return sw_id


@dataclass(frozen=True)
class Sbl80Header:
    """What the 80-byte header says; size_bytes: code, signature and certificates together."""

    address: int
    size_bytes: int
    code_bytes: int
    signature_bytes: int
    area_bytes: int

    @classmethod
    def read(cls, data: bytes) -> Sbl80Header:
        """Return the header at the start of data.

        Raises:
            RefusedError: there is none.
        """
        if len(data) < SBL80_HEADER_BYTES:
            raise RefusedError(Status.INVALID_ELF_HDR, "the header is cut off")
        words = struct.unpack("<20I", data[:SBL80_HEADER_BYTES])
        if words[:2] != _SBL80_MAGIC:
            raise RefusedError(Status.INVALID_ELF_HDR, "the header's magic is wrong")
        return cls(words[6], words[7], words[8], words[10], words[12])


def check_sbl80(fuses: Fuses, image: bytes, sw_ids: Collection[int] | None = PROGRAMMER) -> None:
    """Check an image with the 80-byte header; sw_ids None stands for any kind.

    Raises:
        RefusedError: it may not run.
    """
    header = Sbl80Header.read(image)
    if not fuses.secure_boot:
        return
    end = SBL80_HEADER_BYTES + header.code_bytes
    after = end + header.signature_bytes
    signature, area = image[end:after], image[after : after + header.area_bytes]
    if not signature:
        raise RefusedError(Status.HASH_TABLE_NOT_FOUND, "there is no signature")
    chain = _chain(area)
    _check_root(fuses, chain, "sha256")
    areas = _Areas(3, b"", 0, b"", image[:end], signature, area)
    sw_id, rollback = _check_binding(fuses, areas, chain[0])
    _check_signature(3, chain[0], areas.signed, signature, "sha256")
    if rollback < fuses.rollback or (sw_ids is not None and sw_id not in sw_ids):
        raise _unsigned("its kind or its rollback version is not accepted")


def _unsigned(reason: str) -> RefusedError:
    return RefusedError(Status.HASH_TABLE_AUTH_FAILURE, reason)


def _areas(fuses: Fuses, segment: bytes) -> _Areas:
    """Take a hash segment apart.

    Raises:
        RefusedError: this ROM does not know its version, or the sizes do not fit.
    """
    wrong = RefusedError(Status.INVALID_IMG_HASH_TABLE_SIZE, "the hash segment's sizes are wrong")
    if len(segment) < 48:
        raise wrong
    words = struct.unpack("<12I", segment[:48])
    version = words[1]
    if version not in fuses.header_versions:
        raise wrong
    header_bytes = 48 if version == 6 else 40
    common = second_metadata = metadata = 0
    if version == 7:
        common, second_metadata, metadata = words[2:5]
        second, (signature, area) = words[6] + words[7], words[8:10]
    else:
        second = 0 if version == 3 else words[2] + words[3]
        second_metadata, metadata = words[10:12] if version == 6 else (0, 0)
        signature, area = words[7], words[9]
    start = header_bytes + common + second_metadata
    table = start + metadata
    end = table + words[5]
    if end + second + signature + area > len(segment):
        raise wrong
    if not signature or not area:
        raise RefusedError(Status.HASH_TABLE_NOT_FOUND, "the vendor has not signed it")
    signed = bytearray(segment[:end])
    if version == 7 and second:  # each signer leaves the other's sizes and metadata zero
        signed[24:32] = bytes(8)
        signed[header_bytes + common : start] = bytes(second_metadata)
    place = end + second
    return _Areas(
        version=version,
        metadata=segment[start:table],
        sw_id=struct.unpack_from("<I", segment, 48)[0] if version == 7 else 0,
        table=segment[table:end],
        signed=bytes(signed),
        signature=segment[place : place + signature],
        certificates=segment[place + signature : place + signature + area],
    )


def _chain(area: bytes) -> tuple[Certificate, ...]:
    try:
        return read_chain(area)
    except ValueError as error:
        raise _unsigned(str(error)) from error


def _check_root(fuses: Fuses, chain: tuple[Certificate, ...], digest: str) -> None:
    roots = b"".join(certificate.raw for certificate in chain if certificate.self_issued)
    if not hmac.compare_digest(hashlib.new(digest, roots).digest(), fuses.pk_hash):
        raise _unsigned("its root is not the fused one")


def _check_signature(
    version: int, leaf: Certificate, message: bytes, signature: bytes, digest: str
) -> None:
    """Check the signature of an image.

    Raises:
        RefusedError: it is wrong.
    """
    if version == 3:
        sw_field, hw_field = (int(leaf.fields[number], 16) for number in (1, 2))
        inner = struct.pack(">Q", sw_field ^ 0x3636363636363636)
        hashed = hashlib.new(digest, inner + hashlib.new(digest, message).digest()).digest()
        message = struct.pack(">Q", hw_field ^ 0x5C5C5C5C5C5C5C5C) + hashed
    if not leaf.has_signed(message, signature, digest):
        raise _unsigned("its signature is wrong")


def _check_binding(fuses: Fuses, areas: _Areas, leaf: Certificate) -> tuple[int, int]:
    """Return kind and rollback version of an image that is made for this chip.

    Raises:
        RefusedError: it is made for another.
    """
    if areas.version == 6:
        bound, sw_id, rollback = _bound_v6(fuses, areas.metadata)
    elif areas.version == 7:
        bound, rollback = _bound_v7(fuses, areas.metadata)
        sw_id = areas.sw_id
    else:
        bound, sw_id, rollback = _bound_by_fields(fuses, leaf.fields)
    if not bound:
        raise _unsigned("it is made for another chip, maker or model")
    return sw_id, rollback


def _bound_by_fields(fuses: Fuses, fields: dict[int, str]) -> tuple[bool, int, int]:
    try:
        software, hardware = (int(fields[number], 16) for number in (1, 2))
    except (KeyError, ValueError) as error:
        raise _unsigned("the leaf does not say what it is for") from error
    if (software | hardware).bit_length() > 64:
        raise _unsigned("the leaf's fields are too long")
    listed = [hardware >> 48, *(int(word, 16) for word in fields.get(11, "").split())]
    if fields.get(13) == "0001":
        chip = fuses.soc_version in listed
    else:
        chip = not (hardware ^ fuses.hwid) >> 32 & _MSM_MASK
    maker = not (hardware ^ fuses.hwid) & 0xFFFFFFFF or fields.get(15) == "0001"
    return chip and maker, software & 0xFFFFFFFF, software >> 32


def _bound_v6(fuses: Fuses, metadata: bytes) -> tuple[bool, int, int]:
    if len(metadata) != 120:
        raise RefusedError(Status.INVALID_IMG_HASH_TABLE_SIZE, "its metadata has a wrong size")
    words = struct.unpack("<30I", metadata)
    flags = words[7]
    if flags & 0x2:
        chip = fuses.soc_version in words[8:20]
    else:
        chip = not (words[3] ^ fuses.hwid >> 32) & _MSM_MASK
    maker = words[4] << 16 | words[5] == fuses.hwid & 0xFFFFFFFF or bool(flags & 0x8)
    serial = not flags & 0x4 or fuses.serial in words[20:28]
    return chip and maker and serial, words[2], words[29]


def _bound_v7(fuses: Fuses, metadata: bytes) -> tuple[bool, int]:
    if len(metadata) != 224:
        raise RefusedError(Status.INVALID_IMG_HASH_TABLE_SIZE, "its metadata has a wrong size")
    words = struct.unpack("<56I", metadata)
    serials = struct.unpack_from("<8Q", metadata, 0x48)
    matches = (
        fuses.soc_version in words[4:16],
        True,  # feature or product segment: not modelled
        not (words[17] ^ fuses.hwid >> 32) & _MSM_MASK,
        fuses.serial in serials,
        words[34] == fuses.hwid >> 16 & 0xFFFF,
        words[35] == fuses.hwid & 0xFFFF,
    )
    pairs = [words[55] >> 2 * index & 3 for index in range(len(matches))]
    if not set(pairs) <= {1, 2}:
        raise _unsigned("its flags are contradictory")
    return all(match or pair == 1 for match, pair in zip(matches, pairs, strict=True)), words[2]
