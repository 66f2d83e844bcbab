# SPDX-License-Identifier: BSD-3-Clause
"""The user's collection of loaders, and how every command chooses among them."""

from __future__ import annotations

import configparser
import hashlib
import re
import sys
from pathlib import Path

import pytest

from edl.cli import loading
from edl.cli.options import Settings
from edl.errors import UsageError
from edl.identity import PhoneIdentity
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image
from loaders.make_dummies import QCM2290
from loaders.signing import VENDOR, VENDOR_PSS
from tests.cli.conftest import LOADER, Edl
from tests.cli.test_json import held
from tests.conftest import REPO
from tests.unit.test_archive import tar_of, zip_of
from tests.unit.test_cpio import END, entry

EMMC = "qcm2290"
GOOD = make_dummies.good_ones()
BAD = make_dummies.bad_ones()
SHA256 = hashlib.sha256(VENDOR.root_bytes).hexdigest()
SHA384 = hashlib.sha384(VENDOR.root_bytes).hexdigest()
MSM8916 = ("--hwid", "007050e100000000", "--pkhash", SHA256)


def for_qcm2290(rollback: int = 0, hwid: int = QCM2290) -> bytes:
    """Return a loader like that of the virtual QCM2290."""
    binding = Binding(hwid, soc_versions=(0x9003,), rollback=rollback)
    recipe = Recipe(
        version=6, bits=64, digest="sha384", binding=binding, vendor=VENDOR_PSS, address=0x0C10_0000
    )
    return elf_image(recipe, programmer("C", "BOOT.XF.4.1-00330"))


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    """Return a stock package with one programmer."""
    path = tmp_path / "rom.zip"
    files = {"images/prog.mbn": GOOD["v3.mbn"], "images/abl.elf": GOOD["v3_aboot.mbn"], "a": b"1"}
    path.write_bytes(zip_of(files))
    return path


@pytest.fixture
def no_dummies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave nothing but the user's own folder to search."""
    monkeypatch.setattr(loading, "test_folders", lambda: (tmp_path / "nothing",))


# add, list, remove


def test_add(edl: Edl, rom: Path) -> None:
    result = edl("loaders", "add", rom)
    assert result.status == 0
    assert result.out.splitlines() == [
        f"taken          {rom}/images/prog.mbn",
        f"  for MSM8916 (Snapdragon 400/410), signed by EDL Public Test Root CA, key {SHA256[:16]}",
        "1 taken, 0 known already, 0 not taken; 2 other files passed over.",
    ]
    kept = sorted(path.name for path in loading.own_folder().iterdir())
    assert kept == [f"{hashlib.sha256(GOOD['v3.mbn']).hexdigest()}.mbn", "index.json"]
    again = edl("loaders", "add", rom)
    assert (again.status, again.out.splitlines()[0]) == (0, f"known already  {rom}/images/prog.mbn")


def test_add_as_data(edl: Edl, rom: Path, tmp_path: Path) -> None:
    (tmp_path / "prog_firehose.mbn").write_bytes(b"<html>" * 99)
    edl("loaders", "add", rom)
    (tmp_path / "b.elf").write_bytes(BAD["bad_segment.mbn"])
    data = held(edl("loaders", "add", tmp_path, "--json"), "loaders add").last
    assert [row["name"] for row in data["taken"]] == ["b.elf"]
    assert data["taken"][0]["problems"] == ["Segments that differ from their hash: 2."]
    assert [row["where"] for row in data["known"]] == [f"{rom}/images/prog.mbn"]
    (refused,) = data["not_taken"]
    assert refused["where"] == str(tmp_path / "prog_firehose.mbn")
    assert "a web page" in refused["reason"]


