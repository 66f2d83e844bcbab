# SPDX-License-Identifier: BSD-3-Clause
"""Programmers that are several images: which file answers which Sahara id.

Three ways to say it, as qdl has them: `13:prog.elf,38:config.elf`; a sahara_config XML file; a CPIO
archive whose files are called `13:prog.elf` or just `13`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from pathlib import Path

from edl.errors import DocumentError, ImageError, UsageError
from edl.files import File
from edl.formats import cpio, sahara_config
from edl.formats.sahara_config import MAX_IMAGES
from edl.units import KIB, MIB, parse_number

PROGRAMMER_ID = 13
MAX_FILE_BYTES = 64 * MIB
FROM_PACKAGE = "If it is a package, take the loaders out of it first: edl loaders add {}"

_ID = r"(?:0[xX][0-9a-fA-F]{1,2}|[0-9]{1,3})"
_PAIR = re.compile(rf"({_ID}):(.+)", re.DOTALL)
_RANGE = f"from 1 to {MAX_IMAGES - 1}"
_MAX_CONFIG_BYTES = 64 * KIB
_MAX_XML_FILES = 200

# What firmware of SM8850 and SM8845 calls them (bkerler/edl issue 772, meta-qcom PR 1929).
_USUAL_NAMES = {
    13: "prog_firehose_ddr.elf",
    21: "xbl_sc.elf",
    36: "multi_image_qti.mbn",
    37: "multi_image.mbn",
    38: "xbl_config_devprg.elf",
    59: "sequencer_ram.elf",
    60: "signed_firmware_soc_view.elf",
    61: "tme_config.elf",
}

ImageSet = dict[int, bytes]


@dataclass(frozen=True)
class ProgrammerSet:
    """A programmer of a package: files by Sahara id. name: what to call it, and to choose it by."""

    name: str
    files: Mapping[int, File]

    def read(self) -> ImageSet:
        """Return what is in the files.

        Raises:
            ImageError: one cannot be read, or is too large to be a loader.
        """
        for number, file in self.files.items():
            if file.size_bytes > MAX_FILE_BYTES:
                raise ImageError(
                    f"{file.name} (image {number}) is larger than {MAX_FILE_BYTES} bytes."
                )
        return {number: file.head(file.size_bytes) for number, file in self.files.items()}


class OneOf(Mapping[int, bytes]):
    """Several programmers of which the phone takes one: which one, the ids tell that it asks for.

    choose: what to do where that does not tell, for people.
    """

    def __init__(self, sets: Mapping[str, ImageSet], choose: str) -> None:
        self._left = dict(sets)
        self._choose = choose

    def __getitem__(self, image_id: int) -> bytes:
        """Return the image for an id.

        Raises:
            KeyError: no programmer has it.
            UsageError: several have it, with other contents.
        """
        left = {name: images for name, images in self._left.items() if image_id in images}
        if not left:
            raise KeyError(image_id)
        found = {images[image_id] for images in left.values()}
        if len(found) > 1:
            raise UsageError(
                f"Several programmers of the package could be for this phone: {', '.join(left)}.",
                remedies=(self._choose,),
            )
        self._left = left
        return found.pop()

    def __iter__(self) -> Iterator[int]:
        return iter(sorted({number for images in self._left.values() for number in images}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def values(self) -> ValuesView[bytes]:
        """Return all images of all programmers, whichever the phone takes."""
        everything = (image for images in self._left.values() for image in images.values())
        return dict(enumerate(everything)).values()


def usual_name(image_id: int) -> str | None:
    """Return what the file for a Sahara id is mostly called; None if that is not known."""
    return _USUAL_NAMES.get(image_id)


def is_list(text: str) -> bool:
    """Return whether text has the form ID:FILE,..."""
    return _PAIR.match(text) is not None


def of_list(text: str) -> ImageSet:
    """Return the images that `ID:FILE,...` names.

    Raises:
        UsageError: an id is impossible, or is there twice.
        ImageError: a file cannot be read.
    """
    images: ImageSet = {}
    for part in text.split(","):
        match = _PAIR.fullmatch(part)
        number = _id(match[1]) if match else None
        if match is None or number is None:
            raise UsageError(
                f"'{part}' is not ID:FILE.", remedies=(f"An id is a number {_RANGE}.",)
            )
        if number in images:
            raise UsageError(f"Image {number} is given twice.")
        images[number] = read_file(Path(match[2]))
    return images


def of_file(path: Path, data: bytes) -> ImageSet | None:
    """Return the images that a sahara_config or CPIO file brings; None if it is neither.

    data: what is in the file at path.

    Raises:
        ImageError: it is damaged, or the files that it names are missing; all of them are listed.
    """
    if data.startswith(cpio.MAGIC):
        return _of_cpio(path, data)
    if sahara_config.is_sahara_config(data):
        return _of_config(path, data)
    return None


def find_config(folders: Iterable[Path]) -> Path | None:
    """Return the first sahara_config file in folders that names a programmer, or None."""
    for folder in folders:
        with contextlib.suppress(OSError):
            names = sorted(entry.name for entry in os.scandir(folder) if _is_xml(entry))
            for name in names[:_MAX_XML_FILES]:
                if _names_programmer(folder / name):
                    return folder / name
    return None


def _is_xml(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(".xml") and entry.is_file(follow_symlinks=False)


def _names_programmer(path: Path) -> bool:
    with path.open("rb") as file:
        data = file.read(_MAX_CONFIG_BYTES)
    try:
        return (
            sahara_config.is_sahara_config(data)
            and PROGRAMMER_ID in sahara_config.read_sahara_config(data, path.name).images
        )
    except DocumentError:
        return False


def _of_cpio(path: Path, data: bytes) -> ImageSet:
    images: ImageSet = {}
    for file in cpio.read_cpio(data):
        name = file.name.rpartition("/")[2]
        number = _id(name.partition(":")[0])
        if number is None:
            raise DocumentError(
                f"'{file.name}' in {path.name} does not say its Sahara id.",
                remedies=(f"Call it ID:NAME; an id is a number {_RANGE}.",),
            )
        if number in images:
            raise DocumentError(f"{path.name} holds image {number} twice.")
        images[number] = bytes(file.data)
    if not images:
        raise DocumentError(f"{path.name} holds no images.")
    return images


def _of_config(path: Path, data: bytes) -> ImageSet:
    config = sahara_config.read_sahara_config(data, path.name)
    images: ImageSet = {}
    missing: list[str] = []
    for number, name in sorted(config.images.items()):
        file = _inside(path.parent, name)
        if _is_file(file):
            images[number] = read_file(file)
        else:
            missing.append(f"{name} (image {number})")
    if missing:
        raise ImageError(
            f"{path.name} names files that are missing: {', '.join(missing)}.",
            remedies=(f"Put all of them into the folder {path.parent}.",),
        )
    return images


def _inside(folder: Path, name: str) -> Path:
    """Return the file that a configuration in folder names; it must lie there or below."""
    file = folder / name.replace("\\", "/")
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise DocumentError(f"'{name}' lies outside the folder of its configuration.")
    return file


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _id(text: str) -> int | None:
    try:
        number = parse_number(text)
    except ValueError:
        return None
    return number if 0 < number < MAX_IMAGES else None


def read_file(path: Path) -> bytes:
    """Return the content of a loader file, of at most MAX_FILE_BYTES.

    Raises:
        ImageError: it cannot be read, is empty, or is too large to be a loader.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError(
            f"The loader {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedies=("Check the name of the file.",),
        ) from error
    if not data:
        raise ImageError(f"The loader {path} is empty.")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(
            f"{path} is no programmer: it is larger than {MAX_FILE_BYTES} bytes.",
            remedies=(FROM_PACKAGE.format(path),),
        )
    return data
