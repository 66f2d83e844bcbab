# SPDX-License-Identifier: BSD-3-Clause
"""Files that lie: each ends in our error, whatever it announces, in a few times its own size."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from uuid import UUID

import pytest

from edl.errors import DocumentError, ImageError
from edl.formats import gpt
from edl.formats.flashmap import read_flashmap
from edl.formats.gpt import Partition
from edl.formats.gptcheck import problems
from edl.formats.manifest import parse as read_manifest
from edl.formats.mbn import read_image
from edl.formats.rawprogram import read_rawprogram
from edl.formats.sparse import SparseImage
from edl.formats.xml import MAX_BYTES, read_document
from edl.units import MIB

MAX_U32, MAX_U64 = (1 << 32) - 1, (1 << 64) - 1


def refused(read: Callable[[], object], at_most_bytes: int) -> str:
    """Return the message of the error that read ends with; it takes at most that much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ImageError) as caught:
            read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < at_most_bytes
    message = caught.value.message
    assert len(message) < 10_000
    assert all(letter == "\n" or letter.isprintable() for letter in message)
    return message


# -- XML ------------------------------------------------------------------------------------------

LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCUMENTS = {
    "billion laughs": f'<!DOCTYPE d [<!ENTITY l0 "lol">{LOL}]><data>&l9;</data>'.encode(),
    "external entity": b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><data>&x;</data>',
    "parameter entity": b'<!DOCTYPE d [<!ENTITY % x SYSTEM "http://localhost/x"> %x;]><data/>',
    "external subset": b'<!DOCTYPE data SYSTEM "http://localhost/x.dtd"><data/>',
    "in UTF-16": '\ufeff<!DOCTYPE d [<!ENTITY a "b">]><data>&a;</data>'.encode("utf-16"),
    "in UTF-7": b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE d+AD4-<data/>',
    "in EBCDIC": b'<?xml version="1.0" encoding="cp037"?><data/>',
    "in rot13": b'<?xml version="1.0" encoding="rot_13"?><qngn/>',
    "unknown entity": b"<data>&passwd;</data>",
    "deep": b"<d>" * 60_000 + b"</d>" * 60_000,
    "deep within bounds": b"<data>" + b"<d>" * 20_000,
    "many tags": b"<data>" + b"<a/>" * 600_000 + b"</data>",
    "many comments": b"<data>" + b"<!---->" * 600_000 + b"</data>",
    "many attributes": b"<data><a %b/></data>" % b" ".join(b'x%d=""' % n for n in range(510_000)),
    "one attribute again and again": b"<data><a %b/></data>" % (b'x="" ' * 100_000),
    "a long name": b"<data><%b/></data>" % (b"a" * 12 * MIB),
    "a long attribute": b'<data a="%b"/>' % (b"a" * 12 * MIB),
    "characters that may not be": b'<data a="&#27;[2J&#0;"/>',
    "too large": b"<data>" + b" " * MAX_BYTES + b"</data>",
}


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents(data: bytes) -> None:
    told = refused(lambda: read_rawprogram(data, "a.xml"), 12 * len(data) + 4 * MIB)
    assert told.startswith("a.xml")
    assert "root:" not in told


def test_a_document_of_the_largest_size_takes_a_few_times_that() -> None:
    data = b"<data>%b</data>" % (b'<program label="%b"/>' % (b"x" * 500) * 10_000)
    tracemalloc.start()
    read_document(data, "a.xml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * len(data)


# -- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 100_000, b"\xff\xfe[]", b'{"version": 1e999}',
     b'{"version": "\\ud800"}', b"NaN", b'{"products": [{"layouts": [[]]}], "version": "1.1.0"}'],
)  # fmt: skip
def test_json(data: bytes) -> None:
    refused(lambda: read_flashmap(data, "f.json"), 20 * len(data) + 4 * MIB)
    refused(lambda: read_manifest(data, "m.json"), 20 * len(data) + 4 * MIB)


# -- sparse images --------------------------------------------------------------------------------


def sparse(block: int, blocks: int, chunks: int, *rows: tuple[int, int, int]) -> bytes:
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, block, blocks, chunks, 0)
    return head + b"".join(struct.pack("<HHII", kind, 0, count, size) for kind, count, size in rows)


RAW, FILL, SKIP, CRC = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4


@pytest.mark.parametrize(
    "data",
    [
        sparse(4096, MAX_U32, MAX_U32, (SKIP, MAX_U32, 12)),
        sparse(4096, MAX_U32, MAX_U32, *[(SKIP, 0, 12)] * 1000),
        sparse(4096, MAX_U32, 2, (SKIP, MAX_U32, 12), (SKIP, MAX_U32, 12)),
        sparse(4096, MAX_U32, 1, (RAW, MAX_U32, MAX_U32)),
        sparse(4096, 2, 1, (RAW, MAX_U32, 12 + 8192)),
        sparse(MAX_U32 - 3, 1, 1, (SKIP, 1, 12)),
        sparse(0, 1, 1, (SKIP, 1, 12)),
        sparse(4096, 1, 1, (RAW, 1, 11)),
        sparse(4096, 1, 1, (RAW, 1, 12)),
        sparse(4096, 1, 1, (FILL, 1, 12)),
        sparse(4096, 1, 1, (FILL, MAX_U32, 16)) + b"abcd",
        sparse(4096, 0, 2, (CRC, 0, MAX_U32), (CRC, 0, 12)),
        sparse(4096, 1, 1, (0xBEEF, 1, 12)),
    ],
)
def test_sparse_images(data: bytes) -> None:
    refused(lambda: SparseImage.read(io.BytesIO(data), len(data)), 4 * MIB)


