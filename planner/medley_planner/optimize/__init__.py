"""From demand and capacity to replicas and shares: the cheapest plan with its proof, and the check of it.

Values in, values out, but for the clock that keeps the deadline. Only `program/mip.py` imports the solver (an import
contract), and only when it is first used, as that takes half a second.
"""

from medley_planner.optimize.decompose import plan
from medley_planner.optimize.validate.problem import InvalidProblem, split_valid
from medley_planner.optimize.verify import Rule, Violation, verify

__all__ = ["InvalidProblem", "Rule", "Violation", "plan", "split_valid", "verify"]
