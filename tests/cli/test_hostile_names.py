# SPDX-License-Identifier: BSD-3-Clause
"""Packages that name files which are not theirs, in every place where a package names one.

Beside the package lies a file with a secret. Whatever names it, nothing of it may come out, nothing
may be written beside the folder that was asked for, and nothing that is shown may drive a terminal.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from tests import payloads
from tests.cli.conftest import LOADER, Edl
from tests.packages import lgs, motos, opluses, test_installers, test_nokia
from tests.packages.making import noise, rawprogram
from tests.unit.test_cpio import END, entry
from tests.unit.test_imageset import config

SECRET = b"the secret of this computer" * 100
BOOT = b"ANDROID!" + noise(4000)
TOLD = (
    "lies outside the package", "is missing", "are missing", "a name that none can have",
    "holds no dz", "an absolute path",
)  # fmt: skip
Maker = Callable[[Path, str], Path]

# %s is where the file with the secret lies
NAMES = (
    "../secret.img", "x/../../secret.img", "..\\secret.img", "%s", "/dev/zero",
    "./../pack/../secret.img", "\x1b[2J\u202e../secret.img", "a" * 300 + ".img",
)  # fmt: skip


def _put(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def _xml(name: str) -> str:
    """Return name as an attribute's value; what XML cannot hold is left out."""
    return escape("".join(letter for letter in name if letter >= " " or letter == "\n"))


def rows(folder: Path, name: str) -> Path:
    document = rawprogram({"boot": "boot.img", "evil": _xml(name)})
    return _put(folder, boot__img=BOOT, rawprogram0__xml=document)


def labels(folder: Path, name: str) -> Path:
    document = rawprogram({"boot": "boot.img", _xml(name): "b.img"})
    return _put(folder, boot__img=BOOT, b__img=b"b" * 512, rawprogram0__xml=document)


def patches(folder: Path, name: str) -> Path:
    patch = (
        f'<patches><patch SECTOR_SIZE_IN_BYTES="512" byte_offset="0" filename="{_xml(name)}"'
        ' physical_partition_number="0" size_in_bytes="4" start_sector="0" value="0"'
        ' what="x"/></patches>'
    )
    document = rawprogram({"boot": "boot.img"})
    return _put(folder, boot__img=BOOT, rawprogram0__xml=document, patch0__xml=patch.encode())


def flashmap_files(folder: Path, name: str) -> Path:
    layout = test_installers.layout()
    layout["programmable"][0]["files"].append(name)
    return _installer(folder, test_installers.flashmap(layout))


def flashmap_programmer(folder: Path, name: str) -> Path:
    layout = test_installers.layout("layout0", {"13": "prog.elf", "38": name})
    return _installer(folder, test_installers.flashmap(layout))


def _installer(folder: Path, document: bytes) -> Path:
    path = folder / "installer.zip"
    path.write_bytes(test_installers.installer(document))
    return path


def contents_name(folder: Path, name: str) -> Path:
    return _meta_build(folder, test_installers.element("download_file", _xml(name), "images/"))


def contents_path(folder: Path, name: str) -> Path:
    more = test_installers.element(
        "partition_file", "secret.img", _xml(name), 'storage_type="emmc"'
    )
    return _meta_build(folder, more)


def _meta_build(folder: Path, more: str) -> Path:
    files = test_installers.FILES | {"META/contents.xml": test_installers.contents(more)}
    for file, data in files.items():
        path = folder / "build" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def flashfile(folder: Path, name: str) -> Path:
    _put(folder, boot__img=BOOT)
    steps = (
        motos.step("flash", "boot", "boot.img", BOOT),
        motos.step("flash", "x", _xml(name), BOOT),
    )
    return _put(folder, flashfile__xml=motos.document(*steps))


