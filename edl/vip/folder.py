# SPDX-License-Identifier: BSD-3-Clause
"""A folder with digest tables: those that are made, and those that came back signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import edl
from edl.errors import DocumentError, PackageError
from edl.formats import digesttable
from edl.formats.digesttable import MAX_CHAINED_TABLES, MAX_TABLE_BYTES, Tables, Unsigned
from edl.outfile import new_file

MANIFEST_NAME = "edl-vip.json"
_MAX_MANIFEST_BYTES = 1024 * 1024
_VERSION = 1


def write_tables(folder: Path, tables: Unsigned, manifest: Mapping[str, Any]) -> list[str]:
    """Write tables and manifest into folder; return the names of the files.

    Raises:
        PackageError: there are signed tables in it, or others: they stay as they are.
        DiskError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = sorted(path.name for path in folder.glob("*") if _is_ours(path.name))
    except OSError as error:
        raise PackageError(f"{folder} cannot be used: {error.strerror}.") from error
    if taken:
        raise PackageError(
            f"{folder} holds digest tables already: {', '.join(taken[:4])}.",
            remedies=("Choose another folder with --output, or move them away.",),
        )
    files = {digesttable.FULL_NAME: tables.full, digesttable.TO_SIGN_NAME: tables.to_sign}
    files |= {digesttable.chained_name(number): data for number, data in enumerate(tables.chained)}
    text = json.dumps({"v": _VERSION, "made_by": f"edl {edl.__version__}", **manifest}, indent=2)
    files[MANIFEST_NAME] = text.encode() + b"\n"
    for name, data in files.items():
        with new_file(folder / name, size_bytes=len(data)) as file:
            file.write(data)
    return list(files)


def _is_ours(name: str) -> bool:
    fixed = {digesttable.FULL_NAME, digesttable.TO_SIGN_NAME, digesttable.SIGNED_NAME}
    return name in {*fixed, MANIFEST_NAME} or name.startswith("ChainedTableOfDigests")


def read_folder(folder: Path) -> tuple[Tables, dict[str, Any]]:
    """Return the signed tables in folder, and the manifest; empty if there is none.

    Raises:
        PackageError: a file is missing or cannot be read.
        DocumentError: the signed table or the manifest is none.
    """
    signed = _read(folder / digesttable.SIGNED_NAME, 2 * MAX_TABLE_BYTES)
    if signed is None:
        raise PackageError(
            f"{folder} holds no {digesttable.SIGNED_NAME}.",
            remedies=(
                f"Have {digesttable.TO_SIGN_NAME} signed by whoever holds the phone's keys"
                " (docs/vip.md), and put the result there.",
                "To make the tables: edl digests PACKAGE --output DIR",
            ),
        )
    chained = []
    for number in range(MAX_CHAINED_TABLES + 1):
        data = _read(folder / digesttable.chained_name(number), 2 * MAX_TABLE_BYTES)
        if data is None:
            break
        chained.append(data)
    return digesttable.read_tables(signed, chained), _manifest(folder / MANIFEST_NAME)


def _manifest(path: Path) -> dict[str, Any]:
    data = _read(path, _MAX_MANIFEST_BYTES)
    if data is None:
        return {}
    try:
        read = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path} is no JSON document.") from error
    if not isinstance(read, dict) or read.get("v") != _VERSION:
        raise DocumentError(f"{path} was not made by this version of edl digests.")
    return read


def _read(path: Path, most_bytes: int) -> bytes | None:
    """Return the content of a file, or None if there is none.

    Raises:
        PackageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}.") from error
