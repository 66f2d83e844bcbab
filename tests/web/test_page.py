# SPDX-License-Identifier: BSD-3-Clause
"""The page in a real browser, told by a server that says what a test wants.

Skipped where there is no Chromium (Debian: `chromium`). Whole stories: test_stories.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from edl.report import storage
from edl.units import format_size, format_wait
from edl.web import orders
from tests.report.test_browser import PALE
from tests.web import told
from tests.web.browser import PROGRAM, Window, window
from tests.web.fake import Fake, job, phone, running, serving

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")

Page = tuple[Window, Fake]

# what reaches out of the window, or is cut off at its edge
WIDE = """[...document.querySelectorAll('body *:not(svg *)')].filter(each => each.checkVisibility()
    && !each.matches('.aloud, .aloud *, thead, thead *, .skip')
    && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 200))"""
# headings that leave out a level, ids that are there twice, rows of tables without a name
UNSOUND = """(() => {
    const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map(each => +each.tagName[1]);
    const ids = [...document.querySelectorAll('[id]')].map(each => each.id);
    return [
        ...levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1),
        ...ids.filter((id, at) => ids.indexOf(id) !== at),
        ...[...document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')]
            .flatMap(each => ['aria-labelledby', 'aria-describedby', 'for']
                .flatMap(key => (each.getAttribute(key) ?? '').split(' ').filter(Boolean)))
            .filter(id => !document.getElementById(id)),
        ...[...document.querySelectorAll('button, .button, nav a, input, select, summary')]
            .filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 20)
            .map(each => `small: ${each.outerHTML.slice(0, 80)}`),
    ];
})()"""
CONTROLS = {"button", "link", "textbox", "checkbox", "radio", "combobox", "img", "region", "dialog",
            "progressbar", "DisclosureTriangle", "log", "table"}  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Start one browser and one server for all tests here."""
    with serving() as fake, window(tmp_path_factory.mktemp("profile")) as browser:
        browser.address = fake.address
        yield browser, fake


@pytest.fixture
def page(opened: Page) -> Page:
    """Give the browser and the server as new."""
    browser, fake = opened
    browser.open("about:blank")
    fake.reset()
    browser.look(1280)
    return browser, fake


def show(page: Page, view: str = "#/phones") -> Window:
    """Load a view anew."""
    browser, fake = page
    if browser.value("location.href").startswith(fake.address):
        browser.open("about:blank")
    browser.open(fake.address + view)
    browser.there(".view h1")
    return browser


def posted(page: Page, path: str, kind: str = "") -> Any:  # noqa: ANN401
    """Wait until the page has posted something there, and return the last of it."""
    browser, fake = page
    for _ in range(200):
        found = [
            body for to, body in fake.asked if to == path and body.get("kind", "") in {kind, ""}
        ]
        if found:
            return found[-1]
        browser.value("new Promise(done => setTimeout(done, 20))")
    raise AssertionError(fake.asked)


def test_every_view_is_sound(page: Page) -> None:
    """No view reaches out of a narrow window, is pale, or has a control without a name."""
    browser, fake = page
    views = told.full(fake)
    show(page)
    for view in views:
        browser.value(f"location.hash = {json.dumps(view)}")
        browser.until(f"document.querySelector('.view')?.dataset.view === {json.dumps(view)}")
        browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
        for width, dark in ((320, False), (768, True), (1280, False)):
            browser.look(width, dark=dark)
            where = f"{view} {width} {dark}"
            assert browser.value("document.documentElement.scrollWidth") <= width, where
            assert browser.value(WIDE) == [], where
            assert browser.value(PALE) == [], where
        heard = browser.heard()
        assert [each for each in heard if each[0] in CONTROLS and not each[1]] == [], view
        roles = [role for role, _ in heard]
        assert all(roles.count(role) == 1 for role in ("main", "banner", "contentinfo")), view
        assert [role for role, _ in heard].count("navigation") == 1
        assert browser.value("document.querySelectorAll('h1').length") == 1
        assert browser.value(UNSOUND) == [], view
        assert browser.value("document.title").endswith("edl")
    assert (browser.complaints, browser.foreign) == ([], [])


