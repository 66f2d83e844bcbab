# SPDX-License-Identifier: BSD-3-Clause
"""Documents of packages: XML, scripts, lists, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from edl.chunks import BytesContent
from edl.device.extras import REFUSED, raw_commands
from edl.device.provisioning import rows
from edl.errors import DocumentError, PackageError, UsageError
from edl.formats import blockimage, expressions, lonely, rescuemap, selection
from edl.formats.blockimage import BlockImage
from edl.formats.crclist import read_crclist
from edl.formats.flashfile import is_flashfile, read_flashfile
from edl.formats.flashmap import read_flashmap
from edl.formats.flashscript import read_anti_version, read_script
from edl.formats.metabuild import read_metabuild
from edl.formats.oplussettings import is_settings, plain_rows, read_settings
from edl.formats.provision import MAX_LUNS, read_provision
from edl.formats.rawprogram import PatchRow, ProgramRow, read_rawprogram
from edl.formats.sahara_config import is_sahara_config, read_sahara_config
from edl.formats.xml import read_document
from tests import builds, packs
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    drain,
    look_at,
    require,
    require_printable,
)
from tests.packages import motos, test_installers, test_oplus
from tests.packages.making import rawprogram
from tests.unit.test_blockimage import LISTS
from tests.unit.test_provision import lun, whole
from tests.unit.test_sahara_config import KAANAPALI

_DISK = 61_071_360  # sectors


def _xml(data: bytes) -> None:
    for element in read_document(data, "a.xml").root.walk():
        require_printable(element.tag)


def _xml_seeds() -> Iterator[bytes]:
    yield rawprogram({"boot": "boot.img"})
    yield KAANAPALI
    yield "<?xml version='1.0' encoding='utf-16'?><a b='\u00e9'><!-- c -->x</a>".encode("utf-16")
    yield b'\xef\xbb\xbf<?xml version="1.0" encoding="iso-8859-1"?><a b="\xe9"/>'
    yield b"<a>&amp;&#65;<![CDATA[<x>]]></a><!-- behind -->"
    yield b"<a>" * 20 + b"</a>" * 20


def _rawprogram(data: bytes) -> None:
    rows = read_rawprogram(data, "a.xml")
    look_at(rows)
    for row in rows.of(ProgramRow):
        _resolved(row.start)
    for patch in rows.of(PatchRow):
        require(patch.size_in_bytes in {1, 2, 4, 8}, "a patch of an odd size")


def _resolved(expression: expressions.Expression) -> None:
    try:
        value = expressions.resolve(expression, _DISK)
    except DocumentError:
        return
    require(0 <= value < 1 << 64, "a sector number of more than 64 bits")


def _rawprogram_seeds() -> Iterator[bytes]:
    yield packs.document(
        packs.program("boot.img", readbackverify="true", sparse="false"),
        packs.program("", "NUM_DISK_SECTORS-33.", 0, "BackupGPT", file_sector_offset=0),
        packs.erase(0, 34),
        packs.read("persist.img", 100, 8),
        packs.patch("NUM_DISK_SECTORS-1.", 16, 4, "CRC32(NUM_DISK_SECTORS-33.,92)"),
        packs.patch(1, 48, 8, "NUM_DISK_SECTORS-34.", what="last usable"),
        '<power value="reset" delayinseconds="1"/>',
    ).encode()
    for path in sorted(builds.SOURCES.glob("apq8016*/*.xml")):
        lines = path.read_bytes().strip().splitlines(keepends=True)
        yield b"".join(lines[: min(8, len(lines) - 1)] + lines[-1:])


def _expressions(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (expressions.parse_value, expressions.parse):
        try:
            found = read(text)
        except DocumentError:
            continue
        if isinstance(found, expressions.Expression):
            look_at(found)
            _resolved(found)


def _expression_seeds() -> Iterator[bytes]:
    for text in (
        "131072", "NUM_DISK_SECTORS-33.", "-33", "0x10", "(1+2)*3-(NUM_DISK_SECTORS-4)",
        "CRC32(NUM_DISK_SECTORS-33.,92)", "CRC32(2,4096)",
    ):  # fmt: skip
        yield text.encode()


def _flashfile(data: bytes) -> None:
    is_flashfile(data[:600])
    look_at(read_flashfile(data, "flashfile.xml"))


def _flashfile_seeds() -> Iterator[bytes]:
    yield motos.document(
        motos.step("flash", "partition", "gpt.bin", b"1"),
        *(motos.step("flash", "system", f"system.img_sparsechunk.{n}") for n in (10, 9, 1)),
        motos.step("erase", "modemst1"),
    )


def _metabuild(data: bytes) -> None:
    found = read_metabuild(data, "contents.xml")
    look_at(found)
    for entry in found.entries:
        require(not PurePosixPath(entry.path).is_absolute(), "a path from the root")
        require_printable(entry.path)
    found.of("rawprogram", "ufs", "asic")


def _metabuild_seeds() -> Iterator[bytes]:
    yield test_installers.contents(
        test_installers.element("device_programmer", "prog.elf", "../x/", 'firehose_type="ddr"')
    )


def _settings(data: bytes) -> None:
    is_settings(data[:600])
    found = read_settings(data, "settings.xml")
    look_at(found)
    look_at(plain_rows(found.name, found.rows))


def _settings_seeds() -> Iterator[bytes]:
    place = 'FileOffsetInSrc="12" SizeInByteInSrc="3000" SizeInSectorInSrc="6"'
    text = test_oplus.settings(
        '<ProjectConfig><project project="1" filename="a"/></ProjectConfig>',
        '<Patch0><patch start_sector="1" byte_offset="16" size_in_bytes="4" value="0" what="x"'
        ' filename="DISK" physical_partition_number="0" SECTOR_SIZE_IN_BYTES="4096"/></Patch0>',
    )
    for name in test_oplus.FILES:
        text = text.replace("{" + name + "}", place)
    yield text.encode()


def _provision(data: bytes) -> None:
    found = read_provision(data, "provision.xml")
    look_at(found)
    require(0 < len(found.enabled) <= MAX_LUNS, "a device with that many LUNs")
    require(found.grows in {row.lun for row in found.enabled}, "a LUN that grows and is not there")
    require(found.locks in {True, False}, "a lock that is neither open nor closed")
    for xml in rows(found, commit=True):
        require(len(xml) < 512, "a row longer than a packet")


def _sahara_config(data: bytes) -> None:
    is_sahara_config(data[:600])
    found = read_sahara_config(data, "sahara.xml")
    require(all(0 < number < 128 for number in found.images), "an image id that none can have")


def _lonely(data: bytes) -> None:
    """The three documents in Motorola's containers; each kind refuses those of the others."""
    for read in (lonely.offers, lonely.parts, lonely.recipe):
        try:
            look_at(read(data, "x.xml"))
        except DocumentError:
            continue


