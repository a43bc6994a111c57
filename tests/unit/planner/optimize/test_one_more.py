"""The price of one more GPU, place or watt, against planning anew with one more, where relaxations are wrong too."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from medley_planner.model import LimitKind, LimitUse, Plan, Pool, PowerBudget, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from tests.unit.planner.optimize.small import service, variant

_SEEDS = range(40)
_CENT = 0.01


def test_the_sixteenth_of_fifteen_gpus_is_worth_what_it_saves() -> None:
    """15 x 0.02141 req/s and 12 x 0.01977: $22.50; with 16, 11 of the other are enough."""
    chat = service(0.56, variant("a", 0.01977, 1.0), variant("b", 0.02141, 0.7))
    problem = Problem((chat,), (Pool("a"), Pool("b", stock_gpus=15)))
    assert _price(plan(problem), LimitKind.STOCK, "b") == pytest.approx(_saved(problem, _with_gpu(problem, "b")))
    assert _price(plan(problem), LimitKind.STOCK, "b") > 1


def test_a_gpu_of_an_empty_pool_has_its_price() -> None:
    chat = service(4.0, variant("a", 5.0, 3.0), variant("b", 5.0, 1.0))
    problem = Problem((chat,), (Pool("a"), Pool("b", stock_gpus=0)))
    assert _price(plan(problem), LimitKind.STOCK, "b") == pytest.approx(2.0)


@pytest.mark.parametrize("seed", _SEEDS)
def test_each_price_is_what_planning_with_one_more_saves(seed: int) -> None:
    problem = _drawn(seed)
    found = plan(problem)
    assert not verify(problem, found)
    if any(planned.unserved for planned in found.services):
        return
    for use in found.limits:
        more = _with_watt(problem) if use.kind is LimitKind.POWER else _with_gpu(problem, use.name)
        assert _price(found, use.kind, use.name) == pytest.approx(_saved(problem, more), rel=0.01, abs=_CENT)


def _drawn(seed: int) -> Problem:
    draw = random.Random(f"one more {seed}")  # noqa: S311 - instances, not secrets
    names = ("a", "b", "c")
    services = tuple(_service(draw, number, names) for number in range(draw.randint(1, 5)))
    pools = tuple(
        Pool(name, stock_gpus=draw.choice((0, 2, 4, 7, None)) if name != "c" else None, power_domain="hall")
        for name in names
    )
    return Problem(services, pools, (PowerBudget("hall", draw.choice((4_000.0, 20_000.0))),))


def _service(draw: random.Random, number: int, names: tuple[str, ...]) -> Service:
    variants = (
        variant(
            name,
            tuple(draw.choice((3.0, 4.7, 8.1)) for _ in range(2)),
            draw.choice((0.6, 1.0, 1.9)) * (3 if name == "c" else 1),
            watts=draw.choice((100.0, 300.0)),
        )
        for name in names
    )
    made = service(draw.choice((3.0, 8.0, 15.0)), *variants, prompt_tokens=(100.0, 900.0), name=f"s{number}")
    return replace(made, routing=draw.choice(list(RoutingMode)))


def _with_gpu(problem: Problem, name: str) -> Problem:
    pools = (
        replace(pool, stock_gpus=pool.stock_gpus + 1) if pool.name == name and pool.stock_gpus is not None else pool
        for pool in problem.pools
    )
    return replace(problem, pools=tuple(pools))


def _with_watt(problem: Problem) -> Problem:
    (hall,) = problem.power_domains
    return replace(problem, power_domains=(replace(hall, budget_watts=hall.budget_watts + 1),))


def _saved(problem: Problem, more: Problem) -> float:
    return plan(problem).cost_per_hour - plan(more).cost_per_hour


def _price(found: Plan, kind: LimitKind, name: str) -> float:
    uses: list[LimitUse] = [use for use in found.limits if (use.kind, use.name) == (kind, name)]
    price = uses[0].shadow_price_per_hour
    assert price is not None
    return price
