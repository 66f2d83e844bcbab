# SPDX-License-Identifier: BSD-3-Clause
"""The virtual programmers against dialogues recorded from the real ones, transfer by transfer."""

from __future__ import annotations

import ast
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

import pytest

from edl.virtual.programmer import Board
from edl.virtual.storage import emmc, ufs
from tests.conftest import shared
from tests.virtual.dialogue import (
    CONFIGURE,
    KINDS,
    PROLOG,
    Talk,
    Transfer,
    events,
    operations,
    short,
)

# What differs from the real programmers: (file, case, what the file says), and why.
# Nothing else may.
_NOT_LISTED = "the recorder lists no opening of LUN 0 here, though the session is a new one"
DIFFERENCES = {
    (
        "qcm2290-ufs",
        'fresh, MemoryName="UFS" capitals, 1 MiB payload',
        "driver: [('read', 0, 0, 1)] []",
    ): _NOT_LISTED,
    (
        "qcm2290-ufs",
        'fresh, SkipStorageInit="1"',
        "driver: [('read', 0, 0, 1)] []",
    ): _NOT_LISTED,
    (
        "qcm2290-ufs",
        "read out of range",
        "1 raw transfers, 16384 bytes, sha256 2764002dfc5470f3",
    ): "what lies in the buffer behind the response does not follow from the requests before",
}


def assert_known(file: str, differing: dict[tuple[str, str], str]) -> None:
    """Compare what differs, (case, what the file says): what came, with the table."""
    known = {(case, text) for each, case, text in DIFFERENCES if each == file}
    assert {key: came for key, came in differing.items() if key not in known} == {}
    assert known == set(differing), "the table lists what does not differ"


# Plain sessions on eMMC


@dataclass
class Turn:
    """A request and all that follows it until the next one."""

    request: str
    answers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_turns(lines: list[str]) -> list[Turn]:
    """Return the turns of a session; what comes unasked is the first one."""
    turns = [Turn("")]
    for line in lines:
        mark, text = line[:3], line[3:]
        if mark == ">> ":
            turns.append(Turn(text))
        elif mark == "<< ":
            turns[-1].answers.append(text)
        elif mark == "## ":
            turns[-1].notes.append(text)
    return turns


def shown(transfer: Transfer, expected: str) -> str:
    """Return a transfer in the form in which expected is written."""
    mark = "+ZLP " if transfer.zlp else ""
    if re.fullmatch(r"(\+ZLP )?<\d+ raw bytes>", expected):
        return f"{mark}<{len(transfer.data)} raw bytes>"
    text = transfer.data.decode("latin-1").replace("\n", "\\n")
    text = re.sub(
        r"(.)\1{99,}$", lambda run: f"{run[1] * 8}...({len(run[0])} times)", text, count=1
    )
    return mark + text


@pytest.mark.parametrize("kind", KINDS)
def test_plain_session(kind: str) -> None:
    lines = shared(f"dialogues/{kind}-plain.txt").read_text("latin-1").splitlines()
    board = Board(emmc(65536, record=True))
    talk = Talk.start(kind, board)
    contents = {"16384": b"A" * 16384, "4096": b"B" * 4096}
    expected, got, transfers = [], [], talk.transfers
    for turn in read_turns(lines):
        if raw := re.match(r"<(\d+) raw bytes \+ZLP>", turn.request):
            transfers = talk.send(contents[raw[1]], zlp=True)
        elif turn.request:
            operations(board)
            transfers = talk.xml(turn.request)
        expected += [turn.request, *turn.answers, *turn.notes]
        got += [turn.request]
        got += [
            shown(transfer, answer)
            for transfer, answer in zip(transfers, turn.answers, strict=False)
        ]
        got += [repr(transfer) for transfer in transfers[len(turn.answers) :]]
        if turn.request.startswith("<erase"):
            got.append(f"disk operations of erase: {operations(board)}")
        if talk.left is not None:
            got.append(f"stopped: {talk.left}")
        if turn.request.startswith("<read") and 'num_partition_sectors="40"' in turn.request:
            data = b"".join(t.data for t in transfers if not t.data.startswith(b"<?xml"))
            assert data == contents["16384"] + contents["4096"]
    assert got == expected


