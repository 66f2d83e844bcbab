# SPDX-License-Identifier: BSD-3-Clause
"""What a loader file is, told to people, and as data for programs."""

from __future__ import annotations

import re
from typing import Any

from edl.chips import chip_words
from edl.formats.binding import Binding
from edl.formats.certificates import Certificate
from edl.formats.mbn import Image, Part, Signature
from edl.formats.programmer import Protocol
from edl.identity import chip_names, maker_names, parts_of_soc, soc_names
from edl.loaders import DEFAULT_PK_HASHES, is_test_name, remarks, unsuitable
from edl.units import format_size

_NOBODY = {0x0000, 0x0001}  # OEM ids that name no maker
_KEY_DIGITS = 16  # of a PK hash, as users compare them
_TIME = re.compile(r"(\d\d|\d{4})(\d\d)(\d\d)\d{6}Z", re.ASCII)
_STORAGE = {"emmc": "eMMC", "ufs": "UFS", "nand": "NAND", "spinor": "SPI-NOR"}


def summary(image: Image) -> tuple[str, ...]:
    """Return what image is good for, in a few sentences that need no knowledge of formats."""
    programmer, bound = image.programmer, image.main.binding
    chip = f" for {chip_name(bound)}" if bound and bound.names_chip else ""
    storage = "/".join(_STORAGE[name] for name in sorted(programmer.storage))
    if wrong := unsuitable(image):
        return (f"Not usable as a loader: {wrong.reason[0].lower()}{wrong.reason[1:]}",)
    streaming = programmer.protocol is Protocol.STREAMING
    kind = "programmer of the old Streaming Download" if streaming else "Firehose programmer"
    sentences = [f"A {kind}{chip}, {_signed(image)}."]
    if streaming:
        sentences.append("It writes; most of its kind do not let the flash be read.")
    if storage:
        sentences.append(f"It can be told to use {storage}.")
    if image.problems:
        sentences.append("It is DAMAGED or was changed: phones that check signatures refuse it.")
    else:
        sentences.append(_fits(image))
    sentences += [
        f"Its maker, {k.maker}, has restricted it: it {k.text}." for k in programmer.locks
    ]
    return tuple(sentences)


def chip_name(bound: Binding) -> str:
    """Return what people call the chip that an image is made for: `SDM660 (Snapdragon 660)`."""
    names = _chips(bound)
    if not names:
        return chip_words(bound)
    sold_as = next((name for name in names if name.startswith("Snapdragon")), names[0])
    return names[0] + (f" ({sold_as})" if sold_as != names[0] else "")


def _chips(bound: Binding) -> list[str]:
    """Return all names of the chips that bound names, the likeliest first."""
    if not bound.by_soc:
        return list(chip_names(bound.msm_id))
    names = [name for number in bound.soc_versions for name in soc_names(number)]
    for number in bound.soc_versions:
        for part in sorted(parts_of_soc(number)):
            names += chip_names(part)
    return list(dict.fromkeys(names))


def _signed(image: Image) -> str:
    signer = image.main.vendor
    if signer is None or signer.chain is None:
        return "signed by nobody" if signer is None else "with certificates that cannot be read"
    root = signer.chain.roots[0]
    if is_test_name(root.common_name):
        return f"signed with test keys ('{root.common_name}')"
    bound = image.main.binding
    makers = maker_names(bound.oem_id) if bound and bound.oem_id not in _NOBODY else ()
    maker = " or ".join(makers) or root.organization or root.common_name
    return f"signed by {maker} (root certificate '{root.common_name}')"


def _fits(image: Image) -> str:
    """Return which phones start image, in one sentence."""
    bound = image.main.binding
    if image.pk_hash is None or bound is None:
        return "It fits only phones that check no signature."
    if image.pk_hash in DEFAULT_PK_HASHES:
        return "It fits only phones without a key of their own (nothing fused)."
    key = f"phones whose key (PK hash) begins with {image.pk_hash.hex()[:_KEY_DIGITS]}"
    if bound.serials:
        count = len(bound.serials)
        only = (
            "one phone only, by its serial number"
            if count == 1
            else (f"{count} phones only, by their serial numbers")
        )
        return f"It fits {only}, among {key}."
    model = f", OEM id {bound.oem_id:#06x}" if bound.oem_bound else ""
    model += f" and model id {bound.model_id:#06x}" if bound.model_bound else ""
    return f"It fits {key}{model}."


