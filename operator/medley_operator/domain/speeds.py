"""How fast each engine is known to run beyond the data sheet, from all that tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.domain.snapshot import Snapshot
from medley_planner.capacity import EngineKey, Speed


def known_speeds(snapshot: Snapshot) -> Mapping[EngineKey, Speed]:
    """By model, GPU, degree, precision and engine version; what is not in it is estimated from the data sheet."""
    return snapshot.calibrated
