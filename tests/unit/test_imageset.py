# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import pytest

from edl import imageset
from edl.errors import ImageError, UsageError
from edl.formats.sahara_config import read_sahara_config
from edl.imageset import find_config, is_list, of_file, of_list, usual_name
from tests.unit.test_cpio import END, entry
from tests.unit.test_sahara_config import KAANAPALI


def config(*images: tuple[int, str]) -> bytes:
    rows = "".join(f'<image image_id="{n}" image_path="{path}"/>' for n, path in images)
    return f"<sahara_config><images>{rows}</images></sahara_config>".encode()


def put(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        (folder / f"{name}.elf").write_bytes(data)


# Lists


def test_list_of_ids_and_files(tmp_path: Path) -> None:
    put(tmp_path, prog=b"1", cfg=b"2")
    text = f"13:{tmp_path}/prog.elf,0x26:{tmp_path}/cfg.elf"
    assert is_list(text)
    assert of_list(text) == {13: b"1", 38: b"2"}
    assert not is_list("prog.elf")
    assert not is_list("C:prog.elf")
    assert not is_list("1300:prog.elf")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("13:prog.elf,cfg.elf", "'cfg.elf' is not ID:FILE."),
        ("0:prog.elf", "'0:prog.elf' is not ID:FILE."),
        ("128:prog.elf", "'128:prog.elf' is not ID:FILE."),
        ("13:", "'13:' is not ID:FILE."),
        ("13:prog.elf,0x0d:prog.elf", "Image 13 is given twice."),
    ],
)
def test_lists_that_are_none(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, prog=b"1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        of_list(text)
    assert caught.value.message == told


def test_files_of_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, empty=b"", large=b"12345")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(imageset, "MAX_FILE_BYTES", 4)
    for name, told in (
        ("absent.elf", "absent.elf cannot be read: No such file"),
        ("a\0b", "cannot be read: embedded null byte"),
        ("empty.elf", "is empty"),
        ("large.elf", "larger than 4 bytes"),
    ):
        with pytest.raises(ImageError, match=told):
            of_list(f"13:{name}")


def test_names_are_those_of_real_firmware() -> None:
    config = read_sahara_config(KAANAPALI, "q.xml")
    for number, path in config.images.items():
        assert path.endswith(usual_name(number) or "")
    assert usual_name(99) is None


# CPIO


def test_cpio(tmp_path: Path) -> None:
    data = entry("./13:prog.elf", b"1") + entry("0x26", b"2") + entry(END)
    assert of_file(tmp_path / "p.cpio", data) == {13: b"1", 38: b"2"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (entry("prog.elf", b"1") + entry(END), r"'prog\.elf' in p\.cpio does not say"),
        (entry("13", b"1") + entry("13:b", b"1") + entry(END), "holds image 13 twice"),
        (entry(END), "holds no images"),
        (entry("13", b"1"), "no end mark"),
        (b"070707" + b"0" * 100, "newc"),
    ],
)
def test_cpio_archives_that_are_none(data: bytes, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        of_file(Path("p.cpio"), data)


# sahara_config


def test_configuration(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    put(tmp_path / "sub", cfg=b"2")
    put(tmp_path, prog=b"1")
    data = config((13, "prog.elf"), (38, "sub\\cfg.elf"))
    assert of_file(tmp_path / "q.xml", data) == {13: b"1", 38: b"2"}
    assert of_file(tmp_path / "q.xml", b"<data/>") is None
    assert of_file(tmp_path / "q.xml", b"\x7fELF") is None


def test_all_missing_files_are_named(tmp_path: Path) -> None:
    put(tmp_path, xbl_sc=b"1", sequencer_ram=b"1")
    (tmp_path / "tme_config.elf").mkdir()
    with pytest.raises(ImageError) as caught:
        of_file(tmp_path / "q.xml", KAANAPALI)
    assert caught.value.message == (
        "q.xml names files that are missing: prog_firehose_ddr.elf (image 13), "
        "multi_image_qti.mbn (image 36), multi_image.mbn (image 37), "
        "sub\\xbl_config_devprg.elf (image 38), signed_firmware_soc_view.elf (image 60), "
        "tme_config.elf (image 61)."
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.elf", "..\\x.elf", "link.elf"])
def test_files_outside(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "rom"
    folder.mkdir()
    put(tmp_path, x=b"1")
    (folder / "link.elf").symlink_to(tmp_path / "x.elf")
    with pytest.raises(ImageError, match="outside the folder"):
        of_file(folder / "q.xml", config((13, path)))
    with pytest.raises(ImageError, match="missing"):
        of_file(folder / "q.xml", config((13, "a" * 5000)))


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.elf").symlink_to(tmp_path / "a.elf")
    with pytest.raises(ImageError, match="outside the folder"):
        of_file(tmp_path / "q.xml", config((13, "a.elf")))


def test_configuration_of_a_package(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert find_config([tmp_path / "absent", one, two]) is None
    (one / "rawprogram0.xml").write_bytes(b"<data/>")
    (one / "broken.xml").write_bytes(b"<sahara_config>")
    (one / "server.xml").write_bytes(config((60, "x.elf")))
    (one / "link.xml").symlink_to(two / "Q.XML")
    (two / "Q.XML").write_bytes(config((13, "prog.elf")))
    (two / "text.txt").write_bytes(config((13, "prog.elf")))
    assert find_config([one, two]) == two / "Q.XML"
