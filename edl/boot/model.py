# SPDX-License-Identifier: BSD-3-Clause
"""What a look at the phone before its restart found, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from edl.firehose.commands import Area
from edl.plan.model import Finding, Severity, findings_data


class State(enum.StrEnum):
    """What an image of the boot chain is to this phone."""

    SIGNED = "signed"  # by the key that the phone has fused
    UNFUSED = "unfused"  # the phone checks no signatures
    NOT_COMPARED = "not-compared"  # the phone did not tell its key, or only the chip maker signed
    UNKNOWN = "unknown"  # nothing that is known as a boot image
    UNREAD = "unread"
    BLANK = "blank"
    DAMAGED = "damaged"
    UNSIGNED = "unsigned"  # though the phone has a key fused
    WRONG_KEY = "wrong-key"
    OTHER_PHONE = "other-phone"  # signed with the right key, for another chip or model


BAD = frozenset({State.BLANK, State.DAMAGED, State.UNSIGNED, State.WRONG_KEY, State.OTHER_PHONE})


class Verdict(enum.StrEnum):
    """What comes of it all."""

    READY = "ready"
    DOUBTFUL = "doubtful"
    NOT_READY = "not ready"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Link:
    """A partition of the boot chain. weight: see boot_chain.tsv."""

    lun: int
    name: str
    area: Area
    role: str
    weight: str
    what: str

    @property
    def base(self) -> str:
        """The name without its slot, in lower case."""
        return base(self.name)


@dataclass(frozen=True)
class Seen:
    """What lies in a partition of the boot chain.

    reason: a sentence, empty where all is well. root: digest of the root of its signature, in
    hex. rollback: its version against rollback. test_key: the root's name is that of a test key.
    content: the image, where all of it was read.
    """

    link: Link
    state: State
    reason: str = ""
    root: str = ""
    rollback: int | None = None
    test_key: bool = False
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Expectation:
    """What the phone will do. code: stable."""

    code: str
    text: str


@dataclass(frozen=True)
class Earlier:
    """What was on the phone before it was written: versions against rollback, by base name.

    rollback: of the images of the boot chain. verified: of Android's verified boot metadata.
    """

    rollback: Mapping[str, int] = field(default_factory=dict)
    verified: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What the job did that just ended.

    bootable: LUN that it made the one to boot from. replaced: base names of what it wrote or
    erased.
    """

    bootable: int | None = None
    replaced: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Readiness:
    """Whether the phone would start.

    slot: that it would start, None without slots. boot_lun: of UFS, set by the job or belonging to
    the slot. unread: what could not be looked at, with the reason. looked: whether the boot chain
    was found at all.
    """

    findings: tuple[Finding, ...] = ()
    expect: tuple[Expectation, ...] = ()
    images: tuple[Seen, ...] = ()
    slot: str | None = None
    boot_lun: int | None = None
    unread: tuple[str, ...] = ()
    read_bytes: int = 0
    looked: bool = True

    @property
    def severe(self) -> tuple[Finding, ...]:
        """The findings with which the phone does not start."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def verdict(self) -> Verdict:
        """What it comes to."""
        if self.severe:
            return Verdict.NOT_READY
        if not self.looked:
            return Verdict.UNKNOWN
        warned = any(f.severity is Severity.WARNING for f in self.findings)
        return Verdict.DOUBTFUL if warned or self.unread else Verdict.READY


def base(name: str) -> str:
    """Return the name of a partition without its slot, in lower case."""
    lower = name.lower()
    return lower[:-2] if lower.endswith(("_a", "_b")) else lower


def as_data(readiness: Readiness) -> dict[str, object]:
    """Return readiness as JSON-able data (docs/json.md)."""
    return {
        "verdict": readiness.verdict,
        "slot": readiness.slot,
        "boot_lun": readiness.boot_lun,
        "images": [_image_data(seen) for seen in readiness.images],
        "findings": findings_data(readiness.findings),
        "expect": [{"code": each.code, "text": each.text} for each in readiness.expect],
        "unread": list(readiness.unread),
        "read_bytes": readiness.read_bytes,
    }


def _image_data(seen: Seen) -> dict[str, object]:
    return {
        "name": seen.link.name,
        "lun": seen.link.lun,
        "role": seen.link.role,
        "state": seen.state,
        "reason": seen.reason,
        "root": seen.root or None,
        "rollback": seen.rollback,
        "test_key": seen.test_key,
    }
