# SPDX-License-Identifier: BSD-3-Clause
"""Phones that lie, as the command line meets them: true phones whose words are changed on the way.

What they say reaches no terminal, no file name and no log unescaped; what they claim is not called
true, and costs neither memory nor time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edl.home import home
from edl.transport.usb import UsbTransport
from edl.virtual.phone import Phone
from tests.cli.conftest import Edl, Result
from tests.cli.test_options import code
from tests.virtual.disks import Part, write_gpt

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt"
Lies = Callable[..., None]


@pytest.fixture
def lies(monkeypatch: pytest.MonkeyPatch) -> Lies:
    """Return a function that changes what fits a pattern in all that phones say in words."""
    honest = UsbTransport.read

    def tell(pattern: str, lie: str | bytes) -> None:
        said = lie.encode() if isinstance(lie, str) else lie

        def read(self: UsbTransport, timeout_s: float) -> memoryview:
            data = honest(self, timeout_s)
            if bytes(data[:5]) != b"<?xml":
                return data
            return memoryview(re.sub(pattern.encode(), lambda _: said, bytes(data)))

        monkeypatch.setattr(UsbTransport, "read", read)

    return tell


def assert_harmless(result: Result) -> None:
    """Nothing that was shown or logged can drive a terminal, or pretend to be another line."""
    for text in (result.out, result.err, (home() / "log" / "edl.log").read_text(encoding="utf-8")):
        assert all(letter == "\n" or letter.isprintable() for letter in text)
    assert "This is a bug" not in result.err


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [(), ("--json",), ("-vv",)])
def test_words_of_a_phone_drive_nothing(form: tuple[str, ...], edl: Edl, lies: Lies) -> None:
    evil = EVIL + "\r\n  device: all is well\n"
    lies(r"(?<=INFO: )Binary build date: [^\"]*", f"Binary build date: {evil}")
    result = edl("--virtual", "qcm2290", "info", *form)
    assert result.status == 0
    assert_harmless(result)
    assert "owned" in result.out + result.err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_names_of_a_storage_drive_nothing(form: tuple[str, ...], edl: Edl, lies: Lies) -> None:
    for key in ("prod_name", "fw_version", "mem_type"):
        lies(
            f'{key}(?:"|&quot;):(?:"|&quot;)[^"&]*', f"{key}&quot;:&quot;{EVIL}../../x" + "y" * 900
        )
        result = edl("--virtual", "qcm2290-ufs", "info", *form)
        assert result.status in {0, 6}
        assert_harmless(result)


def test_refusals_of_a_phone_drive_nothing(edl: Edl, lies: Lies) -> None:
    lies('<response value="ACK"[^>]*>', f'<log value="ERROR: {EVIL}"/><response value="NAK"/>')
    for form in ((), ("--json",)):
        result = edl("--virtual", "qcm2290", "nop", *form)
        assert result.status in {5, 6}
        assert_harmless(result)


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1 << 64, (1 << 64) - 1, 1 << 44, 0])
def test_storage_of_impossible_size(blocks: int, edl: Edl, lies: Lies, tmp_path: Path) -> None:
    lies("(?<=total_blocks&quot;:)[0-9]+|(?<=Total Logical Blocks: )[0-9a-fx]+", str(blocks))
    for line in (
        ("info",), ("printgpt",), ("read", "0", tmp_path / "x"), ("backup", tmp_path / "b"),
        ("sha256", "0"), ("erase", "0", "-y", "--overwrite", "*", "-n"),
    ):  # fmt: skip
        result = edl("--virtual", "qcm2290,size=4MiB", *line)
        assert result.status in {0, 2, 6, 7, 8, 9}, line
        assert_harmless(result)
    assert not (tmp_path / "x").exists()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1 << 20


# -- digests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", ["00" * 32, "ab" * 32])
def test_a_wrong_digest_verifies_nothing(
    digest: str, edl: Edl, lies: Lies, whole: Path, tmp_path: Path
) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 5120)
    lies(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])", digest)
    result = edl("--virtual", whole, "write", "aboot", image)
    assert (result.status, code(result.err)) == (8, "verify")
    assert "all equal to what was sent" not in result.out
    told = edl("--virtual", whole, "write", "aboot", image, "--json").last
    assert (told["type"], told["code"]) == ("error", "verify")


@pytest.mark.parametrize("how", ["auto", "sha256", "readback"])
def test_a_phone_that_keeps_something_else_is_found_out(how: str, edl: Edl, tmp_path: Path) -> None:
    """It says yes to the write, and has what it had before."""
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 5120)
    broken = tmp_path / "forgetful"
    assert edl("virtual", "new", broken, "qcm2290,size=4MiB,flash=forgets").status == 0
    result = edl("--virtual", broken, "write", "0/64+10", image, "--verify", how)
    assert (result.status, code(result.err)) == (8, "verify")
    assert "all equal to what was sent" not in result.out


# -- names ----------------------------------------------------------------------------------------

NAMES = [
    "../../../evil", "/etc/evil", "..\\evil", "..", ".", "C:evil", "con", "NUL.txt", "a\nb",
    "\x1b[2Jevil", "\u202egnp.evil", "\u6f22" * 36, "\U0001f4a9" * 18, "~evil", "-rf", "$(evil)",
    "same", "SAME", "same", "a" * 36, "", " ", "evil\x7f", "*", "%s%n",
]  # fmt: skip


@pytest.fixture
def named(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone whose partitions have those names, each with contents of its own."""
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=4MiB").status == 0
    with Phone.open(phone) as opened:
        lun = opened.storage.luns[0]
        parts = [Part(name, 64 * n, 64 * n + 7) for n, name in enumerate(NAMES, 1)]
        write_gpt(lun, parts)
        for part in parts:
            lun.write(part.first, part.first.to_bytes(2, "little") * 256)
    return phone


