# SPDX-License-Identifier: BSD-3-Clause
"""The steps of a guided rescue, in order, and how one follows another."""

from __future__ import annotations

import click

from edl.cli import asking
from edl.cli.guide import finding, flashing, keeping
from edl.cli.guide.story import Step, Story
from edl.errors import (
    CancelledError,
    EdlError,
    ImageError,
    NotReadyError,
    SafetyError,
    StoppedMidwayError,
    UsageError,
    VerifyError,
    WrongSectorSizeError,
    WrongStorageError,
)

# what another ROM may do away with
_OF_THE_ROM = (
    ImageError, NotReadyError, SafetyError, UsageError, WrongSectorSizeError, WrongStorageError,
)  # fmt: skip

STEPS = (
    Step(
        "find", "Find the phone",
        "A dead phone can still be reached in EDL mode, also called 9008 mode.",
        "edl list", finding.find,
    ),
    Step(
        "identify", "See what phone it is",
        "Its chip and its maker's key decide which programs it takes. Nothing is changed.",
        "edl info --no-loader", finding.identify,
    ),
    Step(
        "unfinished", "See what was left unfinished",
        "A job that was interrupted comes first.",
        "edl resume", finding.unfinished,
    ),
    Step(
        "loader", "Have a loader",
        "The phone needs a small program that its maker has signed: the loader, or programmer.",
        "edl loaders add ROM", keeping.loader,
    ),
    Step(
        "storage", "Look at the storage",
        "Is the phone dead because its storage is worn out, or because wrong data is on it? Only"
        " the second can be mended with a ROM. This only reads.",
        "edl doctor --storage", keeping.storage,
    ),
    Step(
        "backup", "Save what is on the phone",
        "What is saved can be put back: your data, and what no ROM contains.",
        "edl backup DIR", keeping.backup,
    ),
    Step(
        "writing", "Try whether the storage keeps what is written",
        "Storage at the end of its life says yes to everything, and keeps nothing.",
        "edl doctor --storage --allow-write", keeping.writing,
    ),
    Step(
        "rom", "Choose the ROM",
        "The stock ROM of exactly this model, as it was downloaded: nothing needs to be unpacked."
        " (You can drag the file or folder into this window.)",
        "edl check ROM", flashing.choose,
    ),
    Step(
        "plan", "See what would be written",
        "The plan for this very phone. Nothing is written yet.",
        "edl rawprogram ROM --dry-run", flashing.plan, back="rom",
    ),
    Step(
        "write", "Write it",
        "What exists only once is saved first. Then everything is written and verified. If the"
        " phone would start then, it is started; otherwise it stays in EDL mode. Leave the cable"
        " alone; Ctrl-C stops safely between two pieces.",
        "edl rawprogram ROM", flashing.write, back="rom",
    ),
    Step("expect", "What to expect now", "", "edl", flashing.expect),
)  # fmt: skip


def commands() -> list[str]:
    """Return what the steps stand for, a line each."""
    width = max(len(step.title) for step in STEPS)
    return [f"{n:>2}. {step.title:<{width}}  {step.command}" for n, step in enumerate(STEPS, 1)]


def tell(story: Story) -> None:
    """Lead through all steps.

    Raises:
        click.Abort: the user wanted to stop; how to go on has been told.
        CancelledError, StoppedMidwayError: the same, in the middle of a command.
        SafetyError: no ROM can mend the phone.
    """
    story.say(
        "This leads you through the rescue of a phone, step by step. Enter takes the answer in"
        " brackets, which is always the careful one. q stops, anywhere; start again to go on."
    )
    at = 0
    while at < len(STEPS):
        step = STEPS[at]
        if story.finished and step is not STEPS[-1]:
            at += 1
            continue
        _announce(story, at)
        try:
            back = _carry_out(story, step)
        except (click.Abort, KeyboardInterrupt, CancelledError, StoppedMidwayError):
            _farewell(story, at)
            raise
        at = _place(back) if back else at + 1


def _announce(story: Story, at: int) -> None:
    step = STEPS[at]
    story.say("")
    story.say(f"Step {at + 1} of {len(STEPS)}: {step.title}")
    if step.why:
        story.say(step.why)


def _carry_out(story: Story, step: Step) -> str:
    """Carry out step; show what went wrong, and ask. Return the step to go back to, or nothing."""
    error = _failure(story, step)
    if error is None:
        return ""
    story.show(error)
    other = bool(step.back) and isinstance(error, _OF_THE_ROM)
    if other:
        story.package = []
    question = "Choose another ROM?" if other else "Try this step again?"
    if not asking.agreed(question, default=not isinstance(error, VerifyError)):
        raise asking.Quit
    return step.back if other else step.name


def _failure(story: Story, step: Step) -> EdlError | None:
    """Carry out step, and return what it failed with."""
    try:
        step.run(story)
    except (CancelledError, StoppedMidwayError):
        raise
    except EdlError as error:
        if story.over:
            raise
        return error
    return None


def _place(name: str) -> int:
    return next(at for at, step in enumerate(STEPS) if step.name == name)


def _farewell(story: Story, at: int) -> None:
    """Tell how to go on."""
    rest = [step.command for step in STEPS[at:-1]]
    story.say("")
    story.say(f'Stopped at step {at + 1}, "{STEPS[at].title}". To go on: edl rescue')
    if rest:
        story.say(f"Or by hand: {'; '.join(rest)}")
