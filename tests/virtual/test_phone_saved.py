# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import usb.core
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edl import locks
from edl.errors import AccessError, DiskError, ImageError, UsageError
from edl.virtual.phone import Phone
from edl.virtual.saved import FILE_NAME, State
from tests.virtual.handmade import HELLO, HELLO_RESP, OUT, Client, find


def test_a_programmer_goes_on_running_without_a_greeting(tmp_path: Path) -> None:
    with Phone.create("qcm2290", tmp_path / "phone") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        client.program(64, b"kept".ljust(512))
    with Phone.open(tmp_path / "phone") as phone:
        assert phone.state is State.PROGRAMMER
        client = Client(phone)
        assert client.read() == b""
        client.configure()
        assert client.read_back(64, 1) == b"kept".ljust(512)


def test_a_fresh_phone_says_hello_in_the_next_process_too(tmp_path: Path) -> None:
    with Phone.create("sdm660", tmp_path) as phone:
        assert find(phone) is not None
    with Phone.open(tmp_path) as phone:
        assert Client(phone).read() == HELLO


def test_a_hello_is_said_once_even_to_two_processes(tmp_path: Path) -> None:
    with Phone.create("sdm660", tmp_path) as phone:
        assert Client(phone).read() == HELLO
    with Phone.open(tmp_path) as phone:
        client = Client(phone)
        assert client.read() == b""
        client.write(HELLO_RESP)
        assert client.read()[:4] == bytes.fromhex("12000000")


def test_what_the_phone_is_doing_is_kept(tmp_path: Path) -> None:
    with Phone.create("sdm660", tmp_path) as phone:
        phone._exit("hang")
    with Phone.open(tmp_path) as phone:
        assert phone.state is State.HUNG
        assert Client(phone).read() == b""
        phone.unplug()
    with Phone.open(tmp_path) as phone:
        assert phone.state is State.UNPLUGGED
        assert find(phone) is None
        phone.enter_edl()
    with Phone.open(tmp_path) as phone:
        assert Client(phone).read() == HELLO


def test_a_programmer_at_superspeed_stays_there(tmp_path: Path) -> None:
    with Phone.create("qcm2290,usb3=yes", tmp_path) as phone:
        Client(phone).start_programmer()
    with Phone.open(tmp_path) as phone:
        assert Client(phone).packet_bytes == 1024


def test_the_chosen_boot_lun_is_kept(tmp_path: Path) -> None:
    with Phone.create("qcm2290-ufs", tmp_path) as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        client.command("setbootablestoragedrive", value=2)
    with Phone.open(tmp_path) as phone:
        assert phone.storage.bootable == 2
        assert len(phone.storage.luns) == 6


def test_faults_strike_once_in_all_processes(tmp_path: Path) -> None:
    spec = "sdm660,fault=unplug@out:100,fault=corrupt@in:50"
    with Phone.create(spec, tmp_path) as phone:
        client = Client(phone)
        assert client.read() == HELLO
        client.write(HELLO_RESP)
    with Phone.open(tmp_path) as phone:
        client = Client(phone)
        client.write(HELLO_RESP)
        assert client.read()[:3] == bytes.fromhex("1200ff")
        with pytest.raises(usb.core.USBError):
            client.device.write(OUT, bytes(64))
        phone.enter_edl()
    with Phone.open(tmp_path) as phone:
        client = Client(phone)
        assert client.read() == HELLO
        assert client.device.write(OUT, bytes(100)) == 100


def test_the_largest_phone_takes_no_room(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    with Phone.create("qcm2290-ufs,size=256GiB", folder):
        pass
    files = list(folder.iterdir())
    assert sum(file.stat().st_size for file in files) > 256 << 30
    assert sum(file.stat().st_blocks * 512 for file in files) < 1 << 20


def test_a_phone_named_on_the_command_line(tmp_path: Path) -> None:
    with Phone.named("sdm660") as phone:
        assert phone.profile.name == "sdm660"
    with Phone.create("msm8916", tmp_path):
        pass
    with Phone.named(str(tmp_path)) as phone:
        assert phone.profile.name == "msm8916"
    with pytest.raises(UsageError):
        Phone.named(str(tmp_path / "nothing"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UsageError, match="not empty"):
        Phone.create("sdm660", tmp_path)
    with pytest.raises(UsageError, match="No phone can be made"):
        Phone.create("sdm660", tmp_path / "photo.jpg" / "phone")


def test_one_program_at_a_time_has_the_phone(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    with Phone.create("sdm660,size=1MiB", folder):
        with pytest.raises(AccessError, match="Another program uses") as caught:
            Phone.open(folder)
        assert "edl virtual serve" in caught.value.remedies[0]
    with Phone.open(folder), pytest.raises(AccessError):
        Phone.open(folder)
    Phone.open(folder).close()


def test_a_process_that_dies_leaves_the_phone_to_others(tmp_path: Path) -> None:
    Phone.create("sdm660,size=1MiB", tmp_path).close()
    script = "import os, sys\nfrom edl.virtual.lock import Lock\nfrom pathlib import Path\n"
    script += "lock = Lock(Path(sys.argv[1]))\nprint('has it', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"has it"
        with pytest.raises(AccessError):
            Phone.open(tmp_path)
        other.kill()
    Phone.open(tmp_path).close()


@pytest.mark.parametrize("name", ["user.img", "phone.lock"])
def test_a_phone_whose_files_cannot_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(GOOD))
    (tmp_path / name).mkdir()
    for _ in range(2):
        with pytest.raises(DiskError, match="cannot be used"):
            Phone.open(tmp_path)
    (tmp_path / name).rmdir()
    Phone.open(tmp_path).close()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / FILE_NAME).write_text(json.dumps(GOOD))
    monkeypatch.setattr(locks, "lock", refuse)
    with pytest.raises(DiskError, match="No locks available"):
        Phone.open(tmp_path)


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    phone = Phone.create("sdm660", tmp_path)
    phone.close()
    phone.close()
    assert find(phone) is None
    assert phone.state is State.BOOT_ROM


GOOD = {
    "format": 1,
    "phone": "sdm660,size=1MiB",
    "state": "off",
    "hello_taken": False,
    "faults": [],
    "counts": {},
    "bootable": None,
}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(GOOD))
    with Phone.open(tmp_path) as phone:
        assert phone.state is State.OFF


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"phone": "nokia"},
        {"phone": 7},
        {"state": "dreaming"},
        {"faults": ["fire"]},
        {"faults": 3},
        {"counts": {"out": -1}},
        {"counts": {"side": 1}},
        {"counts": {"out": True}},
        {"counts": []},
        {"bootable": 1000},
        {"bootable": "1"},
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(GOOD | change))
    with pytest.raises(ImageError):
        Phone.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 60000, b" " * 70000, b"9" * 60000])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ImageError):
        Phone.open(tmp_path)


def test_a_folder_without_a_phone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="There is no virtual phone"):
        Phone.open(tmp_path)
    assert not any(tmp_path.iterdir())


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | st.integers() | st.text()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_an_image_error(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(GOOD | change))
    try:
        Phone.open(tmp_path).close()
    except ImageError:
        assert change
