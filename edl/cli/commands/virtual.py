# SPDX-License-Identifier: BSD-3-Clause
"""Make and show virtual phones."""

from __future__ import annotations

import contextlib
import ipaddress
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edl.cli.app import App
from edl.cli.loading import search_folders
from edl.cli.options import Settings, output_options
from edl.errors import UsageError
from edl.units import format_size

if TYPE_CHECKING:
    from edl.virtual.phone import Phone

_USBIP_PORT = 3240  # of usbip itself
_USBIP = f"127.0.0.1:{_USBIP_PORT}"


@click.group("virtual")
def command() -> None:
    """Make and show virtual phones: phones in software, to try everything without risk.

    \b
    Examples:
      edl virtual profiles
      edl virtual new my-phone qcm2290
      edl --virtual my-phone rawprogram ROM_FOLDER
    """


@command.command("profiles")
@output_options
@click.pass_obj
def profiles(settings: Settings) -> None:
    """Show which virtual phones there are, and the states in which others may have left them.

    \b
    Examples:
      edl virtual profiles
      edl --virtual msm8953,state=stuck-write info
    """
    from edl.virtual import wear  # noqa: PLC0415
    from edl.virtual.profiles import PROFILES  # noqa: PLC0415
    from edl.virtual.states import CONDITIONS  # noqa: PLC0415

    rows = [
        {
            "name": profile.name,
            "title": profile.title,
            "storage": profile.storage,
            "sector_bytes": profile.sector_bytes,
            "bytes": sum(profile.lun_sectors.values()) * profile.sector_bytes,
        }
        for profile in PROFILES.values()
    ]
    lines = [
        f"{row['name']:<14} {format_size(int(str(row['bytes']))):>8}  {row['title']}"
        for row in rows
    ]
    states = [{"name": name, "title": each.title} for name, each in CONDITIONS.items()]
    lines += [
        "",
        "Each may be in a state in which other programs leave phones (PROFILE,state=STATE):",
    ]
    lines += [f"{row['name']:<14} {row['title']}" for row in states]
    lines += ["", "Its flash may be worn or broken (PROFILE,flash=NAME):"]
    lines += [f"{name:<14} {title}" for name, (title, _) in wear.CONDITIONS.items()]
    lines += ["", "More changes: lock, restricted, programmer, refuse, images, sahara, questions,"]
    lines += ["unreadable, driver, size, ... (docs/virtual-programmers.md)"]
    lines += ["And what goes wrong on the way, --fault: edl virtual faults"]
    App(settings).result({"profiles": rows, "states": states}, lines)


@command.command("faults")
@output_options
@click.pass_obj
def faults(settings: Settings) -> None:
    """Show what can go wrong with a virtual phone: KIND@PLACE:NUMBER[:VALUE].

    The fault strikes when NUMBER bytes, transfers or commands have passed PLACE in this run: out,
    in (bytes), out-transfer, in-transfer, command (all of them) or the name of a command, disk
    (bytes that edl writes), source (bytes that it reads of the files for the phone).

    \b
    Examples:
      edl --virtual qcm2290 --fault unplug@out:100000 rawprogram ROM_FOLDER
      edl --virtual my-phone --fault nak@program:2 --fault late@power:0 rawprogram ROM_FOLDER
      edl virtual serve my-phone --pty --fault stall@in-transfer:9
    """
    from edl.virtual.faultkinds import TABLE  # noqa: PLC0415

    rows = [
        {
            "kind": str(kind),
            "title": row.title,
            "places": [str(place) for place in row.places if place is not None],
            "value": row.value.value,
            "default": row.default,
            "example": row.example,
        }
        for kind, row in TABLE.items()
    ]
    lines = [f"{row['example']:<34} {row['title']}" for row in rows]
    lines += ["", "Where each can strike, and what its value means: docs/virtual-phones.md, --json"]
    App(settings).result({"faults": rows}, lines)


@command.command("new")
@click.argument("folder")
@click.argument("profile")
@output_options
@click.pass_obj
def new(settings: Settings, folder: str, profile: str) -> None:
    """Make a virtual phone that lasts: a hard-bricked one in EDL mode, kept in FOLDER.

    PROFILE may carry changes: qcm2290,size=64GiB,serial=0x0badcafe (edl virtual profiles).
    """
    from edl.virtual.phone import Phone  # noqa: PLC0415

    with Phone.create(profile, Path(folder)):
        pass
    App(settings).result(
        {"folder": folder, "profile": profile},
        [
            f"A virtual phone, hard-bricked and in EDL mode, is in {folder}.",
            f"Next: edl --virtual {shlex.quote(folder)} info",
        ],
    )


