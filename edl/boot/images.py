# SPDX-License-Identifier: BSD-3-Clause
"""One image of the boot chain as it lies on the phone: would this phone start it?

Small images are read whole, so that each hash can be compared. Of large ones the headers and the
segment with hashes and signature are read: whose key it is and which version, they tell.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from edl.boot.model import Link, Seen, State
from edl.boot.reader import BoundedStorage
from edl.chips import chip_fits, chip_words, other_model
from edl.errors import DeviceRefusedError, DocumentError
from edl.formats import elf, hashsegment, magic, mbn
from edl.identity import PhoneIdentity
from edl.loaders import is_test_name, same_digest
from edl.units import MIB

_HEAD_BYTES = 8192
_WHOLE_BYTES = MIB
_WHOLE_FIRST_STAGE_BYTES = 8 * MIB
_MBN40_VERSION = 3
_HIGHEST_CLASSIC_ID = 0x40
_MBN40_REST_BYTES = 40  # that its long form has more
_BLANK_BYTES = 4096


def look(storage: BoundedStorage, link: Link, phone: PhoneIdentity, *, whole: bool = True) -> Seen:
    """Return what lies at link. whole: read small images to their end."""
    try:
        head = storage.head(link.area, _HEAD_BYTES)
        if is_blank(head):
            return Seen(link, State.BLANK, f"'{link.name}' is empty.")
        if link.weight == "kernel":
            return _kernel(link, head)
        return _image(storage, link, phone, head, whole=whole)
    except DeviceRefusedError as error:
        return Seen(link, State.UNREAD, f"'{link.name}' could not be looked at: {error.message}")
    except DocumentError as error:
        return Seen(link, State.DAMAGED, f"'{link.name}' is damaged: {error.message}")


def is_blank(head: bytes) -> bool:
    """Tell whether a partition that begins with head holds nothing at its beginning."""
    begin = head[:_BLANK_BYTES]
    return not begin or (begin[0] in {0x00, 0xFF} and begin.count(begin[0]) == len(begin))


def _kernel(link: Link, head: bytes) -> Seen:
    kind = magic.recognise(head)
    if kind.code == "unknown":
        return Seen(link, State.UNKNOWN, f"'{link.name}' holds no boot image that is known.")
    return Seen(link, State.NOT_COMPARED)


def _image(
    storage: BoundedStorage, link: Link, phone: PhoneIdentity, head: bytes, *, whole: bool
) -> Seen:
    most = _WHOLE_FIRST_STAGE_BYTES if link.role == "first-stage" else _WHOLE_BYTES
    image = elf.read_elf(head) if head.startswith(elf.MAGIC) else None
    end = image.end if image is not None else _old_size(head)
    if not end:
        return Seen(link, State.UNKNOWN, f"'{link.name}' holds no boot image that is known.")
    if end > link.area.size_bytes:
        raise DocumentError("It is larger than its partition.")
    if end <= most and (whole or image is None):
        if image is None:
            end += _MBN40_REST_BYTES
        elif image.hash_index is None and link.role == "first-stage":
            end = most  # others may follow that are signed
        data = head[:end] if end <= len(head) else storage.span(link.area, 0, end)
        parts = mbn.read_image(data)
        broken = next((each for each in parts.parts if each.bad_segments), None)
        return replace(judge(link, broken or parts.main, phone), content=data)
    if image is None or image.hash_index is None:
        return Seen(link, State.UNKNOWN, f"'{link.name}' is too large to be looked at.")
    place = image.segments[image.hash_index]
    size = min(place.file_bytes, hashsegment.MAX_HASH_SEGMENT_BYTES)
    part = mbn.read_signers(image, storage.span(link.area, place.offset, size))
    return judge(link, part, phone)


def _old_size(head: bytes) -> int:
    """Return the size of an image with one of the old headers, 0 if head begins none."""
    words: tuple[int, ...] = struct.unpack_from("<20I", head)
    if head.startswith(hashsegment.SBL80_MAGIC):
        return hashsegment.SBL80_HEADER_BYTES + words[7]
    fits = words[1] == _MBN40_VERSION and words[0] < _HIGHEST_CLASSIC_ID and words[5]
    if fits and words[4] == words[5] + words[7] + words[9]:
        return hashsegment.MBN40_HEADER_BYTES + words[4]
    return 0


def judge(link: Link, part: mbn.Part, phone: PhoneIdentity) -> Seen:
    """Return what the image part at link is to phone."""
    roots = part.root_hashes
    name = f"'{link.name}' ({link.what})" if link.what else f"'{link.name}'"
    seen = Seen(
        link,
        State.NOT_COMPARED,
        root=_shown(roots, phone.pk_hash),
        rollback=part.binding.rollback if part.binding is not None else None,
        test_key=is_test_name(_root_name(part)),
    )
    if part.bad_segments or part.cut_off:
        return replace(seen, state=State.DAMAGED, reason=f"{name} is damaged: {part.problems[0]}")
    if phone.fused is None:
        return seen
    if not phone.fused:
        return replace(seen, state=State.UNFUSED)
    return _fused(seen, part, phone, name)


def _fused(seen: Seen, part: mbn.Part, phone: PhoneIdentity, name: str) -> Seen:
    """Judge for a phone that starts only what one key has signed."""
    pk_hash = phone.pk_hash or b""
    if part.vendor is None and part.chip_maker is not None:
        return seen  # trusted by a key of the chip's own, which no phone tells
    if part.vendor is None and part.problems:
        return replace(seen, state=State.DAMAGED, reason=f"{name} is damaged: {part.problems[0]}")
    if part.vendor is None:
        reason = f"{name} has no signature; this phone starts only what its maker signed."
        return replace(seen, state=State.UNSIGNED, reason=reason)
    if not any(same_digest(root.digest, pk_hash) for root in part.root_hashes):
        whose = "with test keys" if seen.test_key else "with another key"
        told = f"{seen.root[:16]}..." if seen.root else "of certificates that cannot be read"
        reason = (
            f"{name} is signed {whose} ({told}), not with this phone's key"
            f" ({pk_hash.hex()[:16]}...)."
        )
        return replace(seen, state=State.WRONG_KEY, reason=reason)
    if part.problems:
        return replace(seen, state=State.DAMAGED, reason=f"{name} is damaged: {part.problems[0]}")
    bound = part.binding
    if bound is not None and bound.names_chip and chip_fits(bound, phone) is False:
        reason = f"{name} is made for {chip_words(bound)}; the phone has {phone.chip}."
        return replace(seen, state=State.OTHER_PHONE, reason=reason)
    if bound is not None and (other := other_model(bound, phone)):
        return replace(seen, state=State.OTHER_PHONE, reason=f"{name} is {other}.")
    return replace(seen, state=State.SIGNED)


def _shown(roots: Sequence[mbn.RootHash], pk_hash: bytes | None) -> str:
    """Return the root digest to tell: the phone's own, else that of the same length."""
    digests = [root.digest for root in roots]
    ours = [each for each in digests if pk_hash and same_digest(each, pk_hash)]
    alike = [each for each in digests if pk_hash and len(each) == len(pk_hash)]
    return next(iter([*ours, *alike, *digests]), b"").hex()


def _root_name(part: mbn.Part) -> str:
    signer = part.vendor
    return signer.chain.roots[0].common_name if signer and signer.chain else ""
