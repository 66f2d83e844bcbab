# SPDX-License-Identifier: BSD-3-Clause
"""What a phone in EDL mode says about itself on USB: sahara.md 13.2 and 13.3."""

# ruff: noqa: N815  pyusb and the USB specification name the fields

from __future__ import annotations

from dataclasses import dataclass, field

from usb.util import (
    DESC_TYPE_CONFIG,
    DESC_TYPE_DEVICE,
    DESC_TYPE_ENDPOINT,
    DESC_TYPE_INTERFACE,
    DESC_TYPE_STRING,
    ENDPOINT_TYPE_BULK,
)

from edl.virtual.controller import IN, OUT, SUPER_SPEED_PACKET_BYTES, Controller
from edl.virtual.faults import Injector
from edl.wire import Packet, u8, u16

QUALCOMM = 0x05C6
EDL = 0x9008
MANUFACTURER = "Qualcomm CDMA Technologies MSM"
OLD_PROTOCOL, BOOT_ROM_PROTOCOL, FLASHLESS_PROTOCOL, FIREHOSE_PROTOCOL = 0xFF, 0x11, 0x12, 0x20

_ENGLISH = 0x0409
_MANUFACTURER_INDEX, _PRODUCT_INDEX = 1, 2
_STRING_BYTES = 252  # the length of a string descriptor is one byte, header included


class DeviceDescriptor(Packet):
    """The device as a whole; USB 2.0, table 9-8."""

    bLength: u8
    bDescriptorType: u8
    bcdUSB: u16
    bDeviceClass: u8
    bDeviceSubClass: u8
    bDeviceProtocol: u8
    bMaxPacketSize0: u8
    idVendor: u16
    idProduct: u16
    bcdDevice: u16
    iManufacturer: u8
    iProduct: u8
    iSerialNumber: u8
    bNumConfigurations: u8


class ConfigurationDescriptor(Packet):
    """Its only configuration; USB 2.0, table 9-10."""

    bLength: u8
    bDescriptorType: u8
    wTotalLength: u16
    bNumInterfaces: u8
    bConfigurationValue: u8
    iConfiguration: u8
    bmAttributes: u8
    bMaxPower: u8


class InterfaceDescriptor(Packet):
    """Its only interface; USB 2.0, table 9-12."""

    bLength: u8
    bDescriptorType: u8
    bInterfaceNumber: u8
    bAlternateSetting: u8
    bNumEndpoints: u8
    bInterfaceClass: u8
    bInterfaceSubClass: u8
    bInterfaceProtocol: u8
    iInterface: u8


class EndpointDescriptor(Packet):
    """One of its two bulk endpoints; USB 2.0, table 9-13."""

    bLength: u8
    bDescriptorType: u8
    bEndpointAddress: u8
    bmAttributes: u8
    wMaxPacketSize: u16
    bInterval: u8


@dataclass(eq=False)
class UsbDevice:
    """One appearance of a phone on the bus, until it leaves.

    port: number of the socket that the cable is in, from 1; a phone keeps it.
    ids: vendor and product id; 05c6:9008 in EDL mode, some makers use their own.
    protocol: bInterfaceProtocol: 0xff, or on newer chips what it speaks (0x10, 0x11, 0x13, 0x20).
    product: the product string; None where the phone has none.
    strings_readable: False where it stalls on every string.
    kernel_driver: driver of the system that holds the interface, such as qcserial.
    address: number on the bus, given by the backend.
    holder: the handle that has claimed the interface.
    configuration: bConfigurationValue of the active configuration, 0 for none.
    """

    controller: Controller
    port: int
    ids: tuple[int, int] = (QUALCOMM, EDL)
    protocol: int = OLD_PROTOCOL
    product: str | None = None
    strings_readable: bool = True
    kernel_driver: str | None = None
    injector: Injector = field(default_factory=Injector)
    address: int = 0
    holder: object = None
    configuration: int = 1

    @property
    def super_speed(self) -> bool:
        """Whether it runs at SuperSpeed; else at high speed."""
        return self.controller.packet_bytes == SUPER_SPEED_PACKET_BYTES

    @property
    def descriptor(self) -> DeviceDescriptor:
        """The device descriptor; iSerialNumber is 0 in EDL mode."""
        usb_version, packet0_bytes = (0x300, 9) if self.super_speed else (0x200, 64)
        product_index = 0 if self.product is None else _PRODUCT_INDEX
        return DeviceDescriptor(
            *(18, DESC_TYPE_DEVICE, usb_version, 0, 0, 0, packet0_bytes, *self.ids, 0),
            *(_MANUFACTURER_INDEX, product_index, 0, 1),
        )

    @property
    def configuration_descriptor(self) -> ConfigurationDescriptor:
        """The descriptor of the only configuration: bus powered, 2 mA."""
        return ConfigurationDescriptor(9, DESC_TYPE_CONFIG, 9 + 9 + 7 + 7, 1, 1, 0, 0x80, 1)

    @property
    def interface_descriptor(self) -> InterfaceDescriptor:
        """The descriptor of the only interface: specific to the vendor."""
        return InterfaceDescriptor(9, DESC_TYPE_INTERFACE, 0, 0, 2, 0xFF, 0xFF, self.protocol, 0)

    @property
    def endpoint_descriptors(self) -> tuple[EndpointDescriptor, EndpointDescriptor]:
        """The descriptors of the IN and the OUT endpoint."""
        kind, size = ENDPOINT_TYPE_BULK, self.controller.packet_bytes
        return (
            EndpointDescriptor(7, DESC_TYPE_ENDPOINT, IN, kind, size, 0),
            EndpointDescriptor(7, DESC_TYPE_ENDPOINT, OUT, kind, size, 0),
        )

    def raw_descriptor(self, kind: int, index: int, *, language: int) -> bytes | None:
        """Return what the phone answers to GET_DESCRIPTOR; None where it stalls."""
        if kind == DESC_TYPE_DEVICE:
            return self.descriptor.pack()
        if kind == DESC_TYPE_CONFIG and index == 0:
            packets = (self.configuration_descriptor, self.interface_descriptor)
            return b"".join(packet.pack() for packet in (*packets, *self.endpoint_descriptors))
        if kind == DESC_TYPE_STRING and self.strings_readable and language in {0, _ENGLISH}:
            return self._string(index)
        return None

    def _string(self, index: int) -> bytes | None:
        text = {_MANUFACTURER_INDEX: MANUFACTURER, _PRODUCT_INDEX: self.product}.get(index)
        if index == 0:
            content = _ENGLISH.to_bytes(2, "little")  # the list of languages
        elif text is None:
            return None
        else:
            content = text.encode("utf-16-le")[:_STRING_BYTES]
        return bytes([2 + len(content), DESC_TYPE_STRING]) + content
