# SPDX-License-Identifier: BSD-3-Clause
"""qdl's installers (flashmap.json) and meta builds (contents.xml)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl.chunks import read_all
from edl.errors import DocumentError, PackageError
from edl.formats.flashmap import Layout, Programmable, read_flashmap
from edl.formats.metabuild import Entry, read_metabuild
from edl.package import Package
from edl.packages.door import open_any
from edl.packages.model import Choices, Description
from tests.conftest import REPO, shared
from tests.packages.making import rawprogram
from tests.packages.test_door import zipped

LOADER = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()


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


def installer(document: bytes) -> bytes:
    return zipped({
        "flashmap.json": document,
        "prog.elf": LOADER,
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


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"[" * 100_000, b" " * (2 << 20), b"\xff",
        flashmap(layout(), version="2.0"),
        flashmap({"name": "x"}), flashmap(layout(programmer=["a", "b"])),
        flashmap(layout(programmer={"0": "a"})), flashmap(layout(programmer={"64": "a"})),
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
    programmers = {"13": "prog.elf", "38": "xbl_config.elf"}
    document = flashmap(layout("l", programmers, "ufs"), version="1.2.0-qdl")
    (tmp_path / "a.zip").write_bytes(installer(document))
    package, _ = opened(tmp_path / "a.zip")
    assert [path.read_bytes() for path in package.loaders] == [LOADER, b"config"]
    paths = package.loaders
    assert f"--loader 13:{paths[0]},38:{paths[1]}" in package.warnings[0]


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
