# SPDX-License-Identifier: BSD-3-Clause
"""Devices without flash are started from images; chains of several Sahara rounds."""

from __future__ import annotations

import os
import struct
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.cli import kickstarting
from edl.device.kickstart import End, Kickstart
from edl.errors import (
    AccessError,
    CrashDumpError,
    DeviceGoneError,
    MuteError,
    NoDeviceError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from edl.formats.sahara_config import write_sahara_config
from edl.transport import node, serial
from loaders.images import plain_elf
from tests.cli.conftest import LOADER, Edl
from tests.cli.test_json import held
from tests.phones import Script

OPEN = f"qcm2290,size=16MiB,pkhash={'0' * 64}"
MODEM = f"{OPEN},flashless=yes,images=21+2+6"
IDS = (2, 6, 21)
# In which order an SM8850 asks: 59 comes first (strongtz/edl-ng#29), 38 before 13 (sahara.md T7)
SM8850 = (59, 36, 37, 61, 60, 21, 38, 13)
HELLO = struct.pack("<6I", 1, 48, 2, 1, 1024, 0) + bytes(24)


def image(number: int) -> bytes:
    return plain_elf(b"image %d" % number * 900, bits=64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in IDS:
        (folder / f"{number}_part.mbn").write_bytes(image(number))
    (folder / "readme.txt").write_text("no image")
    return folder


# -- whole starts ---------------------------------------------------------------------------------


def test_a_modem_starts_from_a_folder(edl: Edl, folder: Path) -> None:
    result = held(edl("--json", "--virtual", MODEM, "ks", folder), "ks")
    assert result.status == 0
    assert [row["id"] for row in result.last["images"]] == [21, 2, 6]
    assert result.last["images"][0]["file"] == "21_part.mbn"
    assert result.last["end"] == "complete"
    assert result.last["training_bytes"] == 0
    shown = edl("--virtual", MODEM, "ks", folder)
    assert (
        "The device has ended the session: it has said that this was the last image." in shown.out
    )


def test_a_modem_that_has_started_is_gone(edl: Edl, folder: Path, tmp_path: Path) -> None:
    phone = tmp_path / "modem"
    assert edl("virtual", "new", phone, MODEM).status == 0
    assert edl("--virtual", phone, "ks", folder).status == 0
    assert edl("--virtual", phone, "ks", folder).status == 3


def test_lists_configurations_and_archives_say_which_image_is_which(
    edl: Edl, folder: Path, tmp_path: Path
) -> None:
    lists = ("-s", f"21:{folder}/21_part.mbn,2:{folder}/2_part.mbn", "-s", f"6:{folder}/6_part.mbn")
    assert edl("--virtual", MODEM, "ks", *lists).status == 0
    paths = {number: f"{number}_part.mbn" for number in IDS}
    (folder / "any.xml").write_bytes(write_sahara_config(paths))
    for source in (folder, folder / "any.xml"):
        assert edl("--virtual", MODEM, "ks", source).status == 0
    (folder / "other.xml").write_bytes(write_sahara_config(paths))
    several = edl("--virtual", MODEM, "ks", folder)
    assert several.status == 2
    assert "several sahara_config files: any.xml, other.xml" in several.err
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "2").write_bytes(image(2))
    twice = edl("--virtual", MODEM, "ks", folder / "any.xml", tmp_path / "one")
    assert twice.status == 2
    assert "Image 2 is given twice" in twice.err


def test_a_list_goes_before_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    images = kickstarting.collect([str(folder)], [f"0x02:{tmp_path}/new"])
    assert images.data == {2: b"new", 6: image(6), 21: image(21)}
    assert images.names[2] == f"{tmp_path}/new"


def test_files_that_firmware_calls_so_are_known(tmp_path: Path) -> None:
    (tmp_path / "sequencer_ram.elf").write_bytes(b"59")
    (tmp_path / "0x26.elf").write_bytes(b"38")
    (tmp_path / "999_x").write_bytes(b"no id")
    assert kickstarting.collect([str(tmp_path)], []).data == {59: b"59", 38: b"38"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "There is no image to give"),
        (("nowhere",), 7, "nowhere cannot be read"),
        (("images/readme.txt",), 7, "no set of images"),
        (("empty",), 7, "has no images that say their Sahara id"),
        (("-s", "21"), 2, "'21' is not ID:FILE"),
        (("-s", "x:images/readme.txt"), 2, "is not ID:FILE"),
        (("-s", "128:images/readme.txt"), 2, "from 1 to 127"),
        (("-s", "1:images/nothing"), 7, "cannot be read"),
        (("-s", "1:zero"), 7, "zero is empty"),
        (("-s", "1:big"), 7, "is larger than"),
        (("images", "-p", "/dev/x", "--port", "/dev/y"), 2, "two ports"),
    ],
)
def test_what_is_no_set_of_images(
    edl: Edl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kickstarting, "MAX_IMAGE_BYTES", 20)
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero").touch()
    (tmp_path / "big").write_bytes(bytes(21))
    result = edl("ks", *arguments)
    assert result.status == status
    assert words in result.err


