"""From a plan to intents: what each service is to have, what to say about pools and profiles, what to remember.

Pure, the last step of the planner's round. Nothing is written to children from here: `domain.act` does that, step by
step, from what it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medley_operator.api.v1alpha1 import GPUPool, GPUType, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.domain.cluster.children import Owned, by_owner
from medley_operator.domain.cluster.gpu_types import gpu_type_status, gpu_types
from medley_operator.domain.cluster.policies import policy_status
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.firewall import Firewall, guarded, unreadable
from medley_operator.domain.load.remembered import memory_status
from medley_operator.domain.report.gauges import fleet_gauges
from medley_operator.domain.report.platform_status import (
    pool_status,
    profile_status,
    rejected_event,
    rejected_status,
)
from medley_operator.domain.report.pool_nodes import PoolNodes, pool_nodes
from medley_operator.domain.report.power_gauges import power_samples
from medley_operator.domain.rollout.intent import FleetIntent, ServiceIntent
from medley_operator.domain.rollout.modes import in_mode, kept_in_force
from medley_operator.domain.rollout.service_round import (
    ServiceRound,
    kept_round,
    pool_use,
    served_buckets,
    service_round,
)
from medley_operator.domain.speed.profiles import model_profile_status
from medley_operator.domain.staying import regret_after
from medley_operator.domain.values.candidates import Disposition, PoolState, Prepared, ServiceCandidate
from medley_operator.domain.values.decision import EventNote, StatusWrite
from medley_operator.domain.values.memories import FleetMemory, ServiceMemory
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectFault, ObjectKey, Snapshot
from medley_operator.domain.values.stock import Holder, Ledger, PoolRoom
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan, ServicePlan


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of one round: intents for the actuator, with statuses and Events about all that has none.

    `faults`: objects that this program failed on. A service of these is kept as it is.
    """

    intent: FleetIntent
    statuses: tuple[StatusWrite, ...]
    events: tuple[EventNote, ...]
    memory: FleetMemory
    faults: tuple[ObjectFault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Concluded:
    """All about one service that does not hang together with others. `gpus`: those of its goal, by pool."""

    round: ServiceRound
    gpus: Mapping[str, int]
    served: frozenset[int]
    model: str
    memory: ServiceMemory


def conclude(
    snapshot: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, *, now: str
) -> Conclusion:
    """`outcome` is None where nothing was planned; `now` is RFC 3339 in UTC."""
    owned, wall = by_owner(snapshot), Firewall()
    staying = [candidate for candidate in prepared.services if candidate.disposition is not Disposition.LEAVING]
    concluded, lost = _concluded(staying, outcome, owned, wall, now=now)
    planned_gpus = _planned_gpus(concluded, prepared.ledger)
    rooms = {name: stock.room for name, stock in prepared.ledger.pools.items()}
    first_by_model = _first_by_model(concluded)
    pools = pool_nodes(prepared, outcome)
    statuses = _platform_statuses(snapshot, prepared, planned_gpus, pools, wall=wall, now=now)
    events: list[EventNote] = []
    for rejected in (*snapshot.rejected, *lost):
        told = wall.guard(rejected.key, partial(_about_rejected, rejected, owned, now))
        if told is not None and not isinstance(told, ObjectFault):
            statuses.append(told[0])
            events.extend(told[1])
    intents = [
        ServiceIntent(
            candidate=each.round.candidate,
            goal=each.round.goal,
            served=each.served,
            surge=_surge(each.round, prepared.ledger, planned_gpus, rooms),
            same_model_as=_same_model_as(each, first_by_model),
            memory_status=memory_status(each.memory, snapshot, before=each.round.candidate.service.status.memory),
        )
        for each in concluded
    ]
    intent = FleetIntent(
        services=tuple(intents),
        gauges=(*fleet_gauges(pools, prepared, snapshot.observations), *power_samples(outcome, prepared.unconfirmed)),
        pod_requests={key: seen.pod_requests for key, seen in snapshot.observations.items()},
    )
    remembered = {
        **{key: memory.services[key] for key in (each.key.service for each in lost) if key in memory.services},
        **{each.round.candidate.key: each.memory for each in concluded},
    }
    return Conclusion(
        intent,
        tuple(statuses),
        tuple(events),
        FleetMemory(services=remembered, leads=prepared.leads, power_levels=prepared.power_levels),
        wall.faults,
    )


def _concluded(
    staying: Sequence[ServiceCandidate],
    outcome: PlanOrFailure | None,
    owned: Owned,
    wall: Firewall,
    *,
    now: str,
) -> tuple[list[_Concluded], list[InvalidObject]]:
    """The end of the round for each service: one that raises keeps what it runs; one that raises even then is not read
    at all, and nothing acts on it."""
    plans = {plan.service: plan for plan in outcome.services} if isinstance(outcome, Plan) else {}
    concluded: list[_Concluded] = []
    lost: list[InvalidObject] = []

    def planned(candidate: ServiceCandidate, own: Mapping[ObjectKey, Manifest]) -> _Concluded:
        turn = service_round(candidate, outcome, own, plans=plans)
        turn = replace(turn, goal=in_mode(turn.goal, turn.candidate, turn.running, now=now))
        served = served_buckets(turn.candidate, _plan_in_force(turn))
        return _Concluded(turn, _gpus(turn), served, served_model_name(candidate.service), _remembered(turn))

    def kept(candidate: ServiceCandidate, own: Mapping[ObjectKey, Manifest], fault: ObjectFault) -> _Concluded:
        turn = kept_round(candidate, fault.refusal, own)
        turn = replace(turn, goal=kept_in_force(turn.goal, turn.candidate))
        same = turn.candidate.memory
        return _Concluded(turn, _gpus(turn), frozenset(), served_model_name(candidate.service), same)

    for candidate in staying:
        service = candidate.service
        about, own = ObjectKey.of("LLMService", service.metadata), owned.get(service.metadata.uid, {})
        found = wall.guard(about, partial(planned, candidate, own))
        if isinstance(found, ObjectFault):
            fault, found = found, guarded(about, partial(kept, candidate, own, found))
            if isinstance(found, ObjectFault):
                lost.append(unreadable(service, fault))
                continue
        concluded.append(found)
    return concluded, lost


def _about_rejected(
    rejected: InvalidObject, owned: Owned, now: str
) -> tuple[StatusWrite, tuple[EventNote, ...]] | None:
    write = rejected_status(rejected, own=owned.get(rejected.uid, {}), now=now)
    return None if write is None else (write, rejected_event(rejected))


def _plan_in_force(turn: ServiceRound) -> ServicePlan | None:
    """The new plan, or the last one where it was made for the same load."""
    if turn.goal.plan is not None:
        return turn.goal.plan
    remembered, choice = turn.candidate.memory, turn.candidate.choice
    return remembered.plan if choice is not None and remembered.demand == choice.demand else None


def _gpus(turn: ServiceRound) -> dict[str, int]:
    """GPUs of the goal, by pool."""
    gpus: dict[str, int] = {}
    for name, replicas in turn.goal.replicas.items():
        use = pool_use(turn, name)
        gpus[use.pool] = gpus.get(use.pool, 0) + replicas * use.gpus_per_replica
    return gpus


def _planned_gpus(concluded: Sequence[_Concluded], ledger: Ledger) -> dict[str, int]:
    """GPUs by pool of all goals, and of services that do not parse or that are leaving."""
    planned = ledger.gpus_of_others(frozenset(each.round.candidate.key for each in concluded))
    for each in concluded:
        for pool, gpus in each.gpus.items():
            planned[pool] = planned.get(pool, 0) + gpus
    return planned


def _surge(
    turn: ServiceRound, ledger: Ledger, planned_gpus: Mapping[str, int], rooms: Mapping[str, PoolRoom]
) -> dict[str, bool]:
    """Whether a pod beyond the plan finds a GPU, by variant."""
    found: dict[str, bool] = {}
    for variant in (known.variant for known in turn.candidate.variants):
        bound = ledger.bound.get(Holder(turn.candidate.key, variant.name), 0)
        found[variant.name] = rooms[variant.pool].beyond(
            planned_gpus[variant.pool],
            variant.gpus_per_replica,
            has_one=bound > turn.goal.replicas.get(variant.name, 0),
        )
    return found


def _first_by_model(concluded: Sequence[_Concluded]) -> dict[tuple[str, str], str]:
    """The first LLMService, by name, of each (namespace, model name)."""
    first: dict[tuple[str, str], str] = {}
    for each in sorted(concluded, key=lambda each: each.round.candidate.key):
        namespace, name = each.round.candidate.key
        first.setdefault((namespace, each.model), name)
    return first


def _same_model_as(each: _Concluded, first_by_model: Mapping[tuple[str, str], str]) -> str | None:
    key = each.round.candidate.key
    first = first_by_model[(key.namespace, each.model)]
    return first if first != key.name else None


def _platform_statuses(
    snapshot: Snapshot,
    prepared: Prepared,
    planned_gpus: Mapping[str, int],
    by_node: Sequence[PoolNodes],
    *,
    wall: Firewall,
    now: str,
) -> list[StatusWrite]:
    nodes = {each.pool: each.planned_nodes for each in by_node}
    refused = {candidate.key.problem_name for candidate in prepared.services if candidate.refusal is not None}

    def of_pool(state: PoolState) -> StatusWrite | None:
        name = state.pool.metadata.name
        gpus = planned_gpus.get(name, 0)
        return pool_status(state, snapshot.profiles, planned_gpus=gpus, planned_nodes=nodes.get(name), now=now)

    def of_policy(policy: MedleyPolicy) -> StatusWrite | None:
        return policy_status(policy, snapshot.services, snapshot.namespaces, now=now)

    types = gpu_types(snapshot.gpu_types)
    asked: list[
        tuple[GPUPool | RuntimeProfile | ModelProfile | MedleyPolicy | GPUType, Callable[[], StatusWrite | None]]
    ] = [
        *((state.pool, partial(of_pool, state)) for state in prepared.pools),
        *((profile, partial(profile_status, profile, now=now)) for profile in snapshot.profiles),
        *((it.profile, partial(model_profile_status, it, refused=refused, now=now)) for it in prepared.model_profiles),
        *((policy, partial(of_policy, policy)) for policy in snapshot.policies),
        *((each, partial(gpu_type_status, each, types, now=now)) for each in snapshot.gpu_types),
    ]
    writes: list[StatusWrite | None] = []
    for item, status in asked:
        found = wall.guard(ObjectKey.of(type(item).__name__, item.metadata), status)
        if isinstance(found, ObjectFault):
            found = rejected_status(unreadable(item, found), own={}, now=now)
        writes.append(found)
    return [write for write in writes if write is not None]


def _remembered(turn: ServiceRound) -> ServiceMemory:
    choice, waits = turn.candidate.choice, turn.candidate.waiting
    kept = replace(
        turn.candidate.memory,
        uid=turn.candidate.service.metadata.uid,
        waiting_since=waits.since_seconds if waits is not None else None,
        drifting_since=None,
        falling_since=None,
        target=turn.goal.target,
        regret=regret_after(turn.candidate, turn.goal),
    )
    if choice is None:
        return kept
    seen = replace(
        kept,
        had_metrics=kept.had_metrics or choice.had_metrics,
        forecaster=choice.forecaster,
        sizes=choice.sizes,
        jump=choice.jump,
        ready_lately=choice.ready_lately,
        margins=turn.candidate.margins,
    )
    if turn.goal.plan is None:
        return seen
    return replace(
        seen,
        demand=choice.demand,
        plan=turn.goal.plan,
        drifting_since=choice.drifting_since,
        falling_since=choice.falling_since,
        basis=choice.basis,
    )
