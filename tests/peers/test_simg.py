# SPDX-License-Identifier: BSD-3-Clause
"""Sparse images against img2simg and simg2img (Debian: android-sdk-libsparse-utils)."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from edl.formats.sparse import SparseImage, SparseKind

BLOCK_BYTES = 4096


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} (android-sdk-libsparse-utils) is not installed")
    return path


def blocks(seed: int) -> bytes:
    """Return an image of data, zeros and repeated words, as file systems have."""
    source = random.Random(seed)
    kinds = [b"", bytes(BLOCK_BYTES), b"\xde\xad\xbe\xef" * (BLOCK_BYTES // 4)]
    runs = [(source.choice(kinds), source.randint(1, 40)) for _ in range(30)]
    return b"".join(
        kind * count if kind else source.randbytes(BLOCK_BYTES * count) for kind, count in runs
    )


def expand(path: Path) -> bytes:
    data = path.read_bytes()
    with path.open("rb") as file:
        image = SparseImage.read(file, len(data), path.name)
    out = bytearray(image.size_bytes)
    end = 0
    for chunk in image.chunks:
        assert chunk.offset_bytes == end
        end += chunk.length_bytes
        if chunk.kind is SparseKind.RAW:
            part = data[chunk.file_offset : chunk.file_offset + chunk.length_bytes]
        elif chunk.kind is SparseKind.FILL:
            part = chunk.fill * (chunk.length_bytes // 4)
        else:
            part = bytes(chunk.length_bytes)
        out[chunk.offset_bytes : end] = part
    assert end == image.size_bytes
    return bytes(out)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_img2simg_makes_expands_to_what_it_was_made_of(tmp_path: Path, seed: int) -> None:
    plain, packed = tmp_path / "plain.img", tmp_path / "packed.img"
    plain.write_bytes(blocks(seed))
    subprocess.run([tool("img2simg"), plain, packed, str(BLOCK_BYTES)], check=True)
    assert packed.stat().st_size < plain.stat().st_size
    assert expand(packed) == plain.read_bytes()


def test_simg2img_expands_what_we_read_to_the_same_bytes(tmp_path: Path) -> None:
    source = random.Random(4)
    chunks, total = [], 0
    for kind, size in [(0xCAC1, 3), (0xCAC3, 7), (0xCAC2, 5), (0xCAC1, 1), (0xCAC3, 2)]:
        data = {
            0xCAC1: source.randbytes(BLOCK_BYTES * size),
            0xCAC2: source.randbytes(4),
            0xCAC3: b"",
        }[kind]
        chunks.append(struct.pack("<HHII", kind, 0, size, 12 + len(data)) + data)
        total += size
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, BLOCK_BYTES, total, len(chunks), 0)
    packed, plain = tmp_path / "packed.img", tmp_path / "plain.img"
    packed.write_bytes(head + b"".join(chunks))
    subprocess.run([tool("simg2img"), packed, plain], check=True)
    assert expand(packed) == plain.read_bytes()
