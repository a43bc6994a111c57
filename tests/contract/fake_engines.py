"""A loopback server that exports what vLLM exports, for pods whose requests come at a known rate and size."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

LABELS = 'engine="0",model_name="tiny"'


@dataclass(frozen=True, slots=True)
class FakeEngine:
    """`rate_rps` requests finish, their prompts cycling through `prompts` tokens; `growth_rps` more start to wait."""

    rate_rps: float
    prompts: tuple[int, ...]
    generation: int
    edges: tuple[int, ...]
    growth_rps: float = 0.0

    def text(self, seconds: float) -> str:
        """Its metrics after so many seconds."""
        finished = int(self.rate_rps * seconds)
        sizes = [self.prompts[index % len(self.prompts)] for index in range(finished)]
        return "\n".join(
            [
                f"vllm:num_requests_running{{{LABELS}}} {3.0 if self.rate_rps else 0.0}",
                f"vllm:num_requests_waiting{{{LABELS}}} {float(int(self.growth_rps * seconds))}",
                f'vllm:request_success_total{{{LABELS},finished_reason="stop"}} {float(finished - finished // 2)}',
                f'vllm:request_success_total{{{LABELS},finished_reason="length"}} {float(finished // 2)}',
                *self._histogram("vllm:request_prompt_tokens", sizes),
                *self._histogram("vllm:request_generation_tokens", [self.generation] * finished),
                "",
            ]
        )

    def _histogram(self, name: str, sizes: list[int]) -> Iterator[str]:
        for edge in self.edges:
            yield f'{name}_bucket{{{LABELS},le="{edge}.0"}} {float(sum(size <= edge for size in sizes))}'
        yield f'{name}_bucket{{{LABELS},le="+Inf"}} {float(len(sizes))}'
        yield f"{name}_count{{{LABELS}}} {float(len(sizes))}"
        yield f"{name}_sum{{{LABELS}}} {float(sum(sizes))}"


@contextmanager
def serve(engines: Mapping[str, FakeEngine]) -> Iterator[ThreadingHTTPServer]:
    """Serve each engine at `/<name>` on a free loopback port until the block ends."""
    started = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = engines[self.path.removeprefix("/")].text(time.monotonic() - started).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
