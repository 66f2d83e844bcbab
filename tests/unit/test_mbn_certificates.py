# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edl.errors import DocumentError
from edl.formats import binding
from edl.formats.certificates import read_certificate, read_chain
from edl.formats.signature import EcKey, RsaKey
from loaders.make_dummies import NEGATIVE_SERIAL
from loaders.signing import (
    CHIPMAKER,
    OTHER,
    VENDOR,
    VENDOR_EC,
    VENDOR_PSS,
    Vendor,
    tlv,
)

UNITS = (
    "01 0000000500000003 SW_ID",
    "02 009600E100420000 HW_ID",
    "04 0042 OEM_ID",
    "03 0000000000000002 DEBUG",
    "11 3006 3005 0000 SOC_VERS",
    "General test attestation",
)


@pytest.mark.parametrize("vendor", [VENDOR, VENDOR_PSS, VENDOR_EC, OTHER, CHIPMAKER])
def test_openssl_accepts_the_chains_that_the_tests_use(vendor: Vendor, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    names = ("leaf", "ca", "root")
    for name, certificate in zip(names, read_chain(vendor.chain(UNITS)).certificates, strict=True):
        raw, pem = tmp_path / f"{name}.der", tmp_path / f"{name}.pem"
        raw.write_bytes(certificate.der)
        subprocess.run([openssl, "x509", "-inform", "der", "-in", raw, "-out", pem], check=True)
    leaf, authority, root = (tmp_path / f"{name}.pem" for name in names)
    trusted = ["-CAfile", str(root), "-untrusted", str(authority)]
    command = [openssl, "verify", "-no_check_time", *trusted, str(leaf)]
    assert b"leaf.pem: OK" in subprocess.run(command, check=True, capture_output=True).stdout


def test_fields_of_a_leaf() -> None:
    chain = read_chain(VENDOR.chain(UNITS))
    assert chain.problems == ()
    assert chain.leaf.units == UNITS
    assert chain.leaf.fields[1] == ("0000000500000003", "SW_ID")
    assert chain.leaf.fields[11] == ("3006 3005 0000", "SOC_VERS")
    assert set(chain.leaf.fields) == {1, 2, 3, 4, 11}
    bound = binding.from_fields(chain.leaf.fields)
    assert (bound.rollback, bound.sw_id, bound.msm_id, bound.oem_id) == (5, 3, 0x009600E1, 0x42)
    assert bound.soc_versions == (0x3006, 0x3005)
    assert not bound.by_soc


def test_names_and_keys() -> None:
    leaf, authority, root = read_chain(VENDOR_EC.chain(())).certificates
    assert leaf.common_name == "EDL Public Test EC Attestation"
    assert leaf.organization == "edl test vendor"
    assert (leaf.self_issued, authority.self_issued, root.self_issued) == (False, False, True)
    assert isinstance(leaf.key, EcKey)
    assert isinstance(read_chain(OTHER.chain(())).roots[0].key, RsaKey)
    assert (root.valid_from, root.valid_until) == ("200101000000Z", "400101000000Z")


def test_serial_numbers_may_be_negative() -> None:
    assert read_certificate(NEGATIVE_SERIAL.root_bytes).serial == -77
    assert read_chain(NEGATIVE_SERIAL.chain(())).problems == ()


def test_root_that_has_not_signed_itself() -> None:
    chain = bytearray(VENDOR.chain(UNITS))
    chain[-1] ^= 1
    assert read_chain(bytes(chain)).problems == (
        "The root certificate 'EDL Public Test Root CA' is not signed by itself.",
    )


def test_chain_without_a_root_takes_the_last_certificate_for_one() -> None:
    whole = VENDOR.chain(UNITS)
    chain = read_chain(whole[: -len(VENDOR.root_bytes)])
    assert [root.common_name for root in chain.roots] == ["EDL Public Test Attestation CA"]
    assert chain.problems == (
        "The root certificate 'EDL Public Test Attestation CA' is not signed by itself.",
    )


def test_root_alone() -> None:
    chain = read_chain(VENDOR.root_bytes + b"\xff" * 100)
    assert chain.leaf is chain.roots[0]
    assert chain.problems == ()


def test_names_are_safe_to_print() -> None:
    root = VENDOR.root_bytes.replace(b"EDL Public", b"EDL\x1b[31m  ")
    assert read_certificate(root).common_name == "EDL?[31m   Test Root CA"


def test_modulus_without_room_for_its_sign() -> None:
    """Some makers encode the modulus as if numbers had no sign."""
    with_zero = read_certificate(VENDOR.root_bytes).key
    assert isinstance(with_zero, RsaKey)
    raw = with_zero.modulus.to_bytes(256, "big")
    spki = VENDOR.root_bytes
    place = spki.index(b"\x02\x82\x01\x01\x00" + raw[:8])
    changed = bytearray(spki)
    changed[place : place + 4] = b"\x02\x82\x01\x00"
    del changed[place + 4]
    for offset in (place - 4, place - 9):  # the sequence and the bit string around it
        size = int.from_bytes(changed[offset + 2 : offset + 4], "big") - 1
        changed[offset + 2 : offset + 4] = size.to_bytes(2, "big")
    key_info = spki.index(bytes.fromhex("300d06092a864886f70d010101")) - 4
    for offset in (key_info, 4, 0):
        size = int.from_bytes(changed[offset + 2 : offset + 4], "big") - 1
        changed[offset + 2 : offset + 4] = size.to_bytes(2, "big")
    assert read_certificate(bytes(changed)).key == with_zero


def test_limits() -> None:
    with pytest.raises(DocumentError, match="more than 32"):
        read_chain(VENDOR.root_bytes * 33)
    with pytest.raises(DocumentError, match="4104 bytes"):
        read_chain(tlv(0x30, bytes(4100)))
    with pytest.raises(DocumentError, match="no certificate"):
        read_chain(b"")


@pytest.mark.parametrize(
    "raw",
    [
        tlv(0x30),
        tlv(0x30, tlv(0x30), tlv(0x30), tlv(0x03, b"\0")),
        VENDOR.root_bytes.replace(bytes.fromhex("2a864886f70d010101"), b"\x2a" + b"\x03" * 8),
        VENDOR_EC.root_bytes.replace(bytes.fromhex("2b81040022"), bytes.fromhex("2b81040021")),
        VENDOR_EC.root_bytes.replace(b"\x03\x62\x00\x04", b"\x03\x62\x00\x02"),
    ],
)
def test_what_is_no_certificate(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        read_certificate(raw)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {1: ("3", "SW_ID")},
        {1: ("x", "SW_ID"), 2: ("1", "HW_ID")},
        {1: ("1" * 17, "SW_ID"), 2: ("1", "HW_ID")},
    ],
)
def test_leaf_that_does_not_say_what_it_is_for(fields: dict[int, tuple[str, str]]) -> None:
    assert binding.raw_ids(fields) is None
    with pytest.raises(DocumentError, match="usable field"):
        binding.from_fields(fields)


def test_fields_that_are_no_numbers_are_passed_over() -> None:
    fields = {
        1: ("3", "SW_ID"),
        2: ("3006000000000000", "HW_ID"),
        11: ("3005 what 3006", "SOC_VERS"),
        13: ("0001", "IN_USE_SOC_HW_VERSION"),
        15: ("yes", "OEM_ID_INDEPENDENT"),
    }
    bound = binding.from_fields(fields)
    assert (bound.soc_versions, bound.by_soc, bound.oem_bound) == ((0x3006, 0x3005), True, True)
