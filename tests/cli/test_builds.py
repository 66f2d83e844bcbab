# SPDX-License-Identifier: BSD-3-Clause
"""What images say about their builds, with metadata by libavb's headers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.package import open_package
from edl.packages import builds, door
from edl.packages.builds import Build
from edl.packages.holdings import Holding
from edl.packages.model import Description
from tests import packs
from tests.cli.conftest import Edl
from tests.conftest import REPO
from tests.unit import test_avb as avbs

OLD = "maker/product/phone:12/ID1/100:user/release-keys"
NEW = "maker/product/phone:13/ID2/200:user/release-keys"


def prop(part: str, what: str, value: str) -> bytes:
    return avbs.property_(f"com.android.build.{part}.{what}".encode(), value.encode())


def vbmeta(*parts: tuple[str, str]) -> bytes:
    return avbs.vbmeta(*(prop(part, "fingerprint", value) for part, value in parts))


def image(metadata: bytes, size: int = 65536) -> bytes:
    """Return an image of size bytes with metadata and a footer."""
    at = 8192
    body = b"ANDROID!".ljust(at, b"\1") + metadata
    return body.ljust(size - 64, b"\0") + avbs.footer(at, len(metadata))


def holding(name: str, data: bytes) -> Holding:
    return Holding(name, BytesContent(data), ((0, len(data)),))


def of(**images: bytes) -> tuple[Build, ...]:
    return builds.of_holdings(holding(name, data) for name, data in images.items())


def messages(**images: bytes) -> list[str]:
    return [finding.message for finding in builds.warnings(of(**images))]


def test_properties_at_the_end_of_an_image_and_by_themselves() -> None:
    metadata = avbs.vbmeta(
        prop("boot", "fingerprint", OLD), prop("boot", "security_patch", "2023-05-01"),
        prop("vendor", "os_version", "12"), avbs.property_(b"other", b"x"),
    )  # fmt: skip
    found = of(boot_a=image(metadata), vbmeta=metadata)
    assert [(b.partition, b.of, b.fingerprint, b.security_patch) for b in found] == [
        ("boot_a", "boot", OLD, "2023-05-01"), ("boot_a", "vendor", "", ""),
        ("vbmeta", "boot", OLD, "2023-05-01"), ("vbmeta", "vendor", "", ""),
    ]  # fmt: skip
    assert (found[0].device, found[0].number, found[0].rollback) == ("phone", "12/ID1/100", 3)
    assert builds.warnings(found) == ()
    assert builds.fingerprint(found) == OLD
    assert builds.device(found) == "phone"


def test_whatever_says_nothing_is_left_out() -> None:
    metadata = vbmeta(("boot", OLD))
    assert of(
        empty=b"", short=b"abc", raw=bytes(5000), damaged=metadata[:300],
        far=image(metadata)[:-64] + avbs.footer(60_000, 10_000), wrong=image(b"x" * 500),
    ) == ()  # fmt: skip
    assert builds.fingerprint(()) == builds.device(()) == ""
    assert builds.told(Description("kind"), ()) == Description("kind")


def test_one_partition_said_in_two_ways() -> None:
    told = messages(vbmeta=vbmeta(("boot", NEW)), boot=image(vbmeta(("boot", OLD))))
    assert told[0] == f"'boot' is of several builds by its build: {NEW} (vbmeta); {OLD} (boot)."
    assert "13/ID2/200 (boot); 12/ID1/100 (boot)" in told[1]
    patches = [avbs.vbmeta(prop("boot", "security_patch", f"2023-0{n}-01")) for n in (1, 2)]
    told = messages(boot_a=image(patches[0]), boot_b=image(patches[1]))
    assert told == ["'boot' is of several builds by its security patch: 2023-01-01 (boot_a);"
                    " 2023-02-01 (boot_b)."]  # fmt: skip


def test_the_trees_of_system_and_vendor_have_their_own_numbers() -> None:
    assert messages(vbmeta=vbmeta(("vendor", OLD), ("boot", OLD), ("system", NEW))) == []
    assert messages(vbmeta=vbmeta(("vendor", OLD), ("my_stock", NEW))) == []
    told = messages(vbmeta=vbmeta(("vendor", OLD), ("boot", NEW), ("dtbo", OLD)))
    assert told == [
        "The images come from several builds: 12/ID1/100 (vendor, dtbo); 13/ID2/200 (boot)."
    ]
    told = messages(vbmeta=vbmeta(("system", OLD), ("product", "odd one")))
    assert told == ["The images come from several builds: 12/ID1/100 (system); odd one (product)."]
    parts = [(f"part{n}", OLD) for n in range(9)]
    told = messages(vbmeta=vbmeta(*parts, ("boot", NEW)))
    assert "part4, part5 and 3 more)" in told[0]


def test_boot_images_carry_words() -> None:
    loader = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()

    def with_words(version: bytes) -> bytes:
        assert b"BOOT.XF.4.1-00330" in loader
        return loader.replace(b"BOOT.XF.4.1-00330", version) + b"OEM_IMAGE_VERSION_STRING=host1\0"

    found = of(xbl_a=with_words(b"BOOT.XF.4.1-00001"))
    assert found[0].words["QC_IMAGE_VERSION_STRING"] == "BOOT.XF.4.1-00001"
    assert found[0].words["OEM_IMAGE_VERSION_STRING"] == "host1"
    assert found[0].of == "xbl"
    told = messages(xbl_a=with_words(b"BOOT.XF.4.1-00001"), xbl_b=with_words(b"BOOT.XF.4.1-00002"))
    assert told == ["'xbl' is of several builds by its version: BOOT.XF.4.1-00001 (xbl_a);"
                    " BOOT.XF.4.1-00002 (xbl_b)."]  # fmt: skip
    assert messages(xbl_a=with_words(b"A-1"), tz_a=with_words(b"B-2")) == []
    assert of(xbl=b"\x7fELF" + bytes(builds._MAX_FIRMWARE_BYTES)) == ()
    assert of(xbl=b"\x7fELF" + b"QC_IMAGE_VERSION_STRING=X.1\0")[0].rollback is None


def rom(folder: Path, **images: bytes) -> Path:
    rows = [packs.program(f"{n}.img", 1000 * at, 256, n) for at, n in enumerate(images, 1)]
    files = {f"{name}.img": data for name, data in images.items()}
    return packs.put(folder, files | {"rawprogram0.xml": packs.document(*rows)})


def test_check_shows_build_and_warns(tmp_path: Path, edl: Edl) -> None:
    good = rom(tmp_path / "good", vbmeta=vbmeta(("boot", OLD)), boot=image(vbmeta(("boot", OLD))))
    told = edl("check", good)
    assert told.status == 0
    assert f"build    {OLD}" in told.out
    assert "for      phone" in told.out
    assert "no warnings" in told.out
    mixed = rom(tmp_path / "mixed", vbmeta=vbmeta(("boot", NEW)), boot=image(vbmeta(("boot", OLD))))
    told = edl("check", mixed)
    assert told.status == 0
    assert "'boot' is of several builds" in told.err
    lines = edl("check", mixed, "--json").lines
    assert {line["code"] for line in lines if line["type"] == "finding"} == {"mixed-builds"}
    assert lines[-1]["warnings"] == 2


def test_packed_images_are_read_as_far_as_that_is_quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rom(tmp_path / "rom", boot=image(vbmeta(("boot", OLD))), vbmeta=vbmeta(("dtbo", OLD)))
    path = tmp_path / "rom.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    found = builds.of(door.open_any([str(path)])[0])
    assert {build.partition for build in found} == {"boot", "vbmeta"}
    monkeypatch.setattr(builds, "_MAX_STREAMED_BYTES", 1000)
    found = builds.of(door.open_any([str(path)])[0])
    assert {build.partition for build in found} == {"vbmeta"}


def test_the_other_slot_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "rom"
    rows = packs.document(*(packs.program("b.img", at, 256, f"boot_{at}") for at in (1000, 2000)))
    packs.put(folder, {"b.img": image(vbmeta(("boot", OLD))), "rawprogram0.xml": rows})
    assert [b.partition for b in builds.of(open_package([str(folder)]))] == ["boot_1000"]
