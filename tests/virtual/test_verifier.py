# SPDX-License-Identifier: BSD-3-Clause
"""What the virtual phone accepts, and with which Sahara status it refuses (mbn.md, section 9)."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.virtual.chain import read_chain
from edl.virtual.verifier import Fuses, Status, check_image
from loaders import make_dummies
from loaders.images import Binding, Recipe, elf_image, plain_elf
from loaders.make_dummies import FOUR_ROOTS, NEGATIVE_SERIAL, TWO_CERTIFICATES
from loaders.signing import (
    CHIPMAKER,
    VENDOR,
    VENDOR_EC,
    Vendor,
    tlv,
)
from tests.virtual.roms import MSM8916, QCM2290, SM8450, fuses_of

GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()
F8916 = MSM8916.fuses
SM8150 = make_dummies.SM8150 | 0x17_0002
SHA256_OF_ROOT = "49d263756c77f48de0411e8c2fda15ba2609800fef300caa47058998ae0b9237"
SHA384_OF_ROOT = (
    "f0f109acd5853673bac2bf475876fb74dd5b23a7e68393b1"
    "eed3658e0c52a7456d0329b8d2b4b7da49c10c027635b649"
)
V6_EC = fuses_of(VENDOR_EC, SM8150, soc_version=0x6003, header_version=6)


def test_loaders_of_the_virtual_phones_are_accepted() -> None:
    f8953 = fuses_of(VENDOR, make_dummies.MSM8953)
    f660 = fuses_of(VENDOR, make_dummies.SDM660, soc_version=0x3006, header_version=5)
    assert check_image(F8916, make_dummies.msm8916()) is Status.SUCCESS
    assert check_image(f8953, make_dummies.msm8953()) is Status.SUCCESS
    assert check_image(f660, make_dummies.sdm660()) is Status.SUCCESS
    assert check_image(QCM2290.fuses, make_dummies.qcm2290()) is Status.SUCCESS


def test_roots_have_the_digests_that_openssl_computes() -> None:
    """Computed with `openssl dgst` over the certificates cut out of the loaders."""
    assert F8916.pk_hash.hex() == SHA256_OF_ROOT
    assert QCM2290.fuses.pk_hash.hex() == SHA384_OF_ROOT


@pytest.mark.parametrize(
    ("name", "fuses"),
    [
        ("v3.mbn", F8916),
        ("v3_four_roots.mbn", fuses_of(FOUR_ROOTS, make_dummies.MSM8916)),
        ("v3_two_certificates.mbn", fuses_of(TWO_CERTIFICATES, make_dummies.MSM8916)),
        ("v3_negative_serial.mbn", fuses_of(NEGATIVE_SERIAL, make_dummies.MSM8916)),
        ("v3_root_ends_in_ff.mbn", fuses_of(make_dummies.ENDS_IN_FF, make_dummies.MSM8916)),
        ("v3_pss.mbn", F8916),
        ("v3_ecdsa_sha384.mbn", fuses_of(VENDOR_EC, make_dummies.MSM8916)),
        ("v3_64.mbn", F8916),
        ("v3_rollback_5.mbn", replace(F8916, rollback=5)),
        ("v3_sw_id_0.mbn", F8916),
        ("v3_hash_segment_is_load.mbn", F8916),
        ("v3_debug_in_words.mbn", F8916),
        ("v5_msm.elf", fuses_of(VENDOR, make_dummies.SDM660, header_version=5)),
        ("v6_ecdsa.elf", V6_EC),
        ("v6_pss.elf", fuses_of(VENDOR, SM8150, soc_version=0x6003, header_version=6)),
        ("v6_msm.elf", fuses_of(VENDOR_EC, make_dummies.SM8150 | 0x31_0000, header_version=6)),
        ("v6_oem_independent.elf", replace(V6_EC, hwid=make_dummies.SM8150 | 0x99_0099)),
        ("v6_32.elf", V6_EC),
        ("v6_serials.elf", V6_EC),
        ("v7_single.elf", SM8450.fuses),
        ("v7_multi.elf", SM8450.fuses),
        ("sbl80.mbn", fuses_of(VENDOR, make_dummies.MSM8974)),
    ],
)
def test_accepted(name: str, fuses: Fuses) -> None:
    assert check_image(fuses, GOOD[name]) is Status.SUCCESS


AUTH = Status.HASH_TABLE_AUTH_FAILURE
HASH = Status.HASH_VERIFICATION_FAILURE
NONE = Status.HASH_TABLE_NOT_FOUND
SIZE = Status.INVALID_IMG_HASH_TABLE_SIZE
ELF = Status.INVALID_ELF_HDR


@pytest.mark.parametrize(
    ("image", "fuses", "status"),
    [
        (GOOD["v3_other_vendor.mbn"], F8916, AUTH),
        (GOOD["v3_unsigned.mbn"], F8916, NONE),
        (GOOD["v3_rollback_5.mbn"], replace(F8916, rollback=6), AUTH),
        (GOOD["v3_aboot.mbn"], F8916, AUTH),
        (GOOD["v3_prefixed.mbn"], F8916, ELF),
        (GOOD["v3.mbn"], replace(F8916, hwid=make_dummies.MSM8953), AUTH),
        (GOOD["v3.mbn"], replace(F8916, hwid=make_dummies.MSM8916 | 0x1_0000), AUTH),
        (GOOD["v3.mbn"], replace(F8916, hwid=make_dummies.MSM8916 | 1), AUTH),
        (GOOD["v3.mbn"], V6_EC, SIZE),
        (GOOD["v6_ecdsa.elf"], replace(V6_EC, soc_version=0x6008), AUTH),
        (GOOD["v6_ecdsa.elf"], replace(V6_EC, hwid=make_dummies.SM8150 | 0x17_0003), AUTH),
        (GOOD["v6_serials.elf"], replace(V6_EC, serial=1), AUTH),
        (GOOD["v7_multi.elf"], replace(SM8450.fuses, hwid=make_dummies.SM8450), AUTH),
        (GOOD["v7_multi.elf"], replace(SM8450.fuses, rollback=1), AUTH),
        (GOOD["sbl80_unsigned.mbn"], fuses_of(VENDOR, make_dummies.MSM8974), NONE),
        (GOOD["sbl80.mbn"][:70], fuses_of(VENDOR, make_dummies.MSM8974), ELF),
        (BAD["bad_segment.mbn"], F8916, HASH),
        (BAD["bad_table.mbn"], F8916, AUTH),
        (BAD["bad_signature.mbn"], F8916, AUTH),
        (BAD["bad_truncated.mbn"], F8916, HASH),
        (BAD["bad_truncated_hashes.mbn"], F8916, SIZE),
        (BAD["bad_row_count.mbn"], F8916, ELF),
        (BAD["bad_sizes.mbn"], F8916, SIZE),
        (BAD["bad_not_elf.mbn"], F8916, ELF),
        (BAD["bad_no_hashes.elf"], QCM2290.fuses, NONE),
        (b"", F8916, ELF),
    ],
)
def test_refused(image: bytes, fuses: Fuses, status: Status) -> None:
    assert check_image(fuses, image) is status


def test_revision_of_the_die_is_not_compared() -> None:
    fuses = replace(F8916, hwid=0x3000_0000_0000_0000 | make_dummies.MSM8916)
    assert check_image(fuses, GOOD["v3.mbn"]) is Status.SUCCESS


def test_everything_starts_where_secure_boot_is_off() -> None:
    fuses = replace(F8916, secure_boot=False)
    for name in ("v3_unsigned.mbn", "v3_other_vendor.mbn", "v7_multi.elf", "sbl80_unsigned.mbn"):
        assert check_image(fuses, GOOD[name]) is Status.SUCCESS
    assert check_image(fuses, BAD["bad_no_hashes.elf"]) is Status.SUCCESS
    assert check_image(fuses, b"junk") is ELF


def test_other_kinds_of_image_are_checked_with_their_own_number() -> None:
    image = elf_image(Recipe(binding=Binding(make_dummies.MSM8916, sw_id=9)), b"boot loader")
    assert check_image(F8916, image) is AUTH
    assert check_image(F8916, image, {9}) is Status.SUCCESS


def test_plain_part_may_only_come_first_and_not_alone() -> None:
    part = elf_image(
        Recipe(
            version=7,
            bits=64,
            digest="sha384",
            binding=Binding(SM8450.fuses.hwid, soc_versions=(0xA001,)),
            vendor=VENDOR_EC,
        ),
        b"programmer",
    )
    assert check_image(SM8450.fuses, plain_elf(b"first") + part) is Status.SUCCESS
    assert check_image(SM8450.fuses, part + plain_elf(b"last")) is NONE


@pytest.mark.parametrize("sw_ids", [{3}, {0x35}, {0x25, 3}])
def test_multi_elf_needs_one_part_of_the_right_kind(sw_ids: set[int]) -> None:
    assert check_image(SM8450.fuses, GOOD["v7_multi.elf"], sw_ids) is Status.SUCCESS
    assert check_image(SM8450.fuses, GOOD["v7_multi.elf"], {0x99}) is AUTH


def test_v7_compares_only_what_its_flags_bind() -> None:
    binding = Binding(make_dummies.SM8450 | 0x51_0000)
    recipe = Recipe(version=7, bits=64, digest="sha384", binding=binding, vendor=VENDOR_EC)
    other_soc = replace(SM8450.fuses, soc_version=0x1234)
    assert check_image(other_soc, elf_image(recipe, b"by MSM id")) is Status.SUCCESS
    model = replace(recipe, binding=replace(binding, hwid=binding.hwid | 7))
    assert check_image(other_soc, elf_image(model, b"by model")) is AUTH


def patched(image: bytes, offset: int, data: bytes) -> bytes:
    return image[:offset] + data + image[offset + len(data) :]


def hash_segment_at(image: bytes) -> int:
    """Return the offset of the hash segment of a version 7 image of 64 bits: the last row."""
    (rows,) = struct.unpack_from("<H", image, 56)
    offset: int = struct.unpack_from("<Q", image, 64 + 56 * (rows - 1) + 8)[0]
    return offset


def test_contradictory_flags_are_refused() -> None:
    image = GOOD["v7_single.elf"]
    flags = hash_segment_at(image) + 40 + 24 + 0xDC
    assert check_image(SM8450.fuses, patched(image, flags, b"\xff")) is AUTH


@pytest.mark.parametrize(
    ("image", "fuses", "place", "sizes"),
    [
        (GOOD["v6_ecdsa.elf"], V6_EC, 0x1000 + 0x28, (112, 8)),
        (
            GOOD["v7_single.elf"],
            SM8450.fuses,
            hash_segment_at(GOOD["v7_single.elf"]) + 0x0C,
            (216, 8),
        ),
    ],
)
def test_metadata_of_another_size_is_refused(
    image: bytes, fuses: Fuses, place: int, sizes: tuple[int, int]
) -> None:
    assert check_image(fuses, patched(image, place, struct.pack("<2I", *sizes))) is SIZE


def test_hash_segment_without_room_for_its_header_is_refused() -> None:
    image = patched(GOOD["v3.mbn"], 52 + 32 + 16, struct.pack("<I", 47))
    assert check_image(F8916, image) is SIZE


def test_table_of_another_length_is_refused() -> None:
    image = patched(GOOD["v3.mbn"], 0x1014, struct.pack("<I", 20 * 4))
    assert check_image(F8916, image) is SIZE


def test_chain_must_hold_together() -> None:
    image = GOOD["v3.mbn"]
    area = 0x1000 + 40 + 4 * 32 + 256
    chain = image[area:]
    leaf = 4 + int.from_bytes(chain[2:4], "big")
    authority = 4 + int.from_bytes(chain[leaf + 2 : leaf + 4], "big")
    for broken in (
        patched(image, area, b"\x30\x80"),  # indefinite length
        patched(image, area, b"\x30\x03\x02\x01\x00"),  # no certificate
        patched(image, area + leaf - 1, b"\0"),  # the leaf's signature
        patched(image, area + leaf + authority - 1, b"\0"),  # the CA's signature
        patched(image, area + leaf + authority, b"\xff" * 2000),  # no root
        patched(image, area, chain[leaf : leaf + authority] + b"\xff" * leaf),
        patched(image, area + len(chain[:6144]) - 1, b"\0"),  # the filling
    ):
        assert check_image(F8916, broken) is AUTH


def test_unknown_algorithm_is_refused() -> None:
    sha256_rsa = bytes.fromhex("2a864886f70d01010b")
    image = GOOD["v3.mbn"].replace(sha256_rsa, sha256_rsa[:-1] + b"\x04")  # MD5
    assert check_image(F8916, image) is AUTH


def test_signature_field_of_a_curve_must_be_der() -> None:
    image = GOOD["v6_ecdsa.elf"]
    signature = 0x1000 + 48 + 120 + 4 * 48
    assert image[signature] == 0x30
    assert check_image(V6_EC, patched(image, signature, b"\x30\x84")) is AUTH


class Namer(Vendor):
    """A vendor whose leaf says what a test wants."""

    said: tuple[str, ...] = ()

    def chain(self, units: object) -> bytes:
        return super().chain(self.said)


@pytest.mark.parametrize(
    "units",
    [
        (),
        ("01 0000000000000003 SW_ID",),
        ("01 3 3 SW_ID", "02 007050E100000000 HW_ID"),
        ("01 " + "1" * 20 + " SW_ID", "02 007050E100000000 HW_ID"),
    ],
)
def test_leaf_must_say_what_it_is_for(units: tuple[str, ...]) -> None:
    vendor = Namer("EDL Public Test", ("vendor-root",))
    object.__setattr__(vendor, "said", units)
    image = elf_image(Recipe(binding=Binding(make_dummies.MSM8916), vendor=vendor), b"x")
    assert check_image(F8916, image) is AUTH


def test_image_that_only_the_chip_maker_signed_is_not_the_vendors() -> None:
    recipe = Recipe(version=5, bits=64, vendor=None, chipmaker=CHIPMAKER)
    fuses = replace(F8916, header_versions=frozenset({5}))
    assert check_image(fuses, elf_image(recipe, b"x")) is NONE


@given(st.data())
def test_no_damage_raises_anything(data: st.DataObject) -> None:
    name, fuses = data.draw(
        st.sampled_from(
            [
                ("v3.mbn", F8916),
                ("v6_ecdsa.elf", V6_EC),
                ("v7_multi.elf", SM8450.fuses),
                ("sbl80.mbn", fuses_of(VENDOR, make_dummies.MSM8974)),
            ]
        )
    )
    image = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] ^= data.draw(st.integers(1, 255))
    assert check_image(fuses, bytes(image)).known


def with_key(modulus_bits: int) -> bytes:
    """Return a chain of a leaf and a root with an RSA key and an exponent of that size."""
    size = modulus_bits // 8
    numbers = (tlv(2, b"\0\xc3" + b"\x35" * (size - 1)), tlv(2, b"\x7f" * size))
    words = {"rsa": "2a864886f70d010101", "signed": "2a864886f70d01010b", "name": "550403"}
    kinds = {name: tlv(6, bytes.fromhex(digits)) for name, digits in words.items()}
    key = tlv(0x30, tlv(0x30, kinds["rsa"], tlv(5)), tlv(3, b"\0" + tlv(0x30, *numbers)))
    algorithm = tlv(0x30, kinds["signed"], tlv(5))

    def name(text: bytes) -> bytes:
        return tlv(0x30, tlv(0x31, tlv(0x30, kinds["name"], tlv(12, text))))

    def certificate(subject: bytes) -> bytes:
        parts = (tlv(0xA0, tlv(2, b"\2")), tlv(2, b"\1"), algorithm, name(b"root"), tlv(0x30))
        body = tlv(0x30, *parts, name(subject), key)
        return tlv(0x30, body, algorithm, tlv(3, b"\0" + b"\x7f" * (modulus_bits // 8)))

    return certificate(b"leaf") + certificate(b"root")


def test_keys_that_would_take_minutes_are_refused() -> None:
    with pytest.raises(ValueError, match="a certificate is not signed by the next"):
        read_chain(with_key(2048))
    with pytest.raises(ValueError, match="a key has 4"):
        read_chain(with_key(16_384))
