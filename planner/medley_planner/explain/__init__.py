"""Why a plan is as it is: limits and their prices, costs per token, alternatives, what to give way, what changed.

Values in, values out: reads `Problem` and `Plan` and asks the planner what-if questions within a time limit. Decides
nothing that runs. Only `whatif.py` calls the planner (`tests/unit/repo/test_claims.py`).
"""

from medley_planner.explain.binding import binding_limits
from medley_planner.explain.demand import TokenFigures, token_figures
from medley_planner.explain.fleet import explain
from medley_planner.explain.routing import routing_saving, routing_savings
from medley_planner.explain.values import (
    Change,
    ChangeKind,
    CostCause,
    Explanation,
    LimitExplanation,
    OwnLimit,
    PlanChange,
    PriceComparison,
    PriceSource,
    Relaxation,
    RelaxationKind,
    RelaxationResult,
    ReplicaChange,
    ServiceExplanation,
    SingleFleet,
    UnmetDemand,
)

__all__ = [
    "Change",
    "ChangeKind",
    "CostCause",
    "Explanation",
    "LimitExplanation",
    "OwnLimit",
    "PlanChange",
    "PriceComparison",
    "PriceSource",
    "Relaxation",
    "RelaxationKind",
    "RelaxationResult",
    "ReplicaChange",
    "ServiceExplanation",
    "SingleFleet",
    "TokenFigures",
    "UnmetDemand",
    "binding_limits",
    "explain",
    "routing_saving",
    "routing_savings",
    "token_figures",
]