def recipe(folder: Path, name: str) -> Path:
    lines = f'<flash partition="partition:0" filename="{_xml(name)}"/>'
    _put(folder, boot__img=BOOT, gpt__bin=motos.packed(lines, {"gpt_main0.bin": motos.table()}))
    steps = (
        motos.step("flash", "partition", "gpt.bin", (folder / "gpt.bin").read_bytes()),
        motos.step("flash", "boot", "boot.img", BOOT),
    )
    return _put(folder, flashfile__xml=motos.document(*steps))


def script(folder: Path, name: str) -> Path:
    lines = f"fastboot $* flash boot boot.img\nfastboot $* flash modem `dirname $0`/{name}\n"
    return _put(folder, boot__img=BOOT, flash_all__sh=lines.encode())


def google(folder: Path, name: str) -> Path:
    lines = f"#!/bin/sh\nfastboot flash bootloader {name}\nfastboot flash boot boot.img\n"
    return _put(folder, boot__img=BOOT, **{"flash-all__sh": lines.encode()})


def update(folder: Path, name: str) -> Path:
    parts = [payloads.partition(each, noise(8192, 3)) for each in ("boot", name)]
    return payloads.ota(
        folder / "ota.zip", {"payload.bin": payloads.payload(payloads.Manifest(parts))}
    )


def slices(folder: Path, name: str) -> Path:
    piece = lgs.Piece(name[:30], 64, noise(512), name=name[:60])
    return _put(folder, a__kdz=lgs.kdz(lgs.dz(lgs.Piece("boot", 8, BOOT), piece))) / "a.kdz"


def slices_of(folder: Path, name: str) -> Path:
    content = lgs.dz(lgs.Piece("boot", 8, BOOT))
    return _put(folder, a__kdz=lgs.kdz(content, name=name.encode()[:250])) / "a.kdz"


def nokia(folder: Path, name: str) -> Path:
    files = {"rawprogram0.xml": rawprogram({"boot": "boot.img"}), "boot.img": BOOT, name[:40]: b"x"}
    return _put(folder, a__nb0=test_nokia.container(files)) / "a.nb0"


