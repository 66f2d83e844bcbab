# SPDX-License-Identifier: BSD-3-Clause
"""What the doctor says of computers, each a tree of files in a folder of its own."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import os
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import usb.core

from edl.doctor import examine, phone, software, system, udev
from edl.doctor.model import Check, Verdict
from edl.errors import EdlError, TransportError, UsageError
from edl.transport import discovery, holders, serial
from edl.transport.computer import Computer
from edl.transport.discovery import EDL_IDS, Found, find
from edl.transport.serial import FoundPort
from edl.transport.usbids import others
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.usb import VirtualBackend
from tests.unit.test_transport_discovery import bus, idle

OK, WARN, BAD, UNKNOWN = Verdict.OK, Verdict.WARN, Verdict.BAD, Verdict.UNKNOWN
NODE = "dev/bus/usb/001/002"
RULE = 'SUBSYSTEM=="usb", ATTR{idVendor}=="05c6", ATTR{idProduct}=="9008"'


class Tree:
    """The files of a computer."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, place: str, text: str = "") -> Tree:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self

    def link(self, place: str, to: str) -> Tree:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(to)
        return self

    def process(self, number: int, name: str, *files: str) -> Tree:
        self.file(f"proc/{number}/comm", f"{name}\n")
        (self.root / f"proc/{number}/fd").mkdir()
        for place, to in enumerate(files):
            self.link(f"proc/{number}/fd/{place}", to)
        return self

    def rule(self, line: str, name: str = "51-edl.rules", folder: str = "etc/udev") -> Tree:
        return self.file(f"{folder}/rules.d/{name}", f"# rules\n{line}\n")

    def computer(self, **fields: Any) -> Computer:  # noqa: ANN401
        given = Computer(self.root, "linux", {}, user_id=1000, process_id=1)
        return dataclasses.replace(given, **fields)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "root")


def plugged(**fields: Any) -> Found:  # noqa: ANN401
    """Return the only phone on a bus, at USB 1-1, address 2."""
    [found] = find(bus(fields))
    return found


def is_(check: Check, verdict: Verdict, fact: str, command: str = "") -> None:
    assert check.verdict is verdict, check
    assert re.search(fact, check.fact), check
    assert command in check.command, check
    assert bool(check.command) or not command
    assert not check.fact.endswith(".")


# -- udev -----------------------------------------------------------------------------------------


def test_the_rule_file_is_for_all_phones_in_edl_mode() -> None:
    lines = [line for line in udev.rules_text().splitlines() if not line.startswith("#")]
    for vendor, product in EDL_IDS:
        ids = f'{{idVendor}}=="{vendor:04x}"', f'{{idProduct}}=="{product:04x}"'
        mine = [line for line in lines if all(one in line for one in ids)]
        assert sorted(line.split(",")[0] for line in mine) == [
            'SUBSYSTEM=="tty"',
            'SUBSYSTEM=="usb"',
        ]
    assert len(lines) == 2 * len(EDL_IDS)
    for line in lines:
        assert 'MODE="0660", TAG+="uaccess", ENV{ID_MM_DEVICE_IGNORE}="1"' in line
    assert Path(udev.PLACE).name < "73-seat-late.rules"


def test_our_own_rule_is_understood(tree: Tree) -> None:
    computer = tree.file("etc/udev/rules.d/51-edl.rules", udev.rules_text()).computer()
    assert udev.read_rules(computer) == udev.Rules("51-edl.rules", None, None, True, True)
    is_(system.rule(computer), OK, "51-edl.rules lets users")


