# SPDX-License-Identifier: BSD-3-Clause
"""The library: find, identify, connect, plan, run, read.

Import these names from `edl`::

    import edl

    package = edl.open_package("ROM.zip")
    with edl.connect(package=package) as phone:
        job = phone.plan(package)
        phone.run(job, on_event=print)

Nothing here prints, asks or exits. What goes wrong is an `EdlError` with a stable `code`, what to
do about it (`remedies`) and, once something was written, what is on the phone (`state`). Any other
exception is a bug. One phone belongs to one thread at a time; several phones may be used in
several threads. What exists only once on a phone, and journals, are kept below `EDL_HOME`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edl import imageset, loaders
from edl.device import connect as reaching
from edl.device import ladder
from edl.device.connect import ChooseLoader
from edl.device.phone import Wishes
from edl.errors import (
    CancelledError,
    EdlError,
    InterruptedUploadError,
    NoDeviceError,
    StoppedMidwayError,
    UsageError,
)
from edl.events import Busy, BytesMoved, DeviceLog, Emit, Event, Notice, Stage, StepStarted, ignore
from edl.formats.gpt import Partition
from edl.formats.mbn import read_image
from edl.identity import PhoneIdentity
from edl.loaders import Candidate
from edl.package import Package
from edl.packages import door
from edl.packages.model import Choices
from edl.plan.job import Outcome
from edl.plan.model import Finding, Plan, Severity
from edl.session import Job, Phone
from edl.transport import Transport, discovery
from edl.transport.discovery import Found
from edl.transport.patient import PatientTransport

if TYPE_CHECKING:
    from edl.virtual.phone import Phone as VirtualPhone

__all__ = [
    "Busy",
    "BytesMoved",
    "CancelledError",
    "DeviceLog",
    "EdlError",
    "Event",
    "Finding",
    "Found",
    "Job",
    "Notice",
    "Outcome",
    "Package",
    "Partition",
    "Phone",
    "PhoneIdentity",
    "Plan",
    "Severity",
    "Stage",
    "StepStarted",
    "StoppedMidwayError",
    "connect",
    "find",
    "identify",
    "open_package",
    "virtual_phone",
]

Loader = str | Path | Mapping[int, bytes] | ChooseLoader | None  # None: the package's own

_COME_BACK_S = 10.0
_POLL_S = 0.3


def find(bus: VirtualPhone | None = None) -> list[Found]:
    """Return the phones in EDL or crash-dump mode that are plugged in, over USB.

    None is opened, so also those are told that another program has. bus: a virtual phone, to look
    at instead of this computer's USB.

    Raises:
        TransportError: there is no libusb, or it cannot look at the bus.
    """
    return discovery.find(bus.backend if bus is not None else None)


def virtual_phone(name: str) -> VirtualPhone:
    """Return a virtual phone, plugged in until it is closed; use it with `with`.

    name: a profile (`edl virtual profiles`), or a folder that `edl virtual new` made.

    Raises:
        UsageError: name is neither.
        AccessError, DiskError, ImageError: the folder cannot be used, or is damaged.
    """
    from edl.virtual.phone import Phone as Virtual  # noqa: PLC0415  # seldom needed

    return Virtual.named(name)


def open_package(
    *paths: str | Path,
    wipe: bool = False,
    choose: Mapping[str, str] | None = None,
    on_event: Emit = ignore,
) -> Package:
    """Return the package at paths: a folder, an archive, or XML files one by one.

    wipe: replace the user's data as well, where the package makes a difference. choose: which part
    of the package is meant, where it has several (`edl check` names them). on_event: called while
    something must be unpacked.

    Raises:
        UsageError: a path names nothing.
        PackageError, DocumentError, ImageError: it is no package, or damaged.
        DiskError: there is no room for what must be unpacked.
    """
    choices = Choices(wipe, dict(choose or {}), on_event)
    return door.open_any([str(path) for path in paths], choices=choices)[0]


def identify(found: Found | None = None, *, on_event: Emit = ignore) -> PhoneIdentity:
    """Return who a phone says it is; it gets no programmer, and can be connected to afterwards.

    What it does not tell is None in the result: all of it where a programmer runs already. found:
    one that `find` returned; without it, the only one that is plugged in.

    Raises:
        NoDeviceError: there is none.
        UsageError: there are several, and found does not choose.
        EdlError: it does not answer, or not as it should.
    """
    found = found or discovery.choose(find(), None)
    with closing(_opened(found, on_event)) as transport:
        answering = ladder.find_out(transport, on_event, ask=True)
        if answering.interrupted:
            raise InterruptedUploadError(
                f"The phone was stuck in an interrupted upload ({answering.interrupted})."
            )
        rom = answering.boot_rom
        if rom is None or not (answering.hello or answering.commanding):
            return PhoneIdentity()
        return rom.identify(answering.hello)


def connect(
    found: Found | None = None,
    *,
    loader: Loader = None,
    package: Package | None = None,
    memory: str = "",
    known: PhoneIdentity | None = None,
    on_event: Emit = ignore,
) -> Phone:
    """Return a phone with a configured programmer; use it with `with`, so that it is closed.

    found: one that `find` returned; without it, the only one that is plugged in. loader: the
    programmer: its file, a folder in which to look for one that fits, images by Sahara id, or a
    function that gets the phone's identity and returns those. package: its programmers are taken
    without loader. memory: `emmc` or `ufs`, where the phone shall not be asked. known: what
    `identify` told, so that the phone is not asked again.

    Raises:
        NoDeviceError: there is none.
        UsageError: there are several, or no loader was named and one is needed.
        ImageError: no loader would start on this phone; the message says why.
        EdlError: it does not answer, or refuses; see its code and remedies.
    """
    found = found or discovery.choose(find(), None)
    hints: tuple[str, ...] = ()
    if package is not None and package.sector_bytes:
        hints = (package.memory or ("emmc" if package.sector_bytes == 512 else "ufs"),)
    held = [_opened(found, on_event)]

    def reopen() -> Transport:
        held.append(_opened(_again(found), on_event))
        return held[-1]

    try:
        device = reaching.connect(
            held[0], _chooser(loader, package), Wishes(memory, hints), on_event, known, reopen
        )
    except BaseException:
        for transport in held:
            transport.close()
        raise
    return Phone(device, held)


def _opened(found: Found, emit: Emit) -> Transport:
    return PatientTransport(found.open(), emit)


def _again(before: Found) -> Found:
    """Return the phone when it has left the bus and come back.

    Raises:
        NoDeviceError: it does not.
    """
    virtual = type(before.device.backend).__module__.startswith("edl.")
    backend = before.device.backend if virtual else None
    deadline, absent = time.monotonic() + _COME_BACK_S, False
    while True:
        try:
            found = discovery.choose(discovery.find(backend), before.serial)
            if absent or (found.bus, found.address) != (before.bus, before.address):
                return found
        except NoDeviceError:
            absent = True
        if time.monotonic() >= deadline:
            raise NoDeviceError("The phone did not come back in EDL mode.")
        time.sleep(_POLL_S)


def _chooser(loader: Loader, package: Package | None) -> ChooseLoader:
    """Return the function that gives the images for a phone."""
    if callable(loader):
        return loader
    if isinstance(loader, str | Path):
        path = Path(loader)
        return lambda phone: _of_path(path, phone)
    if loader is not None:
        return lambda _: loader
    return lambda phone: _of_package(package, phone)


def _of_path(path: Path, phone: PhoneIdentity) -> Mapping[int, bytes]:
    if path.is_dir():
        return _image(loaders.choose(loaders.find_programmers(path), phone))
    data = imageset.read_file(path)
    images = imageset.of_file(path, data)
    if images is None:
        read_image(data)  # what is no boot image at all is said here, not by the phone
    return images or {imageset.PROGRAMMER_ID: data}


def _of_package(package: Package | None, phone: PhoneIdentity) -> Mapping[int, bytes]:
    if package is not None and package.loaders:
        return _image(loaders.choose(package.loaders, phone))
    if package is not None and len(package.programmers) == 1:
        return package.programmers[0].read()
    raise UsageError(
        "No programmer (loader) was named, and one is needed.",
        remedies=("Name it: connect(loader=FILE).",),
    )


def _image(candidate: Candidate) -> Mapping[int, bytes]:
    return {imageset.PROGRAMMER_ID: imageset.read_file(candidate.path)}
