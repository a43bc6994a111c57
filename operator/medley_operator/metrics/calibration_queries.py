"""The one PromQL query of calibration: what the pods of each ReplicaSet did in the window. Pure.

As in `queries`: only series of pods that Prometheus labelled as ours, what several scrape of one pod counts once, and a
rename is one more candidate. Pods are pooled per ReplicaSet, since all of one run the same engine. A pod counts
once it was scraped for `MIN_POD_SECONDS`: before that it compiles and warms up.
"""

from __future__ import annotations

from enum import StrEnum

from medley_operator.metrics.engine_names import OWN_LABELS, EngineNames
from medley_operator.metrics.queries import (
    BLOCK_TOKENS,
    BLOCKS,
    CACHE_TOKENS,
    MODEL,
    NAMESPACE,
    REPLICA_SET,
    SERVICE,
    first_of,
    selector,
    union,
)
from medley_planner.capacity.window import MIN_POD_SECONDS

GROUP = ", ".join((NAMESPACE, SERVICE, *REPLICA_SET))


class CounterRole(StrEnum):
    """The role of a figure in the answer; sums over the pods of a ReplicaSet in the window, or of their means."""

    ENGINES = "engines"
    STEPS = "steps"
    PROMPT_TOKENS = "prompt_tokens"
    PREFIX_HITS = "prefix_hits"
    PROMPTS = "prompts"
    DECODES = "decodes"
    DECODE_SECONDS = "decode_seconds"
    PREEMPTIONS = "preemptions"
    RUNNING = "running"
    WAITING = "waiting"
    KV_USAGE = "kv_usage"
    CACHE = "cache"
    """1 for each size that a cache of a pod has; the size is in the labels."""


def calibration_query(names: EngineNames, *, window_seconds: int, matchers: str = "") -> str:
    """All figures of all ReplicaSets over the window."""
    ours = selector(matchers)
    window = f"[{window_seconds}s]"

    def increase(candidates: tuple[str, ...], suffix: str = "") -> str:
        return _pooled(names, ours, first_of(candidates, lambda name: f"increase({name}{suffix}{ours}{window})"))

    def mean(candidates: tuple[str, ...]) -> str:
        return _pooled(names, ours, first_of(candidates, lambda name: f"avg_over_time({name}{ours}{window})"))

    sizes = f"{GROUP}, {BLOCKS}, {BLOCK_TOKENS}, {CACHE_TOKENS}"
    parts = {
        CounterRole.ENGINES: _pooled(names, ours, first_of(names.running, lambda name: f"{name}{ours} * 0 + 1")),
        CounterRole.STEPS: increase(names.steps),
        CounterRole.PROMPT_TOKENS: increase(names.prompt_tokens),
        CounterRole.PREFIX_HITS: increase(names.prefix_hits),
        CounterRole.PROMPTS: increase(names.first_tokens),
        CounterRole.DECODES: increase(names.inter_token_seconds, "_count"),
        CounterRole.DECODE_SECONDS: increase(names.inter_token_seconds, "_sum"),
        CounterRole.PREEMPTIONS: increase(names.preemptions),
        CounterRole.RUNNING: mean(names.running),
        CounterRole.WAITING: mean(names.waiting),
        CounterRole.KV_USAGE: mean(names.kv_usage),
        CounterRole.CACHE: f"max by ({sizes}) ({first_of(names.cache_config, lambda name: name + ours)})",
    }
    return union(parts)


def _pooled(names: EngineNames, ours: str, expression: str) -> str:
    """Pods that are live, and were so long enough ago, each once, summed up."""
    old = first_of(names.running, lambda name: f"{name}{ours} offset {MIN_POD_SECONDS:.0f}s")
    live = first_of(names.running, lambda name: f"{name}{ours}")
    target = f"sum without ({', '.join((*OWN_LABELS, MODEL))}) ({expression})"
    counted = f"{target} and on ({NAMESPACE}, pod) ({old}) and on ({NAMESPACE}, pod) ({live})"
    return f"sum by ({GROUP}) (max by ({GROUP}, pod) ({counted}))"
