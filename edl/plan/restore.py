# SPDX-License-Identifier: BSD-3-Clause
"""From a dump and a phone to a plan that puts back what may be put back.

This phone's own dump is written whole, as it was: tables, partitions, and what lies between them.
Of another phone's dump, only common firmware is written, and each partition goes where *this*
phone's table has the one of that name: so its table stays, nothing unique moves, and the size of
the disk does not matter. Only a phone without a whole table gets the dump's, fitted to its disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edl.chunks import read_all
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, DocumentError, SafetyError, UsageError
from edl.firehose.commands import Area
from edl.formats.gpt import Gpt
from edl.formats.gptedit import refit, repair
from edl.formats.manifest import Kind
from edl.formats.slots import SlotState
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan import foreign, job, nandrestore
from edl.plan.dump import Dump, DumpLun, Part, is_whole, sized
from edl.plan.foreign import Verdict, Whose
from edl.plan.model import Finding, Plan, Severity, plural
from edl.plan.placing import Placing, names, used_bytes
from edl.plan.single import Single, Wish
from edl.units import MIB, format_size

__all__ = ["Restoration", "Wish", "build", "told"]

_MAX_COMPARED_BYTES = 64 * MIB
_TABLES = frozenset({Kind.GPT_PRIMARY, Kind.GPT_BACKUP})


@dataclass(frozen=True)
class Restoration:
    """A plan, and what goes with it.

    Attributes:
        own: the dump is this phone's, and is used as that.
        parts: of the dump, whose bytes the plan writes.
        overwrite: patterns of unique partitions that the plan may write (job.Rules).
        asks: names of unique partitions that the user must insist on before they are written.
    """

    plan: Plan
    verdict: Verdict
    own: bool
    parts: tuple[Part, ...]
    overwrite: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


def build(dump: Dump, storage: Storage, wish: Wish) -> Restoration:
    """Return the plan that puts dump back on the phone. Only reads.

    Raises:
        SafetyError: dump is another phone's or nobody's, and the user did not say so; or it is of
            another model, or was never finished.
        WrongStorageError, WrongSectorSizeError: it is of another model.
        UsageError: a name is not in dump.
    """
    foreign.require_same_model(dump, storage.phone)
    if not dump.complete and not wish.names:
        raise SafetyError(
            f"{dump.title} was never finished: nobody knows what is missing. Nothing was written.",
            remedies=("Name the partitions that you want of it.",),
        )
    verdict = foreign.judge(dump, storage)
    own = verdict.whose is Whose.THIS and not wish.from_other
    if storage.phone.programmer.memory == "nand":
        nandrestore.require_own(dump, own=own)
    restoration = _Builder(dump, storage, wish, verdict, own=own).restoration()
    if own or wish.from_other:
        return restoration
    raise _not_ours(dump, restoration, named=bool(wish.names or wish.unique_only))


def _not_ours(dump: Dump, restoration: Restoration, *, named: bool) -> SafetyError:
    """Return the error for a dump that is not proved to be this phone's."""
    plan, verdict = restoration.plan, restoration.verdict
    whose = f"{dump.title} is another phone's: {verdict.reason}."
    if verdict.whose is Whose.UNKNOWN:
        whose = f"Nothing proves that {dump.title} is of this phone: {verdict.reason}."
    kept = f" and leave alone {names(plan.kept)}" if plan.kept else ""
    would = f"write {plural(len(plan.writes), 'part')} ({format_size(plan.write_bytes)}){kept}"
    if named:
        return SafetyError(
            f"{whose} Nothing was written.",
            remedies=(
                f"To write what you named of it all the same: --from-other-device. It would {would}"
                " (--dry-run shows it).",
            ),
        )
    return SafetyError(
        f"{whose} Written whole, it would destroy this phone's IMEI, calibration and keys for good."
        " Nothing was written.",
        remedies=(
            "To write only what all phones of a model have in common: --from-other-device. It would"
            f" {would} (--dry-run shows it).",
            "To write single partitions of it: NAME... --from-other-device.",
        ),
    )


