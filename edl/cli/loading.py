# SPDX-License-Identifier: BSD-3-Clause
"""Which loader goes to the phone: the one that was named, else the one that fits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import site
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import edl
from edl import imageset, loaders
from edl.cli import defaults
from edl.cli.options import Settings
from edl.cli.targets import is_file, is_folder
from edl.collection.store import Collection
from edl.errors import EdlError, ImageError, ProgrammerRefusedError, UsageError
from edl.events import Emit, Notice, Stage
from edl.formats.intelhex import looks_like_hex
from edl.formats.mbn import Image, read_image
from edl.identity import PhoneIdentity
from edl.imageset import PROGRAMMER_ID, ImageSet, OneOf, ProgrammerSet
from edl.loaders import Candidate, Fit
from edl.plan import home
from edl.units import format_size

if TYPE_CHECKING:
    from edl.package import Package

_MAX_FILES = 20_000
_MAX_DEPTH = 4


class Loader:
    """Chooses the images for the boot ROM of one phone."""

    def __init__(self, settings: Settings, package: Package | None, emit: Emit) -> None:
        self._option = _home(settings.loader)
        self._virtual = settings.virtual is not None
        self._package = package
        self._emit = emit
        self._sent: Candidate | None = None
        self._refused: list[Image] = []
        self._config_refused = False  # that of the package
        self._identity = PhoneIdentity()
        self.doubt = ""  # why the package seems to be another phone's

    def storage_hints(self) -> Iterator[str]:
        """Yield the storage types that the loader's name speaks of."""
        paths = [Path(self._option)] if self._option else list(self._candidates())
        names = " ".join(path.name.lower() for path in paths[:1])
        for kind in ("emmc", "ufs", "nand", "nvme", "spinor"):
            if kind in names:
                yield kind

    def _candidates(self) -> Iterator[Path]:
        if self._package is not None:
            yield from self._package.loaders

    def next_best(self, error: ProgrammerRefusedError) -> Candidate | None:
        """Take what was sent for unfit; return what to try next, and put it into error's remedies.

        Nothing is returned where the user named the file: then the remedy is all.
        """
        if self._sent is not None:
            self._refused.append(self._sent.image)
        self._config_refused = True
        best = None
        with contextlib.suppress(EdlError):  # there is none
            best = self._candidate(self._identity)
        if best is None:
            return None
        line = f"Or enter EDL mode again and try the next one: --loader {best.path}"
        if best.title:
            line += f" ({best.title})"
        error.remedies = (*error.remedies[:2], line)
        return None if self._names_file() else best

    def _names_file(self) -> bool:
        return self._option is not None and not is_folder(self._option)

    def images(self, identity: PhoneIdentity) -> Mapping[int, bytes]:
        """Return images by Sahara id for the phone that identity describes.

        Raises:
            UsageError: there is none; the message says what kind is needed.
            ImageError: a file cannot be read, or would not start on this phone.
        """
        self._identity = identity
        option = self._option
        if option is not None and self._names_file():
            return self._of_option(option, identity)
        if option is None and (images := self._of_package(identity)):
            return images
        return self._single(self._candidate(identity))

    def _of_option(self, option: str, identity: PhoneIdentity) -> ImageSet:
        """Return the images that the user names."""
        if imageset.is_list(option) and not is_file(Path(option)):
            return self._told(imageset.of_list(option), "images by id", identity)
        return self._named(Path(option), identity)

    def _candidate(self, identity: PhoneIdentity) -> Candidate:
        """Return the best loader that has not been refused.

        Raises:
            UsageError, ImageError: there is none.
        """
        option = self._option
        if option is None or not is_folder(option):
            return self._found(identity)
        ranked = loaders.rank(files_in(Path(option)), identity)
        ranked = [candidate for candidate in ranked if candidate.image.is_programmer]
        if not ranked:
            raise ImageError(
                f"No programmer (loader) was found in {option}.",
                remedies=("Name the file itself: --loader FILE.",),
            )
        return self._best(ranked) or _none_fits(ranked)

    def _of_package(self, identity: PhoneIdentity) -> Mapping[int, bytes] | None:
        """Return the images that the package says make a programmer, if it says so."""
        if self._package is None or self._config_refused:
            return None
        if self._package.programmers and not self._package.loader_named:
            return self._of_sets(self._package.programmers, identity)
        config = imageset.find_config(self._package.roots)
        if config is None:
            return None
        images = imageset.of_file(config, imageset.read_file(config)) or {}
        ranked = _judged(config, images, identity)
        if ranked and not ranked[0].verdict.fit.may_start:
            _none_fits(ranked)
        return self._told(images, config.name, identity)

    def _of_sets(
        self, sets: tuple[ProgrammerSet, ...], identity: PhoneIdentity
    ) -> Mapping[int, bytes]:
        """Return the programmer of sets that is for the phone.

        What its key and chip leave open, the ids tell that it asks for.
        """
        read = {each.name: each.read() for each in sets}
        judged = [
            each for name, images in read.items() for each in _judged(Path(name), images, identity)
        ]
        if judged and not any(candidate.verdict.fit.may_start for candidate in judged):
            _none_fits(judged)
        best = {candidate.path.name for candidate in loaders.equally_good(judged, identity)}
        told = {name: images for name, images in read.items() if name in best} or read
        if len(told) == 1:
            [(name, images)] = told.items()
            return self._told(images, name, identity)
        self._emit(Stage("loader", f"{' or '.join(told)}, as the phone asks for"))
        return OneOf(told, "Choose the one for this phone: --choose layout=NAME.")

    def _found(self, identity: PhoneIdentity) -> Candidate:
        """Return the best loader of the package, else of the user's, else of the test ones."""
        refused: list[Candidate] = []
        for titles in self._sources(identity):
            ranked = loaders.rank(titles, identity, titles)
            if best := self._best(ranked):
                return best
            refused += ranked
        if refused:
            _none_fits(refused)
        raise UsageError(
            "No programmer (loader) was found for this phone.",
            remedies=(
                f"Name it with --loader FILE: a programmer signed for {identity.describe()}.",
                "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
                "'edl loaders add PATH' takes programmers out of packages and keeps them.",
            ),
        )

    def _sources(self, identity: PhoneIdentity) -> Iterator[Mapping[Path, str]]:
        """Yield where loaders come from, nearest first: files with the names people know."""
        yield dict.fromkeys(self._candidates(), "")
        own: dict[Path, str] = {}
        for kept in collections():
            own |= kept.candidates(identity)
        yield own
        folders = [folder for folder in search_folders() if folder in test_folders()]
        tests = [path for folder in folders for path in loaders.find_programmers(folder)]
        # no real phone has public keys fused; on one that checks none, a dummy would start nothing
        if not self._virtual:
            found = loaders.rank(tests, identity)
            tests = [c.path for c in found if c.verdict.fit in {Fit.EXACT, Fit.LIKELY}]
        yield dict.fromkeys(tests, "")

    def _best(self, ranked: list[Candidate]) -> Candidate | None:
        """Return the best of ranked if it fits; one that the phone would refuse is not sent."""
        fitting = (
            candidate
            for candidate in ranked
            if candidate.verdict.fit.may_start and candidate.image not in self._refused
        )
        return next(fitting, None)

    def _named(self, path: Path, identity: PhoneIdentity) -> ImageSet:
        """Return the file that the user names. Whether the phone takes it, the phone decides."""
        data = imageset.read_file(path)
        images = imageset.of_file(path, data)
        if images is None and not (loaders.looks_like_programmer(data) or looks_like_hex(data)):
            raise ImageError(
                f"{path} is no programmer (loader).",
                remedies=(
                    "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
                    imageset.FROM_PACKAGE.format(path),
                    f"If you are sure, send it all the same: --loader {PROGRAMMER_ID}:{path}",
                ),
            )
        return self._told(images or {PROGRAMMER_ID: data}, path.name, identity)

    def _single(self, candidate: Candidate) -> ImageSet:
        if candidate.note:
            self._emit(Notice(candidate.note))
        self._sent = candidate
        self.doubt = self._doubt(candidate)
        data = imageset.read_file(candidate.path)
        self._emit(Stage("loader", f"{candidate.name}, {format_size(len(data))}"))
        return {PROGRAMMER_ID: data}

    def _doubt(self, candidate: Candidate) -> str:
        """Return why a loader from elsewhere speaks against the package, or nothing.

        What a package brings for its phone, and the phone does not start, is of another phone's
        package: its images would follow.
        """
        own = self._package.loaders if self._package is not None else ()
        if self._option is not None or not own or candidate.path in own:
            return ""
        names = ", ".join(path.name for path in own[:3])
        return (
            f"The package's own programmer ({names}) does not start on this phone, so the package"
            f" is probably for another model; {candidate.name} is not part of it."
        )

    def _told(self, images: ImageSet, name: str, identity: PhoneIdentity) -> ImageSet:
        """Return images; say what they are, and what to expect of them."""
        size = format_size(sum(map(len, images.values())))
        if len(images) > 1:
            size += f", images {', '.join(map(str, sorted(images)))}"
        self._emit(Stage("loader", f"{name}, {size}"))
        for candidate in _judged(Path(name), images, identity):
            self._sent = candidate
            if not candidate.verdict.fit.may_start:
                self._emit(Notice(f"{candidate.note} It is sent all the same, as you named it."))
        return images


