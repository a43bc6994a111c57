"""The fixed PromQL templates. They ask for all of our services at once; only the window and the engine's names vary.

Three shapes matter. **Which series**: only those of pods that Prometheus labelled as ours, because routers re-export
engine metrics under the engine's names, and of this cluster where fixed matchers say so. **What counts once**: series
are summed over the labels by which an engine splits a figure (`engine_names.OWN_LABELS`). Whatever else tells series of
one pod apart is who scraped it (`job`, `instance`, the replica of a Prometheus pair): of those the largest counts.
Then pods are summed per service. Models are kept apart by `model_name`: an endpoint may export several, of which one is
the service's. **How names resolve**: `A or on (namespace, pod) B` takes B only for pods that do not export A.

Several figures come in one answer, told apart by the label `medley_role`, so that a round is a few requests. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from medley_operator.metrics.engine_names import OWN_LABELS, EngineNames

ROLE = "medley_role"
NAMESPACE = "namespace"
SERVICE = "medley_dev_service"
"""Label `medley.dev/service` of the pod, as Prometheus writes it."""
EDGE = "le"
REPLICA_SET = ("medley_dev_variant", "pod_template_hash")
"""Pod labels that tell pods with different engine arguments, and so with different bucket edges, apart."""

MODEL = "model_name"
BLOCKS, BLOCK_TOKENS, CACHE_TOKENS = "num_gpu_blocks", "block_size", "kv_cache_size_tokens"
"""Labels of the engine's cache settings. The last one is the engine's own product, which newer engines export."""
GATEWAY_NAMESPACE, GATEWAY_SERVICE = "medley_namespace", "medley_service"
GATEWAY_PROMPT, GATEWAY_GENERATION = "prompt_le", "generation_le"
"""Labels of the gateway's counts. Not `namespace`: a collector's targets already have that label."""

ANONYMOUS = ("prometheus", "prometheus_replica", "prometheus_group", "replica", "__replica__", "thanos_replica")
"""Labels that say which Prometheus took a sample, for series that are not of our pods: those of pods need no list."""
POD = "pod"
PER_SERVICE = f"{NAMESPACE}, {SERVICE}"
PER_MODEL = f"{PER_SERVICE}, {MODEL}"
SEEN_WITHIN = "1h"
"""A service whose series ended longer ago counts as one that never had any."""


Key = TypeVar("Key", bound=StrEnum)


class FigureRole(StrEnum):
    """The role of a figure in an answer. Times are Unix seconds."""

    NEWEST = "newest"
    """Time of the newest sample, if a series is live."""
    EARLIEST = "earliest"
    """Time of the first sample in the window, to the resolution of `coverage_step_seconds`."""
    SCRAPES = "scrapes"
    """Samples in the window of the pod that has most."""
    MODELS = "models"
    """Models that one pod exports, of the pod that exports most."""
    COMPLETED = "completed"
    """Requests finished in the window."""
    RUNNING = "running"
    WAITING = "waiting"
    RUNNING_GROWTH = "running_growth"
    WAITING_GROWTH = "waiting_growth"
    """Requests in the batch and in the queue now, and by how many more than at the start of the window."""
    BUCKET = "bucket"
    """Requests finished in the window with at most `le` tokens."""
    TOKENS = "tokens"
    """Tokens of the requests finished in the window."""
    KV_USAGE = "kv_usage"
    """Sum of all samples in the window of the share of the KV cache in use, per ReplicaSet."""
    KV_PODS = "kv_pods"
    """Pods by the size of their KV cache, per ReplicaSet."""
    ITL_SECONDS = "itl_seconds"
    ITL_COUNT = "itl_count"
    """Sum and count of the times between two tokens (inter-token latency)."""
    PREFILL_SECONDS = "prefill_seconds"
    """Sum over the requests finished in the window."""
    PREEMPTIONS = "preemptions"
    PREFIX_HITS = "prefix_hits"
    PREFIX_QUERIES = "prefix_queries"
    """Prompt tokens found in the prefix cache, and looked up in it."""
    PODS = "pods"
    """Pods that are scraped now and export all figures of the load."""
    POD_REQUESTS = "pod_requests"
    """Requests that one pod has in its batch and its queue now."""
    SEEN = "seen"
    """Series that had a sample in the last `SEEN_WITHIN`."""
    TARGETS = "targets"
    TARGETS_UP = "targets_up"
    """Pods of the service that are scraped, and those whose last scrape succeeded."""


def series_text(metric: str, *, namespace: str, service: str) -> str:
    """The series of one service as a user would ask for them: what messages quote."""
    return f'{metric}{{{NAMESPACE}="{_escaped(namespace)}",{SERVICE}="{_escaped(service)}"}}'


def coverage_step_seconds(window_seconds: int) -> int:
    """Resolution at which the start of the data is looked for: a sixtieth of the window, 1 s to 30 s."""
    return min(30, max(1, window_seconds // 60))


def selector(matchers: str = "") -> str:
    """Series of our pods; `matchers` are further ones, such as `cluster="eu-1"`."""
    return f'{{{NAMESPACE}!="",{SERVICE}!="",pod!=""{"," + matchers if matchers else ""}}}'


def load_query(names: EngineNames, *, window_seconds: int, matchers: str = "") -> str:
    """All figures of the load but the sizes, per service, and the requests that each of its pods has."""
    ours = selector(matchers)
    window = f"[{window_seconds}s]"
    steps = f"[{window_seconds}s:{coverage_step_seconds(window_seconds)}s]"

    def counted(candidates: tuple[str, ...], function: str) -> str:
        return _per_service(first_of(candidates, lambda name: f"{function}({name}{ours}{window})"))

    def live(candidates: tuple[str, ...]) -> str:
        return _per_service(first_of(candidates, lambda name: f"{name}{ours}"))

    def over_series(aggregate: str, template: str) -> str:
        return f"{aggregate} by ({PER_MODEL}) ({first_of(names.running, lambda name: template.format(name + ours))})"

    whole = f" and on ({NAMESPACE}, pod) ".join(
        f"({first_of(candidates, lambda name: name + ours)})"
        for candidates in (names.running, names.waiting, names.completed)
    )

    def of_pod(candidates: tuple[str, ...]) -> str:
        own = ", ".join(OWN_LABELS)
        figure = first_of(candidates, lambda name: f"{name}{ours}")
        return f"max by ({PER_MODEL}, {POD}) (sum without ({own}) ({figure}))"

    models = f"count by ({PER_MODEL}, pod) ({first_of(names.running, lambda name: f'{name}{ours}')})"
    return union(
        {
            FigureRole.NEWEST: over_series("max", "timestamp({})"),
            FigureRole.EARLIEST: over_series("min", f"min_over_time(timestamp({{}}){steps})"),
            FigureRole.SCRAPES: over_series("max", f"count_over_time({{}}{window})"),
            FigureRole.MODELS: f"max by ({PER_SERVICE}) (count by ({PER_SERVICE}, pod) ({models}))",
            FigureRole.PODS: f"count by ({PER_SERVICE}) (count by ({PER_SERVICE}, pod) ({whole}))",
            FigureRole.COMPLETED: counted(names.completed, "increase"),
            FigureRole.RUNNING: live(names.running),
            FigureRole.WAITING: live(names.waiting),
            FigureRole.RUNNING_GROWTH: counted(names.running, "delta"),
            FigureRole.WAITING_GROWTH: counted(names.waiting, "delta"),
            FigureRole.POD_REQUESTS: f"{of_pod(names.running)} + {of_pod(names.waiting)}",
        }
    )


def rate_query(names: EngineNames, *, window_seconds: int, matchers: str = "") -> str:
    """Requests per second that arrived per service, all its models together, if it was scraped all the window."""
    ours = selector(matchers)

    def change(candidates: tuple[str, ...], function: str) -> str:
        return _per_service(first_of(candidates, lambda name: f"{function}({name}{ours}[{window_seconds}s])"))

    parts = (change(names.completed, "increase"), change(names.running, "delta"), change(names.waiting, "delta"))
    return f"sum by ({PER_SERVICE}) ({' + '.join(parts)}) / {window_seconds}"


def size_query(histograms: tuple[str, ...], *, window_seconds: int, matchers: str = "") -> str:
    """One size histogram over the window: buckets per service, ReplicaSet and edge, tokens per ReplicaSet."""
    ours = selector(matchers)

    def increase(suffix: str) -> str:
        return first_of(histograms, lambda name: f"increase({name}{suffix}{ours}[{window_seconds}s])")

    return union(
        {
            FigureRole.BUCKET: _per_service(increase("_bucket"), *REPLICA_SET, EDGE),
            FigureRole.TOKENS: _per_service(increase("_sum"), *REPLICA_SET),
        }
    )


def engine_query(names: EngineNames, *, window_seconds: int, matchers: str = "") -> str:
    """Figures that show how sizes go together and what prefix caches save: KV caches, latencies, hits."""
    ours = selector(matchers)
    window = f"[{window_seconds}s]"

    def increase(candidates: tuple[str, ...], suffix: str = "") -> str:
        return _per_service(first_of(candidates, lambda name: f"increase({name}{suffix}{ours}{window})"))

    usage = first_of(names.kv_usage, lambda name: f"sum_over_time({name}{ours}{window})")
    sizes = ", ".join((PER_SERVICE, *REPLICA_SET, BLOCKS, BLOCK_TOKENS))
    config = first_of(names.cache_config, lambda name: f"{name}{ours}")
    return union(
        {
            FigureRole.KV_USAGE: _per_service(usage, *REPLICA_SET),
            FigureRole.KV_PODS: f"count by ({sizes}) (max by ({sizes}, pod) ({config}))",
            FigureRole.ITL_SECONDS: increase(names.inter_token_seconds, "_sum"),
            FigureRole.ITL_COUNT: increase(names.inter_token_seconds, "_count"),
            FigureRole.PREFILL_SECONDS: increase(names.prefill_seconds, "_sum"),
            FigureRole.PREEMPTIONS: increase(names.preemptions),
            FigureRole.PREFIX_HITS: increase(names.prefix_hits),
            FigureRole.PREFIX_QUERIES: increase(names.prefix_queries),
        }
    )


def gateway_query(metric: str, *, window_seconds: int, matchers: str = "") -> str:
    """Requests of the window by service and by cell of prompt and generation size, as a gateway's log counts them."""
    labels = ", ".join((GATEWAY_NAMESPACE, GATEWAY_SERVICE, GATEWAY_PROMPT, GATEWAY_GENERATION))
    counted = f'{{{GATEWAY_NAMESPACE}!="",{GATEWAY_SERVICE}!=""{"," + matchers if matchers else ""}}}'
    return f"sum by ({labels}) (max without ({', '.join(ANONYMOUS)}) (increase({metric}{counted}[{window_seconds}s])))"


