# SPDX-License-Identifier: BSD-3-Clause
"""The udev rule that lets users speak to phones in EDL mode, and what rules a computer has.

udev(7): a file in /etc hides one of the same name in /run and /usr/lib, all files are worked off in
order of their names. systemd's 73-seat-late.rules turns the tag uaccess into permissions, so a file
behind it sets the tag in vain.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.errors import EdlError, UsageError
from edl.transport.computer import Computer

PLACE = "/etc/udev/rules.d/51-edl.rules"
FOLDERS = (
    "/etc/udev/rules.d",
    "/run/udev/rules.d",
    "/usr/local/lib/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
)
INSTALL = f"edl setup-udev | sudo tee {PLACE} >/dev/null && sudo udevadm control --reload"

_SEAT = "73-seat-late.rules"
_MAX_BYTES = 4 * 1024 * 1024
_VENDOR = re.compile(r'ATTRS?\{idVendor\}\s*==\s*"([^"]*)"')
_PRODUCT = re.compile(r'ATTRS?\{idProduct\}\s*==\s*"([^"]*)"')
_TTY = re.compile(r'SUBSYSTEMS?\s*==\s*"tty"')
_MODE = re.compile(r'MODE\s*:?=\s*"0?[0-7]?([0-7]{3})"')
_UACCESS = re.compile(r'TAG\s*\+=\s*"uaccess"')
_IGNORE = re.compile(r'ENV\{ID_MM_DEVICE_IGNORE\}\s*=\s*"1"')


@dataclass(frozen=True)
class Rules:
    """What the rules of a computer say of phones in EDL mode.

    Attributes:
        granting: name of the file that lets users in, or None.
        late: file that sets the tag uaccess too late, or None.
        other: file that speaks of such phones and does neither, or None.
        ignored: ModemManager is told to leave them alone.
        found: there are rules at all: this computer has udev.
    """

    granting: str | None
    late: str | None
    other: str | None
    ignored: bool
    found: bool


def rules_text() -> str:
    """Return the rule file that comes with this program."""
    return importlib.resources.files("edl.data").joinpath("51-edl.rules").read_text("utf-8")


def install(computer: Computer, run: Callable[[list[str]], bool]) -> bool:
    """Write the rule file, and let udev read it; return whether udev did.

    run: carries out a command and tells whether it worked.

    Raises:
        UsageError: this system has no udev, or only root may do that.
        EdlError: the file cannot be written.
    """
    if not computer.is_linux:
        raise UsageError("There is no udev on this system.", remedies=("See: edl doctor",))
    path = computer.path(PLACE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rules_text(), encoding="utf-8")
        path.chmod(0o644)
    except PermissionError as error:
        raise UsageError(f"Only root may write {PLACE}.", remedies=(INSTALL,)) from error
    except OSError as error:
        raise EdlError(f"{PLACE} cannot be written: {error.strerror}.") from error
    # the second applies the rule to what is plugged in already
    return run(["udevadm", "control", "--reload"]) and run(
        ["udevadm", "trigger", "--subsystem-match=usb", "--subsystem-match=tty"]
    )


def read_rules(computer: Computer) -> Rules:
    """Return what the rules of computer say of 05c6:9008."""
    granting = late = other = None
    found = ignored = False
    for path in _files(computer):
        found = True
        for line in _lines(path):
            if not _speaks_of_edl(line):
                continue
            ignored = ignored or _IGNORE.search(line) is not None
            mode = _MODE.search(line)
            if mode is not None and int(mode[1][2]) & 6 == 6:
                granting = granting or path.name
            elif _UACCESS.search(line):
                if path.name < _SEAT:
                    granting = granting or path.name
                else:
                    late = late or path.name
            else:
                other = other or path.name
    return Rules(granting, late, other, ignored, found)


def _files(computer: Computer) -> list[Path]:
    """Return the rule files that count, in order of their names."""
    files: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in computer.path(folder).glob("*.rules"):
            files.setdefault(path.name, path)
    return [files[name] for name in sorted(files)]


def _lines(path: Path) -> Iterator[str]:
    """Yield the rules in path; a backslash joins lines."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.replace("\\\n", " ").splitlines():
        if not line.lstrip().startswith("#"):
            yield line


def _speaks_of_edl(line: str) -> bool:
    """Tell whether a rule is for the USB device 05c6:9008, or for all of that vendor."""
    vendor, product = _VENDOR.search(line), _PRODUCT.search(line)
    if vendor is None or vendor[1].lower() != "05c6" or _TTY.search(line):
        return False
    return product is None or product[1].lower() == "9008"
