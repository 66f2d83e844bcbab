# SPDX-License-Identifier: BSD-3-Clause
"""Lets qdl make digest tables: python -m tests.vip.make_golden PATH_TO_QDL."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.vip import making

GOLDEN = Path(__file__).parents[1] / "golden" / "vip" / "qdl-2.8.json"


def run(qdl: str, job: making.Job) -> dict[str, str]:
    """Return the SHA-256 of each file that qdl makes for job."""
    (job.folder / "prog.elf").write_bytes(bytes(8192))
    made = job.folder / "vip"
    made.mkdir()
    line = [qdl, "--storage", job.memory, "--create-digests=vip", "prog.elf", *job.documents]
    subprocess.run(line, cwd=job.folder, check=True, capture_output=True)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(made.iterdir())
    }


def main(qdl: str) -> None:
    """Write the golden file."""
    golden = {}
    for name in making.NAMES:
        with tempfile.TemporaryDirectory() as folder:
            golden[name] = run(qdl, making.make(name, Path(folder) / name))
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