def absence_query(names: EngineNames, *, matchers: str = "") -> str:
    """Why a service may have no live series: whether it had some lately, and what became of its scrape targets."""
    ours = selector(matchers)
    up = f"max by ({PER_SERVICE}, pod) (up{ours})"
    seen = first_of(names.running, lambda name: f"present_over_time({name}{ours}[{SEEN_WITHIN}])")
    return union(
        {
            FigureRole.SEEN: f"count by ({PER_SERVICE}) ({seen})",
            FigureRole.TARGETS: f"count by ({PER_SERVICE}) ({up})",
            FigureRole.TARGETS_UP: f"sum by ({PER_SERVICE}) ({up})",
        }
    )


def first_of(candidates: tuple[str, ...], expression: Callable[[str], str]) -> str:
    """One expression for a role: each pod counts by the first candidate that it exports."""
    return f" or on ({NAMESPACE}, pod) ".join(expression(name) for name in candidates)


def _per_service(expression: str, *more: str) -> str:
    service = ", ".join((PER_MODEL, *more))
    own = ", ".join(OWN_LABELS)
    return f"sum by ({service}) (max by ({service}, pod) (sum without ({own}) ({expression})))"


def union(parts: Mapping[Key, str]) -> str:
    """One query of several parts, each marked by its role."""
    # Any source label does: the pattern matches whatever it holds, so every element gets the role.
    return "\nor\n".join(
        f'label_replace({part}, "{ROLE}", "{role}", "{NAMESPACE}", ".*")' for role, part in parts.items()
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