def oneplus(folder: Path, name: str) -> Path:
    place = f'<Image filename="{_xml(name)}" sparse="false" {{x}} Sha256="0"/>'
    row = (
        '<program SECTOR_SIZE_IN_BYTES="512" label="boot" num_partition_sectors="100"'
        f' start_sector="12" physical_partition_number="0">{place}</program>'
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n<Setting><BasicInfo Project="18801"/>'
    text = f"{head}<Program0>{row}</Program0></Setting>"
    data = opluses.container({"x": (noise(4000), opluses.plain)}, text, opluses.ops_cipher)
    _put(folder, a__ops=data, keys__toml=opluses.KEYS.encode())
    return folder / "a.ops"


def sahara(folder: Path, name: str) -> Path:
    _put(folder, boot__img=BOOT, rawprogram0__xml=rawprogram({"boot": "boot.img"}))
    return _put(folder, sahara_config__xml=config((13, "prog.elf"), (38, _xml(name))),
                prog__elf=LOADER.read_bytes())  # fmt: skip


def cpio(folder: Path, name: str) -> Path:
    _put(folder, boot__img=BOOT, rawprogram0__xml=rawprogram({"boot": "boot.img"}))
    named = entry(f"13:{name}", LOADER.read_bytes()) + entry(END)
    return _put(folder, prog_firehose_x__elf=named)


def zip_member(folder: Path, name: str) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("boot.img", BOOT)
        archive.writestr("rawprogram0.xml", rawprogram({"boot": "boot.img", "evil": _xml(name)}))
        archive.writestr(name, b"evil")
    return folder / "a.zip"


def tar_member(folder: Path, name: str) -> Path:
    return _tar(folder, name, tarfile.REGTYPE)


def tar_symlink(folder: Path, name: str) -> Path:
    return _tar(folder, name, tarfile.SYMTYPE)


def tar_hardlink(folder: Path, name: str) -> Path:
    return _tar(folder, name, tarfile.LNKTYPE)


def _tar(folder: Path, name: str, kind: bytes) -> Path:
    files = {"boot.img": BOOT, "rawprogram0.xml": rawprogram({"boot": "boot.img", "x": "evil.img"})}
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        for file, data in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo(name if kind == tarfile.REGTYPE else "evil.img")
        info.type, info.linkname = kind, name
        archive.addfile(info)
    return folder / "a.tar.gz"


def symlink(folder: Path, name: str) -> Path:
    rows(folder, "evil.img")
    (folder / "evil.img").symlink_to(name)
    return folder


MAKERS: tuple[Maker, ...] = (
    rows, labels, patches, flashmap_files, flashmap_programmer, contents_name, contents_path,
    flashfile, recipe, script, google, update, slices, slices_of, nokia, oneplus, sahara, cpio,
    zip_member, tar_member, tar_symlink, tar_hardlink, symlink,
)  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_files_that_are_not_the_packages(make: Maker, edl: Edl, tmp_path: Path) -> None:
    secret = tmp_path / "secret.img"
    secret.write_bytes(SECRET)
    looked_at = False
    for number, template in enumerate(NAMES):
        name = template.replace("%s", str(secret))
        folder = tmp_path / str(number) / "pack"
        folder.mkdir(parents=True)
        (folder.parent / "secret.img").write_bytes(SECRET)
        package = make(folder, name)
        before = set(tmp_path.rglob("*"))
        out = tmp_path / str(number) / "in" / "out"
        options = ("--choose", f"keys={folder}/keys.toml") if make is oneplus else ()
        unpack = ("unpack", package, out, *options)
        for line in (("check", package, *options), unpack) if number < 2 else (unpack,):
            result = edl(*line)
            assert result.status in {0, 2, 7, 9}, (line, result.err)
            assert "This is a bug" not in result.err
            for text in (result.out, result.err):
                assert all(letter == "\n" or letter.isprintable() for letter in text)
                assert SECRET[:27].decode() not in text
            looked_at |= result.status == 0 or any(words in result.err for words in TOLD)
        added = set(tmp_path.rglob("*")) - before
        assert all(path in {out, out.parent} or out in path.parents for path in added), added
        for path in out.rglob("*"):
            assert not path.is_symlink()
            assert path.is_dir() or SECRET[:27] not in path.read_bytes()
        assert secret.read_bytes() == (folder.parent / "secret.img").read_bytes() == SECRET
    assert looked_at  # it was taken for what it is


def test_a_manifest_of_a_backup_that_names_other_files(
    edl: Edl, tmp_path: Path, whole: Path
) -> None:
    folder = tmp_path / "x" / "backup"
    assert edl("--virtual", whole, "backup", folder, "--only", "aboot,rpm").status == 0
    (tmp_path / "x" / "secret.img").write_bytes(SECRET * 40)
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    file = next(each for each in _strings(manifest) if each.endswith(".img"))
    for template in NAMES:
        name = template.replace("%s", str(tmp_path / "x" / "secret.img"))
        (folder / "manifest.json").write_text(text.replace(json.dumps(file), json.dumps(name)))
        for line in (
            ("restore", folder, "-y"), ("image", "ls", folder), ("image", "verify", folder),
            ("image", "extract", folder, tmp_path / "y" / "out"), ("diff", folder, folder),
        ):  # fmt: skip
            result = edl("--virtual", whole, *line) if line[0] == "restore" else edl(*line)
            assert result.status in {2, 7}, (line, result.out, result.err)
            assert all(letter == "\n" or letter.isprintable() for letter in result.err)
    assert not list((tmp_path / "y").rglob("*.img"))


def _strings(node: object) -> list[str]:
    if isinstance(node, dict):
        return [found for each in node.values() for found in _strings(each)]
    if isinstance(node, list):
        return [found for each in node for found in _strings(each)]
    return [node] if isinstance(node, str) else []
