# SPDX-License-Identifier: BSD-3-Clause
"""remote.py ENVIRONMENT WORD: what is known of a phone elsewhere, and what edl is told there."""

from __future__ import annotations

import json
import sys

from labgrid import Environment

target = Environment(sys.argv[1]).get_target()
edl = target.get_driver("EDLDriver")
phone = edl.phone
told = edl.info(sys.argv[2]) | {
    "ids": [phone.vendor_id, phone.model_id, phone.busnum, phone.devnum]
}
sys.stdout.write(json.dumps(told) + "\n")
