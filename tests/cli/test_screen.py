# SPDX-License-Identifier: BSD-3-Clause
"""A job as a person sees it: in a real terminal, wide and narrow, rich and poor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_LIMIT_S = 50.0
_END = "ended with "


def screens(width: int, folder: Path, *words: object, **variables: str) -> list[str]:
    """Return what a terminal of that width shows while a command line runs, to its end."""
    tmux = ["tmux", "-f", os.devnull, "-S", str(folder / "tmux")]
    settings = {"EDL_HOME": str(folder / "home"), "LANG": "C.UTF-8", **variables}
    line = f'"$@"; echo {_END}$?; exec sleep {_LIMIT_S:.0f}'
    command = ["env", "-u", "NO_COLOR", "-u", "COLUMNS", *(f"{k}={v}" for k, v in settings.items())]
    edl = [sys.executable, "-m", "edl", *map(str, words)]
    size = ["-x", str(width), "-y", "40"]
    new = [*tmux, "-u", "new-session", "-d", *size, *command, "sh", "-c", line, "sh", *edl]
    subprocess.run(new, check=True)
    shown = [""]
    try:
        end = time.monotonic() + _LIMIT_S
        while _END not in shown[-1]:
            assert time.monotonic() < end, shown[-1]
            time.sleep(0.05)
            pane = subprocess.run(
                [*tmux, "capture-pane", "-p", "-S", "-"], check=True, capture_output=True
            )
            shown.append(pane.stdout.decode().rstrip())
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    return shown


@pytest.mark.parametrize(
    ("width", "variables", "marks"),
    [
        (80, {}, "━─"),
        (200, {"NO_COLOR": "1", "PYTHONIOENCODING": "cp437"}, "#-"),
    ],
)
def test_a_job_in_a_terminal(
    width: int, variables: dict[str, str], marks: str, sample: Path, tmp_path: Path
) -> None:
    phone = "qcm2290,link=8MB/s,flash=slow"  # slow flash takes real time
    slow = ("--fault", "slow@program:1:3")
    words = ("rawprogram", sample, "--only", "tz_a,hyp_a", "--yes", "--no-reset")
    shown = screens(width, tmp_path, "--virtual", phone, *slow, *words, **variables)
    drawn = [line for text in shown for line in text.splitlines()]
    running = [line for line in drawn if line[2:].startswith(("[", "all "))]
    assert any(line[2:].startswith("all ") and "MiB/s, " in line for line in running)
    assert all("%" in line or " of " in line for line in running)
    assert any(set(marks) <= set(line) for line in running)
    assert any(line.endswith("s so far, which is normal") for line in drawn)
    # as much as there is room for, always on one line, and gone at the end
    assert all(len(line) < width for line in drawn)
    assert max(text.count("all  ") for text in shown) == 1
    last = shown[-1].splitlines()
    assert last[-1] == f"{_END}0"
    assert not any(line[2:].startswith(("[", "all ")) for line in last)
    assert not any("so far" in line or "working" in line for line in last)
    assert sum(line.startswith("  verify   comparing") for line in last) >= 1
