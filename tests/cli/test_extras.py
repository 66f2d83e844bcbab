# SPDX-License-Identifier: BSD-3-Clause
"""Commands that no rescue needs: what they show, what they ask, and what they never send."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.cli.commands import benchmark
from edl.device.extras import REFUSED, Speed
from edl.virtual.phone import Phone
from edl.virtual.programmer.board import Board
from tests.cli.conftest import LOADER, Edl
from tests.cli.test_info import loader
from tests.dumps import live

SMALL = "qcm2290,size=4MiB"
LAYOUT = {"boot": 32, "persist": 64, "userdata": 0}


def line(profile: str, *words: object) -> tuple[object, ...]:
    return ("--virtual", profile, *words, "--loader", loader(profile))


# -- raw commands ---------------------------------------------------------------------------------


def test_a_harmless_command_is_sent_at_once(edl: Edl) -> None:
    result = edl(*line(SMALL, "rawxml", "<nop/>", "--json"))
    assert (result.status, result.last["sent"]) == (0, True)
    answer = result.last["answers"][0]
    assert answer["attributes"]["value"] == "ACK"
    assert "INFO: End of supported functions 15" in answer["logs"]
    told = edl(*line(SMALL, "send", '<getstorageinfo physical_partition_number="0" />'))
    assert told.status == 0
    assert told.out.splitlines()[0].endswith(
        '<getstorageinfo physical_partition_number="0" /></data>'
    )
    assert "INFO: Device Block Size in Bytes: 0x200" in told.out


def test_others_want_a_code(edl: Edl, tmp_path: Path) -> None:
    phone, file = tmp_path / "phone", tmp_path / "x.xml"
    with Phone.create(SMALL, phone) as made:
        made.storage.luns[0].write(8, b"x" * 512)
    file.write_text(
        '<?xml version="1.0" ?><data><nop value="1"/><erase SECTOR_SIZE_IN_BYTES="512"'
        ' num_partition_sectors="8" physical_partition_number="0" start_sector="8"/></data>'
    )
    words = ("--virtual", phone, "xml", file, "--loader", LOADER)
    refused = edl(*words, "--json")
    assert (refused.status, refused.last["code"]) == (9, "safety")
    shown = edl(*words, "-n", "--json")
    assert (shown.status, shown.last["sent"], len(shown.last["commands"])) == (0, False, 2)
    assert "erase the whole LUN" in edl(*words, "-n").err
    done = edl(*words, "--allow", shown.last["code"])
    assert done.status == 0
    assert "2 sent; the programmer said yes to all." in done.out
    with Phone.open(phone) as made:
        assert made.storage.luns[0].read(8, 1) == bytes(512)


def test_what_was_sent_is_in_the_log(edl: Edl, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert edl(*line(SMALL, "rawxml", "<nop/>", "--log-file", log)).status == 0
    text = log.read_text()
    assert 'a command of the user\'s own: <?xml version="1.0" encoding="UTF-8" ?><data><nop' in text
    assert "its answer:" in text


def test_a_no_is_told_with_the_phones_words(edl: Edl) -> None:
    text = '<getstorageinfo physical_partition_number="7" />'
    result = edl(*line(SMALL, "rawxml", text, "--json"))
    assert (result.status, result.last["code"]) == (6, "wrong-storage")
    assert any("partition 7" in each for each in result.last["device_log"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((f"<{tag} a='1'/>", "is not sent like this") for tag in REFUSED),
        ("<data></data>", "holds no command"),
        ("<a>text</a>", "programmers take attributes only"),
        ("<erase/>", "has no attribute"),
        ("<a b='&quot;'/>", "cannot be sent"),
        ("<ä b='1'/>", "names that no programmer takes"),
        ("<a ä='1'/>", "names that no programmer takes"),
        ("<a b='ä'/>", "cannot be sent"),
    ],
)
def test_what_is_never_sent(edl: Edl, text: str, words: str) -> None:
    result = edl("rawxml", text, "--json")
    assert (result.status, result.last["code"]) == (2, "usage")
    assert words in result.last["message"]


def test_files_that_are_none(edl: Edl, tmp_path: Path) -> None:
    assert edl("xml", tmp_path / "none", "--json").last["code"] == "image"
    assert edl("rawxml", "<a", "--json").last["code"] == "document"


# -- memory ---------------------------------------------------------------------------------------


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Put something into the memory of virtual phones at 0x1000."""
    data = bytes(range(256)) * 3
    make = Board.__init__

    def with_memory(self: Board, *args: object, **keywords: object) -> None:
        make(self, *args, **keywords)  # type: ignore[arg-type]
        self.memory = dict(enumerate(data, 0x1000))

    monkeypatch.setattr(Board, "__init__", with_memory)
    return data


@pytest.mark.parametrize("profile", ["msm8916,size=4MiB", "msm8953,size=4MiB", "sdm660,size=4MiB"])
def test_memory_is_shown(edl: Edl, memory: bytes, tmp_path: Path, profile: str) -> None:
    shown = edl(*line(profile, "peek", "0x1041", "0x12", "-y"))
    assert shown.status == 0
    assert shown.out.splitlines()[0] == (
        "00001041  41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50  ABCDEFGHIJKLMNOP"
    )
    file = tmp_path / "memory"
    saved = edl(*line(profile, "peek", "4096", "768", file, "-y", "--json"))
    assert (saved.status, saved.last["hex"]) == (0, None)
    assert file.read_bytes() == memory


