"""`make bench-forecast`: how well a rate is forecast at the lead times of starting engines, and what the margin costs.

Beside each other on two weeks of two production services (ServeGen, 10-minute means): the last value, damped Holt,
Medley's choice between them, as the operator makes it, without and with seasons, and the value of 24 hours before. Two
made-up services follow, whose days are alike: a diurnal curve with noise of 8 %, and the same with a burst at 9:00. All
get the same conformal margin over the same two days; the last value with a fixed headroom of 10 % stands beside them.
The first two days are history and are not judged; nor are gaps without traffic. A second table shows what the operator
makes of it: the rates that it plans for, which do not follow each forecast down, and how often it plans anew. Reads
../shared/data/servegen_language_m_*_rate10min.csv (or $MEDLEY_SHARED_DATA).
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.planned_rate import RECONCILE_SECONDS
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.workload.conformal import Floats, margin_at, scores, with_margin
from medley_planner.workload.forecast import Forecaster
from medley_planner.workload.past_errors import HALF_LIFE_SECONDS, Method
from medley_planner.workload.season import Season
from tests.perf.inputs import SHARED
from tests.perf.report import parser_of, write_json

SERVICES = ("large", "mid")
MADE_UP = ("diurnal", "bursts")
BIN_SECONDS = 600
HISTORY_BINS = 288
DAY_BINS = 144
SEASON_BINS = 36
LEADS_MINUTES = (10, 20, 30)
QUANTILE = 0.95
FIXED_HEADROOM = 1.1

PLAN_QUANTILES = (None, 90, 95)
"""Percent; None: mode Off."""

Upper = tuple[float, float]
"""The forecast without and with its margin, in requests per second."""


@dataclass(frozen=True, slots=True)
class Row:
    """Parts of the traffic that really came, but for `covered`, a part of the forecasts."""

    service: str
    lead_minutes: int
    method: str
    forecasts: int
    wape: float
    """Sum of |forecast - actual| over the sum of actual rates."""
    provisioned: float
    """Sum of what is planned for, margin included, over the same."""
    covered: float
    """Part of the forecasts whose margin was enough."""
    unmet: float
    """Sum of what came above what was planned for, over the same."""
    microseconds: float
    """CPU time of one forecast."""


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--quantile", type=float, default=QUANTILE)
    args = parser.parse_args()
    missing = [name for name in SERVICES if not _path(name).exists()]
    if missing:
        print(f"no {_path(missing[0])}: set MEDLEY_SHARED_DATA to the folder that holds it", file=sys.stderr)
        return 1
    rows = [
        row
        for name in (*SERVICES, *MADE_UP)
        for minutes in LEADS_MINUTES
        for row in rows_of(name, read(name), minutes, quantile=args.quantile)
    ]
    plans = [row for name in SERVICES for minutes in LEADS_MINUTES for row in plan_rows_of(name, read(name), minutes)]
    console = Console(width=130)
    console.print(table_of(rows, args.quantile))
    console.print(plan_table_of(plans))
    write_json(args.json, {"forecast": [asdict(row) for row in rows], "planned_for": [asdict(plan) for plan in plans]})
    return 0


def _path(name: str) -> Path:
    return SHARED / f"servegen_language_m_{name}_rate10min.csv"


def read(name: str) -> Floats:
    if name in MADE_UP:
        return made_up(bursts=name == "bursts")
    with _path(name).open(encoding="utf-8") as file:
        return np.array([float(row["requests_per_second"]) for row in csv.DictReader(file)])


def made_up(*, bursts: bool) -> Floats:
    """Ten days of a curve from 2.4 to 15 req/s with noise that stays alike from one bin to the next."""
    bins = np.arange(10 * DAY_BINS)
    drawn = np.random.default_rng(0).standard_normal(len(bins))
    noise = np.zeros(len(bins))
    for place in range(1, len(bins)):
        noise[place] = 0.8 * noise[place - 1] + 0.6 * drawn[place - 1]
    curve = 6.0 * np.exp(0.9 * np.cos(2 * np.pi * (bins / DAY_BINS - 0.6)) + 0.08 * noise)
    inside = (bins % DAY_BINS >= 54) & (bins % DAY_BINS < 60)
    return np.asarray(np.where(inside & bursts, 3.0 * curve, curve))


def rows_of(name: str, rates: Floats, minutes: int, *, quantile: float) -> list[Row]:
    lead = minutes * 60 // BIN_SECONDS
    methods: dict[str, Callable[[], list[Upper | None]]] = {
        "last value": lambda: forecasts(rates, lead, quantile, Method.LAST),
        "damped Holt": lambda: forecasts(rates, lead, quantile, Method.TREND),
        "Medley: the better so far": lambda: forecasts(rates, lead, quantile, Method.BETTER),
        "Medley with seasons": lambda: forecasts(rates, lead, quantile, Method.BETTER, seasons=True),
        "24 h before": lambda: seasonal(rates, lead, quantile),
        "last value + 10 %": lambda: [(float(rate), FIXED_HEADROOM * float(rate)) for rate in rates],
    }
    rows = []
    for method, make in methods.items():
        started = time.process_time()
        made = make()
        seconds = time.process_time() - started
        rows.append(judged(name, minutes, method, rates, lead, made, seconds))
    return rows


def forecasts(
    rates: Floats, lead: int, quantile: float, method: Method, *, seasons: bool = False
) -> list[Upper | None]:
    """Forecasts by the bin that each is made in. `seasons`: with all days before, read anew every six hours."""
    forecaster = Forecaster(spacing_seconds=BIN_SECONDS, max_samples=HISTORY_BINS)
    made: list[Upper | None] = []
    for place, rate in enumerate(rates):
        forecaster = forecaster.update(place * BIN_SECONDS, float(rate))
        if seasons and place % SEASON_BINS == 0:
            past = [(at * BIN_SECONDS, float(each)) for at, each in enumerate(rates[: place + 1])]
            forecaster = replace(forecaster, season=Season.of(past))
        found = forecaster.forecast(lead * BIN_SECONDS, quantile=quantile, method=method)
        made.append((found.mean_rps, found.upper_rps) if found is not None else None)
    return made


def seasonal(rates: Floats, lead: int, quantile: float) -> list[Upper | None]:
    """The rate of the target's time a day before; its score there is known as soon as a target has come."""
    made: list[Upper | None] = []
    for place in range(len(rates)):
        target = place + lead
        past = np.arange(max(DAY_BINS, place - HISTORY_BINS + 1), place + 1)
        past = past[(rates[past] > 0) & (rates[past - DAY_BINS] > 0)]
        if target < DAY_BINS or len(past) < DAY_BINS // 2:
            made.append(None)
            continue
        usual = float(rates[past].mean())
        weights = 0.5 ** ((place - past) * BIN_SECONDS / HALF_LIFE_SECONDS)
        margin = margin_at(quantile, scores(rates[past], rates[past - DAY_BINS], usual_rps=usual), weights)
        mean = float(rates[target - DAY_BINS])
        made.append((mean, with_margin(mean, margin, usual_rps=usual)))
    return made


