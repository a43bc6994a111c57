"""From a snapshot to the planner's problem: which services can be planned, with what load, on which variants.

Pure. Each service gets a context: planned, held (its load is lost, or capacities of its plan are being simulated: its
last plan stays), rejected (something in its spec or around it must be corrected first; what it runs stays) or leaving.
One bad service never stops the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.checks.references import find_profile, unreadable_pool
from medley_operator.domain.checks.spec import check_arguments, check_degrees, check_spec
from medley_operator.domain.cluster.pools import pool_state
from medley_operator.domain.cluster.startup import lead_times, longest_startup_seconds
from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.planner_input import check_subjects, planner_problem, planner_service
from medley_operator.domain.speed.profiles import judge_profiles
from medley_operator.domain.speed.speeds import known_speeds
from medley_operator.domain.values.candidates import (
    Disposition,
    PoolState,
    Prepared,
    Rejection,
    ServiceCandidate,
    ServiceKey,
)
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.snapshot import FleetMemory, ServiceMemory, Snapshot
from medley_operator.domain.variants.choose import find_variants
from medley_operator.domain.variants.waiting import waiting
from medley_planner.capacity import DERATES, Derates, EngineKey, Speed

MOST_REPLICAS = 2**31 - 1
"""Of a Deployment, by its API. A status that tells more was not written by this operator."""


def prepare(snapshot: Snapshot, memory: FleetMemory, *, derates: Derates = DERATES) -> Prepared:
    """The problem of this round and the context of each service, in the order of their names.

    `derates`: the shares of capacities that plans count on, by where the figures come from.
    """
    pools = tuple(
        pool_state(pool, snapshot.nodes) for pool in sorted(snapshot.pools, key=lambda pool: pool.metadata.name)
    )
    profiles = judge_profiles(snapshot, derates)
    speeds = known_speeds(snapshot, profiles, derates)
    estimate = Speed(derate=derates.estimated)
    leads = lead_times(snapshot, memory.leads)
    candidates = tuple(
        _candidate(
            service,
            snapshot,
            pools=pools,
            memory=_memory_of(service, memory),
            speeds=speeds,
            estimate=estimate,
            leads=leads,
        )
        for service in sorted(snapshot.services, key=_key)
    )
    problem = planner_problem(candidates, pools, snapshot.children)
    return Prepared(
        problem=problem,
        services=candidates,
        pools=pools,
        model_profiles=profiles,
        leads=leads,
        subjects=check_subjects(candidates),
    )


def _key(service: LLMService) -> ServiceKey:
    return service.metadata.namespace, service.metadata.name


def _memory_of(service: LLMService, memory: FleetMemory) -> ServiceMemory:
    """What is remembered of this very object; an object of the same name made anew starts without memory."""
    found = memory.services.get(_key(service))
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
) -> ServiceCandidate:
    last_replicas = _last_replicas(service, memory)
    base = ServiceCandidate(service=service, disposition=Disposition.REJECTED, last_replicas=last_replicas)
    if service.metadata.deletion_timestamp is not None:
        return replace(base, disposition=Disposition.LEAVING)
    rejection = check_spec(service)
    if rejection is not None:
        return replace(base, rejection=rejection)
    profile = find_profile(service, snapshot)
    if isinstance(profile, Rejection):
        return replace(base, rejection=profile)
    rejection = check_arguments(service, profile) or unreadable_pool(service, last_replicas, snapshot.rejected)
    if rejection is not None:
        return replace(base, profile=profile, rejection=rejection)
    choice = choose_demand(
        service,
        snapshot.observations.get(_key(service)),
        memory=memory,
        has_plan=bool(last_replicas),
        at_seconds=snapshot.at_seconds,
        lead_seconds=longest_startup_seconds(service, profile, pools, leads),
        history=snapshot.histories.get(_key(service), ()),
    )
    known = replace(base, profile=profile, choice=choice)
    found = find_variants(
        service,
        profile,
        pools=pools,
        demand=choice.demand,
        running=last_replicas,
        planned_as=planner_service(known),
        speeds=speeds,
        estimate=estimate,
        tables=snapshot.capacity_tables,
        leads=leads,
    )
    if isinstance(found, Rejection):
        return replace(known, rejection=found)
    rejection = check_degrees(service, found.variants)
    if rejection is not None:
        return replace(known, rejection=rejection)
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
    """Replicas of the last plan by variant; after a restart those that the status tells."""
    if memory.plan is not None:
        return {name: count for name, count in memory.plan.replicas().items() if count > 0}
    return {row.name: row.desired for row in service.status.variants if 0 < row.desired <= MOST_REPLICAS}
