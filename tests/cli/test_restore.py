# SPDX-License-Identifier: BSD-3-Clause
"""`edl restore` as users type it."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import click
import pytest

from edl.cli import terminal
from edl.formats.manifest import Owner
from edl.home import home
from edl.virtual.phone import Phone
from tests import dumps
from tests.cli.conftest import Edl
from tests.dumps import COMMON, KEPT, LAYOUT, UNIQUE, bytes_of, held, live, whole


@pytest.fixture
def alices(edl: Edl, tmp_path: Path) -> Path:
    return _lived(edl, tmp_path / "alice", "alice", "1111aaaa", "v2")


@pytest.fixture
def bobs(edl: Edl, tmp_path: Path) -> Path:
    return _lived(edl, tmp_path / "bob", "bob", "2222bbbb", "v1")


def _lived(edl: Edl, folder: Path, owner: str, serial: str, firmware: str) -> Path:
    """Make a phone with a life behind it, its backup and its dd image."""
    assert edl("virtual", "new", folder, f"qcm2290,size=2M,serial=0x{serial}").status == 0
    with Phone.open(folder) as phone:
        live(phone.storage, owner, firmware=firmware)
        dumps.backup(phone.storage, folder.parent / f"{owner}.backup", Owner(serial))
        dumps.image(phone.storage, folder.parent / f"{owner}.img")
    return folder


def disk(folder: Path) -> bytes:
    with Phone.open(folder) as phone:
        return whole(phone.storage)


def partition(folder: Path, name: str) -> bytes:
    with Phone.open(folder) as phone:
        return held(phone.storage, name)


def wreck(folder: Path, owner: str = "an accident") -> None:
    """Let everything on the phone be another's, and put it into EDL mode again."""
    with Phone.open(folder) as phone:
        live(phone.storage, owner)
        phone.enter_edl()


@pytest.mark.usefixtures("alices")
def test_another_phones_dump_whole(edl: Edl, bobs: Path, tmp_path: Path) -> None:
    before = {name: partition(bobs, name) for name in KEPT}
    refused = edl("--virtual", bobs, "restore", tmp_path / "alice.backup", "--yes")
    assert refused.status == 9
    assert "is another phone's: it is of the phone 1111aaaa, this one is 2222bbbb" in refused.err
    assert "--from-other-device. It would write 10 parts" in refused.err
    dry = edl("--virtual", bobs, "restore", tmp_path / "alice.backup", "--from-other-device", "-n")
    assert dry.status == 0
    assert "kept as it is: DDR, modemst1" in dry.out
    assert "'modemst1' is left as it is on this phone: The modem's working store" in dry.err
    assert "'userdata' is left as it is on this phone: User data is encrypted" in dry.err
    done = edl(
        "--virtual", bobs, "restore", tmp_path / "alice.backup", "--from-other-device", "-y",
        "--reset", "system",
    )  # fmt: skip
    assert done.status == 0
    assert "boot       the virtual phone starts" in done.out
    assert {name: partition(bobs, name) for name in KEPT} == before
    for name in COMMON:
        assert partition(bobs, name) == bytes_of("v2", name, LAYOUT[name] * 1024)


def test_its_own_backup(edl: Edl, alices: Path, tmp_path: Path) -> None:
    wanted = disk(alices)
    wreck(alices)
    asked = edl("--virtual", alices, "restore", tmp_path / "alice.backup")
    assert asked.status == 2
    assert "as it was on 2026-01-31" in asked.err
    assert "Add --yes" in asked.err
    done = edl("--virtual", alices, "restore", tmp_path / "alice.backup", "-y", "--json")
    assert done.last["whose"] == "this phone"
    assert done.last["kept"] == []
    assert disk(alices) == wanted
    again = edl("--virtual", alices, "wl", tmp_path / "alice.backup", "-y", "--no-check", "--json")
    assert again.last["written_bytes"] == 0
    all_of_it = edl(
        "--virtual", alices, "restore", tmp_path / "alice.backup", "-y", "--unchanged", "write",
        "--json",
    )  # fmt: skip
    assert all_of_it.last["written_bytes"] == len(wanted)


def test_a_bare_image(edl: Edl, alices: Path, bobs: Path, tmp_path: Path) -> None:
    wanted = disk(alices)
    unknown = edl("--virtual", bobs, "restore", tmp_path / "alice.img", "--yes")
    assert unknown.status == 9
    assert "Nothing proves that" in unknown.err
    done = edl("--virtual", bobs, "restore", tmp_path / "alice.img", "--from-other-device", "-y",
               "--json")  # fmt: skip
    assert done.last["whose"] == "unknown"
    assert set(done.last["kept"]) == set(KEPT)
    asked = edl("--virtual", bobs, "restore", tmp_path / "alice.img", "--from-other-device")
    assert "common firmware of an unknown dump" in asked.err
    own = edl("--virtual", alices, "restore", tmp_path / "alice.img", "--yes", "--json")
    assert own.last["whose"] == "this phone"
    assert disk(alices) == wanted


