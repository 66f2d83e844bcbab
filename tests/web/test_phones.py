# SPDX-License-Identifier: BSD-3-Clause
"""Which phones there are, how each is chosen, and that looking for them costs little."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edl import sysfs
from edl.errors import TransportError, UsageError
from edl.transport import discovery, serial
from edl.transport.serial import FoundPort
from edl.virtual.phone import Phone
from edl.web import virtual
from edl.web.phones import Phones, Place
from tests.web.conftest import ONE, TWO

SMALL = "qcm2290,size=4MiB"


def found(location: str = "1-4", **more: Any) -> Any:  # noqa: ANN401
    """Return a phone as the bus shows it."""
    usual = {"location": location, "serial": "1a2b3c4d", "mode": "edl", "chip": None,
             "problem": None}  # fmt: skip
    return SimpleNamespace(**(usual | more))


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of what is on the bus; ports stand there with their names."""
    there: list[Any] = []
    monkeypatch.setattr(sysfs, "is_bare", lambda: False)
    monkeypatch.setattr(sysfs, "shape", lambda: None)
    monkeypatch.setattr(discovery, "find", lambda: [x for x in there if x.__class__ != FoundPort])
    monkeypatch.setattr(
        serial, "find_ports", lambda: [x for x in there if isinstance(x, FoundPort)]
    )
    return there


def test_phones_on_usb_and_on_ports(bus: list[Any]) -> None:
    bus += [
        found(), found("2-1.3", serial=None, mode="crash dump", chip="0007b0e1"),
        found("3-1", serial=None, problem="access denied"),
        FoundPort("COM5"), FoundPort("/dev/ttyUSB0", location="1-4"),
        FoundPort("/dev/ttyUSB1", product="QUSB_BULK_SN:AB", location="3-1"),
    ]  # fmt: skip
    phones = Phones()
    assert phones.look()
    assert not phones.look()  # nothing is new
    rows = {row["id"]: row for row in phones.data()}
    assert list(rows) == ["usb 1-4", "usb 2-1.3", "usb 3-1", "port COM5", "port /dev/ttyUSB1"]
    assert rows["usb 1-4"] == {
        "id": "usb 1-4", "place": "1-4", "serial": "1a2b3c4d", "mode": "edl", "chip": "",
        "problem": "", "virtual": False, "job": None, "identity": None,
    }  # fmt: skip
    assert (rows["usb 2-1.3"]["mode"], rows["usb 2-1.3"]["chip"]) == ("crash dump", "0007b0e1")
    assert rows["usb 3-1"]["problem"] == "access denied"

    def words(name: str) -> list[str]:
        place = phones.place(name)
        assert place is not None
        return place.words()

    assert words("usb 1-4") == ["--usb-path=1-4", "--serial=1a2b3c4d"]
    assert words("usb 2-1.3") == ["--usb-path=2-1.3"]
    assert words("port COM5") == ["--port=COM5"]
    assert phones.choose_all() == []
    bus.clear()
    assert phones.look()
    assert phones.data() == []
    assert phones.place("usb 1-4") is None


def test_a_bus_that_cannot_be_looked_at(bus: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Any]:
        raise TransportError("libusb was not found.")

    monkeypatch.setattr(discovery, "find", broken)
    phones = Phones()
    assert phones.look()
    assert (phones.data(), phones.problem) == ([], "libusb was not found.")
    bus.append(FoundPort("COM5"))  # Windows with another driver: no trouble then
    assert phones.look()
    assert ([row["place"] for row in phones.data()], phones.problem) == (["COM5"], "")


@pytest.mark.usefixtures("bus")
def test_a_driver_that_stumbles(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Any]:
        raise OSError("the list cannot be read")

    monkeypatch.setattr(serial, "find_ports", broken)
    phones = Phones()
    assert phones.look()
    assert "the list cannot be read" in phones.problem


def test_a_bare_bus_is_not_asked(bus: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysfs, "is_bare", lambda: True)
    bus.append(found())
    phones = Phones()
    assert not phones.look()


