# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl import loaders
from edl.collection import gather as gathering
from edl.collection.entry import Entry, from_data
from edl.collection.gather import Fate, Outcome, gather
from edl.collection.store import INDEX, Collection
from edl.errors import EdlError, UsageError
from edl.formats.mbn import read_image
from edl.identity import PhoneIdentity
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Recipe, elf_image
from loaders.make_dummies import MSM8916, SM8150
from loaders.signing import VENDOR, VENDOR_EC
from tests.unit.test_archive import single_of, tar_of, zip_of

GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()
SHA256 = hashlib.sha256(VENDOR.root_bytes).digest()
PHONE = PhoneIdentity(serial=1, hwid=MSM8916, pk_hash=SHA256)


@pytest.fixture
def kept(tmp_path: Path) -> Collection:
    return Collection(tmp_path / "kept")


def add(kept: Collection, *names: str) -> list[Entry]:
    entries = [kept.add(read_image(GOOD[n]), GOOD[n], n, f"rom.zip/{n}")[0] for n in names]
    kept.save()
    return entries


def again(kept: Collection) -> Collection:
    return Collection(kept.folder)


def digest(name: str) -> str:
    return hashlib.sha256(GOOD[name]).hexdigest()


def never(*_: object) -> None:
    pytest.fail("a file was looked into that the index knows")


# The index


def test_entries_say_what_is_known(kept: Collection) -> None:
    (entry,) = add(kept, "v6_serials.elf")
    assert entry.as_data() == {
        "file": f"{digest('v6_serials.elf')}.elf",
        "name": "v6_serials.elf",
        "origin": "rom.zip/v6_serials.elf",
        "size": len(GOOD["v6_serials.elf"]),
        "sha256": digest("v6_serials.elf"),
        "form": "ELF",
        "header_version": 6,
        "generation": "C",
        "build": "BOOT.TEST",
        "build_date": None,
        "signed_by": "EDL Public Test EC Root CA",
        "signature": "ECDSA P-384, SHA-384",
        "root_hashes": [
            hashlib.new(name, VENDOR_EC.root_bytes).hexdigest() for name in ("sha384", "sha256")
        ],
        "binding": {
            "sw_id": 3,
            "rollback": 0,
            "msm_id": "00000000",
            "oem_id": "0017",
            "model_id": "0002",
            "soc_versions": ["6003"],
            "by_soc": True,
            "msm_bound": True,
            "oem_bound": True,
            "model_bound": True,
            "serial_bound": True,
            "serials": ["1e76093a"],
            "debug": "1",
            "debug_on": False,
        },
        "storage": ["emmc", "nand", "spinor", "ufs"],
        "locks": [],
        "problems": [],
    }


@pytest.mark.parametrize("name", [*GOOD])
def test_entries_survive_the_index(name: str, kept: Collection) -> None:
    (entry,) = add(kept, name)
    assert from_data(json.loads(json.dumps(entry.as_data()))) == entry
    assert again(kept).entries == (entry,)
    assert kept.path(entry).read_bytes() == GOOD[name]


def test_locks_and_dates(kept: Collection) -> None:
    words = ("nop and sig tag", "Mar  9 2021", "Binary build date: %s")
    data = elf_image(Recipe(), programmer("C", "BOOT.TEST", extra=words, size=0x2000))
    entry, _ = kept.add(read_image(data), data, "locked.weird", "")
    assert entry.build_date == "2021-03-09"
    assert entry.locks == ("Xiaomi: it works only after Xiaomi has authorised it",)
    assert entry.file.endswith(".elf")
    unsigned = GOOD["v3_unsigned.mbn"]
    entry, _ = kept.add(read_image(unsigned), unsigned, "u.MBN", "")
    assert (entry.signed_by, entry.signature, entry.hwid) == (None, None, None)
    assert entry.file.endswith(".mbn")


def broken_rows() -> list[tuple[str, Any]]:
    return [
        ("file", 5), ("name", None), ("size", "1"), ("modified_ns", "x"), ("header_version", []),
        ("generation", 1), ("storage", "emmc"), ("locks", [1]), ("root_hashes", ["zz"]),
        ("binding", 5), ("binding", {}), ("binding", {"sw_id": 3, "rollback": 0, "msm_id": "x"}),
    ]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), broken_rows())
