# SPDX-License-Identifier: BSD-3-Clause
"""edl as labgrid's driver: each method is a command of edl, run on the host with the phone."""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import attr
from labgrid.driver.common import Driver
from labgrid.driver.exception import ExecutionError
from labgrid.factory import target_factory
from labgrid.protocol import BootstrapProtocol
from labgrid.remote.client import Error as ClientError
from labgrid.resource.common import NetworkResource
from labgrid.step import step, steps
from labgrid.util.managedfile import ManagedFile
from labgrid.util.ssh import sshmanager

from edl.lab.job import JobError, Line, phone_options, run
from edl.lab.pack import packed
from edl.lab.resources import EDL_IDS

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class EDLError(ExecutionError, JobError, ClientError):
    """A command of edl failed; see `edl.lab.job.JobError` for what it tells.

    A ClientError, so that labgrid-client shows it and not where in the code it came from.
    """

    def __init__(self, error: JobError) -> None:
        ExecutionError.__init__(self, str(error))
        self.__dict__.update(error.__dict__)

    __str__ = JobError.__str__


@target_factory.reg_driver
@attr.s(eq=False)
class EDLDriver(Driver, BootstrapProtocol):
    """Writes, reads and checks a phone in EDL mode.

    Args:
        package (str): key in `images` of the environment: what rawprogram writes.
        loader (str): key in `images`: a programmer, where the package has none.
        assume_yes (bool): agree to what edl asks about; else what cannot be undone is refused.
        options (list): more options of `edl rawprogram`, such as [--wipe].
    """

    bindings: ClassVar = {
        "phone": {
            "QualcommEDLDevice",
            "NetworkQualcommEDLDevice",
            "VirtualEDLDevice",
            "NetworkVirtualEDLDevice",
        }
    }

    package: str | None = attr.ib(
        default=None, validator=attr.validators.optional(attr.validators.instance_of(str))
    )
    loader: str | None = attr.ib(
        default=None, validator=attr.validators.optional(attr.validators.instance_of(str))
    )
    assume_yes: bool = attr.ib(default=False, validator=attr.validators.instance_of(bool))
    options: list[str] = attr.ib(factory=list, validator=attr.validators.instance_of(list))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        env = self.target.env
        self.tool = env.config.get_tool("edl") if env else "edl"

    @Driver.check_active
    @step(args=["words"])
    def __call__(self, *words: str) -> Line:
        """Run `edl WORDS...` for this phone, and return its result (docs/json.md).

        Raises:
            EDLError: it failed. So with all that follow.
        """
        return self._run(*words)

    @Driver.check_active
    @step(args=["package"])
    def rawprogram(
        self, package: str | None = None, *options: str, yes: bool | None = None
    ) -> Line:
        """Write a package, verify it, and restart the phone; see `edl rawprogram --help`."""
        with self._there(package or self._image(self.package)) as there:
            return self._run(
                "rawprogram", there, *self._loader(), *self.options, *options, *self._yes(yes)
            )

    def load(self, filename: str) -> None:
        """Write a package; what `labgrid-client bootstrap FILE` calls."""
        self.rawprogram(filename)

    @Driver.check_active
    @step(args=["package"])
    def verify(self, package: str | None = None, *options: str) -> Line:
        """Compare the phone with a package."""
        with self._there(package or self._image(self.package)) as there:
            return self._run("verify", there, *self._loader(), *options)

    @Driver.check_active
    @step()
    def resume(self, *options: str) -> Line:
        """Go on with the interrupted job of this phone. Its files are still on the phone's host."""
        return self._run("resume", *options)

    @Driver.check_active
    @step(args=["folder"])
    def backup(self, folder: str, *options: str) -> Line:
        """Save the phone into a folder on the phone's host; it stays there."""
        return self._run("backup", folder, *self._loader(), *options)

    @Driver.check_active
    @step(args=["folder"])
    def restore(self, folder: str, *options: str, yes: bool | None = None) -> Line:
        """Write a backup back that lies on the phone's host."""
        return self._run("restore", folder, *self._loader(), *options, *self._yes(yes))

    @Driver.check_active
    @step(args=["place", "filename"])
    def write(self, place: str, filename: str, *options: str, yes: bool | None = None) -> Line:
        """Write a file of this host to a partition (`boot_a`, `4/boot_a`, `0/34`), verified."""
        with self._there(filename) as there:
            return self._run("write", place, there, *self._loader(), *options, *self._yes(yes))

    @Driver.check_active
    @step(args=["place", "filename"])
    def read(self, place: str, filename: str, *options: str) -> Line:
        """Read a partition into a file of this host, which must not exist."""
        with self._back(filename) as there:
            return self._run("read", place, there, *self._loader(), *options)

    @Driver.check_active
    @step(result=True)
    def info(self, *options: str) -> Line:
        """Return what the phone is: chip, maker, storage."""
        return self._run("info", *self._loader(), *options)

    @Driver.check_active
    @step()
    def printgpt(self, *options: str) -> Line:
        """Return the partition tables."""
        return self._run("printgpt", *self._loader(), *options)

    @Driver.check_active
    @step()
    def boot_check(self, *options: str) -> Line:
        """Return whether the phone would start.

        Raises:
            EDLError: it would not (code `not-ready`); `result` says why.
        """
        return self._run("boot-check", *self._loader(), *options)

    @Driver.check_active
    @step(args=["mode"])
    def reset(self, mode: str = "system", *options: str) -> Line:
        """Restart the phone: into its `system`, `off`, or `edl` mode again."""
        return self._run("reset", "--mode", mode, *self._loader(), *options)

    def _run(self, *words: str) -> Line:
        command = self.phone.wrap_command([self.tool, "--json", *self._options(), *words])
        self.logger.debug("running %s", shlex.join(command))
        with _Telling(self) as tell:
            try:
                return run(command, tell)
            except JobError as error:
                raise EDLError(error) from error

    def _options(self) -> list[str]:
        """Return what tells edl which phone is meant."""
        phone = self.phone
        options = phone_options(
            usb_path=getattr(phone, "path", None) or "",
            serial=getattr(phone, "serial", ""),
            virtual=getattr(phone, "folder", ""),
        )
        ids = [f"{number:04x}" for name in ("vendor_id", "model_id")
               if (number := getattr(phone, name, None)) is not None]  # fmt: skip
        if ids and tuple(ids) not in EDL_IDS:  # edl would not take it for a phone by itself
            options += ["--vid", ids[0], "--pid", ids[1]]
        return options

    def _yes(self, yes: bool | None) -> list[str]:
        return ["--yes"] if (self.assume_yes if yes is None else yes) else []

    def _loader(self) -> list[str]:
        return ["--loader", self._sent(Path(self._image(self.loader)))] if self.loader else []

    def _image(self, key: str | None) -> str:
        if key is None:
            raise ValueError("name a package, or give the driver one: `package: KEY of images`")
        return str(self.target.env.config.get_image_path(key))

    @contextmanager
    def _there(self, filename: str) -> Iterator[str]:
        """Give what filename is called on the host with the phone; it is sent there if need be."""
        path = Path(filename)
        if not path.is_dir() or not isinstance(self.phone, NetworkResource):
            yield self._sent(path)
            return
        with tempfile.TemporaryDirectory(prefix="edl-") as folder:
            # sent even if the host could see it here: it does not stay here, and resume needs it
            there = self._sent(packed(path, Path(folder)), detect_nfs=False)
        yield there

    def _sent(self, path: Path, *, detect_nfs: bool = True) -> str:
        if path.is_dir():
            return str(path.resolve())
        file = ManagedFile(str(path), self.phone, detect_nfs=detect_nfs)
        file.sync_to_resource()
        return str(file.get_remote_path())

    @contextmanager
    def _back(self, filename: str) -> Iterator[str]:
        """Give a name on the host with the phone; what lies there afterwards comes to filename."""
        path = Path(filename).resolve()
        if not isinstance(self.phone, NetworkResource):
            yield str(path)
            return
        if path.exists():
            raise FileExistsError(f"{path} exists")
        ssh = sshmanager.open(self.phone.host)
        (folder,) = ssh.run_check("mktemp -d")
        try:
            yield f"{folder}/read"
            ssh.get_file(f"{folder}/read", str(path))
        finally:
            ssh.run_check(f"rm -rf {folder}")


class _Telling:
    """Passes on what edl says: its steps as labgrid's, the rest to the driver's log."""

    def __init__(self, driver: EDLDriver) -> None:
        self._driver = driver
        self._step: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, line: Line) -> None:
        log = self._driver.logger
        match line.get("event", line.get("type")):
            case "step":
                self._end()
                self._begin(f"{line['index']}/{line['count']} {line['title']}", line["bytes"])
            case "stage" | "notice":
                log.info("%s", line["text"])
            case "busy":
                log.info("%s for %s s", line["doing"] or "busy", line["waited_s"])
            case "device_log":
                log.debug("phone: %s", line["text"])
            case "finding":
                log.log(_LEVELS[line["severity"]], "%s %s", line["message"], line["remedy"])

    def _begin(self, title: str, count: int) -> None:
        source = (__file__, Path(__file__).name, 1)
        self._step = steps.get_new(title, "edl", self._driver, source)
        self._step.args = {"bytes": count}
        self._step.start()

    def _end(self) -> None:
        if self._step is not None:
            self._step.stop()
            self._step = None
