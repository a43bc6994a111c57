"""Fleets of many services that share stock: configurations of one service as columns, chosen together (see `solve`).

It gives back what the joint program does: answers and a bound.
"""

from medley_planner.optimize.columns.servable import servable
from medley_planner.optimize.columns.service_arrays import minima_fit, special
from medley_planner.optimize.columns.solve import relaxed_prices, solve_columns

__all__ = ["minima_fit", "relaxed_prices", "servable", "solve_columns", "special"]