def test_2_to_the_32_blocks_are_only_a_number() -> None:
    data = sparse(65536, MAX_U32, 1, (FILL, MAX_U32, 16)) + b"abcd"
    tracemalloc.start()
    image = SparseImage.read(io.BytesIO(data), len(data))
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()
    assert image.size_bytes == MAX_U32 * 65536


# -- partition tables -----------------------------------------------------------------------------

NAME = "\U0001f4a9" * 18  # 36 units of UTF-16, and no zero behind them
TABLE = gpt.create(
    512, 20_000, UUID(int=1), [Partition(1, NAME, 100, 199, UUID(int=7), UUID(int=1))]
).images().primary  # fmt: skip


def lying(offset: int, form: str, value: int) -> bytes:
    """Return the table with a field of its header changed, and a checksum that is right again."""
    data = bytearray(TABLE)
    struct.pack_into(form, data, 512 + offset, value)
    data[512 + 16 : 512 + 20] = bytes(4)
    data[512 + 16 : 512 + 20] = struct.pack("<I", zlib.crc32(data[512 : 512 + 92]))
    return bytes(data)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (12, "<I", 0), (12, "<I", MAX_U32), (80, "<I", 0), (80, "<I", 4097), (80, "<I", MAX_U32),
        (84, "<I", 0), (84, "<I", 127), (84, "<I", MAX_U32), (72, "<Q", MAX_U64),
        (72, "<Q", 1 << 62), (80, "<I", 4096),
    ],
)  # fmt: skip
def test_headers_of_tables(offset: int, form: str, value: int) -> None:
    refused(lambda: gpt.parse(lying(offset, form, value), 512), 4 * MIB)


@pytest.mark.parametrize(("offset", "value"), [(24, 0), (32, MAX_U64), (40, MAX_U64), (48, 0)])
def test_places_in_tables_are_judged(offset: int, value: int) -> None:
    assert problems(gpt.parse(lying(offset, "<Q", value), 512), 20_000)


def test_a_name_that_fills_its_field_and_partitions_that_overlap() -> None:
    (partition,) = gpt.parse(TABLE, 512).partitions
    assert partition.name == NAME
    assert partition.safe_name == "_" * 18
    data = bytearray(TABLE)
    data[1152:1280] = data[1024:1152]  # the same again
    data[1280:1408] = data[1024:1152]
    struct.pack_into("<QQ", data, 1280 + 32, MAX_U64, MAX_U64)
    told = problems(gpt.parse(bytes(data), 512), 20_000)
    assert any("overlap" in each for each in told)
    assert all(each.isprintable() for each in told)


# -- programmers ----------------------------------------------------------------------------------


def elf(rows: int, *headers: tuple[int, int, int, int], row_bytes: int = 32) -> bytes:
    """Return an ELF of 32 bits: (kind, offset, size in the file, flags) of each segment."""
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    head = ident + struct.pack(
        "<HHIIIIIHHHHHH", 2, 40, 1, 0, 52, 0, 0, 52, row_bytes, rows, 0, 0, 0
    )
    return head + b"".join(
        struct.pack("<8I", kind, offset, 0, 0, size, size, flags, 4)
        for kind, offset, size, flags in headers
    )


@pytest.mark.parametrize(
    "data",
    [
        elf(0xFFFF),
        elf(0xFFFF, *[(1, 0, 100, 0)] * 100),
        elf(0),
        elf(1, (1, MAX_U32, MAX_U32, 0)),
        elf(1, (1, 0, MAX_U32, 0x02200000)),
        elf(2, (1, 0, 52, 0x07000000), (1, 52, MAX_U32, 0x02200000)),
        elf(1, (1, 0, 84, 0), row_bytes=0),
        elf(1, (1, 0, 84, 0), row_bytes=0xFFFF),
        elf(2, (0, 0, 116, 0x07000000), (0, 0, 116, 0x02200000)),
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + b"\xff" * 48,
        struct.pack("<10I", 0xD, 3, 0, 0, MAX_U32, MAX_U32, 0, MAX_U32, 0, MAX_U32) + bytes(4096),
        b"\xd1\xdc\x4b\x84\x34\x10\xd7\x73" + b"\xff" * 72,
    ],
)
def test_programmers(data: bytes) -> None:
    """It is refused, or at least not taken for a programmer that somebody has signed."""
    tracemalloc.start()
    try:
        image = read_image(data)
    except ImageError as error:
        assert error.message.isprintable()  # noqa: PT017
    else:
        assert image.problems or not image.is_programmer
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_errors_of_formats_are_of_one_family() -> None:
    assert issubclass(DocumentError, ImageError)
