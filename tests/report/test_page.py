# SPDX-License-Identifier: BSD-3-Clause
"""Records become pages: whole, valid, with every partition named, and nothing of a name obeyed."""

from __future__ import annotations

import re
from typing import Any

import html5lib
import pytest
from lxml import etree

from edl.report import fates, storage
from edl.report.outcome import Outcome
from edl.report.page import page
from edl.report.storage import Mark, Source
from tests.report import records
from tests.report.records import DONE, ERROR, HOSTILE, NAMES, UNIT, plan, record

SVG = "{http://www.w3.org/2000/svg}"


def parsed(record_: dict[str, Any]) -> etree._Element:
    """Return the page as a browser reads it; nothing in it is wrong, and nothing is loaded."""
    text = page(record_)
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("lxml"), strict=True)
    tree: etree._Element = parser.parse(text).getroot()
    tags = {str(each.tag).rpartition("}")[2] for each in tree.iter(etree.Element)}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for each in tree.iter(etree.Element):
        for name, value in each.attrib.items():
            assert not str(name).startswith("on")
            assert name not in {"src", "style", "srcset", "action"}
            assert not str(name).endswith("href") or str(value).startswith("#")
            assert "url(" not in str(value) or str(value).startswith("url(#p-")
    ids = [each.get("id") for each in tree.iter(etree.Element) if each.get("id") is not None]
    assert len(ids) == len(set(ids))
    for each in tree.iter(etree.Element):
        for name in (each.get("aria-labelledby") or "").split():
            assert name in ids
    return tree