def _lonely_seeds() -> Iterator[bytes]:
    yield b'<index><package compatible="protocol:fastboot cpu.name:MSM8953" filename="x"/></index>'
    yield b'<package><recipe filename="x.xml"/><programmer filename="p.mbn"/></package>'
    yield (
        b'<recipe><flash partition="partition:0" filename="gpt_main0.bin"/>'
        b'<flash partition="aboot" filename="aboot.mbn"/><erase partition="x"/></recipe>'
    )


def _flashmap_seeds() -> Iterator[bytes]:
    named = test_installers.layout("l", {"13": "a", "0x26": "b"}, "spinor", "ufs")
    yield test_installers.flashmap(named, test_installers.layout())


def _script(data: bytes) -> None:
    found = read_script(data, "flash_all.sh")
    look_at(found)
    list(found.of("flash"))
    read_anti_version(data)


def _script_seeds() -> Iterator[bytes]:
    yield (
        b'CURRENT_ANTI_VER=3\nver=`fastboot $* getvar anti 2>&1 | grep -oP "anti: \\K[0-9]+"`\n'
        b'fastboot $* getvar product 2>&1 | grep -E "^product: *(lavender|tulip)$"\n'
        b"fastboot $* flash boot_ab `dirname $0`/images/boot.img || handle_error\n"
        b"#fastboot $* flash x `dirname $0`/images/x.bin\nfastboot $* erase boot_ab\n"
        b"fastboot $* set_active a\nfastboot $* reboot\n"
    )
    yield (
        b'fastboot %* flash xbl %~dp0images\\xbl.elf || @echo "error" && exit /B 1\r\n'
        b"::fastboot %* flash hidden %~dp0images\\hidden.img\r\nset CURRENT_ANTI_VER=4\r\n"
        b"for /f \"tokens=2 delims=: \" %%i in ('fastboot %* getvar anti') do (set version=%%i)\r\n"
    )
    yield b" 3\n"


