# SPDX-License-Identifier: BSD-3-Clause
"""The same package, the same tables: to the byte those that qdl 2.8 makes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from edl.formats.digesttable import FULL_NAME, TO_SIGN_NAME, Unsigned, chained_name
from tests.vip import make_golden, making

GOLDEN = json.loads(make_golden.GOLDEN.read_text())


def digests(made: Unsigned) -> dict[str, str]:
    files = {FULL_NAME: made.full, TO_SIGN_NAME: made.to_sign}
    files |= {chained_name(number): data for number, data in enumerate(made.chained)}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


@pytest.mark.parametrize("name", making.NAMES)
def test_tables_are_those_of_qdl(name: str, tmp_path: Path) -> None:
    made, _ = making.tables(making.make(name, tmp_path / name))
    assert digests(made) == GOLDEN[name]


@pytest.mark.skipif("EDL_QDL" not in os.environ, reason="EDL_QDL names no qdl with VIP")
@pytest.mark.parametrize("name", making.NAMES)
def test_tables_are_those_of_the_qdl_that_is_here(name: str, tmp_path: Path) -> None:
    made, _ = making.tables(making.make(name, tmp_path / name))
    job = making.make(name, tmp_path / "again")
    assert digests(made) == make_golden.run(os.environ["EDL_QDL"], job)
