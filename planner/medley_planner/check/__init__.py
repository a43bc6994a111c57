"""Is the plan true? Simulates the planned mix on the load it was made for, and corrects capacities that were wrong.

Values in, values out; seeds are fixed, so equal input gives equal answers. The clock is an argument.
"""

from medley_planner.check.attain import Attained, ReplicaLoad, Subject, attained, spec_of
from medley_planner.check.correct import FLOOR, capacity_factor
from medley_planner.check.memory import Checked, CheckMemory
from medley_planner.check.plan import CheckedPlan, plan_checked, with_capacity_factor
from medley_planner.check.sizes import demand_of_trace, demands_of_trace, engine_edges
from medley_planner.check.split import routed_fleet, served_loads

__all__ = [
    "FLOOR",
    "Attained",
    "CheckMemory",
    "Checked",
    "CheckedPlan",
    "ReplicaLoad",
    "Subject",
    "attained",
    "capacity_factor",
    "demand_of_trace",
    "demands_of_trace",
    "engine_edges",
    "plan_checked",
    "routed_fleet",
    "served_loads",
    "spec_of",
    "with_capacity_factor",
]
