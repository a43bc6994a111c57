"""From intents and what is seen to the next safe writes: the actuator. No solver, no metrics.

Pure: equal input gives an equal decision. Each pass makes the writes whose preconditions hold in what was observed, and
the status that says so; the next pass, after an event or a write, goes on from there. So a pass that is cut off, or a
write that is refused, leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.cluster.children import Owned, by_owner, gpus_by_pool, running_variants
from medley_operator.domain.report.events import service_events
from medley_operator.domain.report.gauges import service_gauges
from medley_operator.domain.report.status import dump, service_status
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.drift import drift_of
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.httproute import gateway_of, is_accepted, observed_weights
from medley_operator.domain.rollout.intent import FleetIntent, ServiceIntent
from medley_operator.domain.rollout.preconditions import permitted
from medley_operator.domain.rollout.service import service_names
from medley_operator.domain.rollout.service_round import (
    ServiceRound,
    mix_capacities,
    own_route,
    pool_use,
    route_weights,
    variant_rows,
    variant_scale,
)
from medley_operator.domain.rollout.shrink import ServiceSteps, Shrink, bounded, routed
from medley_operator.domain.rollout.steps import PoolUse, VariantScale, fleet_replicas
from medley_operator.domain.rollout.writes import ChildWrites, Claims, ReplicaTargets, child_writes
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Decision, EventNote, Manifest, ObjectKey, StatusWrite


@dataclass(frozen=True, slots=True)
class Steps:
    """What is remembered between passes, by service. Losing it costs some seconds of delay."""

    services: Mapping[ServiceKey, ServiceSteps] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A service of this pass: what it is to have, and what it has."""

    intent: ServiceIntent
    round: ServiceRound


def act(intent: FleetIntent, view: ActuatorView, steps: Steps, *, now: str) -> tuple[Decision, Steps]:
    """The writes to make now, and what to remember for the next pass. `now` is RFC 3339 in UTC.

    A service whose spec changed since the plan, or that is gone or leaving, is left alone: the planner is on its way.
    """
    owned = by_owner(view)
    turns = _turns(intent, view, owned)
    wanted = _replicas_now(turns, intent, owned)
    claims = Claims()
    decided: list[ServiceDecision] = []
    remembered: dict[ServiceKey, ServiceSteps] = {}
    waits: list[float] = []
    for turn in turns:
        key = turn.round.candidate.key
        outcome, step = _outcome(
            turn, wanted=wanted.get(key, {}), steps=steps.services.get(key, ServiceSteps()), view=view, claims=claims
        )
        decided.append(outcome)
        remembered[key] = step.steps
        if step.wait_seconds is not None:
            waits.append(step.wait_seconds)
    return replace(_told(decided, intent, now=now), wait_seconds=min(waits, default=None)), Steps(remembered)


def _turns(intent: FleetIntent, view: ActuatorView, owned: Owned) -> list[_Turn]:
    seen = {ServiceKey.of(service): service for service in view.services}
    turns: list[_Turn] = []
    for each in intent.services:
        planned = each.candidate.service.metadata
        service = seen.get(each.candidate.key)
        if service is None or service.metadata.deletion_timestamp is not None:
            continue
        if (service.metadata.uid, service.metadata.generation) != (planned.uid, planned.generation):
            continue
        own = owned.get(planned.uid, {})
        candidate = replace(each.candidate, service=service)
        turns.append(_Turn(each, ServiceRound(candidate, each.goal, own, running_variants(own, candidate.layouts))))
    return turns


def _replicas_now(turns: Sequence[_Turn], intent: FleetIntent, owned: Owned) -> dict[ServiceKey, dict[str, int]]:
    """Replicas that the stock and what is Ready allow, by service; a service that is kept is not in it."""
    moving = [turn.round for turn in turns if turn.intent.goal.kind is not GoalKind.KEPT]
    scales: dict[ServiceKey, dict[str, VariantScale]] = {}
    uses: dict[ServiceKey, dict[str, PoolUse]] = {}
    for turn in moving:
        names = sorted({*turn.goal.replicas, *turn.running})
        scales[turn.candidate.key] = {name: variant_scale(turn, name) for name in names}
        uses[turn.candidate.key] = {name: pool_use(turn, name) for name in names}
    # The pods of a service that is leaving are on their way out: nothing needs to make room for them.
    uids = frozenset(turn.candidate.service.metadata.uid for turn in moving) | intent.leaving
    return fleet_replicas(
        scales,
        uses=uses,
        stock_gpus=intent.stock_gpus,
        other_gpus=gpus_by_pool(owned, except_uids=uids),
    )


