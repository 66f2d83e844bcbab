# SPDX-License-Identifier: BSD-3-Clause
"""What users hand over, and which files of it are used."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from edl import loaders, package
from edl.errors import DocumentError, ImageError, PackageError, UsageError
from edl.files import File
from edl.package import Package, open_package
from edl.virtual.sample import make_sample
from tests import packs
from tests.conftest import REPO
from tests.packs import document, program, put

NORMAL = document(program("boot.img"))
PATCH = f"<patches>{packs.patch(1, 0, 4, 0)}</patches>"
WIPE = "rawprogram0_WIPE_PARTITIONS.xml"
BLANK = "rawprogram0_BLANK_GPT.xml"


def text(file: File) -> str:
    return file.head(100).decode()


def open_in(folder: Path, *names: str) -> Package:
    return open_package([str(folder / name) for name in names])


def used(opened: Package) -> list[str]:
    return [rows.name for rows in opened.documents]


def left_out(opened: Package) -> dict[str, str]:
    return dict(opened.left_out)


# -- folders ------------------------------------------------------------------------------------


def test_a_folder_gives_its_set_and_names_what_it_leaves(tmp_path: Path) -> None:
    names = ["rawprogram0.xml", "rawprogram1.xml", WIPE, BLANK, "wipe_rawprogram_PHY0.xml"]
    put(tmp_path, dict.fromkeys([*names, "rawprogram_upgrade.xml"], NORMAL))
    put(tmp_path, {"patch0.xml": PATCH, "patch1.xml": PATCH, "patch7.xml": PATCH, "other.xml": ""})
    opened = open_package([str(tmp_path)])
    assert used(opened) == ["rawprogram0.xml", "rawprogram1.xml", "patch0.xml", "patch1.xml"]
    assert set(left_out(opened)) == {*names[2:], "rawprogram_upgrade.xml", "patch7.xml"}
    assert opened.title == str(tmp_path)
    assert len(list(opened.rows)) == 4


@pytest.mark.parametrize("below", ["images", "rom/images"])
def test_the_set_may_lie_deeper(below: str, tmp_path: Path) -> None:
    put(tmp_path, {f"{below}/rawprogram0.xml": NORMAL, "readme/readme.txt": "", "boot.img": "b"})
    opened = open_package([str(tmp_path)])
    assert opened.home == {"rawprogram0.xml": tmp_path / below}
    assert opened.find("boot.img", "rawprogram0.xml").path == tmp_path / "boot.img"


def test_a_set_too_deep_is_not_found(tmp_path: Path) -> None:
    put(tmp_path, {"a/b/c/rawprogram0.xml": NORMAL})
    with pytest.raises(PackageError, match="No rawprogram file was found in") as caught:
        open_package([str(tmp_path)])
    assert caught.value.remedies[0].startswith("Name the folder that holds rawprogram0.xml")


def test_several_sets_are_not_mixed(tmp_path: Path) -> None:
    put(tmp_path, {"emmc/rawprogram0.xml": NORMAL, "ufs/rawprogram0.xml": NORMAL})
    with pytest.raises(PackageError, match=r"several sets of rawprogram files: .*emmc, .*ufs\."):
        open_package([str(tmp_path)])
    assert used(open_package([str(tmp_path / "emmc")])) == ["rawprogram0.xml"]


def test_unsparse_takes_the_place_of_sparse(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["rawprogram0.xml", "rawprogram_unsparse0.xml"], NORMAL))
    opened = open_package([str(tmp_path)])
    assert used(opened) == ["rawprogram_unsparse0.xml"]
    assert left_out(opened) == {"rawprogram0.xml": "'rawprogram_unsparse0.xml' takes its place"}


def test_a_folder_without_a_set_says_what_it_holds_instead(tmp_path: Path) -> None:
    put(tmp_path, {WIPE: NORMAL, "patch0.xml": PATCH})
    with pytest.raises(PackageError) as caught:
        open_package([str(tmp_path)])
    assert caught.value.status == 7
    assert WIPE in caught.value.remedies[1]
    assert "overwrites every partition" in caught.value.remedies[1]


def test_links_to_other_folders_are_not_searched(tmp_path: Path) -> None:
    put(tmp_path, {"elsewhere/rawprogram0.xml": NORMAL, "rom/readme.txt": ""})
    (tmp_path / "rom/images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match="No rawprogram file"):
        open_package([str(tmp_path / "rom")])


def test_a_huge_tree_is_searched_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_MAX_FOLDERS", 2)
    put(tmp_path, {"a/x": "", "b/x": "", "z/rawprogram0.xml": NORMAL})
    with pytest.raises(PackageError, match="No rawprogram file"):
        open_package([str(tmp_path)])


def _closed(path: Path) -> OSError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _close(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make what is called name unreadable, for root too."""
    open_file, list_folder = Path.open, Path.iterdir

    def closed_open(self: Path, mode: str) -> IO[Any]:
        if self.name == name:
            raise _closed(self)
        return open_file(self, mode)

    def closed_list(self: Path) -> Iterator[Path]:
        if self.name == name:
            raise _closed(self)
        return list_folder(self)

    monkeypatch.setattr(Path, "open", closed_open)
    monkeypatch.setattr(Path, "iterdir", closed_list)


