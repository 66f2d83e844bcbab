# SPDX-License-Identifier: BSD-3-Clause
"""payload.bin and the messages in it. tests/peers/test_payload.py judges the writer used here."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest

from edl.chunks import BytesContent, read_all
from edl.errors import DocumentError
from edl.formats import payload
from edl.formats.payload import Images, OperationKind, Payload, PayloadGroup
from edl.formats.protobuf import Message
from edl.formats.streams import take
from tests import payloads
from tests.payloads import BLOCK, REPLACE, SOURCE_COPY, ZERO, Manifest, Operation, Partition

NOISE = random.Random(1)
IMAGE = (
    NOISE.randbytes(5 * BLOCK)
    + bytes(13 * BLOCK)
    + NOISE.randbytes(11 * BLOCK)
    + b"ab" * (5 * BLOCK)
)


def read(raw: bytes) -> Payload:
    return payload.read(BytesContent(raw))


def image(partition: Partition, **more: int) -> payload.PartitionImage:
    raw = payloads.payload(Manifest([partition], **more))  # type: ignore[arg-type]
    found = read(raw)
    return Images(BytesContent(raw), found).of(found.partitions[0])


# -- messages ------------------------------------------------------------------------------------


def test_a_message_as_the_documentation_has_it() -> None:
    # protobuf.dev, Encoding: Test1 { a = 150 }, Test2 { b = "testing" }, Test3 { c = Test1 }
    assert Message(b"\x08\x96\x01").number(1) == 150
    assert Message(b"\x12\x07testing").text(2) == "testing"
    assert Message(b"\x1a\x03\x08\x96\x01").message(3).number(1) == 150
    assert Message(b"\x08\xfe" + b"\xff" * 8 + b"\x01").number(1) == (1 << 64) - 2  # -2


def test_fields_that_are_missing_repeated_or_of_other_kinds() -> None:
    found = Message(
        b"\x08\x01\x08\x02\x12\x01a\x12\x01b\x1d\x04\x00\x00\x00\x21" + b"\x05" + bytes(7)
    )
    assert (found.number(1), found.number(3), found.number(4), found.number(9, 7)) == (2, 4, 5, 7)
    assert (found.raw(2), found.texts(2), found.raw(9)) == (b"b", ["a", "b"], b"")
    assert [each.number(1) for each in Message(b"\x0a\x02\x08\x07\x0a\x00").messages(1)] == [7, 0]
    with pytest.raises(DocumentError, match="Field 2 of a message is no number"):
        found.number(2)
    with pytest.raises(DocumentError, match="Field 1 of a message is a number"):
        found.raw(1)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\x08", "ends too early"),
        (b"\x08\x80", "ends too early"),
        (b"\x08" + b"\x80" * 10, "too long"),
        (b"\x12\x05abcd", "ends too early"),
        (b"\x21" + bytes(7), "ends too early"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends too early"),
        (b"\x0b", "unknown kind 3"),
        (b"\x08\x00" * 150_001, "more than 150000 fields"),
    ],
)
def test_what_is_no_message(raw: bytes, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        Message(raw)


# -- the manifest --------------------------------------------------------------------------------


def test_what_the_manifest_says() -> None:
    raw = payloads.payload(
        Manifest(
            [payloads.partition("boot", IMAGE), Partition("empty", [], 0)],
            partial=True,
            groups={"main": (1 << 33, ["system", "vendor"]), "none": (0, [])},
            patch_level="2024-05-05",
        )
    )
    found = read(raw)
    boot, empty = found.partitions
    assert (boot.name, boot.size_bytes, empty.size_bytes) == ("boot", len(IMAGE), 0)
    assert boot.sha256 == hashlib.sha256(IMAGE).digest()
    assert found.groups == (
        PayloadGroup("main", 1 << 33, ("system", "vendor")),
        PayloadGroup("none", 0, ()),
    )
    assert (found.block_bytes, found.partial, found.patch_level) == (4096, True, "2024-05-05")
    assert found.metadata_sha256 == hashlib.sha256(raw[: found.metadata_bytes]).digest()
    assert raw[found.metadata_bytes :].startswith(b"sig")
    assert found.delta == ""


def test_deltas_are_recognised() -> None:
    # the extents of a delta may overlap, and its operations may be of any size
    copies = [Operation(SOURCE_COPY, [(0, 1)]), Operation(99, [(0, 1)]), Operation(ZERO, [(0, 1)])]
    found = read(payloads.payload(Manifest([Partition("boot", copies, BLOCK)], minor=7)))
    assert found.delta == "it has operations of the kind SOURCE_COPY, unknown operation 99"
    assert read(payloads.payload(Manifest([], minor=7))).delta == "its minor version is 7"
    assert read(payloads.payload(Manifest([], minor=None))).delta == ""


def _operation(**changed: object) -> bytes:
    values: dict[str, object] = {"kind": REPLACE, "extents": [(0, 1)], "data": bytes(BLOCK)}
    operation = Operation(**(values | changed))  # type: ignore[arg-type]
    return payloads.payload(Manifest([Partition("boot", [operation], BLOCK)]))


def _named(*names: str) -> bytes:
    return payloads.payload(Manifest([Partition(name, [], 0) for name in names]))


WHOLE = payloads.payload(Manifest([payloads.partition("boot", IMAGE)]))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "no payload"),
        (b"CrAU", "no payload"),
        (b"PK\3\4" + bytes(40), "no payload"),
        (payloads.payload(Manifest([]), version=1), "unknown version 1"),
        (WHOLE[:12] + b"\xff" * 8 + WHOLE[20:], "larger than any honest"),
        (WHOLE[:20] + b"\xff" * 4 + WHOLE[24:], "larger than any honest"),
        (WHOLE[:100], "manifest is not whole"),
        (WHOLE[:-1], "data of 'boot' lie behind its end"),
        (payloads.whole(b"\x6a\xff", b""), "ends too early"),
        (payloads.payload(Manifest([], block_bytes=0)), "blocks of 0 bytes"),
        (payloads.payload(Manifest([], block_bytes=1 << 40)), "blocks of 1099511627776 bytes"),
        (_named("../boot"), "a name that none can have"),
        (_named(""), "a name that none can have"),
        (_named("a" * 73), "a name that none can have"),
        (_named("boot", "boot"), "'boot' twice"),
        (_named(*(f"p{index}" for index in range(513))), "too many partitions"),
        (payloads.payload(Manifest([Partition("a", [], 1 << 62)])), "is said to have"),
        (payloads.payload(Manifest([Partition("a", [], 0, b"short")])), "SHA-256 of 5 bytes"),
        (_operation(sha256=b"short"), "SHA-256 of 5 bytes"),
        (_operation(extents=[(0, 2)]), "blocks beyond"),
        (_operation(extents=[(1, 1)]), "blocks beyond"),
        (_operation(extents=[(1 << 63, 1 << 63)]), "blocks beyond"),
        (_operation(extents=[((1 << 64) - 1, 1)]), "blocks beyond"),
        (_operation(extents=[(0, 1), (0, 1)]), "made twice"),
        (_operation(offset=1 << 63), "behind its end"),
        (_operation(length=BLOCK + 1), "behind its end"),
        (_operation(length=(1 << 64) - 1), "behind its end"),
    ],
)
def test_what_is_no_honest_payload(raw: bytes, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        read(raw)


def test_operations_and_their_number_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Partition("a", [Operation(REPLACE, [(0, 20_000)], b"x")], 20_000 * BLOCK)
    with pytest.raises(DocumentError, match="an operation of 81920000 bytes"):
        read(payloads.payload(Manifest([large])))
    zeros = Partition("a", [Operation(ZERO, [(0, 20_000)])], 20_000 * BLOCK)
    assert read(payloads.payload(Manifest([zeros]))).partitions[0].operations[0].blocks == 20_000
    monkeypatch.setattr(payload, "_MAX_OPERATIONS", 3)
    with pytest.raises(DocumentError, match="more operations than any honest one"):
        read(WHOLE)


# -- images --------------------------------------------------------------------------------------


def test_an_image_can_be_read_anywhere() -> None:
    found = image(payloads.partition("boot", IMAGE))
    kinds = {operation.kind for operation in found.partition.operations}
    assert kinds == {OperationKind(kind) for kind in (*payloads.KINDS, ZERO, payloads.DISCARD)}
    assert read_all(found, 0, found.size_bytes) == IMAGE
    for _ in range(200):
        at = NOISE.randrange(len(IMAGE))
        length = NOISE.randrange(len(IMAGE) - at) + 1
        assert read_all(found, at, length) == IMAGE[at : at + length]


def test_extents_in_any_order_and_blocks_that_nothing_makes() -> None:
    data = NOISE.randbytes(3 * BLOCK)
    operations = [
        Operation(REPLACE, [(4, 1), (0, 2), (3, 0)], data),
        Operation(ZERO, [(5, 1)], b"", offset=1 << 60, length=1 << 60),
    ]
    expected = data[BLOCK:] + bytes(2 * BLOCK) + data[:BLOCK] + bytes(3 * BLOCK)
    found = image(Partition("boot", operations, 8 * BLOCK))
    assert read_all(found, 0, 8 * BLOCK) == expected
    assert read_all(found, 3 * BLOCK + 7, 2 * BLOCK) == expected[3 * BLOCK + 7 : 5 * BLOCK + 7]


def test_a_partition_of_odd_size_and_other_blocks() -> None:
    data = NOISE.randbytes(700)
    found = image(Partition("a", [Operation(REPLACE, [(0, 2)], data)], 700), block_bytes=512)
    assert read_all(found, 0, found.size_bytes) == data


def test_the_image_in_order_is_checked_at_its_end() -> None:
    assert take(image(payloads.partition("boot", IMAGE)).start(), 1 << 30) == IMAGE
    stream = image(payloads.partition("boot", IMAGE)).start()
    stream.skip(3 * BLOCK + 5)
    assert take(stream, 1 << 30) == IMAGE[3 * BLOCK + 5 :]
    wrong = payloads.partition("boot", IMAGE)
    wrong.sha256 = bytes(32)
    stream = image(wrong).start()
    with pytest.raises(DocumentError, match="its SHA-256 is wrong"):
        stream.skip(1 << 30)
    wrong.sha256 = b""
    assert take(image(wrong).start(), 1 << 30) == IMAGE


def test_damage_is_found_in_the_operation() -> None:
    raw = bytearray(payloads.payload(Manifest([payloads.partition("boot", IMAGE)])))
    raw[-1] ^= 1
    found = read(bytes(raw))
    broken = Images(BytesContent(bytes(raw)), found).of(found.partitions[0])
    with pytest.raises(DocumentError, match="the SHA-256 of the data at byte"):
        read_all(broken, 0, broken.size_bytes)
    assert read_all(broken, 0, BLOCK) == IMAGE[:BLOCK]


@pytest.mark.parametrize("kind", payloads.KINDS)
@pytest.mark.parametrize("change", [lambda d: d[:BLOCK], lambda d: d + d, lambda _: b""])
def test_data_that_make_too_little_or_too_much(kind: int, change: Callable[[bytes], bytes]) -> None:
    data = payloads.PACK[kind](change(NOISE.randbytes(3 * BLOCK)))
    found = image(Partition("a", [Operation(kind, [(0, 3)], data)], 3 * BLOCK))
    with pytest.raises(DocumentError, match=r"make no 12288 bytes|cut off"):
        read_all(found, 0, BLOCK)


@pytest.mark.parametrize("kind", payloads.KINDS[1:])
def test_bombs_and_noise_instead_of_compressed_data(kind: int) -> None:
    bomb = payloads.PACK[kind](bytes(2 << 20))
    found = image(Partition("a", [Operation(kind, [(0, 1)], bomb)], BLOCK))
    with pytest.raises(DocumentError, match="make no 4096 bytes"):
        read_all(found, 0, BLOCK)
    found = image(Partition("a", [Operation(kind, [(0, 1)], b"no such thing" * 9)], BLOCK))
    with pytest.raises(DocumentError, match="damaged"):
        read_all(found, 0, BLOCK)
