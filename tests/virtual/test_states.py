# SPDX-License-Identifier: BSD-3-Clause
"""States and other changes of a virtual phone that a command line can name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import usb.core

from edl.errors import ImageError, UsageError
from edl.virtual.bootrom import CommandMode
from edl.virtual.phone import Phone
from edl.virtual.profiles import parse_spec
from edl.virtual.saved import FILE_NAME, State
from edl.virtual.states import CONDITIONS
from edl.virtual.storage import Extent
from tests.virtual.handmade import HELLO, HELLO_RESP, Client, find

RESET = bytes.fromhex("0700000008000000")
RESET_RESP = bytes.fromhex("0800000008000000")


@pytest.mark.parametrize("state", CONDITIONS)
def test_the_keys_end_every_state(state: str) -> None:
    with Phone.create(f"sdm660,state={state}") as phone:
        phone.enter_edl()
        said = Client(phone).read()
        assert said[:8] == HELLO[:8]
        assert (said == HELLO) == (state != "says-crash")


@pytest.mark.parametrize(
    ("state", "running"),
    [
        ("hello-eaten", State.BOOT_ROM),
        ("stuck-write", State.PROGRAMMER),
        ("mute", State.HUNG),
        ("crash-dump", State.BOOT_ROM),
    ],
)
def test_what_runs_in_a_state(state: str, running: State) -> None:
    with Phone.create(f"qcm2290,state={state}") as phone:
        assert phone.state is running


def test_a_crashed_phone_has_ids_of_its_own_until_it_starts_over() -> None:
    with Phone.create("sdm660,state=crash-dump") as phone:
        device = usb.core.find(backend=phone.backend)
        assert (device.idVendor, device.idProduct) == (0x05C6, 0x900E)
        assert bytes(device.read(0x81, 512))[20:24] == b"\2\0\0\0"  # memory debug
        phone.enter_edl()
        device = find(phone)
        assert device is not None
        assert device.idProduct == 0x9008


@pytest.mark.parametrize("state", ["mid-image", "refused", "command-mode", "stuck-write", "mute"])
def test_a_lasting_state_outlives_the_process(tmp_path: Path, state: str) -> None:
    with Phone.create(f"sdm660,state={state}", tmp_path) as phone:
        assert Client(phone).read() == b""
    assert json.loads((tmp_path / FILE_NAME).read_text())["condition"] == state
    with Phone.open(tmp_path) as phone:
        assert Client(phone).read() == b""
        phone.enter_edl()
    with Phone.open(tmp_path) as phone:
        assert Client(phone).read() == HELLO


@pytest.mark.parametrize("state", ["stale-answer", "stale-read"])
def test_what_was_read_is_not_said_again(tmp_path: Path, state: str) -> None:
    with Phone.create(f"sdm660,state={state}", tmp_path):
        pass
    with Phone.open(tmp_path) as phone:
        client = Client(phone)
        assert client.read().startswith(b"<?xml")
    with Phone.open(tmp_path) as phone:
        assert phone.state is State.PROGRAMMER
        assert Client(phone).read() == b""


def test_a_phone_that_was_saved_without_a_state_has_none(tmp_path: Path) -> None:
    with Phone.create("sdm660", tmp_path):
        pass
    path = tmp_path / FILE_NAME
    content = json.loads(path.read_text())
    del content["condition"]
    path.write_text(json.dumps(content))
    with Phone.open(tmp_path) as phone:
        assert Client(phone).read() == HELLO
    path.write_text(json.dumps({**content, "condition": "nonsense"}))
    with pytest.raises(ImageError, match="there is no state 'nonsense'"):
        Phone.open(tmp_path)


def test_a_boot_rom_that_refuses_only_at_its_first_start() -> None:
    with Phone.create("sdm660,refuse=0x21:1") as phone:
        for answer in ("21000000", None):
            client = Client(phone)
            assert client.read() == HELLO
            client.write(HELLO_RESP)
            length = client.read()[24]
            client.write(b"\x7fELF".ljust(length, b"\2"))
            ended = client.read()
            assert (ended[12:16].hex() == answer) == (answer is not None)
            client.write(RESET)
            assert client.read() == RESET_RESP


@pytest.mark.parametrize(
    "text",
    [
        "state=sleepy", "state=", "lock=none", "restricted=0", "restricted=0/1", "programmer=good",
        "sahara=4", "images=", "images=13+x", "images=" + "+".join(["13"] * 17), "questions=maybe",
        "refuse=", "refuse=no", "refuse=0x21:", "refuse=0x21:x",
    ],
)  # fmt: skip
def test_changes_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        parse_spec(f"sdm660,{text}")


def test_changes() -> None:
    spec = parse_spec(
        "sdm660,restricted=0/0+64,restricted=1/2+3,sahara=3,images=33+34+13,questions=silent,"
        "programmer=chatter,refuse=33"
    ).profile
    assert spec.quirks.restricted == (Extent(0, 0, 64), Extent(1, 2, 3))
    assert spec.quirks.chatter_after == 0
    assert (spec.rom.version, spec.rom.short_hello) == (3, False)
    assert spec.rom.image_ids == (33, 34, 13)
    assert spec.rom.command_mode is CommandMode.SILENT
    assert spec.refuses == (33, None)
    assert parse_spec("sdm660,sahara=1").profile.rom.short_hello
