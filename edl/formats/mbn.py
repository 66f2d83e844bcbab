# SPDX-License-Identifier: BSD-3-Clause
"""Signed boot images: what a loader file is, who signed it, for which phone, and whether it holds.

    image = read_image(path.read_bytes())
    image.main.binding.hwid, image.pk_hash, image.programmer.generation

Everything is checked offline and nothing is repaired. What is wrong with an image that can be read
is listed in `problems`; only what is no such image at all raises.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edl.errors import DocumentError
from edl.formats import binding, elf, hashsegment
from edl.formats.binding import Binding
from edl.formats.certificates import Chain, read_chain
from edl.formats.hashsegment import HashSegment, SignedFile, Signer
from edl.formats.hashtable import Checked, check_table
from edl.formats.programmer import Programmer, read_programmer
from edl.formats.signature import scheme_of
from edl.units import MIB

MAX_IMAGE_BYTES = 64 * MIB
MAX_PARTS = 16
PROGRAMMER_SW_IDS = (3, 0)  # old ROMs take the programmer in place of SBL1

_PREFIX = b"\x55\xff\xed\xff"  # one modem maker's: length of the rest and a check word follow
_PREFIX_BYTES = 12
_PAGE_BYTES = 4096
_NESTED_HASHES = ("sha256", "sha384", "sha1")
_DISK_MARKS = (512, 4096)  # where "EFI PART" stands in a dump of a disk


class Container(enum.Enum):
    """How an image is wrapped."""

    SBL80 = "80-byte header"
    MBN40 = "40-byte header"
    ELF = "ELF"
    MULTI_ELF = "several ELF images"
    PREFIXED_ELF = "ELF behind a 12-byte prefix"


@dataclass(frozen=True)
class RootHash:
    """A digest that a phone may report as its PK hash. of: which certificates it covers."""

    digest: bytes
    algorithm: str
    of: str


@dataclass(frozen=True)
class Signature:
    """One signer of an image.

    chain: None if its certificates cannot be read. scheme: how the image is signed, None if the
    signature is not that of the leaf's key.
    """

    chain: Chain | None
    scheme: str | None


@dataclass(frozen=True)
class Part:
    """One image: a whole file, one of several ELF images in a row, or one inside another.

    offset: in the file. version: of the header in the hash segment (3, 5, 6, 7), None without one.
    vendor, chip_maker: signers, None where there is none. binding: None if nothing says it.
    digest: algorithm of the hash table. bad_segments: numbers of those that differ from their hash.
    cut_off: the file ends before the image does. encrypted: so its hashes cannot be checked.
    """

    offset: int
    size_bytes: int
    bits: int | None = None
    version: int | None = None
    image_id: int | None = None
    binding: Binding | None = None
    vendor: Signature | None = None
    chip_maker: Signature | None = None
    digest: str | None = None
    bad_segments: tuple[int, ...] = ()
    cut_off: bool = False
    encrypted: bool = False
    problems: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """Whether anybody has signed it."""
        return self.vendor is not None or self.chip_maker is not None

    @property
    def intact(self) -> bool:
        """Whether everything that can be checked offline is right."""
        return not self.problems

    @property
    def is_programmer_kind(self) -> bool:
        """Whether it is signed as the kind of image that boot ROMs take as a programmer."""
        return self.binding is None or self.binding.sw_id in PROGRAMMER_SW_IDS

    @property
    def root_hashes(self) -> tuple[RootHash, ...]:
        """Digests that phones which accept the vendor's signature may report, likeliest first."""
        if self.vendor is None or self.vendor.chain is None:
            return ()
        return tuple(_root_hashes(self.vendor.chain, self.version))


@dataclass(frozen=True)
class Image:
    """A loader file, or another boot image.

    parts: in the order of the file. main: the one that decides whether a phone takes the file.
    nested: complete images inside segments; for information only. trailing_bytes: behind the last
    part. programmer: what its words say.
    """

    container: Container
    size_bytes: int
    parts: tuple[Part, ...]
    main: Part
    nested: tuple[Part, ...]
    trailing_bytes: int
    programmer: Programmer

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it, in words; the main part first."""
        others = (part for part in self.parts if part is not self.main)
        return tuple(itertools.chain(self.main.problems, *(part.problems for part in others)))

    @property
    def is_programmer(self) -> bool:
        """Whether it is a programmer of either protocol, whoever signed it."""
        return self.programmer.protocol is not None and self.main.is_programmer_kind

    @property
    def root_hashes(self) -> tuple[RootHash, ...]:
        """Digests that phones which accept the main part's signer may report, likeliest first."""
        return self.main.root_hashes

    @property
    def pk_hash(self) -> bytes | None:
        """The digest that a phone which accepts it reports; None if it is not signed."""
        return self.root_hashes[0].digest if self.root_hashes else None


