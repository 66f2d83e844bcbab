# SPDX-License-Identifier: BSD-3-Clause
"""What /sys tells of the bus: only what is surely no phone, and tells nothing, may pass."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from edl import sysfs
from edl.transport import discovery

ROOT_HUB = (0x1D6B, 0x0002, (9, 0, 0))
KEYBOARD = (0x046D, 0xC31C, (3, 1, 1))


def descriptors(vendor: int, product: int, *interfaces: tuple[int, int, int]) -> bytes:
    """Return them as USB 2.0, chapter 9.6, has them; each interface without endpoints."""
    device = struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, vendor, product, 0, 0, 0, 0, 1
    )
    rows = b"".join(
        struct.pack("<9B", 9, 4, number, 0, 0, *row, 0) for number, row in enumerate(interfaces)
    )
    return device + struct.pack("<BBHBBBBB", 9, 2, 9 + len(rows), 1, 1, 0, 0x80, 50) + rows


def computer(root: Path, *devices: tuple[int, int, tuple[int, int, int]]) -> str:
    """Lay out devices as Linux shows them; return the folder that holds sys and dev."""
    place = root / "sys/bus/usb/devices"
    place.mkdir(parents=True)
    for number, (vendor, product, interface) in enumerate(devices, 1):
        folder = place / f"1-{number}"
        folder.mkdir()
        (folder / "descriptors").write_bytes(descriptors(vendor, product, interface))
        (place / f"1-{number}:1.0").mkdir()
    return str(root)


def test_no_device_at_all(tmp_path: Path) -> None:
    assert sysfs.is_bare(computer(tmp_path))


def test_hubs_and_keyboards_are_no_phones(tmp_path: Path) -> None:
    assert sysfs.is_bare(computer(tmp_path, ROOT_HUB, KEYBOARD))


@pytest.mark.parametrize(
    ("vendor", "product", "interface"),
    [
        (0x05C6, 0x9008, (0xFF, 0xFF, 0xFF)),
        (0x1234, 0x5678, (0xFF, 0xFF, 0x11)),  # a phone with ids that nobody knows
        (0x05C6, 0x0000, (0, 0, 0)),
        (0x2717, 0xFF40, (0xFF, 0x42, 0x01)),  # adb
        (0x2717, 0xD00D, (0xFF, 0x42, 0x03)),  # fastboot
        (0x22B8, 0x2E82, (6, 1, 1)),  # files of Android
        (0x04E8, 0x685D, (2, 2, 1)),
    ],
)
def test_what_is_told_of(
    vendor: int, product: int, interface: tuple[int, int, int], tmp_path: Path
) -> None:
    assert not sysfs.is_bare(computer(tmp_path, ROOT_HUB, (vendor, product, interface)))


@pytest.mark.parametrize("ids", sorted(discovery.EDL_IDS | discovery.CRASH_DUMP_IDS))
def test_known_phones_whatever_their_interfaces_are(ids: tuple[int, int], tmp_path: Path) -> None:
    assert not sysfs.is_bare(computer(tmp_path, (*ids, (0, 0, 0))))


def test_what_cannot_be_read_may_be_a_phone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = computer(tmp_path, KEYBOARD)
    path = tmp_path / "sys/bus/usb/devices/1-1/descriptors"
    path.write_bytes(b"")
    assert not sysfs.is_bare(root)
    path.unlink()
    assert not sysfs.is_bare(root)
    assert not sysfs.is_bare(f"{root}/sys/bus/usb/devices/1-1/descriptors")
    path.write_bytes(descriptors(0x1D6B, 2))
    assert sysfs.is_bare(root)
    (tmp_path / "table").write_text("05c6\t*\n")
    monkeypatch.setattr(sysfs, "_TABLE", str(tmp_path / "table"))
    assert not sysfs.is_bare(root)
    (tmp_path / "table").write_text("*\t*\t*\tanything\tkind\n")
    assert not sysfs.is_bare(root)


def test_a_kernel_without_usb(tmp_path: Path) -> None:
    assert not sysfs.is_bare(str(tmp_path))  # nothing is known of it
    (tmp_path / "sys/bus/pci").mkdir(parents=True)
    assert sysfs.is_bare(str(tmp_path))
    (tmp_path / "dev/bus/usb").mkdir(parents=True)
    assert not sysfs.is_bare(str(tmp_path))
    (tmp_path / "dev/bus/usb").rmdir()
    (tmp_path / "sys/bus/usb").mkdir()
    assert not sysfs.is_bare(str(tmp_path))


def test_the_shape_of_the_bus_tells_what_came_and_went(tmp_path: Path) -> None:
    root = computer(tmp_path, ROOT_HUB, KEYBOARD)
    assert sysfs.shape(root) is None  # not as Linux has it
    devices = tmp_path / "sys/bus/usb/devices"
    for name in ("1-1", "1-2"):
        (devices / name / "devnum").write_text("3\n")
    before = sysfs.shape(root)
    assert before is not None
    assert len(before) == 2
    assert sysfs.shape(root) == before
    (devices / "1-2" / "devnum").write_text("4\n")  # unplugged, and plugged in again
    assert sysfs.shape(root) not in {before, None}
    shutil.rmtree(devices / "1-2")
    assert len(sysfs.shape(root) or ()) == 1
    assert sysfs.shape(str(tmp_path / "nowhere")) is None