def test_names_of_others_are_only_text(page: Page) -> None:
    """What phones and files are called becomes no part of the page, and cannot hide."""
    browser, fake = page
    name = "".join(told.HOSTILE)
    fake.phones = [phone(1, serial=name, chip=name, problem=name)]
    parts = [{"part": name, "state": name, "bytes": 1}]
    error = told.ERROR | {"message": name, "device_log": [name], "remedies": [name], "parts": parts}
    fake.jobs = [
        job(1, "rawprogram", serial=name, status=4, state="failed", error=error, command=name),
        job(2, "storage", result={"luns": [told.table(0, 64, told.partition(name, 1, 9))]}),
        job(3, "backups", phone=None, result={"backups": [told.SAVED[0] | {"folder": name}]}),
    ]
    plan = told.plan(told.finding("error", name, code=name))
    fake.lines = {
        "1": [
            {"type": "event", "event": "device_log", "text": name},
            {"type": "plan", "plan": plan},
        ]
    }
    for view in ("#/phones", "#/phone/usb%201-1", "#/job/1", "#/job/2", "#/backups"):
        show(page, view)
        browser.until("document.body.innerText.includes('<img src=x')")
        assert browser.value("document.querySelectorAll('img, script').length") == 1
        text = browser.value("document.body.textContent")
        assert not set(text) & set("\u202e\u2066\x1b\x07")
        assert "a\\u202eb\\u2066c" in text
        assert (browser.complaints, browser.foreign) == ([], []), view


def test_numbers_read_as_on_the_command_line(page: Page) -> None:
    """Sizes and times are those of edl.units."""
    browser = show(page)
    sizes = [0, 1, 512, 1023, 1024, 1536, 99 << 10, 5 << 20, (5 << 20) + 1, 999 << 20, 7 << 30]
    times = [0, 0.4, 4, 59.4, 59.6, 61, 200, 599, 600, 3600, 7505]
    asked = (
        f"import('/static/text.js').then(text => [{sizes}.map(text.size), {times}.map(text.wait)])"
    )
    assert browser.value(asked) == [
        [format_size(each) for each in sizes],
        [format_wait(each) for each in times],
    ]


def test_speed_and_time_left(page: Page) -> None:
    """They are told after a while, of the last seconds only, and not while nothing moves."""
    browser = show(page)
    assert browser.value("""import('/static/pace.js').then(({Pace}) => {
        const pace = new Pace();
        const told = [];
        for (const [done, seconds] of [[0, 0], [10, 1], [40, 4], [400, 20], [440, 24]]) {
            pace.saw(done, seconds);
            told.push([pace.speed(seconds), pace.left(500, seconds)]);
        }
        return [...told, pace.speed(60)];
    })""") == [[None, None], [None, None], [10, 46], [22.5, 100 / 22.5], [10, 6], None]


def test_the_map_is_that_of_the_report(page: Page) -> None:
    """Boxes are where the report page draws them."""
    browser = show(page)
    lun = told.STORAGE["luns"][0]
    rows = [
        {"name": each["name"], "start_sector": each["first_sector"], "sectors": each["sectors"]}
        for each in lun["partitions"]
    ]
    source = storage.Source(512, {0: lun["sectors"]}, {0: rows}, ())
    wanted = [
        (round(box.left, 6), round(box.width, 6), box.unique)
        for box in storage.luns(source)[0].boxes
    ]
    found = browser.value(f"""import('/static/map.js').then(map => map.boxes({json.dumps(lun)})
        .map(box => [+box.left.toFixed(6), +box.width.toFixed(6), box.fate === 'unique']))""")
    assert [tuple(each) for each in found] == wanted


def test_a_question_is_asked_as_strictly_as_on_the_command_line(page: Page) -> None:
    """No has the focus; Escape agrees to nothing; a word must be typed letter by letter."""
    browser, fake = page
    ask = {"v": 1, "type": "question", "id": 1, "kind": "confirm", "text": "Sure?", "word": None}
    fake.jobs = [running(1, "restore", state="asking", question=ask)]
    show(page, "#/job/1")
    browser.there("#question")
    assert browser.focus == "answer-no"
    browser.press("Escape")
    browser.until("!document.querySelector('#question')")
    assert fake.asked == []
    browser.click("#asks button")
    browser.there("#question")
    assert browser.focus == "answer-no"
    browser.press("Enter")
    assert posted(page, "/api/jobs/1/answer") == {"id": 1, "answer": False}
    word = ask | {"id": 2, "kind": "word", "text": "Nothing can be saved.", "word": "write blindly"}
    fake.asked.clear()
    fake.tell_job(running(1, "restore", state="asking", question=word))
    browser.there("#answer-word")
    assert browser.focus == "answer-no"
    for typed in ("write  blindly", "yes"):
        browser.type("#answer-word", typed)
        browser.press("Enter")
        browser.until("document.querySelector('#answer-wrong').textContent")
    assert fake.asked == []
    browser.type("#answer-word", "write blindly")
    browser.press("Enter")
    assert posted(page, "/api/jobs/1/answer") == {"id": 2, "answer": "write blindly"}
    # one that is answered in another tab goes away; elsewhere it is told at the top
    fake.tell_job(running(1, "restore", state="asking", question=ask | {"id": 3}))
    browser.there("#question")
    fake.tell_job(running(1, "restore"))
    browser.until("!document.querySelector('#question')")
    show(page, "#/backups")
    fake.tell_job(running(1, "restore", state="asking", question=ask | {"id": 4}))
    browser.there(".banner.ask")
    browser.until("document.querySelector('#urgent').textContent.includes('Sure?')")
    assert browser.value("document.querySelector('#question')") is None
    assert browser.value("document.title").startswith("(!)")


