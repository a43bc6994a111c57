"""Whole weeks of a row: the budget from the row as it was planned, the servers that are added, and the comparison.

A comparison runs the same requests three times: on the planned servers without limits, whose peak sets the budget; on
all servers without limits, whose latency is the measure; and on all servers under control.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medley_planner.model import Priority
from medley_planner.power.simulate.control import CURTAILED_HOURS, WARM_UP_SECONDS, Control, Controller, row_tree
from medley_planner.power.simulate.requests import DAY_SECONDS, draw_requests, work_by_priority
from medley_planner.power.simulate.row import ServerRow
from medley_planner.refusal import Refusal

PLANNED_SERVERS = 40
PLANNED_PEAK = 0.79
"""The highest two-second mean of the planned row as a part of the budget: what POLCA's authors saw."""
PLANNED_DAYS = 7
DRAIN_SECONDS = 3600
"""The longest time for which requests may be finished after the last one came."""


@dataclass(frozen=True, slots=True)
class Slowdown:
    """How much longer requests take than without limits, as a part of the latter: in the median and at the 99th."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Curtailed:
    """How curtailments were met: the longest time until the row was within one, and the part of the time after the
    first minute of each in which it was above."""

    reached_seconds: float
    above_part: float


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """One controlled run. `peak`: the highest two-second mean, as a part of the budget; `soft_brakes`: how often the
    software brake was entered; `capped_part`: of the time, at any level above 0; `rise`: the largest rise of the
    pressure until a command acts (telemetry and actuation); `energy_kwh` of the whole row.
    """

    servers: int
    seed: int
    budget_watts: float
    peak: float
    brakes: int
    soft_brakes: int
    capped_part: float
    high: Slowdown
    low: Slowdown
    rise: float
    energy_kwh: float
    uncapped_kwh: float
    curtailed: Curtailed | None = None


@dataclass(frozen=True, slots=True)
class _Uncontrolled:
    """The row without limits: watts of each second, and the latency of each request."""

    watts: NDArray[np.float64]
    latency_seconds: NDArray[np.float64]


def high_servers(servers: int) -> int:
    """The servers of high priority: their part of the work."""
    work = work_by_priority()
    return round(servers * work[Priority.HIGH] / sum(work.values()))


def planned_budget(watts: NDArray[np.float64]) -> float:
    """The budget of which the peak of these two-second means is `PLANNED_PEAK`."""
    return float(watts.max()) / PLANNED_PEAK


def planned_watts(*, days: int, seed: int) -> NDArray[np.float64]:
    """Two-second means of the planned row without limits, one for each second after the warm-up.

    At least a week, however short the run is that it is planned for: a budget is not set on a quiet day.
    """
    return two_second_means(_uncontrolled(PLANNED_SERVERS, max(days, PLANNED_DAYS), seed).watts)


def two_second_means(watts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape (seconds - warm-up - 1,)."""
    late = watts[WARM_UP_SECONDS:]
    return (late[1:] + late[:-1]) / 2.0


def simulate_row(control: Control, *, servers: int, days: int, seed: int) -> RowOutcome | Refusal:
    """One controlled run; a Refusal where the policy refuses the row as a domain."""
    budget = planned_budget(planned_watts(days=days, seed=seed))
    high = high_servers(servers)
    tree = row_tree(control, servers=servers, high_servers=high, budget_watts=budget)
    if tree.refused and control.ladder is not None:
        return next(iter(tree.refused.values()))
    requests = draw_requests(servers, days=days, seed=seed)
    row = ServerRow(requests, servers=servers, high_servers=high)
    controller = Controller(control, row, tree, days, seed)
    watts = np.zeros(days * DAY_SECONDS)
    for second in range(len(watts)):
        watts[second] = row.advance(second + 1.0)
        controller.tick(second + 1, float(watts[second]))
    _drain(row, len(watts), controller)
    free = _uncontrolled(servers, days, seed)
    latency = row.latencies(requests)
    return RowOutcome(
        servers=servers,
        seed=seed,
        budget_watts=budget,
        peak=float(two_second_means(watts).max()) / budget,
        brakes=controller.brakes,
        soft_brakes=controller.soft_brakes,
        capped_part=controller.capped_seconds / len(watts),
        high=_slowdown(latency, free.latency_seconds, requests.high),
        low=_slowdown(latency, free.latency_seconds, ~requests.high),
        rise=controller.rises.rise,
        energy_kwh=float(watts.sum()) / 3.6e6,
        uncapped_kwh=float(free.watts.sum()) / 3.6e6,
        curtailed=None if control.curtail_part is None else curtailed(watts / budget, control.curtail_part, days),
    )


@lru_cache(maxsize=16)
def _uncontrolled(servers: int, days: int, seed: int) -> _Uncontrolled:
    requests = draw_requests(servers, days=days, seed=seed)
    row = ServerRow(requests, servers=servers, high_servers=high_servers(servers))
    watts = np.array([row.advance(second + 1.0) for second in range(days * DAY_SECONDS)])
    _drain(row, len(watts), None)
    return _Uncontrolled(watts, row.latencies(requests))


def _drain(row: ServerRow, now: int, controller: Controller | None) -> None:
    """Serves what has come, under the same control, until all is finished or the time is over."""
    end = now + DRAIN_SECONDS
    while row.busy and now < end:
        now += 1
        watts = row.advance(float(now))
        if controller is not None:
            controller.tick(now, watts)


def curtailed(pressure: NDArray[np.float64], part: float, days: int) -> Curtailed:
    """`pressure`: of each second of all days."""
    means = (pressure[1:] + pressure[:-1]) / 2.0
    first, last = (hour * 3600 for hour in CURTAILED_HOURS)
    spans = [means[day * DAY_SECONDS + first : day * DAY_SECONDS + last] > part for day in range(days)]
    reached = max(int(np.argmin(above)) if not above.all() else len(above) for above in spans)
    return Curtailed(float(reached), float(np.mean([above[60:].mean() for above in spans])))


def _slowdown(latency: NDArray[np.float64], free: NDArray[np.float64], mine: NDArray[np.bool_]) -> Slowdown:
    p50, p99 = np.quantile(latency[mine], (0.5, 0.99)) / np.quantile(free[mine], (0.5, 0.99)) - 1.0
    return Slowdown(float(p50), float(p99))
