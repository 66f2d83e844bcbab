# SPDX-License-Identifier: BSD-3-Clause
"""Figures for monitoring as OpenMetrics text (openmetrics.io, 1.0), without what collects them.

The usual library takes longer to import than a phone to reach, and keeps figures of its own; here
they are made of what is known anyway, whenever somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True)
class Sample:
    """One figure. labels: by name, in the order to be shown; their values may be any text.

    suffix: what stands behind the family's name: `_sum` and `_count` of a summary. A counter's
    `_total` comes by itself.
    """

    value: float
    labels: Mapping[str, object] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """Figures of one name. unit: ends the name, too: `bytes`, `seconds`; empty: none."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    samples: tuple[Sample, ...] = ()
    unit: str = ""


def text(families: Iterable[Family]) -> str:
    """Return the families, complete; what no UTF-8 can hold is shown as `?`."""
    lines = [line for family in families for line in _lines(family)]
    return "\n".join([*lines, "# EOF", ""]).encode("utf-8", "replace").decode()


def _lines(family: Family) -> Iterator[str]:
    name = family.name
    yield f"# TYPE {name} {family.kind}"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {_escaped(family.help)}"
    total = "_total" if family.kind == "counter" else ""
    for sample in family.samples:
        yield f"{name}{total}{sample.suffix}{_labels(sample.labels)} {sample.value}"


def _labels(labels: Mapping[str, object]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: object) -> str:
    return str(value).translate(_ESCAPES)
