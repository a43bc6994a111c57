"""The users: requests at random times over kept connections to the gateway, each written down when it is over.

A request fails where its connection cannot be made or ends too early, where the answer is not 200 or is another's, and
where it takes longer than `ANSWER_SECONDS`. Nothing is tried again: what a user would see is what counts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from e2e.fleet.load import Arrivals, Workload
from e2e.fleet.requests import Request
from e2e.gateway.records import Sent

ANSWER_SECONDS = 60.0
TICK_SECONDS = 0.005
_SHOWN = 200


class Refused(Exception):
    """The answer was an error; the message says which."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(slots=True)
class Users:
    """Load on one service through the gateway at `host:port`, under `path`."""

    host: str
    port: int
    path: str
    record: Callable[[Sent], None]
    _arrivals: Arrivals | None = None
    _idle: deque[_Connection] = field(default_factory=deque)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _count: int = 0

    def set_load(self, workload: Workload) -> None:
        now = time.time()
        if self._arrivals is None:
            self._arrivals = Arrivals(workload, random=Random("users"), start=now)  # noqa: S311 - a reproducible load
        else:
            self._arrivals.change(workload, now=now)

    @property
    def under_way(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._idle:
            writer = self._idle.pop().writer
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def run(self) -> None:
        while True:
            if self._arrivals is not None:
                for request in self._arrivals.until(time.time()):
                    self._count += 1
                    task = asyncio.create_task(self._send(f"r{self._count}", request))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
            await asyncio.sleep(TICK_SECONDS)

    async def _send(self, name: str, request: Request) -> None:
        started, failure = time.time(), ""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ask(name, request)
        except TimeoutError:
            failure = f"no answer within {ANSWER_SECONDS:g} s"
        except (OSError, EOFError, ValueError, Refused) as error:
            failure = f"{type(error).__name__}: {error}"[:_SHOWN]
        self.record(Sent(id=name, at=started, ended=time.time(), failure=failure))

    async def _ask(self, name: str, request: Request) -> None:
        body = json.dumps(
            {"id": name, "prompt_tokens": request.prompt_tokens, "max_tokens": request.generation_tokens}
        ).encode()
        head = (
            f"POST {self.path}/v1/completions HTTP/1.1\r\nHost: gateway\r\nX-Request-Id: {name}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            connection.writer.write(head.encode("latin-1") + body)
            status, text, kept = await _answer(connection.reader)
        except BaseException:
            connection.writer.close()
            raise
        if kept:
            self._idle.append(connection)
        else:
            connection.writer.close()
        if status != 200:
            raise Refused(f"status {status}: {text}")
        if json.loads(text)["id"] != name:
            raise Refused(f"the answer of another request: {text}")

    async def _connect(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(self.host, self.port))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bool]:
    """Status, body, and whether the connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"])) if "content-length" in headers else b""
    kept = headers.get("connection", "").lower() != "close" and "content-length" in headers
    return int(first.split(" ")[1]), body.decode(errors="replace"), kept