# -- what devices do ------------------------------------------------------------------------------


def test_an_image_that_is_missing_is_told_with_those_that_are_there(edl: Edl, folder: Path) -> None:
    result = edl("--virtual", f"{MODEM},images=21+38", "ks", folder)
    assert result.status == 6
    assert "asks for image 38, which was not given (given: 2, 6, 21)" in result.err
    assert "-s 38:FILE; it is mostly called xbl_config_devprg.elf" in result.err
    training = edl("--virtual", f"{MODEM},images=34", "ks", folder)
    assert "which --training FILE keeps at an earlier start" in training.err


def test_an_image_that_is_refused(edl: Edl, folder: Path) -> None:
    (folder / "2_part.mbn").write_bytes(b"no ELF at all" * 100)
    result = edl("--virtual", MODEM, "ks", folder)
    assert result.status == 6
    assert "The phone refused image 2: " in result.err


def test_training_data_is_kept_if_asked_for(edl: Edl, folder: Path, tmp_path: Path) -> None:
    modem = f"{MODEM},flashless=training"
    kept = tmp_path / "mdmddr.mbn"
    result = edl("--json", "--virtual", modem, "ks", folder, "--training", kept)
    assert result.status == 0
    assert kept.read_bytes() == bytes(range(256)) * 40
    assert result.last["training_bytes"] == 10240
    without = edl("--json", "--virtual", modem, "ks", folder)
    assert (without.status, without.last["training_bytes"]) == (0, 0)


def test_a_device_that_does_not_greet_is_woken(edl: Edl, folder: Path) -> None:
    result = edl("--virtual", f"{MODEM},fault=hello-eaten", "ks", folder)
    assert result.status == 0, result.err
    assert "knocking" in result.err


def test_a_crashed_device_is_left_alone(edl: Edl, folder: Path) -> None:
    result = edl("--virtual", "qcm2290,size=16MiB,crash=plain", "ks", folder)
    assert result.status == 3
    assert "edl ramdump -o DIR" in result.err


@pytest.mark.parametrize("fault", ["unplug@out:9000", "freeze@out:9000"])
def test_a_device_that_stops_in_the_middle(edl: Edl, folder: Path, fault: str) -> None:
    result = edl("--virtual", f"{MODEM},fault={fault}", "ks", folder)
    assert result.status == 4


