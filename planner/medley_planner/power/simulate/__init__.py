"""A simulated row of servers under the capping policy: brakes, slowdown, energy. Pure; docs/power.md."""

from medley_planner.power.simulate.control import Control, OnLoss
from medley_planner.power.simulate.week import PLANNED_SERVERS, RowOutcome, Slowdown, planned_watts, simulate_row

__all__ = ["PLANNED_SERVERS", "Control", "OnLoss", "RowOutcome", "Slowdown", "planned_watts", "simulate_row"]