def describe(image: Image) -> tuple[tuple[str, str], ...]:
    """Return what image is, for people: labels and values, the most important first."""
    programmer, main = image.programmer, image.main
    generation = f", generation {programmer.generation.name}" if programmer.generation else ""
    kind = f"{programmer.protocol.value} programmer" if programmer.protocol else "no programmer"
    version = f", header version {main.version}" if main.version else ""
    rows = [("content", kind + generation)]
    if main.binding:
        rows += _binding_rows(main.binding)
    rows += _signature_rows(main.vendor)
    rows += _hash_rows(image)
    rows += [
        ("form", image.container.value + version),
        ("size", _size(image)),
        ("parts", _parts(image.parts) if len(image.parts) > 1 else ""),
        ("inside", _parts(image.nested)),
        ("checked", _checked(image)),
        ("build", " ".join(filter(None, (programmer.version, _date(image))))),
        ("storage", ", ".join(sorted(programmer.storage))),
        ("commands", ", ".join(sorted(programmer.commands))),
        *(("note", note) for note in remarks(image)),
    ]
    return tuple((label, value) for label, value in rows if value)


def _binding_rows(bound: Binding) -> list[tuple[str, str]]:
    makers = " or ".join(maker_names(bound.oem_id))
    not_bound = " (not bound to it)"
    return [
        ("signed as", f"{bound.kind} (SW_ID {bound.sw_id:#x})"),
        ("chip", chip_words(bound)),
        ("HWID", "" if bound.by_soc else f"{bound.hwid:#018x}"),
        (
            "OEM id",
            f"{bound.oem_id:#06x}"
            + (f" ({makers})" if makers else "")
            + ("" if bound.oem_bound else not_bound),
        ),
        ("model id", f"{bound.model_id:#06x}" + ("" if bound.model_bound else not_bound)),
        ("rollback version", str(bound.rollback)),
        ("serial numbers", ", ".join(f"{number:08x}" for number in bound.serials)),
        ("debugging", _debugging(bound)),
    ]


def _debugging(bound: Binding) -> str:
    """Return what starting it does to debugging by JTAG; empty if nothing is said of that."""
    if bound.debug is None:
        return ""
    effect = {True: "switched on", False: "kept off", None: "left as it is"}[bound.debug_on]
    return f"{effect} (field {bound.debug})"


def _size(image: Image) -> str:
    behind = image.trailing_bytes
    return format_size(image.size_bytes) + (
        f", {format_size(behind)} of which lie behind the image and do not count" if behind else ""
    )


def _signature_rows(signer: Signature | None) -> list[tuple[str, str]]:
    if signer is None:
        return [("signed by", "nobody")]
    if signer.chain is None:
        return [("signed by", "unknown: the certificates cannot be read")]
    chain = signer.chain
    rows = [("signed by", f"{chain.leaf.common_name} / {chain.roots[0].common_name}")]
    rows += [
        (f"certificate {number}", _certificate(certificate))
        for number, certificate in enumerate(chain.certificates, 1)
    ]
    return [*rows, ("signature", signer.scheme or "does not verify")]


def _hash_rows(image: Image) -> list[tuple[str, str]]:
    """Return what phones may report as their PK hash; with one root it is known which they do."""
    hashes = image.root_hashes
    sure = len({digest.of for digest in hashes}) == 1
    return [
        (
            f"PK hash {digest.algorithm}",
            f"{digest.digest.hex()} (of {digest.of}"
            + (", reported by its phones)" if sure and digest is hashes[0] else ")"),
        )
        for digest in hashes
    ]


def _certificate(certificate: Certificate) -> str:
    root = ", root" if certificate.self_issued else ""
    name = certificate.common_name or certificate.organization or "without a name"
    days = f"{_day(certificate.valid_from)} to {_day(certificate.valid_until)}"
    return f"{name} ({certificate.key}{root}), {days}"


def _day(time: str) -> str:
    """Return the day of a DER time: YYMMDD... up to 2049, YYYYMMDD... from then on."""
    match = _TIME.fullmatch(time)
    if match is None:
        return "?"
    year = match[1] if len(match[1]) == 4 else f"{'20' if match[1] < '50' else '19'}{match[1]}"
    return f"{year}-{match[2]}-{match[3]}"


