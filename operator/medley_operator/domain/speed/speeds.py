"""The known speed of each engine beyond the data sheet, from all sources. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from medley_operator.domain.firewall import Firewall
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.snapshot import ObjectKey, Snapshot
from medley_planner.capacity import DERATE, DERATES, Derates, EngineKey, Speed
from medley_planner.capacity.calibration_record import MOST_FACTOR
from medley_planner.capacity.fit import LEAST_FACTOR
from medley_planner.capacity.speed import PARTS
from medley_planner.model import Provenance


def known_speeds(
    snapshot: Snapshot,
    profiles: Sequence[Judgement] = (),
    derates: Derates = DERATES,
    wall: Firewall | None = None,
) -> Mapping[EngineKey, Speed]:
    """Speeds by model and layout, in a stable order; what is missing is estimated from the data sheet.

    A measured profile goes before what is calibrated from counters, but what a running engine says of its own cache
    counts in any case. A calibration that is derated by more than the default, since it is less sure, stays so in
    proportion. A calibration that raises counts for nothing; `wall` takes note.
    """
    wall = wall or Firewall()
    calibrated: dict[EngineKey, Speed] = {}
    speeds: dict[EngineKey, Speed] = {}
    for key, speed in snapshot.calibrated.items():
        about = ObjectKey(kind="Calibration", namespace="", name=key.model)
        derated = wall.guard(about, partial(_believed, speed, derates))
        if isinstance(derated, Speed):
            calibrated[key], speeds[key] = speed, derated
    for judged in profiles:
        if judged.counts and isinstance(judged.known, Known):
            key, speed = judged.known.key, judged.known.speed
            running = calibrated.get(key, speed)
            speeds[key] = replace(speed, kv_tokens=running.kv_tokens or speed.kv_tokens)
    return {key: speeds[key] for key in sorted(speeds)}


def _believed(speed: Speed, derates: Derates) -> Speed | None:
    return _derated(speed, derates) if believable(speed) else None


def believable(speed: Speed) -> bool:
    """Whether the factors are within what measurements can give: else the estimate is closer."""
    told = (getattr(speed.factors, part) for part in PARTS)
    return 0.0 < speed.derate <= 1.0 and all(LEAST_FACTOR <= factor <= MOST_FACTOR for factor in told)


def _derated(speed: Speed, derates: Derates) -> Speed:
    """Derates as configured. Engines that run but are not calibrated yet give their cache size alone."""
    if speed.provenance is not Provenance.CALIBRATED:
        return replace(speed, derate=derates.estimated)
    share = derates.calibrated / DERATE[Provenance.CALIBRATED]
    return replace(speed, derate=min(speed.derate * share, 1.0))