@pytest.mark.parametrize(
    ("line", "name", "verdict", "fact"),
    [
        (f'{RULE}, TAG+="uaccess"', "70-x.rules", OK, "70-x.rules lets"),
        (f'{RULE}, TAG+="uaccess"', "99-x.rules", BAD, "99-x.rules comes too late"),
        (f'{RULE}, MODE="0666"', "99-x.rules", OK, "99-x.rules lets"),
        (f'{RULE}, MODE:="666"', "99-x.rules", OK, "99-x.rules lets"),
        (f'{RULE}, MODE="0660", GROUP="plugdev"', "51-x.rules", UNKNOWN, "not clear"),
        ('SUBSYSTEM=="usb", ATTRS{idVendor}=="05C6", \\\n TAG+="uaccess"', "5.rules", OK, "lets"),
        ('SUBSYSTEM=="tty", ATTRS{idVendor}=="05c6", MODE="0666"', "5.rules", BAD, "no udev rule"),
        ('ATTR{idVendor}=="05c6", ATTR{idProduct}=="9025", MODE="0666"', "5.rules", BAD, "no udev"),
        ('ATTR{idVendor}=="18d1", MODE="0666"', "5.rules", BAD, "no udev rule"),
        (f'# {RULE}, MODE="0666"', "5.rules", BAD, "no udev rule"),
    ],
)
def test_rules_of_others(tree: Tree, line: str, name: str, verdict: Verdict, fact: str) -> None:
    is_(system.rule(tree.rule(line, name).computer()), verdict, fact)


def test_a_rule_in_etc_hides_one_of_the_system(tree: Tree) -> None:
    tree.rule(f'{RULE}, MODE="0666"', folder="usr/lib/udev").rule("", folder="etc/udev")
    is_(system.rule(tree.computer()), BAD, "no udev rule", "edl setup-udev")


def test_rules_that_cannot_be_read(tree: Tree) -> None:
    tree.link("etc/udev/rules.d/51-x.rules", "/nowhere")
    is_(system.rule(tree.computer()), BAD, "no udev rule")


def test_who_needs_no_rule(tree: Tree) -> None:
    is_(system.rule(tree.computer(user_id=0)), OK, "root")
    is_(system.rule(tree.computer(), needed=False), OK, "this one may be opened")


def test_where_rules_cannot_be_seen(tree: Tree) -> None:
    is_(system.rule(tree.computer()), UNKNOWN, "cannot be seen")
    tree.rule("").file(".dockerenv")
    is_(system.rule(tree.computer()), UNKNOWN, "cannot be seen")


def test_the_rule_is_installed(tree: Tree) -> None:
    ran: list[list[str]] = []

    def run(words: list[str]) -> bool:
        ran.append(words)
        return True

    assert udev.install(tree.computer(), run)
    path = tree.root / "etc/udev/rules.d/51-edl.rules"
    assert path.read_text() == udev.rules_text()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [words[:2] for words in ran] == [["udevadm", "control"], ["udevadm", "trigger"]]
    assert not udev.install(tree.computer(), lambda _: False)


def test_the_rule_cannot_be_installed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no udev"):
        udev.install(tree.computer(system="darwin"), lambda _: True)
    tree.file("etc/udev", "a file")
    with pytest.raises(EdlError, match="cannot be written"):
        udev.install(tree.computer(), lambda _: True)

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(UsageError, match="Only root") as caught:
        udev.install(tree.computer(), lambda _: True)
    assert "| sudo tee /etc/udev/rules.d/51-edl.rules" in caught.value.remedies[0]


# -- the system -----------------------------------------------------------------------------------


def test_modem_manager(tree: Tree) -> None:
    is_(system.modem_manager(tree.computer()), UNKNOWN, "cannot be seen")
    tree.process(7, "bash").file("proc/8/status")
    is_(system.modem_manager(tree.computer()), OK, "does not run")
    marker = tree.file(".dockerenv").root / ".dockerenv"
    is_(system.modem_manager(tree.computer()), UNKNOWN, "outside, is hidden", "Outside: sudo")
    marker.unlink()
    tree.process(9, "ModemManager")
    is_(system.modem_manager(tree.computer()), WARN, "ModemManager runs", "systemctl stop")
    tree.rule(f'{RULE}, ENV{{ID_MM_DEVICE_IGNORE}}="1"')
    is_(system.modem_manager(tree.computer()), OK, "keeps it away")


def test_qcserial(tree: Tree) -> None:
    is_(system.qcserial(tree.computer()), UNKNOWN, "cannot be seen")
    tree.file("sys/module/usbcore/version")
    is_(system.qcserial(tree.computer()), OK, "not loaded")
    tree.file("sys/module/qcserial/refcnt")
    is_(system.qcserial(tree.computer()), OK, "is loaded; edl takes")


