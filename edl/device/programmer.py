# SPDX-License-Identifier: BSD-3-Clause
"""What every running programmer does for a job, whichever protocol it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from edl.firehose.answers import Configuration, Greeting, StorageInfo
from edl.firehose.commands import Area, Power


class Programmer(Protocol):
    """A programmer that runs on a phone: see `edl.device.firehose`, `edl.device.streaming`.

    Attributes:
        protocol: what it speaks, in words.
        memory: type of the storage, such as "emmc".
        payload_bytes: data in one transfer.
        configuration: what was agreed on, where that is done.
        digest_works: whether it computes digests; None while that is not known.
        link_speed: code of the USB speed, where there is one.
    """

    protocol: str
    memory: str
    payload_bytes: int
    configuration: Configuration | None
    digest_works: bool | None
    link_speed: int | None

    @property
    def greeting(self) -> Greeting:
        """What it said about itself; functions: the commands that it has."""
        ...

    @property
    def reach_sectors(self) -> int | None:
        """Sectors that can be named where nobody tells the size; None: it must be known."""
        ...

    @property
    def generation(self) -> int:
        """Generation of Firehose programmers, 1 to 3; 0 for others."""
        ...

    @property
    def signs(self) -> tuple[str, ...]:
        """What it has said so far about locks, limits and secure boot."""
        ...

    def supports(self, function: str) -> bool | None:
        """Tell whether it has function, in Firehose's name; None if it does not tell."""
        ...

    def ping(self) -> bool:
        """Make sure that it listens."""
        ...

    def storage_info(self, lun: int) -> StorageInfo:
        """Return what it tells about lun."""
        ...

    def read(self, area: Area, sink: Callable[[memoryview], None]) -> None:
        """Give the bytes of area to sink."""
        ...

    def program(
        self,
        area: Area,
        chunks: Iterable[memoryview],
        *,
        label: str = "",
        moved: Callable[[int], None] = lambda _: None,
        last_sector: int | None = None,
    ) -> None:
        """Write chunks to area. last_sector: on NAND, up to where bad blocks may push them."""
        ...

    def erase(self, area: Area) -> None:
        """Erase area, where that can be trusted."""
        ...

    def sha256(self, area: Area) -> bytes | None:
        """Return the digest of area, or None if it computes none."""
        ...

    def set_bootable(self, value: int) -> None:
        """Choose what the phone boots from."""
        ...

    def power(self, action: Power) -> None:
        """Reset the phone or switch it off."""
        ...
