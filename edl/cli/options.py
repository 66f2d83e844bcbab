# SPDX-License-Identifier: BSD-3-Clause
"""Options that commands share. Those of the phone and of the output may stand on either side.

Each but --dialog, which means that somebody answers just this run, has an environment variable:
EDL_ and its long name; most may stand in the config file, too (`edl.cli.keys`). The command line
wins. Given twice with two values, on whichever side, is an
error: nobody can tell which phone was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edl.cli import defaults
from edl.cli.keys import KEYS, MEMORIES
from edl.errors import UsageError

if TYPE_CHECKING:
    from edl.cli.dialog import Dialog
    from edl.report.collect import Recorder

Function = TypeVar("Function", bound=Callable[..., Any])

_LONGEST_WAIT_S = 7 * 24 * 3600
_PLACE = re.compile(r"\d{1,3}-\d{1,3}(\.\d{1,3}){0,6}")  # as Linux writes it
_SERIAL = re.compile(r"(0x)?[0-9a-f]{1,16}", re.IGNORECASE)


@dataclass
class Settings:
    """What the shared options say.

    given: by option name, to notice contradictions. changing: a job has begun to change the phone,
    so "nothing was written" would not be true. resuming: the interrupted job that `edl resume` goes
    on with. file: the config file, once it was read.
    """

    loader: str | None = None
    memory: str = "auto"
    serial: str | None = None
    usb_path: str | None = None
    vid: str | None = None
    pid: str | None = None
    wait: float | None = None
    max_payload: str | None = None
    port: str | None = None
    virtual: str | None = None
    faults: tuple[str, ...] = ()
    no_identify: bool = False
    json: bool = False
    dialog: bool = False  # and that is --json too
    talk: Dialog | None = None  # once it has begun
    quiet: bool = False
    verbose: int = 0
    log_file: str | None = None
    no_progress: bool = False
    color: str = "auto"
    given: dict[str, object] = field(default_factory=dict)
    changing: bool = False
    resuming: Any = None
    report: str | None = None  # the file for a page about this run, and what that is made of
    recorder: Recorder | None = None
    redact: bool = False  # leave out of it who it was
    file: defaults.File | None = None

    @property
    def serials(self) -> frozenset[str]:
        """The serial numbers that were asked for, as phones tell them."""
        texts = self.serial.split(",") if self.serial is not None else ()
        return frozenset(text.lower().removeprefix("0x").zfill(8) for text in texts)


class Seconds(click.ParamType[float]):
    """A time to wait, up to a week."""

    name = "seconds"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """See click."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"'{value}' is no number of seconds", param, ctx)
        if not 0 <= seconds <= _LONGEST_WAIT_S:
            self.fail(f"{value} is not between 0 and {_LONGEST_WAIT_S}", param, ctx)
        return seconds


