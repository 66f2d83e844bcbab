# SPDX-License-Identifier: BSD-3-Clause
"""The first steps of a rescue: find the phone, know it, see what was left unfinished."""

from __future__ import annotations

from edl.cli import asking, contact
from edl.cli.again import Again, told
from edl.cli.commands import info
from edl.cli.contact import Contact
from edl.cli.finding import Finder, Seen
from edl.cli.guide import ways
from edl.cli.guide.story import Story
from edl.errors import NoDeviceError
from edl.plan import history
from edl.transport.discovery import Found

_WHOLE = ("rawprogram", "restore")  # commands with which a rescue ends


def find(story: Story) -> None:
    """Return when the phone is there in EDL mode; tell how it gets there until then."""
    story.tell("list")
    told_ways = False
    while True:
        app = story.app()
        with app.running(), app.plugged():
            seen = contact.look(app)
        for line in contact.plugged_in(seen):
            story.say(line, "  ")
        if seen.phones or seen.ports:
            if _usable(story, seen):
                return
        elif not told_ways:
            _tell_ways(story)
            told_ways = True
        if not (seen.phones or seen.ports) and _comes(story):
            continue
        if not asking.agreed("Look again?", default=True):
            raise asking.Quit


def _usable(story: Story, seen: Contact) -> bool:
    """Tell whether it is clear which phone is meant, and it can be opened; say what is wrong."""
    settings = story.settings
    phones: list[Seen] = [*seen.phones, *seen.ports]
    serials = [each.serial for each in phones if each.serial]
    if len(phones) > 1 and settings.serial is None and settings.port is None:
        if len(set(serials)) < len(phones):
            story.say("There are several phones. Unplug all but the one that is to be rescued.")
            return False
        settings.serial = asking.one_of("Which one is it?", serials, serials[0])
        settings.given["serial"] = settings.serial
    problems = [each.problem for each in phones if isinstance(each, Found) and each.problem]
    if problems and not seen.ports:
        story.say("This computer may not open it. Another window can tell why: edl doctor")
        return False
    return True


def _tell_ways(story: Story) -> None:
    """Ask who made the phone, and tell how it gets into EDL mode."""
    story.say(
        "The phone must be in EDL mode (9008). Its screen is black then, and it looks dead: that is"
        " how it should be."
    )
    answers = ("other", *map(str.lower, ways.makers()))
    maker = asking.one_of("Who made it?", answers, "other")
    for way in ways.ways(maker):
        story.say(f"{way.name + ':':<15} {way.what}", "  ")


def _comes(story: Story) -> bool:
    """Wait for a phone, and tell whether one came."""
    app = story.app()
    try:
        with app.running(), app.plugged():
            found = Finder(app).wait()
    except NoDeviceError:
        story.say("No phone in EDL mode came.")
        return False
    return not isinstance(found, Found) or found.mode == "edl"


def identify(story: Story) -> None:
    """Ask the phone who it is, without giving it a programmer."""
    story.tell("info", "--no-loader")
    story.identity = info.alone(story.app())
    number = story.identity.serial
    story.serial = story.settings.serial if number is None else f"{number:08x}"


def unfinished(story: Story) -> None:
    """Offer to go on with a job that was interrupted."""
    found = history.interrupted(story.serial) if story.serial is not None else []
    # a write test of the doctor's leaves all partitions as they are
    jobs = [job for job in found if job.kept.about.get("job") != "doctor"]
    if not jobs:
        story.say("Nothing is unfinished.", "  ")
        return
    for job in jobs:
        story.say(f"Interrupted: {told(job)}", "  ")
    story.say("As long as that is not finished, the phone will not start.")
    if not asking.agreed("Go on with it now?", default=True):
        return
    again = Again.of(jobs[-1])
    story.write("resume", jobs[-1].name)
    story.finished = again is not None and again.words[0] in _WHOLE
