# SPDX-License-Identifier: BSD-3-Clause
"""jump.py TOOL PHONE PACKAGE CACHE: Jumpstarter's exporter and client; say what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from jumpstarter.common.utils import serve

from edl.lab.job import JobError
from edl.lab.jumpstarter import EDL

tool, phone, package, cache = sys.argv[1:]
told: dict[str, Any] = {}
with serve(EDL(virtual=phone, tool=tool, cache=cache)) as edl:
    told["serial"] = edl.info()["serial"]
    try:
        edl.rawprogram(package, "--no-reset")
    except JobError as error:
        told["gone"] = [error.code, error.status, error.state]
    subprocess.run([tool, "virtual", "edl", phone], check=True, capture_output=True)
    told["resumed"] = edl.resume()["resumed_bytes"]
    told["kept"] = [str(each.relative_to(cache)) for each in Path(cache).glob("*/*")]
    edl.dump(f"{phone}.read", target="one")
sys.stdout.write(json.dumps(told) + "\n")
