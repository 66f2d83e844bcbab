# SPDX-License-Identifier: BSD-3-Clause
"""The commands that divide a UFS device into LUNs.

A programmer collects the rows; only the last one, with commit="1", goes to the device (executed on
generation 3). With commit="0" nothing does: that is the rehearsal, in which a programmer can refuse
rows that it does not understand. After a commit it still has its old LUNs open: what the device has
become is seen after a restart only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from edl.device import ufs
from edl.device.firehose import Programmer
from edl.errors import DeviceGoneError, DeviceRefusedError, WrongStorageError
from edl.firehose import commands
from edl.firehose.answers import StorageInfo
from edl.formats.provision import Layout

_log = logging.getLogger(__name__)

# 5 s were too short for real devices (linux-msm/qdl#314); nobody has seen an upper bound
COMMIT_TIMEOUT_S = 900.0


def about_device(programmer: Programmer) -> StorageInfo | None:
    """Return what a UFS device says of itself as a whole, or None if nobody tells.

    It is asked for before any LUN: that opens on a device without LUNs, too (executed: generation 3
    opens it before the first LUN anyway). A failed attempt to open a LUN of such a device would
    keep its programmer from provisioning until the next start (linux-msm/qdl#297).
    """
    try:
        info = programmer.storage_info(ufs.DEVICE_LUN)
    except DeviceRefusedError as error:
        _log.info("the device as a whole: %s", error)
        return None
    return info if ufs.device_of(info).is_told else None


def survey(programmer: Programmer, payload_bytes: int) -> StorageInfo | None:
    """Configure programmer for UFS, and touch no LUN. Returns what about_device does.

    Raises:
        WrongStorageError: the phone has another kind of storage, or none that answers.
    """
    answer = programmer.configure("ufs", payload_bytes=payload_bytes, skip_storage=True)
    if answer.memory.lower() != "ufs":
        raise WrongStorageError(
            f"The phone has {answer.memory or 'another storage'}, and only UFS is divided so.",
            remedies=("Nothing needs to be provisioned: go on with the package for this phone.",),
        )
    info = about_device(programmer)
    if info is None and programmer.generation == 3:
        raise WrongStorageError(
            "The UFS storage does not answer: the phone has none, or an earlier command asked for a"
            " LUN that is not there.",
            remedies=(
                "Start over, and let this be the first command: edl reset --mode edl",
                "If it stays so, the phone has eMMC (edl info), or the storage is dead.",
            ),
        )
    return info


def rows(layout: Layout, *, commit: bool) -> Iterator[bytes]:
    """Yield the commands for layout, in their order."""
    for row in (layout.device, *layout.luns):
        yield commands.ufs(row.texts)
    yield commands.ufs({"LUNtoGrow": layout.end.texts["LUNtoGrow"], "commit": int(commit)})


def rehearse(programmer: Programmer, layout: Layout) -> None:
    """Let the programmer look at all rows; nothing is changed.

    Raises:
        DeviceRefusedError: it does not take them.
    """
    for xml in rows(layout, commit=False):
        programmer.command("ufs", xml)


def collect(programmer: Programmer, layout: Layout) -> None:
    """Give the programmer all rows but the last; nothing is changed.

    Raises:
        DeviceRefusedError: it does not take them.
    """
    *collected, _ = rows(layout, commit=True)
    for xml in collected:
        programmer.command("ufs", xml)


def commit(programmer: Programmer, layout: Layout) -> bool:
    """Divide the device as layout says, which was collected; all that it holds is lost. Takes long.

    Returns:
        Whether the programmer said yes; False: it left the bus instead, as some do
        (linux-msm/qdl#322).

    Raises:
        DeviceRefusedError: the device does not take it; it is as it was.
        TransportTimeoutError: it does not answer; nobody knows how the device is divided.
    """
    *_, last = rows(layout, commit=True)
    try:
        programmer.command("ufs", last, COMMIT_TIMEOUT_S)
    except DeviceGoneError as error:
        _log.warning("the phone left instead of an answer to commit: %s", error)
        return False
    return True
