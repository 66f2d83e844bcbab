# SPDX-License-Identifier: BSD-3-Clause
"""The software that we stand on, and the room and the loaders that we have."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import edl
from edl.doctor.model import Check, Verdict
from edl.transport.computer import Computer
from edl.units import format_size

_PACKAGES = ("click", "lxml", "platformdirs", "pycryptodome", "pyserial", "pyusb", "rich")
# what is saved before the first write: partition tables, calibration, keys, at times persist
_LEAST_BYTES = 64 * 1024 * 1024
_ENOUGH_BYTES = 1024 * 1024 * 1024
_SCRIPT_BYTES = 4096


class _Version(ctypes.Structure):
    """What libusb_get_version returns a pointer to (libusb.h)."""

    _fields_ = (
        ("major", ctypes.c_uint16),
        ("minor", ctypes.c_uint16),
        ("micro", ctypes.c_uint16),
        ("nano", ctypes.c_uint16),
        ("rc", ctypes.c_char_p),
        ("describe", ctypes.c_char_p),
    )


def python() -> Check:
    """Tell which Python runs us."""
    fact = f"edl {edl.__version__} on Python {platform.python_version()} ({sys.executable})"
    return Check("python", fact, Verdict.OK)


def packages(version: Callable[[str], str] = metadata.version) -> Check:
    """Tell the versions of the libraries that we import."""
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        fact = f"not installed: {', '.join(missing)}"
        return Check("packages", fact, Verdict.BAD, f"{_pip()} install {' '.join(missing)}")
    return Check("packages", ", ".join(found), Verdict.OK)


def libusb(backend: Any) -> Check:  # noqa: ANN401
    """Tell which libusb is used. backend: pyusb's."""
    library = getattr(backend, "lib", None)
    if library is None:
        return Check("libusb", "the bus is a virtual one, without libusb", Verdict.OK)
    name = str(library._name)
    origin = "bundled" if "libusb_package" in name else "the system's"
    try:
        library.libusb_get_version.restype = ctypes.POINTER(_Version)
        version = library.libusb_get_version().contents
    except (AttributeError, ValueError):
        fact = f"libusb is {origin} ({name}); it does not tell its version"
        return Check("libusb", fact, Verdict.UNKNOWN)
    number = f"{version.major}.{version.minor}.{version.micro}"
    return Check("libusb", f"libusb {number}, {origin} ({name})", Verdict.OK)


def other_edl(computer: Computer, own: Path) -> Check:
    """Look for another program called edl that a shell would run. own: ours."""
    name, programs = "other-edl", []
    for folder in computer.environment.get("PATH", "").split(os.pathsep):
        for file in ("edl", "edl.exe", "edl.py"):
            path = Path(folder) / file
            if folder and path.is_file() and os.access(path, os.X_OK):
                programs.append(path)
    strangers = [path for path in programs if not _is_ours(path, own)]
    if not strangers:
        return Check(name, "no other program on the PATH is called edl", Verdict.OK)
    fact = f"another program is called edl: {strangers[0]}{_maker(strangers[0])}"
    if programs[0] in strangers:
        return Check(name, f"{fact}, and a shell takes it first", Verdict.WARN, f"alias edl={own}")
    return Check(name, f"{fact}, but a shell takes ours first", Verdict.OK)


def _is_ours(path: Path, own: Path) -> bool:
    return path.resolve() == own.resolve() or _holds(path, "edl.__main__")


def _maker(path: Path) -> str:
    return " (bkerler/edl)" if _holds(path, "edlclient") else ""


def _holds(path: Path, word: str) -> bool:
    """Tell whether a script speaks of word in its first lines."""
    try:
        with path.open("rb") as file:
            return word.encode() in file.read(_SCRIPT_BYTES)
    except OSError:
        return False


def loaders(
    folders: Sequence[Path], tests: Sequence[Path], find: Callable[[Path], Sequence[Path]]
) -> Check:
    """Count the loaders for real phones. tests: folders whose loaders only virtual phones start.

    find: finds the loaders in one folder.
    """
    tested = {folder.resolve() for folder in tests}
    real = {folder: None for folder in folders if folder.resolve() not in tested}
    counts = {folder: len(find(folder)) for folder in (*real, *tests) if folder.is_dir()}
    found = [f"{counts[folder]} in {folder}" for folder in real if counts.get(folder)]
    dummies = sum(counts.get(folder, 0) for folder in tests)
    fact = f"loaders for real phones: {', '.join(found) or 'none kept; most packages bring theirs'}"
    if dummies:
        fact += f" (and {dummies} test loaders, which start virtual phones only)"
    return Check("loaders", fact, Verdict.OK)


def room(home: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> Check:
    """Look whether what exists only once can be saved below home, which need not exist yet."""
    name, command = "disk", "Set EDL_HOME to a folder with room that you may write to."
    folder = next((path for path in (home, *home.parents) if path.exists()), home)
    if not os.access(folder, os.W_OK):
        fact = f"you may not write to {folder}, where what exists only once is saved"
        return Check(name, fact, Verdict.BAD, command)
    try:
        free = usage(folder).free
    except OSError as error:
        fact = f"how much room {folder} has is not told: {error.strerror}"
        return Check(name, fact, Verdict.UNKNOWN)
    fact = f"{format_size(free)} are free in {home}"
    if free < _LEAST_BYTES:
        return Check(name, fact, Verdict.BAD, command)
    if free < _ENOUGH_BYTES:
        return Check(name, fact, Verdict.WARN, command)
    return Check(name, fact, Verdict.OK)


def _pip() -> str:
    return f"{sys.executable} -m pip"
