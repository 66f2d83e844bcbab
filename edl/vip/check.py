# SPDX-License-Identifier: BSD-3-Clause
"""What a job would send, against what the tables hold: before the first byte, and at each one."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edl.errors import DigestMismatchError, VipRefusedError
from edl.formats.digesttable import Tables
from edl.plan.model import Finding, Severity, plural
from edl.vip import words
from edl.vip.recorder import Recorder
from edl.vip.script import Script, Settings, Transfer
from edl.vip.session import Noting, Session

_PAYLOADS = tuple(1 << power for power in range(12, 21))  # that programmers have
_DIFFERS = "digest-differs"


@dataclass(frozen=True)
class Recording:
    """What a script sends: transfers, and the digest of each."""

    transfers: tuple[Transfer, ...]
    digests: tuple[bytes, ...]


def record(script: Script) -> Recording:
    """Carry script out without a phone.

    Raises:
        ImageError: a file cannot be read.
    """
    recorder, gate = Recorder(), Noting()
    Session(recorder, gate, keep=False).carry_out(script)
    return Recording(tuple(gate.transfers), tuple(recorder.digests))


def compare(recording: Recording, tables: Tables, settings: Settings) -> tuple[Finding, ...]:
    """Return everything in which recording differs from tables; nothing if all is the same."""
    findings = [_finding("vip-tables", problem) for problem in tables.problems]
    sent, expected = recording.digests, tables.digests
    pairs = itertools.zip_longest(recording.transfers, sent, expected)
    wrong = [
        transfer for transfer, is_sent, wanted in pairs if transfer and wanted and is_sent != wanted
    ]
    findings += [_told(group) for group in _groups(wrong)]
    if len(sent) != len(expected):
        findings.append(
            _finding(
                _DIFFERS,
                f"The job takes {plural(len(sent), 'transfer')}, the tables are for"
                f" {plural(len(expected), 'transfer')}.",
            )
        )
    if expected and sent and sent[0] != expected[0]:
        findings[0] = replace(findings[0], remedy=_hint(settings, expected[0]))
    return tuple(findings)


def _finding(code: str, message: str, where: str = "", remedy: str = "") -> Finding:
    return Finding(code, Severity.ERROR, message, where, remedy)


def _groups(wrong: list[Transfer]) -> Iterator[list[Transfer]]:
    """Yield neighbours of one order together, commands by themselves."""
    for (_, command), group in itertools.groupby(
        wrong, lambda transfer: (id(transfer.order), transfer.offset is None)
    ):
        if command:
            yield from ([transfer] for transfer in group)
        else:
            yield list(group)


def _told(group: list[Transfer]) -> Finding:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return _finding(_DIFFERS, f"{first} is not what the signed tables hold.", first.order.where)
    start = first.order.offset + (first.offset or 0)
    end = last.order.offset + (last.offset or 0) + last.size_bytes - 1
    return _finding(
        _DIFFERS,
        f"{first.order.filename}: {len(group)} transfers, between bytes {start} and {end}, are not"
        " what the signed tables hold.",
        first.order.where,
    )


def _hint(settings: Settings, expected: bytes) -> str:
    """Return which settings the tables were made with, as far as their first digest tells."""
    for memory, payload in itertools.product(words.MEMORY_NAMES, _PAYLOADS):
        if hashlib.sha256(words.configure(memory, payload)).digest() == expected:
            return f"The tables were made with --memory {memory} --max-payload {payload}."
    return (
        "The tables were made by another program, or another version: already their <configure> is"
        f" not that for --memory {settings.memory} --max-payload {settings.payload_bytes}."
    )


class Checking:
    """A gate for the phone: tables go out when they are due, and nothing that they do not hold."""

    def __init__(self, tables: Tables) -> None:
        self._tables = list(tables.tables)
        self._left: list[bytes] = []
        self.sent = 0

    def due(self) -> bytes | None:
        """See Gate: a table when the one before is used up."""
        if self._left or not self._tables:
            return None
        table = self._tables.pop(0)
        self._left = list(table.digests)
        return table.data

    def admit(self, transfer: Transfer, data: bytes) -> None:
        """See Gate.

        Raises:
            DigestMismatchError: data is not what the tables hold; a file has changed.
            VipRefusedError: no digest is left.
        """
        if not self._left:
            raise VipRefusedError("The signed tables are used up before the job is done.")
        if hashlib.sha256(data).digest() != self._left.pop(0):
            raise DigestMismatchError(
                f"{transfer} is not what the signed tables hold: it has changed since it was"
                " compared.",
                remedies=("Let the other program finish with it, and start again.",),
            )
        self.sent += 1
