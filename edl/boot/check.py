# SPDX-License-Identifier: BSD-3-Clause
"""Would the phone start if it were restarted now? Looked at before it is done.

    earlier = check.earlier(phone)           # before the first write
    readiness = check.check(phone, job, earlier)

Nothing is written, and nothing is raised but what ends the program: what cannot be read is told as
unread, and a phone that says nothing any more makes the verdict `unknown`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from edl.boot import chain, holds
from edl.boot.images import look
from edl.boot.model import BAD, Earlier, Expectation, Job, Readiness, Seen, State
from edl.boot.reader import BoundedStorage
from edl.boot.tables import read_layout
from edl.device.phone import Phone
from edl.errors import EdlError
from edl.identity import PhoneIdentity
from edl.packages import builds
from edl.plan.model import Finding, Severity

_log = logging.getLogger(__name__)

_WEIGHTS = {
    "needed": Severity.ERROR,
    "wanted": Severity.WARNING,
    "optional": Severity.WARNING,
    "kernel": Severity.WARNING,
}
_REMEDIES = {
    State.BLANK: "Write the whole package; one image: edl write {name} FILE",
    State.DAMAGED: "Write it again from a package that is whole: edl check ROM",
    State.UNSIGNED: "Use the stock package for exactly this model.",
    State.WRONG_KEY: "Use the stock package for exactly this model and region.",
    State.OTHER_PHONE: "Use the stock package for exactly this model.",
}
# What starts otherwise than phones do, or from elsewhere.
_OTHER_CHAINS = {
    "nand": "the boot chain (how modems with NAND start is not known here)",
    "nvme": "the boot chain (computers with NVMe start from SPI-NOR: -m spinor)",
}
_NOBODY_KNOWS = Expectation("unknown", "Nobody knows what it will do: it could not be looked at.")


def earlier(phone: Phone, cancel: threading.Event | None = None) -> Earlier:
    """Return what is on the phone before it is written; nothing where that cannot be read.

    Read are headers and signatures of the boot images that it would have started, and headers of
    its verified boot metadata.
    """
    storage = BoundedStorage(phone, cancel=cancel)
    found: dict[str, int] = {}
    verified: dict[str, int] = {}
    try:
        layout = read_layout(storage, Job())
        for link in chain.links(layout, phone.sector_bytes):
            seen = look(storage, link, phone.identity, whole=False)
            if seen.rollback is not None and seen.state not in BAD:
                found[link.base] = max(seen.rollback, found.get(link.base, 0))
        verified = holds.rollback_indexes(holds.Heads(storage, layout, []))
    except EdlError as error:
        _log.info("what was there before cannot be told: %s", error)
    return Earlier(found, verified)


def check(
    phone: Phone,
    job: Job | None = None,
    before: Earlier | None = None,
    cancel: threading.Event | None = None,
) -> Readiness:
    """Return whether phone would start. job: what was just done to it. before: see `earlier`."""
    storage = BoundedStorage(phone, cancel=cancel)
    if phone.programmer.memory in _OTHER_CHAINS:
        unread = (_OTHER_CHAINS[phone.programmer.memory],)
        return Readiness(expect=(_NOBODY_KNOWS,), unread=unread, read_bytes=0, looked=False)
    try:
        return _check(storage, job or Job(), before or Earlier())
    except EdlError as error:
        _log.info("the check was given up: %s", error)
        return Readiness(
            expect=(_NOBODY_KNOWS,),
            unread=(f"the storage ({error.message})",),
            read_bytes=storage.read_bytes,
            looked=False,
        )


def _check(storage: BoundedStorage, job: Job, before: Earlier) -> Readiness:
    phone = storage.phone
    layout = read_layout(storage, job)
    unread = list(layout.unread)
    links = chain.links(layout, phone.sector_bytes)
    images = [look(storage, link, phone.identity) for link in links]
    others = [
        look(storage, link, phone.identity, whole=False)
        for link in chain.other_first_stages(layout, phone.sector_bytes)
    ]
    heads = holds.Heads(storage, layout, unread)
    findings = [
        *layout.findings,
        *(chain.missing(layout, links) if not unread else ()),
        *_of_images(images, phone.identity),
        *_of_others(others),
        *(_of_rollback(images, before) if phone.identity.fused is not False else ()),
        *holds.unique(heads),
        *holds.verified(heads),
        *_of_indexes(holds.rollback_indexes(heads), before),
        *builds.warnings(holds.of_builds(heads, images)),
    ]
    expect = tuple(holds.expectations(heads, images, findings, job))
    unread += [seen.reason for seen in images if seen.state is State.UNREAD]
    return Readiness(
        findings=tuple(sorted(findings, key=_severest_first)),
        expect=expect,
        images=tuple(images),
        slot=layout.slot,
        boot_lun=layout.boot_lun if layout.ufs else None,
        unread=tuple(dict.fromkeys(unread)),
        read_bytes=storage.read_bytes,
        looked=any(seen.state is not State.UNREAD for seen in images) or bool(layout.partitions),
    )


def _severest_first(finding: Finding) -> int:
    return (Severity.ERROR, Severity.WARNING, Severity.INFO).index(finding.severity)


def _of_images(images: Sequence[Seen], phone: PhoneIdentity) -> Iterator[Finding]:
    """Yield what is wrong with the images, and what of them cannot be judged."""
    for seen in images:
        empty = seen.state is State.BLANK and seen.link.weight in {"wanted", "optional"}
        if seen.state not in BAD or empty:
            continue
        yield Finding(
            f"image-{seen.state}",
            _WEIGHTS[seen.link.weight],
            seen.reason,
            where=f"LUN {seen.link.lun}",
            remedy=_REMEDIES[seen.state].format(name=seen.link.name),
        )
    blank = [s.link.name for s in images if s.state is State.BLANK and s.link.weight == "wanted"]
    if blank:
        yield Finding(
            "image-blank",
            Severity.WARNING,
            f"Empty: {', '.join(blank)}. Most phones need what belongs there, some boards do not.",
            remedy="Write the whole package.",
        )
    strange = [seen.link.name for seen in images if seen.state is State.UNKNOWN]
    if strange:
        yield Finding(
            "image-unknown",
            Severity.WARNING,
            f"Nothing that is known as a boot image: {', '.join(strange)}. Whether the phone takes"
            " it cannot be told.",
            remedy="If it was a stock package: edl check ROM, and edl verify ROM",
        )
    yield from _of_keys(images, phone)


def _of_keys(images: Sequence[Seen], phone: PhoneIdentity) -> Iterator[Finding]:
    """Yield what is to be known about the keys, where they stop nothing."""
    signed = [seen for seen in images if seen.root]
    tests = [seen.link.name for seen in signed if seen.test_key and seen.state not in BAD]
    if tests:
        whether = {None: "did not tell its key", True: "does", False: "checks nothing"}
        yield Finding(
            "test-keys",
            Severity.INFO,
            f"Signed with test keys: {', '.join(tests)}. Phones that were sold do not trust them;"
            f" this one {whether[phone.fused]}.",
        )
    if phone.fused is False:
        yield Finding(
            "unfused",
            Severity.INFO,
            "The phone has no key of its own fused: it checks no signatures.",
        )
    roots = dict.fromkeys(seen.root for seen in signed)
    if phone.fused is None and len(roots) > 1:
        by_root = "; ".join(
            f"{root[:16]}... ({', '.join(s.link.name for s in signed if s.root == root)})"
            for root in roots
        )
        yield Finding(
            "several-keys",
            Severity.WARNING,
            f"The boot images are signed with several keys: {by_root}. A phone trusts one.",
            remedy="Write one whole package for exactly this model.",
        )
    elif phone.fused is None and signed:
        yield Finding(
            "key-untold",
            Severity.INFO,
            "The phone did not tell its key: whether it takes the boot images is not known.",
            remedy="Enter EDL mode again, so that its boot ROM can be asked: edl boot-check",
        )


def _of_others(others: Iterable[Seen]) -> Iterator[Finding]:
    """Yield first boot loaders that do not start, on LUNs that the phone may be set to."""
    for seen in others:
        if seen.state in BAD:
            yield Finding(
                "other-lun",
                Severity.WARNING,
                f"{seen.reason} If the phone is set to boot from LUN {seen.link.lun}, it does not"
                " start.",
                remedy="Set the LUN of the slot that was written: edl set-bootable 1 (a) or 2 (b)",
            )


def _of_rollback(images: Sequence[Seen], before: Earlier) -> Iterator[Finding]:
    """Yield images that are older, by their version against rollback, than what was there."""
    for seen in images:
        was = before.rollback.get(seen.link.base)
        if was is None or seen.rollback is None or seen.rollback >= was or seen.state in BAD:
            continue
        yield Finding(
            "rollback-lower",
            _WEIGHTS[seen.link.weight],
            f"'{seen.link.name}' has version {seen.rollback} against rollback; version {was} was"
            " there before. A phone that has fused the higher one refuses the lower one.",
            where=f"LUN {seen.link.lun}",
            remedy="Write a package that is at least as new as what was on the phone.",
        )


def _of_indexes(indexes: Mapping[str, int], before: Earlier) -> Iterator[Finding]:
    """Yield verified boot metadata with a lower rollback index than what was there."""
    for name, index in indexes.items():
        was = before.verified.get(name, 0)
        if index < was:
            yield Finding(
                "rollback-index-lower",
                Severity.WARNING,
                f"The verified boot metadata in '{name}' has rollback index {index}; {was} was"
                " there before. A locked phone that has started with the higher one refuses it.",
                remedy="Write a package that is at least as new as what was on the phone.",
            )
