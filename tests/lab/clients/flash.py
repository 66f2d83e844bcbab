# SPDX-License-Identifier: BSD-3-Clause
"""flash.py ENVIRONMENT: write the package and read some of it; say what came of it."""

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
told = {"serial": edl.info()["serial"], "read": str(Path(sys.argv[1]).with_suffix(".read"))}
told["verified"] = edl.rawprogram(None, "--no-reset")["verified_bytes"]
edl.read("one", told["read"])
edl.reset()
target.await_resources([edl.phone], avail=False)
sys.stdout.write(json.dumps(told) + "\n")
