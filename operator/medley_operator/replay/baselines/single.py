"""One GPU type for a service, as autoscalers have it: which one is best for a load, and a fleet of it to scale.

Capacities are those that Medley plans with, headroom and derating included, so that all policies believe the same.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from medley_operator.api.v1alpha1 import LLMService, VariantStatus
from medley_operator.domain.cluster.gpu_types import gpu_types
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import VariantCandidate
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation, Snapshot
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.pods import EnginePod, EngineWorkload
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.world import World
from medley_planner.model import Demand, Service, Variant

_SLACK = 1e-9
ENOUGH_SAMPLES = 1e9
"""So many requests that nothing is taken for noise."""


@dataclass(frozen=True, slots=True)
class BestType:
    """The variant of one service that serves a load at the least cost alone, and so many replicas of it."""

    known: VariantCandidate
    service: Service
    replicas: int

    @property
    def variant(self) -> Variant:
        return self.known.variant


def load_alone(service: Service, variant: Variant) -> float | None:
    """The load of all demand in fully busy replicas of `variant`; None where it cannot serve some bucket."""
    loads = []
    for bucket in range(len(service.demand.buckets)):
        rate_rps = service.demand.bucket_rate_rps(bucket)
        if rate_rps > 0 and variant.capacity_rps[bucket] == 0:
            return None
        if rate_rps > 0:
            loads.append(rate_rps / variant.capacity_rps[bucket])
    return math.fsum(loads)


def replicas_alone(service: Service, variant: Variant) -> int | None:
    """Replicas of `variant` that serve all demand at the service's utilisation limit; None where it cannot."""
    load = load_alone(service, variant)
    return None if load is None else math.ceil(load / service.utilisation_limit - _SLACK)


def planned_with(scenario: Scenario, tables: Tables, demands: Mapping[ServiceKey, Demand]) -> Snapshot:
    """The sight of these loads by an operator that runs nothing yet."""
    own = scenario.own
    return Snapshot(
        services=own.services,
        rejected=(),
        children={},
        gateways=None,
        pools=own.pools,
        gpu_types=own.gpu_types,
        catalogue=gpu_types(own.gpu_types).catalogue,
        profiles=own.profiles,
        model_profiles=own.model_profiles,
        policies=own.policies,
        observations={
            key: Observation(MetricsReason.FOUND, demand=demand, samples=ENOUGH_SAMPLES)
            for key, demand in demands.items()
        },
        capacity_tables=tables,
        unreadable={labels.POD: "nothing runs yet"},
    )


Types = Mapping[ServiceKey, Mapping[str, BestType | None]]
"""Every variant of each service by its name, with the replicas of it that it takes; None where it cannot serve."""


def types_for(scenario: Scenario, tables: Tables, loads: Sequence[Mapping[ServiceKey, Demand]]) -> Types:
    """The replicas of each type that serve every one of these loads alone."""
    each_load = [_types(scenario, tables, demands) for demands in loads]
    names: dict[ServiceKey, set[str]] = {}
    for types in each_load:
        for key, known in types.items():
            names.setdefault(key, set()).update(known)
    found: dict[ServiceKey, dict[str, BestType | None]] = {}
    for demands, types in zip(loads, each_load, strict=True):
        # Which types are worth planning with, and by which token budget, depends on the load: those that only another
        # load is served with are judged for this one too.
        if any(known.keys() != names[key] for key, known in types.items()):
            types = _types(scenario, tables, demands, keep=names)
        for key, known in types.items():
            largest = found.setdefault(key, known)
            found[key] = {name: _larger(largest.get(name), known.get(name)) for name in names[key]}
    return found


def best_types(types: Types, pool: str = "") -> dict[ServiceKey, BestType]:
    """The cheapest of them, or of those of one pool; a service that none of them can serve alone is not in it."""
    best: dict[ServiceKey, BestType] = {}
    for key, known in types.items():
        able = [each for each in known.values() if each is not None and pool in ("", each.variant.pool)]
        if able:
            best[key] = min(able, key=lambda each: (each.replicas * each.variant.cost_per_hour, each.variant.name))
    return best


