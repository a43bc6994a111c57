"""From a plan to a decision: what to write, what to say and what to remember, for the whole fleet.

Pure: equal input gives an equal decision, and the time is an argument. Each service gets a goal, then the rollout says
how far to go now, then manifests are rendered and compared; statuses, Events and gauges show the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService, LLMServiceStatus
from medley_operator.domain.cluster.children import by_owner, gpus_by_pool
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.report.events import service_events
from medley_operator.domain.report.gauges import PoolNodes, pool_nodes, round_gauges
from medley_operator.domain.report.platform_status import (
    pool_status,
    profile_status,
    rejected_event,
    rejected_status,
)
from medley_operator.domain.report.status import dump, service_status
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.service_round import (
    ServiceRound,
    mix_capacities,
    own_route,
    pool_use,
    route_weights,
    service_rounds,
    variant_rows,
    variant_scale,
)
from medley_operator.domain.rollout.steps import PoolUse, VariantScale, fleet_replicas
from medley_operator.domain.rollout.writes import ChildWrites, Claims, ReplicaTargets, child_writes
from medley_operator.domain.speed.profiles import model_profile_status
from medley_operator.domain.values.candidates import Disposition, Prepared
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    Decision,
    EventNote,
    FleetMemory,
    ObjectKey,
    ServiceMemory,
    Snapshot,
    StatusWrite,
)
from medley_planner.fleet_plan import PlanOrFailure


def decide(
    snapshot: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, *, now: str
) -> Decision:
    """The decision of one round. `outcome` is None where `prepared.problem` is; `now` is RFC 3339 in UTC."""
    owned = by_owner(snapshot.children)
    staying = (candidate for candidate in prepared.services if candidate.disposition is not Disposition.LEAVING)
    rounds = service_rounds(staying, outcome, owned)
    applied = _replicas_now(rounds, prepared, snapshot)
    planned_gpus = _planned_gpus(rounds, prepared, snapshot)
    claims = Claims()
    first_by_model = _first_by_model(rounds)
    outcomes = [
        _outcome(
            turn,
            replicas=applied.get(turn.candidate.key, {}),
            surge=_surge(turn, prepared, planned_gpus),
            snapshot=snapshot,
            memory=memory,
            claims=claims,
            first_by_model=first_by_model,
        )
        for turn in rounds
    ]
    statuses: list[StatusWrite] = []
    events: list[EventNote] = []
    shown: list[tuple[ServiceDecision, LLMServiceStatus]] = []
    for result in outcomes:
        status = service_status(result, now=now)
        service = result.candidate.service
        if status != service.status:
            statuses.append(StatusWrite(key=_service_key(service), uid=service.metadata.uid, status=dump(status)))
        events.extend(service_events(result, status))
        shown.append((result, status))
    pools = pool_nodes(prepared, outcome)
    statuses += _platform_statuses(snapshot, prepared, planned_gpus, pools, now=now)
    for rejected in snapshot.rejected:
        write = rejected_status(rejected, own=owned.get(rejected.uid, {}), now=now)
        if write is not None:
            statuses.append(write)
            events.extend(rejected_event(rejected))
    return Decision(
        applies=tuple(apply for result in outcomes for apply in result.writes.applies),
        deletes=tuple(delete for result in outcomes for delete in result.writes.deletes),
        statuses=tuple(statuses),
        events=tuple(events),
        gauges=round_gauges(shown, pools, prepared),
        memory=replace(_remember(outcomes, memory), leads=prepared.leads),
    )


def _replicas_now(
    rounds: Sequence[ServiceRound], prepared: Prepared, snapshot: Snapshot
) -> dict[ServiceKey, dict[str, int]]:
    """Replicas to apply, by service; a service that is kept is not in it."""
    moving = [turn for turn in rounds if turn.goal.kind is not GoalKind.KEPT]
    scales: dict[ServiceKey, dict[str, VariantScale]] = {}
    uses: dict[ServiceKey, dict[str, PoolUse]] = {}
    for turn in moving:
        names = sorted({*turn.goal.replicas, *turn.running})
        scales[turn.candidate.key] = {name: variant_scale(turn, name) for name in names}
        uses[turn.candidate.key] = {name: pool_use(turn, name) for name in names}
    # The pods of a service that is leaving are on their way out: nothing needs to make room for them.
    leaving = [candidate for candidate in prepared.services if candidate.disposition is Disposition.LEAVING]
    candidates = [*(turn.candidate for turn in moving), *leaving]
    uids = frozenset(candidate.service.metadata.uid for candidate in candidates)
    return fleet_replicas(
        scales,
        uses=uses,
        stock_gpus={state.pool.metadata.name: state.stock_gpus for state in prepared.pools},
        other_gpus=gpus_by_pool(snapshot.children, except_uids=uids),
    )


def _planned_gpus(rounds: Sequence[ServiceRound], prepared: Prepared, snapshot: Snapshot) -> dict[str, int]:
    """GPUs by pool of all goals, and of services that do not parse or that are leaving."""
    uids = frozenset(turn.candidate.service.metadata.uid for turn in rounds)
    planned = {state.pool.metadata.name: 0 for state in prepared.pools}
    for pool, gpus in gpus_by_pool(snapshot.children, except_uids=uids).items():
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


def _outcome(
    turn: ServiceRound,
    *,
    replicas: dict[str, int],
    surge: Mapping[str, bool],
    snapshot: Snapshot,
    memory: FleetMemory,
    claims: Claims,
    first_by_model: Mapping[tuple[str, str], str],
) -> ServiceDecision:
    candidate, service = turn.candidate, turn.candidate.service
    kept = turn.goal.kind is GoalKind.KEPT
    if kept:
        replicas = {name: variant.replicas for name, variant in turn.running.items()}
    route = own_route(turn)
    capacity = mix_capacities(turn, memory)
    weights = route_weights(turn, replicas=replicas, capacity=capacity, route=route)
    targets = ReplicaTargets(replicas=replicas, desired=turn.goal.replicas, weights=weights, surge=surge)
    writes = (
        ChildWrites()
        if kept
        else child_writes(
            candidate,
            targets,
            running=turn.running,
            own=turn.own,
            children=snapshot.children,
            claims=claims,
            gateway_api=snapshot.gateways is not None,
        )
    )
    first = first_by_model[(candidate.key.namespace, served_model_name(service))]
    return ServiceDecision(
        candidate=candidate,
        goal=turn.goal,
        running=turn.running,
        targets=targets,
        rows=variant_rows(turn, replicas=replicas, capacity=capacity, weights=weights or {}),
        writes=writes,
        route=route,
        gateways=snapshot.gateways,
        same_model_as=first if first != candidate.key.name else None,
    )


def _first_by_model(rounds: Sequence[ServiceRound]) -> dict[tuple[str, str], str]:
    """The first LLMService, by name, of each (namespace, model name)."""
    first: dict[tuple[str, str], str] = {}
    for turn in sorted(rounds, key=lambda turn: turn.candidate.key):
        namespace, name = turn.candidate.key
        first.setdefault((namespace, served_model_name(turn.candidate.service)), name)
    return first


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
    return [write for write in [*pools, *profiles, *measured] if write is not None]


def _service_key(service: LLMService) -> ObjectKey:
    return ObjectKey(kind="LLMService", namespace=service.metadata.namespace, name=service.metadata.name)


def _remember(outcomes: Sequence[ServiceDecision], memory: FleetMemory) -> FleetMemory:
    return FleetMemory(services={result.candidate.key: _remembered(result, memory) for result in outcomes})


def _remembered(result: ServiceDecision, memory: FleetMemory) -> ServiceMemory:
    uid = result.candidate.service.metadata.uid
    choice = result.candidate.choice
    old = memory.services.get(result.candidate.key)
    before = old if old is not None and old.uid == uid else ServiceMemory(uid=uid)
    had_metrics = before.had_metrics or (choice is not None and choice.had_metrics)
    waits = result.candidate.waiting
    waiting_since = waits.since_seconds if waits is not None else None
    if result.goal.kind is GoalKind.PLANNED and choice is not None:
        return ServiceMemory(
            uid=uid,
            demand=choice.demand,
            plan=result.goal.plan,
            had_metrics=had_metrics,
            drifting_since=choice.drifting_since,
            falling_since=choice.falling_since,
            basis=choice.basis,
            forecaster=choice.forecaster,
            waiting_since=waiting_since,
        )
    return ServiceMemory(
        uid=uid,
        demand=before.demand,
        plan=before.plan,
        had_metrics=had_metrics,
        basis=before.basis,
        forecaster=choice.forecaster if choice is not None else before.forecaster,
        waiting_since=waiting_since,
    )
