# SPDX-License-Identifier: BSD-3-Clause
"""What pages may ask for: one command line for each, and nothing of a page becomes an option."""

from __future__ import annotations

import contextlib
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.cli.main import cli
from edl.cli.options import Settings
from edl.errors import UsageError
from edl.plan import byname
from edl.web import orders
from edl.web.orders import KINDS, Order, Takes, Type
from tests.fuzz.web import hold

PHONE = {"phone": "usb 1-4"}


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"kind": "identify", **PHONE}, "info --no-loader"),
        ({"kind": "info", **PHONE, "loader": "/l x.elf"}, "info --loader=/l x.elf"),
        ({"kind": "storage", **PHONE}, "printgpt"),
        ({"kind": "health", **PHONE}, "doctor --storage"),
        ({"kind": "boot-check", **PHONE, "loader": None}, "boot-check"),
        ({"kind": "reset", **PHONE, "to": "off"}, "reset --mode=off"),
        ({"kind": "backup", **PHONE, "folder": "/b", "skip": ["userdata"], "resume": True},
         "backup --skip=userdata --resume -- /b"),
        ({"kind": "plan", **PHONE, "package": "/rom", "wipe": True},
         "rawprogram --dry-run --wipe -- /rom"),
        ({"kind": "rawprogram", **PHONE, "package": ["/a.xml", "/b.xml"], "wipe": False,
          "only": ["boot*", "4/x"], "slot": "b", "overwrite": ["persist"],
          "choose": {"region": "EU x"}, "allow_missing": True},
         "rawprogram --only=boot* --only=4/x --slot=b --choose=region=EU x --allow-missing"
         " --overwrite=persist -- /a.xml /b.xml"),
        ({"kind": "verify", **PHONE, "package": "/rom"}, "verify -- /rom"),
        ({"kind": "plan-restore", **PHONE, "folder": "/b"}, "restore --dry-run -- /b"),
        ({"kind": "restore", **PHONE, "folder": "/b", "partitions": ["boot_a"], "unique": True,
          "from_other_device": True, "reset": "edl"},
         "restore --unique --from-other-device --reset=edl -- /b boot_a"),
        ({"kind": "resume", **PHONE}, "resume"),
        ({"kind": "check", "package": "/--yes"}, "check -- /--yes"),
        ({"kind": "backups", "phone": None}, "backups"),
        ({"kind": "jobs"}, "resume --list"),
        ({"kind": "explain", "code": "wrong-sector-size"}, "explain -- wrong-sector-size"),
        ({"kind": "station", "package": "/rom", "count": 8, "again": True},
         "station --count=8 --again -- /rom"),
        ({"kind": "plug", "phone": "virtual 1"}, "virtual edl"),
    ],
)  # fmt: skip
def test_lines(body: dict[str, Any], line: str) -> None:
    assert " ".join(orders.read(body).line()) == line


@pytest.mark.parametrize(
    "body",
    [
        None, [], "info", 3, {}, {"kind": None}, {"kind": ["info"]}, {"kind": "erase", **PHONE},
        {"kind": "--yes", **PHONE}, {"kind": "info"}, {"kind": "info", "phone": None},
        {"kind": "info", "phone": 3}, {"kind": "backups", **PHONE},
        {"kind": "station", **PHONE, "package": "/rom"}, {"kind": "rawprogram", **PHONE},
        {"kind": "info", **PHONE, "yes": True}, {"kind": "info", **PHONE, "--yes": True},
        {"kind": "info", **PHONE, "loader\n": "/x"}, {"kind": "info", **PHONE, "package": "/x"},
    ],
)  # fmt: skip
def test_what_is_not_in_the_table(body: object) -> None:
    with pytest.raises(UsageError) as caught:
        orders.read(body)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("package", "rom"), ("package", ""), ("package", "--yes"), ("package", "-y"),
        ("package", "~/rom"), ("package", "../rom"), ("package", "/a\0b"), ("package", "/\ud800"),
        ("package", "/" + "x" * 5000), ("package", []), ("package", ["/a", "-y"]),
        ("package", ["/a"] * 65), ("package", {"/a": 1}), ("package", 3), ("package", True),
        ("package", [["/a"]]), ("wipe", 1), ("wipe", "yes"), ("wipe", []),
        ("only", "boot"), ("only", ["-y"]), ("only", ["--yes"]), ("only", [""]), ("only", [" "]),
        ("only", ["a\nb"]), ("only", ["x" * 200]), ("only", [3]), ("only", ["a"] * 300),
        ("only", ["\u202e"]), ("slot", "c"), ("slot", ["a"]), ("slot", ""), ("slot", {"a": 1}),
        ("choose", ["a=b"]), ("choose", {"a=b": "c"}), ("choose", {"-y": "c"}),
        ("choose", {"a": "-y"}), ("choose", {"a": 3}), ("choose", {"": "c"}), ("loader", ["/a"]),
        ("count", 0), ("count", True), ("count", 1.0), ("count", "1"), ("count", 10_001),
        ("again", None.__class__.__name__),
    ],
)  # fmt: skip
def test_values_that_are_none(option: str, value: object) -> None:
    body: dict[str, object] = {"kind": "station", "package": "/rom", option: value}
    with pytest.raises(UsageError) as caught:
        orders.read(body)
    assert f"'{option}'" in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("code", ["nonsense", "", "/etc/passwd", "README.md", 3, ["usage"]])