def _outcome(
    turn: _Turn, *, wanted: Mapping[str, int], steps: ServiceSteps, view: ActuatorView, claims: Claims
) -> tuple[ServiceDecision, Shrink]:
    this = turn.round
    candidate, kept = this.candidate, this.goal.kind is GoalKind.KEPT
    route = own_route(this)
    seen = steps.seen(_accepted_weights(this, route), at_seconds=view.at_seconds)
    if kept:
        as_it_is = {name: variant.replicas for name, variant in this.running.items()}
        step = Shrink(as_it_is, None, seen)
    else:
        step = bounded(wanted, this.running, seen, at_seconds=view.at_seconds)
    capacity = mix_capacities(this, turn.intent.served)
    weights = route_weights(this, replicas=step.replicas, capacity=capacity, route=route)
    if not kept:
        asked = weights if _can_route(candidate.service, view) else None
        step = routed(step, this.running, asked, at_seconds=view.at_seconds)
    targets = ReplicaTargets(
        replicas=step.replicas, desired=this.goal.replicas, weights=weights, surge=turn.intent.surge
    )
    writes = ChildWrites() if kept else _writes(this, targets, view, claims, steps)
    outcome = ServiceDecision(
        candidate=candidate,
        goal=this.goal,
        running=this.running,
        targets=targets,
        rows=variant_rows(this, replicas=step.replicas, capacity=capacity, weights=weights or {}),
        writes=writes,
        route=route,
        gateways=view.gateways,
        same_model_as=turn.intent.same_model_as,
    )
    if not kept:
        waits = [each for each in (step.wait_seconds, writes.drift.wait_seconds) if each is not None]
        after = replace(step.steps, taken_back=writes.drift.taken_back)
        step = Shrink(step.replicas, min(waits, default=None), after)
    return outcome, step


def _writes(
    this: ServiceRound, targets: ReplicaTargets, view: ActuatorView, claims: Claims, steps: ServiceSteps
) -> ChildWrites:
    writes = child_writes(
        this.candidate,
        targets,
        running=this.running,
        own=this.own,
        children=view.children,
        claims=claims,
        gateway_api=view.gateways is not None,
        drift=drift_of(this.candidate.service, view, steps.taken_back),
    )
    return permitted(writes, this.own)


def _accepted_weights(this: ServiceRound, route: Manifest | None) -> dict[str, int] | None:
    service = this.candidate.service
    gateway = gateway_of(service)
    if service.spec.routing.effective_mode() is not ServiceRoutingMode.HTTP_ROUTE or gateway is None or route is None:
        return None
    if not is_accepted(route, gateway=gateway):
        return None
    return observed_weights(route, names=service_names(this.candidate, this.running))


def _can_route(service: LLMService, view: ActuatorView) -> bool:
    """Whether a route could carry requests at all: no step waits for a Gateway that does not exist."""
    return gateway_of(service) in (view.gateways or frozenset())


def _told(decided: Sequence[ServiceDecision], intent: FleetIntent, *, now: str) -> Decision:
    """The writes with the statuses, Events and gauges that report them."""
    statuses: list[StatusWrite] = []
    events: list[EventNote] = []
    gauges = list(intent.gauges)
    for outcome in decided:
        status = service_status(outcome, now=now)
        service = outcome.candidate.service
        if status != service.status:
            metadata = service.metadata
            key = ObjectKey(kind="LLMService", namespace=metadata.namespace, name=metadata.name)
            statuses.append(StatusWrite(key=key, uid=metadata.uid, status=dump(status)))
        events.extend(service_events(outcome, status))
        gauges.extend(service_gauges(outcome, status))
    return Decision(
        applies=tuple(apply for outcome in decided for apply in outcome.writes.applies),
        deletes=tuple(delete for outcome in decided for delete in outcome.writes.deletes),
        statuses=tuple(statuses),
        events=tuple(events),
        gauges=tuple(gauges),
    )
