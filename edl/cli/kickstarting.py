# SPDX-License-Identifier: BSD-3-Clause
"""The images of a device without flash: by id, from folders, lists, configurations and archives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edl import imageset
from edl.errors import ImageError, UsageError
from edl.formats import sahara_config
from edl.formats.sahara_config import MAX_IMAGES
from edl.imageset import ImageSet
from edl.units import MIB, format_size, parse_number

MAX_IMAGE_BYTES = 1024 * MIB
_MAX_CONFIG_BYTES = 64 * 1024
_MAX_FILES = 2000
_NAMED = re.compile(r"(0[xX][0-9a-fA-F]{1,2}|[0-9]{1,3})(?:[:._ -].*)?", re.DOTALL)
_USUAL = {imageset.usual_name(number): number for number in range(MAX_IMAGES)}


@dataclass(frozen=True)
class Images:
    """What there is to serve: bytes by id, and for people where they are from."""

    data: ImageSet
    names: dict[int, str]


def collect(sources: Iterable[str], listed: Iterable[str]) -> Images:
    """Return the images in sources (folders, sahara_config XML, CPIO) and of lists `ID:FILE,...`.

    What a list names stands in the place of what a source has under the same id.

    Raises:
        UsageError: two sources, or two files of a folder, have the same id; or there is nothing.
        ImageError: a file cannot be read, or is no source of images.
    """
    found = Images({}, {})
    for source in sources:
        _add(found, _of_source(Path(source)), source)
    named = Images({}, {})
    for text in listed:
        _add(named, _of_list(text), text)
    found.data.update(named.data)
    found.names.update(named.names)
    if not found.data:
        raise UsageError(
            "There is no image to give.",
            remedies=("Name a folder, a sahara_config XML, or -s ID:FILE.",),
        )
    return found


def _add(to: Images, more: Images, source: str) -> None:
    if twice := sorted(to.data.keys() & more.data.keys()):
        raise UsageError(f"Image {twice[0]} is given twice: {to.names[twice[0]]}, and in {source}.")
    to.data.update(more.data)
    to.names.update(more.names)


def _of_source(path: Path) -> Images:
    if path.is_dir():
        return _of_folder(path)
    data = _read(path)
    images = imageset.of_file(path, data)
    if images is None:
        raise ImageError(
            f"{path} is no set of images: no folder, no sahara_config, no CPIO archive.",
            remedies=(f"If it is one image, say which: -s ID:{path.name}",),
        )
    return Images(images, dict.fromkeys(images, str(path)))


def _of_folder(folder: Path) -> Images:
    """Return the images of a folder: those of its configuration, else those named by their id."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())[:_MAX_FILES]
    except OSError as error:
        raise ImageError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    configs = [path for path in files if path.suffix.lower() == ".xml" and _is_config(path)]
    if len(configs) > 1:
        names = ", ".join(path.name for path in configs)
        raise UsageError(
            f"{folder} has several sahara_config files: {names}.",
            remedies=("Name the one that is meant instead of the folder.",),
        )
    if configs:
        return _of_source(configs[0])
    images = Images({}, {})
    for number, path in _numbered(files):
        _add(images, Images({number: _read(path)}, {number: path.name}), path.name)
    if not images.data:
        raise ImageError(
            f"{folder} has no images that say their Sahara id.",
            remedies=("Call the files ID_NAME (21_sbl1.mbn), or say which is which: -s ID:FILE",),
        )
    return images


def _numbered(files: Iterable[Path]) -> Iterator[tuple[int, Path]]:
    """Yield the files whose names say their id, or are those that firmware mostly has."""
    for path in files:
        match = _NAMED.fullmatch(path.name)
        number = parse_number(match[1]) if match else _USUAL.get(path.name, 0)
        if 0 < number < MAX_IMAGES:
            yield number, path


def _is_config(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sahara_config.is_sahara_config(file.read(_MAX_CONFIG_BYTES))
    except OSError:
        return False


def _of_list(text: str) -> Images:
    images = Images({}, {})
    for part in text.split(","):
        number, _, name = part.partition(":")
        try:
            value = parse_number(number)
        except ValueError:
            value = 0
        if not name or not 0 < value < MAX_IMAGES:
            raise UsageError(
                f"'{part}' is not ID:FILE.",
                remedies=(f"An id is a number from 1 to {MAX_IMAGES - 1}.",),
            )
        _add(images, Images({value: _read(Path(name))}, {value: name}), part)
    return images


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"The image {path} cannot be read: {reason}.") from error
    if not data:
        raise ImageError(f"The image {path} is empty.")
    if len(data) > MAX_IMAGE_BYTES:
        raise ImageError(f"{path} is larger than {format_size(MAX_IMAGE_BYTES)}: it is no image.")
    return data
