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
from edl.cli.targets import is_file, is_folder
from edl.errors import ImageError, UsageError
from edl.events import Emit, Notice, Stage
from edl.identity import PhoneIdentity
from edl.plan import home
from edl.units import format_size

if TYPE_CHECKING:
    from edl.package import Package

_MAX_BYTES = 64 * 1024 * 1024
_BY_ID = re.compile(r"(\d{1,3}):(.+)")
_PROGRAMMER_ID = 13


class Loader:
    """Chooses the images for the boot ROM of one phone."""

    def __init__(self, settings: Settings, package: Package | None, emit: Emit) -> None:
        self._option = _home(settings.loader)
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
            ImageError: a file cannot be read, or would not start on this phone.
        """
        option = self._option
        if option is None:
            return {_PROGRAMMER_ID: self._read(self._found(identity))}
        if is_folder(option):
            paths = loaders.find_programmers(Path(option))
            if not paths:
                raise ImageError(
                    f"No programmer (loader) was found in {option}.",
                    remedies=("Name the file itself: --loader FILE.",),
                )
            return {_PROGRAMMER_ID: self._read(self._best(paths, identity))}
        if _BY_ID.match(option) and not is_file(Path(option)):
            return dict(_by_id(part) for part in option.split(","))
        return {_PROGRAMMER_ID: self._named(Path(option), identity)}

    def _found(self, identity: PhoneIdentity) -> Path:
        """Return the best loader of the package, else of the first folder that has any."""
        if paths := list(self._candidates()):
            return self._best(paths, identity)
        for folder in search_folders():
            if paths := loaders.find_programmers(folder):
                return self._best(paths, identity)
        raise UsageError(
            "No programmer (loader) was found for this phone.",
            remedies=(
                f"Name it with --loader FILE: a programmer signed for {identity.describe()}.",
                "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
            ),
        )

    def _best(self, paths: list[Path], identity: PhoneIdentity) -> Path:
        """Return the loader among paths that fits; one that the phone would refuse is not sent."""
        best = loaders.choose(paths, identity)
        if best.note:
            self._emit(Notice(best.note))
        return best.path

    def _named(self, path: Path, identity: PhoneIdentity) -> bytes:
        """Return the file that the user names. Whether the phone takes it, the phone decides."""
        data = self._read(path)
        if not loaders.looks_like_programmer(data):
            raise ImageError(
                f"{path} is no programmer (loader).",
                remedies=(
                    "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
                    f"If you are sure, send it all the same: --loader {_PROGRAMMER_ID}:{path}",
                ),
            )
        for candidate in loaders.rank([path], identity):
            if not candidate.verdict.fit.may_start:
                self._emit(Notice(f"{candidate.note} It is sent all the same, as you named it."))
        return data

    def _read(self, path: Path) -> bytes:
        data = read_file(path)
        self._emit(Stage("loader", f"{path.name}, {format_size(len(data))}"))
        return data


def _home(text: str | None) -> str | None:
    """Return text with ~ filled in: shells leave it as it is in --loader=~/FILE."""
    if text is None or not text.startswith("~"):
        return text
    return os.path.expanduser(text)  # noqa: PTH111  # takes any text


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
    except (OSError, ValueError) as error:
        raise ImageError(
            f"The loader {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedies=("Check the name after --loader.",),
        ) from error
    if not data:
        raise ImageError(f"The loader {path} is empty.")
    if len(data) > _MAX_BYTES:
        raise ImageError(f"{path} is no programmer: it is larger than {_MAX_BYTES} bytes.")
    return data


def search_folders() -> Iterator[Path]:
    """Yield the folders in which loaders are looked for, the user's own first."""
    for folder in os.environ.get("EDL_LOADERS", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    yield home.home() / "loaders"
    yield Path(edl.__file__).parent.parent / "loaders"
    yield Path(sys.prefix) / "share" / "edl" / "loaders"
