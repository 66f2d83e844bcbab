# SPDX-License-Identifier: BSD-3-Clause
"""flashmap.json of qdl's installers: which files belong together, for which storage.

Versions 1.1.0 (one programmer, or several as `ID:FILE`) and 1.2.0-qdl (programmers by Sahara id).
Facts: qdl flashmap.c.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edl.errors import DocumentError
from edl.formats.sahara_config import MAX_IMAGES

MAX_BYTES = 1 << 20
VERSIONS = ("1.1.0", "1.2.0-qdl")
_PROGRAMMER_ID = 13  # what a version without ids means
_MOST = 1000


@dataclass(frozen=True)
class Programmable:
    """Files for one storage. memory: `emmc`, `ufs`, `nvme`, `spinor`, `nand`."""

    memory: str
    slot: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """One way to program a product. programmers: file by Sahara id."""

    name: str
    programmers: Mapping[int, str]
    programmables: tuple[Programmable, ...]


@dataclass(frozen=True)
class Flashmap:
    """What the document says."""

    version: str
    product: str
    layouts: tuple[Layout, ...]


def read_flashmap(data: bytes, name: str) -> Flashmap:
    """Return what data, the content of the file name, says.

    Raises:
        DocumentError: it is none, of another version, or does not hold together.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{name}: the file has {len(data)} bytes, {MAX_BYTES} are the limit.")
    try:
        told = json.loads(data)
        version = _text(told["version"])
        if version not in VERSIONS:
            raise DocumentError(f"{name}: version '{version}' is not known.")
        (product,) = _items(told["products"])
        layouts = tuple(_layout(each) for each in _items(product["layouts"]))
        return Flashmap(version, _text(product.get("name", "")), layouts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"{name}: it is no flashmap, or a damaged one: {error!r}.") from error


def _layout(told: Any) -> Layout:  # noqa: ANN401
    programmers = _programmers(told["programmer"])
    programmables = tuple(
        Programmable(
            _text(each["memory"]), int(each["slot"]), tuple(map(_text, _items(each["files"])))
        )
        for each in _items(told["programmable"])
    )
    if not programmers or not programmables:
        raise ValueError("a layout has no programmer, or nothing to program")
    return Layout(_text(told.get("name", "")), programmers, programmables)


def _programmers(told: Any) -> dict[int, str]:  # noqa: ANN401
    if isinstance(told, dict):
        pairs = [(_id(key), _text(file)) for key, file in told.items()]
    else:
        files = [_text(file) for file in _items(told)]
        if len(files) == 1:
            return {_PROGRAMMER_ID: files[0]}
        split = [file.partition(":") for file in files]
        pairs = [(_id(number), file) for number, _, file in split if file]
        if len(pairs) < len(files):
            raise ValueError("a programmer of several images has one without ID:FILE")
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a Sahara id is there twice")
    return dict(pairs)


def _items(told: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(told, list) or len(told) > _MOST:
        raise TypeError("no list, or too long a one")
    return told


def _text(told: Any) -> str:  # noqa: ANN401
    if not isinstance(told, str) or not told.isprintable():
        raise TypeError("no text")
    return told


def _id(key: str) -> int:
    number = int(key, 0)
    if not 0 < number < MAX_IMAGES:
        raise ValueError(f"programmer id {number} is out of range")
    return number
