# SPDX-License-Identifier: BSD-3-Clause
"""Divide the phone's UFS storage into LUNs."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edl.backup.extents import Choice
from edl.backup.save import Request, check_folder, prepare, save, saved_bytes
from edl.cli import severe
from edl.cli.app import App
from edl.cli.options import Settings, free, once, phone_options
from edl.device import provisioning as device
from edl.device import ufs
from edl.device.firehose import Programmer
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ImageError,
    LockedLayoutError,
    NoDeviceError,
    PackageError,
    SafetyError,
    UsageError,
    VerifyError,
    WrongStorageError,
)
from edl.events import Notice, Stage
from edl.firehose.commands import Power
from edl.formats.provision import Layout, read_provision
from edl.formats.xml import MAX_BYTES
from edl.plan import home, job
from edl.plan import provisioning as plan
from edl.plan.model import findings_data
from edl.units import format_size

_BAR = 30  # columns
_DATA = frozenset({"userdata", "cache"})  # is not saved unless a folder is named: it may take hours
_WORD, _FINAL_WORD = "PROVISION", "FINAL"
_BOOT = {0: "", 1: "boot A", 2: "boot B"}
_LOOK: str = "Enter EDL mode by the keys, and look: edl provision FILE --dry-run"
_UNSURE = (
    "nobody knows how its storage is divided now; enter EDL mode again, and look:"
    " edl provision FILE --dry-run"
)


def _options(function: Any) -> Any:  # noqa: ANN401
    options = (
        click.option(
            "-n", "--dry-run", is_flag=True, help="Show the plan and touch nothing.",
        ),
        click.option(
            "--finalize", "--finalize-provisioning", "finalize", is_flag=True,
            help="Lock the layout for ever, as the file says. Nothing undoes that.",
        ),
        once(
            "--backup", "backup", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
            help="Save everything to DIR first [default: all but userdata to your data folder].",
        ),
        click.option("--no-backup", is_flag=True, help="Save nothing first."),
        severe.allow_option,
    )  # fmt: skip
    function = free(function, "--finalize-provisioning")  # which other commands refuse
    for option in reversed(options):
        function = option(function)
    return function


@click.command("provision")
@click.argument("file", type=click.Path(path_type=Path))
@_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Divide UFS storage into LUNs as the provisioning FILE says. All data on it is lost.

    For new storage chips. A phone that has LUNs needs this only if its package demands another
    layout, and then everything that can be read is saved first.

    \b
    Examples:
      edl provision provision.xml --dry-run
      edl provision provision.xml --backup my-phone
    """
    if arguments["no_backup"] and arguments["backup"]:
        raise UsageError("--backup and --no-backup exclude each other.")
    layout, mark = _read(arguments["file"])
    app = App(settings)
    app.untouched = True
    with app.phone() as phone:
        _Job(app, phone, layout, mark, arguments).run()


