# SPDX-License-Identifier: BSD-3-Clause
"""Read partitions or sectors into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edl.cli.app import App
from edl.cli.options import Settings, lun_option, once, phone_options
from edl.cli.rescuing import Wanted, rescue
from edl.cli.targets import files_for, folder_of, is_folder, with_lun
from edl.device.storage import Place, Storage, parse_targets
from edl.errors import UsageError
from edl.events import Notice, StepStarted
from edl.formats.gpt import safe_name
from edl.outfile import require_room
from edl.plan import nand
from edl.plan.readout import read_to_file
from edl.units import format_size


@click.command("read")
@click.argument("target")
@click.argument("file", required=False)
@once("-d", "--dir", "folder", metavar="DIR", help="Put NAME.bin into this folder.")
@lun_option()
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--rescue",
    "dying",
    is_flag=True,
    help="From dying flash: what can be read, good parts first; goes on where it was stopped.",
)
@once("--map", "map_file", metavar="MAP", help="Of --rescue: map of the image [FILE.map].")
@once("--retries", type=click.IntRange(0, 1000), help="Of --rescue: try bad sectors again.")
@click.option("--no-scrape", is_flag=True, help="Of --rescue: leave what lies between bad sectors.")
@phone_options
@click.pass_obj
def command(
    settings: Settings,
    target: str,
    file: str | None,
    folder: str | None,
    lun: int | None,
    force: bool,
    dying: bool,
    map_file: str | None,
    retries: int | None,
    no_scrape: bool,
) -> None:
    """Read TARGET into FILE; several with commas: `boot_a,boot_b a.img,b.img`.

    TARGET: NAME, LUN/NAME, LUN, LUN/START or LUN/START+SECTORS.

    \b
    Examples:
      edl read boot_a boot_a.img
      edl read modemst1,modemst2,fsg -d backup
      edl read 0/0+34 gpt.bin
      edl read userdata userdata.img --rescue
    """
    targets = with_lun(target, lun)
    if dying:
        path = _one_file(targets, file, folder)
        wanted = Wanted(
            Path(map_file) if map_file else None, retries or 0, scrape=not no_scrape, anew=force
        )
        rescue(App(settings), targets[0], path, wanted)
        return
    if map_file or retries is not None or no_scrape:
        raise UsageError("--map, --retries and --no-scrape belong to --rescue.")
    read(App(settings), targets, _files(targets, file, folder), force=force)


def _files(targets: list[str], file: str | None, folder: str | None) -> list[Path] | Path:
    """Return a file a target, or the folder that gets them all."""
    if (file is None) == (folder is None):
        raise UsageError("Name either FILE or --dir DIR.")
    if file is None or is_folder(file):
        return folder_of(folder if file is None else file)
    return files_for(targets, file)


def _one_file(targets: list[str], file: str | None, folder: str | None) -> Path:
    """Return where the image of dying flash goes.

    Raises:
        UsageError: it is not one target and one file.
    """
    if len(targets) != 1 or file is None or folder is not None or is_folder(file):
        raise UsageError("--rescue reads one TARGET into one FILE.")
    return files_for(targets, file)[0]


def read(app: App, targets: list[str], files: list[Path] | Path, *, force: bool) -> None:
    """Read targets into files, each complete or not at all."""
    parsed = parse_targets(targets)
    with app.phone() as phone:
        storage = Storage(phone)
        places = [storage.place(target) for target in parsed]
        paths = (
            [files / f"{safe_name(place.label)}.bin" for place in places]
            if isinstance(files, Path)
            else files
        )
        _check(places, paths, force=force)
        app.total(sum(place.area.size_bytes for place in places))
        rows: list[dict[str, Any]] = []
        with app.gentle() as cancel:
            for index, (place, path) in enumerate(zip(places, paths, strict=True), 1):
                app.emit(StepStarted(index, len(places), place.label, place.area.size_bytes))
                digest = read_to_file(
                    phone.programmer, place.area, path, emit=app.emit, cancel=cancel
                )
                rows.append(_row(place, path, digest))
                pages = phone.lun(place.area.lun).pages_per_block
                if pages is not None and (told := nand.told_of_filler(path, place.area, pages)):
                    app.emit(Notice(told))
    lines = [f"{row['file']}  {format_size(row['bytes'])}  sha256 {row['sha256']}" for row in rows]
    app.result({"files": rows}, lines)


def _check(places: list[Place], paths: list[Path], *, force: bool) -> None:
    """Make sure that all files can be written before the first byte is read."""
    if len({path.resolve() for path in paths}) != len(paths):
        raise UsageError("Two targets would be read into the same file.")
    needed: dict[Path, int] = {}
    for place, path in zip(places, paths, strict=True):
        if path.exists() and not force:
            raise UsageError(
                f"{path} exists already.", remedies=("Choose another name, or add --force.",)
            )
        needed[path.parent] = needed.get(path.parent, 0) + place.area.size_bytes
    for folder, size in needed.items():
        require_room(folder, size)


def _row(place: Place, path: Path, digest: str) -> dict[str, Any]:
    area = place.area
    return {
        "label": place.label,
        "lun": area.lun,
        "start_sector": area.start_sector,
        "sectors": area.sectors,
        "bytes": area.size_bytes,
        "file": str(path),
        "sha256": digest,
    }
