# SPDX-License-Identifier: BSD-3-Clause
"""Which builds the images of a package come from, and whether they go together.

Verified boot metadata names the build of each partition in properties such as
`com.android.build.boot.fingerprint` (AOSP core/Makefile, avbtool --prop). Qualcomm's boot images
carry words such as `QC_IMAGE_VERSION_STRING=BOOT.XF.3.2-00283-...` and a version against rollback.

What is read is bounded: metadata where it lies, and boot images of a usual size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from edl.chunks import read_all
from edl.errors import DocumentError, ImageError
from edl.formats import avb
from edl.formats.mbn import read_image
from edl.package import Package
from edl.packages.holdings import Holding, of_package
from edl.packages.model import Description
from edl.plan.model import Finding, Severity
from edl.streamed import StreamContent
from edl.units import MIB

_MAX_FIRMWARE_BYTES = 16 * MIB  # xbl, abl, tz, hyp, ...; modems are larger
_MAX_STREAMED_BYTES = 128 * MIB  # to the end of what only comes in order
_VBMETA_BYTES = 3 * avb.MAX_BYTES
_HEAD_BYTES = 4096
_LONGEST_WORD = 160
_FIRMWARE_HEADS = (b"\x7fELF", b"\x55\xff\xed\xff", b"\xd1\xdc\x4b\x84")
_WORDS = re.compile(
    rb"(QC_IMAGE_VERSION_STRING|OEM_IMAGE_VERSION_STRING|IMAGE_VARIANT_STRING)="
    rb"([\x21-\x7e][\x20-\x7e]{0,%d})" % _LONGEST_WORD
)
_PROPERTY = re.compile(r"com\.android\.build\.(\w+)\.(fingerprint|security_patch|os_version)")
# maker/product/device:release/id/incremental:type/tags (AOSP, ro.build.fingerprint)
_FINGERPRINT = re.compile(r"([^/:]*)/([^/:]*)/([^/:]*):([^:]*?)(?::([^:]*))?")
_SLOT = re.compile(r"_[ab]$", re.IGNORECASE)
# Qualcomm's builds are merged from two trees, which makers number by themselves.
_SYSTEM_SIDE = {"system", "system_ext", "product", "pvmfw", "system_dlkm"}
_OWN_NUMBERS = "my_"  # some makers' additions, each a build of its own
_MOST_NAMED = 6


@dataclass(frozen=True)
class Build:
    """What an image says about the build that it comes from.

    Attributes:
        partition: that the image is for.
        of: the partition that is spoken of: a vbmeta speaks of others as well.
        fingerprint: such as `maker/product/device:12/ID/NUMBER:user/release-keys`.
        security_patch: a day, such as `2023-05-01`.
        rollback: the version against rollback; None if nothing says it.
        words: what boot images say, by its name.
    """

    partition: str
    of: str
    fingerprint: str = ""
    security_patch: str = ""
    rollback: int | None = None
    words: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The code name of the model that the fingerprint says, or ""."""
        found = _FINGERPRINT.fullmatch(self.fingerprint)
        return found[3] if found else ""

    @property
    def number(self) -> str:
        """What the fingerprint says of the build alone: release, id and number; or ""."""
        found = _FINGERPRINT.fullmatch(self.fingerprint)
        return found[4] if found else self.fingerprint


def of(package: Package) -> tuple[Build, ...]:
    """Return what the images of package say about their builds; many say nothing.

    What cannot be read says nothing either: other checks tell of that.
    """
    return of_holdings(of_package(package).holdings)


def of_holdings(holdings: Iterable[Holding]) -> tuple[Build, ...]:
    """Return what holdings say about their builds. See of."""
    found: list[Build] = []
    seen: set[object] = set()
    for holding in holdings:
        if holding.files and holding.pieces in seen:  # the other slot's
            continue
        seen.add(holding.pieces)
        try:
            found += _builds(holding)
        except (ImageError, DocumentError):
            continue
    return tuple(found)


def _builds(holding: Holding) -> Iterator[Build]:
    head = read_all(holding.content, 0, min(_HEAD_BYTES, holding.size_bytes))
    name = _printable(holding.name)
    if head.startswith(_FIRMWARE_HEADS):
        if holding.size_bytes <= _MAX_FIRMWARE_BYTES:
            yield from _firmware(name, read_all(holding.content, 0, holding.size_bytes))
        return
    metadata = _vbmeta(holding, head)
    if metadata is not None:
        yield from _verified(name, metadata)


def _firmware(name: str, data: bytes) -> Iterator[Build]:
    words: dict[str, str] = {}
    for key, value in _WORDS.findall(data):
        words.setdefault(key.decode("ascii"), value.decode("ascii").strip())
    rollback = None
    try:
        binding = read_image(data).main.binding
        rollback = binding.rollback if binding is not None else None
    except DocumentError:
        pass
    if words or rollback:
        yield Build(name, _SLOT.sub("", name), rollback=rollback, words=words)


