# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats import manifest
from edl.formats.manifest import (
    Compression,
    Extent,
    Form,
    Kind,
    LeftOut,
    LunRecord,
    Manifest,
    Owner,
    State,
    StorageRecord,
    Verified,
    parse,
)

DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
GUID = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

# Written by hand after the table in docs/backup.md.
DOCUMENT: dict[str, Any] = {
    "format": "edl-backup",
    "version": 1,
    "tool": "edl 0.1.0",
    "made": "2026-11-22T06:45:00Z",
    "complete": True,
    "phone": {
        "serial": "1a2b3c4d",
        "hwid": "0x000460e100000000",
        "pk_hash": DIGEST,
        "chip": "MSM8953",
    },
    "storage": {
        "type": "emmc",
        "manufacturer_id": 21,
        "product": "EMUMMC",
        "serial": 3735928559,
        "firmware": "1.0",
        "sector_bytes": 512,
        "block_bytes": 16777216,
    },
    "form": "images",
    "compression": "zstd",
    "verified": "read twice",
    "luns": [
        {
            "lun": 0,
            "sectors": 40000,
            "disk_guid": GUID,
            "active_slot": "b",
            "extents": [
                {
                    "kind": "gpt-primary", "name": "gpt-primary", "start_sector": 0, "sectors": 34,
                    "type_guid": None, "guid": None, "attributes": 0, "class": "safe",
                    "category": "", "state": "saved", "file": "lun0.img.zst",
                    "file_offset_bytes": 0, "sha256": [DIGEST], "bad": [],
                },
                {
                    "kind": "partition", "name": "boot_a", "start_sector": 34, "sectors": 32768,
                    "type_guid": GUID, "guid": GUID, "attributes": 18446744073709551615,
                    "class": "must-never-clone", "category": "os", "state": "partly",
                    "file": "lun0.img.zst", "file_offset_bytes": 17408, "sha256": [DIGEST],
                    "bad": [[40, 2], [42, 1]],
                },
                {
                    "kind": "gap", "name": "gap", "start_sector": 32802, "sectors": 7198,
                    "attributes": 0, "class": "", "category": "", "state": "forbidden",
                    "file": None, "file_offset_bytes": 0, "sha256": [], "bad": [],
                },
            ],
        }
    ],
    "left_out": [{"what": "RPMB", "reason": "It cannot be read."}],
    "new_in_a_later_version": {"is": "ignored"},
}  # fmt: skip


def document(*path: str | int, value: object = None) -> bytes:
    """Return DOCUMENT, with value in the place that path names."""
    data = json.loads(json.dumps(DOCUMENT))
    place = data
    for key in path[:-1]:
        place = place[key]
    if path:
        place[path[-1]] = value
    return json.dumps(data).encode()


def test_a_document_as_described() -> None:
    digest, guid = bytes.fromhex(DIGEST), UUID(GUID)
    assert parse(document()) == Manifest(
        made="2026-11-22T06:45:00Z",
        tool="edl 0.1.0",
        complete=True,
        phone=Owner("1a2b3c4d", 0x460E100000000, digest, "MSM8953"),
        storage=StorageRecord("emmc", 512, 21, "EMUMMC", 3735928559, "1.0", 1 << 24),
        form=Form.IMAGES,
        compression=Compression.ZSTD,
        verified=Verified.READ_TWICE,
        luns=(
            LunRecord(
                0,
                40000,
                guid,
                "b",
                (
                    Extent(
                        Kind.GPT_PRIMARY, "gpt-primary", 0, 34, State.SAVED, "", "safe",
                        file="lun0.img.zst", sha256=(digest,),
                    ),
                    Extent(
                        Kind.PARTITION, "boot_a", 34, 32768, State.PARTLY, "os",
                        "must-never-clone", guid, guid, (1 << 64) - 1, "lun0.img.zst", 17408,
                        (digest,), ((40, 2), (42, 1)),
                    ),
                    Extent(Kind.GAP, "gap", 32802, 7198, State.FORBIDDEN),
                ),
            ),
        ),
        left_out=(LeftOut("RPMB", "It cannot be read."),),
    )  # fmt: skip


def test_what_is_written_is_what_was_read() -> None:
    there = json.loads(parse(document()).text())
    expected = json.loads(document())
    del expected["new_in_a_later_version"]
    expected["luns"][0]["extents"][2] |= {"type_guid": None, "guid": None}
    assert there == expected


def test_a_phone_that_told_nothing() -> None:
    made = Manifest(
        "2026-01-01T00:00:00.123456Z", "edl", True, Owner(), StorageRecord("ufs", 4096),
        Form.PARTITIONS, Compression.NONE, Verified.NOT, (LunRecord(3, 1, None, None, (
            Extent(Kind.GAP, "gap", 0, 1, State.SKIPPED),
        )),),
    )  # fmt: skip
    assert parse(made.text().encode()) == made


def test_finding_a_partition() -> None:
    (lun,) = parse(document()).luns
    boot = lun.find("boot_a")
    assert boot is not None
    assert (boot.start_sector, boot.end_sector) == (34, 32802)
    assert lun.find("gap") is None
    assert lun.find("boot_b") is None


