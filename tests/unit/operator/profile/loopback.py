"""The fake server on a real socket, in a separate thread: chunked answers, kept-alive connections, nothing more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import httpx

from tests.unit.operator.profile.fake_endpoint import FakeServer


@contextlib.contextmanager
def on_loopback(server: FakeServer) -> Iterator[str]:
    """The URL that it answers at until the context ends."""
    started, url = threading.Event(), [""]
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        transport = server.transport()
        connections: set[asyncio.Task[None]] = set()

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await _exchange(transport, reader, writer)
            writer.close()

        listening = await asyncio.start_server(connection, "127.0.0.1", 0)
        url[0] = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        started.set()
        await stop.wait()
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _exchange(transport: httpx.MockTransport, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    length = next((int(value) for name, value in headers.items() if name.lower() == "content-length"), 0)
    body = await reader.readexactly(length)
    request = httpx.Request(method, f"http://fake{path}", headers=headers, content=body)
    answer = await transport.handle_async_request(request)
    writer.write(f"HTTP/1.1 {answer.status_code} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    async with contextlib.aclosing(answer.stream.__aiter__()) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            # Cut in two, as a network may.
            for part in (chunk[:5], chunk[5:]):
                if part:
                    writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
