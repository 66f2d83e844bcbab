# SPDX-License-Identifier: BSD-3-Clause
"""Options that commands share. Those of the phone and of the output may stand on either side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

MEMORIES = ("auto", "emmc", "ufs", "nvme", "spinor", "nand")


@dataclass
class Settings:
    """What the shared options say. given: by option name, to notice contradictions."""

    loader: str | None = None
    memory: str = "auto"
    serial: str | None = None
    vid: str | None = None
    pid: str | None = None
    wait: float | None = None
    max_payload: str | None = None
    virtual: str | None = None
    no_identify: bool = False
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    log_file: str | None = None
    no_progress: bool = False
    color: str = "auto"
    exit_status: int = 0
    given: dict[str, object] = field(default_factory=dict)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401
    settings = ctx.find_object(Settings)
    source = ctx.get_parameter_source(param.name or "")
    if settings is None or source is click.core.ParameterSource.DEFAULT or param.name is None:
        return
    name = param.name
    explicit = source is click.core.ParameterSource.COMMANDLINE
    if name in settings.given and explicit and settings.given[name] != value:
        raise click.UsageError(f"--{name.replace('_', '-')} is given twice, with two values.", ctx)
    if explicit:
        settings.given[name] = value
    if explicit or name not in settings.given:
        setattr(settings, name, value)


def _shared(*names: str, **keywords: Any) -> Callable[[Function], Function]:  # noqa: ANN401
    long = next(name for name in names if name.startswith("--"))
    variable = "EDL_" + long.lstrip("-").upper().replace("-", "_")
    return click.option(*names, expose_value=False, callback=_store, envvar=variable, **keywords)


_PHONE: tuple[Callable[[Any], Any], ...] = (
    _shared(
        "-l", "--loader", metavar="FILE|DIR|ID:FILE,...",
        help="Programmer to upload, a folder to search, or images by Sahara id.",
    ),
    _shared(
        "-m", "--memory", "--storage", "memory", type=click.Choice(MEMORIES, case_sensitive=False),
        default="auto", help="Storage type [default: found out].",
    ),
    _shared("-S", "--serial", metavar="SERIAL", help="The phone with this serial number."),
    _shared("--vid", metavar="HEX", help="USB vendor id, if it is an unusual one."),
    _shared("--pid", metavar="HEX", help="USB product id, if it is an unusual one."),
    _shared(
        "--wait", type=click.FloatRange(min=0), metavar="SECONDS",
        help="Wait for a phone [default: 60 on a terminal, else 0].",
    ),
    _shared(
        "--max-payload", "--maxpayload", "max_payload", metavar="SIZE",
        help="Largest data transfer to ask for.",
    ),
    _shared("--no-identify", is_flag=True, help="Do not ask the boot ROM who the phone is."),
    _shared(
        "--virtual", metavar="PROFILE|DIR",
        help="Talk to a virtual phone: see 'edl virtual profiles'.",
    ),
)  # fmt: skip
_OUTPUT: tuple[Callable[[Any], Any], ...] = (
    _shared("--json", is_flag=True, help="Print JSON lines (docs/json.md)."),
    _shared("-q", "--quiet", is_flag=True, help="Print only results and errors."),
    _shared("-v", "--verbose", count=True, help="Log to stderr; -vv with all commands."),
    _shared("--log-file", metavar="FILE", help="Log everything to FILE."),
    _shared("--no-progress", is_flag=True, help="No progress bar."),
    _shared(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto",
        help="Colours [default: auto].",
    ),
)  # fmt: skip


def global_options(function: Function) -> Function:
    """Add the shared options to the command group."""
    for option in reversed((*_PHONE, *_OUTPUT)):
        function = option(function)
    return function


def phone_options(function: Function) -> Function:
    """Add the shared options to a command that talks to a phone."""
    return global_options(function)


def output_options(function: Function) -> Function:
    """Add the output options to a command that needs no phone."""
    for option in reversed(_OUTPUT):
        function = option(function)
    return function


def change_options(function: Function) -> Function:
    """Add the safety options of a command that changes the phone."""
    options = (
        click.option("-n", "--dry-run", is_flag=True, help="Show the plan and touch nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--overwrite", multiple=True, metavar="NAMES",
            help="Overwrite these partitions although they exist only once.",
        ),
        click.option(
            "--no-backup", is_flag=True, help="Do not save first what exists only once."
        ),
        click.option(
            "--verify", type=click.Choice(["auto", "sha256", "readback", "none"]), default="auto",
            envvar="EDL_VERIFY", help="How to check what was written [default: auto].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function
