"""From the size figures of one service to its demand: the best joint distribution that they allow. Pure.

The gateway's counts come first, then the variants' own histograms, then the tilt by KV usage, then the plain product
(`medley_planner.workload.joint`). A source that is not exported, or cannot be trusted, leads to the next and is named
in the message; a figure that is not a number is an error, because then the engine's other figures cannot be trusted
either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medley_operator.domain.values.quantities import whole_count
from medley_operator.metrics.by_service import CacheFigures, SizeFigures, edge_tokens
from medley_operator.metrics.errors import InvalidMetricsError, MissingMetricsError
from medley_operator.metrics.queries import FigureRole
from medley_operator.metrics.service_series import ServiceSeries
from medley_planner.model import Demand
from medley_planner.workload import (
    HeldTokens,
    Histogram,
    Moments,
    Sizes,
    Untold,
    demand_from_cells,
    demand_from_histograms,
    demand_from_tilt,
    demand_from_variants,
    joint_ratio,
    mean_square,
    sure_hit_rate,
)

MOST_GATEWAY_EXCESS = 2.0
"""The gateway and the engines count the same requests: further apart than this, one of them counts something else."""


@dataclass(frozen=True, slots=True)
class LiveLoad:
    """The live load of a service. `completed` requests finished within the `covered_seconds` of the window, `growth`
    more are in flight at its end than at its start; `scrapes` samples were taken."""

    completed: float
    in_flight: float
    growth: float
    rate_rps: float
    covered_seconds: float
    scrapes: float


@dataclass(frozen=True, slots=True)
class JointFigures:
    """Figures that show how sizes go together. `cells` is None where no gateway is asked."""

    engine: Mapping[FigureRole, float] = field(default_factory=dict)
    caches: CacheFigures = field(default_factory=CacheFigures)
    cells: Mapping[tuple[str, str], float] | None = None


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Why a source gives no joint sizes, for a message."""

    words: str


def demand_of(
    question: ServiceSeries, load: LiveLoad, *, prompt: SizeFigures, generation: SizeFigures, joint: JointFigures
) -> tuple[Demand, str]:
    """The demand, and why no better source of joint sizes was used ("" where the best one was).

    Raises MissingMetricsError and InvalidMetricsError naming the series, and BadHistogram.
    """
    whole = Sizes(
        _histogram(question, question.names.prompt, prompt),
        _histogram(question, question.names.generation, generation),
    )
    _numbers(question, joint)
    moments = _moments("prompt", whole.prompt), _moments("generation", whole.generation)
    hits, queries = (joint.engine.get(role, 0.0) for role in (FigureRole.PREFIX_HITS, FigureRole.PREFIX_QUERIES))
    found, words = _joint(question, load, whole, prompt, generation, joint=joint, moments=moments)
    sure = sure_hit_rate(hits=hits, queries=queries, requests=load.completed, prompt=moments[0])
    if found is None:
        found = demand_from_histograms(load.rate_rps, prompt=whole.prompt, generation=whole.generation)
    return replace(found, prefix_hit_rate=sure), words


def _joint(
    question: ServiceSeries,
    load: LiveLoad,
    whole: Sizes,
    prompt: SizeFigures,
    generation: SizeFigures,
    *,
    joint: JointFigures,
    moments: tuple[Moments, Moments],
) -> tuple[Demand | None, str]:
    why: list[str] = []
    if joint.cells is not None:
        counted = _from_gateway(question, load, joint.cells, moments)
        if isinstance(counted, Demand):
            return counted, ""
        why.append(counted.words)
    variants = demand_from_variants(load.rate_rps, _by_variant(question, prompt, generation))
    if variants is not None:
        return variants, "; ".join(why)
    held = _held(question, load, joint)
    ratio = held if isinstance(held, _Unknown) else joint_ratio(held, prompt=moments[0], generation=moments[1])
    if isinstance(ratio, _Unknown):
        why.append(ratio.words)
    elif isinstance(ratio, Untold):
        why.append(f"KV usage does not reveal the joint sizes ({ratio.fault.value}): {ratio.message}")
    elif ratio > 0:
        return demand_from_tilt(load.rate_rps, whole, ratio=ratio), "; ".join(why)
    return None, "; ".join(why)


def _from_gateway(
    question: ServiceSeries, load: LiveLoad, cells: Mapping[tuple[str, str], float], moments: tuple[Moments, Moments]
) -> Demand | _Unknown:
    metric = question.gateway_series
    if not cells:
        return _Unknown(f"no series {metric}")
    total = math.fsum(cells.values())
    low, high = load.completed / MOST_GATEWAY_EXCESS, load.completed * MOST_GATEWAY_EXCESS
    if not low <= total <= high:
        return _Unknown(f"{metric} counts {total:.0f} requests, but the engines finished {load.completed:.0f}")
    counts: dict[tuple[float, float], float] = {}
    for (prompt, generation), count in cells.items():
        cell = edge_tokens(prompt, metric), edge_tokens(generation, metric)
        counts[cell] = counts.get(cell, 0.0) + count
    found = demand_from_cells(load.rate_rps, counts, prompt_mean=moments[0].mean, generation_mean=moments[1].mean)
    return found if found is not None else _Unknown(f"{metric} counts only {total:.0f} requests")


