# SPDX-License-Identifier: BSD-3-Clause
"""Lines of edl as docs/json.md has them, for the page: of all kinds, also with hostile names."""

from __future__ import annotations

from typing import Any

from tests.web.fake import Data, Fake, job, phone, running

# what a name of a file or a phone can be; none of it may become a part of the page
HOSTILE = (
    "<img src=x onerror=alert(1)>", "</title><script>alert(2)</script>", "a\u202eb\u2066c",
    "x" * 300, "\x1b[31mred\x07", "{{7*7}}${7*7}",
)  # fmt: skip

ERROR: Data = {
    "code": "refused", "status": 6, "message": "The phone refused to write 'boot_a'.",
    "state": "boot_a is half written.", "remedies": ["Enter EDL mode again, then: edl resume"],
    "device_log": ["ERROR: Failed to open device"],
    "parts": [
        {"part": "abl_a", "state": "written", "bytes": 4096},
        {"part": "boot_a", "state": "incomplete", "bytes": 8192},
        {"part": "system", "state": "not done", "bytes": 99 << 20},
    ],
}  # fmt: skip

BOOT: Data = {
    "verdict": "doubtful", "slot": "a", "boot_lun": 1, "unread": ["LUN 5: no answer"],
    "read_bytes": 4096,
    "images": [{"name": "xbl_a", "lun": 1, "role": "first-stage", "state": "sound", "reason": "",
                "root": None, "rollback": 0, "test_key": False}],
    "findings": [{"code": "empty", "severity": "warning", "message": "Empty: fsg.", "where": "",
                  "remedy": "If they were saved from this phone: edl restore --unique"}],
    "expect": [{"code": "first-start", "text": "The first start takes long."}],
}  # fmt: skip

WRITTEN: Data = {
    "job": "rawprogram", "written_bytes": 5 << 20, "resumed_bytes": 4096, "unchanged_bytes": 512,
    "erased_bytes": 0, "verified_bytes": 5 << 20, "verified_how": "SHA-256 computed by the phone",
    "rewritten": [], "kept": ["persist", "modemst1"], "files": [], "saved": "/home/x/saved",
    "reset": "reset", "seconds": 12.4, "pace": "3 MiB/s",
    "parts": [{"part": "abl_a", "state": "written", "bytes": 4096},
              {"part": "tz_a", "state": "sent", "bytes": 4096},
              {"part": "xbl_a", "state": "unchanged", "bytes": 512}],
    "left_out": [{"what": "userdata", "reason": "it holds the user's data"}],
    "boot": BOOT,
    "came_back": {"as": "gone", "text": "It has left EDL mode.", "seconds": 3.0, "todo": ""},
}  # fmt: skip

INFO: Data = {
    "serial": "1a2b3c01", "chip": "QCM2290", "chip_names": ["QCM2290"], "soc_version": None,
    "makers": ["Xiaomi"], "identity": "", "hwid": "0x001860e100000000", "hwid_parts": None,
    "pk_hash": "f0" * 48, "key": None, "secure_boot": {"fused": True, "how": "it says so"},
    "sahara_version": 2,
    "programmer": {"protocol": "Firehose", "build_date": "Mar 16 2022",
                   "locks": [{"function": "demacia", "maker": "OPPO"}]},
    "storage": {"type": "ufs", "maker": "Samsung", "product": "KLU", "bytes": 64 << 30,
                "luns": [{}]},
    "health": {"verdict": "sound", "worn": False, "life_a": "0 to 10 %", "life_b": None},
}  # fmt: skip

SLOW = {"state": "slow", "start_sector": 5, "sectors": 1, "seconds": 2.5, "said": ""}
HEALTH: Data = {
    "condition": "worn", "sentence": "The storage is worn.", "meaning": "Save what can be read.",
    "advice": ["edl backup DIR"], "memory": "emmc",
    "luns": [{"lun": 0, "sectors": 8192, "whole": False, "read_bytes": 1, "spots": 2,
              "median_s": 0.1, "odd": [SLOW]}],
    "failed": [{"lun": 3, "said": "open error"}], "written": None, "write_words": "",
    "health": "life time used: 90 %", "picture": None,
}  # fmt: skip

