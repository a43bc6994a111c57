"""The clock that planning keeps its deadlines by, and its type.

Whatever takes time has a `clock` argument with this default, so that tests and studies can bring their own. No other
module of the planner reads a clock (`tests/unit/repo/test_claims.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

__all__ = ["Clock", "monotonic"]

Clock = Callable[[], float]
"""Gives seconds that only rise."""