def test_only_codes_are_explained(code: object) -> None:
    """The command itself would read a file of that name."""
    with pytest.raises(UsageError):
        orders.read({"kind": "explain", "code": code})


def full(name: str) -> Order:
    """Return an order of that kind with all options that it has."""
    values: dict[Type, Any] = {
        Type.FLAG: True, Type.PATH: "/p q", Type.PATHS: ["/a", "/b"], Type.NAMES: ["boot", "x y"],
        Type.PAIRS: {"region": "a=b"}, Type.COUNT: 7, Type.CODE: "usage",
    }  # fmt: skip
    kind = KINDS[name]
    body: dict[str, Any] = {
        key: option.choices[-1] if option.choices else values[option.type]
        for key, option in kind.options.items()
    }
    body["kind"] = name
    if kind.takes in {Takes.ONE, Takes.VIRTUAL}:
        body["phone"] = "virtual 1"
    return orders.read(body)


def parsed(line: list[str]) -> dict[str, Any]:
    """Return the parameters of the command that the real command line makes of line."""
    context = cli.make_context("edl", list(line), obj=Settings())
    command: click.Command = cli
    arguments = [*context._protected_args, *context.args]
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
        context = command.make_context(name, arguments, parent=context)
        if isinstance(command, click.Group):
            arguments = [*context._protected_args, *context.args]
    return context.params


@pytest.mark.parametrize("name", KINDS)
def test_the_command_line_knows_all_of_it(name: str) -> None:
    order = full(name)
    behind = order.behind or (("/folder",) if name == "plug" else ())
    report = [f"{order.kind.report}=/tmp/x.html"] if order.kind.report else []
    line = [*order.words, *report, *(("--", *behind) if behind else ())]
    params = parsed(["--dialog", "--virtual=/p", *line])
    assert params.get("yes") in {False, None}
    told = [value for value in params.values() if value not in (None, False, (), [])]
    for text in behind:
        assert any(text == each or (isinstance(each, tuple) and text in each) for each in told)
    for key, option in order.kind.options.items():
        if option.type is Type.FLAG:
            param = {"from_other_device": "from_other"}.get(key, key)
            assert params[param] is True


def test_slots_are_those_of_packages() -> None:
    assert KINDS["rawprogram"].options["slot"].choices == byname.SLOTS


def test_no_kind_answers_for_the_user() -> None:
    words = {word for kind in KINDS.values() for word in (*kind.words, *kind.fixed)}
    flags = {option.flag for kind in KINDS.values() for option in kind.options.values()}
    assert not (words | flags) & {"--yes", "-y", "--no-backup", "--no-boot-check", "--force",
                                  "--verify"}  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["phone", "kind"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
VALUES = JSON | st.sampled_from(["/a", ["/a", "/-y"], ["-y"], True, {"a": "b"}, 3, "active", "--"])
OPTIONS = sorted({key for kind in KINDS.values() for key in kind.options})


@given(
    st.dictionaries(st.sampled_from(OPTIONS) | st.text(max_size=6), VALUES, max_size=6),
    st.sampled_from(list(KINDS)),
    st.none() | st.just("usb 1-4") | JSON,
)
def test_whatever_is_sent(options: dict[str, Any], kind: str, phone: object) -> None:
    with contextlib.suppress(UsageError):
        hold(orders.read({**options, "kind": kind, "phone": phone}))


def test_how_edl_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert orders.program()[1:] == ["-P", "-m", "edl"]
    monkeypatch.setattr("sys.frozen", True, raising=False)
    assert len(orders.program()) == 1


def test_lines_as_they_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert orders.as_typed(["edl", "check", "--", "/a b"]) == "edl check -- '/a b'"
    monkeypatch.setattr("sys.platform", "win32")
    assert orders.as_typed(["edl", "check", "--", "C:\\a b"]) == 'edl check -- "C:\\a b"'
