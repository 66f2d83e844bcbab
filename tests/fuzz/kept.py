# SPDX-License-Identifier: BSD-3-Clause
"""What this program itself has written, and others may have changed: backups, journals, indexes."""

from __future__ import annotations

import contextlib
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from edl.backup import find
from edl.backup.folder import absent, open_backup, read_manifest
from edl.backup.image import disk_image
from edl.backup.progress import Done
from edl.boot import remembered
from edl.cli import defaults, seen
from edl.collection.entry import from_data
from edl.collection.store import Collection
from edl.device.phone import Phone
from edl.errors import DocumentError, ImageError, UsageError
from edl.formats import manifest
from edl.identity import PhoneIdentity
from edl.packages.keys import read_keys
from edl.packages.model import Choices
from edl.plan import foreign, journal, own, unique
from edl.plan.history import Record
from edl.plan.home import phone_folder, recall
from edl.virtual.layout import FILE_NAME as LAYOUT_NAME
from edl.virtual.layout import Layout
from edl.virtual.saved import FILE_NAME, Saved
from tests.dumps import table
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    at_home,
    drain,
    folder_of,
    look_at,
    path_of,
    require,
)
from tests.packages import opluses
from tests.unit.test_manifest import DIGEST, document

_SERIAL = "1a2b3c4d"


def _journal(data: bytes) -> None:
    path = path_of(data, "rawprogram-1.jsonl")
    kept = journal.read(path)
    require(0 <= kept.good_bytes <= len(data), "more than there is")
    if kept.flight is not None:
        require(kept.flight.sent_bytes >= 0, "fewer than no bytes were sent")
    record = Record(_SERIAL, path, kept)
    look_at(record)
    for area in kept.done:
        require(area.size_bytes >= 0, "an area of less than nothing")


def _sealed_journal(data: bytes) -> bytes:
    """Return data with the right checksum in front of each line."""
    sealed, crc = bytearray(), 0
    for line in data.splitlines(keepends=True):
        text = line[9:].rstrip(b"\n")
        whole = b"%08x %b\n" % (zlib.crc32(text, crc), text)
        crc = zlib.crc32(whole, crc)
        sealed += whole
    return bytes(sealed)


def _journals() -> Iterator[bytes]:
    rows: list[dict[str, object]] = [
        {"version": journal._VERSION, "job": "ab" * 32,
         "about": {"title": "x", "areas": [[0, 8, 8, 512]], "command": ["rawprogram", "x"]}},
        {"session": {"place": "1-4", "boot": "x"}},
        {"begin": [0, 8, 8, 512], "label": "boot", "payload": 4096},
        {"sent": 512},
        {"area": [0, 8, 8, 512], "sha256": DIGEST},
        {"erase": [0, 100, 8, 512], "label": "x"},
        {"end": "done"},
    ]  # fmt: skip
    for count in (len(rows), 4):
        lines = b"".join(b"00000000 " + json.dumps(row).encode() + b"\n" for row in rows[:count])
        yield _sealed_journal(lines)


def _manifest(data: bytes) -> None:
    found = manifest.parse(data)
    look_at(found)
    require(manifest.parse(found.text().encode()) == found, "another manifest than was written")
    for lun in found.luns:
        for extent in lun.extents:
            absent(extent)
            require(extent.file is None or Path(extent.file).name == extent.file, "another folder")


def _backup(data: bytes) -> None:
    """A backup whose manifest lies about files that are there."""
    folder = folder_of("backup")
    (folder / "manifest.json").write_bytes(data)
    (folder / "lun0.img").write_bytes(_LUN)
    read_manifest(folder / "manifest.json")
    backup = open_backup(folder)
    look_at(backup.size_bytes)
    image = disk_image(backup)
    look_at(list(image.partitions()))
    for _, extent in backup.extents():
        if extent.sectors * backup.manifest.storage.sector_bytes <= MOST_READ_BYTES:
            drain(backup.content(extent))
            require(len(list(backup.blocks(extent))) <= 10_000, "blocks without end")
    if backup.size_bytes <= MOST_READ_BYTES:
        backup.verify()


def _made_lun() -> tuple[bytes, bytes]:
    """Return 64 KiB with a partition table, and a manifest of a backup that holds them."""
    images = table(128, {"boot": 1, "misc": 0}).images()
    data = images.primary.ljust(images.backup_sector * 512, b"\0") + images.backup
    rows = [
        ("gpt-primary", "gpt", 0, 34), ("gap", "gap", 34, 6), ("partition", "boot", 40, 2),
        ("partition", "misc", 42, 53), ("gpt-backup", "backup gpt", 95, 33),
    ]  # fmt: skip
    made = json.loads(document())
    made["compression"] = "none"
    made["luns"][0]["sectors"] = 128
    made["luns"][0]["extents"] = [
        {
            "kind": kind, "name": name, "start_sector": start, "sectors": count, "attributes": 0,
            "type_guid": None, "guid": None, "class": "safe", "category": "", "state": "saved",
            "file": "lun0.img", "file_offset_bytes": start * 512, "sha256": [DIGEST], "bad": [],
        }
        for kind, name, start, count in rows
    ]  # fmt: skip
    return data, json.dumps(made).encode()


