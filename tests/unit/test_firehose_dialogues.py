# SPDX-License-Identifier: BSD-3-Clause
"""Everything that real programmers said, in recorded dialogues and in public logs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from edl.firehose.host import Event, FirehoseHost, Junk, Log, RawData, Response
from tests.conftest import shared

RECORDED = ("msm8916-plain", "msm8953-plain", "sdm660-plain", "qcm2290-plain", "qcm2290-ufs")
PAYLOAD_BYTES = 16384
PROLOG = '<?xml version="1.0" encoding="UTF-8" ?>'
_DOCUMENT = re.compile(
    r"(?:<\?xml[^>]*\?>\s*)?<data>\s*<(log|response)\s+(.*?)\s*/>\s*</data>", re.DOTALL
)
_READ = re.compile(r'<read SECTOR_SIZE_IN_BYTES="(\d+)".* num_partition_sectors="(\d+)"')


def meant(tag: str, inside: str) -> Event:
    """Return the event of an element, by the strict reading that a recorded line allows."""
    if tag == "log":
        text = html.unescape(inside.removeprefix('value="').removesuffix('"'))
        return Log(re.sub(r"[\x00-\x1f]", " ", text).strip())
    attributes = dict(re.findall(r'(\w+)="([^"]*)"', inside))
    rawmode = {"true": True, "false": False}.get(attributes.get("rawmode", ""))
    return Response(attributes["value"] == "ACK", rawmode, attributes)


@dataclass
class Exchange:
    """One command, the transfers that answered it, and what they mean.

    raw_bytes: what a <read> asked for.
    """

    command: str
    transfers: list[bytes] = field(default_factory=list)
    events: list[Event | int] = field(default_factory=list)  # a number: so many raw bytes
    raw_bytes: int = 0
    sector_bytes: int = 512

    def take(self, line: str) -> None:
        if match := _DOCUMENT.fullmatch(line):
            self.transfers.append(line.encode())
            self.events.append(meant(match[1], match[2]))
            return
        for data in raw_transfers(line, self.raw_bytes):
            self.transfers.append(data)
            if self.events and isinstance(last := self.events[-1], int):
                self.events[-1] = last + len(data)
            else:
                self.events.append(len(data))

    @property
    def has_log_in_data(self) -> bool:
        kinds = [type(event) for event in self.events]
        return int in kinds and kinds.index(int) > 0 and kinds[kinds.index(int) - 1] is not Response


def raw_transfers(line: str, size_bytes: int) -> Iterator[bytes]:
    """Yield transfers as a line tells them: `<16384 raw bytes>`, `2 raw transfers`, or bytes."""
    if match := re.fullmatch(r"\+ZLP <(\d+) raw bytes>", line):
        yield bytes(int(match[1]))
    elif match := re.match(r"\d+ raw transfers, (\d+) bytes", line):
        left = int(match[1])
        while left > 0:
            yield bytes(min(left, PAYLOAD_BYTES))
            left -= PAYLOAD_BYTES
    else:
        shown = re.split(r"\\x00|BBBBBBBB\.\.\.", line.removeprefix("+ZLP "))[0]
        assert shown.startswith(PROLOG)
        assert len(shown) < size_bytes
        yield shown.encode().ljust(size_bytes, b"B")


def exchanges(name: str) -> list[Exchange]:
    found = [Exchange("")]
    text = shared(f"dialogues/{name}.txt").read_bytes().decode("latin-1")
    for line in text.replace("<?xml?>", PROLOG).replace("\\n", "\n").split("\n>> "):
        command, *rows = line.split("\n<< ")
        if command.startswith("<") and " raw bytes" not in command:
            found.append(Exchange(command))
            if match := _READ.match(command):
                found[-1].sector_bytes = int(match[1])
                found[-1].raw_bytes = int(match[1]) * int(match[2])
        elif not found[-1].events and command.startswith("<< "):
            rows.insert(0, command.removeprefix("<< "))
        for row in rows:
            found[-1].take(re.split(r"\n(?:## |-- |=====)", row)[0].rstrip("\n"))
    return found


def heard(exchange: Exchange, pieces: Iterable[bytes], *, usb: bool) -> list[Event | int]:
    core = FirehoseHost()
    if exchange.raw_bytes:
        core.expect_answer_or_raw(exchange.raw_bytes, exchange.sector_bytes)
    events: list[Event | int] = []
    for piece in pieces:
        core.receive(piece, whole_transfer=usb)
        while (event := core.next_event()) is not None:
            if isinstance(event, Response) and event.rawmode and exchange.raw_bytes:
                core.expect_raw(exchange.raw_bytes, exchange.sector_bytes)
            if not isinstance(event, RawData):
                events.append(event)
            elif isinstance(last := events[-1], int):
                events[-1] = last + len(event.data)
            else:
                events.append(len(event.data))
    return events


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_transfers_on_usb(name: str) -> None:
    found = exchanges(name)
    assert sum(len(exchange.events) for exchange in found) >= 30
    for exchange in found:
        assert heard(exchange, exchange.transfers, usb=True) == exchange.events


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_transfers_on_a_byte_stream(name: str) -> None:
    """There a log inside of raw data cannot be told from the data; such a read fails at its end."""
    for exchange in exchanges(name):
        if exchange.has_log_in_data:
            continue
        glued = b"".join(exchange.transfers)
        assert heard(exchange, [glued], usb=False) == exchange.events
        for step in (1, 7, 100, 512):
            pieces = (glued[at : at + step] for at in range(0, len(glued), step))
            assert heard(exchange, pieces, usb=False) == exchange.events


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("msm8916-plain", 1),
        ("msm8953-plain", 1),
        ("sdm660-plain", 2),
        ("qcm2290-plain", 3),
        ("qcm2290-ufs", 3),
    ],
)
def test_recorded_documents_tell_the_generation(name: str, generation: int) -> None:
    documents = [
        transfer
        for exchange in exchanges(name)
        for transfer in exchange.transfers
        if transfer.startswith(b"<?xml") and not transfer.endswith(b"BBBB")
    ]
    hints = set()
    for document in documents:
        core = FirehoseHost()
        core.receive(document, whole_transfer=True)
        core.next_event()
        hints.add(core.generation_hint)
    assert hints == {generation}


# --- public logs

COUNTS = {  # documents of the device in each, counted with grep
    "EDLTests-readme-raw.txt": 69,
    "EDLUnlock-9.txt": 1,
    "bkerler-edl-197.txt": 2,
    "bkerler-edl-54.txt": 3,
    "commaai-qdl.js-xmlparser.txt": 18,
    "linux-msm-qdl-commit-62464e4.txt": 5,
    "public-doc-openq820-edl.txt": 4,
    "qualcomm-linux-meta-qcom-1073.txt": 5,
    "qualcomm-qdlrs-commit-9eb1fad.txt": 24,
    "s125Q-XTCZ8-port_trace.txt": 136,
}


@pytest.mark.parametrize("name", COUNTS)
def test_documents_in_public_logs(name: str) -> None:
    """The whole log is fed, with what its tool wrote between the documents: junk to us."""
    text = shared(f"logs/{name}").read_text("utf-8", "replace")
    expected = [meant(match[1], match[2]) for match in _DOCUMENT.finditer(text)]
    assert len(expected) == COUNTS[name]
    data = text.encode()
    for step in (len(data), 1000, 61):
        core = FirehoseHost()
        events: list[Event] = []
        for at in range(0, len(data), step):
            core.receive(data[at : at + step], whole_transfer=False)
            while (event := core.next_event()) is not None:
                events.append(event)
        assert [event for event in events if not isinstance(event, Junk)] == expected