# Cases on eMMC: the command behind each name

_READ = '<read SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" {} />'
_SHA = '<getsha256digest SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" {} />'
_PROGRAM = (
    '<program SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" {} filename="x.bin" />'
)
_PATCH = (
    '<patch SECTOR_SIZE_IN_BYTES="512" byte_offset="0" filename="DISK" '
    'physical_partition_number="0" size_in_bytes="4" start_sector="5" value="{}" />'
)
_DISK = 65536


def _extent(start: object, count: object) -> str:
    return f'start_sector="{start}" num_partition_sectors="{count}"'


CASES = {
    "read no ppn": f'<read SECTOR_SIZE_IN_BYTES="512" {_extent(0, 1)} />',
    "read no SS": f'<read physical_partition_number="0" {_extent(0, 1)} />',
    "read no start": _READ.format('num_partition_sectors="1"'),
    "read no num": _READ.format('start_sector="0"'),
    "read zero": _READ.format(_extent(0, 0)),
    "read start==N": _READ.format(_extent(_DISK, 1)),
    "read start>N": _READ.format(_extent(_DISK + 1, 1)),
    "read cross": _READ.format(_extent(_DISK - 1, 2)),
    "read num>N": _READ.format(_extent(0, 65600)),
    "read ss4096": _READ.replace('"512"', '"4096"').format(_extent(0, 1)),
    "read NUM_DISK_SECTORS-1.": _READ.format(_extent("NUM_DISK_SECTORS-1.", 1)),
    "read NUM_DISK_SECTORS-33": _READ.format(_extent("NUM_DISK_SECTORS-33", 33)),
    "read start 0x10": _READ.format(_extent("0x10", 1)),
    "read start 5-3-1": _READ.format(_extent("5-3-1", 1)),
    "read start empty": _READ.format(_extent("", 1)),
    "read ppn 3": _READ.replace('number="0"', 'number="3"').format(_extent(0, 1)),
    "program num>N": _PROGRAM.format(_extent(0, 65600)),
    "program start>N": _PROGRAM.format(_extent(_DISK + 1, 1)),
    "program zero": _PROGRAM.format(_extent(0, 0)),
    "program no num": _PROGRAM.format('start_sector="0"'),
    "patch file": _PATCH.format(1).replace("DISK", "gpt_main0.bin"),
    "patch disk lower": _PATCH.format(1).replace("DISK", "disk"),
    "patch no value": _PATCH.replace('value="{}" ', ""),
    "patch size 9": _PATCH.format(1).replace('bytes="4"', 'bytes="9"'),
    "patch off 508 size 8": _PATCH.format(1)
    .replace('offset="0"', 'offset="508"')
    .replace('bytes="4"', 'bytes="8"'),
    "patch off 600": _PATCH.format(1).replace('offset="0"', 'offset="600"'),
    "patch CRC32(1,92)": _PATCH.format("CRC32(1,92)"),
    "patch CRC32(N-5,92)": _PATCH.format("CRC32(NUM_DISK_SECTORS-5,92)"),
    "patch CRC32(1, 92)": _PATCH.format("CRC32(1, 92)"),
    "patch CRC32(2)": _PATCH.format("CRC32(2)"),
    "patch crc32(1,92)": _PATCH.format("crc32(1,92)"),
    "patch start N+1": _PATCH.format(1).replace('sector="5"', f'sector="{_DISK + 1}"'),
    "sha zero": _SHA.format(_extent(0, 0)),
    "sha cross": _SHA.format(_extent(_DISK - 1, 2)),
    "erase none": '<erase a="1" />',
    "erase storagedrive": '<erase storagedrive="0" />',
    "erase ppn": '<erase physical_partition_number="0" />',
    "erase ppn range": f'<erase physical_partition_number="0" {_extent(64, 8)} />',
    "erase ppn ss range": _READ.replace("read", "erase").format(_extent(64, 8)),
    "erase ppn ss range0": _READ.replace("read", "erase").format(_extent(64, 0)),
    "erase ppn ss cross": _READ.replace("read", "erase").format(_extent(_DISK - 1, 8)),
    "boot none": '<setbootablestoragedrive a="1" />',
    "boot x": '<setbootablestoragedrive value="x" />',
    "power none": '<power a="1" />',
    "power bogus": '<power value="bogus" />',
    "power reset_to_edl": '<power value="reset_to_edl" />',
    "power off": '<power value="off" />',
    "storageinfo none": '<getstorageinfo a="1" />',
    "storageinfo ppn 1": '<getstorageinfo physical_partition_number="1" />',
    "crc16": f'<getcrc16digest SECTOR_SIZE_IN_BYTES="512" physical_partition_number="0" '
    f"{_extent(0, 1)} />",
}