@pytest.mark.parametrize(
    ("profile", "words", "status"),
    [
        (SMALL, ("0x1000", "16", "-y"), 6),  # lists no <peek>
        ("sdm660,size=4MiB", ("0x1000", "16"), 2),  # nobody to ask
        ("sdm660,size=4MiB", ("0x0", "16", "-y"), 6),
        ("sdm660,size=4MiB", ("x", "16", "-y"), 2),
        ("sdm660,size=4MiB", ("0", "0", "-y"), 2),
        ("sdm660,size=4MiB", ("0xfffffffffffffff8", "16", "-y"), 2),
    ],
)
def test_memory_is_not_shown(edl: Edl, profile: str, words: tuple[str, ...], status: int) -> None:
    assert edl(*line(profile, "peek", *words)).status == status


# -- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return a phone whose backup table is gone."""
    folder = tmp_path / "tables"
    with Phone.create(SMALL, folder) as phone:
        live(phone.storage, "mine", layout=LAYOUT)
        phone.storage.erase(0, phone.storage.luns[0].sectors - 33, 33)
    return folder


def test_tables_are_mended_by_the_programmer(edl: Edl, tables: Path) -> None:
    words = ("--virtual", tables, "fixgpt", "--loader", LOADER)
    shown = edl(*words, "-n", "--json")
    assert (shown.status, shown.last["done"], shown.last["partitions"]) == (0, False, 3)
    assert edl(*words, "--json").last["code"] == "usage"
    done = edl(*words, "--grow", "-y")
    assert done.status == 0
    # 64 entries take 16 of the last sectors of 8192, and the header one
    assert "Both tables are sound now and agree: 'userdata' ends at sector 8174." in done.out


def test_tables_that_are_left_alone(edl: Edl, tables: Path) -> None:
    other = edl(*line("sdm660,size=4MiB", "fixgpt", "-y", "--json"))
    assert other.last["message"] == "This programmer has no <fixgpt>."
    with Phone.open(tables) as phone:
        phone.storage.write(0, 2, bytes(512))
    damaged = edl("--virtual", tables, "fixgpt", "-y", "--json", "--loader", LOADER)
    assert (damaged.status, damaged.last["code"]) == (6, "refused")
    assert "edl gpt repair" in damaged.last["remedies"][0]


def test_a_yes_is_not_believed(edl: Edl, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.virtual.programmer.generation3.storage.fix_gpt", lambda *_, **__: [])
    result = edl("--virtual", tables, "fixgpt", "-y", "--json", "--loader", LOADER)
    assert (result.status, result.last["code"]) == (8, "verify")


# -- firmware of the storage ----------------------------------------------------------------------


def test_firmware_is_severe(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "ffu.bin"
    file.write_bytes(b"firmware" * 200)
    words = line("sdm660,size=4MiB", "firmwarewrite", file)
    assert edl(*words, "--json").last["code"] == "safety"
    shown = edl(*words, "-n", "--json")
    assert (shown.status, shown.last["taken"]) == (0, False)
    done = edl(*words, "--allow", shown.last["code"])
    assert done.status == 0
    assert "Whether it runs it shows after a start only" in done.out
    assert "did not log 'FW Update Successful'" in done.err


def test_firmware_that_is_refused(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "ffu.bin"
    file.write_bytes(b"x")
    spec = f"{SMALL},restricted=0/0+64"
    shown = edl(*line(spec, "firmwarewrite", file, "-n", "--json"))
    refused = edl(*line(spec, "firmwarewrite", file, "--allow", shown.last["code"], "--json"))
    assert (refused.status, refused.last.get("state")) == (6, "")
    for content in (b"", None):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        assert edl("firmwarewrite", file, "--json").last["code"] == "image"


def test_programmers_without_firmwarewrite(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "ffu.bin"
    file.write_bytes(b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edl.device.firehose.Programmer.supports", lambda *_: False)
        assert edl(*line(SMALL, "firmwarewrite", file, "-n")).status == 6


# -- measuring ------------------------------------------------------------------------------------


def test_nothing_is_written_to_measure(edl: Edl, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    with Phone.create(SMALL, folder) as phone:
        phone.storage.luns[0].write(0, b"data" * 1024)
        before = phone.storage.luns[0].digest(0, 8192)
    result = edl("--virtual", folder, "benchmark", "--json", "--loader", LOADER)
    assert (result.status, result.last["bytes"]) == (0, 4 << 20)
    assert result.last["read_bytes_per_s"] > 0
    with Phone.open(folder) as phone:
        assert phone.storage.luns[0].digest(0, 8192) == before
    for size in ("x", "0", "1000GiB"):
        assert edl("--virtual", folder, "benchmark", "--size", size).status == 2


def test_what_bounds_reading_is_told() -> None:
    slow = benchmark._text(Speed(0.001, 100 << 20, 10.0, 1.0), "480 Mbit/s", 16384)
    assert slow[-1] == "What bounds reading: the cable and the size of transfers."
    assert slow[0] == "  command  1.00 ms there and back"
    even = benchmark._text(Speed(0.001, 100 << 20, 1.0, 0.9), None, 16384)
    assert even[-1] == "What bounds reading: the storage or the programmer."
    none = benchmark._text(Speed(0.001, 100 << 20, 1.0, None), None, 16384)
    assert none[-1] == "  digest   not offered by this programmer"
