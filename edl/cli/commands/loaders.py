# SPDX-License-Identifier: BSD-3-Clause
"""Keep, show and choose loaders (programmers)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from edl import loaders
from edl.chips import chip_fits, other_model
from edl.cli import loading
from edl.cli.app import App
from edl.cli.ids import described, digits, hwid_of
from edl.cli.meant import content_of, images_of, kind_of, path_of
from edl.cli.options import Settings, output_options, phone_options
from edl.cli.targets import is_folder
from edl.collection.entry import Entry
from edl.collection.gather import Fate, Outcome, gather
from edl.collection.store import Collection
from edl.describe import as_data, chip_name, describe, summary
from edl.errors import ImageError, UsageError
from edl.formats.mbn import read_image
from edl.identity import PhoneIdentity
from edl.imageset import PROGRAMMER_ID
from edl.loaders import Candidate, Fit
from edl.plan.model import plural
from edl.units import format_size

_DIGEST_DIGITS = 10  # of a SHA-256, as it is shown
_KEY_DIGITS = 16  # of a PK hash, as it is shown
_MOST_SHOWN = 20  # loaders that do not fit

_hwid = click.option("--hwid", metavar="HEX", help="HWID of a phone: 16 hex digits, or 8 (chip).")
_pk_hash = click.option("--pkhash", metavar="HEX", help="PK hash of a phone, or its beginning.")


@click.group("loaders")
def command() -> None:
    """Keep, show and choose loaders: the signed programmers that phones in EDL mode start.

    \b
    Examples:
      edl loaders add ROM.zip OTHER_FOLDER  take the loaders out of packages
      edl loaders show prog_firehose.elf    who signed it, for which phones
      edl loaders match                     which of them the connected phone starts

    Every command chooses among the loaders that are kept, so that --loader is rarely needed.
    """


# -- add ------------------------------------------------------------------------------------------


@command.command("add")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options
@click.pass_obj
def add(settings: Settings, paths: tuple[str, ...]) -> None:
    """Take the loaders out of files, folders, archives (zip, tar) and stock packages.

    What is a loader is seen from its content. Nothing else is unpacked.

    \b
    Examples:
      edl loaders add prog_emmc_firehose_8953_ddr.mbn
      edl loaders add ~/Downloads/tissot_images_V10.0.24.0.tgz
    """
    app = App(settings)
    kept = Collection(loading.own_folder())
    outcomes: list[Outcome] = []
    with app.running():
        try:
            for outcome in gather(kept, map(Path, paths)):
                if outcome.fate is not Fate.PASSED_OVER:
                    app.show(_fate_lines(outcome))
                outcomes.append(outcome)
        finally:
            if any(outcome.fate is Fate.TAKEN for outcome in outcomes):
                kept.save()
    counts = Counter(outcome.fate for outcome in outcomes)
    taken = [o.entry for o in outcomes if o.fate is Fate.TAKEN and o.entry]
    data = {
        "folder": str(kept.folder),
        "taken": [_entry_data(kept, entry) for entry in taken],
        "known": [{"where": o.where, "reason": o.reason} for o in _of(outcomes, Fate.KNOWN)],
        "not_taken": [{"where": o.where, "reason": o.reason} for o in _of(outcomes, Fate.REFUSED)],
        "passed_over": counts[Fate.PASSED_OVER],
    }
    app.result(data, [_counted(counts)])
    if not counts[Fate.TAKEN] + counts[Fate.KNOWN]:
        raise ImageError(
            "There is no loader in what was named.",
            remedies=(
                "Look for prog_*firehose*.mbn/.elf in the stock package of exactly this model.",
                "Unpack archives of other kinds first, and name the folder.",
            ),
        )


def _of(outcomes: Iterable[Outcome], fate: Fate) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.fate is fate]


def _fate_lines(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.fate.value:<14} {outcome.where}"]
    if outcome.fate is Fate.TAKEN and outcome.entry is not None:
        lines.append(f"  {_told(outcome.entry)}")
    if outcome.reason:
        lines.append(f"  {outcome.reason}")
    return lines


def _counted(counts: Counter[Fate]) -> str:
    shown = [f"{counts[fate]} {fate.value}" for fate in Fate if fate is not Fate.PASSED_OVER]
    passed = counts[Fate.PASSED_OVER]
    rest = f"; {plural(passed, 'other file')} passed over" if passed else ""
    return f"{', '.join(shown)}{rest}."


# -- list -----------------------------------------------------------------------------------------


@command.command("list")
@_hwid
@_pk_hash
@output_options
@click.pass_obj
def list_(settings: Settings, hwid: str | None, pkhash: str | None) -> None:
    """Show the loaders that are kept; with --hwid or --pkhash those for such phones.

    \b
    Example:
      edl loaders list --pkhash 57158eaf1814d78f
    """
    app = App(settings)
    kept = Collection(loading.own_folder())
    with app.running():
        rows = [entry for entry in kept.entries if _wanted(entry, hwid, pkhash)]
    lines = [line for entry in rows for line in _entry_lines(entry)]
    if not kept.entries:
        lines = ["No loaders are kept yet. 'edl loaders add PATH' takes them out of packages."]
    elif not rows:
        lines = [f"None of the {plural(len(kept.entries), 'loader')} is for such a phone."]
    app.result({"loaders": [_entry_data(kept, entry) for entry in rows]}, lines)


def _wanted(entry: Entry, hwid: str | None, pk_hash: str | None) -> bool:
    if pk_hash is not None:
        wanted = digits(pk_hash, "--pkhash")
        if not any(text.startswith(wanted) for text in entry.root_hashes):
            return False
    if hwid is None:
        return True
    number, whole = hwid_of(hwid)
    bound = entry.binding
    if bound is None or not chip_fits(bound, PhoneIdentity(hwid=number)):
        return False
    return not whole or other_model(bound, PhoneIdentity(hwid=number)) is None


def _entry_lines(entry: Entry) -> list[str]:
    return [f"{entry.sha256[:_DIGEST_DIGITS]}  {entry.name}", f"  {_told(entry)}"]


def _told(entry: Entry) -> str:
    """Return what a loader is, in half a line."""
    chip = chip_name(entry.binding) if entry.binding else "an unknown chip"
    words = [f"for {chip}", f"signed by {entry.signed_by or 'nobody'}"]
    if entry.root_hashes:
        words.append(f"key {entry.root_hashes[0][:_KEY_DIGITS]}")
    if entry.binding is not None and entry.binding.rollback:
        words.append(f"rollback version {entry.binding.rollback}")
    if entry.build_date:
        words.append(f"built {entry.build_date}")
    words += ["DAMAGED or changed"] if entry.problems else []
    words += [f"restricted by {lock}" for lock in entry.locks]
    return ", ".join(words)


def _entry_data(kept: Collection, entry: Entry) -> dict[str, Any]:
    bound = entry.binding
    return {
        "path": str(kept.path(entry)),
        "name": entry.name,
        "origin": entry.origin,
        "sha256": entry.sha256,
        "bytes": entry.size_bytes,
        "form": entry.form,
        "header_version": entry.header_version,
        "generation": entry.generation,
        "build": entry.build,
        "build_date": entry.build_date,
        "signed_by": entry.signed_by,
        "signature": entry.signature,
        "root_hashes": list(entry.root_hashes),
        "hwid": entry.hwid,
        "soc_versions": [f"{number:04x}" for number in bound.soc_versions] if bound else [],
        "rollback": bound.rollback if bound else None,
        "serials": [f"{number:08x}" for number in bound.serials] if bound else [],
        "storage": list(entry.storage),
        "locks": list(entry.locks),
        "problems": list(entry.problems),
    }


# -- show -----------------------------------------------------------------------------------------


@command.command("show")
@click.argument("file")
@output_options
@click.pass_obj
def show(settings: Settings, file: str) -> None:
    """Explain a loader: who signed it, for which phones, what it can do, whether it is whole.

    FILE is a file, or the name or the beginning of the digest that 'edl loaders list' shows; for
    programmers of several images ID:FILE,..., a sahara_config file or a CPIO archive. Everything is
    checked offline: the hashes of all segments, the certificates, the signature.

    \b
    Examples:
      edl loaders show prog_firehose_ddr.elf
      edl loaders show qsahara_device_programmer.xml
    """
    app = App(settings)
    with app.running():
        path, images = images_of(file)
        image = read_image(images[PROGRAMMER_ID])
    others = [
        {"id": number, "bytes": len(data), "kind": kind_of(data)}
        for number, data in sorted(images.items())
        if number != PROGRAMMER_ID
    ]
    rows = [
        *describe(image),
        *((f"image {row['id']}", f"{row['kind']}, {row['bytes']} bytes") for row in others),
    ]
    width = max(len(label) for label, _ in rows)
    lines = [*summary(image), "", *(f"  {label:<{width}}  {value}" for label, value in rows)]
    app.result({"file": str(path), **as_data(image), "other_images": others}, lines)


# -- match ----------------------------------------------------------------------------------------


@command.command("match")
@click.argument("files", nargs=-1, metavar="[FILE...]")
@_hwid
@_pk_hash
@phone_options
@click.pass_obj
def match(settings: Settings, files: tuple[str, ...], hwid: str | None, pkhash: str | None) -> None:
    """Say which loaders a phone starts, and why not the others: the best first.

    The phone is the connected one, or the one that --hwid and --pkhash describe. FILES may be
    folders; without any, the loaders that are kept are looked through.

    \b
    Examples:
      edl loaders match
      edl loaders match --hwid 0x0008c0e100720000 --pkhash 57158eaf1814d78f...  FOLDER
    """
    app = App(settings)
    phone = app.identity() if hwid is None and pkhash is None else described(hwid, pkhash)
    if phone.hwid is None and phone.pk_hash is None:
        raise UsageError(
            "The phone did not tell who it is.",
            remedies=("Give its HWID and PK hash with --hwid and --pkhash.",),
        )
    with app.running():
        titles, others = _pool(files, phone)
        unread = _unread(path_of(file) for file in files if not is_folder(file))
        ranked = [
            candidate
            for candidate in loaders.rank(titles, phone, titles)
            if candidate.verdict.fit is not Fit.NO_PROGRAMMER or str(candidate.path) in files
        ]
    data = {
        "identity": phone.describe(),
        "hwid": None if phone.hwid is None else f"{phone.hwid:016x}",
        "pk_hash": None if phone.pk_hash is None else phone.pk_hash.hex(),
        "loaders": [_candidate_data(candidate) for candidate in ranked],
        "unread": [{"where": name, "reason": reason} for name, reason in unread.items()],
        "others": others,
    }
    lines = _match_lines(phone, ranked, others)
    lines[1:1] = [line for name, why in unread.items() for line in (f"no   {name}", f"     {why}")]
    app.result(data, lines)
    if not ranked or not ranked[0].verdict.fit.may_start:
        raise ImageError(
            "None of the loaders will start on the phone.",
            remedies=("Look for a loader in the maker's own package for exactly this model.",),
        )


def _pool(files: tuple[str, ...], phone: PhoneIdentity) -> tuple[dict[Path, str], int]:
    """Return the files to judge with their names, and how many more are for other phones."""
    if files:
        found: dict[Path, str] = {}
        for file in files:
            inner = loading.files_in(Path(file)) if is_folder(file) else ()
            found |= dict.fromkeys(inner or [path_of(file)], "")
        return found, 0
    titles: dict[Path, str] = {}
    count = 0
    for kept in loading.collections():
        entries = kept.entries
        count += len(entries)
        titles |= {
            kept.path(entry): entry.name
            for entry in entries
            if entry.has_key_of(phone) or (entry.binding and chip_fits(entry.binding, phone))
        }
    return titles, count - len(titles)


def _unread(paths: Iterable[Path]) -> dict[str, str]:
    """Return those of paths, which the user named, that are no boot images, and why."""
    reasons = {}
    for path in paths:
        try:
            read_image(content_of(path))
        except ImageError as error:
            reasons[str(path)] = error.message
    return reasons


def _match_lines(phone: PhoneIdentity, ranked: list[Candidate], others: int) -> list[str]:
    chip = f" ({phone.chip})" if phone.chip else ""
    lines = [f"For {phone.describe()}{chip}:"]
    fitting = [c for c in ranked if c.verdict.fit.may_start]
    rest = [c for c in ranked if not c.verdict.fit.may_start]
    for candidate in (*fitting, *rest[:_MOST_SHOWN]):
        fit = candidate.verdict.fit
        lines.append(f"{'yes' if fit.may_start else 'no ':<3}  {candidate.name}")
        lines.append(f"     {candidate.verdict.reason}")
        lines += [f"     {detail}" for detail in candidate.verdict.details]
        if candidate.title and fit.may_start:
            lines.append(f"     --loader {candidate.path}")
    if len(rest) > _MOST_SHOWN:
        lines.append(f"And {plural(len(rest) - _MOST_SHOWN, 'loader')} more that will not start.")
    if others:
        lines.append(f"{plural(others, 'more loader')} are kept, for other chips or keys.")
    return lines


def _candidate_data(candidate: Candidate) -> dict[str, Any]:
    verdict = candidate.verdict
    return {
        "name": candidate.name,
        "path": str(candidate.path),
        "fit": verdict.fit.name.lower(),
        "may_start": verdict.fit.may_start,
        "reason": verdict.reason,
        "details": list(verdict.details),
        "status": None if verdict.status is None else f"{verdict.status:#04x}",
    }


# -- remove ---------------------------------------------------------------------------------------


@command.command("remove")
@click.argument("digests", nargs=-1, required=True, metavar="HASH...")
@output_options
@click.pass_obj
def remove(settings: Settings, digests: tuple[str, ...]) -> None:
    """Delete loaders that are kept. HASH is the beginning of a digest in 'edl loaders list'.

    \b
    Example:
      edl loaders remove 3f9a02c1
    """
    app = App(settings)
    kept = Collection(loading.own_folder())
    with app.running():
        gone = [kept.remove(digits) for digits in digests]
    rows = [{"name": entry.name, "sha256": entry.sha256} for entry in gone]
    sizes = [format_size(entry.size_bytes) for entry in gone]
    lines = [f"Deleted {row['name']} ({size})." for row, size in zip(rows, sizes, strict=True)]
    app.result({"removed": rows}, lines)