def words(element: etree._Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def text_of(tree: etree._Element, tag: str) -> str:
    return words(next(tree.iter(f"{{http://www.w3.org/1999/xhtml}}{tag}")))


def rows(tree: etree._Element, caption: str) -> dict[str, list[str]]:
    """Return the rows of the table with that caption, by the name that heads each."""
    found = {}
    for table in tree.iter("{http://www.w3.org/1999/xhtml}table"):
        if words(table[0]).startswith(caption):
            for row in table.iter("{http://www.w3.org/1999/xhtml}tr"):
                cells = [words(cell) for cell in row]
                heads = [words(cell) for cell in row if cell.get("scope") == "row"]
                if heads:
                    found[heads[0]] = cells
    return found


def test_a_plan() -> None:
    tree = parsed(record(("plan", {"plan": plan()}), ("result", {"job": "x", "dry_run": True})))
    assert text_of(tree, "h1") == "A plan: 5 steps, 136 MiB to write. Nothing has been written."
    fate = {name: cells[0] for name, cells in rows(tree, "All of LUN 0").items()}
    assert fate == {
        "xbl_a": "W to be written",
        "boot_a": "W to be written",
        "modemst1": "1 not touched; exists only once",
        "persist": "K kept: it belongs to this phone alone",
        "super": "W to be written",
        "misc": "E to be erased",
        "userdata": "L left out",
    }
    assert rows(tree, "All of LUN 0")["userdata"][-1] == "it is the user's"
    assert len(rows(tree, "In the order of the package")) == 4  # two of them are of super


def test_a_job_that_went_well() -> None:
    tree = parsed(record(("plan", {"plan": plan()}), ("result", DONE)))
    assert text_of(tree, "h1") == "Done, and verified."
    fate = {name: cells[0] for name, cells in rows(tree, "All of LUN 0").items()}
    assert fate["xbl_a"] == "W written and verified"
    assert fate["boot_a"] == "U was there already"
    assert fate["misc"] == "E erased"
    whole = words(tree)
    assert "136 MiB compared with what was sent, and equal (SHA-256)." in whole
    assert "xbl_a was equal only when it was written again." in whole
    assert "LUN 1 is made the one that the phone boots from" in whole


def test_nothing_is_called_written_that_was_not_verified() -> None:
    parts = records.parts("sent", "sent", "sent", "sent", "erased")
    result = DONE | {"verified_bytes": 0, "verified_how": "", "parts": parts}
    tree = parsed(record(("plan", {"plan": plan()}), ("result", result)))
    assert "NOT VERIFIED" in text_of(tree, "h1")
    assert rows(tree, "All of LUN 0")["boot_a"][0] == "S sent, not verified"
    assert "written and verified" not in words(tree)


def test_a_job_that_failed() -> None:
    finding = {"code": "odd", "severity": "warning", "message": "It is odd.", "where": "a.xml:1",
               "remedy": "Look at it."}  # fmt: skip
    tree = parsed(record(("plan", {"plan": plan()}), ("finding", finding), ("error", ERROR),
                         status=4))  # fmt: skip
    whole = words(tree)
    assert text_of(tree, "h1") == "It failed midway: the phone has been changed."
    for told in ("The phone left the bus.", "ERROR: no", "2 of 5 steps are done",
                 "Take another cable.", "edl explain device-gone", "Look at it."):  # fmt: skip
        assert told in whole
    fate = {name: cells[0] for name, cells in rows(tree, "All of LUN 0").items()}
    assert fate["super"].startswith("I incomplete")
    assert fate["misc"] == "N not done"


def test_a_job_that_ended_without_a_word_about_its_parts() -> None:
    made = record(("plan", {"plan": plan()}), ("error", ERROR | {"parts": []}), status=10)
    for index in (1, 2):
        label = records.STEPS[index - 1]["label"]
        made["lines"].insert(index, {"type": "event", "event": "step", "index": index, "count": 5,
                                     "title": label, "bytes": 1, "moved_bytes": 1, "at_s": 1.0,
                                     "ended_s": 2.0})  # fmt: skip
    assert Outcome(made).fates_of_steps == ["sent", "incomplete", *["undone"] * 3]
    assert [row.took for row in Outcome(made).rows] == [
        "1.0 s at 1 byte/s",
        "1.0 s at 1 byte/s",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    """In every place where a name, a file or a phone's words can stand."""
    steps = (records.step("program", name, 100, 5, name),)
    about = plan(
        steps, job=name, title=name, kept=[name], left_out=[{"what": name, "reason": name}]
    )
    finding = dict.fromkeys(("code", "severity", "message", "where", "remedy"), name)
    error = ERROR | {"message": name, "state": name, "remedies": [name], "device_log": [name],
                     "code": name, "parts": []}  # fmt: skip
    phone = dict.fromkeys(("serial", "chip", "hwid", "pk_hash", "place", "memory", "product",
                           "firmware", "generation", "programmer_built"), name)  # fmt: skip
    made = record(
        ("plan", {"plan": about}), ("finding", finding), ("error", error),
        status=4, command=name, words=[name], virtual=name, phone=phone | {"makers": [name]},
        device_log={"lines": [name] * 3, "left_out": 2, "left_out_at": 1},
        versions={name: name},
    )  # fmt: skip
    made["storage"]["luns"][0]["partitions"] = records.table((name, *NAMES[1:]))
    for kind in ("stage", "notice"):
        made["lines"].append({"type": "event", "at_s": 0.0, "event": kind, "name": name,
                              "text": name})  # fmt: skip
    tree = parsed(made)
    shown = name[:100] if name.isprintable() else "\\x1b[2J\\u202egpj.exe\\x00\\ufffe\\ud800"
    assert words(tree).count(" ".join(shown.split())) > 20
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page(made)) is None
    assert len(page(made)) < 400_000


def test_a_comparison() -> None:
    parts = [
        {"label": label, "lun": lun, "state": state, "first_bytes": first, "second_bytes": second,
         "unique": False, "blocks": 3, "different_blocks": 1 if state == "changed" else 0,
         "first_byte": None, "moved": False, "problem": None}
        for label, lun, state, first, second in (
            ("boot_a", 0, "same", 4096, 4096), ("super", 0, "changed", 9000, 8000),
            ("misc", 0, "only first", 100, None), ("new", None, "only second", None, 50),
            ("odd", None, "unknown", 5, 5),
        )
    ]  # fmt: skip
    found = {
        "code": "x",
        "severity": "warning",
        "message": "Two builds.",
        "where": "",
        "remedy": "",
    }
    result = {"parts": parts, "equal": False, "findings": [found]}
    made = record(("result", result), ("error", ERROR | {"code": "verify", "parts": []}), status=8,
                  storage=None, planned=None)  # fmt: skip
    tree = parsed(made)
    assert text_of(tree, "h1") == "4 of 5 parts differ."
    fate = {name: cells[0] for name, cells in rows(tree, "A and B").items()}
    assert fate == {"boot_a": "= the same", "super": "C changed", "misc": "A only in A",
                    "new": "B only in B", "odd": "? cannot be compared"}  # fmt: skip
    assert rows(tree, "A and B")["super"][5] == "1 of 3 MiB"
    strips = [words(svg) for svg in tree.iter(SVG + "svg") if svg.get("role") == "img"]
    assert ["boot_a: the same" in strips[1], "new: only in B" in strips[0]] == [True, True]


def test_a_verification_and_a_backup() -> None:
    row = {"label": "boot_a", "lun": 0, "start_sector": 900, "sectors": 100, "equal": False,
           "problem": "unreadable"}  # fmt: skip
    result = {"parts": [row, row | {"label": "xbl_a", "start_sector": 6, "equal": True}],
              "equal": False, "how": "read back", "bytes": 5000, "kept": ["persist"]}  # fmt: skip
    tree = parsed(record(("result", result), ("error", ERROR | {"code": "verify", "parts": []})))
    fate = {name: cells[0] for name, cells in rows(tree, "All of LUN 0").items()}
    assert (fate["boot_a"], fate["xbl_a"], fate["persist"][:1]) == (
        "\u2260 differs",
        "= the same",
        "K",
    )
    states = ("saved", "skipped", "forbidden", "partly")
    extents = [
        {"name": f"p{number}", "kind": "partition", "start_sector": 100 * number, "sectors": 100,
         "state": state, "file": "x" if state in {"saved", "partly"} else None,
         "bad_sectors": int(state == "partly")}
        for number, state in enumerate(states)
    ]  # fmt: skip
    manifest = {"sector_bytes": UNIT, "luns": [{"lun": 0, "sectors": 400, "extents": extents}]}
    saved = {"saved_bytes": 200 * UNIT, "parts": 2, "verified": "digest"}
    made = record(("result", saved), storage=None, planned=None, manifest=manifest)
    fate = {name: cells[0] for name, cells in rows(parsed(made), "All of LUN 0").items()}
    assert fate == {"p0": "S saved", "p1": "L left out", "p2": "X not shown by the programmer",
                    "p3": "! not all of it could be read"}  # fmt: skip
    made["lines"].clear()  # the job has failed
    assert rows(parsed(made), "All of LUN 0")["p0"][0] == "N not done"


def test_a_phone_that_would_not_start() -> None:
    finding = {"code": "boot-blank", "severity": "error", "message": "xbl_a is empty.",
               "where": "xbl_a", "remedy": "Write it."}  # fmt: skip
    image = {"name": "xbl_a", "lun": 1, "role": "first-stage", "state": "blank",
             "reason": "it is empty"}  # fmt: skip
    boot = {"verdict": "not ready", "slot": "a", "boot_lun": 1, "images": [image],
            "findings": [finding], "expect": [{"code": "edl", "text": "EDL mode."}],
            "unread": ["tz_a: hidden"], "read_bytes": 5}  # fmt: skip
    back = {"as": "edl", "text": "EDL mode", "seconds": 1.0, "todo": "Write it again."}
    made = record(("plan", {"plan": plan()}), ("result", DONE | {"boot": boot, "came_back": back}),
                  ("error", ERROR | {"code": "not-ready", "parts": []}), status=8)  # fmt: skip
    tree = parsed(made)
    assert text_of(tree, "h1") == "Done, and verified. But the phone would not start."
    assert rows(tree, "The images")["xbl_a"] == ["xbl_a", "LUN 1", "first-stage", "blank",
                                                 "it is empty"]  # fmt: skip
    assert "Write it." in rows(tree, "What was found there")["xbl_a is empty."]
    for told in ("Expect: EDL mode.", "Not looked at: tz_a", "It came back: EDL mode Write"):
        assert told in words(tree)
    # what the job wrote stays verified, whatever its error is about
    assert rows(tree, "All of LUN 0")["xbl_a"][0] == "W written and verified"


def test_nothing_but_a_mistake_in_the_line() -> None:
    made = record(
        ("error", ERROR | {"state": "", "parts": []}), status=2, storage=None, planned=None
    )
    tree = parsed(made)
    assert text_of(tree, "h1") == "It failed."
    assert "Nothing was learnt of the storage." in words(tree)


def test_a_job_whose_output_nobody_read() -> None:
    assert Outcome(record(("result", DONE), status=141)).state == "done"
    assert Outcome(record(status=141)).state == "failed"


def test_signs_and_patterns_tell_fates_apart_without_colour() -> None:
    """Those that one page can show together: of a plan, of what came of it, of others."""
    for together in (
        {"write", "erase", "read", "kept", "skipped", "unique", "untouched"},
        set(fates.OF_PARTS.values()) | {"kept", "skipped", "unique", "untouched"},
        set(fates.OF_ROWS.values()),
        set(fates.OF_EXTENTS.values()),
    ):
        signs = [fates.BY_KEY[key].sign for key in together]
        assert len(signs) == len(set(signs))
        assert all(len(sign) == 1 for sign in signs)


# -- the map --------------------------------------------------------------------------------------


def drawn(marks: list[Mark], names: int = 100, userdata: int = 10_000_000) -> storage.Lun:
    rows_ = [{"name": f"p{n}", "start_sector": 10 + n, "sectors": 1} for n in range(names)]
    rows_.append({"name": "userdata", "start_sector": 10 + names, "sectors": userdata})
    (lun,) = storage.luns(Source(512, {0: 10 + names + userdata}, {0: rows_}, marks))
    return lun


def test_the_smallest_can_be_seen_and_the_rest_is_to_scale() -> None:
    lun = drawn([])
    assert sum(box.width for box in lun.boxes) == pytest.approx(100)
    assert min(box.width for box in lun.boxes) > 0.4
    assert lun.boxes[-1].width > 40
    assert lun.wider
    even = drawn([], names=4, userdata=4)
    widths = [box.width for box in even.boxes]
    assert widths == pytest.approx([100 * box.sectors / 18 for box in even.boxes])
    assert even.wider == ""


def test_boxes_are_in_order_and_without_gaps_whatever_the_table_says() -> None:
    wild = [(50, 20), (0, 10), (60, 500), (5, 3), (200, 5), (90, 0)]
    rows_ = [{"name": f"p{n}", "start_sector": start, "sectors": count}
             for n, (start, count) in enumerate(wild)]  # fmt: skip
    marks = [Mark(0, 0, 100, "write", "all"), Mark(0, 20, 5, "erase", "some"),
             Mark(0, 95, 50, "write", "behind")]  # fmt: skip
    for table in (rows_, [], None):
        tables = {} if table is None else {0: table}
        (lun,) = storage.luns(Source(512, {0: 100}, tables, marks))
        at = 0
        for box in lun.boxes:
            assert box.start == at
            assert box.sectors > 0
            at = box.end
        assert at == 100
    assert storage.luns(Source(512, {3: 0}, {}, []))[0].boxes == ()


def test_what_is_done_to_a_part_of_a_partition_is_drawn_there() -> None:
    rows_ = [{"name": "super", "start_sector": 0, "sectors": 1000}]
    marks = [Mark(0, 100, 100, "write", "super"), Mark(0, 201, 99, "write", "super"),
             Mark(0, 700, 100, "erase", "super"), Mark(0, 999, 1, "read", "super")]  # fmt: skip
    (lun,) = storage.luns(Source(512, {0: 1000}, {0: rows_}, marks))
    (box,) = lun.boxes
    assert box.fate == "write"
    assert box.fills == [(10.0, 20.0, "write"), (70.0, 10.0, "erase"), (99.7, 0.3, "read")]
