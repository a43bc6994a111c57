"""The one PromQL query of calibration: what the pods of each ReplicaSet did in the window. Pure.

As in `queries`: only series of pods that Prometheus labelled as ours, of several targets of one pod the largest counts,
and a rename is one more candidate. Pods are pooled per ReplicaSet, since all of one run the same engine. A pod counts
once it was scraped for `MIN_POD_SECONDS`: before that it compiles and warms up.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from medley_operator.metrics.calibration_names import CalibrationNames
from medley_operator.metrics.queries import NAMESPACE, REPLICA_SET, ROLE, SELECTOR, SERVICE
from medley_planner.capacity.window import MIN_POD_SECONDS

GROUP = ", ".join((NAMESPACE, SERVICE, *REPLICA_SET))
BLOCKS, BLOCK_TOKENS, CACHE_TOKENS = "num_gpu_blocks", "block_size", "kv_cache_size_tokens"
"""Labels of the cache's gauge. The last one is the engine's own product, which newer engines tell."""


class Role(StrEnum):
    """What a figure of the answer is; sums over the pods of a ReplicaSet in the window, or of their means."""

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


def calibration_query(names: CalibrationNames, *, window_seconds: int) -> str:
    """All figures of all ReplicaSets over the window."""
    window = f"[{window_seconds}s]"

    def increase(candidates: tuple[str, ...], suffix: str = "") -> str:
        return _pooled(names, _first(candidates, lambda name: f"increase({name}{suffix}{SELECTOR}{window})"))

    def mean(candidates: tuple[str, ...]) -> str:
        return _pooled(names, _first(candidates, lambda name: f"avg_over_time({name}{SELECTOR}{window})"))

    sizes = f"{GROUP}, {BLOCKS}, {BLOCK_TOKENS}, {CACHE_TOKENS}"
    parts = {
        Role.ENGINES: _pooled(names, _first(names.running, lambda name: f"{name}{SELECTOR} * 0 + 1")),
        Role.STEPS: increase(names.steps),
        Role.PROMPT_TOKENS: increase(names.prompt_tokens),
        Role.PREFIX_HITS: increase(names.prefix_hits),
        Role.PROMPTS: increase(names.prompts),
        Role.DECODES: increase(names.latency, "_count"),
        Role.DECODE_SECONDS: increase(names.latency, "_sum"),
        Role.PREEMPTIONS: increase(names.preemptions),
        Role.RUNNING: mean(names.running),
        Role.WAITING: mean(names.waiting),
        Role.KV_USAGE: mean(names.kv_usage),
        Role.CACHE: f"max by ({sizes}) ({_first(names.cache, lambda name: name + SELECTOR)})",
    }
    return "\nor\n".join(
        f'label_replace({part}, "{ROLE}", "{role}", "{NAMESPACE}", ".*")' for role, part in parts.items()
    )


def _first(candidates: tuple[str, ...], expression: Callable[[str], str]) -> str:
    return f" or on ({NAMESPACE}, pod) ".join(expression(name) for name in candidates)


def _pooled(names: CalibrationNames, expression: str) -> str:
    """Pods that are live, and were so long enough ago, each once, summed up."""
    old = _first(names.running, lambda name: f"{name}{SELECTOR} offset {MIN_POD_SECONDS:.0f}s")
    live = _first(names.running, lambda name: f"{name}{SELECTOR}")
    target = f"sum by ({GROUP}, pod, job, instance) ({expression})"
    counted = f"{target} and on ({NAMESPACE}, pod) ({old}) and on ({NAMESPACE}, pod) ({live})"
    return f"sum by ({GROUP}) (max by ({GROUP}, pod) ({counted}))"
