"""The answer of planning: a checked and verified plan with what was found out beside it, or why there is none.

Values only. Apart from `planning`, so that a process can hold plans without loading the optimiser that makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from medley_planner.check import Checked
from medley_planner.model import LimitUse, Plan, RoutingMode
from medley_planner.refusal import Refusal

INVALID_SPEC = "InvalidSpec"
"""The reason of a `Refusal` of a service that no plan can be made from."""
PLAN_REJECTED = "PlanRejected"
"""The reason of a `PlanFailure` where the verifier refuses the plan, and of a `Refusal` where it refuses that of one
service."""


@dataclass(frozen=True, slots=True)
class PlanFailure:
    """There is no plan: `reason` is stable (SolverTimeout, SolverCrashed, PlanRejected)."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RoutingSaving:
    """The gain of one service with the next better routing mode, all others as they are planned.

    `saving_per_hour` is 0 where nothing is saved or where the better mode serves more (`more_served_rps`), which costs
    what it costs.
    """

    service: str
    mode: RoutingMode
    next_mode: RoutingMode
    saving_per_hour: float = 0.0
    more_served_rps: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetPlan(Plan):
    """A plan with what was found out beside it, by the service's name in the problem.

    `routing_savings`: of the services that a better routing mode makes cheaper. `refused`: why a service is left out of
    the plan: it is malformed, or the verifier refuses what is planned for it. `token_costs`: US dollars per million
    tokens that are planned. `binding`: the limits that leave no room for one more replica of the service. `checked`:
    what simulation says of the plan, without services that were not reached. `capacity_factors`: what the capacities of
    the problem were multiplied by for this plan, by service and variant; 1 where one is not in it.
    """

    routing_savings: Mapping[str, RoutingSaving] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    token_costs: Mapping[str, float] = field(default_factory=dict)
    binding: Mapping[str, tuple[LimitUse, ...]] = field(default_factory=dict)
    checked: Mapping[str, Checked] = field(default_factory=dict)
    capacity_factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: Plan,
        *,
        routing_savings: Mapping[str, RoutingSaving] | None = None,
        refused: Mapping[str, Refusal] | None = None,
        token_costs: Mapping[str, float] | None = None,
        binding: Mapping[str, tuple[LimitUse, ...]] | None = None,
        checked: Mapping[str, Checked] | None = None,
        capacity_factors: Mapping[str, Mapping[str, float]] | None = None,
    ) -> FleetPlan:
        """`plan` with the figures beside it; what is left out is empty."""
        values = {part.name: getattr(plan, part.name) for part in fields(Plan)}
        return cls(
            **values,
            routing_savings=routing_savings or {},
            refused=refused or {},
            token_costs=token_costs or {},
            binding=binding or {},
            checked=checked or {},
            capacity_factors=capacity_factors or {},
        )


PlanOrFailure = Plan | PlanFailure
"""The plan may be a `FleetPlan`."""