def test_a_closed_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"rom/rawprogram0.xml": NORMAL})
    _close(monkeypatch, "rom")
    with pytest.raises(PackageError, match=r"rom cannot be read: Permission denied\."):
        open_package([str(tmp_path / "rom")])


def test_a_closed_folder_beside_the_set_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"lost+found/x": "", "images/rawprogram0.xml": NORMAL})
    _close(monkeypatch, "lost+found")
    assert used(open_package([str(tmp_path)])) == ["rawprogram0.xml"]


# -- files and patterns -------------------------------------------------------------------------


def test_files_are_taken_in_their_order_and_patches_last(tmp_path: Path) -> None:
    both = document(program("boot.img"), packs.patch(1, 0, 4, 0))
    put(tmp_path, {"p.xml": PATCH, "b.xml": NORMAL, "a.xml": both})
    opened = open_in(tmp_path, "p.xml", "b.xml", "a.xml")
    assert used(opened) == ["b.xml", "a.xml", "p.xml"]
    assert opened.title == "3 XML files"


def test_a_pattern_is_expanded_and_never_takes_what_wipes(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["rawprogram0.xml", "rawprogram1.xml", WIPE, BLANK], NORMAL))
    opened = open_in(tmp_path, "rawprogram*.xml")
    assert used(opened) == ["rawprogram0.xml", "rawprogram1.xml"]
    assert left_out(opened) == dict.fromkeys(
        [WIPE, BLANK], "a pattern never takes files that wipe or blank"
    )


def test_a_pattern_for_what_wipes_takes_nothing(tmp_path: Path) -> None:
    put(tmp_path, {WIPE: NORMAL})
    with pytest.raises(PackageError) as caught:
        open_in(tmp_path, "rawprogram*WIPE*.xml")
    assert WIPE in caught.value.remedies[1]


def test_a_pattern_may_name_a_folder(tmp_path: Path) -> None:
    put(tmp_path, {"rom-7.1/rawprogram0.xml": NORMAL})
    assert used(open_in(tmp_path, "rom-*")) == ["rawprogram0.xml"]


@pytest.mark.parametrize("argument", ["", "nothing*.xml", "nothing.xml", "x" * 5000])
def test_an_argument_that_names_nothing_is_an_error(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"rawprogram0.xml": NORMAL})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is no file, folder or pattern") as caught:
        open_package([argument])
    assert caught.value.remedies[0].startswith("Check the name")


@pytest.mark.parametrize("others", [["rawprogram0.xml"], ["rawprogram_upgrade.xml"], ["my.xml"]])
def test_a_list_from_a_shell_never_takes_what_wipes(others: list[str], tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys([*others, WIPE, BLANK], NORMAL))
    opened = open_in(tmp_path, BLANK, *others, WIPE)
    assert used(opened) == others
    assert set(left_out(opened)) == {WIPE, BLANK}
    assert "name it alone" in left_out(opened)[WIPE]


