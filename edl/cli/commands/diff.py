# SPDX-License-Identifier: BSD-3-Clause
"""Compare two packages, dumps or backups: what would change."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.rawprogram import pair
from edl.cli.heldsource import HeldSource, open_held
from edl.cli.imageview import is_unique, shown
from edl.cli.options import Settings, output_options, slot_option
from edl.cli.reporting import report_option
from edl.errors import VerifyError
from edl.events import StepStarted
from edl.images.diff import outside
from edl.packages import builds, comparing
from edl.packages.comparing import Pair, Row, State
from edl.packages.holdings import Holding, of_package, of_parts
from edl.plan import byname
from edl.plan.model import Finding, findings_data, plural
from edl.units import format_size


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--choose",
    multiple=True,
    metavar="NAME=VALUE",
    help="Which part of the packages is meant, where one has several.",
)
@slot_option(byname.SLOTS)
@report_option
@output_options
@click.pass_obj
def command(
    settings: Settings, first: str, second: str, choose: tuple[str, ...], slot: str | None
) -> None:
    """Compare A with B, partition by partition: what changes when B is written over A.

    A, B: packages of any kind, dumps, backups, images. Where A is a dump or a backup, only what a
    package B says counts: what it leaves alone does not change. The exit status is 8 if anything
    differs. With a phone in place of A: edl verify B.

    \b
    Examples:
      edl diff OLD_ROM.zip NEW_ROM.zip
      edl diff my_backup ROM_FOLDER
      edl diff before.img after.img
    """
    app = App(settings)
    options = dict(map(pair, choose))
    with (
        app.running(),
        open_held(app, first, options) as one,
        open_held(app, second, options) as other,
    ):
        pairs, over = _pairs(one, other, slot or "active")
        app.total(sum(each.common_bytes for each in pairs))
        rows = []
        with app.gentle() as cancel:
            for index, each in enumerate(pairs, 1):
                app.emit(StepStarted(index, len(pairs), shown(each.name), each.common_bytes))
                rows.append(comparing.compare(each, over=over, emit=app.emit, cancel=cancel))
        found = {held.title: builds.warnings(held.builds) for held in (one, other)}
        data = {
            "first": one.data(),
            "second": other.data(),
            "parts": [_data(row) for row in rows],
            "equal": all(row.state is State.SAME for row in rows),
            "findings": [row for rows_ in found.values() for row in findings_data(rows_)],
        }
        app.result(data, _lines(one, other, rows, found, over=over))
    _tell(rows, over=over)


def _pairs(one: HeldSource, other: HeldSource, slot: str) -> tuple[list[Pair], bool]:
    """Return what is compared with what, and whether the first is a storage to be written over."""
    first, second = one.held.holdings, other.held.holdings
    over = one.is_storage and other.package is not None
    if over and one.source is not None and other.package is not None:
        second = of_package(comparing.placed(other.package, one.source.image, slot)).holdings
    found = comparing.pairs(first, second)
    if over:
        found = [each for each in found if each.other is not None]
    if one.source is not None and other.source is not None:
        for gap in outside(one.source.image, other.source.image):
            first_gap, second_gap = _gap(gap.one), _gap(gap.other)
            if first_gap is not None or second_gap is not None:  # else neither backup holds it
                found.append(Pair(first_gap, second_gap))
    return found, over


def _gap(part: Any) -> Holding | None:  # noqa: ANN401
    if part is None:
        return None
    return next(iter(of_parts([part]).holdings), None)


def _data(row: Row) -> dict[str, Any]:
    one, other = row.pair.one, row.pair.other
    return {
        "label": row.pair.name,
        "lun": row.pair.lun,
        "state": row.state.value,
        "first_bytes": one.size_bytes if one is not None else None,
        "second_bytes": other.size_bytes if other is not None else None,
        "unique": is_unique(row.pair.name),
        "blocks": row.blocks,
        "different_blocks": row.different,
        "first_byte": row.first_byte,
        "moved": row.moved,
        "problem": row.problem or None,
    }


_WORDS = {
    State.CHANGED: "CHANGED",
    State.ONLY_FIRST: "only in A",
    State.ONLY_SECOND: "only in B",
    State.UNKNOWN: "unknown",
}


def _lines(
    one: HeldSource,
    other: HeldSource,
    rows: list[Row],
    found: dict[str, tuple[Finding, ...]],
    *,
    over: bool,
) -> list[str]:
    lines = [f"A  {one.line()}", f"B  {other.line()}"]
    lines += [_line(row) for row in rows if row.state is not State.SAME]
    for title, findings in found.items():
        lines += [f"  warning: {title}: {finding.message}" for finding in findings]
    same = [row for row in rows if row.state is State.SAME]
    if same:
        size = format_size(sum(row.pair.common_bytes for row in same))
        lines.append(f"The same: {plural(len(same), 'partition')}, {size}.")
    changed = sum(comparing.most_changed_bytes(row) for row in rows)
    if changed and over:
        lines.append(f"Writing B over A changes at most {format_size(changed)} of A.")
    return lines


def _line(row: Row) -> str:
    told = []
    if row.pair.one is None or row.pair.other is None:
        there = row.pair.one or row.pair.other
        told.append(format_size(there.size_bytes) if there is not None else "")
    if row.different:
        told.append(f"{row.different} of {plural(row.blocks, 'block')} (1 MiB) differ")
        told.append(f"the first at byte {row.first_byte}")
    if row.moved:
        told.append("it lies elsewhere")
    if row.problem:
        told.append(row.problem)
    if is_unique(row.pair.name):
        told.append("it belongs to one phone alone")
    return f"  {_WORDS[row.state]:<10} {shown(row.pair.name):<16} {'; '.join(told)}".rstrip()


def _tell(rows: list[Row], *, over: bool) -> None:
    """Say by the exit status that they differ."""
    different = [row for row in rows if row.state is not State.SAME]
    if different:
        names = ", ".join(shown(row.pair.name) for row in different[:8])
        more = f" and {len(different) - 8} more" if len(different) > 8 else ""
        what = "would change" if over else "differ, or only one has them"
        raise VerifyError(
            f"{len(different)} of {plural(len(rows), 'partition')} {what}: {names}{more}.",
            remedies=("Look into one of them: edl unpack, edl image diff.",),
        )