def test_damaged_entries_are_none(field: str, value: object, kept: Collection) -> None:
    (entry,) = add(kept, "v3.mbn")
    with pytest.raises(ValueError, match=r"."):
        from_data({**entry.as_data(), field: value})
    with pytest.raises(ValueError, match="no table"):
        from_data([])


def test_damaged_bindings_are_none(kept: Collection) -> None:
    (entry,) = add(kept, "v3.mbn")
    data = entry.as_data()
    with pytest.raises(ValueError, match="neither true nor false"):
        from_data({**data, "binding": {**data["binding"], "by_soc": "yes"}})


def test_index_saves_looking_into_files(kept: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = add(kept, "v3.mbn", "v6_ecdsa.elf")
    by_hand = kept.folder / "sub" / "mine.bin"
    by_hand.parent.mkdir()
    by_hand.write_bytes(GOOD["sbl80.mbn"])
    (kept.folder / "not_one.elf").write_bytes(b"\x7fELF" + bytes(5000))
    (kept.folder / "aboot.mbn").write_bytes(GOOD["v3_aboot.mbn"])
    (kept.folder / "text.txt").write_bytes(b"x" * 5000)
    (kept.folder / ".half_written").write_bytes(GOOD["streaming.mbn"])
    found = {entry.file: entry for entry in again(kept).entries}
    assert found.keys() == {*(entry.file for entry in entries), "sub/mine.bin"}
    assert (found["sub/mine.bin"].name, found["sub/mine.bin"].origin) == ("mine.bin", "")
    monkeypatch.setattr("edl.collection.store.read_image", never)
    (kept.folder / "not_one.elf").unlink()
    (kept.folder / "aboot.mbn").unlink()
    assert {entry.file for entry in again(kept).entries} == found.keys()


def test_files_are_the_truth(kept: Collection) -> None:
    gone, stays = add(kept, "v3.mbn", "v6_ecdsa.elf")
    by_hand = kept.folder / "mine.elf"
    by_hand.write_bytes(GOOD["v3_pss.mbn"])
    assert {e.name for e in again(kept).entries} == {"v3.mbn", "v6_ecdsa.elf", "mine.elf"}
    kept.path(gone).unlink()
    by_hand.write_bytes(GOOD["v3_rollback_5.mbn"])
    names = {entry.sha256: entry.name for entry in again(kept).entries}
    assert names == {stays.sha256: "v6_ecdsa.elf", digest("v3_rollback_5.mbn"): "mine.elf"}


@pytest.mark.parametrize(
    "index", [b"", b"{", b"[]", b"[" * 100_000, b'{"version": 2}', b'{"version": 1, "loaders": 5}',
              b'{"version": 1, "loaders": [5, {}]}', b"\xff\xfe"],
)  # fmt: skip
def test_a_lost_index_costs_names_only(index: bytes, kept: Collection) -> None:
    (entry,) = add(kept, "v3.mbn")
    (kept.folder / INDEX).write_bytes(index)
    (found,) = again(kept).entries
    assert (found.sha256, found.root_hashes) == (entry.sha256, entry.root_hashes)
    assert (found.name, found.origin) == (entry.file, "")
    assert json.loads((kept.folder / INDEX).read_bytes())["version"] == 1


def test_two_runs_at_once(kept: Collection) -> None:
    other = again(kept)
    assert kept.entries == other.entries == ()
    add(kept, "v3.mbn")
    add(other, "v6_ecdsa.elf")
    assert {entry.name for entry in again(kept).entries} == {"v3.mbn", "v6_ecdsa.elf"}


def test_an_index_elsewhere(tmp_path: Path) -> None:
    folder, index = tmp_path / "theirs", tmp_path / "mine" / "cache.json"
    folder.mkdir()
    (folder / "a.mbn").write_bytes(GOOD["v3.mbn"])
    assert len(Collection(folder, index).entries) == 1
    assert index.is_file()
    assert [path.name for path in folder.iterdir()] == ["a.mbn"]


def test_what_cannot_be_written(kept: Collection, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    impossible = Collection(tmp_path / "file" / "kept")
    with pytest.raises(EdlError, match="cannot be written"):
        add(impossible, "v3.mbn")
    kept.folder.mkdir()
    (kept.folder / "a.mbn").write_bytes(GOOD["v3.mbn"])
    (kept.folder / INDEX).mkdir()  # the index cannot be written, and is not needed
    assert len(again(kept).entries) == 1
    with pytest.raises(EdlError, match="cannot be written"):
        kept.save()
    assert sorted(path.name for path in kept.folder.iterdir()) == ["a.mbn", INDEX]


def test_a_file_that_goes_while_it_is_looked_at(
    kept: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = add(kept, "v3.mbn")
    absent = kept.folder / "absent.mbn"
    monkeypatch.setattr(loaders, "files", lambda *_: [kept.path(entry), absent])
    assert again(kept).entries == (entry,)
    add(again(kept), "v3.mbn")
    kept.path(entry).unlink()
    assert again(kept).entries == ()


def test_a_loader_that_was_removed_is_new_again(kept: Collection) -> None:
    (entry,) = add(kept, "v3.mbn")
    assert not kept.add(read_image(GOOD["v3.mbn"]), GOOD["v3.mbn"], "again", "")[1]
    kept.remove(entry.sha256)
    assert kept.add(read_image(GOOD["v3.mbn"]), GOOD["v3.mbn"], "again", "")[1]


# Finding, removing, choosing


def test_find_and_remove(kept: Collection) -> None:
    first, second = add(kept, "v3.mbn", "v6_ecdsa.elf")
    (kept.folder / "copy.mbn").write_bytes(GOOD["v3.mbn"])
    fresh = again(kept)
    assert fresh.find(first.sha256[:10].upper()).sha256 == first.sha256
    with pytest.raises(UsageError, match="too short"):
        fresh.find("123")
    with pytest.raises(UsageError, match="No loader whose digest begins with '0000'"):
        fresh.find("0000")
    assert fresh.remove(first.sha256[:8]).sha256 == first.sha256
    assert [path.name for path in sorted(kept.folder.iterdir())] == [second.file, INDEX]
    assert again(kept).entries == (second,)


def test_a_digest_that_is_not_clear(kept: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    add(kept, "v3.mbn", "v6_ecdsa.elf")
    monkeypatch.setattr("edl.collection.store._MIN_HASH_DIGITS", 0)
    with pytest.raises(UsageError, match="2 loaders have digests that begin with ''"):
        kept.find("")


def test_a_file_that_cannot_be_deleted(kept: Collection) -> None:
    (entry,) = add(kept, "v3.mbn")
    kept.path(entry).unlink()
    kept.path(entry).mkdir()
    with pytest.raises(EdlError, match="cannot be deleted"):
        kept.remove(entry.sha256)


def names_for(kept: Collection, phone: PhoneIdentity) -> set[str]:
    return set(kept.candidates(phone).values())


def test_candidates(kept: Collection) -> None:
    add(kept, "v3.mbn", "v3_other_vendor.mbn", "v3_unsigned.mbn", "v5_msm.elf", "v6_ecdsa.elf")
    assert names_for(kept, PHONE) == {"v3.mbn"}
    # the key is right, the model is not: they tell why nothing fits
    model = PhoneIdentity(hwid=MSM8916 | 5, pk_hash=SHA256)
    assert names_for(kept, model) == {"v3.mbn", "v5_msm.elf"}
    unfused = PhoneIdentity(hwid=MSM8916, pk_hash=bytes(32))
    assert names_for(kept, unfused) == {"v3.mbn", "v3_other_vendor.mbn"}
    assert names_for(kept, PhoneIdentity(hwid=MSM8916)) == {"v3.mbn", "v3_other_vendor.mbn"}
    assert names_for(kept, PhoneIdentity(soc_version=0x6003_0000)) == {"v6_ecdsa.elf"}
    assert names_for(kept, PhoneIdentity(hwid=SM8150, pk_hash=b"\x01" * 32)) == set()
    assert names_for(kept, PhoneIdentity()) == set()


# Gathering


@pytest.fixture
def take(kept: Collection, tmp_path: Path) -> Callable[..., dict[str, Outcome]]:
    """Return a function that gathers paths; outcomes by their place below tmp_path."""

    def taken(*names: str) -> dict[str, Outcome]:
        outcomes = list(gather(kept, [tmp_path / name for name in names]))
        kept.save()
        return {str(Path(o.where).relative_to(tmp_path)): o for o in outcomes}

    return taken


Take = Callable[..., dict[str, Outcome]]


def fates(outcomes: dict[str, Outcome]) -> dict[str, Fate]:
    return {where: outcome.fate for where, outcome in outcomes.items()}


def test_files_by_name(take: Take, tmp_path: Path, kept: Collection) -> None:
    files = {
        "good": GOOD["v3.mbn"],
        "same": GOOD["v3.mbn"],
        "aboot": GOOD["v3_aboot.mbn"],
        "old": GOOD["streaming.mbn"],
        "page": b"<!DOCTYPE html>" + b" " * 5000,
        "cut": BAD["bad_truncated.mbn"],
        "changed": BAD["bad_segment.mbn"],
        "rar": b"Rar!\x1a\x07\x01\x00" + bytes(5000),
        "small": b"\x7fELF",
        "set": b"070701" + b"0" * 200,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    got = take(*files, "absent")
    assert {where: (o.fate.value, o.reason) for where, o in got.items()} == {
        "good": ("taken", ""),
        "same": ("known already", "It is there as good."),
        "aboot": ("not taken", "It is signed as Android boot loader (ABL), not as a programmer."),
        "old": ("taken", ""),
        "page": (
            "not taken",
            "This is no boot image but a web page: the download went wrong.",
        ),
        "cut": (
            "not taken",
            "It is damaged: The file is cut off: a segment reaches beyond its end.",
        ),
        "changed": ("taken", "Segments that differ from their hash: 2."),
        "rar": ("not taken", "It is an archive of the kind RAR: unpack it first."),
        "small": ("not taken", "The image does not begin with an ELF header."),
        "set": (
            "not taken",
            "It is a set of several images, not one loader: name it with --loader.",
        ),
        "absent": ("not taken", "It cannot be read: No such file or directory."),
    }
    assert [entry.name for entry in again(kept).entries] == ["changed", "good", "old"]
    assert fates(take("good")) == {"good": Fate.KNOWN}


def test_folders(take: Take, tmp_path: Path, kept: Collection) -> None:
    rom = tmp_path / "rom"
    (rom / "images").mkdir(parents=True)
    (rom / "images" / "any.bin").write_bytes(GOOD["v3.mbn"])
    (rom / "images" / "xbl.elf").write_bytes(GOOD["v3_aboot.mbn"])
    (rom / "images" / "prog_firehose.mbn").write_bytes(b"an error page")
    (rom / "images" / "cut.bin").write_bytes(BAD["bad_truncated.mbn"])
    (rom / "boot.img.gz").write_bytes(gzip.compress(b"ANDROID!" + bytes(9000)))
    (rom / "inner.zip").write_bytes(zip_of({"a.elf": GOOD["v6_ecdsa.elf"]}))
    (rom / "half.zip").write_bytes(zip_of({"a.elf": GOOD["v6_ecdsa.elf"]})[:-30])
    (rom / "link").symlink_to(rom / "images" / "any.bin")
    assert fates(take("rom")) == {
        "rom/images/any.bin": Fate.TAKEN,
        "rom/images/xbl.elf": Fate.PASSED_OVER,
        "rom/images/prog_firehose.mbn": Fate.REFUSED,
        "rom/images/cut.bin": Fate.REFUSED,
        "rom/boot.img.gz/boot.img": Fate.PASSED_OVER,
        "rom/inner.zip/a.elf": Fate.TAKEN,
        "rom/half.zip": Fate.REFUSED,
    }
    # its own folder is not looked into, and an empty one is told
    (tmp_path / "empty").mkdir()
    assert fates(take("kept", "empty")) == {"kept": Fate.REFUSED, "empty": Fate.REFUSED}
    assert len(kept.entries) == 2


def test_what_is_too_large_for_a_loader_is_not_unpacked(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MAX_IMAGE_BYTES", 30_000)
    huge = GOOD["v3.mbn"] + bytes(30_000)
    files = {"system.img": huge, "prog_firehose.elf": huge, "prog.elf": GOOD["v3_pss.mbn"]}
    (tmp_path / "rom.zip").write_bytes(zip_of(files))
    got = take("rom.zip")
    assert fates(got) == {
        "rom.zip/system.img": Fate.PASSED_OVER,
        "rom.zip/prog_firehose.elf": Fate.REFUSED,
        "rom.zip/prog.elf": Fate.TAKEN,
    }
    assert got["rom.zip/prog_firehose.elf"].reason == (
        f"{len(huge)} bytes are too many for a loader."
    )


def test_archives(take: Take, tmp_path: Path, kept: Collection) -> None:
    inner = single_of({"programmer.mbn": GOOD["v3.mbn"], "index.xml": b"<x/>"})
    rom = zip_of({"blankflash/singleimage.bin": inner, "readme.txt": b"x"})
    (tmp_path / "rom.zip").write_bytes(rom)
    files = {"i/p.melf": GOOD["v7_multi.elf"], "i/abl.elf": GOOD["v3_aboot.mbn"]}
    (tmp_path / "rom.tgz").write_bytes(gzip.compress(tar_of(files)))
    (tmp_path / "prog.elf.gz").write_bytes(gzip.compress(GOOD["v6_ecdsa.elf"]))
    (tmp_path / "none.zip").write_bytes(zip_of({"a": b"1"}))
    got = take("rom.zip", "rom.tgz", "prog.elf.gz", "none.zip")
    assert fates(got) == {
        "rom.zip/blankflash/singleimage.bin/programmer.mbn": Fate.TAKEN,
        "rom.zip/blankflash/singleimage.bin/index.xml": Fate.PASSED_OVER,
        "rom.zip/readme.txt": Fate.PASSED_OVER,
        "rom.tgz/i/p.melf": Fate.TAKEN,
        "rom.tgz/i/abl.elf": Fate.PASSED_OVER,
        "prog.elf.gz/prog.elf": Fate.TAKEN,
        "none.zip/a": Fate.PASSED_OVER,
        "none.zip": Fate.REFUSED,
    }
    entry = got["rom.tgz/i/p.melf"].entry
    assert entry is not None
    assert (entry.name, entry.file) == ("p.melf", f"{entry.sha256}.melf")
    assert entry.origin == f"{tmp_path}/rom.tgz/i/p.melf"
    assert not list(kept.folder.glob("*.xml"))


def test_archives_that_are_broken(take: Take, tmp_path: Path) -> None:
    secret = bytearray(zip_of({"a.elf": GOOD["v3.mbn"], "b.elf": GOOD["v3.mbn"]}, 0))
    for place in (secret.index(b"PK\x01\x02"), secret.rindex(b"PK\x01\x02")):
        secret[place + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(secret)
    wrong_sum = zip_of({"a.elf": GOOD["v3.mbn"]}, 0).replace(GOOD["v3.mbn"][-90:], bytes(90))
    (tmp_path / "sum.zip").write_bytes(wrong_sum)
    noise = random.Random(1).randbytes(9000)
    half = gzip.compress(tar_of({"a.elf": GOOD["v3.mbn"], "noise": noise}))
    (tmp_path / "half.tgz").write_bytes(half[:-2000])
    got = take("secret.zip", "sum.zip", "half.tgz")
    assert fates(got) == {
        "secret.zip/a.elf": Fate.REFUSED,
        "secret.zip/b.elf": Fate.PASSED_OVER,  # the same reason is told once
        "secret.zip": Fate.REFUSED,
        "sum.zip/a.elf": Fate.REFUSED,
        "sum.zip": Fate.REFUSED,
        "half.tgz/a.elf": Fate.TAKEN,
        "half.tgz/noise": Fate.PASSED_OVER,
        "half.tgz": Fate.REFUSED,
    }
    assert "password" in got["secret.zip/a.elf"].reason
    assert "damaged" in got["sum.zip/a.elf"].reason


def test_a_folder_that_is_too_large(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / "many" / name).mkdir(parents=True)
        (tmp_path / "many" / name / "x").write_bytes(b"x")
    monkeypatch.setattr(gathering, "_MAX_FILES", 4)
    assert len(take("many")) == 1
