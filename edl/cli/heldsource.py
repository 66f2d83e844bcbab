# SPDX-License-Identifier: BSD-3-Clause
"""What `edl unpack` and `edl diff` look into: a package of any kind, a dump, a backup, an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edl.backup.folder import is_backup
from edl.cli.app import App
from edl.cli.imagesource import Source, open_source
from edl.cli.imageview import shown
from edl.cli.targets import is_file, is_folder
from edl.errors import PackageError, UsageError
from edl.files import on_disk
from edl.formats import magic
from edl.formats.streams import compression
from edl.package import Package
from edl.packages import builds, door, tars
from edl.packages.builds import Build
from edl.packages.holdings import Held, of_package, of_parts
from edl.packages.model import Choices, Description

_IMAGES = {"disk", "super", "super_empty", "sparse"}


@dataclass(frozen=True)
class HeldSource:
    """What a user named. package or source is there, as it is a package or images."""

    title: str
    description: Description
    held: Held
    package: Package | None = None
    source: Source | None = None

    @cached_property
    def builds(self) -> tuple[Build, ...]:
        """What its images say about their builds."""
        return builds.of_holdings(self.held.holdings)

    @property
    def is_storage(self) -> bool:
        """Whether it is all that a phone has, and not what is written to one."""
        return self.source is not None and self.source.image.has_table

    def data(self) -> dict[str, Any]:
        """Return what it is, as JSON-able data."""
        description = builds.told(self.description, self.builds)
        return {
            "source": self.title,
            "kind": description.kind,
            "version": description.version,
            "device": ", ".join(description.devices),
            "fingerprint": builds.fingerprint(self.builds),
        }

    def line(self) -> str:
        """Return what it is, in a line."""
        data = self.data()
        version = data["fingerprint"] or data["version"]
        told = [f"for {data['device']}" if data["device"] else "", version]
        return ", ".join([f"{self.title}: {data['kind']}", *(shown(word) for word in told if word)])


@contextmanager
def open_held(
    app: App, text: str, options: Mapping[str, str] | None = None
) -> Iterator[HeldSource]:
    """Open what text names, whatever it is. options: what the user chose about a package.

    Raises:
        EdlError: it is nothing that can be read.
    """
    choices = Choices(wipe=True, options=options or {}, emit=app.emit)
    with ExitStack() as stack:
        if is_image(text):
            yield _of_source(stack.enter_context(open_source(app, text)))
            return
        try:
            package, description = door.open_any([text], choices=choices)
        except (PackageError, UsageError):
            if not is_file(Path(text)) or not _is_single(Path(text)):
                raise
            yield _of_source(stack.enter_context(open_source(app, text)))
            return
        held = of_package(package)
        yield HeldSource(text, description, held, package=package)


def is_image(text: str) -> bool:
    """Tell whether text is a backup, or a dump or image that no package begins like."""
    path = Path(text)
    if is_folder(text):
        return is_backup(path)
    if not is_file(path):
        return False
    file = on_disk(path)
    head = file.head(magic.HEAD_BYTES)
    if compression(head) is not None:
        return not tars.holds_tar(file)
    return magic.recognise(head).code in _IMAGES


def _is_single(path: Path) -> bool:
    """Tell whether path is an image of one partition, by its content."""
    code = magic.recognise(on_disk(path).head(magic.HEAD_BYTES)).code
    return code not in {"zip", "unknown", "blank"}


def _of_source(source: Source) -> HeldSource:
    parts = source.parts or source.luns
    kind = Description(source.kind.text)
    return HeldSource(str(source.path), kind, of_parts(parts), source=source)
