# SPDX-License-Identifier: BSD-3-Clause
"""The protocol cores: whatever a phone sends, and wherever the cable cuts it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from random import Random

from edl.errors import ProtocolError
from edl.firehose import commands, host, loglines
from edl.firehose.answers import (
    parse_configuration,
    parse_digest,
    parse_greeting,
    parse_storage_info,
)
from edl.firehose.host import FirehoseHost, Junk, Log, RawData, Response
from edl.identity import PhoneIdentity, chip_names, known_key, maker_names
from edl.sahara import identity, packets
from edl.sahara.host import (
    MAX_GREETING_BYTES,
    AnswerAnnounced,
    CommandReady,
    HelloSeen,
    ImageEnded,
    SaharaHost,
)
from edl.sahara.host import Event as SaharaEvent
from edl.sahara.packets import Mode
from edl.sahara.status import Status, words
from edl.units import parse_number, parse_size
from tests.fuzz.target import Target, look_at, require, require_printable

_SECTOR = 512


def _cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield data in one piece, byte by byte if it is short, and cut at random."""
    yield [data]
    random = Random(len(data))
    places = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((1, 3, 20))))
    yield [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]
    if len(data) <= 300:
        yield [data[at : at + 1] for at in range(len(data))]


# -- Sahara -------------------------------------------------------------------------------------


def _sahara_events(pieces: list[bytes], *, reacts: bool) -> tuple[list[SaharaEvent], str]:
    """Return what a host hears, and why it stopped. reacts: it goes along with everything."""
    core = SaharaHost()
    core.hello(Mode.IMAGE_PENDING)
    found: list[SaharaEvent] = []
    try:
        for piece in pieces:
            core.receive(piece)
            while (event := core.next_event()) is not None:
                found.append(event)
                if reacts:
                    _react(core, event)
                require(len(found) <= 100_000, "events without end")
            require(len(core._buffer) <= MAX_GREETING_BYTES, "a buffer without end")
    except ProtocolError as error:
        require_printable(error.message)
        return found, error.message
    return found, ""


def _react(core: SaharaHost, event: SaharaEvent) -> None:
    """Do what a session does next."""
    match event:
        case HelloSeen():
            core.hello(Mode.COMMAND if event.mode == Mode.COMMAND else Mode.IMAGE_PENDING)
        case CommandReady():
            core.execute(1)
        case AnswerAnnounced():
            core.fetch(event)
        case ImageEnded():
            core.done()


def _sahara(data: bytes) -> None:
    for pieces in _cuts(data):
        _sahara_events(pieces, reacts=True)
    results = (_sahara_events(pieces, reacts=False) for pieces in _cuts(data))
    whole, *others = ((_calm(events), error) for events, error in results)
    require(all(other == whole for other in others), "events that depend on where bytes are cut")
    look_at(whole[0])


def _calm(events: list[SaharaEvent]) -> list[SaharaEvent]:
    """Return events without greetings before others, and without one at the end.

    A core that has got the beginning of another greeting forgets the one before.
    """
    return [
        event
        for event, following in itertools.zip_longest(events, events[1:])
        if not (isinstance(event, HelloSeen) and isinstance(following, HelloSeen | None))
    ]


def _sahara_session(data: bytes) -> None:
    """A host that does anything at any time: the first byte of each piece says what."""
    core = SaharaHost()
    steps = data.split(b"\xfe\xfe")
    for step in steps[:200]:
        match step[:1]:
            case b"\x00":
                core.hello(Mode(step[-1] % 6))
            case b"\x01":
                core.execute(step[-1])
            case b"\x02":
                core.switch_mode(Mode(step[-1] % 6))
            case b"\x03":
                core.fetch(AnswerAnnounced(step[-1], step[-1]))
            case b"\x04":
                core.leftover()
            case b"\x05":
                (core.done, core.reset, core.restart)[step[-1] % 3]()
        core.has_bytes()
        core.receive(step[1:])
        try:
            while core.next_event() is not None:
                pass
        except ProtocolError:
            continue
        require(len(core._buffer) <= MAX_GREETING_BYTES, "a buffer without end")


