"""Readers of the live page cost the loop nothing: they are answered from what was handed over, by other threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.fleet.live_page import LivePage, Seen
from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.server import MetricsServer, Probe
from medley_operator.pages.document import Live
from medley_operator.pages.fleet import WhatIfAnswers, fleet_page
from tests.unit.operator import factories as make

READERS = 100
TIMES = 5
READ = """\
import sys, threading, urllib.request
address, readers, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
bodies, start = [], threading.Barrier(readers)
def read():
    start.wait()
    for _ in range(times):
        with opener.open(address, timeout=30) as answer:
            bodies.append(answer.read())
threads = [threading.Thread(target=read) for _ in range(readers)]
for each in threads: each.start()
for each in threads: each.join()
print(len(bodies), len(set(bodies)))
"""


class Fleet:
    """The cluster of a loop: what it shows, and how often it was asked."""

    def __init__(self) -> None:
        self.seen: Seen = ((make.service(),), (make.pool("l4"),))
        self.looks = 0

    def shown(self) -> Seen:
        self.looks += 1
        return self.seen


@pytest.fixture
def page() -> LivePage:
    return LivePage(timestamp=lambda: make.NOW)


@pytest.fixture
def url(page: LivePage) -> Iterator[str]:
    well = Probe(True, "ok")
    server = MetricsServer(
        address="127.0.0.1",
        port=0,
        registry=Exporter().registry,
        healthy=lambda: well,
        ready=lambda: well,
        pages=page.served(),
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


async def test_a_hundred_readers_at_once_cost_the_loop_nothing(
    page: LivePage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[threading.Thread] = []

    def counted(
        services: Sequence[LLMService], pools: Sequence[GPUPool], what_changes: WhatIfAnswers, *, at: str, live: Live
    ) -> str:
        makers.append(threading.current_thread())
        return fleet_page(services, pools, what_changes, at=at, live=live)

    monkeypatch.setattr("medley_operator.fleet.live_page.fleet_page", counted)
    page.offer(Fleet().shown())
    started = time.thread_time()
    readers = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READ, f"{url}/ui", str(READERS), str(TIMES), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await readers.communicate()
    spent = time.thread_time() - started
    assert told.split() == [str(READERS * TIMES).encode(), b"1"]
    # Only those that came while it was made made it too, and never the loop.
    assert 1 <= len(makers) <= READERS
    assert threading.main_thread() not in makers
    # CPU time of the loop's own thread, which waits for one process; no reader is in it.
    assert spent < 0.2
    made = len(makers)
    await _text(url)
    assert len(makers) == made


async def test_it_follows_the_cluster_and_takes_the_same_objects_for_no_news(page: LivePage, url: str) -> None:
    fleet = Fleet()
    following = asyncio.create_task(page.follow(fleet))
    await asyncio.sleep(0)
    assert "demo/llama" in await _text(url)
    body = page.served()["/ui"]().body
    page.offer(fleet.shown())
    assert page.served()["/ui"]().body is body
    page.offer(((make.service("mistral"),), fleet.seen[1]))
    assert "demo/mistral" in await _text(url)
    following.cancel()


async def test_addresses_and_headers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        page, script, other = [await client.get(f"{url}{path}") for path in ("/ui", "/ui/refresh.js", "/ui/else")]
    assert (page.status_code, script.status_code, other.status_code) == (200, 200, 404)
    assert page.headers["Cache-Control"] == "no-store"
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert "/ui" in other.text


async def _text(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/ui")).text
