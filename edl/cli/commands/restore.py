# SPDX-License-Identifier: BSD-3-Clause
"""Write a backup, or the image of a whole storage, back to a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edl.backup.find import find
from edl.backup.folder import is_backup, open_backup
from edl.cli import show
from edl.cli.again import heed, traced
from edl.cli.app import App
from edl.cli.commands.rawprogram import show_plan
from edl.cli.options import Settings, change_options, lun_option, once, phone_options
from edl.cli.ready import Ready, boot_options
from edl.cli.reporting import report_option
from edl.cli.targets import is_file, is_folder
from edl.device.storage import Storage
from edl.errors import ImageError, UsageError
from edl.events import Stage
from edl.firehose.commands import Power
from edl.images.disk import open_image
from edl.plan import dump as dumps
from edl.plan import job, own, restore
from edl.plan.dump import Dump
from edl.plan.foreign import Whose, phone_serial
from edl.plan.job import Rules
from edl.plan.model import plural
from edl.plan.own import Version
from edl.plan.restore import Restoration, Wish
from edl.plan.unchanged import Unchanged
from edl.units import format_size

_RESETS = {"system": Power.RESET, "off": Power.OFF, "edl": Power.EDL}
_MOST_LISTED = 12


@click.command("restore")
@click.argument("arguments", nargs=-1, metavar="DIR|IMAGE [PARTITION...]")
@click.option(
    "--from-other-device", "from_other", is_flag=True,
    help="The dump is another phone's: write only what phones of a model have in common.",
)  # fmt: skip
@click.option(
    "--unique",
    is_flag=True,
    help="Only what exists only once; without DIR from this phone's own old backups.",
)
@click.option("--skip", multiple=True, metavar="NAMES", help="Leave these partitions alone.")
@lun_option(several=True)
@click.option("--no-check", is_flag=True, help="Do not compare the backup with its digests first.")
@once(
    "--unchanged", type=click.Choice([each.value for each in Unchanged]), default="auto",
    help="What to do with what the phone has already [default: auto, skip it where that is fast].",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with an interrupted job.")
@once(
    "--reset", type=click.Choice(list(_RESETS)),
    help="What the phone does at the end [default: it stays in EDL mode].",
)  # fmt: skip
@boot_options
@report_option
@change_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, arguments: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Write a backup back: a folder that 'edl backup' made, or the image of a whole storage.

    The phone's own backup is written whole. Of another phone's, or of an image that does not tell
    whose it is, only common firmware is written, with --from-other-device; what is unique to this
    phone stays. PARTITION names what is wanted of it: NAME or LUN/NAME, patterns too.

    \b
    Examples:
      edl restore BACKUP --dry-run
      edl restore BACKUP boot_a vbmeta_a
      edl restore mmcblk0.img --from-other-device
      edl restore --unique
    """
    source, names = _split(arguments, unique=options["unique"])
    app = App(settings)
    wish = Wish(
        names=names,
        skip=_list(options["skip"], lower=True),
        luns=frozenset(options["lun"]),
        from_other=options["from_other"],
        unique_only=options["unique"],
        insisted=frozenset(_list(options["overwrite"])),
        reset=_RESETS.get(options["reset"]),
    )
    with contextlib.ExitStack() as opened:
        dump = None
        if source is not None:
            dump = opened.enter_context(_open(app, source, wish.luns))
        storage = Storage(opened.enter_context(app.phone(resume=options["resume"])))
        ready = _carry_out(app, dump or _newest(app, storage), storage, wish, options)
    if ready is not None:
        ready.conclude()


def _split(arguments: tuple[str, ...], *, unique: bool) -> tuple[Path | None, tuple[str, ...]]:
    """Return the dump and the names; with --unique all may be names."""
    first = arguments[0] if arguments else ""
    source = Path(first) if first and (is_folder(first) or is_file(Path(first))) else None
    if source is None and not unique:
        if not first:
            raise UsageError("Name the backup: edl restore DIR|IMAGE")
        raise ImageError(f"There is no backup or image '{first}'.", remedies=("Check its name.",))
    return source, _list(arguments[1:] if source is not None else arguments)


def _list(texts: tuple[str, ...], *, lower: bool = False) -> tuple[str, ...]:
    """Return the names in comma lists."""
    names = (name.strip() for text in texts for name in text.split(","))
    return tuple(name.lower() if lower else name for name in names if name)


@contextlib.contextmanager
def _open(app: App, path: Path, luns: frozenset[int] = frozenset()) -> Iterator[Dump]:
    """Open what is to be restored. luns: a bare image is of that one, if it is one."""
    if own.is_saved(path):
        yield own.saved_dump(path)
    elif is_backup(path) or path.is_dir():
        backup = open_backup(path)
        names = {str(extent.file) for _, extent in backup.extents()}
        files = [backup.folder / name for name in sorted(names)]
        yield dumps.of_backup(backup.manifest, backup.content, str(path), files)
    else:
        with open_image(path, app.emit) as image:
            number = next(iter(luns)) if len(luns) == 1 else 0
            yield dumps.of_image(image.luns[0], str(path), path, number)