@pytest.mark.parametrize(
    ("files", "environment", "verdicts", "fact"),
    [
        ({}, {}, [OK], "no sign"),
        ({"sys/class/dmi/id/sys_vendor": "LENOVO"}, {}, [OK], "no sign"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU"}, {}, [WARN], r"virtual machine \(QEMU\)"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc."}, {}, [WARN], "VMware"),
        ({"sys/class/dmi/id/product_name": "VirtualBox"}, {}, [WARN], "VirtualBox"),
        ({"sys/class/dmi/id/product_name": "Virtual Machine"}, {}, [WARN], "Hyper-V"),
        ({"proc/cpuinfo": "flags : fpu hypervisor lm"}, {}, [WARN], "unknown kind"),
        (
            {
                "proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2",
                "proc/cpuinfo": "flags : hypervisor",
            },
            {},
            [WARN],
            "WSL",
        ),
        ({".dockerenv": ""}, {}, [BAD], "container without USB"),
        ({"run/.containerenv": "", NODE: ""}, {}, [WARN], "container, which sees"),
        ({}, {"SNAP": "/snap/edl/1", "SNAP_NAME": "edl"}, [WARN], "snap"),
        ({".flatpak-info": ""}, {}, [WARN], "Flatpak"),
        ({".dockerenv": "", "sys/class/dmi/id/sys_vendor": "Xen"}, {}, [BAD, WARN], "container"),
    ],
)
def test_what_kind_of_machine_it_is(
    tree: Tree,
    files: dict[str, str],
    environment: dict[str, str],
    verdicts: list[Verdict],
    fact: str,
) -> None:
    for place, text in files.items():
        tree.file(place, text)
    checks = system.machine(tree.computer(environment=environment))
    assert [check.verdict for check in checks] == verdicts
    assert re.search(fact, checks[0].fact)
    assert all(check.command for check in checks if check.verdict is not OK)


def test_other_systems_do_not_tell(tree: Tree) -> None:
    [check] = system.machine(tree.computer(system="darwin"))
    is_(check, UNKNOWN, "cannot be told")


# -- the phone ------------------------------------------------------------------------------------


def test_no_phone() -> None:
    [check] = phone.seen([], [])
    is_(check, WARN, "no phone", "volume keys")


def test_phones_and_what_else_is_there() -> None:
    backend = bus(
        {"product": "QUSB_BULK_CID:042F_SN:DD9EC526"},
        {"ids": (0x05C6, 0x900E)},
        {"ids": (0x0E8D, 3)},
    )
    found = find(backend)
    edl, crashed, other = phone.seen(found, others(backend, {one.location for one in found}))
    is_(edl, OK, "phone dd9ec526 is in EDL mode at USB 1-1")
    is_(crashed, BAD, "phone 05c6:900e at USB 1-2 has crashed", "Hold the power button")
    is_(other, WARN, "USB 1-3 .*MediaTek", "mtkclient")


def test_a_crash_dump_with_ids_of_its_own() -> None:
    [check] = phone.seen([plugged(ids=(0x9999, 1), protocol=0x13, product="QUSB_BULK")], [])
    is_(check, BAD, "9999:0001 .* crashed")
    assert not check.command


@pytest.mark.parametrize(
    ("speed", "verdict", "fact"),
    [
        (1, WARN, "1.5 Mbit/s"),
        (2, WARN, "12 Mbit/s"),
        (3, OK, "480 Mbit/s"),
        (4, OK, "5 Gbit/s"),
        (5, OK, "10 Gbit/s"),
        (0, UNKNOWN, "not told"),
        (None, UNKNOWN, "not told"),
    ],
)
def test_the_speed(speed: int | None, verdict: Verdict, fact: str) -> None:
    found = plugged()
    found.device.speed = speed
    check, _ = phone.cable(found)
    is_(check, verdict, fact)


