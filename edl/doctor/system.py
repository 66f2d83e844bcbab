# SPDX-License-Identifier: BSD-3-Clause
"""The system: permissions, programs that take phones away, virtual machines and sandboxes."""

from __future__ import annotations

from edl.doctor import udev
from edl.doctor.model import Check, Verdict
from edl.transport.computer import Computer
from edl.transport.holders import MODEM_MANAGER, STOP_MODEM_MANAGER

# what firmware calls itself in virtual machines (/sys/class/dmi/id), in lower case
_MACHINES = {
    "qemu": "QEMU",
    "kvm": "KVM",
    "vmware": "VMware",
    "virtualbox": "VirtualBox",
    "innotek": "VirtualBox",
    "parallels": "Parallels",
    "xen": "Xen",
    "bochs": "Bochs",
    "virtual machine": "Hyper-V",
}


def rule(computer: Computer, *, needed: bool = True) -> Check:
    """Look for the udev rule that lets this user speak to phones.

    needed: no phone is plugged in that this user may open anyway.
    """
    name = "udev-rule"
    if computer.user_id == 0:
        return Check(name, "you are root, who needs no udev rule", Verdict.OK)
    rules = udev.read_rules(computer)
    if rules.granting:
        return Check(name, f"{rules.granting} lets users speak to phones", Verdict.OK)
    if rules.late:
        fact = f"the udev rule in {rules.late} comes too late: uaccess works before 73-seat-late"
        return Check(name, fact, Verdict.BAD, udev.INSTALL)
    if rules.other:
        fact = f"the udev rule in {rules.other} speaks of phones, but whom it lets in is not clear"
        return Check(name, fact, Verdict.UNKNOWN, udev.INSTALL)
    if not needed:
        return Check(name, "no udev rule is for phones; this one may be opened", Verdict.OK)
    if not rules.found or in_container(computer):
        fact = "the computer's udev rules cannot be seen from here"
        return Check(name, fact, Verdict.UNKNOWN)
    fact = "no udev rule lets users speak to phones in EDL mode"
    return Check(name, fact, Verdict.BAD, udev.INSTALL)


def modem_manager(computer: Computer) -> Check:
    """Look for ModemManager, which reads the greeting of a phone before we can."""
    name = "modem-manager"
    if not any(computer.processes()):
        fact = "the programs that run cannot be seen, so whether ModemManager does is not known"
        return Check(name, fact, Verdict.UNKNOWN)
    if all(process != MODEM_MANAGER for _, process in computer.processes()):
        if in_container(computer):
            fact = "ModemManager does not run in this container; whether it does outside, is hidden"
            return Check(name, fact, Verdict.UNKNOWN, f"Outside: {STOP_MODEM_MANAGER}")
        return Check(name, "ModemManager does not run", Verdict.OK)
    if udev.read_rules(computer).ignored:
        fact = "ModemManager runs, and a udev rule keeps it away from phones"
        return Check(name, fact, Verdict.OK)
    fact = "ModemManager runs, and no udev rule keeps it away from phones"
    return Check(name, fact, Verdict.WARN, f"{udev.INSTALL} (or {STOP_MODEM_MANAGER})")


def qcserial(computer: Computer) -> Check:
    """Look for the kernel driver that makes a serial port of a phone."""
    name = "qcserial"
    if not computer.exists("/sys/module"):
        fact = "the kernel's drivers cannot be seen, so whether qcserial is there is not known"
        return Check(name, fact, Verdict.UNKNOWN)
    if computer.exists("/sys/module/qcserial"):
        fact = "the driver qcserial is loaded; edl takes a phone from it by itself"
        return Check(name, fact, Verdict.OK)
    return Check(name, "the driver qcserial is not loaded", Verdict.OK)


def machine(computer: Computer) -> list[Check]:
    """Look for a virtual machine, WSL, a container or a sandbox between us and the cable."""
    if not computer.is_linux:
        fact = "whether this is a virtual machine cannot be told here"
        return [Check("machine", fact, Verdict.UNKNOWN)]
    found = [*_wsl(computer), *_container(computer), *_sandbox(computer)]
    if not any("WSL" in check.fact for check in found):
        found += _virtual_machine(computer)
    fact = "no sign of a virtual machine, WSL, a container or a sandbox"
    return found or [Check("machine", fact, Verdict.OK)]


def _wsl(computer: Computer) -> list[Check]:
    if "microsoft" not in computer.text("/proc/sys/kernel/osrelease").lower():
        return []
    fact = "this is WSL, whose USB (usbipd) loses packets that end transfers"
    command = "Use edl on Windows itself, or on a computer with Linux."
    return [Check("machine", fact, Verdict.WARN, command)]


def _virtual_machine(computer: Computer) -> list[Check]:
    words = " ".join(
        computer.text(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")
    ).lower()
    title = next((title for word, title in _MACHINES.items() if word in words), None)
    if title is None and "hypervisor" in computer.text("/proc/cpuinfo").split():
        title = "of an unknown kind"
    if title is None:
        return []
    fact = f"this is a virtual machine ({title}), which may lose the phone when it restarts"
    command = "Pass the whole USB controller to the machine, or use the computer itself."
    return [Check("machine", fact, Verdict.WARN, command)]


def in_container(computer: Computer) -> bool:
    """Tell whether this runs in a container, as far as containers mark themselves."""
    return any(
        map(computer.exists, ("/.dockerenv", "/run/.containerenv", "/run/systemd/container"))
    )


def _container(computer: Computer) -> list[Check]:
    if not in_container(computer):
        return []
    if not computer.exists("/dev/bus/usb"):
        fact = "this is a container without USB devices"
        command = "Start it with: --privileged -v /dev/bus/usb:/dev/bus/usb"
        return [Check("machine", fact, Verdict.BAD, command)]
    fact = "this is a container, which sees a phone that restarts only if /dev/bus/usb is mounted"
    command = "Start it with: -v /dev/bus/usb:/dev/bus/usb"
    return [Check("machine", fact, Verdict.WARN, command)]


def _sandbox(computer: Computer) -> list[Check]:
    if computer.environment.get("SNAP"):
        snap = computer.environment.get("SNAP_NAME", "edl")
        command = f"sudo snap connect {snap}:raw-usb"
        fact = "this runs as a snap, which sees USB only when connected to raw-usb"
        return [Check("machine", fact, Verdict.WARN, command)]
    if computer.exists("/.flatpak-info"):
        fact = "this runs in Flatpak, which sees USB only with --device=all"
        return [Check("machine", fact, Verdict.WARN, "flatpak override --user --device=all APP")]
    return []