def _transfer_list(data: bytes) -> None:
    found = blockimage.read(data)
    look_at(found)
    if found.data_bytes <= MOST_READ_BYTES:
        drain(BlockImage(found, BytesContent(bytes(found.data_bytes))))


def _logical(data: bytes) -> None:
    require(min(blockimage.read_logical(data).values(), default=0) >= 0, "a size below nothing")


def _names(data: bytes) -> None:
    names = data.decode("utf-8", "replace").split("\n")
    for upgrade in (False, True):
        try:
            found = selection.select(names, upgrade=upgrade)
        except PackageError:
            continue
        look_at(found)
        require({*found.rawprograms, *found.patches} <= {*names}, "a file that is not there")


def _name_seeds() -> Iterator[bytes]:
    yield b"\n".join(
        f"{name}{number}{more}.xml".encode()
        for name in ("rawprogram", "patch")
        for number in (0, 1, "")
        for more in ("", "_unsparse", "_BLANK_GPT", "_WIPE_PARTITIONS", "_upgrade")
    )
    yield b"rawprogram_unsparse0-half.xml\nerase.xml\nwipe_rawprogram_PHY7.xml\nboot.img"


_ROWS = (
    b"<program ", b"<patch ", b"<erase ", b"<read ", b"<data>", b"</data>", b"start_sector=",
    b"num_partition_sectors=", b"NUM_DISK_SECTORS", b"CRC32(", b"physical_partition_number=",
    b"SECTOR_SIZE_IN_BYTES=", b"size_in_bytes=", b"byte_offset=", b'filename="', b'sparse="true"',
    b'<?xml version="1.0" encoding="', b"<!DOCTYPE x [", b'<!ENTITY x "y">', b"&x;", b"utf-16",
)  # fmt: skip


