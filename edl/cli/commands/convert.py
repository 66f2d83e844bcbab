# SPDX-License-Identifier: BSD-3-Clause
"""Convert an image: raw, Android sparse, seekable Zstandard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from edl.backup.folder import is_backup
from edl.cli.app import App
from edl.cli.imagesource import open_source
from edl.cli.options import Settings, once, output_options
from edl.cli.targets import is_folder
from edl.errors import UsageError
from edl.events import StepStarted
from edl.images.work import data_bytes
from edl.outfile import require_room
from edl.packages import converting
from edl.packages.converting import Form, Input
from edl.plan.model import plural
from edl.units import format_size


@click.command("convert")
@click.argument("files", nargs=-1, required=True, metavar="IN... OUT")
@once(
    "--to", "form", type=click.Choice([form.value for form in Form]),
    help="What OUT becomes [default: by its suffix: .simg, .zst, else raw].",
)  # fmt: skip
@once("-u", "--lun", type=click.IntRange(0, 255), metavar="N", help="The LUN of a backup.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@output_options
@click.pass_obj
def command(
    settings: Settings, files: tuple[str, ...], form: str | None, lun: int | None, force: bool
) -> None:
    """Convert the image IN, whatever its form, into OUT: raw, sparse or compressed.

    IN: raw, Android sparse, compressed (.gz, .xz, .bz2, .zst), or a LUN of a backup; its content
    decides, not its name. Several are the parts of one sparse image (sparsechunk.0, .1, ...). What
    sparse images leave open becomes zeros in a raw image, and stays open in a sparse one.
    Logical partitions come out of a super image with: edl image extract.

    \b
    Examples:
      edl convert system.simg system.img
      edl convert super.img_sparsechunk.* super.img
      edl convert system.img system.simg
      edl convert dump.img dump.img.zst
      edl convert userdata.img.gz userdata.simg --to sparse
    """
    app = App(settings)
    if len(files) < 2:
        raise UsageError("Name what is converted, and the file that it becomes: IN OUT.")
    sources, out = [Path(name) for name in files[:-1]], Path(files[-1])
    wanted = Form(form) if form is not None else converting.form_of(out)
    _require_new(sources, out, force=force)
    with app.running(), _opened(app, sources, lun) as source:
        # compressed, or sparse with less in it: the most that can come out
        require_room(out.parent, data_bytes(source.content))
        size = source.content.size_bytes
        app.total(size)
        with app.gentle() as cancel:
            app.emit(StepStarted(1, 1, out.name, size))
            converting.convert(source, out, wanted, emit=app.emit, cancel=cancel)
    written = out.stat().st_size
    data = {
        "file": str(out),
        "form": wanted.value,
        "forms": list(source.forms),
        "parts": source.files,
        "bytes": size,
        "file_bytes": written,
        "open_bytes": size - sum(length for _, length in source.written),
    }
    app.result(data, [_line(data)])


def _line(data: Mapping[str, object]) -> str:
    size, written, left = (int(str(data[key])) for key in ("bytes", "file_bytes", "open_bytes"))
    parts = int(str(data["parts"]))
    came = f" from {plural(parts, 'part')}" if parts > 1 else ""
    stored = f", {format_size(written)} as a file" if data["form"] != "raw" else ""
    open_text = ""
    if left:
        stays = "reads as zeros" if data["form"] != "sparse" else "stays open"
        open_text = f"; {format_size(left)} that the parts leave open {stays}"
    return f"{data['file']}: {data['form']}, {format_size(size)}{came}{stored}{open_text}."


def _require_new(sources: list[Path], out: Path, *, force: bool) -> None:
    if is_folder(str(out)):
        raise UsageError(f"{out} is a folder.", remedies=("Name the file that is to be made.",))
    try:
        same = any(out.resolve() == path.resolve() for path in sources)
        there = out.exists() or out.is_symlink()
        odd = there and not out.is_file()
    except (OSError, ValueError) as error:
        raise UsageError(f"'{out}' cannot be the name of a file.") from error
    if same:
        raise UsageError(f"{out} is the image itself.", remedies=("Choose another name.",))
    if odd:
        raise UsageError(f"{out} is no ordinary file: it cannot be replaced.")
    if there and not force:
        raise UsageError(
            f"{out} exists already.", remedies=("Choose another name, or add --force.",)
        )


@contextmanager
def _opened(app: App, sources: list[Path], lun: int | None) -> Iterator[Input]:
    """Open images, or a LUN of a backup.

    Raises:
        UsageError: it is not said which LUN is meant.
        EdlError: they cannot be read.
    """
    if len(sources) == 1 and is_folder(str(sources[0])) and is_backup(sources[0]):
        with open_source(app, str(sources[0])) as source:
            luns = source.image.luns
            wanted = min(luns) if lun is None and len(luns) == 1 else lun
            if wanted not in luns:
                known = ", ".join(map(str, luns))
                raise UsageError(
                    f"{sources[0]} holds the LUNs {known}.",
                    remedies=(f"Choose one: --lun {min(luns)}.",),
                )
            yield converting.whole(luns[wanted].content)
        return
    if lun is not None:
        raise UsageError("--lun is for backups: an image is one LUN, or a part of it.")
    with converting.opened(sources, app.emit) as found:
        yield found
