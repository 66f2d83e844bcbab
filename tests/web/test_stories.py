# SPDX-License-Identifier: BSD-3-Clause
"""Whole stories, by clicks: a real browser, the real command, virtual phones.

What a story has done is looked up on the disk of its phone, not on the page.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edl.formats.manifest import Owner
from edl.virtual.phone import Phone
from tests import builds, dumps
from tests.dumps import COMMON, KEPT, LAYOUT, bytes_of, held, live, whole
from tests.web.browser import PROGRAM, Window, window

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")

KIB = 1024
Served = Callable[..., contextlib.AbstractContextManager[Window]]
Golden = Callable[[str], builds.Build]
BOARD = "apq8016-sbc-emmc"
START_OF_BOOT = 150576


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with window(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def served(browser: Window, tmp_path: Path) -> Served:
    """Return what starts `edl web` on phones, and shows its page."""

    @contextlib.contextmanager
    def start(*phones: object) -> Iterator[Window]:
        line = [sys.executable, "-m", "edl", "web", "--no-open", "--json",
                "--virtual", ";".join(map(str, phones))]  # fmt: skip
        process = subprocess.Popen(
            line, env=os.environ | {"EDL_HOME": str(tmp_path / "home")}, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            browser.address = url.partition("?")[0]
            browser.look(1280)
            browser.open(url)
            browser.there("#phones")
            yield browser
            assert browser.complaints == []
            assert browser.foreign == []
        finally:
            process.terminate()
            process.communicate()

    return start


def make(folder: Path, spec: str, *, owner: str = "", firmware: str = "v1") -> Path:
    """Make a phone in a folder. owner: whose life it has behind it."""
    with Phone.create(spec, folder) as phone:
        if owner:
            live(phone.storage, owner, firmware=firmware)
    return folder


def disk(folder: Path) -> bytes:
    with Phone.open(folder) as phone:
        return whole(phone.storage)


def holds(folder: Path, build: builds.Build) -> bool:
    """Tell whether a phone holds what an independent program has made of build."""
    with Phone.open(folder) as phone:
        luns = phone.storage.luns
        return all(
            hashlib.sha256(luns[row["lun"]].read(row["start_sector"], row["sectors"])).hexdigest()
            == row["sha256"]
            for row in build.expected["extents"]
        )


def written(folder: Path, build: builds.Build) -> None:
    """Let a phone have that build, and put it into EDL mode again."""
    for words in (
        ["--virtual", folder, "rawprogram", build.folder, "-q"],
        ["virtual", "edl", folder],
    ):
        subprocess.run([sys.executable, "-m", "edl", *map(str, words)], check=True)


def wear_out(folder: Path) -> None:
    """From now on the flash of a phone refuses writes."""
    saved = folder / "phone.json"
    saved.write_text(saved.read_text().replace("qcm2290,", "qcm2290,flash=read-only,"))


def phone_page(page: Window, serial: str) -> None:
    """Go from wherever to the page of a phone in EDL mode."""
    page.value("location.hash = '#/phones'")
    link = f"[...document.querySelectorAll('#phones a')].find((a) => a.text.includes('{serial}'))"
    page.until(f"{link} !== undefined")
    page.value(f"{link}.click()")
    page.there("#todo")


def planned(page: Window, folder: Path) -> None:
    """Choose a package, and wait for its plan."""
    page.click("#do-package")
    page.type("#package", str(folder))
    page.click("#package-submit")
    ended(page)


def ended(page: Window) -> str:
    """Wait until the job that is looked at has ended; return its state."""
    state = "document.querySelector('#job-state')?.dataset.state"
    page.until(f"['done', 'failed'].includes({state})")
    return str(page.value(state))


def write(page: Window) -> None:
    """Go from a plan to its job, past the window that asks."""
    page.click("#write")
    page.there("#confirm-yes")
    page.click("#confirm-yes")
    page.until("document.querySelector('#job-title')?.innerText.startsWith('Write')")


def test_a_worn_out_phone_is_told_from_a_wrong_rom(
    served: Served, tmp_path: Path, golden: Golden
) -> None:
    """The owner of the Mi A1 had `flash write failure`, and nobody could tell him why."""
    phone = make(tmp_path / "a1", "qcm2290,size=8GiB,serial=0xa1a1a1a1")
    written(phone, golden(BOARD))
    with Phone.open(phone) as device:
        device.storage.luns[0].write(START_OF_BOOT, b"another ROM's boot image" * 64)
    wear_out(phone)
    with served(phone) as page:
        phone_page(page, "a1a1a1a1")
        planned(page, golden(BOARD).folder)
        write(page)
        assert ended(page) == "failed"
        page.there("#error")
        assert page.value("document.querySelector('#error').dataset.code") == "write-failed"
        told = page.text("#error")
        assert "The phone said: " in told
        assert "write-protected, worn out or defective" in told
        assert "'boot' is incomplete" in told
        phone_page(page, "a1a1a1a1")
        page.click("#do-writes")
        page.there("#question")
        assert "belong to no partition" in page.text("#question-text")
        page.click("#answer-yes")
        page.there("[data-result=health]")
        told = page.text("[data-result=health]")
        assert "refuses to write: read-only, as flash is at the end of its life" in told
        assert "Save everything now" in told
    assert not holds(phone, golden(BOARD))


def test_anothers_dump_leaves_a_phone_itself(served: Served, tmp_path: Path) -> None:
    """The owner of the Z3 Compact wrote a friend's dump to his phone, and lost his phone."""
    alice = make(tmp_path / "alice", "qcm2290,size=2M", owner="alice", firmware="v2")
    bob = make(tmp_path / "bob", "qcm2290,size=2M,serial=0x2222bbbb", owner="bob")
    with Phone.open(alice) as phone:
        dumps.backup(phone.storage, tmp_path / "dump", Owner("1111aaaa"))
    with Phone.open(bob) as phone:
        before = {name: held(phone.storage, name) for name in KEPT}
    with served(bob) as page:
        phone_page(page, "2222bbbb")
        page.click("#do-restore")
        page.type("#folder", str(tmp_path / "dump"))
        page.click("#restore-submit")
        assert ended(page) == "failed"
        assert "is another phone's: it is of the phone 1111aaaa" in page.text("#main")
        assert page.value("document.querySelector('#write') === null")
        page.click("#change-choices")
        page.click("#other")
        page.click("#restore-submit")
        page.there("#write")
        assert "modemst1" in page.text("#main")
        write(page)
        page.there("#question")
        assert "common firmware" in page.text("#question-text")
        page.click("#answer-yes")
        assert ended(page) == "done"
    with Phone.open(bob) as phone:
        assert {name: held(phone.storage, name) for name in KEPT} == before
        for name in COMMON:
            assert held(phone.storage, name) == bytes_of("v2", name, LAYOUT[name] * KIB)


