# SPDX-License-Identifier: BSD-3-Clause
"""flashfile.xml and servicefile.xml of Motorola."""

from __future__ import annotations

import re

import pytest

from edl.errors import DocumentError
from edl.formats.flashfile import Digest, Flashfile, is_flashfile, read_flashfile
from tests.conftest import shared


def read(*steps: str, header: str = "") -> Flashfile:
    text = f"<flashing>{header}\n<steps>\n{chr(10).join(steps)}\n<other/></steps></flashing>"
    return read_flashfile(text.encode(), "flashfile.xml")


def test_a_real_one() -> None:
    data = shared("corpus/msm8953-moto-potter/servicefile.xml").read_bytes()
    assert is_flashfile(data)
    found = read_flashfile(data, "servicefile.xml")
    assert found.model == "potter"
    assert found.version.startswith("potter-user 8.1.0 OPSS28.85-17-6")
    assert found.facts == (("max-sparse-size", "268435456"),)
    assert [step.operation for step in found.steps[:3]] == ["getvar", "oem", "flash"]
    assert found.steps[1].var == "fb_mode_set"
    table = found.steps[2]
    assert (table.partition, table.filename, table.line) == ("partition", "gpt.bin", 14)
    assert table.digest == Digest("md5", "e83cd025409a6f8675abe0043954c088")
    erased = [step.partition for step in found.steps if step.operation == "erase"]
    assert erased == ["modemst1", "modemst2", "DDR"]


def test_all_real_ones_are_read_in_full() -> None:
    found = sorted(shared("corpus").glob("*moto*/*file.xml*"))
    assert len(found) >= 11
    for path in found:
        text = path.read_text()
        flashfile = read_flashfile(path.read_bytes(), path.name)
        assert len(flashfile.steps) == len(re.findall(r"<step\s", text))
        pieces: dict[str, list[int]] = {}
        for step in flashfile.steps:
            name, chunk, number = step.filename.partition("_sparsechunk.")
            if chunk:
                pieces.setdefault(name, []).append(int(number))
        assert all(numbers == list(range(len(numbers))) for numbers in pieces.values())


def test_pieces_of_one_image_stand_in_the_order_of_their_numbers() -> None:
    names = ["system.img_sparsechunk.10", "system.img_sparsechunk.9", "vendor.img_sparsechunk.1",
             "boot.img", "system.img_sparsechunk2"]  # fmt: skip
    found = read(*(f"<step operation='flash' partition='x' filename='{name}'/>" for name in names))
    names[0], names[1] = names[1], names[0]
    assert [step.filename for step in found.steps] == names


def test_capitals_in_the_names_of_pieces_do_not_matter() -> None:
    names = ["system.img_SparseChunk.10", "system.img_SparseChunk.9"]
    found = read(*(f"<step operation='flash' partition='x' filename='{name}'/>" for name in names))
    assert [step.filename for step in found.steps] == names[::-1]


def test_the_header_is_told() -> None:
    header = """<header><phone_model model="x"/><subsidy_lock_config name="a"/>
      <regulatory_config name="b"/><cid_value value="0x32"/><sparsing enabled="true"/></header>"""
    found = read(header=header)
    assert found.facts == (("subsidy lock", "a"), ("regulatory", "b"), ("cid", "0x32"))
    assert (found.model, found.version, found.steps) == ("x", "", ())


def test_the_strongest_digest_counts() -> None:
    md5, sha1, sha256 = "A" * 32, "b" * 40, "c" * 64
    line = f"<step operation='flash' partition='a' filename='b' MD5='{md5}' "
    assert read(f"{line}/>").steps[0].digest == Digest("md5", "a" * 32)
    assert read(f"{line} SHA1='{sha1}'/>").steps[0].digest == Digest("sha1", sha1)
    assert read(f"{line} SHA256='{sha256}'/>").steps[0].digest == Digest("sha256", sha256)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("<step/>", "3: a step without operation"),
        ("<step operation='flash' filename='a'/>", "3: flash without partition"),
        ("<step operation='flash' partition='a'/>", "3: flash without filename"),
        ("<step operation='erase'/>", "3: erase without partition"),
        ("<step operation='oem' MD5='12'/>", "3: '12' is no MD5"),
        (f"<step operation='oem' MD5='{'x' * 32}'/>", "3: 'x+' is no MD5"),
    ],
)
def test_steps_that_say_too_little(step: str, why: str) -> None:
    with pytest.raises(DocumentError, match=f"flashfile.xml:{why}"):
        read(step)


def test_other_documents_are_refused() -> None:
    assert not is_flashfile(b"<data><flashings/></data>")
    with pytest.raises(DocumentError, match="no <flashing>, but a <data>"):
        read_flashfile(b"<data/>", "flashfile.xml")
