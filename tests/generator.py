"""Fleets to plan, drawn with a seed: services of real models on ten pools (nine GPU types, one of
them also as spot) with capacities of the data sheets.

Where stock is to bind, the pools that the services would use most, each planned
alone, hold only a part of that use; all others hold what every service together could ask of them. Pure: equal
arguments give equal fleets, so that a benchmark's figures can be compared and a test's failure repeated.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from medley_planner.capacity import capacity_row
from medley_planner.catalog import gpu
from medley_planner.model import Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.workload import standard_buckets

POOLS = {
    "l4": ("L4", 0.14),
    "a10g": ("A10G", 0.19),
    "l40s": ("L40S", 0.46),
    "a100-40": ("A100-40", 0.85),
    "a100-80": ("A100-80", 1.05),
    "h100": ("H100", 2.39),
    "h100-spot": ("H100", 2.09),
    "h200": ("H200", 2.49),
    "b200": ("B200", 4.49),
    "mi300x": ("MI300X", 2.19),
}
"""GPU type and US dollars per GPU and hour of each pool: set so that no pool is best for all services."""

MODELS = (
    ("hf://meta-llama/Llama-3.1-8B-Instruct", 6.0, 0.10),
    ("hf://meta-llama/Llama-3.1-8B-Instruct", 2.5, 0.05),
    ("hf://Qwen/Qwen2.5-14B-Instruct", 8.0, 0.10),
    ("hf://Qwen/Qwen2.5-32B-Instruct", 12.0, 0.10),
    ("hf://meta-llama/Llama-3.1-70B-Instruct", 15.0, 0.12),
)
"""Model, target of the time to first token and of the time per output token in seconds."""

_TENSOR_PARALLEL = (1, 2, 4, 8)
_CUT_POOLS = 4
_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to run a model: GPUs of one pool for a replica, and its capacity by bucket."""

    pool: str
    gpus: int
    capacity_rps: tuple[float, ...]


@cache
def shapes(model: int) -> tuple[Shape, ...]:
    """For each pool the smallest tensor-parallel degree at which `MODELS[model]` serves the whole grid, if any."""
    found = []
    uri, ttft_seconds, tpot_seconds = MODELS[model]
    for pool, (name, _) in POOLS.items():
        for degree in _TENSOR_PARALLEL:
            row = capacity_row(
                bundled_shape(uri),
                gpu(name),
                tensor_parallel=degree,
                precision=Precision.BF16,
                max_model_len=32768,
                buckets=standard_buckets(),
                ttft_seconds=ttft_seconds,
                tpot_seconds=tpot_seconds,
                percentile=_PERCENTILE,
                token_budget=2048,
                max_sequences=256,
            )
            if all(row.capacity_rps):
                found.append(Shape(pool, degree, row.capacity_rps))
                break
    return tuple(found)


def fleet(
    services: int,
    *,
    seed: int,
    stock_fraction: float | None = None,
    routing: Sequence[RoutingMode] = (RoutingMode.HTTP_ROUTE,),
    rates_rps: tuple[float, float] = (5.0, 300.0),
) -> Problem:
    """`stock_fraction`: what the most used pools hold of the use that the services would make of them; None: enough."""
    draw = random.Random(seed)  # noqa: S311 - instances, not secrets
    made = tuple(_service(draw, f"s{index:04}", routing[index % len(routing)], rates_rps) for index in range(services))
    return Problem(made, _pools(made, stock_fraction))


def changed(problem: Problem, *, seed: int, by: float = 0.1) -> Problem:
    """The same fleet on the same stock after each rate and each share of a size changed by up to the part `by`."""
    draw = random.Random(seed)  # noqa: S311 - instances, not secrets
    return replace(problem, services=tuple(_noisy(draw, service, by) for service in problem.services))


def _noisy(draw: random.Random, service: Service, by: float) -> Service:
    demand = service.demand
    weights = [share * draw.uniform(1 - by, 1 + by) for share in demand.shares]
    total = math.fsum(weights)
    rate = demand.rate_rps * draw.uniform(1 - by, 1 + by)
    shares = tuple(weight / total for weight in weights)
    return replace(service, demand=replace(demand, rate_rps=rate, shares=shares))


def _service(draw: random.Random, name: str, routing: RoutingMode, rates_rps: tuple[float, float]) -> Service:
    model = draw.randrange(len(MODELS))
    low, high = rates_rps
    rate = math.exp(draw.uniform(math.log(low), math.log(high)))
    variants = tuple(
        Variant(
            name=f"{shape.pool}-tp{shape.gpus}",
            pool=shape.pool,
            gpu=POOLS[shape.pool][0],
            gpus_per_replica=shape.gpus,
            cost_per_hour=round(POOLS[shape.pool][1] * shape.gpus, 6),
            capacity_rps=shape.capacity_rps,
            provenance=Provenance.ESTIMATED,
        )
        for shape in shapes(model)
    )
    return Service(name, Demand(rate, standard_buckets(), _shares(draw), SizeSource.STATIC), variants, routing, 1, None)


def _shares(draw: random.Random) -> tuple[float, ...]:
    """A log-normal of both sizes around a mean of its own, on the standard grid."""
    prompt, generation = math.log(draw.uniform(150, 2500)), math.log(draw.uniform(60, 450))
    weights = [
        math.exp(
            -((math.log(bucket.prompt_tokens) - prompt) ** 2 + (math.log(bucket.generation_tokens) - generation) ** 2)
        )
        for bucket in standard_buckets()
    ]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def _pools(services: Sequence[Service], stock_fraction: float | None) -> tuple[Pool, ...]:
    wanted: Counter[str] = Counter()
    ample: Counter[str] = Counter()
    for service in services:
        loads = [_replicas(service, variant) for variant in service.variants]
        costs = [load * variant.cost_per_hour for load, variant in zip(loads, service.variants, strict=True)]
        best = costs.index(min(costs))
        for index, (load, variant) in enumerate(zip(loads, service.variants, strict=True)):
            ample[variant.pool] += math.ceil(load) * variant.gpus_per_replica
            if index == best:
                wanted[variant.pool] += math.ceil(load * variant.gpus_per_replica)
    stock = {name: ample[name] for name in POOLS}
    if stock_fraction is not None:
        for name, gpus in wanted.most_common(_CUT_POOLS):
            stock[name] = math.floor(gpus * stock_fraction)
    return tuple(Pool(name, gpus) for name, gpus in stock.items())


def _replicas(service: Service, variant: Variant) -> float:
    return math.fsum(
        service.demand.bucket_rate_rps(bucket) / capacity for bucket, capacity in enumerate(variant.capacity_rps)
    )
