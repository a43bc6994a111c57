"""The fleet and the router that `medley simulate` serves a trace with, from its options. Pure.

Where no weights are given, the router is balanced as a plan would balance it: the shares at which the fleet carries the
most requests of the trace's own sizes within the targets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medley_planner.capacity import LatencyTargets, capacity_rows
from medley_planner.capacity.estimate import UTILISATION
from medley_planner.catalog import CATALOGUE, Catalogue
from medley_planner.check import Subject, demand_of_trace, engine_edges, routed_fleet
from medley_planner.check.attain import spec_of
from medley_planner.cli.arguments import BadOption
from medley_planner.engine import (
    Balance,
    EngineSpec,
    PromptRange,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    SpeculativeStep,
    Trace,
)
from medley_planner.layout import Layout
from medley_planner.model import (
    Demand,
    PlanStatus,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    ServicePlan,
    UnservedReason,
    Variant,
)
from medley_planner.optimize import plan
from medley_planner.shapes import ModelShape, Precision
from medley_planner.variants import Replica

MOST_REPLICAS = 10_000
_HALVINGS = 12
_SOLVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Group:
    """`count` replicas, each of which runs as `replica` says."""

    name: str
    count: int
    replica: Replica


def groups_of(
    shape: ModelShape,
    counts: Mapping[str, int],
    degrees: Mapping[str, int],
    *,
    precision: Precision,
    token_budget: int,
    max_sequences: int,
    max_model_len: int,
    catalogue: Catalogue = CATALOGUE,
) -> tuple[Group, ...]:
    """Raises BadOption, and UnknownGpu for a GPU that the catalogue lacks."""
    unknown = sorted(degrees.keys() - counts.keys())
    if unknown:
        way_out = f"it names {unknown[0]}, which is not in --fleet; add it or remove it"
        raise BadOption("", "--tensor-parallel", dict(degrees), way_out)
    replicas = sum(counts.values())
    if replicas > MOST_REPLICAS:
        way_out = f"these are {replicas} replicas; at most {MOST_REPLICAS} are simulated, give fewer"
        raise BadOption("", "--fleet", dict(counts), way_out)
    groups: list[Group] = []
    for name, count in counts.items():
        replica = Replica(
            shape=shape,
            layout=Layout(catalogue.gpu(name), tensor_parallel=degrees.get(name, 1), precision=precision),
            token_budget=token_budget,
            max_sequences=min(max_sequences, token_budget),
            max_model_len=max_model_len,
            utilisation=UTILISATION,
        )
        fit = replica.fit()
        if not fit.fits:
            raise BadOption.whole(f"--fleet {name}={count}", _in_options(fit.reason))
        groups.append(Group(name, count, replica))
    return tuple(groups)


def _in_options(reason: str) -> str:
    return reason.replace("spec.model.maxModelLen", "--max-model-len").replace(
        "use more GPUs per replica", "raise --tensor-parallel"
    )


def weighted_router(
    groups: Sequence[Group], mode: RoutingMode, weights: Mapping[str, float], *, balance: Balance
) -> Routing:
    """The router by the given weights. Raises BadOption."""
    if mode.equal_pods or not mode.blind:
        way_out = f"it goes with --routing HTTPRoute and not with {mode}; remove it"
        raise BadOption("", "--weights", dict(weights), way_out)
    names = [group.name for group in groups]
    unknown = sorted(weights.keys() - set(names))
    if unknown:
        way_out = f"it names {unknown[0]}, which is not in --fleet ({', '.join(names)}); remove it"
        raise BadOption("", "--weights", dict(weights), way_out)
    return Routing.weighted(tuple(weights.get(name, 0.0) for name in names), balance=balance)


def balanced_router(
    groups: Sequence[Group], mode: RoutingMode, trace: Trace, targets: LatencyTargets, *, balance: Balance
) -> Routing:
    """The router of the plan that carries the most of the trace's sizes. Raises BadOption where no group serves any
    size within the targets."""
    if mode.equal_pods:
        return Routing(balance)
    max_model_len = groups[0].replica.max_model_len
    demand = demand_of_trace(trace, 1.0, max_model_len=max_model_len)
    best = _fullest(groups, mode, demand, targets)
    if best is None:
        raise BadOption.whole(
            f"--fleet {','.join(f'{group.name}={group.count}' for group in groups)}",
            f"no group serves any size of the trace within --slo-ttft {targets.ttft_seconds:g}s and --slo-tpot "
            f"{1e3 * targets.tpot_seconds:g}ms, so no weights follow from capacities; relax the targets, or give "
            "--weights with --routing HTTPRoute",
        )
    subject = Subject(tuple((group.name, group.replica) for group in groups), targets)
    fleet, routing = routed_fleet(best, demand, subject, balance=balance, edges=engine_edges(max_model_len))
    used = {group.name: index for index, group in enumerate(fleet.groups)}

    def of_all(weights: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(weights[used[group.name]] if group.name in used else 0.0 for group in groups)

    return Routing(balance, tuple(PromptRange(each.up_to_tokens, of_all(each.weights)) for each in routing.ranges))


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """Work that engines are spared: the share of each prompt that prefix caches have, and the tokens that are guessed
    for each sequence and step (0: none), each right with probability `acceptance` where those before it are."""

    prefix_hit_rate: float = 0.0
    drafts: int = 0
    acceptance: float = 0.0


def fleet_of(groups: Sequence[Group], shortcuts: Shortcuts) -> SimulatedFleet:
    return SimulatedFleet(tuple(ReplicaGroup(g.name, _spec(g.replica, shortcuts), g.count) for g in groups))


def _spec(replica: Replica, shortcuts: Shortcuts) -> EngineSpec:
    spec = spec_of(replica, prefix_hit_rate=shortcuts.prefix_hit_rate)
    if not shortcuts.drafts:
        return spec
    # Drafts come from a multi-token prediction layer, or from a draft model of about that size.
    step = SpeculativeStep(spec.step, shortcuts.drafts, shortcuts.acceptance, 1.0 / replica.shape.layers)
    return replace(spec, step=step)


def _fullest(groups: Sequence[Group], mode: RoutingMode, demand: Demand, targets: LatencyTargets) -> ServicePlan | None:
    """The plan of these very replicas at the largest rate of which they serve all that any of them can serve."""
    service = _service(groups, mode, demand, targets)
    most = sum(group.count * max(v.capacity_rps) for group, v in zip(groups, service.variants, strict=True))
    if most <= 0.0:
        return None
    low, high, best = most * 1e-6, most, None
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        found = _planned(service, middle)
        if found is None:
            high = middle
        else:
            low, best = middle, found
    return best


def _planned(service: Service, rate_rps: float) -> ServicePlan | None:
    asked = replace(service, demand=replace(service.demand, rate_rps=rate_rps))
    problem = Problem((asked,), tuple(Pool(variant.pool) for variant in service.variants))
    found = plan(problem, deadline_seconds=_SOLVE_SECONDS).services[0]
    beyond_all = all(part.reason is UnservedReason.NO_VARIANT_MEETS_TARGET for part in found.unserved)
    return found if found.status is not PlanStatus.INFEASIBLE and beyond_all else None


def _service(groups: Sequence[Group], mode: RoutingMode, demand: Demand, targets: LatencyTargets) -> Service:
    rows = capacity_rows(
        [group.replica.table() for group in groups],
        demand.buckets,
        ttft_seconds=targets.ttft_seconds,
        tpot_seconds=targets.tpot_seconds,
        percentile=targets.percentile,
    )
    variants = tuple(
        Variant(
            name=group.name,
            pool=group.name,
            gpu=group.replica.layout.gpu.name,
            gpus_per_replica=group.replica.layout.gpus,
            cost_per_hour=1.0,
            capacity_rps=row.capacity_rps,
            provenance=Provenance.ESTIMATED,
            min_replicas=group.count,
            max_replicas=group.count,
        )
        for group, row in zip(groups, rows, strict=True)
    )
    return Service("trace", demand, variants, mode)