def one_of(param: click.Parameter, values: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return the one value among values, or None if there are none.

    Raises:
        UsageError: there are several, it is empty, or it is the next option.
    """
    name = next((option for option in param.opts if option.startswith("--")), param.opts[0])
    for value in values:
        if isinstance(value, str) and (value.startswith("--") or not value.strip()):
            raise UsageError(
                f"Option '{name}' requires an argument.",
                remedies=(SERIAL_REMEDY,) if param.name == "serial" else None,
            )
    if len(set(values)) > 1:
        raise UsageError(f"'{name}' is given twice, with two values: {values[0]}, {values[-1]}.")
    return values[0] if values else None


SERIAL_REMEDY = (
    "--serial takes the phone's serial number, which 'edl list' shows. (In bkerler/edl it means"
    " 'use a serial port'; that is --port PORT here, and found out where USB does not work.)"
)


def once(*names: str, default: Any = None, **keywords: Any) -> Callable[[Function], Function]:  # noqa: ANN401
    """Add an option with one value; repeating it with another one is an error."""

    def pick(_ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:  # noqa: ANN401
        value = one_of(param, values)
        return default if value is None else value

    return click.option(*names, multiple=True, callback=pick, **keywords)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401
    """Put a shared option into the settings."""
    settings = ctx.find_object(Settings)
    name = str(param.name)
    if settings is None:
        return
    given = one_of(param, value) if param.multiple else value or None
    if given is None:
        if name not in settings.given:
            _from_elsewhere(settings, ctx, param)
        return
    if name == "verbose":
        given += settings.given.get(name, 0)
    elif settings.given.get(name, given) != given:
        raise UsageError(
            f"'--{name.replace('_', '-')}' is given twice, with two values:"
            f" {settings.given[name]}, {given}."
        )
    settings.given[name] = given
    setattr(settings, name, _checked(name, given))
    settings.json |= settings.dialog


def _add_faults(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    settings = ctx.find_object(Settings)
    if settings is not None:
        settings.faults += value


def config_file(settings: Settings) -> defaults.File:
    """Return the config file, read once.

    Raises:
        UsageError: see `defaults.read`.
    """
    if settings.file is None:
        settings.file = defaults.read()
    return settings.file


def _from_elsewhere(settings: Settings, ctx: click.Context, param: click.Parameter) -> None:
    """Take the value from the environment, or from the config file."""
    name = str(param.name).replace("_", "-")
    if name not in KEYS or ctx.resilient_parsing:
        return
    found = defaults.lookup(name, config_file(settings))
    if found is None:
        return
    try:
        value = param.type.convert(found.value, param, ctx)
    except click.BadParameter as error:
        raise UsageError(f"{found.where}: {error.message}.") from error
    setattr(settings, str(param.name), _checked(str(param.name), value))
    settings.json |= settings.dialog


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401
    if name == "serial" and not all(map(_SERIAL.fullmatch, value.split(","))):
        raise UsageError(f"'{value}' is no serial number.", remedies=(SERIAL_REMEDY,))
    if name == "usb_path" and not _PLACE.fullmatch(value):
        raise UsageError(
            f"'{value}' is no place on USB.",
            remedies=("'edl list' shows where phones are: 1-4, or 1-4.2 behind a hub.",),
        )
    return value


def _shared(*names: str, **keywords: Any) -> Callable[[Function], Function]:  # noqa: ANN401
    flag = keywords.get("is_flag") or keywords.get("count")
    return click.option(*names, expose_value=False, callback=_store, multiple=not flag, **keywords)


def _refused(*names: str, reason: str) -> Callable[[Function], Function]:
    """Add a hidden option of another tool that cannot mean here what it means there."""

    def refuse(_ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401
        if value is not None:
            names = "' / '".join(param.opts)
            raise UsageError(f"'{names}' is not an option of this edl.", remedies=(reason,))

    return click.option(
        *names, f"refused_{names[0].lstrip('-').replace('-', '_')}", hidden=True,
        expose_value=False, callback=refuse, is_flag=False, flag_value="",
    )  # fmt: skip


def _ignored(*names: str, flag: bool = False) -> Callable[[Function], Function]:
    """Add a hidden option of another tool that says what this one finds out by itself."""
    return click.option(*names, hidden=True, expose_value=False, is_flag=flag)


def _debug(ctx: click.Context, _param: click.Parameter, value: Any) -> None:  # noqa: ANN401
    settings = ctx.find_object(Settings)
    if settings is not None and value and str(value).lower() in {"true", "debug", "trace"}:
        settings.verbose = max(settings.verbose, 2)


_MEMORY = _shared(
    "-m", "--memory", "--storage", "memory", type=click.Choice(MEMORIES, case_sensitive=False),
    help="Storage type [default: found out].",
)  # fmt: skip
_MAX_PAYLOAD = _shared(
    "--max-payload", "--maxpayload", "max_payload", metavar="SIZE",
    help="Largest data transfer to ask for.",
)  # fmt: skip
_VIRTUAL: tuple[Callable[[Any], Any], ...] = (
    _shared(
        "--virtual", metavar="PROFILE|DIR",
        help="Talk to a virtual phone: see 'edl virtual profiles'.",
    ),
    click.option(
        "--fault", multiple=True, metavar="SPEC", expose_value=False, callback=_add_faults,
        help="What goes wrong with it: see 'edl virtual faults'. May be repeated.",
    ),
)  # fmt: skip
_PHONE: tuple[Callable[[Any], Any], ...] = (
    _shared(
        "-l", "--loader", metavar="FILE|DIR|ID:FILE,...",
        help="Programmer to upload, a folder to search, or images by Sahara id.",
    ),
    _MEMORY,
    _shared("-S", "--serial", metavar="SERIAL", help="The phone with this serial number."),
    _shared("--usb-path", metavar="PATH",
            help="The phone at this USB port (1-4.2), as 'edl list' shows it."),
    _shared("--port", "--portname", "port", metavar="PORT",
            help="Serial port with the phone (COM5, /dev/ttyUSB0), instead of USB."),
    _shared("--vid", metavar="HEX", help="USB vendor id, if it is an unusual one."),
    _shared("--pid", metavar="HEX", help="USB product id, if it is an unusual one."),
    _shared(
        "--wait", type=Seconds(), metavar="SECONDS",
        help="Wait for a phone [default: 60 on a terminal, else 0].",
    ),
    _MAX_PAYLOAD,
    _shared("--no-identify", is_flag=True, help="Do not ask the boot ROM who the phone is."),
    *_VIRTUAL,
)  # fmt: skip
_OUTPUT: tuple[Callable[[Any], Any], ...] = (
    _shared("--json", is_flag=True, help="Print JSON lines (docs/json.md)."),
    _shared("--dialog", is_flag=True,
            help="JSON lines, also for questions; answers come on stdin."),
    _shared("-q", "--quiet", is_flag=True, help="Print only results and errors."),
    _shared("-v", "--verbose", count=True, help="Log to stderr; -vv with all commands."),
    _shared("--log-file", metavar="FILE",
            help="Log everything to FILE; FILE.jsonl: for programs."),
    _shared("--no-progress", is_flag=True, help="No progress bar."),
    _shared(
        "--color", type=click.Choice(["auto", "always", "never"]), help="Colours [default: auto].",
    ),
)  # fmt: skip
_FOREIGN: tuple[Callable[[Any], Any], ...] = (
    _refused("-s", reason="It means storage in qdl and a serial number in fastboot: write --memory"
             " or --serial."),
    _refused("--slot", reason="For slot a or b name the partition (boot_a); storage slots are not"
             " built in yet."),
    _refused("--genxml", reason="edl backup DIR writes the XML beside what it saves."),
    _refused("--finalize-provisioning", reason="edl provision FILE.xml divides UFS storage, with"
             " --finalize for ever."),
    _refused("--vip-table-path", reason="It belongs to rawprogram: edl rawprogram PACKAGE --vip"
             " DIR"),
    _refused("--create-digests", reason="A command makes digest tables: edl digests PACKAGE -o"
             " DIR"),
    _refused("--partitionfilename", reason="For NAND behind the Streaming protocol: edl write NAME"
             " FILE --partition-table FILE (docs/streaming.md)."),
    _ignored("--skipresponse", flag=True),
    _ignored("--skipstorageinit", "--skip-storage-init", flag=True),
    _ignored("--devicemodel"),
    _ignored("--sectorsize", "--sector-size"),
    _ignored("--gpt-num-part-entries"),
    _ignored("--gpt-part-entry-size"),
    _ignored("--gpt-part-entry-start-lba"),
    _ignored("--backend"),
    click.option("--debugmode", "--debug", hidden=True, expose_value=False, callback=_debug,
                 is_flag=True),
    click.option("--loglevel", hidden=True, expose_value=False, callback=_debug),
)  # fmt: skip


def global_options(function: Function) -> Function:
    """Add the shared options to the command group."""
    for option in reversed((*_PHONE, *_OUTPUT, *_FOREIGN)):
        function = option(function)
    return function


def slot_option(names: Iterable[str]) -> Callable[[Function], Function]:
    """Add --slot, which other commands refuse: of images that name no slot."""
    option = once(
        "--slot", type=click.Choice(tuple(names)), default="active",
        help="The slot for images that name none [default: active].",
    )  # fmt: skip
    return lambda function: option(free(function, "--slot"))


def free(function: Function, name: str) -> Function:
    """Take the name of a shared option away from it: this command has another meaning for it."""
    params = getattr(function, "__click_params__", [])
    for param in [param for param in params if name in param.opts]:
        param.opts.remove(name)
        if not param.opts:
            params.remove(param)
    return function


def phone_options(function: Function) -> Function:
    """Add the shared options to a command that talks to a phone."""
    return global_options(function)


def virtual_options(function: Function) -> Function:
    """Add --virtual and --fault to a command that finds its phones itself."""
    for option in reversed(_VIRTUAL):
        function = option(function)
    return function


def transfer_options(function: Function) -> Function:
    """Add what decides, without a phone, which bytes would go to one."""
    return _MEMORY(_MAX_PAYLOAD(function))


def output_options(function: Function) -> Function:
    """Add the output options to a command that needs no phone."""
    for option in reversed(_OUTPUT):
        function = option(function)
    return function


def change_options(function: Function) -> Function:
    """Add the safety options of a command that changes the phone."""
    options = (
        click.option(
            "-n", "--dry-run", "--skipwrite", "dry_run", is_flag=True,
            help="Show the plan and touch nothing.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--overwrite", multiple=True, metavar="NAMES",
            help="Overwrite these partitions although they exist only once.",
        ),
        click.option(
            "--no-backup", is_flag=True, help="Do not save first what exists only once."
        ),
        once(
            "--verify", type=click.Choice(["auto", "sha256", "readback", "none"]), default="auto",
            help="How to check what was written [default: auto].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def choose_option(function: Function) -> Function:
    """Add --choose: which part of a package is meant."""
    return click.option(
        "--choose", multiple=True, metavar="NAME=VALUE",
        help="Which part of the package is meant, where it says that it has several.",
    )(function)  # fmt: skip


def lun_option(*, several: bool = False) -> Callable[[Function], Function]:
    """Add --lun: of targets that name none, or (several) the only ones to look at."""
    keywords: dict[str, Any] = {"type": click.IntRange(0, 255), "metavar": "LUN"}
    if several:
        return click.option("-u", "--lun", multiple=True, help="Only these LUNs.", **keywords)
    return once("-u", "--lun", help="LUN of targets that name none.", **keywords)