def _read(path: Path) -> tuple[Layout, str]:
    """Return the layout in the file path, and the file's digest.

    Raises:
        ImageError: the file cannot be read, or is no such file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    return read_provision(data, path.name), hashlib.sha256(data).hexdigest()


class _Job:
    """One file on one phone."""

    def __init__(
        self, app: App, phone: Phone, layout: Layout, mark: str, arguments: dict[str, Any]
    ) -> None:
        self._app = app
        self._phone = phone
        self._options = arguments
        self._plan = plan.provisioning(layout, survey(phone), finalize=arguments["finalize"])
        self._code = severe.code("provision", mark, phone.serial, arguments["finalize"])
        self._saved: Path | None = None

    def run(self) -> None:
        """Show it, and do it unless that is not wanted."""
        self._app.show(self._text())
        self._findings()
        if self._plan.same and not self._plan.finalize:
            self._result("same", ["The storage is divided so already. Nothing was done."])
            return
        if self._options["dry_run"]:
            told = f"Nothing was changed. In a script: --allow {self._code}"
            self._result("planned", [told])
            return
        saves = self._plan.loses and not self._options["no_backup"]
        self._ask(saves=saves)
        if saves:
            self._saved = self._save()
        self._commit()

    def _findings(self) -> None:
        for row in findings_data(self._plan.findings):
            self._app.json_line("finding", row)
        errors = self._plan.errors
        for finding in self._plan.findings:
            if errors != (finding,):
                self._app.show_finding(finding)
        if errors:
            first, *others = errors
            more = f" ({len(others)} more above.)" if others else ""
            raise _kind(first.code)(
                f"{first.message}{more} Nothing was changed.",
                remedies=(first.remedy,) if first.remedy else None,
            )

    def _save(self) -> Path | None:
        """Save what can be read, and return where it is."""
        app, wanted = self._app, self._options["backup"]
        folder = wanted or _usual(self._phone)
        check_folder(folder, resume=False)
        storage = Storage(self._phone)
        names = {partition.name.lower() for _, partition in storage.partitions()}
        skip = () if wanted else tuple(sorted(names & _DATA))
        request = Request(folder, Choice(skip=skip))
        try:
            planned = prepare(storage, request)
        except DeviceRefusedError as error:
            app.emit(Notice(f"nothing can be saved: {error.message}"))
            return None
        app.emit(Stage("save", f"{format_size(saved_bytes(planned))} to {folder}"))
        app.total(saved_bytes(planned))
        with app.gentle() as cancel:
            report = save(storage, request, planned, emit=app.emit, cancel=cancel)
        if report.lost:
            raise SafetyError(
                f"Not all could be read, so not all is saved: {', '.join(report.lost[:8])}.",
                remedies=("To go on all the same: add --no-backup; what was saved is there.",),
            )
        return folder

    def _ask(self, *, saves: bool) -> None:
        lost = "ALL DATA ON IT IS LOST, and nothing of it is saved"
        if saves:
            which = "everything" if self._options["backup"] else "everything but userdata"
            lost = f"ALL DATA ON IT IS LOST; {which} that can be read is saved before"
        if not self._plan.loses:
            lost = "it holds no data that could be reached"
        question = f"This divides the storage of phone {self._phone.serial} anew: {lost}."
        word = _WORD
        if self._plan.finalize:
            word = _FINAL_WORD
            question += " The layout becomes FINAL: nothing and nobody can ever change it again."
        given = self._options["allow"]
        severe.require(self._app, question, word=word, wanted=self._code, given=given)

    def _commit(self) -> None:
        """Do it, restart the phone into EDL mode, and look what it has become."""
        app, layout = self._app, self._plan.layout
        programmer = firehose(self._phone)
        app.emit(Stage("provision", "asking the programmer whether it takes the rows"))
        device.rehearse(programmer, layout)
        device.collect(programmer, layout)
        app.emit(Stage("provision", "dividing the storage; this can take minutes: do not unplug"))
        app.settings.changing = True
        try:
            with app.gentle():
                answered = device.commit(programmer, layout)
        except DeviceRefusedError as error:
            app.settings.changing = False
            error.state = "the storage is divided as it was"
            raise
        except EdlError as error:
            error.state = _UNSURE
            raise
        self._verify(answered=answered)

    def _verify(self, *, answered: bool) -> None:
        app = self._app
        try:
            if answered:
                job.reset(self._phone, Power.EDL, app.emit)
            self._phone = app.restarted()
            now = survey(self._phone).luns
        except EdlError as error:
            error.state = _UNSURE
            if isinstance(error, NoDeviceError):
                error.remedies = (_LOOK, *error.remedies[:1])
            raise
        wrong = plan.differences(self._plan, now)
        if wrong:
            said = "said yes" if answered else "left without an answer"
            raise VerifyError(
                f"The phone {said}, but its storage is not divided so: {'; '.join(wrong)}.",
                remedies=("Look at what it has now: edl info", "Repeat the command."),
            )
        lines = ["The storage is divided so: verified after a restart.", *self._next()]
        self._result("done", lines, answered=answered, verified=True)
        app.settings.changing = False

    def _next(self) -> Iterator[str]:
        if self._plan.finalize:
            yield "  final    the layout can never be changed again"
        yield "  next     write the package for this phone: edl rawprogram ROM"
        if self._saved:
            yield f"  saved    {self._saved}: edl restore {self._saved} --unique brings back"
            yield "           what exists only once"

    # -- what is shown --------------------------------------------------------------------------

    def _text(self) -> Iterator[str]:
        storage = self._plan.storage.device
        size = format_size(storage.capacity_bytes) if storage.capacity_bytes else "size not told"
        state = "no LUNs: unprovisioned" if storage.unprovisioned else f"{storage.active} LUNs now"
        if not storage.is_told:
            state = "layout not told"
        yield f"Plan: provision {self._plan.layout.name}"
        yield f"  storage: UFS, {size}, {state}{', LOCKED' if storage.locked else ''}"
        yield f"  {'LUN':<4} {'now':>10} {'then':>10}  to scale"
        whole = sum(each.then_bytes or 0 for each in self._plan.changes) or 1
        for each in self._plan.changes:
            now = format_size(each.now_bytes) if each.now_bytes else "-"
            if each.then_bytes is None:
                then = "the rest"
            else:
                then = format_size(each.then_bytes) if each.then_bytes else "gone"
            bar = "#" * round(_BAR * (each.then_bytes or 0) / whole) or "." * bool(each.row)
            yield f"  {each.lun:<4} {now:>10} {then:>10}  {bar:<{_BAR}} {_about(each)}".rstrip()
        if self._plan.finalize:
            yield "  then the layout is FINAL"

    def _result(
        self,
        state: str,
        lines: list[str],
        *,
        answered: bool | None = None,
        verified: bool | None = None,
    ) -> None:
        storage = self._plan.storage.device
        data = {
            "file": str(self._options["file"]),
            "serial": self._phone.serial,
            "state": state,
            "code": self._code,
            "finalize": self._plan.finalize,
            "unprovisioned": storage.unprovisioned,
            "locked": storage.locked,
            "capacity_bytes": storage.capacity_bytes,
            "unit_bytes": storage.unit_bytes,
            "luns": plan.as_rows(self._plan),
            "backup": None if self._saved is None else str(self._saved),
            "answered": answered,
            "verified": verified,
        }
        self._app.result(data, lines)


def _about(change: plan.Change) -> str:
    """Return what is worth knowing of a LUN, for people."""
    row = change.row
    words = []
    if row is not None:
        words.append(_BOOT[row.values["bBootLunID"]])
        words += ["takes the rest" if change.grows else "", f"({row.about})" if row.about else ""]
    return ", ".join(filter(None, [*words, *change.odd]))


def firehose(phone: Phone) -> Programmer:
    """Return the programmer of phone, which speaks Firehose.

    Raises:
        DeviceRefusedError: it speaks another protocol.
    """
    if not isinstance(phone.programmer, Programmer):
        raise DeviceRefusedError(
            "This phone's programmer does not speak Firehose, and has no such command.",
            remedies=("Use a Firehose programmer for this phone, if there is one.",),
        )
    return phone.programmer


def survey(phone: Phone) -> plan.Storage:
    """Return what the phone has now; a LUN is asked for only if the device says that it is there.

    Raises:
        DeviceRefusedError: the programmer speaks another protocol.
    """
    programmer = firehose(phone)
    about = ufs.device_of(phone.device) if phone.device is not None else ufs.UfsDevice()
    for lun in about.luns or ():
        try:
            phone.lun(lun)
        except DeviceRefusedError as error:
            raise WrongStorageError(
                f"LUN {lun}, which the storage says it has, does not open: {error.message}"
            ) from error
    luns = {lun: ufs.lun_of(info) for lun, info in phone.luns.items()}
    return plan.Storage(about, luns, programmer.generation, programmer.supports("ufs"))


def _usual(phone: Phone) -> Path:
    folder = home.make_folder(home.phone_folder(phone.serial))
    return folder / f"before-provisioning-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"


def _kind(code: str) -> type[EdlError]:
    kinds: dict[str, type[EdlError]] = {
        "layout-locked": LockedLayoutError,
        "locks": SafetyError,
        "does-not-lock": UsageError,
        "pretends": DeviceRefusedError,
        "no-ufs-command": DeviceRefusedError,
    }
    return kinds.get(code, PackageError)
