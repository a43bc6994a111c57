"""Pricing by class against the integer program: the same least price, true bounds, fleets that carry what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medley_planner.model import Bucket, Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.optimize.columns.by_class.of_tasks import classes_of
from medley_planner.optimize.columns.by_class.price_by_class import ClassSearch
from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.price_by_program import price_exactly
from medley_planner.optimize.columns.service_arrays import ServiceArrays, stack
from medley_planner.optimize.program.distribute import distribute, unmet_rps
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import NOTHING_SHARED, shared_room
from medley_planner.optimize.task.task import Task

_SERVICES = 15
_SEEDS = range(4)
_TOLERANCE = 1e-6
_ENOUGH = 3000
"""Judgements with which every search comes to its end."""


def _task(draw: np.random.Generator, name: str, *, limits: bool) -> Task:
    """A few variants, each better for some classes than for others, some unable to serve some; of any size."""
    classes, variants = int(draw.integers(1, 7)), int(draw.integers(1, 7))
    rates = np.exp(draw.normal(0, 1.2, classes)) * math.exp(draw.uniform(-2, 2.5))
    # Some hardly count; they only have to go somewhere.
    rates = np.where(draw.random(classes) < 0.08, 1e-9, 1.0) * rates
    capacity = np.exp(draw.normal(0, 0.5, (variants, 1)) + draw.normal(0, 0.4, (variants, classes)))
    capacity = np.where(draw.random((variants, classes)) < 0.12, 0.0, capacity)
    made = tuple(
        Variant(
            name=f"v{index}",
            pool=f"p{index}",
            gpu="L4",
            gpus_per_replica=1,
            cost_per_hour=1.0,
            capacity_rps=tuple(row),
            provenance=Provenance.ESTIMATED,
            min_replicas=int(draw.choice([0, 0, 0, 1, 2])) if limits else 0,
            max_replicas=int(draw.choice([2, 4, 99])) if limits else None,
        )
        for index, row in enumerate(capacity.tolist())
    )
    buckets = tuple(Bucket(100 * (index + 1), 100) for index in range(classes))
    demand = Demand(float(rates.sum()), buckets, tuple((rates / rates.sum()).tolist()), SizeSource.STATIC)
    least = int(draw.choice([0, 1, 3, 6])) if limits else 0
    most = int(draw.choice([12, 99])) if limits else None
    service = Service(name, demand, made, RoutingMode.PER_BUCKET, least, most)
    problem = Problem((service,), tuple(Pool(variant.pool) for variant in made))
    return prepare(service, shared_room(problem)).first


def _drawn(seed: int, *, limits: bool) -> tuple[list[Task], ServiceArrays, np.ndarray]:
    draw = np.random.default_rng(seed)
    tasks = [_task(draw, f"s{index}", limits=limits) for index in range(_SERVICES)]
    fleet = stack(tasks, NOTHING_SHARED)
    prices = draw.uniform(0.5, 1.5, fleet.cost.shape) * np.exp(draw.normal(0, 0.3, fleet.cost.shape))
    return tasks, fleet, prices


def _exact(task: Task, prices: np.ndarray, shed: float) -> float:
    """The least price beyond the minima; infinite where nothing serves enough."""
    own = prices[: len(task.variants)]
    priced = price_exactly(task, own - np.array(task.cost), shed, seconds=20.0, relative_gap=0.0)
    if not priced.replicas:
        return math.inf
    least = math.fsum(price * variant.min_replicas for price, variant in zip(own.tolist(), task.variants, strict=True))
    return float((own * np.array(priced.replicas)).sum()) + (shed * priced.unmet if priced.unmet else 0.0) - least


def _check_fleets(
    tasks: list[Task], fleet: ServiceArrays, prices: np.ndarray, shed: float, found: Configurations
) -> None:
    """Each is within the limits, serves what it says and is priced right."""
    for row, counts, unmet, price in zip(found.row, found.counts, found.unmet, found.price, strict=True):
        task = tasks[row]
        own = (counts + fleet.least[row])[: len(task.variants)].tolist()
        assert (counts >= 0).all()
        assert fleet.fewest[row] <= counts.sum() <= fleet.most[row]
        assert all(count <= cap for count, cap in zip(own, task.caps, strict=True))
        part = unmet_rps(task, distribute(task, own)) / task.rate_rps
        assert part == pytest.approx(unmet, abs=_TOLERANCE)
        assert unmet == 0 or math.isfinite(shed)
        assert price == pytest.approx(
            float(prices[row] @ counts) + (shed * unmet if unmet else 0.0), rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("limits", [False, True])
@pytest.mark.parametrize("shed", [math.inf, 30.0, 3.0])
def test_finds_and_proves_what_the_integer_program_does(seed: int, shed: float, *, limits: bool) -> None:
    tasks, fleet, prices = _drawn(seed, limits=limits)
    search = ClassSearch(classes_of(tasks, fleet), seconds_left=lambda: math.inf)
    everything, nothing = np.full(len(tasks), math.inf), np.zeros(len(tasks))
    # The second round is at other prices, with what the first one learned.
    for round_prices in (prices, prices * np.random.default_rng(seed).uniform(0.8, 1.3, prices.shape)):
        found = search.price(
            round_prices, np.full(len(tasks), shed), known=everything, slack=nothing, keep=3, judgements=_ENOUGH
        )
        _check_fleets(tasks, fleet, round_prices, shed, found)
        for row, task in enumerate(tasks):
            best = _exact(task, round_prices[row], shed)
            own = float(found.price[found.row == row].min(initial=math.inf))
            assert own == pytest.approx(best, rel=_TOLERANCE, abs=_TOLERANCE)
            if math.isfinite(best):
                assert found.bound[row] == pytest.approx(best, rel=_TOLERANCE, abs=_TOLERANCE)
