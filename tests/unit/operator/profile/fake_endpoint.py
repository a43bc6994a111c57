"""An OpenAI-compatible server as an httpx transport: streams tokens at a given pace, refuses what the test asks for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

METRICS = 'vllm:cache_config_info{block_size="16",kv_cache_size_tokens="87296",num_gpu_blocks="None"} 1.0\n'


@dataclass
class FakeServer:
    """`slots`: requests that are served at once; others wait without a token. `fail_after`: answers before 503s."""

    first_seconds: float = 0.002
    token_seconds: float = 0.0005
    slots: int = 1000
    token_ids: bool = True
    exact: bool = True
    usage: bool = True
    fail_after: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)
    most_at_once: int = 0
    aborted: int = 0
    under_way: int = 0

    def transport(self) -> httpx.MockTransport:
        self._free = asyncio.Semaphore(self.slots)
        return httpx.MockTransport(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/metrics":
            return httpx.Response(200, text=METRICS)
        if request.url.path != "/v1/completions":
            return httpx.Response(404)
        body = json.loads(request.content)
        self.bodies.append(body)
        self.headers.append(request.headers)
        if self.fail_after is not None and len(self.bodies) > self.fail_after:
            return httpx.Response(503, json={"error": {"message": "overloaded", "code": 503}})
        if not self.token_ids and isinstance(body["prompt"], list):
            return httpx.Response(400, json={"error": {"message": "prompt must be a string"}})
        if not self.exact and "ignore_eos" in body:
            return httpx.Response(422, json={"detail": "ignore_eos: extra fields not permitted"})
        return httpx.Response(200, stream=_Stream(self, body))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, server: FakeServer, body: dict[str, Any]) -> None:
        self._server, self._body = server, body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        server = self._server
        server.under_way += 1
        server.most_at_once = max(server.most_at_once, server.under_way)
        done = False
        try:
            async with server._free:
                prompt = self._body["prompt"]
                tokens = {"prompt_tokens": len(prompt) if isinstance(prompt, list) else 2 * len(prompt.split())}
                await asyncio.sleep(server.first_seconds)
                for number in range(1, self._body["max_tokens"] + 1):
                    if number > 1:
                        await asyncio.sleep(server.token_seconds)
                    event: dict[str, Any] = {"choices": [{"text": "a"}]}
                    if server.usage and server.exact:
                        event["usage"] = {**tokens, "completion_tokens": number}
                    yield f"data: {json.dumps(event)}\n\n".encode()
                if server.usage:
                    usage = {**tokens, "completion_tokens": self._body["max_tokens"]}
                    yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode()
                yield b"data: [DONE]\n\n"
                done = True
        finally:
            server.under_way -= 1
            server.aborted += not done
