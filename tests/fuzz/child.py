# SPDX-License-Identifier: BSD-3-Clause
"""The process that runs one target: with atheris where that is installed, else without."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import running
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target


def run(options: argparse.Namespace) -> None:
    """Give inputs to one target for some seconds.

    options: child, its name; modules, with commas between them; state, the folder for what comes of
    it; seconds; seed.
    """
    folder = options.state / options.child
    if importlib.util.find_spec("atheris") is not None:
        _guided(options, folder)
        return
    one = running.Run(_target(options.child), folder)
    one.limit()
    end = time.monotonic() + options.seconds
    running.mutate(one, options.seed, lambda: time.monotonic() > end)
    one.save()


def _target(name: str) -> Target:
    found: Target = importlib.import_module("tests.fuzz.table").TARGETS[name]
    return found


def _guided(options: argparse.Namespace, folder: Path) -> None:
    """Let libFuzzer choose the inputs by what they reach in the modules; it ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=options.modules.split(",")):
        target = _target(options.child)
    one = running.Run(target, folder)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    known = running.seeds(target)
    for number, data in enumerate(known):
        (corpus / f"seed-{number}").write_bytes(data)
    end = time.monotonic() + options.seconds

    def give(data: bytes) -> None:
        one.give(data)
        if time.monotonic() > end:
            one.save()
            os._exit(0)

    def mutate(data: bytes, most_bytes: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.5:
            changed: bytes = atheris.Mutate(data, most_bytes)
            return changed
        return mutated(data, random, known, target.words, most_bytes)

    flags = [
        f"-seed={options.seed}", f"-max_len={target.most_bytes}", "-timeout=60",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/", "-print_final_stats=0", "-use_value_profile=0",
    ]  # fmt: skip
    one.limit()
    atheris.Setup([sys.argv[0], *flags, str(corpus)], give, custom_mutator=mutate)
    atheris.Fuzz()
