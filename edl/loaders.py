# SPDX-License-Identifier: BSD-3-Clause
"""Chooses a loader for a phone: looks into files, and says whether the phone will start them.

Names of files decide nothing. The verdict follows the order of checks of the boot ROM, and its
first failure is the reason. A number that is in no table makes "cannot tell", never "no".
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edl.chips import chip_fits, chip_words, other_model
from edl.errors import ImageError
from edl.formats import elf, hashsegment
from edl.formats.binding import Binding
from edl.formats.mbn import MAX_IMAGE_BYTES, Container, Image, read_image
from edl.formats.programmer import Protocol
from edl.identity import PhoneIdentity

HEAD_BYTES = 16  # what looks_like_programmer needs of a file

_MIN_IMAGE_BYTES = 4096
_MAX_FILES = 5000  # looked at in one folder and those below
_MAX_DEPTH = 4
_MAX_SHOWN = 3  # reasons that are told
_MIN_PREFIX_BYTES = 16  # some tools print only the beginning of a PK hash
_PREFIX = b"\x55\xff\xed\xff"
_TEST_NAMES = re.compile(r"\btest\b|development|QPSA|B\.KERLER", re.IGNORECASE)

# What phones report that have no key of their own fused (bkerler/edl qualcomm_config.py, edl-ng).
DEFAULT_PK_HASHES = frozenset(
    map(
        bytes.fromhex,
        (
            "cc3153a80293939b90d02d3bf8b23e0292e452fef662c74998421adad42a380f",
            "7be49b72f9e4337223ccb84d6eccca4e61ce16e3602ac2008cb18b75babe6d09",
            "afca69d4235117e5bfc21467068b20df85e0115d7413d5821883a6d244961581",
            "36c886068d9a6634e9c55185044344e9e756dcc3b5960874942c7a1a1550dee0",
            "d40eee56f3194665574109a39267724ae7944134cd53cb767e293d3c40497955"
            "bc8a4519ff992b031fadc6355015ac87",
        ),
    )
)


class Fit(enum.Enum):
    """How well a loader fits a phone, best first."""

    EXACT = "fits"
    UNFUSED = "fits: the phone checks no signature"
    LIKELY = "signed with the phone's key"
    UNKNOWN = "cannot tell"
    OTHER_MODEL = "for another model"
    OTHER_CHIP = "for another chip"
    WRONG_KEY = "signed with another key"
    DAMAGED = "damaged"
    NO_PROGRAMMER = "no programmer"

    @property
    def may_start(self) -> bool:
        """Whether it makes sense to send the loader."""
        return self in {Fit.EXACT, Fit.UNFUSED, Fit.LIKELY, Fit.UNKNOWN}


_ORDER = {fit: place for place, fit in enumerate(Fit)}


@dataclass(frozen=True)
class Verdict:
    """Whether a phone will start a loader.

    reason: why, in one sentence. details: what else is known. status: the Sahara status that the
    phone would give if the loader were sent all the same; None if that is not known.
    """

    fit: Fit
    reason: str
    details: tuple[str, ...] = ()
    status: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A loader file, and what is to be expected of it. title: what to call it instead of path."""

    path: Path
    image: Image
    verdict: Verdict
    title: str = ""

    @property
    def name(self) -> str:
        """What people know it as."""
        return self.title or self.path.name

    @property
    def note(self) -> str:
        """What a user should know before it is sent, empty if it simply fits."""
        said = () if self.verdict.fit is Fit.EXACT else (self.verdict.reason,)
        text = " ".join((*said, *self.verdict.details))
        return text and f"{self.name}: {text}"


def looks_like_programmer(head: bytes) -> bool:
    """Return whether a file that begins with head, at least HEAD_BYTES, has a loader's form.

    Other boot images have the same form; `read_image` tells them apart, and needs the whole file.
    """
    return head.startswith((elf.MAGIC, hashsegment.SBL80_MAGIC, _PREFIX)) or (
        head[4:8] == b"\x03\0\0\0" and head[1:4] == bytes(3)
    )


def checks_nothing(pk_hash: bytes) -> bool:
    """Return whether a phone that reports pk_hash, or its beginning, has no key of its own fused.

    Most likely it starts unsigned images then.
    """
    return not any(pk_hash) or any(same_digest(known, pk_hash) for known in DEFAULT_PK_HASHES)


def match(image: Image, phone: PhoneIdentity) -> Verdict:
    """Return whether phone will start image, and why."""
    if verdict := unsuitable(image):
        return verdict
    if phone.pk_hash is None:
        return _match_unknown(image, phone)
    if checks_nothing(phone.pk_hash):
        return _match_unfused(image, phone)
    return _match_fused(image, phone, phone.pk_hash)