@dataclass(frozen=True, slots=True)
class PlanRow:
    """As in `Row`, of the rates that the operator plans for; `changes_a_day`: how often that is another rate."""

    service: str
    lead_minutes: int
    mode: str
    provisioned: float
    covered: float
    unmet: float
    changes_a_day: float


def plan_rows_of(name: str, rates: Floats, minutes: int) -> list[PlanRow]:
    lead = minutes * 60 // BIN_SECONDS
    rows = []
    for percent in PLAN_QUANTILES:
        made = planned(rates, minutes, percent)
        mode = "Off: as measured" if percent is None else f"Auto, {percent} %"
        row = judged(name, minutes, mode, rates, lead, [(rate, rate) for rate in made], 0.0)
        changes = sum(a != b for a, b in pairwise(made[HISTORY_BINS:]))
        days = (len(made) - HISTORY_BINS) / DAY_BINS
        rows.append(PlanRow(name, minutes, mode, row.provisioned, row.covered, row.unmet, changes / days))
    return rows


def planned(rates: Floats, minutes: int, percent: int | None) -> list[float]:
    """The rate by bin that a service of few request sizes is planned for, one round in each."""
    wanted = {"mode": "Off"} if percent is None else {"quantilePercent": percent}
    service = LLMService.model_validate(
        {
            "metadata": {"name": "bench", "namespace": "bench"},
            "spec": {"model": {"uri": "hf://bench/model"}, "scaling": {"forecast": wanted}},
        }
    )
    memory = ServiceMemory(uid="", forecaster=Forecaster(spacing_seconds=BIN_SECONDS, max_samples=HISTORY_BINS))
    made = []
    for place, rate in enumerate(rates):
        demand = Demand(float(rate), (Bucket(500.0, 150.0),), (1.0,), SizeSource.INDEPENDENT)
        choice = choose_demand(
            service,
            Observation(reason=MetricsReason.FOUND, demand=demand, samples=1e6),
            memory=memory,
            has_plan=True,
            at_seconds=float(place * BIN_SECONDS),
            lead_seconds=minutes * 60 - RECONCILE_SECONDS,
        )
        memory = ServiceMemory(
            uid="",
            demand=choice.demand,
            had_metrics=choice.had_metrics,
            drifting_since=choice.drifting_since,
            falling_since=choice.falling_since,
            forecaster=choice.forecaster,
        )
        made.append(choice.demand.rate_rps)
    return made


