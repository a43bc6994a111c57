"""The writes of NodePowerCaps after a moment, as the API server's audit log has them."""

from __future__ import annotations

from collections.abc import Sequence

from e2e.controlplane import ControlPlane
from e2e.controlplane.audit import unix_seconds


def first_writes(plane: ControlPlane, since: float, nodes: Sequence[str]) -> list[float]:
    """Seconds from `since` (Unix time) until the first write of each node's caps. One of a lease counts too."""
    found: dict[str, float] = {}
    for event in plane.audit_events(since=since):
        about = event.get("objectRef", {})
        if event["verb"] == "patch" and about.get("resource") == "nodepowercaps" and not about.get("subresource"):
            found.setdefault(about["name"], unix_seconds(event["stageTimestamp"]) - since)
    return [found[node] for node in nodes if node in found]
