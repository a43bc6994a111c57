"""The limits that can give way to unmet demand: which ones the reasons name, and those of one service alone.

Values in, values out; `relax.py` turns them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from medley_planner.explain.knob import Knob, grain
from medley_planner.explain.shared_knobs import pool_knob, power_knob
from medley_planner.explain.values import RelaxationKind
from medley_planner.model import (
    Pool,
    Problem,
    Service,
    Unserved,
    UnservedReason,
    Variant,
)


def knobs(problem: Problem, unserved: Sequence[tuple[Service, Unserved]]) -> tuple[Knob, ...]:
    """The limits that the reasons name, each once, shared ones first. `problem` holds these services."""
    names = tuple(dict.fromkeys(service.name for service, _ in unserved))
    pools = {pool.name: pool for pool in problem.pools}
    shared: dict[tuple[RelaxationKind, str], Knob] = {}
    own: dict[tuple[RelaxationKind, str], Knob] = {}
    for service, entry in unserved:
        if entry.reason not in _SHARED:
            own |= {(knob.kind, knob.name): knob for knob in _own_knobs(service, entry, pools)}
            continue
        for name in entry.limits or _all_shared(service, entry.reason, problem):
            for knob in (pool_knob(problem, pools, name, names), power_knob(problem, name, names)):
                if knob is not None:
                    shared[knob.kind, knob.name] = knob
    return (*shared.values(), *own.values())


_SHARED = (UnservedReason.STOCK, UnservedReason.NODES, UnservedReason.POWER)


def _all_shared(service: Service, reason: UnservedReason, problem: Problem) -> tuple[str, ...]:
    """Where the plan names no limit: all that the reason can mean."""
    if reason is UnservedReason.POWER:
        return tuple(domain.name for domain in problem.power_domains)
    return tuple(dict.fromkeys(variant.pool for variant in service.variants))


def _own_knobs(service: Service, entry: Unserved, pools: dict[str, Pool]) -> Iterator[Knob]:
    match entry.reason:
        case UnservedReason.BUDGET:
            yield from _budget(service)
        case UnservedReason.MAX_REPLICAS:
            yield from _maxima(service)
        case UnservedReason.SPOT_SHARE:
            yield from _spot(service, pools)
        case UnservedReason.ZONE_SPREAD:
            yield _switch(service, RelaxationKind.ZONE_SPREAD, service.name, replace(service, zone_spread=False))
        case UnservedReason.NO_VARIANT_MEETS_TARGET:
            if any(variant.capacity_rps[entry.bucket] > 0 for variant in service.variants):
                for mode in service.routing.better:
                    name = f"{service.name} {mode.value}"
                    yield _switch(service, RelaxationKind.ROUTING, name, replace(service, routing=mode))


def _budget(service: Service) -> Iterator[Knob]:
    budget = service.max_cost_per_hour
    if budget is None:
        return
    step = grain([variant.cost_per_hour for variant in service.variants])
    yield _own(
        service,
        RelaxationKind.BUDGET,
        service.name,
        unit="US dollars per hour",
        now=budget,
        step=step,
        start=math.floor(budget / step) * step if step > 0 else budget,
        lifted=replace(service, max_cost_per_hour=None),
        at=lambda value: replace(service, max_cost_per_hour=value),
        needed=lambda counts: math.fsum(v.cost_per_hour * counts.get(v.name, 0) for v in service.variants),
    )


def _maxima(service: Service) -> Iterator[Knob]:
    if service.max_replicas is not None:
        yield _own(
            service,
            RelaxationKind.MAX_REPLICAS,
            service.name,
            unit="replicas",
            now=service.max_replicas,
            step=1,
            lifted=replace(service, max_replicas=None),
            at=lambda value: replace(service, max_replicas=round(value)),
            needed=lambda counts: sum(counts.values()),
        )
    for variant in service.variants:
        if variant.max_replicas is not None:
            yield _variant_maximum(service, variant, variant.max_replicas)


def _variant_maximum(service: Service, variant: Variant, most: int) -> Knob:
    def limited(value: int | None) -> Service:
        variants = tuple(
            replace(other, max_replicas=value) if other.name == variant.name else other for other in service.variants
        )
        return replace(service, variants=variants)

    return _own(
        service,
        RelaxationKind.MAX_REPLICAS,
        f"{service.name} {variant.name}",
        unit="replicas",
        now=most,
        step=1,
        lifted=limited(None),
        at=lambda value: limited(round(value)),
        needed=lambda counts: counts.get(variant.name, 0),
    )


def _spot(service: Service, pools: dict[str, Pool]) -> Iterator[Knob]:
    on_spot = {variant.name for variant in service.variants if pools[variant.pool].spot}

    def spot_share(counts: dict[str, int]) -> float:
        total = sum(counts.values())
        return sum(count for name, count in counts.items() if name in on_spot) / total if total else 0.0

    if service.spot_max_share < 1:
        yield _own(
            service,
            RelaxationKind.SPOT_SHARE,
            service.name,
            unit="of the replicas",
            now=service.spot_max_share,
            step=0.01,
            start=math.floor(100 * service.spot_max_share) / 100,
            lifted=replace(service, spot_max_share=1.0),
            at=lambda value: replace(service, spot_max_share=min(1.0, value)),
            needed=spot_share,
        )
    if service.on_demand_min_replicas > 0:
        yield _own(
            service,
            RelaxationKind.ON_DEMAND_MIN_REPLICAS,
            service.name,
            unit="replicas",
            now=service.on_demand_min_replicas,
            step=-1,
            lifted=replace(service, on_demand_min_replicas=0),
            at=lambda value: replace(service, on_demand_min_replicas=round(value)),
            needed=lambda counts: sum(count for name, count in counts.items() if name not in on_spot),
        )


def _switch(service: Service, kind: RelaxationKind, name: str, lifted: Service) -> Knob:
    """A wish that is there or not."""
    return _own(
        service,
        kind,
        name,
        unit="",
        now=0.0,
        step=0.0,
        lifted=lifted,
        at=lambda _: lifted,
        needed=lambda _: 0.0,
    )


def _own(
    service: Service,
    kind: RelaxationKind,
    name: str,
    *,
    unit: str,
    now: float,
    step: float,
    lifted: Service,
    at: Callable[[float], Service],
    needed: Callable[[dict[str, int]], float],
    start: float | None = None,
) -> Knob:
    """A limit of one service alone. `needed` is of its replicas by variant."""
    return Knob(
        kind=kind,
        name=name,
        services=(service.name,),
        unit=unit,
        now=now,
        step=step,
        lift=lambda asked: _with_service(asked, lifted),
        at=lambda asked, value: _with_service(asked, at(value)),
        needed=lambda _, plan: needed(
            next(entry.replicas() for entry in plan.services if entry.service == service.name)
        ),
        start=now if start is None else start,
    )


def _with_service(problem: Problem, service: Service) -> Problem:
    services = tuple(service if entry.name == service.name else entry for entry in problem.services)
    return replace(problem, services=services)