def test_digests_may_be_missing_while_the_job_runs() -> None:
    data = json.loads(document("luns", 0, "extents", 0, "sha256", value=[]))
    with pytest.raises(DocumentError, match=r"luns\[0\].extents\[0\].sha256"):
        parse(json.dumps(data).encode())
    data["complete"] = False
    assert parse(json.dumps(data).encode()).luns[0].extents[0].sha256 == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"version": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[]", "is not an object"),
        (b"{}", "not the manifest of a backup"),
        (b" " * (manifest.MAX_BYTES + 1), "at most"),
    ],
)
def test_no_manifest_at_all(text: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse(text)


def test_a_newer_version_says_what_to_do() -> None:
    with pytest.raises(DocumentError, match="version 2") as caught:
        parse(document("version", value=2), "x/manifest.json")
    assert caught.value.message.startswith("x/manifest.json ")
    assert "newer" in caught.value.remedies[0]


EXTENT = ("luns", 0, "extents", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "1"),
        (("version",), True),
        (("complete",), 1),
        (("made",), "yesterday"),
        (("made",), None),
        (("tool",), "x" * 1000),
        (("phone",), []),
        (("phone", "serial"), "XYZ"),
        (("phone", "serial"), 7),
        (("phone", "hwid"), "0xG"),
        (("phone", "hwid"), "0x" + "1" * 17),
        (("phone", "pk_hash"), "0"),
        (("phone", "pk_hash"), "00" * 193),
        (("storage", "sector_bytes"), 513),
        (("storage", "sector_bytes"), 1 << 40),
        (("storage", "block_bytes"), 3 << 20),
        (("storage", "block_bytes"), 1),
        (("storage", "serial"), -1),
        (("form",), "tar"),
        (("form",), None),
        (("compression",), "lz4"),
        (("verified",), "yes"),
        (("luns",), {}),
        (("luns",), [{}] * 257),
        (("luns",), [7]),
        (("luns",), [DOCUMENT["luns"][0]] * 2),
        (("luns", 0, "lun"), 256),
        (("luns", 0, "sectors"), 39999),
        (("luns", 0, "sectors"), 0),
        (("luns", 0, "disk_guid"), "not a guid"),
        (("luns", 0, "active_slot"), "c"),
        (("luns", 0, "extents"), []),
        ((*EXTENT, "kind"), "file system"),
        ((*EXTENT, "name"), "x" * 73),
        ((*EXTENT, "start_sector"), 35),
        ((*EXTENT, "start_sector"), 33),
        ((*EXTENT, "sectors"), 0),
        ((*EXTENT, "sectors"), 32767),
        ((*EXTENT, "attributes"), 1 << 64),
        ((*EXTENT, "state"), "lost"),
        ((*EXTENT, "state"), "saved"),
        ((*EXTENT, "state"), "skipped"),
        ((*EXTENT, "file"), None),
        ((*EXTENT, "file"), ""),
        ((*EXTENT, "file"), ".."),
        ((*EXTENT, "file"), ".hidden"),
        ((*EXTENT, "file"), "../lun0.img"),
        ((*EXTENT, "file"), "a/b"),
        ((*EXTENT, "file"), "a\\b"),
        ((*EXTENT, "file"), "C:boot"),
        ((*EXTENT, "file"), "boot\n"),
        ((*EXTENT, "file"), "boot."),
        ((*EXTENT, "file"), "x" * 200),
        ((*EXTENT, "file_offset_bytes"), -1),
        ((*EXTENT, "sha256"), []),
        ((*EXTENT, "sha256"), [DIGEST] * 2),
        ((*EXTENT, "sha256"), [DIGEST.upper()]),
        ((*EXTENT, "sha256"), [7]),
        ((*EXTENT, "sha256"), DIGEST),
        ((*EXTENT, "bad"), []),
        ((*EXTENT, "bad"), [[40]]),
        ((*EXTENT, "bad"), [[40, 0]]),
        ((*EXTENT, "bad"), [[True, 1]]),
        ((*EXTENT, "bad"), [40]),
        ((*EXTENT, "bad"), [[33, 2]]),
        ((*EXTENT, "bad"), [[42, 1], [40, 1]]),
        ((*EXTENT, "bad"), [[40, 3], [42, 1]]),
        ((*EXTENT, "bad"), [[32801, 2]]),
        ((*EXTENT, "type_guid"), 5),
        (("left_out",), None),
        (("left_out", 0, "reason"), 5),
    ],
)
def test_contradictions_are_refused(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(DocumentError, match=r"^manifest.json: "):
        parse(document(*path, value=value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from([
        ("phone",), ("storage",), ("luns",), ("luns", 0), ("luns", 0, "extents"), EXTENT,
        *((*EXTENT, key) for key in DOCUMENT["luns"][0]["extents"][1]), ("left_out",), ("made",),
    ]),
    JSON,
)  # fmt: skip
def test_whatever_it_holds_only_our_error_is_raised(
    path: tuple[str | int, ...], value: object
) -> None:
    try:
        made = parse(document(*path, value=value))
    except DocumentError:
        return
    assert parse(made.text().encode()) == made
