"""Sorts Prometheus's answers, which hold all services at once, into one small table per service. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.metrics.errors import InvalidMetricsError
from medley_operator.metrics.histograms import merge
from medley_operator.metrics.prometheus import Sample
from medley_operator.metrics.queries import EDGE, NAMESPACE, REPLICA_SET, ROLE, SERVICE, Role
from medley_planner.workload.histogram import Histogram

ServiceKey = tuple[str, str]
"""(namespace, name) of an LLMService."""

_ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """What one size histogram says of one service: counts by edge of each ReplicaSet, and tokens (None: no series)."""

    groups: Mapping[tuple[str, ...], Mapping[str, float]] = field(default_factory=dict)
    tokens: float | None = None

    def histogram(self, series: str) -> Histogram | None:
        """The merged histogram, None where there are no series; raise InvalidMetricsError for nonsense."""
        if not self.groups or self.tokens is None:
            return None
        groups = [{_edge(edge, series): count for edge, count in group.items()} for group in self.groups.values()]
        return merge(groups, total_tokens=self.tokens, series=series)


def by_role(samples: Iterable[Sample]) -> dict[ServiceKey, dict[Role, float]]:
    """Figures of each service by role; what carries no role that we asked for is left out."""
    table: dict[ServiceKey, dict[Role, float]] = defaultdict(dict)
    for sample in samples:
        role = _ROLES.get(sample.labels.get(ROLE, ""))
        if role is not None:
            table[_key(sample)][role] = sample.value
    return dict(table)


def by_size(samples: Iterable[Sample]) -> dict[ServiceKey, SizeFigures]:
    groups: dict[ServiceKey, dict[tuple[str, ...], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    tokens: dict[ServiceKey, float] = {}
    for sample in samples:
        if sample.labels.get(ROLE) == Role.TOKENS:
            tokens[_key(sample)] = sample.value
        elif sample.labels.get(ROLE) == Role.BUCKET:
            replica_set = tuple(sample.labels.get(label, "") for label in REPLICA_SET)
            groups[_key(sample)][replica_set][sample.labels.get(EDGE, "")] = sample.value
    return {
        key: SizeFigures(groups=groups.get(key, {}), tokens=tokens.get(key)) for key in groups.keys() | tokens.keys()
    }


def _key(sample: Sample) -> ServiceKey:
    return sample.labels.get(NAMESPACE, ""), sample.labels.get(SERVICE, "")


def _edge(text: str, series: str) -> float:
    try:
        edge = float(text)
    except ValueError:
        edge = float("nan")
    if not edge > 0:
        raise InvalidMetricsError(f'{series} has a bucket le="{text}", which is no number of tokens above 0')
    return edge
