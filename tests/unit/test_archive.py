# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edl.errors import DocumentError
from edl.formats import archive, streams, tar
from edl.formats.archive import Member, foreign_kind, is_archive, members
from tests.conftest import shared

FILES = {
    "images/prog_firehose.elf": b"\x7fELF" + bytes(range(256)) * 40,
    "images/rawprogram0.xml": b"<data/>",
    "empty": b"",
    "exactly_two_blocks": b"x" * 1024,
}
FORMATS: dict[str, int] = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def tar_of(files: dict[str, bytes], kind: str = "ustar") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[kind]) as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def single_of(files: dict[str, bytes]) -> bytes:
    """Return a Motorola container, as the research notes describe it."""
    parts = [b"SINGLE_N_LONELY".ljust(256, b"\0")]
    for name, data in files.items():
        parts.append(name.encode().ljust(248, b"\0") + struct.pack("<Q", len(data)))
        parts.append(data + bytes(-len(data) % 4096))
    return b"".join((*parts, b"LONELY_N_SINGLE".ljust(256, b"\0")))


def found(data: bytes, name: str = "a") -> list[Member]:
    return list(members(io.BytesIO(data), name))


def contents(data: bytes, name: str = "a") -> dict[str, bytes]:
    return {m.name: m.content() for m in members(io.BytesIO(data), name)}


def inside(files: dict[str, bytes], name: str = "a") -> dict[str, bytes]:
    return {f"{name}/{inner}": data for inner, data in files.items()}


# All kinds


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tar(kind: str, pack: Callable[[bytes], bytes]) -> None:
    data = pack(tar_of(FILES, kind))
    assert is_archive(data[: archive.HEAD_BYTES])
    assert contents(data) == inside(FILES)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(method: int) -> None:
    data = zip_of(FILES, method)
    assert is_archive(data[: archive.HEAD_BYTES])
    assert contents(data) == inside(FILES)
    assert contents(zip_of({})) == {}


def test_single_images() -> None:
    data = single_of(FILES)
    assert is_archive(data[: archive.HEAD_BYTES])
    assert contents(data) == inside(FILES)


def test_a_real_single_image() -> None:
    path = shared("corpus/msm8953-moto-potter/gpt.bin")
    with path.open("rb") as file:
        sizes = {member.name: len(member.content()) for member in members(file, "gpt.bin")}
    assert sizes == {  # as the corpus analysis lists them
        "gpt.bin/gpt.default.xml": 102,
        "gpt.bin/gpt_main0.bin": 32768,
        "gpt.bin/gpt.pkg.xml": 82,
        "gpt.bin/index.xml": 123,
    }


@pytest.mark.parametrize("tool", ["tar", "zip"])
def test_archives_of_other_tools(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    deep = "a_folder_with_quite_a_long_name/" * 6
    files = {"short.mbn": b"1" * 700, f"{deep}long.mbn": b"2" * 513}
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "in" / "link.mbn").symlink_to("short.mbn")
    commands = {"tar": ["tar", "-czf", "../a", "."], "zip": ["zip", "-qry", "../a.zip", "."]}
    subprocess.run(commands[tool], cwd=tmp_path / "in", check=True)
    data = (tmp_path / ("a" if tool == "tar" else "a.zip")).read_bytes()
    got = {name.replace("/./", "/"): content for name, content in contents(data).items()}
    assert got == inside(files)


def test_what_is_no_archive() -> None:
    for data in (b"", b"\x7fELF" + bytes(600), bytes(1024), b"1" * 512):
        assert not is_archive(data)
        with pytest.raises(DocumentError, match=r"^a\?b is no archive"):
            found(data, "a\x1bb")
    assert foreign_kind(b"Rar!\x1a\x07\x01\x00") == "RAR"
    assert foreign_kind(b"PK\x03\x04") is None


def test_a_single_compressed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(b"\x7fELF" + bytes(5000))
    (member,) = found(data, "dir/prog.elf.gz")
    assert (member.name, member.size_bytes) == ("dir/prog.elf.gz/prog.elf", None)
    assert contents(data) == {"a/a": b"\x7fELF" + bytes(5000)}
    assert contents(gzip.compress(b"short")) == {"a/a": b"short"}
    assert contents(gzip.compress(zip_of(FILES))) == inside(FILES, "a/a")
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 5003)
    with pytest.raises(DocumentError, match="too large"):
        contents(data)


def test_content_need_not_be_had() -> None:
    assert [m.name for m in found(tar_of(FILES))] == [f"a/{name}" for name in FILES]
    assert [m.head for m in found(single_of(FILES))] == [d[:512] for d in FILES.values()]


# Archives in archives


