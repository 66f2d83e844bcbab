# SPDX-License-Identifier: BSD-3-Clause
"""The host's side of Firehose, without I/O: bytes in; logs, responses and raw data out.

    host.receive(transfer)
    while (event := host.next_event()):
        ...
    host.expect_raw(size_bytes, sector_bytes)   # after a response that opens raw mode for reading

Programmers glue documents together, split them, put logs before, behind and inside of answers, and
do not escape what they log. So documents are found by their frame, elements by a tolerant scan, and
raw data by its announced length: it is never searched for XML.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from edl.errors import ProtocolError

MAX_DOCUMENT_BYTES = 64 * 1024  # real documents have at most 4 KiB
MAX_JUNK_BYTES = 16 * 1024 * 1024

_BEGIN = b"<?xml"
_END = re.compile(rb"/>\s*</data>|<data>\s*</data>|</(?:log|response)>\s*</data>")
_ELEMENT = re.compile(
    r"<(log|response)\b(.*?)/?>(?=\s*(?:<log\b|<response\b|</log>|</response>|</data>))",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"([\w.:-]+)\s*=\s*\"(.*?)\"(?=\s+[\w.:-]+\s*=\s*\"|\s*$)", re.DOTALL)
_LOG_VALUE = re.compile(r"\s*value\s*=\s*\"(.*)\"\s*$", re.DOTALL | re.IGNORECASE)
_ENTITIES = {"&quot;": '"', "&lt;": "<", "&gt;": ">", "&apos;": "'", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Log:
    """A line that the programmer logged, without control characters."""

    text: str


@dataclass(frozen=True)
class Response:
    """The programmer's yes (ack) or no. rawmode: None where the attribute is absent."""

    ack: bool
    rawmode: bool | None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RawData:
    """Bytes of the storage; a view that is valid until the next `receive`."""

    data: memoryview


@dataclass(frozen=True)
class Junk:
    """Bytes that belong to nothing, for the log."""

    data: bytes


Event = Log | Response | RawData | Junk


def clean(text: str) -> str:
    """Return text without control characters and directional marks: it may reach a terminal."""
    return _CONTROL.sub(" ", text).strip()


