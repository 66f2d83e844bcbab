# SPDX-License-Identifier: BSD-3-Clause
"""`edl list` where nothing is plugged in, told before click, pyusb and pyserial are imported.

People and scripts repeat it until the phone is there. Whatever is not as plain as that goes the
ordinary way, `edl.cli.commands.list`; a test holds the words of the two together.
"""

from __future__ import annotations

import os
import time

import edl
from edl import places, sysfs
from edl.cli import shown, terminal
from edl.errors import NoDeviceError

LOG_BYTES = 4 * 1024 * 1024  # a log of that size is rolled: `edl.cli.logs`


def list_nothing() -> int | None:
    """Say that there is no phone, and return the exit status; None if more must be looked at."""
    if _has_defaults() or not sysfs.is_bare() or not _note():
        return None
    terminal.prepare()
    shown.show(no_phone(), "auto")
    return NoDeviceError.status


def no_phone(others: tuple[str, ...] = (), todo: tuple[str, ...] = ()) -> NoDeviceError:
    """Return the error that says so. others: what is there instead; todo: what to do about it."""
    return NoDeviceError(
        " ".join(["No phone in EDL mode is connected.", *(f"{other}." for other in others)]),
        remedies=todo
        or (
            "Put the phone in EDL mode (often: hold both volume keys while plugging it in).",
            "If a black screen is all there is, hold its power button for 15 seconds first.",
            "Run 'edl doctor': it looks at the computer, its drivers and the cable.",
        ),
    )


def _has_defaults() -> bool:
    """Tell whether options may come from elsewhere than the command line."""
    if any(name.startswith("EDL_") and name != "EDL_HOME" for name in os.environ):
        return True
    return os.path.lexists(f"{places.config()}/config.toml")


def _note() -> bool:
    """Add the command to the log, as `edl.cli.logs` does; False if there is more to do there."""
    try:
        os.getcwd()  # noqa: PTH109  # pathlib takes 8 ms
        log = os.open(f"{places.data()}/log/edl.log", os.O_WRONLY | os.O_APPEND)
    except OSError:
        return False
    try:
        if os.fstat(log).st_size >= LOG_BYTES:
            return False
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
        line = f"{now},{rest // 1_000_000:03d} INFO    {__name__}: edl {edl.__version__}: list\n"
        os.write(log, line.encode())
    except OSError:
        return False
    finally:
        os.close(log)
    return True
