# SPDX-License-Identifier: BSD-3-Clause
"""The whole way: tables made, signed, compared, sent; and everything that goes wrong on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edl.formats.digesttable import SIGNED_NAME, chained_name
from edl.virtual.phone import Phone
from loaders.signing import OTHER
from tests import packs
from tests.cli.conftest import Edl, Result, edl
from tests.vip import phones

__all__ = ["edl"]


class Bench:
    """A phone in a folder, a package, and tables for it."""

    def __init__(
        self, edl: Edl, folder: Path, kind: str, *more: str, patches: int = 3, payload: int = 0
    ) -> None:
        self.edl = edl
        self.kind = kind
        self.folder = folder
        self.package = phones.package(folder / "pkg", patches)
        self.tables = folder / "tables"
        self.phone = folder / "phone"
        with Phone.create(f"{kind},lock=vip,size=8MiB", self.phone) as phone:
            phone.save()
        self.made = edl(
            "digests", self.package, "-o", self.tables, "--max-payload",
            payload or phones.PAYLOADS[kind],
            *more,
        )  # fmt: skip
        if self.made.status == 0:
            phones.sign(self.tables, phones.RECIPES[kind])

    def write(self, *more: str) -> Result:
        line = ("--virtual", self.phone, "rawprogram", self.package, "--vip", self.tables)
        return self.edl(*line, *more)

    def sectors(self, start: int, count: int) -> bytes:
        with Phone.named(str(self.phone)) as phone:
            return phone.storage.read(0, start, count)

    @property
    def blank(self) -> bool:
        return not any(self.sectors(0, 8192))


@pytest.mark.parametrize("kind", phones.RECIPES)
def test_what_is_signed_is_written(edl: Edl, tmp_path: Path, kind: str) -> None:
    bench = Bench(edl, tmp_path, kind)
    assert bench.made.status == 0, bench.made.err
    done = bench.write("--yes", "--json")
    assert done.status == 0, done.err
    image = (bench.package / "boot.img").read_bytes()
    held = bench.sectors(4096, 2050)
    assert held.startswith(image)
    assert not any(held[len(image) :])
    assert bench.sectors(64, 1) == (bench.package / "xbl.bin").read_bytes()[:512]
    assert bench.sectors(65, 1)[8:12] == (8 * 2048 - 1).to_bytes(4, "little")
    assert not any(bench.sectors(256, 8))  # unique, and so left alone
    said = done.last
    assert said["kept"] == ["modemst1"]
    made = json.loads((bench.tables / "edl-vip.json").read_text())
    assert said["transfers"] == made["transfers"]
    assert said["tables"] == 1 + len(list(bench.tables.glob("Chained*")))


def test_several_chained_tables(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290", patches=300)
    assert (bench.tables / chained_name(1)).exists()
    assert bench.write("--yes").status == 0
    assert bench.sectors(65, 1)[8:12] != bytes(4)


@pytest.mark.parametrize("kind", ["msm8916", "qcm2290"])
def test_digests_of_what_the_phone_holds(edl: Edl, tmp_path: Path, kind: str) -> None:
    bench = Bench(edl, tmp_path, kind, "--verify")
    done = bench.write("--yes", "--json")
    assert done.last["verified"] == ["boot", "xbl"]


def test_partitions_that_exist_once_must_be_named_twice(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "sdm660", "--overwrite", "modemst1")
    refused = bench.write("--yes")
    assert refused.status == 2
    assert "--overwrite modemst1" in refused.err
    asked = bench.write("--overwrite", "modemst1")
    assert asked.status == 2
    assert "overwrites what exists only once on this phone: modemst1" in asked.err
    assert bench.blank
    edl("virtual", "edl", bench.phone)
    assert bench.write("--overwrite", "modemst1", "--yes").status == 0
    assert any(bench.sectors(256, 8))


def test_what_exists_once_is_read_first(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "home"))
    more = ("--save", "--overwrite", "modemst1")
    bench = Bench(edl, tmp_path, "qcm2290", *more)
    with Phone.named(str(bench.phone)) as phone:
        phone.storage.write(0, 256, b"mine" * 1024)
        phone.save()
    done = bench.write("--overwrite", "modemst1", "--yes", "--json")
    [path] = done.last["files"]
    assert Path(path).name == "lun0_modemst1.bin"
    assert Path(path).read_bytes() == b"mine" * 1024
    assert bench.sectors(256, 8) == (bench.package / "modem.bin").read_bytes()


def test_everything_that_differs_is_shown_before_the_phone_is_looked_for(
    edl: Edl, tmp_path: Path
) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    image = bench.package / "boot.img"
    data = bytearray(image.read_bytes())
    for at in (100_000, 200_000, len(data) - 1):
        data[at] ^= 1
    image.write_bytes(data)
    text = (bench.package / "patch0.xml").read_text()
    (bench.package / "patch0.xml").write_text(text.replace("SECTORS-2.", "SECTORS-5."))
    told = edl("rawprogram", bench.package, "--vip", bench.tables, "--json")
    assert told.status == 7
    found = [line for line in told.lines if line["type"] == "finding"]
    assert [(line["code"], line["where"]) for line in found] == [
        ("digest-differs", "rawprogram0.xml:3"),
        ("digest-differs", "patch0.xml:4"),
    ]
    assert "3 transfers, between bytes 98304 and" in found[0]["message"]
    assert told.last["code"] == "digest-mismatch"


def test_a_dry_run_needs_no_phone(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    told = edl("rawprogram", bench.package, "--vip-table-path", bench.tables, "--dry-run")
    assert told.status == 0, told.err
    assert "all as signed" in told.out


def test_tables_for_other_settings_are_recognised(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    (bench.tables / "edl-vip.json").unlink()  # as if qdl had made them
    told = edl("rawprogram", bench.package, "--vip", bench.tables, "--dry-run")
    assert told.status == 7
    assert "were made with --memory emmc --max-payload 16384" in told.err
    right = ("--max-payload", "16384")
    assert edl("rawprogram", bench.package, "--vip", bench.tables, "-n", *right).status == 0
    other = ("--memory", "ufs")
    told = edl("rawprogram", bench.package, "--vip", bench.tables, "-n", *right, *other)
    assert "were made with --memory emmc" in told.err


def test_fewer_rows_are_another_job(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    told = bench.write("--skip", "xbl")
    assert told.status == 2
    assert "--skip: the digest tables were made otherwise" in told.err
    (bench.tables / "edl-vip.json").unlink()
    told = bench.write("--skip", "xbl", "--max-payload", "16384", "--dry-run")
    assert told.status == 7
    assert "transfers, the tables are for" in told.err


@pytest.mark.parametrize(
    "more", [("--resume",), ("--holes", "zero"), ("--verify", "readback"), ("--all",)]
)
def test_what_cannot_be_under_vip(edl: Edl, tmp_path: Path, more: tuple[str, ...]) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    told = bench.write(*more)
    assert told.status == 2
    assert "not under VIP" in told.err


@pytest.mark.parametrize("kind", phones.RECIPES)
def test_another_makers_signature_is_refused(edl: Edl, tmp_path: Path, kind: str) -> None:
    bench = Bench(edl, tmp_path, kind)
    recipe = phones.RECIPES[kind]
    phones.sign(bench.tables, replace(recipe, vendor=OTHER, digest="sha256"))
    told = bench.write("--yes", "--json")
    assert told.status == 6
    assert told.last["code"] == "vip-refused"
    assert bench.blank


def test_tables_that_do_not_hang_together(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    chained = bench.tables / chained_name(0)
    data = bytearray(chained.read_bytes())
    data[0] ^= 1
    chained.write_bytes(data)
    told = bench.write("--yes")
    assert told.status == 7
    assert "is not the table whose digest ends" in told.err
    chained.unlink()
    assert "is missing" in bench.write("--yes").err
    (bench.tables / SIGNED_NAME).write_bytes(bytes(100))
    assert "is no signed table" in bench.write("--yes").err
    (bench.tables / SIGNED_NAME).unlink()
    assert "holds no DigestsToSign.bin.mbn" in bench.write("--yes").err


def test_the_phone_wants_smaller_transfers(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290", payload=1 << 20)
    told = bench.write("--yes")
    assert told.status == 6
    assert "--max-payload 16384" in told.err
    assert bench.blank


def test_a_running_programmer_is_no_beginning(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    assert edl("--virtual", bench.phone, "info").status == 6  # leaves its programmer running
    told = bench.write("--yes", "--wait", "0")
    assert told.status == 5
    assert "needs one that has just started" in told.err


@pytest.mark.parametrize("kind", ["msm8953", "sdm660", "qcm2290"])
def test_a_programmer_without_vip_takes_no_table(edl: Edl, tmp_path: Path, kind: str) -> None:
    bench = Bench(edl, tmp_path, kind)
    with Phone.create(f"{kind},size=8MiB", tmp_path / "plain") as phone:
        phone.save()
    bench.phone = tmp_path / "plain"
    told = bench.write("--yes")
    assert told.status in {4, 6}
    assert "does not say that it wants signed tables" in told.err
    assert bench.blank


def test_tables_are_not_replaced(edl: Edl, tmp_path: Path) -> None:
    bench = Bench(edl, tmp_path, "qcm2290")
    told = edl("digests", bench.package, "-o", bench.tables)
    assert told.status == 7
    assert "holds digest tables already" in told.err


def test_a_job_with_too_many_transfers(edl: Edl, tmp_path: Path) -> None:
    folder = phones.package(tmp_path / "pkg")
    packs.put(folder, {"boot.img": bytes(5 << 20)})
    text = (folder / "rawprogram0.xml").read_text().replace('sectors="4096"', 'sectors="20000"')
    (folder / "rawprogram0.xml").write_text(text)
    told = edl("digests", folder, "-o", tmp_path / "tables", "--max-payload", "512")
    assert told.status == 7
    assert "digest tables hold 8213" in told.err
    assert not (tmp_path / "tables").exists()


def test_lines_of_qdl(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = phones.package(tmp_path / "pkg")
    monkeypatch.chdir(folder)
    (folder / "prog.elf").write_bytes(packs.LOADER)
    xml = ("rawprogram0.xml", "patch0.xml")
    made = edl("--dry-run", "--create-digests=vip", "prog.elf", *xml)
    assert made.status == 0, made.err
    phones.sign(folder / "vip", phones.RECIPES["qcm2290"])
    told = edl("--dry-run", "--vip-table-path=vip", "prog.elf", *xml)
    assert told.status == 0, told.err


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"v": 2}, 7, "was not made by this version"),
        ({"memory": 5}, 7, "names no storage type"),
        ({"options": []}, 7, "has no options"),
        ({"options": {"wipe": "yes"}}, 7, "'wipe' cannot be 'yes'"),
        ({"options": {"only": ["boot"]}}, 7, "the tables are for"),
        ({"memory": "ufs"}, 7, "made with --memory emmc"),
        ({"overwrite": ["modemst1"]}, 2, "--overwrite modemst1"),
    ],
)
def test_manifests_are_not_trusted(
    edl: Edl, tmp_path: Path, changes: dict[str, object], status: int, told: str
) -> None:
    bench = Bench(edl, tmp_path, "msm8953")
    path = bench.tables / "edl-vip.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    result = bench.write("--dry-run")
    assert result.status == status
    assert told in result.err
    path.write_text("{")
    assert "is no JSON document" in bench.write("--dry-run").err


def test_packages_that_cannot_be_signed(edl: Edl, tmp_path: Path) -> None:
    folder = phones.package(tmp_path / "pkg")
    text = (folder / "rawprogram0.xml").read_text().replace("boot.img", "b&amp;w.img")
    (folder / "rawprogram0.xml").write_text(text)
    (folder / "boot.img").rename(folder / "b&w.img")
    told = edl("digests", folder, "-o", tmp_path / "tables")
    assert told.status == 7
    assert "characters that programmers do not understand" in told.err
    told = edl("digests", folder, "-o", folder / "rawprogram0.xml" / "x", "--only", "xbl")
    assert told.status == 7
    assert "cannot be used" in told.err
    text = text.replace('label="xbl"', 'label="xbl" PAGES_PER_BLOCK="64"')
    (folder / "rawprogram0.xml").write_text(text)
    told = edl("digests", folder, "-o", tmp_path / "nand", "--only", "xbl")
    assert told.status == 7
    assert "is for NAND flash" in told.err
