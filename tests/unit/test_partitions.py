# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import csv
from importlib import resources

import pytest

from edl.partitions import PartitionClass, Severity, classify
from tests.conftest import shared

NEVER, BACKUP, SAFE = Severity.MUST_NEVER_CLONE, Severity.SHOULD_BE_BACKED_UP, Severity.SAFE


# The table of packages.md 12.1.
@pytest.mark.parametrize(
    ("name", "category", "severity"),
    [
        ("modemst1", "radio-nv", NEVER),
        ("MODEMST2", "radio-nv", NEVER),
        ("fsg_a", "radio-nv", NEVER),
        ("mdm1m9kefsc", "radio-nv", NEVER),
        ("oppodycnvbk", "radio-nv", NEVER),
        ("persist", "calibration", NEVER),
        ("persistbak", "calibration", NEVER),
        ("TA", "identity", NEVER),
        ("devinfo", "lock-state", NEVER),
        ("frp", "lock-state", NEVER),
        ("utagsBackup", "identity", NEVER),
        ("dhob", "identity", NEVER),
        ("sec", "fuse", NEVER),
        ("cdt", "board", NEVER),
        ("SMBIOS_BACKUP_HMAC", "keys", NEVER),
        ("SSD_BACKUP", "keys", NEVER),
        ("limits_BACKUP", "board", NEVER),
        ("imei_store", "identity", NEVER),
        ("misc", "state", BACKUP),
        ("userdata", "user-data", BACKUP),
        ("PrimaryGPT", "table", BACKUP),
        ("Overwrite Backup GPT Sectors", "table", BACKUP),
        ("some_key_store", "keys", BACKUP),
        ("boot_a", "os", SAFE),
        ("boot_B", "os", SAFE),
        ("super", "os", SAFE),
        ("xbl", "firmware", SAFE),
        ("XBL_SC_BACKUP", "firmware", SAFE),
        ("last_parti", "padding", SAFE),
        ("splash", "os", SAFE),
    ],
)
def test_the_first_rule_that_fits_counts(name: str, category: str, severity: Severity) -> None:
    found = classify(name)
    assert (found.category, found.severity) == (category, severity)
    assert 0 < len(found.reason) <= 120


@pytest.mark.parametrize(
    "name", ["", "_a", "x", "modemst1x", "xboot", "line\nbreak", "a" * 100_000, "TA" * 1000, "\x00"]
)
def test_unknown_names_are_to_be_backed_up(name: str) -> None:
    assert classify(name) == PartitionClass(
        "unknown",
        BACKUP,
        "Nothing is known about this name: back it up, and ask before it is written.",
    )


def test_all_rules_of_the_research_are_there_in_order() -> None:
    with shared("data/partitions.tsv").open(encoding="utf-8", newline="") as file:
        wanted = [row[:3] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    text = resources.files("edl.data").joinpath("partitions.tsv").read_text(encoding="utf-8")
    found = [line.split("\t")[:3] for line in text.splitlines() if not line.startswith("#")]
    assert len(found) == 93
    assert found == wanted
