"""Fleets of many services that share stock: configurations of one service as columns, chosen together (see `solve`).

Only `many.py` uses this; what it gives back are the same answers and bound that the joint program gives.
"""

from medley_planner.optimize.columns.fleet import minima_fit
from medley_planner.optimize.columns.solve import solve_columns

__all__ = ["minima_fit", "solve_columns"]
