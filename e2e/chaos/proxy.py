"""An HTTP proxy on loopback between the operator and the API server that does to requests what faults say.

Plain HTTP to the operator, TLS to the API server; credentials pass through. Watches stream. It runs in the event loop
of `e2e.chaos.background`; faults are given to it from any thread.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from e2e.chaos.calls import WATCH, Call, Write, digest_of
from e2e.chaos.faults import IN_STREAM, Effect, Fault
from medley_operator.kube.official import CLOSE_SECONDS

# Per hop, or made anew by the client and server of this proxy.
_NOT_PASSED_ON = {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"}
_WAIT_SECONDS = 0.1
_GONE = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}


class Line(Enum):
    """The line between the operator and the API server."""

    OPEN = auto()
    CUT = auto()
    """Connections end, and new ones end at once."""
    SILENT = auto()
    """Connections stay, and nothing comes through."""


class Proxy:
    """Made by `Proxy.serve`. `wrote` is called after each write, `kill` where a fault ends the operator."""

    def __init__(
        self, server: str, certificate: Path | None, *, wrote: Callable[[], None], kill: Callable[[], None]
    ) -> None:
        self._server = server
        # Without a certificate the server speaks plain HTTP.
        self._tls = True if certificate is None else ssl.create_default_context(cafile=str(certificate))
        self._wrote = wrote
        self._kill = kill
        self._lists: dict[str, tuple[int, bytes]] = {}
        self._upstream: aiohttp.ClientSession | None = None
        self.faults: Sequence[Fault] = ()
        self.line = Line.OPEN
        self.writes: list[Write] = []
        self.calls: Counter[str] = Counter()
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Proxy]:
        """Listens on a free port of loopback until the end of the block."""
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as upstream:
            self._upstream = upstream
            application = web.Application(client_max_size=16 * 2**20)
            application.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                host, port = runner.addresses[0][:2]
                self.url = f"http://{host}:{port}"
                yield self
            finally:
                await runner.cleanup()
        # Transports end in later turns of the loop, which ends with this block.
        await asyncio.sleep(CLOSE_SECONDS)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") in ("true", "1")
        call = Call.of(request.method, request.path, watch=watch, agent=request.headers.get("User-Agent", ""))
        body = await request.read()
        self.calls[f"{call.verb} {call.resource}"] += 1
        await self._line_holds(request)
        fault = next((each for each in self.faults if each.effect not in IN_STREAM and each.hit(call)), None)
        effect = None if fault is None else fault.effect
        try:
            if fault is not None:
                early = await self._before(request, call, fault)
                if early is not None:
                    self._record(call, body, early.status)
                    return early
            if call.verb == WATCH:
                return await self._stream(request, call)
            answer = await self._forward(request, call, body)
        except (aiohttp.ClientError, OSError):
            # The API server is away: so is whoever stands for it.
            raise self._dropped(request) from None
        if effect is Effect.KILL_AFTER:
            self._kill()
        if effect in (Effect.KILL_AFTER, Effect.LOSE_ANSWER):
            raise self._dropped(request)
        await self._line_holds(request)
        return answer

    async def _before(self, request: web.Request, call: Call, fault: Fault) -> web.Response | None:
        """What a fault does before the API server sees the call; an answer of its own where it gives one."""
        match fault.effect:
            case Effect.ANSWER:
                status = {"kind": "Status", "status": "Failure", "code": fault.status, "message": "made by a fault"}
                return web.json_response(status, status=fault.status, headers=fault.headers)
            case Effect.STALE:
                known = self._lists.get(request.path_qs)
                return None if known is None else _json(*known)
            case Effect.KILL_BEFORE:
                self._kill()
                raise self._dropped(request)
            case Effect.CLOSE:
                raise self._dropped(request)
            case Effect.HANG:
                await asyncio.sleep(fault.seconds)
                raise self._dropped(request)
            case Effect.DELAY:
                await asyncio.sleep(fault.seconds)
        return None

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> web.Response:
        async with self._ask(request, body) as answer:
            data = await answer.read()
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON}
            if call.verb == "list" and answer.status == 200:
                self._lists.setdefault(request.path_qs, (answer.status, data))
            self._record(call, body, answer.status)
            return web.Response(status=answer.status, body=data, headers=headers)

    async def _stream(self, request: web.Request, call: Call) -> web.StreamResponse:
        async with self._ask(request, b"") as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
            await response.prepare(request)
            chunks = answer.content.iter_any().__aiter__()
            pending: asyncio.Future[bytes] | None = None
            mute_until: float | None = None
            try:
                while mute_until is None or time.monotonic() < mute_until:
                    pending = pending or asyncio.ensure_future(anext(chunks))
                    await asyncio.wait({pending}, timeout=_WAIT_SECONDS)
                    await self._line_holds(request)
                    if self._strikes(call, Effect.EXPIRE):
                        await response.write(json.dumps({"type": "ERROR", "object": _GONE}).encode() + b"\n")
                        return response
                    if self._strikes(call, Effect.END_STREAM):
                        return response
                    if pending.done():
                        chunk, pending = pending.result(), None
                        if mute_until is None and (mute := self._strikes(call, Effect.MUTE)) is not None:
                            mute_until = time.monotonic() + mute.seconds
                        if mute_until is None:
                            await self._pass_on(response, call, chunk)
                return response
            except StopAsyncIteration:
                return response
            finally:
                if pending is not None:
                    pending.cancel()

    async def _pass_on(self, response: web.StreamResponse, call: Call, chunk: bytes) -> None:
        """An event of a watch, late where a fault says so."""
        late = self._strikes(call, Effect.DELAY_EVENTS)
        if late is not None:
            await asyncio.sleep(late.seconds)
        await response.write(chunk)

    def _strikes(self, call: Call, effect: Effect) -> Fault | None:
        return next((each for each in self.faults if each.effect is effect and each.hit(call)), None)

    def _ask(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        assert self._upstream is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        url = URL(self._server + request.raw_path, encoded=True)
        return self._upstream.request(request.method, url, data=body or None, headers=headers, timeout=timeout)

    async def _line_holds(self, request: web.Request) -> None:
        """Returns once the line is open, or drops the connection."""
        while self.line is Line.SILENT:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(_WAIT_SECONDS)
        if self.line is Line.CUT:
            raise self._dropped(request)

    def _record(self, call: Call, body: bytes, status: int) -> None:
        if call.writes:
            self.writes.append(Write(call=call, digest=digest_of(body), status=status, at=time.time()))
            self._wrote()

    def _dropped(self, request: web.Request) -> ConnectionResetError:
        if request.transport is not None:
            request.transport.abort()
        return ConnectionResetError("dropped by a fault")


def _json(status: int, data: bytes) -> web.Response:
    return web.Response(status=status, body=data, content_type="application/json")
