# SPDX-License-Identifier: BSD-3-Clause
"""The guided rescue, by people who type answers: whole stories on virtual phones."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from edl.cli import asking, contact, loading, terminal
from edl.cli.guide import finding, steps, ways
from edl.cli.guide.story import Story
from edl.cli.main import run
from edl.cli.options import Settings
from edl.formats.manifest import Owner
from edl.transport.serial import FoundPort
from edl.virtual.phone import Phone
from tests import dumps
from tests.cli.conftest import Edl, write_rows
from tests.dumps import LAYOUT, held, live, whole

Answer = str | Path | Callable[[], str]
LOADER = "prog_emmc_firehose_8953_test.mbn"
NO_TEST = ("Try it?", "no")
NOTHING_SAVED = ("What shall be saved?", "none")


class Person(io.StringIO):
    """Answers questions by a part of their words, in any order; Enter where nothing was said.

    Attributes:
        told: everything that was shown, with the answers. asked: the questions.
    """

    def __init__(
        self, capsys: pytest.CaptureFixture[str], answers: list[tuple[str, Answer]]
    ) -> None:
        super().__init__()
        self._capsys = capsys
        self._answers = answers
        self.told = ""
        self.asked: list[str] = []

    def listen(self) -> None:
        """Take note of what was shown since."""
        captured = self._capsys.readouterr()
        self.told += captured.out + captured.err

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        self.listen()
        question = self.told.rstrip().rsplit("\n", 1)[-1]
        self.asked.append(question)
        assert len(self.asked) < 60, self.told
        typed = ""
        for at, (part, answer) in enumerate(self._answers):
            if part in question:
                del self._answers[at]
                typed = answer() if callable(answer) else str(answer)
                break
        self.told += f"{typed}\n"
        return f"{typed}\n"

    @property
    def text(self) -> str:
        """What was told, without its line breaks."""
        return " ".join(self.told.split())

    @property
    def left(self) -> list[str]:
        """Questions that were expected, and never came."""
        return [part for part, _ in self._answers]

    @property
    def steps(self) -> list[int]:
        """The steps that were begun."""
        return [int(number) for number in re.findall(r"^Step (\d+) of", self.told, re.MULTILINE)]


Rescue = Callable[..., tuple[int, Person]]


@pytest.fixture
def rescue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Rescue:
    """Return a function that runs `edl rescue` with somebody who answers."""
    monkeypatch.setattr("edl.doctor.surface.SPOTS", 4)
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: stream is sys.stdin)
    monkeypatch.chdir(tmp_path)

    def call(phone: object, *answers: tuple[str, Answer], rom: object = "") -> tuple[int, Person]:
        capsys.readouterr()
        person = Person(capsys, list(answers))
        monkeypatch.setattr(sys, "stdin", person)
        line = ["--virtual", str(phone), "rescue", *([str(rom)] if rom else [])]
        status = run(line)
        person.listen()
        assert "Traceback" not in person.told
        return status, person

    return call


@pytest.fixture
def small(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone that is quickly read."""
    folder = tmp_path / "small"
    assert edl("virtual", "new", folder, "msm8953,size=4MiB").status == 0
    return folder


