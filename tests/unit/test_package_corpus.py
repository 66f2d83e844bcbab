# SPDX-License-Identifier: BSD-3-Clause
"""Every XML file and every folder of the corpus as a package: a plan, or an error with its place.

Figures with a paragraph sign are those of corpus-analysis.md, counted by an independent program.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from edl.errors import DocumentError, EdlError, PackageError
from edl.formats.rawprogram import PatchRow, ProgramRow, Row, read_rawprogram
from edl.formats.selection import Kind, classify_name
from edl.formats.xml import read_document
from edl.package import open_package
from edl.plan.assumed import assumed_geometry
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.model import Erase, Plan, ReadOut
from tests.conftest import shared

_PLACE = re.compile(r".+\.xml[^:]*:[0-9]+")


def plan_of(path: Path, *, allow_missing: bool = False) -> Plan:
    package = open_package([str(path)])
    options = Options(allow_missing=allow_missing, read_folder=Path("not-there"))
    return build(package, assumed_geometry(package), options)


@cache
def documents() -> dict[str, Path]:
    """Return every XML file of the corpus by folder and name."""
    paths = sorted(shared("corpus").glob("*/*"))
    return {f"{path.parent.name}/{path.name}": path for path in paths if ".xml" in path.name}


@cache
def plans() -> dict[str, Plan]:
    """Return the plans of all files that give one, each file alone."""
    found = {}
    for name, path in documents().items():
        try:
            found[name] = plan_of(path)
        except DocumentError:
            continue
    return found


def codes(plan: Plan) -> Counter[str]:
    return Counter(finding.code for finding in plan.findings)


def test_each_file_alone_is_a_plan_or_an_error_with_its_place() -> None:
    assert len(plans()) == 74 + 43  # §1, without three Oppo files
    assert len(documents()) - len(plans()) == 50
    for name in documents().keys() - plans().keys():
        with pytest.raises(DocumentError, match=f"^{re.escape(documents()[name].name)}:"):
            plan_of(documents()[name])
    for name, plan in plans().items():
        file = name.partition("/")[2]
        for finding in plan.findings:
            assert _PLACE.fullmatch(finding.where)
            assert finding.where.startswith(file)
            assert finding.remedy
        assert {finding.code for finding in plan.errors} <= {"package"}


def test_each_file_alone_can_be_checked_with_what_is_there() -> None:
    for name, path in documents().items():
        if name in plans():
            plan = checked(plan_of(path, allow_missing=True))
            known = {"nothing-to-do", "raw-poke", "table-not-final"}
            # the files of EG25 lie above its XML, which is named alone here
            assert set(codes(plan)) <= known | ({"package"} if "eg25" in name else set())


def oppo_rows_with_a_file() -> int:
    """Return how many rows with a file there are in the three Oppo files, which are refused."""
    names = ["msm8953-oppo-r9s/PROFILE.xml", "msm8953-oppo-r9s/Projectconfig.xml"]
    elements = [
        element
        for name in [*names, "sm4250-oppo-a53/Projectconfig.xml"]
        for element in read_document(documents()[name].read_bytes(), name).root.walk()
    ]
    return sum(e.tag == "program" and bool(e.attributes.get("filename")) for e in elements)


def test_no_row_that_names_a_file_gets_lost() -> None:
    found: Counter[str] = Counter()
    for plan in plans().values():
        found["written"] += len(plan.writes)
        found["missing"] += codes(plan)["package"]
        found["erased"] += sum(isinstance(step, Erase) for step in plan.steps)
    assert found["erased"] == 11  # §5: on NAND, each beside a program row
    rows = found["written"] + found["missing"]
    assert rows + oppo_rows_with_a_file() == 947  # §5


def test_reads_and_patches_are_those_of_the_analysis() -> None:
    reads = [step for plan in plans().values() for step in plan.steps if isinstance(step, ReadOut)]
    assert len(reads) == 7  # §5
    assert {step.area.lun for step in reads} == set(range(7))
    # §7: the patch files; §3: 52 patch rows stand in rawprogram files, some of them for files
    patches = sum(len(plan.patches) for plan in plans().values())
    disk = sum(
        row.on_disk
        for name, path in documents().items()
        if name in plans()
        for row in read_rawprogram(path.read_bytes(), name).of(PatchRow)
    )
    assert patches == disk == 2515


def test_scripts_of_pokes_are_told() -> None:
    pokes = {name: len(plan.patches) for name, plan in plans().items() if "ceka22" in name}
    assert sorted(pokes.values())[-5:] == [410, 410, 410, 410, 411]  # §6
    told = {name for name, plan in plans().items() if codes(checked(plan))["raw-poke"]}
    assert told == {name for name, count in pokes.items() if count >= 410}


@cache
def folders() -> dict[str, Path]:
    return {path.name: path for path in sorted(shared("corpus").iterdir()) if path.is_dir()}


WITH_A_SET = {
    # folder: files of the set, (steps, patches) with what is there
    "gen-ptool-apq8096-db820c-ufs": (12, (12, 78)),
    "gen-ptool-glymur-crd-nvme": (2, (2, 13)),
    "gen-ptool-glymur-crd-spinor": (2, (2, 11)),
    "gen-ptool-qrb2210-unoq-emmc-16GB": (2, (2, 13)),
    "gen-ptool-qrb4210-rb2-emmc": (2, (2, 0)),
    "msm8953-oppo-r9s": (2, (2, 13)),
    "msm8953-oppo-r9s-rec": (2, (0, 13)),
    "msm8974-oneplus-x": (2, (2, 13)),
    "qcs6490-rubikpi3": (13, (12, 78)),
    "sdm4xx-nokia-e2m": (2, (2, 13)),
    "sdm636-nokia-dpl": (2, (2, 13)),
}
WITH_XML_ONLY = {  # no image is there, so that nothing is left to do: tables that are missing
    "msm8953-xiaomi-tissot": 1,  # keep their patches to themselves
    "msm8996-lg-h1-sdread": 2,
    "sdm660-smartisan-oscar": 1,
    "sdm660-xiaomi-jasmine": 1,
    "sm4250-oppo-a53": 12,
    "sm8150-xiaomi-raphael": 12,
}


@pytest.mark.parametrize("name", WITH_A_SET)
def test_a_folder_gives_its_set(name: str) -> None:
    files, (steps, patches) = WITH_A_SET[name]
    plan = checked(plan_of(shared(f"corpus/{name}"), allow_missing=True))
    assert len(open_package([str(folders()[name])]).documents) == files
    assert (len(plan.steps), len(plan.patches)) == (steps, patches)
    assert plan.errors == ()
    # The only tables of the corpus that their patches do not finish: 68 entries, patches for 128.
    bad = ["table-not-final"] if name == "sdm4xx-nokia-e2m" else []
    assert [finding.code for finding in plan.findings] == bad
    missing = plan_of(folders()[name])
    rows = [row for row in open_package([str(folders()[name])]).rows if _names_a_file(row)]
    assert len(missing.writes) + len(missing.errors) == len(rows)
    for finding in missing.errors:
        assert finding.message.endswith("is missing.")
        assert _PLACE.fullmatch(finding.where)


def _names_a_file(row: Row) -> bool:
    return isinstance(row, ProgramRow) and bool(row.filename)


@pytest.mark.parametrize("name", WITH_XML_ONLY)
def test_a_folder_without_images_says_which(name: str) -> None:
    package = open_package([str(shared(f"corpus/{name}"))])
    assert len(package.documents) == WITH_XML_ONLY[name]
    missing = plan_of(folders()[name])
    assert codes(missing) == {"package": sum(map(_names_a_file, package.rows))}
    plan = checked(plan_of(folders()[name], allow_missing=True))
    assert codes(plan) == {"nothing-to-do": 1}
    assert plan.patches == ()


def test_every_other_folder_is_a_named_error() -> None:
    others = set(folders()) - set(WITH_A_SET) - set(WITH_XML_ONLY)
    assert len(others) == 33
    for name in others:
        with pytest.raises(EdlError) as caught:
            open_package([str(folders()[name])])
        kind = DocumentError if name == "qcom-xtc-z8" else PackageError
        assert type(caught.value) is kind
        assert caught.value.status == 7


def _complete(folder: Path, documents: list[Path]) -> None:
    """Copy documents and the tables beside them into folder, and make up all other images."""
    for path in documents:
        shutil.copy(path, folder)
        for row in read_rawprogram(path.read_bytes(), path.name).of(ProgramRow):
            if row.filename and "/" not in row.filename and not (folder / row.filename).exists():
                beside = path.parent / row.filename
                size = row.sectors * (row.sector_bytes or 512) if "gpt" in row.filename else 500
                content = beside.read_bytes() if beside.exists() else b"x" * size
                (folder / row.filename).write_bytes(content)


def test_every_set_gives_a_plan_without_errors_once_its_images_are_there(tmp_path: Path) -> None:
    """No two rows of a real package overlap (§0), and every place is on the disk."""
    for name in {**WITH_A_SET, **WITH_XML_ONLY}:
        folder = tmp_path / name
        folder.mkdir()
        real = folders()[name]
        _complete(folder, [real / Path(d.name).name for d in open_package([str(real)]).documents])
        package = open_package([str(folder)])
        plan = checked(build(package, assumed_geometry(package)))
        assert plan.errors == ()
        assert len(plan.writes) > 0
        luns = plan.geometry.luns
        assert all(w.area.start_sector + w.area.sectors <= luns[w.area.lun] for w in plan.writes)


def test_files_that_wipe_give_a_plan_when_they_are_named(tmp_path: Path) -> None:
    kinds = {Kind.BLANK, Kind.WIPE, Kind.PHY_WIPE}
    paths = [path for path in documents().values() if classify_name(path.name).kind in kinds]
    assert len(paths) == sum("blank" in n or "wipe" in n for n in map(str.lower, documents()))
    for index, path in enumerate(paths):
        folder = tmp_path / str(index)
        folder.mkdir()
        _complete(folder, [path])
        package = open_package([str(folder / path.name)])
        plan = checked(build(package, assumed_geometry(package)))
        assert [finding.code for finding in plan.errors] == []
        assert plan.writes
