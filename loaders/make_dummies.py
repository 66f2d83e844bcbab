# SPDX-License-Identifier: BSD-3-Clause
"""Makes the test-signed programmers: `python -m loaders.make_dummies [FOLDER]`.

Without FOLDER, the loaders of the virtual phones are written beside this file; they are kept
in the repository. With FOLDER, every kind is written there, the damaged ones too. The bytes are
the same on every computer.
"""

from __future__ import annotations

import functools
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loaders import contents
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image, multi_elf, plain_elf, prefixed, sbl80
from loaders.signing import (
    CHIPMAKER,
    CHIPMAKER_EC,
    OTHER,
    VENDOR_EC,
    VENDOR_PSS,
    Vendor,
)

MSM8916 = 0x007050E1_0000_0000
MSM8953 = 0x000460E1_0000_0000
SDM660 = 0x0008C0E1_0000_0000
QCM2290 = 0x001860E1_0000_0000
SM8150 = 0x000A50E1_0000_0000
SM8450 = 0x001870E1_0000_0000
MSM8974 = 0x007B00E1_0000_0000

FOUR_ROOTS = Vendor(
    "EDL Four Roots Test",
    ("vendor-root", "other-root", "chipmaker-root", "vendor-ca"),
    signing_root=1,
)
TWO_CERTIFICATES = Vendor("EDL Two Certificates Test", ("other-root",), with_ca=False)
NEGATIVE_SERIAL = Vendor("EDL Negative Serial Test", ("other-root",), serial=-77)
ENDS_IN_FF = Vendor("EDL Ends In FF Test", ("other-root",), serial=51)


def _nested() -> bytes:
    """Return an image that only the chip maker signed, as version 5 and 6 programmers hold it."""
    binding = Binding(0x0000_0000_0001_0000, sw_id=0x0B, oem_independent=True)
    recipe = Recipe(version=5, bits=64, binding=binding, vendor=None, chipmaker=CHIPMAKER)
    return elf_image(recipe, b"chip maker's part")


def msm8916() -> bytes:
    """Return the loader of the virtual MSM8916."""
    recipe = Recipe(binding=Binding(MSM8916), address=0x0800_8000)
    return elf_image(recipe, programmer("A", "BOOT.BF.3.0-00320"))


def msm8953() -> bytes:
    """Return the loader of the virtual MSM8953."""
    recipe = Recipe(binding=Binding(MSM8953), address=0x0800_8000)
    return elf_image(recipe, programmer("A", "BOOT.BF.3.3-00214"))


def sdm660() -> bytes:
    """Return the loader of the virtual SDM660: version 5, bound to its SoC number."""
    recipe = Recipe(
        version=5,
        bits=64,
        binding=Binding(SDM660, soc_versions=(0x3006,)),
        vendor=VENDOR_PSS,
        address=0x1468_0000,
        nested=_nested(),
    )
    return elf_image(recipe, programmer("B", "BOOT.XF.1.4-00253"))


def qcm2290() -> bytes:
    """Return the loader of the virtual QCM2290: version 6, SHA-384, bound to its SoC number."""
    recipe = Recipe(
        version=6,
        bits=64,
        digest="sha384",
        binding=Binding(QCM2290, soc_versions=(0x9003,)),
        vendor=VENDOR_PSS,
        address=0x0C10_0000,
        image_id=5,
    )
    return elf_image(recipe, programmer("C", "BOOT.XF.4.1-00330"))


def msm8974() -> bytes:
    """Return the loader of the virtual MSM8974: 80-byte header, speaks Streaming Download."""
    recipe = Recipe(binding=Binding(MSM8974), address=0x2A00_0000, image_id=0x0D)
    return sbl80(recipe, contents.filled(contents.STREAMING, 0x4000))


COMMITTED: dict[str, Callable[[], bytes]] = {
    "prog_emmc_firehose_8916_test.mbn": msm8916,
    "prog_emmc_firehose_8953_test.mbn": msm8953,
    "prog_emmc_streaming_8974_test.mbn": msm8974,
    "prog_emmc_ufs_firehose_sdm660_test.elf": sdm660,
    "prog_firehose_ddr_qcm2290_test.elf": qcm2290,
}


_V3 = Recipe(binding=Binding(MSM8916))
_V6 = Recipe(
    version=6,
    bits=64,
    digest="sha384",
    binding=Binding(SM8150 | 0x0017_0002, soc_versions=(0x6003,)),
    vendor=VENDOR_EC,
    fields=False,
    address=0x1468_0000,
)
_V7 = replace(_V6, version=7, binding=Binding(SM8450 | 0x0051_0000, soc_versions=(0xA001,)))


def _of(recipe: Recipe, generation: str = "A", **changes: object) -> bytes:
    """Return a small programmer, made as recipe with changes says."""
    return elf_image(replace(recipe, **changes), programmer(generation, "BOOT.TEST", size=0x2000))  # type: ignore[arg-type]


