"""Is the plan true? Simulates the planned mix on the load it was made for, and corrects capacities that were wrong.

Values in, values out; seeds are fixed, so equal input gives equal answers. The clock is an argument.
"""

from medley_planner.check.attain import Attained, Served, Subject, attained
from medley_planner.check.correct import FLOOR, capacity_factor
from medley_planner.check.memory import Checked, CheckMemory, Factors
from medley_planner.check.plan import CheckedPlan, corrected, judge, plan_checked, with_capacity_factor
from medley_planner.check.sizes import demand_of_trace, engine_edges
from medley_planner.check.split import routed_fleet, served_loads
from medley_planner.check.spread import parts_of

__all__ = [
    "FLOOR",
    "Attained",
    "CheckMemory",
    "Checked",
    "CheckedPlan",
    "Factors",
    "Served",
    "Subject",
    "attained",
    "capacity_factor",
    "corrected",
    "demand_of_trace",
    "engine_edges",
    "judge",
    "parts_of",
    "plan_checked",
    "routed_fleet",
    "served_loads",
    "with_capacity_factor",
]
