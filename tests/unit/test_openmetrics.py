# SPDX-License-Identifier: BSD-3-Clause
"""Figures as text, read by Prometheus' own strict parser."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from edl import openmetrics
from edl.openmetrics import Family, Sample

ODD = 'a"\\\n{},= é'


def parsed(*families: Family) -> dict[str, Metric]:
    """Return the families by name, as Prometheus reads them."""
    text = openmetrics.text(families)
    found: list[Metric] = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    return {each.name: each for each in found}


def test_kinds_units_and_help() -> None:
    found = parsed(
        Family("a_bytes", "gauge", 'Two\nlines, "\\".', (Sample(1.5),), "bytes"),
        Family("b", "counter", "B.", (Sample(7, {"code": "x"}), Sample(8, {"code": "y"}))),
        Family("c", "summary", "C.", (Sample(2, suffix="_count"), Sample(0.25, suffix="_sum"))),
        Family("d", "gauge", "None."),
    )
    assert (found["a_bytes"].type, found["a_bytes"].unit) == ("gauge", "bytes")
    assert found["a_bytes"].documentation == 'Two\nlines, "\\".'
    assert [each.value for each in found["a_bytes"].samples] == [1.5]
    assert [(each.name, each.labels, each.value) for each in found["b"].samples] == [
        ("b_total", {"code": "x"}, 7),
        ("b_total", {"code": "y"}, 8),
    ]
    assert [(each.name, each.value) for each in found["c"].samples] == [
        ("c_count", 2),
        ("c_sum", 0.25),
    ]
    assert found["d"].samples == []


def test_labels_of_any_text() -> None:
    found = parsed(Family("a", "gauge", "A.", (Sample(1, {"x": ODD, "y": "\udcff"}),)))
    [sample] = found["a"].samples
    assert sample.labels == {"x": ODD, "y": "?"}


def test_nothing_is_complete_too() -> None:
    assert openmetrics.text([]) == "# EOF\n"