BACKUP: Data = {
    "folder": "/home/x/backup", "serial": "1a2b3c01", "chip": "QCM2290", "form": "images",
    "compression": "none", "verified": "digest", "luns": [0], "parts": 3, "saved_bytes": 1 << 30,
    "moved_bytes": 1, "blank_bytes": 2, "resumed_bytes": 0, "reused_bytes": 0, "disk_bytes": 5,
    "lost": ["userdata"], "left_out": [], "documents": [], "seconds": 99.0,
}  # fmt: skip

CHECKED: Data = {
    "job": "rawprogram", "dry_run": True, "steps": 2, "write_bytes": 8192, "warnings": 1,
    "loaders": ["prog.mbn"], "left_out": [],
    "package": {"kind": "flat build", "devices": ["x"], "version": "1",
                "facts": [{"name": "storage", "value": "eMMC"}]},
}  # fmt: skip

SAVED = [{"folder": "/home/x/backup", "serial": "1a2b3c01", "chip": None, "form": "images",
          "made": "2026-11-22T15:59:35Z", "disk_bytes": 81920, "state": "complete"}]  # fmt: skip
INTERRUPTED = [{"name": "rawprogram-1", "serial": "1a2b3c01", "title": "ROM.zip", "begun": None,
                "command": "edl rawprogram ROM.zip", "done_bytes": 4096, "change_bytes": 8192,
                "damaged": False}]  # fmt: skip


def partition(name: str, first: int, sectors: int, *, unique: bool = False) -> Data:
    """Return a partition, as printgpt tells of it."""
    return {
        "number": 1, "name": name, "first_sector": first, "last_sector": first + sectors - 1,
        "sectors": sectors, "type_guid": "", "unique_guid": "", "attributes": "", "unique": unique,
    }  # fmt: skip


def table(lun: int, sectors: int, *partitions: Data, problems: tuple[str, ...] = ()) -> Data:
    """Return the partition table of a LUN."""
    copy = {
        "found": True,
        "header_crc_ok": True,
        "entries_crc_ok": True,
        "problems": list(problems),
    }
    return {
        "lun": lun, "sectors": sectors, "sector_bytes": 512, "disk_guid": None, "primary": copy,
        "backup": {"found": False, "problems": ["not found"]}, "differences": [],
        "header_differences": [], "active_slot": "a", "partitions": list(partitions),
    }  # fmt: skip


STORAGE: Data = {
    "luns": [
        table(
            0, 100_000, partition("persist", 64, 4000, unique=True),
            partition("boot_a", 5000, 20_000), partition("tiny", 25_000, 1),
            partition("userdata", 30_000, 60_000),
        ),
        table(1, 8192),
    ]
}  # fmt: skip


def plan(*findings: Data, steps: int = 2, **more: Any) -> Data:  # noqa: ANN401
    """Return a plan with so many steps."""
    names = ("boot_a", "vbmeta_a", "userdata", "tz", "rpm", "xbl")
    told: Data = {
        "job": "rawprogram", "title": "ROM.zip", "memory": "emmc", "sector_bytes": 512,
        "luns": {"0": 100_000}, "geometry_assumed": False, "set_bootable": None, "reset": "reset",
        "steps": [{"do": "program", "label": name, "lun": 0, "start_sector": 64, "sectors": 8,
                   "bytes": 4096, "where": "rawprogram0.xml:3", "file": f"{name}.img"}
                  for name in names[:steps]],
        "patches": [], "write_bytes": 4096 * steps, "kept": ["persist", "modemst1"],
        "left_out": [{"what": "3 rows", "reason": "they name no file"}], "findings": list(findings),
    }  # fmt: skip
    return told | more