def test_the_cable_comes_out_in_the_middle(served: Served, tmp_path: Path, golden: Golden) -> None:
    phone = make(tmp_path / "p", "qcm2290,size=8GiB,serial=0x0000cab1,fault=unplug@out:3000000")
    with served(phone) as page:
        phone_page(page, "0000cab1")
        planned(page, golden(BOARD).folder)
        write(page)
        assert ended(page) == "failed"
        assert "is incomplete" in page.text("#error")
        assert page.value("document.querySelector('#do-resume').disabled")
        page.value("location.hash = '#/phones'")
        page.click("#phones a")
        page.click("#plug")
        page.click("#do-resume")
        assert ended(page) == "done"
        assert "resumed" not in page.text("#error")
        page.there("#virtual-boot")
    assert holds(phone, golden(BOARD))


def test_the_page_is_loaded_anew_in_the_middle(
    served: Served, tmp_path: Path, golden: Golden
) -> None:
    phone = make(tmp_path / "p", "qcm2290,size=8GiB,serial=0x0000ae10,fault=slow@program:9:4")
    with served(phone) as page:
        phone_page(page, "0000ae10")
        planned(page, golden(BOARD).folder)
        write(page)
        page.there("#progress")
        number = page.value("document.querySelector('#job-state').dataset.job")
        page.reload()
        page.there("#progress")
        assert page.value("document.querySelector('#job-state').dataset.state") == "running"
        assert ended(page) == "done"
        assert page.value("document.querySelector('#job-state').dataset.job") == number
        assert "sbl1" in page.text("#parts-table")
    assert holds(phone, golden(BOARD))


