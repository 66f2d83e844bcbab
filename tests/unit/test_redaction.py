# SPDX-License-Identifier: BSD-3-Clause
"""Private words are out of reports in every form, and what belongs together stays together."""

from __future__ import annotations

import pytest

from edl.cli.redaction import Redactor


def clean(*texts: str, homes: tuple[tuple[str, str], ...] = (), users: tuple[str, ...] = ()) -> str:
    redactor = Redactor(homes, users)
    for text in texts:
        redactor.learn(text)
    return "|".join(redactor.text(text) for text in texts)


def test_a_serial_number_has_one_name_in_all_forms() -> None:
    told = clean(
        "QUSB_BULK_CID:0412_SN:1A2B3C4D", "phone 1a2b3c4d", "0x1A2B3C4D and 439041101",
        "phones/1a2b3c4d/jobs", "data=b'M<+\\x1a')", "> 0d0000004d3c2b1a00", "serial=0x0badcafe",
        "--serial 0BADCAFE", "000000000badcafe", "(0xbadcafe)",
    )  # fmt: skip
    assert told == (
        "QUSB_BULK_CID:0412_SN:SERIAL-1|phone SERIAL-1|SERIAL-1 and SERIAL-1|"
        "phones/SERIAL-1/jobs|data=b'SERIAL-1')|> 0d000000SERIAL-100|serial=SERIAL-2|"
        "--serial SERIAL-2|SERIAL-2|(SERIAL-2)"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("serial number: 1a2b3c4d", "serial number: SERIAL-1"),
        ('"serial": "1a2b3c4d"', '"serial": "SERIAL-1"'),
        ('"serial": 123456789', '"serial": SERIAL-1'),
        ("-S 00c0ffee nop", "-S SERIAL-1 nop"),
        ("serial 00000000", "serial 00000000"),
        ("the serial port", "the serial port"),
        ("IMEI 490154203237518", "IMEI IMEI-1"),
        ("49-015420-323751-8 490154203237518", "IMEI-1 IMEI-1"),
        ("490154203237518, 356938035643809", "IMEI-1, IMEI-2"),
        ("imei=490154203237518;", "imei=IMEI-1;"),
        ("ICCID 8949012345678901234", "ICCID ICCID-1"),
        ("wifi 00:1a:2B:3c:4d:5e 001a2b3c4d5e", "wifi MAC-1 001a2b3c4d5e"),
        ("to jane.doe+edl@example.org!", "to MAIL-1!"),
        ("from 192.168.1.20.", "from ADDRESS-1."),
        ("on 127.0.0.1, libusb 1.0.26.3", "on 127.0.0.1, libusb 1.0.26.3"),
        ("guid 0FC63DAF-8483-4772-8E79-3D69D8477DE4", "guid GUID-1"),
        ("/home/jane/rom /media/jane/x jane", "/home/USER-1/rom /media/USER-1/x USER-1"),
        (r"C:\Users\Jane\rom c:\\users\\jane", r"C:\Users\USER-1\rom c:\\users\\USER-1"),
        ("/Users/jane janet", "/Users/USER-1 janet"),
        ("/home/user/x /home/al/x", "/home/user/x /home/al/x"),
    ],
)
def test_words(text: str, told: str) -> None:
    assert clean(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "HWID 0x001860e100000000, key f0f109acd5853673",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "2026-11-22 11:13:26,961 DEBUG edl.device.sahara: < CommandReady()",
        "16106127360 bytes, sector 31457279, 18446744073709551615",
        "edl-bug-20261122T110308.290734-20127.txt, usb 1-1 3 17 1763809406961123456",
        '{"event": "piece", "lun": 0, "start": 135176, "sectors": 131072}',
    ],
)
def test_what_a_bug_needs_stays(text: str) -> None:
    assert clean(text) == text


def test_folders_and_names_that_are_known() -> None:
    told = clean(
        "/home/jane/.local/share/edl/log /home/jane/rom /home/jane2/x C:\\Users\\jane\\rom",
        '"C:\\\\Users\\\\jane\\\\rom" on deskpod.lan, deskpod',
        homes=(("/home/jane", "HOME"), ("/home/jane/.local/share/edl", "DATA"),
               ("C:\\Users\\jane", "HOME"), ("/", "ROOT")),
        users=("jane", "deskpod.lan", "deskpod", "root", "al"),
    )  # fmt: skip
    assert told == 'DATA/log HOME/rom /home/USER-4/x HOME\\rom|"HOME\\\\rom" on USER-2, USER-3'


def test_what_one_text_tells_counts_for_all() -> None:
    redactor = Redactor()
    assert redactor.text("1a2b3c4d") == "1a2b3c4d"
    redactor.learn("_SN:1A2B3C4D")
    assert redactor.text("1a2b3c4d 11a2b3c4d") == "SERIAL-1 1SERIAL-1"
    redactor.learn("serial 1a2b3c4d, serial 00000017")
    assert redactor.text("00000017 17 100000017") == "SERIAL-2 17 100000017"
    assert redactor.replaced == 2
