"""How fast each engine is known to run beyond the data sheet, from all that tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.domain.profile_judgement import Judgement, Known
from medley_operator.domain.snapshot import Snapshot
from medley_planner.capacity import DERATE, DERATES, Derates, EngineKey, Speed
from medley_planner.model import Provenance


def known_speeds(
    snapshot: Snapshot, profiles: Sequence[Judgement] = (), derates: Derates = DERATES
) -> Mapping[EngineKey, Speed]:
    """By model, GPU, degree, precision and engine version; what is not in it is estimated from the data sheet.

    A measured profile goes before what is calibrated from counters. A calibration that is derated by more than the
    default, since it is less sure, stays so in proportion.
    """
    share = derates.calibrated / DERATE[Provenance.CALIBRATED]
    speeds = {key: replace(speed, derate=min(speed.derate * share, 1.0)) for key, speed in snapshot.calibrated.items()}
    for judged in profiles:
        if judged.counts and isinstance(judged.known, Known):
            speeds[judged.known.key] = judged.known.speed
    return speeds
