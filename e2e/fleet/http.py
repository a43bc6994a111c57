"""A small HTTP/1.1 server on asyncio, enough for Prometheus, curl and httpx on loopback; in the fleet's own loop.

Bodies need a Content-Length; connections are kept alive; what a request asks for is decided by the handler alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from e2e.fleet.connections import Connections

IDLE_SECONDS = 60.0
MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`path`: decoded segments, without the query."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: HTTPStatus
    content_type: str
    body: bytes

    @classmethod
    def json(cls, value: Any, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
        return cls(status, "application/json", json.dumps(value).encode() + b"\n")

    @classmethod
    def text(cls, value: str, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
        return cls(status, "text/plain; charset=utf-8", value.encode())


Handler = Callable[[HttpRequest], HttpResponse]


class HttpServer:
    """Listens on 127.0.0.1 from `start` to `stop`. The handler is called in the event loop and must not block."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections = Connections()

    async def start(self, port: int) -> int:
        """The port that it listens on; 0 takes a free one."""
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await self._connections.end()
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._connections.serve(partial(self._exchange, reader, writer), writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False where the connection ends after it."""
        async with asyncio.timeout(IDLE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", "0"))
            if length > MAX_BODY_BYTES:
                raise ValueError("body too large")
            body = await reader.readexactly(length)
        method, target, _ = first.split(" ", 2)
        url = urlsplit(target)
        path = tuple(unquote(segment) for segment in url.path.split("/") if segment)
        answer = self._handler(HttpRequest(method, path, dict(parse_qsl(url.query)), body))
        keep = headers.get("connection", "").lower() != "close"
        writer.write(
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode("latin-1")
            + answer.body
        )
        await writer.drain()
        return keep
