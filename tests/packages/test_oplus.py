# SPDX-License-Identifier: BSD-3-Clause
"""OnePlus' and Oppo's containers, from the file to what is on a virtual phone."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from Crypto.Cipher import AES

from edl.chunks import BytesContent
from edl.errors import DocumentError, ImageError, PackageError
from edl.formats import ops
from edl.formats.oplussettings import plain_rows, read_settings
from edl.formats.rawprogram import ProgramRow, read_rawprogram
from edl.packages import whole
from edl.plan.model import Geometry
from tests import dumps, phones
from tests.conftest import REPO, shared
from tests.packages import opluses
from tests.packages.installing import held, install, opened, plan
from tests.packages.making import noise
from tests.packages.opluses import container, ofp_cipher, ofp_head, ops_cipher, padded_sha256, plain
from tests.packs import EMMC

LOADER = (REPO / "loaders" / "prog_emmc_firehose_8953_test.mbn").read_bytes()
TABLE = dumps.table(4096, {"boot": 400, "userdata": 0}, unit=4096).images().primary
BOOT, ABL = noise(300_000), noise(5000, 2)
UFS = phones.spec("sdm660", storage="ufs")
ROW = 'SECTOR_SIZE_IN_BYTES="4096" file_sector_offset="0"'


def settings(*more: str) -> str:
    """Return a document of an ops file, as public tools describe it."""
    return "\n".join([
        '<?xml version="1.0" encoding="utf-8"?>', "<Setting>",
        '<BasicInfo Project="18801" Version="fajita_41"/>',
        '<SAHARA><File ID="13" Path="prog.elf" {prog.elf}/></SAHARA>',
        '<UFS_PROVISION><File Path="provision.xml" {provision.xml}/></UFS_PROVISION>',
        "<Program0>",
        f'<program {ROW} label="PrimaryGPT" num_partition_sectors="6" start_sector="0">'
        f'<Image filename="gpt.bin" sparse="false" {{gpt.bin}} Sha256="{padded_sha256(TABLE)}"/>'
        "</program>",
        f'<program {ROW} label="boot_a" num_partition_sectors="100" start_sector="12">'
        f'<Image filename="boot.img" sparse="false" {{boot.img}} Sha256="{padded_sha256(BOOT)}"/>'
        "</program>",
        f'<program {ROW} label="userdata" num_partition_sectors="8" start_sector="112">'
        '<Image filename="boot.img" sparse="false" {boot.img} Sha256="0"/></program>',
        f'<program {ROW} label="ssd" num_partition_sectors="2" start_sector="130">'
        '<Image filename="" sparse="false" FileOffsetInSrc="0" Sha256="0"/></program>',
        "</Program0>", "<Program4>",
        f'<program {ROW} label="abl_a" filename="abl.elf" sparse="false" {{abl.elf}}'
        f' Sha256="{padded_sha256(ABL)}" num_partition_sectors="100" start_sector="6"/>',
        "</Program4>", *more, "</Setting>",
    ])  # fmt: skip


FILES = {
    "prog.elf": (LOADER, ops_cipher),
    "provision.xml": (b"<data><ufs/></data>", plain),
    "gpt.bin": (TABLE, plain),
    "boot.img": (BOOT, plain),
    "abl.elf": (ABL, plain),
}
OPS = container(FILES, settings(), ops_cipher)


def save(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def on_phone(path: Path, **options: str) -> None:
    """Install the package at path, and look at what it came to."""
    package = opened(path, **options)[0]
    with phones.plug(UFS) as bench:
        install(bench, package)
        assert held(bench, 0, 6) == TABLE
        assert held(bench, 12, 74) == BOOT.ljust(74 * 4096, b"\0")
        assert held(bench, 6, 2, 4) == ABL.ljust(8192, b"\0")
        assert held(bench, 112, 1) == bytes(4096)


def test_an_ops_with_the_users_keys(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    path = save(tmp_path / "fajita.ops", OPS)
    package, told = opened(path)
    assert (told.kind, told.devices) == ("OnePlus package (ops)", ("project 18801",))
    assert told.version == "fajita_41"
    assert [name for name, _ in package.left_out] == ["provision.xml", "userdata"]
    (loader,) = package.loaders
    assert loader.read_bytes() == LOADER
    on_phone(path)


def test_a_key_file_elsewhere(tmp_path: Path) -> None:
    keys = opluses.save_keys(tmp_path)
    long = opluses.MBOX + bytes(44) + b"\x0a\0"
    keys.write_text(opluses.KEYS.replace(opluses.MBOX.hex(), long.hex()))
    path = save(tmp_path / "fajita.ops", OPS)
    assert opened(path, keys=str(keys))[0].loaders


def test_without_keys_it_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"project 18801, firmware fajita_41_J\.42") as caught:
        opened(save(tmp_path / "fajita.ops", OPS))
    assert "there is no key at hand" in caught.value.message
    assert "keys.toml" in caught.value.remedies[0]
    assert "settings.xml" in caught.value.remedies[1]


def readable(tmp_path: Path) -> Path:
    """Write the document of OPS beside it, as another tool gives it."""
    found = ops.find(BytesContent(OPS))
    assert found is not None
    at, size = found.places[0]
    key = ops.OpsKey("", opluses.OPS_IV, opluses.MBOX)
    return save(tmp_path / "settings.xml", ops.decipher(OPS[at : at + size], key))


@pytest.mark.parametrize("how", ["beside", "folder", "named"])
def test_a_document_in_plain_makes_keys_needless(how: str, tmp_path: Path) -> None:
    path = save(tmp_path / "fajita.ops", OPS)
    document = readable(tmp_path)
    if how == "named":
        document = document.rename(tmp_path / "mine.xml")
        on_phone(path, settings=str(document))
    else:
        on_phone(path if how == "beside" else tmp_path)
    source = path if how != "folder" else tmp_path
    options = {"settings": str(document)} if how == "named" else {}
    package = opened(source, **options)[0]
    assert (
        "prog.elf",
        "this loader is encrypted, and there is no key: give one with --loader",
    ) in (package.left_out)


def test_a_document_in_plain_and_the_key_for_the_loader(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    readable(tmp_path)
    (loader,) = opened(save(tmp_path / "fajita.ops", OPS))[0].loaders
    assert loader.read_bytes() == LOADER


def test_a_container_that_was_never_encrypted(tmp_path: Path) -> None:
    # a file that begins with a loader would be taken for one
    files = {"gpt.bin": FILES["gpt.bin"]} | FILES | {"prog.elf": (LOADER, plain)}
    path = save(tmp_path / "a.ops", container(files, settings(), plain))
    (loader,) = opened(path)[0].loaders
    assert loader.read_bytes() == LOADER
    on_phone(path)


def test_what_another_tool_has_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "extract"
    folder.mkdir()
    readable(folder)
    for name, (data, _) in FILES.items():
        save(folder / name, data)
    on_phone(folder)
    save(folder / "boot.img", BOOT[:-1] + b"x")
    with pytest.raises(ImageError, match=r"boot\.img is damaged: its checksum \(SHA-256\)"):
        whole.verify(opened(folder)[0].files)
    (folder / "abl.elf").unlink()
    missing = plan(opened(folder)[0], Geometry("ufs", 4096, {0: 4096, 4: 2048}))
    assert "'abl.elf' is missing." in [found.message for found in missing.findings]


@pytest.mark.parametrize("beside", [False, True])
def test_inside_a_zip_file(beside: bool, tmp_path: Path, data_home: Path) -> None:
    path = tmp_path / "fajita.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fajita/fajita.ops", OPS)
        archive.writestr("fajita/readme.txt", "flash me")
        if beside:
            archive.writestr("fajita/settings.xml", readable(tmp_path).read_bytes())
        else:
            opluses.save_keys(data_home)
    on_phone(path)


def test_an_old_key_does_not_open_it(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home, opluses.KEYS.replace(opluses.MBOX.hex(), "00" * 16))
    with pytest.raises(PackageError, match="none of the keys at hand opens it"):
        opened(save(tmp_path / "fajita.ops", OPS))


def test_two_containers_in_a_folder(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    for name in ("a.ops", "b.ops"):
        save(tmp_path / name, OPS)
    with pytest.raises(PackageError, match="holds several packages"):
        opened(tmp_path)


def test_damage_is_found_by_the_sum(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    data = bytearray(OPS)
    data[OPS.index(BOOT[:100]) + 200_000] ^= 1
    package = opened(save(tmp_path / "a.ops", bytes(data)))[0]
    with pytest.raises(ImageError, match=r"a\.ops/boot\.img is damaged: its checksum \(SHA-256\)"):
        whole.verify(package.files)


# -- ofp ----------------------------------------------------------------------------------------


def profile(*more: str, sector: str = 'SECTOR_SIZE_IN_BYTES="512" ') -> str:
    first = hashlib.md5(BOOT[:0x40000], usedforsecurity=False).hexdigest()
    return "\n".join([
        '<?xml version="1.0" ?>', "<ProFile>", '<BasicInfo Project="15103" Version="R9s"/>',
        '<Sahara><File Id="13" Path="prog.mbn" {prog.mbn} md5=""/></Sahara>',
        '<Data><program skip_download="0" not_overwrite="0" sparse="0" filepath="" label="boot"'
        f' file_sector_offset="0" filename="boot.img" num_partition_sectors="1000" {{boot.img}}'
        f' md5="{first}" sha256="" start_sector="100" {sector}/>',
        '<program sparse="0" label="aboot" filename="abl.elf" num_partition_sectors="10"'
        f' {{abl.elf}} sha256="{opluses.sha256(ABL)}" start_sector="2000"/>',
        '<program sparse="0" label="spare" filename="abl.elf" num_partition_sectors="10"'
        ' skip_download="1" {abl.elf} start_sector="3000"/>',
        *more, "</Data>",
        '<Config><config filename="a.xml" SizeInByteInSrc="10" SizeInSectorInSrc="0"/></Config>',
        "</ProFile>",
    ])  # fmt: skip


OFP_FILES = {
    "prog.mbn": (LOADER, ofp_cipher),
    "boot.img": (BOOT, ofp_head),
    "abl.elf": (ABL, ofp_head),
    "a.bin": (noise(512, 7), ofp_head),
    "b.bin": (noise(512, 8), ofp_head),
}


@pytest.mark.parametrize("page", [0x200, 0x1000])
def test_an_ofp_with_the_users_keys(page: int, tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    data = container(OFP_FILES, profile(), ofp_cipher, page=page)
    package, told = opened(save(tmp_path / "R9s.ofp", data))
    assert told.kind == "Oppo or Realme package (ofp)"
    assert ("abl.elf", "the package says skip_download") in package.left_out
    (loader,) = package.loaders
    assert loader.read_bytes() == LOADER
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert held(bench, 100, 586) == BOOT.ljust(586 * 512, b"\0")
        assert held(bench, 2000, 10) == ABL.ljust(5120, b"\0")


def test_the_length_of_old_documents_is_not_told(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    data = container(OFP_FILES, profile() + " " * 0x57, ofp_cipher, xml_bytes=10)
    at = len(data) - 0x200
    assert opened(save(tmp_path / "R9s.ofp", data[: at - at % 0x200] + data[at:]))[0].documents


def test_an_ofp_with_a_plain_document_still_wants_its_key(tmp_path: Path, data_home: Path) -> None:
    data = container(OFP_FILES, profile(), ofp_cipher)
    shown = container(OFP_FILES, profile(), plain)
    start = shown.index(b"<?xml")
    save(tmp_path / "ProFile.xml", shown[start : shown.index(b"</ProFile>") + 10])
    path = save(tmp_path / "R9s.ofp", data)
    with pytest.raises(PackageError, match=r"ProFile\.xml is readable, but the files"):
        opened(path)
    opluses.save_keys(data_home)
    assert whole.verify(opened(path)[0].files) == 2


RIVALS = (
    '<program label="{label}" filename="a.bin" num_partition_sectors="4" start_sector="{start}"'
    ' sparse="0" {a}/>'
    '<program label="{label}" filename="b.bin" num_partition_sectors="4" start_sector="{start}"'
    ' sparse="0" {b}/>'
)
PROJECTS = (
    '</Data><ProjectConfig><program project="16017" filename="a.bin"/>'
    '<program project="16027" filename="b.bin"/></ProjectConfig><Data>'
)


def rivals(label: str) -> str:
    return RIVALS.format(label=label, start=4000, a="{a.bin}", b="{b.bin}") + PROJECTS


def test_one_file_for_each_project(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    data = container(OFP_FILES, profile(rivals("CDT")), ofp_cipher)
    path = save(tmp_path / "a.ofp", data)
    package, told = opened(path)
    assert ("projects", "16017, 16027") in told.facts
    (reason,) = [reason for name, reason in package.left_out if name == "CDT"]
    assert "a.bin, b.bin" in reason
    assert "--choose project=16017|16027" in reason
    starts = {step.area.start_sector for step in plan(package, EMMC).steps}
    assert 4000 not in starts
    package = opened(path, project="16027")[0]
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert held(bench, 4000, 1) == noise(512, 8)
    data = container(OFP_FILES, profile(rivals("logo")), ofp_cipher)
    with pytest.raises(PackageError, match=r"several files for logo, .*: a\.bin, b\.bin"):
        opened(save(path, data))
    with pytest.raises(PackageError, match="several files"):
        opened(path, project="1")
    assert opened(path, project="16017")[0].documents


def test_images_by_project(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    row = (
        f'<Program1><program {ROW} label="logo_a" num_partition_sectors="2" start_sector="20">'
        '<Image ID="0" filename="gpt.bin" sparse="false" {gpt.bin}/>'
        '<Image ID="7" filename="abl.elf" sparse="false" {abl.elf}/></program></Program1>'
    )
    files = {"gpt.bin": FILES["gpt.bin"]} | FILES | {"prog.elf": (b"", plain)}
    path = save(tmp_path / "a.ops", container(files, settings(row), ops_cipher))
    with pytest.raises(PackageError, match="several files for logo_a") as caught:
        opened(path)
    assert caught.value.remedies == ("Choose the phone's: --choose project=7.",)
    for project, name in (("7", "abl.elf"), ("8", "gpt.bin")):
        rows = opened(path, project=project)[0].rows
        assert [
            row.filename for row in rows if isinstance(row, ProgramRow) and row.label == "logo_a"
        ] == [name]


def test_the_parts_of_super_by_carrier(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    parts = {f"super.{n}.{c}.img": (noise(512, n), ofp_head) for n in (0, 1) for c in "xy"}
    table = "nv_id,nv_text,super.0,super.1\n" + "".join(
        f"{nv},{text},super.0.{c}.img,super.1.{c}.img\n"
        for nv, text, c in (("10", "europe", "x"), ("20", "india", "y"))
    )
    rows = "".join(
        f'<program label="super" filename="{name}" num_partition_sectors="8" start_sector="5000"'
        f' sparse="0" {{{name}}}/>'
        for name in parts
    )
    xml = profile(
        rows + '</Data><Firmware><File Path="super_map.csv" {super_map.csv}/></Firmware><Data>'
    )
    files = OFP_FILES | parts | {"super_map.csv": (table.encode(), plain)}
    path = save(tmp_path / "a.ofp", container(files, xml, ofp_cipher))
    with pytest.raises(PackageError, match=r"differs by carrier: 10 europe; 20 india\."):
        opened(path)
    rows_of = [row for row in opened(path, nv="20")[0].rows if isinstance(row, ProgramRow)]
    names = [row.filename for row in rows_of if row.label == "super"]
    assert sorted(names) == ["super.0.y.img", "super.1.y.img"]
    one = table.replace("20,india", "20,none").replace(".y.", ".z.")
    files["super_map.csv"] = (one.encode(), plain)
    assert opened(save(path, container(files, xml, ofp_cipher)))[0].documents


def test_two_storages_in_one_document(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    ufs = (
        f'</Data><Program1><program {ROW} label="xbl" filename="a.bin" num_partition_sectors="4"'
        ' start_sector="6" sparse="0" {a.bin}/></Program1><Data>'
    )
    path = save(tmp_path / "a.ofp", container(OFP_FILES, profile(ufs), ofp_cipher))
    package = opened(path)[0]
    assert sorted(package.variants) == [512, 4096]
    assert opened(path, storage="ufs")[0].sector_bytes == 4096


def test_the_table_tells_the_size_of_sectors(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    row = (
        '<program label="PrimaryGPT" filename="gpt.bin" num_partition_sectors="6" start_sector="0"'
        ' sparse="0" {gpt.bin}/>'
    )
    files = OFP_FILES | {"gpt.bin": (TABLE, ofp_head)}
    path = save(tmp_path / "a.ofp", container(files, profile(row, sector=""), ofp_cipher))
    assert opened(path)[0].sector_bytes == 4096


def test_two_files_with_one_name(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    one = 'num_partition_sectors="1"'
    xml = profile(
        f'<program label="x" filename="a.bin" {one} start_sector="4000" {{a.bin}}/>'
        f'<program label="y" filename="a.bin" {one} start_sector="4001" {{b.bin}}/>'
    )
    path = save(tmp_path / "a.ofp", container(OFP_FILES, xml, ofp_cipher))
    with phones.plug("msm8953") as bench:
        install(bench, opened(path)[0])
        assert held(bench, 4000, 2) == noise(512, 7) + noise(512, 8)


# -- what is no good ------------------------------------------------------------------------------


def refused(path: Path, data: bytes) -> str:
    with pytest.raises((PackageError, DocumentError)) as caught:
        opened(save(path, data))
    return caught.value.message


def test_what_is_no_good(tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    path = tmp_path / "a.ofp"
    files = {"gpt.bin": FILES["gpt.bin"]} | FILES | {"prog.elf": (b"", plain)}
    assert "MediaTek" in refused(path, b"no footer" * 100)
    assert "cut off" in refused(path, OPS[:-0x200])
    assert "names a place" in refused(path, container(files, settings(), plain, xml_bytes=1 << 30))
    far = settings().replace("{abl.elf}", 'FileOffsetInSrc="99999" SizeInByteInSrc="5000"')
    assert "should lie at byte 51199488" in refused(path, container(files, far, ops_cipher))
    wrong = settings().replace("{abl.elf}", 'FileOffsetInSrc="x" SizeInByteInSrc="5000"')
    assert "is no size or place" in refused(path, container(files, wrong, ops_cipher))
    none = '<?xml version="1.0"?>' + "<Setting>" + " " * 200 + "</Setting>"
    assert "has no rows" in refused(path, container(files, none, ops_cipher))


@pytest.mark.parametrize("kind", ["ops", "ofp"])
def test_a_loader_larger_than_any(kind: str, tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home)
    huge = 'FileOffsetInSrc="0" SizeInByteInSrc="16777217"'
    files = {"boot.img": (bytes(17 << 20), plain)} | (FILES if kind == "ops" else OFP_FILES)
    files["boot.img"] = (bytes(17 << 20), plain)
    xml, cipher = (settings(), ops_cipher) if kind == "ops" else (profile(), ofp_cipher)
    xml = xml.replace("{prog.elf}", huge).replace("{prog.mbn}", huge)
    package = opened(save(tmp_path / f"a.{kind}", container(files, xml, cipher)))[0]
    assert package.loaders == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ops = 1", r"under a line of its own, \[\[ops\]\]"),
        ("[[ops]]", "has no 'mbox'"),
        ('[[ops]]\nmbox="00"', "'mbox' should have 32 or 124 hexadecimal digits"),
        ('[[ofp]]\nkey="xx"', "'key' should have 32 hexadecimal digits"),
        ("[[lenovo]]", "has no 'word'"),
        ("[", "is no TOML document"),
        ("a = " + "[" * 100_000, "is no TOML document"),
        ("a = " + "9" * 5000, "is no TOML document"),
    ],
)
def test_key_files_that_are_no_good(text: str, words: str, tmp_path: Path, data_home: Path) -> None:
    opluses.save_keys(data_home, text)
    with pytest.raises(DocumentError, match=words):
        opened(save(tmp_path / "a.ops", OPS))


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ops", OPS)
    with pytest.raises(ImageError, match="is not there"):
        opened(path, keys=str(tmp_path / "none"))
    with pytest.raises(ImageError, match="cannot be read"):
        opened(path, keys=str(tmp_path))


def test_keys_as_the_makers_tool_carries_them(tmp_path: Path, data_home: Path) -> None:
    mask, key, iv = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
    opluses.save_keys(
        data_home, f'[[ofp]]\nmask="{mask.hex()}"\nkey="{key.hex()}"\niv="{iv.hex()}"\n'
    )

    def made(value: bytes) -> bytes:
        mixed = bytes(a ^ b for a, b in zip(value, mask, strict=True)).hex()
        swapped = bytes.fromhex("".join(mixed[at + 1] + mixed[at] for at in range(0, 32, 2)))
        return hashlib.md5(swapped, usedforsecurity=False).hexdigest()[:16].encode()

    def cipher(data: bytes) -> bytes:
        return AES.new(made(key), AES.MODE_CFB, iv=made(iv), segment_size=128).encrypt(data)

    files = {name: (data[::-1], plain) for name, (data, _) in OFP_FILES.items()}
    assert opened(save(tmp_path / "a.ofp", container(files, profile(), cipher)))[0].documents


def test_the_document_of_a_real_phone() -> None:
    folder = shared("corpus/msm8953-oppo-r9s")
    found = read_settings((folder / "PROFILE.xml").read_bytes(), "PROFILE.xml")
    rows = plain_rows("PROFILE.xml", found.rows)
    wanted = read_rawprogram((folder / "rawprogram0.xml").read_bytes(), "rawprogram0.xml")

    def told(row: ProgramRow) -> tuple[str, int, int, str]:
        return row.label, row.start.number, row.sectors, row.filename

    # the document says `to the end` where the rows have a number
    mine = {told(row) for row in rows.of(ProgramRow) if row.lun == 0 and row.sectors}
    theirs = {told(row) for row in wanted.of(ProgramRow) if row.label != "userdata"}
    (second,) = {row for row in mine - theirs if "GPT" not in row[0]}
    assert second == ("sec", 412736, 32, "sec_smt.dat")
    assert {row for row in theirs - mine if "GPT" not in row[0]} == set()
    assert {row.filename for row in rows.of(ProgramRow) if row.lun == 2} >= set(
        found.projects.values()
    )
    assert {row.sector_bytes for row in rows.rows} == {512}
