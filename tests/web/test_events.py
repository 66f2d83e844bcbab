# SPDX-License-Identifier: BSD-3-Clause
"""The ring of events: many readers, slow ones, and such that come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from edl.web import events
from edl.web.events import Events


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def now() -> list[tuple[str, dict[str, Any]]]:
    return [("phones", {"phones": []}), ("job", {"id": "1"})]


async def text(stream: AsyncIterator[bytes]) -> str:
    return (await anext(stream)).decode()


def test_a_stream_begins_with_how_all_stands() -> None:
    async def work() -> None:
        ring = Events()
        ring.publish("line", {"n": 0})
        stream = ring.stream(now)
        first = await text(stream)
        assert first.startswith("retry: ")
        assert 'event: phones\ndata: {"phones": []}\n\nevent: job\ndata: {"id": "1"}\n\n' in first
        assert first.endswith(f"id: {ring._run}-1\n\n")
        assert "line" not in first
        ring.publish("line", {"n": 1})
        assert await text(stream) == f'id: {ring._run}-2\nevent: line\ndata: {{"n": 1}}\n\n'

    run(work())


def test_one_that_comes_back_gets_what_it_missed() -> None:
    async def work() -> None:
        ring = Events()
        for number in range(5):
            ring.publish("line", {"n": number})
        stream = ring.stream(now, f"{ring._run}-3")
        assert (await text(stream)).endswith(f"id: {ring._run}-3\n\n")
        missed = await text(stream)
        assert [row for row in missed.splitlines() if row.startswith("data")] == [
            'data: {"n": 3}', 'data: {"n": 4}',
        ]  # fmt: skip

    run(work())


def test_unknown_places_begin_now() -> None:
    async def work() -> None:
        ring = Events(most=2)
        for number in range(5):
            ring.publish("line", {"n": number})
        run_id = ring._run
        for since in (None, "", "x", "other-3", f"{run_id}-99", f"{run_id}-1", f"{run_id}--1",
                      f"{run_id}-" + "9" * 5000, f"{run_id}-٣", f"{run_id}-3.0"):  # fmt: skip
            first = await text(ring.stream(now, since))
            assert first.endswith(f"id: {run_id}-5\n\n"), since

    run(work())


def test_a_slow_reader_loses_its_place_and_nothing_grows() -> None:
    async def work() -> None:
        ring = Events(most=100, most_bytes=5000)
        slow, quick = ring.stream(now), ring.stream(now)
        await anext(slow)
        await anext(quick)
        for number in range(1000):
            ring.publish("line", {"n": number})
            await anext(quick)
        assert ring._bytes <= 5000
        assert len(ring._kept) <= 100
        assert [chunk async for chunk in slow] == []

    run(work())


def test_a_reader_is_given_pieces() -> None:
    async def work() -> None:
        ring = Events()
        stream = ring.stream(now)
        await anext(stream)
        for _ in range(3):
            ring.publish("line", {"text": "x" * 200_000})
        assert (await text(stream)).count("event: line") == 2
        assert (await text(stream)).count("event: line") == 1

    run(work())


def test_news_from_another_thread_and_signs_of_life() -> None:
    async def work() -> None:
        ring = Events()
        streams = [ring.stream(now, alive_s=0.01), ring.stream(now)]
        for stream in streams:
            await anext(stream)
        assert await text(streams[0]) == ": still here\n\n"
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams[1:]]
        await asyncio.sleep(0)
        threading.Thread(target=ring.publish, args=("job", {"id": "2"})).start()
        assert b'{"id": "2"}' in await waiting[0]
        assert ring._waiting == set()

    run(work())


def test_the_end_ends_all() -> None:
    async def work() -> None:
        ring = Events()
        stream = ring.stream(now)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream, b"over"))
        await asyncio.sleep(0)
        ring.close()
        assert await waiting == b"over"
        assert await ring.changed(99, 0.0)

    run(work())


def test_a_loop_that_has_ended_is_no_trouble() -> None:
    ring = Events()
    loop = asyncio.new_event_loop()
    ring._waiting.add((loop, asyncio.Event()))
    loop.close()
    ring.publish("job", {})
    assert ring.last == 1
    assert events._MOST_BYTES <= 64 << 20
