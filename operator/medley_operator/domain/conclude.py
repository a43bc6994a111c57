"""From a plan to intents: what each service is to have, what to say about pools and profiles, what to remember.

Pure, the last step of the planner's round. Nothing is written to children from here: `domain.act` does that, step by
step, from what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medley_operator.domain.cluster.children import Owned, by_owner, gpus_by_pool
from medley_operator.domain.cluster.policies import policy_status
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.report.gauges import PoolNodes, fleet_gauges, pool_nodes
from medley_operator.domain.report.platform_status import (
    pool_status,
    profile_status,
    rejected_event,
    rejected_status,
)
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.intent import FleetIntent, ServiceIntent
from medley_operator.domain.rollout.service_round import ServiceRound, pool_use, served_buckets, service_rounds
from medley_operator.domain.speed.profiles import model_profile_status
from medley_operator.domain.values.candidates import Disposition, Prepared, ServiceCandidate
from medley_operator.domain.values.snapshot import (
    EventNote,
    FleetMemory,
    ServiceMemory,
    Snapshot,
    StatusWrite,
)
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import ServicePlan


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of one round: intents for the actuator, statuses and Events about what is no LLMService that parses."""

    intent: FleetIntent
    statuses: tuple[StatusWrite, ...]
    events: tuple[EventNote, ...]
    memory: FleetMemory


def conclude(
    snapshot: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, *, now: str
) -> Conclusion:
    """`outcome` is None where `prepared.problem` is; `now` is RFC 3339 in UTC."""
    owned = by_owner(snapshot.view)
    staying = [candidate for candidate in prepared.services if candidate.disposition is not Disposition.LEAVING]
    rounds = service_rounds(staying, outcome, owned)
    planned_gpus = _planned_gpus(rounds, prepared, owned)
    first_by_model = _first_by_model(staying)
    pools = pool_nodes(prepared, outcome)
    statuses = _platform_statuses(snapshot, prepared, planned_gpus, pools, now=now)
    events: list[EventNote] = []
    for rejected in snapshot.rejected:
        write = rejected_status(rejected, own=owned.get(rejected.uid, {}), now=now)
        if write is not None:
            statuses.append(write)
            events.extend(rejected_event(rejected))
    intents = [
        ServiceIntent(
            candidate=turn.candidate,
            goal=turn.goal,
            served=served_buckets(turn.candidate, _plan_in_force(turn, memory)),
            surge=_surge(turn, prepared, planned_gpus),
            same_model_as=_same_model_as(turn.candidate, first_by_model),
        )
        for turn in rounds
    ]
    leaving = (candidate for candidate in prepared.services if candidate.disposition is Disposition.LEAVING)
    intent = FleetIntent(
        services=tuple(intents),
        leaving=frozenset(candidate.service.metadata.uid for candidate in leaving),
        stock_gpus={state.pool.metadata.name: state.stock_gpus for state in prepared.pools},
        gauges=fleet_gauges(pools, prepared.leads),
    )
    remembered = {turn.candidate.key: _remembered(turn, memory) for turn in rounds}
    return Conclusion(intent, tuple(statuses), tuple(events), FleetMemory(services=remembered, leads=prepared.leads))


def _plan_in_force(turn: ServiceRound, memory: FleetMemory) -> ServicePlan | None:
    """The new plan, or the last one where it was made for the same load."""
    if turn.goal.plan is not None:
        return turn.goal.plan
    remembered, choice = memory.services.get(turn.candidate.key), turn.candidate.choice
    same_load = remembered is not None and choice is not None and remembered.demand == choice.demand
    return remembered.plan if remembered is not None and same_load else None


def _planned_gpus(rounds: Sequence[ServiceRound], prepared: Prepared, owned: Owned) -> dict[str, int]:
    """GPUs by pool of all goals, and of services that do not parse or that are leaving."""
    uids = frozenset(turn.candidate.service.metadata.uid for turn in rounds)
    planned = {state.pool.metadata.name: 0 for state in prepared.pools}
    for pool, gpus in gpus_by_pool(owned, except_uids=uids).items():
        planned[pool] = planned.get(pool, 0) + gpus
    for turn in rounds:
        for name, replicas in turn.goal.replicas.items():
            use = pool_use(turn, name)
            planned[use.pool] = planned.get(use.pool, 0) + replicas * use.gpus_per_replica
    return planned


def _surge(turn: ServiceRound, prepared: Prepared, planned_gpus: Mapping[str, int]) -> dict[str, bool]:
    """Whether a pod beyond the plan finds a GPU, by variant."""
    stock = {state.pool.metadata.name: state.stock_gpus for state in prepared.pools}
    room: dict[str, bool] = {}
    for candidate in turn.candidate.variants:
        variant = candidate.variant
        limit = stock.get(variant.pool)
        room[variant.name] = limit is None or planned_gpus.get(variant.pool, 0) + variant.gpus_per_replica <= limit
    return room


def _first_by_model(candidates: Sequence[ServiceCandidate]) -> dict[tuple[str, str], str]:
    """The first LLMService, by name, of each (namespace, model name)."""
    first: dict[tuple[str, str], str] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.key):
        namespace, name = candidate.key
        first.setdefault((namespace, served_model_name(candidate.service)), name)
    return first


def _same_model_as(candidate: ServiceCandidate, first_by_model: Mapping[tuple[str, str], str]) -> str | None:
    first = first_by_model[(candidate.key.namespace, served_model_name(candidate.service))]
    return first if first != candidate.key.name else None


def _platform_statuses(
    snapshot: Snapshot,
    prepared: Prepared,
    planned_gpus: Mapping[str, int],
    by_node: Sequence[PoolNodes],
    *,
    now: str,
) -> list[StatusWrite]:
    nodes = {each.pool: each.planned_nodes for each in by_node}
    pools = [
        pool_status(
            state,
            planned_gpus=planned_gpus.get(state.pool.metadata.name, 0),
            planned_nodes=nodes.get(state.pool.metadata.name),
            now=now,
        )
        for state in prepared.pools
    ]
    profiles = [profile_status(profile, now=now) for profile in snapshot.profiles]
    refused = {candidate.key.problem_name for candidate in prepared.services if candidate.refusal is not None}
    measured = [model_profile_status(judged, refused=refused, now=now) for judged in prepared.model_profiles]
    policies = [policy_status(policy, snapshot.services, snapshot.namespaces, now=now) for policy in snapshot.policies]
    return [write for write in [*pools, *profiles, *measured, *policies] if write is not None]


def _remembered(turn: ServiceRound, memory: FleetMemory) -> ServiceMemory:
    uid = turn.candidate.service.metadata.uid
    choice = turn.candidate.choice
    old = memory.services.get(turn.candidate.key)
    before = old if old is not None and old.uid == uid else ServiceMemory(uid=uid)
    waits = turn.candidate.waiting
    kept = replace(
        before,
        had_metrics=before.had_metrics or (choice is not None and choice.had_metrics),
        forecaster=choice.forecaster if choice is not None else before.forecaster,
        waiting_since=waits.since_seconds if waits is not None else None,
        drifting_since=None,
        falling_since=None,
    )
    if turn.goal.kind is not GoalKind.PLANNED or choice is None:
        return kept
    return replace(
        kept,
        demand=choice.demand,
        plan=turn.goal.plan,
        drifting_since=choice.drifting_since,
        falling_since=choice.falling_since,
        basis=choice.basis,
    )
