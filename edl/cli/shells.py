# SPDX-License-Identifier: BSD-3-Clause
"""The Tab key in bash and zsh (click's own scripts), in fish and PowerShell (ours).

The script that `edl completion SHELL` prints makes the shell call `edl` with the line in variables
that begin with COMP_ and _EDL_COMPLETE=SHELL_complete. No phone is touched then, and nothing but
the completions is printed.
"""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
)

from edl.cli import completing, terminal

VARIABLE = "_EDL_COMPLETE"

# click's own cuts suggestions with a comma
_FISH = """\
function %(complete_func)s
    for line in (env COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \\
            %(complete_var)s=fish_complete %(prog_name)s)
        set -l parts (string split -m 2 \\t -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                printf '%%s\\t%%s\\n' $parts[2] $parts[3]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = $commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text }
    $env:COMP_WORDS = $words -join "`n"
    $env:COMP_CWORD = $wordToComplete
    $env:%(complete_var)s = 'powershell_complete'
    try {
        $found = & %(prog_name)s
    } finally {
        Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:%(complete_var)s -ErrorAction Ignore
    }
    $found | ForEach-Object {
        $type, $value, $text = $_ -split "`t", 3
        if ($type -eq 'plain') {
            [System.Management.Automation.CompletionResult]::new(
                $value, $value, 'ParameterValue', $text)
        }
    }
}
"""


class _Ours(ShellComplete):
    """Takes what could stand there from our table, so that no command is imported."""

    def source(self) -> str:
        """Return the script; nothing is run to find out which shell there is."""
        return self.source_template % self.source_vars()

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See click."""
        found = completing.suggestions(completing.table(), args, incomplete)
        return [CompletionItem(each.value, each.kind, each.help or None) for each in found]


class Bash(_Ours, BashComplete):
    """bash 4.4 and newer."""


class Zsh(_Ours, ZshComplete):
    """zsh."""


class Fish(_Ours, FishComplete):
    """fish."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """See click."""
        return f"{item.type}\t{item.value}\t{item.help or ''}"


class PowerShell(_Ours):
    """PowerShell 5 and newer. Where nothing is suggested, it completes names of files itself."""

    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """See click: a line for each word, quoted as it was typed."""
        words = [_bare(word) for word in os.environ.get("COMP_WORDS", "").splitlines()]
        return words[1:], _bare(os.environ.get("COMP_CWORD", ""))

    def format_completion(self, item: CompletionItem) -> str:
        """See click."""
        return f"{item.type}\t{item.value}\t{item.help or item.value}"


SHELLS: dict[str, type[_Ours]] = {
    "bash": Bash,
    "zsh": Zsh,
    "fish": Fish,
    "powershell": PowerShell,
}


def script(shell: str) -> str:
    """Return the script that teaches shell, one of SHELLS, the completions."""
    return _complete(shell).source()


def complete() -> int:
    """Print what could stand at the end of the line in the environment; return the exit status."""
    shell, _, what = os.environ[VARIABLE].partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    try:
        text = _complete(shell).complete()
    except Exception:  # noqa: BLE001  # whoever holds the Tab key has no use for any message
        return 1
    terminal.prepare()
    sys.stdout.write(f"{text}\n")
    return 0


def _complete(shell: str) -> _Ours:
    return SHELLS[shell](click.Command("edl"), {}, "edl", VARIABLE)


def _bare(word: str) -> str:
    """Return word without the quotes around it; the last one may still be missing."""
    if word[:1] in {"'", '"'}:
        return word[1:-1] if len(word) > 1 and word.endswith(word[0]) else word[1:]
    return word