def test_two_tabs_see_one_job(served: Served, tmp_path: Path) -> None:
    bob = make(tmp_path / "bob", "qcm2290,size=2M,serial=0x2222bbbb", owner="bob")
    with Phone.open(bob) as phone:
        dumps.image(phone.storage, tmp_path / "bob.img")
        wanted = whole(phone.storage)
        live(phone.storage, "an accident")
    with Phone.open(bob) as phone:
        dumps.backup(phone.storage, tmp_path / "now", Owner("2222bbbb"))
    with served(bob) as page, page.tab() as other:
        phone_page(page, "2222bbbb")
        page.click("#do-restore")
        page.type("#folder", str(tmp_path / "bob.img"))
        page.click("#other")
        page.click("#restore-submit")
        page.there("#write")
        write(page)
        page.there("#question")
        assert page.focus == "answer-no"
        other.look(400)
        other.open(page.value("location.href"))
        other.there("#question")
        assert other.text("#question-text") == page.text("#question-text")
        other.click("#answer-yes")
        page.front()
        page.until("document.querySelector('#question') === null")
        assert ended(page) == "done"
        other.front()
        assert ended(other) == "done"
        assert other.complaints == []
    assert disk(bob) != wanted  # what is unique is not of the image, whoever's that is
    with Phone.open(bob) as phone:
        for name in COMMON:
            assert held(phone.storage, name) == bytes_of("v1", name, LAYOUT[name] * KIB)


def test_no_is_no(served: Served, tmp_path: Path) -> None:
    bob = make(tmp_path / "bob", "qcm2290,size=2M,serial=0x2222bbbb", owner="bob")
    with Phone.open(bob) as phone:
        dumps.backup(phone.storage, tmp_path / "dump", Owner("2222bbbb"))
        live(phone.storage, "an accident")
    before = disk(bob)
    with served(bob) as page:
        phone_page(page, "2222bbbb")
        page.click("#do-restore")
        page.type("#folder", str(tmp_path / "dump"))
        page.click("#restore-submit")
        page.there("#write")
        page.click("#write")
        page.there("#confirm-no")
        assert page.focus == "confirm-no"
        page.press("Enter")
        page.until("document.querySelector('#confirm') === null")
        write(page)
        page.there("#question")
        page.press("Enter")  # the focus is on No
        assert ended(page) == "failed"
    assert disk(bob) == before


class _Stranger(BaseHTTPRequestHandler):
    """A page of somebody else, on the same computer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a stranger</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_TRIES = """(async () => {
    const ends = [];
    for (const [method, path, type] of [
        ['GET', 'api/state', ''], ['GET', 'api/events', ''],
        ['POST', 'api/jobs', 'application/json'],
        ['POST', 'api/jobs', 'text/plain'], ['POST', 'api/jobs/1/stop', 'text/plain']]) {
      for (const mode of ['cors', 'no-cors']) {
        try {
          const answer = await fetch('ADDRESS' + path, {
            method, mode, credentials: 'include',
            headers: type ? {'Content-Type': type} : {},
            body: method === 'POST' ? '{"kind": "backups", "phone": null}' : undefined});
          ends.push(answer.type === 'opaque' ? 'opaque' : 'read');
        } catch { ends.push('refused'); }
      }
    }
    const frame = document.body.appendChild(document.createElement('iframe'));
    frame.src = 'ADDRESS';
    await new Promise((done) => { frame.onload = done; });
    try { ends.push(frame.contentDocument.title); } catch { ends.push('framed, closed'); }
    return ends;
})()"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_strangers_get_nothing(served: Served, tmp_path: Path, host: str) -> None:
    """Pages on other ports of this computer get the cookie sent along by the browser."""
    phone = make(tmp_path / "p", "msm8953,size=4MiB")
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=stranger.serve_forever)
    thread.start()
    try:
        with served(phone) as page:
            with page.tab() as other:
                other.open(f"http://{host}:{stranger.server_port}/")
                ends = other.value(_TRIES.replace("ADDRESS", page.address))
            assert "read" not in ends
            assert ends[-1] != "edl"
            page.value("location.hash = '#/jobs'")
            page.until("document.querySelector('#jobs-table, #no-jobs') !== null")
            jobs = page.value("fetch('api/state').then((it) => it.json()).then((it) => it.jobs)")
            assert [job["kind"] for job in jobs if job["kind"] == "backups"] == []
    finally:
        stranger.shutdown()
        thread.join()
        stranger.server_close()


