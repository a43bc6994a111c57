"""The options of commands that plan for the lowest cost or for the fewest watts, and what reports say of the latter."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from medley_planner.by_watts import Objective, in_dollars, priced_by_watts
from medley_planner.cli.arguments import BadOption
from medley_planner.cli.figures import rounded
from medley_planner.fleet_plan import FleetPlan
from medley_planner.model import Problem


def add_objective_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--objective",
        choices=[objective.value for objective in Objective],
        default=Objective.COST.value,
        help="what the plan has the least of; default: cost",
    )
    parser.add_argument(
        "--max-cost-per-hour",
        metavar="DOLLARS",
        type=float,
        help="with --objective watts: most US dollars per hour that the plan may cost",
    )


class ObjectivePlanner:
    """Plans as the options say. `figures` is what a report has beside the plan, and is empty for plans by cost.

    Raises `BadOption` for options that do not go together.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._by_watts = args.objective == Objective.WATTS
        self._most = math.inf if args.max_cost_per_hour is None else args.max_cost_per_hour
        self.figures: dict[str, Any] = {}
        if args.max_cost_per_hour is not None and not self._by_watts:
            way_out = "give it with --objective watts, or limit services and quotas in the input"
            raise BadOption("", "--max-cost-per-hour", args.max_cost_per_hour, way_out)

    def __call__(self, problem: Problem, plan: Callable[[Problem], FleetPlan]) -> FleetPlan:
        """The plan in US dollars. Raises `BadInput` where the problem has limits that a plan by watts cannot hold."""
        if not self._by_watts:
            return plan(problem)
        found = in_dollars(problem, plan(priced_by_watts(problem, max_cost_per_hour=self._most)))
        self.figures = {
            "objective": Objective.WATTS.value,
            "watts": rounded(found.watts),
            "watts_lower_bound": rounded(found.watts_bound),
        }
        return found.plan


def watts_proof(report: dict[str, Any]) -> str:
    """The result of a plan by watts in words."""
    bound = f"the proven bound is {report['watts_lower_bound']:.0f} W"
    return f"{report['watts']:.0f} W at ${report['cost_per_hour']:.2f}/h, {bound}"
