# SPDX-License-Identifier: BSD-3-Clause
"""A folder of loaders with an index.

The files are the truth and the index is what was found in them: entries whose file is gone or has
changed are dropped, files that it does not list are looked into. So loaders may also be copied into
the folder by hand, and an index that was lost costs nothing but the names and origins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edl import loaders
from edl.collection import entry as entries
from edl.collection.entry import Entry
from edl.errors import EdlError, ImageError, UsageError
from edl.formats.mbn import MAX_IMAGE_BYTES, Image, read_image
from edl.home import private_folder
from edl.identity import PhoneIdentity

INDEX = "index.json"

_VERSION = 1
_MAX_INDEX_BYTES = 64 * 1024 * 1024
_MAX_FILES = 20_000
_MAX_DEPTH = 4
_MIN_HASH_DIGITS = 4
_MOST_TOLD = 5
_SUFFIXES = {".mbn", ".elf", ".melf", ".bin", ".hex"}


class Collection:
    """The loaders in a folder. index: where the index is, by default in the folder itself."""

    def __init__(self, folder: Path, index: Path | None = None) -> None:
        self.folder = folder
        self._index = index or folder / INDEX
        self._entries: dict[str, Entry] | None = None
        self._by_digest: dict[str, Entry] = {}

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All loaders, in order of their names; looks into files that the index does not list."""
        return tuple(sorted(self._load().values(), key=lambda entry: (entry.name, entry.sha256)))

    def path(self, entry: Entry) -> Path:
        """Return where the file of entry is."""
        return self.folder / entry.file

    def candidates(self, phone: PhoneIdentity) -> dict[Path, str]:
        """Return the loaders that are worth a closer look for phone: their paths and names.

        If none seems to fit, some with the phone's key are: they tell why.
        """
        chosen = [entry for entry in self.entries if entry.may_fit(phone)]
        if not chosen:
            chosen = [entry for entry in self.entries if entry.has_key_of(phone)][:_MOST_TOLD]
        return {self.path(entry): entry.name for entry in chosen}

    def add(self, image: Image, data: bytes, name: str, origin: str) -> tuple[Entry, bool]:
        """Keep a programmer; return what is known of it, and whether it is new.

        `save` must follow, once for many. image: what `read_image` found in data. name, origin: for
        people.

        Raises:
            EdlError: it cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._load()
        if sha256 in self._by_digest:
            return self._by_digest[sha256], False
        suffix = Path(name).suffix.lower()
        file = sha256 + (suffix if suffix in _SUFFIXES else ".elf")
        self._write(self.folder / file, data)
        entry = entries.of_image(image, sha256, file=file, name=name, origin=origin)
        known[file] = self._by_digest[sha256] = entry
        return entry, True

    def find(self, digits: str) -> Entry:
        """Return the loader whose SHA-256 begins with digits.

        Raises:
            UsageError: there is none, or more than one.
        """
        found = [e for e in self.entries if e.sha256.startswith(digits.lower())]
        if len(digits) < _MIN_HASH_DIGITS:
            message = f"'{digits}' is too short: {_MIN_HASH_DIGITS} digits are the least."
        elif not found:
            message = f"No loader whose digest begins with '{digits}' is kept."
        elif len({entry.sha256 for entry in found}) > 1:
            message = f"{len(found)} loaders have digests that begin with '{digits}'."
        else:
            return found[0]
        raise UsageError(message, remedies=("See the digests with 'edl loaders list'.",))

    def remove(self, digits: str) -> Entry:
        """Delete the loader whose SHA-256 begins with digits, and write the index.

        Raises:
            UsageError: there is none, or more than one.
            EdlError: it cannot be deleted.
        """
        gone = self.find(digits)
        for entry in self.entries:
            if entry.sha256 == gone.sha256:
                try:
                    self.path(entry).unlink(missing_ok=True)
                except OSError as error:
                    raise EdlError(
                        f"{self.path(entry)} cannot be deleted: {error.strerror}."
                    ) from error
                del self._load()[entry.file]
        self._by_digest.pop(gone.sha256, None)
        self.save()
        return gone

    # -- the index ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the index; what another run has added meanwhile stays in it.

        Raises:
            EdlError: it cannot be written.
        """
        known = self._load()
        others = {e.file: e for e in self._read_index() if (self.folder / e.file).is_file()}
        kept = {**others, **known}
        rows = [json.dumps(kept[file].as_data()) for file in sorted(kept)]
        text = f'{{"version": {_VERSION}, "loaders": [\n' + ",\n".join(rows) + "\n]}\n"
        self._write(self._index, text.encode())

    def _load(self) -> dict[str, Entry]:
        if self._entries is None:
            listed = {entry.file: entry for entry in self._read_index()}
            self._entries = {}
            fresh = False
            for path in loaders.files(self.folder, _MAX_FILES, _MAX_DEPTH):
                if path.name.startswith("."):  # one that is being written
                    continue
                file = path.relative_to(self.folder).as_posix()
                entry = listed.get(file)
                if entry is None or not _is_current(entry, path):
                    entry = _look_into(path, file)
                    fresh = fresh or entry is not None
                if entry is not None:
                    self._entries[file] = self._by_digest[entry.sha256] = entry
            if fresh:
                with contextlib.suppress(EdlError):  # next time it takes as long, that is all
                    self.save()
        return self._entries

    def _read_index(self) -> Iterator[Entry]:
        """Yield the entries of the index as far as they can be read."""
        try:
            with self._index.open("rb") as file:
                data = json.loads(file.read(_MAX_INDEX_BYTES))
            rows = data["loaders"] if data["version"] == _VERSION else []
            rows = list(rows)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return
        for row in rows:
            with contextlib.suppress(ValueError):
                yield entries.from_data(row)

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file as a whole or not at all."""
        try:
            private_folder(path.parent)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                try:
                    file.write(data)
                    file.close()
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise EdlError(
                f"{path} cannot be written: {error.strerror}.",
                remedies=(
                    "Make room on the disk, or set EDL_HOME to a folder that you may write to.",
                ),
            ) from error


def _is_current(entry: Entry, path: Path) -> bool:
    """Return whether the file at path is still the one that entry describes."""
    try:
        now = path.stat()
    except OSError:
        return False
    unchanged = path.stem == entry.sha256 or now.st_mtime_ns == entry.modified_ns
    return now.st_size == entry.size_bytes and unchanged


def _look_into(path: Path, file: str) -> Entry | None:
    """Return the entry for a file that the index does not list; None if it is no programmer."""
    try:
        with path.open("rb") as opened:
            if not loaders.looks_like_programmer(opened.read(loaders.HEAD_BYTES)):
                return None
            opened.seek(0)
            data = opened.read(MAX_IMAGE_BYTES + 1)
            modified_ns = os.fstat(opened.fileno()).st_mtime_ns
        image = read_image(data)
    except (OSError, ImageError):
        return None
    if not image.is_programmer:
        return None
    sha256 = hashlib.sha256(data).hexdigest()
    return entries.of_image(
        image, sha256, file=file, name=path.name, origin="", modified_ns=modified_ns
    )