_LUN, _LUN_MANIFEST = _made_lun()


def _progress(data: bytes) -> None:
    for line in data.splitlines()[:200]:
        try:
            done = Done.parse(line)
        except (ValueError, TypeError, RecursionError):
            continue
        look_at(done)
        require(Done.parse(done.text().encode()) == done, "another line than was written")


def _found(data: bytes) -> None:
    """The index of backups, and what jobs have saved, in the user's folder."""

    with at_home():
        folder = phone_folder(_SERIAL)
        (folder / "saved-1").mkdir(parents=True)
        (folder / "backups.jsonl").write_bytes(data)
        (folder / "saved-1" / "manifest.json").write_bytes(data)
        (folder / "identity.json").write_bytes(data)
        look_at(find.find(), find.find(_SERIAL), recall(_SERIAL))
        unique._digests(folder / "saved-1")
        phone = cast("Phone", SimpleNamespace(serial=_SERIAL, identity=_PHONE))
        require(all(len(row) == 2 for row in foreign._saved(phone)), "no pairs")


def _found_seeds() -> Iterator[bytes]:
    yield b'{"path": "/nowhere/a", "made": "2026-01-31T12:00:00Z"}\n' * 2
    yield _saved_manifest()
    yield b'{"hwid": 5, "pk_hash": "abcd", "sahara_version": 2, "soc_version": null}'


def _saved_manifest() -> bytes:
    files = {
        name: {"sha256": DIGEST, "bytes": 512}
        for name in ("lun0-gpt-primary.bin", "lun0-gpt-backup.bin", "lun0-modemst1.bin")
    }
    return json.dumps({
        "version": 1, "made": "2026-01-31T12:00:00Z", "serial": _SERIAL, "hwid": "0x5",
        "pk_hash": DIGEST, "memory": "emmc", "sector_bytes": 512, "files": files,
    }).encode()  # fmt: skip


def _saved(data: bytes) -> None:
    """What a job has saved before it wrote, as another job reads it."""
    folder = folder_of("saved-1")
    (folder / "manifest.json").write_bytes(data)
    (folder / "lun0-gpt-primary.bin").write_bytes(_LUN[: 34 * 512])
    (folder / "lun0-gpt-backup.bin").write_bytes(_LUN[95 * 512 :])
    (folder / "lun0-modemst1.bin").write_bytes(bytes(512))
    if own.is_saved(folder):
        look_at(own.saved_dump(folder))


_PHONE = PhoneIdentity(serial=1, hwid=0x009600E100000000, pk_hash=bytes(32))


