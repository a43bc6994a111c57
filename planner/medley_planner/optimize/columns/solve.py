"""Many services coupled by stock: from tasks to answers by column generation (the programs stand in `__init__.py`).

The order is lexicographic, as in the joint program. First no demand may be left out: if configurations that serve all
fit the stock, cost is all there is to lessen. Only otherwise does leaving out demand get a price, far above what
serving it costs anywhere; then the integer master takes least unmet demand first and least cost at that, and the bound
is one on the cost of any plan that leaves out no more than this one. That none leaves out less is not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medley_planner.model import Priority
from medley_planner.optimize.columns.case import ColumnCase, begin
from medley_planner.optimize.columns.generate import Agreed, generate
from medley_planner.optimize.columns.service_arrays import Floats, Ints
from medley_planner.optimize.effort import AGREED, FEW, Effort, effort_for
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.fallback import priority_rank
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping

_PENALTY = 1000.0
"""Price of an unmet request relative to the most expensive way to serve one, where demand must be left out."""
_NO_UNMET = 1e-9
_ABOVE_PRICES = (1.25, 2.0)
"""How many times the limits' prices at which configurations are looked for as well where nothing fits."""
_NEAR_IN_ALL = 0.005
"""Part of what all services cost at the prices that each may cost more than its cheapest, where demand is left out."""
_MORE_EACH, _MORE_COLUMNS = 50, 5000
"""Configurations looked for there of each service and of all, where that is more: what is left has to be filled up
exactly."""
_STEEPER = 100.0
"""How many times more than by their weights what goes before counts than what comes after it."""
_BEFORE = 1000.0
"""How many times as much as of the next priority a request of one counts where configurations are swapped."""
_MORE_NODES = 5
"""So many times as many nodes may be searched for what leaves out least: there is no rounding that comes as near."""
_FLOOR_SECONDS = 1.5
"""Kept back, where demand is left out, to find out how little any plan could leave out."""
_CHOOSING_SECONDS = 0.002
"""Kept back by service, while prices are sought, for the choice among what they ask for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """A column of the book for each service, and a bound on the cost beyond the minima."""

    numbers: Ints
    bound: float
    prices: Floats


def solve_columns(
    tasks: Sequence[Task],
    room: Room,
    *,
    effort: Effort,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> Answers | None:
    """None where minima contradict each other or what is shared, which configurations cannot express. `start` are
    prices of the room's rows to begin with."""
    case = begin(tasks, room, effort=effort, start=start, seconds_left=seconds_left, relative_gap=relative_gap)
    if case is None:
        return None
    choice = _serving_all(case)
    if choice is None:
        choice = _leaving_out(case)
    return _answers(case, choice) if choice is not None else None


def relaxed_prices(tasks: Sequence[Task], room: Room, *, seconds_left: Callable[[], float]) -> dict[int, float]:
    """The saving per hour of one more of each row of the room, if configurations could be mixed in any parts; empty
    where there was no answer in the time."""
    nothing = [0.0] * len(room.limits)
    effort = effort_for(tasks)
    case = begin(tasks, room, effort=effort, start=nothing, seconds_left=seconds_left, relative_gap=0.0)
    if case is None:
        return {}
    agreed = case.agree_on_all()
    return case.prices_by_row(agreed.prices) if np.isfinite(agreed.bound) else {}


def _serving_all(case: ColumnCase) -> _Choice | None:
    agreed = case.agree_on_all()
    if not np.isfinite(agreed.bound) or _served_short(case, agreed):
        return None
    chosen = case.rounded(agreed, _whole(case), case.book.cost)
    well_rounded = chosen is not None and case.gap(chosen, agreed.bound) <= case.enough
    if chosen is not None and (well_rounded or case.seconds_left() <= 0):
        return _Choice(chosen, agreed.bound, agreed.prices)
    return _among_near(case, agreed, chosen)


def _served_short(case: ColumnCase, agreed: Agreed) -> bool:
    """Whether even the relaxation leaves out demand."""
    return bool((case.weights(agreed) * case.unmet(np.arange(len(case.book)))).sum() > 1e-6 * case.fleet.weight.sum())


def _whole(case: ColumnCase) -> Ints:
    return np.flatnonzero(case.book.unmet == 0)


def _among_near(case: ColumnCase, agreed: Agreed, chosen: Ints | None) -> _Choice | None:
    """The integer master over what is near the cheapest; it proves more than prices do if nothing near is missing."""
    everything = np.full(case.services, np.inf)
    cheapest = case.book.cheapest(agreed.prices, everything)
    gap = np.inf if chosen is None else float(case.book.cost[chosen].sum()) - agreed.bound
    slack = np.minimum(gap, case.effort.near * cheapest)
    keep = case.effort.near_each(case.services)
    near = case.pricer.price(agreed.prices, everything, known=cheapest, slack=slack, keep=keep)
    case.book.add(near)
    if chosen is None:
        # What fits has to take less of the limits that bind than is cheapest at their prices.
        for times in _ABOVE_PRICES:
            prices = times * agreed.prices
            known = case.book.cheapest(prices, everything)
            case.book.add(case.pricer.price(prices, everything, known=known, slack=slack, keep=keep))
    numbers = _whole(case)
    price = case.book.cost[numbers] + case.book.use[numbers] @ agreed.prices
    above = price - near.bound[case.book.row[numbers]]
    numbers = numbers[(above <= gap + 1e-9 * (1 + abs(agreed.bound))) | np.isin(numbers, _none_if(chosen))]
    if len(np.unique(case.book.row[numbers])) < case.services:
        return None if chosen is None else _Choice(chosen, agreed.bound, agreed.prices)
    again = case.rounded(agreed, numbers, case.book.cost)
    if again is not None and (chosen is None or case.book.cost[again].sum() < case.book.cost[chosen].sum()):
        chosen = again
    good_enough = case.effort.good_enough(case.services)
    if chosen is not None and case.gap(chosen, agreed.bound) <= good_enough:
        return _Choice(chosen, agreed.bound, agreed.prices)
    # Where there is no choice yet it has to go on until it finds one.
    nodes = case.effort.nodes_for(case.services, at_hand=chosen is not None)
    found, bound = case.chosen_from(numbers, case.book.cost, chosen, nodes=nodes)
    if found is None:
        return None
    # A plan with a configuration that is not here costs at least what that one is above its service's cheapest.
    proved = float(near.bound.sum()) - float(agreed.prices @ case.stock) + float((near.reach - near.bound).min())
    return _Choice(found, max(agreed.bound, min(bound, proved)), agreed.prices)


