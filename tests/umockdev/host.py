# SPDX-License-Identifier: BSD-3-Clause
"""Hosts for a test: a bus to plug virtual phones into, and programs that use them.

virtual: pyusb over the virtual phones' own backend, all in this process.
libusb: pyusb over the system's libusb, at a host controller as computers have it (xHCI).
libusb-split: the same at one that cannot gather memory (dwc2), so that libusb splits transfers.
libusb-bundled: pyusb over the libusb that comes with the package libusb-package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import libusb_package
import pytest

from edl.virtual.controller import HIGH_SPEED_PACKET_BYTES, Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.link import Firmware
from edl.virtual.usb import VirtualBackend
from tests.umockdev.bus import UsbfsBus
from tests.umockdev.program import Program, Workers, require
from tests.umockdev.session import Session
from tests.umockdev.transfers import ALWAYS_CAPS, BULK_CONTINUATION_CAP, SCATTER_GATHER_CAP
from tests.umockdev.worker import FORGET, Message

PRODUCT = "QUSB_BULK_CID:0412_SN:1A2B3C4D"
SYSTEM_LIBUSB = "libusb-1.0.so.0"


class Kind(NamedTuple):
    """Which libusb a host has, and what its host controller can do."""

    library: str
    caps: int


KINDS = {
    "virtual": None,
    "libusb": Kind(SYSTEM_LIBUSB, ALWAYS_CAPS | SCATTER_GATHER_CAP),
    "libusb-split": Kind(SYSTEM_LIBUSB, ALWAYS_CAPS | BULK_CONTINUATION_CAP),
    "libusb-bundled": Kind(
        str(libusb_package.get_library_path()), ALWAYS_CAPS | SCATTER_GATHER_CAP
    ),
}


class Host:
    """A computer with virtual phones, in this process.

    Attributes:
        bus: where phones are plugged in.
    """

    def __init__(self, bus: VirtualBackend) -> None:
        self.bus = bus

    def plug(
        self,
        software: Firmware,
        *faults: str,
        packet_bytes: int = HIGH_SPEED_PACKET_BYTES,
        **options: Any,  # noqa: ANN401
    ) -> UsbDevice:
        """Plug in a phone that runs software."""
        injector = Injector(map(parse_fault, faults))
        controller = Controller(
            software, lambda _: None, packet_bytes=packet_bytes, injector=injector
        )
        port = options.pop("port", None) or self.bus.new_port()
        options = {"product": PRODUCT, **options}
        device = UsbDevice(controller, port, injector=injector, **options)
        self.bus.attach(device)
        return device

    def session(self) -> Session:
        """Return a new program that uses the phones."""
        return Session(self.bus)

    def phone(self, software: Firmware, *faults: str, **options: Any) -> Session:  # noqa: ANN401
        """Plug in a phone that runs software, and return a program that has chosen it."""
        self.plug(software, *faults, **options)
        session = self.session()
        session.open()
        return session


class LibusbHost(Host):
    """A computer whose programs see the phones through umockdev and a real libusb."""

    bus: UsbfsBus

    def __init__(self, workers: Workers, kind: Kind) -> None:
        super().__init__(UsbfsBus(workers.testbed, kind.caps))
        self._workers = workers
        self._library = kind.library
        self._programs: list[Program] = []

    def session(self) -> Session:
        """Return a new program that uses the phones."""
        program = self._workers.get(self._library, len(self._programs))
        self._programs.append(program)
        return cast("Session", _Remote(program, self.bus))

    def close(self) -> None:
        """End the programs and unplug everything."""
        try:
            for program in self._programs:
                if program.runs:
                    program.call(self.bus, Message(FORGET))
        finally:
            if self.bus.in_use:  # when the bus is gone, the preloaded library aborts its process
                for program in self._programs:
                    program.stop()
            self.bus.close()


class _Remote:
    """A session in another process."""

    def __init__(self, program: Program, bus: UsbfsBus) -> None:
        self._program = program
        self._bus = bus

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            return self._program.call(self._bus, Message(name, args, options))

        return call


@pytest.fixture(name="workers", scope="session")
def make_workers() -> Iterator[Workers]:
    """Processes for the tests of one session."""
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(name="host", params=KINDS)
def make_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host of each kind."""
    kind = KINDS[request.param]
    if kind is None:
        yield Host(VirtualBackend())
        return
    require(kind.library)
    host = LibusbHost(request.getfixturevalue("workers"), kind)
    yield host
    host.close()


def not_on(*hosts: str) -> pytest.MarkDecorator:
    """Run a test on all hosts but those, where it makes no sense."""
    return pytest.mark.parametrize(
        "host", [kind for kind in KINDS if kind not in hosts], indirect=True
    )