@pytest.mark.parametrize(
    ("ports", "verdict", "fact"),
    [
        ((4,), OK, "no hub"),
        ((4, 2), WARN, "1 hub is on the way to USB 1-4.2"),
        ((4, 2, 1), WARN, "2 hubs are on the way to USB 1-4.2.1"),
        ((), UNKNOWN, "not told"),
    ],
)
def test_hubs(ports: tuple[int, ...], verdict: Verdict, fact: str) -> None:
    one = plugged()
    found = Found(*(1, 2, 1, 2, ports, None, "edl", None, one.device, one.interface))
    _, check = phone.cable(found)
    is_(check, verdict, fact)


def test_permissions(tree: Tree) -> None:
    found = plugged()
    assert holders.node(found.bus, found.address) == f"/{NODE}"
    is_(phone.access(found, tree.computer()), UNKNOWN, "is not there")
    tree.file(NODE)
    is_(phone.access(found, tree.computer()), OK, "you may open")
    asked: list[Path] = []

    def never(path: Path) -> bool:
        asked.append(path)
        return False

    barred = tree.computer(may_open=never)
    is_(phone.access(found, barred), BAD, "may not open", "edl setup-udev")
    assert asked == [tree.root / NODE]
    tree.rule(f'{RULE}, TAG+="uaccess"')
    is_(phone.access(found, barred), BAD, "though a udev rule", "Plug the phone in again")
    remote = tree.computer(may_open=never, environment={"SSH_CONNECTION": "::1"})
    is_(phone.access(found, remote), BAD, "by SSH", f'sudo setfacl -m "u:$USER:rw" /{NODE}')


def test_drivers_that_cannot_be_seen(tree: Tree) -> None:
    [check] = phone.drivers(plugged(), tree.computer())
    is_(check, UNKNOWN, "does not show")


def sysfs(tree: Tree, driver: str | None) -> Tree:
    """Add the phone at USB 1-1 to the kernel's view, and another device beside it."""
    devices = "sys/bus/usb/devices"
    tree.file(f"{devices}/1-1:1.0/bInterfaceClass", "ff\n")
    tree.link(f"{devices}/1-10:1.0/driver", "../../../drivers/usbhid")
    if driver:
        tree.link(f"{devices}/1-1:1.0/driver", f"../../../drivers/{driver}")
    return tree


def test_nobody_has_the_phone(tree: Tree) -> None:
    sysfs(tree, None).process(7, "bash", "/dev/null", "/dev/bus/usb/001/003")
    driver, holder = phone.drivers(plugged(), tree.computer())
    is_(driver, OK, "no driver")
    is_(holder, OK, "no other program")


def test_qcserial_and_modem_manager_have_the_phone(tree: Tree) -> None:
    sysfs(tree, "qcserial").file("sys/bus/usb/devices/1-1:1.0/ttyUSB3/tty/ttyUSB3/dev", "188:3")
    tree.process(9, "ModemManager", "/dev/ttyUSB3")
    driver, holder = phone.drivers(plugged(), tree.computer())
    is_(driver, OK, r"qcserial has the phone \(1-1:1.0\)")
    is_(holder, BAD, r"ModemManager \(process 9\)", "systemctl stop ModemManager")


def test_another_driver_has_the_phone(tree: Tree) -> None:
    sysfs(tree, "qcom_usb")
    driver, _ = phone.drivers(plugged(), tree.computer())
    is_(driver, WARN, "qcom_usb", "echo 1-1:1.0 | sudo tee /sys/bus/usb/drivers/qcom_usb/unbind")


@pytest.mark.parametrize(
    ("driver", "name", "verdict", "command"),
    [
        ("usbfs", "qdl", BAD, "kill 12"),
        (None, "qdl", WARN, "kill 12"),
        (None, "adb", WARN, "adb kill-server"),
    ],
)
def test_another_program_has_the_phone(
    tree: Tree, driver: str | None, name: str, verdict: Verdict, command: str
) -> None:
    sysfs(tree, driver).process(1, "edl", f"/{NODE}").process(12, name, "/dev/null", f"/{NODE}")
    first, holder = phone.drivers(plugged(), tree.computer())
    is_(first, OK, "no driver of the kernel")
    is_(holder, verdict, rf"{name} \(process 12\) has the phone open", command)