def test_all_by_keyboard(page: Page) -> None:
    """From the first key to the plan, and to a No; the focus is always somewhere sensible."""
    browser, fake = page
    show(page)
    browser.press("Tab")
    assert browser.focus == "skip-link"
    browser.press("Enter")
    browser.press("Tab")
    browser.press("Enter")  # the phone's link
    browser.there("#do-package")
    assert browser.focus == "H1"
    browser.value("document.querySelector('#do-identify').focus()")
    browser.press(" ")
    assert posted(page, "/api/jobs", "identify") == {"kind": "identify", "phone": "usb 1-1"}
    browser.there("#do-storage:disabled")
    assert browser.focus == "do-identify"
    fake.tell_job(job(int(fake.jobs[-1]["id"]), "identify", result=told.INFO))
    browser.there("[data-result=identify]")
    assert browser.focus == "do-identify"
    browser.value("document.querySelector('#do-package').focus()")
    browser.press("Enter")
    browser.there("#package")
    browser.value("document.querySelector('#package').focus()")
    browser.browser.ask("Input.insertText", text="/roms/a b.zip")
    browser.press("Enter")
    wanted = {"kind": "plan", "phone": "usb 1-1", "package": "/roms/a b.zip"}
    assert posted(page, "/api/jobs", "plan") == wanted
    number = fake.jobs[-1]["id"]
    fake.lines[number] = [{"type": "plan", "plan": told.plan()}]
    fake.tell_job(job(int(number), "plan", result={}, options={"package": "/roms/a b.zip"}))
    show(page, f"#/job/{number}")
    browser.there("#write")
    browser.value("document.querySelector('#write').focus()")
    browser.press(" ")
    browser.there("#confirm")
    assert "1a2b3c01" in browser.text("#confirm")
    assert "QCM2290" in browser.text("#confirm")
    assert browser.focus == "confirm-no"
    browser.press("Enter")
    browser.until("!document.querySelector('#confirm')")
    assert browser.focus == "write"
    kinds = [body["kind"] for path, body in fake.asked if path == "/api/jobs"]
    assert kinds == ["jobs", "identify", "plan"]


def test_a_plan_for_another_phone_is_not_written(page: Page) -> None:
    """The phone that was planned for must be the one that is there."""
    browser, fake = page
    fake.jobs = [job(1, "plan", result={}), job(2, "plan", result={})]
    fake.lines = {"1": [{"type": "plan", "plan": told.plan()}],
                  "2": [{"type": "plan", "plan": told.plan(told.finding("error"))}]}  # fmt: skip
    show(page, "#/job/1")
    browser.there("#write:enabled")
    for other in (phone(1, serial="99999999"), phone(1, mode="crash dump"), phone(2)):
        fake.tell_phones(other)
        browser.there("#wrong-phone")
        assert browser.value("document.querySelector('#write').disabled")
        fake.tell_phones(phone())
        browser.there("#write:enabled")
    show(page, "#/job/2")
    browser.there(".finding.error")
    assert browser.value("document.querySelector('#write')") is None


def test_another_phone_at_the_same_place_is_another_phone(page: Page) -> None:
    """What was learnt of one is not shown of the next; nor is its loader offered."""
    browser, fake = page
    fake.jobs = [
        job(1, "storage", result=told.STORAGE, options={"loader": "/p.mbn"}),
        job(2, "rawprogram", status=6, state="failed", error=told.ERROR),
    ]
    show(page, "#/phone/usb%201-1")
    browser.there("[data-result=storage]")
    browser.there("#error")
    assert browser.value("document.querySelector('#phone-loader').value") == "/p.mbn"
    fake.tell_phones(phone(1, serial="99999999"))
    browser.until("document.querySelector('h1').textContent.includes('99999999')")
    assert browser.value("document.querySelectorAll('[data-result], #error').length") == 0
    show(page, "#/phone/usb%201-1/backup")
    browser.there("#what-unique:disabled")
    assert browser.value("document.querySelector('#loader').value") == ""


