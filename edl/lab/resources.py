# SPDX-License-Identifier: BSD-3-Clause
"""Phones as labgrid's resources, and how an exporter offers them to other hosts.

A phone is available while it is in EDL mode. A resource of labgrid that clients see through the
coordinator has a class of its own, `Network...`, with the host where the phone is.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attr
from labgrid.factory import target_factory
from labgrid.remote import exporter
from labgrid.resource.remote import RemoteUSBResource
from labgrid.resource.udev import USBResource

# As `edl.transport.discovery.EDL_IDS`, which a test compares: labgrid's hosts need not have pyusb.
EDL_IDS = {
    ("05c6", "9008"), ("05c6", "90e2"),
    ("0fce", "9dde"), ("0fce", "ade3"), ("0fce", "ade5"), ("0fce", "aded"),
}  # fmt: skip
_SERIAL = re.compile(r"_SN:([0-9A-Fa-f]{1,16})")
WAIT_S = 30.0  # for a phone to enter EDL mode, after power came


def _serial_of(text: str) -> str:
    return text.lower().removeprefix("0x").zfill(8) if text else ""


@target_factory.reg_resource
@attr.s(eq=False)
class QualcommEDLDevice(USBResource):
    """A Qualcomm phone in EDL mode, plugged into this host.

    Args:
        match (dict): what udev says of it; mostly the port: ID_PATH, or sys_name ("1-4.2").
        serial (str): its serial number. In EDL mode that stands in the product name only, so that
            ID_SERIAL_SHORT does not match.
        vendor_id, product_id (str): ids of a maker's own, four hex digits each.
    """

    serial: str = attr.ib(
        default="", validator=attr.validators.instance_of(str), converter=_serial_of
    )
    usb_vendor_id: str = attr.ib(default="", validator=attr.validators.instance_of(str))
    usb_product_id: str = attr.ib(default="", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        self.match["DEVTYPE"] = "usb_device"
        super().__attrs_post_init__()
        self.timeout = WAIT_S

    def filter_match(self, device: Any) -> bool:  # noqa: ANN401
        """See labgrid: whether device may be this phone, besides what `match` says."""
        told = device.properties
        ids = (told.get("ID_VENDOR_ID", ""), told.get("ID_MODEL_ID", ""))
        own = (self.usb_vendor_id.lower(), self.usb_product_id.lower())
        if ids not in EDL_IDS and ids != own:
            return False
        return not self.serial or self.serial == _told_serial(told)


def _told_serial(told: Any) -> str:  # noqa: ANN401
    found = _SERIAL.search(told.get("ID_MODEL", ""))
    return _serial_of(found[1]) if found else ""


@target_factory.reg_resource
@attr.s(eq=False)
class NetworkQualcommEDLDevice(RemoteUSBResource):
    """A phone in EDL mode on an exporter's host.

    Args:
        serial (str): its serial number, if the exporter was told.
    """

    serial: str = attr.ib(default="", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.timeout = WAIT_S


@attr.s(eq=False)
class EDLExport(exporter.ResourceExport):
    """Offers a phone, also while it is not in EDL mode: then it is not available.

    phone: the class of resources here; clients have the one with `Network` before its name. told:
    what they learn of it.
    """

    phone: ClassVar[Any] = QualcommEDLDevice
    told: ClassVar[tuple[str, ...]] = (
        "busnum",
        "devnum",
        "path",
        "vendor_id",
        "model_id",
        "serial",
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.local = self.phone(target=None, name=None, **self.local_params)
        self.data["cls"] = f"Network{self.cls}"

    def _get_params(self) -> dict[str, Any]:
        return {"host": self.host, **{name: getattr(self.local, name) for name in self.told}}


exporter.exports["QualcommEDLDevice"] = EDLExport
