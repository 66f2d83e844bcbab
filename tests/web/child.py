# SPDX-License-Identifier: BSD-3-Clause
"""A child process that behaves as badly as its first argument says: no edl, but the same pipes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def say(**line: object) -> None:
    sys.stdout.write(json.dumps({"v": 1, **line}) + "\n")
    sys.stdout.flush()


def log(text: str) -> None:
    say(type="event", event="device_log", text=text)


def main(manner: str) -> int:
    if manner == "asks":
        say(type="question", id=1, kind="confirm", text="Really? Continue?", word=None)
        first = json.loads(sys.stdin.readline())
        say(type="question", id=2, kind="word", text="Type it.", word="write blindly")
        second = json.loads(sys.stdin.readline())
        say(type="result", answers=[first, second], words=sys.argv[2:])
        return 0
    if manner == "garbage":
        out = sys.stdout.buffer
        for text in (b"\xff\xfe\x00", b"nonsense", b'{"a": NaN}', b"[" * 100_000, b"[1]", b"",
                     b'{"type": 3}',
                     b'{"type": "x", "n": 1e999}', b'{"type": "\\ud800"}',
                     b'{"type": "question", "id": "x"}', b"9" * 5000,
                     b'{"type": "event", "event": "progress", "done_bytes": -1}'):  # fmt: skip
            out.write(text + b"\n")
        out.write(b'{"type": "event", "text": "' + b"x" * (10 << 20) + b'"}\n')
        out.flush()
        say(type="result", ok=True)
        out.write(b"no end of line")
        return 0
    if manner == "floods":
        for number in range(30_000):
            sys.stdout.write(f'{{"type":"event","event":"device_log","text":"{number}"}}\n')
        for number in range(200):
            sys.stdout.write(f'{{"type":"{number}"}}\n')
        sys.stdout.write("nonsense\n" * 100)
        say(type="result", ok=True)
        return 0
    if manner == "dies":
        log("soon")
        os.write(2, b"so long\n")
        os._exit(3)
    if manner == "writes":
        say(type="result", written_bytes=4096)
        return 0
    if manner == "says nothing":
        return 0
    if manner == "ignores":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        log("here")
        time.sleep(60)
    if manner == "stops":
        log("here")
        orders = [json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())]
        say(type="error", code="cancelled", status=130, message=str(orders), state="")
        return 130
    if manner == "moves":
        say(type="event", event="stage", name="x", text="begins")
        say(type="event", event="step", index=1, count=1, title="boot", bytes=4)
        say(type="event", event="progress", done_bytes=2, total_bytes=4)
        sys.stdin.readline()
        say(type="result", big="x" * 300_000)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
