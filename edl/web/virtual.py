# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones for a server: those in folders, and new ones in a folder of the server's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edl.errors import UsageError
from edl.virtual.bench import names
from edl.virtual.faults import parse_fault
from edl.virtual.phone import Phone
from edl.virtual.saved import FILE_NAME


def folders(text: str, faults: Sequence[str], into: Path) -> list[Path]:
    """Return the folders of the phones that text names (see `edl.virtual.bench`).

    faults: what goes wrong with those that are made, in folders inside into.

    Raises:
        UsageError: text names no phones, or too many, or there is no such fault.
        ImageError, AccessError, DiskError: a phone's folder is damaged, or cannot be used.
    """
    for fault in faults:
        parse_fault(fault)
    found = []
    for number, name in enumerate(names(text), 1):
        path = Path(name)
        if not (path / FILE_NAME).exists():
            path = into / str(number)
            spec = ",".join([name, *(f"fault={fault}" for fault in faults)])
            Phone.create(spec, path).close()
        elif faults:
            raise UsageError(
                f"The phone in {path} is there already: --fault is for phones that are made.",
                remedies=(f"Make it with its fault: edl virtual new {path} NAME,fault=...",),
            )
        found.append(path.absolute())
    return found
