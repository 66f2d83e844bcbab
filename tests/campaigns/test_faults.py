# SPDX-License-Identifier: BSD-3-Clause
"""A fixed sample of the campaign of faults, in a process of its own: it changes the clock."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import pytest

from edl.virtual.faults import Fault, Kind, Place, every
from tests.campaigns import claims, faultlist
from tests.campaigns.inside import Ran
from tests.campaigns.scene import JOBS
from tests.conftest import REPO

CASES = 168  # of each job


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forks")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("job", JOBS)
def test_whatever_goes_wrong_the_job_ends_well(job: str) -> None:
    line = [sys.executable, "-m", "tests.campaigns.faults", "--sample", str(CASES), "--jobs", job]
    line += ["--profiles", "msm8916", "sdm660", "qcm2290-ufs"]  # a generation each
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(
        r"^(\d+) cases, .*\nstruck: (\d+); right at once: (\d+);", done.stdout, re.MULTILINE
    )
    assert found is not None
    cases, struck, right = map(int, found.groups())
    assert cases == CASES
    assert CASES * 0.8 < struck <= CASES
    assert 0 < right < CASES


def test_every_kind_takes_part_at_every_transfer_or_command() -> None:
    traffic = faultlist.Traffic()
    for place in Place:
        for _ in range(40):
            traffic.passed(place, 1 if place not in {Place.IN, Place.OUT} else 100)
    found = list(faultlist.faults(traffic))
    assert {fault.kind for fault in found} == set(Kind)
    assert {fault.at for fault in found if fault.place is Place.IN_TRANSFER} == {*range(40)}
    naks = [fault for fault in found if fault.kind is Kind.NAK]
    assert [(fault.place, fault.at) for fault in naks] == [(Place.COMMAND, n) for n in range(40)]
    flipped = [fault.at for fault in found if fault.kind is Kind.CORRUPT]
    assert [at // 100 for at in flipped] == [*range(40)] * 2
    assert len({str(fault) for fault in found}) == len(found)
    assert all((fault.kind, fault.place) in set(every()) for fault in found)


def _ran(status: int, *lines: str) -> Ran:
    return Ran(("backup",), status, "\n".join(lines), "")


def test_the_judge_hears_false_words() -> None:
    plan = (
        '{"type": "plan", "plan": {"steps": [{"label": "boot", "lun": 0, "start_sector": 1,'
        ' "sectors": 1}]}}'
    )
    done = '{"type": "result", "parts": [{"part": "boot", "state": "written", "bytes": 512}]}'
    wanted = {0: random.Random(1).randbytes(2048)}
    assert list(claims.false(_ran(0, plan, done), wanted, wanted, 512)) == []
    other = {0: wanted[0][:700] + b"?" + wanted[0][701:]}
    assert list(claims.false(_ran(0, plan, done), other, wanted, 512)) == [
        "'boot' is called written"
    ]


def test_the_judge_sees_what_no_run_may_do() -> None:
    assert list(claims.odd(_ran(0, '{"type": "result"}'))) == []
    assert list(claims.odd(_ran(0, '{"type": "event"}')))
    error = '{"type": "error", "status": 4, "code": "timeout", "message": "m", "remedies": ["r"]}'
    assert list(claims.odd(_ran(4, error))) == []
    assert list(claims.odd(_ran(5, error)))
    assert list(claims.odd(_ran(4, error.replace("timeout", "made-up"))))
    assert list(claims.odd(_ran(1, error)))
    assert list(claims.odd(Ran((), None, "", "")))
    assert list(claims.odd(Ran((), 4, error, "", step_s=10_000)))


def test_a_fault_is_named_as_the_command_line_has_it() -> None:
    assert str(Fault(Kind.UNPLUG, Place.IN_TRANSFER, 12)) == "unplug@in-transfer:12"
