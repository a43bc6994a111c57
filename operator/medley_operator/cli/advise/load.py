"""Load and attained latency of engines that Medley does not run, from the Prometheus that scrapes them.

Their series carry no label of ours, so they are chosen by namespace and by the names of the workloads' pods; routers
that export figures under the engine's names have other names. Figures are per namespace and model.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from medley_operator.cli.advise.engines import FoundService
from medley_operator.metrics.engine_names import OWN_LABELS, VLLM
from medley_operator.metrics.prometheus import Prometheus, VectorSample
from medley_operator.metrics.queries import MODEL, NAMESPACE, ROLE, first_of, union
from medley_planner.units import duration_seconds

PEAK_SECONDS = 300
"""The largest rate is that of so many seconds, or of a quarter of a shorter window."""
MOST_WORKLOADS = 40
"""Workloads in one query: its pattern of names stays some kilobytes."""
EDGE = "le"


class _Role(StrEnum):
    COMPLETED = "completed"
    PEAK = "peak"
    PROMPT = "prompt"
    GENERATION = "generation"
    COUNTED = "counted"
    TTFT = "ttft"
    TPOT = "tpot"


@dataclass(frozen=True, slots=True)
class SeenLoad:
    """Requests per second: the mean of the window and the largest five minutes of it; mean sizes in tokens of the
    requests that finished. Latencies in seconds at the percentile that was asked; None where no histogram says it."""

    mean_rps: float
    peak_rps: float
    prompt_tokens: float
    generation_tokens: float
    ttft_seconds: float | None
    tpot_seconds: float | None


async def read_loads(
    prometheus: Prometheus, services: Sequence[FoundService], *, window: str, percentile: int, at: float
) -> Mapping[tuple[str, str], SeenLoad]:
    """Loads by namespace and served name; those without requests or without series are not in it.

    `window` is a Prometheus duration. Raises PrometheusUnavailableError.
    """
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for part in _parts(services):
        query = load_query(part, window=window, percentile=percentile)
        for sample in await prometheus.vector(query, at=at):
            _keep(found, sample)
    loads = {key: _load(figures, window=window) for key, figures in found.items()}
    return {key: load for key, load in loads.items() if load is not None}


def load_query(services: Iterable[FoundService], *, window: str, percentile: int) -> str:
    """All figures of these services in one answer."""
    chosen = _matchers(services)
    by = f"{NAMESPACE}, {MODEL}"

    def once(expression: str, *more: str) -> str:
        """Each pod once, however many scrape it: where only the scrapers differ, the largest counts."""
        keys = ", ".join((by, "pod", *more))
        kept = ", ".join((by, *more))
        return f"sum by ({kept}) (max by ({keys}) (sum without ({', '.join(OWN_LABELS)}) ({expression})))"

    def grown(candidates: tuple[str, ...], suffix: str, span: str) -> str:
        return first_of(candidates, lambda name: f"increase({name}{suffix}{chosen}[{span}])")

    def quantile(candidates: tuple[str, ...]) -> str:
        return f"histogram_quantile({percentile / 100:g}, {once(grown(candidates, '_bucket', window), EDGE)})"

    step = f"{min(PEAK_SECONDS, max(1, int(duration_seconds(window) / 4)))}s"
    rate = once(first_of(VLLM.completed, lambda name: f"rate({name}{chosen}[{step}])"))
    return union(
        {
            _Role.COMPLETED: once(grown(VLLM.completed, "", window)),
            _Role.PEAK: f"max_over_time(({rate})[{window}:{step}])",
            _Role.PROMPT: once(grown(VLLM.prompt, "_sum", window)),
            _Role.GENERATION: once(grown(VLLM.generation, "_sum", window)),
            _Role.COUNTED: once(grown(VLLM.prompt, "_count", window)),
            _Role.TTFT: quantile(VLLM.ttft_seconds),
            _Role.TPOT: quantile(VLLM.tpot_seconds),
        }
    )


def _parts(services: Sequence[FoundService]) -> Iterable[Sequence[FoundService]]:
    return (services[at : at + MOST_WORKLOADS] for at in range(0, len(services), MOST_WORKLOADS))


def _matchers(services: Iterable[FoundService]) -> str:
    """Pods by the names of what makes them: also those of this window that are gone."""
    namespaces: set[str] = set()
    pods: set[str] = set()
    for service in services:
        namespaces.add(_quoted(service.namespace))
        for workload in service.workloads:
            pods.add(_quoted(workload.name) + ("" if workload.kind == "Pod" else "-.+"))
    return f'{{{NAMESPACE}=~"{"|".join(sorted(namespaces))}",pod=~"{"|".join(sorted(pods))}"}}'


def _quoted(name: str) -> str:
    """A name of Kubernetes as a regular expression within a string of PromQL."""
    return re.escape(name).replace("\\", "\\\\")


def _keep(found: Mapping[tuple[str, str], dict[str, float]], sample: VectorSample) -> None:
    key = sample.labels.get(NAMESPACE, ""), sample.labels.get(MODEL, "")
    if math.isfinite(sample.value) and sample.value >= 0:
        found[key][sample.labels.get(ROLE, "")] = sample.value


def _load(figures: Mapping[str, float], *, window: str) -> SeenLoad | None:
    counted = figures.get(_Role.COUNTED, 0.0)
    completed = figures.get(_Role.COMPLETED, 0.0)
    if counted <= 0 or completed <= 0 or _Role.PROMPT not in figures or _Role.GENERATION not in figures:
        return None
    mean = completed / duration_seconds(window)
    return SeenLoad(
        mean_rps=mean,
        peak_rps=max(mean, figures.get(_Role.PEAK, mean)),
        prompt_tokens=figures[_Role.PROMPT] / counted,
        generation_tokens=figures[_Role.GENERATION] / counted,
        ttft_seconds=figures.get(_Role.TTFT),
        tpot_seconds=figures.get(_Role.TPOT),
    )
