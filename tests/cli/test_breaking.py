# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is thrown at the command line, it says in a sentence what is wrong."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Edl, write_rows
from tests.cli.test_options import code

PHONE = ("--virtual", "qcm2290")
AS_ROOT = os.geteuid() == 0


def one_error(text: str) -> str:
    """Return the code of the one error in text, which has no control characters."""
    assert text.count("error[") == 1
    assert all(letter == "\n" or letter.isprintable() for letter in text)
    return code(text)


# -- packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "rehearse", "rawprogram"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "document"),
        (b"\0" * 100, "document"),
        (b"\x7fELF" + bytes(5000), "package"),
        (b"<data><program", "document"),
        (b"<html><body>404 Not Found</body></html>", "document"),
        (b'<!DOCTYPE d [<!ENTITY a "aaa">]><data>&a;</data>', "document"),
        (b"<data></data>", "package"),
        (b"<data/>" + b" " * (17 << 20), "document"),
    ],
    ids=["empty", "zeros", "elf", "cut off", "html", "entities", "no rows", "17 MiB"],
)
def test_a_file_that_is_no_package(
    command: str, content: bytes, kind: str, edl: Edl, tmp_path: Path
) -> None:
    file = tmp_path / "rawprogram0.xml"
    file.write_bytes(content)
    virtual = PHONE if command == "rawprogram" else ()
    result = edl(*virtual, command, file)
    assert (result.status, one_error(result.err)) == (7, kind)
    assert result.out == ""


def test_an_image_in_place_of_xml(edl: Edl, tmp_path: Path) -> None:
    image = tmp_path / "system.img"
    image.write_bytes(bytes(range(256)) * 64)
    result = edl("check", image)
    assert (result.status, one_error(result.err)) == (7, "package")


