"""How a control plane is set for its work: the defaults for tests of some services, or for thousands of pods.

Apart: `plane` takes it as a value, so that suites choose it without knowing any flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e.controlplane import audit


@dataclass(frozen=True, slots=True)
class Tuning:
    """`qps`, `burst` and `syncs` are those of controller manager and scheduler; `syncs` 0 is their default.

    `lease_seconds` is how long a kwok node's Lease lasts (kwok renews it four times as often), and `grace_seconds` when
    the controller manager takes a node that is silent for dead.
    """

    qps: int = 200
    burst: int = 400
    syncs: int = 0
    lease_seconds: int = 40
    grace_seconds: int = 0
    """0: the default of the controller manager."""
    audit_policy: Mapping[str, Any] = field(default_factory=lambda: audit.POLICY)

    def controller_flags(self) -> list[str]:
        """Those that only the controller manager has."""
        flags = []
        if self.syncs:
            flags += [f"--concurrent-{kind}-syncs={self.syncs}" for kind in ("deployment", "replicaset")]
        if self.grace_seconds:
            flags.append(f"--node-monitor-grace-period={self.grace_seconds}s")
        return flags


def for_thousands_of_pods(*users: str) -> Tuning:
    """Quick controllers, quiet nodes, and an audit log of writes by these users alone."""
    rules = [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io"}, {"group": "authentication.k8s.io"}]},
        {"level": "Metadata", "users": list(users)},
        {"level": "None"},
    ]
    return Tuning(
        qps=500, burst=1000, syncs=20, lease_seconds=200, grace_seconds=600,
        audit_policy={**audit.POLICY, "rules": rules},
    )  # fmt: skip
