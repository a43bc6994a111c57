"""The figures of thousands of engines as one text, cheap enough to be asked for every few seconds.

Only what Medley reads of an engine is in it, under vLLM's names and with vLLM's edges, and labelled as a scrape of each
pod would be: the whole of a real engine's /metrics would burden the machine with what nobody asks for. Requests of a
service spread evenly over its Ready pods and come without noise, so that a steady load is steady. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from e2e.fleet.cluster import Key
from e2e.fleet.histogram import token_edges
from e2e.scale.fleet import MAX_MODEL_LEN, Load

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ITL_SECONDS, PREFILL_SECONDS = 0.02, 0.1
KV_BLOCKS, BLOCK_TOKENS = 8000, 16
SPREAD = 0.6
"""Standard deviation of the logarithm of a request's size."""
EDGES = token_edges(MAX_MODEL_LEN)
_BASE = 'engine="0",model_name="{model}"'
_POD = (
    'namespace="{namespace}",pod="{pod}",medley_dev_service="{model}",medley_dev_variant="{variant}",'
    'pod_template_hash="{hash}"'
)


@dataclass(frozen=True, slots=True)
class Pod:
    """A Ready engine pod and the labels by which Prometheus would know it."""

    key: Key
    service: str
    variant: str
    template_hash: str


@dataclass(slots=True)
class _Engine:
    """`template`: the text of its series with a place for each value; `requests`: finished so far."""

    template: str
    requests: float = 0.0


@dataclass(slots=True)
class _Served:
    """The engines of one service, by pod; their requests are counted up to `at`."""

    engines: dict[Key, _Engine] = field(default_factory=dict)
    load: Load | None = None
    at: float = 0.0

    def advance(self, now: float) -> None:
        if self.load is not None:
            for engine in self.engines.values():
                engine.requests += (now - self.at) * self.load.rate_rps / len(self.engines)
        self.at = now

    def text(self) -> Iterator[str]:
        if self.load is not None:
            shares = size_shares(self.load)
            for engine in self.engines.values():
                yield engine.template % _values(engine.requests, self.load, len(self.engines), shares)


class Engines:
    """All engines. Times are in seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._services: dict[Key, _Served] = {}
        self._service_of: dict[Key, Key] = {}

    def __len__(self) -> int:
        return len(self._service_of)

    def set_loads(self, loads: Mapping[Key, Load], *, now: float) -> None:
        for service, load in loads.items():
            self._now(service, now).load = load

    def see(self, pod: Pod, *, now: float) -> None:
        """The pod serves from now on."""
        if pod.key not in self._service_of:
            service = self._service_of[pod.key] = Key(pod.key.namespace, pod.service)
            self._now(service, now).engines[pod.key] = _Engine(_template(pod))

    def gone(self, key: Key, *, now: float) -> None:
        service = self._service_of.pop(key, None)
        if service is not None:
            del self._now(service, now).engines[key]

    def text(self, *, now: float) -> str:
        parts: list[str] = []
        for service in self._services:
            parts.extend(self._now(service, now).text())
        return "".join(parts)

    def _now(self, service: Key, now: float) -> _Served:
        found = self._services.setdefault(service, _Served(at=now))
        found.advance(now)
        return found


def size_shares(load: Load) -> tuple[float, ...]:
    """Shares of requests with prompts, then of those with generations, of at most each edge's tokens, +Inf included."""
    return (*_within(load.prompt_tokens), 1.0, *_within(load.generation_tokens), 1.0)


def _within(mean: float) -> Iterable[float]:
    middle = math.log(mean) - SPREAD**2 / 2
    return (0.5 * (1 + math.erf((math.log(edge) - middle) / (SPREAD * math.sqrt(2)))) for edge in EDGES)


def _values(done: float, load: Load, pods: int, shares: tuple[float, ...]) -> tuple[float, ...]:
    # Whole requests, as engines count them: parts of one would rise and fall with the rounding.
    requests = int(done)
    prompts, generations = requests * load.prompt_tokens, requests * load.generation_tokens
    gaps = generations - requests
    running = load.rate_rps / pods * (PREFILL_SECONDS + load.generation_tokens * ITL_SECONDS)
    held = running * (load.prompt_tokens + load.generation_tokens / 2) / (KV_BLOCKS * BLOCK_TOKENS)
    return (
        running,
        requests,
        min(1.0, held),
        gaps * ITL_SECONDS,
        gaps,
        requests * PREFILL_SECONDS,
        prompts,
        prompts,
        requests,
        generations,
        requests,
        *(int(requests * share) for share in shares),
    )


def _template(pod: Pod) -> str:
    """One line for each value of `_values`, in its order, and what never changes."""
    names = {
        "namespace": pod.key.namespace,
        "pod": pod.key.name,
        "model": pod.service,
        "variant": pod.variant,
        "hash": pod.template_hash,
    }
    labels = f"{_POD},{_BASE}".format(**names)
    kept = f'block_size="{BLOCK_TOKENS}",num_gpu_blocks="{KV_BLOCKS}"'
    lines = [
        f"vllm:num_requests_running{{{labels}}} %.4f",
        f"vllm:num_requests_waiting{{{labels}}} 0",
        f'vllm:request_success_total{{{labels},finished_reason="stop"}} %d',
        f"vllm:kv_cache_usage_perc{{{labels}}} %.4f",
        f"vllm:cache_config_info{{{labels},{kept}}} 1",
        f"vllm:inter_token_latency_seconds_sum{{{labels}}} %.3f",
        f"vllm:inter_token_latency_seconds_count{{{labels}}} %d",
        f"vllm:request_prefill_time_seconds_sum{{{labels}}} %.3f",
        f"vllm:num_preemptions_total{{{labels}}} 0",
        f"vllm:prefix_cache_hits_total{{{labels}}} 0",
        f"vllm:prefix_cache_queries_total{{{labels}}} %d",
        *_histogram("vllm:request_prompt_tokens", labels),
        *_histogram("vllm:request_generation_tokens", labels),
        *_buckets("vllm:request_prompt_tokens", labels),
        *_buckets("vllm:request_generation_tokens", labels),
    ]
    return "\n".join((*lines, ""))


def _histogram(name: str, labels: str) -> tuple[str, str]:
    return f"{name}_sum{{{labels}}} %d", f"{name}_count{{{labels}}} %d"


def _buckets(name: str, labels: str) -> Iterable[str]:
    return (f'{name}_bucket{{{labels},le="{edge}"}} %d' for edge in (*map(repr, EDGES), "+Inf"))


def loads_of(document: Mapping[str, Mapping[str, float]]) -> dict[Key, Load]:
    """Loads by "namespace/name", as `python -m e2e.scale.serve` takes them."""
    return {
        Key(*name.split("/", 1)): Load(
            rate_rps=float(load["rate_rps"]),
            prompt_tokens=int(load["prompt_tokens"]),
            generation_tokens=int(load["generation_tokens"]),
        )
        for name, load in document.items()
    }
