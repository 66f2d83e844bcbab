# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's containers, by real ones and by what a writer of its own makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats import lonely
from edl.formats.lonely import Member, Step
from tests.conftest import shared
from tests.packages import motos

TWO = motos.container({"one": b"1" * 4097, "two\x1b": b"", "index.xml": b"x"})


def members(data: bytes) -> dict[str, Member]:
    return lonely.members(lambda at, size: data[at : at + size], len(data))


def test_members_lie_behind_one_another() -> None:
    found = members(TWO)
    assert [(each.name, each.size_bytes) for each in found.values()] == [
        ("one", 4097),
        ("two?", 0),
        ("index.xml", 1),
    ]
    assert found["one"].offset == 512
    assert found["two?"].offset == 512 + 8192 + 256
    assert TWO[found["index.xml"].offset :][:1] == b"x"


@pytest.mark.parametrize(
    "name", ["msm8917-moto-perry", "msm8953-moto-ali", "msm8953-moto-potter", "sdm632-moto-channel"]
)
def test_a_real_one(name: str) -> None:
    data = shared(f"corpus/{name}/gpt.bin").read_bytes()
    found = members(data)
    assert found.keys() == {"gpt.default.xml", "gpt_main0.bin", "gpt.pkg.xml", "index.xml"}
    assert found["gpt_main0.bin"].size_bytes == 32768
    assert data[found["gpt_main0.bin"].offset + 512 :].startswith(b"EFI PART")

    def text(name: str) -> bytes:
        return data[found[name].offset :][: found[name].size_bytes]

    (offer,) = lonely.offers(text("index.xml"))
    assert (offer.protocol, offer.filename) == ("fastboot", "gpt.pkg.xml")
    assert offer.chip in {"MSM8917", "MSM8953"}
    parts = lonely.parts(text("gpt.pkg.xml"), "gpt.pkg.xml")
    assert parts == lonely.Parts(("gpt.default.xml",), ())
    (step,) = lonely.recipe(text("gpt.default.xml"), "gpt.default.xml")
    assert step == Step("flash", "partition:0", "gpt_main0.bin", 3)
    assert step.lun == 0


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "its first bytes are others"),
        (b"SINGLE_N_LONEL", "its first bytes are others"),
        (TWO[:300], "cut off: its end mark"),
        (TWO[:-256], "cut off: its end mark"),
        (TWO[:1000], "'one' would go on behind"),
        (TWO.replace(b"two", b"one").replace(b"\x1b", b"\0"), "'one' is one member too many"),
        (motos.container({f"{n}": b"" for n in range(513)}), "'512' is one member too many"),
        (motos.container({"": b""}).replace(b"\0" * 8 + b"LON", b"\xff" * 8 + b"LON"), "'\\?' wou"),
    ],
)
def test_damaged_ones_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        members(data)


@given(st.integers(256, len(TWO) - 1), st.binary(min_size=1, max_size=16))
def test_members_lie_inside_whatever_is_changed(at: int, change: bytes) -> None:
    data = TWO[:at] + change + TWO[at + len(change) :]
    try:
        found = members(data)
    except DocumentError:
        return
    assert all(each.offset + each.size_bytes <= len(data) for each in found.values())


def test_packages_and_recipes() -> None:
    index = b"""<index><board id="440" name="x"/>
      <package compatible="other protocol:qboot" filename="pkg.xml"/><package/></index>"""
    assert lonely.offers(index) == (lonely.Offer("pkg.xml", "qboot", ""),)
    data = b'<package><programmer filename="p.elf"/><recipe filename="r.xml"/><recipe/></package>'
    assert lonely.parts(data, "pkg.xml") == lonely.Parts(("r.xml",), ("p.elf",))
    recipe = b'<recipe>\n<erase partition="cache"/>\n<print what="x"/></recipe>'
    steps = lonely.recipe(recipe, "r.xml")
    assert steps == (Step("erase", "cache", "", 2), Step("print", "", "", 3))
    assert steps[0].lun is None
    assert Step("flash", "gpt:5", "x", 1).lun == 5
    assert Step("flash", "partition", "x", 1).lun == 0
    assert Step("flash", "partition:8", "x", 1).lun is None


@pytest.mark.parametrize(
    ("parser", "data", "why"),
    [
        (lonely.offers, b"<index/>", "offers no package"),
        (lonely.parts, b"<package/>", "names no recipe"),
        (lonely.recipe, b"<data/>", "no recipe, but a <data>"),
        (lonely.recipe, b"<recipe><flash filename='a'/></recipe>", "<flash> without"),
        (lonely.recipe, b"<recipe><flash partition='a'/></recipe>", "<flash> without"),
        (lonely.recipe, b"<recipe><erase/></recipe>", "<erase> without"),
        (lonely.recipe, b"<recipe>", "malformed"),
    ],
)
def test_documents_that_say_too_little(parser: object, data: bytes, why: str) -> None:
    assert callable(parser)
    with pytest.raises(DocumentError, match=why):
        parser(data, "x.xml")
