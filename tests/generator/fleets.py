"""Fleets: services of real models on ten pools (nine GPU types, one of them also as spot).

What is asked of the shared limits is drawn by `limits.py`. The options in `Extras` are drawn from a separate source, so
that a fleet keeps its services, rates and sizes whichever of them are on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medley_planner.catalog import gpu
from medley_planner.model import Demand, Plan, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.workload import standard_buckets
from tests.generator.catalogue import MODELS, POOLS, SPOT_POOLS, Shape, shapes
from tests.generator.limits import cheapest_alone, limited, replicas_alone
from tests.generator.sizes import grid_shares, normalised

_STARTUP_SECONDS = 300.0
_CURRENT_AROUND = 0.2


@dataclass(frozen=True, slots=True)
class Extras:
    """The options of a fleet beyond its services, pools and stock; without any it is the plain fleet.

    `tensor_parallel_degrees` variants for each pool that can run the model; `spot`: four pools of spot GPUs, of which
    each service may take half of its replicas while it keeps one elsewhere; `node_gpus`: every pool stands on nodes of
    so many GPUs (and one with the rest); `power_fraction`: two racks below one hall, and a third without a shortage;
    a short rack may draw this part of what its pools would draw, each service on its cheapest type as far as stock
    goes; `current`: replicas run, about as many as the cheapest type alone needs, and new ones take 300 s to start.
    """

    tensor_parallel_degrees: int = 1
    spot: bool = False
    node_gpus: int | None = None
    power_fraction: float | None = None
    current: bool = False


PLAIN = Extras()


def fleet(
    services: int,
    *,
    seed: int,
    stock_fraction: float | None = None,
    routing: Sequence[RoutingMode] = (RoutingMode.HTTP_ROUTE,),
    rates_rps: tuple[float, float] = (5.0, 300.0),
    extras: Extras = PLAIN,
) -> Problem:
    """`stock_fraction`: what the most used pools hold of the use that the services would make of them; None: enough."""
    draw = random.Random(seed)  # noqa: S311 - instances, not secrets
    made = tuple(
        _service(draw, f"s{index:04}", routing[index % len(routing)], rates_rps, extras) for index in range(services)
    )
    pools, domains = limited(
        made,
        names=tuple(POOLS | SPOT_POOLS) if extras.spot else tuple(POOLS),
        stock_fraction=stock_fraction,
        node_gpus=extras.node_gpus,
        power_fraction=extras.power_fraction,
    )
    if extras.spot:
        pools = tuple(replace(pool, spot=pool.name.endswith("-spot")) for pool in pools)
    if extras.current:
        other = random.Random(f"current of {seed}")  # noqa: S311 - instances, not secrets
        made = tuple(_with_current(other, service) for service in made)
    return Problem(made, pools, domains)


def changed(problem: Problem, *, seed: int, by: float = 0.1) -> Problem:
    """The same fleet on the same stock after each rate and each share of a size changed by up to the part `by`."""
    draw = random.Random(seed)  # noqa: S311 - instances, not secrets
    return replace(problem, services=tuple(_noisy(draw, service, by) for service in problem.services))


def running(
    problem: Problem, plan: Plan, *, startup_seconds: float = _STARTUP_SECONDS, stay_seconds: float = 3600.0
) -> Problem:
    """The same fleet when the replicas of `plan` run and each new one takes `startup_seconds` and stays for
    `stay_seconds`."""
    services = []
    for service, planned in zip(problem.services, plan.services, strict=True):
        replicas = planned.replicas()
        variants = tuple(
            replace(variant, current_replicas=replicas[variant.name], startup_seconds=startup_seconds)
            for variant in service.variants
        )
        services.append(replace(service, variants=variants, stay_seconds=stay_seconds))
    return replace(problem, services=tuple(services))


def _noisy(draw: random.Random, service: Service, by: float) -> Service:
    demand = service.demand
    weights = [share * draw.uniform(1 - by, 1 + by) for share in demand.shares]
    rate = demand.rate_rps * draw.uniform(1 - by, 1 + by)
    return replace(service, demand=replace(demand, rate_rps=rate, shares=normalised(weights)))


def _service(
    draw: random.Random, name: str, routing: RoutingMode, rates_rps: tuple[float, float], extras: Extras
) -> Service:
    model = draw.randrange(len(MODELS))
    low, high = rates_rps
    rate = math.exp(draw.uniform(math.log(low), math.log(high)))
    variants = tuple(_variant(shape) for shape in shapes(model, extras.tensor_parallel_degrees, spot=extras.spot))
    demand = Demand(rate, standard_buckets(), grid_shares(draw), SizeSource.STATIC)
    return Service(
        name,
        demand,
        variants,
        routing,
        1,
        None,
        spot_max_share=0.5 if extras.spot else 1.0,
        on_demand_min_replicas=1 if extras.spot else 0,
    )


def _variant(shape: Shape) -> Variant:
    name, price = (POOLS | SPOT_POOLS)[shape.pool]
    return Variant(
        name=f"{shape.pool}-tp{shape.gpus}",
        pool=shape.pool,
        gpu=name,
        gpus_per_replica=shape.gpus,
        cost_per_hour=round(price * shape.gpus, 6),
        capacity_rps=shape.capacity_rps,
        provenance=Provenance.ESTIMATED,
        watts=gpu(name).watts * shape.gpus,
    )


def _with_current(draw: random.Random, service: Service) -> Service:
    best = cheapest_alone(service)
    needed = replicas_alone(service, service.variants[best])
    runs = math.ceil(needed * draw.uniform(1 - _CURRENT_AROUND, 1 + _CURRENT_AROUND))
    variants = tuple(
        replace(variant, startup_seconds=_STARTUP_SECONDS, current_replicas=runs if index == best else 0)
        for index, variant in enumerate(service.variants)
    )
    return replace(service, variants=variants)
