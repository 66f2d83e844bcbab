# SPDX-License-Identifier: BSD-3-Clause
"""What a module for a kind of package offers, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from edl.events import Emit, ignore
from edl.package import Package
from edl.packages.tree import Tree


class Confidence(IntEnum):
    """How sure a format is that a tree is one of its packages. The surest one opens it."""

    NO = 0
    MAYBE = 1  # it could be read so: images that have names of partitions
    LIKELY = 2  # a file that only such packages have, by its name
    SURE = 3  # by its content


@dataclass(frozen=True)
class Choices:
    """What the user chose about a package.

    wipe: take also what deletes the user's data. options: more, by name, as a format documents
    them. emit: takes what opening reports: that something is unpacked, for example.
    """

    wipe: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    emit: Emit = ignore


@dataclass(frozen=True)
class Description:
    """What a package says about itself, for `edl check`.

    kind: such as `Xiaomi fastboot package`. devices: names of the models it is for. version: of the
    build. facts: more, as (name, value) for people.
    """

    kind: str
    devices: tuple[str, ...] = ()
    version: str = ""
    facts: tuple[tuple[str, str], ...] = ()


class Format(Protocol):
    """A kind of package."""

    name: str

    def detect(self, tree: Tree) -> Confidence:
        """Return how sure it is that tree is such a package; looks at little of it.

        Raises:
            EdlError: tree cannot be read.
        """
        ...

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """Return the package in tree.

        Raises:
            PackageError, DocumentError, ImageError: it is damaged, or not for phones with
                Qualcomm's chips, or a delta that needs what is on the phone.
        """
        ...
