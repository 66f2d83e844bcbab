# SPDX-License-Identifier: BSD-3-Clause
"""qdl's installers (flashmap.json) and meta builds (contents.xml)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl import imageset
from edl.chunks import FillContent, read_all
from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File
from edl.formats.flashmap import Layout, Programmable, read_flashmap
from edl.formats.metabuild import Entry, read_metabuild
from edl.imageset import ProgrammerSet
from edl.package import Package
from edl.packages.door import open_any
from edl.packages.model import Choices, Description
from loaders import make_dummies
from tests.cli.conftest import Edl, edl
from tests.conftest import REPO, shared
from tests.packages.making import rawprogram
from tests.packages.test_door import zipped
from tests.unit.test_cpio import END, entry
from tests.unit.test_imageset import config

__all__ = ["edl"]

LOADER = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()
OTHER = make_dummies.good_ones()["v3.mbn"]  # for an MSM8916


def opened(path: Path, **options: str) -> tuple[Package, Description]:
    return open_any([str(path)], choices=Choices(options=options))


def image(package: Package, name: str = "boot.img") -> bytes:
    file = package.find(name, "rawprogram0.xml")
    return read_all(file.content, 0, file.size_bytes)


# -- flashmap ------------------------------------------------------------------------------------


def layout(name: str = "layout0", programmer: Any = None, *memories: str) -> dict[str, Any]:  # noqa: ANN401
    """Return a layout as qdl's tests/test_flashmap.c and src/zipper.c write it."""
    return {
        "name": name,
        "programmer": programmer or ["prog.elf"],
        "programmable": [
            {"memory": memory, "slot": 0, "files": [f"{memory}/rawprogram0.xml"]}
            for memory in memories or ("emmc",)
        ],
    }


def flashmap(*layouts: dict[str, Any], version: str = "1.1.0") -> bytes:
    products = [{"name": "unit-test", "layouts": list(layouts)}]
    return json.dumps({"version": version, "products": products}).encode()


def installer(document: bytes, **more: bytes) -> bytes:
    return zipped({
        **more,
        "flashmap.json": document,
        "prog.elf": LOADER,
        "other.elf": OTHER,
        "xbl_config.elf": b"config",
        "emmc/rawprogram0.xml": rawprogram({"boot": "boot.img"}),
        "ufs/rawprogram0.xml": rawprogram({"boot": "boot.img"}, 4096),
        "boot.img": b"boot",
    })  # fmt: skip


