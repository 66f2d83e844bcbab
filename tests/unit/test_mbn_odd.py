# SPDX-License-Identifier: BSD-3-Clause
"""Images that are made in unusual ways: they are read, and told apart from damaged ones."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest

from edl.formats import binding
from edl.formats.binding import Binding as Bound
from edl.formats.certificates import read_chain
from edl.formats.mbn import Container, read_image
from edl.formats.signature import scheme_of
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image, plain_elf
from loaders.make_dummies import MSM8916, SM8150
from loaders.signing import (
    CHIPMAKER_EC,
    OTHER,
    VENDOR,
    VENDOR_EC,
    Scheme,
    Vendor,
    _certificate,
    _Party,
    tlv,
)

GOOD = make_dummies.good_ones()
SHA256_OF_ROOT = hashlib.sha256(VENDOR.root_bytes).digest()
TABLE = 0x1000 + 40  # of the images with version 3, 32 bytes for each of 4 segments


def patched(image: bytes, offset: int, data: bytes) -> bytes:
    return image[:offset] + data + image[offset + len(data) :]


def resigned(image: bytes) -> bytes:
    """Return image with a signature that fits its header and hash table."""
    words = struct.unpack_from("<10I", image, 0x1000)
    end = TABLE + words[5]
    inner = (3 ^ 0x3636363636363636).to_bytes(8, "big")
    outer = (MSM8916 ^ 0x5C5C5C5C5C5C5C5C).to_bytes(8, "big")
    hashed = hashlib.sha256(image[0x1000:end]).digest()
    nested = outer + hashlib.sha256(inner + hashed).digest()
    return patched(image, end, VENDOR.sign_image(nested, "sha256"))


def old_file(long: bool, cut: int = 0, *, total: int = 0) -> bytes:
    """Return an image with the 40-byte header, or its long form."""
    code = programmer("A", "BOOT.TEST", size=0x1000)
    area = 6144
    size = total or len(code) + 256 + area
    header = struct.pack("<10I", 0x0D, 3, 0, 0x2A00_0000, size, len(code), 0, 256, 0, area)
    header += struct.pack("<10I", 0x33836685, *([0] * 9)) if long else b""
    units = Binding(MSM8916).units("sha256", len(code))
    inner = (3 ^ 0x3636363636363636).to_bytes(8, "big")
    outer = (MSM8916 ^ 0x5C5C5C5C5C5C5C5C).to_bytes(8, "big")
    hashed = hashlib.sha256(inner + hashlib.sha256(header + code).digest()).digest()
    signature = VENDOR.sign_image(outer + hashed, "sha256")
    return (header + code + signature + VENDOR.chain(units).ljust(area, b"\xff"))[: -cut or None]


@pytest.mark.parametrize("long", [False, True])
def test_signed_image_with_the_40_byte_header(*, long: bool) -> None:
    image = read_image(old_file(long))
    assert image.container is Container.MBN40
    assert image.problems == ()
    assert image.pk_hash == SHA256_OF_ROOT
    assert image.main.binding is not None
    assert image.main.binding.hwid == MSM8916
    assert image.trailing_bytes == 0
    assert image.is_programmer


def test_old_images_that_are_cut_off() -> None:
    filling = read_image(GOOD["sbl80.mbn"][:-1])  # only of what fills up the certificates
    assert filling.problems == ("The file is cut off: its header promises more than there is.",)
    assert filling.main.cut_off
    assert filling.pk_hash == SHA256_OF_ROOT
    certificates = read_image(GOOD["sbl80.mbn"][:-6000])
    assert certificates.pk_hash is None
    assert certificates.problems[0].startswith("The file is cut off")
    assert len(certificates.problems) == 2
    code = read_image(GOOD["sbl80.mbn"][:0x1000])
    assert (code.main.vendor, code.main.cut_off) == (None, True)
    assert read_image(old_file(long=True, cut=1)).main.cut_off


def test_parts_that_begin_on_the_next_page() -> None:
    first = plain_elf(b"plain" * 1000)
    assert len(first) % 4096
    padded = first.ljust(-(-len(first) // 4096) * 4096, b"\0")
    image = read_image(padded + GOOD["v3.mbn"])
    assert (len(image.parts), image.main.offset, image.trailing_bytes) == (2, len(padded), 0)
    assert image.problems == ()
    junk = read_image(first.ljust(len(padded), b"\x11") + GOOD["v3.mbn"])
    assert len(junk.parts) == 1


# The hash table


def test_unused_and_shared_segments_need_no_hash() -> None:
    image = GOOD["v3.mbn"]
    for access in (3, 4):
        flags = struct.pack("<I", access << 21 | 6)
        changed = patched(image, 52 + 2 * 32 + 24, flags)
        headers = hashlib.sha256(changed[: 52 + 4 * 32]).digest()
        changed = patched(changed, TABLE, headers + bytes(2 * 32))
        assert read_image(resigned(changed)).problems == ()
    changed = patched(image, TABLE + 2 * 32, bytes(32))
    assert read_image(resigned(changed)).problems == ("Segments that differ from their hash: 2.",)


@pytest.mark.parametrize("rows", [3, 5])
def test_tables_with_fewer_or_more_hashes_than_segments(rows: int) -> None:
    image = elf_image(Recipe(binding=Binding(MSM8916), vendor=None), b"content")
    image = patched(image, 0x1014, struct.pack("<I", 32 * rows))
    longer = struct.pack("<I", 40 + 32 * rows)
    image = patched(image, 52 + 32 + 16, longer)  # the size of the hash segment in the file
    headers = hashlib.sha256(image[: 52 + 4 * 32]).digest()
    image = patched(image, TABLE, headers)
    wrong = f"A hash table of {32 * rows} bytes does not fit 4 segments."
    found = read_image(image)
    assert (found.main.digest, found.main.bad_segments, found.problems) == ("sha256", (), (wrong,))
    changed = patched(image, 0x2000, b"CONTENT")
    assert read_image(changed).main.bad_segments == (2,)
    strange = read_image(patched(image, TABLE, bytes(32)))
    assert (strange.main.digest, strange.problems) == (None, (wrong,))


# Certificates


def chain_of(*certificates: bytes) -> bytes:
    return b"".join(certificates)


def test_ca_with_the_name_of_its_root_is_no_root() -> None:
    """Subject and issuer of the CA are the same name; the root's key has signed it."""
    is_ca = tlv(0x30, tlv(0x01, b"\xff"))
    keys = [VENDOR._key(name) for name in ("vendor-root", "vendor-ca", "vendor-leaf")]
    root, authority = (_Party("Same Name", key) for key in keys[:2])
    leaf = _Party("Leaf", keys[2])
    made = [
        _certificate(leaf, authority, Scheme.PKCS1, is_ca, 3),
        _certificate(authority, root, Scheme.PKCS1, is_ca, 2),
        _certificate(root, root, Scheme.PKCS1, is_ca, 1),
    ]
    chain = read_chain(chain_of(*made))
    assert chain.problems == ()
    assert [certificate.der for certificate in chain.roots] == made[2:]