def finding(severity: str, message: str = "A thing.", **more: str) -> Data:
    """Return what a check found."""
    told = {"code": f"a-{severity}", "severity": severity, "message": message, "where": "x.xml:3",
            "remedy": "Do that."}  # fmt: skip
    return told | more


def station_phone(number: int, state: str, **more: Any) -> Data:  # noqa: ANN401
    """Return a line of a station about one phone."""
    told: Data = {
        "type": "phone", "place": f"1-{number}", "serial": f"1a2b3c0{number}", "chip": "QCM2290",
        "state": state, "code": None, "status": 0, "message": None, "written_bytes": None,
        "unchanged_bytes": None, "verified_bytes": None, "verified_how": None, "seconds": 0,
        "report": "", "on_phone": "", "remedies": [], "done_bytes": 3 << 20, "job_bytes": 10 << 20,
        "notes": [],
    }  # fmt: skip
    return told | more


def full(fake: Fake) -> list[str]:
    """Let fake tell of everything that the page can show; return the addresses of all views."""
    fake.phones = [
        phone(1, identity=INFO), phone(2, problem="You may not open it: edl setup-udev."),
        phone(3, mode="crash dump", serial=""), phone(4, mode="booted", serial="", virtual=True),
    ]  # fmt: skip
    fake.jobs = [
        job(1, "info", result=INFO), job(2, "storage", result=STORAGE),
        job(3, "health", status=1, state="failed", result=HEALTH),
        job(4, "boot-check", result=BOOT), job(5, "backup", result=BACKUP),
        job(6, "plan", result={}, options={"package": "/rom.zip"}),
        job(7, "rawprogram", status=6, state="failed", error=ERROR),
        job(8, "rawprogram", result=WRITTEN, report=True),
        job(9, "backups", phone=None, serial="", result={"backups": SAVED}),
        job(10, "jobs", phone=None, serial="", result={"jobs": INTERRUPTED}),
        job(11, "station", phone=None, serial="", status=6, state="failed",
            error=ERROR | {"code": "phones-failed", "parts": []}),
        job(12, "check", phone=None, serial="", result=CHECKED),
        running(13, "restore", phone="usb 1-2", serial="1a2b3c02", title="writing",
                progress={"done_bytes": 3 << 20, "total_bytes": 10 << 20}),
        running(14, "backup", phone="usb 1-3", serial="", state="stopping"),
    ]  # fmt: skip
    log = [{"type": "event", "event": "device_log", "text": f"INFO: line {n}"} for n in range(50)]
    stage = {"type": "event", "event": "stage", "name": "found", "text": "a phone was found"}
    step = {
        "type": "event",
        "event": "step",
        "index": 2,
        "count": 9,
        "title": "boot",
        "bytes": 4096,
    }
    fake.lines = {
        "6": [{"type": "plan", "plan": plan(finding("warning"), finding("info"))}, *log],
        "7": [{"type": "plan", "plan": plan(steps=6)}, stage,
              {"type": "event", "event": "notice", "text": "Something odd."}, *log],
        "11": [station_phone(1, "done", written_bytes=5 << 20, verified_how="digest", seconds=9.0,
                             report="/r/1a.html", notes=["A note."]),
               station_phone(2, "writing"), station_phone(3, "failed", code="refused", status=6,
               message="It said no.", on_phone="boot_a is half written.", remedies=["Try again."])],
        "13": [stage, step, {"type": "event", "event": "busy", "doing": "writing", "waited_s": 70.0,
                             "left_s": 50.0}],
    }  # fmt: skip
    views = ["#/phones", "#/station", "#/check", "#/backups", "#/jobs", "#/nothing", "#/job/999"]
    views += [f"#/phone/usb%201-{n}" for n in (1, 2, 3, 4, 5)]
    views += [f"#/phone/usb%201-1/{name}" for name in ("package", "backup", "restore")]
    return views + [f"#/job/{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14)]
