# SPDX-License-Identifier: BSD-3-Clause
"""Which loader goes to the phone: the one that was named, else the one that fits."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import edl
from edl import loaders
from edl.cli.options import Settings
from edl.errors import ImageError, UsageError
from edl.events import Emit, Notice, Stage
from edl.identity import PhoneIdentity
from edl.plan import home

if TYPE_CHECKING:
    from edl.package import Package

_MAX_BYTES = 64 * 1024 * 1024
_BY_ID = re.compile(r"(\d{1,3}):(.+)")
_PROGRAMMER_ID = 13


class Loader:
    """Chooses the images for the boot ROM of one phone."""

    def __init__(self, settings: Settings, package: Package | None, emit: Emit) -> None:
        self._option = settings.loader
        self._package = package
        self._emit = emit

    def storage_hints(self) -> Iterator[str]:
        """Yield the storage types that the loader's name speaks of."""
        paths = [Path(self._option)] if self._option else list(self._candidates())
        names = " ".join(path.name.lower() for path in paths[:1])
        for kind in ("emmc", "ufs"):
            if kind in names:
                yield kind

    def _candidates(self) -> Iterator[Path]:
        if self._package is not None:
            yield from self._package.loaders

    def images(self, identity: PhoneIdentity) -> Mapping[int, bytes]:
        """Return images by Sahara id for the phone that identity describes.

        Raises:
            UsageError: there is none; the message says what kind is needed.
            ImageError: a file cannot be read.
        """
        if self._option and _BY_ID.match(self._option):
            return dict(_by_id(part) for part in self._option.split(","))
        if self._option and not Path(self._option).is_dir():
            return {_PROGRAMMER_ID: self._load(Path(self._option))}
        folders = [Path(self._option)] if self._option else list(search_folders())
        paths = [*self._candidates()] if not self._option else []
        for folder in folders:
            if paths:
                break
            paths = loaders.find_programmers(folder)
        return {_PROGRAMMER_ID: self._load(self._best(paths, identity))}

    def _best(self, paths: list[Path], identity: PhoneIdentity) -> Path:
        """Return the loader among paths that fits; one that the phone would refuse is not sent.

        Only a file that the user names is sent whatever it is.
        """
        if self._package is not None and self._package.loader_named and len(paths) == 1:
            return paths[0]
        if not paths:
            raise UsageError(
                "No programmer (loader) was found for this phone.",
                remedies=(
                    f"Name it with --loader FILE: a programmer signed for {identity.describe()}.",
                    "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
                ),
            )
        best = loaders.choose(paths, identity)
        if best.note:
            self._emit(Notice(best.note))
        return best.path

    def _load(self, path: Path) -> bytes:
        data = read_file(path)
        if not loaders.looks_like_programmer(data):
            self._emit(Notice(f"{path.name} does not look like a programmer; trying it."))
        self._emit(Stage("loader", f"{path.name}, {len(data)} bytes"))
        return data


def _by_id(part: str) -> tuple[int, bytes]:
    match = _BY_ID.fullmatch(part)
    if match is None:
        raise UsageError(f"'{part}' is not ID:FILE.")
    return int(match[1]), read_file(Path(match[2]))


def read_file(path: Path) -> bytes:
    """Return the content of a loader file, of at most 64 MiB.

    Raises:
        ImageError: it cannot be read, or is too large to be a loader.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(
            f"The loader {path} cannot be read: {error.strerror}.",
            remedies=("Check the name after --loader.",),
        ) from error
    if not data or len(data) > _MAX_BYTES:
        raise ImageError(f"{path} is no programmer: it has {len(data)} bytes or more.")
    return data


def search_folders() -> Iterator[Path]:
    """Yield the folders in which loaders are looked for, the user's own first."""
    for folder in os.environ.get("EDL_LOADERS", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    yield home.home() / "loaders"
    yield Path(edl.__file__).parent.parent / "loaders"
    yield Path(sys.prefix) / "share" / "edl" / "loaders"