@pytest.fixture
def lived(edl: Edl, tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that makes a phone with a life behind it, and its dump and backup."""

    def make(owner: str, serial: str) -> Path:
        folder = tmp_path / owner
        assert edl("virtual", "new", folder, f"qcm2290,size=2M,serial=0x{serial}").status == 0
        with Phone.open(folder) as phone:
            live(phone.storage, owner)
            dumps.backup(phone.storage, tmp_path / f"{owner}.backup", Owner(serial))
            dumps.image(phone.storage, tmp_path / f"{owner}.img")
        return folder

    return make


# -- whole stories --------------------------------------------------------------------------------


def test_a_dead_phone_comes_back(edl: Edl, rescue: Rescue, sample: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=2GiB").status == 0
    status, person = rescue(
        phone, NOTHING_SAVED, NO_TEST, ("Where is the ROM", f'"{sample}"'),
        ("Write this to the phone now?", "yes"),
    )  # fmt: skip
    assert status == 0, person.told
    assert person.steps == list(range(1, 12))
    assert person.left == []
    for words in (
        f"  $ edl --virtual {phone} info --no-loader\n",
        f"  $ edl --virtual {phone} doctor --storage\n",
        f"  $ edl --virtual {phone} check {sample}\n",
        f"  $ edl --virtual {phone} rawprogram {sample} --dry-run\n",
        "Nothing has been written so far.\n",
        f"  $ edl --virtual {phone} rawprogram {sample}\n",
        "the virtual phone starts: its boot chain is whole",
        "- The first start can take 15 minutes.",
    ):
        assert words in person.told
    assert edl("virtual", "edl", phone).status == 0
    assert edl("--virtual", phone, "verify", sample).status == 0


def test_the_cable_comes_out(edl: Edl, rescue: Rescue, sample: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=2GiB,fault=unplug@out:9000000").status == 0

    def keys() -> str:
        with Phone.open(phone) as plugged:
            plugged.enter_edl()
        return "yes"

    status, person = rescue(
        phone, NOTHING_SAVED, NO_TEST, ("Write this", "yes"), ("Go on where it", keys), rom=sample
    )
    assert status == 0, person.told
    assert "error[device-gone]" in person.told
    assert "That is no harm as long as it is finished" in person.text
    assert f"  $ edl --virtual {phone} resume\n" in person.told
    assert "were there from the interrupted run" in person.told
    assert edl("virtual", "edl", phone).status == 0
    assert edl("--virtual", phone, "verify", sample).status == 0


def test_the_cable_comes_out_and_it_is_another_day(
    edl: Edl, rescue: Rescue, sample: Path, tmp_path: Path
) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=2GiB,fault=unplug@out:9000000").status == 0
    status, person = rescue(
        phone, NOTHING_SAVED, NO_TEST, ("Write this", "yes"), ("Go on where it", "no"), rom=sample
    )
    assert status == 10
    assert 'Stopped at step 10, "Write it". To go on: edl rescue' in person.text
    assert edl("virtual", "edl", phone).status == 0
    status, person = rescue(phone)  # Enter to all that is asked
    assert status == 0, person.told
    assert person.steps == [1, 2, 3, 11]
    assert "Interrupted: rawprogram-1 (edl rawprogram " in person.text
    assert f"  $ edl --virtual {phone} resume rawprogram-1\n" in person.told
    assert edl("virtual", "edl", phone).status == 0
    assert edl("--virtual", phone, "verify", sample).status == 0


def test_the_flash_of_a_mi_a1_is_worn_out(edl: Edl, rescue: Rescue, tmp_path: Path) -> None:
    phone = tmp_path / "mi-a1"
    assert edl("virtual", "new", phone, "msm8953,size=4MiB,flash=forgets").status == 0
    with Phone.open(phone) as made:  # its table leaves room at the end
        live(made.storage, "owner", layout=LAYOUT | {"userdata": 512}, used_bytes=4096)
    status, person = rescue(phone, ("What shall be saved?", "unique"))
    assert status == 9
    assert person.steps == [1, 2, 3, 4, 5, 6, 7]
    assert "the rescue ends here" in person.text
    assert "try: Save everything now: edl backup DIR." in person.told
    assert "ROM" not in "".join(person.asked)
    saved = tmp_path / "backup-1a2b3c4d"
    assert (saved / "manifest.json").is_file()
    assert "--only config," in person.told


def test_worn_storage_is_written_only_by_those_who_insist(
    edl: Edl, rescue: Rescue, tmp_path: Path
) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "msm8953,size=4MiB,flash=worn").status == 0
    status, person = rescue(phone, NOTHING_SAVED)
    assert (status, person.steps[-1]) == (130, 7)
    assert "Write to it all the same? (yes, no) [no]: " in person.told
    status, person = rescue(phone, NOTHING_SAVED, ("Write to it", "yes"), NO_TEST, ("ROM", "none"))
    assert (status, person.steps[-1]) == (130, 8)


def test_dead_storage(edl: Edl, rescue: Rescue, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "msm8953,size=4MiB,flash=dead").status == 0
    status, person = rescue(phone)
    assert (status, person.steps[-1]) == (9, 5)
    assert person.asked == []


def test_the_dump_of_another_z3_compact(
    lived: Callable[[str, str], Path], rescue: Rescue, tmp_path: Path
) -> None:
    lived("alice", "1111aaaa")
    bobs = lived("bob", "2222bbbb")
    with Phone.open(bobs) as phone:
        before = whole(phone.storage)
    status, person = rescue(
        bobs, NOTHING_SAVED, NO_TEST, ("Where is the ROM", str(tmp_path / "alice.img")),
        ("Choose another ROM?", "yes"), ("Where is the ROM", str(tmp_path / "alice.backup")),
        ("Choose another ROM?", "q"),
    )  # fmt: skip
    assert status == 130
    assert person.left == []
    assert "That is no ROM, but what was saved from a phone." in person.text
    assert "is another phone's: it is of the phone 1111aaaa, this one is 2222bbbb" in person.text
    assert "it would destroy this phone's IMEI, calibration and keys for good" in person.text
    assert "Write this to the phone now?" not in person.told
    with Phone.open(bobs) as phone:
        assert whole(phone.storage) == before


def test_its_own_dump(lived: Callable[[str, str], Path], rescue: Rescue, tmp_path: Path) -> None:
    phone = lived("alice", "1111aaaa")
    with Phone.open(phone) as plugged:
        wanted = held(plugged.storage, "boot")
        live(plugged.storage, "an accident", firmware="v0")
        plugged.enter_edl()
    status, person = rescue(
        phone, NOTHING_SAVED, NO_TEST, ("Where is the ROM", str(tmp_path / "alice.backup")),
        ("Write this", "yes"), ("Continue?", "y"),
    )  # fmt: skip
    assert person.left == [], person.told
    assert f"restore {tmp_path / 'alice.backup'} --reset system\n" in person.told
    with Phone.open(phone) as plugged:
        assert held(plugged.storage, "boot") == wanted
    assert status in {0, 130}  # whether it would start is not what this is about


# -- stopping -------------------------------------------------------------------------------------


def test_q_stops_at_every_question(rescue: Rescue, small: Path, mini: Path) -> None:
    questions = [
        ("What shall be saved?", ""), ("Where to", ""), ("Try it?", ""), ("Where is the ROM", mini),
        ("Write this to the phone now?", "no"),
    ]  # fmt: skip
    for at, (question, _) in enumerate(questions):
        before = [(part, str(typed)) for part, typed in questions[:at]]
        status, person = rescue(small, *before, (question, "q"))
        assert status == 130
        assert question in person.asked[-1]
        assert "To go on: edl rescue\n" in person.told
        assert "Or by hand: " in person.told
        assert person.told.endswith(
            "error[cancelled]: Stopped, as you asked; nothing was written.\n"
        )
        if "Where to" in question or "saved" in question:
            assert not (small.parent / "backup-1a2b3c4d").exists()


def test_ctrl_c_at_a_question(rescue: Rescue, small: Path) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    status, person = rescue(small, ("What shall be saved?", interrupt))
    assert status == 130
    assert 'Stopped at step 6, "Save what is on the phone". To go on: edl rescue' in person.told


def test_no_terminal(edl: Edl) -> None:
    result = edl("rescue")
    assert result.status == 2
    assert result.out.splitlines()[1:] == steps.commands()
    assert "needs a terminal" in result.err
    assert edl("rescue", "--json").lines[-1]["code"] == "usage"


# -- single steps ---------------------------------------------------------------------------------


def test_a_phone_that_is_not_there_yet(rescue: Rescue, edl: Edl, small: Path) -> None:
    assert edl("--virtual", small, "reset", "--mode", "off").status == 0

    def keys() -> str:
        with Phone.open(small) as plugged:
            plugged.enter_edl()
        return "yes"

    status, person = rescue(small, ("Who made it?", "xia"), ("Look again?", keys), ("saved", "q"))
    assert (status, person.left) == (130, [])
    assert "no phone: none in EDL mode" in person.text
    assert "obey only if they are unlocked" in person.text
    assert "  test points:   " in person.told
    assert "phone 1a2b3c4d in EDL mode at USB" in person.told
    assert edl("--virtual", small, "reset", "--mode", "off").status == 0
    status, person = rescue(small, ("Look again?", "no"))
    assert (status, person.steps) == (130, [1])


def test_a_loader_is_taken_out_of_the_rom(
    rescue: Rescue, small: Path, tmp_path: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dummies = loading.test_folders()[0]
    monkeypatch.setattr(loading, "test_folders", lambda: ())
    status, person = rescue(small, ("ROM or loader", "none"))
    assert (status, person.steps[-1]) == (130, 4)
    assert "Without a loader nothing more can be done." in person.text
    (mini / "prog_firehose.mbn").write_bytes((dummies / LOADER).read_bytes())
    status, person = rescue(
        small, ("ROM or loader", tmp_path / "absent"), ("ROM or loader", mini), NOTHING_SAVED,
        NO_TEST, ("Where is the ROM", "q"),
    )  # fmt: skip
    assert person.left == []
    assert f"loaders add {mini}" in person.told
    assert f"Where is the ROM [{mini}]: q" in person.told


def test_a_rom_whose_loader_would_not_start(rescue: Rescue, small: Path, mini: Path) -> None:
    damaged = bytearray((loading.test_folders()[0] / LOADER).read_bytes())
    damaged[-1] ^= 1
    (mini / LOADER).write_bytes(damaged)
    status, person = rescue(
        small, NOTHING_SAVED, NO_TEST, ("Where is the ROM", "nothing here"),
        ("Where is the ROM", mini), ("Choose another one?", "no"),
        ("Write this", "q"), ("Choose another ROM?", "q"),
    )  # fmt: skip
    assert status == 130
    assert "no file, folder or pattern" in person.told
    assert "This ROM does not look right for this phone: No loader fits the phone." in person.text


def test_a_rom_that_does_not_fit_the_storage(rescue: Rescue, small: Path, mini: Path) -> None:
    write_rows(mini, ("boot.img", 1 << 20, 64, "boot"))
    status, person = rescue(
        small, NOTHING_SAVED, NO_TEST, ("Where is the ROM", mini), ("Choose another ROM?", "yes"),
        ("Where is the ROM", "q"),
    )  # fmt: skip
    assert (status, person.left) == (130, [])
    assert "do not fit: LUN 0 has" in person.told
    assert person.steps[-2:] == [9, 8]


def test_the_users_data(rescue: Rescue, small: Path, mini: Path) -> None:
    (mini / "userdata.img").write_bytes(b"new" * 100)
    write_rows(mini, ("boot.img", 2048, 64, "boot"), ("userdata.img", 4096, 64, "userdata"))
    for answer, words in (("yes", f"rawprogram {mini} --dry-run\n"), ("no", "--wipe --dry-run\n")):
        _, person = rescue(
            small, NOTHING_SAVED, NO_TEST, ("Where is the ROM", mini), ("Keep the photos", answer),
            ("Write this", "q"),
        )  # fmt: skip
        assert words in person.told


def test_a_backup_goes_on(
    rescue: Rescue, edl: Edl, lived: Callable[[str, str], Path], tmp_path: Path
) -> None:
    phone = lived("alice", "1111aaaa")
    broken = edl(
        "--virtual", phone, "--fault", "unplug@in:700000", "backup", tmp_path / "saved",
        "--skip", "userdata",
    )  # fmt: skip
    assert broken.status == 4
    assert edl("virtual", "edl", phone).status == 0
    status, person = rescue(phone, ("Go on with it?", "yes"), ("Try it?", "q"))
    assert (status, person.left) == (130, [])
    assert "A backup was begun and not finished" in person.text
    assert f"backup {tmp_path / 'saved'} --skip userdata --resume\n" in person.told
    assert (tmp_path / "saved" / "manifest.json").is_file()
    status, person = rescue(phone, ("saved?", "unique"), ("Where to", "saved"), ("Where to", "q"))
    assert "There is one of " in person.text
    assert "[none]" in next(text for text in person.asked if "saved?" in text)
    assert "holds a finished backup" in person.told


# -- which phone ----------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that types lines."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize(
    ("products", "line", "serial"),
    [
        (("QUSB_SN:77AA", "QUSB_SN:88BB"), "000088\n", "000088bb"),
        (("QUSB_SN:77AA", "QUSB_SN:88BB"), "\n", "000077aa"),
        (("QUSB_SN:77AA", ""), "no\n", None),
        (("QUSB_SN:77AA",), "", None),
    ],
)
def test_which_phone_is_meant(
    products: tuple[str, ...], line: str, serial: str | None, typed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ports = [FoundPort(f"COM{n}", product=text) for n, text in enumerate(products)]
    monkeypatch.setattr(contact, "look", lambda _: contact.Contact(ports=tuple(ports)))
    typed(line)
    story = Story(Settings(), [])
    if line == "no\n":
        with pytest.raises(click.Abort):
            finding.find(story)
        assert "Unplug all but the one" in capsys.readouterr().err
    else:
        finding.find(story)
    assert story.settings.serial == serial
    assert ("--serial" in story.plain("info")) is (serial is not None)


def test_a_phone_that_may_not_be_opened(rescue: Rescue) -> None:
    status, person = rescue("msm8953,size=4MiB,product=unreadable", ("Look again?", "no"))
    assert (status, person.steps) == (130, [1])
    assert "This computer may not open it." in person.told


# -- questions ------------------------------------------------------------------------------------


def test_answers(typed: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    typed("maybe\nY\n")
    assert asking.agreed("Go on?", default=False)
    assert "Error: please type yes or no, or q to stop" in capsys.readouterr().err
    typed("what\nq\n")
    assert not asking.confirmed("Erase?")
    assert capsys.readouterr().err.count("Erase? [y/N]: ") == 2
    typed("'half\n  'my ROM.zip' --choose layout=b \n")
    assert asking.words("Where") == ["my ROM.zip", "--choose", "layout=b"]
    typed("\n")
    assert asking.words("Where", "here") == ["here"]
    typed("")
    with pytest.raises(click.Abort):
        asking.words("Where")


# -- the table of ways ----------------------------------------------------------------------------


def test_ways_of_all_makers() -> None:
    common = [way.name for way in ways.ways("other")]
    assert common == ["by itself", "from Android", "from fastboot", "keys", "cable", "test points"]
    for maker in ways.makers():
        found = ways.ways(maker)
        assert [way.name for way in found if way.name != "note"] == common
        assert any(maker in way.makers for way in found)
