# SPDX-License-Identifier: BSD-3-Clause
"""Packages on the command line, from the archive to what is on a virtual phone's storage."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from edl.virtual.sample import make_sample
from tests.cli.conftest import LOADER, Edl, edl  # noqa: F401
from tests.packages.making import noise, rawprogram, sparse
from tests.packages.test_door import zipped


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sample package as folder, zip and tgz."""
    folder = tmp_path_factory.mktemp("packed")
    make_sample(folder / "rom", LOADER)
    subprocess.run(["zip", "-qr1", folder / "rom.zip", "rom"], cwd=folder, check=True)
    subprocess.run(["tar", "czf", "rom.tgz", "rom"], cwd=folder, check=True)
    return folder


def test_check_says_what_a_package_is(packed: Path, edl: Edl) -> None:  # noqa: F811
    result = edl("check", packed / "rom.zip")
    assert result.status == 0
    assert result.out.splitlines()[:3] == [
        f"Package: {packed / 'rom.zip'}", "  package  flat build (rawprogram)", "  storage  eMMC",
    ]  # fmt: skip
    assert "Loader: prog_firehose_ddr.elf\n" in result.out
    last = edl("check", packed / "rom.tgz", "--json").last
    assert last["package"] == {
        "kind": "flat build (rawprogram)", "devices": [], "version": "",
        "facts": [{"name": "storage", "value": "eMMC"}],
    }  # fmt: skip
    assert last["steps"] == 31


def test_an_archive_is_looked_through_once(packed: Path, edl: Edl) -> None:  # noqa: F811
    first, second = (edl("check", packed / "rom.tgz") for _ in range(2))
    assert "reading all of it once, to test it and to find its files" in first.err
    assert "  index " not in second.err
    assert "unpack" not in first.err + second.err


def test_a_zip_file_brings_the_phone_back(packed: Path, edl: Edl) -> None:  # noqa: F811
    result = edl("rehearse", packed / "rom.zip", "--json")
    assert result.status == 0
    assert result.last["virtual_boot"]["boots"]


def test_a_package_in_an_archive_is_gone_on_with(
    packed: Path, edl: Edl, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290").status == 0
    assert edl("--virtual", phone, "rawprogram", packed / "rom.tgz", "--no-reset").status == 0
    again = edl(
        "--virtual", phone, "rawprogram", packed / "rom.tgz", "--unchanged", "skip", "--json"
    ).last
    assert (again["written_bytes"], again["unchanged_bytes"] > 0) == (0, True)


def test_damage_in_a_zip_stops_before_the_first_write(
    tmp_path: Path, edl: Edl  # noqa: F811
) -> None:  # fmt: skip
    files = {"rawprogram0.xml": rawprogram({"boot": "boot.img"}), "boot.img": noise(30_000)}
    data = bytearray(zipped(files, zipfile.ZIP_STORED))
    data[data.index(files["boot.img"][:16]) + 20_000] ^= 1
    (tmp_path / "rom.zip").write_bytes(data)
    checked = edl("check", tmp_path / "rom.zip")
    assert checked.status == 7
    assert "boot.img is damaged: its checksum (CRC-32) is wrong." in checked.err
    written = edl("--virtual", "qcm2290", "rawprogram", tmp_path / "rom.zip")
    assert (written.status, "is damaged" in written.err) == (7, True)
    assert "[1/1]" not in written.err


@pytest.mark.parametrize(("program", "suffix"), [("gzip", "gz"), ("xz", "xz"), ("bzip2", "bz2")])
def test_a_compressed_image_is_written(
    program: str, suffix: str, tmp_path: Path, edl: Edl  # noqa: F811
) -> None:  # fmt: skip
    image = sparse((1, noise(4096)), (1, b""), (1, noise(4096, 2)))
    (tmp_path / "boot.img").write_bytes(image)
    subprocess.run([program, tmp_path / "boot.img"], check=True)
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290").status == 0
    file = tmp_path / f"boot.img.{suffix}"
    result = edl("--virtual", phone, "write", "0/4096+64", file, "--yes", "--json")
    assert result.last["written_bytes"] == 8192
    assert edl("--virtual", phone, "read", "0/4096+24", tmp_path / "out", "--json").status == 0
    assert (tmp_path / "out").read_bytes() == noise(4096) + bytes(4096) + noise(4096, 2)


def test_an_archive_is_no_image(packed: Path, edl: Edl, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "rom.tar.gz").write_bytes((packed / "rom.tgz").read_bytes())
    result = edl("--virtual", "qcm2290", "write", "0/64+64", tmp_path / "rom.tar.gz", "--yes")
    assert (result.status, "is an archive of files" in result.err) == (7, True)


def test_choices_have_a_value(packed: Path, edl: Edl) -> None:  # noqa: F811
    assert edl("check", packed / "rom.zip", "--choose", "set").status == 2
    result = edl("check", packed / "rom.zip", "--choose", "set=nowhere")
    assert (result.status, "has no set 'nowhere'" in result.err) == (7, True)


def test_a_plan_with_errors_still_says_what_the_package_is(
    tmp_path: Path, edl: Edl  # noqa: F811
) -> None:  # fmt: skip
    (tmp_path / "rom.zip").write_bytes(
        zipped({"rawprogram0.xml": rawprogram({"boot": "gone.img"})})
    )
    result = edl("check", tmp_path / "rom.zip")
    assert result.status == 7
    assert "  package  flat build (rawprogram), storage: eMMC\n" in result.err


def test_a_rehearsal_has_as_many_luns_as_the_package(
    tmp_path: Path, edl: Edl  # noqa: F811
) -> None:  # fmt: skip
    rows = rawprogram({"rpmb": "a.img"}, 4096).replace(b'number="0"', b'number="6"')
    (tmp_path / "rawprogram6.xml").write_bytes(rows)
    (tmp_path / "a.img").write_bytes(noise(5000))
    result = edl("rehearse", tmp_path)
    assert (result.status, "7 LUNs" in result.err) == (0, True)