def _none_if(chosen: Ints | None) -> Ints:
    return np.empty(0, np.int64) if chosen is None else chosen


def _leaving_out(case: ColumnCase) -> _Choice | None:
    case = replace(case, seconds_left=keeping(case.seconds_left, _FLOOR_SECONDS))
    price = _PENALTY * case.dearest
    agreed = _agree_on_what_is_left_out(case, case.fleet.weight, price, case.start)
    weight = _steeper(case, agreed)
    if weight is not case.fleet.weight and case.seconds_left() > 0:
        agreed = _agree_on_what_is_left_out(case, weight, price, agreed.prices)
    if case.seconds_left() > 0:
        shed = price * weight
        cheapest = case.book.cheapest(agreed.prices, shed)
        slack = FEW.near * cheapest + _NEAR_IN_ALL * float(cheapest.sum())
        keep = max(case.effort.near_each(case.services), min(_MORE_EACH, _MORE_COLUMNS // case.services))
        case.book.add(case.pricer.price(agreed.prices, shed, known=cheapest, slack=slack, keep=keep))
    numbers = np.arange(len(case.book))
    chosen = case.rounded(agreed, numbers, case.book.cost + price * case.book.unmet * weight[case.book.row])
    chosen = _least_in_order(case, numbers, chosen)
    if chosen is None:
        return None
    least = float(case.unmet(chosen).sum()) * (1 + 1e-9) + _NO_UNMET
    proof = generate(
        case.fleet,
        case.book,
        case.pricer,
        stock=case.stock,
        shed_price=agreed.shed_price,
        may_shed=True,
        unmet_weight=least,
        start=agreed.prices,
        enough=AGREED,
        seconds_left=case.seconds_left,
    )
    return _Choice(chosen, proof.bound, proof.prices)


def _agree_on_what_is_left_out(case: ColumnCase, weight: Floats, price: float, start: Floats) -> Agreed:
    """`weight[s]` times `price` is what leaving out all demand of a service costs."""
    return generate(
        replace(case.fleet, weight=weight),
        case.book,
        case.pricer,
        stock=case.stock,
        shed_price=price,
        may_shed=True,
        unmet_weight=None,
        start=start,
        enough=AGREED,
        seconds_left=keeping(case.seconds_left, _CHOOSING_SECONDS * case.services),
    )


def _steeper(case: ColumnCase, agreed: Agreed) -> Floats:
    """Weights at which the highest priority of which the relaxation leaves out demand goes before all that come after
    it: a GPU may serve hundreds of times as many requests of a small model as of a large one."""
    out = case.weights(agreed) * case.book.unmet
    ranks = np.array([priority_rank(task) for task in case.tasks])
    short = np.bincount(ranks[case.book.row], weights=out, minlength=len(Priority)) > _NO_UNMET
    if not short.any() or (ranks <= short.argmax()).all():
        return case.fleet.weight
    return np.where(ranks <= short.argmax(), _STEEPER, 1.0) * case.fleet.weight


def _least_in_order(case: ColumnCase, numbers: Ints, chosen: Ints | None) -> Ints | None:
    """The choice that leaves out the least of the highest priority, then of the next one at that, and costs least at
    that; `chosen` is one."""
    nodes = _MORE_NODES * case.effort.nodes_for(case.services, at_hand=False)
    ranks = np.array([priority_rank(task) for task in case.tasks])[case.book.row]
    rates = case.book.unmet * case.fleet.rate[case.book.row]
    levels = [np.where(ranks == rank, rates, 0.0) for rank in np.unique(ranks).tolist()]
    held: list[tuple[Floats, float]] = []
    above = np.zeros(len(numbers))
    for level in (*levels, case.book.cost):
        if case.seconds_left() > 0 and (chosen is None or level[chosen].any()):
            found, _ = case.chosen_from(numbers, level, chosen, nodes=nodes, held=held)
            chosen = chosen if found is None else found
        if chosen is None:
            return None
        if level is not case.book.cost:
            above = above * _BEFORE + level
            chosen = case.improved(numbers, above, chosen)
        held.append((level, float(level[chosen].sum()) * (1 + 1e-9) + _NO_UNMET))
    return chosen


def _answers(case: ColumnCase, choice: _Choice) -> Answers:
    chosen = case.swapped(choice.numbers)
    proven = case.gap(chosen, choice.bound) <= case.relative_gap
    answers = []
    for row, (task, counts) in enumerate(zip(case.tasks, case.book.counts[chosen], strict=True)):
        own = tuple(case.fleet.by_variant(row, counts, len(task.variants)))
        answers.append(Answer(own, distribute(task, own), proven))
    prices = case.prices_by_row(choice.prices)
    return Answers(tuple(answers), choice.bound + float(case.fleet.base.sum()), prices)
