# SPDX-License-Identifier: BSD-3-Clause
"""What else a start depends on: user data, orders in misc, the lock, calibration, builds.

Facts: AOSP bootloader_message.h (misc); the open boot loaders' device info (`ANDROID-BOOT!`, then
is_unlocked: a byte in edk2, an aligned word in lk).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edl.boot import chain
from edl.boot.images import is_blank
from edl.boot.model import BAD, Expectation, Job, Seen, base
from edl.boot.reader import BoundedStorage
from edl.boot.tables import Layout
from edl.chunks import BytesContent
from edl.errors import DeviceRefusedError
from edl.formats import avb
from edl.formats.slots import Slot
from edl.packages import builds
from edl.packages.holdings import Holding
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan.model import Finding, Severity
from edl.plan.onphone import OnPhone

_HEAD_BYTES = 4096
_DEVICE_INFO_MAGIC = b"ANDROID-BOOT!"
_UNLOCKED_AT, _UNLOCKED_WORD_AT = 13, 16
_COMMAND_BYTES, _RECOVERY_AT, _RECOVERY_BYTES = 32, 64, 768
_WIPES = b"--wipe_data"
_IMPORTANT = {"radio-nv", "calibration", "identity"}
_SPARE = {"modemst1", "modemst2", "fsc"}  # which the modem fills again from fsg
_VERIFIED = (
    "vbmeta", "vbmeta_system", "vbmeta_vendor", "boot", "init_boot", "vendor_boot", "dtbo",
    "vendor", "system",
)  # fmt: skip
_INDEXED = ("vbmeta", "vbmeta_system", "vbmeta_vendor", "boot", "init_boot", "recovery")
_FIRST_START_MINUTES, _FRESH_START_MINUTES = 5, 15


@dataclass
class Heads:
    """The beginnings of partitions, read once each. unread: what could not be, with the reason."""

    storage: BoundedStorage
    layout: Layout
    unread: list[str]

    def of(self, name: str) -> bytes | None:
        """Return the head of the partition called name; None if there is none or it is unread."""
        link = chain.named(self.layout, name, self.storage.phone.sector_bytes)
        if link is None:
            return None
        try:
            return self.storage.head(link.area, _HEAD_BYTES)
        except DeviceRefusedError as error:
            self.unread.append(f"'{link.name}' ({error.message})")
            return None


def unique(heads: Heads) -> Iterator[Finding]:
    """Yield which partitions that exist only once are blank though the phone needs them."""
    blank: list[str] = []
    for _, partition in heads.layout.partitions:
        name = base(partition.name)
        kind = classify(partition.name)
        wanted = kind.severity is Worth.MUST_NEVER_CLONE and kind.category in _IMPORTANT
        if not wanted or name in _SPARE or partition.name in blank:
            continue
        head = heads.of(name)
        if head is not None and is_blank(head):
            blank.append(partition.name)
    if blank:
        yield Finding(
            "unique-blank",
            Severity.WARNING,
            f"Empty: {', '.join(blank)}. They hold what exists only once on each phone: it may"
            " start, but lack its network, its sensors or its identity.",
            remedy="If they were saved from this phone: edl backups, edl restore --unique",
        )


def verified(heads: Heads) -> Iterator[Finding]:
    """Yield what is wrong with the verified boot metadata."""
    head = heads.of("vbmeta")
    if head is None:
        return
    if is_blank(head):
        text = "'vbmeta' is empty: a locked phone does not start without it."
    elif not head.startswith(b"AVB0"):
        text = "'vbmeta' does not begin with its magic (AVB0): a locked phone does not start so."
    else:
        return
    yield Finding("vbmeta", Severity.WARNING, text, remedy="Write the vbmeta of the same build.")


def rollback_indexes(heads: Heads) -> dict[str, int]:
    """Return the rollback indexes of the verified boot metadata, by partition (base name).

    It lies at a partition's beginning (vbmeta), or where its footer says (boot). What cannot be
    read, and what has none, is left out.
    """
    found = {}
    for name in _INDEXED:
        head = heads.of(name)
        index = avb.rollback_of(head) if head is not None else None
        if index is None and head is not None and not is_blank(head):
            index = _index_by_footer(heads, name)
        if index is not None:
            found[name] = index
    return found


def _index_by_footer(heads: Heads, name: str) -> int | None:
    storage = heads.storage
    link = chain.named(heads.layout, name, storage.phone.sector_bytes)
    if link is None:
        return None
    size = link.area.size_bytes
    try:
        tail = storage.span(link.area, size - avb.FOOTER_BYTES, avb.FOOTER_BYTES)
        footer = avb.read_footer(tail, size)
        if footer is None:
            return None
        return avb.rollback_of(storage.span(link.area, footer.offset, footer.size_bytes))
    except DeviceRefusedError:
        return None


def of_builds(heads: Heads, images: Sequence[Seen]) -> tuple[builds.Build, ...]:
    """Return what the images of the active slot say about their builds."""
    storage, layout = heads.storage, heads.layout
    held = [
        Holding(seen.link.base, BytesContent(seen.content), ((0, len(seen.content)),))
        for seen in images
        if seen.content and seen.state not in BAD
    ]
    unit = storage.phone.sector_bytes
    for name in _VERIFIED:
        link = chain.named(layout, name, unit)
        if link is not None:
            content = OnPhone(storage.read, link.area)
            held.append(Holding(name, content, ((0, content.size_bytes),)))
    return builds.of_holdings(held)


# -- what to expect --------------------------------------------------------------------------------


def expectations(
    heads: Heads, images: Sequence[Seen], findings: Sequence[Finding], job: Job
) -> Iterator[Expectation]:
    """Yield what the phone will do when it is restarted, in its order."""
    stopped = _stops(images, findings)
    if stopped is not None:
        yield stopped
        return
    kernel = next((seen for seen in images if seen.link.role == "kernel"), None)
    if kernel is not None and kernel.state in BAD:
        yield Expectation("fastboot", f"It will stop in fastboot: {_lower(kernel.reason)}")
        return
    slot: Slot | None = heads.layout.slot
    if slot is not None:
        yield Expectation("slot", f"It starts slot {slot}.")
    if _unlocked(heads.of("devinfo")):
        yield Expectation(
            "unlocked",
            "It will stop at a warning, because its bootloader is unlocked, and go on after some"
            " seconds (or with the power button).",
        )
    yield from _data(heads, job)


def _stops(images: Sequence[Seen], findings: Sequence[Finding]) -> Expectation | None:
    """Return where it stops before Android's boot loader; None if nothing speaks for that."""
    codes = {finding.code for finding in findings if finding.severity is Severity.ERROR}
    for seen in images:
        if seen.link.weight != "needed" or seen.state not in BAD:
            continue
        if seen.link.role == "first-stage":
            return Expectation("edl", f"It will stay in EDL mode (9008): {_lower(seen.reason)}")
        return Expectation(
            "black",
            f"It will not get to Android: {_lower(seen.reason)} The screen stays black; it may come"
            " back in EDL mode (9008), as 900E, or not at all.",
        )
    if "no-first-stage" in codes or "no-table" in codes:
        return Expectation("edl", "It will stay in EDL mode (9008): its boot ROM finds nothing.")
    if codes & {"table-broken", "slot-lun-mismatch", "rollback-lower"}:
        return Expectation("black", "It may not start: see what was found.")
    return None


