# SPDX-License-Identifier: BSD-3-Clause
"""Real sizes: `python -m benchmarks large`. Takes a quarter of an hour and 20 GB of disk.

Each part runs in a process of its own, so that its peak of memory is known. Phones keep nothing:
their flash holds what a rule says, and takes nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import lzma
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.again import RATES, OldLun, modelled
from benchmarks.bench import PATTERN, Result, rig
from benchmarks.jobs import run, write_of
from benchmarks.whole import package, sparse_image
from edl.backup.save import Request, prepare, save
from edl.cli import main as cli
from edl.device.storage import Storage
from edl.formats.streams import Budget, FileStream, Unpacked, compression
from edl.plan.compare import Verify
from edl.plan.model import Step
from edl.plan.readout import PIECE_BYTES
from edl.streamed import StreamContent
from edl.units import GIB, KIB, MIB
from edl.virtual.lun import Lun
from edl.virtual.phone import Phone

_START = 4096 * 512  # where `package` puts its image
_PLACE = 16 * MIB
_PERIOD = 17 * 4 * KIB  # of `sparse_image`: a block of data, 8 of a hole, 8 of a fill


class RuleLun(Lun):
    """A LUN that holds what its rule says; nothing else may be written.

    rule: gives the bytes from an offset on. taken_bytes: how much has been written.
    """

    rule: Callable[[int, int], bytes]
    taken_bytes = 0

    def read(self, start: int, count: int) -> bytes:
        """Return what the rule says."""
        self._check(start, count)
        return self.rule(start * self.sector_bytes, count * self.sector_bytes)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Compare data with the rule."""
        if bytes(data) != self.rule(start * self.sector_bytes, len(data)):
            raise RuntimeError(f"other bytes than were meant, at sector {start}")
        self.taken_bytes += len(data)


class ZeroLun(RuleLun):
    """A LUN of zeros."""

    @staticmethod
    def rule(_: int, length: int) -> bytes:
        """Return zeros."""
        return _zeros(length)

    def digest(self, start: int, count: int) -> bytes:
        """Return the digest of so many zeros, made once a size."""
        return _digest_of_zeros(count * self.sector_bytes)


@functools.cache
def _zeros(length: int) -> bytes:
    return bytes(length)


@functools.cache
def _digest_of_zeros(length: int) -> bytes:
    return hashlib.sha256(bytes(length)).digest()


