# SPDX-License-Identifier: BSD-3-Clause
"""Makes edl/data/json-lines.schema.json from docs/json.md: `make man`.

The page is what people read and the tests hold lines to; the schema is the same for programs (JSON
Schema, draft 2020-12). Fields may be added later, so other fields are allowed; with `strict` not,
for our own tests.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.cli import schema
from tests.conftest import REPO

PATH = REPO / "edl" / "data" / "json-lines.schema.json"
_BASE = {"string", "integer", "number", "boolean", "null"}
_KINDS = {"event", "question", "result", "plan", "finding", "phone", "error"}
_LINE = {"v": {"const": 1}, "type": {"type": "string"}}
Schema = dict[str, Any]


def document(*, strict: bool = False) -> Schema:
    """Return the schema of a line. Each object of the page is in $defs: `result-of-check`, ..."""
    defs = {_key(name): _object(name, fields, strict=strict)
            for name, fields in schema.objects().items()}  # fmt: skip
    kinds: dict[str, list[str]] = {"event": [], "result": []}
    kinds |= {name: [name] for name in ("question", "plan", "finding", "phone", "error")}
    for name in schema.objects():
        for kind in ("event", "result"):
            if name.startswith(f"{kind} of "):
                kinds[kind].append(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line that edl prints with --json, version 1",
        "description": "Made from docs/json.md.",
        "type": "object",
        "required": ["v", "type"],
        "properties": {"v": {"const": 1}, "type": {"enum": list(kinds)}},
        "allOf": [_when(kind, names) for kind, names in kinds.items()],
        "$defs": defs,
    }


def text() -> str:
    """Return the schema as it is kept."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


def result_of(command: str) -> str:
    """Return the reference to the result of command, as the page calls it."""
    for name in schema.objects():
        if name.startswith("result of "):
            dry = "a dry run of " if "a dry run of " in name else ""
            commands = name.removeprefix(f"result of {dry}").split(", ")
            if command in [dry + each for each in commands]:
                return f"#/$defs/{_key(name)}"
    raise KeyError(command)


def _when(kind: str, names: list[str]) -> Schema:
    found = [{"$ref": f"#/$defs/{_key(name)}"} for name in names]
    return {
        "if": {"properties": {"type": {"const": kind}}},
        "then": found[0] if len(found) == 1 else {"anyOf": found},
    }


def _object(name: str, fields: schema.Fields, *, strict: bool) -> Schema:
    lines = name.split(" of ", maxsplit=1)[0] in _KINDS
    properties: Schema = dict(_LINE) if lines else {}
    required = []
    for field, kind in fields.items():
        properties[field] = _kind(kind.removesuffix(", may be missing"))
        if not kind.endswith(", may be missing"):
            required.append(field)
    if name.startswith("event of kind "):
        properties["event"] = {"const": name.removeprefix("event of kind ")}
    made: Schema = {"type": "object", "properties": properties, "required": required}
    return made | {"additionalProperties": False} if strict else made


def _kind(kind: str) -> Schema:
    if kind.endswith(" or null") and kind.removesuffix(" or null") not in _BASE:
        return {"anyOf": [_kind(kind.removesuffix(" or null")), {"type": "null"}]}
    if kind.startswith("list of "):
        return {"type": "array", "items": _kind(kind.removeprefix("list of "))}
    if kind.startswith("object of "):
        return {"type": "object", "additionalProperties": _kind(kind.removeprefix("object of "))}
    names = kind.replace("`", "").split(" or ")
    if all(name in _BASE for name in names):
        return {"type": names[0] if len(names) == 1 else names}
    return {"$ref": f"#/$defs/{_key(kind)}"}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8", newline="\n")