def _larger(one: BestType | None, other: BestType | None) -> BestType | None:
    """The one with more replicas; None where one of them cannot be."""
    if one is None or other is None:
        return None
    return one if one.replicas >= other.replicas else other


def _types(
    scenario: Scenario,
    tables: Tables,
    demands: Mapping[ServiceKey, Demand],
    *,
    keep: Mapping[ServiceKey, Collection[str]] = MappingProxyType({}),
) -> dict[ServiceKey, dict[str, BestType | None]]:
    """Every variant of each service that has a load, by its name; None where it cannot serve it alone. Those named in
    `keep` are not left out, as what runs is not."""
    snapshot = planned_with(scenario, tables, demands)
    snapshot = replace(snapshot, services=tuple(_running(each, keep) for each in snapshot.services))
    prepared = prepare(snapshot, FleetMemory())
    asked = {service.name: service for service in (prepared.problem.services if prepared.problem else ())}
    pools = {state.pool.metadata.name: state for state in prepared.pools}
    found: dict[ServiceKey, dict[str, BestType | None]] = {}
    for candidate in prepared.services:
        service = asked.get(candidate.key.problem_name)
        if service is None or candidate.key not in demands:
            continue
        found[candidate.key] = {}
        for known in candidate.variants:
            replicas = replicas_alone(service, known.variant)
            limit = pools[known.variant.pool].replica_limit(known.variant.gpus_per_replica)
            able = replicas is not None and known.replica is not None and (limit is None or replicas <= limit)
            type_ = BestType(known, service, max(replicas, 1)) if able and replicas is not None else None
            found[candidate.key][known.variant.name] = type_
    return found


def _running(service: LLMService, keep: Mapping[ServiceKey, Collection[str]]) -> LLMService:
    """The service as if one replica of each of these variants ran."""
    rows = [
        VariantStatus(name=name, pool="", gpu="", desired=1) for name in sorted(keep.get(ServiceKey.of(service), ()))
    ]
    return service.model_copy(update={"status": service.status.model_copy(update={"variants": rows})})


class SingleTypeFleet:
    """Replicas of one type of one service, within the bounds of its `spec.scaling`."""

    def __init__(
        self,
        world: World,
        key: ServiceKey,
        best: BestType,
        *,
        replicas: int,
        least: int | None = None,
        instant: bool = True,
    ) -> None:
        """Begins with so many replicas. `least`: instead of the service's own minimum; `instant`: they are Ready at
        once."""
        self._world = world
        self._key = key
        service = world.services[key]
        scaling = service.spec.scaling
        self.least, self.most = max(scaling.min_replicas, 1) if least is None else least, scaling.max_replicas
        self.replicas = min(max(replicas, self.least), self.most)
        self._name = f"{key.name}-{best.variant.name}"
        drain = service.spec.drain
        assert best.known.replica is not None  # noqa: S101 - `best_types` takes no other
        world.cluster.instant = instant
        world.cluster.put(
            EngineWorkload(
                name=self._name,
                service=key,
                variant=best.variant.name,
                pool=best.variant.pool,
                gpus=best.variant.gpus_per_replica,
                replica=best.known.replica,
                labels={labels.SERVICE: key.name, labels.VARIANT: best.variant.name},
                replicas=self.replicas,
                pre_stop_seconds=drain.pre_stop_seconds,
                drain_seconds=drain.timeout_seconds,
            )
        )
        if instant:
            world.agenda.run(world.now)
        world.cluster.instant = False

    @property
    def pods(self) -> list[EnginePod]:
        return [pod for pod in self._world.cluster.of_workload(self._name) if not pod.terminating]

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    def scale(self, replicas: int) -> None:
        bounded = min(max(replicas, self.least), self.most)
        if bounded != self.replicas:
            self.replicas = bounded
            self._world.cluster.scale(self._name, bounded)
