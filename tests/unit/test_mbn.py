# SPDX-License-Identifier: BSD-3-Clause
"""Signed images of every form: what is read is what their maker put in (mbn.md, 1 to 14)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest

from edl.errors import DocumentError
from edl.formats.mbn import Container, Image, read_image
from edl.formats.programmer import Generation, Protocol
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image, plain_elf, sbl80
from loaders.make_dummies import (
    ENDS_IN_FF,
    FOUR_ROOTS,
    MSM8916,
    MSM8974,
    NEGATIVE_SERIAL,
    SDM660,
    SM8150,
    SM8450,
    TWO_CERTIFICATES,
)
from loaders.signing import (
    CHIPMAKER_EC,
    OTHER,
    VENDOR,
    VENDOR_EC,
    VENDOR_PSS,
    Scheme,
    Vendor,
)

GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()

# openssl dgst over the root certificate cut out of the MSM8916 loader
SHA256_OF_ROOT = "49d263756c77f48de0411e8c2fda15ba2609800fef300caa47058998ae0b9237"
SHA384_OF_ROOT = (
    "f0f109acd5853673bac2bf475876fb74dd5b23a7e68393b1"
    "eed3658e0c52a7456d0329b8d2b4b7da49c10c027635b649"
)
BARE = "RSA PKCS#1 v1.5 with a bare digest, SHA-256"
PSS = "RSA-PSS, SHA-256"
ECDSA = "ECDSA P-384, SHA-384"


def scheme(image: Image) -> str | None:
    assert image.main.vendor is not None
    return image.main.vendor.scheme


def test_pk_hash_is_what_openssl_computes() -> None:
    old = read_image(make_dummies.msm8916())
    new = read_image(make_dummies.qcm2290())
    assert old.pk_hash == bytes.fromhex(SHA256_OF_ROOT)
    assert new.pk_hash == bytes.fromhex(SHA384_OF_ROOT)
    assert {h.digest for h in old.root_hashes} == {h.digest for h in new.root_hashes}
    assert [(h.algorithm, h.of) for h in new.root_hashes] == [
        ("sha384", "the root certificate"),
        ("sha256", "the root certificate"),
    ]


@pytest.mark.parametrize(
    ("name", "container", "version", "bits", "digest", "signed"),
    [
        ("v3.mbn", Container.ELF, 3, 32, "sha256", BARE),
        ("v3_pss.mbn", Container.ELF, 3, 32, "sha256", PSS),
        ("v3_ecdsa_sha384.mbn", Container.ELF, 3, 32, "sha384", ECDSA),
        ("v3_64.mbn", Container.ELF, 3, 64, "sha256", BARE),
        ("v3_hash_segment_is_load.mbn", Container.ELF, 3, 32, "sha256", BARE),
        ("v3_prefixed.mbn", Container.PREFIXED_ELF, 3, 32, "sha256", BARE),
        ("v5_nested.elf", Container.ELF, 5, 64, "sha256", PSS),
        ("v5_msm.elf", Container.ELF, 5, 64, "sha256", BARE),
        ("v6_ecdsa.elf", Container.ELF, 6, 64, "sha384", ECDSA),
        ("v6_pss.elf", Container.ELF, 6, 64, "sha384", PSS),
        ("v6_32.elf", Container.ELF, 6, 32, "sha384", ECDSA),
        ("v7_single.elf", Container.ELF, 7, 64, "sha384", ECDSA),
        ("v7_multi.elf", Container.MULTI_ELF, 7, 64, "sha384", ECDSA),
        ("sbl80.mbn", Container.SBL80, 3, None, None, BARE),
    ],
)
def test_forms_and_signatures(
    name: str,
    container: Container,
    version: int,
    bits: int | None,
    digest: str | None,
    signed: str,
) -> None:
    image = read_image(GOOD[name])
    assert image.problems == ()
    assert image.main.intact
    assert (image.container, image.main.version, image.main.bits) == (container, version, bits)
    assert (image.main.digest, scheme(image)) == (digest, signed)
    assert image.trailing_bytes == 0
    assert image.is_programmer


def bound(name: str) -> tuple[int, int, int, int, int]:
    binding = read_image(GOOD[name]).main.binding
    assert binding is not None
    return (
        binding.msm_id,
        binding.oem_id,
        binding.model_id,
        binding.sw_id,
        binding.rollback,
    )


def test_what_images_are_bound_to() -> None:
    assert bound("v3.mbn") == (0x007050E1, 0, 0, 3, 0)
    assert bound("v3_rollback_5.mbn") == (0x007050E1, 0, 0, 3, 5)
    assert bound("v3_aboot.mbn") == (0x007050E1, 0, 0, 0x1C, 0)
    assert bound("v5_msm.elf") == (0x0008C0E1, 0, 0, 3, 0)
    assert bound("v5_nested.elf") == (0, 0, 0, 3, 0)
    assert bound("v6_ecdsa.elf") == (0, 0x17, 2, 3, 0)
    assert bound("v6_msm.elf") == (0x000A50E1, 0x31, 0, 3, 0)
    assert bound("v7_multi.elf") == (0, 0x51, 0, 3, 0)
    assert bound("sbl80.mbn") == (0x007B00E1, 0, 0, 3, 0)


def test_soc_numbers_take_the_place_of_the_msm_id() -> None:
    for name, numbers in (("v5_nested.elf", (0x3006,)), ("v6_ecdsa.elf", (0x6003,))):
        binding = read_image(GOOD[name]).main.binding
        assert binding is not None
        assert (binding.by_soc, binding.soc_versions) == (True, numbers)
    for name in ("v5_msm.elf", "v6_msm.elf", "v3.mbn"):
        binding = read_image(GOOD[name]).main.binding
        assert binding is not None
        assert (binding.by_soc, binding.soc_versions) == (False, ())


def test_flags_of_versions_6_and_7() -> None:
    independent = read_image(GOOD["v6_oem_independent.elf"]).main.binding
    serials = read_image(GOOD["v6_serials.elf"]).main.binding
    seven = read_image(GOOD["v7_single.elf"]).main.binding
    assert independent is not None
    assert serials is not None
    assert seven is not None
    assert (independent.oem_bound, independent.model_bound) == (False, False)
    assert serials.serials == (0x1E76093A,)
    assert (seven.oem_bound, seven.model_bound, seven.by_soc) == (True, False, True)


def test_serials_of_version_7() -> None:
    recipe = Recipe(version=7, bits=64, digest="sha384", vendor=VENDOR_EC)
    recipe = replace(recipe, binding=Binding(SM8450 | 0x51_0007, serials=(5, 1 << 40)))
    binding = read_image(elf_image(recipe, b"x")).main.binding
    assert binding is not None
    assert binding.serials == (5, 1 << 40)
    assert (binding.msm_id, binding.by_soc, binding.model_bound) == (0x001870E1, False, True)
    assert binding.hwid == SM8450 | 0x51_0007


def test_model_is_independent_from_metadata_1_0_on_only() -> None:
    image = bytearray(GOOD["v6_msm.elf"])
    block = 0x1000 + 48
    struct.pack_into("<I", image, block + 28, 0x900)
    old = read_image(bytes(image)).main.binding
    struct.pack_into("<I", image, block, 1)
    new = read_image(bytes(image)).main.binding
    assert old is not None
    assert new is not None
    assert (old.model_bound, new.model_bound, new.oem_bound) == (True, False, True)


def test_debug_field_may_be_a_word() -> None:
    words = read_image(GOOD["v3_debug_in_words.mbn"]).main.binding
    number = read_image(GOOD["v3.mbn"]).main.binding
    assert words is not None
    assert number is not None
    assert (words.debug, number.debug) == ("disable", "0000000000000002")


def test_names_of_kinds() -> None:
    for name, kind in (("v3.mbn", "programmer"), ("v3_aboot.mbn", "Android boot loader (ABL)")):
        binding = read_image(GOOD[name]).main.binding
        assert binding is not None
        assert binding.kind == kind
    strange = elf_image(Recipe(binding=Binding(MSM8916, sw_id=0x77)), b"x")
    binding = read_image(strange).main.binding
    assert binding is not None
    assert binding.kind == "image of kind 0x77"


def test_nested_image_is_information_only() -> None:
    image = read_image(GOOD["v5_nested.elf"])
    (nested,) = image.nested
    assert nested.binding is not None
    assert (nested.binding.sw_id, nested.binding.oem_id, nested.binding.oem_bound) == (
        0x0B,
        1,
        False,
    )
    assert nested.vendor is None
    assert nested.chip_maker is not None
    assert image.main.binding is not None
    assert image.main.binding.oem_id == 0, "the nested certificate must not win"
    assert image.pk_hash == bytes.fromhex(SHA256_OF_ROOT)


def test_main_part_of_several_is_the_programmer() -> None:
    image = read_image(GOOD["v7_multi.elf"])
    kinds = [part.binding and part.binding.sw_id for part in image.parts]
    assert kinds == [None, 0x35, 0x36, 3, 0x25]
    assert image.main is image.parts[3]
    assert [part.chip_maker is not None for part in image.parts] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert all(
        signer.scheme == ECDSA
        for part in image.parts
        for signer in (part.vendor, part.chip_maker)
        if signer
    )
    assert [part.signed for part in image.parts] == [False, True, True, True, True]
    assert image.pk_hash == hashlib.sha384(VENDOR_EC.root_bytes).digest()
    assert image.pk_hash != hashlib.sha384(CHIPMAKER_EC.root_bytes).digest()


def test_first_part_with_hashes_is_the_main_one_where_none_is_a_programmer() -> None:
    recipe = Recipe(binding=Binding(MSM8916, sw_id=9))
    image = read_image(plain_elf(b"plain") + elf_image(recipe, b"x"))
    assert image.main is image.parts[1]
    assert not image.is_programmer


@pytest.mark.parametrize(
    ("vendor", "count"), [(FOUR_ROOTS, 6), (TWO_CERTIFICATES, 2), (NEGATIVE_SERIAL, 3)]
)
def test_chains_of_other_lengths(vendor: Vendor, count: int) -> None:
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916), vendor=vendor), b"x"))
    assert image.problems == ()
    assert image.main.vendor is not None
    chain = image.main.vendor.chain
    assert chain is not None
    assert len(chain.certificates) == count
    assert b"".join(root.der for root in chain.roots) == vendor.root_bytes
    assert image.pk_hash == hashlib.sha256(vendor.root_bytes).digest()


def test_any_of_several_roots_may_be_what_a_phone_reports() -> None:
    image = read_image(GOOD["v3_four_roots.mbn"])
    digests = {h.digest: h.of for h in image.root_hashes}
    all_of_them = hashlib.sha256(FOUR_ROOTS.root_bytes).digest()
    assert digests[all_of_them] == "all root certificates"
    for index, root in enumerate(FOUR_ROOTS.root_certificates, 1):
        assert digests[hashlib.sha256(root).digest()] == f"root certificate {index}"


def test_sixteen_roots() -> None:
    vendor = Vendor("EDL Sixteen Roots Test", ("other-root", "vendor-root") * 8, signing_root=0)
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916), vendor=vendor), b"x"))
    assert image.problems == ()
    assert len(image.root_hashes) == 2 * (1 + 16)


def test_root_that_ends_in_the_filling_byte() -> None:
    assert ENDS_IN_FF.root_bytes[-1] == 0xFF
    image = read_image(GOOD["v3_root_ends_in_ff.mbn"])
    assert image.problems == ()
    assert image.pk_hash == hashlib.sha256(ENDS_IN_FF.root_bytes).digest()


def test_fields_of_the_leaf_count_only_where_there_is_no_metadata() -> None:
    image = read_image(GOOD["v6_pss.elf"])
    assert image.main.vendor is not None
    assert image.main.vendor.chain is not None
    assert image.main.vendor.chain.leaf.fields[2][1] == "HW_ID"
    assert image.main.binding is not None
    assert image.main.binding.oem_id == 0x17


def test_unsigned_images() -> None:
    for name in ("v3_unsigned.mbn", "sbl80_unsigned.mbn"):
        image = read_image(GOOD[name])
        assert not image.main.signed
        assert (image.pk_hash, image.root_hashes, image.main.binding) == (None, (), None)
        assert image.problems == ()
        assert image.is_programmer
    bare = read_image(BAD["bad_no_hashes.elf"])
    assert bare.main.version is None
    assert bare.is_programmer


@pytest.mark.parametrize("filling", [b"\xff", b"\0"])
def test_signature_field_that_a_tool_has_left_empty_is_none(filling: bytes) -> None:
    image = GOOD["v3.mbn"]
    field = 0x1000 + 40 + 4 * 32
    unsigned = read_image(image[:field] + filling * 256 + image[field + 256 :])
    assert unsigned.main.vendor is None
    assert unsigned.pk_hash is None


def test_unsigned_metadata_are_read_all_the_same() -> None:
    for version in (6, 7):
        recipe = Recipe(version=version, bits=64, digest="sha384", vendor=None)
        recipe = replace(recipe, binding=Binding(SM8150 | 0x17_0000))
        binding = read_image(elf_image(recipe, b"x")).main.binding
        assert binding is not None
        assert binding.hwid == SM8150 | 0x17_0000


def test_trailing_bytes_do_not_matter() -> None:
    image = read_image(GOOD["v3.mbn"] + bytes(64))
    assert image.trailing_bytes == 64
    assert image.problems == ()


def test_parts_may_be_padded_to_where_a_segment_without_bytes_would_lie() -> None:
    first = plain_elf(b"plain")
    rows = bytearray(first)
    struct.pack_into("<H", rows, 44, 2)
    empty = struct.pack("<8I", 1, 0x1800, 0, 0, 0, 0x1000, 6, 0)
    rows[84:116] = empty
    image = read_image(bytes(rows).ljust(0x1800, b"\0") + GOOD["v3.mbn"])
    assert len(image.parts) == 2
    assert image.main.offset == 0x1800
    assert image.problems == ()


def test_at_most_sixteen_parts() -> None:
    image = read_image(plain_elf(b"plain") * 20)
    assert len(image.parts) == 16
    assert image.trailing_bytes == 4 * len(plain_elf(b"plain"))


def test_part_that_cannot_be_read_ends_the_row() -> None:
    image = read_image(GOOD["v3.mbn"] + b"\x7fELF" + bytes(60))
    assert len(image.parts) == 1
    assert image.trailing_bytes == 64


def test_segment_that_only_begins_like_an_image() -> None:
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916)), b"\x7fELF" + bytes(60)))
    assert image.nested == ()
    assert image.problems == ()


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("bad_segment.mbn", ("Segments that differ from their hash: 2.",)),
        (
            "bad_table.mbn",
            (
                "The signature does not fit the image.",
                "Segments that differ from their hash: 2.",
            ),
        ),
        ("bad_signature.mbn", ("The signature does not fit the image.",)),
        (
            "bad_truncated.mbn",
            (
                "The file is cut off: a segment reaches beyond its end.",
                "Segments that differ from their hash: 2.",
            ),
        ),
        (
            "bad_truncated_hashes.mbn",
            (
                "The file is cut off: a segment reaches beyond its end.",
                "The sizes in the hash segment's header reach beyond its end.",
            ),
        ),
        ("bad_sizes.mbn", ("The sizes in the hash segment's header reach beyond its end.",)),
    ],
)
def test_damaged_images(name: str, problems: tuple[str, ...]) -> None:
    image = read_image(BAD[name])
    assert image.problems == problems
    assert not image.main.intact
    assert image.main.cut_off == ("truncated" in name)


def test_damaged_part_beside_the_programmer_is_told_too() -> None:
    image = bytearray(GOOD["v7_multi.elf"])
    last = read_image(bytes(image)).parts[-1]
    place = image.index(b"configuration", last.offset)
    image[place] ^= 1
    assert read_image(bytes(image)).problems == ("Segments that differ from their hash: 1.",)


def patched(image: bytes, offset: int, data: bytes) -> bytes:
    return image[:offset] + data + image[offset + len(data) :]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (patched(GOOD["v3.mbn"], 0x1004, b"\x09"), "version 9 is not supported"),
        (patched(GOOD["v3.mbn"], 52 + 32 + 16, struct.pack("<I", 39)), "too short"),
        (patched(GOOD["v3.mbn"], 0x1014, struct.pack("<I", 127)), "does not fit 4 segments"),
        (patched(GOOD["v3.mbn"], 0x1014, struct.pack("<I", 4 * 31)), "does not fit 4 segments"),
        (patched(GOOD["v6_ecdsa.elf"], 0x1028, struct.pack("<2I", 8, 112)), "Metadata of 112"),
    ],
)
def test_hash_segments_that_cannot_be(image: bytes, words: str) -> None:
    assert words in " ".join(read_image(image).problems)


def test_metadata_of_version_7_that_cannot_be() -> None:
    image = GOOD["v7_single.elf"]
    (rows,) = struct.unpack_from("<H", image, 56)
    (place,) = struct.unpack_from("<Q", image, 64 + 56 * (rows - 1) + 8)
    short = read_image(patched(image, place + 0x0C, struct.pack("<2I", 8, 216)))
    assert "Metadata of 24 and 216 bytes are not supported." in short.problems


def test_segments_that_overlap_are_not_hashed_again_and_again() -> None:
    image = bytearray(GOOD["v3.mbn"])
    for row in (2, 3):
        struct.pack_into("<I", image, 52 + 32 * row + 4, 0)
        struct.pack_into("<I", image, 52 + 32 * row + 16, len(image))
    assert read_image(bytes(image)).problems == (
        "Its segments overlap, or reach far beyond the end of the file.",
    )


def test_encrypted_image_cannot_be_checked() -> None:
    image = bytearray(BAD["bad_segment.mbn"])
    place = 0x1000 + 40 + 4 * 32 + 256 + 6144
    image[place : place + 4] = b"ISMQ"
    struct.pack_into("<I", image, 52 + 32 + 16, place + 4 - 0x1000)
    encrypted = read_image(bytes(image))
    assert encrypted.main.encrypted
    assert encrypted.main.bad_segments == ()


def test_certificates_that_cannot_be() -> None:
    image = GOOD["v3.mbn"]
    area = 0x1000 + 40 + 4 * 32 + 256
    leaf_bytes = 4 + int.from_bytes(image[area + 2 : area + 4], "big")
    cut = read_image(patched(image, area, b"\x30\x80"))
    assert cut.main.vendor is not None
    assert cut.main.vendor.chain is None
    assert (cut.pk_hash, cut.main.binding) == (None, None)
    assert "not supported" in cut.problems[0]
    junk = read_image(patched(image, area + 6143, b"\0"))
    assert junk.problems == ("There is something else behind the certificates.",)
    forged = read_image(patched(image, area + leaf_bytes - 1, b"\0"))
    assert forged.problems == ("Certificate 1 is not signed by the next one.",)


def test_chain_that_no_root_has_signed() -> None:
    image = GOOD["v3.mbn"]
    area = 0x1000 + 40 + 4 * 32 + 256
    chain = VENDOR.chain(Binding(MSM8916).units("sha256", 40 + 4 * 32))
    strange = chain[: -len(VENDOR.root_bytes)] + OTHER.root_bytes
    image = patched(image, area, strange.ljust(6144, b"\xff"))
    assert read_image(image).problems == ("No root certificate has signed the chain.",)


def test_leaf_without_the_fields_of_its_time() -> None:
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916), fields=False), b"x"))
    assert image.main.binding is None
    assert image.problems == (
        "The signature does not fit the image.",
        "The leaf certificate has no usable field 01.",
    )
    assert image.pk_hash == bytes.fromhex(SHA256_OF_ROOT)


def test_old_header_without_fields() -> None:
    image = bytearray(sbl80(Recipe(binding=Binding(MSM8974)), b"content"))
    image[image.index(b" HW_ID")] = ord("_")
    broken = read_image(bytes(image))
    assert broken.main.binding is None
    assert broken.problems[-1] == "The leaf certificate has no usable field 02."


def test_old_header_with_broken_certificates() -> None:
    image = sbl80(Recipe(binding=Binding(MSM8974)), b"content")
    broken = read_image(patched(image, 80 + 7 + 256, b"\x31"))
    assert broken.problems == ("There is no certificate where one is due.",)


def test_old_headers_of_40_bytes() -> None:
    code = programmer("A", "BOOT.TEST", size=0x1000)
    header = struct.pack("<10I", 0x0D, 3, 0, 0x2A000000, len(code), len(code), 0, 0, 0, 0)
    image = read_image(header + code)
    assert (image.container, image.main.image_id) == (Container.MBN40, 13)
    assert image.programmer.generation is Generation.A
    assert not image.main.signed


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0x41), (4, 2), (16, 0x999), (20, 0), (24 + 4, 1)]
)
def test_header_of_40_bytes_must_add_up(offset: int, value: int) -> None:
    header = bytearray(struct.pack("<10I", 0x0D, 3, 0, 0, 64, 64, 0, 0, 0, 0))
    struct.pack_into("<I", header, offset, value)
    with pytest.raises(DocumentError, match="no boot image"):
        read_image(bytes(header) + bytes(64))


def test_sha1_and_other_digests_of_old_images() -> None:
    for digest, words in (("sha1", "SHA-1"), ("sha384", "SHA-384")):
        recipe = Recipe(binding=Binding(MSM8974), digest=digest)
        image = read_image(sbl80(recipe, b"content"))
        assert image.problems == ()
        assert scheme(image) == f"RSA PKCS#1 v1.5 with a bare digest, {words}"


def test_nested_digest_with_version_5() -> None:
    """One real image of version 5 is signed as those of version 3 are."""
    recipe = Recipe(version=5, bits=64, binding=Binding(SDM660))
    image = bytearray(elf_image(recipe, b"x"))
    table_end = 0x1000 + 40 + 4 * 32
    message = bytes(image[0x1000:table_end])
    outer, inner = SDM660 ^ 0x5C5C5C5C5C5C5C5C, 3 ^ 0x3636363636363636
    hashed = hashlib.sha256(message).digest()
    hashed = hashlib.sha256(inner.to_bytes(8, "big") + hashed).digest()
    signature = VENDOR.sign_image(outer.to_bytes(8, "big") + hashed, "sha256")
    image[table_end : table_end + 256] = signature
    nested = read_image(bytes(image))
    assert nested.problems == ()
    assert scheme(nested) == BARE


def test_what_both_signers_of_an_image_signed() -> None:
    """Where the whole image is signed, and not with the other signer's part blanked."""
    recipe = Recipe(
        version=7,
        bits=64,
        digest="sha384",
        binding=Binding(SM8450, soc_versions=(0xA001,)),
        vendor=VENDOR_EC,
        chipmaker=CHIPMAKER_EC,
    )
    image = bytearray(elf_image(recipe, b"x"))
    place = 0x2000
    sizes = struct.unpack_from("<10I", image, place)
    second, vendor = sizes[6] + sizes[7], sizes[8]
    start = place + 40 + sum(sizes[2:6])
    message = bytes(image[place:start])
    image[start + second : start + second + vendor] = VENDOR_EC.sign_image(message, "sha384")
    both = read_image(bytes(image))
    assert both.problems == ()
    assert scheme(both) == ECDSA


