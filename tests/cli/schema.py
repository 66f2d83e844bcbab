# SPDX-License-Identifier: BSD-3-Clause
"""docs/json.md, read as a schema, so that page and program cannot part ways."""

from __future__ import annotations

import functools
import re
from typing import Any

from tests.conftest import REPO

_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.MULTILINE)
_BASE: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}

Fields = dict[str, str]


@functools.cache
def objects() -> dict[str, Fields]:
    """Return the fields of each object of the page, by its heading without backticks."""
    text = (REPO / "docs" / "json.md").read_text(encoding="utf-8")
    parts = _HEADING.split(text)
    return {
        name.replace("`", ""): dict(_ROW.findall(body))
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def results() -> dict[str, Fields]:
    """Return the fields of results, by command."""
    found = {}
    for name, fields in objects().items():
        if name.startswith("result of "):
            dry = "a dry run of " if "a dry run of " in name else ""
            for command in name.removeprefix(f"result of {dry}").split(", "):
                found[dry + command] = fields
    return found


def problems(line: dict[str, Any], command: str | None = None) -> list[str]:
    """Return how a line differs from the page. command: whose result it is, if that is known."""
    rest = dict(line)
    if rest.pop("v", None) != 1:
        return ["v is not 1"]
    kind = rest.pop("type", None)
    if kind == "event":
        return _object(rest, objects()[f"event of kind {rest.get('event')}"], "event")
    if kind != "result":
        return _object(rest, objects()[str(kind)], str(kind))
    if command is not None:
        return _object(rest, results()[command], command)
    told = [_object(rest, fields, name) for name, fields in results().items()]
    return min(told, key=len)


def _object(data: dict[str, Any], fields: Fields, where: str) -> list[str]:
    told = [f"{where}.{name} is not on the page" for name in data if name not in fields]
    for name, kind in fields.items():
        required = not kind.endswith(", may be missing")
        if name not in data:
            told += [f"{where}.{name} is missing"] if required else []
        else:
            told += _value(data[name], kind.removesuffix(", may be missing"), f"{where}.{name}")
    return told


def _value(value: object, kind: str, where: str) -> list[str]:
    if kind.endswith(" or null") and value is None:
        return []
    kind = kind.removesuffix(" or null").replace("`", "")
    if kind.startswith("list of "):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        inner = kind.removeprefix("list of ")
        return [text for item in value for text in _value(item, inner, f"{where}[]")]
    if kind.startswith("object of "):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        inner = kind.removeprefix("object of ")
        return [text for item in value.values() for text in _value(item, inner, f"{where}[]")]
    names = kind.split(" or ")
    if all(name in _BASE for name in names):
        right = any(
            isinstance(value, _BASE[name]) and isinstance(value, bool) == (name == "boolean")
            for name in names
        )
        return [] if right else [f"{where} is no {kind}: {value!r}"]
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    return _object(value, objects()[kind], where)
