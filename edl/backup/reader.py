# SPDX-License-Identifier: BSD-3-Clause
"""One block after the other from the phone, each made sure of before it counts.

The phone's own digest of a block is asked for first. It tells whether the block is blank, which
saves the transfer, and it proves what was transferred. (Digests of larger areas before would only
save commands, and let the phone read its storage twice where it is not blank.) Without digests a
block is read twice.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from edl.backup.earlier import Earlier
from edl.chunks import FillContent
from edl.contents import is_zero
from edl.device.programmer import Programmer
from edl.errors import (
    AuthorizationError,
    DeviceRefusedError,
    ReadFailedError,
    VerifyError,
)
from edl.events import BytesMoved, Emit, Notice
from edl.firehose.commands import Area
from edl.formats.manifest import Verified
from edl.plan.compare import Verify
from edl.plan.nand import is_filler
from edl.plan.unchanged import Finder

# A single bad sector in 16 MiB of 512-byte sectors costs 16 failing requests.
_BLOCK_FAILURES = 200
_JOB_FAILURES = 10_000
_DEAD_FAILURES = 8  # to see that the next block of a dead region is dead, too
_ATTEMPTS = 3

Runs = tuple[tuple[int, int], ...]  # first sector and number of sectors, in order


@dataclass(frozen=True)
class Block:
    """What a block of the phone holds.

    data: None if it is all zeros. bad: sectors that could not be read; denied: those that the
    programmer does not give. Both are zeros in data. moved_bytes: how much was transferred.
    reused_bytes: how much came from an earlier backup.
    """

    data: memoryview | None
    sha256: bytes
    verified: Verified
    bad: Runs = ()
    denied: Runs = ()
    moved_bytes: int = 0
    reused_bytes: int = 0


class _Denied(Exception):  # noqa: N818  # no error: caught where it is raised for
    """The programmer says zeros where its own digest says that there is something else."""


_Refusal = DeviceRefusedError | _Denied


class Reader:
    """Reads blocks of one phone.

    verify: one of `edl.plan.compare.Verify`. emit: told of every block. earlier: what need not be
    transferred if it is still the same. pages_per_block: of NAND, else None.

    Attributes:
        filler: first sectors of the erase blocks for which the programmer gave filler.
    """

    def __init__(
        self,
        programmer: Programmer,
        verify: str,
        emit: Emit,
        earlier: Earlier | None = None,
        pages_per_block: int | None = None,
    ) -> None:
        self._programmer = programmer
        self._verify = verify
        self._emit = emit
        self._failures = 0
        self._dead = False  # the last block was lost as a whole
        self._digests_lie = False
        self._moved = 0
        self._reused = 0
        self._ways: set[Verified] = set()
        self._earlier = earlier if verify in {Verify.AUTO, Verify.DIGEST} else None
        self._finder = Finder(programmer, reading=True)
        self._pages = pages_per_block
        self.filler: set[int] = set()

    def read(self, area: Area) -> Block:
        """Return what area holds, at most a few MiB; what cannot be read is told in the result.

        Raises:
            AuthorizationError: the programmer is locked.
            VerifyError: the phone gives other data each time.
            EdlError: the connection failed.
        """
        self._moved = self._reused = 0
        self._ways = set()
        bad: Runs = ()
        denied: Runs = ()
        data: memoryview | _Refusal | None
        if self._pages is not None:
            data, bad, denied = self._blocks(area, self._pages)
        else:
            data = self._attempt(area)
        if isinstance(data, Exception):
            data, bad, denied = self._salvage(area, data)
        else:
            self._dead = False
        self._emit(BytesMoved(area.size_bytes))
        if data is None:
            digest = blank_digests(area.size_bytes)[0]
        else:
            digest = hashlib.sha256(data).digest()
            data = None if is_zero(data) else data
        return Block(data, digest, weakest(self._ways), bad, denied, self._moved, self._reused)

    # -- a range that can be read -----------------------------------------------------------------

    def _sure(self, area: Area, *, guided: bool = False) -> memoryview | None:
        """Return the bytes of area, made sure of; None for zeros that need no transfer.

        guided: what the phone cannot read for its digest need not be transferred in vain.

        Raises:
            _Denied: the programmer hides it.
            DeviceRefusedError: part of it cannot be read.
        """
        fetched = self._earlier.fetching(area) if self._earlier is not None else None
        told = self._told(area, guided=guided)
        if told is not None and not self._digests_lie:
            zeros, ones = blank_digests(area.size_bytes)
            if told in {zeros, ones}:
                self._ways.add(Verified.DIGEST)
                return None if told == zeros else memoryview(b"\xff" * area.size_bytes)
            if fetched is not None and (held := fetched()) is not None:
                data = self._updated(area, told, *held)
                if data is not None:
                    return data
            return self._proved(area, told)
        data = self._take(area)
        if self._verify == Verify.NONE:
            self._ways.add(Verified.NOT)
            return data
        return self._twice(area, data)

    def digest(self, area: Area) -> bytes | None:
        """Return the phone's digest of area; None if it gives none, whatever the reason.

        Raises:
            AuthorizationError: the programmer is locked.
        """
        return self._told(area, guided=False)

    def _told(self, area: Area, *, guided: bool) -> bytes | None:
        if self._verify not in {Verify.AUTO, Verify.DIGEST}:
            return None
        try:
            return self._programmer.sha256(area)
        except AuthorizationError:
            raise
        except ReadFailedError:
            if guided:
                raise
        except DeviceRefusedError:
            pass
        return None  # reading tells what is wrong, and where

    def _updated(
        self, area: Area, told: bytes, held: bytearray, digest: bytes
    ) -> memoryview | None:
        """Return held, what area was, as it is now; None where reading all of it is as well."""
        before = self._moved
        if digest != told:
            if not self._finder.pays:
                return None
            for run in self._finder.runs(area, memoryview(held), differs=True):
                if not run.same:
                    begin = time.monotonic()
                    data = self._take(area.part(run.offset, run.size_bytes))
                    self._finder.moved(run.size_bytes, time.monotonic() - begin)
                    held[run.offset : run.offset + run.size_bytes] = data
            if hashlib.sha256(held).digest() != told:
                return None
        self._reused += area.size_bytes - (self._moved - before)
        self._ways.add(Verified.DIGEST)
        return memoryview(held)

    def _proved(self, area: Area, told: bytes) -> memoryview:
        """Return the bytes of area that have the digest which the phone told."""
        data = self._take(area)
        for _ in range(_ATTEMPTS - 1):
            if hashlib.sha256(data).digest() == told:
                self._ways.add(Verified.DIGEST)
                return data
            before, data = data, self._take(area)
            if data == before:
                break
        else:
            raise _unsteady(area)
        if is_zero(data) or self._hides_part(area, data):
            raise _Denied
        self._digests_lie = True
        self._emit(Notice("the phone's digests are not those of its data; reading all twice"))
        self._ways.add(Verified.READ_TWICE)
        return data

    def _hides_part(self, area: Area, data: memoryview) -> bool:
        """Tell whether the half of area whose digest is wrong is zeros, down to a sector."""
        while area.sectors > 1:
            for half, at in halves(area):
                part = data[at : at + half.size_bytes]
                if self.digest(half) != hashlib.sha256(part).digest():
                    area, data = half, part
                    break
            else:
                return False
            if is_zero(data):
                return True
        return False

    def _twice(self, area: Area, data: memoryview) -> memoryview:
        for _ in range(_ATTEMPTS - 1):
            before, data = data, self._take(area)
            if data == before:
                self._ways.add(Verified.READ_TWICE)
                return data
        raise _unsteady(area)

    def _take(self, area: Area) -> memoryview:
        buffer = bytearray(area.size_bytes)
        view, at = memoryview(buffer), 0

        def sink(data: memoryview) -> None:
            nonlocal at
            view[at : at + len(data)] = data
            at += len(data)

        self._programmer.read(area, sink)
        self._moved += at
        return view

    # -- one that cannot --------------------------------------------------------------------------

    def _blocks(self, area: Area, pages: int) -> tuple[memoryview, Runs, Runs]:
        """Read NAND erase block by erase block; return bytes, and what is bad and what denied.

        Programmers that step over bad blocks would give what follows them too early, others give
        filler for them: block by block, all good ones are where they are.
        """
        data = memoryview(bytearray(area.size_bytes))
        lost: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        for at in range(0, area.sectors, pages):
            count = min(pages, area.sectors - at)
            block = Area(area.lun, area.start_sector + at, count, area.sector_bytes)
            found = self._attempt(block)
            if isinstance(found, Exception):
                lost[_is_denied(found)].append((block.start_sector, count))
            elif found is not None and is_filler(bytes(found)):
                self.filler.add(block.start_sector)
                lost[False].append((block.start_sector, count))
            elif found is not None:
                start = at * area.sector_bytes
                data[start : start + block.size_bytes] = found
        return data, joined(lost[False]), joined(lost[True])

    def _attempt(self, area: Area, *, guided: bool = False) -> memoryview | _Refusal | None:
        """Return what `_sure` returns, or why it could not."""
        try:
            return self._sure(area, guided=guided)
        except AuthorizationError:
            raise
        except (DeviceRefusedError, _Denied) as error:
            return error

    def _salvage(self, area: Area, error: _Refusal) -> tuple[memoryview, Runs, Runs]:
        """Read area in ever smaller parts; return its bytes, and what is bad and what denied.

        Breadth first and with a bound, so that a region that is dead as a whole costs minutes and
        not days, and single sectors are still found.
        """
        data = memoryview(bytearray(area.size_bytes))
        lost: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        most = _BLOCK_FAILURES if self._failures < _JOB_FAILURES else _DEAD_FAILURES
        left = _DEAD_FAILURES if self._dead else most
        if _is_denied(error) and self._ends_denied(area):
            left = 0
        self._dead = True
        pending = deque([(area, 0, error)])
        while pending:
            part, at, why = pending.popleft()
            self._failures += 1
            left -= 1
            if part.sectors == 1 or left < 0:
                lost[_is_denied(why)].append((part.start_sector, part.sectors))
                continue
            for half, inside in halves(part):
                found = self._attempt(half, guided=not _is_denied(why))
                if isinstance(found, Exception):
                    pending.append((half, at + inside, found))
                    continue
                left = most if self._dead else left
                self._dead = False
                if found is not None:
                    data[at + inside : at + inside + half.size_bytes] = found
        return data, joined(lost[False]), joined(lost[True])

    def _ends_denied(self, area: Area) -> bool:
        """Tell whether the first and the last sector are denied: policies are about partitions."""
        ends = (area.start_sector, area.start_sector + area.sectors - 1)
        found = (self._attempt(Area(area.lun, end, 1, area.sector_bytes)) for end in ends)
        return all(isinstance(each, Exception) and _is_denied(each) for each in found)


def weakest(ways: AbstractSet[Verified]) -> Verified:
    """Return the way that proves least; nothing to prove is proved well."""
    order = (Verified.NOT, Verified.READ_TWICE)
    return next((way for way in order if way in ways), Verified.DIGEST)


def _is_denied(error: _Refusal) -> bool:
    return not isinstance(error, ReadFailedError)


def _unsteady(area: Area) -> VerifyError:
    return VerifyError(
        f"The phone gives other data each time for LUN {area.lun}, {area.sectors} sectors from"
        f" {area.start_sector}.",
        remedies=(
            "Use another cable and another USB port, directly at the computer.",
            "If it happens again at the same place, the flash is failing: leave that partition out"
            " with --skip.",
        ),
    )


def halves(area: Area) -> tuple[tuple[Area, int], tuple[Area, int]]:
    """Return both halves of area (of two sectors at least), with their offsets in bytes."""
    first = area.sectors // 2
    return (
        (Area(area.lun, area.start_sector, first, area.sector_bytes), 0),
        (
            Area(area.lun, area.start_sector + first, area.sectors - first, area.sector_bytes),
            first * area.sector_bytes,
        ),
    )


def joined(runs: list[tuple[int, int]]) -> Runs:
    """Return runs in order, neighbours as one."""
    made: list[tuple[int, int]] = []
    for start, sectors in sorted(runs):
        if made and sum(made[-1]) == start:
            made[-1] = (made[-1][0], made[-1][1] + sectors)
        else:
            made.append((start, sectors))
    return tuple(made)


@functools.lru_cache(maxsize=64)
def blank_digests(size: int) -> tuple[bytes, bytes]:
    """Return the SHA-256 of size zeros, and of size bytes 0xFF."""
    return _digest_of(b"\0", size), _digest_of(b"\xff", size)


def _digest_of(value: bytes, size: int) -> bytes:
    found = hashlib.sha256()
    for chunk in FillContent(size, value).chunks(0, size):
        found.update(chunk)
    return found.digest()