def test_add_without_success(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "abl.elf").write_bytes(GOOD["v3_aboot.mbn"])
    result = edl("loaders", "add", tmp_path / "abl.elf")
    assert result.status == 7
    assert "It is signed as Android boot loader (ABL), not as a programmer." in result.out
    assert "There is no loader in what was named." in result.err
    assert not loading.own_folder().exists()
    lines = held(edl("loaders", "add", tmp_path / "absent", "--json"), "loaders add").lines
    assert [line["type"] for line in lines] == ["result", "error"]
    assert edl("loaders", "add").status == 2


def test_what_was_taken_is_kept_when_it_is_interrupted(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("v3.mbn", "v6_ecdsa.elf"):
        (tmp_path / name).write_bytes(GOOD[name])
    calls: list[bytes] = []

    def interrupt_the_second(data: bytes) -> None:
        calls.append(data)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("edl.collection.gather.archive.foreign_kind", interrupt_the_second)
    assert edl("loaders", "add", tmp_path / "v3.mbn", tmp_path / "v6_ecdsa.elf").status == 130
    assert names(edl) == {"v3.mbn"}


def test_list(edl: Edl, tmp_path: Path) -> None:
    assert "No loaders are kept yet." in edl("loaders", "list").out
    locked = elf_image(
        Recipe(binding=Binding(QCM2290, rollback=4)),
        programmer("A", "BOOT.TEST", extra=("nop and sig tag", "Binary build date", "Mar  9 2021")),
    )
    files = {**GOOD, **BAD, "locked.mbn": locked}
    (tmp_path / "all.tar").write_bytes(tar_of(files))
    edl("loaders", "add", tmp_path / "all.tar")
    out = edl("loaders", "list").out
    assert (
        "locked.mbn\n  for QCM2290, signed by EDL Public Test Root CA, key 49d263756c77f48d,"
        " rollback version 4, built 2021-03-09,"
        " restricted by Xiaomi: it works only after Xiaomi has authorised it\n"
    ) in out
    assert "v3_unsigned.mbn\n  for an unknown chip, signed by nobody\n" in out
    assert "bad_segment.mbn\n  for MSM8916 (Snapdragon 400/410), signed by" in out
    assert "DAMAGED or changed" in out
    data = held(edl("loaders", "list", "--json"), "loaders list").last
    assert all(Path(row["path"]).is_file() for row in data["loaders"])


def names(edl: Edl, *filters: str) -> set[str]:
    data = held(edl("loaders", "list", *filters, "--json"), "loaders list").last
    return {row["name"] for row in data["loaders"]}


def test_list_for_some_phones(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(tar_of(GOOD))
    edl("loaders", "add", tmp_path / "all.tar")
    assert names(edl, "--pkhash", SHA256[:6]) >= {"v3.mbn", "v5_msm.elf", "sbl80.mbn"}
    assert names(edl, "--hwid", "0x007B00E1") == {"sbl80.mbn"}
    assert names(edl, "--hwid", "0008c0e100000000") == {"v5_msm.elf", "v5_nested.elf"}
    assert names(edl, "--hwid", "000a50e100170002") >= {"v6_ecdsa.elf", "v6_oem_independent.elf"}
    assert "v6_ecdsa.elf" not in names(edl, "--hwid", "000a50e100170003")
    assert "v6_ecdsa.elf" in names(edl, "--hwid", "000a50e1")
    assert names(edl, "--hwid", "000a50e1", "--pkhash", "31bb4d") == set()
    assert edl("loaders", "list", "--pkhash", "0123").out == (
        "None of the 28 loaders is for such a phone.\n"
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("--hwid", "MSM8916"), "--hwid takes hexadecimal digits, not 'MSM8916'."),
        (("--hwid", "1234"), "--hwid takes 16 hex digits (or 8 for a chip), not '1234'."),
        (("--pkhash", "xyz"), "--pkhash takes hexadecimal digits, not 'xyz'."),
    ],
)
def test_filters_that_are_none(line: tuple[str, str], told: str, edl: Edl, rom: Path) -> None:
    edl("loaders", "add", rom)
    result = edl("loaders", "list", *line)
    assert result.status == 2
    assert told in result.err