def _lower(reason: str) -> str:
    return reason[:1].lower() + reason[1:]


def _unlocked(info: bytes | None) -> bool:
    """Tell whether device info says that the boot loader is unlocked."""
    if info is None or not info.startswith(_DEVICE_INFO_MAGIC):
        return False
    word = int.from_bytes(info[_UNLOCKED_WORD_AT : _UNLOCKED_WORD_AT + 4], "little")
    return info[_UNLOCKED_AT] == 1 or word == 1


def _data(heads: Heads, job: Job) -> Iterator[Expectation]:
    """Yield what becomes of the user's data, and how long the first start takes."""
    misc = heads.of("misc") or b""
    command = misc[:_COMMAND_BYTES].partition(b"\0")[0]
    orders = misc[_RECOVERY_AT : _RECOVERY_AT + _RECOVERY_BYTES]
    if command == b"boot-recovery":
        wipes = " It wipes the user's data, because misc says so." if _WIPES in orders else ""
        yield Expectation("recovery", f"It starts recovery first, because misc says so.{wipes}")
    elif command in {b"bootonce-bootloader", b"boot-bootloader", b"boot-fastboot"}:
        yield Expectation("fastboot", "It stops in fastboot first, because misc says so.")
    data, keys = heads.of("userdata"), heads.of("metadata")
    reason = ""
    if "userdata" in job.replaced:
        reason = "its user data was replaced"
    elif data is not None and is_blank(data):
        reason = "its user data is empty"
    elif data is not None and keys is not None and is_blank(keys):
        reason = "the keys of its user data (metadata) are empty"
    if reason:
        yield Expectation("fresh", f"It starts as new: {reason}.")
    if data is not None:
        minutes = _FRESH_START_MINUTES if reason else _FIRST_START_MINUTES
        yield Expectation("first-start", f"The first start takes up to {minutes} minutes.")