def test_what_wipes_is_left_out_beside_a_folder(tmp_path: Path) -> None:
    put(tmp_path, {"rom/rawprogram0.xml": NORMAL, WIPE: NORMAL})
    opened = open_in(tmp_path, "rom", WIPE)
    assert used(opened) == ["rawprogram0.xml"]
    assert WIPE in left_out(opened)


def test_what_wipes_is_taken_when_it_alone_is_named(tmp_path: Path) -> None:
    put(tmp_path, {WIPE: NORMAL, BLANK: NORMAL, "prog.elf": packs.LOADER})
    assert used(open_in(tmp_path, "prog.elf", WIPE)) == [WIPE]
    assert used(open_in(tmp_path, WIPE, BLANK)) == [WIPE, BLANK]


def test_what_wipes_beside_patches_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {BLANK: NORMAL, "patch0.xml": PATCH})
    with pytest.raises(UsageError, match=r"'rawprogram0_BLANK_GPT\.xml' wipes or blanks") as caught:
        open_in(tmp_path, BLANK, "patch0.xml")
    assert caught.value.remedies == ("Name it alone if that is what you want.",)


def test_a_patch_file_may_stand_alone(tmp_path: Path) -> None:
    put(tmp_path, {"patch0.xml": PATCH})
    assert used(open_in(tmp_path, "patch0.xml")) == ["patch0.xml"]


def test_rival_sets_in_a_list_are_not_mixed(tmp_path: Path) -> None:
    names = ["rawprogram0.xml", "rawprogram_unsparse0.xml", "rawprogram_upgrade.xml", "extra.xml"]
    put(tmp_path, dict.fromkeys(names, NORMAL) | {"patch0.xml": PATCH})
    opened = open_in(tmp_path, *names, "patch0.xml")
    assert used(opened) == ["rawprogram_unsparse0.xml", "extra.xml", "patch0.xml"]
    assert set(left_out(opened)) == {"rawprogram0.xml", "rawprogram_upgrade.xml"}
    assert used(open_in(tmp_path, "rawprogram_upgrade.xml", "patch0.xml")) == [
        "rawprogram_upgrade.xml",
        "patch0.xml",
    ]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, {"rawprogram0.xml": NORMAL, "patch0.xml": PATCH})
    opened = open_in(tmp_path, "", "rawprogram*.xml", "patch0.xml")
    assert used(opened) == ["rawprogram0.xml", "patch0.xml"]


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    put(tmp_path, {"a/x.xml": NORMAL, "b/x.xml": NORMAL, "a/boot.img": "a", "b/boot.img": "b"})
    opened = open_in(tmp_path, "a/x.xml", "b/x.xml")
    assert used(opened) == ["x.xml", str(tmp_path / "b/x.xml")]
    found = [text(opened.find("boot.img", name)) for name in used(opened)]
    assert found == ["a", "b"]


# -- reading ------------------------------------------------------------------------------------


def test_all_bad_documents_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path, {
        "a.xml": "<data><program/></data>", "b.xml": NORMAL, "c.xml": "<data>", "d.img": b"\0\1",
    })  # fmt: skip
    with pytest.raises(DocumentError) as caught:
        open_in(tmp_path, "a.xml", "b.xml", "c.xml", "d.img")
    message = caught.value.message
    assert "a.xml:1: <program> has no attribute 'start_sector'" in message
    assert "c.xml:1: the XML is malformed" in message
    assert "d.img: the file is not XML text" in message
    assert caught.value.status == 7


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    bomb = "<!DOCTYPE d [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]>\n<data>&b;</data>"
    put(tmp_path, {"rawprogram0.xml": bomb})
    with pytest.raises(
        DocumentError, match=r"rawprogram0\.xml:1: the file defines a document type"
    ):
        open_package([str(tmp_path)])


def test_a_huge_document_is_not_read_in_whole(tmp_path: Path) -> None:
    put(tmp_path, {"rawprogram0.xml": ""})
    os.truncate(tmp_path / "rawprogram0.xml", 1 << 40)
    with pytest.raises(DocumentError, match="are the limit"):
        open_package([str(tmp_path)])


def test_a_closed_document_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"rawprogram0.xml": NORMAL})
    _close(monkeypatch, "rawprogram0.xml")
    for arguments in [""], ["rawprogram0.xml"]:
        with pytest.raises(ImageError, match=r"rawprogram0\.xml cannot be read: Permission denied"):
            open_in(tmp_path, *arguments)


