# SPDX-License-Identifier: BSD-3-Clause
"""`edl nbd` against other people's clients: libnbd's, QEMU's, and through these file system tools.

Debian: nbdkit, nbdkit-plugin-python, libnbd-bin, qemu-utils, e2fsprogs, mtools, dosfstools, gdisk.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from edl.formats import gpt, rescuemap
from edl.formats.gpt import Partition
from edl.formats.rescuemap import Block, Run
from edl.units import KIB
from edl.virtual.phone import Phone
from tests.cli.conftest import Edl, Result, edl  # noqa: F401  # a fixture

SECTORS = 8 * 2048  # 8 MiB
EXT4 = Partition(1, "system", 2048, 2048 + 4096 - 1, UUID(int=1), UUID(int=11))
FAT = Partition(2, "modem", 8192, 8192 + 4096 - 1, UUID(int=2), UUID(int=12))
TEXT = b"The quick brown fox.\n" * 3000
_LONGEST_S = 40.0
DATA = b"".join(number.to_bytes(4, "big") * 128 for number in range(1, SECTORS + 1))


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*line: str | Path, check: bool = True) -> str:
    name, *rest = line
    done = subprocess.run(
        [tool(str(name)), *rest], check=check, capture_output=True, timeout=_LONGEST_S
    )
    return done.stdout.decode()


@pytest.fixture(autouse=True)
def _nbdkit() -> None:
    done = subprocess.run([tool("nbdkit"), "python", "--dump-plugin"], capture_output=True,
                          check=False)  # fmt: skip
    if done.returncode:
        pytest.skip("nbdkit has no Python plugin (nbdkit-plugin-python)")


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image with a table, a file in an ext4 and one in a FAT partition."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "files").mkdir()
    (folder / "files" / "photo.txt").write_bytes(TEXT)
    run("mke2fs", "-q", "-t", "ext4", "-d", folder / "files", folder / "ext4", "2m")
    run("mkfs.fat", "-C", folder / "fat", "2048")
    run("mcopy", "-i", folder / "fat", folder / "files" / "photo.txt", "::photo.txt")
    images = gpt.create(512, SECTORS, UUID(int=9), [EXT4, FAT]).images()
    made = bytearray(SECTORS * 512)
    made[: len(images.primary)] = images.primary
    made[images.backup_sector * 512 :] = images.backup
    for part, name in ((EXT4, "ext4"), (FAT, "fat")):
        data = (folder / name).read_bytes()
        made[part.first_sector * 512 : part.first_sector * 512 + len(data)] = data
    (folder / "disk.img").write_bytes(made)
    return folder / "disk.img"


@pytest.fixture
def phone(tmp_path: Path, disk: Path) -> Path:
    """Return a phone whose storage is that image."""
    with Phone.create("qcm2290,size=8MiB", tmp_path / "phone") as made:
        made.storage.luns[0].write(0, disk.read_bytes())
        made.save()
    return tmp_path / "phone"


def data_of(phone: Path) -> bytes:
    with Phone.open(phone) as opened:
        return opened.storage.luns[0].read(0, SECTORS)


class Served:
    """Runs `edl nbd`, and a client beside it. It ends with the client."""

    def __init__(self, edl: Edl, phone: Path, folder: Path) -> None:  # noqa: F811
        self._edl, self.phone = edl, phone
        self.socket = folder / "s"
        self.uri = f"nbd+unix:///?socket={self.socket}"

    def to(self, client: Callable[[], object], *words: object) -> Result:
        """Serve what words say to client; what that raises is raised."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                end = time.monotonic() + _LONGEST_S
                while not self.socket.exists() and time.monotonic() < end:
                    time.sleep(0.02)
                client()
            except BaseException as error:  # noqa: BLE001  # for the thread of the test
                failures.append(error)
                run("nbdinfo", "--size", self.uri, check=False)  # ends the server

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        done = self._edl("--virtual", self.phone, "nbd", "--once", "--socket", self.socket, *words)
        thread.join(_LONGEST_S)
        if failures:
            raise failures[0]
        return done


@pytest.fixture
def served(edl: Edl, phone: Path, tmp_path: Path) -> Iterator[Served]:  # noqa: F811
    made = Served(edl, phone, tmp_path)
    yield made
    assert not made.socket.exists()


def test_a_copy_of_all(served: Served, tmp_path: Path, disk: Path) -> None:
    copy = tmp_path / "copy"

    def client() -> None:
        mode = served.socket.stat().st_mode
        assert stat.S_IMODE(mode) == 0o600  # its owner's alone
        run("nbdcopy", served.uri, copy)

    done = served.to(client, "0", "--json")
    assert done.status == 0, done.err
    assert copy.read_bytes() == disk.read_bytes()
    assert done.last["label"] == "LUN 0"
    assert done.last["read_bytes"] >= SECTORS * 512
    assert done.last["fetched_bytes"] == SECTORS * 512


def test_it_says_what_it_is(served: Served) -> None:
    told: dict[str, object] = {}

    def client() -> None:
        told.update(json.loads(run("nbdinfo", "--json", served.uri))["exports"][0])

    assert served.to(client, "modem").status == 0
    assert told["export-size"] == 4096 * 512
    assert told["is_read_only"] is True
    assert (told["block_size_minimum"], told["can_multi_conn"]) == (512, True)


def test_a_file_of_an_ext4_partition(served: Served, tmp_path: Path) -> None:
    def client() -> None:
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", served.uri, tmp_path / "ext4")

    assert served.to(client, "system").status == 0
    run("debugfs", "-R", f"dump /photo.txt {tmp_path / 'photo'}", tmp_path / "ext4")
    assert (tmp_path / "photo").read_bytes() == TEXT


