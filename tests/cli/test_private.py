# SPDX-License-Identifier: BSD-3-Clause
"""What is kept on this computer is its user's alone, and nothing of it leaves: docs/security.md."""

from __future__ import annotations

import ast
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.cli import bugs
from edl.home import home, open_private, private_folder
from edl.outfile import new_file
from tests.cli.conftest import LOADER, Edl, write_rows
from tests.conftest import REPO

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    """Let everybody read what nobody takes care of."""
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of folder and of all in it, by path inside it."""
    paths = [folder, *folder.rglob("*")]
    return {str(p.relative_to(folder)): stat.S_IMODE(p.lstat().st_mode) for p in paths}


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what in folder somebody else may look at, with its permissions."""
    return {path: oct(mode) for path, mode in modes(folder).items() if mode & 0o077}


def test_all_that_a_rescue_keeps(edl: Edl, whole: Path, board: Path, tmp_path: Path) -> None:
    """Journal, log, identity, what exists only once, unpacked files, index of loaders, a bug."""
    package = shutil.make_archive(str(tmp_path / "package"), "gztar", board)
    kept = tmp_path / "saved" / "by edl"
    assert edl("loaders", "add", LOADER).status == 0
    broken = edl("--virtual", whole, "rawprogram", package, "--only", "aboot,rpm", "--no-reset")
    assert broken.status == 0
    assert edl("--virtual", whole, "backup", kept, "--only", "aboot,rpm").status == 0
    bugs.keep(ZeroDivisionError("x"))
    assert {path.name for path in home().iterdir()} >= {"bugs", "loaders", "log", "phones"}
    assert any(path.startswith("phones/1a2b3c4d/saved-") for path in modes(home()))
    assert open_to_others(home()) == {}
    assert open_to_others(kept.parent) == {}


def test_an_interrupted_job(edl: Edl, mini: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=8MiB,fault=unplug@out:1500000").status == 0
    (mini / "boot.img").write_bytes(os.urandom(2 << 20))
    write_rows(mini, ("boot.img", 2048, 8192, "boot"))
    assert edl("--virtual", phone, "rawprogram", mini).status == 4
    (journal,) = home().rglob("rawprogram-*.jsonl")
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert open_to_others(home()) == {}


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    private_folder(shared / "a" / "b")
    assert modes(shared) == {".": 0o755, "a": 0o700, "a/b": 0o700}
    with open_private(shared / "file", "xb") as file:
        file.write(b"x")
    assert modes(shared)["file"] == 0o600
    with pytest.raises(FileExistsError):  # it is a file
        private_folder(shared / "file" / "c")


def test_a_link_in_the_place_of_a_new_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out.partial").symlink_to(tmp_path / "victim")
    with new_file(tmp_path / "out") as file:
        file.write(b"new")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "out").read_bytes() == b"new"


# -- what leaves the machine ----------------------------------------------------------------------

# Modules that reach other machines. `socket` is checked by itself: only the USB/IP server, the
# block device and the server for pages listen, on loopback; nbdkit is spoken to through a pair of
# sockets.
NETWORK = {
    "aiohttp", "asyncio", "ftplib", "http", "httpx", "imaplib", "poplib", "requests", "smtplib",
    "socketserver", "ssl", "starlette", "telnetlib", "urllib", "urllib3", "uvicorn", "webbrowser",
    "websockets", "xmlrpc",
}  # fmt: skip
# What pages are answered with, and who opens the first one; tests/web/test_serve.py looks who is
# answered, and urllib.parse only takes an address apart.
PAGES = {
    "edl/cli/commands/web.py": {"webbrowser"},
    "edl/web/app.py": {"asyncio", "starlette"},
    "edl/web/events.py": {"asyncio"},
    "edl/web/guard.py": {"starlette", "urllib"},
    "edl/web/serve.py": {"asyncio", "uvicorn"},
}
LISTENS = {"edl/virtual/usbip.py", "edl/nbd/relay.py", "edl/nbd/server.py",
           "edl/data/nbdkit_plugin.py", "edl/web/serve.py"}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Return the modules that the file at path imports anywhere, by their first name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_nothing_speaks_to_other_machines() -> None:
    users = {
        str(path.relative_to(REPO)): imported(path) for path in sorted((REPO / "edl").rglob("*.py"))
    }
    assert {path: names & NETWORK for path, names in users.items() if names & NETWORK} == PAGES
    assert {path for path, names in users.items() if "socket" in names} == LISTENS
