# SPDX-License-Identifier: BSD-3-Clause
"""payload.bin against android-payload-dumper: classes made by protoc, and another reader."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import Any

import pytest

from edl.chunks import BytesContent, read_all
from edl.formats import payload
from edl.formats.payload import Images
from tests import payloads
from tests.payloads import BLOCK, Manifest

um = pytest.importorskip(
    "payload_dumper.update_metadata_pb2", reason="PyPI: android-payload-dumper"
)
core: Any = pytest.importorskip("payload_dumper.core")
source: Any = pytest.importorskip("payload_dumper.source")

NOISE = random.Random(9)
IMAGES = {
    "boot": NOISE.randbytes(9 * BLOCK) + bytes(8 * BLOCK) + NOISE.randbytes(5 * BLOCK),
    "system": bytes(16 * BLOCK) + b"text" * (3 * BLOCK),
}
SHARED_KINDS = (payloads.REPLACE, payloads.REPLACE_BZ, payloads.REPLACE_XZ)


def test_protoc_reads_what_our_writer_writes() -> None:
    partitions = [payloads.partition(name, image) for name, image in IMAGES.items()]
    groups = {"main": (1 << 33, ["system"])}
    raw = payloads.payload(Manifest(partitions, block_bytes=4096, partial=True, groups=groups))
    size = int.from_bytes(raw[12:20], "big")
    manifest = um.DeltaArchiveManifest()
    manifest.ParseFromString(raw[24 : 24 + size])
    found = payload.read(BytesContent(raw))
    assert manifest.block_size == found.block_bytes
    assert manifest.minor_version == found.minor_version
    assert manifest.dynamic_partition_metadata.groups[0].size == found.groups[0].maximum_bytes
    for theirs, ours in zip(manifest.partitions, found.partitions, strict=True):
        assert theirs.partition_name == ours.name
        assert theirs.new_partition_info.size == ours.size_bytes
        assert theirs.new_partition_info.hash == ours.sha256
        for their, our in zip(theirs.operations, ours.operations, strict=True):
            extents = tuple((each.start_block, each.num_blocks) for each in their.dst_extents)
            assert (extents, their.data_sha256_hash) == (our.extents, our.sha256)


def test_we_read_what_protoc_writes() -> None:
    manifest = um.DeltaArchiveManifest(block_size=4096, minor_version=0)
    blobs = b""
    for name, image in IMAGES.items():
        partition = manifest.partitions.add(partition_name=name)
        partition.new_partition_info.size = len(image)
        partition.new_partition_info.hash = hashlib.sha256(image).digest()
        for at in range(0, len(image), 4 * BLOCK):
            data = image[at : at + 4 * BLOCK]
            kind = SHARED_KINDS[at // BLOCK % 3] if any(data) else payloads.ZERO
            packed = payloads.PACK[kind](data) if any(data) else b""
            operation = partition.operations.add(
                type=kind, data_offset=len(blobs), data_length=len(packed)
            )
            operation.data_sha256_hash = hashlib.sha256(packed).digest()
            operation.dst_extents.add(start_block=at // BLOCK, num_blocks=len(data) // BLOCK)
            blobs += packed
    group = manifest.dynamic_partition_metadata.groups.add(name="main", size=5)
    group.partition_names.append("system")
    raw = BytesContent(payloads.whole(manifest.SerializeToString(), blobs))
    found = payload.read(raw)
    assert found.groups == (payload.PayloadGroup("main", 5, ("system",)),)
    images = Images(raw, found)
    for each in found.partitions:
        assert read_all(images.of(each), 0, each.size_bytes) == IMAGES[each.name]


def test_the_other_reader_makes_the_same_images(tmp_path: Path) -> None:
    partitions = [payloads.partition(name, image, SHARED_KINDS) for name, image in IMAGES.items()]
    path = tmp_path / "payload.bin"
    path.write_bytes(payloads.payload(Manifest(partitions)))
    opened = source.FileSource(str(path))
    theirs = core.parse_payload(opened)
    for each in theirs.manifest.partitions:
        out = io.BytesIO()
        core.extract_partition_to_stream(opened, theirs.data_offset, each, out)
        assert out.getvalue() == IMAGES[each.partition_name]
    opened.close()