def test_programs_of_other_users(tree: Tree) -> None:
    sysfs(tree, None).file("proc/7/comm", "secret\n")
    _, holder = phone.drivers(plugged(), tree.computer())
    is_(holder, UNKNOWN, "cannot be seen", f"sudo fuser -v /{NODE}")
    tree.link("sys/bus/usb/devices/1-1:1.0/driver", "../../../drivers/usbfs")
    _, holder = phone.drivers(plugged(), tree.computer())
    is_(holder, BAD, "only root can see", "sudo fuser")


def test_a_file_that_is_closed_meanwhile(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sysfs(tree, None).process(7, "bash", "/dev/null")
    monkeypatch.setattr(os, "listdir", lambda _: ["5"])
    monkeypatch.setattr(Computer, "processes", lambda _: iter([(7, "bash")]))
    _, holder = phone.drivers(plugged(), tree.computer())
    is_(holder, OK, "no other program")


def virtual(*, kernel_drivers: bool = True, fault: str = "", **fields: Any) -> Found:  # noqa: ANN401
    backend = VirtualBackend(kernel_drivers=kernel_drivers)
    if fault:
        fields["injector"] = Injector((parse_fault(fault),))
    backend.attach(UsbDevice(Controller(idle(), lambda _: None), backend.new_port(), **fields))
    [found] = find(backend)
    return found


def test_opening_where_the_system_tells_nothing() -> None:
    access, driver = phone.opening(virtual())
    is_(access, OK, "can be opened")
    is_(driver, OK, "no driver")
    _, driver = phone.opening(virtual(kernel_driver="qcserial"))
    is_(driver, OK, "a driver of the system")
    _, driver = phone.opening(virtual(kernel_drivers=False))
    is_(driver, UNKNOWN, "does not tell which driver")


def test_opening_what_may_not_be_opened() -> None:
    access, driver = phone.opening(virtual(kernel_driver="x", kernel_drivers=False))
    is_(access, BAD, "does not let programs in", "Zadig")
    assert "--port" in access.command
    access, _ = phone.opening(
        virtual(kernel_driver="QDLoader", kernel_drivers=False), [FoundPort("COM5")]
    )
    is_(access, OK, r"but through its serial port \(COM5\)")
    is_(driver, UNKNOWN, "does not tell")
    access, _ = phone.opening(virtual(fault="denied"))
    is_(access, BAD, "permission is missing", "administrator")
    found = virtual()

    def fail() -> None:
        raise usb.core.USBError("Input/Output Error", -1, errno.EIO)

    found.device.get_active_configuration = fail
    access, _ = phone.opening(found)
    is_(access, BAD, "cannot be opened: .*Input/Output", "Plug the phone in again")


def test_serial_ports() -> None:
    [check] = phone.ports([FoundPort("COM5", 0x05C6, 0x9008, "QDLoader 9008 (COM5)")])
    is_(check, OK, "COM5 is a phone in EDL mode.*--port COM5")


def test_a_named_serial_port(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    computer = tree.computer()
    is_(phone.named_port("/nowhere/tty0", computer), BAD, "no serial port /nowhere/tty0", "Plug")
    monkeypatch.setattr(serial, "named", FoundPort)
    is_(phone.named_port("/dev/ttyUSB0", tree.computer(may_open=lambda _: True)), OK, "may open")
    barred = tree.computer(may_open=lambda _: False)
    is_(phone.named_port("/dev/ttyUSB0", barred), BAD, "may not open", "setup-udev")
    is_(phone.named_port("COM5", tree.computer(system="win32")), OK, "COM5")


# -- software -------------------------------------------------------------------------------------


def test_packages() -> None:
    is_(software.packages(), OK, "pyusb 1")

    def version(name: str) -> str:
        if name == "pyusb":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    is_(software.packages(version), BAD, "not installed: pyusb$", "-m pip install pyusb")


def test_libusb() -> None:
    is_(software.libusb(VirtualBackend()), OK, "virtual")
    is_(software.libusb(discovery.libusb()), OK, r"libusb 1\.0\.\d+, ")
    nothing = SimpleNamespace(lib=SimpleNamespace(_name="/x/libusb_package/libusb-1.0.so"))
    is_(software.libusb(nothing), UNKNOWN, r"libusb is bundled .* does not tell")


def test_the_version_of_libusb_is_taken_from_where_it_points() -> None:
    fields = [("v", ctypes.c_uint16 * 4), ("rc", ctypes.c_char_p), ("describe", ctypes.c_char_p)]
    told = type("Told", (ctypes.Structure,), {"_fields_": fields})()
    told.v[:] = (1, 0, 27, 11882)
    version = ctypes.cast(ctypes.pointer(told), ctypes.POINTER(software._Version))

    def get() -> object:
        return version

    backend = SimpleNamespace(lib=SimpleNamespace(_name="libusb.so", libusb_get_version=get))
    is_(software.libusb(backend), OK, r"libusb 1\.0\.27, the system's \(libusb.so\)")


def program(folder: Path, text: str, name: str = "edl") -> Path:
    folder.mkdir()
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_another_program_called_edl(tree: Tree, tmp_path: Path) -> None:
    ours = program(tmp_path / "a", "#!/bin/python\nfrom edl.__main__ import main\n")
    theirs = program(tmp_path / "b", "#!/bin/python\nfrom edlclient.Library import x\n")
    (tmp_path / "c").mkdir()

    def look(*folders: str) -> Check:
        path = ":".join(str(tmp_path / name) if name else "" for name in folders)
        return software.other_edl(tree.computer(environment={"PATH": path}), ours)

    is_(look("a", "c", ""), OK, "no other program")
    is_(look("b", "a"), WARN, rf"{theirs} \(bkerler/edl\), and a shell", f"alias edl={ours}")
    is_(look("a", "b"), OK, "a shell takes ours first")
    program(tmp_path / "d", "binary", "edl.py")
    is_(look("d"), WARN, r"d/edl.py, and")


def test_a_program_that_cannot_be_read(tmp_path: Path) -> None:
    assert not software._holds(tmp_path / "nothing", "edl")


def test_loaders_for_real_phones_are_counted(tmp_path: Path) -> None:
    own, other, tests = (tmp_path / name for name in ("own", "other", "tests"))
    folders, lying = [own, other, tests, tmp_path / "absent"], [Path("x")] * 3
    for folder in (own, other, tests):
        folder.mkdir()

    def look(*full: Path) -> Check:
        return software.loaders(folders, [tests], lambda path: lying if path in full else [])

    is_(look(), OK, "real phones: none kept; most packages bring theirs$")
    is_(look(tests), OK, r"none kept; .* \(and 3 test loaders, which start virtual phones only\)$")
    is_(look(own, other), OK, f"real phones: 3 in {own}, 3 in {other}$")
    is_(look(own, tests), OK, f"real phones: 3 in {own} \\(and 3 test")


@pytest.mark.parametrize(
    ("free", "verdict"), [(2**30, OK), (2**30 - 1, WARN), (2**26 - 1, BAD), (0, BAD)]
)
def test_room(tmp_path: Path, free: int, verdict: Verdict) -> None:
    def usage(folder: Path) -> SimpleNamespace:
        assert folder == tmp_path
        return SimpleNamespace(free=free)

    is_(software.room(tmp_path / "a" / "b", usage), verdict, "are free in")


def test_room_that_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    is_(software.room(tmp_path, fail), UNKNOWN, "not told: Input/output error")
    monkeypatch.setattr(os, "access", lambda *_: False)
    is_(software.room(tmp_path), BAD, "may not write", "EDL_HOME")


# -- all together ---------------------------------------------------------------------------------


@pytest.fixture
def examined(tmp_path: Path) -> Callable[..., dict[str, Check]]:
    places = examine.Places(tmp_path / "edl", tmp_path / "home", [], [], lambda _: [])

    def call(
        computer: Computer,
        backend: VirtualBackend | None = None,
        **meant: Any,  # noqa: ANN401
    ) -> dict[str, Check]:
        checks = examine.examine(computer, places, backend, examine.Meant(**meant))
        return {check.name: check for check in checks}

    return call


def test_a_linux_computer_with_a_phone(
    tree: Tree, examined: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs(tree, None).file(NODE).process(7, "bash").rule("").file("sys/module/x/y")
    monkeypatch.setattr(discovery, "libusb", lambda: bus({}))
    checks = examined(tree.computer())
    assert {name for name, check in checks.items() if check.verdict is not OK} == set()
    is_(checks["udev-rule"], OK, "this one may be opened")
    barred = examined(tree.computer(may_open=lambda _: False))
    assert {name for name, check in barred.items() if check.verdict is BAD} == {
        "access",
        "udev-rule",
    }
    assert examine.healthy(list(checks.values()))
    assert not examine.healthy(list(barred.values()))


def test_a_computer_without_libusb(
    tree: Tree, examined: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise TransportError("libusb was not found.", remedies=("Install it.",))

    monkeypatch.setattr(discovery, "libusb", none)
    checks = examined(tree.rule("").computer())
    is_(checks["libusb"], BAD, "not found", "Install it.")
    monkeypatch.setattr(serial, "find_ports", lambda: [FoundPort("COM5", 1, 2, "")])
    is_(examined(tree.computer(system="win32"))["libusb"], WARN, "not found", "Install it.")
    is_(checks["udev-rule"], BAD, "no udev rule")
    assert "phone" not in checks


def test_a_mac_with_a_phone(
    tree: Tree, examined: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = VirtualBackend(kernel_drivers=False)
    backend.attach(UsbDevice(Controller(idle(), lambda _: None), 1))
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    monkeypatch.setattr(serial, "find_ports", lambda: [FoundPort("cu.x", 1, 2, "")])
    checks = examined(tree.computer(system="darwin", user_id=None))
    is_(checks["access"], OK, "can be opened")
    is_(checks["driver"], UNKNOWN, "does not tell")
    is_(checks["machine"], UNKNOWN, "cannot be told")
    is_(checks["serial-port"], OK, "cu.x")
    assert "udev-rule" not in checks


def test_windows_where_only_a_serial_port_leads_to_the_phone(
    tree: Tree, examined: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "find_ports", lambda: [FoundPort("COM5", 1, 2, "")])
    backend = VirtualBackend(kernel_drivers=False)
    backend.attach(UsbDevice(Controller(idle(), lambda _: None), 1, kernel_driver="QDLoader"))
    for bus_seen in (backend, VirtualBackend()):
        monkeypatch.setattr(discovery, "libusb", lambda bus_seen=bus_seen: bus_seen)
        checks = examined(tree.computer(system="win32", user_id=None))
        assert examine.healthy(list(checks.values()))
        is_(checks["serial-port"], OK, "COM5")
        assert ("phone" in checks) is (bus_seen is backend)


def test_a_virtual_bus(tree: Tree, examined: Callable[..., dict[str, Check]]) -> None:
    checks = examined(tree.computer(), bus({}, {"ids": (0x0E8D, 3)}))
    is_(checks["phone"], OK, "in EDL mode")
    is_(checks["other-device"], WARN, "MediaTek")
    assert not {"udev-rule", "machine", "holder"} & set(checks)


def test_a_phone_with_ids_of_its_own(tree: Tree, examined: Callable[..., dict[str, Check]]) -> None:
    backend = bus({"ids": (0x19D2, 0x0500)})
    is_(examined(tree.computer(), backend)["phone"], WARN, "no phone")
    is_(examined(tree.computer(), backend, ids=(0x19D2, 0x0500))["phone"], OK, "19d2:0500")


def test_a_phone_at_a_named_port(
    tree: Tree, examined: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "libusb", bus)
    checks = examined(tree.rule("").computer(), port="/nowhere/tty0")
    is_(checks["serial-port"], BAD, "no serial port")
    is_(checks["udev-rule"], OK, "")


def test_this_computer() -> None:
    computer = Computer()
    assert computer.exists(str(Path(__file__)))
    assert computer.text("/nowhere/at/all") == ""
    assert computer.may_open(Path(__file__))
