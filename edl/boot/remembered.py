# SPDX-License-Identifier: BSD-3-Clause
"""The highest versions against rollback that were seen on a phone, kept from job to job.

What an interrupted job has replaced cannot be asked any more when it goes on; nor can `edl
boot-check` know what was there before the last job. So they are noted before the first write, and
forgotten when the phone's system was seen to run.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping

from edl.boot import check
from edl.boot.model import Earlier
from edl.device.phone import Phone
from edl.errors import EdlError
from edl.home import private
from edl.plan.home import make_folder, phone_folder

_NAME = "rollback.json"
_MAX_BYTES = 64 * 1024
_NOBODY = "unknown"


def before(phone: Phone, cancel: threading.Event | None = None) -> Earlier:
    """Return the versions that phone has or had; keep them. Called before the first write."""
    now, then = check.earlier(phone, cancel), recall(phone.serial)
    both = Earlier(_higher(now.rollback, then.rollback), _higher(now.verified, then.verified))
    if both != then and phone.serial != _NOBODY:
        data = {"v": 1, "rollback": dict(both.rollback), "verified": dict(both.verified)}
        with contextlib.suppress(OSError, EdlError):  # a full disk is no reason to fail
            path = make_folder(phone_folder(phone.serial)) / _NAME
            with open(path, "w", encoding="utf-8", opener=private) as file:
                file.write(json.dumps(data) + "\n")
    return both


def recall(serial: str) -> Earlier:
    """Return what is kept of the phone with that serial number; nothing where it is damaged."""
    try:
        with (phone_folder(serial) / _NAME).open("rb") as file:
            data = json.loads(file.read(_MAX_BYTES))
        return Earlier(_versions(data["rollback"]), _versions(data["verified"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Earlier()


def forget(serial: str) -> None:
    """Forget what is kept: the phone has started with what it has now."""
    with contextlib.suppress(OSError):
        (phone_folder(serial) / _NAME).unlink(missing_ok=True)


def _higher(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def _versions(data: Mapping[str, object]) -> dict[str, int]:
    return {name: number for name, number in data.items() if type(number) is int and number >= 0}