def test_what_forms_send_is_what_the_server_takes(page: Page) -> None:
    """Each option comes out at the command line, and nothing else."""
    browser, fake = page
    fake.jobs = [job(1, "storage", result=told.STORAGE)]
    show(page, "#/phone/usb%201-1/package")
    browser.click("#data-wipe")
    browser.click("#package-more summary")
    typed = {
        "package": "/r.zip", "only": "boot_a, tz*", "skip": "xbl", "choose": "board=b c, rev=2",
        "overwrite": "persist", "loader": "/p.mbn",
    }  # fmt: skip
    for name, text in typed.items():
        browser.type(f"#{name}", text)
    browser.value("document.querySelector('#slot').value = 'both'")
    browser.click("#allow-missing")
    browser.click("#package-submit")
    assert tuple(orders.read(posted(page, "/api/jobs", "plan")).line()) == (
        "rawprogram", "--dry-run", "--wipe", "--only=boot_a", "--only=tz*", "--skip=xbl",
        "--slot=both", "--choose=board=b c", "--choose=rev=2", "--allow-missing",
        "--overwrite=persist", "--loader=/p.mbn", "--", "/r.zip",
    )  # fmt: skip
    browser.there("#job-title")
    fake.jobs.pop()  # a phone has one job at a time
    show(page, "#/phone/usb%201-1/backup")
    browser.click("#what-unique")
    browser.type("#folder", "/save here")
    browser.click("#resume")
    browser.click("#backup-submit")
    assert tuple(orders.read(posted(page, "/api/jobs", "backup")).line()) == (
        "backup", "--only=0/persist", "--resume", "--", "/save here",
    )  # fmt: skip
    browser.there("#job-title")
    fake.jobs.pop()
    show(page, "#/phone/usb%201-1/restore")
    browser.type("#folder", "/saved")
    browser.type("#partitions", "boot_a")
    browser.click("#what-unique")
    browser.click("#other")
    browser.click("#restore-submit")
    assert tuple(orders.read(posted(page, "/api/jobs", "plan-restore")).line()) == (
        "restore", "--dry-run", "--unique", "--from-other-device", "--", "/saved", "boot_a",
    )  # fmt: skip
    show(page, "#/station")
    browser.type("#package", "/r.zip")
    browser.type("#count", "3")
    browser.click("#again")
    browser.click("#package-submit")
    assert tuple(orders.read(posted(page, "/api/jobs", "check")).line()) == (
        "check",
        "--",
        "/r.zip",
    )
    number = fake.jobs[-1]["id"]
    fake.lines[number] = [{"type": "plan", "plan": told.plan()}]
    fake.tell_job(job(int(number), "check", phone=None, result=told.CHECKED))
    browser.click("#start-station")
    browser.there("#confirm")
    browser.click("#confirm-yes")
    assert tuple(orders.read(posted(page, "/api/jobs", "station")).line()) == (
        "station", "--count=3", "--again", "--", "/r.zip",
    )  # fmt: skip


def test_files_are_chosen(page: Page) -> None:
    """A folder's names are shown; a choice goes into the field; what was used is offered again."""
    browser, fake = page
    one = {"name": "ROM.zip", "path": "/home/somebody/ROM.zip", "kind": "file", "bytes": 4096}
    entries = [one | {"modified": None}, one | {"name": "odd", "path": None, "modified": None}]
    fake.listings["/home/somebody"] = {
        "path": "/home/somebody", "name": "/home/somebody", "parent": "/home", "separator": "/",
        "roots": ["/"], "more": False, "entries": entries,
    }  # fmt: skip
    show(page, "#/phone/usb%201-1/package")
    browser.click("#package-browse")
    browser.there("#files [data-name='ROM.zip']")
    assert browser.value("document.activeElement.closest('dialog') !== null")
    for width in (320, 1280):
        browser.look(width)
        assert browser.value(WIDE) == []
        assert browser.value(PALE) == []
    off = browser.value("[...document.querySelectorAll('.files button')].map(e => e.disabled)")
    assert off == [False, True]
    browser.click("#files [data-name='ROM.zip']")
    browser.until("document.querySelector('#package').value === '/home/somebody/ROM.zip'")
    assert browser.focus == "package"
    browser.click("#package-submit")
    posted(page, "/api/jobs", "plan")
    show(page, "#/phone/usb%201-1/package")
    browser.there("#package-submit:disabled")  # a job has the phone
    browser.click(".recent button")
    assert browser.value("document.querySelector('#package').value") == "/home/somebody/ROM.zip"


