"""From the spec of a PowerDomain to a domain of the capping policy, and from the policy's settings to limits. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from medley_operator.api.v1alpha1.power import GpuLimit, PowerDomain, PowerDomainSpec, PowerLevelSpec
from medley_planner.power import (
    DEFAULT_PRESET,
    PRESETS,
    CappedDomain,
    CappedNode,
    GpuSetting,
    Ladder,
    PowerLevel,
)

GPU_SUM_ERROR = 0.05
"""Power meters of boards are off by up to that much."""
_CUSTOM = "levels"
_THOUSANDTHS = 1000


def capped_domain(domain: PowerDomain, *, parent: str | None, nodes: Iterable[CappedNode]) -> CappedDomain:
    """The domain with the nodes that it feeds itself."""
    spec = domain.spec
    return CappedDomain(
        name=domain.metadata.name,
        budget_watts=float(spec.budget_watts),
        ladder=ladder_of(spec),
        parent=parent,
        nodes=tuple(nodes),
        safe_level=spec.safe_level,
        stale_seconds=float(spec.stale_after_seconds),
        telemetry_seconds=float(spec.telemetry_seconds),
        actuation_seconds=float(spec.actuation_seconds),
        meter_error=_meter_error(spec),
    )


def ladder_of(spec: PowerDomainSpec) -> Ladder:
    """The preset or the levels that are given, with what the spec sets beside them."""
    base = PRESETS[DEFAULT_PRESET if spec.preset is None else spec.preset.value]
    if spec.levels:
        base = Ladder(_CUSTOM, tuple(_level(level) for level in spec.levels), brake=PRESETS[DEFAULT_PRESET].brake)
    return Ladder(
        base.name,
        base.levels,
        brake=base.brake if spec.brake is None else _level(spec.brake),
        relax_gap=base.relax_gap if spec.relax_gap is None else float(spec.relax_gap),
        dwell_seconds=base.dwell_seconds if spec.dwell_seconds is None else float(spec.dwell_seconds),
        ramp_seconds=base.ramp_seconds if spec.ramp_seconds is None else float(spec.ramp_seconds),
    )


def limit_of(setting: GpuSetting) -> GpuLimit:
    """The limit as a NodePowerCap holds it, rounded down."""
    # What a float lacks of a whole thousandth is not a thousandth less.
    thousandths = max(math.floor(setting.clock_fraction * _THOUSANDTHS + 1e-6), 1)
    clock = f"{thousandths / _THOUSANDTHS:.3f}".rstrip("0").rstrip(".")
    return GpuLimit(
        clock_fraction=clock, cap_watts=None if setting.cap_watts is None else max(math.floor(setting.cap_watts), 1)
    )


def setting_of(limit: GpuLimit) -> GpuSetting:
    return GpuSetting(limit.fraction, None if limit.cap_watts is None else float(limit.cap_watts))


def _meter_error(spec: PowerDomainSpec) -> float:
    if spec.meter.error is not None:
        return float(spec.meter.error)
    return GPU_SUM_ERROR if spec.meter.query is None else 0.0


def _level(spec: PowerLevelSpec) -> PowerLevel:
    return PowerLevel(float(spec.enter), setting_of(spec.low), setting_of(spec.normal), setting_of(spec.high))