@pytest.mark.parametrize("name", ["", "no/such", "*.nothing", "a\0b", "x" * 5000])
def test_a_name_that_is_no_package(
    name: str, edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an empty name is the folder one is in
    result = edl("check", name)
    assert result.status in {2, 7}
    assert one_error(result.err) in {"usage", "package"}


def test_a_folder_without_package(edl: Edl, tmp_path: Path) -> None:
    result = edl("check", tmp_path)
    assert (result.status, one_error(result.err)) == (7, "package")
    assert "No rawprogram file was found" in result.err


def test_links_and_folders_in_place_of_files(edl: Edl, mini: Path) -> None:
    (mini / "boot.img").unlink()
    (mini / "boot.img").symlink_to(mini / "boot.img")
    result = edl("check", mini)
    assert (result.status, one_error(result.err)) == (7, "package")
    (mini / "boot.img").unlink()
    (mini / "boot.img").mkdir()
    assert one_error(edl("check", mini).err) == "package"
    (mini / "boot.img").rmdir()
    (mini / "boot.img").symlink_to("/dev/zero")
    assert one_error(edl("check", mini).err) == "package"


@pytest.mark.skipif(AS_ROOT, reason="nothing is unreadable for root")
def test_what_may_not_be_read(edl: Edl, mini: Path) -> None:
    (mini / "boot.img").chmod(0)
    assert one_error(edl("check", mini).err) == "package"
    mini.chmod(0)
    try:
        assert one_error(edl("check", mini).err) in {"package", "usage"}
    finally:
        mini.chmod(0o700)


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\nb", "a\r\tb", "\u202egnp", "a,b", "é", "a b"])
def test_odd_names_of_files(name: str, edl: Edl, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "b.img").write_bytes(b"b" * 600)
    write_rows(folder, ("b.img", 2048, 64, "boot"))
    result = edl("check", folder)
    assert result.status == 0
    assert all(letter == "\n" or letter.isprintable() for letter in result.out + result.err)
    out = tmp_path / f"{name}.bin"
    assert edl(*PHONE, "read", "0/0+34", out).status == 0
    assert out.stat().st_size == 34 * 512
    again = edl(*PHONE, "read", "0/0+34", out)
    assert (again.status, one_error(again.err)) == (2, "usage")
    assert one_error(edl("check", tmp_path / name / "gone").err) == "usage"
    assert edl("check", folder, "--json").last["type"] == "result"


def test_names_that_are_no_utf_8(edl: Edl, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    result = edl(*PHONE, "read", "0/0+2", name)
    assert result.status == 0
    assert r"caf\udce9  1 KiB  sha256 " in result.out
    assert edl(*PHONE, "read", "0/0+2", name, "--json", "--force").last["files"][0]["file"] == name


def test_escapes_in_labels_and_tables(edl: Edl, mini: Path, whole: Path, tmp_path: Path) -> None:
    write_rows(mini, ("boot.img", 2048, 64, "b&#x9b;31m"))
    assert "\x9b" not in edl(*PHONE, "rawprogram", mini, "-n").out
    gpt = tmp_path / "gpt.bin"
    assert edl("--virtual", whole, "read", "0/0+34", gpt).status == 0
    data = bytearray(gpt.read_bytes())
    at = data.index("aboot".encode("utf-16-le"))
    data[at : at + 10] = "a\x1b[2J".encode("utf-16-le")
    gpt.write_bytes(data)
    assert edl("--virtual", whole, "write", "0/0+34", gpt).status == 0
    shown = edl("--virtual", whole, "printgpt")
    assert all(letter == "\n" or letter.isprintable() for letter in shown.out)


def test_ten_thousand_rows(edl: Edl, mini: Path) -> None:
    rows = [("misc.img", 2048 + 64 * number, 64, f"part{number}") for number in range(10_000)]
    write_rows(mini, *rows)
    result = edl("check", mini)
    assert result.status == 0
    assert "Checked: 10000 steps, " in result.out
    write_rows(mini, *[("gone.img", *row[1:]) for row in rows[:1000]])
    result = edl("check", mini)
    assert result.status == 7
    assert "(999 more errors above.)" in result.err


# -- targets and numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "", ",", "a,,b", "/", "0/", "/boot", "0/0+", "0/-1", "0/0+-1", "0/0+0", "-", "0/0x",
        "0/99999999999999999999", "0/0+99999999999999999999", "9999", "256/boot", "0/1.5",
        "1/2/3", "0/0+1e3", "a" * 200, "nul\0byte", "0/\u0661",
    ],
)  # fmt: skip
def test_targets_that_name_nothing(target: str, edl: Edl, tmp_path: Path) -> None:
    result = edl(*PHONE, "read", "--", target, tmp_path / "x")
    assert result.status in {2, 6}
    one_error(result.err)
    assert list(tmp_path.glob("x*")) == []


@pytest.mark.parametrize(
    "line",
    [
        ("rs", "x", "1", "f"), ("rs", "0", "many", "f"), ("rs", "0"), ("ws", "0"), ("es", "1"),
        ("rs", "0", "99999999999999999999", "f"), ("rs", "--", "-5", "3", "f"), ("rf",),
        ("read", "0/0+1"), ("read", "0/0+1", "f", "-d", "."), ("read", "0/0+1", "-d", "/no/folder"),
        ("read", "0/0+1,0/1+1", "f"), ("read", "0/0+1,0/1+1", "f,f"), ("read", "0/0+1,0/1+1", "f,"),
        ("read", "0/0+1", "a\0b"), ("read", "0/0+1", "--lun", "-1", "f"),
        ("read", "0/0+1", "--lun", "99999999999999999999", "f"), ("set-bootable", "-1"),
        ("set-bootable", "x"), ("printgpt", "--lun", "x"), ("explain", ""), ("virtual", "new", "x"),
        ("virtual", "new", "x", ""), ("virtual", "new", "x", "qcm2290,size=-1"),
        ("virtual", "nonsense"), ("reset", "--mode", "sideways"), ("list", "surplus"),
    ],
)  # fmt: skip
def test_lines_that_do_not_fit_together(
    line: tuple[str, ...], edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = edl(*PHONE, *line)
    assert (result.status, one_error(result.err)) == (2, "usage")
    assert "  try: " in result.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "edl-home"] == []