def test_a_device_that_leaves_between_two_images_is_found_again(
    edl: Edl, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    result = edl("--virtual", f"{MODEM},fault=reset@in-transfer:6:edl", "ks", folder)
    assert result.status == 0, result.err
    assert "comes back on the bus for the next image" in result.err


def test_the_chain_of_eight_images_starts_a_programmer(edl: Edl, tmp_path: Path) -> None:
    names = {number: f"part{number}.elf" for number in SM8850}
    for number, name in names.items():
        data = LOADER.read_bytes() if number == 13 else image(number)
        (tmp_path / name).write_bytes(data)
    config = tmp_path / "qsahara_device_programmer.xml"
    config.write_bytes(write_sahara_config(names))
    phone = f"{OPEN},sahara=3,images={'+'.join(map(str, SM8850))}"
    result = edl("--virtual", phone, "--loader", config, "nop")
    assert result.status == 0, result.err
    assert [f"image {number} sent" in result.err for number in SM8850] == [True] * 8
    (tmp_path / names[38]).unlink()
    missing = edl("--virtual", phone, "--loader", config, "nop")
    assert missing.status == 7
    assert "part38.elf (image 38)" in missing.err
    del names[38]
    config.write_bytes(write_sahara_config(names))
    asked = edl("--virtual", phone, "--loader", config, "nop")
    assert asked.status == 6
    assert "image 38 is mostly called xbl_config_devprg.elf" in asked.err


# -- sessions -------------------------------------------------------------------------------------


class Leaves(Script):
    """A script whose device leaves the bus at its end."""

    def read(self, timeout_s: float) -> memoryview:
        try:
            return super().read(timeout_s)
        except TransportTimeoutError:
            raise DeviceGoneError("It left.") from None


def ask(number: int, offset: int = 0, length: int = 4) -> bytes:
    return struct.pack("<5I", 3, 20, number, offset, length)


def ended(number: int) -> bytes:
    return struct.pack("<4I", 4, 16, number, 0)


PENDING, COMPLETE = struct.pack("<3I", 6, 12, 0), struct.pack("<3I", 6, 12, 1)
TWO = {2: b"two!", 6: b"six!"}


def test_a_device_may_leave_after_an_image_and_come_back_for_the_next() -> None:
    first = Leaves(HELLO, ask(2), ended(2), PENDING)
    second = Script(HELLO, ask(6), ended(6), COMPLETE)
    served = Kickstart(first, TWO, reopen=lambda: second).run()
    assert (served.end, served.images) == (End.COMPLETE, {2: 4, 6: 4})
    assert b"two!" in first.written
    assert b"six!" in second.written


def test_a_device_may_leave_to_start() -> None:
    def gone() -> Script:
        raise NoDeviceError("It did not come back.")

    for reopen in (None, gone):
        served = Kickstart(Leaves(HELLO, ask(2), ended(2)), TWO, reopen=reopen).run()
        assert served.end is End.LEFT
    with pytest.raises(DeviceGoneError):
        Kickstart(Leaves(HELLO, ask(2)), TWO).run()


def test_silence_ends_well_only_after_the_only_image() -> None:
    said = (HELLO, ask(2), ended(2), PENDING)
    assert Kickstart(Script(*said), {2: b"two!"}).run().end is End.SILENT
    with pytest.raises(MuteError, match="has taken image 2, says that more follow"):
        Kickstart(Script(*said), TWO).run()
    with pytest.raises(MuteError, match="in the middle of image 2"):
        Kickstart(Script(HELLO, ask(2)), TWO).run()
    with pytest.raises(MuteError, match="it asks for nothing"):
        Kickstart(Script(), TWO).run()


def test_other_ends() -> None:
    xml = b'<?xml version="1.0" ?><data><log value="hello"/></data>'
    assert Kickstart(Script(HELLO, ask(2), ended(2), xml), TWO).run().end is End.SPEAKS
    crashed = HELLO[:20] + struct.pack("<I", 2) + HELLO[24:]
    offer = struct.pack("<4I", 9, 16, 0x1000, 104)
    for said in (crashed, offer):
        with pytest.raises(CrashDumpError):
            Kickstart(Script(said), TWO).run()
    stale = struct.pack("<2I", 8, 8)
    assert Kickstart(Script(stale, HELLO, ask(2), ended(2), COMPLETE), TWO).run().images == {2: 4}
    with pytest.raises(ProtocolError, match="without end"):
        Kickstart(Script(*[HELLO, ask(2)] * 100), TWO).run()


def test_a_device_without_training_data_has_none() -> None:
    ready, wants = struct.pack("<2I", 11, 8), HELLO[:20] + struct.pack("<I", 3) + HELLO[24:]
    refusal = struct.pack("<4I", 4, 16, 2, 0x1F)
    kept: list[bytes] = []
    script = Script(wants, ready, refusal, HELLO, ask(2), ended(2), COMPLETE)
    assert Kickstart(script, TWO, keep=kept.append).run().end is End.COMPLETE
    assert kept == []


# -- device nodes ---------------------------------------------------------------------------------


@pytest.fixture
def channel() -> Iterator[tuple[int, str]]:
    """Return our end of a channel, and the name of the other end, which is a file."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_node_is_no_terminal(channel: tuple[int, str], tmp_path: Path) -> None:
    assert node.is_node("/dev/null")
    assert not node.is_node(channel[1])
    assert not node.is_node(str(tmp_path))
    assert not node.is_node(str(tmp_path / "nothing"))
    assert not node.is_node("a\0b")


def test_bytes_over_a_node(channel: tuple[int, str]) -> None:
    ours, name = channel
    transport = node.NodeTransport(name)
    with pytest.raises(TransportTimeoutError, match="did not answer"):
        transport.read(0)
    os.write(ours, b"hello")
    assert bytes(transport.read(1)) == b"hello"
    transport.write(b"answer", 1)
    assert os.read(ours, 100) == b"answer"
    with pytest.raises(TransportTimeoutError, match="takes no data") as caught:
        transport.write(bytes(1 << 20), 0.01)
    assert 0 < caught.value.done_bytes < 1 << 20
    transport.close()
    transport.close()


def test_a_node_that_ends_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = node.NodeTransport("/dev/null")
    with pytest.raises(DeviceGoneError, match="has closed"):
        transport.read(1)
    for number, kind in ((5, DeviceGoneError), (22, TransportError)):

        def fail(*_: object, number: int = number) -> int:
            raise OSError(number, "no")

        monkeypatch.setattr(os, "readv", fail)
        monkeypatch.setattr(os, "write", fail)
        with pytest.raises(kind):
            transport.read(1)
        with pytest.raises(kind):
            transport.write(b"x", 1)
    transport.close()


def test_nodes_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoDeviceError):
        node.NodeTransport("/dev/there-is-no-such-node")
    for number, kind in ((13, AccessError), (5, TransportError)):

        def fail(*_: object, number: int = number) -> int:
            raise OSError(number, "no")

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", fail)
            with pytest.raises(kind):
                node.NodeTransport("/dev/null")


def test_a_node_is_served(edl: Edl, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(HELLO, ask(2), ended(2), COMPLETE)
    monkeypatch.setattr(node, "NodeTransport", lambda _: script)
    result = edl("ks", "-p", "/dev/null", folder)
    assert result.status == 0, result.err
    assert "a device at /dev/null" in result.err
    assert b"\x7fELF" in script.written
    monkeypatch.setattr(serial, "named", serial.FoundPort)
    assert edl("ks", "--port", "/dev/pts/nothing", folder).status == 3
