"""Small problems whose demand cannot all be served, in every routing mode and mixed, against every fleet and cut.

The plan leaves out the least by priority, and costs the least at that; its bound is not above that cost. A failure
names the seed: `scarce_problem(mode, seed=s)` draws the problem again.
"""

from __future__ import annotations

import random

import pytest

from medley_planner.model import (
    Bucket,
    Demand,
    Pool,
    Priority,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import plan, verify
from tests.brute_scarcity import Rank, least

_EACH = 80
_POOLS = ("a", "b", "c")


@pytest.mark.parametrize("mode", [*RoutingMode, None], ids=str)
def test_the_least_is_left_out(mode: RoutingMode | None) -> None:
    wrong = []
    for seed in range(_EACH):
        problem = scarce_problem(mode, seed=seed)
        planned = plan(problem)
        violations = verify(problem, planned)
        best = least(problem)
        got = _rank(problem)
        if violations:
            wrong.append(f"seed {seed}: breaks {violations}")
        elif any(abs(a - b) > 1e-6 * (1 + b) for a, b in zip(got, best, strict=True)):
            wrong.append(f"seed {seed}: {got}, best {best}")
        elif planned.lower_bound_per_hour > best[-1] * (1 + 1e-6) + 1e-9:
            wrong.append(f"seed {seed}: bound {planned.lower_bound_per_hour}, best {best}")
    assert not wrong, "\n".join([f"{len(wrong)} of {_EACH} are wrong", *wrong[:5]])


def _rank(problem: Problem) -> Rank:
    planned = plan(problem)
    short = 0
    unmet = dict.fromkeys(Priority, 0.0)
    for service, found in zip(problem.services, planned.services, strict=True):
        counts = found.replicas()
        short += sum(max(0, variant.min_replicas - counts[variant.name]) for variant in service.variants)
        unmet[service.priority] += sum(entry.rate_rps for entry in found.unserved)
    return (float(short), *unmet.values(), planned.cost_per_hour)


def scarce_problem(mode: RoutingMode | None, *, seed: int) -> Problem:
    """One to three services on pools that are mostly too small; variants that cannot serve every size."""
    draw = random.Random(f"scarce {mode} {seed}")  # noqa: S311 - instances, not secrets
    services = tuple(_service(draw, number, mode) for number in range(draw.randint(1, 3)))
    pools = tuple(Pool(name, stock_gpus=draw.choice((0, 1, 1, 2, 3, None))) for name in _POOLS)
    return Problem(services, pools)


def _service(draw: random.Random, number: int, mode: RoutingMode | None) -> Service:
    prompts = draw.choice(((100.0, 100.0), (100.0, 900.0), (100.0, 100.0, 900.0), (100.0, 100.0, 900.0, 900.0)))
    buckets = tuple(Bucket(prompt, 10.0 * index) for index, prompt in enumerate(prompts))
    weights = [draw.randint(1, 9) for _ in buckets]
    rate = draw.choice((4.0, 9.0, 16.0))
    variants = tuple(
        Variant(
            name=f"v{index}",
            pool=pool,
            gpu=pool,
            gpus_per_replica=1,
            cost_per_hour=draw.choice((0.5, 1.0, 1.7, 3.1)),
            capacity_rps=tuple(0.0 if draw.random() < 0.35 else draw.choice((3.0, 5.0, 8.0, 13.0)) for _ in buckets),
            provenance=Provenance.GIVEN,
            min_replicas=int(draw.random() < 0.1),
        )
        for index, pool in enumerate(draw.sample(_POOLS, draw.randint(1, 3)))
    )
    return Service(
        name=f"s{number}",
        demand=Demand(rate, buckets, tuple(weight / sum(weights) for weight in weights), SizeSource.STATIC),
        variants=variants,
        routing=mode if mode is not None else draw.choice(list(RoutingMode)),
        priority=draw.choice(list(Priority)),
        n_plus_one=draw.random() < 0.2,
    )
