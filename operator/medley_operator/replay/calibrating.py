"""From the scraped figures of engines to what the operator learns of their speed, window by window. Pure.

The figures have the roles of the operator's calibration query; reading, filtering and folding them is its own code.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.domain.engine.pods import EngineFigures, PodGroup, engine_pods
from medley_operator.domain.speed.calibration import KnownEngines, fold_sound
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.metrics.calibration import figures_of
from medley_operator.metrics.calibration_queries import CounterRole
from medley_operator.metrics.prometheus import VectorSample
from medley_operator.metrics.queries import BLOCK_TOKENS, BLOCKS, NAMESPACE, REPLICA_SET, ROLE, SERVICE
from medley_operator.replay.scrapes import CounterColumns, PodWindow, Scrapes
from medley_planner.capacity.window import MIN_POD_SECONDS

WINDOW_SECONDS = 60
"""As the operator's default: one window each minute."""

_COUNTERS = {
    CounterRole.STEPS: CounterColumns.STEPS,
    CounterRole.PROMPT_TOKENS: CounterColumns.PREFILLED,
    CounterRole.PROMPTS: CounterColumns.FIRST_TOKENS,
    CounterRole.DECODES: CounterColumns.DECODES,
    CounterRole.DECODE_SECONDS: CounterColumns.DECODE_SECONDS,
    CounterRole.PREEMPTIONS: CounterColumns.PREEMPTIONS,
}
_GAUGES = {
    CounterRole.RUNNING: CounterColumns.RUNNING,
    CounterRole.WAITING: CounterColumns.WAITING,
    CounterRole.KV_USAGE: CounterColumns.KV_USAGE,
}


def learned(
    known: KnownEngines, snapshot: Snapshot, scrapes: Mapping[ServiceKey, Scrapes], *, now: float
) -> KnownEngines:
    """All engines after one more window of what Prometheus has of them."""
    figures: dict[PodGroup, EngineFigures] = {}
    for key, each in scrapes.items():
        figures |= figures_of(_samples(key, each, now=now), window_seconds=WINDOW_SECONDS)
    folded, _ = fold_sound(known, figures, engine_pods(snapshot))
    return folded.engines


def _samples(key: ServiceKey, scrapes: Scrapes, *, now: float) -> list[VectorSample]:
    """The answer to the calibration query: sums over the live pods of each ReplicaSet that are old enough, and the
    caches of all live ones."""
    groups: dict[tuple[str, str], list[PodWindow]] = {}
    for pod in scrapes.window(now, WINDOW_SECONDS):
        if pod.live:
            groups.setdefault(pod.target.replica_set, []).append(pod)
    found: list[VectorSample] = []
    for replica_set, pods in groups.items():
        labels = {NAMESPACE: key.namespace, SERVICE: key.name, **dict(zip(REPLICA_SET, replica_set, strict=True))}
        for blocks, tokens in {scrapes.cache_of(pod.target.engine) for pod in pods}:
            sizes = {BLOCKS: str(blocks), BLOCK_TOKENS: str(tokens)}
            found.append(VectorSample({**labels, **sizes, ROLE: CounterRole.CACHE.value}, 1.0))
        old = [pod for pod in pods if pod.since <= now - MIN_POD_SECONDS]
        risen = [pod.increase for pod in old if pod.increase is not None]
        if not risen:
            continue
        figures = {role: float(sum(row[column] for row in risen)) for role, column in _COUNTERS.items()}
        figures |= {role: float(sum(pod.mean[column] for pod in old)) for role, column in _GAUGES.items()}
        figures[CounterRole.ENGINES] = float(len(old))
        found += [VectorSample({**labels, ROLE: role.value}, value) for role, value in figures.items()]
    return found
