# SPDX-License-Identifier: BSD-3-Clause
"""How a command line changes what a virtual phone's software does: keys of `profiles.parse_spec`.

Each function takes a profile and a value, and returns the changed profile.

Raises:
    ValueError: it cannot have that value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from edl.units import MIB, parse_size
from edl.virtual.bootrom import CommandMode
from edl.virtual.crashes import require_name
from edl.virtual.descriptors import FLASHLESS_PROTOCOL
from edl.virtual.programmer.board import (
    MOTOROLA_LIMIT,
    OPLUS_LOCK,
    VIP_LOCK,
    VIVO_LOCK,
    XIAOMI_LOCK,
    Quirks,
)
from edl.virtual.states import CONDITIONS, CRASHED, SYSTEMS
from edl.virtual.storage import Extent
from edl.virtual.streaming import NAMES

if TYPE_CHECKING:
    from edl.virtual.profiles import Profile

LOCKS = {
    "xiaomi": XIAOMI_LOCK,
    "vip": VIP_LOCK,
    "oplus": OPLUS_LOCK,
    "vivo": VIVO_LOCK,
    "motorola": MOTOROLA_LIMIT,
}
QUESTIONS = {
    "refused": CommandMode.REFUSED,
    "ignored": CommandMode.IGNORED,
    "silent": CommandMode.SILENT,
}
PROGRAMMERS = {
    "mute": Quirks(mute_after=0),
    "chatter": Quirks(chatter_after=0),
    "garbage": Quirks(garbage_after=0),
}
_MAX_IMAGES = 16

Value = TypeVar("Value")


def with_state(profile: Profile, text: str) -> Profile:
    """Return profile in the state that text names."""
    condition = _one_of(CONDITIONS, text)
    if condition.always and condition.rom is not None:
        return replace(profile, rom=condition.rom(profile.rom))
    return replace(profile, state=text)


def with_lock(profile: Profile, text: str) -> Profile:
    """Return profile with a maker's lock."""
    return replace(profile, quirks=replace(profile.quirks, lock=_one_of(LOCKS, text)))


def with_restricted(profile: Profile, text: str) -> Profile:
    """Return profile with a range that the maker's policy forbids: LUN/START+COUNT."""
    extents = (*profile.quirks.restricted, extent(text))
    return replace(profile, quirks=replace(profile.quirks, restricted=extents))


def extent(text: str) -> Extent:
    """Return the run of sectors LUN/START+COUNT."""
    match = re.fullmatch(r"(\d{1,3})/(\d{1,12})\+(\d{1,12})", text)
    if match is None:
        raise ValueError("it is LUN/START+COUNT")
    return Extent(*map(int, match.groups()))


def with_programmer(profile: Profile, text: str) -> Profile:
    """Return profile with a programmer that does not work."""
    bad = _one_of(PROGRAMMERS, text)
    quirks = replace(
        profile.quirks,
        mute_after=bad.mute_after,
        chatter_after=bad.chatter_after,
        garbage_after=bad.garbage_after,
    )
    return replace(profile, quirks=quirks)


def with_manners(profile: Profile, text: str) -> Profile:
    """Return profile with a programmer of Streaming Download that behaves so: chatty+split."""
    names = text.split("+")
    if profile.programmer != "streaming" or not set(names) <= set(NAMES):
        raise ValueError(f"a programmer of Streaming Download can be {', '.join(NAMES)}")
    changed = {name.replace("-", "_"): True for name in names}
    return replace(profile, manners=replace(profile.manners, **changed))


def with_sahara(profile: Profile, text: str) -> Profile:
    """Return profile with a boot ROM of that version of the protocol."""
    if text not in {"1", "2", "3"}:
        raise ValueError("it is 1, 2 or 3")
    return replace(profile, rom=replace(profile.rom, version=int(text), short_hello=text == "1"))


def with_images(profile: Profile, text: str) -> Profile:
    """Return profile with a boot ROM that asks for several images: 33+34+13."""
    numbers = text.split("+")
    if len(numbers) > _MAX_IMAGES or not all(re.fullmatch(r"\d{1,3}", n) for n in numbers):
        raise ValueError(f"it is up to {_MAX_IMAGES} numbers with + between them")
    return replace(profile, rom=replace(profile.rom, image_ids=tuple(map(int, numbers))))


def with_questions(profile: Profile, text: str) -> Profile:
    """Return profile with a boot ROM that does not tell who it is."""
    return replace(profile, rom=replace(profile.rom, command_mode=_one_of(QUESTIONS, text)))


def with_refusal(profile: Profile, text: str) -> Profile:
    """Return profile with a boot ROM that refuses every loader, or that of its first starts."""
    match = re.fullmatch(r"(0x[0-9a-fA-F]{1,8}|\d{1,9})(?::(\d{1,4}))?", text)
    if match is None:
        raise ValueError("it is a Sahara status such as 0x21, or 0x21:1 for the first start alone")
    times = int(match[2]) if match[2] else None
    return replace(profile, refuses=(int(match[1], 0), times))


def with_rate(name: str) -> Callable[[Profile, str], Profile]:
    """Return the change of a rate of the phone, which is given in MB/s."""

    def change(profile: Profile, text: str) -> Profile:
        match = re.fullmatch(r"([1-9]\d{0,5})MB/s", text)
        if match is None:
            raise ValueError("it is a number with MB/s, such as 40MB/s")
        rate = int(match[1]) * 1e6
        return replace(profile, pace=replace(profile.pace, **{name: rate}))

    return change


def with_payload(profile: Profile, text: str) -> Profile:
    """Return profile with a programmer that takes no larger payloads."""
    size = parse_size(text)
    if size % 512 or not 512 <= size <= MIB:
        raise ValueError("it is a multiple of 512 bytes, up to 1 MiB")
    return replace(profile, payload_bytes=size)


def with_start(profile: Profile, text: str) -> Profile:
    """Return profile with a system that shows itself on USB."""
    _one_of(SYSTEMS, text)
    return replace(profile, starts=text)


def with_crash(profile: Profile, text: str) -> Profile:
    """Return profile, crashed, with the memory that text names."""
    return replace(with_state(profile, CRASHED), crash=require_name(text))


def with_flashless(profile: Profile, text: str) -> Profile:
    """Return profile as a modem without flash; `training` wants its training data fetched."""
    if text not in {"yes", "training"}:
        raise ValueError("it is yes or training")
    training = bytes(range(256)) * 40 if text == "training" else b""
    rom = replace(profile.rom, flashless=True, training=training)
    return replace(profile, rom=rom, usb_protocol=FLASHLESS_PROTOCOL)


def _one_of(choice: Mapping[str, Value], text: str) -> Value:
    if text not in choice:
        raise ValueError(f"it is {', '.join(choice)}")
    return choice[text]


CHANGES: dict[str, Callable[[Profile, str], Profile]] = {
    "state": with_state,
    "lock": with_lock,
    "restricted": with_restricted,
    "programmer": with_programmer,
    "streaming": with_manners,
    "sahara": with_sahara,
    "images": with_images,
    "questions": with_questions,
    "refuse": with_refusal,
    "link": with_rate("link"),
    "flash-read": with_rate("read"),
    "flash-write": with_rate("write"),
    "flash-hash": with_rate("digest"),
    "payload": with_payload,
    "starts": with_start,
    "crash": with_crash,
    "flashless": with_flashless,
}
