# SPDX-License-Identifier: BSD-3-Clause
"""Write a file to a partition or to sectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edl import spool
from edl.chunks import BytesContent, Content, FileContent
from edl.cli import named, show
from edl.cli.again import heed, traced
from edl.cli.app import App
from edl.cli.commands.rawprogram import holes_option, show_plan
from edl.cli.options import Settings, change_options, lun_option, once, phone_options
from edl.cli.ready import Ready, look_option
from edl.cli.reporting import report_option
from edl.cli.targets import files_for, is_file, with_lun
from edl.device.phone import Phone
from edl.device.storage import Place, Storage, Target, parse_targets
from edl.errors import ImageError, PackageError, UsageError
from edl.events import Stage
from edl.files import File, on_disk
from edl.firehose.commands import Area
from edl.formats.sparse import SparseImage, is_sparse
from edl.formats.super import is_empty_super
from edl.package import NamedImage, Package
from edl.packages import tars
from edl.plan import byname, images, job, logical, nand, plausible
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.holes import settled
from edl.plan.job import Rules
from edl.plan.model import Erase, Finding, Plan, Severity, Step, Write
from edl.units import format_size


@click.command("write")
@click.argument("target")
@click.argument("file")
@lun_option()
@once(
    "--unsparse", type=click.Choice(["auto", "no"]), default="auto",
    help="Unpack Android sparse images [default: auto].",
)  # fmt: skip
@holes_option
@look_option
@once(
    "--partition-table", metavar="FILE",
    help="NAND of old programmers: write only if the phone's partition table is this one.",
)  # fmt: skip
@report_option
@change_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Write FILE to TARGET and verify it; several with commas.

    FILE may be compressed (.gz, .xz, .zst, .bz2), and Android sparse images are expanded.
    TARGET: NAME, LUN/NAME, LUN, LUN/START or LUN/START+SECTORS.

    \b
    Examples:
      edl write boot_a boot.img
      edl write system system.img.gz
      edl write 4/boot_a,4/boot_b boot.img,boot.img --dry-run
    """
    targets = with_lun(arguments["target"], arguments["lun"])
    write(App(settings), targets, files_for(targets, arguments["file"]), arguments)


def rules_of(arguments: dict[str, Any]) -> Rules:
    """Return how careful the options say to be."""
    overwrite = (name for text in arguments.get("overwrite", ()) for name in text.split(","))
    return traced(
        Rules(
            overwrite=tuple(name.strip() for name in overwrite if name.strip()),
            backup=not arguments.get("no_backup"),
            verify=arguments.get("verify", "auto"),
        )
    )


def write(app: App, targets: list[str], files: list[Path], arguments: dict[str, Any]) -> None:
    """Write files to targets."""
    for file in files:
        if not is_file(file):
            raise ImageError(f"There is no file '{file}'.", remedies=("Check its name.",))
    parsed = parse_targets(targets)
    sources = tuple(map(on_disk, files))
    with app.running():
        files = [_unpacked(file, app) for file in files]
    with app.phone() as phone:
        if (programmer := named.by_name(phone)) is not None:
            named.write(app, programmer, parsed, files, arguments)
            return
        storage = Storage(phone)
        if _inside_super(storage, parsed):
            plan = _logical(storage, parsed, files)
            carry_out(app, plan, phone, storage, arguments, sources=sources)
            return
        places = [storage.place(target) for target in parsed]
        unpack = arguments.get("unsparse", "auto") == "auto"
        steps = [
            step
            for place, file in zip(places, files, strict=True)
            for step in _steps(place, file, unpack=unpack)
        ]
        holes = [step for step in steps if isinstance(step, Erase)]
        writes = [step for step in steps if isinstance(step, Write)]
        steps, left_out = settled(holes, writes, zero=arguments.get("holes") == "zero")
        title = ", ".join(place.label for place in places)
        plan = plan_for("write", title, steps, storage)
        plan = nand.placed(plan, [place.area for place in places if place.partition is not None])
        findings = (*plan.findings, *_doubts(places, files))
        plan = checked(replace(plan, findings=findings, left_out=tuple(left_out)))
        whole = ", ".join(place.label for place in places if place.whole_lun)
        size = format_size(plan.write_bytes)
        question = f"This overwrites {whole} from the first sector on ({size})." if whole else ""
        carry_out(app, plan, phone, storage, arguments, question=question, sources=sources)


