# SPDX-License-Identifier: BSD-3-Clause
"""What of a virtual phone, besides its disks, outlives a process: one small JSON file."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Self

from edl.errors import ImageError, UsageError
from edl.virtual.crashdump import Stage
from edl.virtual.faults import UNLIMITED, Fault, Place, parse_fault
from edl.virtual.profiles import PhoneSpec, parse_spec
from edl.virtual.states import CONDITIONS
from edl.virtual.storage import Extent

FILE_NAME = "phone.json"
_FORMAT = 1
_MAX_BYTES = 1 << 16


class State(enum.StrEnum):
    """What a phone is doing."""

    BOOT_ROM = "boot ROM"
    PROGRAMMER = "programmer"
    HUNG = "hung"
    BOOTED = "booted"
    OFF = "off"
    UNPLUGGED = "unplugged"


@dataclass(frozen=True)
class Saved:
    """A phone between two processes.

    hello_taken: the boot ROM's HELLO has been read, and it awaits the answer. faults: those that
    have not struck. counts: what has passed over USB so far. bootable: LUN that was chosen to boot
    from. condition: the name in `states` of how other programs have left it, empty for none; None
    for a new phone, which is as its spec says. owed: sectors whose data the programmer waits for.
    dump: how far the conversation is about the memory of a phone that has crashed.
    """

    spec: PhoneSpec
    state: State = State.BOOT_ROM
    hello_taken: bool = False
    faults: tuple[Fault, ...] = ()
    counts: Mapping[Place, int] = field(default_factory=dict)
    bootable: int | None = None
    condition: str | None = None
    owed: Extent | None = None
    dump: Stage = Stage.GREETING

    def write(self, folder: Path) -> None:
        """Keep it in folder; a process that dies meanwhile leaves the old file."""
        content = {
            "format": _FORMAT,
            "phone": self.spec.text,
            "state": self.state,
            "hello_taken": self.hello_taken,
            "faults": [str(fault) for fault in self.faults],
            "counts": dict(self.counts),
            "bootable": self.bootable,
            "condition": self.condition or "",
            "owed": None if self.owed is None else astuple(self.owed),
            "dump": self.dump.name,
        }
        new = folder / f"{FILE_NAME}.new"
        new.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        new.replace(folder / FILE_NAME)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what was kept in folder.

        Raises:
            ImageError: there is no phone in folder, or its file is damaged.
        """
        path = folder / FILE_NAME
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(f"There is no virtual phone in {folder}: {error.strerror}.") from error
        if len(raw) > _MAX_BYTES:
            raise ImageError(f"{path} describes no virtual phone: it is too long.")
        try:
            return cls._from_json(json.loads(raw))
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
            UsageError,
        ) as error:
            raise ImageError(f"{path} describes no virtual phone: {error}") from error

    @classmethod
    def _from_json(cls, content: Any) -> Self:  # noqa: ANN401
        if content["format"] != _FORMAT:
            raise ValueError("its format is of another version")
        counts = {Place(place): count for place, count in content["counts"].items()}
        bootable = content["bootable"]
        for number, limit in [*((count, UNLIMITED) for count in counts.values()), (bootable, 8)]:
            if number is not None and not (type(number) is int and 0 <= number < limit):
                raise ValueError(f"{number!r} is no possible number")
        return cls(
            spec=parse_spec(content["phone"]),
            state=State(content["state"]),
            hello_taken=content["hello_taken"] is True,
            faults=tuple(parse_fault(text) for text in content["faults"]),
            counts=counts,
            bootable=bootable,
            condition=_condition(content.get("condition", "")),
            owed=_extent(content.get("owed")),
            dump=Stage[content.get("dump", Stage.GREETING.name)],
        )


def _extent(numbers: Any) -> Extent | None:  # noqa: ANN401
    if numbers is None:
        return None
    if not all(type(number) is int and 0 <= number < UNLIMITED for number in numbers):
        raise ValueError(f"{numbers!r} are no sectors")
    lun, start, count = numbers
    return Extent(lun, start, count)


def _condition(name: str) -> str:
    if name and name not in CONDITIONS:
        raise ValueError(f"there is no state '{name}'")
    return name