def test_the_sector_size_is_told_where_it_is_one(tmp_path: Path) -> None:
    small, large = program("a"), program("b").replace('"512"', '"4096"')
    none = program("c").replace('SECTOR_SIZE_IN_BYTES="512" ', "")
    put(
        tmp_path,
        {"a.xml": document(small, none), "b.xml": document(large), "c.xml": document(none)},
    )
    assert open_in(tmp_path, "a.xml").sector_bytes == 512
    assert open_in(tmp_path, "b.xml").sector_bytes == 4096
    assert open_in(tmp_path, "a.xml", "b.xml").sector_bytes is None
    assert open_in(tmp_path, "c.xml").sector_bytes is None


def test_warnings_are_those_of_all_documents(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"a.xml": document(program("a", odd="1")), "b.xml": document(program("b", odd="2"))},
    )
    assert open_in(tmp_path, "a.xml", "b.xml").warnings == tuple(
        f"{name}:3: <program> has the unknown attribute 'odd'." for name in ("a.xml", "b.xml")
    )


# -- loaders ------------------------------------------------------------------------------------


def test_a_loader_in_the_line_is_used(tmp_path: Path) -> None:
    put(tmp_path, {"prog.elf": packs.LOADER, "rawprogram0.xml": NORMAL})
    opened = open_in(tmp_path, "prog.elf", "rawprogram0.xml", "prog.elf")
    assert opened.loaders == (tmp_path / "prog.elf",)
    assert opened.loader_named
    assert opened.title == "1 XML files"


def test_the_loader_of_the_package_is_found_once(tmp_path: Path) -> None:
    make_sample(tmp_path / "rom/images", REPO / "loaders/prog_firehose_ddr_qcm2290_test.elf")
    opened = open_in(tmp_path, "rom")
    assert opened.loaders == (tmp_path / "rom/images/prog_firehose_ddr.elf",)
    assert not opened.loader_named


def test_a_package_may_have_no_loader(tmp_path: Path) -> None:
    put(tmp_path, {"rawprogram0.xml": NORMAL, "tz.mbn": packs.LOADER})
    assert open_package([str(tmp_path)]).loaders == ()
    assert loaders.looks_like_programmer(packs.LOADER)  # by its head alone it might be one


# -- files of rows ------------------------------------------------------------------------------


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    """Return a folder whose set is in fw/, with files in, below, above and outside of it."""
    put(tmp_path, {
        "rom/fw/rawprogram0.xml": NORMAL, "rom/fw/boot.img": "boot", "rom/fw/sub/tz.mbn": "tz",
        "rom/sbl1.mbn": "sbl", "secret": "key", "more/modem.bin": "modem",
    })  # fmt: skip
    return tmp_path / "rom"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("boot.img", "fw/boot.img"),
        ("BOOT.IMG", "fw/boot.img"),
        ("sub/tz.mbn", "fw/sub/tz.mbn"),
        ("Sub\\TZ.mbn", "fw/sub/tz.mbn"),
        ("./boot.img", "fw/boot.img"),
        ("..\\sbl1.mbn", "sbl1.mbn"),
        ("sub/../boot.img", "fw/boot.img"),
        ("sbl1.mbn", "sbl1.mbn"),
    ],
)
def test_files_are_found_as_windows_would(name: str, place: str, rom: Path) -> None:
    opened = open_package([str(rom)])
    assert opened.find(name, "rawprogram0.xml").path == rom / place


@pytest.mark.parametrize("name", ["../../secret", "..\\..\\secret", "../../rom/../secret"])
def test_files_outside_the_package_are_refused(name: str, rom: Path) -> None:
    with pytest.raises(PackageError, match="lies outside the package") as caught:
        open_package([str(rom)]).find(name, "rawprogram0.xml")
    assert caught.value.remedies == ("If that is meant, name its folder with --include DIR.",)