def unsuitable(image: Image) -> Verdict | None:
    """Return why no phone at all will start image as a programmer, or None."""
    bound, protocol = image.main.binding, image.programmer.protocol
    if bound and not image.main.is_programmer_kind:
        return Verdict(Fit.NO_PROGRAMMER, f"It is signed as {bound.kind}, not as a programmer.")
    if protocol is None and image.main.cut_off:
        return _damaged(image, 0x08)
    if protocol is None:
        return Verdict(Fit.NO_PROGRAMMER, "It holds no programmer.")
    return None


def _match_unknown(image: Image, phone: PhoneIdentity) -> Verdict:
    """Judge for a phone that did not tell its key; its chip may say enough."""
    bound = image.main.binding
    if bound and bound.names_chip and chip_fits(bound, phone) is False:
        return Verdict(Fit.OTHER_CHIP, _other_chip(bound, phone), remarks(image))
    reason = "The phone did not tell which key it trusts."
    if bound and (other := other_model(bound, phone)):
        reason += f" The loader is {other}."
    return Verdict(Fit.UNKNOWN, reason, remarks(image))


def _match_unfused(image: Image, phone: PhoneIdentity) -> Verdict:
    """Judge for a phone that most likely has secure boot switched off."""
    bound = image.main.binding
    notes = remarks(image)
    if image.main.cut_off:
        return _damaged(image, 0x08)
    if bound and bound.names_chip and chip_fits(bound, phone) is False:
        return Verdict(Fit.OTHER_CHIP, _other_chip(bound, phone), notes)
    reason = "The phone has no key of its own fused: it starts any programmer for its chip."
    return Verdict(Fit.UNFUSED, reason, notes)


def _match_fused(image: Image, phone: PhoneIdentity, pk_hash: bytes) -> Verdict:
    """Judge for a phone that trusts one key only."""
    main, notes = image.main, remarks(image)
    if main.vendor is None and image.problems:
        return _damaged(image, 0x26)
    if main.vendor is None:
        reason = "It has no signature; this phone starts only what its maker signed."
        return Verdict(Fit.WRONG_KEY, reason, notes, status=0x23)
    if not any(same_digest(root.digest, pk_hash) for root in image.root_hashes):
        return Verdict(Fit.WRONG_KEY, _other_key(image, pk_hash), notes, status=0x21)
    bound = main.binding
    if bound is None:
        reason = "It is signed with the phone's key, but does not say for which chip."
        return Verdict(Fit.DAMAGED, reason, notes, status=0x21)
    chip = chip_fits(bound, phone)
    if chip is False:
        return Verdict(Fit.OTHER_CHIP, _other_chip(bound, phone), notes, status=0x21)
    if other := other_model(bound, phone):
        reason = f"It is signed with the phone's key, but {other}."
        return Verdict(Fit.OTHER_MODEL, reason, notes, status=0x21)
    if bound.serials and phone.serial is not None and phone.serial not in bound.serials:
        reason = "It is signed for certain phones only, and this one is not among them."
        return Verdict(Fit.OTHER_MODEL, reason, notes, status=0x21)
    if image.problems:
        return _damaged(image, 0x21 if main.vendor.scheme is None else 0x22)
    if chip is None or phone.hwid is None:
        reason = "It is signed with the phone's key; whether chip and model fit cannot be told."
        return Verdict(Fit.LIKELY, reason, notes)
    reason = f"Key, chip and model fit; its rollback version is {bound.rollback}."
    return Verdict(Fit.EXACT, reason, notes)


def _damaged(image: Image, status: int) -> Verdict:
    first, *others = image.problems
    return Verdict(Fit.DAMAGED, f"It is damaged: {first}", (*others, *_locks(image)), status)


def same_digest(ours: bytes, theirs: bytes) -> bool:
    """Return whether two PK hashes are equal; one may be cut to its beginning."""
    size = min(len(ours), len(theirs))
    return size >= _MIN_PREFIX_BYTES and ours[:size] == theirs[:size]


def _other_chip(bound: Binding, phone: PhoneIdentity) -> str:
    return f"It is made for {chip_words(bound)}; the phone has {phone.chip or 'another chip'}."


def _other_key(image: Image, pk_hash: bytes) -> str:
    """Return who has signed image, who should have, and what that means."""
    signer = image.main.vendor
    if signer is None or signer.chain is None:
        return "Its certificates cannot be read."
    root = signer.chain.roots[0].common_name
    digests = [root.digest for root in image.root_hashes]
    ours = next((digest for digest in digests if len(digest) == len(pk_hash)), digests[0])
    kind = "signed with test keys" if is_test_name(root) else "signed with another key"
    return (
        f"It is {kind}: the root is '{root}' ({ours.hex()[:16]}...), "
        f"the phone trusts {pk_hash.hex()[:16]}..."
    )


def is_test_name(common_name: str) -> bool:
    """Return whether a root certificate of that name belongs to throw-away or test keys."""
    return _TEST_NAMES.search(common_name) is not None