def sparse_rule(offset: int, length: int) -> bytes:
    """Return what a phone of zeros holds when `sparse_image` has been written to it."""
    found = bytearray()
    at, end = offset - _START, offset - _START + length
    while at < end:
        number, inside = divmod(at, _PERIOD)
        if inside < 4 * KIB:
            count, value = 4 * KIB - inside, bytes([number * 3 % 251])
        elif inside < 9 * 4 * KIB:
            count, value = 9 * 4 * KIB - inside, b"\0"
        else:
            count, value = _PERIOD - inside, b"\xaa\xbb\xcc\xdd"
        count = min(count, end - at)
        shift = inside % 4 if len(value) == 4 else 0
        found += (value * (count // len(value) + 2))[shift : shift + count]
        at += count
    return bytes(found)


class SparseLun(RuleLun):
    """A LUN that holds `sparse_image` at START, of size_bytes, and zeros elsewhere."""

    size_bytes = 0

    def rule(self, offset: int, length: int) -> bytes:
        """See RuleLun."""
        if offset >= _START and offset + length <= _START + self.size_bytes:
            return sparse_rule(offset, length)
        if offset + length <= _START or offset >= _START + self.size_bytes:
            return bytes(length)
        return b"".join(self.rule(at, 512) for at in range(offset, offset + length, 512))


class UsedLun(OldLun):
    """A LUN of which places of 16 MiB hold PATTERN, and all others zeros."""

    used: frozenset[int]

    def read(self, start: int, count: int) -> bytes:
        """Return what is there."""
        begin, end = start * self.sector_bytes, (start + count) * self.sector_bytes
        parts = []
        while begin < end:
            stop = min(end, (begin // _PLACE + 1) * _PLACE)
            if begin // _PLACE in self.used:
                at = begin % MIB
                parts.append((PATTERN * ((at + stop - begin) // MIB + 1))[at : at + stop - begin])
            else:
                parts.append(bytes(stop - begin))
            begin = stop
        return b"".join(parts)

    def digest(self, start: int, count: int) -> bytes:
        """Return the digest, made once for areas that are alike."""
        begin, size = start * self.sector_bytes, count * self.sector_bytes
        places = {
            at in self.used for at in range(begin // _PLACE, (begin + size - 1) // _PLACE + 1)
        }
        if places == {False}:
            return _digest_of_zeros(size)
        key = begin % MIB, size
        if places != {True}:
            return hashlib.sha256(self.read(start, count)).digest()
        if key not in self._known:
            self._known[key] = hashlib.sha256(self.read(start, count)).digest()
        return self._known[key]


# -- what runs in a process of its own ----------------------------------------------------------


def _command(lun: Callable[[Phone], RuleLun], *arguments: str) -> RuleLun:
    """Run a command line on a phone whose first LUN is another one; return that."""
    named, made = Phone.named, []

    def other(text: str, **options: Any) -> Phone:  # noqa: ANN401  # as they come
        phone = named(text, **options)
        made.append(lun(phone))
        phone.storage.luns[0] = made[0]
        return phone

    told = io.StringIO()
    with (
        mock.patch.object(Phone, "named", other),
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(told),
    ):
        status = cli.run(["--virtual", "sdm660,size=512GiB", *arguments])
    if status:
        raise RuntimeError(f"status {status}: {told.getvalue()[-2000:]}")
    return made[0]


def _like(phone: Phone, kind: type[RuleLun]) -> RuleLun:
    old = phone.storage.luns[0]
    return kind(old.sectors, old.sector_bytes)


def image_pieces(folder: Path, pieces: int = 256 * GIB // PIECE_BYTES) -> dict[str, float]:
    """Write and verify a raw image of as many pieces as 256 GiB have; each of 1 MiB only."""
    size_bytes = pieces * MIB
    with folder.joinpath("image.img").open("wb") as file:
        file.truncate(size_bytes)
    package(folder, size_bytes, sparse=False)
    with mock.patch("edl.plan.readout.PIECE_BYTES", MIB):
        lun = _command(
            lambda phone: _like(phone, ZeroLun),
            "rawprogram", str(folder), "--yes", "--unchanged", "write", "--no-reset",
        )  # fmt: skip
    return {"sent": lun.taken_bytes, "meant": size_bytes}


def sparse_100000(folder: Path, chunks: int = 100_000) -> dict[str, float]:
    """Write and verify a sparse image of 100,000 chunks."""
    size = sparse_image(folder / "image.img", chunks)
    package(folder, size, sparse=True)

    def lun(phone: Phone) -> RuleLun:
        made = _like(phone, SparseLun)
        assert isinstance(made, SparseLun)
        made.size_bytes = size
        return made

    done = _command(lun, "rawprogram", str(folder), "--yes", "--unchanged", "write", "--no-reset")
    return {"sent": done.taken_bytes, "meant": sum(_data_chunks(chunks)) * 4 * KIB}


def _data_chunks(chunks: int) -> Iterator[int]:
    """Yield how many blocks each chunk of `sparse_image` sends: data, hole, fill."""
    for number in range(chunks):
        yield (1, 0, 8)[number % 3]


def backup_64(folder: Path, size_gib: int = 64) -> dict[str, float]:
    """Back up a phone of 64 GiB of which 30 % are used."""
    places = size_gib * GIB // _PLACE
    used = frozenset(range(1, places, 3)) - frozenset(range(1, places, 30))  # 30 %
    with rig(f"sdm660,size={size_gib}GiB,{RATES}", pattern=False) as phone, modelled(phone):
        old, wire = phone.virtual.storage.luns[0], phone.virtual.wire
        assert wire is not None
        lun = UsedLun(old.sectors, old.sector_bytes)
        lun.other, lun._known, lun.used = set(), {}, used
        phone.virtual.storage.luns[0] = lun
        storage = Storage(phone.phone)
        request = Request(folder / "backup")
        before, begin_s = wire.data_bytes, phone.now_s
        save(storage, request, prepare(storage, request))
        moved, seconds = wire.data_bytes - before, phone.now_s - begin_s
        path = max((folder / "backup").glob("*.img"), key=lambda path: path.stat().st_size)
        with path.open("rb") as file:
            for place in range(places):
                want = PATTERN if place in used else bytes(MIB)
                if any(file.read(MIB) != want for _ in range(_PLACE // MIB)):
                    raise RuntimeError(f"the backup holds other bytes, in place {place}")
    return {"sent": moved, "meant": len(used) * _PLACE, "modelled_s": seconds}


def unpackers(folder: Path, size_bytes: int = 96 * MIB) -> dict[str, float]:
    """Write three images, packed as `xz -9` does it: each unpacker takes 65 MiB."""
    path = folder / "image.xz"
    packing = multiprocessing.Process(target=_pack, args=(path, size_bytes))
    packing.start()  # in a process of its own, as it takes ten times the memory
    packing.join()
    contents = []
    with contextlib.ExitStack() as files, rig("msm8953") as phone:
        for number in range(3):
            file = files.enter_context(path.open("rb"))

            def start(file: io.BufferedReader = file) -> Unpacked:
                file.seek(0)
                magic = compression(path.read_bytes()[:64])
                assert magic is not None
                return Unpacked(FileStream(file), magic, Budget(GIB))

            contents.append(StreamContent(f"{number}.xz", size_bytes, start))
        steps: list[Step] = [
            write_of(phone, number * size_bytes // 512, content, f"image{number}")
            for number, content in enumerate(contents)
        ]
        run(phone, steps, verify=Verify.AUTO)
        return {"sent": phone.taken_bytes, "meant": 3 * size_bytes}


def _pack(path: Path, size_bytes: int) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 * MIB}]
    with lzma.open(path, "wb", filters=filters) as packed:
        for _ in range(size_bytes // MIB):
            packed.write(PATTERN)


PARTS: dict[str, tuple[Callable[[Path], dict[str, float]], str, float]] = {
    "unpackers": (unpackers, "three images of xz -9 written", 1.0),
    "sparse": (sparse_100000, "sparse image of 100,000 chunks written and verified", 1.0),
    "backup": (backup_64, "backup of 64 GiB, 30 % used", 1.01),
    "image": (image_pieces, "raw image of 4,096 pieces written and verified", 1.0),
}
_MOST_MIB = 120


def large() -> Iterator[Result]:
    """Yield what real sizes move, and their peak of memory."""
    for name in PARTS:
        yield from _part(name)


def _part(name: str) -> Iterator[Result]:
    _, title, most = PARTS[name]
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            [sys.executable, "-m", "benchmarks.large", name, folder],
            env={**os.environ, "EDL_HOME": f"{folder}/home"}, stdout=subprocess.PIPE, check=True,
        ).stdout  # fmt: skip
    row = json.loads(shown.splitlines()[-1])
    ratio, peak = row["sent"] / row["meant"], row["peak_mib"]
    text = f"{row['sent'] / MIB:.0f} MiB moved = {ratio:.4f}; {time.perf_counter() - begin:.0f} s"
    yield Result(title, text, f"1 to {most}", 1 <= ratio <= most)
    yield Result(f"memory, {title}", f"{peak:.0f} MiB", f"<= {_MOST_MIB} MiB", peak <= _MOST_MIB)


def _main(name: str, folder: str) -> None:
    row = PARTS[name][0](Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**row, "peak_mib": peak}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
