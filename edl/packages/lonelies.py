# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's containers as files: what is in them, and what their recipes do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from edl.chunks import read_all
from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import lonely
from edl.formats.lonely import Offer, Step

_FALLBACK = "default.xml"  # the recipe where there is no index
_MAX_RECIPES = 8
_T = TypeVar("_T")


@dataclass(frozen=True)
class Container:
    """A container opened. files: its members by name. offers: what its index has."""

    name: str
    files: Mapping[str, File]
    offers: tuple[Offer, ...]

    @property
    def chips(self) -> tuple[str, ...]:
        """The chips that it is for, as it names them."""
        return tuple(dict.fromkeys(offer.chip for offer in self.offers if offer.chip))

    def recipes(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Yield the recipes of its first package, by the names of their members.

        Raises:
            PackageError: they are damaged or missing.
        """
        names = [name for name in self.files if name.endswith(_FALLBACK)]
        if self.offers:
            names = list(self._parsed(self.offers[0].filename, lonely.parts).recipes)
        if not 0 < len(names) <= _MAX_RECIPES:
            raise damaged(self.name, "it has no recipe that says where its parts go")
        for name in names:
            yield name, self._parsed(name, lonely.recipe)

    def _parsed(self, name: str, parser: Callable[[bytes, str], _T]) -> _T:
        file = self.files.get(name)
        if file is None:
            raise damaged(self.name, f"'{name}' is missing in it")
        return _parsed(self.name, file, parser)


def is_container(file: File) -> bool:
    """Tell whether file is a container of Motorola.

    Raises:
        ImageError: it cannot be read.
    """
    return lonely.is_container(file.head(len(lonely.MAGIC)))


def opened(file: File) -> Container:
    """Return what is in file, which can be read anywhere.

    Raises:
        PackageError: it is damaged.
        ImageError: it cannot be read.
    """

    def read(offset: int, length: int) -> bytes:
        return read_all(file.content, offset, max(0, min(length, file.size_bytes - offset)))

    try:
        members = lonely.members(read, file.size_bytes)
    except DocumentError as error:
        raise damaged(file.name, error.message) from error
    files = {
        name: File(
            f"{file.name}/{name}",
            Slice(file.content, member.offset, member.size_bytes),
            None,
            file.stamp,
        )
        for name, member in members.items()
    }
    index = files.get(lonely.INDEX)
    offers = _parsed(file.name, index, lonely.offers) if index is not None else ()
    return Container(file.name, files, offers)


def _parsed(container: str, file: File, parser: Callable[[bytes, str], _T]) -> _T:
    if file.size_bytes > lonely.MAX_XML_BYTES:
        raise damaged(container, f"{file.name} is too large")
    try:
        return parser(file.head(file.size_bytes), file.name)
    except DocumentError as error:
        raise damaged(container, error.message) from error


def damaged(name: str, why: str) -> PackageError:
    """Return the error for a container that cannot be used."""
    return PackageError(
        f"{name} cannot be used: {why[:1].lower()}{why[1:].rstrip('.')}.",
        remedies=("Download the package again: what is there is not whole.",),
    )