def test_a_file_name_may_have_commas(edl: Edl, tmp_path: Path) -> None:
    name = tmp_path / "a,b.bin"
    assert edl(*PHONE, "read", "0/0+34", name).status == 0
    assert name.exists()


def test_images_that_do_not_fit(edl: Edl, whole: Path, tmp_path: Path) -> None:
    phone = ("--virtual", whole)
    image = tmp_path / "x.img"
    for content, told in (
        (b"", f"{image} is empty."),
        (b"x" * (1 << 20 | 1), "x.img has 1048577 bytes, 'aboot' only 1048576."),
        (b"\x3a\xff\x26\xed" + bytes(200), "x.img"),
    ):
        image.write_bytes(content)
        result = edl(*phone, "write", "aboot", image)
        assert (result.status, one_error(result.err)) in {(7, "image"), (7, "document")}
        assert told in result.err
    for wrong in (tmp_path, tmp_path / "gone", "a\0b"):
        result = edl(*phone, "write", "aboot", wrong)
        assert result.status in {2, 7}
        one_error(result.err)


# -- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def little_room() -> Iterator[None]:
    """Let no file grow beyond 100 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("little_room")
def test_a_disk_that_fills_up_while_reading(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    result = edl("--virtual", "qcm2290", "read", "0/0+34", file)
    assert result.status == 0
    result = edl("--virtual", "qcm2290", "read", "0/0+4096", tmp_path / "y.bin")
    assert (result.status, one_error(result.err)) == (7, "disk")
    assert not (tmp_path / "y.bin").exists()
    assert not (tmp_path / "y.bin.partial").exists()


@pytest.mark.usefixtures("little_room")
def test_a_disk_that_fills_up_while_making_a_package(edl: Edl, tmp_path: Path) -> None:
    result = edl("virtual", "sample", tmp_path / "sample")
    assert (result.status, one_error(result.err)) == (7, "disk")


def test_too_little_room_is_known_before(edl: Edl, tmp_path: Path) -> None:
    result = edl("--virtual", "qcm2290,size=2048GiB", "read", "0", tmp_path / "x.bin")
    assert (result.status, one_error(result.err)) == (7, "disk")
    assert "2048 GiB are needed" in result.err


def test_no_place_for_ones_data(
    edl: Edl, whole: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    monkeypatch.setenv("EDL_HOME", str(blocked / "home"))
    assert edl("--virtual", whole, "info").status == 0
    result = edl("--virtual", whole, "write", "aboot", mini / "boot.img")
    assert (result.status, one_error(result.err)) == (7, "disk")
    assert "Set EDL_HOME to a folder that you may write to." in result.err
    result = edl("--virtual", whole, "write", "aboot", mini / "boot.img", "--no-backup")
    assert result.status == 0


def test_no_home(edl: Edl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDL_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert edl(*PHONE, "nop").status == 0
    assert (tmp_path / "data" / "edl" / "log" / "edl.log").exists()


def test_a_user_without_a_home(
    edl: Edl, whole: Path, mini: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_data_path", unknown)
    for name in ("EDL_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    result = edl("--virtual", whole, "write", "aboot", mini / "boot.img")
    assert result.status == 0
    assert f"what exists only once: {tmp_path}/edl-data/phones/1a2b3c4d/saved-" in result.out


def test_virtual_phones_that_are_none(edl: Edl, tmp_path: Path, mini: Path) -> None:
    for spec, status in (
        (tmp_path / "gone", 2), (mini, 2), ("qcm2290,size=7", 2), ("qcm2290,fault=magic", 2),
        ("qcm2290,x", 2), (",", 2), ("a\0b", 2), ("x" * 5000, 2),
    ):  # fmt: skip
        result = edl("--virtual", spec, "list")
        assert result.status == status
        one_error(result.err)
    assert edl("virtual", "edl", tmp_path / "gone").status == 7
    assert edl("virtual", "new", mini, "qcm2290").status == 2
    assert edl("virtual", "sample", mini).status == 2
