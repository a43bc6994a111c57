"""Many services coupled by stock: from tasks to answers by column generation (Dantzig and Wolfe).

The order is lexicographic, as in the joint program. First no demand may be left out: if configurations that serve all
fit the stock, cost is all there is to lessen. Only otherwise does leaving out demand get a price, far above what
serving it costs anywhere; then the integer master takes least unmet demand first and least cost at that, and the bound
is one on the cost of any plan that leaves out no more than this one. That none leaves out less is not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.choose import Options, improve, options, round_off
from medley_planner.optimize.columns.column_pool import ColumnPool
from medley_planner.optimize.columns.generate import AGREED, Agreed, generate
from medley_planner.optimize.columns.integer import choose_best
from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.columns.service_arrays import Floats, Ints, ServiceArrays, minima_fit, stack
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task

_PENALTY = 1000.0
"""Price of an unmet request against the dearest way to serve one, where demand must be left out."""
_NEAR_COLUMNS = 6000
"""About how many configurations near the cheapest the integer master chooses from."""
_NEAREST, _FARTHEST = 6, 150
_NEAR = 0.05
"""Part of its price by which a configuration near the cheapest is dearer at most."""
_MANY_NEAR_COLUMNS, _MANY_NEAREST, _NEAR_OF_MANY = 2000, 6, 0.005
"""The same three for more than `_PROVABLE` services of which some have rules, where the master proves nothing:
with 100 services, spot pools and two degrees of tensor parallelism it found better choices among 20 a service than
among 60, in half of the time."""
_NODES = 2_000
"""Of the integer master, divided by the services."""
_LEAST_NODES = 20
_NODES_OF_MANY = 2
"""For those: mostly the root's heuristics find what the next nodes do not better."""
_WELL_ROUNDED, _WELL_ROUNDED_MANY = 2e-4, 8e-4
"""Gap below which nothing more is tried, for up to `_PROVABLE` services and for more; rounding alone reaches it for
hundreds of services."""
_BY_SIZE_AGREED, _BY_SIZE_ROUNDED = 5e-4, 2e-3
"""The same two for more than `_PROVABLE` services of which some are routed by size, whose pricing takes ten times as
long: where rounds end, and gap below which nothing more is tried."""
_RULED_AGREED = 2.5e-4
"""Where rounds end for so many services of which some have rules: the last ones raise the bound by little, and each
takes as long as the first."""
_GOOD_ENOUGH, _GOOD_ENOUGH_AT_MOST, _ROUNDED_SERVICES = 1e-3, 2e-3, 0.15
"""Gap below which the integer master of more than `_PROVABLE` services is not worth its seconds. With rules, where it
takes longest: what rounding this part of one average service takes, within the first two."""
_PROVABLE = 40
"""Up to so many services the integer master may prove more than the prices do."""
_NO_UNMET = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _ColumnCase:
    """What all steps share. `stock` is what the minima leave."""

    tasks: Sequence[Task]
    fleet: ServiceArrays
    book: ColumnPool
    pricer: Pricer
    stock: Floats
    start: Floats
    dearest: float
    relative_gap: float
    seconds_left: Callable[[], float]

    @property
    def services(self) -> int:
        return len(self.tasks)

    def unmet(self, numbers: Ints) -> Floats:
        found: Floats = self.book.unmet[numbers] * self.fleet.weight[self.book.row[numbers]]
        return found


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
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> Answers | None:
    """None where minima contradict each other or what is shared, which configurations cannot express. `start` are
    prices of the room's rows to begin with."""
    case = _begun(tasks, room, start=start, seconds_left=seconds_left, relative_gap=relative_gap)
    if case is None:
        return None
    choice = _serving_all(case)
    if choice is None:
        choice = _leaving_out(case)
    return _answers(case, choice) if choice is not None else None


