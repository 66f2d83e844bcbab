# SPDX-License-Identifier: BSD-3-Clause
"""The table of commands, and what happens to an error.

`edl --help` imports click and nothing else: a command's module is imported when it is called.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

import edl
from edl.cli import defaults, terminal
from edl.cli.names import ALIASES, LATER, LEFT_OUT, translate
from edl.cli.options import Settings, config_file, global_options
from edl.errors import EdlError, UsageError

# name -> (module, help line, section)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "rescue": ("rescue", "Be led through a rescue, step by step.", "Rescue"),
    "rawprogram": ("rawprogram", "Write a package (folder or XML files) to the phone.", "Rescue"),
    "station": ("station", "Write a package to every phone that appears.", "Rescue"),
    "web": ("web", "Show all this on a page in the browser.", "Rescue"),
    "check": ("check", "Look through a package without a phone.", "Rescue"),
    "rehearse": ("rehearse", "Carry a package out on a virtual phone.", "Rescue"),
    "digests": ("digests", "Make tables for programmers that take what is signed.", "Rescue"),
    "verify": ("verify", "Compare the phone with a package.", "Rescue"),
    "backup": ("backup", "Save everything that can be read from the phone.", "Rescue"),
    "restore": ("restore", "Write a backup back, as far as it belongs here.", "Rescue"),
    "ramdump": ("ramdump", "Save the memory of a phone that crashed (900E).", "Rescue"),
    "resume": ("resume", "Go on with the phone's interrupted job.", "Rescue"),
    "list": ("list", "Show the phones in EDL mode.", "Look"),
    "backups": ("backups", "Show what has been saved, of which phones, and where.", "Look"),
    "info": ("info", "Show chip, serial number, keys and storage.", "Look"),
    "printgpt": ("printgpt", "Show the partition tables.", "Look"),
    "sha256": ("sha256", "Show digests of partitions or sectors.", "Look"),
    "read": ("read", "Read partitions or sectors into files.", "Partitions and sectors"),
    "write": ("write", "Write a file to a partition or to sectors.", "Partitions and sectors"),
    "erase": ("erase", "Erase partitions or sectors.", "Partitions and sectors"),
    "nbd": ("nbd", "Serve the phone as a block device.", "Partitions and sectors"),
    "boot-check": ("boot_check", "Look whether the phone would start.", "Control"),
    "reset": ("reset", "Restart the phone, or switch it off.", "Control"),
    "gpt": ("gpt", "Mend partition tables, or compare them.", "Partitions and sectors"),
    "slot": ("slot", "Show which slot (a, b) the phone starts, or choose it.", "Control"),
    "ks": ("ks", "Start a device without flash from images (kickstart).", "Control"),
    "set-bootable": ("set_bootable", "Choose the LUN that the phone boots from.", "Control"),
    "nop": ("nop", "Ask the programmer for a sign of life.", "Control"),
    "provision": ("provision", "Divide UFS storage into LUNs: new chips only.", "Advanced"),
    "xml": ("xml", "Send the programmer commands from a file.", "Advanced"),
    "rawxml": ("rawxml", "Send the programmer a command.", "Advanced"),
    "peek": ("peek", "Show the memory of the phone.", "Advanced"),
    "fixgpt": ("fixgpt", "Let the programmer mend partition tables.", "Advanced"),
    "firmwarewrite": ("firmwarewrite", "Give the storage chip new firmware.", "Advanced"),
    "benchmark": ("benchmark", "Measure cable and storage; nothing is written.", "Advanced"),
    "doctor": ("doctor", "Look at the computer and the cable.", "Without a phone"),
    "setup-udev": ("setup_udev", "Let users speak to phones (Linux).", "Without a phone"),
    "loaders": ("loaders", "Keep, show and choose loaders (programmers).", "Without a phone"),
    "virtual": ("virtual", "Make and show virtual phones.", "Without a phone"),
    "image": ("image", "Look into dumps and images: list, extract, compare.", "Without a phone"),
    "unpack": ("unpack", "Unpack a package of any kind into raw images.", "Without a phone"),
    "convert": ("convert", "Convert an image: raw, sparse, compressed.", "Without a phone"),
    "diff": ("diff", "Compare packages, dumps, backups: what would change.", "Without a phone"),
    "explain": ("explain", "Explain an error code.", "Without a phone"),
    "report": ("report", "Pack what a bug report needs, without names.", "Without a phone"),
    "config": ("config", "Show the defaults that are in force.", "Without a phone"),
    "completion": ("completion", "Let the Tab key complete commands.", "Without a phone"),
}
HIDDEN = dict.fromkeys(("rs", "ws", "es", "rf", "wf"), "sectors") | {"aliases": "aliases"}
_KNOWN = frozenset((*COMMANDS, *ALIASES, *HIDDEN, *LATER, *LEFT_OUT))


class Commands(click.Group):
    """The group of all commands, imported on call."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in HIDDEN:
            module = importlib.import_module(f"edl.cli.commands.{HIDDEN[name]}")
            hidden: click.Command = module.COMMANDS[name]
            return hidden
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"edl.cli.commands.{COMMANDS[name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; says why a known name is missing, and what is close to an unknown one."""
        name = args[0]
        if name in LATER:
            raise UsageError(
                f"'{name}' is not built in yet.", remedies=(f"Until then: {LATER[name]}.",)
            )
        if name in LEFT_OUT:
            raise UsageError(f"'{name}' is left out on purpose: {LEFT_OUT[name]}.")
        if name not in _KNOWN:
            raise _unknown(name)
        if not ctx.resilient_parsing:
            ctx.default_map = defaults.for_commands(config_file(ctx.ensure_object(Settings)))
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click; the commands first."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click; in sections, without importing anything."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (_, text, section) in COMMANDS.items():
            sections.setdefault(section, []).append((name, text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


def _unknown(name: str) -> UsageError:
    import difflib  # noqa: PLC0415  # only for a mistyped command

    close = difflib.get_close_matches(name, [*COMMANDS, *ALIASES, *LATER], n=3, cutoff=0.6)
    remedies = [f"Did you mean {' or '.join(f'edl {word}' for word in close)}?"] if close else []
    if os.path.isdir(name):  # noqa: PTH112  # takes any text
        remedies = [f"To write the package in that folder: edl rawprogram {name}"]
    return UsageError(
        f"There is no command '{name}'.", remedies=(*remedies, "See all commands: edl --help")
    )


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"edl {edl.__version__}")
        ctx.exit()


@click.command(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version.",
)  # fmt: skip
@global_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Bring a Qualcomm phone in EDL (9008) mode back to life.

    \b
    Examples:
      edl                                  what is plugged in, and what to do next
      edl rescue                           be led through it, step by step
      edl rawprogram ROM_FOLDER            write a stock ROM to the phone
      edl rawprogram ROM_FOLDER --dry-run  show what would be written
      edl printgpt                         show the partitions
      edl read boot_a boot.img             save a partition
      edl --virtual qcm2290 info           try it without a phone

    Options of the phone and of the output may stand before or after the command.
    Names that other tools use work too: see 'edl help aliases'.
    """
    if ctx.invoked_subcommand is None:
        from edl.cli import contact  # noqa: PLC0415  # `edl --help` must stay quick

        contact.run(ctx.ensure_object(Settings))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    terminal.prepare()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    settings = Settings()
    status = _run(arguments, settings)
    if settings.talk is not None:
        settings.talk.close()
    return status if settings.report is None else _report(arguments, settings, status)


def _report(arguments: list[str], settings: Settings, status: int) -> int:
    """Write the page that was asked for, however the command ended; return the exit status."""
    from edl.cli import failures, reporting  # noqa: PLC0415  # only when asked for

    try:
        reporting.write(settings, arguments, status)
    except Exception as error:  # noqa: BLE001  # the job itself has ended as it has
        settings.changing = False
        return status or failures.show(error, settings)
    return status


def _run(arguments: list[str], settings: Settings) -> int:
    try:
        _require_folder()
        return _invoke(translate(arguments, _KNOWN), settings)
    except BrokenPipeError:
        return _nobody_reads()
    except (EdlError, click.ClickException, click.Abort, KeyboardInterrupt, EOFError) as error:
        failure: BaseException = error
    except Exception as error:  # noqa: BLE001  # the last line: no traceback ever reaches a user
        failure = error
    if settings.talk is not None:
        settings.talk.close()  # it ends already
    # CPython would end as SIGINT does if that came while it made a dataclass, as imports do
    eval("0")  # noqa: S307
    from edl.cli import failures  # noqa: PLC0415  # only when something failed

    settings.json = settings.json or "--json" in arguments or "--dialog" in arguments
    try:
        return failures.show(failure, settings)
    except BrokenPipeError:
        return _nobody_reads()


def _require_folder() -> None:
    """Make sure that names of files mean something.

    Raises:
        UsageError: the folder in which the command was given has been removed.
    """
    try:
        os.getcwd()  # noqa: PTH109  # pathlib costs more than the rest
    except OSError as error:
        raise UsageError(
            "The folder that you are in does not exist any more.",
            remedies=("Change to another folder, and repeat the command.",),
        ) from error


def _nobody_reads() -> int:
    """Return the status of a program whose reader has gone; there is nobody to tell."""
    terminal.drop(sys.stdout)
    return 141


def _invoke(arguments: list[str], settings: Settings) -> int:
    try:
        with cli.make_context("edl", arguments, obj=settings) as context:
            _invoke_with_help(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        terminal.out(error.format_message().splitlines())
        return 2
    return 0


def _invoke_with_help(context: click.Context) -> None:
    """Run the command; who made a mistake in its line is sent to its help at least."""
    try:
        cli.invoke(context)
    except UsageError as error:
        if not error.remedies:
            name = context.invoked_subcommand
            error.remedies = (f"See '{' '.join(filter(None, ('edl', name, '--help')))}'.",)
        raise
