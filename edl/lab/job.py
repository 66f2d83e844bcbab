# SPDX-License-Identifier: BSD-3-Clause
"""One command of edl as a process, here or behind ssh, and what its JSON lines tell."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

Line = dict[str, Any]

_TOLD_BYTES = 2000  # of what a command that is no edl says about itself


class JobError(Exception):
    """A command of edl failed.

    Attributes:
        code: stable name of what happened (docs/errors.md); `no-result` if the command ended
            without telling, so that it was not edl that failed, but what should start it.
        status: its exit status.
        message: what happened, one sentence.
        state: what is on the phone now; empty if nothing was written.
        remedies: what to do, most likely first.
        device_log: the programmer's own words.
        result: what the command told all the same, such as which parts differ.
    """

    def __init__(self, error: Line, result: Line | None = None) -> None:
        self.code = str(error["code"])
        self.status = int(error["status"])
        self.message = str(error["message"])
        self.state = str(error.get("state", ""))
        self.remedies = tuple(map(str, error.get("remedies", ())))
        self.device_log = tuple(map(str, error.get("device_log", ())))
        self.result = result
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"on the phone: {self.state}"] if self.state else []
        lines += [f"phone: {each}" for each in self.device_log]
        lines += [f"try: {each}" for each in self.remedies]
        return "\n".join(lines)


def phone_options(usb_path: str = "", serial: str = "", virtual: str = "") -> list[str]:
    """Return the options that name one phone to edl.

    usb_path: where it is plugged in, as Linux writes it (`1-4.2`). virtual: a virtual phone's
    folder, or its profile.
    """
    options = {"--virtual": virtual, "--usb-path": usb_path, "--serial": serial}
    return [word for option, value in options.items() if value for word in (option, value)]


def run(command: Sequence[str], heard: Callable[[Line], None]) -> Line:
    """Run command, which is edl with --json, and return its `result`.

    heard: gets each line before the last one, as it comes.

    Raises:
        JobError: it failed, or could not be started.
    """
    ended: dict[str, Line] = {}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            )
        except OSError as error:
            raise _silent(command, 127, str(error)) from error
        with process:
            try:
                for raw in process.stdout or ():
                    line = _parsed(raw)
                    if line.get("type") in {"result", "error"}:
                        ended[line["type"]] = line
                    elif line:
                        heard(line)
            except BaseException:
                process.terminate()
                raise
        if "error" in ended:
            raise JobError(ended["error"], ended.get("result"))
        if process.returncode or "result" not in ended:
            said.seek(0)
            words = said.read()[-_TOLD_BYTES:].decode(errors="replace")
            raise _silent(command, process.returncode, words)
    return ended["result"]


def _parsed(raw: bytes) -> Line:
    """Return the JSON object in raw; an empty one if it is something else, such as a banner."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _silent(command: Sequence[str], status: int, words: str) -> JobError:
    said = " ".join(words.split()) or "it said nothing"
    return JobError(
        {
            "code": "no-result",
            "status": status,
            "message": f"'{' '.join(command)}' ended with status {status} and no result: {said}",
            "remedies": [
                "Look whether edl is installed on the host with the phone, for the user who logs"
                " in there; 'tools: edl:' in the environment names it.",
                "If it is ssh that failed: the host must let you in with a key.",
            ],
        }
    )
