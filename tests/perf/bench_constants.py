"""`make bench-constants`: what each constant of the decisions costs when it is halved, and when it is doubled.

Each is changed alone, in every module that holds it, and a few hours are replayed under Medley: a noisy level load, one
that rises and falls like a day, and steps that come and go, with the Azure trace's sizes where it is there. A constant
that is a factor just above or below 1 is halved or doubled in its distance from 1, and one that cannot be doubled goes
to its limit. A constant that moves nothing in the three loads says so; it is not shown to be right.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_operator.domain.margins import learn
from medley_operator.replay.arrivals import made_up, rate_curve, request_sizes, with_sizes_of
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import Replay, medley
from medley_operator.replay.scenario import Scenario
from medley_planner.cli.trace_file import read_trace
from medley_planner.engine import Trace
from tests.perf.inputs import AZURE
from tests.perf.replay_days import ReplayDay, scenario_of
from tests.perf.report import parser_of, write_json

LOADS = {
    "level, noise 10 %": ("constant:6x90m", 0.1),
    "like a day": ("diurnal:2-10x3h", 0.05),
    "steps": ("steps:4x20m,12x20m,6x20m,12x15m,3x45m", 0.0),
}
PACKAGES = ("medley_planner", "medley_operator")


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant by its module and name. `beside`: halved and doubled in its distance from this."""

    module: str
    name: str
    what: str
    beside: float = 0.0
    most: float = float("inf")

    @property
    def value(self) -> float:
        return float(getattr(sys.modules[self.module], self.name))

    def times(self, factor: float) -> float:
        changed = min(self.beside + factor * (self.value - self.beside), self.most)
        return round(changed) if isinstance(getattr(sys.modules[self.module], self.name), int) else changed


_LOAD, _WORK = "medley_operator.domain.load", "medley_planner.workload"
CONSTANTS = (
    Constant(f"{_WORK}.gate", "BAND", "adoption: a demand within this of the plan's is none"),
    Constant(f"{_LOAD}.planned_rate", "LEADS_KEPT", "adoption: lead times that capacity is kept for"),
    Constant(f"{_WORK}.settled", "LIMIT", "adoption: sum of deviations that is a change"),
    Constant(f"{_WORK}.settled", "ALLOWANCE", "adoption: what of each deviation does not count"),
    Constant(f"{_WORK}.settled", "MEMORY_SECONDS", "adoption: how far back the settled rate reaches"),
    Constant(f"{_WORK}.forecast", "DOUBT", "adoption: sum from which a reading may be a change"),
    Constant(f"{_WORK}.holt", "LEVEL_WEIGHT", "forecast: weight of a reading in the level", most=1.0),
    Constant(f"{_WORK}.holt", "TREND_WEIGHT", "forecast: weight of a reading in the trend"),
    Constant(f"{_WORK}.past_errors", "FEWEST_SCORES_SECONDS", "forecast: history that a forecast needs"),
    Constant(f"{_WORK}.past_errors", "SETTLED_BIAS", "forecast: how far the settled rate is preferred", beside=1.0),
    Constant(f"{_WORK}.conformal", "FLOOR_SHARE", "forecast: share of the usual rate beside an error"),
    Constant("medley_planner.regret", "KNOWN_LEADS", "staying: lead times for which a load is known"),
    Constant(learn.__name__, "SHRINK", "margins: a step down", beside=1.0),
    Constant(learn.__name__, "SHRINK_WINDOWS", "margins: windows before a step down"),
    Constant(learn.__name__, "MISSES_USED", "margins: share of the misses used where one shrinks", most=1.0),
    Constant(learn.__name__, "LEAST_GROWTH", "margins: the least step up", beside=1.0),
)


@contextmanager
def changed(constant: Constant, factor: float) -> Iterator[float]:
    """The constant times the factor, in all modules that have it; its value."""
    value = constant.times(factor)
    # Imported by name, it is the same object in each of them.
    before = getattr(sys.modules[constant.module], constant.name)
    holders = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(PACKAGES) and getattr(module, constant.name, None) is before
    ]
    for module in holders:
        setattr(module, constant.name, value)
    try:
        yield value
    finally:
        for module in holders:
            setattr(module, constant.name, before)


def scenario(load: str, noise: float, *, seed: int) -> Scenario:
    def trace(seed: int) -> Trace:
        curve = rate_curve(load)
        if AZURE.exists():
            return with_sizes_of(curve, read_trace(AZURE), seed=seed, noise=noise)
        return made_up(curve, request_sizes("1000x200", spread=0.6), seed=seed, noise=noise)

    return scenario_of(ReplayDay(trace), seed=seed)


def outcomes(scenarios: Sequence[Scenario]) -> list[PolicyOutcome]:
    return [medley(Replay(each, {})) for each in scenarios]


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME,...", help="these constants; default: all")
    args = parser.parse_args()
    started = time.process_time()
    scenarios = [scenario(load, noise, seed=args.seed) for load, noise in LOADS.values()]
    base = outcomes(scenarios)
    console = Console(width=190)
    console.print(f"as it is: {time.process_time() - started:.0f} s of CPU")
    rows: list[dict[str, Any]] = [{"constant": "as it is", "outcomes": [_figures(each) for each in base]}]
    asked = args.only.split(",") if args.only else [constant.name for constant in CONSTANTS]
    for constant in (each for each in CONSTANTS if each.name in asked):
        for factor in (0.5, 2.0):
            with changed(constant, factor) as value:
                found = outcomes(scenarios)
            row: dict[str, Any] = {"constant": constant.name, "what": constant.what, "value": value, "factor": factor}
            rows.append({**row, "outcomes": [_figures(each) for each in found]})
            console.print(f"{constant.name} = {value:g}: {_told(found, base)}", highlight=False)
    console.print(_table(rows))
    console.print(f"{time.process_time() - started:.0f} s of CPU")
    write_json(args.json, {"rows": rows})
    return 0


def _figures(outcome: PolicyOutcome) -> dict[str, float]:
    return {
        "cost": outcome.cost,
        "attainment_percent": 100 * outcome.attainment,
        "worst_hour_percent": 100 * outcome.worst_hour,
        "changes": outcome.changes,
    }


def _told(found: Sequence[PolicyOutcome], base: Sequence[PolicyOutcome]) -> str:
    cost = sum(each.cost for each in found) / sum(each.cost for each in base) - 1
    return f"{100 * cost:+.1f} % cost, {sum(each.changes for each in found)} changes"


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="cost, attainment (worst hour), changes by load")
    for heading in ("constant", "value", *LOADS):
        table.add_column(heading)
    base = rows[0]["outcomes"]
    for row in rows:
        cells = [
            f"{100 * (each['cost'] / reference['cost'] - 1):+.1f} %, {each['attainment_percent']:.2f} "
            f"({each['worst_hour_percent']:.1f}), {each['changes']}"
            for each, reference in zip(row["outcomes"], base, strict=True)
        ]
        table.add_row(row["constant"], f"{row['value']:g}" if "value" in row else "", *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