def _hello(mode: int, version: int = 2) -> bytes:
    return struct.pack("<8I", 1, 48, version, 1, 1024, mode, 0, 0) + bytes(16)


def _sahara_seeds() -> Iterator[bytes]:
    end = struct.pack("<4I", 4, 16, 13, 0)
    reads = b"".join(struct.pack("<5I", 3, 20, 13, at, 4096) for at in (0, 4096, 8192))
    yield _hello(0) + reads + end + struct.pack("<3I", 6, 12, 1)
    yield _hello(0, 3) + struct.pack("<2I3Q", 0x12, 32, 13, 0, 1 << 20) + end
    yield _hello(3) + struct.pack("<2I", 0x0B, 8) + struct.pack("<4I", 0x0E, 16, 1, 4) + b"SER1"
    yield _hello(2) + struct.pack("<4I", 9, 16, 0x1000, 0x200)
    yield _hello(2) + struct.pack("<2I2Q", 0x10, 24, 1 << 40, 0x200)
    yield struct.pack("<4I", 4, 16, 13, 6) + struct.pack("<2I", 8, 8)
    yield _hello(0) + b'<?xml version="1.0" encoding="UTF-8" ?><data><log value="x"/></data>'
    yield _hello(0) + _hello(0) + _hello(3)


def _session_seeds() -> Iterator[bytes]:
    for number, seed in enumerate(_sahara_seeds()):
        yield b"\xfe\xfe".join((b"\x06" + seed[:48], bytes([number % 6, 0]), b"\x06" + seed[48:]))


def _packet(data: bytes) -> None:
    packet = packets.parse(data)
    look_at(packet)
    require(packet.to_bytes() == data, "a packet that comes out in another way than it went in")


def _sahara_answers(data: bytes) -> None:
    """What a boot ROM answers to commands, and what its numbers are called."""
    identity.serial_number(data)
    key, number, chip = identity.pk_hash(data), identity.hwid(data), identity.chip_id(data)
    phone = PhoneIdentity(identity.serial_number(data), number, key)
    require_printable(phone.describe())
    look_at(phone, chip)
    value = int.from_bytes(data[:4], "little")
    require_printable(words(Status(value)), *chip_names(value), *maker_names(value & 0xFFFF))
    look_at(known_key(data))


# -- Firehose -----------------------------------------------------------------------------------


def _firehose_events(pieces: list[bytes], *, whole: bool) -> tuple[list[host.Event], str]:
    """Return what is heard, junk left out: it may come in any number of pieces."""
    core = FirehoseHost()
    found: list[host.Event] = []
    try:
        for piece in pieces:
            core.receive(piece, whole_transfer=whole)
            while (event := core.next_event()) is not None:
                if not isinstance(event, Junk):
                    found.append(event)
            require(len(core._text) <= host.MAX_DOCUMENT_BYTES, "a buffer without end")
    except ProtocolError as error:
        return found, error.message
    return found, ""


def _firehose(data: bytes) -> None:
    results = [_firehose_events(pieces, whole=False) for pieces in _cuts(data)]
    require(all(other == results[0] for other in results), "events that depend on the cuts")
    for event in results[0][0]:
        match event:
            case Log():
                require_printable(event.text)
            case Response():
                require_printable(*event.attributes.values())
                parse_configuration(event)


