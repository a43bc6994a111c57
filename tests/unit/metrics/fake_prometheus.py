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
from medley_operator.metrics.queries import Role

NOW = 1_800_000_000.0
URL = "http://prometheus.test:9090"
WINDOW_SECONDS = 300
Element = tuple[Mapping[str, str], float | str]
Sizes = Mapping[str, float]

PROMPT_BUCKETS: Sizes = {"100.0": 0.0, "200.0": 600.0, "500.0": 600.0, "+Inf": 600.0}
GENERATION_BUCKETS: Sizes = {"20.0": 300.0, "50.0": 600.0, "+Inf": 600.0}


def labels(namespace: str, name: str, role: Role, **more: str) -> dict[str, str]:
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
    return [(labels(namespace, name, Role(role)), value) for role, value in figures.items() if value is not None]


def size_elements(
    buckets: Sizes, tokens: float | str, namespace: str = "demo", name: str = "llama", replica_set: str = "5d4f"
) -> list[Element]:
    elements: list[Element] = [
        (labels(namespace, name, Role.BUCKET, le=edge, pod_template_hash=replica_set), count)
        for edge, count in buckets.items()
    ]
    return [*elements, (labels(namespace, name, Role.TOKENS), tokens)]


def prompt_elements(namespace: str = "demo", name: str = "llama") -> list[Element]:
    return size_elements(PROMPT_BUCKETS, 90_000, namespace, name)


def generation_elements(namespace: str = "demo", name: str = "llama") -> list[Element]:
    return size_elements(GENERATION_BUCKETS, 15_000, namespace, name)


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
            "load": self.load, "prompt": self.prompt, "generation": self.generation, "absence": self.absence
        }  # fmt: skip
        return vector(answers[kind])

    @staticmethod
    def _kind(query: str) -> str:
        if query == "time()":
            return "time"
        for text, kind in (
            ("present_over_time", "absence"),
            ("prompt_tokens", "prompt"),
            ("generation_tokens", "generation"),
        ):
            if text in query:
                return kind
        return "load"

    def prometheus(self, base_url: str = URL) -> Prometheus:
        return Prometheus(base_url=base_url, client=httpx.AsyncClient(transport=httpx.MockTransport(self.handle)))

    def reader(self) -> MetricsReader:
        return MetricsReader(prometheus=self.prometheus())
