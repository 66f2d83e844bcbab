# SPDX-License-Identifier: BSD-3-Clause
"""`edl doctor --storage`: is the flash worn out, or is only the data on it wrong?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edl.cli.again import tell_interrupted, traced
from edl.cli.app import App
from edl.cli.options import free
from edl.device import health
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.doctor import picture, rewrite
from edl.doctor.surface import Reader, State, Surface, words_of
from edl.doctor.verdict import Condition, Evidence, Kept, Verdict, health_words, judge
from edl.errors import DeviceRefusedError, DiskError, UsageError, WrongStorageError
from edl.events import Notice, Stage
from edl.firehose.commands import Area
from edl.plan.job import Rules
from edl.units import format_size

_WRITTEN = {
    Kept.KEPT: "kept, and made blank again",
    Kept.REFUSED: "refused",
    Kept.FORGOTTEN: "acknowledged, but not kept",
}


def storage_option(function: Any) -> Any:  # noqa: ANN401
    """Add --storage, which elsewhere is another name of --memory."""
    option = click.option(
        "--storage", "flash", is_flag=True, help="Look at the phone's storage: is it worn?"
    )
    return option(free(function, "--storage"))


def run(app: App, *, whole: bool, allow_write: bool, file: Path | None, yes: bool) -> Verdict:
    """Look at the storage of the phone and give the verdict."""
    if file is not None and file.suffix.lower() not in (".svg", ".html"):
        raise UsageError("--picture takes a FILE that ends in .svg or .html.")
    words, who = "", "the phone"
    try:
        with app.phone() as phone:
            who = f"phone {phone.serial}"
            evidence = _look(app, phone, whole=whole)
            if allow_write and any(evidence.luns.values()):
                evidence, words = _write(app, phone, evidence, yes=yes)
    except WrongStorageError as error:  # no kind of storage opened
        said = words_of(error)
        evidence = Evidence(memory="", failed={0: said}, answers=False)
    verdict = judge(evidence)
    if file is not None:
        _draw(file, evidence.surfaces, verdict, f"Storage of {who}")
    app.result(_data(evidence, verdict, words, file), _text(evidence, verdict, words, file))
    return verdict


def _look(app: App, phone: Phone, *, whole: bool) -> Evidence:
    storage = Storage(phone)
    there = () if phone.unprovisioned else storage.luns()
    luns = {lun: storage.sectors(lun) for lun in there}
    failed: dict[int, str] = {}
    count = phone.lun_count or 1
    for lun in range(count if len(luns) < count else 0):
        try:
            storage.sectors(lun)
        except DeviceRefusedError as error:
            failed[lun] = words_of(error)
    first = phone.luns.get(0) or phone.device
    surfaces = []
    reader = Reader(phone.programmer, app.emit)
    sizes = {lun: size for lun, size in luns.items() if size}
    amount = format_size(sum(sizes.values()) * phone.sector_bytes)
    what = f"all {amount}" if whole else f"spots all over {amount}"
    app.emit(Stage("surface", f"reading {what}, twice"))
    with app.gentle() as cancel:
        reader.cancel = cancel
        for number, (lun, sectors) in enumerate(sizes.items(), 1):
            step = number, len(sizes)
            seen = reader.look(lun, sectors, phone.sector_bytes, whole=whole, step=step)
            surfaces.append(seen)
    return Evidence(
        memory=phone.programmer.memory,
        luns=luns,
        failed=failed,
        answers=bool(first and (first.manufacturer_id or any(luns.values()))),
        surfaces=tuple(surfaces),
        health=health.of(first) if first else None,
    )


def _write(app: App, phone: Phone, evidence: Evidence, *, yes: bool) -> tuple[Evidence, str]:
    """Try whether the storage keeps what is written, on the largest LUN that has room for it."""
    storage = Storage(phone)
    area = _unused(storage, evidence)
    if area is None:
        app.emit(Notice("no write was tried: no blank sectors outside all partitions were found"))
        words = "not tried: there are no blank sectors outside all partitions"
        return replace(evidence, nowhere=True), words
    last = area.start_sector + area.sectors - 1
    where = f"sectors {area.start_sector} to {last} of LUN {area.lun}"
    app.confirm(
        f"This writes a test pattern to {where}, which are blank and belong to no partition, reads"
        " it back and makes them blank again.",
        yes=yes,
    )
    app.emit(Stage("write", f"trying {where}"))
    rules = traced(Rules())
    tell_interrupted(app, phone.serial, rules)
    kept, words = rewrite.try_writing(phone, area, app.emit, rules)
    return replace(evidence, written=kept), words or where


def _unused(storage: Storage, evidence: Evidence) -> Area | None:
    sizes = {lun: size for lun, size in evidence.luns.items() if size}
    for lun in sorted(sizes, key=lambda lun: -sizes[lun]):
        if (area := rewrite.find_unused(storage, lun)) is not None:
            return area
    return None


def _draw(file: Path, surfaces: tuple[Surface, ...], verdict: Verdict, title: str) -> None:
    make = picture.svg if file.suffix.lower() == ".svg" else picture.html
    try:
        file.write_text(make(surfaces, verdict, title), encoding="utf-8")
    except OSError as error:
        raise DiskError(f"{file} cannot be written: {error.strerror}.") from error


def _data(evidence: Evidence, verdict: Verdict, words: str, file: Path | None) -> dict[str, Any]:
    return {
        "condition": str(verdict.condition),
        "sentence": verdict.sentence,
        "meaning": verdict.meaning,
        "advice": list(verdict.advice),
        "memory": evidence.memory,
        "luns": [_surface(surface) for surface in evidence.surfaces],
        "failed": [{"lun": lun, "said": said} for lun, said in evidence.failed.items()],
        "written": None if evidence.written is None else str(evidence.written),
        "write_words": words,
        "health": health_words(evidence.health) if evidence.health else None,
        "picture": None if file is None else str(file),
    }


def _surface(surface: Surface) -> dict[str, Any]:
    odd = [spot for spot in surface.spots if spot.state is not State.GOOD]
    return {
        "lun": surface.lun,
        "sectors": surface.sectors,
        "whole": surface.whole,
        "read_bytes": surface.read_bytes,
        "spots": len(surface.spots),
        "median_s": surface.median_s,
        "odd": [
            {
                "state": str(spot.state),
                "start_sector": spot.area.start_sector,
                "sectors": spot.area.sectors,
                "seconds": spot.seconds,
                "said": spot.words,
            }
            for spot in odd
        ],
    }


def _text(evidence: Evidence, verdict: Verdict, words: str, file: Path | None) -> list[str]:
    lines = [_line(surface) for surface in evidence.surfaces]
    lines += [f"LUN {lun}: does not open: {said}" for lun, said in evidence.failed.items()]
    told = health_words(evidence.health) if evidence.health else "this programmer does not tell"
    lines.append(f"health by its own account: {told}")
    if evidence.written is not None:
        lines.append(f"write test: {_WRITTEN[evidence.written]} ({words})")
    advice = [f"  next: {text}" for text in verdict.advice]
    lines += ["", verdict.sentence, verdict.meaning, *advice]
    if file is not None:
        lines.append(f"picture: {file}")
    return lines


def _line(surface: Surface) -> str:
    """Return one LUN in a line."""
    counts = [
        f"{len(surface.of(state))} {words}"
        for state, words in (
            (State.GOOD, "good"),
            (State.SLOW, "slow"),
            (State.UNSTABLE, "that read differently"),
            (State.UNREADABLE, "unreadable"),
            (State.WITHHELD, "not shown"),
        )
        if surface.of(state)
    ]
    part = "all of it" if surface.whole else f"{len(surface.spots)} spots of it"
    speed = ""
    if surface.median_s and surface.spots:
        size = surface.spots[0].area.size_bytes
        speed = f", {format_size(round(size / surface.median_s))}/s"
    size_text = format_size(surface.size_bytes)
    return f"LUN {surface.lun}: {size_text}, {part}: {', '.join(counts)}{speed}"


def status_of(verdict: Verdict) -> int:
    """Return the exit status: 0 where nothing bad was found, 1 for anything else."""
    return 0 if verdict.condition in {Condition.SOUND, Condition.READABLE} else 1
