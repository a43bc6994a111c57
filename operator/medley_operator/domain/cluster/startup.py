"""The start-up time of a replica in each pool, from the starts that were measured there. Pure.

`values.leadtime` says how starts are read and kept; here they meet services, pools and the planner's figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from medley_operator.api.v1alpha1 import CapacityType, GPUPool, LLMService, RuntimeProfile
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.leadtime import LeadKey, LeadTimes, Start, start_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectFault, ObjectKey, Snapshot
from medley_planner.shapes import model_id

STARTUP_SECONDS = 120.0
"""The assumed start-up time of one engine (image on the node, weights from a near cache) until it is measured.

A profile's `startupTimeout` is when to give up on an engine, many times this, so it bounds the figure and is not it.
"""
STEPS_SECONDS = (30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720, 900, 1200, 1500, 1800, 2400, 3600)
"""Measured figures are taken up to the next of these, so that a plan does not change with each start that is seen.

Not below the first: a change of replicas takes a drain too, however quickly an engine starts.
"""


def startup_seconds(model: str, gpu: str, pool: GPUPool, profile: RuntimeProfile, leads: LeadTimes) -> float:
    """Seconds from asking for a replica in that pool to its being Ready."""
    makes_nodes = pool.spec.capacity.type is CapacityType.ELASTIC
    measured = leads.startup_seconds(model=model, gpu=gpu, makes_nodes=makes_nodes)
    seconds = STARTUP_SECONDS if measured is None else _step(measured)
    return min(seconds, profile.spec.startup_timeout_seconds)


def longest_startup_seconds(
    service: LLMService, profile: RuntimeProfile, pools: Sequence[PoolState], leads: LeadTimes
) -> float:
    """Longest start-up time over the pools that the service may use: those that its variants name, else all."""
    named = {variant.pool_ref for variant in service.spec.variants}
    found = [
        startup_seconds(model_id(service.spec.model.uri), state.gpu, state.pool, profile, leads)
        for state in pools
        if state.gpu is not None and (not named or state.pool.metadata.name in named)
    ]
    return max(found, default=STARTUP_SECONDS)


def lead_times(snapshot: Snapshot, known: LeadTimes, wall: Firewall | None = None) -> LeadTimes:
    """The known starts, with those that the snapshot's pods show. A pod that raises shows none; `wall` takes note."""
    return known.with_starts(_starts(snapshot, wall or Firewall())) if snapshot.pods else known


def _starts(snapshot: Snapshot, wall: Firewall) -> Iterator[tuple[LeadKey, Start]]:
    models = {ServiceKey.of(each): model_id(each.spec.model.uri) for each in snapshot.services}
    gpus = {pool.metadata.name: find_gpu(pool.spec.gpu) for pool in snapshot.pools}
    created = {node.name: node.created_at for node in snapshot.nodes}

    def start(pod: Manifest) -> tuple[LeadKey, Start] | None:
        model = models.get(ServiceKey(pod["metadata"].get("namespace", ""), labels.label(pod, labels.SERVICE)))
        gpu = gpus.get(labels.label(pod, labels.POOL))
        node_created_at = created.get((pod.get("spec") or {}).get("nodeName", ""))
        if model is None or gpu is None or node_created_at is None:
            return None
        found = start_of(pod, node_created_at=node_created_at)
        return None if found is None else (LeadKey(model, gpu.name, found[0]), found[1])

    for pod in snapshot.pods:
        metadata = pod.get("metadata") or {}
        about = ObjectKey("Pod", str(metadata.get("namespace", "")), str(metadata.get("name", "")))
        seen = wall.guard(about, partial(start, pod))
        if seen is not None and not isinstance(seen, ObjectFault):
            yield seen


def _step(seconds: float) -> float:
    return float(next((step for step in STEPS_SECONDS if seconds <= step), seconds))
