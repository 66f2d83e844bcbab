# SPDX-License-Identifier: BSD-3-Clause
"""Makes the manual pages in man/ from the commands: `make man`.

One page a command (`man edl-rawprogram`), groups with their commands in one; `edl.1` has what they
share. In the man macros of groff_man(7), which every system reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

import edl
from edl.cli.keys import KEYS, OTHER_VARIABLES
from edl.cli.main import COMMANDS, cli
from tests.conftest import REPO

FOLDER = REPO / "man"
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    context = click.Context(cli, info_name="edl")
    made = {"edl.1": _main_page()}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        made[f"edl-{name}.1"] = _page(name, command, context)
    return made


def _main_page() -> str:
    lines = [
        *_head("edl", str(cli.help).splitlines()[0]),
        ".SH SYNOPSIS",
        ".B edl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_text(str(cli.help)),
        ".SH COMMANDS",
    ]
    for name, (_, text, _) in COMMANDS.items():
        lines += [".TP", rf".BR edl\-{_escape(name)} (1)", _line(text)]
    lines += [".SH OPTIONS", *_options(cli)]
    lines += [".SH EXIT STATUS"]
    page = (REPO / "docs" / "scripting.md").read_text(encoding="utf-8")
    for status, text in _ROW.findall(page):
        lines += [".TP", f".B {status}", _line(re.sub("`", "", text))]
    lines += [".SH ENVIRONMENT"]
    for key in KEYS.values():
        file = f" ({key.name} in the config file)" if key.in_file else ""
        lines += [".TP", f".B {_escape(key.variable)}", _line(key.text + file)]
    for name, text in OTHER_VARIABLES.items():
        lines += [".TP", f".B {_escape(name)}", _line(text)]
    lines += [".SH FILES", ".TP", ".I ~/.config/edl/config.toml", "The config file."]
    lines += [".TP", ".I ~/.local/share/edl", "What is saved, journals and logs."]
    return "\n".join(lines) + "\n"


def _page(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    lines = [*_head(f"edl-{name}", COMMANDS[name][1]), ".SH SYNOPSIS", _usage(command, context)]
    lines += [".SH DESCRIPTION", *_text(str(command.help))]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS"]
        for inner_name, inner in command.commands.items():
            nested = click.Context(inner, info_name=inner_name, parent=context)
            lines += [f".SS {_escape(inner_name)}", _usage(inner, nested), ".PP"]
            lines += [*_text(str(inner.help)), *_options(inner)]
    if own := list(_options(command)):
        lines += [".SH OPTIONS", *own]
    shared = "options of the phone and of the output, exit statuses, environment"
    lines += [".SH SEE ALSO", ".BR edl (1):", _line(shared)]
    return "\n".join(lines) + "\n"


def _head(name: str, text: str) -> list[str]:
    version = f"edl {edl.__version__}"
    return [
        '.\\" Made by tests/docs/make_man.py: make man',
        f'.TH {_escape(name).upper()} 1 "" "{version}" "edl manual"',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(text.rstrip('.'))}",
    ]


def _usage(command: click.Command, context: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(context))
    return f".B {_escape(context.command_path)}\n{_escape(pieces)}"


def _options(command: click.Command) -> Iterator[str]:
    """Yield the options; those that all commands share only for the group of all."""
    shared = {param.name for param in cli.params} if command is not cli else set()
    context = click.Context(command)
    for param in command.params:
        if isinstance(param, click.Option) and param.name not in shared and not param.hidden:
            record = param.get_help_record(context)
            assert record is not None
            yield from (".TP", f".B {_escape(record[0])}", _line(record[1]))


def _text(text: str) -> Iterator[str]:
    r"""Yield the lines of a help text; paragraphs with \b stay as they are."""
    for number, paragraph in enumerate(text.replace("\f", "").strip().split("\n\n")):
        lines = paragraph.splitlines()
        if number:
            yield ".PP"
        if lines[0].strip() == "\b":
            yield ".nf"
            yield from (_line(line) for line in lines[1:])
            yield ".fi"
        else:
            yield from (_line(line.strip()) for line in lines)


def _line(text: str) -> str:
    """Return text as a line that is no request."""
    escaped = _escape(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main() -> None:
    """Write the pages, and remove those of commands that are gone."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        Path(FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
