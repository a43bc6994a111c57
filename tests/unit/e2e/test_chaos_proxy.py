"""The proxy of the fault suite between a client and a server that are both made up: each fault does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from e2e.chaos.calls import WATCH, Call
from e2e.chaos.faults import Effect, Fault
from e2e.chaos.proxy import Line, Proxy

PODS = "/api/v1/pods"
SERVICE = "/api/v1/namespaces/team/services/a"
WATCHES = frozenset({WATCH})


class Server:
    """Answers lists with how often they were asked for, and sends three events to each watch."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if "watch" not in request.query:
            return web.Response(text=str(len(self.asked)), status=200)
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(f"{number}\n".encode())
            await asyncio.sleep(0.15)
        return response


@asynccontextmanager
async def between() -> AsyncIterator[tuple[Proxy, Server, aiohttp.ClientSession, list[str]]]:
    """(proxy, server, client, what happened)."""
    server, happened = Server(), list[str]()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    proxy = Proxy(
        f"http://{host}:{port}", None, wrote=lambda: happened.append("wrote"), kill=lambda: happened.append("killed")
    )
    try:
        async with proxy.serve(), aiohttp.ClientSession(base_url=proxy.url, trust_env=False) as client:
            yield proxy, server, client, happened
    finally:
        await runner.cleanup()


async def status_of(client: aiohttp.ClientSession, method: str, path: str) -> int:
    """0 where the connection ends without an answer."""
    try:
        async with client.request(method, path) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


async def watched(client: aiohttp.ClientSession) -> str:
    async with client.get(f"{PODS}?watch=true") as answer:
        return await answer.text()


@pytest.mark.parametrize(
    ("method", "path", "watch", "expected"),
    [
        ("GET", PODS, False, "list pods"),
        ("GET", PODS, True, "watch pods"),
        ("GET", SERVICE, False, "get services team/a"),
        ("PATCH", "/apis/medley.dev/v1alpha1/gpupools/l4/status", False, "patch gpupools/status /l4"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/team/events", False, "create events team"),
        ("GET", "/api/v1/namespaces/team", False, "get namespaces /team"),
    ],
)
def test_a_call_says_what_it_asks_for(method: str, path: str, watch: bool, expected: str) -> None:
    assert str(Call.of(method, path, watch=watch, agent="")) == expected


async def test_without_a_fault_all_passes_through() -> None:
    async with between() as (proxy, server, client, happened):
        assert await status_of(client, "PATCH", SERVICE) == 200
        assert await watched(client) == "0\n1\n2\n"
        assert server.asked == [f"PATCH {SERVICE}", f"GET {PODS}"]
        assert [(str(write.call), write.status) for write in proxy.writes] == [("patch services team/a", 200)]
        assert happened == ["wrote"]


@pytest.mark.parametrize(
    ("effect", "seen", "happened"),
    [
        (Effect.KILL_BEFORE, 1, ["wrote", "killed"]),
        (Effect.KILL_AFTER, 2, ["wrote", "wrote", "killed"]),
        (Effect.LOSE_ANSWER, 2, ["wrote", "wrote"]),
        (Effect.CLOSE, 1, ["wrote"]),
        (Effect.HANG, 1, ["wrote"]),
    ],
)
async def test_the_nth_write_is_struck(effect: Effect, seen: int, happened: list[str]) -> None:
    async with between() as (proxy, server, client, done):
        proxy.faults = [Fault(effect, writes=True, nth=2, seconds=0.1)]
        assert await status_of(client, "GET", PODS) == 200
        assert await status_of(client, "PATCH", SERVICE) == 200
        assert await status_of(client, "PATCH", SERVICE) == 0
        assert server.asked.count(f"PATCH {SERVICE}") == seen
        assert done == happened


async def test_an_answer_of_a_fault_carries_its_headers_and_ends_after_its_times() -> None:
    async with between() as (proxy, server, client, _):
        proxy.faults = [Fault(Effect.ANSWER, status=429, headers={"Retry-After": "1"}, times=1)]
        async with client.get(PODS) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert server.asked == []
        assert await status_of(client, "GET", PODS) == 200


async def test_a_stale_list_is_the_first_one() -> None:
    async with between() as (proxy, _, client, _happened):
        texts = []
        for faults in ([], [], [Fault(Effect.STALE)], []):
            proxy.faults = faults or proxy.faults
            async with client.get(PODS) as answer:
                texts.append(await answer.text())
        assert texts == ["1", "2", "1", "3"]


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        (lambda: Fault(Effect.EXPIRE, WATCHES), lambda text: '"code": 410' in text),
        (lambda: Fault(Effect.MUTE, WATCHES, seconds=0.3, nth=2), lambda text: text == "0\n"),
        (lambda: Fault(Effect.DELAY_EVENTS, WATCHES, seconds=0.2), lambda text: text == "0\n1\n2\n"),
        (lambda: Fault(Effect.END_STREAM, WATCHES), lambda text: text == ""),
    ],
)
async def test_faults_of_watches(fault: Callable[[], Fault], holds: Callable[[str], bool]) -> None:
    async with between() as (proxy, _, client, _happened):
        proxy.faults = [fault()]
        assert holds(await watched(client))


async def test_a_cut_line_ends_connections_and_a_silent_one_holds_them() -> None:
    async with between() as (proxy, server, client, _):
        proxy.line = Line.CUT
        assert await status_of(client, "GET", PODS) == 0
        assert server.asked == []
        proxy.line = Line.SILENT
        waiting = asyncio.create_task(status_of(client, "GET", PODS))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        proxy.line = Line.OPEN
        assert await waiting == 200


def test_a_fault_that_lasts_ends_with_its_time() -> None:
    now = 100.0
    fault = Fault(Effect.ANSWER, lasts=5, clock=lambda: now)
    call = Call.of("GET", PODS, watch=False, agent="")
    assert fault.hit(call)
    now = 104.0
    assert fault.hit(call)
    now = 105.0
    assert not fault.hit(call)
    assert fault.ended_at == 105.0
