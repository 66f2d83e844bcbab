# SPDX-License-Identifier: BSD-3-Clause
"""UFS provisioning files: real ones are read, and what cannot be meant is refused with its line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edl.errors import DocumentError
from edl.formats.provision import Layout, read_provision
from tests.conftest import shared

DEVICE = {
    "bNumberLU": 0, "bBootEnable": 1, "bDescrAccessEn": 0, "bInitPowerMode": 1,
    "bHighPriorityLUN": "0x1", "bSecureRemovalType": 0, "bInitActiveICCLevel": 0,
    "wPeriodicRTCUpdate": 0, "bConfigDescrLock": 0,
}  # fmt: skip
LUN = {
    "LUNum": 0, "bLUEnable": 1, "bBootLunID": 0, "size_in_kb": 4096, "bDataReliability": 0,
    "bLUWriteProtect": 0, "bMemoryType": 0, "bLogicalBlockSize": "0x0c", "bProvisioningType": 2,
    "wContextCapabilities": 0, "desc": "LU 0 - User LUN",
}  # fmt: skip
END = {"LUNtoGrow": 0, "commit": 1}
Values = Mapping[str, object]
NONE: Values = {}


def row(values: Values, **changes: object) -> str:
    merged = {**values, **changes}
    inside = "".join(f' {name}="{value}"' for name, value in merged.items() if value is not None)
    return f"<ufs{inside}/>"


def lun(number: int, **changes: object) -> str:
    return row(LUN, LUNum=number, **changes)


def document(*rows: str) -> bytes:
    """Return a file; its rows begin in line 2."""
    return ("<data>\n" + "\n".join(rows) + "\n</data>\n").encode()


def whole(device: Values = NONE, luns: tuple[str, ...] = (), end: Values = NONE) -> bytes:
    """Return a file with a user LUN, two boot LUNs and these LUNs."""
    boots = (lun(1, bBootLunID=1, bMemoryType=3), lun(2, bBootLunID=2, bMemoryType=3))
    return document(row(DEVICE, **device), lun(0), *boots, *luns, row(END, **end))


def read(data: bytes) -> Layout:
    return read_provision(data, "p.xml")


def test_a_file() -> None:
    layout = read(whole({"bConfigDescrLock": 1}, (lun(5, bLUEnable=0, size_in_kb=0),)))
    assert [each.lun for each in layout.luns] == [0, 1, 2, 5]
    assert [each.lun for each in layout.enabled] == [0, 1, 2]
    assert (layout.locks, layout.grows, layout.warnings) == (True, 0, ())
    user = layout.luns[0]
    assert (user.size_bytes, user.about, user.line) == (4096 * 1024, "LU 0 - User LUN", 3)
    # what is sent is what the file has, and never what is for people
    assert user.texts["bLogicalBlockSize"] == "0x0c"
    assert "desc" not in user.texts


@pytest.mark.parametrize(
    ("path", "luns", "sizes_kib"),
    [
        # as corpus-analysis.md, section 9, has them, made by another program
        ("qcm6490-particle-tachyon/provision_ufs22.xml", 7,
         [4096, 8192, 8192, 131072, 131072, 147456, 1835008]),
        ("qcm6490-particle-tachyon/provision_ufs22.BAD-f645bf5.xml", 6,
         [4096, 16416, 16416, 32768, 2621440, 204800]),
        ("qcs9075-iq9075-evk/provision_1_1.xml", 8,
         [4096, 16416, 16416, 32768, 35000000, 4096, 4096, 4096]),
        ("sm4250-oppo-a53/provision_hynix.xml", 6, [4096, 8192, 8192, 32768, 1808828, 458752]),
        ("sm4250-oppo-a53/provision_micron.xml", 6, [4096, 8192, 8192, 32768, 1808828, 458752]),
        ("sm4250-oppo-a53/provision_samsung.xml", 6, [4096, 8192, 8192, 32768, 1808828, 458752]),
        ("sm4250-oppo-a53/provision_toshiba.xml", 6, [4096, 8192, 8192, 32768, 1808828, 458752]),
    ],
)  # fmt: skip
def test_real_files(path: str, luns: int, sizes_kib: list[int]) -> None:
    layout = read(shared(f"corpus/{path}").read_bytes())
    assert len(layout.enabled) == luns
    assert [each.size_bytes // 1024 for each in layout.enabled] == sizes_kib
    assert (layout.locks, layout.grows, layout.warnings) == (False, 0, ())


def test_a_real_fragment_without_an_end() -> None:
    data = shared("corpus/docs-qualcomm-ufs-sample/provision_fragment_no_commit.xml").read_bytes()
    with pytest.raises(DocumentError, match=r"p\.xml:2: there is no row about the end"):
        read(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<data/>", "p.xml: this is no UFS provisioning file"),
        (b"<html><ufs/></html>", "p.xml: this is no UFS provisioning file"),
        (document(row(DEVICE), lun(0), row(END), "<program/>"), "p.xml:5: <program> does not"),
        (document("words", row(DEVICE), row(END)), "p.xml:1: stray text between the rows: 'words'"),
        (document(row(DEVICE), "<ufs>x</ufs>"), "p.xml:3: <ufs> has something inside it."),
        (document(row(DEVICE), "<ufs><a/></ufs>"), "p.xml:3: <ufs> has something inside it."),
        (document(row(END)), "p.xml:1: there is no row about the device (bNumberLU)."),
        (document(row(DEVICE), row(END)), "p.xml:1: there is no row about a LUN."),
        (document(row(DEVICE), row(DEVICE), lun(0), row(END)), "p.xml:3: there is more than one"),
        (document(row(DEVICE), lun(0), lun(0), row(END)), "p.xml:4: LUN 0 has more than one row."),
        (whole({"bSpeed": 1}), "p.xml:2: <ufs> has the unknown attribute 'bSpeed'."),
        (whole({"bInitPowerMode": None}), "p.xml:2: <ufs> has no attribute 'bInitPowerMode'."),
        (whole({"bInitPowerMode": 2}), "p.xml:2: bInitPowerMode='2' is no number from 0 to 1."),
        (whole({"bInitPowerMode": "x"}), "p.xml:2: bInitPowerMode='x' is no number from 0 to 1."),
        (whole({"bConfigDescrLock": "9" * 5000}), f"p.xml:2: bConfigDescrLock='{'9' * 40}' is no"),
        (whole(luns=(lun(8),)), "p.xml:6: LUNum='8' is no number from 0 to 7."),
        (whole(luns=(lun(3, size_in_kb=0),)), "p.xml:6: the LUN is enabled and has no size."),
        (whole(luns=(lun(3, bLUEnable=0),)), "p.xml:6: the LUN is off (bLUEnable=0), but has"),
        (whole(luns=(lun(3, bLUEnable=0, size_in_kb=0, bBootLunID=1),)), "p.xml:6: the LUN is off"),
        (whole(luns=(lun(3, bLogicalBlockSize="9"),)), "p.xml:6: bLogicalBlockSize is not 0x0c"),
        (whole(luns=(lun(3, size_in_kb=4095),)), "p.xml:6: size_in_kb=4095 is not a number of"),
        (whole(luns=(lun(3, bProvisioningType=1),)), "p.xml:6: bProvisioningType=1 means nothing"),
        (whole(luns=(lun(3, bBootLunID=1),)), "p.xml:6: boot LUN A (bBootLunID=1) is named twice."),
        (whole(luns=(lun(3, bBootLunID=2),)), "p.xml:6: boot LUN B (bBootLunID=2) is named twice."),
        (whole(end={"LUNtoGrow": 6}), "p.xml:6: LUNtoGrow names LUN 6, which is off."),
        (whole({"bNumberLU": 6}), "p.xml:2: bNumberLU says 6 LUNs, 3 are enabled."),
        (document(row(DEVICE), lun(0), row(END)), "p.xml:2: bBootEnable is 1, but no LUN is boot"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(data: bytes, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(data)
    assert problem in caught.value.message


def test_all_problems_are_told_at_once() -> None:
    data = whole({"bSpeed": 1}, (lun(3, bMemoryType=9),), {"commit": 2})
    with pytest.raises(DocumentError) as caught:
        read(data)
    assert [line.split(":")[1] for line in caught.value.message.splitlines()] == ["2", "6", "7"]


def test_what_is_odd_and_can_be_meant() -> None:
    assert read(whole({"bNumberLU": 3, "bHighPriorityLUN": "0x7F"})).warnings == ()
    odd = read(whole({"bBootEnable": 0, "bHighPriorityLUN": 5}, end={"commit": 0})).warnings
    assert [text.split(":")[0] for text in odd] == [
        "bBootEnable is 0",
        "bHighPriorityLUN names LUN 5, which is off.",
        "commit is 0",
    ]
    one = document(row(DEVICE), lun(0), lun(1, bBootLunID=1), row(END))
    assert read(one).warnings == ("no LUN is boot LUN B (bBootLunID=2): slot b cannot start.",)
