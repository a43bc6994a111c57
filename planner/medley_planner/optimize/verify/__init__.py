"""An independent check of a plan against its problem, before anything is done with it.

Imports the model and nothing else of the planner, and recomputes everything from the problem's own figures: a mistake
in the formulation must not be able to vouch for itself.
"""

from medley_planner.optimize.verify.check import verify
from medley_planner.optimize.verify.rules import TOLERANCE, Rule, Violation

__all__ = ["TOLERANCE", "Rule", "Violation", "verify"]
