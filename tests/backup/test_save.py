# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from edl.backup.extents import Choice
from edl.backup.folder import open_backup
from edl.backup.save import Request, prepare
from edl.errors import DeviceRefusedError, UsageError
from edl.events import BytesMoved, StepStarted
from edl.formats.manifest import Compression, Form, Kind, State, Verified
from edl.package import open_package
from edl.plan.compare import Verify
from edl.virtual.programmer.board import Quirks
from tests import phones
from tests.backup.bench import BLOCK, fill, held, names, small, take, whole
from tests.phones import plug


@pytest.mark.parametrize(
    ("profile", "form", "compression"),
    [
        *((profile, Form.IMAGES, Compression.NONE) for profile in phones.ALL),
        ("msm8916", Form.PARTITIONS, Compression.NONE),
        ("qcm2290-ufs", Form.PARTITIONS, Compression.ZSTD),
        ("sdm660", Form.IMAGES, Compression.ZSTD),
    ],
)
def test_everything_is_saved(
    profile: str, form: Form, compression: Compression, tmp_path: Path
) -> None:
    with plug(small(profile)) as bench:
        fill(bench)
        storage = bench.storage()
        report = take(storage, tmp_path / "b", form=form, compression=compression)
        backup = open_backup(tmp_path / "b")
        assert backup.manifest == report.manifest
        assert held(backup) == {lun: whole(bench, lun) for lun in bench.flash.luns}
        assert backup.verify() == ()
        assert report.lost == []
        assert backup.manifest.complete
        assert backup.manifest.verified is Verified.DIGEST
        assert not any(name.endswith(".partial") for name in names(tmp_path / "b"))
        assert report.size_bytes == sum(len(whole(bench, lun)) for lun in bench.flash.luns)
        assert bench.changes == []


@pytest.mark.parametrize("profile", ["msm8953", "qcm2290-ufs"])
def test_images_are_the_storage_byte_by_byte(profile: str, tmp_path: Path) -> None:
    with plug(small(profile)) as bench:
        fill(bench)
        take(bench.storage(), tmp_path / "b")
        (tmp_path / "z").mkdir()
        bench.hang_up()
        take(bench.storage(), tmp_path / "z", compression=Compression.ZSTD)
        for lun in bench.flash.luns:
            (path,) = (tmp_path / "b").glob(f"lun{lun}*.img")
            assert path.read_bytes() == whole(bench, lun)
            if lun:
                continue
            assert path.stat().st_blocks * 512 < 3_000_000  # of 4 MiB: 1.3 MB of 0xFF, some noise
            if shutil.which("sgdisk") and profile != "qcm2290-ufs":  # it takes sectors for 512
                command = ["sgdisk", "-v", str(path)]
                shown = subprocess.run(command, check=True, capture_output=True, text=True)
                assert "No problems found" in shown.stdout
            if shutil.which("zstd"):
                subprocess.run(
                    ["zstd", "-t", "-q", tmp_path / "z" / f"{path.name}.zst"], check=True
                )


def test_names_of_files(tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "i")
        assert names(tmp_path / "i") == [
            "lun0.img", "lun1-boot0.img", "lun2.img", "manifest.json", "patch0.xml", "patch2.xml",
            "rawprogram0.xml", "rawprogram2.xml",
        ]  # fmt: skip
        take(storage, tmp_path / "p", form=Form.PARTITIONS, compression=Compression.ZSTD)
        assert names(tmp_path / "p") == [
            "gpt_backup0.bin.zst", "gpt_backup2.bin.zst", "gpt_main0.bin.zst",
            "gpt_main2.bin.zst", "lun0-gap-1024.img.zst", "lun0-gap-34.img.zst",
            "lun0-gap-7680.img.zst", "lun1-boot0.img.zst", "lun2-gap-1024.img.zst",
            "lun2-gap-34.img.zst", "lun2-gap-7680.img.zst", "lun2-modemst1-768.img.zst",
            "lun2-ones-5120.img.zst", "lun2-userdata-1280.img.zst", "lun2-xbl_a-256.img.zst",
            "manifest.json", "modemst1.img.zst", "ones.img.zst", "userdata.img.zst",
            "xbl_a.img.zst",
        ]  # fmt: skip


