# SPDX-License-Identifier: BSD-3-Clause
"""Sessions without the command line: what phones refuse by themselves, and scripted answers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.device import connect
from edl.device.phone import Phone, Wishes
from edl.errors import (
    CancelledError,
    DeviceGoneError,
    DeviceRefusedError,
    DigestMismatchError,
    InterruptedUploadError,
    ProtocolError,
    StoppedMidwayError,
    TransportTimeoutError,
    VipRefusedError,
    WriteFailedError,
)
from edl.firehose.commands import Area
from edl.formats.digesttable import Tables, make_tables, read_tables
from edl.plan.model import ReadOut
from edl.transport import Buffer
from edl.vip import words
from edl.vip.check import Checking, compare, record
from edl.vip.recorder import Recorder
from edl.vip.script import Order, Script, Settings, Transfer
from edl.vip.session import Noting, Session
from edl.virtual.programmer import validation
from edl.virtual.verifier import Fuses
from loaders.images import signed_table
from tests.phones import Bench, plug
from tests.phones import Script as Scripted
from tests.vip import phones

ACK = b'<?xml version="1.0"?><data><response value="ACK" rawmode="false" /></data>'
RAW = ACK.replace(b"false", b"true")
NAK = ACK.replace(b"ACK", b"NAK")
SIZE = {kind: 3 * payload // 2 // 512 * 512 for kind, payload in phones.PAYLOADS.items()}


def script(payload: int, *orders: Order) -> Script:
    settings = Settings("emmc", payload)
    first = Order("configure", words.configure("emmc", payload))
    return Script(settings, (first, *orders))


def program(data: bytes, title: str = "boot") -> Order:
    xml = words.program(0, "64", len(data) // 512, 512, f"{title}.img")
    return Order("program", xml, title, "a.xml:3", BytesContent(data), f"{title}.img", 0, 0, 512)


def tables(kind: str, made: Script) -> Tables:
    unsigned = make_tables(record(made).digests)
    signed = signed_table(phones.RECIPES[kind], unsigned.to_sign)
    return read_tables(signed, unsigned.chained)


class Blind(Checking):
    """A gate that lets everything through: the phone must notice by itself."""

    def admit(self, transfer: Transfer, data: bytes) -> None:
        if self._left:
            self._left.pop(0)


def start(bench: Bench) -> Phone:
    return connect.start_programmer(
        bench.open(), bench.loader, Wishes(), bench.events.append, reopen=bench.open
    )


@pytest.fixture(params=phones.RECIPES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bench(kind: str) -> Iterator[Bench]:
    with plug(f"{kind},lock=vip,size=2MiB") as plugged:
        yield plugged


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


REFUSED = {
    "msm8916": "ERROR: Hash value mismatch. Rejecting this packet.",
    "msm8953": "ERROR: Hash value mismatch. Rejecting this packet.",
    "sdm660": "Rejecting this packet. See log",
    "qcm2290": "ERROR: Hash of data doesn't match the expected hash ",
}


@pytest.mark.parametrize("which", ["command", "data", "longer", "more"])
def test_the_phone_hashes_everything_by_itself(bench: Bench, kind: str, which: str) -> None:
    data = b"\x5a" * SIZE[kind]
    good = script(phones.PAYLOADS[kind], program(data), program(bytes(512), "abl"))
    bad = list(good.orders)
    match which:
        case "command":
            bad[1] = replace(bad[1], xml=bad[1].xml.replace(b'"64"', b'"65"'))
        case "data":
            bad[1] = replace(bad[1], content=BytesContent(changed(data)))
        case "longer":
            bad[2] = program(bytes(1024), "abl")
        case "more":
            bad.append(program(bytes(512), "xbl"))
    phone = start(bench)
    assert any("alidat" in line or "VIP" in line for line in phone.programmer.signs)
    session = Session(phone.transport, Blind(tables(kind, good)))
    with pytest.raises(VipRefusedError) as caught:
        session.carry_out(replace(good, orders=tuple(bad)))
    text = " ".join(caught.value.device_log)
    exhausted = which == "more" and kind != "qcm2290"
    assert ("No more hashes to validate" if exhausted else REFUSED[kind]) in text
    held = bench.flash.read(0, 0, 4096)
    assert changed(data)[-512:] not in held
    assert any(held) is (which != "command" and SIZE[kind] > phones.PAYLOADS[kind])
    assert "may be incomplete" in caught.value.state


def test_the_phone_takes_only_the_table_that_is_due(bench: Bench, kind: str) -> None:
    orders = [Order("nop", words.document("nop", {"value": number})) for number in range(400)]
    good = script(phones.PAYLOADS[kind], *orders)
    right = tables(kind, good)
    swapped = replace(right, tables=(right.tables[0], *reversed(right.tables[1:])))
    session = Session(start(bench).transport, Blind(swapped))
    with pytest.raises(VipRefusedError, match="digest table 1"):
        session.carry_out(good)
    assert session.report.transfers == 53


def test_a_programmer_that_runs_is_no_beginning() -> None:
    with plug("sdm660,lock=vip", running=True) as bench, pytest.raises(InterruptedUploadError):
        start(bench)


def test_limits_of_the_phones_own_table() -> None:
    fuses = Fuses(hwid=0, pk_hash=b"", secure_boot=False)
    known = validation.Validation(fuses, validation.GENERATION2)
    recipe = phones.RECIPES["msm8916"]
    with pytest.raises(validation.InvalidError, match="more than 54"):
        known.take_table(signed_table(recipe, bytes(55 * 32)))
    with pytest.raises(validation.InvalidError, match="resetting validation state"):
        known.take_table(signed_table(recipe, bytes(33)))
    with pytest.raises(validation.InvalidError, match="No more hashes"):
        known.check(b"")
    assert known.wants_table


# -- scripted phones ----------------------------------------------------------------------------


def carry_out(made: Script, *lines: bytes, cancel: threading.Event | None = None) -> Session:
    session = Session(Scripted(*lines), Noting(), cancel=cancel)
    session.carry_out(made)
    return session


def test_answers_that_end_the_job() -> None:
    made = script(512, program(bytes(1024)))
    with pytest.raises(ProtocolError, match="does not wait for data"):
        carry_out(made, ACK, ACK)
    with pytest.raises(WriteFailedError):
        carry_out(made, ACK, RAW, _log("Write failed Sector 64, Errno 5") + NAK)
    with pytest.raises(DeviceRefusedError):
        carry_out(made, ACK, NAK)
    with pytest.raises(TransportTimeoutError):
        carry_out(made, ACK, RAW)


def _log(text: str) -> bytes:
    return f'<?xml version="1.0"?><data><log value="{text}" /></data>'.encode()


def test_the_phone_leaves_before_it_answers() -> None:
    class Leaving(Scripted):
        def read(self, timeout_s: float) -> memoryview:
            if self.taken == 2:
                raise DeviceGoneError("it left")
            return super().read(timeout_s)

    orders = (Order("power", words.document("power", {"value": "reset"})),)
    Session(Leaving(ACK), Noting()).carry_out(script(512, *orders))
    orders = (Order("patch", words.document("patch", {"value": "1"})),)
    with pytest.raises(DeviceGoneError):
        Session(Leaving(ACK), Noting()).carry_out(script(512, *orders))


def test_stopping() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        carry_out(script(512), ACK, cancel=cancel)

    class Stopping(Noting):
        def admit(self, transfer: Transfer, data: bytes) -> None:
            if transfer.offset == 512:
                cancel.set()

    cancel.clear()
    orders = (program(bytes(1024)), program(bytes(512), "abl"))
    session = Session(Scripted(ACK, RAW, ACK), Stopping(), cancel=cancel)
    with pytest.raises(StoppedMidwayError) as caught:
        session.carry_out(script(512, *orders))
    assert "2 of 3 orders are done" in caught.value.state


def read_order(path: Path) -> Order:
    xml = words.read(0, "8", 2, 512, path.name)
    step = ReadOut(Area(0, 8, 2, 512), path, "nvram", "a.xml:4")
    return Order("read", xml, "nvram", "a.xml:4", reads=1024, sector_bytes=512, step=step)


def test_reading(tmp_path: Path) -> None:
    made = script(512, read_order(tmp_path / "nvram.bin"))
    done = carry_out(made, ACK, RAW, b"\1" * 1024, _log("bye"), ACK)
    assert (tmp_path / "nvram.bin").read_bytes() == b"\1" * 1024
    assert done.report.files == [str(tmp_path / "nvram.bin")]
    with pytest.raises(ProtocolError, match="sends no data"):
        carry_out(made, ACK, ACK)
    with pytest.raises(DeviceRefusedError):
        carry_out(made, ACK, RAW, b"\1" * 1024, NAK)
    recorder = Recorder()
    Session(recorder, Noting(), keep=False).carry_out(made)
    assert len(recorder.digests) == 2
    with pytest.raises(TransportTimeoutError):
        recorder.read(0)


def test_digests_that_the_phone_tells() -> None:
    order = Order("getsha256digest", words.digest(0, "64", 2, 512), "boot")
    made = script(512, program(bytes(1024)), order)
    told = hashlib.sha256(bytes(1024)).hexdigest()
    before = (ACK, RAW, ACK)
    assert carry_out(made, *before, _log(f"Digest {told}") + ACK).report.confirmed == ["boot"]
    assert carry_out(made, *before, _log(f"Digest {told[::-1]}") + ACK).report.differing == ["boot"]
    for answer in (ACK, NAK):
        assert carry_out(made, *before, answer).report.untold == ["boot"]
    with pytest.raises(VipRefusedError):
        carry_out(made, *before, _log("Rejecting this packet. See log") + NAK)


def test_transfers_are_whole_sectors() -> None:
    transport, order = Scripted(ACK, RAW, ACK), replace(program(bytes(8192)), sector_bytes=4096)
    Session(transport, Noting()).carry_out(script(6144, order))
    assert [len(data) for data in transport.written[2:]] == [4096, 4096]


def test_a_no_in_the_middle_of_the_data() -> None:
    class Blocking(Scripted):
        """Takes two writes, says no, and takes the rest."""

        def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
            if self.taken == 3 and self._lines:
                raise TransportTimeoutError("it is stuck on a log")
            super().write(data, timeout_s, zlp=zlp)

    made = script(512, program(bytes(2048)))
    lines = (ACK, RAW, _log("Hash value mismatch. Rejecting this packet.") + NAK)
    with pytest.raises(VipRefusedError, match=r"boot\.img, bytes 512 to 1023"):
        Session(Blocking(*lines), Noting()).carry_out(made)


def test_what_changes_after_the_comparison_does_not_go_out() -> None:
    made = script(512, program(bytes(1024)))
    gate = Checking(tables("msm8916", made))
    late = replace(made, orders=(made.orders[0], program(bytes(1023) + b"\1")))
    transport = Scripted(ACK, ACK, RAW)
    with pytest.raises(DigestMismatchError, match="bytes 512 to 1023"):
        Session(transport, gate).carry_out(late)
    assert transport.taken == 4
    more = replace(made, orders=(*made.orders, *made.orders))
    with pytest.raises(VipRefusedError, match="used up"):
        Session(Scripted(ACK, ACK, RAW, ACK), Checking(tables("msm8916", made))).carry_out(more)


def test_tables_of_a_stranger() -> None:
    made = script(512, program(bytes(1024)))
    strange = replace(made, orders=(Order("configure", b"<data><configure /></data>"),))
    found = compare(record(made), tables("msm8916", strange), made.settings)
    assert "by another program" in found[0].remedy
    assert found[-1].message == "The job takes 4 transfers, the tables are for 1 transfer."