def test_a_job_goes_on_and_is_stopped(page: Page) -> None:
    """Progress, milestones aloud, the log as it comes, and both ways to stop."""
    browser, fake = page
    fake.jobs = [running(1, "rawprogram", progress={"done_bytes": 0, "total_bytes": 100 << 20})]
    show(page, "#/job/1")
    browser.there("#progress")
    for number in range(3):
        line = {"type": "event", "event": "device_log", "text": f"INFO: {number}"}
        fake.tell("line", {"job": "1", "n": number, "line": line})
    browser.until("document.querySelectorAll('#log .log p').length === 3")
    half = {"done_bytes": 50 << 20, "total_bytes": 100 << 20}
    fake.tell_job(running(1, "rawprogram", progress=half))
    browser.until("document.querySelector('.numbers').innerText.startsWith('50 %')")
    browser.until("document.querySelector('#polite').textContent.includes('50 percent')")
    browser.click("#stop")
    assert posted(page, "/api/jobs/1/stop") == {"how": "gently"}
    fake.asked.clear()
    fake.tell_job(running(1, "rawprogram", progress=half, state="stopping", stop="gently"))
    browser.click("#stop-now")
    assert posted(page, "/api/jobs/1/stop") == {"how": "at once"}
    error = told.ERROR | {"code": "stopped", "message": "Stopped, as you asked."}
    browser.value("document.querySelector('#stop-now').focus()")
    fake.tell_job(job(1, "rawprogram", status=10, state="failed", error=error))
    browser.there("#error")
    assert browser.focus == "job-title"  # the button that had it is gone
    assert "Stopped" in browser.text("#job-state")
    browser.until("document.querySelector('#urgent').textContent.includes('as you asked')")
    fake.tell_phones()
    browser.there("#do-resume:disabled")
    fake.tell_phones(phone(7, serial="1a2b3c01"))  # the same phone at another port
    browser.click("#do-resume")
    assert posted(page, "/api/jobs", "resume") == {"kind": "resume", "phone": "usb 1-7"}


def test_the_server_goes_and_comes_back(page: Page) -> None:
    """The page says so, shows what it knew, and what there is when the server is back."""
    browser, fake = page
    show(page)
    browser.there("#link[data-state=open]")
    fake.status = 503
    fake.hang_up()
    browser.there("#lost")
    assert "1a2b3c01" in browser.text("main")
    fake.phones = [phone(2)]
    fake.status = 200
    browser.until("!document.querySelector('#lost')")
    browser.there("[data-phone='usb 1-2']")
    fake.status = 401
    fake.hang_up()
    browser.there("#refused")
    assert "edl web" in browser.text("#refused")


def test_phones_come_and_go(page: Page) -> None:
    """Aloud, and with what to do where there is none."""
    browser, fake = page
    fake.phones = []
    show(page)
    browser.there("#no-phone")
    fake.tell_phones(phone(1), phone(3, mode="crash dump"))
    browser.there("[data-phone='usb 1-3'][data-mode='crash dump']")
    browser.until("document.querySelector('#polite').textContent.includes('1a2b3c01')")
    fake.tell_phones(phone(3, mode="crash dump"))
    browser.until("document.querySelector('#polite').textContent.includes('is gone')")
    fake.tell_phones()
    browser.there("#no-phone")


def test_motion_and_colours_are_as_people_want_them(page: Page) -> None:
    """Nothing moves where that is not wanted; forced colours leave edges and focus to be seen."""
    browser, fake = page
    fake.jobs = [running(1, "identify")]
    show(page, "#/job/1")
    moving = "getComputedStyle(document.querySelector('progress')).animationName"
    assert browser.value(moving) == "along"
    for name, value in (("prefers-reduced-motion", "reduce"), ("forced-colors", "active")):
        browser.browser.ask("Emulation.setEmulatedMedia", features=[{"name": name, "value": value}])
        if name == "prefers-reduced-motion":
            assert browser.value(moving) == "none"
        browser.value("document.querySelector('#stop').focus()")
        edge = "getComputedStyle(document.querySelector('.card')).borderLeftStyle"
        assert browser.value(edge) == "solid"
    assert (browser.complaints, browser.foreign) == ([], [])


def test_modules_stay_small() -> None:
    """No library, no long module, nothing that makes elements of text."""
    folder = resources.files("edl.web").joinpath("page")
    banned = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    for each, word in itertools.product(folder.iterdir(), banned):
        if each.name.endswith(".js"):
            text = each.read_text(encoding="utf-8")
            assert word not in text, (each.name, word)
            assert len(text.splitlines()) < 300, each.name
