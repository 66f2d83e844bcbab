# SPDX-License-Identifier: BSD-3-Clause
"""Xiaomi's scripts and lists. The lines are those of public scripts, from 2016 to 2025."""

from __future__ import annotations

import pytest

from edl.errors import DocumentError
from edl.formats.crclist import MAX_BYTES, read_crclist
from edl.formats.flashscript import read_anti_version, read_script
from tests.conftest import shared


def commands(line: str) -> list[tuple[str, ...]]:
    return [command.words for command in read_script(line.encode(), "flash_all.sh").commands]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fastboot $* flash boot `pwd`/images/boot.img", ("flash", "boot", "images/boot.img")),
        ("fastboot $* flash tz_ab `dirname $0`/images/tz.mbn", ("flash", "tz_ab", "images/tz.mbn")),
        ('fastboot "$@" flash tz "$(dirname "$0")/images/t.img"', ("flash", "tz", "images/t.img")),
        (
            "fastboot $* flash lk ${SCRIPT_PATH}/images/lk.img || handle_error flash lk error",
            ("flash", "lk", "images/lk.img"),
        ),
        (
            'fastboot %* flash xbl %~dp0images\\xbl.elf || @echo "Flash xbl error" && exit /B 1',
            ("flash", "xbl", "images/xbl.elf"),
        ),
        (
            "platform-tools-darwin/fastboot $* flash xbl_4 `dirname $0`/images/xbl_4.elf",
            ("flash", "xbl_4", "images/xbl_4.elf"),
        ),
        ("%fastboot% flash uefi_ab images\\uefi.img", ()),
        ("x\\fastboot.exe flash vm-boot_a images/v.img", ("flash", "vm-boot_a", "images/v.img")),
        ("fastboot $* erase boot_ab || @echo x", ("erase", "boot_ab")),
        ("fastboot $* set_active a", ("set_active", "a")),
        ("fastboot %* oem lock || @echo x", ("oem", "lock")),
        ("  # fastboot $* flash hidden images/hidden.img", ()),
        ("::fastboot %* flash hidden images/hidden.img", ()),
        ("REM fastboot %* flash hidden images/hidden.img", ()),
        ("fastboot $* flash boot", ()),
        ("fastboot $* flash", ()),
        ("fastboot $* erase ../x", ()),
        ("fastboot $*", ()),
        ('echo "no fastbootd here"', ()),
    ],
)  # fmt: skip
def test_commands(line: str, words: tuple[str, ...]) -> None:
    assert commands(line) == ([words] if words else [])


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ('fastboot $* getvar product 2>&1 | grep -E  "^product: *piano"', ("piano",)),
        ('fastboot $* getvar product 2>&1 | grep "^product: *lancelot$"', ("lancelot",)),
        (
            'fastboot $* getvar product 2>&1 | grep -E "^product: *(lime|citrus)"',
            ("lime", "citrus"),
        ),
        ('fastboot %* getvar product 2>&1 | findstr /r /c:"^product: *MSM8974" || x', ("MSM8974",)),
        (
            'fastboot %* getvar product 2>&1 | findstr /r /c:"^product: *a" /c:"^product: *b"',
            ("a", "b"),
        ),
        ('# fastboot $* getvar product 2>&1 | grep "^product: *no"', ()),
        ('echo "^product: *no"', ()),
    ],
)
def test_devices(line: str, devices: tuple[str, ...]) -> None:
    assert read_script(f"{line}\n{line}".encode(), "x").devices == devices


@pytest.mark.parametrize(
    ("text", "anti"),
    [
        ("CURRENT_ANTI_VER=1", 1),
        ("set CURRENT_ANTI_VER=4\r\n", 4),
        ('set "CURRENT_ANTI_VER=4"', 4),
        ('CURRENT_ANTI_VER=2\nif [ -z "$CURRENT_ANTI_VER" ]; then CURRENT_ANTI_VER=0; fi', 2),
        ('if [ -z "$CURRENT_ANTI_VER" ]; then CURRENT_ANTI_VER=0; fi', None),
        ("CURRENT_ANTI_VER=`cat images/anti_version.txt`", None),
        ("#CURRENT_ANTI_VER=1\n::set CURRENT_ANTI_VER=1", None),
        ("", None),
    ],
)
def test_anti_rollback_numbers(text: str, anti: int | None) -> None:
    assert read_script(text.encode(), "x").anti == anti


@pytest.mark.parametrize(
    ("data", "anti"),
    [(b"3\n", 3), (b" anti_version=12 \r\n", 12), (b"0", None), (b"", None), (b"none", None)],
)
def test_anti_version(data: bytes, anti: int | None) -> None:
    assert read_anti_version(data) == anti


def test_commands_of_one_kind() -> None:
    script = read_script(b"fastboot erase a\nfastboot flash b c\nfastboot erase d\n", "x")
    assert [(each.words[1], each.line) for each in script.of("erase")] == [("a", 1), ("d", 3)]


@pytest.mark.parametrize("data", [b"\0", b"x" * ((1 << 20) + 1), b"\n" * 20_001])
def test_what_is_no_script(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"x\.sh: it is no script"):
        read_script(data, "x.sh")


def test_lists_of_checksums() -> None:
    data = b"\xef\xbb\xbfCRC-LIST\r\nboot_AB 0xAB\n\ntz_a 0x1966f2cf\n"
    assert read_crclist(data, "crclist.txt") == {"boot_ab": 0xAB, "tz_a": 0x1966F2CF}


def test_real_lists_of_checksums() -> None:
    found = sorted(shared("corpus").glob("*xiaomi*/crclist.txt"))
    assert len(found) == 3
    for path in found:
        lines = path.read_text().split()
        assert len(read_crclist(path.read_bytes(), path.name)) == (len(lines) - 1) // 2


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "crclist.txt:1: it does not begin"),
        (b"SPARSECRC-LIST\nsuper 1 0x1", "crclist.txt:1: it does not begin"),
        (b"CRC-LIST\nboot\n", "crclist.txt:2: it is no name"),
        (b"CRC-LIST\n\nboot 0x123456789\n", "crclist.txt:3: it is no name"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_list(data: bytes, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        read_crclist(data, "crclist.txt")


def test_a_line_of_blanks_takes_no_time() -> None:
    line = b"fastboot getvar product | product:" + b" " * 200_000
    assert read_script(line, "flash_all.sh").devices == ()