@pytest.mark.parametrize("outer", [tar_of, zip_of, single_of])
@pytest.mark.parametrize("inner", [tar_of, zip_of, single_of])
def test_one_archive_in_another(
    outer: Callable[[dict[str, bytes]], bytes], inner: Callable[[dict[str, bytes]], bytes]
) -> None:
    packed = inner(FILES)
    data = outer({"before": b"1", "in": packed, "after": b"2"})
    assert contents(data) == {"a/before": b"1", **inside(FILES, "a/in"), "a/after": b"2"}
    third = contents(outer({"in": inner({"deep": packed})}))
    assert third == inside(FILES, "a/in/deep")
    fourth = found(outer({"in": inner({"deep": inner({"deeper": packed})})}))
    assert [(m.name, m.size_bytes) for m in fourth] == [("a/in/deep/deeper", len(packed))]


def test_a_damaged_archive_in_another_does_not_hide_the_others() -> None:
    data = zip_of({
        "a.tar": tar_of(FILES)[:700],
        "b.gz": gzip.compress(b"no tar" * 99, mtime=0)[:20],
        "c.zip": zip_of(FILES)[:60],
        "d": b"1",
    })  # fmt: skip
    got = found(data)
    assert [(m.name, m.problem.partition(" ")[0]) for m in got if m.problem] == [
        ("a/a.tar", "The"),
        ("a/b.gz", "The"),
        ("a/c.zip", "a/c.zip"),
    ]
    assert got[-1].name == "a/d"
    with pytest.raises(DocumentError, match=r"a/a\.tar: The tar archive"):
        next(m for m in got if m.problem).content()


def test_a_large_zip_file_in_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 100)
    (member,) = found(zip_of({"in.zip": zip_of(FILES)}))
    assert "unpack the archive first" in member.problem


# Hostile and damaged ones


def test_names_lead_nowhere_and_drive_no_terminal() -> None:
    names = ["../../etc/passwd", "/etc/passwd", "C:\\x", "a\x1b[2Jb", "\u202ex"]
    shown = ["a/../../etc/passwd", "a//etc/passwd", "a/C:\\x", "a/a?[2Jb", "a/?x"]
    for data in (tar_of(dict.fromkeys(names, b"1")), zip_of(dict.fromkeys(names, b"1"))):
        assert [m.name for m in found(data)] == shown


def test_links_devices_and_folders_are_passed_over() -> None:
    buffer = io.BytesIO()
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for kind in kinds:
            entry = tarfile.TarInfo("x")
            entry.type, entry.linkname, entry.size = kind, "/etc/passwd", 512
            made.addfile(entry)
        sparse = tarfile.TarInfo("sparse")
        sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 700
        made.addfile(sparse, io.BytesIO(bytes(700)))
        last = tarfile.TarInfo("last")
        last.size = 3
        made.addfile(last, io.BytesIO(b"end"))
    assert contents(buffer.getvalue()) == {"a/last": b"end"}

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as bundle:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        bundle.writestr(link, "/etc/passwd")
        bundle.writestr("folder/", b"")
        bundle.writestr("last", b"end")
    assert contents(zipped.getvalue()) == {"a/last": b"end"}


def test_bombs_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_BASE_BYTES", 1 << 20)
    zeros = bytes(3 << 20)
    bomb = zip_of(dict.fromkeys("abcdef", zeros))
    with pytest.raises(DocumentError, match="made to fill disks"):
        contents(bomb)
    packed = lzma.compress(tar_of(dict.fromkeys("abcdef", zeros)))
    with pytest.raises(DocumentError, match="made to fill disks"):
        found(packed)
    hidden = found(zip_of({"in": lzma.compress(tar_of(dict.fromkeys("abcdef", zeros)))}))
    assert "made to fill disks" in hidden[-1].problem


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MAX_MEMBERS", 3)
    assert len(found(tar_of(dict.fromkeys("abc", b"")))) == 3
    with pytest.raises(DocumentError, match="more than 3 files"):
        found(tar_of(dict.fromkeys("abcd", b"")))


def test_a_zip_directory_of_an_absurd_size() -> None:
    data = zip_of(FILES)
    end = data.rindex(b"PK\x05\x06")
    padding = bytes(5 * 1024 * 1024)
    large = data[:end] + padding + data[end : end + 12]
    large += struct.pack("<II", len(padding), end) + b"\0\0"
    with pytest.raises(DocumentError, match="directory of 5242880 bytes is not supported"):
        found(large)


def test_members_that_announce_too_much() -> None:
    block = bytearray(tar_of({"x": b"1"}))
    block[124:136] = b"%011o\0" % (1 << 30)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    member = next(members(io.BytesIO(bytes(block)), "a"))
    with pytest.raises(DocumentError, match="unpack the archive first"):
        member.content()
    with pytest.raises(DocumentError, match="cut off"):
        [m.content() for m in members(io.BytesIO(tar_of({"x": b"1" * 5000})[:2000]), "a")]


def test_a_zip_member_without_a_name() -> None:
    data = bytearray(zip_of({"x": b"content"}))
    data[26] = 0  # the length of its name, here and in the directory
    entry = data.index(b"PK\x01\x02")
    data[entry + 28] = 0
    del data[entry + 46]
    (end,) = struct.unpack_from("<I", data, len(data) - 10)
    struct.pack_into("<I", data, len(data) - 10, end - 1)
    assert [member.name for member in found(bytes(data))] == ["a/"]


