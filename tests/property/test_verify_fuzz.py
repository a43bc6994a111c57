"""The verifier against random plans: it passes good ones, refuses broken ones and names the rule that was broken.

Good plans are the optimiser's on simple problems, and plans by hand of the best fleets by brute force on all others.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from medley_planner.model import (
    Bucket,
    Demand,
    Plan,
    PlanStatus,
    Pool,
    PowerBudget,
    Priority,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import Rule, plan, verify
from tests.brute_force import best_fleets, feasible, work
from tests.mutations import ALONE, MUTATIONS
from tests.plan_by_hand import plan_of
from tests.small_problems import CASES, Feature, features_of, small_problem

_SEEDS = 25
_SIMPLE = {Feature.PLAIN, Feature.STOCK, Feature.REPLICA_LIMITS}


def _good_pairs(case: Feature | None, *, salt: int) -> list[tuple[Problem, Plan]]:
    pairs = []
    for routing in RoutingMode:
        for seed in range(salt, salt + _SEEDS):
            features = features_of(case, seed=seed)
            problem = small_problem(features, routing, seed=seed)
            best = best_fleets(problem)
            if best is None:
                continue
            if features <= _SIMPLE and routing is not RoutingMode.INFERENCE_POOL and seed % 5 == 0:
                pairs.append((problem, plan(problem)))
            pairs.append((problem, plan_of(problem, best[1])))
            larger = [tuple(count + 1 for count in fleet) for fleet in best[1]]
            if feasible(problem, larger):
                pairs.append((problem, plan_of(problem, larger)))
    return pairs


@pytest.mark.parametrize("case", CASES)
def test_names_the_rule_of_every_mutation(case: Feature | None) -> None:
    draw = random.Random(f"mutate {case}")  # noqa: S311 - test data, not secrets
    broken = 0
    for problem, good in _good_pairs(case, salt=1000):
        assert verify(problem, good) == ()
        for rule, mutate in MUTATIONS.items():
            pair = mutate(draw, problem, good)
            if pair is None:
                continue
            broken += 1
            named = {violation.rule for violation in verify(*pair)}
            assert rule in named, f"{rule} not found: {pair}"
            # A limit that the plan breaks is mostly one that its single type breaks as well.
            assert rule not in ALONE or named <= {rule, Rule.BEST_SINGLE}, f"more than {rule}: {named}: {pair}"
    assert broken > 300


@pytest.mark.parametrize("rule", list(MUTATIONS))
def test_every_mutation_applies(rule: Rule) -> None:
    draw = random.Random(f"apply {rule}")  # noqa: S311 - test data, not secrets
    pairs = _good_pairs({Rule.POWER: Feature.POWER, Rule.NODES: Feature.NODES}.get(rule, Feature.PLAIN), salt=0)
    assert sum(MUTATIONS[rule](draw, problem, good) is not None for problem, good in pairs) >= 20


def test_every_rule_has_a_mutation() -> None:
    assert set(Rule) - MUTATIONS.keys() == {Rule.PRIORITY}, "priorities have a test of their own"


@pytest.mark.parametrize("case", CASES)
def test_passes_any_fleet_exactly_if_brute_force_does(case: Feature | None) -> None:
    """Whatever the replicas: both judge the plan that they make, and share no code."""
    seen = {True: 0, False: 0}
    for routing in RoutingMode:
        for seed in range(60):
            problem = small_problem(features_of(case, seed=seed), routing, seed=seed)
            draw = random.Random(seed)  # noqa: S311 - test data, not secrets
            best = best_fleets(problem)
            for _ in range(4):
                fleets = [tuple(draw.randint(0, 5) for _ in service.variants) for service in problem.services]
                if best is not None and draw.random() < 0.7:
                    # Near the edge of what is possible.
                    fleets = [tuple(max(0, count + draw.choice((-1, 0, 0, 1))) for count in f) for f in best[1]]
                expected = feasible(problem, fleets)
                seen[expected] += 1
                violations = verify(problem, plan_of(problem, fleets))
                assert (violations == ()) is expected, f"{routing} seed {seed}: {fleets}: {violations}"
    assert min(seen.values()) >= 60


@pytest.mark.parametrize("seed", range(4))
def test_finds_a_service_that_goes_short_of_what_a_lower_one_holds(seed: int) -> None:
    draw = random.Random(f"priority {seed}")  # noqa: S311 - test data, not secrets
    for _ in range(100):
        problem, counts = _contested(draw)
        found = verify(problem, plan_of(problem, [(count,) for count in counts], _parts(problem, counts)))
        assert [(violation.service, violation.rule) for violation in found] == [("short", Rule.PRIORITY)], problem
        for tied in _where_no_exchange_is_certain(problem, counts):
            assert verify(tied, plan_of(tied, [(count,) for count in counts], _parts(tied, counts))) == (), tied


def _contested(draw: random.Random) -> tuple[Problem, tuple[int, int]]:
    """Two services on one pool that is used up; the one with the higher priority is a replica short or more."""
    short = _one_variant(draw, "short", draw.choice((Priority.HIGH, Priority.NORMAL)), gpus=draw.choice((1, 2)))
    lower = Priority.LOW if short.priority is Priority.NORMAL else draw.choice((Priority.NORMAL, Priority.LOW))
    rich = _one_variant(draw, "rich", lower, gpus=draw.choice((2, 4)))
    spare = 1 if short.n_plus_one else 0
    needed = sum(work(short, short.variants[0]))
    counts = draw.randint(spare, max(spare, int(needed * 0.99) + spare)), draw.randint(2, 4)
    used = sum(n * s.variants[0].gpus_per_replica for n, s in zip(counts, (short, rich), strict=True))
    watts = sum(n * s.variants[0].watts for n, s in zip(counts, (short, rich), strict=True))
    pool = draw.choice((Pool("p", used), Pool("p", node_gpus=(4,) * 20), Pool("p", power_domain="row")))
    return Problem((short, rich), (pool,), (PowerBudget("hall", watts), PowerBudget("row", watts, "hall"))), counts


def _one_variant(draw: random.Random, name: str, priority: Priority, *, gpus: int) -> Service:
    buckets = tuple(Bucket(100.0 * index, 50.0) for index in range(draw.randint(1, 3)))
    demand = Demand(draw.uniform(3.0, 9.0), buckets, tuple(1 / len(buckets) for _ in buckets), SizeSource.STATIC)
    capacity = tuple(draw.uniform(0.8, 2.0) for _ in buckets)
    variant = Variant("v", "p", "G", gpus, 1.0 * gpus, capacity, Provenance.GIVEN, watts=100.0 * gpus)
    return Service(
        name,
        demand,
        (variant,),
        draw.choice(list(RoutingMode)),
        priority=priority,
        staffing_beta=draw.choice((0.0, 0.5)),
        n_plus_one=draw.random() < 0.4,
    )


def _parts(problem: Problem, counts: tuple[int, int]) -> list[float]:
    """What the replicas of each service serve at most."""
    parts = []
    for service, count in zip(problem.services, counts, strict=True):
        able = max(0, count - 1) if service.n_plus_one else count
        parts.append(min(1.0, able / sum(work(service, service.variants[0]))))
    return parts


def _where_no_exchange_is_certain(problem: Problem, counts: tuple[int, int]) -> list[Problem]:
    short, rich = problem.services
    (wanted,), (held,) = short.variants, rich.variants
    elsewhere = replace(wanted, pool="q")
    changed = [
        (replace(short, priority=rich.priority), rich),
        (replace(short, max_replicas=counts[0]), rich),
        (replace(short, max_cost_per_hour=counts[0] * wanted.cost_per_hour + 0.5), rich),
        (short, replace(rich, min_replicas=counts[1])),
        (short, replace(rich, on_demand_min_replicas=counts[1])),
        (replace(short, variants=(replace(wanted, gpus_per_replica=2 * held.gpus_per_replica),)), rich),
        (replace(short, variants=(elsewhere,)), rich),
    ]
    free = tuple(replace(pool, stock_gpus=None, node_gpus=None, power_domain=None) for pool in problem.pools)
    return [Problem(pair, (*free, Pool("q", 0 if counts[0] == 0 else None))) for pair in changed]


def test_a_fleet_for_which_nothing_was_asked_is_good() -> None:
    assert verify(Problem((), ()), Plan(PlanStatus.OPTIMAL, (), 0.0, 0.0, 0.0, 0.0)) == ()