def test_a_bench_of_phones(served: Served, tmp_path: Path, golden: Golden) -> None:
    good = [make(tmp_path / f"p{n}", f"qcm2290,size=8GiB,serial=0x5a5a000{n}") for n in (1, 2)]
    bad = make(tmp_path / "p3", "qcm2290,size=8GiB,serial=0x5a5a0003,fault=unplug@out:3000000")
    with served(*good, bad) as page:
        page.value("location.hash = '#/station'")
        page.type("#package", str(golden(BOARD).folder))
        page.type("#count", "3")
        page.click("#package-submit")
        page.click("#start-station")
        page.click("#confirm-yes")
        assert ended(page) == "failed"
        counts = page.value("({...document.querySelector('#station-counts').dataset})")
        assert counts == {"done": "2", "failed": "1"}
        row = page.text("#station-table tr[data-phone='5a5a0003']")
        assert "failed" in row.lower()
        assert page.text("#station-table tr[data-phone='5a5a0001']")
        # the one that failed can be finished by itself
        page.value("location.hash = '#/phones'")
        page.click("#phones li[data-mode=unplugged] a")
        page.click("#plug")
        page.click("#do-resume")
        assert ended(page) == "done"
    for phone in (*good, bad):
        assert holds(phone, golden(BOARD))


def _tab_to(page: Window, wanted: str) -> None:
    """Press Tab until the element with that id has the focus."""
    for _ in range(60):
        if page.focus == wanted:
            return
        page.press("Tab")
    pytest.fail(f"{wanted} cannot be reached with Tab; the focus is on {page.focus}")


def test_by_keyboard_alone(served: Served, tmp_path: Path) -> None:
    """A backup is made and written back without a mouse; only what is asked is answered."""
    bob = make(tmp_path / "bob", "qcm2290,size=2M,serial=0x2222bbbb", owner="bob")
    wanted = disk(bob)
    with served(bob) as page:
        page.value("document.querySelector('#phones a').id = 'bob'")
        _tab_to(page, "bob")
        page.press("Enter")
        page.there("#todo")
        _tab_to(page, "do-backup")
        page.press("Enter")
        page.there("#backup-form")
        _tab_to(page, "folder")
        page.type("#folder", str(tmp_path / "saved"))
        page.press("Enter")
        assert ended(page) == "done"
        with Phone.open(bob) as phone:
            live(phone.storage, "an accident")
            phone.enter_edl()
        phone_page(page, "2222bbbb")
        _tab_to(page, "do-restore")
        page.press("Enter")
        page.there("#restore-form")
        _tab_to(page, "folder")
        page.type("#folder", str(tmp_path / "saved"))
        page.press("Enter")
        page.there("#write")
        _tab_to(page, "write")
        page.press("Enter")
        page.there("#confirm-yes")
        _tab_to(page, "confirm-yes")
        page.press("Enter")
        page.there("#question")
        _tab_to(page, "answer-yes")
        page.press("Enter")
        assert ended(page) == "done"
    assert disk(bob) == wanted


def test_phones_come_and_go(served: Served, tmp_path: Path) -> None:
    one = make(tmp_path / "one", "msm8953,size=4MiB,serial=0x00000001")
    two = make(tmp_path / "two", "sdm660,size=4MiB,serial=0x00000002")
    modes = "[...document.querySelectorAll('#phones li')].map((each) => each.dataset.mode).join()"
    with served(one, two) as page:
        page.until(f"{modes} === 'edl,edl'")
        saved = two / "phone.json"
        saved.write_text(saved.read_text().replace('"boot ROM"', '"booted"'))
        page.until(f"{modes} === 'edl,booted'")
        page.until("document.querySelector('#polite').textContent.includes('started')")
        saved.write_text(saved.read_text().replace('"booted"', '"boot ROM"'))
        page.until(f"{modes} === 'edl,edl'")