@pytest.mark.parametrize("name", ["/etc/passwd", "\\\\host\\share", "C:\\boot.img", "c:boot.img"])
def test_absolute_names_are_refused(name: str, rom: Path) -> None:
    with pytest.raises(PackageError, match="is an absolute path") as caught:
        open_package([str(rom)]).find(name, "rawprogram0.xml")
    assert caught.value.remedies


@pytest.mark.parametrize(
    "name", ["gone.img", "boot.img/x", "gone/../../gone", ".", "sub", "x" * 300]
)
def test_missing_files_are_missing(name: str, rom: Path) -> None:
    opened = open_package([str(rom)])
    assert opened.locate(name, "rawprogram0.xml") is None
    with pytest.raises(PackageError, match="is missing") as caught:
        opened.find(name, "rawprogram0.xml")
    assert "--include" in caught.value.remedies[1]


def test_an_include_folder_is_searched_and_allowed(rom: Path) -> None:
    more = str(rom.parent / "more")
    opened = open_package([str(rom)], [more])
    assert opened.find("modem.bin", "rawprogram0.xml").path == rom.parent / "more/modem.bin"
    assert text(opened.find("../../more/modem.bin", "rawprogram0.xml")) == "modem"
    with pytest.raises(UsageError, match="'nowhere' is no folder"):
        open_package([str(rom)], ["nowhere"])


def test_dots_mean_the_parent_in_the_current_folder_too(
    rom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(rom / "fw", {"sbl1.mbn": "another"})
    monkeypatch.chdir(rom / "fw")
    alone = open_package(["rawprogram0.xml"])
    with pytest.raises(PackageError, match="lies outside"):
        alone.find("..\\sbl1.mbn", "rawprogram0.xml")
    both = open_package(["rawprogram0.xml"], [".."])
    assert text(both.find("..\\sbl1.mbn", "rawprogram0.xml")) == "sbl"
    assert text(both.find("sbl1.mbn", "rawprogram0.xml")) == "another"


def test_links_must_not_leave_the_package(rom: Path) -> None:
    (rom / "fw/inside.img").symlink_to("boot.img")
    (rom / "fw/outside.img").symlink_to(rom.parent / "secret")
    (rom / "fw/away").symlink_to(rom.parent)
    (rom / "fw/circle").symlink_to("circle")
    opened = open_package([str(rom)])
    assert text(opened.find("inside.img", "rawprogram0.xml")) == "boot"
    assert opened.locate("circle", "rawprogram0.xml") is None
    for name in ("outside.img", "away/secret"):
        with pytest.raises(PackageError, match="lies outside"):
            opened.find(name, "rawprogram0.xml")


def test_a_linked_folder_is_a_package_as_well(rom: Path) -> None:
    (rom.parent / "link").symlink_to(rom)
    opened = open_package([str(rom.parent / "link")])
    assert opened.find("..\\sbl1.mbn", "rawprogram0.xml").path == rom / "sbl1.mbn"


def test_names_that_differ_in_capitals_are_not_guessed(rom: Path) -> None:
    put(rom / "fw", {"Tz.img": "1", "TZ.img": "2"})
    opened = open_package([str(rom)])
    assert text(opened.find("Tz.img", "rawprogram0.xml")) == "1"
    with pytest.raises(
        PackageError, match=r"'TZ\.img' and 'Tz\.img' differ from it only"
    ) as caught:
        opened.find("tz.img", "rawprogram0.xml")
    assert caught.value.remedies


def test_a_closed_place_counts_as_missing(rom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_package([str(rom)])

    def refuse(self: Path) -> bool:
        raise _closed(self)

    for method in ("exists", "is_file", "is_dir"):
        monkeypatch.setattr(Path, method, refuse)
    assert opened.locate("boot.img", "rawprogram0.xml") is None
    assert not package._is_folder(rom)


def test_the_files_of_a_package_are_those_that_are_there(tmp_path: Path) -> None:
    rows = [program(name) for name in ("a.img", "b.img", "gone.img", "../../x", "", "A.IMG")]
    put(
        tmp_path,
        {"rawprogram0.xml": document(*rows, packs.read("c.img")), "a.img": "", "b.img": ""},
    )
    opened = open_package([str(tmp_path)])
    assert [file.path for file in opened.files] == [tmp_path / "a.img", tmp_path / "b.img"]
