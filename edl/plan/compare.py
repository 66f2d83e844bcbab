# SPDX-License-Identifier: BSD-3-Clause
"""Whether the phone holds what it should: by the phone's own digest, else by reading back."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from edl.chunks import FillContent
from edl.device.programmer import Programmer
from edl.errors import DeviceRefusedError
from edl.firehose.commands import Area
from edl.plan.readout import pieces
from edl.units import MIB

BY_DIGEST = "SHA-256 computed by the phone"

_BLANK_PIECE_BYTES = 256 * MIB


class Verify:
    """The ways to verify."""

    AUTO = "auto"
    DIGEST = "sha256"
    READBACK = "readback"
    NONE = "none"


class Checker:
    """Compares areas of the phone with digests.

    Attributes:
        ways: how that was done so far, in words.
    """

    def __init__(self, programmer: Programmer, verify: str = Verify.AUTO) -> None:
        self._programmer = programmer
        self._verify = verify
        self.ways: set[str] = set()

    @property
    def how(self) -> str:
        """How areas were compared, in words."""
        return " and ".join(sorted(self.ways))

    def holds(
        self, area: Area, digest: bytes, moved: Callable[[int], None] = lambda _: None
    ) -> bool:
        """Tell whether area has that SHA-256. moved: told of the bytes that have been compared.

        Raises:
            ReadFailedError: sectors cannot be read.
            DeviceRefusedError: the phone gives no digest, and that was asked for.
        """
        there = self._told(area)
        if there is not None:
            self.ways.add(BY_DIGEST)
            moved(area.size_bytes)
            return there == digest
        self.ways.add("reading back")
        found = hashlib.sha256()

        def take(data: memoryview) -> None:
            found.update(data)
            moved(len(data))

        self._programmer.read(area, take)
        return found.digest() == digest

    def _told(self, area: Area) -> bytes | None:
        """Return the digest that the phone tells; None if it does not, and may leave it to us."""
        if self._verify == Verify.READBACK:
            return None
        try:
            there = self._programmer.sha256(area)
        except DeviceRefusedError:
            if self._verify == Verify.DIGEST:
                raise
            return None  # perhaps only its <getsha256digest> is bad: reading tells
        if there is None and self._verify == Verify.DIGEST:
            raise DeviceRefusedError(
                "This programmer computes no digests.",
                remedies=("Use --verify readback.",),
            )
        return there


def is_blank(programmer: Programmer, area: Area) -> bool:
    """Tell whether area is all zeros or all ones, piece by piece, by the phone's own digest.

    Raises:
        ReadFailedError: sectors cannot be read.
    """
    return all(
        programmer.sha256(piece) in _blank_digests(piece.size_bytes)
        for piece, _ in pieces(area, _BLANK_PIECE_BYTES)
    )


@functools.lru_cache(maxsize=4)
def _blank_digests(size: int) -> tuple[bytes, bytes]:
    digests = []
    for value in (b"\0", b"\xff"):
        blank = hashlib.sha256()
        for chunk in FillContent(size, value).chunks(0, size):
            blank.update(chunk)
        digests.append(blank.digest())
    return digests[0], digests[1]
