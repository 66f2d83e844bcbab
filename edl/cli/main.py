# SPDX-License-Identifier: BSD-3-Clause
"""The table of commands, and what happens to an error.

`edl --help` imports click and nothing else: a command's module is imported when it is called.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

import edl
from edl.cli.options import Settings, global_options
from edl.errors import EdlError

# name -> (module, help line, section)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "rawprogram": ("rawprogram", "Write a package (folder or XML files) to the phone.", "Rescue"),
    "check": ("check", "Look through a package without a phone.", "Rescue"),
    "rehearse": ("rehearse", "Carry a package out on a virtual phone.", "Rescue"),
    "verify": ("verify", "Compare the phone with a package.", "Rescue"),
    "list": ("list", "Show the phones in EDL mode.", "Look"),
    "info": ("info", "Show chip, serial number, keys and storage.", "Look"),
    "printgpt": ("printgpt", "Show the partition tables.", "Look"),
    "sha256": ("sha256", "Show digests of partitions or sectors.", "Look"),
    "read": ("read", "Read partitions or sectors into files.", "Partitions and sectors"),
    "write": ("write", "Write a file to a partition or to sectors.", "Partitions and sectors"),
    "erase": ("erase", "Erase partitions or sectors.", "Partitions and sectors"),
    "reset": ("reset", "Restart the phone, or switch it off.", "Control"),
    "set-bootable": ("set_bootable", "Choose the LUN that the phone boots from.", "Control"),
    "nop": ("nop", "Ask the programmer for a sign of life.", "Control"),
    "virtual": ("virtual", "Make and show virtual phones.", "Without a phone"),
    "explain": ("explain", "Explain an error code.", "Without a phone"),
}

# What users of bkerler/edl, qdl, edl-ng and fastboot have in their fingers.
ALIASES = {
    "devices": "list",
    "ls": "list",
    "chipinfo": "info",
    "getstorageinfo": "info",
    "storage-info": "info",
    "identify": "info",
    "gpt": "printgpt",
    "print-gpt": "printgpt",
    "r": "read",
    "read-part": "read",
    "dump-part": "read",
    "w": "write",
    "write-part": "write",
    "overwrite-storage": "wf",
    "write-lun": "wf",
    "read-lun": "rf",
    "e": "erase",
    "erase-part": "erase",
    "read-sector": "rs",
    "write-sector": "ws",
    "erase-sector": "es",
    "flash": "rawprogram",
    "qfil": "rawprogram",
    "reboot": "reset",
    "setbootablestoragedrive": "set-bootable",
    "getsha256digest": "sha256",
}
HIDDEN = dict.fromkeys(("rs", "ws", "es", "rf", "wf"), ("sectors", ""))

# Commands of other tools that this one leaves out on purpose, and why.
LEFT_OUT = {
    "peek": "it reads memory, which is not recovery; bkerler/edl has it",
    "poke": "it changes memory of the running programmer; bkerler/edl has it",
    "oem-unlock": "it changes the lock state; the phone's own fastboot does that",
    "modules": "it works around makers' locks",
    "provision": "it is not built in yet: a wrong layout destroys UFS storage for good",
    "writeIMEI": "editing identities of phones is unlawful in many countries",
}


class Commands(click.Group):
    """The group of all commands, imported on call."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click."""
        name = ALIASES.get(cmd_name, cmd_name)
        entry = COMMANDS.get(name) or HIDDEN.get(name)
        if entry is None:
            return None
        module = importlib.import_module(f"edl.cli.commands.{entry[0]}")
        command: click.Command = module.COMMANDS[name] if name in HIDDEN else module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; says what is close to an unknown name, and takes qdl's line.

        qdl's line has no command: `prog.elf rawprogram*.xml patch*.xml`.
        """
        name = args[0]
        known = name in COMMANDS or name in ALIASES or name in HIDDEN
        if not known and Path(name).is_file():
            return "rawprogram", self.get_command(ctx, "rawprogram"), args
        if not known and name in LEFT_OUT:
            raise click.UsageError(f"'{name}' is left out on purpose: {LEFT_OUT[name]}.", ctx)
        if not known:
            possible = [*COMMANDS, *ALIASES]
            raise click.exceptions.NoSuchCommand(
                name, possibilities=_close(name, possible), ctx=ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click; in sections, without importing anything."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (_, text, section) in COMMANDS.items():
            sections.setdefault(section, []).append((name, text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


def _close(name: str, possible: list[str]) -> list[str]:
    import difflib  # noqa: PLC0415  # only for a mistyped command

    return difflib.get_close_matches(name, possible, n=3, cutoff=0.6)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"edl {edl.__version__}")
        ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
      edl rawprogram ROM_FOLDER            write a stock ROM to the phone
      edl rawprogram ROM_FOLDER --dry-run  show what would be written
      edl printgpt                         show the partitions
      edl read boot_a boot.img             save a partition
      edl --virtual qcm2290 info           try it without a phone

    Options of the phone and of the output may stand before or after the command.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    settings = Settings()
    try:
        cli.main(args=arguments, prog_name="edl", standalone_mode=False, obj=settings)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except (EdlError, click.ClickException, KeyboardInterrupt, click.Abort) as error:
        return _failed(error, settings)
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:  # noqa: BLE001  # the last line: no traceback ever reaches a user
        return _bug(error, settings)
    return settings.exit_status


def _failed(error: BaseException, settings: Settings) -> int:
    from edl.cli import failures  # noqa: PLC0415  # only when something failed

    return failures.show(error, settings)


def _bug(error: Exception, settings: Settings) -> int:
    from edl.cli import failures  # noqa: PLC0415

    return failures.show_bug(error, settings)


def _broken_pipe() -> int:
    """Whoever read our output is gone: nothing to say, and nobody to say it to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
