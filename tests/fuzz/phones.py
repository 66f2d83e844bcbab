# SPDX-License-Identifier: BSD-3-Clause
"""The virtual phone: whatever a host, a client of USB/IP or a command line gives it."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

from edl.errors import UsageError
from edl.virtual import usbip
from edl.virtual.bootcheck import boot_check
from edl.virtual.bootrom import boot_rom
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import parse_fault
from edl.virtual.link import Exit, Firmware, Receive, Send
from edl.virtual.profiles import parse_spec
from edl.virtual.programmer import Board
from edl.virtual.programmer.generation1 import text as text1
from edl.virtual.programmer.generation2 import text as text2
from edl.virtual.programmer.generation3 import text as text3
from edl.virtual.serve import Cutter
from edl.virtual.storage import Storage, emmc, ufs
from edl.virtual.usb import VirtualBackend
from edl.virtual.usbip import UsbIpServer
from tests.dumps import table
from tests.fuzz.target import Target, look_at, require, require_printable
from tests.virtual import roms
from tests.virtual.dialogue import CONFIGURE, Talk, doc

_BORDER = b"\xfe\xfe"  # between transfers
_MOST_TRANSFERS = 40


def _transfers(data: bytes) -> list[bytes]:
    return data.split(_BORDER)[:_MOST_TRANSFERS]


def _bordered(*transfers: bytes) -> bytes:
    return _BORDER.join(transfers)


# -- programmers --------------------------------------------------------------------------------


def _programmer(kind: str, data: bytes) -> None:
    """Talk to a programmer, a transfer after the other; each at most as long as it can be."""
    storage = emmc(2048, boot_sectors=64) if kind != "qcm2290" else ufs((512, 64))
    talk = Talk.start(kind, Board(storage))
    sent = 0
    for transfer in _transfers(data):
        for answer in talk.send(transfer, zlp=len(transfer) % 512 == 0, limit=300):
            sent += len(answer.data)
        require(sent <= 1 << 27, "answers without end")
        if talk.left is not None:
            return


def _programmer_seeds(kind: str) -> Iterator[bytes]:
    place = 'SECTOR_SIZE_IN_BYTES="512" num_partition_sectors="2" physical_partition_number="0"'
    memory = "emmc"
    if kind == "qcm2290":
        place, memory = place.replace('"512"', '"4096"'), "ufs"
    configure = doc(CONFIGURE.replace("emmc", memory)).encode()
    words = [
        f'<read {place} start_sector="0" />',
        f'<getsha256digest {place} start_sector="NUM_DISK_SECTORS-5." />',
        '<getstorageinfo physical_partition_number="0" />',
        f'<erase {place} start_sector="8" />',
        f'<patch {place} start_sector="1" byte_offset="16" size_in_bytes="4"'
        ' value="CRC32(1,92)" filename="DISK" what="x" />',
        '<setbootablestoragedrive value="0" />', "<nop />",
        '<peek address64="0" size_in_bytes="4" />',
        '<fixgpt lun="0" grow_last_partition="1" />', '<power value="reset" />',
    ]  # fmt: skip
    yield _bordered(configure, *(doc(word).encode() for word in words))
    write = doc(f'<program {place} start_sector="4" filename="x" />').encode()
    yield _bordered(configure, write, b"\xaa" * (8192 if kind == "qcm2290" else 1024), configure)
    yield _bordered(b'<?xml version="1.0" ?><data><!-- x --><nop/></data>', b"</data>", b"")


def _texts(data: bytes) -> None:
    """How each generation reads documents and numbers."""
    text = data.decode("latin-1")
    with contextlib.suppress(text1.NotValidatedError):
        require(len(text1.scan(data)) <= len(data), "more commands than bytes")
    for read in (text1.plain, lambda each: text1.evaluate(each, 2048)):
        try:
            require(0 <= read(text[:511]) < 1 << 64, "a number of more than 64 bits")
        except (text1.NumberError, ZeroDivisionError):
            continue
    scanner = text2.Scanner(data[:4096].ljust(4096, b"\0"), len(data[:4096]))
    try:
        scanner.tag()
        require(len(list(scanner.attributes())) <= 4096, "attributes without end")
    except text2.ScanError:
        pass
    text2.number(text[:80])
    text2.evaluate(text[:80], 2048)
    with contextlib.suppress(text3.ScanError):
        text3.scan(data)
    for read3 in (
        text3.number, lambda each: text3.sector(each, 2048),
        lambda each: text3.sector(each, 2048, lenient=True),
        lambda each: text3.crc32_arguments(each, 2048),
    ):  # fmt: skip
        try:
            read3(text[:200])
        except text3.NumberError:
            continue


def _text_seeds() -> Iterator[bytes]:
    yield doc(CONFIGURE).encode()
    yield doc('<read start_sector="NUM_DISK_SECTORS-33." num_partition_sectors="0x10" />').encode()
    yield from (
        b"NUM_DISK_SECTORS-33.",
        b"10-3-2*(4+1)/2",
        b"CRC32(NUM_DISK_SECTORS-33.,92)",
        b"0x1F",
    )


# -- the boot ROM -------------------------------------------------------------------------------


def _rom(data: bytes) -> None:
    """Answer a boot ROM with anything."""
    for config in (roms.MSM8916, roms.QCM2290):
        _drive(boot_rom(config, look_at), _transfers(data))


def _drive(software: Firmware, transfers: list[bytes]) -> None:
    """Run software, and give it a transfer whenever it waits for one."""
    waiting = iter(transfers)
    answer: bytes | None = None
    for _ in range(4 * _MOST_TRANSFERS):
        try:
            request = software.send(answer)
        except StopIteration:
            return
        answer = None
        match request:
            case Exit():
                return
            case Send(data=data):
                require(len(data) <= 1 << 20, "a transfer of more than a MiB")
            case Receive(max_bytes=most):
                require(0 < most <= 1 << 27, f"a request for {most} bytes")
                following = next(waiting, None)
                if following is None:
                    return
                answer = following[:most]


def _rom_seeds() -> Iterator[bytes]:
    from tests.fuzz.images import made  # noqa: PLC0415

    def hello(mode: int) -> bytes:
        return struct.pack("<6I", 2, 48, 2, 1, 0, mode) + bytes(24)

    image = made()[0]
    yield _bordered(
        hello(0), image[:52], image[52 : 52 + 32 * 5], image[0x1000:0x2A00], image[-0x800:]
    )
    execute = [struct.pack("<3I", kind, 12, number) for number in (1, 2, 3) for kind in (13, 15)]
    yield _bordered(hello(3), *execute, struct.pack("<3I", 12, 12, 0), hello(0))
    yield _bordered(struct.pack("<2I", 7, 8))
    yield _bordered(hello(2), struct.pack("<2I", 19, 8), hello(0))


# -- the cable ----------------------------------------------------------------------------------


def _echo() -> Firmware:
    while True:
        data = yield Receive(4096)
        yield Send(data)


class _Stub:
    """A server of one phone, for a client on a pair of sockets."""

    def __init__(self) -> None:
        backend = VirtualBackend()
        self.device = UsbDevice(Controller(_echo(), look_at), backend.new_port())
        backend.attach(self.device)

    def device_list(self) -> bytes:
        return UsbIpServer.device_list(cast("UsbIpServer", SimpleNamespace(_device=self.device)))

    def free_device(self, bus_id: bytes) -> UsbDevice | None:
        return self.device if bus_id == usbip._bus_id(self.device).encode() else None


class _Local(usbip._Client):
    """A connection within this process, which has no TCP to set up."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.imported = None
        self.ends = False
        self._server = cast("UsbIpServer", _Stub())
        self._inbox = bytearray()
        self._outbox = bytearray()


