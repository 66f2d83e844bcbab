# SPDX-License-Identifier: BSD-3-Clause
"""The phone's storage by names: its partition tables, and what a user's target means on it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edl.device.flashtable import read_table
from edl.device.phone import Phone
from edl.errors import DeviceRefusedError, DocumentError, UsageError
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition
from edl.formats.mibib import FlashTable, plain_name
from edl.formats.slots import Slot, SlotState, active_of
from edl.units import parse_number

_log = logging.getLogger(__name__)

_HEAD_SECTORS = {512: 34, 4096: 6}
_MAX_TABLE_BYTES = 1024 * 1024
_UFS_LUNS = 8  # a UFS device has at most 8 ordinary LUNs
_TARGET = re.compile(
    r"(?:(?P<lun>\d{1,3})(?:/(?:(?P<start>0x[0-9a-f]+|\d+)(?:\+(?P<sectors>0x[0-9a-f]+|\d+))?"
    r"|(?P<inside>[^/]+)))?|(?P<name>[^/]+))",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class Tables:
    """Both copies of one LUN's partition table; None where there is none or it is no table.

    flash, partitions: the table of a NAND chip, and what it means there.
    """

    lun: int
    primary: Gpt | None
    backup: Gpt | None
    flash: FlashTable | None = None
    on_flash: tuple[Partition, ...] = ()

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions of the copy to go by, whatever kind of table it is."""
        return self.best.partitions if self.best else self.on_flash

    @property
    def best(self) -> Gpt | None:
        """The copy to go by: a whole one before a damaged one, the primary first."""
        copies = [table for table in (self.primary, self.backup) if table is not None]
        whole = [table for table in copies if table.header_crc_ok and table.entries_crc_ok]
        return next(iter(whole or copies), None)


@dataclass(frozen=True)
class Target:
    """What a user names: a partition, a LUN, or sectors. See `parse_targets`."""

    text: str
    lun: int | None = None
    name: str | None = None
    start: int | None = None
    sectors: int | None = None


@dataclass(frozen=True)
class Place:
    """An area of the storage, and what to call it. whole_lun: it is all of a LUN."""

    area: Area
    label: str
    partition: Partition | None = None
    whole_lun: bool = False


def parse_targets(texts: Iterable[str]) -> list[Target]:
    """Return the targets in texts: `NAME`, `LUN/NAME`, `LUN`, `LUN/START`, `LUN/START+SECTORS`.

    Commas separate several. A name that is a number is taken for a LUN.

    Raises:
        UsageError: a text is none of these.
    """
    targets = []
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        match = _TARGET.fullmatch(text) if len(text) <= 100 else None
        if match is None:
            raise UsageError(
                f"'{text}' names nothing on a phone.",
                remedies=("Write NAME, LUN/NAME, LUN, LUN/START or LUN/START+SECTORS.",),
            )
        targets.append(
            Target(
                text,
                lun=None if match["lun"] is None else int(match["lun"]),
                name=match["name"] or match["inside"],
                start=None if match["start"] is None else parse_number(match["start"]),
                sectors=None if match["sectors"] is None else parse_number(match["sectors"]),
            )
        )
    return targets


