# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.errors import PackageError
from edl.formats.selection import Kind, NameClass, Selection, classify_name, select


# Names that occur in packages (packages.md 1.8).
@pytest.mark.parametrize(
    ("name", "kind", "lun"),
    [
        ("rawprogram0.xml", Kind.NORMAL, 0),
        ("rawprogram5.xml", Kind.NORMAL, 5),
        ("RawProgram12.XML", Kind.NORMAL, 12),
        ("rawprogram.xml", Kind.NORMAL, None),
        ("rawprogram_unsparse.xml", Kind.UNSPARSE, None),
        ("rawprogram_unsparse0.xml", Kind.UNSPARSE, 0),
        ("rawprogram0_unsparse.xml", Kind.UNSPARSE, 0),
        ("rawprogram_upgrade.xml", Kind.UPGRADE, None),
        ("rawprogram0_update.xml", Kind.UPGRADE, 0),
        ("patch0.xml", Kind.PATCH, 0),
        ("patch.xml", Kind.PATCH, None),
        ("rawprogram0_BLANK_GPT.xml", Kind.BLANK, 0),
        ("rawprogram0_BLANK.xml", Kind.BLANK, 0),
        ("rawprogram4_WIPE_PARTITIONS.xml", Kind.WIPE, 4),
        ("wipe_rawprogram_PHY7.xml", Kind.PHY_WIPE, 7),
        ("erase.xml", Kind.ERASE, None),
        ("rawprogram_erase.xml", Kind.ERASE, None),
        ("erase_all.xml", Kind.ERASE, None),
        ("release.xml", Kind.OTHER, None),
        ("rawprogram-ufs.xml", Kind.OTHER, None),
        ("rawprogram_unsparse0-half.xml", Kind.PARTIAL, 0),
        ("rawprogram4_write_devinfo.xml", Kind.LOCK, 4),
        ("rawprogram_save_persist_unsparse0.xml", Kind.KEEPING, 0),
        ("rawprogram_nand_p2K_b128K_update.xml", Kind.FLASH_UPDATE, None),
        ("rawprogram_nand_p4K_b256K.xml", Kind.FLASH, None),
        ("rawprogram_nand_p4K_b256K_factory.xml", Kind.OTHER, None),
        ("patch_p2K_b128K.xml", Kind.PATCH, None),
        ("rawprogram0.xml.bak", Kind.OTHER, None),
        ("rawprogram1234.xml", Kind.OTHER, None),
        ("boot.img", Kind.OTHER, None),
    ],
)
def test_names_say_what_a_file_is_for(name: str, kind: Kind, lun: int | None) -> None:
    assert classify_name(name) == NameClass(kind, lun)


def reasons(selection: Selection) -> dict[str, str]:
    return {left.name: left.reason for left in selection.left_out}


def test_a_folder_of_ptool_gives_one_set_in_order() -> None:
    names = [
        *(f"rawprogram{n}{kind}.xml" for n in (10, 1, 0) for kind in ("", "_BLANK_GPT")),
        *(f"patch{n}.xml" for n in (10, 1, 0)),
        "rawprogram0_WIPE_PARTITIONS.xml",
        "wipe_rawprogram_PHY0.xml",
        "erase.xml",
        "rawprogram-ufs.xml",
        "rawprogram0.x",
        "contents.xml",
        "boot.img",
    ]
    selection = select(names)
    assert selection.rawprograms == ("rawprogram0.xml", "rawprogram1.xml", "rawprogram10.xml")
    assert selection.patches == ("patch0.xml", "patch1.xml", "patch10.xml")
    assert sorted(reasons(selection)) == [
        "erase.xml",
        "rawprogram-ufs.xml",
        "rawprogram0.x",
        "rawprogram0_BLANK_GPT.xml",
        "rawprogram0_WIPE_PARTITIONS.xml",
        "rawprogram10_BLANK_GPT.xml",
        "rawprogram1_BLANK_GPT.xml",
        "wipe_rawprogram_PHY0.xml",
    ]
    assert "no longer starts" in reasons(selection)["rawprogram0_BLANK_GPT.xml"]


