# SPDX-License-Identifier: BSD-3-Clause
"""A lab on this machine: labgrid's own programs, and sshd for the way from client to exporter."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.conftest import REPO

_LIMIT_S = 120.0
_CACHE = Path("/var/cache/labgrid")  # labgrid knows no other place
_CLIENTS = Path(__file__).parent / "clients"


@dataclass
class Rack:
    """Hosts `exporter-1`, `exporter-2`, ... are all this machine, reached by ssh like others.

    python: of the environment that has labgrid; edl is found by this repository's path there, and
    the command `edl` is the one of the environment that the tests run in.
    """

    folder: Path
    python: Path
    _port: int = field(default=0, init=False)
    _running: list[subprocess.Popen[str]] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        self._port = _free_port()
        self._ssh()
        at = f"127.0.0.1:{self._port}"
        self.start(self.program("labgrid-coordinator"), "-l", at, until="Coordinator ready")
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            process.wait()
            if process.stdout:  # an ssh that outlives it may hold the other end
                process.stdout.close()
        shutil.rmtree(_CACHE / self.environment["USER"], ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What processes of the lab are started with."""
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("LG_")}
        return inherited | {
            "LG_COORDINATOR": f"127.0.0.1:{self._port}",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO),
            "PYTHONUNBUFFERED": "1",
            "USER": f"edl-test-{os.getpid()}",  # the name of labgrid's cache of files
        }

    def exporter(self, name: str, config: str, under: Sequence[object] = ()) -> None:
        """Start the exporter of host name, under another program."""
        path = self.file(f"{name}.yaml", config)
        command = (self.python, "-m", "edl.lab.exporter", "-n", name, "--hostname", name, path)
        self.start(*under, *command, until="Exporter ready")

    def client(self, *words: str) -> str:
        """Run labgrid-client, and return what it says."""
        return self.done(self.spawn(self.program("labgrid-client"), *words))

    def place(self, name: str, match: str) -> None:
        """Create a place for what fits match, and take it."""
        self.done(self.begin("place", name, match))

    def file(self, name: str, text: str) -> Path:
        """Write a file of the lab."""
        path = self.folder / name
        path.write_text(text)
        return path

    def begin(
        self, program: str, *words: object, under: Sequence[object] = ()
    ) -> subprocess.Popen[str]:
        """Start a program of the folder `clients` in labgrid's Python, under another program."""
        return self.spawn(*under, self.python, _CLIENTS / f"{program}.py", *words)

    def told(self, process: subprocess.Popen[str]) -> Any:  # noqa: ANN401
        """Wait for such a program, and return the line of JSON among what it says."""
        (line,) = (line for line in self.done(process).splitlines() if line.startswith("{"))
        return json.loads(line)

    def spawn(self, *command: object) -> subprocess.Popen[str]:
        """Start a process of the lab; if nobody waits for it, it ends with the lab."""
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )
        self._running.append(process)
        return process

    def start(self, *command: object, until: str) -> None:
        """Start a process that goes on, and wait for the line in which it says that it is ready."""
        process = self.spawn(*command)
        said = []
        for line in process.stdout or ():
            said.append(line)
            if until in line:
                return
        raise AssertionError("".join(said))

    def done(self, process: subprocess.Popen[str]) -> str:
        """Wait for a process that ends well, and return what it says."""
        said, _ = process.communicate(timeout=_LIMIT_S)
        self._running.remove(process)
        assert process.returncode == 0, said
        return said

    def program(self, name: str) -> Path:
        """Return a program of labgrid's environment."""
        return self.python.parent / name

    def _ssh(self) -> None:
        """Start sshd as this user, and put an ssh that knows it first on the path."""
        here = self.folder / "ssh"
        binaries = self.folder / "bin"
        for each in (here, binaries):
            each.mkdir()
        for name in ("host", "user"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", here / name)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where its unprivileged part lives
        port = _free_port()
        remote = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']} EDL_HOME={here / 'home'}"
        (here / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {here / 'host'}\n"
            f"AuthorizedKeysFile {here / 'user.pub'}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"PermitRootLogin yes\nSubsystem sftp internal-sftp\nSetEnv {remote}\n"
        )
        (here / "config").write_text(
            f"Host *\nHostName 127.0.0.1\nPort {port}\nIdentityFile {here / 'user'}\n"
            f"IdentitiesOnly yes\nUserKnownHostsFile {here / 'known'}\n"
        )
        # labgrid speaks to no host whose key is not known
        (here / "known").write_text(f"[127.0.0.1]:{port} {(here / 'host.pub').read_text()}")
        for name in ("ssh", "scp"):
            script = binaries / name
            script.write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {here / "config"} "$@"\n')
            script.chmod(0o755)
        command = (_sshd(), "-D", "-e", "-f", here / "sshd_config")
        self.start(*command, until="Server listening")


def lacking(python: Path | None) -> str:
    """Return why there can be no rack; empty if there can."""
    if python is None:
        return "no labgrid: 'make labgrid', or EDL_LABGRID=/its/venv/bin/python"
    tools = [tool for tool in ("ssh", "ssh-keygen", "scp") if shutil.which(tool) is None]
    tools += [] if _sshd() else ["sshd"]
    return f"{', '.join(tools)}: not installed" if tools else ""


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
