# SPDX-License-Identifier: BSD-3-Clause
"""The host's side of Firehose, without I/O: bytes in; logs, responses and raw data out.

    host.receive(transfer, whole_transfer=True)
    while (event := host.next_event()):
        ...
    host.expect_raw(size_bytes, sector_bytes)   # after a response that opens raw mode for reading

Programmers glue documents together, split them, cut them short, put logs before, behind and inside
of answers, and do not escape what they log. So documents are found by their frame, elements by a
tolerant scan, and raw data by its announced length: it is never searched for XML.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from edl.errors import ProtocolError

MAX_DOCUMENT_BYTES = 64 * 1024  # real documents have at most 4 KiB; what is longer is junk
MAX_JUNK_BYTES = 16 * 1024 * 1024  # between two documents

_STEP_BYTES = 4096  # text is looked at in such pieces, so that glued documents cost no copies
_PACKET_BYTES = 512  # raw transfers are whole sectors, and no sector is smaller
_NOISE = b"\xf0\xe9\x88\x14"  # some vendor's programmer strews this in (bkerler/edl xmlparser.py)
_STRAY_TAIL = b"</xml>"  # Oplus programmers append this to a document (bkerler/edl#439)

_PROLOG = b"<?xml"
_MARKS = (_PROLOG, b"<data>")  # how a document may begin
_BEGIN = re.compile(b"|".join(map(re.escape, _MARKS)))
_BLANK = rb"(?:[\s\0]|\xf0\xe9\x88\x14){0,64}"
_ANSWER = re.compile(
    rb"<\?xml[^<>]{0,80}\?>" + _BLANK + rb"<data>" + _BLANK + rb"<(?:log|response)\b", re.IGNORECASE
)
_END = re.compile(
    rb'"' + _BLANK + rb"(?:/>|></(?:log|response)>)" + _BLANK + rb"</data>", re.IGNORECASE
)
_MAX_END_BYTES = 1024  # longest text that _END matches, and more
_FRAME = re.compile(rb"<\?xml[^<>]*\?>\n<data>\n<")

# What nearly every transfer is, so that it takes one look: a plain log line, or a plain yes or no.
_PLAIN = re.compile(
    rb"<\?xml[ -;=?-~]{0,60}\?>\s*<data>\s*"
    rb'(?:<log value="(?P<log>[ !#-%\'-;=?-~]{0,512})"|'
    rb'<response value="(?P<yes>ACK|NAK)"(?: rawmode="(?P<raw>true|false)")?)'
    rb" ?/>\s*</data>"
)
_OPEN = re.compile(r"<(log|response)\b", re.IGNORECASE)
_CLOSE = re.compile(
    r"\"\s*+(?:/>|></(?:log|response)>)\s*+(?=<log\b|<response\b|</data>|$)", re.IGNORECASE
)
_ATTRIBUTE = re.compile(
    r"(?<![\w.:-])([\w.:-]++)\s*+=\s*+\"(.*?)\"(?=\s++[\w.:-]++\s*+=\s*+\"|\s*+$)", re.DOTALL
)
_LOG_VALUE = re.compile(r"\s*+value\s*+=\s*+\"", re.IGNORECASE)
_ENTITIES = {"&quot;": '"', "&lt;": "<", "&gt;": ">", "&apos;": "'", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))


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
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.strip()


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
        """Count the next size_bytes as raw data in whole sectors.

        What has arrived behind the response is its beginning already, unless it is a stray tail of
        the document: on USB that is no whole sector, elsewhere only the known one can be told.
        """
        self._sector_bytes = sector_bytes
        behind = self._take_unused()
        self._begin_raw(size_bytes, memoryview(b"") if self._is_ragged(behind) else behind)

    def expect_answer_or_raw(self, size_bytes: int, sector_bytes: int) -> None:
        """After <read>: some programmers send the sectors without any answer before them.

        (TCL builds, Open-Q 820: bkerler/edl#232, #740.) A sector in which no document begins is
        the data then; it comes behind a Response with the attribute "unannounced".
        """
        self._unannounced, self._sector_bytes = size_bytes, sector_bytes

    def end_raw(self) -> None:
        """Stop counting raw data: the device gave up."""
        self._raw_left = 0

    def forget(self) -> None:
        """Drop everything that has not been taken."""
        self._take_unused()
        self._ready.clear()
        self._raw_left = self._unannounced = self._junk_bytes = 0

    def next_event(self) -> Event | None:
        """Return what arrived next, or None if it takes more bytes.

        Raises:
            ProtocolError: endless junk. All that has arrived is dropped.
        """
        while not self._ready:
            if not self._fresh:
                return None
            if self._raw_left and not self._is_stray():
                piece = self._fresh[: self._raw_left]
                self._fresh = self._fresh[self._raw_left :]
                self._raw_left -= len(piece)
                return RawData(piece)
            if not (self._unannounced and self._raw_came()):
                while self._fresh and not self._take_step():
                    pass
        return self._ready.popleft()

    # -- raw data -------------------------------------------------------------------------------

    def _take_unused(self) -> memoryview:
        """Return and forget the bytes that no event has used yet."""
        unused = memoryview(bytes(self._text) + self._fresh) if self._text else self._fresh
        self._text.clear()
        self._fresh = memoryview(b"")
        return unused

    def _begin_raw(self, size_bytes: int, begun: memoryview) -> None:
        stray = not self._whole and bytes(begun[: len(_STRAY_TAIL)]) == _STRAY_TAIL
        self._fresh = begun[len(_STRAY_TAIL) :] if stray else begun
        self._raw_left, self._unannounced = size_bytes, 0

    def _is_ragged(self, arrived: memoryview) -> bool:
        """Tell whether arrived cannot be raw data, which comes in transfers of whole sectors."""
        return self._whole and len(arrived) % self._sector_bytes != 0

    def _is_stray(self) -> bool:
        """Tell a document inside the raw stream from data: generation 2 logs read errors there.

        Genuine data may look like XML, but does not end within a sector.
        """
        if not self._is_ragged(self._fresh):
            return False
        begins = bytes(self._fresh[: len(_PROLOG)]) == _PROLOG
        ends = bytes(self._fresh[-32:]).rstrip(b"\0\r\n ").endswith(b"</data>")
        return (begins and ends) or len(self._fresh) < _PACKET_BYTES

    def _raw_came(self) -> bool:
        """Tell whether raw data came where an answer was due, and begin to count it."""
        begun = (self._text + self._fresh[: self._sector_bytes])[: self._sector_bytes]
        if len(begun) < self._sector_bytes or _BEGIN.search(begun) or self._is_ragged(self._fresh):
            return False
        self._ready.append(Response(ack=True, rawmode=True, attributes={"unannounced": "true"}))
        self._begin_raw(self._unannounced, self._take_unused())
        return True

    # -- documents ------------------------------------------------------------------------------

    def _take_step(self) -> bool:
        """Move a step of the fresh bytes to the text; True if that completes a document."""
        known = self._whole and not self._text and self.generation_hint is not None
        if known and (plain := _PLAIN.fullmatch(self._fresh)):
            self._take_plain(plain)
            return True
        step = self._fresh[:_STEP_BYTES]
        self._fresh, behind = self._fresh[len(step) :], self._fresh
        searched = len(self._text)
        self._text += step
        if not (begin := _BEGIN.search(self._text)) and self._unannounced and not self._whole:
            return False  # it may be the first part of a sector
        junk_bytes = begin.start() if begin else len(self._text) - _partial(self._text)
        self._drop_junk(junk_bytes)
        end = _END.search(self._text, max(0, searched - junk_bytes - _MAX_END_BYTES))
        if (size := end.end() if end else len(self._text)) > MAX_DOCUMENT_BYTES:
            self._drop_overlong(size)
            end = _END.search(self._text)
        if end is None:
            return False
        glued_bytes = len(self._text) - end.end()
        text = bytes(self._text[: end.end()])
        self._text.clear()
        self._fresh = behind[len(step) - glued_bytes :]
        self._take_text(text)
        return True

    def _take_plain(self, plain: re.Match[bytes]) -> None:
        self._fresh, self._junk_bytes = memoryview(b""), 0
        if (log := plain["log"]) is not None:
            self._ready.append(Log(log.decode("ascii").strip()))
            return
        found = (("value", plain["yes"]), ("rawmode", plain["raw"]))
        attributes = {name: text.decode("ascii") for name, text in found if text is not None}
        raw = None if plain["raw"] is None else plain["raw"] == b"true"
        self._ready.append(Response(plain["yes"] == b"ACK", raw, attributes))
        self._unannounced = 0

    def _drop_overlong(self, size: int) -> None:
        """Drop what is too long for a document: sectors of an earlier read that hold some XML."""
        last = max(self._text.rfind(mark, 0, size) for mark in _MARKS)
        self._drop_junk(last or size)  # the text begins with one

    def _drop_junk(self, count: int) -> None:
        junk = bytes(self._text[:count])
        del self._text[:count]
        self._junk_bytes += count
        if self._junk_bytes > MAX_JUNK_BYTES:
            count = self._junk_bytes
            self.forget()
            raise ProtocolError(f"The phone sent {count} bytes that are no answer.")
        if junk.strip(b"\0\r\n\t "):
            self._ready.append(Junk(junk))

    def _take_text(self, text: bytes) -> None:
        """Take a complete document, and those before it that were cut short.

        Only what begins as an answer is a document inside of another: a log may quote a command.
        """
        self._junk_bytes = 0
        begins = [0, *(match.start() for match in _ANSWER.finditer(text, 1)), len(text)]
        for begin, end in pairwise(begins):
            self._take_document(text[begin:end])
        whole = text[begins[-2] :]
        if self.generation_hint is None and whole.startswith(_PROLOG):
            self.generation_hint = _generation(whole)

    def _take_document(self, document: bytes) -> None:
        text = document.replace(_NOISE, b" ").replace(b"\0", b" ").decode("utf-8", "replace")
        for tag, inside in _elements(text):
            if tag == "response":
                self._ready.append(_response(inside))
                self._unannounced = 0
            else:
                value = _LOG_VALUE.match(inside)
                quoted = inside[value.end() :].removesuffix('"') if value else inside
                self._ready.append(Log(clean(_unescape(quoted))))


def _elements(text: str) -> Iterator[tuple[str, str]]:
    """Yield tag and attributes of each log and response; a log may be cut short."""
    at = 0
    while opening := _OPEN.search(text, at):
        tag = opening[1].lower()
        closing = _CLOSE.search(text, text.find('"', opening.end()) + 1 or opening.end())
        if closing is not None:
            yield tag, text[opening.end() : closing.start() + 1]
            at = closing.end()
        else:
            if tag == "log":
                yield tag, text[opening.end() :]
            return


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
    marks = (mark[:count] for mark in _MARKS for count in range(1, len(mark)))
    return max((len(part) for part in marks if text.endswith(part)), default=0)


def _generation(document: bytes) -> int:
    """Return the generation whose frame document has (executed: real-programmer notes, §2.1).

    All that is not exactly the frame of a later one counts as 1, the one to be careful with.
    """
    if not _FRAME.match(document):
        return 1
    return 2 if document.endswith(b"\n</data>") else 3