_LINE = re.compile(r"(.{26}) (.*?)  disk=(\S.*?|)((?: sec5=\w+)?)((?: STOP \w+)?)$")
_CUT = 110  # longer logs are cut in the files of cases
_ITEM = re.compile(r"R\[[^\]]*\]|raw\d+|\.\.\d+\.\.|L\[.*?\](?= (?:R\[|L\[|raw|\.\.)|$)")


@dataclass
class Case:
    """A line of a file of cases."""

    name: str
    answers: list[str]
    disk: object
    sector5: str
    stop: str | None


def read_cases(kind: str) -> Iterator[Case]:
    for line in shared(f"dialogues/{kind}-cases.txt").read_text("latin-1").splitlines():
        match = _LINE.fullmatch(line)
        assert match is not None, line
        name, answers, disk, sector5, stop = match.groups()
        yield Case(
            name.strip(),
            [] if answers == "(no answer)" else _ITEM.findall(answers),
            ast.literal_eval(disk),
            sector5.removeprefix(" sec5="),
            stop.removeprefix(" STOP ") or None,
        )


def abridged(answers: list[str], expected: list[str]) -> list[str]:
    """Return answers with those left out that expected leaves out, and logs cut as there."""
    gap = next((at for at, text in enumerate(expected) if text.startswith("..")), None)
    if gap is not None:
        left_out = len(answers) - len(expected) + 1
        answers = [*answers[:gap], f"..{left_out}..", *answers[gap + left_out :]]
    cut = []
    for answer, text in zip(answers, expected, strict=False):
        inside = text[2:-1]
        is_cut = len(inside) == _CUT and answer[2:].startswith(inside)
        cut.append(text if is_cut else answer)
    return cut + answers[len(expected) :]


@pytest.mark.parametrize("kind", KINDS)
def test_cases(kind: str) -> None:
    board = Board(emmc(_DISK, record=True))
    seen = set()
    differing: dict[tuple[str, str], str] = {}
    for case in read_cases(kind):
        talk = Talk.start(kind, board)
        talk.xml(CONFIGURE)
        talk.xml('<nop value="ping" />')
        for sector in (1, 5, _DISK - 5):
            board.storage.luns[0].write(sector, b"\xee" * 512)
        operations(board)
        answers = short(talk.xml(CASES[case.name]))
        done = operations(board)
        disk = len(done) if isinstance(case.disk, int) else done
        sector5 = board.storage.luns[0].read(5, 1)[:16].hex() if case.sector5 else ""
        got = (abridged(answers, case.answers), disk, sector5, talk.left)
        wanted = (case.answers, case.disk, case.sector5, case.stop)
        if got != wanted:
            differing[case.name, str(wanted)] = str(got)
        seen.add(case.name)
    assert seen == set(CASES)
    assert_known(kind, differing)


# UFS: a session and error cases, with what the driver was asked


def ufs_data(lun: int, size_bytes: int) -> bytes:
    """Return the data that the recorder programmed; found by its digests."""
    return bytes((7 * at + (at >> 12) + lun) & 0xFF for at in range(size_bytes))


UFS_DATA = {  # by the digest that the dialogue names
    hashlib.sha256(data).hexdigest()[:16]: data
    for data in (
        ufs_data(0, 40960),
        ufs_data(1, 24576),
        ufs_data(4, 20480),
        b"G" * 20480,
        b"W" * 16384,
    )
}


