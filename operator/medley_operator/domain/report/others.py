"""Objects that others own, and fields that they change, of what a service needs, in words for people. Pure.

Apart: the words about other clients of the API server, one place for the service's conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.drift import DriftReport, ForeignChange
from medley_operator.domain.rollout.writes import OwnerConflict
from medley_planner.refusal import Refusal


def conflict_message(conflicts: Sequence[OwnerConflict]) -> str:
    named = "; ".join(f"{conflict.key} belongs to {conflict.holder}" for conflict in conflicts)
    return f"{named}; rename this LLMService or its variant (spec.variants[].name), or remove the other object"


def changes_by_others(report: DriftReport) -> Refusal | None:
    """All that others change; the reason is that of what weighs most."""
    parts: list[Refusal] = []
    parts += _autoscalers(report)
    if report.left:
        parts.append(
            Refusal(
                "DriftContention",
                f"{_fields(report.left)} changed back each time Medley sets it. Medley leaves it and tries again every "
                "10 minutes; make an exception for Medley in what changes it, or set the same in the GPUPool, "
                "RuntimeProfile or LLMService",
            )
        )
    if report.added:
        parts.append(
            Refusal(
                "ChangedByOthers",
                f"{_fields(report.added)} set by others, which changes how the pods run. Medley leaves what it does "
                "not set itself; remove it (kubectl edit) unless it is meant",
            )
        )
    return Refusal(parts[0].reason, ". ".join(part.message for part in parts)) if parts else None


def _autoscalers(report: DriftReport) -> Iterator[Refusal]:
    by_deployment = sorted(report.autoscaled.items())
    scales = "; ".join(f"{each.replicas} scales {key}" for key, each in by_deployment if each.replicas)
    resizes = "; ".join(
        f"{each.resources} sets the resources of the pods of {key}" for key, each in by_deployment if each.resources
    )
    if scales:
        yield Refusal(
            "ConflictingAutoscaler",
            f"{scales}. Medley leaves spec.replicas to it, so the plan is not followed there; delete it, or let it "
            "scale a Deployment that is not Medley's",
        )
    if resizes:
        yield Refusal(
            "ConflictingAutoscaler",
            f"{resizes}, and may evict Ready replicas for it. Medley still sets spec.replicas; set its "
            "spec.updatePolicy.updateMode to Off, and the resources in RuntimeProfile spec.resources",
        )


def paused_message(namespace: str, paused: Iterable[RunningVariant]) -> str:
    return "; ".join(
        f"Deployment {namespace}/{variant.object_name} is paused: its {variant.replicas} replicas stay as they are and "
        f"no change reaches its pods; resume it (kubectl rollout resume deployment/{variant.object_name} "
        f"-n {namespace})"
        for variant in paused
    )


def _fields(changes: Sequence[ForeignChange]) -> str:
    """Each object once, with its fields and who changes them, and the verb for what follows."""
    by_object: dict[str, list[str]] = {}
    for change in changes:
        by_object.setdefault(change.object, []).append(
            f"{change.path} (by {change.manager})" if change.manager else change.path
        )
    text = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in sorted(by_object.items()))
    return f"{text} {'is' if len(changes) == 1 else 'are'}"
