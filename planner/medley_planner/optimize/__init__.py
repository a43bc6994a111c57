"""From demand and capacity to replicas and shares: the cheapest plan with its proof, and the check of it.

Values in, values out. Only `mip.py` touches the solver (and imports it when first used, as that takes half a second),
only `decompose.py` reads a clock (to keep the deadline and to report how long planning took).
"""

from medley_planner.optimize.decompose import plan
from medley_planner.optimize.validate.problem import InvalidProblem, split_valid
from medley_planner.optimize.verify import Rule, Violation, verify

__all__ = ["InvalidProblem", "Rule", "Violation", "plan", "split_valid", "verify"]
