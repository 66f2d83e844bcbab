# SPDX-License-Identifier: BSD-3-Clause
"""What a job notes while it runs, and what it has done at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from edl.chunks import Content
from edl.firehose.commands import Area


class Ledger(Protocol):
    """Where the pieces that are done are noted (edl.plan.journal, or nowhere).

    changed: an interrupted run of the job has perhaps changed the phone.
    """

    done: dict[Area, bytes]
    changed: bool

    def begin(self, area: Area, label: str, payload_bytes: int) -> None:
        """Note that a piece is about to be sent, in transfers of payload_bytes.

        Raises:
            OSError: it cannot be noted.
        """
        ...

    def erasing(self, area: Area, label: str) -> None:
        """Note that the phone is about to be told to erase area.

        Raises:
            OSError: it cannot be noted.
        """
        ...

    def sent(self, count: int) -> None:
        """Note that count bytes of it have gone out.

        Raises:
            OSError: it cannot be noted.
        """
        ...

    def piece(self, area: Area, digest: bytes) -> None:
        """Note a piece.

        Raises:
            OSError: it cannot be noted.
        """
        ...


@dataclass
class NoLedger:
    """Notes nothing on disk."""

    done: dict[Area, bytes] = field(default_factory=dict)
    changed: bool = False

    def begin(self, area: Area, label: str, payload_bytes: int) -> None:
        """See Ledger."""

    def erasing(self, area: Area, label: str) -> None:
        """See Ledger."""

    def sent(self, count: int) -> None:
        """See Ledger."""

    def piece(self, area: Area, digest: bytes) -> None:
        """See Ledger."""


@dataclass(frozen=True)
class Piece:
    """A part of a write, and the SHA-256 of what it must hold."""

    area: Area
    content: Content
    offset: int
    label: str
    digest: bytes


@dataclass(frozen=True)
class Part:
    """What became of a step. state: one of those in docs/json.md."""

    label: str
    state: str
    size_bytes: int

    def as_data(self) -> dict[str, object]:
        """Return it as JSON-able data."""
        return {"part": self.label, "state": self.state, "bytes": self.size_bytes}


@dataclass
class Report:
    """What a job did. how: how it was verified, in words; empty if it was not. pace: how fast."""

    written_bytes: int = 0
    resumed_bytes: int = 0
    unchanged_bytes: int = 0
    erased_bytes: int = 0
    verified_bytes: int = 0
    how: str = ""
    rewritten: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    seconds: float = 0.0
    pace: str = ""
