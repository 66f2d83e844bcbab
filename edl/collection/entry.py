# SPDX-License-Identifier: BSD-3-Clause
"""One loader of a collection, as its index knows it. The format is that of loaders/README.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edl.chips import chip_fits, other_model
from edl.formats.binding import Binding
from edl.formats.mbn import Image
from edl.identity import PhoneIdentity
from edl.loaders import checks_nothing, same_digest


@dataclass(frozen=True)
class Entry:
    """What an index says about a loader.

    file: its place in the folder, with slashes. name: what it was called; origin: where it came
    from. modified_ns: time of its last change, where its name does not tell its content.
    root_hashes: in hex, the likeliest first. signed_by: name of the root certificate; signature:
    how it is signed, None if that does not verify. locks, problems: in words.
    """

    file: str
    name: str
    origin: str
    sha256: str
    size_bytes: int
    modified_ns: int | None
    form: str
    header_version: int | None
    generation: str | None
    build: str | None
    build_date: str | None
    signed_by: str | None
    signature: str | None
    storage: tuple[str, ...]
    locks: tuple[str, ...]
    root_hashes: tuple[str, ...]
    problems: tuple[str, ...]
    binding: Binding | None

    @property
    def hwid(self) -> str | None:
        """MSM id, OEM id and model id as 16 hex digits; None if nothing says it."""
        return f"{self.binding.hwid:016x}" if self.binding else None

    def has_key_of(self, phone: PhoneIdentity) -> bool | None:
        """Return whether phone trusts the key that signed it; None if it trusts or told none."""
        key = phone.pk_hash
        if key is None or checks_nothing(key):
            return None
        return any(same_digest(bytes.fromhex(text), key) for text in self.root_hashes)

    def may_fit(self, phone: PhoneIdentity) -> bool:
        """Return whether phone probably starts it: by the key, or where none counts by the chip."""
        key, bound = self.has_key_of(phone), self.binding
        chip = chip_fits(bound, phone) if bound else None
        if key is None:
            return chip is True
        return key and chip is not False and (bound is None or other_model(bound, phone) is None)

    def as_data(self) -> dict[str, Any]:
        """Return what is written into the index."""
        changed = {} if self.modified_ns is None else {"modified_ns": self.modified_ns}
        return {
            "file": self.file,
            "name": self.name,
            "origin": self.origin,
            "size": self.size_bytes,
            "sha256": self.sha256,
            **changed,
            "form": self.form,
            "header_version": self.header_version,
            "generation": self.generation,
            "build": self.build,
            "build_date": self.build_date,
            "signed_by": self.signed_by,
            "signature": self.signature,
            "root_hashes": list(self.root_hashes),
            "binding": _binding_data(self.binding) if self.binding else None,
            "storage": list(self.storage),
            "locks": list(self.locks),
            "problems": list(self.problems),
        }


def of_image(
    image: Image,
    sha256: str,
    *,
    file: str,
    name: str,
    origin: str,
    modified_ns: int | None = None,
) -> Entry:
    """Return the entry for image; sha256: of all of its bytes."""
    programmer, signer = image.programmer, image.main.vendor
    chain = signer.chain if signer else None
    date = programmer.build_date
    return Entry(
        file=file,
        name=name,
        origin=origin,
        sha256=sha256,
        size_bytes=image.size_bytes,
        modified_ns=modified_ns,
        form=image.container.value,
        header_version=image.main.version,
        generation=programmer.generation.name if programmer.generation else None,
        build=programmer.version,
        build_date=f"{date[0]:04}-{date[1]:02}-{date[2]:02}" if date else None,
        signed_by=chain.roots[0].common_name if chain else None,
        signature=signer.scheme if signer else None,
        storage=tuple(sorted(programmer.storage)),
        locks=tuple(f"{lock.maker}: it {lock.text}" for lock in programmer.locks),
        root_hashes=tuple(root.digest.hex() for root in image.root_hashes),
        problems=image.problems,
        binding=image.main.binding,
    )


def from_data(data: object) -> Entry:
    """Return the entry that `as_data` gave.

    Raises:
        ValueError: data is something else; users may edit an index, and disks fill up.
    """
    if not isinstance(data, dict):
        raise ValueError("an entry is no table")  # noqa: TRY004  # one kind of error for all
    bound, version = data.get("binding"), data.get("header_version")
    modified = data.get("modified_ns")
    return Entry(
        file=_text(data.get("file")),
        name=_text(data.get("name")),
        origin=_text(data.get("origin")),
        sha256=_text(data.get("sha256")),
        size_bytes=_number(data.get("size")),
        modified_ns=None if modified is None else _number(modified),
        form=_text(data.get("form")),
        header_version=None if version is None else _number(version),
        generation=_maybe_text(data.get("generation")),
        build=_maybe_text(data.get("build")),
        build_date=_maybe_text(data.get("build_date")),
        signed_by=_maybe_text(data.get("signed_by")),
        signature=_maybe_text(data.get("signature")),
        storage=_texts(data.get("storage")),
        locks=_texts(data.get("locks")),
        root_hashes=tuple(bytes.fromhex(text).hex() for text in _texts(data.get("root_hashes"))),
        problems=_texts(data.get("problems")),
        binding=None if bound is None else _binding(bound),
    )


def _binding_data(bound: Binding) -> dict[str, Any]:
    return {
        "sw_id": bound.sw_id,
        "rollback": bound.rollback,
        "msm_id": f"{bound.msm_id:08x}",
        "oem_id": f"{bound.oem_id:04x}",
        "model_id": f"{bound.model_id:04x}",
        "soc_versions": [f"{number:04x}" for number in bound.soc_versions],
        "by_soc": bound.by_soc,
        "msm_bound": bound.msm_bound,
        "oem_bound": bound.oem_bound,
        "model_bound": bound.model_bound,
        "serial_bound": bound.serial_bound,
        "serials": [f"{number:08x}" for number in bound.serials],
        "debug": bound.debug,
        "debug_on": bound.debug_on,
    }


def _binding(data: object) -> Binding:
    if not isinstance(data, dict):
        raise ValueError("a binding is no table")  # noqa: TRY004
    debug_on = data.get("debug_on")
    return Binding(
        sw_id=_number(data.get("sw_id")),
        rollback=_number(data.get("rollback")),
        msm_id=int(_text(data.get("msm_id")), 16),
        oem_id=int(_text(data.get("oem_id")), 16),
        model_id=int(_text(data.get("model_id")), 16),
        soc_versions=tuple(int(text, 16) for text in _texts(data.get("soc_versions"))),
        by_soc=_truth(data.get("by_soc")),
        msm_bound=_truth(data.get("msm_bound")),
        oem_bound=_truth(data.get("oem_bound")),
        model_bound=_truth(data.get("model_bound")),
        serial_bound=_truth(data.get("serial_bound")),
        serials=tuple(int(text, 16) for text in _texts(data.get("serials"))),
        debug=_maybe_text(data.get("debug")),
        debug_on=None if debug_on is None else _truth(debug_on),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004
    return value


def _maybe_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")  # noqa: TRY004
    return tuple(_text(item) for item in value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")  # noqa: TRY004
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is no number")  # noqa: TRY004
    return value
