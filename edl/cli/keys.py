# SPDX-License-Identifier: BSD-3-Clause
"""Which options have defaults in environment variables and in the config file, and which have not.

What waives a question or a check, chooses what is written, or hides that nothing was, has neither:
--yes, --overwrite, --no-backup, --force, --wipe, --erase-lun, --elsewhere, --from-other-device,
--verify none, --dry-run and their like belong on the command line, where they are seen. What is not
in this table cannot be set, so that a new option is safe until somebody has thought about it.
"""

from __future__ import annotations

from dataclasses import dataclass

MEMORIES = ("auto", "emmc", "ufs", "nvme", "spinor", "nand")

# commands with --verify, as they are nested
_VERIFYING = (
    ("rawprogram",), ("restore",), ("write",), ("erase",), ("slot",), ("gpt", "repair"),
    ("backup",),
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """One default.

    name: in the config file, with a dot between table and key. kind: "text", "flag", "count",
    "seconds", "path" (of a file or folder), or "paths". choices: the values, where only these are
    taken. commands: the commands whose option it is, and option its name there; empty for options
    of all commands, and for what is no option. in_file: the config file may set it.
    """

    name: str
    kind: str
    text: str
    choices: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    in_file: bool = True

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "EDL_" + self.name.replace("-", "_").replace(".", "_").upper()

    @property
    def option(self) -> str:
        """The name of the parameter: of the settings, or of the commands."""
        return self.name.rpartition(".")[2].replace("-", "_")


_ROWS = (
    Key("loader", "path", "programmer to upload, or a folder to search"),
    Key("loaders", "paths", "more folders with loaders"),
    Key("memory", "text", "storage type", choices=MEMORIES),
    Key("wait", "seconds", "how long to wait for a phone"),
    Key("max-payload", "text", "largest data transfer to ask for"),
    Key("no-identify", "flag", "do not ask the boot ROM who the phone is"),
    Key("verify", "text", "how to check what was written or read",
        choices=("auto", "sha256", "readback"), commands=_VERIFYING),
    Key("color", "text", "colours", choices=("auto", "always", "never")),
    Key("no-progress", "flag", "no progress bar"),
    Key("quiet", "flag", "print only results and errors"),
    Key("verbose", "count", "log to stderr: 1, or 2 for all commands"),
    Key("log-file", "path", "log everything to this file"),
    Key("backup.folder", "path", "where `edl backup` without DIR saves"),
    Key("backup.form", "text", "one file a LUN, or one a partition",
        choices=("images", "partitions"), commands=(("backup",),)),
    Key("backup.compress", "flag", "compress backups", commands=(("backup",),)),
    Key("serial", "text", "the phone with this serial number", in_file=False),
    Key("usb-path", "text", "the phone at this USB port", in_file=False),
    Key("port", "text", "serial port with the phone, instead of USB", in_file=False),
    Key("vid", "text", "USB vendor id", in_file=False),
    Key("pid", "text", "USB product id", in_file=False),
    Key("virtual", "text", "talk to a virtual phone", in_file=False),
    Key("json", "flag", "print JSON lines", in_file=False),
)  # fmt: skip
KEYS = {key.name: key for key in _ROWS}
# What only the environment says, and what each is for.
OTHER_VARIABLES = {
    "EDL_HOME": "folder for what is saved, journals and logs",
    "EDL_CONFIG": "the config file",
    "NO_COLOR": "no colours, if it is not empty",
    "FORCE_COLOR": "colours even where there is no terminal",
    "CLICOLOR_FORCE": "the same, if it is not 0",
}
