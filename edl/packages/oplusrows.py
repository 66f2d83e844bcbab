# SPDX-License-Identifier: BSD-3-Clause
"""Which rows of a OnePlus or Oppo document are for this phone: one project, one carrier."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from edl.errors import PackageError
from edl.files import File
from edl.formats import gpt
from edl.formats.oplussettings import Settings, SettingsRow, Source, plain_rows
from edl.formats.rawprogram import Rows
from edl.formats.texts import printable
from edl.packages.flat import STORAGES
from edl.packages.model import Choices
from edl.packages.oplusfiles import Box, by_name, member_name
from edl.partitions import Severity, classify
from edl.units import MIB

_USER = {"userdata", "metadata", "cache"}
_SUPER = "super"
_MAP = "super_map.csv"
_SECTORS = "SECTOR_SIZE_IN_BYTES"
_MOST_TOLD = 12
_ANY = {"", "0"}


def sets(name: str, rows: Iterable[SettingsRow]) -> dict[str, Rows]:
    """Return rows, read, as one set for each size of sectors, by its name.

    Raises:
        DocumentError: some are not understood.
    """
    grouped: dict[str, list[SettingsRow]] = {}
    for row in rows:
        grouped.setdefault(row.attributes.get(_SECTORS, ""), []).append(row)
    if len(grouped) > 1:
        unsaid = grouped.pop("", [])
        grouped = {size: each + unsaid for size, each in grouped.items()}
    found = {}
    for size, each in grouped.items():
        title = STORAGES.get(int(size), size) if size.isdecimal() else "all"
        found[title] = plain_rows(name, each)
    return found


@dataclass
class Chooser:
    """Chooses among rows. left_out: (name, reason)."""

    settings: Settings
    files: Mapping[str, File]
    choices: Choices
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return by_name(self.settings)

    def rows(self) -> list[SettingsRow]:
        """Return the rows that are right, with names by which files are found.

        Raises:
            PackageError: that is left to the user, who has not chosen.
        """
        for source in self.settings.sources:
            if source.is_provision:
                reason = "it sets up the storage anew, which loses all that is on it"
                self.left_out.append((source.name, reason))
        rivals: dict[tuple[str, ...], list[SettingsRow]] = {}
        kept: list[SettingsRow] = []
        for row in self.settings.rows:
            label = row.attributes.get("label", "")
            if row.source is None:
                kept.append(row)
            elif row.skipped:
                self.left_out.append((row.source.name, f"the package says {row.skipped}"))
            elif label.lower() in _USER and not self.choices.wipe:
                reason = "it replaces your data; --wipe takes it as well"
                self.left_out.append((label, reason))
            else:
                rivals.setdefault(row.place, []).append(row)
        for each in rivals.values():
            kept += self._decided(each)
        sizes = self._sector_sizes(kept)
        return [self._ready(row, sizes) for row in kept]

    def loaders(self, box: Box | None) -> dict[str, File]:
        """Return the programmers, by name; what cannot be read is told."""
        found = {}
        for name, source in self._sources.items():
            if source.is_loader and name in self.files:
                found[name] = self.files[name]
            elif source.is_loader and box is not None:
                reason = "this loader is encrypted, and there is no key: give one with --loader"
                self.left_out.append((name, reason))
        return found

    def _decided(self, rivals: list[SettingsRow]) -> list[SettingsRow]:
        """Return which rows for one place are right."""
        different = {(row.source.name, row.source.page) for row in rivals if row.source}
        if len(different) == 1:
            return rivals[:1]
        label = rivals[0].attributes.get("label", "")
        if label.lower() == _SUPER and _MAP in {name.lower() for name in self.files}:
            return self._of_carrier(rivals)
        project = self.choices.options.get("project", "")
        wanted = self.settings.projects.get(project, "")
        names = [(row, row.source.name) for row in rivals if row.source]
        found = [
            row for row, name in names if project and (row.project == project or name == wanted)
        ]
        found = found or [row for row in rivals if project and row.project in _ANY]
        if len(found) == 1:
            return found
        told = printable(", ".join(sorted({name for _, name in names})[:_MOST_TOLD]))
        how = f"--choose project={'|'.join(self._projects(rivals)) or 'ID'}"
        if classify(label).severity is Severity.MUST_NEVER_CLONE:
            reason = f"there is one for each project ({told}); to write one: {how}"
            self.left_out.append((label, reason))
            return []
        raise PackageError(
            f"There are several files for {label or 'one place'}, each for another project"
            f" (model): {told}.",
            remedies=(f"Choose the phone's: {how}.",),
        )

    def _projects(self, rivals: list[SettingsRow]) -> list[str]:
        known = {row.project for row in rivals} | set(self.settings.projects)
        return sorted(printable(each) for each in known - _ANY)[:_MOST_TOLD]

    def _of_carrier(self, rivals: list[SettingsRow]) -> list[SettingsRow]:
        """Return the parts of super for the carrier that was chosen, by the table of the package.

        A line of it: the carrier's id, its name, and the files.
        """
        file = next(file for name, file in self.files.items() if name.lower() == _MAP)
        text = file.head(MIB).decode("utf-8", "replace")
        lines = {line[0].strip(): line for line in csv.reader(text.splitlines()) if line}
        names = {row.source.name for row in rivals if row.source}
        lines = {key: line for key, line in lines.items() if names & set(map(str.strip, line))}
        chosen = lines.get(self.choices.options.get("nv", ""))
        if chosen is None and len(lines) == 1:
            chosen = next(iter(lines.values()))
        if chosen is None:
            told = printable("; ".join(" ".join(line[:2]) for line in lines.values()))
            raise PackageError(
                f"The super partition differs by carrier: {told}.",
                remedies=("Choose the phone's: --choose nv=ID.",),
            )
        parts = [part.strip() for part in chosen]
        found = {row.source.name: row for row in rivals if row.source and row.source.name in parts}
        return [found[name] for name in parts if name in found]

    def _sector_sizes(self, rows: list[SettingsRow]) -> dict[str, str]:
        """Return the size of sectors of each physical partition, by the tables for it."""
        found = {}
        for row in rows:
            at_start = row.attributes.get("start_sector") == "0"
            if row.source is not None and at_start and _SECTORS not in row.attributes:
                file = self.files.get(member_name(self._sources, row.source))
                size = gpt.find_sector_bytes(file.head(8192)) if file is not None else None
                if size:
                    found[row.attributes["physical_partition_number"]] = str(size)
        return found

    def _ready(self, row: SettingsRow, sizes: Mapping[str, str]) -> SettingsRow:
        attributes = dict(row.attributes)
        if row.source is not None:
            attributes["filename"] = member_name(self._sources, row.source)
        size = sizes.get(attributes["physical_partition_number"])
        if size and _SECTORS not in attributes:
            attributes[_SECTORS] = size
        return replace(row, attributes=attributes)
