# SPDX-License-Identifier: BSD-3-Clause
"""Bars and figures: honest about what is left, and never wider than the terminal."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest

from edl.cli import bars, terminal, winconsole
from edl.cli.folding import folded
from edl.cli.meter import Meter
from edl.units import MIB
from tests.cli.test_display import Tty


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# -- how far, how fast, how long ------------------------------------------------------------------


def test_a_meter_tells_no_speed_too_early_and_a_falling_one_while_nothing_moves() -> None:
    clock = Clock()
    meter = Meter(100 * MIB, clock)
    assert (meter.part, meter.speed, meter.left_s) == (0.0, None, None)
    clock.now = 0.5
    meter.move(5 * MIB)
    assert meter.speed is None
    clock.now = 2.0
    meter.move(15 * MIB)
    assert meter.speed == pytest.approx(10 * MIB)
    assert meter.left_s == pytest.approx(8.0)
    clock.now = 20.0
    assert meter.speed == pytest.approx(MIB)
    assert meter.left_s == pytest.approx(80.0)


def test_a_meter_forgets_what_is_long_past() -> None:
    clock = Clock()
    meter = Meter(1000 * MIB, clock)
    meter.move(500 * MIB)
    for second in range(1, 100):
        clock.now = float(second)
        meter.move(MIB)
    assert meter.speed == pytest.approx(MIB)
    clock.now = 99.01
    meter.move(MIB)  # too soon for a sample of its own, and counted all the same
    assert meter.done == 600 * MIB


def test_a_meter_of_nothing_is_done() -> None:
    clock = Clock()
    meter = Meter(0, clock)
    assert meter.part == 1.0
    clock.now = 2.0
    assert (meter.speed, meter.left_s) == (0.0, None)
    meter.move(5)
    assert (meter.part, meter.left_s) == (1.0, 0.0)


# -- a line of a bar ------------------------------------------------------------------------------


def _meter(total: int, done: int, seconds: float) -> Meter:
    clock = Clock()
    meter = Meter(total, clock)
    clock.now = seconds
    meter.move(done)
    return meter


RICH, PLAIN = bars.look("utf-8"), bars.look("cp437")


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (200, "[14/31] devcfg_b             ━━━━━━━━━━────────── 50 MiB of 100 MiB, 5 MiB/s,"
              " 10 s left"),
        (77, "[14/31] devcfg_b          ━━━━━─────  50 %, 5 MiB/s, 10 s left"),
        (57, "[14/31] devcfg_b     50 %, 5 MiB/s, 10 s left"),
        (40, "[14/31] devc…  50 %, 10 s left"),
        (12, "[14…  50 %"),
    ],
)  # fmt: skip
def test_a_row_has_what_there_is_room_for(width: int, text: str) -> None:
    assert bars.row("[14/31] devcfg_b", _meter(100 * MIB, 50 * MIB, 10), width, RICH) == text


@pytest.mark.parametrize("seconds", [0.1, 3, 1000, 1_000_000])
@pytest.mark.parametrize("total", [0, 512, 16896, 1023 * MIB, 123 * 1024 * MIB])
def test_no_row_is_too_wide(total: int, seconds: float) -> None:
    meter = _meter(total, total // 3, seconds)
    for width in range(5, 130):
        for name in ("all", "[1234/5678] " + "n" * 72):
            assert len(bars.row(name, meter, width, RICH)) <= width


def test_what_stands_still_promises_nothing() -> None:
    meter = _meter(100 * MIB, 50 * MIB, 10)
    assert bars.row("boot", meter, 77, PLAIN, stalled=True).split() == [
        "boot", "#####-----", "50", "%",
    ]  # fmt: skip


def test_the_last_second_is_a_second_and_years_are_not_told() -> None:
    assert bars.row("a", _meter(1000, 999, 10), 60, PLAIN).endswith(", 1 s left")
    assert bars.row("a", _meter(10**15, 1, 10**10), 60, PLAIN).endswith("hours left")


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii", "no-such-encoding", None])
def test_consoles_that_lack_characters_get_others(encoding: str | None) -> None:
    assert bars.look(encoding) is PLAIN
    assert f"{PLAIN.spinner}{PLAIN.done}{PLAIN.rest}{PLAIN.cut}".isascii()
    assert bars.look("utf-8") is RICH is not PLAIN


# -- long lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("  short", ["  short"]),
        (
            "  restart    the phone starts now; the first start can take some minutes",
            ["  restart    the phone starts now; the first start can take",
             "             some minutes"],
        ),
        (
            "    try: If they were saved from this phone: edl restore --unique DIR, and then more",
            ["    try: If they were saved from this phone:",
             "        edl restore --unique DIR, and then more"],
        ),
        (
            "  from fastboot:  If it shows it, type: fastboot oem edl (many have locked this).",
            ["  from fastboot:  If it shows it, type: fastboot oem edl",
             "                  (many have locked this)."],
        ),
        (
            "error[usage]: Some words that are a little too long (edl help aliases) to fit here",
            ["error[usage]: Some words that are a little too long",
             "    (edl help aliases) to fit here"],
        ),
    ],
)  # fmt: skip
def test_lines_are_folded_between_words_and_not_in_commands(line: str, rows: list[str]) -> None:
    assert folded(line, 59).split("\n") == rows


@pytest.mark.parametrize(
    "line",
    [
        "  name  lun  begin  sectors  what it is called by people who know it well and much more",
        " " * 50 + "far to the right there is no room for anything",
        "/a/name/of/a/file/that/is/longer/than/the/terminal/is/wide/and/has/no/blank",
    ],
)
def test_tables_and_single_words_stay_as_they_are(line: str) -> None:
    assert folded(line, 59) == line


def test_prose_and_long_words() -> None:
    prose = "Some prose that begins at the very edge and goes on there in its second line."
    assert folded(prose, 59).split("\n")[1] == "in its second line."
    word = f"  PK hash     {'0123456789abcdef' * 6}"
    assert folded(word, 59) == word


def test_only_terminals_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "word " * 30
    monkeypatch.setattr("os.get_terminal_size", lambda _: SimpleNamespace(columns=40))
    monkeypatch.setattr(Tty, "fileno", lambda _: 2)
    assert terminal.fitted(line, Tty()).count("\n") == 3
    assert terminal.fitted(line, None) == line
    monkeypatch.setattr("os.get_terminal_size", lambda _: SimpleNamespace(columns=0))
    assert terminal.fitted(line, Tty()) == line
    monkeypatch.delattr(Tty, "fileno")
    assert terminal.fitted(line, Tty()) == line


# -- consoles of Windows --------------------------------------------------------------------------


class Console:
    """Stands for kernel32. mode: of the console, None if it is none. new: knows sequences."""

    def __init__(self, mode: int | None, *, new: bool) -> None:
        self.mode, self._new = mode, new

    def GetConsoleMode(self, _handle: int, mode: object) -> bool:  # noqa: N802
        if self.mode is not None:
            mode._obj.value = self.mode  # type: ignore[attr-defined]
        return self.mode is not None

    def SetConsoleMode(self, _handle: int, mode: int) -> bool:  # noqa: N802
        self.mode = mode if self._new else self.mode
        return self._new


@pytest.mark.parametrize(
    ("console", "takes", "mode"),
    [
        (Console(0x3, new=True), True, 0x7),
        (Console(0x7, new=False), True, 0x7),
        (Console(0x3, new=False), False, 0x3),
        (Console(None, new=True), False, None),
    ],
)
def test_a_console_is_told_to_take_sequences(
    console: Console, takes: bool, mode: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert winconsole.takes_sequences(Tty())
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=console), raising=False)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(get_osfhandle=lambda _: 3))
    monkeypatch.setattr(Tty, "fileno", lambda _: 2)
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert terminal.colours("auto", Tty()) is takes
    assert console.mode == mode
    assert not terminal.colours("auto", None)
    monkeypatch.delattr(Tty, "fileno")
    assert not winconsole.takes_sequences(Tty())
