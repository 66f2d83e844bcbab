# SPDX-License-Identifier: BSD-3-Clause
"""The order in which a phone is changed: what it boots from last, and never both of two at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.errors import EdlError, WriteFailedError
from edl.events import Event, Stage, StepStarted
from edl.firehose.commands import Area
from edl.plan.execute import Executor
from edl.plan.model import Erase, Geometry, Plan, ReadOut, Step, Write
from edl.plan.order import Stage as Stages
from edl.plan.order import ordered, stage_of
from edl.virtual.storage import Extent, Faults
from tests.phones import plug, spec

GEOMETRY = Geometry("emmc", 512, {0: 4096, 4: 4096})


def write(label: str, start: int, sectors: int = 8, lun: int = 0) -> Write:
    area = Area(lun, start, sectors, 512)
    return Write(area, BytesContent(label[:1].encode() * area.size_bytes), label, "x.img", "x:1")


def labels(*steps: Step) -> list[str]:
    return [step.label for _, step in ordered(steps, GEOMETRY)]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("system", Stages.BULK), ("userdata", Stages.BULK), ("", Stages.BULK),
        ("modemst1", Stages.UNIQUE),
        ("tz", Stages.CHAIN), ("abl_a", Stages.CHAIN), ("aboot", Stages.CHAIN),
        ("tz_b", Stages.SECOND_CHAIN), ("abootbak", Stages.SECOND_CHAIN),
        ("rpm_backup", Stages.SECOND_CHAIN),
        ("sbl1", Stages.FIRST_STAGE), ("XBL_A", Stages.FIRST_STAGE),
        ("xbl_config_a", Stages.FIRST_STAGE),
        ("sbl1bak", Stages.SECOND_FIRST_STAGE), ("xbl_b", Stages.SECOND_FIRST_STAGE),
    ],
)  # fmt: skip
def test_stages_by_name(name: str, stage: Stages) -> None:
    assert stage_of(name) is stage
    assert stage.boots == (stage not in {Stages.BULK, Stages.UNIQUE})


def test_what_the_phone_boots_from_comes_last() -> None:
    steps = (
        write("PrimaryGPT", 0, 34), write("BackupGPT", 4063, 33), write("sbl1", 64),
        write("sbl1bak", 72), write("tz", 80), write("modemst1", 88), write("tzbak", 96),
        write("system", 104), Erase(Area(0, 200, 8, 512), "userdata", ""),
    )  # fmt: skip
    assert labels(*steps) == [
        "system", "userdata", "modemst1", "tzbak", "sbl1bak", "tz", "sbl1", "BackupGPT",
        "PrimaryGPT",
    ]  # fmt: skip


def test_what_overlaps_stays_in_its_order() -> None:
    steps = (
        write("tz", 80, 16), write("system", 88),
        ReadOut(Area(0, 80, 8, 512), Path("none"), "old", ""),
        write("vendor", 104), write("xbl", 90, 2), write("odm", 80, 8, lun=4),
    )  # fmt: skip
    assert labels(*steps) == ["vendor", "odm", "tz", "system", "old", "xbl"]


@pytest.mark.parametrize("profile", ["msm8916", "qcm2290"])
def test_the_first_of_two_is_touched_when_the_second_is_verified(profile: str) -> None:
    seen: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, StepStarted):
            seen.append(event.title)
        elif isinstance(event, Stage) and event.name == "verify":
            seen.append("verify")

    with plug(profile) as bench:
        phone = bench.connect()
        steps = (write("sbl1", 64), write("sbl1bak", 72), write("system", 80), write("tz", 88))
        plan = Plan("rawprogram", "test", Geometry("emmc", 512, {0: 1 << 20}), steps)
        report = Executor(phone.programmer, plan, emit=emit).run()
        assert seen == ["system", "sbl1bak", "verify", "tz", "sbl1", "verify"]
        assert report.verified_bytes == 4 * 4096
        for step in steps:
            there = bench.flash.luns[0].read(step.area.start_sector, 8)
            assert there == step.label[:1].encode() * 4096


# -- failures -------------------------------------------------------------------------------------


def fail(*steps: Step, bad: Sequence[int]) -> tuple[EdlError, list[str], bytes]:
    """Carry steps out where writes to the sectors bad fail: the error, the phone's sector 300."""
    broken = Faults(unwritable=tuple(Extent(0, first, 8) for first in bad))
    with plug(spec("qcm2290", broken=broken)) as bench:
        phone = bench.connect()
        plan = Plan("rawprogram", "test", Geometry("emmc", 512, {0: 1 << 20}), steps)
        with pytest.raises(EdlError) as caught:
            Executor(phone.programmer, plan, emit=bench.events.append).run()
        return caught.value, bench.notices, bench.flash.luns[0].read(300, 1)


def states(error: EdlError) -> list[tuple[object, object]]:
    return [(part["part"], part["state"]) for part in error.parts]


def test_one_part_that_fails_does_not_stop_the_others() -> None:
    error, notices, last = fail(write("odm", 200), write("tz", 300), bad=[200])
    assert isinstance(error, WriteFailedError)
    assert states(error) == [("odm", "failed"), ("tz", "written")]
    assert error.state == "1 of 2 steps are done and verified. 1 step failed: odm."
    assert "'odm' failed, the others go on" in notices[0]
    assert last == b"t" * 512


@pytest.mark.parametrize("label", ["tz", "boot_a"])
def test_one_that_the_phone_starts_from_stops_the_job(label: str) -> None:
    error, _, last = fail(write(label, 200), write("xbl", 300), bad=[200])
    assert isinstance(error, WriteFailedError)
    assert states(error) == [(label, "failed"), ("xbl", "not done")]
    assert f"'{label}' is incomplete: the phone may not start" in error.state
    assert last == bytes(512)


def test_many_failures_stop_the_job() -> None:
    steps = [write(f"odm{number}", 100 + 16 * number) for number in range(5)]
    error, _, _ = fail(*steps, write("tz", 300), bad=[100 + 16 * n for n in range(5)])
    assert [state for _, state in states(error)] == ["failed"] * 4 + ["not done"] * 2
