# SPDX-License-Identifier: BSD-3-Clause
"""What a record of `collect` comes to: its outcome in words, its steps, the marks of its map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edl.plan.model import plural
from edl.report import fates
from edl.report.storage import Lun, Mark, Source, is_unique, luns
from edl.units import format_duration, format_size

Data = dict[str, Any]

_SHORTEST_S = 0.05  # less tells nothing about a speed
NO_LUN = -1  # of what is in no LUN that anybody knows
_STOPPED = {"cancelled", "stopped-midway"}
_VERBS = {"program": "write", "erase": "erase", "read": "read"}


@dataclass(frozen=True)
class Row:
    """A step, for people. fate: one of `fates`. took: empty if it has not run."""

    number: int
    verb: str
    name: str
    place: str
    size: str
    file: str
    where: str
    fate: str
    took: str = ""


class Outcome:
    """Reads a record. Everything in it is for people, and nothing is made safe yet."""

    def __init__(self, record: Data) -> None:
        self.record = record
        self.lines: list[Data] = record["lines"]

    def _last(self, kind: str) -> Data:
        """Return the last line of that kind, or nothing."""
        return next((line for line in reversed(self.lines) if line["type"] == kind), {})

    def events(self, kind: str) -> list[Data]:
        """Return the events of that kind, in order."""
        return [line for line in self.lines
                if line["type"] == "event" and line["event"] == kind]  # fmt: skip

    @cached_property
    def plan(self) -> Data:
        """The plan; empty if none was made."""
        plan: Data = self._last("plan").get("plan", {})
        return plan

    @cached_property
    def result(self) -> Data:
        """The result; empty if there is none."""
        return self._last("result")

    @cached_property
    def error(self) -> Data:
        """The error that ended it; empty if none did."""
        return self._last("error")

    @property
    def _parts(self) -> list[Data]:
        """The parts of the result, where it lists some: `backup` only counts them."""
        parts = self.result.get("parts")
        return parts if isinstance(parts, list) else []

    @property
    def is_plan(self) -> bool:
        """Whether nothing but a plan was asked for."""
        return bool(self.result.get("dry_run"))

    @property
    def state(self) -> str:
        """`plan`, `done`, `different`, `unready`, `stopped` or `failed`."""
        if self.error:
            if self.error.get("code") == "verify" and self.result.get("equal") is False:
                return "different"
            if self.error.get("code") == "not-ready" and "verified_bytes" in self.result:
                return "unready"
            return "stopped" if self.error.get("code") in _STOPPED else "failed"
        if self.record["status"] and not self.result:  # else only nobody has read it
            return "failed"
        return "plan" if self.is_plan else "done"

    @cached_property
    def fates_of_steps(self) -> list[str]:
        """The fate of each step of the plan, in the order of the plan."""
        steps = self.plan.get("steps", [])
        planned = [fates.OF_STEPS.get(step["do"], "write") for step in steps]
        parts = self._parts or self.error.get("parts") or []
        order = (self.record["planned"] or {}).get("order", [])
        if len(order) != len(steps):
            return planned
        if parts and len(parts) == len(steps) and "part" in parts[0]:
            for at, part in zip(order, parts, strict=True):
                planned[at] = fates.OF_PARTS.get(part["state"], "undone")
            return planned
        begun = len(self._ran)
        if begun and not self.is_plan:  # it ended without a word about its parts
            for place, at in enumerate(order, 1):
                planned[at] = (
                    "sent" if place < begun else "incomplete" if place == begun else "undone"
                )
        return planned

    @cached_property
    def _ran(self) -> dict[int, Data]:
        """The events of the steps that were begun, by number in the plan."""
        steps = self.plan.get("steps", [])
        order = (self.record["planned"] or {}).get("order", [])
        found = {}
        for line in self.events("step"):
            at = order[line["index"] - 1] if line["index"] <= len(order) else len(steps)
            # other jobs beside it count steps of their own: what is saved, what is checked first
            if line["count"] == len(steps) > at and line["title"] in {
                steps[at]["label"], f"LUN {steps[at]['lun']} sector {steps[at]['start_sector']}"
            }:  # fmt: skip
                found[at] = line
        return found

    # -- words -----------------------------------------------------------------------------------

    @property
    def headline(self) -> str:
        """What came of it, in a sentence."""
        match self.state:
            case "plan":
                told = f"{plural(len(self.plan.get('steps', ())), 'step')}, {self._amount()}"
                return f"A plan: {told}. Nothing has been written."
            case "stopped":
                return "Stopped before the end."
            case "failed":
                if self.error.get("state"):
                    return "It failed midway: the phone has been changed."
                untouched = self.plan and not self.result and not self._ran
                return "It failed. Nothing was written." if untouched else "It failed."
            case "different":
                return self._different()
            case "unready":
                return f"{self._done()} But the phone would not start."
            case _:
                return self._done()

    def _amount(self) -> str:
        size = self.plan.get("write_bytes", 0)
        return f"{format_size(size)} to write" if size else "nothing to write"

    def _different(self) -> str:
        parts = self._parts
        count = sum(
            row.get("state", "same") != "same" or row.get("equal") is False for row in parts
        )
        return f"{count} of {plural(len(parts), 'part')} differ."

    def _done(self) -> str:
        result = self.result
        if "saved_bytes" in result:
            return f"Saved: {format_size(result['saved_bytes'])}."
        if result.get("equal"):
            return "All that was compared is the same."
        if result.get("verified_bytes"):
            return "Done, and verified."
        if result.get("written_bytes"):
            return "Done, but NOT VERIFIED: nobody knows what the phone holds."
        return "Done."

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What it was about: name and words."""
        record, plan, phone = self.record, self.plan, self.record["phone"] or {}
        rows = [
            ("command", " ".join(["edl", *map(_quoted, record["words"])])),
            ("package", self._package()),
            ("A", self._source("first")),
            ("B", self._source("second")),
            ("job", " ".join(filter(None, (plan.get("job"), plan.get("title"))))),
            ("phone", self._phone()),
            ("HWID", phone.get("hwid") or ""),
            ("key hash", phone.get("pk_hash") or ""),
            ("programmer", self._programmer()),
            ("storage", self._storage()),
            ("begun", f"{record['begun']}, lasted {format_duration(record['seconds'])}"),
            ("exit status", str(record["status"])),
        ]
        return [(name, text) for name, text in rows if text]

    def _package(self) -> str:
        stages = [line["text"] for line in self.events("stage") if line["name"] == "package"]
        if not stages and "package" in self.result:
            about = self.result["package"]
            stages = [", ".join(filter(None, (about.get("kind"), about.get("version"))))]
        return stages[-1] if stages else ""

    def _source(self, which: str) -> str:
        """Return what one of two that were compared is."""
        about = self.result.get(which)
        if not isinstance(about, dict):
            return ""
        return ", ".join(filter(None, (about.get("source"), about.get("kind"),
                                       about.get("version"))))  # fmt: skip

    def _phone(self) -> str:
        phone = self.record["phone"]
        if phone is None:
            told = [line["text"] for line in self.events("stage") if line["name"] == "identity"]
            return told[-1] if told else ""
        words = [f"serial {phone['serial']}", phone["chip"] or "", ", ".join(phone["makers"])]
        if self.record["virtual"]:
            words.insert(0, "VIRTUAL: no real phone was touched")
        return "; ".join(filter(None, words))

    def _programmer(self) -> str:
        phone = self.record["phone"] or {}
        built = phone.get("programmer_built")
        words = [f"generation {phone['generation']}" if phone.get("generation") else "",
                 f"built {built}" if built else ""]  # fmt: skip
        return ", ".join(filter(None, words))

    def _storage(self) -> str:
        phone, plan = self.record["phone"] or {}, self.plan
        words = [phone.get("memory") or plan.get("memory") or "", phone.get("product") or ""]
        if self.sector_bytes:
            words.append(f"{self.sector_bytes}-byte sectors")
        if plan.get("geometry_assumed"):
            words.append("sizes assumed: no phone was asked")
        return ", ".join(filter(None, words))

    @property
    def boot(self) -> Data:
        """What was seen of the boot chain after the job; empty if nobody looked."""
        boot: Data = self.result.get("boot") or {}
        return boot

    @property
    def verification(self) -> list[str]:
        """What was compared, in sentences."""
        result = self.result
        said = []
        if "verified_how" in result:
            if result["verified_bytes"]:
                size = format_size(result["verified_bytes"])
                said.append(
                    f"{size} compared with what was sent, and equal ({result['verified_how']})."
                )
            elif result["written_bytes"]:
                said.append("Nothing was verified: nobody knows what the phone holds.")
            said += [f"{name} was equal only when it was written again."
                     for name in result["rewritten"]]  # fmt: skip
        if result.get("how"):
            said.append(f"{format_size(result['bytes'])} compared ({result['how']}).")
        if "verified" in result:
            said.append({
                "digest": "All that was saved was compared with digests made by the phone.",
                "read twice": "All that was saved was read until it was the same twice.",
            }.get(result["verified"], "Every block was read once, and not verified."))  # fmt: skip
        boot = result.get("virtual_boot")
        if boot is not None:
            said.append(
                "The virtual phone starts: its boot chain is whole."
                if boot["boots"]
                else "The virtual phone does NOT start: " + "; ".join(boot["findings"])
            )
        if not said and self.is_plan:
            said.append("Nothing was written, so there is nothing to verify.")
        return said or ["Nothing was verified."]

    # -- steps -----------------------------------------------------------------------------------

    @property
    def rows(self) -> list[Row]:
        """The steps, in the order of the package."""
        unit = self.plan.get("sector_bytes", 0)
        found = []
        for at, step in enumerate(self.plan.get("steps", [])):
            line = self._ran.get(at)
            took = line["ended_s"] - line["at_s"] if line is not None else 0.0
            speed = line["moved_bytes"] / took if line is not None and took > _SHORTEST_S else 0
            words = f"{format_duration(took)}" if line is not None else ""
            words += f" at {format_size(int(speed))}/s" if speed else ""
            found.append(
                Row(
                    at + 1, _VERBS.get(step["do"], step["do"]), _label(step),
                    _place(step["lun"], step["start_sector"], step["sectors"]),
                    format_size(step["sectors"] * unit), step.get("file", ""), step["where"],
                    self.fates_of_steps[at],
                    words,
                )
            )  # fmt: skip
        return found

    @property
    def timings(self) -> list[tuple[str, str, str, str]]:
        """When each stage began, how long it took until the next, its name and words."""
        stages = self.events("stage")
        ends = [line["at_s"] for line in [*stages[1:], {"at_s": self.record["seconds"]}]]
        return [
            (format_duration(line["at_s"]), format_duration(max(0.0, end - line["at_s"])),
             line["name"], line["text"])
            for line, end in zip(stages, ends, strict=False)
        ]  # fmt: skip

    # -- the map ---------------------------------------------------------------------------------

    @property
    def sector_bytes(self) -> int:
        """Bytes of a sector; 0 if nothing has told."""
        for about in (self.plan, self.record["storage"], self.record["manifest"]):
            if about:
                return int(about["sector_bytes"])
        return 0

    @property
    def luns(self) -> list[Lun]:
        """The map of each LUN; none if nothing was learnt of the storage."""
        if self.compared:
            return self._by_size()
        sizes: dict[int, int] = {}
        tables: dict[int, list[Data]] = {}
        for row in (self.record["storage"] or {}).get("luns", ()):
            sizes[row["lun"]] = row["sectors"] or 0
            if row["partitions"] is not None:
                tables[row["lun"]] = row["partitions"]
        if self.record["manifest"] is not None:
            for row in self.record["manifest"]["luns"]:
                sizes[row["lun"]] = row["sectors"]
                tables[row["lun"]] = [
                    each for each in row["extents"] if each["kind"] == "partition"
                ]
        if self.plan:
            sizes |= {int(lun): sectors for lun, sectors in self.plan["luns"].items()}
            brought = (self.record["planned"] or {}).get("tables", {})
            tables |= {int(lun): rows for lun, rows in brought.items()}
        kept = (*self.plan.get("kept", ()), *self.result.get("kept", ()))
        source = Source(
            self.sector_bytes,
            sizes,
            tables,
            list(self._marks()),
            frozenset(name.lower() for name in kept),
            {row["what"].lower(): row["reason"] for row in self.plan.get("left_out", ())},
        )
        return luns(source) if self.sector_bytes else []

    def _by_size(self) -> list[Lun]:
        """Return what was compared side by side: two sources need not agree on places."""
        tables: dict[int, list[Data]] = {}
        marks = []
        for row in self.compared:
            lun = NO_LUN if row["lun"] is None else row["lun"]
            rows = tables.setdefault(lun, [])
            start = rows[-1]["start_sector"] + rows[-1]["sectors"] if rows else 0
            size = max(row["first_bytes"] or 0, row["second_bytes"] or 0)
            rows.append({"name": row["label"], "start_sector": start, "sectors": size})
            marks.append(Mark(lun, start, size, row["fate"], row["label"]))
        return luns(Source(1, {}, tables, marks))

    def _marks(self) -> Iterator[Mark]:
        for step, fate in zip(self.plan.get("steps", ()), self.fates_of_steps, strict=True):
            yield Mark(step["lun"], step["start_sector"], step["sectors"], fate, _label(step),
                       step.get("file", ""))  # fmt: skip
        for row in self._parts:
            if "start_sector" in row and "equal" in row:  # of verify
                fate = "equal" if row["equal"] else "different"
                yield Mark(row["lun"], row["start_sector"], row["sectors"], fate, row["label"],
                           row["problem"] or "")  # fmt: skip
        for lun in (self.record["manifest"] or {}).get("luns", ()):
            for each in lun["extents"]:
                fate = self._fate_of_extent(each)
                yield Mark(lun["lun"], each["start_sector"], each["sectors"], fate, each["name"],
                           _extent_note(each))  # fmt: skip

    def _fate_of_extent(self, extent: Data) -> str:
        if extent["file"] and "saved_bytes" not in self.result:
            return "undone"  # it was to be saved; how far that got, the folder itself tells
        return fates.OF_EXTENTS.get(extent["state"], "skipped")

    @property
    def compared(self) -> list[Data]:
        """The rows of a comparison (`diff`), which have no place that both agree on."""
        return [
            {**row, "fate": fates.OF_ROWS.get(row["state"], "doubtful"),
             "unique": is_unique(row["label"])}
            for row in self._parts
            if "first_bytes" in row
        ]  # fmt: skip


def _label(step: Data) -> str:
    return str(step["label"] or f"sector {step['start_sector']}")


def _place(lun: int, start: int, sectors: int) -> str:
    return f"LUN {lun}, {start} to {start + sectors - 1}"


def _extent_note(extent: Data) -> str:
    bad = extent["bad_sectors"]
    return f"{plural(bad, 'sector')} could not be read" if bad else ""


def _quoted(word: str) -> str:
    return f"'{word}'" if not word or " " in word else word
