"""The known speed of each engine beyond the data sheet, from all sources, and who believes which of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.engine.arguments import speed_digest, user_flags
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.snapshot import ObjectKey, Snapshot
from medley_planner.capacity import DERATE, DERATES, Derates, EngineKey, Speed
from medley_planner.capacity.calibration_record import MOST_FACTOR
from medley_planner.capacity.fit import LEAST_FACTOR
from medley_planner.capacity.speed import PARTS
from medley_planner.model import Provenance

FEWEST_AGREEING = 2
"""Namespaces whose engines must agree before others plan with what they report."""
NEAR = 1.25
"""Speeds that differ by no more than this factor agree."""


@dataclass(frozen=True, slots=True)
class KnownSpeeds:
    """All knowledge of engines. `calibrated`: from counters, by arguments, engine and namespace; `measured`: profiles,
    which everybody believes."""

    calibrated: Mapping[str, Mapping[EngineKey, Mapping[str, Speed]]]
    measured: Mapping[EngineKey, Speed]

    def of_service(self, service: LLMService, profiles: Sequence[RuntimeProfile]) -> Mapping[EngineKey, Speed]:
        """Those that hold for the arguments that its engines will have."""
        name = service.spec.runtime.profile_ref
        profile = next((profile for profile in profiles if profile.metadata.name == name), None)
        if profile is None:
            return {}
        return self.of(service.metadata.namespace, speed_digest(user_flags(service, profile), profile.spec.engine))

    def of(self, namespace: str, arguments: str) -> Mapping[EngineKey, Speed]:
        """Speeds by model and layout, in a stable order, for a namespace whose engines have these further arguments;
        what is missing is estimated from the data sheet.

        A measured profile goes before what is calibrated from counters, but what a running engine says of its own cache
        counts in any case.
        """
        found: dict[EngineKey, Speed] = {}
        for engine, by_namespace in self.calibrated.get(arguments, {}).items():
            speed = _believed(by_namespace, namespace)
            if speed is not None:
                found[engine] = speed
        for engine, speed in self.measured.items():
            found[engine] = replace(speed, kv_tokens=found.get(engine, speed).kv_tokens or speed.kv_tokens)
        return {engine: found[engine] for engine in sorted(found)}


def known_speeds(
    snapshot: Snapshot,
    profiles: Sequence[Judgement] = (),
    derates: Derates = DERATES,
    wall: Firewall | None = None,
) -> KnownSpeeds:
    """All speeds. A calibration that is derated by more than the default, since it is less sure, stays so in
    proportion. One that raises counts for nothing; `wall` takes note."""
    wall = wall or Firewall()
    calibrated: dict[str, dict[EngineKey, dict[str, Speed]]] = {}
    for key, speed in snapshot.calibrated.items():
        about = ObjectKey(kind="Calibration", namespace=key.namespace, name=key.engine.model)
        derated = wall.guard(about, partial(_counted, speed, derates))
        if isinstance(derated, Speed):
            by_namespace = calibrated.setdefault(key.arguments, {}).setdefault(key.engine, {})
            by_namespace[key.namespace] = derated
    measured = {
        judged.known.key: judged.known.speed for judged in profiles if judged.counts and isinstance(judged.known, Known)
    }
    return KnownSpeeds(calibrated, measured)


def _believed(by_namespace: Mapping[str, Speed], namespace: str) -> Speed | None:
    """The namespace's own calibration, else what others agree on, else what was learned before they were told apart.

    Counters are a tenant's to make up: what one namespace alone reports, it alone plans with.
    """
    mine = by_namespace.get(namespace)
    if mine is not None and mine.provenance is Provenance.CALIBRATED:
        return mine
    others = [
        speed
        for other, speed in by_namespace.items()
        if other not in ("", namespace) and speed.provenance is Provenance.CALIBRATED
    ]
    known = agreed(others) or by_namespace.get("")
    if known is None or mine is None:
        return known or mine
    return replace(known, kv_tokens=mine.kv_tokens or known.kv_tokens)


def agreed(speeds: Sequence[Speed]) -> Speed | None:
    """The speed that several namespaces have calibrated, each counting once: the median, of an even number the slower.
    None where they are fewer than two, or where less than two are near it."""
    ordered = sorted(speeds, key=_slowness)
    if len(ordered) < FEWEST_AGREEING:
        return None
    middle = ordered[len(ordered) // 2]
    near = [each for each in ordered if _slowness(middle) / NEAR <= _slowness(each) <= _slowness(middle) * NEAR]
    return middle if len(near) >= FEWEST_AGREEING else None


def _slowness(speed: Speed) -> float:
    """One figure to compare factors by: their geometric mean."""
    return math.exp(math.fsum(math.log(getattr(speed.factors, part)) for part in PARTS) / len(PARTS))


def _counted(speed: Speed, derates: Derates) -> Speed | None:
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
