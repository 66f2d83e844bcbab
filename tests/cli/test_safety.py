# SPDX-License-Identifier: BSD-3-Clause
"""Nothing is written unasked, nothing unique is lost, and what is said about it is true."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.virtual.phone import Phone
from edl.virtual.storage import Operation
from loaders import make_dummies
from tests.cli.conftest import Edl, write_rows
from tests.cli.test_options import code

IMAGE = b"unique" * 1000
MODEM = "modemst1"


@pytest.fixture
def bench(whole: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    """Return the phone that --virtual reaches, whatever it names; it stays plugged in."""
    with Phone.open(whole) as phone:
        phone.storage.record = True
        monkeypatch.setattr(Phone, "named", classmethod(lambda *_, **__: _Kept(phone)))
        yield phone


class _Kept:
    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def __enter__(self) -> Phone:
        return self._phone

    def __exit__(self, *_: object) -> None:
        """Leave it plugged in."""


def changes(phone: Phone) -> list[Operation]:
    """Return what changed the flash since the last call."""
    found = [operation for operation in phone.storage.operations if operation[0] != "read"]
    phone.storage.operations.clear()
    return found


def partition(edl: Edl, phone: Path, name: str) -> tuple[int, int]:
    """Return first sector and number of sectors of a partition."""
    luns = edl("--virtual", phone, "printgpt", "--json").last["luns"]
    entry = next(row for row in luns[0]["partitions"] if row["name"] == name)
    return entry["first_sector"], entry["sectors"]


@pytest.fixture
def unique(edl: Edl, whole: Path, tmp_path: Path) -> Path:
    """Return a phone whose modemst1 holds something."""
    file = tmp_path / "modemst1.bin"
    file.write_bytes(IMAGE)
    start, _ = partition(edl, whole, MODEM)
    assert edl("--virtual", whole, "ws", start, file).status == 0
    return whole


# -- looking changes nothing ----------------------------------------------------------------------


def test_looking_and_dry_runs_change_nothing(
    edl: Edl, bench: Phone, board: Path, tmp_path: Path
) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 512)
    other = tmp_path / "mini"
    other.mkdir()
    (other / "a.img").write_bytes(b"a" * 512)
    write_rows(other, ("a.img", 148528, 64, "aboot"))
    for line in (
        ("rawprogram", board, "--dry-run"),
        ("rawprogram", other, "-n", "--json"),
        ("rawprogram", board, "-n", "--resume", "--verify", "none", "--no-backup"),
        ("write", "aboot", image, "-n"),
        ("write", "0", image, "-n"),
        ("write", MODEM, image, "-n", "--overwrite", MODEM),
        ("ws", "0", image, "--skipwrite"),
        ("erase", "aboot", "--dry-run"),
        ("erase", "aboot"),
        ("verify", board),
        ("printgpt",),
        ("info",),
        ("nop",),
        ("sha256", "aboot"),
        ("read", "aboot", tmp_path / "y.img"),
        ("check", board),
    ):
        edl("--virtual", "any", *line)
        assert changes(bench) == [], line
    assert bench.exits == ["start"]


def test_the_record_sees_a_change(edl: Edl, bench: Phone, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 512)
    assert edl("--virtual", "any", "ws", "148528", image).status == 0
    assert ("write", 0, 148528, 1) in changes(bench)


def test_dry_runs_without_a_phone_say_so(edl: Edl, sample: Path) -> None:
    offline = edl("rawprogram", sample, "--dry-run", "--offline")
    assert offline.status == 0
    assert "(assumed: no phone was asked)" in offline.out
    assert offline.out.endswith("Dry run: 31 steps, 21.7 MiB to write, no errors, no warnings.\n")
    assert edl("check", sample).out.splitlines()[4] == offline.out.splitlines()[1]


# -- questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "question"),
    [
        (("erase", "aboot"), "This erases aboot (1 MiB)."),
        (("e", "aboot,hyp"), "This erases aboot, hyp (1.5 MiB)."),
        (("write", "1", "IMAGE"), "This overwrites LUN 1 from the first sector on (512 bytes)."),
    ],
)
def test_without_a_terminal_the_flag_is_named(
    line: tuple[str, ...], question: str, edl: Edl, bench: Phone, tmp_path: Path
) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 512)
    line = tuple(str(image) if word == "IMAGE" else word for word in line)
    for options in ((), ("--json",)):
        result = edl("--virtual", "any", *line, *options)
        assert result.status == 2
        told = result.last["message"] if options else result.err
        assert f"{question} There is no terminal to ask on." in told
        assert "Add --yes to go on." in (result.last["remedies"] if options else result.err)
        assert changes(bench) == []
    assert edl("--virtual", "any", *line, "--yes").status == 0
    assert changes(bench)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 130), ("\n", 130), ("", 130)])
def test_the_answer_counts(
    answer: str, status: int, edl: Edl, bench: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    result = edl("--virtual", "any", "erase", "aboot")
    assert result.status == status
    assert "This erases aboot (1 MiB). Continue? [y/N]: " in result.err
    assert bool(changes(bench)) == (status == 0)
    if status:
        assert code(result.err) == "cancelled"
        assert "nothing was written" in result.err


def test_ufs_without_boot_lun_is_asked_about(edl: Edl) -> None:
    ufs = ("--virtual", "qcm2290-ufs", "set-bootable")
    assert edl(*ufs, "1").out == "The phone boots from LUN 1 now.\n"
    asked = edl(*ufs, "0")
    assert asked.status == 2
    assert "This switches booting off. There is no terminal to ask on." in asked.err
    assert edl(*ufs, "0", "-y").status == 0
    assert "UFS boots from LUN 1 or LUN 2" in edl(*ufs, "3").err
    assert "The phone has 6 LUNs, no LUN 7." in edl(*ufs, "7").err
    assert "eMMC boots from LUN 0" in edl("--virtual", "qcm2290", "set-bootable", "1").err


# -- what exists only once ------------------------------------------------------------------------


def test_unique_partitions_are_kept_and_saved(edl: Edl, unique: Path, tmp_path: Path) -> None:
    start, sectors = partition(edl, unique, MODEM)
    package = tmp_path / "mini"
    package.mkdir()
    (package / "m.img").write_bytes(b"foreign")
    (package / "x.img").write_bytes(b"xbl")
    rows = (("m.img", start, sectors, MODEM), ("x.img", 148528, 64, "aboot"))
    write_rows(package, *rows)
    base = ("--virtual", unique, "rawprogram", package, "--no-reset")
    result = edl(*base)
    assert result.status == 0
    assert f"  warning: rawprogram0.xml:3: '{MODEM}' is left as it is: " in result.err
    assert (
        f"    try: To write the package's version all the same: --overwrite {MODEM}" in result.err
    )
    assert f"  kept       {MODEM} (they belong to this phone alone)\n" in result.out
    assert "  next       edl reset (the phone is still in EDL mode)\n" in result.out
    saved = re.search(
        r"^  saved      partition tables and what exists only once: (\S+)", result.out, re.MULTILINE
    )
    assert saved
    folder = Path(saved[1])
    assert (folder / f"lun0-{MODEM}.bin").read_bytes().startswith(IMAGE)
    assert json.loads((folder / "manifest.json").read_text())["serial"] == "1a2b3c4d"
    again = edl(*base, "--json").last
    assert (again["kept"], again["saved"]) == ([MODEM], str(folder))
    assert "(by an earlier run)" in edl(*base).out
    same = edl("--virtual", unique, "verify", package)
    assert same.status == 0
    assert f"  own        {MODEM} (it belongs to this phone alone)\n" in same.out
    insisted = edl(*base, "--overwrite", MODEM, "-q")
    assert "kept" not in insisted.out
    file = tmp_path / "back.bin"
    assert edl("--virtual", unique, "read", MODEM, file).status == 0
    assert file.read_bytes().startswith(b"foreign\0")


def test_a_unique_partition_that_is_named_is_an_error(
    edl: Edl, unique: Path, tmp_path: Path
) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x")
    for line in (("write", MODEM, image), ("erase", MODEM, "-y"), ("erase", "0", "-y")):
        result = edl("--virtual", unique, *line)
        assert (result.status, code(result.err)) == (9, "safety")
        assert MODEM in result.err
        assert "Nothing was written." in result.err
        assert "--overwrite" in result.err
    insisting = ("--overwrite", "Modem*,x", "--no-backup")
    result = edl("--virtual", unique, "write", MODEM, image, *insisting)
    assert result.status == 0
    assert "is overwritten, as you asked" in result.err
    assert "saved" not in result.out


# -- the summary ----------------------------------------------------------------------------------


def test_what_was_verified_and_how(edl: Edl, whole: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"x" * 5120)
    line = ("--virtual", whole, "write", "aboot", image, "--verify")
    for how, told in (
        ("auto", "verified   5 KiB, all equal to what was sent (SHA-256 computed by the phone)"),
        ("sha256", "verified   5 KiB, all equal to what was sent (SHA-256 computed by the phone)"),
        ("readback", "verified   5 KiB, all equal to what was sent (reading back)"),
        ("none", "verified   NOT VERIFIED, as you asked: nobody knows what the phone holds"),
    ):
        assert f"  {told}\n" in edl(*line, how).out
    erased = edl("--virtual", whole, "erase", "aboot", "-y").out
    assert "  erased     1 MiB, and reads as blank now\n" in erased
    assert "\n  verified " not in erased


def test_zeros_are_verified_where_erasing_is_not_to_be_trusted(edl: Edl) -> None:
    result = edl("--virtual", "msm8953", "erase", "0/4096+64", "-y")
    assert "  erased     32 KiB, and reads as blank now\n" in result.out
    assert "  verified   32 KiB, all equal to what was sent" in result.out
    result = edl("--virtual", "msm8953", "erase", "0/4096+64", "-y", "--verify", "none")
    assert "  erased     32 KiB\n" in result.out
    assert "NOT VERIFIED" in result.out


def test_slots_and_names(edl: Edl, phone: Path, sample: Path) -> None:
    gpt = ("--only", "PrimaryGPT,BackupGPT", "--no-reset", "--verify", "none")
    assert edl("--virtual", phone, "rawprogram", sample, *gpt).status == 0
    result = edl("--virtual", phone, "read", "xbl", "x")
    assert result.status == 2
    assert "The phone has no 'xbl', but xbl_a and xbl_b" in result.err
    result = edl("--virtual", phone, "read", "xbl_c", "x")
    assert "The phone has no partition 'xbl_c'." in result.err


# -- interruptions --------------------------------------------------------------------------------


def test_a_job_goes_on_after_an_unplug(edl: Edl, tmp_path: Path, sample: Path) -> None:
    phone = tmp_path / "unlucky"
    assert edl("virtual", "new", phone, "qcm2290,fault=unplug@out:5000000").status == 0
    broken = edl("--virtual", phone, "rawprogram", sample)
    assert (broken.status, code(broken.err)) == (4, "device-gone")
    assert re.search(r"on the phone: \d+ of 31 steps are done; '\w+' is incomplete", broken.err)
    assert "try: Then finish the job: edl resume, or the same command with --resume." in broken.err
    assert "repeat the command" not in broken.err.lower()  # that would begin anew
    fates = re.findall(r"^    ([a-z ,]+): (.+)$", broken.err, re.MULTILINE)
    states = [state for state, _ in fates if state != "unchanged"]  # zeros of a new phone
    assert states == ["sent, not verified", "incomplete", "not done"]
    assert edl("--virtual", phone, "list").status == 3
    assert edl("virtual", "edl", phone).status == 0
    done = edl("--virtual", phone, "rawprogram", sample, "--resume")
    assert done.status == 0
    assert "were there from the interrupted run)" in done.out
    assert "  verified   21.7 MiB, all equal to what was sent" in done.out
    assert "  boot       the virtual phone starts: its boot chain is whole\n" in done.out


def test_nothing_to_go_on_with(edl: Edl, mini: Path) -> None:
    result = edl("--virtual", "qcm2290", "rawprogram", mini, "--resume", "--no-reset")
    assert result.status == 0
    assert "  resumed    nothing: no interrupted run of exactly this job was found\n" in result.out


def test_a_rehearsal_touches_no_phone(edl: Edl, sample: Path, mini: Path) -> None:
    result = edl("rehearse", sample)
    assert result.out.endswith(
        "  boot       the virtual phone starts: its boot chain is whole\n"
        "This was a rehearsal: only a virtual phone was touched.\n"
    )
    half = edl("rehearse", mini, "--profile", "msm8916")
    assert half.status == 0
    assert "  boot       the virtual phone does NOT start:\n    The partition table" in half.out
    write_rows(mini, ("boot.img", 64 << 21, 64, "boot"))
    assert edl("rehearse", mini).status == 0
    text = (mini / "rawprogram0.xml").read_text().replace('"512"', '"2048"')
    (mini / "rawprogram0.xml").write_text(text)
    assert "No virtual phone has sectors of 2048 bytes." in edl("rehearse", mini).err


def test_an_erase_of_what_is_unique_says_how_to_insist(edl: Edl, unique: Path) -> None:
    one = edl("--virtual", unique, "erase", MODEM, "--yes")
    assert one.status == 9
    assert f"To erase it all the same: --overwrite {MODEM}" in one.err
    all_of_it = edl("--virtual", unique, "erase", "0", "--yes")
    assert all_of_it.status == 9
    assert "'LUN 0' would erase what exists only once on this phone: " in all_of_it.err


def test_a_package_whose_own_programmer_does_not_start_is_doubted(
    edl: Edl, mini: Path, tmp_path: Path
) -> None:
    """Another programmer would start; the images of another model would follow."""
    (mini / "prog_other.mbn").write_bytes(make_dummies.good_ones()["v3_other_vendor.mbn"])
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "msm8916,size=8MiB").status == 0
    asked = edl("--virtual", phone, "rawprogram", mini)
    assert asked.status == 2
    assert "The package's own programmer (prog_other.mbn) does not start on this phone" in asked.err
    with Phone.open(phone) as there:
        assert not any(there.storage.read(0, 2048, 64))
    assert edl("--virtual", phone, "rawprogram", mini).status == 2  # still: none has been started
    insisted = edl("--virtual", phone, "rawprogram", mini, "--yes", "--no-boot-check")
    assert insisted.status == 0
    assert "note     The package's own programmer (prog_other.mbn) does not start" in insisted.err