class Storage:
    """Reads what the phone holds: tables once, sectors as asked."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._tables: dict[int, Tables] = {}

    def read(self, area: Area) -> bytes:
        """Return the bytes of area; for small areas.

        Raises:
            ReadFailedError: sectors could not be read.
        """
        data = bytearray()
        self.phone.programmer.read(area, data.extend)
        return bytes(data)

    def sectors(self, lun: int) -> int | None:
        """Return how many sectors lun has, or None if the programmer does not tell.

        Raises:
            DeviceRefusedError: there is no such LUN.
        """
        return self.phone.lun(lun).sectors

    @property
    def lun_numbers(self) -> range:
        """The numbers that LUNs of this phone can have. Those of UFS may have gaps."""
        count = self.phone.lun_count
        if self.phone.programmer.memory == "ufs":
            return range(max(count or 0, _UFS_LUNS))
        single = {"emmc", "nand", "nvme", "spinor"}
        return range(count or (1 if self.phone.programmer.memory in single else _UFS_LUNS))

    def luns(self) -> Iterator[int]:
        """Yield the LUNs that can be opened: as many as the phone says, however numbered.

        Raises:
            UnprovisionedError: a UFS device has none at all.
        """
        if self.phone.unprovisioned:
            self.phone.lun(0)
        left = self.phone.lun_count or len(self.lun_numbers)
        for lun in self.lun_numbers:
            if not left:
                return
            try:
                self.phone.lun(lun)
            except DeviceRefusedError as error:
                _log.info("LUN %d: %s", lun, error)
                continue
            left -= 1
            yield lun

    def table(self, lun: int) -> Tables:
        """Return the partition tables of lun, read at most once; a copy out of reach is None.

        Raises:
            DeviceRefusedError: there is no such LUN, or no copy can be read.
        """
        if lun not in self._tables:
            self.sectors(lun)
            if (pages := self.phone.lun(lun).pages_per_block) is not None:
                self._tables[lun] = self._on_flash(lun, pages)
                self.phone.seen[lun] = tuple(each.name for each in self._tables[lun].on_flash)
                return self._tables[lun]
            copies: list[Gpt | None] = []
            refusals: list[DeviceRefusedError] = []
            for read in (self._primary, self._backup):
                try:
                    copies.append(read(lun))
                except DeviceRefusedError as error:  # a defect, or the maker forbids it
                    _log.info("a table of LUN %d: %s", lun, error)
                    copies.append(None)
                    refusals.append(error)
            if refusals and copies == [None, None]:
                raise refusals[0]
            self._tables[lun] = Tables(lun, copies[0], copies[1])
            if best := self._tables[lun].best:
                self.phone.seen[lun] = tuple(partition.name for partition in best.partitions)
        return self._tables[lun]

    def _on_flash(self, lun: int, pages_per_block: int) -> Tables:
        """Return the table of a NAND chip."""
        pages, unit = self.sectors(lun) or 0, self.phone.sector_bytes
        table = read_table(self.read, lun, pages, unit, pages_per_block)
        found = table.partitions(pages_per_block, pages) if table else ()
        return Tables(lun, None, None, table, found)

    def _area(self, lun: int, start: int, sectors: int) -> Area:
        return Area(lun, start, sectors, self.phone.sector_bytes)

    def _primary(self, lun: int) -> Gpt | None:
        unit = self.phone.sector_bytes
        count = min(_HEAD_SECTORS.get(unit, 34), self.sectors(lun) or 34)
        data = self.read(self._area(lun, 0, count))
        try:
            needed = gpt.primary_sectors(data, unit)
            if count < needed <= _MAX_TABLE_BYTES // unit:
                data += self.read(self._area(lun, count, needed - count))
            return gpt.parse(data, unit)
        except DocumentError as error:
            _log.info("primary table of LUN %d: %s", lun, error)
            return None

    def _backup(self, lun: int) -> Gpt | None:
        unit = self.phone.sector_bytes
        total = self.sectors(lun)
        if total is None:
            return None
        count = min(_HEAD_SECTORS.get(unit, 34) - 1, total)
        data = self.read(self._area(lun, total - count, count))
        try:
            return gpt.parse(data, unit, backup=True)
        except DocumentError as error:
            _log.info("backup table of LUN %d: %s", lun, error)
            return None

    def partitions(self) -> Iterator[tuple[int, Partition]]:
        """Yield all partitions of all LUNs that can be read, with their LUN."""
        for lun in self.luns():
            try:
                partitions = self.table(lun).partitions
            except DeviceRefusedError as error:
                _log.info("tables of LUN %d: %s", lun, error)
                continue
            for partition in partitions:
                if partition.sectors > 0:
                    yield lun, partition

    # -- targets --------------------------------------------------------------------------------

    def place(self, target: Target) -> Place:
        """Return what target means on this phone.

        Raises:
            UsageError: the phone has nothing of that name, or more than one; or the range does
                not lie on the LUN.
        """
        if target.name is not None:
            return self._named(target.name, target.lun)
        lun = target.lun or 0
        total = self.sectors(lun)
        if target.start is None:
            if total is None:
                raise UsageError(
                    f"How large LUN {lun} is, this programmer does not tell.",
                    remedies=(f"Name the range: {lun}/START+SECTORS.",),
                )
            if not total:
                raise UsageError(f"LUN {lun} has no sectors, the programmer says.")
            return Place(self._area(lun, 0, total), f"LUN {lun}", whole_lun=True)
        if total is None and target.sectors is None:
            raise UsageError(f"Name the length too: {lun}/{target.start}+SECTORS.")
        count = target.sectors if target.sectors is not None else (total or 0) - target.start
        if count <= 0 or (total is not None and target.start + count > total):
            raise UsageError(f"LUN {lun} has {total} sectors: '{target.text}' does not lie on it.")
        return Place(self._area(lun, target.start, count), f"LUN {lun} sector {target.start}")

    def _named(self, name: str, lun: int | None) -> Place:
        everywhere = [
            (where, partition)
            for where, partition in self.partitions()
            if lun is None or where == lun
        ]
        found = [pair for pair in everywhere if pair[1].name == name]
        found = found or [pair for pair in everywhere if pair[1].name.lower() == name.lower()]
        plain = plain_name(name).lower()  # modems: `0:EFS2`
        found = found or [pair for pair in everywhere if pair[1].name.lower() == plain]
        if len(found) > 1:
            places = ", ".join(f"{where}/{partition.name}" for where, partition in found)
            raise UsageError(f"'{name}' exists more than once: name one of {places}.")
        if not found:
            raise _unknown(name, everywhere, active_of(self.partitions()))
        where, partition = found[0]
        area = self._area(where, partition.first_sector, partition.sectors)
        return Place(area, partition.name, partition)


def _unknown(name: str, everywhere: list[tuple[int, Partition]], active: Slot | None) -> UsageError:
    """Return the error for a name that the phone does not have, with what it has instead."""
    if not everywhere:
        return UsageError(
            f"The phone has no readable partition table, so '{name}' cannot be found by name.",
            remedies=(
                "Name the sectors: LUN/START+SECTORS.",
                "Or bring the tables back first: edl gpt repair --from ROM_FOLDER",
            ),
        )
    names = {partition.name.lower(): partition for _, partition in everywhere}
    a, b = (names.get(f"{name.lower()}_{slot}") for slot in "ab")
    if a is not None and b is not None:
        if active is None:  # the boot partitions are missing: these may tell themselves
            own_a, own_b = (SlotState.of(side.attributes).active for side in (a, b))
            active = ("b" if own_b else "a") if own_a != own_b else None
        told = f"; active is {active}" if active else ""
        return UsageError(
            f"The phone has no '{name}', but {a.name} and {b.name}{told}.",
            remedies=(f"Name the one you mean, for example {name}_{active or 'a'}.",),
        )
    close = sorted(other for other in names if name.lower() in other or other in name.lower())
    return UsageError(
        f"The phone has no partition '{name}'.",
        remedies=(f"Close to it: {', '.join(close[:8])}." if close else "See all: edl printgpt.",),
    )