@command.command("edl")
@click.argument("folder")
@output_options
@click.pass_obj
def enter_edl(settings: Settings, folder: str) -> None:
    """Hold the power button of the phone in FOLDER and enter EDL mode again."""
    from edl.virtual.phone import Phone  # noqa: PLC0415

    with Phone.open(Path(folder)) as phone:
        phone.enter_edl()
    App(settings).result({"folder": folder}, ["The virtual phone is in EDL mode."])


@command.command("sample")
@click.argument("folder")
@output_options
@click.pass_obj
def sample(settings: Settings, folder: str) -> None:
    """Make a sample package in FOLDER, to try edl with.

    It has the layout of a real board (eMMC, 59 partitions) and small images that are made up.
    """
    from edl.virtual.sample import make_sample  # noqa: PLC0415

    loader = next((path for path in map(_test_loader, search_folders()) if path.exists()), None)
    count = make_sample(Path(folder), loader)
    App(settings).result(
        {"folder": folder, "files": count},
        [
            f"A sample package of {count} files is in {folder}.",
            f"Next: edl check {shlex.quote(folder)}, or edl rehearse {shlex.quote(folder)}",
        ],
    )


@command.command("serve")
@click.argument("phone")
@click.option("--pty", is_flag=True, help="On a serial port (a pty), as Windows' QDLoader driver.")
@click.option("--no-zlp", is_flag=True, help="The port ends no transfer, as Linux' qcserial.")
@click.option("--link", metavar="PATH", help="Keep a link to the port at PATH.")
@click.option(
    "--usbip",
    metavar="[HOST:PORT]",
    is_flag=False,
    flag_value=_USBIP,
    help=f"Over USB/IP [default: {_USBIP}].",
)
@click.option("--fault", "faults", multiple=True, metavar="SPEC", help="See 'edl virtual faults'.")
@output_options
@click.pass_obj
def serve(
    settings: Settings,
    phone: str,
    pty: bool,
    no_zlp: bool,
    link: str | None,
    usbip: str | None,
    faults: tuple[str, ...],
) -> None:
    """Let other programs talk to a virtual phone, until it leaves or Ctrl-C.

    PHONE is a profile or the folder of a virtual phone. With --usbip and Linux' vhci_hcd
    (usbip attach -r 127.0.0.1 -b 1-1) it is a USB device to every program. More:
    docs/virtual-phones.md.

    \b
    Examples:
      edl virtual serve my-phone --pty --link /tmp/edl-port
      edl virtual serve qcm2290 --usbip
    """
    from edl.virtual.faults import parse_fault  # noqa: PLC0415
    from edl.virtual.phone import Phone  # noqa: PLC0415

    if pty == (usbip is not None):
        raise UsageError("Say how to serve the phone: --pty or --usbip.")
    if not pty and (no_zlp or link):
        raise UsageError("--no-zlp and --link belong to --pty.")
    suffered = [*map(parse_fault, faults)]
    app = App(settings)
    with (
        contextlib.suppress(KeyboardInterrupt),
        app.running(),
        Phone.named(phone) as virtual,
        virtual.suffering(suffered),
    ):
        if usbip is None:
            _serve_pty(app, virtual, zlp=not no_zlp, link=Path(link) if link else None)
        else:
            _serve_usbip(app, virtual, usbip)


def _serve_pty(app: App, phone: Phone, *, zlp: bool, link: Path | None) -> None:
    from edl.virtual.serve import serve_pty  # noqa: PLC0415

    def announce(name: str) -> None:
        app.result({"port": name, "host": None, "tcp_port": None}, [name])

    serve_pty(phone, announce, app.cancel, zlp=zlp, link=link)


def _serve_usbip(app: App, phone: Phone, where: str) -> None:
    from edl.virtual.usbip import UsbIpServer  # noqa: PLC0415

    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal():
        remedies = (f"Write for example: --usbip {_USBIP}.",)
        raise UsageError(f"--usbip takes HOST:PORT, not '{where}'.", remedies=remedies)
    with contextlib.closing(UsbIpServer(phone, host.strip("[]"), int(port))) as server:
        at, number = server.address
        app.result({"port": None, "host": at, "tcp_port": number}, [f"{at}:{number}"])
        if not ipaddress.ip_address(at).is_loopback:
            app.say(f"  note     whoever reaches {at} can use this virtual phone")
        to_port = "" if number == _USBIP_PORT else f" --tcp-port {number}"
        app.say(f"Next, as root, on Linux: usbip{to_port} attach -r {at} -b 1-1; Ctrl-C ends it.")
        server.run(app.cancel)


def _test_loader(folder: Path) -> Path:
    return folder / "prog_firehose_ddr_qcm2290_test.elf"
