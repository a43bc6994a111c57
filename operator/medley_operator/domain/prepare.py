"""From a snapshot to the planner's problem: which services can be planned, with what load, on which variants.

Pure. Each service becomes a candidate: planned, held (its load is lost, or capacities of its plan are being
simulated: its last plan stays), rejected (something in its spec or around it must be corrected first; what it runs
stays) or leaving. One bad object never stops the others: whatever is raised about it is a fault in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from medley_operator.api.v1alpha1 import ActingMode, LLMService, effective_mode
from medley_operator.domain.checks.runtime_profile import RUNTIME_PROFILE_CHECKS
from medley_operator.domain.checks.service import CHECKS, SPEC_CHECKS
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.cluster.children import by_owner, ready_replicas
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.cluster.start_failures import pods_of_services, start_failures
from medley_operator.domain.cluster.startup import lead_times
from medley_operator.domain.feeds.budgets import Feeding
from medley_operator.domain.feeds.levels import counted_levels
from medley_operator.domain.feeds.tree import FeedTree, domains_of, feed_tree
from medley_operator.domain.firewall import Firewall, guarded
from medley_operator.domain.load.remembered import remembered
from medley_operator.domain.margins.of_service import margins_of
from medley_operator.domain.margins.told import remembered_margins
from medley_operator.domain.planner_input import (
    check_subjects,
    planner_problem,
    planner_service,
    reserved_replicas,
)
from medley_operator.domain.pool_states import feeding_of, pool_states, seen_by
from medley_operator.domain.rollout.modes import desired_of, paused
from medley_operator.domain.speed.profiles import judge_profiles
from medley_operator.domain.speed.speeds import known_speeds
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.candidates import Disposition, PoolState, Prepared, ServiceCandidate
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.memories import FleetMemory, ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey, Snapshot
from medley_operator.domain.values.stock import Ledger
from medley_operator.domain.values.views import PodView
from medley_operator.domain.variants.choose import choose_variants, startable
from medley_operator.domain.variants.waiting import waiting
from medley_planner.capacity import DERATES, Derates, EngineKey, Speed
from medley_planner.check import Subject
from medley_planner.model import Problem
from medley_planner.refusal import first_refusal

_FLEET = ObjectKey(kind="Fleet", namespace="", name="")


def prepare(
    snapshot: Snapshot,
    memory: FleetMemory,
    *,
    derates: Derates = DERATES,
    fleet_mode: ActingMode | None = ActingMode.AUTO,
) -> Prepared:
    """The problems of this round and the candidate of each service, in the order of their names.

    `derates`: the shares of capacities that plans count on, by where the figures come from. `fleet_mode` None: plans
    are shown and never acted on, whatever the modes of services are.
    """
    wall = Firewall()
    ledger = stock_ledger(snapshot)
    tree = feed_tree(snapshot.power, now=snapshot.unix_seconds)
    levels = counted_levels(tree, memory.power_levels, now=snapshot.unix_seconds)
    pools = pool_states(snapshot, ledger, tree, levels, wall)
    feeding = feeding_of(snapshot, pools, tree)
    for profile in snapshot.profiles:
        # The refusal of a profile is asked for where it is used; here it is only looked for a fault.
        wall.guard(
            ObjectKey.of("RuntimeProfile", profile.metadata), partial(first_refusal, RUNTIME_PROFILE_CHECKS, profile)
        )
    profiles = judge_profiles(snapshot, derates, wall)
    speeds = known_speeds(snapshot, profiles, derates, wall)
    estimate = Speed(derate=derates.estimated)
    leads = lead_times(snapshot, memory.leads)
    given = Policies(snapshot.policies, snapshot.namespaces, snapshot.rejected)
    bounds = bounds_by_namespace(snapshot.services, given, wall)
    owned = by_owner(snapshot)
    believed = cache(leads.believed_by)
    pods_by_service = pods_of_services(snapshot.pods, now=snapshot.unix_seconds)

    def made(service: LLMService) -> ServiceCandidate:
        return _candidate(
            service,
            snapshot,
            pools=pools,
            memory=_memory_of(service, memory, snapshot),
            ready_replicas=ready_replicas(owned.get(service.metadata.uid, {})),
            speeds=speeds.of_service(service, snapshot.profiles),
            estimate=estimate,
            leads=believed(service.metadata.namespace),
            pods=pods_by_service.get(ServiceKey.of(service), ()),
            mode=effective_mode(fleet_mode, service.spec.scaling.mode) if fleet_mode else ActingMode.AUTO,
            bounds=bounds[service.metadata.namespace],
            tree=tree,
        )

    candidates = tuple(
        _or_refused(
            service,
            wall.guard(ObjectKey.of("LLMService", service.metadata), partial(made, service)),
            memory.services.get(ServiceKey.of(service)),
            bounds[service.metadata.namespace],
        )
        for service in sorted(snapshot.services, key=ServiceKey.of)
    )
    candidates, problems = _problems(candidates, pools, ledger, feeding, wall)
    return Prepared(
        problem=problems.now,
        advice=problems.advice,
        services=candidates,
        pools=pools,
        ledger=ledger,
        model_profiles=profiles,
        leads=leads,
        power_levels=levels,
        unconfirmed={name: snapshot.unix_seconds - until for name, until in tree.unconfirmed.items()},
        subjects=problems.subjects,
        faults=wall.faults,
    )


def _or_refused(
    service: LLMService, found: ServiceCandidate | ObjectFault, known: ServiceMemory | None, bounds: NamespaceBounds
) -> ServiceCandidate:
    """A service that raised is rejected; what it runs, and what is remembered of it, stays as it is."""
    if not isinstance(found, ObjectFault):
        return found
    same = known if known is not None and known.uid == service.metadata.uid else ServiceMemory(service.metadata.uid)
    return ServiceCandidate(
        service=service, disposition=Disposition.REJECTED, refusal=found.refusal, memory=same, bounds=bounds
    )


@dataclass(frozen=True, slots=True)
class _Problems:
    """The problem of the services whose plan is acted on at once, that of the others, and the subjects of both."""

    now: Problem | None
    advice: Problem | None
    subjects: Mapping[str, Subject]


def _problems(
    candidates: tuple[ServiceCandidate, ...],
    pools: Sequence[PoolState],
    ledger: Ledger,
    feeding: Feeding,
    wall: Firewall,
) -> tuple[tuple[ServiceCandidate, ...], _Problems]:
    """The problems, and the candidates without those that they cannot be made with: most often all are in them, and
    only where one raises is each looked at alone."""

    def made(these: tuple[ServiceCandidate, ...]) -> _Problems:
        return _Problems(
            planner_problem(these, pools, ledger, feeding=feeding),
            planner_problem(these, pools, ledger, feeding=feeding, advice=True),
            check_subjects(these),
        )

    def alone(candidate: ServiceCandidate) -> ServiceCandidate:
        # Asked for by itself, since one whose plan is held makes no problem.
        reserved_replicas((candidate,), ledger)
        made((candidate,))
        return candidate

    whole = guarded(_FLEET, partial(made, candidates))
    if not isinstance(whole, ObjectFault):
        return candidates, whole
    sound = tuple(
        _or_refused(
            each.service,
            wall.guard(ObjectKey.of("LLMService", each.service.metadata), partial(alone, each)),
            each.memory,
            each.bounds,
        )
        for each in candidates
    )
    return sound, made(sound)


def _memory_of(service: LLMService, memory: FleetMemory, snapshot: Snapshot) -> ServiceMemory:
    """The memory of this very object, after a restart that of its status; an object of the same name made anew starts
    without."""
    found = memory.services.get(ServiceKey.of(service))
    uid = service.metadata.uid
    if found is not None and found.uid == uid:
        return found
    return replace(remembered(uid, service.status, snapshot), margins=remembered_margins(service.status))


def _candidate(
    service: LLMService,
    snapshot: Snapshot,
    *,
    pools: Sequence[PoolState],
    memory: ServiceMemory,
    ready_replicas: int,
    speeds: Mapping[EngineKey, Speed],
    estimate: Speed,
    leads: LeadTimes,
    pods: Sequence[PodView],
    mode: ActingMode,
    bounds: NamespaceBounds,
    tree: FeedTree,
) -> ServiceCandidate:
    last_replicas = _last_replicas(service, memory)
    domains = domains_of(tree, pods, snapshot.nodes)
    by_name = {pool.metadata.name: pool for pool in snapshot.pools}
    base = ServiceCandidate(
        service=service,
        disposition=Disposition.REJECTED,
        last_replicas=last_replicas,
        memory=memory,
        start_failures=start_failures(service, pods, by_name, now=snapshot.unix_seconds),
        mode=mode,
        bounds=bounds,
        at_seconds=snapshot.at_seconds,
        margins=memory.margins,
        domains=domains,
        unconfirmed={
            name: tree.unconfirmed[name] for each in domains if (name := each.metadata.name) in tree.unconfirmed
        },
    )
    if service.metadata.deletion_timestamp is not None:
        return replace(base, disposition=Disposition.LEAVING)
    if mode is ActingMode.PAUSED:
        return replace(base, refusal=paused(base))
    given = ServiceInput(
        service=service,
        snapshot=snapshot,
        pools=seen_by(pools, bounds.priority(service.spec.priority)),
        memory=memory,
        last_replicas=last_replicas,
        speeds=speeds,
        estimate=estimate,
        leads=leads,
        bounds=bounds,
        ready_replicas=ready_replicas,
    )
    refusal = first_refusal(CHECKS, given)
    if refusal is not None and first_refusal(SPEC_CHECKS, given) is not None:
        # No load is chosen for a spec that is refused.
        return replace(base, refusal=refusal)
    profile, choice = given.profile, given.choice
    known = replace(base, profile=profile, choice=choice)
    if refusal is not None:
        return replace(known, refusal=refusal)
    margins = margins_of(given)
    found = choose_variants(
        service,
        profile,
        given.offered,
        demand=choice.demand,
        running=last_replicas,
        planned_as=planner_service(known),
        leads=leads,
        factors=margins.factors,
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
        variants=startable(found.variants, known.start_failures, pods, now=snapshot.unix_seconds),
        omitted=found.omitted,
        missing_tables=found.missing_tables,
        table_group=given.offered.engine.table_group if snapshot.simulates else None,
        waiting=waits,
        margins=margins.learned,
    )


def _last_replicas(service: LLMService, memory: ServiceMemory) -> Mapping[str, int]:
    """Replicas in force by variant; after a restart those of the status."""
    return memory.target.replicas if memory.target is not None else desired_of(service)
