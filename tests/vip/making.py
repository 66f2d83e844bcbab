# SPDX-License-Identifier: BSD-3-Clause
"""Packages by rule, for which qdl has made digest tables; see tests/golden/vip/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.formats.digesttable import Unsigned, make_tables
from edl.package import open_package
from edl.plan.assumed import assumed_geometry
from edl.plan.build import Options, build
from edl.vip.check import Recording, record
from edl.vip.script import Script, Settings, compile_script
from tests import builds, packs

LONG = "long"
NAMES = (*builds.NAMES, LONG)


@dataclass(frozen=True)
class Job:
    """A package in a folder, and the XML files of it that count, in order."""

    folder: Path
    memory: str
    documents: Sequence[str]


def make(name: str, folder: Path) -> Job:
    """Return the package called name, made in folder."""
    if name == LONG:
        return _long(folder)
    build_ = builds.make(name, folder)
    memory = "emmc" if build_.sector_bytes == 512 else "ufs"
    patches = sorted(path.name for path in folder.glob("patch*.xml"))
    return Job(folder, memory, [*sorted(build_.expected["rawprogram"]), *patches])


def _long(folder: Path) -> Job:
    """Return a package with a sparse image, and so many patches that they fill three tables."""
    image = packs.sparse(4096, b"\1" * 8192, (3, b"\2\3\4\5"), 5, b"\6" * 4096, (2, b"\0" * 4), 1)
    rows = [
        packs.program("system.img", 400, 128, **_more(sparse="true")),
        packs.program("odd.bin", 1000, 8, "xbl", **_more()),
        packs.program("tail.bin", "NUM_DISK_SECTORS-5.", 5, "BackupGPT", **_more()),
        packs.erase(2000, 16),
        packs.program("", 3000, 8, "modemst1", **_more()),
    ]
    patches = [
        packs.patch(1100 + n, 16, 4, f"NUM_DISK_SECTORS-{n}.", what=f"no {n}")
        for n in range(1, 601)
    ]
    patches.append(packs.patch(1, 88, 4, "CRC32(2,4096)", "gpt_main0.bin", what="not sent"))
    files = {"system.img": image, "odd.bin": bytes(range(256)) * 3, "tail.bin": b"\7" * 2560}
    texts = {
        "rawprogram0.xml": packs.document(*rows),
        "patch0.xml": packs.document(*patches).replace("data>", "patches>"),
    }
    folder.mkdir()
    packs.put(folder, {**files, **texts})
    return Job(folder, "emmc", list(texts))


def _more(sparse: str = "false") -> dict[str, Any]:
    """Return the attributes without which qdl takes no row."""
    return {"file_sector_offset": 0, "sparse": sparse}


def script(job: Job, options: Options | None = None, **settings: object) -> Script:
    """Return what is sent for job."""
    package = open_package([str(job.folder / name) for name in job.documents])
    plan = build(package, assumed_geometry(package), options or Options(keep=frozenset()))
    assert not plan.errors, plan.errors
    made = Settings(job.memory, **settings)  # type: ignore[arg-type]
    return compile_script(package, plan, made)


def tables(job: Job) -> tuple[Unsigned, Recording]:
    """Return the tables for job, and what was recorded for them."""
    recording = record(script(job))
    return make_tables(recording.digests), recording
