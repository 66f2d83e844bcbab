# SPDX-License-Identifier: BSD-3-Clause
"""Questions about what may cost the phone itself: --yes is no answer to them.

Somebody at a terminal types a word. A script gives a code, which a dry run has told: it is made of
what is to be done and of the phone, so that it proves that just this was looked at before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edl.cli.options import once
from edl.errors import SafetyError

if TYPE_CHECKING:
    from edl.cli.app import App

Function = TypeVar("Function", bound=Callable[..., Any])

_DIGITS = 8


def allow_option(function: Function) -> Function:
    """Add --allow to a command."""
    option = once(
        "--allow", metavar="CODE",
        help="Do it without asking; a dry run tells the CODE for this phone.",
    )  # fmt: skip
    return option(function)


def code(*what: object) -> str:
    """Return the code for what is to be done, JSON-able, and to whom."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def require(app: App, question: str, *, word: str, wanted: str, given: str | None) -> None:
    """Ask before something that cannot be undone and may cost the phone.

    word: to be typed. wanted: the right code; given: that of --allow.

    Raises:
        SafetyError: there is nobody to ask, and the code is missing or another one's.
        click.Abort: something else was typed.
    """
    if given is not None and given.lower() == wanted:
        return
    if given is not None:
        raise SafetyError(
            f"The code {given} is not for this: another file, other options or another phone.",
            remedies=("Add --dry-run, look at what it shows, and use the code that it tells.",),
        )
    if not app.at_terminal:
        raise SafetyError(
            f"{question} There is no terminal to ask on.",
            remedies=("Look at what --dry-run shows; it tells the CODE for --allow.",),
        )
    app.say(question)
    if not app.types(f"Type {word} to go on, anything else to stop", word):
        raise click.Abort