def _root_hashes(chain: Chain, version: int | None) -> Iterator[RootHash]:
    """Yield the digests of the roots: all of them together first, then each alone."""
    roots = [root.der for root in chain.roots]
    names = ("sha384", "sha256") if version in {6, 7} else ("sha256", "sha384")
    covered = [(b"".join(roots), "all root certificates")]
    covered += [(root, f"root certificate {index}") for index, root in enumerate(roots, 1)]
    if len(roots) == 1:
        covered = [(roots[0], "the root certificate")]
    for name, (data, of) in itertools.product(names, covered):
        yield RootHash(hashlib.new(name, data).digest(), name, of)


def read_image(data: bytes) -> Image:
    """Return what the boot image in data is.

    Raises:
        DocumentError: data is no boot image, or is larger than MAX_IMAGE_BYTES.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise DocumentError(f"A file of {len(data)} bytes is too large for a boot image.")
    if data[:8] == hashsegment.SBL80_MAGIC:
        part = _file_part(hashsegment.read_sbl80(data))
        return _image(Container.SBL80, data, [part], [])
    offset = _PREFIX_BYTES if data[:4] == _PREFIX else 0
    if data[offset : offset + 4] != elf.MAGIC:
        signed_file = hashsegment.read_mbn40(data)
        if signed_file is None:
            raise DocumentError(f"This is no boot image{_guess(data)}.")
        return _image(Container.MBN40, data, [_file_part(signed_file)], [])
    parts, nested = _elf_parts(data, offset)
    container = Container.PREFIXED_ELF if offset else Container.ELF
    return _image(container if len(parts) == 1 else Container.MULTI_ELF, data, parts, nested)


def _guess(data: bytes) -> str:
    """Return what data may be instead, as the end of a sentence."""
    marks = {
        b"PK\x03\x04": "an archive: unpack it first",
        b"ANDROID!": "an Android boot image",
        b"\x3a\xff\x26\xed": "an Android sparse image",
        b"<!DOC": "a web page: the download went wrong",
        b"<html": "a web page: the download went wrong",
        b"<?xml": "an XML file",
        b"07070": "a set of several images",
        b":02": "an Intel HEX file, for phones of DMSS Download: they take it with --loader",
    }
    if any(data[place : place + 8] == b"EFI PART" for place in _DISK_MARKS):
        return " but a dump of a disk"
    if data and not data.strip(data[:1]):
        return " but nothing but equal bytes"
    return next((f" but {name}" for mark, name in marks.items() if data.startswith(mark)), "")


def _image(container: Container, data: bytes, parts: list[Part], nested: list[Part]) -> Image:
    ranked = sorted(parts, key=_rank)
    end = max(part.offset + part.size_bytes for part in parts)
    return Image(
        container=container,
        size_bytes=len(data),
        parts=tuple(parts),
        main=ranked[0],
        nested=tuple(nested),
        trailing_bytes=max(0, len(data) - end),
        programmer=read_programmer(data),
    )


def _rank(part: Part) -> int:
    """Return 0 for the part with a programmer's SW_ID, 1 for others with hashes, 2 for the rest."""
    if part.binding is not None and part.binding.sw_id == PROGRAMMER_SW_IDS[0]:
        return 0
    return 1 if part.version is not None else 2


def _elf_parts(data: bytes, offset: int) -> tuple[list[Part], list[Part]]:
    """Return the ELF images that follow each other from offset on, and those inside them.

    Raises:
        DocumentError: the first one cannot be read.
    """
    parts: list[Part] = []
    nested: list[Part] = []
    while len(parts) < MAX_PARTS and (not parts or data[offset : offset + 4] == elf.MAGIC):
        view = memoryview(data)[offset:]
        try:
            image = elf.read_elf(view)
        except DocumentError:
            if not parts:
                raise
            break
        parts.append(_elf_part(view, offset, image, with_hashes=True))
        for segment in image.segments:
            inner = view[segment.offset : segment.end]
            if segment.offset and bytes(inner[:4]) == elf.MAGIC:
                nested.extend(_nested(inner, offset + segment.offset))
        offset = _next_part(data, offset + image.end, offset + image.reach)
    return parts, nested