def test_remove(edl: Edl, rom: Path) -> None:
    edl("loaders", "add", rom)
    digest = hashlib.sha256(GOOD["v3.mbn"]).hexdigest()
    assert edl("loaders", "remove", "ffff0000").status == 2
    result = edl("loaders", "remove", digest[:8])
    assert (result.status, result.out) == (0, "Deleted prog.mbn (20 KiB).\n")
    assert names(edl) == set()
    edl("loaders", "add", rom)
    data = held(edl("loaders", "remove", digest[:8], "--json"), "loaders remove").last
    assert data["removed"] == [{"name": "prog.mbn", "sha256": digest}]


# show


def test_show(edl: Edl, rom: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.elf"
    file.write_bytes(GOOD["v6_ecdsa.elf"])
    result = edl("loaders", "show", file)
    assert result.out.startswith("A Firehose programmer for SM8150 (Snapdragon 855), signed with")
    assert re.search(r"\n  checked +in order: the sha384 of every segment", result.out)
    edl("loaders", "add", rom)
    digest = hashlib.sha256(GOOD["v3.mbn"]).hexdigest()
    kept = held(edl("loaders", "show", digest[:7], "--json"), "loaders show").last
    assert kept["file"] == str(loading.own_folder() / f"{digest}.mbn")


@pytest.mark.parametrize("name", ["v7_multi.elf", "v5_nested.elf", "v3_unsigned.mbn", "sbl80.mbn"])
def test_show_as_data(name: str, edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(GOOD[name])
    data = held(edl("loaders", "show", file, "--json"), "loaders show").last
    assert (data["intact"], data["bytes"]) == (True, len(GOOD[name]))


def test_show_what_is_none(edl: Edl, rom: Path, tmp_path: Path) -> None:
    result = edl("loaders", "show", rom)
    assert (result.status, f"{rom} is an archive." in result.err) == (7, True)
    assert f"  try: Take the loaders out of it: edl loaders add {rom}\n" in result.err
    assert edl("loaders", "show", tmp_path / "absent").status == 7
    folder = edl("loaders", "show", tmp_path)
    assert (folder.status, f"{tmp_path} is a folder." in folder.err) == (7, True)
    assert f"edl loaders add {tmp_path}" in folder.err
    assert "No loader whose digest begins with 'abcdef'" in edl("loaders", "show", "abcdef").err


def test_show_by_name(edl: Edl, rom: Path) -> None:
    edl("loaders", "add", rom)
    digest = hashlib.sha256(GOOD["v3.mbn"]).hexdigest()
    shown = held(edl("loaders", "show", "prog.mbn", "--json"), "loaders show").last
    assert shown["file"] == str(loading.own_folder() / f"{digest}.mbn")


def test_show_several_images(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "prog.elf").write_bytes(GOOD["v6_ecdsa.elf"])
    (tmp_path / "abl.elf").write_bytes(GOOD["v3_aboot.mbn"])
    (tmp_path / "plain.mbn").write_bytes(GOOD["v3_unsigned.mbn"])
    (tmp_path / "junk").write_bytes(b"junk")
    listed = ",".join(
        f"{number}:{tmp_path / name}"
        for number, name in ((13, "prog.elf"), (38, "abl.elf"), (40, "junk"), (21, "plain.mbn"))
    )
    result = edl("loaders", "show", listed)
    assert result.out.startswith("A Firehose programmer for SM8150")
    assert result.out.endswith("  image 40          no boot image, 4 bytes\n")
    shown = held(edl("loaders", "show", listed, "--json"), "loaders show").last
    assert [(row["id"], row["kind"]) for row in shown["other_images"]] == [
        (21, "not signed"),
        (38, "Android boot loader (ABL)"),
        (40, "no boot image"),
    ]
    cpio = tmp_path / "set.cpio"
    cpio.write_bytes(entry("13:prog.elf", GOOD["v3.mbn"]) + entry("38", b"x") + entry(END))
    assert held(edl("loaders", "show", cpio, "--json"), "loaders show").last["intact"]
    without = edl("loaders", "show", f"38:{tmp_path / 'abl.elf'}")
    assert without.status == 7
    assert "There is no programmer (image 13) among the images: 38." in without.err


# match


def test_match_of_files(edl: Edl, tmp_path: Path) -> None:
    for name in ("v3.mbn", "v3_other_vendor.mbn", "v3_aboot.mbn", "v5_msm.elf"):
        (tmp_path / name).write_bytes(GOOD[name])
    result = edl("loaders", "match", tmp_path, *MSM8916)
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[0] == f"For HWID 0x007050e100000000, key {SHA256[:16]} (MSM8916):"
    assert [line for line in lines if not line.startswith("     ")][1:] == [
        "yes  v3.mbn",
        "no   v5_msm.elf",
        "no   v3_other_vendor.mbn",
    ]
    assert "     It is made for SDM660 (MSM id 0x0008c0e1); the phone has MSM8916." in lines
    named = edl("loaders", "match", tmp_path / "v3_aboot.mbn", *MSM8916, "--json")
    data = held(named, "loaders match").lines
    assert [line["type"] for line in data] == ["result", "error"]
    (row,) = data[0]["loaders"]
    assert (row["fit"], row["may_start"]) == ("no_programmer", False)


@pytest.mark.parametrize(
    "key", [SHA256[:32], SHA256, SHA256 * 3, SHA256 + "0" * 64, SHA256.upper(), f"0x{SHA384}"]
)
def test_match_of_keys_as_tools_show_them(key: str, edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "v3.mbn"
    file.write_bytes(GOOD["v3.mbn"])
    result = edl("loaders", "match", file, "--hwid", "007050e100000000", "--pkhash", key)
    assert "yes  v3.mbn\n     Key, chip and model fit; its rollback version is 0.\n" in result.out


@pytest.mark.parametrize("key", ["0" * 64, "0" * 96, "0" * 288])
def test_match_for_a_phone_without_a_key(key: str, edl: Edl, tmp_path: Path) -> None:
    for name in ("v3_other_vendor.mbn", "v3_unsigned.mbn", "v5_msm.elf"):
        (tmp_path / name).write_bytes(GOOD[name])
    match = ("loaders", "match", tmp_path, "--hwid", "007050e100000000", "--pkhash", key)
    data = held(edl(*match, "--json"), "loaders match").last
    assert [(row["name"], row["fit"]) for row in data["loaders"]] == [
        ("v3_other_vendor.mbn", "unfused"),
        ("v3_unsigned.mbn", "unfused"),
        ("v5_msm.elf", "other_chip"),
    ]


def test_match_by_the_beginning_of_a_key_shows_both(edl: Edl, tmp_path: Path) -> None:
    file = tmp_path / "v3.mbn"
    file.write_bytes(GOOD["v3.mbn"])
    out = edl("loaders", "match", file, "--pkhash", "ab" * 16).out
    assert f"({SHA256[:16]}...), the phone trusts abababababababab..." in out


def test_match_of_what_is_no_loader(edl: Edl, rom: Path, tmp_path: Path) -> None:
    good, junk = tmp_path / "v3.mbn", tmp_path / "junk"
    good.write_bytes(GOOD["v3.mbn"])
    junk.write_bytes(b"junk" * 2000)
    result = edl("loaders", "match", rom, good, junk, "--hwid", "007050e100000005")
    assert result.out.splitlines()[1:7] == [
        f"no   {rom}",
        f"     {rom} is an archive.",
        f"no   {junk}",
        "     This is no boot image.",
        "yes  v3.mbn",
        "     The phone did not tell which key it trusts. The loader is for model 0x0000; "
        "the phone is 0x0005.",
    ]
    match = ("loaders", "match", junk, "--hwid", "007050e100000005", "--json")
    data = held(edl(*match), "loaders match").lines
    assert data[0]["unread"] == [{"where": str(junk), "reason": "This is no boot image."}]


def test_match_in_the_collection(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(tar_of({**GOOD, **BAD}))
    edl("loaders", "add", tmp_path / "all.tar")
    data = held(edl("loaders", "match", *MSM8916, "--json"), "loaders match").last
    first, last = data["loaders"][0], data["loaders"][-1]
    assert (first["name"], first["fit"]) == ("v3_rollback_5.mbn", "exact")
    assert (last["fit"], last["may_start"], last["status"]) == ("damaged", False, "0x22")
    assert data["others"] == 11  # two without signature, seven with elliptic curves, two damaged
    out = edl("loaders", "match", *MSM8916).out
    path = loading.own_folder() / f"{hashlib.sha256(GOOD['v3.mbn']).hexdigest()}.mbn"
    reason = "Key, chip and model fit; its rollback version is 0."
    assert f"yes  v3.mbn\n     {reason}\n     --loader {path}\n" in out
    assert out.endswith("11 more loaders are kept, for other chips or keys.\n")


def test_match_of_many(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.cli.commands.loaders._MOST_SHOWN", 1)
    for name in ("v3.mbn", "v3_other_vendor.mbn", "v5_msm.elf", "sbl80.mbn"):
        (tmp_path / name).write_bytes(GOOD[name])
    out = edl("loaders", "match", tmp_path, *MSM8916).out
    assert out.endswith("And 2 loaders more that will not start.\n")


def test_match_for_the_connected_phone(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(for_qcm2290(rollback=2))
    edl("loaders", "add", tmp_path / "a.elf", LOADER)
    data = held(edl("--virtual", EMMC, "loaders", "match", "--json"), "loaders match").last
    assert [row["name"] for row in data["loaders"]] == ["a.elf", LOADER.name]
    assert {row["fit"] for row in data["loaders"]} == {"exact"}
    assert (data["hwid"], data["pk_hash"]) == ("001860e100000000", SHA384)


def test_a_phone_can_be_used_after_it_was_asked(edl: Edl, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    edl("virtual", "new", phone, EMMC)
    asked = held(edl("--virtual", phone, "loaders", "match", LOADER, "--json"), "loaders match")
    assert asked.last["loaders"][0]["may_start"]
    assert edl("--virtual", phone, "nop").out == "The programmer answers.\n"
    # its programmer cannot be asked, but what it told is remembered
    running = held(edl("--virtual", phone, "loaders", "match", LOADER, "--json"), "loaders match")
    assert running.last["loaders"] == asked.last["loaders"]


def test_a_phone_that_does_not_tell_who_it_is(edl: Edl, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    edl("virtual", "new", phone, EMMC)
    edl("--virtual", phone, "nop", "--no-identify", "--loader", LOADER)
    result = edl("--virtual", phone, "loaders", "match")
    assert result.status == 2
    assert "The phone did not tell who it is." in result.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("--hwid", "007050e1"), "--hwid must have 16 hex digits here"),
        (("--pkhash", SHA256[:16]), "--pkhash must have at least 32 hex digits here"),
        (("--pkhash", SHA256[:33]), "and an even number"),
    ],
)
def test_phones_that_are_described_too_briefly(line: tuple[str, str], told: str, edl: Edl) -> None:
    result = edl("loaders", "match", *line)
    assert result.status == 2
    assert told in result.err


def test_match_of_nothing(edl: Edl) -> None:
    result = edl("loaders", "match", "--hwid", "007050e100000000")
    assert result.status == 7
    assert "None of the loaders will start on the phone." in result.err
    assert result.out == "For HWID 0x007050e100000000 (MSM8916):\n"


# Choosing is automatic


@pytest.mark.usefixtures("no_dummies")
def test_every_command_chooses_from_the_collection(edl: Edl, tmp_path: Path) -> None:
    assert edl("--virtual", EMMC, "nop").status == 2
    for name, data in {"old.elf": for_qcm2290(), "new.elf": for_qcm2290(rollback=3)}.items():
        (tmp_path / name).write_bytes(data)
        edl("loaders", "add", tmp_path / name)
    result = edl("--virtual", EMMC, "nop")
    assert (result.status, result.out) == (0, "The programmer answers.\n")
    assert "loader   new.elf, 44 KiB" in result.err


@pytest.mark.usefixtures("no_dummies")
def test_reasons_come_from_the_collection(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "model.elf").write_bytes(for_qcm2290(hwid=QCM2290 | 0x0051_0000))
    edl("loaders", "add", tmp_path / "model.elf")
    result = edl("--virtual", EMMC, "nop")
    assert result.status == 7
    told = (
        "model.elf: It is signed with the phone's key, but for OEM id 0x0051; the phone has 0x0000."
    )
    assert f"No loader fits the phone. {told}" in result.err


@pytest.mark.parametrize(
    "key", ["cc3153a80293939b90d02d3bf8b23e0292e452fef662c74998421adad42a380f", "00" * 32]
)
def test_an_unfused_phone_starts_what_nobody_signed(key: str, edl: Edl, tmp_path: Path) -> None:
    loader = tmp_path / "unsigned.mbn"
    loader.write_bytes(GOOD["v3_unsigned.mbn"])
    phone = f"msm8916,size=16M,pkhash={key}"
    assert edl("--virtual", phone, "--loader", loader, "nop").status == 0
    shown = edl("--virtual", phone, "info").out
    assert "secure boot almost certainly not fused" in shown
    refused = edl("--virtual", "msm8916,size=16M", "--loader", loader, "nop")
    assert "HASH_TABLE_NOT_FOUND" in refused.err


def test_dummies_are_for_virtual_phones() -> None:
    unfused = PhoneIdentity(hwid=QCM2290, pk_hash=bytes(32))
    real = loading.Loader(Settings(), None, lambda _: None)
    with pytest.raises(UsageError, match="No programmer"):
        real.images(unfused)
    virtual = loading.Loader(Settings(virtual="x"), None, lambda _: None)
    assert virtual.images(unfused) == {13: LOADER.read_bytes()}
    # a phone with the public test keys fused is a virtual one, behind whatever wire
    fused = PhoneIdentity(hwid=QCM2290, pk_hash=bytes.fromhex(SHA384))
    assert real.images(fused) == {13: LOADER.read_bytes()}


@pytest.mark.usefixtures("no_dummies")
def test_the_next_one_is_offered_after_a_refusal(edl: Edl, tmp_path: Path) -> None:
    # all is right but the version of its header, which no phone tells and this one does not know
    recipe = Recipe(
        version=5,
        bits=64,
        binding=Binding(QCM2290, soc_versions=(0x9003,), rollback=1),
        vendor=VENDOR_PSS,
    )
    unknown = elf_image(recipe, programmer("C", "BOOT.XF.4.1-00330"))
    files = tmp_path / "files"
    files.mkdir()
    for name, data in {"first.elf": unknown, "second.elf": for_qcm2290()}.items():
        (files / name).write_bytes(data)
    edl("loaders", "add", files)
    result = edl("--virtual", EMMC, "nop")
    assert result.status == 6
    assert "loader   first.elf" in result.err
    path = loading.own_folder() / f"{hashlib.sha256(for_qcm2290()).hexdigest()}.elf"
    offer = f"Or enter EDL mode again and try the next one: --loader {path}"
    assert f"{offer} (second.elf)\n" in result.err
    folder = edl("--virtual", EMMC, "nop", "--loader", files)
    assert f"the next one: --loader {files}/second.elf\n" in folder.err
    alone = edl("--virtual", EMMC, "nop", "--loader", files / "first.elf")
    assert (alone.status, offer in alone.err) == (6, True)


# Several images


def config(folder: Path, text: str = "13:prog.elf") -> Path:
    rows = "".join(
        f'<image image_id="{pair.partition(":")[0]}" image_path="{pair.partition(":")[2]}"/>'
        for pair in text.split(",")
    )
    path = folder / "qsahara_device_programmer.xml"
    path.write_text(f"<sahara_config><images>{rows}</images></sahara_config>")
    return path


def test_sahara_config_as_loader(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "prog.elf").write_bytes(LOADER.read_bytes())
    (tmp_path / "x.elf").write_bytes(b"x")
    result = edl("--virtual", EMMC, "nop", "--loader", config(tmp_path, "13:prog.elf,38:x.elf"))
    assert result.status == 0
    assert "loader   qsahara_device_programmer.xml, 44.0 KiB, images 13, 38" in result.err
    missing = edl("--virtual", EMMC, "nop", "--loader", config(tmp_path, "13:prog.elf,38:y.elf"))
    assert missing.status == 7
    assert "names files that are missing: y.elf (image 38)." in missing.err


def test_cpio_as_loader(edl: Edl, tmp_path: Path) -> None:
    path = tmp_path / "programmer.cpio"
    path.write_bytes(entry("13:prog.elf", LOADER.read_bytes()) + entry(END))
    assert edl("--virtual", EMMC, "nop", "--loader", path).status == 0


def test_an_image_that_the_phone_asks_for_is_missing(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"x" * 5000)
    result = edl("--virtual", EMMC, "nop", "--loader", f"38:{tmp_path}/x.elf")
    assert result.status == 6
    assert "The phone asks for image 13, which was not given (given: 38)." in result.err
    assert "(image 13 is mostly called prog_firehose_ddr.elf)" in result.err


def test_unfit_image_of_a_set_is_told(edl: Edl, tmp_path: Path) -> None:
    (tmp_path / "prog.elf").write_bytes(GOOD["v3.mbn"])
    result = edl("--virtual", EMMC, "nop", "--loader", config(tmp_path))
    assert result.status == 6
    assert "It is sent all the same, as you named it." in result.err


def package(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.img").write_bytes(b"1" * 512)
    (folder / "rawprogram0.xml").write_text(
        '<data><program SECTOR_SIZE_IN_BYTES="512" filename="a.img" label="misc"'
        ' num_partition_sectors="1" physical_partition_number="0" start_sector="40"/></data>'
    )
    return folder


@pytest.mark.usefixtures("no_dummies")
def test_a_package_brings_its_own_images(edl: Edl, tmp_path: Path) -> None:
    rom = package(tmp_path / "rom")
    (rom / "prog.elf").write_bytes(LOADER.read_bytes())
    config(rom)
    result = edl("--virtual", EMMC, "rawprogram", rom, "--dry-run")
    assert "loader   qsahara_device_programmer.xml, 44 KiB" in result.err
    assert result.status == 0
    (rom / "prog.elf").write_bytes(GOOD["v3.mbn"])
    result = edl("--virtual", EMMC, "rawprogram", rom, "--dry-run")
    assert result.status == 7
    assert "No loader fits the phone. qsahara_device_programmer.xml: It is made for" in result.err


@pytest.mark.usefixtures("no_dummies")
def test_the_collection_helps_a_package_without_a_fitting_loader(edl: Edl, tmp_path: Path) -> None:
    rom = package(tmp_path / "rom")
    (rom / "prog.elf").write_bytes(GOOD["v3.mbn"])
    assert edl("--virtual", EMMC, "rawprogram", rom, "--dry-run").status == 7
    edl("loaders", "add", LOADER)
    result = edl("--virtual", EMMC, "rawprogram", rom, "--dry-run")
    assert result.status == 0
    assert f"loader   {LOADER.name}" in result.err


def test_pip_puts_the_dummies_where_they_are_looked_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPO / "setup.cfg")
    data_files = dict(setup["options.data_files"])
    place = next(each for each in data_files if each.endswith("/loaders"))
    pattern = data_files[place]
    assert Path(sys.prefix, place) in loading.test_folders()
    assert len(list(REPO.glob(pattern))) == 5
    assert LOADER in REPO.glob(pattern)
