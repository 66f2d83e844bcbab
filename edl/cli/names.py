# SPDX-License-Identifier: BSD-3-Clause
"""Names and lines that users of other tools have in their fingers, in our words.

Pure text, but for looking whether a word is a file: `edl --help` must stay quick.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# What bkerler/edl, qdl, edl-ng and fastboot call what we have. The meaning never changes.
ALIASES = {
    "devices": "list",
    "ls": "list",
    "chipinfo": "info",
    "getstorageinfo": "info",
    "storage-info": "info",
    "identify": "info",
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
    "wl": "restore",
    "write-all": "restore",
    "flash": "rawprogram",
    "qfil": "rawprogram",
    "reboot": "reset",
    "send": "rawxml",
    "setbootablestoragedrive": "set-bootable",
    "getsha256digest": "sha256",
    "memorydump": "ramdump",
    "rl": "backup",
    "read-all": "backup",
    "dump-rawprogram": "backup",
    "create-digests": "digests",
    "getactiveslot": "slot",
    "setactiveslot": "slot",
    "set_active": "slot",
}

_LIST = "'edl list' shows the phones, 'edl doctor' what is in the way; --wait waits for one"

# Commands that are planned: what to use until then.
LATER = {
    "monitor": _LIST,
    "upload-loader": "every command uploads the loader when it is needed: edl info --loader FILE",
    "erase-all": "'edl erase LUN' erases one LUN, unless something on it exists only once",
    "ep": "'edl erase NAME' erases a whole partition, 'edl erase LUN/START+SECTORS' a part",
    "server": "'edl web' serves a page, and '--dialog' with any command other programs",
    "replay": "'edl rehearse FOLDER' carries a package out on a virtual phone",
}

_MEMORY = "'edl peek ADDRESS LENGTH' shows memory where a programmer can; no rescue needs it"
_POKE = "it changes the memory of the running programmer; bkerler/edl has it"
_LOCK = "it changes the lock state; the phone's own fastboot and its maker do that"
_FASTBOOT = "it belongs to fastboot, which needs a phone that starts; EDL mode knows no such thing"

# Commands that are left out on purpose, and why.
LEFT_OUT = {
    **dict.fromkeys(
        ("peekhex", "peekdword", "peekqword", "memtbl", "pbl", "qfp", "secureboot"), _MEMORY
    ),
    **dict.fromkeys(("poke", "pokehex", "pokedword", "pokeqword", "memcpy"), _POKE),
    **dict.fromkeys(("oem", "oem-unlock", "oemunlock", "flashing"), _LOCK),
    **dict.fromkeys(("getvar", "boot", "continue", "update", "flashall"), _FASTBOOT),
    "modules": "it works around makers' locks",
    "footer": "the key in it is of no use without the phone that made it; bkerler/edl has it",
    "writeIMEI": "editing identities of phones is unlawful in many countries",
}

# Options with a value, here or in qdl and bkerler/edl: what comes behind them is no command.
_VALUED = {
    "-l", "--loader", "-m", "--memory", "-s", "--storage", "-S", "--serial", "--vid", "--pid",
    "--wait", "--max-payload", "--maxpayload", "--virtual", "--log-file", "--color", "--port",
    "--portname", "--lun", "-u", "-i", "--include", "-p", "--patch", "--only", "--skip", "--keep",
    "--skipblock", "--slot", "--sectorsize", "--sector-size", "--devicemodel", "--loglevel",
    "--backend", "--vip-table-path", "--create-digests", "--report", "--vip",
    "--allow",
}  # fmt: skip
_WITH_LOADER = {"read", "write", "erase", "sha256", "reset", "printgpt", "info", "verify", "nop"}
# These save one file a partition; edl writes the XML beside them without being told.
_ONE_FILE_A_PARTITION = {"rl", "read-all", "dump-rawprogram"}
_IMAGE_MAP = re.compile(r"\d{1,3}:.+")
_GLOB = re.compile(r"[*?\[]")


def translate(arguments: Sequence[str], known: frozenset[str]) -> list[str]:
    """Return arguments as our own command line.

    known: names of commands. Knows qdl's line, which has no command (`prog.elf rawprogram*.xml`,
    `prog.elf read 0/0+34 FILE`), fastboot's `flash PARTITION FILE`, and `help COMMAND`.
    """
    line = list(arguments)
    at = _positional(line, 0)
    if at is None:
        return line
    name, before, after = line[at], line[:at], line[at + 1 :]
    if name == "help":
        return _help(before, after)
    if name == "flash":
        return [*before, "write" if _is_fastboots(after) else "rawprogram", *after]
    if name == "repair-gpt":
        return [*before, "gpt", "repair", *after]
    if name == "gpt" and not _is_group(after):
        return [*before, "printgpt", *after]
    if name in _ONE_FILE_A_PARTITION:
        return [*before, "backup", "--form=partitions", *(w for w in after if w != "--genxml")]
    if name in known:
        return line
    if _IMAGE_MAP.fullmatch(name):
        return _qdl(before, ["--loader", name], after, named=True)
    if _is_package(name) and not Path(name).is_dir():
        return _qdl(before, [name], after, named=False)
    return line


def _qdl(before: list[str], first: list[str], after: list[str], *, named: bool) -> list[str]:
    """Return qdl's line as ours. named: first is an option already."""
    place = _positional(after, 0)
    if place is not None and after[place] in _WITH_LOADER:
        command = after.pop(place)
        return [command, *before, *(first if named else ["--loader", *first]), *after]
    digests = any(word.startswith("--create-digests") for word in (*before, *after))
    return ["digests" if digests else "rawprogram", *before, *first, *after]


def _help(before: list[str], after: list[str]) -> list[str]:
    place = _positional(after, 0)
    if place is None:
        return [*before, "--help"]
    if after[place] == "aliases":
        return [*before, *after]
    return [*before, after[place], "--help"]


def _is_group(after: list[str]) -> bool:
    """Tell whether what stands behind `gpt` is ours; without that, bkerler/edl prints tables."""
    place = _positional(after, 0)
    if place is None:
        return "--help" in after or "-h" in after
    return after[place] in {"repair", "diff"}


def _is_fastboots(after: list[str]) -> bool:
    """Tell whether what stands behind `flash` is PARTITION [FILE], as fastboot has it."""
    words = []
    place = _positional(after, 0)
    while place is not None:
        words.append(after[place])
        place = _positional(after, place + 1)
    if not words or len(words) > 2:
        return False
    kind = Path(words[-1]).suffix.lower()
    return not _is_package(words[0]) or (len(words) == 2 and kind not in {".xml", ""})


def _positional(line: Sequence[str], start: int) -> int | None:
    """Return where the first word from start on is that is no option and no value of one."""
    at = start
    while at < len(line):
        word = line[at]
        if word == "--":
            return at + 1 if at + 1 < len(line) else None
        if not word.startswith("-") or word == "-":
            return at
        at += 2 if word in _VALUED else 1
    return None


def _is_package(word: str) -> bool:
    """Tell whether word names a file or folder, or a pattern of files."""
    try:
        if Path(word).exists():
            return True
    except (OSError, ValueError):  # too long, or a NUL in it
        return False
    return bool(_GLOB.search(word)) or word.lower().endswith((".xml", ".elf", ".mbn", ".melf"))
