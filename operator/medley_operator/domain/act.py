"""From intents and what is seen to the next safe writes: the actuator. No solver, no metrics.

Pure: equal input gives an equal decision. Each pass makes the writes whose preconditions hold in what was observed, and
the status that says so; the next pass, after an event or a write, goes on from there. So a pass that is cut off, or a
write that is refused, leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import Owned, by_owner, running_variants
from medley_operator.domain.cluster.leaving import LeavingNodes
from medley_operator.domain.cluster.start_failures import pods_of_services
from medley_operator.domain.engine.startup_protection import due_releases
from medley_operator.domain.firewall import Firewall, guarded, unreadable
from medley_operator.domain.passes import Done, Steps
from medley_operator.domain.report.events import service_events
from medley_operator.domain.report.gauges import service_gauges
from medley_operator.domain.report.platform_status import rejected_event, rejected_status
from medley_operator.domain.report.pod_troubles import pods_seen
from medley_operator.domain.report.status import dump, service_status
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.drift import drift_of
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.intent import FleetIntent, ServiceIntent
from medley_operator.domain.rollout.preconditions import permitted
from medley_operator.domain.rollout.service_round import (
    ServiceRound,
    mix_capacities,
    pool_use,
    route_weights,
    routed_service,
    variant_prompts,
    variant_rows,
    variant_scale,
)
from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink
from medley_operator.domain.rollout.template_rolls import Canaries
from medley_operator.domain.rollout.turns import ServiceTurn, decided, first_step, last_step
from medley_operator.domain.rollout.unchanged import Part, around
from medley_operator.domain.rollout.writes import ChildWrites, Claims, ReplicaTargets, child_writes
from medley_operator.domain.routing.prompt_ranges import due_ranges
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.values.decision import Decision, StatusWrite
from medley_operator.domain.values.labels import OWNER_KIND
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, ObjectFault, ObjectKey
from medley_operator.domain.values.views import PodView


@dataclass(frozen=True, slots=True)
class _Shared:
    """The things that services of one pass take from each other: names, and the first turn at a new profile."""

    claims: Claims
    canaries: Canaries
    leaving: LeavingNodes
    busy: Mapping[ServiceKey, Mapping[str, float]]
    """Requests of each pod, by name."""


def act(intent: FleetIntent, view: ActuatorView, steps: Steps, *, now: str) -> tuple[Decision, Steps]:
    """The writes to make now, and what to remember for the next pass. `now` is RFC 3339 in UTC.

    A service whose spec changed since the plan, that is gone or leaving, or whose namespace is being deleted, is left
    alone: the planner is on its way.
    One that this program fails on is left alone too, and its status says so.
    """
    owned, wall = by_owner(view), Firewall()
    seen = {ServiceKey.of(service): service for service in view.services}
    at = unix_seconds(now) or 0.0
    pods = pods_of_services(pods_seen(view), now=at)
    made = {
        each.candidate.key: wall.guard(_about(each), partial(_turn, each, view, seen, owned, pods, steps))
        for each in intent.services
    }
    begun = {key: turn for key, turn in made.items() if isinstance(turn, ServiceTurn)}
    shared, beside = _Shared(Claims(), Canaries.of(owned), LeavingNodes.of(view), intent.pod_requests), around(view)
    turns = decided(begun, view, steps.services, shared.leaving, wall, now=at)
    done: dict[ServiceKey, Done] = {}
    parts: dict[ServiceKey, Part[ServiceTurn, Done]] = {}
    for key, turn in turns.items():
        before, known = steps.services.get(key, ServiceSteps()), steps.parts.get(key)
        if known is not None and known.stands(begun[key], turn.allowed, before, beside):
            done[key], parts[key] = known.done, known
            continue
        part = partial(_done, turn, before, view, shared, now)
        found = wall.guard(_about(turn.intent), part)
        if not isinstance(found, ObjectFault):
            done[key] = found
            after = found.step.steps if found.step is not None else before
            parts[key] = Part(begun[key], turn.allowed, after, beside, found, quiet=found.quiet)
    kept: dict[ServiceKey, ServiceSteps] = {}
    for fault in wall.faults:
        key = fault.about.service
        if key in steps.services:
            kept[key] = steps.services[key]
        found = guarded(fault.about, partial(_failed, seen[key], fault, owned, now))
        if not isinstance(found, ObjectFault):
            done[key] = found
    remembered = {key: part.step.steps for key, part in done.items() if part.step is not None}
    # Whatever is planned: no service needs it any more once its pod is Ready.
    notes, released = due_releases(
        view.pods, services=_all_services(view), asked=steps.released, at_seconds=view.at_seconds
    )
    decision = _decision(list(done.values()), intent, wall)
    decision = replace(decision, pod_notes=(*notes, *decision.pod_notes))
    return decision, Steps({**kept, **remembered}, released, parts)


def _all_services(view: ActuatorView) -> set[ServiceKey]:
    """Those that do not parse included, and not those whose namespace ends."""
    broken = {each.key.service for each in view.rejected if each.key.kind == OWNER_KIND}
    known = {ServiceKey.of(each) for each in view.services} | broken
    return {each for each in known if each.namespace not in view.ending}


def _about(intent: ServiceIntent) -> ObjectKey:
    return ObjectKey.of("LLMService", intent.candidate.service.metadata)


def _turn(
    each: ServiceIntent,
    view: ActuatorView,
    seen: Mapping[ServiceKey, LLMService],
    owned: Owned,
    pods: Mapping[tuple[str, str], tuple[PodView, ...]],
    steps: Steps,
) -> ServiceTurn | None:
    planned = each.candidate.service.metadata
    service = seen.get(each.candidate.key)
    if service is None or service.metadata.deletion_timestamp is not None:
        return None
    if each.candidate.key.namespace in view.ending and each.goal.kind is not GoalKind.KEPT:
        return None
    if (service.metadata.uid, service.metadata.generation) != (planned.uid, planned.generation):
        return None
    own, own_pods = owned.get(planned.uid, {}), pods.get(each.candidate.key, ())
    before = steps.parts.get(each.candidate.key)
    if before is not None and before.turn.shows(each, service, own, own_pods):
        return before.turn
    candidate = replace(each.candidate, service=service)
    this = ServiceRound(candidate, each.goal, own, running_variants(own, candidate.layouts))
    names = sorted({*this.goal.replicas, *this.running})
    return ServiceTurn(
        intent=each,
        round=this,
        pods=own_pods,
        scales={name: variant_scale(this, name) for name in names},
        uses={name: pool_use(this, name) for name in names},
    )


def _done(turn: ServiceTurn, steps: ServiceSteps, view: ActuatorView, shared: _Shared, now: str) -> Done:
    """The next step of one service, and what reports it."""
    prompts = variant_prompts(turn.round)
    outcome, step = _outcome(turn, steps=steps, view=view, shared=shared, prompts=prompts, now=now)
    if not turn.is_kept:
        given, ranged = due_ranges(turn.pods, prompts, asked=steps.ranged, at_seconds=view.at_seconds)
        step = replace(step, notes=(*step.notes, *given), steps=replace(step.steps, ranged=ranged))
    service, status = outcome.candidate.service, service_status(outcome, now=now)
    write = StatusWrite(key=_about(turn.intent), uid=service.metadata.uid, status=dump(status))
    return Done(
        writes=outcome.writes,
        status=write if status != service.status else None,
        events=service_events(outcome, status),
        gauges=service_gauges(outcome, status),
        step=step,
    )


def _failed(service: LLMService, fault: ObjectFault, owned: Owned, now: str) -> Done:
    """A service that this program failed on: nothing of what it runs is touched."""
    rejected = unreadable(service, fault)
    status = rejected_status(rejected, own=owned.get(service.metadata.uid, {}), now=now)
    events = rejected_event(rejected) if status is not None else ()
    return Done(writes=ChildWrites(), status=status, events=events, gauges=(), step=None)


def _outcome(
    turn: ServiceTurn,
    *,
    steps: ServiceSteps,
    view: ActuatorView,
    shared: _Shared,
    prompts: Mapping[str, str],
    now: str,
) -> tuple[ServiceDecision, Shrink]:
    this = turn.round
    candidate, kept = this.candidate, turn.is_kept
    router, given = router_of(candidate.service), routed_service(this, view)
    seen = steps.seen(router.accepted(given), at_seconds=view.at_seconds)
    step = first_step(turn, seen, at_seconds=view.at_seconds, now=unix_seconds(now) or 0.0)
    capacity = mix_capacities(this, turn.intent.served)
    weights = route_weights(this, replicas=step.replicas, capacity=capacity, given=given)
    busy = shared.busy.get(candidate.key, {})
    step = last_step(step, turn, view, shared.leaving, router.asked(given, weights), busy=busy)
    targets = ReplicaTargets(
        replicas=step.replicas, desired=this.goal.replicas, weights=weights, surge=turn.intent.surge
    )
    writes = ChildWrites() if kept else _writes(given, targets, view, shared, steps)
    outcome = ServiceDecision(
        candidate=candidate,
        goal=this.goal,
        running=this.running,
        targets=targets,
        rows=variant_rows(
            this, replicas=step.replicas, capacity=capacity, weights=weights or {}, pods=turn.pods, prompts=prompts
        ),
        writes=writes,
        routed=given,
        same_model_as=turn.intent.same_model_as,
        pods=turn.pods,
        memory_status=turn.intent.memory_status,
        stranded=turn.move.stranded,
    )
    if not kept:
        after = replace(step.steps, taken_back=writes.drift.taken_back)
        step = replace(step, wait_seconds=step.sooner(writes.drift.wait_seconds), steps=after)
    return outcome, step


def _writes(
    given: RoutedService, targets: ReplicaTargets, view: ActuatorView, shared: _Shared, steps: ServiceSteps
) -> ChildWrites:
    writes = child_writes(
        given,
        targets,
        children=view.children,
        claims=shared.claims,
        canaries=shared.canaries,
        budgets=view.budgets,
        drift=drift_of(given.service, view, steps.taken_back),
    )
    return permitted(writes, given.own, steps.taken_back)


def _decision(done: Sequence[Done], intent: FleetIntent, wall: Firewall) -> Decision:
    """All parts in one."""
    waits = [each.step.wait_seconds for each in done if each.step is not None and each.step.wait_seconds is not None]
    return Decision(
        applies=tuple(apply for each in done for apply in each.writes.applies),
        deletes=tuple(delete for each in done for delete in each.writes.deletes),
        statuses=tuple(each.status for each in done if each.status is not None),
        events=tuple(event for each in done for event in each.events),
        gauges=(*intent.gauges, *(sample for each in done for sample in each.gauges)),
        wait_seconds=min(waits, default=None),
        pod_notes=tuple(note for each in done if each.step is not None for note in each.step.notes),
        faults=wall.faults,
    )