def _by_variant(question: ServiceSeries, prompt: SizeFigures, generation: SizeFigures) -> list[Sizes]:
    """Histograms of the variants that have both; none where some pods lack the variant's label."""
    if "" in prompt.variants or prompt.variants != generation.variants:
        return []
    return [
        Sizes(
            _histogram(question, question.names.prompt, prompt.of_variant(variant)),
            _histogram(question, question.names.generation, generation.of_variant(variant)),
        )
        for variant in prompt.variants
    ]


def _held(question: ServiceSeries, load: LiveLoad, joint: JointFigures) -> HeldTokens | _Unknown:
    names, engine = question.names, joint.engine
    wanted = {
        FigureRole.ITL_SECONDS: names.inter_token_seconds,
        FigureRole.ITL_COUNT: names.inter_token_seconds,
        FigureRole.PREFILL_SECONDS: names.prefill_seconds,
        FigureRole.PREEMPTIONS: names.preemptions,
    }
    absent = [candidates[0] for role, candidates in wanted.items() if role not in engine]
    if not joint.caches.usage:
        absent.append(names.kv_usage[0])
    if absent:
        return _Unknown(f"no series {question.series(absent[0])}")
    held = capacity = blocks = 0.0
    for replica_set, usage in joint.caches.usage.items():
        sizes = _cache_sizes(joint.caches.pods.get(replica_set, {}))
        if sizes is None:
            return _Unknown(f"{question.series(names.cache_config[0])} has no size of the KV cache")
        pods = math.fsum(count for count, _, _ in sizes)
        tokens = math.fsum(count * number * block for count, number, block in sizes)
        held += usage / load.scrapes * tokens / pods
        capacity += tokens
        blocks += math.fsum(count * block for count, _, block in sizes) / pods * tokens
    queries = engine.get(FigureRole.PREFIX_QUERIES, 0.0)
    return HeldTokens(
        seconds=load.covered_seconds,
        finished=load.completed,
        growth=load.growth,
        tokens_held=held,
        samples=load.scrapes,
        usage=held / capacity,
        block_tokens=blocks / capacity,
        inter_token_seconds=engine[FigureRole.ITL_SECONDS],
        inter_tokens=engine[FigureRole.ITL_COUNT],
        prefill_seconds=engine[FigureRole.PREFILL_SECONDS],
        preemptions=engine[FigureRole.PREEMPTIONS],
        prefix_hit_rate=engine.get(FigureRole.PREFIX_HITS, 0.0) / queries if queries > 0 else 0.0,
    )


def _cache_sizes(pods: Mapping[tuple[str, str], float]) -> list[tuple[float, float, float]] | None:
    """(pods, blocks, tokens per block) of each size; None where there is none or the engine does not export it."""
    sizes: list[tuple[float, float, float]] = []
    for (blocks, block_tokens), count in pods.items():
        known, tokens = whole_count(blocks), whole_count(block_tokens)
        if not known or not tokens:
            return None
        sizes.append((count, float(known), float(tokens)))
    return sizes or None


def _numbers(question: ServiceSeries, joint: JointFigures) -> None:
    """Raises InvalidMetricsError for a figure that is not a number or negative: counters and shares never are."""
    names = question.names
    series = {
        FigureRole.ITL_SECONDS: f"{names.inter_token_seconds[0]}_sum",
        FigureRole.ITL_COUNT: f"{names.inter_token_seconds[0]}_count",
        FigureRole.PREFILL_SECONDS: f"{names.prefill_seconds[0]}_sum",
        FigureRole.PREEMPTIONS: names.preemptions[0],
        FigureRole.PREFIX_HITS: names.prefix_hits[0],
        FigureRole.PREFIX_QUERIES: names.prefix_queries[0],
    }
    found = [(question.series(series[role]), value) for role, value in joint.engine.items() if role in series]
    found += [(question.series(names.kv_usage[0]), value) for value in joint.caches.usage.values()]
    found += [(question.gateway_series, value) for value in (joint.cells or {}).values()]
    for text, value in found:
        if not math.isfinite(value) or value < 0:
            raise InvalidMetricsError(
                f"{text} {question.where} has the impossible value {value:g}: its exporter or its scraping is broken. "
                "Compare its /metrics"
            )


def _moments(field_name: str, histogram: Histogram) -> Moments:
    square = mean_square(field_name, histogram)
    return Moments(histogram.total_tokens / histogram.buckets[-1][1], square)


def _histogram(question: ServiceSeries, names: tuple[str, ...], sizes: SizeFigures) -> Histogram:
    series = question.series(f"{names[0]}_bucket")
    histogram = sizes.histogram(f"{series} {question.where}")
    if histogram is None:
        raise MissingMetricsError(
            f"there is no series {series} with its _sum {question.where}, although its pods are scraped: check the "
            "engine's version, and that Prometheus does not drop or convert classic histograms (docs/metrics.md)"
        )
    return histogram
