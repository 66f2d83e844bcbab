# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones that take what is signed, a package for them, and the maker who signs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edl.formats.digesttable import SIGNED_NAME, TO_SIGN_NAME
from loaders.images import Binding, Recipe, signed_table
from loaders.make_dummies import MSM8916, MSM8953, QCM2290, SDM660
from loaders.signing import VENDOR_PSS
from tests import dumps, packs

_V3 = Recipe(binding=Binding(MSM8916))
_V5 = Recipe(version=5, binding=Binding(SDM660, soc_versions=(0x3006,)), vendor=VENDOR_PSS)
_V6 = Recipe(
    version=6,
    digest="sha384",
    binding=Binding(QCM2290, soc_versions=(0x9003,)),
    vendor=VENDOR_PSS,
    image_id=5,
)
RECIPES = {
    "msm8916": _V3,
    "msm8953": replace(_V3, binding=Binding(MSM8953)),
    "sdm660": _V5,
    "qcm2290": _V6,
}
PAYLOADS = {"msm8916": 16384, "msm8953": 1 << 20, "sdm660": 32768, "qcm2290": 16384}


def sign(folder: Path, recipe: Recipe) -> None:
    """Sign the table in folder, as the maker of a phone would."""
    table = (folder / TO_SIGN_NAME).read_bytes()
    (folder / SIGNED_NAME).write_bytes(signed_table(recipe, table))


def package(folder: Path, patches: int = 3) -> Path:
    """Return a package of two images and some patches; the larger image has 1 MiB and a bit."""
    rows = [
        packs.program("boot.img", 4096, 4096, "boot", file_sector_offset=0, sparse="false"),
        packs.program("xbl.bin", 64, 64, "xbl", file_sector_offset=0, sparse="false"),
        packs.program("modem.bin", 256, 8, "modemst1", file_sector_offset=0, sparse="false"),
    ]
    places = [
        packs.patch(65 + n // 60, 8 * (n % 60), 4, f"NUM_DISK_SECTORS-{n}.")
        for n in range(1, patches + 1)
    ]
    files: dict[str, bytes | str] = {
        "boot.img": dumps.bytes_of("new", "boot", (1 << 20) + 700),
        "xbl.bin": dumps.bytes_of("new", "xbl", 9000),
        "modem.bin": dumps.bytes_of("new", "modem", 4096),
        "rawprogram0.xml": packs.document(*rows),
        "patch0.xml": packs.document(*places),
    }
    folder.mkdir()
    return packs.put(folder, files)
