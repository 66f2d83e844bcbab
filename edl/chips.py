# SPDX-License-Identifier: BSD-3-Clause
"""Whether an image is made for the chip and the model of a phone, by what its signature says.

A number that is in no table makes "cannot tell", never "no": one SoC number covers chips that have
MSM ids of their own.
"""

from __future__ import annotations

from edl.formats.binding import Binding
from edl.identity import Hwid, PhoneIdentity, chip_names, parts_of_soc, soc_names, socs_of_part


def chip_fits(bound: Binding, phone: PhoneIdentity) -> bool | None:
    """Return whether an image is made for the chip of phone; None if that cannot be told."""
    part = None if phone.hwid is None else Hwid(phone.hwid).part
    if bound.by_soc:
        if phone.soc_number is not None:
            return phone.soc_number in bound.soc_versions
        if part is None:
            return None
        parts = [parts_of_soc(number) for number in bound.soc_versions]
        if part == Hwid(bound.hwid).part or any(part in known for known in parts):
            return True
        return False if socs_of_part(part) and all(parts) else None
    if not bound.msm_bound:
        return True
    wanted = Hwid(bound.hwid).part
    if part is not None:
        return part == wanted
    if phone.soc_number is None or not socs_of_part(wanted):
        return None
    return phone.soc_number in socs_of_part(wanted)


def other_model(bound: Binding, phone: PhoneIdentity) -> str | None:
    """Return how maker or model differ, as `for ...; the phone has ...`, or None if they do not.

    Zeros are no wildcards.
    """
    if phone.hwid is None:
        return None
    hwid = Hwid(phone.hwid)
    if bound.oem_bound and bound.oem_id != hwid.oem_id:
        return f"for OEM id {bound.oem_id:#06x}; the phone has {hwid.oem_id:#06x}"
    if bound.model_bound and bound.model_id != hwid.model_id:
        return f"for model {bound.model_id:#06x}; the phone is {hwid.model_id:#06x}"
    return None


def chip_words(bound: Binding) -> str:
    """Return the chips that bound names, in words."""
    if not (bound.soc_versions if bound.by_soc else bound.msm_bound):
        return "no certain chip"
    if bound.by_soc:
        numbers = bound.soc_versions
        return " or ".join(
            f"{name} (SoC {number:#06x})" if name else f"SoC {number:#06x}"
            for number in numbers
            for name in [next(iter(soc_names(number)), "")]
        )
    name = next(iter(chip_names(bound.msm_id)), "")
    return f"{name} (MSM id {bound.msm_id:#010x})" if name else f"MSM id {bound.msm_id:#010x}"
