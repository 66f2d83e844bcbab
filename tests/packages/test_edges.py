# SPDX-License-Identifier: BSD-3-Clause
"""The corners of the door, of trees, and of contents that only come in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl import files
from edl.chunks import BytesContent, read_all
from edl.errors import DocumentError, ImageError, PackageError, UsageError
from edl.files import File
from edl.package import Package
from edl.packages import door, whole
from edl.packages.door import open_any
from edl.packages.flat import Members
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree, of_folder
from edl.streamed import StreamContent
from tests.packages.making import noise, rawprogram
from tests.packages.test_door import FLAT, zipped


class Container:
    """A kind of package that is one file."""

    name = "container"

    def detect(self, tree: Tree) -> Confidence:
        if tree.kind != "file":
            raise DocumentError("only files")
        head = next(iter(tree.files.values())).head(9)
        return Confidence.SURE if head == b"CONTAINER" else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        del choices
        (file,) = tree.files.values()
        return Package(tree.title, (), (), {}, members=tree.files), Description(file.name)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "FORMATS", (Container(), *door.FORMATS))


@pytest.mark.usefixtures("container")
def test_a_container_in_an_archive(tmp_path: Path) -> None:
    data = b"CONTAINER" + noise(5000)
    (tmp_path / "a.zip").write_bytes(zipped({"readme.txt": b"x", "sub/rom.bin": data}))
    package, description = open_any([str(tmp_path / "a.zip")])
    assert description.kind == "a.zip/sub/rom.bin"
    file = package.members["rom.bin"]
    assert file.path is not None  # deflated: it is put on the disk, to be read anywhere
    assert read_all(file.content, 0, file.size_bytes) == data


@pytest.mark.usefixtures("container")
def test_several_containers_in_an_archive(tmp_path: Path) -> None:
    data = {"a.bin": b"CONTAINER1", "b.bin": b"CONTAINER2"}
    (tmp_path / "a.zip").write_bytes(zipped(data))
    with pytest.raises(PackageError, match=r"holds several packages: a\.bin, b\.bin"):
        open_any([str(tmp_path / "a.zip")])


@pytest.mark.usefixtures("container")
def test_a_kind_that_cannot_read_a_tree_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FLAT))
    assert open_any([str(tmp_path / "a.zip")])[1].kind == "flat build (rawprogram)"


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0"])
def test_names_that_are_no_files(name: str) -> None:
    with pytest.raises((UsageError, PackageError)):
        open_any([name])


def test_what_has_been_looked_at_is_gone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    file = files.on_disk(tmp_path / "x", "shown")
    assert file.name == "shown"
    with file.open() as opened:
        assert opened.read() == b"1"
    (tmp_path / "x").unlink()
    for use in (file.open, file.require_unchanged, lambda: files.on_disk(tmp_path / "x")):
        with pytest.raises(ImageError, match="cannot be read"):
            use()
    File("memory", BytesContent(b"")).require_unchanged()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="cannot be read"):
        of_folder(tmp_path / "gone")


def test_folders_below_the_seventh_are_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "1/2/3/4/5/6/7").mkdir(parents=True)
    (tmp_path / "1/2/3/4/5/6/7/x").write_bytes(b"")
    (tmp_path / "1/2/3/4/5/6/y").write_bytes(b"")
    assert list(of_folder(tmp_path).files) == ["1/2/3/4/5/6/y"]


def tree_of(*names: str) -> Tree:
    return Tree("t", "zip", {name: File(name, BytesContent(name.encode())) for name in names})


def test_capitals() -> None:
    tree = tree_of("A.img", "b/C.img", "b/c.IMG")
    assert tree.get("a.IMG") is tree.files["A.img"]
    assert tree.get("./b\\C.img") is tree.files["b/C.img"]
    with pytest.raises(PackageError, match="differ from it only in capitals"):
        tree.get("B/c.img")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "..\\x"])
def test_rows_do_not_lead_out(name: str) -> None:
    with pytest.raises(PackageError, match=r"outside the package|an absolute path"):
        Members(tree_of("x"), ".")[name]


def test_rows_find_their_files_anywhere_in_the_package() -> None:
    members = Members(tree_of("rom/rawprogram0.xml", "x/boot.img", "y/tz.mbn", "z/tz.mbn"), "rom")
    assert members["boot.img"].name == "x/boot.img"
    with pytest.raises(PackageError, match=r"could be y/tz\.mbn or z/tz\.mbn"):
        members["tz.mbn"]
    with pytest.raises(KeyError):
        members["gone"]
    assert len(members) == len(list(members)) == 4


class Failing:
    """A stream of a file on a disk that breaks."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    def read(self, size_bytes: int) -> bytes:
        if not self._data:
            raise OSError(5, "Input/output error")
        piece, self._data = self._data[:size_bytes], self._data[size_bytes:]
        return piece

    def skip(self, size_bytes: int) -> None:
        self.read(size_bytes)


def test_disks_that_break() -> None:
    content = StreamContent("img", 100, lambda: Failing(b"1234"))
    with pytest.raises(ImageError, match="img cannot be read: Input/output error"):
        read_all(content, 0, 100)
    with pytest.raises(ImageError, match="img cannot be read"):
        content.verify()


def test_damage_in_several_files_is_told_at_once() -> None:
    class Short(Failing):
        def read(self, size_bytes: int) -> bytes:
            del size_bytes
            return b""

    broken = [File(name, StreamContent(name, 9, Short)) for name in ("a", "b")]
    with pytest.raises(ImageError) as caught:
        whole.verify([*broken, File("c", BytesContent(b"c"))])
    assert caught.value.message.splitlines() == [
        "a is damaged: it ends too early.", "b is damaged: it ends too early.",
    ]  # fmt: skip


def test_a_stream_that_does_not_end() -> None:
    class Long(Failing):
        def read(self, size_bytes: int) -> bytes:
            return bytes(size_bytes)

    with pytest.raises(ImageError, match="does not end where it should"):
        StreamContent("a", 9, Long).verify()


def test_reading_on_costs_nothing_and_going_back_starts_again() -> None:
    started = []
    data = noise(1000)

    class Counted(Failing):
        def __init__(self) -> None:
            super().__init__(data)
            started.append(1)

        def read(self, size_bytes: int) -> bytes:
            return super().read(size_bytes) if self._data else b""

    content = StreamContent("a", 1000, Counted)
    assert read_all(content, 100, 50) == data[100:150]
    assert read_all(content, 150, 50) == data[150:200]
    assert read_all(content, 900, 10) == data[900:910]
    content.verify()
    assert len(started) == 1
    assert read_all(content, 0, 10) == data[:10]
    assert len(started) == 2


def test_rows_of_one_set_take_one_storage(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"rawprogram0.xml": rawprogram({"boot": ""}, 2048)}))
    assert open_any([str(tmp_path / "a.zip")])[1].facts == ()
