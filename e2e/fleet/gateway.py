"""The status that a gateway would write into a route of ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from e2e.fleet.cluster import Key

CONTROLLER = "e2e.medley.dev/fake-gateway"
_CONDITIONS = (("Accepted", "Accepted"), ("ResolvedRefs", "ResolvedRefs"))


def parents_to_write(route: Mapping[str, Any], *, gateways: Set[Key], now: str) -> list[dict[str, Any]] | None:
    """`status.parents` that the route should have; None where it has them already.

    One entry per parent Gateway that exists; entries of other controllers stay as they are. `now` (RFC 3339) becomes
    the transition time of a condition that changes.
    """
    metadata = route["metadata"]
    have = list((route.get("status") or {}).get("parents") or [])
    others = [parent for parent in have if parent.get("controllerName") != CONTROLLER]
    mine = [parent for parent in have if parent.get("controllerName") == CONTROLLER]
    wanted = []
    for reference in (route.get("spec") or {}).get("parentRefs") or []:
        gateway = Key(reference.get("namespace") or metadata["namespace"], reference["name"])
        if reference.get("kind", "Gateway") != "Gateway" or gateway not in gateways:
            continue
        old: Mapping[str, Any] = next((parent for parent in mine if parent.get("parentRef") == reference), {})
        conditions = [
            _condition(kind, reason, old=old, generation=metadata.get("generation", 0), now=now)
            for kind, reason in _CONDITIONS
        ]
        wanted.append({"parentRef": dict(reference), "controllerName": CONTROLLER, "conditions": conditions})
    return None if wanted == mine else [*others, *wanted]


def accepted(route: Mapping[str, Any]) -> bool:
    """Whether some gateway takes the route."""
    return any(
        condition.get("type") == "Accepted" and condition.get("status") == "True"
        for parent in (route.get("status") or {}).get("parents") or []
        for condition in parent.get("conditions") or []
    )


def _condition(kind: str, reason: str, *, old: Mapping[str, Any], generation: int, now: str) -> dict[str, Any]:
    before: Mapping[str, Any] = next((entry for entry in old.get("conditions") or [] if entry.get("type") == kind), {})
    unchanged = before.get("status") == "True"
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": "",
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if unchanged else now,
    }
