# SPDX-License-Identifier: BSD-3-Clause
"""UFS provisioning files: how the storage is to be divided into LUNs.

A file holds <ufs> rows of three kinds: one about the device, one a LUN, and one that ends the list
and names the LUN that takes what is left. The values go into the configuration descriptor of the
device (JESD220, "Configuration Descriptor"), some of them for ever, so that a value or an attribute
that is not understood is an error, and never passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats.xml import Element, Problem, problems_error, read_document
from edl.units import KIB, parse_number

MAX_LUNS = 8  # bMaxNumberLU of the devices that programmers can configure
BLOCK_LOG2 = 12  # bLogicalBlockSize of all files seen: 4096 bytes
NO_PRIORITY = 0x7F  # bHighPriorityLUN: all LUNs alike
BOOT_A, BOOT_B = 1, 2  # bBootLunID

_BYTE, _WORD, _DWORD = 0xFF, 0xFFFF, 0xFFFF_FFFF
_MAX_SIZE_KIB = 1 << 36  # 64 TiB
_MAX_CHARS = 20  # of a value

# attribute -> (largest value, whether the row must have it)
_Kinds = Mapping[str, tuple[int, bool]]
_DEVICE: _Kinds = {
    "bNumberLU": (MAX_LUNS, True),
    "bBootEnable": (1, True),
    "bDescrAccessEn": (1, True),
    "bInitPowerMode": (1, True),
    "bHighPriorityLUN": (NO_PRIORITY, True),
    "bSecureRemovalType": (3, True),
    "bInitActiveICCLevel": (15, True),
    "wPeriodicRTCUpdate": (_WORD, True),
    "bConfigDescrLock": (1, True),
    "bWriteBoosterBufferPreserveUserSpaceEn": (1, False),
    "bWriteBoosterBufferType": (1, False),
    "shared_wb_buffer_size_in_kb": (_MAX_SIZE_KIB, False),
    "qVendorConfigCode": (_DWORD, False),
}
_LUN: _Kinds = {
    "LUNum": (MAX_LUNS - 1, True),
    "bLUEnable": (1, True),
    "bBootLunID": (BOOT_B, True),
    "size_in_kb": (_MAX_SIZE_KIB, True),
    "bDataReliability": (1, True),
    "bLUWriteProtect": (2, True),
    "bMemoryType": (6, True),
    "bLogicalBlockSize": (_BYTE, True),
    "bProvisioningType": (3, True),
    "wContextCapabilities": (_WORD, True),
    "wb_buffer_size_in_kb": (_MAX_SIZE_KIB, False),
}
_END: _Kinds = {"LUNtoGrow": (MAX_LUNS - 1, True), "commit": (1, True)}
_FOR_PEOPLE = "desc"


@dataclass(frozen=True)
class ProvisionRow:
    """One row. values: as numbers, by name. texts: as the file has them, which is what is sent.

    about: what the file says about it, for people. line: in the file; the first is 1.
    """

    values: Mapping[str, int]
    texts: Mapping[str, str]
    about: str
    line: int


@dataclass(frozen=True)
class LunRow(ProvisionRow):
    """A row about one LUN."""

    @property
    def lun(self) -> int:
        """Number of the LUN that the row is about."""
        return self.values["LUNum"]

    @property
    def size_bytes(self) -> int:
        """Size of the LUN; of the one that grows, what it has at least."""
        return self.values["size_in_kb"] * KIB

    @property
    def enabled(self) -> bool:
        """Whether there is to be such a LUN."""
        return bool(self.values["bLUEnable"])


@dataclass(frozen=True)
class Layout:
    """A provisioning file. luns: one row a LUN, in the order of the file. warnings: told only."""

    name: str
    device: ProvisionRow
    luns: tuple[LunRow, ...]
    end: ProvisionRow
    warnings: tuple[str, ...] = ()

    @property
    def enabled(self) -> tuple[LunRow, ...]:
        """The LUNs that there will be, by number."""
        return tuple(sorted((row for row in self.luns if row.enabled), key=lambda row: row.lun))

    @property
    def locks(self) -> bool:
        """Whether the layout can never be changed again."""
        return bool(self.device.values["bConfigDescrLock"])

    @property
    def grows(self) -> int:
        """Number of the LUN that takes what the others leave."""
        return self.end.values["LUNtoGrow"]


def read_provision(data: bytes, name: str) -> Layout:
    """Return the layout in data, the content of the provisioning file name.

    Raises:
        DocumentError: data is no such file, or holds what cannot be or is not understood; the
            message lists all of it with the lines.
    """
    root = read_document(data, name).root
    rows = [child for child in root.children if child.tag == "ufs"]
    if root.tag not in {"data", "provision"} or not rows:
        raise DocumentError(f"{name}: this is no UFS provisioning file: it has no <ufs> rows.")
    problems = [
        Problem(child.line, f"<{child.tag}> does not belong into a provisioning file.")
        for child in root.children
        if child.tag != "ufs"
    ]
    if root.text:
        problems.append(Problem(root.line, f"stray text between the rows: '{root.text[:60]}'."))
    device = [_row(each, _DEVICE, problems) for each in rows if _kind(each) == "device"]
    luns = [LunRow(**vars(_row(each, _LUN, problems))) for each in rows if _kind(each) == "lun"]
    end = [_row(each, _END, problems) for each in rows if _kind(each) == "end"]
    if not problems:
        _complete(root, {"device": device, "end": end}, luns, problems)
    if problems:
        raise problems_error(name, sorted(problems, key=lambda problem: problem.line))
    layout = Layout(name, device[0], tuple(luns), end[0])
    problems += _contradictions(layout)
    if problems:
        raise problems_error(name, sorted(problems, key=lambda problem: problem.line))
    return Layout(name, layout.device, layout.luns, layout.end, tuple(_doubts(layout)))


def _kind(element: Element) -> str:
    """Return what element is about: the device, a LUN, or the end."""
    if "LUNum" in element.attributes:
        return "lun"
    ends = "LUNtoGrow" in element.attributes or "commit" in element.attributes
    return "end" if ends else "device"


def _row(element: Element, known: _Kinds, problems: list[Problem]) -> ProvisionRow:
    """Return what element says; what is wrong goes to problems."""
    found: list[str] = []
    values, texts = {}, {}
    for key, text in element.attributes.items():
        if key == _FOR_PEOPLE:
            continue
        if key not in known:
            found.append(f"<ufs> has the unknown attribute '{key[:40]}'.")
            continue
        limit = known[key][0]
        try:
            values[key] = parse_number(text) if len(text) <= _MAX_CHARS else -1
        except ValueError:
            values[key] = -1
        texts[key] = text.strip()
        if not 0 <= values[key] <= limit:
            found.append(f"{key}='{text[:40]}' is no number from 0 to {limit}.")
    found += [
        f"<ufs> has no attribute '{key}'."
        for key, (_, needed) in known.items()
        if needed and key not in element.attributes
    ]
    if element.children or element.text:
        found.append("<ufs> has something inside it.")
    problems += [Problem(element.line, text) for text in found]
    return ProvisionRow(values, texts, element.attributes.get(_FOR_PEOPLE, ""), element.line)


def _complete(
    root: Element,
    kinds: Mapping[str, list[ProvisionRow]],
    luns: list[LunRow],
    problems: list[Problem],
) -> None:
    """Look whether there are as many rows of each kind as there must be."""
    names = {"device": "the device (bNumberLU)", "end": "the end (LUNtoGrow, commit)"}
    for kind, words in names.items():
        if not kinds[kind]:
            problems.append(Problem(root.line, f"there is no row about {words}."))
        problems += [
            Problem(row.line, f"there is more than one row about {words}.")
            for row in kinds[kind][1:]
        ]
    if not luns:
        problems.append(Problem(root.line, "there is no row about a LUN."))
    seen: set[int] = set()
    for row in luns:
        if row.lun in seen:
            problems.append(Problem(row.line, f"LUN {row.lun} has more than one row."))
        seen.add(row.lun)


def _contradictions(layout: Layout) -> list[Problem]:
    """Return what cannot be meant."""
    enabled = {row.lun for row in layout.enabled}
    found = [problem for row in layout.luns for problem in _lun_problems(row)]
    for what in (BOOT_A, BOOT_B):
        twice = [row for row in layout.enabled if row.values["bBootLunID"] == what][1:]
        found += [
            Problem(row.line, f"boot LUN {'AB'[what - 1]} (bBootLunID={what}) is named twice.")
            for row in twice
        ]
    if layout.grows not in enabled:
        found.append(Problem(layout.end.line, f"LUNtoGrow names LUN {layout.grows}, which is off."))
    told = layout.device.values["bNumberLU"]
    if told and told != len(enabled):
        text = f"bNumberLU says {told} LUNs, {len(enabled)} are enabled."
        found.append(Problem(layout.device.line, text))
    boots = any(row.values["bBootLunID"] == BOOT_A for row in layout.enabled)
    if layout.device.values["bBootEnable"] and not boots:
        text = "bBootEnable is 1, but no LUN is boot LUN A (bBootLunID=1): nothing could start."
        found.append(Problem(layout.device.line, text))
    return found


def _lun_problems(row: LunRow) -> list[Problem]:
    values, found = row.values, []
    if row.enabled and not row.size_bytes:
        found.append("the LUN is enabled and has no size.")
    if not row.enabled and (row.size_bytes or values["bBootLunID"]):
        found.append("the LUN is off (bLUEnable=0), but has a size or boots.")
    if values["bLogicalBlockSize"] != BLOCK_LOG2:
        found.append("bLogicalBlockSize is not 0x0c: this phone could not address such sectors.")
    elif row.size_bytes % (1 << BLOCK_LOG2):
        found.append(f"size_in_kb={values['size_in_kb']} is not a number of whole sectors.")
    if values["bProvisioningType"] == 1:
        found.append("bProvisioningType=1 means nothing: it is 0, 2 or 3.")
    return [Problem(row.line, text) for text in found]


def _doubts(layout: Layout) -> list[str]:
    """Return what is odd and can be meant."""
    found = []
    ids = {row.values["bBootLunID"] for row in layout.enabled}
    if not layout.device.values["bBootEnable"]:
        found.append("bBootEnable is 0: the phone cannot start from this storage.")
    elif BOOT_B not in ids:
        found.append("no LUN is boot LUN B (bBootLunID=2): slot b cannot start.")
    first = layout.device.values["bHighPriorityLUN"]
    if first != NO_PRIORITY and first not in {row.lun for row in layout.enabled}:
        found.append(f"bHighPriorityLUN names LUN {first}, which is off.")
    if not layout.end.values["commit"]:
        found.append("commit is 0: other tools would only rehearse this file.")
    return found