def test_raw_pieces_win_over_sparse_images() -> None:
    selection = select(["rawprogram0.xml", "rawprogram_unsparse0.xml", "rawprogram1.xml"])
    assert selection.rawprograms == ("rawprogram_unsparse0.xml", "rawprogram1.xml")
    assert reasons(selection) == {"rawprogram0.xml": "'rawprogram_unsparse0.xml' takes its place"}


def test_a_name_without_a_number_is_for_lun_0_unless_another_says_so() -> None:
    assert select(["rawprogram0.xml", "rawprogram_unsparse.xml"]).rawprograms == (
        "rawprogram_unsparse.xml",
    )
    selection = select(["rawprogram.xml", "rawprogram0.xml", "patch.xml", "patch0.xml"])
    assert (selection.rawprograms, selection.patches) == (("rawprogram0.xml",), ("patch0.xml",))
    assert reasons(selection) == {
        "rawprogram.xml": "'rawprogram0.xml' takes its place",
        "patch.xml": "'patch0.xml' takes its place",
    }


def test_files_for_upgrades_are_used_on_request_only() -> None:
    names = ["rawprogram0.xml", "rawprogram0_upgrade.xml", "rawprogram1.xml"]
    selection = select(names)
    assert selection.rawprograms == ("rawprogram0.xml", "rawprogram1.xml")
    assert "not asked for" in reasons(selection)["rawprogram0_upgrade.xml"]
    selection = select(names, upgrade=True)
    assert selection.rawprograms == ("rawprogram0_upgrade.xml", "rawprogram1.xml")
    with pytest.raises(PackageError, match="no rawprogram file for an upgrade"):
        select(["rawprogram0.xml"], upgrade=True)


def test_equal_rivals_are_for_the_user_to_decide() -> None:
    with pytest.raises(PackageError, match=r"'rawprogram0\.xml' and 'rawprogram00\.xml' are both"):
        select(["rawprogram0.xml", "rawprogram00.xml"])
    with pytest.raises(PackageError, match="for LUN 4: use only one"):
        select(["rawprogram4_unsparse.xml", "rawprogram_unsparse4.xml", "rawprogram4.xml"])


def test_a_patch_goes_with_the_rawprogram_file_of_its_lun() -> None:
    selection = select(["rawprogram0.xml", "patch0.xml", "patch5.xml"])
    assert selection.patches == ("patch0.xml",)
    assert reasons(selection) == {"patch5.xml": "there is no rawprogram file for LUN 5"}
    # One file without a number may hold the rows of six LUNs.
    assert select(["rawprogram.xml", "patch0.xml", "patch5.xml"]).patches == (
        "patch0.xml",
        "patch5.xml",
    )


def test_a_folder_without_such_files_gives_none() -> None:
    assert select(["boot.img"]) == Selection((), (), ())


def test_of_lenovos_variants_the_one_that_leaves_persist_alone() -> None:
    names = [
        "rawprogram_save_persist_unsparse0.xml", "rawprogram_unsparse0.xml",
        "rawprogram_unsparse0-half.xml", "rawprogram4.xml", "rawprogram4_write_devinfo.xml",
    ]  # fmt: skip
    found = select(names)
    assert found.rawprograms == ("rawprogram_save_persist_unsparse0.xml", "rawprogram4.xml")
    assert {left.name: left.reason for left in found.left_out} == {
        "rawprogram_unsparse0.xml": "'rawprogram_save_persist_unsparse0.xml' takes its place",
        "rawprogram_unsparse0-half.xml": "it writes a part of the partitions only",
        "rawprogram4_write_devinfo.xml": "it writes devinfo, which holds the phone's lock and"
        " region",
    }
