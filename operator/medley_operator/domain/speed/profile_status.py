"""Statuses of ModelProfiles. Pure."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import ModelProfileStatus
from medley_operator.domain.speed.profiles import ACCEPTED, IN_USE
from medley_operator.domain.values.conditions import merge
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.snapshot import ObjectKey, StatusWrite


def model_profile_status(judged: Judgement, *, now: str) -> StatusWrite | None:
    """The status of a profile, or None where it reads so already."""
    profile = judged.profile
    generation = profile.metadata.generation
    conditions = merge(
        profile.status.conditions, {ACCEPTED: judged.accepted, IN_USE: judged.in_use}, generation=generation, now=now
    )
    status = ModelProfileStatus(observed_generation=generation, conditions=conditions)
    known = judged.known
    if isinstance(known, Known):
        factors = known.speed.factors
        status = status.model_copy(
            update={
                "fixed": _decimal(factors.fixed),
                "compute": _decimal(factors.compute),
                "sequence": _decimal(factors.sequence),
                "kv": _decimal(factors.kv),
                "error_percent": f"{100.0 * known.error:.1f}",
                "derate": _decimal(known.speed.derate),
                "points_used": known.points_used,
                "points_refused": known.points_refused,
            }
        )
    if status == profile.status:
        return None
    key = ObjectKey(kind="ModelProfile", namespace="", name=profile.metadata.name)
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return StatusWrite(key=key, uid=profile.metadata.uid, status=written)


def _decimal(value: float) -> str:
    return f"{value:.3f}"
