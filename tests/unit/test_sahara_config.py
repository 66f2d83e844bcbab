# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.errors import DocumentError
from edl.formats.sahara_config import is_sahara_config, read_sahara_config

# the form that the research notes give for SM8850, with all of its images
KAANAPALI = b"""<?xml version="1.0" encoding="utf-8"?>
<!-- made for tests -->
<sahara_config>
  <chipset>Kaanapali</chipset>
  <images>
    <image image_id="36" image_path="multi_image_qti.mbn"/>
    <image image_id="37" image_path="multi_image.mbn"/>
    <image image_id="21" image_path="xbl_sc.elf"/>
    <image image_id="60" image_path="signed_firmware_soc_view.elf"/>
    <image image_id="59" image_path="sequencer_ram.elf"/>
    <image image_id="61" image_path="tme_config.elf"/>
    <image image_id="0x0D" image_path=" prog_firehose_ddr.elf "/>
    <image image_id="38" image_path="sub\\xbl_config_devprg.elf"/>
  </images>
</sahara_config>
"""


def test_configuration_of_a_chip_with_many_images() -> None:
    config = read_sahara_config(KAANAPALI, "q.xml")
    assert config.chipset == "Kaanapali"
    assert sorted(config.images) == [13, 21, 36, 37, 38, 59, 60, 61]
    assert config.images[13] == "prog_firehose_ddr.elf"
    assert config.images[38] == "sub\\xbl_config_devprg.elf"


def test_chipset_need_not_be_named() -> None:
    data = b'<sahara_config><images><image image_id="1" image_path="a"/></images></sahara_config>'
    assert read_sahara_config(data, "q.xml").chipset == ""


def test_all_that_is_wrong_is_told() -> None:
    data = b"""<sahara_config><images>
<image image_id="0" image_path="a"/>
<image image_id="128" image_path="a"/>
<image image_path="a"/>
<image image_id="13"/>
<image image_id="14" image_path="a"/>
<image image_id="14" image_path="b"/>
</images></sahara_config>"""
    with pytest.raises(DocumentError) as caught:
        read_sahara_config(data, "q.xml")
    assert caught.value.message.splitlines() == [
        "q.xml:2: image_id is no number from 1 to 127.",
        "q.xml:3: image_id is no number from 1 to 127.",
        "q.xml:4: image_id is no number from 1 to 127.",
        "q.xml:5: Image 13 has no image_path.",
        "q.xml:7: Image 14 is there twice.",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<data/>", "no sahara_config, but <data>"),
        (b"<sahara_config/>", "names no images"),
        (b"<sahara_config>", "malformed"),
    ],
)
def test_other_files(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_sahara_config(data, "q.xml")


def test_recognising() -> None:
    assert is_sahara_config(KAANAPALI)
    assert is_sahara_config(b"\xef\xbb\xbf\n<sahara_config/>")
    assert not is_sahara_config(b"<data/>")
    assert not is_sahara_config(b"\x7fELF <sahara_config")
