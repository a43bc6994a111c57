"""The frozen values that enter and leave the planner.

Everything the optimiser needs stands in a `Problem`, everything it decides in a `Plan`. They know nothing of
Kubernetes, of Prometheus or of how a capacity was found, so that a plan can be made, checked and explained from values
alone. Rates are requests per second, money is US dollars per hour, shares are fractions of one.
"""

from medley_planner.model.demand import Bucket, Demand, SizeSource
from medley_planner.model.plan import (
    CheaperFleet,
    LimitKind,
    LimitUse,
    NodeCount,
    Plan,
    PlanStatus,
    PriorityShortage,
    ServicePlan,
    SingleType,
    Unserved,
    UnservedReason,
    VariantPlan,
)
from medley_planner.model.problem import (
    NodePrice,
    Pool,
    PowerBudget,
    Priority,
    Problem,
    Provenance,
    Quota,
    Service,
    Variant,
)
from medley_planner.model.routing import RoutingMode, Sees

__all__ = [
    "Bucket",
    "CheaperFleet",
    "Demand",
    "LimitKind",
    "LimitUse",
    "NodeCount",
    "NodePrice",
    "Plan",
    "PlanStatus",
    "Pool",
    "PowerBudget",
    "Priority",
    "PriorityShortage",
    "Problem",
    "Provenance",
    "Quota",
    "RoutingMode",
    "Sees",
    "Service",
    "ServicePlan",
    "SingleType",
    "SizeSource",
    "Unserved",
    "UnservedReason",
    "Variant",
    "VariantPlan",
]