def told(plan: Plan, *, own: bool) -> Plan:
    """Return plan, after job.prepare, without findings that only repeat what the dump is for."""
    overwritten = [f for f in plan.findings if f.code == "unique-overwritten"]
    findings = [f for f in plan.findings if f.code != "unique-overwritten"]
    if own and overwritten:
        said = "What exists only once is put back too; what the phone has there now is saved first."
        findings.append(Finding("unique-restored", Severity.INFO, said))
    return replace(plan, findings=tuple(findings))


@dataclass
class _Builder:
    dump: Dump
    storage: Storage
    wish: Wish
    verdict: Verdict
    own: bool
    bootable: int | None = None
    placing: Placing = field(init=False)

    def __post_init__(self) -> None:
        self.placing = Placing(self.storage.phone.sector_bytes, self.dump.title)
        self.luns = [
            lun for lun in self.dump.luns if not self.wish.luns or lun.lun in self.wish.luns
        ]
        self.disks = job.geometry(self.storage, [lun.lun for lun in self.luns])
        self.placing.pages_per_block = self.disks.pages_per_block

    def restoration(self) -> Restoration:
        for number in sorted(self.wish.luns - {lun.lun for lun in self.dump.luns}):
            raise UsageError(f"The dump has no LUN {number}.")
        overwrite, asks = ["*"] if self.own else [], []
        if self.wish.names or self.wish.unique_only:
            unknown = self.verdict.whose is Whose.UNKNOWN
            flash = self.placing.pages_per_block is not None
            table = self.storage.table if flash else self._phone_table
            single = Single(self.placing, table, self.own, unknown, self._whose())
            single.take([part for lun in self.luns for part in lun.partitions], self.wish)
            overwrite, asks = single.overwrite, single.asks
        else:
            for lun in self.luns:
                self._whole(lun)
        self.placing.close()
        return Restoration(
            self._plan(),
            self.verdict,
            self.own,
            tuple(self.placing.parts),
            tuple(overwrite),
            tuple(asks),
        )

    def _plan(self) -> Plan:
        made = f", made {self.dump.made}" if self.dump.made else ""
        return Plan(
            job="restore",
            title=f"{self.dump.title} (of {self._whose()}{made})",
            geometry=self.disks,
            steps=self.placing.steps,
            bootable=self.bootable,
            reset=self.wish.reset,
            findings=tuple(self.placing.findings),
            left_out=tuple((names(what), why) for why, what in self.placing.left_out.items()),
            kept=tuple(dict.fromkeys(self.placing.kept)),
        )

    def _whose(self) -> str:
        unknown = self.verdict.whose is Whose.UNKNOWN
        return "an unknown phone" if unknown else str(self.verdict.whose)

    def _phone_table(self, lun: int) -> Gpt | None:
        """Return the phone's own table of lun if it is whole."""
        disk = self.disks.luns.get(lun)
        if disk is None:
            return None
        best = self._damaged_table(lun)
        return best if is_whole(best, disk) else None

    def _damaged_table(self, lun: int) -> Gpt | None:
        """Return the phone's own table of lun, whole or not, if it can be read."""
        try:
            return self.storage.table(lun).best
        except DeviceRefusedError:
            return None

    # -- LUN by LUN -----------------------------------------------------------------------------

    def _whole(self, lun: DumpLun) -> None:
        if lun.lun not in self.disks.luns:
            self.placing.note(
                "no-such-lun",
                Severity.ERROR,
                f"The dump has a LUN {lun.lun}, which this phone does not have.",
                "Restore the others: --lun NUMBER for each of them.",
            )
            return
        if self.placing.pages_per_block is not None:
            self._flash(lun)
            return
        table = self._phone_table(lun.lun)
        if not self.own and lun.table is None and not lun.partitions:
            what = names(part.name for part in lun.parts)
            self.placing.leave_out(f"LUN {lun.lun} ({what})", "it has no partitions to tell apart")
        elif self._as_it_was(lun, table):
            self._write_whole(lun)
        elif table is not None:
            self._write_by_name(lun, table)
        elif lun.table is not None:
            self._write_with_table(lun, lun.table)
        else:
            self.placing.note(
                "no-table",
                Severity.ERROR,
                f"Neither the phone nor the dump has a whole partition table for LUN {lun.lun}:"
                " nobody knows where its partitions belong.",
                "Mend the phone's table first (edl gpt repair), or use another dump.",
            )

    def _flash(self, lun: DumpLun) -> None:
        """Write all of a NAND chip back to where it was."""
        there = self.storage.table(lun.lun).partitions
        for part in lun.parts:
            if part.content is None:
                self.placing.leave_out(part.name, part.absent)
            elif problem := nandrestore.misplaced(part, there):
                self.placing.unfit.append(problem)
            else:
                self._take(part, part.start_sector, part.sectors)

    def _as_it_was(self, lun: DumpLun, table: Gpt | None) -> bool:
        """Tell whether lun goes back with its table, and nothing of the phone is lost by that."""
        if not self.own:
            return False
        missing = [part for part in lun.partitions if not part.content or self._skips(part)]
        if lun.table is None:
            return not missing and lun.sectors == self.disks.luns[lun.lun]
        return not missing or table is None or _places(table) == _places(lun.table)

    def _write_whole(self, lun: DumpLun) -> None:
        """Write lun as it was, or what fits of it to a disk of another size."""
        self._choose_bootable(lun)
        tables_there = all(part.content for part in lun.parts if part.kind in _TABLES)
        same_size = lun.sectors == self.disks.luns[lun.lun]
        if lun.table is None or (same_size and lun.primary_ok and tables_there):
            for part in lun.parts:
                if lun.table is None and self._there_already(part):
                    self.placing.leave_out(part.name, "already on the phone as it is in the backup")
                else:
                    self._take(part, part.start_sector, part.sectors)
        else:
            self._write_with_table(lun, lun.table)

    def _there_already(self, part: Part) -> bool:
        """Tell whether the phone has part. Boot areas of an eMMC often are write-protected."""
        size = part.sectors * self.placing.unit
        if part.content is None or size > _MAX_COMPARED_BYTES:
            return False
        area = Area(part.lun, part.start_sector, part.sectors, self.placing.unit)
        try:
            there = self.storage.read(area)
        except DeviceRefusedError:
            return False
        return there == read_all(part.content, 0, size)

    def _write_by_name(self, lun: DumpLun, table: Gpt) -> None:
        """Write the partitions of lun to the phone's own of the same names."""
        if self.own:
            self.placing.leave_out(
                f"the partition table of LUN {lun.lun}",
                "it differs from the phone's, and the dump does not hold all partitions",
            )
        for part in lun.partitions:
            found = [each for each in sized(table) if each.name == part.name]
            if len(found) == 1:
                self._take(part, found[0].first_sector, found[0].sectors)
            elif self._wanted(part):
                several = "several partitions" if found else "no partition"
                self.placing.unfit.append(f"the phone has {several} '{part.name}'")
        self._mend(lun.lun, table)

    def _mend(self, lun: int, table: Gpt) -> None:
        """Write the phone's own table anew where only its backup is whole.

        An interrupted job may have left it so: the backup is written first.
        """
        disk, unit = self.disks.luns[lun], self.placing.unit
        if is_whole(self.storage.table(lun).primary, disk):
            return
        mended = repair(table, disk, self.storage.read(Area(lun, 0, 1, unit)))
        self.placing.tables(lun, mended, "the phone's own table, mended")
        self.placing.note(
            "table-mended",
            Severity.WARNING,
            f"The partition table at the beginning of LUN {lun} is damaged: it is written anew from"
            " its backup at the end.",
        )

    def _write_with_table(self, lun: DumpLun, table: Gpt) -> None:
        """Write lun with its table, fitted to the phone's disk."""
        fitted = self._fitted(lun, table)
        if fitted is None:
            return
        if not self.own:
            self._check_moves(lun.lun, fitted)
        last = max((each.first_sector for each in sized(fitted)), default=0)
        places = {each.first_sector: each for each in sized(fitted)}
        for part in lun.parts:
            place = places.get(part.start_sector)
            if part.kind is Kind.PARTITION and place is not None:
                self._take(part, place.first_sector, min(part.sectors, place.sectors))
            elif part.kind is Kind.GAP and self.own and part.end_sector <= last:
                self._take(part, part.start_sector, part.sectors)
        self.placing.tables(lun.lun, fitted, "the dump's table, fitted")

    def _check_moves(self, lun: int, fitted: Gpt) -> None:
        """Make sure that a foreign table leaves in place what the phone's damaged one tells of."""
        self.placing.note(
            "foreign-table",
            Severity.WARNING,
            f"LUN {lun} has no whole partition table: it gets the dump's. What belongs to this"
            " phone alone is left as it is, if it lies where the other phone has it.",
        )
        there = _places(fitted)
        moved = [
            each.name
            for each in sized(self._damaged_table(lun))
            if classify(each.name).severity is Worth.MUST_NEVER_CLONE
            and (each.name, each.first_sector, each.last_sector) not in there
        ]
        if moved:
            self.placing.note(
                "moves-unique",
                Severity.ERROR,
                f"The phone's partition table of LUN {lun} is damaged, and the dump's has"
                f" {names(moved)} at other places: they would be lost.",
                "Mend the phone's table first: edl gpt repair",
            )

    # -- tables ---------------------------------------------------------------------------------

    def _fitted(self, lun: DumpLun, table: Gpt) -> Gpt | None:
        """Return the table of lun for the phone's disk, or note why there is none."""
        disk, unit = self.disks.luns[lun.lun], self.placing.unit
        try:
            fitted = refit(table, disk, needed_sectors=self._needed(lun, disk))
        except DocumentError as error:
            self.placing.note(
                "does-not-fit",
                Severity.ERROR,
                f"LUN {lun.lun} of the dump does not fit this phone's storage: {error.message}",
                "Leave the last partition out with --skip, or name single partitions.",
            )
            return None
        if disk != lun.sectors:
            self.placing.note(
                "other-size",
                Severity.WARNING,
                f"LUN {lun.lun} has {format_size(lun.sectors * unit)} in the dump and"
                f" {format_size(disk * unit)} here: the partition table is fitted,"
                f" {_change(table, fitted)}.",
            )
        return fitted

    def _needed(self, lun: DumpLun, disk: int) -> int | None:
        """Return how many sectors of the last partition must stay; None: it need not shrink."""
        if disk >= lun.sectors or not lun.partitions:
            return None
        last = max(lun.partitions, key=lambda part: part.start_sector)
        written = self.own or foreign.ruling(last.name).write
        if last.content is None or self._skips(last) or not written:
            return 1
        return max(1, -(-used_bytes(last.content) // self.placing.unit))

    def _choose_bootable(self, lun: DumpLun) -> None:
        """Boot from the LUN that has the active slot's first boot loader, on UFS."""
        if self.disks.memory != "ufs" or lun.lun not in {1, 2}:
            return
        for partition in sized(lun.table):
            active = SlotState.of(partition.attributes).active
            if partition.name == "xbl" or (partition.name in {"xbl_a", "xbl_b"} and active):
                self.bootable = lun.lun

    # -- parts ----------------------------------------------------------------------------------

    def _skips(self, part: Part) -> bool:
        return part.kind is Kind.PARTITION and self.wish.skips(part.name)

    def _take(self, part: Part, start: int, room: int) -> None:
        """Write part from sector start on, where it has room sectors, if it is wanted."""
        if self._wanted(part):
            self.placing.write(part, start, room)

    def _wanted(self, part: Part) -> bool:
        """Tell whether part is to be written; note why not."""
        if self._skips(part):
            self.placing.leave_out(part.name, "--skip")
            return False
        return self.own or foreign.may_write(part.name, self.placing)


def _places(table: Gpt) -> set[tuple[str, int, int]]:
    return {(each.name, each.first_sector, each.last_sector) for each in sized(table)}


def _change(table: Gpt, fitted: Gpt) -> str:
    """Return what fitting changed, in words."""
    before = {each.number: each.last_sector for each in sized(table)}
    words = []
    for after in sized(fitted):
        if before.get(after.number, after.last_sector) != after.last_sector:
            grows = before[after.number] < after.last_sector
            size = format_size(after.sectors * table.sector_bytes)
            shrinks = f"shrinks to {size} (it may have to be formatted)"
            words.append(f"'{after.name}' {f'grows to {size}' if grows else shrinks}")
    return ", ".join(words) or "no partition changes"