def _doubts(places: list[Place], files: list[Path]) -> Iterator[Finding]:
    """Yield what speaks against these files at these places, by how they begin."""
    for place, file in zip(places, files, strict=True):
        head = images.head(on_disk(file), plausible.HEAD_BYTES)
        kind = plausible.misplaced(place.label, head)
        if kind is not None:
            yield Finding(
                "wrong-image",
                Severity.ERROR,
                f"{file} is of another kind than partition {place.label} holds: {kind.text}.",
                "",
                "Use the image for this partition. If it is really meant: name LUN/START+SECTORS.",
            )
        elif plausible.is_doubtful(place.label, head):
            yield Finding(
                "unknown-image",
                Severity.WARNING,
                f"{file} is of no known kind, and the phone starts from {place.label}.",
                "",
                f"If it was the wrong file, write the right one: edl write {place.label} FILE",
            )


def _inside_super(storage: Storage, targets: list[Target]) -> bool:
    """Tell whether targets are names of which the tables lack some, on a phone with `super`."""
    if not all(target.name and target.lun is None for target in targets):
        return False
    names = {partition.name.lower() for _, partition in storage.partitions()}
    wanted = [str(target.name).lower() for target in targets]
    missing = [name for name in wanted if name not in names]
    slots = any(f"{name}_a" in names for name in missing)  # storage.place asks which one is meant
    return "super" in names and bool(missing) and not slots


def _logical(storage: Storage, targets: list[Target], files: list[Path]) -> Plan:
    """Return the plan that puts files into the phone's logical partitions, which lie in super.

    Raises:
        UsageError: the phone has nothing of that name there either.
        PackageError: it does not fit.
    """
    texts = [str(target.name) for target in targets]
    package = Package(
        title=", ".join(texts),
        roots=(),
        documents=(),
        home={},
        members={str(file): on_disk(file) for file in files},
        named=tuple(
            NamedImage(name, str(file), file.name) for name, file in zip(texts, files, strict=True)
        ),
    )
    try:
        package = byname.on_phone(package, storage)
    except PackageError:
        for target in targets:
            storage.place(target)  # says what the phone has instead
        raise
    if any(what in texts for what, _ in package.left_out):
        for target in targets:
            storage.place(target)
    options = Options(reset=None, set_bootable=False)
    plan = build(package, job.geometry_for(package, storage), options)
    meant = {text.lower() for text in texts}
    if others := sorted({step.label for step in plan.steps if step.label.lower() not in meant}):
        raise UsageError(
            f"The phone has no partition of exactly that name, but {', '.join(others)} in super.",
            remedies=(f"Name the one you mean, for example {others[0]}.",),
        )
    return checked(replace(plan, job="write"))


def _unpacked(file: Path, app: App) -> Path:
    """Return where the image in file lies, unpacked if it is compressed.

    Raises:
        ImageError: it is an archive of several files.
    """
    image = spool.plain(on_disk(file), app.emit)
    if image.path != file and image.size_bytes and tars.is_tar(image.head(512)):
        raise ImageError(
            f"{file} is an archive of files, no image.",
            remedies=("Write it as a package: edl rawprogram FILE.",),
        )
    return image.path or file


def plan_for(name: str, title: str, steps: list[Step], storage: Storage) -> Plan:
    """Return the plan of steps on this phone."""
    geometry = job.geometry(storage, {step.area.lun for step in steps})
    return Plan(job=name, title=title, geometry=geometry, steps=tuple(steps))


