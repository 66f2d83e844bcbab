# SPDX-License-Identifier: BSD-3-Clause
"""Questions that are answered in words; q stops, wherever it is typed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from edl.cli import terminal

Answer = TypeVar("Answer")

_QUIT = {"q", "quit", "exit", "stop"}


class Quit(click.Abort):
    """The user wants to stop here."""


def one_of(question: str, answers: Sequence[str], default: str) -> str:
    """Return which of answers was given; their beginnings will do.

    Raises:
        Quit: the answer was q.
        click.Abort: Ctrl-C, or nobody answers any more.
    """

    def read(typed: str) -> str:
        word = typed.strip().lower()
        close = [answer for answer in answers if word and answer.startswith(word)]
        if len(close) == 1 or word in close:
            return word if word in close else close[0]
        raise click.UsageError(f"please type {' or '.join(answers)}, or q to stop")

    return _asked(f"{question} ({', '.join(answers)})", default, read)


def agreed(question: str, *, default: bool) -> bool:
    """Return whether the answer is yes. Raises as one_of does."""
    return one_of(question, ("yes", "no"), "yes" if default else "no") == "yes"


def confirmed(question: str) -> bool:
    """Return whether the answer is y; n, q and Enter are a no. Raises click.Abort for Ctrl-C."""

    def read(typed: str) -> bool:
        answer = typed.strip().lower()
        if answer not in {"y", "yes", "n", "no", *_QUIT}:
            raise click.UsageError("please type y or n")
        return answer in {"y", "yes"}

    answer: bool = click.prompt(
        f"{terminal.clean(question)} [y/N]", default="n", show_default=False, value_proc=read,
        err=True,
    )  # fmt: skip
    return answer


def typed(question: str, word: str) -> bool:
    """Return whether word was typed, letter by letter. Raises click.Abort for Ctrl-C."""
    answer: str = click.prompt(
        terminal.clean(question), default="", show_default=False, err=True,
    )  # fmt: skip
    return answer.strip() == word


def words(question: str, default: str = "") -> list[str]:
    """Return what was typed, as names of files and options; nothing if there was no default.

    Terminals put names that are dropped on them in quotes, or escape their blanks. Raises as
    one_of does.
    """

    def read(typed: str) -> list[str]:
        text = typed.strip()
        if not text or os.path.lexists(text):
            return [text] if text else []
        try:
            return shlex.split(text, posix=os.name == "posix" or text[0] in "\"'")
        except ValueError as error:
            raise click.UsageError("a quotation mark is missing") from error

    return _asked(question, default, read)


def _asked(question: str, default: str, read: Callable[[str], Answer]) -> Answer:
    def value(typed: str) -> Answer:
        if typed.strip().lower() in _QUIT:
            raise Quit
        return read(typed)

    answer: Answer = click.prompt(
        terminal.clean(question), default=default or None, value_proc=value, err=True,
    )  # fmt: skip
    return answer
