# SPDX-License-Identifier: BSD-3-Clause
"""What a test does as the host: in its own process, or in one that sees the testbed."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any, NamedTuple

import usb.core
import usb.util

from edl.errors import EdlError, TransportTimeoutError
from edl.transport import discovery
from edl.transport.usb import UsbTransport


class Failure(NamedTuple):
    """What a failed call raised: type, errno (code, for our own errors), libusb's number."""

    kind: str
    number: int | str | None = None
    code: int | None = None


def attempt(call: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return what call returns, with bytes for an array, or how it fails."""
    try:
        result = call()
    except usb.core.USBError as error:
        return Failure(type(error).__name__, error.errno, error.backend_error_code)
    except TransportTimeoutError as error:
        return Failure(type(error).__name__, error.code, error.done_bytes)
    except EdlError as error:
        return Failure(type(error).__name__, error.code)
    except (NotImplementedError, ValueError) as error:
        return Failure(type(error).__name__)
    return bytes(result) if isinstance(result, (array.array, memoryview)) else result


class Session:
    """One program with libusb, or with the virtual phones' backend."""

    def __init__(self, backend: Any) -> None:  # noqa: ANN401
        self._backend = backend
        self._device: Any = None
        self._transport: UsbTransport | None = None

    def open(self, index: int = 0) -> None:
        """Choose a phone on the bus for all that follows."""
        self._device = self._phones()[index]

    def close(self) -> Any:  # noqa: ANN401
        """Give back what is claimed and open; pyusb leaves that to whoever has transferred."""
        if self._transport is not None:
            self._transport.close()
        if self._device is not None:
            return attempt(lambda: usb.util.dispose_resources(self._device))
        return None

    def call(self, name: str, *args: Any) -> Any:  # noqa: ANN401
        """Return what that method of pyusb's Device gives."""
        return attempt(lambda: getattr(self._device, name)(*args))

    def get(self, name: str) -> Any:  # noqa: ANN401
        """Return what that attribute of pyusb's Device is."""
        return attempt(lambda: getattr(self._device, name))

    def read_into(self, size: int, timeout_ms: int) -> Any:  # noqa: ANN401
        """Read into a buffer of our own; return the count and the bytes."""
        buffer = array.array("B", bytes(size))
        count = attempt(lambda: self._device.read(0x81, buffer, timeout_ms))
        return count if isinstance(count, Failure) else (count, bytes(buffer[:count]))

    def backend(self, name: str, *args: Any) -> Any:  # noqa: ANN401
        """Return what that method of the backend gives, without pyusb's own checks."""
        return attempt(lambda: getattr(self._backend, name)(self._handle(), *args))

    def backend_read(self, endpoint: int) -> Any:  # noqa: ANN401
        """Return how many bytes the backend reads, without pyusb's claim."""
        buffer = array.array("B", bytes(512))
        return self.backend("bulk_read", endpoint, 0, buffer, 10_000)

    def _handle(self) -> Any:  # noqa: ANN401
        self._device._ctx.managed_open()
        return self._device._ctx.handle

    def claim(self, interface: int = 0) -> Any:  # noqa: ANN401
        """Claim the interface."""
        return attempt(lambda: usb.util.claim_interface(self._device, interface))

    def release(self) -> Any:  # noqa: ANN401
        """Release the interface."""
        return attempt(lambda: usb.util.release_interface(self._device, 0))

    def string(self, index: int, language: int | None = None) -> Any:  # noqa: ANN401
        """Return a string descriptor."""
        return attempt(lambda: usb.util.get_string(self._device, index, language))

    def endpoints(self) -> list[tuple[int, ...]]:
        """Return class, subclass and protocol of the interface, then each endpoint's facts."""
        interface = self._device[0][0, 0]
        kind = (
            interface.bInterfaceClass,
            interface.bInterfaceSubClass,
            interface.bInterfaceProtocol,
        )
        return [kind] + [
            (endpoint.bEndpointAddress, endpoint.bmAttributes, endpoint.wMaxPacketSize)
            for endpoint in interface
        ]

    def found(self) -> Any:  # noqa: ANN401
        """Return what our own discovery says of each phone, last: whether it can be used."""
        return [
            (
                *(phone.location, phone.address, phone.mode, phone.product, phone.serial),
                phone.problem is None,
            )
            for phone in sorted(discovery.find(self._backend), key=lambda phone: phone.address)
        ]

    def connect(self) -> Any:  # noqa: ANN401
        """Open our own transport to the first phone."""
        (phone, *_) = discovery.find(self._backend)
        transport = attempt(phone.open)
        if isinstance(transport, Failure):
            return transport
        self._transport = transport
        return None

    def receive(self, timeout_s: float) -> Any:  # noqa: ANN401
        """Read through our own transport."""
        transport = self._open_transport()
        return attempt(lambda: transport.read(timeout_s))

    def send(self, data: bytes, timeout_s: float, *, zlp: bool = False) -> Any:  # noqa: ANN401
        """Write through our own transport."""
        transport = self._open_transport()
        return attempt(lambda: transport.write(data, timeout_s, zlp=zlp))

    def pour(self, data: bytes, payload_bytes: int, timeout_s: float) -> Any:  # noqa: ANN401
        """Post data in payloads, each with its zero-length packet; return what is not out."""
        transport = self._open_transport()

        def go() -> int:
            try:
                for at in range(0, len(data), payload_bytes):
                    transport.post(data[at : at + payload_bytes], timeout_s, zlp=True)
                transport.finish(timeout_s)
            except TransportTimeoutError:
                left = transport.underway_bytes
                transport.abandon()
                return left
            return transport.underway_bytes

        return attempt(go)

    def listen(self, transfer_bytes: int) -> Any:  # noqa: ANN401
        """Keep reads posted through our own transport."""
        transport = self._open_transport()
        return attempt(lambda: transport.listen(transfer_bytes))

    def disconnect(self) -> None:
        """Close our own transport, twice."""
        transport = self._open_transport()
        transport.close()
        transport.close()

    def _open_transport(self) -> UsbTransport:
        if self._transport is None:
            raise RuntimeError("no transport is open")
        return self._transport

    def _phones(self) -> list[Any]:
        phones = usb.core.find(find_all=True, backend=self._backend, idVendor=0x05C6)
        return sorted(phones, key=lambda phone: phone.address)
