"""A transport that answers as Prometheus's HTTP API does, from tables of figures that a test fills in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

from medley_operator.metrics.observe import MetricsReader
from medley_operator.metrics.prometheus import Prometheus
from medley_operator.metrics.queries import FigureRole

NOW = 1_800_000_000.0
URL = "http://prometheus.test:9090"
WINDOW_SECONDS = 300
GATEWAY_METRIC = "gateway_requests_by_size_total"
Element = tuple[Mapping[str, str], float | str]
Sizes = Mapping[str, float]

PROMPT_BUCKETS: Sizes = {"100.0": 0.0, "200.0": 600.0, "500.0": 600.0, "+Inf": 600.0}
GENERATION_BUCKETS: Sizes = {"20.0": 300.0, "50.0": 600.0, "+Inf": 600.0}


def labels(namespace: str, name: str, role: FigureRole, **more: str) -> dict[str, str]:
    return {"namespace": namespace, "medley_dev_service": name, "medley_role": role.value, **more}


def load_elements(namespace: str = "demo", name: str = "llama", **changes: float | str | None) -> list[Element]:
    """Figures of a service that finished 600 requests in 300 s and has as many in flight as before; None drops one."""
    figures: dict[str, float | str | None] = {
        "newest": NOW - 5,
        "earliest": NOW - 305,
        "scrapes": 20,
        "completed": 600,
        "running": 8,
        "waiting": 2,
        "running_growth": 0,
        "waiting_growth": 0,
    }
    figures |= changes
    return [(labels(namespace, name, FigureRole(role)), value) for role, value in figures.items() if value is not None]


def size_elements(
    buckets: Sizes,
    tokens: float | str,
    namespace: str = "demo",
    name: str = "llama",
    replica_set: str = "5d4f",
    variant: str = "l4",
) -> list[Element]:
    own = {"medley_dev_variant": variant, "pod_template_hash": replica_set}
    elements: list[Element] = [
        (labels(namespace, name, FigureRole.BUCKET, le=edge, **own), count) for edge, count in buckets.items()
    ]
    return [*elements, (labels(namespace, name, FigureRole.TOKENS, **own), tokens)]


def prompt_elements(namespace: str = "demo", name: str = "llama") -> list[Element]:
    return size_elements(PROMPT_BUCKETS, 90_000, namespace, name)


def generation_elements(namespace: str = "demo", name: str = "llama") -> list[Element]:
    return size_elements(GENERATION_BUCKETS, 15_000, namespace, name)


def engine_elements(
    namespace: str = "demo",
    name: str = "llama",
    *,
    variant: str = "l4",
    replica_set: str = "5d4f",
    blocks: str = "1000",
    **changes: float | str | None,
) -> list[Element]:
    """Engine figures that fit `load_elements` and its sizes: 600 requests of 150 and 25 tokens, as if independent.

    Per request 24 gaps of 200 ms and 200 ms of prefill; two pods of 1000 blocks of 16 tokens. None drops a figure.
    """
    figures: dict[str, float | str | None] = {
        "kv_usage": 20 * 600 * (0.2 * 150 + 4.8 * (150 + 12.5 + 8) + 0.2 * 8) / 300 / 16000,
        "kv_pods": 2,
        "itl_seconds": 600 * 24 * 0.2,
        "itl_count": 600 * 24,
        "prefill_seconds": 600 * 0.2,
        "preemptions": 0,
        "prefix_hits": 0,
        "prefix_queries": 90_000,
    }
    figures |= changes
    own = {"medley_dev_variant": variant, "pod_template_hash": replica_set}
    more = {"kv_usage": own, "kv_pods": {**own, "num_gpu_blocks": blocks, "block_size": "16"}}
    return [
        (labels(namespace, name, FigureRole(role), **more.get(role, {})), value)
        for role, value in figures.items()
        if value is not None
    ]


def gateway_elements(cells: Mapping[tuple[str, str], float | str], name: str = "llama") -> list[Element]:
    return [
        ({"medley_namespace": "demo", "medley_service": name, "prompt_le": prompt, "generation_le": generation}, count)
        for (prompt, generation), count in cells.items()
    ]


def vector(elements: list[Element]) -> httpx.Response:
    result = [
        {"metric": dict(metric), "value": [NOW, value if isinstance(value, str) else repr(float(value))]}
        for metric, value in elements
    ]
    return success({"resultType": "vector", "result": result})


def success(data: Any) -> httpx.Response:
    return httpx.Response(200, content=json.dumps({"status": "success", "data": data}))


@dataclass
class FakePrometheus:
    """What each kind of query is answered with, and the forms that were posted."""

    load: list[Element] = field(default_factory=load_elements)
    prompt: list[Element] = field(default_factory=prompt_elements)
    generation: list[Element] = field(default_factory=generation_elements)
    engine: list[Element] = field(default_factory=list)
    ttft: list[Element] = field(default_factory=list)
    tpot: list[Element] = field(default_factory=list)
    gateway: list[Element] = field(default_factory=list)
    absence: list[Element] = field(default_factory=list)
    override: Callable[[str], httpx.Response | None] = lambda _kind: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        kind = self._kind(form["query"])
        self.asked.append((kind, form))
        overridden = self.override(kind)
        if overridden is not None:
            return overridden
        if kind == "time":
            return success({"resultType": "scalar", "result": [NOW, repr(NOW)]})
        answers = {
            "load": self.load,
            "prompt": self.prompt,
            "generation": self.generation,
            "engine": self.engine,
            "ttft": self.ttft,
            "tpot": self.tpot,
            "gateway": self.gateway,
            "absence": self.absence,
        }
        return vector(answers[kind])

    @staticmethod
    def _kind(query: str) -> str:
        if query == "time()":
            return "time"
        for text, kind in (
            ("present_over_time", "absence"),
            ("kv_cache_usage", "engine"),
            (GATEWAY_METRIC, "gateway"),
            ("time_to_first_token", "ttft"),
            ("time_per_output_token_seconds_bucket", "tpot"),
            ("prompt_tokens", "prompt"),
            ("generation_tokens", "generation"),
        ):
            if text in query:
                return kind
        return "load"

    def prometheus(self, base_url: str = URL) -> Prometheus:
        return Prometheus(base_url=base_url, client=httpx.AsyncClient(transport=httpx.MockTransport(self.handle)))

    def reader(self, *, gateway_metric: str = "") -> MetricsReader:
        return MetricsReader(prometheus=self.prometheus(), gateway_metric=gateway_metric)
