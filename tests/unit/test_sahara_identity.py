# SPDX-License-Identifier: BSD-3-Clause
"""What boot ROMs told about themselves in public bug reports."""

from __future__ import annotations

import re

import pytest

from edl.sahara.identity import ChipId, chip_id, hwid, pk_hash, serial_number
from tests.conftest import shared

SHA256 = bytes.fromhex("cc3153a80293939b90d02d3bf8b23e0292e452fef662c74998421adad42a380f")
SHA384 = bytes.fromhex(
    "d40eee56f3194665574109a39267724ae7944134cd53cb767e293d3c40497955"
    "bc8a4519ff992b031fadc6355015ac87"
)


def test_serial_number() -> None:
    assert serial_number(bytes.fromhex("3a09761e")) == 0x1E76093A  # bkerler/edl#229
    # version 3 appends a second word (bkerler/edl#663)
    assert serial_number(bytes.fromhex("587a6b6a43040000")) == 0x6A6B7A58
    assert serial_number(b"\x01\x02\x03") is None


def test_hwid() -> None:
    answer = bytes.fromhex("01bf1700e1508000")  # a Lenovo with MSM8926: bkerler/edl#635
    assert hwid(answer * 3) == hwid(answer) == 0x008050E1_0017_BF01
    assert hwid(answer[:7]) is None


def fuse_information(oem: int, model: int, other_oem: int) -> bytes:
    """Return an answer of 0x54 bytes with the ids of an SM8750 (bkerler/edl#799)."""
    words = bytearray(0x54)
    words[0:4] = bytes.fromhex("5a040000")
    words[0x20:0x24] = 0x600F0200.to_bytes(4, "little")
    words[0x24:0x28] = 0x0028D0E1.to_bytes(4, "little")
    words[0x28:0x2E] = b"".join(number.to_bytes(2, "little") for number in (oem, model, other_oem))
    return bytes(words)


def test_chip_of_version_3() -> None:
    answer = fuse_information(0x0051, 0, 0x0072)
    assert chip_id(answer) == ChipId(0x45A, 0x600F0200, 0x0028D0E1_0051_0000)
    assert chip_id(answer[:46]) == chip_id(answer)
    assert chip_id(answer[:45]) is None


def test_the_other_oem_id_counts_where_the_first_is_zero() -> None:
    chip = chip_id(fuse_information(0, 0xA012, 0x0072))
    assert chip is not None
    assert chip.hwid == 0x0028D0E1_0072_A012


@pytest.mark.parametrize(
    ("answer", "digest"),
    [
        (SHA256, SHA256),
        (SHA384, SHA384),
        (SHA256 * 3, SHA256),
        (SHA384 * 2, SHA384),
        (SHA384 * 3, SHA384),  # bkerler/edl#342
        (SHA384 + bytes(96), SHA384),  # bkerler/edl#701, #477, #816
        (SHA384 * 2 + bytes(48), SHA384),
        (SHA256 + bytes(64), SHA256),
        (SHA256 + bytes(112), SHA256),
        (SHA256 * 2, SHA256),
        (SHA256 + SHA384[:32], SHA256 + SHA384[:32]),  # one digest of 64 bytes
        # digests that end in zeros are no shorter for it
        (SHA256[:30] + bytes(2), SHA256[:30] + bytes(2)),
        (SHA256[:30] + bytes(2 + 64), SHA256[:30] + bytes(2)),
        (SHA384[:47] + bytes(1 + 96), SHA384[:47] + bytes(1)),
        ((SHA384[:47] + bytes(1)) * 3, SHA384[:47] + bytes(1)),
        # no known shape: all that came
        (SHA256[:20], SHA256[:20]),
        (SHA256 + SHA384 + SHA256, SHA256 + SHA384 + SHA256),
        (bytes(range(256)), bytes(range(192))),
    ],
    ids=lambda value: f"{len(value)}",
)
def test_digest_of_the_root_key(answer: bytes, digest: bytes) -> None:
    assert pk_hash(answer) == digest


@pytest.mark.parametrize(("size", "told"), [(32, 32), (48, 48), (96, 48), (144, 48)])
def test_a_phone_without_a_fused_key_tells_zeros(size: int, told: int) -> None:
    assert pk_hash(bytes(size)) == bytes(told)


def test_an_empty_answer_tells_nothing() -> None:
    assert pk_hash(b"") is None


def test_keys_in_public_logs() -> None:
    """bkerler/edl prints the answer up to the first repetition, zeros and all."""
    printed = set()
    for path in shared("logs").iterdir():
        text = path.read_text("utf-8", "replace")
        printed |= set(re.findall(r"PK_?HASH\s*:?\s+(?:0x)?([0-9a-f]{60,300})", text))
    digests = {pk_hash(bytes.fromhex(text[: len(text) // 2 * 2])) for text in printed}
    assert len(printed) > 20
    assert {len(digest or b"") for digest in digests} == {32, 48}
    assert SHA256 in digests
    assert SHA384 in digests
