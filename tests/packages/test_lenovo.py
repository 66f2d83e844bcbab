# SPDX-License-Identifier: BSD-3-Clause
"""Lenovo's encrypted documents, made by the layout that LTBox documents, with a word of our own."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from Crypto.Cipher import AES

from edl.errors import DocumentError, PackageError
from edl.formats import lenovo_x
from tests import phones
from tests.packages import opluses
from tests.packages.installing import held, install, opened
from tests.packages.making import noise, rawprogram

WORD = "open sesame"
MAGIC = bytes.fromhex("cf060504030201fc")


def encrypted(
    document: bytes, word: str = WORD, magic: bytes = MAGIC, digest: bytes = b""
) -> bytes:
    iv, salt = bytes(range(16)), bytes(range(16, 32))
    key = hashlib.sha256(word.encode() + salt).digest()
    for _ in range(999):
        key = hashlib.sha256(key).digest()
    plain = struct.pack("<q", len(document)) + magic + document
    plain += digest or hashlib.sha256(document).digest()
    plain += bytes(-len(plain) % 16)
    return iv + salt + AES.new(key, AES.MODE_CBC, iv=iv).encrypt(plain)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """Return a folder as Lenovo's tablets have it."""
    folder = tmp_path / "TB321FU"
    folder.mkdir()
    (folder / "boot.img").write_bytes(noise(5000))
    (folder / "persist.img").write_bytes(noise(5000, 2))
    keeping = rawprogram({"boot": "boot.img"})
    (folder / "rawprogram_save_persist_unsparse0.x").write_bytes(encrypted(keeping))
    whole = rawprogram({"boot": "boot.img", "persist": "persist.img"})
    (folder / "rawprogram_unsparse0.x").write_bytes(encrypted(whole))
    (folder / "patch0.x").write_bytes(encrypted(b"<patches/>"))
    (folder / "other.x").write_bytes(b"no document")
    return folder


def save_word(folder: Path, *words: str) -> None:
    text = "".join(f'[[lenovo]]\nword = "{word}"\n' for word in words)
    opluses.save_keys(folder, text)


def test_with_the_users_word(build: Path, data_home: Path) -> None:
    save_word(data_home, "another", WORD)
    package, told = opened(build)
    assert told.kind == "Lenovo build (rawprogram, encrypted documents)"
    assert (
        "rawprogram_unsparse0.xml",
        "'rawprogram_save_persist_unsparse0.xml' takes its place",
    ) in (package.left_out)
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert held(bench, 64, 10) == noise(5000).ljust(5120, b"\0")
        assert held(bench, 128, 1) == bytes(512)


def test_without_the_word(build: Path, data_home: Path) -> None:
    save_word(data_home, "another")
    with pytest.raises(PackageError, match="none of the keys at hand opens it") as caught:
        opened(build)
    assert "keys.toml" in caught.value.remedies[0]


def test_documents_that_are_there_in_plain_need_no_word(build: Path) -> None:
    for path in build.glob("*.x"):
        if path.name != "other.x":
            path.with_suffix(".xml").write_bytes(rawprogram({"boot": "boot.img"}))
    (build / "patch0.xml").write_bytes(b"<patches/>")
    assert opened(build)[1].kind == "flat build (rawprogram)"


def test_a_damaged_document(build: Path, data_home: Path) -> None:
    save_word(data_home, WORD)
    (build / "patch0.x").write_bytes(encrypted(b"<patches/>", digest=bytes(32)))
    with pytest.raises(PackageError, match=r"patch0\.x: It is damaged"):
        opened(build)


@pytest.mark.parametrize(
    "data", [b"", bytes(32), encrypted(b"<data/>")[:-1], bytes((16 << 20) + 16)]
)
def test_lengths_that_cannot_be(data: bytes) -> None:
    with pytest.raises(DocumentError, match="length"):
        lenovo_x.decipher(data, WORD)


def test_sizes_that_lie() -> None:
    made = bytearray(encrypted(b"<data/>"))
    assert lenovo_x.decipher(bytes(made), "another") is None
    assert lenovo_x.decipher(bytes(made), WORD) == b"<data/>"
    made[0] ^= 0xFF  # of the size, by way of where the chain begins
    with pytest.raises(DocumentError, match="checksum"):
        lenovo_x.decipher(bytes(made), WORD)