def test_phones_are_asked_again_only_where_the_bus_has_changed(
    bus: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    shape = ["1-4 3"]
    monkeypatch.setattr(sysfs, "shape", lambda: tuple(shape))

    def find() -> list[Any]:
        asked.append(1)
        return list(bus)

    monkeypatch.setattr(discovery, "find", find)
    bus.append(found())
    phones = Phones()
    assert [phones.look(), phones.look(), len(asked)] == [True, False, 1]
    shape[0] = "1-4 4"
    bus[0] = found(problem="access denied")
    assert [phones.look(), len(asked)] == [True, 2]
    bus[0] = found()  # somebody has given the permission
    assert [phones.look(), phones.look(), len(asked)] == [True, False, 3]


def test_a_phone_that_our_own_job_has_is_no_trouble() -> None:
    there = [ONE]
    phones = Phones(look=lambda: list(there))
    phones.look()
    there[0] = Place(ONE.id, ONE.place, problem="it is in use")
    busy: dict[str, str] = {ONE.id: "7"}
    phones.connect(lambda: None, busy.get)
    assert not phones.look()
    row = phones.data()[0]
    assert (row["serial"], row["problem"], row["job"]) == ("1a2b3c4d", "", "7")
    busy.clear()
    assert phones.look()
    assert phones.data()[0]["problem"] == "it is in use"


def test_what_is_known_of_a_phone_leaves_with_it() -> None:
    there = [ONE]
    phones = Phones(look=lambda: list(there))
    busy: dict[str, str] = {}
    phones.connect(lambda: None, busy.get)
    phones.look()
    phones.identified(ONE.id, {"chip": "x"})
    phones.identified("usb 9-9", {"chip": "x"})

    def known() -> object:
        phones.look()
        return next((row["identity"] for row in phones.data()), None)

    assert known() == {"chip": "x"}
    there[0] = Place(ONE.id, ONE.place)  # its programmer does not tell the serial number
    assert known() == {"chip": "x"}
    there[0] = Place(ONE.id, ONE.place, serial="99999999")
    assert known() is None
    there[0] = ONE
    phones.look()
    phones.identified(ONE.id, {"chip": "x"})
    busy[ONE.id] = "1"
    there.clear()
    known()
    there.append(ONE)
    assert known() == {"chip": "x"}  # it has only restarted, in the middle of a job


def test_watching() -> None:
    there = [ONE]
    told = threading.Semaphore(0)
    phones = Phones(look=lambda: list(there))
    phones.connect(told.release, lambda _: None)
    watcher = threading.Thread(target=phones.watch)
    watcher.start()
    assert told.acquire(timeout=20)
    there.append(TWO)
    phones.look_again()
    assert told.acquire(timeout=20)
    phones.close()
    watcher.join(20)
    assert not watcher.is_alive()
    assert [row["place"] for row in phones.data()] == ["1-4", "1-5.2"]


# -- virtual ones ---------------------------------------------------------------------------------


def test_phones_in_folders(tmp_path: Path) -> None:
    folders = virtual.folders(f"{SMALL}*2;{SMALL},state=crash-dump", ["unplug@out:1"], tmp_path)
    assert [folder.parent for folder in folders] == [tmp_path] * 3
    phones = Phones(folders)
    phones.look()
    rows = phones.data()
    assert [row["id"] for row in rows] == ["virtual 1", "virtual 2", "virtual 3"]
    assert [row["mode"] for row in rows] == ["edl", "edl", "crash dump"]
    assert [row["serial"] for row in rows][:2] == ["0be7c001", "0be7c002"]
    assert all(row["virtual"] for row in rows)
    place = phones.place("virtual 2")
    assert place is not None
    assert place.words() == [f"--virtual={folders[1]}"]
    assert phones.choose_all() == ["--virtual=" + ";".join(map(str, folders))]
    with Phone.open(folders[0]) as phone:  # somebody works with it: it is looked at all the same
        phone.unplug()
        assert phones.look()
        assert phones.data()[0]["mode"] == "unplugged"
    (folders[1] / "phone.json").write_text("{")
    assert phones.look()
    row = phones.data()[1]
    assert row["mode"] == "unknown"
    assert "describes no virtual phone" in row["problem"]


def test_phones_that_are_there(tmp_path: Path) -> None:
    Phone.create(SMALL, tmp_path / "a;b").close()
    folders = virtual.folders(str(tmp_path), [], tmp_path / "new")
    assert folders == [tmp_path / "a;b"]
    with pytest.raises(UsageError, match="';'"):
        Phones(folders).choose_all()
    with pytest.raises(UsageError, match="is there already"):
        virtual.folders(str(tmp_path), ["unplug@out:1"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["", ";", "nonsense", "nonsense*3", f"{SMALL}*65", "/nowhere/x"])
def test_no_phones(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        virtual.folders(text, [], tmp_path)


def test_no_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        virtual.folders(SMALL, ["nonsense"], tmp_path)