def _next_part(data: bytes, end: int, reach: int) -> int:
    """Return where the image after the one that ends at end begins, or else end.

    Mostly that is at end; also where a segment without bytes would end, or on the next page.
    """
    page = -(-end // _PAGE_BYTES) * _PAGE_BYTES
    places = [end, reach] if data[end:page].strip(b"\0") else [end, reach, page]
    return next((place for place in places if data[place : place + 4] == elf.MAGIC), end)


def _nested(view: memoryview, offset: int) -> Iterator[Part]:
    """Yield the image inside a segment, if it can be read."""
    try:
        image = elf.read_elf(view)
    except DocumentError:
        return
    yield _elf_part(view, offset, image, with_hashes=False)


def _elf_part(view: memoryview, offset: int, image: elf.Elf, *, with_hashes: bool) -> Part:
    """Return the ELF image at the start of view; with_hashes: check segments and signatures."""
    size = min(image.end, len(view))
    cut_off = image.end > size
    cut = ("The file is cut off: a segment reaches beyond its end.",) if cut_off else ()
    part = Part(offset, size, image.header.bits, cut_off=cut_off, problems=cut)
    if image.hash_index is None:
        return part
    place = image.segments[image.hash_index]
    try:
        hashes = hashsegment.read_hash_segment(bytes(view[place.offset : place.end]))
    except DocumentError as error:
        return replace(part, problems=(*cut, str(error)))
    table = Checked(None)
    if with_hashes and not hashes.encrypted:
        table = check_table(view, image, hashes.table)
    return _with_signers(part, hashes, table, check=with_hashes)


def read_signers(image: elf.Elf, segment: bytes) -> Part:
    """Return what the hash segment of image says, where the other segments have not been read.

    Signatures are checked, hashes of segments are not: `digest` is None.

    Raises:
        DocumentError: its header is of an unknown version, or its sizes do not fit.
    """
    part = Part(0, image.end, image.header.bits)
    hashes = hashsegment.read_hash_segment(segment)
    return _with_signers(part, hashes, Checked(None), check=True)


def _with_signers(part: Part, hashes: HashSegment, table: Checked, *, check: bool) -> Part:
    """Return part with what hashes says. check: that the signatures are right."""
    vendor, vendor_wrong = _signature(hashes, hashes.vendor, check=check)
    second, second_wrong = _signature(hashes, hashes.chip_maker, check=check)
    bound, unclear = _binding(hashes, vendor or second)
    return replace(
        part,
        version=hashes.version,
        image_id=hashes.image_id,
        binding=bound,
        vendor=vendor,
        chip_maker=second,
        digest=table.digest,
        bad_segments=table.bad_segments,
        encrypted=hashes.encrypted,
        problems=(*part.problems, *vendor_wrong, *second_wrong, *unclear, *table.problems),
    )


def _signature(
    hashes: HashSegment, signer: Signer, *, check: bool
) -> tuple[Signature | None, tuple[str, ...]]:
    """Return the signature of one signer, None if it has not signed, and problems."""
    if not signer.present:
        return None, ()
    try:
        chain = read_chain(signer.certificates)
    except DocumentError as error:
        return Signature(None, None), (str(error),)
    if not check:
        return Signature(chain, None), ()
    both = hashes.vendor.present and hashes.chip_maker.present
    messages = [hashes.message(signer, alone=False)]
    if both:
        messages.insert(0, hashes.message(signer, alone=True))
    return _verified(chain, signer.signature, messages, nested=hashes.version < 6)


def _verified(
    chain: Chain, signature: bytes, messages: list[bytes], *, nested: bool
) -> tuple[Signature, tuple[str, ...]]:
    """Return what signature is worth, and problems.

    nested: HW_ID and SW_ID may enter the digest.
    """
    candidates = itertools.chain(
        (text for message in messages if nested for text in _nested_messages(chain, message)),
        messages,
    )
    scheme = scheme_of(chain.leaf.key, signature, candidates, bare=True)
    wrong = () if scheme else ("The signature does not fit the image.",)
    return Signature(chain, scheme), (*chain.problems, *wrong)


def _nested_messages(chain: Chain, message: bytes) -> Iterator[bytes]:
    """Yield what is hashed last in old images.

    Their digest is H((HW_ID ^ 5c...) || H((SW_ID ^ 36...) || H(message))), big-endian.
    """
    ids = binding.raw_ids(chain.leaf.fields)
    if ids is None:
        return
    outer, inner = (
        struct.pack(">Q", number ^ pad)
        for number, pad in zip(ids, (0x5C5C5C5C5C5C5C5C, 0x3636363636363636), strict=True)
    )
    for name in _NESTED_HASHES:
        hashed = hashlib.new(name, message).digest()
        yield outer + hashlib.new(name, inner + hashed).digest()


def _binding(
    hashes: HashSegment, signature: Signature | None
) -> tuple[Binding | None, tuple[str, ...]]:
    """Return what the image is bound to, and problems."""
    signer = hashes.vendor if hashes.vendor.present else hashes.chip_maker
    try:
        if hashes.version == 6:
            block = signer.metadata or hashes.vendor.metadata
            return binding.from_metadata_v6(block), ()
        if hashes.version == 7:
            block = signer.metadata or hashes.vendor.metadata
            return binding.from_metadata_v7(hashes.common, block), ()
        if signature is None or signature.chain is None:
            return None, ()
        return binding.from_fields(signature.chain.leaf.fields), ()
    except DocumentError as error:
        return None, (str(error),)


def _file_part(signed_file: SignedFile) -> Part:
    """Return the image with one of the old headers, all of which is signed."""
    signer = signed_file.vendor
    signature: Signature | None = None
    bound: Binding | None = None
    problems: tuple[str, ...] = ()
    if signed_file.cut_off:
        problems = ("The file is cut off: its header promises more than there is.",)
    if signer.present:
        try:
            chain = read_chain(signer.certificates)
            messages = [signed_file.message]
            signature, wrong = _verified(chain, signer.signature, messages, nested=True)
            problems += wrong
            bound = binding.from_fields(chain.leaf.fields)
        except DocumentError as error:
            problems += (str(error),)
    return Part(
        offset=0,
        size_bytes=signed_file.end,
        image_id=signed_file.image_id,
        version=3,
        binding=bound,
        vendor=signature,
        cut_off=signed_file.cut_off,
        problems=problems,
    )
