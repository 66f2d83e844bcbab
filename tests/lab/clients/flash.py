# SPDX-License-Identifier: BSD-3-Clause
"""flash.py ENVIRONMENT: write the package, as somebody's own test would; say what came of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from labgrid import Environment
from labgrid.logging import StepLogger, basicConfig

basicConfig(level=logging.INFO, stream=sys.stdout)
StepLogger.start()
target = Environment(sys.argv[1]).get_target()
edl = target.get_driver("EDLDriver")
identity = edl.info()
written = edl.rawprogram()
read = Path(sys.argv[1]).with_suffix(".read")
edl.read("0/2048+1024", str(read))
told = {"serial": identity["serial"], "verified": written["verified_bytes"], "read": str(read)}
sys.stdout.write(json.dumps(told) + "\n")