class FirehoseHost:
    """One conversation with a programmer."""

    def __init__(self) -> None:
        self._fresh = memoryview(b"")  # arrived, not looked at
        self._text = bytearray()  # a document that is not complete yet
        self._ready: deque[Event] = deque()
        self._raw_left = 0
        self._sector_bytes = 1
        self._whole = False
        self._junk_bytes = 0
        self._unannounced = 0
        self.generation_hint: int | None = None

    @property
    def raw_left(self) -> int:
        """Raw bytes that are still to come."""
        return self._raw_left

    def receive(self, data: bytes | bytearray | memoryview, *, whole_transfer: bool) -> None:
        """Take what arrived. All events of what arrived before must have been taken.

        whole_transfer: data is exactly one transfer of the device, as on USB.
        """
        if self._fresh:
            raise RuntimeError("next_event() has not been drained")
        self._fresh = memoryview(data)
        self._whole = whole_transfer

    def expect_raw(self, size_bytes: int, sector_bytes: int) -> None:
        """Count the next size_bytes as raw data in whole sectors."""
        self._raw_left, self._sector_bytes = size_bytes, sector_bytes
        self._unannounced = 0
        if self._text:  # what arrived behind the response
            self._fresh = memoryview(bytes(self._text) + bytes(self._fresh))
            self._text.clear()

    def expect_answer_or_raw(self, size_bytes: int, sector_bytes: int) -> None:
        """After <read>: some programmers send the sectors without any answer before them.

        (TCL builds, Open-Q 820: bkerler/edl#232, #740.) Bytes that cannot begin a document are then
        the data.
        """
        self._unannounced, self._sector_bytes = size_bytes, sector_bytes

    def end_raw(self) -> None:
        """Stop counting raw data: the device gave up."""
        self._raw_left = 0

    def forget(self) -> None:
        """Drop everything that has not been taken."""
        self._fresh = memoryview(b"")
        self._text.clear()
        self._ready.clear()
        self._raw_left = self._unannounced = 0

    def next_event(self) -> Event | None:
        """Return what arrived next, or None if it takes more bytes.

        Raises:
            ProtocolError: no end of a document within 64 KiB, or endless junk.
        """
        while not self._ready:
            if self._raw_left and self._fresh and not self._is_stray_log():
                piece = self._fresh[: self._raw_left]
                self._fresh = self._fresh[self._raw_left :]
                self._raw_left -= len(piece)
                return RawData(piece)
            if not self._scan():
                return None
        return self._ready.popleft()

    def _is_stray_log(self) -> bool:
        """Tell a log inside the raw stream from data: generation 2 does that on a read error.

        Raw transfers are whole sectors; the log is not. Genuine data may look like XML.
        """
        ragged = len(self._fresh) % self._sector_bytes != 0 and len(self._fresh) <= self._raw_left
        return self._whole and ragged and bytes(self._fresh[: len(_BEGIN)]) == _BEGIN

    def _scan(self) -> bool:
        """Move fresh bytes into the text and take one document; False if it takes more bytes."""
        if self._fresh:
            self._text += self._fresh
            self._fresh = memoryview(b"")
        if self._unannounced and self._raw_came():
            return True
        begin = self._text.find(_BEGIN)
        if begin < 0:
            begin = len(self._text) - _partial(self._text)
        if begin:
            self._drop_junk(begin)
        end = _END.search(self._text)
        if end is None:
            if len(self._text) > MAX_DOCUMENT_BYTES:
                raise ProtocolError(f"{len(self._text)} bytes came without an end of a document.")
            return bool(self._ready)
        document = bytes(self._text[: end.end()])
        rest = bytes(self._text[end.end() :])
        self._text.clear()
        self._take_document(document)
        self._fresh = memoryview(rest)
        return True

    def _raw_came(self) -> bool:
        head = bytes(self._text[:16]).lstrip(b"\0\r\n\t ")
        if not self._text or len(self._text) < self._sector_bytes or head[:1] == b"<":
            return False
        size, self._unannounced = self._unannounced, 0
        self._ready.append(Response(ack=True, rawmode=True, attributes={"unannounced": "true"}))
        self.expect_raw(size, self._sector_bytes)
        return True

    def _drop_junk(self, count: int) -> None:
        junk = bytes(self._text[:count])
        del self._text[:count]
        if junk.strip(b"\0\r\n\t "):
            self._junk_bytes += count
            if self._junk_bytes > MAX_JUNK_BYTES:
                raise ProtocolError(f"The phone sent {self._junk_bytes} bytes that are no answer.")
            self._ready.append(Junk(junk))

    def _take_document(self, document: bytes) -> None:
        text = document.decode("utf-8", "replace")
        if self.generation_hint is None:
            self.generation_hint = _generation(document)
        body = text[text.find("<data>") + len("<data>") :]
        for match in _ELEMENT.finditer(body):
            if match[1].lower() == "log":
                value = _LOG_VALUE.match(match[2])
                self._ready.append(Log(clean(_unescape(value[1] if value else match[2]))))
            else:
                self._ready.append(_response(match[2]))
                self._unannounced = 0


def _response(text: str) -> Response:
    pairs = {name.lower(): (name, value) for name, value in _ATTRIBUTE.findall(text)}
    value = pairs.get("value", ("", ""))[1]
    raw = pairs.get("rawmode", ("", None))[1]
    return Response(
        ack=value.strip().upper() == "ACK",
        rawmode=None if raw is None else raw.strip().lower() == "true",
        attributes={name: clean(_unescape(text)) for name, text in pairs.values()},
    )


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)


def _partial(text: bytearray) -> int:
    """Return how many bytes at the end of text may begin a document."""
    return next((n for n in range(len(_BEGIN) - 1, 0, -1) if text.endswith(_BEGIN[:n])), 0)


def _generation(document: bytes) -> int:
    """Return the generation whose frame document has (executed: real-programmer notes, §2.1)."""
    if b"\n<data>" not in document:
        return 1
    return 2 if document.endswith(b"\n</data>") else 3