def _rescue_map(data: bytes) -> None:
    found = rescuemap.parse(data)
    runs = list(found)
    look_at(runs)
    require(runs[0].start == 0 and runs[-1].end == found.size_bytes, "not all is told of")
    require(all(one.end == two.start for one, two in pairwise(runs)), "blocks with holes")
    require(list(rescuemap.parse(found.text().encode())) == runs, "another map than was written")
    unit = 512
    if found.size_bytes < MOST_READ_BYTES:
        fitted = found.fitted(-(-found.size_bytes // unit) * unit, unit)
        require(all(run.size % unit == 0 for run in fitted), "parts of sectors")


def _rescue_map_seeds() -> Iterator[bytes]:
    yield (
        b"# Mapfile. Created by GNU ddrescue version 1.27\n0x00010000     *               1\n"
        b"0x00000000  0x00010000  +\n0x00010000  0x00000200  *\n0x00010200  0x0003FE00  ?\n"
    )
    yield b"0 ?\n0x10 010 + # octal\n24 8 -\n32 8 /\n"


def _raw(data: bytes) -> None:
    for tag, document in raw_commands(data, "commands.xml"):
        require(tag not in REFUSED, "a command that is refused")
        require(document.count(b"<data>") == 1, "not one document")


TARGETS = (
    Target("rescuemap", ("edl.formats.rescuemap",), _rescue_map, _rescue_map_seeds,
           words=(b"0x", b"+\n", b"-\n", b"*\n", b"/\n", b"?\n", b"F", b"#", b"010", b"7FFF")),
    Target("xml", ("edl.formats.xml",), _xml, _xml_seeds, words=_ROWS),
    Target(
        "rawprogram", ("edl.formats.rawprogram", "edl.formats.attributes"), _rawprogram,
        _rawprogram_seeds, words=_ROWS,
    ),
    Target(
        "expression", ("edl.formats.expressions",), _expressions, _expression_seeds,
        words=(b"NUM_DISK_SECTORS", b"CRC32(", b"(", b")", b"*", b"/", b"-", b"+", b"."),
        most_bytes=2000,
    ),
    Target("flashfile", ("edl.formats.flashfile",), _flashfile, _flashfile_seeds, words=(
        b"<step ", b'operation="flash" ', b'partition="x" ', b'filename="y_sparsechunk.1" ',
        b'MD5="', b"sha256=",
    )),
    Target("metabuild", ("edl.formats.metabuild",), _metabuild, _metabuild_seeds, words=(
        b"<file_name>", b"<file_path>", b"<build>", b"<pf>", b"${a:b}", b"../", b"</build>",
    )),
    Target(
        "oplus-settings", ("edl.formats.oplussettings",), _settings, _settings_seeds, words=_ROWS,
    ),
    Target(
        "provision", ("edl.formats.provision",), _provision,
        lambda: [whole(luns=(lun(5, bLUEnable=0, size_in_kb=0),))],
        words=(b"<ufs ", b'LUNum="', b'bConfigDescrLock="1"', b'size_in_kb="', b'LUNtoGrow="',
               b'commit="', b'desc="', b"0x0c", b"0x7F"),
    ),
    Target(
        "raw-commands", ("edl.device.extras",), _raw,
        lambda: [b"<nop/>", b'<data><getstorageinfo physical_partition_number="0"/><nop/></data>'],
        (DocumentError, UsageError),
        (b"<data>", b"<power ", b"<erase ", b' a="1"', b"<ufs ", b"/>"),
    ),
    Target("sahara-config", ("edl.formats.sahara_config",), _sahara_config, lambda: [KAANAPALI]),
    Target("motorola-documents", ("edl.formats.lonely",), _lonely, _lonely_seeds, words=(
        b'partition="partition:1"', b'compatible="', b"protocol:", b"cpu.name:",
    )),
    Target(
        "flashmap", ("edl.formats.flashmap",), lambda data: look_at(read_flashmap(data, "f.json")),
        _flashmap_seeds, words=(b'"13":', b"null", b"true", b"1e9", b'"slot":'),
    ),
    Target("flash-script", ("edl.formats.flashscript",), _script, _script_seeds, words=(
        b"fastboot $* flash ", b"erase ", b"`dirname $0`/images/", b"%~dp0images\\", b"anti",
        b"CURRENT_ANTI_VER=", b"|| ", b"&& ", b"product: *(",
    )),
    Target(
        "crc-list", ("edl.formats.crclist",), lambda data: read_crclist(data, "crclist.txt"),
        lambda: [b"CRC-LIST\nboot 0x1234abcd\nxbl_a   0xA\n"],
    ),
    Target(
        "transfer-list", ("edl.formats.blockimage",), _transfer_list, LISTS.values, words=(
            b"new 2,0,1\n", b"zero ", b"erase ", b"stash ", b"bsdiff ", b"free ",
        ),
    ),
    Target(
        "logical-list", ("edl.formats.blockimage",), _logical,
        lambda: [b"# ops\nremove_all_groups\nadd_group g 4096\nadd system g\nresize system 4096\n"],
    ),
    Target(
        "package-names", ("edl.formats.selection",), _names, _name_seeds,
        words=(b"rawprogram", b"_unsparse", b"patch", b".xml", b"\n", b"0", b"_upgrade"),
    ),
)  # fmt: skip