def test_a_file_of_a_fat_partition(served: Served, tmp_path: Path) -> None:
    def client() -> None:
        run("nbdcopy", served.uri, tmp_path / "fat")

    assert served.to(client, "modem").status == 0
    run("mcopy", "-i", tmp_path / "fat", "::photo.txt", tmp_path / "photo")
    assert (tmp_path / "photo").read_bytes() == TEXT


def mounted(served: Served, at: Path, work: Callable[[], object], *options: str) -> None:
    """Do work while what is served is the file at."""
    at.touch()
    fuse = subprocess.Popen([tool("nbdfuse"), *options, at, served.uri], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _LONGEST_S
        while not at.stat().st_size:
            if fuse.poll() is not None or time.monotonic() > end:
                pytest.skip("nbdfuse cannot mount here")
            time.sleep(0.02)
        work()
    finally:
        undo = shutil.which("fusermount3") or shutil.which("fusermount")
        subprocess.run([undo, "-u", at] if undo else ["umount", at], check=False,
                       capture_output=True)  # fmt: skip
        fuse.wait(_LONGEST_S)


def test_sgdisk_reads_the_phone(served: Served, tmp_path: Path) -> None:
    told: list[str] = []

    def client() -> None:
        at = tmp_path / "disk"
        mounted(served, at, lambda: told.append(run("sgdisk", "--verify", "--print", at)), "-r")

    assert served.to(client, "0").status == 0
    assert "No problems found" in told[0]
    assert [line.split()[-1] for line in told[0].splitlines()[-2:]] == ["system", "modem"]


def test_sgdisk_changes_the_phone(served: Served, tmp_path: Path, phone: Path, disk: Path) -> None:
    def client() -> None:
        at = tmp_path / "disk"
        mounted(served, at, lambda: run("sgdisk", "--change-name=2:firmware", at))

    done = served.to(client, "0", "--writable")
    assert done.status == 0, done.err
    assert "written and verified" in done.out
    table = gpt.parse(data_of(phone), 512)
    assert [part.name for part in table.partitions] == ["system", "firmware"]
    at = EXT4.first_sector * 512
    assert data_of(phone)[at : at + (4 << 20)] == disk.read_bytes()[at : at + (4 << 20)]


def test_a_file_system_is_written_by_qemu(served: Served, tmp_path: Path, phone: Path) -> None:
    new = tmp_path / "new.img"
    new.write_bytes(bytes(64 * KIB) + b"new" * 1000 + bytes(64 * KIB - 3000))

    def client() -> None:
        run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", new, served.uri)

    done = served.to(client, "modem", "--writable", "--json")
    assert done.status == 0, done.err
    at = FAT.first_sector * 512
    assert data_of(phone)[at : at + 128 * KIB] == new.read_bytes()


def test_ddrescue_reads_dying_flash(served: Served, tmp_path: Path, edl: Edl) -> None:  # noqa: F811
    """It loses pages of 4 KiB, as the kernel gives no less; ours gets what is good of them."""
    dying, image, where = tmp_path / "dying", tmp_path / "image", tmp_path / "image.map"
    with Phone.create("qcm2290,size=8MiB,unreadable=0/3003+2", dying) as made:
        made.storage.luns[0].write(0, DATA)
        made.save()
    served.phone = dying

    def client() -> None:
        at = tmp_path / "disk"
        mounted(served, at, lambda: run("ddrescue", "-b512", at, image, where), "-r")

    assert served.to(client, "0").status == 0
    lost = rescuemap.parse(where.read_bytes()).total(Block.BAD)
    assert 1024 <= lost < 64 * KIB
    done = edl("--virtual", dying, "read", "0", image, "--rescue", "--retries", "1")
    assert done.status == 6
    assert rescuemap.parse(where.read_bytes()).runs(Block.BAD) == [Run(3003 * 512, 1024, Block.BAD)]
    assert image.read_bytes() == DATA[: 3003 * 512] + bytes(1024) + DATA[3005 * 512 :]


def test_read_only_is_read_only(served: Served, tmp_path: Path, phone: Path, disk: Path) -> None:
    (tmp_path / "new").write_bytes(b"n" * 4096)

    def client() -> None:
        with pytest.raises(subprocess.CalledProcessError):
            run("nbdcopy", tmp_path / "new", served.uri)

    assert served.to(client, "modem").status == 0
    assert data_of(phone) == disk.read_bytes()


def test_a_lost_phone_is_an_error_for_clients(served: Served, tmp_path: Path) -> None:
    """The cable comes out, and nobody plugs it in again: clients are told, and it ends."""
    said: list[bytes] = []

    def client() -> None:
        done = subprocess.run([tool("nbdcopy"), served.uri, tmp_path / "copy"],
                              capture_output=True, check=False, timeout=_LONGEST_S)  # fmt: skip
        assert done.returncode
        said.append(done.stderr)

    done = served.to(client, "0", "--fault", "unplug@in:3000000", "--wait", "0")
    assert done.status in {3, 4}, done.err
    assert b"Input/output error" in said[0]
    assert "Traceback" not in done.err


def test_what_is_there_already(edl: Edl, phone: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "s").write_bytes(b"mine")
    done = edl("--virtual", phone, "nbd", "0", "--socket", tmp_path / "s")
    assert done.status == 2
    assert "exists already" in done.err
    assert (tmp_path / "s").read_bytes() == b"mine"
    far = tmp_path / ("x" * 120)
    assert edl("--virtual", phone, "nbd", "0", "--socket", far).status == 2
