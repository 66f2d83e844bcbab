# SPDX-License-Identifier: BSD-3-Clause
"""Raw data between documents: counted, never searched, and told from what does not belong to it."""

from __future__ import annotations

import pytest

from edl.firehose.host import FirehoseHost, Junk, Log, RawData, Response

PROLOG = b'<?xml version="1.0" encoding="UTF-8" ?>'
OPEN = PROLOG + b'<data><response value="ACK" rawmode="true" /></data>'
CLOSE = PROLOG + b'<data><response value="ACK" rawmode="false" /></data>'
REFUSE = PROLOG + b'<data><response value="NAK" rawmode="false" /></data>'
FINISHED = PROLOG + b'<data><log value="Finished sector address 0" /></data>'
# generation 2, executed: a log of 165 bytes before the bad sectors
READ_ERROR = (
    PROLOG + b'\n<data>\n<log value="ERROR: Read Failed to read 1 slot 0, partition 65530,'
    b' start_sector 8 num_sectors 0, error 3"/>\n</data>'
)
DATA = bytes(range(256)) * 8  # four sectors of 512 bytes
# generation 3, executed: what a failed read delivers is an old buffer, with old XML in it
STALE = (PROLOG + b'\n<data>\n<response value="ACK" rawmode="true" /></data>').ljust(512, b"\0")

OPENED = Response(ack=True, rawmode=True, attributes={"value": "ACK", "rawmode": "true"})
CLOSED = Response(ack=True, rawmode=False, attributes={"value": "ACK", "rawmode": "false"})
REFUSED = Response(ack=False, rawmode=False, attributes={"value": "NAK", "rawmode": "false"})
UNANNOUNCED = Response(ack=True, rawmode=True, attributes={"unannounced": "true"})

Heard = list[Log | Response | Junk | bytes]


class Client:
    """Reads as a session does: a response that opens raw mode is followed by counted data."""

    def __init__(self, size_bytes: int, *, sector_bytes: int = 512, usb: bool = True) -> None:
        self.core = FirehoseHost()
        self.core.expect_answer_or_raw(size_bytes, sector_bytes)
        self._size, self._sector_bytes, self._usb = size_bytes, sector_bytes, usb
        self.heard: Heard = []

    def hears(self, *transfers: bytes) -> Heard:
        """Return what was heard so far, data in one piece wherever it came in several."""
        for transfer in transfers:
            self.core.receive(transfer, whole_transfer=self._usb)
            while (event := self.core.next_event()) is not None:
                if event == OPENED and self.core.raw_left == 0:
                    self.core.expect_raw(self._size, self._sector_bytes)
                if not isinstance(event, RawData):
                    self.heard.append(event)
                elif self.heard and isinstance(last := self.heard[-1], bytes):
                    self.heard[-1] = last + bytes(event.data)
                else:
                    self.heard.append(bytes(event.data))
        return self.heard


def on_stream(data: bytes, size_bytes: int, *, sector_bytes: int = 512) -> Heard:
    """Return what is heard of data on a byte stream, in one piece and in many others."""
    ways = [[data], [data[at : at + 1] for at in range(len(data))]]
    ways += [[data[:at], data[at:]] for at in range(1, len(data), 7)]
    ways += [[data[at : at + step] for at in range(0, len(data), step)] for step in (3, 100, 513)]
    first, *others = (
        Client(size_bytes, sector_bytes=sector_bytes, usb=False).hears(*way) for way in ways
    )
    assert all(other == first for other in others)
    return first


# --- as it should be


def test_data_between_two_answers() -> None:
    client = Client(len(DATA))
    assert client.hears(OPEN) == [OPENED]
    assert client.core.raw_left == 2048
    client.hears(DATA[:1536])
    assert client.core.raw_left == 512
    assert client.hears(DATA[1536:], FINISHED, CLOSE) == [
        OPENED, DATA, Log("Finished sector address 0"), CLOSED,
    ]  # fmt: skip


def test_data_is_not_copied() -> None:
    client = Client(len(DATA))
    client.hears(OPEN)
    buffer = bytearray(DATA)
    client.core.receive(buffer, whole_transfer=True)
    event = client.core.next_event()
    assert isinstance(event, RawData)
    assert event.data.obj is buffer


def test_data_glued_between_its_answers() -> None:
    assert on_stream(OPEN + DATA + FINISHED + CLOSE, len(DATA)) == [
        OPENED, DATA, Log("Finished sector address 0"), CLOSED,
    ]  # fmt: skip


def test_a_read_of_nothing() -> None:
    assert Client(0).hears(OPEN, CLOSE) == [OPENED, CLOSED]
    assert on_stream(OPEN + CLOSE, 0) == [OPENED, CLOSED]


@pytest.mark.parametrize("data", [STALE, OPEN.ljust(1024, b"B"), READ_ERROR.ljust(512, b"\n")])
def test_data_that_looks_like_a_document_is_data(data: bytes) -> None:
    assert Client(len(data)).hears(OPEN, data, REFUSE) == [OPENED, data, REFUSED]
    assert on_stream(OPEN + data + REFUSE, len(data)) == [OPENED, data, REFUSED]


def test_data_behind_the_answer_in_the_same_transfer() -> None:
    assert Client(2048).hears(OPEN + DATA[:512], DATA[512:], CLOSE) == [OPENED, DATA, CLOSED]