def _judged(path: Path, images: ImageSet, identity: PhoneIdentity) -> list[Candidate]:
    """Return the programmer among images, if there is one that can be read, with its verdict."""
    try:
        image = read_image(images.get(PROGRAMMER_ID, b""))
    except ImageError:
        return []
    return [Candidate(path, image, loaders.match(image, identity))]


def _none_fits(ranked: list[Candidate]) -> NoReturn:
    raise loaders.none_fits(ranked)


def _home(text: str | None) -> str | None:
    """Return text with ~ filled in: shells leave it as it is in --loader=~/FILE."""
    if text is None or not text.startswith("~"):
        return text
    return os.path.expanduser(text)  # noqa: PTH111  # takes any text


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder that the user names, which may hold a whole library."""
    return loaders.files(folder, _MAX_FILES, _MAX_DEPTH)


def collections() -> Iterator[Collection]:
    """Yield the user's collections: the folders in EDL_LOADERS, and their own.

    Only the last keeps its index beside the loaders.
    """
    for folder in search_folders():
        if folder == own_folder():
            yield Collection(folder)
        elif folder not in test_folders():
            digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
            yield Collection(folder, home.home() / "indexes" / f"{digest[:16]}.json")


def own_folder() -> Path:
    """Return the folder of the user's own collection; it need not exist."""
    return home.home() / "loaders"


def search_folders() -> Iterator[Path]:
    """Yield the folders in which loaders are looked for, the user's own first."""
    yield from defaults.folders("loaders")
    yield own_folder()
    yield from test_folders()


def test_folders() -> tuple[Path, ...]:
    """Return where the loaders of the virtual phones are: in a checkout, or where pip puts them."""
    package = Path(edl.__file__).parent.parent
    installed = (Path(sys.prefix), Path(site.getuserbase()), package)
    return package / "loaders", *(root / "share" / "edl" / "loaders" for root in installed)