def plan_table_of(rows: Sequence[PlanRow]) -> Table:
    table = Table(title="rates that the operator plans for (before spec.scaling.headroomPercent)")
    for heading in ("service", "lead", "forecast", "planned / actual", "covered", "unmet", "changes a day"):
        table.add_column(heading)
    for place, row in enumerate(rows):
        table.add_row(
            row.service,
            f"{row.lead_minutes} min",
            row.mode,
            f"x{row.provisioned:.2f}",
            f"{row.covered:.1%}",
            f"{row.unmet:.2%}",
            f"{row.changes_a_day:.1f}",
        )
        if place + 1 < len(rows) and rows[place + 1].lead_minutes != row.lead_minutes:
            table.add_section()
    return table


def judged(
    name: str, minutes: int, method: str, rates: Floats, lead: int, made: Sequence[Upper | None], seconds: float
) -> Row:
    pairs = [
        (float(rates[place + lead]), upper)
        for place, upper in enumerate(made[:-lead])
        if place >= HISTORY_BINS and rates[place] > 0 and rates[place + lead] > 0 and upper is not None
    ]
    total = sum(actual for actual, _ in pairs)
    return Row(
        service=name,
        lead_minutes=minutes,
        method=method,
        forecasts=len(pairs),
        wape=sum(abs(actual - mean) for actual, (mean, _) in pairs) / total,
        provisioned=sum(upper for _, (_, upper) in pairs) / total,
        covered=sum(actual <= upper for actual, (_, upper) in pairs) / len(pairs),
        unmet=sum(max(0.0, actual - upper) for actual, (_, upper) in pairs) / total,
        microseconds=1e6 * seconds / len(made),
    )


def table_of(rows: Sequence[Row], quantile: float) -> Table:
    table = Table(title=f"two production services (12 days judged) and two made up (8), margin at {quantile:.0%}")
    for heading in (
        "service",
        "lead",
        "method",
        "forecasts",
        "WAPE",
        "planned / actual",
        "covered",
        "unmet",
        "us each",
    ):
        table.add_column(heading)
    for place, row in enumerate(rows):
        table.add_row(
            row.service,
            f"{row.lead_minutes} min",
            row.method,
            str(row.forecasts),
            f"{row.wape:.1%}",
            f"x{row.provisioned:.2f}",
            f"{row.covered:.1%}",
            f"{row.unmet:.2%}",
            f"{row.microseconds:.0f}",
        )
        if place + 1 < len(rows) and rows[place + 1].lead_minutes != row.lead_minutes:
            table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
