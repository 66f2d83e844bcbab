# SPDX-License-Identifier: BSD-3-Clause
"""interrupted.py ENVIRONMENT: write until it fails, power the phone, go on; say what was said."""

from __future__ import annotations

import json
import sys
from typing import Any

from labgrid import Environment
from labgrid.driver.exception import ExecutionError

target = Environment(sys.argv[1]).get_target()
edl = target.get_driver("EDLDriver")
told: dict[str, Any] = {}
try:
    edl.rawprogram()
except ExecutionError as error:
    told |= {name: getattr(error, name) for name in ("code", "status", "message", "state")}
    told["remedies"] = list(error.remedies)
target.await_resources([edl.phone], avail=False)
told["active"] = edl.state.name
target.get_driver("VirtualEDLPowerDriver").cycle()
edl = target.get_driver("EDLDriver")
done = edl.resume()
told |= {"resumed": done["resumed_bytes"], "written": done["written_bytes"]}
sys.stdout.write(json.dumps(told) + "\n")