def test_blank_areas_are_not_transferred(tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        fill(bench)
        moved: list[object] = []
        report = take(bench.storage(), tmp_path / "b", emit=moved.append)
        # two LUNs with 0.5 MiB of noise in blocks of 256 KiB, and the tables
        assert report.moved_bytes < 8 * BLOCK + 200_000
        assert report.blank_bytes == report.size_bytes - report.moved_bytes
        assert sum(e.done_bytes for e in moved if isinstance(e, BytesMoved)) == report.size_bytes
        titles = [event.title for event in moved if isinstance(event, StepStarted)]
        assert titles[:3] == ["gpt-primary", "gpt-backup", "modemst1"]  # before all the rest


@pytest.mark.parametrize("profile", phones.ALL)
def test_without_digests_all_is_read_twice(profile: str, tmp_path: Path) -> None:
    quirks = Quirks(missing=frozenset({"getsha256digest"}))
    with plug(small(profile, quirks=quirks)) as bench:
        fill(bench)
        storage = bench.storage()
        report = take(storage, tmp_path / "b", choice=Choice(luns=(0,)))
        assert report.manifest.verified is Verified.READ_TWICE
        assert report.moved_bytes == 2 * report.size_bytes
        backup = open_backup(tmp_path / "b")
        assert held(backup) == {0: whole(bench, 0)}


def test_declining_to_verify(tmp_path: Path) -> None:
    with plug(small("msm8916")) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b", verify=Verify.NONE, choice=Choice(luns=(0,)))
        assert report.manifest.verified is Verified.NOT
        assert report.moved_bytes == report.size_bytes
        assert held(open_backup(tmp_path / "b")) == {0: whole(bench, 0)}
        assert "getsha256digest" not in bench.transports[0].commands


@pytest.mark.parametrize("compression", Compression)
def test_only_and_skip(compression: Compression, tmp_path: Path) -> None:
    with plug(small("qcm2290-ufs")) as bench:
        fill(bench)
        storage = bench.storage()
        choice = Choice(only=("*", "0/gap"), skip=("userdata", "2/o*"), luns=(0, 2))
        take(storage, tmp_path / "b", choice=choice, compression=compression)
        backup = open_backup(tmp_path / "b")
        unit = 64 * 1024
        expected = {lun: bytearray(whole(bench, lun)) for lun in (0, 2)}
        for data in expected.values():
            data[10 * unit : 40 * unit] = bytes(30 * unit)
        expected[2][40 * unit : 60 * unit] = bytes(20 * unit)
        assert held(backup) == expected
        skipped = [
            (lun.lun, each.name)
            for lun in backup.manifest.luns
            for each in lun.extents
            if each.state is State.SKIPPED
        ]
        assert skipped == [(0, "userdata"), (2, "userdata"), (2, "ones")]
        take(storage, tmp_path / "m", choice=Choice(only=("modemst1",)), form=Form.PARTITIONS)
        assert [path for path in names(tmp_path / "m") if path[-4:] in {".img", ".bin"}] == [
            "gpt_backup0.bin", "gpt_backup2.bin", "gpt_main0.bin", "gpt_main2.bin",
            "lun2-modemst1-96.img", "modemst1.img",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(only=("bot",)), "called 'bot'"),
        (Choice(skip=("usrdata*",)), "called 'usrdata"),
        (Choice(luns=(9,)), "no LUN 9"),
    ],
)
def test_what_the_phone_does_not_have(choice: Choice, words: str, tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        fill(bench)
        with pytest.raises(UsageError, match=words):
            take(bench.storage(), tmp_path / "b", choice=choice)
        assert not (tmp_path / "b").exists()


def test_nothing_to_save(tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        fill(bench)
        storage = bench.storage()
        with pytest.raises(DeviceRefusedError, match="nothing to save: all is skipped") as caught:
            prepare(storage, Request(tmp_path, Choice(skip=("*",))))
        assert "--skip" in caught.value.remedies[0]


def test_whose_it_is(tmp_path: Path) -> None:
    with plug(small("msm8953,serial=0xbadcafe")) as bench:
        fill(bench)
        take(bench.storage(), tmp_path / "b")
        manifest = open_backup(tmp_path / "b").manifest
        assert manifest.phone.serial == "0badcafe"
        assert manifest.phone.hwid == 0x000460E100000000
        assert manifest.phone.pk_hash == bench.virtual.profile.rom.fuses.pk_hash
        assert manifest.storage.type == "emmc"
        assert manifest.storage.product == "EMUMMC"
        assert manifest.storage.manufacturer_id == 0x15
        (first, *_) = manifest.luns
        assert first.disk_guid == UUID(int=7)  # tests.virtual.disks
        modemst1 = first.find("modemst1")
        assert modemst1 is not None
        assert (modemst1.severity, modemst1.category) == ("must-never-clone", "radio-nv")


def test_a_phone_without_a_table_is_saved_as_well(tmp_path: Path) -> None:
    with plug(small("msm8916")) as bench:
        bench.flash.luns[0].write(5000, b"x" * 512)
        take(bench.storage(), tmp_path / "b")
        backup = open_backup(tmp_path / "b")
        assert held(backup) == {lun: whole(bench, lun) for lun in bench.flash.luns}
        assert [(e.kind, e.name) for lun in backup.manifest.luns for e in lun.extents] == [
            (Kind.GAP, "lun0"), (Kind.GAP, "boot0"), (Kind.GAP, "boot1"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "form"), [("msm8953", Form.PARTITIONS), ("qcm2290-ufs", Form.IMAGES)]
)
def test_its_xml_brings_another_phone_to_the_same_state(
    profile: str, form: Form, tmp_path: Path
) -> None:
    with plug(small(profile)) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b", form=form)
        there = {lun: whole(bench, lun) for lun in bench.flash.luns}
    package = open_package([str(tmp_path / "b")])
    assert len(report.documents) == len(package.documents)
    with plug(small(profile)) as other:
        phones.write_package(other, tmp_path / "b")
        assert {lun: whole(other, lun) for lun in other.flash.luns} == there