def test_single_partitions(edl: Edl, alices: Path, bobs: Path, tmp_path: Path) -> None:
    wreck(alices)
    done = edl("--virtual", alices, "restore", tmp_path / "alice.backup", "0/boot,fsg", "persist")
    assert done.status == 0
    assert partition(alices, "fsg") == bytes_of("alice", "fsg", 32768)
    assert partition(alices, "modemst1") == bytes_of("an accident", "modemst1", 32768)
    line = ("--virtual", bobs, "restore", tmp_path / "alice.backup", "fsg", "--from-other-device")
    refused = edl(*line, "--yes")
    assert refused.status == 9
    assert "'fsg' belongs to one phone alone" in refused.err
    assert "--overwrite fsg" in refused.err
    user_data = edl(*line[:-2], "userdata", "--from-other-device", "--yes")
    assert user_data.status == 9
    assert "edl erase userdata" in user_data.err
    done = edl(*line, "--overwrite", "fsg")
    assert done.status == 0
    assert partition(bobs, "fsg") == bytes_of("alice", "fsg", 32768)


@pytest.mark.usefixtures("alices")
@pytest.mark.parametrize("typed", ["fsg", "yes"])
def test_the_name_of_a_unique_partition_is_typed(
    typed: str, edl: Edl, bobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stdin)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: typed)
    done = edl(
        "--virtual", bobs, "restore", tmp_path / "alice.backup", "fsg", "--from-other-device", "-y"
    )
    owner = "alice" if typed == "fsg" else "bob"
    assert (done.status == 0) is (typed == "fsg")
    assert "If the dump is not this very phone's" in done.err
    assert partition(bobs, "fsg") == bytes_of(owner, "fsg", 32768)


def test_what_exists_only_once(edl: Edl, alices: Path, tmp_path: Path) -> None:
    nothing = edl("--virtual", alices, "restore", "--unique")
    assert nothing.status == 2
    assert "No backup of what exists only once on the phone 1111aaaa" in nothing.err
    boot = tmp_path / "boot.img"
    boot.write_bytes(b"new")
    assert edl("--virtual", alices, "write", "boot", boot).status == 0
    wreck(alices)
    done = edl("--virtual", alices, "restore", "--unique")
    assert done.status == 0
    for name in UNIQUE:
        assert partition(alices, name) == bytes_of("alice", name, LAYOUT[name] * 1024)
    assert partition(alices, "misc") == bytes_of("an accident", "misc", 16384)
    which = edl("--virtual", alices, "restore", "--unique")
    assert which.status == 2
    assert "hold 2 different states" in which.err
    assert "as it is on the phone now" in which.err
    assert "differs in" in which.err
    older = min((home() / "phones" / "1111aaaa").glob("saved-*"))
    some = edl("--virtual", alices, "restore", older, "--unique", "fs*", "--json")
    assert some.last["unchanged_bytes"] == 36 * 1024


def test_a_backup_that_edl_made_is_found(edl: Edl, alices: Path, tmp_path: Path) -> None:
    assert edl("--virtual", alices, "backup", tmp_path / "made", "--compress").status == 0
    wanted = disk(alices)
    wreck(alices)
    assert edl("--virtual", alices, "restore", "--unique", "persist").status == 0
    assert partition(alices, "persist") == bytes_of("alice", "persist", 65536)
    assert edl("--virtual", alices, "restore", tmp_path / "made", "-y").status == 0
    assert disk(alices) == wanted


def test_a_phone_without_a_number_finds_no_backups(edl: Edl) -> None:
    result = edl("--virtual", "msm8953,size=2M,serial=0", "restore", "--unique")
    assert result.status == 2
    assert "does not tell its serial number" in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "Name the backup"),
        (("nowhere",), 7, "There is no backup or image 'nowhere'"),
        (("folder",), 7, "holds no backup"),
        (("boot.img",), 7, "no whole partition table"),
        (("bob.backup", "nothing"), 2, "The dump has no partition 'nothing'"),
        (("bob.backup", "--lun", "5"), 2, "The dump has no LUN 5"),
    ],
)
def test_what_cannot_be_restored(
    arguments: tuple[str, ...],
    status: int,
    said: str,
    edl: Edl,
    bobs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "boot.img").write_bytes(bytes(5000))
    result = edl("--virtual", bobs, "restore", *arguments)
    assert result.status == status
    assert said in result.err


def test_an_interrupted_restore(edl: Edl, alices: Path, tmp_path: Path) -> None:
    wanted = disk(alices)
    folder = tmp_path / "shaky"
    shaky = "qcm2290,size=2M,serial=0x1111aaaa,fault=unplug@out:700000"
    assert edl("virtual", "new", folder, shaky).status == 0
    cut = edl("--virtual", folder, "restore", tmp_path / "alice.backup", "-y")
    assert cut.status == 4
    assert "with --resume" in cut.err
    assert edl("virtual", "edl", folder).status == 0
    done = edl(
        "--virtual", folder, "restore", tmp_path / "alice.backup", "-y", "--resume", "--json"
    )
    assert done.last["resumed_bytes"] > 0
    assert disk(folder) == wanted


def test_a_compressed_image_of_another_lun(edl: Edl, alices: Path, tmp_path: Path) -> None:
    packed = tmp_path / "alice.img.gz"
    packed.write_bytes(gzip.compress((tmp_path / "alice.img").read_bytes(), 1))
    wanted = disk(alices)
    with Phone.open(alices) as phone:
        phone.storage.luns[0].erase(40, 100)
    assert edl("--virtual", alices, "restore", packed, "--yes").status == 0
    assert disk(alices) == wanted
    wrong = edl("--virtual", alices, "restore", packed, "--lun", "9", "--from-other-device")
    assert "The dump has a LUN 9, which this phone does not have" in wrong.err
