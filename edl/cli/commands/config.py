# SPDX-License-Identifier: BSD-3-Clause
"""Show the defaults that are in force, and where they come from."""

from __future__ import annotations

from typing import Any

import click

from edl.cli import defaults
from edl.cli.app import App
from edl.cli.keys import KEYS
from edl.cli.options import Settings, output_options
from edl.home import home


@click.command("config")
@output_options
@click.pass_obj
def command(settings: Settings) -> None:
    """Show the defaults of options: from the environment, from the config file, or built in.

    The config file is TOML; docs/scripting.md lists its keys. Options that waive a question or a
    check have no defaults.

    \b
    Examples:
      edl config
      edl config --json
    """
    file = defaults.read()
    rows = [_row(name, file) for name in KEYS]
    strangers = defaults.strangers()
    data = {
        "file": file.path,
        "exists": file.exists,
        "home": str(home()),
        "settings": rows,
        "unknown_variables": strangers,
    }
    app = App(settings)
    app.result(data, _text(data))
    for name in strangers:
        app.say(f"  note     {name} is no variable of edl: nothing looks at it")


def _row(name: str, file: defaults.File) -> dict[str, Any]:
    key = KEYS[name]
    found = defaults.lookup(name, file)
    source = "built in" if found is None else "environment" if found.variable else "file"
    value = None if found is None else found.value
    return {
        "key": name,
        "value": None if value is None else _shown(value),
        "source": source,
        "where": "" if found is None else key.variable if found.variable else found.where,
        "variable": key.variable,
        "in_file": key.in_file,
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(data: dict[str, Any]) -> list[str]:
    there = "" if data["exists"] else " (not there)"
    lines = [f"config file  {data['file']}{there}", f"data folder  {data['home']}", ""]
    for row in data["settings"]:
        value = "-" if row["value"] is None else row["value"]
        places = row["variable"] if not row["in_file"] else f"{row['variable']} or the file"
        lines.append(f"{row['key']:<16} {value:<16} {row['where'] or f'built in; {places}'}")
    return lines
