# SPDX-License-Identifier: BSD-3-Clause
"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import (
    containers,
    cores,
    crashes,
    documents,
    images,
    kept,
    packages,
    phones,
    storage,
    streaming,
    streams,
    talking,
    vip,
    web,
)
from tests.fuzz.target import Target

_ROOMS = (
    documents, streams, containers, images, storage, cores, crashes, kept, phones, packages,
    streaming, talking, vip, web,
)  # fmt: skip
TARGETS: dict[str, Target] = {target.name: target for room in _ROOMS for target in room.TARGETS}
ROOM_OF = {target.name: room.__name__ for room in _ROOMS for target in room.TARGETS}
