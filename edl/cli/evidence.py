# SPDX-License-Identifier: BSD-3-Clause
"""What somebody who mends a bug wants to see: versions, the system, USB, checks, logs, journals.

Collected as text, at most the end of what is long; no contents of any phone. Nothing is sent.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import edl
from edl.cli import defaults, seen
from edl.cli.keys import KEYS
from edl.cli.redaction import Redactor
from edl.errors import EdlError
from edl.home import home

_MOST_BYTES = 512 * 1024  # of each file, its end
_MOST_JOURNALS = 5
_MOST_BUGS = 5
_LIBRARIES = ("click", "rich", "pyusb", "pyserial", "lxml", "platformdirs", "libusb-package", "lz4",
              "pycryptodome", "brotli", "backports.zstd")  # fmt: skip
# environment variables that bear on what edl does; others are nobody's business
_VARIABLES = ("LANG", "LC_ALL", "TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "SSH_CONNECTION",
              "WSL_DISTRO_NAME", "SNAP", "FLATPAK_ID", "VIRTUAL_ENV")  # fmt: skip
Lines = Callable[[], list[str]]


@dataclass(frozen=True)
class Item:
    """A file of the report. name: in the zip, with "/"; about: what it is, for people."""

    name: str
    about: str
    text: str


def collect(usb: Lines, checks: Lines) -> list[Item]:
    """Return what there is, not redacted yet.

    usb, checks: give lines about the devices on the bus, and the doctor's; what they raise is told
    instead.
    """
    jobs = "phones/*/jobs/"
    return [
        Item("versions.txt", "edl, Python, libraries, the system", _joined(_versions())),
        Item("usb.txt", "USB devices: ids, places, names", _told(usb)),
        Item("doctor.txt", "what 'edl doctor' says", _told(checks)),
        Item("config.txt", "defaults that are in force", _told(_config)),
        *_files(home() / "log", "edl.log*", "the log", 2),
        *_files(home() / "bugs", "edl-bug-*.txt", "where edl stumbled", _MOST_BUGS),
        *_files(home(), f"{jobs}*.jsonl", "journal of a job", _MOST_JOURNALS),
        *_files(
            home(), "phones/*/jobs/ended/*.jsonl", "journal of a job that ended", _MOST_JOURNALS
        ),
        *_files(home(), "phones/*/identity.json", "what a phone told about itself", _MOST_JOURNALS),
    ]


def redacted(items: list[Item]) -> tuple[list[Item], int]:
    """Return items without private words, and how many different ones were replaced."""
    redactor = Redactor(_homes(), _users())
    for serial in seen.serials():
        if not serial.strip("0123456789abcdefABCDEF"):
            redactor.learn_serial(serial)
    for item in items:
        redactor.learn(item.name)
        redactor.learn(item.text)
    clean = [Item(redactor.text(item.name), item.about, redactor.text(item.text)) for item in items]
    return clean, redactor.replaced


def _homes() -> Iterator[tuple[str, str]]:
    """Yield the user's folders, with what stands for them."""
    yield str(home()), "DATA"
    yield str(home().resolve()), "DATA"
    for folder in (os.path.expanduser("~"), os.environ.get("USERPROFILE", "")):  # noqa: PTH111
        if len(folder) > 1:
            yield folder, "HOME"


def _users() -> Iterator[str]:
    with contextlib.suppress(OSError, KeyError, ImportError):  # without a name, as in containers
        yield getpass.getuser()
    node = platform.node()
    yield node
    yield node.partition(".")[0]


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _told(lines: Lines) -> str:
    try:
        return _joined(lines())
    except (EdlError, OSError) as error:
        return f"not known: {error}\n"


def _versions() -> list[str]:
    lines = [
        f"edl {edl.__version__}",
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"{platform.platform()}, {platform.machine()}",
        "",
    ]
    for name in _LIBRARIES:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name}: not there")
    lines.append("")
    return lines + [f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name)]


def _config() -> list[str]:
    file = defaults.read()
    rows = [defaults.lookup(name, file) for name in KEYS]
    told = [f"{row.key.name} = {row.value!r}  # {row.where}" for row in rows if row is not None]
    return [f"{file.path}{'' if file.exists else ' (not there)'}", *told, *defaults.strangers()]


def _files(folder: Path, pattern: str, about: str, most: int) -> Iterator[Item]:
    """Yield the newest files of that pattern."""
    try:
        paths = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return
    for path in paths[:most]:
        try:
            text = _end(path)
        except OSError as error:
            text = f"cannot be read: {error.strerror}\n"
        yield Item(path.relative_to(home()).as_posix(), about, text)


def _end(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MOST_BYTES))
        text = file.read().decode("utf-8", "backslashreplace")
    if size > _MOST_BYTES:
        return f"[the last {_MOST_BYTES} of {size} bytes]\n{text.partition(chr(10))[2]}"
    return text
