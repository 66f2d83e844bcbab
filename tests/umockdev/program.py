# SPDX-License-Identifier: BSD-3-Clause
"""Processes that see the testbed as their /sys and /dev."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from typing import IO, Any, NamedTuple

import pytest

from tests.conftest import REPO
from tests.umockdev.bus import UsbfsBus
from tests.umockdev.testbed import Testbed
from tests.umockdev.worker import Answer, Message

LIMIT_S = 20.0
_WRAPPER = "umockdev-wrapper"
_WORK = "from tests.umockdev.worker import main; main()"


def require(library: str) -> None:
    """Skip the test where it cannot run with that libusb."""
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        pytest.skip("these tests play the usbfs of 64-bit Linux")
    if shutil.which(_WRAPPER) is None:
        pytest.skip("umockdev is not installed (Debian: apt install umockdev)")
    try:
        ctypes.CDLL(library)
    except OSError:
        pytest.skip(f"{library} is not installed (Debian: apt install libusb-1.0-0)")


class Result(NamedTuple):
    """How a program ended."""

    status: int
    output: str
    errors: str


class Program:
    """A process that sees the testbed as its /sys and /dev, and what it prints as an error."""

    def __init__(self, testbed: Testbed, *command: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        self._process = subprocess.Popen(
            [_WRAPPER, *command],
            cwd=REPO,
            env={**os.environ, "UMOCKDEV_DIR": str(testbed.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,  # but no session: it would take a phone for its terminal
        )
        assert self._process.stdin
        assert self._process.stdout
        self.input: IO[bytes] = self._process.stdin
        self.output: IO[bytes] = self._process.stdout

    def finish(self, bus: UsbfsBus, limit_s: float) -> Result:
        """Serve the program until it ends; it is stopped after limit_s."""
        self.input.close()
        output = bytearray()
        try:
            while piece := self._piece(bus, limit_s):
                output += piece
            status = self._process.wait(limit_s)
            return Result(status, output.decode(), self._printed())
        except BaseException as error:
            error.add_note(f"it printed: {output.decode()}{self._printed()}")
            raise
        finally:
            self.stop()

    def _piece(self, bus: UsbfsBus, limit_s: float) -> bytes:
        bus.serve(self.output.fileno(), limit_s)
        return os.read(self.output.fileno(), 65536)

    def _printed(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def call(self, bus: UsbfsBus, message: Message) -> Any:  # noqa: ANN401
        """Return what a worker's session returns; what goes wrong ends the worker."""
        try:
            bus.tick()
            pickle.dump(message, self.input)
            self.input.flush()
            bus.serve(self.output.fileno(), LIMIT_S)
            answer: Answer = pickle.load(self.output)  # noqa: S301  from a process of ours
        except BaseException as error:
            error.add_note(f"the worker printed: {self._printed()}")
            self.stop()
            raise
        if answer.traceback is not None:
            pytest.fail(answer.traceback)
        return answer.result

    @property
    def runs(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it, however far it has come."""
        self._process.kill()
        self._process.wait()
        for stream in (self.input, self.output, self._errors):
            with contextlib.suppress(BrokenPipeError):  # it has not taken all
                stream.close()


class Workers:
    """A testbed, and processes that see it and use libusb; they outlive a test, to save time."""

    def __init__(self) -> None:
        self.testbed = Testbed()
        self._programs: dict[tuple[str, int], Program] = {}

    def get(self, library: str, number: int) -> Program:
        """Return the process with that number that uses that libusb."""
        program = self._programs.get((library, number))
        if program is None or not program.runs:
            program = Program(self.testbed, sys.executable, "-c", _WORK, library)
            self._programs[library, number] = program
        return program

    def close(self) -> None:
        """End them."""
        for program in self._programs.values():
            program.stop()
        self.testbed.close()
