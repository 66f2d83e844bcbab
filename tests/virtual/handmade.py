# SPDX-License-Identifier: BSD-3-Clause
"""What a client says to a phone, byte by byte, through pyusb and without any code of ours.

Sahara: transcripts T1 and T2 of sahara.md. Firehose: real-programmer.md 13.
"""

from __future__ import annotations

import array
import contextlib
import re
import struct
from typing import Any

import usb.core

from edl.virtual.phone import Phone
from tests.conftest import REPO

IN, OUT = 0x81, 0x01
HELLO = bytes.fromhex("01000000 30000000 02000000 01000000 00040000 00000000") + bytes(24)
HELLO_RESP = bytes.fromhex("02000000 30000000 02000000 01000000 00000000 00000000") + bytes(24)
END_OF_IMAGE = bytes.fromhex("04000000 10000000 0d000000 00000000")
DONE = bytes.fromhex("05000000 08000000")
RESET = bytes.fromhex("07000000 08000000")
LOADERS = {
    "msm8916": "prog_emmc_firehose_8916_test.mbn",
    "msm8953": "prog_emmc_firehose_8953_test.mbn",
    "sdm660": "prog_emmc_ufs_firehose_sdm660_test.elf",
    "qcm2290": "prog_firehose_ddr_qcm2290_test.elf",
    "streaming": "prog_emmc_streaming_8974_test.mbn",
}


def find(phone: Phone) -> Any:  # noqa: ANN401
    """Return the phone as pyusb sees it, or None."""
    return usb.core.find(idVendor=0x05C6, idProduct=0x9008, backend=phone.backend)


class Client:
    """Talks to one phone."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._buffer = array.array("B", bytes(1 << 20))
        self.device = find(phone)
        self.packet_bytes: int = self.device[0][0, 0][0].wMaxPacketSize

    def read(self) -> bytes:
        """Return one transfer, or nothing where the phone is silent."""
        try:
            return self._buffer[: self.device.read(IN, self._buffer, 2000)].tobytes()
        except usb.core.USBTimeoutError:
            return b""

    def write(self, data: bytes) -> None:
        """Send one transfer, with a zero-length packet where it fills its last packet."""
        assert self.device.write(OUT, data, 2000) == len(data)
        if len(data) % self.packet_bytes == 0:
            assert self.device.write(OUT, b"", 2000) == 0

    def upload(self, image: bytes | None = None) -> bytes:
        """Upload a loader, by default the right one; return what ends the transfer."""
        image = image or (REPO / "loaders" / LOADERS[self.phone.profile.programmer]).read_bytes()
        assert self.read() == HELLO
        self.write(HELLO_RESP)
        while True:
            packet = self.read()
            match struct.unpack_from("<I", packet)[0]:
                case 0x03:
                    number, offset, length = struct.unpack("<3I", packet[8:])
                case 0x12:
                    number, offset, length = struct.unpack("<3Q", packet[8:])
                case _:
                    return packet
            assert number == 13
            self.write(image[offset : offset + length])

    def start_programmer(self) -> list[str]:
        """Upload the loader, start it and return what it logs unasked."""
        assert self.upload() == END_OF_IMAGE
        self.write(DONE)
        status = 0 if self.phone.profile.programmer in {"msm8916", "msm8953"} else 1
        assert self.read() == struct.pack("<3I", 6, 12, status)
        if self.phone.profile.usb3:
            self.__init__(self.phone)  # type: ignore[misc]
        return self.logs()

    def logs(self) -> list[str]:
        """Return what is logged until the phone is silent."""
        found = []
        while document := self.read():
            found += re.findall(r'<log value="([^"]*)"', document.decode())
        return found

    def power(self, value: str) -> None:
        """Reset the phone or switch it off, and read its last words."""
        with contextlib.suppress(usb.core.USBError):
            self.command("power", value=value)
            self.logs()

    def command(self, name: str, **attributes: object) -> str:
        """Send a command and return the response; logs before, in between and after are dropped.

        Generation 1 takes no command while a log of the last one has not been read.
        """
        self.logs()
        text = "".join(f' {key}="{value}"' for key, value in attributes.items())
        document = f'<?xml version="1.0" encoding="UTF-8" ?><data><{name}{text} /></data>'
        self.write(document.encode() + b" " * (len(document) % 512 == 0))
        return self.response()

    def response(self) -> str:
        """Return the next response."""
        while document := self.read():
            if found := re.search(r"<response .*?/>", document.decode()):
                return found[0]
        return ""

    def configure(self, **attributes: object) -> str:
        """Configure the programmer."""
        return self.command(
            "configure",
            MemoryName=self.phone.profile.storage,
            Verbose=0,
            AlwaysValidate=0,
            MaxDigestTableSizeInBytes=8192,
            MaxPayloadSizeToTargetInBytes=16384,
            ZlpAwareHost=1,
            SkipStorageInit=0,
            TargetName=8960,
            **attributes,
        )

    def extent(self, start: int, sectors: int, lun: int = 0) -> dict[str, int]:
        """Return the attributes that name sectors."""
        return {
            "SECTOR_SIZE_IN_BYTES": self.phone.profile.sector_bytes,
            "physical_partition_number": lun,
            "start_sector": start,
            "num_partition_sectors": sectors,
        }

    def program(self, start: int, data: bytes, lun: int = 0) -> str:
        """Write data, whole sectors; return the last response."""
        sectors = len(data) // self.phone.profile.sector_bytes
        answer = self.command("program", **self.extent(start, sectors, lun), filename="x.bin")
        assert 'value="ACK"' in answer
        assert 'rawmode="true"' in answer
        for offset in range(0, len(data), 16384):
            self.write(data[offset : offset + 16384])
        return self.response()

    def read_back(self, start: int, sectors: int, lun: int = 0) -> bytes:
        """Return sectors."""
        answer = self.command("read", **self.extent(start, sectors, lun), filename="x.bin")
        assert 'rawmode="true"' in answer
        data = bytearray()
        while len(data) < sectors * self.phone.profile.sector_bytes:
            data += self.read()
        assert 'value="ACK"' in self.response()
        return bytes(data)
