"""Fleets over time: what a row of fleets is billed, and the cheapest row where the whole load is known beforehand.

Replicas are billed from their creation to their end: while they start, beside those that still serve, and while they
drain. This is the measure of decisions that see the load only as it comes. Pure.
"""

from medley_planner.over_time.billing import Schedule, Stretch, billed
from medley_planner.over_time.clairvoyant import cheapest_schedule
from medley_planner.over_time.reach import within_reach

__all__ = ["Schedule", "Stretch", "billed", "cheapest_schedule", "within_reach"]