def _firehose_reads(data: bytes) -> None:
    """A host that reads sectors: each ACK with rawmode begins as many as its value says."""
    for whole in (False, True):
        core = FirehoseHost()
        raw_bytes = expected = 0
        try:
            for at in range(0, len(data), 1000):
                core.receive(data[at : at + 1000], whole_transfer=whole)
                while (event := core.next_event()) is not None:
                    if isinstance(event, RawData):
                        raw_bytes += len(event.data)
                    elif isinstance(event, Response) and event.rawmode and not core.raw_left:
                        size = (len(event.attributes) % 5) * _SECTOR
                        core.expect_raw(size, _SECTOR)
                        expected += size
                    elif isinstance(event, Response) and len(event.attributes) == 3:
                        core.expect_answer_or_raw(2 * _SECTOR, _SECTOR)
                        expected += 2 * _SECTOR
                    elif isinstance(event, Log) and "end" in event.text:
                        core.end_raw()
                    require(raw_bytes <= expected, "more raw data than was asked for")
        except ProtocolError:
            continue


_PROLOG = b'<?xml version="1.0" encoding="UTF-8" ?>'
_ACK = _PROLOG + b'\n<data>\n<response value="ACK" rawmode="false" />\n</data>'
_RAW = _PROLOG + b'<data><response value="ACK" rawmode="true" a="1" b="2" /></data>'


def _firehose_seeds() -> Iterator[bytes]:
    yield _PROLOG + b'\n<data>\n<log value="Hello &quot;you&quot;" /></data>' + _ACK
    yield _ACK + b"\0\0" + _ACK + b"\n" + _PROLOG + b'<data><log value="a > b </data> c" /></data>'
    yield b'<data><response value="NAK" MaxPayloadSizeToTargetInBytes="1048576" /></data>'
    yield _RAW + bytes(4 * _SECTOR) + _ACK
    yield (
        _RAW + b"<?xml end" + bytes(_SECTOR) + _PROLOG + b'<data><log value="end" /></data>' + _ACK
    )
    yield _PROLOG + b'<data><response value="ACK" x="3" /></data>' + b"\xaa" * 2 * _SECTOR + _ACK


def _answers(data: bytes) -> None:
    """What programmers say, taken for an answer to each question."""
    lines = [host.clean(line) for line in data.decode("utf-8", "replace").split("\n")]
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    response = Response(ack=True, rawmode=None, attributes=pairs)
    greeting, info = parse_greeting(lines, None), parse_storage_info(lines)
    look_at(greeting, info, parse_configuration(response))
    require(info.sectors is None or 0 <= info.sectors <= 1 << 44, "storage without end")
    require(info.luns is None or 1 <= info.luns <= 32, "LUNs without end")
    digest = parse_digest(lines, response)
    require(digest is None or len(digest) == 32, "a digest of another size")
    look_at(loglines.explain(lines))
    for tell in (loglines.is_lock, loglines.is_limit, loglines.secure_boot):
        tell(lines)
    loglines.right_sector_bytes(lines)
    loglines.lock_commands(lines)
    loglines.is_unknown_command(lines, answered=True)
    for line in lines[:200]:
        loglines.is_sign(line)
        loglines.ends_without_answer(line)


def _answer_seeds() -> Iterator[bytes]:
    yield (
        b"Supported Functions (3):\nprogram\nread\nnop\nEnd of supported functions 3\n"
        b"Chip serial num: 512 (0x200)\nBinary build date: Jan  2 2020 @ 10:11:12\n"
        b"MaxPayloadSizeToTargetInBytes=1048576\nMemoryName=eMMC\n"
    )
    yield (
        b'INFO: {"storage_info": {"total_blocks":122142720, "block_size":512, "page_size":512,'
        b' "num_physical":1, "manufacturer_id":21, "serial_num":3735928559, "fw_version":"1.0",'
        b'"mem_type":"eMMC","prod_name":"EMUMMC"}}\n'
        b"num_partition_sectors=122142720\nSECTOR_SIZE_IN_BYTES=512\nnum_physical_partitions=1\n"
        b"UFS Total Active LU: 0x6\nDevice Total Logical Blocks: 0xe8f000\n"
        b"Device Block Size in Bytes: 0x1000\n"
    )
    yield (
        b"ERROR: Only nop and sig tag can be recevied before authentication.\nOEM ID mismatch\n"
        b"Failed to open the SDCC Device slot 0 partition 0\nDigest " + b"ab" * 32 + b"\n"
        b"range restricted: lun=0, start_sector=0, num_sectors=34\nunknown command ufs\n"
        b"secure boot = 1\nERROR: Invalid sector size 512 and 4096\n"
    )