# --- what does not belong to the data


def test_generation_2_logs_an_error_inside_of_the_data() -> None:
    """Executed: the log comes before the chunk that could not be read, all bytes come anyhow."""
    assert Client(2048).hears(OPEN, DATA[:1024], READ_ERROR, DATA[1024:], FINISHED, REFUSE) == [
        OPENED,
        DATA[:1024],
        Log(
            "ERROR: Read Failed to read 1 slot 0, partition 65530, start_sector 8 num_sectors 0,"
            " error 3"
        ),
        DATA[1024:],
        Log("Finished sector address 0"),
        REFUSED,
    ]


def test_a_long_log_inside_of_the_data() -> None:
    text = b"x" * 5000
    document = PROLOG + b'<data><log value="' + text + b'" /></data>\n'
    assert len(document) % 512
    heard = Client(1024).hears(OPEN, DATA[:512], document, DATA[512:1024], CLOSE)
    assert heard == [OPENED, DATA[:512], Log(text.decode()), DATA[512:1024], CLOSED]


def test_a_device_that_gives_up_in_the_middle() -> None:
    client = Client(2048)
    assert client.hears(OPEN, DATA[:512], REFUSE) == [OPENED, DATA[:512], REFUSED]
    assert client.core.raw_left == 1536
    client.core.end_raw()
    assert client.core.raw_left == 0
    assert client.hears(FINISHED)[3:] == [Log("Finished sector address 0")]


@pytest.mark.parametrize("tail", [b"</xml>", b"\0" * 7, b"\xf0\xe9\x88\x14", b"\n"])
def test_a_stray_tail_of_the_answer_is_not_the_beginning_of_the_data(tail: bytes) -> None:
    glued = Client(2048).hears(OPEN + tail, DATA, CLOSE)
    assert glued == [OPENED, DATA, CLOSED]
    apart = Client(2048).hears(OPEN, tail, DATA, CLOSE)
    assert [event for event in apart if not isinstance(event, Junk)] == [OPENED, DATA, CLOSED]


def test_the_known_stray_tail_is_told_from_data_on_a_stream_too() -> None:
    client = Client(2048, usb=False)
    assert client.hears(OPEN + b"</xml>" + DATA + CLOSE) == [OPENED, DATA, CLOSED]


def test_a_document_cut_short_inside_of_the_data_costs_no_data() -> None:
    heard = Client(1024).hears(OPEN, DATA[:512], READ_ERROR[:90], DATA[512:1024], CLOSE)
    assert heard == [
        OPENED,
        DATA[:1024],
        Log("ERROR: Read Failed to read 1 slot 0"[: 90 - len(PROLOG) - 20]),
        CLOSED,
    ]


def test_a_large_transfer_that_is_neither_sectors_nor_a_document_is_data() -> None:
    assert Client(2048).hears(OPEN, DATA[:1000], DATA[1000:], CLOSE) == [OPENED, DATA, CLOSED]


# --- data without an announcement: bkerler/edl#232, #740


def test_data_that_nobody_announced() -> None:
    table = b"EFI PART\0\0\1\0\\\0\0\0".ljust(512, b"\0")
    assert Client(1024).hears(table, DATA[:512], CLOSE) == [
        UNANNOUNCED, table + DATA[:512], CLOSED,
    ]  # fmt: skip
    assert on_stream(table + DATA[:512] + CLOSE, 1024) == [
        UNANNOUNCED, table + DATA[:512], CLOSED,
    ]  # fmt: skip


@pytest.mark.parametrize("first", [b"\0", b"<", b"<?", b"</xml", b"\n"])
def test_unannounced_data_may_begin_like_anything(first: bytes) -> None:
    data = first.ljust(4096, b"\xee")
    assert Client(4096, sector_bytes=4096).hears(data, CLOSE) == [UNANNOUNCED, data, CLOSED]
    assert on_stream(data + CLOSE, 4096, sector_bytes=4096) == [UNANNOUNCED, data, CLOSED]


@pytest.mark.parametrize("junk", [b"", b"\n", b"\xf0\xe9\x88\x14", b"</xml>", b"\0" * 300])
def test_an_answer_behind_junk_is_no_data(junk: bytes) -> None:
    answers = junk + FINISHED * 6 + OPEN
    for heard in (
        Client(2048).hears(answers, DATA, CLOSE),
        on_stream(answers + DATA + CLOSE, 2048),
    ):
        told = [event for event in heard if not isinstance(event, Junk)]
        assert told == [Log("Finished sector address 0")] * 6 + [OPENED, DATA, CLOSED]


def test_short_transfers_are_no_data() -> None:
    junk = b"\xf0\xe9\x88\x14" * 60
    assert Client(512).hears(junk, junk, junk, REFUSE) == [Junk(junk)] * 3 + [REFUSED]


def test_a_refusal_ends_the_wait_for_unannounced_data() -> None:
    client = Client(2048)
    assert client.hears(REFUSE, DATA) == [REFUSED, Junk(DATA)]


def test_a_stray_tail_before_unannounced_data_on_a_stream() -> None:
    assert Client(2048, usb=False).hears(b"</xml>" + DATA + CLOSE) == [UNANNOUNCED, DATA, CLOSED]
