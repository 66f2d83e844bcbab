# SPDX-License-Identifier: BSD-3-Clause
"""`super` and dumps against AOSP's fastboot, PyPI's liblp and sgdisk; checksums against libsparse.

fastboot's liblp reads a super_empty.img and writes a `super` for `fastboot wipe-super`; a server on
this computer takes the phone's part. PyPI's liblp is a port of the same code to Python, whose
lpunpack puts logical partitions together.
"""

from __future__ import annotations

import ctypes
import glob
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from edl.formats import super as lp
from edl.images.check import checks
from edl.images.disk import open_image
from edl.images.file import open_content
from edl.images.parts import find, logical, parts
from edl.images.work import save
from edl.units import MIB
from tests import supers

ANSWERS = {
    b"getvar:max-download-size": b"0x10000000",
    b"getvar:current-slot": b"a",
    b"getvar:has-slot:super": b"no",
    b"getvar:is-logical:super": b"no",
}


def tool(name: str, package: str) -> str:
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        pytest.skip(f"{name} ({package}) is not installed")
    return path


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data


def answer_fastboot(server: socket.socket, flashed: dict[str, bytes]) -> None:
    """Play a phone in fastboot mode over TCP: 'FB01' both ways, then messages with their length."""
    connection, _ = server.accept()
    with connection:
        exactly(connection, 4)
        connection.sendall(b"FB01")
        data = b""
        while len(head := exactly(connection, 8)) == 8:
            word = exactly(connection, int.from_bytes(head, "big"))
            reply = b"OKAY" + ANSWERS.get(word, b"")
            if word.startswith(b"download:"):
                connection.sendall((12).to_bytes(8, "big") + b"DATA" + word[9:])
                size, data = int(word[9:], 16), b""
                while len(data) < size:
                    data += exactly(connection, int.from_bytes(exactly(connection, 8), "big"))
            elif word.startswith(b"flash:"):
                flashed[word[6:].decode()] = data
            elif word.startswith(b"getvar:") and word not in ANSWERS:
                reply = b"FAILunknown"
            connection.sendall(len(reply).to_bytes(8, "big") + reply)


def test_fastboot_takes_our_metadata_and_we_read_what_it_writes(tmp_path: Path) -> None:
    fastboot = tool("fastboot", "fastboot")
    empty = tmp_path / "super_empty.img"
    layout = supers.two_slots()
    layout.partitions[1] = ("vendor_a", 1, 1, [(512, 0, 8192, 0)])  # it wants them in order
    empty.write_bytes(supers.empty_image(layout, slots=3))
    flashed: dict[str, bytes] = {}
    with socket.create_server(("127.0.0.1", 0)) as server:
        phone = threading.Thread(target=answer_fastboot, args=(server, flashed), daemon=True)
        phone.start()
        address = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        subprocess.run(
            [fastboot, "-s", address, "wipe-super", empty],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        phone.join(10)
    written = tmp_path / "super.simg"
    written.write_bytes(flashed["super"])
    with open_content(written) as opened, open_content(empty) as source:
        found, meant = lp.read(opened.content), lp.read(source.content)
        assert opened.forms == ("sparse",)
        assert opened.content.size_bytes == 8 * MIB
    assert found.problems == ()
    assert len(found.slots) == 3
    for slot in found.slots:
        assert slot.problems == ()
        assert slot.primary == slot.backup == meant.slots[0].best


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_lpunpack_puts_together_what_we_do(tmp_path: Path, minor: int) -> None:
    lpunpack = tool("lpunpack", "PyPI: liblp")
    layout = supers.two_slots(minor)
    layout.partitions[1] = ("vendor_a", 1, 1, [(512, 0, 3072, 0)])
    source = random.Random(minor)
    data = {at: source.randbytes(512 * 512) for at in (2048, 2560, 3072, 6144, 6656)}
    path = tmp_path / "super.img"
    path.write_bytes(supers.super_image(layout, layout, data=data))
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    subprocess.run([lpunpack, path, "-o", theirs, "-S", "1"], check=True, timeout=30)
    with open_image(path) as image:
        found = logical(image, parts(image))
        assert found is not None
        for part in found.parts:
            save(part.content, ours / f"{part.name}.img")
    names = sorted(each.name for each in theirs.iterdir())
    assert names == sorted(each.name for each in ours.iterdir())
    assert names == ["system_a.img", "system_b.img", "vendor_a.img"]
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_a_dump_with_the_table_of_sgdisk(tmp_path: Path) -> None:
    sgdisk = tool("sgdisk", "gdisk")
    path = tmp_path / "disk.img"
    data = random.Random(1).randbytes(MIB)
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    rows = ["-n", "1:2048:+1M", "-c", "1:boot_a", "-n", "2:0:0", "-c", "2:userdata"]
    subprocess.run([sgdisk, *rows, path], check=True, capture_output=True)
    with path.open("r+b") as file:
        file.seek(MIB)
        file.write(data)
    with open_image(path) as image:
        known = parts(image)
        save(find("boot_a", known).content, tmp_path / "boot")
        assert {check.verdict for check in checks(image, known, None)} == {"ok"}
    assert (tmp_path / "boot").read_bytes() == data


def test_checksums_as_libsparse_writes_them(tmp_path: Path) -> None:
    names = glob.glob("/usr/lib/*/android/libsparse.so*")  # noqa: PTH207
    if not names:
        pytest.skip("libsparse (android-libsparse) is not installed")
    library = ctypes.CDLL(names[0])
    library.sparse_file_new.restype = ctypes.c_void_p
    library.sparse_file_new.argtypes = [ctypes.c_uint, ctypes.c_int64]
    handle = ctypes.c_void_p(library.sparse_file_new(4096, 8 * 4096))
    data = random.Random(3).randbytes(8192)
    buffer = ctypes.create_string_buffer(data, len(data))
    library.sparse_file_add_data(handle, buffer, ctypes.c_uint64(8192), ctypes.c_uint(1))
    word = struct.unpack("<I", b"abcd")[0]
    library.sparse_file_add_fill(
        handle, ctypes.c_uint32(word), ctypes.c_uint64(3 * 4096), ctypes.c_uint(4)
    )
    path = tmp_path / "x.simg"
    with path.open("wb") as file:
        assert library.sparse_file_write(handle, file.fileno(), False, True, True) == 0
    library.sparse_file_destroy(handle)
    assert zlib.crc32(data + b"abcd" * 1024) == int.from_bytes(path.read_bytes()[-4:], "little")
    with open_image(path) as image:
        assert [check.verdict for check in checks(image, (), None)] == ["ok", "ok"]
