# SPDX-License-Identifier: BSD-3-Clause
"""The loader that a user means by a word on the command line: a file, one that is kept, a set."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from edl import imageset
from edl.cli import loading
from edl.cli.ids import is_hex
from edl.cli.targets import is_file, is_folder
from edl.collection.store import Collection
from edl.errors import ImageError
from edl.formats import archive
from edl.formats.mbn import read_image
from edl.imageset import PROGRAMMER_ID, ImageSet


def images_of(text: str) -> tuple[Path, ImageSet]:
    """Return the images that are meant, the programmer among them, and where they come from."""
    path = Path(text)
    if imageset.is_list(text) and not is_file(path):
        images: ImageSet | None = imageset.of_list(text)
    else:
        path = path_of(text)
        data = content_of(path)
        images = imageset.of_file(path, data)
        if images is None:
            return path, {PROGRAMMER_ID: data}
    if not images or PROGRAMMER_ID not in images:
        listed = ", ".join(map(str, sorted(images or ())))
        raise ImageError(
            f"There is no programmer (image {PROGRAMMER_ID}) among the images: {listed}."
        )
    return path, images


def kind_of(data: bytes) -> str:
    """Return what an image beside the programmer is, in words."""
    try:
        bound = read_image(data).main.binding
    except ImageError:
        return "no boot image"
    return bound.kind if bound else "not signed"


def content_of(path: Path) -> bytes:
    """Return what is in a loader file."""
    if is_folder(str(path)):
        raise ImageError(f"{path} is a folder.", remedies=(_taken_out_of(path),))
    with contextlib.suppress(OSError), path.open("rb") as file:
        if archive.is_archive(file.read(archive.HEAD_BYTES)):
            raise ImageError(f"{path} is an archive.", remedies=(_taken_out_of(path),))
    return imageset.read_file(path)


def _taken_out_of(path: Path) -> str:
    return f"Take the loaders out of it: edl loaders add {shlex.quote(str(path))}"


def path_of(text: str) -> Path:
    """Return the file that is meant: a path, or one that is kept, by its digest or its name."""
    if is_file(Path(text)) or is_folder(text):
        return Path(text)
    kept = Collection(loading.own_folder())
    called = [entry for entry in kept.entries if entry.name == text]
    if len(called) == 1:
        return kept.path(called[0])
    return kept.path(kept.find(text)) if is_hex(text) else Path(text)
