"""From a snapshot to the planner's problem: which services can be planned, with what load, on which variants.

Pure. Each service becomes a candidate: planned, held (its load is lost, or capacities of its plan are being
simulated: its last plan stays), rejected (something in its spec or around it must be corrected first; what it runs
stays) or leaving. One bad service never stops the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.checks.service import CHECKS, SPEC_CHECKS
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.cluster.children import by_owner
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.cluster.pools import pool_state
from medley_operator.domain.cluster.startup import lead_times
from medley_operator.domain.planner_input import check_subjects, planner_problem, planner_service
from medley_operator.domain.speed.profiles import judge_profiles
from medley_operator.domain.speed.speeds import known_speeds
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.candidates import (
    Disposition,
    PoolState,
    Prepared,
    ServiceCandidate,
)
from medley_operator.domain.values.labels import NODE
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import FleetMemory, ServiceMemory, Snapshot
from medley_operator.domain.variants.choose import choose_variants
from medley_operator.domain.variants.waiting import waiting
from medley_planner.capacity import DERATES, Derates, EngineKey, Speed
from medley_planner.refusal import first_refusal

MOST_REPLICAS = 2**31 - 1
"""Kubernetes' limit on spec.replicas of a Deployment; this operator does not write a status above it."""


def prepare(snapshot: Snapshot, memory: FleetMemory, *, derates: Derates = DERATES) -> Prepared:
    """The problem of this round and the candidate of each service, in the order of their names.

    `derates`: the shares of capacities that plans count on, by where the figures come from.
    """
    unreadable = snapshot.unreadable.get(NODE, "")
    pools = tuple(
        pool_state(pool, snapshot.nodes, unreadable=unreadable)
        for pool in sorted(snapshot.pools, key=lambda pool: pool.metadata.name)
    )
    profiles = judge_profiles(snapshot, derates)
    speeds = known_speeds(snapshot, profiles, derates)
    estimate = Speed(derate=derates.estimated)
    leads = lead_times(snapshot, memory.leads)
    bounds = bounds_by_namespace(snapshot.services, Policies(snapshot.policies, snapshot.namespaces, snapshot.rejected))
    candidates = tuple(
        _candidate(
            service,
            snapshot,
            pools=pools,
            memory=_memory_of(service, memory),
            speeds=speeds,
            estimate=estimate,
            leads=leads,
            bounds=bounds[service.metadata.namespace],
        )
        for service in sorted(snapshot.services, key=ServiceKey.of)
    )
    problem = planner_problem(candidates, pools, by_owner(snapshot.view))
    return Prepared(
        problem=problem,
        services=candidates,
        pools=pools,
        model_profiles=profiles,
        leads=leads,
        subjects=check_subjects(candidates),
    )


def _memory_of(service: LLMService, memory: FleetMemory) -> ServiceMemory:
    """The memory of this very object; an object of the same name made anew starts without memory."""
    found = memory.services.get(ServiceKey.of(service))
    uid = service.metadata.uid
    return found if found is not None and found.uid == uid else ServiceMemory(uid=uid)


def _candidate(
    service: LLMService,
    snapshot: Snapshot,
    *,
    pools: Sequence[PoolState],
    memory: ServiceMemory,
    speeds: Mapping[EngineKey, Speed],
    estimate: Speed,
    leads: LeadTimes,
    bounds: NamespaceBounds,
) -> ServiceCandidate:
    last_replicas = _last_replicas(service, memory)
    base = ServiceCandidate(
        service=service, disposition=Disposition.REJECTED, last_replicas=last_replicas, bounds=bounds
    )
    if service.metadata.deletion_timestamp is not None:
        return replace(base, disposition=Disposition.LEAVING)
    given = ServiceInput(
        service=service,
        snapshot=snapshot,
        pools=pools,
        memory=memory,
        last_replicas=last_replicas,
        speeds=speeds,
        estimate=estimate,
        leads=leads,
        bounds=bounds,
    )
    refusal = first_refusal(CHECKS, given)
    if refusal is not None and first_refusal(SPEC_CHECKS, given) is not None:
        # No load is chosen for a spec that is refused.
        return replace(base, refusal=refusal)
    profile, choice = given.profile, given.choice
    known = replace(base, profile=profile, choice=choice)
    if refusal is not None:
        return replace(known, refusal=refusal)
    found = choose_variants(
        service,
        profile,
        given.offered,
        demand=choice.demand,
        running=last_replicas,
        planned_as=planner_service(known),
        leads=leads,
    )
    waits = None
    if snapshot.simulates and last_replicas:
        waits = waiting(
            service,
            found.variants,
            demand=choice.demand,
            since_seconds=memory.waiting_since,
            at_seconds=snapshot.at_seconds,
        )
    return replace(
        known,
        disposition=Disposition.HELD
        if choice.hold or (waits is not None and not waits.overdue)
        else Disposition.PLANNED,
        variants=found.variants,
        omitted=found.omitted,
        missing_tables=found.missing_tables,
        waiting=waits,
    )


def _last_replicas(service: LLMService, memory: ServiceMemory) -> Mapping[str, int]:
    """Replicas of the last plan by variant; after a restart those of the status."""
    if memory.plan is not None:
        return {name: count for name, count in memory.plan.replicas().items() if count > 0}
    return {row.name: row.desired for row in service.status.variants if 0 < row.desired <= MOST_REPLICAS}