def _parts(parts: tuple[Part, ...]) -> str:
    words = []
    for part in parts:
        kind = part.binding.kind if part.binding else "not signed"
        words.append(f"{kind}, {format_size(part.size_bytes)}")
    return "; ".join(words)


def _checked(image: Image) -> str:
    """Return what the checks without a phone have found."""
    if image.problems:
        return "NOT in order, see the notes"
    if image.main.vendor is None:
        return "nothing can be checked: it is not signed"
    hashes = f"the {image.main.digest} of every segment" if image.main.digest else "the whole file"
    if image.main.encrypted:
        hashes = "its signature (the content is encrypted)"
    return f"in order: {hashes}, the certificates and the signature fit"


def _date(image: Image) -> str:
    date = image.programmer.build_date
    return f"({date[0]:04}-{date[1]:02}-{date[2]:02})" if date else ""


def as_data(image: Image) -> dict[str, Any]:
    """Return everything that is known of image, as JSON-able data."""
    programmer = image.programmer
    return {
        "summary": " ".join(summary(image)),
        "content": programmer.protocol.value if programmer.protocol else None,
        "is_programmer": image.is_programmer,
        "generation": programmer.generation.name if programmer.generation else None,
        "form": image.container.value,
        "bytes": image.size_bytes,
        "trailing_bytes": image.trailing_bytes,
        "intact": not image.problems,
        "problems": list(image.problems),
        "root_hashes": [
            {"digest": h.digest.hex(), "algorithm": h.algorithm, "of": h.of}
            for h in image.root_hashes
        ],
        "main": _part_data(image.main),
        "parts": [_part_data(part) for part in image.parts],
        "nested": [_part_data(part) for part in image.nested],
        "build": programmer.version,
        "variant": programmer.variant,
        "build_date": _date(image).strip("()") or None,
        "storage": sorted(programmer.storage),
        "commands": sorted(programmer.commands),
        "locks": [
            {"maker": lock.maker, "text": lock.text, "authorization": lock.authorization}
            for lock in programmer.locks
        ],
    }


def _part_data(part: Part) -> dict[str, Any]:
    return {
        "offset": part.offset,
        "bytes": part.size_bytes,
        "bits": part.bits,
        "header_version": part.version,
        "digest": part.digest,
        "bad_segments": list(part.bad_segments),
        "cut_off": part.cut_off,
        "encrypted": part.encrypted,
        "binding": _binding_data(part.binding) if part.binding else None,
        "signature": _signature_data(part.vendor),
        "chip_maker_signature": _signature_data(part.chip_maker),
    }


def _binding_data(bound: Binding) -> dict[str, Any]:
    return {
        "kind": bound.kind,
        "sw_id": bound.sw_id,
        "rollback": bound.rollback,
        "hwid": f"{bound.hwid:016x}",
        "msm_id": f"{bound.msm_id:08x}",
        "chips": _chips(bound),
        "by_soc": bound.by_soc,
        "soc_versions": [f"{number:04x}" for number in bound.soc_versions],
        "msm_bound": bound.msm_bound,
        "oem_id": f"{bound.oem_id:04x}",
        "oem_bound": bound.oem_bound,
        "makers": list(maker_names(bound.oem_id)),
        "model_id": f"{bound.model_id:04x}",
        "model_bound": bound.model_bound,
        "serials": [f"{number:08x}" for number in bound.serials],
        "serial_bound": bound.serial_bound,
        "debug": bound.debug,
        "debug_on": bound.debug_on,
    }


def _signature_data(signer: Signature | None) -> dict[str, Any] | None:
    if signer is None:
        return None
    chain = signer.chain
    return {
        "scheme": signer.scheme,
        "chain_problems": list(chain.problems) if chain else ["The certificates cannot be read."],
        "certificates": [
            {
                "common_name": certificate.common_name,
                "organization": certificate.organization,
                "key": str(certificate.key),
                "root": certificate.self_issued,
                "valid_from": _day(certificate.valid_from),
                "valid_until": _day(certificate.valid_until),
            }
            for certificate in (chain.certificates if chain else ())
        ],
    }
