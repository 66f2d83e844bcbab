# SPDX-License-Identifier: BSD-3-Clause
"""NAND, SPI-NOR and NVMe of virtual phones: chips as data sheets have them, programmers as logs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edl.device.firehose import ERASE_TIMEOUT_S
from edl.errors import UsageError
from edl.firehose.commands import Area
from edl.units import MIB
from edl.virtual.nand import BadBlockError, NandChip, NandLun, product
from edl.virtual.profiles import parse_spec
from edl.virtual.programmer import Board
from edl.virtual.storage import FlashProduct, Lun, Storage, plain
from tests import phones
from tests.virtual.dialogue import CONFIGURE, Talk

PAGE = 2048
CHIP = NandChip(PAGE, 64, frozenset({1}))


def test_a_program_clears_bits_and_an_erase_sets_them(tmp_path: Path) -> None:
    nand = NandLun(CHIP, 256, tmp_path)
    assert nand.read(0, 1) == b"\xff" * PAGE
    nand.write(0, b"\x0f" * PAGE)
    nand.write(0, b"\x0f" * PAGE)  # no bit would have to be set
    assert nand.read(0, 1) == b"\x0f" * PAGE
    nand.write(0, b"\xf0" * PAGE)
    with pytest.raises(BadBlockError):
        nand.read(0, 1)  # neither the one nor the other: it cannot be corrected
    nand.flush()
    nand.close()
    nand = NandLun(CHIP, 256, tmp_path)
    with pytest.raises(BadBlockError):
        nand.read(0, 2)
    nand.erase(0, 64)
    assert nand.read(0, 2) == b"\xff" * 2 * PAGE
    nand.close()


def test_blocks_are_erased_whole_and_bad_ones_take_nothing() -> None:
    nand = NandLun(CHIP, 256)
    assert nand.blocks == 4
    for start, count in ((1, 64), (0, 63)):
        with pytest.raises(ValueError, match="no whole blocks"):
            nand.erase(start, count)
    for refused in (
        lambda: nand.erase(0, 128),
        lambda: nand.write(64, bytes(PAGE)),
        lambda: nand.read(63, 2),
    ):
        with pytest.raises(BadBlockError):
            refused()


def talk(chip: NandChip = CHIP) -> tuple[Talk, NandLun]:
    nand = NandLun(chip, 256)
    talk = Talk.start("qcm2290", Board(plain(product(chip), nand)))
    talk.xml(CONFIGURE.replace("emmc", "nand"))
    return talk, nand


def extent(start: int, count: int, more: str = "") -> str:
    return (
        f'SECTOR_SIZE_IN_BYTES="{PAGE}" physical_partition_number="0" start_sector="{start}"'
        f' num_partition_sectors="{count}" {more}'
    )


def test_erases_are_of_whole_blocks_and_step_over_bad_ones() -> None:
    said, nand = talk()
    nand.write(0, bytes(PAGE))
    nand.write(130, bytes(PAGE))
    came = " ".join(said.texts(f"<erase {extent(0, 192)}/>"))
    assert "Erasing start sector 0, num sectors 0" in came  # as SDX55 prints it, whatever is asked
    assert 'R[value="ACK"' in came
    assert nand.read(0, 64) + nand.read(128, 64) == b"\xff" * 128 * PAGE
    assert "start_sector unaligned" in " ".join(said.texts(f"<erase {extent(1, 64)}/>"))
    nand.write(0, bytes(PAGE))
    assert "whole disk" in " ".join(said.texts(f'<erase SECTOR_SIZE_IN_BYTES="{PAGE}" />'))
    assert nand.read(0, 1) == b"\xff" * PAGE


def test_geometry_is_compared_and_nothing_is_patched() -> None:
    said, _ = talk()
    other = 'PAGES_PER_BLOCK="2048"'
    refused = said.texts(f"<read {extent(0, 1, other)}/>")
    assert any("must be equal to disk pages per block 64" in line for line in refused)
    assert any("Invalid range" in line for line in said.texts(f"<read {extent(250, 9)}/>"))
    patch = f'<patch SECTOR_SIZE_IN_BYTES="{PAGE}" start_sector="0" filename="DISK" />'
    assert any("not supported" in line for line in said.texts(patch))
    assert any("ACK" in line for line in said.texts(patch.replace("DISK", "a.bin")))
    assert any("Failed to fix" in line for line in said.texts('<fixgpt lun="0" />'))


@pytest.mark.parametrize(
    ("reads", "third"), [("filler", b"\xee" * PAGE), ("skip", b"\x22" * PAGE), ("fail", None)]
)
def test_reads_meet_a_bad_block_in_three_ways(reads: str, third: bytes | None) -> None:
    said, nand = talk(NandChip(PAGE, 64, frozenset({1}), reads))  # type: ignore[arg-type]
    nand.write(63, b"\x11" * PAGE)
    nand.write(128, b"\x22" * PAGE)
    digest = " ".join(said.texts(f"<getsha256digest {extent(63, 2)}/>"))
    if third is None:
        assert "Failed to read data for hashing, sector 64" in digest
    else:
        wanted = hashlib.sha256(b"\x11" * PAGE + third).hexdigest().upper()
        assert wanted in digest


def test_without_a_chip_nothing_is_done() -> None:
    said, _ = talk()
    other = 'storage_type="emmc"'
    assert any("Failed to open" in line for line in said.texts(f"<read {extent(0, 1, other)}/>"))
    none = 'storage_type="none"'
    assert any("IO options" in line for line in said.texts(f"<read {extent(0, 1, none)}/>"))


def test_spi_nor_and_nvme_are_plain_disks() -> None:
    for memory, name, unit in (("SPINOR", "spinor", 4096), ("NVMe", "nvme", 512)):
        storage = plain(FlashProduct(memory, 1, "X"), Lun(100, unit))
        said = Talk.start("qcm2290", Board(storage))
        said.xml(CONFIGURE.replace("emmc", name))
        told = " ".join(said.texts('<getstorageinfo physical_partition_number="0" />'))
        assert f"&quot;mem_type&quot;:&quot;{memory}&quot;" in told
        assert "Device Total Logical Blocks: 0x64" in told
        wrong = Talk.start("qcm2290", Board(storage))
        wrong.xml(CONFIGURE)
        told = " ".join(wrong.texts('<getstorageinfo physical_partition_number="0" />'))
        assert "Failed to open the SDCC Device" in told
        assert isinstance(storage, Storage)


def test_a_part_that_takes_a_quarter_of_an_hour_is_waited_for() -> None:
    sectors = 256 * MIB // 4096
    with phones.plug(phones.spec("spinor", sectors={0: sectors})) as bench:
        programmer = bench.connect().programmer
        before = bench.virtual_seconds
        programmer.erase(Area(0, 0, sectors, 4096))
        assert bench.virtual_seconds - before > 890  # longer than any other storage is given
        assert ERASE_TIMEOUT_S < 890


@pytest.mark.parametrize(
    "text",
    ["page=512", "bad-reads=x", "nvme,sector=1024", "qcm2290,page=2048", "qcm2290,bad=1",
     "spinor,sector=512", "qcm2290,bad-reads=skip"],
)  # fmt: skip
def test_what_such_phones_cannot_be(text: str) -> None:
    spec = text if "," in text else f"nand-modem,{text}"
    with pytest.raises(UsageError):
        parse_spec(spec)


def test_what_they_can_be() -> None:
    assert parse_spec("nvme,sector=4096").profile.sector_bytes == 4096
    assert parse_spec("nvme").profile.sector_bytes == 512
    modem = parse_spec("nand-modem,page=2048,bad=,bad-reads=fail").profile
    assert (modem.sector_bytes, modem.nand.bad, modem.nand.bad_reads) == (2048, frozenset(), "fail")
