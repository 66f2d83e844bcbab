# SPDX-License-Identifier: BSD-3-Clause
"""edl for Jumpstarter: a driver for the exporter that has the phone, and what clients call.

A command of edl runs on the exporter's host; its lines come to the client as they are said. Files
are sent there once, and found again by their hash.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import from_thread, to_thread
from jumpstarter.client import FlasherClient
from jumpstarter.driver import Driver, FlasherInterface, export

from edl import places
from edl.lab.job import JobError, Line, phone_options, run
from edl.lab.pack import packed

_BLOCK = 1 << 20
_HELD = re.compile(r"[0-9a-f]{64}/[^/\0]+")  # digest and name of a file


@dataclass(kw_only=True)
class EDL(FlasherInterface, Driver):
    """A phone in EDL mode at this exporter.

    usb_path: where it is plugged in (`1-4.2`). serial: its serial number. virtual: the folder of a
    virtual phone. tool: how edl is called here. cache: folder for what clients send.
    """

    usb_path: str = ""
    serial: str = ""
    virtual: str = ""
    tool: str = "edl"
    cache: str = ""

    @classmethod
    def client(cls) -> str:
        """See Jumpstarter."""
        return "edl.lab.jumpstarter.EDLClient"

    @export
    async def run(self, words: list[str]) -> AsyncGenerator[str, None]:
        """Run `edl WORDS...` for this phone, and yield its JSON lines; the last one ends it."""
        phone = phone_options(self.usb_path, self.serial, self.virtual)
        send, receive = anyio.create_memory_object_stream[str](math.inf)

        def heard(line: Line) -> None:
            from_thread.run_sync(send.send_nowait, json.dumps(line))

        async def work() -> None:
            with send:
                try:
                    command = [self.tool, "--json", *phone, *words]
                    last = await to_thread.run_sync(run, command, heard)
                except JobError as error:
                    last = {**vars(error), "type": "error"}
                send.send_nowait(json.dumps(last))

        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(work)
            async for text in receive:
                yield text

    @export
    def held(self, name: str) -> str:
        """Return the path of the file `SHA256/NAME` here; empty if it was not sent yet."""
        path = self._held(name)
        return str(path) if path.is_file() else ""

    @export
    async def flash(self, source: Any, target: str | None = None) -> str:  # noqa: ANN401
        """Keep what a client sends as `SHA256/NAME`, and return its path here.

        Raises:
            ValueError: it is not what its name says.
        """
        path = self._held(target or "")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            try:
                async with self.resource(source) as stream:
                    async for block in stream:
                        digest.update(block)
                        file.write(block)
                if digest.hexdigest() != path.parent.name:
                    raise ValueError(f"{path.name} did not arrive as it was sent")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return str(path)

    @export
    async def dump(self, target: Any, partition: str | None = None) -> None:  # noqa: ANN401
        """Read a partition, and send it to the client."""
        phone = phone_options(self.usb_path, self.serial, self.virtual)
        with tempfile.TemporaryDirectory(prefix="edl-") as folder:
            path = Path(folder) / "read"
            command = [self.tool, "--json", *phone, "read", partition or "", str(path)]
            await to_thread.run_sync(run, command, lambda _: None)
            async with self.resource(target) as stream:
                with path.open("rb") as file:
                    while block := file.read(_BLOCK):
                        await stream.send(block)

    def _held(self, name: str) -> Path:
        if not _HELD.fullmatch(name) or name.endswith(("/.", "/..")):
            raise ValueError(f"'{name}' is not SHA256/NAME")
        return Path(self.cache or Path(places.data()) / "lab") / name


@dataclass(kw_only=True)
class EDLClient(FlasherClient):
    """What a test calls; each method is a command of edl and returns its result (docs/json.md).

    All raise `edl.lab.job.JobError`, with edl's code, message and remedies.
    """

    def edl(self, *words: str) -> Line:
        """Run `edl WORDS...`."""
        line: Line = {}
        result: Line | None = None
        for text in self.streamingcall("run", list(words)):
            line = json.loads(text)
            match line.get("event", line["type"]):
                case "stage" | "notice":
                    self.logger.info("%s", line["text"])
                case "step":
                    self.logger.info("%s/%s %s", line["index"], line["count"], line["title"])
                case "finding":
                    self.logger.info("%s", line["message"])
                case "result":
                    result = line
        if result is None:
            raise JobError(line, line.get("result"))
        return result

    def flash(self, path: Any, *, target: str | None = None, compression: Any = None) -> Line:  # noqa: ANN401
        """Write a package; see `rawprogram`. It is never agreed to what edl asks about."""
        del compression  # the line from host to host is not what is slow
        return self.rawprogram(path, *(["--only", target] if target else []))

    def rawprogram(self, package: str | os.PathLike[str], *options: str, yes: bool = False) -> Line:
        """Write a package, verify it, and restart the phone. yes: agree to what edl asks."""
        there = self._there(Path(package))
        return self.edl("rawprogram", there, *options, *(["--yes"] if yes else []))

    def verify(self, package: str | os.PathLike[str], *options: str) -> Line:
        """Compare the phone with a package."""
        return self.edl("verify", self._there(Path(package)), *options)

    def resume(self, *options: str) -> Line:
        """Go on with the interrupted job of this phone."""
        return self.edl("resume", *options)

    def info(self, *options: str) -> Line:
        """Return what the phone is."""
        return self.edl("info", *options)

    def boot_check(self, *options: str) -> Line:
        """Return whether the phone would start."""
        return self.edl("boot-check", *options)

    def reset(self, mode: str = "system", *options: str) -> Line:
        """Restart the phone: `system`, `off` or `edl`."""
        return self.edl("reset", "--mode", mode, *options)

    def _there(self, path: Path) -> str:
        """Return the path of a file, or of a packed folder, on the exporter."""
        if path.is_dir():
            with tempfile.TemporaryDirectory(prefix="edl-") as folder:
                return self._there(packed(path, Path(folder)))
        with path.open("rb") as file:
            name = f"{hashlib.file_digest(file, 'sha256').hexdigest()}/{path.name}"
        return str(self.call("held", name) or super().flash(path, target=name))
