# SPDX-License-Identifier: BSD-3-Clause
"""Recovery of Qualcomm phones in emergency download mode (EDL, 9008 mode).

The names in `__all__` are the library's API; `edl.api` describes it. They are imported when they
are first used, so that `import edl` itself costs nothing. Versions follow semantic versioning: what
`__all__` names, the JSON lines and the exit statuses change incompatibly only with the first
number (before 1.0: the second). All other modules may change at any time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself takes 13 ms
if TYPE_CHECKING:
    from typing import Any

    from edl.api import (
        Busy,
        BytesMoved,
        CancelledError,
        DeviceLog,
        EdlError,
        Event,
        Finding,
        Found,
        Job,
        Notice,
        Outcome,
        Package,
        Partition,
        Phone,
        PhoneIdentity,
        Plan,
        Severity,
        Stage,
        StepStarted,
        StoppedMidwayError,
        connect,
        find,
        identify,
        open_package,
        virtual_phone,
    )

__version__ = "0.1.0"
__all__ = [
    "Busy",
    "BytesMoved",
    "CancelledError",
    "DeviceLog",
    "EdlError",
    "Event",
    "Finding",
    "Found",
    "Job",
    "Notice",
    "Outcome",
    "Package",
    "Partition",
    "Phone",
    "PhoneIdentity",
    "Plan",
    "Severity",
    "Stage",
    "StepStarted",
    "StoppedMidwayError",
    "connect",
    "find",
    "identify",
    "open_package",
    "virtual_phone",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # what each is, the imports above tell
    if name not in __all__:
        raise AttributeError(f"module 'edl' has no attribute '{name}'")
    from edl import api  # noqa: PLC0415  # all of edl, which `edl list` shall not wait for

    found = globals()[name] = getattr(api, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
