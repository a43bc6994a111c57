"""A small fleet to check: one model on a few GPU types, with the tables that the planner makes itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medley_planner.capacity import LatencyTargets
from medley_planner.catalog import gpu
from medley_planner.check import Subject
from medley_planner.model import Bucket, Demand, Pool, Problem, RoutingMode, Service, SizeSource, Variant
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.variants import TENSOR_PARALLEL, Engine, Source, generate

PRICES = {"L4": 0.8, "A100-80": 3.4, "H100": 6.9}
TARGETS = LatencyTargets(ttft_seconds=1.0, tpot_seconds=0.05, percentile=95.0)
ENGINE = Engine(
    shape=bundled_shape("meta-llama/Llama-3.1-8B-Instruct"),
    precisions=(Precision.BF16,),
    token_budgets=(2048,),
    max_model_len=16384,
    max_sequences=256,
    utilisation=0.9,
    ttft_seconds=TARGETS.ttft_seconds,
    tpot_seconds=TARGETS.tpot_seconds,
    percentile=TARGETS.percentile,
)
MIX = Demand(
    8.0,
    (Bucket(300.0, 150.0), Bucket(300.0, 400.0), Bucket(3000.0, 150.0), Bucket(3000.0, 400.0)),
    (0.4, 0.3, 0.2, 0.1),
    SizeSource.STATIC,
)


def problem_of(
    demand: Demand = MIX,
    *,
    routing: RoutingMode = RoutingMode.HTTP_ROUTE,
    gpus: tuple[str, ...] = ("A100-80", "H100"),
    stock: Mapping[str, int | None] | None = None,
    boast: float = 1.0,
    targets: LatencyTargets = TARGETS,
) -> tuple[Problem, dict[str, Subject]]:
    """`boast`: what all capacities are multiplied by, to make a table that promises too much."""
    sources = tuple(
        Source(name.lower(), gpu(name), 8, PRICES[name], asked=((TENSOR_PARALLEL, 1),), single=True) for name in gpus
    )
    engine = replace(
        ENGINE,
        ttft_seconds=targets.ttft_seconds,
        tpot_seconds=targets.tpot_seconds,
        percentile=targets.percentile,
    )
    rows = generate(engine, sources, demand.buckets, longest_name=24).rows
    variants = tuple(
        Variant(
            name=row.name,
            pool=row.name,
            gpu=row.replica.layout.gpu.name,
            gpus_per_replica=1,
            cost_per_hour=row.cost_per_hour,
            capacity_rps=tuple(rate * boast for rate in row.capacity.capacity_rps),
            provenance=row.capacity.provenance,
        )
        for row in rows
    )
    service = Service("chat", demand, variants, routing, utilisation_limit=1 / 1.1)
    pools = tuple(Pool(row.name, stock_gpus=(stock or {}).get(row.name)) for row in rows)
    subject = Subject(tuple((row.name, row.replica) for row in rows), targets)
    return Problem((service,), pools), {"chat": subject}
