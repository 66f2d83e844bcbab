# SPDX-License-Identifier: BSD-3-Clause
"""The computer as its files show it: where Linux tells about devices, drivers and programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True)
class Computer:
    """Where to look. Tests give it trees of their own.

    root: the folder that holds etc, proc, sys and dev. system: as `sys.platform`. environment: of
    this process. user_id: the effective one, 0 for root, None where there is none. process_id: our
    own, which holds phones only for us. may_open: whether this user may read and write a file.
    """

    root: Path = Path("/")
    system: str = sys.platform
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    user_id: int | None = field(default_factory=getattr(os, "geteuid", lambda: None))
    process_id: int = field(default_factory=os.getpid)
    may_open: Callable[[Path], bool] = _may_open

    @property
    def is_linux(self) -> bool:
        """Whether /proc and /sys are to be expected."""
        return self.system == "linux"

    def path(self, place: str) -> Path:
        """Return place, an absolute path of the computer, below root."""
        return self.root / place.lstrip("/")

    def text(self, place: str) -> str:
        """Return what is in a small file, stripped; empty if it cannot be read."""
        try:
            with self.path(place).open("rb") as file:
                return file.read(65536).decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def exists(self, place: str) -> bool:
        """Tell whether place is there, as far as we may see."""
        return os.path.lexists(self.path(place))

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yield number and name of the processes that can be seen, but for our own."""
        try:
            numbers = [int(name) for name in os.listdir(self.path("/proc")) if name.isdigit()]  # noqa: PTH208
        except OSError:
            return
        for number in sorted(numbers):
            if number != self.process_id and (name := self.text(f"/proc/{number}/comm")):
                yield number, name
