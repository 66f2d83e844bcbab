# SPDX-License-Identifier: BSD-3-Clause
"""The library's front door, where the examples of docs/library.md do not go."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import edl
from edl import api
from edl.errors import ImageError, InterruptedUploadError, NoDeviceError, SafetyError, UsageError
from edl.files import on_disk
from edl.identity import PhoneIdentity
from edl.imageset import ProgrammerSet
from edl.package import Package
from edl.virtual import storage as flash
from edl.virtual.phone import Phone as VirtualPhone
from edl.virtual.sample import make_sample
from tests import phones
from tests.conftest import REPO

LOADER = REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf"


@pytest.fixture
def bus() -> Iterator[VirtualPhone]:
    with edl.virtual_phone("qcm2290") as phone:
        yield phone


@pytest.fixture
def phone(bus: VirtualPhone) -> Iterator[edl.Phone]:
    bus.storage.write(0, 0, bytes(range(256)) * 64)
    [found] = edl.find(bus)
    with edl.connect(found, loader=LOADER) as connected:
        yield connected


def test_importing_costs_nothing() -> None:
    line = "import edl, sys; print(sorted(n for n in sys.modules if n.startswith(('edl', 'usb'))))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['edl']"


def test_every_name_is_there_and_listed() -> None:
    assert edl.__all__ == api.__all__
    assert set(edl.__all__) <= set(dir(edl))
    assert all(getattr(edl, name) is getattr(api, name) for name in edl.__all__)
    with pytest.raises(AttributeError, match="'edl' has no attribute 'flash_it'"):
        edl.flash_it  # noqa: B018


def test_every_name_is_documented() -> None:
    own = [getattr(edl, name) for name in edl.__all__ if name != "Event"]
    assert [each for each in own if not each.__doc__] == []


def test_a_running_programmer_tells_nobody(bus: VirtualPhone) -> None:
    [found] = edl.find(bus)
    assert edl.identify(found).serial == 0x1A2B3C4D
    with edl.connect(found, loader=LOADER):
        pass
    assert edl.identify(found) == PhoneIdentity()


def test_loaders_of_all_kinds(bus: VirtualPhone, tmp_path: Path) -> None:
    data = LOADER.read_bytes()
    for loader in (LOADER, LOADER.parent, {13: data}, lambda _: {13: data}):
        [found] = edl.find(bus)
        with edl.connect(found, loader=loader) as connected:
            assert connected.memory == "emmc"
        bus.enter_edl()
    [found] = edl.find(bus)
    with pytest.raises(UsageError, match="No programmer"):
        edl.connect(found)
    (tmp_path / "no.elf").write_bytes(b"no programmer at all" * 100)
    with pytest.raises(ImageError):
        edl.connect(found, loader=str(tmp_path / "no.elf"))


def test_a_programmer_of_a_package_that_is_made_of_images(bus: VirtualPhone) -> None:
    package = Package("test", (), (), {})
    [found] = edl.find(bus)
    file = on_disk(LOADER)
    made = replace(package, programmers=(ProgrammerSet("the one", {13: file}),))
    with edl.connect(found, package=made, memory="emmc") as connected:
        assert connected.identity.serial == 0x1A2B3C4D


def test_a_phone_that_comes_back_on_the_bus_is_found_again() -> None:
    with edl.virtual_phone("qcm2290,usb3=yes") as bus:
        [found] = edl.find(bus)
        with edl.connect(found, loader=LOADER) as connected:
            assert connected.luns()[0] == 2**34 // 512


def test_a_phone_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_COME_BACK_S", 0.0)
    with edl.virtual_phone("qcm2290") as bus:
        [found] = edl.find(bus)
        with pytest.raises(NoDeviceError, match="did not come back"):
            api._again(found)
        bus.unplug()
        with pytest.raises(NoDeviceError, match="did not come back"):
            api._again(found)


def test_an_upload_that_was_interrupted_is_told() -> None:
    with edl.virtual_phone("sdm660,state=mid-image") as bus:
        [found] = edl.find(bus)
        with pytest.raises(InterruptedUploadError, match="INVALID_DATA_SIZE"):
            edl.identify(found)


def test_unfinished_jobs_are_told(phone: edl.Phone, tmp_path: Path) -> None:
    make_sample(tmp_path / "package", LOADER)
    job = phone.plan(edl.open_package(tmp_path / "package"), only=["xbl_a", "xbl_b"], reset=None)
    cancel = threading.Event()

    def stop(event: edl.Event) -> None:
        if isinstance(event, edl.StepStarted) and event.index == 2:
            cancel.set()

    assert not phone.interrupted
    with pytest.raises(edl.StoppedMidwayError):
        phone.run(job, on_event=stop, cancel=cancel)
    assert phone.interrupted == (job.plan.title,)


def test_a_stream_gives_what_the_flash_holds(phone: edl.Phone) -> None:
    with phone.open("0/0+32") as stream:
        assert stream.name == "LUN 0 sector 0"
        assert hashlib.file_digest(stream, "sha256").digest() == (
            hashlib.sha256(bytes(range(256)) * 64).digest()
        )
        assert stream.seek(-3, 2) == 32 * 512 - 3
        assert stream.read() == b"\xfd\xfe\xff"
        assert stream.read() == b""
        stream.seek(510)
        assert stream.read(4) == b"\xfe\xff\0\1"
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
    assert phone.luns()[0] == 2**34 // 512
    with pytest.raises(UsageError, match="several"):
        phone.open("0/0+1,0/1+1")


def test_defective_sectors_are_never_given() -> None:
    broken = flash.Faults(unreadable=(flash.Extent(0, 7, 1),))
    with phones.plug(phones.spec("qcm2290", broken=broken)) as bench:
        [found] = edl.find(bench.virtual)
        with edl.connect(found, loader=LOADER) as phone, phone.open("0/0+16") as stream:
            with pytest.raises(edl.EdlError, match="read"):
                stream.read(16 * 512)
            assert stream.seek(8 * 512)


def test_what_speaks_against_a_job_stops_it(phone: edl.Phone, tmp_path: Path) -> None:
    make_sample(tmp_path / "package", LOADER)
    package = replace(edl.open_package(tmp_path / "package"), chips=("SM8550",))
    job = phone.plan(package, only=["xbl_a"])
    assert [finding.code for finding in job.errors] == ["other-chip"]
    with pytest.raises(SafetyError, match="SM8550"):
        phone.run(job)
    job = phone.plan(package, only="xbl_a", any_chip=True)
    assert job.errors == ()
    assert [str(finding.severity) for finding in job.findings] == ["warning"]
    with pytest.raises(UsageError, match="not to 'nowhere'"):
        phone.plan(package, reset="nowhere")


def test_resets(phone: edl.Phone, bus: VirtualPhone) -> None:
    with pytest.raises(UsageError, match="not to 'fastboot'"):
        phone.reset("fastboot")
    phone.reset("edl")
    assert str(bus.state) == "boot ROM"
