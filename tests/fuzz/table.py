# SPDX-License-Identifier: BSD-3-Clause
"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import (
    containers,
    cores,
    documents,
    images,
    kept,
    packages,
    phones,
    storage,
    streams,
)
from tests.fuzz.target import Target

_MODULES = (
    documents, streams, containers, images, storage, cores, kept, phones, packages,
)  # fmt: skip
TARGETS: dict[str, Target] = {
    target.name: target for module in _MODULES for target in module.TARGETS
}
