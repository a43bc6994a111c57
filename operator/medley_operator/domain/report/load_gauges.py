"""The operator's metrics of what it sees of a service before it plans: its load, its sizes, and what requests attained.

Pure. Whether or not a plan follows, these move in each round of the planner. docs/reference.md has a row for each.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from medley_operator.domain.margins.attained import evidence, quantile_seconds
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.gauges import GaugeFamily, GaugeSample
from medley_operator.domain.values.margins import NO_EVIDENCE, Buckets, LatencyCounts

SERVICE_LABELS = ("namespace", "service")
PROMPT_EDGES = (256.0, 1024.0, 4096.0, math.inf)
GENERATION_EDGES = (64.0, 256.0, 1024.0, math.inf)
LEAST_SHARE = 0.01
"""A class of sizes with less of the load has no series: at most 16 of a service, about five as a rule."""


@dataclass(frozen=True)
class SeenService:
    """A service of this round, and what its requests attained in the window, by variant."""

    candidate: ServiceCandidate
    latencies: Mapping[str, LatencyCounts]

    def quantile(self, latency: Callable[[LatencyCounts], Buckets]) -> float | None:
        """The time that the target's share of all requests kept."""
        whole = together([latency(counts) for counts in self.latencies.values()])
        return quantile_seconds(whole, self.candidate.service.spec.slo.percentile / 100.0)

    @cached_property
    def attained(self) -> float | None:
        slo = self.candidate.service.spec.slo
        parts = (
            evidence(counts, ttft_seconds=slo.ttft_seconds, tpot_seconds=slo.tpot_seconds)
            for counts in self.latencies.values()
        )
        seen = sum(parts, NO_EVIDENCE)
        return seen.likely_kept / seen.requests if seen.requests > 0.0 else None


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A gauge with `SERVICE_LABELS`; it has no series for a service whose `value` is None."""

    name: str
    help: str
    value: Callable[[SeenService], float | None]


def together(histograms: list[Buckets]) -> Buckets:
    """Their sum; empty where their edges differ, because requests then cannot be put in one order."""
    found = [each for each in histograms if each]
    edges = {tuple(edge for edge, _ in each) for each in found}
    if len(edges) != 1:
        return ()
    (common,) = edges
    counts = [math.fsum(column) for column in zip(*([count for _, count in each] for each in found), strict=True)]
    return tuple(zip(common, counts, strict=True))


def _measured(seen: SeenService) -> float | None:
    choice = seen.candidate.choice
    return choice.now.measured_rps if choice is not None and choice.now is not None else None


def _margin(seen: SeenService) -> float | None:
    choice = seen.candidate.choice
    return choice.now.forecast_margin if choice is not None and choice.now is not None else None


SEEN_ROWS: tuple[SeenRow, ...] = (
    SeenRow(
        "medley_service_measured_request_rate",
        "Requests per second measured now; absent without metrics.",
        _measured,
    ),
    SeenRow(
        "medley_service_forecast_margin_ratio",
        "Safety margin added to the forecast rate, as a share of it; absent without a forecast.",
        _margin,
    ),
    SeenRow(
        "medley_service_ttft_target_seconds",
        "Target of the time to first token.",
        lambda seen: seen.candidate.service.spec.slo.ttft_seconds,
    ),
    SeenRow(
        "medley_service_tpot_target_seconds",
        "Target of the time per output token.",
        lambda seen: seen.candidate.service.spec.slo.tpot_seconds,
    ),
    SeenRow(
        "medley_service_target_ratio",
        "Share of requests that must meet both targets.",
        lambda seen: seen.candidate.service.spec.slo.percentile / 100.0,
    ),
    SeenRow(
        "medley_service_ttft_seconds",
        "Time to first token that the target's share of requests kept in the window; absent without requests.",
        lambda seen: seen.quantile(lambda counts: counts.ttft),
    ),
    SeenRow(
        "medley_service_tpot_seconds",
        "Time per output token that the target's share of requests kept in the window; absent without requests.",
        lambda seen: seen.quantile(lambda counts: counts.tpot),
    ),
    SeenRow(
        "medley_service_attained_ratio",
        "Share of requests within both targets in the window; absent without requests.",
        lambda seen: seen.attained,
    ),
)
_SIZES = GaugeFamily(
    "medley_service_size_request_rate",
    (*SERVICE_LABELS, "prompt_le", "generation_le"),
    "Requests per second of the load that is planned for, by class of prompt and generation length.",
)
SEEN_GAUGES = (*(GaugeFamily(row.name, SERVICE_LABELS, row.help) for row in SEEN_ROWS), _SIZES)


def seen_gauges(seen: SeenService) -> Iterator[GaugeSample]:
    """The series of one service."""
    key = tuple(seen.candidate.key)
    for row in SEEN_ROWS:
        value = row.value(seen)
        if value is not None:
            yield GaugeSample(row.name, key, value)
    for (prompt, generation), rate in _rate_by_size(seen.candidate).items():
        yield GaugeSample(_SIZES.name, (*key, prompt, generation), rate)


def _rate_by_size(candidate: ServiceCandidate) -> dict[tuple[str, str], float]:
    """Requests per second by (upper edge of the prompt's class, of the generation's), as text."""
    demand = candidate.choice.demand if candidate.choice is not None else None
    if demand is None or demand.rate_rps <= 0.0:
        return {}
    shares: dict[tuple[str, str], float] = {}
    for bucket, share in zip(demand.buckets, demand.shares, strict=True):
        key = (_class(PROMPT_EDGES, bucket.prompt_tokens), _class(GENERATION_EDGES, bucket.generation_tokens))
        shares[key] = shares.get(key, 0.0) + share
    return {key: share * demand.rate_rps for key, share in shares.items() if share >= LEAST_SHARE}


def _class(edges: tuple[float, ...], tokens: float) -> str:
    edge = edges[bisect_left(edges, tokens)]
    return "+Inf" if math.isinf(edge) else f"{edge:.0f}"
