# SPDX-License-Identifier: BSD-3-Clause
"""The middle of a rescue: a loader, the state of the storage, a backup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.backup.extents import Choice
from edl.backup.find import Known, find
from edl.backup.folder import UNFINISHED, read_manifest
from edl.backup.save import Request, prepare, saved_bytes
from edl.cli import asking
from edl.cli.commands import doctor, storage_doctor
from edl.cli.commands.backup import USUAL_BYTES_PER_S, free_bytes
from edl.cli.guide.story import Story
from edl.cli.loading import Loader
from edl.device.storage import Storage
from edl.doctor.verdict import Condition, Verdict
from edl.errors import EdlError, ImageError, SafetyError, UsageError
from edl.formats.manifest import Kind, Manifest
from edl.partitions import Severity, classify
from edl.plan.build import USER_DATA
from edl.units import MIB, format_duration, format_size

_LARGEST_UNIQUE_BYTES = 128 * MIB  # userdata exists only once, too, but is no matter of seconds
_HOPELESS = {Condition.READ_ONLY, Condition.DEAD, Condition.UNPROVISIONED}


# -- the loader -----------------------------------------------------------------------------------


def loader(story: Story) -> None:
    """Make sure that there is a loader for the phone; take it out of a ROM if need be."""
    while True:
        missing = _missing(story)
        if missing is None:
            return
        story.say(missing.message, "  ")
        story.say(
            "The loader is in the stock ROM of the phone. Type where that lies (you can drag the"
            " file or folder into this window), or the loader file, or none."
        )
        given = asking.words("ROM or loader", " ".join(story.package[:1]) or "none")
        if given == ["none"]:
            story.say(
                "Without a loader nothing more can be done. Get the stock ROM for exactly this"
                " model, the kind for fastboot or EDL, and start again."
            )
            raise asking.Quit
        try:
            story.command("loaders", "add", *given[:1])
        except (ImageError, UsageError) as error:
            story.show(error)
        else:
            story.package = story.package or given


def _missing(story: Story) -> EdlError | None:
    """Return why no loader is there for the phone; None where one is, or where none is needed."""
    if story.identity.sahara_version is None:
        story.say("The phone runs its loader already.", "  ")
        return None
    app = story.app()
    try:
        with app.running():
            Loader(story.settings, None, app.emit).images(story.identity)
    except (UsageError, ImageError) as error:
        return error
    return None


# -- the storage ----------------------------------------------------------------------------------


def storage(story: Story) -> None:
    """Look whether the storage is worn."""
    story.verdict = _judged(story, "--storage")
    if story.verdict.condition in {Condition.DEAD, Condition.UNPROVISIONED}:
        raise _hopeless(story, story.verdict)


def writing(story: Story) -> None:
    """Try whether the storage keeps what is written, after all has been saved."""
    worn = story.verdict is not None and story.verdict.condition is Condition.WORN
    if worn:
        story.say(
            "The storage is worn. A ROM may bring the phone back for a while, and may also be the"
            " last thing that the storage takes. What you want to keep must be saved before."
        )
        if not asking.agreed("Write to it all the same?", default=False):
            raise asking.Quit
    story.say(
        "A pattern is written to a few sectors that are blank and belong to nothing, read back,"
        " and made blank again. Nothing of yours is touched."
    )
    if not asking.agreed("Try it?", default=True):
        return
    story.verdict = _judged(story, "--storage", "--allow-write", "--yes")
    if story.verdict.condition in _HOPELESS:
        raise _hopeless(story, story.verdict)


def _judged(story: Story, *options: str) -> Verdict:
    """Return what `edl doctor` with these options makes of the storage."""
    story.tell("doctor", *options)
    with doctor.command.make_context("edl doctor", list(options), obj=story.settings):
        write = "--allow-write" in options
        return storage_doctor.run(story.app(), whole=False, allow_write=write, file=None, yes=write)


def _hopeless(story: Story, verdict: Verdict) -> SafetyError:
    """Return the error that ends the rescue: no ROM helps here."""
    story.over = True
    return SafetyError(
        f"{verdict.sentence} No ROM can mend this phone: the rescue ends here.",
        remedies=verdict.advice[:3],
    )


# -- the backup -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """What could be saved. word: the answer. what: it is. options: of the command."""

    word: str
    what: str
    options: tuple[str, ...]
    planned: Manifest

    @property
    def size_bytes(self) -> int:
        """How much of the phone it is."""
        return saved_bytes(self.planned)

    @property
    def text(self) -> str:
        """What it is, how large, and how long it takes."""
        time = format_duration(self.size_bytes / USUAL_BYTES_PER_S)
        return f"{self.what}: {format_size(self.size_bytes)}, about {time}"


def backup(story: Story) -> None:
    """Save the phone, or what of it the user wants."""
    app = story.app()
    with app.phone() as phone:
        offers = list(_offers(Storage(phone)))
    known = find(story.serial) if story.serial is not None else ()
    if _gone_on(story, offers, known):
        return
    whole = [each for each in known if each.state == "complete" and each.form != "unique parts"]
    if whole:
        story.say(f"There is one of {whole[0].made[:10]} already: {whole[0].path}", "  ")
    free = free_bytes(Path.cwd())
    for offer in offers:
        story.say(f"{offer.word + ':':<8} {offer.text}", "  ")
    story.say(
        "none:    nothing now; what exists only once is saved before the first write anyway", "  "
    )
    if free is not None:
        story.say(f"The disk of this folder has {format_size(free)} free.")
    fitting = [each.word for each in offers if free is None or each.size_bytes <= free]
    default = "none" if whole or not fitting else fitting[0]
    word = asking.one_of("What shall be saved?", [*(each.word for each in offers), "none"], default)
    for offer in offers:
        if offer.word == word:
            _save(story, offer)


def _offers(storage: Storage) -> Iterator[Offer]:
    """Yield what could be saved, the largest first."""
    everything = prepare(storage, Request(Path()))
    yield Offer("all", "everything that can be read", (), everything)
    parts = [
        (extent.name, extent.sectors * everything.storage.sector_bytes)
        for lun in everything.luns
        for extent in lun.extents
        if extent.kind is Kind.PARTITION and extent.file is not None
    ]
    if any(name.lower() == "userdata" for name, _ in parts):
        planned = prepare(storage, Request(Path(), Choice(skip=("userdata",))))
        yield Offer("most", "all but your own data", ("--skip", "userdata"), planned)
    unique = tuple(
        sorted(
            {
                name.lower()
                for name, size in parts
                if classify(name).severity is Severity.MUST_NEVER_CLONE
                and name.lower() not in USER_DATA
                and size <= _LARGEST_UNIQUE_BYTES
            }
        )
    )
    if unique:
        planned = prepare(storage, Request(Path(), Choice(only=unique)))
        what = "only what exists once: calibration, numbers, keys"
        yield Offer("unique", what, ("--only", ",".join(unique)), planned)


def _gone_on(story: Story, offers: list[Offer], known: tuple[Known, ...]) -> bool:
    """Offer to go on with a backup that was interrupted; tell whether that was done."""
    for each in known:
        if each.state != "unfinished":
            continue
        begun = read_manifest(each.path / UNFINISHED)
        same = [offer for offer in offers if offer.planned.luns == begun.luns]
        if not same:
            story.say(f"A backup was begun with other options and not finished: {each.path}", "  ")
            continue
        story.say(f"A backup was begun and not finished: {each.path} ({same[0].what})", "  ")
        if asking.agreed("Go on with it?", default=True):
            story.command("backup", str(each.path), *same[0].options, "--resume")
            story.saved = str(each.path)
            return True
    return False


def _save(story: Story, offer: Offer) -> None:
    """Ask where to, and save."""
    while True:
        given = asking.words("Where to (a new folder)", _new_folder(story.serial))
        try:
            story.command("backup", given[0], *offer.options)
        except UsageError as error:  # that folder cannot take it
            story.show(error)
        else:
            story.saved = given[0]
            return


def _new_folder(serial: str | None) -> str:
    """Return a name that is not taken, in the current folder."""
    name = f"backup-{serial or 'phone'}"
    number = 1
    while Path(f"{name}-{number}" if number > 1 else name).exists():
        number += 1
    return f"{name}-{number}" if number > 1 else name
