"""The capacity of one replica: memory fit, time of an engine step, and the largest rate within the latency targets."""

from medley_planner.capacity.batch import Table
from medley_planner.capacity.closed_form import max_rate_rps
from medley_planner.capacity.grid_ratios import CapacityBasis, GridRatios
from medley_planner.capacity.memory import MemoryFit, memory_fit
from medley_planner.capacity.row import CapacityRow, capacity_rows
from medley_planner.capacity.speed import DERATE, DERATES, ESTIMATE, Derates, EngineKey, Speed, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.capacity.table_key import LatencyTargets, TableGroup, TableKey

__all__ = [
    "DERATE",
    "DERATES",
    "ESTIMATE",
    "CapacityBasis",
    "CapacityRow",
    "Derates",
    "EngineKey",
    "GridRatios",
    "LatencyTargets",
    "MemoryFit",
    "Speed",
    "StepFactors",
    "StepTime",
    "Table",
    "TableGroup",
    "TableKey",
    "capacity_rows",
    "max_rate_rps",
    "memory_fit",
]