def relaxed_prices(tasks: Sequence[Task], room: Room, *, seconds: float) -> dict[int, float]:
    """By row of the room what one more of it would save per hour, if configurations could be mixed in any parts; none
    where there was no answer in the time."""
    ends = seconds
    nothing = [0.0] * len(room.limits)
    case = _begun(tasks, room, start=nothing, seconds_left=lambda: ends, relative_gap=_WELL_ROUNDED)
    if case is None:
        return {}
    agreed = _agree_on_all(case)
    return _prices_by_row(case, agreed.prices) if np.isfinite(agreed.bound) else {}


def _begun(
    tasks: Sequence[Task],
    room: Room,
    *,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> _ColumnCase | None:
    """With the configurations that need no search in the book."""
    if not minima_fit(tasks, room):
        return None
    fleet = stack(tasks, room)
    book = ColumnPool(fleet)
    stock = np.array(room.left, float) - fleet.use_of(np.arange(len(fleet)), fleet.least).sum(axis=0)
    pricer = Pricer(tasks, fleet, seconds_left=lambda: 0.25 * seconds_left())
    least = pricer.least()
    if len(least.row) < len(tasks):
        return None
    book.add(least)
    book.add(pricer.alone())
    book.add(pricer.now())
    begin = np.array(start, float)
    return _ColumnCase(tasks, fleet, book, pricer, stock, begin, _dearest(fleet), relative_gap, seconds_left)


def _prices_by_row(case: _ColumnCase, prices: Floats) -> dict[int, float]:
    return {row: float(price) for row, price in enumerate(prices) if case.fleet.use[:, :, row].any()}


def _dearest(fleet: ServiceArrays) -> float:
    """The most that serving one request per second costs on any variant."""
    usable = np.isfinite(fleet.work) & (fleet.rate[:, None] > 0)
    costs = np.where(usable, fleet.cost * np.maximum(np.where(usable, fleet.work, 0.0), 1.0), 0.0)
    rate = np.where(fleet.rate > 0, fleet.rate, 1.0)
    return float((costs.max(axis=1, initial=0.0) / rate).max(initial=0.0)) or 1.0


def _agree_on_all(case: _ColumnCase) -> Agreed:
    return generate(
        case.fleet,
        case.book,
        case.pricer,
        stock=case.stock,
        shed_price=case.dearest,
        may_shed=False,
        unmet_weight=None,
        start=case.start,
        enough=_agreed(case),
        seconds_left=case.seconds_left,
    )


def _agreed(case: _ColumnCase) -> float:
    if _slow(case):
        return _BY_SIZE_AGREED
    return _RULED_AGREED if _ruled(case) else AGREED


def _ruled(case: _ColumnCase) -> bool:
    """Many services of which some have rules."""
    return case.services > _PROVABLE and bool(case.fleet.rules.any.any())


def _slow(case: _ColumnCase) -> bool:
    return case.services > _PROVABLE and any(not task.blind for task in case.tasks)


def _serving_all(case: _ColumnCase) -> _Choice | None:
    agreed = _agree_on_all(case)
    if not np.isfinite(agreed.bound) or _served_short(case, agreed):
        return None
    chosen = _round(case, agreed, _whole(case), case.book.cost)
    enough = _WELL_ROUNDED if case.services <= _PROVABLE else _WELL_ROUNDED_MANY
    enough = _BY_SIZE_ROUNDED if _slow(case) else enough
    well_rounded = chosen is not None and _gap(case, chosen, agreed.bound) <= max(case.relative_gap, enough)
    if chosen is not None and (well_rounded or case.seconds_left() <= 0):
        return _Choice(chosen, agreed.bound, agreed.prices)
    return _among_near(case, agreed, chosen)


def _served_short(case: _ColumnCase, agreed: Agreed) -> bool:
    """Whether even the relaxation leaves out demand."""
    weights = np.zeros(len(case.book))
    weights[: len(agreed.weights)] = agreed.weights
    return bool((weights * case.unmet(np.arange(len(case.book)))).sum() > 1e-6 * case.fleet.weight.sum())


def _whole(case: _ColumnCase) -> Ints:
    return np.flatnonzero(case.book.unmet == 0)


def _gap(case: _ColumnCase, numbers: Ints, bound: float) -> float:
    minima = float(case.fleet.base.sum())
    cost = float(case.book.cost[numbers].sum()) + minima
    return (cost - bound - minima) / cost if cost > 0 else 0.0


def _round(case: _ColumnCase, agreed: Agreed, numbers: Ints, objective: Floats) -> Ints | None:
    """From the columns `numbers`, by their number in the book; None where a service has none or nothing fits."""
    if len(np.unique(case.book.row[numbers])) < case.services:
        return None
    given = options(case.book, numbers, objective)
    weights = np.zeros(len(case.book))
    weights[: len(agreed.weights)] = agreed.weights
    choice = round_off(given, weights[given.number], case.stock, services=case.services, seconds_left=case.seconds_left)
    return None if choice is None else given.number[choice]


def _among_near(case: _ColumnCase, agreed: Agreed, chosen: Ints | None) -> _Choice | None:
    """The integer master over what is near the cheapest; it proves more than prices do if nothing near is missing."""
    everything = np.full(case.services, np.inf)
    cheapest = case.book.cheapest(agreed.prices, everything)
    gap = np.inf if chosen is None else float(case.book.cost[chosen].sum()) - agreed.bound
    slack = np.minimum(gap, (_NEAR_OF_MANY if _ruled(case) else _NEAR) * cheapest)
    near = case.pricer.price(agreed.prices, everything, known=cheapest, slack=slack, keep=_keep(case))
    case.book.add(near)
    numbers = _whole(case)
    price = case.book.cost[numbers] + case.book.use[numbers] @ agreed.prices
    above = price - near.bound[case.book.row[numbers]]
    numbers = numbers[(above <= gap + 1e-9 * (1 + abs(agreed.bound))) | np.isin(numbers, _none_if(chosen))]
    if len(np.unique(case.book.row[numbers])) < case.services:
        return None if chosen is None else _Choice(chosen, agreed.bound, agreed.prices)
    again = _round(case, agreed, numbers, case.book.cost)
    if again is not None and (chosen is None or case.book.cost[again].sum() < case.book.cost[chosen].sum()):
        chosen = again
    good_enough = _GOOD_ENOUGH
    if _ruled(case):
        good_enough = min(max(_GOOD_ENOUGH, _ROUNDED_SERVICES / case.services), _GOOD_ENOUGH_AT_MOST)
    if chosen is not None and case.services > _PROVABLE and _gap(case, chosen, agreed.bound) <= good_enough:
        return _Choice(chosen, agreed.bound, agreed.prices)
    # Where there is no choice yet it has to go on until it finds one.
    few_nodes = _NODES_OF_MANY if _ruled(case) and chosen is not None else None
    found, bound = _integer(case, numbers, case.book.cost, chosen, node_limit=few_nodes)
    if found is None:
        return None
    # A plan with a configuration that is not here costs at least what that one is above its service's cheapest.
    proved = float(near.bound.sum()) - float(agreed.prices @ case.stock) + float((near.reach - near.bound).min())
    return _Choice(found, max(agreed.bound, min(bound, proved)), agreed.prices)


def _keep(case: _ColumnCase) -> int:
    if _ruled(case):
        return max(_MANY_NEAR_COLUMNS // case.services, _MANY_NEAREST)
    return int(np.clip(_NEAR_COLUMNS // case.services, _NEAREST, _FARTHEST))


def _none_if(chosen: Ints | None) -> Ints:
    return np.empty(0, np.int64) if chosen is None else chosen


def _integer(
    case: _ColumnCase,
    numbers: Ints,
    objective: Floats,
    start: Ints | None,
    most_unmet_weight: float | None = None,
    node_limit: int | None = None,
) -> tuple[Ints | None, float]:
    """The better of `start` and the integer master's choice, and the master's bound on what these columns can do."""
    given = options(case.book, numbers, objective)
    begin = None if start is None else _positions(given, start)
    found, bound = choose_best(
        given,
        begin,
        case.stock,
        services=case.services,
        unmet_weight=case.unmet(given.number),
        most_unmet_weight=most_unmet_weight,
        relative_gap=case.relative_gap,
        node_limit=node_limit or max(_LEAST_NODES, _NODES // case.services),
        seconds_left=lambda: 0.8 * case.seconds_left(),
    )
    if found is not None and most_unmet_weight is None:
        found = improve(given, found, case.stock, seconds_left=case.seconds_left)
    choices = [choice for choice in (found, begin) if choice is not None and _fits(case, given, choice)]
    if not choices:
        return None, bound
    return given.number[min(choices, key=given.value)], bound


def _positions(given: Options, numbers: Ints) -> Ints:
    order = np.argsort(given.number)
    place: Ints = order[np.searchsorted(given.number[order], numbers)]
    return place


def _fits(case: _ColumnCase, given: Options, choice: Ints) -> bool:
    return bool((given.used(choice) <= case.stock + 1e-6).all())


def _leaving_out(case: _ColumnCase) -> _Choice | None:
    price = _PENALTY * case.dearest
    agreed = generate(
        case.fleet,
        case.book,
        case.pricer,
        stock=case.stock,
        shed_price=price,
        may_shed=True,
        unmet_weight=None,
        start=case.start,
        seconds_left=lambda: 0.5 * case.seconds_left(),
    )
    if case.seconds_left() > 0:
        shed = price * case.fleet.weight
        cheapest = case.book.cheapest(agreed.prices, shed)
        case.book.add(case.pricer.price(agreed.prices, shed, known=cheapest, slack=_NEAR * cheapest, keep=_keep(case)))
    numbers = np.arange(len(case.book))
    unmet = case.unmet(numbers)
    chosen = _round(case, agreed, numbers, case.book.cost + price * unmet)
    if case.seconds_left() > 0:
        fewest, _ = _integer(case, numbers, unmet, chosen)
        chosen = fewest if fewest is not None else chosen
    if chosen is None:
        return None
    least = float(unmet[chosen].sum()) * (1 + 1e-9) + _NO_UNMET
    if case.seconds_left() > 0:
        cheaper, _ = _integer(case, numbers, case.book.cost, chosen, most_unmet_weight=least)
        chosen = cheaper if cheaper is not None else chosen
    proof = generate(
        case.fleet,
        case.book,
        case.pricer,
        stock=case.stock,
        shed_price=agreed.shed_price,
        may_shed=True,
        unmet_weight=least,
        start=agreed.prices,
        seconds_left=case.seconds_left,
    )
    return _Choice(chosen, proof.bound, proof.prices)


def _settled(case: _ColumnCase, chosen: Ints) -> Ints:
    """After swaps to what is cheaper, fits and leaves out no more: the integer master may have been cut short."""
    most = np.zeros(case.services)
    most[case.book.row[chosen]] = case.book.unmet[chosen]
    numbers = np.flatnonzero(case.book.unmet <= most[case.book.row])
    given = options(case.book, numbers, case.book.cost)
    return given.number[improve(given, _positions(given, chosen), case.stock, seconds_left=lambda: 0.0)]


def _answers(case: _ColumnCase, choice: _Choice) -> Answers:
    chosen = _settled(case, choice.numbers)
    proven = _gap(case, chosen, choice.bound) <= case.relative_gap
    answers = []
    for row, (task, counts) in enumerate(zip(case.tasks, case.book.counts[chosen], strict=True)):
        own = tuple(case.fleet.by_variant(row, counts, len(task.variants)))
        answers.append(Answer(own, distribute(task, own), proven))
    prices = _prices_by_row(case, choice.prices)
    return Answers(tuple(answers), choice.bound + float(case.fleet.base.sum()), prices)