def test_streaming_download_is_a_programmer_of_another_protocol() -> None:
    image = read_image(GOOD["streaming.mbn"])
    assert image.programmer.protocol is Protocol.STREAMING
    assert image.is_programmer


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "This is no boot image."),
        (b"not an image", "This is no boot image."),
        (bytes(5000), "nothing but equal bytes"),
        (b"PK\x03\x04" + bytes(60), "an archive"),
        (b"ANDROID!" + bytes(60), "an Android boot image"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"070701" + b"0" * 200, "a set of several images"),
        (b":020000042A00D0\r\n:1000000005000000", "an Intel HEX file, for phones of DMSS Download"),
        (bytes(512) + b"EFI PART" + bytes(80), "a dump of a disk"),
        (b"\x55\xff\xed\xff" + bytes(60), "This is no boot image."),
        (b"\xd1\xdc\x4b\x84\x34\x10\xd7\x73" + bytes(60), "cut off"),
        (BAD["bad_row_count.mbn"], "65535 program headers"),
    ],
)
def test_what_is_no_boot_image(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_image(data)


def test_area_for_certificates_is_bounded() -> None:
    area = (1 << 20) + 1
    header = struct.pack("<20I", 0x844BDCD1, 0x73D71034, *([0] * 6), 8, 0, 0, 0, area, *([0] * 7))
    with pytest.raises(DocumentError, match="not supported"):
        read_image(header + bytes(8 + area))


def test_too_large_for_a_boot_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.formats.mbn.MAX_IMAGE_BYTES", 1000)
    with pytest.raises(DocumentError, match="too large"):
        read_image(bytes(1001))


def test_pss_in_place_of_bare_frames() -> None:
    vendor = replace(VENDOR_PSS, scheme=Scheme.PSS)
    image = read_image(elf_image(Recipe(binding=Binding(MSM8916), vendor=vendor), b"x"))
    assert image.problems == ()
    assert scheme(image) == PSS
