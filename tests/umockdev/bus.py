# SPDX-License-Identifier: BSD-3-Clause
"""A bus of virtual phones that programs reach through umockdev and libusb."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector

from edl.virtual.descriptors import UsbDevice
from edl.virtual.usb import VirtualBackend
from tests.umockdev.testbed import Testbed
from tests.umockdev.transfers import ALWAYS_CAPS, SCATTER_GATHER_CAP, File
from tests.umockdev.usbfs import Node

TICK_S = 0.002
HOLD_S = 0.05  # after that time without a request, no more parts of a transfer will come


class UsbfsBus(VirtualBackend):
    """A bus whose phones programs reach through umockdev and libusb, while it serves them.

    caps: what the host controller can do, as usbfs says it. udev_delay_s: see Testbed.
    """

    def __init__(
        self,
        testbed: Testbed,
        caps: int = ALWAYS_CAPS | SCATTER_GATHER_CAP,
        *,
        udev_delay_s: float = 0.0,
    ) -> None:
        super().__init__()
        testbed.udev_delay_s = udev_delay_s
        self._testbed = testbed
        self._caps = caps
        self._nodes: list[Node] = []
        self._selector = DefaultSelector()
        self._ticked = self._asked = time.monotonic()

    def attach(self, device: UsbDevice) -> None:
        """Plug device in, perhaps where one has just left."""
        self._part()
        super().attach(device)
        node = Node(device, self._testbed, self._caps)
        self._nodes.append(node)
        self._watch(node.listener, lambda: self._open(node))

    def serve(self, awaited: int, limit_s: float) -> None:
        """Serve programs until there is something to read from the file descriptor awaited.

        Raises:
            TimeoutError: nothing came within limit_s.
        """
        deadline = time.monotonic() + limit_s
        arrived: list[bool] = []
        self._watch(awaited, lambda: arrived.append(True))
        self._ticked = self._asked = time.monotonic()
        try:
            while not arrived:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nothing came within {limit_s} seconds")
                for key, _ in self._selector.select(TICK_S):
                    key.data()
                    self._asked = time.monotonic()
                self.tick()
        finally:
            self._selector.unregister(awaited)

    @property
    def in_use(self) -> bool:
        """Whether a program has a phone's node open."""
        return any(node.files for node in self._nodes)

    def close(self) -> None:
        """Take all phones from the bus."""
        for node in self._nodes:
            for file in list(node.files):
                self._close(node, file)
            if not node.gone:
                node.leave()
            if not node.hung_up:
                node.hang_up()
            node.listener.close()
        self._testbed.tell(early=True)
        self._selector.close()

    def _watch(self, source: int | socket.socket, act: Callable[[], object]) -> None:
        self._selector.register(source, EVENT_READ, act)

    def tick(self) -> None:
        """Let pass as much time for the phones as has passed for us."""
        now = time.monotonic()
        elapsed_us = round((now - self._ticked) * 1_000_000)
        self._ticked = now
        for node in list(self._nodes):
            if now - self._asked > HOLD_S:
                node.transfers.held = False
            if not node.files:
                node.device.controller.settle()
            node.transfers.advance(elapsed_us)
        self._part()
        for node in self._nodes:
            if node.gone and not node.hung_up:
                node.hang_up()
        self._testbed.tell()

    def _part(self) -> None:
        """Take those from the bus that have left it."""
        for node in self._nodes:
            if node.device.controller.gone and not node.gone:
                node.leave()

    def _open(self, node: Node) -> None:
        file = File(node.listener.accept()[0])
        node.files.append(file)
        self._watch(file.connection, lambda: self._serve_file(node, file))

    def _serve_file(self, node: Node, file: File) -> None:
        if not file.serve(lambda number, argument: node.ioctl(file, number, argument)):
            self._close(node, file)

    def _close(self, node: Node, file: File) -> None:
        self._selector.unregister(file.connection)
        node.close_file(file)
