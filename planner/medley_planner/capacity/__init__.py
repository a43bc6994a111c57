"""The capacity of one replica: memory fit, time of an engine step, and the largest rate within the latency targets.

What works on arrays is loaded when it is first used, so that a process that only holds values never loads numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medley_planner.capacity.closed_form import max_rate_rps
from medley_planner.capacity.memory import MemoryFit, memory_fit
from medley_planner.capacity.speed import DERATE, DERATES, ESTIMATE, Derates, EngineKey, Speed, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.capacity.table_key import LatencyTargets, TableGroup, TableKey

if TYPE_CHECKING:
    from medley_planner.capacity.batch import Table
    from medley_planner.capacity.grid_ratios import CapacityBasis, GridRatios
    from medley_planner.capacity.row import CapacityRow, capacity_rows

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

_ON_ARRAYS = {
    "Table": "batch",
    "CapacityBasis": "grid_ratios",
    "GridRatios": "grid_ratios",
    "CapacityRow": "row",
    "capacity_rows": "row",
}
"""Modules by name."""

if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> Any:
        """Loads a name when it is first used (PEP 562)."""
        if name not in _ON_ARRAYS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"{__name__}.{_ON_ARRAYS[name]}"), name)
        return globals()[name]
