"""One engine at the address of its pod: a listener of its own, vLLM's metrics, and answers as slow as its GPU is.

It listens only while a real engine would: after its start-up, and until SIGTERM. So a request to a pod that is not up
is refused by the kernel, as in a cluster. How long an answer takes comes from `e2e.fleet.engine`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from e2e.fleet.connections import Connections
from e2e.fleet.engine import Engine
from e2e.fleet.exposition import CONTENT_TYPE, Exposition
from e2e.fleet.requests import Request
from e2e.gateway.lifecycle import PodState
from e2e.gateway.records import Arrival

Clock = Callable[[], float]
Record = Callable[[Arrival], None]


@dataclass(slots=True)
class Identity:
    """Who a pod is, and what the API server says of it now; `since` in Unix seconds."""

    pod: str
    variant: str
    image: str
    state: PodState
    since: float

    def change(self, state: PodState, *, at: float) -> None:
        """A pod that is being deleted stays so."""
        if self.state is not state and self.state is not PodState.DRAINING:
            self.state, self.since = state, at


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    done: asyncio.Future[None]


@dataclass(slots=True)
class PodEngine:
    """Runs in the event loop; `tick` must be called often."""

    identity: Identity
    engine: Engine
    record: Record
    keep_alive_seconds: float
    """Idle connections are closed after it."""
    clock: Clock = time.time
    _exposition: Exposition = field(init=False)
    _server: asyncio.Server | None = None
    _waiting: list[_Waiting] = field(default_factory=list)
    _connections: Connections = field(default_factory=Connections)
    _idle: set[asyncio.StreamWriter] = field(default_factory=set)
    _ending: bool = False

    def __post_init__(self) -> None:
        self._exposition = Exposition(self.engine)

    async def listen(self, address: str, port: int) -> int:
        """The port that it listens on; 0 takes a free one."""
        self._server = await asyncio.start_server(self._connection, address, port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    def tick(self) -> None:
        """Lets the engine run to now, and answers what it has finished."""
        self.engine.advance(self.clock())
        left = []
        for each in self._waiting:
            if each.request.finished_at is None:
                left.append(each)
            elif not each.done.done():
                each.done.set_result(None)
        self._waiting = left

    async def drain(self, seconds: float) -> None:
        """SIGTERM: takes nothing new, finishes what it has for at most `seconds`, and closes everything."""
        self._ending = True
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._idle):
            writer.close()
        if self._waiting:
            await asyncio.wait([each.done for each in self._waiting], timeout=seconds)
        self.engine.abort_all(self.clock())
        self.tick()
        await self._connections.end(patience_seconds=1.0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._connections.serve(partial(self._exchange, reader, writer), writer)
        finally:
            self._idle.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False where the connection ends after it."""
        self._idle.add(writer)
        async with asyncio.timeout(self.keep_alive_seconds):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self._idle.discard(writer)
        first, *lines = head.strip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split(" ", 2)
        if method == "GET":
            text = self._exposition.text().encode() if target == "/metrics" else b""
            await self._answer(writer, text, CONTENT_TYPE)
            return not self._ending
        answer = await self._generate(json.loads(body))
        if answer is None:
            return False  # the engine was gone before the request was done: the client sees the connection end
        await self._answer(writer, json.dumps(answer).encode(), "application/json")
        return not self._ending

    async def _generate(self, asked: dict[str, object]) -> dict[str, object] | None:
        now, who = self.clock(), self.identity
        arrival = Arrival(
            id=str(asked["id"]),
            at=now,
            pod=who.pod,
            variant=who.variant,
            image=who.image,
            state=who.state,
            state_seconds=now - who.since,
        )
        self.record(arrival)
        request = Request(
            arrival=now,
            prompt_tokens=int(str(asked["prompt_tokens"])),
            generation_tokens=int(str(asked["max_tokens"])),
        )
        self.engine.submit(request)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        await waiting.done
        return None if request.failure is not None else {"id": arrival.id, "pod": arrival.pod}

    async def _answer(self, writer: asyncio.StreamWriter, body: bytes, content_type: str) -> None:
        status, ending = HTTPStatus.OK, "close" if self._ending else "keep-alive"
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {ending}\r\n\r\n"
        )
        writer.write(head.encode("latin-1") + body)
        await writer.drain()