def _vbmeta(holding: Holding, head: bytes) -> avb.Vbmeta | None:
    content, size = holding.content, holding.size_bytes
    if head.startswith(avb.MAGIC):
        return avb.read(read_all(content, 0, min(size, _VBMETA_BYTES)))
    if size < avb.FOOTER_BYTES or not _reaches_end(holding):
        return None
    tail = read_all(content, size - avb.FOOTER_BYTES, avb.FOOTER_BYTES)
    footer = avb.read_footer(tail, size)
    if footer is None:
        return None
    return avb.read(read_all(content, footer.offset, footer.size_bytes))


def _reaches_end(holding: Holding) -> bool:
    """Tell whether the end can be had without unpacking for minutes."""
    packed = any(
        isinstance(file.content, StreamContent) and file.content.direct is None
        for file in holding.files
    )
    return not packed or holding.size_bytes <= _MAX_STREAMED_BYTES


def _verified(name: str, metadata: avb.Vbmeta) -> Iterator[Build]:
    said: dict[str, dict[str, str]] = {}
    for key, value in metadata.properties.items():
        if found := _PROPERTY.fullmatch(key):
            said.setdefault(found[1], {})[found[2]] = _printable(value)
    for part, values in said.items():
        fingerprint = values.get("fingerprint", "")
        patch = values.get("security_patch", "")
        yield Build(name, part, fingerprint, patch, metadata.rollback_index)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:256])


# -- what goes together ----------------------------------------------------------------------------


def warnings(builds: Iterable[Build]) -> tuple[Finding, ...]:
    """Return a warning for each sign that images come from different builds.

    Different are: what is said of one partition in two places, in its two slots too; and the
    numbers of partitions that one tree makes. Makers give the system's tree and the vendor's their
    own numbers, so these two are not compared.
    """
    known = tuple(builds)
    found = [*_contradictions(known), *_sides(known)]
    return tuple(
        Finding(
            "mixed-builds",
            Severity.WARNING,
            text,
            remedy="Use one whole package: phones refuse mixed builds, or do not start with them.",
        )
        for text in found
    )


def _contradictions(builds: tuple[Build, ...]) -> Iterator[str]:
    """Yield what is said of one partition in two ways."""
    for what, value_of in (
        ("build", lambda build: build.fingerprint),
        ("security patch", lambda build: build.security_patch),
        ("version", lambda build: build.words.get("QC_IMAGE_VERSION_STRING", "")),
        ("rollback version", lambda build: str(build.rollback) if build.words else ""),
    ):
        by_part: dict[str, dict[str, list[str]]] = {}
        for build in builds:
            if value := value_of(build):
                by_part.setdefault(build.of, {}).setdefault(value, []).append(build.partition)
        for part, values in by_part.items():
            if len(values) > 1:
                told = "; ".join(f"{value} ({_names(by)})" for value, by in values.items())
                yield f"'{part}' is of several builds by its {what}: {told}."


def _sides(builds: tuple[Build, ...]) -> Iterator[str]:
    """Yield which partitions of one tree have different numbers."""
    for system in (False, True):
        numbers: dict[str, list[str]] = {}
        for build in builds:
            own = build.of.startswith(_OWN_NUMBERS)
            if build.fingerprint and not own and (build.of in _SYSTEM_SIDE) is system:
                numbers.setdefault(build.number, []).append(build.of)
        if len(numbers) > 1:
            told = "; ".join(f"{number} ({_names(by)})" for number, by in numbers.items())
            yield f"The images come from several builds: {told}."


def _names(names: Iterable[str]) -> str:
    rows = list(dict.fromkeys(names))
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return ", ".join(rows[:_MOST_NAMED]) + more


def told(description: Description, builds: Iterable[Build]) -> Description:
    """Return description with model and build, where the package itself does not say them."""
    known = tuple(builds)
    found, model = fingerprint(known), device(known)
    facts = description.facts
    if found and found != description.version:
        facts = (*facts, ("build", found))
    devices = description.devices or ((model,) if model else ())
    return replace(description, devices=devices, facts=facts)


def device(builds: Iterable[Build]) -> str:
    """Return the code name of the model that most images say, or ""."""
    counts: dict[str, int] = {}
    for build in builds:
        if build.device and build.of not in _SYSTEM_SIDE:
            counts[build.device] = counts.get(build.device, 0) + 1
    return max(counts, key=lambda name: counts[name], default="")


def fingerprint(builds: Iterable[Build]) -> str:
    """Return the fingerprint that stands for all: the vendor's, the boot image's, or the first."""
    known = {build.of: build.fingerprint for build in builds if build.fingerprint}
    for name in ("vendor", "boot", "system"):
        if name in known:
            return known[name]
    return next(iter(known.values()), "")
