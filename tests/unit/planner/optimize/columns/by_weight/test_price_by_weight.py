"""Pricing by columns against every configuration there is: what it finds is the cheapest, what it proves is true."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from medley_planner.optimize.columns.by_weight.price_by_weight import RouteSearch
from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.price_equal_pods import price_pods
from medley_planner.optimize.columns.rule_arrays import Rules
from medley_planner.optimize.columns.service_arrays import ServiceArrays

_SERVICES = 60
_VARIANTS = 3
_SEEDS = range(12)


def _drawn(seed: int, *, limits: bool) -> tuple[ServiceArrays, np.ndarray]:
    draw = np.random.default_rng(seed)
    shape = (_SERVICES, _VARIANTS)
    work = np.where(draw.random(shape) < 0.15, np.inf, np.exp(draw.uniform(-1.5, 2.2, shape)))
    least = (draw.random(shape) < 0.15).astype(int) * draw.integers(1, 3, shape) if limits else np.zeros(shape, int)
    least = np.where(np.isfinite(work), least, 0)
    room = np.minimum(np.ceil(np.where(np.isfinite(work), work, 0)), draw.choice([1, 3, 99], shape)).astype(int)
    fewest = draw.choice([0, 0, 2], _SERVICES) if limits else np.zeros(_SERVICES, int)
    most = draw.choice([2, 5, 99], _SERVICES) if limits else np.full(_SERVICES, 99)
    fleet = ServiceArrays(
        index=np.arange(_SERVICES),
        cost=np.ones(shape),
        use=np.zeros((*shape, 0)),
        work=work,
        room=room,
        least=least,
        fewest=fewest,
        most=most,
        rate=np.ones(_SERVICES),
        weight=np.ones(_SERVICES),
        variant=np.tile(np.arange(_VARIANTS), (_SERVICES, 1)),
        first=np.tile(np.arange(_VARIANTS), (_SERVICES, 1)),
        base=np.zeros(_SERVICES),
        rules=_no_rules(shape),
        spare=np.zeros(_SERVICES, int),
    )
    return fleet, draw.integers(30, 900, shape) / 100


def _no_rules(shape: tuple[int, int]) -> Rules:
    services, cells = shape
    return Rules(
        any=np.zeros(services, bool),
        spot=np.zeros(shape, bool),
        share=np.ones(services),
        lasting=np.zeros(services, int),
        money=np.zeros(shape),
        budget=np.full(services, np.inf),
        spread=np.zeros(services, bool),
        zone=np.zeros((services, 0), bool),
        outside=np.zeros((services, 0, cells), bool),
    )


def _routes_unmet(fleet: ServiceArrays, row: int, counts: np.ndarray) -> float:
    carried = sum(
        int(count) / max(1.0, float(work)) for count, work in zip(counts, fleet.work[row], strict=True) if count
    )
    return max(0.0, 1 - carried)


def _pods_unmet(fleet: ServiceArrays, row: int, counts: np.ndarray) -> float:
    used = [float(work) for count, work in zip(counts, fleet.work[row], strict=True) if count]
    if not used or not math.isfinite(max(used)):
        return 1.0
    return max(0.0, 1 - int(counts.sum()) / max(used))


def _every(
    fleet: ServiceArrays, row: int, prices: np.ndarray, shed: float, *, pods: bool
) -> dict[tuple[int, ...], float]:
    """Price of each configuration beyond the minima, of those that the limits and `shed` allow."""
    unmet_of = _pods_unmet if pods else _routes_unmet
    found = {}
    for counts in itertools.product(*(range(int(room) + 1) for room in fleet.room[row])):
        if not fleet.fewest[row] <= sum(counts) <= fleet.most[row]:
            continue
        all_counts = np.array(counts) + fleet.least[row]
        unmet = unmet_of(fleet, row, all_counts)
        unmet = 0.0 if unmet < 1e-8 else unmet
        if unmet == 0 or math.isfinite(shed):
            found[counts] = float(prices[row] @ np.array(counts)) + (shed * unmet if unmet else 0.0)
    return found


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("limits", [False, True])
@pytest.mark.parametrize("shed", [math.inf, 40.0, 4.0])
@pytest.mark.parametrize("pods", [False, True])
def test_finds_and_proves_the_cheapest(seed: int, shed: float, *, limits: bool, pods: bool) -> None:
    fleet, prices = _drawn(seed, limits=limits)
    sheds = np.full(_SERVICES, shed)
    found = _price(fleet, prices, sheds, pods=pods)
    some = 0
    for row in range(_SERVICES):
        every = _every(fleet, row, prices, shed, pods=pods)
        own = np.flatnonzero(found.row == row)
        for number in own:
            counts = tuple(int(count) for count in found.counts[number])
            assert found.price[number] == pytest.approx(every[counts], abs=1e-6)
        best = min(every.values(), default=math.inf)
        if math.isfinite(best):
            some += 1
            assert found.bound[row] <= best + 1e-6
            assert found.price[own].min() == pytest.approx(best, abs=1e-6)
            assert found.bound[row] == pytest.approx(best, abs=1e-6)
    assert some > _SERVICES / 3


@pytest.mark.parametrize("seed", _SEEDS)
def test_misses_nothing_within_the_reach_that_it_states(seed: int) -> None:
    fleet, prices = _drawn(seed, limits=False)
    sheds = np.full(_SERVICES, math.inf)
    found = RouteSearch(_SERVICES).price(fleet, prices, sheds, known=sheds, slack=np.full(_SERVICES, 2.0), keep=50)
    for row in range(_SERVICES):
        got = {tuple(int(n) for n in counts) for counts in found.counts[found.row == row]}
        for counts, price in _every(fleet, row, prices, math.inf, pods=False).items():
            if price < found.reach[row] - 1e-6 and not _spare(fleet, row, counts):
                assert counts in got


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_bound_stays_true_where_too_many_fleets_are_near(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medley_planner.optimize.columns.by_weight.price_by_weight._MOST_STATES", 2)
    fleet, prices = _drawn(seed, limits=True)
    sheds = np.full(_SERVICES, 30.0)
    found = _price(fleet, prices, sheds, pods=False)
    for row in range(_SERVICES):
        best = min(_every(fleet, row, prices, 30.0, pods=False).values(), default=math.inf)
        assert found.bound[row] <= best + 1e-6


def _price(fleet: ServiceArrays, prices: np.ndarray, sheds: np.ndarray, *, pods: bool) -> Configurations:
    if pods:
        return price_pods(fleet, prices, sheds, others=False, keep=20)
    nothing = np.full(_SERVICES, math.inf)
    return RouteSearch(_SERVICES).price(fleet, prices, sheds, known=nothing, slack=np.zeros(_SERVICES), keep=20)


def _spare(fleet: ServiceArrays, row: int, counts: tuple[int, ...]) -> bool:
    """Whether one replica could go and all demand would still be served."""
    for cell, count in enumerate(counts):
        if count:
            fewer = np.array(counts)
            fewer[cell] -= 1
            if _routes_unmet(fleet, row, fewer) < 1e-8:
                return True
    return False
