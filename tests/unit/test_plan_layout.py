# SPDX-License-Identifier: BSD-3-Clause
"""A package for another model: what is said before the first write."""

from __future__ import annotations

import pytest

from edl.chunks import BytesContent
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError
from edl.firehose.commands import Area
from edl.plan import layout
from edl.plan.model import Erase, Finding, Geometry, Plan, Severity, Write
from edl.virtual.lun import Lun
from tests.phones import plug
from tests.virtual.disks import Part, write_gpt

THEIRS = ("boot", "misc", "aboot", "sbl1", "tz", "rpm", "persist", "modem")
OTHERS = ("boot", "misc", "frp", "logo", "oem", "radio", "cid", "hw")


def parts(names: tuple[str, ...]) -> list[Part]:
    return [Part(name, 64 + 32 * at, 95 + 32 * at) for at, name in enumerate(names)]


def write(start: int, sectors: int, label: str, data: bytes = b"") -> Write:
    content = BytesContent(data.ljust(sectors * 512, b"\0"))
    return Write(Area(0, start, sectors, 512), content, label, "x.img", "x.xml:1")


def table(names: tuple[str, ...]) -> Write:
    lun = Lun(1 << 15, 512)
    write_gpt(lun, parts(names))
    return write(0, 34, "PrimaryGPT", lun.read(0, 34))


def found(
    *steps: Write | Erase, names: tuple[str, ...] = THEIRS, elsewhere: tuple[str, ...] = ()
) -> list[Finding]:
    with plug("sdm660") as bench:
        if names:
            write_gpt(bench.flash.luns[0], parts(names))
        storage = Storage(bench.connect())
        plan = Plan("rawprogram", "x", Geometry("emmc", 512, {0: 1 << 15}), steps)
        return list(layout.against_phone(plan, storage, elsewhere))


@pytest.mark.parametrize(
    "step",
    [
        write(64, 32, "boot"),
        write(70, 4, "BOOT"),  # a piece of a sparse image
        write(500, 8, "of no partition"),
        Erase(Area(0, 96, 32, 512), "misc", "x.xml:1"),
    ],
)
def test_what_goes_where_the_phone_has_it(step: Write | Erase) -> None:
    assert found(step) == []


@pytest.mark.parametrize(
    "step",
    [
        write(96, 32, "boot"),
        write(64, 33, "boot"),
        write(63, 2, "boot"),
        Erase(Area(0, 64, 32, 512), "boot", "x.xml:1"),
    ],
)
def test_what_would_hit_another_partition(step: Write | Erase) -> None:
    label = step.label
    step_of_misc = write(96, 1, "misc")
    if isinstance(step, Erase):
        step = Erase(Area(0, 100, 32, 512), label, "x.xml:1")
    (finding,) = found(step, step, step_of_misc)
    assert (finding.code, finding.severity, finding.where) == (
        "other-layout", Severity.ERROR, "x.xml:1",
    )  # fmt: skip
    assert "the phone has this partition at sector 64." in finding.message


def test_who_knows_better_insists_by_name() -> None:
    misplaced = (write(96, 1, "boot"), write(64, 1, "misc"))
    told = found(*misplaced, elsewhere=("boot",))
    assert [finding.severity for finding in told] == [Severity.WARNING, Severity.ERROR]
    assert told[0].message == (
        "'boot' goes to sector 96 of LUN 0 (misc), but the phone has this partition at sector 64."
    )
    assert told[0].remedy == ""
    assert told[1].remedy.endswith("insists with --elsewhere misc.")
    all_of_them = found(*misplaced, elsewhere=("b*", "misc"))
    assert {finding.severity for finding in all_of_them} == {Severity.WARNING}
    (free,) = found(write(1000, 1, "boot"))
    assert "to sector 1000 of LUN 0, but" in free.message


def test_patches_of_the_table_bring_no_table() -> None:
    assert len(found(write(1, 2, ""), write(96, 1, "boot"))) == 1


def test_with_a_table_of_its_own_a_package_may_lie_elsewhere() -> None:
    assert found(table(THEIRS), write(96, 1, "boot")) == []


def test_a_table_for_another_model() -> None:
    (finding,) = found(table(OTHERS), write(96, 1, "boot"))
    assert finding.severity is Severity.WARNING
    assert "2 of the phone's 8 partitions are in it" in finding.message


@pytest.mark.parametrize(
    "head", [table(OTHERS[:4]), write(0, 34, "x"), write(1, 33, "x"), write(0, 4096, "x"),
             Erase(Area(0, 0, 64, 512), "", "x.xml:1")],
)  # fmt: skip
def test_what_says_nothing_of_a_model(head: Write | Erase) -> None:
    assert found(head, write(96, 1, "boot")) == []


def test_without_a_table_on_the_phone() -> None:
    assert found(write(96, 1, "boot"), names=()) == []


def test_a_table_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DeviceRefusedError("no")

    monkeypatch.setattr(Storage, "table", refuse)
    assert found(write(96, 1, "boot")) == []
