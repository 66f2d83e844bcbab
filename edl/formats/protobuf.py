# SPDX-License-Identifier: BSD-3-Clause
"""Messages of protocol buffers, taken apart by the numbers of their fields.

Facts: protobuf.dev, "Encoding". Only what files of packages need: numbers and what has a length.
"""

from __future__ import annotations

from collections.abc import Iterator

from edl.errors import DocumentError

_MAX_FIELDS = 150_000  # of one message
_MAX_VARINT_BYTES = 10
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_CUT_OFF = "A message ends too early."


class Message:
    """The fields of a message. What is not asked for is not looked at.

    Raises:
        DocumentError: data is no message, or has more fields than any honest one.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._fields: dict[int, list[int | memoryview]] = {}
        for count, (number, value) in enumerate(_fields(memoryview(data))):
            if count == _MAX_FIELDS:
                raise DocumentError(f"A message has more than {_MAX_FIELDS} fields.")
            self._fields.setdefault(number, []).append(value)

    def number(self, field: int, default: int = 0) -> int:
        """Return the number in field; of several the last one counts. Negative ones are large."""
        value = self._fields.get(field, [default])[-1]
        if not isinstance(value, int):
            raise DocumentError(f"Field {field} of a message is no number.")
        return value

    def raw(self, field: int) -> bytes:
        """Return the bytes in field; none if it is missing."""
        return bytes(next(reversed([*self._views(field)]), b""))

    def text(self, field: int) -> str:
        """Return the text in field; what is no UTF-8 is replaced."""
        return self.raw(field).decode("utf-8", "replace")

    def texts(self, field: int) -> list[str]:
        """Return all texts in field."""
        return [bytes(view).decode("utf-8", "replace") for view in self._views(field)]

    def message(self, field: int) -> Message:
        """Return the message in field; one without fields if it is missing."""
        return Message(self.raw(field))

    def messages(self, field: int) -> Iterator[Message]:
        """Yield all messages in field."""
        for view in self._views(field):
            yield Message(view)

    def _views(self, field: int) -> Iterator[memoryview]:
        for value in self._fields.get(field, ()):
            if isinstance(value, int):
                raise DocumentError(f"Field {field} of a message is a number.")
            yield value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            size, at = _varint(data, at)
        elif kind in {_EIGHT, _FOUR}:
            size = 8 if kind == _EIGHT else 4
        else:
            raise DocumentError(f"A message has a field of the unknown kind {kind}.")
        if size > len(data) - at:
            raise DocumentError(_CUT_OFF)
        piece = data[at : at + size]
        yield key >> 3, piece if kind == _LENGTH else int.from_bytes(piece, "little")
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & (1 << 64) - 1, at + index + 1
    raise DocumentError(_CUT_OFF if at + _MAX_VARINT_BYTES > len(data) else "A number is too long.")