def test_what_a_flashmap_says() -> None:
    told = read_flashmap(flashmap(layout("l", {"13": "a", "0x26": "b"}, "spinor")), "f")
    assert (told.version, told.product) == ("1.1.0", "unit-test")
    assert told.layouts == (
        Layout("l", {13: "a", 38: "b"}, (Programmable("spinor", 0, ("spinor/rawprogram0.xml",)),)),
    )
    assert read_flashmap(flashmap(layout()), "f").layouts[0].programmers == {13: "prog.elf"}
    several = flashmap(layout("l", ["13:a", "0x26:b"]))  # as qdl's flashmap.c reads 1.1.0
    assert read_flashmap(several, "f").layouts[0].programmers == {13: "a", 38: "b"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"[" * 100_000, b" " * (2 << 20), b"\xff",
        flashmap(layout(), version="2.0"),
        flashmap({"name": "x"}), flashmap(layout(programmer=["a", "b"])),
        flashmap(layout(programmer={"0": "a"})), flashmap(layout(programmer={"128": "a"})),
        flashmap(layout(programmer=["13:a", "0xd:b"])),
        flashmap(layout(programmer=["13:a", "14:"])),
        flashmap(layout(programmer={"x": "a"})), flashmap(layout(programmer=["a\x1b"])),
        flashmap({**layout(), "programmable": []}), flashmap({**layout(), "programmable": {}}),
        flashmap({**layout(), "programmable": [{"memory": 7, "slot": 0, "files": []}]}),
        flashmap({**layout(), "programmable": [{}] * 2000}),
        b'{"version": "1.1.0", "products": [1, 2]}',
    ],
)  # fmt: skip
def test_documents_that_are_no_flashmap(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^f: "):
        read_flashmap(data, "f")


def test_an_installer_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(installer(flashmap(layout())))
    package, description = opened(tmp_path / "a.zip")
    assert description.kind == "qdl installer (flashmap 1.1.0)"
    assert description.devices == ("unit-test",)
    assert image(package) == b"boot"
    assert [path.read_bytes() for path in package.loaders] == [LOADER]
    assert package.sector_bytes == 512


def test_programmers_by_id(tmp_path: Path) -> None:
    programmers = {"38": "xbl_config.elf", "13": "prog.elf"}
    document = flashmap(layout("l", programmers, "ufs"), version="1.2.0-qdl")
    (tmp_path / "a.zip").write_bytes(installer(document))
    package, told = opened(tmp_path / "a.zip")
    assert [path.read_bytes() for path in package.loaders] == [LOADER, b"config"]
    assert [each.read() for each in package.programmers] == [{13: LOADER, 38: b"config"}]
    assert package.warnings == ()
    assert ("programmer", "l: images 13, 38") in told.facts


@pytest.mark.parametrize("form", ["cpio", "config"])
def test_one_programmer_that_is_several_images(form: str, tmp_path: Path) -> None:
    names = config((13, "prog.elf"), (38, "xbl_config.elf"))
    parts = entry("13:prog.elf", LOADER) + entry("38:x", b"config") + entry(END)
    document = flashmap(layout("l", ["multi.bin"]))
    archive = installer(document, **{"multi.bin": names if form == "config" else parts})
    (tmp_path / "a.zip").write_bytes(archive)
    package, told = opened(tmp_path / "a.zip")
    assert [each.read() for each in package.programmers] == [{13: LOADER, 38: b"config"}]
    assert ("programmer", "multi.bin: images 13, 38") in told.facts
    assert package.loaders[0].read_bytes() == LOADER


def test_a_sahara_config_in_an_archive_is_followed(tmp_path: Path) -> None:
    files = {
        "rawprogram0.xml": rawprogram({"boot": "boot.img"}), "boot.img": b"boot",
        "prog.elf": LOADER, "x.elf": b"config", "other.xml": config((38, "x.elf")),
        "sub/sahara.xml": config((13, "../prog.elf")), "sahara.xml": config((13, "prog.elf")),
        "large.xml": config((13, "prog.elf")) + b" " * (1 << 16),
        "lacking.xml": config((13, "gone.elf"), (38, "gone too.elf")),
    }  # fmt: skip
    (tmp_path / "a.zip").write_bytes(zipped(files))
    package, _ = opened(tmp_path / "a.zip")
    assert [(each.name, each.read()) for each in package.programmers] == [
        ("sahara.xml", {13: LOADER})
    ]


def test_an_image_that_is_too_large() -> None:
    file = File("x/prog.elf", FillContent(imageset.MAX_FILE_BYTES + 1))
    with pytest.raises(ImageError, match=r"x/prog.elf \(image 13\) is larger than"):
        ProgrammerSet("x", {13: file}).read()


MULTI = "qcm2290,images=33+34+13"
SEVERAL = {"33": "prog.elf", "34": "prog.elf", "13": "prog.elf"}


@pytest.mark.parametrize(
    ("layouts", "phone", "taken"),
    [
        ([layout("l", SEVERAL)], MULTI, "images 13, 33, 34"),
        ([layout("m", ["other.elf"]), layout("l")], "qcm2290", "loader   l, "),  # by the chip
        ([layout("m"), layout("l", SEVERAL)], MULTI, "m or l"),  # by what the phone asks for
        ([layout("m", ["same.elf"]), layout("l")], "qcm2290", "m or l"),  # it makes no difference
    ],
)
def test_the_phone_decides_which_programmer_it_gets(
    layouts: list[dict[str, Any]], phone: str, taken: str, tmp_path: Path, edl: Edl
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(installer(flashmap(*layouts), **{"same.elf": LOADER}))
    told = edl("--virtual", phone, "rawprogram", path, "--dry-run")
    assert told.status == 0, told.err
    assert taken in told.err


def test_an_installer_unpacked_is_written_like_itself(tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(installer(flashmap(layout("l", SEVERAL))))
    assert edl("unpack", path, tmp_path / "out").status == 0
    told = edl("--virtual", MULTI, "rawprogram", tmp_path / "out", "--dry-run")
    assert told.status == 0, told.err
    assert "loader   sahara_config.xml, " in told.err


def test_what_the_phone_does_not_decide_is_asked(tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "a.zip"
    layouts = [layout("m", ["lite.elf"]), layout("l")]
    path.write_bytes(installer(flashmap(*layouts), **{"lite.elf": LOADER + b"lite"}))
    told = edl("--virtual", "qcm2290", "rawprogram", path, "--dry-run")
    assert told.status == 2
    assert "Several programmers of the package could be for this phone: m, l." in told.err
    assert "--choose layout=NAME" in told.err
    chosen = ("rawprogram", path, "--dry-run", "--choose", "layout=l")
    assert edl("--virtual", "qcm2290", *chosen).status == 0


def test_programmers_that_are_for_another_chip(tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(installer(flashmap(layout("m", {"13": "other.elf", "38": "xbl_config.elf"}))))
    told = edl("--virtual", "qcm2290", "rawprogram", path, "--dry-run")
    assert told.status != 0
    assert "No loader fits the phone" in told.err


def test_storages_and_layouts_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(
        installer(flashmap(layout("l", None, "emmc", "ufs"), layout("m", None, "ufs")))
    )
    with pytest.raises(PackageError, match="several layouts: l, m"):
        opened(path)
    with pytest.raises(PackageError, match="no such layout: l, m"):
        opened(path, layout="x")
    with pytest.raises(PackageError, match="nothing for that storage"):
        opened(path, layout="l", storage="nvme")
    assert opened(path, layout="m")[0].sector_bytes == 4096
    assert opened(path, layout="l", storage="ufs")[0].sector_bytes == 4096
    both = opened(path, layout="l")[0]
    assert sorted(both.variants) == [512, 4096]


def test_an_installer_that_lacks_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(installer(flashmap(layout(programmer=["gone.elf"]))))
    with pytest.raises(PackageError, match=r"'gone\.elf' is missing"):
        opened(tmp_path / "a.zip")


# -- contents.xml --------------------------------------------------------------------------------


def element(tag: str, name: str, folder: str, attributes: str = "", flavor: str = "") -> str:
    chosen = f' flavor="{flavor}"' if flavor else ""
    return (
        f"<{tag} {attributes}><file_name>{name}</file_name>"
        f"<file_path{chosen}>{folder}</file_path></{tag}>"
    )


EMMC, UFS = 'storage_type="emmc"', 'storage_type="ufs"'


def contents(*more: str, flavors: tuple[str, ...] = ("asic",)) -> bytes:
    names = "".join(f"<pf><name>{flavor}</name></pf>" for flavor in flavors)
    return (
        f"<contents><product_flavors>{names}</product_flavors>"
        "<product_info><product_name>SDM660.LA</product_name></product_info><builds_flat>"
        "<build><name>common</name><linux_root_path>./</linux_root_path>"
        + element("partition_file", "rawprogram0.xml", "common/${x:emmc}/", EMMC)
        + element("partition_file", "rawprogram0.xml", "common/ufs/", UFS)
        + element("partition_patch_file", "patch0.xml", "common/ufs/", UFS)
        + element("download_file", "*.img", "images/asic/", "", "asic")
        + element("download_file", "*.img", "images/rumi/", "", "rumi")
        + "".join(more)
        + "</build><build><linux_root_path>./../BOOT/</linux_root_path>"
        + element("device_programmer", "prog.elf", "tmp/../bin/")
        + element("device_programmer", "lite.elf", "bin/", 'firehose_type="lite"')
        + element("download_file", "never.bin", "bin/", 'ignore="true"')
        + "</build></builds_flat></contents>"
    ).encode()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("<file_name>a</file_name><file_path>b</file_path>" * 200, "more files than any build"),
        (f"<file_name>{'a' * 5000}</file_name><file_path/>", "1: the path is too long"),
    ],
)
def test_builds_that_are_made_to_exhaust_memory(more: str, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        read_metabuild(contents(f"<download_file>{more}</download_file>"), "contents.xml")


def test_variables_without_end_take_no_time() -> None:
    found = read_metabuild(contents(element("download_file", "${" * 1500, "x")), "contents.xml")
    assert any("${${" in entry.path for entry in found.entries)


FILES = {
    "META/contents.xml": contents(),
    "META/common/emmc/rawprogram0.xml": rawprogram({"boot": "boot.img", "tz": "tz.mbn"}),
    "META/common/emmc/tz.mbn": b"tz",
    "META/common/ufs/rawprogram0.xml": rawprogram({"boot": "boot.img"}, 4096),
    "META/common/ufs/patch0.xml": b"<patches/>",
    "META/images/asic/boot.img": b"asic",
    "META/images/rumi/boot.img": b"rumi",
    "BOOT/bin/prog.elf": LOADER,
}


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    def make(**changes: bytes | None) -> Path:
        replaced = {name.replace("__", "/"): data for name, data in changes.items()}
        for name, data in (FILES | replaced).items():
            if data is not None:
                path = tmp_path / "build" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return tmp_path / "build"

    return make


def test_what_a_contents_xml_says() -> None:
    told = read_metabuild(contents(), "contents.xml")
    assert (told.product, told.flavors, told.storages) == ("SDM660.LA", ("asic",), ("emmc", "ufs"))
    assert told.of("patch", "ufs", "asic") == (
        Entry("patch", "common/ufs/patch0.xml", "ufs", "", 1),
    )
    assert [entry.path for entry in told.of("programmer", "ufs", "")] == ["../BOOT/bin/prog.elf"]
    assert [entry.path for entry in told.of("rawprogram", "emmc", "")] == [
        "common/emmc/rawprogram0.xml"
    ]


def test_a_document_of_another_kind() -> None:
    with pytest.raises(DocumentError, match=r"no contents\.xml"):
        read_metabuild(b"<data/>", "contents.xml")


def test_a_real_one() -> None:
    file = shared("corpus") / "sdm660-bq-zangyapro" / "contents.xml"
    told = read_metabuild(file.read_bytes(), file.name)
    assert (told.product, told.flavors) == ("SDM660.LA.3.0.1", ("asic",))
    assert len(told.of("rawprogram", "ufs", "asic")) == 6
    assert [entry.path for entry in told.of("rawprogram", "emmc", "asic")] == [
        "common/build/emmc/bin/asic/sparse_images/rawprogram_unsparse.xml"
    ]
    assert [path.rpartition("/")[2] for path in
            (entry.path for entry in told.of("programmer", "ufs", "asic"))] == [
        "prog_emmc_ufs_firehose_Sdm660_ddr.elf"
    ]  # fmt: skip


def test_a_meta_build(tree: Callable[..., Path]) -> None:
    package, description = opened(tree())
    assert description.kind == "meta build (contents.xml)"
    assert description.version == "SDM660.LA"
    assert dict(description.facts) == {"flavor": "asic", "storage": "emmc or ufs"}
    assert sorted(package.variants) == [512, 4096]
    emmc = package.for_sectors(512)
    assert (image(emmc), image(emmc, "tz.mbn")) == (b"asic", b"tz")
    assert [path.name for path in package.loaders] == ["prog.elf"]
    assert len(emmc.members) == len(list(emmc.members))


def test_flavors_are_chosen(tree: Callable[..., Path]) -> None:
    path = tree(META__contents_xml=None)
    (path / "META" / "contents.xml").write_bytes(contents(flavors=("asic", "rumi")))
    with pytest.raises(PackageError, match="the flavors asic, rumi"):
        opened(path)
    with pytest.raises(PackageError, match="the flavors asic, rumi"):
        opened(path, flavor="x")
    assert image(opened(path, flavor="rumi", storage="ufs")[0]) == b"rumi"
    with pytest.raises(PackageError, match="no rawprogram files for nand") as caught:
        opened(path, storage="nand")  # whatever the flavor
    assert caught.value.remedies == ("Its contents.xml names such files for: emmc, ufs.",)


def test_without_storages_and_flavors(tree: Callable[..., Path]) -> None:
    path = tree()
    plain = element("partition_file", "rawprogram0.xml", "META/common/emmc/")
    document = f"<contents><builds_flat><build>{plain}</build></builds_flat></contents>"
    (path / "META" / "contents.xml").unlink()
    (path / "contents.xml").write_text(document)
    package, description = opened(path)
    assert description.facts == ()
    assert image(package, "tz.mbn") == b"tz"
    assert package.loaders  # found by content


def test_parts_of_a_build_that_are_missing(tree: Callable[..., Path]) -> None:
    path = tree()
    (path / "META" / "common" / "ufs" / "patch0.xml").unlink()
    with pytest.raises(PackageError, match=r"missing: common/ufs/patch0\.xml"):
        opened(path)


def test_a_contents_xml_alone_is_ignored(tmp_path: Path) -> None:
    files = {"contents.xml": contents(), "rawprogram0.xml": rawprogram({"boot": "boot.img"}),
             "boot.img": b"flat"}  # fmt: skip
    (tmp_path / "a.zip").write_bytes(zipped(files))
    package, description = opened(tmp_path / "a.zip")
    assert description.kind == "flat build (rawprogram)"
    assert image(package) == b"flat"


def test_paths_that_lead_out_of_the_tree(tree: Callable[..., Path]) -> None:
    package, _ = opened(tree() / "META")
    assert package.loaders == ()  # ../BOOT lies outside what was named