def _commands(data: bytes) -> None:
    """Values of a package in commands: sent as they are, or not at all."""
    text = data.decode("latin-1")
    sector = int.from_bytes(data[:8], "little")
    area = commands.Area(data[0] if data else 0, sector, sector, 512)
    for made in (
        commands.program(area, text), commands.read(area), commands.erase(area),
        commands.patch(0, sector, 512, 16, 4, text),
    ):  # fmt: skip
        require(len(made) < 4096 and len(made) % 512 != 0, "a command of a size that hangs")
        require(made.count(b"<") == 4, "more elements than one command")


def _wire(data: bytes) -> None:
    """Every packet that this program declares, from bytes of any length."""
    for kind in (packets.Hello, packets.ReadData64, packets.MemDebug64):
        size = kind.size()
        for raw in (data, data[:size].ljust(size, b"\0")):
            try:
                packet = kind.unpack(raw)
            except ProtocolError:
                continue
            require(packet.pack() == raw, "another layout")
            look_at(packet)


def _numbers(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (parse_size, parse_number):
        try:
            require(read(text) >= 0, "a size below nothing")
        except ValueError:
            continue


_HEADERS = (
    (1, 48), (3, 20), (4, 16), (6, 12), (8, 8), (9, 16), (11, 8), (14, 16), (16, 24), (18, 32),
)  # fmt: skip
_SAHARA_WORDS = (*(struct.pack("<2I", *header) for header in _HEADERS), b"<?xml", b"\xfe\xfe")
_FIREHOSE_WORDS = (
    _PROLOG, b"<data>", b"</data>", b'<log value="', b'<response value="ACK"', b'" />', b"NAK",
    b'rawmode="true"', b"&quot;", b"&#10;", b"</xml>", b"<?xml", bytes(_SECTOR), b"<log>",
    b"</log>",
)  # fmt: skip

TARGETS = (
    Target("sahara", ("edl.sahara.host",), _sahara, _sahara_seeds, (), _SAHARA_WORDS),
    Target("sahara-session", ("edl.sahara.host",), _sahara_session, _session_seeds, (),
           _SAHARA_WORDS),
    Target("sahara-packet", ("edl.sahara.packets",), _packet,
           lambda: [_hello(0)[:48], _hello(3)[:48], struct.pack("<4I", 4, 16, 13, 0)],
           (ProtocolError,), _SAHARA_WORDS, most_bytes=200),
    Target("sahara-answers", ("edl.sahara.identity", "edl.sahara.status", "edl.identity"),
           _sahara_answers, lambda: [bytes(range(84)), b"\xe1\x50\x70\0" + bytes(4), bytes(32)], (),
           most_bytes=200),
    Target("firehose", ("edl.firehose.host",), _firehose, _firehose_seeds, (), _FIREHOSE_WORDS,
           most_bytes=1 << 17),
    Target("firehose-reads", ("edl.firehose.host",), _firehose_reads, _firehose_seeds, (),
           _FIREHOSE_WORDS, most_bytes=1 << 17),
    Target("firehose-answers", ("edl.firehose.answers", "edl.firehose.loglines"), _answers,
           _answer_seeds, (), (b'"storage_info"', b"{", b"Supported Functions", b"=", b"0x")),
    Target("firehose-commands", ("edl.firehose.commands",), _commands,
           lambda: [b"NUM_DISK_SECTORS-33.", b"boot_a"], (ValueError,), most_bytes=200),
    Target("wire", ("edl.wire",), _wire, lambda: [_hello(0)[8:]], (), most_bytes=200),
    Target("numbers", ("edl.units",), _numbers, lambda: [b"4096", b"0x1000", b"64KiB", b" 1 MiB"],
           (), most_bytes=6000),
)  # fmt: skip
