# SPDX-License-Identifier: BSD-3-Clause
"""Every code has its page, and lines of real logs lead to the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.cli import explaining
from edl.errors import all_errors
from tests.cli.conftest import Edl
from tests.conftest import shared

SEEN = [(page.code, line) for page in explaining.pages().values() for line in page.seen]


def test_every_code_has_its_page_and_every_page_its_code() -> None:
    assert set(explaining.pages()) == {kind.code for kind in all_errors()}
    assert all(page.text.endswith((".", ":")) for page in explaining.pages().values())


@pytest.mark.parametrize(("code", "line"), SEEN)
def test_a_line_leads_to_its_page(code: str, line: str) -> None:
    told = explaining.meaning(f"12:34:56 main - {line.replace('*', '17')} (more)")
    assert told is not None
    assert told.kind.code == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bkerler-edl-208", "access"),  # "Please first install libusb_win32 driver"
        ("bkerler-edl-104", "programmer-refused"),  # no loader for this key
        ("bkerler-edl-288", "authorization-required"),  # vivo
    ],
)
def test_real_logs(name: str, code: str, edl: Edl) -> None:
    """Titles of the threads say what it was."""
    path = shared("logs") / f"{name}.txt"
    result = edl("explain", path, "--json")
    assert result.status == 0
    assert code in {row["code"] for row in result.last["meanings"]}


def test_a_log_is_explained_line_by_line(edl: Edl, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"INFO: fine\n" + b"flash write failure\n" * 3 + b"\xff\x1b[31m\n")
    shown = edl("explain", path).out
    assert shown.startswith("flash write failure (3 times)\n  The storage did not take the data.")
    assert "  more: edl explain write-failed\n" in shown
    path.write_text("all is well\n")
    assert edl("explain", path).out == f"Nothing in {path} is known as an error.\n"


def test_a_line_that_nobody_knows(edl: Edl) -> None:
    result = edl("explain", "a", "strange", "line")
    assert result.status == 2
    assert "'a strange line' is no error code, no file, and no line that is known." in result.err