def ufs_sections() -> Iterator[tuple[str, list[Turn]]]:
    """Yield (title, turns) of every section; the plain session is the first one."""
    name, lines = "", list[str]()
    for line in shared("dialogues/qcm2290-ufs.txt").read_text("latin-1").splitlines():
        if line.startswith(("=====", "-- ")):
            if lines:
                yield name, read_turns(lines)
            name, lines = line.strip("=- "), []
        else:
            lines.append(line.replace("<?xml?>", PROLOG))
    yield name, read_turns(lines)


def ufs_shown(transfers: list[Transfer]) -> list[str]:
    """Return transfers as the dialogue writes them: raw ones together and by digest."""
    lines: list[str] = []
    raw: list[bytes] = []
    for transfer in [*transfers, Transfer(b"<?xml end")]:
        data = transfer.data
        # The recorder too took 512 stale bytes that begin with a response for XML.
        if not data.startswith(b"<?xml") or len(data) >= 4096:
            raw.append(data)
            continue
        if raw:
            whole = b"".join(raw)
            digest = hashlib.sha256(whole).hexdigest()[:16]
            lines.append(f"{len(raw)} raw transfers, {len(whole)} bytes, sha256 {digest}")
            raw = []
        lines.append(re.sub(r"\\x..|\n|[^ -~]", _escape, data.decode("latin-1")))
    return lines[:-1]


def _escape(match: re.Match[str]) -> str:
    return "\\n" if match[0] == "\n" else f"\\x{ord(match[0]):02x}"


_LUNS = (65536, 8192, 8192, 8192, 32768, 8192)


class UfsReplay:
    """Replays sections on one phone after another."""

    def __init__(self) -> None:
        self.board = Board(ufs(_LUNS, record=True))
        self.board.storage.divides = False  # the rig's device took any layout, and did nothing
        self.talk = Talk.start("qcm2290", self.board)

    def begin(self, *, configured: bool) -> None:
        self.__init__()  # type: ignore[misc]
        if configured:
            self.talk.xml(CONFIGURE.replace("emmc", "ufs"))

    def request(self, request: str) -> list[str]:
        """Return what comes back for a line of the dialogue."""
        if raw := re.match(r"(\d+) raw bytes in \d+ transfers, sha256 (\w+)", request):
            return ufs_shown(self.talk.raw(UFS_DATA[raw[2]]))
        return ufs_shown(self.talk.xml(request)) if request else []

    def note(self, note: str) -> str:
        """Return a note of the dialogue as it is here."""
        storage = self.board.storage
        if note.startswith("stopped"):
            return f"stopped: {self.talk.left}"
        if note.startswith("driver"):
            done, happened = str(operations(self.board)), str(events(self.board))
            if note.endswith(" calls"):
                return f"driver: {done}  {len(ast.literal_eval(done))} calls"
            return f"driver: {done} {happened}"
        if note.startswith("lun1 crc"):
            field_bytes = storage.luns[1].read(1, 1)[16:20]
            crc = zlib.crc32(storage.luns[1].read(2, 1)).to_bytes(4, "little")
            return f"lun1 crc field {field_bytes.hex()} expected {crc.hex()}"
        if note.startswith("lun4"):
            last = storage.luns[4].read(32767, 1)[40:48].hex()
            return f"lun4 last field {last} expected {(32768 - 6).to_bytes(8, 'little').hex()}"
        return note  # said by the recorder about its own data


def test_ufs_dialogue() -> None:
    replay = UfsReplay()
    differing: dict[tuple[str, str], str] = {}
    for title, turns in ufs_sections():
        if title.startswith("fresh"):
            replay.begin(configured=False)
        elif title in {"sector size 512: program", "power reset_to_edl"}:
            replay.begin(configured=True)
        for turn in turns:
            came = [*replay.request(turn.request), *map(replay.note, turn.notes)]
            pairs = zip_longest([*turn.answers, *turn.notes], came, fillvalue="")
            differing |= {(title, wanted): got for wanted, got in pairs if got != wanted}
    assert_known("qcm2290-ufs", differing)
