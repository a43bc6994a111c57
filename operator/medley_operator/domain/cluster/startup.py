"""The start-up time of a replica in each pool, from the starts that were measured there. Pure.

`values.leadtime` says how starts are read and kept; here they meet services, pools and the planner's figures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from medley_operator.api.v1alpha1 import CapacityType, GPUPool, LLMService, RuntimeProfile
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.catalogue import find_gpu, model_name
from medley_operator.domain.values.leadtime import LeadKey, LeadTimes, Start, node_state
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.model import Demand

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


def drain_seconds(service: LLMService, demand: Demand) -> float:
    """Seconds from the end of a replica's share of the traffic until its GPUs are free: the wait before it stops, and
    half of the generation of a mean request, at the target's pace, which what runs then still takes."""
    drain = service.spec.drain
    shares = zip(demand.buckets, demand.shares, strict=True)
    generated = sum(bucket.generation_tokens * share for bucket, share in shares)
    return drain.pre_stop_seconds + min(drain.timeout_seconds, generated * service.spec.slo.tpot_seconds / 2)


def longest_startup_seconds(
    service: LLMService,
    profile: RuntimeProfile,
    pools: Sequence[PoolState],
    leads: LeadTimes,
    *,
    in_force: Collection[str] = (),
) -> float:
    """Longest start-up time over the pools that its plan in force uses; without one (`in_force` has none that is there)
    over those that the service may use: those that its variants name, else all."""
    there = {state.pool.metadata.name for state in pools}
    named = there.intersection(in_force) or {variant.pool_ref for variant in service.spec.variants}
    found = [
        startup_seconds(model_name(service), state.gpu.name, state.pool, profile, leads)
        for state in pools
        if state.gpu is not None and (not named or state.pool.metadata.name in named)
    ]
    return max(found, default=STARTUP_SECONDS)


def lead_times(snapshot: Snapshot, known: LeadTimes) -> LeadTimes:
    """The known starts, with those that the snapshot's pods show; those of namespaces without a service are forgotten,
    so that tenants that come and go fill no memory."""
    if not snapshot.pods:
        return known
    there = {service.metadata.namespace for service in snapshot.services}
    kept = {key: starts for key, starts in known.starts.items() if key.namespace in there}
    return LeadTimes(kept).with_starts(_starts(snapshot))


def _starts(snapshot: Snapshot) -> Iterator[tuple[LeadKey, Start]]:
    models = {ServiceKey.of(each): model_name(each) for each in snapshot.services}
    gpus = {pool.metadata.name: find_gpu(pool.spec.gpu, snapshot.catalogue) for pool in snapshot.pools}
    created = {node.name: node.created_at for node in snapshot.nodes}
    for pod in snapshot.pods:
        if pod.start is None or pod.created_at is None:
            continue
        model = models.get(ServiceKey(pod.namespace, pod.labels.get(labels.SERVICE, "")))
        gpu = gpus.get(pod.labels.get(labels.POOL, ""))
        node_created_at = created.get(pod.node)
        if model is not None and gpu is not None and node_created_at is not None:
            state = node_state(pod_created_at=pod.created_at, node_created_at=node_created_at)
            yield LeadKey(model, gpu.name, state, pod.namespace), pod.start


def _step(seconds: float) -> float:
    return float(next((step for step in STEPS_SECONDS if seconds <= step), seconds))