def _loaders(data: bytes) -> None:
    """The index of the user's loaders."""
    folder = folder_of("loaders")
    (folder / "index.json").write_bytes(data)
    (folder / "a.elf").write_bytes(b"\x7fELF")
    collection = Collection(folder, folder / "index.json")
    look_at(collection.entries, collection.candidates(_PHONE))
    collection.save()
    with contextlib.suppress(UsageError):
        collection.find("0123456789abcdef")
    try:
        rows = json.loads(data)["loaders"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    for row in rows if isinstance(rows, list) else ():
        try:
            entry = from_data(row)
        except ValueError:
            continue
        require(from_data(json.loads(json.dumps(entry.as_data()))) == entry, "another entry")
        entry.may_fit(_PHONE)


def _loader_seeds() -> Iterator[bytes]:
    binding = {
        "sw_id": 3, "rollback": 0, "msm_id": "009600e1", "oem_id": "0000", "model_id": "0000",
        "soc_versions": ["3006"], "by_soc": False, "msm_bound": True, "oem_bound": True,
        "model_bound": True, "serial_bound": False, "serials": ["00000001"], "debug": None,
        "debug_on": False,
    }  # fmt: skip
    row = {
        "file": "a.elf", "name": "a", "origin": "x.zip", "sha256": DIGEST, "size": 4,
        "modified_ns": None, "form": "ELF", "header_version": 3, "generation": "A", "build": "B",
        "build_date": None, "signed_by": "test", "signature": "RSA", "storage": ["emmc"],
        "locks": [], "root_hashes": [DIGEST], "problems": [], "binding": binding,
    }  # fmt: skip
    yield json.dumps({"version": 1, "loaders": [row, row | {"binding": None}]}).encode()


def _keys(data: bytes) -> None:
    found = read_keys(Choices(options={"keys": str(path_of(data, "keys.toml"))}))
    look_at(found)
    sizes = {len(key.iv) for key in found.ops} | {len(key.iv) for key in found.ofp}
    require(sizes <= {16}, "a key of another length")


def _config(data: bytes) -> None:
    """The user's config file, and the partition names that are kept for the Tab key."""
    with at_home() as home:
        (home / defaults.NAME).write_bytes(data)
        folder = phone_folder(_SERIAL)
        folder.mkdir(parents=True)
        (folder / "partitions.json").write_bytes(data)
        require(all(map(str.isprintable, seen.partitions(_SERIAL))), "a name for no terminal")
        file = defaults.read()
        look_at(file.values)
        defaults.for_commands(file)


def _configs() -> Iterator[bytes]:
    yield (
        b'# mine\nloader = "a.elf"\nloaders = ["x", "y"]\nmemory = "ufs"\nwait = 5\nquiet = true\n'
        b'verbose = 1\n[backup]\nfolder = "~/b"\nform = "images"\ncompress = false\n'
    )
    yield b'verify = "auto"\ncolor = "never"\nmax-payload = "8KiB"\n'


def _phone(data: bytes) -> None:
    """A virtual phone in a folder."""
    folder = folder_of("phone")
    (folder / FILE_NAME).write_bytes(data)
    saved = Saved.read(folder)
    look_at(saved.faults)
    saved.write(folder)
    require(Saved.read(folder).faults == saved.faults, "other faults than were written")


def _layout(data: bytes) -> None:
    """How the UFS device of such a phone was divided."""
    folder = folder_of("divided")
    (folder / LAYOUT_NAME).write_bytes(data)
    layout = Layout.read(folder)
    assert layout is not None
    require(bool(layout.sizes) and all(layout.sizes.values()), "a LUN of nothing")
    layout.write(folder)
    require(Layout.read(folder) == layout, "another layout than was written")


def _phones() -> Iterator[bytes]:
    base = {
        "format": 1, "phone": "msm8953", "state": "boot ROM", "hello_taken": False, "faults": [],
        "counts": {}, "bootable": None, "condition": "",
    }  # fmt: skip
    with io.StringIO() as out:
        json.dump(base, out)
        yield out.getvalue().encode()


_WORDS = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'"../x"', b'"\\u0000"', b'"\\ud800"',
    b"1.5", b"[[", b"99999999999999999999", b'"sha256"', b'"file"', b'"sectors"', b'"start_sector"',
)  # fmt: skip


def _rollback(data: bytes) -> None:
    with at_home():
        folder = phone_folder(_SERIAL)
        folder.mkdir(parents=True)
        (folder / "rollback.json").write_bytes(data)
        earlier = remembered.recall(_SERIAL)
    for versions in (earlier.rollback, earlier.verified):
        require(all(number >= 0 for number in versions.values()), "a version below 0")


TARGETS = (
    Target("rollback", ("edl.boot.remembered",), _rollback,
           lambda: [b'{"v": 1, "rollback": {"xbl": 3}, "verified": {"vbmeta": 1700000000}}'],
           (), _WORDS),
    Target("journal", ("edl.plan.journal", "edl.plan.history"), _journal, _journals, (), _WORDS,
           sealed=_sealed_journal),
    Target("manifest", ("edl.formats.manifest",), _manifest,
           lambda: [document(), _LUN_MANIFEST], words=_WORDS),
    Target("backup", ("edl.backup.folder", "edl.backup.image"), _backup, lambda: [_LUN_MANIFEST],
           (ImageError,), _WORDS),
    Target("backup-progress", ("edl.backup.progress",), _progress,
           lambda: [Done(0, 8, 8, 4096, 4096, bytes(32)).text().encode()], (), _WORDS),
    Target("backups",
           ("edl.backup.find", "edl.plan.home", "edl.plan.foreign", "edl.plan.unique"),
           _found, _found_seeds, (), _WORDS),
    Target("saved-parts", ("edl.plan.own",), _saved, lambda: [_saved_manifest()], (ImageError,),
           _WORDS),
    Target("loader-index", ("edl.collection.store", "edl.collection.entry"), _loaders,
           _loader_seeds, (), _WORDS),
    Target("keys", ("edl.packages.keys",), _keys, lambda: [opluses.KEYS.encode()],
           (DocumentError,), (b"[[ofp]]", b"[[lenovo]]", b'word = "x"', b"mbox", b"iv = ", b'"""')),
    Target("config", ("edl.cli.defaults", "edl.cli.seen"), _config, _configs, (UsageError,),
           (b"[backup]", b'"""', b" = ", b"[[", b"true", b'"partitions": ["a"]')),
    Target("virtual-layout", ("edl.virtual.layout",), _layout,
           lambda: [b'{"sizes": {"0": 1048576, "1": 4194304}, "boot_ids": {"1": 1}, "boots": 1}'],
           (ImageError,), (*_WORDS, b'"locked"', b'"0":')),
    Target("virtual-phone", ("edl.virtual.saved",), _phone, _phones, (ImageError,), _WORDS),
)  # fmt: skip
