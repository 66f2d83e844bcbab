# SPDX-License-Identifier: BSD-3-Clause
"""nbdkit's plugin and our end of its socket, without nbdkit; and lines that cannot be served."""

from __future__ import annotations

import errno
import importlib.resources
import importlib.util
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from edl.nbd.relay import Relay, Request
from tests.cli.conftest import Edl, edl  # noqa: F401  # a fixture


class Bench:
    """The plugin as nbdkit loads it, and the relay that answers it. errors: set by the plugin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[int] = []
        nbdkit = SimpleNamespace(
            THREAD_MODEL_SERIALIZE_ALL_REQUESTS=1, set_error=self.errors.append
        )
        monkeypatch.setitem(sys.modules, "nbdkit", nbdkit)
        path = importlib.resources.files("edl.data") / "nbdkit_plugin.py"
        spec = importlib.util.spec_from_file_location("plugin", str(path))
        assert spec is not None
        assert spec.loader is not None
        self.plugin: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.plugin)
        self.ours, theirs = socket.socketpair()
        self.relay = Relay(self.ours)
        for name, value in (("size", 8192), ("unit", 512), ("writable", 1)):
            self.plugin.config(name, str(value))
        self.plugin.config("fd", str(theirs.detach()))
        self.plugin.config_complete()

    def answered(self, *answers: tuple[int, bytes]) -> list[Request]:
        """Answer as many requests in the background; return what they are."""
        seen: list[Request] = []

        def work() -> None:
            for error, data in answers:
                request = self.relay.next(10)
                assert request is not None
                seen.append(request)
                self.relay.answer(error, data)

        threading.Thread(target=work, daemon=True).start()
        return seen


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(monkeypatch)
    yield made
    made.ours.close()
    for end in made.plugin._edl:
        end.close()


def test_what_the_plugin_tells(bench: Bench) -> None:
    handle = bench.plugin.open(0)
    assert bench.plugin.thread_model() == 1
    assert bench.plugin.get_size(handle) == 8192
    assert bench.plugin.block_size(handle) == (512, 4096, 32 << 20)
    assert bench.plugin.can_write(handle)
    assert bench.plugin.can_flush(handle)
    assert bench.plugin.can_multi_conn(handle)


def test_requests_and_answers(bench: Bench) -> None:
    seen = bench.answered((0, b"data"), (0, b""), (0, b""))
    buffer = bytearray(4)
    bench.plugin.pread({}, buffer, 1 << 40, 0)
    bench.plugin.pwrite({}, b"new", 5, 0)
    bench.plugin.flush({}, 0)
    assert buffer == b"data"
    assert seen == [
        Request("r", 1 << 40, 4), Request("w", 5, 3, b"new"), Request("f", 0, 0)
    ]  # fmt: skip


def test_errors_are_those_of_the_phone(bench: Bench) -> None:
    bench.answered((errno.EPERM, b""), (errno.EIO, b"is not sent"))
    with pytest.raises(OSError, match="said no"):
        bench.plugin.pwrite({}, b"new", 5, 0)
    with pytest.raises(OSError, match="said no"):
        bench.plugin.pread({}, bytearray(11), 0, 0)
    assert bench.errors == [errno.EPERM, errno.EIO]


def test_ends_that_are_gone(bench: Bench) -> None:
    assert bench.relay.next(0) is None
    bench.plugin._edl[0].send(b"w" + bytes(11) + b"\x09" + b"cut off")
    bench.plugin._edl[0].close()
    with pytest.raises(EOFError):
        bench.relay.next(0)
    with pytest.raises(EOFError):
        bench.relay.answer(0, b"data")


def test_edl_that_is_gone(bench: Bench) -> None:
    def leave() -> None:
        assert bench.relay.next(10) is not None
        bench.relay.answer(0, b"da")
        bench.ours.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=leave, daemon=True).start()
    with pytest.raises(OSError, match="gone"):
        bench.plugin.pread({}, bytearray(4), 0, 0)


def test_nbdkit_is_not_there(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    done = edl("--virtual", "qcm2290,size=1MiB", "nbd", "0")
    assert done.status == 7
    assert "missing-program" in done.err
    assert "apt install nbdkit" in done.err


def test_nbdkit_without_its_plugin(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    program = tmp_path / "nbdkit"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = edl("--virtual", "qcm2290,size=1MiB", "nbd", "0")
    assert done.status == 7
    assert "without its Python plugin" in done.err


def test_nbdkit_that_does_not_start(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    program = tmp_path / "nbdkit"
    program.write_text(
        '#!/bin/sh\n[ "$2" = --dump-plugin ] && exit 0\necho "no luck today" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    done = edl("--virtual", "qcm2290,size=1MiB", "nbd", "0", "--socket", tmp_path / "s")
    assert done.status == 2
    assert "nbdkit does not start: no luck today" in done.err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0", "--socket", "s", "--tcp", "5"], "either --socket or --tcp"),
        (["0", "--overwrite", "persist"], "belongs to --writable"),
        (["boot_a,boot_b"], "one TARGET"),
    ],
)
def test_what_does_not_fit(edl: Edl, words: list[str], said: str) -> None:  # noqa: F811
    done = edl("--virtual", "qcm2290,size=1MiB", "nbd", *words)
    assert done.status == 2
    assert said in done.err