def _newest(app: App, storage: Storage) -> Dump:
    """Return the one state of what exists only once that this phone's backups hold.

    Raises:
        UsageError: there are none, or several.
    """
    phone = storage.phone
    if phone_serial(phone) is None:
        raise UsageError(
            "This phone does not tell its serial number, so its backups cannot be found.",
            remedies=("Name the backup: edl restore --unique DIR",),
        )
    found = own.versions(_known(app, phone.serial))
    if not found:
        raise UsageError(
            f"No backup of what exists only once on the phone {phone.serial} is known here.",
            remedies=("Name the backup: edl restore --unique DIR",),
        )
    dump = own.merged(found)
    if dump is None:
        different = {version: own.differing(version, storage) for version in found}
        rows = [_row(version, names) for version, names in different.items()]
        more = f" and {len(rows) - _MOST_LISTED} more" if len(rows) > _MOST_LISTED else ""
        meant = [found[-1], *(version for version, names in different.items() if names)][-1]
        raise UsageError(
            f"The backups of this phone hold {len(rows)} different states of what exists only once,"
            f" and the newest need not be the good one: {', '.join(rows[:_MOST_LISTED])}{more}.",
            remedies=(f"Name the one that you want: edl restore --unique {meant.dump.title}",),
        )
    return dump


def _row(version: Version, differing: tuple[str, ...]) -> str:
    told = f"differs in {', '.join(differing)}" if differing else "as it is on the phone now"
    return f"{version.dump.title} (made {version.dump.made}; {told})"


def _known(app: App, serial: str) -> Iterator[Dump]:
    """Yield the backups of that phone that can be read."""
    for known in find(serial):
        if known.state == "complete":
            with contextlib.suppress(ImageError), _open(app, known.path) as dump:
                yield dump


def _carry_out(
    app: App, dump: Dump, storage: Storage, wish: Wish, options: dict[str, Any]
) -> Ready | None:
    """Carry out what is wished; return what was seen around the restart, None of a dry run."""
    app.emit(Stage("dump", f"{dump.title}: whose is it?"))
    restoration = restore.build(dump, storage, wish)
    app.emit(Stage("owner", f"{restoration.verdict.whose}: {restoration.verdict.reason}"))
    if restoration.asks and not options["dry_run"] and app.at_terminal:
        typed = frozenset(_typed(app, name) for name in restoration.asks)
        wish = replace(wish, insisted=wish.insisted | typed)
        restoration = restore.build(dump, storage, wish)
    rules = traced(
        Rules(
            overwrite=restoration.overwrite,
            backup=not options["no_backup"],
            verify=options["verify"],
            resume=options["resume"],
            unchanged=Unchanged(options["unchanged"]),
        ),
        overwrite=sorted(wish.insisted),
    )
    app.emit(Stage("check", "looking at what exists only once on this phone"))
    plan, found = job.prepare(restoration.plan, storage, rules)
    plan = restore.told(plan, own=restoration.own)
    if options["dry_run"]:
        show_plan(app, plan)
        return None
    app.json_line("plan", show.plan_data(plan))
    app.findings(plan)
    if not wish.names and not wish.unique_only:
        app.confirm(_question(restoration, dump), yes=options["yes"])
    heed(app, plan, storage.phone.serial, rules, sources=dump.files, yes=options["yes"])
    if not options["no_check"]:
        with app.gentle() as cancel:
            app.total(sum(part.sectors for part in restoration.parts) * storage.phone.sector_bytes)
            dumps.check(restoration.parts, dump.storage.block_bytes, app.emit, cancel)
    ready = Ready(app, storage.phone, plan, options)
    with app.gentle(plan) as cancel:
        outcome = job.carry_out(
            plan,
            storage.phone,
            found,
            rules,
            emit=app.emit,
            cancel=cancel,
            sources=dump.files,
            before_reset=ready.allows,
        )
    ready.watch()
    boot = app.virtual.report if app.virtual is not None else None
    data = show.outcome_data(outcome, boot) | {"whose": str(restoration.verdict.whose)}
    app.result(data | ready.data, [*show.outcome_text(outcome, boot), *ready.lines])
    return ready


def _typed(app: App, name: str) -> str:
    """Let the user type name, which is unique, and return it.

    Raises:
        click.Abort: something else was typed.
    """
    app.say(
        f"'{name}' belongs to one phone alone. If the dump is not this very phone's, what is there"
        " is lost: the phone may lose its network or its data, or no longer start."
    )
    if not app.types(f"Type '{name}' to overwrite it", name):
        raise click.Abort
    return name


def _question(restoration: Restoration, dump: Dump) -> str:
    plan = restoration.plan
    size = f"{plural(len(plan.writes), 'part')}, {format_size(plan.write_bytes)}"
    if restoration.own:
        when = f" as it was on {dump.made[:10]}" if dump.made else ""
        return f"This makes the phone{when} what the dump holds ({size}): what came later is lost."
    whose = "another phone's" if restoration.verdict.whose is not Whose.UNKNOWN else "an unknown"
    return f"This writes common firmware of {whose} dump ({size}); what is unique here stays."
