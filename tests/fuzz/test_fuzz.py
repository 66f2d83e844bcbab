# SPDX-License-Identifier: BSD-3-Clause
"""Every reader has a target, and every target takes good input, known bad input, and some new."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType

import pytest

import edl
from edl.errors import DocumentError
from tests.fuzz import running
from tests.fuzz.mutation import mutated
from tests.fuzz.table import TARGETS
from tests.fuzz.target import BrokenPromiseError, Target, attempt

INPUTS = 15  # for each target, in every run of the tests; `python -m tests.fuzz` takes the time

# In these rooms every module reads what strangers wrote; elsewhere those do that use one of READS.
ROOMS = ("edl.formats", "edl.sahara", "edl.firehose", "edl.streaming")
READS = re.compile(
    r"json\.loads|tomllib\.loads|struct\.unpack|\.unpack_from|\.iter_unpack|\.unpack\(|fromhex\("
    r"|from_bytes\(|read_document\("
)
# Modules that use one of READS on nothing that a stranger wrote, and why.
NO_INPUT = {
    "edl.cli.again": "copies what it is about to write",
    "edl.cli.completing": "its own table for the Tab key, made anew if it is not the newest",
    "edl.cli.ids": "digits that an expression has found to be such",
    "edl.packages.tarindex": "its own index in the user's data folder; with a checksum over all",
    "edl.plan.onphone": "compares five bytes of the phone",
    "edl.virtual.programmer.generation3.fixgpt": "its session's target repairs tables",
    "edl.virtual.programmer.info": "tells what the virtual storage is",
    "edl.virtual.sample": "makes up sizes",
    "edl.sysfs": "looks for two bytes in what the kernel shows; its own table",
    "edl.virtual.nand": "joins bits of the virtual chip's own pages",
    "edl.virtual.programmer.generation3.provisioning": "reads fields that it has put there itself",
    "edl.nbd.relay": "nbdkit, which edl has started, passes on what it has checked",
    "edl.lab.job": "lines of edl, which it has started itself; others are left out",
    "edl.lab.jumpstarter": "the same",
    "edl.lab.virtual": "one word of the file of a virtual phone of one's own",
    "edl.web.app": "JSON that goes to edl.web.orders as it is",
    "edl.data.nbdkit_plugin": "runs in nbdkit, and takes the answers of edl",
}


def sources() -> dict[str, Path]:
    """Return the modules of edl with the files that they are in."""
    root = Path(edl.__file__).parent
    names = (info.name for info in pkgutil.walk_packages([str(root)], "edl.") if not info.ispkg)
    return {name: root.parent / f"{name.replace('.', '/')}.py" for name in names}


def test_every_module_that_reads_has_a_target() -> None:
    modules = sources()
    aimed_at = {name for target in TARGETS.values() for name in target.modules}
    assert aimed_at <= modules.keys(), "targets for modules that are gone"
    readers = {
        name
        for name, path in modules.items()
        if name.rpartition(".")[0] in ROOMS or READS.search(path.read_text())
    }
    assert readers - aimed_at - NO_INPUT.keys() == set(), "no target in tests/fuzz/*.py"
    assert not NO_INPUT.keys() & aimed_at


def entered(work: Callable[[], object]) -> set[str]:
    """Return the files whose functions work calls."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return files


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_good_and_reach_what_they_are_for(name: str) -> None:
    target = TARGETS[name]

    def give() -> None:
        for seed in target.seeds():
            assert len(seed) <= target.most_bytes
            target.check(seed)

    files = entered(give)
    missed = [
        module for module in target.modules if importlib.import_module(module).__file__ not in files
    ]
    assert missed == []


@pytest.mark.parametrize("name", TARGETS)
def test_what_has_broken_it_once_and_some_new_input(name: str) -> None:
    target = TARGETS[name]
    new = itertools.islice(running.damaged(target, 1), INPUTS)
    for data in (*running.kept(target), b"", *new):
        attempt(target, data)


def test_what_is_kept_belongs_to_a_target() -> None:
    folders = [path.name for path in running.SEEDS.iterdir() if path.is_dir()]
    assert set(folders) <= TARGETS.keys()


# -- the tools themselves -------------------------------------------------------------------------


def promising(check: Callable[[bytes], object]) -> Target:
    return Target("x", (), check, lambda: [b"seed"])


def refuse(data: bytes) -> None:
    if data:
        raise DocumentError("It is refused.")
    raise BrokenPromiseError("nothing came")


def test_only_errors_that_are_promised_are_let_through() -> None:
    attempt(promising(refuse), b"x")
    with pytest.raises(BrokenPromiseError, match="nothing came"):
        attempt(promising(refuse), b"")
    with pytest.raises(ZeroDivisionError):
        attempt(promising(lambda data: 1 // len(data)), b"")


def test_input_with_right_checksums_is_tried_as_well() -> None:
    seen: list[bytes] = []
    attempt(Target("x", (), seen.append, list, sealed=lambda data: data + b"!"), b"x")
    assert seen == [b"x", b"x!"]


def test_the_smallest_input_of_each_kind_is_kept(tmp_path: Path) -> None:
    run = running.Run(promising(refuse), tmp_path)
    run.target = promising(lambda data: 1 // (data.count(b"x") - 1))
    for data in (b"a", b"one x", b"x", b"more"):
        run.give(data)
    run.save()
    assert run.result.inputs == 4
    ((kind, name),) = run.result.findings.items()
    assert kind.startswith("ZeroDivisionError test_fuzz.py")
    assert (tmp_path / "findings" / name).read_bytes() == b"x"
    assert "ZeroDivisionError" in (tmp_path / "findings" / f"{name}.txt").read_text()


def test_the_same_seed_gives_the_same_damages() -> None:
    words, others = (b"word",), [b"another one " * 9]
    made = [
        [mutated(b"something 12 " * 20, Random(n), others, words, 300) for n in range(200)]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert len(set(made[0])) > 150
    assert max(map(len, made[0])) <= 300
    assert any(b"word" in each for each in made[0])
    assert any(b"another" in each for each in made[0])
