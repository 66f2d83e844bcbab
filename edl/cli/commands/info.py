# SPDX-License-Identifier: BSD-3-Clause
"""Show what is known of the phone: chip, maker, keys, programmer, storage and its health."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.device import health, ufs
from edl.device.phone import Phone
from edl.device.programmer import Programmer
from edl.device.storage import Storage
from edl.errors import UnprovisionedError
from edl.firehose import loglines
from edl.firehose.answers import StorageInfo
from edl.formats import extcsd
from edl.identity import Hwid, PhoneIdentity, flash_maker, known_key
from edl.units import format_size

_NOT_TOLD = "not told"
_LABEL = 12  # columns of a line's name
_COLUMNS = 100
_MEMORIES = {"emmc": "eMMC", "ufs": "UFS", "nand": "NAND", "nvme": "NVMe", "spinor": "SPI-NOR"}
_EMMC_AREAS = ("user area", "first boot area", "second boot area")
_USED = {  # what we ask for, and what is lost without it
    "program": "nothing can be written",
    "read": "nothing can be read, saved or compared",
    "getstorageinfo": "sizes must be found out or named",
    "getsha256digest": "what was written is read back whole to verify it, which takes longer",
    "setbootablestoragedrive": "where a UFS phone starts from cannot be set",
    "power": "the phone must be restarted by its power button",
}


@click.command("info")
@click.option("--no-loader", is_flag=True, help="Ask the boot ROM alone: needs no loader.")
@phone_options
@click.pass_obj
def command(settings: Settings, *, no_loader: bool) -> None:
    """Show chip, maker, keys, programmer, storage, and how worn it is.

    \b
    Examples:
      edl info --loader prog_firehose.elf
      edl info --no-loader
    """
    app = App(settings)
    if no_loader:
        alone(app)
        return
    with app.phone() as phone:
        data = _data(phone)
    app.result(data, _text(data))


def alone(app: App) -> PhoneIdentity:
    """Tell what is known of the phone without a programmer, and return it."""
    identity = app.identity()
    data = _alone(identity)
    app.result(data, _text(data))
    return identity


# -- data -----------------------------------------------------------------------------------------


def _data(phone: Phone) -> dict[str, Any]:
    storage = _storage(phone)  # asks the programmer, which may tell more about itself
    return {
        **_identity(phone.identity, phone.programmer.signs),
        "serial": phone.serial,
        "programmer": _programmer(phone.programmer),
        "storage": storage,
        "health": _health(phone.luns.get(0) or StorageInfo()),
    }


def _alone(identity: PhoneIdentity) -> dict[str, Any]:
    """Return what is known of a phone without a programmer."""
    return {**_identity(identity, ()), "programmer": None, "storage": None, "health": None}


def _identity(identity: PhoneIdentity, signs: Sequence[str]) -> dict[str, Any]:
    hwid = None if identity.hwid is None else Hwid(identity.hwid)
    key = known_key(identity.pk_hash) if identity.pk_hash else None
    return {
        "serial": "unknown" if identity.serial is None else f"{identity.serial:08x}",
        "chip": identity.chip,
        "chip_names": list(identity.chips),
        "soc_version": None if identity.soc_version is None else f"{identity.soc_version:#010x}",
        "makers": list(identity.makers),
        "identity": identity.describe(),
        "hwid": None if hwid is None else f"{hwid.value:#018x}",
        "hwid_parts": None if hwid is None else _hwid_parts(hwid),
        "pk_hash": None if identity.pk_hash is None else identity.pk_hash.hex(),
        "key": None if key is None else key.name,
        "secure_boot": _secure_boot(identity, signs),
        "sahara_version": identity.sahara_version,
    }


def _hwid_parts(hwid: Hwid) -> dict[str, Any]:
    return {
        "msm_id": f"{hwid.part:#010x}",
        "revision": hwid.revision,
        "oem_id": f"{hwid.oem_id:#06x}",
        "model_id": f"{hwid.model_id:#06x}",
    }


def _secure_boot(identity: PhoneIdentity, signs: Sequence[str]) -> dict[str, Any]:
    said = loglines.secure_boot(signs)
    if said is not None:
        return {"fused": said, "how": "its programmer says so"}
    if identity.fused is None:
        return {"fused": None, "how": "the phone did not tell its key"}
    how = "it reports a key of its own"
    if not identity.fused:
        zeros = not any(identity.pk_hash or b"")
        how = "it reports zeros for a key" if zeros else "it reports Qualcomm's default key"
    return {"fused": identity.fused, "how": how}


def _programmer(programmer: Programmer) -> dict[str, Any]:
    greeting, configuration = programmer.greeting, programmer.configuration
    functions = greeting.functions
    return {
        "protocol": programmer.protocol,
        "generation": programmer.generation or None,
        "build_date": greeting.build_date or (configuration.build if configuration else "") or None,
        "target": (configuration.target if configuration else "") or None,
        "functions": None if functions is None else sorted(functions),
        "missing": [] if functions is None else [name for name in _USED if name not in functions],
        "erases_ranges": programmer.generation == 3 and "erase" in (functions or ()),
        "locks": [
            {"function": name, "maker": maker}
            for name, maker in loglines.lock_commands(functions or ()).items()
        ],
        "said": list(programmer.signs),
        "payload_bytes": programmer.payload_bytes,
    }


def _storage(phone: Phone) -> dict[str, Any]:
    luns = []
    for lun in () if phone.unprovisioned else Storage(phone).luns():
        sectors = phone.lun(lun).sectors
        size = None if sectors is None else sectors * phone.sector_bytes
        luns.append({"lun": lun, "sectors": sectors, "bytes": size})
    first = phone.luns.get(0) or phone.device or StorageInfo()
    memory, inquiry = phone.programmer.memory, first.inquiry
    registers = None if first.ext_csd is None else extcsd.parse(first.ext_csd)
    maker = inquiry.maker if inquiry else ""
    if first.manufacturer_id is not None:
        maker = flash_maker(memory, first.manufacturer_id) or maker
    firmware = (inquiry.revision if inquiry else "") or first.firmware
    return {
        "type": memory,
        "standard": registers.standard if registers else None,
        "maker": maker or None,
        "manufacturer_id": first.manufacturer_id,
        "product": (inquiry.product if inquiry else None) or first.product,
        "firmware": firmware or (registers.firmware_text if registers else None),
        "serial": first.serial_number,
        "sector_bytes": phone.sector_bytes,
        "bytes": sum(row["bytes"] or 0 for row in luns) or None,
        "luns": luns,
        "unprovisioned": phone.unprovisioned,
        "layout_locked": ufs.device_of(first).locked,
    }


def _health(info: StorageInfo) -> dict[str, Any]:
    told = health.of(info)
    if told is None:
        return {"verdict": None, "worn": None, "life_a": None, "life_b": None, "spare_blocks": None}
    return {
        "verdict": told.verdict,
        "worn": told.worn,
        "life_a": None if told.life_a is None else str(told.life_a),
        "life_b": None if told.life_b is None else str(told.life_b),
        "spare_blocks": None if told.pre_eol is None else told.pre_eol.words,
    }


# -- text -----------------------------------------------------------------------------------------


def _text(data: dict[str, Any]) -> Iterator[str]:
    groups = {"Phone": _phone_rows(data)}
    if data["programmer"] is not None:
        groups["Programmer"] = _programmer_rows(data["programmer"])
        groups["Storage"] = _storage_rows(data["storage"])
        groups["Health of the storage"] = _health_rows(data["health"])
    for title, rows in groups.items():
        yield title
        for label, text in rows:
            head = f"  {label:<{_LABEL}}"
            yield from textwrap.wrap(
                text,
                _COLUMNS,
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            )


def _phone_rows(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "chip", _chip(data)
    if data["soc_version"]:
        yield "SoC version", data["soc_version"]
    yield "maker", _maker(data)
    yield "serial", data["serial"]
    if parts := data["hwid_parts"]:
        yield (
            "HWID",
            f"{data['hwid']}: chip (MSM id) {parts['msm_id']}, maker (OEM id) {parts['oem_id']},"
            f" model id {parts['model_id']}",
        )
    else:
        yield "HWID", _NOT_TOLD
    yield "PK hash", data["pk_hash"] or _NOT_TOLD
    if data["key"]:
        yield "key", data["key"]
    yield "secure boot", _fused(data["secure_boot"])
    version = data["sahara_version"]
    yield (
        "Sahara",
        "not asked: a programmer was running" if version is None else f"version {version}",
    )


def _chip(data: dict[str, Any]) -> str:
    parts = data["hwid_parts"]
    if not data["chip_names"]:
        return "not known" if parts else _NOT_TOLD
    name, *others = data["chip_names"]
    text: str = name + (f" ({', '.join(others)})" if others else "")
    return text + (f", revision {parts['revision']} of the die" if parts else "")


def _maker(data: dict[str, Any]) -> str:
    parts = data["hwid_parts"]
    if parts is None:
        return _NOT_TOLD
    return " or ".join(data["makers"]) or f"not known: OEM id {parts['oem_id']} names nobody"


def _fused(secure_boot: dict[str, Any]) -> str:
    fused, how = secure_boot["fused"], secure_boot["how"]
    if fused is None:
        return f"{_NOT_TOLD} ({how})"
    if fused:
        return f"fused: it starts only programmers that its maker signed ({how})"
    return f"almost certainly not fused: it starts any programmer for its chip ({how})"


def _programmer_rows(programmer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "speaks", programmer["protocol"]
    if programmer["generation"]:
        yield "generation", str(programmer["generation"])
    yield "built", programmer["build_date"] or _NOT_TOLD
    yield "for", programmer["target"] or _NOT_TOLD
    yield "transfers", f"up to {format_size(programmer['payload_bytes'])}"
    functions = programmer["functions"]
    yield "commands", "not listed" if functions is None else " ".join(functions) or "none"
    for name in programmer["missing"]:
        yield "lacks", f"{name}: {_USED[name]}"
    if not programmer["erases_ranges"]:
        yield "erase", "not for single ranges: zeros are written instead"
    makers = {row["maker"] for row in programmer["locks"]}
    for maker in sorted(makers):
        names = ", ".join(row["function"] for row in programmer["locks"] if row["maker"] == maker)
        yield "lock", f"{names}: {maker} may refuse what it has not authorised"
    for line in programmer["said"]:
        yield "said", line


def _storage_rows(storage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    memory = _MEMORIES.get(storage["type"], storage["type"] or "type not told")
    yield "type", " ".join(filter(None, (memory, storage["standard"])))
    number = storage["manufacturer_id"]
    id_text = "" if number is None else f"id {number:#x}"
    maker = storage["maker"]
    yield "maker", f"{maker} ({id_text})" if maker and id_text else maker or id_text or _NOT_TOLD
    yield "product", storage["product"] or _NOT_TOLD
    yield "firmware", storage["firmware"] or _NOT_TOLD
    serial = storage["serial"]
    yield "serial", _NOT_TOLD if serial is None else f"{serial:#x}"
    yield "made", "not told: programmers do not pass the date on"
    size, count = storage["bytes"], len(storage["luns"])
    told = format_size(size) if size else "size not told"
    yield "size", f"{told}, {count} LUN{'' if count == 1 else 's'}"
    if storage["unprovisioned"]:
        yield "layout", f"none: unprovisioned. {UnprovisionedError.remedies[0]}"
        return
    if storage["layout_locked"]:
        yield "layout", "final: how it is divided into LUNs can never be changed"
    yield "sectors", f"of {storage['sector_bytes']} bytes"
    for row in storage["luns"]:
        area = ""
        if storage["type"] == "emmc" and row["lun"] < len(_EMMC_AREAS):
            area = f", {_EMMC_AREAS[row['lun']]}"
        yield f"LUN {row['lun']}", (format_size(row["bytes"]) if row["bytes"] else "?") + area


def _health_rows(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if told["verdict"] is None:
        yield "verdict", "not told by this programmer"
        return
    yield "verdict", told["verdict"]
    lives = [f"type {name.upper()[-1]} {told[name]}" for name in ("life_a", "life_b") if told[name]]
    yield "life used", ", ".join(lives) or _NOT_TOLD
    yield "spares", told["spare_blocks"] or _NOT_TOLD
