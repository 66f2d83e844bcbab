# SPDX-License-Identifier: BSD-3-Clause
"""The end of a rescue: the ROM, the plan, the writing, and what to expect."""

from __future__ import annotations

import copy
from pathlib import Path

from edl import loaders
from edl.cli import asking
from edl.cli.commands import check
from edl.cli.commands.rawprogram import Request, read_request
from edl.cli.finding import Finder
from edl.cli.guide.story import Story
from edl.cli.heldsource import is_image
from edl.errors import EdlError
from edl.plan.build import USER_DATA


def choose(story: Story) -> None:
    """Ask for the ROM until there is one that may be meant for the phone."""
    while True:
        given = asking.words("Where is the ROM", " ".join(story.package))
        if given == ["none"]:
            story.say(
                "Get the stock ROM for exactly this model (the kind for fastboot or EDL), from its"
                " maker if you can, and start again."
            )
            raise asking.Quit
        if given == [" ".join(story.package)]:  # the default, which may have blanks
            given = story.package
        try:
            fits = _fits(story, given)
        except EdlError as error:
            story.show(error)
            continue
        finally:
            story.package = []
        if fits or not asking.agreed("Choose another one?", default=True):
            story.package = given
            return


def _fits(story: Story, given: list[str]) -> bool:
    """Tell what was given is, and whether it can be meant for this phone."""
    story.wipe = False
    story.dump = len(given) == 1 and is_image(given[0])
    if story.dump:
        story.say(
            "That is no ROM, but what was saved from a phone. Of such a thing only what belongs to"
            " this very phone can be written; the next step tells."
        )
        return True
    story.tell("check", *given)
    app = story.app()
    with app.running():
        request = _request(story, given)
        plan = check.look(app, request, steps=False)
    kept = [what for what, _ in plan.left_out if what.lower() in USER_DATA]
    reasons = list(_against(story, request))
    for reason in reasons:
        story.say(f"This ROM does not look right for this phone: {reason}")
    if not reasons and kept:
        story.wipe = not asking.agreed(
            "Keep the photos, apps and settings on the phone, if the ROM allows it?", default=True
        )
    return not reasons


def _request(story: Story, given: list[str]) -> Request:
    """Return what was given, read as `edl check` reads it."""
    settings = copy.copy(story.settings)  # where the loader is noted that is among the files
    with check.command.make_context("check", list(given), obj=settings) as context:
        return read_request(settings, context.params | {"reset": None})


def _against(story: Story, request: Request) -> list[str]:
    """Return what speaks against the package on this phone."""
    reasons = [request.package.other_chip(story.identity)]
    ranked = loaders.rank(request.package.loaders, story.identity)
    if ranked and not ranked[0].verdict.fit.may_start:
        reasons.append(loaders.none_fits(ranked).message)
    return [reason for reason in reasons if reason]


def plan(story: Story) -> None:
    """Show what would be written, and ask."""
    app = story.app()
    with app.running(), app.plugged():
        Finder(app).wait()
    story.command(*_job(story), "--dry-run")
    story.say("Nothing has been written so far.")
    if not asking.agreed("Write this to the phone now?", default=False):
        raise asking.Quit


def write(story: Story) -> None:
    """Write it, verified; with what the command itself asks."""
    story.write(*_job(story))
    story.finished = True


def _job(story: Story) -> tuple[str, ...]:
    """Return the command that writes."""
    if story.dump:
        return ("restore", *story.package, "--reset", "system")
    return ("rawprogram", *story.package, *(["--wipe"] if story.wipe else []))


def expect(story: Story) -> None:
    """Tell what happens now."""
    for text in (
        "Unplug the phone. Take away what forced it into EDL mode: cable, tweezers, jumper. Put the"
        " battery back if it was out.",
        "The first start can take 15 minutes. The maker's logo stands still meanwhile; let it.",
        "If it starts over and over, the old data does not fit the ROM: run this again, and answer"
        " no where it asks whether to keep your photos and apps.",
        "If the screen stays black, plug it in and type: edl. It tells what the phone came back as."
        " EDL mode (9008) again: the ROM may be for another model or version. 900E: its boot loader"
        " starts and stumbles; hold power for 15 seconds, and try another version of the ROM.",
    ):
        story.say(text, "- ")
    if story.saved:
        story.say(f"Keep the backup: {Path(story.saved).absolute()}", "- ")
