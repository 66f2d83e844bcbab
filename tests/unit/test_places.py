# SPDX-License-Identifier: BSD-3-Clause
"""Where data and settings lie: what platformdirs says, asked only where Linux is not plain."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest

from edl import places

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="XDG's folders are Linux' own")


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDL_HOME", "HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ANDROID_DATA"):
        monkeypatch.delenv(name, raising=False)


@linux_only
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HOME": "/home/me"},
        {"HOME": "relative"},
        {"HOME": ""},
        {"HOME": "/home/me", "XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/config"},
        {"HOME": "/home/me", "XDG_DATA_HOME": "~/data", "XDG_CONFIG_HOME": "config"},
        {"XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/config"},
        {"HOME": "/home/me", "ANDROID_DATA": "/data"},
    ],
)
def test_as_platformdirs(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Path(places.data()) == platformdirs.user_data_path("edl", appauthor=False)
    assert Path(places.config()) == platformdirs.user_config_path("edl", appauthor=False)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(*_: object, **__: object) -> Path:
        raise RuntimeError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_data_path", nobody)
    monkeypatch.setattr("platformdirs.user_config_path", nobody)
    assert Path(places.data()) == Path(places.config()) == tmp_path / "edl-data"


def test_edl_home_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDL_HOME", "/mine")
    assert (places.data(), places.config()) == ("/mine", "/mine")
