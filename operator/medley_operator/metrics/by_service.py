"""Sorts Prometheus's answers, which hold all services at once, into one small table per service. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.metrics.errors import InvalidMetricsError
from medley_operator.metrics.histograms import merge
from medley_operator.metrics.prometheus import VectorSample
from medley_operator.metrics.queries import (
    BLOCK_TOKENS,
    BLOCKS,
    EDGE,
    GATEWAY_GENERATION,
    GATEWAY_NAMESPACE,
    GATEWAY_PROMPT,
    GATEWAY_SERVICE,
    MODEL,
    NAMESPACE,
    POD,
    REPLICA_SET,
    ROLE,
    SERVICE,
    FigureRole,
)
from medley_planner.workload.histogram import Histogram

"""(namespace, name) of an LLMService."""

_ROLES = {role.value: role for role in FigureRole}


def _sum(a: float, b: float) -> float:
    return a + b


_TOGETHER: Mapping[FigureRole, Callable[[float, float], float]] = {
    FigureRole.NEWEST: max,
    FigureRole.EARLIEST: min,
    FigureRole.SCRAPES: max,
    FigureRole.MODELS: max,
    FigureRole.PODS: max,
}
"""How figures of several models of one service are put together; others are added."""


ReplicaSet = tuple[str, ...]
"""Values of the labels `REPLICA_SET`, the variant first."""


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """The figures of one size histogram of one service: counts by edge, and tokens, of each ReplicaSet."""

    groups: Mapping[ReplicaSet, Mapping[str, float]] = field(default_factory=dict)
    tokens: Mapping[ReplicaSet, float] = field(default_factory=dict)

    def histogram(self, series: str) -> Histogram | None:
        """The merged histogram, None where there are no series; raise InvalidMetricsError for nonsense."""
        if not self.groups or not self.tokens:
            return None
        groups = [{edge_tokens(edge, series): count for edge, count in group.items()} for group in self.groups.values()]
        return merge(groups, total_tokens=sum(self.tokens.values()), series=series)

    def of_variant(self, variant: str) -> SizeFigures:
        """Those of the ReplicaSets of one variant."""
        return SizeFigures(
            {key: group for key, group in self.groups.items() if key[0] == variant},
            {key: tokens for key, tokens in self.tokens.items() if key[0] == variant},
        )

    @property
    def variants(self) -> tuple[str, ...]:
        """Names, in order; "" of pods without the label."""
        return tuple(sorted({key[0] for key in self.groups}))


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """KV caches of one service: per ReplicaSet the sum of all samples of the share in use, and pods by cache size, from
    the engine's labels (blocks, tokens per block)."""

    usage: Mapping[ReplicaSet, float] = field(default_factory=dict)
    pods: Mapping[ReplicaSet, Mapping[tuple[str, str], float]] = field(default_factory=dict)


def several_models(load: Iterable[VectorSample]) -> frozenset[ServiceKey]:
    """Services of which a single pod exports several models. Where each pod has its own, a model is being renamed, and
    all of them are the service's."""
    return frozenset(
        _key(sample) for sample in load if sample.labels.get(ROLE) == FigureRole.MODELS and sample.value > 1
    )


