# SPDX-License-Identifier: BSD-3-Clause
"""Boot ROMs of the chips that the dummies are made for."""

from __future__ import annotations

import hashlib

from edl.virtual.bootrom import RomConfig
from edl.virtual.imageload import ImageKind
from edl.virtual.verifier import Fuses
from loaders import make_dummies
from loaders.signing import VENDOR, VENDOR_EC, Vendor


def fuses_of(
    vendor: Vendor,
    hwid: int,
    *,
    soc_version: int = 0,
    header_version: int = 3,
    rollback: int = 0,
    serial: int = 0x1E76093A,
) -> Fuses:
    """Return the fuses of a chip that trusts vendor."""
    digest = "sha384" if header_version >= 6 else "sha256"
    return Fuses(
        hwid=hwid,
        pk_hash=hashlib.new(digest, vendor.root_bytes).digest(),
        soc_version=soc_version,
        serial=serial,
        rollback=rollback,
        header_versions=frozenset({header_version}),
    )


MSM8916 = RomConfig(fuses_of(VENDOR, make_dummies.MSM8916), image_kind=ImageKind.ELF32)
QCM2290 = RomConfig(fuses_of(VENDOR, make_dummies.QCM2290, soc_version=0x9003, header_version=6))
SM8450 = RomConfig(
    fuses_of(VENDOR_EC, make_dummies.SM8450 | 0x51_0000, soc_version=0xA001, header_version=7),
    elf_parts=5,
)
