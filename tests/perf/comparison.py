"""Plans of single services beside the baselines: cost and CPU time, by family of instances and slice factor.

`plan` and the baselines run in this process, one after the other, so that the ratios are of the same machine under the
same load. CPU time is taken and not wall time.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from medley_planner.cli.instance import parse_instance
from medley_planner.model import PlanStatus, Problem, Service
from medley_planner.optimize import plan, verify
from tests.compare.instance_document import bare
from tests.perf.baselines.simple import cheapest_single, rounded_relaxation
from tests.perf.baselines.slice_ilp import SliceAnswer, cost_of, solve_slices
from tests.perf.cpu import CpuClock
from tests.perf.inputs import SHARED

SLICE_FACTORS = (1, 4, 8)
HARD_CPU_SECONDS = 20.0
HARD_TARGET_CPU_SECONDS = 2.0
CPU_RATIO_TARGET = 10.0
COST_TOLERANCE = 1e-5
"""The relative gap that `plan` proves by default: a plan may be dearer than the optimum by as much."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One instance: the plan's cost and CPU time, and what the baselines gave (None: no answer at all)."""

    family: str
    name: str
    cost_per_hour: float
    cpu_seconds: float
    slices: Mapping[int, SliceAnswer]
    rounded_per_hour: float | None
    single_per_hour: float | None

    def dearer(self) -> Iterator[str]:
        """The baselines that are cheaper than the plan, with both costs."""
        others: list[tuple[str, float | None]] = [
            (f"slice factor {factor}", answer.cost_per_hour) for factor, answer in self.slices.items()
        ]
        others += [("per-type rounding", self.rounded_per_hour), ("best single type", self.single_per_hour)]
        for what, cost in others:
            if cost is not None and self.cost_per_hour > cost * (1 + COST_TOLERANCE):
                yield f"${self.cost_per_hour:.4f}/h, {what} ${cost:.4f}/h"

    def figures(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "name": self.name,
            "cost_per_hour": self.cost_per_hour,
            "cpu_seconds": self.cpu_seconds,
            "rounded_per_hour": self.rounded_per_hour,
            "single_per_hour": self.single_per_hour,
            "slices": {
                str(factor): {
                    "cost_per_hour": answer.cost_per_hour if answer.replicas is not None else None,
                    "proven": answer.proven,
                    "cpu_seconds": answer.cpu_seconds,
                    "solver_cpu_seconds": answer.solver_cpu_seconds,
                }
                for factor, answer in self.slices.items()
            },
        }


def shared_instances() -> list[Problem]:
    """The instances with proven optima, where their file is; elsewhere none."""
    path = SHARED / "plan_instances.json"
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    return [parse_instance(bare(instance)).problem for instance in document["instances"]]


def compare(family: str, problems: Sequence[Problem], limit_cpu_seconds: float) -> Iterator[Compared]:
    for place, problem in enumerate(problems):
        (service,) = problem.services
        clock = CpuClock()
        made = plan(problem)
        cpu_seconds = clock.seconds()
        broken = verify(problem, made)
        if broken or made.status not in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE):
            raise SystemExit(f"{family} {place}: status {made.status}, {broken}")
        yield Compared(
            family,
            f"{place} ({service.demand.rate_rps:.1f} requests/s)",
            made.cost_per_hour,
            cpu_seconds,
            {
                factor: solve_slices(service, slice_factor=factor, limit_cpu_seconds=limit_cpu_seconds)
                for factor in SLICE_FACTORS
            },
            _cost(service, rounded_relaxation(service)),
            _cost(service, cheapest_single(service)),
        )


def comparison_table(compared: Sequence[Compared], limit_cpu_seconds: float) -> Table:
    table = Table(
        title="Cost and CPU time of others / of the plan; router sees sizes, no headroom. "
        f"CBC gets {limit_cpu_seconds:.0f} CPU s a program; target: median CPU at factor 8 >= {CPU_RATIO_TARGET:.0f} x"
    )
    for heading in (
        "instances",
        "baseline",
        "cost: median",
        "worst",
        "CPU: median",
        "CBC alone",
        "worst",
        "not proven",
    ):
        table.add_column(heading)
    for family in dict.fromkeys(one.family for one in compared):
        group = [one for one in compared if one.family == family]
        _add_rows(table, f"{family} ({len(group)})", group)
    _add_rows(table, f"all ({len(compared)})", compared)
    return table


def _add_rows(table: Table, name: str, group: Sequence[Compared]) -> None:
    for factor in SLICE_FACTORS:
        answers = [(one, one.slices[factor]) for one in group]
        whole = [answer.cpu_seconds / one.cpu_seconds for one, answer in answers]
        alone = [answer.solver_cpu_seconds / one.cpu_seconds for one, answer in answers]
        table.add_row(
            name,
            f"slices x {factor}",
            *_costs([answer.cost_per_hour / one.cost_per_hour for one, answer in answers]),
            f"{statistics.median(whole):.1f} x",
            f"{statistics.median(alone):.1f} x",
            f"{max(whole):.0f} x",
            str(sum(not answer.proven for _, answer in answers)),
        )
    for baseline, costs in (
        ("per-type rounding", [_ratio(one.rounded_per_hour, one) for one in group]),
        ("best single type", [_ratio(one.single_per_hour, one) for one in group]),
    ):
        table.add_row(name, baseline, *_costs(costs), "-", "-", "-", "-")
    table.add_section()


def hard_instances(compared: Sequence[Compared]) -> Iterator[str]:
    """The instances that take the slice program long, with both CPU times."""
    hard, target = f"{HARD_CPU_SECONDS:.0f} CPU s", f"< {HARD_TARGET_CPU_SECONDS:.0f} CPU s"
    yield f"Where the slice program takes more than {hard} (target of the plan: {target}):"
    for one in compared:
        for factor, answer in one.slices.items():
            if answer.cpu_seconds > HARD_CPU_SECONDS:
                state = "" if answer.proven else ", stopped without proof"
                yield (
                    f"  {one.family}, {one.name}, slice factor {factor}: {answer.cpu_seconds:.1f} CPU s{state}; "
                    f"plan {one.cpu_seconds:.2f} CPU s"
                )


def _costs(ratios: Sequence[float]) -> tuple[str, str]:
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not known:
        return "-", "-"
    missing = len(ratios) - len(known)
    return f"{statistics.median(known):.3f}", f"{max(known):.3f}" + (f" ({missing} without)" if missing else "")


def _ratio(cost: float | None, one: Compared) -> float:
    return math.inf if cost is None else cost / one.cost_per_hour


def _cost(service: Service, replicas: Mapping[str, int] | None) -> float | None:
    return None if replicas is None else cost_of(service, replicas)
