"""How long replicas take to start, from the pods that did: by model, GPU type and whether the node was there before.

Pure. A start is read off one Ready pod: creation, PodScheduled (a node was found, or made), PodReadyToStartContainers
(volumes and network), the container's start (its image was pulled) and Ready (weights loaded, kernels compiled, graphs
captured). Kubernetes keeps these times to the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

COLD_SECONDS = 600.0
"""A node that was made less than this before the pod, or after it, counts as cold: what it caches is still to come."""
MAX_STARTS = 20
"""Starts kept of each kind, the latest."""
FEWEST_STARTS = 3
"""A figure for planning needs at least this many starts."""
QUANTILE = 0.9
FEWEST_AGREEING = 2
"""Namespaces whose starts must take about as long before others plan with them."""
NEAR = 2.0
"""Times that differ by no more than this factor are about as long."""
CLOCK_SLACK_SECONDS = 2.0
"""Times of one pod come from the API server, the scheduler and a kubelet, each to the second."""

Fields = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as plain JSON values."""


class Component(StrEnum):
    """Parts of a lead time, each from the end of the one before."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    """Volumes and network of the pod are there."""
    PULLED = "pulled"
    READY = "ready"
    TOTAL = "total"


class NodeState(StrEnum):
    WARM = "warm"
    COLD = "cold"


@dataclass(frozen=True, slots=True, order=True)
class LeadKey:
    """`model` as in `spec.model.uri`, without the scheme; `gpu` as in the catalogue. `namespace`: where the replicas
    are, "" where that does not matter."""

    model: str
    gpu: str
    node: NodeState
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """One replica's start. `at`: when it was Ready, in Unix seconds; `seconds` by component, TOTAL included."""

    uid: str
    at: float
    seconds: Mapping[Component, float]


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """The latest starts by kind, oldest first."""

    starts: Mapping[LeadKey, tuple[Start, ...]] = field(default_factory=dict)

    def with_starts(self, found: Iterable[tuple[LeadKey, Start]]) -> LeadTimes:
        """With starts that may be known already: of one pod the first reading counts."""
        merged = {key: {start.uid: start for start in starts} for key, starts in self.starts.items()}
        for key, start in found:
            merged.setdefault(key, {}).setdefault(start.uid, start)
        return LeadTimes(
            {
                key: tuple(sorted(starts.values(), key=lambda start: (start.at, start.uid))[-MAX_STARTS:])
                for key, starts in sorted(merged.items())
            }
        )

    def p90(self, key: LeadKey, component: Component) -> float | None:
        """Seconds that nine of ten starts stay within; None where there was no start."""
        starts = self.starts.get(key)
        return _p90(starts, component) if starts else None

    def everywhere(self) -> LeadTimes:
        """Those of all namespaces together."""
        return LeadTimes().with_starts(
            (replace(key, namespace=""), start) for key, starts in self.starts.items() for start in starts
        )

    def believed_by(self, namespace: str) -> LeadTimes:
        """The starts that services of one namespace plan with: its own, and where these are few, those of others, as
        far as two namespaces agree. Pods are made by tenants, and one of them can let its own take as long as it likes.
        """
        others: dict[LeadKey, list[tuple[Start, ...]]] = {}
        for key, starts in self.starts.items():
            if key.namespace != namespace and len(starts) >= FEWEST_STARTS:
                others.setdefault(replace(key, namespace=""), []).append(starts)
        agreed = {key: found for key, known in others.items() if (found := _agreed(known)) is not None}
        own = {
            replace(key, namespace=""): starts
            for key, starts in self.starts.items()
            if key.namespace == namespace and (len(starts) >= FEWEST_STARTS or replace(key, namespace="") not in agreed)
        }
        return LeadTimes({**agreed, **own})

    def startup_seconds(self, *, model: str, gpu: str, makes_nodes: bool) -> float | None:
        """The lead time to plan with; None while it was not measured often enough.

        Where nodes are made on demand a replica may wait for one, so that cold starts count first.
        """
        states = (NodeState.COLD, NodeState.WARM) if makes_nodes else (NodeState.WARM,)
        for state in states:
            key = LeadKey(model, gpu, state)
            if len(self.starts.get(key, ())) >= FEWEST_STARTS:
                return self.p90(key, Component.TOTAL)
        return None


def _agreed(known: Sequence[tuple[Start, ...]]) -> tuple[Start, ...] | None:
    """The starts of the middle namespace; None where no other one's take about as long."""
    ranked = sorted(((_p90(starts, Component.TOTAL), starts) for starts in known), key=lambda each: each[0])
    middle, starts = ranked[(len(ranked) - 1) // 2]
    near = [each for each, _ in ranked if middle / NEAR <= each <= middle * NEAR]
    return starts if len(near) >= FEWEST_AGREEING else None


def _p90(starts: Sequence[Start], component: Component) -> float:
    ordered = sorted(start.seconds[component] for start in starts)
    return ordered[math.ceil(QUANTILE * len(ordered)) - 1]


def node_state(*, pod_created_at: float, node_created_at: float) -> NodeState:
    """Whether the node was there long enough before the pod. Both in Unix seconds."""
    return NodeState.COLD if pod_created_at - node_created_at < COLD_SECONDS else NodeState.WARM


def start_of(pod: Fields) -> Start | None:
    """The start of a pod, or None where it has not become Ready or its times do not show it.

    A pod whose container was restarted, or that became Ready later than its start-up probe allows, lost its readiness
    at some time: what it shows is not its start.
    """
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or []}
    containers = status.get("containerStatuses") or []
    created = unix_seconds(metadata.get("creationTimestamp"))
    scheduled, ready = _since(conditions.get("PodScheduled")), _since(conditions.get("Ready"))
    running = [unix_seconds(((each.get("state") or {}).get("running") or {}).get("startedAt")) for each in containers]
    if created is None or scheduled is None or ready is None or not running or metadata.get("deletionTimestamp"):
        return None
    if any(each.get("restartCount", 0) for each in containers):
        return None
    pulled = 0.0
    for started_at in running:
        if started_at is None:
            return None
        pulled = max(pulled, started_at)
    sandbox = _since(conditions.get("PodReadyToStartContainers"))
    ends = (created, scheduled, scheduled if sandbox is None else min(max(sandbox, scheduled), pulled), pulled, ready)
    steps = [later - earlier for earlier, later in pairwise(ends)]
    if min(steps) < -CLOCK_SLACK_SECONDS or steps[-1] > _start_up_budget(pod):
        return None
    parts = (Component.SCHEDULED, Component.STARTED, Component.PULLED, Component.READY)
    seconds = {part: max(step, 0.0) for part, step in zip(parts, steps, strict=True)}
    seconds[Component.TOTAL] = max(ready - created, 0.0)
    return Start(uid=str(metadata.get("uid", "")), at=ready, seconds=seconds)


def unix_seconds(text: object) -> float | None:
    """Unix seconds of a time as Kubernetes writes it; None where it is not one."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def utc_text(at: float) -> str:
    """Unix seconds as Kubernetes writes a time: RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _since(condition: Fields | None) -> float | None:
    if condition is None or condition.get("status") != "True":
        return None
    return unix_seconds(condition.get("lastTransitionTime"))


def _start_up_budget(pod: Fields) -> float:
    """Seconds after which the kubelet would have restarted a container that is not up, and some for the last probes."""
    budgets = [
        probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * (probe.get("failureThreshold", 3) + 1)
        for container in (pod.get("spec") or {}).get("containers") or []
        if (probe := container.get("startupProbe")) is not None
    ]
    return float(max(budgets, default=math.inf)) + 60.0
