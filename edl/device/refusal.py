# SPDX-License-Identifier: BSD-3-Clause
"""From what a programmer logged to the error that says what it means."""

from __future__ import annotations

from collections.abc import Sequence

from edl.errors import (
    AuthorizationError,
    DeviceRefusedError,
    TransportTimeoutError,
    WriteFailedError,
)
from edl.firehose import loglines

_SHOWN_LINES = 8
_UNEXPLAINED = (
    "Run the command once more: after a bad transfer the phone may have refused a wrong one.",
    "If it says no again: hold the power button for 15 seconds and enter EDL mode again.",
    "If it still does, another variant of the programmer (ddr, lite) may be right.",
)


def refused(
    name: str,
    logs: Sequence[str],
    *,
    default: type[DeviceRefusedError] = DeviceRefusedError,
    what: str = "",
    after_data: bool = False,
) -> DeviceRefusedError | AuthorizationError:
    """Return the error for a NAK to command name.

    default: what it is when the logs do not say. after_data: the NAK came behind the raw data.
    """
    meaning = loglines.explain(logs)
    kind: type[DeviceRefusedError | AuthorizationError] = meaning.error if meaning else default
    if after_data and name == "program" and kind is DeviceRefusedError:
        kind = WriteFailedError
    subject = f"<{name}>" + (f" ({what})" if what else "")
    reason = f" {meaning.text}" if meaning else ""
    if not logs and not meaning:
        reason = " It gave no reason."
    remedies = meaning.remedies if meaning else None
    if remedies is None and not kind.remedies:
        remedies = _UNEXPLAINED
    verb = "failed at" if after_data else "refused"
    return kind(
        f"The programmer {verb} {subject}.{reason}",
        remedies=remedies,
        device_log=tuple(logs)[-_SHOWN_LINES:],
    )


def mute(
    name: str, cause: TransportTimeoutError, logs: Sequence[str] = ()
) -> TransportTimeoutError:
    """Return the error for a command that got no answer."""
    return TransportTimeoutError(
        f"The programmer did not answer <{name}>.",
        done_bytes=cause.done_bytes,
        device_log=tuple(logs)[-_SHOWN_LINES:],
        remedies=(
            "Hold the power button for 15 seconds, and enter EDL mode again.",
            "If it stays mute, another variant of the programmer (ddr, lite) may be right.",
            "Repeat the command.",
        ),
    )
