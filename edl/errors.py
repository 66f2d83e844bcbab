# SPDX-License-Identifier: BSD-3-Clause
"""Everything that can go wrong, and what to do about it.

    EdlError                                                                exit 1
    ├── UsageError                the request itself is wrong               exit 2
    ├── NoDeviceError             nothing to talk to                        exit 3
    ├── TransportError            the cable, the port or the driver         exit 4
    │   └── TransportTimeoutError
    │       └── MuteError
    ├── ProtocolError             the device broke the protocol             exit 5
    ├── DeviceRefusedError        the device understood and said no         exit 6
    ├── ImageError                a file is missing, damaged or unsafe      exit 7
    ├── VerifyError               what was read back is not what was sent   exit 8
    ├── NotReadyError             the phone would not start                 exit 8
    ├── SafetyError               a safety finding stopped the job          exit 9
    ├── StoppedMidwayError        stopped after the first written byte      exit 10
    └── CancelledError            the user stopped the job                  exit 130

The docstring of a class is what `edl explain CODE` prints: what it means. `remedies` say what to do
next, most likely first.
"""

from __future__ import annotations

TYPE_CHECKING = False  # these would take along what `edl list` need not wait for
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class EdlError(Exception):
    """Something failed in a way that has no better name.

    Attributes:
        message: what happened, one sentence, with the values.
        remedies: what to do next, most likely first; at most three imperative sentences.
        device_log: the programmer's own words about it, oldest first.
        state: what is on the phone now, where the job had begun to change it.
        parts: what became of each part of that job, JSON-able.
        code: stable name of this kind of error, in kebab-case.
        status: exit status of the command line.
    """

    code = "error"
    status = 1
    remedies: tuple[str, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        remedies: Sequence[str] | None = None,
        device_log: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        if remedies is not None:
            self.remedies = tuple(remedies)
        self.device_log = tuple(device_log)
        self.state = ""
        self.parts: tuple[dict[str, object], ...] = ()

    def __str__(self) -> str:
        return self.message


class UsageError(EdlError):
    """The command line asks for something that does not fit together. Nothing was touched."""

    code = "usage"
    status = 2


class NoDeviceError(EdlError):
    """No phone in EDL mode is connected, or none that matches what was asked for.

    A phone in EDL mode shows a black screen and appears on USB as 05c6:9008 (or a maker's own id)
    with a product name like QUSB_BULK_CID:..._SN:....
    """

    code = "no-device"
    status = 3
    remedies = (
        "Put the phone in EDL mode (often: hold both volume keys while plugging it in); try again.",
        "Run 'edl doctor': it looks at the computer, its drivers and the cable.",
    )


class CrashDumpError(NoDeviceError):
    """The phone crashed and offers a copy of its memory (900E, memory debug). This is no EDL mode.

    It takes no programmer like this. Nothing is read from it unless you ask for it.
    """

    code = "crash-dump"
    remedies = (
        "Hold the power button for 15 seconds until the phone leaves USB, then enter EDL mode"
        " (often: hold both volume keys while plugging it in).",
        "If it always comes back like this, its boot chain is damaged: EDL mode needs the test"
        " points, shorted before power comes, until 9008 shows.",
    )


class TransportError(EdlError):
    """The connection itself failed: the cable, the port, the driver or the permissions."""

    code = "transport"
    status = 4
    remedies: tuple[str, ...] = (
        "Plug the phone directly into the computer, with another cable if you have one.",
        "Hold the power button for 15 seconds, and enter EDL mode again.",
        "Repeat the command.",
    )


class AccessError(TransportError):
    """The phone is visible but may not be opened: permissions, a driver or another program."""

    code = "access"
    remedies = (
        "Run 'edl doctor': it finds the driver, the program or the permission in the way.",
        "On Linux, allow access once (README, 'Permission on Linux') and plug the phone in again.",
        "Close other programs that use the phone (QFIL, ModemManager, another edl).",
    )


class DeviceGoneError(TransportError):
    """The phone left the bus: unplugged, switched off, reset, or it crashed."""

    code = "device-gone"


class TransportTimeoutError(TransportError):
    """The phone did not send or take data in time.

    Attributes:
        done_bytes: how many bytes had gone out before, where it was a write.
    """

    code = "timeout"

    def __init__(
        self,
        message: str,
        *,
        done_bytes: int = 0,
        remedies: Sequence[str] | None = None,
        device_log: Sequence[str] = (),
    ) -> None:
        super().__init__(message, remedies=remedies, device_log=device_log)
        self.done_bytes = done_bytes


class MuteError(TransportTimeoutError):
    """The phone is connected, and answers nothing that it is asked.

    Either it hangs, or it waits for the rest of something that another program has begun: a
    programmer that awaits the data of an interrupted write takes every command for such data. Only
    its keys help.
    """

    code = "mute"
    remedies = (
        "Hold the power button (with volume down) for 15 seconds, then enter EDL mode again.",
        "Stop programs that grab the port, such as ModemManager, and replug.",
    )


class ProtocolError(EdlError):
    """The phone sent something that the protocol does not allow at this point."""

    code = "protocol"
    status = 5
    remedies: tuple[str, ...] = (
        "Hold the power button for 15 seconds, and enter EDL mode again.",
        "Repeat the command.",
        "If it happens again, repeat with --log-file FILE and report it with that file.",
    )


class InterruptedUploadError(ProtocolError):
    """The boot ROM still waits for the rest of a programmer, and does not start over by itself.

    Another program, or an earlier run, has stopped in the middle of sending it.
    """

    code = "interrupted-upload"
    remedies = ("Hold the power button for 15 seconds and enter EDL mode again.",)


class DeviceRefusedError(EdlError):
    """The phone understood the request and said no. Its own words say why, where it gave any."""

    code = "refused"
    status = 6


class MemoryRefusedError(DeviceRefusedError):
    """The crashed phone refused to give memory that its own table lists.

    Parts of it can be closed to the outside (secure memory, switched-off blocks). After a refusal
    most phones await a reset, and give no more of this crash. What came before is kept.
    """

    code = "memory-refused"
    remedies = (
        "Leave that region out: name the others (edl ramdump --list shows them).",
        "If it gives nothing any more, this crash is lost: hold the power button for 15 seconds.",
    )


class VipRefusedError(DeviceRefusedError):
    """The programmer takes only what was signed beforehand (VIP), and this was not it.

    It hashes every transfer and compares it with the next digest of the signed tables. After one
    that differs it takes nothing more: nothing of the session can be saved, and what was written
    before stays.
    """

    code = "vip-refused"
    remedies = (
        "Hold the power button for 15 seconds and enter EDL mode again: a new session begins.",
        "Compare package and tables first: edl rawprogram PACKAGE --vip DIR --dry-run",
    )


class ProgrammerRefusedError(DeviceRefusedError):
    """The phone's boot ROM did not accept the programmer (the loader file).

    A phone with secure boot starts only a programmer that its maker signed for this very chip and
    model. Nothing was written.
    """

    code = "programmer-refused"


class ProgrammerFailedError(ProgrammerRefusedError):
    """The phone took the programmer (the loader file), and it does not run.

    It is signed for this phone, but made for another memory or variant (ddr, lite), or it crashes.
    Nothing was written.
    """

    code = "programmer-failed"


class NoReadingError(DeviceRefusedError):
    """This programmer does not let the flash be read.

    So are most programmers of the old Streaming Download protocol: they write, and answer a request
    to read with memory, with an error or not at all. What cannot be proved to be flash is not given
    out as such.
    """

    code = "no-reading"
    remedies = ("Look for a Firehose programmer for exactly this model.",)


class AuthorizationError(EdlError):
    """The maker locked this programmer: it works only with a signed authorisation.

    It is no DeviceRefusedError: a lock concerns all that is still to come, and never a single
    request that could be done without.

    Only the maker's service (or an account the maker authorised) can give it. This tool does not
    get around such locks, and nothing was written.
    """

    code = "authorization-required"
    status = 6
    remedies = (
        "Ask the maker's service centre; only they can authorise this programmer.",
        "Look for a programmer that the maker released without this lock for the exact model.",
    )


class WrongStorageError(DeviceRefusedError):
    """The package or the request is for another kind of storage than the phone has."""

    code = "wrong-storage"


class UnprovisionedError(WrongStorageError):
    """The UFS storage has no LUNs: nobody has told it yet how to divide itself.

    So is a new chip, as a repair shop puts in. Nothing can be read or written before that is done.
    """

    code = "unprovisioned"
    remedies = (
        "Divide it with the provisioning file for exactly this model: edl provision FILE.xml",
        "A phone that has worked before does not get there by itself: ask the maker's service.",
    )


class WrongSectorSizeError(DeviceRefusedError):
    """The request counts sectors of a size that the storage does not have.

    eMMC counts sectors of 512 bytes, UFS of 4096. A package for the other kind cannot fit.
    """

    code = "wrong-sector-size"


class WriteFailedError(DeviceRefusedError):
    """The storage did not take the data.

    The programmer accepted the command and then failed to write: the flash is write-protected,
    read-only at the end of its life, or defective.
    """

    code = "write-failed"
    remedies = (
        "Save the data first: reading often still works on flash that refuses writes.",
        "Is the flash worn out? edl doctor --storage --allow-write tells, and touches nothing of"
        " yours.",
    )


class ReadFailedError(DeviceRefusedError):
    """The storage could not deliver the data: sectors in this range are defective or forbidden."""

    code = "read-failed"


class ImageError(EdlError):
    """A file is missing, damaged or unsafe. Nothing was written."""

    code = "image"
    status = 7


class PackageError(ImageError):
    """The package does not hold together: a file is missing, or rows contradict each other."""

    code = "package"


class DigestMismatchError(PackageError):
    """What would be sent is not what the signed digest tables (VIP) hold. Nothing was sent.

    Tables are made for one package, with one set of options, down to the last byte. Each transfer
    that differs was shown with the row and the part of the file that it belongs to.
    """

    code = "digest-mismatch"
    remedies = (
        "Use the package, and the options, that the tables were made with.",
        "Or make new tables (edl digests), and have DigestsToSign.bin signed again.",
    )


class DocumentError(ImageError):
    """An XML or binary table cannot be understood; the message names the file and the line."""

    code = "document"


class DiskError(ImageError):
    """This computer's disk does not take or give a file: it is full, read-only or not yours.

    The phone is as the message says; where it says nothing, nothing was written to it.
    """

    code = "disk"


class MissingProgramError(ImageError):
    """Another program that this command works with is not installed. Nothing was done."""

    code = "missing-program"


class DamagedJournalError(DiskError):
    """A journal of an interrupted job is damaged, so that nobody can tell how to go on with it.

    What it noted is not believed. What the phone holds is as the interrupted job left it: it may be
    incomplete. Writing the package again makes it whole.
    """

    code = "damaged-journal"
    remedies = (
        "Run the command of that job again; it begins anew.",
        "Or close the journal: edl resume --forget NAME.",
    )


class VerifyError(EdlError):
    """What the phone holds is not what was sent. Nothing may be called written.

    If it happens again at the same place, the flash acknowledges writes that it does not keep: it
    is worn out or has gone read-only.
    """

    code = "verify"
    status = 8
    remedies = (
        "Run the same command again; if the same place fails, the flash is worn out or read-only.",
    )


class NotReadyError(EdlError):
    """The phone would not start as it is, or was restarted and did not start.

    What was to be written is written and verified. Before the restart the phone is looked at: its
    partition tables, its slot, and each image that it needs, with the key that signed it. A phone
    that would not start is left in EDL mode, where it can still be mended; from a black screen it
    might only come back by test points.
    """

    code = "not-ready"
    status = 8
    remedies = (
        "See all that was found: edl boot-check",
        "Write the stock package for exactly this model: edl rawprogram ROM",
        "To restart it all the same: edl reset",
    )


class StationError(EdlError):
    """Some of several phones have not been written; the others are done.

    What became of each is told in its own line, and in the summary. The exit status is that of the
    first that failed.
    """

    code = "phones-failed"
    status = 6
    remedies = (
        "Look at the lines of those phones: each has its own code and remedies.",
        "Enter EDL mode again with those phones, and repeat the command: it goes on with them.",
    )


class SafetyError(EdlError):
    """A safety finding stopped the job before anything was written."""

    code = "safety"
    status = 9


class BlindWriteError(SafetyError):
    """This programmer does not let the flash be read, and the job would write all the same.

    What exists only once on the phone could not be saved first, and nothing could be verified
    afterwards. Nothing was written. So are most programmers of the old Streaming Download protocol.
    """

    code = "blind-write"
    remedies = (
        "Look for a Firehose programmer for this model: it reads, saves and verifies.",
        "If there is none, and you accept it: add --no-backup --verify none.",
    )


class UnfinishedJobError(SafetyError):
    """An earlier job on this phone was interrupted, and what is asked for would not make up for it.

    The phone holds a part of what that job was to write, and may not start. Nothing of the new job
    was written. When all that it was to write has been written, by itself or by another job, it is
    closed.
    """

    code = "unfinished-job"
    remedies = (
        "Finish it first: edl resume",
        "To leave it as it is, and do this now: add --yes. It can be finished later.",
        "If it shall never be finished: edl resume --forget NAME.",
    )


class LockedLayoutError(SafetyError):
    """How the UFS storage is divided into LUNs was made final, and never changes again.

    The lock (bConfigDescrLock) is in the storage chip. No program lifts it, and the LUNs work as
    they are.
    """

    code = "layout-locked"
    remedies = (
        "Go on with the layout that there is: edl info shows it.",
        "Use a package that was made for it; another layout needs another storage chip.",
    )


class StoppedMidwayError(EdlError):
    """The job stopped after the first written byte. What is on the phone now is in the message."""

    code = "stopped-midway"
    status = 10


class CancelledError(EdlError):
    """The user stopped the job before anything was written."""

    code = "cancelled"
    status = 130


def all_errors() -> Iterator[type[EdlError]]:
    """Yield every error class of this module, the root first."""
    pending: list[type[EdlError]] = [EdlError]
    while pending:
        kind = pending.pop(0)
        yield kind
        pending.extend(kind.__subclasses__())