def test_area_may_be_filled_with_zeros() -> None:
    chain = VENDOR.chain(())
    assert read_chain(chain + bytes(99)).problems == ()
    assert read_chain(chain + b"\0\xff").problems == (
        "There is something else behind the certificates.",
    )


def test_single_certificate_is_leaf_and_root() -> None:
    image = GOOD["v3.mbn"]
    area = TABLE + 4 * 32 + 256
    alone = patched(image, area, OTHER.root_bytes.ljust(6144, b"\xff"))
    assert read_image(alone).pk_hash == hashlib.sha256(OTHER.root_bytes).digest()


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_signature_field_may_be_longer_than_the_key(filling: bytes) -> None:
    key = read_chain(VENDOR.chain(())).leaf.key
    signature = VENDOR.sign_image(b"x", "sha256")
    assert scheme_of(key, signature + filling * 256, [b"x"], bare=True)
    assert scheme_of(key, signature + filling + b"\x01", [b"x"], bare=True) is None


def test_fields_are_safe_to_print() -> None:
    units = ("03 00000000\x1b[31m0002 DEBUG", "01 3 SW_ID")
    assert read_chain(VENDOR.chain(units)).leaf.units[0] == "03 00000000?[31m0002 DEBUG"


# What images are bound to


def fields(*units: str) -> Bound:
    leaf = read_chain(VENDOR.chain(("01 3 SW_ID", "02 007050E100000000 HW_ID", *units))).leaf
    return binding.from_fields(leaf.fields)


def test_serial_numbers_in_certificates() -> None:
    assert not fields().serial_bound
    assert not fields("14 0000 USE_SERIAL_NUMBER_IN_SIGNING").serial_bound
    bare = fields("14 0001 USE_SERIAL_NUMBER_IN_SIGNING")
    assert (bare.serial_bound, bare.serials) == (True, ())
    listed = fields("16 1E76093A 00000000 what 0000000A MULTI_SERIAL_NUMBERS")
    assert (listed.serial_bound, listed.serials) == (True, (0x1E76093A, 10))


