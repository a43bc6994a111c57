"""The stream of a watch, from a server that is a few lines of a script: lines in pieces, errors, silence, a cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from medley_operator.kube import official
from medley_operator.kube.client import WatchEvent, WatchType
from medley_operator.kube.errors import EXPIRED, Forbidden, KubeError, Unavailable
from medley_operator.kube.official import OfficialKubeClient
from medley_operator.kube.resources import PODS

STREAM = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def line(type_: str, **manifest: object) -> bytes:
    return json.dumps({"type": type_, "object": manifest}).encode() + b"\n"


def pod(name: str, note: str = "") -> dict[str, object]:
    return {"kind": "Pod", "metadata": {"name": name, "resourceVersion": "7", "note": note}}


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@asynccontextmanager
async def serving(
    *pieces: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: bool = False
) -> AsyncIterator[list[str]]:
    """A server that answers each request with these pieces, and then closes or hangs; yields the requests."""
    asked: list[str] = []
    hanging = asyncio.Event()
    answering: list[asyncio.Task[None]] = []

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.create_task(answer(reader, writer)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n")).decode().split()[1])
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if hang:
            await hanging.wait()
        writer.close()

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    user = {"name": "u", "user": {"token": "t"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    parts = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | parts))
    monkeypatch.setenv("KUBECONFIG", str(path))
    try:
        yield asked
    finally:
        hanging.set()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*answering, return_exceptions=True)


async def watched() -> tuple[list[WatchEvent], KubeError | None]:
    """What a watch brings and how it ends."""
    seen: list[WatchEvent] = []
    async with OfficialKubeClient(timeout_seconds=2.0) as client:
        try:
            events = client.watch(PODS, resource_version="5", label_selector="a=b", field_selector="c!=d")
            async for event in events:
                seen += [event]
        except KubeError as error:
            return seen, error
    return seen, None


async def test_lines_may_come_in_pieces_and_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = line("MODIFIED", **pod("b", "x" * 300_000))
    text = line("ADDED", **pod("a")) + long
    pieces = (STREAM.encode(), chunk(text[:10]), chunk(text[10:200]), chunk(text[200:]), END)
    async with serving(*pieces, tmp_path=tmp_path, monkeypatch=monkeypatch) as asked:
        seen, error = await watched()
    assert error is None
    assert [(event.type, event.manifest["metadata"].get("name")) for event in seen] == [
        (WatchType.BOOKMARK, None), (WatchType.ADDED, "a"), (WatchType.MODIFIED, "b")
    ]  # fmt: skip
    assert seen[0].manifest["metadata"]["resourceVersion"] == "5"
    (path,) = asked
    assert dict(parse_qsl(urlsplit(path).query)) == {
        "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "5", "timeoutSeconds": "300",
        "labelSelector": "a=b", "fieldSelector": "c!=d",
    }  # fmt: skip


async def test_an_error_in_the_stream_is_one_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"kind": "Status", "code": 410, "message": "too old resource version"}
    pieces = (STREAM.encode(), chunk(line("ADDED", **pod("a"))), chunk(line("ERROR", **status)), END)
    async with serving(*pieces, tmp_path=tmp_path, monkeypatch=monkeypatch):
        seen, error = await watched()
    assert len(seen) == 2
    assert isinstance(error, Unavailable)
    assert (error.reason, "too old resource version" in error.message) == (EXPIRED, True)


async def test_a_watch_that_is_refused_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"kind": "Status", "code": 403, "message": "no right"}).encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(head + body, tmp_path=tmp_path, monkeypatch=monkeypatch):
        seen, error = await watched()
    assert seen == []
    assert isinstance(error, Forbidden)
    assert error.message == "cannot watch pods: the API server answered 403: no right"


async def test_a_stream_that_is_cut_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = (STREAM.encode(), chunk(line("ADDED", **pod("a")) + b'{"type": "MOD'))
    async with serving(*pieces, tmp_path=tmp_path, monkeypatch=monkeypatch):
        seen, error = await watched()
    assert len(seen) == 2
    assert isinstance(error, Unavailable)
    assert "cannot watch pods" in error.message


async def test_a_stream_that_falls_silent_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "SILENT_SECONDS", 0.2)
    pieces = (STREAM.encode(), chunk(line("ADDED", **pod("a"))))
    async with serving(*pieces, tmp_path=tmp_path, monkeypatch=monkeypatch, hang=True):
        async with asyncio.timeout(5.0):
            seen, error = await watched()
    assert len(seen) == 2
    assert error is None


async def test_a_server_that_does_not_begin_to_answer_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path=tmp_path, monkeypatch=monkeypatch, hang=True):
        async with asyncio.timeout(10.0):
            seen, error = await watched()
    assert seen == []
    assert isinstance(error, Unavailable)
