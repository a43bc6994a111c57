"""A loopback server that exports what vLLM exports, for pods whose requests come at a known rate and size."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.loopback import Asked, served

LABELS = 'engine="0",model_name="tiny"'
TOKEN_SECONDS, PREFILL_SECONDS = 0.02, 0.01
KV_BLOCKS, BLOCK_TOKENS = 2000, 16


@dataclass(frozen=True, slots=True)
class FakeEngine:
    """`rate_rps` requests finish, their prompts cycling through `prompts` tokens; `growth_rps` more start to wait."""

    rate_rps: float
    prompts: tuple[int, ...]
    generation: int
    edges: tuple[int, ...]
    growth_rps: float = 0.0
    kv_usage: float | None = None
    """None: it exports neither its KV cache nor latencies nor prefix hits."""
    hits: float = 0.0
    """Share of prompt tokens."""
    restarts_at_seconds: float = float("inf")
    """All its counters begin anew."""
    models: tuple[str, ...] = ("tiny",)
    """Each is exported with the same figures."""
    latencies: tuple[float, float] | None = None
    """Seconds to the first token and of each further one, alike for all requests; None: not exported."""

    def text(self, seconds: float) -> str:
        """Its metrics after so many seconds."""
        if seconds >= self.restarts_at_seconds:
            seconds -= self.restarts_at_seconds
        own = self._text(seconds)
        return "".join(own.replace('model_name="tiny"', f'model_name="{model}"') for model in self.models)

    def _text(self, seconds: float) -> str:
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
                *self._joint(finished, sum(sizes)),
                *self._latencies(finished),
                "",
            ]
        )

    def _latencies(self, finished: int) -> Iterator[str]:
        if self.latencies is None:
            return
        names = "vllm:time_to_first_token_seconds", "vllm:request_time_per_output_token_seconds"
        for name, seconds in zip(names, self.latencies, strict=True):
            for edge in (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5):
                yield f'{name}_bucket{{{LABELS},le="{edge}"}} {float(finished if seconds <= edge else 0)}'
            yield f'{name}_bucket{{{LABELS},le="+Inf"}} {float(finished)}'
            yield f"{name}_count{{{LABELS}}} {float(finished)}"
            yield f"{name}_sum{{{LABELS}}} {finished * seconds}"

    def _joint(self, finished: int, prompt_tokens: int) -> Iterator[str]:
        if self.kv_usage is None:
            return
        gaps = finished * (self.generation - 1)
        yield f"vllm:kv_cache_usage_perc{{{LABELS}}} {self.kv_usage}"
        sizes = f'block_size="{BLOCK_TOKENS}",num_gpu_blocks="{KV_BLOCKS}"'
        yield f'vllm:cache_config_info{{engine="0",{sizes}}} 1.0'
        yield f"vllm:inter_token_latency_seconds_sum{{{LABELS}}} {gaps * TOKEN_SECONDS}"
        yield f"vllm:inter_token_latency_seconds_count{{{LABELS}}} {float(gaps)}"
        yield f"vllm:request_prefill_time_seconds_sum{{{LABELS}}} {finished * PREFILL_SECONDS}"
        yield f"vllm:num_preemptions_total{{{LABELS}}} 0.0"
        yield f"vllm:prefix_cache_queries_total{{{LABELS}}} {float(prompt_tokens)}"
        yield f"vllm:prefix_cache_hits_total{{{LABELS}}} {self.hits * prompt_tokens}"

    def _histogram(self, name: str, sizes: list[int]) -> Iterator[str]:
        for edge in self.edges:
            yield f'{name}_bucket{{{LABELS},le="{edge}.0"}} {float(sum(size <= edge for size in sizes))}'
        yield f'{name}_bucket{{{LABELS},le="+Inf"}} {float(len(sizes))}'
        yield f"{name}_count{{{LABELS}}} {float(len(sizes))}"
        yield f"{name}_sum{{{LABELS}}} {float(sum(sizes))}"


@dataclass(frozen=True, slots=True)
class FakeGateway:
    """The export of a collector of a gateway's access log: `cells` requests per second by (prompt, generation) edge."""

    metric: str
    namespace: str
    service: str
    cells: Mapping[tuple[str, str], float]

    def text(self, seconds: float) -> str:
        who = f'medley_namespace="{self.namespace}",medley_service="{self.service}"'
        return "".join(
            f'{self.metric}{{{who},prompt_le="{prompt}",generation_le="{generation}"}} {float(int(rate * seconds))}\n'
            for (prompt, generation), rate in self.cells.items()
        )


@dataclass(frozen=True, slots=True)
class FakeExporter:
    """An exporter of others, with the same samples at all times."""

    samples: str

    def text(self, seconds: float) -> str:
        del seconds
        return self.samples


@contextmanager
def serve(engines: Mapping[str, FakeEngine | FakeGateway | FakeExporter]) -> Iterator[int]:
    """Serve each engine at `/<name>` on a free loopback port, which it gives, until the block ends. One that is taken
    out of `engines` meanwhile answers no scrape any more."""
    started = time.monotonic()

    def exposition(asked: Asked) -> bytes | None:
        engine = engines.get(asked.path.removeprefix("/"))
        return None if engine is None else engine.text(time.monotonic() - started).encode()

    with served(exposition, content_type="text/plain; version=0.0.4") as port:
        yield port
