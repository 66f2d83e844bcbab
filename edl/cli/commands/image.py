# SPDX-License-Identifier: BSD-3-Clause
"""Look into dumps and images on the computer, without a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edl.cli.app import App
from edl.cli.imagesource import Source, open_source
from edl.cli.imageview import (
    diff_lines,
    info_data,
    info_lines,
    is_unique,
    ls_lines,
    part_data,
    shown,
)
from edl.cli.options import Settings, once, output_options
from edl.cli.targets import files_for, folder_of, is_folder
from edl.errors import ImageError, UsageError, VerifyError
from edl.events import StepStarted
from edl.formats.gpt import safe_name
from edl.images.check import Check, checks
from edl.images.diff import Pair, outside, pairs
from edl.images.parts import Part, find
from edl.images.work import compare, data_bytes, save
from edl.outfile import require_room
from edl.plan.model import plural
from edl.units import format_size

_file = click.argument("file")
_slot = once(
    "--slot", type=click.IntRange(0, 63), metavar="N", help="Slot of super's metadata: 0, 1, ..."
)


@click.group("image")
def command() -> None:
    """Look into dumps and images on the computer, without a phone.

    FILE: a dump of a whole storage (LUN), an image of a partition, or the folder of a backup; raw,
    as an Android sparse image, or compressed (.gz, .xz, .bz2, .zst).

    \b
    Examples:
      edl image info dump.img                what it is, and whose
      edl image ls dump.img                  its partitions, those in super too
      edl image extract dump.img boot_a boot_a.img
      edl image diff before.img after.img    which partitions differ
      edl image verify dump.img              is it whole?
    """


# -- info, ls --------------------------------------------------------------------------------------


@command.command("info")
@_file
@output_options
@click.pass_obj
def info(settings: Settings, file: str) -> None:
    """Show what FILE is: kind, sizes, partition tables, the build that it belongs to.

    \b
    Examples:
      edl image info dump.img
      edl image info super.img
    """
    app = App(settings)
    with app.running(), open_source(app, file) as source:
        data = info_data(source)
        app.result(data, info_lines(source, data))


@command.command("ls")
@_file
@output_options
@click.pass_obj
def ls(settings: Settings, file: str) -> None:
    """List the partitions of FILE, and the logical ones in its super.

    \b
    Examples:
      edl image ls dump.img
      edl image ls super.img.gz
    """
    app = App(settings)
    with app.running(), open_source(app, file) as source:
        if not source.parts:
            problem = f" ({source.super_problem})" if source.super_problem else ""
            raise ImageError(
                f"{file} has no partitions: it is {source.kind.text}{problem}.",
                remedies=("A dump of a whole storage has some, and a super image.",),
            )
        if source.super_problem:
            app.say(f"  note     super cannot be understood: {source.super_problem}")
        data = {"file": file, "partitions": [part_data(part) for part in source.parts]}
        app.result(data, ls_lines(source))


# -- extract ---------------------------------------------------------------------------------------


@command.command("extract")
@_file
@click.argument("names", nargs=-1, metavar="NAME... [OUT]")
@once("-d", "--dir", "folder", metavar="DIR", help="Put NAME.img into this folder.")
@click.option("--all", "everything", is_flag=True, help="All partitions (with --dir).")
@once("--whole", metavar="OUT", help="The whole image, raw: out of compression and sparse.")
@_slot
@click.option("--force", is_flag=True, help="Replace files that exist.")
@output_options
@click.pass_obj
def extract(
    settings: Settings,
    file: str,
    names: tuple[str, ...],
    folder: str | None,
    everything: bool,
    whole: str | None,
    slot: int | None,
    force: bool,
) -> None:
    """Take partitions out of FILE into files.

    NAME: as 'edl image ls' shows it, LUN/NAME, or super/NAME for a logical partition; several with
    commas, then OUT,OUT,... Zeros become holes in the files.

    \b
    Examples:
      edl image extract dump.img boot_a boot_a.img
      edl image extract dump.img modemst1 modemst2 fsg -d parts
      edl image extract super.img system_a vendor_a -d parts
      edl image extract super.simg --whole super.img
    """
    app = App(settings)
    wanted = [name.strip() for text in names for name in text.split(",")]
    with app.running(), open_source(app, file) as source:
        if whole is not None:
            if names or folder is not None or everything:
                raise UsageError("--whole takes the whole image: name no partitions with it.")
            jobs = [(source.whole, Path(*files_for(["image"], whole)))]
        elif folder is not None:
            jobs = _into(source, wanted, folder_of(folder), everything=everything, slot=slot)
            for part in source.parts if everything else ():
                if not _is_whole(part):
                    app.say(f"  note     {part.label} is left out: it is not whole")
        else:
            jobs = _to_files(source, names, everything=everything, slot=slot)
        _check(jobs, source, force=force)
        rows = _extract(app, jobs)
    app.result({"files": rows}, [f"{row['file']}  {format_size(row['bytes'])}" for row in rows])


_Jobs = list[tuple[Part, Path]]


def _into(
    source: Source, wanted: list[str], folder: Path, *, everything: bool, slot: int | None
) -> _Jobs:
    """Return what goes into which file of folder."""
    if everything == bool(wanted):
        raise UsageError("Name the partitions, or say --all.")
    found = [find(name, source.parts, slot) for name in wanted]
    if everything:
        rows = [p for p in source.parts if slot is None or not p.slots or slot in p.slots]
        found = [part for part in rows if part.size_bytes and _is_whole(part)]
    names = [safe_name(part.name) for part in found]
    jobs: _Jobs = []
    for part, name in zip(found, names, strict=True):
        if names.count(name) > 1:  # on several LUNs, or in slots that differ
            name = f"lun{part.lun}_{name}" if part.lun is not None else _slotted(part, name)  # noqa: PLW2901
        jobs.append((part, folder / f"{name}.img"))
    return jobs


def _is_whole(part: Part) -> bool:
    return not part.missing_bytes and part.kind.code != "missing"


def _slotted(part: Part, name: str) -> str:
    return f"super_slot{'_'.join(map(str, part.slots))}_{name}"


def _to_files(
    source: Source, names: tuple[str, ...], *, everything: bool, slot: int | None
) -> _Jobs:
    """Return what goes into which file: NAME[,NAME...] OUT[,OUT...]."""
    if everything or len(names) != 2:
        raise UsageError("Name the partition and the file: NAME OUT; or the folder: --dir DIR.")
    wanted = [name.strip() for name in names[0].split(",")]
    if is_folder(names[1]):
        return _into(source, wanted, Path(names[1]), everything=False, slot=slot)
    paths = files_for(wanted, names[1])
    return [
        (find(name, source.parts, slot), path) for name, path in zip(wanted, paths, strict=True)
    ]


def _check(jobs: _Jobs, source: Source, *, force: bool) -> None:
    """Make sure that everything can be written before the first byte is."""
    targets = [path.resolve() for _, path in jobs]
    if len(set(targets)) != len(targets):
        raise UsageError("Two partitions would go into the same file.")
    for part, path in jobs:
        if path.resolve() == source.path.resolve():
            raise UsageError(
                f"{path} is the image itself.", remedies=("Choose another name for the part.",)
            )
        if path.exists() and not path.is_file():
            raise UsageError(
                f"{path} is no ordinary file: it cannot be replaced.",
                remedies=("Choose another name.",),
            )
        if path.exists() and not force:
            raise UsageError(
                f"{path} exists already.", remedies=("Choose another name, or add --force.",)
            )
        if part.missing_bytes:
            raise ImageError(
                f"'{part.name}' is not whole: the last {format_size(part.missing_bytes)} of it are"
                " missing, because the image was cut off.",
                remedies=("Get the image again.",),
            )
    for part, path in jobs:
        require_room(path.parent, data_bytes(part.content))


def _extract(app: App, jobs: _Jobs) -> list[dict[str, Any]]:
    app.total(sum(part.size_bytes for part, _ in jobs))
    rows: list[dict[str, Any]] = []
    with app.gentle() as cancel:
        for index, (part, path) in enumerate(jobs, 1):
            app.emit(StepStarted(index, len(jobs), shown(part.label), part.size_bytes))
            save(part.content, path, emit=app.emit, cancel=cancel)
            rows.append({"label": part.label, "bytes": part.size_bytes, "file": str(path)})
    return rows


# -- diff ------------------------------------------------------------------------------------------


@command.command("diff")
@click.argument("first")
@click.argument("second")
@output_options
@click.pass_obj
def diff(settings: Settings, first: str, second: str) -> None:
    """Compare two images partition by partition; the exit status is 8 if they differ.

    \b
    Examples:
      edl image diff before.img after.img
      edl image diff backup_folder dump.img
    """
    app = App(settings)
    with app.running(), open_source(app, first) as one, open_source(app, second) as other:
        jobs = _pairs(one, other)
        app.total(sum(_common(pair) for pair in jobs))
        rows = []
        with app.gentle() as cancel:
            for index, pair in enumerate(jobs, 1):
                app.emit(StepStarted(index, len(jobs), shown(pair.part.label), _common(pair)))
                rows.append(_compared(app, pair, cancel))
    different = [row for row in rows if row["state"] != "same"]
    lines = [line for row in rows for line in diff_lines(row)]
    if not different:
        lines.append(f"Both are the same: {plural(len(rows), 'part')}.")
    app.result({"parts": rows, "equal": not different}, lines)
    if different:
        count = f"{len(different)} of {len(rows)} parts differ, or only one image has them."
        raise VerifyError(
            count if len(rows) > 1 else "The images differ.",
            remedies=("See what is in each: edl image info FILE.",),
        )


def _pairs(one: Source, other: Source) -> list[Pair]:
    """Return what is compared with what."""
    if not one.image.has_table and not other.image.has_table:
        found = pairs(one.luns, other.luns)
    elif not one.image.has_table or not other.image.has_table:
        raise ImageError(
            f"{one.path} ({one.kind.text}) cannot be compared with {other.path}"
            f" ({other.kind.text}).",
            remedies=("Extract the partition first: edl image extract FILE NAME OUT.",),
        )
    else:
        found = pairs(one.physical, other.physical) + outside(one.image, other.image)
    if one.logical is not None and other.logical is not None:
        found += pairs(one.logical.parts, other.logical.parts)
    return found


def _common(pair: Pair) -> int:
    """Return how many bytes of both can be compared."""
    if pair.one is None or pair.other is None:
        return 0
    return min(pair.one.size_bytes, pair.other.size_bytes)


def _compared(app: App, pair: Pair, cancel: threading.Event) -> dict[str, Any]:
    part, one, other = pair.part, pair.one, pair.other
    row: dict[str, Any] = {
        "label": part.label,
        "lun": part.lun,
        "bytes": part.size_bytes,
        "unique": is_unique(part.name),
        "blocks": 0,
        "different_blocks": 0,
        "first_byte": None,
        "problem": None,
    }
    if one is None or other is None:
        return row | {"state": "only first" if other is None else "only second"}
    try:
        found = compare(one.content, other.content, emit=app.emit, cancel=cancel)
    except ImageError as error:
        return row | {"state": "unknown", "problem": error.message}
    problem = None
    if one.size_bytes != other.size_bytes:
        sizes = f"{format_size(one.size_bytes)} and {format_size(other.size_bytes)}"
        problem = f"the sizes differ: {sizes}"
    return row | {
        "state": "same" if found.same and problem is None else "different",
        "blocks": found.blocks,
        "different_blocks": found.different,
        "first_byte": found.first_byte,
        "problem": problem,
    }


# -- verify ----------------------------------------------------------------------------------------


@command.command("verify")
@_file
@output_options
@click.pass_obj
def verify(settings: Settings, file: str) -> None:
    """Look whether FILE is whole: tables, checksums, boot images; a backup against its manifest.

    The exit status is 8 if something is damaged.

    \b
    Examples:
      edl image verify dump.img
      edl image verify backup_folder
    """
    app = App(settings)
    with app.running(), open_source(app, file) as source, app.gentle() as cancel:
        rows = list(_checks(app, source, cancel))
    bad = [row for row in rows if row.verdict == "bad"]
    data = [{"what": row.what, "verdict": row.verdict, "fact": row.fact} for row in rows]
    lines = [f"  {_WORDS[row.verdict]:<8} {shown(row.what)}: {row.fact}" for row in rows]
    if not rows:
        lines.append(f"Nothing in it can be checked: it is {source.kind.text}.")
    elif not bad:
        lines.append("Everything that can be checked is right.")
    app.result({"checks": data, "sound": not bad}, lines)
    if bad:
        raise VerifyError(
            f"{file} is damaged: {plural(len(bad), 'check')} failed.",
            remedies=("Get the image again, or read it from the phone again.",),
        )


_WORDS = {"ok": "ok", "bad": "BAD", "unknown": "note"}


def _checks(app: App, source: Source, cancel: threading.Event) -> Iterator[Check]:
    if source.backup is not None:
        app.total(source.backup.size_bytes)
        app.emit(StepStarted(1, 1, "digests of the backup", source.backup.size_bytes))
        damages = source.backup.verify(emit=app.emit, cancel=cancel)
        for damage in damages:
            where = f"sectors {damage.start_sector} to {damage.start_sector + damage.sectors - 1}"
            yield Check(damage.extent.name, "bad", f"{where}: {damage.problem}")
        if not damages:
            size = format_size(source.backup.size_bytes)
            yield Check("backup", "ok", f"All {size} are as the manifest says.")
        for _, extent in source.backup.extents():
            if lost := sum(sectors for _, sectors in extent.bad):
                told = f"{plural(lost, 'sector')} could not be read from the phone: zeros here."
                yield Check(extent.name, "unknown", told)
    if source.super_problem:
        yield Check("super", "bad", source.super_problem)
    yield from checks(source.image, source.parts, source.logical, emit=app.emit, cancel=cancel)