def _with_byte(image: bytes, offset: int) -> bytes:
    """Return image with one byte changed."""
    return image[:offset] + bytes((image[offset] ^ 0xFF,)) + image[offset + 1 :]


@functools.cache
def good_ones() -> dict[str, bytes]:
    """Return every kind of image that some boot ROM takes, by file name."""
    binding = _V3.binding
    old = Recipe(binding=Binding(MSM8974), address=0x2A00_0000, image_id=0x0D)
    firmware = programmer("A", "BOOT.TEST", size=0x2000)
    return {
        "v3.mbn": _of(_V3),
        "v3_other_vendor.mbn": _of(_V3, vendor=OTHER),
        "v3_four_roots.mbn": _of(_V3, vendor=FOUR_ROOTS),
        "v3_two_certificates.mbn": _of(_V3, vendor=TWO_CERTIFICATES),
        "v3_negative_serial.mbn": _of(_V3, vendor=NEGATIVE_SERIAL),
        "v3_root_ends_in_ff.mbn": _of(_V3, vendor=ENDS_IN_FF),
        "v3_unsigned.mbn": _of(_V3, vendor=None),
        "v3_pss.mbn": _of(_V3, vendor=VENDOR_PSS),
        "v3_ecdsa_sha384.mbn": _of(_V3, vendor=VENDOR_EC, digest="sha384"),
        "v3_64.mbn": _of(_V3, "B", bits=64),
        "v3_rollback_5.mbn": _of(_V3, binding=replace(binding, rollback=5)),
        "v3_sw_id_0.mbn": _of(_V3, binding=replace(binding, sw_id=0)),
        "v3_aboot.mbn": _of(_V3, binding=replace(binding, sw_id=0x1C)),
        "v3_hash_segment_is_load.mbn": _of(_V3, hash_type=1),
        "v3_debug_in_words.mbn": _of(_V3, binding=replace(binding, debug="disable")),
        "v3_prefixed.mbn": prefixed(_of(_V3)),
        "v5_nested.elf": _of(
            Recipe(version=5, bits=64, binding=Binding(SDM660, soc_versions=(0x3006,))),
            "B",
            vendor=VENDOR_PSS,
            nested=_nested(),
        ),
        "v5_msm.elf": _of(Recipe(version=5, bits=64, binding=Binding(SDM660)), "B"),
        "v6_ecdsa.elf": _of(_V6, "C"),
        "v6_pss.elf": _of(_V6, "C", vendor=VENDOR_PSS, fields=True, nested=_nested()),
        "v6_msm.elf": _of(_V6, "C", binding=Binding(SM8150 | 0x0031_0000)),
        "v6_oem_independent.elf": _of(_V6, "C", binding=replace(_V6.binding, oem_independent=True)),
        "v6_32.elf": _of(_V6, "C", bits=32),
        "v6_serials.elf": _of(_V6, "C", binding=replace(_V6.binding, serials=(0x1E76093A,))),
        "v7_single.elf": _of(_V7, "C"),
        "v7_multi.elf": multi_elf(_V7, programmer("C", "BOOT.TEST", size=0x2000), CHIPMAKER_EC),
        "sbl80.mbn": sbl80(old, firmware),
        "sbl80_unsigned.mbn": sbl80(replace(old, vendor=None), firmware),
        "streaming.mbn": elf_image(_V3, contents.filled(contents.STREAMING, 0x1000)),
    }


@functools.cache
def bad_ones() -> dict[str, bytes]:
    """Return damaged images and files that are none, by file name."""
    image = _of(_V3)
    rows = 52 + 44  # the number of program headers is at 44
    return {
        "bad_segment.mbn": _with_byte(image, len(image) - 100),
        "bad_table.mbn": _with_byte(image, 0x1000 + 40 + 70),
        "bad_signature.mbn": _with_byte(image, 0x1000 + 40 + 4 * 32 + 9),
        "bad_truncated.mbn": image[:-0x800],
        "bad_truncated_hashes.mbn": image[:0x1100],
        "bad_row_count.mbn": image[:44] + struct.pack("<H", 0xFFFF) + image[46:],
        "bad_offset.mbn": image[: rows - 40] + b"\xff\xff\xff\x7f" + image[rows - 36 :],
        "bad_sizes.mbn": image[:0x1014] + b"\xf0\xff\xff\xff" + image[0x1018:],
        "bad_not_elf.mbn": b"not an image at all " * 40,
        "bad_no_hashes.elf": plain_elf(programmer("C", "BOOT.TEST", size=0x2000), bits=64),
    }


def main(arguments: list[str]) -> None:
    """Write the dummies; see the module's docstring."""
    images = {name: make() for name, make in COMMITTED.items()}
    folder = Path(__file__).parent
    if arguments:
        folder = Path(arguments[0])
        folder.mkdir(parents=True, exist_ok=True)
        images |= good_ones() | bad_ones()
    for name, image in images.items():
        (folder / name).write_bytes(image)
        print(f"{len(image):7} {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
