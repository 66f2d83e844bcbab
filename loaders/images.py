# SPDX-License-Identifier: BSD-3-Clause
"""Makes signed boot images in every form that boot ROMs take: the dummies are made here.

    image = elf_image(Recipe(binding=Binding(hwid=0x007050E1_0000_0000)), b"any content")

What is written where: the public description in OP-TEE's PAS application, coreboot's mbn_tools and
qtestsign, and what real images have in common.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace

from loaders.signing import ECDSA_FIELD_BYTES, RSA_FIELD_BYTES, VENDOR, Scheme, Vendor

PAGE = 0x1000
_SLOT_BYTES = 2048  # reserved for each certificate
_NOT_USED = 0xFFFFFFFF
_HASH_FLAGS = 0x02200000
_HASH_FLAGS_V7 = 0x02000000
_HEADERS_FLAGS = 0x07000000
_NESTED_FLAGS = 0x05000005


@dataclass(frozen=True)
class Binding:
    """What the signature binds an image to.

    hwid: MSM id (32 bits), OEM id (16), model id (16). soc_versions: where they are given, images
    of version 5 and later are bound to them instead of the MSM id.
    """

    hwid: int = 0
    sw_id: int = 3
    rollback: int = 0
    soc_versions: tuple[int, ...] = ()
    serials: tuple[int, ...] = ()
    oem_independent: bool = False
    debug: str = "0000000000000002"

    @property
    def hw_field(self) -> int:
        """The HW_ID field of certificates: the SoC number takes the place of the MSM id."""
        if not self.soc_versions:
            return self.hwid
        return self.soc_versions[0] << 48 | self.hwid & 0xFFFFFFFF

    @property
    def sw_field(self) -> int:
        """The SW_ID field of certificates: the rollback version above the image type."""
        return self.rollback << 32 | self.sw_id

    def units(self, digest: str, signed_bytes: int) -> tuple[str, ...]:
        """Return the OU fields of the leaf certificate."""
        fields = [
            f"01 {self.sw_field:016X} SW_ID",
            f"02 {self.hw_field:016X} HW_ID",
            f"04 {self.hwid >> 16 & 0xFFFF:04X} OEM_ID",
            f"05 {signed_bytes:08X} SW_SIZE",
            f"06 {self.hwid & 0xFFFF:04X} MODEL_ID",
            f"07 0001 {digest.upper()}",
            f"03 {self.debug} DEBUG",
        ]
        if self.soc_versions:
            listed = [*self.soc_versions, *([0] * 10)][:10]
            fields.append("11 " + " ".join(f"{version:04X}" for version in listed) + " SOC_VERS")
            fields.append("13 0001 IN_USE_SOC_HW_VERSION")
        if self.oem_independent:
            fields.append("15 0001 OEM_ID_INDEPENDENT")
        return tuple(fields)


@dataclass(frozen=True)
class Recipe:
    """How an image is made.

    version: of the header in the hash segment: 3, 5, 6 or 7. bits: 32 or 64. machine: of the ELF
    header, by default ARM. vendor: who signs, None for an image without signature. chipmaker: the
    second signer of version 7.
    address: where the content is loaded. hash_type: `p_type` of the hash segment.
    fields: whether the leaf certificate carries OU fields. nested: an ELF for a segment of its own.
    """

    version: int = 3
    bits: int = 32
    machine: int | None = None
    digest: str = "sha256"
    binding: Binding = Binding()
    vendor: Vendor | None = VENDOR
    chipmaker: Vendor | None = None
    address: int = 0x0800_8000
    image_id: int = 0x15
    hash_type: int = 0
    fields: bool = True
    nested: bytes = b""


@dataclass(frozen=True)
class _Segment:
    flags: int
    data: bytes = b""
    type: int = 1
    offset: int = 0
    address: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True)
class _Signer:
    """One signer of an image: its metadata, and room for signature and certificates."""

    vendor: Vendor | None
    metadata: bytes
    chain: bytes
    area_bytes: int
    signature_bytes: int


def elf_image(recipe: Recipe, content: bytes) -> bytes:
    """Return an ELF image with content in its first loaded segment, signed as recipe says."""
    segments = [_Segment(6, content)]
    if recipe.nested:
        segments.append(_Segment(_NESTED_FLAGS, recipe.nested))
    segments.append(_Segment(6, memory_bytes=PAGE))  # .bss: no bytes in the file, a zero hash
    hash_index = len(segments) + 1 if recipe.version == 7 else 1
    segments.insert(0, _Segment(_HEADERS_FLAGS, type=0))
    segments.insert(hash_index, _Segment(_HASH_FLAGS, type=recipe.hash_type))

    signers = _signers(recipe, len(segments))
    segments[hash_index] = replace(
        segments[hash_index], data=bytes(_hash_segment_bytes(recipe, signers, len(segments)))
    )
    segments = _placed(recipe, segments, hash_index)
    headers = _headers(recipe.bits, segments, recipe.machine)
    table = _hash_table(recipe.digest, headers, segments, hash_index)
    address = segments[hash_index].address
    signed = _hash_segment(recipe, signers, table, address)
    segments[hash_index] = replace(segments[hash_index], data=signed)
    return _file(headers, segments)


def signed_table(recipe: Recipe, table: bytes) -> bytes:
    """Return a table of digests signed by itself, as recipe says: the first one of VIP.

    Programmers take at most 8192 bytes, so the certificates get no more room than they need.
    """
    chip_maker, vendor = _signers(recipe, 1)
    vendor = replace(vendor, area_bytes=-(-len(vendor.chain) // 16) * 16)
    return _hash_segment(recipe, (chip_maker, vendor), table, recipe.address)


def plain_elf(content: bytes, *, bits: int = 32, machine: int = 243) -> bytes:
    """Return an ELF image without a hash segment: the first part of a multi-ELF loader."""
    segments = [_Segment(6, content, offset=PAGE, memory_bytes=len(content))]
    return _file(_headers(bits, segments, machine), segments)


def multi_elf(recipe: Recipe, content: bytes, chipmaker: Vendor) -> bytes:
    """Return a loader of five ELF images in a row, as chips since SM8450 take it.

    The fourth holds content; the second and third are signed by the chip maker too.
    """

    def part(sw_id: int, words: bytes, bits: int, machine: int, second: Vendor | None) -> bytes:
        made = replace(recipe, bits=bits, machine=machine, chipmaker=second)
        return elf_image(replace(made, binding=replace(recipe.binding, sw_id=sw_id)), words)

    return b"".join(
        (
            plain_elf(b"security processor, plain"),
            part(0x35, b"security processor firmware", 32, 243, chipmaker),
            part(0x36, b"first stage", 64, 183, chipmaker),
            part(recipe.binding.sw_id, content, 64, 183, None),
            part(0x25, b"configuration", 32, 1, None),
        )
    )


def sbl80(recipe: Recipe, content: bytes) -> bytes:
    """Return an image with the 80-byte header of old boot loaders."""
    vendor, address, size = recipe.vendor, recipe.address, len(content)
    signature_bytes, area_bytes = (RSA_FIELD_BYTES, _area_bytes(vendor)) if vendor else (0, 0)
    header = struct.pack(
        "<20I",
        *(0x844BDCD1, 0x73D71034, recipe.image_id, _NOT_USED, _NOT_USED, 80, address),
        *(size + signature_bytes + area_bytes, size, address + size, signature_bytes),
        *(address + size + signature_bytes, area_bytes, 1, 1),
        *([_NOT_USED] * 5),
    )
    if vendor is None:
        return header + content
    message = _nested(recipe.binding, header + content, recipe.digest)
    chain = vendor.chain(recipe.binding.units(recipe.digest, len(header) + size))
    signature = vendor.sign_image(message, recipe.digest)
    return header + content + signature + chain.ljust(area_bytes, b"\xff")


def prefixed(image: bytes) -> bytes:
    """Return image behind the 12 bytes that one modem maker puts in front."""
    return struct.pack("<3I", 0xFFEDFF55, len(image), 0) + image


def _area_bytes(vendor: Vendor) -> int:
    """Return the room for the certificates of vendor."""
    return _SLOT_BYTES * max(3, len(vendor.roots) + 2)


def _signers(recipe: Recipe, rows: int) -> tuple[_Signer, _Signer]:
    """Return the chip maker and the vendor as signers, in the order of their data."""
    size = 40 + rows * hashlib.new(recipe.digest).digest_size
    units = recipe.binding.units(recipe.digest, size) if recipe.fields else ()
    alone = recipe.chipmaker is None

    def signer(vendor: Vendor | None, metadata: bytes) -> _Signer:
        if vendor is None:
            return _Signer(None, metadata, b"", 0, 0)
        signature_bytes = ECDSA_FIELD_BYTES if vendor.scheme is Scheme.ECDSA else RSA_FIELD_BYTES
        area_bytes = 3360 if recipe.version == 7 else _area_bytes(vendor)
        return _Signer(vendor, metadata, vendor.chain(units), area_bytes, signature_bytes)

    return (
        signer(recipe.chipmaker, b"" if alone else _metadata(recipe)),
        signer(recipe.vendor, _metadata(recipe) if alone or recipe.vendor else b""),
    )


def _metadata(recipe: Recipe) -> bytes:
    """Return the block that says what the image is bound to; versions 3 and 5 have none."""
    binding = recipe.binding
    versions = [*binding.soc_versions, *([0] * 12)][:12]
    serials = [*binding.serials, *([0] * 8)][:8]
    msm, oem, model = binding.hwid >> 32, binding.hwid >> 16 & 0xFFFF, binding.hwid & 0xFFFF
    if recipe.version == 6:
        flags = 0x100 | (0x2 if binding.soc_versions else 0) | (0x4 if binding.serials else 0)
        flags |= 0x8 if binding.oem_independent else 0
        words = [0, 0, binding.sw_id, 0 if binding.soc_versions else msm, oem, model, 0, flags]
        return struct.pack("<30I", *words, *versions, *serials, 0, binding.rollback)
    if recipe.version == 7:
        bound = (
            bool(binding.soc_versions),
            False,
            not binding.soc_versions,
            bool(binding.serials),
            not binding.oem_independent,
            bool(model) and not binding.oem_independent,
            *([False] * 5),
        )
        flags = sum((2 if bit else 1) << 2 * index for index, bit in enumerate(bound))
        return struct.pack(
            "<16I2I8Q5I64sI",
            *(2, 0, binding.rollback, 0, *versions, 0, 0 if binding.soc_versions else msm),
            *(*serials, oem, model, 0, 0, 0, bytes(64), flags),
        )
    return b""


def _header(
    recipe: Recipe, signers: tuple[_Signer, _Signer], table_bytes: int, address: int
) -> bytes:
    """Return the header of the hash segment. address: where the segment would be loaded."""
    second, vendor = signers
    total = table_bytes + sum(signer.signature_bytes + signer.area_bytes for signer in signers)
    if recipe.version == 3:
        start = address + 40
        after = start + table_bytes
        words = [recipe.image_id, 3, 0, start, total, table_bytes, after, vendor.signature_bytes]
        return struct.pack("<10I", *words, after + vendor.signature_bytes, vendor.area_bytes)
    sizes: tuple[int, ...] = (second.signature_bytes, second.area_bytes)
    if recipe.version == 7:
        blocks = (24, len(second.metadata), len(vendor.metadata), table_bytes)
        sizes += (vendor.signature_bytes, vendor.area_bytes)
        return struct.pack("<10I", 0, 7, *blocks, *sizes)
    own = (_NOT_USED, vendor.signature_bytes, _NOT_USED, vendor.area_bytes)
    header = struct.pack("<10I", 5, recipe.version, *sizes, total, table_bytes, *own)
    if recipe.version == 6:
        header += struct.pack("<2I", len(second.metadata), len(vendor.metadata))
    return header


def _signed_bytes(
    recipe: Recipe, signers: tuple[_Signer, _Signer], table: bytes, address: int
) -> bytes:
    """Return header, metadata and hash table: what comes before the signatures."""
    second, vendor = signers
    common = b""
    if recipe.version == 7:
        algorithm = {"sha256": 2, "sha384": 3}[recipe.digest]
        common = struct.pack("<6I", 0, 0, recipe.binding.sw_id, 0, algorithm, 0)
    header = _header(recipe, signers, len(table), address)
    return header + common + second.metadata + vendor.metadata + table


def _without(signer: _Signer) -> _Signer:
    """Return signer as the other one sees it when signing: sizes and metadata are zero."""
    metadata = bytes(len(signer.metadata))
    return replace(signer, metadata=metadata, area_bytes=0, signature_bytes=0)


def _hash_segment_bytes(recipe: Recipe, signers: tuple[_Signer, _Signer], rows: int) -> int:
    table = bytes(rows * hashlib.new(recipe.digest).digest_size)
    fixed = len(_signed_bytes(recipe, signers, table, 0))
    return fixed + sum(signer.signature_bytes + signer.area_bytes for signer in signers)


def _hash_segment(
    recipe: Recipe, signers: tuple[_Signer, _Signer], table: bytes, address: int
) -> bytes:
    second, vendor = signers
    segment = _signed_bytes(recipe, signers, table, address)
    for signer, seen in (
        (second, (second, _without(vendor))),
        (vendor, (_without(second), vendor)),
    ):
        if signer.vendor is None:
            continue
        alone = second.vendor is None or vendor.vendor is None
        message = _signed_bytes(recipe, signers if alone else seen, table, address)
        if recipe.version < 7:  # the total size counts both signers in any case
            message = message[:16] + segment[16:20] + message[20:]
        if recipe.version == 3:
            message = _nested(recipe.binding, message, recipe.digest)
        signature = signer.vendor.sign_image(message, recipe.digest)
        segment += signature + signer.chain.ljust(signer.area_bytes, b"\xff")
    return segment


def _nested(binding: Binding, message: bytes, digest: str) -> bytes:
    """Return what is hashed last where HW_ID and SW_ID enter the digest."""
    inner = (binding.sw_field ^ 0x3636363636363636).to_bytes(8, "big")
    outer = (binding.hw_field ^ 0x5C5C5C5C5C5C5C5C).to_bytes(8, "big")
    hashed = hashlib.new(digest, inner + hashlib.new(digest, message).digest()).digest()
    return outer + hashed


def _placed(recipe: Recipe, segments: list[_Segment], hash_index: int) -> list[_Segment]:
    """Return segments with their places in the file and in memory."""
    offset, address = PAGE, recipe.address
    placed = []
    for index, segment in enumerate(segments):
        if index == 0:
            size = _table_bytes(recipe.bits, len(segments))
            placed.append(replace(segment, data=bytes(size)))
            continue
        size = max(len(segment.data), segment.memory_bytes)
        where = 0 if index == hash_index else address
        placed.append(replace(segment, offset=offset, address=where, memory_bytes=size))
        offset += -(-len(segment.data) // PAGE) * PAGE
        address += -(-size // PAGE) * PAGE if index != hash_index else 0
    hashes = placed[hash_index]
    if recipe.version == 7:
        placed[hash_index] = replace(hashes, flags=_HASH_FLAGS_V7)
    else:
        size = -(-len(hashes.data) // PAGE) * PAGE
        placed[hash_index] = replace(hashes, address=address, memory_bytes=size)
    return placed


def _table_bytes(bits: int, rows: int) -> int:
    return 52 + 32 * rows if bits == 32 else 64 + 56 * rows


def _headers(bits: int, segments: list[_Segment], machine: int | None = None) -> bytes:
    """Return the ELF header and the program headers."""
    machine = machine or {32: 40, 64: 183}[bits]
    entry = next(segment.address for segment in segments if segment.flags == 6)
    start, row = (52, 32) if bits == 32 else (64, 56)
    form = "<4s3B9x2HI3I" if bits == 32 else "<4s3B9x2HI3Q"
    ident = (b"\x7fELF", bits // 32, 1, 1)
    header = struct.pack(form, *ident, 2, machine, 1, entry, start, 0)
    header += struct.pack("<I6H", 5, start, row, len(segments), 0, 0, 0)
    for segment in segments:
        size = len(segment.data)
        place = (segment.offset, segment.address, segment.address, size, segment.memory_bytes)
        if bits == 32:
            header += struct.pack("<8I", segment.type, *place, segment.flags, PAGE)
        else:
            header += struct.pack("<2I6Q", segment.type, segment.flags, *place, PAGE)
    return header


def _hash_table(digest: str, headers: bytes, segments: list[_Segment], hash_index: int) -> bytes:
    """Return a digest a segment; zeros for the hash segment itself and for empty ones."""
    empty = bytes(hashlib.new(digest).digest_size)
    table = [hashlib.new(digest, headers).digest()]
    for index, segment in enumerate(segments[1:], 1):
        hashed = index != hash_index and segment.data
        table.append(hashlib.new(digest, segment.data).digest() if hashed else empty)
    return b"".join(table)


def _file(headers: bytes, segments: list[_Segment]) -> bytes:
    """Return the file: headers and every segment at its offset."""
    image = bytearray(headers)
    for segment in segments:
        if segment.offset and segment.data:
            image += bytes(max(0, segment.offset - len(image)))
            image += segment.data
    return bytes(image)
