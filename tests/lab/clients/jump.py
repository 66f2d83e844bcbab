# SPDX-License-Identifier: BSD-3-Clause
"""jump.py TOOL PACKAGE CONFIG: Jumpstarter's exporter and client; say what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance as Instance

from edl.lab.job import JobError

tool, package, config = sys.argv[1:]
told: dict[str, Any] = {}
driver = Instance.model_validate(yaml.safe_load(Path(config).read_text())["export"]["phone"])
exporter: Any = driver.instantiate()
with serve(exporter) as phone:
    told["serial"] = phone.info()["serial"]
    try:
        phone.rawprogram(package, "--no-reset")
    except JobError as error:
        told["gone"] = [error.code, error.status, error.state]
    subprocess.run([tool, "virtual", "edl", exporter.virtual], check=True, capture_output=True)
    told["resumed"] = phone.resume()["resumed_bytes"]
    told["kept"] = [str(each) for each in Path(exporter.cache).glob("*/*")]
    phone.dump(f"{exporter.cache}.read", target="one")
sys.stdout.write(json.dumps(told) + "\n")