def own_models(
    samples: Sequence[VectorSample], served: Mapping[ServiceKey, str], *, several: Collection[ServiceKey]
) -> tuple[list[VectorSample], dict[ServiceKey, tuple[str, ...]]]:
    """Samples of the service's own model for the services in `several`, all samples for the others.

    Also the models of the services in `several` without any of their own; their samples are left out.
    """
    if not several:
        return list(samples), {}
    names: dict[ServiceKey, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.labels.get(MODEL):
            names[_key(sample)].add(sample.labels[MODEL])
    strange = {
        key: tuple(sorted(found)) for key, found in names.items() if key in several and served.get(key) not in found
    }

    def counts(sample: VectorSample) -> bool:
        model = sample.labels.get(MODEL, "")
        return _key(sample) not in several or not model or model == served.get(_key(sample))

    return [sample for sample in samples if counts(sample)], strange


def by_role(samples: Iterable[VectorSample]) -> dict[ServiceKey, dict[FigureRole, float]]:
    """Figures of each service by role, models together, but for those of single pods; what carries no role that we
    asked for is left out."""
    table: dict[ServiceKey, dict[FigureRole, float]] = defaultdict(dict)
    for sample in samples:
        role = _ROLES.get(sample.labels.get(ROLE, ""))
        if role is not None and role is not FigureRole.POD_REQUESTS:
            figures = table[_key(sample)]
            together = _TOGETHER.get(role, _sum)
            figures[role] = together(figures[role], sample.value) if role in figures else sample.value
    return dict(table)


def by_pod(samples: Iterable[VectorSample]) -> dict[ServiceKey, dict[str, float]]:
    """Requests of each pod by its name, models together; what cannot be a number of requests is left out."""
    table: dict[ServiceKey, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        pod = sample.labels.get(POD, "")
        if sample.labels.get(ROLE) == FigureRole.POD_REQUESTS and pod and 0.0 <= sample.value < math.inf:
            table[_key(sample)][pod] += sample.value
    return {key: dict(pods) for key, pods in table.items()}


def by_size(samples: Iterable[VectorSample]) -> dict[ServiceKey, SizeFigures]:
    groups: dict[ServiceKey, dict[ReplicaSet, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    tokens: dict[ServiceKey, dict[ReplicaSet, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        if sample.labels.get(ROLE) == FigureRole.TOKENS:
            tokens[_key(sample)][_replica_set(sample)] += sample.value
        elif sample.labels.get(ROLE) == FigureRole.BUCKET:
            groups[_key(sample)][_replica_set(sample)][sample.labels.get(EDGE, "")] += sample.value
    return {
        key: SizeFigures(groups=groups.get(key, {}), tokens=tokens.get(key, {}))
        for key in groups.keys() | tokens.keys()
    }


def by_cache(samples: Iterable[VectorSample]) -> dict[ServiceKey, CacheFigures]:
    usage: dict[ServiceKey, dict[ReplicaSet, float]] = defaultdict(lambda: defaultdict(float))
    pods: dict[ServiceKey, dict[ReplicaSet, dict[tuple[str, str], float]]] = defaultdict(lambda: defaultdict(dict))
    for sample in samples:
        if sample.labels.get(ROLE) == FigureRole.KV_USAGE:
            usage[_key(sample)][_replica_set(sample)] += sample.value
        elif sample.labels.get(ROLE) == FigureRole.KV_PODS:
            size = sample.labels.get(BLOCKS, ""), sample.labels.get(BLOCK_TOKENS, "")
            pods[_key(sample)][_replica_set(sample)][size] = sample.value
    return {key: CacheFigures(usage=usage.get(key, {}), pods=pods.get(key, {})) for key in usage.keys() | pods.keys()}


def by_cell(samples: Iterable[VectorSample]) -> dict[ServiceKey, dict[tuple[str, str], float]]:
    """The gateway's counts of each service by the edges of prompt and generation, as they are written."""
    table: dict[ServiceKey, dict[tuple[str, str], float]] = defaultdict(dict)
    for sample in samples:
        key = ServiceKey(sample.labels.get(GATEWAY_NAMESPACE, ""), sample.labels.get(GATEWAY_SERVICE, ""))
        cell = sample.labels.get(GATEWAY_PROMPT, ""), sample.labels.get(GATEWAY_GENERATION, "")
        table[key][cell] = sample.value
    return dict(table)


def _replica_set(sample: VectorSample) -> ReplicaSet:
    return tuple(sample.labels.get(label, "") for label in REPLICA_SET)


def _key(sample: VectorSample) -> ServiceKey:
    return ServiceKey(sample.labels.get(NAMESPACE, ""), sample.labels.get(SERVICE, ""))


def edge_tokens(text: str, series: str) -> float:
    """An upper edge in tokens, maybe infinite. Raises InvalidMetricsError where it is not one."""
    try:
        edge = float(text)
    except ValueError:
        edge = float("nan")
    if not edge > 0:
        raise InvalidMetricsError(f'{series} has a bucket le="{text}", which is not a number of tokens above 0')
    return edge
