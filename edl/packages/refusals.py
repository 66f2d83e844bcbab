# SPDX-License-Identifier: BSD-3-Clause
"""What people hand over that is no package for a phone with Qualcomm's chip: told what it is."""

from __future__ import annotations

from pathlib import PurePosixPath

from edl.errors import DocumentError, EdlError, PackageError
from edl.formats.rawprogram import read_rawprogram
from edl.packages.tree import Tree
from edl.units import MIB

_HEAD_BYTES = 512
_MAX_DOCUMENTS = 8  # that are looked into
_MAX_DOCUMENT_BYTES = MIB
_OTHER_CHIP = "The phone's own maker has a package for it; edl speaks to Qualcomm's chips only."
_UNPACK = "Unpack it with its own program, and name the folder that comes out."
_INSTALLER = (
    "It installs a program on Windows. If it carries a ROM, unpack it (7-Zip opens many), and name"
    " the folder with the images."
)

_LG = "LG's own program (LG Flash Tool) writes it in download mode."
_LENOVO = (
    "By its name it is a package of Lenovo (2012 to 2015): rawprogram.xml, patch.xml and images in"
    " one file, of a form that nobody has described.",
    "Unpack it with LenovoWinTools, and name the folder with rawprogram.xml that comes out.",
)
# by names only, where nothing in the file says what it is
_SUFFIXES: dict[str, tuple[str, ...]] = {
    ".qsb": _LENOVO,
    ".inb": _LENOVO,
    ".up": (
        "By its name it is an update of ZTE, of a form that nobody has described.",
        "Look for the folder for EDL mode (with rawprogram0.xml) or the update zip of that build.",
        "ZTE's own program writes it, while the phone still starts.",
    ),
    ".raw": (
        "By its name it may be a package of ASUS; those that are zip files inside are read.",
        "Download it again if it should be one; else unpack it with ASUS Flash Tool.",
    ),
    ".tot": (
        "By its name it is a package of LG, but it does not begin like one.",
        "Download it again: it is damaged, or something else.",
        _LG,
    ),
}

# by how a single file begins; public format descriptions
_HEADS: tuple[tuple[bytes, str, str], ...] = (
    (b"Rar!\x1a\x07", "a RAR archive, which edl does not read", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive, which edl does not read", _UNPACK),
    (b"MSCF", "a cabinet archive of Windows", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 file, which edl does not read", "Unpack it first: lz4 -d FILE."),
    (b"MZ", "a program for Windows", _INSTALLER),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an installer for Windows (msi)", _INSTALLER),
    (
        b"ASUS MAGIC!",
        "one image of ASUS, with a signature in front",
        "Name the folder or archive that it came in: edl passes the signature over there.",
    ),
    (
        b"\x44\xec\x55\xaa",
        "a bin file of LG from before 2012, of a form that edl does not read",
        _LG,
    ),
    (
        b"\xa5\xa5\x55\xaa",
        "a bin file of LG from before 2012, of a form that edl does not read",
        _LG,
    ),
    (b"B\0P\0_\0R\0", "a package for a phone with a Unisoc (Spreadtrum) chip", _OTHER_CHIP),
    (b"<!doctype html", "a web page", "Download the package again: the server sent a page."),
    (b"<html", "a web page", "Download the package again: the server sent a page."),
)


def refusal(tree: Tree) -> PackageError | None:
    """Return the error for what tree is, if that is known and of no use; else None."""
    told = _by_head(tree) if len(tree.files) == 1 else None
    told = told or _by_names(tree)
    if told is None:
        return None
    what, remedy = told
    return PackageError(f"{tree.title} is {what}.", remedies=(remedy,))


def by_name(tree: Tree) -> tuple[str, ...] | None:
    """Return what a single file is said to be by its name, and what to do; None if nothing."""
    [path] = tree.files
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def _by_head(tree: Tree) -> tuple[str, str] | None:
    file = next(iter(tree.files.values()))
    if not file.size_bytes:
        return "an empty file", "Download it again: nothing of it is there."
    head = file.head(_HEAD_BYTES)
    if head.startswith(b"MZ") and b"PE\0\0" not in head and len(head) < _HEAD_BYTES:
        return None
    for magic, what, remedy in _HEADS:
        if head.startswith(magic) or head.lstrip().lower().startswith(magic):
            return what, remedy
    return None


def _by_names(tree: Tree) -> tuple[str, str] | None:
    names = {PurePosixPath(path).name.lower() for path in tree.files}
    if "androidmanifest.xml" in names and {"classes.dex", "resources.arsc"} & names:
        return "an Android app (APK)", "Name the package of the phone's system, not an app."
    scatter = any(name.endswith(("scatter.txt", "scatter.xml")) for name in names)
    preloader = any(name.startswith("preloader") for name in names)
    if scatter or (preloader and not any("firehose" in name for name in names)):
        return "a package for a phone with a MediaTek chip", _OTHER_CHIP
    if any(name.endswith(".pac") for name in names):
        return "a package for a phone with a Unisoc (Spreadtrum) chip", _OTHER_CHIP
    if any(name.endswith(".tar.md5") for name in names) or "download-list.txt" in names:
        remedy = "Samsung's phones take it in download mode, with Odin or Heimdall."
        return "a package for Samsung's download mode (Odin)", remedy
    return None


def documents(tree: Tree) -> tuple[list[str], list[str]]:
    """Return what the XML files of tree are that hold no rows, a sentence each, and those that do.

    Where there is no package in tree, this is the next thing that its owner wants to know.
    """
    others: list[str] = []
    rows: list[str] = []
    for path in sorted(tree.names("*.xml"))[:_MAX_DOCUMENTS]:
        file = tree.files[path]
        if file.size_bytes > _MAX_DOCUMENT_BYTES:
            continue
        try:
            read_rawprogram(file.head(_MAX_DOCUMENT_BYTES), PurePosixPath(path).name)
            rows.append(path)
        except DocumentError as error:
            others.append(error.message)
        except EdlError:  # it cannot be read
            continue
    return others, rows
