# SPDX-License-Identifier: BSD-3-Clause
"""Let this computer's users speak to phones in EDL mode."""

from __future__ import annotations

import shutil
import subprocess

import click

from edl.cli.app import App
from edl.cli.options import Settings, output_options
from edl.doctor import system, udev
from edl.transport.computer import Computer


@click.command("setup-udev")
@click.option("--install", is_flag=True, help="Write the rule; root only.")
@output_options
@click.pass_obj
def command(settings: Settings, install: bool) -> None:
    """Print the udev rule that lets users speak to phones in EDL mode, or install it (Linux).

    \b
    Examples:
      edl setup-udev
      edl setup-udev | sudo tee /etc/udev/rules.d/51-edl.rules
      edl setup-udev --install
    """
    app = App(settings)
    data = {"path": udev.PLACE, "rules": udev.rules_text(), "installed": install, "reloaded": False}
    if not install:
        app.result(data, udev.rules_text().splitlines())
        app.say(f"It belongs in {udev.PLACE}. To put it there: {udev.INSTALL}")
        return
    computer = Computer()
    data["reloaded"] = udev.install(computer, run)
    last = "Plug the phone in again."
    if system.in_container(computer):
        last = "But this is a container, and a rule counts only on the computer itself."
    elif not data["reloaded"]:
        last = "udev was not reloaded: restart the computer, then plug the phone in again."
    app.result(data, [f"Installed {udev.PLACE}. {last}"])


def run(words: list[str]) -> bool:
    """Run a command if it is there, and tell whether it worked."""
    program = shutil.which(words[0])
    if program is None:
        return False
    done = subprocess.run([program, *words[1:]], capture_output=True, check=False, timeout=30)
    return done.returncode == 0
