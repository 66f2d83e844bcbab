# SPDX-License-Identifier: BSD-3-Clause
"""Packages of Nokia phones (nb0-unpack's layout), and images of ASUS with a block in front."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.chunks import BytesContent, read_all
from edl.errors import DocumentError, PackageError
from edl.formats import nb0
from tests import dumps, phones
from tests.packages.installing import held, install, opened
from tests.packages.making import noise, rawprogram, sparse

BOOT, SYSTEM = noise(5000), noise(5000, 2)
BUILD = "A1N-0-414B-p2-"
FLAT = {
    f"{BUILD}rawprogram0.xml": rawprogram({"boot": "boot.img", "system": "system.img"}),
    f"{BUILD}boot.img": BOOT,
    f"{BUILD}system.img": SYSTEM,
    "A1N-414B.mlf": b"a list for the maker's tool",
}
NAMED = {"E1M-103A-0-00WW-boot.img": BOOT, "E1M-103A-0-00WW-system.img": SYSTEM}


def container(files: dict[str, bytes]) -> bytes:
    table, body = struct.pack("<I", len(files)), b""
    for name, data in files.items():
        table += struct.pack("<IIII48s", len(body), len(data), 0, 0, name.encode())
        body += data
    return table + body


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def with_table(bench: phones.Bench) -> None:
    flash = bench.flash.luns[0]
    images = dumps.table(flash.sectors, {"boot": 64, "system": 64, "rest": 0}).images()
    flash.write(0, images.primary)
    flash.write(images.backup_sector, images.backup)


def test_an_nb0_with_rows(tmp_path: Path) -> None:
    package, told = opened(save(tmp_path / "a.nb0", container(FLAT)))
    assert (told.kind, told.version) == ("Nokia package (FIH)", BUILD[:-1])
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert held(bench, 64, 10) == BOOT.ljust(5120, b"\0")
        assert held(bench, 128, 10) == SYSTEM.ljust(5120, b"\0")


def test_an_nb0_by_names(tmp_path: Path) -> None:
    with phones.plug("msm8953") as bench:
        with_table(bench)
        install(bench, opened(save(tmp_path / "a.nb0", container(NAMED)))[0])
        assert held(bench, 40, 10) == BOOT.ljust(5120, b"\0")
        assert held(bench, 168, 10) == SYSTEM.ljust(5120, b"\0")


def test_a_folder_with_the_build_in_front_of_names(tmp_path: Path) -> None:
    for name, data in FLAT.items():
        save(tmp_path / name, data)
    assert opened(tmp_path)[0].sector_bytes == 512


def test_an_nb0_of_something_else(tmp_path: Path) -> None:
    data = container({"readme.txt": b"hello", "../out.img": b"no", "notes.doc": b"x"})
    with pytest.raises(PackageError, match=r"says where its images go: notes\.doc, readme\.txt"):
        opened(save(tmp_path / "a.nb0", data))


def test_an_nb0_that_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"cut off: A1N-414B\.mlf should end"):
        opened(save(tmp_path / "a.nb0", container(FLAT)[:-1]))


def test_tables_that_lie() -> None:
    for data in (b"", b"\0\0\0\0", struct.pack("<I", 5000), struct.pack("<I", 10)):
        assert not nb0.is_nb0(data, len(data))
        with pytest.raises(DocumentError, match="no table"):
            nb0.members(BytesContent(data))


@given(st.binary(min_size=4, max_size=300))
def test_whatever_a_table_says_it_stays_inside(data: bytes) -> None:
    data = bytes([data[0] % 5, 0, 0, 0]) + data[4:]
    nb0.is_nb0(data, len(data))
    try:
        found = nb0.members(BytesContent(data))
    except DocumentError:
        return
    for each in found:
        assert len(read_all(BytesContent(data), each.offset, each.size_bytes)) == each.size_bytes


# -- ASUS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [b"ASUS MAGIC!\n", b"ASUS WW_SKU\0"])
def test_asus_images_lose_their_block(mark: bytes, tmp_path: Path) -> None:
    image = sparse((1, noise(4096)), (1, b""), (1, noise(4096, 2)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("boot.img", BOOT)
        archive.writestr("system.img", mark.ljust(4096, b"\0") + image)
    package, told = opened(tmp_path / "a.zip")
    assert (told.kind, told.facts) == ("ASUS package", (("signed images", "system.img"),))
    with phones.plug("msm8953") as bench:
        with_table(bench)
        install(bench, package)
        assert held(bench, 168, 24) == noise(4096) + bytes(4096) + noise(4096, 2)


def test_asus_with_rows(tmp_path: Path) -> None:
    save(tmp_path / "rawprogram0.xml", rawprogram({"boot": "boot.img"}))
    save(tmp_path / "boot.img", b"ASUS MAGIC!\n".ljust(4096, b"\0") + BOOT)
    with phones.plug("msm8953") as bench:
        install(bench, opened(tmp_path)[0])
        assert held(bench, 64, 10) == BOOT.ljust(5120, b"\0")
