# SPDX-License-Identifier: BSD-3-Clause
"""How the UFS device of a virtual phone was divided anew: one small JSON file beside its disks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from edl.errors import ImageError

FILE_NAME = "layout.json"
MAX_LUNS = 8
_MAX_BYTES = 1 << 16
_MAX_LUN_BYTES = 1 << 46
_SECTOR_BYTES = 4096

_NUMBERS = {"boots", "locked"}

Values = Mapping[int, int]  # a value for each LUN


@dataclass(frozen=True)
class Layout:
    """A division into LUNs.

    Attributes:
        sizes: in bytes, by LUN.
        boot_ids, memory_types, write_protects, provisioning_types: by LUN, as in the descriptor.
        boots: whether the device may be booted from.
        locked: whether it can never be divided again.
    """

    sizes: Values
    boot_ids: Values = field(default_factory=dict)
    memory_types: Values = field(default_factory=dict)
    write_protects: Values = field(default_factory=dict)
    provisioning_types: Values = field(default_factory=dict)
    boots: int = 1
    locked: int = 0

    def write(self, folder: Path) -> None:
        """Keep it in folder."""
        (folder / FILE_NAME).write_text(json.dumps(self.__dict__, indent=2) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what was kept in folder; None if the device is as it was made.

        Raises:
            ImageError: the file is damaged.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        try:
            with path.open("rb") as file:
                content = json.loads(file.read(_MAX_BYTES))
            values: dict[str, Any] = {name: _value(name, value) for name, value in content.items()}
            made = cls(**values)
            impossible = not made.sizes or any(map(_impossible, made.sizes.items()))
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise ImageError(f"{path} describes no layout: {error}") from error
        if impossible:
            raise ImageError(f"{path} describes no layout that a device can have.")
        return made


def _value(name: str, value: Any) -> int | Values:  # noqa: ANN401
    if name in _NUMBERS:
        return int(value)
    return {int(lun): int(number) for lun, number in value.items()}


def _impossible(lun: tuple[int, int]) -> bool:
    number, size = lun
    return not (0 <= number < MAX_LUNS and 0 < size < _MAX_LUN_BYTES) or size % _SECTOR_BYTES > 0
