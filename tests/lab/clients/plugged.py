# SPDX-License-Identifier: BSD-3-Clause
"""plugged.py TOOL: which phones on the bus fit which resource, and what edl is told of them."""

from __future__ import annotations

import json
import sys
from typing import Any

from labgrid import Target
from labgrid.exceptions import NoResourceFoundError
from labgrid.factory import target_factory

import edl.lab.labgrid  # noqa: F401  # registers them

tool = sys.argv[1]
told: dict[str, Any] = {}
phones: dict[str, dict[str, Any]] = {
    "port": {"match": {"sys_name": "1-4.2"}},
    "path": {"match": {"ID_PATH": "pci-0000:00:14.0-usb-0:4.1"}},
    "serial": {"serial": "0x1A2B3C4D"},
    "no phone there": {"match": {"sys_name": "1-4.4"}},
    "its system runs": {"match": {"sys_name": "1-4.3"}},
    "another serial": {"match": {"sys_name": "1-4.2"}, "serial": "1"},
    "own ids": {"match": {"sys_name": "1-4.3"}, "usb_vendor_id": "18D1", "usb_product_id": "4ee7"},
}
for name, given in phones.items():
    target = Target(name)
    phone: Any = target_factory.make_resource(target, "QualcommEDLDevice", None, given)
    phone.timeout = 0.0
    driver: Any = target_factory.make_driver(target, "EDLDriver", None, {})
    driver.tool = tool
    try:
        target.activate(driver)
        if name == "port":  # edl's questions are only answered if that is asked for
            told["not agreed"] = driver.rawprogram(tool)["told"][3:]
            assert target.get_driver("BootstrapProtocol") is driver
            told["agreed"] = driver.rawprogram(tool, yes=True)["told"][3:]
        told[name] = [phone.vendor_id, phone.model_id, *driver.info("--no-loader")["told"]]
    except NoResourceFoundError:
        told[name] = None
sys.stdout.write(json.dumps(told) + "\n")