def _usbip(data: bytes) -> None:
    """A client of USB/IP that sends anything."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = _Local(theirs)
        for at in range(0, len(data), 700):
            ours.sendall(data[at : at + 700])
            try:
                client.receive()
            except usbip._BadClientError:
                return
            if client.imported is not None:
                client.imported.move()
                require(client.imported.queued_bytes <= 1 << 27, "transfers without end")
            client._outbox.clear()


def _usbip_seeds() -> Iterator[bytes]:
    yield struct.pack(">HHI", 0x0111, 0x8005, 0)
    bring = struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1")
    setup = bytes.fromhex("80060001 0000 1200")

    def submit(number: int, direction: int, endpoint: int, length: int, body: bytes = b"") -> bytes:
        head = struct.pack(">5I2I2II", 1, number, 0x10002, direction, endpoint, 0, length, 0, 0, 0)
        return head.ljust(40, b"\0") + setup + body

    yield bring + submit(1, 1, 0, 18) + submit(2, 0, 1, 5, b"hello") + submit(3, 1, 1, 512)
    yield bring + submit(1, 1, 1, 512) + struct.pack(">6I", 2, 2, 0x10002, 0, 0, 1).ljust(48, b"\0")


def _cut(data: bytes) -> None:
    """Bytes of a serial port, cut into transfers as the phone asks for them."""
    wanted = data[0] * 16 + 1 if data else 1
    for zlp in (False, True):
        cutter = Cutter(512, zlp=zlp)
        total = 0
        for transfer in _transfers(data[1:]):
            cutter.receive(transfer)
            for _ in range(50):
                piece = cutter.cut(wanted, silent=len(transfer) % 2 == 0)
                if piece is None:
                    break
                require(len(piece) <= wanted, "more than the phone asks for")
                total += len(piece)
        require(total + cutter.backlog == sum(map(len, _transfers(data[1:]))), "lost bytes")


# -- what a command line says -------------------------------------------------------------------


def _faults(data: bytes) -> None:
    fault = parse_fault(data.decode("utf-8", "replace"))
    look_at(fault)
    require(parse_fault(str(fault)) == fault, "another fault than was written")


def _fault_seeds() -> Iterator[bytes]:
    yield from (
        b"unplug@out:100000", b"stall@in-transfer:3", b"freeze@out:4096:1.7", b"corrupt@in:64:01",
        b"garbage@in-transfer:5:f0e988", b"busy:2", b"hello-eaten", b"nak@program:2",
    )  # fmt: skip


def _spec(data: bytes) -> None:
    look_at(parse_spec(data.decode("utf-8", "replace")))


def _spec_seeds() -> Iterator[bytes]:
    yield b"msm8953,size=4M,serial=5,product=none,fault=unplug@out:100"
    yield b"qcm2290-ufs,luns=4M+4M,unreadable=0/8+8,life=1/2,flash=slow,usb3=yes"
    yield b"qcm2290,hwid=0014d0e100000000,pkhash=" + b"ab" * 48 + b",lock=xiaomi,ids=05c6:9008"
    yield b"sdm660,images=33+34+13,pre-eol=1,driver=qcserial,zeros=0/100+8"


# -- power on -----------------------------------------------------------------------------------


def _boot(data: bytes) -> None:
    """Whether a phone starts with what somebody has written to it."""
    for storage in (emmc(256, boot_sectors=64), ufs((64, 64, 64), sector_bytes=4096)):
        _written(storage, data)
        report = boot_check(storage)
        require_printable(*report.findings)
        require(report.boots or bool(report.findings), "no reason for not starting")


def _written(storage: Storage, data: bytes) -> None:
    for lun in storage.luns.values():
        size = min(len(data), lun.sectors * lun.sector_bytes)
        size -= size % lun.sector_bytes
        lun.write(0, data[:size])
        lun.write(lun.sectors - size // lun.sector_bytes, data[len(data) - size :])


def _boots() -> Iterator[bytes]:
    images = table(256, {"sbl1": 8, "aboot": 8, "userdata": 0}).images()
    yield (images.primary + b"\x7fELF" * 5000)[:40_000]
    yield images.primary + images.backup
    large = table(64, {"xbl_a": 8, "xbl_b": 8}, unit=4096).images()
    yield large.primary + b"\x7fELF" * 4000


_XML_WORDS = (
    b"<?xml ?><data>", b"</data>", b"<read ", b"<program ", b'start_sector="', b" />", b"0x",
    b"NUM_DISK_SECTORS", b"CRC32(", b'num_partition_sectors="', b"<!--", b"-->", b"9" * 20,
    b'physical_partition_number="', b'MaxPayloadSizeToTargetInBytes="', _BORDER, bytes(512),
)  # fmt: skip

TARGETS = (
    *(
        Target(
            f"virtual-{kind}", modules, functools.partial(_programmer, kind),
            functools.partial(_programmer_seeds, kind), (), _XML_WORDS, most_bytes=20_000,
        )
        for kind, modules in {
            "msm8953": ("edl.virtual.programmer.generation1.session",
                        "edl.virtual.programmer.generation1.storage"),
            "sdm660": ("edl.virtual.programmer.generation2.session",
                       "edl.virtual.programmer.generation2.storage",
                       "edl.virtual.programmer.generation2.attributes"),
            "qcm2290": ("edl.virtual.programmer.generation3.session",
                        "edl.virtual.programmer.generation3.storage"),
        }.items()
    ),
    Target(
        "virtual-text",
        ("edl.virtual.programmer.generation1.text", "edl.virtual.programmer.generation2.text",
         "edl.virtual.programmer.generation3.text"),
        _texts, _text_seeds, (), _XML_WORDS, most_bytes=4096,
    ),
    Target("virtual-rom", ("edl.virtual.bootrom",), _rom, _rom_seeds, (), (_BORDER,),
           most_bytes=40_000),
    Target("usbip", ("edl.virtual.usbip", "edl.virtual.urbs"), _usbip, _usbip_seeds, (),
           (b"\0\0\0\1", b"\0\0\0\2", b"\x01\x11\x80\x03")),
    Target("virtual-port", ("edl.virtual.serve",), _cut,
           lambda: [_bordered(b"\x10<?xml ?><data><nop /></data>", b"x" * 700, bytes(1024))], (),
           (_BORDER, b"<data>", b"</data>", b"\x01\0\0\0\x30\0\0\0"), most_bytes=8192),
    Target("fault", ("edl.virtual.faults",), _faults, _fault_seeds, (UsageError,),
           (b"@in:", b"@out:", b":", b"-transfer"), most_bytes=10_000),
    Target("virtual-spec", ("edl.virtual.profiles", "edl.virtual.changes"), _spec, _spec_seeds,
           (UsageError,), (b",", b"=", b"size=", b"lun", b"+", b"/", b"fault="), most_bytes=10_000),
    Target("power-on", ("edl.virtual.bootcheck",), _boot, _boots, (), (b"EFI PART", b"\x7fELF"),
           most_bytes=50_000),
)  # fmt: skip
