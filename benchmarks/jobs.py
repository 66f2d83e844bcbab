# SPDX-License-Identifier: BSD-3-Clause
"""Whole jobs: many small files, sparse images, and the host's own work beside the link."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import random
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backports import zstd

from benchmarks.bench import PATTERN, ROUNDS, Result, Rig, rig
from benchmarks.whole import sparse_image
from edl.chunks import Content, FileContent, read_all
from edl.contents import SparseContent
from edl.files import File, on_disk
from edl.firehose.commands import Area
from edl.formats.sparse import SparseImage
from edl.formats.streams import Budget, FileStream, Unpacked, compression
from edl.packages import zips
from edl.packages.digests import Expected, guarded
from edl.plan import images
from edl.plan.compare import Verify
from edl.plan.execute import Executor
from edl.plan.model import Geometry, Plan, Step, Write
from edl.plan.readout import read_to_file
from edl.streamed import StreamContent
from edl.units import GIB, KIB, MIB

_FILES, _FILE_BYTES = 200, 16 * KIB


def run(
    phone: Rig, steps: list[Step], *, verify: str = Verify.AUTO, sources: Iterable[File] = ()
) -> None:
    """Carry steps out."""
    programmer = phone.phone.programmer
    sectors = phone.virtual.storage.luns[0].sectors
    geometry = Geometry(programmer.memory, phone.phone.sector_bytes, {0: sectors})
    plan = Plan("rawprogram", "benchmark", geometry, tuple(steps))
    Executor(programmer, plan, verify=verify, sources=sources).run()


def write_of(phone: Rig, start: int, content: Content, label: str, file: str = "") -> Write:
    """Return the step that writes content to sector start. file: name of its source."""
    unit = phone.phone.sector_bytes
    return Write(Area(0, start, content.size_bytes // unit, unit), content, label, file, "")


def _small_file(path: Path) -> File:
    path.write_bytes(PATTERN[:_FILE_BYTES])
    return on_disk(path)


def small_files() -> Iterator[Result]:
    """Yield what a file costs beyond link and flash: in modelled time, with ours as measured."""
    link, write, read, digest = 40e6, 60e6, 200e6, 400e6
    rates = "link=40MB/s,flash-write=60MB/s,flash-read=200MB/s,flash-hash=400MB/s"
    with tempfile.TemporaryDirectory() as place:
        files = [_small_file(Path(place) / f"p{index}.img") for index in range(_FILES)]
        for profile in ("msm8953", "sdm660", "qcm2290"):
            costs = []
            for _ in range(ROUNDS):
                with rig(f"{profile},{rates}", host=True) as phone:
                    unit = phone.phone.sector_bytes
                    steps: list[Step] = [
                        write_of(phone, index * MIB // unit, file.content, f"p{index}", file.name)
                        for index, file in enumerate(files)
                    ]
                    begin = phone.now_s
                    run(phone, steps, sources=files)
                    if phone.taken_bytes != _FILES * _FILE_BYTES:
                        raise RuntimeError("the phone did not get all bytes")
                    needed = _FILE_BYTES * (1 / link + 1 / write + 1 / read + 1 / digest)
                    costs.append((phone.now_s - begin) / _FILES - needed)
            cost = statistics.median(costs)
            name = f"{_FILES} files of 16 KiB, each above link and flash, {profile}"
            yield Result(name, f"{cost * 1e3:.3f} ms", "<= 1 ms", cost <= 0.001)


def holes(chunks: int = 3000) -> Iterator[Result]:
    """Yield what of a sparse image of data, holes and fills in turn crosses the link."""
    with tempfile.TemporaryDirectory() as place, rig("sdm660,link=40MB/s", pattern=False) as phone:
        path = Path(place) / "image.img"
        size = sparse_image(path, chunks)
        lun, wire, unit = (
            phone.virtual.storage.luns[0],
            phone.virtual.wire,
            phone.phone.sector_bytes,
        )
        assert wire is not None
        lun.write(0, b"\x55" * size)
        with path.open("rb") as file:
            image = SparseImage.read(file, path.stat().st_size)
        content = SparseContent(on_disk(path).content, image)
        wanted = bytearray(b"\x55" * size)
        steps: list[Step] = []
        for each in images.stretches(on_disk(path), image):
            if not each.hole:
                at, length = each.offset_bytes, each.length
                wanted[at : at + length] = read_all(content, at, length)
                steps.append(write_of(phone, at // unit, each.content(length), "system"))
        before = wire.data_bytes
        run(phone, steps)
        moved, meant = wire.data_bytes - before, sum(step.area.size_bytes for step in steps)
        if lun.read(0, size // unit) != wanted:
            raise RuntimeError("the phone holds other bytes")
        documents = (moved - meant) / len(steps)
        text = f"{meant / size:.0%} of it sent, {documents:.0f} bytes a piece beside"
        good = documents <= 4 * KIB and meant < size
        yield Result("sparse image: holes cost nothing", text, "data and fills", good)


def _data(size_bytes: int) -> bytes:
    """Return data that packs to about half."""
    noise = random.Random(1)
    blocks = [noise.randbytes(32 * KIB) for _ in range(32)]
    return b"".join(noise.choice(blocks) + bytes(32 * KIB) for _ in range(size_bytes // 64 // KIB))


_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstd.compress(data, 3),
}


@contextmanager
def _packed(kind: str, data: bytes, folder: Path) -> Iterator[Callable[[], Content]]:
    """Give what makes the content of a file that holds data."""
    path = folder / f"image.{kind}"
    if kind == "raw":
        path.write_bytes(data)
        yield lambda: FileContent(path, 0, len(data), len(data))
        return
    if kind.startswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("image.img", data)
        sha256 = Expected("sha256", hashlib.sha256(data).hexdigest(), "the package")

        def member() -> Content:
            file = zips.of_zip(path).files["image.img"]
            return (guarded(file, sha256) if kind == "zip, sha256" else file).content

        yield member
        return
    path.write_bytes(_PACK[kind](data))
    magic = compression(path.read_bytes()[:64])
    if magic is None:
        raise RuntimeError(f"{kind} is not known")
    with path.open("rb") as file:

        def start() -> Unpacked:
            file.seek(0)
            return Unpacked(FileStream(file), magic, Budget(GIB))

        yield lambda: StreamContent(path.name, len(data), start)


def _alone(content: Content) -> float:
    """Return how long reading, unpacking and hashing take by themselves."""
    begin = time.perf_counter()
    digest = hashlib.sha256()
    for chunk in content.chunks(0, content.size_bytes):
        digest.update(chunk)
    return time.perf_counter() - begin


def overlap(size_bytes: int = 96 * MIB) -> Iterator[Result]:
    """Yield a job's time beside the slower of its halves: the link, and the host's work.

    The link is modelled, but the waiting for it is real, so that the host can work meanwhile. What
    the virtual phone itself computes counts for nothing.
    """
    data = _data(size_bytes)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for rate in (40, 400):
            for kind in ("raw", *_PACK, "zip", "zip, sha256"):
                with _packed(kind, data, folder) as make:
                    ratios = [_overlap(make, data, rate) for _ in range(ROUNDS)]
                total, slower, ratio = sorted(ratios, key=lambda row: row[2])[ROUNDS // 2]
                text = f"{total:.2f} / {slower:.2f} s = {ratio:.3f}"
                name = f"write and unpack and hash, {kind}, {rate} MB/s"
                yield Result(name, text, "<= 1.05", ratio <= 1.05)
            ratios = [_read_overlap(folder, size_bytes, rate) for _ in range(ROUNDS)]
            total, slower, ratio = sorted(ratios, key=lambda row: row[2])[ROUNDS // 2]
            text = f"{total:.2f} / {slower:.2f} s = {ratio:.3f}"
            yield Result(f"read, hash and store, {rate} MB/s", text, "<= 1.05", ratio <= 1.05)


def _overlap(make: Callable[[], Content], data: bytes, rate: int) -> tuple[float, float, float]:
    alone = _alone(make())
    spec = f"msm8953,usb3={'yes' if rate > 100 else 'no'},link={rate}MB/s"
    with rig(spec, pattern=False, real=True) as phone:
        step = write_of(phone, 0, make(), "image")
        begin = phone.now_s
        run(phone, [step], verify=Verify.NONE)
        total = phone.now_s - begin
        if phone.virtual.storage.luns[0].read(0, len(data) // 512) != data:
            raise RuntimeError("the phone holds other bytes")
    slower = max(alone, len(data) / rate / 1e6)
    return total, slower, total / slower


@dataclass(frozen=True)
class _Paced:
    """PATTERN over and over, as from an unpacker of that many bytes a second."""

    size_bytes: int
    rate: float

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        due = time.perf_counter()
        for _ in range(offset, offset + length, MIB):
            due = max(due, time.perf_counter() - MIB / self.rate) + MIB / self.rate
            time.sleep(max(0.0, due - time.perf_counter()))
            yield memoryview(PATTERN)


def _paced(size_bytes: int, rate: float, link: int) -> float:
    """Return the time of a write beside that of the slower of source and link."""
    spec = f"msm8953,usb3={'yes' if link > 100 else 'no'},link={link}MB/s"
    with rig(spec, real=True) as phone:
        begin = phone.now_s
        run(phone, [write_of(phone, 0, _Paced(size_bytes, rate), "image")], verify=Verify.NONE)
        if phone.taken_bytes != size_bytes:
            raise RuntimeError("the phone did not get all bytes")
        return (phone.now_s - begin) / (size_bytes / min(rate, link * 1e6))


def paced() -> Iterator[Result]:
    """Yield the same with a source that only waits: so no core is missing, only overlap counts."""
    for link, size in ((40, 192 * MIB), (400, 768 * MIB)):
        for share in (0.75, 1.05, 2.0):
            ratio = statistics.median(_paced(size, share * link * 1e6, link) for _ in range(ROUNDS))
            name = f"write from a source of {share} of the link, {link} MB/s"
            yield Result(name, f"{ratio:.3f}", "<= 1.05", ratio <= 1.05)


def _read_overlap(folder: Path, size_bytes: int, rate: int) -> tuple[float, float, float]:
    spec = f"msm8953,usb3={'yes' if rate > 100 else 'no'},link={rate}MB/s"
    path = folder / "dump.bin"
    with rig(spec, real=True) as phone:
        unit = phone.phone.sector_bytes
        begin = phone.now_s
        digest = read_to_file(phone.phone.programmer, Area(0, 0, size_bytes // unit, unit), path)
        total = phone.now_s - begin
    good = hashlib.sha256(PATTERN * (size_bytes // MIB)).hexdigest()
    if digest != good or hashlib.sha256(path.read_bytes()).hexdigest() != good:
        raise RuntimeError("the file holds other bytes")
    begin = time.perf_counter()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    alone = time.perf_counter() - begin
    slower = max(alone, size_bytes / rate / 1e6)
    return total, slower, total / slower
