"""Fleets of equal pods with every rule, against every configuration there is: the cheapest, and a true bound."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from medley_planner.optimize.columns.price_equal_pods import price_pods
from medley_planner.optimize.columns.rule_arrays import Rules
from medley_planner.optimize.columns.service_arrays import ServiceArrays

_SERVICES = 40
_CELLS = 4
_SEEDS = range(10)
_ZONES = (("a",), ("b",), ("a", "b"), ())


def _drawn(seed: int, *, budget: bool = False) -> tuple[ServiceArrays, np.ndarray]:
    draw = np.random.default_rng(seed)
    shape = (_SERVICES, _CELLS)
    work = np.where(draw.random(shape) < 0.15, np.inf, np.exp(draw.uniform(-1.0, 1.6, shape)))
    finite = np.isfinite(work)
    least = np.where(finite & (draw.random(shape) < 0.1), 1, 0)
    room = np.where(finite, draw.choice([0, 1, 3, 6], shape), 0)
    zones = draw.integers(len(_ZONES), size=shape)
    outside = np.zeros((_SERVICES, 2, _CELLS), bool)
    for zone, name in enumerate("ab"):
        outside[:, zone] = np.array([any(other != name for other in names) for names in _ZONES])[zones]
    money = draw.integers(30, 900, shape) / 100
    rules = Rules(
        any=np.ones(_SERVICES, bool),
        spot=draw.random(shape) < 0.5,
        share=draw.choice([0.0, 0.3, 0.5, 0.75, 1.0], _SERVICES),
        lasting=draw.choice([0, 0, 1, 2], _SERVICES),
        money=money,
        budget=draw.choice([12.0, np.inf], _SERVICES) if budget else np.full(_SERVICES, np.inf),
        spread=draw.random(_SERVICES) < 0.5,
        zone=np.ones((_SERVICES, 2), bool),
        outside=outside,
    )
    fleet = ServiceArrays(
        index=np.arange(_SERVICES),
        cost=np.ones(shape),
        use=np.zeros((*shape, 0)),
        work=work,
        room=room,
        least=least,
        fewest=draw.choice([0, 0, 2], _SERVICES),
        most=draw.choice([3, 99], _SERVICES),
        rate=np.ones(_SERVICES),
        weight=np.ones(_SERVICES),
        variant=np.tile(np.arange(_CELLS), (_SERVICES, 1)),
        first=np.tile(np.arange(_CELLS), (_SERVICES, 1)),
        base=np.zeros(_SERVICES),
        rules=rules,
        spare=draw.choice([0, 1], _SERVICES),
    )
    return fleet, money + draw.integers(0, 200, shape) / 100


def _every(fleet: ServiceArrays, row: int, prices: np.ndarray, shed: float) -> dict[tuple[int, ...], float]:
    """Price of each configuration beyond the minima that the rules, the limits and `shed` allow."""
    rules, found = fleet.rules, {}
    for counts in itertools.product(*(range(int(room) + 1) for room in fleet.room[row])):
        if not fleet.fewest[row] <= sum(counts) <= fleet.most[row]:
            continue
        whole = np.array(counts) + fleet.least[row]
        total, spot = whole.sum(), whole[rules.spot[row]].sum()
        if spot > rules.share[row] * total + 1e-9 or total - spot < rules.lasting[row]:
            continue
        if rules.money[row] @ whole > rules.budget[row]:
            continue
        if rules.spread[row] and total >= 2 and not all((whole[own] > 0).any() for own in rules.outside[row]):
            continue
        slowest = max((float(work) for count, work in zip(whole, fleet.work[row], strict=True) if count), default=0.0)
        served = max(0, total - fleet.spare[row]) / slowest if 0 < slowest < math.inf else 0.0
        unmet = 1 - served if served < 1 - 1e-9 else 0.0
        if unmet == 0 or math.isfinite(shed):
            found[counts] = float(prices[row] @ np.array(counts)) + (shed * unmet if unmet else 0.0)
    return found


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("others", [False, True])
def test_the_cheapest_is_found_and_proven_under_every_rule(seed: int, *, others: bool) -> None:
    fleet, prices = _drawn(seed)
    found = price_pods(fleet, prices, np.full(_SERVICES, np.inf), others=others, keep=40)
    some = 0
    for row in range(_SERVICES):
        every = _every(fleet, row, prices, math.inf)
        own = np.flatnonzero(found.row == row)
        for number in own:
            assert found.price[number] == pytest.approx(every[tuple(found.counts[number].tolist())], abs=1e-6)
        if every:
            some += 1
            assert found.price[own].min() == pytest.approx(min(every.values()), abs=1e-6)
            assert found.bound[row] == pytest.approx(min(every.values()), abs=1e-6)
        else:
            assert not len(own)
    assert some > _SERVICES / 4


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("shed", [40.0, 6.0])
def test_the_bound_is_true_where_demand_may_be_left_out(seed: int, shed: float) -> None:
    fleet, prices = _drawn(seed)
    found = price_pods(fleet, prices, np.full(_SERVICES, shed), others=False, keep=40)
    exact = 0
    for row in range(_SERVICES):
        every = _every(fleet, row, prices, shed)
        own = np.flatnonzero(found.row == row)
        for number in own:
            assert found.price[number] == pytest.approx(every[tuple(found.counts[number].tolist())], abs=1e-6)
        if every:
            assert found.bound[row] <= min(every.values()) + 1e-6
            exact += bool(len(own)) and found.price[own].min() <= min(every.values()) + 1e-6
    assert exact > 0.9 * sum(bool(_every(fleet, row, prices, shed)) for row in range(_SERVICES))


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_budget_is_kept_and_the_bound_is_true(seed: int) -> None:
    fleet, prices = _drawn(seed, budget=True)
    found = price_pods(fleet, prices, np.full(_SERVICES, np.inf), others=False, keep=40)
    for row in range(_SERVICES):
        every = _every(fleet, row, prices, math.inf)
        for number in np.flatnonzero(found.row == row):
            assert tuple(found.counts[number].tolist()) in every
        assert found.bound[row] <= min(every.values(), default=math.inf) + 1e-6
