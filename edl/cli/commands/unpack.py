# SPDX-License-Identifier: BSD-3-Clause
"""Unpack a package of any kind into raw images."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.rawprogram import pair
from edl.cli.heldsource import HeldSource, open_held
from edl.cli.imageview import shown
from edl.cli.options import Settings, output_options
from edl.errors import ImageError, PackageError, UsageError
from edl.packages import unpacking
from edl.packages.holdings import LOGICAL, Holding
from edl.packages.unpacking import Target
from edl.plan.model import plural
from edl.units import format_size


@click.command("unpack")
@click.argument("package")
@click.argument("folder", metavar="DIR")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--as-is", is_flag=True, help="The files of the package as they lie in it.")
@click.option(
    "--choose",
    multiple=True,
    metavar="NAME=VALUE",
    help="Which part of the package is meant, where it says that it has several.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@output_options
@click.pass_obj
def command(
    settings: Settings,
    package: str,
    folder: str,
    names: tuple[str, ...],
    as_is: bool,
    choose: tuple[str, ...],
    force: bool,
) -> None:
    """Unpack PACKAGE into DIR: each image raw, as NAME.img, out of whatever it is packed in.

    Sparse images and their parts are put together, zeros become holes. XML files (rawprogramN.xml)
    and the loader go beside the images where the package has them, so that every tool can use DIR.
    NAME: only these partitions; patterns such as 'boot*' work.

    \b
    Examples:
      edl unpack ROM.zip images
      edl unpack payload.bin images boot vendor_boot
      edl unpack ROM.tgz files --as-is
    """
    app = App(settings)
    with app.running(), open_held(app, package, dict(map(pair, choose))) as held:
        chosen = _chosen(held, names)
        targets = _targets(held, chosen, Path(folder), as_is=as_is, some=bool(names))
        with_rows = held.package is not None and not as_is and not names
        _check(held, targets, chosen, Path(folder), force=force, rows=with_rows)
        for name, reason in held.held.problems:
            app.say(f"  missing  {shown(name)}: {reason}")
        app.total(sum(target.content.size_bytes for target in targets))
        with app.gentle() as cancel:
            unpacking.write(targets, emit=app.emit, cancel=cancel)
        documents = []
        if with_rows and held.package is not None:
            documents = unpacking.write_rows(held.package, targets, Path(folder))
        data = {
            "source": held.title,
            "kind": held.description.kind,
            "folder": folder,
            "files": [_row(target) for target in targets],
            "documents": [str(path) for path in documents],
            "problems": [{"name": name, "reason": reason} for name, reason in held.held.problems],
        }
        app.result(data, _lines(targets, documents, folder))
        if held.held.problems and not names:
            raise PackageError(
                f"{plural(len(held.held.problems), 'image')} of {package} could not be had:"
                f" {', '.join(shown(name) for name, _ in held.held.problems[:8])}.",
                remedies=("The others are whole. Download the package again for the rest.",),
            )


def _chosen(held: HeldSource, names: tuple[str, ...]) -> tuple[Holding, ...]:
    """Return the holdings that are wanted.

    Raises:
        UsageError: a name fits none.
        PackageError: there are none at all.
    """
    known = held.held.holdings
    if not known:
        why = "".join(f": {shown(reason)}" for _, reason in held.held.problems[:1])
        raise PackageError(f"{held.title} holds no images that can be had{why.rstrip('.')}.")
    if held.source is not None and not held.source.parts:
        raise ImageError(
            f"{held.title} is one image ({held.source.kind.text}), no package.",
            remedies=(f"Make it raw with: edl convert {held.title} OUT.img",),
        )
    if not names:
        # a dump has the parts of super in it already, so to say twice
        dump = held.is_storage
        return tuple(each for each in known if not dump or not each.name.startswith(LOGICAL))
    found: dict[int, None] = {}
    for name in names:
        fits = [n for n, each in enumerate(known) if _fits(each.name, name)]
        if not fits:
            some = ", ".join(shown(each.name) for each in known[:12])
            raise UsageError(
                f"{held.title} has nothing for '{name}'.", remedies=(f"It has: {some}.",)
            )
        found |= dict.fromkeys(fits)
    return tuple(known[index] for index in sorted(found))


def _fits(name: str, pattern: str) -> bool:
    name, pattern = name.lower(), pattern.lower()
    return any(fnmatch.fnmatchcase(each, pattern) for each in (name, name.removeprefix("super/")))


def _targets(
    held: HeldSource, chosen: tuple[Holding, ...], folder: Path, *, as_is: bool, some: bool
) -> list[Target]:
    if as_is and held.package is None:
        raise UsageError(f"{held.title} is an image: there are no files in it to be left as is.")
    targets = (unpacking.plain_targets if as_is else unpacking.raw_targets)(chosen, folder)
    if held.package is not None and not some:
        if as_is:
            targets += unpacking.document_targets(held.package, folder, targets)
        targets += unpacking.loader_targets(held.package, folder, targets)
    return targets


def _check(
    held: HeldSource,
    targets: list[Target],
    chosen: tuple[Holding, ...],
    folder: Path,
    *,
    force: bool,
    rows: bool,
) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", remedies=("Choose another name.",))
    documents = unpacking.row_names(held.package, chosen) if rows and held.package else []
    sources = [held.source.path] if held.source is not None else []
    sources += held.package.roots if held.package is not None else ()
    unpacking.require_possible(targets, folder, force=force, documents=documents, sources=sources)


def _row(target: Target) -> dict[str, Any]:
    return {
        "file": str(target.path),
        "partitions": list(target.partitions),
        "bytes": target.content.size_bytes,
    }


def _lines(targets: list[Target], documents: list[Path], folder: str) -> list[str]:
    width = max((len(target.path.name) for target in targets), default=0)
    lines = []
    for target in targets:
        places = ", ".join(shown(name) for name in target.partitions)
        size = format_size(target.content.size_bytes)
        lines.append(f"  {target.path.name:<{width}} {size:>10}  {places}".rstrip())
    if documents:
        lines.append(f"  {', '.join(path.name for path in documents)}")
    total = format_size(sum(target.content.size_bytes for target in targets))
    return [*lines, f"Unpacked into {folder}: {plural(len(targets), 'file')}, {total}, all whole."]
