# SPDX-License-Identifier: BSD-3-Clause
"""The command line rescues a phone through libusb, and says the same as with --virtual."""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.cli.main import run
from edl.home import home
from edl.virtual.phone import Phone
from edl.virtual.saved import State
from tests.umockdev.bus import UsbfsBus
from tests.umockdev.host import SYSTEM_LIBUSB
from tests.umockdev.program import LIMIT_S, Program, Result, Workers, require

LOADERS = {
    "msm8916": "prog_emmc_firehose_8916_test.mbn",
    "msm8953": "prog_emmc_firehose_8953_test.mbn",
    "sdm660": "prog_emmc_ufs_firehose_sdm660_test.elf",
    "qcm2290": "prog_firehose_ddr_qcm2290_test.elf",
    "qcm2290-ufs": "prog_firehose_ddr_qcm2290_test.elf",
}
IMAGE = random.Random(3).randbytes(300 * 1024)
START = 2048


@pytest.fixture
def bus(workers: Workers) -> Iterator[UsbfsBus]:
    require(SYSTEM_LIBUSB)
    bus = UsbfsBus(workers.testbed)
    yield bus
    bus.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(IMAGE)
    return path


def through_libusb(bus: UsbfsBus, workers: Workers, *command: str) -> Result:
    """Run edl where it sees the bus."""
    program = Program(workers.testbed, sys.executable, "-m", "edl", *command)
    return program.finish(bus, LIMIT_S)


def in_process(phone: Path, capsys: pytest.CaptureFixture[str], *command: str) -> Result:
    """Run edl with a phone of its own."""
    capsys.readouterr()
    status = run(["--virtual", str(phone), *command])
    captured = capsys.readouterr()
    return Result(status, captured.out, captured.err)


def timeless(result: Result) -> Result:
    """Return result without what differs each time: times, and the file of a real bus."""
    return result._replace(
        output=re.sub(r"in [\d.]+ s", "in # s", result.output),
        errors=re.sub(r" \(/dev/bus/usb/[\d/]+\)", "", result.errors),
    )


@pytest.mark.parametrize("spec", ["msm8916,driver=qcserial", "qcm2290-ufs,usb3=yes"])
def test_a_phone_is_written_to_and_verified(
    bus: UsbfsBus, workers: Workers, image: Path, spec: str
) -> None:
    phone = Phone.create(f"{spec},size=64MiB", backend=bus)
    loader = f"loaders/{LOADERS[spec.partition(',')[0]]}"
    result = through_libusb(
        bus, workers, "write", f"0/{START}", str(image), "--yes", "--loader", loader
    )
    assert result.status == 0, result.errors
    lun = phone.storage.luns[0]
    assert lun.read(START, len(IMAGE) // lun.sector_bytes) == IMAGE
    assert phone.exits == ["start"]
    assert phone.state is State.PROGRAMMER


def test_a_programmer_comes_back_before_udev_says_so(workers: Workers) -> None:
    require(SYSTEM_LIBUSB)
    bus = UsbfsBus(workers.testbed, udev_delay_s=0.1)
    try:
        Phone.create("qcm2290,usb3=yes,size=64MiB", backend=bus)
        loader = f"loaders/{LOADERS['qcm2290']}"
        result = through_libusb(bus, workers, "info", "--loader", loader)
        assert result.status == 0, result.errors
    finally:
        bus.close()


def forget() -> None:
    """Remove what was noted about the phone: the other one has the same serial number."""
    shutil.rmtree(home(), ignore_errors=True)


def run_both(
    bus: UsbfsBus,
    workers: Workers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spec: str,
    commands: list[list[str]],
) -> list[tuple[Result, Result]]:
    """Run commands with two equal phones: one behind libusb, one in process."""
    Phone.create(spec, backend=bus)
    folder = tmp_path / "phone"
    Phone.create(spec, folder).close()
    results = []
    for command in commands:
        forget()
        ours = through_libusb(bus, workers, *command)
        forget()
        theirs = in_process(folder, capsys, *command)
        results.append((timeless(ours), timeless(theirs)))
    return results


def test_writing_reading_and_resetting_look_the_same(
    bus: UsbfsBus, workers: Workers, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.bin"
    sectors = len(IMAGE) // 512
    commands = [
        ["write", f"0/{START}", str(image), "--yes", "--loader", f"loaders/{LOADERS['sdm660']}"],
        ["read", f"0/{START}+{sectors}", str(copy), "--force"],
        ["reset"],
    ]
    results = run_both(bus, workers, tmp_path, capsys, "sdm660,size=64MiB", commands)
    for ours, theirs in results:
        assert ours == theirs
    assert [ours.status for ours, _ in results] == [0, 0, 0]
    assert copy.read_bytes() == IMAGE


@pytest.mark.parametrize("spec", ["sdm660,fault=unplug@out:150000", "msm8953,fault=denied"])
def test_a_failure_looks_the_same(
    bus: UsbfsBus,
    workers: Workers,
    image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spec: str,
) -> None:
    loader = f"loaders/{LOADERS[spec.partition(',')[0]]}"
    command = ["write", f"0/{START}", str(image), "--yes", "--loader", loader]
    ((ours, theirs),) = run_both(bus, workers, tmp_path, capsys, spec, [command])
    assert ours == theirs
    assert ours.status != 0
