# SPDX-License-Identifier: BSD-3-Clause
"""Whether a console of Windows understands escape sequences; old ones show them as letters.

Facts: Microsoft's documentation of SetConsoleMode: consoles since Windows 10 do once they are told
to, and refuse the mode otherwise.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

_PROCESSED_OUTPUT, _VIRTUAL_TERMINAL = 0x1, 0x4


def takes_sequences(stream: TextIO | None) -> bool:
    """Tell whether stream's terminal takes escape sequences, and make it take them if it can."""
    if sys.platform == "win32":
        return _console_takes(stream)
    return True


def _console_takes(stream: TextIO | None) -> bool:
    import ctypes  # noqa: PLC0415
    import msvcrt  # noqa: PLC0415  # only Windows has it

    osfhandle: Any = getattr(msvcrt, "get_osfhandle")  # noqa: B009  # unknown elsewhere
    console: Any = getattr(ctypes, "windll").kernel32  # noqa: B009
    try:
        handle = osfhandle(stream.fileno()) if stream is not None else -1
    except (OSError, ValueError):
        return False
    mode = ctypes.c_uint32()
    if not console.GetConsoleMode(handle, ctypes.byref(mode)):
        return False  # a pipe, or a terminal that is none of Windows' own
    wanted = mode.value | _PROCESSED_OUTPUT | _VIRTUAL_TERMINAL
    return mode.value == wanted or bool(console.SetConsoleMode(handle, wanted))
