# SPDX-License-Identifier: BSD-3-Clause
"""The process that runs one target: with atheris where that is installed, else without."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import running
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target


def run(options: argparse.Namespace) -> None:
    """Give inputs to one target for some time.

    options: child, its name; room, the module that has it; modules, that it is for, with commas
    between them; state, the folder for what comes of it; seed; slice, seconds of CPU time; minutes,
    by the clock, whichever is over first.
    """
    folder = options.state / options.child
    if importlib.util.find_spec("atheris") is not None:
        _guided(options, folder)
        return
    one = running.Run(_target(options), folder)
    one.limit()
    running.mutate(one, options.seed, _end(options))
    one.save()


def _end(options: argparse.Namespace) -> Callable[[], bool]:
    """Return what tells whether the time is over."""
    clock = time.monotonic() + 60 * options.minutes
    cpu = time.process_time() + options.slice
    return lambda: time.process_time() > cpu or time.monotonic() > clock


def _target(options: argparse.Namespace) -> Target:
    """Return the target; importing all of them would take longer than many slices last."""
    targets: tuple[Target, ...] = importlib.import_module(options.room).TARGETS
    return next(target for target in targets if target.name == options.child)


def _guided(options: argparse.Namespace, folder: Path) -> None:
    """Let libFuzzer choose the inputs by what they reach in the modules; it ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=options.modules.split(",")):
        target = _target(options)
    one = running.Run(target, folder)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    known = running.seeds(target)
    for number, data in enumerate(known):
        (corpus / f"seed-{number}").write_bytes(data)
    over = _end(options)

    def give(data: bytes) -> None:
        one.give(data)
        if over():
            one.save()
            os._exit(0)

    def mutate(data: bytes, most_bytes: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.5:
            changed: bytes = atheris.Mutate(data, most_bytes)
            return changed
        return mutated(data, random, known, target.words, most_bytes)

    flags = [
        f"-seed={options.seed}", f"-max_len={target.most_bytes}", "-timeout=600",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/", "-print_final_stats=0", "-use_value_profile=0",
    ]  # fmt: skip
    one.limit()
    atheris.Setup([sys.argv[0], *flags, str(corpus)], give, custom_mutator=mutate)
    atheris.Fuzz()
