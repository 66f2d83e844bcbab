# SPDX-License-Identifier: BSD-3-Clause
"""flash.py ENVIRONMENT [thoroughly]: write the package, as somebody's test would; say what came."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from labgrid import Environment
from labgrid.logging import StepLogger, basicConfig

basicConfig(level=logging.INFO, stream=sys.stdout)
StepLogger.start()
target = Environment(sys.argv[1]).get_target()
edl = target.get_driver("EDLDriver")
told: dict[str, Any] = {}
if "thoroughly" in sys.argv:
    told["serial"] = edl.info()["serial"]
    told["written"] = edl.rawprogram(None, "--no-reset")
    told["read"] = str(Path(sys.argv[1]).with_suffix(".read"))
    edl.read("one", told["read"])
    edl.reset()
else:
    told["written"] = edl.rawprogram()
target.await_resources([edl.phone], avail=False)
sys.stdout.write(json.dumps(told) + "\n")
