"""What a service names beside itself: its RuntimeProfile, and the pools it runs on. Found, or why it cannot be used.

Pure. An object that does not parse is not an object that is gone, and is told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.checks.spec import check_profile
from medley_operator.domain.values.candidates import Rejection
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.snapshot import InvalidObject, ObjectKey, Snapshot


def find_profile(service: LLMService, snapshot: Snapshot) -> RuntimeProfile | Rejection:
    """The RuntimeProfile that the service names, or why it cannot be used."""
    name = service.spec.runtime.profile_ref
    field = f'spec.runtime.profileRef "{name}"'
    for profile in snapshot.profiles:
        if profile.metadata.name != name:
            continue
        problem = check_profile(profile)
        if problem is None:
            return profile
        return Rejection(
            PlanReason.INVALID_SPEC,
            f'{field} names a RuntimeProfile that cannot be used: {problem} (RuntimeProfile "{name}")',
        )
    unreadable = _rejected(snapshot.rejected, kind="RuntimeProfile", name=name)
    if unreadable is not None:
        return Rejection(
            PlanReason.INVALID_SPEC, f"{field} names a RuntimeProfile that cannot be read: {unreadable.message}"
        )
    present = ", ".join(sorted(profile.metadata.name for profile in snapshot.profiles)) or "none"
    return Rejection(
        PlanReason.PROFILE_NOT_FOUND,
        f"{field}: no such RuntimeProfile (present: {present}); create it or name another",
    )


def unreadable_pool(
    service: LLMService, last_replicas: Mapping[str, int], rejected: Sequence[InvalidObject]
) -> Rejection | None:
    """A pool that this service runs on and that does not parse must not look like a pool that is gone."""
    used = {variant.pool for variant in service.status.variants if last_replicas.get(variant.name, 0) > 0}
    used |= {variant.pool_ref for variant in service.spec.variants}
    for name in sorted(used):
        unreadable = _rejected(rejected, kind="GPUPool", name=name)
        if unreadable is not None:
            message = f'GPUPool "{name}", which this service uses, cannot be read: {unreadable.message}'
            return Rejection(PlanReason.INVALID_SPEC, message)
    return None


def _rejected(rejected: Sequence[InvalidObject], *, kind: str, name: str) -> InvalidObject | None:
    key = ObjectKey(kind=kind, namespace="", name=name)
    return next((item for item in rejected if item.key == key), None)
