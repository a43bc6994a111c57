"""From a plan to a decision: what to write, what to say and what to remember, for the whole fleet.

Pure: equal input gives an equal decision, and the time is an argument. Each service gets a goal, then the rollout says
how far to go now, then manifests are rendered and compared; statuses, Events and gauges tell what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode, VariantStatus
from medley_operator.domain import labels
from medley_operator.domain.catalogue import known_gpu_names
from medley_operator.domain.children import RunningVariant, gpus_by_pool, running_variants
from medley_operator.domain.contexts import Prepared, ServiceContext, ServiceKey, Standing
from medley_operator.domain.engine_args import served_model_name
from medley_operator.domain.events import service_events
from medley_operator.domain.gauges import service_gauges
from medley_operator.domain.goals import Goal, GoalKind, choose_goal
from medley_operator.domain.outcome import ServiceOutcome, VariantRow
from medley_operator.domain.platform_status import (
    pool_status,
    profile_status,
    rejected_event,
    rejected_status,
)
from medley_operator.domain.render.httproute import observed_weights
from medley_operator.domain.rollout import PoolUse, VariantScale, fleet_replicas
from medley_operator.domain.snapshot import (
    Decision,
    EventNote,
    Manifest,
    Memory,
    ObjectKey,
    PlanOutcome,
    ServiceGauges,
    ServiceMemory,
    Snapshot,
    StatusWrite,
)
from medley_operator.domain.status import dump, service_status
from medley_operator.domain.weights import mix_capacity_rps, ready_weights, settle
from medley_operator.domain.workloads import ChildWrites, Claims, Targets, child_writes
from medley_planner.model import ServicePlan

_SERVED_SHARE = 0.999
"""A bucket counts as left out when all but a rounding rest of it is not planned."""


def conclude(
    snapshot: Snapshot, prepared: Prepared, outcome: PlanOutcome | None, memory: Memory, *, now: str
) -> Decision:
    """The decision of one round. `outcome` is None where `prepared.problem` is; `now` is RFC 3339 in UTC."""
    staged = [
        _stage(context, outcome, snapshot) for context in prepared.services if context.standing is not Standing.LEAVING
    ]
    applied = _replicas_now(staged, prepared, snapshot)
    planned_gpus = _planned_gpus(staged, prepared, snapshot)
    claims = Claims()
    first_by_model = _first_by_model(staged)
    outcomes = [
        _outcome(
            stage,
            replicas=applied.get(stage.context.key, {}),
            surge=_surge(stage, prepared, planned_gpus),
            snapshot=snapshot,
            memory=memory,
            claims=claims,
            first_by_model=first_by_model,
        )
        for stage in staged
    ]
    statuses: list[StatusWrite] = []
    events: list[EventNote] = []
    gauges: list[ServiceGauges] = []
    for result in outcomes:
        status = service_status(result, gateways=snapshot.gateways, now=now)
        service = result.context.service
        if status != service.status:
            statuses.append(StatusWrite(key=_service_key(service), uid=service.metadata.uid, status=dump(status)))
        events.extend(service_events(result, status))
        gauges.append(service_gauges(result, status))
    statuses += _platform_statuses(snapshot, prepared, planned_gpus, now=now)
    for rejected in snapshot.rejected:
        write = rejected_status(rejected, children=snapshot.children, now=now)
        if write is not None:
            statuses.append(write)
            events.extend(rejected_event(rejected))
    return Decision(
        applies=tuple(apply for result in outcomes for apply in result.writes.applies),
        deletes=tuple(delete for result in outcomes for delete in result.writes.deletes),
        statuses=tuple(statuses),
        events=tuple(events),
        gauges=tuple(gauges),
        memory=_remember(outcomes, memory),
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    context: ServiceContext
    goal: Goal
    running: dict[str, RunningVariant]


def _stage(context: ServiceContext, outcome: PlanOutcome | None, snapshot: Snapshot) -> _Stage:
    running = running_variants(snapshot.children, uid=context.service.metadata.uid)
    return _Stage(context=context, goal=choose_goal(context, outcome, running), running=running)


def _replicas_now(staged: Sequence[_Stage], prepared: Prepared, snapshot: Snapshot) -> dict[ServiceKey, dict[str, int]]:
    """Replicas to apply, by service; a service that is kept is not in it."""
    moving = [stage for stage in staged if stage.goal.kind is not GoalKind.KEPT]
    scales: dict[ServiceKey, dict[str, VariantScale]] = {}
    uses: dict[ServiceKey, dict[str, PoolUse]] = {}
    for stage in moving:
        names = sorted({*stage.goal.replicas, *stage.running})
        scales[stage.context.key] = {name: _scale(stage, name) for name in names}
        uses[stage.context.key] = {name: _use(stage, name) for name in names}
    uids = frozenset(stage.context.service.metadata.uid for stage in moving)
    return fleet_replicas(
        scales,
        uses=uses,
        stock_gpus={state.pool.metadata.name: state.stock_gpus for state in prepared.pools},
        other_gpus=gpus_by_pool(snapshot.children, except_uids=uids),
    )


def _scale(stage: _Stage, name: str) -> VariantScale:
    running = stage.running.get(name)
    return VariantScale(
        desired=stage.goal.replicas.get(name, 0),
        current=running.replicas if running is not None else 0,
        ready=running.ready if running is not None else 0,
    )


def _use(stage: _Stage, name: str) -> PoolUse:
    known = stage.context.variant(name)
    if known is not None:
        return PoolUse(pool=known.variant.pool, gpus_per_replica=known.variant.gpus_per_replica)
    running = stage.running.get(name)
    if running is not None:
        return PoolUse(pool=running.pool, gpus_per_replica=running.gpus_per_replica)
    old = _old_row(stage.context.service, name)
    return PoolUse(pool=old.pool if old else "", gpus_per_replica=old.tensor_parallel if old else 0)


def _old_row(service: LLMService, name: str) -> VariantStatus | None:
    return next((variant for variant in service.status.variants if variant.name == name), None)


def _planned_gpus(staged: Sequence[_Stage], prepared: Prepared, snapshot: Snapshot) -> dict[str, int]:
    """GPUs by pool of all goals, and of services that do not parse or that are leaving."""
    uids = frozenset(stage.context.service.metadata.uid for stage in staged)
    planned = {state.pool.metadata.name: 0 for state in prepared.pools}
    for pool, gpus in gpus_by_pool(snapshot.children, except_uids=uids).items():
        planned[pool] = planned.get(pool, 0) + gpus
    for stage in staged:
        for name, replicas in stage.goal.replicas.items():
            use = _use(stage, name)
            planned[use.pool] = planned.get(use.pool, 0) + replicas * use.gpus_per_replica
    return planned


def _surge(stage: _Stage, prepared: Prepared, planned_gpus: Mapping[str, int]) -> dict[str, bool]:
    """Whether a pod beyond the plan finds a GPU, by variant."""
    stock = {state.pool.metadata.name: state.stock_gpus for state in prepared.pools}
    room: dict[str, bool] = {}
    for context in stage.context.variants:
        variant = context.variant
        limit = stock.get(variant.pool)
        room[variant.name] = limit is None or planned_gpus.get(variant.pool, 0) + variant.gpus_per_replica <= limit
    return room


def _outcome(
    stage: _Stage,
    *,
    replicas: dict[str, int],
    surge: Mapping[str, bool],
    snapshot: Snapshot,
    memory: Memory,
    claims: Claims,
    first_by_model: Mapping[tuple[str, str], str],
) -> ServiceOutcome:
    context, service = stage.context, stage.context.service
    kept = stage.goal.kind is GoalKind.KEPT
    if kept:
        replicas = {name: variant.replicas for name, variant in stage.running.items()}
    route = _own_route(service, snapshot.children)
    capacity = _capacities(stage, memory)
    weights = _weights(stage, replicas=replicas, capacity=capacity, route=route)
    targets = Targets(replicas=replicas, desired=stage.goal.replicas, weights=weights, surge=surge)
    writes = (
        ChildWrites()
        if kept
        else child_writes(
            context,
            targets,
            running=stage.running,
            children=snapshot.children,
            claims=claims,
            gateway_api=snapshot.gateways is not None,
        )
    )
    first = first_by_model[(context.key[0], served_model_name(service))]
    return ServiceOutcome(
        context=context,
        goal=stage.goal,
        running=stage.running,
        targets=targets,
        rows=_rows(stage, replicas=replicas, capacity=capacity, weights=weights or {}),
        writes=writes,
        route=route,
        same_model_as=first if first != context.key[1] else None,
    )


def _own_route(service: LLMService, children: Mapping[ObjectKey, Manifest]) -> Manifest | None:
    metadata = service.metadata
    route = children.get(ObjectKey(kind=labels.HTTP_ROUTE, namespace=metadata.namespace, name=metadata.name))
    return route if route is not None and labels.owner_uid(route) == metadata.uid else None


def _capacities(stage: _Stage, memory: Memory) -> dict[str, float]:
    """Rate of the load's size mix that one replica of each variant serves.

    A variant that is no longer one of the service has the figure of its last plan.
    """
    choice = stage.context.choice
    plan = stage.goal.plan
    if plan is None:
        remembered = memory.services.get(stage.context.key)
        same_load = remembered is not None and choice is not None and remembered.demand == choice.demand
        plan = remembered.plan if remembered is not None and same_load else None
    capacity: dict[str, float] = {}
    for name in sorted({*stage.goal.replicas, *stage.running}):
        known = stage.context.variant(name)
        if known is not None and choice is not None:
            served = _served_buckets(plan, choice.demand.rate_rps, choice.demand.shares)
            capacity[name] = mix_capacity_rps(choice.demand, known.variant.capacity_rps, served)
        else:
            old = _old_row(stage.context.service, name)
            capacity[name] = float(old.capacity_rps) if old is not None else 0.0
    return capacity


def _served_buckets(plan: ServicePlan | None, rate_rps: float, shares: tuple[float, ...]) -> frozenset[int]:
    if plan is None or rate_rps <= 0:
        return frozenset(range(len(shares)))
    left_out: dict[int, float] = {}
    for part in plan.unserved:
        left_out[part.bucket] = left_out.get(part.bucket, 0.0) + part.rate_rps
    return frozenset(
        bucket
        for bucket, share in enumerate(shares)
        if left_out.get(bucket, 0.0) < _SERVED_SHARE * rate_rps * share or left_out.get(bucket, 0.0) <= 0
    )


def _weights(
    stage: _Stage, *, replicas: Mapping[str, int], capacity: Mapping[str, float], route: Manifest | None
) -> dict[str, int] | None:
    """Weights of the variants that have or will have replicas; None where the service has no route."""
    service = stage.context.service
    if service.spec.routing.effective_mode() is not ServiceRoutingMode.HTTP_ROUTE:
        return None
    current = observed_weights(route, service=service.metadata.name)
    if stage.goal.kind is GoalKind.KEPT:
        return current
    names = sorted(name for name in capacity if max(stage.goal.replicas.get(name, 0), replicas.get(name, 0)) > 0)
    staying = {name: min(stage.running[name].ready, replicas.get(name, 0)) for name in names if name in stage.running}
    new = ready_weights(
        ready=staying, desired=stage.goal.replicas, capacity_rps={name: capacity[name] for name in names}
    )
    return settle(new, current)


def _rows(
    stage: _Stage, *, replicas: Mapping[str, int], capacity: Mapping[str, float], weights: Mapping[str, int]
) -> tuple[VariantRow, ...]:
    rows: list[VariantRow] = []
    for name in sorted({*stage.goal.replicas, *stage.running}):
        desired = stage.goal.replicas.get(name, 0)
        running = stage.running.get(name)
        ready = running.ready if running is not None else 0
        if desired == 0 and ready == 0 and replicas.get(name, 0) == 0:
            continue
        known = stage.context.variant(name)
        old = _old_row(stage.context.service, name)
        use = _use(stage, name)
        if known is not None:
            cost, gpu, provenance = known.variant.cost_per_hour, known.variant.gpu, known.variant.provenance.value
        else:
            cost = float(old.cost_per_hour) / old.desired if old is not None and old.desired else 0.0
            gpu, provenance = (old.gpu, old.provenance) if old is not None else ("", "estimated")
        rows.append(
            VariantRow(
                name=name,
                pool=use.pool,
                gpu=gpu,
                gpus_per_replica=use.gpus_per_replica,
                desired=desired,
                ready=ready,
                weight=weights.get(name, 0),
                cost_per_hour=desired * cost,
                capacity_rps=capacity.get(name, 0.0),
                provenance=provenance,
            )
        )
    return tuple(rows)


def _first_by_model(staged: Sequence[_Stage]) -> dict[tuple[str, str], str]:
    """The first LLMService, by name, of each (namespace, model name)."""
    first: dict[tuple[str, str], str] = {}
    for stage in sorted(staged, key=lambda stage: stage.context.key):
        namespace, name = stage.context.key
        first.setdefault((namespace, served_model_name(stage.context.service)), name)
    return first


def _platform_statuses(
    snapshot: Snapshot, prepared: Prepared, planned_gpus: Mapping[str, int], *, now: str
) -> list[StatusWrite]:
    known = known_gpu_names()
    pools = [
        pool_status(state, planned_gpus=planned_gpus.get(state.pool.metadata.name, 0), known_gpus=known, now=now)
        for state in prepared.pools
    ]
    profiles = [profile_status(profile, now=now) for profile in snapshot.profiles]
    return [write for write in [*pools, *profiles] if write is not None]


def _service_key(service: LLMService) -> ObjectKey:
    return ObjectKey(kind="LLMService", namespace=service.metadata.namespace, name=service.metadata.name)


def _remember(outcomes: Sequence[ServiceOutcome], memory: Memory) -> Memory:
    return Memory(services={result.context.key: _remembered(result, memory) for result in outcomes})


def _remembered(result: ServiceOutcome, memory: Memory) -> ServiceMemory:
    uid = result.context.service.metadata.uid
    choice = result.context.choice
    old = memory.services.get(result.context.key)
    before = old if old is not None and old.uid == uid else ServiceMemory(uid=uid)
    had_metrics = before.had_metrics or (choice is not None and choice.had_metrics)
    if result.goal.kind is GoalKind.PLANNED and choice is not None:
        return ServiceMemory(uid=uid, demand=choice.demand, plan=result.goal.plan, had_metrics=had_metrics)
    return ServiceMemory(uid=uid, demand=before.demand, plan=before.plan, had_metrics=had_metrics)