def carry_out(
    app: App,
    plan: Plan,
    phone: Phone,
    storage: Storage,
    arguments: dict[str, Any],
    *,
    question: str = "",
    sources: tuple[File, ...] = (),
) -> None:
    """Show plan and carry it out, asking question first. sources: the files that it writes."""
    rules = rules_of(arguments)
    app.emit(Stage("check", "looking at what exists only once on this phone"))
    plan, found = job.prepare(plan, storage, rules)
    if plan.kept:  # the user named it, so leaving it alone is not what was asked for
        plan = replace(plan, findings=tuple(map(_hardened, plan.findings)))
    if arguments["dry_run"]:
        show_plan(app, plan)
        return
    app.json_line("plan", show.plan_data(plan))
    app.findings(plan)
    if question:
        app.confirm(question, yes=arguments["yes"])
    heed(app, plan, phone.serial, rules, yes=arguments["yes"])
    ready = Ready.if_concerned(app, phone, plan, arguments)
    with app.gentle(plan) as cancel:
        outcome = job.carry_out(
            plan, phone, found, rules, emit=app.emit, cancel=cancel, sources=sources
        )
    conclude(app, outcome, ready)


def conclude(
    app: App,
    outcome: job.Outcome,
    ready: Ready | None,
    more: Mapping[str, Any] | None = None,
    lines: Sequence[str] = (),
) -> None:
    """Tell what came of a job without a restart, and of the start, if that is concerned.

    more, lines: what else the result has; lines stand behind the first.
    """
    if ready is not None:
        ready.glance()
    first, *others = show.outcome_text(outcome)
    boot = {"boot": ready.data["boot"]} if ready is not None else {}
    app.result(
        {**(more or {}), **show.outcome_data(outcome), **boot},
        [first, *lines, *others, *(ready.lines if ready is not None else ())],
    )


def _hardened(finding: Finding) -> Finding:
    if finding.code != "unique-kept":
        return finding
    return replace(finding, severity=Severity.ERROR, code="unique-covered")


def _steps(place: Place, file: Path, *, unpack: bool) -> list[Step]:
    """Return the writes that put file at place, of a super_empty.img those of what it stands for.

    Raises: see _image_steps.
    """
    if unpack and place.label.lower() == logical.SUPER and is_empty_super(_head(file)):
        return [_layout(place, file)]
    return _image_steps(place, file, unpack=unpack)


def _image_steps(place: Place, file: Path, *, unpack: bool) -> list[Step]:
    """Return the writes that put file at place, and erases of what a sparse one leaves open.

    Raises:
        ImageError: it does not fit, is empty or damaged.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            sparse = unpack and is_sparse(stream.read(4))
            image = None
            if sparse:
                stream.seek(0)
                image = SparseImage.read(stream, size, file.name)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror}.") from error
    if size == 0:
        raise ImageError(f"{file} is empty.")
    total = image.size_bytes if image else size
    if total > place.area.size_bytes:
        raise ImageError(
            f"{file} has {total} bytes, '{place.label}' only {place.area.size_bytes}.",
            remedies=("Use the image for this partition of this phone.",),
        )
    if image is None:
        return [_write(place, file, 0, size, FileContent(file, 0, size, _padded(size, place)))]
    steps: list[Step] = []
    if image.block_bytes % place.area.sector_bytes:
        raise ImageError(f"{file} is made of blocks that are no multiple of a sector.")
    for run in images.stretches(on_disk(file), image):
        at, length = run.offset_bytes, run.length
        if run.hole:
            steps.append(Erase(_area(place, at, length), place.label, ""))
        else:
            steps.append(_write(place, file, at, length, run.content(length)))
    return steps


def _head(file: Path) -> bytes:
    with contextlib.suppress(OSError), file.open("rb") as stream:
        return stream.read(4)
    return b""


def _layout(place: Place, file: Path) -> Write:
    """Return the write of what a super_empty.img stands for: metadata for all slots."""
    made = logical.expanded(on_disk(file), place.area.size_bytes)
    size = made.size_bytes
    area = _area(place, 0, size)
    content = BytesContent(made.head(size).ljust(area.size_bytes, b"\0"))
    return Write(area, content, place.label, f"{file} (expanded)", "")


def _padded(size: int, place: Place) -> int:
    unit = place.area.sector_bytes
    return -(-size // unit) * unit


def _write(place: Place, file: Path, offset: int, length: int, content: Content) -> Write:
    return Write(_area(place, offset, length), content, place.label, str(file), "")


def _area(place: Place, offset: int, length: int) -> Area:
    unit = place.area.sector_bytes
    start = place.area.start_sector + offset // unit
    return Area(place.area.lun, start, -(-length // unit), unit)