def test_zip_members_that_cannot_be_read() -> None:
    plain = zip_of({"secret": b"1" * 100, "other": b"2"}, zipfile.ZIP_STORED)
    directory = plain.index(b"PK\x01\x02")
    encrypted = bytearray(plain)
    encrypted[directory + 8] |= 1
    problem, other = found(bytes(encrypted))
    assert (problem.problem[:12], other.content()) == ("It is encryp", b"2")
    rare, _ = found(zip_of({"secret": b"1" * 100, "other": b"2"}, zipfile.ZIP_LZMA))
    assert "rare way" in rare.problem
    wrong_name = plain.replace(b"secret", b"terces", 1)
    assert "damaged" in found(wrong_name)[0].problem
    wrong_sum = plain.replace(b"1" * 100, b"3" * 100)
    assert "damaged" in found(wrong_sum)[0].problem
    big = zip_of({"secret": b"\x7fELF" + bytes(range(200)) * 100})
    crc = big.index(b"PK\x01\x02") + 16
    with pytest.raises(DocumentError, match="The zip file is damaged"):
        contents(big[:crc] + bytes(4) + big[crc + 4 :])
    with pytest.raises(DocumentError, match="no zip file, or a damaged one"):
        found(plain[:50])


def test_a_single_image_that_announces_too_much() -> None:
    data = bytearray(single_of(FILES))
    data[256 + 248 : 512] = b"\xff" * 8
    with pytest.raises(DocumentError, match="announces 18446744073709551615 bytes"):
        found(bytes(data))


def test_a_short_single_image() -> None:
    with pytest.raises(DocumentError, match="is cut off"):
        found(single_of(FILES)[:-300])


# Tar's own corners


def header(name: bytes = b"x", size: bytes = b"1\0", kind: bytes = b"0") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def blocks(*parts: bytes, end: bytes = bytes(512)) -> bytes:
    return b"".join(part + bytes(-len(part) % 512) for part in parts) + end


def test_old_tar_without_a_magic_word() -> None:
    assert contents(blocks(header(kind=b"\0"), b"1")) == {"a/x": b"1"}
    assert contents(blocks(header(size=b"  1 "), b"1")) == {"a/x": b"1"}
    assert contents(blocks(header(size=b"\x80" + bytes(10) + b"\x01"), b"1")) == {"a/x": b"1"}
    assert contents(blocks(header(size=b"\0"))) == {"a/x": b""}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (blocks(header(size=b"9\0"), b"1"), "a number is none"),
        (blocks(header(size=b"\xff" * 12), b"1"), "announces"),
        (blocks(header(), b"1", b"junk"), "is damaged"),
        (blocks(header(), b"1", end=b"short"), "is damaged"),
        (blocks(header(), b"1", end=b""), "cut off"),
        (blocks(header(), b"1", end=bytes(100)), "cut off"),
        (blocks(header(kind=b"L", size=b"7777777\0"), b"1"), "header of 2097151 bytes"),
        (blocks(header(kind=b"x"), b"1"), "pax header"),
        (blocks(header(kind=b"x", size=b"12\0"), b"99 path=x\n"), "pax header"),
        (blocks(header(kind=b"x", size=b"12\0"), b"10 size=x\n"), "pax header"),
        (blocks(header(kind=b"x", size=b"30\0"), b"24 size=123456789012345\n"), "pax header"),
    ],
)
def test_damaged_tar(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        found(data)


def test_pax_headers() -> None:
    records = b"10 path=y\n10 size=2\n11 mtime=1\n"
    assert contents(blocks(header(kind=b"x", size=b"37\0"), records, header(), b"12")) == {
        "a/y": b"12"
    }
    # what is said of a link does not count for the next file
    link = blocks(header(kind=b"x", size=b"37\0"), records, header(kind=b"2"), end=b"")
    assert contents(link + blocks(header(), b"1")) == {"a/x": b"1"}
    everybody = blocks(header(kind=b"g", size=b"12\0"), b"10 path=z\n", end=b"")
    assert contents(everybody + blocks(header(), b"1")) == {"a/x": b"1"}


def test_only_whole_headers_are_headers() -> None:
    block = header()
    assert tar.is_header(block)
    assert not tar.is_header(block[:511])
    assert not tar.is_header(block[:148] + b"????????" + block[156:])


def test_long_names() -> None:
    names: Sequence[str] = ["p" * 120 + "/" + "n" * 90, "n" * 300]
    made = tar_of(dict.fromkeys(names[:1], b"1"))
    assert list(contents(made)) == [f"a/{names[0]}"]
    assert list(contents(tar_of(dict.fromkeys(names[1:], b"1"), "gnu"))) == [f"a/{names[1]}"]
    assert list(contents(tar_of(dict.fromkeys(names[1:], b"1"), "pax"))) == [f"a/{names[1]}"]
