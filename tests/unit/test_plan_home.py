# SPDX-License-Identifier: BSD-3-Clause
"""Where a user's data lies, and what earlier runs knew of a phone."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs
import pytest

from edl.errors import EdlError
from edl.identity import PhoneIdentity
from edl.plan.home import home, make_folder, phone_folder, recall, remember

SERIAL = "1a2b3c4d"
IDENTITY = PhoneIdentity(0x1A2B3C4D, 0x000940E100000000, bytes(range(32)), 2, 0x60000001)


def test_the_environment_says_where_data_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data"
    assert phone_folder(SERIAL) == tmp_path / "data/phones/1a2b3c4d"
    assert not home().exists()


@pytest.mark.parametrize("value", [None, ""])
def test_else_the_system_does(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDL_HOME")
    if value is not None:
        monkeypatch.setenv("EDL_HOME", value)
    assert home() == platformdirs.user_data_path("edl", appauthor=False)


@pytest.mark.parametrize("serial", ["../..", "..", ".", "", "a/b", "\\x", "\0", "unknown"])
def test_a_phone_cannot_choose_another_folder(serial: str) -> None:
    folder = phone_folder(serial)
    assert folder.parent == home() / "phones"
    assert folder.resolve() == folder


def test_what_is_known_of_a_phone_is_kept() -> None:
    assert recall(SERIAL) is None
    remember(SERIAL, IDENTITY)
    assert recall(SERIAL) == IDENTITY
    remember(SERIAL, PhoneIdentity(0x1A2B3C4D))
    assert recall(SERIAL) == PhoneIdentity(0x1A2B3C4D)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "7", '"text"', "{}", "\x00", "[" * 50_000, "9" * 50_000,
        json.dumps({"hwid": "1", "pk_hash": None, "sahara_version": 2, "soc_version": 1}),
        json.dumps({"hwid": 1, "pk_hash": None, "sahara_version": [2], "soc_version": 1}),
        json.dumps({"hwid": 1, "pk_hash": "no hex", "sahara_version": 2, "soc_version": 1}),
        json.dumps({"hwid": 1, "pk_hash": 7, "sahara_version": 2, "soc_version": 1}),
        json.dumps({"hwid": 1, "pk_hash": None, "sahara_version": 2}),
    ],
)  # fmt: skip
def test_a_damaged_note_is_as_if_there_were_none(text: str) -> None:
    make_folder(phone_folder(SERIAL)).joinpath("identity.json").write_text(text)
    assert recall(SERIAL) is None


def test_a_note_in_another_encoding_is_as_if_there_were_none() -> None:
    make_folder(phone_folder(SERIAL)).joinpath("identity.json").write_bytes(b"\xff\xfe{")
    assert recall(SERIAL) is None


def test_a_serial_that_is_no_number_recalls_nothing() -> None:
    remember("unknown", IDENTITY)
    assert recall("unknown") is None


def test_a_folder_that_cannot_be_made_is_an_error_but_no_reason_to_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "file"))
    with pytest.raises(EdlError, match="cannot be made") as caught:
        make_folder(phone_folder(SERIAL))
    assert caught.value.remedies == ("Set EDL_HOME to a folder that you may write to.",)
    remember(SERIAL, IDENTITY)  # tells nothing
    assert recall(SERIAL) is None


def test_a_folder_that_is_there_is_taken(tmp_path: Path) -> None:
    assert make_folder(tmp_path) == tmp_path