def remarks(image: Image) -> tuple[str, ...]:
    """Return what users should know about a loader whatever the phone is."""
    odd = []
    if image.container is Container.PREFIXED_ELF:
        odd = ["It lies behind a prefix of 12 bytes, which few phones take."]
    if (bound := image.main.binding) and bound.serial_bound and not bound.serials:
        odd.append("It is signed for certain phones only, and does not say for which.")
    if image.programmer.protocol is Protocol.STREAMING:
        odd.append("It speaks the old Streaming Download, which mostly writes without reading.")
    return (*image.problems, *odd, *_locks(image))


def _locks(image: Image) -> tuple[str, ...]:
    locks = image.programmer.locks
    return tuple(f"{lock.maker} has restricted it: it {lock.text}." for lock in locks)


def find_programmers(folder: Path) -> list[Path]:
    """Return the programmers in folder and below, by their content, in order of name.

    Files that cannot be read are passed over. Links are not followed.
    """
    return sorted(
        path
        for path, image in _images(files(folder, _MAX_FILES, _MAX_DEPTH))
        if image.is_programmer
    )


def rank(
    paths: Iterable[Path], phone: PhoneIdentity, titles: Mapping[Path, str] | None = None
) -> list[Candidate]:
    """Return the boot images among paths with their verdicts, best for phone first.

    titles: what to call files whose own names say nothing.
    """
    titles = titles or {}
    found = [
        Candidate(path, image, match(image, phone), titles.get(path, ""))
        for path, image in _images(paths)
    ]
    return sorted(found, key=lambda candidate: _rank(candidate, phone))


def equally_good(found: Sequence[Candidate], phone: PhoneIdentity) -> list[Candidate]:
    """Return those of found that fit phone best: by its key, its chip and its model."""
    ranks = [_rank(candidate, phone)[:3] for candidate in found]
    return [each for each, rank in zip(found, ranks, strict=True) if rank == min(ranks)]


def choose(paths: Iterable[Path], phone: PhoneIdentity) -> Candidate:
    """Return the best loader among paths for phone.

    Raises:
        ImageError: none of them will start; the message says why not.
    """
    ranked = rank(paths, phone)
    if not ranked or not ranked[0].verdict.fit.may_start:
        raise none_fits(ranked)
    return ranked[0]


def none_fits(ranked: Sequence[Candidate]) -> ImageError:
    """Return the error that says why none of ranked will start."""
    if not ranked:
        return ImageError("None of the files is a programmer (loader).")
    named: dict[str, list[str]] = {}
    for entry in ranked:
        named.setdefault(entry.verdict.reason, []).append(entry.name)
    words = [f"{_listed(names)}: {reason}" for reason, names in named.items()][:_MAX_SHOWN]
    return ImageError(
        "No loader fits the phone. " + " ".join(words),
        remedies=("Look for a loader in the maker's own package for exactly this model.",),
    )


_Rank = tuple[int, bool, bool, bool, bool, bool, int, tuple[int, int, int], bool, str]


def _listed(names: Sequence[str]) -> str:
    """Return the first of names, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _rank(candidate: Candidate, phone: PhoneIdentity) -> _Rank:
    """Return the sort key: fit, then what counts where the fit does not say it (chip, model).

    Then of Firehose, intact, without a lock, highest rollback version, newest build, not `lite`.
    """
    image, name = candidate.image, candidate.name.lower()
    bound = image.main.binding
    rollback = bound.rollback if bound else 0
    year, month, day = image.programmer.build_date or (0, 0, 0)
    return (
        _ORDER[candidate.verdict.fit],
        bound is None or not chip_fits(bound, phone),
        bound is None or other_model(bound, phone) is not None,
        image.programmer.protocol is Protocol.STREAMING,
        bool(image.problems),
        image.programmer.needs_authorization,
        -rollback,
        (-year, -month, -day),
        "lite" in name,
        str(candidate.path),
    )


def files(folder: Path, most: int, depth: int) -> Iterator[Path]:
    """Yield the regular files in folder and below. Links are not followed.

    most: how many entries are looked at. depth: how many folders deep.
    """
    pending = [(folder, 0)]
    count = 0
    while pending:
        place, level = pending.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            count += 1
            if count > most:
                return
            if entry.is_dir(follow_symlinks=False) and level < depth:
                pending.append((place / entry.name, level + 1))
            elif entry.is_file(follow_symlinks=False):
                yield place / entry.name


def _images(paths: Iterable[Path]) -> Iterator[tuple[Path, Image]]:
    """Yield the boot images among paths."""
    for path in paths:
        try:
            size = path.stat().st_size
            if not _MIN_IMAGE_BYTES <= size <= MAX_IMAGE_BYTES:
                continue
            with path.open("rb") as file:
                if not looks_like_programmer(file.read(HEAD_BYTES)):
                    continue
                file.seek(0)
                data = file.read(MAX_IMAGE_BYTES)
            yield path, read_image(data)
        except (OSError, ImageError):
            continue