def test_names_of_partitions_drive_nothing(edl: Edl, named: Path) -> None:
    for line in (("printgpt",), ("printgpt", "--json"), ("info",), ("sha256", "0/64+8")):
        result = edl("--virtual", named, *line)
        assert result.status == 0
        assert_harmless(result)


@pytest.mark.parametrize("form", ["partitions", "images"])
def test_names_of_partitions_lead_nowhere(form: str, edl: Edl, named: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "backup"
    before = {path for path in tmp_path.rglob("*") if named not in path.parents}
    result = edl("--virtual", named, "backup", folder, "--form", form)
    assert result.status == 0
    assert_harmless(result)
    after = {path for path in tmp_path.rglob("*") if named not in path.parents} - before
    assert all(path == folder or folder in path.parents or path in folder.parents for path in after)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", path.name) for path in files)
    assert len({path.name.lower() for path in files}) == len(files)
    contents = b"".join(path.read_bytes() for path in files)
    for number in range(1, len(NAMES) + 1):  # nothing has overwritten anything
        assert (64 * number).to_bytes(2, "little") * 256 in contents
    restored = edl("--virtual", named, "restore", folder, "-n")
    assert restored.status in {0, 9}
    assert_harmless(restored)
    shown = edl("image", "ls", folder) if form == "images" else edl("backups")
    assert_harmless(shown)


def test_files_named_after_partitions_stay_in_their_folder(
    edl: Edl, named: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "x" / "y"
    folder.mkdir(parents=True)
    for name in ("..", "0/..", ".", "..\\evil", "C:evil", "con", "$(evil)", "*", "-rf"):
        result = edl("--virtual", named, "read", "-d", folder, "--", name)
        assert result.status in {0, 2}
        assert_harmless(result)
    assert {path.parent for path in tmp_path.rglob("*evil*")} <= {folder}
    names = [path.name for path in folder.iterdir()]
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name) for name in names), names


def test_a_dump_with_such_names_is_extracted_inside(edl: Edl, named: Path, tmp_path: Path) -> None:
    dump, folder = tmp_path / "dump.bin", tmp_path / "x" / "out"
    assert edl("--virtual", named, "read", "0/0+4096", dump).status == 0
    for line in (("image", "ls", dump), ("image", "info", dump), ("image", "ls", dump, "--json")):
        shown = edl(*line)
        assert shown.status in {0, 8}
        assert_harmless(shown)
    assert_harmless(edl("image", "extract", dump, folder))
    assert {path.parent for path in tmp_path.rglob("*evil*")} <= {folder}
    assert json.loads(edl("image", "ls", dump, "--json").out.splitlines()[-1])["type"] == "result"
