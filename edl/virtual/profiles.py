# SPDX-License-Identifier: BSD-3-Clause
"""The virtual phones to choose from, and how a command line names one.

    PROFILE[,KEY=VALUE]...

    size=64GiB          size of the eMMC, or of LUN 0 of the UFS (1 MiB to 2 TiB)
    luns=1GiB+8MiB+...  size of each LUN of the UFS, one to eight
    serial=0x0badcafe   serial number of the chip
    hwid=HEX            identity of the chip: MSM id, OEM id, model id, 16 digits
    pkhash=HEX          hash of the key that it trusts; with one of Qualcomm's default keys, or
                        zeros, none is fused: it starts any loader, whatever its signature
    product=TEXT        USB product string; `none`: the phone has none; `unreadable`: it stalls
    ids=0fce:9dde       USB vendor and product id
    page=2048           NAND: size of a page; `bad=12+40`: erase blocks that are bad, 64 pages each;
                        `bad-reads=skip`: its programmer reads the next good block in their place,
                        `fail`: it does not read them [default: bytes 0xEE]
    sector=4096         NVMe: size of a sector
    driver=qcserial     a driver of the system holds the phone
    usb3=yes            the programmer comes back on the bus at SuperSpeed
    state=NAME          how other programs have left it (see edl.virtual.states)
    lock=xiaomi         the programmer wants a maker's authorisation; `vip`: signed digests;
                        `oplus`, `vivo`: for its storage; `motorola`: it forbids some commands
    restricted=0/0+64   LUN/START+COUNT that a maker's policy refuses; may be repeated
    programmer=mute     the programmer does not work; `chatter`, `garbage`
    streaming=no-reading how a programmer behaves that speaks Streaming Download; names with +
                        between them: `memory`, `old`, `twisted`, `no-crc`, `chatty`, `glued`,
                        `split`, `sluggish`, `foreign`, `trusted`, `small`,
                        `nand`
    sahara=3            version of the boot ROM's protocol, 1 to 3
    images=33+34+13     the boot ROM starts from several images
    questions=refused   the boot ROM does not tell who it is; `ignored`, `silent`
    refuse=0x21         the boot ROM refuses every loader with that Sahara status; `0x21:1` only
                        until its first reset
    flash=read-only     the flash takes no more writes; `forgets`: it acknowledges and keeps none;
                        `worn`, `slow`: stretches of it read badly; `dead`: it does not answer;
                        `unprovisioned`, `blank`: a UFS device without LUNs, that tells of itself
                        when it is asked for one, or that is spoilt by that
    unreadable=0/0+64   LUN/START+COUNT whose reads fail; likewise `unwritable`, `forgotten` (writes
                        are acknowledged and not kept), `zeros` (it reads as zeros), `deadly`
                        (reading makes the phone reset itself) and `hanging` (the programmer hangs)
    life=0x0A/0x0B      codes of the life that the flash has used, 0 (not told) to 11; a UFS phone
                        then has one of the newest programmers, which alone tell it
    pre-eol=3           code of the spare blocks that an eMMC has used, 0 (not told) to 3
    link=40MB/s         the link takes time: how many bytes it moves in a second
    flash-read=90MB/s   so does the flash; likewise `flash-write`, and `flash-hash` for digests
    starts=adb          what it comes back as on USB when it has started: `adb`, `android`,
                        `fastboot`, or `crash` [default: nothing]
    crash=plain         it has crashed and offers its memory: `narrow` (32 bits), `minidump`,
                        `refuses`, `goes-on`, `starts-over`, `lying`, `hostile`, `many`;
                        `plain:2`: another crash
    layout=locked       how the UFS is divided into LUNs is final
    payload=16KiB       largest transfer of data that the programmer takes, a multiple of 512
    fault=FAULT         what goes wrong (see edl.virtual.faults); may be repeated

Chips: their JTAG ids are in the public loader collections, and what their boot ROMs do is in
sahara.md 2.4, 6.1 and 13.2. They trust the public test key of `loaders/`, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edl.errors import UsageError
from edl.identity import known_key
from edl.units import GIB, MIB, parse_number, parse_size
from edl.virtual import changes
from edl.virtual.bootrom import RomConfig
from edl.virtual.descriptors import BOOT_ROM_PROTOCOL, EDL, OLD_PROTOCOL, QUALCOMM
from edl.virtual.faults import Fault, parse_fault
from edl.virtual.imageload import ImageKind
from edl.virtual.nand import NandChip
from edl.virtual.pace import Pace
from edl.virtual.programmer.board import Quirks
from edl.virtual.storage import Faults, Kind
from edl.virtual.streaming import Manners
from edl.virtual.verifier import Fuses
from edl.virtual.wear import CONDITIONS

SERIAL = 0x1A2B3C4D
TEST_ROOT_SHA256 = bytes.fromhex("49d263756c77f48de0411e8c2fda15ba2609800fef300caa47058998ae0b9237")
TEST_ROOT_SHA384 = bytes.fromhex(
    "f0f109acd5853673bac2bf475876fb74dd5b23a7e68393b1"
    "eed3658e0c52a7456d0329b8d2b4b7da49c10c027635b649"
)

_EMMC_SECTORS = {0: 16 * GIB // 512}
_UFS_SECTORS = {0: 2097152, 1: 16384, 2: 16384, 3: 131072, 4: 1048576, 5: 262144}
_MAX_SIZE_BYTES = 2048 * GIB
_MAX_UFS_LUNS = 8
_MAX_LIFE_CODE, _MAX_PRE_EOL_CODE = 11, 3
_NOR_WRITE = 300_000.0  # bytes a second, erase included, as data sheets of such parts have it
_PENDING = 0  # DONE_RESP of MSM8916 and its relatives, though nothing is pending
_PRODUCT = re.compile(r"[ -~]{1,126}")


@dataclass(frozen=True)
class Profile:
    """A model of phone.

    programmer: which programmer its loader holds. storage: what the programmer finds.
    lun_sectors: size of each LUN. product: USB product string where it does not follow from the
    serial number; has_product: whether there is one. strings_readable, kernel_driver: see
    UsbDevice. usb_ids: vendor and product id. usb_protocol: bInterfaceProtocol of the boot ROM.
    usb3: the programmer comes back on the bus at SuperSpeed. quirks: of the programmer. state: how
    other programs have left it, a name of `states`; empty for a fresh boot ROM. refuses: status
    with which the boot ROM refuses loaders, and in how many of its starts, None for all. flash:
    what is wrong with the flash; wear: a name of `wear`, in addition. pace: how fast it all is.
    payload_bytes: largest payload, None for that of the real programmer. starts: a name of
    `states.SYSTEMS` that it comes back as when it has started; empty: nothing. life, pre_eol: what
    it says about its wear, where it is not new. crash: what its memory holds when it has crashed, a
    name of `crashes`. locked: how its UFS is divided into LUNs is final. nand: the chip, where
    storage is NAND. nvme_sector_bytes: of NVMe. manners: of a programmer that speaks Streaming
    Download, the kind `streaming`. dmss: its boot ROM is from before Sahara.
    """

    name: str
    title: str
    programmer: Literal["msm8916", "msm8953", "sdm660", "qcm2290", "streaming"]
    rom: RomConfig
    storage: Kind = "emmc"
    lun_sectors: Mapping[int, int] = field(default_factory=lambda: _EMMC_SECTORS)
    product: str | None = None
    has_product: bool = True
    strings_readable: bool = True
    kernel_driver: str | None = None
    usb_ids: tuple[int, int] = (QUALCOMM, EDL)
    usb_protocol: int = OLD_PROTOCOL
    usb3: bool = False
    quirks: Quirks = field(default_factory=Quirks)
    state: str = ""
    refuses: tuple[int, int | None] | None = None
    flash: Faults = field(default_factory=Faults)
    wear: str = ""
    pace: Pace = field(default_factory=Pace)
    payload_bytes: int | None = None
    life: tuple[int, int] | None = None
    pre_eol: int | None = None
    starts: str = ""
    nand: NandChip = field(default_factory=NandChip)
    nvme_sector_bytes: int = 512
    crash: str = "plain"
    manners: Manners = field(default_factory=Manners)
    dmss: bool = False
    locked: bool = False

    @property
    def sector_bytes(self) -> int:
        """Size of a sector."""
        sizes = {"emmc": 512, "nand": self.nand.page_bytes, "nvme": self.nvme_sector_bytes}
        return sizes.get(self.storage, 4096)

    @property
    def usb_product(self) -> str | None:
        """The USB product string, if there is one. A CID of 0412 was seen on one phone."""
        made = f"QUSB_BULK_CID:0412_SN:{self.rom.fuses.serial:08X}"
        return (self.product or made) if self.has_product else None


@dataclass(frozen=True)
class PhoneSpec:
    """One phone: a profile with its changes, and its faults. text: how it was asked for."""

    profile: Profile
    faults: tuple[Fault, ...] = ()
    text: str = ""


def _fuses(
    msm_id: int,
    pk_hash: bytes = TEST_ROOT_SHA256,
    soc_version: int = 0,
    header_version: int = 3,
) -> Fuses:
    return Fuses(
        hwid=msm_id << 32,
        pk_hash=pk_hash,
        soc_version=soc_version,
        serial=SERIAL,
        header_versions=frozenset({header_version}),
    )


_MSM8916 = RomConfig(_fuses(0x007050E1), image_kind=ImageKind.ELF32, done_status=_PENDING)
_MSM8953 = RomConfig(_fuses(0x000460E1), image_kind=ImageKind.ELF32, done_status=_PENDING)
_SDM660 = RomConfig(_fuses(0x0008C0E1, soc_version=0x3006, header_version=5))
_MSM8974 = RomConfig(_fuses(0x007B00E1), image_kind=ImageKind.SBL80)
_QCM2290 = RomConfig(_fuses(0x001860E1, TEST_ROOT_SHA384, soc_version=0x9003, header_version=6))

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("msm8916", "Snapdragon 410, early generation 1, eMMC", "msm8916", _MSM8916),
        Profile("msm8953", "Snapdragon 625, late generation 1, eMMC", "msm8953", _MSM8953),
        Profile(
            "msm8974",
            "Snapdragon 800, eMMC, a programmer that speaks Streaming Download",
            "streaming",
            _MSM8974,
        ),
        Profile(
            "msm7x30",
            "Snapdragon S2, eMMC, DMSS Download and then Streaming Download",
            "streaming",
            _MSM8974,
            has_product=False,
            dmss=True,
        ),
        Profile("sdm660", "Snapdragon 660, generation 2, eMMC", "sdm660", _SDM660),
        Profile(
            "qcm2290",
            "QCM2290, generation 3, eMMC",
            "qcm2290",
            _QCM2290,
            usb_protocol=BOOT_ROM_PROTOCOL,
        ),
        Profile(
            "qcm2290-ufs",
            "QCM2290, generation 3, UFS with six LUNs",
            "qcm2290",
            _QCM2290,
            storage="ufs",
            lun_sectors=_UFS_SECTORS,
            usb_protocol=BOOT_ROM_PROTOCOL,
        ),
        Profile(
            "nand-modem",
            "modem, generation 3, NAND with pages of 4 KiB and two bad blocks",
            "qcm2290",
            _QCM2290,
            storage="nand",
            lun_sectors={0: 2048 * 64},
            nand=NandChip(bad=frozenset({45, 700})),
            payload_bytes=8192,
            usb_protocol=BOOT_ROM_PROTOCOL,
        ),
        Profile(
            "spinor",
            "boot chain of a computer, generation 3, SPI-NOR",
            "qcm2290",
            _QCM2290,
            storage="spinor",
            lun_sectors={0: 64 * MIB // 4096},
            pace=Pace(write=_NOR_WRITE),
            usb_protocol=BOOT_ROM_PROTOCOL,
        ),
        Profile(
            "nvme",
            "system of a computer, generation 3, NVMe",
            "qcm2290",
            _QCM2290,
            storage="nvme",
            lun_sectors={0: 64 * GIB // 512},
            usb_protocol=BOOT_ROM_PROTOCOL,
        ),
    )
}


def parse_spec(text: str) -> PhoneSpec:
    """Return the phone that text asks for.

    Raises:
        UsageError: there is no such profile or key, or a value is wrong.
    """
    name, *options = text.split(",")
    profile = PROFILES.get(name)
    if profile is None:
        raise UsageError(
            f"There is no virtual phone '{name}'.",
            remedies=(f"Choose one of {', '.join(PROFILES)}, or a folder with a saved phone.",),
        )
    faults = []
    for option in options:
        key, _, value = option.partition("=")
        if key == "fault":
            faults.append(parse_fault(value))
            continue
        if key not in _CHANGES:
            raise UsageError(
                f"A virtual phone has no '{key}'.",
                remedies=(f"Choose one of {', '.join(_CHANGES)}, fault.",),
            )
        try:
            profile = _CHANGES[key](profile, value)
        except ValueError as error:
            raise UsageError(
                f"The virtual phone's '{key}' cannot be '{value}': {error}."
            ) from error
    return PhoneSpec(profile, tuple(faults), text)


def _with_size(profile: Profile, text: str) -> Profile:
    size = parse_size(text)
    if not MIB <= size <= _MAX_SIZE_BYTES or size % profile.sector_bytes:
        raise ValueError("storage has 1 MiB to 2 TiB, in whole sectors")
    sectors = {**profile.lun_sectors, 0: size // profile.sector_bytes}
    return replace(profile, lun_sectors=sectors)


def _with_luns(profile: Profile, text: str) -> Profile:
    if profile.storage != "ufs":
        raise ValueError("only UFS has LUNs of any size")
    sizes = [parse_size(size) for size in text.split("+")]
    if len(sizes) > _MAX_UFS_LUNS or any(size % profile.sector_bytes for size in sizes):
        raise ValueError(f"it has one to {_MAX_UFS_LUNS} LUNs, in whole sectors")
    if not all(MIB <= size <= _MAX_SIZE_BYTES for size in sizes):
        raise ValueError("a LUN has 1 MiB to 2 TiB")
    sectors = {number: size // profile.sector_bytes for number, size in enumerate(sizes)}
    return replace(profile, lun_sectors=sectors)


def _with_fuses(profile: Profile, **changes: int | bytes) -> Profile:
    fuses = replace(profile.rom.fuses, **changes)  # type: ignore[arg-type]
    return replace(profile, rom=replace(profile.rom, fuses=fuses))


def _with_serial(profile: Profile, text: str) -> Profile:
    serial = parse_number(text)
    if serial >= 1 << 32:
        raise ValueError("a serial number has 32 bits")
    return _with_fuses(profile, serial=serial)


def _with_hwid(profile: Profile, text: str) -> Profile:
    return _with_fuses(profile, hwid=int.from_bytes(_hex(text, {8})))


def _with_pk_hash(profile: Profile, text: str) -> Profile:
    digest = _hex(text, {32, 48})
    key = known_key(digest)
    fused = any(digest) if key is None else key.fused
    return _with_fuses(profile, pk_hash=digest, secure_boot=fused)


def _hex(text: str, sizes: set[int]) -> bytes:
    data = bytes.fromhex(text.removeprefix("0x"))
    if len(data) not in sizes:
        raise ValueError(f"it has {' or '.join(str(2 * size) for size in sorted(sizes))} digits")
    return data


def _with_product(profile: Profile, text: str) -> Profile:
    if text == "none":
        return replace(profile, has_product=False)
    if text == "unreadable":
        return replace(profile, strings_readable=False)
    if not _PRODUCT.fullmatch(text):
        raise ValueError("it has 1 to 126 printable characters")
    return replace(profile, product=text)


def _with_ids(profile: Profile, text: str) -> Profile:
    match = re.fullmatch(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})", text)
    if match is None:
        raise ValueError("it is two numbers of four hex digits")
    return replace(profile, usb_ids=(int(match[1], 16), int(match[2], 16)))


def _with_driver(profile: Profile, text: str) -> Profile:
    if not re.fullmatch(r"\w{1,32}", text):
        raise ValueError("that is no name of a driver")
    return replace(profile, kernel_driver=text)


def _with_usb3(profile: Profile, text: str) -> Profile:
    if text not in {"yes", "no"}:
        raise ValueError("it is yes or no")
    return replace(profile, usb3=text == "yes")


def _with_flash(profile: Profile, text: str) -> Profile:
    if text not in CONDITIONS:
        raise ValueError(f"it is {', '.join(CONDITIONS)}")
    if text in {"unprovisioned", "blank"} and profile.storage != "ufs":
        raise ValueError("only UFS has a layout that can be missing")
    return replace(profile, wear=text)


def _with_layout(profile: Profile, text: str) -> Profile:
    if profile.storage != "ufs":
        raise ValueError("only UFS has a layout that can be locked")
    if text not in {"open", "locked"}:
        raise ValueError("it is open or locked")
    return replace(profile, locked=text == "locked")


def _with_bad(kind: str) -> Callable[[Profile, str], Profile]:
    """Return the change that adds an extent to those of that kind."""

    def change(profile: Profile, text: str) -> Profile:
        extents = (*getattr(profile.flash, kind), changes.extent(text))
        flash = replace(profile.flash, **{kind: extents})  # type: ignore[arg-type]
        return replace(profile, flash=flash)

    return change


def _with_life(profile: Profile, text: str) -> Profile:
    codes = [parse_number(part) for part in text.split("/")]
    if len(codes) != 2 or max(codes) > _MAX_LIFE_CODE:
        raise ValueError("it is two codes from 0 to 11, such as 1/2")
    return replace(profile, life=(codes[0], codes[1]))


def _with_pre_eol(profile: Profile, text: str) -> Profile:
    code = parse_number(text)
    if profile.storage != "emmc":
        raise ValueError("no programmer tells it of UFS")
    if code > _MAX_PRE_EOL_CODE:
        raise ValueError("it is a code from 0 to 3")
    return replace(profile, pre_eol=code)


def _with_page(profile: Profile, text: str) -> Profile:
    size = parse_size(text)
    if profile.storage != "nand":
        raise ValueError("only NAND has pages")
    if size not in {2048, 4096}:
        raise ValueError("a page has 2048 or 4096 bytes")
    return replace(profile, nand=replace(profile.nand, page_bytes=size))


def _with_sector(profile: Profile, text: str) -> Profile:
    size = parse_size(text)
    if profile.storage != "nvme" or size not in {512, 4096}:
        raise ValueError("the sectors of NVMe have 512 or 4096 bytes, those of others are fixed")
    total = profile.lun_sectors[0] * profile.sector_bytes
    return replace(profile, nvme_sector_bytes=size, lun_sectors={0: total // size})


def _with_bad_blocks(profile: Profile, text: str) -> Profile:
    if profile.storage != "nand":
        raise ValueError("only NAND has erase blocks")
    blocks = frozenset(parse_number(each) for each in text.split("+")) if text else frozenset()
    return replace(profile, nand=replace(profile.nand, bad=blocks))


def _with_bad_reads(profile: Profile, text: str) -> Profile:
    if profile.storage != "nand" or text not in {"filler", "skip", "fail"}:
        raise ValueError("of NAND, it is filler, skip or fail")
    return replace(profile, nand=replace(profile.nand, bad_reads=text))  # type: ignore[arg-type]


_CHANGES: dict[str, Callable[[Profile, str], Profile]] = {
    "size": _with_size,
    "serial": _with_serial,
    "hwid": _with_hwid,
    "pkhash": _with_pk_hash,
    "product": _with_product,
    "ids": _with_ids,
    "driver": _with_driver,
    "usb3": _with_usb3,
    "flash": _with_flash,
    "luns": _with_luns,
    "layout": _with_layout,
    "page": _with_page,
    "sector": _with_sector,
    "bad": _with_bad_blocks,
    "bad-reads": _with_bad_reads,
    **{
        kind: _with_bad(kind)
        for kind in ("unreadable", "unwritable", "forgotten", "zeros", "deadly", "hanging")
    },
    "life": _with_life,
    "pre-eol": _with_pre_eol,
    **changes.CHANGES,
}
