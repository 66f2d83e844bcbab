# SPDX-License-Identifier: BSD-3-Clause
"""Keys of makers' containers, out of a file that the user has: see docs/packages.md, "Keys".

There are none in this program. The file is `keys.toml` in the user's data folder, or what
`--choose keys=FILE` names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.errors import DocumentError, ImageError
from edl.formats import ofp
from edl.formats.ofp import OfpKey
from edl.formats.ops import OpsKey
from edl.home import home
from edl.packages.model import Choices
from edl.units import MIB

NAME = "keys.toml"
_BYTES = 16
_LONG_MBOX = 62  # as the tools have it: 16 bytes, zeros, and the number of rounds
_MAX_BYTES = MIB


@dataclass(frozen=True)
class Keys:
    """What the file has. path: where it is, or would be. lenovo: words for `.x` files."""

    path: Path
    ops: tuple[OpsKey, ...] = ()
    ofp: tuple[OfpKey, ...] = ()
    lenovo: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """What to do where none fits."""
        return (
            f"Put the right keys into {self.path} (docs/packages.md, chapter 'Keys', has the"
            " form), or name another such file with --choose keys=FILE. edl has none of its own."
        )


def none_fits(keys: tuple[object, ...]) -> str:
    """Return in words that none of keys opens something."""
    return "none of the keys at hand opens it" if keys else "there is no key at hand"


def read_keys(choices: Choices) -> Keys:
    """Return the user's keys; none if there is no such file.

    Raises:
        DocumentError: the file is not as it should be.
        ImageError: it cannot be read.
    """
    named = choices.options.get("keys", "")
    path = Path(named) if named else home() / NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        if named:
            raise ImageError(f"{path} is not there.") from None
        return Keys(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise DocumentError(f"{path} is no TOML document: {error}.") from error
    return Keys(
        path,
        tuple(_ops(each, path) for each in _all(table, "ops", path)),
        tuple(_ofp(each, path) for each in _all(table, "ofp", path)),
        tuple(_text(each, "word", path) for each in _all(table, "lenovo", path)),
    )


def _all(table: Mapping[str, Any], kind: str, path: Path) -> list[Mapping[str, Any]]:
    found = table.get(kind, [])
    if not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise DocumentError(f"{path}: each key stands under a line of its own, [[{kind}]].")
    return found


def _ops(entry: Mapping[str, Any], path: Path) -> OpsKey:
    name = str(entry.get("name", ""))
    mbox = _bytes(entry, "mbox", path, (_BYTES, _LONG_MBOX))
    return OpsKey(name, _bytes(entry, "iv", path), mbox[:_BYTES])


def _ofp(entry: Mapping[str, Any], path: Path) -> OfpKey:
    name = str(entry.get("name", ""))
    key, iv = _bytes(entry, "key", path), _bytes(entry, "iv", path)
    if "mask" not in entry:
        return OfpKey(name, key, iv)
    return ofp.derived(name, _bytes(entry, "mask", path), key, iv)


def _text(entry: Mapping[str, Any], name: str, path: Path) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise DocumentError(f"{path}: a key has no '{name}'.")
    return value


def _bytes(
    entry: Mapping[str, Any], name: str, path: Path, lengths: tuple[int, ...] = (_BYTES,)
) -> bytes:
    text = _text(entry, name, path)
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) not in lengths:
        wanted = " or ".join(str(2 * length) for length in lengths)
        raise DocumentError(f"{path}: '{name}' should have {wanted} hexadecimal digits.")
    return value
