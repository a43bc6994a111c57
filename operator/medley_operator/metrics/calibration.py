"""Reads from Prometheus what the pods of each ReplicaSet did in a window: two requests, whatever their number.

What is missing or makes no sense becomes the reason why that ReplicaSet's window is skipped; only a Prometheus that
does not answer is an error.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.domain.engine.pods import EngineFigures, PodGroup
from medley_operator.metrics.calibration_queries import CounterRole, calibration_query
from medley_operator.metrics.engine_names import EVERY_ENGINE, EngineNames
from medley_operator.metrics.prometheus import Prometheus, VectorSample
from medley_operator.metrics.queries import BLOCK_TOKENS, BLOCKS, CACHE_TOKENS, NAMESPACE, REPLICA_SET, ROLE, SERVICE
from medley_planner.capacity.window import SkipReason, Window

MAX_CACHE_TOKENS = 1e12
_ROLES = {role.value: role for role in CounterRole}
_OPTIONAL = {CounterRole.PREFIX_HITS, CounterRole.CACHE}
"""Engines without a prefix cache need not count its hits; the cache's size stands apart."""


@dataclass
class _Group:
    figures: dict[CounterRole, float] = field(default_factory=dict)
    caches: list[float] = field(default_factory=list)


class CalibrationReader:
    """`windows` raises `MetricsError` where Prometheus cannot be asked."""

    def __init__(self, *, prometheus: Prometheus, names: EngineNames = EVERY_ENGINE) -> None:
        self._prometheus = prometheus
        self._names = names

    async def windows(self, *, window_seconds: int) -> dict[PodGroup, EngineFigures]:
        now = await self._prometheus.now()
        query = calibration_query(self._names, window_seconds=window_seconds, matchers=self._prometheus.matchers)
        return figures_of(await self._prometheus.vector(query, at=now), window_seconds=window_seconds)


def figures_of(samples: Iterable[VectorSample], *, window_seconds: int) -> dict[PodGroup, EngineFigures]:
    """The answer, sorted by ReplicaSet. A group whose pods are all young has no figures but its cache's size."""
    groups: dict[PodGroup, _Group] = defaultdict(_Group)
    for sample in samples:
        role = _ROLES.get(sample.labels.get(ROLE, ""))
        if role is None:
            continue
        group = groups[_group(sample.labels)]
        if role is CounterRole.CACHE:
            group.caches.append(_cache_tokens(sample.labels))
        else:
            group.figures[role] = sample.value
    return {key: _engine(group, window_seconds) for key, group in groups.items()}


def _group(labels: Mapping[str, str]) -> PodGroup:
    variant, template = (labels.get(label, "") for label in REPLICA_SET)
    return PodGroup(
        namespace=labels.get(NAMESPACE, ""), service=labels.get(SERVICE, ""), variant=variant, template=template
    )


def _engine(group: _Group, window_seconds: int) -> EngineFigures:
    # Free memory differs a little from node to node: every replica has at least the smallest cache.
    tokens = min((tokens for tokens in group.caches if tokens > 0), default=None)
    kv_tokens = int(tokens) if tokens is not None else None
    return EngineFigures(window=_window(group.figures, tokens, window_seconds), kv_tokens=kv_tokens)


def _window(figures: Mapping[CounterRole, float], cache: float | None, window_seconds: int) -> Window | SkipReason:
    if not figures:
        return SkipReason.YOUNG_POD
    if cache is None or not (set(CounterRole) - _OPTIONAL) <= figures.keys():
        return SkipReason.MISSING
    if not all(math.isfinite(value) and value >= 0.0 for value in figures.values()):
        return SkipReason.INVALID
    engines, decodes = figures[CounterRole.ENGINES], figures[CounterRole.DECODES]
    if engines <= 0.0 or decodes <= 0.0:
        return SkipReason.FEW_STEPS
    prompt_tokens = figures[CounterRole.PROMPT_TOKENS]
    return Window(
        steps=figures[CounterRole.STEPS],
        # Both are extrapolated from the scrapes, so that the hits may come out a little above the tokens.
        prefill_tokens=max(prompt_tokens - figures.get(CounterRole.PREFIX_HITS, 0.0), 0.0),
        prompts=figures[CounterRole.PROMPTS],
        decode_tokens=decodes,
        inter_token_seconds=figures[CounterRole.DECODE_SECONDS] / decodes,
        running=figures[CounterRole.RUNNING] / engines,
        waiting=figures[CounterRole.WAITING] / engines,
        kv_tokens=figures[CounterRole.KV_USAGE] / engines * cache,
        preemptions=figures[CounterRole.PREEMPTIONS],
        seconds=float(window_seconds),
        engines=engines,
    )


def _cache_tokens(labels: Mapping[str, str]) -> float:
    """Tokens that the cache holds; 0 where the labels have no plausible number."""
    told = _number(labels.get(CACHE_TOKENS, ""))
    return told or _number(labels.get(BLOCKS, "")) * _number(labels.get(BLOCK_TOKENS, ""))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 < value <= MAX_CACHE_TOKENS else 0.0