@pytest.mark.parametrize(
    ("unit", "on"),
    [
        ("03 0000000000000002 DEBUG", False),
        ("03 disable DEBUG", False),
        ("03 0000000000000000 DEBUG", None),
        ("03 something DEBUG", None),
        ("03 0000000000000001 DEBUG", True),
        ("03 000000000000000F DEBUG", True),
        ("03 1E76093A00000002 DEBUG", False),
        ("08 0 APP_ID", None),
    ],
)
def test_debug_in_certificates(unit: str, *, on: bool | None) -> None:
    assert fields(unit).debug_on is on


def metadata_6(major: int, flags: int, *, msm_id: int = 0x000A50E1, oem_id: int = 0x17) -> Bound:
    words = [major, 0, 3, msm_id, oem_id, 2, 0, flags, *([0] * 22)]
    return binding.from_metadata_v6(struct.pack("<30I", *words))


def metadata_7(flags: int) -> Bound:
    block = bytearray(224)
    struct.pack_into("<I", block, 0x44, 0x001870E1)
    struct.pack_into("<2I", block, 0x88, 0x51, 7)
    struct.pack_into("<I", block, 0xDC, flags)
    return binding.from_metadata_v7(struct.pack("<6I", 0, 0, 3, 0, 3, 0), bytes(block))


@pytest.mark.parametrize(
    ("flags", "on"), [(0x000, None), (0x100, False), (0x200, True), (0x300, None)]
)
def test_debug_flags_of_version_6(flags: int, *, on: bool | None) -> None:
    assert metadata_6(0, flags).debug_on is on


def test_flags_of_version_7_that_real_images_have() -> None:
    """0x155656 and 0x155A56 of phone makers, 0x155556 and 0x15555A of the chip maker."""
    usual = metadata_7(0x155656)
    assert (usual.by_soc, usual.oem_bound, usual.model_bound) == (True, True, False)
    assert (usual.msm_bound, usual.serial_bound, usual.debug_on) == (False, False, False)
    assert metadata_7(0x155A56).model_bound
    for flags in (0x155556, 0x15555A):
        assert not metadata_7(flags).oem_bound
    assert metadata_7(0x155556 ^ 0b11 << 18).debug_on is True


def test_chip_counts_unless_the_metadata_say_otherwise() -> None:
    assert metadata_6(0, 0x100).msm_bound
    assert metadata_6(1, 0x500).msm_bound
    assert not metadata_6(1, 0x100).msm_bound
    assert not metadata_6(1, 0x100).names_chip
    assert not metadata_6(0, 0x100, msm_id=0).names_chip
    assert not metadata_6(0, 0x102).names_chip  # by SoC number, and none is listed
    assert metadata_6(1, 0x500).names_chip


def test_ids_wider_than_phones_report_them() -> None:
    wide = metadata_6(0, 0x100, oem_id=0xABCD_0017)
    assert (wide.oem_id, wide.hwid) == (0xABCD_0017, SM8150 | 0x0017_0002)


def test_images_bound_to_serial_numbers_by_their_certificate() -> None:
    class Bounded(Vendor):
        def chain(self, units: Sequence[str]) -> bytes:
            return super().chain((*units, "14 0001 USE_SERIAL_NUMBER_IN_SIGNING"))

    vendor = Bounded(**{name: getattr(VENDOR, name) for name in VENDOR.__dataclass_fields__})
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916), vendor=vendor), b"x"))
    assert image.problems == ()
    assert image.main.binding is not None
    assert image.main.binding.serial_bound


def test_two_signers_of_version_6() -> None:
    """No real one has both; the header has room for them (OP-TEE, pas_mbn_parser.c)."""
    recipe = Recipe(version=6, bits=64, digest="sha384", binding=Binding(SM8150 | 0x17_0002))
    both = replace(recipe, vendor=VENDOR_EC, chipmaker=CHIPMAKER_EC)
    image = read_image(elf_image(both, programmer("C", "BOOT.TEST", size=0x2000)))
    assert image.problems == ()
    assert image.main.chip_maker is not None
    assert image.main.chip_maker.scheme == "ECDSA P-384, SHA-384"
    assert image.pk_hash == hashlib.sha384(VENDOR_EC.root_bytes).digest()
