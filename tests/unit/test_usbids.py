# SPDX-License-Identifier: BSD-3-Clause
"""What USB devices are that are not in EDL mode. Ids: sahara.md 13.1 and 14.2, AOSP (ff/42/xx)."""

from __future__ import annotations

import re
from importlib import resources

import pytest
import usb.core

from edl.errors import TransportError
from edl.transport import discovery
from edl.transport.usbids import Interface, others, what_is
from tests.unit.test_transport_discovery import bus

QUALCOMM = 0x05C6
FASTBOOT, ADB, MTP, CRASH = (0xFF, 0x42, 3), (0xFF, 0x42, 1), (6, 1, 1), (0xFF, 0xFF, 0x13)


@pytest.mark.parametrize(
    ("vendor", "product", "interfaces", "kind"),
    [
        (QUALCOMM, 0x900E, [], "crash"),
        (QUALCOMM, 0x9006, [], "old-crash"),
        (QUALCOMM, 0x90DB, [CRASH], "crash"),
        (QUALCOMM, 0x90DB, [], "other-mode"),
        (0x1004, 0x61A1, [], "crash"),
        (QUALCOMM, 0x9025, [ADB], "diag"),
        (QUALCOMM, 0x1234, [(0xFF, 0xFF, 0x30)], "diag"),
        (QUALCOMM, 0xF000, [], "modem-disc"),
        (0x1199, 0x9070, [], "modem-loader"),
        (0x18D1, 0xD00D, [], "fastboot"),
        (0x0FCE, 0x0DDE, [FASTBOOT], "fastboot"),
        (0x2717, 0xFF48, [MTP, ADB], "adb"),
        (0x18D1, 0x4EE7, [], "adb"),
        (0x2717, 0xFF40, [MTP], "android"),
        (0x0E8D, 0x0003, [], "mediatek"),
        (0x0E8D, 0x2000, [(2, 2, 1)], "mediatek"),
        (0x04E8, 0x685D, [], "odin"),
        (0x05AC, 0x1227, [], "apple"),
        (0x1782, 0x4D00, [], "spreadtrum"),
    ],
)
def test_what_a_device_is(
    vendor: int, product: int, interfaces: list[Interface], kind: str
) -> None:
    advice = what_is(vendor, product, None, interfaces)
    assert advice is not None
    assert advice.kind == kind
    assert advice.todo


@pytest.mark.parametrize(("vendor", "product"), sorted(discovery.EDL_IDS))
def test_nothing_is_said_of_edl_mode(vendor: int, product: int) -> None:
    assert what_is(vendor, product) is None


def test_nothing_is_said_of_a_keyboard() -> None:
    assert what_is(0x046D, 0xC31C, "Keyboard", [(3, 1, 1)]) is None


def test_the_product_string_is_told() -> None:
    advice = what_is(0x18D1, 0xD00D, "Android")
    assert advice is not None
    assert str(advice).startswith("Android bootloader 'Android': a phone in fastboot")


@pytest.mark.parametrize("ids", sorted(discovery.CRASH_DUMP_IDS))
def test_every_crash_dump_has_advice(ids: tuple[int, int]) -> None:
    advice = what_is(*ids)
    assert advice is not None
    assert "crash" in advice.kind


def test_the_tables_are_whole() -> None:
    data = resources.files("edl.data")
    rows = data.joinpath("usb_ids.tsv").read_text("utf-8").splitlines()[1:]
    kinds = data.joinpath("usb_kinds.tsv").read_text("utf-8").splitlines()[1:]
    form = re.compile(
        r"([0-9a-f]{4}|\*)\t([0-9a-f]{4}|\*)\t([0-9a-f]{2}(/[0-9a-f]{2}){2}|\*)\t\S[^\t]+\t\S+"
    )
    assert [row for row in rows if not form.fullmatch(row)] == []
    assert len({tuple(row.split("\t")[:3]) for row in rows}) == len(rows)
    assert {row.split("\t")[4] for row in rows} == {row.split("\t")[0] for row in kinds}
    assert all(re.fullmatch(r"\S+\t[^\t]+[^.\t]\t[^\t]+", row) for row in kinds)


def test_what_is_on_the_bus() -> None:
    backend = bus({}, {"ids": (0x0E8D, 0x0003)}, {"ids": (QUALCOMM, 0x900E)}, {"ids": (1, 2)})
    first, second = others(backend)
    assert (first.vendor_id, first.product_id, first.location) == (0x0E8D, 0x0003, "1-2")
    assert second.advice.kind == "crash"
    assert str(first).startswith("USB 1-2 (0e8d:0003) is MediaTek boot ROM: a phone with")
    assert [other.location for other in others(backend, {"1-2"})] == ["1-3"]


def test_interfaces_tell_what_ids_do_not() -> None:
    [other] = others(bus({"ids": (QUALCOMM, 0x90DB), "protocol": 0x13}))
    assert other.advice.kind == "crash"


def test_a_device_without_readable_descriptors() -> None:
    backend = bus({"ids": (QUALCOMM, 0x900E)})

    def fail(*_: object) -> None:
        raise usb.core.USBError("no descriptor", -1, 5)

    backend.get_configuration_descriptor = fail  # type: ignore[method-assign,assignment]
    [other] = others(backend)
    assert other.advice.kind == "crash"


def test_a_bus_that_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = bus()

    def fail() -> list[object]:
        raise usb.core.USBError("no bus", -1, 5)

    backend.enumerate_devices = fail  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(discovery, "libusb", lambda: backend)
    with pytest.raises(TransportError, match="cannot be looked at"):
        others()
